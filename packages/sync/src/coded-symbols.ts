/**
 * Rateless invertible Bloom lookup tables: an endless row of coded symbols for a set, of which any beginning that is
 * about 1.4 times as long as the difference gives both sides of it.
 * Owns: which item goes into which symbol, encoding, decoding within limits. Leaves to reconcile.ts: how many to send.
 * Spec: SPEC.md §3 (Yang, Gilad, Alizadeh, "Practical Rateless Set Reconciliation", 2024, arXiv 2402.02668).
 */
import type { ByteWriter } from "@sotto/wire";
import type { HalfSip } from "./half-sip-hash.ts";
import { type SetKeys, tagOf } from "./item.ts";
import { type ItemSet, type Range, wordAt } from "./item-set.ts";

/** xor of item hashes 8 | xor of check words 4 | number of items, modulo 256, 1. */
export const SYMBOL_BYTES = 13;
/** Symbols anybody encodes or decodes for one comparison: about 740,000 differences. */
export const SYMBOLS_MAX = 2 ** 20;

/** The first `size` coded symbols of a set, or of the difference of two. Grows; one owner. */
export interface CodedSymbols {
  size: number;
  low: Uint32Array;
  high: Uint32Array;
  check: Uint32Array;
  /** Modulo 256, signed: in a difference, 1 for an item of the one side and -1 for one of the other. */
  count: Int8Array;
}

const emptySymbols = (): CodedSymbols => ({
  size: 0,
  low: new Uint32Array(0),
  high: new Uint32Array(0),
  check: new Uint32Array(0),
  count: new Int8Array(0),
});

function growTo(symbols: CodedSymbols, size: number): void {
  if (size > symbols.low.length) {
    const capacity = Math.max(size, 2 * symbols.low.length, 64);
    const grown = <T extends Uint32Array | Int8Array>(from: T, to: T): T => {
      to.set(from);
      return to;
    };
    symbols.low = grown(symbols.low, new Uint32Array(capacity));
    symbols.high = grown(symbols.high, new Uint32Array(capacity));
    symbols.check = grown(symbols.check, new Uint32Array(capacity));
    symbols.count = grown(symbols.count, new Int8Array(capacity));
  }
  symbols.size = size;
}

function apply(
  symbols: CodedSymbols,
  index: number,
  low: number,
  high: number,
  check: number,
  count: number,
): void {
  symbols.low[index] = (symbols.low[index] ?? 0) ^ low;
  symbols.high[index] = (symbols.high[index] ?? 0) ^ high;
  symbols.check[index] = (symbols.check[index] ?? 0) ^ check;
  symbols.count[index] = (symbols.count[index] ?? 0) + count;
}

/**
 * Where an item goes: an endless rising row of indices that begins with 0 and in which index i is with probability
 * 1 / (1 + i/2). All 64 bits of the hash are its seed: with 32, some of 100,000 differences would share a row.
 */
interface Mapping {
  low: number;
  high: number;
  index: number;
}

const MULTIPLIER_LOW = 0xe4dd58b5;
const MULTIPLIER_HIGH = 0xda942042;

/** Moves to the next index (§3.2). Each operation is one of IEEE 754 binary64, so every implementation agrees. */
function advance(mapping: Mapping): void {
  const { low, high } = mapping;
  // 64 bits times 64 bits modulo 2^64: products of 16 with 32 bits are exact in a double.
  const lower = (low & 0xffff) * MULTIPLIER_LOW;
  const upper = (low >>> 16) * MULTIPLIER_LOW;
  const carried = Math.floor((upper + Math.floor(lower / 0x1_0000)) / 0x1_0000);
  mapping.low = Math.imul(low, MULTIPLIER_LOW) >>> 0;
  mapping.high =
    (carried + Math.imul(low, MULTIPLIER_HIGH) + Math.imul(high, MULTIPLIER_LOW)) >>> 0;
  const draw = mapping.high * 0x1_0000_0000 + mapping.low;
  const jump = Math.ceil((mapping.index + 1.5) * (0x1_0000_0000 / Math.sqrt(draw + 1) - 1));
  mapping.index += Math.max(jump, 1);
}

/** All indices of a hash below `limit`, ascending. */
export function indicesOf(low: number, high: number, limit: number): readonly number[] {
  const mapping: Mapping = { low, high, index: 0 };
  const indices: number[] = [];
  for (; mapping.index < limit; advance(mapping)) indices.push(mapping.index);
  return indices;
}

/** Encoded ahead, so that many small requests do not each look at every item. */
const AHEAD = 1.25;

/** Indices beyond this are all the same to everybody. */
const INDEX_MAX = 0xffff_ffff;

/** The coded symbols of the items of a range, as many as are asked for. */
export interface SymbolEncoder {
  readonly symbols: CodedSymbols;
  /**
   * Extends `symbols` to at least `size`. Costs about 2 ln(size) additions for each item in all, and a look at each item
   * as often as the size grows by a quarter.
   */
  extend(size: number): void;
}

export function createEncoder(set: ItemSet, { from, to }: Range): SymbolEncoder {
  const items = to - from;
  const words = set.words.subarray(2 * from, 2 * to);
  const stateLow = new Uint32Array(items);
  const stateHigh = new Uint32Array(items);
  const next = new Uint32Array(items);
  const checks = new Uint32Array(items);
  const tag: HalfSip = { low: 0, high: 0 };
  for (let at = 0; at < items; at++) {
    stateLow[at] = words[2 * at] ?? 0;
    stateHigh[at] = words[2 * at + 1] ?? 0;
    tagOf(set.keys, stateLow[at] ?? 0, stateHigh[at] ?? 0, tag);
    checks[at] = tag.low;
  }
  const symbols = emptySymbols();
  const mapping: Mapping = { low: 0, high: 0, index: 0 };
  return {
    symbols,
    extend(size) {
      if (size > SYMBOLS_MAX) throw new RangeError(`${size} symbols`);
      if (size <= symbols.size) return;
      const end = Math.min(Math.max(size, Math.ceil(AHEAD * symbols.size)), SYMBOLS_MAX);
      growTo(symbols, end);
      for (let at = 0; at < items; at++) {
        mapping.index = next[at] ?? 0;
        if (mapping.index >= end) continue;
        mapping.low = stateLow[at] ?? 0;
        mapping.high = stateHigh[at] ?? 0;
        const low = words[2 * at] ?? 0;
        const high = words[2 * at + 1] ?? 0;
        const check = checks[at] ?? 0;
        for (; mapping.index < end; advance(mapping)) {
          apply(symbols, mapping.index, low, high, check, 1);
        }
        next[at] = Math.min(mapping.index, INDEX_MAX);
        stateLow[at] = mapping.low;
        stateHigh[at] = mapping.high;
      }
    },
  };
}

/** One item more (1) or less (-1) in symbols that are kept. About 2 ln(size) additions; the set itself is not needed. */
export function updateSymbols(
  keys: SetKeys,
  symbols: CodedSymbols,
  hash: Uint8Array,
  direction: 1 | -1,
): void {
  const low = wordAt(hash, 0);
  const high = wordAt(hash, 4);
  const tag: HalfSip = { low: 0, high: 0 };
  tagOf(keys, low, high, tag);
  const mapping: Mapping = { low, high, index: 0 };
  for (; mapping.index < symbols.size; advance(mapping)) {
    apply(symbols, mapping.index, low, high, tag.low, direction);
  }
}

/** The first `size` symbols of nothing: what `updateSymbols` begins with. */
export function createSymbols(size: number): CodedSymbols {
  if (size > SYMBOLS_MAX) throw new RangeError(`${size} symbols`);
  const symbols = emptySymbols();
  growTo(symbols, size);
  return symbols;
}

export function writeSymbols(
  writer: ByteWriter,
  symbols: CodedSymbols,
  from: number,
  to: number,
): ByteWriter {
  const bytes = new Uint8Array(SYMBOL_BYTES * (to - from));
  const view = new DataView(bytes.buffer);
  for (let index = from; index < to; index++) {
    const at = SYMBOL_BYTES * (index - from);
    view.setUint32(at, symbols.low[index] ?? 0, true);
    view.setUint32(at + 4, symbols.high[index] ?? 0, true);
    view.setUint32(at + 8, symbols.check[index] ?? 0, true);
    view.setInt8(at + 12, symbols.count[index] ?? 0);
  }
  return writer.raw(bytes);
}

/** What was found so far, as hash words. */
export interface Difference {
  /** In the remote set only. */
  readonly remote: readonly number[];
  /** In the own set only. */
  readonly own: readonly number[];
}

export type DecodeState = "more" | "done" | "wrong";

export interface SymbolDecoder {
  /** Symbols taken so far. */
  readonly size: number;
  readonly difference: Difference;
  /**
   * Takes the next symbols of the remote set, as bytes. "done": the difference accounts for all symbols. "wrong": no two
   * sets have these symbols. Nothing else changes after either.
   */
  take(symbols: Uint8Array): DecodeState;
}

interface Found {
  readonly low: number;
  readonly high: number;
  readonly check: number;
  /** 1: the remote side has it; -1: the own side has it. */
  readonly side: 1 | -1;
  readonly mapping: Mapping;
}

/**
 * 53 bits of a hash, as a key of maps. Two items of one set that share them are as good as impossible, and the
 * fingerprint would tell.
 */
export const nameOf = (low: number, high: number): number => high * 0x20_0000 + (low & 0x1f_ffff);

/**
 * Work and memory are bounded whatever the remote side sends: each item is accepted once, there cannot be more of them
 * than symbols, and each costs as many additions as it has indices.
 */
export function createDecoder(keys: SetKeys, encoder: SymbolEncoder): SymbolDecoder {
  const symbols = emptySymbols();
  const remote: number[] = [];
  const own: number[] = [];
  const found: Found[] = [];
  const seen = new Set<number>();
  const tag: HalfSip = { low: 0, high: 0 };
  let state: DecodeState = "more";
  /** Symbols that still hold something. */
  let open = 0;

  const isOpen = (index: number): boolean =>
    (symbols.low[index] ?? 0) !== 0 ||
    (symbols.high[index] ?? 0) !== 0 ||
    (symbols.check[index] ?? 0) !== 0 ||
    (symbols.count[index] ?? 0) !== 0;

  /** One item and nothing else: by its count, its check word, and because this is one of its places. */
  const isPure = (index: number): boolean => {
    if (Math.abs(symbols.count[index] ?? 0) !== 1) return false;
    const low = symbols.low[index] ?? 0;
    const high = symbols.high[index] ?? 0;
    tagOf(keys, low, high, tag);
    if (tag.low !== symbols.check[index]) return false;
    const mapping: Mapping = { low, high, index: 0 };
    while (mapping.index < index) advance(mapping);
    return mapping.index === index;
  };

  /** Takes what was found out of all symbols from its next index on; tells `visit` which those were. */
  const remove = (item: Found, visit: (index: number) => void): void => {
    const { mapping, side } = item;
    for (; mapping.index < symbols.size; advance(mapping)) {
      const { index } = mapping;
      if (isOpen(index)) open--;
      apply(symbols, index, item.low, item.high, item.check, -side);
      if (isOpen(index)) open++;
      visit(index);
    }
  };

  /** False when no two sets have these symbols. */
  const peel = (queue: number[]): boolean => {
    for (let index = queue.pop(); index !== undefined; index = queue.pop()) {
      if (!isPure(index)) continue;
      const low = symbols.low[index] ?? 0;
      const high = symbols.high[index] ?? 0;
      const name = nameOf(low, high);
      // What was taken out everywhere cannot be there again, nor can there be more items than symbols.
      if (seen.has(name) || seen.size >= symbols.size) return false;
      seen.add(name);
      const side = symbols.count[index] === 1 ? 1 : -1;
      (side === 1 ? remote : own).push(low, high);
      const check = symbols.check[index] ?? 0;
      const item: Found = { low, high, check, side, mapping: { low, high, index: 0 } };
      found.push(item);
      remove(item, (touched) => queue.push(touched));
    }
    return true;
  };

  return {
    get size() {
      return symbols.size;
    },
    difference: { remote, own },
    take(bytes) {
      if (state !== "more") return state;
      const from = symbols.size;
      const to = from + Math.floor(bytes.length / SYMBOL_BYTES);
      if (to > SYMBOLS_MAX) return (state = "wrong");
      encoder.extend(to);
      growTo(symbols, to);
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const mine = encoder.symbols;
      for (let index = from; index < to; index++) {
        const at = SYMBOL_BYTES * (index - from);
        symbols.low[index] = view.getUint32(at, true) ^ (mine.low[index] ?? 0);
        symbols.high[index] = view.getUint32(at + 4, true) ^ (mine.high[index] ?? 0);
        symbols.check[index] = view.getUint32(at + 8, true) ^ (mine.check[index] ?? 0);
        symbols.count[index] = view.getInt8(at + 12) - (mine.count[index] ?? 0);
        if (isOpen(index)) open++;
      }
      const queue: number[] = [];
      for (let index = from; index < to; index++) queue.push(index);
      // All of them lie in the new symbols, which are in the queue.
      for (const item of found) remove(item, () => undefined);
      if (!peel(queue)) return (state = "wrong");
      if (open === 0 && symbols.size > 0) state = "done";
      return state;
    },
  };
}
