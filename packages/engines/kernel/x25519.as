/**
 * X25519 (RFC 7748 §5) on integers of fixed size: no branch and no address depends on a secret.
 * Owns: the field, the ladder, multiples of the base point, wiping what it used. Leaves to src/kernel.ts: which points
 * are refused, and preparing the table before the first multiple of the base point.
 *
 * AssemblyScript. A field element is ten signed limbs of 8 bytes in memory, of 26 and 25 bits in turn: the sum of
 * limb[i] * 2^ceil(25.5 i), modulo p = 2^255 - 19. "Reduced" limbs are at most about 2^25 and 2^24 in size. A product
 * of two reduced elements adds up to less than 2^58; of a sum of m and a sum of n of them to m * n times that. No more
 * than 3 * 4 occur, and 2^62 is what `reduce` can take.
 */

// Input and output, 32 bytes each.
const SECRET: usize = 0;
const POINT: usize = 32;
const RESULT: usize = 64;
// Field elements, 80 bytes each.
const X1: usize = 128;
const X2: usize = 208;
const Z2: usize = 288;
const X3: usize = 368;
const Z3: usize = 448;
const A: usize = 528;
const B: usize = 608;
const C: usize = 688;
const D: usize = 768;
const E: usize = 848;
const F: usize = 928;
const ELEMENT_BYTES: usize = 80;
// A point of the curve -x^2 + y^2 = 1 + d x^2 y^2, on which additions are cheapest, as X, Y, Z and T = X Y / Z.
const POINT_BYTES: usize = 320;
const QX: usize = 1008;
const QY: usize = 1088;
const QZ: usize = 1168;
const QT: usize = 1248;
// Another one, while the table is made.
const PX: usize = 1328;
const PY: usize = 1408;
const PZ: usize = 1488;
const PT: usize = 1568;
// What of a point with Z = 1 is added to another: y + x, y - x, 2 d x y.
const PLUS: usize = 1648;
const MINUS: usize = 1728;
const TWISTED: usize = 1808;
/** 2 d, while the table is made. */
const TWO_D: usize = 1888;
/** The same three with limbs of 4 bytes, as the table has them. */
const PACKED: usize = 1968;
const PACKED_BYTES: usize = 120;
const PACKED_ELEMENT_BYTES: usize = 40;
/** The secret in 64 digits from -8 to 8, 8 bytes each: the sum of digit[i] * 16^i. */
const DIGITS: usize = 2088;
const DIGITS_END: usize = 2600;
const END: usize = 2600;
/** ROWS times ENTRIES points: j + 1 times 2^(16 row) times the base point. Kept. */
const TABLE: usize = 2600;
const ROWS: i32 = 16;
const ENTRIES: i32 = 8;
const ROW_BYTES: usize = 960;

const MASK_26: i64 = (1 << 26) - 1;
const MASK_25: i64 = (1 << 25) - 1;
/** (486662 - 2) / 4 of the curve. */
const A24: i64 = 121665;

/** RESULT = SECRET * POINT, as X25519 defines it; then everything but the result is zero again. */
export function exchange(): void {
  store<u8>(SECRET, load<u8>(SECRET) & 248);
  store<u8>(SECRET, (load<u8>(SECRET, 31) & 127) | 64, 31);
  unpack(X1, POINT);
  ladder();
  invert(F, Z2);
  multiply(X2, X2, F);
  pack(RESULT, X2);
  wipe(SECRET, RESULT);
  wipe(X1, END);
}

/** Fills the table. Nothing in it is secret. */
export function prepare(): void {
  setBytes(TWO_D, 0xebd69b9426b2f159, 0x00e0149a8283b156, 0x198e80f2eef3d130, 0x2406d9dc56dffce7);
  // The base point: y = 4/5.
  setBytes(PX, 0xc9562d608f25d51a, 0x692cc7609525a7b2, 0xc0a4e231fdd6dc5c, 0x216936d3cd6e53fe);
  setBytes(PY, 0x6666666666666658, 0x6666666666666666, 0x6666666666666666, 0x6666666666666666);
  setSmall(PZ, 1);
  multiply(PT, PX, PY);
  for (let row: i32 = 0; row < ROWS; row++) {
    copyPoint(QX, PX);
    const first = TABLE + usize(row) * ROW_BYTES;
    for (let entry: i32 = 0; entry < ENTRIES; entry++) {
      const at = first + usize(entry) * PACKED_BYTES;
      invert(F, QZ);
      multiply(QX, QX, F);
      multiply(QY, QY, F);
      multiply(QT, QX, QY);
      setSmall(QZ, 1);
      add(PLUS, QY, QX);
      subtract(MINUS, QY, QX);
      multiply(TWISTED, QT, TWO_D);
      packElement(at, PLUS);
      packElement(at + PACKED_ELEMENT_BYTES, MINUS);
      packElement(at + 2 * PACKED_ELEMENT_BYTES, TWISTED);
      unpackElement(PLUS, first);
      unpackElement(MINUS, first + PACKED_ELEMENT_BYTES);
      unpackElement(TWISTED, first + 2 * PACKED_ELEMENT_BYTES);
      addPoint();
    }
    copyPoint(QX, PX);
    doubleTimes(16);
    copyPoint(PX, QX);
  }
  wipe(X1, END);
}

/** RESULT = SECRET * base point, as `exchange` with u = 9 gives it; then all but result and table is zero again. */
export function publicKey(): void {
  recode();
  setSmall(QX, 0);
  setSmall(QY, 1);
  setSmall(QZ, 1);
  setSmall(QT, 0);
  for (let pass: i32 = 3; pass >= 0; pass--) {
    doubleTimes(4);
    for (let row: i32 = 0; row < ROWS; row++) {
      choose(TABLE + usize(row) * ROW_BYTES, load<i64>(DIGITS + usize(32 * row + 8 * pass)));
      addPoint();
    }
  }
  // u = (1 + y) / (1 - y). No secret leads to the point with y = 1: its multiple would be one of the order.
  subtract(E, QZ, QY);
  invert(F, E);
  add(E, QZ, QY);
  multiply(X2, E, F);
  pack(RESULT, X2);
  wipe(SECRET, RESULT);
  wipe(X1, END);
}

/** DIGITS of SECRET, with the bits that X25519 sets and clears. */
function recode(): void {
  store<u8>(SECRET, load<u8>(SECRET) & 248);
  store<u8>(SECRET, (load<u8>(SECRET, 31) & 127) | 64, 31);
  let secret: usize = SECRET;
  let carry: i64 = 0;
  for (let at: usize = DIGITS; at < DIGITS_END; at += 16) {
    const byte: i64 = load<u8>(secret);
    secret++;
    const low = (byte & 15) + carry;
    carry = (low + 8) >> 4;
    store<i64>(at, low - (carry << 4));
    const high = (byte >> 4) + carry;
    carry = (high + 8) >> 4;
    store<i64>(at, high - (carry << 4), 8);
  }
  // What passes the highest digit stays in it: it is 8 at most, for the secret is below 2^255.
  store<i64>(DIGITS_END - 8, load<i64>(DIGITS_END - 8) + (carry << 4));
}

/** PLUS, MINUS and TWISTED of `digit` times the first point of the row. Every entry is read. */
function choose(row: usize, digit: i64): void {
  const negative = digit >> 63;
  const size = (digit ^ negative) - negative;
  wipe(PACKED, PACKED + PACKED_BYTES);
  // Of nothing: 1, 1 and 0.
  const none = ((size - 1) >> 63) & 1;
  store<i64>(PACKED, none);
  store<i64>(PACKED, none, PACKED_ELEMENT_BYTES);
  let from = row;
  for (let entry: i32 = 0; entry < ENTRIES; entry++) {
    const mask = ((size ^ i64(entry + 1)) - 1) >> 63;
    for (let at: usize = 0; at < PACKED_BYTES; at += 8) {
      store<i64>(PACKED + at, load<i64>(PACKED + at) | (mask & load<i64>(from + at)));
    }
    from += PACKED_BYTES;
  }
  unpackElement(PLUS, PACKED);
  unpackElement(MINUS, PACKED + PACKED_ELEMENT_BYTES);
  unpackElement(TWISTED, PACKED + 2 * PACKED_ELEMENT_BYTES);
  swap(PLUS, MINUS, negative);
  for (let at: usize = 0; at < ELEMENT_BYTES; at += 8) {
    store<i64>(TWISTED + at, (load<i64>(TWISTED + at) ^ negative) - negative);
  }
}

/** Q += the point of PLUS, MINUS and TWISTED. Complete: right for any two points (Hisil et al. 2008, §3.1). */
function addPoint(): void {
  subtract(A, QY, QX);
  multiply(A, A, MINUS);
  add(B, QY, QX);
  multiply(B, B, PLUS);
  multiply(C, QT, TWISTED);
  add(D, QZ, QZ);
  subtract(E, B, A);
  subtract(F, D, C);
  add(D, D, C);
  add(B, B, A);
  multiply(QX, E, F);
  multiply(QY, D, B);
  multiply(QT, E, B);
  multiply(QZ, F, D);
}

/** Q = 2^count * Q (RFC 8032 §5.1.4). */
function doubleTimes(count: i32): void {
  for (let done: i32 = 0; done < count; done++) {
    square(A, QX);
    square(B, QY);
    square(C, QZ);
    add(C, C, C);
    add(D, QX, QY);
    square(D, D);
    add(F, A, B);
    subtract(E, F, D);
    subtract(D, A, B);
    add(C, C, D);
    multiply(QX, E, C);
    multiply(QY, D, F);
    multiply(QT, E, F);
    multiply(QZ, C, D);
  }
}

/** Four elements that stand one behind the other. */
function copyPoint(out: usize, a: usize): void {
  for (let at: usize = 0; at < POINT_BYTES; at += 8) store<i64>(out + at, load<i64>(a + at));
}

function packElement(out: usize, a: usize): void {
  let to = out;
  for (let at: usize = 0; at < ELEMENT_BYTES; at += 8) {
    store<i32>(to, i32(load<i64>(a + at)));
    to += 4;
  }
}

function unpackElement(out: usize, a: usize): void {
  let from = a;
  for (let at: usize = 0; at < ELEMENT_BYTES; at += 8) {
    store<i64>(out + at, i64(load<i32>(from)));
    from += 4;
  }
}

/** An element from four words of 8 bytes, little-endian. */
function setBytes(out: usize, w0: u64, w1: u64, w2: u64, w3: u64): void {
  store<u64>(PACKED, w0);
  store<u64>(PACKED, w1, 8);
  store<u64>(PACKED, w2, 16);
  store<u64>(PACKED, w3, 24);
  unpack(out, PACKED);
}

/** Montgomery's ladder: X2 / Z2 = u of SECRET * POINT. */
function ladder(): void {
  setSmall(X2, 1);
  setSmall(Z2, 0);
  copy(X3, X1);
  setSmall(Z3, 1);
  let previous: i64 = 0;
  for (let t: i32 = 254; t >= 0; t--) {
    const bit: i64 = (load<u8>(SECRET + usize(t >> 3)) >> u8(t & 7)) & 1;
    swap(X2, X3, -(previous ^ bit));
    swap(Z2, Z3, -(previous ^ bit));
    previous = bit;

    add(A, X2, Z2);
    subtract(B, X2, Z2);
    add(C, X3, Z3);
    subtract(D, X3, Z3);
    multiply(D, D, A);
    multiply(C, C, B);
    square(A, A);
    square(B, B);
    add(E, D, C);
    square(X3, E);
    subtract(E, D, C);
    square(E, E);
    multiply(Z3, X1, E);
    multiply(X2, A, B);
    subtract(E, A, B);
    scale(F, E);
    add(F, A, F);
    multiply(Z2, E, F);
  }
  swap(X2, X3, -previous);
  swap(Z2, Z3, -previous);
}

/** Exchanges two elements when `mask` is -1, leaves them when it is 0. */
function swap(a: usize, b: usize, mask: i64): void {
  for (let at: usize = 0; at < ELEMENT_BYTES; at += 8) {
    const left = load<i64>(a + at);
    const right = load<i64>(b + at);
    const change = mask & (left ^ right);
    store<i64>(a + at, left ^ change);
    store<i64>(b + at, right ^ change);
  }
}

function setSmall(out: usize, value: i64): void {
  wipe(out, out + ELEMENT_BYTES);
  store<i64>(out, value);
}

function copy(out: usize, a: usize): void {
  for (let at: usize = 0; at < ELEMENT_BYTES; at += 8) store<i64>(out + at, load<i64>(a + at));
}

function add(out: usize, a: usize, b: usize): void {
  for (let at: usize = 0; at < ELEMENT_BYTES; at += 8) {
    store<i64>(out + at, load<i64>(a + at) + load<i64>(b + at));
  }
}

function subtract(out: usize, a: usize, b: usize): void {
  for (let at: usize = 0; at < ELEMENT_BYTES; at += 8) {
    store<i64>(out + at, load<i64>(a + at) - load<i64>(b + at));
  }
}

/** From and to are multiples of 8. */
function wipe(from: usize, to: usize): void {
  for (let at = from; at < to; at += 8) store<i64>(at, 0);
}

/** out = a * A24, reduced. */
function scale(out: usize, a: usize): void {
  reduce(
    out,
    load<i64>(a, 0) * A24,
    load<i64>(a, 8) * A24,
    load<i64>(a, 16) * A24,
    load<i64>(a, 24) * A24,
    load<i64>(a, 32) * A24,
    load<i64>(a, 40) * A24,
    load<i64>(a, 48) * A24,
    load<i64>(a, 56) * A24,
    load<i64>(a, 64) * A24,
    load<i64>(a, 72) * A24,
  );
}

/** out = a * b, reduced; either may be `out`. */
function multiply(out: usize, a: usize, b: usize): void {
  const f0 = load<i64>(a, 0);
  const f1 = load<i64>(a, 8);
  const f2 = load<i64>(a, 16);
  const f3 = load<i64>(a, 24);
  const f4 = load<i64>(a, 32);
  const f5 = load<i64>(a, 40);
  const f6 = load<i64>(a, 48);
  const f7 = load<i64>(a, 56);
  const f8 = load<i64>(a, 64);
  const f9 = load<i64>(a, 72);
  const g0 = load<i64>(b, 0);
  const g1 = load<i64>(b, 8);
  const g2 = load<i64>(b, 16);
  const g3 = load<i64>(b, 24);
  const g4 = load<i64>(b, 32);
  const g5 = load<i64>(b, 40);
  const g6 = load<i64>(b, 48);
  const g7 = load<i64>(b, 56);
  const g8 = load<i64>(b, 64);
  const g9 = load<i64>(b, 72);
  // Two limbs of 25 bits at odd places meet one bit too low: d doubles. What passes 2^255 comes back 19-fold: w.
  const f1d: i64 = 2 * f1;
  const f3d: i64 = 2 * f3;
  const f5d: i64 = 2 * f5;
  const f7d: i64 = 2 * f7;
  const f9d: i64 = 2 * f9;
  const g1w: i64 = 19 * g1;
  const g2w: i64 = 19 * g2;
  const g3w: i64 = 19 * g3;
  const g4w: i64 = 19 * g4;
  const g5w: i64 = 19 * g5;
  const g6w: i64 = 19 * g6;
  const g7w: i64 = 19 * g7;
  const g8w: i64 = 19 * g8;
  const g9w: i64 = 19 * g9;
  const h0: i64 = f0 * g0 + f1d * g9w + f2 * g8w + f3d * g7w + f4 * g6w + f5d * g5w + f6 * g4w + f7d * g3w + f8 * g2w + f9d * g1w;
  const h1: i64 = f0 * g1 + f1 * g0 + f2 * g9w + f3 * g8w + f4 * g7w + f5 * g6w + f6 * g5w + f7 * g4w + f8 * g3w + f9 * g2w;
  const h2: i64 = f0 * g2 + f1d * g1 + f2 * g0 + f3d * g9w + f4 * g8w + f5d * g7w + f6 * g6w + f7d * g5w + f8 * g4w + f9d * g3w;
  const h3: i64 = f0 * g3 + f1 * g2 + f2 * g1 + f3 * g0 + f4 * g9w + f5 * g8w + f6 * g7w + f7 * g6w + f8 * g5w + f9 * g4w;
  const h4: i64 = f0 * g4 + f1d * g3 + f2 * g2 + f3d * g1 + f4 * g0 + f5d * g9w + f6 * g8w + f7d * g7w + f8 * g6w + f9d * g5w;
  const h5: i64 = f0 * g5 + f1 * g4 + f2 * g3 + f3 * g2 + f4 * g1 + f5 * g0 + f6 * g9w + f7 * g8w + f8 * g7w + f9 * g6w;
  const h6: i64 = f0 * g6 + f1d * g5 + f2 * g4 + f3d * g3 + f4 * g2 + f5d * g1 + f6 * g0 + f7d * g9w + f8 * g8w + f9d * g7w;
  const h7: i64 = f0 * g7 + f1 * g6 + f2 * g5 + f3 * g4 + f4 * g3 + f5 * g2 + f6 * g1 + f7 * g0 + f8 * g9w + f9 * g8w;
  const h8: i64 = f0 * g8 + f1d * g7 + f2 * g6 + f3d * g5 + f4 * g4 + f5d * g3 + f6 * g2 + f7d * g1 + f8 * g0 + f9d * g9w;
  const h9: i64 = f0 * g9 + f1 * g8 + f2 * g7 + f3 * g6 + f4 * g5 + f5 * g4 + f6 * g3 + f7 * g2 + f8 * g1 + f9 * g0;
  reduce(out, h0, h1, h2, h3, h4, h5, h6, h7, h8, h9);
}

/** out = a * a, reduced; `a` may be `out`. */
function square(out: usize, a: usize): void {
  const f0 = load<i64>(a, 0);
  const f1 = load<i64>(a, 8);
  const f2 = load<i64>(a, 16);
  const f3 = load<i64>(a, 24);
  const f4 = load<i64>(a, 32);
  const f5 = load<i64>(a, 40);
  const f6 = load<i64>(a, 48);
  const f7 = load<i64>(a, 56);
  const f8 = load<i64>(a, 64);
  const f9 = load<i64>(a, 72);
  // As in `multiply`; most products occur twice, so doubled ones (d) become q.
  const f0d: i64 = 2 * f0;
  const f1d: i64 = 2 * f1;
  const f2d: i64 = 2 * f2;
  const f3d: i64 = 2 * f3;
  const f4d: i64 = 2 * f4;
  const f5d: i64 = 2 * f5;
  const f6d: i64 = 2 * f6;
  const f7d: i64 = 2 * f7;
  const f8d: i64 = 2 * f8;
  const f9d: i64 = 2 * f9;
  const f1q: i64 = 4 * f1;
  const f3q: i64 = 4 * f3;
  const f5q: i64 = 4 * f5;
  const f7q: i64 = 4 * f7;
  const f5w: i64 = 19 * f5;
  const f6w: i64 = 19 * f6;
  const f7w: i64 = 19 * f7;
  const f8w: i64 = 19 * f8;
  const f9w: i64 = 19 * f9;
  const h0: i64 = f0 * f0 + f1q * f9w + f2d * f8w + f3q * f7w + f4d * f6w + f5d * f5w;
  const h1: i64 = f0d * f1 + f2d * f9w + f3d * f8w + f4d * f7w + f5d * f6w;
  const h2: i64 = f0d * f2 + f1d * f1 + f3q * f9w + f4d * f8w + f5q * f7w + f6 * f6w;
  const h3: i64 = f0d * f3 + f1d * f2 + f4d * f9w + f5d * f8w + f6d * f7w;
  const h4: i64 = f0d * f4 + f1q * f3 + f2 * f2 + f5q * f9w + f6d * f8w + f7d * f7w;
  const h5: i64 = f0d * f5 + f1d * f4 + f2d * f3 + f6d * f9w + f7d * f8w;
  const h6: i64 = f0d * f6 + f1q * f5 + f2d * f4 + f3d * f3 + f7q * f9w + f8 * f8w;
  const h7: i64 = f0d * f7 + f1d * f6 + f2d * f5 + f3d * f4 + f8d * f9w;
  const h8: i64 = f0d * f8 + f1q * f7 + f2d * f6 + f3q * f5 + f4 * f4 + f9d * f9w;
  const h9: i64 = f0d * f9 + f1d * f8 + f2d * f7 + f3d * f6 + f4d * f5;
  reduce(out, h0, h1, h2, h3, h4, h5, h6, h7, h8, h9);
}

/** Carries to reduced limbs, rounding to the nearest, in two chains that run side by side. */
// @ts-ignore: decorator
@inline
function reduce(
  out: usize,
  h0: i64,
  h1: i64,
  h2: i64,
  h3: i64,
  h4: i64,
  h5: i64,
  h6: i64,
  h7: i64,
  h8: i64,
  h9: i64,
): void {
  let carry: i64;
  let other: i64;
  carry = (h0 + 33554432) >> 26;
  h1 += carry;
  h0 -= carry << 26;
  other = (h4 + 33554432) >> 26;
  h5 += other;
  h4 -= other << 26;
  carry = (h1 + 16777216) >> 25;
  h2 += carry;
  h1 -= carry << 25;
  other = (h5 + 16777216) >> 25;
  h6 += other;
  h5 -= other << 25;
  carry = (h2 + 33554432) >> 26;
  h3 += carry;
  h2 -= carry << 26;
  other = (h6 + 33554432) >> 26;
  h7 += other;
  h6 -= other << 26;
  carry = (h3 + 16777216) >> 25;
  h4 += carry;
  h3 -= carry << 25;
  other = (h7 + 16777216) >> 25;
  h8 += other;
  h7 -= other << 25;
  carry = (h4 + 33554432) >> 26;
  h5 += carry;
  h4 -= carry << 26;
  other = (h8 + 33554432) >> 26;
  h9 += other;
  h8 -= other << 26;
  carry = (h9 + 16777216) >> 25;
  h0 += carry * 19;
  h9 -= carry << 25;
  carry = (h0 + 33554432) >> 26;
  h1 += carry;
  h0 -= carry << 26;
  store<i64>(out, h0, 0);
  store<i64>(out, h1, 8);
  store<i64>(out, h2, 16);
  store<i64>(out, h3, 24);
  store<i64>(out, h4, 32);
  store<i64>(out, h5, 40);
  store<i64>(out, h6, 48);
  store<i64>(out, h7, 56);
  store<i64>(out, h8, 64);
  store<i64>(out, h9, 72);
}

/** out = a^(2^count). */
function squareTimes(out: usize, a: usize, count: i32): void {
  square(out, a);
  for (let done: i32 = 1; done < count; done++) square(out, out);
}

/** out = a^(p - 2) = 1 / a, or 0 for 0. Uses A to D. `2^n - 1` in the comments is the exponent reached. */
function invert(out: usize, a: usize): void {
  square(A, a);
  squareTimes(B, A, 2);
  multiply(B, B, a); // 9
  multiply(A, A, B); // 11
  square(C, A); // 22
  multiply(B, B, C); // 2^5 - 1
  squareTimes(C, B, 5);
  multiply(B, C, B); // 2^10 - 1
  squareTimes(C, B, 10);
  multiply(C, C, B); // 2^20 - 1
  squareTimes(D, C, 20);
  multiply(C, D, C); // 2^40 - 1
  squareTimes(C, C, 10);
  multiply(B, C, B); // 2^50 - 1
  squareTimes(C, B, 50);
  multiply(C, C, B); // 2^100 - 1
  squareTimes(D, C, 100);
  multiply(C, D, C); // 2^200 - 1
  squareTimes(C, C, 50);
  multiply(B, C, B); // 2^250 - 1
  squareTimes(B, B, 5);
  multiply(out, B, A); // 2^255 - 21
}

/** 32 bytes, little-endian, to limbs; the highest bit is dropped. */
function unpack(out: usize, bytes: usize): void {
  const w0 = load<u64>(bytes);
  const w1 = load<u64>(bytes, 8);
  const w2 = load<u64>(bytes, 16);
  const w3 = load<u64>(bytes, 24);
  store<i64>(out, w0 & MASK_26);
  store<i64>(out, (w0 >> 26) & MASK_25, 8);
  store<i64>(out, ((w0 >> 51) | (w1 << 13)) & MASK_26, 16);
  store<i64>(out, (w1 >> 13) & MASK_25, 24);
  store<i64>(out, w1 >> 38, 32);
  store<i64>(out, w2 & MASK_25, 40);
  store<i64>(out, (w2 >> 25) & MASK_26, 48);
  store<i64>(out, ((w2 >> 51) | (w3 << 13)) & MASK_25, 56);
  store<i64>(out, (w3 >> 12) & MASK_26, 64);
  store<i64>(out, (w3 >> 38) & MASK_25, 72);
}

/** Reduced limbs to the one encoding below p. Changes `a`. */
function pack(bytes: usize, a: usize): void {
  // 2p makes every limb positive without changing the value.
  store<i64>(a, load<i64>(a) + 2 * (MASK_26 - 18));
  for (let at: usize = 8; at < ELEMENT_BYTES; at += 16) {
    store<i64>(a + at, load<i64>(a + at) + 2 * MASK_25);
  }
  for (let at: usize = 16; at < ELEMENT_BYTES; at += 16) {
    store<i64>(a + at, load<i64>(a + at) + 2 * MASK_26);
  }
  let over = carryThrough(a);
  store<i64>(a, load<i64>(a) + 19 * over);
  over = carryThrough(a);
  store<i64>(a, load<i64>(a) + 19 * over);
  // Now below 2^255 but for limb 0. The value is p or more exactly when adding 19 passes 2^255; that bit is dropped.
  store<i64>(a, load<i64>(a) + 19);
  over = carryThrough(a);
  store<i64>(a, load<i64>(a) + 19 * over - 19);
  carryThrough(a);

  const l2 = load<i64>(a, 16);
  const l7 = load<i64>(a, 56);
  store<i64>(bytes, load<i64>(a) | (load<i64>(a, 8) << 26) | (l2 << 51));
  store<i64>(bytes, (l2 >> 13) | (load<i64>(a, 24) << 13) | (load<i64>(a, 32) << 38), 8);
  store<i64>(bytes, load<i64>(a, 40) | (load<i64>(a, 48) << 25) | (l7 << 51), 16);
  store<i64>(bytes, (l7 >> 13) | (load<i64>(a, 64) << 12) | (load<i64>(a, 72) << 38), 24);
}

/** Carries from limb 0 to limb 9, rounding down; gives what passes 2^255. */
function carryThrough(a: usize): i64 {
  let carry: i64 = 0;
  for (let at: usize = 0; at < ELEMENT_BYTES; at += 16) {
    carry += load<i64>(a + at);
    store<i64>(a + at, carry & MASK_26);
    carry >>= 26;
    carry += load<i64>(a + at, 8);
    store<i64>(a + at, carry & MASK_25, 8);
    carry >>= 25;
  }
  return carry;
}
