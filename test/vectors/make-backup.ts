/**
 * Writes backup.json: what backup files are for fixed secrets. Run it only to freeze a new version; a difference in a
 * frozen file means that nobody could open the files they keep.
 *
 *     npx node --conditions=@sotto/source test/vectors/make-backup.ts
 *
 * Owns: the content of backup.json. Leaves to packages/crypto/test/backup-vectors.test.ts: checking it three ways.
 */
import { argon2id } from "@noble/hashes/argon2.js";
import { nobleFileEngine, sha256 } from "@sotto/crypto";
import {
  BACKUP_CHUNK_BYTES,
  beginBackup,
  PASSPHRASE_COST,
  type PassphraseCost,
  sealBackupChunk,
} from "@sotto/crypto/backup";
import { bytesToHex as hex, utf8ToBytes } from "@sotto/wire";
import { seededEntropy } from "../../packages/crypto/test/support.ts";
import { freeze } from "./freeze.ts";
import { contentOf } from "./make-file.ts";

export const BACKUP_VECTORS = new URL("backup.json", import.meta.url);

/** Passes and lanes of which no file is made today, and which every implementation must open. */
const OTHER_COST: PassphraseCost = { memoryKiB: 64, passes: 2, lanes: 3 };

/** Composed and not, and in two scripts: what is stretched is their NFKC. */
const FILES = [
  { passphrase: undefined, cost: PASSPHRASE_COST, sizes: [1] },
  { passphrase: "correct horse battery staple", cost: PASSPHRASE_COST, sizes: [30] },
  {
    passphrase: "cafe\u0301 \ufb01\u2460 \u4f60\u597d",
    cost: OTHER_COST,
    sizes: [BACKUP_CHUNK_BYTES, 31],
  },
] as const;

/** Byte arrays are lower-case hex throughout. The same on every run. */
export async function makeBackupVectors() {
  const entropy = seededEntropy("sotto backup vectors 1");
  const files = [];
  for (const file of FILES) files.push(await makeFile(file, entropy));
  return {
    about:
      "Backup files of Sotto, version 1. Bytes are hex; byte i of a chunk's content is (31 i + 7 floor(i / 256)) mod 256. Written by make-backup.ts; see packages/crypto/SPEC.md, section 16.",
    files,
  };
}

async function makeFile(
  { passphrase, cost, sizes }: (typeof FILES)[number],
  entropy: ReturnType<typeof seededEntropy>,
) {
  const rootSecret = entropy(32);
  const env = { entropy, files: nobleFileEngine };
  const { header, keys } = await beginBackup(rootSecret, passphrase, env, cost);
  const chunks = [];
  for (const [index, sizeBytes] of sizes.entries()) {
    const isLast = index === sizes.length - 1;
    const content = contentOf(sizeBytes);
    const sealed = await sealBackupChunk(keys, index, content, isLast, nobleFileEngine);
    chunks.push({
      sizeBytes,
      isLast,
      /** Whole when it is short. */
      sealed: isLast ? hex(sealed) : undefined,
      tag: hex(sealed.subarray(-16)),
      sha256: hex(sha256(sealed)),
    });
  }
  return {
    rootSecret: hex(rootSecret),
    passphrase,
    header: hex(header),
    argon2id: passphrase === undefined ? undefined : stretch(passphrase, header, cost),
    fileKey: hex(keys.key),
    headerHash: hex(keys.headerHash),
    chunks,
  };
}

/** A known answer on its own: what of the two a second implementation has wrong, the stretching or what follows. */
function stretch(passphrase: string, header: Uint8Array, cost: PassphraseCost) {
  const input = utf8ToBytes(passphrase.normalize("NFKC"));
  const salt = header.subarray(20, 36);
  const { memoryKiB, passes, lanes } = cost;
  const output = argon2id(input, salt, { m: memoryKiB, t: passes, p: lanes });
  return { ...cost, input: hex(input), salt: hex(salt), output: hex(output) };
}

if (import.meta.main) await freeze(BACKUP_VECTORS, await makeBackupVectors());
