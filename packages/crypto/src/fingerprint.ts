/**
 * Safety numbers: what two people compare to know that nobody sits between them.
 * Spec: SPEC.md §8.
 */
import { bytesToBase32, concatBytes, createWriter, utf8ToBytes } from "@sotto/wire";
import { accountIdOf } from "./identity.ts";
import { LABELS } from "./labels.ts";
import { sha512 } from "./primitives.ts";

/** Makes finding a second key with the same 30 digits that much dearer. */
export const FINGERPRINT_ROUNDS = 5_200;
const VERSION = 1;
export const SAFETY_QR_PREFIX = "SOTTO1";

/**
 * `digits`: 60, the same on both devices. `qr`: prefix and upper-case base32 of both 32-byte halves.
 * Keys: Ed25519 root keys, 32 bytes.
 */
export function safetyNumber(
  ownRootKey: Uint8Array,
  remoteRootKey: Uint8Array,
): { readonly digits: string; readonly qr: string } {
  const halves = [fingerprint(ownRootKey), fingerprint(remoteRootKey)].toSorted(compareBytes);
  return {
    digits: halves.map(digitsOf).join(""),
    qr: SAFETY_QR_PREFIX + bytesToBase32(concatBytes(...halves)).toUpperCase(),
  };
}

/** 32 bytes. */
function fingerprint(rootKey: Uint8Array): Uint8Array {
  const head = createWriter().raw(utf8ToBytes(LABELS.safetyNumber)).u8(0).u16(VERSION).done();
  let hash: Uint8Array = concatBytes(head, rootKey, accountIdOf(rootKey));
  for (let round = 0; round < FINGERPRINT_ROUNDS; round++) {
    hash = sha512(concatBytes(hash, rootKey));
  }
  return hash.slice(0, 32);
}

/** 30 digits: six groups of five, each from five bytes modulo 100,000. */
function digitsOf(half: Uint8Array): string {
  let digits = "";
  for (let group = 0; group < 6; group++) {
    let value = 0;
    for (const byte of half.subarray(group * 5, group * 5 + 5)) value = value * 256 + byte;
    digits += String(value % 100_000).padStart(5, "0");
  }
  return digits;
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let index = 0; index < a.length; index++) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
