/**
 * A WebAssembly module out of the text it is embedded as, compiled at the first call.
 * Owns: when. A policy that forbids WebAssembly, or an old platform, makes it missing, nothing else.
 */
import type { MaybePromise } from "@sotto/crypto";
import { base64ToBytes } from "../base64.ts";
import { MissingOperation } from "../engine.ts";

export interface Lazy<T> {
  /** Undefined until it is loaded. */
  now(): T | undefined;
  /** Loads at the first call; synchronous from the second on. */
  ask<R>(call: (loaded: T) => R): MaybePromise<R>;
}

/** What a kernel exports: its memory and functions of numbers. */
export interface KernelExports {
  readonly memory: Uint8Array;
  /** Throws MissingOperation for a name that the module does not have. */
  readonly call: (name: string) => NumericFunction;
}

export function lazily<T>(base64: string, wrap: (kernel: KernelExports) => T): Lazy<T> {
  let loading: Promise<T> | undefined;
  let loaded: T | undefined;
  return {
    now: () => loaded,
    ask(call) {
      if (loaded !== undefined) return call(loaded);
      loading ??= instantiate(base64).then(wrap);
      return loading.then((ready) => {
        loaded = ready;
        return call(ready);
      });
    },
  };
}

type NumericFunction = (...numbers: readonly number[]) => number;

/** The kernels export functions of numbers only. */
const isNumeric = (exported: unknown): exported is NumericFunction =>
  typeof exported === "function";

/** Packed by itself it takes three quarters of what base64 leaves for the packing of the whole app. */
function inflate(bytes: Uint8Array<ArrayBuffer>): Promise<ArrayBuffer> {
  const inflated = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Response(inflated).arrayBuffer();
}

async function instantiate(base64: string): Promise<KernelExports> {
  let exports: WebAssembly.Exports;
  try {
    const { instance } = await WebAssembly.instantiate(await inflate(base64ToBytes(base64)));
    ({ exports } = instance);
  } catch (error) {
    throw new MissingOperation(error);
  }
  const { memory } = exports;
  if (!(memory instanceof WebAssembly.Memory)) throw new MissingOperation();
  return {
    memory: new Uint8Array(memory.buffer),
    call(name) {
      const exported = exports[name];
      if (!isNumeric(exported)) throw new MissingOperation();
      return exported;
    },
  };
}
