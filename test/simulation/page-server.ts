/** Builds the simulator's page and serves it on loopback. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, preview } from "vite";

const PAGE = fileURLToPath(new URL("page", import.meta.url));
/** As in the page itself, for browsers that read the header first. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

export interface SimulatorPage {
  readonly url: string;
  close(): Promise<void>;
}

/** `port` 0: any that is free. */
export async function serveSimulator(port: number): Promise<SimulatorPage> {
  const outDir = await mkdtemp(join(tmpdir(), "sotto-simulator-"));
  const shared = { configFile: false, root: PAGE, logLevel: "error" } as const;
  await build({
    ...shared,
    resolve: { conditions: ["@sotto/source", "browser", "module"] },
    build: { outDir, emptyOutDir: true, target: "es2022", modulePreload: false },
  });
  const server = await preview({
    ...shared,
    build: { outDir },
    preview: {
      host: "127.0.0.1",
      port,
      headers: { "content-security-policy": POLICY, "x-content-type-options": "nosniff" },
    },
  });
  const url = server.resolvedUrls?.local[0];
  if (url === undefined) throw new Error("the page is not served");
  return {
    url,
    async close() {
      await server.close();
      await rm(outDir, { recursive: true });
    },
  };
}
