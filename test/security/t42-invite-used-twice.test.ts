/**
 * T-42: somebody else uses the link too. What the product does today: the one who comes second is told, and gets nothing;
 * the inviter's conversation is untouched, and nothing tells the inviter (SECURITY.md). The relay's half, that an invite
 * has one sender: relay/test.
 */
import { describe, expect, it } from "vitest";
import {
  addressOf,
  carry,
  createSide,
  deliver,
  inviteFrom,
  of,
  openPeerOf,
  reasons,
  sent,
  settle,
  type Side,
  START,
} from "../../packages/protocol/test/fixture.ts";

/** Both have the link and have fetched the offer; whoever is first has its introduction on the way. */
async function twoWithOneLink() {
  const alice = await createSide("Alice");
  const { invite, blob } = await inviteFrom(alice);
  const accept = async (name: string): Promise<Side> => {
    const side = await createSide(name);
    await side.feed({ kind: "start-accept", id: "b".repeat(32), invite, blob });
    await side.feed({ kind: "hub", up: true });
    await side.feed({ kind: "queue-ready", addresses: [addressOf()] });
    return side;
  };
  return { alice, first: await accept("Mallory"), second: await accept("Bob") };
}

describe("the one who comes second", () => {
  it("is told that the link was used, before anything of the conversation is shown as sent", async () => {
    const { alice, first, second } = await twoWithOneLink();
    await carry(first, alice);
    const id = await second.send("is it you, Alice?");
    // The relay gave the queue to its first sender; it says gone to every other, and goes on saying so.
    while (second.slice.conversation?.peer.state !== "refused") {
      expect(second.messages.get(id)?.status).not.toBe("delivered");
      expect(second.now).toBeLessThan(START + 24 * 3_600_000);
      for (const { id: out } of second.toRelay.splice(0)) {
        await second.feed({ kind: "transmitted", id: out, path: "relay", outcome: "gone" });
      }
      second.now += 60_000;
      await second.feed({ kind: "wake" });
    }
    expect(second.slice.conversation.peer).toEqual({ state: "refused", reason: "gone" });
    expect(second.messages.get(id)?.status).toBe("failed");
  });

  it("gets nothing from a relay that lets it in all the same: no session, no answer, no change of the contact", async () => {
    const { alice, first, second } = await twoWithOneLink();
    await carry(first, alice);
    await settle(alice, first);
    const { contact, sessions } = openPeerOf(alice);
    expect(contact.name).toBe("Mallory");
    const stored = alice.shown;
    expect(second.toRelay.length).toBeGreaterThan(0);
    for (const { blob } of second.toRelay) {
      const effects = await deliver(alice, blob);
      expect(reasons(effects)).toEqual(["unexpected"]);
      expect([...sent(effects, "relay"), ...of(effects, "signal")]).toEqual([]);
    }
    const after = openPeerOf(alice);
    expect(after.contact).toEqual(contact);
    expect(after.sessions).toEqual(sessions);
    expect(alice.shown).toEqual(stored);
  });
});

describe("the inviter", () => {
  it("has the first one in the conversation, by the root key that the safety number is over", async () => {
    const { alice, first } = await twoWithOneLink();
    await carry(first, alice);
    const { contact } = openPeerOf(alice);
    expect(contact.cert).toEqual(first.self.cert);
    expect(contact.verified).toBe(false);
  });

  it("cannot tell a second use from a stale frame: it is counted, and asks for no decision", async () => {
    const { alice, first, second } = await twoWithOneLink();
    await carry(first, alice);
    await settle(alice, first);
    for (const { blob } of second.toRelay) await deliver(alice, blob);
    expect(openPeerOf(alice).change).toBeUndefined();
    // What it does bring about is a fresh session with the contact it has, as any frame that opens nothing does.
    alice.now += 120_000;
    await alice.feed({ kind: "wake" });
    expect(openPeerOf(alice).sessions[0]?.helloHeader).toBeDefined();
    expect(alice.toRelay.length).toBeGreaterThan(0);
    for (const { blob } of alice.toRelay) {
      expect(reasons(await deliver(second, blob))).toEqual(["unexpected"]);
    }
    await carry(alice, first);
    await alice.send("still you?");
    first.now = alice.now;
    await settle(alice, first);
    expect(first.shown).toContain("still you?");
  });
});
