/** Writes frozen vectors. Owns: their form as a file. Leaves to the makers: what is in them. */

/** Makers run in browsers too, to be compared: only who writes needs a file system. */
export async function freeze(file: URL, vectors: unknown): Promise<void> {
  const { writeFile } = await import("node:fs/promises");
  await writeFile(file, `${JSON.stringify(vectors, undefined, 2)}\n`);
}
