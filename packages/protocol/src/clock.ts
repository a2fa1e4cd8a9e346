/**
 * The hybrid logical clock: a message always sorts after everything its author had seen.
 * Spec: SPEC.md §5.
 */
import type { HybridTime } from "@sotto/wire";
import { compareTimes } from "./draft.ts";
import type { Instant } from "./ports.ts";

const COUNTER_MAX = 0xffff;
/** Year 4199: what counts on from here stays below TIME_MS_MAX for as long as anybody writes. */
export const MERGED_MS_MAX = 2 ** 46;
/** Year 6429: leaves room below 2^48 to go on counting. A content that claims more is malformed. */
export const TIME_MS_MAX = 2 ** 47;

/** The time of the next own content. */
export function tick(clock: HybridTime, now: Instant): HybridTime {
  const wall = { ms: Math.max(0, Math.floor(now)), counter: 0 };
  if (compareTimes(wall, clock) > 0) return wall;
  return clock.counter < COUNTER_MAX
    ? { ms: clock.ms, counter: clock.counter + 1 }
    : { ms: clock.ms + 1, counter: 0 };
}

/**
 * The clock after `seen` was received. A time beyond MERGED_MS_MAX says when its author wants to be last and nothing
 * about when it wrote: followed, it would take own times past what others accept, and theirs after that.
 */
export const merge = (clock: HybridTime, seen: HybridTime): HybridTime =>
  seen.ms <= MERGED_MS_MAX && compareTimes(seen, clock) > 0 ? seen : clock;
