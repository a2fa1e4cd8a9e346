/**
 * Frames on a stream of bytes: u32 length, then one frame of wire's direct codec.
 * Owns: cutting the stream, the limit on what is held meanwhile. Leaves to session.ts: what frames mean.
 * Spec: wire/SPEC.md §8.
 */
import {
  concatBytes,
  decodeDirectFrame,
  DIRECT_FRAME_BYTES_MAX,
  type DirectFrame,
  encodeDirectFrame,
} from "@sotto/wire";

const LENGTH_BYTES = 4;

export function packFrame(frame: DirectFrame): Uint8Array<ArrayBuffer> {
  const body = encodeDirectFrame(frame);
  const length = new Uint8Array(LENGTH_BYTES);
  new DataView(length.buffer).setUint32(0, body.length);
  return concatBytes(length, body);
}

/**
 * Takes chunks as they come and hands out frames. False from the first malformed byte on: the stream has
 * lost its place, nothing after it can be trusted. Holds at most one frame.
 */
export function createFrameReader(onFrame: (frame: DirectFrame) => void): {
  push(chunk: Uint8Array): boolean;
} {
  const head = new Uint8Array(LENGTH_BYTES);
  let headFilled = 0;
  let body: Uint8Array | undefined;
  let bodyFilled = 0;
  let broken = false;

  /** Fills `into` from `at` on; returns how many bytes it took. */
  const fill = (into: Uint8Array, at: number, chunk: Uint8Array): number => {
    const taken = chunk.subarray(0, into.length - at);
    into.set(taken, at);
    return taken.length;
  };

  return {
    push(chunk) {
      let rest = chunk;
      while (rest.length > 0 && !broken) {
        if (body === undefined) {
          const taken = fill(head, headFilled, rest);
          headFilled += taken;
          rest = rest.subarray(taken);
          if (headFilled < LENGTH_BYTES) break;
          headFilled = 0;
          const length = new DataView(head.buffer).getUint32(0);
          if (length === 0 || length > DIRECT_FRAME_BYTES_MAX) broken = true;
          else body = new Uint8Array(length);
          bodyFilled = 0;
          continue;
        }
        const taken = fill(body, bodyFilled, rest);
        bodyFilled += taken;
        rest = rest.subarray(taken);
        if (bodyFilled < body.length) break;
        const decoded = decodeDirectFrame(body);
        body = undefined;
        if (decoded.ok) onFrame(decoded.value);
        else broken = true;
      }
      return !broken;
    },
  };
}
