/** Engines of the platform behind the contract of @sotto/crypto. */
export { createKernelEngine, kernelBackend } from "./kernel.ts";
export { createWebCryptoEngine, webCryptoBackend, type WebCryptoOptions } from "./webcrypto.ts";
export type { Engine, Operation } from "./engine.ts";
