/** Search over the whole history in the browser: any script, newest first, and on to the message, however old it is. */
import { AxeBuilder } from "@axe-core/playwright";
import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Browser, BrowserContextOptions } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { CATALOGS } from "@sotto/ui/catalogs";
import { launchChromium } from "./support/browsers.ts";
import { history, type Person, sees, visit, WAIT_MS, write } from "./support/person.ts";
import { type RelayProcess, startRelayProcess } from "./support/relay-process.ts";

const OUTPUT = fileURLToPath(new URL("output/search/", import.meta.url));
const TAGS = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"];
const LINES = 420;
/** By number; all others say which line they are. */
const SPECIAL: ReadonlyMap<number, string> = new Map([
  [7, "早上在河边的小店买了面包 <b>新鲜</b>"],
  [12, "A trail of BreadCrumbs through the wood"],
  [395, "晚上吃面包吗？"],
]);

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

/** What is told to screen readers is kept for the test. */
const LISTENS = `globalThis.spoken = [];
Document.prototype.ariaNotify = (text) => void globalThis.spoken.push(text);`;

/** In the notes, with a history. */
async function withHistory(options: BrowserContextOptions): Promise<Person> {
  const context = await browser.newContext(options);
  await context.addInitScript(LISTENS);
  const person = await visit(context, relay.url);
  const notes = person.page.locator("sotto-conversation-list a").first();
  await notes.waitFor();
  const texts = Array.from({ length: LINES }, (_, at) => SPECIAL.get(at) ?? `line ${at} of many`);
  await person.page.evaluate(async (all) => {
    const { messenger } = document.querySelector("sotto-app") as unknown as {
      messenger: {
        conversations: { value: readonly { id: string }[] };
        conversation(id: string): { send(text: string): Promise<string> };
      };
    };
    const first = messenger.conversation(messenger.conversations.value[0]?.id ?? "");
    for (const text of all) await first.send(text);
  }, texts);
  await notes.click();
  await sees(person, `line ${LINES - 1} of many`);
  return person;
}

const panel = ({ page }: Person) => page.locator("sotto-search-panel");
const hits = (person: Person) => panel(person).locator("[role=option]");
const field = (person: Person) => panel(person).locator("[role=combobox]");

async function look({ page }: Person, name: string): Promise<void> {
  await page.screenshot({ path: `${OUTPUT}${name}.png`, animations: "disabled", caret: "hide" });
  const { violations } = await new AxeBuilder({ page }).withTags(TAGS).analyze();
  expect(violations.map(({ id, nodes }) => `${name}: ${id} ${nodes[0]?.html}`)).toEqual([]);
}

async function finds(person: Person, query: string, count: number): Promise<void> {
  await field(person).fill(query);
  await expect.poll(() => hits(person).count(), { timeout: WAIT_MS }).toBe(count);
}

it(
  "finds what is far back, in any script and case, and lands on it",
  { timeout: 180_000 },
  async () => {
    const alice = await withHistory({ viewport: { width: 1_280, height: 800 } });
    const { page } = alice;
    const notInSight = await history(alice);
    expect(notInSight).not.toContain(SPECIAL.get(7));

    await page.keyboard.press("Control+Shift+F");
    await expect.poll(() => field(alice).evaluate((one) => one.matches(":focus"))).toBe(true);
    await look(alice, "empty");
    await finds(alice, "eADcRu", 1);
    expect(await hits(alice).locator("mark").innerText()).toBe("eadCru");
    await finds(alice, "line", 50);
    await panel(alice).getByRole("button", { name: "Show older hits" }).click();
    await expect.poll(() => hits(alice).count(), { timeout: WAIT_MS }).toBe(100);
    await finds(alice, "不在这里", 0);
    await panel(alice).getByText("Nothing found in the messages on this device.").waitFor();
    await look(alice, "none");
    await finds(alice, "面包", 2);
    expect(await hits(alice).locator(".text").allInnerTexts()).toEqual([
      SPECIAL.get(395),
      SPECIAL.get(7),
    ]);
    await look(alice, "hits");

    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.locator("dialog[open]").waitFor({ state: "detached" });
    await sees(alice, SPECIAL.get(7) ?? "");
    const bubble = page.locator("sotto-timeline li", { hasText: "早上在河边" }).locator(".bubble");
    expect(await bubble.evaluate((one) => one.getAnimations().length)).toBeGreaterThan(0);
    await page.screenshot({ path: `${OUTPUT}landed.png`, caret: "hide" });
    await expect
      .poll(() =>
        page.locator("sotto-timeline .scroller").evaluate((one) => {
          const root = one.getRootNode() as ShadowRoot;
          const row = [...root.querySelectorAll(".text")].find((text) =>
            text.textContent?.startsWith("早上在河边"),
          );
          const [box, view] = [row?.getBoundingClientRect(), one.getBoundingClientRect()];
          const isInView = box !== undefined && box.top >= view.top && box.bottom <= view.bottom;
          return isInView && root.activeElement === one;
        }),
      )
      .toBe(true);
    const around = await history(alice);
    expect(around.length).toBeLessThan(150);
    expect(around).toContain("line 8 of many");
    expect(around).not.toContain(`line ${LINES - 1} of many`);
    const spoken = await page.evaluate(
      () => (globalThis as unknown as { spoken: string[] }).spoken,
    );
    expect(spoken.filter((text) => text.includes("早上在河边"))).toHaveLength(1);

    // Back to the newest, by the button and by writing.
    await page.getByRole("button", { name: "Newest messages" }).click();
    await sees(alice, `line ${LINES - 1} of many`);
    await page.keyboard.press("Control+Shift+G");
    await expect
      .poll(() => panel(alice).locator("#conversation option:checked").innerText())
      .toContain("Notes to self");
    await finds(alice, "BREADcrumbs", 1);
    await page.keyboard.press("Escape");
    await page.locator("dialog[open]").waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Search", exact: true }).click();
    await finds(alice, "trail", 1);
    await hits(alice).first().click();
    await sees(alice, SPECIAL.get(12) ?? "");
    await write(alice, "written from far back");
    await sees(alice, "written from far back");
    await expect.poll(() => history(alice)).toContain(`line ${LINES - 1} of many`);
    expect(alice.problems).toEqual([]);
  },
);

it("looks as it should on a phone in the dark, in Chinese", { timeout: 180_000 }, async () => {
  const words = CATALOGS["zh-CN"];
  const alice = await withHistory({
    locale: "zh-CN",
    colorScheme: "dark",
    viewport: { width: 390, height: 844 },
  });
  const { page } = alice;
  await page.getByRole("button", { name: words.conversation.back }).click();
  await look(alice, "zh-list");
  await page.getByRole("button", { name: words.search.title, exact: true }).click();
  await finds(alice, "面包", 2);
  await panel(alice).getByText(words.search.filters).click();
  await look(alice, "zh-hits");
  await panel(alice).locator("#who").selectOption("others");
  await panel(alice).getByText(words.search.none).waitFor();
  await look(alice, "zh-none");
  await panel(alice).locator("#who").selectOption("");
  await hits(alice).nth(1).click();
  await sees(alice, SPECIAL.get(7) ?? "");
  await page.screenshot({ path: `${OUTPUT}zh-landed.png`, caret: "hide" });
  expect(alice.problems).toEqual([]);
});
