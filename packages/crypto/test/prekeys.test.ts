import {
  bundleHashOf,
  createInviteBundle,
  createLastResort,
  createOwnDevice,
  createPrekeyBatch,
  createSignedPrekey,
  LABELS,
  nobleBackend,
  PREKEY_BATCH_MAX,
  verifyBundle,
} from "@sotto/crypto";
import {
  concatBytes,
  createWriter,
  decodeBundle,
  encodeBundle,
  type KemPrekeyPart,
  NO_PREKEY_ID,
  type PrekeyBundle,
} from "@sotto/wire";
import { describe, expect, it } from "vitest";
import { ed25519Sign, labelled, sha256 } from "#src/primitives.ts";
import { asyncBackend, flipBit, seededEntropy, seededEnv } from "./support.ts";

const env = seededEnv("prekeys");
const own = await createOwnDevice(env);
const signed = await createSignedPrekey(env);
const batch = await createPrekeyBatch(own, signed.part, 8, env);
const lastResort = await createLastResort(own, signed.part, env);

const bundleWith = (kemPrekey: KemPrekeyPart): PrekeyBundle => ({
  cert: own.cert,
  signedPrekey: signed.part,
  kemPrekey,
});
const verifies = (bundle: PrekeyBundle): Promise<boolean> => verifyBundle(bundle, nobleBackend);
const third = batch[3]!.part;

describe("a batch of one-time pairs", () => {
  it.each([1, 8, PREKEY_BATCH_MAX])("of %i: every pair verifies in its place", async (count) => {
    const pairs = await createPrekeyBatch(own, signed.part, count, env);
    expect(pairs).toHaveLength(count);
    for (const [index, { part }] of pairs.entries()) {
      expect(part.leafIndex).toBe(index);
      expect(part.proof).toHaveLength(Math.log2(count));
      const decoded = decodeBundle(encodeBundle(bundleWith(part)));
      expect(decoded.ok && (await verifies(decoded.value))).toBe(true);
    }
    expect(new Set(pairs.map(({ part }) => String(part.signature))).size).toBe(1);
    expect(new Set(pairs.map(({ part }) => part.id)).size).toBe(count);
  });

  it.each([0, 3, 63, 128, -1, 1.5, Number.NaN])("of %d is refused", async (count) => {
    await expect(createPrekeyBatch(own, signed.part, count, env)).rejects.toThrow(
      new RangeError(`batch of ${count}`),
    );
  });

  it("holds secrets that fit the public halves", async () => {
    for (const { oneTimeSecret, kemSeed, part } of batch) {
      expect(await nobleBackend.dhPublic(oneTimeSecret)).toEqual(part.oneTimeKey);
      expect(await nobleBackend.kemPublic(kemSeed)).toEqual(part.key);
    }
  });

  it("takes ids from its entropy, also when that hands out views into a larger buffer", async () => {
    const pooled = seededEntropy("pooled");
    const views = {
      ...env,
      entropy: (length: number) => concatBytes(new Uint8Array(8), pooled(length)).subarray(8),
    };
    const plain = { ...env, entropy: seededEntropy("pooled") };
    expect(
      (await createPrekeyBatch(own, signed.part, 4, views)).map(({ part }) => part.id),
    ).toEqual((await createPrekeyBatch(own, signed.part, 4, plain)).map(({ part }) => part.id));
  });

  it("never uses the id that means 'none'", async () => {
    const ones = { ...env, entropy: (length: number) => new Uint8Array(length).fill(0xff) };
    expect((await createSignedPrekey(ones)).part.id).toBe(NO_PREKEY_ID - 1);
  });
});

describe("a Merkle proof", () => {
  it("is refused with any wrong sibling, in any bit sampled", async () => {
    for (const [height, sibling] of third.proof.entries()) {
      for (let bit = 0; bit < 256; bit += 31) {
        const proof = third.proof.with(height, flipBit(sibling, bit));
        expect(await verifies(bundleWith({ ...third, proof }))).toBe(false);
      }
      for (const wrong of [new Uint8Array(32), third.signature.slice(0, 32)]) {
        const proof = third.proof.with(height, wrong);
        expect(await verifies(bundleWith({ ...third, proof }))).toBe(false);
      }
    }
  });

  it("is refused when shortened, lengthened, reordered or for another place", async () => {
    const proofs = [
      third.proof.slice(1),
      third.proof.slice(0, -1),
      [],
      [...third.proof, new Uint8Array(32)],
      third.proof.toReversed(),
      batch[2]!.part.proof,
    ];
    for (const proof of proofs) {
      expect(await verifies(bundleWith({ ...third, proof }))).toBe(false);
    }
    for (let leafIndex = 0; leafIndex < 8; leafIndex++) {
      expect(await verifies(bundleWith({ ...third, leafIndex }))).toBe(leafIndex === 3);
    }
  });

  it("does not let an inner node pass as a leaf", async () => {
    const leaf = (part: KemPrekeyPart): Uint8Array =>
      sha256(
        labelled(
          LABELS.prekeyLeaf,
          createWriter().u32(part.id).done(),
          part.oneTimeKey ?? new Uint8Array(0),
          part.key,
        ),
      );
    const [left, right] = [leaf(batch[0]!.part), leaf(batch[1]!.part)];
    const node = sha256(labelled(LABELS.prekeyNode, concatBytes(left, right)));
    expect(batch[2]!.part.proof[1]).toEqual(node);
    expect(sha256(labelled(LABELS.prekeyLeaf, concatBytes(left, right)))).not.toEqual(node);
  });
});

describe("a bundle", () => {
  it("verifies with a one-time pair, with the last resort, and on a back-end of promises", async () => {
    expect(await verifies(bundleWith(third))).toBe(true);
    expect(await verifies(bundleWith(lastResort.part))).toBe(true);
    expect(lastResort.part).toMatchObject({ oneTimeKey: undefined, leafIndex: 0, proof: [] });
    expect(await verifyBundle(bundleWith(third), asyncBackend)).toBe(true);
  });

  it("is refused when any bit is flipped: of every field, and of the KEM key sampled", async () => {
    const encoded = encodeBundle(bundleWith(third));
    const kemKeyFrom = encoded.length - 64 - 3 * 32 - 2 - 34 - 1_184;
    for (let bit = 0; bit < encoded.length * 8; bit += 11) {
      const byte = bit >> 3;
      if (byte > kemKeyFrom + 8 && byte < kemKeyFrom + 1_180 && byte % 16 !== 0) continue;
      const decoded = decodeBundle(flipBit(encoded, bit));
      expect(decoded.ok && (await verifies(decoded.value))).toBe(false);
    }
  });

  it("is refused when parts are swapped between devices, purposes or ids", async () => {
    const stranger = await createOwnDevice(env);
    const theirs = await createInviteBundle(stranger, env);
    const lastResortMade = lastResort.part;
    const rotated = await createSignedPrekey(env);
    const refused: readonly PrekeyBundle[] = [
      { ...bundleWith(third), cert: stranger.cert },
      { ...bundleWith(third), signedPrekey: theirs.bundle.signedPrekey },
      bundleWith(theirs.bundle.kemPrekey),
      bundleWith({ ...third, id: (third.id ^ 1) >>> 0 }),
      bundleWith({ ...third, oneTimeKey: batch[4]!.part.oneTimeKey }),
      bundleWith({ ...third, key: batch[4]!.part.key }),
      bundleWith({ ...third, oneTimeKey: undefined }),
      bundleWith({ ...third, oneTimeKey: undefined, proof: [], leafIndex: 0 }),
      bundleWith({ ...lastResortMade, oneTimeKey: third.oneTimeKey }),
      bundleWith({ ...lastResortMade, signature: third.signature }),
      bundleWith({ ...lastResortMade, id: (lastResortMade.id ^ 1) >>> 0 }),
      bundleWith({ ...third, signature: lastResortMade.signature }),
      { ...bundleWith(third), signedPrekey: rotated.part },
      { ...bundleWith(lastResortMade), signedPrekey: rotated.part },
      { ...bundleWith(third), signedPrekey: { ...signed.part, key: third.oneTimeKey! } },
      {
        ...bundleWith(lastResortMade),
        signedPrekey: { ...signed.part, id: (signed.part.id ^ 1) >>> 0 },
      },
      { ...bundleWith(third), signedPrekey: { ...signed.part, id: (signed.part.id ^ 1) >>> 0 } },
    ];
    for (const bundle of refused) expect(await verifies(bundle)).toBe(false);
  });

  it("is refused with keys that no exchange can use, although the device signed them", async () => {
    const zero = new Uint8Array(32);
    const id = createWriter().u32(7).done();
    const sign = (message: Uint8Array): Uint8Array => ed25519Sign(own.signingSecret, message);
    const signedId = createWriter().u32(signed.part.id).done();
    const leafOf = (
      oneTimeKey: Uint8Array,
      key: Uint8Array,
      signedKey = signed.part.key,
    ): KemPrekeyPart => {
      const root = sha256(labelled(LABELS.prekeyLeaf, id, oneTimeKey, key));
      const signature = sign(labelled(LABELS.prekeyBatch, signedId, signedKey, root));
      return { id: 7, key, oneTimeKey, leafIndex: 0, proof: [], signature };
    };
    const good = batch[0]!.part;
    expect(await verifies(bundleWith(leafOf(good.oneTimeKey!, good.key)))).toBe(true);
    expect(await verifies(bundleWith(leafOf(zero, good.key)))).toBe(false);
    const withPrekey = (key: Uint8Array): PrekeyBundle => ({
      ...bundleWith(leafOf(good.oneTimeKey!, good.key, key)),
      signedPrekey: { id: signed.part.id, key },
    });
    expect(await verifies(withPrekey(good.oneTimeKey!))).toBe(true);
    expect(await verifies(withPrekey(zero))).toBe(false);
    const overModulus = Uint8Array.from(good.key);
    overModulus.fill(0xff, 0, 3);
    expect(await verifies(bundleWith(leafOf(good.oneTimeKey!, overModulus)))).toBe(false);
  });

  it("for an invite carries fresh keys and the secrets behind them", async () => {
    const { bundle, secrets } = await createInviteBundle(own, env);
    const again = await createInviteBundle(own, env);
    expect(await verifies(bundle)).toBe(true);
    expect(again.bundle.signedPrekey.key).not.toEqual(bundle.signedPrekey.key);
    expect(again.bundle.kemPrekey.key).not.toEqual(bundle.kemPrekey.key);
    expect(secrets.signedPrekeyId).toBe(bundle.signedPrekey.id);
    expect(secrets.oneTimeId).toBe(bundle.kemPrekey.id);
    expect(await nobleBackend.dhPublic(secrets.signedPrekeySecret)).toEqual(
      bundle.signedPrekey.key,
    );
    expect(await nobleBackend.dhPublic(secrets.oneTimeSecret)).toEqual(bundle.kemPrekey.oneTimeKey);
    expect(await nobleBackend.kemPublic(secrets.kemSeed)).toEqual(bundle.kemPrekey.key);
    expect(secrets.bundleHash).toEqual(bundleHashOf(bundle));
  });
});
