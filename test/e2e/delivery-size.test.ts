/** What a browser loads stays small, and is sent as small as it goes. */
import { readdir, readFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { benchSize, benchCryptoSize } from "../bench/size.ts";
import { type RelayProcess, startRelayProcess } from "./support/relay-process.ts";

const DIST = fileURLToPath(new URL("../../app/dist", import.meta.url));
/** KB, gzip. */
const BUDGETS = { "first paint": 60, "able to chat": 230, everything: 320 } as const;

it.each(Object.entries(BUDGETS))("%s takes at most %d KB", async (name, budget) => {
  const measure = (await benchSize()).find((one) => one.name === name);
  expect(measure?.value).toBeGreaterThan(1);
  expect(measure?.value).toBeLessThanOrEqual(budget);
});

it("all of the crypto package, with the primitives under it, takes at most 45 KB", async () => {
  const size = await benchCryptoSize();
  expect(size).toBeGreaterThan(10);
  expect(size).toBeLessThanOrEqual(45);
});

it("no part but these is imported by others: WebKit refuses one that the messenger, libp2p and a later one share", async () => {
  const names = (await readdir(join(DIST, "assets"))).filter((name) => name.endsWith(".js"));
  const sources = await Promise.all(
    names.map((name) => readFile(join(DIST, "assets", name), "utf8")),
  );
  const shared = sources.flatMap((source) =>
    [...source.matchAll(/(?:from|import)\s*"\.\/([^"]+)-[\w-]{8}\.js"/g)].map(([, part]) => part),
  );
  expect(new Set(shared)).toEqual(new Set(["late", "main", "src"]));
});

describe("packed files", () => {
  let relay: RelayProcess;

  beforeAll(async () => {
    relay = await startRelayProcess();
  });
  afterAll(() => relay.dispose());

  it("stand next to every text of the app and hold the same bytes", async () => {
    const names = (await readdir(DIST, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
    const scripts = names.filter((name) => [".js", ".css", ".html"].includes(extname(name)));
    expect(scripts.length).toBeGreaterThan(4);
    for (const name of scripts) {
      const plain = await readFile(name);
      expect(brotliDecompressSync(await readFile(`${name}.br`)).equals(plain), name).toBe(true);
      expect(gunzipSync(await readFile(`${name}.gz`)).equals(plain), name).toBe(true);
    }
  });

  it("are what browsers get, and no files of their own to keep", async () => {
    const page = await fetch(relay.url, { headers: { "accept-encoding": "br" } });
    expect(page.headers.get("content-encoding")).toBe("br");
    const script = /src="(\/assets\/[^"]+\.js)"/.exec(await page.text())?.[1] ?? "";
    for (const encoding of ["br", "gzip"]) {
      const answer = await fetch(relay.url + script, { headers: { "accept-encoding": encoding } });
      expect(answer.headers.get("content-encoding")).toBe(encoding);
      expect(await answer.text()).toBe(await readFile(join(DIST, script), "utf8"));
    }
    const manifest = await readFile(join(DIST, "integrity.json"), "utf8");
    expect(manifest).not.toMatch(/\.(br|gz)"/);
  });
});
