/** History stays on the device, and all tabs of one profile show the same. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { createProfile, type Profile } from "./support/browsers.ts";
import { composer, history, meet, sees, seesStatus, visit, write } from "./support/person.ts";
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

it("survives a reload, and tabs follow one leader", async () => {
  const [alice, bob] = await meet(aliceProfile.context, bobProfile.context, relay.url);
  for (let count = 1; count <= 60; count++) await write(bob, `message ${count} of sixty`);
  await sees(alice, "message 60 of sixty");
  await seesStatus(bob, "message 60 of sixty", "delivered");

  await alice.page.reload();
  await sees(alice, "message 60 of sixty");
  // The first page holds fifty; scrolling up brings the rest, in order.
  await alice.page
    .locator("sotto-timeline .scroller")
    .evaluate((element) => element.scrollTo(0, 0));
  await sees(alice, "message 1 of sixty");
  const expected = Array.from({ length: 60 }, (_, index) => `message ${index + 1} of sixty`);
  expect(await history(alice)).toEqual(expected);

  // A second tab of the same person follows; what it writes goes through the first.
  const second = await visit(aliceProfile.context, alice.page.url());
  await composer(second).waitFor();
  await write(second, "from the second tab");
  await sees(alice, "from the second tab");
  await sees(bob, "from the second tab");
  await write(bob, "seen in both tabs");
  await sees(alice, "seen in both tabs");
  await sees(second, "seen in both tabs");

  // The leading tab closes in the middle of things; the other one takes over.
  await alice.page.close();
  await write(second, "the first tab is closed");
  await sees(bob, "the first tab is closed");
  await write(bob, "still here");
  await sees(second, "still here");
  await seesStatus(second, "the first tab is closed", "delivered");
});
