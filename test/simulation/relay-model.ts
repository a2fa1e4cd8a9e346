/**
 * What the simulation needs of a relay's core, and a thin model of it: queues, first use, offers, idempotent
 * appends, delete on acknowledgement; appends become durable at `flush`, a crash loses the rest.
 */
import { bytesToHex } from "@sotto/wire";

export interface Stored {
  readonly sequence: bigint;
  /** Envelope id in hex. */
  readonly id: string;
  readonly blob: Uint8Array;
}

/** All ids are hex. Times are the relay's own milliseconds. */
export interface RelayCore {
  makeQueue(
    owner: string,
    queueId: string,
    firstUse: Uint8Array,
  ): { readonly sendId: Uint8Array } | undefined;
  owns(owner: string, queueId: string): boolean;
  /** With everything in it, and the offer under it. */
  closeQueue(owner: string, queueId: string): void;
  publish(owner: string, queueId: string, linkId: string, blob: Uint8Array): boolean;
  fetch(linkId: string): Uint8Array | undefined;
  /** The queue behind `sendId` when this send key may write to it. The first to show `firstUse` is bound. */
  openSender(sendId: string, sendKey: string, firstUse: Uint8Array): string | undefined;
  /** Taken: will be durable at the next flush. */
  append(queueId: string, id: string, blob: Uint8Array): "taken" | "quota" | "gone";
  isDurable(queueId: string, id: string): boolean;
  /** Stored or taken, after `sequence`, oldest first. */
  read(queueId: string, after: bigint): readonly Stored[];
  acknowledge(queueId: string, sequence: bigint): void;
  flush(): void;
  /** What was not flushed survives only up to `kept` appends. Returns how many there were. */
  crash(kept: number): number;
  unflushed(): number;
}

export interface RelayModelOptions {
  readonly queueMessagesMax: number;
  /** A real relay answers OK to an append whose id was stored and acknowledged before, without storing it again. */
  readonly remembersAcknowledged: boolean;
}

interface Queue {
  readonly owner: string;
  readonly firstUse: string;
  sender: string | undefined;
  offer: string | undefined;
  sequence: bigint;
  items: (Stored & { durable: boolean })[];
  readonly settled: Set<string>;
}

export function createRelayModel(options: RelayModelOptions): RelayCore {
  const queues = new Map<string, Queue>();
  const queueBySendId = new Map<string, string>();
  const offers = new Map<string, { readonly queueId: string; readonly blob: Uint8Array }>();
  let pending: { readonly queue: Queue; readonly id: string }[] = [];

  return {
    makeQueue(owner, queueId, firstUse) {
      const known = queues.get(queueId);
      if (known !== undefined && known.owner !== owner) return undefined;
      // Unlinkable is the real relay's business; here any fixed mapping does.
      const sendId = Uint8Array.from(
        queueId.match(/../g)!.map((pair) => Number.parseInt(pair, 16) ^ 0x5a),
      );
      if (known === undefined) {
        queues.set(queueId, {
          owner,
          firstUse: bytesToHex(firstUse),
          sender: undefined,
          offer: undefined,
          sequence: 0n,
          items: [],
          settled: new Set(),
        });
        queueBySendId.set(bytesToHex(sendId), queueId);
      }
      return { sendId };
    },
    owns: (owner, queueId) => queues.get(queueId)?.owner === owner,
    closeQueue(owner, queueId) {
      const queue = queues.get(queueId);
      if (queue === undefined || queue.owner !== owner) return;
      if (queue.offer !== undefined) offers.delete(queue.offer);
      queues.delete(queueId);
    },
    publish(owner, queueId, linkId, blob) {
      const queue = queues.get(queueId);
      if (queue === undefined || queue.owner !== owner) return false;
      if (queue.sender !== undefined) return true;
      queue.offer = linkId;
      offers.set(linkId, { queueId, blob });
      return true;
    },
    fetch: (linkId) => offers.get(linkId)?.blob,
    openSender(sendId, sendKey, firstUse) {
      const queueId = queueBySendId.get(sendId);
      const queue = queueId === undefined ? undefined : queues.get(queueId);
      if (queueId === undefined || queue === undefined) return undefined;
      if (queue.sender === undefined && queue.firstUse === bytesToHex(firstUse)) {
        queue.sender = sendKey;
        if (queue.offer !== undefined) offers.delete(queue.offer);
      }
      return queue.sender === sendKey ? queueId : undefined;
    },
    append(queueId, id, blob) {
      const queue = queues.get(queueId);
      if (queue === undefined) return "gone";
      if (queue.items.some((one) => one.id === id)) return "taken";
      if (options.remembersAcknowledged && queue.settled.has(id)) return "taken";
      if (queue.items.length >= options.queueMessagesMax) return "quota";
      queue.sequence += 1n;
      queue.items.push({ sequence: queue.sequence, id, blob, durable: false });
      pending.push({ queue, id });
      return "taken";
    },
    isDurable(queueId, id) {
      const queue = queues.get(queueId);
      const item = queue?.items.find((one) => one.id === id);
      return item === undefined ? queue?.settled.has(id) === true : item.durable;
    },
    read: (queueId, after) =>
      queues.get(queueId)?.items.filter((one) => one.sequence > after) ?? [],
    acknowledge(queueId, sequence) {
      const queue = queues.get(queueId);
      const item = queue?.items.find((one) => one.sequence === sequence);
      if (queue === undefined || item === undefined) return;
      queue.items = queue.items.filter((one) => one !== item);
      queue.settled.add(item.id);
    },
    flush() {
      for (const { queue, id } of pending) {
        const item = queue.items.find((one) => one.id === id);
        if (item !== undefined) item.durable = true;
      }
      pending = [];
    },
    crash(kept) {
      const lost = pending.slice(kept);
      pending = pending.slice(0, kept);
      this.flush();
      for (const { queue, id } of lost) {
        queue.items = queue.items.filter((one) => one.id !== id || one.durable);
      }
      return lost.length + kept;
    },
    unflushed: () => pending.length,
  };
}
