/** What of a state a repeated input must leave alone, and whether two such are the same (I14). */
import type { Slice } from "@sotto/protocol";
import { equalBytes } from "@sotto/wire";

/** What an input may change once only: not what is owed, nor what is sent because of it. */
export function essence({ conversation }: Slice): unknown {
  const peer = conversation?.peer;
  if (conversation === undefined || peer?.state !== "open") return peer?.state;
  const kept = peer.sessions.map(({ id, receiving, skipped, turn, nextReceivingHeaderKey }) => ({
    id,
    receiving,
    skipped,
    turn,
    nextReceivingHeaderKey,
  }));
  const { contact, received, helloSeen, spares, change } = peer;
  const { unread, last, clock } = conversation;
  return { kept, contact, received, helloSeen, own: spares.own, change, unread, last, clock };
}

/** The same values all the way down; states that share parts are told quickly. */
export function isSame(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (a instanceof Uint8Array && b instanceof Uint8Array) return equalBytes(a, b);
  const [left, right] = [Object.entries(a), Object.entries(b)];
  return (
    left.length === right.length &&
    left.every(([key, value], index) => right[index]?.[0] === key && isSame(value, right[index][1]))
  );
}
