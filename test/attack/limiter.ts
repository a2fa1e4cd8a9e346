/** What the limiter itself costs when every try comes from somewhere else. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { placeOf } from "sotto-relay";
import { ALLOWANCES_MAX, createAllowances } from "sotto-relay/core";

const KEYS = 300_000;

/** `bytes`: what is kept, without what only waits to be collected; `early`: the same when no place had to be forgotten yet. */
export interface LimiterMemory {
  readonly keys: number;
  readonly remembered: number;
  readonly early: number;
  readonly bytes: number;
}

export function limiterMemory(): LimiterMemory {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  if (typeof collect !== "function") throw new Error("no collector");
  const used = (): number => {
    collect();
    return process.memoryUsage().heapUsed;
  };
  const allowances = createAllowances(Date.now);
  const before = used();
  const visit = (from: number, to: number): void => {
    for (let key = from; key < to; key++) {
      const address = `2001:db8:${(key >> 16).toString(16)}:${(key & 0xffff).toString(16)}::1`;
      allowances.of(placeOf(address)).connects.take(Date.now());
    }
  };
  visit(0, ALLOWANCES_MAX);
  const early = used() - before;
  visit(ALLOWANCES_MAX, KEYS);
  return { keys: KEYS, remembered: allowances.size, early, bytes: used() - before };
}
