import {
  accept,
  type CryptoEnv,
  decrypt,
  encrypt,
  JUMP_MAX,
  LIST_PREFIX_BYTES,
  type ListMark,
  NO_LIST_MARK,
  OLD_CHAINS_MAX,
  type Session,
  SKIPPED_KEY_AGE_MS_MAX,
  SKIPPED_KEYS_MAX,
} from "@sotto/crypto";
import {
  bytesToHex,
  concatBytes,
  CONTENT_BYTES_MAX,
  createWriter,
  hexToBytes,
  LIST_VERSION_MAX,
  type MessageEnvelope,
} from "@sotto/wire";
import * as fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { aeadSeal, hmacSha256 } from "#src/primitives.ts";
import { runs } from "../../../test/setup/runs.ts";
import {
  asHello,
  asMessage,
  flipBit,
  greeted,
  must,
  numbered,
  type Pair,
  sealAll,
  seededEnv,
  settledPair,
  text,
} from "./support.ts";

const env = seededEnv("ratchet");
let pair: Pair;
beforeAll(async () => {
  pair = await settledPair("ratchet");
});

const skippedCount = (session: Session): number =>
  session.skipped.reduce((sum, chain) => sum + chain.keys.length, 0);

/** `from` writes, `to` reads: one message that arrives. */
async function pass(
  from: Session,
  to: Session,
  with_: CryptoEnv = env,
): Promise<readonly [Session, Session]> {
  const sealed = await encrypt(from, text("passed"), with_);
  const opened = must(await decrypt(to, asMessage(sealed.envelope), with_));
  return [sealed.session, opened.session];
}

describe("any schedule of sending, losing, reordering, duplicating and tampering, both ways", () => {
  type Action =
    | { readonly kind: "send"; readonly side: 0 | 1 }
    | { readonly kind: "deliver" | "tamper"; readonly side: 0 | 1; readonly pick: number };

  const side = fc.constantFrom<0 | 1>(0, 1);
  const pick = fc.nat({ max: 1_000 });
  const action: fc.Arbitrary<Action> = fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant("send" as const), side }) },
    { weight: 6, arbitrary: fc.record({ kind: fc.constant("deliver" as const), side, pick }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("tamper" as const), side, pick }) },
  );

  it("opens each message exactly once within the limits, and a refusal changes nothing", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(action, { minLength: 20, maxLength: 120, size: "max" }),
        fc.nat(),
        async (actions, seed) => {
          const random = seededEnv(`schedule ${seed}`);
          const sessions: [Session, Session] = [pair.a, pair.b];
          // A message never leaves the list, so every delivery after its first is a duplicate.
          const sent: [Sent[], Sent[]] = [[], []];
          const chainSeen: [number, number] = [0, 0];
          for (const one of actions) {
            const other = one.side === 0 ? 1 : 0;
            if (one.kind === "send") {
              const content = text(`${one.side}/${sent[one.side].length}`);
              const before = sessions[one.side];
              const sealed = await encrypt(before, content, random);
              sessions[one.side] = sealed.session;
              const started = sealed.session.sending?.next === 1;
              const last = sent[one.side].at(-1)?.chain ?? 0;
              const chain = started && sent[one.side].length > 0 ? last + 1 : last;
              sent[one.side].push({ envelope: sealed.envelope, content, chain, opened: false });
              continue;
            }
            const candidates = sent[other];
            const message = candidates[one.pick % Math.max(candidates.length, 1)];
            if (message === undefined) continue;
            const before = sessions[one.side];
            const snapshot = structuredClone(before);
            const bit = 8 + ((one.pick * 7_919) % (message.envelope.length * 8 - 8));
            const bytes = one.kind === "tamper" ? flipBit(message.envelope, bit) : message.envelope;
            const result = await decrypt(before, asMessage(bytes), random);
            expect(before).toEqual(snapshot);
            const age = chainSeen[one.side] - message.chain;
            const expected = one.kind === "deliver" && !message.opened && age <= OLD_CHAINS_MAX;
            expect(result.ok).toBe(expected);
            if (!result.ok) continue;
            expect(result.content).toEqual(message.content);
            message.opened = true;
            sessions[one.side] = result.session;
            chainSeen[one.side] = Math.max(chainSeen[one.side], message.chain);
            expect(skippedCount(result.session)).toBeLessThanOrEqual(SKIPPED_KEYS_MAX);
          }
        },
      ),
      { numRuns: runs(60) },
    );
  });

  interface Sent {
    readonly envelope: Uint8Array;
    readonly content: Uint8Array;
    /** Which of its sender's chains it was sealed in. */
    readonly chain: number;
    opened: boolean;
  }
});

describe("how far ahead a message may be", () => {
  let start: Session;
  let envelopes: readonly Uint8Array[];
  let sender: Session;
  beforeAll(async () => {
    start = pair.b;
    ({ envelopes, session: sender } = await sealAll(pair.a, numbered(JUMP_MAX + 4), env));
  });
  const at = (n: number) => asMessage(envelopes[n]!);

  it("opens one that skips JUMP_MAX and refuses one that skips one more", async () => {
    const opened = must(await decrypt(start, at(JUMP_MAX), env));
    expect(skippedCount(opened.session)).toBe(JUMP_MAX);
    const before = structuredClone(start);
    expect(await decrypt(start, at(JUMP_MAX + 1), env)).toEqual({
      ok: false,
      reason: "too-far-ahead",
    });
    expect(start).toEqual(before);
  });

  it("counts from the last message received, not from the start of the chain", async () => {
    const { session } = must(await decrypt(start, at(0), env));
    expect((await decrypt(session, at(JUMP_MAX + 1), env)).ok).toBe(true);
    expect(await decrypt(session, at(JUMP_MAX + 2), env)).toMatchObject({
      reason: "too-far-ahead",
    });
  });

  it("keeps SKIPPED_KEYS_MAX keys in all; one more drops the oldest", async () => {
    const full = must(await decrypt(start, at(SKIPPED_KEYS_MAX), env)).session;
    expect((await decrypt(full, at(0), env)).ok).toBe(true);
    const over = must(await decrypt(full, at(SKIPPED_KEYS_MAX + 2), env)).session;
    expect(skippedCount(over)).toBe(SKIPPED_KEYS_MAX);
    expect(await decrypt(over, at(0), env)).toEqual({ ok: false, reason: "duplicate" });
    expect(must(await decrypt(over, at(1), env)).content).toEqual(text("message 1"));
    expect(must(await decrypt(over, at(SKIPPED_KEYS_MAX + 1), env)).ok).toBe(true);
  });

  it("drops whole chains first when those are the oldest", async () => {
    const full = must(await decrypt(start, at(SKIPPED_KEYS_MAX), env)).session;
    const [b1, a1] = await pass(full, sender);
    const next = await sealAll(a1, numbered(5), env);
    // The old chain is closed: its last three keys are skipped too, then four of the new one.
    const moved = must(await decrypt(b1, asMessage(next.envelopes[4]!), env)).session;
    expect(skippedCount(moved)).toBe(SKIPPED_KEYS_MAX);
    expect((await decrypt(moved, at(6), env)).ok).toBe(false);
    expect(must(await decrypt(moved, at(7), env)).content).toEqual(text("message 7"));
    expect(must(await decrypt(moved, asMessage(next.envelopes[0]!), env)).ok).toBe(true);
  });

  it("applies to the end of the previous chain: JUMP_MAX unseen open, one more is refused", async () => {
    for (const unseen of [JUMP_MAX, JUMP_MAX + 1]) {
      const sealed = await sealAll(pair.a, numbered(1 + unseen), env);
      const first = must(await decrypt(pair.b, asMessage(sealed.envelopes[0]!), env)).session;
      const [b1, a1] = await pass(first, sealed.session);
      const turned = await encrypt(a1, text("turned"), env);
      const result = await decrypt(b1, asMessage(turned.envelope), env);
      if (unseen === JUMP_MAX) {
        expect(skippedCount(must(result).session)).toBe(JUMP_MAX);
        const late = await decrypt(must(result).session, asMessage(sealed.envelopes.at(-1)!), env);
        expect(must(late).content).toEqual(text(`message ${unseen}`));
      } else {
        expect(result).toEqual({ ok: false, reason: "too-far-ahead" });
      }
    }
  });

  it("refuses the highest number at once", async () => {
    const far = { ...pair.a, stepDue: false, sending: { ...sender.sending!, next: 0xffff_fffe } };
    const { envelope } = await encrypt(far, text("far"), env);
    const { session } = must(await decrypt(start, at(0), env));
    expect(await decrypt(session, asMessage(envelope), env)).toEqual({
      ok: false,
      reason: "too-far-ahead",
    });
  });
});

describe("how late a message may be", () => {
  it(`opens from OLD_CHAINS_MAX (${OLD_CHAINS_MAX}) chains ago, not from one more`, async () => {
    const late = await sealAll(pair.a, numbered(3), env);
    let [b, a] = [pair.b, late.session];
    b = must(await decrypt(b, asMessage(late.envelopes[2]!), env)).session;
    for (let turn = 1; turn <= OLD_CHAINS_MAX + 1; turn++) {
      [b, a] = await pass(b, a);
      [a, b] = await pass(a, b);
      const opened = await decrypt(b, asMessage(late.envelopes[0]!), env);
      expect(opened.ok, `${turn} chains later`).toBe(turn <= OLD_CHAINS_MAX);
    }
    expect(b.skipped).toEqual([]);
    expect(await decrypt(b, asMessage(late.envelopes[1]!), env)).toEqual({
      ok: false,
      reason: "unknown-session",
    });
  });

  it("opens at SKIPPED_KEY_AGE_MS_MAX and not a millisecond later", async () => {
    const sealed = await sealAll(pair.a, numbered(2), env);
    const { session } = must(await decrypt(pair.b, asMessage(sealed.envelopes[1]!), env));
    const limit = { ...env, now: env.now + SKIPPED_KEY_AGE_MS_MAX };
    const past = { ...env, now: limit.now + 1 };
    const late = asMessage(sealed.envelopes[0]!);
    expect(must(await decrypt(session, late, limit)).content).toEqual(text("message 0"));
    const before = structuredClone(session);
    expect(await decrypt(session, late, past)).toEqual({ ok: false, reason: "duplicate" });
    expect(session).toEqual(before);
  });

  it("forgets dead keys with the next message in either direction", async () => {
    const sealed = await sealAll(pair.a, numbered(3), env);
    const { session } = must(await decrypt(pair.b, asMessage(sealed.envelopes[1]!), env));
    expect(skippedCount(session)).toBe(1);
    const limit = { ...env, now: env.now + SKIPPED_KEY_AGE_MS_MAX };
    const past = { ...env, now: limit.now + 1 };
    const next = asMessage(sealed.envelopes[2]!);
    expect(skippedCount((await encrypt(session, text("x"), limit)).session)).toBe(1);
    expect(skippedCount((await encrypt(session, text("x"), past)).session)).toBe(0);
    expect(skippedCount(must(await decrypt(session, next, limit)).session)).toBe(1);
    expect(skippedCount(must(await decrypt(session, next, past)).session)).toBe(0);
  });

  it("ages each key by itself", async () => {
    const sealed = await sealAll(pair.a, numbered(4), env);
    const first = must(await decrypt(pair.b, asMessage(sealed.envelopes[1]!), env)).session;
    const later = { ...env, now: env.now + 1_000 };
    const second = must(await decrypt(first, asMessage(sealed.envelopes[3]!), later)).session;
    const past = { ...env, now: env.now + SKIPPED_KEY_AGE_MS_MAX + 1 };
    expect((await decrypt(second, asMessage(sealed.envelopes[0]!), past)).ok).toBe(false);
    expect((await decrypt(second, asMessage(sealed.envelopes[2]!), past)).ok).toBe(true);
  });

  it("keeps keys when the clock goes backwards", async () => {
    const sealed = await sealAll(pair.a, numbered(2), env);
    const { session } = must(await decrypt(pair.b, asMessage(sealed.envelopes[1]!), env));
    const earlier = { ...env, now: env.now - 10 * SKIPPED_KEY_AGE_MS_MAX };
    expect((await decrypt(session, asMessage(sealed.envelopes[0]!), earlier)).ok).toBe(true);
  });
});

describe("a message", () => {
  it("opens once: again in its chain it is a duplicate, whether it came in order or late", async () => {
    const sealed = await sealAll(pair.a, numbered(3), env);
    let b = must(await decrypt(pair.b, asMessage(sealed.envelopes[2]!), env)).session;
    b = must(await decrypt(b, asMessage(sealed.envelopes[0]!), env)).session;
    for (const n of [0, 2]) {
      expect(await decrypt(b, asMessage(sealed.envelopes[n]!), env)).toEqual({
        ok: false,
        reason: "duplicate",
      });
    }
    expect((await decrypt(b, asMessage(sealed.envelopes[1]!), env)).ok).toBe(true);
  });

  it("does not open at its own sender (reflection) nor in another session", async () => {
    const other = await settledPair("ratchet, other");
    const sealed = await encrypt(pair.a, text("for b"), env);
    for (const session of [sealed.session, pair.a, other.a, other.b]) {
      expect(await decrypt(session, asMessage(sealed.envelope), env)).toEqual({
        ok: false,
        reason: "unknown-session",
      });
    }
  });

  it("holds CONTENT_BYTES_MAX and throws on one byte more", async () => {
    const content = new Uint8Array(CONTENT_BYTES_MAX).fill(7);
    const { envelope } = await encrypt(pair.a, content, env);
    expect(must(await decrypt(pair.b, asMessage(envelope), env)).content).toEqual(content);
    const tooLarge = new Uint8Array(CONTENT_BYTES_MAX + 1);
    await expect(encrypt(pair.a, tooLarge, env)).rejects.toThrow(
      new RangeError(`content of ${tooLarge.length} bytes, at most ${CONTENT_BYTES_MAX}`),
    );
  });

  it("may be empty, and keeps its own trailing zeros", async () => {
    for (const content of [new Uint8Array(0), new Uint8Array(5), Uint8Array.of(1, 0, 0)]) {
      const { envelope } = await encrypt(pair.a, content, env);
      expect(must(await decrypt(pair.b, asMessage(envelope), env)).content).toEqual(content);
    }
  });

  it("cannot be sealed by a responder before anything arrived, nor beyond the last number", async () => {
    const [b, a] = await pass(pair.b, pair.a);
    const last = { ...b, sending: { ...b.sending!, next: 0xffff_fffe } };
    const sealed = await encrypt(last, text("last"), env);
    await expect(encrypt(sealed.session, text("one more"), env)).rejects.toThrow(
      new RangeError("sending chain is exhausted"),
    );
    const silent = { ...a, stepDue: false, sending: undefined };
    await expect(encrypt(silent, text("x"), env)).rejects.toThrow(
      new RangeError("nothing received yet: no chain to send on"),
    );
  });
});

describe("what an insider sends that no honest sender would", () => {
  it("an unusable ratchet key under a genuine header key: malformed, nothing changes", async () => {
    const [b1, a1] = await pass(pair.b, pair.a);
    for (const key of [
      new Uint8Array(32),
      new Uint8Array(32).fill(0xff),
      new Uint8Array(32).fill(0x80),
    ]) {
      const turned = (await encrypt(a1, text("x"), env)).session;
      const hostile = { ...turned, ownRatchetKey: key };
      const { envelope } = await encrypt(hostile, text("x"), env);
      const before = structuredClone(b1);
      expect(await decrypt(b1, asMessage(envelope), env)).toEqual({
        ok: false,
        reason: "malformed",
      });
      expect(b1).toEqual(before);
    }
  });

  it("a previous chain that ends before what was received in it: malformed", async () => {
    const sealed = await sealAll(pair.a, numbered(3), env);
    const b = must(await decrypt(pair.b, asMessage(sealed.envelopes[2]!), env)).session;
    const [b1, a1] = await pass(b, sealed.session);
    const turned = (await encrypt(a1, text("x"), env)).session;
    expect(turned.previousCount).toBe(3);
    for (const [previousCount, ok] of [
      [2, false],
      [3, true],
    ] as const) {
      const { envelope } = await encrypt({ ...turned, previousCount }, text("x"), env);
      expect((await decrypt(b1, asMessage(envelope), env)).ok).toBe(ok);
    }
  });

  it("a second turn without waiting for an answer: no header key fits", async () => {
    const [a1, b1] = await pass(pair.a, pair.b);
    expect(b1.stepDue).toBe(true);
    const impatient = { ...a1, sending: { ...a1.sending!, headerKey: a1.nextSendingHeaderKey } };
    const { envelope } = await encrypt(impatient, text("x"), env);
    expect(await decrypt(b1, asMessage(envelope), env)).toMatchObject({
      ok: false,
      reason: "unknown-session",
    });
  });

  it("a tag that is not the one of its number: bad-tag", async () => {
    const { a, b } = await inChain();
    expect((await decrypt(b, sealByHand(a, {}), env)).ok).toBe(true);
    const before = structuredClone(b);
    const tag = new Uint8Array(8).fill(1);
    expect(await decrypt(b, sealByHand(a, { tag }), env)).toEqual({ ok: false, reason: "bad-tag" });
    expect(b).toEqual(before);
  });

  it.each([
    ["no room for a mark", new Uint8Array(9)],
    ["no room for a length", bodyOf(0, 0, [0])],
    ["a length beyond the end", bodyOf(1, 9, [0, 3, 7, 7])],
    ["padding that is not zero", bodyOf(1, 9, [0, 1, 7, 0, 0, 1])],
    ["a mark of no list that has a prefix", bodyOf(0, 1, [0, 1, 7, 0])],
    ["a mark above the last version", bodyOf(LIST_VERSION_MAX + 1, 9, [0, 1, 7, 0])],
    ["the highest version that has room", bodyOf(0xffff, 9, [0, 1, 7, 0])],
  ])("a body with %s: malformed", async (_name, body) => {
    const { a, b } = await inChain();
    const before = structuredClone(b);
    expect(await decrypt(b, sealByHand(a, { body }), env)).toEqual({
      ok: false,
      reason: "malformed",
    });
    expect(b).toEqual(before);
  });

  it.each([
    [0, 0],
    [1, 0],
    [1, 0xff],
    [LIST_VERSION_MAX, 9],
  ])(
    "but a body with the mark of version %i and the prefix bytes %i opens",
    async (version, byte) => {
      const { a, b } = await inChain();
      const body = bodyOf(version, byte, [0, 1, 7, 0]);
      expect(must(await decrypt(b, sealByHand(a, { body }), env))).toMatchObject({
        content: Uint8Array.of(7),
        mark: { version, prefix: new Uint8Array(8).fill(byte) },
      });
    },
  );

  it("many gaps: work and memory stay bounded", async () => {
    let { a, b } = pair;
    for (let gap = 0; gap < 30; gap++) {
      const sealed = await sealAll(a, numbered(100), env);
      a = sealed.session;
      b = must(await decrypt(b, asMessage(sealed.envelopes[99]!), env)).session;
    }
    expect(skippedCount(b)).toBe(SKIPPED_KEYS_MAX);
  });
});

describe("the mark of the sender's device list", () => {
  const prefix = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);

  it("goes with every message, both ways, whatever it says and however long it is", async () => {
    let { a, b } = pair;
    for (const [at, version] of [1, 2, 255, 2].entries()) {
      const mark: ListMark = { version, prefix: prefix.map((byte) => byte * version) };
      for (const size of [0, 1, 148, 149, CONTENT_BYTES_MAX]) {
        const sealed = await encrypt(a, new Uint8Array(size), env, { mark, wide: at === 2 });
        const opened = must(await decrypt(b, asMessage(sealed.envelope), env));
        expect(opened.mark).toEqual(mark);
        expect(opened.content).toHaveLength(size);
        [a, b] = [sealed.session, opened.session];
      }
      [a, b] = [b, a];
    }
  });

  it("is in a HELLO's message too", async () => {
    const { bob, secrets, fresh } = await greeted("ratchet, mark");
    const mark = { version: 3, prefix };
    const { envelope } = await encrypt(fresh, text("hello"), env, { mark });
    expect(must(await accept(bob, secrets, asHello(envelope), env)).mark).toEqual(mark);
  });

  it("is that of no list when the sender gives none", async () => {
    const { envelope } = await encrypt(pair.a, text("x"), env);
    const { mark } = must(await decrypt(pair.b, asMessage(envelope), env));
    expect(mark).toEqual({ version: 0, prefix: new Uint8Array(8) });
    expect(mark).toEqual(NO_LIST_MARK);
  });

  it("takes the same room whatever it is", async () => {
    for (const size of [111, 112]) {
      const content = new Uint8Array(size);
      const [without, with_] = [
        await encrypt(pair.a, content, env),
        await encrypt(pair.a, content, env, { mark: { version: LIST_VERSION_MAX, prefix } }),
      ];
      expect(with_.envelope).toHaveLength(size === 111 ? 256 : 512);
      expect(without.envelope).toHaveLength(with_.envelope.length);
    }
  });

  it.each<[string, ListMark]>([
    ["above the last version", { version: LIST_VERSION_MAX + 1, prefix }],
    ["below version 0", { version: -1, prefix }],
    ["of no whole version", { version: 1.5, prefix }],
    ["of no list, with a prefix", { version: 0, prefix }],
    ["with a short prefix", { version: 1, prefix: prefix.slice(1) }],
    ["with a long prefix", { version: 1, prefix: new Uint8Array(LIST_PREFIX_BYTES + 1) }],
  ])("is not sealed when no list has it: %s", async (_, mark) => {
    await expect(encrypt(pair.a, text("x"), env, { mark })).rejects.toThrow(RangeError);
  });
});

describe("state", () => {
  it("survives structured cloning at every point and goes on from the copy", async () => {
    let { a, b } = pair;
    for (let turn = 0; turn < 4; turn++) {
      const sealed = await sealAll(structuredClone(a), numbered(3), env);
      expect(structuredClone(sealed.session)).toEqual(sealed.session);
      for (const n of [2, 0]) {
        b = must(await decrypt(structuredClone(b), asMessage(sealed.envelopes[n]!), env)).session;
        expect(structuredClone(b)).toEqual(b);
      }
      [a, b] = [b, sealed.session];
    }
  });

  it("takes a new ratchet key each turn and none within one", async () => {
    const one = await encrypt(pair.a, text("1"), env);
    const two = await encrypt(one.session, text("2"), env);
    expect(two.session.ownRatchetKey).toEqual(one.session.ownRatchetKey);
    const b = must(await decrypt(pair.b, asMessage(one.envelope), env)).session;
    const [, a] = await pass(b, two.session);
    const three = await encrypt(a, text("3"), env);
    expect(three.session.ownRatchetKey).not.toEqual(one.session.ownRatchetKey);
    expect(three.session.previousCount).toBe(2);
  });

  it("derives chain keys as libsignal does (its test_chain_key_derivation)", async () => {
    const seed = hexToBytes("8ab72d6f4cc5ac0d387eaf463378ddb28edd07385b1cb01250c715982e7ad48f")!;
    const known = {
      ...pair.a,
      stepDue: false,
      sending: { headerKey: pair.a.nextSendingHeaderKey, chainKey: seed, next: 0 },
    };
    const used: string[] = [];
    const crypto = {
      ...env.crypto,
      seal: (key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array) => {
        used.push(bytesToHex(key));
        return env.crypto.seal(key, nonce, aad, plaintext);
      },
    };
    const { session } = await encrypt(known, text("x"), { ...env, crypto });
    expect(bytesToHex(session.sending!.chainKey)).toBe(
      "28e8f8fee54b801eef7c5cfb2f17f32c7b334485bbb70fac6ec10342a246d15d",
    );
    expect(used[1]).toBe(bytesToHex(hmacSha256(seed, Uint8Array.of(1))));
  });
});

/** Both sides in the middle of one of Alice's chains. */
async function inChain(): Promise<{ readonly a: Session; readonly b: Session }> {
  const [a, b] = await pass(pair.a, pair.b);
  return { a, b };
}

/** u16(version) | prefix, all of it `byte` | what follows. */
function bodyOf(version: number, byte: number, rest: readonly number[]): Uint8Array {
  const prefix = new Uint8Array(8).fill(byte);
  return concatBytes(createWriter().u16(version).done(), prefix, Uint8Array.from(rest));
}

/** The next message of `session`, sealed by someone who has its keys but not this package's manners. */
function sealByHand(
  session: Session,
  wrong: { readonly tag?: Uint8Array; readonly body?: Uint8Array },
): MessageEnvelope {
  const { headerKey, chainKey, next } = session.sending!;
  const number = createWriter().u32(next).done();
  const tag =
    wrong.tag ?? hmacSha256(headerKey, concatBytes(text("sotto/1 tag"), number)).slice(0, 8);
  const nonce = env.entropy(12);
  const prefix = concatBytes(Uint8Array.of(2), tag, nonce);
  const header = concatBytes(session.ownRatchetKey!, new Uint8Array(4), number, new Uint8Array(3));
  const aad = concatBytes(session.transcript, prefix);
  const sealedHeader = aeadSeal(headerKey, nonce, aad, header);
  const sealedBody = aeadSeal(
    hmacSha256(chainKey, Uint8Array.of(1)),
    nonce,
    concatBytes(aad, sealedHeader),
    wrong.body ?? bodyOf(0, 0, [0, 1, 7, 0]),
  );
  return { type: "message", tag, nonce, sealedHeader, sealedBody, prefix };
}
