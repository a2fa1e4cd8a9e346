/**
 * What many seeds come to, so that parts of them, run beside each other, add up to what one process would have counted.
 * Whole numbers only: the order in which parts come then changes nothing.
 */
import { ACTS, type RunResult } from "./simulate.ts";

export interface Tally {
  seeds: number;
  failed: number;
  steps: number;
  accepted: number;
  simulatedMs: number;
  putBack: number;
  oldKeys: number;
  gone: number;
  /** By kind, how many were taken. */
  readonly faults: Map<string, number>;
}

export const emptyTally = (): Tally => ({
  seeds: 0,
  failed: 0,
  steps: 0,
  accepted: 0,
  simulatedMs: 0,
  putBack: 0,
  oldKeys: 0,
  gone: 0,
  faults: new Map(),
});

export function count(tally: Tally, result: RunResult): void {
  tally.seeds++;
  if (result.failures.length > 0) tally.failed++;
  tally.steps += result.steps;
  tally.accepted += result.accepted;
  tally.simulatedMs += Math.round(result.simulatedMs);
  tally.putBack += result.restored.stores;
  tally.oldKeys += result.restored.oldKeys;
  tally.gone += result.restored.gone;
  for (const { kind } of result.decisions) if (!ACTS.includes(kind)) addFaults(tally, kind, 1);
}

export function add(tally: Tally, part: Tally): void {
  tally.seeds += part.seeds;
  tally.failed += part.failed;
  tally.steps += part.steps;
  tally.accepted += part.accepted;
  tally.simulatedMs += part.simulatedMs;
  tally.putBack += part.putBack;
  tally.oldKeys += part.oldKeys;
  tally.gone += part.gone;
  for (const [kind, taken] of part.faults) addFaults(tally, kind, taken);
}

function addFaults({ faults }: Tally, kind: string, taken: number): void {
  faults.set(kind, (faults.get(kind) ?? 0) + taken);
}

/** The most frequent first, and by name where they are as frequent. */
export const faultsLine = ({ faults }: Tally): string =>
  [...faults]
    .toSorted(([a, more], [b, less]) => less - more || (a < b ? -1 : 1))
    .map((one) => one.join(" "))
    .join(", ");

/** `seconds` of a clock on the wall. */
export function summaryOf(tally: Tally, seconds: number): string {
  const { seeds, failed, steps, accepted, simulatedMs, putBack, oldKeys, gone, faults } = tally;
  const injected = [...faults.values()].reduce((sum, one) => sum + one, 0);
  const restored =
    putBack === 0
      ? ""
      : `${putBack} stores put back, ${gone} texts gone with them, ${oldKeys} messages under keys of before (I16)\n`;
  return `${restored}${seeds} seeds, ${failed} failed, ${injected} faults, ${steps} steps, ${accepted} messages, ${(simulatedMs / 3_600_000).toFixed(1)} simulated hours, ${(seeds / seconds).toFixed(1)} seeds/s`;
}
