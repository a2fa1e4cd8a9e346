import {
  createInviteBundle,
  createOwnDevice,
  type CryptoBackend,
  LABELS,
  nobleBackend,
  openWay,
  type OwnDevice,
  restoreDevice,
  sealWay,
  type Way,
} from "@sotto/crypto";
import {
  ADDRESS_LIST_BYTES_MAX,
  ADDRESSES_MAX,
  BUNDLE_BYTES_MAX,
  concatBytes,
  createWriter,
  type DeviceCert,
  encodeAddresses,
  encodeBundle,
  SEALED_WAY_BYTES_MAX,
  SEALED_WAY_BYTES_MIN,
  utf8ToBytes,
} from "@sotto/wire";
import { beforeAll, expect, it } from "vitest";
import { hkdfSha256, sha256 } from "#src/primitives.ts";
import { offerOf } from "./samples.ts";
import { asyncBackend, flipBit, seededEnv } from "./support.ts";

const env = seededEnv("way");
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
let alice: OwnDevice;
let bob: OwnDevice;
let way: Way;
let sealed: Uint8Array;
beforeAll(async () => {
  alice = await createOwnDevice(env);
  bob = await createOwnDevice(env);
  way = await wayOf(alice);
  sealed = await sealWay(alice, bob.cert, way, env);
});

async function wayOf(device: OwnDevice): Promise<Way> {
  const { bundle } = await createInviteBundle(device, env);
  return { bundle, addresses: offerOf(bundle).addresses };
}

/** All that is known of a device that only a list has named: everything of its certificate but what vouches for it. */
const asListed = ({ cert }: OwnDevice): DeviceCert => ({
  ...cert,
  issuedAt: 0,
  signature: new Uint8Array(64),
});

const open = (own: OwnDevice, from: OwnDevice, bytes: Uint8Array): Promise<Way | undefined> =>
  openWay(own, from.cert, bytes, nobleBackend);

it("opens at the device it is for, with bundle and address", async () => {
  expect(await open(bob, alice, sealed)).toEqual(way);
  expect(await openWay(bob, alice.cert, sealed, asyncBackend)).toEqual(way);
});

it("opens for no other device, its maker's and its target's accounts included, and from no other", async () => {
  const eve = await createOwnDevice(env);
  const secondOfBob = await restoreDevice(bob.rootSecret, env);
  const secondOfAlice = await restoreDevice(alice.rootSecret, env);
  for (const other of [eve, secondOfBob, secondOfAlice]) {
    expect(await open(other, alice, sealed)).toBeUndefined();
    expect(await open(bob, other, sealed)).toBeUndefined();
  }
});

it("does not open when it is sent back to its maker", async () => {
  expect(await open(alice, bob, sealed)).toBeUndefined();
  expect(await open(alice, alice, sealed)).toBeUndefined();
});

it("is refused with any bit flipped, also of the nonce", async () => {
  for (let bit = 0; bit < sealed.length * 8; bit += 61) {
    expect(await open(bob, alice, flipBit(sealed, bit)), `bit ${bit}`).toBeUndefined();
  }
});

it("is refused when it is cut, grown, empty or made of something else", async () => {
  const lengths = [0, 1, NONCE_BYTES, NONCE_BYTES + TAG_BYTES, SEALED_WAY_BYTES_MIN];
  for (const length of [...lengths, sealed.length - 1]) {
    expect(await open(bob, alice, sealed.subarray(0, length)), `${length}`).toBeUndefined();
  }
  expect(await open(bob, alice, concatBytes(sealed, new Uint8Array(1)))).toBeUndefined();
  for (const length of [SEALED_WAY_BYTES_MIN, sealed.length, SEALED_WAY_BYTES_MAX]) {
    expect(await open(bob, alice, env.entropy(length)), `${length}`).toBeUndefined();
  }
});

it("is refused when what is sealed is none, though it was sealed by its maker", async () => {
  const bundle = encodeBundle(way.bundle);
  const address = encodeAddresses(way.addresses);
  const bodies: Readonly<Record<string, Uint8Array>> = {
    nothing: new Uint8Array(0),
    "a bundle alone": createWriter().block(bundle).done(),
    "an address first": createWriter().block(address).block(bundle).done(),
    "an empty bundle": createWriter().block(new Uint8Array(0)).block(address).done(),
    "no address in the block": createWriter().block(bundle).block(new Uint8Array(0)).done(),
    "a count of no addresses": createWriter().block(bundle).block(Uint8Array.of(0)).done(),
    "an address too many": createWriter()
      .block(bundle)
      .block(encodeAddresses(Array.from({ length: ADDRESSES_MAX + 1 }, () => way.addresses[0]!)))
      .done(),
    "an address at http": createWriter()
      .block(bundle)
      .block(encodeAddresses([{ ...way.addresses[0]!, relayUrl: "http://relay.example" }]))
      .done(),
    "something behind": createWriter().block(bundle).block(address).u8(0).done(),
    "too long a bundle": createWriter()
      .block(new Uint8Array(BUNDLE_BYTES_MAX + 1))
      .block(address)
      .done(),
    "too long an address": createWriter()
      .block(bundle)
      .block(new Uint8Array(ADDRESS_LIST_BYTES_MAX + 1))
      .done(),
  };
  for (const [name, body] of Object.entries(bodies)) {
    expect(await open(bob, alice, await sealBody(alice, body)), name).toBeUndefined();
  }
  const genuine = createWriter().block(bundle).block(address).done();
  expect(await open(bob, alice, await sealBody(alice, genuine))).toEqual(way);
});

it("is refused with another device's bundle, or one whose signatures do not hold", async () => {
  const eve = await createOwnDevice(env);
  const sibling = await restoreDevice(alice.rootSecret, env);
  const { signedPrekey, kemPrekey, cert } = way.bundle;
  const broken = { ...kemPrekey, signature: flipBit(kemPrekey.signature, 3) };
  const other = { ...signedPrekey, key: (await wayOf(eve)).bundle.signedPrekey.key };
  const bad: Readonly<Record<string, Way>> = {
    "a stranger's": await wayOf(eve),
    "another device's of the account": await wayOf(sibling),
    "the receiver's own": await wayOf(bob),
    "the prekeys": { ...way, bundle: { ...way.bundle, kemPrekey: broken } },
    "a signed prekey": { ...way, bundle: { ...way.bundle, signedPrekey: other } },
    "a certificate": {
      ...way,
      bundle: { ...way.bundle, cert: { ...cert, signature: flipBit(cert.signature, 3) } },
    },
  };
  for (const [name, one] of Object.entries(bad)) {
    expect(await open(bob, alice, await sealWay(alice, bob.cert, one, env)), name).toBeUndefined();
  }
});

it("needs of either device only what a list says of it", async () => {
  const forListed = await sealWay(alice, asListed(bob), way, env);
  expect(await open(bob, alice, forListed)).toEqual(way);
  expect(await openWay(bob, asListed(alice), sealed, nobleBackend)).toEqual(way);
  // Everything a list does say is covered.
  const { cert } = bob;
  for (const changed of ["rootKey", "deviceId", "signingKey"] as const) {
    const to = { ...cert, [changed]: flipBit(cert[changed], 9) };
    const other = await sealWay(alice, to, way, env);
    expect(await open(bob, alice, other), changed).toBeUndefined();
    const from = { ...alice.cert, [changed]: flipBit(alice.cert[changed], 9) };
    expect(await openWay(bob, from, sealed, nobleBackend), changed).toBeUndefined();
  }
});

it("could have been made by the one it is for, out of a bundle it was given: it proves nothing", async () => {
  // Nothing of Alice's but what is public; another address, which she never had.
  const address = { ...way.addresses[0]!, relayUrl: "https://forged.example" };
  const body = createWriter()
    .block(encodeBundle(way.bundle))
    .block(encodeAddresses([address]))
    .done();
  const shared = await nobleBackend.dh(bob.dhSecret, alice.cert.dhKey);
  const forged = await sealUnder(keyOf(shared, alice.cert, bob.cert), body);
  expect(await open(bob, alice, forged)).toEqual({ bundle: way.bundle, addresses: [address] });
});

it("asks no engine to sign or to draw anything but a nonce", async () => {
  const drawn: number[] = [];
  const crypto: CryptoBackend = {
    ...nobleBackend,
    sign: () => {
      throw new Error("signed");
    },
  };
  const entropy = (length: number): Uint8Array<ArrayBuffer> => {
    drawn.push(length);
    return env.entropy(length);
  };
  const made = await sealWay(alice, bob.cert, way, { ...env, crypto, entropy });
  expect(drawn).toEqual([NONCE_BYTES]);
  expect(await open(bob, alice, made)).toEqual(way);
});

it("has the size of what is in it, and looks different each time", async () => {
  const size = encodeBundle(way.bundle).length + encodeAddresses(way.addresses).length;
  expect(sealed).toHaveLength(NONCE_BYTES + 2 + 2 + size + TAG_BYTES);
  expect(sealed.length).toBeLessThanOrEqual(SEALED_WAY_BYTES_MAX);
  const again = await sealWay(alice, bob.cert, way, env);
  expect(again.filter((byte, at) => byte === sealed[at]).length).toBeLessThan(40);
});

/** SPEC.md §15, by its text. */
const keyOf = (shared: Uint8Array, from: DeviceCert, to: DeviceCert): Uint8Array => {
  const keys = [from, to].map(({ rootKey, deviceId, signingKey, dhKey }) =>
    sha256(concatBytes(rootKey, deviceId, signingKey, dhKey)),
  );
  return hkdfSha256(shared, new Uint8Array(32), concatBytes(utf8ToBytes(LABELS.way), ...keys), 32);
};

async function sealUnder(key: Uint8Array, body: Uint8Array): Promise<Uint8Array> {
  const nonce = env.entropy(NONCE_BYTES);
  return concatBytes(nonce, await nobleBackend.seal(key, nonce, nonce, body));
}

/** For Bob, whatever it is. */
async function sealBody(from: OwnDevice, body: Uint8Array): Promise<Uint8Array> {
  const shared = await nobleBackend.dh(from.dhSecret, bob.cert.dhKey);
  return sealUnder(keyOf(shared, from.cert, bob.cert), body);
}
