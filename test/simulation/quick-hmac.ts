/**
 * HMAC-SHA-256 (RFC 2104, FIPS 180-4) for the stub suite: the same bytes as noble's, without its objects, because a run
 * asks for it tens of thousands of times. Nothing here is meant to keep a secret.
 */
const BLOCK_BYTES = 64;
const DIGEST_BYTES = 32;
/** Behind what is hashed: a one, and its length in bits. */
const END_BYTES = 9;

/** The first 32 bits behind the point of a root of the first primes: `power` is 1/3 for the rounds, 1/2 for the start. */
function primeRoots(count: number, power: number): Int32Array {
  const roots = new Int32Array(count);
  for (let candidate = 2, found = 0; found < count; candidate++) {
    let isPrime = true;
    for (let by = 2; by * by <= candidate; by++) if (candidate % by === 0) isPrime = false;
    if (!isPrime) continue;
    const root = candidate ** power;
    roots[found++] = Math.floor((root - Math.floor(root)) * 0x1_0000_0000) | 0;
  }
  return roots;
}

const ROUNDS = primeRoots(64, 1 / 3);
const START = primeRoots(8, 1 / 2);
const state = new Int32Array(8);
const words = new Int32Array(64);
/** Grows to the longest that was asked for. */
let scratch = new Uint8Array(1_024);

const rotate = (word: number, by: number): number => (word >>> by) | (word << (32 - by));

function compress(at: number): void {
  for (let index = 0; index < 16; index++) {
    const from = at + index * 4;
    words[index] =
      (scratch[from]! << 24) |
      (scratch[from + 1]! << 16) |
      (scratch[from + 2]! << 8) |
      scratch[from + 3]!;
  }
  for (let index = 16; index < 64; index++) {
    const [early, late] = [words[index - 15]!, words[index - 2]!];
    const low = rotate(early, 7) ^ rotate(early, 18) ^ (early >>> 3);
    const high = rotate(late, 17) ^ rotate(late, 19) ^ (late >>> 10);
    words[index] = (words[index - 16]! + low + words[index - 7]! + high) | 0;
  }
  let [a, b, c, d] = [state[0]!, state[1]!, state[2]!, state[3]!];
  let [e, f, g, h] = [state[4]!, state[5]!, state[6]!, state[7]!];
  for (let index = 0; index < 64; index++) {
    const high = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
    const one = (h + high + ((e & f) ^ (~e & g)) + ROUNDS[index]! + words[index]!) | 0;
    const low = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
    const two = (low + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + one) | 0;
    d = c;
    c = b;
    b = a;
    a = (one + two) | 0;
  }
  state[0]! += a;
  state[1]! += b;
  state[2]! += c;
  state[3]! += d;
  state[4]! += e;
  state[5]! += f;
  state[6]! += g;
  state[7]! += h;
}

/** Of `bytes`, or of a block in front of them: the key, with every byte changed by `pad`. Leaves it in `state`. */
function digest(
  bytes: Uint8Array,
  key: Uint8Array | undefined,
  pad: number,
): Uint8Array<ArrayBuffer> {
  const start = key === undefined ? 0 : BLOCK_BYTES;
  const end = start + bytes.length;
  const length = Math.ceil((end + END_BYTES) / BLOCK_BYTES) * BLOCK_BYTES;
  if (scratch.length < length) scratch = new Uint8Array(2 * length);
  for (let at = 0; at < start; at++) scratch[at] = (key?.[at] ?? 0) ^ pad;
  scratch.set(bytes, start);
  scratch[end] = 0x80;
  scratch.fill(0, end + 1, length);
  // Bits; no more than 2^32 of them are ever asked for.
  for (let index = 0; index < 4; index++) scratch[length - 1 - index] = (end * 8) >>> (index * 8);
  state.set(START);
  for (let at = 0; at < length; at += BLOCK_BYTES) compress(at);
  const result = new Uint8Array(DIGEST_BYTES);
  for (let at = 0; at < DIGEST_BYTES; at++) {
    result[at] = state[at >> 2]! >>> (24 - 8 * (at & 3));
  }
  return result;
}

/** 32 bytes. */
export function quickHmac(key: Uint8Array, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const block = key.length > BLOCK_BYTES ? digest(key, undefined, 0) : key;
  return digest(digest(bytes, block, 0x36), block, 0x5c);
}
