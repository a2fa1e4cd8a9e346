import * as fc from "fast-check";
import { halfSipHash } from "@sotto/sync";
import { hexToBytes } from "@sotto/wire";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { makeStorageVectors, STORAGE_VECTORS } from "../../../test/vectors/make-storage.ts";
import {
  BLOCK_BYTES_MAX,
  BLOCK_SEGMENTS,
  createIdHash,
  decodeDirectory,
  decodeIdBlock,
  decodeSegment,
  encodeDirectory,
  encodeIdBlock,
  encodeSegment,
  SEGMENT_BYTES_MAX,
  SEGMENT_ROWS_MAX,
  type SegmentRow,
} from "@sotto/storage/segment";
import { directories, idBlock, segments } from "./segments.ts";

const row = (at: number, fields: Partial<SegmentRow> = {}): SegmentRow => ({
  id: at.toString(16).padStart(32, "0"),
  order: at.toString(16).padStart(12, "0") + "0".repeat(44) + at.toString(16).padStart(32, "0"),
  own: true,
  author: undefined,
  text: `message ${at}`,
  sentAt: at,
  receivedAt: at,
  status: "queued",
  path: undefined,
  ...fields,
});
const rows = (count: number): readonly SegmentRow[] =>
  Array.from({ length: count }, (_, at) => row(at));

describe("a segment", () => {
  test("reads back as it was written", () => {
    fc.assert(
      fc.property(segments, (all) => {
        expect(decodeSegment(encodeSegment(all))).toEqual({ ok: true, value: all });
      }),
    );
  });

  test("has one form: any other byte is another segment or none", () => {
    fc.assert(
      fc.property(segments, fc.nat(), fc.integer({ min: 1, max: 255 }), (all, at, change) => {
        const bytes = encodeSegment(all);
        const place = at % bytes.length;
        bytes[place] = (bytes[place] ?? 0) ^ change;
        const read = decodeSegment(bytes);
        if (read.ok) expect(encodeSegment(read.value)).toEqual(bytes);
      }),
    );
  });

  test("that is cut short is refused, wherever", () => {
    const bytes = encodeSegment([row(1), row(2, { id: "other", author: "ab".repeat(20) })]);
    for (let length = 0; length < bytes.length; length++) {
      expect(decodeSegment(bytes.subarray(0, length)).ok, `${length} bytes`).toBe(false);
    }
  });

  test("of a later form is told from a damaged one", () => {
    const bytes = encodeSegment([row(1)]);
    bytes[0] = 2;
    expect(decodeSegment(bytes)).toEqual({ ok: false, reason: "unknown-type" });
  });

  test("holds as many rows as it may, and not one more", () => {
    const most = rows(SEGMENT_ROWS_MAX);
    expect(decodeSegment(encodeSegment(most))).toEqual({ ok: true, value: most });
    expect(() => encodeSegment(rows(SEGMENT_ROWS_MAX + 1))).toThrow(RangeError);
    expect(() => encodeSegment([])).toThrow(RangeError);
  });

  test("is as long as it may be, and not one byte longer", () => {
    const head = encodeSegment([row(1, { text: "" })]).length + 2;
    const most = [row(1, { text: "x".repeat(SEGMENT_BYTES_MAX - head) })];
    const bytes = encodeSegment(most);
    expect(bytes.length).toBe(SEGMENT_BYTES_MAX);
    expect(decodeSegment(bytes)).toEqual({ ok: true, value: most });
    const text = "x".repeat(SEGMENT_BYTES_MAX - head + 1);
    expect(() => encodeSegment([row(1, { text })])).toThrow(RangeError);
    expect(decodeSegment(new Uint8Array(SEGMENT_BYTES_MAX + 1))).toEqual({
      ok: false,
      reason: "too-large",
    });
  });

  test("of rows out of order is not written", () => {
    expect(() => encodeSegment([row(2), row(1)])).toThrow(RangeError);
  });

  test("makes half a surrogate pair a replacement character, as the wire does", () => {
    const read = decodeSegment(
      encodeSegment([row(1, { text: "a\ud83d" }), row(2, { text: "\ude00b" })]),
    );
    expect(read.ok && read.value.map(({ text }) => text)).toEqual(["a\ufffd", "\ufffdb"]);
  });

  test("of plain messages takes a few bytes more than their texts", () => {
    const author = "12".repeat(20);
    const texts = rows(128).map((one, at) => ({
      ...one,
      order: one.order.slice(0, 16) + author + one.order.slice(56),
      text: "x".repeat(at % 60),
      receivedAt: one.sentAt + 300,
    }));
    const bytes = texts.reduce((sum, { text }) => sum + text.length, 0);
    // 16 of them the id.
    expect((encodeSegment(texts).length - bytes) / texts.length).toBeLessThan(27);
  });
});

describe("a directory", () => {
  test("reads back as it was written", () => {
    fc.assert(
      fc.property(directories, (directory) => {
        expect(decodeDirectory(encodeDirectory(directory))).toEqual({ ok: true, value: directory });
      }),
    );
  });

  test("that names a segment twice, or one without rows, is refused", () => {
    const entry = { n: 1, v: 1, count: 1, first: row(1).order };
    const wrong = [[entry, entry], [{ ...entry, n: 0 }], [{ ...entry, count: 0 }]];
    for (const entries of wrong) {
      const bytes = encodeDirectory({ entries, last: row(2).order, blocks: new Map() });
      expect(decodeDirectory(bytes)).toEqual({ ok: false, reason: "malformed" });
    }
  });
});

describe("a block of id hashes", () => {
  test("reads back as it was written", () => {
    fc.assert(
      fc.property(idBlock(3), (block) => {
        expect(decodeIdBlock(encodeIdBlock(block), 3)).toEqual({ ok: true, value: block });
      }),
    );
  });

  test("that is full is no larger than it may be", () => {
    const full = new Map(
      Array.from({ length: BLOCK_SEGMENTS }, (_, n) => [n, new Uint32Array(SEGMENT_ROWS_MAX)]),
    );
    const bytes = encodeIdBlock(full);
    expect(bytes.length).toBeLessThanOrEqual(BLOCK_BYTES_MAX);
    expect(decodeIdBlock(bytes, 0)).toEqual({ ok: true, value: full });
    expect(decodeIdBlock(new Uint8Array(BLOCK_BYTES_MAX + 1), 0).ok).toBe(false);
  });
});

describe("the frozen bytes", () => {
  const vectors: unknown = JSON.parse(readFileSync(STORAGE_VECTORS, "utf8"));

  test("are what today's code writes, and reads", () => {
    const made = makeStorageVectors();
    expect(JSON.parse(JSON.stringify(made))).toEqual(vectors);
    const bytes = hexToBytes(made.segment.bytes) ?? new Uint8Array();
    expect(decodeSegment(bytes)).toEqual({ ok: true, value: made.segment.rows });
  });
});

test("an id has the hash that the specification makes of it", () => {
  const hash = createIdHash(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
  const out = { low: 5, high: 0 };
  for (const word of [
    [0x62_0061, 0x64_0063],
    [0x65, 0],
  ] as const) {
    halfSipHash(0x0403_0201, 0x0807_0605, out.low ^ word[0], out.high ^ word[1], out);
  }
  expect(hash("abcde")).toBe(out.low);
  const hashes = Array.from({ length: 1_000 }, (_, at) => hash(at.toString(16).padStart(32, "0")));
  expect(new Set(hashes).size).toBe(1_000);
});
