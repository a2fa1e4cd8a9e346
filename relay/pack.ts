/**
 * Makes `sotto-relay-<version>.tgz`, the relay as one package with the app in it: `npm install --global ./sotto-relay-0.1.0.tgz`.
 * The project's own packages travel inside, because they are published nowhere else. Run by `npm run pack:relay`.
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const BUNDLED = ["wire", "crypto", "engines"] as const;
/** Maps and build notes are for this repository. */
const isShipped = (path: string): boolean => !/\.map$|\.tsbuildinfo$/.test(path);

interface Manifest {
  readonly version: string;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly private?: boolean;
}

const manifestOf = (folder: string): Manifest =>
  JSON.parse(readFileSync(join(ROOT, folder, "package.json"), "utf8"));

/** What is shipped has no sources that the condition could lead to. */
function withoutSources(manifest: Manifest): Manifest {
  const exports = Object.entries(manifest.exports).map(([entry, targets]) => [
    entry,
    Object.fromEntries(Object.entries(targets).filter(([name]) => name !== "@sotto/source")),
  ]);
  return { ...manifest, private: false, exports: Object.fromEntries(exports) };
}

const target = resolve(process.argv[2] ?? ".");
mkdirSync(target, { recursive: true });
const staging = mkdtempSync(join(tmpdir(), "sotto-pack-"));
try {
  const relay = manifestOf("relay");
  const dependencies: Record<string, string> = { ...relay.dependencies };
  for (const name of BUNDLED) {
    const folder = join("packages", name);
    const manifest = manifestOf(folder);
    const inside = join(staging, "node_modules/@sotto", name);
    cpSync(join(ROOT, folder, "dist"), join(inside, "dist"), {
      recursive: true,
      filter: isShipped,
    });
    writeFileSync(join(inside, "package.json"), JSON.stringify(withoutSources(manifest), null, 2));
    for (const [other, version] of Object.entries(manifest.dependencies)) {
      if (!other.startsWith("@sotto/")) dependencies[other] = version;
    }
  }
  cpSync(join(ROOT, "relay/dist"), join(staging, "dist"), { recursive: true, filter: isShipped });
  cpSync(join(ROOT, "app/dist"), join(staging, "app"), { recursive: true });
  for (const page of ["README.md", "SPEC.md", "CONFIG.md", "OPERATING.md"]) {
    cpSync(join(ROOT, "relay", page), join(staging, page));
  }
  cpSync(join(ROOT, "LICENSE"), join(staging, "LICENSE"));
  const shipped = {
    ...withoutSources(relay),
    dependencies,
    bundleDependencies: BUNDLED.map((name) => `@sotto/${name}`),
    files: ["dist", "app", "*.md"],
    engines: { node: ">=24" },
  };
  writeFileSync(join(staging, "package.json"), `${JSON.stringify(shipped, null, 2)}\n`);
  const packed = execFileSync("npm", ["pack", "--pack-destination", target, "--loglevel=error"], {
    cwd: staging,
    encoding: "utf8",
  });
  process.stdout.write(`${join(target, packed.trim())}\n`);
} finally {
  rmSync(staging, { recursive: true });
}
