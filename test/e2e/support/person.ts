/** One person in one browser: what they do on screen, and what they see. English screens. */
import { expect } from "vitest";
import type { BrowserContext, Locator, Page } from "playwright-core";

/** How long anything may take on a busy machine before a test gives up waiting for it. */
export const WAIT_MS = 30_000;

export interface Person {
  readonly page: Page;
  /** Console errors, uncaught errors and violations of the content policy, as they come. */
  readonly problems: readonly string[];
  /** Every host that anything was requested from. */
  readonly hosts: ReadonlySet<string>;
}

/** Opens `url` in a tab of its own. */
export async function visit(context: BrowserContext, url: string): Promise<Person> {
  const page = await context.newPage();
  const problems: string[] = [];
  const hosts = new Set<string>();
  page.setDefaultTimeout(WAIT_MS);
  const note = (problem: string): void => {
    if (!isExpected(problem)) problems.push(problem);
  };
  page.on("console", (message) => {
    if (message.type() === "error") note(message.text());
  });
  // Firefox reports a refused connection here.
  page.on("pageerror", (error) => note(error.message));
  page.on("request", (request) => hosts.add(new URL(request.url()).host));
  page.on("websocket", (socket) => hosts.add(new URL(socket.url()).host));
  await page.goto(url);
  return { page, problems, hosts };
}

/** What a browser itself reports about a relay that is down. */
const isExpected = (text: string): boolean =>
  /WebSocket connection to|ERR_CONNECTION_(?:REFUSED|RESET|CLOSED)|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_SOCKET_NOT_CONNECTED|establish a connection to the server/.test(
    text,
  );

/** Two clicks at most: the link is on screen. */
export async function inviteLink({ page }: Person): Promise<string> {
  await page.getByRole("button", { name: "Invite someone" }).first().click();
  const field = page.getByLabel("Invite link", { exact: true });
  await expect.poll(() => field.inputValue(), { timeout: WAIT_MS }).toMatch(/\/i#/);
  await page.getByText(/Valid until/).waitFor();
  return field.inputValue();
}

export const composer = ({ page }: Person): Locator =>
  page.getByRole("textbox", { name: "Message" });

export async function write(person: Person, text: string): Promise<void> {
  await composer(person).fill(text);
  await composer(person).press("Enter");
}

const row = ({ page }: Person, text: string): Locator =>
  page.locator("sotto-timeline li[data-status]").filter({ hasText: text });

/** Exactly one bubble says so. */
export async function sees(person: Person, text: string): Promise<void> {
  await row(person, text).first().waitFor();
  expect(await row(person, text).count()).toBe(1);
}

/** The bubble carries this sign. */
export async function seesStatus(
  person: Person,
  text: string,
  status: "queued" | "relayed" | "delivered" | "failed",
): Promise<void> {
  await expect
    .poll(() => row(person, text).first().getAttribute("data-status"), { timeout: WAIT_MS })
    .toBe(status);
}

/** The header says which path is in use. */
export async function seesLink(person: Person, state: string | readonly string[]): Promise<void> {
  const words = person.page.locator("sotto-conversation-header [data-state]");
  await expect
    .poll(() => words.first().getAttribute("data-state"), { timeout: WAIT_MS })
    .toSatisfy((now) => typeof now === "string" && [state].flat().includes(now));
}

/** Texts of all bubbles, oldest first. */
export async function history({ page }: Person): Promise<readonly string[]> {
  return page.locator("sotto-timeline li[data-status] .text").allInnerTexts();
}

export async function openConversation({ page }: Person, name: string | RegExp): Promise<void> {
  await page.getByRole("link").filter({ hasText: name }).first().click();
}

/** Two people who have just met through a link. */
export async function meet(
  inviter: BrowserContext,
  invitee: BrowserContext,
  url: string,
): Promise<readonly [Person, Person]> {
  const alice = await visit(inviter, url);
  const link = await inviteLink(alice);
  const bob = await visit(invitee, link);
  await composer(bob).waitFor();
  await composer(alice).waitFor();
  return [alice, bob];
}

/** The account id of the settings, as shown and as bytes in hex. */
export async function accountOf({ page }: Person): Promise<readonly [string, string]> {
  await page.getByRole("button", { name: "Settings" }).click();
  const shown = await page.locator("sotto-settings-panel dd.id").innerText();
  await page.keyboard.press("Escape");
  await page.locator("dialog[open]").waitFor({ state: "detached" });
  const bits = Array.from(shown, (character) =>
    "abcdefghijklmnopqrstuvwxyz234567".indexOf(character).toString(2).padStart(5, "0"),
  ).join("");
  const bytes = bits.match(/[01]{8}/g) ?? [];
  return [
    shown,
    bytes.map((byte) => Number.parseInt(byte, 2).toString(16).padStart(2, "0")).join(""),
  ];
}
