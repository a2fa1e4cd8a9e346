/**
 * The frozen vectors of backup files, checked three ways: today's code makes the same bytes, today's code opens the
 * frozen ones, and a second implementation on other primitives opens and makes them too.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { argon2id } from "@noble/hashes/argon2.js";
import { nobleFileEngine } from "@sotto/crypto";
import { hasPassphrase, openBackup, openBackupChunk } from "@sotto/crypto/backup";
import { bytesToHex } from "@sotto/wire";
import { expect, it } from "vitest";
import { BACKUP_VECTORS, makeBackupVectors } from "../../../test/vectors/make-backup.ts";
import { contentOf } from "../../../test/vectors/make-file.ts";
import { referenceOpenBackup, referenceSealChunk } from "./backup-reference.ts";
import { bytes } from "./support.ts";

const vectors = JSON.parse(readFileSync(BACKUP_VECTORS, "utf8")) as Awaited<
  ReturnType<typeof makeBackupVectors>
>;
type Vector = (typeof vectors.files)[number];

/** Every secret that opens the file. */
const secretsOf = ({ rootSecret, passphrase }: Vector) => [
  { rootSecret: bytes(rootSecret) },
  ...(passphrase === undefined ? [] : [{ passphrase }]),
];

it("today's code makes the frozen bytes", async () => {
  expect(JSON.parse(JSON.stringify(await makeBackupVectors()))).toEqual(vectors);
});

it("are of a file that words alone open, of one made as today, and of one that cost something else", () => {
  expect(vectors.files.map(({ argon2id: made }) => made?.memoryKiB)).toEqual([
    undefined,
    65_536,
    64,
  ]);
});

it.each(vectors.files)("today's code opens the file of $rootSecret", async (vector) => {
  const header = bytes(vector.header);
  expect(hasPassphrase(header)).toBe(vector.passphrase !== undefined);
  for (const secret of secretsOf(vector)) {
    const opened = await openBackup(header, secret, nobleFileEngine);
    if (!opened.ok) throw new Error(opened.reason);
    expect(bytesToHex(opened.keys.key)).toBe(vector.fileKey);
    const index = vector.chunks.length - 1;
    const { sealed = "", sizeBytes } = vector.chunks[index]!;
    expect(await openBackupChunk(opened.keys, index, bytes(sealed), true, nobleFileEngine)).toEqual(
      contentOf(sizeBytes),
    );
  }
});

it.each(vectors.files)(
  "the second implementation opens and makes that of $rootSecret",
  (vector) => {
    for (const secret of secretsOf(vector)) {
      const opened = referenceOpenBackup(bytes(vector.header), secret);
      expect(opened.key.toString("hex")).toBe(vector.fileKey);
      expect(opened.headerHash.toString("hex")).toBe(vector.headerHash);
      if ("passphrase" in secret) {
        expect(opened.stretched?.toString("hex")).toBe(vector.argon2id?.output);
      }
      for (const [index, { isLast, sizeBytes, sealed, tag, sha256 }] of vector.chunks.entries()) {
        const made = referenceSealChunk(opened, index, isLast, contentOf(sizeBytes));
        expect(made.toString("hex", made.length - 16)).toBe(tag);
        expect(createHash("sha256").update(made).digest("hex")).toBe(sha256);
        if (sealed !== undefined) expect(made.toString("hex")).toBe(sealed);
      }
    }
  },
);

it("Argon2id gives the answer of RFC 9106, section 5.3", () => {
  const filled = (byte: number, length: number): Uint8Array => new Uint8Array(length).fill(byte);
  const output = argon2id(filled(1, 32), filled(2, 16), {
    m: 32,
    t: 3,
    p: 4,
    key: filled(3, 8),
    personalization: filled(4, 12),
  });
  expect(bytesToHex(output)).toBe(
    "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659",
  );
});
