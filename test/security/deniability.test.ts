/**
 * A transcript proves nothing to anybody else: Bob alone makes one that his own code takes for a conversation with Alice.
 * It is for this test only; nothing like it is in the product.
 */
import {
  accept,
  createInviteBundle,
  createOwnDevice,
  decrypt,
  encrypt,
  initiate,
  nobleBackend,
  openSignal,
  type OwnDevice,
  type PrekeySecrets,
  sealSignal,
  type Session,
} from "@sotto/crypto";
import { type DeviceCert, type PrekeyBundle } from "@sotto/wire";
import { describe, expect, it } from "vitest";
import { signal } from "../../packages/crypto/test/samples.ts";
import { asHello, asMessage, must, seededEnv, text } from "../../packages/crypto/test/support.ts";
import { decodeEnvelope } from "@sotto/wire";

type Line = readonly [by: "alice" | "bob", content: string];

const LINES: readonly Line[] = [
  ["alice", "we meet at nine"],
  ["alice", "bring the papers"],
  ["bob", "I will"],
  ["alice", "x".repeat(3_000)],
  ["bob", "y".repeat(300)],
  ["bob", "and again"],
  ["alice", ""],
];

/** What Bob has in his hands: his bundle with its secrets. Of Alice he has the certificate, which is public. */
interface BobsHands {
  readonly bob: OwnDevice;
  readonly bundle: PrekeyBundle;
  readonly secrets: PrekeySecrets;
}

/** An initiator's session in Alice's name, made without any secret of hers. */
async function forge(
  { bundle, secrets }: BobsHands,
  alice: DeviceCert,
  seed: string,
): Promise<Session> {
  const unknown = new Uint8Array(32);
  const forger = { rootSecret: unknown, signingSecret: unknown, dhSecret: unknown, cert: alice };
  const env = seededEnv(seed, {
    ...nobleBackend,
    // DH(Alice, SPK) is the one use of a secret of Alice's, and Bob has the other end of it.
    dh: (secret, remote) =>
      secret === unknown
        ? nobleBackend.dh(secrets.signedPrekeySecret, alice.dhKey)
        : nobleBackend.dh(secret, remote),
    sign: () => {
      throw new Error("a signature of Alice's is needed");
    },
  });
  const initiated = await initiate(forger, bundle, env);
  if (initiated === undefined) throw new Error("own bundle refused");
  return initiated.session;
}

/** The envelopes of the conversation, as Bob's real code took them in and sent them. */
async function play(hands: BobsHands, asAlice: Session, cert: DeviceCert, seed: string) {
  const env = seededEnv(seed);
  let alice = asAlice;
  let bob: Session | undefined;
  const envelopes: Uint8Array[] = [];
  const contents: Uint8Array[] = [];
  for (const [by, content] of LINES) {
    if (by === "alice") {
      const sealed = await encrypt(alice, text(content), env);
      alice = sealed.session;
      envelopes.push(sealed.envelope);
      const opened =
        bob === undefined
          ? must(await accept(hands.bob, hands.secrets, asHello(sealed.envelope), env))
          : must(await decrypt(bob, asMessage(sealed.envelope), env));
      if ("cert" in opened) expect(opened.cert).toEqual(cert);
      bob = opened.session;
      contents.push(opened.content);
    } else {
      if (bob === undefined) throw new Error("Bob cannot begin");
      const sealed = await encrypt(bob, text(content), env);
      bob = sealed.session;
      envelopes.push(sealed.envelope);
      const opened = must(await decrypt(alice, asMessage(sealed.envelope), env));
      alice = opened.session;
      contents.push(opened.content);
    }
  }
  const sealedSignal = decodeEnvelope(await sealSignal(alice, signal, env));
  if (bob === undefined || !sealedSignal.ok || sealedSignal.value.type !== "signal") {
    throw new Error("no signal");
  }
  expect(await openSignal(bob, sealedSignal.value, nobleBackend)).toEqual(signal);
  return { envelopes, contents };
}

describe("a transcript", () => {
  it("that Bob forged alone is taken by Bob's real code, message by message, with the lengths of a real one", async () => {
    const env = seededEnv("deniability");
    const alice = await createOwnDevice(env);
    const bob = await createOwnDevice(env);
    const real = { bob, ...(await createInviteBundle(bob, env)) };
    const initiated = await initiate(alice, real.bundle, env);
    if (initiated === undefined) throw new Error("bundle refused");
    const genuine = await play(real, initiated.session, alice.cert, "genuine");

    const own = { bob, ...(await createInviteBundle(bob, env)) };
    const forged = await play(own, await forge(own, alice.cert, "forger"), alice.cert, "forged");

    expect(forged.contents).toEqual(LINES.map(([, content]) => text(content)));
    expect(forged.contents).toEqual(genuine.contents);
    expect(forged.envelopes.map(({ length }) => length)).toEqual(
      genuine.envelopes.map(({ length }) => length),
    );
    // The same types in the same places: nothing about the form tells which of the two it is.
    expect(forged.envelopes.map(([type]) => type)).toEqual(genuine.envelopes.map(([type]) => type));
  });

  it("cannot be forged by somebody who is neither of the two", async () => {
    const env = seededEnv("deniability, other");
    const alice = await createOwnDevice(env);
    const bob = await createOwnDevice(env);
    const { bundle, secrets } = await createInviteBundle(bob, env);
    const guessed = { ...secrets, signedPrekeySecret: env.entropy(32) };
    const session = await forge({ bob, bundle, secrets: guessed }, alice.cert, "outsider");
    const { envelope } = await encrypt(session, text("never said"), env);
    expect((await accept(bob, secrets, asHello(envelope), env)).ok).toBe(false);
  });
});
