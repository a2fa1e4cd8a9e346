/** Our crypto as an app has it: the fastest right engine for each operation of this platform. */
import type { CryptoBackend } from "@sotto/crypto";
import {
  chooseBackend,
  createKernelEngine,
  createWebCryptoEngine,
  type Engine,
} from "@sotto/engines";
import { BENCH_CLOCK, BENCH_PATIENCE } from "./engine-patience.ts";

export interface ChosenEngines {
  readonly backend: CryptoBackend;
  /** For example "dh webcrypto, seal noble". */
  readonly described: string;
}

/** `others`: engines beyond those of every platform. */
export async function chooseEngines(others: readonly Engine[] = []): Promise<ChosenEngines> {
  const webCrypto = createWebCryptoEngine({ subtle: crypto.subtle, drafts: true });
  const engines = [webCrypto, createKernelEngine(), ...others];
  const backend = chooseBackend(engines, BENCH_CLOCK, BENCH_PATIENCE);
  await backend.choose();
  const chosen = Object.entries(backend.describe().operations);
  return {
    backend,
    described: chosen.map(([operation, report]) => `${operation} ${report.chosen}`).join(", "),
  };
}
