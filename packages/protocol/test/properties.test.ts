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
