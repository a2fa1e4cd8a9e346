/**
 * Changes a source text in memory before it runs: how deliberate bugs and smaller limits get under a test.
 * Owns: finding the place, and failing loudly when it is not there any more. Leaves to the loader that calls it
 * (Node's module hook in `fuzz/instrument.ts`, or a plugin of a bundler): reading and handing on the text.
 */

export interface Patch {
  /** Path from the root of the repository, for example "packages/wire/src/bytes.ts". */
  readonly file: string;
  /** Text that occurs exactly once in the file. */
  readonly from: string;
  readonly to: string;
}

/** Throws when a patch of this file does not fit exactly once: a bug that is no longer planted proves nothing. */
export function applyPatches(file: string, source: string, patches: readonly Patch[]): string {
  let patched = source;
  for (const { from, to } of patches.filter((patch) => patch.file === file)) {
    const parts = patched.split(from);
    if (parts.length !== 2) {
      throw new Error(`the patch of ${file} fits ${parts.length - 1} times: ${from}`);
    }
    patched = parts.join(to);
  }
  return patched;
}

/** Values of numeric constants by name, whatever file exports them: `export const NAME = <expression>;`. */
export type Constants = Readonly<Record<string, number>>;

/** Returns the names it replaced too, so that the loader can tell which were never found. */
export function applyConstants(
  source: string,
  constants: Constants,
): { readonly source: string; readonly replaced: readonly string[] } {
  const replaced: string[] = [];
  const patched = source.replaceAll(
    /^export const ([A-Z][A-Z0-9_]*) = [^;\n]+;$/gm,
    (line, name: string) => {
      const value = constants[name];
      if (value === undefined) return line;
      replaced.push(name);
      return `export const ${name} = ${value};`;
    },
  );
  return { source: patched, replaced };
}
