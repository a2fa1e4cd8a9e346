/** Two devices that are never there together: one message of 4 kB, read alone, for 150 differences and more. */
import {
  answerSketch,
  createItemSet,
  createSummary,
  decodeSyncMessage,
  deriveSetKeys,
  encodeSyncMessage,
  hashAt,
  type Item,
  type ItemSet,
  PERIOD_MS,
  PERIODS_MAX,
  type SetSummary,
  eventId,
  setFingerprint,
  type SketchAnswer,
  SYNC_MESSAGE_BYTES_MAX,
  wantedPositions,
} from "@sotto/sync";
import { bytesToHex as hex } from "@sotto/wire";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRandom } from "../../../test/simulation/random.ts";
import { CODECS } from "./codecs.ts";
import { drawItems, drawPair, KEYS, setOf } from "./shapes.ts";

const SKETCH_BYTES_MAX = 4_096;

function summaryOf(items: readonly Item[]): SetSummary {
  const summary = createSummary(KEYS);
  for (const item of items) summary.add(item);
  return summary;
}

const hashes = (set: ItemSet, positions: Iterable<number>): readonly string[] =>
  [...positions].map((at) => hex(hashAt(set, at)));

/** Sends answers back and forth, one mailbox item at a time, until both know; gives and rounds. */
function exchange(a: readonly Item[], b: readonly Item[]) {
  const sets = [setOf(a), setOf(b)] as const;
  let messages: readonly Uint8Array[] = [summaryOf(a).sketch()];
  for (let round = 1; ; round++) {
    const reader = round % 2;
    const [own, other] = [sets[reader]!, sets[1 - reader]!];
    for (const one of messages) expect(one.length).toBeLessThanOrEqual(SYNC_MESSAGE_BYTES_MAX);
    const answer: SketchAnswer = answerSketch(own, messages);
    if (answer.kind === "larger") {
      messages = answer.messages;
      continue;
    }
    if (answer.kind !== "decoded") throw new Error(answer.kind);
    const wanted = answer.wants.flatMap((one) => hashes(other, wantedPositions(other, one) ?? []));
    const given = hashes(own, answer.give);
    return {
      round,
      fromA: reader === 0 ? given : wanted,
      fromB: reader === 0 ? wanted : given,
      messages,
    };
  }
}

const sorted = (all: readonly string[]): readonly string[] => all.toSorted();

describe("a sketch", () => {
  it("of at most 4 kB is enough for 150 differences, read alone, each time", () => {
    for (let seed = 1; seed <= 15; seed++) {
      const { a, b, onlyA, onlyB } = drawPair("uniform", 600, 150, seed);
      const sketch = summaryOf(a).sketch();
      expect(sketch.length).toBeLessThanOrEqual(SKETCH_BYTES_MAX);
      const { round, fromA, fromB } = exchange(a, b);
      expect(round).toBe(1);
      expect(sorted(fromA)).toEqual(sorted(onlyA));
      expect(sorted(fromB)).toEqual(sorted(onlyB));
    }
  });

  it("has at most 4 kB for the largest history there is", () => {
    const summary = createSummary(KEYS);
    const random = createRandom(1);
    for (let at = 0; at < 60; at++) {
      for (let turn = 0; turn < 200; turn++) {
        summary.add({
          id: eventId(at * PERIOD_MS + turn, 0, new Uint8Array(8)),
          hash: random.bytes(8),
        });
      }
    }
    const decoded = decodeSyncMessage(summary.sketch());
    if (!decoded.ok || decoded.value.kind !== "sketch") throw new Error("no sketch");
    expect(decoded.value.periods.length).toBe(PERIODS_MAX);
    const largest = encodeSyncMessage({
      ...decoded.value,
      salt: new Uint8Array(16),
      estimators: new Int32Array(64).fill(-20_000),
    });
    expect(largest.length).toBeLessThanOrEqual(SKETCH_BYTES_MAX);
  });

  it.each([
    ["a few more", 400, 2],
    ["a thousand", 1_000, 2],
    ["so many that a list is shorter", 7_000, 2],
  ])("that is too small for %s is answered by what is large enough", (_, differences, rounds) => {
    const { a, b, onlyA, onlyB } = drawPair("uniform", 8_000, differences, 7);
    const { round, fromA, fromB } = exchange(a, b);
    expect(round).toBe(rounds);
    expect(sorted(fromA)).toEqual(sorted(onlyA));
    expect(sorted(fromB)).toEqual(sorted(onlyB));
  });

  it("is answered by a list of the periods that differ, when these are the newest", () => {
    const { a, b, onlyA } = drawPair("tail", 20_000, 600, 8);
    const { messages, fromA, fromB } = exchange(a, b);
    const decoded = decodeSyncMessage(messages[0]!);
    if (!decoded.ok || decoded.value.kind !== "sketch-list") throw new Error("no list");
    expect(decoded.value.from).toBeGreaterThan(0);
    let bytes = 0;
    for (const one of messages) bytes += one.length;
    expect(bytes).toBeLessThan(8 * 1_500);
    expect(sorted(fromA)).toEqual(sorted(onlyA));
    expect(fromB).toEqual([]);
  });

  it("says so when both are equal, and finds out keys that are not", () => {
    const items = drawItems(500, createRandom(9));
    expect(answerSketch(setOf(items), [summaryOf(items).sketch()])).toEqual({ kind: "equal" });
    const others = deriveSetKeys(new Uint8Array(32).fill(8));
    const set = createItemSet(others, items.slice(0, 30));
    expect(["mismatch", "larger"]).toContain(answerSketch(set, [summaryOf(items).sketch()]).kind);
    const salted = deriveSetKeys(new Uint8Array(32).fill(7), new Uint8Array(16).fill(1));
    expect(answerSketch(createItemSet(salted, items), [summaryOf(items).sketch()])).toEqual({
      kind: "refused",
    });
  });

  it("is not believed when its fingerprint does not follow from its symbols", () => {
    const { a, b } = drawPair("uniform", 1_000, 20, 10);
    const decoded = decodeSyncMessage(summaryOf(a).sketch());
    if (!decoded.ok || decoded.value.kind !== "sketch") throw new Error("no sketch");
    const lie = encodeSyncMessage({ ...decoded.value, fingerprint: new Uint8Array(16) });
    expect(answerSketch(setOf(b), [lie])).toEqual({ kind: "mismatch" });
  });

  it("is read whole, in any order of its parts, or not at all", () => {
    const { a, b } = drawPair("uniform", 10_000, 1_600, 11);
    const larger = answerSketch(setOf(b), [summaryOf(a).sketch()]);
    if (larger.kind !== "larger") throw new Error(larger.kind);
    const parts = larger.messages;
    expect(parts.length).toBeGreaterThan(2);
    const set = setOf(a);
    expect(answerSketch(set, parts.toReversed()).kind).toBe("decoded");
    expect(answerSketch(set, parts.slice(1)).kind).toBe("refused");
    expect(answerSketch(set, parts.slice(0, -1)).kind).toBe("refused");
    expect(answerSketch(set, [...parts, parts[0]!]).kind).toBe("refused");
    expect(answerSketch(set, [...parts.slice(1), summaryOf(b).sketch()]).kind).toBe("refused");
    expect(answerSketch(set, []).kind).toBe("refused");
  });

  it("may be anything: there is an answer, and it gives what is in the set only", () => {
    const messages = CODECS.find(({ name }) => name === "sync-message")!;
    const set = setOf(drawItems(50, createRandom(12)));
    const made = messages.values.map((value) => messages.encode(value));
    fc.assert(
      fc.property(
        fc.array(fc.oneof(made, fc.uint8Array({ maxLength: 99 })), { maxLength: 3 }),
        (all) => {
          const answer = answerSketch(set, all);
          if (answer.kind === "decoded") for (const at of answer.give) expect(at).toBeLessThan(50);
          for (const one of all) wantedPositions(set, one);
        },
      ),
    );
  });
});

describe("a summary", () => {
  it("is that of the set, after items came and went", () => {
    const items = drawItems(1_000, createRandom(13));
    const summary = summaryOf(items);
    for (const item of items.slice(300, 700)) summary.remove(item);
    const left = [...items.slice(0, 300), ...items.slice(700)];
    expect(summary.head()).toEqual({ count: 600, fingerprint: setFingerprint(setOf(left)) });
    expect(summary.sketch()).toEqual(summaryOf(left).sketch());
    for (const item of left) summary.remove(item);
    expect(summary.sketch()).toEqual(createSummary(KEYS).sketch());
  });
});
