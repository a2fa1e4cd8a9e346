/**
 * The store without a disk: private windows, Node, tests.
 * Owns: the same behaviour as the Dexie adapter, copies included. Spec: protocol/SPEC.md §2.
 */
import type {
  Change,
  CommitResult,
  ConversationRecord,
  GroupRow,
  MessageRow,
  OutboxRow,
  PostRow,
  SelfRecord,
  SenderRow,
  Store,
  StoreEvent,
} from "@sotto/protocol";
import { searchIn } from "./grams.ts";
import { byOrigin, clashOf, mergedRows, rowsOf } from "./rows.ts";
import { StorageError } from "./storage-error.ts";

export interface MemoryStoreOptions {
  /** Asked before every write; an answer is what the write comes to. For tests of full and closed disks. */
  readonly fail?: () => "full" | "closed" | undefined;
}

export function createMemoryStore(options: MemoryStoreOptions = {}): Store {
  let self: SelfRecord | undefined;
  const conversations = new Map<string, ConversationRecord>();
  const messages = new Map<string, MessageRow>();
  const keyOf = (row: MessageRow): string => `${row.conversation}/${row.id}`;
  const outbox = new Map<string, OutboxRow>();
  const posts = new Map<string, PostRow>();
  const groups = new Map<string, GroupRow>();
  const senders = new Map<string, SenderRow>();
  const watchers = new Set<(event: StoreEvent) => void>();
  let closed = false;

  const refusal = (): CommitResult | undefined => {
    const reason = closed ? "closed" : options.fail?.();
    return reason === undefined ? undefined : { ok: false, reason };
  };

  const mustBeOpen = (): void => {
    if (closed) throw new StorageError("closed");
  };

  const tell = (event: StoreEvent): void => {
    for (const see of watchers) see(structuredClone(event));
  };

  // Asynchronous in form only: no `await` inside, so each call is one step that nothing interrupts.
  return {
    async loadSelf() {
      mustBeOpen();
      return structuredClone(self);
    },
    async saveSelf(next): Promise<CommitResult> {
      const refused = refusal();
      if (refused !== undefined) return refused;
      self = structuredClone(next);
      tell({ conversation: undefined, messages: [] });
      return { ok: true };
    },
    async loadAll() {
      mustBeOpen();
      return {
        conversations: structuredClone([...conversations.values()]),
        outbox: structuredClone([...outbox.values()]).toSorted((a, b) => a.sequence - b.sequence),
        posts: structuredClone([...posts.values()]).toSorted(byOrigin),
        groups: structuredClone([...groups.values()]),
        senders: structuredClone([...senders.values()]),
        damaged: 0,
      };
    },
    async commit(change: Change): Promise<CommitResult> {
      const refused = refusal();
      if (refused !== undefined) return refused;
      const { conversation, ...rows } = structuredClone(change);
      if ((conversations.get(conversation.id)?.version ?? 0) !== change.expectedVersion) {
        return { ok: false, reason: "conflict" };
      }
      const before = rows.addMessages.map((row) => messages.get(keyOf(row)));
      const clash = clashOf(rows.addMessages, before);
      if (clash !== undefined) return clash;
      conversations.set(conversation.id, conversation);
      const stored = [...new Set(rows.delivered)]
        .map((id) => messages.get(`${conversation.id}/${id}`))
        .filter((row) => row !== undefined);
      const here = rows.mergeMessages.map((row) => messages.get(keyOf(row)));
      const shown = [
        ...rowsOf({ conversation, ...rows }, stored),
        ...mergedRows(rows.mergeMessages, here),
      ];
      for (const row of shown) messages.set(keyOf(row), row);
      for (const row of rows.putOutbox) outbox.set(row.id, row);
      for (const id of rows.deleteOutbox) outbox.delete(id);
      for (const row of rows.addPosts) posts.set(row.id, row);
      for (const id of rows.takePosts) posts.delete(id);
      if (rows.group !== undefined) groups.set(conversation.id, rows.group);
      for (const row of rows.putSenders) senders.set(`${row.conversation}/${row.device}`, row);
      if (rows.self !== undefined) {
        self = rows.self;
        tell({ conversation: undefined, messages: [] });
      }
      tell({ conversation: conversation.id, messages: shown });
      return { ok: true };
    },
    async messages(conversation, { before, after, limit }) {
      mustBeOpen();
      const rows = [...messages.values()]
        .filter((row) => row.conversation === conversation)
        .filter(({ order }) =>
          after === undefined ? before === undefined || order < before : order > after,
        )
        .toSorted((a, b) => (a.order < b.order ? -1 : 1));
      const page =
        after === undefined ? rows.slice(Math.max(0, rows.length - limit)) : rows.slice(0, limit);
      return { rows: structuredClone(page), hasMore: rows.length > limit };
    },
    async clear(): Promise<CommitResult> {
      const refused = refusal();
      if (refused !== undefined) return refused;
      self = undefined;
      for (const rows of [conversations, messages, outbox, posts, groups, senders]) rows.clear();
      return { ok: true };
    },
    async search(query, options = {}, signal) {
      mustBeOpen();
      signal?.throwIfAborted();
      return searchIn([...messages.values()], query, options);
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
    },
  };
}
