/**
 * What must hold at every moment of a run, and at its end. It sees what no participant sees.
 * Owns: the invariants about people, their devices and what leaves them (`invariants.ts`), one function each.
 * Leaves to relay-watch.ts: the relay's own; to simulate.ts: when everything must have settled (I9).
 */
import {
  type CryptoBackend,
  decrypt,
  HELD_MESSAGES_PER_ACCOUNT_MAX,
  HELD_OPS_MAX,
  CHAIN_AGE_MS_MAX,
  CHAIN_MESSAGES_MAX,
  HELD_OPS_PER_ACCOUNT_MAX,
  OLD_CHAINS_MAX,
  openFromGroup,
  RECEIVING_CHAINS_MAX,
  SEALED_OFFER_BYTES,
  type Session,
  SESSIONS_MAX,
  SMALL_GROUP_MEMBERS_MAX,
  SKIPPED_KEYS_MAX,
} from "@sotto/crypto";
import {
  type Change,
  type ConversationId,
  type DropReason,
  type Effect,
  HELD_FRAMES_MAX,
  HELLOS_SEEN_MAX,
  IN_FLIGHT_MAX,
  type Input,
  INTRODUCTIONS_MAX,
  type MessageRow,
  type MessageStatus,
  NOTICES_MAX,
  OUTBOX_MAX,
  RECEIPT_ROWS_MAX,
  RECEIVED_MAX,
  type SenderRow,
  type Slice,
  SPARES_MAX,
} from "@sotto/protocol";
import {
  bytesToHex,
  CONTENT_ID_BYTES,
  decodeEnvelope,
  decodeGroupEnvelope,
  type DeviceCert,
  encodeAddress,
  EnvelopeType,
  equalBytes,
  GROUP_ENVELOPE_TYPE,
  GROUP_HEADER_BYTES,
  HELLO_HEADER_BYTES,
  isBucket,
  MESSAGE_HEADER_BYTES,
  type QueueAddress,
  RECEIPT_IDS_MAX,
  TAG_BYTES,
  utf8ToBytes,
} from "@sotto/wire";
import type { Client, Disk } from "./client.ts";
import type { DevicesView } from "./device-faults.ts";
import { createBundleWatch } from "./bundle-watch.ts";
import { createIdentityWatch, type IdentityWatch } from "./identity-watch.ts";
import type { Invariant } from "./invariants.ts";
import type { Random } from "./random.ts";
import { keyOfBlob } from "./relay-watch.ts";
import type { Scheduler } from "./scheduler.ts";

/** Every text and name carries this; no sealed unit may. */
export const MARKER = "~readable~";
/** Every text that a modified app sends under the id of another message carries this; nobody may ever see it. */
/** A tag, and four bytes of the nonce beside it (packages/protocol/SPEC.md §7). */
const MARK_BYTES = TAG_BYTES + 4;
export const FORGED = "~forged~";
/** Timer steps of one conversation within a second that come to nothing: more is a storm. */
const WAKES_PER_SECOND_MAX = 12;
/** How much of what a device opened is tried again with what it keeps (I6), and of what a thief overhears (I7). */
const TRIED_AGAIN_MAX = 24;
const OVERHEARD_MAX = 60;
/** Receiving chains that a copied state opens after the one that was open: the other side's answer to it. */
const TURNS_EXPOSED_MAX = 1;

/** In the order of a message: its time, as packages/protocol writes it. */
const TIME_DIGITS = 16;

const MARKER_BYTES = utf8ToBytes(MARKER);
/** By type: where the sealed header of an envelope ends that has a message key of its own. */
const SEALED_UP_TO: ReadonlyMap<number, number> = new Map([
  [EnvelopeType.message, MESSAGE_HEADER_BYTES],
  [GROUP_ENVELOPE_TYPE, GROUP_HEADER_BYTES],
]);
/** What an AEAD puts behind what it sealed. */
const TAG_END_BYTES = 16;

const RANK: Readonly<Record<MessageStatus, number>> = {
  queued: 0,
  failed: 1,
  relayed: 2,
  delivered: 3,
  received: 3,
};

export interface Pair {
  readonly inviter: Client;
  readonly invitee: Client;
  readonly inviterId: ConversationId;
  readonly inviteeId: ConversationId;
}

/** Of stores that were put back. */
export interface Restored {
  readonly stores: number;
  /** Messages sent under keys that had been used for others (I16). */
  readonly oldKeys: number;
  /** Texts that nobody has: their author's store did not know them yet, and they had not arrived. */
  readonly gone: number;
}

export interface Oracle {
  /** `I1: what happened`, each once. */
  readonly failures: readonly string[];
  readonly broken: ReadonlySet<Invariant>;
  readonly accepted_: number;
  readonly restored: Restored;
  readonly identity: IdentityWatch;
  fail(this: void, invariant: Invariant, what: string): void;
  /** Bytes on a socket or on the relay's disk (I10). */
  carried(this: void, bytes: Uint8Array): void;
  /** About to be stored. */
  committed(client: Client, change: Change): void;
  /** What a client knows after a step. */
  sized(client: Client, slice: Slice): void;
  /** A sealed unit left the client: an envelope, or what an invite offers. */
  released(client: Client, blob: Uint8Array, id: ConversationId, what?: "offer"): void;
  /** The client's suite sealed this. */
  sealed(key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array): void;
  /** The store confirmed this text. */
  accepted(client: Client, id: ConversationId, messageId: string, text: string): void;
  stepped(client: Client, id: ConversationId, input: Input, effects: readonly Effect[]): void;
  /** The client was given this frame under this number. */
  given(client: Client, id: ConversationId, name: string, blob: Uint8Array): void;
  /** What the frame changed is stored; these message keys were used for it. */
  handled(client: Client, id: ConversationId, blob: Uint8Array, keys: readonly string[]): void;
  /** A message of a group's is opened and stored, in the group's record. */
  openedInGroup(
    client: Client,
    id: ConversationId,
    envelope: Uint8Array,
    keys: readonly string[],
  ): void;
  /** The client says that it has what it was given under this number. */
  acknowledges(client: Client, name: string): void;
  /** Somebody copies what this client keeps for one conversation (I7). */
  copied(client: Client, id: ConversationId): void;
  /** Everything this client had is gone, and it alone: only that it kept nothing is excused. */
  evicted(client: Client): void;
  /** A bit flipped on its disk. `gone`: the text whose row that waited to be sent went with it: perhaps nobody gets it. */
  rotted(client: Client, gone: string | undefined): void;
  readonly hasSpoiled: (messageId: string) => boolean;
  /** It has keys of another account from now on. */
  renewed(client: Client): void;
  join(pair: Pair): void;
  /** Ids of texts that are none of this conversation's, nor written to whoever has this client. */
  foreignIds(client: Client, id: ConversationId): readonly string[];
  /** An older store of this client's is about to take the place of the one it has. */
  putBack(client: Client, store: Disk): void;
  /**
   * Whether it has a contact in each of its conversations: an older store than that has too little to go on with. And
   * whether all of them, and it in that store, are who they are now: only a new invite helps who knows others.
   */
  canGoBack(client: Client, store?: Disk): boolean;
  /** Whether it could go on with keys of another account: each of its contacts knows it, and has the bundle that it would begin anew with. */
  canRenew(client: Client): boolean;
  /** Whether this device had a row of that id, and its store was lost or put back. */
  hasLost(client: Client, row: string): boolean;
  /** Whether both sides could begin anew if either lost its sessions now. */
  couldRepair(client: Client, id: ConversationId): boolean;
  /** Where the other side of this conversation keeps it. */
  across(
    client: Client,
    id: ConversationId,
  ): { readonly client: Client; readonly id: ConversationId } | undefined;
  isSettled(): boolean;
  atTheEnd(expectedDrops: ReadonlySet<DropReason>): Promise<void>;
}

interface Accepted {
  readonly author: Client;
  readonly conversation: ConversationId;
  readonly text: string;
}

interface Copy {
  readonly client: Client;
  readonly id: ConversationId;
  readonly sessions: readonly Session[];
  readonly overheard: Uint8Array[];
}

export interface OracleOptions {
  readonly scheduler: Scheduler;
  readonly crypto: CryptoBackend;
  readonly random: Random;
  /** Somebody changes what the relay gives. */
  readonly isTampered: boolean;
  /** Of people with several devices, who find each other by themselves; left out, there are the pairs of `join`. */
  readonly devices?: () => DevicesView;
}

export function createOracle(options: OracleOptions): Oracle {
  const { scheduler, crypto, random, isTampered, devices } = options;
  const failures: string[] = [];
  const broken = new Set<Invariant>();
  const pairs: Pair[] = [];
  const accepted = new Map<string, Accepted>();
  const seals = new Map<string, { readonly key: string; readonly nonce: string }>();
  const bodies = new Map<string, { readonly tag: string; readonly life: number }>();
  const released = new Map<string, string>();
  const wakes = new Map<string, { second: number; count: number }>();
  const given = new Map<string, string[]>();
  const handled = new Map<Client, Set<string>>();
  const opened = new Map<string, Uint8Array[]>();
  const usedKeys = new Map<Client, Set<string>>();
  const evicted = new Set<Client>();
  const renewed = new Set<Client>();
  const spoiled = new Set<string>();
  const lives = new Map<Client, number>();
  /** Rows that were stored and are not, because an older store was put back. */
  const lost = new Map<string, Set<string>>();
  const restored = { stores: 0, oldKeys: 0, gone: 0 };
  /** What the sender of each signal had opened in the session it sealed it in. */
  const signalled = new Map<string, Session>();
  /** Conversations in which the other side has said that it had more than the store remembered at that time. */
  const told = new Set<string>();
  /** …in a step that is not stored yet: a crash before that takes it away again. */
  const hearing = new Set<string>();
  const copies: Copy[] = [];
  const ratchetKeys = new Map<string, Session["ownRatchetKey"]>();
  const turnedTo = new Set<string>();

  /** Where the other side of this conversation keeps it. */
  function across(
    client: Client,
    id: ConversationId,
  ): { readonly client: Client; readonly id: ConversationId } | undefined {
    if (devices !== undefined) return devices().across(client, id);
    for (const pair of pairs) {
      if (pair.inviter === client && pair.inviterId === id) {
        return { client: pair.invitee, id: pair.inviteeId };
      }
      if (pair.invitee === client && pair.inviteeId === id) {
        return { client: pair.inviter, id: pair.inviterId };
      }
    }
    return undefined;
  }

  /** Each side knows where the other one reads: whatever else is lost, they can begin anew. */
  const isAcquainted = (pair: Pair): boolean =>
    [
      pair.inviter.disk.conversations.get(pair.inviterId)?.peer,
      pair.invitee.disk.conversations.get(pair.inviteeId)?.peer,
    ].every(
      (peer) =>
        peer?.state === "open" &&
        peer.queue.addresses.length > 0 &&
        peer.contact.addresses.length > 0,
    ) && isMutual(pair);

  /** Each side has the other one as it is now, and asks no person about it. */
  const isMutual = (pair: Pair): boolean =>
    sidesOf(pair).every(([client, id, other]) => {
      const peer = client.disk.conversations.get(id)?.peer;
      if (peer?.state !== "open") return false;
      return peer.change === undefined && isSameRoot(peer.contact.cert, other.disk.self.cert);
    });

  const canBeginAnew = (client: Client, id: ConversationId): boolean => {
    const peer = client.disk.conversations.get(id)?.peer;
    return (
      peer?.state === "open" &&
      peer.change === undefined &&
      peer.queue.addresses.length > 0 &&
      peer.contact.addresses.length > 0
    );
  };

  const pairOf = (client: Client, id: ConversationId): Pair | undefined =>
    pairs.find((pair) =>
      sidesOf(pair).some(([one, conversation]) => one === client && conversation === id),
    );

  const pairsOf = (client: Client): readonly Pair[] =>
    pairs.filter((pair) => pair.inviter === client || pair.invitee === client);

  const hasLost = (client: Client, id: ConversationId, row: string): boolean =>
    lost.get(`${client.name}/${id}`)?.has(row) === true;

  const bundles = createBundleWatch(across);
  /** Neither has lost all it had, and each can still be heard by the other (protocol/SPEC.md §12, known edges). */
  const isWhole = (pair: Pair): boolean =>
    !evicted.has(pair.inviter) && !evicted.has(pair.invitee) && !isCutOff(pair);

  const isCutOff = (pair: Pair): boolean => {
    const sides = sidesOf(pair);
    // What was written before a clock was set ahead is as old as that, and is sealed anew when it is twice as old.
    const isOld = sides.some(([client]) => client.hasJumped);
    if (isOld && sides.some(([client, id]) => bundles.hasLetGo(client, id))) return true;
    return (
      !isMutual(pair) &&
      !sides.some(([client, id]) => bundles.mayBegin(client, id)) &&
      sides.some(([client, id]) => bundles.haveEnded(client, id))
    );
  };

  /** I2, I3: what is stored stays as it is, and its sign goes up. */
  function checkRow(client: Client, id: ConversationId, row: MessageRow): void {
    const before = client.disk.messages.get(id)?.get(row.id);
    const short = row.id.slice(0, 6);
    if (before === undefined) return;
    if (before.own !== row.own || before.text !== row.text || before.order !== row.order) {
      oracle.fail("I2", `${client.name} rewrites message ${short}`);
    }
    if (!before.own) oracle.fail("I2", `${client.name} stores message ${short} twice`);
    if (RANK[row.status] < RANK[before.status]) {
      oracle.fail("I3", `${client.name} takes "${before.status}" back to "${row.status}"`);
    }
  }

  /** I1: "delivered" is said of nothing that is not there. */
  function checkDelivered(client: Client, id: ConversationId, row: MessageRow): void {
    if (!row.own || row.status !== "delivered") return;
    if (devices !== undefined) {
      if (devices().hasArrived(client, id, row.id)) return;
      oracle.fail("I1", `${client.name} says delivered, but nobody has ${row.id.slice(0, 6)}`);
      return;
    }
    const other = across(client, id);
    if (other === undefined || evicted.has(other.client)) return;
    if (other.client.disk.messages.get(other.id)?.has(row.id) === true) return;
    if (hasLost(other.client, other.id, row.id)) return;
    oracle.fail("I1", `${client.name} says delivered, but ${row.id.slice(0, 6)} is not stored`);
  }

  /** I8 of what is stored. */
  function checkSizes(client: Client, change: Change): void {
    const { peer } = change.conversation;
    if (peer.state !== "open") return;
    const { sessions, helloSeen, received, owed, spares } = peer;
    const most: readonly (readonly [string, number, number])[] = [
      ["sessions", sessions.length, SESSIONS_MAX],
      ["hellos seen", helloSeen.length, HELLOS_SEEN_MAX],
      ["received", received.length / (MARK_BYTES + CONTENT_ID_BYTES), RECEIVED_MAX],
      ["owed", owed.length, RECEIPT_IDS_MAX],
      ["spares", spares.own.length, SPARES_MAX],
      ["held", peer.change?.frames.length ?? 0, HELD_FRAMES_MAX],
      ...sessions.flatMap(({ skipped }): (readonly [string, number, number])[] => [
        [
          "skipped keys",
          skipped.reduce((sum, chain) => sum + chain.keys.length, 0),
          SKIPPED_KEYS_MAX,
        ],
        ["old chains", skipped.length, OLD_CHAINS_MAX + 1],
      ]),
    ];
    for (const [what, count, max] of most) {
      if (count > max) oracle.fail("I8", `${client.name} keeps ${count} ${what}, at most ${max}`);
    }
  }

  /** I8 of what members make others keep. */
  function checkGroupSizes(client: Client, { group, putSenders }: Change): void {
    const held = [...(group?.log.held.values() ?? [])];
    const ofEach = [...Map.groupBy(held, ({ account }) => account).values()];
    const ofOne = Math.max(0, ...ofEach.map((all) => all.length));
    const most: readonly (readonly [string, number, number])[] = [
      ["operations held", held.length, HELD_OPS_MAX],
      ["operations held of one account", ofOne, HELD_OPS_PER_ACCOUNT_MAX],
      ["introductions", group?.introductions.length ?? 0, INTRODUCTIONS_MAX],
      ...putSenders.flatMap((row): (readonly [string, number, number])[] => [
        ["chains of one device", row.sender?.chains.length ?? 0, RECEIVING_CHAINS_MAX],
        ["messages held of one device", row.held.length, HELD_MESSAGES_PER_ACCOUNT_MAX],
      ]),
    ];
    for (const [what, count, max] of most) {
      if (count > max) oracle.fail("I8", `${client.name} keeps ${count} ${what}, at most ${max}`);
    }
  }

  /** I7: whoever turns does it with a key that never was. */
  function checkTurn(client: Client, { conversation }: Change): void {
    const { peer, id } = conversation;
    for (const session of peer.state === "open" ? peer.sessions : []) {
      const name = `${client.name}/${id}/${bytesToHex(session.id)}`;
      const { ownRatchetKey } = session;
      if (ownRatchetKey === undefined || ratchetKeys.get(name) === ownRatchetKey) continue;
      ratchetKeys.set(name, ownRatchetKey);
      const key = bytesToHex(ownRatchetKey);
      if (turnedTo.has(key)) {
        oracle.fail("I7", `${client.name} turns to a ratchet key that was used`);
      }
      turnedTo.add(key);
    }
  }

  /**
   * I7 of a group's chain: a new one has keys that never were, and what a copy of it reads ends with it, after so many
   * messages, a day, or the next of any that takes somebody out.
   */
  function checkChain(client: Client, { conversation, group, putSenders }: Change): void {
    const { id } = conversation;
    const log = group?.log ?? client.disk.groups.get(id)?.log;
    for (const { device, chain } of putSenders) {
      if (chain === undefined || log === undefined) continue;
      const before = client.disk.senders.get(id)?.get(device)?.chain;
      const isNew = before === undefined || !equalBytes(before.chainId, chain.chainId);
      for (const key of isNew ? [chain.chainKey, chain.signingSecret].map(bytesToHex) : []) {
        // With the first message already sealed its first key is gone: then that of the second is new.
        if (turnedTo.has(key)) oracle.fail("I7", `${client.name} begins a chain with used keys`);
        turnedTo.add(key);
      }
      if (chain.next === (isNew ? 0 : before.next)) continue;
      const isSmall = log.state.members.size <= SMALL_GROUP_MEMBERS_MAX;
      const age = client.now() - chain.begunAt;
      const isOver =
        chain.next > (isSmall ? 1 : CHAIN_MESSAGES_MAX) ||
        chain.turnovers !== log.turnovers ||
        age < 0 ||
        age >= CHAIN_AGE_MS_MAX;
      if (isOver) oracle.fail("I7", `${client.name} goes on with a chain that has ended`);
    }
  }

  function noteRatchetKeys(name: string, { conversations }: Disk): void {
    for (const [id, { peer }] of conversations) {
      for (const session of peer.state === "open" ? peer.sessions : []) {
        ratchetKeys.set(`${name}/${id}/${bytesToHex(session.id)}`, session.ownRatchetKey);
      }
    }
  }

  /** I5: (key, nonce) and message key, recorded when the bytes leave. */
  function checkRelease(client: Client, blob: Uint8Array, id: ConversationId): void {
    const at = blob[0] === EnvelopeType.hello ? HELLO_HEADER_BYTES : 0;
    // An invite's offer, which has no such size, begins with any byte.
    const header = isBucket(blob.length) ? SEALED_UP_TO.get(blob[at] ?? 0) : undefined;
    const isMessage = header !== undefined;
    const body = bytesToHex(blob.subarray(-TAG_END_BYTES));
    const tags = [body];
    if (isMessage) {
      const end = at + header;
      tags.push(bytesToHex(blob.subarray(end - TAG_END_BYTES, end)));
    }
    for (const tag of tags) {
      const use = seals.get(tag);
      if (use === undefined) continue;
      const name = `${use.key}/${use.nonce}`;
      const before = released.get(name);
      if (before !== undefined && before !== tag) {
        oracle.fail("I5", `${client.name} releases two texts under one key and nonce`);
      }
      released.set(name, tag);
    }
    const key = isMessage ? seals.get(body)?.key : undefined;
    if (key === undefined) return;
    const life = lives.get(client) ?? 0;
    const before = bodies.get(key);
    if (before === undefined) bodies.set(key, { tag: body, life });
    else if (before.tag === body) return;
    else if (before.life < life) {
      restored.oldKeys++;
      if (told.has(`${client.name}/${id}`)) {
        oracle.fail("I16", `${client.name} seals by an older store that it was told of`);
      }
    } else oracle.fail("I5", `${client.name} uses a message key for two messages`);
  }

  /** Whether a store remembers less of what it sealed than its contact had opened by then. */
  function isBehind(client: Client, id: ConversationId, read: Session): boolean {
    const own = sessionsOf(client, id).find((one) => isSame(one, read));
    if (own === undefined) return false;
    const sent = own.turn + (own.initiator ? 1 : 0) - (own.stepDue ? 1 : 0);
    const isInChain = read.turn === sent;
    return (
      read.turn > sent || (isInChain && (read.receiving?.next ?? 0) > (own.sending?.next ?? 0))
    );
  }

  function sessionsOf(client: Client, id: ConversationId): readonly Session[] {
    const peer = client.disk.conversations.get(id)?.peer;
    return peer?.state === "open" ? peer.sessions : [];
  }

  const isSame = (one: Session, other: Session): boolean => equalBytes(one.id, other.id);

  function hear(
    client: Client,
    id: ConversationId,
    input: Input,
    effects: readonly Effect[],
  ): void {
    const name = `${client.name}/${id}`;
    hearing.delete(name);
    if (input.kind !== "frame" || input.blob[0] !== EnvelopeType.signal) return;
    const isRefused = effects.some(
      (one) => one.kind === "dropped" && one.reason === "unknown-session",
    );
    const read = signalled.get(keyOfBlob(input.blob));
    if (!isRefused && read !== undefined && isBehind(client, id, read)) {
      const isStored = effects.some((one) => one.kind === "commit");
      (isStored ? hearing : told).add(name);
    }
  }

  const env = () => ({
    now: 1_700_000_000_000 + scheduler.now,
    entropy: (length: number) => random.bytes(length),
    crypto,
  });

  function noteUse(
    client: Client,
    id: ConversationId,
    blob: Uint8Array,
    keys: readonly string[],
  ): void {
    if (keys.length === 0) return;
    const used = usedKeys.get(client) ?? new Set();
    usedKeys.set(client, used);
    for (const key of keys) used.add(key);
    const name = `${client.name}/${id}`;
    opened.set(name, [...(opened.get(name) ?? []), blob].slice(-TRIED_AGAIN_MAX));
  }

  /** I6: what a device keeps opens nothing it has opened, and none of those keys is in it. */
  async function checkForgotten(client: Client): Promise<void> {
    const used = usedKeys.get(client);
    for (const [id, { peer }] of client.disk.conversations) {
      if (peer.state !== "open") continue;
      for (const key of keysIn(peer.sessions)) {
        if (used?.has(key) === true) oracle.fail("I6", `${client.name} keeps a key it has used`);
      }
      for (const blob of opened.get(`${client.name}/${id}`) ?? []) {
        const message = messageOf(blob);
        for (const session of message === undefined ? [] : peer.sessions) {
          const again = message && (await decrypt(session, message, env()));
          if (again?.ok === true) oracle.fail("I6", `${client.name} opens a message again`);
        }
      }
    }
    for (const [id, rows] of client.disk.senders)
      await checkChainsForgotten(client, id, rows, used);
  }

  /** I6 of groups' chains, its own included. */
  async function checkChainsForgotten(
    client: Client,
    id: ConversationId,
    rows: ReadonlyMap<string, SenderRow>,
    used: ReadonlySet<string> | undefined,
  ): Promise<void> {
    const log = client.disk.groups.get(id)?.log;
    const envelopes = (opened.get(`${client.name}/${id}`) ?? []).map(decodeGroupEnvelope);
    for (const { sender, chain } of rows.values()) {
      for (const key of keysIn([sender, chain])) {
        if (used?.has(key) === true) oracle.fail("I6", `${client.name} keeps a chain's used key`);
      }
      for (const envelope of envelopes) {
        if (sender === undefined || log === undefined || !envelope.ok) continue;
        const again = await openFromGroup(sender, envelope.value, log, env());
        if (again.ok) oracle.fail("I6", `${client.name} opens a group's message again`);
      }
    }
  }

  /** I7: a thief with one copy, who then only listens. */
  async function checkExposure({ client, sessions, overheard }: Copy): Promise<void> {
    let stolen = sessions;
    for (const blob of overheard) {
      const message = blob[0] === EnvelopeType.message ? messageOf(blob) : undefined;
      if (message === undefined) continue;
      for (const [index, session] of stolen.entries()) {
        const answer = await decrypt(session, message, env());
        if (!answer.ok) continue;
        stolen = stolen.with(index, answer.session);
        const turns = answer.session.turn - (sessions[index]?.turn ?? 0);
        if (turns > TURNS_EXPOSED_MAX) {
          oracle.fail("I7", `a copy of ${client.name} reads ${turns} turns on`);
        }
        break;
      }
    }
  }

  const identity = createIdentityWatch((what) => oracle.fail("I12", what));
  const oracle: Oracle = {
    failures,
    identity,
    broken,
    restored,
    get accepted_() {
      return accepted.size;
    },
    fail(invariant, what) {
      const full = `${invariant}: ${what}`;
      broken.add(invariant);
      if (!failures.includes(full)) failures.push(full);
    },
    carried(bytes) {
      if (includes(bytes, MARKER_BYTES)) oracle.fail("I10", "readable text is on its way");
    },
    committed(client, change) {
      const heard = `${client.name}/${change.conversation.id}`;
      if (hearing.delete(heard)) told.add(heard);
      const { id, unread } = change.conversation;
      identity.committed(client, change);
      for (const row of [...change.addMessages, ...change.putMessages]) {
        // Beside the message whose id it has, a contact may say anything.
        if (!row.text.includes(FORGED) || isBeside(row)) continue;
        oracle.fail("I2", `${client.name} lists a forged text`);
      }
      const before = client.disk.conversations.get(id)?.unread ?? 0;
      const fresh = change.addMessages.filter((row) => !row.own).length;
      if (unread > before + fresh) oracle.fail("I2", `${client.name} counts a message twice`);
      for (const row of [...change.addMessages, ...change.putMessages]) {
        checkRow(client, id, row);
        checkDelivered(client, id, row);
      }
      checkSizes(client, change);
      checkGroupSizes(client, change);
      checkTurn(client, change);
      checkChain(client, change);
      bundles.committed(client, change);
    },
    sized(client, { live, outbox }) {
      const most = [
        ["in flight", live.inFlight.length, IN_FLIGHT_MAX],
        ["over the link", live.directSent.size, OUTBOX_MAX],
        ["in the outbox", outbox.length, OUTBOX_MAX + NOTICES_MAX + RECEIPT_ROWS_MAX],
        ["owed over the link", live.directOwed.length, RECEIPT_IDS_MAX],
      ] as const;
      for (const [what, count, max] of most) {
        if (count > max) oracle.fail("I8", `${client.name} has ${count} ${what}, at most ${max}`);
      }
    },
    sealed(key, nonce, sealed) {
      const tag = bytesToHex(sealed.subarray(-TAG_END_BYTES));
      seals.set(tag, { key: bytesToHex(key), nonce: bytesToHex(nonce) });
    },
    released(client, blob, id, what) {
      if (what === "offer" ? blob.length !== SEALED_OFFER_BYTES : !isBucket(blob.length)) {
        oracle.fail("I10", `${client.name} lets a size out that says something: ${blob.length}`);
      }
      const { rootSecret, signingSecret, dhSecret } = client.disk.self;
      for (const taint of [MARKER_BYTES, rootSecret, signingSecret, dhSecret]) {
        if (includes(blob, taint)) oracle.fail("I10", `${client.name} lets a secret out`);
      }
      identity.released(client, id);
      const [session] = sessionsOf(client, id);
      if (blob[0] === EnvelopeType.signal && session !== undefined) {
        signalled.set(keyOfBlob(blob), session);
      }
      checkRelease(client, blob, id);
    },
    accepted(client, conversation, messageId, text) {
      const rows = client.disk.messages.get(conversation);
      const row = rows?.get(messageId);
      if (row === undefined) return;
      accepted.set(messageId, { author: client, conversation, text });
      for (const other of rows?.values() ?? []) {
        if (other.order > row.order) {
          oracle.fail("I3", `${client.name} writes before what it had read`);
        }
      }
    },
    stepped(client, id, input, effects) {
      hear(client, id, input, effects);
      identity.stepped(client, id, input, effects);
      if (input.kind !== "wake" || client.isFrozen) return;
      if (effects.some((one) => one.kind !== "wake")) return;
      const second = Math.floor(scheduler.now / 1_000);
      const key = `${client.name}/${id}`;
      const known = wakes.get(key);
      const count = known?.second === second ? known.count + 1 : 1;
      wakes.set(key, { second, count });
      if (count > WAKES_PER_SECOND_MAX) oracle.fail("I8", `${key} wakes in a storm`);
    },
    given(client, id, name, blob) {
      const key = `${client.name}/${name}`;
      // Whoever tampers gives several under one number; else only the last one given is meant by it.
      const before = isTampered ? given.get(key) : undefined;
      if (before === undefined) given.set(key, [keyOfBlob(blob)]);
      else before.push(keyOfBlob(blob));
      for (const copy of copies) {
        if (copy.client !== client || copy.id !== id) continue;
        if (copy.overheard.length < OVERHEARD_MAX) copy.overheard.push(blob);
      }
    },
    handled(client, id, blob, keys) {
      const stored = handled.get(client) ?? new Set();
      handled.set(client, stored.add(keyOfBlob(blob)));
      noteUse(client, id, blob, keys);
    },
    openedInGroup: noteUse,
    acknowledges(client, name) {
      const keys = given.get(`${client.name}/${name}`);
      if (keys === undefined) return;
      if (keys.some((key) => handled.get(client)?.has(key))) return;
      oracle.fail("I13", `${client.name} confirms what it has not stored`);
    },
    copied(client, id) {
      const peer = client.disk.conversations.get(id)?.peer;
      if (peer?.state !== "open") return;
      copies.push({ client, id, sessions: peer.sessions, overheard: [] });
    },
    evicted(client) {
      evicted.add(client);
    },
    rotted(client, gone) {
      if (gone !== undefined) spoiled.add(gone);
      // A session may have another name now, and its keys be others: they are as they were found.
      noteRatchetKeys(client.name, client.disk);
    },
    hasSpoiled: (messageId) => spoiled.has(messageId),
    renewed(client) {
      renewed.add(client);
    },
    canGoBack(client, store = client.disk) {
      if (devices !== undefined) return devices().canGoBack(client, store);
      const isSelf = isSameRoot(store.self.cert, client.disk.self.cert);
      return pairsOf(client).every((pair) => {
        const id = pair.inviter === client ? pair.inviterId : pair.inviteeId;
        const peer = client.disk.conversations.get(id)?.peer;
        const then = store.conversations.get(id)?.peer;
        // Before it knows where to write, an older store can ask nobody for what it lacks.
        const isOpen = peer?.state === "open" && peer.contact.addresses.length > 0;
        if (!isWhole(pair) || !isOpen || then?.state !== "open") return false;
        return isSelf && isMutual(pair) && isSameRoot(then.contact.cert, peer.contact.cert);
      });
    },
    canRenew(client) {
      return pairsOf(client).every((pair) => {
        const [id, there] =
          pair.inviter === client
            ? [pair.inviterId, pair.invitee.disk.conversations.get(pair.inviteeId)]
            : [pair.inviteeId, pair.inviter.disk.conversations.get(pair.inviterId)];
        const own = client.disk.conversations.get(id)?.peer;
        if (!isWhole(pair) || !isAcquainted(pair) || own?.state !== "open") return false;
        return there?.peer.state === "open" && bundles.hasBundle(client, id);
      });
    },
    putBack(client, store) {
      restored.stores++;
      for (const id of store.conversations.keys()) told.delete(`${client.name}/${id}`);
      lives.set(client, (lives.get(client) ?? 0) + 1);
      for (const [id, rows] of client.disk.messages) {
        const name = `${client.name}/${id}`;
        const without = lost.get(name) ?? new Set();
        lost.set(name, without);
        for (const row of rows.keys()) {
          if (store.messages.get(id)?.has(row) !== true) without.add(row);
        }
        // What it had opened, it can open again: it knows nothing of it.
        opened.delete(name);
      }
      usedKeys.delete(client);
      handled.delete(client);
      noteRatchetKeys(client.name, store);
    },
    join(pair) {
      pairs.push(pair);
    },
    foreignIds(client, id) {
      if (devices !== undefined) {
        const isOwn = devices().isSamePerson;
        return [...accepted]
          .filter(([, { author }]) => isOwn(author, client))
          .map(([messageId]) => messageId);
      }
      return [...accepted]
        .filter(([, one]) => one.conversation.slice(-1) !== id.slice(-1))
        .map(([messageId]) => messageId);
    },
    across,
    hasLost(client, row) {
      if (evicted.has(client)) return true;
      return [...lost].some(([name, rows]) => name.startsWith(`${client.name}/`) && rows.has(row));
    },
    couldRepair(client, id) {
      if (devices !== undefined) {
        const other = across(client, id);
        return (
          other !== undefined && canBeginAnew(client, id) && canBeginAnew(other.client, other.id)
        );
      }
      const pair = pairOf(client, id);
      return pair !== undefined && isWhole(pair) && isAcquainted(pair);
    },
    isSettled() {
      return pairs.filter(isWhole).every((pair) => {
        return sidesOf(pair).every(([client, id, other]) => {
          const peer = client.disk.conversations.get(id)?.peer;
          return (
            peer?.state === "open" &&
            isMutual(pair) &&
            peer.contact.name === other.disk.self.name &&
            peer.owed.length === 0 &&
            (client.disk.outbox.get(id)?.size ?? 0) === 0
          );
        });
      });
    },
    async atTheEnd(expectedDrops) {
      // Of people with several devices each text has its own readers: see device-checks.ts.
      if (devices === undefined) {
        for (const [id, message] of accepted) checkArrival(id, message);
      }
      for (const pair of pairs.filter(isWhole)) checkPair(pair);
      const inPairs = new Set(pairs.flatMap((pair) => [pair.inviter, pair.invitee]));
      for (const client of devices?.().present() ?? inPairs) {
        await checkForgotten(client);
        for (const [reason, count] of client.dropped) {
          if (expectedDrops.has(reason)) continue;
          oracle.fail("I4", `${client.name} drops ${count}x ${reason}`);
        }
      }
      for (const copy of copies) await checkExposure(copy);
    },
  };

  /** I1: what the store confirmed is with its author and with the one it was written for. */
  function checkArrival(id: string, { author, conversation, text }: Accepted): void {
    const short = `${id.slice(0, 6)} of ${author.name}`;
    if (evicted.has(author)) return;
    const own = author.disk.messages.get(conversation)?.get(id);
    const other = across(author, conversation);
    const pair = pairOf(author, conversation);
    if (other === undefined || (pair !== undefined && isCutOff(pair))) return;
    const there = other.client.disk.messages.get(other.id)?.get(id);
    if (own === undefined) {
      if (hasLost(author, conversation, id)) {
        if (there === undefined) restored.gone++;
        return;
      }
      oracle.fail("I1", `accepted message ${short} is gone from its author`);
      return;
    }
    if (evicted.has(other.client)) return;
    if (there === undefined && spoiled.has(id)) return;
    if (own.status !== "delivered" && !spoiled.has(id))
      oracle.fail("I4", `message ${short} ends as ${own.status}`);
    if (there === undefined) {
      if (hasLost(other.client, other.id, id)) return;
      oracle.fail("I1", `accepted message ${short} never arrived`);
    } else if (there.text !== text || placeOf(there, author) !== placeOf(own, author)) {
      oracle.fail("I2", `message ${short} arrived changed`);
    }
  }

  /** Its time, its author, its id; the author not when its account has changed: then each side has the one it had. */
  const placeOf = ({ order, id }: MessageRow, ...authors: readonly Client[]): string =>
    authors.some((one) => renewed.has(one)) ? order.slice(0, TIME_DIGITS) + id : order;

  /** I4. */
  function checkPair(pair: Pair): void {
    const { inviter, inviterId, invitee, inviteeId } = pair;
    const here = shown(inviter, inviterId, invitee, inviteeId);
    const there = shown(invitee, inviteeId, inviter, inviterId);
    const label = `${inviter.name}-${invitee.name}`;
    if (here.join() !== there.join()) oracle.fail("I4", `${label} see different conversations`);
    for (const [client, id, other] of sidesOf(pair)) {
      const record = client.disk.conversations.get(id);
      if (record?.peer.state !== "open") {
        oracle.fail("I4", `${client.name}/${id} ends as ${record?.peer.state}`);
        continue;
      }
      const posts = client.disk.posts.size;
      if (posts > 0) oracle.fail("I4", `${client.name} ends with ${posts} posts that nobody took`);
      const waiting = client.disk.outbox.get(id)?.size ?? 0;
      if (waiting > 0) {
        oracle.fail("I4", `${client.name}/${id} ends with ${waiting} in the outbox`);
      }
      if (!isSameRoot(record.peer.contact.cert, other.disk.self.cert)) {
        oracle.fail("I12", `${client.name}/${id} ends with another identity than ${other.name}'s`);
      }
      if (record.peer.contact.name !== other.disk.self.name) {
        oracle.fail("I4", `${client.name}/${id} has an old name for ${other.name}`);
      }
      const there = across(client, id);
      const reader = there?.client.disk.conversations.get(there.id)?.peer;
      const read = reader?.state === "open" ? reader.queue.addresses : [];
      const told = placesOf(record.peer.contact.addresses);
      // An older store may not know of a queue that it made, which is lost with its relay.
      if (!placesOf(read).every((place) => told.includes(place))) {
        oracle.fail("I4", `${client.name}/${id} has old addresses of ${other.name}`);
      }
    }
  }

  /** In order; without what only this side still has because the other one's store is older. */
  const shown = (
    client: Client,
    id: ConversationId,
    other: Client,
    otherId: ConversationId,
  ): readonly string[] => {
    const there = other.disk.messages.get(otherId);
    return [...(client.disk.messages.get(id)?.values() ?? [])]
      .filter((row) => !(row.text.includes(FORGED) && isBeside(row)))
      .filter(
        (row) =>
          there?.has(row.id) === true || !(hasLost(other, otherId, row.id) || spoiled.has(row.id)),
      )
      .map((row) => placeOf(row, client, other))
      .toSorted((a, b) => (a < b ? -1 : 1));
  };

  return oracle;
}

/** A row with an id of its own, because somebody else had used its content's. */
const isBeside = ({ id, order, own }: MessageRow): boolean => !own && !order.endsWith(id);

/** Whose client, where, and whose the contact is. */
const sidesOf = ({ inviter, inviterId, invitee, inviteeId }: Pair) =>
  [
    [inviter, inviterId, invitee],
    [invitee, inviteeId, inviter],
  ] as const;

const placesOf = (addresses: readonly QueueAddress[]): readonly string[] =>
  addresses.map((one) => bytesToHex(encodeAddress(one)));

const isSameRoot = (one: DeviceCert, other: DeviceCert): boolean =>
  equalBytes(one.rootKey, other.rootKey);

function messageOf(blob: Uint8Array) {
  const decoded = decodeEnvelope(blob);
  if (!decoded.ok) return undefined;
  const { value } = decoded;
  if (value.type === "hello") return value.message;
  return value.type === "message" ? value : undefined;
}

/** Everything of a key's length anywhere in a record. */
function keysIn(value: unknown): readonly string[] {
  if (value instanceof Uint8Array) return value.length === 32 ? [bytesToHex(value)] : [];
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap(keysIn);
}

function includes(bytes: Uint8Array, part: Uint8Array): boolean {
  const [first = 0] = part;
  for (let at = bytes.indexOf(first); at >= 0; at = bytes.indexOf(first, at + 1)) {
    if (at + part.length > bytes.length) return false;
    if (part.every((byte, index) => bytes[at + index] === byte)) return true;
  }
  return false;
}
