/**
 * The hybrid logical clock of events: wall milliseconds where they rise, a counter where they do not.
 * Owns: own times, and which others' times count. Leaves to event.ts: the id a time goes into.
 * Spec: SPEC.md §5.2.
 */
import type { HybridTime } from "@sotto/wire";

const COUNTER_MAX = 0xffff;
/** An event further ahead of the own wall clock is kept and shown, but the own clock does not follow it. */
export const FUTURE_MS_MAX = 600_000;

export const compareHybrid = (a: HybridTime, b: HybridTime): number =>
  a.ms - b.ms || a.counter - b.counter;

/** The time of the next own event: later than every own one and every one that was followed. `now` in milliseconds. */
export function tickClock(clock: HybridTime, now: number): HybridTime {
  const wall = { ms: Math.max(0, Math.floor(now)), counter: 0 };
  if (compareHybrid(wall, clock) > 0) return wall;
  return clock.counter < COUNTER_MAX
    ? { ms: clock.ms, counter: clock.counter + 1 }
    : { ms: clock.ms + 1, counter: 0 };
}

/** True for a time that the own clock must not follow: its author's clock is wrong, or means to come last for ever. */
export const isFuture = (seen: HybridTime, now: number): boolean => seen.ms > now + FUTURE_MS_MAX;

/** The clock after an event of that time was taken in. Never earlier than it was. */
export const followClock = (clock: HybridTime, seen: HybridTime, now: number): HybridTime =>
  !isFuture(seen, now) && compareHybrid(seen, clock) > 0 ? seen : clock;
