/**
 * SPEC.md §16 read once more: a straight line on OpenSSL through node:crypto, Argon2id included, without one function
 * of ../src. It opens a header with either secret, and seals chunks.
 * Owns: the same derivation again. Leaves out: limits, and which reason a refusal has: whatever does not open throws.
 */
import { argon2Sync, createCipheriv, createDecipheriv, createHash, hkdfSync } from "node:crypto";

const ascii = (text: string): Buffer => Buffer.from(text, "ascii");

export interface ReferenceBackup {
  readonly key: Buffer;
  readonly noncePrefix: Buffer;
  readonly headerHash: Buffer;
  /** What the passphrase was stretched to. */
  readonly stretched: Buffer | undefined;
}

export function referenceOpenBackup(
  header: Uint8Array,
  secret: { readonly rootSecret: Uint8Array } | { readonly passphrase: string },
): ReferenceBackup {
  const bytes = Buffer.from(header);
  if (bytes.toString("latin1", 0, 14) !== "sotto backup\n\x01") throw new Error("not a backup");
  const salt = bytes.subarray(20, 36);
  const stretched =
    "passphrase" in secret
      ? argon2Sync("argon2id", {
          message: Buffer.from(secret.passphrase.normalize("NFKC"), "utf8"),
          nonce: salt,
          memory: bytes.readUInt32BE(14),
          passes: bytes.readUInt8(18),
          parallelism: bytes.readUInt8(19),
          tagLength: 32,
        })
      : undefined;
  const [ikm, info, at] =
    "rootSecret" in secret
      ? [secret.rootSecret, "sotto/1 backup root", 43]
      : [stretched ?? Buffer.alloc(0), "sotto/1 backup passphrase", 103];
  const wrap = bytes.subarray(at, at + 60);
  const wrappingKey = Buffer.from(hkdfSync("sha256", ikm, salt, info, 32));
  const cipher = createDecipheriv("aes-256-gcm", wrappingKey, wrap.subarray(0, 12));
  cipher.setAAD(bytes.subarray(0, 43));
  cipher.setAuthTag(wrap.subarray(44));
  return {
    key: Buffer.concat([cipher.update(wrap.subarray(12, 44)), cipher.final()]),
    noncePrefix: bytes.subarray(36, 43),
    headerHash: createHash("sha256")
      .update(ascii("sotto/1 backup\0"))
      .update(bytes.subarray(0, 163))
      .digest(),
    stretched,
  };
}

export function referenceSealChunk(
  { key, noncePrefix, headerHash }: ReferenceBackup,
  index: number,
  isLast: boolean,
  plaintext: Uint8Array,
): Buffer {
  const place = Buffer.alloc(5);
  place.writeUInt32BE(index);
  place.writeUInt8(isLast ? 1 : 0, 4);
  const cipher = createCipheriv("aes-256-gcm", key, Buffer.concat([noncePrefix, place]));
  cipher.setAAD(headerHash);
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}
