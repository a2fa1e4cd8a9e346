/** How engines are timed for a bench: longer than at a start, and without pauses. */
import type { Clock, Patience } from "@sotto/engines";

export const BENCH_PATIENCE: Patience = { roundMs: 60, roundCallsMax: 20_000 };

export const BENCH_CLOCK: Clock = {
  now: () => performance.now(),
  pause: () => Promise.resolve(),
  after: (ms, run) => {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};
