/** Back and Forward of the browser, and links that are opened in unusual ways. */
import type { Page } from "playwright-core";
import { afterEach, beforeEach, expect, it } from "vitest";
import { createProfile, type Profile } from "./support/browsers.ts";
import {
  composer,
  inviteLink,
  meet,
  openConversation,
  type Person,
  sees,
  visit,
  WAIT_MS,
  write,
} from "./support/person.ts";
import { type RelayProcess, startRelayProcess } from "./support/relay-process.ts";

const PHONE = { viewport: { width: 390, height: 844 } } as const;
/** Same origin as the app, without the app. */
const OUTSIDE = "/manifest.webmanifest";

let relay: RelayProcess;
let profile: Profile;

beforeEach(async () => {
  relay = await startRelayProcess();
  profile = await createProfile(PHONE);
});
afterEach(async () => {
  await profile.dispose();
  await relay.dispose();
});

const list = (page: Page): ReturnType<Page["getByRole"]> =>
  page.getByRole("list", { name: "Conversations" });
const sheet = (page: Page, name: string): ReturnType<Page["getByRole"]> =>
  page.getByRole("dialog", { name });

async function expectNoSheet(page: Page): Promise<void> {
  await page.locator("dialog[open]").waitFor({ state: "detached" });
}

it("three visits to conversations leave Back to lead out of the app at once", async () => {
  const { page } = await visit(profile.context, `${relay.url}${OUTSIDE}`);
  await page.goto(relay.url);
  const person: Person = { page, problems: [], hosts: new Set() };
  for (let visits = 0; visits < 2; visits++) {
    await openConversation(person, "Notes to self");
    await page.getByRole("button", { name: "Back to the list" }).click();
    await list(page).waitFor();
    // One came from there.
    await expect
      .poll(() =>
        list(page)
          .getByRole("link")
          .evaluate((row) => row.matches(":focus")),
      )
      .toBe(true);
  }
  await openConversation(person, "Notes to self");
  await composer(person).focus();
  await page.keyboard.press("Escape");
  await list(page).waitFor();
  await page.goBack();
  await expect.poll(() => new URL(page.url()).pathname).toBe(OUTSIDE);
});

it("a conversation that was opened by its address leads to the list without staying behind it", async () => {
  const first = await visit(profile.context, relay.url);
  await openConversation(first, "Notes to self");
  const address = first.page.url();
  await first.page.close();
  const { page } = await visit(profile.context, `${relay.url}${OUTSIDE}`);
  await page.goto(address);
  await page.getByRole("button", { name: "Back to the list" }).click();
  await list(page).waitFor();
  await page.goBack();
  await expect.poll(() => new URL(page.url()).pathname).toBe(OUTSIDE);
});

it("Back and Forward go through conversations and sheets, after a reload too", async () => {
  const friend = await createProfile();
  try {
    const [alice, bob] = await meet(profile.context, friend.context, relay.url);
    await write(bob, "hello");
    await sees(alice, "hello");
    const { page } = alice;
    await page.getByRole("button", { name: "Verify" }).click();
    const digits = page.getByRole("list", { name: "Safety number" });
    const shown = await digits.innerText();
    expect(shown.replaceAll(/\D/g, "")).toHaveLength(60);
    await page.goBack();
    await expectNoSheet(page);
    await sees(alice, "hello");

    // Forward of a page that was loaded anew: the sheet gets its number again.
    await page.reload();
    await sees(alice, "hello");
    await page.goForward();
    await digits.waitFor();
    expect(await digits.innerText()).toBe(shown);

    // Closed by hand it is left behind, and Back goes on to the list.
    await page.keyboard.press("Escape");
    await expectNoSheet(page);
    await sees(alice, "hello");
    await page.goBack();
    await list(page).waitFor();
    await page.getByRole("button", { name: "Settings" }).click();
    await sheet(page, "Settings").waitFor();
    await page.goBack();
    await expectNoSheet(page);
    await page.goForward();
    await sheet(page, "Settings").waitFor();
    expect(alice.problems).toEqual([]);
  } finally {
    await friend.dispose();
  }
});

it("a failure of an earlier link is forgotten when another one is to be opened", async () => {
  const { page } = await visit(profile.context, relay.url);
  const open = page.getByRole("button", { name: "I have a link" });
  await open.click();
  await page.getByLabel("Link or code").fill("not a link");
  await page.getByRole("button", { name: "Open", exact: true }).click();
  await page.getByText("This is not an invite link.").waitFor();
  await page.keyboard.press("Escape");
  await expectNoSheet(page);
  await open.click();
  await page.getByLabel("Link or code").waitFor();
  expect(await page.getByRole("alert").count()).toBe(0);
  expect(await page.getByLabel("Link or code").inputValue()).toBe("");
});

it("one link opened in two tabs at once is one conversation", async () => {
  const friend = await createProfile();
  try {
    const alice = await visit(friend.context, relay.url);
    const link = await inviteLink(alice);
    // The profile exists and one of its tabs leads, as on any later visit.
    const before = await visit(profile.context, relay.url);
    await list(before.page).waitFor();
    const tabs = await Promise.all([visit(profile.context, link), visit(profile.context, link)]);
    await Promise.all(tabs.map((tab) => composer(tab).waitFor()));
    const ids = tabs.map(({ page }) => new URL(page.url()).searchParams.get("c"));
    expect(new Set(ids).size).toBe(1);
    await write(tabs[0], "from the first tab");
    await write(tabs[1], "from the second tab");
    for (const text of ["from the first tab", "from the second tab"]) {
      await sees(alice, text);
      for (const tab of tabs) await sees(tab, text);
    }
    await expect
      .poll(() => list(before.page).getByRole("link").count(), { timeout: WAIT_MS })
      .toBe(2);
    expect(tabs.flatMap((tab) => tab.problems)).toEqual([]);
  } finally {
    await friend.dispose();
  }
});

it("the second identity does not offer a third, and finds an invite in its own address", async () => {
  const friend = await createProfile();
  try {
    const link = await inviteLink(await visit(friend.context, relay.url));
    const demo = await visit(profile.context, `${relay.url}/?as=demo`);
    await list(demo.page).waitFor();
    await demo.page.getByRole("button", { name: "Invite someone" }).waitFor();
    expect(await demo.page.getByRole("button", { name: "Try with a second tab" }).count()).toBe(0);
    await demo.page.getByRole("button", { name: "I have a link" }).click();
    await demo.page.getByLabel("Link or code").fill(link.replace("#", "?as=demo#"));
    await demo.page.getByRole("button", { name: "Open", exact: true }).click();
    await composer(demo).waitFor();
  } finally {
    await friend.dispose();
  }
});
