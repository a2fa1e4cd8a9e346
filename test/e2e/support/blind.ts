/** Looks through every byte a relay keeps for what it must not know. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";

/** `secrets`: texts, names, ids in hex that must occur in no file, in no common encoding. */
export async function expectBlind(folder: string, secrets: readonly string[]): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  expect(files.length).toBeGreaterThan(0);
  for (const file of files) {
    const bytes = await readFile(join(file.parentPath, file.name));
    for (const secret of secrets) {
      for (const form of formsOf(secret)) {
        expect(bytes.includes(form), `${file.name} contains ${JSON.stringify(secret)}`).toBe(false);
      }
    }
  }
}

function formsOf(secret: string): readonly Buffer[] {
  const utf8 = Buffer.from(secret, "utf8");
  return [
    utf8,
    Buffer.from(secret, "utf16le"),
    Buffer.from(utf8.toString("base64").replace(/=+$/, "")),
    Buffer.from(utf8.toString("hex")),
    ...(/^([0-9a-f]{2})+$/.test(secret) ? [Buffer.from(secret, "hex")] : []),
  ];
}
