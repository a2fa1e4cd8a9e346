/** Messages on disk: sealed, whole after a crash, readable beside damage, moved from the rows of before. */
import type { Change, MessageRow, Store } from "@sotto/protocol";
import { openDexieStore } from "@sotto/storage";
import { sampleChange, sampleMessage, sampleSelf } from "@sotto/storage/acceptance";
import { createMemoryStore } from "@sotto/storage/memory";
import { SEGMENT_ROWS, TAIL_ADDED_MAX, TAIL_ROWS_MAX } from "@sotto/storage/plan";
import { afterEach, describe, expect, test, vi } from "vitest";
import { allRaw, countRaw, deleteRaw, done, methodOf, put, putRaw } from "./raw-database.ts";

const open: Store[] = [];
const names: string[] = [];

function newName(): string {
  const name = `history-${crypto.randomUUID()}`;
  names.push(name);
  return name;
}

async function connect(name: string): Promise<Store> {
  const store = await openDexieStore({ name });
  open.push(store);
  return store;
}

afterEach(async () => {
  vi.restoreAllMocks();
  for (const store of open.splice(0)) store.close();
  for (const name of names.splice(0)) await done(indexedDB.deleteDatabase(name));
});

/** For what goes on by itself. */
const WAIT = { timeout: 20_000 };

const messages = (from: number, to: number, conversation = "a"): readonly MessageRow[] =>
  Array.from({ length: to - from }, (_, at) => sampleMessage(conversation, from + at));

/** Versions rise by themselves. */
function committer(store: Store, conversation = "a") {
  let version = 0;
  return async (change: Partial<Change>): Promise<void> => {
    const result = await store.commit(sampleChange(conversation, ++version, change));
    expect(result).toEqual({ ok: true });
  };
}

async function readAll(
  store: Store,
  conversation = "a",
  limit = 70,
): Promise<readonly MessageRow[]> {
  let rows: readonly MessageRow[] = [];
  for (let hasMore = true; hasMore;) {
    const before = rows[0]?.order;
    const page = await store.messages(conversation, {
      limit,
      ...(before === undefined ? {} : { before }),
    });
    rows = [...page.rows, ...rows];
    ({ hasMore } = page);
  }
  return rows;
}

const raise = (row: MessageRow): MessageRow => ({ ...row, status: "delivered" });

/** Of the rows of `table`, those that `change` gives something for are written over. */
async function tamper(
  name: string,
  table: string,
  change: (row: Readonly<Record<string, unknown>>) => object | undefined,
): Promise<void> {
  const rows = (await allRaw(name, table)) as readonly Readonly<Record<string, unknown>>[];
  await putRaw(
    name,
    table,
    rows.flatMap((row) => change(row) ?? []),
  );
}

function flip(row: Readonly<Record<string, unknown>>): object {
  const { sealed } = row;
  if (!(sealed instanceof Uint8Array)) throw new Error("not sealed");
  const bytes = sealed.slice();
  const middle = bytes.length >> 1;
  bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  return { ...row, sealed: bytes };
}

describe("a store of messages", () => {
  test("answers as one without a disk does, whatever is committed in whatever order", async () => {
    const name = newName();
    let [store, other] = [await connect(name), createMemoryStore()];
    let seed = 7;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      return Math.floor((seed / 2 ** 32) * below);
    };
    const versions = new Map<string, number>();
    for (let step = 0; step < 90; step++) {
      const conversation = random(8) === 0 ? "b" : "a";
      const [from, count, gap] = [random(700), 1 + random(step % 5 === 0 ? 150 : 8), 1 + random(3)];
      const rows = Array.from({ length: count }, (_, at) =>
        sampleMessage(conversation, from + at * gap, { own: random(3) > 0, text: `${step}` }),
      );
      const kind = random(4);
      const version = (versions.get(conversation) ?? 0) + (random(20) === 0 ? 0 : 1);
      const change = sampleChange(conversation, version, {
        addMessages: kind === 0 ? rows.slice(0, 2) : [],
        mergeMessages: kind === 1 ? rows.map((row) => (random(2) === 0 ? raise(row) : row)) : [],
        putMessages: kind === 2 ? rows : [],
        delivered: kind === 3 ? rows.map(({ id }) => id) : [],
      });
      const result = await store.commit(change);
      expect(result).toEqual(await other.commit(change));
      if (result.ok) versions.set(conversation, version);
      if (step % 30 === 29) {
        store.close();
        store = await connect(name);
      }
      const before = sampleMessage(conversation, random(900)).order;
      const limit = 1 + random(90);
      expect(await store.messages(conversation, { before, limit })).toEqual(
        await other.messages(conversation, { before, limit }),
      );
      expect(await store.messages(conversation, { after: before, limit })).toEqual(
        await other.messages(conversation, { after: before, limit }),
      );
    }
    for (const conversation of ["a", "b"]) {
      expect(await readAll(store, conversation)).toEqual(await readAll(other, conversation));
    }
  });

  test("keeps a tail of so many rows, and one more makes a segment of the oldest", async () => {
    const name = newName();
    const store = await connect(name);
    const commit = committer(store);
    await commit({ addMessages: messages(0, TAIL_ADDED_MAX) });
    await commit({ addMessages: messages(TAIL_ADDED_MAX, TAIL_ROWS_MAX) });
    expect(await allRaw(name, "tail")).toHaveLength(TAIL_ROWS_MAX);
    expect(await allRaw(name, "segments")).toEqual([]);
    await commit({ addMessages: messages(TAIL_ROWS_MAX, TAIL_ROWS_MAX + 1) });
    expect(await allRaw(name, "tail")).toHaveLength(TAIL_ROWS_MAX + 1 - SEGMENT_ROWS);
    // The other one is the directory.
    expect(await allRaw(name, "segments")).toHaveLength(2);
    expect(await readAll(store)).toEqual(messages(0, TAIL_ROWS_MAX + 1));
  });

  test("knows every id it has, of the tail and of every segment, also when opened again", async () => {
    const name = newName();
    const first = await connect(name);
    const commit = committer(first);
    await commit({ mergeMessages: messages(0, 1_000) });
    await commit({ addMessages: messages(1_000, 1_010) });
    first.close();
    const store = await connect(name);
    for (const at of [0, 1, 499, 999, 1_000, 1_009]) {
      const change = sampleChange("a", 3, {
        addMessages: [sampleMessage("a", at, { own: false })],
      });
      const ids = [sampleMessage("a", at).id];
      expect(await store.commit(change)).toEqual({ ok: false, reason: "taken", ids });
    }
    const all = { addMessages: messages(0, 1_010) };
    expect(await store.commit(sampleChange("a", 3, all))).toEqual({ ok: false, reason: "known" });
    const next = { addMessages: [sampleMessage("a", 1_010)] };
    expect(await store.commit(sampleChange("a", 3, next))).toEqual({ ok: true });
  });

  test("shows nothing of any message in any row of the database, nor of its id", async () => {
    const name = newName();
    const store = await connect(name);
    const commit = committer(store);
    await store.saveSelf(sampleSelf("Alice"));
    // As many in the tail as in segments, some written again.
    const text = (at: number): string => `marker-${at}-标记`;
    const rows = messages(0, 300).map((row, at) => ({ ...row, text: text(at) }));
    await commit({ mergeMessages: rows.slice(0, 200) });
    for (let at = 200; at < 300; at += 20) await commit({ addMessages: rows.slice(at, at + 20) });
    await commit({ delivered: [rows[10], rows[250]].flatMap((row) => row?.id ?? []) });
    const tables = await tablesOf(name);
    expect(tables).toContain("segments");
    const found: string[] = [];
    for (const table of tables) {
      const raw = spread(await allRaw(name, table));
      if (/marker-|标记|a-0000/.test(raw)) found.push(table);
    }
    expect(found).toEqual([]);
    expect(spread([{ sealed: new TextEncoder().encode(text(7)) }])).toContain("marker-7-标记");
    expect(await readAll(store)).toMatchObject(rows.map((row) => ({ text: row.text })));
  });

  test("has a key that no script can read", async () => {
    const name = newName();
    await connect(name);
    const [keys] = (await allRaw(name, "meta")) as readonly { databaseKey: CryptoKey }[];
    expect(keys?.databaseKey.extractable).toBe(false);
  });
});

describe("a crash while messages are written", () => {
  const moving = (): Partial<Change> => ({
    addMessages: [sampleMessage("a", 500)],
    mergeMessages: messages(100, 110),
    delivered: [sampleMessage("a", 3).id],
  });

  test.each(["tail", "segments", "ids", "heads", "conversations"])(
    "at the write to %s leaves what was there, and can be done again",
    async (table) => {
      const name = newName();
      const store = await connect(name);
      const commit = committer(store);
      await commit({ mergeMessages: messages(0, 100) });
      await commit({ addMessages: messages(300, 364) });
      await commit({ addMessages: messages(364, 364 + 64) });
      const before = await readAll(store);
      const put = methodOf(IDBObjectStore.prototype, "put");
      let writes = 0;
      const spy = vi.spyOn(IDBObjectStore.prototype, "put").mockImplementation(function (
        this: IDBObjectStore,
        ...args
      ) {
        const request = put.apply(this, args);
        if (this.name === table && writes++ === 0) this.transaction.abort();
        return request;
      });
      const change = sampleChange("a", 4, moving());
      expect(await store.commit(change)).toEqual({ ok: false, reason: "closed" });
      expect(writes).toBeGreaterThan(0);
      spy.mockRestore();
      expect(await readAll(store)).toEqual(before);
      const again = await connect(name);
      expect(await readAll(again)).toEqual(before);
      expect(await again.commit(change)).toEqual({ ok: true });
      const all = [...messages(0, 110), ...messages(300, 428), sampleMessage("a", 500)];
      const raised = all.with(3, raise(sampleMessage("a", 3)));
      expect(await readAll(again)).toEqual(raised);
      // The first one reads what the second one wrote.
      expect(await readAll(store)).toEqual(raised);
    },
  );
});

describe("two connections to one history", () => {
  test("write to it in turns, through tails and segments, and lose nothing", async () => {
    const name = newName();
    const stores = [await connect(name), await connect(name)];
    await stores[0]?.commit(sampleChange("a", 1, { addMessages: messages(0, 60) }));
    await stores[1]?.commit(sampleChange("a", 2, { addMessages: messages(60, 110) }));
    let version = 2;
    for (let at = 110; at < 150; at++) {
      const store = stores[at % 2];
      const change = sampleChange("a", ++version, { addMessages: [sampleMessage("a", at)] });
      expect(await store?.commit(change)).toEqual({ ok: true });
      if (at % 10 === 0) {
        const delivered = [sampleMessage("a", at - 105).id, sampleMessage("a", at - 1).id];
        const told = sampleChange("a", ++version, { delivered });
        expect(await stores[(at + 1) % 2]?.commit(told)).toEqual({ ok: true });
      }
    }
    const raised = new Set([110, 120, 130, 140].flatMap((at) => [at - 105, at - 1]));
    const expected = messages(0, 150).map((row, at) => (raised.has(at) ? raise(row) : row));
    for (const store of stores) expect(await readAll(store)).toEqual(expected);
  });

  test("make one key between them", async () => {
    const name = newName();
    const [first, second] = await Promise.all([connect(name), connect(name)]);
    if (first === undefined || second === undefined) throw new Error("not opened");
    await first.commit(sampleChange("a", 1, { addMessages: messages(0, 70) }));
    await second.commit(sampleChange("b", 1, { addMessages: messages(0, 70, "b") }));
    expect(await readAll(second)).toEqual(messages(0, 70));
    expect(await readAll(first, "b")).toEqual(messages(0, 70, "b"));
    expect((await first.loadAll()).damaged).toBe(0);
  });
});

describe("damage of a history", () => {
  /** Segments of 100 each, then a tail of 10. */
  async function fill(name: string): Promise<Store> {
    const store = await connect(name);
    const commit = committer(store);
    for (const from of [0, 100, 200]) await commit({ mergeMessages: messages(from, from + 100) });
    await commit({ addMessages: messages(300, 310) });
    store.close();
    return connect(name);
  }
  const [head, rest] = [messages(0, 100), messages(200, 310)];

  test.each([
    ["of which a byte is another", flip],
    ["that is cut short", (row: object) => ({ ...row, sealed: new Uint8Array(40) })],
    ["that is no bytes", (row: object) => ({ ...row, sealed: "text" })],
    ["that is an older one", (row: object) => ({ ...row, v: 1 })],
  ])(
    "in a segment %s: the rest can be read, it is counted, and may come again",
    async (_, change) => {
      const name = newName();
      const store = await fill(name);
      await tamper(name, "segments", (row) => (row["n"] === 2 ? change(row) : undefined));
      expect(await readAll(store)).toEqual([...head, ...rest]);
      await vi.waitFor(async () => expect((await store.loadAll()).damaged).toBe(100), WAIT);
      // An own device brings it.
      await store.commit(sampleChange("a", 5, { mergeMessages: messages(100, 200) }));
      expect(await readAll(store)).toEqual(messages(0, 310));
      expect((await store.loadAll()).damaged).toBe(0);
    },
  );

  test("in a segment that is gone", async () => {
    const name = newName();
    const store = await fill(name);
    await deleteRaw(name, "segments", ["a", 2]);
    expect(await readAll(store)).toEqual([...head, ...rest]);
    await vi.waitFor(async () => expect((await store.loadAll()).damaged).toBe(100), WAIT);
  });

  test.each([
    ["number", { conversation: "a", n: 2 }],
    ["conversation", { conversation: "b", n: 1 }],
  ])(
    "in a segment that stands under another's %s: neither is taken for the other",
    async (_, at) => {
      const name = newName();
      const store = await connect(name);
      // Two segments of one version in each.
      for (const conversation of ["a", "b"]) {
        const change = { mergeMessages: messages(0, 200, conversation) };
        await store.commit(sampleChange(conversation, 1, change));
      }
      store.close();
      const rows = (await allRaw(name, "segments")) as readonly {
        conversation: string;
        n: number;
      }[];
      const [first, other] = [{ conversation: "a", n: 1 }, at].map((place) =>
        rows.find((row) => row.conversation === place.conversation && row.n === place.n),
      );
      await putRaw(name, "segments", [
        { ...other, conversation: "a", n: 1 },
        { ...first, ...at },
      ]);
      const again = await connect(name);
      expect(await readAll(again)).toEqual(at.n === 2 ? [] : messages(100, 200));
      expect(await readAll(again, "b")).toEqual(messages(at.n === 2 ? 0 : 100, 200, "b"));
    },
  );

  test.each(["heads", "tail", "segments", "ids", "damage", "meta"])(
    "in a field of %s is no error, whatever stands there, and does not confuse the count",
    async (table) => {
      const name = newName();
      const store = await connect(name);
      const commit = committer(store);
      await commit({ putMessages: messages(0, TAIL_ROWS_MAX + 200) });
      await commit({ putMessages: messages(TAIL_ROWS_MAX + 200, TAIL_ROWS_MAX + 210) });
      await putRaw(name, "damage", [{ table: "tail", conversation: "b", n: 1, rows: 2 }]);
      store.close();
      const rows = (await allRaw(name, table)) as readonly object[];
      const [sample = {}] = rows;
      const fields = Object.keys(sample).filter(
        (field) => table === "meta" || !["conversation", "n", "table"].includes(field),
      );
      expect(fields.length).toBeGreaterThan(0);
      for (const field of fields) {
        for (const wrong of [undefined, null, "1", -1, 0.5, 2 ** 53, {}, new Uint8Array(3)]) {
          const changed = rows.map((row) => ({ ...row, [field]: wrong }));
          await putRaw(name, table, changed, table === "meta" ? "keys" : undefined);
          const again = await openDexieStore({ name });
          const label = `${field}: ${JSON.stringify(wrong)}`;
          const read = await readAll(again);
          expect((await again.search("message")).hits.length, label).toBeLessThanOrEqual(50);
          const { damaged } = await again.loadAll();
          expect(Number.isSafeInteger(damaged) && damaged > 0, `${label}: ${damaged}`).toBe(true);
          expect(read.length, label).toBeLessThanOrEqual(TAIL_ROWS_MAX + 210);
          again.close();
          await putRaw(name, table, rows, table === "meta" ? "keys" : undefined);
        }
      }
    },
  );

  test("in the tail: the rest can be read, and it is counted", async () => {
    const name = newName();
    const store = await fill(name);
    let changed = 0;
    await tamper(name, "tail", (row) => (changed++ < 2 ? flip(row) : undefined));
    const rows = await readAll(store);
    expect(rows).toHaveLength(308);
    await vi.waitFor(async () => expect((await store.loadAll()).damaged).toBe(2), WAIT);
    const commit = sampleChange("a", 5, { addMessages: [sampleMessage("a", 400)] });
    expect(await store.commit(commit)).toEqual({ ok: true });
    expect(await readAll(store)).toEqual([...rows, sampleMessage("a", 400)]);
  });

  test.each([
    [
      "damaged",
      (name: string) => tamper(name, "segments", (row) => (row["n"] === 0 ? flip(row) : undefined)),
    ],
    ["gone", (name: string) => deleteRaw(name, "segments", ["a", 0])],
  ])("in a directory that is %s: another is made of the segments", async (_, change) => {
    const name = newName();
    const store = await fill(name);
    await change(name);
    expect(await readAll(store)).toEqual(messages(0, 310));
    const known = sampleChange("a", 5, { addMessages: [sampleMessage("a", 150)] });
    expect(await store.commit(known)).toEqual({ ok: false, reason: "known" });
    await store.commit(sampleChange("a", 5, { mergeMessages: messages(400, 500) }));
    store.close();
    expect(await readAll(await connect(name))).toEqual([
      ...messages(0, 310),
      ...messages(400, 500),
    ]);
  });

  test.each([
    ["damaged", (name: string) => tamper(name, "ids", flip)],
    ["gone", (name: string) => deleteRaw(name, "ids", ["a", 0])],
  ])("in a block of id hashes that is %s: no id is forgotten", async (_, change) => {
    const name = newName();
    const store = await fill(name);
    await change(name);
    const known = sampleChange("a", 5, { addMessages: [sampleMessage("a", 150)] });
    expect(await store.commit(known)).toEqual({ ok: false, reason: "known" });
    await store.commit(sampleChange("a", 5, { mergeMessages: messages(400, 500) }));
    store.close();
    const again = await connect(name);
    const later = sampleChange("a", 6, { addMessages: [sampleMessage("a", 50)] });
    expect(await again.commit(later)).toEqual({ ok: false, reason: "known" });
  });

  test("in a head: the segments are there, and what comes next is kept", async () => {
    const name = newName();
    const store = await fill(name);
    await deleteRaw(name, "heads", "a");
    expect(await readAll(store)).toEqual(messages(0, 300));
    for (let at = 0; at < 3; at++) {
      const change = sampleChange("a", 5 + at, {
        addMessages: messages(400 + 50 * at, 450 + 50 * at),
      });
      expect(await store.commit(change)).toEqual({ ok: true });
    }
    store.close();
    expect(await readAll(await connect(name))).toEqual([
      ...messages(0, 300),
      ...messages(400, 550),
    ]);
  });

  test("in the key: all of it is counted, nothing is written over, and what comes next is kept", async () => {
    const name = newName();
    const store = await fill(name);
    store.close();
    await putRaw(name, "meta", [{ databaseKey: "of a later version" }], "keys");
    const again = await connect(name);
    expect(await readAll(again)).toEqual([]);
    await again.commit(sampleChange("a", 5, { addMessages: [sampleMessage("a", 400)] }));
    expect(await readAll(again)).toEqual([sampleMessage("a", 400)]);
    expect((await again.loadAll()).damaged).toBeGreaterThan(0);
    expect(await allRaw(name, "meta")).toContainEqual({ databaseKey: "of a later version" });
  });
});

describe("rows of before there were segments", () => {
  /** As version 8 made it. */
  async function oldDatabase(name: string, rows: readonly object[]): Promise<void> {
    const request = indexedDB.open(name, 80);
    request.onupgradeneeded = () => {
      const db = request.result;
      db.createObjectStore("self");
      db.createObjectStore("conversations", { keyPath: "id" });
      const history = db.createObjectStore("history", { keyPath: ["conversation", "id"] });
      history.createIndex("[conversation+order]", ["conversation", "order"]);
      db.createObjectStore("outbox", { keyPath: "id" }).createIndex("conversation", "conversation");
      db.createObjectStore("groups", { keyPath: "conversation" });
      db.createObjectStore("senders", { keyPath: ["conversation", "device"] });
      db.createObjectStore("posts", { keyPath: "id" }).createIndex("from", "from");
    };
    const old = await done(request);
    await put(old, "history", rows);
    old.close();
  }

  const isMoved = (name: string): Promise<void> =>
    vi.waitFor(async () => expect(await countRaw(name, "history")).toBe(0), WAIT);

  test("move into segments, of every conversation, and the table is empty", async () => {
    const name = newName();
    await oldDatabase(name, [
      ...messages(0, 1_100),
      ...messages(0, 3, "b"),
      ...messages(0, 200, "c"),
    ]);
    const store = await connect(name);
    expect(await store.messages("b", { limit: 50 })).toEqual({
      rows: messages(0, 3, "b"),
      hasMore: false,
    });
    await isMoved(name);
    expect(await readAll(store)).toEqual(messages(0, 1_100));
    expect(await readAll(store, "b")).toEqual(messages(0, 3, "b"));
    store.close();
    const again = await connect(name);
    expect(await readAll(again, "c")).toEqual(messages(0, 200, "c"));
    const known = sampleChange("a", 1, { addMessages: [sampleMessage("a", 900)] });
    expect(await again.commit(known)).toEqual({ ok: false, reason: "known" });
  });

  test("are read, known and raised before they have moved, and moved by what is written over them", async () => {
    const name = newName();
    await oldDatabase(name, messages(0, 200));
    // As on a disk that is full: nothing moves.
    const refusing = withoutMoving();
    vi.spyOn(IDBDatabase.prototype, "transaction").mockImplementation(refusing);
    const store = await connect(name);
    expect(await readAll(store)).toEqual(messages(0, 200));
    const known = sampleChange("a", 1, { addMessages: [sampleMessage("a", 100)] });
    expect(await store.commit(known)).toEqual({ ok: false, reason: "known" });
    const change = sampleChange("a", 1, {
      addMessages: [sampleMessage("a", 200), sampleMessage("a", 500)],
      mergeMessages: [raise(sampleMessage("a", 7))],
      delivered: [sampleMessage("a", 5).id],
    });
    expect(await store.commit(change)).toEqual({ ok: true });
    const expected = [...messages(0, 201), sampleMessage("a", 500)]
      .with(5, raise(sampleMessage("a", 5)))
      .with(7, raise(sampleMessage("a", 7)));
    expect(await readAll(store)).toEqual(expected);
    for (const at of [3, 198]) {
      const page = await store.messages("a", { after: sampleMessage("a", at).order, limit: 4 });
      expect(page.rows).toEqual(expected.slice(at + 1, at + 5));
    }
    expect(await allRaw(name, "history")).toHaveLength(198);
    store.close();
    vi.restoreAllMocks();
    const again = await connect(name);
    await isMoved(name);
    expect(await readAll(again)).toEqual(expected);
  });

  test.each(["segments", "ids", "heads", "history"])(
    "that were on their way when everything stopped, at the write to %s, are there once",
    async (table) => {
      const name = newName();
      await oldDatabase(name, messages(0, 700));
      const put = methodOf(IDBObjectStore.prototype, "put");
      const remove = methodOf(IDBObjectStore.prototype, "delete");
      let writes = 0;
      /** The second batch gets so far and no further. */
      const stop = (store: IDBObjectStore): void => {
        if (store.name === "heads") writes++;
        if (store.name === table && writes >= (table === "heads" ? 2 : 1))
          store.transaction.abort();
      };
      vi.spyOn(IDBObjectStore.prototype, "put").mockImplementation(function (
        this: IDBObjectStore,
        ...args
      ) {
        const request = put.apply(this, args);
        stop(this);
        return request;
      });
      vi.spyOn(IDBObjectStore.prototype, "delete").mockImplementation(function (
        this: IDBObjectStore,
        ...args
      ) {
        const request = remove.apply(this, args);
        stop(this);
        return request;
      });
      const store = await connect(name);
      await vi.waitFor(async () => {
        const left = await countRaw(name, "history");
        expect(left).toBeGreaterThan(0);
        expect(left).toBeLessThan(700);
      }, WAIT);
      expect(await readAll(store)).toEqual(messages(0, 700));
      store.close();
      vi.restoreAllMocks();
      const again = await connect(name);
      expect(await readAll(again)).toEqual(messages(0, 700));
      await isMoved(name);
      expect(await readAll(again)).toEqual(messages(0, 700));
    },
  );

  test("that cannot be read stay where they are, and are known", async () => {
    const name = newName();
    const damaged = { ...sampleMessage("a", 2), status: "read" };
    await oldDatabase(name, [...messages(0, 2), damaged, ...messages(3, 100)]);
    const store = await connect(name);
    await vi.waitFor(async () => expect(await allRaw(name, "history")).toEqual([damaged]), WAIT);
    expect(await readAll(store)).toEqual([...messages(0, 2), ...messages(3, 100)]);
    const change = sampleChange("a", 1, { addMessages: [sampleMessage("a", 2)] });
    expect(await store.commit(change)).toEqual({ ok: false, reason: "known" });
  });

  test("are moved by two tabs at once, each row once", async () => {
    const name = newName();
    await oldDatabase(name, messages(0, 1_100));
    const stores = await Promise.all([connect(name), connect(name)]);
    await isMoved(name);
    for (const store of stores) expect(await readAll(store)).toEqual(messages(0, 1_100));
  });

  /** A write to the old table from whom nobody asked anything is refused. */
  function withoutMoving(): IDBDatabase["transaction"] {
    const begin = methodOf(IDBDatabase.prototype, "transaction");
    return function (this: IDBDatabase, ...args) {
      const [names, mode] = args;
      const tables = typeof names === "string" ? [names] : Array.from(names);
      if (mode === "readwrite" && tables.includes("history") && !tables.includes("posts")) {
        throw new DOMException("full", "QuotaExceededError");
      }
      return begin.apply(this, args);
    };
  }
});

async function tablesOf(name: string): Promise<readonly string[]> {
  const raw = await done(indexedDB.open(name));
  const tables = [...raw.objectStoreNames];
  raw.close();
  return tables;
}

/** Every string and every byte of a value, as text. */
function spread(value: unknown): string {
  if (typeof value === "string") return ` ${value}`;
  if (value instanceof Uint8Array) return ` ${new TextDecoder().decode(value)}`;
  if (value instanceof Map || value instanceof Set) return [...value].map(spread).join("");
  if (typeof value !== "object" || value === null) return "";
  return Object.values(value).map(spread).join("");
}
