/**
 * Byte arrays: joining, comparing, text forms, and the one writer and one reader behind every codec.
 * Owns: bounds checks and length prefixes. Leaves to the codecs: what the fields mean.
 */
import { bytesToUtf8, utf8ToBytes } from "./utf8.ts";

/** Why bytes from outside were refused. Carries no content. */
export type DecodeReason = "truncated" | "trailing" | "malformed" | "too-large" | "unknown-type";

/** What every decoder returns: bad input is a value, never an exception. */
export type Decoded<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: DecodeReason };

/** Thrown inside a decoder only; `decodeWith` turns it into a `Decoded` value. */
class DecodeFailure extends Error {
  readonly reason: DecodeReason;
  constructor(reason: DecodeReason) {
    super(reason);
    this.reason = reason;
  }
}

/** Leaves a decoder. Callers are functions that run under `decodeWith`. */
export function refuse(reason: DecodeReason): never {
  throw new DecodeFailure(reason);
}

/** Runs a reading function over all bytes: trailing bytes are an error, so each value has one form. */
export function decodeWith<T>(
  bytes: Uint8Array,
  maxBytes: number,
  read: (reader: ByteReader) => T,
): Decoded<T> {
  if (bytes.length > maxBytes) return { ok: false, reason: "too-large" };
  try {
    const reader = createReader(bytes);
    const value = read(reader);
    return reader.left() === 0 ? { ok: true, value } : { ok: false, reason: "trailing" };
  } catch (error) {
    if (error instanceof DecodeFailure) return { ok: false, reason: error.reason };
    throw error;
  }
}

export interface ByteReader {
  u8(): number;
  u16(): number;
  u32(): number;
  /** Up to 2^48 - 1: milliseconds and counters. */
  u48(): number;
  u64(): bigint;
  /** A copy of the next `length` bytes. */
  take(length: number): Uint8Array<ArrayBuffer>;
  /** A copy of everything left. */
  rest(): Uint8Array<ArrayBuffer>;
  /** u16 length, then that many bytes. */
  block(maxBytes: number): Uint8Array<ArrayBuffer>;
  /** u16 length, then UTF-8. */
  text(maxBytes: number): string;
  left(): number;
}

/** Big-endian throughout. */
export function createReader(bytes: Uint8Array): ByteReader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const advance = (length: number): number => {
    if (length > bytes.length - at) refuse("truncated");
    const start = at;
    at += length;
    return start;
  };
  const u16 = (): number => view.getUint16(advance(2));
  const take = (length: number): Uint8Array<ArrayBuffer> => {
    const start = advance(length);
    return copyBytes(bytes, start, start + length);
  };
  const block = (maxBytes: number): Uint8Array<ArrayBuffer> => {
    const length = u16();
    if (length > maxBytes) refuse("too-large");
    return take(length);
  };
  return {
    u8: () => view.getUint8(advance(1)),
    u16,
    u32: () => view.getUint32(advance(4)),
    u48: () => {
      const start = advance(6);
      return view.getUint16(start) * 0x1_0000_0000 + view.getUint32(start + 2);
    },
    u64: () => view.getBigUint64(advance(8)),
    take,
    rest: () => take(bytes.length - at),
    block,
    text: (maxBytes) => bytesToUtf8(block(maxBytes)) ?? refuse("malformed"),
    left: () => bytes.length - at,
  };
}

export interface ByteWriter {
  u8(value: number): ByteWriter;
  u16(value: number): ByteWriter;
  u32(value: number): ByteWriter;
  u48(value: number): ByteWriter;
  u64(value: bigint): ByteWriter;
  raw(bytes: Uint8Array): ByteWriter;
  /** That many zero bytes. Throws a RangeError for a negative number. */
  zeros(length: number): ByteWriter;
  /** u16 length, then the bytes. Throws a RangeError above 65,535 bytes. */
  block(bytes: Uint8Array): ByteWriter;
  /** u16 length, then UTF-8. */
  text(text: string): ByteWriter;
  done(): Uint8Array<ArrayBuffer>;
}

/** Most short things fit; longer ones double it as often as it takes. */
const WRITER_BYTES = 64;

/** `capacity`: bytes to begin with. Where it is exactly what is written nothing is copied. */
export function createWriter(capacity: number = WRITER_BYTES): ByteWriter {
  let bytes = new Uint8Array(capacity);
  let at = 0;
  /** Where `length` more bytes begin. */
  const reserve = (length: number): number => {
    if (length < 0) throw new RangeError(`${length} bytes`);
    const start = at;
    at += length;
    if (at > bytes.length) {
      const grown = new Uint8Array(Math.max(at, 2 * bytes.length));
      grown.set(bytes.subarray(0, start));
      bytes = grown;
    }
    return start;
  };
  /** The low 32 bits of a number at most. */
  const number = (value: number, length: number): void => {
    const start = reserve(length);
    for (let index = 0; index < length; index++) {
      bytes[start + index] = value >>> (8 * (length - 1 - index));
    }
  };
  const inRange = (value: number, max: number): number => {
    if (!Number.isInteger(value) || value < 0 || value > max) {
      throw new RangeError(`expected an integer from 0 to ${max}, got ${value}`);
    }
    return value;
  };
  const writer: ByteWriter = {
    u8(value) {
      number(inRange(value, 0xff), 1);
      return writer;
    },
    u16(value) {
      number(inRange(value, 0xffff), 2);
      return writer;
    },
    u32(value) {
      number(inRange(value, 0xffff_ffff), 4);
      return writer;
    },
    u48(value) {
      inRange(value, 0xffff_ffff_ffff);
      number(Math.floor(value / 0x1_0000_0000), 2);
      number(value % 0x1_0000_0000, 4);
      return writer;
    },
    u64(value) {
      number(Number((value >> 32n) & 0xffff_ffffn), 4);
      number(Number(value & 0xffff_ffffn), 4);
      return writer;
    },
    raw(part) {
      const start = reserve(part.length);
      bytes.set(part, start);
      return writer;
    },
    zeros(length) {
      reserve(length);
      return writer;
    },
    block: (part) => writer.u16(part.length).raw(part),
    text: (text) => writer.block(utf8ToBytes(text)),
    done: () => (at === bytes.length ? bytes : bytes.slice(0, at)),
  };
  return writer;
}

const SHORT_COPY_BYTES = 64;

/** A plain array of its own. `slice` is not enough: on Node's Buffer it shares the memory. */
export function copyBytes(bytes: Uint8Array, start: number, end: number): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(end - start);
  // A loop is faster than a view and a call for what most fields have.
  if (copy.length > SHORT_COPY_BYTES) copy.set(bytes.subarray(start, end));
  else for (let at = 0; at < copy.length; at++) copy[at] = bytes[start + at] ?? 0;
  return copy;
}

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let length = 0;
  for (const part of parts) length += part.length;
  const joined = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** Looks at every byte whatever the outcome, so that the time does not tell where two secrets differ. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let index = 0; index < a.length; index++) difference |= (a[index] ?? 0) ^ (b[index] ?? 0);
  return difference === 0;
}

/** What padding has to be. */
export function isZero(bytes: Uint8Array): boolean {
  let any = 0;
  for (let index = 0; index < bytes.length; index++) any |= bytes[index] ?? 0;
  return any === 0;
}

export function bytesToHex(bytes: Uint8Array): string {
  let hex = "";
  for (const byte of bytes) hex += byte.toString(16).padStart(2, "0");
  return hex;
}

/** Undefined when the text is not an even number of hex digits. */
export function hexToBytes(hex: string): Uint8Array<ArrayBuffer> | undefined {
  if (hex.length % 2 !== 0 || !/^[0-9a-f]*$/i.test(hex)) return undefined;
  const bytes = new Uint8Array(hex.length / 2);
  for (let index = 0; index < bytes.length; index++) {
    bytes[index] = Number.parseInt(hex.slice(index * 2, index * 2 + 2), 16);
  }
  return bytes;
}

const BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const BASE32 = "abcdefghijklmnopqrstuvwxyz234567";

/** Base64url without padding (RFC 4648 §5). */
export const bytesToBase64Url = (bytes: Uint8Array): string => groupBits(bytes, 6, BASE64URL);

/** Lower-case base32 without padding (RFC 4648 §6). */
export const bytesToBase32 = (bytes: Uint8Array): string => groupBits(bytes, 5, BASE32);

/** Undefined for a foreign character, an impossible length, or bits set beyond the last byte. */
export function base64UrlToBytes(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (text.length % 4 === 1) return undefined;
  const bytes = new Uint8Array(Math.floor((text.length * 6) / 8));
  let bits = 0;
  let held = 0;
  let at = 0;
  for (const character of text) {
    const value = BASE64URL.indexOf(character);
    if (value < 0) return undefined;
    held = ((held << 6) | value) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes[at++] = (held >> bits) & 0xff;
    }
  }
  return (held & ((1 << bits) - 1)) === 0 ? bytes : undefined;
}

function groupBits(bytes: Uint8Array, size: number, alphabet: string): string {
  let text = "";
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    held = ((held << 8) | byte) & 0xffff;
    bits += 8;
    while (bits >= size) {
      bits -= size;
      text += alphabet[(held >> bits) & ((1 << size) - 1)] ?? "";
    }
  }
  return bits === 0 ? text : text + (alphabet[(held << (size - bits)) & ((1 << size) - 1)] ?? "");
}
