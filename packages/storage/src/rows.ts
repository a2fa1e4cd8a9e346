/**
 * Is what the disk gave back still a row? Damaged rows are skipped and counted, so that one bad row
 * never keeps the rest of the history away.
 * Owns: one check per stored field, where the compiler refuses a new field without one; what all adapters do with rows.
 */
import type {
  AccountDevices,
  Change,
  CommitResult,
  Contact,
  ConversationRecord,
  DeviceLink,
  DeviceOffer,
  IdentityChange,
  InviteSecrets,
  ListMark,
  MessageId,
  MessageRow,
  MessageStatus,
  OutboxRow,
  OwnDevices,
  OwnQueue,
  OwnRelay,
  Peer,
  Post,
  PostRow,
  Recipient,
  SelfRecord,
  Session,
  Spare,
  Spares,
  StoreEvent,
} from "@sotto/protocol";
import { isListMark, isSameMessage, NO_SPARES, orderKey } from "@sotto/protocol";
import {
  ADDRESSES_MAX,
  type DeviceCert,
  DEVICE_ID_BYTES,
  bytesToHex,
  decodeContent,
  type DeviceList,
  FIRST_USE_BYTES,
  type HybridTime,
  isBucket,
  isRelayUrl,
  KEM_CIPHERTEXT_BYTES,
  KEM_PUBLIC_BYTES,
  LIST_HASH_BYTES,
  type ListedDevice,
  type PrekeyBundle,
  type QueueAddress,
  QUEUE_ID_BYTES,
  type RemovedDevice,
  SEND_ID_BYTES,
  SIGNATURE_BYTES,
} from "@sotto/wire";

export type Check = (value: unknown) => boolean;

export const isFields = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null;

export const record =
  <T>(checks: Readonly<Record<keyof T & string, Check>>): Check =>
  (value) =>
    isFields(value) && Object.entries<Check>(checks).every(([name, is]) => is(value[name]));
export const list =
  (is: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(is);
export const optional =
  (is: Check): Check =>
  (value) =>
    value === undefined || is(value);
export const oneOf =
  (...values: readonly unknown[]): Check =>
  (value) =>
    values.includes(value);
export const bytes =
  (length?: number): Check =>
  (value) =>
    value instanceof Uint8Array && (length === undefined || value.length === length);

export const text: Check = (value) => typeof value === "string";
export const flag: Check = (value) => typeof value === "boolean";
/** `received` holds whole entries only: tag 8 | nonce 4 | content id 16. */
const ring: Check = (value) => value instanceof Uint8Array && value.length % 28 === 0;
/** Any other size would be refused by everyone it is sent to, for ever. */
export const envelope: Check = (value) => value instanceof Uint8Array && isBucket(value.length);
/** Versions, counters, instants: never negative, never a fraction. */
export const count: Check = (value) => Number.isSafeInteger(value) && Number(value) >= 0;
export const key = bytes(32);
/** ms 12 hex | counter 4 | author 40 | id 32: what the index sorts by. */
const order: Check = (value) => typeof value === "string" && /^[0-9a-f]{88}$/.test(value);
/** A device id in hex. */
const deviceName: Check = (value) => typeof value === "string" && /^[0-9a-f]{16}$/.test(value);
export const path = oneOf("direct", "relay");

export const cert = record<DeviceCert>({
  rootKey: key,
  deviceId: bytes(DEVICE_ID_BYTES),
  signingKey: key,
  dhKey: key,
  issuedAt: count,
  signature: bytes(SIGNATURE_BYTES),
});

const time = record<HybridTime>({ ms: count, counter: count });

/** A link to anything else would be an error. */
const relayUrl: Check = (value) => typeof value === "string" && isRelayUrl(value);

const address = record<QueueAddress>({
  relayUrl,
  relayKey: key,
  sendId: bytes(SEND_ID_BYTES),
  firstUse: bytes(FIRST_USE_BYTES),
});

const addresses: Check = (value) =>
  list(address)(value) && Array.isArray(value) && value.length <= ADDRESSES_MAX;

const deviceKeys = { id: bytes(DEVICE_ID_BYTES), signingKey: key, dhKey: key };

const deviceList = record<DeviceList>({
  rootKey: key,
  version: count,
  previous: bytes(LIST_HASH_BYTES),
  issuedAt: count,
  devices: list(record<ListedDevice>({ ...deviceKeys, admin: flag, addedAt: count })),
  removed: list(record<RemovedDevice>({ ...deviceKeys, removedAt: count })),
  signature: bytes(SIGNATURE_BYTES),
});

const markFields = record<ListMark>({ version: count, prefix: bytes() });
const isMarkFields = (value: unknown): value is ListMark => markFields(value);
const mark: Check = (value) => isMarkFields(value) && isListMark(value);

const bundle = record<PrekeyBundle>({
  cert,
  signedPrekey: record<PrekeyBundle["signedPrekey"]>({
    id: count,
    key,
  }),
  kemPrekey: record<PrekeyBundle["kemPrekey"]>({
    id: count,
    key: bytes(KEM_PUBLIC_BYTES),
    oneTimeKey: optional(key),
    leafIndex: count,
    proof: list(key),
    signature: bytes(SIGNATURE_BYTES),
  }),
});

const offer = record<DeviceOffer>({ bundle, addresses, receivedAt: count });

/** An account id in hex. */
const account: Check = (value) => typeof value === "string" && /^[0-9a-f]{40}$/.test(value);
/** Whole account ids. */
const accounts: Check = (value) => value instanceof Uint8Array && value.length % 20 === 0;

export const links = list(
  record<DeviceLink>({
    device: deviceName,
    conversation: text,
    history: optional(oneOf("gives", "asks")),
  }),
);

const ownDevices = record<OwnDevices>({
  lists: list(deviceList),
  links,
  met: count,
  reach: list(record<OwnDevices["reach"][number]>({ device: deviceName, content: bytes() })),
});

const accountDevices = record<AccountDevices>({
  list: optional(deviceList),
  pinned: optional(mark),
  behind: optional(count),
  fork: optional(count),
  links,
  missing: list(record<AccountDevices["missing"][number]>({ device: deviceName, since: count })),
  later: list(deviceList),
  offers: list(offer),
  passing: list(
    record<AccountDevices["passing"][number]>({
      device: deviceName,
      from: deviceName,
      content: bytes(),
    }),
  ),
  told: list(record<AccountDevices["told"][number]>({ device: deviceName, version: count })),
  asked: list(text),
  groups: list(record<AccountDevices["groups"][number]>({ group: text, told: text })),
  presented: accounts,
  unpresented: list(record<AccountDevices["unpresented"][number]>({ group: text, account })),
  introducers: list(account),
  // Records of before it have none.
  teller: optional(account),
  refusedGroups: list(text),
  // Records of before it have none.
  past: optional(
    record<NonNullable<AccountDevices["past"]>>({
      device: deviceName,
      before: optional(order),
      // Records of before it have none.
      newest: optional(count),
      since: count,
      whole: flag,
      again: flag,
      met: count,
    }),
  ),
  // Records of before it have none.
  late: optional(count),
  introduced: list(
    record<AccountDevices["introduced"][number]>({ device: deviceName, version: count }),
  ),
  news: record<AccountDevices["news"]>({
    added: count,
    removed: count,
    // Records of before it have none.
    anew: optional(count),
  }),
});

const queue = record<OwnQueue>({
  queueId: bytes(QUEUE_ID_BYTES),
  firstUse: bytes(FIRST_USE_BYTES),
  addresses,
});

const invite = record<InviteSecrets>({
  seed: bytes(16),
  signedPrekeyId: count,
  signedPrekeySecret: key,
  oneTimeId: count,
  oneTimeSecret: key,
  kemSeed: bytes(64),
  bundleHash: key,
  bundle: bytes(),
  expiresAt: count,
  lifetimeMs: count,
  published: flag,
});

const contact = record<Contact>({
  name: text,
  namedAt: time,
  cert,
  addresses,
  addressedAt: time,
  sendSecret: key,
  verified: flag,
});

const chain = record<NonNullable<Session["sending"]>>({
  headerKey: key,
  chainKey: key,
  next: count,
});

type KemStep = Session["kem"]["step"];
type StepOf<Kind extends KemStep["kind"]> = Omit<Extract<KemStep, { kind: Kind }>, "kind">;

const symbols = list(
  record<StepOf<"awaiting">["received"][number]>({ index: count, bytes: bytes(32) }),
);
const kemStepByKind: ReadonlyMap<unknown, Check> = new Map<KemStep["kind"], Check>([
  ["due", () => true],
  [
    "offering",
    record<StepOf<"offering">>({
      seed: bytes(64),
      block: bytes(KEM_PUBLIC_BYTES),
      next: count,
      received: symbols,
    }),
  ],
  ["ready", record<StepOf<"ready">>({ secret: key })],
  ["awaiting", record<StepOf<"awaiting">>({ received: symbols })],
  [
    "answering",
    record<StepOf<"answering">>({
      secret: key,
      block: bytes(KEM_CIPHERTEXT_BYTES),
      next: count,
      whole: flag,
    }),
  ],
]);
const kemStep: Check = (value) =>
  isFields(value) && (kemStepByKind.get(value["kind"])?.(value) ?? false);

const session = record<Session>({
  id: bytes(16),
  initiator: flag,
  transcript: key,
  rootKey: key,
  ownRatchetSecret: key,
  ownRatchetKey: optional(key),
  remoteRatchetKey: optional(key),
  sending: optional(chain),
  nextSendingHeaderKey: key,
  previousCount: count,
  stepDue: flag,
  receiving: optional(chain),
  nextReceivingHeaderKey: key,
  skipped: list(
    record<Session["skipped"][number]>({
      headerKey: key,
      turn: count,
      keys: list(record<Session["skipped"][number]["keys"][number]>({ n: count, key, at: count })),
    }),
  ),
  turn: count,
  kem: record<Session["kem"]>({ epoch: count, step: kemStep, sinceWhole: count, wholeAt: count }),
  helloHeader: optional(bytes()),
  ownSignalKey: key,
  remoteSignalKey: key,
});

const secrets = record<Spare["secrets"]>({
  signedPrekeyId: count,
  signedPrekeySecret: key,
  oneTimeId: count,
  oneTimeSecret: key,
  kemSeed: bytes(64),
  bundleHash: key,
});

const spares = record<Spares>({
  own: list(record<Spare>({ secrets, madeAt: count })),
  theirs: optional(
    record<NonNullable<Spares["theirs"]>>({ bundle: bytes(), time, receivedAt: count }),
  ),
  usedAt: count,
  askedAt: count,
  pleaAt: count,
});

type PeerIn<State extends Peer["state"]> = Omit<Extract<Peer, { state: State }>, "state">;

const peerByState: ReadonlyMap<unknown, Check> = new Map<Peer["state"], Check>([
  ["notes", () => true],
  ["invited", record<PeerIn<"invited">>({ invite, queue })],
  [
    "open",
    record<PeerIn<"open">>({
      contact,
      queue,
      sessions: list(session),
      inviteSeed: bytes(16),
      helloSeen: list(key),
      received: ring,
      owed: list(text),
      spares,
      change: optional(record<IdentityChange>({ cert, frames: list(envelope), at: count })),
      retired: flag,
      mark,
      announced: count,
      offeredAt: count,
    }),
  ],
  ["group", record<PeerIn<"group">>({ group: text, member: flag, told: list(deviceName) })],
  ["refused", record<PeerIn<"refused">>({ reason: oneOf("gone", "expired", "removed") })],
]);

const peer: Check = (value) =>
  isFields(value) && (peerByState.get(value["state"])?.(value) ?? false);

const self = record<SelfRecord>({
  name: text,
  rootSecret: key,
  signingSecret: key,
  dhSecret: key,
  cert,
  readerSecret: key,
  relays: list(
    record<OwnRelay>({
      url: (value) => value === "" || relayUrl(value),
      key: optional(key),
      derived: flag,
    }),
  ),
  hidesAddress: optional(flag),
  createdAt: count,
  devices: ownDevices,
});

const conversation = record<ConversationRecord>({
  id: text,
  parent: optional(text),
  listed: flag,
  version: count,
  peer,
  devices: accountDevices,
  clock: time,
  createdAt: count,
  last: optional(
    record<NonNullable<ConversationRecord["last"]>>({ time, at: count, text, own: flag }),
  ),
  unread: count,
});

const message = record<MessageRow>({
  id: text,
  conversation: text,
  order,
  own: flag,
  author: optional(account),
  text,
  sentAt: count,
  receivedAt: count,
  status: oneOf("queued", "relayed", "delivered", "failed", "received"),
  path: optional(path),
});

const outboxRow = record<OutboxRow>({
  id: text,
  conversation: text,
  sequence: count,
  awaits: optional(text),
  envelope: optional(envelope),
  content: optional(bytes()),
  message: optional(message),
  createdAt: count,
  relayedAt: optional(count),
  copiedAt: optional(count),
  spread: flag,
  group: optional(text),
  recipients: optional(list(record<Recipient>({ account, devices: list(deviceName), has: flag }))),
});

type PostOf<Kind extends Post["kind"]> = Omit<
  Post extends infer P
    ? P extends { kind: infer K }
      ? Kind extends K
        ? P
        : never
      : never
    : never,
  "kind"
>;

const postByKind: ReadonlyMap<unknown, Check> = new Map<Post["kind"], Check>([
  [
    "begin",
    record<PostOf<"begin">>({
      parent: text,
      listed: flag,
      name: text,
      cert,
      offer: optional(offer),
    }),
  ],
  ["offer", record<PostOf<"offer">>({ offer })],
  ["send", record<PostOf<"send">>({ awaits: text, content: bytes() })],
  ["end", () => true],
  ["listed", () => true],
  ["content", record<PostOf<"content">>({ content: bytes(), path })],
  ["settled", record<PostOf<"settled">>({ awaits: text, path })],
  ["mark", record<PostOf<"mark">>({ mark })],
  ["follow", record<PostOf<"follow">>({ on: flag })],
  ["roster", record<PostOf<"roster">>({ account, devices: links })],
  ["deliver", record<PostOf<"deliver">>({ awaits: text, content: bytes() })],
  ["present", record<PostOf<"present">>({ group: text, to: list(account) })],
  [
    "presented",
    record<PostOf<"presented">>({
      by: account,
      content: bytes(),
      former: flag,
      teller: optional(account),
    }),
  ],
  ["pass", record<PostOf<"pass">>({ content: bytes() })],
  ["way", record<PostOf<"way">>({ by: account, content: bytes() })],
  ["release", record<PostOf<"release">>({ awaits: text, envelope })],
  ["withdraw", record<{ group: unknown }>({ group: optional(text) })],
  ["reached", record<PostOf<"reached">>({ awaits: text, account, device: deviceName })],
  ["stale", record<PostOf<"reached">>({ awaits: text, account, device: deviceName })],
  ["told", record<PostOf<"told">>({ account, device: deviceName, content: bytes() })],
  [
    "arrived",
    record<PostOf<"arrived">>({
      pair: text,
      account,
      device: deviceName,
      envelope,
      path,
      again: flag,
    }),
  ],
  ["opened", record<PostOf<"opened">>({ awaits: text, envelope, path })],
  ["reach", record<PostOf<"reach">>({ device: deviceName, content: bytes() })],
]);

const postRow = record<PostRow>({
  id: text,
  from: text,
  to: text,
  sequence: count,
  post: (value) => isFields(value) && (postByKind.get(value["kind"])?.(value) ?? false),
});

const event = record<StoreEvent>({ conversation: optional(text), messages: list(message) });

export const isSelf = (row: unknown): row is SelfRecord => self(row);
export const isConversation = (row: unknown): row is ConversationRecord => conversation(row);

/**
 * A conversation whose ratchet is damaged, without the damaged part: the engine begins a new session, and nothing
 * is lost. Undefined when more than that is wrong.
 */
export function withoutDamage(row: unknown): ConversationRecord | undefined {
  if (!isFields(row) || !isFields(row["peer"]) || row["peer"]["state"] !== "open") return undefined;
  const { sessions, spares: stored, ...rest } = row["peer"];
  const mended = {
    ...row,
    peer: {
      ...rest,
      sessions: Array.isArray(sessions) ? sessions.filter(session) : [],
      spares: spares(stored) ? stored : NO_SPARES,
    },
  };
  return isConversation(mended) ? mended : undefined;
}
export const isMessage = (row: unknown): row is MessageRow => message(row);

/** Whether new messages are there already. `stored`: what has the id of each. A damaged row is what it was. */
export function clashOf(
  added: readonly MessageRow[],
  stored: readonly unknown[],
): Extract<CommitResult, { ok: false }> | undefined {
  const ids: MessageId[] = [];
  for (const [at, row] of added.entries()) {
    const before = stored[at];
    if (before === undefined) continue;
    if (!isMessage(before) || isSameMessage(before, row)) return { ok: false, reason: "known" };
    ids.push(row.id);
  }
  return ids.length === 0 ? undefined : { ok: false, reason: "taken", ids };
}
const isOutboxRow = (row: unknown): row is OutboxRow => outboxRow(row);
/** A row with nothing to send, sealed or not, is damaged too; so is one that says something else than its message. */
export const isOutbox = (row: unknown): row is OutboxRow =>
  isOutboxRow(row) &&
  (row.envelope !== undefined || row.content !== undefined) &&
  saysItsMessage(row);

const NOBODY = new Uint8Array(0);

/** The text is in a row twice, once to be sealed and once to be shown: nobody is to read what its author does not see. */
function saysItsMessage({ content, message: shown, awaits }: OutboxRow): boolean {
  if (content === undefined || shown === undefined) return true;
  const decoded = decodeContent(content);
  if (!decoded.ok || decoded.value.kind !== "text") return false;
  const { id, time: said, text: words } = decoded.value;
  const start = orderKey(said, NOBODY, "");
  return bytesToHex(id) === awaits && words === shown.text && shown.order.startsWith(start);
}
export const isPost = (row: unknown): row is PostRow => postRow(row);
export const isStoreEvent = (value: unknown): value is StoreEvent => event(value);

/** The order in which posts are taken: each sender's in the order in which it made them. */
export const byOrigin = (a: PostRow, b: PostRow): number =>
  a.from === b.from ? a.sequence - b.sequence : a.from < b.from ? -1 : 1;

const UNDELIVERED: ReadonlySet<MessageStatus> = new Set(["queued", "relayed", "failed"]);

/** The row itself when it is not an own one, or says so already. */
const asDelivered = (row: MessageRow): MessageRow =>
  row.own && UNDELIVERED.has(row.status) ? { ...row, status: "delivered" } : row;

/**
 * What a commit writes to history and tells of it. `stored`: the rows that were there under the ids of
 * `change.delivered`. Those that the commit itself writes are raised as well; those that need not be are left out.
 */
export function rowsOf(change: Change, stored: readonly MessageRow[]): readonly MessageRow[] {
  const delivered = new Set(change.delivered);
  const given = [...change.addMessages, ...change.putMessages].map((row) =>
    delivered.has(row.id) ? asDelivered(row) : row,
  );
  const givenIds = new Set(given.map(({ id }) => id));
  const raised = stored
    .filter(({ id }) => !givenIds.has(id))
    .map((row) => ({ row, next: asDelivered(row) }))
    .filter(({ row, next }) => row !== next)
    .map(({ next }) => next);
  return [...given, ...raised];
}

/** What becomes of `mergeMessages`. `known[i]`: the row that is there under the id of the i-th. */
export const mergedRows = (
  rows: readonly MessageRow[],
  known: readonly unknown[],
): readonly MessageRow[] =>
  rows.flatMap((row, at) => {
    const before = known[at];
    if (before === undefined) return [row];
    // The other device may have heard since that it arrived.
    const isRaised = isMessage(before) && before.own && row.own && row.status === "delivered";
    const next = isRaised ? asDelivered(before) : undefined;
    return next === undefined || next === before ? [] : [next];
  });
