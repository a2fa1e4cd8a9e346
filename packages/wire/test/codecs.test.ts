import { concatBytes, hexToBytes } from "@sotto/wire";
import * as fc from "fast-check";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { CODECS } from "./codecs.ts";

interface Vector {
  readonly codec: string;
  readonly name: string;
  readonly section: string;
  readonly fields: readonly (readonly [name: string, hex: string])[];
  readonly value: unknown;
}

const { vectors } = JSON.parse(
  readFileSync(new URL("../../../test/vectors/wire.json", import.meta.url), "utf8"),
) as { readonly vectors: readonly Vector[] };

const bytesOf = (hex: string): Uint8Array => {
  const bytes = hexToBytes(hex);
  if (bytes === undefined) throw new Error(`not hex: ${hex}`);
  return bytes;
};

/** JSON has no bytes, no bigint and no undefined: the vectors write them as objects with one `$` key. */
function revive(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(revive);
  const entries: [string, unknown][] = Object.entries(value);
  const [only] = entries;
  switch (only?.[0]) {
    case "$bytes":
      return bytesOf(String(only[1]));
    case "$u64":
      return BigInt(String(only[1]));
    case "$undefined":
      return undefined;
    default:
      return Object.fromEntries(entries.map(([name, inner]) => [name, revive(inner)]));
  }
}

describe.each(CODECS)("the codec of $name", ({ name, values, encode, decode, openEnd }) => {
  const own = vectors.filter((vector) => vector.codec === name);

  it("has frozen vectors", () => {
    expect(own.length).toBeGreaterThan(0);
  });

  it.each(own)("writes and reads the frozen bytes of $name ($section)", ({ fields, value }) => {
    const bytes = concatBytes(...fields.map(([, hex]) => bytesOf(hex)));
    const expected = revive(value);
    expect(decode(bytes)).toStrictEqual({ ok: true, value: expected });
    expect(encode(expected)).toStrictEqual(bytes);
  });

  it("reads back what it wrote", () => {
    fc.assert(
      fc.property(values, (value) => {
        expect(decode(encode(value))).toStrictEqual({ ok: true, value });
      }),
    );
  });

  it("keeps nothing of the memory it read from", () => {
    fc.assert(
      fc.property(values, (value) => {
        const bytes = Buffer.from(encode(value));
        const decoded = decode(bytes);
        bytes.fill(0x55);
        expect(decoded).toStrictEqual({ ok: true, value });
      }),
      { numRuns: 30 },
    );
  });

  it("never throws on arbitrary bytes, and has one form for each value", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 4_096 }), (bytes) => {
        const decoded = decode(bytes);
        if (decoded.ok) expect(encode(decoded.value)).toStrictEqual(new Uint8Array(bytes));
      }),
      { numRuns: 500 },
    );
  });

  it("never throws on values with some bytes replaced, and has one form for each that is left", () => {
    const replacement = fc.record({ at: fc.nat(), byte: fc.nat({ max: 255 }) });
    // The front holds types, versions, counts and lengths: half of the replacements go there.
    const front = fc.record({ at: fc.nat({ max: 40 }), byte: fc.nat({ max: 255 }) });
    const replacements = fc.array(fc.oneof(replacement, front), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(values, replacements, (value, changes) => {
        const bytes = Uint8Array.from(encode(value));
        for (const { at, byte } of changes) bytes[at % bytes.length] = byte;
        const decoded = decode(bytes);
        if (decoded.ok) expect(encode(decoded.value)).toStrictEqual(bytes);
      }),
      { numRuns: 500 },
    );
  });

  it("refuses every truncation", () => {
    fc.assert(
      fc.property(
        values.filter((value) => openEnd?.(value) !== true),
        (value) => {
          const bytes = encode(value);
          for (let length = 0; length < bytes.length; length++) {
            expect(decode(bytes.subarray(0, length)).ok, `${length} of ${bytes.length}`).toBe(
              false,
            );
          }
        },
      ),
      { numRuns: 10 },
    );
  });

  it("refuses every extension", () => {
    const more = fc.uint8Array({ minLength: 1, maxLength: 64 });
    fc.assert(
      fc.property(
        values.filter((value) => openEnd?.(value) !== true),
        more,
        (value, extra) => {
          expect(decode(concatBytes(encode(value), extra)).ok).toBe(false);
        },
      ),
    );
  });
});

describe("the frozen vectors", () => {
  it("all belong to a codec and are read once", () => {
    const known = new Set(CODECS.map((codec) => codec.name));
    expect(vectors.filter((vector) => !known.has(vector.codec))).toEqual([]);
    const titles = vectors.map((vector) => `${vector.codec} ${vector.name}`);
    expect(new Set(titles).size).toBe(titles.length);
  });
});
