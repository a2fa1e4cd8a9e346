/**
 * T-15: whoever seals something wrong learns nothing from how it is refused. A wrong tag, wrong padding and a wrong
 * number differ in a counter on the receiver's device and in nothing that leaves it, then or later: as what no session
 * opens, they are a sign that ratchets ran apart, and lead to the same new session at the same time. That a resend is
 * the same bytes: packages/protocol/test/outbox.test.ts.
 */
import { encrypt, JUMP_MAX, nobleBackend, type Session } from "@sotto/crypto";
import { asContentId, encodeContent } from "@sotto/wire";
import { describe, expect, it } from "vitest";
import {
  deliver,
  deliverDirect,
  entropy,
  of,
  openPeerOf,
  paired,
  reasons,
  settle,
  type Side,
} from "../../packages/protocol/test/fixture.ts";

/** Longer than a header: what is sealed is a body. */
const HEADER_BYTES = 43;

/** Seals with Alice's genuine session, and changes the body before it is sealed or the bytes after. */
async function seal(
  alice: Side,
  change: {
    readonly session?: (genuine: Session) => Session;
    readonly body?: (body: Uint8Array) => Uint8Array;
    readonly envelope?: (bytes: Uint8Array) => Uint8Array;
  },
): Promise<Uint8Array> {
  const [session] = openPeerOf(alice).sessions;
  if (session === undefined) throw new Error("no session");
  const content = encodeContent({
    kind: "text",
    id: asContentId(entropy(16)),
    time: { ms: alice.now, counter: 9 },
    text: "sealed by hand",
  });
  const env = {
    entropy,
    now: alice.now,
    crypto: {
      ...nobleBackend,
      seal: (key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array) =>
        nobleBackend.seal(
          key,
          nonce,
          aad,
          plaintext.length === HEADER_BYTES ? plaintext : (change.body ?? same)(plaintext),
        ),
    },
  };
  const { envelope } = await encrypt((change.session ?? same)(session), content, env);
  return (change.envelope ?? same)(envelope);
}

const same = <T>(value: T): T => value;

const withByte = (at: number, value: number) => (bytes: Uint8Array) => {
  const changed = bytes.slice();
  changed[at < 0 ? changed.length + at : at] = value;
  return changed;
};

/** Behind the mark, the length and as many bytes of content. */
const endOfContent = (bytes: Uint8Array): number =>
  12 + new DataView(bytes.buffer, bytes.byteOffset).getUint16(10);

/** The frame of the post-quantum ratchet fills what padding there is: a body that has none of it is all zeros there. */
const zeroedAfterContent = (bytes: Uint8Array): Uint8Array => {
  const changed = bytes.slice();
  return changed.fill(0, endOfContent(bytes));
};

const WRONG = {
  "a body whose tag does not fit": [
    "bad-tag",
    { envelope: (bytes: Uint8Array) => withByte(-1, (bytes.at(-1) ?? 0) ^ 1)(bytes) },
  ],
  "a body changed at its beginning": [
    "bad-tag",
    { envelope: (bytes: Uint8Array) => withByte(80, (bytes[80] ?? 0) ^ 0x80)(bytes) },
  ],
  "padding whose last byte is not zero": [
    "malformed",
    { body: (bytes: Uint8Array) => withByte(-1, 1)(zeroedAfterContent(bytes)) },
  ],
  "padding whose first bytes are no frame": [
    "malformed",
    {
      body: (bytes: Uint8Array) => withByte(endOfContent(bytes), 0x77)(zeroedAfterContent(bytes)),
    },
  ],
  "a length beyond the end": ["malformed", { body: withByte(10, 0xff) }],
  "a device list above the last version": ["malformed", { body: withByte(0, 1) }],
  "a mark of no device list that is not zeros": [
    "malformed",
    { body: (bytes: Uint8Array) => withByte(9, 1)(bytes.slice().fill(0, 0, 10)) },
  ],
  "a number too far ahead": [
    "too-far-ahead",
    {
      session: (genuine: Session): Session =>
        genuine.sending === undefined
          ? genuine
          : {
              ...genuine,
              stepDue: false,
              sending: { ...genuine.sending, next: genuine.sending.next + JUMP_MAX + 9 },
            },
    },
  ],
} as const;

/** What a side says to the outside in the hours after: kinds and sizes, in order. */
async function saysLater(side: Side): Promise<readonly string[]> {
  const said: string[] = [];
  for (const ms of [1_000, 5_000, 60_000, 3_600_000, 2 * 3_600_000]) {
    side.now += ms;
    const effects = await side.feed({ kind: "wake" });
    for (const { path, blob } of of(effects, "transmit")) said.push(`${path} ${blob.length}`);
    for (const { blob } of of(effects, "signal")) said.push(`signal ${blob.length}`);
  }
  return said;
}

/** Both are in the middle of a turn of Alice's: what she seals by hand goes on in it. */
async function inTurn() {
  const pair = await paired();
  await pair.alice.send("in turn");
  await settle(pair.alice, pair.bob);
  return pair;
}

describe("a message that its sender sealed wrongly", () => {
  it.each(["relay", "direct"] as const)(
    "is refused in one way, whatever is wrong with it: over the %s",
    async (path) => {
      const wakesOf = (effects: Parameters<typeof reasons>[0]) =>
        of(effects, "wake").map(({ at }) => at);
      /** What becomes of one that no session opens, then and in the hours after. */
      const refused = async (reason: string, change: Parameters<typeof seal>[1], what: string) => {
        const { alice, bob } = await inTurn();
        const { conversation, outbox } = bob.slice;
        const blob = await seal(alice, change);
        const effects = await (path === "relay" ? deliver(bob, blob) : deliverDirect(bob, blob));
        expect(reasons(effects), what).toEqual([reason]);
        const left = effects.filter(({ kind }) => kind !== "dropped" && kind !== "wake");
        expect(
          left.map(({ kind }) => kind),
          what,
        ).toEqual(path === "relay" ? ["ack"] : []);
        expect(bob.slice.conversation, what).toBe(conversation);
        expect(bob.slice.outbox, what).toBe(outbox);
        return { wakes: wakesOf(effects), later: await saysLater(bob) };
      };
      const unknown = {
        envelope: (bytes: Uint8Array) => withByte(30, (bytes[30] ?? 0) ^ 1)(bytes),
      };
      const usual = await refused("unknown-session", unknown, "a header that does not open");
      for (const [what, [reason, change]] of Object.entries(WRONG)) {
        expect(await refused(reason, change, what), what).toEqual(usual);
      }
    },
  );

  it("is the one difference: sealed rightly in the same manner it is shown and receipted", async () => {
    const { alice, bob } = await inTurn();
    await deliver(bob, await seal(alice, { body: zeroedAfterContent }));
    expect(bob.shown).toContain("sealed by hand");
    expect((await saysLater(bob)).length).toBeGreaterThan(0);
  });
});
