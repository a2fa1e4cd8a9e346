import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";
import { flatTemplates } from "./build/flat-templates.ts";
import { strictDelivery } from "./build/strict-delivery.ts";

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  root: file("."),
  resolve: {
    conditions: ["@sotto/source", "module", "browser", "production"],
    alias: [
      { find: "@libp2p/logger", replacement: file("build/no-logs.ts") },
      { find: "@multiformats/dns", replacement: file("build/no-dns.ts") },
      {
        find: /^\.\/(?:ecdsa|rsa|secp256k1)\/\w+\.js$/,
        replacement: file("build/no-other-keys.ts"),
      },
      { find: /^netmask$/, replacement: file("build/one-netmask.ts") },
      { find: /^.*\/bases\/base256emoji\.js$/, replacement: file("build/no-emoji-base.ts") },
    ],
  },
  plugins: [flatTemplates(), strictDelivery()],
  build: {
    outDir: file("dist"),
    emptyOutDir: true,
    target: ["chrome127", "firefox148", "safari26"],
    // Preload links carry no integrity; the import map covers every module without them.
    modulePreload: false,
    assetsInlineLimit: 0,
    rolldownOptions: {
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
