/**
 * What two sides of a reconciliation say to each other, as bytes.
 * Owns: layouts and their limits. Leaves to initiator.ts, responder.ts and sketch.ts: what to say.
 * Spec: SPEC.md §4.2, §4.5.
 */
import {
  type ByteReader,
  type ByteWriter,
  CONTENT_BYTES_MAX,
  createWriter,
  type Decoded,
  decodeWith,
  refuse,
} from "@sotto/wire";
import { SYMBOL_BYTES, SYMBOLS_MAX } from "./coded-symbols.ts";
import { FINGERPRINT_BYTES, ITEM_HASH_BYTES, ITEMS_MAX, SALT_BYTES } from "./item.ts";
import { ESTIMATORS } from "./item-set.ts";

/** Any message. Fits into one content of wire, with 4 KiB for what is around it there. */
export const SYNC_MESSAGE_BYTES_MAX = CONTENT_BYTES_MAX - 4_096;
/** Hashes in one message: more go into several. */
export const HASHES_PER_MESSAGE = 2_000;
/** Symbols in one message. */
export const SYMBOLS_PER_MESSAGE = 1_200;
/** Depths 16, 32, … up to more than half of ITEMS_MAX. */
export const CUTS_MAX = 18;
/** Parts into which a range is split before it is listed. */
export const SLICES_MAX = 16;
/** Symbols that one request may ask for: 1.7 MB. */
export const CREDIT_MAX = 2 ** 17;
/** Of ranges and periods: half a fingerprint. What slips through is found by the whole one at the end. */
export const SHORT_FINGERPRINT_BYTES = 8;
/** Periods that one sketch tells apart; the oldest one holds all before it. */
export const PERIODS_MAX = 48;
/** Messages of one sketch. */
export const SKETCH_PARTS_MAX = 16;
/** Messages of one list for somebody who is not there: all of a set of ITEMS_MAX. */
export const LIST_PARTS_MAX = Math.ceil(ITEMS_MAX / HASHES_PER_MESSAGE);

export interface Cut {
  /** The items before this time are meant. Milliseconds. */
  readonly before: number;
  /** SHORT_FINGERPRINT_BYTES over them. */
  readonly fingerprint: Uint8Array;
}

export interface Slice {
  /** Milliseconds; the slice ends where the next one starts. */
  readonly from: number;
  /** SHORT_FINGERPRINT_BYTES. */
  readonly fingerprint: Uint8Array;
}

export interface Period {
  /** Number of the period (§4.5); the first one of a sketch also holds everything older. */
  readonly period: number;
  /** SHORT_FINGERPRINT_BYTES. */
  readonly fingerprint: Uint8Array;
}

/** What a side says of its whole set. */
export interface SetHead {
  readonly count: number;
  /** FINGERPRINT_BYTES. */
  readonly fingerprint: Uint8Array;
}

export type SyncMessage =
  | ({ readonly kind: "hello"; readonly salt: Uint8Array } & SetHead)
  | { readonly kind: "equal" }
  /** The hello's set is the oldest part of this one, which has so many more. They follow by themselves. */
  | { readonly kind: "ahead"; readonly newer: number }
  | ({
      readonly kind: "summary";
      readonly estimators: Int32Array;
      /** Newest first. */
      readonly cuts: readonly Cut[];
    } & SetHead)
  /** Asks for symbols of the items from that time on. */
  | { readonly kind: "ask-symbols"; readonly from: number; readonly credit: number }
  | { readonly kind: "grant"; readonly credit: number }
  /** `bytes`: SYMBOL_BYTES each, the first one of index `first`. */
  | { readonly kind: "symbols"; readonly first: number; readonly bytes: Uint8Array }
  | { readonly kind: "ask-list"; readonly slices: readonly Slice[] }
  /** Hashes of the slices whose bit is set: bit 0 is the first slice. */
  | {
      readonly kind: "list";
      readonly slices: number;
      readonly isLast: boolean;
      readonly hashes: Uint8Array;
    }
  /** All hashes of the sender's items from that time on. */
  | {
      readonly kind: "own-list";
      readonly from: number;
      readonly isLast: boolean;
      readonly hashes: Uint8Array;
    }
  /** Hashes of the events the sender would like to have. The last one ends a reconciliation. */
  | { readonly kind: "want"; readonly isLast: boolean; readonly hashes: Uint8Array }
  /** A fingerprint did not fit: begin again with another salt. */
  | { readonly kind: "mismatch" }
  | ({
      readonly kind: "sketch";
      readonly salt: Uint8Array;
      readonly part: number;
      readonly parts: number;
      readonly estimators: Int32Array;
      readonly periods: readonly Period[];
      readonly first: number;
      readonly bytes: Uint8Array;
    } & SetHead)
  | ({
      readonly kind: "sketch-list";
      readonly salt: Uint8Array;
      readonly part: number;
      readonly parts: number;
      readonly from: number;
      readonly hashes: Uint8Array;
    } & SetHead);

export type SyncMessageOf<Kind extends SyncMessage["kind"]> = Extract<SyncMessage, { kind: Kind }>;

const Kind = {
  hello: 1,
  equal: 2,
  ahead: 3,
  summary: 4,
  "ask-symbols": 5,
  grant: 6,
  symbols: 7,
  "ask-list": 8,
  list: 9,
  "own-list": 10,
  want: 11,
  mismatch: 12,
  sketch: 13,
  "sketch-list": 14,
} as const;

export function encodeSyncMessage(message: SyncMessage): Uint8Array<ArrayBuffer> {
  const writer = createWriter().u8(Kind[message.kind]);
  switch (message.kind) {
    case "hello":
      return writeHead(writeSalt(writer, message.salt), message).done();
    case "equal":
    case "mismatch":
      return writer.done();
    case "ahead":
      return writeVarint(writer, message.newer).done();
    case "summary": {
      writeEstimators(writeHead(writer, message), message.estimators);
      writer.u8(message.cuts.length);
      let previous = 0;
      for (const [at, { before, fingerprint }] of message.cuts.entries()) {
        if (at === 0) writer.u48(before);
        else writeVarint(writer, previous - before);
        writer.raw(fingerprint);
        previous = before;
      }
      return writer.done();
    }
    case "ask-symbols":
      return writeVarint(writer.u48(message.from), message.credit).done();
    case "grant":
      return writeVarint(writer, message.credit).done();
    case "symbols":
      return writeVarint(writer, message.first).raw(message.bytes).done();
    case "ask-list": {
      writer.u8(message.slices.length);
      let previous = 0;
      for (const [at, { from, fingerprint }] of message.slices.entries()) {
        if (at === 0) writer.u48(from);
        else writeVarint(writer, from - previous);
        writer.raw(fingerprint);
        previous = from;
      }
      return writer.done();
    }
    case "list":
      return writer
        .u16(message.slices)
        .u8(message.isLast ? 1 : 0)
        .raw(message.hashes)
        .done();
    case "own-list":
      return writer
        .u48(message.from)
        .u8(message.isLast ? 1 : 0)
        .raw(message.hashes)
        .done();
    case "want":
      return writer
        .u8(message.isLast ? 1 : 0)
        .raw(message.hashes)
        .done();
    case "sketch": {
      writeSalt(writer, message.salt).u8(message.part).u8(message.parts);
      writeEstimators(writeHead(writer, message), message.estimators);
      writer.u8(message.periods.length);
      let previous = 0;
      for (const { period, fingerprint } of message.periods) {
        writeVarint(writer, period - previous).raw(fingerprint);
        previous = period;
      }
      return writeVarint(writer, message.first).raw(message.bytes).done();
    }
    case "sketch-list":
      writeSalt(writer, message.salt).u16(message.part).u16(message.parts);
      return writeHead(writer, message).u48(message.from).raw(message.hashes).done();
  }
}

export const decodeSyncMessage = (bytes: Uint8Array): Decoded<SyncMessage> =>
  decodeWith(bytes, SYNC_MESSAGE_BYTES_MAX, (reader): SyncMessage => {
    switch (reader.u8()) {
      case Kind.hello:
        return { kind: "hello", salt: readSalt(reader), ...readHead(reader) };
      case Kind.equal:
        return { kind: "equal" };
      case Kind.mismatch:
        return { kind: "mismatch" };
      case Kind.ahead:
        return { kind: "ahead", newer: readVarint(reader, 1, ITEMS_MAX) };
      case Kind.summary:
        return {
          kind: "summary",
          ...readHead(reader),
          estimators: readEstimators(reader),
          cuts: readCuts(reader),
        };
      case Kind["ask-symbols"]:
        return {
          kind: "ask-symbols",
          from: reader.u48(),
          credit: readVarint(reader, 1, CREDIT_MAX),
        };
      case Kind.grant:
        return { kind: "grant", credit: readVarint(reader, 1, CREDIT_MAX) };
      case Kind.symbols:
        return { kind: "symbols", ...readSymbolRun(reader) };
      case Kind["ask-list"]:
        return { kind: "ask-list", slices: readSlices(reader) };
      case Kind.list: {
        const slices = reader.u16();
        return { kind: "list", slices, isLast: readFlag(reader), hashes: readHashes(reader) };
      }
      case Kind["own-list"]: {
        const from = reader.u48();
        return { kind: "own-list", from, isLast: readFlag(reader), hashes: readHashes(reader) };
      }
      case Kind.want:
        return { kind: "want", isLast: readFlag(reader), hashes: readHashes(reader) };
      case Kind.sketch: {
        const salt = readSalt(reader);
        const part = reader.u8();
        const parts = reader.u8();
        if (part >= parts || parts > SKETCH_PARTS_MAX) refuse("malformed");
        const head = readHead(reader);
        const estimators = readEstimators(reader);
        const periods = readPeriods(reader);
        const run = readSymbolRun(reader);
        return { kind: "sketch", salt, part, parts, ...head, estimators, periods, ...run };
      }
      case Kind["sketch-list"]: {
        const salt = readSalt(reader);
        const part = reader.u16();
        const parts = reader.u16();
        if (part >= parts || parts > LIST_PARTS_MAX) refuse("malformed");
        const head = readHead(reader);
        const from = reader.u48();
        const hashes = readHashes(reader);
        return { kind: "sketch-list", salt, part, parts, ...head, from, hashes };
      }
      default:
        return refuse("unknown-type");
    }
  });

const writeSalt = (writer: ByteWriter, salt: Uint8Array): ByteWriter =>
  writer.u8(salt.length).raw(salt);

function readSalt(reader: ByteReader): Uint8Array {
  const length = reader.u8();
  if (length !== 0 && length !== SALT_BYTES) refuse("malformed");
  return reader.take(length);
}

const writeHead = (writer: ByteWriter, { count, fingerprint }: SetHead): ByteWriter =>
  writer.u32(count).raw(fingerprint);

function readHead(reader: ByteReader): SetHead {
  const count = reader.u32();
  if (count > ITEMS_MAX) refuse("too-large");
  return { count, fingerprint: reader.take(FINGERPRINT_BYTES) };
}

function readFlag(reader: ByteReader): boolean {
  const flag = reader.u8();
  return flag > 1 ? refuse("malformed") : flag === 1;
}

/** Seven bits a byte, lowest first; the high bit says that more follow. Below 2^53, and never with a shift of 32 bits. */
function writeVarint(writer: ByteWriter, value: number): ByteWriter {
  let left = value;
  for (; left >= 0x80; left = Math.floor(left / 0x80)) writer.u8((left % 0x80) | 0x80);
  return writer.u8(left);
}

/** In one form only: no last byte of zero but that of zero itself. */
function readVarint(reader: ByteReader, min: number, max: number): number {
  let value = 0;
  for (let scale = 1; ; scale *= 0x80) {
    const byte = reader.u8();
    value += (byte & 0x7f) * scale;
    if (value > max) refuse("malformed");
    if (byte < 0x80) {
      if (byte === 0 && scale > 1) refuse("malformed");
      break;
    }
    // Zeros go on without the value growing.
    if (scale > max) refuse("malformed");
  }
  return value < min ? refuse("malformed") : value;
}

/** Signed: 0, -1, 1, -2, … as 0, 1, 2, 3, … */
function writeEstimators(writer: ByteWriter, estimators: Int32Array): ByteWriter {
  for (const value of estimators) writeVarint(writer, value < 0 ? -2 * value - 1 : 2 * value);
  return writer;
}

const readEstimators = (reader: ByteReader): Int32Array =>
  Int32Array.from({ length: ESTIMATORS }, () => {
    const value = readVarint(reader, 0, 2 * ITEMS_MAX);
    return value % 2 === 1 ? -(value + 1) / 2 : value / 2;
  });

const MS_MAX = 2 ** 48 - 1;

/** Times fall; there may be none. */
function readCuts(reader: ByteReader): readonly Cut[] {
  const length = reader.u8();
  if (length > CUTS_MAX) refuse("too-large");
  const cuts: Cut[] = [];
  let before = 0;
  for (let at = 0; at < length; at++) {
    before = at === 0 ? reader.u48() : before - readVarint(reader, 1, before);
    cuts.push({ before, fingerprint: reader.take(SHORT_FINGERPRINT_BYTES) });
  }
  return cuts;
}

/** Times rise; there is at least one. */
function readSlices(reader: ByteReader): readonly Slice[] {
  const length = reader.u8();
  if (length > SLICES_MAX) refuse("too-large");
  if (length === 0) refuse("malformed");
  const slices: Slice[] = [];
  let from = 0;
  for (let at = 0; at < length; at++) {
    from = at === 0 ? reader.u48() : from + readVarint(reader, 1, MS_MAX - from);
    slices.push({ from, fingerprint: reader.take(SHORT_FINGERPRINT_BYTES) });
  }
  return slices;
}

/** 30 days in milliseconds: long enough for four years of them in one sketch, and no calendar is needed. */
export const PERIOD_MS = 30 * 86_400_000;
const PERIOD_MAX = Math.floor(MS_MAX / PERIOD_MS);

/** Numbers rise; there may be none. */
function readPeriods(reader: ByteReader): readonly Period[] {
  const length = reader.u8();
  if (length > PERIODS_MAX) refuse("too-large");
  const periods: Period[] = [];
  let period = 0;
  for (let at = 0; at < length; at++) {
    period += readVarint(reader, at === 0 ? 0 : 1, PERIOD_MAX - period);
    periods.push({ period, fingerprint: reader.take(SHORT_FINGERPRINT_BYTES) });
  }
  return periods;
}

function readSymbolRun(reader: ByteReader): { first: number; bytes: Uint8Array } {
  const first = readVarint(reader, 0, SYMBOLS_MAX);
  const count = reader.left() / SYMBOL_BYTES;
  if (!Number.isInteger(count) || count === 0) refuse("malformed");
  if (count > SYMBOLS_PER_MESSAGE) refuse("too-large");
  return { first, bytes: reader.rest() };
}

function readHashes(reader: ByteReader): Uint8Array {
  const count = reader.left() / ITEM_HASH_BYTES;
  if (!Number.isInteger(count)) refuse("malformed");
  if (count > HASHES_PER_MESSAGE) refuse("too-large");
  return reader.rest();
}
