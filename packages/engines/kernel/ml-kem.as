/**
 * ML-KEM-768 (FIPS 203) with SHA-3 and SHAKE (FIPS 202): no branch and no address depends on a secret, and nothing is
 * divided. What is sampled from the public seed takes as many blocks as that seed needs.
 * Owns: keys from a seed, both directions of an exchange, implicit rejection, wiping what it used. Leaves to
 * src/kernels/ml-kem.ts: lengths, the modulus check of a public key (FIPS 203 §7.2), taking the results out.
 *
 * AssemblyScript. A polynomial is 256 signed numbers of 2 bytes modulo q = 3329, not always reduced. Products are
 * Montgomery's: `multiply(a, b)` is a b / 2^16, between -q and q for |a b| < 2^15 q. `ZETAS` have the factor 2^16 in
 * them, so that it leaves a polynomial as it was.
 */

// Input and output.
/** d, 32 bytes, and z: the seed of a key. */
const SEED: usize = 0;
/** m: the randomness of an encapsulation; H(ek) behind it, for both are hashed together. */
const MESSAGE: usize = 64;
const KEY_HASH: usize = 96;
/** Room for the padding of a block of SHA3-512. */
const SHARED: usize = 192;
/** Of a decapsulation: what the ciphertext decrypts to, with its hash, and the secret that a wrong one gives. */
const FOUND: usize = 256;
const REJECTED: usize = 384;
const SIGMA: usize = 416;
/** ek: three polynomials of 12 bits a coefficient, and rho. Padding of a block behind it. */
const PUBLIC: usize = 512;
const RHO: usize = 1664;
/** z and the ciphertext, for both are hashed together. Padding behind it. */
const REJECTION_SEED: usize = 1792;
const CIPHERTEXT: usize = 1824;
/** The ciphertext of a decryption, made again. */
const AGAIN: usize = 3072;
/** A block of a hash, and the state. */
const BLOCK: usize = 4352;
const STATE: usize = 4608;
// Constants, which the compiler lays out at 4864.
const CONSTANTS: usize = 4864;
const ROUND_CONSTANTS: usize = memory.data<u64>([
  0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000,
  0x000000000000808b, 0x0000000080000001, 0x8000000080008081, 0x8000000000008009,
  0x000000000000008a, 0x0000000000000088, 0x0000000080008009, 0x000000008000000a,
  0x000000008000808b, 0x800000000000008b, 0x8000000000008089, 0x8000000000008003,
  0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
  0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
]);
/** 17 to the power of the reversed 7 bits of the index, times 2^16 (FIPS 203, appendix A). */
const ZETAS: usize = memory.data<i16>([
  -1044, -758, -359, -1517, 1493, 1422, 287, 202, -171, 622, 1577, 182,
  962, -1202, -1474, 1468, 573, -1325, 264, 383, -829, 1458, -1602, -130,
  -681, 1017, 732, 608, -1542, 411, -205, -1571, 1223, 652, -552, 1015,
  -1293, 1491, -282, -1544, 516, -8, -320, -666, -1618, -1162, 126, 1469,
  -853, -90, -271, 830, 107, -1421, -247, -951, -398, 961, -1508, -725,
  448, -1065, 677, -1275, -1103, 430, 555, 843, -1251, 871, 1550, 105,
  422, 587, 177, -235, -291, -460, 1574, 1653, -246, 778, 1159, -147,
  -777, 1483, -602, 1119, -1590, 644, -872, 349, 418, 329, -156, -75,
  817, 1097, 603, 610, 1322, -1285, -1465, 384, -1215, -136, 1218, -1335,
  -874, 220, -1187, -1659, -1185, -1530, -1278, 794, -1510, -854, -870, 478,
  -108, -308, 996, 991, 958, -1460, 1522, 1628,
]);
// Polynomials, 512 bytes each; vectors have three, the matrix nine, and room behind it for what a block gives too much.
const POLY_BYTES: usize = 512;
const VECTOR_BYTES: usize = 1536;
const MATRIX: usize = 5632;
const SECRET: usize = 10752;
const T: usize = 12288;
const Y: usize = 13824;
const U: usize = 15360;
const V: usize = 16896;
const NOISE: usize = 17408;
const PRODUCT: usize = 17920;
const END: usize = 18432;

const Q: i32 = 3329;
/** 1 / q modulo 2^16, as a signed number. */
const Q_INVERSE: i32 = -3327;
const CIPHERTEXT_BYTES: usize = 1088;
/** Of u in a ciphertext; v follows. */
const U_BYTES: usize = 960;
const PACKED_POLY_BYTES: usize = 384;

/** PUBLIC of SEED. */
export function publicKey(): void {
  makeKey();
  wipe();
  memory.fill(SEED, 0, PUBLIC);
}

/** CIPHERTEXT and SHARED for PUBLIC and MESSAGE. */
export function encapsulate(): void {
  unpackPublic();
  sampleMatrix();
  hashPublic();
  // K and r.
  hash(MESSAGE, 64, 72, 1, 0x06);
  copy(SHARED, STATE, 32);
  copy(SIGMA, STATE + 32, 32);
  encrypt(MESSAGE, CIPHERTEXT);
  wipe();
  memory.fill(MESSAGE, 0, SHARED - MESSAGE);
  memory.fill(SHARED + 32, 0, PUBLIC - SHARED - 32);
  memory.fill(PUBLIC, 0, CIPHERTEXT - PUBLIC);
}

/** SHARED of SEED and CIPHERTEXT; for one that was not made for this key, a secret that follows from both. */
export function decapsulate(): void {
  makeKey();
  hashPublic();
  decrypt();
  copy(FOUND + 32, KEY_HASH, 32);
  hash(FOUND, 64, 72, 1, 0x06);
  copy(SHARED, STATE, 32);
  copy(SIGMA, STATE + 32, 32);
  encrypt(FOUND, AGAIN);
  let difference: u64 = 0;
  for (let at: usize = 0; at < CIPHERTEXT_BYTES; at += 8) {
    difference |= load<u64>(CIPHERTEXT + at) ^ load<u64>(AGAIN + at);
  }
  // J(z || c).
  copy(REJECTION_SEED, SEED + 32, 32);
  hash(REJECTION_SEED, 1120, 136, 9, 0x1f);
  copy(REJECTED, STATE, 32);
  const wrong: u64 = u64(i64(difference | (0 - difference)) >> 63);
  for (let at: usize = 0; at < 32; at += 8) {
    const shared = load<u64>(SHARED + at);
    store<u64>(SHARED + at, shared ^ (wrong & (shared ^ load<u64>(REJECTED + at))));
  }
  wipe();
  memory.fill(SEED, 0, SHARED);
  memory.fill(SHARED + 32, 0, BLOCK - SHARED - 32);
}

/** Everything behind the constants, and the state of a hash. */
function wipe(): void {
  memory.fill(AGAIN, 0, CONSTANTS - AGAIN);
  memory.fill(MATRIX, 0, END - MATRIX);
}

/** PUBLIC, SECRET and the matrix of SEED (FIPS 203 §5.1). The two vectors are transformed. */
function makeKey(): void {
  copy(BLOCK, SEED, 32);
  store<u8>(BLOCK + 32, 3);
  hash(BLOCK, 33, 72, 1, 0x06);
  copy(RHO, STATE, 32);
  copy(SIGMA, STATE + 32, 32);
  sampleMatrix();
  for (let row: usize = 0; row < 3; row++) {
    sampleNoise(SECRET + row * POLY_BYTES, row);
    transform(SECRET + row * POLY_BYTES);
  }
  for (let row: usize = 0; row < 3; row++) {
    const t = T + row * POLY_BYTES;
    multiplyVectors(t, MATRIX + row * VECTOR_BYTES, POLY_BYTES, SECRET);
    sampleNoise(NOISE, 3 + row);
    transform(NOISE);
    for (let at: usize = 0; at < POLY_BYTES; at += 2) {
      // 1353 is 2^32 modulo q: once for the product, once for this one.
      store<i16>(t + at, barrett(multiply(load<i16>(t + at), 1353) + load<i16>(NOISE + at)));
    }
    pack(PUBLIC + row * PACKED_POLY_BYTES, t);
  }
}

/** T of PUBLIC, transformed. */
function unpackPublic(): void {
  let from: usize = PUBLIC;
  for (let at: usize = T; at < T + VECTOR_BYTES; at += 4) {
    const low: i32 = load<u8>(from);
    const middle: i32 = load<u8>(from, 1);
    const high: i32 = load<u8>(from, 2);
    store<i16>(at, low | ((middle & 15) << 8));
    store<i16>(at, (middle >> 4) | (high << 4), 2);
    from += 3;
  }
}

/** K-PKE.Encrypt of the 32 bytes at `message` under the key in T and the matrix, with the randomness in SIGMA. */
function encrypt(message: usize, to: usize): void {
  for (let row: usize = 0; row < 3; row++) {
    sampleNoise(Y + row * POLY_BYTES, row);
    transform(Y + row * POLY_BYTES);
  }
  for (let row: usize = 0; row < 3; row++) {
    const u = U + row * POLY_BYTES;
    // A column: the matrix is transposed here.
    multiplyVectors(u, MATRIX + row * POLY_BYTES, VECTOR_BYTES, Y);
    transformBack(u);
    sampleNoise(NOISE, 3 + row);
    addTo(u, NOISE);
    compress10(to + row * 320, u);
  }
  multiplyVectors(V, T, POLY_BYTES, Y);
  transformBack(V);
  sampleNoise(NOISE, 6);
  addTo(V, NOISE);
  for (let at: usize = 0; at < POLY_BYTES; at += 2) {
    const bit = (load<u8>(message + (at >> 4)) >> u8((at >> 1) & 7)) & 1;
    store<i16>(V + at, i32(load<i16>(V + at)) + (-i32(bit) & 1665));
  }
  compress4(to + U_BYTES, V);
}

/** FOUND of CIPHERTEXT and SECRET. */
function decrypt(): void {
  for (let row: usize = 0; row < 3; row++) {
    decompress10(U + row * POLY_BYTES, CIPHERTEXT + row * 320);
    transform(U + row * POLY_BYTES);
  }
  multiplyVectors(PRODUCT, SECRET, POLY_BYTES, U);
  transformBack(PRODUCT);
  memory.fill(FOUND, 0, 32);
  for (let at: usize = 0; at < 256; at++) {
    // v, four bits a coefficient.
    const packed: i32 = load<u8>(CIPHERTEXT + U_BYTES + (at >> 1));
    const v = (((packed >> i32((at & 1) << 2)) & 15) * Q + 8) >> 4;
    const w = positive(barrett(v - i32(load<i16>(PRODUCT + 2 * at))));
    // 2 w / q, rounded, modulo 2.
    const bit = (((u32(w) << 1) + 1665) * 80635) >> 28;
    const byte = FOUND + (at >> 3);
    store<u8>(byte, u32(load<u8>(byte)) | ((bit & 1) << u32(at & 7)));
  }
}

/** `to` = the sum of three products of transformed polynomials, divided by 2^16; those of `a` are `step` bytes apart. */
function multiplyVectors(to: usize, a: usize, step: usize, b: usize): void {
  for (let pair: usize = 0; pair < POLY_BYTES; pair += 8) {
    const zeta: i32 = load<i16>(ZETAS + 128 + (pair >> 2));
    multiplyPairs(to + pair, a + pair, step, b + pair, zeta);
    multiplyPairs(to + pair + 4, a + pair + 4, step, b + pair + 4, -zeta);
  }
}

/** The same of two coefficients: products modulo X^2 - zeta. */
// @ts-ignore: decorator
@inline
function multiplyPairs(to: usize, a: usize, step: usize, b: usize, zeta: i32): void {
  let even: i32 = 0;
  let odd: i32 = 0;
  let left = a;
  for (let right: usize = b; right < b + VECTOR_BYTES; right += POLY_BYTES) {
    const a0: i32 = load<i16>(left);
    const a1: i32 = load<i16>(left, 2);
    const b0: i32 = load<i16>(right);
    const b1: i32 = load<i16>(right, 2);
    even += multiply(multiply(a1, b1), zeta) + multiply(a0, b0);
    odd += multiply(a0, b1) + multiply(a1, b0);
    left += step;
  }
  store<i16>(to, barrett(even));
  store<i16>(to, barrett(odd), 2);
}

/** NTT (FIPS 203, algorithm 9), in place; reduced at the end. */
function transform(poly: usize): void {
  let zetaAt: usize = ZETAS;
  for (let length: usize = 256; length > 2; length >>= 1) {
    for (let start: usize = poly; start < poly + POLY_BYTES; start += 2 * length) {
      zetaAt += 2;
      const zeta: i32 = load<i16>(zetaAt);
      for (let at: usize = start; at < start + length; at += 2) {
        const product = multiply(zeta, load<i16>(at + length));
        const other: i32 = load<i16>(at);
        store<i16>(at + length, other - product);
        store<i16>(at, other + product);
      }
    }
  }
  for (let at: usize = poly; at < poly + POLY_BYTES; at += 2) store<i16>(at, barrett(load<i16>(at)));
}

/** The way back (algorithm 10), times 2^16. */
function transformBack(poly: usize): void {
  let zetaAt: usize = ZETAS + 256;
  for (let length: usize = 4; length < POLY_BYTES; length <<= 1) {
    for (let start: usize = poly; start < poly + POLY_BYTES; start += 2 * length) {
      zetaAt -= 2;
      const zeta: i32 = load<i16>(zetaAt);
      for (let at: usize = start; at < start + length; at += 2) {
        const low: i32 = load<i16>(at);
        const high: i32 = load<i16>(at + length);
        store<i16>(at, barrett(low + high));
        store<i16>(at + length, multiply(zeta, high - low));
      }
    }
  }
  // 1441 is 2^32 / 128 modulo q.
  for (let at: usize = poly; at < poly + POLY_BYTES; at += 2) {
    store<i16>(at, multiply(load<i16>(at), 1441));
  }
}

/** a b / 2^16 modulo q. */
// @ts-ignore: decorator
@inline
function multiply(a: i32, b: i32): i32 {
  const product = a * b;
  return (product - i32(i16(product * Q_INVERSE)) * Q) >> 16;
}

/** The same modulo q, between -q/2 and q/2, for numbers of 16 bits. */
// @ts-ignore: decorator
@inline
function barrett(a: i32): i32 {
  // 20159 is 2^26 / q, rounded.
  return a - ((20159 * a + (1 << 25)) >> 26) * Q;
}

/** From 0 to q - 1, for what is between -q and q. */
// @ts-ignore: decorator
@inline
function positive(a: i32): i32 {
  return a + ((a >> 31) & Q);
}

function addTo(poly: usize, other: usize): void {
  for (let at: usize = 0; at < POLY_BYTES; at += 2) {
    store<i16>(poly + at, barrett(i32(load<i16>(poly + at)) + i32(load<i16>(other + at))));
  }
}

/** Twelve bits a coefficient. */
function pack(to: usize, poly: usize): void {
  for (let at: usize = poly; at < poly + POLY_BYTES; at += 4) {
    const first = positive(load<i16>(at));
    const second = positive(load<i16>(at, 2));
    store<u8>(to, first);
    store<u8>(to, (first >> 8) | (second << 4), 1);
    store<u8>(to, second >> 4, 2);
    to += 3;
  }
}

/** 2^10 x / q, rounded, modulo 2^10. */
// @ts-ignore: decorator
@inline
function tenBits(at: usize): u64 {
  const x = u64(positive(barrett(load<i16>(at))));
  return (((x << 10) + 1665) * 1290167 >> 32) & 0x3ff;
}

function compress10(to: usize, poly: usize): void {
  for (let at: usize = poly; at < poly + POLY_BYTES; at += 8) {
    const bits = tenBits(at) | (tenBits(at + 2) << 10) | (tenBits(at + 4) << 20) | (tenBits(at + 6) << 30);
    store<u32>(to, u32(bits));
    store<u8>(to, u8(bits >> 32), 4);
    to += 5;
  }
}

function decompress10(poly: usize, from: usize): void {
  for (let at: usize = poly; at < poly + POLY_BYTES; at += 8) {
    let bits = u64(load<u32>(from)) | (u64(load<u8>(from, 4)) << 32);
    for (let one: usize = 0; one < 8; one += 2) {
      store<i16>(at + one, (i32(bits & 0x3ff) * Q + 512) >> 10);
      bits >>= 10;
    }
    from += 5;
  }
}

/** 2^4 x / q, rounded, modulo 2^4: what passes 32 bits would be cut off. */
// @ts-ignore: decorator
@inline
function fourBits(at: usize): u32 {
  const x = u32(positive(barrett(load<i16>(at))));
  return (((x << 4) + 1665) * 80635) >> 28;
}

function compress4(to: usize, poly: usize): void {
  for (let at: usize = poly; at < poly + POLY_BYTES; at += 4) {
    store<u8>(to, fourBits(at) | (fourBits(at + 2) << 4));
    to++;
  }
}

/** Nine uniform polynomials from RHO, transformed by definition (algorithm 7): row and column follow in each seed. */
function sampleMatrix(): void {
  let poly: usize = MATRIX;
  for (let row: u32 = 0; row < 3; row++) {
    for (let column: u32 = 0; column < 3; column++) {
      // SHAKE128 of one block, up to the permutation.
      memory.fill(STATE, 0, 200);
      copy(STATE, RHO, 32);
      store<u8>(STATE + 32, column);
      store<u8>(STATE + 33, row);
      store<u8>(STATE + 34, 0x1f);
      store<u8>(STATE + 167, 0x80);
      for (let filled: usize = 0; filled < POLY_BYTES; filled = accept(poly, filled)) {}
      poly += POLY_BYTES;
    }
  }
}

/** Adds what of the next block is below q. What is too much is written over. */
function accept(poly: usize, filled: usize): usize {
  permute();
  for (let at: usize = STATE; at < STATE + 168; at += 3) {
    const low: i32 = load<u8>(at);
    const middle: i32 = load<u8>(at, 1);
    const high: i32 = load<u8>(at, 2);
    const first = low | ((middle & 15) << 8);
    store<i16>(poly + filled, first);
    filled += usize(((first - Q) >> 31) & 2);
    const second = (middle >> 4) | (high << 4);
    store<i16>(poly + filled, second);
    filled += usize(((second - Q) >> 31) & 2);
  }
  return filled;
}

/** A small polynomial (algorithm 8, eta = 2) from SIGMA and a number. */
function sampleNoise(poly: usize, number: usize): void {
  copy(BLOCK, SIGMA, 32);
  store<u8>(BLOCK + 32, u8(number));
  hash(BLOCK, 33, 136, 1, 0x1f);
  for (let at: usize = 0; at < 128; at += 4) {
    const bits = load<u32>(STATE + at);
    // Sums of two bits, in two bits each.
    let sums = (bits & 0x55555555) + ((bits >> 1) & 0x55555555);
    for (let to: usize = poly + 4 * at; to < poly + 4 * at + 16; to += 2) {
      store<i16>(to, i32(sums & 3) - i32((sums >> 2) & 3));
      sums >>= 4;
    }
  }
}

function copy(to: usize, from: usize, size: usize): void {
  memory.copy(to, from, size);
}

/** STATE of `size` bytes in `blocks` blocks, padded where they stand. `suffix`: 6 for SHA-3, 31 for SHAKE. */
function hash(from: usize, size: usize, rate: usize, blocks: usize, suffix: u8): void {
  const end = from + rate * blocks;
  memory.fill(from + size, 0, end - from - size);
  store<u8>(from + size, suffix);
  store<u8>(end - 1, load<u8>(end - 1) | 0x80);
  memory.fill(STATE, 0, 200);
  for (let block: usize = from; block < end; block += rate) {
    for (let at: usize = 0; at < rate; at += 8) {
      store<u64>(STATE + at, load<u64>(STATE + at) ^ load<u64>(block + at));
    }
    permute();
  }
}

/** KEY_HASH of PUBLIC. */
function hashPublic(): void {
  hash(PUBLIC, 1184, 136, 9, 0x06);
  copy(KEY_HASH, STATE, 32);
}

/** Keccak-f[1600] (FIPS 202 §3.3). */
function permute(): void {
  let a0 = load<u64>(STATE, 0);
  let a1 = load<u64>(STATE, 8);
  let a2 = load<u64>(STATE, 16);
  let a3 = load<u64>(STATE, 24);
  let a4 = load<u64>(STATE, 32);
  let a5 = load<u64>(STATE, 40);
  let a6 = load<u64>(STATE, 48);
  let a7 = load<u64>(STATE, 56);
  let a8 = load<u64>(STATE, 64);
  let a9 = load<u64>(STATE, 72);
  let a10 = load<u64>(STATE, 80);
  let a11 = load<u64>(STATE, 88);
  let a12 = load<u64>(STATE, 96);
  let a13 = load<u64>(STATE, 104);
  let a14 = load<u64>(STATE, 112);
  let a15 = load<u64>(STATE, 120);
  let a16 = load<u64>(STATE, 128);
  let a17 = load<u64>(STATE, 136);
  let a18 = load<u64>(STATE, 144);
  let a19 = load<u64>(STATE, 152);
  let a20 = load<u64>(STATE, 160);
  let a21 = load<u64>(STATE, 168);
  let a22 = load<u64>(STATE, 176);
  let a23 = load<u64>(STATE, 184);
  let a24 = load<u64>(STATE, 192);
  for (let round: usize = 0; round < 192; round += 8) {
    const c0 = a0 ^ a5 ^ a10 ^ a15 ^ a20;
    const c1 = a1 ^ a6 ^ a11 ^ a16 ^ a21;
    const c2 = a2 ^ a7 ^ a12 ^ a17 ^ a22;
    const c3 = a3 ^ a8 ^ a13 ^ a18 ^ a23;
    const c4 = a4 ^ a9 ^ a14 ^ a19 ^ a24;
    const d0 = c4 ^ rotl<u64>(c1, 1);
    const d1 = c0 ^ rotl<u64>(c2, 1);
    const d2 = c1 ^ rotl<u64>(c3, 1);
    const d3 = c2 ^ rotl<u64>(c4, 1);
    const d4 = c3 ^ rotl<u64>(c0, 1);
    const b0 = a0 ^ d0;
    const b1 = rotl<u64>(a6 ^ d1, 44);
    const b2 = rotl<u64>(a12 ^ d2, 43);
    const b3 = rotl<u64>(a18 ^ d3, 21);
    const b4 = rotl<u64>(a24 ^ d4, 14);
    const b5 = rotl<u64>(a3 ^ d3, 28);
    const b6 = rotl<u64>(a9 ^ d4, 20);
    const b7 = rotl<u64>(a10 ^ d0, 3);
    const b8 = rotl<u64>(a16 ^ d1, 45);
    const b9 = rotl<u64>(a22 ^ d2, 61);
    const b10 = rotl<u64>(a1 ^ d1, 1);
    const b11 = rotl<u64>(a7 ^ d2, 6);
    const b12 = rotl<u64>(a13 ^ d3, 25);
    const b13 = rotl<u64>(a19 ^ d4, 8);
    const b14 = rotl<u64>(a20 ^ d0, 18);
    const b15 = rotl<u64>(a4 ^ d4, 27);
    const b16 = rotl<u64>(a5 ^ d0, 36);
    const b17 = rotl<u64>(a11 ^ d1, 10);
    const b18 = rotl<u64>(a17 ^ d2, 15);
    const b19 = rotl<u64>(a23 ^ d3, 56);
    const b20 = rotl<u64>(a2 ^ d2, 62);
    const b21 = rotl<u64>(a8 ^ d3, 55);
    const b22 = rotl<u64>(a14 ^ d4, 39);
    const b23 = rotl<u64>(a15 ^ d0, 41);
    const b24 = rotl<u64>(a21 ^ d1, 2);
    a0 = b0 ^ (~b1 & b2) ^ load<u64>(ROUND_CONSTANTS + round);
    a1 = b1 ^ (~b2 & b3);
    a2 = b2 ^ (~b3 & b4);
    a3 = b3 ^ (~b4 & b0);
    a4 = b4 ^ (~b0 & b1);
    a5 = b5 ^ (~b6 & b7);
    a6 = b6 ^ (~b7 & b8);
    a7 = b7 ^ (~b8 & b9);
    a8 = b8 ^ (~b9 & b5);
    a9 = b9 ^ (~b5 & b6);
    a10 = b10 ^ (~b11 & b12);
    a11 = b11 ^ (~b12 & b13);
    a12 = b12 ^ (~b13 & b14);
    a13 = b13 ^ (~b14 & b10);
    a14 = b14 ^ (~b10 & b11);
    a15 = b15 ^ (~b16 & b17);
    a16 = b16 ^ (~b17 & b18);
    a17 = b17 ^ (~b18 & b19);
    a18 = b18 ^ (~b19 & b15);
    a19 = b19 ^ (~b15 & b16);
    a20 = b20 ^ (~b21 & b22);
    a21 = b21 ^ (~b22 & b23);
    a22 = b22 ^ (~b23 & b24);
    a23 = b23 ^ (~b24 & b20);
    a24 = b24 ^ (~b20 & b21);
  }
  store<u64>(STATE, a0, 0);
  store<u64>(STATE, a1, 8);
  store<u64>(STATE, a2, 16);
  store<u64>(STATE, a3, 24);
  store<u64>(STATE, a4, 32);
  store<u64>(STATE, a5, 40);
  store<u64>(STATE, a6, 48);
  store<u64>(STATE, a7, 56);
  store<u64>(STATE, a8, 64);
  store<u64>(STATE, a9, 72);
  store<u64>(STATE, a10, 80);
  store<u64>(STATE, a11, 88);
  store<u64>(STATE, a12, 96);
  store<u64>(STATE, a13, 104);
  store<u64>(STATE, a14, 112);
  store<u64>(STATE, a15, 120);
  store<u64>(STATE, a16, 128);
  store<u64>(STATE, a17, 136);
  store<u64>(STATE, a18, 144);
  store<u64>(STATE, a19, 152);
  store<u64>(STATE, a20, 160);
  store<u64>(STATE, a21, 168);
  store<u64>(STATE, a22, 176);
  store<u64>(STATE, a23, 184);
  store<u64>(STATE, a24, 192);
}
