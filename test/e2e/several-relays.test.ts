/** Two people with their mailboxes at two relays: whichever is killed, everything arrives, and once. */
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Browser, BrowserContext } from "playwright-core";
import { launchChromium } from "./support/browsers.ts";
import {
  composer,
  history,
  inviteLink,
  type Person,
  sees,
  visit,
  WAIT_MS,
  write,
} from "./support/person.ts";
import { type RelayProcess, startRelayProcess } from "./support/relay-process.ts";

let first: RelayProcess;
let second: RelayProcess;
let browser: Browser;

beforeEach(async () => {
  second = await startRelayProcess();
  first = await startRelayProcess({ env: { SOTTO_APP_RELAYS: second.url } });
  browser = await launchChromium();
});
afterEach(async () => {
  await browser.close();
  await Promise.all([first.dispose(), second.dispose()]);
});

const hostOf = (relay: RelayProcess): string => new URL(relay.url).host;

const relayRow = ({ page }: Person, host: string) =>
  page.locator("sotto-relays-panel li").filter({ hasText: host });

async function inSettings(person: Person, look: () => Promise<void>): Promise<void> {
  await person.page.getByRole("button", { name: "Settings" }).click();
  await look();
  await person.page.keyboard.press("Escape");
  await person.page.locator("dialog[open]").waitFor({ state: "detached" });
}

const isConnected = (person: Person, relay: RelayProcess): Promise<void> =>
  relayRow(person, hostOf(relay)).getByText("Connected").waitFor();

/** In a profile of their own. */
async function newcomer(): Promise<Person> {
  const context: BrowserContext = await browser.newContext({ locale: "en-GB" });
  // Without WebRTC: a direct link would carry on without any relay.
  await context.addInitScript(() => Reflect.deleteProperty(globalThis, "RTCPeerConnection"));
  const person = await visit(context, first.url);
  await inSettings(person, async () => {
    await person.page.getByRole("button", { name: `Add ${hostOf(second)}` }).click();
    await isConnected(person, second);
    await isConnected(person, first);
  });
  return person;
}

/** One message each way. */
async function exchange(alice: Person, bob: Person, text: string): Promise<void> {
  await write(alice, `${text}, Alice`);
  await write(bob, `${text}, Bob`);
  await Promise.all([sees(bob, `${text}, Alice`), sees(alice, `${text}, Bob`)]);
}

it("goes on when either relay is killed, also with a page that is opened without its own", async () => {
  const [alice, bob] = await Promise.all([newcomer(), newcomer()]);
  await bob.page.goto(await inviteLink(alice));
  await bob.page.getByRole("button", { name: "Accept" }).or(composer(bob)).first().waitFor();
  await Promise.all([composer(alice).waitFor(), composer(bob).waitFor()]);
  await exchange(alice, bob, "one");
  // A page that opens without its relay is one that its service worker has kept by then.
  await alice.page.evaluate(async () => void (await navigator.serviceWorker.ready));

  const during = [1, 2, 3, 4, 5].map((n) => `while it dies ${n}`);
  for (const text of during.slice(0, 2)) await write(alice, text);
  const killed = first.kill();
  for (const text of during.slice(2)) await write(alice, text);
  await killed;
  for (const text of during) await sees(bob, text);
  await exchange(alice, bob, "two");
  await alice.page.reload();
  await composer(alice).waitFor();
  await exchange(alice, bob, "three");

  await first.restart();
  for (const person of [alice, bob]) await inSettings(person, () => isConnected(person, first));
  await second.kill();
  await exchange(alice, bob, "four");

  const texts = await history(alice);
  expect(texts).toHaveLength(13);
  expect(new Set(texts).size).toBe(13);
  await expect.poll(() => history(bob), { timeout: WAIT_MS }).toEqual(texts);
  expect([...alice.problems, ...bob.problems]).toEqual([]);

  // No operator has named this one, and the page's policy keeps it away.
  const stranger = "127.0.0.1:1";
  await inSettings(alice, async () => {
    await alice.page.getByText("Add another relay").click();
    await alice.page.getByLabel("Address of the relay").fill(`http://${stranger}`);
    await alice.page.getByRole("button", { name: "Add", exact: true }).click();
    await relayRow(alice, stranger).getByText("This page is not allowed").waitFor();
    await alice.page.getByRole("button", { name: `Remove ${stranger}` }).click();
    await relayRow(alice, stranger).waitFor({ state: "detached" });
  });
}, 120_000);
