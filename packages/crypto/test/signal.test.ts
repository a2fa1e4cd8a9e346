import {
  decrypt,
  encrypt,
  openSignal,
  sealSignal,
  type Session,
  SIGNAL_ENVELOPE_BYTES,
} from "@sotto/crypto";
import {
  decodeEnvelope,
  encodeSignal,
  PEER_ID_BYTES_MAX,
  type Signal,
  type SignalEnvelope,
} from "@sotto/wire";
import { beforeAll, describe, expect, it } from "vitest";
import { signal } from "./samples.ts";
import { asMessage, flipBit, must, type Pair, seededEnv, settledPair, text } from "./support.ts";

const env = seededEnv("signal");
let pair: Pair;
beforeAll(async () => {
  pair = await settledPair("signal");
});

function asSignal(bytes: Uint8Array): SignalEnvelope {
  const decoded = decodeEnvelope(bytes);
  if (!decoded.ok || decoded.value.type !== "signal") throw new Error("not a signal");
  return decoded.value;
}
const open = async (session: Session, bytes: Uint8Array): Promise<Signal | undefined> =>
  openSignal(session, asSignal(bytes), env.crypto);

describe("a signal", () => {
  it("opens at the other side, in both directions, any number of times", async () => {
    for (const [from, to] of [
      [pair.a, pair.b],
      [pair.b, pair.a],
    ] as const) {
      const sealed = await sealSignal(from, signal, env);
      expect(await open(to, sealed)).toEqual(signal);
      expect(await open(to, sealed)).toEqual(signal);
    }
  });

  it("has one size, whatever it says", async () => {
    const samples: readonly Signal[] = [
      signal,
      { ...signal, direct: "none", peerId: new Uint8Array(0), probe: false, presence: "away" },
      { ...signal, peerId: new Uint8Array(PEER_ID_BYTES_MAX) },
      { ...signal, counter: 0 },
      { ...signal, counter: 0xffff_ffff_ffff },
    ];
    for (const sample of samples) {
      const sealed = await sealSignal(pair.a, sample, env);
      expect(sealed).toHaveLength(SIGNAL_ENVELOPE_BYTES);
      expect(await open(pair.b, sealed)).toEqual(sample);
    }
  });

  it("does not open at its own sender, nor in another session", async () => {
    const other = await settledPair("signal, other");
    const sealed = await sealSignal(pair.a, signal, env);
    for (const session of [pair.a, other.a, other.b]) {
      expect(await open(session, sealed)).toBeUndefined();
    }
  });

  it("does not open under the right keys with another transcript", async () => {
    const sealed = await sealSignal(pair.a, signal, env);
    const transcript = flipBit(pair.b.transcript, 3);
    expect(await open({ ...pair.b, transcript }, sealed)).toBeUndefined();
  });

  it("is refused when any bit is flipped", async () => {
    const sealed = await sealSignal(pair.a, signal, env);
    for (let bit = 8; bit < sealed.length * 8; bit++) {
      expect(await open(pair.b, flipBit(sealed, bit))).toBeUndefined();
    }
  });

  it("survives turns of the ratchet and never moves it", async () => {
    const sealed = await sealSignal(pair.a, signal, env);
    const before = structuredClone(pair);
    const message = await encrypt(pair.a, text("turn"), env);
    const b = must(await decrypt(pair.b, asMessage(message.envelope), env)).session;
    expect(await open(b, sealed)).toEqual(signal);
    expect(await open(message.session, await sealSignal(b, signal, env))).toEqual(signal);
    expect(pair).toEqual(before);
  });

  it("whose plaintext is no signal, or is not padded with zeros, is refused", async () => {
    const bodies = [
      Uint8Array.from({ length: 227 }, () => 0),
      Uint8Array.from({ length: 227 }, () => 0xff),
      padded(encodeSignal(signal), 1),
      padded(Uint8Array.of(...encodeSignal(signal), 0), 0),
      Uint8Array.from({ length: 227 }, (_, index) => (index === 226 ? 1 : 0)),
      Uint8Array.of(0),
      new Uint8Array(0),
    ];
    const opening = async (body: Uint8Array): Promise<Signal | undefined> => {
      const sealed = asSignal(await sealSignal(pair.a, signal, env));
      return openSignal(pair.b, sealed, { ...env.crypto, open: () => body });
    };
    expect(await opening(padded(encodeSignal(signal), 0))).toEqual(signal);
    for (const body of bodies) expect(await opening(body)).toBeUndefined();
  });
});

/** The plaintext of a signal, ending in `last`. */
function padded(encoded: Uint8Array, last: number): Uint8Array {
  const body = new Uint8Array(227);
  body.set([0, encoded.length, ...encoded]);
  body[226] = last;
  return body;
}
