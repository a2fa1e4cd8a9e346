/** ML-KEM-768 by kernel/ml-kem.as. Owns: handing bytes over. Leaves to engine.ts: lengths, and which keys are refused. */
import { KEM_CIPHERTEXT_BYTES, KEM_PUBLIC_BYTES } from "@sotto/wire";
import { lazily, type Lazy } from "./load.ts";
import { ML_KEM_BASE64 } from "./ml-kem-bytes.ts";

/** Where the kernel has its input and its output. */
const SEED_AT = 0;
const MESSAGE_AT = 64;
const SHARED_AT = 192;
const PUBLIC_AT = 512;
const CIPHERTEXT_AT = 1_824;

export interface MlKem {
  /** Seed of 64 bytes. */
  publicKey(seed: Uint8Array): Uint8Array;
  encapsulate(
    publicKey: Uint8Array,
    randomness: Uint8Array,
  ): { readonly ciphertext: Uint8Array; readonly sharedSecret: Uint8Array };
  decapsulate(seed: Uint8Array, ciphertext: Uint8Array): Uint8Array;
}

export const loadMlKem = (): Lazy<MlKem> =>
  lazily(ML_KEM_BASE64, ({ memory, call }) => {
    const [publicKey, encapsulate, decapsulate] = [
      call("publicKey"),
      call("encapsulate"),
      call("decapsulate"),
    ];
    // The kernel wipes all it used but its results.
    const take = (at: number, length: number): Uint8Array => {
      const result = memory.slice(at, at + length);
      memory.fill(0, at, at + length);
      return result;
    };
    return {
      publicKey(seed) {
        memory.set(seed, SEED_AT);
        publicKey();
        return take(PUBLIC_AT, KEM_PUBLIC_BYTES);
      },
      encapsulate(key, randomness) {
        memory.set(key, PUBLIC_AT);
        memory.set(randomness, MESSAGE_AT);
        encapsulate();
        return {
          ciphertext: take(CIPHERTEXT_AT, KEM_CIPHERTEXT_BYTES),
          sharedSecret: take(SHARED_AT, 32),
        };
      },
      decapsulate(seed, ciphertext) {
        memory.set(seed, SEED_AT);
        memory.set(ciphertext, CIPHERTEXT_AT);
        decapsulate();
        return take(SHARED_AT, 32);
      },
    };
  });
