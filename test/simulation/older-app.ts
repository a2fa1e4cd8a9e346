/**
 * An app of a version before this one: of some contents it does not know the kind, as `decodeContent` will meet it in
 * what newer versions say. The engine is the same; what it reads is what an older one would read.
 * Owns: which contents those are. Leaves to client.ts: who has such an app, and until when.
 */
import { CONTENT_BYTES_MAX, CONTENT_ID_BYTES, decodeContent } from "@sotto/wire";

/** In front of a content in the body of a message: mark of a device list 10 | length 2 (crypto/SPEC.md §5.3). */
const MARK_BYTES = 10;
const CONTENT_AT = MARK_BYTES + 2;
/** A kind that no version has. */
const NO_KIND = 0xee;
/** One content in so many, by its id: the same one whenever and wherever it is read. */
const NEWER_EVERY = 4;

/** Ends up as it was given for everything but a text or a name in the body of a pair's message. */
export function asOlderReads(body: Uint8Array): Uint8Array {
  if (body.length < CONTENT_AT + CONTENT_ID_BYTES) return body;
  const length = ((body[MARK_BYTES] ?? 0) << 8) | (body[MARK_BYTES + 1] ?? 0);
  if (length > CONTENT_BYTES_MAX || CONTENT_AT + length > body.length) return body;
  const decoded = decodeContent(body.subarray(CONTENT_AT, CONTENT_AT + length));
  if (!decoded.ok || (decoded.value.kind !== "text" && decoded.value.kind !== "profile")) {
    return body;
  }
  const [first = 0] = decoded.value.id;
  if (first % NEWER_EVERY !== 0) return body;
  const read = body.slice();
  read[CONTENT_AT] = NO_KIND;
  return read;
}
