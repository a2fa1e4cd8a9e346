/**
 * What both sides of a reconciliation do with positions and lists of hashes.
 * Spec: SPEC.md §4.
 */
import { equalBytes } from "@sotto/wire";
import { nameOf } from "./coded-symbols.ts";
import { ITEM_HASH_BYTES } from "./item.ts";
import { type ItemSet, rangeFingerprint, type Range, wordAt, wordsToHash } from "./item-set.ts";
import {
  encodeSyncMessage,
  HASHES_PER_MESSAGE,
  SHORT_FINGERPRINT_BYTES,
  type SyncMessage,
} from "./message.ts";

/** Positions of own items, ascending. */
export type Positions = Uint32Array;

export const NONE: Positions = new Uint32Array(0);

export const positionsIn = ({ from, to }: Range): Positions =>
  Uint32Array.from({ length: to - from }, (_, at) => from + at);

/** Half of a fingerprint over `range`: for parts of a set. */
export const shortFingerprint = (set: ItemSet, range: Range): Uint8Array =>
  rangeFingerprint(set, range).slice(0, SHORT_FINGERPRINT_BYTES);

export const isPart = (set: ItemSet, range: Range, fingerprint: Uint8Array): boolean =>
  equalBytes(shortFingerprint(set, range), fingerprint);

/** Hashes one after another as words, low and high in turn. */
export function wordsOf(hashes: Uint8Array): number[] {
  const words: number[] = [];
  for (let at = 0; at < hashes.length; at += 4) words.push(wordAt(hashes, at));
  return words;
}

/** Names of hashes in `words`; a repetition counts once. */
const namesOf = (words: readonly number[]): Set<number> => {
  const names = new Set<number>();
  for (let at = 0; at < words.length; at += 2)
    names.add(nameOf(words[at] ?? 0, words[at + 1] ?? 0));
  return names;
};

const nameAt = ({ words }: ItemSet, at: number): number =>
  nameOf(words[2 * at] ?? 0, words[2 * at + 1] ?? 0);

/** Own items of `ranges` whose hash is among `words`. */
export function findPositions(
  set: ItemSet,
  ranges: readonly Range[],
  words: readonly number[],
): Positions {
  const names = namesOf(words);
  const positions: number[] = [];
  for (const { from, to } of ranges) {
    for (let at = from; at < to; at++) if (names.has(nameAt(set, at))) positions.push(at);
  }
  return Uint32Array.from(positions);
}

export interface Compared {
  /** Own items of the ranges that are not in the list. */
  readonly ownOnly: Positions;
  /** Words of the hashes in the list that are not in the ranges; each once. */
  readonly remoteOnly: readonly number[];
}

export function compareList(
  set: ItemSet,
  ranges: readonly Range[],
  list: readonly number[],
): Compared {
  const listed = namesOf(list);
  const own = new Set<number>();
  const ownOnly: number[] = [];
  for (const { from, to } of ranges) {
    for (let at = from; at < to; at++) {
      const name = nameAt(set, at);
      own.add(name);
      if (!listed.has(name)) ownOnly.push(at);
    }
  }
  const remoteOnly: number[] = [];
  for (let at = 0; at < list.length; at += 2) {
    const low = list[at] ?? 0;
    const high = list[at + 1] ?? 0;
    const name = nameOf(low, high);
    if (own.has(name)) continue;
    own.add(name);
    remoteOnly.push(low, high);
  }
  return { ownOnly: Uint32Array.from(ownOnly), remoteOnly };
}

export function wordsAt(set: ItemSet, positions: Positions): number[] {
  const words: number[] = [];
  for (const at of positions) words.push(set.words[2 * at] ?? 0, set.words[2 * at + 1] ?? 0);
  return words;
}

/** Hashes of `words` in runs of as many as one message takes; one empty run when there are none. */
export function runsOf(words: readonly number[]): readonly Uint8Array[] {
  const runs: Uint8Array[] = [];
  for (let from = 0; from === 0 || from < words.length; from += 2 * HASHES_PER_MESSAGE) {
    const part = words.slice(from, from + 2 * HASHES_PER_MESSAGE);
    const bytes = new Uint8Array((part.length / 2) * ITEM_HASH_BYTES);
    for (let at = 0; at < part.length; at += 2) {
      bytes.set(wordsToHash(part[at] ?? 0, part[at + 1] ?? 0), 4 * at);
    }
    runs.push(bytes);
  }
  return runs;
}

/** One message for each run; `make` is told which is the last. */
export const sendRuns = (
  words: readonly number[],
  make: (hashes: Uint8Array, isLast: boolean) => SyncMessage,
): readonly Uint8Array[] =>
  runsOf(words).map((hashes, at, all) => encodeSyncMessage(make(hashes, at === all.length - 1)));

export const sendWants = (words: readonly number[]): readonly Uint8Array[] =>
  sendRuns(words, (hashes, isLast) => ({ kind: "want", isLast, hashes }));
