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
  MessageId,
  MessageRow,
  OutboxRow,
  PostRow,
  SelfRecord,
  SenderRow,
  Store,
  StoreEvent,
} from "@sotto/protocol";
import { Dexie, type Table } from "dexie";
import { isGroup, isSender } from "./group-rows.ts";
import { createHistory, type Prepared } from "./history.ts";
import { type Keys, Stale, type State } from "./history-state.ts";
import {
  byOrigin,
  clashOf,
  isConversation,
  isFields,
  isMessage,
  isOutbox,
  isPost,
  isSelf,
  isStoreEvent,
  mergedRows,
  rowsOf,
  withoutDamage,
} from "./rows.ts";
import { createDatabaseKey } from "./sealing.ts";
import { ID_KEY_BYTES } from "./segment.ts";
import { StorageError, type StorageErrorCode } from "./storage-error.ts";
import { declareVersions, SELF_KEY } from "./upgrades.ts";

/** The keys' place in `meta`. */
const META_TABLE = "meta";
const KEYS_KEY = "keys";

export interface DexieStoreOptions {
  /** One database per profile. */
  readonly name: string;
}

/**
 * Rejects with a `StorageError`: "refused" where the browser gives no storage (private windows, blocked sites, nothing
 * there and no key kept; the caller then uses memory), "blocked" while another tab keeps an older form of the database open, "full" and
 * "unreadable" where there is a history that cannot be opened.
 */
export async function openDexieStore({ name }: DexieStoreOptions): Promise<Store> {
  const factory = {
    // Dexie asks for no version to open a later one's database, and adds tables to it. The last digit is its own.
    open: (at: string, version = 10 * db.verno + 9) => indexedDB.open(at, version),
    // Where it is missing Dexie keeps a database of names.
    databases: () => [],
  };
  // Strict: the commit is on disk before the relay is told that it may forget.
  const db: Dexie = new Dexie(name, { chromeTransactionDurability: "strict", indexedDB: factory });
  declareVersions(db);
  const self: Table<SelfRecord, string> = db.table("self");
  const conversations: Table<ConversationRecord, string> = db.table("conversations");
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
  const history = createHistory({ db, keys: await keysOf(db), now: Date.now });
  void history.moveOld().catch(() => {
    // Closed, or the disk is full: what has not moved is read where it is, and moves another time.
  });

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
      // Again and again somebody else wrote first.
      if (error instanceof Stale) return { ok: false, reason: "conflict" };
      return { ok: false, reason: failureOf(error) ?? raise(error) };
    }
    if (!written.ok) return written;
    for (const event of written.events) {
      // A watcher of the event before may have closed the store.
      if (closed) break;
      channel.postMessage(event);
      if (watchers.size > 0) show(structuredClone(event));
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

  /** Within a transaction over every table it writes. `prepared`: undefined for a change without messages. */
  async function commitWithin(
    change: Change,
    prepared: Prepared | undefined,
    rows: readonly MessageRow[],
  ): Promise<Written> {
    const { conversation, self: nextSelf } = change;
    if (!(await isExpected(change))) return { ok: false, reason: "conflict" };
    if (prepared !== undefined) await history.write(prepared);
    const events: StoreEvent[] = [];
    if (nextSelf !== undefined) events.push(await putSelf(nextSelf));
    await conversations.put(conversation);
    await outbox.bulkPut([...change.putOutbox]);
    await outbox.bulkDelete([...change.deleteOutbox]);
    await posts.bulkPut([...change.addPosts]);
    await posts.bulkDelete([...change.takePosts]);
    if (change.group !== undefined) await groups.put(change.group);
    if (change.putSenders.length > 0) await senders.bulkPut([...change.putSenders]);
    events.push({ conversation: conversation.id, messages: rows });
    return { ok: true, events };
  }

  async function isExpected({ conversation, expectedVersion }: Change): Promise<boolean> {
    const stored = await conversations.get(conversation.id);
    return (stored?.version ?? 0) === expectedVersion;
  }

  /** What a change does to history is found out and sealed first: nothing but the database is awaited in between. */
  async function commit(change: Change, at: State | undefined): Promise<Written> {
    // The identity only where it is written: a commit need not wait for one who writes that.
    const tables = [
      conversations,
      outbox,
      posts,
      ...(at === undefined ? [] : history.writeTables),
      ...(change.self === undefined ? [] : [self]),
      ...(change.group === undefined ? [] : [groups]),
      ...(change.putSenders.length === 0 ? [] : [senders]),
    ];
    if (at === undefined) {
      return db.transaction("rw", tables, () => commitWithin(change, undefined, []));
    }
    const { addMessages, mergeMessages, putMessages, delivered } = change;
    const found = await history.find(at, [
      ...[...addMessages, ...mergeMessages, ...putMessages].map(({ id }) => id),
      ...delivered,
    ]);
    const storedUnder = (ids: readonly MessageId[]): readonly unknown[] =>
      ids.map((id) => found.get(id)?.row);
    const idsOf = (rows: readonly MessageRow[]): readonly MessageId[] => rows.map(({ id }) => id);
    const clash = clashOf(addMessages, storedUnder(idsOf(addMessages)));
    if (clash !== undefined) {
      return db.transaction("r", conversations, history.heads, async (): Promise<Written> => {
        const isLate = !(await isExpected(change));
        await history.mustBeCurrent(at);
        return isLate ? { ok: false, reason: "conflict" } : clash;
      });
    }
    const rows = [
      ...rowsOf(change, storedUnder([...new Set(delivered)]).filter(isMessage)),
      ...mergedRows(mergeMessages, storedUnder(idsOf(mergeMessages))),
    ];
    const prepared = rows.length === 0 ? undefined : await history.prepare(at, rows, found);
    const written = await db.transaction("rw", tables, async () => {
      if (prepared === undefined) await history.mustBeCurrent(at);
      return commitWithin(change, prepared, rows);
    });
    if (written.ok && prepared !== undefined) history.written(prepared);
    return written;
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
          damaged: records.length - whole.length + skipped + (await history.damaged()),
        };
      }),
    commit: (change) =>
      write(() =>
        history.inLane(change.conversation.id, () =>
          hasMessages(change)
            ? history.withState(change.conversation.id, (at) => commit(change, at))
            : commit(change, undefined),
        ),
      ),
    messages: (conversation, options) => read(() => history.page(conversation, options)),
    clear: () =>
      write(async (): Promise<Written> => {
        // The keys stay: this process goes on writing with them.
        const emptied = db.tables.filter((table) => table.name !== META_TABLE);
        await db.transaction("rw", emptied, async () => {
          for (const table of emptied) await table.clear();
        });
        history.forgetAll();
        return { ok: true, events: [] };
      }),
    search: (query, options = {}, signal) => read(() => history.search(query, options, signal)),
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

/** What watchers are told, once it is durable. */
type Written =
  | { readonly ok: true; readonly events: readonly StoreEvent[] }
  | Extract<CommitResult, { ok: false }>;

const hasMessages = (change: Change): boolean =>
  [change.addMessages, change.mergeMessages, change.putMessages, change.delivered].some(
    ({ length }) => length > 0,
  );

const isKeys = (row: unknown): row is Keys =>
  isFields(row) &&
  row["databaseKey"] instanceof CryptoKey &&
  row["idKey"] instanceof Uint8Array &&
  row["idKey"].length === ID_KEY_BYTES;

/** The keys of history. A disk that is full takes none yet, and what there is of before can be read without them. */
async function keysOf(db: Dexie): Promise<() => Promise<Keys>> {
  const meta: Table<unknown, string> = db.table(META_TABLE);
  let keys: Keys | undefined;
  const load = async (): Promise<Keys> => {
    if (keys !== undefined) return keys;
    const known = await meta.get(KEYS_KEY);
    const fresh: Keys = isKeys(known)
      ? known
      : {
          databaseKey: await createDatabaseKey(),
          idKey: crypto.getRandomValues(new Uint8Array(ID_KEY_BYTES)),
        };
    keys = isKeys(known)
      ? known
      : await db.transaction("rw", meta, async () => {
          const now = await meta.get(KEYS_KEY);
          // Another tab was faster.
          if (isKeys(now)) return now;
          // What is damaged is put aside, not overwritten: all that was written may depend on it.
          if (now !== undefined) await meta.put(now, `damaged-${await meta.count()}`);
          await meta.put(fresh, KEYS_KEY);
          return fresh;
        });
    return keys;
  };
  try {
    await load();
  } catch (error) {
    if (failureOf(error) !== "full") {
      const counts = await Promise.all(db.tables.map((table) => table.count())).catch(() => [1]);
      db.close();
      const isFresh = counts.every((count) => count === 0);
      throw new StorageError(isFresh ? "refused" : "unreadable", { cause: error });
    }
  }
  return load;
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
    throw error instanceof StorageError
      ? error
      : new StorageError(notOpened(error), { cause: error });
  }
}

function notOpened(error: unknown): StorageErrorCode {
  if (failureOf(error) === "full") return "full";
  return causesOf(error).some(({ name }) => UNREADABLE_NAMES.has(name)) ? "unreadable" : "refused";
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

/** A newer version's database; one that is damaged; one whose upgrade failed. */
const UNREADABLE_NAMES: ReadonlySet<string> = new Set([
  "VersionError",
  "UnknownError",
  "AbortError",
]);

/** Dexie's names for a connection that is gone or a disk that does not answer. */
const CLOSED_NAMES: ReadonlySet<string> = new Set([
  "DatabaseClosedError",
  "InvalidStateError",
  "AbortError",
  "TransactionInactiveError",
  "OpenFailedError",
  "UnknownError",
]);
