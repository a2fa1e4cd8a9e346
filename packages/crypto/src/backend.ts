/**
 * The contract behind which all asymmetric, AEAD and HMAC work happens, and its reference engine.
 * Owns: the contract. Leaves to the caller: randomness, which always comes in as bytes.
 * Spec: SPEC.md §1.2.
 */
import {
  aeadOpen,
  aeadSeal,
  ed25519Public,
  ed25519Sign,
  ed25519Verify,
  type Hmac,
  hmacSha256,
  mlKemDecapsulate,
  mlKemEncapsulate,
  mlKemPublic,
  x25519Exchange,
  x25519Public,
} from "./primitives.ts";
import type { Turns } from "./turns.ts";

export type MaybePromise<T> = T | Promise<T>;

/** Fills and returns a fresh array of `length` random bytes. */
export type Entropy = (length: number) => Uint8Array<ArrayBuffer>;

export interface CryptoEnv {
  readonly entropy: Entropy;
  readonly crypto: CryptoBackend;
  /** Milliseconds since 1970; ages stored keys. */
  readonly now: number;
  /** Turns made ahead, shared by all sessions of a process. Without it they are made in line. */
  readonly turns?: Turns;
}

/** Any call may throw or reject when an engine fails; callers change no state before everything succeeded. */
export interface CryptoBackend {
  readonly name: string;
  /** X25519: 32-byte secret to 32-byte public key. */
  dhPublic(secret: Uint8Array): MaybePromise<Uint8Array>;
  /** X25519. Throws for a non-canonical key or an all-zero result. */
  dh(secret: Uint8Array, remotePublic: Uint8Array): MaybePromise<Uint8Array>;
  /** Ed25519: 32-byte seed to 32-byte public key. */
  signPublic(seed: Uint8Array): MaybePromise<Uint8Array>;
  sign(seed: Uint8Array, message: Uint8Array): MaybePromise<Uint8Array>;
  /** Ed25519, strict: the same verdict from every engine (SPEC.md §1.1). */
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): MaybePromise<boolean>;
  /** ML-KEM-768: 64-byte seed to 1,184-byte public key. */
  kemPublic(seed: Uint8Array): MaybePromise<Uint8Array>;
  /** `randomness`: 32 bytes. Throws for a key that fails the modulus check. */
  encaps(
    publicKey: Uint8Array,
    randomness: Uint8Array,
  ): MaybePromise<{ readonly ciphertext: Uint8Array; readonly sharedSecret: Uint8Array }>;
  decaps(seed: Uint8Array, ciphertext: Uint8Array): MaybePromise<Uint8Array>;
  /** ChaCha20-Poly1305: ciphertext ‖ 16-byte tag. */
  seal(
    key: Uint8Array,
    nonce: Uint8Array,
    aad: Uint8Array,
    plaintext: Uint8Array,
  ): MaybePromise<Uint8Array>;
  /** Undefined when the tag does not fit. */
  open(
    key: Uint8Array,
    nonce: Uint8Array,
    aad: Uint8Array,
    sealed: Uint8Array,
  ): MaybePromise<Uint8Array | undefined>;
  /** HMAC-SHA-256, 32 bytes. Always at once: chains are walked with it. */
  readonly hmac: Hmac;
}

/** Pure JavaScript, synchronous, everywhere. */
export const nobleBackend: CryptoBackend = {
  name: "noble",
  dhPublic: x25519Public,
  dh: x25519Exchange,
  signPublic: ed25519Public,
  sign: ed25519Sign,
  verify: ed25519Verify,
  kemPublic: mlKemPublic,
  encaps: mlKemEncapsulate,
  decaps: mlKemDecapsulate,
  seal: aeadSeal,
  open: aeadOpen,
  hmac: hmacSha256,
};
