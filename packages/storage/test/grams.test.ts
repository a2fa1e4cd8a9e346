import {
  decodeGrams,
  encodeGrams,
  fold,
  GRAM_BLOCK_BYTES,
  gramsOf,
  rangesIn,
  RANGES_MAX,
  wantedFor,
} from "@sotto/storage/grams";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

const pieces = fc.constantFrom(
  "a",
  "B",
  "é",
  "e\u0301",
  " ",
  "你",
  "好",
  "世",
  "👋",
  "ﬁ",
  "İ",
  "ß",
  "각",
  "ᄀ",
  "ᅡ",
  "\u200d",
);
const text = fc.oneof(
  fc.array(pieces, { maxLength: 12 }).map((all) => all.join("")),
  fc.string({ unit: "grapheme", maxLength: 12 }),
);

const grams = (of: string): ReadonlySet<string> => {
  const found = new Set<string>();
  gramsOf(fold(of), found);
  return found;
};

describe("the grams of a text", () => {
  test("are found by every part of it", () => {
    fc.assert(
      fc.property(text, text, text, (before, query, after) => {
        const folded = fold(query);
        const all = fold(before + query + after);
        fc.pre(folded !== "" && all.includes(folded));
        const has = grams(before + query + after);
        const { whole, start } = wantedFor(folded);
        expect(whole.filter((gram) => !has.has(gram))).toEqual([]);
        if (start !== undefined) expect([...has].some((gram) => gram.startsWith(start))).toBe(true);
        expect(whole.length > 0).toBe(start === undefined);
      }),
      { numRuns: 500 },
    );
  });

  test("are two ideographs, three other characters, and fewer at the end", () => {
    expect([...grams("Ab 你好👋x")]).toEqual(["ab ", "b 你", " 你好", "你好", "好👋", "👋x", "x"]);
  });

  test("of a long query are few, from its beginning to its end", () => {
    expect(wantedFor("abcdefghi".repeat(2)).whole).toHaveLength(8);
    const { whole } = wantedFor("abcdefghijklmnopqrstuvwxyz");
    expect([whole.length, whole[0], whole.at(-1)]).toEqual([8, "abc", "xyz"]);
    expect(wantedFor("ab")).toEqual({ whole: [], start: "ab" });
    expect(wantedFor("好")).toEqual({ whole: [], start: "好" });
  });
});

test("places of a match are in the text as it was written", () => {
  fc.assert(
    fc.property(text, text, text, (before, query, after) => {
      const folded = fold(query);
      fc.pre(folded !== "");
      const ranges = rangesIn(before + query + after, folded);
      for (const [start, end] of ranges ?? []) {
        expect(fold((before + query + after).slice(start, end))).toContain(folded);
      }
      expect(ranges !== undefined).toBe(fold(before + query + after).includes(folded));
    }),
    { numRuns: 500 },
  );
});

test("as many places as may be are marked, and not one more", () => {
  expect(rangesIn("ab".repeat(RANGES_MAX), "a")).toHaveLength(RANGES_MAX);
  expect(rangesIn("ab".repeat(RANGES_MAX + 1), "a")).toHaveLength(RANGES_MAX);
});

describe("blocks of an index", () => {
  const places = fc
    .uniqueArray(fc.nat({ max: 511 }), { minLength: 1 })
    .map((all) => all.toSorted((a, b) => a - b));

  test("read back as they were written, in order", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ minLength: 1, maxLength: 3 }), places), (all) => {
        const postings = new Map(Object.entries(all));
        const read = encodeGrams(postings).flatMap(({ bytes }) => [...(decodeGrams(bytes) ?? [])]);
        const sorted = [...postings].toSorted(([a], [b]) => (a < b ? -1 : 1));
        expect(read).toEqual(sorted);
      }),
    );
  });

  test("are of one size, however many segments have their grams", () => {
    const every = Array.from({ length: 512 }, (_, at) => at);
    const postings = new Map(Array.from({ length: 500 }, (_, at) => [`好${at}`, every]));
    const blocks = encodeGrams(postings);
    expect(blocks.length).toBeGreaterThan(50);
    for (const { bytes } of blocks) expect(bytes.length).toBeLessThan(GRAM_BLOCK_BYTES + 700);
  });

  test("that are cut short are none", () => {
    const [block] = encodeGrams(new Map([["abc", [1, 2, 300]]]));
    const bytes = block?.bytes ?? new Uint8Array();
    for (let length = 1; length < bytes.length; length++) {
      expect(decodeGrams(bytes.subarray(0, length))).toBeUndefined();
    }
  });
});
