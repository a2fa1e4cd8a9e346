import { nobleBackend } from "@sotto/crypto";
import type { Store } from "@sotto/protocol";
import { createMemoryStore } from "@sotto/storage/memory";
import { describe, expect, test } from "vitest";
import { loadOrCreateSelf } from "#src/self.ts";

const env = {
  crypto: nobleBackend,
  entropy: (length: number) => crypto.getRandomValues(new Uint8Array(length)),
  now: 1_700_000_000_000,
};

describe("the identity of an installation", () => {
  test("is made once and kept", async () => {
    const store = createMemoryStore();
    const made = await loadOrCreateSelf(store, "Alice", env);
    expect(await loadOrCreateSelf(store, "Another", env)).toEqual(made);
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
    await expect(loadOrCreateSelf(store, "Alice", env)).rejects.toMatchObject({
      name: "MessengerError",
      code: "storage",
      message: "identity unreadable",
    });
    expect(saved).toEqual([]);
  });
});
