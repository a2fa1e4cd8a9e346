/** The public vectors and our frozen ones in Firefox, as in Chromium and Node: the reference, WebCrypto and the kernel. */
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { afterAll, beforeAll, expect, it } from "vitest";
import { build } from "vite";
import {
  AES_256_GCM_EXPECTED,
  EXPECTED,
  HKDF_EXPECTED,
  type ReadVectors,
  VECTOR_FILES,
} from "../../packages/crypto/test/wycheproof.ts";
import { FROZEN_FILES } from "../../packages/crypto/test/frozen.ts";
import { expectedOf, type Platform } from "../../packages/engines/test/platform-vectors.ts";
import { createProfile, type Profile } from "./support/browsers.ts";
import type { PageReport } from "./support/vectors-page.ts";

const read: ReadVectors = (file) =>
  readFile(new URL(`../vectors/${file}`, import.meta.url), "utf8");

const FILES = [...Object.values(VECTOR_FILES), ...FROZEN_FILES];

/** Of this version; a newer one may know more. 92 and 93 are 2p and 2p + 1: canonical points with the top bit set. */
const FIREFOX: Platform = {
  missing: ["seal", "open", "decaps", "kemPublic"],
  refusesToo: [92, 93],
};

let server: Server;
let profile: Profile;

beforeAll(async () => {
  const script = await bundle("support/vectors-page.ts");
  server = createServer((request, response) => {
    const file = FILES.find((one) => request.url === `/vectors/${one}`);
    if (file !== undefined) {
      void read(file).then((json) => response.end(json));
    } else if (request.url === "/page.js") {
      response.setHeader("content-type", "text/javascript");
      response.end(script);
    } else {
      response.setHeader("content-type", "text/html");
      response.end('<!doctype html><script type="module" src="/page.js"></script>');
    }
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  profile = await createProfile({ browser: "firefox" });
});
afterAll(async () => {
  await profile.dispose();
  server.close();
});

async function bundle(file: string): Promise<string> {
  const built = await build({
    configFile: false,
    logLevel: "warn",
    resolve: { conditions: ["@sotto/source"] },
    build: {
      write: false,
      minify: false,
      target: "esnext",
      rolldownOptions: {
        input: new URL(file, import.meta.url).pathname,
        output: { codeSplitting: false },
      },
    },
  });
  const [first] = Array.isArray(built) ? built : [built];
  const chunk = first !== undefined && "output" in first ? first.output[0] : undefined;
  if (chunk === undefined) throw new Error("nothing was built");
  return chunk.code;
}

it("answers every case as suite 1 says", async () => {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const page = await profile.context.newPage();
  await page.goto(`http://127.0.0.1:${address.port}/`);
  const answered = await page.evaluate(
    () => (globalThis as unknown as { sottoVectors: Promise<PageReport> }).sottoVectors,
  );
  const { crafted, spoilt, ...vectors } = answered;
  // Signatures that only a key's owner can make, and broken ones: taken are exactly those that noble takes.
  for (const { unsafe, differences, taken, onlyByNoble } of [crafted, spoilt]) {
    expect({ unsafe, differences }).toEqual({ unsafe: [], differences: [] });
    expect(taken - onlyByNoble).toBeGreaterThan(0);
  }
  expect(crafted.onlyByNoble).toBeGreaterThan(100);
  expect(vectors).toEqual({
    reference: EXPECTED,
    hkdf: HKDF_EXPECTED,
    hmac: EXPECTED.hmac,
    aes256Gcm: AES_256_GCM_EXPECTED,
    platform: await expectedOf(read, FIREFOX),
    frozen: FROZEN_FILES,
  });
});
