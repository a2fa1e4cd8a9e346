/**
 * One simulated installation: the real engine, a disk that survives crashes, memory that does not.
 * Owns: the loop (commit, then act), timers, crash points. It follows sdk/shell.ts effect by effect.
 */
import { createDeviceList, type CryptoBackend, type OwnDevice } from "@sotto/crypto";
import {
  asKnown,
  asTaken,
  type Change,
  type ConversationId,
  type ConversationRecord,
  type DropReason,
  type Effect,
  type GroupRow,
  INITIAL_LIVE,
  type Input,
  LOST_PAUSE_MS,
  type MessageRow,
  type OutboxRow,
  type PostRow,
  QUOTA_PAUSE_MS,
  routeOf,
  type SelfRecord,
  type SenderRow,
  type Slice,
  step,
  type Stepped,
  isSameMessage,
  type MessageId,
} from "@sotto/protocol";
import {
  asSendId,
  bytesToHex,
  EnvelopeType,
  hexToBytes,
  PAST_ROWS_MAX,
  type QueueAddress,
} from "@sotto/wire";
import type { Decisions } from "./decisions.ts";
import { describeEffect, describeInput } from "./describe.ts";
import { type Endpoint, type Network, targetOf } from "./endpoint.ts";
import { relayKeyAt, relayOf } from "./several-relays.ts";
import type { Faults } from "./faults.ts";
import { createForger } from "./forge.ts";
import { asOlderReads } from "./older-app.ts";
import { MARKER, type Oracle } from "./oracle.ts";
import type { PlantedBug } from "./planted.ts";
import type { Random } from "./random.ts";
import { rot } from "./row-rot.ts";
import { essence, isSame } from "./same.ts";
import type { Scheduler } from "./scheduler.ts";

const STORE_PAUSE_MS = 10_000;
const DAY_MS = 86_400_000;
const RELAY_URL = "http://localhost:8080";

/** What is on a client's disk: changed by whole commits only. */
export interface Disk {
  self: SelfRecord;
  readonly conversations: Map<ConversationId, ConversationRecord>;
  readonly outbox: Map<ConversationId, Map<string, OutboxRow>>;
  readonly messages: Map<ConversationId, Map<string, MessageRow>>;
  readonly posts: Map<string, PostRow>;
  readonly groups: Map<ConversationId, GroupRow>;
  readonly senders: Map<ConversationId, Map<string, SenderRow>>;
}

interface Entry {
  readonly id: ConversationId;
  slice: Slice;
  wake: { readonly at: number; readonly cancel: () => void } | undefined;
  /** Inputs behind one whose commit the disk refused; undefined while the disk works. */
  blocked: Input[] | undefined;
}

export interface Client extends Endpoint {
  readonly disk: Disk;
  /** Wall clock: virtual time plus what the clock is off by. */
  now(): number;
  /** Shifts the wall clock for good. */
  jump(ms: number): void;
  /** The wall clock stands still for so long, and goes on from there. */
  freeze(ms: number): void;
  readonly isFrozen: boolean;
  /** By more than a day. */
  readonly hasJumped: boolean;
  diskFull: boolean;
  /** Beyond, the store takes only what needs no more room than it frees. */
  quotaBytes: number;
  usedBytes(): number;
  start(): Promise<void>;
  crash(why: string): void;
  /** Its process ends until somebody starts it. */
  close(): void;
  /** Loses everything it had stored. */
  evict(): void;
  /** On disk; the client is not running. */
  loseSessions(id: ConversationId, withSpares: boolean): void;
  /** It goes on with keys of another account, its texts and what its contacts gave it to begin anew with. */
  renew(keys: OwnDevice): void;
  copyStore(): Disk;
  /** From now on it has what it had when this was copied. */
  putBack(store: Disk): void;
  begin(id: ConversationId, input: Extract<Input, { id: ConversationId }>): Promise<boolean>;
  feed(id: ConversationId, input: Input): Promise<void>;
  rename(name: string): Promise<void>;
  /** What a modified app could send: see `MALICE`. */
  forge(id: ConversationId, how: Random): Promise<void>;
  /** See `Forger`. */
  impersonate(id: ConversationId, stranger: OwnDevice, how: Random): Promise<void>;
  has(id: ConversationId): boolean;
  readonly dropped: ReadonlyMap<DropReason, number>;
  /** Ids of messages that it read for another own device, by that one's name: what comes here later is not of them. */
  readonly handedOver: ReadonlyMap<string, ReadonlySet<MessageId>>;
  readonly steps: number;
}

export interface ClientOptions {
  readonly name: string;
  readonly device: OwnDevice;
  /** Of an account that may have others: it signs their list. Left out, the account knows no list. */
  readonly isFirst?: boolean;
  readonly relayKey: Uint8Array;
  readonly crypto: CryptoBackend;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly network: Network;
  readonly oracle: Oracle;
  readonly bug: PlantedBug | undefined;
  readonly trace: (line: string) => void;
  readonly decisions: Decisions;
  /** Right now. */
  readonly faults: () => Faults;
  /** Whether every frame and text is told to the engine a second time, to see that nothing comes of it (I14). */
  readonly tellsTwice: boolean;
}

/** Every sealed body is at least this long, and no sealed header: the keys of those are kept. */
const BODY_BYTES_MIN = 100;

/** Thrown by a crash point to leave the loop wherever it is; never leaves this file. */
class Crashed extends Error {}

export function createClient(options: ClientOptions): Client {
  const { name, device, scheduler, random, decisions, network, oracle, bug, trace } = options;
  const disk: Disk = {
    self: {
      ...device,
      name: `${name} ${MARKER}`,
      readerSecret: new Uint8Array(32),
      relays: [{ url: RELAY_URL, key: options.relayKey, derived: false }],
      createdAt: 0,
      devices: { lists: [], links: [], met: 0, reach: [] },
    },
    conversations: new Map(),
    outbox: new Map(),
    messages: new Map(),
    posts: new Map(),
    groups: new Map(),
    senders: new Map(),
  };
  const dropped = new Map<DropReason, number>();
  const handedOver = new Map<string, Set<MessageId>>();
  let entries = new Map<ConversationId, Entry>();
  const { clockSkewMax } = options.faults();
  let skew =
    decisions.fires("skew", clockSkewMax === 0 ? 0 : 1)?.between(-clockSkewMax, clockSkewMax) ?? 0;
  let running = false;
  let online = false;
  let epoch = 0;
  let steps = 0;
  let peerId: string | undefined;
  let conversationByPeer = new Map<string, ConversationId>();
  let peerByConversation = new Map<ConversationId, string>();
  /** Planted bugs look at these. */
  const highest = new Map<string, bigint>();
  let undo: (() => void) | undefined;
  let lane = Promise.resolve();
  let hasJumped = false;
  let frozen = { at: 0, until: 0 };
  /** Keys that opened something in this step. */
  let opened: string[] = [];
  const crypto: CryptoBackend = {
    ...options.crypto,
    async seal(key, nonce, aad, plaintext) {
      const sealed = await options.crypto.seal(key, nonce, aad, plaintext);
      oracle.sealed(key, nonce, sealed);
      return sealed;
    },
    async open(key, nonce, aad, sealed) {
      const whole = await options.crypto.open(key, nonce, aad, sealed);
      const plaintext = whole !== undefined && isOlder() ? asOlderReads(whole) : whole;
      if (plaintext !== undefined && sealed.length >= BODY_BYTES_MIN) opened.push(bytesToHex(key));
      return plaintext;
    },
  };

  const hasOlderApp = decisions.fires("older-app", options.faults().olderApp) !== undefined;
  const isOlder = (): boolean => hasOlderApp && options.faults().olderApp > 0;

  const now = (): number => {
    const at = scheduler.now < frozen.until ? frozen.at : scheduler.now;
    return 1_700_000_000_000 + Math.floor(at) + skew;
  };
  const env = (): Parameters<typeof step>[2] => ({
    now: now(),
    entropy: (length) => random.bytes(length),
    crypto,
  });

  /** Runs later in this life only. */
  const later = (ms: number, run: () => void | Promise<void>): (() => void) => {
    const born = epoch;
    return scheduler.after(ms, () => (running && born === epoch ? run() : undefined));
  };

  function boundary(where: string): void {
    if (decisions.fires("crash", options.faults().crashAtBoundary) === undefined) return;
    client.crash(where);
    throw new Crashed();
  }

  const restartSlice = (conversation: ConversationRecord | undefined): Slice => ({
    self: disk.self,
    conversation,
    outbox:
      conversation === undefined
        ? []
        : [...(disk.outbox.get(conversation.id)?.values() ?? [])].toSorted(
            (a, b) => a.sequence - b.sequence,
          ),
    live: { ...INITIAL_LIVE, hub: online },
    ...(conversation?.peer.state === "group"
      ? {
          group: {
            row: disk.groups.get(conversation.id),
            senders: new Map(disk.senders.get(conversation.id)),
          },
        }
      : {}),
  });

  function commit(stepped: Stepped): "ok" | "known" | "full" | readonly MessageId[] {
    const effect = stepped.effects.find((one) => one.kind === "commit");
    if (effect === undefined) return "ok";
    if (client.diskFull) {
      trace(`${name} disk full`);
      return "full";
    }
    const { change } = effect;
    const { id } = change.conversation;
    if (client.quotaBytes < Infinity && isOverQuota(change)) {
      trace(`${name} is over its quota`);
      return bug === "refusal-ignored" ? "ok" : "full";
    }
    const before = disk.conversations.get(id);
    if ((before?.version ?? 0) !== change.expectedVersion) {
      oracle.fail("I1", `${name} commits over version ${before?.version} expecting another`);
    }
    const outbox = disk.outbox.get(id) ?? new Map<string, OutboxRow>();
    const messages = disk.messages.get(id) ?? new Map<string, MessageRow>();
    const overwrites = bug === "no-dedupe" || bug === "overwrite-known";
    const taken: MessageId[] = [];
    for (const row of overwrites ? [] : change.addMessages) {
      const before = messages.get(row.id);
      if (before === undefined) continue;
      if (isSameMessage(before, row)) return "known";
      taken.push(row.id);
    }
    if (taken.length > 0) return taken;
    oracle.committed(client, change);
    if (bug === "lazy-disk") {
      const [oldOutbox, oldMessages] = [new Map(outbox), new Map(messages)];
      undo = () => {
        if (before === undefined) return;
        disk.conversations.set(id, before);
        disk.outbox.set(id, oldOutbox);
        disk.messages.set(id, oldMessages);
      };
    }
    disk.conversations.set(id, change.conversation);
    for (const row of [...change.addMessages, ...change.putMessages]) messages.set(row.id, row);
    for (const row of change.mergeMessages) {
      if (!messages.has(row.id)) messages.set(row.id, row);
    }
    for (const row of change.putOutbox) outbox.set(row.id, row);
    for (const row of change.deleteOutbox) outbox.delete(row);
    for (const one of change.delivered) {
      const row = messages.get(one);
      if (row !== undefined) messages.set(one, { ...row, status: "delivered" });
    }
    disk.messages.set(id, messages);
    disk.outbox.set(id, outbox);
    for (const row of change.takePosts) disk.posts.delete(row);
    for (const row of change.addPosts) disk.posts.set(row.id, row);
    if (change.group !== undefined) disk.groups.set(id, change.group);
    for (const row of change.putSenders) {
      const senders = disk.senders.get(id) ?? new Map<string, SenderRow>();
      disk.senders.set(id, senders.set(row.device, row));
    }
    if (change.self !== undefined) disk.self = change.self;
    return "ok";
  }

  /** Records only take the place of others here: it is rows that come and go. */
  function isOverQuota(change: Change): boolean {
    const { id } = change.conversation;
    const outbox = disk.outbox.get(id);
    const puts = change.putOutbox.map((row) => outbox?.get(row.id));
    const freed = bytesOf([
      puts,
      change.deleteOutbox.map((row) => outbox?.get(row)),
      change.putMessages.map((row) => disk.messages.get(id)?.get(row.id)),
      change.takePosts.map((row) => disk.posts.get(row)),
    ]);
    const { addMessages, putMessages, mergeMessages, putOutbox, addPosts } = change;
    const grown = bytesOf([addMessages, putMessages, mergeMessages, putOutbox, addPosts]) - freed;
    return grown > 0 && client.usedBytes() + grown > client.quotaBytes;
  }

  /** To the record it is for: one that is there, one that it begins, or one that will be. */
  async function deliverPost(row: PostRow): Promise<void> {
    if (!disk.posts.has(row.id)) return;
    const slices = new Map(Array.from(entries, ([id, { slice }]) => [id, slice]));
    const route = await routeOf(row, slices, options.crypto);
    if (route.kind === "to") await client.feed(route.id, { kind: "post", row });
    // What waits for a record that is not there yet is looked at again when one begins.
    if (route.kind !== "begins") return;
    const id = row.post.kind === "begin" ? row.to : bytesToHex(random.bytes(8));
    if (await client.begin(id, { kind: "start-post", id, row })) deliverAll();
  }

  function deliverAll(): void {
    for (const row of [...disk.posts.values()].toSorted((a, b) => a.sequence - b.sequence)) {
      later(0, () => deliverPost(row));
    }
  }

  /** What planted bugs do to a step's result. */
  function spoil(input: Input, stepped: Stepped): Stepped {
    if (bug === "delete-on-relay-ok" && input.kind === "transmitted" && input.outcome === "ok") {
      const { slice, effects } = stepped;
      return {
        slice: { ...slice, outbox: slice.outbox.filter((row) => row.id !== input.id) },
        effects: effects.map((one) =>
          one.kind === "commit"
            ? {
                ...one,
                change: {
                  ...one.change,
                  putOutbox: one.change.putOutbox.filter((row) => row.id !== input.id),
                  deleteOutbox: [...one.change.deleteOutbox, input.id],
                },
              }
            : one,
        ),
      };
    }
    return stepped;
  }

  const ACTS_TOO_EARLY: Partial<Record<PlantedBug, Effect["kind"]>> = {
    "ack-before-commit": "ack",
    "transmit-before-commit": "transmit",
  };

  function forgetful(slice: Slice): Slice {
    const { conversation } = slice;
    if (bug !== "no-dedupe" || conversation?.peer.state !== "open") return slice;
    const peer = { ...conversation.peer, received: new Uint8Array(0) };
    return { ...slice, conversation: { ...conversation, peer } };
  }

  const stepOf = async (entry: Entry, input: Input): Promise<Stepped> =>
    spoil(input, await step(forgetful({ ...entry.slice, self: disk.self }), input, env()));

  async function runStep(entry: Entry, input: Input): Promise<void> {
    if (entry.blocked !== undefined) {
      entry.blocked.push(input);
      return;
    }
    steps++;
    opened = [];
    const before = entry.slice.conversation;
    let stepped = await stepOf(entry, input);
    oracle.stepped(client, entry.id, input, stepped.effects);
    trace(
      `${name}/${entry.id} ${describeInput(input)} -> ${stepped.effects.map(describeEffect).join(" ")}`,
    );
    const early = bug === undefined ? undefined : ACTS_TOO_EARLY[bug];
    for (const effect of stepped.effects) if (effect.kind === early) execute(entry, effect);
    boundary("before the commit");
    let committed = commit(stepped);
    if (typeof committed !== "string") {
      trace(`${name}/${entry.id} has another message of that id`);
      stepped = await stepOf(entry, asTaken(input, committed));
      committed = commit(stepped);
    }
    if (committed === "known") {
      trace(`${name}/${entry.id} knows that message`);
      stepped = await stepOf(entry, asKnown(input));
      committed = commit(stepped);
    }
    if (committed !== "ok") {
      if (committed === "known") oracle.fail("I2", `${name} adds a message it was told it knows`);
      // What people ask for is refused; what has happened is told again.
      if (input.kind === "send-text" || entry.slice.conversation === undefined) return;
      entry.blocked = [];
      later(STORE_PAUSE_MS, () => guarded(() => unblock(entry, input)));
      return;
    }
    if (input.kind === "send-text") oracle.accepted(client, entry.id, input.id, input.text);
    entry.slice = stepped.slice;
    oracle.sized(client, stepped.slice);
    if (input.kind === "frame") {
      const [type] = input.blob;
      // Other keys are the session's or the device's: they open what is worth nothing later.
      const isForOnce = type === EnvelopeType.message || type === EnvelopeType.hello;
      // What waits for the person's decision is opened again after it.
      const isHeld = stepped.effects.some(
        (one) => one.kind === "dropped" && one.reason === "wrong-identity",
      );
      const keys = isForOnce && !isHeld ? opened : [];
      oracle.handled(client, entry.id, input.blob, keys);
    }
    const change = stepped.effects.find((one) => one.kind === "commit")?.change;
    // What waits for operations, or opens to what this app cannot read, is opened again.
    const read = change?.addPosts.find(({ post }) => post.kind === "opened")?.post;
    if (input.kind === "post" && read?.kind === "opened") {
      oracle.openedInGroup(client, entry.id, read.envelope, opened);
    }
    if (options.tellsTwice) await tellAgain(entry, input);
    boundary("after the commit");
    for (const row of change?.addPosts ?? []) later(0, () => deliverPost(row));
    const wasOpen = before?.peer.state === "open";
    // Somebody is known from here on: what waits for that is for this conversation. Or nobody will bring them any more.
    const isKnown = !wasOpen && change?.conversation.peer.state === "open";
    if (isKnown || change?.group !== undefined) deliverAll();
    if (change?.self !== undefined) {
      for (const id of entries.keys()) later(0, () => client.feed(id, { kind: "wake" }));
    }
    for (const effect of stepped.effects) {
      if (effect.kind === early) continue;
      execute(entry, effect);
      boundary(`after ${effect.kind}`);
    }
  }

  /** I14: the same input on the state it led to. */
  async function tellAgain(entry: Entry, input: Input): Promise<void> {
    if (input.kind !== "frame" && input.kind !== "send-text" && input.kind !== "queue-ready")
      return;
    const quiet = { ...env(), crypto: options.crypto };
    // Where nothing waits for a receipt only the store knows what was written.
    const isStored = input.kind === "send-text" && disk.messages.get(entry.id)?.has(input.id);
    const told = isStored === true ? asKnown(input) : input;
    const { slice, effects } = await step({ ...entry.slice, self: disk.self }, told, quiet);
    const commit = effects.find((one) => one.kind === "commit");
    const adds = commit?.change.addMessages.length ?? 0;
    if (adds > 0) oracle.fail("I14", `${name} takes ${describeInput(input)} twice`);
    if (!isSame(essence(slice), essence(entry.slice))) {
      oracle.fail("I14", `${name} changes when it is told ${input.kind} again`);
    }
  }

  async function unblock(entry: Entry, first: Input): Promise<void> {
    const inputs = [first, ...(entry.blocked ?? [])];
    entry.blocked = undefined;
    for (const input of inputs) await runStep(entry, input);
  }

  /** One thing after another, and nothing of an earlier life. */
  function guarded(run: () => Promise<void>): Promise<void> {
    const born = epoch;
    lane = lane.then(async () => {
      if (!running || born !== epoch) return;
      try {
        await run();
      } catch (error) {
        if (error instanceof Crashed) return;
        trace(`${name} ${error instanceof Error ? (error.stack ?? "") : ""}`);
        oracle.fail("I19", `${name} throws ${String(error)}`);
      }
    });
    return lane;
  }

  function execute(entry: Entry, effect: Effect): void {
    const { id } = entry;
    switch (effect.kind) {
      case "commit":
        return;
      case "dropped":
        dropped.set(effect.reason, (dropped.get(effect.reason) ?? 0) + 1);
        return;
      case "make-queue":
        makeQueue(id, effect.queueId, effect.firstUse);
        return;
      case "close-queue":
        network.closeQueue(client, bytesToHex(effect.queueId));
        return;
      case "publish":
        publish(id, effect.linkId, effect.blob);
        return;
      case "transmit":
        oracle.released(client, effect.blob, id);
        forger.sent(id, effect.blob);
        if (effect.path === "relay") append(entry, effect.id, effect.blob, effect.copy);
        else sendDirect(entry, effect.id, effect.blob);
        return;
      case "signal": {
        oracle.released(client, effect.blob, id);
        const target = targetOf(entry.slice);
        if (target === undefined) return;
        network.signal(client, target, effect.blob, async (outcome) => {
          if (outcome === "away") await client.feed(id, { kind: "signalled", outcome });
        });
        return;
      }
      case "ack": {
        const peer = entry.slice.conversation?.peer;
        if (peer?.state === "open" || peer?.state === "invited") {
          oracle.acknowledges(client, `${bytesToHex(peer.queue.queueId)}/${effect.sequence}`);
          network.acknowledge(client, bytesToHex(peer.queue.queueId), effect.sequence);
        }
        return;
      }
      case "prepare-direct":
        later(50, () => {
          const reserved = network.isConnected(client) && network.faults.direct;
          return client.feed(id, {
            kind: "reservation",
            peerId: reserved ? hexToBytes(peerId ?? "") : undefined,
          });
        });
        return;
      case "expect": {
        const peer = bytesToHex(effect.peerId);
        const before = peerByConversation.get(id);
        if (before !== undefined && before !== peer) {
          conversationByPeer.delete(before);
          // As sdk/direct-links.ts says of a link that is the contact's no more.
          if (entry.slice.live.direct) {
            later(0, () => client.feed(id, { kind: "direct", up: false }));
          }
        }
        peerByConversation.set(id, peer);
        conversationByPeer.set(peer, id);
        return;
      }
      case "dial":
        network.dial(client, bytesToHex(effect.peerId), () =>
          client.feed(id, { kind: "direct", up: false }),
        );
        return;
      case "read-past": {
        const { device, before, since, pages } = effect;
        later(0, async () => {
          const all = [...(disk.messages.get(id)?.values() ?? [])]
            .filter(({ order }) => before === undefined || order < before)
            .toSorted((a, b) => (a.order < b.order ? -1 : 1));
          const rows = all.slice(-pages * PAST_ROWS_MAX);
          const hasMore = rows.length < all.length;
          const ids = handedOver.get(device) ?? new Set<MessageId>();
          for (const row of rows) ids.add(row.id);
          handedOver.set(device, ids);
          await client.feed(id, {
            kind: "past-read",
            device,
            before,
            since,
            pages,
            rows,
            hasMore,
          });
        });
        return;
      }
      case "wake":
        wakeAt(entry, effect.at);
    }
  }

  /** At each of the own relays. */
  function makeQueue(id: ConversationId, queueId: Uint8Array, firstUse: Uint8Array): void {
    for (const relay of network.relaysOf?.(client) ?? [0])
      makeQueueAt(relay, id, queueId, firstUse);
  }

  function makeQueueAt(
    relay: number,
    id: ConversationId,
    queueId: Uint8Array,
    firstUse: Uint8Array,
  ): void {
    const answer = async (sendId: Uint8Array | undefined): Promise<void> => {
      if (sendId === undefined) {
        later(LOST_PAUSE_MS, () =>
          online ? makeQueueAt(relay, id, queueId, firstUse) : undefined,
        );
        return;
      }
      const relayKey = relayKeyAt(options.relayKey, relay);
      const address = { relayUrl: RELAY_URL, relayKey, sendId: asSendId(sendId), firstUse };
      await client.feed(id, { kind: "queue-ready", addresses: withAddress(id, address) });
    };
    network.makeQueue(client, bytesToHex(queueId), firstUse, answer, relay);
  }

  /** What the engine does not ask for, as one relay is enough for it: the queue at the others. */
  function makeMissing(entry: Entry): void {
    const peer = entry.slice.conversation?.peer;
    if ((peer?.state !== "open" && peer?.state !== "invited") || queueOf(entry) === undefined)
      return;
    const { addresses, queueId, firstUse } = peer.queue;
    if (addresses.length === 0) return;
    const made = addresses.map((one) => relayOf(options.relayKey, one.relayKey));
    for (const home of network.relaysOf?.(client) ?? []) {
      if (!made.includes(home)) makeQueueAt(home, entry.id, queueId, firstUse);
    }
  }

  /** What is known to be made, in the order of the own relays. */
  function withAddress(id: ConversationId, address: QueueAddress): readonly QueueAddress[] {
    const peer = entries.get(id)?.slice.conversation?.peer;
    const known = peer?.state === "open" || peer?.state === "invited" ? peer.queue.addresses : [];
    const addressAt = new Map(
      [...known, address].map((one) => [relayOf(options.relayKey, one.relayKey), one]),
    );
    const homes = network.relaysOf?.(client) ?? [0];
    return homes.map((home) => addressAt.get(home)).filter((one) => one !== undefined);
  }

  function publish(id: ConversationId, linkId: Uint8Array, blob: Uint8Array): void {
    const peer = entries.get(id)?.slice.conversation?.peer;
    if (peer?.state !== "invited") return;
    oracle.released(client, blob, id, "offer");
    const queueId = bytesToHex(peer.queue.queueId);
    network.publish(client, queueId, bytesToHex(linkId), blob, async (outcome) => {
      if (outcome === "ok") await client.feed(id, { kind: "published" });
      else {
        const pause = outcome === "lost" ? LOST_PAUSE_MS : QUOTA_PAUSE_MS;
        later(pause, () => (online ? publish(id, linkId, blob) : undefined));
      }
    });
  }

  function append(entry: Entry, envelopeId: string, blob: Uint8Array, copy: boolean): void {
    const { id } = entry;
    const answer = (outcome: "ok" | "lost" | "gone" | "quota"): Promise<void> =>
      client.feed(id, { kind: "transmitted", id: envelopeId, path: "relay", outcome, copy });
    const target = targetOf(entry.slice);
    if (target === undefined) later(0, () => answer("gone"));
    else network.append(client, target, envelopeId, blob, answer, copy);
  }

  function sendDirect(entry: Entry, envelopeId: string, blob: Uint8Array): void {
    const { id } = entry;
    const peer = peerByConversation.get(id);
    if (peer !== undefined && network.sendDirect(client, peer, blob)) return;
    later(0, () =>
      client.feed(id, { kind: "transmitted", id: envelopeId, path: "direct", outcome: "lost" }),
    );
  }

  /** One timer per conversation: the earliest wins, by the clock that never jumps. */
  function wakeAt(entry: Entry, at: number): void {
    const due = scheduler.now + Math.max(0, at - now());
    if (entry.wake !== undefined) {
      if (entry.wake.at <= due) return;
      entry.wake.cancel();
    }
    const cancel = later(due - scheduler.now, () => {
      entry.wake = undefined;
      return client.feed(entry.id, { kind: "wake" });
    });
    entry.wake = { at: due, cancel };
  }

  const queueOf = (entry: Entry): string | undefined => {
    const peer = entry.slice.conversation?.peer;
    if (peer?.state === "open" && peer.retired) return undefined;
    return peer?.state === "open" || peer?.state === "invited"
      ? bytesToHex(peer.queue.queueId)
      : undefined;
  };

  const entryByQueue = (queueId: string): Entry | undefined =>
    [...entries.values()].find((entry) => queueOf(entry) === queueId);

  /** A foreign or damaged frame beside a genuine one: refused, and nothing else changes. */
  function garble(blob: Uint8Array): Uint8Array | undefined {
    const how = decisions.fires("garbage", options.faults().garbage);
    if (how === undefined || blob.length === 0) return undefined;
    const damaged = blob.slice();
    const at = how.int(damaged.length);
    damaged[at]! ^= 1 + how.int(255);
    return damaged;
  }

  const client: Client = {
    name,
    disk,
    dropped,
    handedOver,
    diskFull: false,
    quotaBytes: Infinity,
    usedBytes: () => bytesOf([disk.outbox, disk.messages, disk.posts]),
    get running() {
      return running;
    },
    get steps() {
      return steps;
    },
    get peerId() {
      return running ? peerId : undefined;
    },
    now,
    get hasJumped() {
      return hasJumped;
    },
    jump(ms) {
      hasJumped ||= Math.abs(ms) > DAY_MS;
      skew += ms;
    },
    freeze(ms) {
      if (client.isFrozen) return;
      frozen = { at: scheduler.now, until: scheduler.now + ms };
      // It goes on from where it stood.
      scheduler.after(ms, () => {
        skew -= ms;
      });
    },
    get isFrozen() {
      return scheduler.now <= frozen.until + 1_000 && frozen.until > 0;
    },
    expects: (peer) => conversationByPeer.has(peer),
    has: (id) => entries.has(id),
    async start() {
      if (running) return;
      running = true;
      epoch++;
      online = false;
      peerId = bytesToHex(random.bytes(34));
      conversationByPeer = new Map();
      peerByConversation = new Map();
      entries = new Map();
      if (bug === "forget-owed-on-crash") {
        for (const [id, conversation] of disk.conversations) {
          if (conversation.peer.state !== "open") continue;
          const peer = { ...conversation.peer, owed: [] };
          disk.conversations.set(id, { ...conversation, peer });
        }
      }
      for (const id of disk.conversations.keys()) {
        if (!oracle.couldRepair(client, id)) continue;
        const how = decisions.fires("session-loss", options.faults().sessionLoss);
        if (how === undefined) continue;
        client.loseSessions(id, how.chance(0.5));
        const other = how.chance(0.25) ? oracle.across(client, id) : undefined;
        if (other === undefined) continue;
        other.client.crash("with its sessions");
        other.client.loseSessions(other.id, how.chance(0.5));
      }
      const rotten = decisions.fires("row-rot", options.faults().rowRot);
      if (rotten !== undefined) {
        const hit = rot(disk, rotten, (id) => oracle.couldRepair(client, id));
        if (hit !== undefined) trace(`${name} has a flipped bit in ${hit.what}`);
        oracle.rotted(client, hit?.gone);
      }
      for (const [id, conversation] of disk.conversations) {
        const slice = restartSlice(conversation);
        entries.set(id, { id, slice, wake: undefined, blocked: undefined });
      }
      trace(`${name} starts`);
      const isNew = options.isFirst === true && disk.self.devices.lists.length === 0;
      if (isNew && disk.conversations.size === 0) {
        const list = await createDeviceList(device, env());
        disk.self = { ...disk.self, devices: { ...disk.self.devices, lists: [list] } };
      }
      deliverAll();
      network.connect(client);
    },
    crash(why) {
      if (!running) return;
      trace(`${name} crashes ${why}`);
      client.close();
      scheduler.after(200 + random.int(3_000), () => client.start());
    },
    close() {
      running = false;
      epoch++;
      undo?.();
      undo = undefined;
      network.gone(client);
      entries = new Map();
    },
    evict() {
      client.crash("and loses everything");
      oracle.evicted(client);
      for (const rows of Object.values(disk)) if (rows instanceof Map) rows.clear();
    },
    loseSessions(id, withSpares) {
      const conversation = disk.conversations.get(id);
      if (conversation?.peer.state !== "open") return;
      trace(`${name}/${id} loses its sessions${withSpares ? " and spares" : ""}`);
      const { spares } = conversation.peer;
      const none = { ...spares, own: [], theirs: undefined, usedAt: 0, askedAt: 0, pleaAt: 0 };
      const peer = { ...conversation.peer, sessions: [], spares: withSpares ? none : spares };
      disk.conversations.set(id, { ...conversation, peer });
    },
    renew(keys) {
      client.crash("and begins anew with other keys");
      oracle.renewed(client);
      disk.self = { ...disk.self, ...keys };
      for (const [id, conversation] of disk.conversations) {
        const { peer } = conversation;
        if (peer.state !== "open") continue;
        const spares = { ...peer.spares, own: [], usedAt: 0, askedAt: 0 };
        const next = { ...peer, sessions: [], owed: [], change: undefined, spares };
        disk.conversations.set(id, { ...conversation, peer: next });
        const outbox = disk.outbox.get(id);
        // What only its old keys could have sealed: receipts, and calls for help.
        for (const row of outbox?.values() ?? []) {
          if (row.awaits === undefined) outbox?.delete(row.id);
        }
      }
    },
    copyStore: () => ({
      self: disk.self,
      conversations: new Map(disk.conversations),
      outbox: copyRows(disk.outbox),
      messages: copyRows(disk.messages),
      posts: new Map(disk.posts),
      groups: new Map(disk.groups),
      senders: copyRows(disk.senders),
    }),
    putBack(store) {
      client.crash("and gets an older store back");
      oracle.putBack(client, store);
      disk.self = store.self;
      for (const rows of Object.values(disk)) if (rows instanceof Map) rows.clear();
      for (const [id, row] of store.posts) disk.posts.set(id, row);
      for (const [id, row] of store.groups) disk.groups.set(id, row);
      for (const [id, rows] of copyRows(store.senders)) disk.senders.set(id, rows);
      for (const [id, record] of store.conversations) disk.conversations.set(id, record);
      for (const [id, rows] of copyRows(store.outbox)) disk.outbox.set(id, rows);
      for (const [id, rows] of copyRows(store.messages)) disk.messages.set(id, rows);
    },
    async begin(id, input) {
      if (!running || entries.has(id)) return false;
      const entry: Entry = {
        id,
        slice: restartSlice(undefined),
        wake: undefined,
        blocked: undefined,
      };
      entries.set(id, entry);
      await guarded(() => runStep(entry, input));
      if (entry.slice.conversation === undefined && entries.get(id) === entry) entries.delete(id);
      return entries.has(id);
    },
    async feed(id, input) {
      const entry = entries.get(id);
      if (entry === undefined || !running) return;
      await guarded(() => runStep(entry, input));
    },
    async rename(newName) {
      if (!running) return;
      disk.self = { ...disk.self, name: newName };
      for (const id of entries.keys()) await client.feed(id, { kind: "rename", name: newName });
    },
    async forge(id, how) {
      const entry = entries.get(id);
      if (entry !== undefined && running) await guarded(() => forger.forge(entry, how));
    },
    async impersonate(id, stranger, how) {
      const entry = entries.get(id);
      if (entry === undefined || !running) return;
      await guarded(() => forger.impersonate(entry, stranger, how));
    },
    async hub(up) {
      if (up === online) return;
      online = up;
      trace(`${name} hub ${up ? "up" : "down"}`);
      if (up) {
        network.openQueues(
          client,
          [...entries.values()].map(queueOf).filter((one) => one !== undefined),
        );
        for (const entry of entries.values()) makeMissing(entry);
      }
      for (const id of entries.keys()) await client.feed(id, { kind: "hub", up });
    },
    async deliver(queueId, sequence, blob) {
      const entry = entryByQueue(queueId);
      if (entry === undefined) {
        network.acknowledge(client, queueId, sequence);
        return;
      }
      oracle.given(client, entry.id, `${queueId}/${sequence}`, blob);
      if (bug === "drop-on-reorder") {
        const last = highest.get(queueId) ?? 0n;
        if (sequence < last) {
          oracle.acknowledges(client, `${queueId}/${sequence}`);
          network.acknowledge(client, queueId, sequence);
          return;
        }
        highest.set(queueId, sequence);
      }
      const damaged = garble(blob);
      if (damaged !== undefined) {
        await client.feed(entry.id, { kind: "frame", blob: damaged, source: { path: "direct" } });
      }
      await client.feed(entry.id, { kind: "frame", blob, source: { path: "relay", sequence } });
    },
    async missing(queueId, relay = 0) {
      const entry = entryByQueue(queueId);
      const peer = entry?.slice.conversation?.peer;
      if (entry === undefined || (peer?.state !== "open" && peer?.state !== "invited")) return;
      if (peer.state === "open" && peer.retired) return;
      makeQueueAt(relay, entry.id, peer.queue.queueId, peer.queue.firstUse);
    },
    async signalled(queueId, blob) {
      const entry = entryByQueue(queueId);
      if (entry === undefined || blob[0] !== EnvelopeType.signal) return;
      await client.feed(entry.id, { kind: "frame", blob, source: { path: "direct" } });
    },
    async link(peer, up) {
      const id = conversationByPeer.get(peer);
      if (id !== undefined) await client.feed(id, { kind: "direct", up });
    },
    async linkFrame(peer, blob) {
      const id = conversationByPeer.get(peer);
      if (id !== undefined) {
        await client.feed(id, { kind: "frame", blob, source: { path: "direct" } });
      }
    },
  };
  const forger = createForger({
    client,
    network,
    oracle,
    env,
    trace,
    mayBeForgotten: () => options.faults().putBackMean > 0,
  });
  return client;
}

/** Of all texts and bytes in rows. */
function bytesOf(value: unknown): number {
  if (typeof value === "string" || value instanceof Uint8Array) return value.length;
  if (typeof value !== "object" || value === null) return 0;
  const parts = value instanceof Map ? [...value.values()] : Object.values(value);
  return parts.reduce<number>((sum, one) => sum + bytesOf(one), 0);
}

const copyRows = <Row>(
  rows: ReadonlyMap<ConversationId, ReadonlyMap<string, Row>>,
): Map<ConversationId, Map<string, Row>> =>
  new Map(Array.from(rows, ([id, own]) => [id, new Map(own)]));
