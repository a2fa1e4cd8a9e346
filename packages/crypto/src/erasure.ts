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

const logOf = (value: number): number => LOG[value] ?? 0;
const multiply = (a: number, b: number): number =>
  a === 0 || b === 0 ? 0 : (EXP[logOf(a) + logOf(b)] ?? 0);
/** `b` is not zero. */
const divide = (a: number, b: number): number =>
  a === 0 ? 0 : (EXP[logOf(a) + 255 - logOf(b)] ?? 0);

/** `block` is a whole number of symbols; it is cut into `k` of them. */
export function symbolAt(block: Uint8Array, index: number): CodeSymbol {
  const k = block.length / SYMBOL_BYTES;
  if (index < k) {
    return { index, bytes: block.slice(index * SYMBOL_BYTES, (index + 1) * SYMBOL_BYTES) };
  }
  const pieces = Array.from({ length: k }, (_, at) => ({
    index: at,
    bytes: block.subarray(at * SYMBOL_BYTES, (at + 1) * SYMBOL_BYTES),
  }));
  return { index, bytes: interpolate(pieces, index) };
}

/** The block, from exactly `k` symbols with different indices. */
export function joinSymbols(symbols: readonly CodeSymbol[]): Uint8Array<ArrayBuffer> {
  const block = new Uint8Array(symbols.length * SYMBOL_BYTES);
  for (let index = 0; index < symbols.length; index++) {
    const known = symbols.find((one) => one.index === index);
    block.set(known?.bytes ?? interpolate(symbols, index), index * SYMBOL_BYTES);
  }
  return block;
}

/** Lagrange: the value at `x` of the polynomial through all `symbols`; `x` is none of their indices. */
function interpolate(symbols: readonly CodeSymbol[], x: number): Uint8Array {
  const sum = new Uint8Array(SYMBOL_BYTES);
  for (const { index, bytes } of symbols) {
    let above = 1;
    let below = 1;
    for (const { index: other } of symbols) {
      if (other === index) continue;
      above = multiply(above, x ^ other);
      below = multiply(below, index ^ other);
    }
    const weight = divide(above, below);
    for (let at = 0; at < SYMBOL_BYTES; at++) {
      sum[at] = (sum[at] ?? 0) ^ multiply(weight, bytes[at] ?? 0);
    }
  }
  return sum;
}
