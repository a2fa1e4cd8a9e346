/**
 * The relay's half of blind tokens: its key of each epoch, evaluating what it cannot see, knowing a token again.
 * Owns: everything that takes the secret key. Leaves to token.ts: the client's half, with which it shares the VOPRF.
 * Spec: SPEC.md §9.5.
 */
import { ristretto255, ristretto255_hasher } from "@noble/curves/ed25519.js";
import { concatBytes, utf8ToBytes } from "@sotto/wire";
import type { CryptoBackend, Entropy } from "./backend.ts";
import { LABELS } from "./labels.ts";
import { hkdfSha256, sha512 } from "./primitives.ts";
import {
  draw,
  type Evaluation,
  type IssuerKey,
  issuerTranscript,
  TOKENS_PER_ISSUE_MAX,
  voprf,
} from "./token.ts";

const { Fn } = ristretto255.Point;

export interface Issuer {
  /** Scalar, 32 bytes. */
  readonly secretKey: Uint8Array;
  /** Element, 32 bytes. */
  readonly publicKey: Uint8Array;
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
