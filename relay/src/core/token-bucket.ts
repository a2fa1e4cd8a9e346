/**
 * So much at once, then one unit per interval.
 */
export interface TokenBucket {
  /** 0: taken. Otherwise the milliseconds until `amount` (1 unless given) is there; nothing was taken. */
  take(now: number, amount?: number): number;
  /** What `take` would answer; nothing is taken. */
  waitMs(now: number, amount?: number): number;
  /** Takes `amount`, or whatever is left of it. */
  spend(now: number, amount: number): void;
  /** Whether it is as good as new. */
  isFull(now: number): boolean;
  /** Whether more than half of it is used. */
  isSpent(now: number): boolean;
}

/** `intervalMs` may be a fraction, for units as small as bytes. */
export function createTokenBucket(burst: number, intervalMs: number): TokenBucket {
  /** How long it takes to be full again, as of `seenAt`. */
  let emptyMs = 0;
  let seenAt: number | undefined;

  function refill(now: number): void {
    // A clock set back gives nothing and takes nothing.
    emptyMs = Math.max(0, emptyMs - Math.max(0, now - (seenAt ?? now)));
    seenAt = now;
  }

  function waitMs(now: number, amount = 1): number {
    refill(now);
    return Math.max(0, Math.ceil(emptyMs + (amount - burst) * intervalMs));
  }

  return {
    take(now, amount = 1) {
      const wait = waitMs(now, amount);
      if (wait === 0) emptyMs += amount * intervalMs;
      return wait;
    },
    waitMs,
    spend(now, amount) {
      refill(now);
      emptyMs = Math.min(burst, emptyMs / intervalMs + amount) * intervalMs;
    },
    isFull(now) {
      refill(now);
      return emptyMs === 0;
    },
    isSpent(now) {
      refill(now);
      return emptyMs > (burst * intervalMs) / 2;
    },
  };
}
