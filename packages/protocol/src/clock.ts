/**
 * The hybrid logical clock: a message always sorts after everything its author had seen.
 * Spec: SPEC.md §5.
 */
import type { HybridTime } from "@sotto/wire";
import { compareTimes } from "./draft.ts";
import type { Instant } from "./ports.ts";

const COUNTER_MAX = 0xffff;
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

/** The clock after `seen` was received. */
export const merge = (clock: HybridTime, seen: HybridTime): HybridTime =>
  compareTimes(seen, clock) > 0 ? seen : clock;
