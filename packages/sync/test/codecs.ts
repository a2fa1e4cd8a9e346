/** The two codecs of the package with an arbitrary for their values: what property tests, vectors and fuzzing run over. */
import {
  CREDIT_MAX,
  CUTS_MAX,
  decodeEvent,
  decodeSyncMessage,
  encodeEvent,
  encodeSyncMessage,
  ESTIMATORS,
  EVENT_MS_MAX,
  eventId,
  type EventBody,
  type HistoryEvent,
  ITEMS_MAX,
  PERIODS_MAX,
  type Place,
  type Setting,
  SKETCH_PARTS_MAX,
  SLICES_MAX,
  SYMBOL_BYTES,
  SYMBOLS_MAX,
  type SyncMessage,
  type Target,
} from "@sotto/sync";
import {
  type AccountId,
  asAccountId,
  asGroupId,
  compareBytes,
  type Decoded,
  type EventId,
} from "@sotto/wire";
import * as fc from "fast-check";

/** With the prototype that values of a decoder have. */
const record = <T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(fields, { noNullPrototype: true });

export const bytes = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length });
const account: fc.Arbitrary<AccountId> = bytes(20).map(asAccountId);
const id: fc.Arbitrary<EventId> = fc
  .tuple(fc.nat({ max: EVENT_MS_MAX - 1 }), fc.nat({ max: 0xffff }), bytes(8))
  .map(([ms, counter, device]) => eventId(ms, counter, device));
const target: fc.Arbitrary<Target> = record({ id, author: account });
const text = fc.string({ unit: "grapheme", maxLength: 60 });

const place: fc.Arbitrary<Place> = fc.oneof(
  account.map((one): Place => ({ kind: "notes", account: one })),
  fc
    .tuple(account, account)
    .filter(([one, other]) => compareBytes(one, other) !== 0)
    .map(([one, other]): Place => ({
      kind: "pair",
      accounts: compareBytes(one, other) < 0 ? [one, other] : [other, one],
    })),
  bytes(32).map((group): Place => ({ kind: "group", group: asGroupId(group) })),
);

const setting: fc.Arbitrary<Setting> = fc.oneof(
  record({ field: fc.constantFrom("pin" as const, "archive" as const), value: fc.boolean() }),
  record({ field: fc.constant("mute" as const), value: fc.nat({ max: 2 ** 48 - 1 }) }),
  record({ field: fc.constant("draft" as const), value: text }),
  record({ field: fc.constant("timer" as const), value: fc.nat({ max: 0xffff_ffff }) }),
  record({
    field: fc.constant("title" as const),
    value: fc.constantFrom("", "Hiking", "爬山", "a ".repeat(31)),
  }),
);

const body: fc.Arbitrary<EventBody> = fc.oneof(
  record({
    kind: fc.constant("text" as const),
    replyTo: fc.option(target, { nil: undefined }),
    lifetimeS: fc.nat({ max: 0xffff_ffff }),
    text,
  }),
  record({ kind: fc.constant("edit" as const), target: id, text }),
  record({ kind: fc.constant("delete" as const), target: id }),
  record({ kind: fc.constant("hide" as const), target }),
  record({
    kind: fc.constant("reaction" as const),
    target,
    isOn: fc.boolean(),
    emoji: fc.constantFrom("👍", "❤️", "👨‍👩‍👧‍👦", "x"),
  }),
  record({ kind: fc.constant("received" as const), upTo: id }),
  record({ kind: fc.constant("read" as const), upTo: id }),
  record({ kind: fc.constant("setting" as const), setting }),
  record({ kind: fc.constant("erased" as const), contentHash: bytes(32) }),
);

export const event: fc.Arbitrary<HistoryEvent> = record({ id, author: account, place, body });

const salt = fc.oneof(bytes(0), bytes(16));
const head = { count: fc.nat({ max: ITEMS_MAX }), fingerprint: bytes(16) };
const estimators: fc.Arbitrary<Int32Array> = fc
  .array(fc.integer({ min: -ITEMS_MAX, max: ITEMS_MAX }), {
    minLength: ESTIMATORS,
    maxLength: ESTIMATORS,
  })
  .map((values) => Int32Array.from(values));
const ms = fc.nat({ max: 2 ** 48 - 1 });
const hashes = fc
  .array(bytes(8), { maxLength: 5 })
  .map((all) => Uint8Array.from(all.flatMap((one) => [...one])));
const symbolRun = fc.nat({ max: 3 }).chain((more) => bytes(SYMBOL_BYTES * (more + 1)));
const distinct = (max: number, maxLength: number, minLength: number) =>
  fc
    .uniqueArray(fc.nat({ max }), { minLength, maxLength })
    .map((all) => all.toSorted((a, b) => a - b));
const marked = <Name extends string>(numbers: readonly number[], name: Name) =>
  fc.tuple(...numbers.map(() => bytes(8))).map((marks) =>
    numbers.map(
      (number, at) =>
        ({ [name]: number, fingerprint: marks[at] }) as Record<Name, number> & {
          fingerprint: Uint8Array;
        },
    ),
  );

const message: fc.Arbitrary<SyncMessage> = fc.oneof(
  record({ kind: fc.constant("hello" as const), salt, ...head }),
  fc.constant<SyncMessage>({ kind: "equal" }),
  fc.constant<SyncMessage>({ kind: "mismatch" }),
  record({ kind: fc.constant("ahead" as const), newer: fc.integer({ min: 1, max: ITEMS_MAX }) }),
  record({
    kind: fc.constant("summary" as const),
    ...head,
    estimators,
    cuts: distinct(2 ** 48 - 1, CUTS_MAX, 0).chain((times) => marked(times.toReversed(), "before")),
  }),
  record({
    kind: fc.constant("ask-symbols" as const),
    from: ms,
    credit: fc.integer({ min: 1, max: CREDIT_MAX }),
  }),
  record({
    kind: fc.constant("grant" as const),
    credit: fc.integer({ min: 1, max: CREDIT_MAX }),
  }),
  record({
    kind: fc.constant("symbols" as const),
    first: fc.nat({ max: SYMBOLS_MAX }),
    bytes: symbolRun,
  }),
  record({
    kind: fc.constant("ask-list" as const),
    slices: distinct(2 ** 48 - 1, SLICES_MAX, 1).chain((times) => marked(times, "from")),
  }),
  record({
    kind: fc.constant("list" as const),
    slices: fc.nat({ max: 0xffff }),
    isLast: fc.boolean(),
    hashes,
  }),
  record({ kind: fc.constant("own-list" as const), from: ms, isLast: fc.boolean(), hashes }),
  record({ kind: fc.constant("want" as const), isLast: fc.boolean(), hashes }),
  record({
    kind: fc.constant("sketch" as const),
    salt,
    parts: fc.integer({ min: 1, max: SKETCH_PARTS_MAX }),
    part: fc.nat({ max: SKETCH_PARTS_MAX - 1 }),
    ...head,
    estimators,
    periods: distinct(100_000, PERIODS_MAX, 0).chain((numbers) => marked(numbers, "period")),
    first: fc.nat({ max: SYMBOLS_MAX }),
    bytes: symbolRun,
  }).map((one) => ({ ...one, part: one.part % one.parts })),
  record({
    kind: fc.constant("sketch-list" as const),
    salt,
    parts: fc.integer({ min: 1, max: 2_000 }),
    part: fc.nat({ max: 2_000 }),
    ...head,
    from: ms,
    hashes,
  }).map((one) => ({ ...one, part: one.part % one.parts })),
);

export interface Codec<T> {
  readonly name: string;
  readonly values: fc.Arbitrary<T>;
  readonly encode: (value: T) => Uint8Array;
  readonly decode: (bytes: Uint8Array) => Decoded<T>;
}

/** Only the pairing of an arbitrary with its own encoder matters to who runs over all of them. */
const codec = <T>(one: Codec<T>): Codec<unknown> => one as Codec<unknown>;

export const CODECS: readonly Codec<unknown>[] = [
  codec({ name: "event", values: event, encode: encodeEvent, decode: decodeEvent }),
  codec({
    name: "sync-message",
    values: message,
    encode: encodeSyncMessage,
    decode: decodeSyncMessage,
  }),
];
