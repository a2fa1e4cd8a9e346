/**
 * SPEC.md §9.5, §9.6 and the parts of RFC 9497 and RFC 9380 that they name, read once more: without one function of
 * ../src, on OpenSSL's hashes. Only the group, ristretto255, is noble's: OpenSSL has none, and the RFC's vectors
 * (token.test.ts) hold noble to it.
 * Owns: the relay's whole reckoning, and the client's proof. Leaves out: what is refused.
 */
import { ristretto255, ristretto255_hasher } from "@noble/curves/ed25519.js";
import { createHash, createHmac, hkdfSync, sign } from "node:crypto";
import { der } from "./reference.ts";

const { Point } = ristretto255;
type Element = InstanceType<typeof Point>;
/** The order of the group. */
const ORDER = 2n ** 252n + 27_742_317_777_372_353_535_851_937_790_883_648_493n;

const ascii = (text: string): Buffer => Buffer.from(text, "latin1");
const sha512 = (...parts: Uint8Array[]): Buffer =>
  createHash("sha512").update(Buffer.concat(parts)).digest();
const hmac = (key: Uint8Array, ...parts: Uint8Array[]): Buffer =>
  createHmac("sha256", key).update(Buffer.concat(parts)).digest();
const hkdf = (ikm: Uint8Array, info: Uint8Array): Buffer =>
  Buffer.from(hkdfSync("sha256", ikm, Buffer.alloc(32), info, 32));
const u16 = (value: number): Buffer => Buffer.of(value >> 8, value & 0xff);
const u32 = (value: number): Buffer => Buffer.concat([u16(value >>> 16), u16(value & 0xffff)]);
const counted = (bytes: Uint8Array): Buffer => Buffer.concat([u16(bytes.length), bytes]);

/** RFC 9497 §3.1 and §4.1: mode 1. */
const CONTEXT = ascii("OPRFV1-\x01-ristretto255-SHA512");

/** RFC 9380 §5.3.1 with SHA-512, for 64 bytes: one block. */
function expandMessage(message: Uint8Array, tag: Uint8Array): Buffer {
  const tagged = Buffer.concat([tag, Buffer.of(tag.length)]);
  const first = sha512(Buffer.alloc(128), message, u16(64), Buffer.of(0), tagged);
  return sha512(first, Buffer.of(1), tagged);
}

const littleEndian = (bytes: Uint8Array): bigint =>
  bytes.reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n);
const scalarBytes = (value: bigint): Uint8Array =>
  Buffer.from(value.toString(16).padStart(64, "0"), "hex").toReversed();
const hashToScalar = (message: Uint8Array, tag = ascii("HashToScalar-")): bigint =>
  littleEndian(expandMessage(message, Buffer.concat([tag, CONTEXT]))) % ORDER;
const hashToGroup = (message: Uint8Array): Element =>
  ristretto255_hasher.deriveToCurve!(
    expandMessage(message, Buffer.concat([ascii("HashToGroup-"), CONTEXT])),
  );

/** SPEC.md §9.5 and RFC 9497 §3.2.1: the issuer's key of an epoch, 32 and 32 bytes, and what the relay signs of it. */
export function referenceIssuer(relaySeed: Uint8Array, epoch: number) {
  const seed = hkdf(relaySeed, Buffer.concat([ascii("sotto/1 token key"), u32(epoch)]));
  const input = Buffer.concat([seed, counted(ascii("sotto/1 token key")), Buffer.of(0)]);
  const secret = hashToScalar(input, ascii("DeriveKeyPair"));
  const publicKey = Point.BASE.multiply(secret).toBytes();
  const signed = Buffer.concat([ascii("sotto/1 token key\0"), u32(epoch), publicKey]);
  const signature = sign(null, signed, der.ed25519Secret(relaySeed));
  return { secret, secretKey: scalarBytes(secret), publicKey, signature };
}

/** RFC 9497 §3.3.2: one token. `output` is what the relay computes again when the token is shown. */
export function referenceToken(secret: bigint, nonce: Uint8Array, blind: Uint8Array) {
  const point = hashToGroup(nonce);
  const blinded = point.multiply(littleEndian(blind));
  const unblinded = point.multiply(secret).toBytes();
  return {
    blinded: blinded.toBytes(),
    evaluated: blinded.multiply(secret).toBytes(),
    output: sha512(counted(nonce), counted(unblinded), ascii("Finalize")),
  };
}

/** RFC 9497 §2.2.2: whether `proof` says that `evaluated` are all `blinded`, times the secret of `publicKey`. */
export function referenceVerifiesProof(
  publicKey: Uint8Array,
  blinded: readonly Uint8Array[],
  evaluated: readonly Uint8Array[],
  proof: Uint8Array,
): boolean {
  const seed = sha512(counted(publicKey), counted(Buffer.concat([ascii("Seed-"), CONTEXT])));
  const point = (bytes: Uint8Array): Element => Point.fromBytes(bytes);
  let [m, z] = [Point.ZERO, Point.ZERO];
  blinded.forEach((one, at) => {
    const other = evaluated[at] ?? one;
    const weight = hashToScalar(
      Buffer.concat([counted(seed), u16(at), counted(one), counted(other), ascii("Composite")]),
    );
    m = m.add(point(one).multiply(weight));
    z = z.add(point(other).multiply(weight));
  });
  const [c, s] = [littleEndian(proof.slice(0, 32)), littleEndian(proof.slice(32))];
  const t2 = Point.BASE.multiply(s).add(point(publicKey).multiply(c));
  const t3 = m.multiply(s).add(z.multiply(c));
  const transcript = [publicKey, ...[m, z, t2, t3].map((one) => one.toBytes())].map(counted);
  return c === hashToScalar(Buffer.concat([...transcript, ascii("Challenge")]));
}

/** SPEC.md §9.5: showing a token. */
export const referenceAdmission = (
  output: Uint8Array,
  helloNonce: Uint8Array,
  relayKey: Uint8Array,
  readerKey: Uint8Array,
): Buffer => hmac(hkdf(output, ascii("sotto/1 hub admission")), helloNonce, relayKey, readerKey);

/** SPEC.md §9.6: zero bits in front. */
export const referenceWork = (
  helloNonce: Uint8Array,
  relayKey: Uint8Array,
  queueId: Uint8Array,
  counter: bigint,
): number => {
  const place = Buffer.alloc(8);
  place.writeBigUInt64BE(counter);
  const digest = createHash("sha256")
    .update(Buffer.concat([ascii("sotto/1 hub work\0"), helloNonce, relayKey, queueId, place]))
    .digest("hex");
  return BigInt(`0x1${digest}`).toString(2).slice(1).indexOf("1");
};
