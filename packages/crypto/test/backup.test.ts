/** A backup file opens with the account or the passphrase, whole and unchanged, and with nothing else. */
import { nobleFileEngine } from "@sotto/crypto";
import {
  BACKUP_CHUNK_BYTES,
  BACKUP_CHUNKS_MAX,
  BACKUP_HEADER_BYTES,
  BACKUP_TAG_BYTES,
  type BackupKeys,
  type BackupSecret,
  beginBackup,
  hasPassphrase,
  openBackup,
  openBackupChunk,
  PASSPHRASE_CHARACTERS_MAX,
  PASSPHRASE_COST_MAX,
  sealBackupChunk,
} from "@sotto/crypto/backup";
import { bytesToHex, concatBytes } from "@sotto/wire";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { runs } from "../../../test/setup/runs.ts";
import { flipBit, seededEnv, text } from "./support.ts";

const COST = { memoryKiB: 64, passes: 1, lanes: 1 };
const ROOT = new Uint8Array(32).fill(7);
const { entropy } = seededEnv("backup");
const env = { entropy, files: nobleFileEngine };

const begin = (passphrase?: string) => beginBackup(ROOT, passphrase, env, COST);
const reasonOf = async (header: Uint8Array, secret: BackupSecret): Promise<string> => {
  const opened = await openBackup(header, secret, nobleFileEngine);
  return opened.ok ? "ok" : opened.reason;
};
const seal = (keys: BackupKeys, index: number, content: Uint8Array, isLast: boolean) =>
  sealBackupChunk(keys, index, content, isLast, nobleFileEngine);
const open = (keys: BackupKeys, index: number, sealed: Uint8Array, isLast: boolean) =>
  openBackupChunk(keys, index, sealed, isLast, nobleFileEngine);

describe("the header", () => {
  it("leads to the key with the root secret and with the passphrase", async () => {
    const { header, keys } = await begin("correct horse");
    expect(header.length).toBe(BACKUP_HEADER_BYTES);
    expect(hasPassphrase(header)).toBe(true);
    for (const secret of [{ rootSecret: ROOT }, { passphrase: "correct horse" }]) {
      expect(await openBackup(header, secret, nobleFileEngine)).toEqual({ ok: true, keys });
    }
    expect(await reasonOf(header, { passphrase: "correct horsf" })).toBe("wrong-secret");
    expect(await reasonOf(header, { rootSecret: flipBit(ROOT, 3) })).toBe("wrong-secret");
  });

  it("without a passphrase opens with the root secret alone", async () => {
    const { header } = await begin();
    expect(hasPassphrase(header)).toBe(false);
    expect(await reasonOf(header, { rootSecret: ROOT })).toBe("ok");
    for (const passphrase of ["", "correct horse"]) {
      expect(await reasonOf(header, { passphrase })).toBe("wrong-secret");
    }
  });

  it("takes a passphrase however its letters are composed, and no other spelling", async () => {
    const { header } = await begin("caf\u00e9 \u4f60\u597d");
    expect(await reasonOf(header, { passphrase: "cafe\u0301 \u4f60\u597d" })).toBe("ok");
    expect(await reasonOf(header, { passphrase: "cafe \u4f60\u597d" })).toBe("wrong-secret");
    expect(await reasonOf(header, { passphrase: "Caf\u00e9 \u4f60\u597d" })).toBe("wrong-secret");
  });

  it("has passphrases of 1 to PASSPHRASE_CHARACTERS_MAX characters", async () => {
    const longest = "x".repeat(PASSPHRASE_CHARACTERS_MAX);
    const { header } = await begin(longest);
    expect(await reasonOf(header, { passphrase: longest })).toBe("ok");
    expect(await reasonOf(header, { passphrase: `${longest}x` })).toBe("wrong-secret");
    await expect(begin(`${longest}x`)).rejects.toThrow(RangeError);
    await expect(begin("")).rejects.toThrow(RangeError);
  });

  it("opens with no bit of it changed", async () => {
    const { header, keys } = await begin("pass");
    const chunk = await seal(keys, 0, text("history"), true);
    for (let bit = 0; bit < header.length * 8; bit += 5) {
      const changed = flipBit(header, bit);
      const opened = await openBackup(changed, { rootSecret: ROOT }, nobleFileEngine);
      // The other way's wrap has no part in this one: then the chunks do not open.
      if (opened.ok) expect(await open(opened.keys, 0, chunk, true), `bit ${bit}`).toBeUndefined();
    }
  });

  it("of another format, of another kind of file, or cut off, is named for what it is", async () => {
    const { header } = await begin();
    for (const [format, reason] of [
      [0, "damaged"],
      [1, "ok"],
      [2, "newer"],
      [255, "newer"],
    ] as const) {
      expect(await reasonOf(header.with(13, format), { rootSecret: ROOT })).toBe(reason);
    }
    expect(await reasonOf(header.subarray(0, -1), { rootSecret: ROOT })).toBe("not-a-backup");
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
        expect(await reasonOf(bytes, { rootSecret: ROOT })).toBe("not-a-backup");
      }),
      { numRuns: runs(50) },
    );
  });

  it("may ask for as much work as the limits say, and not for more", async () => {
    const { header } = await begin("pass");
    const asking = (memoryKiB: number, passes: number, lanes: number): Uint8Array => {
      const changed = Uint8Array.from(header);
      new DataView(changed.buffer).setUint32(14, memoryKiB);
      changed.set([passes, lanes], 18);
      return changed;
    };
    const { memoryKiB, passes, lanes } = PASSPHRASE_COST_MAX;
    // With the root secret nothing is stretched, and the changed header does not open.
    const reason = (changed: Uint8Array) => reasonOf(changed, { rootSecret: ROOT });
    expect(await reason(asking(memoryKiB, passes, lanes))).toBe("wrong-secret");
    expect(await reason(asking(memoryKiB + 1, passes, lanes))).toBe("damaged");
    expect(await reason(asking(memoryKiB, passes + 1, lanes))).toBe("damaged");
    expect(await reason(asking(memoryKiB, passes, lanes + 1))).toBe("damaged");
    expect(await reason(asking(7, 1, 1))).toBe("damaged");
    expect(await reason(asking(8, 1, 1))).toBe("wrong-secret");
    expect(await reason(asking(8, 1, 0))).toBe("damaged");
  });
});

describe("chunks", () => {
  it("open in their place and in no other, and the last one only as the last", async () => {
    const { keys } = await begin();
    const whole = new Uint8Array(BACKUP_CHUNK_BYTES).fill(1);
    const first = await seal(keys, 0, whole, false);
    const last = await seal(keys, 1, text("end"), true);
    expect(first.length).toBe(BACKUP_CHUNK_BYTES + BACKUP_TAG_BYTES);
    expect(await open(keys, 0, first, false)).toEqual(whole);
    expect(await open(keys, 1, last, true)).toEqual(text("end"));
    for (const [index, sealed, isLast] of [
      [0, first, true],
      [1, first, false],
      [1, last, false],
      [0, last, true],
      [0, concatBytes(first, last), false],
      [1, last.subarray(0, BACKUP_TAG_BYTES), true],
      [1, new Uint8Array(0), true],
    ] as const) {
      expect(await open(keys, index, sealed, isLast)).toBeUndefined();
    }
  });

  it("of another file do not open, even with the same root secret", async () => {
    const [one, other] = [await begin(), await begin()];
    const sealed = await seal(one.keys, 0, text("one"), true);
    expect(await open(other.keys, 0, sealed, true)).toBeUndefined();
    expect(bytesToHex(one.keys.key)).not.toBe(bytesToHex(other.keys.key));
  });

  it("are whole but for the last, and as many as the limit says", async () => {
    const { keys } = await begin();
    const whole = new Uint8Array(BACKUP_CHUNK_BYTES);
    await seal(keys, BACKUP_CHUNKS_MAX - 1, whole, true);
    await expect(seal(keys, BACKUP_CHUNKS_MAX, whole, true)).rejects.toThrow(RangeError);
    const behind = await seal(keys, BACKUP_CHUNKS_MAX - 1, text("x"), true);
    expect(await open(keys, BACKUP_CHUNKS_MAX, behind, true)).toBeUndefined();
    await expect(seal(keys, 0, whole.subarray(1), false)).rejects.toThrow(RangeError);
    await expect(seal(keys, 0, new Uint8Array(0), true)).rejects.toThrow(RangeError);
    await expect(seal(keys, 0, new Uint8Array(BACKUP_CHUNK_BYTES + 1), true)).rejects.toThrow(
      RangeError,
    );
  });
});
