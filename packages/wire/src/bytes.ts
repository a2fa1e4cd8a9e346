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
export const createReader = (bytes: Uint8Array): ByteReader => new Reader(bytes);

/** A class, as the writer is: a relay makes several for each message, and closures would cost more than the reading. */
class Reader implements ByteReader {
  private readonly bytes: Uint8Array;
  private at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  u8(): number {
    return this.number(1);
  }

  u16(): number {
    return this.number(2);
  }

  u32(): number {
    return this.number(4);
  }

  u48(): number {
    return this.number(6);
  }

  u64(): bigint {
    this.require(8);
    const high = this.u32();
    const low = this.u32();
    // Most are small, and a number is made a bigint faster than two are joined.
    return high < 0x20_0000
      ? BigInt(high * 0x1_0000_0000 + low)
      : (BigInt(high) << 32n) | BigInt(low);
  }

  take(length: number): Uint8Array<ArrayBuffer> {
    const start = this.require(length);
    this.at += length;
    return copyBytes(this.bytes, start, this.at);
  }

  rest(): Uint8Array<ArrayBuffer> {
    return this.take(this.left());
  }

  block(maxBytes: number): Uint8Array<ArrayBuffer> {
    const length = this.u16();
    if (length > maxBytes) refuse("too-large");
    return this.take(length);
  }

  text(maxBytes: number): string {
    return bytesToUtf8(this.block(maxBytes)) ?? refuse("malformed");
  }

  left(): number {
    return this.bytes.length - this.at;
  }

  /** Where they begin. */
  private require(length: number): number {
    if (length > this.left()) refuse("truncated");
    return this.at;
  }

  private number(length: number): number {
    this.require(length);
    let value = 0;
    for (let index = 0; index < length; index++) {
      value = value * 0x100 + (this.bytes[this.at++] ?? 0);
    }
    return value;
  }
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
export const createWriter = (capacity: number = WRITER_BYTES): ByteWriter => new Writer(capacity);

class Writer implements ByteWriter {
  private bytes: Uint8Array<ArrayBuffer>;
  private at = 0;

  constructor(capacity: number) {
    this.bytes = new Uint8Array(capacity);
  }

  u8(value: number): this {
    return this.number(value, 1, 0xff);
  }

  u16(value: number): this {
    return this.number(value, 2, 0xffff);
  }

  u32(value: number): this {
    return this.number(value, 4, 0xffff_ffff);
  }

  u48(value: number): this {
    return this.number(value, 6, 0xffff_ffff_ffff);
  }

  u64(value: bigint): this {
    const number = Number(value);
    if (number >= 0 && number <= Number.MAX_SAFE_INTEGER) {
      return this.u32(Math.floor(number / 0x1_0000_0000)).u32(number % 0x1_0000_0000);
    }
    return this.u32(Number((value >> 32n) & 0xffff_ffffn)).u32(Number(value & 0xffff_ffffn));
  }

  raw(bytes: Uint8Array): this {
    const start = this.reserve(bytes.length);
    this.bytes.set(bytes, start);
    return this;
  }

  zeros(length: number): this {
    this.reserve(length);
    return this;
  }

  block(bytes: Uint8Array): this {
    return this.u16(bytes.length).raw(bytes);
  }

  text(text: string): this {
    return this.block(utf8ToBytes(text));
  }

  done(): Uint8Array<ArrayBuffer> {
    return this.at === this.bytes.length ? this.bytes : this.bytes.slice(0, this.at);
  }

  /** Where `length` more bytes begin. */
  private reserve(length: number): number {
    if (length < 0) throw new RangeError(`${length} bytes`);
    const start = this.at;
    this.at += length;
    if (this.at > this.bytes.length) {
      const grown = new Uint8Array(Math.max(this.at, 2 * this.bytes.length));
      grown.set(this.bytes.subarray(0, start));
      this.bytes = grown;
    }
    return start;
  }

  private number(value: number, length: number, max: number): this {
    if (!Number.isInteger(value) || value < 0 || value > max) {
      throw new RangeError(`expected an integer from 0 to ${max}, got ${value}`);
    }
    const start = this.reserve(length);
    let rest = value;
    for (let index = start + length - 1; index >= start; index--) {
      this.bytes[index] = rest;
      rest = Math.floor(rest / 0x100);
    }
    return this;
  }
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

/** A history is read by thousands of ids at a time. */
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

export function bytesToHex(bytes: Uint8Array): string {
  // Most are names in maps: a text that was added up would have to be copied together for that, which takes longer.
  const pairs: string[] = [];
  for (let at = 0; at < bytes.length; at++) pairs.push(HEX[bytes[at] ?? 0] ?? "");
  return pairs.join("");
}

/** Undefined when the text is not an even number of hex digits. */
export function hexToBytes(hex: string): Uint8Array<ArrayBuffer> | undefined {
  if (hex.length % 2 !== 0 || !/^[0-9a-f]*$/i.test(hex)) return undefined;
  const bytes = new Uint8Array(hex.length / 2);
  for (let index = 0; index < bytes.length; index++) {
    bytes[index] = digitAt(hex, index * 2) * 16 + digitAt(hex, index * 2 + 1);
  }
  return bytes;
}

/** Of what is known to be a digit. */
function digitAt(hex: string, at: number): number {
  const code = hex.charCodeAt(at);
  return code < 0x3a ? code - 0x30 : (code | 0x20) - 0x57;
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
