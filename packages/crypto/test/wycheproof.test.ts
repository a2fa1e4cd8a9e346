/** Wycheproof's and NIST's vectors through primitives.ts, in Node. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { nobleBackend, nobleFileEngine } from "@sotto/crypto";
import { bytesToHex, hexToBytes } from "@sotto/wire";
import { ed25519 } from "@noble/curves/ed25519.js";
import { ml_kem768 } from "@noble/post-quantum/ml-kem.js";
import { describe, expect, it } from "vitest";
import { hkdfSha256, hmacSha256 } from "#src/primitives.ts";
import {
  AES_256_GCM_EXPECTED,
  EXPECTED,
  HKDF_EXPECTED,
  type MlKemFile,
  type ReadVectors,
  runAes256Gcm,
  runBackend,
  runHkdf,
  runHmac,
  VECTOR_FILES,
} from "./wycheproof.ts";

const read: ReadVectors = (file) =>
  readFile(new URL(`../../../test/vectors/${file}`, import.meta.url), "utf8");

const hex = (digits: string): Uint8Array => {
  const bytes = hexToBytes(digits);
  if (bytes === undefined) throw new Error("not hex");
  return bytes;
};

const sha256Of = (content: string): string => createHash("sha256").update(content).digest("hex");

describe("the reference engine", () => {
  it("answers every case as suite 1 says", async () => {
    expect(await runBackend(read, nobleBackend)).toEqual(EXPECTED);
  });

  it("HKDF-SHA-256, HMAC-SHA-256 and AES-256-GCM too", async () => {
    expect(await runHkdf(read, hkdfSha256)).toEqual(HKDF_EXPECTED);
    expect(await runHmac(read, hmacSha256)).toEqual(EXPECTED.hmac);
    expect(await runAes256Gcm(read, nobleFileEngine)).toEqual(AES_256_GCM_EXPECTED);
  });

  it("expands ML-KEM seeds to NIST's secret keys, and decapsulates with one of them", async () => {
    const { keyGen, decaps } = JSON.parse(await read(VECTOR_FILES.mlKem)) as MlKemFile;
    expect(keyGen).toHaveLength(25);
    for (const { d, z, dk } of keyGen) {
      expect(bytesToHex(ml_kem768.keygen(hex(d + z)).secretKey)).toBe(dk);
    }
    expect(decaps.cases).toHaveLength(10);
    for (const { c, k } of decaps.cases) {
      expect(bytesToHex(ml_kem768.decapsulate(hex(c), hex(decaps.dk)))).toBe(k);
    }
  });

  it("refuses a signature that noble takes by default, with the sign bit of x set at y = 1", async () => {
    const file = JSON.parse(await read(VECTOR_FILES.ed25519Later)) as {
      readonly testGroups: readonly {
        readonly key: { readonly pk: string };
        readonly tests: readonly { readonly msg: string; readonly sig: string }[];
      }[];
    };
    const [{ key, tests }] = file.testGroups as [(typeof file.testGroups)[number]];
    const [{ msg, sig }] = tests as [(typeof tests)[number]];
    expect(ed25519.verify(hex(sig), hex(msg), hex(key.pk))).toBe(true);
    expect(nobleBackend.verify(hex(key.pk), hex(msg), hex(sig))).toBe(false);
  });
});

describe("the files", () => {
  it("are what their README says, byte for byte", async () => {
    const readme = await read("wycheproof/README.md");
    for (const file of Object.values(VECTOR_FILES)) {
      const [, digest] = new RegExp(`\\| \`${file}\` +\\| \`([0-9a-f]{64})\``).exec(readme) ?? [];
      expect(digest, file).toBe(sha256Of(await read(file)));
    }
  });
});
