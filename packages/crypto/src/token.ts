/**
 * Blind tokens: a relay signs what it cannot see, so that who was let in cannot be told from what was shown.
 * VOPRF(ristretto255, SHA-512) of RFC 9497. An entry of its own, so that only who needs it loads it.
 * Owns: both sides of issuing, the relay's way to a token again, the issuer's key. Leaves to hub-auth.ts: showing one.
 * Spec: SPEC.md §9.5.
 */
import { ristretto255, ristretto255_hasher, ristretto255_oprf } from "@noble/curves/ed25519.js";
import { concatBytes, utf8ToBytes } from "@sotto/wire";
import type { CryptoBackend, Entropy } from "./backend.ts";
import { LABELS } from "./labels.ts";
import { hkdfSha256, labelled, sha512 } from "./primitives.ts";

/** Made under one proof; issuing so many takes some fifty times as long as verifying one signature. */
export const TOKENS_PER_ISSUE_MAX = 32;
export const TOKEN_NONCE_BYTES = 32;
export const ISSUER_KEY_BYTES = 32;
export const TOKEN_PROOF_BYTES = 64;

const { voprf } = ristretto255_oprf;
const { Fn } = ristretto255.Point;

export interface Issuer {
  /** Scalar, 32 bytes. */
  readonly secretKey: Uint8Array;
  /** Element, 32 bytes. */
  readonly publicKey: Uint8Array;
}

/** What the relay publishes: signed by the key that clients pin, so that it cannot show each of them another. */
export interface IssuerKey {
  /** A token is good in the epoch of its key and in the one after. */
  readonly epoch: number;
  /** Element, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** Relay key, over epoch and key. */
  readonly signature: Uint8Array;
}

/** One per epoch, out of the relay's Ed25519 seed (32 bytes). */
export function deriveIssuer(relaySeed: Uint8Array, epoch: number): Issuer {
  const info = concatBytes(utf8ToBytes(LABELS.tokenKey), u32(epoch));
  const seed = hkdfSha256(relaySeed, new Uint8Array(32), info, 32);
  return voprf.deriveKeyPair(seed, utf8ToBytes(LABELS.tokenKey));
}

export async function signIssuerKey(
  relaySeed: Uint8Array,
  epoch: number,
  publicKey: Uint8Array,
  crypto: CryptoBackend,
): Promise<IssuerKey> {
  const signature = await crypto.sign(relaySeed, issuerTranscript(epoch, publicKey));
  return { epoch, publicKey, signature };
}

export const verifyIssuerKey = async (
  relayKey: Uint8Array,
  { epoch, publicKey, signature }: IssuerKey,
  crypto: CryptoBackend,
): Promise<boolean> =>
  publicKey.length === ISSUER_KEY_BYTES &&
  crypto.verify(relayKey, issuerTranscript(epoch, publicKey), signature);

const issuerTranscript = (epoch: number, publicKey: Uint8Array): Uint8Array =>
  labelled(LABELS.tokenKey, u32(epoch), publicKey);

/** The client's half while the relay evaluates. */
export interface BlindToken {
  readonly nonce: Uint8Array;
  /** Scalar; who learns it can tell which token was made where. */
  readonly blind: Uint8Array;
  /** Element, 32 bytes: all that the relay sees. */
  readonly blinded: Uint8Array;
}

export interface Token {
  readonly epoch: number;
  readonly nonce: Uint8Array;
  /** 64 bytes. Whoever has it may show the token. */
  readonly output: Uint8Array;
}

export function blindTokens(count: number, entropy: Entropy): readonly BlindToken[] {
  if (count < 1 || count > TOKENS_PER_ISSUE_MAX) throw new RangeError(`${count} tokens at once`);
  return Array.from({ length: count }, () => {
    const nonce = entropy(TOKEN_NONCE_BYTES);
    return { nonce, ...voprf.blind(nonce, draw(entropy)) };
  });
}

export interface Evaluation {
  /** In the order asked. */
  readonly evaluated: readonly Uint8Array[];
  /** That one key, the public one, was used for all of them. 64 bytes. */
  readonly proof: Uint8Array;
}

/** Undefined for a count out of range and for bytes that are no element, or the one that hides nothing. */
export function evaluateTokens(
  issuer: Issuer,
  blinded: readonly Uint8Array[],
  entropy: Entropy,
): Evaluation | undefined {
  if (blinded.length < 1 || blinded.length > TOKENS_PER_ISSUE_MAX) return undefined;
  try {
    return voprf.blindEvaluateBatch(
      issuer.secretKey,
      issuer.publicKey,
      [...blinded],
      draw(entropy),
    );
  } catch {
    return undefined;
  }
}

/** Undefined when the answer does not fit what was asked, or was made with another key than the one published. */
export function finishTokens(
  issuerKey: Pick<IssuerKey, "epoch" | "publicKey">,
  blinds: readonly BlindToken[],
  { evaluated, proof }: Evaluation,
): readonly Token[] | undefined {
  if (evaluated.length !== blinds.length) return undefined;
  try {
    const items = blinds.map(({ nonce, blind, blinded }, index) => ({
      input: nonce,
      blind,
      blinded,
      evaluated: evaluated[index] ?? new Uint8Array(),
    }));
    const outputs = voprf.finalizeBatch(items, issuerKey.publicKey, proof);
    return blinds.map(({ nonce }, index) => ({
      epoch: issuerKey.epoch,
      nonce,
      output: outputs[index] ?? new Uint8Array(),
    }));
  } catch {
    return undefined;
  }
}

/** The output that belongs to a token's nonce: what `finishTokens` gave to whoever has it. The same work for any nonce. */
export function tokenOutput(issuer: Issuer, nonce: Uint8Array): Uint8Array {
  const element = ristretto255_hasher.hashToCurve(nonce, { DST: HASH_TO_GROUP });
  const evaluated = element.multiply(Fn.fromBytes(issuer.secretKey)).toBytes();
  return sha512(concatBytes(u16(nonce.length), nonce, u16(evaluated.length), evaluated, FINALIZE));
}

/** RFC 9497 §3.1, §4.1: mode 1 is VOPRF. */
const HASH_TO_GROUP = concatBytes(
  utf8ToBytes("HashToGroup-OPRFV1-"),
  Uint8Array.of(0x01),
  utf8ToBytes("-ristretto255-SHA512"),
);
const FINALIZE = utf8ToBytes("Finalize");

const u16 = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 0xff);

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

const draw =
  (entropy: Entropy) =>
  (length = 32): Uint8Array<ArrayBuffer> =>
    entropy(length);
