/** The queue that one other device writes to: its secrets, and asking the relay for it. Spec: SPEC.md §4. */
import {
  encodeAddress,
  equalBytes,
  FIRST_USE_BYTES,
  QUEUE_ID_BYTES,
  type QueueAddress,
} from "@sotto/wire";
import type { Draft } from "./draft.ts";
import type { OwnQueue } from "./ports.ts";

/** How long a queue lives at the relay without its owner: the longest the relay offers. */
export const QUEUE_TTL_HOURS = 21 * 24;

export const newQueue = (draft: Draft): OwnQueue => ({
  queueId: draft.env.entropy(QUEUE_ID_BYTES),
  firstUse: draft.env.entropy(FIRST_USE_BYTES),
  addresses: [],
});

export function requestQueue(draft: Draft, { queueId, firstUse }: OwnQueue): void {
  draft.effects.push({ kind: "make-queue", queueId, firstUse, ttlHours: QUEUE_TTL_HOURS });
}

export const isSameAddress = (a: QueueAddress, b: QueueAddress): boolean =>
  equalBytes(encodeAddress(a), encodeAddress(b));

/** In the same order, too: it says where to try first. */
export const areSameAddresses = (a: readonly QueueAddress[], b: readonly QueueAddress[]): boolean =>
  a.length === b.length &&
  a.every((one, index) => {
    const other = b[index];
    return other !== undefined && isSameAddress(one, other);
  });
