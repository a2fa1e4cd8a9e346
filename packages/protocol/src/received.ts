/**
 * What has come in over a pair, so that it counts once, and what is owed for it.
 * Owns: the ring of marks and ids. Leaves to inbox.ts: what contents change; to outbox.ts: sending receipts.
 * Spec: SPEC.md §7.
 */
import {
  bytesToHex,
  concatBytes,
  CONTENT_ID_BYTES,
  equalBytes,
  type MessageEnvelope,
  RECEIPT_IDS_MAX,
  TAG_BYTES,
} from "@sotto/wire";
import { changeLive, changePeer, type Draft, openPeer } from "./draft.ts";
import type { Path } from "./ports.ts";

/** Contents remembered as received: more than a sender ever has under way (IN_FLIGHT_MAX, twice over two paths). */
export const RECEIVED_MAX = 512;
/** The tag, and enough of the nonce to tell a repetition from another message under the same key. */
export const MARK_BYTES = TAG_BYTES + 4;
const RECEIVED_ENTRY_BYTES = MARK_BYTES + CONTENT_ID_BYTES;
export const NO_CONTENT_ID = new Uint8Array(CONTENT_ID_BYTES);

/** Part of the prefix: type 1 | tag 8 | nonce 12. */
export const markOf = ({ prefix }: Pick<MessageEnvelope, "prefix">): Uint8Array =>
  prefix.slice(1, 1 + MARK_BYTES);

export function remember(draft: Draft, mark: Uint8Array, id: Uint8Array): void {
  const peer = openPeer(draft);
  if (peer === undefined) return;
  const room = (RECEIVED_MAX - 1) * RECEIVED_ENTRY_BYTES;
  const kept = peer.received.subarray(Math.max(0, peer.received.length - room));
  changePeer(draft, peer, { received: concatBytes(kept, mark, id) });
}

/** The entry whose bytes at `offset` equal `part`. */
export function findReceived(
  received: Uint8Array,
  offset: number,
  part: Uint8Array,
): Uint8Array | undefined {
  for (let at = received.length - RECEIVED_ENTRY_BYTES; at >= 0; at -= RECEIVED_ENTRY_BYTES) {
    const start = at + offset;
    if (equalBytes(received.subarray(start, start + part.length), part)) {
      return received.subarray(at, at + RECEIVED_ENTRY_BYTES);
    }
  }
  return undefined;
}

export function oweReceipt(draft: Draft, id: Uint8Array, path: Path): void {
  const peer = openPeer(draft);
  if (peer === undefined || equalBytes(id, NO_CONTENT_ID)) return;
  const hex = bytesToHex(id);
  const { directOwed } = draft.live;
  if (path === "relay") {
    // Its sender thought the link too slow: the receipt must not depend on the link either.
    changeLive(draft, { directOwed: directOwed.filter((one) => one !== hex) });
  } else if (!peer.owed.includes(hex)) {
    changeLive(draft, { directOwed: [...directOwed, hex].slice(-RECEIPT_IDS_MAX) });
  }
  if (peer.owed.includes(hex)) return;
  // Beyond the limit the oldest is forgotten: its sender will ask again by sending again.
  changePeer(draft, peer, { owed: [...peer.owed, hex].slice(-RECEIPT_IDS_MAX) });
}
