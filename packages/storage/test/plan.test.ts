import type { MessageRow } from "@sotto/protocol";
import { sampleMessage } from "@sotto/storage/acceptance";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  cut,
  planWrite,
  SEGMENT_ROWS,
  SEGMENT_ROWS_CUT,
  SEGMENT_TEXT,
  type Shape,
  type Standing,
  TAIL_ADDED_MAX,
  TAIL_ROWS_MAX,
  touchedBy,
} from "@sotto/storage/plan";

const message = (at: number, text = `message ${at}`): MessageRow =>
  sampleMessage("a", at, { text });
const messages = (from: number, to: number): readonly MessageRow[] =>
  Array.from({ length: to - from }, (_, at) => message(from + at));

/** A conversation as a store would have it: a shape, and the rows of its segments. */
interface Kept {
  readonly shape: Shape;
  readonly segments: ReadonlyMap<number, readonly MessageRow[]>;
}

const EMPTY: Kept = {
  shape: { next: 1, entries: [], last: "", tail: new Map() },
  segments: new Map(),
};

function write({ shape, segments }: Kept, rows: readonly MessageRow[], v = 1): Kept {
  const standing = new Map<string, Standing>();
  for (const [n, row] of shape.tail) standing.set(row.id, { in: "tail", n, order: row.order });
  for (const [n, all] of segments) {
    for (const row of all) standing.set(row.id, { in: "segment", n, order: row.order });
  }
  const loaded = new Map(
    touchedBy(shape, rows, standing).map((n) => [n, segments.get(n) ?? []] as const),
  );
  const plan = planWrite(shape, v, rows, standing, loaded);
  const after = new Map([...segments, ...plan.segments]);
  for (const n of plan.gone) after.delete(n);
  return { shape: plan, segments: after };
}

const sizes = ({ shape, segments }: Kept): readonly number[] => [
  ...shape.entries.map(({ n }) => segments.get(n)?.length ?? 0),
  shape.tail.size,
];

const isSorted = (all: readonly string[]): boolean =>
  all.every((one, at) => at === 0 || one >= (all[at - 1] ?? ""));

/** Everything in its order, by way of the directory. */
function rowsOf({ shape, segments }: Kept): readonly MessageRow[] {
  const tail = [...shape.tail.values()].toSorted((a, b) => (a.order < b.order ? -1 : 1));
  return [...shape.entries.flatMap(({ n }) => segments.get(n) ?? []), ...tail];
}

describe("the tail", () => {
  test("holds as many as it may; with one more the oldest become a segment", () => {
    const full = messages(0, TAIL_ROWS_MAX).reduce((kept, row) => write(kept, [row]), EMPTY);
    expect(sizes(full)).toEqual([TAIL_ROWS_MAX]);
    const more = write(full, [message(TAIL_ROWS_MAX)]);
    expect(sizes(more)).toEqual([SEGMENT_ROWS, 1]);
    expect(rowsOf(more)).toEqual(messages(0, TAIL_ROWS_MAX + 1));
  });

  test("takes so many at once; with one more they are a segment without it", () => {
    expect(sizes(write(EMPTY, messages(0, TAIL_ADDED_MAX)))).toEqual([TAIL_ADDED_MAX]);
    expect(sizes(write(EMPTY, messages(0, TAIL_ADDED_MAX + 1)))).toEqual([TAIL_ADDED_MAX + 1, 0]);
  });
});

describe("a segment", () => {
  test("takes late messages until it is too large, and is cut in even pieces then", () => {
    const first = write(EMPTY, messages(1_000, 1_000 + SEGMENT_ROWS));
    const missing = SEGMENT_ROWS_CUT - SEGMENT_ROWS;
    const full = write(first, messages(0, missing));
    expect(sizes(full)).toEqual([SEGMENT_ROWS_CUT, 0]);
    const more = write(full, [message(missing)]);
    expect(sizes(more)).toEqual([86, 86, 85, 0]);
    expect(isSorted(rowsOf(more).map(({ order }) => order))).toBe(true);
  });

  test("of long texts is cut by their length", () => {
    const half = "x".repeat(SEGMENT_TEXT / 2);
    const rows = [
      message(0, half),
      message(1, half),
      message(2, "x"),
      message(3, half),
      message(4, half),
    ];
    expect(cut(rows).map(({ length }) => length)).toEqual([2, 2, 1]);
    expect(cut([message(0, "x".repeat(3 * SEGMENT_TEXT))])).toHaveLength(1);
  });

  test("with an earlier one's place takes what belongs between them", () => {
    const kept = write(write(EMPTY, messages(0, 100)), messages(200, 300));
    const more = write(kept, [message(150), message(5, "again")]);
    expect(sizes(more)).toEqual([101, 100, 0]);
    expect(rowsOf(more).find(({ id }) => id === message(5).id)?.text).toBe("again");
  });

  test("that has no row left is gone", () => {
    const kept = write(EMPTY, messages(0, 65));
    const later = messages(0, 65).map((row, at) => ({ ...row, order: message(1_000 + at).order }));
    const more = write(kept, later);
    expect(sizes(more)).toEqual([65, 0]);
    expect(rowsOf(more)).toEqual(later);
  });
});

test("whatever is written in whatever order is there once, as it was written last", () => {
  const batch = fc.tuple(
    fc.nat({ max: 900 }),
    fc.integer({ min: 1, max: 160 }),
    fc.integer({ min: 1, max: 3 }),
  );
  fc.assert(
    fc.property(fc.array(batch, { maxLength: 14 }), (batches) => {
      let kept = EMPTY;
      const expected = new Map<string, MessageRow>();
      for (const [version, [from, count, step]] of batches.entries()) {
        const rows = Array.from({ length: count }, (_, at) =>
          message(from + at * step, `${version}`),
        );
        for (const row of rows) expected.set(row.id, row);
        kept = write(kept, rows, version + 1);
        const { shape, segments } = kept;
        expect(shape.tail.size).toBeLessThanOrEqual(TAIL_ROWS_MAX);
        expect(Math.max(0, ...sizes(kept).slice(0, -1))).toBeLessThanOrEqual(SEGMENT_ROWS_CUT);
        expect(shape.entries.map(({ count: size }) => size)).toEqual(sizes(kept).slice(0, -1));
        expect(segments.size).toBe(shape.entries.length);
        expect(rowsOf(kept).filter(({ order }) => order > shape.last)).toHaveLength(
          shape.tail.size,
        );
      }
      const sorted = [...expected.values()].toSorted((a, b) => (a.order < b.order ? -1 : 1));
      expect(rowsOf(kept)).toEqual(sorted);
    }),
  );
});
