/**
 * The three calls behind which all bulk work on files happens, and their reference engine.
 * Owns: the contract. Leaves to the platform's engines: doing it at full speed, off the main thread where they can.
 * Spec: SPEC.md §12.
 */
import type { MaybePromise } from "./backend.ts";
import { aesGcmOpen, aesGcmSeal, sha256 } from "./primitives.ts";

/** Any call may throw or reject when an engine fails; callers change no state before everything succeeded. */
export interface FileEngine {
  readonly name: string;
  /** AES-256-GCM, key 32 bytes, nonce 12: ciphertext ‖ 16-byte tag. */
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
  sha256(bytes: Uint8Array): MaybePromise<Uint8Array>;
}

/** Pure JavaScript, synchronous, everywhere. */
export const nobleFileEngine: FileEngine = {
  name: "noble",
  seal: aesGcmSeal,
  open: aesGcmOpen,
  sha256,
};
