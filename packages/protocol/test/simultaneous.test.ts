/**
 * Both sides begin a session before either has heard the other's. Whatever of it is lost or goes on crossing: both end up
 * sending on the same session, and everything said is read once (SPEC.md §9).
 */
import { SESSIONS_MAX } from "@sotto/crypto";
import { LOST_PAUSE_MS, REPAIR_PAUSE_MS } from "@sotto/protocol";
import { bytesToHex } from "@sotto/wire";
import { expect, it } from "vitest";
import { deliver, openPeerOf, paired, settle, type Side } from "./fixture.ts";

interface Both {
  readonly alice: Side;
  readonly bob: Side;
}

/** Neither has a session left; each begins one, and neither HELLO has arrived. */
async function beginBoth({ alice, bob }: Both): Promise<void> {
  for (const side of [alice, bob]) {
    const { conversation } = side.slice;
    if (conversation === undefined) throw new Error("no conversation");
    const peer = { ...openPeerOf(side), sessions: [] };
    side.slice = { ...side.slice, conversation: { ...conversation, peer } };
    await side.feed({ kind: "wake" });
    expect(openPeerOf(side).sessions).toHaveLength(1);
    expect(openPeerOf(side).sessions[0]?.helloHeader).toBeDefined();
  }
}

/** All that waits on either side is under way before any of it arrives; what is of a side in `lost` never does. */
async function cross({ alice, bob }: Both, lost: readonly Side[] = []): Promise<void> {
  const underWay = [alice, bob].map((side) => side.toRelay.splice(0));
  for (const [at, from] of [alice, bob].entries()) {
    const to = from === alice ? bob : alice;
    for (const { id, blob } of underWay[at] ?? []) {
      if (!lost.includes(from)) await deliver(to, blob);
      const outcome = lost.includes(from) ? "lost" : "ok";
      await from.feed({ kind: "transmitted", id, path: "relay", outcome });
    }
  }
}

const sendingOn = (side: Side): string => bytesToHex(openPeerOf(side).sessions[0]!.id);

/** Said by both; `count` times each, crossing every time. */
async function talkAcross(both: Both, count: number): Promise<void> {
  for (let round = 0; round < count; round++) {
    await both.alice.send(`alice ${round}`);
    await both.bob.send(`bob ${round}`);
    await cross(both);
    // Without anything being sent again: each has the session that the other's was sealed with.
    expect(both.bob.shown).toContain(`alice ${round}`);
    expect(both.alice.shown).toContain(`bob ${round}`);
  }
}

async function expectOne({ alice, bob }: Both): Promise<void> {
  await settle(alice, bob);
  await alice.send("and on");
  await settle(alice, bob);
  await bob.send("and back");
  await settle(alice, bob);
  expect(sendingOn(alice)).toBe(sendingOn(bob));
  expect(alice.slice.outbox).toEqual([]);
  expect(bob.slice.outbox).toEqual([]);
  expect(new Set(alice.shown).size).toBe(alice.shown.length);
  expect(bob.shown.toSorted()).toEqual(alice.shown.toSorted());
  for (const side of [alice, bob]) {
    expect(openPeerOf(side).sessions.length).toBeLessThanOrEqual(SESSIONS_MAX);
  }
}

it("basic: both first messages cross", async () => {
  const both = await paired();
  await beginBoth(both);
  const begun = [both.alice, both.bob].map(sendingOn).toSorted();
  await talkAcross(both, 1);
  for (const side of [both.alice, both.bob]) {
    const kept = openPeerOf(side).sessions.map(({ id }) => bytesToHex(id));
    expect(kept.toSorted()).toEqual(begun);
  }
  await expectOne(both);
  expect(begun).toContain(sendingOn(both.alice));
  expect(both.alice.shown).toHaveLength(4);
});

it("with a loss: the first message of one side never arrives", async () => {
  const both = await paired();
  await beginBoth(both);
  await both.alice.send("never arrives as it is");
  await both.bob.send("arrives");
  await cross(both, [both.alice]);
  await expectOne(both);
  expect(both.alice.shown).toHaveLength(4);
});

it("with a lost message: the first ones cross, then an answer is lost", async () => {
  const both = await paired();
  await beginBoth(both);
  await talkAcross(both, 1);
  await both.alice.send("lost on the way");
  await cross(both, [both.alice]);
  await expectOne(both);
  expect(both.alice.shown).toHaveLength(5);
});

it("with repeated messages: twenty go on crossing", async () => {
  const both = await paired();
  await beginBoth(both);
  await talkAcross(both, 20);
  await expectOne(both);
  expect(both.alice.shown).toHaveLength(42);
});

it("repeated, with repeated messages: both begin anew more often than sessions are kept", async () => {
  const both = await paired();
  for (let round = 0; round <= SESSIONS_MAX; round++) {
    await beginBoth(both);
    await both.alice.send(`alice begins ${round}`);
    await both.bob.send(`bob begins ${round}`);
    await cross(both);
    await settle(both.alice, both.bob);
    for (const side of [both.alice, both.bob]) side.now += REPAIR_PAUSE_MS;
  }
  await talkAcross(both, 5);
  await expectOne(both);
  expect(both.alice.shown).toHaveLength(2 * (SESSIONS_MAX + 1) + 12);
});

it("with a lost message and repeated messages: the first is lost, ten cross, and one more is lost", async () => {
  const both = await paired();
  await beginBoth(both);
  await both.bob.send("first, lost");
  await cross(both, [both.bob]);
  both.bob.now += LOST_PAUSE_MS;
  await both.bob.feed({ kind: "wake" });
  await talkAcross(both, 10);
  await both.bob.send("last, lost");
  await cross(both, [both.bob]);
  await expectOne(both);
  expect(both.alice.shown).toHaveLength(24);
});
