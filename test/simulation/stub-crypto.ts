/**
 * A fast cipher suite for the simulation: no secrecy against anyone who looks, but it binds keys, nonces and
 * associated data, so that a wrong key, a replay or a flipped bit behaves as with the real one.
 * Certificates are checked for real curve points: their keys are made once, with noble (`identities.ts`).
 */
import { type CryptoBackend, LABELS, nobleBackend } from "@sotto/crypto";
import {
  bytesToHex,
  concatBytes,
  KEM_CIPHERTEXT_BYTES,
  KEM_PUBLIC_BYTES,
  utf8ToBytes,
} from "@sotto/wire";
import { quickHmac } from "./quick-hmac.ts";

const MASK = Uint8Array.from({ length: 32 }, (_, index) => (index * 37 + 11) & 0xff);

function xor(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const mixed = new Uint8Array(32);
  for (const part of parts) {
    for (let index = 0; index < 32; index++) mixed[index]! ^= part[index]!;
  }
  // Keeps every result a canonical X25519 key.
  mixed[31]! &= 0x3f;
  return mixed;
}

/** Four lanes of a multiplicative hash: 16 bytes. */
function checksum(...parts: readonly Uint8Array[]): Uint8Array {
  let [a, b, c, d] = [0x811c9dc5, 0x9e3779b9, 0x85ebca6b, 0xc2b2ae35];
  for (const part of parts) {
    a = Math.imul(a ^ part.length, 0x01000193);
    for (let index = 0; index < part.length; index++) {
      const byte = part[index]!;
      a = Math.imul(a ^ byte, 0x01000193);
      b = Math.imul(b ^ byte ^ (a >>> 15), 0x2c1b3c6d);
      c = (c + Math.imul(b ^ (c >>> 13), 0x297a2d39)) | 0;
      d = Math.imul(d ^ c, 0x27d4eb2f);
    }
  }
  return new Uint8Array(Uint32Array.of(a, b, c, d).buffer);
}

function scramble(key: Uint8Array, nonce: Uint8Array, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const start = new Uint32Array(checksum(key, nonce).slice().buffer);
  let [x, y] = [start[0]! | 1, start[1]!];
  const mixed = new Uint8Array(bytes.length);
  for (let index = 0; index < bytes.length; index++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    y = (y + 0x6d2b79f5) | 0;
    mixed[index] = bytes[index]! ^ (((x ^ y) >>> 11) & 0xff);
  }
  return mixed;
}

/** What is remembered of each; beyond that all of it is forgotten: it saves time, and most is of one run. */
const REMEMBERED_MAX = 10_000;

function remember<T>(known: Map<string, T>, name: string, value: T): T {
  if (known.size >= REMEMBERED_MAX) known.clear();
  known.set(name, value);
  return value;
}

const publicBySeed = new Map<string, Uint8Array>();

function signPublic(seed: Uint8Array): Uint8Array {
  const name = bytesToHex(seed);
  return (
    publicBySeed.get(name) ??
    remember(publicBySeed, name, nobleBackend.signPublic(seed) as Uint8Array)
  );
}

const signatureOf = (publicKey: Uint8Array, message: Uint8Array): Uint8Array<ArrayBuffer> => {
  const half = checksum(publicKey, message);
  const signature = new Uint8Array(64);
  for (let at = 0; at < 64; at += 16) signature.set(half, at);
  return signature;
};

/** With the zero behind it. Certificates, because operations of a group are signed by what they certify. */
const CONSENSUS = [LABELS.groupOp, LABELS.deviceCert].map((label) => utf8ToBytes(`${label}\0`));

/** Operations of a group are verified by noble, whatever the suite: everybody must come to the same. */
const isForConsensus = (message: Uint8Array): boolean =>
  CONSENSUS.some((label) => isEqual(message.subarray(0, label.length), label));

/** By key, message and signature: a run looks at few of them, and often. */
const verified = new Map<string, boolean>();

const nameOf = (key: Uint8Array, message: Uint8Array, signature: Uint8Array): string =>
  bytesToHex(concatBytes(checksum(key, message), signature));

function verifyForConsensus(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const name = nameOf(key, message, signature);
  const known = verified.get(name);
  if (known !== undefined) return known;
  return remember(verified, name, nobleBackend.verify(key, message, signature) as boolean);
}

/** What noble signs it verifies: most of what is looked at later. */
function signForConsensus(seed: Uint8Array, message: Uint8Array): Uint8Array {
  const signature = nobleBackend.sign(seed, message) as Uint8Array;
  remember(verified, nameOf(signPublic(seed), message, signature), true);
  return signature;
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}

export const stubBackend: CryptoBackend = {
  name: "stub",
  dhPublic: (secret) => xor(secret, MASK),
  dh: (secret, remotePublic) => xor(secret, remotePublic, MASK),
  signPublic,
  sign: (seed, message) =>
    isForConsensus(message)
      ? signForConsensus(seed, message)
      : signatureOf(signPublic(seed), message),
  verify: (publicKey, message, signature) =>
    isForConsensus(message)
      ? verifyForConsensus(publicKey, message, signature)
      : isEqual(signatureOf(publicKey, message), signature),
  kemPublic(seed) {
    const key = new Uint8Array(KEM_PUBLIC_BYTES);
    // Behind the coefficients, which are checked against ML-KEM's modulus.
    key.set(xor(seed.subarray(0, 32), MASK), KEM_PUBLIC_BYTES - 32);
    return key;
  },
  encaps(publicKey, randomness) {
    const ciphertext = new Uint8Array(KEM_CIPHERTEXT_BYTES);
    ciphertext.set(randomness);
    return { ciphertext, sharedSecret: xor(publicKey.subarray(-32), randomness) };
  },
  decaps: (seed, ciphertext) => xor(seed.subarray(0, 32), MASK, ciphertext.subarray(0, 32)),
  seal(key, nonce, aad, plaintext) {
    const sealed = new Uint8Array(plaintext.length + 16);
    sealed.set(scramble(key, nonce, plaintext));
    sealed.set(checksum(key, nonce, aad, sealed.subarray(0, plaintext.length)), plaintext.length);
    return sealed;
  },
  open(key, nonce, aad, sealed) {
    const end = sealed.length - 16;
    if (end < 0) return undefined;
    const body = sealed.subarray(0, end);
    if (!isEqual(checksum(key, nonce, aad, body), sealed.subarray(end))) return undefined;
    return scramble(key, nonce, body);
  },
  hmac: quickHmac,
};
