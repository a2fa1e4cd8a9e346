/**
 * What one place on the network may use up of a relay, however many connections and keys it takes for it.
 * Owns: the buckets, and that there are never too many of them. Leaves to node/places.ts: what a place is.
 * Places are only in memory, and forgotten soon after their buckets are full again.
 * Spec: SPEC.md §4.
 */
import {
  ALLOWANCES_MAX,
  ALLOWANCES_SWEEP_MS,
  APPEND_BYTE_INTERVAL_MS,
  APPEND_BYTES_BURST,
  QUEUE_NEW_BURST,
  QUEUE_NEW_INTERVAL_MS,
} from "./limits.ts";
import { createTokenBucket, type TokenBucket } from "./token-bucket.ts";

export interface Allowance {
  readonly queueNews: TokenBucket;
  readonly appendBytes: TokenBucket;
}

/** `shares`: as much as so many ordinary places. */
export const createAllowance = (shares = 1): Allowance => ({
  queueNews: createTokenBucket(shares * QUEUE_NEW_BURST, QUEUE_NEW_INTERVAL_MS / shares),
  appendBytes: createTokenBucket(shares * APPEND_BYTES_BURST, APPEND_BYTE_INTERVAL_MS / shares),
});

export interface Allowances {
  /** The same buckets for the same place; to be asked for at each use, as full ones are replaced. */
  of(place: string, shares?: number): Allowance;
  readonly size: number;
}

export function createAllowances(now: () => number, max: number = ALLOWANCES_MAX): Allowances {
  /** Least recently asked for first. */
  const byPlace = new Map<string, Allowance>();
  let sweptAt = now();

  /** A bucket that is full again is as good as a new one. */
  function sweep(): void {
    const at = now();
    // Also after the clock was set back.
    if (Math.abs(at - sweptAt) < ALLOWANCES_SWEEP_MS) return;
    sweptAt = at;
    for (const [place, { queueNews, appendBytes }] of byPlace) {
      if (queueNews.isFull(at) && appendBytes.isFull(at)) byPlace.delete(place);
    }
  }

  /** Everything is in use: the place that was not asked for the longest goes. */
  function makeRoom(): void {
    for (const place of byPlace.keys()) {
      if (byPlace.size < max) return;
      byPlace.delete(place);
    }
  }

  return {
    of(place, shares) {
      const known = byPlace.get(place);
      byPlace.delete(place);
      sweep();
      if (known === undefined) makeRoom();
      const allowance = known ?? createAllowance(shares);
      byPlace.set(place, allowance);
      return allowance;
    },
    get size() {
      return byPlace.size;
    },
  };
}
