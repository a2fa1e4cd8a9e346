/**
 * The store in IndexedDB. One transaction per commit: message rows, sessions, outbox and posts together or not at all.
 * Owns: schema, durability, telling other tabs. Leaves to rows.ts: recognising damaged rows.
 * Spec: protocol/SPEC.md §2.
 */
import type {
  Change,
  CommitResult,
  ConversationRecord,
  GroupRow,
  MessageRow,
  OutboxRow,
  OwnDevices,
  OwnRelay,
  Peer,
  PostRow,
  SelfRecord,
  SenderRow,
  Session,
  Spares,
  Store,
  StoreEvent,
} from "@sotto/protocol";
import { NO_DEVICES, NO_LIST_MARK, NO_SPARES } from "@sotto/protocol";
import type { QueueAddress } from "@sotto/wire";
import { Dexie, type Table, type Transaction } from "dexie";
import { isGroup, isSender } from "./group-rows.ts";
import {
  byOrigin,
  clashOf,
  isConversation,
  isMessage,
  isOutbox,
  isPost,
  isSelf,
  isStoreEvent,
  rowsOf,
  withoutDamage,
} from "./rows.ts";
import { StorageError } from "./storage-error.ts";

const SELF_KEY = "self";
/** Greater than every order key: those are hex. */
const ORDER_END = "g";

export interface DexieStoreOptions {
  /** One database per profile. */
  readonly name: string;
}

/**
 * Rejects with a `StorageError`: "refused" where the browser gives no storage (private windows, blocked sites;
 * the caller then uses memory), "blocked" while another tab keeps an older form of the database open.
 */
export async function openDexieStore({ name }: DexieStoreOptions): Promise<Store> {
  // Strict: the commit is on disk before the relay is told that it may forget.
  const db = new Dexie(name, { chromeTransactionDurability: "strict" });
  db.version(1).stores({
    self: "",
    conversations: "id",
    messages: "id, [conversation+order]",
    outbox: "id, conversation",
  });
  // A message has its id from its author: two contacts may use the same one.
  db.version(2)
    .stores({ messages: null, history: "[conversation+id], [conversation+order]" })
    .upgrade(moveHistory);
  db.version(3).upgrade(addRenewal);
  db.version(4)
    .stores({ groups: "conversation", senders: "[conversation+device]", posts: "id, from" })
    .upgrade(addDevices);
  db.version(5).upgrade(countStrays);
  db.version(6).upgrade(listAddresses);
  db.version(7).upgrade(listRelays);
  const self: Table<SelfRecord, string> = db.table("self");
  const conversations: Table<ConversationRecord, string> = db.table("conversations");
  const messages: Table<MessageRow, MessageKey> = db.table("history");
  const outbox: Table<OutboxRow, string> = db.table("outbox");
  const posts: Table<PostRow, string> = db.table("posts");
  const groups: Table<GroupRow, string> = db.table("groups");
  const senders: Table<SenderRow, [conversation: string, device: string]> = db.table("senders");

  let closed = false;
  // Gone for good once the browser closed it (site data cleared, disk gone) or another tab needs it closed:
  // Dexie alone would open it again on the next call and so bring back an empty database.
  db.on("close", () => {
    closed = true;
  });
  db.on("versionchange", () => {
    closed = true;
    db.close();
    return false;
  });
  await open(db);

  const watchers = new Set<(event: StoreEvent) => void>();
  const channel = new BroadcastChannel(`sotto:store:${name}`);
  const show = (event: StoreEvent): void => {
    for (const see of watchers) see(event);
  };
  channel.onmessage = ({ data }: MessageEvent<unknown>) => {
    // Tabs of another version of the app share the channel.
    if (isStoreEvent(data)) show(data);
  };

  async function write(run: () => PromiseLike<Written>): Promise<CommitResult> {
    if (closed) return { ok: false, reason: "closed" };
    let written: Written;
    try {
      written = await run();
    } catch (error) {
      return { ok: false, reason: failureOf(error) ?? raise(error) };
    }
    if (!written.ok) return written;
    for (const event of written.events) {
      // A watcher of the event before may have closed the store.
      if (closed) break;
      channel.postMessage(event);
      show(structuredClone(event));
    }
    return { ok: true };
  }

  /** Within a transaction over `self`. */
  async function putSelf(next: SelfRecord): Promise<StoreEvent> {
    const known = await self.get(SELF_KEY);
    // A damaged identity is put aside, not overwritten: its keys may be all that somebody has.
    if (known !== undefined && !isSelf(known)) {
      await self.put(known, `damaged-${await self.count()}`);
    }
    await self.put(next, SELF_KEY);
    return { conversation: undefined, messages: [] };
  }

  async function read<T>(run: () => PromiseLike<T>): Promise<T> {
    if (closed) throw new StorageError("closed");
    try {
      return await run();
    } catch (error) {
      if (failureOf(error) === undefined) throw error;
      throw new StorageError("closed", { cause: error });
    }
  }

  /** Newest first; reads on past damaged rows, so that they never hide older ones. */
  async function newestRows(
    conversation: string,
    before: string,
    count: number,
  ): Promise<readonly MessageRow[]> {
    const rows: MessageRow[] = [];
    let end = before;
    for (;;) {
      const wanted = count - rows.length;
      const found = await messages
        .where("[conversation+order]")
        .between([conversation, ""], [conversation, end], true, false)
        // oxlint-disable-next-line unicorn/no-array-reverse -- a Dexie collection, not an array
        .reverse()
        .limit(wanted)
        .toArray();
      rows.push(...found.filter(isMessage));
      const oldest = found.at(-1);
      if (oldest === undefined || found.length < wanted || rows.length >= count) return rows;
      end = oldest.order;
    }
  }

  /** Within a transaction over every table it writes. */
  async function commitWithin(change: Change): Promise<Written> {
    const { conversation, delivered, self: nextSelf } = change;
    const stored = await conversations.get(conversation.id);
    if ((stored?.version ?? 0) !== change.expectedVersion) return { ok: false, reason: "conflict" };
    const keys = change.addMessages.map((row): MessageKey => [row.conversation, row.id]);
    const known = await messages.bulkGet(keys);
    const clash = clashOf(change.addMessages, known);
    if (clash !== undefined) return clash;
    const arrived = await messages.bulkGet(
      [...new Set(delivered)].map((id): MessageKey => [conversation.id, id]),
    );
    const rows = rowsOf(change, arrived.filter(isMessage));
    const events: StoreEvent[] = [];
    if (nextSelf !== undefined) events.push(await putSelf(nextSelf));
    await conversations.put(conversation);
    await messages.bulkPut([...rows]);
    await outbox.bulkPut([...change.putOutbox]);
    await outbox.bulkDelete([...change.deleteOutbox]);
    await posts.bulkPut([...change.addPosts]);
    await posts.bulkDelete([...change.takePosts]);
    if (change.group !== undefined) await groups.put(change.group);
    if (change.putSenders.length > 0) await senders.bulkPut([...change.putSenders]);
    events.push({ conversation: conversation.id, messages: rows });
    return { ok: true, events };
  }

  return {
    loadSelf: () =>
      read(async () => {
        const found = await self.get(SELF_KEY);
        return found === undefined || isSelf(found) ? found : "damaged";
      }),
    saveSelf: (next) =>
      write(() =>
        db.transaction("rw", self, async (): Promise<Written> => {
          return { ok: true, events: [await putSelf(next)] };
        }),
      ),
    loadAll: () =>
      read(async () => {
        const tables = [conversations, outbox, posts, groups, senders];
        const [records, rows, sent, logs, chains] = await db.transaction("r", tables, () =>
          Promise.all([
            conversations.toArray(),
            outbox.toArray(),
            posts.toArray(),
            groups.toArray(),
            senders.toArray(),
          ]),
        );
        const whole = records.filter(isConversation);
        const mended = records
          .filter((record) => !isConversation(record))
          .map(withoutDamage)
          .filter((record) => record !== undefined);
        const waiting = rows.filter(isOutbox);
        const untaken = sent.filter(isPost);
        const soundLogs = logs.filter(isGroup);
        const soundChains = chains.filter(isSender);
        const skipped =
          rows.length -
          waiting.length +
          (sent.length - untaken.length) +
          (logs.length - soundLogs.length) +
          (chains.length - soundChains.length);
        return {
          conversations: [...whole, ...mended],
          outbox: waiting.toSorted((a, b) => a.sequence - b.sequence),
          posts: untaken.toSorted(byOrigin),
          groups: soundLogs,
          senders: soundChains,
          damaged: records.length - whole.length + skipped,
        };
      }),
    commit: (change: Change) => {
      // The identity only where it is written: a commit need not wait for one who writes that.
      const more = [
        ...(change.self === undefined ? [] : [self]),
        ...(change.group === undefined ? [] : [groups]),
        ...(change.putSenders.length === 0 ? [] : [senders]),
      ];
      const tables = [conversations, messages, outbox, posts, ...more];
      return write(() => db.transaction("rw", tables, () => commitWithin(change)));
    },
    messages: (conversation, { before, limit }) =>
      read(async () => {
        const rows = await newestRows(conversation, before ?? ORDER_END, limit + 1);
        return { rows: rows.slice(0, limit).toReversed(), hasMore: rows.length > limit };
      }),
    watch(see) {
      const watcher = (event: StoreEvent): void => see(event);
      watchers.add(watcher);
      return () => {
        watchers.delete(watcher);
      };
    },
    close() {
      closed = true;
      watchers.clear();
      channel.close();
      db.close();
    },
  };
}

type MessageKey = [conversation: string, id: string];

/** What watchers are told, once it is durable. */
type Written =
  | { readonly ok: true; readonly events: readonly StoreEvent[] }
  | Extract<CommitResult, { ok: false }>;

const hasKey = ({ id, conversation }: MessageRow): boolean =>
  typeof id === "string" && typeof conversation === "string";

/** From version 1: rows by id alone, and no `at` in what the list shows. */
async function moveHistory(transaction: Transaction): Promise<void> {
  const rows: MessageRow[] = await transaction.table("messages").toArray();
  await transaction.table("history").bulkPut(rows.filter(hasKey));
  await transaction
    .table("conversations")
    .toCollection()
    .modify((record: { last?: { time: { ms: number }; at?: number } }) => {
      const { last } = record;
      if (last !== undefined) last.at = Math.min(last.time.ms, Date.now());
    });
}

/** Sessions of before the post-quantum ratchet begin it now; conversations get their first spare bundles. */
async function addRenewal(transaction: Transaction): Promise<void> {
  interface Old {
    peer?: {
      state: string;
      sessions?: { initiator: boolean; kem?: Session["kem"] }[];
      received?: Uint8Array;
      spares?: Spares;
      change?: undefined;
    };
  }
  await transaction
    .table("conversations")
    .toCollection()
    .modify(({ peer }: Old) => {
      if (peer?.state !== "open") return;
      for (const session of peer.sessions ?? []) {
        const step: Session["kem"]["step"] = session.initiator
          ? { kind: "due" }
          : { kind: "awaiting", received: [] };
        session.kem ??= { epoch: 0, step, sinceWhole: 0, wholeAt: 0 };
      }
      // Its entries are longer now; of what was in it the store knows the ids.
      peer.received = new Uint8Array(0);
      peer.spares ??= NO_SPARES;
      peer.change = undefined;
    });
}

/** Accounts of before had one device each, and nobody had made a list. */
async function addDevices(transaction: Transaction): Promise<void> {
  type Open = Extract<Peer, { state: "open" }>;
  const identities: Table<object, string> = transaction.table("self");
  const identity = await identities.get(SELF_KEY);
  const devices: OwnDevices = { lists: [], links: [], reach: [] };
  if (identity !== undefined) await identities.put({ ...identity, devices }, SELF_KEY);
  await transaction
    .table("conversations")
    .toCollection()
    .modify((record: { peer?: { state: string } }) => {
      Object.assign(record, { parent: undefined, listed: true, devices: NO_DEVICES });
      const { peer } = record;
      if (peer?.state !== "open") return;
      const fields: Pick<Open, "retired" | "mark" | "announced" | "offeredAt"> = {
        retired: false,
        mark: NO_LIST_MARK,
        announced: 0,
        offeredAt: 0,
      };
      Object.assign(peer, fields);
    });
  await transaction
    .table("outbox")
    .toCollection()
    .modify((row: Partial<OutboxRow>) => {
      Object.assign(row, { spread: true, group: undefined, recipients: undefined });
    });
}

/** Groups count operations beside others and late ones from here on: none of those that are there. */
async function countStrays(transaction: Transaction): Promise<void> {
  const counts: Pick<GroupRow["log"], "siblings" | "late"> = { siblings: new Map(), late: 0 };
  await transaction
    .table("groups")
    .toCollection()
    .modify((row: { log?: object }) => {
      if (typeof row.log === "object") Object.assign(row.log, counts);
    });
}

/** From one relay to several: each address becomes a list of one. */
async function listAddresses(transaction: Transaction): Promise<void> {
  interface Addressed {
    address?: QueueAddress | undefined;
    addresses?: readonly QueueAddress[];
  }
  interface Old {
    peer?: { queue?: Addressed; contact?: object };
    devices?: { offers?: Addressed[] };
  }
  const listed = (one: Addressed): void => {
    one.addresses ??= one.address === undefined ? [] : [one.address];
    delete one.address;
  };
  await transaction
    .table("conversations")
    .toCollection()
    .modify(({ peer, devices }: Old) => {
      if (peer?.queue !== undefined) listed(peer.queue);
      // The next introduction is newer than any that was taken.
      const addressedAt = { ms: 0, counter: 0 };
      const contact = peer?.contact;
      if (contact !== undefined) Object.assign(contact, { addressedAt, ...contact });
      devices?.offers?.forEach(listed);
    });
  await transaction
    .table("posts")
    .toCollection()
    .modify(({ post }: { post?: { offer?: Addressed } }) => {
      if (post?.offer !== undefined) listed(post.offer);
    });
  await transaction
    .table("outbox")
    .toCollection()
    .modify((row: Partial<OutboxRow>) => {
      Object.assign(row, { copiedAt: undefined });
    });
}

/** Version 7: an installation has several relays. The one there was is the page's, which knows where that is. */
async function listRelays(transaction: Transaction): Promise<void> {
  const identities: Table<{ relayKey?: Uint8Array; relays?: readonly OwnRelay[] }, string> =
    transaction.table("self");
  const identity = await identities.get(SELF_KEY);
  if (identity === undefined) return;
  const { relayKey, ...others } = identity;
  await identities.put(
    { ...others, relays: [{ url: "", key: relayKey, derived: false }] },
    SELF_KEY,
  );
}

async function open(db: Dexie): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      db.on("blocked", () => {
        reject(new StorageError("blocked"));
        return false;
      });
      db.open().then(() => resolve(), reject);
    });
  } catch (error) {
    db.close();
    throw error instanceof StorageError ? error : new StorageError("refused", { cause: error });
  }
}

/** What a failed call says about the disk; undefined when the fault is the caller's. */
function failureOf(error: unknown): "full" | "closed" | undefined {
  const names = causesOf(error).map((cause) => cause.name);
  if (names.includes("QuotaExceededError")) return "full";
  return names.some((name) => CLOSED_NAMES.has(name)) ? "closed" : undefined;
}

function raise(error: unknown): never {
  throw error;
}

type Failure = Error | DOMException;

const isError = (value: unknown): value is Failure =>
  value instanceof Error || value instanceof DOMException;

/** Dexie keeps the browser's reason one level down when a transaction or a bulk call fails. */
function causesOf(error: unknown): readonly Failure[] {
  const causes: Failure[] = [];
  for (let cause = error; isError(cause) && !causes.includes(cause);) {
    causes.push(cause);
    const failures: unknown = "failures" in cause ? cause.failures : undefined;
    cause = Array.isArray(failures) ? failures[0] : "inner" in cause ? cause.inner : undefined;
  }
  return causes;
}

/** Dexie's names for a connection that is gone or a disk that does not answer. */
const CLOSED_NAMES: ReadonlySet<string> = new Set([
  "DatabaseClosedError",
  "InvalidStateError",
  "AbortError",
  "TransactionInactiveError",
  "OpenFailedError",
  "UnknownError",
]);
