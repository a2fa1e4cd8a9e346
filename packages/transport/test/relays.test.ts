import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nobleBackend, sha256 } from "@sotto/crypto";
import {
  createHub,
  createRelays,
  FAILOVER_MS,
  FOREIGN_IDLE_MS,
  FOREIGN_RELAYS_MAX,
  type Hub,
  realTimers,
  REMAKE_REFUSED_MS,
  type RelayPlace,
  type Relays,
  RELAYS_MAX,
  type RelaysEvents,
  TAKEN_MAX,
  type Timers,
  TOGETHER_MS,
} from "@sotto/transport";
import {
  ADDRESSES_MAX,
  asEnvelopeId,
  asLinkId,
  asSendId,
  bytesToBase64Url,
  bytesToHex,
  HUB_PATH,
  type QueueAddress,
  type QueueId,
  RELAY_PIN_BYTES,
} from "@sotto/wire";
import { type Relay, startRelay } from "sotto-relay";
import { afterEach, expect, it, vi } from "vitest";
import { scriptedRelay } from "./scripted-relay.ts";
import { blob, entropy, envelopeId, manualTimers, numberOf, queueId } from "./hub-fixture.ts";
import { relayCommands } from "./relay-commands.ts";

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

const until = (condition: () => boolean, timeout = 15_000): Promise<unknown> =>
  vi.waitUntil(condition, { timeout, interval: 5 });

async function realRelay(options: Parameters<typeof startRelay>[0] = {}): Promise<Relay> {
  const relay = await startRelay({ port: 0, circuit: false, ...options });
  cleanups.push(() => relay.close());
  return relay;
}

const urlOf = (relay: Pick<Relay, "port">): string => `http://127.0.0.1:${relay.port}`;
const home = (url: string): RelayPlace => ({ url, key: undefined, derived: false });
const further = (url: string): RelayPlace => ({ url, key: undefined, derived: true });

interface Watched {
  readonly relays: Relays;
  /** As `made` said it last, by queue. */
  readonly addresses: Map<string, readonly QueueAddress[]>;
  /** How often `made` was said. */
  readonly told: { count: number };
  readonly deliveries: Parameters<RelaysEvents["deliver"]>[0][];
  readonly signals: Uint8Array[];
  /** Every hub that was opened, and where. */
  readonly hubs: { readonly url: string; readonly hub: Hub }[];
}

function client(
  places: readonly RelayPlace[],
  options: {
    readonly timers?: Timers;
    readonly readerSecret?: Uint8Array;
    readonly acks?: boolean;
  } = {},
): Watched {
  const addresses: Watched["addresses"] = new Map();
  const deliveries: Watched["deliveries"] = [];
  const signals: Uint8Array[] = [];
  const told = { count: 0 };
  const hubs: Watched["hubs"] = [];
  const relays = createRelays({
    places,
    readerSecret: options.readerSecret ?? entropy(32),
    entropy,
    timers: options.timers ?? realTimers,
    openRelay({ url, relayKey, readerSecret }, events) {
      const hubUrl = url.replace(/^http/, "ws") + HUB_PATH;
      const parts = { relayKey, readerSecret, crypto: nobleBackend, entropy, events };
      const hub = createHub({ url: hubUrl, ...parts });
      hubs.push({ url, hub });
      return hub;
    },
    events: {
      changed: () => undefined,
      places: () => undefined,
      made(id, where) {
        told.count++;
        addresses.set(bytesToHex(id), where);
      },
      deliver(delivery) {
        deliveries.push(delivery);
        if (options.acks ?? true) relays.ack(delivery.queueId, delivery.sequence);
      },
      signalled: (_, bytes) => signals.push(bytes),
    },
  });
  cleanups.push(() => relays.close());
  relays.start();
  return { relays, addresses, told, deliveries, signals, hubs };
}

interface Mailbox {
  readonly id: QueueId;
  readonly firstUse: Uint8Array;
}

function keep(owner: Watched, addresses: readonly QueueAddress[] = [], box?: Mailbox): Mailbox {
  const { id, firstUse } = box ?? { id: queueId(), firstUse: entropy(16) };
  owner.relays.keepQueues([{ queueId: id, firstUse, ttlHours: 24, addresses }]);
  return { id, firstUse };
}

async function madeAt(owner: Watched, { id }: Mailbox, relays: number): Promise<QueueAddress[]> {
  const where = (): readonly QueueAddress[] => owner.addresses.get(bytesToHex(id)) ?? [];
  await until(() => where().length === relays);
  return [...where()];
}

const envelope = (n: number, id = envelopeId(), copy = false) => ({ id, blob: blob(n), copy });
const numbersOf = (watched: Watched): number[] => [
  ...new Set(watched.deliveries.map((one) => numberOf(one.blob))),
];
const messagesAt = (relay: Relay): number => relay.stats().messages;

it("keeps a queue at two relays, at each under names of its own", async () => {
  const [first, second] = [await realRelay(), await realRelay()];
  const readerSecret = entropy(32);
  const owner = client([home(urlOf(first)), further(urlOf(second))], { readerSecret });
  const box = keep(owner);
  const [one, two] = await madeAt(owner, box, 2);
  expect([one?.relayKey, two?.relayKey]).toEqual([first.relayKey, second.relayKey]);
  // Both together: a contact is told of it once.
  expect(owner.told.count).toBe(1);
  expect(one?.firstUse).toEqual(box.firstUse);
  expect(two?.firstUse).not.toEqual(box.firstUse);
  // The second relay has neither the reader key nor the queue of the first: there, both would be somebody else's.
  const stranger = createHub({
    url: `ws://127.0.0.1:${second.port}${HUB_PATH}`,
    relayKey: undefined,
    readerSecret,
    crypto: nobleBackend,
    entropy,
    events: {
      state: () => undefined,
      relayKey: () => undefined,
      deliver: () => undefined,
      signalled: () => undefined,
      drained: () => undefined,
      missing: (id) => missing.push(id),
    },
  });
  const missing: Uint8Array[] = [];
  cleanups.push(() => stranger.close());
  stranger.openQueues([box.id]);
  stranger.start();
  await until(() => missing.length === 1);
});

it("loses nothing and doubles nothing for good when each of two relays is killed in turn", async () => {
  const folders = [await relayCommands.makeFolder(), await relayCommands.makeFolder()];
  const places = await Promise.all(
    folders.map((data) => relayCommands.startRelay(undefined, { data })),
  );
  const [first, second] = places;
  if (first === undefined || second === undefined) throw new Error("two relays");
  const pids = new Set([first.pid, second.pid]);
  cleanups.push(async () => {
    for (const pid of pids) await relayCommands.killRelay(undefined, pid);
  });
  const owner = client([home(first.origin), further(second.origin)]);
  const sender = client([home(first.origin), further(second.origin)]);
  const addresses = await madeAt(owner, keep(owner), 2);
  const to = { addresses, sendSecret: entropy(32) };
  const ids = Array.from({ length: 90 }, () => envelopeId());
  const outcomes: string[] = [];
  const send = async (from: number, end: number): Promise<void> => {
    const sent = ids
      .slice(from, end)
      .map((id, at) => sender.relays.append(to, envelope(from + at, id)));
    outcomes.push(...(await Promise.all(sent)));
  };
  await until(() => sender.relays.relays.every(({ state }) => state === "online"));
  await send(0, 20);
  const during = send(20, 40);
  await relayCommands.killRelay(undefined, first.pid);
  await during;
  await send(40, 50);
  const port = Number(new URL(first.origin).port);
  const again = await relayCommands.startRelay(undefined, { data: folders[0] ?? "", port });
  pids.add(again.pid);
  owner.relays.retry();
  sender.relays.retry();
  const bothUp = (): boolean =>
    [owner, sender].every((one) => one.relays.relays.every(({ state }) => state === "online"));
  await until(bothUp);
  await relayCommands.killRelay(undefined, second.pid);
  await send(50, 90);
  expect(outcomes).toEqual(Array.from({ length: 90 }, () => "ok"));
  await until(() => numbersOf(owner).length === 90);
  expect(numbersOf(owner).toSorted((a, b) => a - b)).toEqual(Array.from(ids.keys()));
  const sequences = owner.deliveries.map((one) => one.sequence);
  expect(new Set(sequences).size).toBe(sequences.length);
  expect(owner.relays.state).toBe("online");
}, 40_000);

it("asks the next relay when one says nothing, and asks that one first from then on", async () => {
  const [first, second] = [await realRelay(), await realRelay()];
  const proxy = await relayCommands.startProxy(undefined, urlOf(first));
  cleanups.push(() => relayCommands.stopProxy(undefined, proxy));
  const owner = client([home(urlOf(first)), further(urlOf(second))]);
  const addresses = await madeAt(owner, keep(owner), 2);
  const timers = manualTimers();
  const sender = client([home(proxy), further(urlOf(second))], { timers });
  await until(() => sender.relays.relays.every(({ state }) => state === "online"));
  const to = { addresses, sendSecret: entropy(32) };
  expect(await sender.relays.append(to, envelope(1))).toBe("ok");
  expect(messagesAt(second)).toBe(0);
  await relayCommands.muteProxy(undefined, proxy);
  const waiting = sender.relays.append(to, envelope(2));
  timers.advance(FAILOVER_MS - 1);
  const isOpen = Symbol("open");
  expect(await Promise.race([waiting, Promise.resolve(isOpen)])).toBe(isOpen);
  timers.advance(1);
  expect(await waiting).toBe("ok");
  // No time passes here any more: whoever had asked the silent one first would wait for ever.
  expect(await sender.relays.append(to, envelope(3))).toBe("ok");
  await until(() => numbersOf(owner).length === 3);
});

it("makes queues at a relay that was away, and again at one that lost them", async () => {
  const data = await mkdtemp(join(tmpdir(), "sotto-relays-"));
  const first = await realRelay();
  const away = await startRelay({ port: 0, circuit: false, data });
  const { port } = away;
  await away.close();
  const owner = client([home(urlOf(first)), further(urlOf({ port }))]);
  const box = keep(owner);
  await madeAt(owner, box, 1);
  const back = await startRelay({ port, circuit: false, data });
  owner.relays.retry();
  const addresses = await madeAt(owner, box, 2);
  await back.close();
  for (const name of await readdir(data)) {
    if (/sqlite|\.db/.test(name)) await rm(join(data, name), { recursive: true });
  }
  owner.addresses.clear();
  await realRelay({ port, data });
  owner.relays.retry();
  // The same place as before, and said again: what was published there is gone.
  expect(await madeAt(owner, box, 2)).toEqual(addresses);
  const sender = client([home(urlOf({ port }))]);
  const to = { addresses: addresses.slice(1), sendSecret: entropy(32) };
  expect(await sender.relays.append(to, envelope(7))).toBe("ok");
  await until(() => owner.deliveries.length === 1);
}, 40_000);

it("tells of the relays that made a queue when another one takes its time, and asks a full one again", async () => {
  const first = await realRelay();
  const full = await realRelay({ maxQueues: 1 });
  const other = client([home(urlOf(full))]);
  const taking = keep(other);
  await madeAt(other, taking, 1);
  const silent = createServer();
  silent.listen(0, "127.0.0.1");
  await once(silent, "listening");
  cleanups.push(async () => void silent.close());
  const address = silent.address();
  const timers = manualTimers();
  const places = [
    home(urlOf(first)),
    further(urlOf(full)),
    further(urlOf({ port: typeof address === "object" ? (address?.port ?? 0) : 0 })),
  ];
  const owner = client(places, { timers });
  const box = keep(owner);
  await until(() => owner.relays.relays.filter(({ state }) => state === "online").length === 2);
  // Refused at the one, not answered by the other.
  await until(() => timers.pending === 2);
  timers.advance(TOGETHER_MS);
  expect(owner.addresses.get(bytesToHex(box.id))).toHaveLength(1);
  other.relays.closeQueue(taking.id);
  await until(() => full.stats().queues === 0);
  timers.advance(REMAKE_REFUSED_MS);
  await until(() => full.stats().queues === 1);
  timers.advance(TOGETHER_MS);
  await madeAt(owner, box, 2);
});

it("finds what waited at both relays after a restart, and acknowledges each to its own", async () => {
  const [first, second] = [await realRelay(), await realRelay()];
  const places = [home(urlOf(first)), further(urlOf(second))];
  const readerSecret = entropy(32);
  const before = client(places, { readerSecret });
  const box = keep(before);
  const addresses = await madeAt(before, box, 2);
  const stored = before.relays.places;
  await before.relays.close();
  const sender = client([home(urlOf(first))]);
  const sendSecret = entropy(32);
  for (const [n, address] of addresses.entries()) {
    expect(await sender.relays.append({ addresses: [address], sendSecret }, envelope(n))).toBe(
      "ok",
    );
  }
  expect([messagesAt(first), messagesAt(second)]).toEqual([1, 1]);
  const after = client(stored, { readerSecret });
  keep(after, addresses, box);
  await until(() => after.deliveries.length === 2);
  await until(() => messagesAt(first) + messagesAt(second) === 0);
  // Nothing is new about where it is read.
  expect(after.addresses.size).toBe(0);
});

it("says gone only when every relay does", async () => {
  const [first, second] = [await realRelay(), await realRelay()];
  const owner = client([home(urlOf(first)), further(urlOf(second))]);
  const box = keep(owner);
  const addresses = await madeAt(owner, box, 2);
  const to = { addresses, sendSecret: entropy(32) };
  const sender = client([home(urlOf(second))]);
  await until(() => sender.relays.state === "online");
  expect(await sender.relays.append(to, envelope(1))).toBe("ok");
  const intruder = { addresses, sendSecret: entropy(32) };
  // The sender is known at the second relay only, which it was connected to.
  expect(
    await sender.relays.append({ ...intruder, addresses: addresses.slice(1) }, envelope(2)),
  ).toBe("gone");
  const atFirst = { ...to, addresses: addresses.slice(0, 1) };
  expect(await sender.relays.append(atFirst, envelope(3))).toBe("ok");
  expect(await sender.relays.append(intruder, envelope(4))).toBe("gone");
  await owner.relays.close();
  await vi.waitFor(async () => expect(await sender.relays.signal(to, blob(5))).toBe("away"), {
    timeout: 10_000,
  });
  await first.close();
  expect(await sender.relays.append(intruder, envelope(6))).toBe("lost");
});

it("signals to wherever somebody reads", async () => {
  const [first, second] = [await realRelay(), await realRelay()];
  const readerSecret = entropy(32);
  const owner = client([home(urlOf(first)), further(urlOf(second))], { readerSecret });
  const box = keep(owner);
  const addresses = await madeAt(owner, box, 2);
  const stored = owner.relays.places;
  await owner.relays.close();
  const to = { addresses, sendSecret: entropy(32) };
  const sender = client([home(urlOf(first))]);
  await until(() => sender.relays.state === "online");
  const onlySecond = client(stored.slice(1), { readerSecret });
  keep(onlySecond, addresses, box);
  await until(() => onlySecond.relays.state === "online");
  await vi.waitFor(async () => expect(await sender.relays.signal(to, blob(3))).toBe("ok"), {
    timeout: 10_000,
  });
  await until(() => onlySecond.signals.length > 0);
});

it("sends a copy to another relay than the one that has it, and remembers which for TAKEN_MAX", async () => {
  const [first, second] = [await realRelay(), await realRelay()];
  const owner = client([home(urlOf(first)), further(urlOf(second))], { acks: false });
  const addresses = await madeAt(owner, keep(owner), 2);
  const sendSecret = entropy(32);
  const to = { addresses, sendSecret };
  const sender = client([further(urlOf(second))]);
  await until(() => sender.relays.state === "online");
  // Connected to the second: that one takes it.
  const id = envelopeId();
  expect(await sender.relays.append(to, envelope(1, id))).toBe("ok");
  expect([messagesAt(first), messagesAt(second)]).toEqual([0, 1]);
  expect(await sender.relays.append(to, envelope(1, id, true))).toBe("ok");
  expect([messagesAt(first), messagesAt(second)]).toEqual([1, 1]);
  // There is no other.
  const alone = { addresses: addresses.slice(1), sendSecret };
  expect(await sender.relays.append(alone, envelope(1, id, true))).toBe("ok");
  expect([messagesAt(first), messagesAt(second)]).toEqual([1, 1]);
});

it("sends a copy to the relay that has none also when an earlier process gave it to the other", async () => {
  const [first, second] = [await realRelay(), await realRelay()];
  const owner = client([home(urlOf(first)), further(urlOf(second))], { acks: false });
  const to = { addresses: await madeAt(owner, keep(owner), 2), sendSecret: entropy(32) };
  const places = [further(urlOf(second))];
  const before = client(places);
  await until(() => before.relays.state === "online");
  const id = envelopeId();
  expect(await before.relays.append(to, envelope(1, id))).toBe("ok");
  expect([messagesAt(first), messagesAt(second)]).toEqual([0, 1]);
  await before.relays.close();
  await second.close();
  const after = client(places);
  expect(await after.relays.append(to, envelope(1, id, true))).toBe("lost");
  expect(messagesAt(first)).toBe(1);
});

it.each([
  ["at the limit", TAKEN_MAX - 1, [1, 0]],
  ["one past it, it goes to both", TAKEN_MAX, [1, 1]],
])("remembers what went where: %s", async (_, others, expected) => {
  const appended: string[] = [];
  const hubs: Hub[] = [];
  const relays = createRelays({
    places: ["a", "b"].map((name) => ({
      url: `https://${name}.example`,
      key: new Uint8Array(32).fill(name.charCodeAt(0)),
      derived: true,
    })),
    readerSecret: entropy(32),
    entropy,
    timers: manualTimers(),
    openRelay({ url }, events) {
      const hub = createHub({
        url: `${url.replace(/^http/, "ws")}/hub`,
        relayKey: undefined,
        readerSecret: entropy(32),
        crypto: nobleBackend,
        entropy,
        events,
      });
      hubs.push(hub);
      // What the relay would answer: thousands of envelopes are not what this is about.
      return Object.defineProperties(hub, {
        state: { get: () => "online" },
        append: {
          value: (_target: unknown, envelopeId: Uint8Array) => {
            if (numberOf(envelopeId) === 0) appended.push(url);
            return Promise.resolve("ok");
          },
        },
      });
    },
    events: {
      changed: () => undefined,
      places: () => undefined,
      made: () => undefined,
      deliver: () => undefined,
      signalled: () => undefined,
    },
  });
  // The addresses name the second relay first; the envelope was taken while only the first was among them.
  const [a, b] = relays.places.map(({ url, key }): QueueAddress => ({
    relayUrl: url,
    relayKey: key ?? entropy(32),
    sendId: target.sendId,
    firstUse: entropy(16),
  }));
  if (a === undefined || b === undefined) throw new Error("two relays");
  const sendSecret = entropy(32);
  const idOf = (n: number) => {
    const bytes = new Uint8Array(16);
    new DataView(bytes.buffer).setUint32(0, n);
    return asEnvelopeId(bytes);
  };
  const only = { addresses: [a], sendSecret };
  for (let n = 0; n <= others; n++) await relays.append(only, envelope(n, idOf(n)));
  appended.length = 0;
  await relays.append({ addresses: [b, a], sendSecret }, envelope(0, idOf(0), true));
  expect([appended.includes("https://b.example"), appended.includes("https://a.example")]).toEqual(
    expected.map(Boolean),
  );
  await relays.close();
});
const target = { sendId: queueId() as unknown as QueueAddress["sendId"] };

it("connects to others' relays as needed, at most so many, and not for longer than needed", async () => {
  const timers = manualTimers();
  const own = await realRelay();
  const sender = client([home(urlOf(own))], { timers });
  const others = await Promise.all(
    Array.from({ length: FOREIGN_RELAYS_MAX + 1 }, () => realRelay()),
  );
  const recipients = await Promise.all(
    others.map(async (relay) => {
      const owner = client([home(urlOf(relay))]);
      return { addresses: await madeAt(owner, keep(owner), 1), sendSecret: entropy(32) };
    }),
  );
  const open = (): number => others.filter((relay) => relay.stats().connections > 1).length;
  const send = (at: number): Promise<string> => {
    const to = recipients[at];
    return to === undefined ? Promise.resolve("") : sender.relays.append(to, envelope(at));
  };
  for (let at = 0; at < FOREIGN_RELAYS_MAX; at++) expect(await send(at)).toBe("ok");
  expect(open()).toBe(FOREIGN_RELAYS_MAX);
  // The first is used again, so the second is the one that gives way.
  expect(await send(0)).toBe("ok");
  expect(await send(FOREIGN_RELAYS_MAX)).toBe("ok");
  await until(() => open() === FOREIGN_RELAYS_MAX);
  expect(others.map((relay) => relay.stats().connections > 1)[1]).toBe(false);
  expect(sender.hubs).toHaveLength(1 + FOREIGN_RELAYS_MAX + 1);
  timers.advance(FOREIGN_IDLE_MS - 1);
  expect(await send(0)).toBe("ok");
  timers.advance(1);
  await until(() => open() === 1);
  // All in use at once: none gives way, and one more has no place.
  const all = await Promise.all(recipients.map((_, at) => send(at)));
  expect(all.filter((outcome) => outcome === "ok")).toHaveLength(FOREIGN_RELAYS_MAX);
  expect(all.filter((outcome) => outcome === "lost")).toHaveLength(1);
}, 30_000);

it("knocks at no door of its own machine because a contact says so", async () => {
  const local = await realRelay();
  const owner = client([home(urlOf(local))]);
  const addresses = await madeAt(owner, keep(owner), 1);
  const sender = client([home("https://relay.invalid")]);
  const to = { addresses, sendSecret: entropy(32) };
  expect(await sender.relays.append(to, envelope(1))).toBe("lost");
  const offer = { linkId: asLinkId(entropy(24)), relayPin: new Uint8Array(RELAY_PIN_BYTES) };
  expect(await sender.relays.fetchOffer({ ...offer, origin: urlOf(local) })).toEqual({
    ok: false,
    reason: "other-relay",
  });
  expect(sender.hubs.map(({ url }) => url)).toEqual(["https://relay.invalid"]);
});

it("adds relays up to RELAYS_MAX and removes all but one, with the queues there", async () => {
  expect(RELAYS_MAX).toBe(ADDRESSES_MAX);
  const relays = await Promise.all(Array.from({ length: RELAYS_MAX + 1 }, () => realRelay()));
  const urls = relays.map(urlOf);
  const [first = "", ...more] = urls;
  const owner = client([home(first)]);
  const box = keep(owner);
  await madeAt(owner, box, 1);
  expect(more.map((url) => owner.relays.add(url))).toEqual([true, true, false]);
  expect(owner.relays.add(first)).toBe(false);
  const addresses = await madeAt(owner, box, RELAYS_MAX);
  expect(owner.relays.remove(first)).toBe(true);
  expect(owner.relays.remove(first)).toBe(false);
  expect(await madeAt(owner, box, RELAYS_MAX - 1)).toEqual(addresses.slice(1));
  await until(() => relays[0]?.stats().queues === 0);
  expect(owner.relays.remove(urls[1] ?? "")).toBe(true);
  expect(owner.relays.remove(urls[2] ?? "")).toBe(false);
  expect(owner.relays.places.map(({ url }) => url)).toEqual([urls[2]]);
  const places = urls.map(home);
  expect(() => client(places)).toThrow(RangeError);
  expect(() => client([])).toThrow(RangeError);
});

it("fetches an offer where the invite says, and from no other relay", async () => {
  const [first, second] = [await realRelay(), await realRelay()];
  const pinOf = (relay: Relay): Uint8Array => sha256(relay.relayKey).slice(0, RELAY_PIN_BYTES);
  const owner = client([home(urlOf(second))]);
  const box = keep(owner);
  await madeAt(owner, box, 1);
  const linkId = asLinkId(entropy(24));
  const offer = { queueId: box.id, linkId, blob: blob(1, 2_000) };
  expect(await owner.relays.publish(offer)).toBe("ok");
  const guest = client([home(urlOf(first))]);
  const at = { linkId, relayPin: pinOf(second) };
  const found = { ok: true, blob: blob(1, 2_000) };
  expect(await guest.relays.fetchOffer({ ...at, origin: urlOf(second) })).toEqual(found);
  expect(await owner.relays.fetchOffer({ ...at, origin: undefined })).toEqual(found);
  const other = { ok: false, reason: "other-relay" };
  expect(await guest.relays.fetchOffer({ ...at, origin: undefined })).toEqual(other);
  const wrong = { linkId, relayPin: new Uint8Array(RELAY_PIN_BYTES), origin: urlOf(second) };
  expect(await guest.relays.fetchOffer(wrong)).toEqual(other);
  // The same connection serves for writing to where the offer leads.
  expect(guest.hubs.filter(({ url }) => url === urlOf(second))).toHaveLength(2);
});

it("tells each relay with that key where to wake this device, with every connection, and the others that they shall not", async () => {
  const keyed = async (fill: number, seed: number) => {
    const pushKey = new Uint8Array(65).fill(fill).with(0, 4);
    const relay = await scriptedRelay({
      pushKey,
      seed: new Uint8Array(32).fill(seed),
      onFrame(visit, request, frame) {
        if (frame.type === "queue-new") {
          visit.send(request, { type: "queue", alias: 1, sendId: asSendId(entropy(24)) });
        }
        if (frame.type === "queue-open") {
          const queues = frame.queueIds.map(() => ({ alias: 1, backlog: 0 }));
          visit.send(request, { type: "queues", queues });
        }
        if (frame.type === "push-set") visit.send(request, { type: "ok" });
      },
    });
    cleanups.push(() => relay.close());
    return { relay, url: new URL(relay.url).origin.replace("ws", "http") };
  };
  const [one, two, silent] = [await keyed(1, 1), await keyed(2, 2), await realRelay()];
  const owner = client([home(one.url), further(two.url), further(urlOf(silent))]);
  const told = ({ relay }: typeof one): string[] =>
    relay.visits.flatMap((visit) => visit.of("push-set").map(({ endpoint }) => endpoint));
  await until(() => owner.relays.relays.every(({ state }) => state === "online"));
  const keys = owner.relays.relays.map(({ pushKey }) => pushKey);
  expect(keys.map((key) => key?.length)).toEqual([87, 87, undefined]);
  expect(keys[0]).toBe(bytesToBase64Url(new Uint8Array(65).fill(1).with(0, 4)));

  owner.relays.setPush({ endpoint: "https://push.example/1", pushKey: keys[0] ?? "" });
  // No mailbox yet, so nothing that would wake anybody.
  expect([told(one), told(two)]).toEqual([[], []]);
  const box = keep(owner);
  await madeAt(owner, box, 3);
  await until(() => told(one).length + told(two).length === 2);
  expect([told(one), told(two)]).toEqual([["https://push.example/1"], [""]]);

  one.relay.visits[0]?.cut();
  await until(() => told(one).length === 2);
  expect(told(one)[1]).toBe("https://push.example/1");
  owner.relays.setPush(null);
  await until(() => told(one).length >= 3 && told(two).length >= 2);
  // All that was ever said, so nothing before there was a mailbox.
  expect(told(one)).toEqual(["https://push.example/1", "https://push.example/1", ""]);
  expect(told(two)).toEqual(["", ""]);
});

it("reaches others whose relay may be there while the own one is not, and nobody at the own one alone", async () => {
  const [mine, theirs] = [await startRelay({ port: 0, circuit: false }), await realRelay()];
  const owner = client([home(urlOf(mine))]);
  const [own] = await madeAt(owner, keep(owner), 1);
  const other = client([home(urlOf(theirs))]);
  const [foreign] = await madeAt(other, keep(other), 1);
  if (own === undefined || foreign === undefined) throw new Error("not made");
  await mine.close();
  await until(() => owner.relays.state === "no-relay");
  const reaches = (...addresses: QueueAddress[]): boolean =>
    owner.relays.reaches({ addresses, sendSecret: entropy(32) });
  expect(reaches(own)).toBe(false);
  expect(reaches(foreign)).toBe(true);
  expect(reaches(own, foreign)).toBe(true);
  expect(reaches()).toBe(false);
  const to = { addresses: [own, foreign], sendSecret: entropy(32) };
  expect(await owner.relays.append(to, envelope(1))).toBe("ok");
  await until(() => other.deliveries.length === 1);
});
