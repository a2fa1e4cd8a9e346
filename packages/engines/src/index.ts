/** Engines of the platform behind the contract of @sotto/crypto, and the choice between them. */
export {
  chooseBackend,
  type CandidateReport,
  type ChosenBackend,
  type Clock,
  type CryptoReport,
  type OperationReport,
  type Patience,
} from "./choose.ts";
export { backendOf, type Engine, type Operation } from "./engine.ts";
export { createFileEngine, createWebCryptoFileEngine } from "./file-engine.ts";
export { createKernelEngine, kernelBackend } from "./kernel.ts";
export { createWebCryptoEngine, webCryptoBackend, type WebCryptoOptions } from "./webcrypto.ts";
