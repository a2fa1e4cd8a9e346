/**
 * T-18: receipts that tell what somebody is doing (Careless Whisper: silent messages whose receipts give away screen,
 * sleep and battery). A receipt says that a content is stored, and what brings one does not depend on the person: it is
 * the same whether anybody reads, and nobody but a contact gets any. That several become one, and limits of what waits:
 * packages/protocol/test/outbox.test.ts.
 */
import { encrypt, nobleBackend } from "@sotto/crypto";
import { RECEIPT_GAP_MS } from "@sotto/protocol";
import { asContentId, encodeContent } from "@sotto/wire";
import { describe, expect, it } from "vitest";
import {
  accepted,
  carry,
  deliver,
  entropy,
  openPeerOf,
  paired,
  reasons,
  type Side,
} from "../../packages/protocol/test/fixture.ts";

/** Sizes of what left Bob at once with each text, while Alice sends five through half an hour. */
async function answersOf(bob: Side, alice: Side, between: () => Promise<void>) {
  const sizes: number[] = [];
  for (let turn = 0; turn < 5; turn++) {
    alice.now += 360_000;
    bob.now = alice.now;
    await alice.send(`${turn}`);
    for (const { id, blob } of alice.toRelay.splice(0)) {
      await alice.feed({ kind: "transmitted", id, path: "relay", outcome: "ok" });
      await deliver(bob, blob);
    }
    sizes.push(...bob.toRelay.map(({ blob }) => blob.length));
    await carry(bob, alice);
    await between();
    expect(bob.toRelay).toEqual([]);
  }
  return sizes;
}

describe("a receipt", () => {
  it("goes at the same time whether its person reads, writes nothing, or has the conversation open", async () => {
    const idle = await paired();
    const expected = await answersOf(idle.bob, idle.alice, () => Promise.resolve());
    expect(expected).toHaveLength(5);
    const reading = await paired();
    const { bob } = reading;
    const read = async (): Promise<void> => {
      await bob.feed({ kind: "mark-read" });
      expect(bob.slice.conversation?.unread).toBe(0);
    };
    expect(await answersOf(bob, reading.alice, read)).toEqual(expected);
  });

  it("is one for a burst of silent contents, whatever is in them", async () => {
    const { alice, bob } = await paired();
    bob.now += RECEIPT_GAP_MS;
    let [session] = openPeerOf(alice).sessions;
    let left = 0;
    for (let turn = 0; turn < 50; turn++) {
      // A profile shows nothing on the other screen.
      const time = { ms: alice.now, counter: turn };
      const id = asContentId(entropy(16));
      const content = encodeContent({ kind: "profile", id, time, name: "Alice" });
      if (session === undefined) throw new Error("no session");
      const env = { entropy, crypto: nobleBackend, now: alice.now };
      const sealed = await encrypt(session, content, env);
      session = sealed.session;
      await deliver(bob, sealed.envelope);
      left += bob.toRelay.splice(0).length;
    }
    expect(left).toBe(1);
    expect(bob.shown).toEqual([]);
  });

  it("is for contacts: what opens nowhere, or by a way that is used up, has none", async () => {
    const { alice, bob } = await accepted();
    const [hello] = bob.toRelay;
    if (hello === undefined) throw new Error("no HELLO");
    await carry(bob, alice);
    alice.toRelay.length = 0;
    const stranger = await accepted();
    const [foreign] = stranger.bob.toRelay;
    if (foreign === undefined) throw new Error("no HELLO");
    for (const blob of [
      foreign.blob,
      entropy(256),
      hello.blob.map((byte, at) => (at === 20 ? byte ^ 1 : byte)),
    ]) {
      alice.now += 1_000;
      const effects = await deliver(alice, blob);
      expect(reasons(effects)).toHaveLength(1);
      expect(openPeerOf(alice).owed).toEqual([]);
    }
    expect(alice.toRelay).toEqual([]);
  });
});
