/**
 * Two clients behind one face: the second one of client.ts, and the hub of the product.
 * Owns: what both can be asked. Leaves to the suite: what the answers must be.
 */
import { nobleBackend } from "@sotto/crypto";
import { createHub, type Hub } from "@sotto/transport";
import { asEnvelopeId, asLinkId, asQueueId, asSendId, bytesToHex } from "@sotto/wire";
import { greet, type Heard, random, SENT, u32 } from "./client.ts";

export interface Address {
  readonly sendId: Uint8Array;
  readonly sendSecret: Uint8Array;
  readonly firstUse: Uint8Array;
}

export interface Delivery {
  readonly queueId: Uint8Array;
  /** What `ack` takes. */
  readonly sequence: bigint;
  readonly id: Uint8Array;
  readonly envelope: Uint8Array;
}

/** Outcomes are "ok" or the code that the relay gave. */
export interface Party {
  makeQueue(queueId: Uint8Array, firstUse: Uint8Array): Promise<Uint8Array | string>;
  /** Reads these queues from now on. */
  open(queueIds: readonly Uint8Array[]): void;
  closeQueue(queueId: Uint8Array): Promise<string>;
  append(address: Address, id: Uint8Array, envelope: Uint8Array): Promise<string>;
  signal(address: Address, envelope: Uint8Array): Promise<string>;
  publish(queueId: Uint8Array, linkId: Uint8Array, offer: Uint8Array): Promise<string>;
  fetchOffer(linkId: Uint8Array): Promise<Uint8Array | string>;
  ack(delivery: Delivery): void;
  readonly delivered: Inbox<Delivery>;
  readonly signalled: Inbox<{ readonly queueId: Uint8Array; readonly envelope: Uint8Array }>;
  readonly drained: Inbox<Uint8Array>;
  /** Queues that the relay does not know, or that are another's. */
  readonly missing: Inbox<Uint8Array>;
  /** Resolves when the relay has noticed. */
  leave(): Promise<void>;
}

export type OpenParty = (url: string, seed?: Uint8Array) => Promise<Party>;

interface Inbox<T> {
  next(): Promise<T>;
  /** What came and nobody took. */
  readonly waiting: readonly T[];
}

function createInbox<T>(): Inbox<T> & { put(value: T): void } {
  const waiting: T[] = [];
  const takers: ((value: T) => void)[] = [];
  return {
    waiting,
    put(value) {
      const taker = takers.shift();
      if (taker === undefined) waiting.push(value);
      else taker(value);
    },
    next() {
      const value = waiting.shift();
      return value === undefined
        ? new Promise((resolve) => takers.push(resolve))
        : Promise.resolve(value);
    },
  };
}

const outcome = (heard: Heard): string => (heard.name === "error" ? heard.code : heard.name);

export const openSecond: OpenParty = async (url, seed = random(32)) => {
  const client = await greet(url);
  await client.prove(seed);
  const aliasByQueue = new Map<string, number>();
  const queueByAlias = new Map<number, Uint8Array>();
  const senders = new Map<string, Promise<Heard>>();
  const [delivered, signalled, drained, missing] = [
    createInbox<Delivery>(),
    createInbox<{ queueId: Uint8Array; envelope: Uint8Array }>(),
    createInbox<Uint8Array>(),
    createInbox<Uint8Array>(),
  ];
  const queueOf = (alias: number): Uint8Array => queueByAlias.get(alias) ?? new Uint8Array();
  const own = (queueId: Uint8Array, alias: number): void => {
    aliasByQueue.set(bytesToHex(queueId), alias);
    queueByAlias.set(alias, queueId);
  };
  const aliasOf = (queueId: Uint8Array): number => aliasByQueue.get(bytesToHex(queueId)) ?? 0;
  const forEver = (take: () => Promise<void>): void => {
    const again = (): Promise<void> => take().then(again);
    again().catch(() => undefined);
  };
  forEver(async () => {
    const { alias, sequence, id, envelope } = await client.next("deliver");
    delivered.put({ queueId: queueOf(alias), sequence, id, envelope });
  });
  forEver(async () => {
    const { alias, envelope } = await client.next("signalled");
    signalled.put({ queueId: queueOf(alias), envelope });
  });
  forEver(async () => drained.put(queueOf((await client.next("drained")).alias)));

  async function withSender(
    { sendId, sendSecret, firstUse }: Address,
    send: (alias: number) => Promise<Heard>,
  ): Promise<string> {
    const name = bytesToHex(sendId) + bytesToHex(sendSecret);
    const opening = senders.get(name) ?? client.openSender(sendId, sendSecret, firstUse);
    senders.set(name, opening);
    const sender = await opening;
    if (sender.name === "sender") return outcome(await send(sender.alias));
    senders.delete(name);
    return outcome(sender);
  }

  return {
    delivered,
    signalled,
    drained,
    missing,
    async makeQueue(queueId, firstUse) {
      const made = await client.makeQueue(queueId, firstUse);
      if (made.name !== "queue") return outcome(made);
      own(queueId, made.alias);
      return made.sendId;
    },
    open(queueIds) {
      void client.openQueues(...queueIds).then((answer) => {
        if (answer.name !== "queues") return;
        for (const [index, { alias }] of answer.queues.entries()) {
          const queueId = queueIds[index] ?? new Uint8Array();
          if (alias === 0) missing.put(queueId);
          else own(queueId, alias);
        }
      });
    },
    closeQueue: async (queueId) =>
      outcome(await client.ask(SENT.queueClose, u32(aliasOf(queueId)))),
    append: (address, id, envelope) =>
      withSender(address, (alias) => client.append(alias, id, envelope)),
    signal: (address, envelope) =>
      withSender(address, (alias) => client.ask(SENT.signal, u32(alias), envelope)),
    publish: async (queueId, linkId, offer) =>
      outcome(await client.ask(SENT.bundlePut, u32(aliasOf(queueId)), linkId, offer)),
    async fetchOffer(linkId) {
      const answer = await client.ask(SENT.bundleGet, linkId);
      return answer.name === "bundle" ? answer.offer : outcome(answer);
    },
    ack: ({ queueId, sequence }) => void client.ack(aliasOf(queueId), [sequence], false),
    async leave() {
      client.cut();
      await client.ended;
    },
  };
};

export const openProduct: OpenParty = async (url, seed = random(32)) => {
  const [delivered, signalled, drained, missing] = [
    createInbox<Delivery>(),
    createInbox<{ queueId: Uint8Array; envelope: Uint8Array }>(),
    createInbox<Uint8Array>(),
    createInbox<Uint8Array>(),
  ];
  const hub = await new Promise<Hub>((resolve) => {
    const made: Hub = createHub({
      url,
      relayKey: undefined,
      readerSecret: seed,
      crypto: nobleBackend,
      entropy: random,
      events: {
        state: (state) => {
          if (state === "online") resolve(made);
        },
        relayKey: () => undefined,
        deliver: ({ queueId, sequence, id, blob }) =>
          delivered.put({ queueId, sequence, id, envelope: blob }),
        signalled: (queueId, blob) => signalled.put({ queueId, envelope: blob }),
        drained: (queueId) => drained.put(queueId),
        missing: (queueId) => missing.put(queueId),
      },
    });
    made.start();
  });
  const target = ({ sendId, sendSecret, firstUse }: Address) => ({
    sendId: asSendId(sendId),
    sendSecret,
    firstUse,
  });
  return {
    delivered,
    signalled,
    drained,
    missing,
    async makeQueue(queueId, firstUse) {
      const made = await hub.makeQueue({ queueId: asQueueId(queueId), firstUse, ttlHours: 24 });
      return made.ok ? made.sendId : made.reason;
    },
    open: (queueIds) => hub.openQueues(queueIds.map(asQueueId)),
    closeQueue: (queueId) => hub.closeQueue(asQueueId(queueId)),
    append: (address, id, envelope) => hub.append(target(address), asEnvelopeId(id), envelope),
    signal: (address, envelope) => hub.signal(target(address), envelope),
    publish: (queueId, linkId, blob) =>
      hub.publish({ queueId: asQueueId(queueId), linkId: asLinkId(linkId), blob }),
    async fetchOffer(linkId) {
      const fetched = await hub.fetchOffer(asLinkId(linkId));
      return fetched.ok ? fetched.blob : fetched.reason;
    },
    ack: ({ queueId, sequence }) => hub.ack(asQueueId(queueId), sequence),
    leave: () => hub.close(),
  };
};
