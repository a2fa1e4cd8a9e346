import { nobleBackend } from "@sotto/crypto";
import type { Store } from "@sotto/protocol";
import { createMemoryStore } from "@sotto/storage/memory";
import { describe, expect, test } from "vitest";
import { readWords } from "#src/recovery.ts";
import { loadOrCreateSelf } from "#src/self.ts";

const env = {
  crypto: nobleBackend,
  entropy: (length: number) => crypto.getRandomValues(new Uint8Array(length)),
  now: 1_700_000_000_000,
};

const RELAYS = ["https://a.example", "https://b.example"] as const;

describe("the identity of an installation", () => {
  test("is made once and kept", async () => {
    const store = createMemoryStore();
    const made = await loadOrCreateSelf(store, { name: "Alice" }, env, RELAYS);
    expect(await loadOrCreateSelf(store, { name: "Another" }, env, RELAYS)).toEqual(made);
  });

  test("has the relays it was made with, and home wherever the page comes from now", async () => {
    const store = createMemoryStore();
    const made = await loadOrCreateSelf(store, { name: "Alice" }, env, RELAYS);
    expect(made.relays).toEqual([
      { url: "https://a.example", key: undefined, derived: false },
      { url: "https://b.example", key: undefined, derived: true },
    ]);
    const moved = await loadOrCreateSelf(store, { name: "Alice" }, env, ["https://c.example"]);
    expect(moved.relays.map(({ url }) => url)).toEqual(["https://c.example", "https://b.example"]);
  });

  test("is not made anew where there has been one, unless the words say whose", async () => {
    const store = createMemoryStore();
    const parts = { name: "Alice", known: true };
    await expect(loadOrCreateSelf(store, parts, env, RELAYS)).rejects.toMatchObject({
      name: "MessengerError",
      code: "storage",
      message: "history is gone",
    });
    expect(await store.loadSelf()).toBeUndefined();
    const other = createMemoryStore();
    const made = await loadOrCreateSelf(other, { name: "Alice" }, env, RELAYS);
    const restore = (await readWords(other, "english")).join(" ");
    const back = await loadOrCreateSelf(store, { ...parts, restore }, env, RELAYS);
    expect(back.cert.rootKey).toEqual(made.cert.rootKey);
    expect(await loadOrCreateSelf(store, parts, env, RELAYS)).toEqual(back);
  });

  test("is never made anew when the one that is stored cannot be read", async () => {
    const saved: unknown[] = [];
    const memory = createMemoryStore();
    const store: Store = {
      ...memory,
      loadSelf: () => Promise.resolve("damaged"),
      saveSelf(self) {
        saved.push(self);
        return memory.saveSelf(self);
      },
    };
    await expect(loadOrCreateSelf(store, { name: "Alice" }, env, RELAYS)).rejects.toMatchObject({
      name: "MessengerError",
      code: "storage",
      message: "identity unreadable",
    });
    expect(saved).toEqual([]);
  });
});
