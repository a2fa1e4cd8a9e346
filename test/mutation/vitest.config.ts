/**
 * The tests that mutants of wire and crypto run against: those packages' own tests in Node, in the copy that
 * `main.ts` makes. Owns: resolving the packages to that copy, as node_modules leads out of it.
 * Leaves out what takes long and looks at little of the code: thousands of envelopes, known answers of primitives.
 */
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const inCopy = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const conditions = ["@sotto/source"];

export default defineConfig({
  root: inCopy(""),
  resolve: {
    conditions,
    alias: [
      { find: /^@sotto\/wire$/, replacement: inCopy("packages/wire/src/index.ts") },
      { find: /^@sotto\/crypto$/, replacement: inCopy("packages/crypto/src/index.ts") },
      {
        find: /^@sotto\/crypto\/recovery$/,
        replacement: inCopy("packages/crypto/src/recovery.ts"),
      },
    ],
  },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    environment: "node",
    include: ["packages/{wire,crypto}/test/**/*.test.ts"],
    exclude: ["**/*.browser.test.ts", "**/{long-conversation,wycheproof,secrecy}.test.ts"],
    runner: inCopy("test/mutation/runner.ts"),
    setupFiles: [inCopy("test/mutation/setup.ts")],
    pool: "forks",
    maxWorkers: 1,
    reporters: [],
    testTimeout: 20_000,
  },
});
