/**
 * SPEC.md §11.7 to §11.9 read once more: a straight line on OpenSSL through node:crypto, without one function of
 * ../src. It seals a group message from a chain's secrets.
 * Owns: the same derivation again. Leaves out: state, limits, rules.
 */
import { createCipheriv, createHash, createHmac, hkdfSync, sign } from "node:crypto";
import { der } from "./reference.ts";

export interface ReferenceChain {
  readonly group: Uint8Array;
  readonly account: Uint8Array;
  readonly device: Uint8Array;
  readonly chainId: Uint8Array;
  readonly signingKey: Uint8Array;
  readonly signingSecret: Uint8Array;
  /** Hash over the heads at the chain's beginning. */
  readonly heads: Uint8Array;
  /** At the number of the message. */
  readonly chainKey: Uint8Array;
}

export interface ReferenceMessage {
  readonly n: number;
  /** Ids in hex, ascending. */
  readonly heads: readonly string[];
  readonly content: Uint8Array;
  readonly nonce: Uint8Array;
  readonly last: boolean;
}

const BUCKETS = [256, 512, 1_024, 2_048, 4_096, 8_192, 16_384, 32_768, 49_152, 65_536];
const sha256 = (...parts: Uint8Array[]): Buffer =>
  createHash("sha256").update(Buffer.concat(parts)).digest();
const hmac = (key: Uint8Array, ...parts: Uint8Array[]): Buffer =>
  createHmac("sha256", key).update(Buffer.concat(parts)).digest();
const ascii = (text: string): Buffer => Buffer.from(text, "ascii");
const u16 = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff]);
const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

function aead(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Buffer {
  const cipher = createCipheriv("chacha20-poly1305", key, nonce, { authTagLength: 16 });
  cipher.setAAD(aad, { plaintextLength: plaintext.length });
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

/** 32 bytes. */
export const referenceHeaderKey = (chain: ReferenceChain): Buffer =>
  Buffer.from(
    hkdfSync(
      "sha256",
      Buffer.concat([chain.chainId, chain.signingKey]),
      chain.heads,
      Buffer.concat([ascii("sotto/1 chain"), chain.group, chain.account, chain.device]),
      32,
    ),
  );

export function referenceGroupSeal(chain: ReferenceChain, message: ReferenceMessage): Buffer {
  const { n, heads, content, nonce, last } = message;
  const headerKey = referenceHeaderKey(chain);
  const ids = heads.map((head) => Buffer.from(head, "hex"));
  const listed = ids.length > 1;
  const head = listed ? Buffer.alloc(8) : Buffer.concat(ids).subarray(0, 8);
  const header = Buffer.concat([u32(n), head, Buffer.from([(listed ? 1 : 0) + (last ? 2 : 0)])]);
  const list = listed ? Buffer.concat([Buffer.from([ids.length]), ...ids]) : Buffer.alloc(0);
  const start = Buffer.concat([list, u16(content.length), content]);
  const around = 1 + 8 + 12 + 29 + 64 + 16;
  const bucket = BUCKETS.find((size) => size >= around + start.length) ?? 0;
  const body = Buffer.concat([start, Buffer.alloc(bucket - around - start.length)]);
  const tag = hmac(headerKey, ascii("sotto/1 gtag"), u32(n)).subarray(0, 8);
  const prefix = Buffer.concat([Buffer.from([5]), tag, nonce]);
  const context = Buffer.concat([chain.group, chain.account, chain.device, chain.chainId]);
  const sealedHeader = aead(headerKey, nonce, Buffer.concat([context, prefix]), header);
  const signature = sign(
    null,
    Buffer.concat([ascii("sotto/1 gmsg\0"), context, sha256(prefix, header, body)]),
    der.ed25519Secret(chain.signingSecret),
  );
  const messageKey = hmac(chain.chainKey, Buffer.from([1]));
  const aad = Buffer.concat([context, prefix, sealedHeader]);
  const sealedBody = aead(messageKey, nonce, aad, Buffer.concat([body, signature]));
  return Buffer.concat([prefix, sealedHeader, sealedBody]);
}
