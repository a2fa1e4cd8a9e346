/**
 * What a log costs whoever takes it in, counted: signatures checked and operations folded. Nobody needs a clock to see
 * that work grows with the log and not with its square.
 */
import {
  type GroupLog,
  type GroupState,
  FOLDED_OPS_MAX,
  LOG_OPS_MAX,
  openLog,
  receiveOp,
  receivePage,
  RESERVED_OPS_MAX,
  STATES_KEPT_MAX,
} from "@sotto/crypto";
import { bytesToHex, encodeGroupOp, PAGE_OPS_MAX } from "@sotto/wire";
import { describe, expect, it, vi } from "vitest";
import { foldOps } from "#src/membership-fold.ts";
import { at, told } from "./group-support.ts";
import { pageOf, revoke, rotate, type Writers, writers } from "./group-writers.ts";
import { must } from "./support.ts";

const counted = vi.hoisted(() => ({ checked: 0, folded: 0, most: 0 }));

vi.mock(import("#src/membership-fold.ts"), async (original) => {
  const real = await original();
  return {
    ...real,
    foldOps: (...args) => {
      counted.folded += args[0].length;
      counted.most = Math.max(counted.most, args[0].length);
      return real.foldOps(...args);
    },
  };
});

// Ten thousand signatures would take longer than all else: they are counted, and taken for good.
vi.mock(import("#src/primitives.ts"), async (original) => {
  const real = await original();
  return {
    ...real,
    ed25519Verify: () => {
      counted.checked++;
      return true;
    },
  };
});

const PEOPLE = 8;

/** `size` operations at the least. */
type Shape = (writing: Writers, size: number) => void;

const linear: Shape = ({ people, ops, write, base }, size) => {
  for (let head = base; ops.length < size;) head = write(at(people, 0), [head], rotate);
};

/** Somebody forks once, and nobody ever joins the two. */
const oneFork: Shape = ({ people, ops, write, base }, size) => {
  write(at(people, 2), [base], rotate);
  for (let head = base; ops.length < size;) head = write(at(people, 0), [head], rotate);
};

/** Two who act beside each other each time, both knowing all that was before. */
const zigzag: Shape = ({ people, ops, write, base }, size) => {
  for (let heads = [base]; ops.length < size;) {
    heads = [0, 1].map((index) => write(at(people, index), heads, rotate));
  }
};

/** One reads the other and not the third; the other reads nobody. */
const twoOfThree: Shape = ({ people, ops, write, base }, size) => {
  write(at(people, 2), [base], rotate);
  for (let [one, other] = [base, base]; ops.length < size;) {
    [one, other] = [
      write(at(people, 0), [one, other], rotate),
      write(at(people, 1), [other], rotate),
    ];
  }
};

/** Everything beside everything. */
const fan: Shape = ({ people, ops, write, base }, size) => {
  for (let index = 0; ops.length < size; index++) {
    write(at(people, index % people.length), [base], revoke());
  }
};

/** Taken in by somebody who has the first of them, in pages. `whole`: that many in one go, uncounted. */
function receive({ ops, people }: Writers, whole = 1) {
  const certs = people.map(({ cert }) => cert);
  const [create, ...rest] = ops;
  if (create === undefined) throw new Error("no operations");
  let { log } = must(openLog(create, at(certs, 0)));
  const refused: Record<string, number> = {};
  const take = (from: number, to: number): void => {
    const page = receivePage(log, { certs, ops: rest.slice(from, to).map(encodeGroupOp) });
    ({ log } = page);
    for (const one of page.refused.values()) refused[one] = (refused[one] ?? 0) + 1;
  };
  take(0, whole - 1);
  Object.assign(counted, { checked: 0, folded: 0, most: 0 });
  for (let from = whole - 1; from < rest.length; from += PAGE_OPS_MAX) {
    take(from, from + PAGE_OPS_MAX);
  }
  const { checked, folded, most } = counted;
  return { log, refused, work: { in: log.ops.size, checked, folded, most } };
}

describe("a log that comes in pages costs one check of a signature for each operation, and folds", () => {
  const people = (name: string, size: number): number =>
    name === "a fan" && size > 100 ? Math.ceil(size / 60) : PEOPLE;

  it.each([
    ["a line", linear, 100, { in: 100, checked: 99, folded: 0, most: 0 }],
    ["a line", linear, 1_600, { in: 1_600, checked: 1_599, folded: 0, most: 0 }],
    ["one fork", oneFork, 100, { in: 100, checked: 100, folded: 192, most: 85 }],
    ["one fork", oneFork, 1_600, { in: 1_600, checked: 1_600, folded: 32_254, most: 1_585 }],
    ["a zigzag", zigzag, 100, { in: 101, checked: 101, folded: 4_973, most: 101 }],
    ["a zigzag", zigzag, 1_600, { in: 1_601, checked: 1_601, folded: 1_281_473, most: 1_601 }],
    ["two of three", twoOfThree, 100, { in: 100, checked: 101, folded: 2_390, most: 100 }],
    [
      "two of three",
      twoOfThree,
      1_600,
      { in: 1_600, checked: 1_601, folded: 671_757, most: 1_600 },
    ],
    ["a fan", fan, 100, { in: 100, checked: 106, folded: 192, most: 85 }],
    ["a fan", fan, 1_600, { in: 1_600, checked: 1_625, folded: 30_784, most: 1_547 }],
  ] as const)("%s", async (name, shape, size, work) => {
    const writing = await writers(name, people(name, size));
    shape(writing, size);
    expect(receive(writing).work).toEqual(work);
  });

  const places = LOG_OPS_MAX - RESERVED_OPS_MAX;
  it.each([
    ["a line", linear, 0, 0],
    ["one fork", oneFork, places - 15, places - 15],
    ["a fan", fan, 8_701, 8_701],
  ] as const)(
    `%s: its last page of ${places}`,
    async (name, shape, folded, most) => {
      const writing = await writers(name, people(name, places));
      shape(writing, places);
      const { work } = receive(writing, places - PAGE_OPS_MAX);
      expect({ folded: work.folded, most: work.most }).toEqual({ folded, most });
    },
    60_000,
  );
});

describe("a page", () => {
  it(`is taken in until ${FOLDED_OPS_MAX} operations were folded for it, and the rest when it comes again`, async () => {
    const writing = await writers("a page", PEOPLE);
    const { people, ops } = writing;
    zigzag(writing, 2_100);
    // Before the last page in pieces of which none is too much.
    const whole = ops.length - PAGE_OPS_MAX;
    const certs = people.map(({ cert }) => cert);
    let { log } = must(openLog(at(ops, 0), at(certs, 0)));
    for (let from = 1; from < whole; from += 10) {
      const { refused, ...page } = receivePage(
        log,
        pageOf(ops.slice(from, Math.min(from + 10, whole)), certs),
      );
      expect(refused.size).toBe(0);
      ({ log } = page);
    }
    expect(log.ops.size).toBe(whole);
    const last = pageOf(ops.slice(whole), certs);
    Object.assign(counted, { checked: 0, folded: 0, most: 0 });
    const first = receivePage(log, last);
    const left = [...first.refused.keys()];
    expect(new Set(first.refused.values())).toEqual(new Set(["not-now"]));
    // The one that passed the limit was taken in, and all heads are folded once more.
    expect(counted.folded - 2 * counted.most).toBeLessThanOrEqual(FOLDED_OPS_MAX);
    expect(counted.folded).toBeGreaterThan(FOLDED_OPS_MAX);
    // Nobody's signature is looked at for nothing.
    expect(counted.checked).toBe(PAGE_OPS_MAX - left.length);
    const second = receivePage(first.log, last);
    expect(second.refused.size).toBe(0);
    expect(second.log.ops.size).toBe(ops.length);
    expect(told(second.log.state)).toBe(told(foldOps([...second.log.ops.values()])));
  }, 60_000);
});

describe("the states that a log keeps", () => {
  it(`are ${STATES_KEPT_MAX}, and what is not kept is folded to the same`, async () => {
    for (const count of [STATES_KEPT_MAX, STATES_KEPT_MAX + 1, 3 * STATES_KEPT_MAX]) {
      const writing = await writers("states", 3 * STATES_KEPT_MAX);
      const { people, ops, write, base } = writing;
      const heads = Array.from({ length: count }, (_, index) => {
        return write(at(people, index), [base], revoke());
      });
      const { log } = receive(writing);
      expect(log.heads).toHaveLength(count);
      expect(log.headStates.size).toBe(STATES_KEPT_MAX);
      // On the first, whose state was let go, as on the last.
      let grown = log;
      for (const index of [0, count - 1]) {
        const before = ops.length;
        write(at(people, index), [at(heads, index)], revoke());
        for (const op of ops.slice(before)) grown = must(receiveOp(grown, op, [])).log;
      }
      for (const [id, state] of grown.headStates)
        expect(told(state)).toBe(told(stateAt(grown, id)));
      expect(told(grown.state)).toBe(told(foldOps([...grown.ops.values()])));
    }
  });

  it("are of one head, once there is one", async () => {
    const writing = await writers("one head", PEOPLE);
    const { people, write, base } = writing;
    const heads = [0, 1, 2].map((index) => write(at(people, index), [base], rotate));
    expect([...receive(writing).log.headStates.keys()].toSorted()).toEqual(
      [base, ...heads].map((id) => bytesToHex(id)).toSorted(),
    );
    const last = write(at(people, 0), heads, rotate);
    expect([...receive(writing).log.headStates.keys()]).toEqual([bytesToHex(last)]);
  });
});

function stateAt(log: GroupLog, id: string): GroupState {
  const behind = new Set([id]);
  // A set grows while it is walked.
  for (const one of behind)
    for (const parent of log.ops.get(one)?.parents ?? []) behind.add(parent);
  return foldOps([...log.ops.values()].filter((one) => behind.has(one.id)));
}
