import { nobleBackend, reachedIn, sealSignal } from "@sotto/crypto";
import {
  ECHO_PATIENCE_MS,
  LOST_PAUSE_MS,
  NEGOTIATE_PAUSE_MS,
  NEGOTIATE_PAUSE_MS_MAX,
  PROBE_EVERY_MS,
  REPAIR_PAUSE_MS,
} from "@sotto/protocol";
import { EnvelopeType, type Signal } from "@sotto/wire";
import { describe, expect, it } from "vitest";
import {
  accepted,
  carry,
  deliver,
  deliverDirect,
  entropy,
  of,
  openPeerOf,
  paired,
  reasons,
  sent,
  settle,
  type Side,
  soonOf,
  wakeOf,
} from "./fixture.ts";

describe("a contact who has not said where to write", () => {
  it("is not asked whether it is there, however long the conversation is on screen", async () => {
    const { alice, bob } = await accepted();
    await bob.send("without an introduction");
    const [, hello] = bob.toRelay;
    await alice.feed({ kind: "want", wanted: true });
    await deliver(alice, hello!.blob);
    expect(openPeerOf(alice).contact.addresses).toEqual([]);
    alice.now += 2 * PROBE_EVERY_MS;
    // The first one prepares the receipt, which waits for an address too.
    await alice.feed({ kind: "wake" });
    const effects = await alice.feed({ kind: "wake" });
    expect(of(effects, "signal")).toEqual([]);
    expect(soonOf({ effects, now: alice.now })).toBeUndefined();
  });
});

describe("a contact whose sessions are lost", () => {
  it("is not asked whether it is there before there is a new one", async () => {
    const { alice } = await paired();
    const conversation = alice.slice.conversation!;
    const { spares } = openPeerOf(alice);
    // It began a session a moment ago and lost that one too: the next may only begin later.
    const peer = { ...openPeerOf(alice), sessions: [], spares: { ...spares, usedAt: alice.now } };
    alice.slice = { ...alice.slice, conversation: { ...conversation, peer } };
    await alice.feed({ kind: "want", wanted: true });
    alice.now += 2 * PROBE_EVERY_MS;
    const effects = await alice.feed({ kind: "wake" });
    expect(of(effects, "signal")).toEqual([]);
    expect(wakeOf(effects) ?? Infinity).toBeGreaterThan(alice.now + 1_000);
  });
});

const LOW = new Uint8Array(34).fill(1);
const HIGH = new Uint8Array(34).fill(2);

async function signalFrom(from: Side, signal: Partial<Signal>): Promise<Uint8Array> {
  const env = { entropy, crypto: nobleBackend, now: from.now };
  const whole: Signal = {
    counter: 1,
    presence: "online",
    probe: false,
    direct: "none",
    peerId: new Uint8Array(0),
    reached: { chain: 0, next: 0 },
    ...signal,
  };
  return sealSignal(openPeerOf(from).sessions[0]!, whole, env);
}

/** The signals of `from`'s last step arrive at `to`. */
async function pass(from: Side, to: Side): Promise<void> {
  for (const { blob } of of(from.effects, "signal")) await deliverDirect(to, blob);
}

async function online() {
  const both = await paired();
  both.alice.now += 100_000;
  both.bob.now += 100_000;
  await both.alice.feed({ kind: "hub", up: false });
  await both.bob.feed({ kind: "hub", up: false });
  await both.bob.feed({ kind: "hub", up: true });
  await both.alice.feed({ kind: "hub", up: true });
  await pass(both.alice, both.bob);
  await pass(both.bob, both.alice);
  return both;
}

describe("presence", () => {
  it("is asked for when the hub comes up, and the answer asks nothing", async () => {
    const { alice, bob } = await online();
    expect(bob.slice.live.presence).toBe("online");
    expect(alice.slice.live.presence).toBe("online");
    expect(of(alice.effects, "signal")).toEqual([]);
  });

  it("is away when the relay says so or the other side leaves", async () => {
    const { alice, bob } = await online();
    await alice.feed({ kind: "signalled", outcome: "away" });
    expect(alice.slice.live.presence).toBe("away");
    await bob.feed({ kind: "want", wanted: true });
    await alice.feed({ kind: "leaving" });
    await pass(alice, bob);
    expect(bob.slice.live.presence).toBe("away");
  });

  it("is unknown without a hub", async () => {
    const { alice } = await online();
    await alice.feed({ kind: "hub", up: false });
    expect(alice.slice.live.presence).toBe("unknown");
    expect((await alice.feed({ kind: "leaving" })).map(({ kind }) => kind)).toEqual(["wake"]);
  });

  it("is asked for every PROBE_EVERY_MS while the conversation is on screen, and never otherwise", async () => {
    const { alice } = await paired();
    expect(soonOf(alice)).toBeUndefined();
    alice.now += 1_000_000;
    await alice.feed({ kind: "want", wanted: true });
    expect(of(alice.effects, "signal")).toHaveLength(1);
    expect(wakeOf(alice.effects)).toBe(alice.now + PROBE_EVERY_MS);
    alice.now += PROBE_EVERY_MS - 1;
    expect(of(await alice.feed({ kind: "wake" }), "signal")).toEqual([]);
    alice.now += 1;
    expect(of(await alice.feed({ kind: "wake" }), "signal")).toHaveLength(1);
  });
});

describe("a signal", () => {
  it("that is not newer than the last is dropped and changes nothing", async () => {
    const { alice, bob } = await paired();
    const blob = await signalFrom(alice, { counter: alice.now + 5 });
    await deliverDirect(bob, blob);
    expect(reasons(bob.effects)).toEqual([]);
    expect(reasons(await deliverDirect(bob, blob))).toEqual(["old-signal"]);
    const older = await signalFrom(alice, { counter: alice.now + 4, presence: "away" });
    expect(reasons(await deliverDirect(bob, older))).toEqual(["old-signal"]);
    expect(bob.slice.live.presence).toBe("online");
  });

  it("of another session, or one's own sent back, is dropped", async () => {
    const { alice, bob } = await paired();
    const other = await paired();
    const foreign = await signalFrom(other.alice, { counter: 2 ** 47 });
    expect(reasons(await deliverDirect(bob, foreign))).toEqual(["unknown-session"]);
    const own = await signalFrom(alice, { counter: 2 ** 47 });
    expect(reasons(await deliverDirect(alice, own))).toEqual(["unknown-session"]);
    expect(alice.slice.live.signalSeen).toBeLessThan(2 ** 47);
  });

  it("of a clock that was set back frees a queue that was gone, once in LOST_PAUSE_MS", async () => {
    const { alice, bob } = await paired();
    const at = bob.now + 86_400_000;
    await deliverDirect(alice, await signalFrom(bob, { counter: at }));
    const answerGone = async (): Promise<number> => {
      const waiting = alice.toRelay.splice(0);
      for (const { id } of waiting) {
        await alice.feed({ kind: "transmitted", id, path: "relay", outcome: "gone" });
      }
      return waiting.length;
    };
    await alice.send("its relay has lost the queue");
    expect(await answerGone()).toBe(1);
    for (let round = 0; round < 2; round++) {
      const effects = await deliverDirect(alice, await signalFrom(bob, { counter: at - 1 }));
      expect(reasons(effects)).toEqual(["old-signal"]);
      await deliverDirect(alice, await signalFrom(bob, { counter: at - 1 }));
      expect(wakeOf(alice.effects)).toBe(alice.now + LOST_PAUSE_MS);
      expect(alice.toRelay).toEqual([]);
      alice.now += LOST_PAUSE_MS;
      await alice.feed({ kind: "wake" });
      expect(await answerGone()).toBe(1);
    }
  });

  it("commits nothing", async () => {
    const { alice, bob } = await paired();
    const blob = await signalFrom(alice, { counter: alice.now + 5, probe: true });
    expect(of(await deliverDirect(bob, blob), "commit")).toEqual([]);
    expect(of(bob.effects, "signal")).toHaveLength(1);
  });

  it("has a counter that rises even when the clock is set back", async () => {
    const { alice, bob } = await online();
    await alice.feed({ kind: "want", wanted: true });
    alice.now -= 86_400_000;
    await alice.feed({ kind: "reservation", peerId: LOW });
    await pass(alice, bob);
    expect(reasons(bob.effects)).toEqual([]);
    expect(bob.slice.live.remotePeerId).toEqual(LOW);
  });
});

describe("in a new process", () => {
  it("nothing is sealed before the other side's first signal, for ECHO_PATIENCE_MS at most", async () => {
    const { alice, bob } = await paired();
    alice.restart();
    await alice.send("written before there was a relay");
    expect(alice.slice.outbox[0]?.envelope).toBeUndefined();
    await alice.feed({ kind: "hub", up: true });
    expect(sent(alice.effects, "relay")).toEqual([]);
    expect(wakeOf(alice.effects)).toBe(alice.now + ECHO_PATIENCE_MS);
    const asked = alice.now;
    alice.now = asked + ECHO_PATIENCE_MS - 1;
    await alice.feed({ kind: "wake" });
    expect(sent(alice.effects, "relay")).toEqual([]);
    await deliverDirect(alice, await signalFrom(bob, { counter: bob.now }));
    expect(sent(alice.effects, "relay")).toHaveLength(1);
    alice.restart();
    await alice.feed({ kind: "hub", up: true });
    expect(sent(alice.effects, "relay")).toHaveLength(1);
    await alice.send("waits");
    expect(sent(alice.effects, "relay")).toEqual([]);
    alice.now += ECHO_PATIENCE_MS;
    await alice.feed({ kind: "wake" });
    expect(sent(alice.effects, "relay")).toHaveLength(1);
    // The relay comes back: nothing has been put in this store's place meanwhile.
    await alice.feed({ kind: "hub", up: false });
    await alice.feed({ kind: "hub", up: true });
    await alice.send("at once");
    expect(sent(alice.effects, "relay")).toHaveLength(1);
  });

  it("an older store is told so by the other side's signal, and seals nothing by it", async () => {
    const { alice, bob } = await paired();
    const copy = alice.slice;
    const rows = new Map(alice.outbox);
    await alice.send("of the lost future");
    await carry(alice, bob);
    await settle(alice, bob);
    const used = openPeerOf(alice).sessions[0]?.sending?.next ?? 0;
    alice.slice = copy;
    alice.outbox.clear();
    for (const [id, row] of rows) alice.outbox.set(id, row);
    alice.restart();
    expect(openPeerOf(alice).sessions[0]?.sending?.next).toBeLessThan(used);
    await alice.send("from the older store");
    await alice.feed({ kind: "hub", up: true });
    for (const { blob } of of(alice.effects, "signal")) await deliverDirect(bob, blob);
    alice.now += REPAIR_PAUSE_MS;
    bob.now = alice.now;
    const [answer] = of(bob.effects, "signal");
    expect(reasons(await deliverDirect(alice, answer!.blob))).toEqual(["old-store"]);
    for (const { blob } of alice.toRelay) expect(blob[0]).toBe(EnvelopeType.hello);
    await settle(alice, bob);
    expect(bob.shown).toEqual(["of the lost future", "from the older store"]);
    expect(alice.slice.outbox).toEqual([]);
  });

  it("a signal from before what this store sent since is no sign", async () => {
    const { alice, bob } = await paired();
    await alice.feed({ kind: "hub", up: true });
    const early = await signalFrom(bob, {
      counter: bob.now + 1,
      reached: reachedIn(openPeerOf(bob).sessions[0]!),
    });
    await alice.send("1");
    await carry(alice, bob);
    expect(reasons(await deliverDirect(alice, early))).toEqual([]);
    const late = await signalFrom(bob, {
      counter: bob.now + 2,
      reached: reachedIn(openPeerOf(bob).sessions[0]!),
    });
    expect(reasons(await deliverDirect(alice, late))).toEqual([]);
    expect(openPeerOf(alice).sessions).toHaveLength(1);
  });
});

describe("a direct link", () => {
  it("is dialled by the lower peer id once both are ready, and by nobody else", async () => {
    const { alice, bob } = await online();
    await alice.feed({ kind: "want", wanted: true });
    expect(of(alice.effects, "prepare-direct")).toHaveLength(1);
    await alice.feed({ kind: "reservation", peerId: LOW });
    await pass(alice, bob);
    expect(of(bob.effects, "expect")).toEqual([{ kind: "expect", peerId: LOW }]);
    expect(of(bob.effects, "prepare-direct")).toHaveLength(1);
    await bob.feed({ kind: "reservation", peerId: HIGH });
    expect(of(bob.effects, "dial")).toEqual([]);
    await pass(bob, alice);
    expect(of(alice.effects, "expect")).toEqual([{ kind: "expect", peerId: HIGH }]);
    expect(of(alice.effects, "dial")).toEqual([{ kind: "dial", peerId: HIGH }]);
  });

  it("that failed is tried again after pauses that double up to NEGOTIATE_PAUSE_MS_MAX", async () => {
    const { alice } = await online();
    await alice.feed({ kind: "want", wanted: true });
    const pauses: number[] = [];
    for (let round = 0; round < 8; round++) {
      const at = wakeOf(alice.effects) ?? Number.NaN;
      pauses.push(at - alice.now);
      alice.now = at;
      await alice.feed({ kind: "wake" });
    }
    expect(pauses[0]).toBe(NEGOTIATE_PAUSE_MS);
    expect(pauses[1]).toBe(2 * NEGOTIATE_PAUSE_MS);
    expect(pauses.at(-1)).toBe(NEGOTIATE_PAUSE_MS_MAX);
  });

  it("is not asked for while it is up, nor when the other side is away", async () => {
    const { alice } = await online();
    await alice.feed({ kind: "want", wanted: true });
    await alice.feed({ kind: "direct", up: true });
    expect(soonOf(alice)).toBeUndefined();
    await alice.feed({ kind: "direct", up: false });
    expect(wakeOf(alice.effects)).toBe(alice.now + NEGOTIATE_PAUSE_MS);
    await alice.feed({ kind: "signalled", outcome: "away" });
    expect(of(alice.effects, "prepare-direct")).toEqual([]);
    expect(wakeOf(alice.effects)).toBeGreaterThan(alice.now + NEGOTIATE_PAUSE_MS);
  });

  it("outlives the hub", async () => {
    const { alice } = await online();
    await alice.feed({ kind: "direct", up: true });
    await alice.feed({ kind: "hub", up: false });
    expect(alice.slice.live).toMatchObject({ direct: true, presence: "online" });
  });

  it("is agreed on again by a device that came back under another peer id", async () => {
    const { alice, bob } = await online();
    await bob.feed({ kind: "reservation", peerId: HIGH });
    await pass(bob, alice);
    const fresh = new Uint8Array(34).fill(3);
    await bob.feed({ kind: "reservation", peerId: fresh });
    await pass(bob, alice);
    expect(of(alice.effects, "expect")).toEqual([{ kind: "expect", peerId: fresh }]);
  });
});
