/** Any segment, directory and block of id hashes: for property tests and fuzzing. */
import {
  BLOCK_SEGMENTS,
  decodeDirectory,
  decodeIdBlock,
  decodeSegment,
  type Directory,
  encodeDirectory,
  encodeIdBlock,
  encodeSegment,
  type IdBlock,
  type SegmentRow,
} from "@sotto/storage/segment";
import type { Decoded } from "@sotto/wire";
import * as fc from "fast-check";

const hex = (digits: number): fc.Arbitrary<string> =>
  fc
    .array(fc.nat({ max: 15 }), { minLength: digits, maxLength: digits })
    .map((all) => all.map((one) => one.toString(16)).join(""));

/** Few accounts, so that some come again. */
const account = fc.oneof(fc.constantFrom("ab".repeat(20), "cd".repeat(20)), hex(40));
const instant = fc.oneof(fc.nat(), fc.maxSafeNat());
const order = fc
  .tuple(
    fc.oneof(hex(12), fc.constant("018bcfe56800")),
    fc.oneof(fc.constant("0000"), hex(4)),
    account,
    hex(32),
  )
  .map((parts) => parts.join(""));

const row: fc.Arbitrary<SegmentRow> = fc
  .record(
    {
      id: fc.option(fc.string(), { nil: undefined }),
      order,
      own: fc.boolean(),
      author: fc.option(account, { nil: undefined }),
      text: fc.string({ unit: "grapheme", maxLength: 40 }),
      sentAt: fc.option(instant, { nil: undefined }),
      receivedAt: instant,
      status: fc.constantFrom("queued", "relayed", "delivered", "failed", "received"),
      path: fc.constantFrom(undefined, "direct", "relay"),
    },
    { noNullPrototype: true },
  )
  .map(({ id, sentAt, ...rest }) => ({
    ...rest,
    id: id ?? rest.order.slice(56),
    sentAt: sentAt ?? Number.parseInt(rest.order.slice(0, 12), 16),
  }));

const byOrder = (a: SegmentRow, b: SegmentRow): number =>
  a.order < b.order ? -1 : a.order > b.order ? 1 : 0;

export const segments: fc.Arbitrary<readonly SegmentRow[]> = fc
  .array(row, { minLength: 1, maxLength: 12 })
  .map((rows) => rows.toSorted(byOrder));

export const directories: fc.Arbitrary<Directory> = fc
  .tuple(
    fc.uniqueArray(fc.integer({ min: 1, max: 2 ** 40 }), { maxLength: 8 }),
    fc.array(fc.tuple(order, fc.maxSafeNat(), fc.integer({ min: 1, max: 256 })), {
      minLength: 8,
      maxLength: 8,
    }),
    order,
    fc.array(fc.tuple(fc.nat(), fc.maxSafeNat()), { maxLength: 4 }),
  )
  .map(([numbers, rest, end, blocks]) => {
    const sorted = rest.toSorted(([a], [b]) => (a < b ? -1 : 1));
    const entries = numbers.map((n, at) => {
      const [first = "", v = 0, count = 1] = sorted[at] ?? [];
      return { n, v, count, first };
    });
    const newest = entries.at(-1)?.first;
    const last = newest === undefined ? "" : end > newest ? end : newest;
    return { entries, last, blocks: new Map(blocks) };
  });

export const idBlock = (number: number): fc.Arbitrary<IdBlock> =>
  fc
    .uniqueArray(
      fc.tuple(
        fc.nat({ max: BLOCK_SEGMENTS - 1 }),
        fc.array(fc.nat({ max: 0xffff_ffff }), { maxLength: 8 }),
      ),
      { maxLength: 6, selector: ([index]) => index },
    )
    .map(
      (all) =>
        new Map(
          all
            .toSorted(([a], [b]) => a - b)
            .map(([index, hashes]) => [number * BLOCK_SEGMENTS + index, Uint32Array.from(hashes)]),
        ),
    );

interface Codec<T> {
  readonly name: string;
  /** The export that it drives. */
  readonly covers: string;
  readonly values: fc.Arbitrary<T>;
  readonly encode: (value: T) => Uint8Array;
  readonly decode: (bytes: Uint8Array) => Decoded<T>;
}

/** Only the pairing of an arbitrary with its own encoder matters to who runs over all of them. */
const codec = <T>(one: Codec<T>): Codec<unknown> => one as Codec<unknown>;

const BLOCK = 3;

export const CODECS: readonly Codec<unknown>[] = [
  codec({
    name: "segment",
    covers: "storage.decodeSegment",
    values: segments,
    encode: encodeSegment,
    decode: decodeSegment,
  }),
  codec({
    name: "segment-directory",
    covers: "storage.decodeDirectory",
    values: directories,
    encode: encodeDirectory,
    decode: decodeDirectory,
  }),
  codec({
    name: "segment-ids",
    covers: "storage.decodeIdBlock",
    values: idBlock(BLOCK),
    encode: encodeIdBlock,
    decode: (bytes) => decodeIdBlock(bytes, BLOCK),
  }),
];
