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
  makeOp,
  type MemberDevice,
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
  CONTENT_BYTES_MAX,
  decodeEnvelope,
  decodeGroupEnvelope,
  decodeGroupKey,
  encodeGroupKey,
  type GroupEnvelope,
  type GroupKey,
} from "@sotto/wire";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { chainStep } from "#src/chains.ts";
import { referenceGroupSeal } from "./group-reference.ts";
import { accountOf, at, did, foundGroup } from "./group-support.ts";
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
    for (const secret of [
      log.group,
      chain.account,
      record.chainId,
      record.signingKey,
      chain.topic,
    ]) {
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
      { numRuns: 25 },
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
    expect(fresh.topic).not.toEqual(chain.topic);
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
    const behind = awaitHeads(log, accountOf(bob), ["11".repeat(8)]);
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
    for (; next < number; next++) ({ chainKey } = chainStep(chainKey));
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
