/** From opening an invite link to the message on the other side's screen, in real browsers, cold and warm. */
import type { Browser, Page } from "playwright-core";
import { launchChromium } from "../e2e/support/browsers.ts";
import { startRelayProcess } from "../e2e/support/relay-process.ts";
import type { Measure } from "./main.ts";

const ROUNDS = 5;
const TEXT = "first message";
const MS_PER_SECOND = 1_000;

/** cold: a browser that has never seen the app. warm: the app is cached and the identity exists. */
export async function benchFirstMessage(): Promise<readonly Measure[]> {
  const relay = await startRelayProcess();
  const browser = await launchChromium();
  try {
    const cold: number[] = [];
    const warm: number[] = [];
    const blank: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const invitee = await browser.newContext();
      const page = await invitee.newPage();
      const from = performance.now();
      await page.goto("about:blank");
      blank.push((performance.now() - from) / MS_PER_SECOND);
      cold.push(await firstMessage(browser, page, relay.url));
      await page.evaluate(() => navigator.serviceWorker.ready);
      warm.push(await firstMessage(browser, page, relay.url));
      await invitee.close();
    }
    return [
      { name: "cold, median", value: median(cold), unit: "s (goal: under 3)" },
      { name: "warm, median", value: median(warm), unit: "s (goal: under 2)" },
      { name: "yardstick: opening an empty page, median", value: median(blank), unit: "s" },
    ];
  } finally {
    await browser.close();
    await relay.dispose();
  }
}

async function firstMessage(browser: Browser, invitee: Page, url: string): Promise<number> {
  const inviter = await browser.newContext();
  const page = await inviter.newPage();
  await page.goto(url);
  await page.getByRole("button", { name: "Invite someone" }).first().click();
  await page.getByText(/Valid until/).waitFor();
  const link = await page.getByLabel("Invite link", { exact: true }).inputValue();
  const from = performance.now();
  await invitee.goto(link);
  const composer = invitee.getByRole("textbox", { name: "Message" });
  await composer.fill(TEXT);
  await composer.press("Enter");
  await page.locator("sotto-timeline").getByText(TEXT).waitFor();
  const seconds = (performance.now() - from) / MS_PER_SECOND;
  await inviter.close();
  return seconds;
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
