/**
 * T-12: everything that was ever sent, sent again, also to a device that was put back (Threema: replay and reflection
 * after a reinstall). Through the engine, with the real cipher suite.
 */
import { describe, expect, it } from "vitest";
import {
  accepted,
  carry,
  deliver,
  deliverDirect,
  of,
  openPeerOf,
  paired,
  reasons,
  sent,
  settle,
  type Side,
} from "../../packages/protocol/test/fixture.ts";

interface Recorded {
  readonly alice: Side;
  readonly bob: Side;
  /** Every blob, in the order of sending. */
  readonly fromAlice: readonly Uint8Array[];
  readonly fromBob: readonly Uint8Array[];
}

/** A conversation from its first HELLO on, with everything that was on the wire. */
async function recorded(): Promise<Recorded> {
  const { alice, bob } = await accepted();
  const fromAlice: Uint8Array[] = [];
  const fromBob: Uint8Array[] = [];
  const carryAll = async (): Promise<void> => {
    for (let round = 0; round < 6; round++) {
      for (const side of [alice, bob]) {
        side.now += 250;
        await side.feed({ kind: "wake" });
      }
      fromAlice.push(...alice.toRelay.map(({ blob }) => blob));
      await carry(alice, bob);
      fromBob.push(...bob.toRelay.map(({ blob }) => blob));
      await carry(bob, alice);
    }
  };
  await carryAll();
  for (let turn = 0; turn < 4; turn++) {
    await alice.send(`alice ${turn}`);
    await alice.send(`alice ${turn} again`);
    await carryAll();
    await bob.send(`bob ${turn}`);
    await carryAll();
  }
  // Presence is on the wire too.
  for (const [side, other, blobs] of [
    [alice, bob, fromAlice],
    [bob, alice, fromBob],
  ] as const) {
    const effects = await side.feed({ kind: "want", wanted: true });
    for (const { blob } of of(effects, "signal")) {
      blobs.push(blob);
      await deliver(other, blob);
    }
    await side.feed({ kind: "want", wanted: false });
  }
  await settle(alice, bob);
  return { alice, bob, fromAlice, fromBob };
}

const shownBy = (side: Side): readonly string[] => [...side.shown];

/** What a replay must not change. Only receipts may go out again, and those move the sending half of a session. */
const essence = (side: Side) => {
  const { contact, sessions, change, spares } = openPeerOf(side);
  const { unread } = side.slice.conversation ?? { unread: 0 };
  const received = sessions.map(({ id, receiving, skipped }) => ({ id, receiving, skipped }));
  return structuredClone({ contact, received, change, spares, unread, shown: shownBy(side) });
};

describe("everything Alice ever sent to Bob, again", () => {
  it("changes nothing, over the relay and over a direct link, in order and backwards", async () => {
    const { bob, fromAlice } = await recorded();
    expect(fromAlice.length).toBeGreaterThan(12);
    const before = essence(bob);
    for (const blobs of [fromAlice, fromAlice.toReversed()]) {
      for (const [index, blob] of blobs.entries()) {
        const effects = await (index % 2 === 0 ? deliver(bob, blob) : deliverDirect(bob, blob));
        expect(reasons(effects)).toHaveLength(1);
      }
    }
    expect(essence(bob)).toEqual(before);
  });

  it("changes nothing after a new process on the same store", async () => {
    const { alice, bob, fromAlice } = await recorded();
    const before = essence(bob);
    bob.restart();
    for (const blob of fromAlice) await deliver(bob, blob);
    expect(essence(bob)).toEqual(before);
    await bob.feed({ kind: "hub", up: true });
    await alice.send("and on");
    await settle(alice, bob);
    expect(bob.shown.at(-1)).toBe("and on");
    expect(alice.slice.outbox).toEqual([]);
  });

  it("is shown once by a device whose ratchet was put back, though the old state opens it again", async () => {
    const { alice, bob } = await paired();
    const old = openPeerOf(bob).sessions;
    const blobs: Uint8Array[] = [];
    for (const text of ["one", "two", "three"]) {
      await alice.send(text);
      blobs.push(...alice.toRelay.map(({ blob }) => blob));
      await carry(alice, bob);
    }
    const { conversation } = bob.slice;
    if (conversation === undefined) throw new Error("no conversation");
    const forgetful = { ...openPeerOf(bob), sessions: old, received: new Uint8Array(0) };
    bob.slice = { ...bob.slice, conversation: { ...conversation, peer: forgetful } };
    bob.restart();
    const verdicts: string[] = [];
    for (const blob of blobs) verdicts.push(...reasons(await deliver(bob, blob)));
    expect(bob.shown).toEqual(["one", "two", "three"]);
    expect(bob.slice.conversation?.unread).toBe(conversation.unread);
    // Opened, and known by the content's id in the store; from then on its key is gone here too.
    expect(verdicts).toEqual(["duplicate", "duplicate", "duplicate"]);
    expect(openPeerOf(bob).sessions).not.toEqual(old);
  });

  it("is shown once by a device whose ratchet and memory of contents were put back", async () => {
    const { alice, bob } = await paired();
    const { conversation: old } = bob.slice;
    const blobs: Uint8Array[] = [];
    for (const text of ["one", "two", "three"]) {
      await alice.send(text);
      blobs.push(...alice.toRelay.map(({ blob }) => blob));
      await carry(alice, bob);
    }
    const { conversation: now } = bob.slice;
    if (old === undefined || now === undefined) throw new Error("no conversation");
    expect(bob.shown).toEqual(["one", "two", "three"]);
    // All but the version, which the store itself keeps: what is left to say so is the store's own row of each message.
    bob.slice = { ...bob.slice, conversation: { ...old, version: now.version } };
    for (const blob of blobs) await deliver(bob, blob);
    expect(bob.shown).toEqual(["one", "two", "three"]);
  });
});

describe("what Alice sent, sent back to her", () => {
  it("opens nothing, changes nothing and is answered with nothing: messages, HELLOs and signals", async () => {
    const { alice, bob, fromAlice, fromBob } = await recorded();
    for (const [side, blobs] of [
      [alice, fromAlice],
      [bob, fromBob],
    ] as const) {
      expect(new Set(blobs.map(([type]) => type)).size).toBeGreaterThan(1);
      const before = essence(side);
      for (const blob of blobs) {
        const effects = await deliver(side, blob);
        expect(reasons(effects)).toHaveLength(1);
        expect([...sent(effects, "relay"), ...of(effects, "signal")]).toEqual([]);
      }
      expect(essence(side)).toEqual(before);
    }
  });
});
