/** What an account that is no member any more may be told: what took it out, and nothing later. */
import { receivePage } from "@sotto/crypto";
import { pagesOfEnd } from "@sotto/protocol";
import { bytesToHex } from "@sotto/wire";
import { expect, it } from "vitest";
import {
  accountOf,
  at,
  copyOf,
  did,
  foundGroup,
  merged,
  rosterOf,
} from "../../crypto/test/group-support.ts";
import { seededEnv } from "../../crypto/test/support.ts";

it("tells somebody removed what removed them, with all behind it and nothing later", async () => {
  const env = seededEnv("removed");
  const { people, log } = await foundGroup(3, env);
  const [founder, gone] = [at(people, 0), at(people, 2)];
  const behind = copyOf(log);
  const before = await did(
    log,
    founder,
    { kind: "role", account: accountOf(at(people, 1)), role: "admin" },
    env,
  );
  const removed = await did(before, founder, { kind: "remove", account: accountOf(gone) }, env);
  const { people: others } = await foundGroup(1, env);
  const later = await did(
    removed,
    founder,
    { kind: "add", account: accountOf(at(others, 0)) },
    env,
  );
  const taken = pagesOfEnd(later, accountOf(gone)).reduce(
    (all, page) => receivePage(all, page).log,
    behind,
  );
  expect(rosterOf(taken.state)).toEqual(rosterOf(removed.state));
  expect([...taken.ops.keys()].toSorted()).toEqual([...removed.ops.keys()].toSorted());
});

it("tells somebody who left on another device the same", async () => {
  const env = seededEnv("left");
  const { people, log } = await foundGroup(2, env);
  const leaver = at(people, 1);
  const left = await did(log, leaver, { kind: "leave" }, env);
  const later = await did(left, at(people, 0), { kind: "policy", adders: "members" }, env);
  const taken = pagesOfEnd(later, accountOf(leaver)).reduce(
    (all, page) => receivePage(all, page).log,
    log,
  );
  expect([...taken.ops.keys()]).toEqual([...left.ops.keys()]);
});

it("tells members and strangers nothing", async () => {
  const env = seededEnv("member");
  const { people, log } = await foundGroup(2, env);
  const { people: others } = await foundGroup(1, env);
  expect(pagesOfEnd(log, accountOf(at(people, 1)))).toEqual([]);
  expect(pagesOfEnd(log, accountOf(at(others, 0)))).toEqual([]);
});

it("tells a member who was out for a while nothing, and of somebody else's leaving nothing", async () => {
  const env = seededEnv("again");
  const { people, log } = await foundGroup(3, env);
  const [founder, leaver, back] = [at(people, 0), at(people, 1), at(people, 2)];
  const out = await did(log, founder, { kind: "remove", account: accountOf(back) }, env);
  const again = await did(out, founder, { kind: "add", account: accountOf(back) }, env);
  expect(pagesOfEnd(again, accountOf(back))).toEqual([]);
  const gone = await did(out, leaver, { kind: "leave" }, env);
  const taken = pagesOfEnd(gone, accountOf(back)).reduce(
    (all, page) => receivePage(all, page).log,
    log,
  );
  expect([...taken.ops.keys()]).toEqual([...out.ops.keys()]);
});

it("tells nothing of what became of whoever had added the one that was removed", async () => {
  const env = seededEnv("adder left");
  const { people, log } = await foundGroup(3, env);
  const [founder, helper, gone] = [at(people, 0), at(people, 1), at(people, 2)];
  const admin = { kind: "role", account: accountOf(helper), role: "admin" } as const;
  const crowned = await did(log, founder, admin, env);
  const removed = await did(crowned, helper, { kind: "remove", account: accountOf(gone) }, env);
  const left = await did(removed, founder, { kind: "leave" }, env);
  const taken = pagesOfEnd(left, accountOf(gone)).reduce(
    (all, page) => receivePage(all, page).log,
    copyOf(log),
  );
  expect([...taken.ops.keys()].toSorted()).toEqual([...removed.ops.keys()].toSorted());
});

it("tells who was removed once and added again in vain what ended both, with the addition and nothing later", async () => {
  const env = seededEnv("in vain");
  const { people, log } = await foundGroup(3, env);
  const [founder, helper, gone] = [at(people, 0), at(people, 1), at(people, 2)];
  const admin = { kind: "role", account: accountOf(helper), role: "admin" } as const;
  const crowned = await did(log, founder, admin, env);
  const once = await did(crowned, founder, { kind: "remove", account: accountOf(gone) }, env);
  const again = await did(once, helper, { kind: "add", account: accountOf(gone) }, env);
  const without = await did(once, founder, { kind: "remove", account: accountOf(helper) }, env);
  const both = merged(again, without);
  const later = await did(both, founder, { kind: "rotateTopic" }, env);
  expect(rosterOf(later.state)).toEqual([bytesToHex(accountOf(founder))]);
  // It had heard of the addition, and takes itself for a member.
  const told = pagesOfEnd(later, accountOf(gone)).reduce(
    (all, page) => receivePage(all, page).log,
    again,
  );
  expect(rosterOf(told.state)).toEqual(rosterOf(both.state));
  expect([...told.ops.keys()].toSorted()).toEqual([...both.ops.keys()].toSorted());
});
