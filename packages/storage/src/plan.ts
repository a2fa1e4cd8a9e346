/**
 * Where messages go: the newest into the tail, older ones into segments, a late one into the segment that covers it.
 * Owns: when the tail becomes a segment, and how segments are cut. Leaves to history.ts: reading, sealing and writing.
 * Spec: SPEC.md §4. Pure.
 */
import type { MessageRow } from "@sotto/protocol";
import type { Entry } from "./segment.ts";

/** Rows of one conversation's tail; one more, and the oldest of them become a segment. */
export const TAIL_ROWS_MAX = 128;
/** Messages that a segment is cut at. */
export const SEGMENT_ROWS = 128;
/** Above so many a segment is cut anew. */
export const SEGMENT_ROWS_CUT = 2 * SEGMENT_ROWS;
/** UTF-16 units of text that a segment is cut at, and cut anew above twice that. */
export const SEGMENT_TEXT = 65_536;
/** More new messages than that at the end of one conversation, and they become segments without a tail. */
export const TAIL_ADDED_MAX = 64;

export interface Shape {
  /** The next number for a row of the tail or a segment; from 1. */
  readonly next: number;
  readonly entries: readonly Entry[];
  /** As the directory's. */
  readonly last: string;
  readonly tail: ReadonlyMap<number, MessageRow>;
}

/** Where the row of an id stands: by its number in the tail or the number of its segment. */
export type Standing =
  | { readonly in: "tail" | "segment"; readonly n: number; readonly order: string }
  /** In the table of before there were segments. */
  | { readonly in: "old" };

export interface Plan extends Shape {
  /** Segments to seal, by number. */
  readonly segments: ReadonlyMap<number, readonly MessageRow[]>;
  /** Segments that have no row left. */
  readonly gone: readonly number[];
  /** Rows of the tail to seal. */
  readonly tailPut: readonly number[];
  /** The whole tail goes first. */
  readonly cleared: boolean;
}

const byOrder = (a: MessageRow, b: MessageRow): number => (a.order < b.order ? -1 : 1);

/** Index of the last entry that begins at or before `order`; -1: all begin later. */
export function coverOf(entries: readonly Entry[], order: string): number {
  let [low, high] = [0, entries.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((entries[middle]?.first ?? "") <= order) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** The segment that a row which is not in the tail belongs to. */
const homeOf = ({ entries, last }: Shape, order: string): number | undefined =>
  order > last ? undefined : entries[Math.max(0, coverOf(entries, order))]?.n;

/** A row that stays where it is, but for what it says. */
const isInPlace = (row: MessageRow, at: Standing | undefined): boolean =>
  at !== undefined && at.in !== "old" && at.order === row.order;

/** Numbers of the segments whose rows `planWrite` has to be given. */
export function touchedBy(
  shape: Shape,
  rows: readonly MessageRow[],
  standing: ReadonlyMap<string, Standing>,
): readonly number[] {
  const numbers = new Set<number>();
  for (const row of rows) {
    const at = standing.get(row.id);
    if (at?.in === "segment") numbers.add(at.n);
    const home = isInPlace(row, at) ? undefined : homeOf(shape, row.order);
    if (home !== undefined) numbers.add(home);
  }
  return [...numbers];
}

/** Even pieces of about SEGMENT_ROWS, smaller where the texts are long. */
export function cut(rows: readonly MessageRow[]): readonly (readonly MessageRow[])[] {
  const size = Math.ceil(rows.length / Math.ceil(rows.length / SEGMENT_ROWS));
  const pieces: MessageRow[][] = [];
  let units = Infinity;
  for (const row of rows) {
    const piece = pieces.at(-1);
    if (piece === undefined || piece.length >= size || units + row.text.length > SEGMENT_TEXT) {
      pieces.push([row]);
      units = row.text.length;
    } else {
      piece.push(row);
      units += row.text.length;
    }
  }
  return pieces;
}

const isTooLarge = (rows: readonly MessageRow[]): boolean =>
  rows.length > SEGMENT_ROWS_CUT ||
  (rows.length > 1 && rows.reduce((sum, { text }) => sum + text.length, 0) > 2 * SEGMENT_TEXT);

/**
 * `rows`: to be written over those of their ids, or added; of one id at most one. `loaded`: the rows of the segments
 * that `touchedBy` names; none for one that cannot be read, which is then replaced. `v`: of the head that comes of it.
 */
export function planWrite(
  shape: Shape,
  v: number,
  rows: readonly MessageRow[],
  standing: ReadonlyMap<string, Standing>,
  loaded: ReadonlyMap<number, readonly MessageRow[]>,
): Plan {
  let { next } = shape;
  const tail = new Map(shape.tail);
  const tailPut: number[] = [];
  const fresh: MessageRow[] = [];
  const changed = new Map<number, Map<string, MessageRow>>();
  const segment = (n: number): Map<string, MessageRow> => {
    const known = changed.get(n);
    if (known !== undefined) return known;
    const rowById = new Map((loaded.get(n) ?? []).map((row) => [row.id, row]));
    changed.set(n, rowById);
    return rowById;
  };
  for (const row of rows) {
    const at = standing.get(row.id);
    if (at?.in === "tail") {
      if (isInPlace(row, at)) {
        tail.set(at.n, row);
        tailPut.push(at.n);
        continue;
      }
      tail.delete(at.n);
    }
    if (at?.in === "segment") {
      segment(at.n).delete(row.id);
      if (isInPlace(row, at)) {
        segment(at.n).set(row.id, row);
        continue;
      }
    }
    const home = homeOf(shape, row.order);
    if (home === undefined) fresh.push(row);
    else segment(home).set(row.id, row);
  }

  const segments = new Map<number, readonly MessageRow[]>();
  const gone: number[] = [];
  for (const [n, rowById] of changed) {
    const sorted = [...rowById.values()].toSorted(byOrder);
    if (sorted.length === 0) gone.push(n);
    else if (!isTooLarge(sorted)) segments.set(n, sorted);
    else
      for (const [at, piece] of cut(sorted).entries()) segments.set(at === 0 ? n : next++, piece);
  }

  const moved = [...tail.values(), ...fresh].toSorted(byOrder);
  const isDirect = fresh.length > TAIL_ADDED_MAX;
  // A row taken out of the tail leaves its place on disk: the tail is written anew then, too.
  const cleared = isDirect || moved.length > TAIL_ROWS_MAX || tail.size < shape.tail.size;
  if (!cleared) {
    for (const row of fresh) {
      tailPut.push(next);
      tail.set(next++, row);
    }
    return { ...shapeOf(shape, v, segments, gone), next, tail, tailPut, segments, gone, cleared };
  }
  const kept = isDirect ? [] : moved.slice(moved.length > TAIL_ROWS_MAX ? SEGMENT_ROWS : 0);
  const sealed = moved.slice(0, moved.length - kept.length);
  if (sealed.length > 0) for (const piece of cut(sealed)) segments.set(next++, piece);
  const newTail = new Map(kept.map((row) => [next++, row]));
  return {
    ...shapeOf(shape, v, segments, gone),
    next,
    tail: newTail,
    tailPut: [...newTail.keys()],
    segments,
    gone,
    cleared,
  };
}

function shapeOf(
  { entries, last }: Shape,
  v: number,
  segments: ReadonlyMap<number, readonly MessageRow[]>,
  gone: readonly number[],
): Pick<Shape, "entries" | "last"> {
  if (segments.size === 0 && gone.length === 0) return { entries, last };
  const rest = entries.filter(({ n }) => !segments.has(n) && !gone.includes(n));
  const written = [...segments].map(([n, rows]): Entry => {
    return { n, v, count: rows.length, first: rows[0]?.order ?? "" };
  });
  const sorted = [...rest, ...written].toSorted((a, b) => (a.first < b.first ? -1 : 1));
  const newest = sorted.at(-1);
  // Of a segment that did not change the end is known: it is the last one still, or nothing was behind it.
  const rows = newest === undefined ? undefined : segments.get(newest.n);
  return { entries: sorted, last: rows?.at(-1)?.order ?? (newest === undefined ? "" : last) };
}
