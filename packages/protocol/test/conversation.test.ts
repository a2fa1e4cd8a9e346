import { createInviteBundle, nobleBackend, sealInviteOffer } from "@sotto/crypto";
import {
  type Effect,
  GONE_LATE_MS,
  GONE_PAUSE_MS,
  OUTBOX_MAX,
  QUEUE_TTL_HOURS,
  QUOTA_PAUSE_MS,
  WAKE_MAX_MS,
  WAKE_MIN_MS,
} from "@sotto/protocol";
import { asAccountId, equalBytes, TEXT_BYTES_MAX } from "@sotto/wire";
import { describe, expect, it } from "vitest";
import {
  accepted,
  addressOf,
  carry,
  createSide,
  deliver,
  entropy,
  inviteFrom,
  invited,
  messageId,
  of,
  openPeerOf,
  paired,
  reasons,
  sent,
  settle,
  type Side,
  START,
  wakeOf,
} from "./fixture.ts";

describe("notes to oneself", () => {
  it("are stored as delivered and go nowhere", async () => {
    const side = await createSide("Alice");
    await side.feed({ kind: "start-notes", id: "n".repeat(32) });
    await side.feed({ kind: "hub", up: true });
    const effects = await side.feed({ kind: "send-text", id: messageId(), text: "buy bread" });
    expect(effects.map((one) => one.kind)).toEqual(["commit"]);
    expect([...side.messages.values()].map((row) => row.status)).toEqual(["delivered"]);
    expect(side.slice.conversation?.last?.text).toBe("buy bread");
  });

  it("refuse a frame, and acknowledge it", async () => {
    const side = await createSide("Alice");
    await side.feed({ kind: "start-notes", id: "n".repeat(32) });
    const { slice } = side;
    const blob = new Uint8Array(256).fill(2);
    expect(reasons(await deliver(side, blob))).toEqual(["unexpected"]);
    expect(side.slice.conversation).toBe(slice.conversation);
  });

  it("cannot begin twice, nor anything else without a beginning", async () => {
    const side = await createSide("Alice");
    expect(reasons(await side.feed({ kind: "wake" }))).toEqual(["unexpected"]);
    await side.feed({ kind: "start-notes", id: "n".repeat(32) });
    const again = await side.feed({ kind: "start-notes", id: "n".repeat(32) });
    expect(again).toEqual([{ kind: "dropped", reason: "unexpected" }]);
  });
});

describe("an invite", () => {
  it("asks for its queue, then publishes its offer, until the relay has both", async () => {
    const side = await createSide("Alice");
    const begun = await side.feed({
      kind: "start-invite",
      id: "a".repeat(32),
      expiresAt: START + 1,
    });
    const [asked] = of(begun, "make-queue");
    expect(asked).toMatchObject({ ttlHours: QUEUE_TTL_HOURS });
    const [again] = of(await side.feed({ kind: "hub", up: true }), "make-queue");
    expect(again).toEqual(asked);
    const address = addressOf(entropy(24), asked?.firstUse.slice());
    const [offer] = of(await side.feed({ kind: "queue-ready", addresses: [address] }), "publish");
    await side.feed({ kind: "hub", up: false });
    const [offerAgain] = of(await side.feed({ kind: "hub", up: true }), "publish");
    expect(offerAgain?.linkId).toEqual(offer?.linkId);
    await side.feed({ kind: "published" });
    await side.feed({ kind: "hub", up: false });
    expect(of(await side.feed({ kind: "hub", up: true }), "publish")).toEqual([]);
  });

  it("publishes again when the relay had lost the queue and made it anew", async () => {
    const { alice } = await invited();
    const { conversation } = alice.slice;
    if (conversation?.peer.state !== "invited") throw new Error("not invited");
    const [address] = conversation.peer.queue.addresses;
    if (address === undefined) throw new Error("no address");
    expect(
      of(await alice.feed({ kind: "queue-ready", addresses: [address] }), "publish"),
    ).toHaveLength(1);
  });

  it("keeps texts until someone joins", async () => {
    const { alice } = await invited();
    await alice.send("are you there?");
    expect(sent(alice.effects, "relay")).toEqual([]);
    expect(alice.slice.outbox.map((row) => row.envelope)).toEqual([undefined]);
    expect([...alice.messages.values()][0]?.status).toBe("queued");
  });
});

describe("accepting", () => {
  it("refuses an offer that was not sealed for this link", async () => {
    const { bob, invite } = await invited();
    const blob = new Uint8Array(3_072);
    const effects = await bob.feed({ kind: "start-accept", id: "b".repeat(32), invite, blob });
    expect(effects).toEqual([{ kind: "dropped", reason: "malformed" }]);
    expect(bob.slice.conversation).toBeUndefined();
  });

  it("refuses the offer of another account than the link names", async () => {
    const { bob, invite, blob } = await invited();
    const wrong = { ...invite, accountId: asAccountId(entropy(20)) };
    const effects = await bob.feed({
      kind: "start-accept",
      id: "b".repeat(32),
      invite: wrong,
      blob,
    });
    expect(effects).toEqual([{ kind: "dropped", reason: "wrong-identity" }]);
    expect(bob.slice.conversation).toBeUndefined();
  });

  it("refuses the offer under another seed", async () => {
    const { bob, invite, blob } = await invited();
    const wrong = { ...invite, seed: entropy(16) };
    const effects = await bob.feed({
      kind: "start-accept",
      id: "b".repeat(32),
      invite: wrong,
      blob,
    });
    expect(effects).toEqual([{ kind: "dropped", reason: "malformed" }]);
  });

  it("refuses a bundle with someone else's prekey under the right certificate", async () => {
    const { alice, bob, invite } = await invited();
    const mallory = await createSide("Mallory");
    const env = { entropy, crypto: nobleBackend, now: START };
    const { bundle } = await createInviteBundle(mallory.self, env);
    const forged = { ...bundle, cert: alice.self.cert };
    const offer = { bundle: forged, addresses: [addressOf()], name: "Alice" };
    const blob = await sealInviteOffer(invite.seed, offer, env);
    const effects = await bob.feed({ kind: "start-accept", id: "b".repeat(32), invite, blob });
    expect(effects).toEqual([{ kind: "dropped", reason: "wrong-identity" }]);
    expect(bob.slice.conversation).toBeUndefined();
  });

  it("introduces itself before anything that was typed earlier", async () => {
    const { alice, bob, invite, blob } = await invited();
    await bob.feed({ kind: "start-accept", id: "b".repeat(32), invite, blob });
    await bob.feed({ kind: "hub", up: true });
    await bob.send("first");
    await bob.send("second");
    expect(sent(bob.effects, "relay")).toEqual([]);
    await bob.feed({ kind: "queue-ready", addresses: [addressOf()] });
    expect(sent(bob.effects, "relay")).toHaveLength(3);
    const [introduction, ...texts] = sent(bob.effects, "relay");
    if (introduction === undefined) throw new Error("nothing sent");
    await deliver(alice, introduction.blob);
    expect(openPeerOf(alice).contact.name).toBe("Bob");
    expect(openPeerOf(alice).contact.addresses).toHaveLength(1);
    expect(alice.shown).toEqual([]);
    for (const text of texts) await deliver(alice, text.blob);
    expect(alice.shown).toEqual(["first", "second"]);
  });

  it("is refused for good when the invite was used before: what was typed shows as failed", async () => {
    const { bob } = await accepted();
    const id = await bob.send("hello?");
    const { queueId } = openPeerOf(bob).queue;
    await answerAll(bob, "gone");
    expect(openPeerOf(bob).sessions).toHaveLength(1);
    expect(wakeOf(bob.effects)).toBe(bob.now + GONE_PAUSE_MS);
    bob.now += GONE_PAUSE_MS;
    await bob.feed({ kind: "wake" });
    const effects = await answerAll(bob, "gone");
    expect(bob.slice.conversation?.peer).toEqual({ state: "refused", reason: "gone" });
    expect(of(effects, "close-queue")).toEqual([{ kind: "close-queue", queueId }]);
    expect(bob.slice.outbox).toEqual([]);
    expect(bob.messages.get(id)?.status).toBe("failed");
    expect(reasons(await bob.feed({ kind: "send-text", id: messageId(), text: "x" }))).toEqual([
      "malformed",
    ]);
  });

  it("waits for the inviter to make its queue again when the relay lost it", async () => {
    const { alice, bob } = await accepted();
    const id = await bob.send("hello?");
    await answerAll(bob, "gone");
    bob.now += GONE_PAUSE_MS - 1;
    expect(sent(await bob.feed({ kind: "wake" }), "relay")).toEqual([]);
    // Another connection: the relay may have been started anew, so the pause begins again.
    await bob.feed({ kind: "hub", up: false });
    await bob.feed({ kind: "hub", up: true });
    await answerAll(bob, "gone");
    bob.now += GONE_PAUSE_MS - 1;
    expect(sent(await bob.feed({ kind: "wake" }), "relay")).toEqual([]);
    expect(bob.messages.get(id)?.status).toBe("queued");
    bob.now += 1;
    await bob.feed({ kind: "wake" });
    await carry(bob, alice);
    await settle(alice, bob);
    expect(alice.shown).toEqual(["hello?"]);
    expect(bob.messages.get(id)?.status).toBe("delivered");
  });

  it("starts the pause anew when its clock jumped ahead in it", async () => {
    const { alice, bob } = await accepted();
    const id = await bob.send("hello?");
    await answerAll(bob, "gone");
    bob.now += GONE_LATE_MS;
    await bob.feed({ kind: "wake" });
    await answerAll(bob, "gone");
    expect(wakeOf(bob.effects)).toBe(bob.now + GONE_PAUSE_MS);
    bob.now += GONE_PAUSE_MS;
    await bob.feed({ kind: "wake" });
    await carry(bob, alice);
    await settle(alice, bob);
    expect(bob.messages.get(id)?.status).toBe("delivered");
  });

  it("believes a timer that is late, and no longer", async () => {
    const { bob } = await accepted();
    await answerAll(bob, "gone");
    bob.now += GONE_LATE_MS - 1;
    await bob.feed({ kind: "wake" });
    await answerAll(bob, "gone");
    expect(bob.slice.conversation?.peer.state).toBe("refused");
  });

  it("starts the pause anew when the queue was there in between, and after its clock was set back", async () => {
    const { bob } = await accepted();
    await answerAll(bob, "gone");
    bob.now += GONE_PAUSE_MS;
    await bob.feed({ kind: "wake" });
    await answerAll(bob, "ok");
    await bob.send("once more");
    await answerAll(bob, "gone");
    expect(openPeerOf(bob).sessions).toHaveLength(1);
    bob.now -= 86_400_000;
    await bob.feed({ kind: "wake" });
    bob.now += QUOTA_PAUSE_MS;
    await bob.feed({ kind: "wake" });
    await answerAll(bob, "gone");
    expect(bob.slice.conversation?.peer.state).toBe("refused");
  });

  it("admits one person per invite", async () => {
    const { alice, bob, invite, blob } = await accepted();
    const carol = await createSide("Carol");
    await carol.feed({ kind: "start-accept", id: "c".repeat(32), invite, blob });
    await carol.feed({ kind: "hub", up: true });
    await carol.feed({ kind: "queue-ready", addresses: [addressOf()] });
    await carry(bob, alice);
    const [hello] = sent(carol.effects, "relay");
    if (hello === undefined) throw new Error("nothing sent");
    expect(reasons(await deliver(alice, hello.blob))).toEqual(["unexpected"]);
    expect(openPeerOf(alice).contact.name).toBe("Bob");
  });
});

describe("an invite that nobody used in time", () => {
  const LIFETIME_MS = 86_400_000;

  it("is withdrawn, and what was typed meanwhile shows as failed", async () => {
    const { alice } = await invited();
    const id = await alice.send("are you there?");
    const { peer } = alice.slice.conversation ?? {};
    if (peer?.state !== "invited") throw new Error("not invited");
    alice.now = START + LIFETIME_MS - 1_000;
    expect(wakeOf(await alice.feed({ kind: "wake" }))).toBe(START + LIFETIME_MS);
    alice.now = START + LIFETIME_MS - 1;
    await alice.feed({ kind: "wake" });
    expect(alice.slice.conversation?.peer.state).toBe("invited");
    alice.now += 1;
    const effects = await alice.feed({ kind: "wake" });
    expect(alice.slice.conversation?.peer).toEqual({ state: "refused", reason: "expired" });
    expect(effects.map((one) => one.kind)).toEqual(["commit", "close-queue"]);
    expect(of(effects, "close-queue")[0]?.queueId).toEqual(peer.queue.queueId);
    expect(alice.messages.get(id)?.status).toBe("failed");
    expect(alice.slice.outbox).toEqual([]);
  });

  it("takes a HELLO up to the last millisecond, and counts one that comes later", async () => {
    for (const [at, outcome] of [
      [LIFETIME_MS - 1, "open"],
      [LIFETIME_MS, "refused"],
    ] as const) {
      const { alice, bob } = await accepted();
      const [hello] = sent(bob.effects, "relay");
      if (hello === undefined) throw new Error("nothing sent");
      alice.now = START + at;
      const effects = await deliver(alice, hello.blob);
      expect(alice.slice.conversation?.peer.state).toBe(outcome);
      expect(reasons(effects)).toEqual(outcome === "open" ? [] : ["expired"]);
      if (outcome === "refused") {
        expect(reasons(await deliver(alice, hello.blob))).toEqual(["expired"]);
      }
    }
  });

  it("is not published any more", async () => {
    const alice = await createSide("Alice");
    await alice.feed({ kind: "start-invite", id: "a".repeat(32), expiresAt: START + LIFETIME_MS });
    alice.now += LIFETIME_MS;
    const effects = await alice.feed({ kind: "hub", up: true });
    expect(of(effects, "make-queue")).toEqual([]);
    await alice.feed({ kind: "queue-ready", addresses: [addressOf()] });
    expect(of(alice.effects, "publish")).toEqual([]);
  });

  it("lives no longer than its whole time after the clock was set back", async () => {
    const alice = await createSide("Alice");
    const expiresAt = START + LIFETIME_MS;
    await alice.feed({ kind: "start-invite", id: "a".repeat(32), expiresAt });
    const stateAt = async (now: number): Promise<string | undefined> => {
      alice.now = now;
      await alice.feed({ kind: "wake" });
      return alice.slice.conversation?.peer.state;
    };
    expect(await stateAt(START + LIFETIME_MS - 1)).toBe("invited");
    const back = START - 365 * LIFETIME_MS;
    expect(await stateAt(back)).toBe("invited");
    expect(await stateAt(back + LIFETIME_MS - 1)).toBe("invited");
    expect(await stateAt(back + LIFETIME_MS)).toBe("refused");
  });

  it("is looked after once a day, whatever becomes of the clock", async () => {
    const alice = await createSide("Alice");
    const expiresAt = START + 7 * LIFETIME_MS;
    await alice.feed({ kind: "start-invite", id: "a".repeat(32), expiresAt });
    expect(wakeOf(alice.effects)).toBe(START + WAKE_MAX_MS);
  });

  it("is not looked after sooner than WAKE_MIN_MS, however soon it ends", async () => {
    for (const [endsIn, wakesIn] of [
      [WAKE_MIN_MS - 1, WAKE_MIN_MS],
      [WAKE_MIN_MS, WAKE_MIN_MS],
      [WAKE_MIN_MS + 1, WAKE_MIN_MS + 1],
    ] as const) {
      const alice = await createSide("Alice");
      await alice.feed({ kind: "start-invite", id: "a".repeat(32), expiresAt: START + endsIn });
      expect(wakeOf(alice.effects)).toBe(START + wakesIn);
    }
  });
});

/** The relay's answer to everything handed to it. */
async function answerAll(side: Side, outcome: "ok" | "gone"): Promise<readonly Effect[]> {
  const effects: Effect[] = [];
  for (const { id } of side.toRelay.splice(0)) {
    effects.push(...(await side.feed({ kind: "transmitted", id, path: "relay", outcome })));
  }
  return effects;
}

describe("texts typed before the other side joined", () => {
  it("are sealed in order when it does, and shown in the same order on both sides", async () => {
    const { alice, bob, invite, blob } = await invited();
    for (const text of ["one", "two", "three"]) await alice.send(text);
    await bob.feed({ kind: "start-accept", id: "b".repeat(32), invite, blob });
    await bob.feed({ kind: "hub", up: true });
    await bob.send("from the other side");
    await bob.feed({ kind: "queue-ready", addresses: [addressOf()] });
    await carry(bob, alice);
    await settle(alice, bob);
    expect(bob.shown).toEqual(alice.shown);
    expect(bob.shown.filter((text) => text.length <= 5)).toEqual(["one", "two", "three"]);
    const statuses = [...alice.messages.values(), ...bob.messages.values()].map(
      (row) => row.status,
    );
    expect(new Set(statuses)).toEqual(new Set(["delivered", "received"]));
  });

  it("do not go to the relay before the introduction said where to", async () => {
    const { alice, bob } = await accepted();
    await bob.send("overtakes the introduction");
    const [introduction, text] = bob.slice.outbox;
    if (introduction?.envelope === undefined || text?.envelope === undefined) throw new Error("?");
    await alice.send("waiting");
    await deliver(alice, text.envelope);
    expect(alice.shown).toContain("overtakes the introduction");
    expect(sent(alice.effects, "relay")).toEqual([]);
    await deliver(alice, introduction.envelope);
    expect(sent(alice.effects, "relay").length).toBeGreaterThan(0);
  });
});

describe("names", () => {
  it("that change reach the other side, also when they change while an invite is open", async () => {
    const { alice, bob, invite, blob } = await invited();
    alice.slice = { ...alice.slice, self: { ...alice.self, name: "Alice B." } };
    await alice.feed({ kind: "rename", name: "Alice B." });
    await bob.feed({ kind: "start-accept", id: "b".repeat(32), invite, blob });
    expect(openPeerOf(bob).contact.name).toBe("Alice");
    await bob.feed({ kind: "hub", up: true });
    await bob.feed({ kind: "queue-ready", addresses: [addressOf()] });
    await carry(bob, alice);
    await settle(alice, bob);
    expect(openPeerOf(bob).contact.name).toBe("Alice B.");
    await bob.feed({ kind: "rename", name: "Robert" });
    await carry(bob, alice);
    expect(openPeerOf(alice).contact.name).toBe("Robert");
  });

  it("that are none are refused", async () => {
    const { alice } = await paired();
    for (const name of ["", "  ", "x".repeat(65), "a\nb"]) {
      expect(reasons(await alice.feed({ kind: "rename", name }))).toEqual(["malformed"]);
    }
    expect(reasons(await alice.feed({ kind: "rename", name: "x".repeat(64) }))).toEqual([]);
  });

  it("overtaken by a later one do not come back, and the address is still learnt", async () => {
    const { alice, bob } = await accepted();
    bob.now += 5;
    await bob.feed({ kind: "rename", name: "Robert" });
    const [introduction, profile] = bob.slice.outbox;
    if (introduction?.envelope === undefined || profile?.envelope === undefined)
      throw new Error("?");
    await deliver(alice, profile.envelope);
    await deliver(alice, introduction.envelope);
    expect(openPeerOf(alice).contact.name).toBe("Robert");
    expect(openPeerOf(alice).contact.addresses).toHaveLength(1);
  });
});

describe("writing", () => {
  it("takes 16 KiB of text and not a byte more", async () => {
    const { alice, bob } = await paired();
    const longest = "ü".repeat(TEXT_BYTES_MAX / 2);
    await alice.send(longest);
    await carry(alice, bob);
    expect(bob.shown).toEqual([longest]);
    const { slice } = alice;
    expect(
      reasons(await alice.feed({ kind: "send-text", id: messageId(), text: `${longest}x` })),
    ).toEqual(["malformed"]);
    expect(reasons(await alice.feed({ kind: "send-text", id: messageId(), text: "" }))).toEqual([
      "malformed",
    ]);
    expect(alice.slice.conversation).toBe(slice.conversation);
  });

  it("asked twice with one id sends once", async () => {
    const { alice } = await paired();
    await alice.feed({ kind: "hub", up: false });
    const id = messageId();
    await alice.feed({ kind: "send-text", id, text: "once" });
    const effects = await alice.feed({ kind: "send-text", id, text: "once" });
    expect(effects.map(({ kind }) => kind)).toEqual(["wake"]);
    expect(alice.slice.outbox).toHaveLength(1);
  });

  it("is refused when OUTBOX_MAX contents wait, and works again when one is settled", async () => {
    const { alice } = await invited();
    const ids = Array.from({ length: OUTBOX_MAX }, messageId);
    for (const id of ids) await alice.feed({ kind: "send-text", id, text: "x" });
    expect(alice.slice.outbox).toHaveLength(OUTBOX_MAX);
    const one = messageId();
    const { slice } = alice;
    expect(reasons(await alice.feed({ kind: "send-text", id: one, text: "x" }))).toEqual([
      "outbox-full",
    ]);
    expect(alice.slice.conversation).toBe(slice.conversation);
    expect(alice.messages.has(one)).toBe(false);
    expect(alice.slice.outbox).toHaveLength(OUTBOX_MAX);
    // A name is no text: it has room of its own.
    expect(reasons(await alice.feed({ kind: "rename", name: "Alice B." }))).toEqual([]);
    expect(alice.slice.outbox).toHaveLength(OUTBOX_MAX + 1);
  });

  it("keeps reading state: unread counts what came while not on screen", async () => {
    const { alice, bob } = await paired();
    await alice.send("1");
    await carry(alice, bob);
    expect(bob.slice.conversation?.unread).toBe(1);
    await bob.feed({ kind: "mark-read" });
    expect(bob.slice.conversation?.unread).toBe(0);
    await bob.feed({ kind: "want", wanted: true });
    await alice.send("2");
    await carry(alice, bob);
    expect(bob.slice.conversation?.unread).toBe(0);
    await bob.feed({ kind: "mark-verified", verified: true });
    expect(openPeerOf(bob).contact.verified).toBe(true);
    expect(await bob.feed({ kind: "mark-verified", verified: true })).not.toContainEqual(
      expect.objectContaining({ kind: "commit" }),
    );
  });
});

it("two invites of one person have nothing in common that the relay sees", async () => {
  const alice = await createSide("Alice");
  const first = await inviteFrom(alice);
  alice.slice = { ...alice.slice, conversation: undefined };
  alice.outbox.clear();
  const second = await inviteFrom(alice);
  expect(equalBytes(first.invite.seed, second.invite.seed)).toBe(false);
  expect(equalBytes(first.blob.subarray(0, 64), second.blob.subarray(0, 64))).toBe(false);
});
