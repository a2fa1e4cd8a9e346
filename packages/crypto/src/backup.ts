/**
 * A backup file: a header that says how to get at its key, and chunks that open only whole, in order and to the end.
 * Owns: the header, both ways to the key (the account's root secret, a passphrase), sealing and opening chunks.
 * Leaves to sdk: what is in it, and reading and writing files. An entry of its own: with what stretches passphrases it is
 * large, and few packages need it.
 * Spec: SPEC.md §16.
 */
import { argon2idAsync } from "@noble/hashes/argon2.js";
import { concatBytes, copyBytes, createReader, createWriter, utf8ToBytes } from "@sotto/wire";
import type { Entropy } from "./backend.ts";
import type { FileEngine } from "./file-engine.ts";
import { LABELS } from "./labels.ts";
import { hkdfSha256, labelled, sha256 } from "./primitives.ts";

/** Bytes of plaintext in every chunk but the last, which has 1 to as many. */
export const BACKUP_CHUNK_BYTES = 1_048_576;
/** Chunks of a file: 64 GiB. */
export const BACKUP_CHUNKS_MAX = 65_536;
export const BACKUP_TAG_BYTES = 16;
/** UTF-16 units of a passphrase. */
export const PASSPHRASE_CHARACTERS_MAX = 1_000;

const MAGIC = utf8ToBytes("sotto backup\n");
const VERSION = 1;
const KEY_BYTES = 32;
const SALT_BYTES = 16;
const NONCE_BYTES = 12;
const NONCE_PREFIX_BYTES = 7;
const WRAP_BYTES = NONCE_BYTES + KEY_BYTES + BACKUP_TAG_BYTES;
/** What both wraps are bound to. */
const FIXED_BYTES = MAGIC.length + 1 + 6 + SALT_BYTES + NONCE_PREFIX_BYTES;
export const BACKUP_HEADER_BYTES = FIXED_BYTES + 2 * WRAP_BYTES;

/** Argon2id: memory in KiB, passes, lanes. */
export interface PassphraseCost {
  readonly memoryKiB: number;
  readonly passes: number;
  readonly lanes: number;
}

export const PASSPHRASE_COST: PassphraseCost = { memoryKiB: 65_536, passes: 3, lanes: 1 };
/** A file that asks for more is refused before any of it is done: somebody else may have written its header. */
export const PASSPHRASE_COST_MAX: PassphraseCost = { memoryKiB: 262_144, passes: 10, lanes: 4 };

/** What opens a file: the account's root secret, 32 bytes, or the passphrase it was made with. */
export type BackupSecret = { readonly rootSecret: Uint8Array } | { readonly passphrase: string };

/** The key of one file. Chunk numbers must never be used twice with it for sealing. */
export interface BackupKeys {
  /** 32 bytes. */
  readonly key: Uint8Array;
  /** 7 bytes. */
  readonly noncePrefix: Uint8Array;
  /** 32 bytes: of the whole header. */
  readonly headerHash: Uint8Array;
}

/**
 * not-a-backup: another kind of file, or its header is cut off. newer: a format of later. damaged: no file has had its
 * format, or its header asks for what no file of this one asks for. wrong-secret: neither way to the key opens with it, or the header was changed.
 */
export type BackupRefusal = "not-a-backup" | "newer" | "damaged" | "wrong-secret";

export type OpenedBackup =
  | { readonly ok: true; readonly keys: BackupKeys }
  | { readonly ok: false; readonly reason: BackupRefusal };

interface BackupEnv {
  readonly entropy: Entropy;
  readonly files: FileEngine;
}

/**
 * A fresh key and the header that leads to it, from the root secret and, when there is one, from the passphrase. A
 * passphrase that is empty or longer than its limit throws a RangeError.
 */
export async function beginBackup(
  rootSecret: Uint8Array,
  passphrase: string | undefined,
  { entropy, files }: BackupEnv,
  cost: PassphraseCost = PASSPHRASE_COST,
): Promise<{ readonly header: Uint8Array; readonly keys: BackupKeys }> {
  const salt = entropy(SALT_BYTES);
  const noncePrefix = entropy(NONCE_PREFIX_BYTES);
  const key = entropy(KEY_BYTES);
  const fixed = createWriter(FIXED_BYTES);
  fixed.raw(MAGIC);
  fixed.u8(VERSION);
  const { memoryKiB, passes, lanes } = passphrase === undefined ? NO_COST : cost;
  fixed.u32(memoryKiB);
  fixed.u8(passes);
  fixed.u8(lanes);
  fixed.raw(salt);
  fixed.raw(noncePrefix);
  const bound = fixed.done();
  const wrap = async (wrapping: Uint8Array): Promise<Uint8Array> => {
    const nonce = entropy(NONCE_BYTES);
    return concatBytes(nonce, await files.seal(wrapping, nonce, bound, key));
  };
  const header = concatBytes(
    bound,
    await wrap(rootKeyOf(rootSecret, salt)),
    passphrase === undefined
      ? new Uint8Array(WRAP_BYTES)
      : await wrap(await passphraseKeyOf(passphrase, salt, cost)),
  );
  return { header, keys: { key, noncePrefix, headerHash: headerHashOf(header) } };
}

const NO_COST: PassphraseCost = { memoryKiB: 0, passes: 0, lanes: 0 };

/** `header`: the first BACKUP_HEADER_BYTES of a file, or all of a shorter one. Rejects only when the engine fails. */
export async function openBackup(
  header: Uint8Array,
  secret: BackupSecret,
  files: FileEngine,
): Promise<OpenedBackup> {
  if (header.length < BACKUP_HEADER_BYTES) return { ok: false, reason: "not-a-backup" };
  const reader = createReader(header.subarray(0, BACKUP_HEADER_BYTES));
  const magic = reader.take(MAGIC.length);
  if (!magic.every((byte, at) => byte === MAGIC[at])) return { ok: false, reason: "not-a-backup" };
  const version = reader.u8();
  if (version !== VERSION) return { ok: false, reason: version > VERSION ? "newer" : "damaged" };
  const cost = { memoryKiB: reader.u32(), passes: reader.u8(), lanes: reader.u8() };
  const salt = reader.take(SALT_BYTES);
  const noncePrefix = reader.take(NONCE_PREFIX_BYTES);
  const rootWrap = reader.take(WRAP_BYTES);
  const passphraseWrap = reader.take(WRAP_BYTES);
  const takesPassphrase = cost.passes > 0;
  if (takesPassphrase && !isAffordable(cost)) return { ok: false, reason: "damaged" };
  const bound = copyBytes(header, 0, FIXED_BYTES);
  const unwrap = (wrapping: Uint8Array, wrapped: Uint8Array) =>
    files.open(wrapping, wrapped.subarray(0, NONCE_BYTES), bound, wrapped.subarray(NONCE_BYTES));
  let key: Uint8Array | undefined;
  if ("rootSecret" in secret) key = await unwrap(rootKeyOf(secret.rootSecret, salt), rootWrap);
  else if (takesPassphrase && isPassphrase(secret.passphrase)) {
    key = await unwrap(await passphraseKeyOf(secret.passphrase, salt, cost), passphraseWrap);
  }
  if (key === undefined) return { ok: false, reason: "wrong-secret" };
  return { ok: true, keys: { key, noncePrefix, headerHash: headerHashOf(header) } };
}

/** True when `header` is of a file that a passphrase opens, too. */
export const hasPassphrase = (header: Uint8Array): boolean =>
  header.length >= BACKUP_HEADER_BYTES && header[MAGIC.length + 5] !== 0;

const isAffordable = ({ memoryKiB, passes, lanes }: PassphraseCost): boolean =>
  lanes >= 1 &&
  lanes <= PASSPHRASE_COST_MAX.lanes &&
  memoryKiB >= 8 * lanes &&
  memoryKiB <= PASSPHRASE_COST_MAX.memoryKiB &&
  passes <= PASSPHRASE_COST_MAX.passes;

export const isPassphrase = (text: string): boolean =>
  text.length > 0 && text.length <= PASSPHRASE_CHARACTERS_MAX;

/** `content`: BACKUP_CHUNK_BYTES, the last one 1 to as many; else, and behind the last possible, a RangeError. */
export async function sealBackupChunk(
  keys: BackupKeys,
  index: number,
  content: Uint8Array,
  isLast: boolean,
  files: FileEngine,
): Promise<Uint8Array> {
  const isWhole = content.length === BACKUP_CHUNK_BYTES;
  if (!isWhole && !(isLast && content.length > 0 && content.length < BACKUP_CHUNK_BYTES)) {
    throw new RangeError(`chunk of ${content.length} bytes`);
  }
  if (index >= BACKUP_CHUNKS_MAX) throw new RangeError(`chunk ${index}`);
  return files.seal(keys.key, nonceOf(keys, index, isLast), keys.headerHash, content);
}

/**
 * Undefined when the chunk is not this file's at this place, and when it is the last one and `isLast` is false or the
 * other way round: a file that was cut off opens nowhere as whole.
 */
export const openBackupChunk = async (
  keys: BackupKeys,
  index: number,
  sealed: Uint8Array,
  isLast: boolean,
  files: FileEngine,
): Promise<Uint8Array | undefined> =>
  sealed.length <= BACKUP_TAG_BYTES || index >= BACKUP_CHUNKS_MAX
    ? undefined
    : files.open(keys.key, nonceOf(keys, index, isLast), keys.headerHash, sealed);

function nonceOf({ noncePrefix }: BackupKeys, index: number, isLast: boolean): Uint8Array {
  const writer = createWriter(NONCE_BYTES);
  writer.raw(noncePrefix);
  writer.u32(index);
  writer.u8(isLast ? 1 : 0);
  return writer.done();
}

const headerHashOf = (header: Uint8Array): Uint8Array =>
  sha256(labelled(LABELS.backup, header.subarray(0, BACKUP_HEADER_BYTES)));

const rootKeyOf = (rootSecret: Uint8Array, salt: Uint8Array): Uint8Array =>
  hkdfSha256(rootSecret, salt, utf8ToBytes(LABELS.backupRoot), KEY_BYTES);

async function passphraseKeyOf(
  passphrase: string,
  salt: Uint8Array,
  { memoryKiB, passes, lanes }: PassphraseCost,
): Promise<Uint8Array> {
  if (!isPassphrase(passphrase)) throw new RangeError("not a usable passphrase");
  // One keyboard writes an accent as its own character, another as part of the letter.
  const typed = utf8ToBytes(passphrase.normalize("NFKC"));
  const stretched = await argon2idAsync(typed, salt, { m: memoryKiB, t: passes, p: lanes });
  return hkdfSha256(stretched, salt, utf8ToBytes(LABELS.backupPassphrase), KEY_BYTES);
}
