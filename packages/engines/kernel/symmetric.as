/**
 * ChaCha20-Poly1305 (RFC 8439 §2.8) and HMAC-SHA-256 (RFC 2104, FIPS 180-4) for short texts: no branch and no address
 * depends on a secret, only on lengths.
 * Owns: blocks, padding, wiping what it used. Leaves to src/symmetric-kernel.ts: where a text begins, which lengths fit,
 * and taking the results out.
 *
 * AssemblyScript. All numbers in memory are little-endian but those of SHA-256.
 */

// Input of seal, authenticate and decrypt; then Poly1305's r and s, the tag that came, and the one that was computed.
const KEY: usize = 0;
const NONCE: usize = 32;
const ONE_TIME_KEY: usize = 64;
const GIVEN_TAG: usize = 128;
const TAG: usize = 144;
// Of SHA-256 the state and the schedule; behind its constants, of HMAC the key, the outer message, the digest and the
// inner message.
const STATE: usize = 160;
const SCHEDULE: usize = 192;
const HMAC_KEY: usize = 704;
const OUTER: usize = 768;
const DIGEST: usize = 896;
const INNER: usize = 960;
/** Associated data, zeros to a whole 16 bytes, text, zeros to a whole 16 bytes, two lengths: what Poly1305 covers. */
const COVERED: usize = 4096;

/** Of SHA-256 (FIPS 180-4 §4.2.2). The compiler lays them out at 448. */
const CONSTANTS: usize = memory.data<u32>([
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
]);
const CONSTANTS_AT: usize = 448;

const MASK_26: i64 = (1 << 26) - 1;

/** Encrypts the text in place and puts the tag behind it. */
export function seal(aadBytes: usize, textBytes: usize): void {
  const text = COVERED + whole(aadBytes, 16);
  applyKeystream(text, textBytes);
  computeTag(aadBytes, text, textBytes);
  v128.store(text + textBytes, v128.load(TAG));
  memory.fill(KEY, 0, STATE);
}

/** 0 when the tag behind the text fits. The text stays encrypted. */
export function authenticate(aadBytes: usize, textBytes: usize): i32 {
  const text = COVERED + whole(aadBytes, 16);
  v128.store(GIVEN_TAG, v128.load(text + textBytes));
  computeTag(aadBytes, text, textBytes);
  return i32(v128.any_true(v128.xor(v128.load(GIVEN_TAG), v128.load(TAG))));
}

/** Decrypts the text in place: after `authenticate` alone. */
export function decrypt(aadBytes: usize, textBytes: usize): void {
  applyKeystream(COVERED + whole(aadBytes, 16), textBytes);
}

/** Everything from COVERED on of an input of that size, and what is in front of the constants. */
export function wipe(aadBytes: usize, textBytes: usize): void {
  memory.fill(KEY, 0, STATE);
  memory.fill(COVERED, 0, whole(aadBytes, 16) + whole(textBytes, 64) + 64);
}

/** `size` up to the next multiple of `unit`, a power of two. */
// @ts-ignore: decorator
@inline
function whole(size: usize, unit: usize): usize {
  return (size + unit - 1) & ~(unit - 1);
}

/** Changes whole blocks of 64 bytes: what is behind the text is not kept. */
function applyKeystream(text: usize, textBytes: usize): void {
  const end = text + whole(textBytes, 64);
  let counter: i32 = 1;
  for (let at: usize = text; at < end; at += 64) {
    chachaBlock(at, counter);
    counter++;
  }
}

/** XORs one block of keystream onto 64 bytes: four rows of four words, columns and diagonals in turn. */
function chachaBlock(at: usize, counter: i32): void {
  const row0 = i32x4(0x61707865, 0x3320646e, 0x79622d32, 0x6b206574);
  const row1 = v128.load(KEY);
  const row2 = v128.load(KEY, 16);
  const row3 = i32x4(counter, load<i32>(NONCE), load<i32>(NONCE, 4), load<i32>(NONCE, 8));
  let a = row0;
  let b = row1;
  let c = row2;
  let d = row3;
  for (let round: i32 = 0; round < 10; round++) {
    a = i32x4.add(a, b);
    d = rotate16(v128.xor(d, a));
    c = i32x4.add(c, d);
    b = rotate(v128.xor(b, c), 12);
    a = i32x4.add(a, b);
    d = rotate8(v128.xor(d, a));
    c = i32x4.add(c, d);
    b = rotate(v128.xor(b, c), 7);
    b = v128.shuffle<i32>(b, b, 1, 2, 3, 0);
    c = v128.shuffle<i32>(c, c, 2, 3, 0, 1);
    d = v128.shuffle<i32>(d, d, 3, 0, 1, 2);
    a = i32x4.add(a, b);
    d = rotate16(v128.xor(d, a));
    c = i32x4.add(c, d);
    b = rotate(v128.xor(b, c), 12);
    a = i32x4.add(a, b);
    d = rotate8(v128.xor(d, a));
    c = i32x4.add(c, d);
    b = rotate(v128.xor(b, c), 7);
    b = v128.shuffle<i32>(b, b, 3, 0, 1, 2);
    c = v128.shuffle<i32>(c, c, 2, 3, 0, 1);
    d = v128.shuffle<i32>(d, d, 1, 2, 3, 0);
  }
  v128.store(at, v128.xor(v128.load(at), i32x4.add(a, row0)));
  v128.store(at, v128.xor(v128.load(at, 16), i32x4.add(b, row1)), 16);
  v128.store(at, v128.xor(v128.load(at, 32), i32x4.add(c, row2)), 32);
  v128.store(at, v128.xor(v128.load(at, 48), i32x4.add(d, row3)), 48);
}

// @ts-ignore: decorator
@inline
function rotate(words: v128, bits: i32): v128 {
  return v128.or(i32x4.shl(words, bits), i32x4.shr_u(words, 32 - bits));
}

// @ts-ignore: decorator
@inline
function rotate16(words: v128): v128 {
  return v128.shuffle<u8>(words, words, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
}

// @ts-ignore: decorator
@inline
function rotate8(words: v128): v128 {
  return v128.shuffle<u8>(words, words, 3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14);
}

/** TAG of what is covered: only whole blocks, for lengths stand at the end and zeros in between (RFC 8439 §2.8). */
function computeTag(aadBytes: usize, text: usize, textBytes: usize): void {
  memory.fill(ONE_TIME_KEY, 0, 64);
  chachaBlock(ONE_TIME_KEY, 0);
  memory.fill(COVERED + aadBytes, 0, text - COVERED - aadBytes);
  const lengths = text + whole(textBytes, 16);
  memory.fill(text + textBytes, 0, lengths - text - textBytes);
  store<u64>(lengths, aadBytes);
  store<u64>(lengths, textBytes, 8);
  poly1305(lengths + 16);
}

/** Five limbs of 26 bits: products of two add up to less than 2^60 (RFC 8439 §2.5). */
function poly1305(end: usize): void {
  const r0: i64 = load<u32>(ONE_TIME_KEY) & 0x3ffffff;
  const r1: i64 = (load<u32>(ONE_TIME_KEY, 3) >> 2) & 0x3ffff03;
  const r2: i64 = (load<u32>(ONE_TIME_KEY, 6) >> 4) & 0x3ffc0ff;
  const r3: i64 = (load<u32>(ONE_TIME_KEY, 9) >> 6) & 0x3f03fff;
  const r4: i64 = (load<u32>(ONE_TIME_KEY, 12) >> 8) & 0x00fffff;
  const s1 = r1 * 5;
  const s2 = r2 * 5;
  const s3 = r3 * 5;
  const s4 = r4 * 5;
  let h0: i64 = 0;
  let h1: i64 = 0;
  let h2: i64 = 0;
  let h3: i64 = 0;
  let h4: i64 = 0;
  for (let at: usize = COVERED; at < end; at += 16) {
    h0 += i64(load<u32>(at)) & MASK_26;
    h1 += i64(load<u32>(at, 3) >> 2) & MASK_26;
    h2 += i64(load<u32>(at, 6) >> 4) & MASK_26;
    h3 += i64(load<u32>(at, 9) >> 6) & MASK_26;
    h4 += i64(load<u32>(at, 12) >> 8) | (1 << 24);
    const d0 = h0 * r0 + h1 * s4 + h2 * s3 + h3 * s2 + h4 * s1;
    let d1 = h0 * r1 + h1 * r0 + h2 * s4 + h3 * s3 + h4 * s2;
    let d2 = h0 * r2 + h1 * r1 + h2 * r0 + h3 * s4 + h4 * s3;
    let d3 = h0 * r3 + h1 * r2 + h2 * r1 + h3 * r0 + h4 * s4;
    let d4 = h0 * r4 + h1 * r3 + h2 * r2 + h3 * r1 + h4 * r0;
    d1 += d0 >> 26;
    d2 += d1 >> 26;
    d3 += d2 >> 26;
    d4 += d3 >> 26;
    h0 = (d0 & MASK_26) + (d4 >> 26) * 5;
    h1 = (d1 & MASK_26) + (h0 >> 26);
    h2 = d2 & MASK_26;
    h3 = d3 & MASK_26;
    h4 = d4 & MASK_26;
    h0 &= MASK_26;
  }
  h2 += h1 >> 26;
  h1 &= MASK_26;
  h3 += h2 >> 26;
  h2 &= MASK_26;
  h4 += h3 >> 26;
  h3 &= MASK_26;
  h0 += (h4 >> 26) * 5;
  h4 &= MASK_26;
  h1 += h0 >> 26;
  h0 &= MASK_26;
  // h - p, taken where it is not negative.
  let g0 = h0 + 5;
  let g1 = h1 + (g0 >> 26);
  let g2 = h2 + (g1 >> 26);
  let g3 = h3 + (g2 >> 26);
  const g4 = h4 + (g3 >> 26) - (1 << 26);
  const keep = g4 >> 63;
  h0 = (h0 & keep) | (g0 & MASK_26 & ~keep);
  h1 = (h1 & keep) | (g1 & MASK_26 & ~keep);
  h2 = (h2 & keep) | (g2 & MASK_26 & ~keep);
  h3 = (h3 & keep) | (g3 & MASK_26 & ~keep);
  h4 = (h4 & keep) | (g4 & ~keep);
  const low = h0 | (h1 << 26) | (h2 << 52);
  const high = (h2 >> 12) | (h3 << 14) | (h4 << 40);
  // The sum with s modulo 2^128, in words of 32 bits.
  let sum = (low & 0xffffffff) + i64(load<u32>(ONE_TIME_KEY, 16));
  store<u32>(TAG, u32(sum));
  sum = (low >>> 32) + i64(load<u32>(ONE_TIME_KEY, 20)) + (sum >>> 32);
  store<u32>(TAG, u32(sum), 4);
  sum = (high & 0xffffffff) + i64(load<u32>(ONE_TIME_KEY, 24)) + (sum >>> 32);
  store<u32>(TAG, u32(sum), 8);
  sum = (high >>> 32) + i64(load<u32>(ONE_TIME_KEY, 28)) + (sum >>> 32);
  store<u32>(TAG, u32(sum), 12);
}

/** DIGEST of the message behind INNER + 64 under the key in HMAC_KEY, which is zeros from its end to 64 bytes. */
export function hmac(messageBytes: usize): void {
  for (let at: usize = 0; at < 64; at += 16) {
    const key = v128.load(HMAC_KEY + at);
    v128.store(INNER + at, v128.xor(key, i8x16.splat(0x36)));
    v128.store(OUTER + at, v128.xor(key, i8x16.splat(0x5c)));
  }
  hash(INNER, 64 + messageBytes, OUTER + 64);
  hash(OUTER, 96, DIGEST);
  memory.fill(STATE, 0, CONSTANTS_AT - STATE);
  memory.fill(HMAC_KEY, 0, DIGEST - HMAC_KEY);
  memory.fill(INNER, 0, whole(64 + messageBytes + 9, 64));
}

/** SHA-256 of a message, padded where it stands. */
function hash(from: usize, size: usize, to: usize): void {
  const end = from + whole(size + 9, 64);
  memory.fill(from + size, 0, end - from - size);
  store<u8>(from + size, 0x80);
  store<u64>(end - 8, bswap<u64>(size << 3));
  store<u32>(STATE, 0x6a09e667);
  store<u32>(STATE, 0xbb67ae85, 4);
  store<u32>(STATE, 0x3c6ef372, 8);
  store<u32>(STATE, 0xa54ff53a, 12);
  store<u32>(STATE, 0x510e527f, 16);
  store<u32>(STATE, 0x9b05688c, 20);
  store<u32>(STATE, 0x1f83d9ab, 24);
  store<u32>(STATE, 0x5be0cd19, 28);
  for (let at: usize = from; at < end; at += 64) compress(at);
  for (let word: usize = 0; word < 32; word += 4) {
    store<u32>(to + word, bswap<u32>(load<u32>(STATE + word)));
  }
}

function compress(block: usize): void {
  for (let word: usize = 0; word < 64; word += 4) {
    store<u32>(SCHEDULE + word, bswap<u32>(load<u32>(block + word)));
  }
  for (let at: usize = SCHEDULE; at < SCHEDULE + 192; at += 4) {
    const early = load<u32>(at, 4);
    const late = load<u32>(at, 56);
    store<u32>(
      at,
      load<u32>(at) +
        (rotr<u32>(early, 7) ^ rotr<u32>(early, 18) ^ (early >> 3)) +
        load<u32>(at, 36) +
        (rotr<u32>(late, 17) ^ rotr<u32>(late, 19) ^ (late >> 10)),
      64,
    );
  }
  let a = load<u32>(STATE);
  let b = load<u32>(STATE, 4);
  let c = load<u32>(STATE, 8);
  let d = load<u32>(STATE, 12);
  let e = load<u32>(STATE, 16);
  let f = load<u32>(STATE, 20);
  let g = load<u32>(STATE, 24);
  let h = load<u32>(STATE, 28);
  for (let word: usize = 0; word < 256; word += 4) {
    const first =
      h +
      (rotr<u32>(e, 6) ^ rotr<u32>(e, 11) ^ rotr<u32>(e, 25)) +
      (g ^ (e & (f ^ g))) +
      load<u32>(CONSTANTS + word) +
      load<u32>(SCHEDULE + word);
    const second =
      (rotr<u32>(a, 2) ^ rotr<u32>(a, 13) ^ rotr<u32>(a, 22)) + ((a & b) | (c & (a | b)));
    h = g;
    g = f;
    f = e;
    e = d + first;
    d = c;
    c = b;
    b = a;
    a = first + second;
  }
  store<u32>(STATE, load<u32>(STATE) + a);
  store<u32>(STATE, load<u32>(STATE, 4) + b, 4);
  store<u32>(STATE, load<u32>(STATE, 8) + c, 8);
  store<u32>(STATE, load<u32>(STATE, 12) + d, 12);
  store<u32>(STATE, load<u32>(STATE, 16) + e, 16);
  store<u32>(STATE, load<u32>(STATE, 20) + f, 20);
  store<u32>(STATE, load<u32>(STATE, 24) + g, 24);
  store<u32>(STATE, load<u32>(STATE, 28) + h, 28);
}
