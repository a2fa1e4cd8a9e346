/**
 * ChaCha20-Poly1305 and HMAC-SHA-256 by kernel/symmetric.as.
 * Owns: which lengths fit, and handing bytes over. Leaves to kernel.ts: what does not fit.
 */
import { TAG_BYTES } from "../engine.ts";
import { lazily, type Lazy } from "./load.ts";
import { SYMMETRIC_BASE64 } from "./symmetric-bytes.ts";

/** Where the kernel has its input and its output. */
const KEY_AT = 0;
const NONCE_AT = 32;
const HMAC_KEY_AT = 704;
const DIGEST_AT = 896;
const MESSAGE_AT = 1_024;
const COVERED_AT = 4_096;

/** What the kernel's memory takes of one call; longer is left to others. */
export const TEXT_BYTES_MAX = 98_304;
export const AAD_BYTES_MAX = 4_096;
/** One block of SHA-256: longer keys are hashed first. */
export const HMAC_KEY_BYTES_MAX = 64;
export const HMAC_MESSAGE_BYTES_MAX = 2_048;

/** Lengths are within the limits, and a sealed text has its tag. */
export interface Symmetric {
  seal(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Uint8Array;
  open(
    key: Uint8Array,
    nonce: Uint8Array,
    aad: Uint8Array,
    sealed: Uint8Array,
  ): Uint8Array | undefined;
  hmac(key: Uint8Array, message: Uint8Array): Uint8Array;
}

export const loadSymmetric = (): Lazy<Symmetric> =>
  lazily(SYMMETRIC_BASE64, ({ memory, call }) => {
    const [seal, authenticate, decrypt] = [call("seal"), call("authenticate"), call("decrypt")];
    const [wipe, hmac] = [call("wipe"), call("hmac")];
    /** Where the text is. */
    const lay = (key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, text: Uint8Array): number => {
      const textAt = COVERED_AT + ((aad.length + 15) & ~15);
      memory.set(key, KEY_AT);
      memory.set(nonce, NONCE_AT);
      memory.set(aad, COVERED_AT);
      memory.set(text, textAt);
      return textAt;
    };
    return {
      seal(key, nonce, aad, plaintext) {
        const textAt = lay(key, nonce, aad, plaintext);
        seal(aad.length, plaintext.length);
        const sealed = memory.slice(textAt, textAt + plaintext.length + TAG_BYTES);
        wipe(aad.length, plaintext.length);
        return sealed;
      },
      open(key, nonce, aad, sealed) {
        const textAt = lay(key, nonce, aad, sealed);
        const length = sealed.length - TAG_BYTES;
        let plaintext: Uint8Array | undefined;
        if (authenticate(aad.length, length) === 0) {
          decrypt(aad.length, length);
          plaintext = memory.slice(textAt, textAt + length);
        }
        wipe(aad.length, length);
        return plaintext;
      },
      hmac(key, message) {
        memory.set(key, HMAC_KEY_AT);
        memory.set(message, MESSAGE_AT);
        hmac(message.length);
        const digest = memory.slice(DIGEST_AT, DIGEST_AT + 32);
        memory.fill(0, DIGEST_AT, DIGEST_AT + 32);
        return digest;
      },
    };
  });
