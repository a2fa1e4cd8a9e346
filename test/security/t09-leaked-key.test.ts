/**
 * T-09: what one leaked key lets a thief do, and what not. As in X3DH, a leaked long-term key lets nobody pose as others
 * to its owner; a leaked signed prekey does, until its owner deletes it. Both directions are tested.
 */
import {
  accept,
  createInviteBundle,
  createOwnDevice,
  type CryptoBackend,
  decrypt,
  encrypt,
  initiate,
  nobleBackend,
  openPlea,
  type OwnDevice,
  sealPlea,
  type Session,
} from "@sotto/crypto";
import {
  bytesToHex,
  decodeContent,
  decodeEnvelope,
  type DeviceCert,
  type PleaEnvelope,
  type PrekeyBundle,
} from "@sotto/wire";
import { beforeAll, describe, expect, it } from "vitest";
import { deliver, paired, reasons, settle } from "../../packages/protocol/test/fixture.ts";
import { REPAIR_PAUSE_MS } from "@sotto/protocol";
import {
  asHello,
  asMessage,
  must,
  NOW,
  seededEntropy,
  seededEnv,
  settledPair,
  text,
} from "../../packages/crypto/test/support.ts";

const env = seededEnv("leaked key");
const NOTHING = new Uint8Array(32);

interface World {
  readonly alice: OwnDevice;
  readonly bob: OwnDevice;
  readonly ofAlice: Awaited<ReturnType<typeof createInviteBundle>>;
  readonly ofBob: Awaited<ReturnType<typeof createInviteBundle>>;
}
let world: World;
beforeAll(async () => {
  const alice = await createOwnDevice(env);
  const bob = await createOwnDevice(env);
  world = {
    alice,
    bob,
    ofAlice: await createInviteBundle(alice, env),
    ofBob: await createInviteBundle(bob, env),
  };
});

/** The thief knows some secrets; every exchange one of whose ends it has is known to it, all others are a guess. */
function thiefBackend(...known: readonly Uint8Array[]): CryptoBackend {
  const byPublic = new Map(
    known.map((secret) => [bytesToHex(nobleBackend.dhPublic(secret) as Uint8Array), secret]),
  );
  return {
    ...nobleBackend,
    dh(secret, remote) {
      const claimed = claims.get(secret);
      if (claimed === undefined) return nobleBackend.dh(secret, remote);
      const other = byPublic.get(bytesToHex(remote));
      return other === undefined ? env.entropy(32) : nobleBackend.dh(other, claimed);
    },
  };
}

/** Stands for a DH secret that the thief does not have, and the public key it is behind. */
const claims = new WeakMap<Uint8Array, Uint8Array>();

function posingAs(cert: DeviceCert): OwnDevice {
  const dhSecret = new Uint8Array(32);
  claims.set(dhSecret, cert.dhKey);
  return { rootSecret: NOTHING, signingSecret: NOTHING, dhSecret, cert };
}

/** A first message in the name of `cert`, by somebody who has `known` and no more. */
async function helloAs(
  cert: DeviceCert,
  bundle: PrekeyBundle,
  ...known: readonly Uint8Array[]
): Promise<Uint8Array> {
  const thief = { ...env, crypto: thiefBackend(...known) };
  const initiated = await initiate(posingAs(cert), bundle, thief);
  if (initiated === undefined) throw new Error("bundle refused");
  return (await encrypt(initiated.session, text("it is me"), env)).envelope;
}

describe("with Alice's long-term keys, all three of them, a thief", () => {
  const secretsOf = ({ rootSecret, signingSecret, dhSecret }: OwnDevice) => [
    rootSecret,
    signingSecret,
    dhSecret,
  ];

  it("cannot begin a conversation with Alice as Bob", async () => {
    const { alice, bob, ofAlice } = world;
    const hello = await helloAs(bob.cert, ofAlice.bundle, ...secretsOf(alice));
    expect(await accept(alice, ofAlice.secrets, asHello(hello), env)).toEqual({
      ok: false,
      reason: "unknown-session",
    });
  });

  it("cannot answer as Bob to a conversation that Alice begins", async () => {
    const { alice, bob, ofBob } = world;
    const initiated = await initiate(alice, ofBob.bundle, env);
    if (initiated === undefined) throw new Error("bundle refused");
    const { envelope } = await encrypt(initiated.session, text("hello Bob"), env);
    // Bob's place with every secret of his unknown, and again with the thief's own prekeys behind Bob's ids.
    const guessed = {
      ...ofBob.secrets,
      signedPrekeySecret: env.entropy(32),
      oneTimeSecret: env.entropy(32),
      kemSeed: env.entropy(64),
    };
    const backend = thiefBackend(...secretsOf(alice));
    for (const crypto of [nobleBackend, backend]) {
      const answer = await accept(posingAs(bob.cert), guessed, asHello(envelope), {
        ...env,
        crypto,
      });
      expect(answer.ok).toBe(false);
    }
    expect((await accept(bob, ofBob.secrets, asHello(envelope), env)).ok).toBe(true);
  });

  it("opens no message of a session that exists, and seals none that either side takes", async () => {
    const { alice, a, b } = await settledPair("leaked long-term");
    const fromAlice = await encrypt(a, text("from Alice"), env);
    const fromBob = await encrypt(b, text("from Bob"), env);
    for (const [session, sealed] of [
      [b, fromAlice],
      [a, fromBob],
    ] as const) {
      const guess = withKeys(session, () => alice.dhSecret);
      expect((await decrypt(guess, asMessage(sealed.envelope), env)).ok).toBe(false);
      const { envelope } = await encrypt(
        { ...guess, sending: guess.sending ?? { headerKey: NOTHING, chainKey: NOTHING, next: 0 } },
        text("forged"),
        env,
      );
      expect((await decrypt(a, asMessage(envelope), env)).ok).toBe(false);
      expect((await decrypt(b, asMessage(envelope), env)).ok).toBe(false);
    }
  });

  it("poses as Alice to others: what the keys of an identity are for", async () => {
    const { alice, bob, ofBob } = world;
    const thief: OwnDevice = { ...alice, rootSecret: NOTHING, signingSecret: NOTHING };
    const initiated = await initiate(thief, ofBob.bundle, env);
    if (initiated === undefined) throw new Error("bundle refused");
    const { envelope } = await encrypt(initiated.session, text("it is me"), env);
    const accepted = must(await accept(bob, ofBob.secrets, asHello(envelope), env));
    expect(accepted.cert).toEqual(alice.cert);
  });

  it("makes Alice a plea in Bob's name, with an old bundle of Bob's but none of its own", async () => {
    const { alice, bob, ofBob, ofAlice } = world;
    const thief = { ...env, crypto: thiefBackend(alice.dhSecret) };
    const plead = async (bundle: PrekeyBundle) => {
      const sealed = await sealPlea(posingAs(bob.cert), alice.cert, { at: NOW, bundle }, thief);
      return openPlea(alice, bob.cert, asPlea(sealed), nobleBackend);
    };
    // crypto/SPEC.md §14: what comes of it is a HELLO of Alice's that only the real Bob could answer.
    expect((await plead(ofBob.bundle))?.bundle).toEqual(ofBob.bundle);
    const eve = await createInviteBundle(await createOwnDevice(env), env);
    for (const bundle of [
      eve.bundle,
      { ...eve.bundle, cert: bob.cert },
      { ...ofBob.bundle, signedPrekey: eve.bundle.signedPrekey },
      { ...ofBob.bundle, kemPrekey: eve.bundle.kemPrekey },
      ofAlice.bundle,
    ]) {
      expect(await plead(bundle)).toBeUndefined();
    }
  });
});

describe("with Alice's long-term keys of long ago and her way to Bob's queue, an active thief", () => {
  it("reads what Bob writes from its plea on, though the ratchet turned since, until Alice's device is there", async () => {
    const { alice, bob } = await paired();
    const { rootSecret, signingSecret, dhSecret, cert } = alice.slice.self;
    const stolen: OwnDevice = { rootSecret, signingSecret, dhSecret, cert };
    const copied = alice.slice.conversation!;
    for (const [from, what] of [
      [alice, "there"],
      [bob, "and back"],
    ] as const) {
      await from.send(what);
      await settle(alice, bob);
    }
    await bob.send("while Alice is away");
    /** What Bob's device handed to the relay, which says that it has it. */
    const taken = async (): Promise<readonly Uint8Array[]> => {
      const all = bob.toRelay.splice(0);
      for (const { id } of all) {
        await bob.feed({ kind: "transmitted", id, path: "relay", outcome: "ok" });
      }
      return all.map(({ blob }) => blob);
    };
    const passive = await taken();
    const { peer } = copied;
    if (peer.state !== "open") throw new Error("not open");
    for (const session of peer.sessions) {
      for (const blob of passive) {
        expect((await decrypt(session, asMessage(blob), env)).ok).toBe(false);
      }
    }

    const now = bob.now + REPAIR_PAUSE_MS;
    bob.now = now;
    const { bundle, secrets } = await createInviteBundle(stolen, { ...env, now });
    const bobCert = bob.slice.self.cert;
    const plea = await sealPlea(stolen, bobCert, { at: now, bundle }, env);
    expect(reasons(await deliver(bob, plea))).toEqual([]);
    const said: string[] = [];
    const hellos = await taken();
    const [first, ...rest] = hellos;
    const accepted = must(await accept(stolen, secrets, asHello(first!), { ...env, now }));
    let { session } = accepted;
    const read = (content: Uint8Array): void => {
      const decoded = decodeContent(content);
      if (decoded.ok && decoded.value.kind === "text") said.push(decoded.value.text);
    };
    read(accepted.content);
    for (const blob of rest) {
      const opened = must(await decrypt(session, asHello(blob).message, env));
      ({ session } = opened);
      read(opened.content);
    }
    // What crypto/SPEC.md §14 says of it: who has the long-term keys is this device to whoever it asks.
    expect(said).toContain("while Alice is away");

    // None of that opens for Alice's own device, which begins anew in turn.
    alice.now = bob.now;
    for (const blob of hellos) {
      expect(reasons(await deliver(alice, blob))).toEqual(["unexpected"]);
    }
    for (let round = 0; round < 4; round++) {
      alice.now += 2 * REPAIR_PAUSE_MS;
      bob.now = alice.now;
      await settle(alice, bob);
    }
    expect(alice.shown).toContain("while Alice is away");
    await bob.send("for Alice alone");
    for (const { blob } of bob.toRelay) {
      expect((await decrypt(session, asMessage(blob), env)).ok).toBe(false);
    }
    await settle(alice, bob);
    expect(alice.shown).toContain("for Alice alone");
  });
});

describe("with one prekey secret of Alice's, a thief", () => {
  it("begins as anybody when it is the signed prekey's: its limit is that Alice deletes it when it is used", async () => {
    const { alice, bob, ofAlice } = world;
    const hello = await helloAs(bob.cert, ofAlice.bundle, ofAlice.secrets.signedPrekeySecret);
    const accepted = must(await accept(alice, ofAlice.secrets, asHello(hello), env));
    expect(accepted.cert).toEqual(bob.cert);
    // The next bundle has another one, and there is no way on from the first.
    const next = await createInviteBundle(alice, env);
    const again = await helloAs(bob.cert, next.bundle, ofAlice.secrets.signedPrekeySecret);
    expect((await accept(alice, next.secrets, asHello(again), env)).ok).toBe(false);
  });

  it("begins as nobody else when it is a one-time key's", async () => {
    const { alice, bob, ofAlice } = world;
    const hello = await helloAs(bob.cert, ofAlice.bundle, ofAlice.secrets.oneTimeSecret);
    expect((await accept(alice, ofAlice.secrets, asHello(hello), env)).ok).toBe(false);
  });

  it.each(["signedPrekeySecret", "oneTimeSecret", "kemSeed"] as const)(
    "opens no HELLO when it is the %s alone",
    async (leaked) => {
      const { alice, bob, ofAlice } = world;
      const initiated = await initiate(bob, ofAlice.bundle, env);
      if (initiated === undefined) throw new Error("bundle refused");
      const { envelope } = await encrypt(initiated.session, text("hello"), env);
      const partial = {
        ...ofAlice.secrets,
        signedPrekeySecret: env.entropy(32),
        oneTimeSecret: env.entropy(32),
        kemSeed: env.entropy(64),
        [leaked]: ofAlice.secrets[leaked],
      };
      const eve: OwnDevice = { ...alice, dhSecret: env.entropy(32) };
      expect((await accept(eve, partial, asHello(envelope), env)).ok).toBe(false);
    },
  );
});

describe("with the randomness of one handshake of Alice's, a thief", () => {
  it("reads who greets whom, but neither opens nor makes a message in that session or another", async () => {
    const { alice, bob, ofBob } = world;
    const drawn = seededEntropy("one ephemeral");
    const initiated = await initiate(alice, ofBob.bundle, { ...env, entropy: drawn });
    if (initiated === undefined) throw new Error("bundle refused");
    const { envelope } = await encrypt(initiated.session, text("hello"), env);
    // The same ephemeral key, the same encapsulation and the same first ratchet key; not Alice's DH secret.
    const replayed = seededEntropy("one ephemeral");
    const thief = { ...env, entropy: replayed, crypto: thiefBackend() };
    const posed = await initiate(posingAs(alice.cert), ofBob.bundle, thief);
    if (posed === undefined) throw new Error("bundle refused");
    // Threema's first attack: from here on one leaked ephemeral made the thief Alice for ever.
    expect(posed.session.helloHeader).toEqual(initiated.session.helloHeader);
    expect(posed.session.rootKey).not.toEqual(initiated.session.rootKey);
    const forged = await encrypt(posed.session, text("it is me"), env);
    expect((await accept(bob, ofBob.secrets, asHello(forged.envelope), env)).ok).toBe(false);
    const mirror = withReceiving(posed.session);
    expect((await decrypt(mirror, asMessage(envelope), env)).ok).toBe(false);
    const own = withReceiving(initiated.session);
    expect((await decrypt(own, asMessage(envelope), env)).ok).toBe(true);
  });

  it("gets nothing from one ratchet secret without the root it was mixed into", async () => {
    const { a, b } = await settledPair("one ratchet secret");
    const answer = await encrypt(b, text("answer"), env);
    const { ownRatchetSecret } = a;
    const guess = { ...withKeys(a, () => env.entropy(32)), ownRatchetSecret };
    expect((await decrypt(guess, asMessage(answer.envelope), env)).ok).toBe(false);
    // Nor does the root without the secret: it is the two together that make a turn.
    const turned = (await encrypt((await passed(a, b)).b, text("turn"), env)).envelope;
    const { a: waiting } = await passed(a, b);
    const rootOnly = { ...waiting, ownRatchetSecret: env.entropy(32) };
    expect((await decrypt(rootOnly, asMessage(turned), env)).ok).toBe(false);
    expect((await decrypt(waiting, asMessage(turned), env)).ok).toBe(true);
  });
});

/** Alice has written once more, and Bob has it. The same each time. */
async function passed(
  a: Session,
  b: Session,
): Promise<{ readonly a: Session; readonly b: Session }> {
  const same = seededEnv("passed");
  const sealed = await encrypt(a, text("once more"), same);
  return {
    a: sealed.session,
    b: must(await decrypt(b, asMessage(sealed.envelope), same)).session,
  };
}

/** The public parts of a session, and `key` for every symmetric one. */
function withKeys(session: Session, key: () => Uint8Array): Session {
  const chain = (one: Session["sending"]) =>
    one === undefined ? undefined : { headerKey: key(), chainKey: key(), next: one.next };
  return {
    ...session,
    rootKey: key(),
    ownRatchetSecret: key(),
    sending: chain(session.sending),
    receiving: chain(session.receiving),
    nextSendingHeaderKey: key(),
    nextReceivingHeaderKey: key(),
    skipped: [],
  };
}

/** An initiator's own first chain, to be read. */
const withReceiving = (session: Session): Session => ({ ...session, receiving: session.sending });

function asPlea(bytes: Uint8Array): PleaEnvelope {
  const decoded = decodeEnvelope(bytes);
  if (!decoded.ok || decoded.value.type !== "plea") throw new Error("no plea");
  return decoded.value;
}
