/**
 * The only file besides token.ts and issuer.ts that imports @noble/*: hashes (synchronous everywhere) and the reference asymmetric calls.
 * Owns: input checks that noble leaves open. Leaves to backend.ts: the contract other engines fulfil too.
 * Spec: SPEC.md §1.
 */
import { gcm } from "@noble/ciphers/aes.js";
import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { ed25519, x25519 } from "@noble/curves/ed25519.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 as nobleSha256, sha512 as nobleSha512 } from "@noble/hashes/sha2.js";
import { ml_kem768 } from "@noble/post-quantum/ml-kem.js";
import { concatBytes, equalBytes, hexToBytes, KEM_PUBLIC_BYTES, utf8ToBytes } from "@sotto/wire";

export const sha256 = (bytes: Uint8Array): Uint8Array => nobleSha256(bytes);
export const sha512 = (bytes: Uint8Array): Uint8Array => nobleSha512(bytes);

export const hmacSha256 = (key: Uint8Array, bytes: Uint8Array): Uint8Array =>
  hmac(nobleSha256, key, bytes);

export type Hmac = typeof hmacSha256;

const DIGEST_BYTES = 32;

/** RFC 5869, over the HMAC-SHA-256 given. An empty salt is 32 zero bytes. Throws above 255 × 32 bytes. */
export function hkdfSha256(
  ikm: Uint8Array,
  salt: Uint8Array,
  info: Uint8Array,
  length: number,
  hmac256: Hmac = hmacSha256,
): Uint8Array {
  if (length > 255 * DIGEST_BYTES) throw new RangeError(`HKDF of ${length} bytes`);
  const key = hmac256(salt, ikm);
  const blocks = new Uint8Array(Math.ceil(length / DIGEST_BYTES) * DIGEST_BYTES);
  let block: Uint8Array = new Uint8Array(0);
  for (let at = 0; at < length; at += DIGEST_BYTES) {
    block = hmac256(key, concatBytes(block, info, Uint8Array.of(at / DIGEST_BYTES + 1)));
    blocks.set(block, at);
  }
  return blocks.slice(0, length);
}

/**
 * 2^255 - 19, little-endian. A public key at or above it, or with the high bit set, has a second encoding:
 * refusing it keeps one key from looking like two.
 */
const FIELD_PRIME = Uint8Array.from([0xed, ...Array.from({ length: 30 }, () => 0xff), 0x7f]);

export const isCanonicalX25519 = (publicKey: Uint8Array): boolean =>
  publicKey.length === 32 && isBelow(publicKey, FIELD_PRIME);

/** Both 32 bytes, little-endian. */
function isBelow(bytes: Uint8Array, limits: Uint8Array): boolean {
  for (let index = 31; index >= 0; index--) {
    const byte = bytes[index] ?? 0;
    const limit = limits[index] ?? 0;
    if (byte !== limit) return byte < limit;
  }
  return false;
}

/** u = 0, 1, -1 and the two of order 8: with these every secret gives the same, all-zero exchange (RFC 7748 §6.1). */
const SMALL_ORDER_X25519: readonly Uint8Array[] = [
  new Uint8Array(32),
  Uint8Array.from({ length: 32 }, (_, index) => (index === 0 ? 1 : 0)),
  Uint8Array.from(FIELD_PRIME, (byte, index) => (index === 0 ? byte - 1 : byte)),
  ...[
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  ].map(hexKey),
];

/**
 * True when an exchange with this key cannot fail for any secret. Checked on everything from the network, so that
 * an exception from an engine always means a broken engine, never a bad key.
 */
export const isExchangeKey = (publicKey: Uint8Array): boolean =>
  isCanonicalX25519(publicKey) && !isAmong(publicKey, SMALL_ORDER_X25519);

function hexKey(hex: string): Uint8Array {
  return hexToBytes(hex) ?? new Uint8Array(32);
}

export const x25519Public = (secret: Uint8Array): Uint8Array => x25519.getPublicKey(secret);

/** Throws for a non-canonical key and for an all-zero result (small-order point). */
export function x25519Exchange(secret: Uint8Array, remotePublic: Uint8Array): Uint8Array {
  if (!isCanonicalX25519(remotePublic)) throw new RangeError("non-canonical X25519 key");
  return x25519.getSharedSecret(secret, remotePublic);
}

export const ed25519Public = (seed: Uint8Array): Uint8Array => ed25519.getPublicKey(seed);

export const ed25519Sign = (seed: Uint8Array, message: Uint8Array): Uint8Array =>
  ed25519.sign(message, seed);

/** The order of the base point, 2^252 + 27742317777372353535851937790883648493, little-endian. */
const GROUP_ORDER = hexKey("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");

/** y = 1 and y = -1: the points with x = 0, of which only one sign is canonical. */
const X_ZERO_ED25519: readonly Uint8Array[] = [
  Uint8Array.from({ length: 32 }, (_, index) => (index === 0 ? 1 : 0)),
  Uint8Array.from(FIELD_PRIME, (byte, index) => (index === 0 ? byte - 1 : byte)),
];

/** The y of the eight points of small order, each but y = 1 and y = -1 with two x. */
const SMALL_ORDER_ED25519: readonly Uint8Array[] = [
  new Uint8Array(32),
  ...X_ZERO_ED25519,
  ...[
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  ].map(hexKey),
];

/**
 * What can be said of key and signature without the curve: false when bytes alone are a reason to refuse. A key that
 * passes is canonical and not of small order if it is a point at all, R is canonical if it is one, and S < L. Whatever
 * engine then finds the equation of RFC 8032 §5.1.7 true, with the cofactor or without it, is of one mind with
 * `ed25519Verify` (SPEC.md §1.2).
 */
export function isSignatureForm(publicKey: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== 32 || signature.length !== 64) return false;
  const y = withoutSign(publicKey);
  if (!isBelow(y, FIELD_PRIME) || isAmong(y, SMALL_ORDER_ED25519)) return false;
  const point = signature.subarray(0, 32);
  const pointY = withoutSign(point);
  if (!isBelow(pointY, FIELD_PRIME)) return false;
  if (!equalBytes(point, pointY) && isAmong(pointY, X_ZERO_ED25519)) return false;
  return isBelow(signature.subarray(32), GROUP_ORDER);
}

/** The y of an encoded point. */
function withoutSign(point: Uint8Array): Uint8Array {
  const y = point.slice();
  y[31] = (y[31] ?? 0) & 0x7f;
  return y;
}

const isAmong = (bytes: Uint8Array, all: readonly Uint8Array[]): boolean =>
  all.some((one) => equalBytes(one, bytes));

/**
 * Canonical encodings, no small-order key, the equation with the cofactor (RFC 8032 §5.1.7). False for any malformed
 * input. Most platform engines leave the cofactor out: they refuse some signatures crafted by a key's owner.
 */
export const ed25519Verify = (
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean =>
  isSignatureForm(publicKey, signature) &&
  ed25519.verify(signature, message, publicKey, { zip215: false });

/** Canonical, on the curve, not of small order. */
export function isSigningKey(publicKey: Uint8Array): boolean {
  try {
    return !ed25519.Point.fromBytes(publicKey, false).isSmallOrder();
  } catch {
    return false;
  }
}

/** ML-KEM coefficients are below this. */
const KEM_MODULUS = 3_329;
/** Three polynomials of 256 coefficients, 12 bits each; a 32-byte seed follows. */
const KEM_COEFFICIENT_BYTES = KEM_PUBLIC_BYTES - 32;

/** The modulus check of FIPS 203 §7.2, so that `encaps` cannot fail for a key from the network. */
export function isKemKey(publicKey: Uint8Array): boolean {
  if (publicKey.length !== KEM_PUBLIC_BYTES) return false;
  for (let index = 0; index < KEM_COEFFICIENT_BYTES; index += 3) {
    const low = publicKey[index] ?? 0;
    const middle = publicKey[index + 1] ?? 0;
    const high = publicKey[index + 2] ?? 0;
    if ((low | ((middle & 0x0f) << 8)) >= KEM_MODULUS) return false;
    if (((middle >> 4) | (high << 4)) >= KEM_MODULUS) return false;
  }
  return true;
}

export const mlKemPublic = (seed: Uint8Array): Uint8Array => ml_kem768.keygen(seed).publicKey;

/** Throws when the public key fails the modulus check of FIPS 203 §7.2. */
export function mlKemEncapsulate(
  publicKey: Uint8Array,
  randomness: Uint8Array,
): { ciphertext: Uint8Array; sharedSecret: Uint8Array } {
  const { cipherText, sharedSecret } = ml_kem768.encapsulate(publicKey, randomness);
  return { ciphertext: cipherText, sharedSecret };
}

export const mlKemDecapsulate = (seed: Uint8Array, ciphertext: Uint8Array): Uint8Array =>
  ml_kem768.decapsulate(ciphertext, ml_kem768.keygen(seed).secretKey);

export const aeadSeal = (
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array => chacha20poly1305(key, nonce, aad).encrypt(plaintext);

/** Undefined when the tag does not fit. */
export function aeadOpen(
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  sealed: Uint8Array,
): Uint8Array | undefined {
  if (sealed.length < 16) return undefined;
  try {
    return chacha20poly1305(key, nonce, aad).decrypt(sealed);
  } catch {
    return undefined;
  }
}

/** AES-GCM with a 32-byte key: files only (SPEC.md §12). */
export const aesGcmSeal = (
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array => gcm(key, nonce, aad).encrypt(plaintext);

/** Undefined when the tag does not fit. */
export function aesGcmOpen(
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  sealed: Uint8Array,
): Uint8Array | undefined {
  if (sealed.length < 16) return undefined;
  try {
    return gcm(key, nonce, aad).decrypt(sealed);
  } catch {
    return undefined;
  }
}

/** `label ‖ 0x00 ‖ bytes`: what every signature and every labelled hash of this suite covers. */
export function labelled(label: string, ...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const head = utf8ToBytes(label);
  const joined = new Uint8Array(
    head.length + 1 + parts.reduce((sum, part) => sum + part.length, 0),
  );
  joined.set(head);
  let at = head.length + 1;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
