/**
 * So many at once, then one per interval.
 */
export interface TokenBucket {
  /** 0: taken. Otherwise the milliseconds until the next one. */
  take(now: number): number;
}

export function createTokenBucket(burst: number, intervalMs: number): TokenBucket {
  let tokens = burst;
  let filledAt: number | undefined;
  return {
    take(now) {
      filledAt ??= now;
      // A clock set back gives nothing and takes nothing.
      const gained = Math.max(0, Math.floor((now - filledAt) / intervalMs));
      tokens = Math.min(burst, tokens + gained);
      filledAt = now < filledAt ? now : filledAt + gained * intervalMs;
      if (tokens === 0) return Math.max(1, filledAt + intervalMs - now);
      tokens--;
      return 0;
    },
  };
}
