/** A page of the bench, built with our sources and served to a real browser. */
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, preview } from "vite";
import { createProfile } from "../e2e/support/browsers.ts";

const PAGE = fileURLToPath(new URL("page", import.meta.url));

export interface BuiltPage {
  /** Opens the page in a profile of its own and gives what that call of a global function of it resolves to. */
  run(browser: "chromium" | "firefox", call: string): Promise<unknown>;
  close(): Promise<void>;
}

export async function buildPage(): Promise<BuiltPage> {
  const outDir = await mkdtemp(join(tmpdir(), "sotto-bench-page-"));
  const shared = { configFile: false, root: PAGE, logLevel: "error" } as const;
  await build({
    ...shared,
    resolve: { conditions: ["@sotto/source", "browser", "module"] },
    build: { outDir, emptyOutDir: true, target: "es2022" },
  });
  const olm = createRequire(import.meta.url).resolve("@matrix-org/olm/olm.wasm");
  await copyFile(olm, join(outDir, "olm.wasm"));
  const server = await preview({
    ...shared,
    build: { outDir },
    preview: { host: "127.0.0.1", port: 0 },
  });
  const url = server.resolvedUrls?.local[0];
  if (url === undefined) throw new Error("the page is not served");
  return {
    async run(browser, call) {
      const profile = await createProfile({ browser });
      try {
        const page = await profile.context.newPage();
        await page.goto(url);
        return await page.evaluate(call);
      } finally {
        await profile.dispose();
      }
    },
    async close() {
      await server.close();
      await rm(outDir, { recursive: true });
    },
  };
}
