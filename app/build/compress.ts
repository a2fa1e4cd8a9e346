/**
 * Packs the built app once, as tightly as it goes: the relay sends what stands next to a file instead of the file.
 * Owns: which files, and that a packed one is smaller. Leaves to the relay: who gets which.
 */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, constants } from "node:zlib";
import { gzipAsync } from "@gfx/zopfli";

/** Text; pictures are packed already. */
const COMPRESSIBLE: ReadonlySet<string> = new Set([
  ".css",
  ".html",
  ".js",
  ".json",
  ".svg",
  ".webmanifest",
]);

const brotli = promisify(brotliCompress);

/** Smaller than zlib's best by about a twentieth: Zopfli tries more ways to say the same, once and for every download. */
export const gzip = (bytes: Uint8Array): Promise<Uint8Array> =>
  gzipAsync(bytes, { numiterations: 5 });

/** Writes `<file>.br` and `<file>.gz` next to every file that gets smaller by it. */
export async function compress(folder: string): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile() && COMPRESSIBLE.has(extname(entry.name)))
    .filter((entry) => entry.name !== "headers.json")
    .map((entry) => join(entry.parentPath, entry.name));
  await Promise.all(paths.map(compressFile));
}

async function compressFile(path: string): Promise<void> {
  const bytes = await readFile(path);
  const [packed, gzipped] = await Promise.all([
    brotli(bytes, {
      params: {
        [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
        [constants.BROTLI_PARAM_MODE]: constants.BROTLI_MODE_TEXT,
        [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
      },
    }),
    gzip(bytes),
  ]);
  if (packed.length < bytes.length) await writeFile(`${path}.br`, packed);
  if (gzipped.length < bytes.length) await writeFile(`${path}.gz`, gzipped);
}
