import { encrypt, nobleBackend } from "@sotto/crypto";
import { RECEIPT_GAP_MS, RECEIVED_MAX } from "@sotto/protocol";
import {
  asContentId,
  BUCKETS,
  bytesToHex,
  type Content,
  encodeContent,
  ENVELOPE_BYTES_MAX,
  GROUP_ENVELOPE_TYPE,
  HELLO_HEADER_BYTES,
  hexToBytes,
} from "@sotto/wire";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { runs } from "../../../test/setup/runs.ts";
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
} from "./fixture.ts";

const MERGED_MS_MAX = 2 ** 46;
const TIME_MS_MAX = 2 ** 47;

/** A content as a modified client of `from` might seal it. Advances nothing in `from`'s store. */
async function sealed(from: Side, bytes: Uint8Array): Promise<Uint8Array> {
  const peer = openPeerOf(from);
  const env = { entropy, crypto: nobleBackend, now: from.now };
  const { session, envelope } = await encrypt(peer.sessions[0]!, bytes, env);
  const { conversation } = from.slice;
  if (conversation === undefined) throw new Error("no conversation");
  const next = { ...conversation, peer: { ...peer, sessions: [session] } };
  from.slice = { ...from.slice, conversation: next };
  return envelope;
}

const textAt = (ms: number, counter = 0): Content => ({
  kind: "text",
  id: asContentId(entropy(16)),
  time: { ms, counter },
  text: "hello",
});

describe("a frame that comes twice", () => {
  it("by the relay is shown once and receipted again", async () => {
    const { alice, bob } = await paired();
    await alice.send("hello");
    const [out] = alice.toRelay;
    bob.now += RECEIPT_GAP_MS;
    await deliver(bob, out!.blob);
    expect(sent(bob.effects, "relay")).toHaveLength(1);
    bob.now += RECEIPT_GAP_MS;
    expect(reasons(await deliver(bob, out!.blob))).toEqual(["duplicate"]);
    expect(sent(bob.effects, "relay")).toHaveLength(1);
    expect(bob.shown).toEqual(["hello"]);
    expect(bob.slice.conversation?.unread).toBe(1);
  });

  it("as the first one of all makes no second session", async () => {
    const { alice, bob } = await accepted();
    const [hello] = bob.toRelay;
    await deliver(alice, hello!.blob);
    const { peer } = alice.slice.conversation!;
    expect(reasons(await deliver(alice, hello!.blob))).toEqual(["duplicate"]);
    expect(openPeerOf(alice).sessions).toEqual(peer.state === "open" ? peer.sessions : []);
  });

  it("carrying a receipt is dropped without one in return", async () => {
    const { alice, bob } = await paired();
    await alice.send("hello");
    await carry(alice, bob);
    bob.now += RECEIPT_GAP_MS;
    await bob.feed({ kind: "wake" });
    const [receipt] = bob.toRelay;
    await deliver(alice, receipt!.blob);
    expect(reasons(await deliver(alice, receipt!.blob))).toEqual(["duplicate"]);
    expect(openPeerOf(alice).owed).toEqual([]);
    expect(sent(alice.effects, "relay")).toEqual([]);
  });

  it("under a new key is shown once", async () => {
    const { alice, bob } = await paired();
    const bytes = encodeContent(textAt(alice.now));
    await deliver(bob, await sealed(alice, bytes));
    expect(reasons(await deliver(bob, await sealed(alice, bytes)))).toEqual(["duplicate"]);
    expect(bob.shown).toEqual(["hello"]);
  });
});

describe("a frame that is not what it should be", () => {
  /** Counted, acknowledged, and nothing else: not even a commit. */
  async function refused(side: Side, blob: Uint8Array): Promise<readonly string[]> {
    const { conversation, outbox } = side.slice;
    const effects = await deliver(side, blob);
    expect(side.slice.conversation).toBe(conversation);
    expect(side.slice.outbox).toBe(outbox);
    expect(of(effects, "commit")).toEqual([]);
    return reasons(effects);
  }

  it("is counted as malformed: empty, of no bucket size, of an unknown type or version, too large", async () => {
    const { bob } = await paired();
    const hello = new Uint8Array(2_048).fill(1);
    hello[1] = 2;
    for (const blob of [
      new Uint8Array(0),
      new Uint8Array(255),
      new Uint8Array(257),
      new Uint8Array(256).fill(9),
      hello,
      new Uint8Array(ENVELOPE_BYTES_MAX + 1).fill(2),
    ]) {
      expect(await refused(bob, blob)).toEqual(["malformed"]);
    }
  });

  it("is counted as of no session when it is noise of any bucket size", async () => {
    const { bob } = await paired();
    for (const size of BUCKETS) {
      const blob = new Uint8Array(size).fill(0x5a);
      blob[0] = 2;
      expect(await refused(bob, blob)).toEqual(["unknown-session"]);
    }
  });

  it("is refused whichever byte of it is flipped, and the genuine one still opens", async () => {
    const { alice, bob } = await paired();
    await alice.send("genuine");
    const [out] = alice.toRelay;
    await fc.assert(
      fc.asyncProperty(
        fc.nat(out!.blob.length - 1),
        fc.integer({ min: 1, max: 255 }),
        async (at, by) => {
          const blob = out!.blob.slice();
          blob[at]! ^= by;
          // That is for groups to judge.
          fc.pre(blob[0] !== GROUP_ENVELOPE_TYPE);
          expect(await refused(bob, blob)).toHaveLength(1);
        },
      ),
      { numRuns: runs(60) },
    );
    await deliver(bob, out!.blob);
    expect(bob.shown).toEqual(["genuine"]);
  });

  it("is refused as a HELLO whichever byte is flipped, and the genuine one still opens", async () => {
    const { alice, bob } = await accepted();
    const [hello] = bob.toRelay;
    const places = [0, 1, 2, 3, 15, 47, 200, HELLO_HEADER_BYTES - 1, HELLO_HEADER_BYTES + 9, 2_047];
    for (const at of places) {
      const blob = hello!.blob.slice();
      blob[at]! ^= 0x11;
      expect(await refused(alice, blob)).toHaveLength(1);
    }
    await deliver(alice, hello!.blob);
    expect(openPeerOf(alice).contact.name).toBe("Bob");
  });

  it("is refused when it is meant for someone else", async () => {
    const { bob } = await paired();
    const other = await paired();
    await other.alice.send("not for you");
    expect(await refused(bob, other.alice.toRelay[0]!.blob)).toEqual(["unknown-session"]);
  });

  it("is refused when it is one's own, sent back", async () => {
    const { alice } = await paired();
    await alice.send("echo");
    expect(await refused(alice, alice.toRelay[0]!.blob)).toEqual(["unknown-session"]);
  });

  it("of unreadable content costs its key and shows nothing", async () => {
    const { alice, bob } = await paired();
    const cases = [
      new Uint8Array([99, 1, 2, 3]),
      new Uint8Array(0),
      encodeContent(textAt(TIME_MS_MAX + 1)),
      encodeContent({
        kind: "profile",
        id: asContentId(entropy(16)),
        time: { ms: 1, counter: 0 },
        name: "",
      }),
    ];
    for (const bytes of cases) {
      expect(reasons(await deliver(bob, await sealed(alice, bytes)))).toEqual(["malformed"]);
    }
    expect(bob.shown).toEqual([]);
    expect(openPeerOf(bob).owed).toEqual([]);
    await deliver(bob, await sealed(alice, encodeContent(textAt(TIME_MS_MAX))));
    expect(bob.shown).toEqual(["hello"]);
  });
});

describe("what is remembered as received", () => {
  it("are the newest RECEIVED_MAX contents: the oldest of them is still known, one older is not", async () => {
    const { alice, bob } = await paired();
    const texts = Array.from({ length: RECEIVED_MAX + 1 }, (_, n) => textAt(alice.now, n));
    const before = openPeerOf(bob).received.length;
    for (const text of texts) await deliver(bob, await sealed(alice, encodeContent(text)));
    const { received } = openPeerOf(bob);
    expect(before).toBeLessThan(received.length);
    expect(received).toHaveLength(RECEIVED_MAX * 28);
    const known = bytesToHex(received);
    expect(known).toContain(bytesToHex("id" in texts[1]! ? texts[1].id : new Uint8Array()));
    expect(known).not.toContain(bytesToHex("id" in texts[0]! ? texts[0].id : new Uint8Array()));
    await deliver(bob, await sealed(alice, encodeContent(texts[1]!)));
    expect(reasons(bob.effects)).toEqual(["duplicate"]);
  });
});

describe("a message that is stored", () => {
  const forged = (id: string, ms: number): Content => ({
    kind: "text",
    id: asContentId(hexToBytes(id)!),
    time: { ms, counter: 0 },
    text: "I agree",
  });

  it("is never changed by the other side: not an own one, whose id it has seen", async () => {
    const { alice, bob } = await paired();
    const id = await alice.send("do you agree?");
    const waiting = alice.messages.get(id);
    await deliver(alice, await sealed(bob, encodeContent(forged(id, alice.now + 1))));
    expect(reasons(alice.effects)).toEqual(["duplicate"]);
    expect(alice.messages.get(id)).toEqual(waiting);
    await carry(alice, bob);
    await settle(alice, bob);
    const delivered = alice.messages.get(id);
    expect(delivered).toMatchObject({ own: true, status: "delivered" });
    const { last, unread } = alice.slice.conversation!;
    await deliver(alice, await sealed(bob, encodeContent(forged(id, alice.now + 1))));
    expect(reasons(alice.effects)).toEqual(["duplicate"]);
    expect(alice.messages.get(id)).toEqual(delivered);
    expect(alice.shown).toEqual(["do you agree?"]);
    expect(alice.slice.conversation).toMatchObject({ last, unread });
  });

  it("is known when its like comes after RECEIVED_MAX others: shown once, unread once, receipted", async () => {
    const { alice, bob } = await paired();
    const texts = Array.from({ length: RECEIVED_MAX + 1 }, (_, n) => textAt(alice.now, n));
    for (const text of texts) await deliver(bob, await sealed(alice, encodeContent(text)));
    const [oldest] = texts;
    if (oldest?.kind !== "text") throw new Error("no text");
    const id = bytesToHex(oldest.id);
    const before = bob.messages.get(id);
    const { last, unread } = bob.slice.conversation!;
    bob.now += 1;
    for (const again of [oldest, forged(id, alice.now + 1_000)]) {
      await deliver(bob, await sealed(alice, encodeContent(again)));
      expect(reasons(bob.effects)).toEqual(["duplicate"]);
      expect(openPeerOf(bob).owed).toContain(id);
    }
    expect(bob.messages.get(id)).toEqual(before);
    expect(bob.slice.conversation).toMatchObject({ last, unread });
    expect(bob.messages.size).toBe(RECEIVED_MAX + 1);
  });

  it("is not written again by the person's own device either", async () => {
    const { alice, bob } = await paired();
    const id = await alice.send("once");
    await carry(alice, bob);
    await settle(alice, bob);
    const delivered = alice.messages.get(id);
    const effects = await alice.feed({ kind: "send-text", id, text: "twice" });
    expect(sent(effects, "relay")).toEqual([]);
    expect(alice.messages.get(id)).toEqual(delivered);
    expect(alice.slice.outbox).toEqual([]);
  });
});

describe("the newest message, for the list", () => {
  it("is not later than it was received, whatever the clock of its author says", async () => {
    const { alice, bob } = await paired();
    await deliver(bob, await sealed(alice, encodeContent(textAt(MERGED_MS_MAX))));
    expect(bob.slice.conversation?.last).toMatchObject({
      time: { ms: MERGED_MS_MAX, counter: 0 },
      at: bob.now,
    });
    bob.now += 1_000;
    await bob.send("an answer");
    // It still sorts behind what it answers.
    expect(bob.shown).toEqual(["hello", "an answer"]);
    expect(bob.slice.conversation?.last).toMatchObject({ text: "an answer", at: bob.now });
  });

  it("goes behind what claims to be the last for ever, whose time nobody follows", async () => {
    const { alice, bob } = await paired();
    await deliver(bob, await sealed(alice, encodeContent(textAt(MERGED_MS_MAX + 1))));
    bob.now += 1_000;
    await bob.send("an answer");
    expect(bob.shown).toEqual(["an answer", "hello"]);
    expect(bob.slice.conversation?.clock.ms).toBe(bob.now);
  });

  it("keeps an earlier time of its author's", async () => {
    const { alice, bob } = await paired();
    await deliver(bob, await sealed(alice, encodeContent(textAt(bob.now - 5_000))));
    expect(bob.slice.conversation?.last?.at).toBe(bob.now - 5_000);
  });
});

describe("what came directly", () => {
  it("is not acknowledged to the relay, and is otherwise the same", async () => {
    const { alice, bob } = await paired();
    const id = await alice.send("hello");
    const effects = await deliverDirect(bob, alice.toRelay[0]!.blob);
    expect(of(effects, "ack")).toEqual([]);
    expect(bob.messages.get(id)).toMatchObject({ status: "received", path: "direct", own: false });
  });
});
