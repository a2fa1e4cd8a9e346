/** One person on two devices: linked in the settings, noticed by the friend, removed again, and doubted for once. */
import { AxeBuilder } from "@axe-core/playwright";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { launchChromium } from "./support/browsers.ts";
import {
  meet,
  openConversation,
  type Person,
  sees,
  seesStatus,
  visit,
  write,
} from "./support/person.ts";
import { type RelayProcess, startRelayProcess } from "./support/relay-process.ts";

const ASSETS = fileURLToPath(new URL("../../app/dist/assets/", import.meta.url));
const SCREENS = fileURLToPath(new URL("output/devices/", import.meta.url));
const TAGS = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"];
const DESK = { width: 1_280, height: 800 };
const VIEWS = {
  "light-desk": { colorScheme: "light", viewport: DESK },
  "light-phone": { colorScheme: "light", viewport: { width: 390, height: 844 } },
  "dark-phone": { colorScheme: "dark", viewport: { width: 390, height: 844 } },
} as const;

let relay: RelayProcess;
let browser: Browser;

beforeAll(async () => {
  await mkdir(SCREENS, { recursive: true });
  [relay, browser] = await Promise.all([startRelayProcess(), launchChromium()]);
});
afterAll(async () => {
  await browser.close();
  await relay.dispose();
});

/** A picture, without an accessibility violation. */
async function look({ page }: Person, screen: string, view: keyof typeof VIEWS): Promise<void> {
  const { colorScheme, viewport } = VIEWS[view];
  await page.emulateMedia({ colorScheme });
  await page.setViewportSize(viewport);
  await page.screenshot({ path: `${SCREENS}${screen}-${view}.png`, animations: "disabled" });
  const { violations } = await new AxeBuilder({ page }).withTags(TAGS).analyze();
  expect(violations.map(({ id, nodes }) => `${screen}: ${id} ${nodes[0]?.html}`)).toEqual([]);
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize(DESK);
}

/** The app has no screen for it yet: its own messenger restores the account, under another page of this origin. */
async function restore(context: BrowserContext, phrase: string): Promise<void> {
  const page = await context.newPage();
  await page.goto(`${relay.url}/manifest.webmanifest`);
  const options = { name: "Second", relayUrl: relay.url, restore: phrase };
  // As text: what this file is compiled to has an import of its own.
  await page.evaluate(
    `import(${JSON.stringify(await sdkScript())})
      .then((sdk) => sdk.openMessenger(${JSON.stringify(options)}))
      .then((messenger) => messenger.close())`,
  );
  await page.close();
}

async function sdkScript(): Promise<string> {
  const names = (await readdir(ASSETS)).filter((name) => name.endsWith(".js"));
  for (const name of names) {
    const text = await readFile(`${ASSETS}${name}`, "utf8");
    if (/export\{[^}]*\bas openMessenger\b/.test(text)) return `/assets/${name}`;
  }
  throw new Error("no script of the built app opens a messenger");
}

const phraseOf = ({ page }: Person): Promise<string> =>
  page.evaluate(async () => {
    const app = document.querySelector("sotto-app") as unknown as {
      messenger: import("@sotto/sdk").Messenger;
    };
    return (await app.messenger.recoveryPhrase({ language: "english" })).join(" ");
  });

const openSettings = ({ page }: Person): Promise<void> =>
  page.getByRole("button", { name: "Settings" }).click();

async function closeSheet({ page }: Person): Promise<void> {
  await page.keyboard.press("Escape");
  await page.locator("dialog[open]").waitFor({ state: "detached" });
}

/** Changes what is stored while the app is not running: the contact has shown two lists. */
async function storeConflict(context: BrowserContext): Promise<void> {
  const page = await context.newPage();
  await page.goto(`${relay.url}/manifest.webmanifest`);
  await page.evaluate(async () => {
    const db = await new Promise<IDBDatabase>((resolve, reject) => {
      const request = indexedDB.open("sotto-main");
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(new Error("not opened"));
    });
    const transaction = db.transaction("conversations", "readwrite");
    const cursor = transaction.objectStore("conversations").openCursor();
    cursor.onsuccess = () => {
      if (cursor.result === null) return;
      const record = cursor.result.value as {
        parent?: string;
        peer: { state: string };
        devices: { fork?: number };
      };
      if (record.peer.state === "open" && record.parent === undefined) {
        record.devices.fork = 2;
        cursor.result.update(record);
      }
      cursor.result.continue();
    };
    await new Promise((resolve) => {
      transaction.oncomplete = resolve;
    });
    db.close();
  });
  await page.close();
}

/** By the address and pasted into the field for invites: neither makes a conversation or uses the link up. */
async function strangerOpens(stranger: Person, link: string): Promise<void> {
  const { page } = stranger;
  const address = page.url();
  await page.goto(link);
  await page.getByText("only adds a device to the account of whoever made it").waitFor();
  expect(await page.getByRole("button", { name: "Link this device" }).count()).toBe(0);
  for (const view of ["light-desk", "dark-phone"] as const) await look(stranger, "stranger", view);
  await page.getByRole("button", { name: "Back to the list" }).click();
  await page.getByRole("button", { name: "I have a link" }).first().click();
  await page.getByLabel("Link or code").fill(link);
  await page.getByRole("button", { name: "Open", exact: true }).click();
  await page.getByText("not an invite: it adds a device").waitFor();
  await page.goto(address);
}

const notice = (page: Page, words: string | RegExp) =>
  page.locator("sotto-devices-notice").getByText(words);

it("a second device is linked, seen by the friend, written to, removed, and doubted until numbers were compared", async () => {
  const contexts = await Promise.all([0, 1, 2].map(() => browser.newContext({ locale: "en-GB" })));
  const [atAlice, atBob, atTablet] = contexts;
  if (atAlice === undefined || atBob === undefined || atTablet === undefined) throw new Error();
  const [alice, bob] = await meet(atAlice, atBob, relay.url);
  await write(alice, "before the tablet");
  await sees(bob, "before the tablet");
  await restore(atTablet, await phraseOf(alice));
  const tablet = await visit(atTablet, relay.url);

  await openSettings(alice);
  await alice.page.getByRole("button", { name: "Link another device" }).click();
  const link = await alice.page.getByLabel("Device link", { exact: true }).inputValue();
  await look(alice, "link", "dark-phone");
  expect(link).toContain("/d#");
  await strangerOpens(bob, link);
  // As the camera of the other device opens it: the app asks before it links.
  await tablet.page.goto(link);
  const join = tablet.page.getByRole("button", { name: "Link this device" });
  await join.waitFor();
  await look(tablet, "own", "light-phone");
  await join.click();
  const remove = /^Remove device/;
  await tablet.page.getByText("This device is linked.").waitFor();
  await tablet.page.reload();
  await tablet.page.getByText("This device belongs to the account already").waitFor();
  await alice.page.getByRole("button", { name: remove }).waitFor();
  await closeSheet(alice);
  await tablet.page.getByRole("button", { name: "Back to the list" }).click();
  for (const { page } of [alice, tablet]) await page.getByText("On your 2 devices").waitFor();
  await bob.page.getByText("Only on this device").waitFor();

  await notice(bob.page, /added a device/).waitFor();
  await write(bob, "to both");
  await sees(alice, "to both");
  await openConversation(tablet, "to both");
  await sees(tablet, "to both");
  await sees(tablet, "before the tablet");
  await write(tablet, "from the tablet");
  await sees(bob, "from the tablet");
  await sees(alice, "from the tablet");
  // What is read by itself takes nothing away that has to be noticed.
  await notice(bob.page, /added a device/).waitFor();
  await look(bob, "added", "light-desk");
  await bob.page.getByRole("button", { name: "Dismiss" }).click();
  await notice(bob.page, /added a device/).waitFor({ state: "detached" });

  await openSettings(alice);
  await alice.page.getByRole("button", { name: remove }).click();
  await look(alice, "remove", "light-desk");
  await alice.page.getByRole("button", { name: "Remove device", exact: true }).click();
  await alice.page.getByRole("button", { name: remove }).waitFor({ state: "detached" });
  await closeSheet(alice);
  await notice(bob.page, /removed a device/).waitFor();
  await write(bob, "only for the first");
  await sees(alice, "only for the first");
  // To the list and back: what was on screen when it was left has been seen.
  await bob.page.getByRole("link", { name: /Notes to self/ }).click();
  await openConversation(bob, "only for the first");
  await notice(bob.page, /removed a device/).waitFor({ state: "detached" });

  await bob.page.close();
  await storeConflict(atBob);
  const again = await visit(atBob, relay.url);
  await openConversation(again, "only for the first");
  await notice(again.page, /disagree about which devices/).waitFor();
  await write(again, "is that you?");
  await seesStatus(again, "is that you?", "queued");
  await look(again, "conflict", "dark-phone");
  await again.page.getByRole("button", { name: "Compare safety number" }).click();
  const groups = again.page.locator("sotto-verify-panel ol li");
  // The number is reckoned while the sheet opens.
  await groups.first().waitFor();
  const digits = await groups.allInnerTexts();
  await again.page.getByLabel("Or paste the number").fill(digits.join(" "));
  await again.page.getByRole("button", { name: "Compare", exact: true }).click();
  await again.page.getByText("You have verified this person").waitFor();
  await closeSheet(again);
  await notice(again.page, /disagree/).waitFor({ state: "detached" });
  await sees(alice, "is that you?");
  for (const { problems } of [alice, bob, tablet, again]) expect(problems).toEqual([]);
});
