/** What seeds have found and is mended: the faults that showed it, in the seeds where they did. */
import { expect, it } from "vitest";
import { KNOWN_LIMITS } from "./invariants.ts";
import { simulate } from "./simulate.ts";
import { simulateDevices } from "./simulate-devices.ts";

it.each([11, 35, 50])(
  "a frame that waited for the disk is not confirmed to a relay that numbers anew (seed %i)",
  async (seed) => {
    const faults = {
      stack: "full",
      phaseMs: 40_000,
      diskFullMean: 4_000,
      relayCrashMean: 5_000,
      relayWipe: 0,
      relayRestore: 0,
      relayRotMean: 0,
      garbage: 0,
      forgeMean: 0,
      duplicate: 0.1,
      evilCut: 0,
      evilForge: 0,
      evilSwap: 0,
      evilReplay: 0,
      evilHide: 0,
      evilLie: 0,
    } as const;
    expect((await simulate(seed, { faults })).failures).toEqual([]);
  },
);

it("a queue that was asked for twice and refused once is read all the same", async () => {
  const { failures } = await simulate(10_888, { only: new Set(["relay-disk-full:5"]) });
  expect(failures).toEqual([]);
});

it.each([1, 2, 3, 5, 6, 7])(
  "older stores that are put back heal, and both sides without a session or a spare (seed %i)",
  async (seed) => {
    const faults = {
      phaseMs: 40_000,
      putBackMean: 6_000,
      sessionLoss: 0.5,
      clientCrashMean: 8_000,
      clockJumpMean: 0,
    };
    const { failures, restored, decisions } = await simulate(seed, { faults });
    expect(failures).toEqual([]);
    expect(restored.stores).toBeGreaterThan(0);
    expect(decisions.some(({ kind }) => kind === "session-loss")).toBe(true);
  },
);

it.each([22, 30, 36])(
  "a device that a contact links while a stranger is in its place gets nothing before the decision (seed %i)",
  async (seed) => {
    const faults = {
      phaseMs: 40_000,
      evictionMean: 0,
      putBackMean: 0,
      forgeMean: 0,
      sessionLoss: 0,
      relayWipe: 0,
      relayRestore: 0,
      strangerMean: 5_000,
    };
    expect((await simulateDevices(seed, { faults })).failures).toEqual([]);
  },
);

it("a contact's list that an older store lost is asked for", async () => {
  const faults = {
    relayWipe: 0,
    evictionMean: 0,
    sessionLoss: 0,
    forgeMean: 0,
    strangerMean: 0,
    putBackMean: 8_000,
  };
  expect((await simulateDevices(6, { faults })).failures).toEqual([]);
});

it("says what it leaves out", () => {
  expect(KNOWN_LIMITS).toHaveLength(7);
});

it("somebody who is added to a group before the name has come is introduced to the others once it has", async () => {
  const only = new Set(["relay-lies:1", "group:1", "write:14", "rule:1", "rule:3"]);
  const { failures } = await simulateDevices(8_074, { only, admins: true });
  expect(failures).toEqual([]);
});

it("a device whose clock jumps past the end of what it offered is found by what it offers again", async () => {
  expect((await simulateDevices(1_044)).failures).toEqual([]);
});

it("a text by a clock that was behind comes to a device that asks for what it missed", async () => {
  expect((await simulateDevices(50_034)).failures).toEqual([]);
});

it("chains of a group are found again after a bit of whose they are has flipped", async () => {
  expect((await simulateDevices(50_045)).failures).toEqual([]);
});

it("nobody is taken out while an invite of theirs is out that only they would answer", async () => {
  expect((await simulateDevices(1_106)).failures).toEqual([]);
});

it("who was added elsewhere before a text was sealed may read it", async () => {
  expect((await simulateDevices(60_135, { admins: true })).failures).toEqual([]);
});

it("a device that pleads before it has said where it reads is offered to again", async () => {
  expect((await simulateDevices(198)).failures).toEqual([]);
});

it("nobody waits for what a device of a member kept before it was taken out", async () => {
  expect((await simulateDevices(88)).failures).toEqual([]);
});

it("a copy goes to the relay that has none, also by a process that does not know which took the first", async () => {
  const only = new Set(["client-crash:1", "client-crash:3", "crash:101", "crash:118", "crash:119"]);
  expect((await simulate(201_097, { only })).failures).toEqual([]);
});

it("whoever fetched an offer that named one relay hears of the others", async () => {
  expect((await simulate(201_257, { only: new Set() })).failures).toEqual([]);
});

it.each([300_838, 301_069])(
  "a receipt that a lost relay took is asked for within minutes (seed %i)",
  async (seed) => {
    const { failures } = await simulate(seed, { faults: { relays: 2, relayLost: true } });
    expect(failures).toEqual([]);
  },
);

it.each([201_063, 202_354, 202_374])(
  "a HELLO for a bundle that is damaged at its maker is answered by a new session (seed %i)",
  async (seed) => {
    expect((await simulate(seed)).failures).toEqual([]);
  },
);

it("an inviter's queue that a relay lost is waited for, though the clock jumps meanwhile", async () => {
  expect((await simulate(208_611)).failures).toEqual([]);
});

it("a queue that is made again is written to by whoever has other keys and hears nobody", async () => {
  const faults = { clockJumpMean: 8_000, relayLost: false, relayCrashMean: 16_000, relayWipe: 0.3 };
  expect((await simulate(530_047, { faults })).failures).toEqual([]);
});

it("whoever has an older store back hears again of all the addresses", async () => {
  expect((await simulate(411_797)).failures).toEqual([]);
});
