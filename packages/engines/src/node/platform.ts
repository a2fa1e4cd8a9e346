/** Which engines there are in Node. WebCrypto is left out: here it is the same OpenSSL, two promises further away. */
import type { Engine } from "../engine.ts";
import { createKernelEngine } from "../kernel.ts";
import { nodePoolEngine } from "./index.ts";

export const platformEngines = (): readonly Engine[] => [nodePoolEngine, createKernelEngine()];
