/** What concurrent operations add up to: the same for every order, and nothing for who was removed. */
import { adminsOf, MEMBERS_MAX } from "@sotto/crypto";
import { asDeviceId, bytesToHex } from "@sotto/wire";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CIRCLE_DEPTH_MAX, type LoggedOp } from "#src/membership-cuts.ts";
import { applyOp, EMPTY_GROUP, foldOps, judge } from "#src/membership-fold.ts";
import { runs } from "../../../test/setup/runs.ts";
import { referenceFold } from "./fold-reference.ts";
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

const revoke = (device: string): Action => ({ kind: "revoke", device: asDeviceId(text(device)) });
const leave: Action = { kind: "leave" };
const rotate: Action = { kind: "rotateTopic" };
const membersAdd: Action = { kind: "policy", adders: "members" };
const adminsAdd: Action = { kind: "policy", adders: "admins" };

const actorAt = (person: number, device = "device") => ({
  account: bytesToHex(accountAt(person)),
  device: bytesToHex(text(device)),
});

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
    // A circle within the circle.
    const e = world.did(3, [head], remove(2));
    expect(rosterOf(world.stateOf([a, b, c, d, e]))).toEqual(names(0, 4));
  });

  it("what is void itself makes no circle with what is not", () => {
    const { world, head } = founded(2, 3);
    const first = world.did(0, [head], remove(1));
    const voided = world.did(1, [head], remove(2));
    const answer = world.did(2, [head], remove(1));
    const brought = world.did(2, [head], add(7));
    expect(rosterOf(world.stateOf([voided, answer, brought]))).toEqual(names(0, 3));
    expect(rosterOf(world.stateOf([first, voided, answer, brought]))).toEqual(names(0, 2, 3, 7));
  });

  it(`a circle is taken apart ${CIRCLE_DEPTH_MAX} times; what is left of it then has effect`, () => {
    // Everybody in the circle voids what Zoe did; each pair of rivals takes the next one out of it.
    const [zoe, first] = [1, 2];
    const membersAfter = (pairs: number): readonly string[] => {
      const world = new Unsigned();
      const wolf = (index: number): number => 3 + 2 * index;
      const rival = (index: number): number => 4 + 2 * index;
      const people = [zoe, first, ...Array.from({ length: 2 * pairs }, (_, index) => 3 + index)];
      let head = world.grow(world.create(), people);
      for (const one of people) {
        head = world.did(0, [head], { kind: "role", account: accountAt(one), role: "admin" });
      }
      const removes = (by: number, target: number): string =>
        world.did(by, [head], { kind: "remove", account: accountAt(target) });
      const heads = [removes(first, wolf(0))];
      for (let index = 0; index < pairs; index++) {
        heads.push(removes(zoe, wolf(index)), removes(wolf(index), zoe));
        heads.push(removes(wolf(index), rival(index)));
        if (index + 1 < pairs) heads.push(removes(rival(index), wolf(index + 1)));
      }
      return rosterOf(world.stateOf(heads));
    };
    const zoes = bytesToHex(accountAt(zoe));
    expect(membersAfter(CIRCLE_DEPTH_MAX)).toContain(zoes);
    expect(membersAfter(CIRCLE_DEPTH_MAX + 1)).not.toContain(zoes);
  });

  it("an admin stays one through a void removal and being added again after it", () => {
    const { world, head } = founded(3, 3);
    const removal = world.did(2, [head], remove(1));
    const again = world.did(3, [removal], add(1));
    expect(adminNames(world, [again])).toEqual(names(0, 2, 3));
    const first = world.did(0, [head], remove(2));
    expect(adminNames(world, [first, again])).toEqual(names(0, 1, 3));
  });

  it("a promotion needs to know of one of the adds that count, not of all", () => {
    const { world, head } = founded(1, 2);
    const beside = world.did(1, [head], rotate);
    const gone = world.did(0, [head], remove(2));
    const [one, other] = [0, 1].map((person) => world.did(person, [gone], add(2)));
    if (one === undefined || other === undefined) throw new Error("not made");
    for (const known of [one, other]) {
      const up = world.did(0, [known], promote(2));
      expect(adminNames(world, [one, other, up, beside])).toEqual(names(0, 1, 2));
    }
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

  it("a demotion voids what was done as an admin beside it, and not what every member may do", () => {
    const { world, head } = founded(2, 3);
    const down = world.did(0, [head], demote(1));
    const asAdmin = world.did(1, [head], remove(3));
    expect(rosterOf(world.stateOf([down, asAdmin]))).toEqual(names(0, 1, 2, 3));
    const lost = world.did(1, [head], revoke("deviceXY"));
    expect(world.stateOf([down, lost]).revoked.size).toBe(1);
    const gone = world.did(1, [head], leave);
    expect(rosterOf(world.stateOf([down, gone]))).toEqual(names(0, 2, 3));
    const opened = world.did(0, [head], membersAdd);
    const downThen = world.did(2, [opened], demote(1));
    const added = world.did(1, [opened], add(7));
    expect(rosterOf(world.stateOf([downThen, added]))).toEqual(names(0, 1, 2, 3, 7));
    // Raised again after it, and by that right.
    const up = world.did(0, [down], promote(1));
    const again = world.did(1, [up], remove(3));
    const beside = world.did(2, [head], rotate);
    expect(rosterOf(world.stateOf([again, beside]))).toEqual(names(0, 1, 2));
    expect(adminNames(world, [again, beside])).toEqual(names(0, 1, 2));
  });

  it("policies that differ beside each other leave adding to admins, whichever id is lower", () => {
    const { world, head } = founded(2, 2);
    for (let salt = 0, before = head; salt < 4; salt++) {
      const opened = world.did(0, [before], membersAdd);
      const shut = world.did(1, [opened], adminsAdd);
      const reopened = world.did(0, [shut], membersAdd);
      const strict = world.did(1, [opened], rotate);
      const shutToo = world.did(1, [strict], adminsAdd);
      // One chain of policies ends open, the other closed.
      expect(world.stateOf([reopened, shutToo]).adders).toBe("admins");
      expect(world.stateOf([reopened, strict]).adders).toBe("members");
      const both = world.did(0, [opened, strict], rotate);
      expect(world.stateOf([both]).adders).toBe("members");
      before = world.did(2, [reopened, shutToo], rotate);
    }
  });

  it("of two adds the earlier counts, and of two as early the lower id, for how long it is a member", () => {
    const { world, head } = founded(1, 1);
    const later = world.did(1, [world.did(1, [head], rotate)], add(2));
    const earlier = world.did(0, [head], add(2));
    const account = bytesToHex(accountAt(2));
    const memberOf = (...heads: readonly string[]) => world.stateOf(heads).members.get(account);
    expect(memberOf(later, earlier)).toEqual({
      account: accountAt(2),
      role: "member",
      addedBy: earlier,
      since: 3,
      promotedBy: undefined,
    });
    const twin = world.did(1, [head], add(2));
    expect(memberOf(twin, earlier)?.addedBy).toBe(twin < earlier ? twin : earlier);
    // The same for who made it an admin; the lower id comes first in one order and last in the other.
    const both = world.did(0, [twin, earlier], rotate);
    const ups = [0, 1].map((person) => world.did(person, [both], promote(2)));
    const late = world.did(1, [world.did(1, [both], rotate)], promote(2));
    const [low = "", high = ""] = ups.toSorted();
    expect(memberOf(...ups, late)?.promotedBy).toBe(low);
    expect(memberOf(late, high)?.promotedBy).toBe(high);
    const ops = [...world.behind([both])];
    const [one, other] = [low, high].map((id) => world.all.get(id));
    if (one === undefined || other === undefined) throw new Error("not made");
    for (const order of [
      [one, other],
      [other, one],
    ]) {
      expect(foldOps([...ops, ...order]).members.get(account)?.promotedBy).toBe(low);
    }
  });

  it("are told apart among hundreds: what is 40 steps away is before, what stands beside is not", () => {
    const { world, head } = founded(2, 2);
    const steps = [head];
    for (let index = 0; index < 70; index++) {
      steps.push(world.did(0, [at(steps, index)], add(100 + index)));
    }
    // Beside all of it: one segment from the head on.
    const beside = world.did(1, [head], rotate);
    const last = at(steps, 70);
    const gone = [1, 30, 31, 32, 33, 63, 64, 65].reduce(
      (before, index) => world.did(2, [before], remove(99 + index)),
      last,
    );
    const state = world.stateOf([gone, beside]);
    expect(state.members.size).toBe(3 + 70 - 8);
    expect(told(state)).toBe(told(referenceFold(world.behind([gone, beside]))));
    // Admin 0 is removed beside: all that it did is void, and so is nothing that the second admin did before.
    const early = world.did(2, [head], add(300));
    const removal = world.did(1, [early], remove(0));
    expect(rosterOf(world.stateOf([last, removal]))).toEqual(names(1, 2, 300));
    const known = world.did(1, [at(steps, 40)], remove(0));
    expect(world.stateOf([last, known, beside]).members.size).toBe(2 + 40);
    expect(world.stateOf([last, known]).members.size).toBe(2 + 40);
  });

  it("a revoked device does nothing more, the account's others do", () => {
    const { world, head } = founded(1, 3);
    const lost = asDeviceId(text("deviceXY").slice(0, 8));
    const revoked = world.did(1, [head], { kind: "revoke", device: lost });
    const thief = world.did(1, [head], remove(2), "deviceXY");
    const own = world.did(1, [revoked], remove(3));
    expect(rosterOf(world.stateOf([revoked, thief, own]))).toEqual(names(0, 1, 2));
    expect(world.make(1, [revoked], remove(2), "deviceXY")).toBeUndefined();
    // Known beside others too, and of this account alone.
    const state = world.stateOf([revoked, own, thief]);
    expect([...state.revoked]).toEqual([`${bytesToHex(accountAt(1))}/${bytesToHex(lost)}`]);
    const namesake = world.did(2, [head], leave, "deviceXY");
    expect(rosterOf(world.stateOf([revoked, namesake]))).toEqual(names(0, 1, 3));
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

describe("an operation that stands beside all others and says nothing", () => {
  it("makes no admin of who was added again: what promoted it did not know of that", () => {
    const { world, head } = founded(2, 2);
    const brought = world.did(1, [head], add(3));
    const removal = world.did(0, [head], remove(1));
    const raised = world.did(2, [brought], promote(3));
    const again = world.did(0, [world.did(0, [removal, raised], rotate)], add(3));
    expect(adminNames(world, [again])).toEqual(names(0, 2));
    // Person 3 can sign it itself, as somebody whom the removed admin had brought in.
    const backdated = world.did(3, [brought], revoke("deviceXY"));
    expect(adminNames(world, [again, backdated])).toEqual(names(0, 2));
    expect(rosterOf(world.stateOf([again, backdated]))).toEqual(names(0, 2, 3));
  });

  it("takes nothing back that an heir did who had been an admin once", () => {
    const { world, head } = founded(1, 3);
    const down = world.did(1, [head], demote(0));
    const left = world.did(1, [down], leave);
    const heirs = world.did(0, [left], remove(2));
    expect(rosterOf(world.stateOf([heirs]))).toEqual(names(0, 3));
    // The one removed signs it, dated back.
    const backdated = world.did(2, [head], revoke("deviceXY"));
    expect(rosterOf(world.stateOf([heirs, backdated]))).toEqual(names(0, 3));
  });

  it("leaves what an heir did void where it did not know that its role had ended", () => {
    const { world, head } = founded(0, 3);
    const left = world.did(0, [head], leave);
    const asHeir = world.did(1, [left], remove(3));
    const raised = world.did(1, [world.did(1, [left], promote(1))], promote(2));
    const down = world.did(2, [raised], demote(1));
    expect(rosterOf(world.stateOf([down, asHeir]))).toEqual(names(1, 2, 3));
  });
});

describe("rights", () => {
  it("are the admins', but everybody may leave, and members may add where the policy says so", () => {
    const { world, head } = founded(0, 2);
    for (const action of [add(3), remove(2), promote(1), membersAdd, rotate]) {
      const verdict = judge(world.stateOf([head]), action, actorAt(1));
      expect(verdict, action.kind).toEqual({ ok: false, reason: "not-allowed" });
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

  it("pass to the lower id among those who came at the same time", () => {
    const { world, head } = founded(0, 0);
    const twins = [1, 2, 3].map((person) => ({ person, id: world.did(0, [head], add(person)) }));
    const ids = twins.map(({ id }) => id);
    const left = world.did(0, ids, leave);
    const [first] = twins.toSorted((a, b) => (a.id < b.id ? -1 : 1));
    expect(adminNames(world, [left])).toEqual(names(first?.person ?? 0));
    // Whichever order they are held in.
    const { members } = world.stateOf([left]);
    const reversed = { ...EMPTY_GROUP, members: new Map([...members].toReversed()) };
    expect(adminsOf(reversed).map(({ account }) => account)).toEqual([
      accountAt(first?.person ?? 0),
    ]);
    // A lower id that came later does not go before it.
    const later = [4, 5, 6, 7].reduce(
      (before, person) => world.did(0, [before], add(person)),
      head,
    );
    const gone = world.did(0, [later], leave);
    expect(adminNames(world, [gone])).toEqual(names(4));
    const others = new Map([...world.stateOf([gone]).members].toReversed());
    expect(adminsOf({ ...EMPTY_GROUP, members: others })).toMatchObject([
      { account: accountAt(4) },
    ]);
  });

  it("do not let anybody do what is already so, or to itself what is for others", () => {
    const { world, head } = founded(1, 2);
    const revoked = world.did(0, [head], revoke("deviceXY"));
    const state = world.stateOf([revoked]);
    const refusals: readonly (readonly [Action, string])[] = [
      [add(2), "no-effect"],
      [remove(5), "no-effect"],
      [promote(1), "no-effect"],
      [promote(5), "no-effect"],
      [demote(2), "no-effect"],
      [adminsAdd, "no-effect"],
      [revoke("deviceXY"), "no-effect"],
      [remove(0), "not-allowed"],
      [{ kind: "revoke", device: asDeviceId(text("device00")) }, "not-allowed"],
    ];
    for (const [action, reason] of refusals) {
      const verdict = judge(state, action, actorAt(0, "device00"));
      expect(verdict, action.kind).toEqual({ ok: false, reason });
    }
    const salt = new Uint8Array(16);
    expect(judge(state, { kind: "create", salt }, actorAt(0))).toEqual({
      ok: false,
      reason: "not-allowed",
    });
    for (const actor of [actorAt(5), actorAt(0, "deviceXY")]) {
      expect(judge(state, leave, actor)).toEqual({ ok: false, reason: "not-a-member" });
    }
    expect(judge(state, leave, actorAt(1, "deviceXY")).ok).toBe(true);
  });

  it("are noted with what gave them", () => {
    const { world, head } = founded(1, 2);
    const [create = ""] = world.all.keys();
    const state = world.stateOf([head]);
    const added = at([...world.all.keys()], 1);
    expect(judge(state, rotate, actorAt(0))).toEqual({
      ok: true,
      membership: create,
      authority: create,
    });
    expect(judge(state, rotate, actorAt(1))).toEqual({
      ok: true,
      membership: added,
      authority: head,
    });
    expect(judge(state, leave, actorAt(1))).toEqual({
      ok: true,
      membership: added,
      authority: undefined,
    });
    // Who is no admin any more has nothing left of its promotion.
    const down = world.did(0, [head], demote(1));
    expect(world.stateOf([down]).members.get(bytesToHex(accountAt(1)))).toEqual({
      account: accountAt(1),
      role: "member",
      addedBy: added,
      since: 1,
      promotedBy: undefined,
    });
    expect(foldOps([])).toEqual({ members: new Map(), adders: "admins", revoked: new Set() });
  });

  it("change in the state after, and leave the one before as it was", () => {
    const { world, head } = founded(1, 2);
    const state = world.stateOf([head]);
    const copy = structuredClone(state);
    for (const action of [
      add(3),
      remove(2),
      promote(2),
      demote(1),
      membersAdd,
      revoke("deviceXY"),
    ]) {
      const logged = world.all.get(world.did(0, [head], action));
      if (logged === undefined) throw new Error("not made");
      const after = applyOp(state, logged);
      expect(told(after), action.kind).not.toBe(told(copy));
      expect(told(after), action.kind).toBe(told(world.stateOf([logged.id])));
    }
    expect(state).toEqual(copy);
  });
});

describe("the number of members", () => {
  it("is at most 1,000; one more is refused, and concurrent ones beyond it drop who came last", () => {
    const { world, head } = founded(1, 1);
    const full = world.grow(
      head,
      Array.from({ length: MEMBERS_MAX - 3 }, (_, index) => 2 + index),
    );
    const state = world.stateOf([full]);
    expect(state.members.size).toBe(MEMBERS_MAX - 1);
    expect(judge(state, add(5_000), actorAt(0)).ok).toBe(true);
    const one = world.did(0, [full], add(5_000));
    const other = world.did(1, [full], add(5_001));
    expect(world.stateOf([one]).members.size).toBe(MEMBERS_MAX);
    expect(judge(world.stateOf([one]), add(5_001), actorAt(0))).toEqual({
      ok: false,
      reason: "too-many-members",
    });
    const [stays, goes] = one < other ? [5_000, 5_001] : [5_001, 5_000];
    const isIn = (heads: readonly string[], person: number): boolean =>
      world.stateOf(heads).members.has(bytesToHex(accountAt(person)));
    expect(world.stateOf([one, other]).members.size).toBe(MEMBERS_MAX);
    expect(isIn([one, other], stays)).toBe(true);
    expect(isIn([one, other], goes)).toBe(false);
    const before = world.behind([full]);
    const [first, second] = [one, other].map((id) => world.all.get(id));
    if (first === undefined || second === undefined) throw new Error("not made");
    const reversed = foldOps([...before, second, first]);
    expect(told(reversed)).toBe(told(foldOps([...before, first, second])));
    // Nobody comes back by itself when there is room again.
    const met = world.did(0, [one, other], rotate);
    const room = world.did(0, [met], remove(2));
    expect(world.stateOf([room]).members.size).toBe(MEMBERS_MAX - 1);
    expect(isIn([room], goes)).toBe(false);
    expect(isIn([world.did(0, [room], rotate)], goes)).toBe(false);
    const beside = [world.did(0, [room], rotate), world.did(1, [room], add(goes))];
    expect(world.stateOf(beside).members.size).toBe(MEMBERS_MAX);
    expect(isIn(beside, goes)).toBe(true);
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
        return membersAdd;
      case "close":
        return adminsAdd;
      case "revoke":
        return revoke("device-2");
      case "rotate":
        return rotate;
      default:
        return leave;
    }
  });
const step = fc.record({
  person: fc.nat({ max: PEOPLE }),
  second: fc.boolean(),
  /** Which of the operations there are it follows. */
  parents: fc.array(fc.nat(), { minLength: 1, maxLength: 3 }),
  /** It has seen everything there is. */
  meets: fc.boolean(),
  action: anyAction,
});

/** Everybody follows whatever they like: partitions, forks and backdating of every kind. */
function wander(
  steps: readonly (typeof step extends fc.Arbitrary<infer T> ? T : never)[],
): ReturnType<typeof founded> {
  const { world, head } = founded(2, 4);
  for (const { person, second, parents, meets, action } of steps) {
    const ids = [...world.all.keys()];
    const chosen = parents.map((index) =>
      at(ids, ids.length - 1 - (index % Math.min(ids.length, 9))),
    );
    world.make(person, meets ? ids : chosen, action, second ? "device-2" : "device");
  }
  return { world, head };
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
        const ops = [...wander(steps).world.all.values()];
        const expected = told(foldOps(ops));
        expect(told(foldOps(shuffled(ops, one)))).toBe(expected);
        expect(told(foldOps(shuffled(ops, other)))).toBe(expected);
      }),
      { numRuns: runs(500) },
    );
  });

  it("gives what the second implementation says, which looks at all of it at once", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 28 }), (steps) => {
        const ops = [...wander(steps).world.all.values()];
        expect(told(foldOps(ops))).toBe(told(referenceFold(ops)));
      }),
      { numRuns: runs(150) },
    );
  });

  it("gives what the second implementation says for cuts that take each other back in every way", () => {
    const cut = fc.record({
      person: fc.nat({ max: 5 }),
      target: fc.nat({ max: 5 }),
      demotes: fc.boolean(),
      /** What it knows of: little, so that most stand beside each other. */
      knows: fc.option(fc.nat()),
    });
    fc.assert(
      fc.property(fc.array(cut, { minLength: 4, maxLength: 14 }), (cuts) => {
        const { world, head } = founded(5, 6);
        const made = [head];
        for (const { person, target, demotes, knows } of cuts) {
          const parents = knows === null ? [head] : [at(made, knows % made.length)];
          const id = world.make(person, parents, demotes ? demote(target) : remove(target));
          if (id !== undefined) made.push(id);
        }
        const ops = [...world.all.values()];
        expect(told(foldOps(ops))).toBe(told(referenceFold(ops)));
      }),
      { numRuns: runs(75) },
    );
  });

  it("gives the same when an operation that says nothing comes to stand beside all of it", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 24 }), (steps) => {
        const { world, head } = wander(steps);
        const before = told(foldOps([...world.all.values()]));
        world.did(0, [head], rotate);
        expect(told(foldOps([...world.all.values()]))).toBe(before);
      }),
      { numRuns: runs(100) },
    );
  });

  it("gives the state before, changed by the last one alone, when that one follows all others", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 24 }), anyAction, (steps, action) => {
        const { world } = wander(steps);
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
      { numRuns: runs(200) },
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
      { numRuns: runs(500) },
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
