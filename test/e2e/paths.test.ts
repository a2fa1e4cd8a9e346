/** Direct, through the relay, away: whatever fails, each message arrives once, in the same order on both sides. */
import { afterEach, beforeEach, expect, it } from "vitest";
import { expectBlind } from "./support/blind.ts";
import { createProfile, type Profile } from "./support/browsers.ts";
import {
  composer,
  history,
  meet,
  openConversation,
  type Person,
  sees,
  seesLink,
  seesStatus,
  visit,
  write,
} from "./support/person.ts";
import { type RelayProcess, startRelayProcess } from "./support/relay-process.ts";

let relay: RelayProcess;
let aliceProfile: Profile;
let bobProfile: Profile;
const CONTACT = /^(?!Notes).*\d:\d\d/s;

beforeEach(async () => {
  relay = await startRelayProcess();
  [aliceProfile, bobProfile] = await Promise.all([createProfile(), createProfile()]);
});
afterEach(async () => {
  await Promise.all([aliceProfile.dispose(), bobProfile.dispose()]);
  await relay.dispose();
});

/** Opens the app of a profile that was closed, in its conversation with the other person. */
async function comeBack(profile: Profile): Promise<Person> {
  const person = await visit(profile.context, relay.url);
  await openConversation(person, CONTACT);
  await composer(person).waitFor();
  return person;
}

it("goes on directly when the relay is killed, and by mailbox when the direct link is gone", async () => {
  const [alice, bob] = await meet(aliceProfile.context, bobProfile.context, relay.url);
  await write(bob, "one");
  await sees(alice, "one");
  await Promise.all([seesLink(alice, "direct"), seesLink(bob, "direct")]);

  await relay.kill();
  await write(alice, "two, without a relay");
  await sees(bob, "two, without a relay");
  await seesStatus(alice, "two", "delivered");
  await write(bob, "three, without a relay");
  await sees(alice, "three, without a relay");
  await seesStatus(bob, "three", "delivered");
  await seesLink(alice, "direct");

  // Bob's page goes: the link drops, the relay is back, the mailbox takes over.
  await relay.restart();
  await bobProfile.quit();
  await write(alice, "four, while you are gone");
  await seesStatus(alice, "four", "relayed");
  await seesLink(alice, "away");
  await bobProfile.reopen();
  const again = await comeBack(bobProfile);
  await sees(again, "four, while you are gone");
  await seesStatus(alice, "four", "delivered");
  await Promise.all([seesLink(alice, "direct"), seesLink(again, "direct")]);
  await write(again, "five, direct again");
  await sees(alice, "five, direct again");
  const expected = [
    "one",
    "two, without a relay",
    "three, without a relay",
    "four, while you are gone",
    "five, direct again",
  ];
  expect(await history(alice)).toEqual(expected);
  expect(await history(again)).toEqual(expected);
});

it("delivers what was sent while away, also when the sender has left and the relay was killed", async () => {
  const [alice, bob] = await meet(aliceProfile.context, bobProfile.context, relay.url);
  await write(bob, "hello");
  await sees(alice, "hello");
  await seesStatus(bob, "hello", "delivered");
  await bobProfile.quit();

  await write(alice, "first while away");
  await write(alice, "second while away");
  await seesStatus(alice, "first while away", "relayed");
  await seesStatus(alice, "second while away", "relayed");
  // Accepted, not delivered, and the power goes.
  await relay.kill();
  await expectBlind(relay.dataFolder, ["while away", "hello"]);
  await relay.restart();
  await aliceProfile.quit();

  await bobProfile.reopen();
  const bobAgain = await comeBack(bobProfile);
  await sees(bobAgain, "first while away");
  await sees(bobAgain, "second while away");
  await write(bobAgain, "got both");
  await seesStatus(bobAgain, "got both", "relayed");

  await aliceProfile.reopen();
  const aliceAgain = await comeBack(aliceProfile);
  await sees(aliceAgain, "got both");
  await seesStatus(aliceAgain, "second while away", "delivered");
  await seesStatus(aliceAgain, "first while away", "delivered");
  expect(await history(aliceAgain)).toEqual(await history(bobAgain));
});

it("keeps what is written without any relay and sends it by itself later", async () => {
  const [alice, bob] = await meet(aliceProfile.context, bobProfile.context, relay.url);
  await write(bob, "hello");
  await sees(alice, "hello");
  await bobProfile.quit();
  await relay.kill();
  await seesLink(alice, ["no-relay", "connecting"]);
  await write(alice, "written in the dark");
  await seesStatus(alice, "written in the dark", "queued");
  await alice.page.reload();
  await composer(alice).waitFor();
  await sees(alice, "written in the dark");
  await relay.restart();
  await bobProfile.reopen();
  const again = await comeBack(bobProfile);
  await sees(again, "written in the dark");
  await seesStatus(alice, "written in the dark", "delivered");
});
