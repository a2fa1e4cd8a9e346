import { afterAll, beforeAll, expect, it } from "vitest";
import { ON_DEMAND } from "../bench/size.ts";
import { expectBlind } from "./support/blind.ts";
import { createProfile, type Profile } from "./support/browsers.ts";
import {
  accountOf,
  composer,
  history,
  inviteLink,
  openConversation,
  type Person,
  sees,
  seesLink,
  seesStatus,
  visit,
  WAIT_MS,
  write,
} from "./support/person.ts";
import { type RelayProcess, startRelayProcess } from "./support/relay-process.ts";

let relay: RelayProcess;
let aliceProfile: Profile;
let bobProfile: Profile;

beforeAll(async () => {
  relay = await startRelayProcess();
  [aliceProfile, bobProfile] = await Promise.all([createProfile(), createProfile()]);
});
afterAll(async () => {
  await Promise.all([aliceProfile.dispose(), bobProfile.dispose()]);
  await relay.dispose();
});

const nameOf = ({ page }: Person): Promise<string> =>
  page.locator("sotto-name-field bdi").first().innerText();

it("two strangers meet by a link and talk directly", async () => {
  const alice = await visit(aliceProfile.context, relay.url);
  await alice.page.getByText("Notes to self").first().waitFor();
  expect(await nameOf(alice)).toMatch(/^\w+ \w+$/);

  // Two clicks for the one who invites, none for the one who follows.
  const link = await inviteLink(alice);
  expect(link.length).toBeLessThanOrEqual(106);
  await alice.page.getByRole("img", { name: "QR code of the invite link" }).waitFor();
  await alice.page.getByRole("button", { name: "Copy link" }).click();

  const bob = await visit(bobProfile.context, link);
  await composer(bob).waitFor();
  expect(new URL(bob.page.url()).hash).toBe("");
  await expect
    .poll(() => composer(bob).evaluate((field) => field.matches(":focus")), { timeout: WAIT_MS })
    .toBe(true);
  await bob.page.keyboard.type("Hello from Bob");
  await bob.page.keyboard.press("Enter");
  await sees(bob, "Hello from Bob");
  await sees(alice, "Hello from Bob");
  await write(alice, "Hello from Alice 你好 <b>not bold</b>");
  await sees(bob, "Hello from Alice 你好 <b>not bold</b>");
  await seesStatus(bob, "Hello from Bob", "delivered");
  await seesStatus(alice, "Hello from Alice", "delivered");
  await Promise.all([seesLink(alice, "direct"), seesLink(bob, "direct")]);
  await write(bob, "Straight to you");
  await sees(alice, "Straight to you");
  await seesStatus(bob, "Straight to you", "delivered");
  expect(await history(alice)).toEqual(await history(bob));

  for (const { page } of [alice, bob]) {
    const scripts = await page.evaluate(() =>
      performance
        .getEntriesByType("resource")
        .map(({ name }) => name.split("/").at(-1) ?? "")
        .filter((name) => name.endsWith(".js")),
    );
    expect(scripts.length).toBeGreaterThan(1);
    expect(scripts.filter((name) => ON_DEMAND.test(name))).toEqual([]);
  }
  // Strict delivery held, and nobody else was asked for anything.
  expect([...alice.problems, ...bob.problems]).toEqual([]);
  const own = new URL(relay.url).host;
  expect(new Set([...alice.hosts, ...bob.hosts])).toEqual(new Set([own]));

  const accounts = await Promise.all([accountOf(alice), accountOf(bob)]);
  expect(accounts[0][1]).toMatch(/^[0-9a-f]{40}$/);
  await relay.stop();
  await expectBlind(relay.dataFolder, [
    ...accounts.flat(),
    "Hello from Bob",
    "Hello from Alice",
    "Straight to you",
    await nameOf(alice),
    await nameOf(bob),
  ]);
  await relay.restart();
  await alice.page.close();
  await bob.page.close();
});

it("a used link and a wrong link say what to do", async () => {
  const alice = await visit(aliceProfile.context, relay.url);
  const link = await inviteLink(alice);
  const bob = await visit(bobProfile.context, link);
  await composer(bob).waitFor();
  await composer(alice).waitFor();
  const carolProfile = await createProfile();
  try {
    const carol = await visit(carolProfile.context, link);
    await carol.page
      .getByText("This invite was already used or has ended. Ask for a new one.")
      .waitFor();
    await carol.page.goto(relay.url);
    await carol.page.getByRole("button", { name: "I have a link" }).click();
    await carol.page.getByLabel("Link or code").fill(link.slice(0, -3));
    await carol.page.getByRole("button", { name: "Open", exact: true }).click();
    await carol.page.getByText("This is not an invite link.").waitFor();
    const other = await inviteLink(await visit(aliceProfile.context, relay.url));
    await carol.page.getByLabel("Link or code").fill(`Look: ${other} see you`);
    await carol.page.getByRole("button", { name: "Open", exact: true }).click();
    await composer(carol).waitFor();
  } finally {
    await carolProfile.dispose();
  }
  await alice.page.close();
  await bob.page.close();
});

it("a second tab is a second person", async () => {
  const alice = await visit(aliceProfile.context, relay.url);
  await alice.page.getByText("Notes to self").first().waitFor();
  const opened = aliceProfile.context.waitForEvent("page");
  await alice.page.getByRole("button", { name: "Try with a second tab" }).click();
  const demo: Person = { page: await opened, problems: [], hosts: new Set() };
  demo.page.setDefaultTimeout(WAIT_MS);
  await composer(demo).waitFor();
  await write(demo, "I am the other one");
  await sees(alice, "I am the other one");
  expect(await nameOf(demo)).not.toBe(await nameOf(alice));
  await write(alice, "and I am you");
  await sees(demo, "and I am you");
  await demo.page.close();
  await alice.page.close();
});

it("a name can be changed and the other side hears of it", async () => {
  const alice = await visit(aliceProfile.context, relay.url);
  const link = await inviteLink(alice);
  const bob = await visit(bobProfile.context, link);
  await composer(bob).waitFor();
  await composer(alice).waitFor();
  await alice.page.getByRole("button", { name: /Change your name$/ }).click();
  await alice.page.getByRole("textbox", { name: "Your name" }).fill("Ada Lovelace");
  await alice.page.keyboard.press("Enter");
  await bob.page.locator("sotto-conversation-header h1", { hasText: "Ada Lovelace" }).waitFor();
  await openConversation(bob, "Notes to self");
  await write(bob, "remember the milk");
  await sees(bob, "remember the milk");
});
