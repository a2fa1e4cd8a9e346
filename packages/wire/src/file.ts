/**
 * What a message says about a file: where its chunks end, which bytes they are, and the key that opens them.
 * Owns: the reference, the sizes a file may have on the wire, what may be a file's name or type.
 * Leaves to crypto/file-stream.ts: sealing and checking chunks. Leaves to the app: what to show, and never to trust the type.
 * Spec: SPEC.md §12.
 */
import { asFileId, FILE_ID_BYTES, type FileId } from "./brand.ts";
import { createWriter, decodeWith, type Decoded, refuse } from "./bytes.ts";

export const FILE_VERSION = 1;
export const FILE_KEY_BYTES = 32;
export const FILE_NONCE_PREFIX_BYTES = 7;
export const FILE_ROOT_BYTES = 32;

/** Content of one chunk of a file that has more than one. */
export const FILE_CHUNK_BYTES = 65_536;
/** A smaller file is one chunk: of this size, or of the next power of two that holds it. */
export const FILE_CHUNK_BYTES_MIN = 4_096;
/** The AEAD tag behind every chunk. */
export const FILE_TAG_BYTES = 16;
/** Bounds a hash list to 32 MiB and a proof to 640 bytes; far below the 2^32 that the nonce could count. */
export const FILE_CHUNKS_MAX = 1_048_576;
/** 64 GiB. */
export const FILE_BYTES_MAX = FILE_CHUNKS_MAX * FILE_CHUNK_BYTES;

/** What file systems allow for one name. */
export const FILE_NAME_BYTES_MAX = 255;
export const MEDIA_TYPE_BYTES_MAX = 127;
/** 1 + 16 + 32 + 7 + 6 + 32, and the two bytes of length in front of each text. */
export const FILE_REFERENCE_BYTES_MAX = 98 + MEDIA_TYPE_BYTES_MAX + FILE_NAME_BYTES_MAX;

/** How a file of some size is cut. Depends on the size alone, so a reference does not repeat it. */
export interface FileShape {
  /** Content of each chunk in bytes, the last included: what is missing is filled with zeros. */
  readonly chunkBytes: number;
  readonly chunks: number;
}

export interface FileReference {
  readonly id: FileId;
  /** AES-256-GCM, 32 bytes: this file's alone. Whoever has it reads the file. */
  readonly key: Uint8Array;
  /** 7 random bytes in front of the chunk number in every nonce. */
  readonly noncePrefix: Uint8Array;
  /** Without padding, at most FILE_BYTES_MAX. Authentic, unlike the lengths a source tells. */
  readonly sizeBytes: number;
  /** SHA-256 Merkle root over the sealed chunks, 32 bytes. */
  readonly root: Uint8Array;
  /** What the sender says it is, without parameters; no more than a hint. */
  readonly mediaType: string;
  /** One path segment, for people to read and to save under. */
  readonly name: string;
}

/**
 * Up to 64 KiB: one chunk, a power of two. Above: whole chunks, their number rounded up so that its binary form
 * has only as many leading bits as say little more than how large a number is (Padmé). A size above FILE_BYTES_MAX
 * or no size at all throws a RangeError.
 */
export function fileShape(sizeBytes: number): FileShape {
  if (!isFileSize(sizeBytes)) {
    throw new RangeError(`expected a file of 0 to ${FILE_BYTES_MAX} bytes, got ${sizeBytes}`);
  }
  if (sizeBytes <= FILE_CHUNK_BYTES) {
    let chunkBytes = FILE_CHUNK_BYTES_MIN;
    while (chunkBytes < sizeBytes) chunkBytes *= 2;
    return { chunkBytes, chunks: 1 };
  }
  const needed = Math.ceil(sizeBytes / FILE_CHUNK_BYTES);
  const exponent = 31 - Math.clz32(needed);
  const kept = 32 - Math.clz32(exponent);
  const mask = (1 << (exponent - kept)) - 1;
  return { chunkBytes: FILE_CHUNK_BYTES, chunks: (needed + mask) & ~mask };
}

export const isFileSize = (sizeBytes: number): boolean =>
  Number.isInteger(sizeBytes) && sizeBytes >= 0 && sizeBytes <= FILE_BYTES_MAX;

/**
 * One segment of a path, on one line, with something to see: no separators, not "." or "..", no control characters
 * and none that turn the direction of writing, which make "gpj.exe" read as "exe.jpg".
 */
export const isFileName = (name: string): boolean =>
  name.isWellFormed() &&
  name !== "." &&
  name !== ".." &&
  /[[\p{L}\p{N}\p{P}\p{S}]--[\p{Default_Ignorable_Code_Point}\u2800]]/v.test(name) &&
  // eslint-disable-next-line no-control-regex -- control characters are what is being refused
  !/[/\\\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/u.test(
    name,
  );

/** `type/subtype` in lower case (RFC 6838 §4.2). */
export const isMediaType = (type: string): boolean =>
  /^[a-z0-9][a-z0-9!#$&^_.+-]*\/[a-z0-9][a-z0-9!#$&^_.+-]*$/.test(type);

export const encodeFileReference = (file: FileReference): Uint8Array<ArrayBuffer> =>
  createWriter()
    .u8(FILE_VERSION)
    .raw(file.id)
    .raw(file.key)
    .raw(file.noncePrefix)
    .u48(file.sizeBytes)
    .raw(file.root)
    .text(file.mediaType)
    .text(file.name)
    .done();

export const decodeFileReference = (bytes: Uint8Array): Decoded<FileReference> =>
  decodeWith(bytes, FILE_REFERENCE_BYTES_MAX, (reader) => {
    if (reader.u8() !== FILE_VERSION) refuse("unknown-type");
    const id = asFileId(reader.take(FILE_ID_BYTES));
    const key = reader.take(FILE_KEY_BYTES);
    const noncePrefix = reader.take(FILE_NONCE_PREFIX_BYTES);
    const sizeBytes = reader.u48();
    if (sizeBytes > FILE_BYTES_MAX) refuse("too-large");
    const root = reader.take(FILE_ROOT_BYTES);
    const mediaType = reader.text(MEDIA_TYPE_BYTES_MAX);
    const name = reader.text(FILE_NAME_BYTES_MAX);
    if (!isMediaType(mediaType) || !isFileName(name)) refuse("malformed");
    return { id, key, noncePrefix, sizeBytes, root, mediaType, name };
  });
