/** Sender chains: each message opens once, for members only, as its sender's only; chains end when they must. */
import {
  awaitHeads,
  beginChain,
  CHAIN_AGE_MS_MAX,
  CHAIN_MESSAGES_MAX,
  createRemoteSender,
  type CryptoEnv,
  dealChain,
  decrypt,
  encrypt,
  type GroupLog,
  type GroupOpened,
  JUMP_MAX,
  LABELS,
  makeOp,
  type MemberDevice,
  MEMBERS_MAX,
  openFromGroup,
  type OwnDevice,
  receiveOp,
  RECEIVING_CHAINS_MAX,
  type RemoteSender,
  rotationDue,
  sealForGroup,
  type SendingChain,
  SKIPPED_KEY_AGE_MS_MAX,
  SKIPPED_KEYS_MAX,
  SMALL_GROUP_MEMBERS_MAX,
  takeRecord,
  undealt,
} from "@sotto/crypto";
import {
  asAccountId,
  asDeviceId,
  BUCKETS,
  bytesToHex,
  concatBytes,
  CONTENT_BYTES_MAX,
  createWriter,
  decodeEnvelope,
  decodeGroupEnvelope,
  decodeGroupKey,
  encodeGroupKey,
  type GroupEnvelope,
  type GroupKey,
  hexToBytes,
  PARENTS_MAX,
} from "@sotto/wire";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { chainStep } from "#src/chains.ts";
import { deviceKey } from "#src/membership-cuts.ts";
import { aeadSeal, ed25519Sign, hmacSha256, labelled, sha256 } from "#src/primitives.ts";
import { runs } from "../../../test/setup/runs.ts";
import { referenceGroupSeal } from "./group-reference.ts";
import { accountOf, at, did, foundGroup, nameOf } from "./group-support.ts";
import {
  asMessage,
  failingBackend,
  flipBit,
  must,
  NOW,
  numbered,
  seededEnv,
  settledPair,
  text,
} from "./support.ts";

const deviceOf = (own: OwnDevice): MemberDevice => ({
  account: accountOf(own),
  device: own.cert.deviceId,
});

/** A group whose first two people have keys; the rest are accounts. Large enough that chains last. */
async function party(seed: string, members = SMALL_GROUP_MEMBERS_MAX + 1) {
  const env = seededEnv(seed);
  const { people, log: small } = await foundGroup(3, env);
  let log = small;
  for (let index = 3; index < members; index++) {
    const account = asAccountId(new Uint8Array(20).fill(index));
    log = await did(log, at(people, 0), { kind: "add", account }, env);
  }
  return { env, log, alice: at(people, 0), bob: at(people, 1), carol: at(people, 2) };
}

/** Alice's chain, dealt to Bob. */
async function dealt(
  log: GroupLog,
  alice: OwnDevice,
  bob: OwnDevice,
  env: CryptoEnv,
): Promise<{
  readonly chain: SendingChain;
  readonly receiver: RemoteSender;
  readonly record: GroupKey;
}> {
  const begun = must(await beginChain(log, alice, env));
  const { chain, record } = must(dealChain(begun.chain, log, [deviceOf(bob)], env.now));
  const receiver = takeRecord(strangerTo(log, alice), record, env.now);
  if (receiver === undefined) throw new Error("record refused");
  return { chain, receiver, record };
}

const strangerTo = (log: GroupLog, own: OwnDevice): RemoteSender =>
  createRemoteSender(log.group, accountOf(own), own.cert.deviceId);

function asGroup(bytes: Uint8Array): GroupEnvelope {
  return must(decodeGroupEnvelope(bytes)).value;
}

const open = (
  receiver: RemoteSender,
  envelope: Uint8Array,
  log: GroupLog,
  env: CryptoEnv,
): Promise<GroupOpened> => openFromGroup(receiver, asGroup(envelope), log, env);

async function sealAll(
  chain: SendingChain,
  log: GroupLog,
  contents: readonly Uint8Array[],
  env: CryptoEnv,
) {
  let current = chain;
  const envelopes: Uint8Array[] = [];
  for (const content of contents) {
    const sealed = must(await sealForGroup(current, log, content, env));
    current = sealed.chain;
    envelopes.push(sealed.envelope);
  }
  return { chain: current, envelopes };
}

describe("a message to a group", () => {
  it("opens for who has the chain, with its content, and in a bucket", async () => {
    const { env, log, alice, bob } = await party("opens");
    const { chain, receiver } = await dealt(log, alice, bob, env);
    let [sending, receiving] = [chain, receiver];
    for (const size of [0, 1, 124, 125, 1_000, CONTENT_BYTES_MAX]) {
      const content = new Uint8Array(size).fill(3);
      const sealed = must(await sealForGroup(sending, log, content, env));
      expect(BUCKETS).toContain(sealed.envelope.length);
      if (size === 124) expect(sealed.envelope.length).toBe(256);
      if (size === 125) expect(sealed.envelope.length).toBe(512);
      const opened = must(await open(receiving, sealed.envelope, log, env));
      expect(opened.content).toEqual(content);
      [sending, receiving] = [sealed.chain, opened.sender];
    }
    await expect(
      sealForGroup(sending, log, new Uint8Array(CONTENT_BYTES_MAX + 1), env),
    ).rejects.toThrow(/^content of \d+ bytes, at most \d+$/);
  });

  it("opens for who came later, from there on and not before", async () => {
    const { env, log, alice, bob } = await party("later");
    const { chain } = await dealt(log, alice, bob, env);
    const first = must(await sealForGroup(chain, log, text("before"), env));
    const dave = asAccountId(new Uint8Array(20).fill(99));
    const grown = await did(log, alice, { kind: "add", account: dave }, env);
    expect(rotationDue(first.chain, grown, env.now)).toBeUndefined();
    const device = asDeviceId(new Uint8Array(8));
    const to = must(dealChain(first.chain, grown, [{ account: dave, device }], env.now));
    const read = decodeGroupKey(encodeGroupKey(to.record));
    const receiver = takeRecord(strangerTo(log, alice), must(read).value, env.now);
    if (receiver === undefined) throw new Error("record refused");
    const second = must(await sealForGroup(to.chain, grown, text("after"), env));
    expect(await open(receiver, first.envelope, grown, env)).toEqual({
      ok: false,
      reason: "duplicate",
    });
    expect(must(await open(receiver, second.envelope, grown, env)).content).toEqual(text("after"));
  });

  it("says nothing outside but type, bucket and random bytes; nonces differ for one state used twice", async () => {
    const { env, log, alice, bob } = await party("outside");
    const { chain, record } = await dealt(log, alice, bob, env);
    const one = must(await sealForGroup(chain, log, text("one"), env)).envelope;
    const two = must(await sealForGroup(chain, log, text("two"), env)).envelope;
    expect(asGroup(one).tag).toEqual(asGroup(two).tag);
    expect(asGroup(one).nonce).not.toEqual(asGroup(two).nonce);
    const { envelopes } = await sealAll(chain, log, numbered(50), env);
    const seen = envelopes.map(bytesToHex);
    expect(new Set(envelopes.map((bytes) => bytesToHex(bytes.slice(1, 9)))).size).toBe(50);
    for (const secret of [log.group, chain.account, record.chainId, record.signingKey]) {
      for (const bytes of seen) expect(bytes).not.toContain(bytesToHex(secret.subarray(0, 8)));
    }
  });

  it("is refused when a single bit differs, and the genuine one still opens", async () => {
    const { env, log, alice, bob } = await party("bits");
    const { chain, receiver } = await dealt(log, alice, bob, env);
    const { envelope } = must(await sealForGroup(chain, log, text("whole"), env));
    const copy = structuredClone(receiver);
    for (let bit = 8; bit < envelope.length * 8; bit += 5) {
      expect((await open(receiver, flipBit(envelope, bit), log, env)).ok, `bit ${bit}`).toBe(false);
    }
    expect(receiver).toEqual(copy);
    expect(must(await open(receiver, envelope, log, env)).content).toEqual(text("whole"));
  });

  it("leaves states as they were when any call of the engine fails", async () => {
    const { env, log, alice, bob } = await party("engine");
    const { chain, receiver } = await dealt(log, alice, bob, env);
    const { envelope } = must(await sealForGroup(chain, log, text("whole"), env));
    const [sending, receiving] = [structuredClone(chain), structuredClone(receiver)];
    for (const manner of ["throws", "rejects"] as const) {
      for (let failAt = 0; failAt < 3; failAt++) {
        const broken = (): CryptoEnv => ({ ...env, crypto: failingBackend(failAt, manner) });
        await expect(sealForGroup(chain, log, text("x"), broken())).rejects.toThrow(
          "engine failed",
        );
        await expect(open(receiver, envelope, log, broken())).rejects.toThrow("engine failed");
      }
    }
    expect(chain).toEqual(sending);
    expect(receiver).toEqual(receiving);
  });
});

describe("reordering, loss and repetition", () => {
  it("open each message that comes exactly once", async () => {
    const { env, log, alice, bob } = await party("schedules");
    const { chain, receiver } = await dealt(log, alice, bob, env);
    const contents = numbered(24);
    const { envelopes } = await sealAll(chain, log, contents, env);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat({ max: 23 }), { minLength: 1, maxLength: 40 }),
        async (deliveries) => {
          let current = receiver;
          const seen = new Set<number>();
          for (const index of deliveries) {
            const opened = await open(current, at(envelopes, index), log, env);
            if (seen.has(index)) {
              expect(opened).toEqual({ ok: false, reason: "duplicate" });
            } else {
              expect(must(opened).content).toEqual(at(contents, index));
              expect(must(opened).n).toBe(index);
              current = must(opened).sender;
            }
            seen.add(index);
          }
        },
      ),
      { numRuns: runs(25) },
    );
  });

  it("skip at most 2,000 numbers and keep at most 2,000 keys, for 14 days", async () => {
    const { env, log, alice, bob } = await party("limits");
    const { chain, record } = await dealt(log, alice, bob, env);
    const base = takeRecord(strangerTo(log, alice), record, NOW);
    if (base === undefined) throw new Error("record refused");
    // A sender that does not end its chain after 500, as ours does.
    const { envelopes } = await sealAt(chain, log, [0, JUMP_MAX, JUMP_MAX + 1, JUMP_MAX + 2], env);
    const [first, jump, tooFar, further] = [0, 1, 2, 3].map((index) => at(envelopes, index));
    if (
      first === undefined ||
      jump === undefined ||
      tooFar === undefined ||
      further === undefined
    ) {
      throw new Error("not sealed");
    }
    expect(await open(base, tooFar, log, env)).toEqual({ ok: false, reason: "too-far-ahead" });
    const jumped = must(await open(base, jump, log, env)).sender;
    expect(jumped.chains[0]?.skipped).toHaveLength(SKIPPED_KEYS_MAX);
    expect((await open(jumped, first, log, env)).ok).toBe(true);
    // One more key, and the oldest goes.
    const next = must(await open(jumped, further, log, env)).sender;
    expect(next.chains[0]?.skipped).toHaveLength(SKIPPED_KEYS_MAX);
    expect(await open(next, first, log, env)).toEqual({ ok: false, reason: "duplicate" });
    expect((await open(next, tooFar, log, env)).ok).toBe(true);
    const at14 = { ...env, now: NOW + SKIPPED_KEY_AGE_MS_MAX };
    expect((await open(jumped, first, log, at14)).ok).toBe(true);
    expect(await open(jumped, first, log, { ...at14, now: at14.now + 1 })).toEqual({
      ok: false,
      reason: "duplicate",
    });
  });

  it("find messages of the last 64 chains of a sender, and none of one before", async () => {
    const { env, log, alice, bob } = await party("chains");
    let receiver = strangerTo(log, alice);
    const firsts: Uint8Array[] = [];
    for (let index = 0; index <= RECEIVING_CHAINS_MAX; index++) {
      const { chain, record } = await dealt(log, alice, bob, env);
      receiver = takeRecord(receiver, record, env.now) ?? receiver;
      // The same record again moves nothing back.
      expect(takeRecord(receiver, record, env.now)).toBe(receiver);
      if (index < 2) firsts.push(must(await sealForGroup(chain, log, text("x"), env)).envelope);
    }
    expect(receiver.chains).toHaveLength(RECEIVING_CHAINS_MAX);
    expect(await open(receiver, at(firsts, 0), log, env)).toEqual({
      ok: false,
      reason: "unknown-chain",
    });
    expect((await open(receiver, at(firsts, 1), log, env)).ok).toBe(true);
    const old = { ...env, now: NOW + CHAIN_AGE_MS_MAX + SKIPPED_KEY_AGE_MS_MAX };
    expect((await open(receiver, at(firsts, 1), log, old)).ok).toBe(true);
    expect((await open(receiver, at(firsts, 1), log, { ...old, now: old.now + 1 })).ok).toBe(false);
  });
});

describe("who may read", () => {
  it("a removed member opens nothing sent after the sender has seen the removal", async () => {
    const { env, log, alice, bob, carol } = await party("reads");
    const { chain, receiver } = await dealt(log, alice, carol, env);
    const toBob = must(dealChain(chain, log, [deviceOf(bob)], env.now)).chain;
    const before = must(await sealForGroup(toBob, log, text("before"), env));
    expect((await open(receiver, before.envelope, log, env)).ok).toBe(true);
    const without = await did(log, alice, { kind: "remove", account: accountOf(carol) }, env);
    expect(await sealForGroup(before.chain, without, text("x"), env)).toEqual({
      ok: false,
      reason: "rotation-due",
    });
    expect(dealChain(before.chain, without, [deviceOf(bob)], env.now)).toEqual({
      ok: false,
      reason: "rotation-due",
    });
    const fresh = must(await beginChain(without, alice, env)).chain;
    expect(dealChain(fresh, without, [deviceOf(carol)], env.now)).toEqual({
      ok: false,
      reason: "not-a-member",
    });
    const record = must(dealChain(fresh, without, [deviceOf(bob)], env.now));
    const after = must(await sealForGroup(record.chain, without, text("after"), env));
    expect(await open(receiver, after.envelope, log, env)).toEqual({
      ok: false,
      reason: "unknown-chain",
    });
    expect(fresh.chainId).not.toEqual(chain.chainId);
    const bobs = takeRecord(strangerTo(log, alice), record.record, env.now);
    if (bobs === undefined) throw new Error("record refused");
    expect((await open(bobs, after.envelope, without, env)).ok).toBe(true);
  });

  it("everybody left replaces the chain after a leave, a demotion, a revocation and on demand", async () => {
    const { env, log: plain, alice, bob, carol } = await party("turnover");
    const log = await did(
      plain,
      alice,
      { kind: "role", account: accountOf(bob), role: "admin" },
      env,
    );
    const { chain } = await dealt(log, alice, bob, env);
    expect(rotationDue(chain, log, env.now)).toBeUndefined();
    const changes = [
      await did(log, carol, { kind: "leave" }, env),
      await did(log, alice, { kind: "role", account: accountOf(bob), role: "member" }, env),
      await did(log, bob, { kind: "revoke", device: asDeviceId(new Uint8Array(8)) }, env),
      await did(log, alice, { kind: "rotateTopic" }, env),
    ];
    for (const after of changes) expect(rotationDue(chain, after, env.now)).toBe("membership");
    const added = asAccountId(new Uint8Array(20).fill(77));
    const grown = await did(log, alice, { kind: "add", account: added }, env);
    expect(rotationDue(chain, grown, env.now)).toBeUndefined();
  });

  it("a device that is not on the lists any more ends the chain; its marks are the chain's own", async () => {
    const { env, log, alice, bob, carol } = await party("marks");
    const { chain } = await dealt(log, alice, bob, env);
    const entitled = [deviceOf(bob), deviceOf(carol)];
    expect(undealt(chain, entitled)).toEqual([deviceOf(carol)]);
    expect(rotationDue(chain, log, env.now, entitled)).toBeUndefined();
    expect(rotationDue(chain, log, env.now, [deviceOf(carol)])).toBe("device");
    const fresh = must(await beginChain(log, alice, env)).chain;
    expect(undealt(fresh, entitled)).toEqual(entitled);
    // The same device id under another account is another device.
    const namesake = { account: accountOf(carol), device: bob.cert.deviceId };
    expect(undealt(chain, [namesake])).toEqual([namesake]);
  });

  it("a chain ends after 500 messages or a day; with 8 members after each message", async () => {
    const { env, log, alice, bob } = await party("ends");
    const { chain, receiver } = await dealt(log, alice, bob, env);
    const { envelopes, chain: late } = await sealAt(chain, log, [CHAIN_MESSAGES_MAX - 1], env);
    expect(await sealForGroup(late, log, text("x"), env)).toEqual({
      ok: false,
      reason: "rotation-due",
    });
    expect(rotationDue(late, log, env.now)).toBe("messages");
    const ended = must(await open(receiver, at(envelopes, 0), log, env)).sender;
    expect(ended.chains[0]?.end).toBe(CHAIN_MESSAGES_MAX);
    const [beyond] = (await sealAt(chain, log, [CHAIN_MESSAGES_MAX], env)).envelopes;
    if (beyond === undefined) throw new Error("not sealed");
    expect(await open(ended, beyond, log, env)).toEqual({ ok: false, reason: "malformed" });
    expect(rotationDue(chain, log, NOW + CHAIN_AGE_MS_MAX - 1)).toBeUndefined();
    expect(rotationDue(chain, log, NOW + CHAIN_AGE_MS_MAX)).toBe("age");
    // By a clock that ran ahead when it began, it would not age for as long.
    expect(rotationDue(chain, log, NOW)).toBeUndefined();
    expect(rotationDue(chain, log, NOW - 1)).toBe("age");

    const small = await party("ends, small", SMALL_GROUP_MEMBERS_MAX);
    const one = await dealt(small.log, small.alice, small.bob, small.env);
    const sealed = must(await sealForGroup(one.chain, small.log, text("one"), small.env));
    expect(rotationDue(sealed.chain, small.log, NOW)).toBe("messages");
    // It has said that nothing follows: growing does not bring it back.
    const account = asAccountId(new Uint8Array(20).fill(88));
    const grown = await did(small.log, small.alice, { kind: "add", account }, small.env);
    expect(rotationDue(sealed.chain, grown, NOW)).toBe("messages");
  });
});

describe("who may write", () => {
  it("nobody seals while a member is ahead, and who is not a member does not at all", async () => {
    const { env, log, alice, bob, carol } = await party("writes");
    const { chain } = await dealt(log, alice, bob, env);
    const behind = awaitHeads(log, nameOf(bob), ["11".repeat(8)]);
    const refused = { ok: false, reason: "behind" };
    expect(await sealForGroup(chain, behind, text("x"), env)).toEqual(refused);
    expect(await beginChain(behind, alice, env)).toEqual(refused);
    expect(dealChain(chain, behind, [deviceOf(carol)], env.now)).toEqual(refused);
    const without = await did(log, alice, { kind: "remove", account: accountOf(bob) }, env);
    expect(await beginChain(without, bob, env)).toEqual({ ok: false, reason: "not-a-member" });
  });

  it("a message under heads that are not here is kept; it opens when they have come", async () => {
    const { env, log, alice, bob } = await party("heads");
    const account = asAccountId(new Uint8Array(20).fill(66));
    const made = must(await makeOp(log, alice, { kind: "add", account }, env));
    const { chain, receiver } = await dealt(made.log, alice, bob, env);
    const { envelope } = must(await sealForGroup(chain, made.log, text("early"), env));
    const kept = await open(receiver, envelope, log, env);
    const head = made.log.heads[0]?.slice(0, 16);
    expect(kept).toEqual({ ok: false, reason: "unknown-heads", heads: [head] });
    const known = must(receiveOp(log, made.op, [])).log;
    expect(must(await open(receiver, envelope, known, env)).content).toEqual(text("early"));
  });

  it("a message names all heads when there are several, and is kept until all are here", async () => {
    const { env, log, alice, bob } = await party("several heads");
    const accounts = [61, 62].map((fill) => asAccountId(new Uint8Array(20).fill(fill)));
    const [one, two] = await Promise.all(
      accounts.map(async (account) =>
        must(await makeOp(log, alice, { kind: "add", account }, env)),
      ),
    );
    if (one === undefined || two === undefined) throw new Error("not made");
    const both = must(receiveOp(one.log, two.op, [])).log;
    expect(both.heads).toHaveLength(2);
    const { chain, receiver } = await dealt(both, alice, bob, env);
    const { envelope } = must(await sealForGroup(chain, both, text("both"), env));
    expect(await open(receiver, envelope, one.log, env)).toEqual({
      ok: false,
      reason: "unknown-heads",
      heads: [bytesToHex(two.id)],
    });
    expect((await open(receiver, envelope, both, env)).ok).toBe(true);
  });

  it("nothing opens from who is no member any more by what the receiver knows", async () => {
    const { env, log, alice, bob } = await party("former");
    const { chain, receiver } = await dealt(log, bob, alice, env);
    const { envelope } = must(await sealForGroup(chain, log, text("late"), env));
    const without = await did(log, alice, { kind: "remove", account: accountOf(bob) }, env);
    const refused = await open(receiver, envelope, without, env);
    expect(refused).toEqual({ ok: false, reason: "not-a-member" });
  });

  it("a member cannot seal in another's name, with all the other's chain gives it", async () => {
    const { env, log, alice, bob } = await party("impersonates");
    const { chain, receiver, record } = await dealt(log, alice, bob, env);
    // Bob has Alice's record: everything but her signing secret.
    const forgery: SendingChain = { ...chain, signingSecret: env.entropy(32) };
    const { envelope } = must(await sealForGroup(forgery, log, text("not Alice"), env));
    expect(await open(receiver, envelope, log, env)).toEqual({
      ok: false,
      reason: "bad-signature",
    });
    // Nor pass Alice's chain on as his own, so that her words become his.
    const asBobs = takeRecord(strangerTo(log, bob), record, env.now);
    const genuine = must(await sealForGroup(chain, log, text("Alice"), env)).envelope;
    if (asBobs === undefined) throw new Error("record refused");
    expect(await open(asBobs, genuine, log, env)).toEqual({ ok: false, reason: "unknown-chain" });
    // Nor does it open as of another group, or of her other device.
    const elsewhere = { ...strangerTo(log, alice), device: asDeviceId(new Uint8Array(8)) };
    const other = takeRecord(elsewhere, record, env.now);
    expect((await open(other ?? elsewhere, genuine, log, env)).ok).toBe(false);
    const group = (await party("impersonates, elsewhere")).log;
    const there = takeRecord(strangerTo(group, alice), record, env.now);
    expect((await open(there ?? elsewhere, genuine, group, env)).ok).toBe(false);
  });

  it("a record with a key of small order is none", async () => {
    const { env, log, alice, bob } = await party("weak");
    const { record } = await dealt(log, alice, bob, env);
    const signingKey = Uint8Array.from({ length: 32 }, (_, index) => (index === 0 ? 1 : 0));
    expect(takeRecord(strangerTo(log, alice), { ...record, signingKey }, env.now)).toBeUndefined();
  });
});

describe("kinds of envelopes", () => {
  it("a group's is never read or opened as a pairwise one, nor the other way around", async () => {
    const { env, log, alice, bob } = await party("kinds");
    const { chain, receiver, record } = await dealt(log, alice, bob, env);
    const { a, b } = await settledPair("kinds");
    const group = must(await sealForGroup(chain, log, text("group"), env)).envelope;
    const pairwise = (await encrypt(a, text("pairwise"), env)).envelope;
    expect(decodeEnvelope(group)).toEqual({ ok: false, reason: "unknown-type" });
    expect(decodeGroupEnvelope(pairwise)).toEqual({ ok: false, reason: "unknown-type" });
    // With the type byte changed, and one set of keys for everything.
    const retyped = Uint8Array.from(group, (byte, index) => (index === 0 ? 2 : byte));
    const shared = {
      ...b,
      receiving: { headerKey: chain.headerKey, chainKey: record.chainKey, next: 0 },
    };
    expect((await decrypt(shared, asMessage(retyped), env)).ok).toBe(false);
    const other = Uint8Array.from(pairwise, (byte, index) => (index === 0 ? 5 : byte));
    const [only] = receiver.chains;
    const headerKey = a.sending?.headerKey;
    if (only === undefined || headerKey === undefined) throw new Error("no chain");
    expect(
      (await open({ ...receiver, chains: [{ ...only, headerKey }] }, other, log, env)).ok,
    ).toBe(false);
  });
});

describe("what a member with the chain seals that keeps to no rule", () => {
  /** Ids, ascending from `first`. */
  const ids = (count: number, first = 1): readonly string[] =>
    Array.from({ length: count }, (_, index) => (first + index).toString(16).padStart(64, "0"));
  const knowing = (log: GroupLog, heads: readonly string[]): GroupLog => {
    const [any] = [...log.ops.values()];
    if (any === undefined) throw new Error("an empty log");
    return { ...log, ops: new Map([...log.ops, ...heads.map((id) => [id, any] as const)]) };
  };
  const listOf = (heads: readonly string[]): Uint8Array =>
    concatBytes(Uint8Array.of(heads.length), ...heads.map((id) => hexToBytes(id) ?? text("")));

  it("is refused by its tag, its header or its body, each with its own reason", async () => {
    const { env, log, alice, bob } = await party("no rule");
    const { chain, receiver } = await dealt(log, alice, bob, env);
    const head = hexToBytes(log.heads[0]?.slice(0, 16) ?? "") ?? text("");
    const content = createWriter().u16(2).raw(text("hi")).done();
    const plain = { flags: 0, head, body: concatBytes(content, new Uint8Array(122)) };
    const listed = { flags: 1, head: new Uint8Array(8) };
    const withList = (heads: readonly string[]) =>
      openFromGroup(
        receiver,
        crafted(chain, { ...listed, body: concatBytes(listOf(heads), content) }, env),
        knowing(log, heads),
        env,
      );
    const opened = (made: Partial<Crafted>) =>
      openFromGroup(receiver, crafted(chain, { ...plain, ...made }, env), log, env);
    const refused = (reason: string) => ({ ok: false, reason });

    expect(must(await opened({})).content).toEqual(text("hi"));
    expect(await opened({ tag: new Uint8Array(8) })).toEqual(refused("bad-tag"));
    // A header with bits that no version has is none.
    expect(await opened({ flags: 4 })).toEqual(refused("unknown-chain"));
    expect(await opened({ bodyKey: new Uint8Array(32) })).toEqual(refused("bad-tag"));
    const ending = (bytes: Uint8Array) => opened({ body: concatBytes(content, bytes) });
    expect(await ending(Uint8Array.of(0, 0, 1))).toEqual(refused("malformed"));
    expect((await ending(new Uint8Array(0))).ok).toBe(true);
    expect(await opened({ body: Uint8Array.of(0, 3, 1, 2) })).toEqual(refused("malformed"));
    // Only the signature, and less than one.
    expect(await opened({ body: new Uint8Array(0) })).toEqual(refused("malformed"));
    expect(await opened({ body: new Uint8Array(0), signature: new Uint8Array(63) })).toEqual(
      refused("malformed"),
    );
    expect(await opened({ body: new Uint8Array(0), signature: new Uint8Array(64) })).toEqual(
      refused("bad-signature"),
    );

    // A list of what a header names by itself, of too many, or out of order.
    for (const count of [2, PARENTS_MAX]) {
      expect(must(await withList(ids(count))).content, `${count}`).toEqual(text("hi"));
    }
    for (const heads of [
      [],
      ids(1),
      ids(PARENTS_MAX + 1),
      ids(3).toReversed(),
      [...ids(1), ...ids(1)],
    ]) {
      expect(await withList(heads)).toEqual(refused("malformed"));
    }
  });

  it("ends no chain with a message that others came after", async () => {
    const { env, log, alice, bob } = await party("ends late");
    const { chain, receiver } = await dealt(log, alice, bob, env);
    const { envelopes } = await sealAll(chain, log, numbered(3), env);
    const seen = must(await open(receiver, at(envelopes, 2), log, env)).sender;
    const message = { n: 0, heads: log.heads, content: text("0"), nonce: env.entropy(12) };
    const said = (last: boolean) =>
      open(seen, Uint8Array.from(referenceGroupSeal(chain, { ...message, last })), log, env);
    expect(await said(true)).toEqual({ ok: false, reason: "malformed" });
    expect((await said(false)).ok).toBe(true);
    // What was said to be the end, is: others before it open, none after it.
    let ended = receiver;
    let { chainKey } = chain;
    for (let n = 0; n < 3; n++) ({ chainKey } = chainStep(chainKey, hmacSha256));
    const end = referenceGroupSeal({ ...chain, chainKey }, { ...message, n: 3, last: true });
    ended = must(await open(ended, Uint8Array.from(end), log, env)).sender;
    for (const index of [1, 0, 2]) {
      ended = must(await open(ended, at(envelopes, index), log, env)).sender;
      expect(await open(ended, at(envelopes, index), log, env)).toEqual({
        ok: false,
        reason: "duplicate",
      });
    }
    const { chainKey: beyond } = chainStep(chainKey, hmacSha256);
    const after = referenceGroupSeal(
      { ...chain, chainKey: beyond },
      { ...message, n: 4, last: false },
    );
    expect(await open(ended, Uint8Array.from(after), log, env)).toEqual({
      ok: false,
      reason: "malformed",
    });
  });

  it("names 16 heads when there are more, of equal ones the lowest", async () => {
    const { env, log, alice, bob } = await party("seventeen");
    const heads = ids(PARENTS_MAX + 1);
    const wide = { ...knowing(log, heads), heads };
    const { chain, receiver } = await dealt(wide, alice, bob, env);
    const { envelope } = must(await sealForGroup(chain, wide, text("wide"), env));
    expect(await open(receiver, envelope, log, env)).toEqual({
      ok: false,
      reason: "unknown-heads",
      heads: heads.slice(0, PARENTS_MAX),
    });
    const sixteen = knowing(log, heads.slice(0, PARENTS_MAX));
    expect(must(await open(receiver, envelope, sixteen, env)).content).toEqual(text("wide"));
    const most = new Uint8Array(CONTENT_BYTES_MAX).fill(1);
    const largest = must(await sealForGroup(chain, wide, most, env)).envelope;
    expect(must(await open(receiver, largest, wide, env)).content).toEqual(most);
    await expect(sealForGroup(chain, { ...log, heads: ["no id"] }, most, env)).rejects.toThrow(
      "an id that is not hex",
    );
  });
});

describe("what is kept of a sender", () => {
  const days = (count: number): number => NOW + count * 24 * 3_600_000;

  it("is the chains beside the one that is used, each with its own keys", async () => {
    const { env, log, alice, bob } = await party("beside");
    const one = await dealt(log, alice, bob, env);
    expect(one.receiver.chains.map(({ skipped, end }) => [skipped, end])).toEqual([
      [[], undefined],
    ]);
    const two = await dealt(log, alice, bob, env);
    const both = takeRecord(one.receiver, two.record, env.now) ?? one.receiver;
    const [first, second] = await Promise.all(
      [one, two].map(async ({ chain }) => (await sealAll(chain, log, numbered(2), env)).envelopes),
    );
    if (first === undefined || second === undefined) throw new Error("not sealed");
    let current = both;
    for (const envelope of [at(first, 1), at(second, 0), at(first, 0), at(second, 1)]) {
      current = must(await open(current, envelope, log, env)).sender;
    }
    expect(current.chains.map(({ chainId }) => chainId)).toEqual([
      one.chain.chainId,
      two.chain.chainId,
    ]);
    expect(CHAIN_AGE_MS_MAX).toBe(86_400_000);
  });

  it("is the newest chain however old, and an older one for 15 days", async () => {
    const { env, log, alice, bob } = await party("newest");
    const one = await dealt(log, alice, bob, env);
    const { envelope } = must(await sealForGroup(one.chain, log, text("late"), env));
    const late = { ...env, now: days(40) };
    expect((await open(one.receiver, envelope, log, late)).ok).toBe(true);
    const two = await dealt(log, alice, bob, env);
    const at15 = takeRecord(one.receiver, two.record, days(15));
    expect(at15?.chains).toHaveLength(2);
    expect(takeRecord(one.receiver, two.record, days(15) + 1)?.chains).toHaveLength(1);
  });

  it("is each key for its own 14 days", async () => {
    const { env, log, alice, bob } = await party("own days");
    const { chain, receiver } = await dealt(log, alice, bob, env);
    const { envelopes } = await sealAll(chain, log, numbered(4), env);
    const on = (day: number) => ({ ...env, now: days(day) });
    const early = must(await open(receiver, at(envelopes, 1), log, on(0))).sender;
    const both = must(await open(early, at(envelopes, 3), log, on(5))).sender;
    const keysAt = async (day: number, more = 0) => {
      const now = days(day) + more;
      const fresh = await dealt(log, alice, bob, env);
      return takeRecord(both, fresh.record, now)?.chains[0]?.skipped.map(({ n }) => n);
    };
    expect(await keysAt(14)).toEqual([0, 2]);
    expect(await keysAt(14, 1)).toEqual([2]);
    expect((await open(both, at(envelopes, 2), log, on(19))).ok).toBe(true);
    expect(await open(both, at(envelopes, 0), log, on(15))).toEqual({
      ok: false,
      reason: "duplicate",
    });
  });

  it("is 2,000 keys over all its chains, and the oldest chain's go first", async () => {
    const { env, log, alice, bob } = await party("all chains");
    const { receiver } = await dealt(log, alice, bob, env);
    const [chain] = receiver.chains;
    if (chain === undefined) throw new Error("no chain");
    const { record } = await dealt(log, alice, bob, env);
    const kept = (...counts: readonly number[]) => {
      const chains = counts.map((count, index) => ({
        ...chain,
        skipped: Array.from({ length: count }, (_, n) => ({
          n: 10_000 * index + n,
          key: new Uint8Array(32),
          at: NOW,
        })),
      }));
      const after = takeRecord({ ...receiver, chains }, record, NOW)?.chains ?? [];
      return after.map(({ skipped }) => [skipped.length, skipped[0]?.n]);
    };
    expect(kept(1_000, 1_000)).toEqual([
      [1_000, 0],
      [1_000, 10_000],
      [0, undefined],
    ]);
    expect(kept(1_000, 1_001)).toEqual([
      [999, 1],
      [1_001, 10_000],
      [0, undefined],
    ]);
    expect(kept(300, 500, 1_900)).toEqual([
      [0, undefined],
      [100, 10_400],
      [1_900, 20_000],
      [0, undefined],
    ]);
  });
});

describe("when a chain ends, by what the log says", () => {
  it("in a full group it is looked up whether who has it was dropped", async () => {
    const { env, log, alice, bob } = await party("full");
    const { chain } = await dealt(log, alice, bob, env);
    const [[, any] = []] = [...log.state.members];
    if (any === undefined) throw new Error("no members");
    const without = (count: number, gone: string): GroupLog => {
      const members = new Map(log.state.members);
      members.delete(gone);
      for (let index = members.size; index < count; index++) members.set(`filler ${index}`, any);
      return { ...log, state: { ...log.state, members } };
    };
    const [bobs, alices] = [bob, alice].map((own) => bytesToHex(accountOf(own)));
    if (bobs === undefined || alices === undefined) throw new Error("no names");
    expect(rotationDue(chain, without(MEMBERS_MAX, bobs), NOW)).toBe("membership");
    expect(rotationDue(chain, without(MEMBERS_MAX, "nobody"), NOW)).toBeUndefined();
    expect(rotationDue(chain, without(MEMBERS_MAX - 1, bobs), NOW)).toBeUndefined();
    const full = without(MEMBERS_MAX, "nobody");
    const revoked = new Set([deviceKey(bobs, bytesToHex(bob.cert.deviceId))]);
    const lost = { ...full, state: { ...full.state, revoked } };
    expect(rotationDue(chain, lost, NOW)).toBe("membership");
    // Of somebody who has not got it.
    const others = new Set([deviceKey(alices, bytesToHex(bob.cert.deviceId))]);
    const fine = { ...full, state: { ...full.state, revoked: others } };
    expect(rotationDue(chain, fine, NOW)).toBeUndefined();
  });

  it("after as many messages as the group allows now", async () => {
    const { env, log, alice, bob } = await party("as many");
    const { chain } = await dealt(log, alice, bob, env);
    const after = (next: number, ended = false) => rotationDue({ ...chain, next, ended }, log, NOW);
    expect(after(CHAIN_MESSAGES_MAX - 1)).toBeUndefined();
    expect(after(CHAIN_MESSAGES_MAX)).toBe("messages");
    expect(after(CHAIN_MESSAGES_MAX + 1)).toBe("messages");
    expect(after(1, true)).toBe("messages");
  });

  it("is dealt to members only, one by one, and used in its own group only", async () => {
    const { env, log, alice, bob, carol } = await party("dealt to");
    const { chain } = await dealt(log, alice, bob, env);
    const stranger = {
      account: asAccountId(new Uint8Array(20).fill(200)),
      device: bob.cert.deviceId,
    };
    for (const to of [
      [deviceOf(carol), stranger],
      [stranger, deviceOf(carol)],
    ]) {
      expect(dealChain(chain, log, to, NOW)).toEqual({ ok: false, reason: "not-a-member" });
    }
    const both = must(dealChain(chain, log, [deviceOf(carol), deviceOf(alice)], NOW)).chain;
    expect(both.dealt.size).toBe(3);
    const elsewhere = { ...log, group: (await party("dealt elsewhere")).log.group };
    const refused = { ok: false, reason: "not-a-member" };
    expect(await sealForGroup(chain, elsewhere, text("x"), env)).toEqual(refused);
    expect(dealChain(chain, elsewhere, [deviceOf(bob)], NOW)).toEqual(refused);
  });
});

interface Crafted {
  readonly flags: number;
  readonly head: Uint8Array;
  readonly body: Uint8Array;
  readonly tag: Uint8Array;
  readonly signature: Uint8Array;
  readonly bodyKey: Uint8Array;
}

/** The chain's next message as §11.9 has it, but for what is given; in no bucket. */
function crafted(
  chain: SendingChain,
  made: Pick<Crafted, "flags" | "head" | "body"> & Partial<Crafted>,
  env: CryptoEnv,
): GroupEnvelope {
  const counter = createWriter().u32(chain.next).done();
  const genuine = hmacSha256(chain.headerKey, concatBytes(text(LABELS.groupTag), counter));
  const tag = made.tag ?? genuine.slice(0, 8);
  const nonce = env.entropy(12);
  const prefix = concatBytes(Uint8Array.of(5), tag, nonce);
  const header = concatBytes(counter, made.head, Uint8Array.of(made.flags));
  const context = concatBytes(chain.group, chain.account, chain.device, chain.chainId);
  const hash = sha256(concatBytes(prefix, header, made.body));
  const message = labelled(LABELS.groupMessage, context, hash);
  const signature = made.signature ?? ed25519Sign(chain.signingSecret, message);
  const sealedHeader = aeadSeal(chain.headerKey, nonce, concatBytes(context, prefix), header);
  const sealedBody = aeadSeal(
    made.bodyKey ?? chainStep(chain.chainKey, hmacSha256).messageKey,
    nonce,
    concatBytes(context, prefix, sealedHeader),
    concatBytes(made.body, signature),
  );
  return { tag, nonce, sealedHeader, sealedBody, prefix };
}

/** Seals one message at each of `numbers`, ascending; beyond 500 as a sender does that ends no chain. */
async function sealAt(
  chain: SendingChain,
  log: GroupLog,
  numbers: readonly number[],
  env: CryptoEnv,
): Promise<{ readonly chain: SendingChain; readonly envelopes: readonly Uint8Array[] }> {
  const envelopes: Uint8Array[] = [];
  let current = chain;
  for (const number of numbers) {
    let { chainKey, next } = current;
    for (; next < number; next++) ({ chainKey } = chainStep(chainKey, hmacSha256));
    const reached = { ...current, chainKey, next };
    if (number < CHAIN_MESSAGES_MAX) {
      const sealed = must(await sealForGroup(reached, log, text(`${number}`), env));
      current = sealed.chain;
      envelopes.push(sealed.envelope);
    } else {
      current = reached;
      const content = text(`${number}`);
      const message = { n: number, heads: log.heads, content, nonce: env.entropy(12), last: false };
      envelopes.push(Uint8Array.from(referenceGroupSeal(reached, message)));
    }
  }
  return { chain: current, envelopes };
}
