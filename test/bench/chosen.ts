/** Our crypto as an app has it: the fastest right engine for each operation of this platform. */
import type { CryptoBackend, FileEngine } from "@sotto/crypto";
import { chooseBackend, createFileEngine, createWebCryptoFileEngine } from "@sotto/engines";
import { platformEngines } from "@sotto/engines/platform";
import { BENCH_CLOCK, BENCH_PATIENCE } from "./engine-patience.ts";

export interface ChosenEngines {
  readonly backend: CryptoBackend;
  readonly files: FileEngine;
  /** For example "dh webcrypto, seal noble". */
  readonly described: string;
}

export async function chooseEngines(): Promise<ChosenEngines> {
  const backend = chooseBackend(platformEngines(), BENCH_CLOCK, BENCH_PATIENCE);
  await backend.choose();
  const chosen = Object.entries(backend.describe().operations);
  return {
    backend,
    files: createFileEngine(createWebCryptoFileEngine(crypto.subtle)),
    described: chosen.map(([operation, report]) => `${operation} ${report.chosen}`).join(", "),
  };
}
