/** What the limiter itself costs when every try comes from somewhere else. */
import { placeOf } from "sotto-relay";
import { createAllowances } from "sotto-relay/core";

const KEYS = 300_000;

export function limiterMemory(): { keys: number; remembered: number; bytes: number } {
  const allowances = createAllowances(Date.now);
  const before = process.memoryUsage().heapUsed;
  for (let key = 0; key < KEYS; key++) {
    const address = `2001:db8:${(key >> 16).toString(16)}:${(key & 0xffff).toString(16)}::1`;
    allowances.of(placeOf(address)).connects.take(Date.now());
  }
  // With whatever waits to be collected: what a process would really have.
  const bytes = Math.max(0, process.memoryUsage().heapUsed - before);
  return { keys: KEYS, remembered: allowances.size, bytes };
}
