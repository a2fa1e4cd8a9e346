import {
  createInviteBundle,
  createOwnDevice,
  createPrekeyBatch,
  createSignedPrekey,
  deriveInviteKeys,
  nobleBackend,
  openInviteOffer,
  PREKEY_BATCH_MAX,
  SEALED_OFFER_BYTES,
  sealInviteOffer,
} from "@sotto/crypto";
import {
  concatBytes,
  ADDRESSES_MAX,
  encodeInviteOffer,
  utf8ToBytes,
  INVITE_BLOB_BYTES_MAX,
  isBucket,
  LINK_ID_BYTES,
  NAME_CHARACTERS_MAX,
  RELAY_URL_BYTES_MAX,
} from "@sotto/wire";
import { describe, expect, it } from "vitest";
import { referenceOpenOffer } from "./reference.ts";
import { offerOf } from "./samples.ts";
import { flipBit, seededEnv } from "./support.ts";

const env = seededEnv("invite");
const own = await createOwnDevice(env);
const { bundle } = await createInviteBundle(own, env);
const offer = offerOf(bundle);
const seed = env.entropy(16);
const blob = await sealInviteOffer(seed, offer, env);
const open = (with_: Uint8Array, bytes: Uint8Array) => openInviteOffer(with_, bytes, nobleBackend);

describe("an invite's keys", () => {
  it("are a link id and a link key that only the seed gives", () => {
    const { linkId, linkKey } = deriveInviteKeys(seed);
    expect(linkId).toHaveLength(LINK_ID_BYTES);
    expect(linkKey).toHaveLength(32);
    expect(deriveInviteKeys(seed)).toEqual({ linkId, linkKey });
    for (let bit = 0; bit < 128; bit += 5) {
      const other = deriveInviteKeys(flipBit(seed, bit));
      expect(other.linkId).not.toEqual(linkId);
      expect(other.linkKey).not.toEqual(linkKey);
    }
  });
});

describe("a sealed offer", () => {
  it("has the one size outside of the set of envelopes', whatever is in it", async () => {
    const longer = { ...offer, name: "x".repeat(NAME_CHARACTERS_MAX) };
    const sizes = [blob.length, (await sealInviteOffer(seed, longer, env)).length];
    expect(sizes).toEqual([3_072, 3_072]);
    expect(isBucket(3_072)).toBe(false);
  });

  it("opens with its seed, and OpenSSL opens it too", async () => {
    expect(await open(seed, blob)).toEqual(offer);
    expect(referenceOpenOffer(seed, blob).includes(Buffer.from(bundle.cert.rootKey))).toBe(true);
  });

  it("has one size below the relay's limit, from the smallest content to the largest", async () => {
    const signed = await createSignedPrekey(env);
    const batch = await createPrekeyBatch(own, signed.part, PREKEY_BATCH_MAX, env);
    const largest = {
      bundle: { cert: own.cert, signedPrekey: signed.part, kemPrekey: batch[63]!.part },
      addresses: Array.from({ length: ADDRESSES_MAX }, () => ({
        ...offer.addresses[0]!,
        relayUrl: `https://${"a".repeat(RELAY_URL_BYTES_MAX - 8)}`,
      })),
      name: "🦊".repeat(NAME_CHARACTERS_MAX),
    };
    for (const one of [offer, { ...offer, name: "A" }, largest]) {
      const sealed = await sealInviteOffer(seed, one, env);
      expect(sealed).toHaveLength(SEALED_OFFER_BYTES);
      expect(await open(seed, sealed)).toEqual(one);
    }
    expect(SEALED_OFFER_BYTES).toBeLessThanOrEqual(INVITE_BLOB_BYTES_MAX);
  });

  it("refuses to seal what does not fit instead of growing", async () => {
    const proof = Array.from({ length: 60 }, () => new Uint8Array(32));
    const huge = { ...offer, bundle: { ...bundle, kemPrekey: { ...bundle.kemPrekey, proof } } };
    const { length } = encodeInviteOffer(huge);
    await expect(sealInviteOffer(seed, huge, env)).rejects.toThrow(
      new RangeError(`offer of ${length} bytes`),
    );
  });

  it("does not open with any other seed", async () => {
    for (let bit = 0; bit < 128; bit++) {
      expect(await open(flipBit(seed, bit), blob)).toBeUndefined();
    }
    expect(await open(new Uint8Array(16), blob)).toBeUndefined();
  });

  it("does not open when any bit is flipped, sampled, or at another size", async () => {
    for (let bit = 0; bit < blob.length * 8; bit += 61) {
      expect(await open(seed, flipBit(blob, bit))).toBeUndefined();
    }
    for (const other of [
      new Uint8Array(0),
      blob.slice(1),
      blob.slice(0, -1),
      Uint8Array.of(...blob, 0),
    ]) {
      expect(await open(seed, other)).toBeUndefined();
    }
  });

  it("with padding that is not zero, a wrong length or a foreign link id is refused", async () => {
    const { linkId, linkKey } = deriveInviteKeys(seed);
    const encoded = encodeInviteOffer(offer);
    const sealBody = async (
      change: (body: Uint8Array) => void,
      aad = concatBytes(utf8ToBytes("sotto/1 invite offer"), Uint8Array.of(0), linkId),
    ): Promise<Uint8Array> => {
      const body = new Uint8Array(SEALED_OFFER_BYTES - 28);
      body.set([encoded.length >> 8, encoded.length & 0xff, ...encoded]);
      change(body);
      const nonce = env.entropy(12);
      return concatBytes(nonce, await nobleBackend.seal(linkKey, nonce, aad, body));
    };
    expect(await open(seed, await sealBody(() => undefined))).toEqual(offer);
    const refused = [
      await sealBody((body) => body.fill(1, -1)),
      await sealBody((body) => body.set([0xff, 0xff])),
      await sealBody((body) => body.set([0, 0])),
      await sealBody(() => undefined, Uint8Array.from(linkId)),
    ];
    for (const sealed of refused) expect(await open(seed, sealed)).toBeUndefined();
  });

  it("differs in every sealing", async () => {
    const again = await sealInviteOffer(seed, offer, env);
    expect(again.slice(0, 12)).not.toEqual(blob.slice(0, 12));
    expect(again.slice(12, 44)).not.toEqual(blob.slice(12, 44));
  });

  it("shows nothing of what is in it", () => {
    const haystack = String(blob);
    for (const needle of [
      bundle.cert.rootKey,
      bundle.signedPrekey.key,
      offer.addresses[1]!.firstUse,
    ]) {
      expect(haystack).not.toContain(String(needle.slice(0, 8)));
    }
  });
});
