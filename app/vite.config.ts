import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";
import { flatTemplates } from "./build/flat-templates.ts";
import { leanLibp2p } from "./build/lean-libp2p.ts";
import { packedWords } from "./build/packed-words.ts";
import { strictDelivery } from "./build/strict-delivery.ts";

/** Inside libp2p alone: interfaces have files of the same names. */
const nodeOfOneRelay = (): Plugin => ({
  name: "sotto-node-of-one-relay",
  enforce: "pre",
  resolveId(source, importer) {
    if (importer?.includes("/node_modules/@libp2p/peer-collections/") === true) {
      return source === "./filter.js" ? file("build/peer-set.ts") : undefined;
    }
    if (importer?.endsWith("/@libp2p/utils/dist/src/index.js") === true) {
      return source === "./filters/index.js" ? file("build/peer-set.ts") : undefined;
    }
    if (importer?.includes("/node_modules/@libp2p/circuit-relay-v2/") === true) {
      return source === "./discovery.js" ? file("build/known-relays.ts") : undefined;
    }
    if (importer?.includes("/node_modules/libp2p/dist/src/") !== true) return undefined;
    if (source === "./reconnect-queue.js") return file("build/no-reconnects.ts");
    if (/\/(?:content-routing|peer-routing|random-walk)\.js$/.test(source)) {
      return file("build/no-routing.ts");
    }
    return /\/(?:dns|ip)-mappings\.js$/.test(source) ? file("build/no-mappings.ts") : undefined;
  },
});

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  root: file("."),
  resolve: {
    conditions: ["@sotto/source", "module", "browser", "production"],
    alias: [
      // Past its wrapper, which looks for a second Dexie in the page. Its modern form is smaller still, but with it the
      // first part of the app imports a chunk that others import as well, and WebKit refuses those.
      { find: /^dexie$/, replacement: "dexie/dist/dexie.js" },
      { find: "@libp2p/peer-store", replacement: file("build/memory-peers.ts") },
      { find: "@libp2p/logger", replacement: file("build/no-logs.ts") },
      { find: "@multiformats/dns", replacement: file("build/no-dns.ts") },
      {
        find: /^\.\/(?:ecdsa|rsa|secp256k1)\/\w+\.js$/,
        replacement: file("build/no-other-keys.ts"),
      },
      { find: /^(?:multiformats|\.)\/cid(?:\.js)?$/, replacement: file("build/no-cid.ts") },
      { find: /^netmask$/, replacement: file("build/one-netmask.ts") },
      { find: /^.*\/bases\/base256emoji\.js$/, replacement: file("build/no-emoji-base.ts") },
    ],
  },
  plugins: [nodeOfOneRelay(), packedWords(), leanLibp2p(), flatTemplates(), strictDelivery()],
  build: {
    outDir: file("dist"),
    emptyOutDir: true,
    target: ["chrome127", "firefox148", "safari26"],
    // Preload links carry no integrity; the import map covers every module without them.
    modulePreload: false,
    assetsInlineLimit: 0,
    // 1 % smaller than what Vite minifies with, for a few seconds of the build.
    minify: "terser",
    terserOptions: { ecma: 2020, module: true, compress: { passes: 2 } },
    rolldownOptions: {
      checks: { pluginTimings: false },
      input: {
        main: file("index.html"),
        "service-worker": file("service-worker/service-worker.ts"),
      },
      output: {
        entryFileNames: ({ name }) =>
          name === "service-worker" ? "service-worker.js" : "assets/[name]-[hash].js",
      },
    },
  },
});
