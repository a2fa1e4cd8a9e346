/** A full disk and a database taken away: the screen says so, and nothing that was accepted is lost. */
import { afterEach, beforeEach, expect, it } from "vitest";
import { createProfile, type Profile } from "./support/browsers.ts";
import {
  composer,
  history,
  meet,
  openConversation,
  sees,
  seesStatus,
  visit,
  WAIT_MS,
  write,
} from "./support/person.ts";
import { type RelayProcess, startRelayProcess } from "./support/relay-process.ts";

/** Left on the full disk: less than a few large messages, more than what goes with a small one. */
const ROOM_BYTES = 150_000;
/** The browser may go on for 30 s with what it believed to be free before. */
const NOTES_MAX = 2_000;

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

it("a full disk keeps the text in the composer, and incoming messages at the relay", async () => {
  const friend = await createProfile();
  try {
    const [alice, bob] = await meet(profile.context, friend.context, relay.url);
    await write(bob, "before");
    await sees(alice, "before");
    const session = await profile.context.newCDPSession(alice.page);
    const usage = await alice.page.evaluate(async () => {
      await navigator.serviceWorker.ready;
      return (await navigator.storage.estimate()).usage ?? 0;
    });
    const quotaSize = usage + ROOM_BYTES;
    await session.send("Storage.overrideQuotaForOrigin", { origin: relay.url, quotaSize });
    // The browser counts anew for a new connection to the database.
    await alice.page.reload();
    await openConversation(alice, "Notes to self");
    const problem = alice.page.getByText(
      "Not stored: this device is full. Your text is still here.",
    );
    for (let note = 0; note < NOTES_MAX && !(await problem.isVisible()); note++) {
      await write(alice, `${note} ${"x".repeat(16_000)}`);
      await expect
        .poll(async () => (await composer(alice).inputValue()) === "" || problem.isVisible())
        .toBeTruthy();
      await alice.page
        .locator("sotto-timeline")
        .getByText(`${note} xxx`)
        .or(problem)
        .first()
        .waitFor();
    }
    await problem.waitFor();
    await alice.page.getByText("This device is full. Nothing you sent is lost").waitFor();
    expect(await composer(alice).inputValue()).toMatch(/^\d+ x+$/);
    await write(bob, "x".repeat(15_000));
    await seesStatus(bob, "xxx", "relayed");

    await session.send("Storage.overrideQuotaForOrigin", { origin: relay.url });
    await composer(alice).fill("fits again");
    await composer(alice).press("Enter");
    await sees(alice, "fits again");
    await seesStatus(bob, "xxx", "delivered");
    await openConversation(alice, /xxx/);
    await sees(alice, "xxx");
    expect(await history(alice)).toEqual(await history(bob));
  } finally {
    await friend.dispose();
  }
});

it("a database that is taken away says so, and a reload shows what is left", async () => {
  const alice = await visit(profile.context, relay.url);
  await openConversation(alice, "Notes to self");
  await write(alice, "a note");
  await sees(alice, "a note");
  // Another, newer version of the app opens the same database.
  await alice.page.evaluate(
    () =>
      new Promise<void>((resolve, reject) => {
        const opened = indexedDB.open("sotto-main", 99_999);
        opened.onsuccess = () => {
          opened.result.close();
          resolve();
        };
        opened.onerror = () => reject(new Error("not opened"));
      }),
  );
  await write(alice, "too late");
  await alice.page.getByText("The database was closed").waitFor();
  await alice.page.getByText("this tab no longer has the database").waitFor();
  await expect.poll(() => composer(alice).inputValue(), { timeout: WAIT_MS }).toBe("too late");
});
