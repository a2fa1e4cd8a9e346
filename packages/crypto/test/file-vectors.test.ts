/**
 * The frozen vectors of files, checked three ways: today's code makes the same bytes, a second implementation on
 * other primitives makes them too, and what that one seals today's code opens.
 */
import { readFileSync } from "node:fs";
import { nobleFileEngine, openChunk } from "@sotto/crypto";
import { asFileId, bytesToHex } from "@sotto/wire";
import { expect, it } from "vitest";
import { contentOf, FILE_VECTORS, makeFileVectors } from "../../../test/vectors/make-file.ts";
import { referenceProof, referenceSeal } from "./file-reference.ts";
import { bytes } from "./support.ts";

const vectors = JSON.parse(readFileSync(FILE_VECTORS, "utf8")) as Awaited<
  ReturnType<typeof makeFileVectors>
>;

it("today's code makes the frozen bytes", async () => {
  expect(await makeFileVectors()).toEqual(vectors);
});

it.each(vectors.files)("the second implementation makes the file of $sizeBytes bytes", (vector) => {
  const keys = {
    id: bytes(vector.id),
    key: bytes(vector.key),
    noncePrefix: bytes(vector.noncePrefix),
  };
  const sealed = referenceSeal(keys, contentOf(vector.sizeBytes));
  const last = sealed.chunks.length - 1;
  expect({
    chunkBytes: sealed.chunkBytes,
    chunks: sealed.chunks.map((chunk, index) => ({
      start: chunk.toString("hex", 0, 32),
      tag: chunk.toString("hex", chunk.length - 16),
      leaf: sealed.leaves[index]?.toString("hex"),
    })),
    root: sealed.root.toString("hex"),
    firstProof: referenceProof(0, sealed.leaves).map((hash) => hash.toString("hex")),
    lastProof: referenceProof(last, sealed.leaves).map((hash) => hash.toString("hex")),
  }).toEqual({
    chunkBytes: vector.chunkBytes,
    chunks: vector.chunks,
    root: vector.root,
    firstProof: vector.firstProof,
    lastProof: vector.lastProof,
  });
});

it.each(vectors.files)("what it sealed of $sizeBytes bytes opens", async (vector) => {
  const { sizeBytes, chunkBytes } = vector;
  const file = {
    id: asFileId(bytes(vector.id)),
    key: bytes(vector.key),
    noncePrefix: bytes(vector.noncePrefix),
    sizeBytes,
    root: bytes(vector.root),
  };
  const content = contentOf(sizeBytes);
  const { chunks } = referenceSeal(file, content);
  for (const [index, proof] of [
    [chunks.length - 1, vector.lastProof],
    [0, vector.firstProof],
  ] as const) {
    const sealed = chunks[index] ?? new Uint8Array();
    const opened = await openChunk(file, index, sealed, proof.map(bytes), nobleFileEngine);
    if (!opened.ok) throw new Error(opened.reason);
    const start = index * chunkBytes;
    expect(bytesToHex(opened.content)).toBe(
      bytesToHex(content.subarray(start, start + chunkBytes)),
    );
  }
});
