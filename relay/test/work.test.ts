/** Queues for work: what one costs, that it is paid once, and how far it carries a crowd. */
import { findWork, provesWork } from "@sotto/crypto";
import { type QueueId, WORK_BITS_MAX, workTranscript } from "@sotto/wire";
import {
  createWorkPrice,
  QUEUE_NEW_BURST,
  QUEUE_NEW_INTERVAL_MS,
  WORK_BITS_MIN,
  WORK_QUEUE_INTERVAL_MS,
  WORKS_PER_CONNECTION_MAX,
} from "sotto-relay/core";
import { describe, expect, test } from "vitest";
import { type Client, newQueueId, random } from "./client.ts";
import { createWorld, WORK_BITS, type World } from "./world.ts";

const make = (queueId: QueueId, proof: Uint8Array = new Uint8Array()) =>
  ({ type: "queue-new", queueId, ttlHours: 1, firstUseHash: random(32), proof }) as const;

const prove = (client: Client, queueId: QueueId, bits: number): Uint8Array => {
  const { nonce, relayKey } = client.hello;
  const proof = findWork(workTranscript(nonce, relayKey, queueId), bits, 0, 2 ** 26);
  if (proof === undefined) throw new Error("no proof");
  return proof;
};

/** Of the right size, and no proof. */
const wrong = (client: Client, queueId: QueueId): Uint8Array => {
  const { nonce, relayKey } = client.hello;
  const transcript = workTranscript(nonce, relayKey, queueId);
  for (let first = 0; ; first++) {
    const proof = Uint8Array.of(first, 0, 0, 0, 0, 0, 0, 0);
    if (!provesWork(transcript, proof, WORK_BITS)) return proof;
  }
};

const LIMIT = { type: "error", code: "limit" };

/** Its place has none left. */
async function spent(world: World): Promise<Client> {
  const { client } = await world.connect(random(32), "here");
  for (let made = 0; made < QUEUE_NEW_BURST; made++) await client.makeQueue(random(16));
  return client;
}

describe("a place that used up its queues", () => {
  test("hears what one more costs, and has it for a proof", async () => {
    const world = createWorld({ workQueuesMax: 100 });
    const client = await spent(world);
    const queueId = newQueueId();
    const work = { type: "work", bits: WORK_BITS };
    expect(await client.request(make(queueId))).toEqual(work);
    expect(await client.request(make(queueId, wrong(client, queueId)))).toEqual(work);
    const proof = prove(client, queueId, WORK_BITS);
    expect(await client.request(make(newQueueId(), proof))).toEqual(work);
    const made = await client.request(make(queueId, proof));
    expect(made).toMatchObject({ type: "queue" });
    // Paid once: not for another connection, and not when the queue is closed and made again.
    await client.request({ type: "queue-close", alias: (made as { alias: number }).alias });
    expect(await client.request(make(queueId, proof))).toMatchObject(LIMIT);
    const other = (await world.connect(random(32), "here")).client;
    expect(await other.request(make(queueId, proof))).toEqual(work);
    expect(await other.request(make(queueId, proof))).toEqual(work);
  });

  test("needs no proof for what it has by itself, and none is sold to it unasked", async () => {
    const world = createWorld({ workQueuesMax: 100 });
    const client = await spent(world);
    const queueId = newQueueId();
    const { nonce, relayKey } = client.hello;
    const proof = findWork(workTranscript(nonce, relayKey, queueId), WORK_BITS, 0, 2 ** 26)!;
    expect(await client.request(make(queueId, proof))).toMatchObject({ type: "work" });
    world.clock.advance(QUEUE_NEW_INTERVAL_MS);
    expect(await client.request(make(queueId))).toMatchObject({ type: "queue" });
  });

  test(`asks the price of at most ${WORKS_PER_CONNECTION_MAX} queues`, async () => {
    const world = createWorld({ workQueuesMax: 100 });
    const client = await spent(world);
    const ids = Array.from({ length: WORKS_PER_CONNECTION_MAX }, newQueueId);
    for (const id of ids) expect(await client.request(make(id))).toMatchObject({ type: "work" });
    expect(await client.request(make(newQueueId()))).toMatchObject(LIMIT);
    expect(await client.request(make(ids[0]!))).toMatchObject({ type: "work" });
  });
});

test("the price rises with each that is sold, and at the end there is none until time has passed", () => {
  const price = createWorkPrice(14);
  const bits: (number | undefined)[] = [];
  for (let sold = 0; sold < 15; sold++) {
    bits.push(price.bits(0));
    price.sold(0);
  }
  expect(bits[0]).toBe(WORK_BITS_MIN);
  expect(bits[13]).toBe(WORK_BITS_MAX);
  expect(bits[14]).toBeUndefined();
  expect(bits.slice(0, 14)).toEqual(bits.slice(0, 14).toSorted((one, other) => one! - other!));
  expect(price.bits(-1)).toBeUndefined();
  expect(price.bits(WORK_QUEUE_INTERVAL_MS)).toBeUndefined();
  expect(price.bits(2 * WORK_QUEUE_INTERVAL_MS + 1)).toBe(WORK_BITS_MAX);
  expect(price.bits(100 * WORK_QUEUE_INTERVAL_MS)).toBe(WORK_BITS_MIN);
});

test("twenty thousand attempts by one place make no more than its own and what is sold", async () => {
  const world = createWorld({ workQueuesMax: 3 });
  await spent(world);
  const kinds = new Map<string, number>();
  for (let connection = 0; connection < 4; connection++) {
    const { client } = await world.connect(random(32), "here");
    for (let attempt = 0; attempt < 5_000; attempt++) {
      const answer = await client.request(make(newQueueId(), new Uint8Array(8)));
      kinds.set(answer.type, (kinds.get(answer.type) ?? 0) + 1);
    }
    client.close();
  }
  expect(kinds.get("queue")).toBeUndefined();
  expect(kinds.get("work")).toBe(4 * WORKS_PER_CONNECTION_MAX);
  expect(world.exchange.stats().queues).toBe(QUEUE_NEW_BURST);
  // Beside all that an honest one at the same address, who works, gets a queue; and one elsewhere needs no work.
  const honest = (await world.connect(random(32), "here")).client;
  const queueId = newQueueId();
  expect(await honest.request(make(queueId))).toMatchObject({ type: "work", bits: WORK_BITS });
  const proof = prove(honest, queueId, WORK_BITS);
  expect(await honest.request(make(queueId, proof))).toMatchObject({ type: "queue" });
  const elsewhere = (await world.connect(random(32), "there")).client;
  expect(await elsewhere.request(make(newQueueId()))).toMatchObject({ type: "queue" });
});
