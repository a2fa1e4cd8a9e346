/** Copies of a data directory, made beside a relay at work, and relays made from them. */
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { backUp, type Relay, restore, startRelay } from "sotto-relay";
import { afterEach, beforeEach, expect, test } from "vitest";
import { append, connect, pair, random } from "./client.ts";
import { killAll, run, startProcess } from "./relay-process.ts";

let folder: string;
let relays: Relay[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sotto-backup-"));
});
afterEach(async () => {
  await killAll();
  for (const relay of relays.splice(0)) await relay.close();
  rmSync(folder, { recursive: true });
});

const at = (name: string): string => join(folder, name);
async function start(name: string): Promise<Relay> {
  const relay = await startRelay({ port: 0, data: at(name), circuit: false });
  relays.push(relay);
  return relay;
}

/** A queue with stored mail, its owner away. */
async function store(relay: Relay, count: number) {
  const [alice, bob] = [await connect(relay.port), await connect(relay.port)];
  const bound = await pair(alice, bob);
  alice.close();
  await alice.closed;
  const messages = Array.from({ length: count }, () => append(bound.alias, random(4_096)));
  for (const message of messages) expect(await bob.request(message)).toEqual({ type: "ok" });
  return { ...bound, bob, messages, readerSeed: alice.readerSeed };
}

test("a backup made while mail comes in holds all that was answered before it, and is a relay again", async () => {
  const relay = await start("data");
  const { bob, alias, messages, queueId, sendId, sendSecret, readerSeed } = await store(relay, 40);
  const meanwhile = Array.from({ length: 60 }, () => bob.request(append(alias, random(16_384))));
  const made = backUp(at("data"), at("backup"));
  await Promise.all(meanwhile);
  expect(made.messages).toBeGreaterThanOrEqual(40);
  expect(made).toMatchObject({ queues: 1, bytes: statSync(at("backup/relay.db")).size });
  expect(readdirSync(at("backup")).toSorted()).toEqual(["identity.key", "relay.db", "send.key"]);
  for (const name of readdirSync(at("backup"))) {
    expect(statSync(join(at("backup"), name)).mode & 0o077).toBe(0);
  }

  expect(restore(at("backup"), at("restored"))).toEqual(made);
  const again = await start("restored");
  expect(again.relayKey).toEqual(relay.relayKey);
  const owner = await connect(again.port, readerSeed);
  await owner.request({ type: "queue-open", queueIds: [queueId] });
  for (const message of messages) {
    expect(await owner.next("deliver")).toMatchObject({ id: message.id, blob: message.blob });
  }
  const sender = await connect(again.port);
  expect(await sender.openSender(sendId, sendSecret)).toMatchObject({ type: "sender" });
});

test("a backup holds nothing of mail that was deleted before it", async () => {
  const relay = await start("data");
  const { messages, queueId, readerSeed } = await store(relay, 12);
  const owner = await connect(relay.port, readerSeed);
  await owner.request({ type: "queue-open", queueIds: [queueId] });
  for (const _ of messages) {
    const { alias, sequence } = await owner.next("deliver");
    await owner.request({ type: "ack", alias, sequences: [sequence] });
  }
  expect(backUp(at("data"), at("backup"))).toMatchObject({ queues: 1, messages: 0 });
  const copy = readFileSync(at("backup/relay.db"));
  expect(messages.some(({ blob }) => copy.includes(Buffer.from(blob.subarray(0, 64))))).toBe(false);
});

test("nothing is ever replaced, and a failure leaves nothing behind", async () => {
  const relay = await start("data");
  await store(relay, 1);
  backUp(at("data"), at("backup"));
  expect(() => backUp(at("data"), at("backup"))).toThrow("not empty");
  expect(() => restore(at("backup"), at("data"))).toThrow("not empty");
  mkdirSync(at("empty"));
  expect(restore(at("backup"), at("empty"))).toMatchObject({ messages: 1 });
  expect(() => backUp(at("nowhere"), at("other"))).toThrow("identity.key is missing");
  expect(existsSync(at("other"))).toBe(false);
  mkdirSync(at("present"));
  expect(() => restore(at("nowhere"), at("present"))).toThrow("identity.key is missing");
  expect(readdirSync(at("present"))).toEqual([]);
});

test.each<[string, string, (path: string) => void]>([
  ["a key is missing", "send.key is missing", (path) => rmSync(join(path, "send.key"))],
  ["a key is damaged", "not a key", (path) => appendFileSync(join(path, "identity.key"), "x")],
  ["the mail is missing", "unable to open", (path) => rmSync(join(path, "relay.db"))],
  ["the mail is empty", "is empty", (path) => writeFileSync(join(path, "relay.db"), "")],
  [
    "the mail is damaged",
    "damaged|malformed",
    (path) => {
      const bytes = readFileSync(join(path, "relay.db"));
      bytes.fill(0x55, 8_192, 24_576);
      writeFileSync(join(path, "relay.db"), bytes);
    },
  ],
  [
    "a newer relay made it",
    "run a newer relay",
    (path) => {
      const database = new DatabaseSync(join(path, "relay.db"));
      database.exec("PRAGMA user_version = 1000");
      database.close();
    },
  ],
])("a backup is not restored when %s", async (_, message, damage) => {
  const relay = await start("data");
  await store(relay, 10);
  backUp(at("data"), at("backup"));
  damage(at("backup"));
  expect(() => restore(at("backup"), at("restored"))).toThrow(new RegExp(message));
  expect(existsSync(at("restored"))).toBe(false);
});

test("a relay does not give itself new keys beside mail that only the old ones open", async () => {
  const relay = await start("data");
  await relay.close();
  relays = [];
  for (const name of ["identity.key", "send.key"]) {
    const key = readFileSync(at(`data/${name}`));
    rmSync(at(`data/${name}`));
    await expect(start("data")).rejects.toThrow(`${name} is missing`);
    expect(existsSync(at(`data/${name}`))).toBe(false);
    writeFileSync(at(`data/${name}`), key);
  }
  expect((await start("data")).relayKey).toEqual(relay.relayKey);
});

test("the commands back up a running process and make another of it, and say why when they cannot", async () => {
  const first = await startProcess(["--data", at("data")]);
  const [alice, bob] = [await connect(first.port), await connect(first.port)];
  const bound = await pair(alice, bob);
  alice.close();
  await alice.closed;
  const message = append(bound.alias, random(1_024));
  expect(await bob.request(message)).toEqual({ type: "ok" });

  const made = run(["backup", at("backup"), "--data", at("data")]);
  expect(await made.ended).toBe(0);
  expect(made.out()).toMatch(/: keys, 1 queues, 1 messages, \d+ bytes\n$/);
  const restored = run(["restore", at("backup"), "--data", at("new")]);
  expect(await restored.ended).toBe(0);
  const second = await startProcess(["--data", at("new")]);
  const again = await connect(second.port, alice.readerSeed);
  await again.request({ type: "queue-open", queueIds: [bound.queueId] });
  expect(await again.next("deliver")).toMatchObject({ id: message.id, blob: message.blob });

  for (const [args, words] of [
    [["backup", at("backup"), "--data", at("data")], "is not empty"],
    [["restore", at("backup"), "--data", at("data")], "is not empty"],
    [["restore", at("nothing"), "--data", at("other")], "is missing"],
    [["backup", at("other")], "give the relay's --data"],
    [["backup"], "missing required argument"],
  ] as const) {
    const refused = run(args);
    expect(await refused.ended).toBe(1);
    expect(refused.err()).toContain(words);
    expect(refused.out()).toBe("");
  }
  expect(existsSync(at("other"))).toBe(false);
});
