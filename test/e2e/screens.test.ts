/**
 * Every screen in both languages, both themes, on a desk and on a phone: no accessibility violation,
 * nothing wider than the screen. The pictures are kept in `output/` for people to look at.
 */
import { AxeBuilder } from "@axe-core/playwright";
import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { launchChromium } from "./support/browsers.ts";
import { WAIT_MS } from "./support/person.ts";
import { type RelayProcess, startRelayProcess } from "./support/relay-process.ts";
import { CATALOGS } from "@sotto/ui/catalogs";

const OUTPUT = fileURLToPath(new URL("output/", import.meta.url));
const LANGUAGES = [
  {
    locale: "en-GB",
    code: "en",
    words: CATALOGS.en,
    line: "See you at eight by the river?",
    answer: "Yes! I bring tea. https://example.com/map",
  },
  {
    locale: "zh-CN",
    code: "zh",
    words: CATALOGS["zh-CN"],
    line: "今晚八点河边见？",
    answer: "好的，我带茶。https://example.com/map",
  },
] as const;
const THEMES = ["light", "dark"] as const;
const SIZES = [
  { size: "desk", viewport: { width: 1_280, height: 800 } },
  { size: "phone", viewport: { width: 390, height: 844 } },
] as const;
const TAGS = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"];

let relay: RelayProcess;
let browser: Browser;

beforeAll(async () => {
  await mkdir(OUTPUT, { recursive: true });
  [relay, browser] = await Promise.all([startRelayProcess(), launchChromium()]);
});
afterAll(async () => {
  await browser.close();
  await relay.dispose();
});

// Most of it is waiting for drawing and the relay, which several walks may do at once.
describe.concurrent.each(LANGUAGES)("in $code", ({ locale, code, words, line, answer }) => {
  describe.each(THEMES)("%s", (colorScheme) => {
    it.each(SIZES)("on a $size", async ({ size, viewport }) => {
      const options = { locale, colorScheme, viewport };
      const inviter = await browser.newContext(options);
      const invitee = await browser.newContext({ locale, colorScheme });
      try {
        await walk(
          inviter,
          invitee,
          (name) => `${OUTPUT}${code}-${colorScheme}-${size}-${name}.png`,
        );
      } finally {
        await inviter.close();
        await invitee.close();
      }
    });
  });

  async function walk(
    inviter: BrowserContext,
    invitee: BrowserContext,
    file: (name: string) => string,
  ): Promise<void> {
    const page = await open(inviter, relay.url);
    const look = async (name: string): Promise<void> => {
      await page.screenshot({ path: file(name), animations: "disabled", caret: "hide" });
      const { violations } = await new AxeBuilder({ page }).withTags(TAGS).analyze();
      expect(violations.map(({ id, nodes }) => `${name}: ${id} ${nodes[0]?.html}`)).toEqual([]);
      const overflow = await page.evaluate(
        () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
      );
      expect(overflow, `${name} is wider than the screen`).toBeLessThanOrEqual(0);
    };
    const button = (name: string): ReturnType<Page["getByRole"]> =>
      page.getByRole("button", { name, exact: true }).first();
    const closeSheet = async (): Promise<void> => {
      await page.keyboard.press("Escape");
      await page.locator("dialog[open]").waitFor({ state: "detached" });
    };

    await page.getByText(words.list.notes).first().waitFor();
    await look("1-home");

    await button(words.home.code).click();
    await page.getByLabel(words.join.label).fill("hello");
    await button(words.join.go).click();
    await page.getByText(words.join.malformed).waitFor();
    await look("2-join-wrong");
    await closeSheet();

    await button(words.home.invite).click();
    const field = page.getByLabel(words.invite.label, { exact: true });
    await expect.poll(() => field.inputValue(), { timeout: WAIT_MS }).toMatch(/\/i#/);
    const link = await field.inputValue();
    await page.getByText(words.invite.until("").slice(0, 4)).first().waitFor();
    await look("3-invite");

    const other = await open(invitee, link);
    const write = async (who: Page, text: string): Promise<void> => {
      const box = who.getByRole("textbox", { name: words.composer.label, exact: true });
      await box.fill(text);
      await box.press("Enter");
    };
    await write(other, line);
    await page.getByText(line).first().waitFor();
    await write(page, answer);
    await other.getByText(answer.slice(0, 6)).first().waitFor();
    await page.locator('sotto-conversation-header [data-state="direct"]').waitFor();
    await page.locator('sotto-timeline [data-status="delivered"]').first().waitFor();
    await look("4-conversation");

    await button(words.conversation.more).click();
    await page.getByRole("img", { name: words.verify.qr }).waitFor();
    await look("5-verify");
    await button(words.verify.mark).click();
    await page.getByText(words.verify.verified).waitFor();
    await closeSheet();

    if (await button(words.conversation.back).isVisible())
      await button(words.conversation.back).click();
    await button(words.settingsLabel).click();
    await page.getByText(words.settings.aboutText).waitFor();
    await look("6-settings");
    await closeSheet();
    await look("7-list");

    const late = await open(
      inviter,
      link.replace(/.$/, (last) => (last === "A" ? "B" : "A")),
    );
    await late.getByRole("alert").first().waitFor();
    await late.screenshot({ path: file("8-dead-link"), animations: "disabled" });
  }
});

async function open(context: BrowserContext, url: string): Promise<Page> {
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT_MS);
  await page.goto(url);
  return page;
}
