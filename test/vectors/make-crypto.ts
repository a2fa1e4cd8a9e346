/**
 * Writes crypto.json: what suite 1 gives for fixed secrets. Run it only to freeze a new suite or wire version;
 * a difference in a frozen file means that old devices could no longer talk to new ones or read their own state.
 *
 *     npx node --conditions=@sotto/source test/vectors/make-crypto.ts
 *
 * Owns: the content of crypto.json. Leaves to packages/crypto/test/vectors.test.ts: checking it three ways.
 */
import {
  accept,
  accountIdOf,
  bundleHashOf,
  createInviteBundle,
  createLastResort,
  createOwnDevice,
  createPrekeyBatch,
  createSignedPrekey,
  type CryptoEnv,
  decrypt,
  deriveInviteKeys,
  encrypt,
  initiate,
  type LastResortSecrets,
  LIST_PREFIX_BYTES,
  type ListMark,
  nobleBackend,
  type OwnDevice,
  type PrekeySecrets,
  restoreDevice,
  safetyNumber,
  sealInviteOffer,
  sealPlea,
  sealSignal,
  sealWay,
  sendAuthenticator,
  type Session,
  signHubAuth,
  signHubHello,
} from "@sotto/crypto";
import { RECOVERY_LANGUAGES, recoveryWords } from "@sotto/crypto/recovery";
import {
  asSendId,
  bytesToHex as hex,
  encodeAddresses,
  encodeBundle,
  encodeDeviceCert,
  encodeInviteOffer,
  encodeSignal,
  LIST_VERSION_MAX,
  type PrekeyBundle,
  sendTranscript,
} from "@sotto/wire";
import { deriveHandshake, deriveTurn, makeErasures } from "../../packages/crypto/test/derived.ts";
import { offerOf, signal } from "../../packages/crypto/test/samples.ts";
import {
  asHello,
  asMessage,
  must,
  NOW,
  seededEntropy,
  text,
} from "../../packages/crypto/test/support.ts";
import { freeze } from "./freeze.ts";

export const CRYPTO_VECTORS = new URL("crypto.json", import.meta.url);

/** Byte arrays are lower-case hex throughout. The same on every run. */
export async function makeCryptoVectors() {
  const env: CryptoEnv = {
    entropy: seededEntropy("sotto vectors 1"),
    crypto: nobleBackend,
    now: NOW,
  };
  const alice = await createOwnDevice(env);
  const bob = await createOwnDevice(env);
  const invite = await createInviteBundle(bob, env);
  const oneTime = await makeHandshake(alice, bob, invite.bundle, invite.secrets, env);
  const lastResort = await makeLastResort(bob, env);
  const withoutOneTime = await makeHandshake(
    alice,
    bob,
    lastResort.bundle,
    lastResort.secrets,
    env,
  );
  return {
    about:
      "Suite 1 of Sotto, wire version 1. Bytes are hex. Written by make-crypto.ts; see packages/crypto/SPEC.md.",
    now: NOW,
    initiator: describeDevice(alice),
    responder: describeDevice(bob),
    handshakes: { oneTime: oneTime.vector, lastResort: withoutOneTime.vector },
    conversation: await makeConversation(oneTime.initiator, oneTime.responder, env),
    batch: await makeBatch(bob, env),
    invite: await makeInvite(invite.bundle, env),
    safetyNumber: safetyNumber(alice.cert.rootKey, bob.cert.rootKey),
    hub: await makeHub(env),
    way: await makeWay(alice, bob, env),
    plea: await makePlea(alice, bob, env),
    recovery: await makeRecovery(env),
    erasure: makeErasures(env),
  };
}

const describeDevice = (device: OwnDevice) => ({
  rootSecret: hex(device.rootSecret),
  signingSecret: hex(device.signingSecret),
  dhSecret: hex(device.dhSecret),
  cert: hex(encodeDeviceCert(device.cert)),
  accountId: hex(accountIdOf(device.cert.rootKey)),
});

async function makeLastResort(bob: OwnDevice, env: CryptoEnv) {
  const signed = await createSignedPrekey(env);
  const { kemSeed, part } = await createLastResort(bob, signed.part, env);
  const bundle: PrekeyBundle = { cert: bob.cert, signedPrekey: signed.part, kemPrekey: part };
  const secrets: LastResortSecrets = {
    signedPrekeyId: signed.part.id,
    signedPrekeySecret: signed.secret,
    oneTimeId: part.id,
    oneTimeSecret: undefined,
    kemSeed,
    bundleHash: bundleHashOf(bundle),
  };
  return { bundle, secrets };
}

async function makeHandshake(
  alice: OwnDevice,
  bob: OwnDevice,
  bundle: PrekeyBundle,
  secrets: PrekeySecrets | LastResortSecrets,
  env: CryptoEnv,
) {
  const initiated = await initiate(alice, bundle, env);
  if (initiated === undefined) throw new Error("bundle refused");
  const { rootKey, ...started } = initiated.session;
  const sealed = await encrypt(initiated.session, text("hello"), env);
  const accepted = must(await accept(bob, secrets, asHello(sealed.envelope), env));
  const vector = {
    bundle: hex(encodeBundle(bundle)),
    secrets: {
      signedPrekeyId: secrets.signedPrekeyId,
      signedPrekeySecret: hex(secrets.signedPrekeySecret),
      oneTimeId: secrets.oneTimeId,
      oneTimeSecret: secrets.oneTimeSecret === undefined ? undefined : hex(secrets.oneTimeSecret),
      kemSeed: hex(secrets.kemSeed),
      bundleHash: hex(secrets.bundleHash),
    },
    hello: hex(sealed.envelope),
    content: hex(text("hello")),
    sessionId: hex(started.id),
    transcript: hex(started.transcript),
    rootKeyAfterFirstStep: hex(rootKey),
    /** What accepting derives on its way, in the order of crypto/SPEC.md §4.2. */
    derived: await deriveHandshake(bob, secrets, sealed.envelope, started.transcript),
    initiatorSignalKey: hex(started.ownSignalKey),
    responderSignalKey: hex(started.remoteSignalKey),
    initiatorRatchetSecret: hex(started.ownRatchetSecret),
    initiatorSession: freezeSession(sealed.session),
  };
  return { vector, initiator: sealed.session, responder: accepted.session };
}

/**
 * Goes on after the HELLO: turns of answers, each of several messages under one mark, and a signal each way. The first
 * exchange of the post-quantum ratchet ends in turn 4, whose chain has epoch 1.
 */
async function makeConversation(initiator: Session, responder: Session, env: CryptoEnv) {
  if (initiator.kem.step.kind !== "offering") throw new Error("the initiator does not offer");
  const kemSeed = hex(initiator.kem.step.seed);
  let [from, to] = [responder, initiator];
  const messages = [];
  const ratchetSecrets = [hex(initiator.ownRatchetSecret)];
  const rootSteps = [];
  for (const [turn, version, sizes] of [
    [1, 1, [0, 1, 148]],
    [2, 2, [3, 149, 600]],
    [3, LIST_VERSION_MAX, [10, 111, 600, 112]],
    [4, 3, [500, 2]],
  ] as const) {
    const mark: ListMark = { version, prefix: env.entropy(LIST_PREFIX_BYTES) };
    for (const [n, size] of sizes.entries()) {
      const content = env.entropy(size);
      const sealed = await encrypt(from, content, env, { mark, wide: size === 600 });
      if (n === 0) rootSteps.push(await deriveTurn(from, sealed.session, env));
      from = sealed.session;
      to = must(await decrypt(to, asMessage(sealed.envelope), env)).session;
      const { previousCount } = from;
      messages.push({
        turn,
        n,
        previousCount,
        epoch: from.kem.epoch,
        mark: { version, prefix: hex(mark.prefix) },
        content: hex(content),
        envelope: hex(sealed.envelope),
      });
    }
    ratchetSecrets.push(hex(from.ownRatchetSecret));
    [from, to] = [to, from];
  }
  return {
    /** One per turn, the initiator's first. */
    ratchetSecrets,
    /** Of the exchange that the initiator offers; turn 4 mixes its secret. */
    kemSeed,
    /** Of turn 1 and on; the initiator's first one is in the handshake. */
    rootSteps,
    messages,
    signal: {
      encoded: hex(encodeSignal(signal)),
      fromInitiator: hex(await sealSignal(initiator, signal, env)),
      fromResponder: hex(await sealSignal(responder, signal, env)),
    },
  };
}

async function makeBatch(bob: OwnDevice, env: CryptoEnv) {
  const signed = await createSignedPrekey(env);
  const pairs = await createPrekeyBatch(bob, signed.part, 8, env);
  const last = pairs[5];
  if (last === undefined) throw new Error("batch too small");
  const bundle = { cert: bob.cert, signedPrekey: signed.part, kemPrekey: last.part };
  return { leafIndex: 5, bundle: hex(encodeBundle(bundle)) };
}

async function makeInvite(bundle: PrekeyBundle, env: CryptoEnv) {
  const seed = env.entropy(16);
  const { linkId, linkKey } = deriveInviteKeys(seed);
  const offer = offerOf(bundle);
  return {
    seed: hex(seed),
    linkId: hex(linkId),
    linkKey: hex(linkKey),
    offer: hex(encodeInviteOffer(offer)),
    blob: hex(await sealInviteOffer(seed, offer, env)),
  };
}

async function makeWay(alice: OwnDevice, bob: OwnDevice, env: CryptoEnv) {
  const { bundle } = await createInviteBundle(alice, env);
  const { addresses } = offerOf(bundle);
  return {
    bundle: hex(encodeBundle(bundle)),
    addresses: hex(encodeAddresses(addresses)),
    sealed: hex(await sealWay(alice, bob.cert, { bundle, addresses }, env)),
  };
}

async function makePlea(alice: OwnDevice, bob: OwnDevice, env: CryptoEnv) {
  const { bundle } = await createInviteBundle(alice, env);
  return {
    at: NOW,
    bundle: hex(encodeBundle(bundle)),
    sealed: hex(await sealPlea(alice, bob.cert, { at: NOW, bundle }, env)),
  };
}

async function makeRecovery(env: CryptoEnv) {
  const rootSecret = env.entropy(32);
  const { cert } = await restoreDevice(rootSecret, env);
  return {
    rootSecret: hex(rootSecret),
    rootKey: hex(cert.rootKey),
    accountId: hex(accountIdOf(cert.rootKey)),
    phrases: RECOVERY_LANGUAGES.map((language) => ({
      language,
      phrase: recoveryWords(rootSecret, language).join(" "),
    })),
  };
}

async function makeHub(env: CryptoEnv) {
  const { crypto, entropy } = env;
  const [relaySeed, readerSeed, relayEphemeralSecret, sendSecret] = [
    entropy(32),
    entropy(32),
    entropy(32),
    entropy(32),
  ];
  const hello = {
    relayKey: await crypto.signPublic(relaySeed),
    ephemeralKey: await crypto.dhPublic(relayEphemeralSecret),
    nonce: entropy(32),
    hour: 472_222,
    ttlHoursMax: 504,
    queueMessagesMax: 256,
    door: "open" as const,
  };
  const readerKey = await crypto.signPublic(readerSeed);
  const sendId = asSendId(entropy(24));
  const sendKey = await crypto.dhPublic(sendSecret);
  const transcript = sendTranscript(hello.nonce, hello.relayKey, sendId, sendKey);
  const shared = await crypto.dh(sendSecret, hello.ephemeralKey);
  return {
    relaySeed: hex(relaySeed),
    readerSeed: hex(readerSeed),
    relayEphemeralSecret: hex(relayEphemeralSecret),
    sendSecret: hex(sendSecret),
    nonce: hex(hello.nonce),
    hour: hello.hour,
    ttlHoursMax: hello.ttlHoursMax,
    queueMessagesMax: hello.queueMessagesMax,
    door: hello.door,
    sendId: hex(sendId),
    helloSignature: hex(await signHubHello(relaySeed, hello, crypto)),
    authSignature: hex(
      await signHubAuth(readerSeed, hello.nonce, hello.relayKey, readerKey, crypto),
    ),
    sendAuthenticator: hex(sendAuthenticator(shared, transcript)),
  };
}

/** A session as JSON: bytes as hex; no other string in it is hex. */
const freezeSession = (session: Session): unknown =>
  JSON.parse(
    JSON.stringify(session, (_, value: unknown) =>
      value instanceof Uint8Array ? hex(value) : value,
    ),
  );

if (import.meta.main) await freeze(CRYPTO_VECTORS, await makeCryptoVectors());
