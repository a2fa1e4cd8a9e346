/**
 * The bytes of history: a segment of messages in columns, a conversation's directory of segments, and a block of id
 * hashes. Each value has one form, so what does not read back as it was written is damage.
 * Owns: the three codecs and their limits. Leaves to sealing.ts: keeping them secret; to plan.ts: what goes where.
 * Spec: SPEC.md §3. Pure.
 */
import type { MessageRow, MessageStatus, Path } from "@sotto/protocol";
import { halfSipHash } from "@sotto/sync";
import {
  bytesToHex,
  bytesToUtf8,
  type ByteReader,
  type ByteWriter,
  createWriter,
  type Decoded,
  decodeWith,
  hexToBytes,
  refuse,
  utf8ToBytes,
} from "@sotto/wire";

/** Messages in one segment, at the very most. */
export const SEGMENT_ROWS_MAX = 256;
/** One segment, encoded. */
export const SEGMENT_BYTES_MAX = 2_097_152;
/** Segments of one conversation: four million messages and more. */
export const DIRECTORY_ENTRIES_MAX = 65_536;
const DIRECTORY_BYTES_MAX = 8_388_608;
/** Segments whose id hashes stand in one block. */
export const BLOCK_SEGMENTS = 64;
export const BLOCK_BYTES_MAX = BLOCK_SEGMENTS * (3 + 4 * SEGMENT_ROWS_MAX) + 3;

const FORMAT = 1;
const ACCOUNT_BYTES = 20;
const ID_BYTES = 16;
const MS_MAX = 0xffff_ffff_ffff;
const COUNTER_MAX = 0xffff;

/** Of a segment all are of one conversation, which is not among the bytes. */
export type SegmentRow = Omit<MessageRow, "conversation">;

/** What a directory says of a segment. */
export interface Entry {
  /** Its number in the conversation, from 1. */
  readonly n: number;
  /** Version of the head that it was last sealed for. */
  readonly v: number;
  readonly count: number;
  /** Order key of its first row. */
  readonly first: string;
}

export interface Directory {
  /** Ascending by `first`; no segment reaches into the next. */
  readonly entries: readonly Entry[];
  /** Order key of the last row of the last segment; empty without segments. */
  readonly last: string;
  /** Version that each block of id hashes was last sealed for, by its number. */
  readonly blocks: ReadonlyMap<number, number>;
}

/** Hashes of the ids in each segment of one block, by the segment's number. */
export type IdBlock = ReadonlyMap<number, Uint32Array>;

const STATUSES: readonly MessageStatus[] = ["queued", "relayed", "delivered", "failed", "received"];
const PATHS: readonly (Path | undefined)[] = [undefined, "direct", "relay"];

const OWN = 1;
const STATUS_SHIFT = 1;
const PATH_SHIFT = 4;
const OTHER_ID = 64;
const AUTHOR = 128;

/** Little-endian groups of seven bits; as short as can be. */
export function writeVarint(writer: ByteWriter, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError("not a count");
  let left = value;
  for (; left >= 128; left = Math.floor(left / 128)) writer.u8((left % 128) | 128);
  writer.u8(left);
}

export function readVarint(reader: ByteReader, max = Number.MAX_SAFE_INTEGER): number {
  let value = 0;
  for (let scale = 1; ; scale *= 128) {
    const byte = reader.u8();
    value += (byte & 127) * scale;
    if (value > max || (byte === 0 && scale > 1)) refuse("malformed");
    if (byte < 128) return value;
  }
}

/** What an order key is made of. */
interface Place {
  readonly ms: number;
  readonly counter: number;
  readonly author: string;
  readonly id: string;
}

const placeOf = (order: string): Place => ({
  ms: Number.parseInt(order.slice(0, 12), 16),
  counter: Number.parseInt(order.slice(12, 16), 16),
  author: order.slice(16, 56),
  id: order.slice(56),
});

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, "0");

/** Accounts by the order in which they are first named. */
function createAuthors(): { readonly list: string[]; indexOf(account: string): number } {
  const list: string[] = [];
  const byName = new Map<string, number>();
  return {
    list,
    indexOf(account) {
      let index = byName.get(account);
      if (index === undefined) {
        index = list.length;
        byName.set(account, index);
        list.push(account);
      }
      return index;
    },
  };
}

const rawHex = (text: string): Uint8Array => {
  const bytes = hexToBytes(text);
  if (bytes === undefined) throw new RangeError("not hex");
  return bytes;
};

const isAscending = (orders: readonly string[]): boolean =>
  orders.every((order, at) => at === 0 || order >= (orders[at - 1] ?? ""));

/** Ascending order keys in columns, then `more` accounts that the caller's columns name. */
function writeOrders(
  writer: ByteWriter,
  orders: readonly string[],
  more: readonly string[] = [],
): readonly number[] {
  const places = orders.map(placeOf);
  const authors = createAuthors();
  const indices = places.map(({ author }) => authors.indexOf(author));
  const others = more.map((account) => authors.indexOf(account));
  writeVarint(writer, authors.list.length);
  for (const account of authors.list) writer.raw(rawHex(account));
  let before = 0;
  for (const { ms } of places) {
    writeVarint(writer, ms - before);
    before = ms;
  }
  for (const { counter } of places) writeVarint(writer, counter);
  for (const index of indices) writeVarint(writer, index);
  for (const { id } of places) writer.raw(rawHex(id));
  return others;
}

interface Orders {
  readonly orders: readonly string[];
  readonly places: readonly Place[];
  readonly authors: readonly string[];
  /** How many of the accounts the order keys name: the first ones. */
  readonly named: number;
}

function readOrders(reader: ByteReader, count: number, authorsMax: number): Orders {
  const times = (): undefined[] => Array.from({ length: count });
  const authorCount = readVarint(reader, authorsMax);
  const authors = Array.from({ length: authorCount }, () => bytesToHex(reader.take(ACCOUNT_BYTES)));
  if (new Set(authors).size < authorCount) refuse("malformed");
  let ms = 0;
  const instants = times().map(() => (ms += readVarint(reader, MS_MAX - ms)));
  const counters = times().map(() => readVarint(reader, COUNTER_MAX));
  let named = 0;
  const indices = times().map(() => {
    const index = readVarint(reader, Math.min(named, authorCount - 1));
    if (index === named) named++;
    return index;
  });
  const places = instants.map((instant, at) => ({
    ms: instant,
    counter: counters[at] ?? 0,
    author: authors[indices[at] ?? 0] ?? "",
    id: bytesToHex(reader.take(ID_BYTES)),
  }));
  const orders = places.map(
    (place) => hex(place.ms, 12) + hex(place.counter, 4) + place.author + place.id,
  );
  if (!isAscending(orders)) refuse("malformed");
  return { orders, places, authors, named };
}

/** Equal, later or earlier than `from`, and by how much. */
function writeInstant(writer: ByteWriter, value: number, from: number): void {
  writer.u8(value === from ? 0 : value > from ? 1 : 2);
  if (value !== from) writeVarint(writer, Math.abs(value - from));
}

function readInstant(reader: ByteReader, from: number): number {
  const side = reader.u8();
  if (side === 0) return from;
  const by = readVarint(reader);
  const value = side === 1 ? from + by : from - by;
  if (side > 2 || by === 0 || value < 0 || !Number.isSafeInteger(value)) refuse("malformed");
  return value;
}

/**
 * `rows`: ascending by `order`, 1 to SEGMENT_ROWS_MAX. Half a surrogate pair becomes U+FFFD, as it does on
 * the wire. Throws a RangeError for rows that have no such form.
 */
export function encodeSegment(rows: readonly SegmentRow[]): Uint8Array<ArrayBuffer> {
  if (rows.length === 0 || rows.length > SEGMENT_ROWS_MAX) throw new RangeError("rows");
  const writer = createWriter(rows.length * 64);
  writer.u8(FORMAT);
  writeVarint(writer, rows.length);
  const orders = rows.map(({ order }) => order);
  if (!isAscending(orders)) throw new RangeError("rows out of order");
  const authored = rows.flatMap(({ author }) => (author === undefined ? [] : [author]));
  const authors = writeOrders(writer, orders, authored);
  const others = rows.filter(({ id, order }) => id !== order.slice(56));
  for (const { own, status, path, id, order, author } of rows) {
    writer.u8(
      (own ? OWN : 0) |
        (STATUSES.indexOf(status) << STATUS_SHIFT) |
        (PATHS.indexOf(path) << PATH_SHIFT) |
        (id === order.slice(56) ? 0 : OTHER_ID) |
        (author === undefined ? 0 : AUTHOR),
    );
  }
  for (const author of authors) writeVarint(writer, author);
  for (const { sentAt, order } of rows) writeInstant(writer, sentAt, placeOf(order).ms);
  for (const { receivedAt, sentAt } of rows) writeInstant(writer, receivedAt, sentAt);
  // Lengths in UTF-16 units: one decoding for all, then slices.
  const texts = [...others.map(({ id }) => id), ...rows.map(({ text }) => text)].map((text) =>
    text.toWellFormed(),
  );
  for (const text of texts) writeVarint(writer, text.length);
  const encoded = writer.raw(utf8ToBytes(texts.join(""))).done();
  if (encoded.length > SEGMENT_BYTES_MAX) throw new RangeError("segment too large");
  return encoded;
}

export const decodeSegment = (bytes: Uint8Array): Decoded<readonly SegmentRow[]> =>
  decodeWith(bytes, SEGMENT_BYTES_MAX, readSegment);

function readSegment(reader: ByteReader): readonly SegmentRow[] {
  if (reader.u8() !== FORMAT) refuse("unknown-type");
  const count = readVarint(reader, SEGMENT_ROWS_MAX);
  if (count === 0) refuse("malformed");
  const { orders, places, authors, named } = readOrders(reader, count, 2 * count);
  const flags = orders.map(() => reader.u8());
  for (const flag of flags) {
    const isKnown = ((flag >> STATUS_SHIFT) & 7) < STATUSES.length;
    if (!isKnown || ((flag >> PATH_SHIFT) & 3) >= PATHS.length) refuse("malformed");
  }
  let reached = named;
  const authorOf = flags.map((flag) => {
    if ((flag & AUTHOR) === 0) return undefined;
    const index = readVarint(reader, Math.min(reached, authors.length - 1));
    if (index === reached) reached++;
    return authors[index];
  });
  if (reached !== authors.length) refuse("malformed");
  const sent = places.map(({ ms }) => readInstant(reader, ms));
  const received = sent.map((at) => readInstant(reader, at));
  const otherIds = flags.filter((flag) => (flag & OTHER_ID) !== 0).length;
  const lengths = Array.from({ length: otherIds + count }, () => readVarint(reader, reader.left()));
  const run = bytesToUtf8(reader.rest()) ?? refuse("malformed");
  let at = 0;
  const texts = lengths.map((length) => run.slice(at, (at += length)));
  if (at !== run.length || !texts.every((text) => text.isWellFormed())) refuse("malformed");
  let other = 0;
  return orders.map((order, index) => {
    const flag = flags[index] ?? 0;
    const short = order.slice(56);
    const id = (flag & OTHER_ID) === 0 ? short : (texts[other++] ?? "");
    if ((flag & OTHER_ID) !== 0 && id === short) refuse("malformed");
    return {
      id,
      order,
      own: (flag & OWN) !== 0,
      author: authorOf[index],
      text: texts[otherIds + index] ?? "",
      sentAt: sent[index] ?? 0,
      receivedAt: received[index] ?? 0,
      status: STATUSES[(flag >> STATUS_SHIFT) & 7] ?? "failed",
      path: PATHS[(flag >> PATH_SHIFT) & 3],
    } satisfies Required<SegmentRow>;
  });
}

/** Throws a RangeError above DIRECTORY_ENTRIES_MAX entries. */
export function encodeDirectory({ entries, last, blocks }: Directory): Uint8Array<ArrayBuffer> {
  if (entries.length > DIRECTORY_ENTRIES_MAX) throw new RangeError("too many segments");
  const writer = createWriter(entries.length * 32 + 64);
  writer.u8(FORMAT);
  writeVarint(writer, entries.length);
  for (const { n, v, count } of entries) {
    for (const value of [n, v, count]) writeVarint(writer, value);
  }
  // The last row of a segment of one is its first.
  const firsts = entries.map(({ first }) => first);
  const isApart = entries.length > 0 && last !== firsts.at(-1);
  writer.u8(isApart ? 1 : 0);
  writeOrders(writer, isApart ? [...firsts, last] : firsts);
  writeVarint(writer, blocks.size);
  for (const [block, v] of blocks) {
    writeVarint(writer, block);
    writeVarint(writer, v);
  }
  return writer.done();
}

export const decodeDirectory = (bytes: Uint8Array): Decoded<Directory> =>
  decodeWith(bytes, DIRECTORY_BYTES_MAX, (reader) => {
    if (reader.u8() !== FORMAT) refuse("unknown-type");
    const count = readVarint(reader, DIRECTORY_ENTRIES_MAX);
    const numbers = Array.from({ length: count }, () => {
      const [n, v] = [readVarint(reader), readVarint(reader)];
      return { n, v, count: readVarint(reader, SEGMENT_ROWS_MAX) };
    });
    const apart = reader.u8();
    if (apart > Math.min(count, 1)) refuse("malformed");
    const { orders, authors, named } = readOrders(reader, count + apart, count + apart);
    if (named !== authors.length) refuse("malformed");
    if (apart === 1 && orders.at(-1) === orders.at(-2)) refuse("malformed");
    const isDistinct = new Set(numbers.map(({ n }) => n)).size === count;
    if (!isDistinct || numbers.some((one) => one.n === 0 || one.count === 0)) refuse("malformed");
    const blocks = new Map<number, number>();
    const blockCount = readVarint(reader, DIRECTORY_ENTRIES_MAX);
    for (let at = 0; at < blockCount; at++) blocks.set(readVarint(reader), readVarint(reader));
    if (blocks.size !== blockCount) refuse("malformed");
    return {
      entries: numbers.map((entry, at) => ({ ...entry, first: orders[at] ?? "" })),
      last: orders.at(-1) ?? "",
      blocks,
    };
  });

/** At most BLOCK_SEGMENTS segments, of SEGMENT_ROWS_MAX ids at most each; ascending by number. */
export function encodeIdBlock(block: IdBlock): Uint8Array<ArrayBuffer> {
  const writer = createWriter(BLOCK_BYTES_MAX);
  writer.u8(FORMAT);
  writeVarint(writer, block.size);
  for (const [n, hashes] of block) {
    writer.u8(n % BLOCK_SEGMENTS);
    writeVarint(writer, hashes.length);
    for (const hash of hashes) writer.u32(hash);
  }
  return writer.done();
}

/** `number`: which block it is, for the numbers of its segments. */
export const decodeIdBlock = (bytes: Uint8Array, number: number): Decoded<IdBlock> =>
  decodeWith(bytes, BLOCK_BYTES_MAX, (reader) => {
    if (reader.u8() !== FORMAT) refuse("unknown-type");
    const size = readVarint(reader, BLOCK_SEGMENTS);
    const block = new Map<number, Uint32Array>();
    let before = -1;
    for (let at = 0; at < size; at++) {
      const index = reader.u8();
      if (index <= before || index >= BLOCK_SEGMENTS) refuse("malformed");
      before = index;
      const hashes = new Uint32Array(readVarint(reader, SEGMENT_ROWS_MAX));
      for (let place = 0; place < hashes.length; place++) hashes[place] = reader.u32();
      block.set(number * BLOCK_SEGMENTS + index, hashes);
    }
    return block;
  });

export const ID_KEY_BYTES = 8;

/** Four bytes for an id, under a key: contacts choose ids, and could make them meet without it (SPEC.md §3.3). */
export function createIdHash(key: Uint8Array): (id: string) => number {
  const view = new DataView(key.buffer, key.byteOffset, ID_KEY_BYTES);
  const [key0, key1] = [view.getInt32(0, true), view.getInt32(4, true)];
  const out = { low: 0, high: 0 };
  const unit = (id: string, at: number): number => (at < id.length ? id.charCodeAt(at) : 0);
  return (id) => {
    [out.low, out.high] = [id.length, 0];
    for (let at = 0; at < id.length; at += 4) {
      halfSipHash(
        key0,
        key1,
        out.low ^ (unit(id, at) | (unit(id, at + 1) << 16)),
        out.high ^ (unit(id, at + 2) | (unit(id, at + 3) << 16)),
        out,
      );
    }
    return out.low;
  };
}
