import { expect, it } from "vitest";
import { type Failure, isJobCount, JOBS_MAX, runSeeds } from "./many-seeds.ts";
import { optionsOf, runOf, type Settings } from "./settings.ts";
import { ACTS } from "./simulate.ts";
import { faultsLine, summaryOf, type Tally } from "./tally.ts";

const settings: Settings = {
  devices: false,
  admins: false,
  relays: undefined,
  lost: false,
  crowd: false,
  bug: "no-dedupe",
  real: false,
  twice: false,
  only: "",
};
/** A part of twenty and one of fewer. */
const SEEDS = 25;

async function run(jobs: number): Promise<{ tally: Tally; told: Failure[]; counted: number[] }> {
  const told: Failure[] = [];
  const counted: number[] = [];
  const tally = await runSeeds({
    from: 300,
    seeds: SEEDS,
    jobs,
    settings,
    failed: (failure) => void told.push(failure),
    counted: ({ seeds }) => void counted.push(seeds),
  });
  return { tally, told: told.toSorted((a, b) => a.seed - b.seed), counted };
}

/** Added up here once more, so that nothing is forgotten on both ways. */
async function sumsOf() {
  const sums = {
    seeds: 0,
    failed: 0,
    steps: 0,
    accepted: 0,
    simulatedMs: 0,
    putBack: 0,
    oldKeys: 0,
    gone: 0,
    faults: new Map<string, number>(),
  };
  for (let seed = 300; seed < 300 + SEEDS; seed++) {
    const result = await runOf(settings)(seed, optionsOf(settings));
    sums.seeds++;
    sums.failed += result.failures.length === 0 ? 0 : 1;
    sums.steps += result.steps;
    sums.accepted += result.accepted;
    sums.simulatedMs += Math.round(result.simulatedMs);
    sums.putBack += result.restored.stores;
    sums.oldKeys += result.restored.oldKeys;
    sums.gone += result.restored.gone;
    for (const kind of result.decisions.map((one) => one.kind)) {
      if (!ACTS.includes(kind)) sums.faults.set(kind, (sums.faults.get(kind) ?? 0) + 1);
    }
  }
  return sums;
}

it("comes to the same on several threads as on one", { timeout: 120_000 }, async () => {
  const sums = await sumsOf();
  const one = await run(1);
  const several = await run(2);
  expect(one.tally).toEqual(sums);
  expect(several.tally).toEqual(sums);
  expect(faultsLine(several.tally)).toBe(faultsLine(one.tally));
  expect(summaryOf(several.tally, 1)).toBe(summaryOf(one.tally, 1));
  expect(several.told).toEqual(one.told);
  expect(one.told.length).toBe(sums.failed);
  // The bug is found, and not everywhere: seeds of both kinds were counted.
  expect(sums.failed).toBeGreaterThan(0);
  expect(sums.failed).toBeLessThan(SEEDS);
  expect(several.counted.length).toBe(2);
  expect(several.counted.at(-1)).toBe(SEEDS);
});

it("ends with what a run throws in one of the threads", { timeout: 60_000 }, async () => {
  // No array is as long.
  const broken = { ...settings, relays: 2 ** 33 };
  const all = { from: 1, seeds: SEEDS, jobs: 2, settings: broken, failed: () => undefined };
  await expect(runSeeds(all)).rejects.toThrow(RangeError);
});

it("takes so many threads and no more", () => {
  expect([1, JOBS_MAX].every(isJobCount)).toBe(true);
  expect([0, JOBS_MAX + 1, 1.5, Number.NaN].some(isJobCount)).toBe(false);
});
