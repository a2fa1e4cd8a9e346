/**
 * The plaintext of a ratchet message: list version, content, a frame of the post-quantum ratchet, zeros up to the
 * bucket.
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
import { type KemFrame, readFrame } from "./kem-ratchet.ts";

/** listVersion 2 | length 2. */
const BODY_PREFIX_BYTES = 4;
const AEAD_TAG_BYTES = 16;

export interface Body {
  /** Version of its own device list that the sender knows. */
  readonly listVersion: number;
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

export function encodeBody(
  size: number,
  listVersion: number,
  content: Uint8Array,
  frame: Uint8Array,
): Uint8Array {
  const body = new Uint8Array(size);
  body.set(createWriter().u16(listVersion).u16(content.length).raw(content).raw(frame).done());
  return body;
}

/** Undefined when a length does not fit or the padding is not zero. */
export function decodeBody(bytes: Uint8Array): Body | undefined {
  const decoded = decodeWith(bytes, ENVELOPE_BYTES_MAX, (reader): Body => {
    const listVersion = reader.u16();
    const content = reader.take(reader.u16());
    const frame = readFrame(reader);
    if (!isZero(reader.rest())) refuse("malformed");
    return { listVersion, content, frame };
  });
  return decoded.ok ? decoded.value : undefined;
}
