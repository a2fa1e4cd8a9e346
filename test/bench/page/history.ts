/**
 * A history in this browser's database, beside plain rows: raw IndexedDB and Dexie, with the schema that messages had
 * before they were sealed. All writes are strictly durable.
 */
import type { MessageRow, Store } from "@sotto/protocol";
import { openDexieStore } from "@sotto/storage";
import { sampleChange } from "@sotto/storage/acceptance";
import { Dexie } from "dexie";

export interface Spread {
  readonly p50: number;
  readonly p99: number;
}

export interface StoreFigures {
  readonly name: string;
  readonly insertsPerSecond: number;
  readonly pageMs: Spread;
  readonly putMs: Spread;
  /** Growth of what the browser says the origin uses. */
  readonly bytes: number;
}

export interface HistoryFigures {
  readonly messages: number;
  /** Of texts, ids and times alone. */
  readonly payloadBytes: number;
  readonly store: StoreFigures;
  /** Nothing found, and no index: every message was looked at. */
  readonly scanMs: number;
  readonly indexedPerSecond: number;
  readonly indexBytes: number;
  readonly searches: readonly ({ readonly name: string; readonly hits: number } & Spread)[];
}

const CONVERSATIONS = 100;
const BATCH = 512;
const PAGES = 300;
const PUTS = 300;
const SEARCHES = 40;

/** The same numbers in each run. */
function createRandom(): (below: number) => number {
  let state = 0x9e37_79b9;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return Math.floor(((state >>> 0) / 2 ** 32) * below);
  };
}

const SYLLABLES = "ba ce di fo gu ha jen kil mor nat pel qui ros sto tra ven wil xan yor zep".split(
  " ",
);

/** Words by Zipf: few of them make most of the text. */
function createWords(random: (below: number) => number): () => string {
  const latin = Array.from({ length: 20_000 }, () =>
    Array.from({ length: 1 + random(3) }, () => SYLLABLES[random(SYLLABLES.length)]).join(""),
  );
  const hanzi = Array.from({ length: 20_000 }, () =>
    Array.from({ length: 1 + random(3) }, () =>
      String.fromCodePoint(0x4e00 + zipf(random, 3_000)),
    ).join(""),
  );
  return () =>
    random(10) < 6 ? `${latin[zipf(random, 20_000)]} ` : (hanzi[zipf(random, 20_000)] ?? "");
}

const zipf = (random: (below: number) => number, count: number): number =>
  Math.min(count - 1, Math.floor(count ** (random(1_000_000) / 1_000_000)) - 1);

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, "0");

function makeBatches(messages: number): readonly (readonly MessageRow[])[] {
  const random = createRandom();
  const word = createWords(random);
  const counts = new Map<string, number>();
  const rows = new Map<string, MessageRow[]>();
  for (let at = 0; at < messages; at++) {
    const conversation = hex(1 + zipf(random, CONVERSATIONS), 32);
    counts.set(conversation, (counts.get(conversation) ?? 0) + 1);
    const id = hex(random(2 ** 31), 8) + hex(random(2 ** 31), 8) + hex(at, 16);
    const own = random(2) === 0;
    const ms = 1_600_000_000_000 + at * 30_000 + random(20_000);
    const row: MessageRow = {
      id,
      conversation,
      order: hex(ms, 12) + "0000" + (own ? "a1" : conversation.slice(-2)).repeat(20) + id,
      own,
      author: undefined,
      text: Array.from({ length: 2 + random(10) }, word)
        .join("")
        .trim(),
      sentAt: ms,
      receivedAt: ms + random(2_000),
      status: own ? "delivered" : "received",
      path: "relay",
    };
    const all = rows.get(conversation);
    if (all === undefined) rows.set(conversation, [row]);
    else all.push(row);
  }
  const batches: (readonly MessageRow[])[] = [];
  for (const all of rows.values()) {
    for (let at = 0; at < all.length; at += BATCH) batches.push(all.slice(at, at + BATCH));
  }
  return batches;
}

const spreadOf = (times: readonly number[]): Spread => {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.floor(share * (sorted.length - 1))] ?? 0;
  return { p50: at(0.5), p99: at(0.99) };
};

async function timed(task: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await task();
  return performance.now() - start;
}

const used = async (): Promise<number> => (await navigator.storage.estimate()).usage ?? 0;

/** The browser says so late, and more while it tidies up: until it says the same three times. */
async function settledUse(): Promise<number> {
  let [last, same] = [-1, 0];
  for (let turn = 0; turn < 60 && same < 3; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    const now = await used();
    same = now === last ? same + 1 : 0;
    last = now;
  }
  return last;
}

interface Peer {
  readonly name: string;
  insert(rows: readonly MessageRow[]): Promise<unknown>;
  /** 50 rows before an order key. */
  page(conversation: string, before: string): Promise<readonly MessageRow[]>;
  put(row: MessageRow): Promise<unknown>;
}

async function measure(
  peer: Peer,
  batches: readonly (readonly MessageRow[])[],
): Promise<StoreFigures> {
  const random = createRandom();
  const before = await settledUse();
  const total = batches.reduce((sum, { length }) => sum + length, 0);
  const insertMs = await timed(async () => {
    for (const batch of batches) await peer.insert(batch);
  });
  const bytes = (await settledUse()) - before;
  const pages: number[] = [];
  for (let turn = 0; turn < PAGES; turn++) {
    const batch = batches[random(batches.length)] ?? [];
    const row = batch[random(batch.length)];
    if (row === undefined) continue;
    pages.push(await timed(() => peer.page(row.conversation, row.order)));
  }
  const puts: number[] = [];
  const [like] = batches[0] ?? [];
  if (like === undefined) throw new Error("no messages");
  for (let turn = 0; turn < PUTS; turn++) {
    const id = hex(turn, 32);
    const row = {
      ...like,
      id,
      order: hex(1_900_000_000_000 + turn, 12) + like.order.slice(12, 56) + id,
    };
    puts.push(await timed(() => peer.put(row)));
  }
  return {
    name: peer.name,
    insertsPerSecond: (total / insertMs) * 1_000,
    pageMs: spreadOf(pages),
    putMs: spreadOf(puts),
    bytes,
  };
}

const request = <T>(of: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    of.onsuccess = () => resolve(of.result);
    of.onerror = () => reject(of.error ?? new Error("request failed"));
  });

async function openRaw(): Promise<Peer> {
  const opening = indexedDB.open("raw", 1);
  opening.onupgradeneeded = () => {
    const store = opening.result.createObjectStore("history", { keyPath: ["conversation", "id"] });
    store.createIndex("order", ["conversation", "order"]);
  };
  const db = await request(opening);
  const put = (rows: readonly MessageRow[]): Promise<void> =>
    new Promise((resolve, reject) => {
      const transaction = db.transaction("history", "readwrite", { durability: "strict" });
      const store = transaction.objectStore("history");
      for (const row of rows) store.put(row);
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error ?? new Error("aborted"));
    });
  return {
    name: "raw IndexedDB rows",
    insert: put,
    put: (row) => put([row]),
    page: (conversation, before) => {
      const query = IDBKeyRange.bound([conversation, ""], [conversation, before], false, true);
      const index = db.transaction("history").objectStore("history").index("order");
      // IndexedDB 3.0, which Dexie uses as well; the types do not know it yet.
      const options: object = { query, count: 50, direction: "prev" };
      return request(index.getAll(options as IDBKeyRange) as IDBRequest<MessageRow[]>);
    },
  };
}

async function openDexie(): Promise<Peer> {
  const db = new Dexie("dexie", { chromeTransactionDurability: "strict" });
  db.version(1).stores({ history: "[conversation+id], [conversation+order]" });
  await db.open();
  const history = db.table<MessageRow>("history");
  return {
    name: "Dexie rows",
    insert: (rows) => history.bulkPut([...rows]),
    put: (row) => history.put(row),
    page: async (conversation, before) =>
      history
        .where("[conversation+order]")
        .between([conversation, ""], [conversation, before], true, false)
        // oxlint-disable-next-line unicorn/no-array-reverse -- a Dexie collection, not an array
        .reverse()
        .limit(50)
        .toArray(),
  };
}

function createSotto(store: Store): Peer {
  const versions = new Map<string, number>();
  const commit = async (row: MessageRow | undefined, rows: Parameters<typeof sampleChange>[2]) => {
    if (row === undefined) return;
    const { conversation } = row;
    const version = (versions.get(conversation) ?? 0) + 1;
    versions.set(conversation, version);
    const change = sampleChange(conversation, version, rows);
    const result = await store.commit(change);
    if (!result.ok) throw new Error(`refused: ${result.reason}`);
  };
  return {
    name: "Sotto's sealed segments",
    insert: (rows) => commit(rows[0], { mergeMessages: rows }),
    put: (row) => commit(row, { addMessages: [row] }),
    page: async (conversation, before) =>
      (await store.messages(conversation, { before, limit: 50 })).rows,
  };
}

const QUERIES: readonly (readonly [string, (text: string) => string])[] = [
  ["a word", (text) => /[a-z]{4,}/.exec(text)?.[0] ?? "mor"],
  ["two letters within a word", (text) => /[a-z]([a-z]{2})/.exec(text)?.[1] ?? "or"],
  ["a single ideograph", (text) => /\p{sc=Han}/u.exec(text)?.[0] ?? "一"],
  ["two ideographs", (text) => /\p{sc=Han}{2}/u.exec(text)?.[0] ?? "一丁"],
  ["four ideographs", (text) => /\p{sc=Han}{4}/u.exec(text)?.[0] ?? "一丁丂七"],
  ["two words", (text) => /[a-z]+ [a-z]+/.exec(text)?.[0] ?? "mor ros"],
  ["nothing that is there", () => "qqzzqq"],
];

async function runCount(): Promise<number> {
  const db = await request(indexedDB.open("sotto"));
  const count = await request(db.transaction("runs").objectStore("runs").count());
  db.close();
  return count;
}

const payloadOf = (texts: readonly string[]): number =>
  texts.reduce((sum, text) => sum + new TextEncoder().encode(text).length + 24, 0);

/** `messages`: how many. Each store in a profile of its own, where nothing else takes room. */
export async function measureRows(messages: number, name: "raw" | "Dexie"): Promise<StoreFigures> {
  return measure(name === "raw" ? await openRaw() : await openDexie(), makeBatches(messages));
}

export async function measureHistory(messages: number): Promise<HistoryFigures> {
  const batches = makeBatches(messages);
  const texts = batches.flat().map(({ text }) => text);
  const store = await openDexieStore({ name: "sotto" });
  const figures = await measure(createSotto(store), batches);
  const before = await settledUse();
  // The first search has no index, and has one made when it has begun.
  const start = performance.now();
  const scanMs = await timed(() => store.search("qqzzqq"));
  let [count, since] = [0, start];
  // A run is there all at once: the first one may take a while.
  for (let quiet = 0; quiet < (count === 0 ? 600 : 20); quiet++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const now = await runCount();
    if (now !== count) [count, since, quiet] = [now, performance.now(), 0];
  }
  const indexBytes = (await settledUse()) - before;
  const random = createRandom();
  const searches = [];
  for (const [name, queryIn] of QUERIES) {
    const times: number[] = [];
    let hits = 0;
    for (let turn = 0; turn < SEARCHES; turn++) {
      const query = queryIn(texts[random(texts.length)] ?? "");
      times.push(
        await timed(async () => {
          hits += (await store.search(query)).hits.length;
        }),
      );
    }
    searches.push({ name, hits: hits / SEARCHES, ...spreadOf(times) });
  }
  store.close();
  return {
    messages,
    payloadBytes: payloadOf(texts),
    store: figures,
    scanMs,
    indexedPerSecond: (messages / (since - start)) * 1_000,
    indexBytes,
    searches,
  };
}
