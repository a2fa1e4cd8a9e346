import { playwright } from "@vitest/browser-playwright";
import { defineConfig } from "vitest/config";

/** One condition name everywhere: TypeScript, Vite, Vitest and Node all run the sources, never a stale dist. */
const conditions = ["@sotto/source"];
const resolve = { conditions };
const ssr = { resolve: { conditions, externalConditions: conditions } };

const CHROMIUM = process.env["SOTTO_CHROMIUM"] ?? "/usr/bin/chromium";

export default defineConfig({
  test: {
    projects: [
      {
        resolve,
        ssr,
        test: {
          name: "node",
          environment: "node",
          include: [
            "packages/*/test/**/*.test.ts",
            "relay/test/**/*.test.ts",
            "test/{simulation,architecture,docs}/**/*.test.ts",
          ],
          exclude: ["**/*.browser.test.ts"],
          testTimeout: 30_000,
        },
      },
      {
        resolve,
        optimizeDeps: {
          include: ["lit", "lit/directives/repeat.js", "dexie", "fast-check"],
        },
        test: {
          name: "chromium",
          include: ["packages/*/test/**/*.browser.test.ts"],
          testTimeout: 30_000,
          browser: {
            enabled: true,
            headless: true,
            screenshotFailures: false,
            provider: playwright({
              launchOptions: {
                executablePath: CHROMIUM,
                args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
              },
            }),
            instances: [{ browser: "chromium" }],
          },
        },
      },
      {
        resolve,
        ssr,
        test: {
          name: "e2e",
          environment: "node",
          include: ["test/e2e/**/*.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
