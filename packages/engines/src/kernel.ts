/**
 * The kernels in WebAssembly as one engine: X25519, ML-KEM-768, and ChaCha20-Poly1305 and HMAC-SHA-256 for what is not
 * too long.
 * Owns: what is put to which kernel. Leaves to kernels/: loading, and handing bytes over.
 */
import { nobleBackend, type CryptoBackend } from "@sotto/crypto";
import { backendOf, type Engine, MissingOperation, TAG_BYTES } from "./engine.ts";
import {
  AAD_BYTES_MAX,
  HMAC_KEY_BYTES_MAX,
  HMAC_MESSAGE_BYTES_MAX,
  loadSymmetric,
  TEXT_BYTES_MAX,
} from "./kernels/symmetric.ts";
import { loadMlKem } from "./kernels/ml-kem.ts";
import { loadX25519 } from "./kernels/x25519.ts";

export function createKernelEngine(): Engine {
  const x25519 = loadX25519();
  const symmetric = loadSymmetric();
  const mlKem = loadMlKem();
  return {
    name: "kernel",
    short: true,
    operations: {
      dh: (secret, point) => x25519.ask((kernel) => kernel.exchange(secret, point)),
      dhPublic: (secret) => x25519.ask((kernel) => kernel.publicKey(secret)),
      kemPublic: (seed) => mlKem.ask((kernel) => kernel.publicKey(seed)),
      encaps: (key, randomness) => mlKem.ask((kernel) => kernel.encapsulate(key, randomness)),
      decaps: (seed, ciphertext) => mlKem.ask((kernel) => kernel.decapsulate(seed, ciphertext)),
      seal: (key, nonce, aad, plaintext) =>
        plaintext.length > TEXT_BYTES_MAX || aad.length > AAD_BYTES_MAX
          ? nobleBackend.seal(key, nonce, aad, plaintext)
          : symmetric.ask((kernel) => kernel.seal(key, nonce, aad, plaintext)),
      open: (key, nonce, aad, sealed) =>
        sealed.length > TEXT_BYTES_MAX + TAG_BYTES || aad.length > AAD_BYTES_MAX
          ? nobleBackend.open(key, nonce, aad, sealed)
          : symmetric.ask((kernel) => kernel.open(key, nonce, aad, sealed)),
      hmac(key, bytes) {
        if (key.length > HMAC_KEY_BYTES_MAX || bytes.length > HMAC_MESSAGE_BYTES_MAX) {
          return nobleBackend.hmac(key, bytes);
        }
        const kernel = symmetric.now();
        // Loading takes longer than one that walks a chain can wait.
        if (kernel === undefined) throw new MissingOperation();
        return kernel.hmac(key, bytes);
      },
    },
  };
}

export const kernelBackend: CryptoBackend = backendOf(createKernelEngine());
