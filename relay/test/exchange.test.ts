/** What the core promises about mail: kept once acknowledged, delivered once, gone in time. */
import * as fc from "fast-check";
import type { HubFrame, QueueId } from "@sotto/wire";
import { describe, expect, test } from "vitest";
import {
  CLOCK_STEP_MS,
  COMMIT_BYTES_MAX,
  HELD_BYTES_MAX,
  HOLD_MS,
  HOUR_MS,
  NEW_SHARE,
  OFFER_HOURS,
  type Owner,
  type Queue,
  QUEUE_AWAITED_HOURS,
  QUEUE_BYTES_MAX,
  QUEUE_IDLE_HOURS,
  QUEUE_MESSAGES_MAX,
  QUEUE_RENEW_HOURS,
  QUEUE_UNUSED_HOURS,
  QUEUES_PER_READER_MAX,
  RECENT_IDS_MAX,
  ROW_BYTES,
  STEADY_SWEEPS,
  SWEEP_MS,
  TTL_HOURS_DEFAULT,
  TTL_HOURS_MAX,
} from "sotto-relay/core";
import { append, newEnvelopeId, newLinkId, newQueueId, pair, random } from "./client.ts";
import { answered, createWorld, type Socket, turn, type World } from "./world.ts";

const OK: HubFrame = { type: "ok" };
const GONE = { type: "error", code: "gone" };

async function withPair(options: { ttlHours?: number } = {}) {
  const world = createWorld();
  const [alice, bob] = [await world.connect(), await world.connect()];
  const firstUse = random(16);
  const queueId = newQueueId();
  const queue = await alice.client.makeQueue(firstUse, queueId, options.ttlHours ?? 24);
  const sendSecret = random(32);
  const opened = await bob.client.openSender(queue.sendId, sendSecret, firstUse);
  if (opened.type !== "sender") throw new Error("not a sender");
  await alice.client.next("drained");
  const { sendId } = queue;
  return {
    world,
    alice,
    bob,
    queueId,
    sendId,
    sendSecret,
    alias: opened.alias,
    ownAlias: queue.alias,
  };
}

async function reopen(world: World, of: Socket, queueId: QueueId): Promise<Socket> {
  const again = await world.connect(of.client.readerSeed);
  await again.client.request({ type: "queue-open", queueIds: [queueId] });
  await turn();
  return again;
}

describe("ack-or-persist", () => {
  test("an acknowledgement in time keeps the message off the disk", async () => {
    const { world, alice, bob, alias, ownAlias } = await withPair();
    const answer = bob.client.request(append(alias));
    const { sequence } = await alice.client.next("deliver");
    world.clock.advance(HOLD_MS - 1);
    expect(await answered(answer)).toBeUndefined();
    alice.client.ack(ownAlias, sequence);
    expect(await answer).toEqual(OK);
    world.clock.advance(10 * HOLD_MS);
    await turn();
    expect(world.counters.get("written")).toBeUndefined();
  });

  test("without one the message is written after HOLD_MS, and OK comes when it is durable", async () => {
    const { world, alice, bob, alias, ownAlias } = await withPair();
    world.store = "closed";
    const answer = bob.client.request(append(alias));
    const { sequence } = await alice.client.next("deliver");
    world.clock.advance(HOLD_MS);
    expect(world.counters.get("written")).toBe(1);
    expect(await answered(answer)).toBeUndefined();
    expect(world.disk.messages.size).toBe(0);
    await world.release();
    expect(await answer).toEqual(OK);
    expect(world.disk.messages.size).toBe(1);
    world.store = "open";
    alice.client.ack(ownAlias, sequence);
    await turn();
    expect(world.disk.messages.size).toBe(0);
  });

  test("an acknowledgement during the write answers at once and leaves nothing", async () => {
    const { world, alice, bob, alias, ownAlias } = await withPair();
    world.store = "closed";
    const answer = bob.client.request(append(alias));
    const { sequence } = await alice.client.next("deliver");
    world.clock.advance(HOLD_MS);
    alice.client.ack(ownAlias, sequence);
    expect(await answer).toEqual(OK);
    await world.release();
    expect(world.disk.messages.size).toBe(0);
  });

  test("a write that fails after the acknowledgement changes nothing any more", async () => {
    const { world, alice, bob, alias, ownAlias } = await withPair();
    world.store = "closed";
    const answer = bob.client.request(append(alias));
    const { sequence } = await alice.client.next("deliver");
    world.clock.advance(HOLD_MS);
    alice.client.ack(ownAlias, sequence);
    expect(await answer).toEqual(OK);
    world.store = "full";
    await world.release();
    expect(world.exchange.stats()).toMatchObject({ messages: 0, commitBytes: 0 });
  });

  test("with the owner away it is written at once", async () => {
    const { world, alice, bob, alias } = await withPair();
    alice.client.close();
    world.store = "closed";
    const answer = bob.client.request(append(alias));
    expect(world.counters.get("written")).toBe(1);
    expect(await answered(answer)).toBeUndefined();
    await world.release();
    expect(await answer).toEqual(OK);
  });

  test("when the owner leaves, what was held for it is written at once", async () => {
    const { world, alice, bob, alias } = await withPair();
    const answer = bob.client.request(append(alias));
    await alice.client.next("deliver");
    expect(world.counters.get("written")).toBeUndefined();
    alice.client.close();
    expect(await answer).toEqual(OK);
    expect(world.disk.messages.size).toBe(1);
  });

  test("a clock set back does not hold mail longer", async () => {
    const { world, alice, bob, alias } = await withPair();
    const answer = bob.client.request(append(alias));
    await alice.client.next("deliver");
    world.clock.set(world.clock.now() - 24 * HOUR_MS);
    world.clock.advance(HOLD_MS);
    expect(await answer).toEqual(OK);
  });

  test("a full disk is told to the sender, and the next try after it works", async () => {
    const { world, alice, bob, alias, queueId } = await withPair();
    alice.client.close();
    world.store = "full";
    const message = append(alias);
    expect(await bob.client.request(message)).toMatchObject({ type: "error", code: "full" });
    expect(world.exchange.stats()).toMatchObject({ messages: 0, commitBytes: 0 });
    world.store = "open";
    expect(await bob.client.request(message)).toEqual(OK);
    const again = await reopen(world, alice, queueId);
    expect(await again.client.next("deliver")).toMatchObject({ id: message.id });
  });
});

describe("one id, one message", () => {
  test("while it waits, when it is stored, and after it was acknowledged", async () => {
    const { world, alice, bob, alias, ownAlias } = await withPair();
    const message = append(alias);
    const other = { ...message, blob: random(512) };
    const answers = [bob.client.request(message), bob.client.request(other)];
    world.clock.advance(HOLD_MS);
    expect(await Promise.all(answers)).toEqual([OK, OK]);
    expect(await bob.client.request(other)).toEqual(OK);
    const { sequence, blob } = await alice.client.next("deliver");
    expect(blob).toEqual(message.blob);
    alice.client.ack(ownAlias, sequence);
    expect(await bob.client.request(other)).toEqual(OK);
    await turn();
    expect(alice.client.waiting("deliver")).toBe(0);
    expect(world.exchange.stats().messages).toBe(0);
  });

  test("is remembered for so many acknowledged messages", async () => {
    const { alice, bob, alias, ownAlias } = await withPair();
    const messages = Array.from({ length: RECENT_IDS_MAX + 1 }, () => append(alias));
    for (const message of messages) {
      const answer = bob.client.request(message);
      alice.client.ack(ownAlias, (await alice.client.next("deliver")).sequence);
      await answer;
    }
    expect(await bob.client.request(messages[1]!)).toEqual(OK);
    expect(alice.client.waiting("deliver")).toBe(0);
    void bob.client.request(messages[0]!);
    expect(await alice.client.next("deliver")).toMatchObject({ id: messages[0]!.id });
  });
});

describe("quota", () => {
  test("so many messages, until one is fetched", async () => {
    const { world, alice, bob, alias, queueId } = await withPair();
    alice.client.close();
    for (let index = 0; index < QUEUE_MESSAGES_MAX; index++) {
      expect(await bob.client.request(append(alias))).toEqual(OK);
    }
    const quota = { type: "error", code: "quota" };
    expect(await bob.client.request(append(alias))).toMatchObject(quota);
    const again = await reopen(world, alice, queueId);
    const { alias: own, sequence } = await again.client.next("deliver");
    again.client.ack(own, sequence);
    expect(await bob.client.request(append(alias))).toEqual(OK);
    expect(await bob.client.request(append(alias))).toMatchObject(quota);
  });

  test("so many bytes", async () => {
    const { alice, bob, alias } = await withPair();
    alice.client.close();
    for (let bytes = 0; bytes < QUEUE_BYTES_MAX; bytes += 65_536) {
      expect(await bob.client.request(append(alias, random(65_536)))).toEqual(OK);
    }
    expect(await bob.client.request(append(alias))).toMatchObject({ code: "quota" });
  });
});

describe("two owners of one queue", () => {
  test("the second wins, the first is told, and mail in the first one's hands goes to the second", async () => {
    const { world, alice, bob, alias, queueId } = await withPair();
    const message = append(alias);
    const answer = bob.client.request(message);
    await alice.client.next("deliver");
    const second = await reopen(world, alice, queueId);
    expect(await alice.client.next("bye")).toMatchObject({ code: "gone" });
    expect(alice.isClosed()).toBe(true);
    const { alias: own, sequence, id } = await second.client.next("deliver");
    expect(id).toEqual(message.id);
    second.client.ack(own, sequence);
    expect(await answer).toEqual(OK);
  });
});

describe("the only sender", () => {
  test("first use binds; the spent secret is worth nothing to anybody else", async () => {
    const { world, alice, sendId } = await withPair();
    const mallory = await world.connect();
    const firstUse = random(16);
    const { sendId: fresh } = await alice.client.makeQueue(firstUse);
    const secret = random(32);
    expect((await mallory.client.openSender(fresh, secret, firstUse)).type).toBe("sender");
    expect(await mallory.client.openSender(fresh, random(32), firstUse)).toMatchObject(GONE);
    expect(await mallory.client.openSender(sendId, random(32), firstUse)).toMatchObject(GONE);
    expect((await mallory.client.openSender(fresh, secret)).type).toBe("sender");
  });

  test("a proof that fails does not bind, even when the secret is zeros", async () => {
    const { alice, bob } = await withPair();
    const { sendId } = await alice.client.makeQueue(new Uint8Array(16));
    const frame = {
      type: "send-open",
      sendId,
      sendKey: random(32),
      authenticator: random(32),
    } as const;
    expect(await bob.client.request({ ...frame, firstUse: new Uint8Array(16) })).toMatchObject(
      GONE,
    );
    expect((await bob.client.openSender(sendId, random(32), new Uint8Array(16))).type).toBe(
      "sender",
    );
  });

  test("is bound durably before it hears so, and not at all when the disk is full", async () => {
    const { world, alice, bob } = await withPair();
    const firstUse = random(16);
    const { sendId, alias } = await alice.client.makeQueue(firstUse);
    const linkId = newLinkId();
    await alice.client.request({ type: "bundle-put", alias, linkId, blob: random(10) });
    world.store = "full";
    const refused = await bob.client.openSender(sendId, random(32), firstUse);
    expect(refused).toMatchObject({ type: "error", code: "full" });
    world.store = "closed";
    const opening = bob.client.openSender(sendId, random(32), firstUse);
    expect(await answered(opening)).toBeUndefined();
    await world.release();
    expect((await opening).type).toBe("sender");
    expect(world.disk.bundles.size).toBe(0);
  });
});

describe("a deletion that the disk does not take", () => {
  test("is no OK, and is tried again until it is durable", async () => {
    const { world, alice, bob, alias, ownAlias, queueId } = await withPair();
    const answer = bob.client.request(append(alias));
    const { sequence } = await alice.client.next("deliver");
    world.clock.advance(HOLD_MS);
    expect(await answer).toEqual(OK);
    const other = await alice.client.makeQueue(random(16));
    world.store = "full";
    const ack = { type: "ack", alias: ownAlias, sequences: [sequence] } as const;
    expect(await alice.client.request(ack)).toMatchObject({ type: "error", code: "full" });
    const closing = { type: "queue-close", alias: other.alias } as const;
    expect(await alice.client.request(closing)).toMatchObject({ type: "error", code: "full" });
    world.clock.advance(SWEEP_MS);
    await turn();
    expect([world.disk.messages.size, world.disk.queues.size]).toEqual([1, 2]);
    world.store = "open";
    world.clock.advance(SWEEP_MS);
    await turn();
    expect([world.disk.messages.size, world.disk.queues.size]).toEqual([0, 1]);
    world.crash();
    const again = await reopen(world, alice, queueId);
    expect(again.client.waiting("deliver")).toBe(0);
  });

  test.each([
    [2, 0],
    [3, 1],
  ])(
    "so are two of them where two may be owed: of %d closed queues %d are left",
    async (count, left) => {
      const world = createWorld({ deletionsOwedMax: 2 });
      const { client } = await world.connect();
      const aliases: number[] = [];
      for (let made = 0; made < count; made++)
        aliases.push((await client.makeQueue(random(16))).alias);
      world.store = "full";
      for (const alias of aliases) await client.request({ type: "queue-close", alias });
      world.store = "open";
      world.clock.advance(SWEEP_MS);
      await turn();
      expect(world.disk.queues.size).toBe(left);
    },
  );
});

describe("a clock that is set", () => {
  test("two hours and more ahead sweeps nothing until it was steady for an hour", async () => {
    const { world, bob, alice, alias } = await withPair({ ttlHours: 1 });
    alice.client.close();
    await alice.client.closed;
    expect(await bob.client.request(append(alias))).toEqual(OK);
    const right = world.clock.now();
    world.clock.set(right + 30 * 24 * HOUR_MS);
    world.clock.advance(STEADY_SWEEPS * SWEEP_MS);
    expect(world.exchange.stats().messages).toBe(1);
    // Right again in time: nothing was lost, and mail expires as it should.
    world.clock.set(right + STEADY_SWEEPS * SWEEP_MS);
    world.clock.advance(SWEEP_MS);
    expect(world.exchange.stats().messages).toBe(1);
    world.clock.advance((STEADY_SWEEPS + 6) * SWEEP_MS);
    expect(world.exchange.stats().messages).toBe(0);
  });

  test.each([
    [CLOCK_STEP_MS - 1, 0],
    [CLOCK_STEP_MS, 1],
  ])("by %d ms: %d messages wait longer", async (stepMs, left) => {
    const { world, bob, alice, alias } = await withPair({ ttlHours: 1 });
    alice.client.close();
    await alice.client.closed;
    expect(await bob.client.request(append(alias))).toEqual(OK);
    world.clock.advance(2 * HOUR_MS - SWEEP_MS);
    expect(world.exchange.stats().messages).toBe(1);
    world.clock.set(world.clock.now() + stepMs);
    world.clock.advance(SWEEP_MS);
    expect(world.exchange.stats().messages).toBe(left);
    world.clock.advance(STEADY_SWEEPS * SWEEP_MS);
    expect(world.exchange.stats().messages).toBe(0);
  });
});

describe("closing a queue", () => {
  test("takes its mail, its offers and its senders' way to it", async () => {
    const { world, alice, bob, alias, ownAlias, queueId, sendId, sendSecret } = await withPair();
    const answer = bob.client.request(append(alias));
    await alice.client.next("deliver");
    const invited = await alice.client.makeQueue(random(16));
    const linkId = newLinkId();
    const put = { type: "bundle-put", alias: invited.alias, linkId, blob: random(10) } as const;
    expect(await alice.client.request(put)).toEqual(OK);
    const closing = { type: "queue-close", alias: invited.alias } as const;
    expect(await alice.client.request(closing)).toEqual(OK);
    expect(await bob.client.request({ type: "bundle-get", linkId })).toMatchObject(GONE);
    expect(world.disk.bundles.size).toBe(0);
    expect(await alice.client.request({ type: "queue-close", alias: ownAlias })).toEqual(OK);
    expect(await answer).toMatchObject(GONE);
    expect(await bob.client.request(append(alias))).toMatchObject(GONE);
    expect(await bob.client.request({ type: "signal", alias, blob: random(256) })).toMatchObject(
      GONE,
    );
    expect(await bob.client.openSender(sendId, sendSecret)).toMatchObject(GONE);
    const opened = await alice.client.request({ type: "queue-open", queueIds: [queueId] });
    expect(opened).toMatchObject({ queues: [{ alias: 0 }] });
    expect([world.disk.queues.size, world.disk.messages.size]).toEqual([0, 0]);
  });
});

test("mail and offers of a queue that is no more leave the disk with the next start", async () => {
  const { world, alice, bob, alias } = await withPair();
  const answer = bob.client.request(append(alias));
  await alice.client.next("deliver");
  world.clock.advance(HOLD_MS);
  expect(await answer).toEqual(OK);
  const invited = await alice.client.makeQueue(random(16));
  const put = { type: "bundle-put", alias: invited.alias, linkId: newLinkId() } as const;
  expect(await alice.client.request({ ...put, blob: random(10) })).toEqual(OK);
  expect([world.disk.messages.size, world.disk.bundles.size]).toEqual([1, 1]);
  // As after a disk that took the end of the queues and not that of what was in them.
  world.disk.queues.clear();
  world.crash();
  await turn();
  expect([world.disk.messages.size, world.disk.bundles.size]).toEqual([0, 0]);
});

describe("making a queue", () => {
  test("again gives the same sendId, answers after it is durable, and fails when it is not", async () => {
    const world = createWorld();
    const { client } = await world.connect();
    const queueId = newQueueId();
    world.store = "full";
    await expect(client.makeQueue(random(16), queueId)).rejects.toThrow("full");
    expect(world.exchange.stats().queues).toBe(0);
    world.store = "closed";
    const both = [client.makeQueue(random(16), queueId), client.makeQueue(random(16), queueId)];
    await turn();
    expect(world.disk.queues.size).toBe(0);
    await world.release();
    const [one, two] = await Promise.all(both);
    expect(two).toEqual(one);
  });

  test("so many per reader, so many per relay", async () => {
    const make = (world: World, reader: Uint8Array) =>
      world.exchange.create(reader, {
        queueId: newQueueId(),
        ttlHours: 1,
        firstUseHash: random(32),
      });
    const reader = random(32);
    const world = createWorld();
    for (let index = 0; index < QUEUES_PER_READER_MAX; index++) {
      expect((await make(world, reader)).ok).toBe(true);
    }
    expect(await make(world, reader)).toEqual({ ok: false, reason: "limit" });
    expect((await make(world, random(32))).ok).toBe(true);

    const small = createWorld({ queuesMax: 2 });
    expect((await make(small, random(32))).ok).toBe(true);
    expect((await make(small, random(32))).ok).toBe(true);
    expect(await make(small, random(32))).toEqual({ ok: false, reason: "limit" });
  });
});

describe("memory for mail on its way", () => {
  const outcomes = (world: World, queues: readonly Queue[], count: number): string[] => {
    const blob = new Uint8Array(65_536);
    const settled: string[] = [];
    for (let index = 0; index < count; index++) {
      const queue = queues[Math.floor(index / 60)]!;
      world.exchange.append(queue, newEnvelopeId(), blob, (outcome) => settled.push(outcome));
    }
    return settled;
  };
  async function queuesOf(world: World, owner: Owner | undefined): Promise<readonly Queue[]> {
    const queues: Queue[] = [];
    for (let index = 0; index < 20; index++) {
      const [reader, queueId] = [random(32), newQueueId()];
      const asked = { queueId, ttlHours: 1, firstUseHash: random(32) };
      const made = await world.exchange.create(reader, asked);
      if (!made.ok) throw new Error(made.reason);
      if (owner !== undefined) world.exchange.open(reader, queueId, owner);
      queues.push(made.queue);
    }
    return queues;
  }

  test("waiting for the disk: senders hear later", async () => {
    const world = createWorld();
    const queues = await queuesOf(world, undefined);
    world.store = "closed";
    const settled = outcomes(world, queues, COMMIT_BYTES_MAX / 65_536);
    expect(settled).toEqual([]);
    expect(outcomes(world, queues, 1)).toEqual(["later"]);
    await world.release();
    expect(outcomes(world, queues.slice(-1), 1)).toEqual([]);
  });

  test("held for owners: beyond it mail is written at once", async () => {
    const world = createWorld();
    const owner: Owner = { offer: () => true, signal: () => true, displaced: () => undefined };
    const queues = await queuesOf(world, owner);
    outcomes(world, queues, HELD_BYTES_MAX / 65_536);
    expect(world.exchange.stats().heldBytes).toBe(HELD_BYTES_MAX);
    expect(world.counters.get("written")).toBeUndefined();
    outcomes(world, queues.slice(-1), 1);
    expect(world.counters.get("written")).toBe(1);
  });
});

describe("expiry", () => {
  test("messages live their hours and not one more", async () => {
    const { world, alice, bob, alias, queueId } = await withPair({ ttlHours: 2 });
    alice.client.close();
    await bob.client.request(append(alias));
    // Begun hours count for the message.
    world.clock.advance(3 * HOUR_MS - SWEEP_MS);
    expect(world.disk.messages.size).toBe(1);
    world.clock.advance(SWEEP_MS);
    await turn();
    expect(world.disk.messages.size).toBe(0);
    const again = await reopen(world, alice, queueId);
    await again.client.next("drained");
    expect(again.client.waiting("deliver")).toBe(0);
  });

  test("0 hours means the default", async () => {
    const { world, alice, bob, alias } = await withPair({ ttlHours: 0 });
    alice.client.close();
    await bob.client.request(append(alias));
    const [stored] = world.disk.messages.values();
    expect(stored?.row.expiryHour).toBe(world.clock.now() / HOUR_MS + TTL_HOURS_DEFAULT + 1);
  });

  test("a queue nobody opens for long is gone, one that is opened stays", async () => {
    const { world, alice, queueId } = await withPair();
    alice.client.close();
    world.clock.advance((QUEUE_IDLE_HOURS - 1) * HOUR_MS);
    expect(world.disk.queues.size).toBe(1);
    await (await reopen(world, alice, queueId)).client.next("drained");
    // Still read: it is renewed for as long as it takes.
    world.clock.advance((QUEUE_IDLE_HOURS + QUEUE_RENEW_HOURS) * HOUR_MS);
    expect(world.disk.queues.size).toBe(1);
    world.crash();
    world.clock.advance((QUEUE_IDLE_HOURS + 1) * HOUR_MS);
    await turn();
    expect(world.disk.queues.size).toBe(0);
  });
});

describe("an offer", () => {
  async function withOffer(ttlHours: number) {
    const world = createWorld();
    const alice = await world.connect();
    const { alias } = await alice.client.makeQueue(random(16), newQueueId(), ttlHours);
    const linkId = newLinkId();
    const put = { type: "bundle-put", alias, linkId, blob: random(10) } as const;
    expect(await alice.client.request(put)).toEqual(OK);
    const get = async (): Promise<string> => {
      const { client } = await world.connect();
      const answer = await client.request({ type: "bundle-get", linkId });
      return answer.type === "error" ? answer.code : answer.type;
    };
    return { world, alice, put, get };
  }

  test.each([1, TTL_HOURS_MAX])(
    "lives its own hours and not one more, in a queue of %d hours, over restarts",
    async (ttlHours) => {
      const { world, get } = await withOffer(ttlHours);
      world.crash();
      world.clock.advance((OFFER_HOURS + 1) * HOUR_MS - 1);
      world.crash();
      expect(await get()).toBe("bundle");
      world.clock.advance(1);
      expect(await get()).toBe("gone");
      world.clock.advance(SWEEP_MS);
      await turn();
      expect(world.disk.bundles.size).toBe(0);
    },
  );

  test("put again lives no longer, and put again after its end is a new one", async () => {
    const { world, alice, put, get } = await withOffer(24);
    world.clock.advance(OFFER_HOURS * HOUR_MS);
    expect(await alice.client.request({ ...put, blob: random(20) })).toEqual(OK);
    expect(await get()).toBe("bundle");
    world.clock.advance(HOUR_MS);
    expect(await get()).toBe("gone");
    expect(await alice.client.request(put)).toEqual(OK);
    world.clock.advance(OFFER_HOURS * HOUR_MS);
    expect(await get()).toBe("bundle");
  });
});

describe("a queue without a sender", () => {
  /** A queue whose owner leaves at once. */
  async function abandoned(
    world: World,
    during?: (socket: Socket, alias: number) => Promise<void>,
  ) {
    const socket = await world.connect();
    const firstUse = random(16);
    const { sendId, alias } = await socket.client.makeQueue(firstUse, newQueueId(), TTL_HOURS_MAX);
    await during?.(socket, alias);
    socket.client.close();
    return { sendId, firstUse };
  }
  const livesExactly = async (world: World, hours: number): Promise<void> => {
    const { size } = world.disk.queues;
    // The hour that has begun counts in its favour.
    world.clock.advance((hours + 1) * HOUR_MS - SWEEP_MS);
    await turn();
    expect(world.disk.queues.size).toBe(size);
    world.clock.advance(SWEEP_MS);
    await turn();
    expect(world.disk.queues.size).toBe(size - 1);
  };

  test("that nobody uses is gone after a day, over restarts", async () => {
    const world = createWorld();
    await abandoned(world);
    world.crash();
    await livesExactly(world, QUEUE_UNUSED_HOURS);
  });

  test("stays while its owner is here", async () => {
    const world = createWorld();
    const { client } = await world.connect();
    await client.makeQueue(random(16));
    world.clock.advance(4 * QUEUE_UNUSED_HOURS * HOUR_MS);
    await turn();
    expect(world.disk.queues.size).toBe(1);
    world.crash();
    world.clock.advance((QUEUE_UNUSED_HOURS + 1) * HOUR_MS);
    await turn();
    expect(world.disk.queues.size).toBe(0);
  });

  test("with an offer lives as long as that, and an hour for who fetched it last", async () => {
    const world = createWorld();
    await abandoned(world, async ({ client }, alias) => {
      const put = { type: "bundle-put", alias, linkId: newLinkId(), blob: random(10) } as const;
      expect(await client.request(put)).toEqual(OK);
    });
    world.crash();
    await livesExactly(world, OFFER_HOURS + 1);
  });

  test.each(["before", "after"])(
    "made %s its owner writes to somebody waits for the answer as long as mail lives",
    async (when) => {
      const { world, bob, alice, sendId, sendSecret } = await withPair();
      alice.client.close();
      bob.client.close();
      const kept = world.disk.queues.size;
      const reader = await world.connect();
      if (when === "after") await reader.client.openSender(sendId, sendSecret);
      const firstUse = random(16);
      const own = await reader.client.makeQueue(firstUse);
      if (when === "before") await reader.client.openSender(sendId, sendSecret);
      reader.client.close();
      world.crash();
      world.clock.advance(QUEUE_AWAITED_HOURS * HOUR_MS);
      await turn();
      expect(world.disk.queues.size).toBe(kept + 1);
      const answering = await world.connect();
      const opened = await answering.client.openSender(own.sendId, random(32), firstUse);
      expect(opened.type).toBe("sender");
    },
  );

  test("that gets its sender lives like any other, though its owner is away", async () => {
    const world = createWorld();
    const { sendId, firstUse } = await abandoned(world);
    world.clock.advance(QUEUE_UNUSED_HOURS * HOUR_MS);
    const { client } = await world.connect();
    expect((await client.openSender(sendId, random(32), firstUse)).type).toBe("sender");
    world.crash();
    await livesExactly(world, QUEUE_IDLE_HOURS);
  });

  test("whose sender could not be kept is as before", async () => {
    const world = createWorld();
    const { sendId, firstUse } = await abandoned(world);
    const { client } = await world.connect();
    world.store = "full";
    expect(await client.openSender(sendId, random(32), firstUse)).toMatchObject({ code: "full" });
    world.store = "open";
    await livesExactly(world, QUEUE_UNUSED_HOURS);
  });
});

describe("room for everything", () => {
  const FULL = { type: "error", code: "full" };
  const [PAIR, SMALL, OFFER] = [ROW_BYTES, ROW_BYTES + 256, ROW_BYTES + 100];

  test("mail to the byte; what is known is still answered, and fetching makes room", async () => {
    for (const spare of [0, -1]) {
      const world = createWorld({ bytesMax: PAIR + 2 * SMALL + spare });
      const [alice, bob] = [await world.connect(), await world.connect()];
      const { alias, queueId } = await pair(alice.client, bob.client);
      alice.client.close();
      const [first, second] = [append(alias), append(alias)];
      expect(await bob.client.request(first)).toEqual(OK);
      expect(await bob.client.request(second)).toMatchObject(spare < 0 ? FULL : OK);
      expect(await bob.client.request(append(alias))).toMatchObject(FULL);
      expect(await bob.client.request(first)).toEqual(OK);
      const again = await reopen(world, alice, queueId);
      const { alias: own, sequence } = await again.client.next("deliver");
      again.client.ack(own, sequence);
      again.client.close();
      expect(await bob.client.request(append(alias))).toEqual(OK);
    }
  });

  test("queues and offers to the byte of their share; a full relay still lets a sender in", async () => {
    const world = createWorld({ bytesMax: (2 * ROW_BYTES + OFFER) / NEW_SHARE });
    const [alice, bob] = [await world.connect(), await world.connect()];
    const firstUse = random(16);
    const { alias, sendId } = await alice.client.makeQueue(firstUse);
    const second = await alice.client.makeQueue(random(16));
    const put = { type: "bundle-put", alias, linkId: newLinkId(), blob: random(101) } as const;
    expect(await alice.client.request(put)).toMatchObject(FULL);
    expect(await alice.client.request({ ...put, blob: random(100) })).toEqual(OK);
    await expect(alice.client.makeQueue(random(16))).rejects.toThrow("full");
    const other = { ...put, alias: second.alias, linkId: newLinkId(), blob: random(1) };
    expect(await alice.client.request(other)).toMatchObject(FULL);
    expect((await bob.client.openSender(sendId, random(32), firstUse)).type).toBe("sender");
    await alice.client.makeQueue(random(16));
  });

  test("mail goes on where new queues and offers have ended, until all of it is used", async () => {
    const world = createWorld({ bytesMax: 20 * ROW_BYTES });
    const [alice, bob] = [await world.connect(), await world.connect()];
    const { alias } = await pair(alice.client, bob.client);
    for (let made = 1; made < 20 * NEW_SHARE; made++) await alice.client.makeQueue(random(16));
    await expect(alice.client.makeQueue(random(16))).rejects.toThrow("full");
    alice.client.close();
    expect(await bob.client.request(append(alias))).toEqual(OK);
    expect(await bob.client.request(append(alias))).toMatchObject(FULL);
  });

  test("a disk without room refuses what is new and still deletes", async () => {
    let hasDisk = true;
    const world = createWorld({ hasDisk: () => hasDisk });
    const [alice, bob] = [await world.connect(), await world.connect()];
    const { alias, queueId } = await pair(alice.client, bob.client);
    alice.client.close();
    const message = append(alias);
    expect(await bob.client.request(message)).toEqual(OK);
    hasDisk = false;
    expect(await bob.client.request(message)).toEqual(OK);
    expect(await bob.client.request(append(alias))).toMatchObject(FULL);
    await expect(bob.client.makeQueue(random(16))).rejects.toThrow("full");
    const again = await reopen(world, alice, queueId);
    const delivered = await again.client.next("deliver");
    again.client.ack(delivered.alias, delivered.sequence);
    again.client.close();
    expect(world.disk.messages.size).toBe(0);
    hasDisk = true;
    expect(await bob.client.request(append(alias))).toEqual(OK);
  });

  test("what its owner takes from hand to hand needs none; what is not acknowledged in time ends", async () => {
    const world = createWorld({ bytesMax: 10 * ROW_BYTES, hasDisk: () => isThere });
    let isThere = true;
    const [alice, bob] = [await world.connect(), await world.connect()];
    const { alias, queueId } = await pair(alice.client, bob.client);
    isThere = false;
    const before = world.exchange.stats();
    const [taken, left] = [append(alias), append(alias)];
    const answer = bob.client.request(taken);
    const { alias: own, sequence } = await alice.client.next("deliver");
    alice.client.ack(own, sequence);
    expect(await answer).toEqual(OK);

    const second = bob.client.request(left);
    await alice.client.next("deliver");
    world.clock.advance(HOLD_MS);
    expect(await second).toMatchObject(FULL);
    expect(world.disk.messages.size).toBe(0);
    // Whoever leaves meanwhile takes nothing with it, and whoever is away is written for as ever: not now.
    const third = bob.client.request(append(alias));
    await alice.client.next("deliver");
    alice.client.close();
    expect(await third).toMatchObject(FULL);
    expect(await bob.client.request(append(alias))).toMatchObject(FULL);
    expect(world.exchange.stats()).toEqual(before);

    isThere = true;
    expect(await bob.client.request(left)).toEqual(OK);
    const again = await reopen(world, alice, queueId);
    expect(await again.client.next("deliver")).toMatchObject({ id: left.id });
  });

  test("is given back by every end, and counted again after a restart", async () => {
    const { world, alice, bob, alias, ownAlias } = await withPair();
    const bytes = (): number => world.exchange.stats().bytes;
    expect(bytes()).toBe(PAIR);
    const invited = await alice.client.makeQueue(random(16));
    const put = { type: "bundle-put", alias: invited.alias, linkId: newLinkId() } as const;
    await alice.client.request({ ...put, blob: random(500) });
    world.store = "full";
    expect(await alice.client.request({ ...put, blob: random(900) })).toMatchObject(FULL);
    world.store = "open";
    expect(bytes()).toBe(PAIR + 2 * ROW_BYTES + 500);
    await alice.client.request({ ...put, blob: random(100) });
    expect(bytes()).toBe(PAIR + ROW_BYTES + OFFER);
    // Acknowledged, refused by the disk, written, expired.
    const answer = bob.client.request(append(alias));
    expect(bytes()).toBe(PAIR + ROW_BYTES + OFFER + SMALL);
    alice.client.ack(ownAlias, (await alice.client.next("deliver")).sequence);
    await answer;
    expect(bytes()).toBe(PAIR + ROW_BYTES + OFFER);
    await alice.client.request({ type: "queue-close", alias: invited.alias });
    expect(bytes()).toBe(PAIR);
    alice.client.close();
    world.store = "full";
    expect(await bob.client.request(append(alias))).toMatchObject(FULL);
    expect(bytes()).toBe(PAIR);
    world.store = "open";
    await bob.client.request(append(alias));
    await alice.client.closed;
    world.crash();
    expect(bytes()).toBe(PAIR + SMALL);
    world.clock.advance(25 * HOUR_MS);
    expect(bytes()).toBe(PAIR);
  });

  test("offers count after a restart, and no longer when they expire", async () => {
    const world = createWorld();
    const { client } = await world.connect();
    const { alias } = await client.makeQueue(random(16));
    await client.request({ type: "bundle-put", alias, linkId: newLinkId(), blob: random(100) });
    world.crash();
    expect(world.exchange.stats().bytes).toBe(ROW_BYTES + OFFER);
    world.clock.advance((OFFER_HOURS + 1) * HOUR_MS);
    expect(world.exchange.stats().bytes).toBe(ROW_BYTES);
    world.clock.advance(HOUR_MS);
    expect(world.exchange.stats()).toMatchObject({ bytes: 0, queues: 0 });
  });
});

describe("a crash", () => {
  test("loses nothing that was answered, and ids of queues stay", async () => {
    const { world, alice, bob, alias, queueId, sendId, sendSecret } = await withPair();
    alice.client.close();
    const kept = [append(alias), append(alias)];
    for (const message of kept) expect(await bob.client.request(message)).toEqual(OK);
    world.store = "closed";
    const lost = bob.client.request(append(alias)).catch(() => "lost");
    world.crash();
    world.store = "open";
    expect(await lost).toBe("lost");
    const again = await reopen(world, alice, queueId);
    for (const message of kept) {
      expect(await again.client.next("deliver")).toMatchObject({
        id: message.id,
        blob: message.blob,
      });
    }
    await again.client.next("drained");
    const sender = await world.connect();
    const opened = await sender.client.openSender(sendId, sendSecret);
    if (opened.type !== "sender") throw new Error("not a sender");
    again.client.close();
    expect(await sender.client.request(append(opened.alias))).toEqual(OK);
    expect(world.disk.messages.size).toBe(kept.length + 1);
  });

  test("whatever happens in between, acknowledged means kept and nothing is delivered to anybody else", async () => {
    type Step =
      | { readonly kind: "append" | "repeat" | "ack" | "leave" | "return" | "crash" | "release" }
      | { readonly kind: "advance"; readonly ms: number }
      | { readonly kind: "store"; readonly state: World["store"] };
    const step: fc.Arbitrary<Step> = fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom<Step>({ kind: "append" }, { kind: "ack" }) },
      {
        weight: 3,
        arbitrary: fc.constantFrom<Step>(
          { kind: "repeat" },
          { kind: "leave" },
          { kind: "return" },
          { kind: "release" },
        ),
      },
      { weight: 1, arbitrary: fc.constant<Step>({ kind: "crash" }) },
      {
        weight: 3,
        arbitrary: fc.constantFrom(1, HOLD_MS, 1_000).map((ms): Step => ({ kind: "advance", ms })),
      },
      {
        weight: 2,
        arbitrary: fc
          .constantFrom<World["store"]>("open", "closed", "full")
          .map((state): Step => ({ kind: "store", state })),
      },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const world = createWorld();
        const first = await world.connect();
        let bob = await world.connect();
        const bound = await pair(first.client, bob.client);
        const { queueId, sendId, sendSecret } = bound;
        let alice: Socket | undefined = first;
        let alias = bound.alias;
        const idOf = (id: Uint8Array): string => Buffer.from(id).toString("hex");
        const sent = new Map<string, Uint8Array>();
        const promised = new Set<string>();
        const seen = new Set<string>();
        const acknowledged = new Set<string>();
        let last: ReturnType<typeof append> | undefined;

        const submit = (message: ReturnType<typeof append>): void => {
          last = message;
          sent.set(idOf(message.id), message.blob);
          bob.client.request({ ...message, alias }).then(
            (answer) => {
              if (answer.type === "ok") promised.add(idOf(message.id));
            },
            () => undefined,
          );
        };
        /** Takes what came; acknowledges it when asked to. */
        const take = async (ack: boolean): Promise<void> => {
          const reader = alice?.client;
          if (reader === undefined) return;
          while (reader.waiting("deliver") > 0) {
            const delivered = await reader.next("deliver");
            const id = idOf(delivered.id);
            expect(delivered.blob).toEqual(sent.get(id));
            seen.add(id);
            if (!ack) continue;
            acknowledged.add(id);
            reader.ack(delivered.alias, delivered.sequence);
          }
        };

        for (const one of steps) {
          switch (one.kind) {
            case "append":
              submit(append(alias));
              break;
            case "repeat":
              if (last !== undefined) submit(last);
              break;
            case "ack":
              await take(true);
              break;
            case "leave":
              alice?.client.close();
              alice = undefined;
              break;
            case "return":
              alice = await reopen(world, first, queueId);
              break;
            case "release":
              await world.release();
              break;
            case "advance":
              world.clock.advance(one.ms);
              break;
            case "store":
              world.store = one.state;
              break;
            case "crash": {
              world.crash();
              world.store = "open";
              alice = undefined;
              bob = await world.connect();
              const opened = await bob.client.openSender(sendId, sendSecret);
              if (opened.type !== "sender") throw new Error("the sender was forgotten");
              ({ alias } = opened);
            }
          }
          await turn();
        }
        const mallory = await world.connect();
        const asked = { type: "queue-open", queueIds: [queueId] } as const;
        expect(await mallory.client.request(asked)).toMatchObject({ queues: [{ alias: 0 }] });
        world.crash();
        world.store = "open";
        alice = await reopen(world, first, queueId);
        await alice.client.next("drained");
        seen.clear();
        await take(false);
        // Kept: here now, or acknowledged by its owner before.
        for (const id of promised) expect(seen.has(id) || acknowledged.has(id)).toBe(true);
        expect(mallory.client.waiting("deliver")).toBe(0);
      }),
      { numRuns: 150 },
    );
  });
});

test("says how long mail waits, by the hour, over restarts, and forgets what is gone", async () => {
  const { world, alice, bob, alias, queueId } = await withPair({ ttlHours: 400 });
  const waiting = () => {
    const { oldestHours, olderThan } = world.exchange.stats();
    return { oldestHours, olderThan };
  };
  expect(waiting()).toEqual({ oldestHours: 0, olderThan: [0, 0, 0, 0, 0, 0] });
  alice.client.close();
  await bob.client.request(append(alias));
  world.clock.advance(5 * HOUR_MS);
  await bob.client.request(append(alias));
  expect(waiting()).toEqual({ oldestHours: 5, olderThan: [1, 0, 0, 0, 0, 0] });
  world.clock.advance(HOUR_MS);
  expect(waiting()).toEqual({ oldestHours: 6, olderThan: [2, 1, 0, 0, 0, 0] });
  world.crash();
  expect(waiting()).toEqual({ oldestHours: 6, olderThan: [2, 1, 0, 0, 0, 0] });
  world.clock.advance(330 * HOUR_MS);
  expect(waiting()).toEqual({ oldestHours: 336, olderThan: [2, 2, 2, 2, 2, 1] });
  const again = await reopen(world, alice, queueId);
  for (let taken = 0; taken < 2; taken++) {
    const { alias: own, sequence } = await again.client.next("deliver");
    again.client.ack(own, sequence);
  }
  await turn();
  expect(waiting()).toEqual({ oldestHours: 0, olderThan: [0, 0, 0, 0, 0, 0] });
});
