/**
 * The frozen vectors of suite 1, made again by the engine of JavaScript that runs this. Node does more with each of them
 * (vectors.test.ts and the others of that kind); here it is a browser's arithmetic, text and buffers that are asked.
 */
import { makeAdmissionVectors } from "../../../test/vectors/make-admission.ts";
import { makeBackupVectors } from "../../../test/vectors/make-backup.ts";
import { makeCryptoVectors } from "../../../test/vectors/make-crypto.ts";
import { makeDeviceListVectors } from "../../../test/vectors/make-device-list.ts";
import { makeFileVectors } from "../../../test/vectors/make-file.ts";
import { makeGroupVectors } from "../../../test/vectors/make-group.ts";
import type { ReadVectors } from "./wycheproof.ts";

const MAKERS: Readonly<Record<string, () => Promise<unknown>>> = {
  "admission.json": makeAdmissionVectors,
  "backup.json": makeBackupVectors,
  "crypto.json": makeCryptoVectors,
  "device-list.json": makeDeviceListVectors,
  "file.json": makeFileVectors,
  "group.json": makeGroupVectors,
};

export const FROZEN_FILES: readonly string[] = Object.keys(MAKERS);

/** The files whose bytes today's code makes here. */
export async function runFrozen(read: ReadVectors): Promise<readonly string[]> {
  const same: string[] = [];
  for (const [file, make] of Object.entries(MAKERS)) {
    const frozen: unknown = JSON.parse(await read(file));
    if (JSON.stringify(await make()) === JSON.stringify(frozen)) same.push(file);
  }
  return same;
}
