import type { CommitResult } from "@sotto/protocol";
import { describe, expect, test } from "vitest";
import {
  sampleChange,
  sampleMessage,
  sampleSelf,
  storeAcceptance,
} from "@sotto/storage/acceptance";
import { createMemoryStore } from "@sotto/storage/memory";

storeAcceptance("memory", async () => createMemoryStore(), { describe, test, expect });

describe("a memory store told to fail", () => {
  test.each(["full", "closed"] as const)(
    "answers %s, writes nothing and goes on after it",
    async (reason) => {
      let now: "full" | "closed" | undefined = reason;
      const store = createMemoryStore({ fail: () => now });
      let told = 0;
      store.watch(() => told++);
      const refused: CommitResult = { ok: false, reason };
      const change = sampleChange("a", 1, { putMessages: [sampleMessage("a", 1)] });
      expect(await store.commit(change)).toEqual(refused);
      expect(await store.saveSelf(sampleSelf("Alice"))).toEqual(refused);
      expect(await store.loadSelf()).toBeUndefined();
      expect((await store.loadAll()).conversations).toEqual([]);
      expect((await store.messages("a", { limit: 1 })).rows).toEqual([]);
      expect(told).toBe(0);
      now = undefined;
      expect(await store.commit(change)).toEqual({ ok: true });
      expect(told).toBe(1);
    },
  );
});
