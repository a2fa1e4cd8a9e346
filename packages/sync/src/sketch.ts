/**
 * Reconciliation of two devices that are never there at the same time: one leaves a sketch, the other works it out alone.
 * Owns: reading sketches and lists, and what to answer. Leaves to summary.ts: the sketch that is kept ready.
 * Spec: SPEC.md §4.5.
 */
import { createWriter, equalBytes } from "@sotto/wire";
import { createDecoder, createEncoder, SYMBOL_BYTES, writeSymbols } from "./coded-symbols.ts";
import {
  compareList,
  findPositions,
  isPart,
  NONE,
  type Positions,
  positionsIn,
  runsOf,
  sendWants,
  wordsAt,
  wordsOf,
} from "./compare.ts";
import {
  estimateDifference,
  fingerprintWith,
  firstFrom,
  type ItemSet,
  type Range,
  setFingerprint,
} from "./item-set.ts";
import { ITEM_HASH_BYTES } from "./item.ts";
import {
  decodeSyncMessage,
  encodeSyncMessage,
  PERIOD_MS,
  SKETCH_PARTS_MAX,
  SYMBOLS_PER_MESSAGE,
  type SyncMessageOf,
} from "./message.ts";

/** Symbols of the largest sketch: beyond about 13,000 differences it is a list. */
export const SKETCH_SYMBOLS_MAX = SKETCH_PARTS_MAX * SYMBOLS_PER_MESSAGE;
/** For each difference of the estimate: an answer costs days, so a second try costs more than symbols do. */
const SYMBOLS_PER_DIFFERENCE = 2;
const LARGER_SYMBOLS_MIN = 4 * 256;

export type SketchAnswer =
  /** Nothing to do. */
  | { readonly kind: "equal" }
  /** Own items the other side lacks, and what to ask it for: `wants` are messages to send, none when nothing is wanted. */
  | { readonly kind: "decoded"; readonly give: Positions; readonly wants: readonly Uint8Array[] }
  /** Too different for that sketch: a larger one, or a list, of the own set. The other side answers it the same way. */
  | { readonly kind: "larger"; readonly messages: readonly Uint8Array[] }
  /** Not a whole sketch or list, or of another salt than the own keys. */
  | { readonly kind: "refused" }
  /** Whole, and no set has it: of other keys, or made up. */
  | { readonly kind: "mismatch" };

/** `messages`: all parts of one sketch or list of the other side, in any order. */
export function answerSketch(set: ItemSet, messages: readonly Uint8Array[]): SketchAnswer {
  const parts = messages.map((bytes) => decodeSyncMessage(bytes));
  const sketches: SyncMessageOf<"sketch">[] = [];
  const lists: SyncMessageOf<"sketch-list">[] = [];
  for (const part of parts) {
    if (!part.ok) return { kind: "refused" };
    if (part.value.kind === "sketch") sketches.push(part.value);
    else if (part.value.kind === "sketch-list") lists.push(part.value);
    else return { kind: "refused" };
  }
  if (lists.length === 0) {
    const whole = wholeOf(set, sketches);
    return whole === undefined ? { kind: "refused" } : answerSymbols(set, whole);
  }
  const whole = sketches.length === 0 ? wholeOf(set, lists) : undefined;
  return whole === undefined ? { kind: "refused" } : answerList(set, whole);
}

interface Part {
  readonly salt: Uint8Array;
  readonly part: number;
  readonly parts: number;
  readonly count: number;
  readonly fingerprint: Uint8Array;
}

/** The parts in order, when each is there once, all are of one set and of the own salt. */
function wholeOf<T extends Part>(set: ItemSet, parts: readonly T[]): readonly T[] | undefined {
  const sorted = parts.toSorted((a, b) => a.part - b.part);
  const first = sorted[0];
  if (first === undefined || first.parts !== sorted.length) return undefined;
  const isWhole = sorted.every(
    (one, at) =>
      one.part === at &&
      one.parts === first.parts &&
      one.count === first.count &&
      equalBytes(one.fingerprint, first.fingerprint) &&
      equalBytes(one.salt, set.keys.salt),
  );
  return isWhole ? sorted : undefined;
}

const isEqual = (set: ItemSet, { count, fingerprint }: Part): boolean =>
  count === set.size && equalBytes(setFingerprint(set), fingerprint);

function answerSymbols(set: ItemSet, sketch: readonly SyncMessageOf<"sketch">[]): SketchAnswer {
  const [first] = sketch;
  if (first === undefined) return { kind: "refused" };
  if (isEqual(set, first)) return { kind: "equal" };
  const all: Range = { from: 0, to: set.size };
  const decoder = createDecoder(set.keys, createEncoder(set, all));
  for (const { first: index, bytes } of sketch) {
    if (index !== decoder.size) return { kind: "refused" };
    const state = decoder.take(bytes);
    if (state === "wrong") return { kind: "mismatch" };
    if (state === "done") {
      const { own, remote } = decoder.difference;
      const give = findPositions(set, [all], own);
      return conclude(set, first, give, remote);
    }
  }
  return { kind: "larger", messages: largerSketch(set, first, decoder.size) };
}

function conclude(
  set: ItemSet,
  { fingerprint }: Part,
  give: Positions,
  remote: readonly number[],
): SketchAnswer {
  if (!equalBytes(fingerprintWith(set, remote, wordsAt(set, give)), fingerprint)) {
    return { kind: "mismatch" };
  }
  return { kind: "decoded", give, wants: remote.length === 0 ? [] : sendWants(remote) };
}

/** Symbols, or hashes of everything from the oldest period on that is not the same, whichever is shorter. */
function largerSketch(
  set: ItemSet,
  remote: SyncMessageOf<"sketch">,
  read: number,
): readonly Uint8Array[] {
  const estimate = estimateDifference(set, remote.count, remote.estimators);
  const size = Math.max(SYMBOLS_PER_DIFFERENCE * estimate, LARGER_SYMBOLS_MIN, 2 * read);
  const from = oldestDifference(set, remote.periods);
  const range: Range = { from: firstFrom(set, from), to: set.size };
  const listBytes = ITEM_HASH_BYTES * (range.to - range.from);
  const isList = size > SKETCH_SYMBOLS_MAX || listBytes < SYMBOL_BYTES * size;
  return isList ? sketchList(set, from, range) : sketchSymbols(set, size);
}

/** Milliseconds: all before is the same. Periods of the other side; its oldest one begins with the first event. */
function oldestDifference(set: ItemSet, periods: SyncMessageOf<"sketch">["periods"]): number {
  for (const [at, { period, fingerprint }] of periods.entries()) {
    const next = periods[at + 1];
    const from = at === 0 ? 0 : period * PERIOD_MS;
    const range: Range = {
      from: firstFrom(set, from),
      to: next === undefined ? set.size : firstFrom(set, next.period * PERIOD_MS),
    };
    if (!isPart(set, range, fingerprint)) return from;
  }
  return 0;
}

function sketchSymbols(set: ItemSet, size: number): readonly Uint8Array[] {
  const encoder = createEncoder(set, { from: 0, to: set.size });
  encoder.extend(size);
  const parts = Math.ceil(size / SYMBOLS_PER_MESSAGE);
  const fingerprint = setFingerprint(set);
  return Array.from({ length: parts }, (_, part) => {
    const first = part * SYMBOLS_PER_MESSAGE;
    const end = Math.min(first + SYMBOLS_PER_MESSAGE, size);
    return encodeSyncMessage({
      kind: "sketch",
      salt: set.keys.salt,
      part,
      parts,
      count: set.size,
      fingerprint,
      estimators: set.estimators,
      periods: [],
      first,
      bytes: writeSymbols(createWriter(), encoder.symbols, first, end).done(),
    });
  });
}

function sketchList(set: ItemSet, from: number, range: Range): readonly Uint8Array[] {
  const runs = runsOf(wordsAt(set, positionsIn(range)));
  const fingerprint = setFingerprint(set);
  return runs.map((hashes, part) =>
    encodeSyncMessage({
      kind: "sketch-list",
      salt: set.keys.salt,
      part,
      parts: runs.length,
      count: set.size,
      fingerprint,
      from,
      hashes,
    }),
  );
}

function answerList(set: ItemSet, list: readonly SyncMessageOf<"sketch-list">[]): SketchAnswer {
  const [first] = list;
  if (first === undefined || list.some(({ from }) => from !== first.from)) {
    return { kind: "refused" };
  }
  if (isEqual(set, first)) return { kind: "equal" };
  const words: number[] = [];
  for (const { hashes } of list) for (const word of wordsOf(hashes)) words.push(word);
  const range: Range = { from: firstFrom(set, first.from), to: set.size };
  const { ownOnly, remoteOnly } = compareList(set, [range], words);
  return conclude(set, first, ownOnly, remoteOnly);
}

/** Own items that a message of wants names. Undefined when it is none. */
export function wantedPositions(set: ItemSet, message: Uint8Array): Positions | undefined {
  const decoded = decodeSyncMessage(message);
  if (!decoded.ok || decoded.value.kind !== "want") return undefined;
  const words = wordsOf(decoded.value.hashes);
  return words.length === 0 ? NONE : findPositions(set, [{ from: 0, to: set.size }], words);
}
