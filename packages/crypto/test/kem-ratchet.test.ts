/**
 * The post-quantum half of the ratchet: how many messages until a secret that nobody could copy is in the root,
 * and what a frame may and may not do.
 */
import {
  type CryptoBackend,
  type CryptoEnv,
  decrypt,
  encrypt,
  nobleBackend,
  type SealOptions,
  type Session,
} from "@sotto/crypto";
import {
  bytesToHex,
  createReader,
  decodeWith,
  KEM_CIPHERTEXT_BYTES,
  KEM_PUBLIC_BYTES,
} from "@sotto/wire";
import { beforeAll, describe, expect, it } from "vitest";
import { SYMBOL_BYTES, symbolAt } from "#src/erasure.ts";
import {
  acceptFrame,
  createKemRatchet,
  FRAME_HEADER_BYTES,
  FRAME_PARITY_MAX,
  FRAME_SYMBOLS_MAX,
  KEM_SYMBOLS,
  type KemFrame,
  type KemRatchet,
  mixAsAnswerer,
  mixAsOfferer,
  nextEpoch,
  prepareOffer,
  readFrame,
  takeFrame,
  WHOLE_INTERVAL_MS,
  WHOLE_MESSAGES_MIN,
  wantedFrameBytes,
} from "#src/kem-ratchet.ts";
import { mlKemEncapsulate, x25519Exchange, x25519Public } from "#src/primitives.ts";
import { stubBackend } from "../../../test/simulation/stub-crypto.ts";
import { asMessage, must, NOW, type Pair, seededEnv, settledPair } from "./support.ts";

/** Content that leaves room for exactly `symbols` in the smallest bucket: 148 bytes behind the body's prefix. */
const contentFor = (symbols: number): Uint8Array<ArrayBuffer> =>
  new Uint8Array(148 - FRAME_HEADER_BYTES - symbols * SYMBOL_BYTES);
/** Room for five symbols needs the next bucket: 404 bytes. */
const contentForFive = new Uint8Array(404 - FRAME_HEADER_BYTES - 5 * SYMBOL_BYTES);
/** Room for a whole key and one symbol to spare: 3,988 bytes of the first bucket that such a rest can be left in. */
const contentForAll = new Uint8Array(3_988 - FRAME_HEADER_BYTES - FRAME_SYMBOLS_MAX * SYMBOL_BYTES);

let pair: Pair;
beforeAll(async () => {
  pair = await settledPair("kem ratchet", stubBackend);
});

/** A conversation over a fast stub: what is counted does not depend on the primitives. */
function conversation(seed: string, a: Session, b: Session) {
  const env = seededEnv(seed, stubBackend);
  const sides: [Session, Session] = [a, b];
  return {
    sides,
    async send(from: 0 | 1, content: Uint8Array, options: SealOptions & { lost?: boolean } = {}) {
      const { lost = false, ...sealing } = options;
      const sealed = await encrypt(sides[from], content, env, sealing);
      sides[from] = sealed.session;
      if (lost) return sealed.envelope;
      const to = from === 0 ? 1 : 0;
      sides[to] = must(await decrypt(sides[to], asMessage(sealed.envelope), env)).session;
      return sealed.envelope;
    },
    epoch: () => Math.min(sides[0].kem.epoch, sides[1].kem.epoch),
  };
}

/** Whose turn message number `at` is, and whether it gets lost. */
type Pattern = (at: number) => { readonly from: 0 | 1; readonly lost?: boolean };
const pingPong: Pattern = (at) => ({ from: at % 2 === 0 ? 0 : 1 });
const bursts: Pattern = (at) => {
  // Runs of 1, 2, 3, 4, 5, 1, 2, …, by turns: 15 messages are one round of five runs.
  const inRound = at % 15;
  const run = [0, 1, 3, 6, 10].findLastIndex((start) => inRound >= start);
  return { from: (Math.floor(at / 15) * 5 + run) % 2 === 0 ? 0 : 1 };
};
const oneSided: Pattern = (at) => ({ from: at % 21 === 20 ? 1 : 0 });
const lossy: Pattern = (at) => ({ ...pingPong(at), lost: (at * 7) % 10 === 3 });

async function messagesPerEpoch(pattern: Pattern, content: Uint8Array, wide = false) {
  const epochs = 6;
  const talk = conversation("healing", pair.a, pair.b);
  let sent = 0;
  // The first exchange began before the pattern did.
  while (talk.epoch() < 1) await step();
  sent = 0;
  while (talk.epoch() < 1 + epochs) await step();
  return Math.round(sent / epochs);

  async function step(): Promise<void> {
    const { from, lost = false } = pattern(sent++);
    if (sent > 8_000) throw new Error("never heals");
    await talk.send(from, content, { lost, wide });
  }
}

describe("messages until a new post-quantum secret is in the root", () => {
  /**
   * Symbols per message, and what the real ratchet takes; last, where it differs, what the design's simulation had counted
   * before there was one, with 32, 64, 160 and 1,216 bytes of each message. There a whole key goes with every message,
   * which on a real wide way happens once in fifty.
   */
  it.each([
    ["ping-pong", 1, pingPong, contentFor(1), 141, 145],
    ["runs of 1 to 5", 1, bursts, contentFor(1), 145, 151],
    ["one side 20 : 1", 1, oneSided, contentFor(1), 777, 798],
    ["ping-pong, one in ten lost", 1, lossy, contentFor(1), 160, undefined],
    ["ping-pong", 2, pingPong, contentFor(2), 71, 73],
    ["runs of 1 to 5", 2, bursts, contentFor(2), 75, 74],
    ["one side 20 : 1", 2, oneSided, contentFor(2), 389, 399],
    ["ping-pong, one in ten lost", 2, lossy, contentFor(2), 81, undefined],
    ["ping-pong", 5, pingPong, contentForFive, 29, undefined],
    ["runs of 1 to 5", 5, bursts, contentForFive, 31, 32],
    ["one side 20 : 1", 5, oneSided, contentForFive, 168, 158],
    ["ping-pong, one in ten lost", 5, lossy, contentForFive, 35, 32],
    ["ping-pong", 38, pingPong, contentForAll, 3, undefined],
    ["runs of 1 to 5", 38, bursts, contentForAll, 9, 4],
    ["one side 20 : 1", 38, oneSided, contentForAll, 32, 21],
    ["ping-pong, one in ten lost", 38, lossy, contentForAll, 4, 3.5],
  ] as const)("%s, %i symbols", async (_, __, pattern, content, expected, simulated) => {
    const counted = await messagesPerEpoch(pattern, content);
    expect(counted, `the simulation counted ${simulated ?? expected}`).toBe(expected);
  });

  it("on a wide way a whole exchange takes three messages, once in fifty", async () => {
    const talk = conversation("wide", pair.a, pair.b);
    const empty = new Uint8Array(0);
    const first = [
      await talk.send(0, empty, { wide: true }),
      await talk.send(1, empty, { wide: true }),
    ];
    expect(first.map((one) => one.length)).toEqual([2_048, 2_048]);
    expect(talk.epoch()).toBe(0);
    await talk.send(0, empty, { wide: true });
    expect(talk.epoch()).toBe(1);
    const sizes = new Map<number, number>();
    for (let at = 0; at < 200; at++) {
      const envelope = await talk.send(at % 2 === 0 ? 1 : 0, empty, { wide: true });
      sizes.set(envelope.length, (sizes.get(envelope.length) ?? 0) + 1);
    }
    // Both sides count their own fifty; each whole key is answered by a whole ciphertext.
    expect(sizes.get(2_048)).toBeLessThanOrEqual(2 * (200 / WHOLE_MESSAGES_MIN) + 2);
    expect(sizes.get(2_048)).toBeGreaterThan(2);
  });
});

function given<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("not there");
  return value;
}

/** Side 0 and side 1 talk by turns over the real suite, and somebody who breaks X25519 hears all of it. */
async function overheard(content: Uint8Array, count: number) {
  const keys = new Map<string, Uint8Array>();
  const secrets = new Map<string, Uint8Array>();
  const exchanges = new Map<string, Uint8Array>();
  /** In the order of epochs. */
  const kemSecrets: Uint8Array[] = [];
  const between = (one: Uint8Array, other: Uint8Array): string =>
    [bytesToHex(one), bytesToHex(other)].toSorted().join("/");
  const recorded: CryptoBackend = {
    ...nobleBackend,
    dhPublic(secret) {
      const key = x25519Public(secret);
      keys.set(bytesToHex(secret), key);
      secrets.set(bytesToHex(key), secret);
      return key;
    },
    dh(secret, remote) {
      const shared = x25519Exchange(secret, remote);
      exchanges.set(between(given(keys.get(bytesToHex(secret))), remote), shared);
      return shared;
    },
    encaps(key, randomness) {
      const answer = mlKemEncapsulate(key, randomness);
      kemSecrets.push(answer.sharedSecret);
      return answer;
    },
  };
  /** Needs no secret: answers for two public keys, whichever they are. */
  const oracle: CryptoBackend = {
    ...nobleBackend,
    dh: (key, remote) =>
      exchanges.get(between(key, remote)) ??
      x25519Exchange(given(secrets.get(bytesToHex(remote))), key),
  };
  const { a, b } = await settledPair("overheard", recorded);
  // The handshake's.
  kemSecrets.length = 0;
  const env = seededEnv("overheard talk", recorded);
  const sides: [Session, Session] = [a, b];
  const states: (readonly [Session, Session])[] = [[a, b]];
  const sent: { readonly from: 0 | 1; readonly envelope: Uint8Array }[] = [];
  for (let at = 0; at < count; at++) {
    const [from, to] = at % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const);
    const { session, envelope } = await encrypt(sides[from], content, env);
    sides[from] = session;
    sides[to] = must(await decrypt(sides[to], asMessage(envelope), env)).session;
    sent.push({ from, envelope });
    states.push([...sides]);
  }
  return { sent, states, oracle, kemSecrets };
}

/** The state as the other side would have it. Of both only the public keys, which are enough for the oracle. */
const turnedAround = (copy: Session, step: KemRatchet["step"]): Session => ({
  ...copy,
  ownRatchetSecret: copy.remoteRatchetKey ?? new Uint8Array(32),
  ownRatchetKey: copy.remoteRatchetKey,
  remoteRatchetKey: copy.ownRatchetKey,
  receiving: copy.sending,
  nextReceivingHeaderKey: copy.nextSendingHeaderKey,
  sending: copy.receiving,
  nextSendingHeaderKey: copy.nextReceivingHeaderKey,
  stepDue: false,
  kem: { ...copy.kem, step },
});

/**
 * Follows both sides from the copy of one side's state, with the real decrypt. `everything`: also knows all secrets of
 * the KEM, to show that nothing else stops her.
 */
function thief(
  copy: Session,
  owner: 0 | 1,
  { oracle, kemSecrets }: Pick<Awaited<ReturnType<typeof overheard>>, "oracle" | "kemSecrets">,
  everything = false,
) {
  const env = seededEnv("thief", oracle);
  let state: Session = {
    ...structuredClone(copy),
    ownRatchetSecret: copy.ownRatchetKey ?? new Uint8Array(32),
  };
  const knowing = (secret: Uint8Array | undefined): KemRatchet["step"] => ({
    kind: "answering",
    secret: secret ?? new Uint8Array(32),
    block: new Uint8Array(KEM_CIPHERTEXT_BYTES),
    next: 0,
    whole: false,
  });
  return async (from: 0 | 1, envelope: Uint8Array): Promise<boolean> => {
    const { kem } = state;
    const known = everything
      ? kemSecrets[kem.epoch]
      : kem.step.kind === "ready"
        ? kem.step.secret
        : undefined;
    if (from === owner) {
      // What the owner mixes must be in what she has: a finished exchange that the owner offered.
      const opened = await decrypt(turnedAround(state, knowing(known)), asMessage(envelope), env);
      if (!opened.ok) return false;
      const { epoch } = opened.session.kem;
      const step: KemRatchet["step"] =
        epoch === kem.epoch ? kem.step : { kind: "awaiting", received: [] };
      state = turnedAround(opened.session, step);
      return true;
    }
    const before = everything ? { ...state, kem: { ...kem, step: knowing(known) } } : state;
    const opened = await decrypt({ ...before, stepDue: false }, asMessage(envelope), env);
    if (opened.ok) state = opened.session;
    return opened.ok;
  };
}

describe("a quantum adversary with a copy of one state", () => {
  it.each([
    [2, contentFor(2), 71],
    [5, contentForFive, 29],
  ] as const)(
    "is blind within two exchanges for good, with %i symbols per message",
    async (_, content, perExchange) => {
      // One exchange and a little: what one side offers in it the other one answers.
      const positions = perExchange + 8;
      const talk = await overheard(content, positions + 2 * perExchange + 8);
      for (const owner of [0, 1] as const) {
        const counts: number[] = [];
        for (let at = 1; at <= positions; at += 7) {
          const tries = thief(given(talk.states[at])[owner], owner, talk);
          const opened: boolean[] = [];
          for (const { from, envelope } of talk.sent.slice(at, at + 2 * perExchange + 8)) {
            opened.push(await tries(from, envelope));
          }
          const readable = opened.lastIndexOf(true) + 1;
          const where = `side ${owner} copied after ${at}`;
          expect(readable, where).toBeGreaterThan(0);
          expect(readable, where).toBeLessThanOrEqual(2 * perExchange);
          expect(opened.indexOf(false), where).toBe(readable);
          counts.push(readable);
        }
        // Not by chance: a copy from early in an exchange reads through it and on until the next one ends.
        expect(Math.max(...counts)).toBeGreaterThan(perExchange);
      }
    },
  );

  it("reads all of it when she also knows the secrets of the KEM: nothing else keeps her out", async () => {
    const talk = await overheard(contentForFive, 70);
    expect(talk.kemSecrets.length).toBeGreaterThan(1);
    for (const owner of [0, 1] as const) {
      const tries = thief(talk.states[1]![owner], owner, talk, true);
      for (const { from, envelope } of talk.sent.slice(1)) {
        expect(await tries(from, envelope)).toBe(true);
      }
    }
  });
});

describe("with the real ML-KEM", () => {
  it("both sides mix the same secret: everything opens before, during and after", async () => {
    const env = seededEnv("real");
    const real = await settledPair("real");
    let [a, b] = [real.a, real.b];
    for (let at = 0; at < 3; at++) {
      const out = await encrypt(a, new Uint8Array(0), env, { wide: true });
      b = must(await decrypt(b, asMessage(out.envelope), env)).session;
      const back = await encrypt(b, new Uint8Array(0), env, { wide: true });
      a = must(await decrypt(out.session, asMessage(back.envelope), env)).session;
      b = back.session;
    }
    expect([a.kem.epoch, b.kem.epoch]).toEqual([2, 2]);
  });
});

const env: CryptoEnv = seededEnv("frames");
const offering = async (kem = createKemRatchet(true)): Promise<KemRatchet> =>
  prepareOffer(kem, env);

function frameIn(bytes: Uint8Array): KemFrame {
  const frame = readFrame(createReader(bytes));
  if (frame === undefined) throw new Error("no frame");
  return frame;
}

/** One exchange up to the point where the offerer is ready. */
async function exchanged() {
  let offerer = await offering();
  let answerer = createKemRatchet(false);
  const key = takeFrame(offerer, 2_000, NOW);
  offerer = key.kem;
  answerer = await acceptFrame(answerer, frameIn(key.bytes), env);
  const answer = takeFrame(answerer, 2_000, NOW);
  answerer = answer.kem;
  const ready = await acceptFrame(offerer, frameIn(answer.bytes), env);
  return { key, answer, offerer, answerer, ready };
}

describe("an exchange", () => {
  it("gives both the same secret and swaps the roles", async () => {
    const { answerer, ready } = await exchanged();
    const mine = mixAsOfferer(ready);
    const theirs = mixAsAnswerer(answerer, 1);
    expect(mine.secret).toHaveLength(32);
    expect(theirs?.secret).toEqual(mine.secret);
    expect(mine.kem.step.kind).toBe("awaiting");
    expect(theirs?.kem.step.kind).toBe("due");
    expect([mine.kem.epoch, theirs?.kem.epoch]).toEqual([1, 1]);
  });

  it("completes from any 37 and any 34 symbols, with repetitions and others in between", async () => {
    const offerer = await offering();
    if (offerer.step.kind !== "offering") throw new Error("not offering");
    const { block } = offerer.step;
    let answerer = createKemRatchet(false);
    for (let index = 254; index > 254 - KEM_SYMBOLS.key; index--) {
      expect(answerer.step.kind).toBe("awaiting");
      const frame: KemFrame = { kind: "key", epoch: 1, symbols: [symbolAt(block, index)] };
      answerer = await acceptFrame(answerer, frame, env);
      // A repeated symbol, one of the other kind, and one of another epoch add nothing.
      if (index === 254 - KEM_SYMBOLS.key + 1) break;
      const after = await acceptFrame(answerer, frame, env);
      expect(after).toEqual(answerer);
      expect(await acceptFrame(answerer, { ...frame, kind: "ciphertext" }, env)).toBe(answerer);
      expect(await acceptFrame(answerer, { ...frame, epoch: 2 }, env)).toBe(answerer);
      expect(await acceptFrame(answerer, { ...frame, epoch: 0 }, env)).toBe(answerer);
    }
    expect(answerer.step.kind).toBe("answering");
  });

  it("starts anew when the other side sends a key that is none", async () => {
    const bad = new Uint8Array(KEM_PUBLIC_BYTES).fill(0xff);
    const symbols = Array.from({ length: KEM_SYMBOLS.key }, (_, at) => symbolAt(bad, at));
    const after = await acceptFrame(
      createKemRatchet(false),
      { kind: "key", epoch: 1, symbols },
      env,
    );
    expect(after.step).toEqual({ kind: "awaiting", received: [] });
  });

  it("cannot be claimed, skipped or undone by a header", async () => {
    const { answerer, offerer } = await exchanged();
    expect(mixAsAnswerer(createKemRatchet(false), 1)).toBeUndefined();
    expect(mixAsAnswerer(offerer, 1)).toBeUndefined();
    expect(mixAsAnswerer(answerer, 2)).toBeUndefined();
    expect(mixAsAnswerer({ ...answerer, epoch: 5 }, 4)).toBeUndefined();
    expect(mixAsAnswerer(answerer, 0)?.secret).toBeUndefined();
  });

  it("counts epochs round", () => {
    expect(nextEpoch(65_534)).toBe(65_535);
    expect(nextEpoch(65_535)).toBe(0);
  });
});

describe("frames", () => {
  it("take what fits: nothing below one symbol, 38 at most, indices from 254 on to 0", async () => {
    const kem = await offering();
    const one = FRAME_HEADER_BYTES + SYMBOL_BYTES;
    expect(takeFrame(kem, one - 1, NOW).bytes).toHaveLength(0);
    expect(takeFrame(kem, one, NOW).bytes).toHaveLength(one);
    const most = takeFrame(kem, 60_000, NOW);
    expect(frameIn(most.bytes).symbols).toHaveLength(FRAME_SYMBOLS_MAX);
    if (most.kem.step.kind !== "offering") throw new Error("not offering");
    const nearEnd = { ...most.kem, step: { ...most.kem.step, next: 253 } };
    const last = takeFrame(nearEnd, FRAME_HEADER_BYTES + 10 * SYMBOL_BYTES, NOW);
    expect(frameIn(last.bytes).symbols.map((symbol) => symbol.index)).toEqual([253, 254]);
    expect(frameIn(takeFrame(last.kem, one, NOW).bytes).symbols[0]?.index).toBe(0);
    // Behind the pieces of the block at most four; and all of it again from its beginning where it fits.
    const late = { ...most.kem, step: { ...most.kem.step, next: 36 } };
    const some = takeFrame(late, FRAME_HEADER_BYTES + 20 * SYMBOL_BYTES, NOW);
    expect(frameIn(some.bytes).symbols.map(({ index }) => index)).toEqual([36, 37, 38, 39, 40]);
    // Already behind the block: as many as that, whether there is room for one more or not, and no more than there is room for.
    const behind = { ...most.kem, step: { ...most.kem.step, next: 100 } };
    const taken = [-1, 0, 1].map((more) => {
      const room = FRAME_HEADER_BYTES + (FRAME_PARITY_MAX + more) * SYMBOL_BYTES;
      return frameIn(takeFrame(behind, room, NOW).bytes).symbols.length;
    });
    expect(taken).toEqual([FRAME_PARITY_MAX - 1, FRAME_PARITY_MAX, FRAME_PARITY_MAX]);
    const whole = takeFrame(late, FRAME_HEADER_BYTES + 37 * SYMBOL_BYTES, NOW);
    expect(frameIn(whole.bytes).symbols.map(({ index }) => index)).toEqual(
      Array.from({ length: 37 }, (_, index) => index),
    );
  });

  it("are refused with no, too many or impossible symbols, cut off, or of an unknown kind", () => {
    const read = (...bytes: readonly number[]) =>
      decodeWith(Uint8Array.from(bytes), 4_096, (reader) => {
        const frame = readFrame(reader);
        reader.rest();
        return frame;
      });
    const zeros = (count: number): readonly number[] => Array.from({ length: count }, () => 0);
    expect(read()).toEqual({ ok: true, value: undefined });
    expect(read(0, 9, 9)).toEqual({ ok: true, value: undefined });
    expect(read(1, 0, 1, 0, 0).ok).toBe(false);
    expect(read(1, 0, 1, 254, 1, ...zeros(32)).ok).toBe(true);
    expect(read(1, 0, 1, 254, 2, ...zeros(64)).ok).toBe(false);
    expect(read(2, 0, 1, 0, 1, ...zeros(31)).ok).toBe(false);
    expect(read(3, 0, 1, 0, 1, ...zeros(32)).ok).toBe(false);
    expect(read(1, 0, 1, 0, FRAME_SYMBOLS_MAX, ...zeros(FRAME_SYMBOLS_MAX * 32)).ok).toBe(true);
    expect(read(1, 0, 1, 0, 39, ...zeros(39 * 32)).ok).toBe(false);
  });

  it("may be whole after fifty messages or ten minutes, and not before", async () => {
    const whole = FRAME_HEADER_BYTES + KEM_SYMBOLS.key * SYMBOL_BYTES;
    const single = FRAME_HEADER_BYTES + SYMBOL_BYTES;
    const sent = takeFrame(await offering(), whole, NOW).kem;
    const asked = (sinceWhole: number, now: number): number =>
      wantedFrameBytes({ ...sent, sinceWhole }, true, now);
    expect(asked(WHOLE_MESSAGES_MIN - 1, NOW + WHOLE_INTERVAL_MS - 1)).toBe(single);
    expect(asked(WHOLE_MESSAGES_MIN, NOW)).toBe(whole);
    expect(asked(0, NOW + WHOLE_INTERVAL_MS)).toBe(whole);
    expect(wantedFrameBytes({ ...sent, sinceWhole: 100 }, false, NOW)).toBe(single);
    expect(wantedFrameBytes(createKemRatchet(false), true, NOW)).toBe(0);
  });

  it("an answer is whole once, if the key was", async () => {
    const { key, answer } = await exchanged();
    const whole = FRAME_HEADER_BYTES + KEM_SYMBOLS.ciphertext * SYMBOL_BYTES;
    const answering = await acceptFrame(createKemRatchet(false), frameIn(key.bytes), env);
    expect(wantedFrameBytes(answering, true, NOW)).toBe(whole);
    expect(wantedFrameBytes(answer.kem, true, NOW)).toBe(FRAME_HEADER_BYTES + SYMBOL_BYTES);
  });

  it("a failing engine leaves the state as it was", async () => {
    const failing: CryptoEnv = {
      ...env,
      crypto: {
        ...nobleBackend,
        encaps() {
          throw new Error("engine failed");
        },
      },
    };
    const { key } = await exchanged();
    const before = createKemRatchet(false);
    await expect(acceptFrame(before, frameIn(key.bytes), failing)).rejects.toThrow("engine failed");
    expect(before).toEqual(createKemRatchet(false));
  });
});
