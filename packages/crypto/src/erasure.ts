/**
 * Systematic Reed–Solomon code over GF(2^8): a block becomes up to 255 symbols, any `k` of which give it back.
 * Owns: the field and both directions. Leaves to kem-ratchet.ts: what is sent and when.
 * Spec: SPEC.md §5.6.
 */

export const SYMBOL_BYTES = 32;
/** Indices 0..254; the symbol of index i is the value at the point i. */
export const SYMBOLS_MAX = 255;

/** One value of the code. `index` below `k` is a piece of the block itself. */
export interface CodeSymbol {
  readonly index: number;
  /** SYMBOL_BYTES. */
  readonly bytes: Uint8Array;
}

/** Modulo x^8 + x^4 + x^3 + x^2 + 1, for which 2 generates all non-zero elements. */
const REDUCTION = 0x11d;
const EXP = new Uint8Array(510);
const LOG = new Uint8Array(256);
for (let power = 0, value = 1; power < 255; power++) {
  EXP[power] = value;
  EXP[power + 255] = value;
  LOG[value] = power;
  value <<= 1;
  if (value > 255) value ^= REDUCTION;
}

/** Row `power`, column `value`: 2^power times value. */
const PRODUCTS = new Uint8Array(255 * 256);
for (let power = 0; power < 255; power++) {
  for (let value = 1; value < 256; value++) {
    PRODUCTS[power * 256 + value] = EXP[power + (LOG[value] ?? 0)] ?? 0;
  }
}

const logOf = (value: number): number => LOG[value] ?? 0;

/** `block` is a whole number of symbols; it is cut into `k` of them. */
export function symbolAt(block: Uint8Array, index: number): CodeSymbol {
  const k = block.length / SYMBOL_BYTES;
  const start = index * SYMBOL_BYTES;
  if (index < k) return { index, bytes: block.slice(start, start + SYMBOL_BYTES) };
  return { index, bytes: combine(block, weightsAt(piecesOf(k), index)) };
}

/** The block, from exactly `k` symbols with different indices. */
export function joinSymbols(symbols: readonly CodeSymbol[]): Uint8Array<ArrayBuffer> {
  const values = new Uint8Array(symbols.length * SYMBOL_BYTES);
  symbols.forEach(({ bytes }, at) => values.set(bytes, at * SYMBOL_BYTES));
  const points = pointsOf(symbols.map(({ index }) => index));
  const block = new Uint8Array(values.length);
  for (let index = 0; index < symbols.length; index++) {
    const known = symbols.find((one) => one.index === index);
    const bytes = known?.bytes ?? combine(values, weightsAt(points, index));
    block.set(bytes, index * SYMBOL_BYTES);
  }
  return block;
}

/** Where a polynomial's values are known, and for each point the logarithm of its distances to all others. */
interface Points {
  readonly indices: readonly number[];
  readonly spread: readonly number[];
}

function pointsOf(indices: readonly number[]): Points {
  const spread = indices.map((index) =>
    indices.reduce((sum, other) => (other === index ? sum : sum + logOf(index ^ other)), 0),
  );
  return { indices, spread };
}

const piecesByCount = new Map<number, Points>();

/** The block's own symbols: the same points for every block of a kind. */
function piecesOf(k: number): Points {
  let points = piecesByCount.get(k);
  if (points === undefined) {
    points = pointsOf(Array.from({ length: k }, (_, index) => index));
    piecesByCount.set(k, points);
  }
  return points;
}

/** Lagrange: logarithms of what each known value counts for at `x`, which is none of the points. */
function weightsAt({ indices, spread }: Points, x: number): Uint8Array {
  let all = 0;
  for (const index of indices) all += logOf(x ^ index);
  const weights = new Uint8Array(indices.length);
  for (let at = 0; at < weights.length; at++) {
    const log = (all - logOf(x ^ (indices[at] ?? 0)) - (spread[at] ?? 0)) % 255;
    weights[at] = log < 0 ? log + 255 : log;
  }
  return weights;
}

/** The sum of `values`, cut into symbols, each times the power of its weight. */
function combine(values: Uint8Array, weights: Uint8Array): Uint8Array {
  const sum = new Uint8Array(SYMBOL_BYTES);
  let start = 0;
  for (const weight of weights) {
    const row = weight * 256;
    for (let at = 0; at < SYMBOL_BYTES; at++) {
      sum[at] = (sum[at] ?? 0) ^ (PRODUCTS[row + (values[start + at] ?? 0)] ?? 0);
    }
    start += SYMBOL_BYTES;
  }
  return sum;
}
