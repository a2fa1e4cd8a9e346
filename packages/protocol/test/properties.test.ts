/** What holds for every schedule, clock and content, not only for the ones someone thought of. */
import { nobleBackend } from "@sotto/crypto";
import { type Input, type MessageStatus, step } from "@sotto/protocol";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  carry,
  deliver,
  entropy,
  freeze,
  messageId,
  of,
  openPeerOf,
  paired,
  settle,
  type Side,
} from "./fixture.ts";

const RANK: Readonly<Record<MessageStatus, number>> = {
  queued: 0,
  failed: 1,
  relayed: 2,
  delivered: 3,
  received: 3,
};

type Action =
  | { readonly kind: "write"; readonly alice: boolean; readonly text: string }
  | { readonly kind: "carry" | "lose" | "twice" | "backwards"; readonly alice: boolean }
  | { readonly kind: "clock"; readonly alice: boolean; readonly by: number }
  | { readonly kind: "restart"; readonly alice: boolean };

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("write" as const),
      alice: fc.boolean(),
      text: fc.string({ minLength: 1, maxLength: 40, unit: "grapheme" }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        "carry" as const,
        "lose" as const,
        "twice" as const,
        "backwards" as const,
      ),
      alice: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("clock" as const),
      alice: fc.boolean(),
      by: fc.integer({ min: -400_000_000, max: 400_000_000 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("restart" as const), alice: fc.boolean() }),
  },
);

async function act(side: Side, other: Side, what: Action): Promise<void> {
  switch (what.kind) {
    case "write":
      await side.send(what.text);
      return;
    case "carry":
      await carry(side, other);
      return;
    case "lose":
      for (const { id } of side.toRelay.splice(0)) {
        await side.feed({ kind: "transmitted", id, path: "relay", outcome: "lost" });
      }
      return;
    case "twice": {
      const due = [...side.toRelay];
      await carry(side, other);
      for (const { blob } of due) await deliver(other, blob);
      return;
    }
    case "backwards":
      side.toRelay.reverse();
      await carry(side, other);
      return;
    case "clock":
      side.now += what.by;
      return;
    case "restart":
      side.restart();
      await side.feed({ kind: "hub", up: true });
  }
}

describe("whatever happens between two people", () => {
  it("both see every text once, in one order, delivered, and signs only go up", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 3, maxLength: 25 }), async (actions) => {
        const { alice, bob } = await paired();
        const written: string[] = [];
        for (const what of actions) {
          const before = [alice, bob].map((side) => new Map(side.messages));
          if (what.kind === "write") written.push(what.text);
          await (what.alice ? act(alice, bob, what) : act(bob, alice, what));
          for (const [index, side] of [alice, bob].entries()) {
            for (const [id, row] of before[index]!) {
              expect(RANK[side.messages.get(id)!.status]).toBeGreaterThanOrEqual(RANK[row.status]);
            }
          }
        }
        for (const [side, other] of [
          [alice, bob],
          [bob, alice],
        ] as const) {
          side.restart();
          side.now = Math.max(side.now, other.now) + 120_000;
          await side.feed({ kind: "hub", up: true });
        }
        await settle(alice, bob);
        expect(alice.shown).toEqual(bob.shown);
        expect(alice.shown.toSorted()).toEqual(written.toSorted());
        expect([...alice.slice.outbox, ...bob.slice.outbox]).toEqual([]);
        const orders = (side: Side) =>
          [...side.messages.values()].map((row) => row.order).toSorted();
        expect(orders(alice)).toEqual(orders(bob));
      }),
      { numRuns: 25 },
    );
  }, 120_000);
});

describe("whatever happens to the ratchets of two people", () => {
  type Fault = { readonly kind: "lose" | "roll-back"; readonly alice: boolean };
  const fault: fc.Arbitrary<Fault> = fc.record({
    kind: fc.constantFrom("lose" as const, "roll-back" as const),
    alice: fc.boolean(),
  });
  const step_: fc.Arbitrary<Action | { readonly kind: "fault"; readonly fault: Fault }> = fc.oneof(
    { weight: 8, arbitrary: action },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("fault" as const), fault }) },
  );
  /** Found once: what comes then has a header that opens and an epoch that cannot be. */
  const BOTH_WENT_BACK = [
    { kind: "fault", fault: { kind: "roll-back", alice: false } },
    { kind: "write", alice: true, text: " " },
    { kind: "clock", alice: false, by: 0 },
    { kind: "fault", fault: { kind: "roll-back", alice: true } },
    { kind: "carry", alice: false },
    { kind: "carry", alice: false },
  ] satisfies (Action | { readonly kind: "fault"; readonly fault: Fault })[];
  type Sessions = ReturnType<typeof openPeerOf>["sessions"];

  it("every text arrives, once, in the one order, and both end in sessions that work", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step_, { minLength: 6, maxLength: 25 }), async (steps) => {
        const { alice, bob } = await paired();
        const old = new Map<Side, Sessions>(
          [alice, bob].map((side) => [side, openPeerOf(side).sessions]),
        );
        const written: string[] = [];
        for (const [at, what] of steps.entries()) {
          if (what.kind !== "fault") {
            if (what.kind === "write") written.push(what.text);
            await (what.alice ? act(alice, bob, what) : act(bob, alice, what));
            continue;
          }
          const side = what.fault.alice ? alice : bob;
          setSessions(side, what.fault.kind === "lose" ? [] : (old.get(side) ?? []));
          if (at % 2 === 0) old.set(side, openPeerOf(side).sessions);
        }
        for (const side of [alice, bob]) {
          side.restart();
          await side.feed({ kind: "hub", up: true });
        }
        // Within a few pauses between repairs, or after the hour that a receiver without a spare takes.
        for (let pause = 0; pause < 12; pause++) {
          const now = Math.max(alice.now, bob.now) + (pause % 4 === 3 ? 3_700_000 : 61_000);
          [alice.now, bob.now] = [now, now];
          for (const side of [alice, bob]) await side.feed({ kind: "hub", up: true });
          await exchangeSignals(alice, bob);
          await settle(alice, bob);
        }
        expect(alice.shown).toEqual(bob.shown);
        expect(alice.shown.toSorted()).toEqual(written.toSorted());
        expect([...alice.slice.outbox, ...bob.slice.outbox]).toEqual([]);
        await alice.send("after all");
        await settle(alice, bob);
        await bob.send("indeed");
        await settle(alice, bob);
        expect(bob.shown).toContain("after all");
        expect(alice.shown).toContain("indeed");
      }),
      { numRuns: 25, examples: [[BOTH_WENT_BACK]] },
    );
  }, 240_000);

  function setSessions(side: Side, sessions: Sessions): void {
    const { conversation } = side.slice;
    const peer = { ...openPeerOf(side), sessions };
    side.slice = { ...side.slice, conversation: { ...conversation!, peer } };
  }

  async function exchangeSignals(alice: Side, bob: Side): Promise<void> {
    for (const [from, to] of [
      [alice, bob],
      [bob, alice],
    ] as const) {
      for (const { blob } of of(from.effects, "signal")) {
        await to.feed({ kind: "frame", blob, source: { path: "direct" } });
      }
    }
  }
});

describe("the order", () => {
  it("puts an answer after what was seen, however far the clocks are apart", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: -(10 ** 12), max: 10 ** 12 }), async (skew) => {
        const { alice, bob } = await paired();
        bob.now += skew;
        for (let turn = 0; turn < 3; turn++) {
          await alice.send(`question ${turn}`);
          await carry(alice, bob);
          await bob.send(`answer ${turn}`);
          await carry(bob, alice);
        }
        const expected = [0, 1, 2].flatMap((turn) => [`question ${turn}`, `answer ${turn}`]);
        expect(alice.shown).toEqual(expected);
        expect(bob.shown).toEqual(expected);
      }),
      { numRuns: 8 },
    );
  }, 60_000);

  it("counts on within one millisecond, and past a full counter", async () => {
    const { alice } = await paired();
    const { conversation } = alice.slice;
    const clock = { ms: alice.now + 10, counter: 0xffff };
    alice.slice = { ...alice.slice, conversation: { ...conversation!, clock } };
    for (let n = 0; n < 3; n++) await alice.send(`${n}`);
    expect(alice.shown).toEqual(["0", "1", "2"]);
    expect(alice.slice.conversation?.clock).toEqual({ ms: alice.now + 11, counter: 2 });
  });
});

describe("a step", () => {
  it("changes nothing it was given, and gives the same for the same", async () => {
    const { alice, bob } = await paired();
    await alice.send("one");
    const inputs: Input[] = [
      { kind: "send-text", id: messageId(), text: "two" },
      { kind: "frame", blob: alice.toRelay[0]!.blob, source: { path: "relay", sequence: 7n } },
      { kind: "direct", up: true },
      { kind: "hub", up: false },
      { kind: "rename", name: "Robert" },
      { kind: "wake" },
    ];
    const random = entropy(4_096);
    const run = (input: Input) => {
      let at = 0;
      return step(bob.slice, input, {
        now: bob.now,
        crypto: nobleBackend,
        entropy: (length) => random.slice(at, (at += length)),
      });
    };
    for (const input of inputs) {
      freeze(bob.slice);
      freeze(input);
      const before = structuredClone(bob.slice);
      const first = await run(input);
      expect(bob.slice).toEqual(before);
      expect(await run(input)).toEqual(first);
    }
  });

  it("survives being stored: what a slice holds can be cloned", async () => {
    const { alice } = await paired();
    await alice.send("one");
    expect(structuredClone(alice.slice)).toEqual(alice.slice);
  });
});
