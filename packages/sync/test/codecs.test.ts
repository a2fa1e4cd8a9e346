/** Both codecs: total, one form for each value, and every limit at it and one past it. */
import {
  CREDIT_MAX,
  CUTS_MAX,
  decodeEvent,
  decodeSyncMessage,
  encodeEvent,
  encodeSyncMessage,
  ESTIMATORS,
  EVENT_BYTES_MAX,
  EVENT_MS_MAX,
  eventId,
  EMOJI_BYTES_MAX,
  HASHES_PER_MESSAGE,
  type HistoryEvent,
  ITEMS_MAX,
  LIST_PARTS_MAX,
  PERIODS_MAX,
  SKETCH_PARTS_MAX,
  SLICES_MAX,
  SYMBOL_BYTES,
  SYMBOLS_MAX,
  SYMBOLS_PER_MESSAGE,
  SYNC_MESSAGE_BYTES_MAX,
  type SyncMessage,
} from "@sotto/sync";
import {
  asAccountId,
  asGroupId,
  CONTENT_BYTES_MAX,
  NAME_BYTES_MAX,
  TEXT_BYTES_MAX,
} from "@sotto/wire";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CODECS } from "./codecs.ts";

describe.each(CODECS)("the codec of $name", ({ values, encode, decode }) => {
  it("reads back what it wrote, and keeps nothing of the memory it read from", () => {
    fc.assert(
      fc.property(values, (value) => {
        const bytes = Buffer.from(encode(value));
        const decoded = decode(bytes);
        bytes.fill(0x55);
        expect(decoded).toStrictEqual({ ok: true, value });
      }),
      { numRuns: 300 },
    );
  });

  it("never throws, and has one form for each value", () => {
    const near = fc
      .tuple(
        values,
        fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 3 }),
        fc.nat({ max: 3 }),
      )
      .map(([value, changes, cut]) => {
        const bytes = Uint8Array.from(encode(value));
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
        return bytes.subarray(0, bytes.length - cut);
      });
    fc.assert(
      fc.property(fc.oneof(near, fc.uint8Array({ maxLength: 300 })), (bytes) => {
        const decoded = decode(bytes);
        if (decoded.ok) expect(encode(decoded.value)).toStrictEqual(Uint8Array.from(bytes));
      }),
      { numRuns: 1_000 },
    );
  });
});

const FINGERPRINT = new Uint8Array(16);
const MARK = new Uint8Array(8);
const NO_ESTIMATE = new Int32Array(ESTIMATORS);
const head = { count: 1, fingerprint: FINGERPRINT };
const hashes = (count: number): Uint8Array => new Uint8Array(8 * count);
const symbols = (count: number): Uint8Array => new Uint8Array(SYMBOL_BYTES * count);
const falling = (length: number) =>
  Array.from({ length }, (_, at) => ({ before: 1_000 - at, fingerprint: MARK }));
const rising = (length: number) =>
  Array.from({ length }, (_, at) => ({ from: 1_000 + at, fingerprint: MARK }));
const periods = (length: number) =>
  Array.from({ length }, (_, at) => ({ period: 10 + at, fingerprint: MARK }));
const sketch = {
  kind: "sketch",
  salt: MARK.subarray(0, 0),
  ...head,
  estimators: NO_ESTIMATE,
} as const;

type Reason = "malformed" | "too-large";
const MESSAGE_LIMITS: readonly (readonly [string, SyncMessage, SyncMessage, Reason])[] = [
  [
    "items of a set",
    { kind: "hello", salt: MARK.subarray(0, 0), count: ITEMS_MAX, fingerprint: FINGERPRINT },
    { kind: "hello", salt: MARK.subarray(0, 0), count: ITEMS_MAX + 1, fingerprint: FINGERPRINT },
    "too-large",
  ],
  [
    "newer items",
    { kind: "ahead", newer: ITEMS_MAX },
    { kind: "ahead", newer: ITEMS_MAX + 1 },
    "malformed",
  ],
  [
    "newer items, at least one",
    { kind: "ahead", newer: 1 },
    { kind: "ahead", newer: 0 },
    "malformed",
  ],
  [
    "cuts",
    { kind: "summary", ...head, estimators: NO_ESTIMATE, cuts: falling(CUTS_MAX) },
    { kind: "summary", ...head, estimators: NO_ESTIMATE, cuts: falling(CUTS_MAX + 1) },
    "too-large",
  ],
  [
    "credit",
    { kind: "grant", credit: CREDIT_MAX },
    { kind: "grant", credit: CREDIT_MAX + 1 },
    "malformed",
  ],
  [
    "symbols of a message",
    { kind: "symbols", first: 0, bytes: symbols(SYMBOLS_PER_MESSAGE) },
    { kind: "symbols", first: 0, bytes: symbols(SYMBOLS_PER_MESSAGE + 1) },
    "too-large",
  ],
  [
    "the index of a symbol",
    { kind: "symbols", first: SYMBOLS_MAX, bytes: symbols(1) },
    { kind: "symbols", first: SYMBOLS_MAX + 1, bytes: symbols(1) },
    "malformed",
  ],
  [
    "slices",
    { kind: "ask-list", slices: rising(SLICES_MAX) },
    { kind: "ask-list", slices: rising(SLICES_MAX + 1) },
    "too-large",
  ],
  [
    "slices, at least one",
    { kind: "ask-list", slices: rising(1) },
    { kind: "ask-list", slices: [] },
    "malformed",
  ],
  [
    "hashes of a message",
    { kind: "want", isLast: true, hashes: hashes(HASHES_PER_MESSAGE) },
    { kind: "want", isLast: true, hashes: hashes(HASHES_PER_MESSAGE + 1) },
    "too-large",
  ],
  [
    "periods of a sketch",
    { ...sketch, part: 0, parts: 1, periods: periods(PERIODS_MAX), first: 0, bytes: symbols(1) },
    {
      ...sketch,
      part: 0,
      parts: 1,
      periods: periods(PERIODS_MAX + 1),
      first: 0,
      bytes: symbols(1),
    },
    "too-large",
  ],
  [
    "parts of a sketch",
    { ...sketch, part: 0, parts: SKETCH_PARTS_MAX, periods: [], first: 0, bytes: symbols(1) },
    { ...sketch, part: 0, parts: SKETCH_PARTS_MAX + 1, periods: [], first: 0, bytes: symbols(1) },
    "malformed",
  ],
  [
    "parts of a list",
    {
      kind: "sketch-list",
      salt: MARK.subarray(0, 0),
      ...head,
      part: 0,
      parts: LIST_PARTS_MAX,
      from: 0,
      hashes: hashes(1),
    },
    {
      kind: "sketch-list",
      salt: MARK.subarray(0, 0),
      ...head,
      part: 0,
      parts: LIST_PARTS_MAX + 1,
      from: 0,
      hashes: hashes(1),
    },
    "malformed",
  ],
  [
    "the last part",
    { ...sketch, part: 1, parts: 2, periods: [], first: 0, bytes: symbols(1) },
    { ...sketch, part: 2, parts: 2, periods: [], first: 0, bytes: symbols(1) },
    "malformed",
  ],
];

describe("a message", () => {
  it.each(MESSAGE_LIMITS)("keeps the limit of %s", (_, at, past, reason) => {
    expect(decodeSyncMessage(encodeSyncMessage(at))).toMatchObject({ ok: true });
    expect(decodeSyncMessage(encodeSyncMessage(past))).toEqual({ ok: false, reason });
  });

  it("fits into one content of wire with room for what is around it, and no larger one is read", () => {
    expect(SYNC_MESSAGE_BYTES_MAX).toBeLessThan(CONTENT_BYTES_MAX);
    const largest = [
      encodeSyncMessage({
        kind: "own-list",
        from: 0,
        isLast: true,
        hashes: hashes(HASHES_PER_MESSAGE),
      }),
      encodeSyncMessage({
        ...sketch,
        salt: FINGERPRINT,
        part: 0,
        parts: 1,
        estimators: new Int32Array(ESTIMATORS).fill(-ITEMS_MAX),
        periods: periods(PERIODS_MAX),
        first: SYMBOLS_MAX,
        bytes: symbols(SYMBOLS_PER_MESSAGE),
      }),
    ];
    for (const one of largest) expect(one.length).toBeLessThanOrEqual(SYNC_MESSAGE_BYTES_MAX);
    const reasonAt = (length: number): unknown => {
      const decoded = decodeSyncMessage(new Uint8Array(length).fill(200));
      return decoded.ok || decoded.reason;
    };
    expect(reasonAt(SYNC_MESSAGE_BYTES_MAX)).toBe("unknown-type");
    expect(reasonAt(SYNC_MESSAGE_BYTES_MAX + 1)).toBe("too-large");
  });

  it.each([
    ["a number with a zero too many", "06e4808000"],
    ["a number without an end", "06ffffffffffffffff"],
    [
      "times of cuts that do not fall",
      `04${"00".repeat(20)}${"00".repeat(ESTIMATORS)}02${"00".repeat(5)}05${"00".repeat(8)}00${"00".repeat(8)}`,
    ],
    ["a flag that is neither", "0b02"],
    ["half a hash", "0b0100"],
    ["a salt of a strange length", `010f${"00".repeat(35)}`],
  ])("is refused with %s", (_, hex) => {
    expect(decodeSyncMessage(Buffer.from(hex, "hex"))).toEqual({ ok: false, reason: "malformed" });
  });
});

const author = asAccountId(new Uint8Array(20).fill(1));
const other = asAccountId(new Uint8Array(20).fill(2));
const id = eventId(EVENT_MS_MAX - 1, 0xffff, new Uint8Array(8));
const of = (body: HistoryEvent["body"]): HistoryEvent => ({
  id,
  author,
  place: { kind: "pair", accounts: [author, other] },
  body,
});
const text = (length: number): HistoryEvent =>
  of({ kind: "text", text: "x".repeat(length), replyTo: { id, author }, lifetimeS: 1 });

describe("an event", () => {
  it.each([
    ["its text", text(TEXT_BYTES_MAX), text(TEXT_BYTES_MAX + 1), "too-large"],
    [
      "an edit",
      of({ kind: "edit", target: id, text: "x".repeat(TEXT_BYTES_MAX) }),
      of({ kind: "edit", target: id, text: "x".repeat(TEXT_BYTES_MAX + 1) }),
      "too-large",
    ],
    [
      "an emoji",
      of({
        kind: "reaction",
        target: { id, author },
        isOn: true,
        emoji: "x".repeat(EMOJI_BYTES_MAX),
      }),
      of({
        kind: "reaction",
        target: { id, author },
        isOn: true,
        emoji: "x".repeat(EMOJI_BYTES_MAX + 1),
      }),
      "too-large",
    ],
    [
      "an emoji, at least one byte",
      of({ kind: "reaction", target: { id, author }, isOn: true, emoji: "x" }),
      of({ kind: "reaction", target: { id, author }, isOn: true, emoji: "" }),
      "malformed",
    ],
    [
      "a draft",
      of({ kind: "setting", setting: { field: "draft", value: "x".repeat(TEXT_BYTES_MAX) } }),
      of({ kind: "setting", setting: { field: "draft", value: "x".repeat(TEXT_BYTES_MAX + 1) } }),
      "too-large",
    ],
    [
      "a title",
      of({ kind: "setting", setting: { field: "title", value: "𝒳".repeat(NAME_BYTES_MAX / 4) } }),
      of({
        kind: "setting",
        setting: { field: "title", value: `${"𝒳".repeat(NAME_BYTES_MAX / 4)}x` },
      }),
      "too-large",
    ],
    [
      "its time",
      of({ kind: "delete", target: eventId(EVENT_MS_MAX - 1, 0, new Uint8Array(8)) }),
      of({ kind: "delete", target: eventId(EVENT_MS_MAX, 0, new Uint8Array(8)) }),
      "malformed",
    ],
    [
      "two in a pair",
      of({ kind: "delete", target: id }),
      {
        ...of({ kind: "delete", target: id }),
        place: { kind: "pair", accounts: [author, author] },
      },
      "malformed",
    ],
  ] as const)("keeps the limit of %s", (_, at, past, reason) => {
    expect(decodeEvent(encodeEvent(at))).toEqual({ ok: true, value: at });
    expect(decodeEvent(encodeEvent(past))).toEqual({ ok: false, reason });
  });

  it("is at most so large", () => {
    const largest = encodeEvent(text(TEXT_BYTES_MAX));
    expect(largest.length).toBeLessThanOrEqual(EVENT_BYTES_MAX);
    const inGroup = {
      ...text(TEXT_BYTES_MAX),
      place: { kind: "group", group: asGroupId(new Uint8Array(32)) },
    } as const;
    expect(encodeEvent(inGroup).length).toBeLessThan(largest.length);
    expect(largest.length).toBe(EVENT_BYTES_MAX);
    expect(decodeEvent(new Uint8Array(EVENT_BYTES_MAX + 1))).toEqual({
      ok: false,
      reason: "too-large",
    });
  });
});
