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

export function createRandom(seed: number): Random {
  let split = seed >>> 0;
  const splitmix = (): number => {
    split = (split + 0x9e3779b9) >>> 0;
    let mixed = split ^ (split >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  };
  let [a, b, c, d] = [splitmix(), splitmix(), splitmix(), splitmix()];
  const rotate = (value: number, by: number): number => (value << by) | (value >>> (32 - by));
  const word = (): number => {
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotate(d, 11);
    return result;
  };
  const random: Random = {
    next: () => word() / 0x1_0000_0000,
    int: (max) => Math.floor(random.next() * max),
    between: (min, max) => min + random.int(max - min + 1),
    chance: (probability) => random.next() < probability,
    pick(items) {
      const item = items[random.int(items.length)];
      if (item === undefined) throw new RangeError("nothing to pick from");
      return item;
    },
    exponential: (mean) => Math.min(-Math.log(1 - random.next()) * mean, mean * 10),
    bytes(length) {
      const bytes = new Uint8Array(length);
      for (let at = 0; at < length; at += 4) {
        const value = word();
        for (let index = 0; index < 4 && at + index < length; index++) {
          bytes[at + index] = (value >>> (index * 8)) & 0xff;
        }
      }
      return bytes;
    },
    fork: () => createRandom(word()),
  };
  return random;
}
