import {
  createInviteBundle,
  createOwnDevice,
  encrypt,
  initiate,
  nobleBackend,
} from "@sotto/crypto";
import { asContentId, bytesToHex, decodeBundle, encodeContent, EnvelopeType } from "@sotto/wire";
import { describe, expect, it } from "vitest";
import {
  asKnown,
  BUNDLE_AGE_MS_MAX,
  CHANGE_KEPT_MS,
  HELD_FRAMES_MAX,
  HELLOS_SEEN_MAX,
  OVERTAKEN_MS,
  PLEA_PAUSE_MS,
  REPAIR_PATIENCE_MS,
  REPAIR_PAUSE_MS,
  SPARE_AGE_MS_MAX,
  SPARE_KEPT_MS,
  WAKE_MAX_MS,
} from "@sotto/protocol";
import {
  addressOf,
  carry,
  deliver,
  entropy,
  messageId,
  of,
  openPeerOf,
  paired,
  reasons,
  settle,
  type Side,
  START,
  wakeOf,
} from "./fixture.ts";

/** The ratchet of this side is gone or an old one; the rest of its store is as it was. */
function setSessions(side: Side, sessions: ReturnType<typeof openPeerOf>["sessions"]): void {
  const { conversation } = side.slice;
  if (conversation === undefined) throw new Error("no conversation");
  const peer = { ...openPeerOf(side), sessions };
  side.slice = { ...side.slice, conversation: { ...conversation, peer } };
}

function setSpares(side: Side, change: Partial<ReturnType<typeof openPeerOf>["spares"]>): void {
  const peer = openPeerOf(side);
  const spares = { ...peer.spares, ...change };
  const { conversation } = side.slice;
  side.slice = {
    ...side.slice,
    conversation: { ...conversation!, peer: { ...peer, spares } },
  };
}

async function wakeAfter(side: Side, ms: number): Promise<void> {
  side.now += ms;
  await side.feed({ kind: "wake" });
}

const countOf = (side: Side, text: string): number =>
  side.shown.filter((shown) => shown === text).length;

describe("spare bundles", () => {
  it("are with the other side once both have answered", async () => {
    const { alice, bob } = await paired();
    for (const side of [alice, bob]) {
      const { spares } = openPeerOf(side);
      expect(spares.own).toHaveLength(1);
      expect(spares.theirs).toBeDefined();
    }
    const theirs = openPeerOf(bob).spares.theirs?.bundle ?? new Uint8Array(0);
    const decoded = decodeBundle(theirs);
    expect(decoded.ok && decoded.value.cert).toEqual(alice.self.cert);
  });

  it("are replaced after a week, and the one before still works for 30 days more", async () => {
    const { alice, bob } = await paired();
    const before = openPeerOf(alice).spares.own;
    await wakeAfter(alice, SPARE_AGE_MS_MAX - (alice.now - START) - 1_000);
    expect(openPeerOf(alice).spares.own).toEqual(before);
    await wakeAfter(alice, 1_000 + (alice.now - START));
    const after = openPeerOf(alice).spares.own;
    expect(after).toHaveLength(2);
    expect(after[1]).toEqual(before[0]);
    // Bob never got the new one: his repair uses the old one.
    alice.toRelay.length = 0;
    bob.now = alice.now;
    setSessions(bob, []);
    await bob.feed({ kind: "wake" });
    const text = await alice.send("old spare");
    await settle(alice, bob);
    expect(alice.messages.get(text)?.status).toBe("delivered");
    expect(countOf(bob, "old spare")).toBe(1);
    await wakeAfter(alice, SPARE_AGE_MS_MAX + SPARE_KEPT_MS);
    expect(openPeerOf(alice).spares.own.every((one) => one.madeAt > START + 1_000)).toBe(true);
  });

  it("of another device are not taken", async () => {
    const { alice, bob } = await paired();
    const env = { entropy, crypto: nobleBackend, now: START };
    const { bundle } = await createInviteBundle(await createOwnDevice(env), env);
    const id = asContentId(entropy(16));
    const time = { ms: bob.now, counter: 0 };
    const session = openPeerOf(bob).sessions[0]!;
    const sealed = await encrypt(session, encodeContent({ kind: "spare", id, time, bundle }), env);
    const theirs = openPeerOf(alice).spares.theirs;
    expect(reasons(await deliver(alice, sealed.envelope))).toEqual(["wrong-identity"]);
    expect(openPeerOf(alice).spares.theirs).toEqual(theirs);
  });
});

describe("secrets behind spare bundles", () => {
  /** Wakes just before `at` and at it: what is there then. */
  async function around<T>(side: Side, at: number, look: () => T): Promise<readonly T[]> {
    const seen: T[] = [];
    for (const now of [at - 1, at]) {
      side.now = now;
      await side.feed({ kind: "wake" });
      seen.push(look());
    }
    return seen;
  }
  /** None can be given: no relay has made the queue that its answers would go to. */
  function withoutQueue(side: Side): void {
    const peer = openPeerOf(side);
    const { conversation } = side.slice;
    const queue = { ...peer.queue, addresses: [] };
    side.slice = { ...side.slice, conversation: { ...conversation!, peer: { ...peer, queue } } };
  }

  it("end SPARE_KEPT_MS after a newer bundle was given, and a HELLO by one is refused from then on", async () => {
    const { alice, bob } = await paired();
    const [first] = openPeerOf(alice).spares.own;
    const bundle = decodeBundle(openPeerOf(bob).spares.theirs!.bundle);
    if (!bundle.ok) throw new Error("no bundle");
    await wakeAfter(alice, SPARE_AGE_MS_MAX);
    const end = alice.now + SPARE_KEPT_MS;
    const has = (): boolean => openPeerOf(alice).spares.own.includes(first!);
    expect(await around(alice, end, has)).toEqual([true, false]);
    const env = { entropy, crypto: nobleBackend, now: bob.now };
    const started = await initiate(bob.self, bundle.value, env);
    if (started === undefined) throw new Error("no session");
    const id = asContentId(entropy(16));
    const text = { kind: "text", id, time: { ms: bob.now, counter: 0 }, text: "late" } as const;
    const hello = await encrypt(started.session, encodeContent(text), env);
    expect(reasons(await deliver(alice, hello.envelope))).toEqual(["unexpected"]);
    expect(countOf(alice, "late")).toBe(0);
  });

  it("are replaced and never end before, however long nobody was there to do it", async () => {
    const { alice } = await paired();
    const [first] = openPeerOf(alice).spares.own;
    await wakeAfter(alice, 10 * BUNDLE_AGE_MS_MAX);
    expect(openPeerOf(alice).spares.own).toHaveLength(2);
    expect(openPeerOf(alice).spares.own[1]).toEqual(first);
  });

  it("end BUNDLE_AGE_MS_MAX after they were made where no newer bundle can be given", async () => {
    const { alice } = await paired();
    const { madeAt } = openPeerOf(alice).spares.own[0]!;
    withoutQueue(alice);
    const count = (): number => openPeerOf(alice).spares.own.length;
    expect(await around(alice, madeAt + BUNDLE_AGE_MS_MAX, count)).toEqual([1, 0]);
  });

  it("end as long after a clock was set back as after they were made", async () => {
    const { alice } = await paired();
    withoutQueue(alice);
    const back = START - 365 * 24 * 3_600_000;
    alice.now = back;
    await alice.feed({ kind: "wake" });
    const { spares } = openPeerOf(alice);
    expect(spares.own.map(({ madeAt }) => madeAt)).toEqual([back]);
    expect(spares.theirs?.receivedAt).toBe(back);
    const count = (): number => openPeerOf(alice).spares.own.length;
    expect(await around(alice, back + BUNDLE_AGE_MS_MAX, count)).toEqual([1, 0]);
    expect(openPeerOf(alice).spares.theirs).toBeUndefined();
  });

  it("stay for somebody in the contact's place until CHANGE_KEPT_MS are over, and then as any other", async () => {
    for (const back of [0, 365 * 24 * 3_600_000]) {
      const { alice } = await paired();
      const peer = openPeerOf(alice);
      const { conversation } = alice.slice;
      const env = { entropy, crypto: nobleBackend, now: START };
      const { cert } = await createOwnDevice(env);
      const spares = peer.spares.own.map((one) => ({ ...one, madeAt: START - BUNDLE_AGE_MS_MAX }));
      const changed = {
        ...peer,
        change: { cert, frames: [], at: START },
        spares: { ...peer.spares, own: spares },
      };
      alice.slice = { ...alice.slice, conversation: { ...conversation!, peer: changed } };
      alice.now = START - back;
      await alice.feed({ kind: "wake" });
      // The one of a time ahead counts as made now, and needs no other.
      const before = back === 0 ? spares : [];
      const look = () => [openPeerOf(alice).change !== undefined, ...openPeerOf(alice).spares.own];
      expect(await around(alice, START - back + CHANGE_KEPT_MS, look)).toEqual([
        [true, ...spares],
        // The contact is given another one.
        [false, expect.objectContaining({ madeAt: START - back + CHANGE_KEPT_MS }), ...before],
      ]);
    }
  });

  it("are looked after once a day, though nothing else happens", async () => {
    const { alice } = await paired();
    await alice.feed({ kind: "hub", up: false });
    expect(wakeOf(await alice.feed({ kind: "wake" }))).toBe(alice.now + WAKE_MAX_MS);
  });
});

describe("a bundle of the other side's", () => {
  it("is used until BUNDLE_AGE_MS_MAX after it came; from then on the other side is asked", async () => {
    for (const [past, type] of [
      [-1, EnvelopeType.hello],
      [0, EnvelopeType.plea],
    ] as const) {
      const { alice } = await paired();
      const { receivedAt } = openPeerOf(alice).spares.theirs!;
      setSessions(alice, []);
      alice.now = receivedAt + BUNDLE_AGE_MS_MAX + past;
      await alice.feed({ kind: "wake" });
      expect(alice.toRelay.map(({ blob }) => blob[0])).toContain(type);
    }
  });

  it("that was offered is used until then, too", async () => {
    for (const [past, sessions] of [
      [1, 1],
      [0, 0],
    ] as const) {
      const { alice } = await paired();
      const decoded = decodeBundle(openPeerOf(alice).spares.theirs!.bundle);
      if (!decoded.ok) throw new Error("no bundle");
      setSessions(alice, []);
      setSpares(alice, { theirs: undefined, askedAt: alice.now });
      const receivedAt = alice.now + past - BUNDLE_AGE_MS_MAX;
      const offer = { bundle: decoded.value, addresses: [addressOf()], receivedAt };
      const row = {
        id: messageId(),
        from: "parent",
        to: alice.slice.conversation!.id,
        sequence: 1,
        post: { kind: "offer", offer },
      } as const;
      const effects = await alice.feed({ kind: "post", row });
      expect(openPeerOf(alice).sessions).toHaveLength(sessions);
      expect(reasons(effects)).toEqual(sessions === 0 ? ["expired"] : []);
    }
  });
});

describe("a ratchet that is lost", () => {
  it.each(["nothing", "an old state"] as const)(
    "on the receiving side (%s left): everything sent meanwhile arrives, once",
    async (left) => {
      const { alice, bob } = await paired();
      const old = openPeerOf(bob).sessions;
      for (let turn = 0; turn < 3; turn++) {
        await alice.send(`a${turn}`);
        await settle(alice, bob);
        await bob.send(`b${turn}`);
        await settle(alice, bob);
      }
      setSessions(bob, left === "nothing" ? [] : old);
      const ids = [await alice.send("one"), await alice.send("two")];
      for (const { blob } of alice.toRelay) await deliver(bob, blob);
      for (const { id } of alice.toRelay.splice(0)) {
        await alice.feed({ kind: "transmitted", id, path: "relay", outcome: "ok" });
      }
      expect(bob.shown).not.toContain("one");
      await wakeAfter(bob, REPAIR_PATIENCE_MS);
      expect(openPeerOf(bob).sessions[0]?.helloHeader).toBeDefined();
      await settle(alice, bob);
      expect([countOf(bob, "one"), countOf(bob, "two")]).toEqual([1, 1]);
      expect(ids.map((id) => alice.messages.get(id)?.status)).toEqual(["delivered", "delivered"]);
      // And both have given each other new spares for the next time.
      expect(openPeerOf(alice).spares.own).toHaveLength(1);
      expect(openPeerOf(bob).spares.theirs).toBeDefined();
    },
  );

  it.each(["hello", "plea"] as const)(
    "goes out as a %s also to a queue that was gone when it was tried last",
    async (kind) => {
      const { alice, bob } = await paired();
      const old = openPeerOf(bob).sessions;
      for (let turn = 0; turn < 3; turn++) {
        await alice.send(`a${turn}`);
        await bob.send(`b${turn}`);
        await settle(alice, bob);
      }
      setSessions(bob, old);
      if (kind === "plea") setSpares(bob, { theirs: undefined });
      await bob.send("of an old ratchet");
      await alice.send("does not open");
      await deliver(bob, alice.toRelay[0]!.blob);
      for (const { id } of bob.toRelay.splice(0)) {
        await bob.feed({ kind: "transmitted", id, path: "relay", outcome: "gone" });
      }
      await wakeAfter(bob, REPAIR_PATIENCE_MS - 1);
      expect(bob.toRelay).toEqual([]);
      await wakeAfter(bob, 1);
      expect(bob.toRelay.map(({ blob }) => blob[0])).toContain(EnvelopeType[kind]);
    },
  );

  it("on both sides at once: both begin, both keep both, all arrives and both go on with one", async () => {
    const { alice, bob } = await paired();
    setSessions(alice, []);
    setSessions(bob, []);
    for (const side of [alice, bob]) {
      await side.feed({ kind: "wake" });
      expect(openPeerOf(side).sessions).toHaveLength(1);
    }
    const [a, b] = [openPeerOf(alice).sessions[0]!.id, openPeerOf(bob).sessions[0]!.id];
    expect(a).not.toEqual(b);
    await alice.send("from alice");
    await bob.send("from bob");
    await settle(alice, bob);
    await settle(alice, bob);
    expect(alice.shown.toSorted()).toEqual(["from alice", "from bob"]);
    expect(bob.shown.toSorted()).toEqual(["from alice", "from bob"]);
    expect(openPeerOf(alice).sessions).toHaveLength(2);
    await alice.send("and on");
    await settle(alice, bob);
    expect(openPeerOf(alice).sessions[0]?.id).toEqual(openPeerOf(bob).sessions[0]?.id);
  });

  it("of a ratchet that went back into a chain which ended meanwhile, with a message of it still missing", async () => {
    const { alice, bob } = await paired();
    await alice.send("lost on the way");
    alice.toRelay.splice(0);
    const { sessions } = openPeerOf(alice);
    await bob.send("a turn");
    await carry(bob, alice);
    await alice.send("of the next chain");
    for (const { blob } of alice.toRelay.splice(0)) await deliver(bob, blob);
    setSessions(alice, sessions);
    await alice.send("past the end of the chain before");
    const [out] = alice.toRelay.splice(0);
    expect(reasons(await deliver(bob, out!.blob))).toEqual(["duplicate"]);
    await wakeAfter(bob, REPAIR_PATIENCE_MS);
    expect(openPeerOf(bob).sessions[0]?.helloHeader).toBeDefined();
    alice.now = bob.now;
    await settle(alice, bob);
    expect(countOf(bob, "past the end of the chain before")).toBe(1);
  });

  it("is mended from the side whose spare bundle was begun with and is damaged", async () => {
    const { alice, bob } = await paired();
    const [spare] = openPeerOf(alice).spares.own;
    const secrets = { ...spare!.secrets, oneTimeSecret: entropy(32) };
    setSpares(alice, { own: [{ ...spare!, secrets }] });
    setSessions(bob, []);
    const ids = [await alice.send("one"), await bob.send("two")] as const;
    const [hello] = bob.toRelay;
    expect(reasons(await deliver(alice, hello!.blob))).toEqual(["unknown-session"]);
    await wakeAfter(alice, REPAIR_PATIENCE_MS);
    expect(openPeerOf(alice).sessions[0]?.helloHeader).toBeDefined();
    await settle(alice, bob);
    // What went out by the one that nobody opens is overtaken.
    await wakeAfter(bob, OVERTAKEN_MS);
    await settle(alice, bob);
    expect([countOf(alice, "two"), countOf(bob, "one")]).toEqual([1, 1]);
    expect(alice.messages.get(ids[0])?.status).toBe("delivered");
    expect(bob.messages.get(ids[1])?.status).toBe("delivered");
  });

  it("when HELLOs cross, both put the session with the lower id first", async () => {
    const { alice, bob } = await paired();
    setSessions(alice, []);
    setSessions(bob, []);
    await alice.feed({ kind: "wake" });
    await bob.feed({ kind: "wake" });
    const [fromAlice, fromBob] = [alice.toRelay[0]!, bob.toRelay[0]!];
    await deliver(bob, fromAlice.blob);
    await deliver(alice, fromBob.blob);
    const ids = openPeerOf(alice).sessions.map(({ id }) => bytesToHex(id));
    expect(ids).toEqual(ids.toSorted());
    expect(openPeerOf(bob).sessions.map(({ id }) => bytesToHex(id))).toEqual(ids);
  });

  it.each(["signedPrekeySecret", "oneTimeSecret", "kemSeed", "bundleHash"] as const)(
    "and begun anew with a bundle that is damaged at its maker (%s): the maker begins",
    async (field) => {
      const { alice, bob } = await paired();
      const [spare] = openPeerOf(bob).spares.own;
      const secret = spare!.secrets[field];
      const secrets = { ...spare!.secrets, [field]: secret.with(9, (secret[9] ?? 0) ^ 1) };
      setSpares(bob, { own: [{ ...spare!, secrets }] });
      setSessions(alice, []);
      await alice.send("by a session that nobody has");
      await carry(alice, bob);
      expect(bob.shown).toEqual([]);
      await wakeAfter(bob, REPAIR_PATIENCE_MS);
      expect(openPeerOf(bob).sessions[0]?.helloHeader).toBeDefined();
      await settle(alice, bob);
      // Of two that cross, the lower may be the one that nobody has: then Bob asks for another.
      await wakeAfter(bob, REPAIR_PAUSE_MS);
      alice.now = bob.now;
      await settle(alice, bob);
      expect(countOf(bob, "by a session that nobody has")).toBe(1);
      expect(alice.slice.outbox).toEqual([]);
    },
  );

  it("is noticed by the sender when the receiver has no spare: heard, but nothing confirmed for an hour", async () => {
    const { alice, bob } = await paired();
    const { conversation } = bob.slice;
    const peer = openPeerOf(bob);
    bob.slice = {
      ...bob.slice,
      conversation: {
        ...conversation!,
        peer: { ...peer, sessions: [], spares: { ...peer.spares, theirs: undefined } },
      },
    };
    await alice.send("unheeded");
    await carry(alice, bob);
    await wakeAfter(alice, 3_599_000);
    alice.slice = { ...alice.slice, live: { ...alice.slice.live, heardAt: alice.now } };
    await alice.feed({ kind: "wake" });
    expect(openPeerOf(alice).sessions[0]?.helloHeader).toBeUndefined();
    await wakeAfter(alice, 2_000);
    expect(openPeerOf(alice).sessions[0]?.helloHeader).toBeDefined();
    bob.now = alice.now;
    await settle(alice, bob);
    expect(countOf(bob, "unheeded")).toBe(1);
  });
});

describe("a plea", () => {
  /** Alice has lost her ratchet and Bob's spare: only Bob can begin, and only when he is asked. */
  async function helpless() {
    const { alice, bob } = await paired();
    setSessions(alice, []);
    setSpares(alice, { theirs: undefined });
    await alice.feed({ kind: "wake" });
    const [plea] = alice.toRelay;
    expect(plea?.blob[0]).toBe(EnvelopeType.plea);
    return { alice, bob, plea: plea!.blob };
  }

  it("is what is left without session and spare: the other side begins, and all arrives", async () => {
    const { alice, bob } = await helpless();
    await bob.send("from Bob");
    await alice.send("from Alice");
    await settle(alice, bob);
    expect(alice.shown).toEqual(bob.shown);
    expect(alice.shown.toSorted()).toEqual(["from Alice", "from Bob"]);
    expect([...alice.outbox.values(), ...bob.outbox.values()]).toEqual([]);
    expect(openPeerOf(alice).spares.askedAt).toBe(0);
    expect(openPeerOf(alice).spares.theirs).toBeDefined();
  });

  it("is news to the person whose contact asked, once, until they have seen just that", async () => {
    const { bob, plea } = await helpless();
    const news = () => bob.slice.conversation?.devices.news;
    expect(news()?.anew ?? 0).toBe(0);
    await deliver(bob, plea);
    await deliver(bob, plea);
    expect(news()?.anew).toBe(1);
    await bob.feed({ kind: "devices-seen", added: 0, removed: 0, anew: 2 });
    expect(news()?.anew).toBe(1);
    await bob.feed({ kind: "devices-seen", added: 0, removed: 0, anew: 1 });
    expect(news()?.anew ?? 0).toBe(0);
  });

  it("heals when neither side has anything left", async () => {
    const { alice, bob } = await helpless();
    setSessions(bob, []);
    setSpares(bob, { theirs: undefined, own: [] });
    await bob.feed({ kind: "wake" });
    await bob.send("from Bob");
    await settle(alice, bob);
    await settle(alice, bob);
    expect(alice.shown).toEqual(["from Bob"]);
    await alice.send("from Alice");
    await settle(alice, bob);
    expect(bob.shown).toEqual(["from Bob", "from Alice"]);
  });

  it("is made anew after an hour in the place of the one before, which waited for the relay", async () => {
    const { alice } = await helpless();
    const asked = alice.now;
    const before = alice.slice.outbox;
    expect(before).toHaveLength(1);
    alice.now = asked + PLEA_PAUSE_MS - 1;
    await alice.feed({ kind: "wake" });
    expect(alice.slice.outbox).toEqual(before);
    alice.now = asked + PLEA_PAUSE_MS;
    await alice.feed({ kind: "wake" });
    expect(alice.slice.outbox).toHaveLength(1);
    expect(alice.slice.outbox[0]?.id).not.toBe(before[0]?.id);
  });

  it("is answered once: replays and older ones change nothing", async () => {
    const { alice, bob, plea } = await helpless();
    await deliver(bob, plea);
    const { sessions } = openPeerOf(bob);
    expect(sessions[0]?.helloHeader).toBeDefined();
    bob.now += REPAIR_PAUSE_MS;
    expect(reasons(await deliver(bob, plea))).toEqual(["duplicate"]);
    expect(openPeerOf(bob).sessions).toEqual(sessions);
    await settle(alice, bob);
    bob.now += REPAIR_PAUSE_MS;
    expect(reasons(await deliver(bob, plea))).toEqual(["duplicate"]);
  });

  it("of anybody else, or one's own, is counted and dropped", async () => {
    const { alice, bob, plea } = await helpless();
    expect(reasons(await deliver(alice, plea))).toEqual(["unknown-session"]);
    const stranger = await helpless();
    expect(reasons(await deliver(bob, stranger.plea))).toEqual(["unknown-session"]);
    const forged = Uint8Array.from(plea);
    forged[forged.length - 1]! ^= 1;
    expect(reasons(await deliver(bob, forged))).toEqual(["unknown-session"]);
  });

  it("waits while somebody else is in the contact's place", async () => {
    const { bob, plea } = await helpless();
    const peer = openPeerOf(bob);
    const change = { cert: peer.contact.cert, frames: [], at: bob.now };
    const { conversation } = bob.slice;
    bob.slice = {
      ...bob.slice,
      conversation: { ...conversation!, peer: { ...peer, change } },
    };
    expect(reasons(await deliver(bob, plea))).toEqual(["unexpected"]);
  });
});

describe("a new session", () => {
  it("is not begun when the right message comes within the patience", async () => {
    const { alice, bob } = await paired();
    const [late] = alice.toRelay;
    expect(late).toBeUndefined();
    const sessions = openPeerOf(bob).sessions;
    setSessions(bob, []);
    await alice.send("first");
    const [first] = alice.toRelay.splice(0);
    // No session at all would begin at once; this one is only the wrong one for a moment.
    setSessions(
      bob,
      sessions.map((one) => ({
        ...one,
        nextReceivingHeaderKey: new Uint8Array(32),
        receiving: undefined,
      })),
    );
    expect(reasons(await deliver(bob, first!.blob))).toEqual(["unknown-session"]);
    expect(wakeOf(bob.effects)).toBe(bob.now + REPAIR_PATIENCE_MS);
    setSessions(bob, sessions);
    await wakeAfter(bob, REPAIR_PATIENCE_MS - 1);
    await deliver(bob, first!.blob);
    await wakeAfter(bob, REPAIR_PATIENCE_MS);
    expect(openPeerOf(bob).sessions).toHaveLength(sessions.length);
    expect(countOf(bob, "first")).toBe(1);
  });

  it("is begun once a minute at most", async () => {
    const { alice, bob } = await paired();
    setSessions(bob, []);
    await bob.feed({ kind: "wake" });
    const begun = bob.now;
    await settle(alice, bob);
    expect(openPeerOf(bob).spares.theirs).toBeDefined();
    setSessions(bob, []);
    bob.now = begun + REPAIR_PAUSE_MS - 1;
    await bob.feed({ kind: "wake" });
    expect(openPeerOf(bob).sessions).toHaveLength(0);
    bob.now = begun + REPAIR_PAUSE_MS;
    await bob.feed({ kind: "wake" });
    expect(openPeerOf(bob).sessions).toHaveLength(1);
  });

  it("needs a spare that was not used: the same HELLO again changes nothing, another one is refused", async () => {
    const { alice, bob } = await paired();
    const spare = decodeBundle(openPeerOf(bob).spares.theirs!.bundle);
    setSessions(bob, []);
    await bob.feed({ kind: "wake" });
    const blob = bob.toRelay[0]!.blob;
    await deliver(alice, blob);
    const after = openPeerOf(alice).sessions;
    expect(reasons(await deliver(alice, blob))).toEqual(["duplicate"]);
    expect(openPeerOf(alice).sessions).toEqual(after);
    const env = { entropy, crypto: nobleBackend, now: bob.now };
    const again = await initiate(bob.self, spare.ok ? spare.value : raise(), env);
    const second = await encrypt(again!.session, new Uint8Array(1), env);
    expect(reasons(await deliver(alice, second.envelope))).toEqual(["unexpected"]);
  });

  it("remembers 64 HELLOs", async () => {
    const { alice, bob } = await paired();
    const peer = openPeerOf(alice);
    const many = Array.from({ length: HELLOS_SEEN_MAX }, () => entropy(32));
    alice.slice = {
      ...alice.slice,
      conversation: { ...alice.slice.conversation!, peer: { ...peer, helloSeen: many } },
    };
    setSessions(bob, []);
    await bob.feed({ kind: "wake" });
    await deliver(alice, bob.toRelay[0]!.blob);
    const { helloSeen } = openPeerOf(alice);
    expect(helloSeen).toHaveLength(HELLOS_SEEN_MAX);
    expect(helloSeen[0]).toEqual(many[1]);
  });

  it("comes to nothing with a bundle that does not verify, and the conversation goes on", async () => {
    const { alice, bob } = await paired();
    const peer = openPeerOf(bob);
    const bundle = Uint8Array.from(peer.spares.theirs!.bundle);
    bundle[bundle.length - 1]! ^= 1;
    const spares = { ...peer.spares, theirs: { ...peer.spares.theirs!, bundle } };
    bob.slice = {
      ...bob.slice,
      conversation: { ...bob.slice.conversation!, peer: { ...peer, spares, sessions: [] } },
    };
    expect(reasons(await bob.feed({ kind: "wake" }))).toContain("wrong-identity");
    expect(openPeerOf(bob).spares.theirs).toBeUndefined();
    await settle(alice, bob);
  });
});

const raise = (): never => {
  throw new Error("no bundle");
};

describe("somebody else in a contact's place", () => {
  /** Eve has Bob's place in everything but his root key: his spare of Alice, his way to Alice's queue. */
  async function usurped() {
    const { alice, bob } = await paired();
    const theirs = decodeBundle(openPeerOf(bob).spares.theirs!.bundle);
    const env = { entropy, crypto: nobleBackend, now: alice.now };
    const eve = await createOwnDevice(env);
    const started = await initiate(eve, theirs.ok ? theirs.value : raise(), env);
    let { session } = started!;
    const seal = async (content: Parameters<typeof encodeContent>[0]) => {
      const sealed = await encrypt(session, encodeContent(content), env);
      ({ session } = sealed);
      return sealed.envelope;
    };
    const time = { ms: alice.now, counter: 7 };
    const introduce = () =>
      seal({
        kind: "introduction",
        id: asContentId(entropy(16)),
        time,
        name: "Bob",
        addresses: [addressOf()],
      });
    const say = (text: string) => seal({ kind: "text", id: asContentId(entropy(16)), time, text });
    return { alice, bob, eve, introduce, say };
  }

  it("holds everything: nothing is shown, sealed, sent, receipted or signalled before the person decides", async () => {
    const { alice, eve, introduce, say } = await usurped();
    const before = await alice.send("sealed for Bob");
    await alice.feed({
      kind: "transmitted",
      id: alice.toRelay[0]!.id,
      path: "relay",
      outcome: "lost",
    });
    expect(reasons(await deliver(alice, await introduce()))).toEqual(["wrong-identity"]);
    await deliver(alice, await say("it is me"));
    expect(openPeerOf(alice).change?.cert).toEqual(eve.cert);
    alice.toRelay.length = 0;
    const id = messageId();
    const effects = [
      ...(await alice.feed({ kind: "send-text", id, text: "are you Bob?" })),
      ...(await alice.feed({ kind: "direct", up: true })),
      ...(await alice.feed({ kind: "hub", up: false })),
      ...(await alice.feed({ kind: "hub", up: true })),
      ...(await alice.feed({ kind: "want", wanted: true })),
    ];
    await wakeAfter(alice, 3_600_000);
    effects.push(...alice.effects);
    expect([...of(effects, "transmit"), ...of(effects, "signal")]).toEqual([]);
    expect([before, id].map((one) => alice.messages.get(one)?.status)).toEqual([
      "queued",
      "queued",
    ]);
    expect(alice.shown).toEqual(["sealed for Bob", "are you Bob?"]);
    expect([...alice.outbox.values()].find((row) => row.awaits === id)?.envelope).toBeUndefined();
  });

  it("accepted: what came is shown, what waited is sealed for the new one only", async () => {
    const { alice, bob, eve, introduce, say } = await usurped();
    await deliver(alice, await introduce());
    await deliver(alice, await say("it is me"));
    await alice.send("are you Bob?");
    const blobsBefore = alice.toRelay.length;
    await alice.feed({ kind: "answer-change", rootKey: eve.cert.rootKey, answer: "accept" });
    expect(alice.shown.toSorted()).toEqual(["are you Bob?", "it is me"]);
    const { contact, change } = openPeerOf(alice);
    expect([contact.cert, contact.verified, change]).toEqual([eve.cert, false, undefined]);
    const out = alice.toRelay.slice(blobsBefore);
    expect(out.length).toBeGreaterThan(0);
    for (const { blob } of out) {
      expect(reasons(await deliver(bob, blob))).toEqual(["unknown-session"]);
    }
  });

  it("accepted when the store has a text of an id that came: the rest of what came is taken when it comes again", async () => {
    const { alice, eve, introduce, say } = await usurped();
    const hello = await introduce();
    const text = await say("it is me");
    await deliver(alice, hello);
    await deliver(alice, text);
    const { rootKey } = eve.cert;
    const answer = asKnown({ kind: "answer-change", rootKey, answer: "accept" });
    expect(answer).toMatchObject({ known: true });
    await alice.feed(answer);
    expect([openPeerOf(alice).contact.cert, openPeerOf(alice).change]).toEqual([
      eve.cert,
      undefined,
    ]);
    expect(alice.shown).toEqual([]);
    for (const blob of [hello, text]) await deliver(alice, blob);
    expect(alice.shown).toEqual(["it is me"]);
  });

  it("of a verified contact is accepted after comparing only", async () => {
    const { alice, eve, introduce } = await usurped();
    await alice.feed({ kind: "mark-verified", verified: true });
    await deliver(alice, await introduce());
    const { rootKey } = eve.cert;
    const refused = await alice.feed({ kind: "answer-change", rootKey, answer: "accept" });
    expect(reasons(refused)).toEqual(["unexpected"]);
    expect(openPeerOf(alice).change).toBeDefined();
    await alice.feed({ kind: "answer-change", rootKey, answer: "accept-compared" });
    expect(openPeerOf(alice).contact).toMatchObject({ cert: eve.cert, verified: true });
  });

  it("rejected: the contact is who it was, and Eve's way in is closed", async () => {
    const { alice, bob, eve, introduce, say } = await usurped();
    const before = openPeerOf(alice).contact;
    await deliver(alice, await introduce());
    await alice.send("meant for Bob");
    await alice.feed({ kind: "answer-change", rootKey: eve.cert.rootKey, answer: "reject" });
    expect(openPeerOf(alice).contact).toEqual(before);
    expect(reasons(await deliver(alice, await say("again")))).toEqual(["unexpected"]);
    bob.now = alice.now;
    await settle(alice, bob);
    expect(bob.shown).toEqual(["meant for Bob"]);
  });

  it("without a decision for CHANGE_KEPT_MS: what waited goes to the contact, and what comes again asks again", async () => {
    const { alice, bob, eve, introduce, say } = await usurped();
    await deliver(alice, await introduce());
    const id = await alice.send("meant for Bob");
    const until = alice.now + CHANGE_KEPT_MS;
    alice.now = until - 1;
    await alice.feed({ kind: "wake" });
    expect(openPeerOf(alice).change?.cert).toEqual(eve.cert);
    alice.now = bob.now = until;
    await alice.feed({ kind: "wake" });
    expect(openPeerOf(alice).change).toBeUndefined();
    await settle(alice, bob);
    expect(bob.shown).toEqual(["meant for Bob"]);
    expect(alice.messages.get(id)?.status).toBe("delivered");
    expect(reasons(await deliver(alice, await say("still me")))).toEqual(["wrong-identity"]);
    expect(openPeerOf(alice).change).toMatchObject({ cert: eve.cert, at: alice.now });
    await alice.feed({ kind: "answer-change", rootKey: eve.cert.rootKey, answer: "accept" });
    expect(alice.shown).toContain("still me");
  });

  it("is not answered for another root key, or when nobody asks", async () => {
    const { alice, eve, introduce } = await usurped();
    const nobody = { kind: "answer-change", rootKey: eve.cert.rootKey, answer: "accept" } as const;
    expect(reasons(await alice.feed(nobody))).toEqual(["unexpected"]);
    await deliver(alice, await introduce());
    const other = { ...nobody, rootKey: entropy(32) };
    expect(reasons(await alice.feed(other))).toEqual(["unexpected"]);
    expect(openPeerOf(alice).change).toBeDefined();
  });

  it("keeps 16 envelopes, each once", async () => {
    const { alice, say } = await usurped();
    const blobs = [];
    for (let count = 0; count <= HELD_FRAMES_MAX; count++) blobs.push(await say(messageId()));
    for (const blob of blobs.slice(0, HELD_FRAMES_MAX)) {
      await deliver(alice, blob);
      await deliver(alice, blob);
    }
    expect(openPeerOf(alice).change?.frames).toHaveLength(HELD_FRAMES_MAX);
    await deliver(alice, blobs[HELD_FRAMES_MAX]!);
    expect(openPeerOf(alice).change?.frames).toEqual(blobs.slice(0, HELD_FRAMES_MAX));
  });
});
