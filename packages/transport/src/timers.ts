/**
 * Time as a dependency, so that tests own it.
 */
export interface Timers {
  /** Milliseconds; only differences mean something. */
  now(): number;
  /** Runs once after `delayMs`; the returned function cancels it. */
  after(delayMs: number, run: () => void): () => void;
}

export const realTimers: Timers = {
  now: () => performance.now(),
  after: (delayMs, run) => {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
};
