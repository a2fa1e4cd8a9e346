/** The page runs only what was built: headers, hashes, offline start. */
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createProfile, type Profile } from "./support/browsers.ts";
import { openConversation, sees, visit, WAIT_MS, write } from "./support/person.ts";
import { type RelayProcess, startRelayProcess } from "./support/relay-process.ts";

const DIST = fileURLToPath(new URL("../../app/dist", import.meta.url));

let relay: RelayProcess;
let profile: Profile;

beforeAll(async () => {
  relay = await startRelayProcess();
  profile = await createProfile();
});
afterAll(async () => {
  await profile.dispose();
  await relay.dispose();
});

it("sends a policy with one exception, WebAssembly, and hashes for every script", async () => {
  const response = await fetch(relay.url);
  const policy = response.headers.get("content-security-policy") ?? "";
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain("require-trusted-types-for 'script'");
  // It lets nobody evaluate text, and stands where it is needed only.
  expect(policy).toMatch(/(^|; )script-src 'self' 'wasm-unsafe-eval' 'sha256-[^' ]+'(;|$)/);
  expect(policy.replace("'wasm-unsafe-eval'", "")).not.toMatch(/unsafe|\*|https?:|data:/);
  expect(response.headers.get("integrity-policy")).toContain("script");
  expect(response.headers.get("x-content-type-options")).toBe("nosniff");
  const html = await response.text();
  const scripts = (await readdir(join(DIST, "assets"))).filter((name) => name.endsWith(".js"));
  expect(scripts.length).toBeGreaterThan(2);
  for (const name of scripts) expect(html).toContain(`"/assets/${name}":"sha384-`);
  expect(html).not.toMatch(/<script(?![^>]*(type="importmap"|src=))/);
  expect(html).not.toMatch(/\son\w+=/);
});

it("starts offline, shows the history and takes new notes", async () => {
  const person = await visit(profile.context, relay.url);
  await openConversation(person, "Notes to self");
  await write(person, "before the train");
  await sees(person, "before the train");
  await person.page.evaluate(() => navigator.serviceWorker.ready);
  await relay.kill();
  await person.page.reload();
  await sees(person, "before the train");
  await write(person, "in the tunnel");
  await sees(person, "in the tunnel");
  await person.page.reload();
  await sees(person, "in the tunnel");
  await relay.restart();
  await person.page.close();
});

it.each(["chromium", "firefox"] as const)("refuses a changed script in %s", async (browser) => {
  const folder = await mkdtemp(join(tmpdir(), "sotto-e2e-tampered-"));
  await cp(DIST, folder, { recursive: true });
  const assets = join(folder, "assets");
  for (const name of await readdir(assets)) {
    // The first script stays as it is; what it loads later was exchanged by someone.
    if (!name.endsWith(".js") || name.startsWith("main-")) continue;
    const path = join(assets, name);
    await writeFile(path, `globalThis.stolen = true;\n${await readFile(path, "utf8")}`);
    for (const packed of [".br", ".gz"]) await rm(`${path}${packed}`);
  }
  const tampered = await startRelayProcess({ app: folder });
  const victim = await createProfile({ browser });
  try {
    const person = await visit(victim.context, tampered.url);
    await person.page.getByText("Sotto could not start here.").waitFor();
    expect(await person.page.evaluate(() => "stolen" in globalThis)).toBe(false);
    expect(person.problems.join()).toMatch(/integrity/i);
  } finally {
    await victim.dispose();
    await tampered.dispose();
    await rm(folder, { recursive: true });
  }
});

it("is installable", async () => {
  const page = await profile.context.newPage();
  await page.goto(relay.url);
  const session = await profile.context.newCDPSession(page);
  await expect
    .poll(async () => (await session.send("Page.getInstallabilityErrors")).installabilityErrors, {
      timeout: WAIT_MS,
    })
    .toEqual([]);
  await page.close();
});
