/** Rateless symbols: linear, decodable from about 1.4 of them per difference, and harmless when they are made up. */
import {
  type CodedSymbols,
  createDecoder,
  createEncoder,
  createSymbols,
  indicesOf,
  type Item,
  type ItemSet,
  SYMBOL_BYTES,
  SYMBOLS_MAX,
  updateSymbols,
  writeSymbols,
} from "@sotto/sync";
import { createWriter } from "@sotto/wire";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRandom } from "../../../test/simulation/random.ts";
import { drawItems, drawPair, KEYS, setOf } from "./shapes.ts";

const whole = (set: ItemSet) => createEncoder(set, { from: 0, to: set.size });

function symbolsOf(set: ItemSet, from: number, to: number): Uint8Array<ArrayBuffer> {
  const encoder = whole(set);
  encoder.extend(to);
  return writeSymbols(createWriter(), encoder.symbols, from, to).done();
}

const bytesOf = (symbols: CodedSymbols): Uint8Array =>
  writeSymbols(createWriter(), symbols, 0, symbols.size).done();

describe("where an item goes", () => {
  it("is symbol i with a probability of about 1 / (1 + i/2)", () => {
    const random = createRandom(1);
    const counts = new Uint32Array(256);
    const items = 20_000;
    for (let at = 0; at < items; at++) {
      const low = random.int(2 ** 32);
      for (const index of indicesOf(low, random.int(2 ** 32), 256)) counts[index]!++;
    }
    for (const index of [0, 1, 2, 10, 50, 100]) {
      const expected = items / (1 + index / 2);
      // Jumps are whole numbers, so the first few places are off by up to a twentieth.
      expect(Math.abs(counts[index]! / expected - 1)).toBeLessThan(0.2);
    }
  });

  it("depends on all 64 bits of its hash", () => {
    const row = (low: number, high: number) => indicesOf(low, high, 100_000).join();
    for (let bit = 0; bit < 32; bit++) {
      expect(row(1, 2)).not.toBe(row((1 ^ (1 << bit)) >>> 0, 2));
      expect(row(1, 2)).not.toBe(row(1, (2 ^ (1 << bit)) >>> 0));
    }
  });

  it("rises for every hash, also where a jump comes out as nothing", () => {
    // 0xda942042e4dd58b5 times this is 2^64 - 1 modulo 2^64: the largest draw, whose jump is 0.
    let inverse = 1n;
    for (let turn = 0; turn < 6; turn++) {
      inverse = BigInt.asUintN(64, inverse * (2n - 0xda942042e4dd58b5n * inverse));
    }
    const largest = BigInt.asUintN(64, -inverse);
    expect(indicesOf(Number(largest & 0xffff_ffffn), Number(largest >> 32n), 3)[1]).toBe(1);
    for (const low of [0, 1, 0xffff_ffff]) {
      const indices = indicesOf(low, 0, 1_000);
      expect(indices.toSorted((one, other) => one - other)).toEqual([...new Set(indices)]);
    }
  });
});

describe("symbols", () => {
  it("that are kept and changed item by item are those of the set", () => {
    const items = drawItems(300, createRandom(2));
    const kept = createSymbols(64);
    for (const { hash } of items) updateSymbols(KEYS, kept, hash, 1);
    for (const { hash } of items.slice(100)) updateSymbols(KEYS, kept, hash, -1);
    expect(bytesOf(kept)).toEqual(symbolsOf(setOf(items.slice(0, 100)), 0, 64));
  });

  it("are the same in one piece and in many", () => {
    const set = setOf(drawItems(500, createRandom(3)));
    const encoder = whole(set);
    for (const size of [1, 2, 3, 50, 51, 400]) encoder.extend(size);
    expect(writeSymbols(createWriter(), encoder.symbols, 0, 400).done()).toEqual(
      symbolsOf(set, 0, 400),
    );
  });

  it("give both sides of any difference, in whatever pieces they come", () => {
    fc.assert(
      fc.property(
        fc.nat({ max: 60 }),
        fc.nat({ max: 60 }),
        fc.nat({ max: 40 }),
        fc.nat(),
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
        (shared, mine, theirs, seed, pieces) => {
          const items = drawItems(shared + mine + theirs + 1, createRandom(seed));
          const a = setOf(items.slice(0, shared + mine));
          const b = setOf([...items.slice(0, shared), ...items.slice(shared + mine)]);
          const decoder = createDecoder(KEYS, whole(a));
          const all = symbolsOf(b, 0, 2_000);
          let state = "more";
          for (let turn = 0; state === "more"; turn++) {
            const from = SYMBOL_BYTES * decoder.size;
            const end = from + SYMBOL_BYTES * pieces[turn % pieces.length]!;
            state = decoder.take(all.subarray(from, end));
          }
          expect(state).toBe("done");
          expect(decoder.difference.own.length / 2).toBe(mine);
          expect(decoder.difference.remote.length / 2).toBe(theirs + 1);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("are 1.3 to 1.45 for each of 5,000 differences", () => {
    const { a, b } = drawPair("uniform", 20_000, 5_000, 4);
    const decoder = createDecoder(KEYS, whole(setOf(a)));
    const all = symbolsOf(setOf(b), 0, 8_000);
    while (
      decoder.take(
        all.subarray(SYMBOL_BYTES * decoder.size, SYMBOL_BYTES * (decoder.size + 50)),
      ) === "more"
    );
    expect(decoder.difference.own.length + decoder.difference.remote.length).toBe(10_000);
    expect(decoder.size / 5_000).toBeGreaterThan(1.3);
    expect(decoder.size / 5_000).toBeLessThan(1.45);
  });

  it("end at SYMBOLS_MAX", () => {
    const set = setOf([]);
    const encoder = whole(set);
    encoder.extend(SYMBOLS_MAX);
    expect(() => encoder.extend(SYMBOLS_MAX + 1)).toThrow(RangeError);
    expect(createSymbols(SYMBOLS_MAX).size).toBe(SYMBOLS_MAX);
    expect(() => createSymbols(SYMBOLS_MAX + 1)).toThrow(RangeError);
    const decoder = createDecoder(KEYS, encoder);
    const noise = new Uint8Array(SYMBOL_BYTES * SYMBOLS_MAX).fill(2);
    expect(decoder.take(noise)).toBe("more");
    expect(decoder.take(noise.subarray(0, SYMBOL_BYTES))).toBe("wrong");
  });
});

describe("a decoder that is lied to", () => {
  const items = drawItems(40, createRandom(5));
  const own = setOf(items);

  it("stays with 'more' or 'wrong' for noise", () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 13, maxLength: 13 }), { maxLength: 100 }),
        (all) => {
          const decoder = createDecoder(KEYS, whole(own));
          const state = decoder.take(Uint8Array.from(all.flatMap((one) => [...one])));
          if (all.length > 0) expect(state).not.toBe("done");
        },
      ),
    );
  });

  it("accepts an item once: symbols that bring it back are nobody's", () => {
    const one: Item = drawItems(1, createRandom(6))[0]!;
    const lying = createSymbols(64);
    updateSymbols(KEYS, lying, one.hash, 1);
    const indices = indicesOf(
      new DataView(one.hash.buffer, one.hash.byteOffset).getUint32(0, true),
      new DataView(one.hash.buffer, one.hash.byteOffset).getUint32(4, true),
      64,
    );
    // Twice in one of its places: after it was taken out everywhere it is there still.
    const again = createSymbols(64);
    updateSymbols(KEYS, again, one.hash, 1);
    const at = indices.at(-1)!;
    lying.low[at] = 0;
    lying.high[at] = 0;
    lying.check[at] = 0;
    lying.count[at] = 0;
    const decoder = createDecoder(KEYS, whole(setOf([])));
    expect(decoder.take(bytesOf(lying))).toBe("wrong");
    const honest = createDecoder(KEYS, whole(setOf([])));
    expect(honest.take(bytesOf(again))).toBe("done");
  });

  it("finds no more items than there are symbols", () => {
    // One item that is in no place but the first, and another in each of the others, as only a liar can.
    const symbols = createSymbols(200);
    for (const { hash } of drawItems(200, createRandom(7))) {
      const single = createSymbols(200);
      updateSymbols(KEYS, single, hash, 1);
      const view = new DataView(hash.buffer, hash.byteOffset);
      const at = indicesOf(view.getUint32(0, true), view.getUint32(4, true), 200).at(-1)!;
      symbols.low[at] = single.low[at]!;
      symbols.high[at] = single.high[at]!;
      symbols.check[at] = single.check[at]!;
      symbols.count[at] = 1;
    }
    const decoder = createDecoder(KEYS, whole(setOf([])));
    expect(decoder.take(bytesOf(symbols))).not.toBe("done");
    expect(decoder.difference.remote.length / 2).toBeLessThanOrEqual(200);
  });
});
