import {
  createInviteBundle,
  createOwnDevice,
  nobleBackend,
  openPlea,
  type OwnDevice,
  PLEA_ENVELOPE_BYTES,
  type Plea,
  sealPlea,
} from "@sotto/crypto";
import { decodeEnvelope, type PleaEnvelope } from "@sotto/wire";
import { beforeAll, expect, it } from "vitest";
import { flipBit, NOW, seededEnv } from "./support.ts";

const env = seededEnv("plea");
let alice: OwnDevice;
let bob: OwnDevice;
let plea: Plea;
let sealed: Uint8Array;
beforeAll(async () => {
  alice = await createOwnDevice(env);
  bob = await createOwnDevice(env);
  plea = { at: NOW, bundle: (await createInviteBundle(alice, env)).bundle };
  sealed = await sealPlea(alice, bob.cert, plea, env);
});

function envelopeOf(bytes: Uint8Array): PleaEnvelope {
  const decoded = decodeEnvelope(bytes);
  if (!decoded.ok || decoded.value.type !== "plea") throw new Error("not a plea");
  return decoded.value;
}

it("opens at the one it is for, with the bundle and the time", async () => {
  expect(sealed).toHaveLength(PLEA_ENVELOPE_BYTES);
  expect(await openPlea(bob, alice.cert, envelopeOf(sealed), nobleBackend)).toEqual(plea);
});

it("opens for nobody else, not from anybody else, and not back at its maker", async () => {
  const eve = await createOwnDevice(env);
  expect(await openPlea(eve, alice.cert, envelopeOf(sealed), nobleBackend)).toBeUndefined();
  expect(await openPlea(bob, eve.cert, envelopeOf(sealed), nobleBackend)).toBeUndefined();
  expect(await openPlea(alice, bob.cert, envelopeOf(sealed), nobleBackend)).toBeUndefined();
});

it("is refused with any bit flipped behind its type", async () => {
  for (let bit = 8; bit < sealed.length * 8; bit += 61) {
    const flipped = envelopeOf(flipBit(sealed, bit));
    expect(await openPlea(bob, alice.cert, flipped, nobleBackend), `bit ${bit}`).toBeUndefined();
  }
});

it("is refused with somebody else's bundle, or one whose signatures do not hold", async () => {
  const eve = await createOwnDevice(env);
  const foreign = { ...plea, bundle: (await createInviteBundle(eve, env)).bundle };
  const { kemPrekey } = plea.bundle;
  const broken = { ...kemPrekey, signature: flipBit(kemPrekey.signature, 3) };
  const unsigned = { ...plea, bundle: { ...plea.bundle, kemPrekey: broken } };
  for (const bad of [foreign, unsigned]) {
    const envelope = envelopeOf(await sealPlea(alice, bob.cert, bad, env));
    expect(await openPlea(bob, alice.cert, envelope, nobleBackend)).toBeUndefined();
  }
});

it("looks different each time, though it says the same", async () => {
  const again = await sealPlea(alice, bob.cert, plea, env);
  const equal = sealed.filter((byte, at) => at > 0 && byte === again[at]).length;
  expect(equal).toBeLessThan(40);
});
