/** Several relays: the other side is told all addresses, a second relay gets a copy, and the same twice counts once. */
import {
  COPIES_MAX,
  COPY_AFTER_MS,
  COPY_PAUSE_MS,
  DIRECT_PATIENCE_MS,
  type Effect,
  IN_FLIGHT_MAX,
  PROBE_EVERY_MS,
  RECEIVED_MAX,
  RESEND_AFTER_MS,
} from "@sotto/protocol";
import { openInviteOffer, nobleBackend } from "@sotto/crypto";
import { ADDRESSES_MAX, type QueueAddress } from "@sotto/wire";
import { describe, expect, it } from "vitest";
import { circle, read, say } from "./circle.ts";
import {
  accepted,
  addressOf,
  carry,
  deliver,
  deliverDirect,
  invited,
  of,
  openPeerOf,
  paired,
  reasons,
  sent,
  settle,
  type Side,
  wakeOf,
} from "./fixture.ts";
import { createFleet } from "./fleet.ts";

const queueOf = (side: Side): readonly QueueAddress[] => openPeerOf(side).queue.addresses;
const knownTo = (side: Side): readonly QueueAddress[] => openPeerOf(side).contact.addresses;
const copies = (effects: readonly Effect[]) =>
  sent(effects, "relay").filter((one) => one.path === "relay" && one.copy);
const firsts = (effects: readonly Effect[]) =>
  sent(effects, "relay").filter((one) => one.path === "relay" && !one.copy);

/** Both know each other; Bob reads at two relays, and Alice has been told. */
async function withTwoRelays() {
  const all = await paired();
  const { alice, bob } = all;
  const addresses = [...queueOf(bob), addressOf()];
  await bob.feed({ kind: "queue-ready", addresses });
  await settle(alice, bob);
  expect(alice.slice.outbox).toEqual([]);
  return { ...all, addresses };
}

/** A text that one relay took and nobody has confirmed. */
async function takenByOne(alice: Side, text = "hello") {
  await alice.send(text);
  const [out] = alice.toRelay.splice(0);
  await alice.feed({ kind: "transmitted", id: out!.id, path: "relay", outcome: "ok" });
  return out!;
}

describe("the addresses of a queue", () => {
  it("are told anew when another relay has made it, and replace those that were known", async () => {
    const { alice, bob, addresses } = await withTwoRelays();
    expect(knownTo(alice)).toEqual(addresses);
    const moved = [addressOf(), addresses[1]!];
    await bob.feed({ kind: "queue-ready", addresses: moved });
    await settle(alice, bob);
    expect(knownTo(alice)).toEqual(moved);
  });

  it("are told in another order, too: it says where to try first", async () => {
    const { alice, bob, addresses } = await withTwoRelays();
    await bob.feed({ kind: "queue-ready", addresses: addresses.toReversed() });
    await settle(alice, bob);
    expect(knownTo(alice)).toEqual(addresses.toReversed());
  });

  it("are not told when nothing changed, or when there is none", async () => {
    const { bob, addresses } = await withTwoRelays();
    for (const same of [addresses.map((one) => ({ ...one })), []]) {
      expect(of(await bob.feed({ kind: "queue-ready", addresses: same }), "commit")).toEqual([]);
    }
    expect(queueOf(bob)).toEqual(addresses);
  });

  it(`are at most ADDRESSES_MAX: the first ${ADDRESSES_MAX}`, async () => {
    const { alice, bob } = await paired();
    const all = Array.from({ length: ADDRESSES_MAX + 1 }, () => addressOf());
    await bob.feed({ kind: "queue-ready", addresses: all });
    await settle(alice, bob);
    expect(knownTo(alice)).toEqual(all.slice(0, ADDRESSES_MAX));
  });

  it("wait once: the newest list takes the place of one that is not confirmed", async () => {
    const { alice, bob } = await paired();
    await bob.feed({ kind: "queue-ready", addresses: [addressOf()] });
    const newest = [addressOf(), addressOf()];
    await bob.feed({ kind: "queue-ready", addresses: newest });
    expect(bob.slice.outbox).toHaveLength(1);
    bob.toRelay.splice(0, 1);
    await settle(alice, bob);
    expect(knownTo(alice)).toEqual(newest);
  });

  it("count by their own time: neither a newer name nor an older list changes them", async () => {
    const { alice, bob } = await paired();
    await bob.feed({ kind: "queue-ready", addresses: [addressOf()] });
    const [older] = bob.toRelay.splice(0);
    const newest = [addressOf()];
    await bob.feed({ kind: "queue-ready", addresses: newest });
    const [introduction] = bob.toRelay.splice(0);
    await bob.feed({ kind: "rename", name: "Robert" });
    const [rename] = bob.toRelay.splice(0);
    await deliver(alice, rename!.blob);
    await deliver(alice, introduction!.blob);
    expect(knownTo(alice)).toEqual(newest);
    await deliver(alice, older!.blob);
    expect(knownTo(alice)).toEqual(newest);
    expect(openPeerOf(alice).contact.name).toBe("Robert");
  });

  it("that are new open the way again for what had nowhere to go", async () => {
    const { alice, bob } = await paired();
    await alice.send("hello");
    const [out] = alice.toRelay.splice(0);
    await alice.feed({ kind: "transmitted", id: out!.id, path: "relay", outcome: "gone" });
    expect(alice.slice.live.retryAt).toBe(Infinity);
    await bob.feed({ kind: "queue-ready", addresses: [addressOf()] });
    await carry(bob, alice);
    expect(alice.toRelay.map((one) => one.id)).toContain(out!.id);
  });

  it("are told again to whoever begins a new session: its store may be an older one", async () => {
    const { alice, bob, addresses } = await withTwoRelays();
    const { conversation } = alice.slice;
    const { contact, ...peer } = openPeerOf(alice);
    const older = { ...contact, addresses: addresses.slice(0, 1), addressedAt: contact.namedAt };
    alice.slice = {
      ...alice.slice,
      conversation: { ...conversation!, peer: { ...peer, contact: older, sessions: [] } },
    };
    await alice.send("from a store that was put back");
    await settle(alice, bob);
    expect(knownTo(alice)).toEqual(addresses);
  });

  it("without an old one bring again at once what may lie there; with all of them nothing", async () => {
    const { alice, bob, addresses } = await withTwoRelays();
    const out = await takenByOne(alice);
    await bob.feed({ kind: "queue-ready", addresses: [...addresses, addressOf()] });
    await carry(bob, alice);
    expect(alice.toRelay.map((one) => one.id)).not.toContain(out.id);
    await bob.feed({ kind: "queue-ready", addresses: [addresses[1]!] });
    await carry(bob, alice);
    expect(alice.toRelay.map((one) => one.id)).toContain(out.id);
  });

  it("of an invite are in its offer, which is published again when they change", async () => {
    const { alice, bob, invite } = await invited();
    const addresses = [addressOf(), addressOf()];
    const [publish] = of(await alice.feed({ kind: "queue-ready", addresses }), "publish");
    const offer = await openInviteOffer(invite.seed, publish!.blob, nobleBackend);
    expect(offer?.addresses).toEqual(addresses);
    const { blob } = publish!;
    await bob.feed({ kind: "start-accept", id: "b".repeat(32), invite, blob });
    expect(knownTo(bob)).toEqual(addresses);
  });

  it("of an invite are told to whoever fetched the offer of before, also by a new process", async () => {
    const { alice, bob } = await accepted();
    const [first] = knownTo(bob);
    const addresses = [addressOf(), first!];
    await alice.feed({ kind: "queue-ready", addresses });
    expect(alice.toRelay).toEqual([]);
    alice.restart();
    await alice.feed({ kind: "hub", up: true });
    await carry(bob, alice);
    await settle(alice, bob);
    expect(knownTo(bob)).toEqual(addresses);
    expect([alice.slice.outbox, bob.slice.outbox]).toEqual([[], []]);
  });

  it("of an invite are not told to whoever took it when its offer named them from the start", async () => {
    const { alice, bob } = await accepted();
    await alice.feed({ kind: "queue-ready", addresses: knownTo(bob) });
    expect(alice.slice.outbox).toEqual([]);
  });
});

describe("a copy", () => {
  it("goes out COPY_AFTER_MS after one relay took what nobody confirmed, not sooner, and once", async () => {
    const { alice } = await withTwoRelays();
    const out = await takenByOne(alice);
    expect(wakeOf(alice.effects)).toBeLessThanOrEqual(alice.now + COPY_AFTER_MS);
    alice.now += COPY_AFTER_MS - 1;
    expect(copies(await alice.feed({ kind: "wake" }))).toEqual([]);
    alice.now += 1;
    const [copy] = copies(await alice.feed({ kind: "wake" }));
    expect(copy).toMatchObject({ id: out.id, blob: out.blob });
    expect(firsts(alice.effects)).toEqual([]);
    expect(copies(await alice.feed({ kind: "wake" }))).toEqual([]);
    const { id } = out;
    await alice.feed({ kind: "transmitted", id, path: "relay", outcome: "ok", copy: true });
    expect(alice.slice.outbox[0]).toMatchObject({ id, copiedAt: alice.now });
    alice.now += COPY_AFTER_MS;
    expect(copies(await alice.feed({ kind: "wake" }))).toEqual([]);
  });

  it("is tried again after COPY_PAUSE_MS when the relay does not take it, and holds nothing else up", async () => {
    const { alice } = await withTwoRelays();
    for (const outcome of ["lost", "quota", "gone"] as const) {
      alice.toRelay.length = 0;
      const { id } = await takenByOne(alice, outcome);
      alice.now += COPY_AFTER_MS;
      expect(copies(await alice.feed({ kind: "wake" })).map((one) => one.id)).toContain(id);
      await alice.feed({ kind: "transmitted", id, path: "relay", outcome, copy: true });
      await alice.send(`after ${outcome}`);
      expect(firsts(alice.effects)).toHaveLength(1);
      alice.now += COPY_PAUSE_MS - 1;
      expect(copies(await alice.feed({ kind: "wake" }))).toEqual([]);
      alice.now += 1;
      expect(copies(await alice.feed({ kind: "wake" })).map((one) => one.id)).toContain(id);
      for (const one of alice.slice.live.copying) {
        const done = { kind: "transmitted", id: one, path: "relay", outcome: "ok" } as const;
        await alice.feed({ ...done, copy: true });
      }
    }
    expect([...alice.messages.values()].map((one) => one.status)).not.toContain("failed");
  });

  it.each([
    ["lost", [1, 1]],
    ["ok", [0, 0]],
  ] as const)(
    "that came to %s: whether the other side is asked, and gets anew what it may have confirmed in vain",
    async (outcome, expected) => {
      const { alice, bob } = await withTwoRelays();
      const { id, blob } = await takenByOne(alice);
      await deliver(bob, blob);
      // His receipt is at the relay that is lost.
      for (const receipt of bob.toRelay.splice(0)) {
        await bob.feed({ kind: "transmitted", id: receipt.id, path: "relay", outcome: "ok" });
      }
      alice.now += COPY_AFTER_MS;
      bob.now = alice.now;
      expect(copies(await alice.feed({ kind: "wake" })).map((one) => one.id)).toEqual([id]);
      const copied = { kind: "transmitted", id, path: "relay", outcome, copy: true } as const;
      const asked = of(await alice.feed(copied), "signal");
      expect(of(await alice.feed(copied), "signal")).toEqual([]);
      for (const signal of asked) await deliverDirect(bob, signal.blob);
      const answers = of(bob.effects, "signal");
      for (const signal of answers) await deliverDirect(alice, signal.blob);
      const again = firsts(alice.toRelay);
      expect([asked.length, again.length]).toEqual(expected);
      if (outcome === "ok") return;
      expect(again[0]?.id).not.toBe(id);
      alice.toRelay.splice(0, 1);
      await settle(alice, bob);
      expect(alice.slice.outbox).toEqual([]);
      expect(bob.shown).toEqual(["hello"]);
    },
  );

  it(`is one of COPIES_MAX without an answer, beside ${IN_FLIGHT_MAX} others`, async () => {
    const { alice } = await withTwoRelays();
    for (let at = 0; at <= COPIES_MAX; at++) await takenByOne(alice, `text ${at}`);
    alice.now += COPY_AFTER_MS;
    const out = copies(await alice.feed({ kind: "wake" }));
    expect(out).toHaveLength(COPIES_MAX);
    await alice.send("one more");
    expect(firsts(alice.effects)).toHaveLength(1);
    expect(copies(alice.effects)).toEqual([]);
    const answer = { kind: "transmitted", path: "relay", outcome: "ok", copy: true } as const;
    expect(copies(await alice.feed({ ...answer, id: out[0]!.id }))).toHaveLength(1);
  });

  it("that is refused again and again holds back none behind it, and asks the other side once in PROBE_EVERY_MS", async () => {
    const { alice } = await withTwoRelays();
    for (let at = 0; at < 2 * COPIES_MAX + 2; at++) await takenByOne(alice, `text ${at}`);
    const ids = alice.slice.outbox.map(({ id }) => id);
    const rounds: string[][] = [];
    const refusing = { kind: "transmitted", path: "relay", outcome: "lost", copy: true } as const;
    let probes = 0;
    for (let round = 0; round < 3; round++) {
      alice.now += Math.max(COPY_AFTER_MS, COPY_PAUSE_MS);
      const out = copies(await alice.feed({ kind: "wake" }));
      probes += of(alice.effects, "signal").length;
      rounds.push(out.map(({ id }) => id));
      for (const { id } of out) {
        alice.now += 1;
        probes += of(await alice.feed({ ...refusing, id }), "signal").length;
      }
      const due = alice.slice.live.probedAt + PROBE_EVERY_MS;
      expect(wakeOf(alice.effects)).toBeLessThanOrEqual(due);
      alice.now = due;
      probes += of(await alice.feed({ kind: "wake" }), "signal").length;
      expect(of(await alice.feed({ kind: "wake" }), "signal")).toEqual([]);
    }
    expect(rounds).toEqual([
      ids.slice(0, COPIES_MAX),
      ids.slice(COPIES_MAX, 2 * COPIES_MAX),
      [...ids.slice(2 * COPIES_MAX), ...ids.slice(0, COPIES_MAX - 2)],
    ]);
    expect(probes).toBe(6);
  });

  it("is not made with one address, of a receipt, of what is confirmed, or before a relay has it", async () => {
    const one = await paired();
    await takenByOne(one.alice);
    one.alice.now += COPY_AFTER_MS;
    expect(copies(await one.alice.feed({ kind: "wake" }))).toEqual([]);
    const { alice, bob } = await withTwoRelays();
    await bob.send("is receipted");
    const all: Effect[] = [];
    await carry(bob, alice);
    alice.now += 250;
    all.push(...(await alice.feed({ kind: "wake" })));
    expect(alice.toRelay.splice(0)).toHaveLength(1);
    await alice.send("not taken");
    alice.now += COPY_AFTER_MS;
    all.push(...(await alice.feed({ kind: "wake" })));
    expect(copies(all)).toEqual([]);
    await settle(alice, bob);
    const confirmed = await takenByOne(alice, "confirmed");
    await deliver(bob, confirmed.blob);
    await settle(alice, bob);
    alice.now += COPY_AFTER_MS;
    expect(copies(await alice.feed({ kind: "wake" }))).toEqual([]);
  });

  it("begins anew with a new connection, and with a new envelope", async () => {
    const { alice, bob, addresses } = await withTwoRelays();
    const { id } = await takenByOne(alice);
    alice.now += COPY_AFTER_MS;
    expect(copies(await alice.feed({ kind: "wake" }))).toHaveLength(1);
    await alice.feed({ kind: "hub", up: false });
    expect(copies(await alice.feed({ kind: "hub", up: true }))).toHaveLength(1);
    await alice.feed({ kind: "transmitted", id, path: "relay", outcome: "ok", copy: true });
    // Bob answers, long after: what he does not confirm is sealed anew.
    bob.now = alice.now + RESEND_AFTER_MS;
    alice.now = bob.now;
    alice.toRelay.length = 0;
    await bob.send("still here");
    await carry(bob, alice);
    alice.now += DIRECT_PATIENCE_MS;
    await alice.feed({ kind: "wake" });
    const [row] = alice.slice.outbox;
    expect(row?.id).not.toBe(id);
    expect(row).toMatchObject({ relayedAt: undefined, copiedAt: undefined });
    await alice.feed({ kind: "transmitted", id: row!.id, path: "relay", outcome: "ok" });
    alice.now += COPY_AFTER_MS;
    expect(copies(await alice.feed({ kind: "wake" })).map((one) => one.id)).toEqual([row!.id]);
    expect(knownTo(alice)).toEqual(addresses);
  });

  it("does not wait for a clock that was set back: it counts from when the relay is asked anew", async () => {
    const { alice } = await withTwoRelays();
    const { id } = await takenByOne(alice);
    alice.now -= 86_400_000;
    expect(firsts(await alice.feed({ kind: "wake" })).map((one) => one.id)).toEqual([id]);
    await alice.feed({ kind: "transmitted", id, path: "relay", outcome: "ok" });
    alice.now += COPY_AFTER_MS;
    const [copy] = copies(await alice.feed({ kind: "wake" }));
    expect(copy?.id).toBe(id);
    await alice.feed({ kind: "transmitted", id, path: "relay", outcome: "lost", copy: true });
    alice.now -= 86_400_000;
    await alice.feed({ kind: "wake" });
    alice.toRelay.length = 0;
    const later = await takenByOne(alice, "later");
    alice.now += COPY_PAUSE_MS;
    expect(copies(await alice.feed({ kind: "wake" })).map((one) => one.id)).toContain(later.id);
  });
});

describe("the same envelope from a second relay", () => {
  /** Dropped as known, acknowledged (`deliver` checks that), and no sign that anything is broken. */
  async function again(side: Side, blob: Uint8Array): Promise<void> {
    const before = openPeerOf(side);
    const effects = await deliver(side, blob);
    expect(reasons(effects)).toEqual(["duplicate"]);
    expect(side.slice.live.unopenedAt).toBeUndefined();
    // A receipt that goes out again at once moves the chain on.
    const ids = (one: typeof before) => one.sessions.map(({ id }) => id);
    expect(ids(openPeerOf(side))).toEqual(ids(before));
  }

  it("counts once in the same session and after its chain has ended, and no session is begun", async () => {
    const { alice, bob } = await withTwoRelays();
    await alice.send("one");
    const [one] = alice.toRelay;
    await carry(alice, bob);
    await again(bob, one!.blob);
    for (const text of ["two", "three"]) {
      await bob.send(text);
      await settle(alice, bob);
      await alice.send(`${text}, too`);
      await settle(alice, bob);
    }
    await again(bob, one!.blob);
    bob.now += RESEND_AFTER_MS;
    await bob.feed({ kind: "wake" });
    expect(openPeerOf(bob).spares.usedAt).toBe(0);
    expect(bob.shown.filter((text) => text === "one")).toHaveLength(1);
  });

  it("counts once when it is the first message of all, before and after it was answered", async () => {
    const { alice, bob } = await accepted();
    const [hello] = bob.toRelay;
    await carry(bob, alice);
    await again(alice, hello!.blob);
    await settle(alice, bob);
    await again(alice, hello!.blob);
    expect(openPeerOf(alice).sessions).toHaveLength(1);
  });

  it("counts once when it is a receipt, a name, or says where to write", async () => {
    const { alice, bob, addresses } = await withTwoRelays();
    await alice.send("to be receipted");
    await bob.feed({ kind: "rename", name: "Robert" });
    await bob.feed({ kind: "queue-ready", addresses: [...addresses, addressOf()] });
    await carry(alice, bob);
    bob.now += 250;
    await bob.feed({ kind: "wake" });
    const blobs = bob.toRelay.map((one) => one.blob);
    expect(blobs).toHaveLength(3);
    await carry(bob, alice);
    for (const blob of blobs) await again(alice, blob);
  });

  it("is known for RECEIVED_MAX contents more", async () => {
    const { alice, bob } = await withTwoRelays();
    const blobs: Uint8Array[] = [];
    for (let at = 0; at < RECEIVED_MAX; at++) {
      await alice.send(`text ${at}`);
      for (const { id, blob } of alice.toRelay.splice(0)) {
        blobs.push(blob);
        await deliver(bob, blob);
        await alice.feed({ kind: "transmitted", id, path: "relay", outcome: "ok" });
      }
    }
    await again(bob, blobs[0]!);
  });

  it("counts once whatever it is: lists, spares, offers, pages, keys and messages of groups", async () => {
    const sessions: number[][] = [];
    for (const doubled of [false, true]) {
      const fleet = createFleet();
      fleet.doubled = doubled;
      const { people } = await circle(["Ann", "Bob", "Cy"], fleet);
      for (const [at, one] of people.entries()) {
        await say(one, `text ${at}`);
        await fleet.pass(1_000);
      }
      await fleet.settle();
      const counts: number[] = [];
      for (const one of people) {
        expect(read(one)).toEqual(["text 0", "text 1", "text 2"]);
        for (const { live, conversation } of one.slices.values()) {
          expect(live.unopenedAt).toBeUndefined();
          if (conversation?.peer.state !== "open") continue;
          expect(conversation.peer.spares.askedAt).toBe(0);
          counts.push(conversation.peer.sessions.length);
        }
      }
      sessions.push(counts);
    }
    // Two who meet in the group may both begin; nobody begins more for having heard everything twice.
    expect(sessions[1]).toEqual(sessions[0]);
  });
});
