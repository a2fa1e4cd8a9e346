/**
 * Proofs between a client and a relay: who the relay is, who owns a queue, who may write to one.
 * Spec: SPEC.md §9, wire/SPEC.md §9.
 */
import { authTranscript, helloTranscript, type HubFrame, utf8ToBytes } from "@sotto/wire";
import type { CryptoBackend } from "./backend.ts";
import { LABELS } from "./labels.ts";
import { hkdfSha256, hmacSha256, labelled, sha256 } from "./primitives.ts";

type HubHello = Extract<HubFrame, { type: "hello" }>;

/** `relaySeed`: Ed25519, 32 bytes. */
export const signHubHello = async (
  relaySeed: Uint8Array,
  hello: Omit<HubHello, "signature" | "type">,
  crypto: CryptoBackend,
): Promise<Uint8Array> => crypto.sign(relaySeed, labelled(LABELS.hubHello, helloTranscript(hello)));

export const verifyHubHello = async (hello: HubHello, crypto: CryptoBackend): Promise<boolean> =>
  crypto.verify(hello.relayKey, labelled(LABELS.hubHello, helloTranscript(hello)), hello.signature);

/** `readerSeed`: Ed25519, 32 bytes. */
export const signHubAuth = async (
  readerSeed: Uint8Array,
  nonce: Uint8Array,
  relayKey: Uint8Array,
  readerKey: Uint8Array,
  crypto: CryptoBackend,
): Promise<Uint8Array> =>
  crypto.sign(readerSeed, labelled(LABELS.hubAuth, authTranscript(nonce, relayKey, readerKey)));

export const verifyHubAuth = async (
  auth: {
    readonly nonce: Uint8Array;
    readonly relayKey: Uint8Array;
    readonly readerKey: Uint8Array;
    readonly signature: Uint8Array;
  },
  crypto: CryptoBackend,
): Promise<boolean> =>
  crypto.verify(
    auth.readerKey,
    labelled(LABELS.hubAuth, authTranscript(auth.nonce, auth.relayKey, auth.readerKey)),
    auth.signature,
  );

/**
 * 32 bytes. `shared`: X25519 of the send key and the relay's ephemeral key of this connection;
 * `transcript`: wire's `sendTranscript`. Both sides compute it; it proves the send key without a signature.
 */
export function sendAuthenticator(shared: Uint8Array, transcript: Uint8Array): Uint8Array {
  const key = hkdfSha256(shared, new Uint8Array(32), utf8ToBytes(LABELS.hubSend), 32);
  return hmacSha256(key, transcript);
}

/**
 * 32 bytes: shows a token for one connection and one reader, so that whoever hears it cannot use it for another.
 * `output`: 64 bytes (token.ts); `transcript`: wire's `authTranscript`.
 */
export function admissionAuthenticator(output: Uint8Array, transcript: Uint8Array): Uint8Array {
  const key = hkdfSha256(output, new Uint8Array(32), utf8ToBytes(LABELS.hubAdmission), 32);
  return hmacSha256(key, transcript);
}

/** Whether `proof` (8 bytes) behind wire's `workTranscript` hashes to at least so many leading zero bits. One hash. */
export function provesWork(transcript: Uint8Array, proof: Uint8Array, bits: number): boolean {
  const digest = sha256(labelled(LABELS.hubWork, transcript, proof));
  let zeros = 0;
  for (const byte of digest) {
    if (byte !== 0) return zeros + Math.clz32(byte) - 24 >= bits;
    zeros += 8;
  }
  return zeros >= bits;
}

/**
 * Looks for a proof among `count` counters from `from` on; undefined when none of them is one. About 2^bits are
 * needed: callers look in pieces and let others run between them.
 */
export function findWork(
  transcript: Uint8Array,
  bits: number,
  from: number,
  count: number,
): Uint8Array<ArrayBuffer> | undefined {
  const proof = new Uint8Array(8);
  const view = new DataView(proof.buffer);
  for (let counter = from; counter < from + count; counter++) {
    view.setBigUint64(0, BigInt(counter));
    if (provesWork(transcript, proof, bits)) return proof;
  }
  return undefined;
}
