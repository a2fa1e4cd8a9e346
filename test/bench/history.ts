/**
 * `npm run bench:history [messages]`: a history in Chromium's database, beside the same messages as plain rows. Only
 * the ratios of one run may be compared or quoted.
 */
import { buildPage } from "./browser-page.ts";
import type { HistoryFigures, StoreFigures } from "./page/history.ts";

const messages = Number(process.argv[2] ?? 100_000);

const page = await buildPage();
try {
  const [raw, dexie] = [await rows("raw"), await rows("Dexie")];
  print(raw, dexie, (await page.run("chromium", `sottoHistory(${messages})`)) as HistoryFigures);
} finally {
  await page.close();
}

async function rows(name: "raw" | "Dexie"): Promise<StoreFigures> {
  return (await page.run("chromium", `sottoRows(${messages}, "${name}")`)) as StoreFigures;
}

function print(raw: StoreFigures, dexie: StoreFigures, figures: HistoryFigures): void {
  const sotto = figures.store;
  const row = (
    name: string,
    of: (one: StoreFigures) => number,
    unit: string,
    goal: string,
  ): void => {
    const [base, other, own] = [of(raw), of(dexie), of(sotto)];
    console.log(
      `  ${name.padEnd(34)} raw ${show(base)} ${unit}, Dexie x${(other / base).toFixed(2)}, Sotto x${(own / base).toFixed(2)}  (${goal})`,
    );
  };
  console.log(`\n${figures.messages} messages, Chromium`);
  row("H1 inserts", (one) => one.insertsPerSecond, "/s", "goal: 10 or more");
  row("H2 page of 50, p50", (one) => one.pageMs.p50, "ms", "goal: 1.0 or less");
  row(
    "H2 page of 50, p99",
    (one) => one.pageMs.p99,
    "ms",
    `Sotto ${show(sotto.pageMs.p99)} ms; goal: 16 ms or less`,
  );
  row("H3 disk", (one) => one.bytes, "bytes", "goal against Dexie: 0.25 or less");
  console.log(
    `  H3 disk against Dexie x${(sotto.bytes / dexie.bytes).toFixed(2)}, against the payload x${(sotto.bytes / figures.payloadBytes).toFixed(2)}, with the index x${((sotto.bytes + figures.indexBytes) / figures.payloadBytes).toFixed(2)}  (goals: 0.25, 1.3, 1.8)`,
  );
  row("H5 one message, p50", (one) => one.putMs.p50, "ms", "goal: 3 or less");
  row(
    "H5 one message, p99",
    (one) => one.putMs.p99,
    "ms",
    `Sotto ${show(sotto.putMs.p99)} ms; goal: 16 ms or less`,
  );
  console.log(
    `  H6 look at everything ${show(figures.scanMs)} ms, indexed ${show(figures.indexedPerSecond)} messages/s  (goal: 50,000)`,
  );
  for (const { name, hits, p50, p99 } of figures.searches) {
    console.log(
      `  H6 ${name.padEnd(31)} p50 x${(p50 / figures.scanMs).toFixed(3)} of that, p99 ${show(p99)} ms, ${show(hits)} hits  (goals at a million: 0.02, 100 ms)`,
    );
  }
}

function show(value: number): string {
  return value.toLocaleString("en", { maximumFractionDigits: value < 100 ? 2 : 0 });
}
