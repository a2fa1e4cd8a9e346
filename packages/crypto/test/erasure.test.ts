import { concatBytes } from "@sotto/wire";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { joinSymbols, SYMBOL_BYTES, symbolAt, SYMBOLS_MAX } from "#src/erasure.ts";

const blockOf = (k: number, seed: number): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(
    { length: k * SYMBOL_BYTES },
    (_, at) => (at * 31 + seed * 17 + (at >> 3)) & 0xff,
  );

it("cuts the block into its first symbols", () => {
  const block = blockOf(34, 1);
  const first = Array.from({ length: 34 }, (_, index) => symbolAt(block, index).bytes);
  expect(concatBytes(...first)).toEqual(block);
});

it("gives the block back from any k different symbols, in any order", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(1, 2, 34, 37),
      fc.nat(255),
      fc.uniqueArray(fc.nat(SYMBOLS_MAX - 1), { minLength: 37, maxLength: 37 }),
      (k, seed, indices) => {
        const block = blockOf(k, seed);
        const symbols = indices.slice(0, k).map((index) => symbolAt(block, index));
        expect(joinSymbols(symbols)).toEqual(block);
      },
    ),
    { numRuns: 200 },
  );
});

it("gives another block when one symbol is not of it", () => {
  const block = blockOf(3, 9);
  const symbols = [symbolAt(block, 5), symbolAt(block, 100), symbolAt(blockOf(3, 10), 254)];
  expect(joinSymbols(symbols)).not.toEqual(block);
});
