/**
 * What only a second run of the same seed can tell: whether clocks were to blame for what was lost (I15), and whether
 * it goes the same way twice (I17).
 * Owns: both comparisons. Leaves to simulate.ts and simulate-devices.ts: a run, and what one alone shows.
 */
import type { Invariant } from "./invariants.ts";
import { isSame } from "./same.ts";
import type { RunOptions, RunResult } from "./simulate.ts";

export type Run = (seed: number, options?: RunOptions) => Promise<RunResult>;

/** Decisions that make a clock wrong. */
const CLOCK_KINDS: readonly string[] = ["skew", "clock-jump", "clock-freeze"];
/** What is lost for good, or waits for a time that a clock may never show. */
const LOSSES: readonly Invariant[] = ["I1", "I4", "I9"];

/** I15: a run that loses something is made again with right clocks and all else that was decided in it. */
export const blamingClocks =
  (run: Run): Run =>
  async (seed, options = {}) => {
    const result = await run(seed, options);
    const isLost = LOSSES.some((one) => result.broken.has(one));
    const others = result.decisions.filter(({ kind }) => !CLOCK_KINDS.includes(kind));
    if (!isLost || others.length === result.decisions.length) return result;
    const only = new Set(others.map(({ id }) => id));
    // Its trace would be taken for a part of the first.
    const { trace: _, ...quiet } = options;
    const { broken } = await run(seed, { ...quiet, only });
    if (LOSSES.some((one) => broken.has(one))) return result;
    return broke(result, "I15", "with right clocks nothing is lost");
  };

/** I17: every seed is run twice. */
export const twice =
  (run: Run): Run =>
  async (seed, options) => {
    const first = await run(seed, options);
    const again = await run(seed, options);
    if (isSame(first, again)) return first;
    return broke(first, "I17", `${first.traceHash}, and ${again.traceHash} the second time`);
  };

const broke = (result: RunResult, invariant: Invariant, what: string): RunResult => ({
  ...result,
  failures: [...result.failures, `${invariant}: ${what}`],
  broken: new Set([...result.broken, invariant]),
});
