/**
 * Prekeys: one-time pairs in batches under one Merkle root, signed with the signed prekey, checked before any use.
 * Spec: SPEC.md §3.
 */
import {
  concatBytes,
  createWriter,
  encodeBundle,
  equalBytes,
  type KemPrekeyPart,
  MERKLE_PROOF_MAX,
  NO_PREKEY_ID,
  type PrekeyBundle,
  type SignedPrekeyPart,
} from "@sotto/wire";
import type { CryptoBackend, CryptoEnv } from "./backend.ts";
import { isSignedByRoot, type OwnDevice } from "./identity.ts";
import { LABELS } from "./labels.ts";
import { isExchangeKey, isKemKey, labelled, sha256 } from "./primitives.ts";

/** One-time pairs under one signature. */
export const PREKEY_BATCH_MAX = 1 << MERKLE_PROOF_MAX;

/** What the responder keeps to answer one HELLO. Delete it when it has been used. */
export interface PrekeySecrets {
  readonly signedPrekeyId: number;
  /** X25519, 32 bytes. */
  readonly signedPrekeySecret: Uint8Array;
  /** Id of the KEM prekey; the one-time key of the pair has the same. */
  readonly oneTimeId: number;
  /** X25519, 32 bytes. */
  readonly oneTimeSecret: Uint8Array;
  /** ML-KEM-768, 64 bytes. */
  readonly kemSeed: Uint8Array;
  /** `bundleHashOf` the bundle that was handed out. */
  readonly bundleHash: Uint8Array;
}

/** The same behind a bundle without a one-time pair. Kept as long as its KEM prekey is served. */
export interface LastResortSecrets extends Omit<PrekeySecrets, "oneTimeSecret"> {
  readonly oneTimeSecret: undefined;
}

export interface SignedPrekey {
  readonly secret: Uint8Array;
  readonly part: SignedPrekeyPart;
}

export interface OneTimePrekey {
  readonly oneTimeSecret: Uint8Array;
  readonly kemSeed: Uint8Array;
  readonly part: KemPrekeyPart;
}

/** Not signed yet: every batch and every last resort served with it signs it again. */
export async function createSignedPrekey(env: CryptoEnv): Promise<SignedPrekey> {
  const secret = env.entropy(32);
  const id = randomPrekeyId(env);
  return { secret, part: { id, key: await env.crypto.dhPublic(secret) } };
}

/** `count`: a power of two up to PREKEY_BATCH_MAX. One signature covers them all and `signedPrekey`. */
export async function createPrekeyBatch(
  own: OwnDevice,
  signedPrekey: SignedPrekeyPart,
  count: number,
  env: CryptoEnv,
): Promise<readonly OneTimePrekey[]> {
  if (
    !Number.isInteger(count) ||
    count < 1 ||
    count > PREKEY_BATCH_MAX ||
    (count & (count - 1)) !== 0
  ) {
    throw new RangeError(`batch of ${count}`);
  }
  const pairs = [];
  for (let index = 0; index < count; index++) {
    const oneTimeSecret = env.entropy(32);
    const kemSeed = env.entropy(64);
    const id = randomPrekeyId(env);
    const [oneTimeKey, key] = await Promise.all([
      env.crypto.dhPublic(oneTimeSecret),
      env.crypto.kemPublic(kemSeed),
    ]);
    pairs.push({ oneTimeSecret, kemSeed, id, oneTimeKey, key });
  }
  const levels = merkleLevels(pairs.map(leafOf));
  const signature = await env.crypto.sign(
    own.signingSecret,
    batchMessage(signedPrekey, rootOf(levels)),
  );
  return pairs.map(({ oneTimeSecret, kemSeed, id, oneTimeKey, key }, leafIndex) => ({
    oneTimeSecret,
    kemSeed,
    part: { id, key, oneTimeKey, leafIndex, proof: proofOf(levels, leafIndex), signature },
  }));
}

/** The KEM prekey that is served, marked, when one-time pairs are out. */
export async function createLastResort(
  own: OwnDevice,
  signedPrekey: SignedPrekeyPart,
  env: CryptoEnv,
): Promise<{ readonly kemSeed: Uint8Array; readonly part: KemPrekeyPart }> {
  const kemSeed = env.entropy(64);
  const id = randomPrekeyId(env);
  const key = await env.crypto.kemPublic(kemSeed);
  const signature = await env.crypto.sign(
    own.signingSecret,
    lastResortMessage(signedPrekey, id, key),
  );
  const part = { id, key, oneTimeKey: undefined, leafIndex: 0, proof: [], signature };
  return { kemSeed, part };
}

/** A bundle for one invite: its own signed prekey and a batch of one. */
export async function createInviteBundle(
  own: OwnDevice,
  env: CryptoEnv,
): Promise<{ readonly bundle: PrekeyBundle; readonly secrets: PrekeySecrets }> {
  const signed = await createSignedPrekey(env);
  const [pair] = await createPrekeyBatch(own, signed.part, 1, env);
  if (pair === undefined) throw new RangeError("empty batch");
  const bundle = { cert: own.cert, signedPrekey: signed.part, kemPrekey: pair.part };
  const secrets = {
    signedPrekeyId: signed.part.id,
    signedPrekeySecret: signed.secret,
    oneTimeId: pair.part.id,
    oneTimeSecret: pair.oneTimeSecret,
    kemSeed: pair.kemSeed,
    bundleHash: bundleHashOf(bundle),
  };
  return { bundle, secrets };
}

/** 32 bytes over the whole encoded bundle: part of the transcript. */
export const bundleHashOf = (bundle: PrekeyBundle): Uint8Array =>
  sha256(labelled(LABELS.bundle, encodeBundle(bundle)));

/** Certificate, signed prekey and KEM prekey: signed by the one device, all keys well formed. */
export const verifyBundle = async (bundle: PrekeyBundle, crypto: CryptoBackend): Promise<boolean> =>
  isWellFormedBundle(bundle) && (await isSignedBundle(bundle, crypto));

/** Nothing may be done with its keys before. */
export const isWellFormedBundle = ({ cert, signedPrekey, kemPrekey }: PrekeyBundle): boolean =>
  isExchangeKey(cert.dhKey) &&
  isExchangeKey(signedPrekey.key) &&
  isKemKey(kemPrekey.key) &&
  (kemPrekey.oneTimeKey === undefined || isExchangeKey(kemPrekey.oneTimeKey));

/** The signatures of a bundle that is well formed. */
export async function isSignedBundle(
  bundle: PrekeyBundle,
  crypto: CryptoBackend,
): Promise<boolean> {
  const { cert, signedPrekey, kemPrekey } = bundle;
  const { oneTimeKey } = kemPrekey;
  const prekeysMessage =
    oneTimeKey === undefined
      ? lastResortMessage(signedPrekey, kemPrekey.id, kemPrekey.key)
      : batchMessage(signedPrekey, climb(leafOf({ ...kemPrekey, oneTimeKey }), kemPrekey));
  const verdicts = await Promise.all([
    // Its signing key has to fit a signature here, so it needs no look of its own.
    isSignedByRoot(cert, crypto),
    crypto.verify(cert.signingKey, prekeysMessage, kemPrekey.signature),
  ]);
  return verdicts.every((taken) => taken);
}

const idBytes = (id: number): Uint8Array => createWriter().u32(id).done();

const lastResortMessage = (signed: SignedPrekeyPart, id: number, key: Uint8Array): Uint8Array =>
  labelled(LABELS.lastResort, idBytes(signed.id), signed.key, idBytes(id), key);

const batchMessage = (signed: SignedPrekeyPart, root: Uint8Array): Uint8Array =>
  labelled(LABELS.prekeyBatch, idBytes(signed.id), signed.key, root);

const leafOf = (pair: { id: number; oneTimeKey: Uint8Array; key: Uint8Array }): Uint8Array =>
  sha256(labelled(LABELS.prekeyLeaf, idBytes(pair.id), pair.oneTimeKey, pair.key));

const nodeOf = (left: Uint8Array, right: Uint8Array): Uint8Array =>
  sha256(labelled(LABELS.prekeyNode, concatBytes(left, right)));

/** From the leaves up to the single root. */
function merkleLevels(leaves: readonly Uint8Array[]): readonly (readonly Uint8Array[])[] {
  const levels: (readonly Uint8Array[])[] = [leaves];
  for (let level = leaves; level.length > 1;) {
    const below = level;
    level = Array.from({ length: below.length / 2 }, (_, index) =>
      nodeOf(at(below, index * 2), at(below, index * 2 + 1)),
    );
    levels.push(level);
  }
  return levels;
}

const rootOf = (levels: readonly (readonly Uint8Array[])[]): Uint8Array =>
  at(levels[levels.length - 1] ?? [], 0);

const proofOf = (
  levels: readonly (readonly Uint8Array[])[],
  leafIndex: number,
): readonly Uint8Array[] =>
  levels.slice(0, -1).map((level, height) => at(level, (leafIndex >> height) ^ 1));

function climb(leaf: Uint8Array, part: KemPrekeyPart): Uint8Array {
  let hash = leaf;
  part.proof.forEach((sibling, height) => {
    const isRight = ((part.leafIndex >> height) & 1) === 1;
    hash = isRight ? nodeOf(sibling, hash) : nodeOf(hash, sibling);
  });
  return hash;
}

function at(hashes: readonly Uint8Array[], index: number): Uint8Array {
  const hash = hashes[index];
  if (hash === undefined) throw new RangeError(`no hash at ${index}`);
  return hash;
}

/** 0 is a valid id; only NO_PREKEY_ID is not. */
function randomPrekeyId(env: CryptoEnv): number {
  const bytes = env.entropy(4);
  if (equalBytes(bytes, new Uint8Array(4).fill(0xff))) return NO_PREKEY_ID - 1;
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
}
