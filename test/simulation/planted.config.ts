/** Runs test files with one bug of the catalogue in the sources they load: `SOTTO_PLANTED=id`. The files it met go to `SOTTO_PLANTED_MET`. */
import { appendFileSync } from "node:fs";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { applyPatches } from "../setup/patch.ts";
import { CATALOGUE, NO_BUG } from "./catalogue.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const conditions = ["@sotto/source"];
const planted = process.env["SOTTO_PLANTED"];
const entry = CATALOGUE.find(({ id }) => id === planted);
if (entry === undefined && planted !== NO_BUG) throw new Error("no such bug");
const patches = entry === undefined || typeof entry.how === "string" ? [] : entry.how;

export default defineConfig({
  root: ROOT,
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  plugins: [
    {
      name: "planted",
      enforce: "pre",
      transform(code, id) {
        const file = relative(ROOT, id.split("?")[0] ?? id);
        const met = process.env["SOTTO_PLANTED_MET"];
        const isHere = patches.some((patch) => patch.file === file);
        if (isHere && met !== undefined) appendFileSync(met, `${file}\n`);
        return applyPatches(file, code, patches);
      },
    },
  ],
  test: {
    environment: "node",
    include: ["packages/*/test/**/*.test.ts", "relay/test/**/*.test.ts"],
    exclude: ["**/*.browser.test.ts"],
    testTimeout: 60_000,
    // It knows sources by what is on the disk: a bug would live on in the next run.
    fsModuleCache: false,
    // Otherwise Node loads our packages itself, as they are.
    server: { deps: { inline: [/\/packages\//, /\/relay\//] } },
  },
});
