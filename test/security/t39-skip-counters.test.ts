/**
 * T-39: a header that claims the last number there is costs its receiver next to nothing, and no claim costs more than
 * the limit. Work is counted in HMACs, not in time.
 */
import {
  decrypt,
  encrypt,
  hmacSha256,
  JUMP_MAX,
  nobleBackend,
  openFromGroup,
  type Session,
  SKIPPED_KEYS_MAX,
} from "@sotto/crypto";
import {
  concatBytes,
  createWriter,
  decodeGroupEnvelope,
  encodeGroupEnvelope,
  type MessageEnvelope,
  utf8ToBytes,
} from "@sotto/wire";
import { beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import {
  asMessage,
  must,
  seededEnv,
  settledPair,
  text,
} from "../../packages/crypto/test/support.ts";
import { makeWorld } from "./t01-world.ts";

// The real functions run; they are counted on the way.
vi.mock("../../packages/crypto/src/primitives.ts", { spy: true });
const hmacs = (): number => vi.mocked(hmacSha256).mock.calls.length;
beforeEach(() => {
  vi.mocked(hmacSha256).mockClear();
});

const LAST = 0xffff_ffff;
const env = seededEnv("skip counters");

/** Bob has received one message of Alice's turn. `current`: her state in it; `next`: hers in the turn after. */
let current: Session;
let next: Session;
let inCurrent: Session;
let awaitingNext: Session;
beforeAll(async () => {
  const pair = await settledPair("skip counters");
  const first = await encrypt(pair.a, text("first"), env);
  const b = must(await decrypt(pair.b, asMessage(first.envelope), env)).session;
  const answer = await encrypt(b, text("answer"), env);
  const a = must(await decrypt(first.session, asMessage(answer.envelope), env)).session;
  current = first.session;
  inCurrent = b;
  next = (await encrypt(a, text("turn"), env)).session;
  awaitingNext = answer.session;
});

/** A header of Alice's own making under her genuine header key; the body is noise, as far as it comes to that. */
async function claiming(
  session: Session,
  n: number,
  previousCount: number,
): Promise<MessageEnvelope> {
  const { sending, ownRatchetKey, transcript, kem } = session;
  if (sending === undefined || ownRatchetKey === undefined) {
    throw new Error("nothing to send with");
  }
  const number = createWriter().u32(n).done();
  const tag = hmacSha256(sending.headerKey, concatBytes(utf8ToBytes("sotto/1 tag"), number)).slice(
    0,
    8,
  );
  const nonce = env.entropy(12);
  const prefix = concatBytes(Uint8Array.of(2), tag, nonce);
  const header = createWriter()
    .raw(ownRatchetKey)
    .u32(previousCount)
    .u32(n)
    .u16(kem.epoch)
    .u8(0)
    .done();
  const aad = concatBytes(transcript, prefix);
  const sealedHeader = await nobleBackend.seal(sending.headerKey, nonce, aad, header);
  vi.mocked(hmacSha256).mockClear();
  return {
    type: "message",
    tag,
    nonce,
    sealedHeader,
    sealedBody: env.entropy(256 - 80),
    prefix,
  };
}

async function cost(at: Session, envelope: MessageEnvelope) {
  const before = structuredClone(at);
  vi.mocked(hmacSha256).mockClear();
  const opened = await decrypt(at, envelope, env);
  const count = hmacs();
  expect(at).toEqual(before);
  return { reason: opened.ok ? "opened" : opened.reason, count };
}

describe("a header that claims", () => {
  it("number 2^32 - 1 of the current chain is refused after the HMAC of its tag, and changes nothing", async () => {
    expect(await cost(inCurrent, await claiming(current, LAST, 0))).toEqual({
      reason: "too-far-ahead",
      count: 1,
    });
  });

  it("2^32 - 1 messages in the chain before is refused after the HMAC of its tag", async () => {
    expect(await cost(awaitingNext, await claiming(next, 0, LAST))).toEqual({
      reason: "too-far-ahead",
      count: 1,
    });
  });

  it("number 2^32 - 1 of a new chain is refused after its root step: a handful of HMACs", async () => {
    const { reason, count } = await cost(awaitingNext, await claiming(next, LAST, 1));
    expect(reason).toBe("too-far-ahead");
    // HKDF: one to extract, one for each 32 of 96 bytes; and the tag.
    expect(count).toBeLessThanOrEqual(5);
  });

  it("as much as it may in both chains costs four times JUMP_MAX and a handful, and forged it changes nothing", async () => {
    const received = 1;
    const most = await claiming(next, JUMP_MAX, received + JUMP_MAX);
    const { reason, count } = await cost(awaitingNext, most);
    expect(reason).toBe("bad-tag");
    expect(count).toBeGreaterThan(4 * JUMP_MAX - 1);
    expect(count).toBeLessThanOrEqual(4 * JUMP_MAX + 8);
    for (const [n, previousCount] of [
      [JUMP_MAX, received + JUMP_MAX + 1],
      [JUMP_MAX + 1, received + JUMP_MAX],
    ] as const) {
      const over = await cost(awaitingNext, await claiming(next, n, previousCount));
      expect(over.reason).toBe("too-far-ahead");
      expect(over.count).toBeLessThan(count);
    }
  });

  it("again and again as much as it may keeps no key, because none of it is genuine", async () => {
    for (let round = 0; round < 5; round++) {
      await cost(inCurrent, await claiming(current, current.previousCount + JUMP_MAX, 0));
    }
    expect(inCurrent.skipped).toEqual([]);
    expect(SKIPPED_KEYS_MAX).toBe(2_000);
  });
});

describe("a group header that claims number 2^32 - 1", () => {
  it("is refused with no more work than its tag, for the sender of the chain itself", async () => {
    const { group } = await makeWorld(nobleBackend);
    const { chain, sender, log } = group;
    const context = concatBytes(chain.group, chain.account, chain.device, chain.chainId);
    const number = createWriter().u32(LAST).done();
    const tag = hmacSha256(chain.headerKey, concatBytes(utf8ToBytes("sotto/1 gtag"), number)).slice(
      0,
      8,
    );
    const nonce = env.entropy(12);
    const prefix = concatBytes(Uint8Array.of(5), tag, nonce);
    const header = concatBytes(number, new Uint8Array(9));
    const sealedHeader = await nobleBackend.seal(
      chain.headerKey,
      nonce,
      concatBytes(context, prefix),
      header,
    );
    const sealedBody = env.entropy(256 - prefix.length - sealedHeader.length);
    const decoded = must(
      decodeGroupEnvelope(encodeGroupEnvelope({ prefix, sealedHeader, sealedBody })),
    );
    const before = structuredClone(sender);
    vi.mocked(hmacSha256).mockClear();
    expect(await openFromGroup(sender, decoded.value, log, env)).toEqual({
      ok: false,
      reason: "too-far-ahead",
    });
    expect(hmacs()).toBe(1);
    expect(sender).toEqual(before);
  });
});
