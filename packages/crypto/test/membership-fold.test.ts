/** What concurrent operations add up to: the same for every order, and nothing for who was removed. */
import { adminsOf, MEMBERS_MAX } from "@sotto/crypto";
import { asDeviceId, bytesToHex } from "@sotto/wire";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { foldOps, judge, type LoggedOp } from "#src/membership-fold.ts";
import { accountAt, type Action, at, rosterOf, told, Unsigned } from "./group-support.ts";
import { text } from "./support.ts";

const add = (person: number): Action => ({ kind: "add", account: accountAt(person) });
const remove = (person: number): Action => ({ kind: "remove", account: accountAt(person) });
const promote = (person: number): Action => ({
  kind: "role",
  account: accountAt(person),
  role: "admin",
});
const demote = (person: number): Action => ({
  kind: "role",
  account: accountAt(person),
  role: "member",
});
const names = (...people: readonly number[]): readonly string[] =>
  people.map((person) => bytesToHex(accountAt(person))).toSorted();

/** Person 0 founded it; 1 to `admins` are admins too, the rest up to `last` members. */
function founded(
  admins: number,
  last: number,
): { readonly world: Unsigned; readonly head: string } {
  const world = new Unsigned();
  let head = world.create();
  for (let person = 1; person <= last; person++) head = world.did(0, [head], add(person));
  for (let person = 1; person <= admins; person++) head = world.did(0, [head], promote(person));
  return { world, head };
}

const adminNames = (world: Unsigned, heads: readonly string[]): readonly string[] =>
  adminsOf(world.stateOf(heads))
    .map(({ account }) => bytesToHex(account))
    .toSorted();

describe("concurrent operations", () => {
  it("remove beats what the removed admin did without knowing", () => {
    const { world, head } = founded(1, 3);
    const removal = world.did(0, [head], remove(1));
    const added = world.did(1, [head], add(4));
    const removed = world.did(1, [head], remove(2));
    expect(rosterOf(world.stateOf([removal, added, removed]))).toEqual(names(0, 2, 3));
  });

  it("remove beats add, and add again after the removal beats both", () => {
    const { world, head } = founded(1, 2);
    const gone = world.did(0, [head], remove(2));
    const again = world.did(0, [gone], add(2));
    const late = world.did(1, [gone], add(2));
    const second = world.did(1, [again], remove(2));
    expect(rosterOf(world.stateOf([again, late]))).toEqual(names(0, 1, 2));
    // `late` did not know of the second removal.
    expect(rosterOf(world.stateOf([second, late]))).toEqual(names(0, 1));
    const third = world.did(0, [second, late], add(2));
    expect(rosterOf(world.stateOf([third]))).toEqual(names(0, 1, 2));
  });

  it("remove and demote beat promote", () => {
    const { world, head } = founded(2, 4);
    const up = world.did(0, [head], promote(3));
    const out = world.did(1, [head], remove(3));
    expect(rosterOf(world.stateOf([up, out]))).toEqual(names(0, 1, 2, 4));
    const raised = world.did(0, [up], promote(4));
    const down = world.did(1, [up], demote(3));
    expect(adminNames(world, [raised, down])).toEqual(names(0, 1, 2, 4));
  });

  it("admins who remove each other are both out, and neither takes others along", () => {
    const { world, head } = founded(2, 4);
    const one = world.did(1, [head], remove(2));
    const other = world.did(2, [head], remove(1));
    const along = world.did(2, [head], remove(3));
    expect(rosterOf(world.stateOf([one, other, along]))).toEqual(names(0, 3, 4));
  });

  it("removals in a circle all have effect; a chain of them has every second", () => {
    const { world, head } = founded(3, 4);
    const a = world.did(1, [head], remove(2));
    const b = world.did(2, [head], remove(3));
    const c = world.did(3, [head], remove(1));
    const d = world.did(3, [head], remove(4));
    expect(rosterOf(world.stateOf([a, b, c, d]))).toEqual(names(0, 4));
    // 1 removes 2, so that 2 does not remove 3, so that 3 removes 4.
    expect(rosterOf(world.stateOf([a, b, d]))).toEqual(names(0, 1, 3));
  });

  it("the stricter policy holds, and the one after both", () => {
    const { world, head } = founded(2, 2);
    const open = world.did(0, [head], { kind: "policy", adders: "members" });
    const closed = world.did(1, [open], { kind: "policy", adders: "admins" });
    const reopened = world.did(1, [closed], { kind: "policy", adders: "members" });
    const closedToo = world.did(2, [closed], { kind: "rotateTopic" });
    expect(world.stateOf([reopened, closedToo]).adders).toBe("members");
    const again = world.did(0, [reopened], { kind: "policy", adders: "admins" });
    const beside = world.did(2, [reopened], { kind: "rotateTopic" });
    expect(world.stateOf([again, beside]).adders).toBe("admins");
  });

  it("both adds of equal age stay: no roster is overwritten by another", () => {
    const { world, head } = founded(1, 1);
    const one = world.did(0, [head], add(2));
    const other = world.did(1, [head], add(3));
    expect(rosterOf(world.stateOf([one, other]))).toEqual(names(0, 1, 2, 3));
  });

  it("a leave voids what the same account did beside it", () => {
    const { world, head } = founded(1, 3);
    const left = world.did(1, [head], { kind: "leave" });
    const backdated = world.did(1, [head], remove(2));
    expect(rosterOf(world.stateOf([left, backdated]))).toEqual(names(0, 2, 3));
  });

  it("a revoked device does nothing more, the account's others do", () => {
    const { world, head } = founded(1, 3);
    const lost = asDeviceId(text("deviceXY").slice(0, 8));
    const revoked = world.did(1, [head], { kind: "revoke", device: lost });
    const thief = world.did(1, [head], remove(2), "deviceXY");
    const own = world.did(1, [revoked], remove(3));
    expect(rosterOf(world.stateOf([revoked, thief, own]))).toEqual(names(0, 1, 2));
    expect(world.make(1, [revoked], remove(2), "deviceXY")).toBeUndefined();
  });
});

describe("rights that came from a removed admin", () => {
  it("are void: of a member it promoted, and of who it added where members add", () => {
    const { world, head } = founded(1, 4);
    const removal = world.did(0, [head], remove(1));
    const raised = world.did(1, [head], promote(3));
    const used = world.did(3, [raised], remove(4));
    expect(rosterOf(world.stateOf([removal, used]))).toEqual(names(0, 2, 3, 4));
    const open = world.did(0, [head], { kind: "policy", adders: "members" });
    const gone = world.did(0, [open], remove(1));
    const brought = world.did(1, [open], add(7));
    const next = world.did(7, [brought], add(8));
    expect(rosterOf(world.stateOf([gone, next]))).toEqual(names(0, 2, 3, 4));
  });

  it("are good again after it was added again, but a promotion beside the removal is not", () => {
    const { world, head } = founded(1, 3);
    const beside = world.did(1, [head], promote(3));
    const gone = world.did(0, [head], remove(3));
    const back = world.did(0, [gone], add(3));
    const open = world.did(0, [back], { kind: "policy", adders: "members" });
    const added = world.did(3, [open], add(4));
    expect(rosterOf(world.stateOf([beside, added]))).toEqual(names(0, 1, 2, 3, 4));
    expect(adminNames(world, [beside, added])).toEqual(names(0, 1));
  });
});

describe("rights", () => {
  it("are the admins', but everybody may leave, and members may add where the policy says so", () => {
    const { world, head } = founded(0, 2);
    for (const action of [add(3), remove(2), promote(1), { kind: "rotateTopic" } as const]) {
      expect(world.make(1, [head], action), action.kind).toBeUndefined();
    }
    expect(world.make(5, [head], { kind: "leave" })).toBeUndefined();
    const left = world.did(1, [head], { kind: "leave" });
    expect(world.make(1, [left], { kind: "leave" })).toBeUndefined();
    const open = world.did(0, [head], { kind: "policy", adders: "members" });
    const added = world.did(1, [open], add(3));
    expect(rosterOf(world.stateOf([added]))).toEqual(names(0, 1, 2, 3));
    expect(world.make(1, [open], remove(2))).toBeUndefined();
  });

  it("pass to who has been there longest when no admin is left", () => {
    const { world, head } = founded(1, 4);
    const one = world.did(0, [head], { kind: "leave" });
    expect(adminNames(world, [one])).toEqual(names(1));
    const both = world.did(1, [one], { kind: "leave" });
    expect(adminNames(world, [both])).toEqual(names(2));
    expect(world.make(3, [both], remove(4))).toBeUndefined();
    const raised = world.did(2, [both], promote(3));
    // Whoever inherits and wants to stay an admin says so.
    expect(adminNames(world, [raised])).toEqual(names(3));
  });

  it("do not let anybody do what is already so", () => {
    const { world, head } = founded(1, 2);
    const nothing = [
      add(2),
      remove(5),
      promote(1),
      demote(2),
      { kind: "policy", adders: "admins" },
    ];
    for (const action of nothing as readonly Action[]) {
      expect(world.make(0, [head], action), action.kind).toBeUndefined();
    }
    expect(world.make(0, [head], remove(0))).toBeUndefined();
  });
});

describe("the number of members", () => {
  it("is at most 1,000; one more is refused, and concurrent ones beyond it drop who came last", () => {
    const { world, head } = founded(1, 1);
    let full = head;
    for (let person = 2; person < MEMBERS_MAX - 1; person++) {
      full = world.did(0, [full], add(person));
    }
    const state = world.stateOf([full]);
    expect(state.members.size).toBe(MEMBERS_MAX - 1);
    const actor = { account: bytesToHex(accountAt(0)), device: bytesToHex(text("device")) };
    expect(judge(state, add(5_000), actor).ok).toBe(true);
    const one = world.did(0, [full], add(5_000));
    const other = world.did(1, [full], add(5_001));
    expect(judge(world.stateOf([one]), add(5_001), actor)).toEqual({
      ok: false,
      reason: "too-many-members",
    });
    const first = one < other ? 5_000 : 5_001;
    const both = world.stateOf([one, other]);
    expect(both.members.size).toBe(MEMBERS_MAX);
    expect(both.members.has(bytesToHex(accountAt(first)))).toBe(true);
  });
});

const PEOPLE = 6;
const anyAction = fc
  .record({
    kind: fc.constantFrom(
      "add",
      "add",
      "remove",
      "remove",
      "leave",
      "up",
      "down",
      "open",
      "close",
      "revoke",
      "rotate",
    ),
    target: fc.nat({ max: PEOPLE }),
  })
  .map(({ kind, target }): Action => {
    switch (kind) {
      case "add":
        return add(target);
      case "remove":
        return remove(target);
      case "up":
        return promote(target);
      case "down":
        return demote(target);
      case "open":
        return { kind: "policy", adders: "members" };
      case "close":
        return { kind: "policy", adders: "admins" };
      case "revoke":
        return { kind: "revoke", device: asDeviceId(text("device-2")) };
      case "rotate":
        return { kind: "rotateTopic" };
      default:
        return { kind: "leave" };
    }
  });
const step = fc.record({
  person: fc.nat({ max: PEOPLE }),
  second: fc.boolean(),
  /** Which of the operations there are it follows. */
  parents: fc.array(fc.nat(), { minLength: 1, maxLength: 3 }),
  action: anyAction,
});

/** Everybody follows whatever they like: partitions, forks and backdating of every kind. */
function wander(
  steps: readonly (typeof step extends fc.Arbitrary<infer T> ? T : never)[],
): Unsigned {
  const { world } = founded(2, 4);
  for (const { person, second, parents, action } of steps) {
    const ids = [...world.all.keys()];
    const chosen = parents.map((index) =>
      at(ids, ids.length - 1 - (index % Math.min(ids.length, 9))),
    );
    world.make(person, chosen, action, second ? "device-2" : "device");
  }
  return world;
}

/** Ancestors first, otherwise by `keys`. */
function shuffled(ops: readonly LoggedOp[], keys: readonly number[]): readonly LoggedOp[] {
  const left = ops.map((op, index) => ({ op, key: keys[index % keys.length] ?? 0 }));
  const sorted: LoggedOp[] = [];
  const done = new Set<string>();
  while (left.length > 0) {
    const ready = left.filter(({ op }) => op.parents.every((parent) => done.has(parent)));
    const next = ready.reduce((a, b) => (b.key < a.key ? b : a));
    left.splice(left.indexOf(next), 1);
    sorted.push(next.op);
    done.add(next.op.id);
  }
  return sorted;
}

describe("any graph of operations", () => {
  const keys = fc.array(fc.nat(), { minLength: 7, maxLength: 40 });

  it("gives one state in every order that has ancestors first", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 24 }), keys, keys, (steps, one, other) => {
        const ops = [...wander(steps).all.values()];
        const expected = told(foldOps(ops));
        expect(told(foldOps(shuffled(ops, one)))).toBe(expected);
        expect(told(foldOps(shuffled(ops, other)))).toBe(expected);
      }),
      { numRuns: 500 },
    );
  });

  it("gives the state before, changed by the last one alone, when that one follows all others", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 24 }), anyAction, (steps, action) => {
        const world = wander(steps);
        const heads = [...world.all.keys()];
        const before = world.stateOf(heads);
        const [admin] = adminsOf(before);
        if (admin === undefined || action.kind === "leave") return;
        const person = Array.from({ length: PEOPLE + 1 }, (_, index) => index).find(
          (index) => bytesToHex(accountAt(index)) === bytesToHex(admin.account),
        );
        const id = person === undefined ? undefined : world.make(person, heads, action, "device-3");
        if (id === undefined) return;
        const after = world.stateOf([id]);
        if (action.kind === "add") expect(after.members.size).toBe(before.members.size + 1);
        else if (action.kind === "remove") expect(after.members.size).toBe(before.members.size - 1);
        else expect(rosterOf(after)).toEqual(rosterOf(before));
      }),
      { numRuns: 200 },
    );
  });

  it("gives a removed admin nothing, whatever it and who it brought sign without naming the removal", () => {
    const evil = fc.record({
      /** Person 1 is the removed one; 7 to 9 are whom it brings in. */
      person: fc.constantFrom(1, 1, 7, 8, 9),
      parents: fc.array(fc.nat(), { minLength: 1, maxLength: 3 }),
      action: fc.oneof(
        fc.constantFrom(add(7), add(8), add(9), promote(7), promote(8), promote(9), promote(1)),
        fc.nat({ max: 9 }).map(remove),
        fc.nat({ max: 9 }).map(demote),
      ),
    });
    fc.assert(
      fc.property(fc.array(evil, { maxLength: 20 }), (attempts) => {
        const { world, head } = founded(3, 6);
        const removal = world.did(0, [head], remove(1));
        const honest = world.did(2, [removal], { kind: "rotateTopic" });
        const own: string[] = [];
        for (const { person, parents, action } of attempts) {
          const open = [head, ...own];
          const chosen = parents.map((index) => at(open, index % open.length));
          const id = world.make(person, chosen, action);
          if (id !== undefined) own.push(id);
        }
        const state = world.stateOf([honest, ...own]);
        const left = rosterOf(state);
        for (const gone of names(1, 7, 8, 9)) expect(left).not.toContain(gone);
        // Only who removed it can be taken along.
        for (const stays of names(2, 3, 4, 5, 6)) expect(left).toContain(stays);
        const admins = adminsOf(state).map(({ account }) => bytesToHex(account));
        for (const stays of names(2, 3)) expect(admins).toContain(stays);
        expect(left.length).toBeGreaterThanOrEqual(5);
      }),
      { numRuns: 500 },
    );
  });

  it("lets a removed admin who answers from far back take its remover's later grants along, and keep nothing", () => {
    const { world, head } = founded(1, 3);
    const added = world.did(0, [head], add(4));
    const removal = world.did(0, [added], remove(1));
    const answer = world.did(1, [head], remove(0));
    const brought = world.did(1, [answer], add(7));
    expect(rosterOf(world.stateOf([removal, answer, brought]))).toEqual(names(2, 3));
    // Not where somebody else stands behind what was granted.
    const other = founded(2, 3);
    const first = other.world.did(2, [other.head], add(4));
    const gone = other.world.did(0, [first], remove(1));
    const back = other.world.did(1, [other.head], remove(0));
    expect(rosterOf(other.world.stateOf([gone, back]))).toEqual(names(2, 3, 4));
  });
});
