/**
 * Blind tokens: a relay signs what it cannot see, so that who was let in cannot be told from what was shown.
 * VOPRF(ristretto255, SHA-512) of RFC 9497.
 * Owns: the client's half. Leaves to issuer.ts: the relay's; to hub-auth.ts: showing a token.
 * An entry of its own that shares next to nothing with the rest, so that a page loads it only where a relay asks, and
 * what every page loads stays in one piece.
 * Spec: SPEC.md §9.5.
 */
import { createOPRF } from "@noble/curves/abstract/oprf.js";
import { ristretto255, ristretto255_hasher } from "@noble/curves/ed25519.js";
import { sha512 } from "@noble/hashes/sha2.js";
import type { CryptoBackend, Entropy } from "./backend.ts";
import { LABELS } from "./labels.ts";

/** Made under one proof; issuing so many costs a relay as much as some four hundred signatures checked by OpenSSL. */
export const TOKENS_PER_ISSUE_MAX = 32;
export const TOKEN_NONCE_BYTES = 32;
export const ISSUER_KEY_BYTES = 32;
export const TOKEN_PROOF_BYTES = 64;

/** As noble's own, made here so that it is loaded here. Not for others: issuer.ts and this file share it. */
export const { voprf } = createOPRF({
  name: "ristretto255-SHA512",
  Point: ristretto255.Point,
  hash: sha512,
  hashToGroup: (bytes, options) => ristretto255_hasher.hashToCurve(bytes, options),
  hashToScalar: (bytes, options) => ristretto255_hasher.hashToScalar(bytes, options),
});

/** What the relay publishes: signed by the key that clients pin, so that it cannot show each of them another. */
export interface IssuerKey {
  /** A token is good in the epoch of its key and in the one after. */
  readonly epoch: number;
  /** Element, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** Relay key, over epoch and key. */
  readonly signature: Uint8Array;
}

export const verifyIssuerKey = async (
  relayKey: Uint8Array,
  { epoch, publicKey, signature }: IssuerKey,
  crypto: CryptoBackend,
): Promise<boolean> =>
  publicKey.length === ISSUER_KEY_BYTES &&
  crypto.verify(relayKey, issuerTranscript(epoch, publicKey), signature);

/** label | 0x00 | epoch u32 | element 32. */
export function issuerTranscript(epoch: number, publicKey: Uint8Array): Uint8Array<ArrayBuffer> {
  // Labels are ASCII (a test holds them to that).
  const label = Uint8Array.from(LABELS.tokenKey, (letter) => letter.charCodeAt(0));
  const bytes = new Uint8Array(label.length + 5 + publicKey.length);
  bytes.set(label);
  new DataView(bytes.buffer).setUint32(label.length + 1, epoch);
  bytes.set(publicKey, label.length + 5);
  return bytes;
}

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

/** How noble asks for randomness. */
export const draw =
  (entropy: Entropy) =>
  (length = 32): Uint8Array<ArrayBuffer> =>
    entropy(length);
