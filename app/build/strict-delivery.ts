/**
 * The last step of the build: every script gets its hash, and the page refuses all others.
 * Writes an import map with integrity into index.html, `integrity.json` (path to sha384 of everything)
 * and `headers.json` (what the relay must send). What is packed afterwards is no file of its own there.
 */
import { createHash } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Plugin } from "vite";
import { compress } from "./compress.ts";

/** Made by this build for the server, or replaced by it: not part of what a page loads. */
const NOT_LOADED: ReadonlySet<string> = new Set(["headers.json", "integrity.json"]);
const VERSION_MARK = "sotto-build-version";

export function strictDelivery(): Plugin {
  let folder = "";
  return {
    name: "sotto-strict-delivery",
    apply: "build",
    configResolved(config) {
      folder = config.build.outDir;
    },
    async closeBundle() {
      await seal(folder);
      await compress(folder);
    },
  };
}

async function seal(folder: string): Promise<void> {
  const names = (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .filter((name) => !NOT_LOADED.has(name))
    .toSorted();
  const hashes = new Map<string, string>();
  for (const name of names) hashes.set(name, sha384(await readFile(join(folder, name))));

  const scripts = names.filter((name) => name.startsWith("assets/") && name.endsWith(".js"));
  const map = JSON.stringify({
    integrity: Object.fromEntries(scripts.map((name) => [`/${name}`, hashes.get(name)])),
  });
  const page = join(folder, "index.html");
  const html = withIntegrity(await readFile(page, "utf8"), hashes).replace(
    "<script ",
    () => `<script type="importmap">${map}</script>\n    <script `,
  );
  await writeFile(page, html);
  hashes.set("index.html", sha384(Buffer.from(html)));

  const worker = "service-worker.js";
  const loaded = [...hashes].filter(([name]) => name !== worker);
  const version = createHash("sha256").update(JSON.stringify(loaded)).digest("hex").slice(0, 16);
  const source = await readFile(join(folder, worker), "utf8");
  if (!source.includes(VERSION_MARK)) throw new Error("the service worker names no version");
  await writeFile(join(folder, worker), source.replace(VERSION_MARK, version));

  const files = Object.fromEntries(loaded.map(([name, hash]) => [`/${name}`, hash]));
  await writeFile(
    join(folder, "integrity.json"),
    `${JSON.stringify({ version, files }, null, 1)}\n`,
  );
  await writeFile(join(folder, "headers.json"), `${JSON.stringify(headersFor(map), null, 1)}\n`);
}

const sha384 = (bytes: Uint8Array): string =>
  `sha384-${createHash("sha384").update(bytes).digest("base64")}`;

/** Adds the hash to every script and style sheet that the page names. */
function withIntegrity(html: string, hashes: ReadonlyMap<string, string>): string {
  return html.replaceAll(
    /(src|href)="\/(assets\/[^"]+\.(?:js|css))"/g,
    (whole, attribute, name) => {
      const hash = typeof name === "string" ? hashes.get(name) : undefined;
      return hash === undefined ? whole : `${attribute}="/${name}" integrity="${hash}"`;
    },
  );
}

/** `html` is sent with pages only, `all` with everything; both win over the relay's defaults. */
function headersFor(importMap: string): {
  readonly html: Readonly<Record<string, string>>;
  readonly all: Readonly<Record<string, string>>;
} {
  const mapHash = createHash("sha256").update(importMap).digest("base64");
  const policy = [
    "default-src 'none'",
    // Compiling WebAssembly, for the X25519 kernel of packages/engines. It permits no eval of JavaScript, and whoever
    // could hand bytes to the compiler runs script in this page already. Without it the kernel is missing.
    `script-src 'self' 'wasm-unsafe-eval' 'sha256-${mapHash}'`,
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "worker-src 'self'",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types lit-html sotto-sw",
  ];
  return {
    html: {
      "Content-Security-Policy": policy.join("; "),
      "Integrity-Policy": "blocked-destinations=(script)",
    },
    all: {
      "X-Content-Type-Options": "nosniff",
      "Referrer-Policy": "no-referrer",
      "Cross-Origin-Opener-Policy": "same-origin",
      "Cross-Origin-Resource-Policy": "same-origin",
      "Permissions-Policy":
        "camera=(self), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=(), clipboard-write=(self)",
    },
  };
}
