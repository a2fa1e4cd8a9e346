/**
 * Writes file.json: what sealing gives for fixed keys and contents. Run it only to freeze a new version; a difference
 * in a frozen file means that what one version sealed another could not open.
 *
 *     npx node --conditions=@sotto/source test/vectors/make-file.ts
 *
 * Owns: the content of file.json. Leaves to packages/crypto/test/file-vectors.test.ts: checking it three ways.
 */
import {
  beginSealing,
  buildFileTree,
  chunkContentBytes,
  fileProof,
  finishSealing,
  nobleFileEngine,
  sealNextChunk,
} from "@sotto/crypto";
import { bytesToHex as hex, concatBytes, fileShape } from "@sotto/wire";
import { seededEntropy } from "../../packages/crypto/test/support.ts";
import { freeze } from "./freeze.ts";

export const FILE_VECTORS = new URL("file.json", import.meta.url);

/** One chunk of each kind of size, a pair, and ten of which the last is all padding. */
const SIZES = [0, 5, 4_096, 4_097, 65_536, 65_537, 150_000, 524_289];

/** Byte i of every content. */
export const contentOf = (sizeBytes: number): Uint8Array<ArrayBuffer> =>
  Uint8Array.from({ length: sizeBytes }, (_, index) => (index * 31 + (index >>> 8) * 7) & 0xff);

/** Byte arrays are lower-case hex throughout. The same on every run. */
export async function makeFileVectors() {
  const entropy = seededEntropy("sotto file vectors 1");
  const files = [];
  for (const sizeBytes of SIZES) files.push(await makeFile(sizeBytes, entropy));
  return {
    about:
      "Files of Sotto, version 1. Bytes are hex; byte i of a content is (31 i + 7 floor(i / 256)) mod 256. Written by make-file.ts; see packages/crypto/SPEC.md, section 12.",
    files,
  };
}

async function makeFile(sizeBytes: number, entropy: ReturnType<typeof seededEntropy>) {
  const content = contentOf(sizeBytes);
  const { chunkBytes, chunks } = fileShape(sizeBytes);
  let sealing = beginSealing(sizeBytes, entropy);
  const { id, key, noncePrefix } = sealing;
  const sealed = [];
  for (let index = 0; index < chunks; index++) {
    const start = index * chunkBytes;
    const part = content.subarray(start, start + chunkContentBytes(sizeBytes, index));
    const chunk = await sealNextChunk(sealing, part, nobleFileEngine);
    sealed.push(chunk);
    ({ sealing } = chunk);
  }
  const file = finishSealing(sealing);
  const tree = buildFileTree(file, concatBytes(...sealed.map(({ hash }) => hash)));
  const proofOf = (index: number): readonly string[] =>
    (tree === undefined ? undefined : fileProof(tree, index))?.map(hex) ?? [];
  return {
    sizeBytes,
    id: hex(id),
    key: hex(key),
    noncePrefix: hex(noncePrefix),
    chunkBytes,
    /** Of each sealed chunk: its first 32 bytes, its tag, its leaf. */
    chunks: sealed.map(({ sealed: bytes, hash }) => ({
      start: hex(bytes.subarray(0, 32)),
      tag: hex(bytes.subarray(-16)),
      leaf: hex(hash),
    })),
    root: hex(file.root),
    firstProof: proofOf(0),
    lastProof: proofOf(chunks - 1),
  };
}

if (import.meta.main) await freeze(FILE_VECTORS, await makeFileVectors());
