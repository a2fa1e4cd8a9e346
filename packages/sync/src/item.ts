/**
 * What reconciliation compares: one item for each event, an id and eight bytes that depend on id and content.
 * Owns: keys of a set, hashes of items, fingerprints. Leaves to item-set.ts: order and sums.
 * Spec: SPEC.md §2.
 */
import { type CryptoBackend, hkdfSha256, hmacSha256 } from "@sotto/crypto";
import {
  asEventId,
  concatBytes,
  createReader,
  createWriter,
  EVENT_ID_BYTES,
  type EventId,
  utf8ToBytes,
} from "@sotto/wire";
import { type HalfSip, halfSipHash } from "./half-sip-hash.ts";

/** SHA-256 over an encoded event (§5.1). */
export const CONTENT_HASH_BYTES = 32;
/** What stands for an item in symbols and lists. */
export const ITEM_HASH_BYTES = 8;
/** Of a whole set, on the wire. */
export const FINGERPRINT_BYTES = 16;
/** None, or this many random bytes: another salt makes hashes that have nothing to do with the last ones. */
export const SALT_BYTES = 16;
/** An account's secret for sets, or that of a session with somebody else. */
export const SET_SECRET_BYTES = 32;
/** Items in one set: what a peer says it has beyond that is malformed. */
export const ITEMS_MAX = 2 ** 22;

/** Every label of this package; none of them is one of crypto's, which a test checks. */
export const SYNC_LABELS = {
  setKeys: "sotto/1 set keys",
  event: "sotto/1 event",
} as const;

/** Secret. What the hashes of one set are made with; both sides need the same. */
export interface SetKeys {
  /** Empty or SALT_BYTES. */
  readonly salt: Uint8Array;
  readonly item: Uint8Array;
  readonly fingerprint: Uint8Array;
  /** Little-endian words of the HalfSipHash key. */
  readonly sip0: number;
  readonly sip1: number;
  readonly hmac: CryptoBackend["hmac"];
}

/**
 * `secret`: SET_SECRET_BYTES. Between own devices the salt is empty, so that hashes can be kept with their events; a
 * salt is for others, and for another try after a fingerprint did not fit.
 */
export function deriveSetKeys(
  secret: Uint8Array,
  salt: Uint8Array = new Uint8Array(0),
  hmac: CryptoBackend["hmac"] = hmacSha256,
): SetKeys {
  if (secret.length !== SET_SECRET_BYTES)
    throw new RangeError(`a secret of ${secret.length} bytes`);
  if (salt.length !== 0 && salt.length !== SALT_BYTES) {
    throw new RangeError(`a salt of ${salt.length} bytes`);
  }
  const bytes = hkdfSha256(secret, salt, utf8ToBytes(SYNC_LABELS.setKeys), 72, hmac);
  const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    salt,
    item: bytes.slice(0, 32),
    fingerprint: bytes.slice(32, 64),
    sip0: words.getUint32(64, true),
    sip1: words.getUint32(68, true),
    hmac,
  };
}

/**
 * ITEM_HASH_BYTES of HMAC over id and `contentHash` (CONTENT_HASH_BYTES). Without the key nobody can look for two events
 * with one hash. One author who says two things under one id makes two items. */
export const itemHash = (keys: SetKeys, id: EventId, contentHash: Uint8Array): Uint8Array =>
  keys.hmac(keys.item, concatBytes(id, contentHash)).slice(0, ITEM_HASH_BYTES);

/** Eight bytes, of which the low word is the check word, of an item hash given as little-endian words. */
export const tagOf = (keys: SetKeys, low: number, high: number, out: HalfSip): void =>
  halfSipHash(keys.sip0, keys.sip1, low, high, out);

/** `sum`: four little-endian words (§2.3). */
export function fingerprintOf(keys: SetKeys, count: number, sum: Uint32Array): Uint8Array {
  const bytes = new Uint8Array(20);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, count);
  for (let word = 0; word < 4; word++) view.setUint32(4 + 4 * word, sum[word] ?? 0, true);
  return keys.hmac(keys.fingerprint, bytes).slice(0, FINGERPRINT_BYTES);
}

/** Milliseconds in an event id: its first six bytes. */
export const timeOf = (id: EventId): number => createReader(id).u48();

export const eventId = (ms: number, counter: number, device: Uint8Array): EventId =>
  asEventId(createWriter(EVENT_ID_BYTES).u48(ms).u16(counter).raw(device).done());
