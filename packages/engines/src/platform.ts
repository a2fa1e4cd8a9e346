/** Which engines there are beside noble, for `chooseBackend`. In Node it is node/platform.ts that says so. */
import type { Engine } from "./engine.ts";
import { createKernelEngine } from "./kernel.ts";
import { createWebCryptoEngine } from "./webcrypto.ts";

export const platformEngines = (): readonly Engine[] => [
  createWebCryptoEngine({ subtle: crypto.subtle, drafts: true }),
  createKernelEngine(),
];
