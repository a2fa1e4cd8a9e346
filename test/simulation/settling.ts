/**
 * Peace: nothing goes wrong any more, and everything has to arrive (I9).
 * Owns: how long that may take, and that frames which are still late change nothing. Leaves to the runs: what is still
 * open.
 */
import type { Client } from "./client.ts";
import type { LateFrames } from "./late.ts";
import type { Oracle } from "./oracle.ts";
import type { Scheduler } from "./scheduler.ts";

/** After the network healed everything has to arrive within this. */
export const HEAL_PHASE_MS = 120_000;
/** What has settled must stay so for a while: a late duplicate still asks for one more receipt. */
const STILL_MS = 2_000;
/** Until a late frame comes nobody has the app open, but for so long before it: hours in peace show nothing else. */
const OPENS_BEFORE_MS = 10_000;

export interface Peace {
  readonly scheduler: Scheduler;
  readonly oracle: Oracle;
  readonly clients: readonly Client[];
  readonly late: LateFrames;
  /** Rarer repairs take this long at most. */
  readonly repairMs: number;
  /** Whether nothing of what went wrong takes longer than HEAL_PHASE_MS to mend. */
  readonly isSoon: boolean;
  readonly eventsMax: number;
  /** What was asked for has been seen. */
  readonly hasSpoken: () => boolean;
  readonly isSettled: () => boolean;
  /** Of that, what has to be so soon; all of it when left out, and until it stays so. */
  readonly hasArrived?: () => boolean;
}

/** Virtual ms from now until everything had settled; undefined when it never did. */
export async function settle(peace: Peace): Promise<number | undefined> {
  const { scheduler, clients, late } = peace;
  const settledAfterMs = await untilStill(peace);
  let isStill = settledAfterMs !== undefined;
  for (let next = late.nextAt(); isStill && next !== undefined; next = late.nextAt()) {
    for (const client of clients) client.close();
    await scheduler.runUntil(Math.max(scheduler.now, next - OPENS_BEFORE_MS));
    for (const client of clients) await client.start();
    await scheduler.runUntil(next);
    isStill = (await untilStill(peace)) !== undefined;
  }
  return settledAfterMs;
}

async function untilStill(peace: Peace): Promise<number | undefined> {
  const { scheduler, oracle, repairMs, isSoon, eventsMax, hasSpoken, isSettled } = peace;
  const from = scheduler.now;
  let settledAt: number | undefined;
  let arrivedAt: number | undefined;
  await scheduler.runUntil(from + repairMs, () => {
    const wasSettled = settledAt !== undefined;
    settledAt = isSettled() ? (settledAt ?? scheduler.now) : undefined;
    // Else the next that happens may be what comes late, much later.
    if (!wasSettled && settledAt !== undefined) scheduler.after(STILL_MS + 1, () => undefined);
    if (peace.hasArrived === undefined) arrivedAt = settledAt;
    else if (isSoon && arrivedAt === undefined && peace.hasArrived()) arrivedAt = scheduler.now;
    const isOver = settledAt !== undefined && scheduler.now > settledAt + STILL_MS;
    return isOver || scheduler.events > eventsMax || hasSpoken();
  });
  if (scheduler.events > eventsMax) oracle.fail("I9", "events without end");
  if (isSoon && arrivedAt !== undefined && arrivedAt > from + HEAL_PHASE_MS) {
    oracle.fail("I9", `settles only ${Math.round(arrivedAt - from)} ms after the faults`);
  }
  return settledAt === undefined ? undefined : settledAt - from;
}
