/**
 * The items of one side, in the order of their ids, with sums over any run of them.
 * Owns: order, positions, range fingerprints, the estimate of a difference. Leaves to coded-symbols.ts: the differences.
 * Spec: SPEC.md §2.3, §2.4.
 */
import { asEventId, compareBytes, EVENT_ID_BYTES, type EventId } from "@sotto/wire";
import type { HalfSip } from "./half-sip-hash.ts";
import { fingerprintOf, ITEM_HASH_BYTES, ITEMS_MAX, type SetKeys, tagOf } from "./item.ts";

/** Sums that tell how many items two sets do not share (§2.4). */
export const ESTIMATORS = 64;
/** Items between two stored sums: a range costs at most two of these, whatever its length. */
const STRIDE = 64;

export interface Item {
  readonly id: EventId;
  /** ITEM_HASH_BYTES. */
  readonly hash: Uint8Array;
}

/** Immutable once made. Ascending by id, then by hash; no item twice. */
export interface ItemSet {
  readonly keys: SetKeys;
  readonly size: number;
  /** EVENT_ID_BYTES for each item. */
  readonly ids: Uint8Array;
  /** Two little-endian words for each item. */
  readonly words: Uint32Array;
  /** Four words for each STRIDE items: the sum of all before. */
  readonly sums: Uint32Array;
  /** ESTIMATORS signed sums over all items. */
  readonly estimators: Int32Array;
}

/** Half of the items from `from` up to, not including, `to`. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** `items` in any order, repetitions included. Throws a RangeError above ITEMS_MAX. */
export function createItemSet(keys: SetKeys, items: readonly Item[]): ItemSet {
  if (items.length > ITEMS_MAX) throw new RangeError(`a set of ${items.length} items`);
  const sorted = isAscending(items) ? items : items.toSorted(compareItems).filter(isNew);
  const ids = new Uint8Array(EVENT_ID_BYTES * sorted.length);
  const words = new Uint32Array(2 * sorted.length);
  let at = 0;
  for (const { id, hash } of sorted) {
    ids.set(id, EVENT_ID_BYTES * at);
    words[2 * at] = wordAt(hash, 0);
    words[2 * at + 1] = wordAt(hash, 4);
    at++;
  }
  return { keys, size: sorted.length, ids, words, ...sumUp(keys, words) };
}

const compareItems = (a: Item, b: Item): number =>
  compareBytes(a.id, b.id) || compareBytes(a.hash, b.hash);

const isNew = (item: Item, at: number, all: readonly Item[]): boolean => {
  const before = all[at - 1];
  return before === undefined || compareItems(before, item) !== 0;
};

const isAscending = (items: readonly Item[]): boolean =>
  items.every((item, at) => {
    const before = items[at - 1];
    return before === undefined || compareItems(before, item) < 0;
  });

/** Little-endian. */
export const wordAt = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] ?? 0) |
    ((bytes[at + 1] ?? 0) << 8) |
    ((bytes[at + 2] ?? 0) << 16) |
    ((bytes[at + 3] ?? 0) << 24)) >>>
  0;

function sumUp(keys: SetKeys, words: Uint32Array): Pick<ItemSet, "sums" | "estimators"> {
  const size = words.length / 2;
  const sums = new Uint32Array(4 * (Math.floor(size / STRIDE) + 1));
  const [lower, upper] = [createBitCounter(), createBitCounter()];
  const sum = new Uint32Array(4);
  const tag: HalfSip = { low: 0, high: 0 };
  for (let at = 0; at < size; at++) {
    if (at % STRIDE === 0) sums.set(sum, 4 * (at / STRIDE));
    const low = words[2 * at] ?? 0;
    const high = words[2 * at + 1] ?? 0;
    tagOf(keys, low, high, tag);
    addTo(sum, low, high, tag.low, tag.high);
    lower.add(tag.low);
    upper.add(tag.high);
  }
  if (size % STRIDE === 0) sums.set(sum, 4 * (size / STRIDE));
  const estimators = Int32Array.from(
    { length: ESTIMATORS },
    (_, bit) => 2 * (bit < 32 ? lower.of(bit) : upper.of(bit - 32)) - size,
  );
  return { sums, estimators };
}

/**
 * How many of many words have each bit. Counts in all 32 bits at once: word k of `planes` holds bit k of each count, and
 * adding a word is adding 1 where it has a bit, which carries over less and less far.
 */
function createBitCounter(): { add(word: number): void; of(bit: number): number } {
  const planes = new Uint32Array(32);
  return {
    add(word) {
      let carry = word;
      for (let plane = 0; carry !== 0; plane++) {
        const before = planes[plane] ?? 0;
        planes[plane] = before ^ carry;
        carry &= before;
      }
    },
    of: (bit) => planes.reduce((count, plane, at) => count + ((plane >>> bit) & 1) * 2 ** at, 0),
  };
}

/** Adds the 128-bit number of four little-endian words, modulo 2^128. */
export function addTo(sum: Uint32Array, w0: number, w1: number, w2: number, w3: number): void {
  const s0 = (sum[0] ?? 0) + w0;
  const s1 = (sum[1] ?? 0) + w1 + (s0 > 0xffff_ffff ? 1 : 0);
  const s2 = (sum[2] ?? 0) + w2 + (s1 > 0xffff_ffff ? 1 : 0);
  sum[0] = s0;
  sum[1] = s1;
  sum[2] = s2;
  sum[3] = (sum[3] ?? 0) + w3 + (s2 > 0xffff_ffff ? 1 : 0);
}

/** Takes it away again, modulo 2^128: the same as adding what is left of 2^128. */
export function takeFrom(sum: Uint32Array, w0: number, w1: number, w2: number, w3: number): void {
  addTo(sum, ~w0 >>> 0, ~w1 >>> 0, ~w2 >>> 0, ~w3 >>> 0);
  addTo(sum, 1, 0, 0, 0);
}

/** Both words of an item's tag; `direction` 1 for an item that comes, -1 for one that goes. */
export function addSigns(estimators: Int32Array, { low, high }: HalfSip, direction: 1 | -1): void {
  for (let bit = 0; bit < ESTIMATORS; bit++) {
    const isSet = (((bit < 32 ? low : high) >>> (bit & 31)) & 1) === 1;
    estimators[bit] = (estimators[bit] ?? 0) + (isSet ? direction : -direction);
  }
}

export const idAt = (set: ItemSet, at: number): EventId =>
  asEventId(set.ids.slice(EVENT_ID_BYTES * at, EVENT_ID_BYTES * (at + 1)));

export const hashAt = (set: ItemSet, at: number): Uint8Array =>
  wordsToHash(set.words[2 * at] ?? 0, set.words[2 * at + 1] ?? 0);

export function wordsToHash(low: number, high: number): Uint8Array<ArrayBuffer> {
  const hash = new Uint8Array(ITEM_HASH_BYTES);
  const view = new DataView(hash.buffer);
  view.setUint32(0, low, true);
  view.setUint32(4, high, true);
  return hash;
}

/** Milliseconds in the id of an item. */
export function msAt({ ids }: ItemSet, at: number): number {
  let ms = 0;
  for (let index = 0; index < 6; index++) ms = ms * 256 + (ids[EVENT_ID_BYTES * at + index] ?? 0);
  return ms;
}

/** Position of the first item of `ms` or later; `size` when there is none. */
export function firstFrom(set: ItemSet, ms: number): number {
  let from = 0;
  let to = set.size;
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (msAt(set, middle) < ms) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** Sum of the items before position `at`. */
function sumBefore(set: ItemSet, at: number): Uint32Array {
  const block = Math.floor(at / STRIDE);
  const sum = set.sums.slice(4 * block, 4 * block + 4);
  for (let index = block * STRIDE; index < at; index++) addItem(set.keys, sum, set.words, index);
  return sum;
}

function addItem(keys: SetKeys, sum: Uint32Array, words: Uint32Array, at: number): void {
  const tag: HalfSip = { low: 0, high: 0 };
  const low = words[2 * at] ?? 0;
  const high = words[2 * at + 1] ?? 0;
  tagOf(keys, low, high, tag);
  addTo(sum, low, high, tag.low, tag.high);
}

/** FINGERPRINT_BYTES over the items of `range`. */
export function rangeFingerprint(set: ItemSet, range: Range): Uint8Array {
  const sum = sumBefore(set, range.to);
  const before = sumBefore(set, range.from);
  takeFrom(sum, before[0] ?? 0, before[1] ?? 0, before[2] ?? 0, before[3] ?? 0);
  return fingerprintOf(set.keys, range.to - range.from, sum);
}

export const setFingerprint = (set: ItemSet): Uint8Array =>
  rangeFingerprint(set, { from: 0, to: set.size });

/** Hashes as words, low and high in turn. */
export type HashWords = readonly number[];

/**
 * What the fingerprint of a whole set is that has all of `set` but `without`, and `others` beside it. What a peer said
 * of its own set is equal to this, or what was decoded is wrong.
 */
export function fingerprintWith(set: ItemSet, others: HashWords, without: HashWords): Uint8Array {
  const { keys } = set;
  const sum = sumBefore(set, set.size);
  const tag: HalfSip = { low: 0, high: 0 };
  for (let at = 0; at < others.length; at += 2) {
    const low = others[at] ?? 0;
    const high = others[at + 1] ?? 0;
    tagOf(keys, low, high, tag);
    addTo(sum, low, high, tag.low, tag.high);
  }
  for (let at = 0; at < without.length; at += 2) {
    const low = without[at] ?? 0;
    const high = without[at + 1] ?? 0;
    tagOf(keys, low, high, tag);
    takeFrom(sum, low, high, tag.low, tag.high);
  }
  return fingerprintOf(keys, set.size + (others.length - without.length) / 2, sum);
}

/**
 * How many items are in one of the sets only, about: a fifth off is usual (§2.4). Never less than the difference of
 * the sizes, never more than both together.
 */
export function estimateDifference(set: ItemSet, size: number, estimators: Int32Array): number {
  let squares = 0;
  for (let at = 0; at < ESTIMATORS; at++) {
    squares += ((set.estimators[at] ?? 0) - (estimators[at] ?? 0)) ** 2;
  }
  const estimate = Math.round(squares / ESTIMATORS);
  return Math.min(Math.max(estimate, Math.abs(set.size - size), 1), set.size + size);
}
