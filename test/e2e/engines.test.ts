/** Under the page's own policy each browser finds engines faster than the reference, and none is wrong. */
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { CryptoReport, OperationReport } from "@sotto/engines";
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

/** What the settings know when each operation has its engine; they show the names of the chosen ones. */
async function reportOf({ page }: Person): Promise<CryptoReport["operations"]> {
  await page.getByRole("button", { name: "Settings" }).click();
  const panel = page.locator("sotto-settings-panel");
  const report = (): Promise<CryptoReport> =>
    panel.evaluate((element) => (element as unknown as Shown).diagnostics.crypto);
  await expect.poll(async () => (await report()).state, { timeout: WAIT_MS }).toBe("chosen");
  const { operations } = await report();
  const details = panel.locator("details").filter({ hasText: "Details for troubleshooting" });
  await expect
    .poll(() => details.textContent(), { timeout: WAIT_MS })
    .toContain(`dh: ${operations.dh.chosen}`);
  return operations;
}

interface Shown {
  readonly diagnostics: { readonly crypto: CryptoReport };
}

/** Engines that gave the known answers. Which of them is the fastest depends on what else the machine does. */
const rightFor = ({ candidates }: OperationReport): readonly string[] =>
  candidates.filter(({ verdict }) => verdict === "correct").map(({ engine }) => engine);

it.each(["chromium", "firefox"] as const)("%s has one for X25519 and Ed25519", async (browser) => {
  const profile = await createProfile({ browser });
  try {
    const person = await visit(profile.context, relay.url);
    const report = await reportOf(person);
    expect(rightFor(report.dh)).toEqual(expect.arrayContaining(["webcrypto", "kernel"]));
    for (const one of [report.sign, report.verify, report.signPublic]) {
      expect(rightFor(one)).toContain("webcrypto");
    }
    for (const one of Object.values(report)) {
      expect(one.candidates.map(({ verdict }) => verdict)).not.toContain("wrong answer");
      expect([...rightFor(one), "noble"]).toContain(one.chosen);
    }
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
    const report = await reportOf(person);
    for (const one of [report.dh, report.dhPublic]) {
      expect(rightFor(one)).toContain("webcrypto");
      expect(rightFor(one)).not.toContain("kernel");
      expect(one.chosen).not.toBe("kernel");
    }
    const smallest = "WebAssembly.compile(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0))";
    await expect(person.page.evaluate(smallest)).rejects.toThrow(/Content Security Policy/);
  } finally {
    await profile.dispose();
    await other.dispose();
    await rm(folder, { recursive: true });
  }
});
