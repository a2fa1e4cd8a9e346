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
  /**
   * Takes `amount`, also what is not there: at most so much is owed, and must come in before anything is given again.
   */
  owe(now: number, amount: number): void;
  /** Whether it is as good as new. */
  isFull(now: number): boolean;
  /** Whether more than half of it is used. */
  isSpent(now: number): boolean;
}

/** `intervalMs` may be a fraction, for units as small as bytes. */
export const createTokenBucket = (burst: number, intervalMs: number): TokenBucket =>
  new Bucket(burst, intervalMs);

/** A class, because a relay has some for each place and each connection: closures would cost ten times the memory. */
class Bucket implements TokenBucket {
  private readonly burst: number;
  private readonly intervalMs: number;
  /** How long it takes to be full again, as of `seenAt`. */
  private emptyMs = 0;
  private seenAt = Number.NEGATIVE_INFINITY;

  constructor(burst: number, intervalMs: number) {
    this.burst = burst;
    this.intervalMs = intervalMs;
  }

  take(now: number, amount = 1): number {
    const wait = this.waitMs(now, amount);
    if (wait === 0) this.emptyMs += amount * this.intervalMs;
    return wait;
  }

  waitMs(now: number, amount = 1): number {
    this.refill(now);
    return Math.max(0, Math.ceil(this.emptyMs + (amount - this.burst) * this.intervalMs));
  }

  spend(now: number, amount: number): void {
    this.refill(now);
    const empty = this.emptyMs / this.intervalMs + amount;
    this.emptyMs = Math.min(this.burst, empty) * this.intervalMs;
  }

  owe(now: number, amount: number): void {
    this.refill(now);
    const owed = this.emptyMs + amount * this.intervalMs;
    this.emptyMs = Math.min((this.burst + amount) * this.intervalMs, owed);
  }

  isFull(now: number): boolean {
    this.refill(now);
    return this.emptyMs === 0;
  }

  isSpent(now: number): boolean {
    this.refill(now);
    return this.emptyMs > (this.burst * this.intervalMs) / 2;
  }

  private refill(now: number): void {
    // A clock set back gives nothing and takes nothing.
    this.emptyMs = Math.max(0, this.emptyMs - Math.max(0, now - this.seenAt));
    this.seenAt = now;
  }
}
