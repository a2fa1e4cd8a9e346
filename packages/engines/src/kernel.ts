/**
 * X25519 in WebAssembly: kernel/x25519.as, compiled and embedded. For browsers without a fast X25519 of their own.
 * Owns: loading, and handing bytes over. A policy that forbids WebAssembly makes it missing, nothing else.
 */
import { base64ToBytes } from "./base64.ts";
import { backendOf, type Engine, MissingOperation } from "./engine.ts";
import { KERNEL_BASE64 } from "./kernel-bytes.ts";
import type { CryptoBackend, MaybePromise } from "@sotto/crypto";

/** Where kernel/x25519.as has its input and its output. */
const SECRET_AT = 0;
const POINT_AT = 32;
const RESULT_AT = 64;

interface Kernel {
  exchange(secret: Uint8Array, point: Uint8Array): Uint8Array;
  publicKey(secret: Uint8Array): Uint8Array;
}

/** Compiles at the first call; synchronous from the second on. */
export function createKernelEngine(): Engine {
  let loading: Promise<Kernel> | undefined;
  let loaded: Kernel | undefined;

  const ask = (call: (kernel: Kernel) => Uint8Array): MaybePromise<Uint8Array> => {
    if (loaded !== undefined) return call(loaded);
    loading ??= load();
    return loading.then((ready) => {
      loaded = ready;
      return call(ready);
    });
  };
  return {
    name: "kernel",
    operations: {
      dh: (secret, point) => ask((kernel) => kernel.exchange(secret, point)),
      dhPublic: (secret) => ask((kernel) => kernel.publicKey(secret)),
    },
  };
}

export const kernelBackend: CryptoBackend = backendOf(createKernelEngine());

async function load(): Promise<Kernel> {
  let exports: WebAssembly.Exports;
  try {
    const { instance } = await WebAssembly.instantiate(base64ToBytes(KERNEL_BASE64));
    exports = instance.exports;
  } catch (error) {
    throw new MissingOperation(error);
  }
  const { memory, exchange, prepare, publicKey } = exports;
  if (
    !(memory instanceof WebAssembly.Memory) ||
    typeof exchange !== "function" ||
    typeof prepare !== "function" ||
    typeof publicKey !== "function"
  ) {
    throw new MissingOperation();
  }
  const bytes = new Uint8Array(memory.buffer);
  // The kernel wipes all it used but this.
  const takeResult = (): Uint8Array => {
    const result = bytes.slice(RESULT_AT, RESULT_AT + 32);
    bytes.fill(0, RESULT_AT, RESULT_AT + 32);
    return result;
  };
  let prepared = false;
  return {
    exchange(secret, point) {
      bytes.set(secret, SECRET_AT);
      bytes.set(point, POINT_AT);
      exchange();
      return takeResult();
    },
    publicKey(secret) {
      // Once, and it takes as long as some ten exchanges.
      if (!prepared) prepare();
      prepared = true;
      bytes.set(secret, SECRET_AT);
      publicKey();
      return takeResult();
    },
  };
}
