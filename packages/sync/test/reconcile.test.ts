/**
 * Reconciliation between two sides: what it costs in bytes, that it finds exactly the difference, and that nothing a
 * peer says does harm. Bytes are exact for a seed, so the goals of the design are tests.
 */
import {
  answerReconciliation,
  awaitReconciliation,
  beginReconciliation,
  continueReconciliation,
  createItemSet,
  decodeSyncMessage,
  deriveSetKeys,
  encodeSyncMessage,
  estimateDifference,
  eventId,
  type Item,
  itemHash,
  ITEMS_MAX,
  LIST_PARTS_MAX,
  saltOf,
  SET_SECRET_BYTES,
  setFingerprint,
  type SyncMessage,
  SYNC_LABELS,
  SYNC_MESSAGE_BYTES_MAX,
} from "@sotto/sync";
import { LABELS } from "@sotto/crypto";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRandom } from "../../../test/simulation/random.ts";
import { CODECS } from "./codecs.ts";
import { drawItems, drawPair, KEYS, onlyIn, reconcile, setOf, type Shape } from "./shapes.ts";

const sorted = (hashes: readonly string[]): readonly string[] => hashes.toSorted();

/**
 * `negentropy`: its bytes for the same sets, as `npm run bench -- reconciliation` prints them (32-byte ids, seconds, no
 * limit of frames). They are in this test as numbers because it takes many times as long as everything else here.
 * `limit`: bytes that name d of 2^64.
 */
const TABLE: readonly {
  readonly shape: Shape;
  readonly size: number;
  readonly differences: number;
  readonly bytes: number;
  readonly negentropy: number;
  readonly share: number;
  readonly limit?: number;
}[] = [
  { shape: "uniform", size: 100_000, differences: 0, bytes: 23, negentropy: 352, share: 0.1 },
  { shape: "uniform", size: 100_000, differences: 10, bytes: 600, negentropy: 15_447, share: 0.05 },
  {
    shape: "uniform",
    size: 100_000,
    differences: 1_000,
    bytes: 19_654,
    negentropy: 850_295,
    share: 0.05,
    limit: 6_935,
  },
  {
    shape: "uniform",
    size: 100_000,
    differences: 10_000,
    bytes: 187_017,
    negentropy: 3_027_812,
    share: 0.1,
    limit: 65_000,
  },
  { shape: "tail", size: 100_000, differences: 1_000, bytes: 322, negentropy: 2_547, share: 0.2 },
  { shape: "behind", size: 100_000, differences: 1_000, bytes: 25, negentropy: 35_140, share: 0.2 },
  {
    shape: "window",
    size: 100_000,
    differences: 1_000,
    bytes: 4_622,
    negentropy: 18_591,
    share: 0.5,
  },
  {
    shape: "uniform",
    size: 10_000,
    differences: 10_000,
    bytes: 40_470,
    negentropy: 345_698,
    share: 1,
  },
];

describe("what it costs", () => {
  it.each(TABLE)(
    "$shape, $differences of $size: $bytes bytes",
    ({ shape, size, differences, bytes, negentropy, share, limit }) => {
      const { a, b, onlyA, onlyB } = drawPair(shape, size, differences, 1);
      const run = reconcile(setOf(a), setOf(b));
      expect(run.outcome).toBe("done");
      expect(sorted(run.gives.a)).toEqual(sorted(onlyA));
      expect(sorted(run.gives.b)).toEqual(sorted(onlyB));
      expect(run.bytes / negentropy).toBeLessThanOrEqual(share);
      expect(run.flights).toBeLessThanOrEqual(2);
      if (limit !== undefined) expect(run.bytes / limit).toBeLessThanOrEqual(3);
      expect(run.largest).toBeLessThanOrEqual(SYNC_MESSAGE_BYTES_MAX);
      expect(run.bytes).toBe(bytes);
    },
  );

  it("is never more than all hashes of the smaller side, a summary and what was tried before", () => {
    for (const [shared, mine, theirs] of [
      [0, 0, 500],
      [0, 500, 0],
      [10, 1, 800],
      [300, 500, 4],
      [0, 200, 200],
    ] as const) {
      const all = drawItems(shared + mine + theirs, createRandom(shared + mine));
      const order = createRandom(9);
      const mixed = all.toSorted(() => order.next() - 0.5);
      const a = setOf(mixed.slice(0, shared + mine));
      const b = setOf([...mixed.slice(0, shared), ...mixed.slice(shared + mine)]);
      const run = reconcile(a, b);
      expect(run.outcome).toBe("done");
      expect(run.gives.a.length).toBe(mine);
      expect(run.gives.b.length).toBe(theirs);
      expect(run.bytes).toBeLessThanOrEqual(600 + 8 * Math.min(a.size, b.size));
    }
  });
});

describe("two sets", () => {
  const counts = fc.record({
    shared: fc.nat({ max: 120 }),
    a: fc.nat({ max: 60 }),
    b: fc.nat({ max: 60 }),
    seed: fc.nat(),
    newest: fc.boolean(),
  });

  it("are told apart exactly, wherever the difference lies", () => {
    fc.assert(
      fc.property(counts, ({ shared, a, b, seed, newest }) => {
        const random = createRandom(seed);
        const drawn = drawItems(shared + a + b, random);
        const all = newest ? drawn : drawn.toSorted(() => random.next() - 0.5);
        const left = all.slice(0, shared + a);
        const right = [...all.slice(0, shared), ...all.slice(shared + a)];
        const run = reconcile(setOf(left), setOf(right));
        expect(run.outcome).toBe("done");
        expect(sorted(run.gives.a)).toEqual(sorted(onlyIn(left, right)));
        expect(sorted(run.gives.b)).toEqual(sorted(onlyIn(right, left)));
      }),
      { numRuns: 150 },
    );
  });

  it("may have all their items at one time", () => {
    const random = createRandom(10);
    const all: readonly Item[] = Array.from({ length: 300 }, (_, at) => ({
      id: eventId(1_000, at, new Uint8Array(8)),
      hash: random.bytes(8),
    }));
    const run = reconcile(setOf(all.slice(0, 200)), setOf(all.slice(100)));
    expect([run.gives.a.length, run.gives.b.length]).toEqual([100, 100]);
  });

  it("count one id with two contents as two items", () => {
    const id = eventId(5, 0, new Uint8Array(8).fill(1));
    const contents = [1, 2].map((byte) => new Uint8Array(32).fill(byte));
    const [one, other] = contents.map((content) => ({ id, hash: itemHash(KEYS, id, content) }));
    const run = reconcile(setOf([one!]), setOf([other!]));
    expect([run.gives.a.length, run.gives.b.length]).toEqual([1, 1]);
  });

  it("are the same in any order and with repetitions", () => {
    const items = drawItems(200, createRandom(11));
    const mixed = [...items.toReversed(), ...items.slice(50)];
    expect(setFingerprint(setOf(mixed))).toEqual(setFingerprint(setOf(items)));
    expect(setOf(mixed).size).toBe(200);
  });

  it("have at most ITEMS_MAX items", () => {
    const item = drawItems(1, createRandom(12))[0]!;
    const many = Array.from<Item>({ length: ITEMS_MAX + 1 }).fill(item);
    expect(() => createItemSet(KEYS, many)).toThrow(RangeError);
    expect(createItemSet(KEYS, many.slice(0, 2)).size).toBe(1);
    expect(LIST_PARTS_MAX * 2_000).toBeGreaterThanOrEqual(ITEMS_MAX);
  });

  it("differ by about as much as their summaries say", () => {
    for (const differences of [10, 100, 3_000]) {
      const { a, b } = drawPair("uniform", 10_000, differences, differences);
      const other = setOf(b);
      const estimate = estimateDifference(setOf(a), other.size, other.estimators);
      expect(estimate / differences).toBeGreaterThan(0.4);
      expect(estimate / differences).toBeLessThan(2);
    }
  });
});

describe("keys of a set", () => {
  it("change every hash with the secret and with the salt", () => {
    const secret = new Uint8Array(SET_SECRET_BYTES).fill(1);
    const id = eventId(1, 2, new Uint8Array(8));
    const hashes = [
      deriveSetKeys(secret),
      deriveSetKeys(secret, new Uint8Array(16)),
      deriveSetKeys(secret, new Uint8Array(16).fill(1)),
      deriveSetKeys(new Uint8Array(SET_SECRET_BYTES).fill(2)),
    ].map((keys) => Buffer.from(itemHash(keys, id, new Uint8Array(32))).toString("hex"));
    // HKDF takes an empty salt for zeros: a salt of zeros is drawn by nobody.
    expect(new Set(hashes).size).toBe(3);
  });

  it("are made of a whole secret and a whole salt", () => {
    expect(() => deriveSetKeys(new Uint8Array(31))).toThrow(RangeError);
    expect(() => deriveSetKeys(new Uint8Array(33))).toThrow(RangeError);
    expect(() => deriveSetKeys(new Uint8Array(32), new Uint8Array(15))).toThrow(RangeError);
    expect(() => deriveSetKeys(new Uint8Array(32), new Uint8Array(17))).toThrow(RangeError);
  });

  it("have labels that are nobody else's", () => {
    const own: readonly string[] = Object.values(SYNC_LABELS);
    const others: readonly string[] = Object.values(LABELS);
    expect(new Set([...own, ...others]).size).toBe(own.length + others.length);
    for (const label of own) expect(label).toMatch(/^sotto\/1 [a-z ]+$/);
  });
});

describe("a peer", () => {
  const { a, b } = drawPair("uniform", 400, 40, 3);
  const [setA, setB] = [setOf(a), setOf(b)];
  const hello = beginReconciliation(setA);
  const greeted = answerReconciliation(awaitReconciliation(setB), hello.send[0]!);
  const asked = continueReconciliation(hello.state, greeted.send[0]!);

  it("that has other keys is found out, and another salt is tried", () => {
    const salted = deriveSetKeys(new Uint8Array(32).fill(7), new Uint8Array(16).fill(1));
    const begun = beginReconciliation(createItemSet(salted, a));
    expect(saltOf(begun.send[0]!)).toEqual(new Uint8Array(16).fill(1));
    expect(answerReconciliation(awaitReconciliation(setB), begun.send[0]!).outcome).toBe("refused");
    expect(
      answerReconciliation(awaitReconciliation(createItemSet(salted, b)), begun.send[0]!).outcome,
    ).toBe("going");
    expect(saltOf(greeted.send[0]!)).toBeUndefined();
  });

  it("whose fingerprint does not follow from its symbols is not believed", () => {
    const decoded = decodeSyncMessage(greeted.send[0]!);
    if (!decoded.ok || decoded.value.kind !== "summary") throw new Error("no summary");
    const lie = encodeSyncMessage({ ...decoded.value, fingerprint: new Uint8Array(16) });
    let step = continueReconciliation(hello.state, lie);
    let responder = greeted;
    const messages = [...step.send];
    while (step.outcome === "going") {
      responder = answerReconciliation(responder.state, messages.shift()!);
      for (const one of responder.send) {
        if (step.outcome !== "going") break;
        step = continueReconciliation(step.state, one);
        messages.push(...step.send);
      }
    }
    expect(step.outcome).toBe("mismatch");
    expect(step.give.length).toBe(0);
  });

  it("whose own list does not fit its hello is told so", () => {
    const other = setOf(b.slice(0, 20));
    const state = answerReconciliation(awaitReconciliation(other), hello.send[0]!).state;
    const list = encodeSyncMessage({
      kind: "own-list",
      from: 0,
      isLast: true,
      hashes: new Uint8Array(8),
    });
    const step = answerReconciliation(state, list);
    expect(step.outcome).toBe("mismatch");
    expect(step.send).toEqual([encodeSyncMessage({ kind: "mismatch" })]);
    expect(continueReconciliation(asked.state, step.send[0]!).outcome).toBe("mismatch");
  });

  it.each<readonly [string, SyncMessage]>([
    [
      "fewer items than the cut it shares",
      {
        kind: "summary",
        count: 0,
        fingerprint: new Uint8Array(16),
        estimators: new Int32Array(64),
        cuts: [{ before: 2 ** 47, fingerprint: setFingerprint(setA).slice(0, 8) }],
      },
    ],
    [
      "symbols before they were asked for",
      { kind: "symbols", first: 0, bytes: new Uint8Array(13) },
    ],
    [
      "a list before it was asked for",
      { kind: "list", slices: 1, isLast: true, hashes: new Uint8Array(0) },
    ],
    [
      "a hello back",
      { kind: "hello", salt: new Uint8Array(0), count: 0, fingerprint: new Uint8Array(16) },
    ],
  ])("that answers a hello with %s is refused", (_, message) => {
    const step = continueReconciliation(hello.state, encodeSyncMessage(message));
    expect(step).toEqual({
      state: hello.state,
      send: [],
      give: new Uint32Array(0),
      outcome: "refused",
    });
  });

  it("that sends more symbols than it was asked for is refused", () => {
    const all = new Uint8Array(13 * 1_000);
    const step = continueReconciliation(
      asked.state,
      encodeSyncMessage({ kind: "symbols", first: 0, bytes: all }),
    );
    expect(step.outcome).toBe("refused");
  });

  it("that asks for more symbols than there ever are is refused", () => {
    const ask = encodeSyncMessage({ kind: "ask-symbols", from: 0, credit: 2 ** 17 });
    const grant = encodeSyncMessage({ kind: "grant", credit: 2 ** 17 });
    let step = answerReconciliation(
      answerReconciliation(awaitReconciliation(setOf([])), hello.send[0]!).state,
      ask,
    );
    for (let turn = 1; turn < 8; turn++) step = answerReconciliation(step.state, grant);
    expect(step.outcome).toBe("going");
    expect(
      answerReconciliation(step.state, encodeSyncMessage({ kind: "grant", credit: 1 })).outcome,
    ).toBe("refused");
  });

  it("may say anything in any order: each step has an outcome, and gives nothing that is not in the set", () => {
    const messages = CODECS.find(({ name }) => name === "sync-message")!;
    const said = fc.array(
      fc.oneof(
        { weight: 3, arbitrary: messages.values.map((value) => messages.encode(value)) },
        { weight: 1, arbitrary: fc.constantFrom(...hello.send, ...greeted.send, ...asked.send) },
        { weight: 1, arbitrary: fc.uint8Array({ maxLength: 40 }) },
      ),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(said, (all) => {
        let initiator = beginReconciliation(setA);
        let responder = answerReconciliation(awaitReconciliation(setB), hello.send[0]!);
        for (const one of all) {
          initiator = continueReconciliation(initiator.state, one);
          responder = answerReconciliation(responder.state, one);
          for (const at of initiator.give) expect(at).toBeLessThan(setA.size);
          for (const at of responder.give) expect(at).toBeLessThan(setB.size);
        }
      }),
      { numRuns: 80 },
    );
  });
});
