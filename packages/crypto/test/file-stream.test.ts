/** Files: sealed in order, opened in any; and everything a source, or the file's maker, can get wrong about them. */
import {
  beginOpening,
  beginSealing,
  buildFileTree,
  chunkContentBytes,
  type ChunkRefusal,
  type FileEngine,
  type FileKeys,
  fileProof,
  type FileSealing,
  type FileTree,
  finishOpening,
  finishSealing,
  nobleFileEngine,
  openChunk,
  openNextChunk,
  sealNextChunk,
} from "@sotto/crypto";
import {
  concatBytes,
  FILE_BYTES_MAX,
  FILE_CHUNK_BYTES,
  FILE_CHUNKS_MAX,
  fileShape,
} from "@sotto/wire";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { runs } from "../../../test/setup/runs.ts";
import {
  opensslFileEngine as openssl,
  referenceLeaf,
  referenceProof,
  referenceRoot,
  referenceSeal,
  referenceSealChunk,
} from "./file-reference.ts";
import { flipBit, must, seededEntropy } from "./support.ts";

interface Made {
  readonly file: FileKeys;
  readonly chunks: readonly Uint8Array[];
  readonly hashes: Uint8Array;
  readonly tree: FileTree;
}

/** As a sender does it: a slice at a time. */
async function make(
  content: Uint8Array,
  seed: string,
  engine: FileEngine = openssl,
): Promise<Made> {
  const { chunkBytes, chunks: count } = fileShape(content.length);
  let sealing = beginSealing(content.length, seededEntropy(seed));
  const chunks: Uint8Array[] = [];
  const hashes: Uint8Array[] = [];
  for (let index = 0; index < count; index++) {
    const part = content.subarray(index * chunkBytes, (index + 1) * chunkBytes);
    const sealed = await sealNextChunk(sealing, part, engine);
    ({ sealing } = sealed);
    chunks.push(sealed.sealed);
    hashes.push(sealed.hash);
  }
  return withTree(finishSealing(sealing), chunks, concatBytes(...hashes));
}

function withTree(file: FileKeys, chunks: readonly Uint8Array[], hashes: Uint8Array): Made {
  const tree = buildFileTree(file, hashes);
  if (tree === undefined) throw new Error("the tree does not give the root");
  return { file, chunks, hashes, tree };
}

/** What the file's maker can do: any chunks at all, and the tree that fits them. */
function forge(file: FileKeys, chunks: readonly Uint8Array[]): Made {
  const leaves = chunks.map(referenceLeaf);
  return withTree({ ...file, root: referenceRoot(leaves) }, chunks, concatBytes(...leaves));
}

function proofOf(made: Made, index: number): readonly Uint8Array[] {
  const proof = fileProof(made.tree, index);
  if (proof === undefined) throw new Error(`no proof of ${index}`);
  return proof;
}

const chunkOf = (made: Made, index: number): Uint8Array => {
  const chunk = made.chunks[index];
  if (chunk === undefined) throw new Error(`no chunk ${index}`);
  return chunk;
};

const open = (
  made: Made,
  index: number,
  sealed: Uint8Array = chunkOf(made, index),
  engine: FileEngine = openssl,
): ReturnType<typeof openChunk> =>
  openChunk(made.file, index, sealed, proofOf(made, index), engine);

const refused = (reason: ChunkRefusal): object => ({ ok: false, reason });
const contentOf = (length: number, seed = 1): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => (index * 7 + seed + (index >> 9)) & 0xff);

const small = await make(contentOf(1_000), "small", nobleFileEngine);
/** Five chunks, the last with 100 bytes. */
const content = contentOf(4 * FILE_CHUNK_BYTES + 100);
const five = await make(content, "five");
const other = await make(contentOf(content.length, 2), "other");
/** Nine chunks needed, ten sealed: the last is all padding. */
const padded = await make(contentOf(8 * FILE_CHUNK_BYTES + 1), "padded");

describe("a file", () => {
  it("of any size comes back, chunk by chunk in any order, between engines", async () => {
    const sizes = fc.oneof(
      fc.integer({ min: 0, max: 70_000 }),
      fc.constantFrom(0, 1, 4_096, 4_097, 65_535, 65_536, 65_537, 131_072, 131_073),
      fc.integer({ min: 0, max: 700_000 }),
    );
    await fc.assert(
      fc.asyncProperty(sizes, fc.infiniteStream(fc.double({ noNaN: true })), async (size, dice) => {
        const original = contentOf(size);
        const made = await make(original, `any ${size}`);
        const order = made.chunks
          .map((_, index) => ({ index, by: dice.next().value ?? 0 }))
          .toSorted((a, b) => a.by - b.by);
        const { chunkBytes } = fileShape(size);
        const restored = new Uint8Array(size);
        for (const { index } of order) {
          const opened = must(await open(made, index));
          expect(opened.content).toHaveLength(chunkContentBytes(size, index));
          restored.set(opened.content, Math.min(size, index * chunkBytes));
        }
        expect(Buffer.compare(restored, original)).toBe(0);
      }),
      { numRuns: runs(25) },
    );
  });

  it("is the same bytes on every engine, and each opens the other's", async () => {
    const noble = await make(content.subarray(0, 70_000), "engines", nobleFileEngine);
    const native = await make(content.subarray(0, 70_000), "engines", openssl);
    expect(native).toEqual(noble);
    const opened = must(await open(native, 1, chunkOf(native, 1), nobleFileEngine));
    expect(opened.content).toEqual(content.subarray(FILE_CHUNK_BYTES, 70_000));
  });

  it("opens in a row, and is whole only after its last chunk, padding included", async () => {
    for (const made of [small, five, padded]) {
      let opening = beginOpening(made.file);
      const parts: Uint8Array[] = [];
      for (const [index, chunk] of made.chunks.entries()) {
        expect(finishOpening(opening)).toEqual({ ok: false, reason: "truncated" });
        const step = must(await openNextChunk(opening, chunk, proofOf(made, index), openssl));
        ({ opening } = step);
        parts.push(step.content);
      }
      expect(finishOpening(opening)).toEqual({ ok: true });
      expect(concatBytes(...parts)).toEqual(contentOf(made.file.sizeBytes));
    }
  });

  it("uses each nonce once under one key, and flags the last chunk alone", async () => {
    const nonces: string[] = [];
    const spy: FileEngine = {
      ...openssl,
      seal(key, nonce, aad, plaintext) {
        expect([key, aad]).toEqual([padded.file.key, padded.file.id]);
        nonces.push(Buffer.from(nonce).toString("hex"));
        return openssl.seal(key, nonce, aad, plaintext);
      },
    };
    await make(contentOf(padded.file.sizeBytes), "padded", spy);
    const prefix = Buffer.from(padded.file.noncePrefix).toString("hex");
    expect(nonces).toEqual(
      Array.from({ length: 10 }, (_, i) => `${prefix}0000000${i}${i === 9 ? "01" : "00"}`),
    );
  });

  it("has another key, id and nonce prefix each time it is sealed", async () => {
    const entropy = seededEntropy("twice");
    const [one, two] = [beginSealing(5, entropy), beginSealing(5, entropy)];
    for (const field of ["id", "key", "noncePrefix"] as const) {
      expect(one[field]).not.toEqual(two[field]);
    }
  });

  it("has a length on the wire that its size decides and its content does not", async () => {
    for (const size of [0, 3_000, 66_000]) {
      const lengths = [];
      for (const fill of [new Uint8Array(size), contentOf(size)]) {
        lengths.push((await make(fill, "length")).chunks.map((chunk) => chunk.length));
      }
      expect(lengths[0]).toEqual(lengths[1]);
      expect(new Set(lengths[0]).size).toBe(1);
    }
  });
});

describe("a source", () => {
  it("that changes any bit of a chunk is refused", async () => {
    const chunk = chunkOf(small, 0);
    expect(await open(small, 0, chunk)).toMatchObject({ ok: true });
    const changed = Uint8Array.from(chunk);
    const flip = (bit: number): void => {
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    };
    for (let bit = 0; bit < chunk.length * 8; bit++) {
      flip(bit);
      const opened = await open(small, 0, changed);
      if (opened.ok || opened.reason !== "not-in-file") expect(opened, `${bit}`).toBe("refused");
      flip(bit);
    }
    expect(changed).toEqual(chunk);
  });

  it("that exchanges, repeats or splices chunks is refused", async () => {
    for (let place = 0; place < 5; place++) {
      for (let from = 0; from < 5; from++) {
        if (place === from) continue;
        expect(await open(five, place, chunkOf(five, from))).toEqual(refused("not-in-file"));
        const theirs = await openChunk(
          five.file,
          place,
          chunkOf(five, from),
          proofOf(five, from),
          openssl,
        );
        expect(theirs).toEqual(refused("not-in-file"));
      }
      expect(await open(five, place, chunkOf(other, place))).toEqual(refused("not-in-file"));
      expect(
        await openChunk(five.file, place, chunkOf(other, place), proofOf(other, place), openssl),
      ).toEqual(refused("not-in-file"));
    }
  });

  it("that shortens or lengthens a chunk is refused", async () => {
    const chunk = chunkOf(five, 4);
    for (const wrong of [
      new Uint8Array(),
      chunk.subarray(0, 15),
      chunk.subarray(0, -1),
      concatBytes(chunk, new Uint8Array(1)),
      chunkOf(small, 0),
    ]) {
      expect(await open(five, 4, wrong)).toEqual(refused("wrong-size"));
    }
  });

  it("that puts something behind the end is refused", async () => {
    let opening = beginOpening(small.file);
    const first = must(await openNextChunk(opening, chunkOf(small, 0), [], openssl));
    ({ opening } = first);
    const more = await openNextChunk(opening, chunkOf(small, 0), [], openssl);
    expect(more).toEqual(refused("no-such-chunk"));
    expect(finishOpening(opening)).toEqual({ ok: true });
  });

  it.each([-1, 0.5, 5, 2 ** 32, Number.NaN, Number.POSITIVE_INFINITY])(
    "that offers chunk %d of five is refused, and gets no proof",
    async (index) => {
      const opened = await openChunk(five.file, index, chunkOf(five, 0), [], openssl);
      expect(opened).toEqual(refused("no-such-chunk"));
      expect(fileProof(five.tree, index)).toBeUndefined();
    },
  );

  it("that shortens, lengthens, reorders or changes a proof is refused", async () => {
    for (let index = 0; index < 5; index++) {
      const proof = proofOf(five, index);
      const proofs = [
        [],
        proof.slice(1),
        proof.slice(0, -1),
        [...proof, new Uint8Array(32)],
        [...proof, ...proof],
        proof.map((hash) => hash.subarray(1)),
        proof.map((hash) => concatBytes(hash, new Uint8Array(1))),
        ...proof.flatMap((hash, at) =>
          Array.from({ length: 256 }, (_, bit) => proof.with(at, flipBit(hash, bit))).filter(
            (_, bit) => bit % 37 === 0,
          ),
        ),
        ...(proof.length > 1 ? [proof.toReversed()] : []),
      ];
      for (const wrong of proofs) {
        if (wrong.length === proof.length && wrong.every((hash, at) => hash === proof[at]))
          continue;
        const opened = await openChunk(five.file, index, chunkOf(five, index), wrong, openssl);
        expect(opened).toEqual(refused("not-in-file"));
      }
    }
  });

  it("cannot pass an inner node of the tree off as a chunk's leaf", async () => {
    const inner = concatBytes(five.hashes.subarray(0, 32), five.hashes.subarray(32, 64));
    // No chunk is as short as a node, so this asks the second implementation: it has to be of one mind with the first.
    expect(referenceLeaf(chunkOf(five, 0))).toEqual(Buffer.from(five.hashes.subarray(0, 32)));
    expect(referenceLeaf(inner)).not.toEqual(Buffer.from(five.tree.levels[1]?.slice(0, 32) ?? []));
  });

  it("that makes up a hash list is not believed", () => {
    const { file, hashes } = five;
    expect(buildFileTree(file, hashes)).toEqual(five.tree);
    for (const wrong of [
      new Uint8Array(),
      hashes.subarray(0, -32),
      hashes.subarray(1),
      concatBytes(hashes, new Uint8Array(32)),
      concatBytes(hashes.subarray(32), hashes.subarray(0, 32)),
      other.hashes,
      ...Array.from({ length: 40 }, (_, at) => flipBit(hashes, at * 31)),
    ]) {
      expect(buildFileTree(file, wrong)).toBeUndefined();
    }
  });

  it("gets a value for whatever it sends, and never opens anything", async () => {
    const chunk = fc.oneof(
      fc.uint8Array({ maxLength: 64 }),
      fc.uint8Array({ minLength: 4_112, maxLength: 4_112 }),
    );
    const proof = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(chunk, proof, fc.integer(), async (sealed, hashes, index) => {
        for (const at of [0, index]) {
          const opened = await openChunk(small.file, at, sealed, hashes, nobleFileEngine);
          expect(opened.ok).toBe(false);
        }
      }),
      { numRuns: runs(200) },
    );
  });
});

describe("the maker of a file", () => {
  const { file } = five;
  const plain = (index: number, length = FILE_CHUNK_BYTES): Uint8Array => {
    const full = new Uint8Array(length);
    full.set(content.subarray(index * length, (index + 1) * length));
    return full;
  };

  it("whose tree is over exchanged chunks is refused by the tags of those", async () => {
    const { chunks } = five;
    const swapped = forge(file, [chunkOf(five, 1), chunkOf(five, 0), ...chunks.slice(2)]);
    expect(await open(swapped, 0)).toEqual(refused("bad-tag"));
    expect(await open(swapped, 1)).toEqual(refused("bad-tag"));
    expect(await open(swapped, 2)).toMatchObject({ ok: true });
  });

  it("who flags a chunk as last that is not, or not the one that is, is refused", async () => {
    const early = forge(file, [
      referenceSealChunk(file, 0, true, plain(0)),
      ...five.chunks.slice(1),
    ]);
    expect(await open(early, 0)).toEqual(refused("bad-tag"));
    const never = forge(file, [
      ...five.chunks.slice(0, 4),
      referenceSealChunk(file, 4, false, plain(4)),
    ]);
    expect(await open(never, 4)).toEqual(refused("bad-tag"));
  });

  it("whose file ends early is refused at its new end, even with a tree and a size that fit", async () => {
    const cut = forge({ ...file, sizeBytes: 4 * FILE_CHUNK_BYTES }, five.chunks.slice(0, 4));
    expect(await open(cut, 2)).toMatchObject({ ok: true });
    expect(await open(cut, 3)).toEqual(refused("bad-tag"));
  });

  it("whose file goes on behind its last chunk is refused there", async () => {
    const longer = forge({ ...file, sizeBytes: 6 * FILE_CHUNK_BYTES }, [
      ...five.chunks,
      referenceSealChunk(file, 5, true, plain(0)),
    ]);
    expect(await open(longer, 4)).toEqual(refused("bad-tag"));
  });

  it("who takes a chunk of another file is refused: by its id, by its nonces, by its key", async () => {
    for (const change of [
      { id: other.file.id },
      { noncePrefix: other.file.noncePrefix },
      { key: other.file.key },
    ]) {
      const foreign = referenceSealChunk({ ...file, ...change }, 0, false, plain(0));
      const spliced = forge(file, [foreign, ...five.chunks.slice(1)]);
      expect(await open(spliced, 0)).toEqual(refused("bad-tag"));
    }
  });

  it("who changes any bit below the tree is refused by the tag", async () => {
    const chunk = chunkOf(small, 0);
    for (let bit = 0; bit < chunk.length * 8; bit += bit < 4_096 * 8 - 64 ? 61 : 1) {
      const forged = forge(small.file, [flipBit(chunk, bit)]);
      expect(await open(forged, 0)).toEqual(refused("bad-tag"));
    }
  });

  it("who puts anything behind the end of the file is refused, in the last chunk and in padding", async () => {
    for (const at of [100, 101, FILE_CHUNK_BYTES - 1]) {
      const dirty = plain(4).with(at, 1);
      const made = forge(file, [
        ...five.chunks.slice(0, 4),
        referenceSealChunk(file, 4, true, dirty),
      ]);
      expect(await open(made, 4), `${at}`).toEqual(refused("bad-padding"));
    }
    const dirty = new Uint8Array(FILE_CHUNK_BYTES).with(70, 1);
    const made = forge(padded.file, [
      ...padded.chunks.slice(0, 9),
      referenceSealChunk(padded.file, 9, true, dirty),
    ]);
    expect(await open(made, 9)).toEqual(refused("bad-padding"));
    expect(must(await open(padded, 9)).content).toHaveLength(0);
  });

  it("who tells a smaller size is refused, and one with another number of chunks for every chunk", async () => {
    const less = { ...five, file: { ...file, sizeBytes: file.sizeBytes - 1 } };
    expect(await open(less, 4)).toEqual(refused("bad-padding"));
    const fewer = { ...file, sizeBytes: 4 * FILE_CHUNK_BYTES };
    for (let index = 0; index < 4; index++) {
      const opened = await openChunk(
        fewer,
        index,
        chunkOf(five, index),
        proofOf(five, index),
        openssl,
      );
      expect(opened).toEqual(refused("not-in-file"));
    }
  });
});

describe("the tree", () => {
  const counts = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 18, 26, 36, 44];

  it.each(counts)("over %d chunks is that of the recursive definition", async (count) => {
    const made = await make(new Uint8Array(count * FILE_CHUNK_BYTES), `tree ${count}`);
    expect(made.chunks).toHaveLength(count);
    const leaves = made.chunks.map(referenceLeaf);
    expect(made.hashes).toEqual(concatBytes(...leaves));
    expect(made.file.root).toEqual(Uint8Array.from(referenceRoot(leaves)));
    for (let index = 0; index < count; index++) {
      const expected = referenceProof(index, leaves).map((hash) => Uint8Array.from(hash));
      expect(proofOf(made, index)).toEqual(expected);
      expect((await open(made, index)).ok).toBe(true);
    }
  });

  it("agrees with the second implementation about whole files", async () => {
    for (const size of [0, 1, 5_000, 65_537, 9 * FILE_CHUNK_BYTES]) {
      const made = await make(contentOf(size), `whole ${size}`);
      const sealed = referenceSeal(made.file, contentOf(size));
      expect(made.chunks).toEqual(sealed.chunks.map((chunk) => Uint8Array.from(chunk)));
      expect(made.file.root).toEqual(Uint8Array.from(sealed.root));
    }
  });
});

describe("sealing", () => {
  it(`takes files of up to ${FILE_BYTES_MAX} bytes`, () => {
    const entropy = seededEntropy("limits");
    expect(beginSealing(FILE_BYTES_MAX, entropy).sizeBytes).toBe(FILE_BYTES_MAX);
    for (const size of [FILE_BYTES_MAX + 1, -1, 0.5]) {
      expect(() => beginSealing(size, entropy)).toThrow(RangeError);
    }
  });

  it(`seals ${FILE_CHUNKS_MAX} chunks and not one more, with 20 hashes of memory, and the last opens`, async () => {
    const last = FILE_CHUNKS_MAX - 1;
    const peaks = Array.from({ length: 20 }, (_, at) => new Uint8Array(32).fill(at + 1));
    const begun = beginSealing(FILE_BYTES_MAX, seededEntropy("largest"));
    const almost: FileSealing = { ...begun, next: last, peaks };
    const sealed = await sealNextChunk(almost, contentOf(FILE_CHUNK_BYTES), openssl);
    expect(sealed.sealing.peaks).toHaveLength(1);
    const file = finishSealing(sealed.sealing);
    for (const more of [contentOf(FILE_CHUNK_BYTES), new Uint8Array()]) {
      await expect(sealNextChunk(sealed.sealing, more, openssl)).rejects.toThrow(
        new RangeError(`all ${FILE_CHUNKS_MAX} chunks are sealed`),
      );
    }
    // In the last chunk's way up, every sibling stands on the left: the subtrees that were full before it.
    const proof = peaks.toReversed();
    const opened = await openChunk(file, last, sealed.sealed, proof, openssl);
    expect(must(opened).content).toEqual(contentOf(FILE_CHUNK_BYTES));
    const beyond = await openChunk(file, FILE_CHUNKS_MAX, sealed.sealed, proof, openssl);
    expect(beyond).toEqual(refused("no-such-chunk"));
    const longer = [...proof, new Uint8Array(32)];
    expect(await openChunk(file, last, sealed.sealed, longer, openssl)).toEqual(
      refused("not-in-file"),
    );
  });

  it("takes exactly the bytes that are next, and finishes when all have come", async () => {
    const begun = beginSealing(65_537, seededEntropy("lengths"));
    for (const length of [0, FILE_CHUNK_BYTES - 1, FILE_CHUNK_BYTES + 1]) {
      await expect(sealNextChunk(begun, new Uint8Array(length), openssl)).rejects.toThrow(
        new RangeError(`expected ${FILE_CHUNK_BYTES} bytes, got ${length}`),
      );
    }
    const { sealing } = await sealNextChunk(begun, new Uint8Array(FILE_CHUNK_BYTES), openssl);
    expect(() => finishSealing(sealing)).toThrow(new RangeError("1 of 2 chunks are sealed"));
    for (const length of [0, 2]) {
      await expect(sealNextChunk(sealing, new Uint8Array(length), openssl)).rejects.toThrow(
        new RangeError(`expected 1 bytes, got ${length}`),
      );
    }
    const done = await sealNextChunk(sealing, new Uint8Array(1), openssl);
    expect(finishSealing(done.sealing)).not.toHaveProperty("next");
  });

  it("leaves its state as it was when an engine fails, and gives the same bytes afterwards", async () => {
    const begun = beginSealing(10, seededEntropy("atomic"));
    const frozen = structuredClone(begun);
    const expected = await sealNextChunk(begun, contentOf(10), openssl);
    for (let failAt = 0; failAt < 2; failAt++) {
      for (const manner of ["throws", "rejects"] as const) {
        const attempt = sealNextChunk(begun, contentOf(10), failing(failAt, manner));
        await expect(attempt).rejects.toThrow("engine failed");
        expect(begun).toEqual(frozen);
      }
    }
    expect(await sealNextChunk(begun, contentOf(10), openssl)).toEqual(expected);
  });
});

describe("opening", () => {
  it("leaves its state as it was when an engine fails or a chunk is refused", async () => {
    const opening = beginOpening(five.file);
    const frozen = structuredClone(opening);
    const [chunk, proof] = [chunkOf(five, 0), proofOf(five, 0)];
    for (let failAt = 0; failAt < 2; failAt++) {
      for (const manner of ["throws", "rejects"] as const) {
        const attempt = openNextChunk(opening, chunk, proof, failing(failAt, manner));
        await expect(attempt).rejects.toThrow("engine failed");
      }
    }
    for (const wrong of [flipBit(chunk, 9), chunkOf(five, 1), new Uint8Array(3)]) {
      expect((await openNextChunk(opening, wrong, proof, openssl)).ok).toBe(false);
    }
    expect(opening).toEqual(frozen);
    const step = must(await openNextChunk(opening, chunk, proof, openssl));
    expect(step.opening.next).toBe(1);
    expect(opening).toEqual(frozen);
  });

  it("decrypts nothing that is not in the tree", async () => {
    const never: FileEngine = {
      ...openssl,
      open: () => {
        throw new Error("decrypted");
      },
    };
    const opened = await open(five, 0, chunkOf(five, 1), never);
    expect(opened).toEqual(refused("not-in-file"));
    await expect(open(five, 0, chunkOf(five, 0), never)).rejects.toThrow("decrypted");
  });
});

/** Lets the `failAt`-th call (from 0) fail: at once, or with a rejected promise. */
function failing(failAt: number, manner: "throws" | "rejects"): FileEngine {
  let calls = 0;
  const around = <T>(call: () => T | Promise<T>): T | Promise<T> => {
    if (calls++ !== failAt) return call();
    if (manner === "throws") throw new Error("engine failed");
    return Promise.reject(new Error("engine failed"));
  };
  return {
    name: "failing",
    seal: (...args) => around(() => openssl.seal(...args)),
    open: (...args) => around(() => openssl.open(...args)),
    sha256: (bytes) => around(() => openssl.sha256(bytes)),
  };
}
