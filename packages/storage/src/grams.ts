/**
 * What a text is found by: its characters folded, and the grams that an index keeps of them.
 * Owns: what matches what, and the bytes of an index block. Leaves to search.ts: sealing, reading and ranking.
 * Spec: SPEC.md §7. Pure.
 */
import type { MessageRow, SearchHit, SearchOptions, SearchPage } from "@sotto/protocol";
import {
  type ByteReader,
  bytesToUtf8,
  createWriter,
  refuse,
  decodeWith,
  utf8ToBytes,
} from "@sotto/wire";
import { readVarint, writeVarint } from "./segment.ts";

/** Hits of one page. */
export const HITS_MAX = 50;
/** UTF-16 units of a query; what is longer finds nothing. */
export const QUERY_MAX = 256;
/** Places marked in one message. */
export const RANGES_MAX = 32;
/** Grams of a query that are looked up; what they find is read and compared in any case. */
const GRAMS_MAX = 8;
/** A block of the index is closed when it is as long. */
export const GRAM_BLOCK_BYTES = 4_096;
/** With the one gram that made it so long: three characters, and every segment of a run. */
const GRAM_BLOCK_BYTES_MAX = GRAM_BLOCK_BYTES + 2_048;

/** Nothing in it changes but upper case. */
const PLAIN = /^[\0-\x7f\u3001-\u3029\u4e00-\u9fff]*$/;
/** A character with what combines with it. */
const CHARACTERS = /[\u1100-\u11ff]+|\P{M}\p{M}*|\p{M}+/gu;

const foldCharacter = (one: string): string =>
  one.normalize("NFKC").toLowerCase().normalize("NFKC");

/** As characters are compared: NFKC, lower case; character by character, so that places can be told. */
export const fold = (text: string): string =>
  PLAIN.test(text) ? text.toLowerCase() : text.replace(CHARACTERS, foldCharacter);

/** Where, in the text, the parts begin that the units of its folded form come from; and its end. */
function placesOf(text: string): readonly number[] {
  const places: number[] = [];
  for (const { 0: one, index } of text.matchAll(CHARACTERS)) {
    for (let at = foldCharacter(one).length; at > 0; at--) places.push(index);
  }
  return [...places, text.length];
}

/** Start and end of what matches; undefined where nothing does. `query` is folded and not empty. */
export function rangesIn(text: string, query: string): SearchHit["ranges"] | undefined {
  const folded = fold(text);
  let at = folded.indexOf(query);
  if (at < 0) return undefined;
  const places = placesOf(text);
  const ranges: [number, number][] = [];
  for (; at >= 0 && ranges.length < RANGES_MAX; at = folded.indexOf(query, at + query.length)) {
    const start = places[at] ?? 0;
    // A character that is folded into several is marked whole.
    let end = at + query.length;
    while (places[end] === places[end - 1]) end++;
    ranges.push([start, places[end] ?? text.length]);
  }
  return ranges;
}

const isWanted = (row: MessageRow, options: SearchOptions): boolean =>
  (options.conversation === undefined || row.conversation === options.conversation) &&
  (options.author === undefined || row.order.slice(16, 56) === options.author) &&
  (options.own === undefined || row.own === options.own) &&
  (options.before === undefined || Number.parseInt(row.order.slice(0, 12), 16) < options.before) &&
  (options.after === undefined || Number.parseInt(row.order.slice(0, 12), 16) >= options.after) &&
  (options.from === undefined || placeOf(row) < options.from);

/** By which hits are sorted, and where the next page goes on. */
export const placeOf = ({ order, conversation }: MessageRow): string => `${order}/${conversation}`;

export const newestFirst = (a: SearchHit, b: SearchHit): number =>
  placeOf(a.row) < placeOf(b.row) ? 1 : -1;

/** Undefined for a query that finds nothing. */
export function foldQuery(query: string): string | undefined {
  const folded = query.length > QUERY_MAX ? "" : fold(query.trim());
  return folded === "" ? undefined : folded;
}

export function hitOf(
  row: MessageRow,
  folded: string,
  options: SearchOptions,
): SearchHit | undefined {
  const ranges = isWanted(row, options) ? rangesIn(row.text, folded) : undefined;
  return ranges && { row: { ...row }, ranges };
}

/** `hits`: newest first; one more than a page where there are more. */
export function pageOf(hits: readonly SearchHit[]): SearchPage {
  const page = hits.slice(0, HITS_MAX);
  const end = page.at(-1);
  return {
    hits: page,
    next: hits.length > HITS_MAX && end !== undefined ? placeOf(end.row) : undefined,
  };
}

/** Without an index. */
export function searchIn(
  rows: readonly MessageRow[],
  query: string,
  options: SearchOptions,
): SearchPage {
  const folded = foldQuery(query);
  if (folded === undefined) return pageOf([]);
  return pageOf(rows.flatMap((row) => hitOf(row, folded, options) ?? []).toSorted(newestFirst));
}

/** From here on a character says as much as a word elsewhere: two of them are a gram, three of others. */
const IDEOGRAPHS = 0x2e80;

/** The gram that begins at a unit: shorter only where the text ends. Undefined within a surrogate pair. */
function gramAt(folded: string, at: number): { readonly gram: string; readonly isWhole: boolean } {
  const first = folded.codePointAt(at) ?? 0;
  let end = at;
  let left = first >= IDEOGRAPHS ? 2 : 3;
  for (; left > 0 && end < folded.length; left--) {
    end += (folded.codePointAt(end) ?? 0) > 0xffff ? 2 : 1;
  }
  return { gram: folded.slice(at, end), isWhole: left === 0 };
}

const isTrail = (unit: number): boolean => unit >= 0xdc00 && unit < 0xe000;

export function gramsOf(folded: string, into: Set<string>): void {
  for (let at = 0; at < folded.length; at++) {
    if (!isTrail(folded.charCodeAt(at))) into.add(gramAt(folded, at).gram);
  }
}

export interface Wanted {
  /** Grams that a text has to have. */
  readonly whole: readonly string[];
  /** Where there are none: how one of its grams has to begin. */
  readonly start: string | undefined;
}

export function wantedFor(query: string): Wanted {
  const whole = new Set<string>();
  for (let at = 0; at < query.length; at++) {
    const { gram, isWhole } = gramAt(query, at);
    if (isWhole && !isTrail(query.charCodeAt(at))) whole.add(gram);
  }
  const all = [...whole];
  const step = Math.max(1, (all.length - 1) / (GRAMS_MAX - 1));
  const some = new Set(all.slice(0, GRAMS_MAX).map((_, at) => all[Math.round(at * step)] ?? ""));
  return { whole: [...some], start: all.length === 0 ? gramAt(query, 0).gram : undefined };
}

/** A run's grams in order, each with the places of its segments in the run; ascending. */
export type Postings = ReadonlyMap<string, readonly number[]>;

export interface GramBlock {
  readonly first: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export function encodeGrams(postings: Postings): readonly GramBlock[] {
  const blocks: GramBlock[] = [];
  let writer = createWriter(GRAM_BLOCK_BYTES_MAX);
  let [first, length]: [string | undefined, number] = [undefined, 0];
  const close = (): void => {
    if (first !== undefined) blocks.push({ first, bytes: writer.done() });
    writer = createWriter(GRAM_BLOCK_BYTES_MAX);
    [first, length] = [undefined, 0];
  };
  for (const gram of [...postings.keys()].toSorted()) {
    const bytes = utf8ToBytes(gram);
    const places = postings.get(gram) ?? [];
    first ??= gram;
    writer.u8(bytes.length).raw(bytes);
    writeVarint(writer, places.length);
    let before = 0;
    for (const place of places) {
      writeVarint(writer, place - before);
      length += place - before < 128 ? 1 : 2;
      before = place;
    }
    length += bytes.length + 3;
    if (length >= GRAM_BLOCK_BYTES) close();
  }
  close();
  return blocks;
}

/** Undefined for what is no block. */
export function decodeGrams(bytes: Uint8Array): Postings | undefined {
  const read = decodeWith(bytes, GRAM_BLOCK_BYTES_MAX, (reader: ByteReader) => {
    const postings = new Map<string, readonly number[]>();
    while (reader.left() > 0) {
      const gram = bytesToUtf8(reader.take(reader.u8())) ?? refuse("malformed");
      let place = 0;
      const count = readVarint(reader, reader.left());
      postings.set(
        gram,
        Array.from({ length: count }, () => (place += readVarint(reader))),
      );
    }
    return postings;
  });
  return read.ok ? read.value : undefined;
}
