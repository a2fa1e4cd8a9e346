/**
 * So much at once, then one unit per interval.
 */
export interface TokenBucket {
  /** 0: taken. Otherwise the milliseconds until `amount` (1 unless given) is there; nothing was taken. */
  take(now: number, amount?: number): number;
  /** Whether it is as good as new. */
  isFull(now: number): boolean;
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

  return {
    take(now, amount = 1) {
      refill(now);
      const waitMs = emptyMs + (amount - burst) * intervalMs;
      if (waitMs > 0) return Math.ceil(waitMs);
      emptyMs += amount * intervalMs;
      return 0;
    },
    isFull(now) {
      refill(now);
      return emptyMs === 0;
    },
  };
}
