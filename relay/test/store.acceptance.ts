/**
 * What every store must do, whatever is below it.
 */
import { expect, test } from "vitest";
import type { BundleRow, MessageRow, QueueRow, Store, StoreOperation } from "sotto-relay/core";
import { random } from "./client.ts";

export interface StoreUnderTest {
  readonly store: Store;
  /** Ends this store in order and opens the same disk again. */
  readonly reopen: () => Promise<Store>;
}

const queueRow = (row: number, changes: Partial<QueueRow> = {}): QueueRow => ({
  row,
  queueId: random(24),
  sendHash: random(32),
  readerKey: random(32),
  sender: random(32),
  bound: false,
  ttlHours: 24,
  expiryHour: 500_000,
  ...changes,
});

export const putMessage = (
  row: number,
  sizeBytes = 256,
): Extract<StoreOperation, { type: "put-message" }> => ({
  type: "put-message",
  message: { row, queueRow: 1, id: random(16), expiryHour: 500_000 },
  blob: random(sizeBytes),
});

const putBundle = (row: number): Extract<StoreOperation, { type: "put-bundle" }> => ({
  type: "put-bundle",
  bundle: { row, queueRow: 1, linkHash: random(32), expiryHour: 500_000 },
  blob: random(2_000),
});

/** Rows as plain values, so that a Buffer equals a Uint8Array. */
const plain = <T extends QueueRow | MessageRow | BundleRow>(rows: Iterable<T>): unknown[] =>
  Array.from(rows, (row) =>
    Object.fromEntries(
      Object.entries(row).map(([name, value]) => [
        name,
        value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value,
      ]),
    ),
  );

export function testStore(open: () => Promise<StoreUnderTest>): void {
  test("a new store is empty", async () => {
    const { store } = await open();
    const { queues, messages, bundles } = store.load();
    expect([plain(queues), plain(messages), plain(bundles)]).toEqual([[], [], []]);
    expect(await store.readMessages([1])).toEqual([undefined]);
    expect(await store.readBundle(1)).toBeUndefined();
    await store.close();
  });

  test("what was applied is there after opening again", async () => {
    const { store, reopen } = await open();
    const [queue, message, bundle] = [
      queueRow(1, { bound: true }),
      putMessage(2, 65_536),
      putBundle(3),
    ];
    await store.apply([{ type: "put-queue", queue }, message, bundle]);
    const again = await reopen();
    const loaded = again.load();
    expect(plain(loaded.queues)).toEqual(plain([queue]));
    expect(plain(loaded.messages)).toEqual(plain([{ ...message.message, sizeBytes: 65_536 }]));
    expect(plain(loaded.bundles)).toEqual(plain([{ ...bundle.bundle, sizeBytes: 2_000 }]));
    expect(await again.readMessages([2, 9])).toEqual([message.blob, undefined]);
    expect(await again.readBundle(3)).toEqual(bundle.blob);
    await again.close();
  });

  test("putting a queue or a bundle again replaces it", async () => {
    const { store } = await open();
    const queue = queueRow(1);
    const changed = { ...queue, sender: random(32), bound: true };
    const bundle = putBundle(2);
    const blob = random(100);
    await store.apply([{ type: "put-queue", queue }, bundle]);
    await store.apply([
      { type: "put-queue", queue: changed },
      { ...bundle, blob },
    ]);
    expect(plain(store.load().queues)).toEqual(plain([changed]));
    expect(await store.readBundle(2)).toEqual(blob);
    await store.close();
  });

  test("deleting takes exactly that row, and deleting what is not there is fine", async () => {
    const { store, reopen } = await open();
    await store.apply([{ type: "put-queue", queue: queueRow(1) }, putMessage(2), putMessage(3)]);
    await store.apply([putBundle(4), { type: "delete-message", row: 2 }]);
    await store.apply([{ type: "delete-message", row: 2 }]);
    expect(Array.from(store.load().messages, ({ row }) => row)).toEqual([3]);
    await store.apply([
      { type: "delete-queue", row: 1 },
      { type: "delete-message", row: 3 },
      { type: "delete-bundle", row: 4 },
    ]);
    const { queues, messages, bundles } = (await reopen()).load();
    expect([plain(queues), plain(messages), plain(bundles)]).toEqual([[], [], []]);
  });

  test("a message and its deletion that meet in one commit leave nothing and both resolve", async () => {
    const { store } = await open();
    const put = store.apply([putMessage(1), putMessage(2)]);
    const deletion = store.apply([{ type: "delete-message", row: 1 }]);
    await Promise.all([put, deletion]);
    expect(Array.from(store.load().messages, ({ row }) => row)).toEqual([2]);
    await store.close();
  });

  test("messages come back in the order of their rows", async () => {
    const { store, reopen } = await open();
    await Promise.all([3, 1, 2].map((row) => store.apply([putMessage(row)])));
    const again = await reopen();
    expect(Array.from(again.load().messages, ({ row }) => row)).toEqual([1, 2, 3]);
    await again.close();
  });

  test("close waits for what was applied", async () => {
    const { store, reopen } = await open();
    const applied = Array.from({ length: 200 }, (_, index) => store.apply([putMessage(index + 1)]));
    const again = await reopen();
    await Promise.all(applied);
    expect([...again.load().messages]).toHaveLength(200);
    await again.close();
  });
}
