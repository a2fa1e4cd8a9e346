/** An input read as a sequence of small decisions, so that whatever bytes come they mean something. */
export interface Tape {
  /** Nothing is left: every further read gives 0. */
  over(): boolean;
  u8(): number;
  /** In [0, max). */
  below(max: number): number;
  pick<T>(items: readonly [T, ...(readonly T[])]): T;
  /** Up to `length` bytes. */
  take(length: number): Uint8Array<ArrayBuffer>;
}

export function createTape(input: Uint8Array): Tape {
  let at = 0;
  const tape: Tape = {
    over: () => at >= input.length,
    u8: () => input[at++] ?? 0,
    below: (max) => tape.u8() % max,
    pick: (items) => items[tape.below(items.length)] ?? items[0],
    take(length) {
      const taken = Uint8Array.from(input.subarray(at, at + length));
      at += length;
      return taken;
    },
  };
  return tape;
}
