/**
 * A bit flips in a row that a client has stored, while it is not running; then the store's own checks say what of it is
 * still a row, as with every start.
 * Owns: which rows, and what is left of them. Leaves to client.ts: when.
 */
import type { ConversationId, MessageId } from "@sotto/protocol";
import { isSender } from "@sotto/storage/group-rows";
import { isConversation, isOutbox, withoutDamage } from "@sotto/storage/rows";
import type { Disk } from "./client.ts";
import type { Random } from "./random.ts";

/** The message that is not sent any more for it: its author has it, with the sign of one that is under way. */
type Flip = () => MessageId | undefined;

/** Every array of bytes in a record. */
function bytesIn(value: unknown): readonly Uint8Array[] {
  if (value instanceof Uint8Array) return value.length === 0 ? [] : [value];
  if (typeof value !== "object" || value === null) return [];
  return (value instanceof Map ? [...value.values()] : Object.values(value)).flatMap(bytesIn);
}

/** `row` with one bit of one of the arrays that `part` names flipped; the row itself stays whole. */
function rotten<Row>(row: Row, part: (copy: Row) => unknown, how: Random): Row {
  const copy = structuredClone(row);
  const bytes = how.pick(bytesIn(part(copy)));
  const at = how.int(bytes.length);
  bytes[at] = (bytes[at] ?? 0) ^ (1 << how.int(8));
  return copy;
}

/**
 * What it hit, or undefined when there was nothing to hit. Sessions and spare bundles, of conversations in which both
 * sides can begin anew; what waits to be sent; chains of groups. What else a row can have wrong: see `KNOWN_LIMITS`.
 */
export function rot(
  disk: Disk,
  how: Random,
  couldRepair: (id: ConversationId) => boolean,
): { readonly what: string; readonly gone: MessageId | undefined } | undefined {
  const flips: (readonly [what: string, flip: Flip])[] = [];
  for (const [id, conversation] of disk.conversations) {
    const { peer } = conversation;
    if (peer.state !== "open" || !couldRepair(id)) continue;
    const { sessions, spares } = peer;
    const partOf = (part: "sessions" | "spares") => (): undefined => {
      const row = rotten(
        conversation,
        (copy) => (copy.peer.state === "open" ? copy.peer[part] : undefined),
        how,
      );
      // As the store gives them back.
      const left = isConversation(row) ? row : withoutDamage(row);
      if (left !== undefined) disk.conversations.set(id, left);
    };
    if (sessions.length > 0) flips.push([`a session of ${id}`, partOf("sessions")]);
    if (bytesIn(spares).length > 0) flips.push([`a spare bundle of ${id}`, partOf("spares")]);
  }
  for (const [id, rows] of disk.outbox) {
    if (!couldRepair(id) && disk.conversations.get(id)?.peer.state !== "group") continue;
    for (const row of rows.values()) {
      const partOf = (part: "envelope" | "content") => (): MessageId | undefined => {
        const found = rotten(row, (copy) => copy[part], how);
        if (isOutbox(found)) {
          rows.set(row.id, found);
          return undefined;
        }
        rows.delete(row.id);
        return row.awaits;
      };
      if (row.envelope !== undefined) flips.push([`an envelope of ${id}`, partOf("envelope")]);
      if (row.content !== undefined && row.message !== undefined)
        flips.push([`a text of ${id}`, partOf("content")]);
    }
  }
  for (const [id, rows] of disk.senders) {
    for (const [device, row] of rows) {
      if (bytesIn([row.sender, row.chain]).length === 0) continue;
      const flip = (): undefined => {
        const found = rotten(row, ({ sender, chain }) => [sender, chain], how);
        if (isSender(found)) rows.set(device, found);
        else rows.delete(device);
      };
      flips.push([`a chain of ${id}`, flip]);
    }
  }
  if (flips.length === 0) return undefined;
  const [what, flip] = how.pick(flips);
  return { what, gone: flip() };
}
