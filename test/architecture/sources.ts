/** The repository as the architecture tests see it: workspaces, their sources and what those import. */
import { readdirSync, readFileSync, existsSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "../..");

export interface Workspace {
  /** Folder under the root, for example "packages/wire". */
  readonly folder: string;
  /** Its name in package.json. */
  readonly name: string;
  readonly dependencies: readonly string[];
  readonly exports: Readonly<Record<string, Readonly<Record<string, string>> | string>>;
  readonly sources: readonly Source[];
}

export interface Source {
  /** Relative to the root. */
  readonly path: string;
  readonly text: string;
  /** `text` without comments. */
  readonly code: string;
  /** Module names as written, static and dynamic. */
  readonly imports: readonly string[];
}

interface Manifest {
  readonly name: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly exports?: Workspace["exports"];
}

export function readWorkspaces(): readonly Workspace[] {
  const packages = readdirSync(join(ROOT, "packages")).map((name) => `packages/${name}`);
  return [...packages, "relay", "app"]
    .filter((folder) => existsSync(join(ROOT, folder, "package.json")))
    .map((folder) => {
      const manifest = readJson(join(folder, "package.json")) as Manifest;
      return {
        folder,
        name: manifest.name,
        dependencies: Object.keys(manifest.dependencies ?? {}),
        exports: manifest.exports ?? {},
        sources: readSources(join(folder, "src")),
      };
    });
}

export const readJson = (path: string): unknown =>
  JSON.parse(readFileSync(join(ROOT, path), "utf8"));

function readSources(folder: string): readonly Source[] {
  const root = join(ROOT, folder);
  if (!existsSync(root)) return [];
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => {
      const full = join(entry.parentPath, entry.name);
      const text = readFileSync(full, "utf8");
      const code = withoutComments(text);
      return { path: relative(ROOT, full), text, code, imports: importsOf(code) };
    });
}

/** Comments go, strings stay: what stands in front of each other wins, as in the language. */
export const withoutComments = (source: string): string =>
  source.replace(
    /\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`/g,
    (match) => (match.startsWith("/") ? "" : match),
  );

export const importsOf = (code: string): readonly string[] =>
  [...code.matchAll(/\b(?:from\s*|import\s*\(\s*|import\s+)"([^"\n]+)"/g)].map(
    (match) => match[1] ?? "",
  );

/** "@scope/name/sub/path" and "name/sub/path" without the path. */
export const packageOf = (module: string): string =>
  module
    .split("/")
    .slice(0, module.startsWith("@") ? 2 : 1)
    .join("/");
