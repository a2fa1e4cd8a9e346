import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Hub, SendTarget } from "@sotto/transport";
import { asLinkId, bytesToHex, type QueueId } from "@sotto/wire";
import { type Relay, startRelay } from "sotto-relay";
import { afterEach, expect, it, vi } from "vitest";
import { WebSocket as ServerSocket } from "ws";
import {
  blob,
  entropy,
  envelopeId,
  numberOf,
  queueId,
  type Watched,
  watchedHub,
} from "./hub-fixture.ts";
import { relayCommands, type RelayPlace } from "./relay-commands.ts";

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function realRelay(options: Parameters<typeof startRelay>[0] = {}): Promise<Relay> {
  const relay = await startRelay({ port: 0, circuit: false, ...options });
  cleanups.push(() => relay.close());
  return relay;
}

const hubUrl = (port: number): string => `ws://127.0.0.1:${port}/hub`;
const until = (condition: () => boolean, timeout = 15_000): Promise<unknown> =>
  vi.waitUntil(condition, { timeout, interval: 5 });

async function client(
  port: number,
  options: Parameters<typeof watchedHub>[1] = {},
): Promise<Watched> {
  const watched = watchedHub(hubUrl(port), options);
  cleanups.push(() => watched.hub.close());
  watched.hub.start();
  await until(() => watched.hub.state === "online");
  return watched;
}

/** A queue of `owner` and the key of its one sender. */
async function queueOf(owner: Hub): Promise<{ id: QueueId; firstUse: Uint8Array; to: SendTarget }> {
  const id = queueId();
  const firstUse = entropy(16);
  const made = await owner.makeQueue({ queueId: id, firstUse, ttlHours: 24 });
  if (!made.ok) throw new Error(made.reason);
  return { id, firstUse, to: { sendId: made.sendId, sendSecret: entropy(32), firstUse } };
}

/** As a proxy says of a client that is not on this machine: a place with one share. */
class Elsewhere extends ServerSocket {
  constructor(url: string) {
    super(url, { headers: { "x-forwarded-for": "192.0.2.9" } });
  }
}
const asElsewhere = Elsewhere as unknown as typeof WebSocket;

const acking = {
  onDeliver: (hub: Hub, { queueId, sequence }: { queueId: QueueId; sequence: bigint }) =>
    hub.ack(queueId, sequence),
};

it("carries a message from a stranger with an invite to the owner of the queue", async () => {
  const relay = await realRelay();
  const owner = await client(relay.port, acking);
  const stranger = await client(relay.port);
  expect(stranger.hub.relayKey).toEqual(relay.relayKey);
  const { id, to } = await queueOf(owner.hub);
  const linkId = asLinkId(entropy(24));
  expect(await owner.hub.publish({ queueId: id, linkId, blob: blob(5, 2_000) })).toBe("ok");
  expect(await stranger.hub.fetchOffer(linkId)).toEqual({ ok: true, blob: blob(5, 2_000) });

  const sent = envelopeId();
  expect(await stranger.hub.append(to, sent, blob(1))).toBe("ok");
  await until(() => owner.deliveries.length === 1);
  expect(owner.deliveries[0]).toMatchObject({ queueId: id, id: sent, blob: blob(1) });
  // The queue has its sender: the offer is gone, and so is the way in for everybody else.
  expect(await stranger.hub.fetchOffer(linkId)).toEqual({ ok: false, reason: "gone" });
  const other = { ...to, sendSecret: entropy(32) };
  expect(await stranger.hub.append(other, envelopeId(), blob(2))).toBe("gone");
  await until(() => relay.stats().messages === 0);
});

it("signals reach who is there, and are told when nobody is", async () => {
  const relay = await realRelay();
  const owner = await client(relay.port);
  const sender = await client(relay.port);
  const { to } = await queueOf(owner.hub);
  expect(await sender.hub.signal(to, blob(3))).toBe("ok");
  await until(() => owner.signals.length === 1);
  expect(owner.signals).toEqual([blob(3)]);
  await owner.hub.close();
  await vi.waitFor(async () => expect(await sender.hub.signal(to, blob(4))).toBe("away"), {
    timeout: 10_000,
  });
});

it("delivers what waited, says when that was all, and what is not acknowledged again", async () => {
  const relay = await realRelay();
  const readerSecret = entropy(32);
  const owner = await client(relay.port, { readerSecret });
  const sender = await client(relay.port);
  const { id, to } = await queueOf(owner.hub);
  await owner.hub.close();
  for (let n = 0; n < 100; n++) {
    expect(await sender.hub.append(to, envelopeId(), blob(n))).toBe("ok");
  }
  const again = await client(relay.port, { ...acking, readerSecret });
  again.hub.openQueues([id]);
  await until(() => again.drained.length === 1 && again.deliveries.length >= 100);
  expect(again.deliveries.map((delivery) => numberOf(delivery.blob))).toEqual(
    Array.from({ length: 100 }, (_, n) => n),
  );
  await until(() => relay.stats().messages === 0);
});

it("a closed queue is gone for its sender", async () => {
  const relay = await realRelay();
  const owner = await client(relay.port);
  const sender = await client(relay.port);
  const { id, to } = await queueOf(owner.hub);
  expect(await sender.hub.append(to, envelopeId(), blob(1))).toBe("ok");
  expect(await owner.hub.closeQueue(id)).toBe("ok");
  expect(await owner.hub.closeQueue(id)).toBe("ok");
  expect(await sender.hub.append(to, envelopeId(), blob(1))).toBe("gone");
});

it("learns of queues that a relay has lost, and makes them again", async () => {
  const data = await mkdtemp(join(tmpdir(), "sotto-hub-"));
  const first = await startRelay({ port: 0, circuit: false, data });
  const { port } = first;
  const owner = await client(port, acking);
  const { id } = await queueOf(owner.hub);
  await first.close();
  // The same key with an empty store: the disk was replaced, the key restored.
  for (const name of await readdir(data)) {
    if (/sqlite|\.db/.test(name)) await rm(join(data, name), { recursive: true });
  }
  await realRelay({ port, data });
  await until(() => owner.missing.length === 1);
  expect(owner.missing).toEqual([id]);
  const made = await owner.hub.makeQueue({ queueId: id, firstUse: entropy(16), ttlHours: 24 });
  expect(made.ok).toBe(true);
});

it("an orderly end of the relay says when to come back, and the hub does", async () => {
  const data = await mkdtemp(join(tmpdir(), "sotto-hub-"));
  const first = await startRelay({ port: 0, circuit: false, data });
  const { hub, states } = await client(first.port);
  const { port } = first;
  await first.close();
  await until(() => hub.state !== "online");
  await realRelay({ port, data });
  await until(() => hub.state === "online", 25_000);
  expect(states[0]).toBe("online");
  expect(states.at(-1)).toBe("online");
});

it("loses nothing of 1,000 messages and keeps their order while the relay is killed again and again", async () => {
  const data = await relayCommands.makeFolder();
  let place: RelayPlace = await relayCommands.startRelay(undefined, { data });
  cleanups.push(() => relayCommands.killRelay(undefined, place.pid));
  const port = Number(new URL(place.origin).port);
  const owner = await client(port, acking);
  const sender = await client(port);
  const { to } = await queueOf(owner.hub);
  const got: number[] = [];
  const seen = new Set<string>();
  const takeIn = (): void => {
    for (const delivery of owner.deliveries.splice(0)) {
      const key = bytesToHex(delivery.id);
      if (seen.has(key)) continue;
      seen.add(key);
      got.push(numberOf(delivery.blob));
    }
  };

  let waiting = Array.from({ length: 1_000 }, (_, n) => ({ id: envelopeId(), n }));
  const killAt = [150, 400, 700];
  let lost = 0;
  while (waiting.length > 0) {
    await until(() => sender.hub.state === "online", 25_000);
    const batch = waiting.slice(0, 100);
    const outcomes = Promise.all(batch.map(({ id, n }) => sender.hub.append(to, id, blob(n))));
    if (1_000 - waiting.length >= (killAt[0] ?? Number.POSITIVE_INFINITY)) {
      killAt.shift();
      await relayCommands.killRelay(undefined, place.pid);
      place = await relayCommands.startRelay(undefined, { data, port });
      // As a click on "try again" does it.
      owner.hub.retry();
      sender.hub.retry();
    }
    const results = await outcomes;
    lost += results.filter((outcome) => outcome === "lost").length;
    const open = new Set(batch.filter((_, index) => results[index] !== "ok"));
    waiting = waiting.filter((message) => open.has(message) || !batch.includes(message));
  }
  await until(() => {
    takeIn();
    return got.length === 1_000;
  }, 25_000);
  expect(got).toEqual(Array.from({ length: 1_000 }, (_, n) => n));
  expect(killAt).toEqual([]);
  expect(lost).toBeGreaterThan(0);
}, 90_000);

it("works for a queue where its place has used up its own, while everything else goes on", async () => {
  const relay = await realRelay({ queueBurst: 1, workQueues: 1, trustProxy: true });
  const owner = await client(relay.port, { ...acking, WebSocket: asElsewhere });
  const sender = await client(relay.port);
  const first = await queueOf(owner.hub);
  const second = queueOf(owner.hub);
  expect(await sender.hub.append(first.to, envelopeId(), blob(1))).toBe("ok");
  await until(() => owner.deliveries.length === 1);
  expect((await second).id).toBeDefined();
  expect(relay.counters()).toMatchObject({ "told-work": 1 });
  const beyond = { queueId: queueId(), firstUse: entropy(16), ttlHours: 1 };
  expect(await owner.hub.makeQueue(beyond)).toEqual({ ok: false, reason: "quota" });
});
