/** Databases that another version of the app left, or that this browser cannot keep: what opening them comes to. */
import type { GroupRow } from "@sotto/protocol";
import { openDexieStore } from "@sotto/storage";
import { sampleChange, sampleGroup, sampleMessage, sampleSender } from "@sotto/storage/acceptance";
import { Dexie } from "dexie";
import { afterEach, describe, expect, test, vi } from "vitest";
import { allRaw, done, put } from "./raw-database.ts";

const name = "test-opening";

afterEach(async () => {
  vi.restoreAllMocks();
  await done(indexedDB.deleteDatabase(name));
});

/** Raised past Dexie; `change`: what the other version did to it. */
async function raise(
  version: number,
  change: (raw: IDBDatabase) => void = () => undefined,
): Promise<void> {
  const opening = indexedDB.open(name, version);
  opening.onupgradeneeded = () => change(opening.result);
  (await done(opening)).close();
}

async function versionOf(): Promise<number | undefined> {
  return (await indexedDB.databases()).find((one) => one.name === name)?.version;
}

/** What a profile that was used leaves behind, and at which version. */
async function used(): Promise<number> {
  const store = await openDexieStore({ name });
  await store.commit(sampleChange("a", 1, { addMessages: [sampleMessage("a", 1)] }));
  store.close();
  return (await versionOf()) ?? 0;
}

describe("a database of the next version", () => {
  test.each([
    ["with the same tables", () => undefined],
    ["with a table more", (raw: IDBDatabase) => void raw.createObjectStore("of the next version")],
    ["without one of the tables", (raw: IDBDatabase) => raw.deleteObjectStore("grams")],
  ])("%s is unreadable, and stays as it is", async (_, change) => {
    const next = (await used()) + 10;
    await raise(next, change);
    const opening = openDexieStore({ name });
    await expect(opening).rejects.toMatchObject({ name: "StorageError", code: "unreadable" });
    expect(await versionOf()).toBe(next);
    expect(await allRaw(name, "conversations")).toHaveLength(1);
  });

  test("that Dexie made is unreadable, and nothing is written into it", async () => {
    const next = new Dexie(name);
    next.version(((await used()) + 10) / 10).stores({ conversations: "id", later: "id" });
    await next.open();
    next.close();
    await expect(openDexieStore({ name })).rejects.toMatchObject({ code: "unreadable" });
    expect(await allRaw(name, "conversations")).toHaveLength(1);
  });
});

test("a database of this version to which Dexie added what was missing opens, again and again", async () => {
  // It raises the last digit of the browser's number then.
  await raise((await used()) + 1);
  for (const at of [2, 3]) {
    const store = await openDexieStore({ name });
    expect(await store.commit(sampleChange("a", at))).toEqual({ ok: true });
    store.close();
  }
});

describe("a browser that keeps no keys", () => {
  /** A function cannot be cloned: the browser's own refusal. */
  const keepNoKeys = () =>
    vi
      .spyOn(SubtleCrypto.prototype, "generateKey")
      .mockImplementation(() => Promise.resolve(Object.assign(() => undefined)));

  test("has no storage for who begins in it, this time and the next", async () => {
    keepNoKeys();
    for (const _ of ["first", "next"]) {
      await expect(openDexieStore({ name })).rejects.toMatchObject({ code: "refused" });
    }
    vi.restoreAllMocks();
    (await openDexieStore({ name })).close();
  });

  test.each(["conversations", "self", "history", "meta"])(
    "is told from one that cannot read what is there in %s",
    async (table) => {
      await used();
      const raw = await done(indexedDB.open(name));
      for (const one of raw.objectStoreNames) {
        await done(raw.transaction(one, "readwrite").objectStore(one).clear());
      }
      const row = { id: "a", conversation: "a", order: "" };
      await put(raw, table, [row], ["self", "meta"].includes(table) ? "keys" : undefined);
      raw.close();
      keepNoKeys();
      await expect(openDexieStore({ name })).rejects.toMatchObject({ code: "unreadable" });
      expect(await allRaw(name, table)).toEqual([row]);
    },
  );
});

describe("a database of version 10", () => {
  const tables = {
    self: "",
    conversations: "id",
    outbox: "id, conversation",
    history: "[conversation+id], [conversation+order]",
    groups: "conversation",
    senders: "[conversation+device]",
    posts: "id, from",
    heads: "conversation",
    tail: "[conversation+n]",
    segments: "[conversation+n]",
    ids: "[conversation+n]",
    damage: "[table+conversation+n]",
    meta: "",
    runs: "v",
    grams: "[v+n]",
  };

  /** A group as version 10 kept it: what is missing by account. */
  const old = (conversation: string, log: object = sampleGroup("g").log): object => ({
    ...sampleGroup("g"),
    conversation,
    log: { ...log, late: 7, awaited: new Map([["aa".repeat(20), ["bb".repeat(8)]]]) },
  });

  async function upgraded(groups: readonly object[], senders: readonly object[]) {
    const before = new Dexie(name);
    before.version(10).stores(tables);
    await before.table("groups").bulkPut(groups);
    await before.table("senders").bulkPut(senders);
    before.close();
    const store = await openDexieStore({ name });
    const all = await store.loadAll();
    store.close();
    return all;
  }

  const awaitedIn = ({ log }: GroupRow) => [...log.awaited];

  test("has groups that go on waiting for what their held messages name, and no others", async () => {
    const { log } = sampleGroup("g");
    const [here = ""] = log.ops.keys();
    const [message] = sampleSender("g").held;
    const held = (...heads: readonly (readonly string[])[]) =>
      heads.map((names) => ({ ...message, heads: names }));
    const missing = ["cc".repeat(8), "dd".repeat(32)];
    const waiting = { ...sampleSender("g", 2), held: held(["ee".repeat(8)], [...missing, here]) };
    const senders = [
      waiting,
      { ...sampleSender("g", 3), held: held([here, here.slice(0, 16)]) },
      { ...sampleSender("g", 4), held: [] },
      { ...sampleSender("g", 5), held: "none" },
      { ...sampleSender("elsewhere", 6), held: held(missing) },
    ];
    const { groups, damaged } = await upgraded([old("g"), old("h")], senders);
    expect(groups.map(awaitedIn)).toEqual([[[waiting.device, missing]], []]);
    expect(damaged).toBe(1);
  });

  test("opens whatever is wrong with a group, and counts it", async () => {
    const bad = [null, "log", 7, { ops: "none" }, undefined].map((log, at) => ({
      conversation: `bad-${at}`,
      log,
    }));
    const { groups, damaged } = await upgraded([...bad, old("g")], [sampleSender("g")]);
    expect(groups.map(({ conversation }) => conversation)).toEqual(["g"]);
    expect(damaged).toBe(bad.length);
  });
});

test.each([
  [10, "last", null],
  [10, "last", {}],
  [20, "peer", null],
  [20, "peer", { state: "open", sessions: 7 }],
  [50, "peer", { state: "open", queue: null }],
  [50, "devices", { offers: [null] }],
  [50, "devices", { offers: 7 }],
])("a database of version %d/10 opens when in a record %s is %j", async (version, field, value) => {
  const opening = indexedDB.open(name, version);
  opening.onupgradeneeded = () => {
    const raw = opening.result;
    raw.createObjectStore("self");
    raw.createObjectStore("conversations", { keyPath: "id" });
    raw.createObjectStore("outbox", { keyPath: "id" }).createIndex("conversation", "conversation");
    const messages =
      version === 10
        ? raw.createObjectStore("messages", { keyPath: "id" })
        : raw.createObjectStore("history", { keyPath: ["conversation", "id"] });
    messages.createIndex("[conversation+order]", ["conversation", "order"]);
    if (version < 40) return;
    raw.createObjectStore("groups", { keyPath: "conversation" });
    raw.createObjectStore("senders", { keyPath: ["conversation", "device"] });
    raw.createObjectStore("posts", { keyPath: "id" }).createIndex("from", "from");
  };
  const raw = await done(opening);
  await put(raw, "conversations", [{ id: "a", [field]: value }, { id: "b" }]);
  raw.close();
  const store = await openDexieStore({ name });
  expect((await store.loadAll()).damaged).toBe(2);
  store.close();
});
