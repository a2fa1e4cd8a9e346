/**
 * What an installation shows to a relay that it keeps queues at: names and secrets of that relay alone, so that two
 * relays that compare what they know find no name in common.
 * Spec: SPEC.md §9.4.
 */
import { concatBytes, FIRST_USE_BYTES, QUEUE_ID_BYTES, utf8ToBytes } from "@sotto/wire";
import { LABELS } from "./labels.ts";
import { hkdfSha256, hmacSha256 } from "./primitives.ts";

export interface OwnAtRelay {
  /** Ed25519 seed, 32 bytes. */
  readonly readerSecret: Uint8Array;
  /** The name there of a queue, 24 bytes. */
  queueIdOf(queueId: Uint8Array): Uint8Array;
  /** 16 bytes: the queue's first-use secret there. `firstUse`: the stored one. */
  firstUseOf(queueId: Uint8Array, firstUse: Uint8Array): Uint8Array;
}

/** `readerSecret`: the installation's, 32 bytes. `relayKey`: Ed25519, 32 bytes. */
export function deriveOwnAtRelay(readerSecret: Uint8Array, relayKey: Uint8Array): OwnAtRelay {
  const keys = hkdfSha256(readerSecret, relayKey, utf8ToBytes(LABELS.ownAtRelay), 96);
  const [reader, queues, firstUses] = [0, 32, 64].map((at) => keys.slice(at, at + 32));
  if (reader === undefined || queues === undefined || firstUses === undefined) {
    throw new RangeError("HKDF of another length");
  }
  return {
    readerSecret: reader,
    queueIdOf: (queueId) => hmacSha256(queues, queueId).slice(0, QUEUE_ID_BYTES),
    firstUseOf: (queueId, firstUse) =>
      hmacSha256(firstUses, concatBytes(queueId, firstUse)).slice(0, FIRST_USE_BYTES),
  };
}
