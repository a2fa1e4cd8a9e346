/** Self-signed certificates, made by the machine's openssl. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";

export interface CertificatePaths {
  readonly certificate: string;
  readonly key: string;
}

/** For localhost, 127.0.0.1 and `name`. */
export function makeCertificate(directory: string, name: string, days = 30): CertificatePaths {
  const certificate = join(directory, `${name}.crt`);
  const key = join(directory, `${name}.key`);
  const alternatives = `subjectAltName=DNS:localhost,DNS:${name},IP:127.0.0.1`;
  execFileSync(
    "openssl",
    ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"].concat(
      ["-keyout", key, "-out", certificate, "-days", String(days)],
      ["-subj", `/CN=${name}`, "-addext", alternatives],
    ),
    { stdio: "ignore" },
  );
  return { certificate, key };
}
