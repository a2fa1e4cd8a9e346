/** Bytes a browser that takes gzip loads from the built app, as they are sent: first paint, able to chat, everything. */
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";
import { gzip } from "../../app/build/compress.ts";
import type { Measure } from "./main.ts";

const DIST = fileURLToPath(new URL("../../app/dist", import.meta.url));
const CRYPTO = fileURLToPath(new URL("../../packages/crypto/src/index.ts", import.meta.url));
const KILOBYTE = 1_024;

/** Loaded when somebody asks for it: a scan, the phrase, a backup, being woken, an invite code. A test sees that no chat loads them. */
export const ON_DEMAND = /^(?:decode|recovery|push|keys|search|backup|late|admission-sheet)-/;

/** Sizes in KB of the app in `app/dist`; build it first. */
export async function benchSize(): Promise<readonly Measure[]> {
  const html = await readFile(join(DIST, "index.html"), "utf8");
  const files = (await readdir(join(DIST, "assets"))).filter((name) => /\.(js|css)$/.test(name));
  const sources = new Map<string, string>();
  const packed = new Map<string, number>();
  for (const name of files) {
    const path = join(DIST, "assets", name);
    sources.set(name, await readFile(path, "utf8"));
    packed.set(name, (await stat(`${path}.gz`)).size);
  }
  const sizeOf = (names: Iterable<string>): number =>
    [...names].reduce((sum, name) => sum + (packed.get(name) ?? 0), 0) / KILOBYTE;

  const entries = files.filter((name) => new RegExp(`(?:src|href)="/assets/${name}"`).test(html));
  const first = closure(entries, sources, staticImports);
  const all = closure(entries, sources, allImports);
  const chat = closure(entries, sources, (source) =>
    allImports(source).filter((name) => !name.startsWith("libp2p") && !ON_DEMAND.test(name)),
  );
  const page = (await stat(join(DIST, "index.html.gz"))).size / KILOBYTE;
  return [
    { name: "first paint", value: page + sizeOf(first), unit: "KB gzip" },
    { name: "able to chat", value: page + sizeOf(chat), unit: "KB gzip" },
    { name: "everything", value: page + sizeOf(all), unit: "KB gzip" },
  ];
}

/**
 * KB, gzip, of everything `@sotto/crypto` exports with the primitives under it, minified. Word lists are an entry of their
 * own, and wire is a package of its own: with it, 2.6 KB more.
 */
export async function benchCryptoSize(): Promise<number> {
  const built = await build({
    configFile: false,
    logLevel: "warn",
    resolve: { conditions: ["@sotto/source"] },
    build: {
      write: false,
      target: "esnext",
      minify: "terser",
      // Not as a library: those keep their white space.
      rolldownOptions: {
        input: CRYPTO,
        external: ["@sotto/wire"],
        preserveEntrySignatures: "strict",
      },
    },
  });
  const outputs = (Array.isArray(built) ? built : [built]).flatMap((one) =>
    "output" in one ? one.output : [],
  );
  const code = outputs.map((one) => (one.type === "chunk" ? one.code : "")).join("");
  return (await gzip(Buffer.from(code))).length / KILOBYTE;
}

function closure(
  from: readonly string[],
  sources: ReadonlyMap<string, string>,
  importsOf: (source: string) => readonly string[],
): Set<string> {
  const reached = new Set(from);
  for (const name of reached) {
    for (const next of importsOf(sources.get(name) ?? "")) {
      if (sources.has(next)) reached.add(next);
    }
  }
  return reached;
}

const FILE = String.raw`["'\`](?:\.\/|\/assets\/|assets\/)([\w.-]+\.(?:js|css))["'\`]`;

const staticImports = (source: string): readonly string[] =>
  matches(source, new RegExp(String.raw`(?:from|import)\s*${FILE}`, "g"));

const allImports = (source: string): readonly string[] => matches(source, new RegExp(FILE, "g"));

const matches = (source: string, pattern: RegExp): readonly string[] =>
  [...source.matchAll(pattern)].map((match) => match[1] ?? "");
