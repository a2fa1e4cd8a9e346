/**
 * Public keys with which every exchange gives zero, in all encodings of the public vectors, through every place of
 * this package that takes a key from somebody else. Everything around the key is genuine, signed by its owner, so
 * that nothing but the key can be the reason; with an honest key in its place the same thing is taken.
 * The relay and its clients: relay/test/zero-exchange.test.ts, packages/transport/test/zero-exchange.test.ts.
 */
import { readFile } from "node:fs/promises";
import {
  accept,
  type CryptoBackend,
  createInviteBundle,
  createOwnDevice,
  decrypt,
  encrypt,
  initiate,
  LABELS,
  nobleBackend,
  openWay,
  type OwnDevice,
  sealWay,
  verifyBundle,
  verifyDeviceCert,
} from "@sotto/crypto";
import { concatBytes, createWriter, deviceCertBody, type PrekeyBundle } from "@sotto/wire";
import { beforeAll, describe, expect, it } from "vitest";
import { isExchangeKey, labelled, sha256 } from "#src/primitives.ts";
import { offerOf } from "./samples.ts";
import { asHello, asMessage, greeted, must, seededEnv, settledPair, text } from "./support.ts";
import { zeroOutputKeys } from "./wycheproof.ts";

const env = seededEnv("zero exchange");
const { crypto } = env;
const zeroKeys = await zeroOutputKeys((file) =>
  readFile(new URL(`../../../test/vectors/${file}`, import.meta.url), "utf8"),
);

const idBytes = (id: number): Uint8Array => createWriter().u32(id).done();

async function withDhKey(device: OwnDevice, dhKey: Uint8Array): Promise<OwnDevice> {
  const cert = { ...device.cert, dhKey };
  const signed = labelled(LABELS.deviceCert, deviceCertBody(cert));
  return {
    ...device,
    cert: { ...cert, signature: await crypto.sign(device.rootSecret, signed) },
  };
}

/** Each place in a bundle that holds an X25519 key, and how its owner puts another one there. */
const PLACES: Readonly<
  Record<string, (bundle: PrekeyBundle, owner: OwnDevice, key: Uint8Array) => Promise<PrekeyBundle>>
> = {
  "the certificate's DH key": async (bundle, owner, key) => ({
    ...bundle,
    cert: (await withDhKey(owner, key)).cert,
  }),
  "the signed prekey": (bundle, owner, key) =>
    signedAnew({ ...bundle, signedPrekey: { ...bundle.signedPrekey, key } }, owner),
  "the one-time key": (bundle, owner, oneTimeKey) =>
    signedAnew({ ...bundle, kemPrekey: { ...bundle.kemPrekey, oneTimeKey } }, owner),
};

/** With the signature over its prekeys as they are now, in a batch of one. */
async function signedAnew(bundle: PrekeyBundle, owner: OwnDevice): Promise<PrekeyBundle> {
  const { signedPrekey, kemPrekey } = bundle;
  const { id, key, oneTimeKey = new Uint8Array(0) } = kemPrekey;
  const root = sha256(labelled(LABELS.prekeyLeaf, idBytes(id), oneTimeKey, key));
  const signed = labelled(LABELS.prekeyBatch, idBytes(signedPrekey.id), signedPrekey.key, root);
  const signature = await crypto.sign(owner.signingSecret, signed);
  return { ...bundle, kemPrekey: { ...kemPrekey, signature } };
}

it("the vectors have 14 of them", async () => {
  expect(zeroKeys).toHaveLength(14);
  for (const key of zeroKeys) {
    expect(isExchangeKey(key)).toBe(false);
    await expect(async () => nobleBackend.dh(new Uint8Array(32).fill(8), key)).rejects.toThrow();
  }
});

describe.each(Object.entries(PLACES))("a bundle with one as %s", (_, replace) => {
  let bob: OwnDevice;
  let bundle: PrekeyBundle;
  beforeAll(async () => {
    bob = await createOwnDevice(env);
    ({ bundle } = await createInviteBundle(bob, env));
  });

  it("is refused, before anything is drawn or exchanged", async () => {
    const alice = await createOwnDevice(env);
    const before = structuredClone({ alice, bob });
    for (const key of zeroKeys) {
      const forged = await replace(bundle, bob, key);
      expect(await verifyBundle(forged, crypto)).toBe(false);
      const exchanges = countingExchanges();
      const entropy = (): never => {
        throw new Error("drew randomness");
      };
      expect(await initiate(alice, forged, { ...env, entropy, crypto: exchanges.crypto })).toBe(
        undefined,
      );
      expect(exchanges.count()).toBe(0);
    }
    expect({ alice, bob }).toEqual(before);
    expect(await initiate(alice, bundle, env)).toBeDefined();
  });

  it("with an honest key there is taken", async () => {
    const honest = await crypto.dhPublic(env.entropy(32));
    expect(await verifyBundle(await replace(bundle, bob, honest), crypto)).toBe(true);
  });
});

it("a certificate with one is refused by itself too", async () => {
  const device = await createOwnDevice(env);
  for (const key of zeroKeys) {
    const { cert } = await withDhKey(device, key);
    expect(await verifyDeviceCert(cert, crypto)).toBe(false);
  }
});

/** type, version, suite, three ids (SPEC.md §4.1). */
const EPHEMERAL_AT = 15;

describe("a HELLO", () => {
  it("with one as ephemeral key is refused before any exchange, and the genuine one is still accepted", async () => {
    const { bob, secrets, hello, envelope } = await greeted("zero exchange, ephemeral");
    const before = structuredClone({ bob, secrets });
    for (const key of zeroKeys) {
      const forged = asHello(
        concatBytes(envelope.slice(0, EPHEMERAL_AT), key, envelope.slice(EPHEMERAL_AT + 32)),
      );
      expect(forged.ephemeralKey).toEqual(key);
      const exchanges = countingExchanges();
      expect(await accept(bob, secrets, forged, { ...env, crypto: exchanges.crypto })).toEqual({
        ok: false,
        reason: "unknown-session",
      });
      expect(exchanges.count()).toBe(0);
    }
    expect({ bob, secrets }).toEqual(before);
    expect(must(await accept(bob, secrets, hello, env)).content).toEqual(text("hello"));
  });

  it("from a device whose certificate holds one is refused, and one from an honest device accepted", async () => {
    const { alice, bob, bundle, secrets } = await greeted("zero exchange, identity");
    const before = structuredClone({ bob, secrets });
    const helloFrom = async (device: OwnDevice) => {
      const initiated = await initiate(device, bundle, env);
      if (initiated === undefined) throw new Error("bundle refused");
      return asHello((await encrypt(initiated.session, text("hi"), env)).envelope);
    };
    for (const key of zeroKeys) {
      const hello = await helloFrom(await withDhKey(alice, key));
      expect(await accept(bob, secrets, hello, env)).toEqual({
        ok: false,
        reason: "unknown-session",
      });
    }
    expect({ bob, secrets }).toEqual(before);
    expect((await accept(bob, secrets, await helloFrom(alice), env)).ok).toBe(true);
  });

  it("with one as first ratchet key is refused", async () => {
    const { bob, secrets, fresh, hello } = await greeted("zero exchange, first ratchet key");
    const before = structuredClone({ bob, secrets });
    for (const key of zeroKeys) {
      const sealed = await encrypt({ ...fresh, ownRatchetKey: key }, text("hi"), env);
      expect(await accept(bob, secrets, asHello(sealed.envelope), env)).toEqual({
        ok: false,
        reason: "malformed",
      });
    }
    expect({ bob, secrets }).toEqual(before);
    expect((await accept(bob, secrets, hello, env)).ok).toBe(true);
  });
});

it("a way from a device with one is refused before any exchange, and one from an honest device opens", async () => {
  const [alice, bob] = [await createOwnDevice(env), await createOwnDevice(env)];
  const { bundle } = await createInviteBundle(alice, env);
  const way = { bundle, addresses: offerOf(bundle).addresses };
  const sealed = await sealWay(alice, bob.cert, way, env);
  for (const key of zeroKeys) {
    const { cert } = await withDhKey(alice, key);
    const exchanges = countingExchanges();
    expect(await openWay(bob, cert, sealed, exchanges.crypto)).toBeUndefined();
    expect(exchanges.count()).toBe(0);
  }
  expect(await openWay(bob, alice.cert, sealed, crypto)).toEqual(way);
});

it("a ratchet header with one is refused before any exchange, and the genuine message still opens", async () => {
  const { a, b } = await settledPair("zero exchange, ratchet");
  const before = structuredClone(b);
  expect(a.stepDue).toBe(true);
  const genuine = await encrypt(a, text("genuine"), env);
  for (const key of zeroKeys) {
    const forged = await encrypt({ ...genuine.session, ownRatchetKey: key }, text("forged"), env);
    const exchanges = countingExchanges();
    expect(
      await decrypt(b, asMessage(forged.envelope), { ...env, crypto: exchanges.crypto }),
    ).toEqual({ ok: false, reason: "malformed" });
    expect(exchanges.count()).toBe(0);
  }
  expect(b).toEqual(before);
  expect(must(await decrypt(b, asMessage(genuine.envelope), env)).content).toEqual(text("genuine"));
});

/** The reference, counting X25519. */
function countingExchanges(): { readonly crypto: CryptoBackend; readonly count: () => number } {
  let count = 0;
  return {
    count: () => count,
    crypto: {
      ...nobleBackend,
      dh(secret, remotePublic) {
        count++;
        return nobleBackend.dh(secret, remotePublic);
      },
    },
  };
}
