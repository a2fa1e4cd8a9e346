/**
 * Reduces a failing run: leaves out what went wrong and what people did, as much as it can while the same invariant
 * stays broken (delta debugging over the ids of decisions.ts).
 */
import type { Invariant } from "./invariants.ts";
import { type RunOptions, type RunResult, simulate } from "./simulate.ts";

/** A run costs tens of milliseconds: this is some ten seconds. */
const RUNS_MAX = 400;

export interface Shrunk {
  readonly invariant: Invariant;
  /** Without any one of these it holds, unless the runs ran out. */
  readonly only: readonly string[];
  readonly from: number;
  readonly runs: number;
  readonly result: RunResult;
}

/** Undefined when the run does not fail. */
export async function shrink(
  seed: number,
  options: RunOptions = {},
  runsMax = RUNS_MAX,
  run = simulate,
): Promise<Shrunk | undefined> {
  const first = await run(seed, options);
  const [invariant] = first.broken;
  if (invariant === undefined) return undefined;
  let result = first;
  let runs = 0;

  /** Whether it still fails with these only; then the run is kept, with what it really took. */
  async function fails(ids: readonly string[]): Promise<boolean> {
    if (runs >= runsMax) return false;
    runs++;
    const next = await run(seed, { ...options, only: new Set(ids) });
    if (!next.broken.has(invariant as Invariant)) return false;
    result = next;
    return true;
  }
  const taken = (): readonly string[] => result.decisions.map((one) => one.id);

  // Whole kinds first: most of a swarm has nothing to do with it.
  for (const kind of new Set(first.decisions.map((one) => one.kind))) {
    await fails(taken().filter((id) => !id.startsWith(`${kind}:`)));
  }
  let parts = 2;
  while (runs < runsMax) {
    const ids = taken();
    if (ids.length === 0) break;
    const size = Math.ceil(ids.length / parts);
    let reduced = false;
    for (let at = 0; at < ids.length && !reduced; at += size) {
      reduced = await fails([...ids.slice(0, at), ...ids.slice(at + size)]);
    }
    if (reduced) parts = Math.max(2, parts - 1);
    else if (size === 1) break;
    else parts = Math.min(ids.length, parts * 2);
  }
  return { invariant, only: taken(), from: first.decisions.length, runs, result };
}

/** As `--faults` of main.ts reads it. */
export const listOf = (ids: readonly string[]): string =>
  ids.length === 0 ? "none" : ids.join(",");
