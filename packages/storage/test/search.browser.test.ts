/** Search finds exactly what a look at every message finds, with an index, without, and beside a damaged one. */
import type { MessageRow, SearchHit, SearchOptions, Store } from "@sotto/protocol";
import { openDexieStore } from "@sotto/storage";
import { sampleChange, sampleMessage } from "@sotto/storage/acceptance";
import { createMemoryStore } from "@sotto/storage/memory";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { allRaw, countRaw, done, putRaw } from "./raw-database.ts";

const name = `search-${crypto.randomUUID()}`;
const other = createMemoryStore();
let store: Store;
afterAll(async () => {
  store.close();
  await done(indexedDB.deleteDatabase(name));
});

const WORDS = [
  ..."the quick brown fox jumps over a lazy dog while nobody looks at Straße and ÉCOLE".split(" "),
  ..."你好 世界 消息 历史 我们 今天 天气 很好 搜索 记录 朋友".split(" "),
  ..."👋 👨‍👩‍👧‍👦 ❤️ ｈａｌｆ ﬁne cafe\u0301 ㎏ ８８".split(" "),
];
const CONVERSATIONS = 33;
const ROWS = 132;

let seed = 11;
const random = (below: number): number => {
  seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
  return Math.floor((seed / 2 ** 32) * below);
};
const textOf = (): string =>
  Array.from({ length: 1 + random(7) }, () => WORDS[random(WORDS.length)] ?? "").join(
    random(2) === 0 ? " " : "",
  );

const rows: MessageRow[] = [];
const everywhere = async (conversation: string, version: number, added: readonly MessageRow[]) => {
  rows.push(...added);
  const change = sampleChange(conversation, version, { mergeMessages: added });
  for (const one of [store, other]) expect(await one.commit(change)).toEqual({ ok: true });
};

beforeAll(async () => {
  store = await openDexieStore({ name });
  for (let index = 0; index < CONVERSATIONS; index++) {
    const conversation = `c${index}`;
    const all = Array.from({ length: ROWS }, (_, at) =>
      sampleMessage(conversation, at * CONVERSATIONS + index, {
        text: textOf(),
        own: random(2) === 0,
      }),
    );
    await everywhere(conversation, 1, all);
    await everywhere(conversation, 2, [
      sampleMessage(conversation, 9_000 + index, { text: `${textOf()} tail` }),
    ]);
  }
}, 60_000);

async function every(
  one: Store,
  query: string,
  options: SearchOptions = {},
  max = Infinity,
): Promise<readonly SearchHit[]> {
  const hits: SearchHit[] = [];
  for (let from: string | undefined; ;) {
    const page = await one.search(query, { ...options, from });
    hits.push(...page.hits);
    from = page.next;
    if (from === undefined || hits.length >= max) return hits;
  }
}

/** By the platform alone. */
const holds = (text: string, query: string): boolean => {
  const plain = (one: string): string => one.normalize("NFKC").toLowerCase().normalize("NFKC");
  return plain(text).includes(plain(query.trim()));
};

/** Of what is found in most messages: the newest of them. */
const SOME = 150;

const expectRecall = async (query: string): Promise<void> => {
  const expected = rows
    .filter(({ text }) => holds(text, query))
    .toSorted((a, b) => (a.order < b.order ? 1 : -1))
    .slice(0, SOME)
    .map(({ id }) => id);
  const hits = await every(store, query, {}, SOME);
  expect(
    hits.map(({ row }) => row.id),
    query,
  ).toEqual(expected);
};

const QUERIES = [
  "你",
  "你好",
  "好世",
  "ow",
  "fox",
  "QUICK",
  "x jumps",
  "strasse",
  "straße",
  "école",
].concat(["👋", "half", "fi", "café", "kg", "88", "界 消", "nothing at all", "天气很好", "tail"]);

describe("search", () => {
  test("finds everything before there is an index", async () => {
    expect(await countRaw(name, "runs")).toBe(0);
    await expectRecall("fox");
  });

  test("makes an index by itself, and finds everything with it", async () => {
    await vi.waitFor(async () => expect(await countRaw(name, "runs")).toBe(1), { timeout: 20_000 });
    for (const query of QUERIES) await expectRecall(query);
  });

  test("finds any part of any message", async () => {
    const part = fc
      .tuple(fc.nat({ max: rows.length - 1 }), fc.nat(), fc.integer({ min: 1, max: 6 }))
      .map(([at, from, length]) => {
        // Whole characters, as people type them.
        const all = [...new Intl.Segmenter().segment(rows[at]?.text ?? "")].map(
          (one) => one.segment,
        );
        const start = from % all.length;
        return all.slice(start, start + length).join("");
      })
      .filter((query) => query.trim() !== "");
    await fc.assert(fc.asyncProperty(part, expectRecall), { numRuns: 25 });
  });

  test("reads only segments that may have it", async () => {
    const get = vi.spyOn(IDBObjectStore.prototype, "get");
    const again = await openDexieStore({ name });
    await again.search("zebra");
    // For each conversation only its directory.
    const read = get.mock.contexts.filter(
      (one) => one instanceof IDBObjectStore && one.name === "segments",
    );
    expect(read.length).toBeLessThanOrEqual(CONVERSATIONS);
    get.mockRestore();
    again.close();
  });

  test("gives pages of fifty, newest first, and each message once", async () => {
    const [first, all] = [await store.search("fox"), await every(store, "fox")];
    expect(first.hits).toHaveLength(50);
    const orders = all.map(({ row }) => row.order);
    expect(orders).toEqual(orders.toSorted().toReversed());
    expect(new Set(all.map(({ row }) => row.id)).size).toBe(all.length);
    expect(all).toEqual(await every(other, "fox"));
  });

  test.each<[string, SearchOptions]>([
    ["a conversation", { conversation: "c3" }],
    ["own messages", { own: true }],
    ["an author", { author: sampleMessage("a", 1).order.slice(16, 56) }],
    ["somebody who wrote nothing", { author: "ff".repeat(20) }],
    ["before a time", { before: 1_700_000_000_900 }],
    ["after a time", { after: 1_700_000_004_000 }],
    ["a span", { after: 1_700_000_001_000, before: 1_700_000_001_100 }],
  ])("of %s finds what a look at all messages finds", async (_, options) => {
    const hits = await every(store, "the", options);
    expect(hits).toEqual(await every(other, "the", options));
    expect(hits.length > 0).toBe(options.author !== "ff".repeat(20));
  });

  test.each<[string, string, readonly string[]]>([
    ["ﬁne and Fine", "fi", ["ﬁ", "Fi"]],
    ["８８ cafe\u0301s", "CAFÉ", ["cafe\u0301"]],
    ["aaaa", "aa", ["aa", "aa"]],
    ["👨‍👩‍👧‍👦 你好你好", "你好", ["你好", "你好"]],
  ])("in %s marks %s where it is", async (text, query, marked) => {
    const alone = createMemoryStore();
    await alone.commit(sampleChange("a", 1, { addMessages: [sampleMessage("a", 1, { text })] }));
    const [hit] = (await alone.search(query)).hits;
    expect(hit?.ranges.map(([start, end]) => text.slice(start, end))).toEqual(marked);
  });

  test("for nothing, or for more than anybody types, finds nothing", async () => {
    for (const query of ["", "  ", "a".repeat(257)]) {
      expect(await store.search(query)).toEqual({ hits: [], next: undefined });
    }
    const text = "b".repeat(256);
    await everywhere("long", 1, [sampleMessage("long", 1, { text })]);
    expect((await store.search(text)).hits).toHaveLength(1);
  });

  test("ends when it is asked to", async () => {
    const stop = new AbortController();
    stop.abort(new Error("enough"));
    for (const one of [store, other]) {
      await expect(one.search("the", {}, stop.signal)).rejects.toThrow("enough");
    }
  });

  test("knows what was written since the index was made", async () => {
    const old = rows.find(({ conversation }) => conversation === "c5");
    if (old === undefined) throw new Error("no row");
    const late = sampleMessage("c5", 77_777, { text: "written late: 后来" });
    await everywhere("c5", 3, [{ ...late, order: `${old.order.slice(0, -1)}f` }]);
    await expectRecall("后来");
    await expectRecall("late");
  });

  test("keeps no word in the clear", async () => {
    const raw = [...(await allRaw(name, "grams")), ...(await allRaw(name, "runs"))];
    const text = raw
      .flatMap((row) => Object.values(row as object))
      .map((value: unknown) => (value instanceof Uint8Array ? new TextDecoder().decode(value) : ""))
      .join(" ");
    expect(text.length).toBeGreaterThan(10_000);
    expect(/"refs"|"firsts"|你好|天气/.test(text)).toBe(false);
  });

  test("finds everything beside an index that is damaged", async () => {
    const damaged = (await allRaw(name, "grams")) as readonly { sealed: Uint8Array }[];
    await putRaw(
      name,
      "grams",
      damaged.map((row) => ({ ...row, sealed: row.sealed.with(40, 1 ^ (row.sealed[40] ?? 0)) })),
    );
    for (const query of ["fox", "你", "天气"]) await expectRecall(query);
  });
});
