/**
 * The certificate of a relay that serves HTTPS itself: read, checked, and read again when it changes.
 * Owns: that a wrong or half-written pair never takes the place of a good one. Leaves to server.ts: who uses it.
 * Spec: SPEC.md §6.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { type SecureContextOptions } from "node:tls";
import type { CertificateRefusal } from "./log.ts";

/** How often the files are looked at: works through links, volumes and network disks, where watching does not. */
export const CERTIFICATE_CHECK_MS = 10_000;

export interface CertificateFiles {
  /** PEM, own certificate first. */
  readonly certificate: string;
  readonly key: string;
}

export interface Certificate extends Pick<SecureContextOptions, "cert" | "key"> {
  readonly cert: Buffer;
  readonly key: Buffer;
  /** Milliseconds since 1970. */
  readonly notAfter: number;
}

export interface CertificateWatch {
  readonly current: Certificate;
  /** Looks now. */
  check(): void;
  close(): void;
}

export interface CertificateEvents {
  readonly changed: (certificate: Certificate) => void;
  /** Once for each wrong state of the files; the certificate in use stays. */
  readonly refused: (reason: CertificateRefusal) => void;
}

/** Throws when the files hold no pair now. */
export function watchCertificate(
  files: CertificateFiles,
  events: CertificateEvents,
  intervalMs: number = CERTIFICATE_CHECK_MS,
): CertificateWatch {
  const first = read(files);
  if (typeof first === "string") throw new TypeError(REFUSALS[first]);
  let current = first;
  let refused: CertificateRefusal | undefined;

  function check(): void {
    const found = read(files);
    if (typeof found === "string") {
      if (found !== refused) events.refused(found);
      refused = found;
      return;
    }
    refused = undefined;
    if (found.cert.equals(current.cert) && found.key.equals(current.key)) return;
    current = found;
    events.changed(found);
  }

  const timer = setInterval(check, intervalMs).unref();
  return {
    get current() {
      return current;
    },
    check,
    close: () => clearInterval(timer),
  };
}

const REFUSALS: Readonly<Record<CertificateRefusal, string>> = {
  unreadable: "tls.certificate, tls.key: both are readable files in PEM.",
  mismatch: "tls.key: the key of the first certificate in tls.certificate.",
};

function read(files: CertificateFiles): Certificate | CertificateRefusal {
  try {
    const [cert, key] = [readFileSync(files.certificate), readFileSync(files.key)];
    const own = new X509Certificate(cert);
    if (!own.checkPrivateKey(createPrivateKey(key))) return "mismatch";
    return { cert, key, notAfter: Date.parse(own.validTo) };
  } catch {
    return "unreadable";
  }
}

const DAY_MS = 86_400_000;

/** Whole days; negative after the end. */
export const daysLeft = ({ notAfter }: Certificate, now: number = Date.now()): number =>
  Math.floor((notAfter - now) / DAY_MS);
