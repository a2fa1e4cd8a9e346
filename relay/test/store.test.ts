/** Both stores against the same acceptance suite, and what only a disk can do wrong. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { openSqliteStore } from "sotto-relay";
import { createMemoryDisk, createMemoryStore, type Store } from "sotto-relay/core";
import { putMessage, testStore } from "./store.acceptance.ts";

const directories: string[] = [];
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
});
function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "sotto-store-"));
  directories.push(directory);
  return directory;
}

describe("memory", () => {
  testStore(async () => {
    const disk = createMemoryDisk();
    const store = createMemoryStore(disk);
    return {
      store,
      async reopen() {
        await store.close();
        return createMemoryStore(disk);
      },
    };
  });
});

describe("sqlite", () => {
  testStore(async () => {
    const directory = newDirectory();
    const store = openSqliteStore(directory);
    return {
      store,
      async reopen() {
        await store.close();
        return openSqliteStore(directory);
      },
    };
  });

  test("a second store over the same directory is refused, and allowed after the first ended", async () => {
    const directory = newDirectory();
    const store = openSqliteStore(directory);
    expect(() => openSqliteStore(directory)).toThrow("another relay uses this data directory");
    await store.close();
    await openSqliteStore(directory).close();
  });

  test("nobody else on the machine can read the files", async () => {
    const directory = newDirectory();
    const store = openSqliteStore(directory);
    await store.apply([putMessage(1)]);
    const modes = readdirSync(directory).map(
      (name) => statSync(join(directory, name)).mode & 0o077,
    );
    expect(modes.length).toBeGreaterThan(2);
    expect(modes.every((mode) => mode === 0)).toBe(true);
    await store.close();
  });

  test("what was deleted before its commit never reaches the disk", async () => {
    const directory = newDirectory();
    const store = openSqliteStore(directory);
    const [deleted, kept] = [putMessage(1), putMessage(2)];
    await Promise.all([
      store.apply([deleted]),
      store.apply([kept]),
      store.apply([{ type: "delete-message", row: 1 }]),
    ]);
    const files = readdirSync(directory).map((name) => readFileSync(join(directory, name)));
    expect(files.some((file) => file.includes(Buffer.from(kept.blob)))).toBe(true);
    expect(files.some((file) => file.includes(Buffer.from(deleted.blob)))).toBe(false);
    await store.close();
  });

  test("more than one batch takes is written in several", async () => {
    const directory = newDirectory();
    const store = openSqliteStore(directory);
    const count = 4_097;
    await Promise.all(
      Array.from({ length: count }, (_, index) => store.apply([putMessage(index + 1)])),
    );
    expect([...store.load().messages]).toHaveLength(count);
    await store.close();
  });

  test("a full disk is told, loses nothing kept, and recovers when mail is fetched", async () => {
    const store: Store = openSqliteStore(newDirectory(), { pagesMax: 64 });
    const kept: number[] = [];
    let row = 1;
    for (; ; row++) {
      try {
        await store.apply([putMessage(row, 16_384)]);
        kept.push(row);
      } catch (error) {
        expect(error).toMatchObject({ code: "full" });
        break;
      }
    }
    expect(kept.length).toBeGreaterThan(4);
    expect(Array.from(store.load().messages, (message) => message.row)).toEqual(kept);
    // In one batch: the message without room fails alone.
    const [deletion, refused] = await Promise.allSettled([
      store.apply([{ type: "delete-message", row: 1 }]),
      store.apply([putMessage(row + 1, 65_536)]),
    ]);
    expect([deletion.status, refused.status]).toEqual(["fulfilled", "rejected"]);
    await store.apply([putMessage(row + 2, 4_096)]);
    await store.close();
  });
});
