/**
 * A store without a disk, for tests, simulations and relays that may forget.
 * Owns: the same promises as any store, and a disk that outlives it, so that a crash can be played.
 */
import type { BundleRow, MessageRow, QueueRow, Store, StoreOperation } from "./ports.ts";

/** What survives when a store over it is dropped without `close`. */
export interface MemoryDisk {
  readonly queues: Map<number, QueueRow>;
  readonly messages: Map<number, { readonly row: MessageRow; readonly blob: Uint8Array }>;
  readonly bundles: Map<number, { readonly row: BundleRow; readonly blob: Uint8Array }>;
}

export const createMemoryDisk = (): MemoryDisk => ({
  queues: new Map(),
  messages: new Map(),
  bundles: new Map(),
});

/** `flush`: runs a commit when the disk gets to it; it may throw a StoreError instead. In order, each at most once. */
export function createMemoryStore(
  disk: MemoryDisk = createMemoryDisk(),
  flush: (commit: () => void) => Promise<void> = async (commit) => commit(),
): Store {
  const open = new Set<Promise<void>>();
  return {
    load: () => ({
      queues: [...disk.queues.values()],
      messages: [...disk.messages.values()].map(({ row }) => row).toSorted((a, b) => a.row - b.row),
      bundles: [...disk.bundles.values()].map(({ row }) => row),
    }),
    async apply(operations) {
      const flushed = flush(() => {
        for (const operation of operations) applyTo(disk, operation);
      });
      open.add(flushed);
      try {
        await flushed;
      } finally {
        open.delete(flushed);
      }
    },
    readMessages: async (rows) => rows.map((row) => disk.messages.get(row)?.blob),
    readBundle: async (row) => disk.bundles.get(row)?.blob,
    async close() {
      await Promise.allSettled(open);
    },
  };
}

function applyTo(disk: MemoryDisk, operation: StoreOperation): void {
  switch (operation.type) {
    case "put-queue":
      disk.queues.set(operation.queue.row, operation.queue);
      return;
    case "delete-queue":
      disk.queues.delete(operation.row);
      return;
    case "put-message": {
      const { message, blob } = operation;
      disk.messages.set(message.row, { row: { ...message, sizeBytes: blob.length }, blob });
      return;
    }
    case "delete-message":
      disk.messages.delete(operation.row);
      return;
    case "put-bundle": {
      const { bundle, blob } = operation;
      disk.bundles.set(bundle.row, { row: { ...bundle, sizeBytes: blob.length }, blob });
      return;
    }
    case "delete-bundle":
      disk.bundles.delete(operation.row);
  }
}
