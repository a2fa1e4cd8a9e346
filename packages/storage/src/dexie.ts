/**
 * The store in IndexedDB. One transaction per commit: message rows, sessions and outbox together or not at all.
 * Owns: schema, durability, telling other tabs. Leaves to rows.ts: recognising damaged rows.
 * Spec: protocol/SPEC.md §2.
 */
import type {
  Change,
  CommitResult,
  ConversationRecord,
  MessageRow,
  OutboxRow,
  SelfRecord,
  Store,
  StoreEvent,
} from "@sotto/protocol";
import { Dexie, type Table } from "dexie";
import { isConversation, isMessage, isOutbox, isSelf } from "./rows.ts";

const SELF_KEY = "self";
/** Greater than every order key: those are hex. */
const ORDER_END = "g";

export interface DexieStoreOptions {
  /** One database per profile. */
  readonly name: string;
}

/** Rejects when the browser refuses storage (private windows, blocked sites): the caller then uses memory. */
export async function openDexieStore({ name }: DexieStoreOptions): Promise<Store> {
  // Strict: the commit is on disk before the relay is told that it may forget.
  const db = new Dexie(name, { chromeTransactionDurability: "strict" });
  db.version(1).stores({
    self: "",
    conversations: "id",
    messages: "id, [conversation+order]",
    outbox: "id, conversation",
  });
  const self: Table<SelfRecord, string> = db.table("self");
  const conversations: Table<ConversationRecord, string> = db.table("conversations");
  const messages: Table<MessageRow, string> = db.table("messages");
  const outbox: Table<OutboxRow, string> = db.table("outbox");
  await db.open();

  let closed = false;
  db.on("close", () => {
    closed = true;
  });
  const watchers = new Set<(event: StoreEvent) => void>();
  const channel = new BroadcastChannel(`sotto:store:${name}`);
  const show = (event: StoreEvent): void => {
    for (const see of watchers) see(event);
  };
  channel.onmessage = (message: MessageEvent<StoreEvent>) => show(message.data);
  const tell = (event: StoreEvent): void => {
    show(event);
    channel.postMessage(event);
  };

  async function write(event: StoreEvent, run: () => Promise<CommitResult>): Promise<CommitResult> {
    if (closed) return { ok: false, reason: "closed" };
    try {
      const result = await run();
      if (result.ok) tell(event);
      return result;
    } catch (error) {
      return { ok: false, reason: failureOf(error) };
    }
  }

  return {
    async loadSelf() {
      const found = await self.get(SELF_KEY);
      return isSelf(found) ? found : undefined;
    },
    saveSelf: (next) =>
      write({ conversation: undefined, messages: [] }, async () => {
        await self.put(next, SELF_KEY);
        return { ok: true };
      }),
    async loadAll() {
      const [records, rows] = await Promise.all([conversations.toArray(), outbox.toArray()]);
      const whole = records.filter(isConversation);
      const waiting = rows.filter(isOutbox);
      return {
        conversations: whole,
        outbox: waiting.toSorted((a, b) => a.sequence - b.sequence),
        damaged: records.length - whole.length + rows.length - waiting.length,
      };
    },
    commit: (change: Change) =>
      write({ conversation: change.conversation.id, messages: change.putMessages }, () =>
        db.transaction("rw", conversations, messages, outbox, async (): Promise<CommitResult> => {
          const { conversation } = change;
          const stored = await conversations.get(conversation.id);
          if ((stored?.version ?? 0) !== change.expectedVersion) {
            return { ok: false, reason: "conflict" };
          }
          await conversations.put(conversation);
          await messages.bulkPut([...change.putMessages]);
          await outbox.bulkPut([...change.putOutbox]);
          await outbox.bulkDelete([...change.deleteOutbox]);
          return { ok: true };
        }),
      ),
    async messages(conversation, { before, limit }) {
      const rows = await messages
        .where("[conversation+order]")
        .between([conversation, ""], [conversation, before ?? ORDER_END], true, false)
        // oxlint-disable-next-line unicorn/no-array-reverse -- a Dexie collection, not an array
        .reverse()
        .limit(limit + 1)
        .toArray();
      const page = rows.slice(0, limit).toReversed();
      return { rows: page.filter(isMessage), hasMore: rows.length > limit };
    },
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

/** Dexie hides the browser's reason one level down when a transaction aborts. */
function failureOf(error: unknown): "full" | "closed" {
  for (let cause = error; cause instanceof Error || cause instanceof DOMException;) {
    if (cause.name === "QuotaExceededError") return "full";
    const inner: unknown = "inner" in cause ? cause.inner : undefined;
    if (inner === cause) break;
    cause = inner;
  }
  if (error instanceof Error && CLOSED_NAMES.has(error.name)) return "closed";
  throw error;
}

const CLOSED_NAMES: ReadonlySet<string> = new Set([
  "DatabaseClosedError",
  "DatabaseClosed",
  "InvalidStateError",
  "InvalidState",
  "AbortError",
  "OpenFailedError",
  "UnknownError",
]);
