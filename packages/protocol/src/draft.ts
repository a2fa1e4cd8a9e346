/**
 * One step in the making: what has changed so far, and what shall be done after it is stored.
 * Owns: turning changes into one commit in front of all other effects. Leaves to the other files: deciding.
 * Spec: SPEC.md §3.
 */
import { sha256 } from "@sotto/crypto";
import {
  ACCOUNT_ID_BYTES,
  bytesToHex,
  CONTENT_ID_BYTES,
  type ContentKind,
  equalBytes,
  type HybridTime,
  isEncodedAs,
  utf8ToBytes,
} from "@sotto/wire";
import type {
  AccountDevices,
  ConversationRecord,
  Env,
  GroupRow,
  GroupSlice,
  LiveState,
  MessageId,
  MessageRow,
  MessageStatus,
  OutboxRow,
  Peer,
  Post,
  PostRow,
  SelfRecord,
  SenderRow,
  Slice,
} from "./ports.ts";
import type { DropReason, Effect, Stepped } from "./step.ts";

/**
 * What is said, waiting in one conversation; one more is refused. Receipts do not count: two full outboxes would never
 * empty.
 */
export const OUTBOX_MAX = 1_000;
/** What says how things stand, waiting beside it: whoever is told of all contacts at once, and still hears of devices. */
export const NOTICES_MAX = 4_096;
/**
 * Numbers set aside for the posts of one step, so that they stand before those of the next. No limit: a step that had more
 * to say (all that may wait, to everybody in a full group) would be stopped by memory first.
 */
const POST_NUMBERS_PER_STEP = 2 ** 20;
/** Characters of the newest message kept in the conversation's record, for the list. */
export const PREVIEW_CHARACTERS_MAX = 200;

const POST_ID_BYTES = 16;

export type OpenPeer = Extract<Peer, { state: "open" }>;

/** Lives for one step only; the one mutable thing in this package. */
export interface Draft {
  readonly env: Env;
  self: SelfRecord;
  readonly base: Slice;
  conversation: ConversationRecord;
  live: LiveState;
  outbox: readonly OutboxRow[];
  /** The store has the message that this input brings: see `asKnown`. */
  readonly known: boolean;
  /** Of these ids the store has messages by somebody else: see `asTaken`. */
  readonly taken: ReadonlySet<MessageId>;
  readonly addMessages: Map<string, MessageRow>;
  readonly putMessages: Map<string, MessageRow>;
  readonly mergeMessages: Map<string, MessageRow>;
  readonly putOutbox: Map<string, OutboxRow>;
  readonly deleteOutbox: Set<string>;
  /** Own texts of another device that arrived. */
  readonly delivered: Set<string>;
  readonly addPosts: Pick<PostRow, "id" | "to" | "post">[];
  readonly takePosts: Set<string>;
  /** Of a group only. */
  group: GroupSlice;
  isGroupChanged: boolean;
  readonly putSenders: Map<string, SenderRow>;
  dirty: boolean;
  readonly effects: Effect[];
}

const NO_GROUP: GroupSlice = { row: undefined, senders: new Map() };

export function createDraft(
  slice: Slice,
  conversation: ConversationRecord,
  env: Env,
  { known, taken }: Pick<Draft, "known" | "taken">,
): Draft {
  return {
    env,
    self: slice.self,
    base: slice,
    conversation,
    live: slice.live,
    outbox: slice.outbox,
    known,
    taken,
    addMessages: new Map(),
    putMessages: new Map(),
    mergeMessages: new Map(),
    putOutbox: new Map(),
    deleteOutbox: new Set(),
    delivered: new Set(),
    addPosts: [],
    takePosts: new Set(),
    group: slice.group ?? NO_GROUP,
    isGroupChanged: false,
    putSenders: new Map(),
    dirty: false,
    effects: [],
  };
}

export function changeConversation(draft: Draft, change: Partial<ConversationRecord>): void {
  draft.conversation = { ...draft.conversation, ...change };
  draft.dirty = true;
}

export function changeDevices(draft: Draft, change: Partial<AccountDevices>): void {
  changeConversation(draft, { devices: { ...draft.conversation.devices, ...change } });
}

/** Only in records of this account's own devices: their steps run one after another. */
export function changeOwnDevices(draft: Draft, change: Partial<SelfRecord["devices"]>): void {
  draft.self = { ...draft.self, devices: { ...draft.self.devices, ...change } };
  draft.dirty = true;
}

export function post(draft: Draft, to: string, what: Post): void {
  const id = bytesToHex(draft.env.entropy(POST_ID_BYTES));
  draft.addPosts.push({ id, to, post: what });
  draft.dirty = true;
}

/** No text goes out: a device may have been removed, or two lists of the account contradict each other. */
export const isTextHeld = ({ conversation: { devices } }: Draft): boolean =>
  devices.behind !== undefined || devices.fork !== undefined;

/** A pair with another device of this account. */
export const isOwnPair = ({ conversation: { parent, peer }, self }: Draft): boolean =>
  parent !== undefined &&
  peer.state === "open" &&
  equalBytes(peer.contact.cert.rootKey, self.cert.rootKey);

export function changeGroup(draft: Draft, row: GroupRow): void {
  draft.group = { ...draft.group, row };
  draft.isGroupChanged = true;
  draft.dirty = true;
}

export function putSender(draft: Draft, row: SenderRow): void {
  const senders = new Map(draft.group.senders).set(row.device, row);
  draft.group = { ...draft.group, senders };
  draft.putSenders.set(row.device, row);
  draft.dirty = true;
}

export function changeLive(draft: Draft, change: Partial<LiveState>): void {
  draft.live = { ...draft.live, ...change };
}

const NOTICES: readonly ContentKind[] = [
  "introduction",
  "profile",
  "devices",
  "request",
  "spare",
  "offer",
  "contact",
  "page",
  "heads",
  "member",
  "ask-past",
  "past",
];

const isNotice = (content: Uint8Array | undefined): boolean =>
  content !== undefined && NOTICES.some((kind) => isEncodedAs(content, kind));

/** For what is said: texts, copies of them, and keys of groups, which are nothing without a text. */
export const isOutboxFull = ({ outbox }: Draft): boolean =>
  outbox.length >= OUTBOX_MAX &&
  outbox.filter(({ awaits, content }) => awaits !== undefined && !isNotice(content)).length >=
    OUTBOX_MAX;

export const areNoticesFull = ({ outbox }: Draft): boolean =>
  outbox.length >= NOTICES_MAX &&
  outbox.filter(({ content }) => isNotice(content)).length >= NOTICES_MAX;

/** An introduction always finds room: there is one at most, and without it nobody knows where to answer. */
export function isFullFor(draft: Draft, content: Uint8Array): boolean {
  if (isEncodedAs(content, "introduction")) return false;
  return isNotice(content) ? areNoticesFull(draft) : isOutboxFull(draft);
}

/** Undefined while nobody is known on the other side. */
export function openPeer(draft: Draft): OpenPeer | undefined {
  const { peer } = draft.conversation;
  return peer.state === "open" ? peer : undefined;
}

export function changePeer(draft: Draft, peer: OpenPeer, change: Partial<OpenPeer>): OpenPeer {
  const next = { ...peer, ...change };
  changeConversation(draft, { peer: next });
  return next;
}

export function putOutbox(draft: Draft, row: OutboxRow): void {
  const known = draft.outbox.some((one) => one.id === row.id);
  draft.outbox = known
    ? draft.outbox.map((one) => (one.id === row.id ? row : one))
    : [...draft.outbox, row];
  draft.putOutbox.set(row.id, row);
  draft.deleteOutbox.delete(row.id);
  draft.dirty = true;
}

export function deleteOutbox(draft: Draft, id: string): void {
  draft.outbox = draft.outbox.filter((one) => one.id !== id);
  draft.putOutbox.delete(id);
  draft.deleteOutbox.add(id);
  draft.dirty = true;
}

/** An id of its own for a message whose id somebody else used, who may have read it first: over its author and its id. */
const idBeside = ({ order }: MessageRow): MessageId =>
  bytesToHex(sha256(utf8ToBytes(order.slice(-AUTHORED_CHARACTERS)))).slice(0, 2 * CONTENT_ID_BYTES);

/** author account id 40 hex | id 32 hex, at the end of an order key. */
const AUTHORED_CHARACTERS = 2 * ACCOUNT_ID_BYTES + 2 * CONTENT_ID_BYTES;

/** The same thing said once more, and not something else under the same id. */
export const isSameMessage = (a: MessageRow, b: MessageRow): boolean =>
  a.own === b.own && a.author === b.author;

/** A new row. Whatever comes from outside is only ever added: nothing may write over what is shown. */
export function addMessage(draft: Draft, said: MessageRow): void {
  const row = draft.taken.has(said.id) ? { ...said, id: idBeside(said) } : said;
  draft.addMessages.set(row.id, row);
  draft.dirty = true;
  showLast(draft, row);
}

/** A row of history from an own device, unless there is one of its id. */
export function mergeMessage(draft: Draft, row: MessageRow): void {
  draft.mergeMessages.set(row.id, row);
  draft.dirty = true;
  showLast(draft, row);
}

function showLast(draft: Draft, row: MessageRow): void {
  const { last } = draft.conversation;
  const time = timeOf(row.order);
  if (last !== undefined && compareTimes(time, last.time) < 0) return;
  const text = Array.from(row.text).slice(0, PREVIEW_CHARACTERS_MAX).join("");
  const at = Math.min(time.ms, row.receivedAt);
  changeConversation(draft, { last: { time, at, text, own: row.own } });
}

/** An own row with a new sign. */
export function putMessage(draft: Draft, row: MessageRow): void {
  draft.putMessages.set(row.id, row);
  draft.dirty = true;
}

const RANK: Readonly<Record<MessageStatus, number>> = {
  queued: 0,
  failed: 1,
  relayed: 2,
  delivered: 3,
  received: 3,
};

/** A sign only goes up: a late OK of the relay does not take "delivered" back. */
export function raiseStatus(
  row: MessageRow,
  status: MessageStatus,
  path: MessageRow["path"],
): MessageRow {
  return RANK[status] > RANK[row.status] ? { ...row, status, path: path ?? row.path } : row;
}

export function drop(draft: Draft, reason: DropReason): void {
  draft.effects.push({ kind: "dropped", reason });
}

/** The commit, if anything changed, then the rest in the order it was asked for. */
export function finish(draft: Draft): Stepped {
  const { base, self, live, outbox } = draft;
  const expectedVersion = base.conversation?.version ?? 0;
  if (!draft.dirty) {
    return { slice: { ...base, live }, effects: draft.effects };
  }
  const version = expectedVersion + 1;
  const conversation = { ...draft.conversation, version };
  const addPosts = draft.addPosts.map((row, index): PostRow => {
    const sequence = version * POST_NUMBERS_PER_STEP + index;
    return { ...row, from: conversation.id, sequence };
  });
  const commit: Effect = {
    kind: "commit",
    change: {
      expectedVersion,
      conversation,
      addMessages: [...draft.addMessages.values()],
      putMessages: [...draft.putMessages.values()],
      mergeMessages: [...draft.mergeMessages.values()],
      putOutbox: [...draft.putOutbox.values()],
      deleteOutbox: [...draft.deleteOutbox],
      delivered: [...draft.delivered],
      addPosts,
      takePosts: [...draft.takePosts],
      group: draft.isGroupChanged ? draft.group.row : undefined,
      putSenders: [...draft.putSenders.values()],
      self: self === base.self ? undefined : self,
    },
  };
  const group = conversation.peer.state === "group" ? { group: draft.group } : {};
  return {
    slice: { self, conversation, outbox, live, ...group },
    effects: [commit, ...draft.effects],
  };
}

/** The sort key every device agrees on: ms, counter, author, content id. */
export const orderKey = (time: HybridTime, account: Uint8Array, id: string): string =>
  time.ms.toString(16).padStart(12, "0") +
  time.counter.toString(16).padStart(4, "0") +
  bytesToHex(account) +
  id;

export const compareTimes = (a: HybridTime, b: HybridTime): number =>
  a.ms === b.ms ? a.counter - b.counter : a.ms - b.ms;

export const timeOf = (order: string): HybridTime => ({
  ms: Number.parseInt(order.slice(0, 12), 16),
  counter: Number.parseInt(order.slice(12, 16), 16),
});
