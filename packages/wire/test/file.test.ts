/** What a message may say about a file, and which sizes files have on the wire. */
import {
  asFileId,
  decodeFileReference,
  encodeFileReference,
  FILE_BYTES_MAX,
  FILE_CHUNK_BYTES,
  FILE_CHUNK_BYTES_MIN,
  FILE_CHUNKS_MAX,
  FILE_NAME_BYTES_MAX,
  FILE_REFERENCE_BYTES_MAX,
  FILE_VERSION,
  type FileReference,
  fileShape,
  isFileName,
  isMediaType,
  MEDIA_TYPE_BYTES_MAX,
  utf8ToBytes,
} from "@sotto/wire";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

const bytes = (length: number, value = 1): Uint8Array => new Uint8Array(length).fill(value);
const ok = { ok: true };
const refused = (reason: string): object => ({ ok: false, reason });

const file: FileReference = {
  id: asFileId(bytes(16)),
  key: bytes(32, 2),
  noncePrefix: bytes(7, 3),
  sizeBytes: 4,
  root: bytes(32, 5),
  mediaType: "image/png",
  name: "a.png",
};
const read = (change: Partial<FileReference>): unknown =>
  decodeFileReference(encodeFileReference({ ...file, ...change }));

describe("a file reference", () => {
  it("is of this version", () => {
    const encoded = encodeFileReference(file);
    expect(decodeFileReference(encoded)).toEqual({ ok: true, value: file });
    expect(decodeFileReference(encoded.with(0, FILE_VERSION + 1))).toEqual(refused("unknown-type"));
  });

  it(`names a file of up to ${FILE_BYTES_MAX} bytes`, () => {
    expect(read({ sizeBytes: 0 })).toMatchObject(ok);
    expect(read({ sizeBytes: FILE_BYTES_MAX })).toMatchObject(ok);
    expect(read({ sizeBytes: FILE_BYTES_MAX + 1 })).toEqual(refused("too-large"));
  });

  it(`has a name of up to ${FILE_NAME_BYTES_MAX} bytes of UTF-8`, () => {
    const long = "é".repeat((FILE_NAME_BYTES_MAX - 1) / 2);
    expect(utf8ToBytes(`${long}a`)).toHaveLength(FILE_NAME_BYTES_MAX);
    expect(read({ name: `${long}a` })).toMatchObject(ok);
    expect(read({ name: `${long}é` })).toEqual(refused("too-large"));
    expect(read({ name: "" })).toEqual(refused("malformed"));
  });

  it(`has a media type of up to ${MEDIA_TYPE_BYTES_MAX} bytes`, () => {
    const long = `a/${"b".repeat(MEDIA_TYPE_BYTES_MAX - 2)}`;
    expect(read({ mediaType: long })).toMatchObject(ok);
    expect(read({ mediaType: `${long}b` })).toEqual(refused("too-large"));
  });

  it(`has at most ${FILE_REFERENCE_BYTES_MAX} bytes`, () => {
    const largest = encodeFileReference({
      ...file,
      mediaType: `a/${"b".repeat(MEDIA_TYPE_BYTES_MAX - 2)}`,
      name: "n".repeat(FILE_NAME_BYTES_MAX),
    });
    expect(largest).toHaveLength(FILE_REFERENCE_BYTES_MAX);
    expect(decodeFileReference(largest)).toMatchObject(ok);
    const more = new Uint8Array(FILE_REFERENCE_BYTES_MAX + 1);
    more.set(largest);
    expect(decodeFileReference(more)).toEqual(refused("too-large"));
  });

  it.each([
    ["an empty one", ""],
    ["blank", " \u2800"],
    ["this folder", "."],
    ["the folder above", ".."],
    ["a path", "a/b"],
    ["a path of Windows", "a\\b"],
    ["an end mark inside", "a\0.exe"],
    ["a line break", "a\nb"],
    ["a line separator", "a\u2028b"],
    ["a turn of direction", "photo\u202egpj.exe"],
    ["an isolate", "a\u2067b"],
    ["a direction mark", "a\u200eb"],
    ["half a character", "a\ud800"],
  ])("is refused with %s for a name", (_, name) => {
    expect(isFileName(name)).toBe(false);
    if (name.isWellFormed()) expect(read({ name })).toEqual(refused("malformed"));
  });

  it.each(["...", "a b.txt", "照片.webp", ".profile", "🌊", "a:b", "קובץ.txt"])(
    "may be named %j",
    (name) => {
      expect(read({ name })).toMatchObject({ ok: true, value: { name } });
    },
  );

  it.each([
    "",
    "image",
    "image/",
    "/png",
    "Image/png",
    "a/b/c",
    "text/html; charset=utf-8",
    "a/ b",
  ])("is refused with the media type %j", (mediaType) => {
    expect(isMediaType(mediaType)).toBe(false);
    expect(read({ mediaType })).toEqual(refused("malformed"));
  });

  it.each(["a/b", "application/vnd.api+json", "x-world/x-3dmf"])("may be of type %s", (type) => {
    expect(read({ mediaType: type })).toMatchObject(ok);
  });
});

const padded = (size: number): number => {
  const { chunkBytes, chunks } = fileShape(size);
  return chunkBytes * chunks;
};

describe("the size of a file on the wire", () => {
  it.each([
    [0, 4_096, 1],
    [4_096, 4_096, 1],
    [4_097, 8_192, 1],
    [8_193, 16_384, 1],
    [32_768, 32_768, 1],
    [32_769, 65_536, 1],
    [65_536, 65_536, 1],
    [65_537, 65_536, 2],
    [8 * 65_536, 65_536, 8],
    [8 * 65_536 + 1, 65_536, 10],
    [31 * 65_536, 65_536, 32],
    [32 * 65_536 + 1, 65_536, 36],
    [1_000 * 65_536, 65_536, 1_024],
    [FILE_BYTES_MAX, 65_536, FILE_CHUNKS_MAX],
  ])("of %d bytes is %d bytes, %d times", (size, chunkBytes, chunks) => {
    expect(fileShape(size)).toEqual({ chunkBytes, chunks });
  });

  it.each([-1, 0.5, Number.NaN, FILE_BYTES_MAX + 1])("%d does not exist", (size) => {
    expect(() => fileShape(size)).toThrow(
      new RangeError(`expected a file of 0 to ${FILE_BYTES_MAX} bytes, got ${size}`),
    );
  });

  const size = fc
    .tuple(fc.integer({ min: 0, max: 36 }), fc.double({ min: 0, max: 1, noNaN: true }))
    .map(([exponent, fraction]) =>
      Math.min(FILE_BYTES_MAX, Math.floor(2 ** exponent * (1 + fraction))),
    );

  it("holds the file, never shrinks for a larger one, and is its own size on the wire", () => {
    fc.assert(
      fc.property(size, size, (a, b) => {
        expect(padded(a)).toBeGreaterThanOrEqual(a);
        expect(padded(Math.max(a, b))).toBeGreaterThanOrEqual(padded(Math.min(a, b)));
        expect(padded(padded(a))).toBe(padded(a));
      }),
      { numRuns: 1_000 },
    );
  });

  it("at most doubles a file of one chunk, and adds less than a chunk and an eighth to any other", () => {
    fc.assert(
      fc.property(size, (value) => {
        if (value <= FILE_CHUNK_BYTES) {
          expect(padded(value)).toBeLessThan(Math.max(2 * value, FILE_CHUNK_BYTES_MIN + 1));
        } else {
          const whole = Math.ceil(value / FILE_CHUNK_BYTES) * FILE_CHUNK_BYTES;
          expect(padded(value)).toBeLessThan(whole * 1.125);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it("is one of 304 for all files there can be", () => {
    const counts = new Set<number>();
    for (let chunks = 1; chunks <= FILE_CHUNKS_MAX; chunks++) {
      counts.add(fileShape(chunks * FILE_CHUNK_BYTES).chunks);
    }
    const single = new Set(
      Array.from({ length: FILE_CHUNK_BYTES }, (_, one) => fileShape(one).chunkBytes),
    );
    expect(counts.size - 1 + single.size).toBe(304);
  });

  it.each([
    [4_096, 65_536, 0.443],
    [65_537, 1e6, 0.212],
    [1e6, 1e9, 0.032],
    [1e9, 6e10, 0.015],
  ])("from %d to %d bytes adds on average the share %d of the file", (from, to, share) => {
    // Sizes spread evenly over their logarithm.
    const steps = 20_000;
    let overhead = 0;
    for (let step = 0; step < steps; step++) {
      const value = Math.floor(from * (to / from) ** (step / steps));
      overhead += padded(value) / value - 1;
    }
    expect(overhead / steps).toBeCloseTo(share, 3);
  });
});
