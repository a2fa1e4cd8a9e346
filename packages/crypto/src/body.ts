/**
 * The plaintext of a ratchet message: mark of the sender's device list, content, a frame of the post-quantum ratchet,
 * zeros up to the bucket.
 * Spec: SPEC.md §5.3.
 */
import {
  bucketFor,
  createWriter,
  decodeWith,
  ENVELOPE_BYTES_MAX,
  isZero,
  MESSAGE_HEADER_BYTES,
  refuse,
} from "@sotto/wire";
import { isListMark, LIST_PREFIX_BYTES, type ListMark } from "./device-list.ts";
import { type KemFrame, readFrame } from "./kem-ratchet.ts";

/** list version 2 | prefix of the list's hash 8 | length 2. */
const BODY_PREFIX_BYTES = 12;
const AEAD_TAG_BYTES = 16;

export interface Body {
  /** Of the newest list of its own account that the sender knows. */
  readonly mark: ListMark;
  readonly content: Uint8Array;
  readonly frame: KemFrame | undefined;
}

/**
 * Size of the body whose envelope fills the smallest bucket with room for `frameBytes` behind the content.
 * Throws a RangeError when no bucket holds it. `helloBytes` stand in front of the message.
 */
export function bodySize(contentBytes: number, frameBytes: number, helloBytes: number): number {
  const around = helloBytes + MESSAGE_HEADER_BYTES + AEAD_TAG_BYTES;
  const bucket = bucketFor(around + BODY_PREFIX_BYTES + contentBytes + frameBytes);
  if (bucket === undefined) throw new RangeError(`content of ${contentBytes} bytes fits no bucket`);
  return bucket - around;
}

/** Bytes behind the content of a body of `size`. */
export const frameRoom = (size: number, contentBytes: number): number =>
  size - BODY_PREFIX_BYTES - contentBytes;

/** Throws a RangeError for a mark that no list can have: it would be refused where it arrives. */
export function encodeBody(
  size: number,
  mark: ListMark,
  content: Uint8Array,
  frame: Uint8Array,
): Uint8Array {
  if (!isListMark(mark)) throw new RangeError(`no list has the mark of version ${mark.version}`);
  const { version, prefix } = mark;
  const padding = size - BODY_PREFIX_BYTES - content.length - frame.length;
  return createWriter(size)
    .u16(version)
    .raw(prefix)
    .u16(content.length)
    .raw(content)
    .raw(frame)
    .zeros(padding)
    .done();
}

/** Undefined when no list can have the mark, a length does not fit or the padding is not zero. */
export function decodeBody(bytes: Uint8Array): Body | undefined {
  const decoded = decodeWith(bytes, ENVELOPE_BYTES_MAX, (reader): Body => {
    const mark = { version: reader.u16(), prefix: reader.take(LIST_PREFIX_BYTES) };
    if (!isListMark(mark)) refuse("malformed");
    const content = reader.take(reader.u16());
    const frame = readFrame(reader);
    if (!isZero(reader.rest())) refuse("malformed");
    return { mark, content, frame };
  });
  return decoded.ok ? decoded.value : undefined;
}
