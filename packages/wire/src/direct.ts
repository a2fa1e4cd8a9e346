/**
 * Frames on a direct data channel between two devices. Each travels behind a u32 length on the session stream.
 * Spec: SPEC.md §8.
 */
import { asEnvelopeId, ENVELOPE_ID_BYTES, type EnvelopeId } from "./brand.ts";
import { createWriter, decodeWith, type Decoded, refuse } from "./bytes.ts";
import { ENVELOPE_BYTES_MAX, isBucket } from "./padding.ts";

export type DirectFrame =
  | { readonly type: "envelope"; readonly id: EnvelopeId; readonly blob: Uint8Array }
  | { readonly type: "ping"; readonly nonce: Uint8Array }
  | { readonly type: "pong"; readonly nonce: Uint8Array };

export const DIRECT_FRAME_BYTES_MAX = 1 + ENVELOPE_ID_BYTES + ENVELOPE_BYTES_MAX;
export const PING_BYTES = 8;

const Type = { envelope: 1, ping: 2, pong: 3 } as const;

export function encodeDirectFrame(frame: DirectFrame): Uint8Array<ArrayBuffer> {
  const writer = createWriter().u8(Type[frame.type]);
  return frame.type === "envelope"
    ? writer.raw(frame.id).raw(frame.blob).done()
    : writer.raw(frame.nonce).done();
}

export const decodeDirectFrame = (bytes: Uint8Array): Decoded<DirectFrame> =>
  decodeWith(bytes, DIRECT_FRAME_BYTES_MAX, (reader): DirectFrame => {
    switch (reader.u8()) {
      case Type.envelope: {
        const id = asEnvelopeId(reader.take(ENVELOPE_ID_BYTES));
        const blob = reader.rest();
        return isBucket(blob.length) ? { type: "envelope", id, blob } : refuse("malformed");
      }
      case Type.ping:
        return { type: "ping", nonce: reader.take(PING_BYTES) };
      case Type.pong:
        return { type: "pong", nonce: reader.take(PING_BYTES) };
      default:
        return refuse("unknown-type");
    }
  });
