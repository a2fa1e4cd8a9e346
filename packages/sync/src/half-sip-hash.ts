/**
 * HalfSipHash-2-4 with 64 bits of output, of exactly eight bytes: a keyed function of an item hash that costs a few
 * hundred additions where an HMAC costs four blocks of SHA-256.
 * Spec: SPEC.md §2.2 (Aumasson and Bernstein, SipHash, 2012; the variant for 32-bit words).
 */

/** Result of the last call, as two little-endian words. One place instead of an object for each of a million calls. */
export interface HalfSip {
  low: number;
  high: number;
}

const rotate = (word: number, bits: number): number => (word << bits) | (word >>> (32 - bits));

/** `key0`, `key1`, `low`, `high`: little-endian words of the eight bytes of key and input. Writes into `out`. */
export function halfSipHash(
  key0: number,
  key1: number,
  low: number,
  high: number,
  out: HalfSip,
): void {
  let v0 = key0;
  let v1 = key1 ^ 0xee;
  let v2 = 0x6c796765 ^ key0;
  let v3 = 0x74656462 ^ key1;
  // Word, rounds: both input words, then the length of eight in the top byte, then the two finalisations.
  for (let stage = 0; stage < 5; stage++) {
    const word = stage === 0 ? low : stage === 1 ? high : stage === 2 ? 8 << 24 : 0;
    if (stage < 3) v3 ^= word;
    else if (stage === 3) v2 ^= 0xee;
    else v1 ^= 0xdd;
    for (let round = stage < 3 ? 2 : 4; round > 0; round--) {
      v0 = (v0 + v1) | 0;
      v1 = rotate(v1, 5) ^ v0;
      v0 = rotate(v0, 16);
      v2 = (v2 + v3) | 0;
      v3 = rotate(v3, 8) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = rotate(v3, 7) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = rotate(v1, 13) ^ v2;
      v2 = rotate(v2, 16);
    }
    if (stage < 3) v0 ^= word;
    else if (stage === 3) out.low = (v1 ^ v3) >>> 0;
    else out.high = (v1 ^ v3) >>> 0;
  }
}
