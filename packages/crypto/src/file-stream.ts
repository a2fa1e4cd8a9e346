/**
 * Files in sealed chunks: each opens alone and in any order, from any source, and only in its place in its file.
 * Owns: sealing in order, the Merkle tree over sealed chunks, opening one chunk or all in a row.
 * Leaves to wire/file.ts: the reference and the sizes. Leaves to the caller: where chunks, hashes and proofs are kept
 * and which are still missing.
 * Spec: SPEC.md §12.
 */
import {
  asFileId,
  copyBytes,
  createWriter,
  equalBytes,
  FILE_ID_BYTES,
  FILE_KEY_BYTES,
  FILE_NONCE_PREFIX_BYTES,
  FILE_ROOT_BYTES,
  FILE_TAG_BYTES,
  type FileReference,
  fileShape,
  isZero,
} from "@sotto/wire";
import type { Entropy } from "./backend.ts";
import type { FileEngine } from "./file-engine.ts";
import { LABELS } from "./labels.ts";
import { labelled, sha256 } from "./primitives.ts";

/** The part of a reference that decides about bytes. */
export type FileKeys = Omit<FileReference, "mediaType" | "name">;

/**
 * A file being sealed, chunk by chunk in order. Bounded whatever the size: 21 hashes at most.
 * A state may be tried again with the same content, after an engine failed. Never with another content: the two
 * would share a key and a nonce. So a sealing is not kept over a restart: it begins again, under a new key.
 */
export interface FileSealing extends Omit<FileKeys, "root"> {
  /** Number of the chunk to seal next. */
  readonly next: number;
  /** Roots of the full subtrees over the chunks so far, the largest first: one for each bit set in `next`. */
  readonly peaks: readonly Uint8Array[];
}

export interface SealedChunk {
  readonly sealing: FileSealing;
  readonly sealed: Uint8Array;
  /** 32 bytes: the chunk's leaf. All of them in order are the file's hash list. */
  readonly hash: Uint8Array;
}

/**
 * no-such-chunk: its number is not below the number of chunks, as with a chunk put behind the last.
 * wrong-size: not what every sealed chunk of this file has. not-in-file: chunk, number, proof and root do not belong
 * together. bad-tag: in the tree and yet not sealed for this place. bad-padding: bytes behind the end of the file.
 * With any of the last two, whoever made the reference made a bad one: other sources have nothing better.
 */
export type ChunkRefusal =
  | "no-such-chunk"
  | "wrong-size"
  | "not-in-file"
  | "bad-tag"
  | "bad-padding";

export type OpenedChunk =
  /** `content`: without padding; empty in a chunk that is all padding. */
  | { readonly ok: true; readonly content: Uint8Array }
  | { readonly ok: false; readonly reason: ChunkRefusal };

/** All sibling hashes of a file: one array of 32-byte hashes per level, the leaves first. */
export interface FileTree {
  readonly levels: readonly Uint8Array[];
}

/** A file being opened from its first chunk to its last. Small enough to store, and to go on from. */
export interface FileOpening {
  readonly file: FileKeys;
  /** Number of the chunk to open next. */
  readonly next: number;
}

/** Fresh key, id and nonce prefix. `sizeBytes` above FILE_BYTES_MAX throws a RangeError. */
export function beginSealing(sizeBytes: number, entropy: Entropy): FileSealing {
  fileShape(sizeBytes);
  return {
    id: asFileId(entropy(FILE_ID_BYTES)),
    key: entropy(FILE_KEY_BYTES),
    noncePrefix: entropy(FILE_NONCE_PREFIX_BYTES),
    sizeBytes,
    next: 0,
    peaks: [],
  };
}

/** Bytes of the file in that chunk; 0 in one that is all padding. */
export function chunkContentBytes(sizeBytes: number, index: number): number {
  const { chunkBytes } = fileShape(sizeBytes);
  return Math.min(chunkBytes, Math.max(0, sizeBytes - index * chunkBytes));
}

/** `content`: exactly the `chunkContentBytes` that are next; else, and behind the last chunk, a RangeError. */
export async function sealNextChunk(
  sealing: FileSealing,
  content: Uint8Array,
  engine: FileEngine,
): Promise<SealedChunk> {
  const { next, sizeBytes } = sealing;
  const { chunkBytes, chunks } = fileShape(sizeBytes);
  if (next >= chunks) throw new RangeError(`all ${chunks} chunks are sealed`);
  const expected = chunkContentBytes(sizeBytes, next);
  if (content.length !== expected) {
    throw new RangeError(`expected ${expected} bytes, got ${content.length}`);
  }
  const plaintext = new Uint8Array(chunkBytes);
  plaintext.set(content);
  const sealed = await engine.seal(sealing.key, nonceOf(sealing, next), sealing.id, plaintext);
  const hash = await leafOf(sealed, engine);
  return {
    sealing: { ...sealing, next: next + 1, peaks: addLeaf(sealing.peaks, next, hash) },
    sealed,
    hash,
  };
}

/** What the message has to carry, once every chunk is sealed; before, a RangeError. */
export function finishSealing(sealing: FileSealing): FileKeys {
  const { next, peaks, ...file } = sealing;
  const { chunks } = fileShape(file.sizeBytes);
  if (next !== chunks) throw new RangeError(`${next} of ${chunks} chunks are sealed`);
  const root = peaks.reduceRight((right, left) => nodeOf(left, right));
  return { ...file, root };
}

/**
 * The tree over a file's hash list: its maker's own, or one from any source, which is believed only when it gives
 * the root. Undefined when it does not.
 */
export function buildFileTree(
  file: Pick<FileKeys, "sizeBytes" | "root">,
  hashes: Uint8Array,
): FileTree | undefined {
  const { chunks } = fileShape(file.sizeBytes);
  if (hashes.length !== chunks * FILE_ROOT_BYTES) return undefined;
  const levels = [copyBytes(hashes, 0, hashes.length)];
  for (let below = levels[0]; below !== undefined && below.length > FILE_ROOT_BYTES;) {
    below = levelAbove(below);
    levels.push(below);
  }
  const top = levels[levels.length - 1];
  return top !== undefined && equalBytes(top, file.root) ? { levels } : undefined;
}

/** The siblings on the way from a chunk to the root, at most 20. Undefined when there is no such chunk. */
export function fileProof(tree: FileTree, index: number): readonly Uint8Array[] | undefined {
  const leaves = tree.levels[0];
  if (leaves === undefined || !isIndex(index, leaves.length / FILE_ROOT_BYTES)) return undefined;
  const proof: Uint8Array[] = [];
  let at = index;
  for (const level of tree.levels.slice(0, -1)) {
    const sibling = (at ^ 1) * FILE_ROOT_BYTES;
    // The last of an odd number has no sibling and goes up as it is.
    if (sibling < level.length) proof.push(copyBytes(level, sibling, sibling + FILE_ROOT_BYTES));
    at >>= 1;
  }
  return proof;
}

/**
 * One chunk, alone. Nothing is decrypted before it has been found in the tree under `file.root`; a chunk that opens
 * is the one its maker put there. Needs no state, so a refusal changes nothing and another source can be asked.
 */
export async function openChunk(
  file: FileKeys,
  index: number,
  sealed: Uint8Array,
  proof: readonly Uint8Array[],
  engine: FileEngine,
): Promise<OpenedChunk> {
  const { chunkBytes, chunks } = fileShape(file.sizeBytes);
  if (!isIndex(index, chunks)) return { ok: false, reason: "no-such-chunk" };
  if (sealed.length !== chunkBytes + FILE_TAG_BYTES) return { ok: false, reason: "wrong-size" };
  const root = climb(await leafOf(sealed, engine), index, chunks, proof);
  if (root === undefined || !equalBytes(root, file.root)) {
    return { ok: false, reason: "not-in-file" };
  }
  const plaintext = await engine.open(file.key, nonceOf(file, index), file.id, sealed);
  if (plaintext === undefined) return { ok: false, reason: "bad-tag" };
  const end = chunkContentBytes(file.sizeBytes, index);
  if (!isZero(plaintext.subarray(end))) return { ok: false, reason: "bad-padding" };
  return { ok: true, content: plaintext.subarray(0, end) };
}

export const beginOpening = (file: FileKeys): FileOpening => ({ file, next: 0 });

/** The next chunk in order. After a refusal the same state takes the right chunk. */
export async function openNextChunk(
  opening: FileOpening,
  sealed: Uint8Array,
  proof: readonly Uint8Array[],
  engine: FileEngine,
): Promise<
  | { readonly ok: true; readonly opening: FileOpening; readonly content: Uint8Array }
  | { readonly ok: false; readonly reason: ChunkRefusal }
> {
  const opened = await openChunk(opening.file, opening.next, sealed, proof, engine);
  return opened.ok ? { ...opened, opening: { ...opening, next: opening.next + 1 } } : opened;
}

/** Whoever stops reading asks this: a file that ends early is not the file. */
export function finishOpening(
  opening: FileOpening,
): { readonly ok: true } | { readonly ok: false; readonly reason: "truncated" } {
  const { chunks } = fileShape(opening.file.sizeBytes);
  return opening.next === chunks ? { ok: true } : { ok: false, reason: "truncated" };
}

const isIndex = (index: number, count: number): boolean =>
  Number.isInteger(index) && index >= 0 && index < count;

/** 7 random bytes ‖ u32 number ‖ 1 for the last chunk, else 0. */
function nonceOf(file: Pick<FileKeys, "noncePrefix" | "sizeBytes">, index: number): Uint8Array {
  const isLast = index === fileShape(file.sizeBytes).chunks - 1;
  return createWriter()
    .raw(file.noncePrefix)
    .u32(index)
    .u8(isLast ? 1 : 0)
    .done();
}

const leafOf = async (sealed: Uint8Array, engine: FileEngine): Promise<Uint8Array> =>
  engine.sha256(labelled(LABELS.fileChunk, sealed));

const nodeOf = (left: Uint8Array, right: Uint8Array): Uint8Array =>
  sha256(labelled(LABELS.fileNode, left, right));

/** As in adding 1 to a binary number: full subtrees of one size join, from the smallest up. */
function addLeaf(
  peaks: readonly Uint8Array[],
  count: number,
  leaf: Uint8Array,
): readonly Uint8Array[] {
  let joined = leaf;
  let kept = peaks.length;
  for (let bits = count; (bits & 1) === 1; bits >>= 1) {
    const left = peaks[--kept];
    if (left === undefined) throw new RangeError(`no subtree for ${count} chunks`);
    joined = nodeOf(left, joined);
  }
  return [...peaks.slice(0, kept), joined];
}

function levelAbove(below: Uint8Array): Uint8Array<ArrayBuffer> {
  const step = 2 * FILE_ROOT_BYTES;
  const level = new Uint8Array(Math.ceil(below.length / step) * FILE_ROOT_BYTES);
  for (let at = 0; at < below.length; at += step) {
    const left = below.subarray(at, at + FILE_ROOT_BYTES);
    const right = below.subarray(at + FILE_ROOT_BYTES, at + step);
    level.set(right.length === 0 ? left : nodeOf(left, right), at / 2);
  }
  return level;
}

/** The root that this leaf has with these siblings; undefined when there are too few, too many, or not hashes. */
function climb(
  leaf: Uint8Array,
  index: number,
  count: number,
  proof: readonly Uint8Array[],
): Uint8Array | undefined {
  let hash = leaf;
  let at = index;
  let last = count - 1;
  let used = 0;
  for (; last > 0; at >>= 1, last >>= 1) {
    // Alone at the end of its level: it goes up as it is.
    if (at === last && (at & 1) === 0) continue;
    const sibling = proof[used++];
    if (sibling?.length !== FILE_ROOT_BYTES) return undefined;
    hash = (at & 1) === 1 ? nodeOf(sibling, hash) : nodeOf(hash, sibling);
  }
  return used === proof.length ? hash : undefined;
}
