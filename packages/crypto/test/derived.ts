/**
 * What lies between the secrets of a session and its sealed bytes, for the frozen vectors: whoever writes suite 1 again
 * and gets other bytes finds with it which step differs.
 * Owns: naming those values. Leaves to test/vectors/make-crypto.ts: the secrets and the file.
 */
import {
  accept,
  type CryptoBackend,
  type CryptoEnv,
  hmacSha256,
  type LastResortSecrets,
  nobleBackend,
  type OwnDevice,
  type PrekeySecrets,
  type Session,
} from "@sotto/crypto";
import { bytesToHex as hex } from "@sotto/wire";
import { chainStep, rootStep } from "#src/chains.ts";
import { SYMBOL_BYTES, symbolAt, SYMBOLS_MAX } from "#src/erasure.ts";
import { deriveAgreed, identityKeys } from "#src/handshake.ts";
import { KEM_SYMBOLS } from "#src/kem-ratchet.ts";
import { asHello, must, seededEnv } from "./support.ts";

/**
 * The values between a HELLO and the session. The exchanges are those that `accept` really asked its engine for; the keys
 * are made of them once more.
 */
export async function deriveHandshake(
  bob: OwnDevice,
  secrets: PrekeySecrets | LastResortSecrets,
  envelope: Uint8Array,
  transcript: Uint8Array,
) {
  const shareds: Uint8Array[] = [];
  const kemSecrets: Uint8Array[] = [];
  const recording: CryptoBackend = {
    ...nobleBackend,
    dh: (secret, remote) => note(shareds, nobleBackend.dh(secret, remote)),
    decaps: (seed, ciphertext) => note(kemSecrets, nobleBackend.decaps(seed, ciphertext)),
  };
  must(await accept(bob, secrets, asHello(envelope), seededEnv("derived", recording)));
  const hasOneTime = secrets.oneTimeSecret !== undefined;
  const [dhIdentity, dhPrekey, dhStatic] = [at(shareds, 0), at(shareds, 1), at(shareds, 2)];
  const dhOneTime = hasOneTime ? at(shareds, 3) : undefined;
  const kemSecret = at(kemSecrets, 0);
  const { bundleHash } = secrets;
  const identity = identityKeys(dhIdentity, dhPrekey, kemSecret, bundleHash, hmacSha256);
  const agreed = deriveAgreed(identity.next, dhStatic, dhOneTime, transcript, hmacSha256);
  const firstShared = at(shareds, hasOneTime ? 4 : 3);
  return {
    dhIdentity: hex(dhIdentity),
    dhPrekey: hex(dhPrekey),
    kemSecret: hex(kemSecret),
    identityRootSalt: hex(identity.next),
    identitySealKey: hex(identity.seal),
    dhStatic: hex(dhStatic),
    dhOneTime: dhOneTime === undefined ? undefined : hex(dhOneTime),
    rootKey: hex(agreed.rootKey),
    initiatorHeaderKey: hex(agreed.headerKey),
    responderHeaderKey: hex(agreed.nextHeaderKey),
    firstStep: describeStep(agreed.rootKey, firstShared, undefined),
  };
}

/** The root step that `after` took with its first message, checked against the key it ended with. */
export async function deriveTurn(before: Session, after: Session, { crypto }: CryptoEnv) {
  if (before.remoteRatchetKey === undefined) throw new Error("nobody to step towards");
  const shared = await crypto.dh(after.ownRatchetSecret, before.remoteRatchetKey);
  const { step } = before.kem;
  const kemSecret = step.kind === "ready" ? step.secret : undefined;
  const described = describeStep(before.rootKey, shared, kemSecret);
  if (described.rootKey !== hex(after.rootKey)) throw new Error("not the step that was taken");
  return described;
}

/** A root step, and the first two steps of the chain that it begins. */
function describeStep(before: Uint8Array, shared: Uint8Array, kemSecret: Uint8Array | undefined) {
  const step = rootStep(before, shared, kemSecret, hmacSha256);
  const first = chainStep(step.chainKey, hmacSha256);
  const second = chainStep(first.chainKey, hmacSha256);
  return {
    rootKeyBefore: hex(before),
    shared: hex(shared),
    kemSecret: kemSecret === undefined ? undefined : hex(kemSecret),
    rootKey: hex(step.rootKey),
    chainKeys: [step.chainKey, first.chainKey, second.chainKey].map(hex),
    messageKeys: [first.messageKey, second.messageKey].map(hex),
    nextHeaderKey: hex(step.nextHeaderKey),
  };
}

/** Keeps what an engine that answers at once gave. */
function note(kept: Uint8Array[], answer: Uint8Array | Promise<Uint8Array>): Uint8Array {
  if (answer instanceof Promise) throw new Error("an engine that answers later");
  kept.push(answer);
  return answer;
}

function at<T>(values: readonly T[], index: number): T {
  const value = values[index];
  if (value === undefined) throw new Error(`no value ${index}`);
  return value;
}

/** The code alone: a small block, and both kinds that the post-quantum ratchet sends. */
export const makeErasures = (env: CryptoEnv) =>
  [2, KEM_SYMBOLS.ciphertext, KEM_SYMBOLS.key].map((k) => makeErasure(k, env));

/** A block of `k` symbols; as many symbols that are no piece of it, and the last there is. */
function makeErasure(k: number, env: CryptoEnv) {
  const block = env.entropy(k * SYMBOL_BYTES);
  const parity = Array.from({ length: k }, (_, n) => hex(symbolAt(block, k + n).bytes));
  return { k, block: hex(block), parity, last: hex(symbolAt(block, SYMBOLS_MAX - 1).bytes) };
}
