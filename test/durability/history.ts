/**
 * What senders and owners saw, in the order in which they saw it, and whether a relay that keeps its
 * promises can have caused it.
 * Owns: the promises as rules. Leaves to kill-loop.ts: making it happen.
 * Spec: relay/SPEC.md §2, §3.
 */

/** Messages are named by their EnvelopeId, blobs by their hash, queues by their number. */
export type Step =
  /** An APPEND left. The same message may leave again after a connection ended. */
  | {
      readonly at: "append";
      readonly message: string;
      readonly queue: number;
      readonly blob: string;
    }
  | { readonly at: "kept"; readonly message: string }
  | { readonly at: "refused"; readonly message: string; readonly code: string }
  /** `connection`: a number per connection of an owner. */
  | {
      readonly at: "delivered";
      readonly message: string;
      readonly queue: number;
      readonly blob: string;
      readonly connection: number;
      readonly sequence: bigint;
    }
  /** An ACK was answered: the deletion is durable. */
  | { readonly at: "deleted"; readonly message: string };

export interface Verdict {
  readonly kept: number;
  /** Deliveries of a message beyond its first one. */
  readonly duplicates: number;
  /** Kept and never delivered. */
  readonly lost: readonly string[];
  /** Delivered with other bytes, in another queue, or never sent. */
  readonly forged: readonly string[];
  /** Delivered again after the deletion was durable and without being sent again. */
  readonly resurrected: readonly string[];
  /** Twice or out of order on one connection. */
  readonly disordered: readonly string[];
}

/** `steps` must end after every owner has read its queues to the end. */
export function judge(steps: readonly Step[]): Verdict {
  const sent = new Map<string, Extract<Step, { at: "append" }>>();
  const kept = new Set<string>();
  const delivered = new Set<string>();
  const deleted = new Set<string>();
  const lastSequence = new Map<string, bigint>();
  const onConnection = new Set<string>();
  const [forged, resurrected, disordered]: string[][] = [[], [], []];
  let duplicates = 0;
  for (const step of steps) {
    switch (step.at) {
      case "append":
        sent.set(step.message, step);
        // Whoever sends again may be heard again: ids are remembered only while the relay lives.
        deleted.delete(step.message);
        break;
      case "kept":
        kept.add(step.message);
        break;
      case "refused":
        break;
      case "deleted":
        deleted.add(step.message);
        break;
      case "delivered": {
        const { message, queue, connection, sequence } = step;
        const original = sent.get(message);
        if (original?.blob !== step.blob || original.queue !== queue) forged?.push(message);
        if (deleted.has(message)) resurrected?.push(message);
        const lane = `${connection} ${queue}`;
        const isRepeated = onConnection.has(`${lane} ${message}`);
        if (isRepeated || sequence <= (lastSequence.get(lane) ?? 0n)) disordered?.push(message);
        onConnection.add(`${lane} ${message}`);
        lastSequence.set(lane, sequence);
        if (delivered.has(message)) duplicates++;
        delivered.add(message);
      }
    }
  }
  const lost = [...kept].filter((message) => !delivered.has(message));
  return {
    kept: kept.size,
    duplicates,
    lost,
    forged: forged ?? [],
    resurrected: resurrected ?? [],
    disordered: disordered ?? [],
  };
}
