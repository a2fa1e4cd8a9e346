/** Room on the disk: at the limit and one byte below it, looked at again after a while, and a real disk. */
import { tmpdir } from "node:os";
import { expect, test } from "vitest";
import { createDiskSpace } from "sotto-relay";

test("the least there has to be is room, a byte less is none, and a later look sees more again", () => {
  let now = 0;
  let free = 1_000;
  const hasRoom = createDiskSpace(
    "/",
    1_000,
    () => now,
    () => free,
  );
  expect(hasRoom()).toBe(true);
  free = 999;
  now += 999;
  expect(hasRoom()).toBe(true);
  now += 1;
  expect(hasRoom()).toBe(false);
  free = 1_000;
  now += 1_000;
  expect(hasRoom()).toBe(true);
});

test("a real directory is asked, and one that cannot be asked has room as far as anybody knows", () => {
  expect(createDiskSpace(tmpdir(), 1, () => 0)()).toBe(true);
  expect(createDiskSpace(tmpdir(), Number.MAX_SAFE_INTEGER, () => 0)()).toBe(false);
  expect(createDiskSpace("/nowhere/at/all", 1, () => 0)()).toBe(true);
});
