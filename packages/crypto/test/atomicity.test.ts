/** Nothing half done: whatever fails, at whichever call, the state before is still the state, and it still works. */
import {
  accept,
  createInviteBundle,
  createOwnDevice,
  type CryptoBackend,
  decrypt,
  encrypt,
  initiate,
  openInviteOffer,
  openSignal,
  sealInviteOffer,
  sealSignal,
  type Session,
} from "@sotto/crypto";
import { decodeEnvelope, MESSAGE_HEADER_BYTES } from "@sotto/wire";
import { beforeAll, describe, expect, it } from "vitest";
import {
  asMessage,
  failingBackend,
  flipBit,
  greeted,
  must,
  numbered,
  openBytes,
  type Pair,
  sealAll,
  seededEntropy,
  seededEnv,
  settledPair,
  text,
} from "./support.ts";
import { offerOf, signal } from "./samples.ts";

const env = seededEnv("atomicity");
let pair: Pair;
beforeAll(async () => {
  pair = await settledPair("atomicity");
});

/** Runs `operation` with the i-th engine call failing, for every i, in both manners; then once without. */
async function failAtEveryCall(
  operation: (crypto: CryptoBackend) => Promise<unknown>,
  states: readonly unknown[],
): Promise<number> {
  const before = structuredClone(states);
  const counting = failingBackend(-1, "throws");
  await operation(counting);
  expect(counting.calls()).toBeGreaterThan(0);
  for (const manner of ["throws", "rejects"] as const) {
    for (let call = 0; call < counting.calls(); call++) {
      await expect(operation(failingBackend(call, manner)), `call ${call}`).rejects.toThrow(
        "engine failed",
      );
      expect(states).toEqual(before);
    }
  }
  await operation(failingBackend(-1, "throws"));
  expect(states).toEqual(before);
  return counting.calls();
}

describe("an engine that fails at any call", () => {
  it("fails encrypt, with and without a turn, and nothing else", async () => {
    expect(pair.a.stepDue).toBe(true);
    const inTurn = (await encrypt(pair.a, text("x"), env)).session;
    for (const session of [pair.a, inTurn]) {
      await failAtEveryCall(
        async (crypto) => encrypt(session, text("x"), { ...env, crypto }),
        [session],
      );
    }
  });

  it("fails decrypt, never turns into a verdict on the message, and the message still opens", async () => {
    const sealed = await sealAll(pair.a, numbered(3), env);
    const current = must(await decrypt(pair.b, asMessage(sealed.envelopes[1]!), env)).session;
    const [turning, inChain, late] = [
      await failAtEveryCall(
        async (crypto) => decrypt(pair.b, asMessage(sealed.envelopes[0]!), { ...env, crypto }),
        [pair.b],
      ),
      await failAtEveryCall(
        async (crypto) => decrypt(current, asMessage(sealed.envelopes[2]!), { ...env, crypto }),
        [current],
      ),
      await failAtEveryCall(
        async (crypto) => decrypt(current, asMessage(sealed.envelopes[0]!), { ...env, crypto }),
        [current],
      ),
    ];
    expect(turning).toBeGreaterThan(inChain);
    expect(late).toBe(inChain);
    expect(must(await decrypt(pair.b, asMessage(sealed.envelopes[0]!), env)).content).toEqual(
      text("message 0"),
    );
    expect(must(await decrypt(current, asMessage(sealed.envelopes[0]!), env)).content).toEqual(
      text("message 0"),
    );
  });

  it("fails the handshake on both sides, and the same HELLO is accepted afterwards", async () => {
    const { alice, bob, bundle, secrets, hello } = await greeted("atomicity, handshake");
    await failAtEveryCall(
      async (crypto) =>
        initiate(alice, bundle, { ...env, entropy: seededEntropy("again"), crypto }),
      [alice, bundle],
    );
    await failAtEveryCall(
      async (crypto) => accept(bob, secrets, hello, { ...env, crypto }),
      [bob, secrets],
    );
    expect(must(await accept(bob, secrets, hello, env)).content).toEqual(text("hello"));
  });

  it("fails keys, signals and offers too", async () => {
    const own = await createOwnDevice(env);
    await failAtEveryCall(async (crypto) => createOwnDevice({ ...env, crypto }), []);
    await failAtEveryCall(async (crypto) => createInviteBundle(own, { ...env, crypto }), [own]);
    const sealed = decodeEnvelope(await sealSignal(pair.a, signal, env));
    if (!sealed.ok || sealed.value.type !== "signal") throw new Error("not a signal");
    const { value } = sealed;
    await failAtEveryCall(async (crypto) => sealSignal(pair.a, signal, { ...env, crypto }), [pair]);
    await failAtEveryCall(async (crypto) => openSignal(pair.b, value, crypto), [pair]);
    const seed = env.entropy(16);
    const offer = offerOf((await createInviteBundle(own, env)).bundle);
    const blob = await sealInviteOffer(seed, offer, env);
    await failAtEveryCall(
      async (crypto) => sealInviteOffer(seed, offer, { ...env, crypto }),
      [offer],
    );
    await failAtEveryCall(async (crypto) => openInviteOffer(seed, blob, crypto), [blob]);
  });
});

describe("a flipped bit", () => {
  async function refuse(session: Session, envelope: Uint8Array, bits: readonly number[]) {
    const before = structuredClone(session);
    for (const bit of bits) {
      const result = await openBytes(session, flipBit(envelope, bit), env);
      expect(result?.ok ?? false, `bit ${bit}`).toBe(false);
    }
    expect(session).toEqual(before);
    expect(must((await openBytes(session, envelope, env))!).ok).toBe(true);
  }
  const every = (envelope: Uint8Array, step = 1, from = 0): readonly number[] =>
    Array.from(
      { length: Math.ceil((envelope.length * 8 - from) / step) },
      (_, i) => from + i * step,
    );

  it("anywhere in an envelope of the current chain is refused, all 2,048 of them", async () => {
    const sealed = await sealAll(pair.a, numbered(2), env);
    const b = must(await decrypt(pair.b, asMessage(sealed.envelopes[0]!), env)).session;
    await refuse(b, sealed.envelopes[1]!, every(sealed.envelopes[1]!));
  });

  it("anywhere in an envelope that came late is refused and its stored key stays", async () => {
    const sealed = await sealAll(pair.a, numbered(2), env);
    const b = must(await decrypt(pair.b, asMessage(sealed.envelopes[1]!), env)).session;
    await refuse(b, sealed.envelopes[0]!, every(sealed.envelopes[0]!));
  });

  it("in an envelope that starts a turn is refused: every bit of its head, its body sampled", async () => {
    const { envelope } = await encrypt(pair.a, text("turn"), env);
    const head = MESSAGE_HEADER_BYTES * 8;
    await refuse(pair.b, envelope, [
      ...Array.from({ length: head }, (_, bit) => bit),
      ...every(envelope, 11, head),
    ]);
  });

  it("in a large envelope is refused at either end and in between", async () => {
    const { envelope } = await encrypt(pair.a, new Uint8Array(9_000).fill(1), env);
    expect(envelope).toHaveLength(16_384);
    await refuse(pair.b, envelope, [...every(envelope, 1_021), envelope.length * 8 - 1]);
  });
});

describe("garbage", () => {
  it("of any bucket's size, and truncations and splices, are refused with the state unchanged", async () => {
    const sealed = await sealAll(pair.a, numbered(2), env);
    const [one, two] = sealed.envelopes;
    const before = structuredClone(pair.b);
    const random = seededEntropy("garbage");
    const inputs = [
      ...Array.from({ length: 300 }, () => Uint8Array.of(2, ...random(255))),
      ...[0, 1, 79, 80, 95, 96, 255, 257, 512].map((length) => new Uint8Array(length).fill(2)),
      // Body of one, head of the other, cut at each field.
      ...[9, 21, 80].map((cut) => Uint8Array.of(...one!.slice(0, cut), ...two!.slice(cut))),
      Uint8Array.of(...one!, ...new Uint8Array(256)),
    ];
    for (const input of inputs) {
      const result = await openBytes(pair.b, input, env);
      expect(result?.ok ?? false).toBe(false);
    }
    expect(pair.b).toEqual(before);
  });
});
