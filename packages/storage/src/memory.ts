/**
 * The store without a disk: private windows, Node, tests.
 * Owns: the same behaviour as the Dexie adapter, copies included. Spec: protocol/SPEC.md §2.
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

export interface MemoryStoreOptions {
  /** Asked before every write; an answer is what the write comes to. For tests of full and closed disks. */
  readonly fail?: () => "full" | "closed" | undefined;
}

export function createMemoryStore(options: MemoryStoreOptions = {}): Store {
  let self: SelfRecord | undefined;
  const conversations = new Map<string, ConversationRecord>();
  const messages = new Map<string, MessageRow>();
  const outbox = new Map<string, OutboxRow>();
  const watchers = new Set<(event: StoreEvent) => void>();
  let closed = false;

  const refusal = (): CommitResult | undefined => {
    const reason = closed ? "closed" : options.fail?.();
    return reason === undefined ? undefined : { ok: false, reason };
  };

  const tell = (event: StoreEvent): void => {
    for (const see of watchers) see(structuredClone(event));
  };

  return {
    loadSelf: () => Promise.resolve(structuredClone(self)),
    saveSelf(next) {
      const refused = refusal();
      if (refused !== undefined) return Promise.resolve(refused);
      self = structuredClone(next);
      tell({ conversation: undefined, messages: [] });
      return Promise.resolve({ ok: true });
    },
    loadAll: () =>
      Promise.resolve({
        conversations: structuredClone([...conversations.values()]),
        outbox: structuredClone([...outbox.values()]).toSorted((a, b) => a.sequence - b.sequence),
        damaged: 0,
      }),
    commit(change: Change) {
      const refused = refusal();
      if (refused !== undefined) return Promise.resolve(refused);
      const { conversation } = change;
      if ((conversations.get(conversation.id)?.version ?? 0) !== change.expectedVersion) {
        return Promise.resolve({ ok: false, reason: "conflict" });
      }
      const copy = structuredClone(change);
      conversations.set(conversation.id, copy.conversation);
      for (const row of copy.putMessages) messages.set(row.id, row);
      for (const row of copy.putOutbox) outbox.set(row.id, row);
      for (const id of copy.deleteOutbox) outbox.delete(id);
      tell({ conversation: conversation.id, messages: change.putMessages });
      return Promise.resolve({ ok: true });
    },
    messages(conversation, { before, limit }) {
      const rows = [...messages.values()]
        .filter((row) => row.conversation === conversation)
        .filter((row) => before === undefined || row.order < before)
        .toSorted((a, b) => (a.order < b.order ? -1 : 1));
      const page = rows.slice(Math.max(0, rows.length - limit));
      return Promise.resolve({ rows: structuredClone(page), hasMore: rows.length > limit });
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
