/** A device is lost: the words and a file bring it back in another browser, and nothing that is not whole does. */
import { AxeBuilder } from "@axe-core/playwright";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createProfile, type Profile } from "./support/browsers.ts";
import {
  composer,
  history,
  meet,
  openConversation,
  type Person,
  sees,
  seesStatus,
  visit,
  WAIT_MS,
  write,
} from "./support/person.ts";
import { type RelayProcess, startRelayProcess } from "./support/relay-process.ts";

const OUTPUT = fileURLToPath(new URL("output/backup/", import.meta.url));
const TAGS = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"];

let relay: RelayProcess;
const profiles: Profile[] = [];

beforeAll(async () => {
  await mkdir(OUTPUT, { recursive: true });
  relay = await startRelayProcess();
});
afterAll(async () => {
  await Promise.all(profiles.map((profile) => profile.dispose()));
  await relay.dispose();
});

/** `script` runs before the page's own. */
async function profile(script: string): Promise<Profile> {
  const made = await createProfile();
  await made.context.addInitScript(script);
  profiles.push(made);
  return made;
}

/** A browser's own dialog for files cannot be driven: without it files go where downloads go. */
const NO_PICKER = "delete globalThis.showSaveFilePicker";
/** The same file every time: one of the origin's own, written by the browser's own means. */
const OWN_FILE = `globalThis.showSaveFilePicker = async () =>
  (await navigator.storage.getDirectory()).getFileHandle("backup", { create: true })`;

/** As the standard has it: a file that is there is empty once it was chosen. */
const EMPTIES = `globalThis.showSaveFilePicker = async () => {
  const folder = await navigator.storage.getDirectory();
  const file = await folder.getFileHandle(localStorage.getItem("test-file") ?? "backup", { create: true });
  await (await file.createWritable()).close();
  return file;
}`;

/** Where a test says so, the browser wants to ask again first. */
const ASKS = `${OWN_FILE};
const query = FileSystemHandle.prototype.queryPermission;
FileSystemHandle.prototype.queryPermission = function (of) {
  return localStorage.getItem("test-asks") === null ? query.call(this, of) : Promise.resolve("prompt");
}`;

async function look({ page }: Person, screen: string): Promise<void> {
  for (const [view, viewport] of [
    ["desk", { width: 1_280, height: 900 }],
    ["phone", { width: 390, height: 844 }],
  ] as const) {
    await page.setViewportSize(viewport);
    await page.screenshot({ path: `${OUTPUT}${screen}-${view}.png`, animations: "disabled" });
    const { violations } = await new AxeBuilder({ page }).withTags(TAGS).analyze();
    expect(violations.map(({ id, nodes }) => `${screen}: ${id} ${nodes[0]?.html}`)).toEqual([]);
  }
  await page.setViewportSize({ width: 1_280, height: 900 });
}

const panel = ({ page }: Person) => page.locator("sotto-keys-panel");

async function openSettings(person: Person): Promise<void> {
  await person.page.getByRole("button", { name: "Settings" }).click();
  await panel(person).getByRole("button", { name: "Save a backup file" }).waitFor();
}

async function wordsOf(person: Person): Promise<string> {
  await panel(person).getByRole("button", { name: "Show my 24 words" }).click();
  await panel(person).locator("li").nth(23).waitFor();
  const words = await panel(person).locator("li").allInnerTexts();
  expect(words).toHaveLength(24);
  return words.join(" ");
}

async function savedFile(person: Person, path: string): Promise<void> {
  const [download] = await Promise.all([
    person.page.waitForEvent("download"),
    panel(person).getByRole("button", { name: "Save a backup file" }).click(),
  ]);
  expect(download.suggestedFilename()).toMatch(/^sotto-backup-\d{4}-\d\d-\d\d\.sotto$/);
  await download.saveAs(path);
  await panel(person).getByText("The backup is saved.").waitFor();
}

/** When the daily file was written. */
const kept = ({ page }: Person): Promise<number> =>
  page.evaluate(() => Number(localStorage.getItem("sotto-backup-kept")));

/** A day later, and with a row of another app's making or without it. */
async function comeBack({ page }: Person, act: "put" | "delete"): Promise<void> {
  await page.getByRole("button", { name: "Close" }).click();
  await page.evaluate(async (how) => {
    localStorage.setItem("sotto-backup-kept", "0");
    await new Promise((resolve, reject) => {
      const opening = indexedDB.open("sotto-main");
      opening.onerror = reject;
      opening.onsuccess = () => {
        const transaction = opening.result.transaction("posts", "readwrite");
        const table = transaction.objectStore("posts");
        if (how === "put") table.put({ id: "damaged" });
        else table.delete("damaged");
        transaction.oncomplete = resolve;
        transaction.onabort = reject;
      };
    });
  }, act);
  await page.reload();
}

/** What stands in a file of the origin's own. */
async function bytesIn({ page }: Person, name = "backup"): Promise<Buffer> {
  const bytes = await page.evaluate(async (of) => {
    const folder = await navigator.storage.getDirectory();
    const file = await (await folder.getFileHandle(of)).getFile();
    return [...new Uint8Array(await file.arrayBuffer())];
  }, name);
  return Buffer.from(bytes);
}

/** In the notes, with a line worth keeping, and the settings open. */
async function withNotes(person: Person): Promise<void> {
  await openConversation(person, "Notes to self");
  await composer(person).waitFor();
  await write(person, "worth keeping");
  await sees(person, "worth keeping");
  await openSettings(person);
}

const daily = (person: Person) => panel(person).getByLabel("Save it again there every day");

async function turns(person: Person, on: boolean): Promise<void> {
  await daily(person).click();
  await expect.poll(() => daily(person).isChecked(), { timeout: WAIT_MS }).toBe(on);
}

it("brings everything back in another browser, and talks on", { timeout: 240_000 }, async () => {
  const [first, friend] = await Promise.all([profile(NO_PICKER), profile("")]);
  const [alice, bob] = await meet(first.context, friend.context, relay.url);
  for (let count = 1; count <= 60; count++) await write(alice, `line ${count} of sixty`);
  await write(bob, "备份前 😀");
  await sees(alice, "备份前 😀");
  await seesStatus(alice, "line 60 of sixty", "delivered");

  await openSettings(alice);
  const words = await wordsOf(alice);
  await panel(alice).getByText("Let a passphrase open it, too").click();
  await panel(alice).locator("#passphrase").fill("correct horse battery");
  await panel(alice).locator("#passphrase").scrollIntoViewIfNeeded();
  await look(alice, "settings");
  const path = `${OUTPUT}alice.sotto`;
  await savedFile(alice, path);
  const bytes = await readFile(path);
  expect(bytes.includes("line 60 of sixty")).toBe(false);
  await first.dispose();
  profiles.splice(profiles.indexOf(first), 1);
  await write(bob, "while you were away");

  const second = await profile("");
  const again = await visit(second.context, relay.url);
  await again.page.getByRole("button", { name: "I have used Sotto before" }).click();
  const restore = again.page.locator("sotto-restore-panel");
  const submit = restore.getByRole("button", { name: "Bring it here" });
  await restore.getByLabel("Backup file, if you have one").setInputFiles(path);
  await restore.getByLabel("Your 24 words").fill(words.replace(/\S+$/, "sotto"));
  await look(again, "restore");
  await submit.click();
  await restore.getByText("counted from the first: 24").waitFor();
  await restore.getByLabel("Your 24 words").fill(words);
  const damaged = `${OUTPUT}damaged.sotto`;
  bytes[bytes.length - 20] = (bytes.at(-20) ?? 0) ^ 1;
  await writeFile(damaged, bytes);
  await restore.getByLabel("Backup file, if you have one").setInputFiles(damaged);
  await submit.click();
  await restore.getByText("The file is damaged or not complete.").waitFor();
  await look(again, "damaged");
  await restore.getByLabel("Backup file, if you have one").setInputFiles(path);
  await restore.getByLabel("the passphrase of the file").check();
  await restore.getByLabel("Passphrase of the file", { exact: true }).fill("wrong");
  await submit.click();
  await restore.getByText("That does not open this file.").waitFor();
  await restore.getByLabel("Passphrase of the file", { exact: true }).fill("correct horse battery");
  await submit.click();

  const list = again.page.locator("sotto-conversation-list a");
  await expect.poll(() => list.count(), { timeout: WAIT_MS }).toBe(2);
  await list.filter({ hasNotText: "Notes to self" }).click();
  await sees(again, "while you were away");
  await again.page
    .locator("sotto-timeline .scroller")
    .evaluate((element) => element.scrollTo(0, 0));
  await sees(again, "line 1 of sixty");
  const texts = await history(again);
  expect(texts.filter((text) => /^line \d+ of sixty$/.test(text))).toHaveLength(60);
  expect(texts).toContain("备份前 😀");
  await write(again, "back again");
  await sees(bob, "back again");
  await write(bob, "good to see you");
  await sees(again, "good to see you");
  expect([...again.hosts]).toEqual([new URL(relay.url).host]);
  expect(again.problems).toEqual([]);
});

it("a browser that cleared the database away says so, and begins nothing by itself", async () => {
  const { context } = await profile("");
  const alice = await visit(context, relay.url);
  await alice.page.getByText("Notes to self").waitFor();
  await openSettings(alice);
  const words = await wordsOf(alice);
  const accountOf = (): Promise<string> =>
    alice.page.locator("sotto-settings-panel .id").first().innerText();
  const account = await accountOf();
  const session = await context.newCDPSession(alice.page);
  const dailyOf = (): Promise<string | null> =>
    alice.page.evaluate(() => localStorage.getItem("sotto-backup-daily"));
  await alice.page.evaluate((of) => localStorage.setItem("sotto-backup-daily", of), account);
  const evict = async (): Promise<void> => {
    await session.send("Storage.clearDataForOrigin", {
      origin: relay.url,
      storageTypes: "indexeddb,cache_storage,file_systems,service_workers",
    });
    await alice.page.goto(relay.url);
    await alice.page.getByRole("heading", { name: "What was kept here is gone." }).waitFor();
  };
  await evict();
  await alice.page.reload();
  await alice.page.getByRole("heading", { name: "What was kept here is gone." }).waitFor();
  await look(alice, "gone");
  const restore = alice.page.locator("sotto-restore-panel");
  await restore.getByLabel("Your 24 words").fill(words);
  await restore.getByRole("button", { name: "Bring it here" }).click();
  await alice.page.getByText("Notes to self").waitFor({ timeout: WAIT_MS });
  await openSettings(alice);
  expect(await accountOf()).toBe(account);
  // The file of before has more than what is here by now.
  expect(await dailyOf()).toBeNull();

  await evict();
  await alice.page.getByText("Begin with a new account").first().click();
  await look(alice, "begin-anew");
  await alice.page.getByRole("button", { name: "Begin with a new account" }).click();
  await alice.page.getByText("Notes to self").waitFor({ timeout: WAIT_MS });
  await openSettings(alice);
  expect(await accountOf()).not.toBe(account);
  expect(alice.problems).toEqual([]);
});

it("writes the same file again a day later, and takes from it what is missing", async () => {
  const { context } = await profile(OWN_FILE);
  const alice = await visit(context, relay.url);
  await withNotes(alice);
  await turns(alice, true);
  const sizeOf = async (): Promise<number> => (await bytesIn(alice)).length;
  const before = await sizeOf();
  expect(before).toBeGreaterThan(1_000);
  await alice.page.getByRole("button", { name: "Close" }).click();
  await write(alice, "a line more");
  await sees(alice, "a line more");
  await alice.page.evaluate(() => localStorage.setItem("sotto-backup-kept", "0"));
  await alice.page.reload();
  await expect.poll(sizeOf, { timeout: WAIT_MS }).toBeGreaterThan(before);

  await openSettings(alice);
  await panel(alice).getByText("Add messages from a backup").click();
  const buffer = await bytesIn(alice);
  const field = panel(alice).locator("#file");
  await field.setInputFiles({ name: "b.sotto", mimeType: "", buffer });
  await panel(alice).getByText("2 messages looked at").waitFor();
  await field.setInputFiles({ name: "b.sotto", mimeType: "", buffer: Buffer.from("no backup") });
  await panel(alice).getByText("This file is not a backup of Sotto.").waitFor();
  await turns(alice, false);
  expect(alice.problems).toEqual([]);
});

it("waits with the daily file while a row cannot be read, says why, and goes on by itself", async () => {
  const { context } = await profile(ASKS);
  const alice = await visit(context, relay.url);
  await withNotes(alice);
  await turns(alice, true);
  await comeBack(alice, "put");
  await openSettings(alice);
  await panel(alice).getByText("Paused: some of what this browser keeps").waitFor();
  expect(await daily(alice).isChecked()).toBe(true);
  await daily(alice).scrollIntoViewIfNeeded();
  await look(alice, "paused");
  // By hand it is saved: only what was saved before is not written over.
  await panel(alice).getByRole("button", { name: "Save a backup file" }).click();
  await panel(alice).getByText("The backup is saved.").waitFor();
  expect(await kept(alice)).toBe(0);
  await alice.page.evaluate(() => localStorage.setItem("test-asks", ""));
  await comeBack(alice, "put");
  await openSettings(alice);
  await panel(alice).getByRole("button", { name: "Allow again" }).click();
  await panel(alice).getByText("Paused: some of what this browser keeps").waitFor();
  expect(await kept(alice)).toBe(0);
  await alice.page.evaluate(() => localStorage.removeItem("test-asks"));
  await comeBack(alice, "delete");
  await expect.poll(() => kept(alice), { timeout: WAIT_MS }).toBeGreaterThan(0);
  await openSettings(alice);
  expect(await panel(alice).getByText("Paused: some of what").count()).toBe(0);
  expect(alice.problems).toEqual([]);
});

it("does not switch on with less than the file may have, and asks for no file, which would empty it", async () => {
  const { context } = await profile(EMPTIES);
  const alice = await visit(context, relay.url);
  await withNotes(alice);
  await turns(alice, true);
  await turns(alice, false);
  const before = await bytesIn(alice);
  expect(before.length).toBeGreaterThan(1_000);
  await comeBack(alice, "put");
  await openSettings(alice);
  await daily(alice).click();
  await panel(alice).getByText("Not switched on").waitFor();
  await look(alice, "not-whole");
  expect(await daily(alice).isChecked()).toBe(false);
  expect((await bytesIn(alice)).equals(before)).toBe(true);
  await comeBack(alice, "delete");
  await openSettings(alice);
  await turns(alice, true);
  expect((await bytesIn(alice)).equals(before)).toBe(false);
  expect(alice.problems).toEqual([]);
});

it("takes what a chosen file has before it is written over, and leaves another account's alone", async () => {
  const [own, other] = await Promise.all([profile(OWN_FILE), profile(EMPTIES)]);
  const [alice, mallory] = await Promise.all(
    [own, other].map(({ context }) => visit(context, relay.url)),
  );
  if (alice === undefined || mallory === undefined) throw new Error("two people");
  for (const person of [alice, mallory]) {
    await withNotes(person);
    await turns(person, true);
  }
  const theirs = await bytesIn(mallory);
  const put = (bytes: Buffer): Promise<void> =>
    alice.page.evaluate(
      async (all) => {
        const folder = await navigator.storage.getDirectory();
        const writable = await (await folder.getFileHandle("backup")).createWritable();
        await writable.write(Uint8Array.from(all));
        await writable.close();
      },
      [...bytes],
    );
  await turns(alice, false);
  const mine = await bytesIn(alice);
  await put(theirs);
  await daily(alice).click();
  await panel(alice).getByText("This backup is of another account.").waitFor();
  expect(await daily(alice).isChecked()).toBe(false);
  expect((await bytesIn(alice)).equals(theirs)).toBe(true);
  const damaged = Buffer.from(mine);
  damaged[damaged.length - 20] = (damaged.at(-20) ?? 0) ^ 1;
  await put(damaged);
  await daily(alice).click();
  await panel(alice).getByText("The file is damaged or not complete.").waitFor();
  expect((await bytesIn(alice)).equals(damaged)).toBe(true);
  await put(mine);
  await turns(alice, true);
  await panel(alice).getByText("The backup is saved.").waitFor();
  expect((await bytesIn(alice)).equals(mine)).toBe(false);
  await turns(alice, false);
  await put(Buffer.from("something else"));
  await turns(alice, true);
  expect((await bytesIn(alice)).length).toBeGreaterThan(1_000);
  expect([...alice.problems, ...mallory.problems]).toEqual([]);
});

it("does not write the daily file of another account that was in this browser before", async () => {
  const { context } = await profile(EMPTIES);
  const alice = await visit(context, relay.url);
  await withNotes(alice);
  await turns(alice, true);
  const before = await bytesIn(alice);
  await alice.page.evaluate(() => {
    localStorage.setItem("sotto-backup-daily", "another account");
    localStorage.setItem("test-file", "by hand");
  });
  await comeBack(alice, "delete");
  await openSettings(alice);
  await expect.poll(() => daily(alice).isChecked(), { timeout: WAIT_MS }).toBe(false);
  // Begun later, with the same work to do: what began with the page is over by then.
  await panel(alice).getByRole("button", { name: "Save a backup file" }).click();
  await panel(alice).getByText("The backup is saved.").waitFor();
  expect((await bytesIn(alice, "by hand")).length).toBeGreaterThan(1_000);
  expect((await bytesIn(alice)).equals(before)).toBe(true);
  expect(await kept(alice)).toBe(0);
  expect(alice.problems).toEqual([]);
});
