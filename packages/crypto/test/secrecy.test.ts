/** What an adversary learns from stored state, from both sides' exchanges, and from the bytes on the wire. */
import {
  createInviteBundle,
  type CryptoEnv,
  decrypt,
  encrypt,
  initiate,
  nobleBackend,
  type Session,
} from "@sotto/crypto";
import { BUCKETS, bucketFor, bytesToHex, CONTENT_BYTES_MAX } from "@sotto/wire";
import { beforeAll, describe, expect, it } from "vitest";
import {
  asMessage,
  must,
  numbered,
  type Pair,
  sealAll,
  seededEnv,
  settledPair,
  text,
} from "./support.ts";

const env = seededEnv("secrecy");
let pair: Pair;
beforeAll(async () => {
  pair = await settledPair("secrecy");
});

/** The state as the other side would hold it: lets a thief of `session` try what its owner sent. */
const mirrored = (session: Session): Session => ({
  ...session,
  receiving: session.sending,
  nextReceivingHeaderKey: session.nextSendingHeaderKey,
  sending: session.receiving,
  nextSendingHeaderKey: session.nextReceivingHeaderKey,
  remoteRatchetKey: session.ownRatchetKey,
  stepDue: false,
  skipped: [],
});

/** Everything a thief of `state` can make of `envelopes`, trying each against every state reached so far. */
async function loot(state: Session, envelopes: readonly Uint8Array[]): Promise<readonly string[]> {
  const opened: string[] = [];
  const states = [state, mirrored(state)];
  for (const envelope of [...envelopes, ...envelopes.toReversed()]) {
    for (const [index, one] of states.entries()) {
      const result = await decrypt(one, asMessage(envelope), env);
      if (!result.ok) continue;
      states[index] = result.session;
      opened.push(bytesToHex(result.content));
    }
  }
  return opened;
}

/** Alternating turns of `perTurn` messages that all arrive. */
async function talk(
  start: { readonly a: Session; readonly b: Session },
  turns: number,
  perTurn: number,
  with_: CryptoEnv = env,
) {
  let [from, to] = [start.a, start.b];
  const envelopes: Uint8Array[] = [];
  for (let turn = 0; turn < turns; turn++) {
    const sealed = await sealAll(from, numbered(perTurn), with_);
    from = sealed.session;
    for (const envelope of sealed.envelopes) {
      to = must(await decrypt(to, asMessage(envelope), with_)).session;
      envelopes.push(envelope);
    }
    [from, to] = [to, from];
  }
  return turns % 2 === 0 ? { a: from, b: to, envelopes } : { a: to, b: from, envelopes };
}

describe("forward secrecy", () => {
  it("a state taken after k messages opens none of them, on either side", async () => {
    const past = await talk(pair, 6, 3);
    expect(past.envelopes).toHaveLength(18);
    for (const stolen of [past.a, past.b]) {
      expect(await loot(structuredClone(stolen), past.envelopes)).toEqual([]);
    }
  });

  it("no message key that was ever used is still anywhere in the state", async () => {
    const used: string[] = [];
    const crypto = {
      ...nobleBackend,
      seal: (key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array) => {
        // Header keys stay while their chain does; message keys seal what is longer than a header.
        if (plaintext.length > 43) used.push(bytesToHex(key));
        return nobleBackend.seal(key, nonce, aad, plaintext);
      },
    };
    const past = await talk(pair, 4, 5, { ...env, crypto });
    expect(new Set(used).size).toBe(20);
    for (const stolen of [past.a, past.b]) {
      const held = JSON.stringify(stolen, (_, value: unknown) =>
        value instanceof Uint8Array ? bytesToHex(value) : value,
      );
      for (const key of used) expect(held).not.toContain(key);
    }
  });

  it("a skipped message's key is gone as soon as it was used", async () => {
    const sealed = await sealAll(pair.a, numbered(3), env);
    const held = must(await decrypt(pair.b, asMessage(sealed.envelopes[2]!), env)).session;
    const used = must(await decrypt(held, asMessage(sealed.envelopes[0]!), env)).session;
    const [first, second] = sealed.envelopes;
    expect(await loot(held, [first!])).not.toEqual([]);
    expect(await loot(used, [first!])).toEqual([]);
    expect(await loot(used, [second!])).not.toEqual([]);
  });
});

describe("post-compromise security", () => {
  it("a copied state is blind once its owner has turned with fresh randomness", async () => {
    const stolen = structuredClone(pair.a);
    // The thief follows until the owner's own next key is in use; then both directions are lost to it.
    const during = await talk(pair, 2, 2);
    const after = await talk(during, 4, 2);
    expect(await loot(stolen, after.envelopes)).toEqual([]);
    expect(await loot(stolen, [...during.envelopes, ...after.envelopes])).toEqual([]);
  });

  it("the copy of the side that waits follows exactly until that side answers", async () => {
    const stolen = structuredClone(pair.b);
    const exposed = await talk(pair, 1, 2);
    const after = await talk({ a: exposed.b, b: exposed.a }, 4, 2);
    const opened = await loot(stolen, [...exposed.envelopes, ...after.envelopes]);
    expect(opened.map((hex) => hex)).toEqual(numbered(2).map(bytesToHex));
  });
});

describe("two copies of one state, as after a restored backup", () => {
  it("never use a key with the same nonce twice", async () => {
    const seen: string[] = [];
    const crypto = {
      ...nobleBackend,
      seal: (key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array) => {
        seen.push(`${bytesToHex(key)}/${plaintext.length > 43}/${bytesToHex(nonce)}`);
        return nobleBackend.seal(key, nonce, aad, plaintext);
      },
    };
    const inTurn = (await encrypt(pair.a, text("x"), env)).session;
    const recording = { ...env, crypto };
    await sealAll(structuredClone(inTurn), numbered(5), recording);
    await sealAll(structuredClone(inTurn), numbered(5), recording);
    expect(seen).toHaveLength(20);
    expect(new Set(seen).size).toBe(20);
    // The keys do repeat: it is the nonce that tells them apart.
    expect(new Set(seen.map((one) => one.split("/")[0])).size).toBe(6);
  });
});

describe("bytes on the wire", () => {
  it("have only bucket sizes, the smallest that fits", async () => {
    // Alice offers a key of the post-quantum ratchet, so at least one symbol of it goes along; Bob has none to send.
    for (const [session, around] of [
      [pair.a, 108 + 37],
      [pair.b, 108],
    ] as const) {
      for (const bucket of BUCKETS) {
        for (const size of [bucket - around - 1, bucket - around, bucket - around + 1]) {
          if (size < 0 || size > CONTENT_BYTES_MAX) continue;
          const { envelope } = await encrypt(session, new Uint8Array(size), env);
          expect(envelope.length).toBe(bucketFor(size + around));
          expect(BUCKETS).toContain(envelope.length);
        }
      }
    }
    const largest = await encrypt(pair.a, new Uint8Array(CONTENT_BYTES_MAX), env);
    expect(BUCKETS).toContain(largest.envelope.length);
  });

  it("of 10,000 envelopes repeat no 8 bytes and spread evenly, although all say the same", async () => {
    const count = 10_000;
    let session = pair.a;
    const windows = new BigUint64Array(count * 248);
    const frequency = new Float64Array(256);
    for (let index = 0; index < count; index++) {
      const sealed = await encrypt(session, text("the same again"), env);
      ({ session } = sealed);
      const view = new DataView(sealed.envelope.buffer);
      // The first byte is the type; everything after it must look random.
      for (let at = 1; at <= 248; at++) windows[index * 248 + at - 1] = view.getBigUint64(at);
      for (const byte of sealed.envelope.subarray(1, 9)) frequency[byte] = frequency[byte]! + 1;
    }
    windows.sort();
    expect(windows.some((window, index) => index > 0 && window === windows[index - 1])).toBe(false);
    expectEven(frequency);
  });

  /** 255 degrees of freedom: mean 255, standard deviation 22.6. */
  function expectChance(chiSquare: number): void {
    expect(chiSquare).toBeGreaterThan(165);
    expect(chiSquare).toBeLessThan(345);
  }

  function expectEven(frequency: Float64Array): void {
    const expected = frequency.reduce((sum, seen) => sum + seen, 0) / 256;
    expectChance(frequency.reduce((sum, seen) => sum + (seen - expected) ** 2 / expected, 0));
  }

  it("of two sessions between the same devices cannot be told apart or paired by their tags", async () => {
    const count = 1_000;
    const tagsOf = async (): Promise<readonly Uint8Array[]> => {
      const { bundle } = await createInviteBundle(pair.bob, env);
      const initiated = await initiate(pair.alice, bundle, env);
      if (initiated === undefined) throw new Error("bundle refused");
      const contents = Array.from({ length: count }, () => text("the same again"));
      const { envelopes } = await sealAll(initiated.session, contents, env);
      return envelopes.map((envelope) => asMessage(envelope).tag);
    };
    const [one, other] = [await tagsOf(), await tagsOf()];
    const counted = (bytes: (n: number) => Iterable<number>): Float64Array => {
      const frequency = new Float64Array(256);
      for (let n = 0; n < count; n++) {
        for (const byte of bytes(n)) frequency[byte] = frequency[byte]! + 1;
      }
      return frequency;
    };
    const [ofOne, ofOther] = [counted((n) => one[n]!), counted((n) => other[n]!)];
    for (const frequency of [ofOne, ofOther]) expectEven(frequency);
    // Two samples of equal size: are they of one distribution, whatever it is?
    expectChance(
      ofOne.reduce((sum, seen, byte) => {
        const both = seen + ofOther[byte]!;
        return both === 0 ? sum : sum + (seen - ofOther[byte]!) ** 2 / both;
      }, 0),
    );
    // Nor does the n-th of one say anything about the n-th of the other, or about the one before it in its own.
    expectEven(counted((n) => one[n]!.map((byte, at) => byte ^ other[n]![at]!)));
    for (const tags of [one, other]) {
      expectEven(counted((n) => tags[n]!.map((byte, at) => byte ^ tags[(n + 1) % count]![at]!)));
    }
  });

  it("differ completely when one content is sealed twice from one state", async () => {
    const [one, two] = [
      (await encrypt(pair.a, text("x"), env)).envelope,
      (await encrypt(pair.a, text("x"), env)).envelope,
    ];
    // Type and tag are the same: one state, one number. Of the 247 bytes behind them one or so is by chance.
    expect(one.slice(0, 9)).toEqual(two.slice(0, 9));
    const equal = one.filter((byte, index) => index >= 9 && byte === two[index]).length;
    expect(equal).toBeLessThan(10);
  });
});
