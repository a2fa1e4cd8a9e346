/**
 * What a queue costs in work where its place has used up its own: a way on for people who share an address with many.
 * One price for everybody: it rises with each queue made so, and falls by itself, so that a crowd that pays makes it
 * dear for the crowd, and at the end of it there is none to be had.
 * Spec: SPEC.md §4.
 */
import { WORK_BITS_MAX } from "@sotto/wire";
import { WORK_BITS_MIN, WORK_QUEUE_INTERVAL_MS, WORK_QUEUES_MAX } from "./limits.ts";

export interface WorkPrice {
  /** Leading zero bits that a queue costs now; undefined: none are sold. */
  bits(now: number): number | undefined;
  /** One was sold. */
  sold(now: number): void;
}

/** `bitsMin`: what the first one costs. */
export function createWorkPrice(
  max: number = WORK_QUEUES_MAX,
  bitsMin: number = WORK_BITS_MIN,
): WorkPrice {
  /** Sold lately: one less each interval. */
  let lately = 0;
  let seenAt: number | undefined;

  function refill(now: number): void {
    // A clock set back gives nothing and takes nothing.
    const passed = Math.max(0, now - (seenAt ?? now));
    lately = Math.max(0, lately - passed / WORK_QUEUE_INTERVAL_MS);
    seenAt = now;
  }

  return {
    bits(now) {
      refill(now);
      if (lately + 1 > max) return undefined;
      return bitsMin + Math.floor((lately / max) * (WORK_BITS_MAX - bitsMin + 1));
    },
    sold(now) {
      refill(now);
      lately++;
    },
  };
}
