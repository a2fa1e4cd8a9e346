/** Limits that an operator may choose, from the setting to the answer of a relay: at the limit, and one past it. */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HUB_PATH, type HubFrame } from "@sotto/wire";
import { CIRCUITS_PER_PLACE_MAX, type Relay, type RelayOptions, startRelay } from "sotto-relay";
import { afterEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import { append, type Client, connect, connectRaw, newQueueId, pair, random } from "./client.ts";

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

const HEADERS = { "x-forwarded-for": "192.0.2.7" };

async function start(options: RelayOptions): Promise<Relay> {
  const relay = await startRelay({ port: 0, circuit: false, trustProxy: true, ...options });
  ends.push(() => relay.close());
  return relay;
}

const enter = (relay: Relay, seed = random(32)): Promise<Client> =>
  connect(relay.port, seed, HEADERS);

const newQueue = (ttlHours = 1): HubFrame => ({
  type: "queue-new",
  proof: new Uint8Array(),
  queueId: newQueueId(),
  ttlHours,
  firstUseHash: random(32),
});

/** Types of the answers, and codes of the refusals. */
const codeOf = (answer: HubFrame): string => (answer.type === "error" ? answer.code : answer.type);

/** What a sender hears for messages of these sizes to somebody who is away. */
async function sendAway(relay: Relay, sizes: readonly number[]): Promise<readonly string[]> {
  const [owner, sender] = [await enter(relay), await enter(relay)];
  const { alias } = await pair(owner, sender);
  owner.close();
  await owner.closed;
  const codes: string[] = [];
  for (const size of sizes) codes.push(codeOf(await sender.request(append(alias, random(size)))));
  return codes;
}

async function upgrade(relay: Relay, path: string): Promise<string> {
  const socket = new WebSocket(`ws://127.0.0.1:${relay.port}${path}`, { headers: HEADERS });
  ends.push(() => socket.terminate());
  const opened = once(socket, "open").then(() => "open");
  const [failed] = await Promise.race([
    opened.then((text) => [text]),
    once(socket, "error").then(([error]) => [/\d{3}/.exec(String(error))?.[0] ?? "failed"]),
  ]);
  return failed ?? "failed";
}

test("queue_messages and queue_bytes, and HELLO says the first", async () => {
  expect(await sendAway(await start({ queueMessages: 2 }), [256, 256, 256])).toEqual([
    "ok",
    "ok",
    "quota",
  ]);
  const relay = await start({ queueBytes: 66_048 });
  expect(await sendAway(relay, [65_536, 512, 256])).toEqual(["ok", "ok", "quota"]);
  const told = await connectRaw((await start({ queueMessages: 2 })).port);
  expect(told.hello.queueMessagesMax).toBe(2);
});

test("ttl_hours, and HELLO says so", async () => {
  const client = await enter(await start({ ttlHours: 5 }));
  expect(client.hello.ttlHoursMax).toBe(5);
  expect(codeOf(await client.request(newQueue(5)))).toBe("queue");
  expect(codeOf(await client.request(newQueue(0)))).toBe("queue");
  expect(codeOf(await client.request(newQueue(6)))).toBe("limit");
});

test.each([
  ["max_queues", { maxQueues: 2 }, 2, "limit"],
  ["queues_per_reader", { queuesPerReader: 2 }, 2, "queue"],
  ["queue_burst", { queueBurst: 2, workQueues: 0 }, 2, "limit"],
  [
    "scarce_queue_burst",
    { maxQueues: 5, queueBurst: 9, scarceQueueBurst: 4, workQueues: 0 },
    4,
    "limit",
  ],
] as const)("%s", async (_, options, count, forAnother) => {
  const relay = await start(options);
  const client = await enter(relay);
  for (let made = 0; made < count; made++) {
    expect(codeOf(await client.request(newQueue()))).toBe("queue");
  }
  expect(codeOf(await client.request(newQueue()))).toBe("limit");
  expect(codeOf(await (await enter(relay)).request(newQueue()))).toBe(forAnother);
});

test("work_queues: what a place hears that used up its own", async () => {
  const client = await enter(await start({ queueBurst: 1, workQueues: 1 }));
  expect(codeOf(await client.request(newQueue()))).toBe("queue");
  expect(codeOf(await client.request(newQueue()))).toBe("work");
});

test("append_burst counts mail and signals of one place", async () => {
  const relay = await start({ appendBurst: 65_536, appendsPerSecond: 1_024 });
  expect(await sendAway(relay, [65_536, 65_536])).toEqual(["ok", "later"]);
});

test("min_free", async () => {
  const data = mkdtempSync(join(tmpdir(), "sotto-limits-"));
  ends.push(() => rmSync(data, { recursive: true }));
  const client = await enter(await start({ data, minFree: Number.MAX_SAFE_INTEGER }));
  expect(codeOf(await client.request(newQueue()))).toBe("full");
});

test("max_connections, connections_per_place", async () => {
  for (const options of [{ maxConnections: 2 }, { connectionsPerPlace: 2 }]) {
    const relay = await start(options);
    await Promise.all([enter(relay), enter(relay)]);
    expect(await upgrade(relay, HUB_PATH)).toBe("429");
  }
});

test("auth_ms", async () => {
  const silent = await connectRaw((await start({ authMs: 50 })).port);
  expect(await silent.next("bye")).toMatchObject({ code: "unauthorised" });
});

test("circuits: so many in all, so many from one place", async () => {
  const few = await start({ circuit: true, maxCircuits: 1 });
  expect([await upgrade(few, "/"), await upgrade(few, "/")]).toEqual(["open", "429"]);
  const many = await start({ circuit: true });
  const all = Array.from({ length: CIRCUITS_PER_PLACE_MAX }, () => upgrade(many, "/"));
  expect(new Set(await Promise.all(all))).toEqual(new Set(["open"]));
  expect(await upgrade(many, "/")).toBe("429");
});
