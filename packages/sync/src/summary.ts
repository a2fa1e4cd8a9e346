/**
 * What is kept of a whole set from one event to the next, so that saying what one has costs nothing.
 * Owns: count, sums, estimators and the first coded symbols, updated with each item that comes or goes.
 * Spec: SPEC.md §4.5.
 */
import { createWriter } from "@sotto/wire";
import {
  type CodedSymbols,
  createSymbols,
  SYMBOL_BYTES,
  updateSymbols,
  writeSymbols,
} from "./coded-symbols.ts";
import type { HalfSip } from "./half-sip-hash.ts";
import { fingerprintOf, type SetKeys, tagOf, timeOf } from "./item.ts";
import { addSigns, addTo, ESTIMATORS, type Item, takeFrom, wordAt } from "./item-set.ts";
import {
  encodeSyncMessage,
  type Period,
  PERIOD_MS,
  PERIODS_MAX,
  type SetHead,
  SHORT_FINGERPRINT_BYTES,
} from "./message.ts";

/** Symbols in the sketch that waits in a mailbox: 3.3 kB, enough for about 170 differences. */
export const SKETCH_SYMBOLS = 256;

/** Of some items: their number and the sum of their tagged hashes. */
interface Total {
  count: number;
  readonly sum: Uint32Array;
}

/** Owns what it is told; the items themselves stay with the caller, who adds each once and takes away what it added. */
export interface SetSummary {
  add(item: Item): void;
  remove(item: Item): void;
  head(): SetHead;
  /** One message of at most 4 kB for a device that is not there. */
  sketch(): Uint8Array<ArrayBuffer>;
}

export function createSummary(keys: SetKeys): SetSummary {
  const whole: Total = { count: 0, sum: new Uint32Array(4) };
  const periods = new Map<number, Total>();
  const estimators = new Int32Array(ESTIMATORS);
  const symbols: CodedSymbols = createSymbols(SKETCH_SYMBOLS);
  const tag: HalfSip = { low: 0, high: 0 };

  const change = ({ id, hash }: Item, direction: 1 | -1): void => {
    const number = Math.floor(timeOf(id) / PERIOD_MS);
    const period = periods.get(number) ?? { count: 0, sum: new Uint32Array(4) };
    const low = wordAt(hash, 0);
    const high = wordAt(hash, 4);
    tagOf(keys, low, high, tag);
    const move = direction === 1 ? addTo : takeFrom;
    for (const total of [whole, period]) {
      total.count += direction;
      move(total.sum, low, high, tag.low, tag.high);
    }
    if (period.count === 0) periods.delete(number);
    else periods.set(number, period);
    addSigns(estimators, tag, direction);
    updateSymbols(keys, symbols, hash, direction);
  };

  const head = (): SetHead => ({
    count: whole.count,
    fingerprint: fingerprintOf(keys, whole.count, whole.sum),
  });

  return {
    add: (item) => change(item, 1),
    remove: (item) => change(item, -1),
    head,
    sketch: () =>
      encodeSyncMessage({
        kind: "sketch",
        salt: keys.salt,
        part: 0,
        parts: 1,
        ...head(),
        estimators,
        periods: newestPeriods(keys, periods),
        first: 0,
        bytes: writeSymbols(
          createWriter(SYMBOL_BYTES * SKETCH_SYMBOLS),
          symbols,
          0,
          SKETCH_SYMBOLS,
        ).done(),
      }),
  };
}

/** PERIODS_MAX at most; the oldest of them with everything before it. */
function newestPeriods(keys: SetKeys, periods: ReadonlyMap<number, Total>): readonly Period[] {
  const numbers = [...periods.keys()].toSorted((a, b) => a - b);
  const listed = numbers.slice(-PERIODS_MAX);
  const older = numbers.slice(0, numbers.length - listed.length);
  return listed.map((period, at) => {
    const total: Total = { count: 0, sum: new Uint32Array(4) };
    for (const number of at === 0 ? [...older, period] : [period]) {
      const { count, sum } = periods.get(number) ?? total;
      total.count += count;
      addTo(total.sum, sum[0] ?? 0, sum[1] ?? 0, sum[2] ?? 0, sum[3] ?? 0);
    }
    const fingerprint = fingerprintOf(keys, total.count, total.sum);
    return { period, fingerprint: fingerprint.slice(0, SHORT_FINGERPRINT_BYTES) };
  });
}
