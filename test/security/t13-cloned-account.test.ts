/**
 * T-13: a clone of a profile runs beside it (Threema: account cloning from an export). Two devices with one state use one
 * message number twice; the first answer or signal that follows shows it. Forks of lists: packages/crypto/test/
 * device-list.test.ts; of group operations: packages/crypto/test/membership.test.ts.
 */
import { describe, expect, it } from "vitest";
import {
  carry,
  createSide,
  deliver,
  of,
  openPeerOf,
  paired,
  reasons,
  settle,
  type Side,
} from "../../packages/protocol/test/fixture.ts";

/** Everything that the store of `side` holds, at work on another machine. */
async function cloneOf(side: Side): Promise<Side> {
  const clone = await createSide("clone");
  clone.now = side.now;
  clone.slice = structuredClone(side.slice);
  for (const [id, row] of side.messages) clone.messages.set(id, structuredClone(row));
  for (const [id, row] of side.outbox) clone.outbox.set(id, structuredClone(row));
  return clone;
}

/** Both ask for signals, as devices do that have the conversation open. */
async function signals(from: Side, to: Side): Promise<readonly string[]> {
  const effects = await from.feed({ kind: "want", wanted: true });
  const dropped: string[] = [];
  for (const { blob } of of(effects, "signal")) dropped.push(...reasons(await deliver(to, blob)));
  await from.feed({ kind: "want", wanted: false });
  return dropped;
}

async function cloned() {
  const { alice, bob } = await paired();
  return { alice, bob, clone: await cloneOf(alice) };
}

describe("a clone that writes in its owner's name", () => {
  it("uses a number that its owner uses too: one of the two opens, and the contact sees that ratchets ran apart", async () => {
    const { alice, bob, clone } = await cloned();
    await clone.send("from the clone");
    await carry(clone, bob);
    await alice.send("from the owner");
    const [own] = alice.toRelay.splice(0);
    if (own === undefined) throw new Error("nothing sent");
    expect(reasons(await deliver(bob, own.blob))).toEqual(["duplicate"]);
    expect(bob.shown).toEqual(["from the clone"]);
  });

  it("is noticed by its owner with the next thing that the contact says, and cannot read what follows", async () => {
    const { alice, bob, clone } = await cloned();
    await clone.send("from the clone");
    await carry(clone, bob);
    // One signal: it says how far Bob has read, which is further than Alice has ever written.
    expect(await signals(bob, alice)).toEqual(["old-store"]);
    expect(openPeerOf(alice).sessions.length).toBeLessThanOrEqual(1);
    await alice.send("from the owner");
    await settle(alice, bob);
    expect(bob.shown).toContain("from the owner");
    const [session] = openPeerOf(bob).sessions;
    const known = openPeerOf(clone).sessions.map(({ id }) => id);
    expect(known).not.toContainEqual(session?.id);
    await bob.send("to the owner alone");
    for (const { blob } of bob.toRelay) {
      expect(reasons(await deliver(clone, blob))).not.toEqual([]);
    }
    expect(clone.shown).not.toContain("to the owner alone");
    await carry(bob, alice);
    expect(alice.shown).toContain("to the owner alone");
  });

  it("that only listens is shut out by its owner's next turn, without anybody noticing", async () => {
    const { alice, bob, clone } = await cloned();
    for (const turn of ["one", "two"]) {
      await alice.send(turn);
      await settle(alice, bob);
      await bob.send(`${turn} back`);
      for (const { blob } of bob.toRelay) await deliver(clone, blob);
      await settle(alice, bob);
    }
    expect(alice.shown).toContain("two back");
    expect(clone.shown).not.toContain("two back");
  });
});
