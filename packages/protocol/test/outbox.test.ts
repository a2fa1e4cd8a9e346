import {
  AHEAD_MAX,
  DIRECT_AGAIN_MS,
  DIRECT_PATIENCE_MS,
  HEARD_AFTER_MS,
  IN_FLIGHT_MAX,
  LINK_PAUSE_MS,
  LOST_PAUSE_MS,
  OUTBOX_MAX,
  OVERTAKEN_MS,
  QUOTA_PAUSE_MS,
  RECEIPT_GAP_MS,
  RECEIPT_ROWS_MAX,
  RENEW_AFTER_MS,
  RENEW_AGE_MS_MAX,
  RESEND_AFTER_MS,
} from "@sotto/protocol";
import { EnvelopeType, equalBytes } from "@sotto/wire";
import { describe, expect, it } from "vitest";
import {
  accepted,
  carry,
  deliver,
  deliverDirect,
  entropy,
  messageId,
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

const statusOf = (side: Side, id: string) => side.messages.get(id)?.status;

async function ok(side: Side, id: string | undefined): Promise<void> {
  await side.feed({ kind: "transmitted", id: id ?? "", path: "relay", outcome: "ok" });
}

describe("a text", () => {
  it("goes to the relay at once, is relayed on OK and delivered on the receipt", async () => {
    const { alice, bob } = await paired();
    const id = await alice.send("hello");
    const [out] = sent(alice.effects, "relay");
    expect(statusOf(alice, id)).toBe("queued");
    await ok(alice, out?.id);
    expect(statusOf(alice, id)).toBe("relayed");
    bob.now += RECEIPT_GAP_MS;
    await deliver(bob, out!.blob);
    const [receipt] = sent(bob.effects, "relay");
    await deliver(alice, receipt!.blob);
    expect(statusOf(alice, id)).toBe("delivered");
    expect(alice.messages.get(id)?.path).toBe("relay");
    expect(alice.slice.outbox).toEqual([]);
  });

  it("stays delivered when the relay's OK comes late", async () => {
    const { alice, bob } = await paired();
    const id = await alice.send("hello");
    const [out] = alice.toRelay.splice(0);
    bob.now += RECEIPT_GAP_MS;
    await deliver(bob, out!.blob);
    await deliver(alice, bob.toRelay[0]!.blob);
    await ok(alice, out?.id);
    expect(statusOf(alice, id)).toBe("delivered");
  });

  it("is sent again, bit for bit, when nobody confirmed it for RESEND_AFTER_MS", async () => {
    const { alice } = await paired();
    await alice.send("hello");
    const [out] = sent(alice.effects, "relay");
    await ok(alice, out?.id);
    alice.now += RESEND_AFTER_MS - 1;
    await alice.feed({ kind: "wake" });
    expect(sent(alice.effects, "relay")).toEqual([]);
    expect(wakeOf(alice.effects)).toBe(alice.now + 50);
    alice.now += 1;
    await alice.feed({ kind: "wake" });
    expect(sent(alice.effects, "relay")).toEqual([out]);
  });

  it("is sealed anew when the other side was there long after the relay took it", async () => {
    const { alice, bob } = await paired();
    const id = await alice.send("its key died on the way");
    const [lost] = alice.toRelay.splice(0);
    await ok(alice, lost?.id);
    alice.now += HEARD_AFTER_MS;
    await bob.send("I am here");
    await carry(bob, alice);
    alice.toRelay.length = 0;
    alice.now += RESEND_AFTER_MS;
    await alice.feed({ kind: "wake" });
    const again = alice.toRelay.find((one) => one.blob.length === lost?.blob.length);
    expect(again?.id).not.toBe(lost?.id);
    expect(equalBytes(again!.blob, lost!.blob)).toBe(false);
    for (const { blob } of alice.toRelay) await deliver(bob, blob);
    await deliver(bob, lost!.blob);
    expect(bob.shown.filter((text) => text.startsWith("its key"))).toHaveLength(1);
    expect(statusOf(alice, id)).toBe("relayed");
    await settle(alice, bob);
    expect(statusOf(alice, id)).toBe("delivered");
  });

  it("is sealed anew OVERTAKEN_MS after a later one was confirmed, or its own age if that is more", async () => {
    const { alice, bob } = await paired();
    await alice.send("overtaken");
    const [lost] = alice.toRelay.splice(0);
    await ok(alice, lost?.id);
    await alice.send("later");
    await carry(alice, bob);
    bob.now += RECEIPT_GAP_MS;
    await bob.feed({ kind: "wake" });
    await carry(bob, alice);
    expect(alice.slice.outbox).toHaveLength(1);
    expect(wakeOf(alice.effects)).toBe(alice.now + OVERTAKEN_MS);
    alice.now += OVERTAKEN_MS - 1;
    await alice.feed({ kind: "wake" });
    expect(alice.toRelay).toEqual([]);
    alice.now += 1;
    await alice.feed({ kind: "wake" });
    expect(alice.toRelay).toHaveLength(1);
    expect(alice.toRelay[0]?.id).not.toBe(lost?.id);
    const second = alice.toRelay.splice(0);
    await ok(alice, second[0]?.id);
    await alice.send("much later");
    await carry(alice, bob);
    bob.now += RECEIPT_GAP_MS;
    await bob.feed({ kind: "wake" });
    alice.now += 3 * OVERTAKEN_MS;
    await carry(bob, alice);
    expect(wakeOf(alice.effects)).toBe(alice.now + 4 * OVERTAKEN_MS);
    for (const { blob } of second) await deliver(bob, blob);
    await deliver(bob, lost!.blob);
    expect(bob.shown.filter((text) => text === "overtaken")).toHaveLength(1);
  });

  it("is sealed anew RENEW_AGE_MS_MAX after a later one was confirmed, however old it seems", async () => {
    const { alice, bob } = await paired();
    await alice.send("overtaken");
    await ok(alice, alice.toRelay.splice(0)[0]?.id);
    // It was written by a clock that was behind, and is right now.
    alice.now += 300 * RENEW_AGE_MS_MAX;
    await alice.send("later");
    let [out] = alice.toRelay.splice(0, 1);
    await ok(alice, out?.id);
    await carry(alice, bob);
    bob.now += RECEIPT_GAP_MS;
    await bob.feed({ kind: "wake" });
    await carry(bob, alice);
    expect(alice.slice.outbox).toHaveLength(1);
    const renewed: number[] = [];
    for (let hour = 1; hour <= 30; hour++) {
      alice.now += RESEND_AFTER_MS;
      await alice.feed({ kind: "wake" });
      const before = out?.id;
      [out] = alice.toRelay.splice(0);
      if (out?.id !== before) renewed.push(hour);
      await ok(alice, out?.id);
    }
    expect(renewed).toEqual([24]);
  });

  it("is not sealed anew because an earlier one was confirmed", async () => {
    const { alice, bob } = await paired();
    await alice.send("earlier");
    await carry(alice, bob);
    await alice.send("on its way");
    await ok(alice, alice.toRelay.splice(0)[0]?.id);
    bob.now += RECEIPT_GAP_MS;
    await bob.feed({ kind: "wake" });
    await carry(bob, alice);
    expect(alice.slice.outbox).toHaveLength(1);
    alice.now += OVERTAKEN_MS;
    await alice.feed({ kind: "wake" });
    expect(alice.toRelay).toEqual([]);
  });

  it("is sealed anew soon when something later of the other side's opened, and more rarely each time", async () => {
    const { alice, bob } = await paired();
    await alice.send("spoiled by the relay");
    let [out] = alice.toRelay.splice(0);
    const pauses: number[] = [];
    for (let round = 0; round < 6; round++) {
      await ok(alice, out?.id);
      const relayedAt = alice.now;
      alice.now += HEARD_AFTER_MS;
      bob.now = alice.now;
      await bob.send(`round ${round}`);
      await carry(bob, alice);
      const due = wakeOf(alice.effects) ?? 0;
      alice.toRelay.splice(0);
      alice.now = due - 1;
      await alice.feed({ kind: "wake" });
      expect(alice.toRelay).toEqual([]);
      alice.now = due;
      await alice.feed({ kind: "wake" });
      const again = alice.toRelay.splice(0);
      expect(again).toHaveLength(1);
      expect(again[0]?.id).not.toBe(out?.id);
      [out] = again;
      pauses.push(due - relayedAt);
    }
    const doubles = pauses.map((ms) => ms / RENEW_AFTER_MS);
    expect(doubles).toEqual([1, 1, 2, 4, 8, 16]);
  });

  it("made before the clock was set back is sealed anew more rarely each time, too", async () => {
    const { alice, bob } = await paired();
    await alice.send("spoiled by the relay");
    let [out] = alice.toRelay.splice(0);
    alice.now -= RENEW_AGE_MS_MAX;
    bob.now = alice.now;
    const pauses: number[] = [];
    for (let round = 0; round < 5; round++) {
      await ok(alice, out?.id);
      const relayedAt = alice.now;
      alice.now += HEARD_AFTER_MS;
      bob.now = alice.now;
      await bob.send(`round ${round}`);
      await carry(bob, alice);
      alice.toRelay.splice(0);
      alice.now = wakeOf(alice.effects) ?? 0;
      await alice.feed({ kind: "wake" });
      [out] = alice.toRelay.splice(0);
      pauses.push((alice.now - relayedAt) / RENEW_AFTER_MS);
    }
    expect(pauses).toEqual([1, 1, 1, 2, 4]);
  });

  it("to somebody who never answered is sealed anew whenever its age has doubled, some numbers ahead", async () => {
    const { bob } = await accepted();
    const numberOf = () => openPeerOf(bob).sessions[0]?.sending?.next;
    let [out] = bob.toRelay.splice(0);
    await ok(bob, out?.id);
    expect(numberOf()).toBe(1);
    const renewed: unknown[] = [];
    for (let hour = 1; hour <= 16; hour++) {
      bob.now += RESEND_AFTER_MS;
      await bob.feed({ kind: "wake" });
      const before = out?.id;
      [out] = bob.toRelay.splice(0);
      if (out?.id !== before) renewed.push([hour, numberOf()]);
      await ok(bob, out?.id);
    }
    expect(renewed).toEqual([
      [1, 1 + 9],
      [2, 10 + 17],
      [4, 27 + 33],
      // Eight for each hour; from here on it would be more than AHEAD_MAX.
      [8, 60 + 1 + AHEAD_MAX],
      [16, 125 + 1 + AHEAD_MAX],
    ]);
  });

  it("to somebody who never answered is sealed anew once in RENEW_AGE_MS_MAX, however old it seems", async () => {
    const { bob } = await accepted();
    // Written by a clock that was behind, and is right now.
    bob.now += 300 * RENEW_AGE_MS_MAX + RESEND_AFTER_MS / 2;
    await bob.feed({ kind: "wake" });
    let [out] = bob.toRelay.splice(0);
    await ok(bob, out?.id);
    const renewed: number[] = [];
    for (let hour = 1; hour <= 48; hour++) {
      bob.now += RESEND_AFTER_MS;
      await bob.feed({ kind: "wake" });
      const before = out?.id;
      [out] = bob.toRelay.splice(0);
      if (out?.id !== before) renewed.push(hour);
      await ok(bob, out?.id);
    }
    expect(renewed).toEqual([24, 48]);
  });

  it("to somebody who never answered is sealed anew every time when the clock was set back meanwhile", async () => {
    const { bob } = await accepted();
    let [out] = bob.toRelay.splice(0);
    bob.now -= 10 * RESEND_AFTER_MS;
    await ok(bob, out?.id);
    const ids = new Set([out?.id]);
    for (let hour = 1; hour <= 3; hour++) {
      bob.now += RESEND_AFTER_MS;
      await bob.feed({ kind: "wake" });
      [out] = bob.toRelay.splice(0);
      ids.add(out?.id);
      await ok(bob, out?.id);
    }
    expect(ids.size).toBe(4);
  });

  it("reaches somebody who has had its numbers from a store that was put back since", async () => {
    const { alice, bob } = await accepted();
    const [spoiled] = bob.toRelay.splice(0);
    await ok(bob, spoiled?.id);
    const copy = bob.slice;
    const rows = new Map(bob.outbox);
    for (const text of ["1", "2", "3"]) await bob.send(text);
    for (const { blob } of bob.toRelay.splice(0)) await deliver(alice, blob);
    expect(alice.shown).toEqual(["1", "2", "3"]);
    bob.slice = copy;
    bob.outbox.clear();
    for (const [id, row] of rows) bob.outbox.set(id, row);
    bob.now += RESEND_AFTER_MS;
    alice.now = bob.now;
    await bob.feed({ kind: "wake" });
    await settle(alice, bob);
    expect(bob.slice.outbox).toEqual([]);
    expect(openPeerOf(alice).contact.name).toBe("Bob");
  });

  it("is not sealed anew as long as the other side was not heard of", async () => {
    const { alice, bob } = await paired();
    await bob.send("I am here");
    await alice.send("hello");
    const [out] = alice.toRelay.splice(0);
    await ok(alice, out?.id);
    alice.now += HEARD_AFTER_MS - 1;
    await carry(bob, alice);
    alice.now += RESEND_AFTER_MS;
    await alice.feed({ kind: "wake" });
    expect(alice.toRelay.map((one) => one.id)).toContain(out?.id);
  });
});

describe("the relay", () => {
  it("gets IN_FLIGHT_MAX envelopes at a time, oldest first", async () => {
    const { alice } = await paired();
    await alice.feed({ kind: "hub", up: false });
    for (let n = 0; n < IN_FLIGHT_MAX + 1; n++) await alice.send(`${n}`);
    await alice.feed({ kind: "hub", up: true });
    const first = sent(alice.effects, "relay").map((one) => one.id);
    expect(first).toEqual(alice.slice.outbox.slice(0, IN_FLIGHT_MAX).map((row) => row.id));
    await ok(alice, first[0]);
    expect(sent(alice.effects, "relay").map((one) => one.id)).toEqual([
      alice.slice.outbox[IN_FLIGHT_MAX]?.id,
    ]);
  });

  it.each([
    ["lost", LOST_PAUSE_MS],
    ["quota", QUOTA_PAUSE_MS],
  ] as const)("answering %s is asked again after %i ms", async (outcome, pause) => {
    const { alice } = await paired();
    await alice.send("hello");
    const [out] = sent(alice.effects, "relay");
    await alice.feed({ kind: "transmitted", id: out!.id, path: "relay", outcome });
    expect(sent(alice.effects, "relay")).toEqual([]);
    expect(wakeOf(alice.effects)).toBe(alice.now + pause);
    alice.now += pause - 1;
    await alice.feed({ kind: "wake" });
    expect(sent(alice.effects, "relay")).toEqual([]);
    alice.now += 1;
    await alice.feed({ kind: "wake" });
    expect(sent(alice.effects, "relay")).toEqual([out]);
  });

  it("answering quota is asked again at once when the other side writes", async () => {
    const { alice, bob } = await paired();
    await alice.send("hello");
    const [out] = alice.toRelay.splice(0);
    await alice.feed({ kind: "transmitted", id: out!.id, path: "relay", outcome: "quota" });
    await bob.send("I am back");
    await deliver(alice, bob.toRelay[0]!.blob);
    expect(sent(alice.effects, "relay").map((one) => one.id)).toContain(out?.id);
  });

  it("gone marks what waits as failed; a receipt over a link still makes it delivered", async () => {
    const { alice, bob } = await paired();
    const id = await alice.send("hello");
    const [out] = alice.toRelay.splice(0);
    await alice.feed({ kind: "transmitted", id: out!.id, path: "relay", outcome: "gone" });
    expect(statusOf(alice, id)).toBe("failed");
    expect(openPeerOf(alice).sessions).toHaveLength(1);
    expect(soonOf(alice)).toBeUndefined();
    await alice.feed({ kind: "direct", up: true });
    await bob.feed({ kind: "direct", up: true });
    bob.now += RECEIPT_GAP_MS;
    await deliverDirect(bob, sent(alice.effects, "direct")[0]?.blob ?? out!.blob);
    await deliverDirect(alice, sent(bob.effects, "direct")[0]!.blob);
    expect(statusOf(alice, id)).toBe("delivered");
  });

  it("gone is asked about again when something comes that does not open: the other side is there", async () => {
    const { alice } = await paired();
    await alice.send("hello");
    const [out] = alice.toRelay.splice(0);
    await alice.feed({ kind: "transmitted", id: out!.id, path: "relay", outcome: "gone" });
    expect(sent(await alice.feed({ kind: "wake" }), "relay")).toEqual([]);
    const sealed = Uint8Array.of(EnvelopeType.message, ...entropy(255));
    expect(sent(await deliver(alice, sealed), "relay")).toEqual([out]);
  });

  it("gone does not take back what it said of an earlier text", async () => {
    const { alice } = await paired();
    const taken = await alice.send("taken");
    await ok(alice, alice.toRelay.splice(0)[0]?.id);
    const refused = await alice.send("refused");
    const id = alice.toRelay[0]?.id ?? "";
    await alice.feed({ kind: "transmitted", id, path: "relay", outcome: "gone" });
    expect(statusOf(alice, taken)).toBe("relayed");
    expect(statusOf(alice, refused)).toBe("failed");
    await alice.feed({ kind: "hub", up: false });
    await alice.feed({ kind: "hub", up: true });
    await ok(alice, id);
    expect(statusOf(alice, refused)).toBe("relayed");
  });

  it("away and back gets everything that was under way again", async () => {
    const { alice } = await paired();
    await alice.send("hello");
    const [out] = alice.toRelay.splice(0);
    await alice.feed({ kind: "hub", up: false });
    await alice.send("more");
    expect(sent(alice.effects, "relay")).toEqual([]);
    await alice.feed({ kind: "hub", up: true });
    expect(sent(alice.effects, "relay").map((one) => one.id)).toEqual(
      alice.slice.outbox.map((row) => row.id),
    );
    expect(sent(alice.effects, "relay")[0]).toEqual(out);
  });

  it("of a new process gets what the last one had not settled, bit for bit", async () => {
    const { alice } = await paired();
    await alice.send("hello");
    const [out] = alice.toRelay;
    alice.restart();
    await alice.feed({ kind: "hub", up: true });
    expect(sent(alice.effects, "relay")).toEqual([out]);
  });
});

describe("a direct link", () => {
  const linked = async () => {
    const both = await paired();
    await both.alice.feed({ kind: "direct", up: true });
    await both.bob.feed({ kind: "direct", up: true });
    both.alice.toRelay.length = 0;
    both.bob.toRelay.length = 0;
    return both;
  };

  it("carries a text and its receipt without the relay", async () => {
    const { alice, bob } = await linked();
    await alice.feed({ kind: "hub", up: false });
    await bob.feed({ kind: "hub", up: false });
    const id = await alice.send("hello");
    bob.now += RECEIPT_GAP_MS;
    await deliverDirect(bob, sent(alice.effects, "direct")[0]!.blob);
    expect(of(bob.effects, "ack")).toEqual([]);
    await deliverDirect(alice, sent(bob.effects, "direct")[0]!.blob);
    expect(alice.messages.get(id)).toMatchObject({ status: "delivered", path: "direct" });
    expect([...alice.toRelay, ...bob.toRelay]).toEqual([]);
    expect(alice.slice.outbox).toEqual([]);
  });

  it("without a receipt for DIRECT_PATIENCE_MS is helped by the relay", async () => {
    const { alice } = await linked();
    await alice.send("hello");
    const [out] = sent(alice.effects, "direct");
    expect(wakeOf(alice.effects)).toBe(alice.now + DIRECT_PATIENCE_MS);
    alice.now += DIRECT_PATIENCE_MS - 1;
    await alice.feed({ kind: "wake" });
    expect(alice.toRelay).toEqual([]);
    alice.now += 1;
    await alice.feed({ kind: "wake" });
    expect(alice.toRelay.map((one) => one.blob)).toEqual([out?.blob]);
  });

  it("that goes down hands everything to the relay at once", async () => {
    const { alice } = await linked();
    await alice.send("hello");
    await alice.feed({ kind: "direct", up: false });
    expect(sent(alice.effects, "relay").map((one) => one.id)).toEqual(
      alice.slice.outbox.map((row) => row.id),
    );
  });

  it("carries what comes by both ways once, and answers each way the way it came", async () => {
    const { alice, bob } = await linked();
    await alice.send("hello");
    const [out] = sent(alice.effects, "direct");
    bob.now += RECEIPT_GAP_MS;
    await deliverDirect(bob, out!.blob);
    expect(sent(bob.effects, "direct")).toHaveLength(1);
    bob.now += RECEIPT_GAP_MS;
    expect(reasons(await deliver(bob, out!.blob))).toEqual(["duplicate"]);
    expect(sent(bob.effects, "direct")).toEqual([]);
    expect(sent(bob.effects, "relay")).toHaveLength(1);
    expect(bob.shown).toEqual(["hello"]);
  });

  it("that is full pauses, the relay takes over, and it is used again after LINK_PAUSE_MS", async () => {
    const { alice } = await linked();
    await alice.send("hello");
    const [out] = sent(alice.effects, "direct");
    await alice.feed({ kind: "transmitted", id: out!.id, path: "direct", outcome: "lost" });
    expect(alice.toRelay.map((one) => one.id)).toEqual([out?.id]);
    await alice.feed({ kind: "hub", up: false });
    alice.now += LINK_PAUSE_MS - 1;
    await alice.feed({ kind: "wake" });
    expect(sent(alice.effects, "direct")).toEqual([]);
    alice.now += 1;
    await alice.feed({ kind: "wake" });
    expect(sent(alice.effects, "direct")).toEqual([out]);
  });

  it("that is full is left alone by receipts too", async () => {
    const { alice, bob } = await linked();
    await bob.send("fills the link");
    const [full] = sent(bob.effects, "direct");
    await bob.feed({ kind: "transmitted", id: full!.id, path: "direct", outcome: "lost" });
    bob.toRelay.length = 0;
    await alice.send("hello");
    bob.now += RECEIPT_GAP_MS;
    await deliverDirect(bob, sent(alice.effects, "direct")[0]!.blob);
    expect(sent(bob.effects, "direct")).toEqual([]);
    expect(bob.toRelay).toHaveLength(1);
  });

  it("without the relay is tried again after DIRECT_AGAIN_MS", async () => {
    const { alice } = await linked();
    await alice.feed({ kind: "hub", up: false });
    await alice.send("hello");
    const [out] = sent(alice.effects, "direct");
    expect(wakeOf(alice.effects)).toBe(alice.now + DIRECT_AGAIN_MS);
    alice.now += DIRECT_AGAIN_MS;
    await alice.feed({ kind: "wake" });
    expect(sent(alice.effects, "direct")).toEqual([out]);
  });

  it("holds IN_FLIGHT_MAX contents; the patience with them frees those behind", async () => {
    const { alice } = await linked();
    for (let n = 0; n < IN_FLIGHT_MAX; n++) await alice.send(`${n}`);
    await alice.send("one more");
    expect(sent(alice.effects, "direct")).toEqual([]);
    alice.now += DIRECT_PATIENCE_MS;
    await alice.feed({ kind: "wake" });
    expect(alice.toRelay).toHaveLength(IN_FLIGHT_MAX);
    await ok(alice, alice.toRelay[0]?.id);
    expect(sent(alice.effects, "relay").map((one) => one.id)).toEqual([
      alice.slice.outbox.at(-1)?.id,
    ]);
  });
});

describe("receipts", () => {
  it("closer together than RECEIPT_GAP_MS become one, and survive the process that owed them", async () => {
    const { alice, bob } = await paired();
    bob.now += RECEIPT_GAP_MS;
    for (const text of ["1", "2", "3"]) await alice.send(text);
    const [first, ...rest] = alice.toRelay.splice(0);
    await deliver(bob, first!.blob);
    expect(sent(bob.effects, "relay")).toHaveLength(1);
    for (const { blob } of rest) {
      await deliver(bob, blob);
      expect(sent(bob.effects, "relay")).toEqual([]);
    }
    expect(wakeOf(bob.effects)).toBe(bob.now + RECEIPT_GAP_MS);
    expect(openPeerOf(bob).owed).toHaveLength(2);
    bob.restart();
    bob.now += RECEIPT_GAP_MS;
    await bob.feed({ kind: "hub", up: true });
    await bob.feed({ kind: "signalled", outcome: "away" });
    expect(openPeerOf(bob).owed).toEqual([]);
    for (const { blob } of bob.toRelay) await deliver(alice, blob);
    expect(bob.toRelay.length).toBe(2);
    expect(alice.slice.outbox).toEqual([]);
  });

  it("leave two full outboxes, which would otherwise never empty", async () => {
    const { alice, bob } = await paired();
    for (const side of [alice, bob]) {
      await side.feed({ kind: "hub", up: false });
      for (let n = 0; n < OUTBOX_MAX; n++) {
        await side.feed({ kind: "send-text", id: messageId(), text: "x" });
      }
      expect(side.slice.outbox).toHaveLength(OUTBOX_MAX);
    }
    await alice.feed({ kind: "hub", up: true });
    await bob.feed({ kind: "hub", up: true });
    alice.now += 1_000;
    bob.now += 1_000;
    await carry(alice, bob);
    await carry(bob, alice);
    await settle(alice, bob);
    const settled = alice.slice.outbox.filter((row) => row.awaits !== undefined).length;
    expect(settled).toBeLessThan(OUTBOX_MAX);
  }, 120_000);

  it("waiting for the relay are RECEIPT_ROWS_MAX at most; the rest stays owed, without a storm of timers", async () => {
    const { alice, bob } = await paired();
    await bob.feed({ kind: "hub", up: false });
    for (let n = 0; n <= RECEIPT_ROWS_MAX; n++) {
      await alice.send(`${n}`);
      bob.now += RECEIPT_GAP_MS;
      await deliver(bob, alice.toRelay.at(-1)!.blob);
      await ok(alice, alice.toRelay.at(-1)?.id);
    }
    expect(bob.slice.outbox).toHaveLength(RECEIPT_ROWS_MAX);
    expect(openPeerOf(bob).owed).toHaveLength(1);
    expect(soonOf(bob)).toBeUndefined();
    await bob.feed({ kind: "hub", up: true });
    await ok(bob, bob.slice.outbox[0]?.id);
    bob.now += RECEIPT_GAP_MS;
    await bob.feed({ kind: "wake" });
    expect(openPeerOf(bob).owed).toEqual([]);
  });

  it("for what was never sent settle nothing", async () => {
    const { alice, bob } = await paired();
    await alice.send("1");
    const before = alice.slice.outbox;
    await bob.send("2");
    await carry(bob, alice);
    expect(alice.slice.outbox.find((row) => row.id === before[0]?.id)).toEqual(before[0]);
  });
});

describe("a clock that is set back", () => {
  it("holds up neither receipts nor pauses nor resends", async () => {
    const { alice, bob } = await paired();
    const YEAR_MS = 365 * 86_400_000;
    await alice.send("1");
    const [first] = alice.toRelay.splice(0);
    await ok(alice, first?.id);
    await alice.send("2");
    const [second] = alice.toRelay.splice(0);
    await alice.feed({ kind: "transmitted", id: second!.id, path: "relay", outcome: "lost" });
    alice.now -= YEAR_MS;
    await alice.feed({ kind: "wake" });
    expect(wakeOf(alice.effects)).toBeLessThanOrEqual(alice.now + QUOTA_PAUSE_MS);
    alice.now += QUOTA_PAUSE_MS;
    await alice.feed({ kind: "wake" });
    expect(sent(alice.effects, "relay")).toEqual([first, second]);
    bob.now += RECEIPT_GAP_MS;
    await deliver(bob, first!.blob);
    bob.now -= YEAR_MS;
    await deliver(bob, second!.blob);
    bob.now += RECEIPT_GAP_MS;
    await bob.feed({ kind: "wake" });
    expect(openPeerOf(bob).owed).toEqual([]);
  });
});
