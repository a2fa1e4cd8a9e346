/** What cannot be done is said, with its cause, and nothing that was typed is lost. */
import { MessengerError } from "@sotto/sdk";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { sendFailureOf, startFailureOf } from "../../app/src/failures.ts";
import { createProfile, type Profile } from "./support/browsers.ts";
import {
  composer,
  inviteLink,
  openConversation,
  type Person,
  sees,
  visit,
  WAIT_MS,
  write,
} from "./support/person.ts";
import { type RelayProcess, startRelayProcess } from "./support/relay-process.ts";

/** Same origin as the app, without the app. */
const OUTSIDE = "/manifest.webmanifest";
const NEWER_VERSION = 99_999;

describe("the cause", () => {
  it.each([
    [new MessengerError("storage", "the database is kept by another tab"), "other-tab"],
    [new MessengerError("storage", "identity not stored: full"), "full"],
    [new MessengerError("storage", "identity unreadable"), "unreadable"],
    [new MessengerError("storage", "history is gone"), "gone"],
    [new MessengerError("storage", "no state to show"), "general"],
    [new MessengerError("usage", "identity unreadable"), "general"],
    [new TypeError("Failed to fetch dynamically imported module"), "general"],
    [undefined, "general"],
  ] as const)("of a start that failed with %s is %s", (error, cause) => {
    expect(startFailureOf(error)).toBe(cause);
  });

  it.each([
    [new MessengerError("limit", "too many"), "ok", "limit"],
    [new MessengerError("storage", "not stored: full"), "ok", "full"],
    [new MessengerError("storage", "not stored: closed"), "ok", "closed"],
    [new MessengerError("closed", "the messenger was closed"), "ok", "closed"],
    [new MessengerError("storage", "not done"), "closed", "closed"],
    [new MessengerError("storage", "not done"), "full", "full"],
    [new MessengerError("storage", "not stored: closed"), "full", "closed"],
    [new MessengerError("storage", "not done"), "ok", "failed"],
  ] as const)("of a text refused with %s, storage %s, is %s", (error, storage, cause) => {
    expect(sendFailureOf(error, storage)).toBe(cause);
  });
});

describe("on screen", () => {
  let relay: RelayProcess;
  let profile: Profile;

  beforeEach(async () => {
    relay = await startRelayProcess();
    profile = await createProfile();
  });
  afterEach(async () => {
    await profile.dispose();
    await relay.dispose();
  });

  it("an older tab that keeps the database is named, and a reload goes on once it is closed", async () => {
    const older = await visit(profile.context, `${relay.url}${OUTSIDE}`);
    await older.page.evaluate(
      () =>
        new Promise<void>((resolve, reject) => {
          // Does not listen to who wants a newer version, and so keeps it.
          const opened = indexedDB.open("sotto-main", 1);
          opened.onsuccess = () => resolve();
          opened.onerror = () => reject(new Error("not opened"));
        }),
    );
    const { page } = await visit(profile.context, relay.url);
    await page.getByText("Another tab of Sotto").waitFor();
    await older.page.close();
    await page.getByRole("button", { name: "Reload" }).click();
    await page.getByText("Notes to self").first().waitFor();
  });

  it("an identity that cannot be read is kept, and nobody is told to blame the browser", async () => {
    const first = await visit(profile.context, relay.url);
    await openConversation(first, "Notes to self");
    await first.page.goto(`${relay.url}${OUTSIDE}`);
    await first.page.evaluate(
      () =>
        new Promise<void>((resolve, reject) => {
          const opened = indexedDB.open("sotto-main");
          opened.onsuccess = () => {
            const cursor = opened.result
              .transaction("self", "readwrite")
              .objectStore("self")
              .openCursor();
            cursor.onsuccess = () => cursor.result?.update({ name: "of a later version" });
            if (cursor.transaction !== null) cursor.transaction.oncomplete = () => resolve();
          };
          opened.onerror = () => reject(new Error("not opened"));
        }),
    );
    await first.page.goto(relay.url);
    await first.page.getByText("Do not clear the site’s data.").waitFor();
    expect(await first.page.getByText("too old").count()).toBe(0);
  });

  it("without its database an app says what it cannot do", async () => {
    const friend = await createProfile();
    try {
      const link = await inviteLink(await visit(friend.context, relay.url));
      const alice = await visit(profile.context, relay.url);
      await openConversation(alice, "Notes to self");
      await takeDatabase(alice);
      await write(alice, "a thought");
      await alice.page.getByText("this tab no longer has the database").waitFor();
      await expect.poll(() => composer(alice).inputValue()).toBe("a thought");

      await alice.page.getByRole("button", { name: /Change your name$/ }).click();
      await alice.page.getByRole("textbox", { name: "Your name" }).fill("Ada");
      await alice.page.keyboard.press("Enter");
      await alice.page.getByText("That could not be done.").waitFor();

      await alice.page.getByRole("button", { name: "I have a link" }).click();
      await alice.page.getByLabel("Link or code").fill(link);
      await alice.page.getByRole("button", { name: "Open", exact: true }).click();
      await alice.page
        .locator("sotto-join-panel")
        .getByRole("alert")
        .filter({ hasText: "did not work on this device" })
        .waitFor();
      expect(alice.problems).toEqual([]);
    } finally {
      await friend.dispose();
    }
  });

  it("a messenger that was closed leaves nothing waiting for ever", async () => {
    const { page, problems } = await visit(profile.context, relay.url);
    await page.getByText("Notes to self").first().waitFor();
    // As when the page is put away and comes back without being loaded anew.
    await page.evaluate(() => dispatchEvent(new PageTransitionEvent("pagehide")));
    await page.getByRole("button", { name: "I have a link" }).click();
    await page.getByLabel("Link or code").fill("any text");
    await page.getByRole("button", { name: "Open", exact: true }).click();
    await page.getByText("did not work on this device").waitFor();
    expect(problems).toEqual([]);
  });

  it("a text that comes back late stands before what was typed since", async () => {
    const leader = await visit(profile.context, relay.url);
    await inviteLink(leader);
    await profile.context.addInitScript(holdMessagesToOtherTabs);
    const alice = await visit(profile.context, relay.url);
    await openConversation(alice, "Notes to self");
    await write(alice, "before");
    await sees(alice, "before");
    await takeDatabase(leader);
    await alice.page.evaluate(() => dispatchEvent(new Event("hold")));
    await write(alice, "first");
    await composer(alice).fill("second");
    await openConversation(alice, "Waiting for a friend");
    await expect.poll(() => composer(alice).inputValue()).toBe("");
    await alice.page.evaluate(() => dispatchEvent(new Event("release")));
    await expect
      .poll(() => alice.page.evaluate(() => sessionStorage.getItem("sotto-drafts")), {
        timeout: WAIT_MS,
      })
      .toContain("first");
    await openConversation(alice, "Notes to self");
    expect(await composer(alice).inputValue()).toBe("first\nsecond");
  });
});

/** Another, newer version of the app opens the same database. */
const takeDatabase = ({ page }: Person): Promise<void> =>
  page.evaluate(
    (version) =>
      new Promise<void>((resolve, reject) => {
        const opened = indexedDB.open("sotto-main", version);
        opened.onsuccess = () => {
          opened.result.close();
          resolve();
        };
        opened.onerror = () => reject(new Error("not opened"));
      }),
    NEWER_VERSION,
  );

/** Runs in the page: between the events "hold" and "release" the leading tab hears nothing. */
function holdMessagesToOtherTabs(): void {
  const held: (() => void)[] = [];
  let isHolding = false;
  class SlowChannel extends BroadcastChannel {
    override postMessage(message: unknown): void {
      const post = (): void => super.postMessage(message);
      if (isHolding) held.push(post);
      else post();
    }
  }
  globalThis.BroadcastChannel = SlowChannel;
  addEventListener("hold", () => {
    isHolding = true;
  });
  addEventListener("release", () => {
    isHolding = false;
    for (const post of held.splice(0)) post();
  });
}
