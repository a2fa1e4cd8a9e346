/**
 * T-03: whoever carries a group's operations adds nobody: unsigned, altered, replayed, foreign and reordered ones, in any
 * mixture, and no chain is dealt to whom they name. Device lists: packages/crypto/test/device-list.test.ts.
 */
import {
  accountIdOf,
  beginChain,
  createGroup,
  createOwnDevice,
  dealChain,
  type GroupLog,
  isMember,
  makeOp,
  type OwnDevice,
  receivePage,
} from "@sotto/crypto";
import {
  type DeviceCert,
  encodeGroupOp,
  type GroupAction,
  type GroupOp,
  PAGE_OPS_MAX,
} from "@sotto/wire";
import * as fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { runs } from "../setup/runs.ts";
import { accountOf, did, foundGroup, stateHash } from "../../packages/crypto/test/group-support.ts";
import { must, seededEnv } from "../../packages/crypto/test/support.ts";

const env = seededEnv("injected members");
let eve: OwnDevice;
let founder: OwnDevice;
let member: OwnDevice;
/** As a device that has been away has it, and everything that was signed since. */
let behind: GroupLog;
let genuine: readonly GroupOp[];
let log: GroupLog;
/** Signed by somebody who may, for another group; and by Eve, for this one. */
let foreign: readonly GroupOp[];
let certs: readonly DeviceCert[];

beforeAll(async () => {
  eve = await createOwnDevice(env);
  const group = await foundGroup(3, env);
  const [first, second] = group.people;
  if (first === undefined || second === undefined) throw new Error("no people");
  [founder, member, behind] = [first, second, group.log];
  const guest = await createOwnDevice(env);
  log = await did(behind, founder, { kind: "add", account: accountOf(guest) }, env);
  log = await did(log, founder, { kind: "role", account: accountOf(member), role: "admin" }, env);
  log = await did(log, member, { kind: "remove", account: accountOf(guest) }, env);
  genuine = opsOf(log);
  // The founder has brought Eve into another group of his, where she is an admin.
  let other = (await createGroup(founder, env)).log;
  other = await did(other, founder, { kind: "add", account: accountOf(eve) }, env);
  other = await did(other, founder, { kind: "role", account: accountOf(eve), role: "admin" }, env);
  other = await did(other, eve, { kind: "add", account: accountOf(guest) }, env);
  foreign = opsOf(other);
  certs = [founder.cert, member.cert, eve.cert];
});

const opsOf = (of: GroupLog): readonly GroupOp[] => [...of.ops.values()].map(({ op }) => op);

/** What somebody without a key of a member's can make of an operation. */
const TRICKS = {
  asItIs: (op: GroupOp) => op,
  withEve: (op: GroupOp): GroupOp => ({ ...op, action: inFavourOfEve(op.action) }),
  unsigned: (op: GroupOp): GroupOp => ({ ...TRICKS.withEve(op), signature: new Uint8Array(64) }),
  intoThisGroup: (op: GroupOp): GroupOp => ({ ...op, group: log.group }),
  behindItsHeads: (op: GroupOp): GroupOp => ({
    ...TRICKS.intoThisGroup(op),
    parents: genuine.at(-1)?.parents ?? [],
    lamport: genuine.at(-1)?.lamport ?? 1,
  }),
  ofAnotherSigner: (op: GroupOp): GroupOp => ({
    ...TRICKS.withEve(op),
    signer: genuine[0]?.signer ?? op.signer,
  }),
  asPromotion: (op: GroupOp): GroupOp => ({
    ...op,
    action: { kind: "role", account: accountOf(eve), role: "admin" },
  }),
} as const;

function inFavourOfEve(action: GroupAction): GroupAction {
  return "account" in action ? { ...action, account: accountOf(eve) } : action;
}

const attempt = fc
  .array(
    fc.record({
      from: fc.constantFrom("genuine", "foreign"),
      index: fc.nat(20),
      trick: fc.constantFrom(...(Object.keys(TRICKS) as (keyof typeof TRICKS)[])),
    }),
    { minLength: 1, maxLength: PAGE_OPS_MAX / 4 },
  )
  .map((picks) =>
    picks.flatMap(({ from, index, trick }) => {
      const source = from === "genuine" ? genuine : foreign;
      const op = source[index % source.length];
      return op === undefined ? [] : [encodeGroupOp(TRICKS[trick](op))];
    }),
  );

describe("an intruder that the carrier of operations favours", () => {
  it("is in no group and gets no chain, whatever pages come", async () => {
    const toEve = { account: accountOf(eve), device: eve.cert.deviceId };
    const complete = stateHash(log);
    await fc.assert(
      fc.asyncProperty(fc.array(attempt, { minLength: 1, maxLength: 3 }), async (pages) => {
        let received = behind;
        for (const ops of pages) {
          received = receivePage(received, { certs, ops }).log;
          expect(isMember(received.state, accountIdOf(eve.cert.rootKey))).toBe(false);
        }
        // Whatever came, all that is genuine still leads to the one state.
        const rest = receivePage(received, { certs, ops: genuine.map(encodeGroupOp) }).log;
        expect(stateHash(rest)).toEqual(complete);
        expect(rest.held.size).toBe(0);
        const { chain } = must(await beginChain(rest, founder, env));
        expect(dealChain(chain, rest, [toEve], env.now)).toEqual({
          ok: false,
          reason: "not-a-member",
        });
      }),
      { numRuns: runs(60) },
    );
  });

  it("cannot sign itself in", async () => {
    for (const action of [
      { kind: "add", account: accountOf(eve) },
      { kind: "role", account: accountOf(eve), role: "admin" },
      { kind: "remove", account: accountOf(member) },
      { kind: "policy", adders: "members" },
      { kind: "rotateTopic" },
    ] as const) {
      expect((await makeOp(log, eve, action, env)).ok, action.kind).toBe(false);
    }
    expect(await beginChain(log, eve, env)).toEqual({ ok: false, reason: "not-a-member" });
  });
});
