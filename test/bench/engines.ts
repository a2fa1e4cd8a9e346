/** How fast each engine is against noble, operation by operation, in Node and in two browsers. */
import {
  chooseBackend,
  createKernelEngine,
  createWebCryptoEngine,
  type CryptoReport,
} from "@sotto/engines";
import { nodeEngine } from "@sotto/engines/node";
import { buildPage } from "./browser-page.ts";
import { BENCH_CLOCK, BENCH_PATIENCE } from "./engine-patience.ts";
import type { Measure } from "./main.ts";

export async function benchEngines(): Promise<readonly Measure[]> {
  const webCrypto = createWebCryptoEngine({ subtle: crypto.subtle, drafts: true });
  const engines = [webCrypto, createKernelEngine(), nodeEngine];
  const here = chooseBackend(engines, BENCH_CLOCK, BENCH_PATIENCE);
  await here.choose();
  const measures = report("Node", here.describe());
  const page = await buildPage();
  try {
    for (const browser of ["chromium", "firefox"] as const) {
      const found = (await page.run(browser, "sottoEngines()")) as CryptoReport;
      measures.push(...report(browser === "chromium" ? "Chromium" : "Firefox", found));
    }
  } finally {
    await page.close();
  }
  return measures;
}

/** What is missing is left out; noble itself is the yardstick. */
function report(place: string, { operations }: CryptoReport): Measure[] {
  return Object.entries(operations).flatMap(([operation, { candidates, chosen }]) =>
    candidates
      .filter(({ engine, verdict }) => engine !== "noble" && verdict !== "missing")
      .map(({ engine, verdict, speed }) => ({
        name: `${place}, ${operation}: ${engine}${engine === chosen ? " (chosen)" : ""}`,
        value: speed ?? verdict,
        unit: speed === undefined ? "" : "× noble",
      })),
  );
}
