/** What is left of mail and people on the relay's disk and in its output. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { openSqliteStore } from "sotto-relay";
import type { StoreOperation } from "sotto-relay/core";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { random, SENT, u32 } from "../conformance/client.ts";
import { type RelayProcess, startRelayProcess } from "../conformance/relay-process.ts";
import { hear, leave, pair, readAgain } from "./pair.ts";
import { findBytes, findForeign } from "./residue.ts";

let data: string;
let relay: RelayProcess | undefined;
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), "sotto-residue-"));
});
afterEach(async () => {
  await relay?.end("SIGKILL");
  relay = undefined;
  rmSync(data, { recursive: true });
});

/** `length` bytes in which `mark` (16 bytes) stands again and again, so that any part of them shows. */
function marked(mark: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at++) bytes[at] = mark[at % mark.length] ?? 0;
  return bytes;
}

const isIn = (mark: Uint8Array): boolean =>
  readdirSync(data).some((name) => readFileSync(join(data, name)).includes(Buffer.from(mark)));
const isEmptyLog = (): boolean => statSync(join(data, "relay.db-wal")).size === 0;

describe("deleted mail", () => {
  const SIZES = [256, 512, 1_024, 2_048, 4_096, 8_192, 16_384, 65_536];
  const put = (row: number, blob: Uint8Array): StoreOperation => ({
    type: "put-message",
    message: { row, queueRow: 1, id: random(16), expiryHour: 500_000 },
    blob,
  });

  test("is in none of the files after the scrub, in whatever order it went; the rest stays", async () => {
    const store = openSqliteStore(data, { scrubMs: 50 });
    const [gone, kept] = [random(16), random(16)];
    const rows = Array.from({ length: 400 }, (_, index) => index + 1);
    const isKept = (row: number): boolean => (row * 7) % 10 < 3;
    const blobs = new Map(
      rows.map((row) => [row, marked(isKept(row) ? kept : gone, SIZES[row % SIZES.length] ?? 256)]),
    );
    await Promise.all(rows.map((row) => store.apply([put(row, blobs.get(row) ?? kept)])));
    expect([isIn(gone), isIn(kept)]).toEqual([true, true]);
    // Out of order and in many commits, so that pages are split, merged and freed.
    const doomed = rows
      .filter((row) => !isKept(row))
      .toSorted((a, b) => ((a * 31) % 97) - ((b * 31) % 97));
    for (let at = 0; at < doomed.length; at += 20) {
      const some = doomed.slice(at, at + 20);
      await Promise.all(some.map((row) => store.apply([{ type: "delete-message", row }])));
    }
    await vi.waitUntil(isEmptyLog, { timeout: 10_000 });
    expect([isIn(gone), isIn(kept)]).toEqual([false, true]);
    const left = rows.filter(isKept);
    expect(await store.readMessages(left)).toEqual(left.map((row) => blobs.get(row)));
    await store.close();
  });

  test("so are an offer that was replaced and the secret of a queue that has its sender", async () => {
    const store = openSqliteStore(data, { scrubMs: 50 });
    const [offer, secretHash] = [random(16), random(32)];
    const bundle = { row: 2, queueRow: 1, linkHash: random(32), expiryHour: 500_000 };
    const queue = {
      row: 1,
      queueId: random(24),
      sendHash: random(32),
      readerKey: random(32),
      sender: secretHash,
      bound: false,
      ttlHours: 24,
      expiryHour: 500_000,
    };
    await store.apply([
      { type: "put-queue", queue },
      { type: "put-bundle", bundle, blob: marked(offer, 3_000) },
    ]);
    await store.apply([
      { type: "put-queue", queue: { ...queue, sender: random(32), bound: true } },
      { type: "put-bundle", bundle, blob: random(2_000) },
    ]);
    await vi.waitUntil(isEmptyLog, { timeout: 10_000 });
    expect([isIn(offer), isIn(secretHash)]).toEqual([false, false]);
    await store.close();
  });

  test("gives its room back: the file shrinks, but for 4 MiB that the next mail will need", async () => {
    const store = openSqliteStore(data, { scrubMs: 50 });
    const blob = random(65_536);
    const rows = Array.from({ length: 400 }, (_, index) => index + 1);
    await Promise.all(rows.map((row) => store.apply([put(row, blob)])));
    await vi.waitUntil(isEmptyLog, { timeout: 10_000 });
    const path = join(data, "relay.db");
    expect(statSync(path).size).toBeGreaterThan(400 * 65_536);
    await Promise.all(rows.map((row) => store.apply([{ type: "delete-message", row }])));
    await vi.waitUntil(() => statSync(path).size < 5_000_000, { timeout: 10_000 });
    expect(statSync(path).size).toBeGreaterThan(4_000_000);
    await store.close();
  });
});

test("a relay that was used knows queues, sizes and hours, and nothing else", async () => {
  relay = await startRelayProcess({ data, args: ["--trust-proxy"] });
  const { url } = relay;
  const [read, stored] = [await pair(url), await pair(url)];
  await leave(read);
  await leave(stored);
  const deleted = random(16);
  for (const size of [256, 4_096, 65_536]) {
    await hear(read.sender.append(read.alias, random(16), marked(deleted, size)), "ok");
    await hear(stored.sender.append(stored.alias, random(16), random(size)), "ok");
  }
  const { owner, alias, mail } = await readAgain(url, read);
  await hear(
    owner.ack(
      alias,
      mail.map(({ sequence }) => sequence),
    ),
    "ok",
  );
  const signalled = random(256);
  await hear(read.sender.ask(SENT.signal, u32(read.alias), signalled), "ok");
  const offered = await pair(url);
  const [linkId, offerQueue, firstUse] = [random(24), random(24), random(16)];
  const made = await hear(offered.owner.makeQueue(offerQueue, firstUse), "queue");
  await hear(offered.owner.ask(SENT.bundlePut, u32(made.alias), linkId, random(900)), "ok");
  await hear(offered.owner.ask(SENT.bundleGet, linkId), "bundle");
  // Broken and foreign things, which an error could quote. No frame begins with 0xff: some chance
  // bytes are a request, and get an answer instead of an end.
  const garbage = marked(Uint8Array.of(0xff, ...random(15)), 64);
  offered.owner.say(garbage);
  await offered.owner.ended;
  await relay.end("SIGTERM");

  expect(findForeign(data)).toEqual([]);
  const pairs = [read, stored, offered].flatMap((one, index) =>
    Object.entries({
      "send id": one.sendId,
      "first use": one.firstUse,
      "send secret": one.sendSecret,
      "reader seed": one.ownerSeed,
    }).map(([name, bytes]) => [`${name} ${index}`, bytes] as const),
  );
  const hidden = {
    ...Object.fromEntries(pairs),
    "link id": linkId,
    "first use of an offer": firstUse,
    "send id of an offer": made.sendId,
    "acknowledged mail": deleted,
    signal: signalled,
    garbage: garbage.subarray(0, 16),
    nonce: owner.hello.nonce,
    address: "127.0.0.1",
  };
  expect(findBytes(data, relay.output(), hidden)).toEqual([]);
  // The output may name no queue either, although the disk must.
  const queueIds = { stored: stored.queueId, read: read.queueId };
  expect(relay.output()).toContain(`Sotto is ready: http://localhost:${relay.port}\n`);
  expect(findBytes(undefined, relay.output(), queueIds)).toEqual([]);
  expect(findBytes(undefined, Buffer.from(read.queueId).toString("hex"), queueIds)).toEqual([
    "read",
  ]);
  expect(findBytes(data, "", queueIds)).toEqual(["stored", "read"]);
  // And the search is not blind in the tables either.
  const database = new DatabaseSync(join(data, "relay.db"));
  database.exec(
    "UPDATE messages SET expiry_hour = unixepoch() * 1000; ALTER TABLE queues ADD COLUMN seen INTEGER",
  );
  database.close();
  expect(findForeign(data)).toEqual(
    expect.arrayContaining(["messages.expiry_hour", expect.stringContaining("seen")]),
  );
}, 60_000);
