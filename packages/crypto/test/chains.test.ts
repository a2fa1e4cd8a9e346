/** Kept message keys and their limits, one step at a time; ratchet.test.ts sees the same through whole sessions. */
import { nobleBackend } from "@sotto/crypto";
import { concatBytes, utf8ToBytes } from "@sotto/wire";
import { describe, expect, it } from "vitest";
import {
  type Chain,
  chainStep,
  dropOldKeys,
  JUMP_MAX,
  OLD_CHAINS_MAX,
  rootStep,
  SKIPPED_KEY_AGE_MS_MAX,
  SKIPPED_KEYS_MAX,
  type SkippedChain,
  skipTo,
  takeSkipped,
} from "#src/chains.ts";
import { hkdfSha256 } from "#src/primitives.ts";
import {
  advanceInChain,
  advanceInSkipped,
  advanceToTurn,
  type Ratchet,
  takeTurn,
} from "#src/ratchet.ts";
import { seededEnv } from "./support.ts";

const key = (value: number): Uint8Array => new Uint8Array(32).fill(value);
const NOW = 10 * SKIPPED_KEY_AGE_MS_MAX;
const ENV = { now: NOW, crypto: nobleBackend };

/** `count` keys from number `first`, all kept at the same time. */
const kept = (
  header: number,
  turn: number,
  count: number,
  { first = 0, at = NOW } = {},
): SkippedChain => ({
  headerKey: key(header),
  turn,
  keys: Array.from({ length: count }, (_, index) => ({ n: first + index, key: key(index), at })),
});

const chain: Chain = { headerKey: key(1), chainKey: key(2), next: 3 };

describe("moving ahead in a chain", () => {
  it("keeps the key of every number in between, and when that was", () => {
    const first = chainStep(chain.chainKey, nobleBackend.hmac);
    const second = chainStep(first.chainKey, nobleBackend.hmac);
    expect(skipTo({ skipped: [], turn: 4 }, chain, 5, ENV)).toEqual({
      chain: { headerKey: chain.headerKey, chainKey: second.chainKey, next: 5 },
      skipped: [
        {
          headerKey: chain.headerKey,
          turn: 4,
          keys: [
            { n: 3, key: first.messageKey, at: NOW },
            { n: 4, key: second.messageKey, at: NOW },
          ],
        },
      ],
    });
  });

  it("keeps nothing when nothing is skipped", () => {
    const skipped = [kept(9, 1, 2)];
    const reached = skipTo({ skipped, turn: 4 }, chain, chain.next, ENV);
    expect(reached?.chain).toEqual(chain);
    expect(reached?.skipped).toBe(skipped);
  });

  it("adds to what is kept of the same chain and leaves the others as they are", () => {
    const [before, same, after] = [kept(8, 1, 1), kept(1, 1, 2), kept(9, 2, 1)];
    const reached = skipTo({ skipped: [before, same, after], turn: 4 }, chain, 4, ENV);
    expect(reached?.skipped.slice(0, 2)).toEqual([before, after]);
    expect(reached?.skipped[2]).toMatchObject({ headerKey: key(1), turn: 4 });
    expect(reached?.skipped[2]?.keys.map(({ n }) => n)).toEqual([0, 1, 3]);
    expect(reached?.skipped).toHaveLength(3);
  });

  it(`goes ${JUMP_MAX} numbers ahead and not one more`, () => {
    const skips = { skipped: [], turn: 0 };
    const reached = skipTo(skips, chain, chain.next + JUMP_MAX, ENV);
    expect(reached?.skipped[0]?.keys).toHaveLength(JUMP_MAX);
    expect(skipTo(skips, chain, chain.next + JUMP_MAX + 1, ENV)).toBeUndefined();
  });
});

describe("a kept key", () => {
  it("is given once, and only for its own number", () => {
    const [one, other] = [kept(1, 0, 3), kept(2, 0, 3)];
    const taken = takeSkipped({ skipped: [other, one], turn: 0 }, one, 1);
    expect(taken?.messageKey).toEqual(key(1));
    expect(taken?.skipped[0]).toBe(other);
    expect(taken?.skipped[1]?.keys.map(({ n }) => n)).toEqual([0, 2]);
    expect(takeSkipped({ skipped: [other, one], turn: 0 }, one, 3)).toBeUndefined();
  });

  it("lives for 14 days to the millisecond", () => {
    expect(SKIPPED_KEY_AGE_MS_MAX).toBe(1_209_600_000);
    const oldest = NOW - SKIPPED_KEY_AGE_MS_MAX;
    const young = kept(1, 0, 2, { at: oldest });
    const old = kept(2, 0, 2, { at: oldest - 1 });
    const [edge] = kept(1, 0, 1, { first: 6, at: oldest }).keys;
    const mixed = { ...young, keys: [...old.keys, edge!, ...kept(1, 0, 1, { first: 7 }).keys] };
    const left = dropOldKeys({ skipped: [young, old, mixed], turn: 0 }, NOW);
    expect(left).toHaveLength(2);
    expect(left[0]).toBe(young);
    expect(left[1]?.keys.map(({ n }) => n)).toEqual([6, 7]);
  });

  it(`outlives ${OLD_CHAINS_MAX} chains after its own`, () => {
    const chains = [0, 1, 2].map((turn) => kept(turn, turn, 1));
    expect(dropOldKeys({ skipped: chains, turn: OLD_CHAINS_MAX + 1 }, NOW)).toEqual(
      chains.slice(1),
    );
    expect(dropOldKeys({ skipped: [kept(9, 50, 1)], turn: 50 }, NOW)).toHaveLength(1);
  });

  it.each([
    [
      [1_000, 1_000],
      [1_000, 1_000],
    ],
    [
      [1_000, 1_001],
      [999, 1_001],
    ],
    [
      [50, 50, 1_950],
      [50, 1_950],
    ],
    [
      [30, 30, 1_980],
      [20, 1_980],
    ],
    [[2_040], [2_000]],
    [[10, 2_040], [2_000]],
  ])(
    `is one of ${SKIPPED_KEYS_MAX}: of chains with %j the oldest go, which leaves %j`,
    (counts, left) => {
      const skipped = counts.map((count, turn) => kept(turn, turn, count));
      const chains = dropOldKeys({ skipped, turn: 0 }, NOW);
      expect(chains.map(({ keys }) => keys.length)).toEqual(left);
      // Of each chain the last numbers stay.
      const ends = chains.map(({ keys }) => (keys.at(-1)?.n ?? 0) + 1);
      expect(ends).toEqual(counts.slice(-left.length));
    },
  );
});

describe("a root step", () => {
  it("cuts 96 bytes into root, chain and header key, over both secrets", () => {
    const [root, shared, secret] = [key(1), key(2), key(3)];
    const label = utf8ToBytes("sotto/1 root");
    for (const kemSecret of [undefined, secret]) {
      const step = rootStep(root, shared, kemSecret, nobleBackend.hmac);
      const ikm = kemSecret === undefined ? shared : concatBytes(shared, kemSecret);
      expect(concatBytes(step.rootKey, step.chainKey, step.nextHeaderKey)).toEqual(
        hkdfSha256(ikm, root, label, 96),
      );
      expect([step.rootKey.length, step.chainKey.length]).toEqual([32, 32]);
    }
  });
});

describe("a ratchet", () => {
  const env = seededEnv("chains");
  const begun: Ratchet = {
    rootKey: key(1),
    ownRatchetSecret: key(2),
    ownRatchetKey: key(3),
    remoteRatchetKey: undefined,
    sending: undefined,
    nextSendingHeaderKey: key(4),
    previousCount: 0,
    stepDue: true,
    receiving: undefined,
    nextReceivingHeaderKey: key(5),
    skipped: [],
    turn: 7,
  };
  const running: Ratchet = { ...begun, receiving: { ...chain, next: 3 } };
  const remote = env.crypto.dhPublic(key(6));
  const refused = (reason: string): object => ({ ok: false, reason });

  it("receives in no chain before the other side's first turn", () => {
    expect(advanceInChain(begun, 0, ENV)).toEqual(refused("unknown-session"));
  });

  it("gives the key of a number once", () => {
    expect(advanceInChain(running, 2, ENV)).toEqual(refused("duplicate"));
    const held = kept(1, 7, 2);
    const session = { ...running, skipped: [kept(9, 7, 3), held] };
    expect(advanceInChain(session, 1, ENV)).toMatchObject({ ok: true, messageKey: key(1) });
    expect(advanceInChain(session, 2, ENV)).toEqual(refused("duplicate"));
    expect(advanceInSkipped(session, held, 2)).toEqual(refused("duplicate"));
    expect(advanceInChain(running, 3, ENV)).toMatchObject({
      ok: true,
      session: { receiving: { headerKey: key(1), next: 4 } },
    });
  });

  it("refuses a turn after a chain that ended too early or too late", async () => {
    const turn = async (previousCount: number) =>
      advanceToTurn(running, { ratchetKey: await remote, previousCount, n: 0 }, env);
    expect(await turn(2)).toEqual(refused("malformed"));
    expect(await turn(3)).toMatchObject({ ok: true, session: { turn: 8, stepDue: true } });
    expect(await turn(3 + JUMP_MAX)).toMatchObject({ ok: true });
    expect(await turn(3 + JUMP_MAX + 1)).toEqual(refused("too-far-ahead"));
  });

  it("takes a turn of its own only towards a key, and says how long the chain before was", async () => {
    await expect(takeTurn(begun, env)).rejects.toThrow(new RangeError("no remote ratchet key"));
    const session = { ...begun, remoteRatchetKey: await remote };
    expect(await takeTurn(session, env)).toMatchObject({
      previousCount: 0,
      stepDue: false,
      sending: { headerKey: key(4), next: 0 },
    });
    const later = await takeTurn({ ...session, sending: { ...chain, next: 9 } }, env);
    expect(later.previousCount).toBe(9);
  });
});
