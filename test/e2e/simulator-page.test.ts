/** The simulator as a page: the same seed gives the same trace in a browser as in Node. */
import { nobleBackend } from "@sotto/crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { serveSimulator, type SimulatorPage } from "../simulation/page-server.ts";
import { simulate } from "../simulation/simulate.ts";
import { simulateDevices } from "../simulation/simulate-devices.ts";
import { createProfile, type Profile } from "./support/browsers.ts";

const WAIT_MS = 90_000;

let served: SimulatorPage;

beforeAll(async () => {
  served = await serveSimulator(0);
});
afterAll(() => served.close());

describe.each(["chromium", "firefox"] as const)("in %s", (browser) => {
  let profile: Profile;

  beforeAll(async () => {
    profile = await createProfile({ browser });
  });
  afterAll(() => profile.dispose());

  async function open(query: string) {
    const page = await profile.context.newPage();
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error") errors.push(message.text());
    });
    await page.goto(`${served.url}?${query}`);
    return {
      page,
      errors,
      verdict: (text: RegExp) =>
        page.waitForFunction(
          (pattern) =>
            new RegExp(pattern).test(document.getElementById("verdict")?.textContent ?? ""),
          text.source,
          { timeout: WAIT_MS },
        ),
      text: (id: string) => page.locator(`#${id}`).textContent(),
    };
  }

  it.each([2, 3, 4])("seed %i runs to the same trace", async (seed) => {
    const { page, errors, verdict, text } = await open(`seed=${seed}`);
    await verdict(/^Holds/);
    const { traceHash, decisions } = await simulate(seed);
    expect(await text("hash")).toBe(traceHash);
    expect((await text("decisions"))?.split("\n")).toHaveLength(decisions.length);
    expect(await text("trace")).toContain("healed");
    // Firefox asks for an icon that the page neither has nor may have.
    expect(errors.filter((one) => !one.includes("favicon"))).toEqual([]);
    await page.close();
  });

  it("runs with the real cipher suite too", async () => {
    const { page, verdict, text } = await open("seed=2&real=1");
    await verdict(/^Holds/);
    const { traceHash } = await simulate(2, { crypto: nobleBackend });
    expect(await text("hash")).toBe(traceHash);
    await page.close();
  });

  it("runs with several devices and relays, and says how to see it elsewhere", async () => {
    const { page, errors, verdict, text } = await open("seed=3&devices=1&relays=2&twice=1");
    await verdict(/^Holds/);
    const { traceHash } = await simulateDevices(3, { admins: false, faults: { relays: 2 } });
    expect(await text("hash")).toBe(traceHash);
    expect(await text("command")).toBe(
      "npm run simulate -- --seed 3 --devices --relays 2 --twice --trace",
    );
    expect(await text("trace")).toContain("person0.0 starts");
    await page.locator("#relays").fill("0");
    await page.locator("button").click();
    await verdict(/^Relays are a whole number/);
    expect(errors.filter((one) => !one.includes("favicon"))).toEqual([]);
    await page.close();
  });

  it("makes everybody an admin when it is asked to, with no faults", async () => {
    const { page, verdict, text } = await open("seed=2&admins=1&faults=none");
    await verdict(/^(Holds|Fails)/);
    const { traceHash } = await simulateDevices(2, { admins: true, only: new Set() });
    expect(await text("hash")).toBe(traceHash);
    await page.close();
  });

  it("fails with a planted bug, and with what it is reduced to, as in Node", async () => {
    const { page, verdict } = await open("seed=4&bug=delete-on-relay-ok");
    await verdict(/^Fails/);
    const only = new Set(["write:1", "write:2", "write:3", "write:4"]);
    const { failures, traceHash } = await simulate(4, { bug: "delete-on-relay-ok", only });
    expect(failures.length).toBeGreaterThan(0);
    await page.locator("#faults").fill([...only].join(","));
    await page.locator("button").click();
    await page.waitForFunction(
      (hash) => document.getElementById("hash")?.textContent === hash,
      traceHash,
      { timeout: WAIT_MS },
    );
    expect(await page.locator("#failures li").allTextContents()).toEqual(failures);
    await page.close();
  });

  it("shows what is in its address as text", async () => {
    const faults = "<img src=x onerror=document.title='run'>";
    const { page, verdict, text } = await open(`seed=2&faults=${encodeURIComponent(faults)}`);
    await verdict(/^Holds/);
    expect(await text("command")).toBe("");
    expect(await page.locator("#faults").inputValue()).toBe(faults);
    expect(await page.locator("img").count()).toBe(0);
    expect(await page.title()).toBe("Sotto: replay a seed");
    await page.close();
  });
});
