import {
  accept,
  bundleHashOf,
  createInviteBundle,
  createLastResort,
  createOwnDevice,
  createSignedPrekey,
  type CryptoEnv,
  decrypt,
  encrypt,
  helloKeyOf,
  initiate,
  type LastResortSecrets,
  type OwnDevice,
  type PrekeySecrets,
} from "@sotto/crypto";
import {
  bucketFor,
  CONTENT_BYTES_MAX,
  decodeEnvelope,
  HELLO_HEADER_BYTES,
  type HelloEnvelope,
  isBucket,
  NO_PREKEY_ID,
} from "@sotto/wire";
import { beforeAll, describe, expect, it } from "vitest";
import {
  asHello,
  asMessage,
  asyncBackend,
  flipBit,
  greeted,
  must,
  numbered,
  sealAll,
  seededEntropy,
  seededEnv,
  text,
} from "./support.ts";

const env = seededEnv("handshake");
let world: Awaited<ReturnType<typeof greeted>>;
beforeAll(async () => {
  world = await greeted("handshake");
});

/** Bob publishes a bundle without a one-time pair. */
async function lastResortOf(
  bob: OwnDevice,
  with_: CryptoEnv,
): Promise<{
  bundle: Parameters<typeof initiate>[1];
  secrets: LastResortSecrets;
}> {
  const signed = await createSignedPrekey(with_);
  const { kemSeed, part } = await createLastResort(bob, signed.part, with_);
  const bundle = { cert: bob.cert, signedPrekey: signed.part, kemPrekey: part };
  const secrets = {
    signedPrekeyId: signed.part.id,
    signedPrekeySecret: signed.secret,
    oneTimeId: part.id,
    oneTimeSecret: undefined,
    kemSeed,
    bundleHash: bundleHashOf(bundle),
  };
  return { bundle, secrets };
}

describe("a handshake", () => {
  it("gives the responder the content, the initiator's certificate and the same session", async () => {
    const accepted = must(await accept(world.bob, world.secrets, world.hello, env));
    expect(accepted.content).toEqual(text("hello"));
    expect(accepted.cert).toEqual(world.alice.cert);
    expect(accepted.session.id).toEqual(world.a.id);
    expect(accepted.session.id).toHaveLength(16);
    expect(accepted.session.transcript).toEqual(world.a.transcript);
    expect(accepted.session.ownSignalKey).toEqual(world.a.remoteSignalKey);
    expect(accepted.session.remoteSignalKey).toEqual(world.a.ownSignalKey);
    expect(accepted.session.ownSignalKey).not.toEqual(accepted.session.remoteSignalKey);
    expect([world.a.initiator, accepted.session.initiator]).toEqual([true, false]);
  });

  it("lets both sides write, and the HELLO goes away with the first answer", async () => {
    let { a } = world;
    let { session: b } = must(await accept(world.bob, world.secrets, world.hello, env));
    const second = await encrypt(a, text("second"), env);
    expect(asHello(second.envelope).header).toEqual(world.hello.header);
    a = second.session;
    const atBob = must(await decrypt(b, asMessage(second.envelope), env));
    expect(atBob.content).toEqual(text("second"));
    const answer = await encrypt(atBob.session, text("answer"), env);
    b = answer.session;
    expect(decodeEnvelope(answer.envelope)).toMatchObject({ value: { type: "message" } });
    const atAlice = must(await decrypt(a, asMessage(answer.envelope), env));
    expect(atAlice.content).toEqual(text("answer"));
    expect(atAlice.session.helloHeader).toBeUndefined();
    const third = await encrypt(atAlice.session, text("third"), env);
    expect(decodeEnvelope(third.envelope)).toMatchObject({ value: { type: "message" } });
    expect(must(await decrypt(b, asMessage(third.envelope), env)).content).toEqual(text("third"));
  });

  it("works through the last-resort prekey, whose HELLO names no one-time key", async () => {
    const bob = await createOwnDevice(env);
    const { bundle, secrets } = await lastResortOf(bob, env);
    const initiated = (await initiate(world.alice, bundle, env))!;
    const sealed = await encrypt(initiated.session, text("no one-time key"), env);
    const hello = asHello(sealed.envelope);
    expect(hello.oneTimePrekeyId).toBe(NO_PREKEY_ID);
    expect(hello.kemPrekeyId).toBe(bundle.kemPrekey.id);
    const accepted = must(await accept(bob, secrets, hello, env));
    expect(accepted.content).toEqual(text("no one-time key"));
    const answer = await encrypt(accepted.session, text("answer"), env);
    const back = must(await decrypt(sealed.session, asMessage(answer.envelope), env));
    expect(back.content).toEqual(text("answer"));
  });

  it("never falls back from a one-time pair to the last resort or the other way round", async () => {
    const bob = await createOwnDevice(env);
    const invite = await createInviteBundle(bob, env);
    const last = await lastResortOf(bob, env);
    const helloTo = async (bundle: Parameters<typeof initiate>[1]): Promise<HelloEnvelope> => {
      const initiated = (await initiate(world.alice, bundle, env))!;
      return asHello((await encrypt(initiated.session, text("x"), env)).envelope);
    };
    const stripped: LastResortSecrets = { ...invite.secrets, oneTimeSecret: undefined };
    const added: PrekeySecrets = { ...last.secrets, oneTimeSecret: env.entropy(32) };
    const refused = { ok: false, reason: "unknown-session" };
    expect(await accept(bob, stripped, await helloTo(invite.bundle), env)).toEqual(refused);
    expect(await accept(bob, added, await helloTo(last.bundle), env)).toEqual(refused);
  });

  it("accepts the initiator's later message first, then the earlier ones", async () => {
    const sealed = await sealAll(world.fresh, numbered(4), seededEnv("later first"));
    const [zero, one, two, three] = sealed.envelopes.map(asHello);
    const accepted = must(await accept(world.bob, world.secrets, two!, env));
    expect(accepted.content).toEqual(text("message 2"));
    let { session } = accepted;
    for (const [hello, content] of [
      [zero!, "message 0"],
      [three!, "message 3"],
      [one!, "message 1"],
    ] as const) {
      const opened = must(await decrypt(session, hello.message, env));
      expect(opened.content).toEqual(text(content));
      ({ session } = opened);
    }
  });

  it("runs on a back-end that answers with promises", async () => {
    const slow = seededEnv("promises", asyncBackend);
    const bob = await createOwnDevice(slow);
    const { bundle, secrets } = await createInviteBundle(bob, slow);
    const initiated = (await initiate(world.alice, bundle, slow))!;
    const sealed = await encrypt(initiated.session, text("slowly"), slow);
    expect(must(await accept(bob, secrets, asHello(sealed.envelope), slow)).content).toEqual(
      text("slowly"),
    );
  });

  it("differs in every secret when it is made twice from one bundle", async () => {
    const [one, two] = [
      (await initiate(world.alice, world.bundle, seededEnv("one")))!.session,
      (await initiate(world.alice, world.bundle, seededEnv("two")))!.session,
    ];
    for (const field of [
      "id",
      "transcript",
      "rootKey",
      "ownSignalKey",
      "remoteSignalKey",
    ] as const) {
      expect(one[field]).not.toEqual(two[field]);
    }
    const hello = asHello((await encrypt(one, text("x"), env)).envelope);
    expect(helloKeyOf(hello)).not.toEqual(helloKeyOf(world.hello));
    expect(helloKeyOf(hello)).toHaveLength(32);
  });

  it("fits its bucket, whatever the content", async () => {
    // 37: a frame of the post-quantum ratchet with one symbol, which the initiator always has to send.
    for (const size of [0, 1, 574, 575, CONTENT_BYTES_MAX]) {
      const { envelope } = await encrypt(world.fresh, new Uint8Array(size), env);
      expect(isBucket(envelope.length)).toBe(true);
      expect(envelope.length).toBe(bucketFor(HELLO_HEADER_BYTES + 80 + 16 + 12 + size + 37));
    }
  });
});

describe("what is refused", () => {
  it("a bundle that does not verify", async () => {
    const { bundle } = world;
    const signature = flipBit(bundle.kemPrekey.signature, 9);
    const forged = { ...bundle, kemPrekey: { ...bundle.kemPrekey, signature } };
    expect(await initiate(world.alice, forged, env)).toBeUndefined();
  });

  it("a HELLO for another device, another bundle or with one secret missing", async () => {
    const { bob, secrets, hello } = world;
    const stranger = await createOwnDevice(env);
    const other = (await createInviteBundle(bob, env)).secrets;
    const cases: readonly (readonly [OwnDevice, PrekeySecrets])[] = [
      [stranger, secrets],
      [{ ...bob, dhSecret: stranger.dhSecret }, secrets],
      [{ ...bob, cert: stranger.cert }, secrets],
      [bob, other],
      [bob, { ...secrets, signedPrekeySecret: other.signedPrekeySecret }],
      [bob, { ...secrets, oneTimeSecret: other.oneTimeSecret }],
      [bob, { ...secrets, kemSeed: other.kemSeed }],
      [bob, { ...secrets, bundleHash: other.bundleHash }],
    ];
    for (const [device, held] of cases) {
      expect(await accept(device, held, hello, env)).toMatchObject({ ok: false });
    }
  });

  it("a harvested HELLO, to someone with every X25519 secret of both sides but no KEM secret", async () => {
    const { bob, secrets, hello } = world;
    for (const kemSeed of [new Uint8Array(64), seededEntropy("guess")(64)]) {
      expect(await accept(bob, { ...secrets, kemSeed }, hello, env)).toMatchObject({ ok: false });
    }
  });

  it.each([
    ["0", new Uint8Array(32)],
    ["with its high bit set", Uint8Array.from({ length: 32 }, () => 0x80)],
    ["of order 8", Uint8Array.from(hexPoint())],
    ["2^255 - 1", Uint8Array.from({ length: 32 }, (_, i) => (i === 31 ? 0x7f : 0xff))],
  ])("a HELLO with the ephemeral key %s: an answer, never an exception", async (_name, key) => {
    const header = Uint8Array.from(world.hello.header);
    header.set(key, 15);
    const hello = { ...world.hello, header, ephemeralKey: key };
    expect(await accept(world.bob, world.secrets, hello, env)).toEqual({
      ok: false,
      reason: "unknown-session",
    });
  });

  it("an initiator who signed itself an unusable DH key", async () => {
    const { alice, bundle } = world;
    const forged = { ...alice, cert: { ...alice.cert, dhKey: new Uint8Array(32) } };
    const initiated = (await initiate(forged, bundle, env))!;
    const hello = asHello((await encrypt(initiated.session, text("x"), env)).envelope);
    expect(await accept(world.bob, world.secrets, hello, env)).toMatchObject({ ok: false });
  });

  it("an initiator whose root key did not sign its certificate", async () => {
    const { alice, bundle } = world;
    const signature = flipBit(alice.cert.signature, 9);
    const forged = { ...alice, cert: { ...alice.cert, signature } };
    const initiated = (await initiate(forged, bundle, env))!;
    const hello = asHello((await encrypt(initiated.session, text("x"), env)).envelope);
    expect(await accept(world.bob, world.secrets, hello, env)).toMatchObject({ ok: false });
  });

  it("an initiator who claims a certificate whose DH secret it does not have", async () => {
    const { alice, bundle } = world;
    const mallory = await createOwnDevice(env);
    const impostor = { ...mallory, cert: alice.cert };
    const initiated = (await initiate(impostor, bundle, env))!;
    const hello = asHello((await encrypt(initiated.session, text("I am Alice"), env)).envelope);
    expect(await accept(world.bob, world.secrets, hello, env)).toMatchObject({ ok: false });
  });

  it.each([
    ["signed prekey", 3],
    ["one-time key", 7],
    ["KEM prekey", 11],
  ] as const)("an initiator who names another %s than it used", async (_, offset) => {
    const { alice, bundle, bob, secrets } = world;
    const helloNaming = async (change: (id: number) => number): Promise<HelloEnvelope> => {
      // Before anything is derived from it, so that all the rest fits what it says.
      const crypto: CryptoEnv["crypto"] = {
        ...env.crypto,
        seal: (key, nonce, opening, cert) => {
          const view = new DataView(opening.buffer, opening.byteOffset);
          view.setUint32(offset, change(view.getUint32(offset)));
          return env.crypto.seal(key, nonce, opening, cert);
        },
      };
      const initiated = (await initiate(alice, bundle, { ...env, crypto }))!;
      return asHello((await encrypt(initiated.session, text("x"), env)).envelope);
    };
    must(await accept(bob, secrets, await helloNaming((id) => id), env));
    for (const change of [(id: number) => id + 1, () => NO_PREKEY_ID]) {
      expect(await accept(bob, secrets, await helloNaming(change), env)).toEqual({
        ok: false,
        reason: "unknown-session",
      });
    }
  });

  it("a HELLO with any bit flipped, in every field", async () => {
    const { bob, secrets, envelope } = world;
    // Every bit of the fixed fields and ephemeral key; of the long fields one bit per few bytes.
    const bits = [
      ...Array.from({ length: 15 * 8 }, (_, bit) => bit),
      ...Array.from({ length: 32 * 2 }, (_, step) => 15 * 8 + step * 4 + (step % 3)),
      255 + 15 * 8,
      ...Array.from({ length: 68 }, (_, step) => 47 * 8 + step * 128 + (step % 8)),
      ...Array.from({ length: 49 }, (_, step) => 1_135 * 8 + step * 32 + (step % 8)),
      ...Array.from({ length: 90 }, (_, step) => HELLO_HEADER_BYTES * 8 + step * 64 + (step % 8)),
      envelope.length * 8 - 1,
    ];
    for (const bit of bits) {
      const decoded = decodeEnvelope(flipBit(envelope, bit));
      if (!decoded.ok || decoded.value.type !== "hello") continue;
      expect(await accept(bob, secrets, decoded.value, env), `bit ${bit}`).toMatchObject({
        ok: false,
      });
    }
  });

  it("a HELLO whose message comes from another handshake", async () => {
    const other = await greeted("handshake, other");
    const spliced = { ...world.hello, message: other.hello.message };
    expect(await accept(world.bob, world.secrets, spliced, env)).toEqual({
      ok: false,
      reason: "unknown-session",
    });
  });

  it("leaves the secrets usable: after every refusal the genuine HELLO is accepted", async () => {
    const before = structuredClone(world.secrets);
    const spliced = { ...world.hello, sealedIdentity: new Uint8Array(194) };
    await accept(world.bob, world.secrets, spliced, env);
    expect(world.secrets).toEqual(before);
    must(await accept(world.bob, world.secrets, world.hello, env));
  });
});

describe("deniability", () => {
  it("the responder alone can make a HELLO that its own code accepts as the other's", async () => {
    const { alice, bob } = world;
    const { bundle, secrets } = await createInviteBundle(bob, env);
    const unknown = new Uint8Array(32);
    const forger: OwnDevice = {
      rootSecret: unknown,
      signingSecret: unknown,
      dhSecret: unknown,
      cert: alice.cert,
    };
    // DH(Alice, SPK) is the only use of Alice's secret, and the owner of SPK can compute it from the other end.
    const crypto = {
      ...env.crypto,
      dh: (secret: Uint8Array, remote: Uint8Array) =>
        secret === unknown
          ? env.crypto.dh(secrets.signedPrekeySecret, alice.cert.dhKey)
          : env.crypto.dh(secret, remote),
    };
    const initiated = (await initiate(forger, bundle, { ...env, crypto }))!;
    const { envelope } = await encrypt(initiated.session, text("never said"), env);
    const accepted = must(await accept(bob, secrets, asHello(envelope), env));
    expect(accepted.cert).toEqual(alice.cert);
    expect(accepted.content).toEqual(text("never said"));
  });
});

describe("privacy", () => {
  it("a HELLO contains no key, id or signature of its sender", () => {
    const { envelope, alice } = world;
    const { cert } = alice;
    const haystack = String(envelope);
    for (const needle of [cert.rootKey, cert.dhKey, cert.signingKey, cert.deviceId]) {
      expect(haystack).not.toContain(String(needle.slice(0, 8)));
    }
  });
});

function hexPoint(): readonly number[] {
  return [
    0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
    0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
  ];
}
