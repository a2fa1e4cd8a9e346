/** Under the page's own policy each browser finds engines faster than the reference, and none is wrong. */
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createProfile } from "./support/browsers.ts";
import { type Person, visit, WAIT_MS } from "./support/person.ts";
import { type RelayProcess, startRelayProcess } from "./support/relay-process.ts";
import { startWebKit } from "./support/webkit.ts";

const DIST = fileURLToPath(new URL("../../app/dist", import.meta.url));

let relay: RelayProcess;
beforeAll(async () => {
  relay = await startRelayProcess();
});
afterAll(() => relay.dispose());

/** What the settings say about it, as soon as it is what `chosen` says: one operation is chosen after another. */
async function enginesOf({ page }: Person, chosen: RegExp): Promise<string> {
  await page.getByRole("button", { name: "Settings" }).click();
  const details = page
    .locator("sotto-settings-panel details")
    .filter({ hasText: "Details for troubleshooting" });
  const told = async (): Promise<string> => (await details.textContent()) ?? "";
  await expect.poll(told, { timeout: WAIT_MS }).toMatch(chosen);
  return told();
}

it.each(["chromium", "firefox"] as const)("%s has one for X25519 and Ed25519", async (browser) => {
  const profile = await createProfile({ browser });
  try {
    const person = await visit(profile.context, relay.url);
    await enginesOf(person, /\bdh: (kernel|webcrypto)\b.*\b(verify|sign|signPublic): webcrypto/);
    expect(person.problems).toEqual([]);
  } finally {
    await profile.dispose();
  }
});

it("WebKit has one for X25519 too", async () => {
  const webkit = await startWebKit();
  try {
    await webkit.open(relay.url);
    await expect.poll(() => webkit.details(), { timeout: WAIT_MS }).toMatch(/\bdh: (?!noble)/);
  } finally {
    await webkit.quit();
  }
});

it("a page that may not compile WebAssembly has the browser's own", async () => {
  const folder = await mkdtemp(join(tmpdir(), "sotto-e2e-no-wasm-"));
  await cp(DIST, folder, { recursive: true });
  const headers = join(folder, "headers.json");
  const strict = (await readFile(headers, "utf8")).replace(" 'wasm-unsafe-eval'", "");
  await writeFile(headers, strict);
  const other = await startRelayProcess({ app: folder });
  const profile = await createProfile();
  try {
    const person = await visit(profile.context, other.url);
    // Which of the browser's own wins depends on what else the machine does; a kernel cannot.
    const told = await enginesOf(person, /\b(dh|dhPublic|verify|sign|signPublic): webcrypto/);
    expect(told).not.toContain("kernel");
    const smallest = "WebAssembly.compile(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0))";
    await expect(person.page.evaluate(smallest)).rejects.toThrow(/Content Security Policy/);
  } finally {
    await profile.dispose();
    await other.dispose();
    await rm(folder, { recursive: true });
  }
});
