/**
 * SPEC.md §12 and wire/SPEC.md §12.2 read once more: a straight line on OpenSSL through node:crypto, without one
 * function of ../src. It seals a whole file at once and makes its tree by the recursive definition.
 * Owns: the same derivation again. Leaves out: state, limits, proofs of others.
 */
import { createCipheriv, createDecipheriv, createHash } from "node:crypto";
import type { FileEngine } from "@sotto/crypto";

export interface ReferenceFile {
  readonly chunkBytes: number;
  /** Sealed. */
  readonly chunks: readonly Buffer[];
  readonly leaves: readonly Buffer[];
  readonly root: Buffer;
}

export interface ReferenceKeys {
  readonly id: Uint8Array;
  readonly key: Uint8Array;
  readonly noncePrefix: Uint8Array;
}

const sha256 = (...parts: Uint8Array[]): Buffer =>
  createHash("sha256").update(Buffer.concat(parts)).digest();
const ascii = (text: string): Buffer => Buffer.from(text, "ascii");

export const referenceLeaf = (sealed: Uint8Array): Buffer =>
  sha256(ascii("sotto/1 file chunk\0"), sealed);
const node = (left: Uint8Array, right: Uint8Array): Buffer =>
  sha256(ascii("sotto/1 file node\0"), left, right);

/** Largest power of 2 below n. */
const split = (n: number): number => 2 ** (Math.ceil(Math.log2(n)) - 1);

export function referenceRoot(leaves: readonly Uint8Array[]): Buffer {
  const [only] = leaves;
  if (only !== undefined && leaves.length === 1) return Buffer.from(only);
  const k = split(leaves.length);
  return node(referenceRoot(leaves.slice(0, k)), referenceRoot(leaves.slice(k)));
}

/** Siblings from the leaf up, by the recursive definition of RFC 9162 §2.1.3.1. */
export function referenceProof(index: number, leaves: readonly Uint8Array[]): readonly Buffer[] {
  if (leaves.length === 1) return [];
  const k = split(leaves.length);
  return index < k
    ? [...referenceProof(index, leaves.slice(0, k)), referenceRoot(leaves.slice(k))]
    : [...referenceProof(index - k, leaves.slice(k)), referenceRoot(leaves.slice(0, k))];
}

export function referenceCut(size: number): { chunkBytes: number; count: number } {
  if (size <= 65_536) {
    const chunkBytes = [4_096, 8_192, 16_384, 32_768, 65_536].find((one) => one >= size) ?? 0;
    return { chunkBytes, count: 1 };
  }
  const n = Math.ceil(size / 65_536);
  const e = Math.floor(Math.log2(n));
  const s = Math.floor(Math.log2(e)) + 1;
  const unit = 2 ** Math.max(0, e - s);
  return { chunkBytes: 65_536, count: Math.ceil(n / unit) * unit };
}

export function referenceSealChunk(
  keys: ReferenceKeys,
  index: number,
  isLast: boolean,
  plaintext: Uint8Array,
): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.set(keys.noncePrefix);
  nonce.writeUInt32BE(index, 7);
  nonce.writeUInt8(isLast ? 1 : 0, 11);
  const cipher = createCipheriv("aes-256-gcm", keys.key, nonce, { authTagLength: 16 });
  cipher.setAAD(keys.id);
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

export function referenceSeal(keys: ReferenceKeys, content: Uint8Array): ReferenceFile {
  const { chunkBytes, count } = referenceCut(content.length);
  const padded = Buffer.alloc(chunkBytes * count);
  padded.set(content);
  const chunks = Array.from({ length: count }, (_, index) =>
    referenceSealChunk(
      keys,
      index,
      index === count - 1,
      padded.subarray(index * chunkBytes, (index + 1) * chunkBytes),
    ),
  );
  const leaves = chunks.map(referenceLeaf);
  return { chunkBytes, chunks, leaves, root: referenceRoot(leaves) };
}

/** OpenSSL behind the contract: synchronous, and no relative of the reference engine. */
export const opensslFileEngine: FileEngine = {
  name: "openssl",
  seal(key, nonce, aad, plaintext) {
    const cipher = createCipheriv("aes-256-gcm", key, nonce, { authTagLength: 16 });
    cipher.setAAD(aad);
    return Uint8Array.from(
      Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]),
    );
  },
  open(key, nonce, aad, sealed) {
    const cipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: 16 });
    cipher.setAAD(aad);
    cipher.setAuthTag(sealed.subarray(-16));
    try {
      return Uint8Array.from(
        Buffer.concat([cipher.update(sealed.subarray(0, -16)), cipher.final()]),
      );
    } catch {
      return undefined;
    }
  },
  sha256: (bytes) => Uint8Array.from(createHash("sha256").update(bytes).digest()),
};
