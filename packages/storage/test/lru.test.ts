import { expect, test } from "vitest";
import { createLru } from "@sotto/storage/lru";

test("keeps as many as it may, and forgets with one more what was used longest ago", () => {
  const kept = createLru<number>(3);
  for (const [key, value] of Object.entries({ a: 1, b: 2, c: 3 })) kept.set(key, value);
  expect(["a", "b", "c"].map((key) => kept.get(key))).toEqual([1, 2, 3]);
  kept.get("a");
  kept.set("c", 4);
  kept.set("d", 5);
  expect(["a", "b", "c", "d"].map((key) => kept.get(key))).toEqual([1, undefined, 4, 5]);
  kept.delete("a");
  kept.set("e", 6);
  expect(["c", "d", "e"].map((key) => kept.get(key))).toEqual([4, 5, 6]);
});
