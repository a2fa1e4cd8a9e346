/** Every limit of the loop, at it and one past it, with real sessions over a real relay. */
import { accountIdOf, deriveInviteKeys, sha256 } from "@sotto/crypto";
import { nodeBackend } from "@sotto/engines/node";
import type { CommitResult, PostRow, Store } from "@sotto/protocol";
import { POSTS, samplePost } from "@sotto/storage/acceptance";
import { createMemoryStore } from "@sotto/storage/memory";
import { createHub, type HubEvents, realTimers } from "@sotto/transport";
import { bytesToHex, HUB_PATH, RELAY_PIN_BYTES } from "@sotto/wire";
import { startRelay } from "sotto-relay";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createDirectLinks } from "#src/direct-links.ts";
import { createLane, LANE_DIRECT_MAX, LANE_OTHERS_MAX, LANE_TASKS_MAX } from "#src/lane.ts";
import { loadOrCreateSelf } from "#src/self.ts";
import {
  CONFLICTS_MAX,
  PARKED_POSTS_MAX,
  REFUSED_FRAMES_MAX,
  type Shell,
  startShell,
} from "#src/shell.ts";
import { openTestMessenger } from "./support.ts";

let relay: Awaited<ReturnType<typeof startRelay>>;
const cleanups: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  relay = await startRelay({ port: 0 });
});
afterAll(() => relay.close());
afterEach(async () => {
  await Promise.all(cleanups.splice(0).map((cleanup) => cleanup()));
});

const entropy = (length: number): Uint8Array<ArrayBuffer> =>
  crypto.getRandomValues(new Uint8Array(length));
const newId = (): string => bytesToHex(entropy(16));
const OK: CommitResult = { ok: true };

/** A store whose commits can be held back, or answered with something else. */
function createTestStore(posts: readonly PostRow[] = []) {
  const memory = createMemoryStore();
  let gate: Promise<void> | undefined;
  let open: (() => void) | undefined;
  const refusals: CommitResult[] = [];
  const store: Store = {
    ...memory,
    loadAll: async () => ({ ...(await memory.loadAll()), posts }),
    async commit(change) {
      await gate;
      return refusals.pop() ?? memory.commit(change);
    },
  };
  return {
    store,
    refusals,
    hold: (): void => {
      const held = Promise.withResolvers<void>();
      [gate, open] = [held.promise, held.resolve];
    },
    release: (): void => {
      gate = undefined;
      open?.();
    },
  };
}

interface Person {
  readonly shell: Shell;
  /** What the relay hands over, and what more a lying one could. */
  readonly deliveries: Parameters<HubEvents["deliver"]>[0][];
  readonly deliver: HubEvents["deliver"];
  /** Sequences that were acknowledged at the relay. */
  readonly acknowledged: bigint[];
}

async function person(name: string, store: Store = createMemoryStore()): Promise<Person> {
  const self = await loadOrCreateSelf(
    store,
    { name },
    { entropy, crypto: nodeBackend, now: Date.now() },
    [relay.url],
  );
  const deliveries: Person["deliveries"] = [];
  const acknowledged: bigint[] = [];
  let deliver: HubEvents["deliver"] | undefined;
  const shell = await startShell({
    store,
    self,
    crypto: nodeBackend,
    entropy,
    now: Date.now,
    timers: realTimers,
    createHub({ relayKey, readerSecret }, events) {
      deliver = (delivery) => events.deliver(delivery);
      const hub = createHub({
        url: relay.url.replace(/^http/, "ws") + HUB_PATH,
        relayKey,
        readerSecret,
        crypto: nodeBackend,
        entropy,
        events: {
          ...events,
          deliver(delivery) {
            deliveries.push(delivery);
            events.deliver(delivery);
          },
        },
      });
      const ack = hub.ack.bind(hub);
      return Object.defineProperty(hub, "ack", {
        value: (...[queueId, sequence]: Parameters<typeof hub.ack>) => {
          acknowledged.push(sequence);
          ack(queueId, sequence);
        },
      });
    },
    createDirectLinks: (own) =>
      createDirectLinks({
        load: undefined,
        ice: { isPossible: () => Promise.resolve(false), reset: () => undefined },
        feed: (id, input) => own.drive(id, input),
        roundTrip: () => undefined,
        isWanted: () => false,
        timers: realTimers,
      }),
    changed: () => undefined,
  });
  cleanups.push(() => shell.close());
  shell.relays.start();
  return {
    shell,
    deliveries,
    acknowledged,
    deliver: (delivery) => deliver?.(delivery),
  };
}

const entryOf = ({ shell }: Person) => {
  const [found] = shell.entries;
  if (found === undefined) throw new Error("no conversation");
  return { id: found[0], entry: found[1] };
};

const until = (test: () => unknown): Promise<void> =>
  expect.poll(async () => test(), { timeout: 20_000, interval: 5 }).toBeTruthy();

/** Nothing waits in the lane of the one conversation. */
const untilIdle = (one: Person): Promise<void> =>
  until(() => entryOf(one).entry.lane.waiting === 0);

async function meet(inviter: Person, invitee: Person): Promise<void> {
  const id = newId();
  await inviter.shell.begin(id, { kind: "start-invite", id, expiresAt: Date.now() + 3_600_000 });
  const peerOf = (one: Person) => entryOf(one).entry.slice.conversation?.peer;
  const invite = () => {
    const peer = peerOf(inviter);
    return peer?.state === "invited" && peer.invite.published ? peer.invite : undefined;
  };
  await until(invite);
  const seed = invite()?.seed ?? entropy(16);
  const { linkId } = deriveInviteKeys(seed);
  const relayPin = sha256(relay.relayKey).slice(0, RELAY_PIN_BYTES);
  const offer = await invitee.shell.relays.fetchOffer({ linkId, relayPin, origin: undefined });
  if (!offer.ok) throw new Error(offer.reason);
  const accountId = accountIdOf(inviter.shell.self.cert.rootKey);
  const accepting = newId();
  const accepted: Parameters<Shell["begin"]>[1] = {
    kind: "start-accept",
    id: accepting,
    invite: { seed, accountId, relayPin: new Uint8Array(16) },
    blob: offer.blob,
  };
  await invitee.shell.begin(accepting, accepted);
  await until(() => peerOf(inviter)?.state === "open");
  await until(() => entryOf(invitee).entry.slice.outbox.length === 0);
}

describe("a lane", () => {
  it(`holds ${LANE_TASKS_MAX} tasks, and refuses one more in the words of this package`, async () => {
    const lane = createLane();
    const held = Promise.withResolvers<void>();
    const tasks = Array.from({ length: LANE_TASKS_MAX }, () => lane.run(() => held.promise));
    expect(lane.waiting).toBe(LANE_TASKS_MAX);
    await expect(lane.run(() => held.promise)).rejects.toMatchObject({
      name: "MessengerError",
      code: "limit",
    });
    held.resolve();
    await Promise.all(tasks);
    expect(await lane.run(() => Promise.resolve("again"))).toBe("again");
  });

  it(`takes direct frames up to ${LANE_DIRECT_MAX} tasks, others and requests up to ${LANE_OTHERS_MAX}, own events beyond`, async () => {
    const { store, hold, release } = createTestStore();
    const [alice, bob] = [await person("Alice", store), await person("Bob")];
    await meet(alice, bob);
    const [hello] = alice.deliveries;
    if (hello === undefined) throw new Error("nothing came");
    const { id, entry } = entryOf(alice);
    const send = (): ReturnType<Shell["feed"]> =>
      alice.shell.feed(id, { kind: "send-text", id: newId(), text: "held" });
    await untilIdle(alice);
    const before = new Map(alice.shell.dropped);
    const countOf = (reason: "malformed" | "outbox-full"): number =>
      (alice.shell.dropped.get(reason) ?? 0) - (before.get(reason) ?? 0);
    hold();
    const first = send();
    let sequence = hello.sequence;
    const deliver = (): void =>
      alice.deliver({ ...hello, sequence: (sequence += 1_000n), blob: Uint8Array.of(0xff) });
    const direct = (): ReturnType<Shell["feed"]> =>
      alice.shell.feed(id, {
        kind: "frame",
        blob: Uint8Array.of(0xff),
        source: { path: "direct" },
      });
    while (entry.lane.waiting < LANE_DIRECT_MAX) void direct();
    expect(countOf("outbox-full")).toBe(0);
    expect(await direct()).toEqual({ commit: OK, dropped: ["outbox-full"] });
    expect(countOf("outbox-full")).toBe(1);
    before.set("outbox-full", (before.get("outbox-full") ?? 0) + 1);
    for (let count = entry.lane.waiting; count < LANE_OTHERS_MAX; count++) deliver();
    expect(countOf("outbox-full")).toBe(0);
    deliver();
    expect(countOf("outbox-full")).toBe(1);
    expect(await send()).toEqual({ commit: OK, dropped: ["outbox-full"] });
    expect(entry.lane.waiting).toBe(LANE_OTHERS_MAX);
    const own = alice.shell.feed(id, { kind: "wake" });
    expect(entry.lane.waiting).toBe(LANE_OTHERS_MAX + 1);
    release();
    expect(await first).toEqual({ commit: OK, dropped: [] });
    expect(await own).toEqual({ commit: OK, dropped: [] });
    expect(countOf("malformed")).toBe(LANE_OTHERS_MAX - 1);
    expect(alice.shell.faults).toBe(0);
  });

  it("that is full does not keep the messenger from closing", async () => {
    const { store, hold, release } = createTestStore();
    const [alice, bob] = [await person("Alice", store), await person("Bob")];
    await meet(alice, bob);
    const { id, entry } = entryOf(alice);
    hold();
    const text = alice.shell.feed(id, { kind: "send-text", id: newId(), text: "held" });
    while (entry.lane.waiting < LANE_TASKS_MAX) alice.shell.drive(id, { kind: "wake" });
    const closing = alice.shell.close();
    release();
    await text;
    await closing;
    expect(alice.shell.faults).toBe(1);
  });

  it("that is full is a limit to whoever writes, and takes more once it has room", async () => {
    const { store, hold, release } = createTestStore();
    const messenger = await openTestMessenger({ relayUrl: relay.url, name: "Alice", store });
    cleanups.push(() => messenger.close());
    const notes = messenger.conversation(messenger.conversations.value[0]?.id ?? "");
    if (notes === undefined) throw new Error("no notes");
    hold();
    const beyond = 16;
    const sends = Array.from({ length: LANE_OTHERS_MAX + beyond }, (_, at) => notes.send(`${at}`));
    await Promise.any(sends.map(invert));
    release();
    const settled = await Promise.allSettled(sends);
    const refusals = settled.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
    expect(refusals.length).toBeGreaterThanOrEqual(beyond);
    for (const refusal of refusals) {
      expect(refusal).toMatchObject({ name: "MessengerError", code: "limit" });
    }
    await notes.send("there is room again");
  });
});

/** Resolves with the reason where `promise` rejects. */
const invert = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => Promise.reject(new Error("done")),
    (reason: unknown) => reason,
  );

describe("a full disk", () => {
  it(`keeps ${REFUSED_FRAMES_MAX} deliveries for later, and leaves one more to the relay`, async () => {
    let full = false;
    const store = createMemoryStore({ fail: () => (full ? "full" : undefined) });
    const [alice, bob] = [await person("Alice", store), await person("Bob")];
    await meet(alice, bob);
    await untilIdle(alice);
    const known = alice.deliveries.length;
    full = true;
    const { id, entry } = entryOf(alice);
    const to = entryOf(bob).id;
    await bob.shell.feed(to, { kind: "send-text", id: newId(), text: "no room" });
    await until(() => entry.refusedFrames.size === 1);
    const text = alice.deliveries[known];
    if (text === undefined) throw new Error("nothing came");
    // Over again, as only a relay would that lies: each is a delivery of its own, to be acknowledged.
    const sequences = Array.from(
      { length: REFUSED_FRAMES_MAX },
      (_, at) => text.sequence + 1_000n + BigInt(at),
    );
    for (const sequence of sequences.slice(0, -1)) alice.deliver({ ...text, sequence });
    await untilIdle(alice);
    expect(entry.refusedFrames.size).toBe(REFUSED_FRAMES_MAX);
    alice.deliver({ ...text, sequence: sequences.at(-1) ?? 0n });
    await untilIdle(alice);
    expect(entry.refusedFrames.size).toBe(REFUSED_FRAMES_MAX);
    full = false;
    await alice.shell.changeSelf({});
    await until(() => alice.acknowledged.includes(sequences.at(-2) ?? 0n));
    await untilIdle(alice);
    expect(sequences.filter((one) => !alice.acknowledged.includes(one))).toEqual(
      sequences.slice(-1),
    );
    const { rows } = await store.messages(id, { limit: 10 });
    expect(rows.map((row) => row.text)).toEqual(["no room"]);
  });
});

describe("a commit", () => {
  it.each([
    [CONFLICTS_MAX, OK],
    [CONFLICTS_MAX + 1, { ok: false, reason: "conflict" }],
  ] as const)(
    "that another writer was faster than %d times ends with %j",
    async (times, commit) => {
      const { store, refusals } = createTestStore();
      const alice = await person("Alice", store);
      const id = newId();
      await alice.shell.begin(id, { kind: "start-notes", id });
      await untilIdle(alice);
      refusals.push(
        ...Array.from({ length: times }, () => ({ ok: false, reason: "conflict" }) as const),
      );
      const fed = await alice.shell.feed(id, { kind: "send-text", id: newId(), text: "mine" });
      expect(fed).toEqual({ commit, dropped: [] });
      expect(refusals).toEqual([]);
    },
  );
});

describe("posts for accounts that nobody is known of", () => {
  it(`wait in memory, at most ${PARKED_POSTS_MAX}, and one more in the store alone`, async () => {
    const [post] = POSTS;
    if (post === undefined) throw new Error("no post");
    const beyond = 2;
    const posts = Array.from({ length: PARKED_POSTS_MAX + beyond }, (_, at) => ({
      ...samplePost("a", at, post),
      to: `account:${"ab".repeat(32)}`,
    }));
    const { store } = createTestStore(posts);
    const alice = await person("Alice", store);
    const refused = (): number => alice.shell.dropped.get("outbox-full") ?? 0;
    await until(() => refused() === beyond);
    // They are taken one after another: nothing is left that could be refused, too.
    await new Promise(setImmediate);
    expect(refused()).toBe(beyond);
    expect(alice.shell.faults).toBe(0);
  });
});
