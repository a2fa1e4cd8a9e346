/**
 * The simulation's own random numbers: one seed decides everything, on every machine alike.
 * xoshiro128** (Blackman and Vigna), seeded through splitmix32.
 */

export interface Random {
  /** In [0, 1). */
  next(): number;
  /** Integer in [0, max). */
  int(max: number): number;
  /** Integer in [min, max]. */
  between(min: number, max: number): number;
  chance(probability: number): boolean;
  pick<T>(items: readonly T[]): T;
  /** With this mean; never more than ten times it. */
  exponential(mean: number): number;
  bytes(length: number): Uint8Array<ArrayBuffer>;
  /** An independent stream, so that one part's appetite does not change another's numbers. */
  fork(): Random;
}

export const createRandom = (seed: number): Random => new Xoshiro(seed);

const rotate = (value: number, by: number): number => (value << by) | (value >>> (32 - by));

function splitmix(split: number): number {
  let mixed = split ^ (split >>> 16);
  mixed = Math.imul(mixed, 0x21f0aaad);
  mixed ^= mixed >>> 15;
  mixed = Math.imul(mixed, 0x735a2d97);
  return mixed ^ (mixed >>> 15);
}

const GOLDEN = 0x9e3779b9;

/** A class, because each chance that something goes wrong has one of its own: closures would cost more than the numbers. */
class Xoshiro implements Random {
  private a: number;
  private b: number;
  private c: number;
  private d: number;

  constructor(seed: number) {
    this.a = splitmix((seed + GOLDEN) | 0);
    this.b = splitmix((seed + 2 * GOLDEN) | 0);
    this.c = splitmix((seed + 3 * GOLDEN) | 0);
    this.d = splitmix((seed + 4 * GOLDEN) | 0);
  }

  next(): number {
    return this.word() / 0x1_0000_0000;
  }

  int(max: number): number {
    return Math.floor(this.next() * max);
  }

  between(min: number, max: number): number {
    return min + this.int(max - min + 1);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.int(items.length)];
    if (item === undefined) throw new RangeError("nothing to pick from");
    return item;
  }

  exponential(mean: number): number {
    return Math.min(-Math.log(1 - this.next()) * mean, mean * 10);
  }

  bytes(length: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; at += 4) {
      const value = this.word();
      for (let index = 0; index < 4 && at + index < length; index++) {
        bytes[at + index] = (value >>> (index * 8)) & 0xff;
      }
    }
    return bytes;
  }

  fork(): Random {
    return createRandom(this.word());
  }

  private word(): number {
    const result = Math.imul(rotate(Math.imul(this.b, 5), 7), 9) >>> 0;
    const shifted = this.b << 9;
    this.c ^= this.a;
    this.d ^= this.b;
    this.b ^= this.c;
    this.a ^= this.d;
    this.c ^= shifted;
    this.d = rotate(this.d, 11);
    return result;
  }
}
