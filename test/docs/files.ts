/** The text files of the repository, without what tools make and install. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "../..");

const MADE = new Set([
  ".git",
  "node_modules",
  "dist",
  "dist-types",
  "coverage",
  "sotto-data",
  "test/e2e/output",
]);

export interface TextFile {
  /** Relative to the root, with slashes. */
  readonly path: string;
  readonly text: string;
}

export function readTextFiles(folder = ""): readonly TextFile[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = relative(ROOT, join(ROOT, folder, entry.name));
    if (MADE.has(entry.name) || MADE.has(path)) return [];
    if (entry.isDirectory()) return readTextFiles(path);
    if (!entry.isFile()) return [];
    const bytes = readFileSync(join(ROOT, path));
    // A zero byte: an image, a font, a database.
    return bytes.includes(0) ? [] : [{ path, text: bytes.toString("utf8") }];
  });
}
