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
/** u = 9 (RFC 7748 §4.1). */
const BASE_POINT = Uint8Array.from({ length: 32 }, (_, index) => (index === 0 ? 9 : 0));

type Exchange = (secret: Uint8Array, point: Uint8Array) => Uint8Array;

/** Compiles at the first call; synchronous from the second on. */
export function createKernelEngine(): Engine {
  let loading: Promise<Exchange> | undefined;
  let loaded: Exchange | undefined;

  const exchange = (secret: Uint8Array, point: Uint8Array): MaybePromise<Uint8Array> => {
    if (loaded !== undefined) return loaded(secret, point);
    loading ??= load();
    return loading.then((ready) => {
      loaded = ready;
      return ready(secret, point);
    });
  };
  return {
    name: "kernel",
    operations: {
      dh: exchange,
      dhPublic: (secret) => exchange(secret, BASE_POINT),
    },
  };
}

export const kernelBackend: CryptoBackend = backendOf(createKernelEngine());

async function load(): Promise<Exchange> {
  let exports: WebAssembly.Exports;
  try {
    const { instance } = await WebAssembly.instantiate(base64ToBytes(KERNEL_BASE64));
    exports = instance.exports;
  } catch (error) {
    throw new MissingOperation(error);
  }
  const { memory, exchange } = exports;
  if (!(memory instanceof WebAssembly.Memory) || typeof exchange !== "function") {
    throw new MissingOperation();
  }
  const bytes = new Uint8Array(memory.buffer);
  return (secret, point) => {
    bytes.set(secret, SECRET_AT);
    bytes.set(point, POINT_AT);
    exchange();
    // The kernel wipes all it used but this.
    const result = bytes.slice(RESULT_AT, RESULT_AT + 32);
    bytes.fill(0, RESULT_AT, RESULT_AT + 32);
    return result;
  };
}
