/** The membership log: signed operations from anybody, in any order, checked the same by everybody. */
import {
  accountIdOf,
  awaitHeads,
  beginChain,
  createGroup,
  createOwnDevice,
  type CryptoEnv,
  type GroupLog,
  hasHead,
  headsHash,
  HELD_OPS_MAX,
  HELD_OPS_OF_STRANGERS_MAX,
  HELD_OPS_PER_ACCOUNT_MAX,
  isMember,
  isMemberDevice,
  LABELS,
  LATE_OPS_MAX,
  makeOp,
  membersAhead,
  openLog,
  opIdOf,
  type OwnDevice,
  pagesSince,
  receiveOp,
  receivePage,
  restoreDevice,
  SIBLING_OPS_MAX,
  signerOf,
} from "@sotto/crypto";
import {
  asAccountId,
  asDeviceId,
  asOpId,
  bytesToHex,
  decodeGroupOp,
  type DeviceCert,
  deviceCertBody,
  encodeDeviceCert,
  encodeGroupOp,
  encodeGroupPage,
  GROUP_PAGE_BYTES_MAX,
  type GroupOp,
  groupOpBody,
  PAGE_OPS_MAX,
  PARENTS_MAX,
} from "@sotto/wire";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { foldOps, REVOKED_DEVICES_MAX } from "#src/membership-fold.ts";
import { ed25519Sign, labelled } from "#src/primitives.ts";
import { runs } from "../../../test/setup/runs.ts";
import {
  accountOf,
  type Action,
  at,
  copyOf,
  did,
  foundGroup,
  merged,
  nameOf,
  rosterOf,
  told,
  stateHash,
} from "./group-support.ts";
import { flipBit, must, seededEnv } from "./support.ts";

const hex = bytesToHex;
const someAccount = (index: number) =>
  asAccountId(
    Uint8Array.from({ length: 20 }, (_, position) => (position < 2 ? index >> (8 * position) : 9)),
  );
const opsOf = (log: GroupLog): readonly GroupOp[] => [...log.ops.values()].map(({ op }) => op);
const certsOf = (log: GroupLog) => [...log.certs.values()];

/** An operation signed as `own`, whatever it says. */
function forged(own: OwnDevice, op: Omit<GroupOp, "signature" | "signer">): GroupOp {
  const full = { ...op, signer: signerOf(own.cert) };
  const message = labelled(LABELS.groupOp, groupOpBody(full));
  return { ...full, signature: ed25519Sign(own.signingSecret, message) };
}

/** `device` with another certificate of the same account. */
function certified(device: OwnDevice, changed: Partial<DeviceCert>): OwnDevice {
  const cert = { ...device.cert, ...changed };
  const signed = labelled(LABELS.deviceCert, deviceCertBody(cert));
  return { ...device, cert: { ...cert, signature: ed25519Sign(device.rootSecret, signed) } };
}

const idsOf = (log: GroupLog) => log.heads.map((head) => asOpId(Buffer.from(head, "hex")));

/** `log` with nothing but these operations, signed by nobody. */
function holding(log: GroupLog, ops: readonly GroupOp[]): GroupLog {
  const [first] = [...log.ops.values()];
  if (first === undefined) throw new Error("an empty log");
  const logged = ops.map((op, index) => ({ ...first, op, id: `${index}` }));
  return { ...log, ops: new Map(logged.map((one) => [one.id, one])) };
}

/** One person with keys and `count - 1` accounts. */
async function crowd(
  count: number,
  env: CryptoEnv,
): Promise<{ readonly own: OwnDevice; readonly log: GroupLog }> {
  const own = await createOwnDevice(env);
  let { log } = await createGroup(own, env);
  for (let index = 1; index < count; index++) {
    log = await did(log, own, { kind: "add", account: someAccount(index) }, env);
  }
  return { own, log };
}

describe("a group", () => {
  it("is named by the operation that created it", async () => {
    const env = seededEnv("named");
    const own = await createOwnDevice(env);
    const { log, op } = await createGroup(own, env);
    expect(log.group).toEqual(opIdOf(op));
    expect(rosterOf(log.state)).toEqual([hex(accountOf(own))]);
    const second = await createGroup(own, env);
    expect(second.log.group).not.toEqual(log.group);
    expect(must(openLog(op, own.cert)).log).toEqual(log);
    const name = hex(log.group);
    expect(log.ops.get(name)).toMatchObject({ id: name, membership: name, authority: name });
    expect([...log.headStates]).toEqual([[name, log.state]]);
    expect(op.action.kind === "create" && op.action.salt).toHaveLength(16);
  });

  it("begins with a create that its signer signed, and with nothing else", async () => {
    const env = seededEnv("begins");
    const [alice, bob] = [await createOwnDevice(env), await createOwnDevice(env)];
    const { log, op } = await createGroup(alice, env);
    expect(openLog(op, bob.cert)).toEqual({ ok: false, reason: "unknown-signer" });
    const badCert = { ...alice.cert, signature: flipBit(alice.cert.signature, 0) };
    expect(openLog({ ...op, signer: signerOf(badCert) }, badCert)).toEqual({
      ok: false,
      reason: "unknown-signer",
    });
    const tampered = { ...op, signature: flipBit(op.signature, 3) };
    expect(openLog(tampered, alice.cert)).toEqual({ ok: false, reason: "bad-signature" });
    const added = must(await makeOp(log, alice, { kind: "add", account: accountOf(bob) }, env));
    expect(openLog(added.op, alice.cert)).toEqual({ ok: false, reason: "malformed" });
    expect(receiveOp(log, forged(bob, { ...op, lamport: 0 }), [bob.cert])).toEqual({
      ok: false,
      reason: "malformed",
    });
  });

  it("comes out of pages as it went in", async () => {
    const env = seededEnv("pages");
    const { log } = await crowd(200, env);
    const pages = pagesSince(log, []);
    expect(pages).toHaveLength(5);
    for (const page of pages) expect(encodeGroupPage(page).length).toBeLessThanOrEqual(20_000);
    expect(stateHash(copyOf(log))).toEqual(stateHash(log));
  });

  it("fills each page to the last byte and the last operation, and no further", async () => {
    const env = seededEnv("full pages");
    const own = await createOwnDevice(env);
    const { log } = await createGroup(own, env);
    const [create] = opsOf(log);
    if (create === undefined) throw new Error("no create");
    const id = asOpId(new Uint8Array(32));
    const sized = (parents: number, action: Action): GroupOp => ({
      ...create,
      parents: Array.from({ length: parents }, () => id),
      lamport: 1,
      action,
    });
    const bytesOf = (op: GroupOp): number => encodeGroupOp(op).length;
    const rotate: Action = { kind: "rotateTopic" };
    const policy: Action = { kind: "policy", adders: "members" };
    const least = 2 + bytesOf(sized(0, rotate));
    expect(bytesOf(sized(1, policy))).toBe(bytesOf(sized(0, rotate)) + 33);
    // Parents give steps of 32 bytes, policies single ones.
    const count = 32;
    const spare = GROUP_PAGE_BYTES_MAX - 3 - encodeDeviceCert(own.cert).length - count * least;
    const parents = Math.floor(spare / 32);
    const filling = (policies: number): readonly GroupOp[] =>
      Array.from({ length: count }, (_, index) =>
        sized(
          Math.floor(parents / count) + (index < parents % count ? 1 : 0),
          index < policies ? policy : rotate,
        ),
      );
    const exact = pagesSince(holding(log, filling(spare % 32)), []);
    expect(exact.map(({ ops }) => ops.length)).toEqual([count]);
    for (const page of exact) expect(encodeGroupPage(page)).toHaveLength(GROUP_PAGE_BYTES_MAX);
    const over = pagesSince(holding(log, filling((spare % 32) + 1)), []);
    expect(over.map(({ ops }) => ops.length)).toEqual([count - 1, 1]);
    for (const { certs } of over) expect(certs).toEqual([own.cert]);

    const small = (length: number): GroupLog =>
      holding(
        log,
        Array.from({ length }, () => sized(1, rotate)),
      );
    const lengths = (from: GroupLog) => pagesSince(from, []).map(({ ops }) => ops.length);
    expect(lengths(small(PAGE_OPS_MAX))).toEqual([PAGE_OPS_MAX]);
    expect(lengths(small(2 * PAGE_OPS_MAX + 1))).toEqual([PAGE_OPS_MAX, PAGE_OPS_MAX, 1]);

    // With a certificate for each.
    const others = await Promise.all(
      Array.from({ length: 3 }, () => restoreDevice(own.rootSecret, env)),
    );
    const certs = new Map([own, ...others].map(({ cert }) => [hex(signerOf(cert)), cert]));
    const each = holding(
      { ...log, certs },
      filling(0).map((op, index) => ({
        ...op,
        signer: signerOf(at([own, ...others], index % 4).cert),
      })),
    );
    const pages = pagesSince(each, []);
    for (const page of pages) expect(encodeGroupPage(page).length).toBeLessThanOrEqual(20_000);
    expect(pages.map((page) => [page.certs.length, page.ops.length])).toEqual([
      [4, count - 1],
      [1, 1],
    ]);
    expect(() => pagesSince({ ...log, certs: new Map() }, [])).toThrow(
      "an operation without its certificate",
    );
  });

  it("holds 1,000 members and not one more", async () => {
    const env = seededEnv("thousand");
    const { own, log } = await crowd(999, env);
    const made = must(await makeOp(log, own, { kind: "add", account: someAccount(999) }, env));
    const full = must(receiveOp(log, made.op, [])).log;
    expect(full.state.members.size).toBe(1_000);
    expect(told(foldOps([...full.ops.values()]))).toBe(told(full.state));
    const more: Action = { kind: "add", account: someAccount(1_000) };
    expect(await makeOp(full, own, more, env)).toEqual({ ok: false, reason: "too-many-members" });
    const { group } = log;
    const parents = [asOpId(Buffer.from(full.heads[0] ?? "", "hex"))];
    const beyond = forged(own, { group, parents, lamport: 1_000, action: more });
    expect(receiveOp(full, beyond, [])).toEqual({ ok: false, reason: "too-many-members" });
  });

  it("hands out only what the other side lacks", async () => {
    const env = seededEnv("since");
    const { people, log } = await foundGroup(3, env);
    const later = await did(log, at(people, 0), { kind: "rotateTopic" }, env);
    const heads = log.heads.map((head) => asOpId(Buffer.from(head, "hex")));
    expect(pagesSince(later, heads).flatMap(({ ops }) => ops)).toHaveLength(1);
    expect(pagesSince(log, heads)).toEqual([]);
    // Who names something unknown gets everything.
    expect(pagesSince(log, [asOpId(new Uint8Array(32))]).flatMap(({ ops }) => ops)).toHaveLength(3);
  });
});

describe("an operation", () => {
  it("is refused for a bad signature, an unknown signer, another group, a wrong lamport", async () => {
    const env = seededEnv("refused");
    const { people, log } = await foundGroup(2, env);
    const [alice, bob] = [at(people, 0), at(people, 1)];
    const { op } = must(await makeOp(log, alice, { kind: "rotateTopic" }, env));
    const refusals: readonly (readonly [GroupOp, string])[] = [
      [{ ...op, signature: flipBit(op.signature, 100) }, "bad-signature"],
      [{ ...op, action: { kind: "leave" } }, "bad-signature"],
      [{ ...op, signer: signerOf((await createOwnDevice(env)).cert) }, "unknown-signer"],
      [forged(alice, { ...op, group: (await createGroup(alice, env)).log.group }), "wrong-group"],
      [forged(alice, { ...op, lamport: op.lamport + 1 }), "malformed"],
      [forged(bob, op), "not-allowed"],
      [forged(await createOwnDevice(env), op), "unknown-signer"],
    ];
    for (const [bad, reason] of refusals) {
      expect(receiveOp(log, bad, [bob.cert])).toEqual({ ok: false, reason });
    }
    const mallory = await createOwnDevice(env);
    expect(receiveOp(log, forged(mallory, op), [mallory.cert])).toEqual({
      ok: false,
      reason: "not-a-member",
    });
    const badCert = { ...mallory.cert, signature: flipBit(mallory.cert.signature, 0) };
    const underBad = { ...mallory, cert: badCert };
    expect(receiveOp(log, forged(underBad, op), [badCert])).toEqual({
      ok: false,
      reason: "unknown-signer",
    });
    expect(must(receiveOp(log, op, [])).state).toBe("accepted");
  });

  it("is refused under a certificate whose key is of small order, whoever's signature it carries", async () => {
    const env = seededEnv("small order");
    const { people, log } = await foundGroup(2, env);
    const alice = at(people, 0);
    const { op } = must(await makeOp(log, alice, { kind: "rotateTopic" }, env));
    // With the neutral element as key, this fits every message for verifiers that do not look.
    const neutral = Uint8Array.from({ length: 32 }, (_, index) => (index === 0 ? 1 : 0));
    const signature = new Uint8Array(64);
    signature[0] = 1;
    const cert = { ...alice.cert, rootKey: neutral, signingKey: neutral, signature };
    const weak = { ...op, signer: signerOf(cert), signature };
    expect(receiveOp(log, weak, [cert])).toEqual({ ok: false, reason: "unknown-signer" });
    // Certified by an account that is genuine, too.
    const unknown = { ok: false, reason: "unknown-signer" };
    for (const bad of [{ signingKey: neutral }, { dhKey: new Uint8Array(32) }]) {
      const { cert: half } = certified(alice, bad);
      const own = forged({ ...alice, cert: half }, op);
      expect(receiveOp(log, { ...own, signature }, [half])).toEqual(unknown);
      expect(receiveOp(log, own, [half])).toEqual(unknown);
    }
    const fine = certified(alice, { deviceId: asDeviceId(new Uint8Array(8)) });
    expect(must(receiveOp(log, forged(fine, op), [fine.cert])).state).toBe("accepted");
  });

  it("of a removed admin is refused when it names the removal, and has no effect when it does not", async () => {
    const env = seededEnv("removed");
    const { people, log } = await foundGroup(4, env);
    const [alice, bob, carol, dave] = [at(people, 0), at(people, 1), at(people, 2), at(people, 3)];
    const two = await did(
      log,
      alice,
      { kind: "role", account: accountOf(bob), role: "admin" },
      env,
    );
    const without = await did(two, alice, { kind: "remove", account: accountOf(bob) }, env);
    const naming = forged(bob, {
      group: log.group,
      parents: without.heads.map((head) => asOpId(Buffer.from(head, "hex"))),
      lamport: without.ops.size,
      action: { kind: "remove", account: accountOf(carol) },
    });
    expect(receiveOp(without, naming, [bob.cert])).toEqual({ ok: false, reason: "not-a-member" });
    const backdated = must(
      await makeOp(two, bob, { kind: "remove", account: accountOf(carol) }, env),
    );
    const taken = must(receiveOp(without, backdated.op, [bob.cert])).log;
    expect(rosterOf(taken.state)).toEqual(
      [alice, carol, dave].map((one) => hex(accountOf(one))).toSorted(),
    );
    // On top of both it is the same for somebody who had the other one first.
    const other = must(receiveOp(backdated.log, opsOf(without).at(-1) ?? naming, [])).log;
    expect(stateHash(other)).toEqual(stateHash(taken));
  });

  it("is judged by what it names and not by what stands beside it", async () => {
    const env = seededEnv("behind");
    const { people, log } = await foundGroup(1, env);
    const own = at(people, 0);
    const [one, two, three] = await Promise.all(
      [1, 2, 3].map(async (index) =>
        must(await makeOp(log, own, { kind: "add", account: someAccount(index) }, env)),
      ),
    );
    if (one === undefined || two === undefined || three === undefined) throw new Error("not made");
    const all = [one, two, three].reduce(
      (grown, { op }) => must(receiveOp(grown, op, [])).log,
      log,
    );
    expect(all.heads).toHaveLength(3);
    const raise = (index: number, ...made: readonly { readonly id: Uint8Array }[]): GroupOp =>
      forged(own, {
        group: log.group,
        parents: made.map(({ id }) => asOpId(id)).toSorted((a, b) => Buffer.compare(a, b)),
        lamport: 2,
        action: { kind: "role", account: someAccount(index), role: "admin" },
      });
    const nothing = { ok: false, reason: "no-effect" };
    // Whoever was added beside is not there yet.
    expect(receiveOp(all, raise(2, one), [])).toEqual(nothing);
    expect(receiveOp(all, raise(3, one, two), [])).toEqual(nothing);
    expect(receiveOp(all, raise(1, two, three), [])).toEqual(nothing);
    for (const index of [1, 2]) {
      const taken = must(receiveOp(all, raise(index, one, two), [])).log;
      expect(taken.state.members.get(hex(someAccount(index)))?.role).toBe("admin");
      // And that of the one from which they branch.
      expect([...taken.headStates.keys()].toSorted()).toEqual(
        [...taken.heads, ...log.heads].toSorted(),
      );
    }
    // From far back: everything after is beside it.
    const early = forged(own, {
      group: log.group,
      parents: idsOf(log),
      lamport: 1,
      action: { kind: "add", account: someAccount(1) },
    });
    const late = await did(all, own, { kind: "remove", account: someAccount(1) }, env);
    expect(receiveOp(late, { ...early, lamport: 2 }, []).ok).toBe(false);
    expect(must(receiveOp(late, early, [])).state).toBe("known");
    const again = forged(own, { ...early, action: { kind: "add", account: someAccount(4) } });
    expect(must(receiveOp(late, again, [])).log.state.members.size).toBe(4);
  });

  it("has one id whatever its signature, so that nobody makes two of one", async () => {
    const env = seededEnv("malleable");
    const { people, log } = await foundGroup(1, env);
    const { op, log: after } = must(await makeOp(log, at(people, 0), { kind: "rotateTopic" }, env));
    const other = { ...op, signature: flipBit(op.signature, 9) };
    expect(opIdOf(other)).toEqual(opIdOf(op));
    expect(must(receiveOp(after, other, [])).log).toBe(after);
  });

  it("names at most 16 heads; what is left over is named by the next", async () => {
    const env = seededEnv("heads");
    const { people, log } = await foundGroup(1, env);
    const own = at(people, 0);
    const accounts = Array.from({ length: PARENTS_MAX + 1 }, (_, index) => someAccount(index));
    let wide = log;
    for (const account of accounts) {
      const made = must(await makeOp(log, own, { kind: "add", account }, env));
      wide = must(receiveOp(wide, made.op, [])).log;
    }
    expect(wide.heads).toHaveLength(PARENTS_MAX + 1);
    expect(wide.state.members.size).toBe(PARENTS_MAX + 2);
    const narrow = must(await makeOp(wide, own, { kind: "rotateTopic" }, env));
    expect(narrow.op.parents).toHaveLength(PARENTS_MAX);
    expect(narrow.log.heads).toHaveLength(2);
    const one = must(await makeOp(narrow.log, own, { kind: "rotateTopic" }, env));
    expect(one.log.heads).toHaveLength(1);
    expect(stateHash(copyOf(one.log))).toEqual(stateHash(one.log));
  });
});

describe("operations beside others", () => {
  const device = (index: number) =>
    asDeviceId(Uint8Array.from([index, 1, 2, 3, 4, 5, 6, index >> 8]));

  /** Revokes of made-up devices on top of `log`, none of which knows of another. */
  const revokes = (log: GroupLog, own: OwnDevice, count: number): readonly GroupOp[] =>
    Array.from({ length: count }, (_, index) =>
      forged(own, {
        group: log.group,
        parents: idsOf(log),
        lamport: 1 + (log.ops.get(log.heads[0] ?? "")?.op.lamport ?? 0),
        action: { kind: "revoke", device: device(index) },
      }),
    );

  it(`of one account are ${SIBLING_OPS_MAX}; one more is taken once another member brings it`, async () => {
    const env = seededEnv("siblings");
    const { people, log } = await foundGroup(3, env);
    const [ann, bob] = [at(people, 0), at(people, 1)];
    const all = revokes(log, bob, SIBLING_OPS_MAX + 2);
    let taken = log;
    // The first stands beside nothing of Bob's.
    for (const op of all.slice(0, -1)) taken = must(receiveOp(taken, op, [bob.cert])).log;
    const last = at(all, all.length - 1);
    expect(taken.siblings.get(hex(accountOf(bob)))).toBe(SIBLING_OPS_MAX);
    expect(receiveOp(taken, last, [bob.cert])).toEqual({ ok: false, reason: "too-many-strays" });
    // Bob himself does not count, and neither does somebody who is not in the group.
    for (const by of [hex(accountOf(bob)), hex(new Uint8Array(20))]) {
      expect(receiveOp(taken, last, [bob.cert], by)).toMatchObject({ reason: "too-many-strays" });
    }
    const brought = must(receiveOp(taken, last, [bob.cert], hex(accountOf(ann))));
    expect(brought.state).toBe("accepted");
  });

  it("keep no removal from anybody: what it stands on comes with it, whoever flooded whom before", async () => {
    const env = seededEnv("flooded");
    const { people, log } = await foundGroup(3, env);
    const [ann, eve] = [at(people, 0), at(people, 2)];
    const flood = async (from: number): Promise<GroupLog> => {
      let grown = log;
      for (let made = 0; made < SIBLING_OPS_MAX + 10; made++) {
        const action = { kind: "revoke", device: device(from + made) } as const;
        grown = must(await makeOp(grown, eve, action, env)).log;
      }
      return grown;
    };
    // Each is told another story, and each is a single chain: nothing of it stands beside another for who hears it.
    const annsLog = await flood(1_000);
    const bobsLog = await flood(2_000);
    const removed = await did(annsLog, ann, { kind: "remove", account: accountOf(eve) }, env);
    const pages = pagesSince(removed, idsOf(bobsLog));
    const brought = (by: string): GroupLog =>
      pages.reduce((all, page) => receivePage(all, page, by).log, bobsLog);
    // Who brings it says nothing: Ann has signed it.
    for (const by of [ann, eve]) {
      expect(brought(hex(accountOf(by))).state.members.has(hex(accountOf(eve)))).toBe(false);
    }
    const turned = await did(annsLog, ann, { kind: "rotateTopic" }, env);
    const turns = pagesSince(turned, idsOf(bobsLog));
    for (const [by, count] of [
      [ann, SIBLING_OPS_MAX + 10 + 1],
      [eve, SIBLING_OPS_MAX],
    ] as const) {
      const after = turns.reduce(
        (all, page) => receivePage(all, page, hex(accountOf(by))).log,
        bobsLog,
      );
      expect(after.ops.size - bobsLog.ops.size).toBe(count);
    }
  });

  it(`of an account that acts no more are ${LATE_OPS_MAX}, whatever devices they are signed by`, async () => {
    const env = seededEnv("late");
    const { people, log } = await foundGroup(3, env);
    const [ann, bob] = [at(people, 0), at(people, 1)];
    const removed = await did(log, ann, { kind: "remove", account: accountOf(bob) }, env);
    const forkable = [bob, await restoreDevice(bob.rootSecret, env)];
    const all = forkable.flatMap((one) => revokes(log, one, LATE_OPS_MAX));
    let taken = removed;
    for (const op of all.slice(0, LATE_OPS_MAX)) {
      taken = must(
        receiveOp(
          taken,
          op,
          forkable.map(({ cert }) => cert),
        ),
      ).log;
    }
    expect(taken.late).toEqual(new Map([[hex(accountOf(bob)), LATE_OPS_MAX]]));
    expect(taken.state.members.size).toBe(2);
    const more = at(all, LATE_OPS_MAX);
    const certs = forkable.map(({ cert }) => cert);
    expect(receiveOp(taken, more, certs)).toEqual({ ok: false, reason: "too-many-strays" });
    expect(must(receiveOp(taken, more, certs, hex(accountOf(ann)))).state).toBe("accepted");
  });

  it("in the order of a log that is handed over are nobody's strays", async () => {
    const env = seededEnv("in order");
    const { people, log } = await foundGroup(4, env);
    const branches = await Promise.all(
      people
        .slice(1)
        .map((one, index) => did(log, one, { kind: "revoke", device: device(index) }, env)),
    );
    const whole = branches.reduce(merged, log);
    const gone = await did(
      whole,
      at(people, 0),
      { kind: "remove", account: accountOf(at(people, 1)) },
      env,
    );
    expect(copyOf(gone)).toMatchObject({ siblings: new Map(), late: new Map() });
  });

  it("are nobody's strays either where one page adds somebody beside something else and has what it did", async () => {
    const env = seededEnv("one page");
    const { people, log } = await foundGroup(2, env);
    const [ann, bob] = [at(people, 0), at(people, 1)];
    const { people: others } = await foundGroup(1, env);
    const carol = at(others, 0);
    const beside = await did(log, bob, { kind: "revoke", device: device(1) }, env);
    let grown = await did(log, ann, { kind: "add", account: accountOf(carol) }, env);
    for (let index = 0; index < 5; index++) {
      grown = await did(grown, carol, { kind: "revoke", device: device(index) }, env);
    }
    const pages = pagesSince(grown, idsOf(log));
    expect(pages).toHaveLength(1);
    const { log: taken, refused } = receivePage(beside, at(pages, 0));
    expect(refused.size).toBe(0);
    expect(taken.heads).toHaveLength(2);
    expect(taken).toMatchObject({ siblings: new Map(), late: new Map() });
    // One by one it comes to the same, state and all.
    const single = opsOf(grown).reduce(
      (all, op) => must(receiveOp(all, op, certsOf(grown))).log,
      beside,
    );
    expect(single).toEqual(taken);
  });

  it(`revoke ${REVOKED_DEVICES_MAX} devices of an account, and not one more`, async () => {
    const env = seededEnv("revoked");
    const { people, log } = await foundGroup(2, env);
    const bob = at(people, 1);
    let current = log;
    for (let index = 0; index < REVOKED_DEVICES_MAX; index++) {
      current = await did(current, bob, { kind: "revoke", device: device(index) }, env);
    }
    const one = { kind: "revoke", device: device(REVOKED_DEVICES_MAX) } as const;
    expect(await makeOp(current, bob, one, env)).toEqual({ ok: false, reason: "too-many-revoked" });
    // Each account has its own.
    expect((await makeOp(current, at(people, 0), one, env)).ok).toBe(true);
  });
});

describe("what has come before its parents", () => {
  it("is held, counts as known, and is taken in after the last of them", async () => {
    const env = seededEnv("held");
    const { people, log } = await foundGroup(2, env);
    const own = at(people, 0);
    const one = must(await makeOp(log, own, { kind: "rotateTopic" }, env));
    const two = must(await makeOp(one.log, own, { kind: "add", account: someAccount(1) }, env));
    const three = must(await makeOp(two.log, own, { kind: "leave" }, env));
    const early = must(receiveOp(log, three.op, []));
    expect(early.state).toBe("held");
    expect(early.log.state).toBe(log.state);
    expect(must(receiveOp(early.log, three.op, [])).state).toBe("known");
    const both = must(receiveOp(early.log, two.op, [])).log;
    expect(both.held.size).toBe(2);
    const all = must(receiveOp(both, one.op, [])).log;
    expect(all.held.size).toBe(0);
    expect(stateHash(all)).toEqual(stateHash(three.log));
  });

  it("waits for each of its parents, in pages too", async () => {
    const env = seededEnv("two parents");
    const { people, log } = await foundGroup(1, env);
    const own = at(people, 0);
    const [one, two] = await Promise.all(
      [1, 2].map(async (index) =>
        must(await makeOp(log, own, { kind: "add", account: someAccount(index) }, env)),
      ),
    );
    if (one === undefined || two === undefined) throw new Error("not made");
    const both = must(receiveOp(one.log, two.op, [])).log;
    const last = must(await makeOp(both, own, { kind: "rotateTopic" }, env));
    for (const [first, second] of [
      [one, two],
      [two, one],
    ] as const) {
      const some = must(receiveOp(log, first.op, [])).log;
      const waiting = must(receiveOp(some, last.op, []));
      expect(waiting.state).toBe("held");
      expect(must(receiveOp(waiting.log, second.op, [])).log).toMatchObject({
        heads: last.log.heads,
        held: new Map(),
      });
      const none = must(receiveOp(log, last.op, [])).log;
      const half = must(receiveOp(none, first.op, [])).log;
      expect(half.held.size).toBe(1);
      expect(stateHash(must(receiveOp(half, second.op, [])).log)).toEqual(stateHash(last.log));
    }
  });

  it("is dropped when it turns out to be refused, and keeps nothing else from coming", async () => {
    const env = seededEnv("held, refused");
    const { people, log } = await foundGroup(2, env);
    const [alice, bob] = [at(people, 0), at(people, 1)];
    const one = must(await makeOp(log, alice, { kind: "rotateTopic" }, env));
    const action: Action = { kind: "rotateTopic" };
    const refused = forged(bob, { group: log.group, parents: [one.id], lamport: 3, action });
    const waiting = must(receiveOp(log, refused, [bob.cert])).log;
    const two = must(await makeOp(one.log, alice, { kind: "rotateTopic" }, env));
    const both = must(receiveOp(waiting, two.op, [])).log;
    const all = must(receiveOp(both, one.op, [])).log;
    expect(all.held.size).toBe(0);
    expect(all.heads).toEqual(two.log.heads);
  });

  it("is at most 64 by one account and 512 in all", async () => {
    const env = seededEnv("held limits");
    const { people, log } = await foundGroup(3, env);
    const [alice, bob, carol] = [at(people, 0), at(people, 1), at(people, 2)];
    const orphan = (own: OwnDevice, index: number): GroupOp =>
      forged(own, {
        group: log.group,
        parents: [asOpId(new Uint8Array(32).fill(1 + index))],
        lamport: 1 + index,
        action: { kind: "rotateTopic" },
      });
    const first = must(receiveOp(log, orphan(bob, 0), [bob.cert])).log;
    const [one] = [...first.held.values()];
    if (one === undefined) throw new Error("nothing held");
    /** Of `count` accounts in turn besides what Bob has. */
    const filled = (ofBob: number, ofOthers: number): GroupLog => {
      const held = new Map(first.held);
      for (let index = 1; index < ofBob; index++) held.set(`bob ${index}`, one);
      for (let index = 0; index < ofOthers; index++) {
        held.set(`${index}`, { ...one, account: `${index % 10}` });
      }
      return { ...first, held };
    };
    const full = { ok: false, reason: "held-full" };
    const next = orphan(bob, 1);
    const most = HELD_OPS_PER_ACCOUNT_MAX;
    expect(must(receiveOp(filled(most - 1, 300), next, [bob.cert])).log.held.size).toBe(most + 300);
    expect(receiveOp(filled(most, 300), next, [bob.cert])).toEqual(full);
    expect(must(receiveOp(filled(most, 300), orphan(carol, 0), [carol.cert])).state).toBe("held");
    const room = filled(1, HELD_OPS_MAX - 2);
    const current = must(receiveOp(room, orphan(carol, 0), [carol.cert])).log;
    expect(current.held.size).toBe(HELD_OPS_MAX);
    expect(receiveOp(current, orphan(carol, 1), [carol.cert])).toEqual(full);
    // A full hold keeps nobody from bringing what is complete.
    const whole = must(await makeOp(log, alice, { kind: "rotateTopic" }, env));
    expect(must(receiveOp(current, whole.op, [])).state).toBe("accepted");
  });

  it(`is at most ${HELD_OPS_OF_STRANGERS_MAX} by strangers, of whom nobody brings more than are free then`, async () => {
    const env = seededEnv("held of strangers");
    const { people, log } = await foundGroup(3, env);
    const [bob, carol] = [at(people, 1), at(people, 2)];
    let serial = 0;
    const orphan = (own: OwnDevice): GroupOp =>
      forged(own, {
        group: log.group,
        parents: [asOpId(new Uint8Array(32).fill(++serial))],
        lamport: 1,
        action: { kind: "rotateTopic" },
      });
    let current = log;
    /** How many more of strangers' there is room for when `by` brings them. */
    const fill = async (by?: string): Promise<number> => {
      for (let count = 0; ; count++) {
        const stranger = await createOwnDevice(env);
        const received = receiveOp(current, orphan(stranger), [stranger.cert], by);
        if (!received.ok) {
          expect(received.reason).toBe("held-full");
          return count;
        }
        current = received.log;
      }
    };
    const most = HELD_OPS_OF_STRANGERS_MAX;
    expect(await fill()).toBe(most / 2);
    // All who are no members themselves are one.
    expect(await fill(hex(accountOf(await createOwnDevice(env))))).toBe(0);
    expect(await fill(hex(accountOf(bob)))).toBe(most / 4);
    expect(await fill(hex(accountOf(bob)))).toBe(0);
    expect(await fill(hex(accountOf(carol)))).toBe(most / 8);
    expect(current.held.size).toBe((7 * most) / 8);
    // What members sign is none of it.
    expect(must(receiveOp(current, orphan(carol), [carol.cert])).state).toBe("held");
  });

  it("puts its signer ahead until it is resolved or its signer is out; strangers put nobody ahead", async () => {
    const env = seededEnv("ahead");
    const { people, log } = await foundGroup(3, env);
    const [alice, bob] = [at(people, 0), at(people, 1)];
    const one = must(await makeOp(log, alice, { kind: "rotateTopic" }, env));
    const two = must(await makeOp(one.log, alice, { kind: "rotateTopic" }, env));
    const waiting = must(receiveOp(log, two.op, [])).log;
    expect(membersAhead(waiting)).toEqual([accountOf(alice)]);
    expect(membersAhead(must(receiveOp(waiting, one.op, [])).log)).toEqual([]);

    const head = hex(opIdOf(one.op));
    const told8 = awaitHeads(log, nameOf(bob), [head.slice(0, 16)]);
    expect(membersAhead(told8)).toEqual([accountOf(bob)]);
    expect(hasHead(told8, head.slice(0, 16))).toBe(false);
    const resolved = must(receiveOp(told8, one.op, [])).log;
    expect(membersAhead(resolved)).toEqual([]);
    expect(hasHead(resolved, head.slice(0, 16))).toBe(true);
    // Somebody who names what does not exist stops everybody, in his own name, until he is removed.
    const liar = awaitHeads(log, nameOf(bob), ["00".repeat(8)]);
    const without = await did(liar, alice, { kind: "remove", account: accountOf(bob) }, env);
    expect(membersAhead(without)).toEqual([]);

    const stranger = await createOwnDevice(env);
    const orphan = forged(stranger, {
      group: log.group,
      parents: [asOpId(new Uint8Array(32))],
      lamport: 1,
      action: { kind: "leave" },
    });
    expect(membersAhead(must(receiveOp(log, orphan, [stranger.cert])).log)).toEqual([]);
  });

  it("puts nobody ahead by a revoked device, whose other devices may be ahead all the same", async () => {
    const env = seededEnv("revoked");
    const { people, log } = await foundGroup(2, env);
    const [alice, bob] = [at(people, 0), at(people, 1)];
    const phone = await restoreDevice(bob.rootSecret, env);
    const shown = (device: OwnDevice): readonly GroupLog[] => {
      const parents = [asOpId(new Uint8Array(32).fill(7))];
      const action = { kind: "leave" } as const;
      const orphan = forged(device, { group: log.group, parents, lamport: 1, action });
      const held = must(receiveOp(log, orphan, [device.cert])).log;
      return [held, awaitHeads(log, nameOf(device), ["07".repeat(8)])];
    };
    const revoke: Action = { kind: "revoke", device: phone.cert.deviceId };
    for (const ahead of shown(phone)) {
      expect(membersAhead(ahead)).toEqual([accountOf(bob)]);
      const after = await did(ahead, bob, revoke, env);
      expect(membersAhead(after)).toEqual([]);
      expect((await beginChain(after, alice, env)).ok).toBe(true);
    }
    for (const ahead of shown(bob)) {
      expect(membersAhead(await did(ahead, bob, revoke, env))).toEqual([accountOf(bob)]);
    }
    const both = awaitHeads(at(shown(bob), 1), nameOf(phone), ["07".repeat(8)]);
    expect(membersAhead(both)).toEqual([accountOf(bob)]);
  });
});

describe("heads that a message named", () => {
  it("are awaited until they have come, one after the other, and only those", async () => {
    const env = seededEnv("awaited");
    const { people, log } = await foundGroup(2, env);
    const [alice, bob] = [at(people, 0), at(people, 1)];
    const one = must(await makeOp(log, alice, { kind: "rotateTopic" }, env));
    const two = must(await makeOp(one.log, alice, { kind: "rotateTopic" }, env));
    const [create, head] = [hex(log.group), at(log.heads, 0)];
    const [first, second] = [hex(one.id).slice(0, 16), hex(two.id)];
    const awaitedBy = (awaiting: GroupLog) => awaiting.awaited.get(nameOf(bob));
    const awaiting = awaitHeads(log, nameOf(bob), [create, head.slice(0, 16), first, second]);
    expect(awaitedBy(awaiting)).toEqual([first, second]);
    const half = must(receiveOp(awaiting, one.op, [])).log;
    expect(awaitedBy(half)).toEqual([second]);
    expect(membersAhead(half)).toEqual([accountOf(bob)]);
    const all = must(receiveOp(half, two.op, [])).log;
    expect(all.awaited.size).toBe(0);
    // The next message says that nothing is missing any more.
    expect(awaitHeads(awaiting, nameOf(alice), [head]).awaited.size).toBe(1);
    expect(awaitHeads(awaiting, nameOf(bob), [head]).awaited.size).toBe(0);
    const many = Array.from({ length: PARENTS_MAX + 1 }, (_, index) =>
      index.toString(16).padStart(16, "0"),
    );
    expect(awaitedBy(awaitHeads(log, nameOf(bob), many))).toEqual(many.slice(0, PARENTS_MAX));
  });

  it("are known by their first 8 bytes or by all of them, heads still or not", async () => {
    const env = seededEnv("prefixes");
    const { people, log } = await foundGroup(1, env);
    const later = await did(log, at(people, 0), { kind: "rotateTopic" }, env);
    const [old, head] = [at(log.heads, 0), at(later.heads, 0)];
    for (const known of [old, head]) {
      expect(hasHead(later, known)).toBe(true);
      expect(hasHead(later, known.slice(0, 16))).toBe(true);
      const other = known.startsWith("0") ? "1" : "0";
      expect(hasHead(later, `${other}${known.slice(1)}`)).toBe(false);
      expect(hasHead(later, `${other}${known.slice(1, 16)}`)).toBe(false);
      expect(hasHead(later, known.slice(16, 32))).toBe(false);
    }
    expect(() => headsHash({ ...log, heads: ["no id"] })).toThrow("an id that is not hex");
  });
});

describe("devices", () => {
  it("of one account act for it each; a revoked one does not", async () => {
    const env = seededEnv("devices");
    const { people, log } = await foundGroup(2, env);
    const alice = at(people, 0);
    const tablet = await restoreDevice(alice.rootSecret, env);
    expect(accountIdOf(tablet.cert.rootKey)).toEqual(accountOf(alice));
    const turned = must(await makeOp(log, tablet, { kind: "rotateTopic" }, env));
    const seen = must(receiveOp(log, turned.op, [tablet.cert])).log;
    const revoke: Action = { kind: "revoke", device: alice.cert.deviceId };
    const revoked = await did(seen, tablet, revoke, env);
    expect(isMember(revoked.state, accountOf(alice))).toBe(true);
    expect(isMemberDevice(revoked.state, accountOf(alice), alice.cert.deviceId)).toBe(false);
    expect(isMemberDevice(revoked.state, accountOf(alice), tablet.cert.deviceId)).toBe(true);
    expect(await makeOp(revoked, alice, { kind: "rotateTopic" }, env)).toEqual({
      ok: false,
      reason: "not-a-member",
    });
    expect(revoked.turnovers).toBe(2);
  });
});

describe("members who act apart", () => {
  const deed = fc.record({
    actor: fc.nat({ max: 3 }),
    kind: fc.constantFrom("add", "remove", "up", "down", "leave", "rotate", "sync", "sync"),
    target: fc.nat({ max: 5 }),
  });

  it("have equal hashes when they have met, in whatever order operations came", async () => {
    const env = seededEnv("apart");
    const founded = await foundGroup(4, env);
    const strangers = [await createOwnDevice(env), await createOwnDevice(env)];
    const everybody = [...founded.people, ...strangers];
    let start = founded.log;
    for (const one of founded.people.slice(1, 3)) {
      start = await did(
        start,
        at(everybody, 0),
        { kind: "role", account: accountOf(one), role: "admin" },
        env,
      );
    }
    await fc.assert(
      fc.asyncProperty(
        fc.array(deed, { maxLength: 14 }),
        fc.array(fc.nat(), { minLength: 5, maxLength: 20 }),
        async (deeds, keys) => {
          const logs = founded.people.map(() => start);
          for (const { actor, kind, target } of deeds) {
            const account = accountOf(at(everybody, target));
            const log = at(logs, actor);
            if (kind === "sync") {
              logs[actor] = merged(log, at(logs, target % 4));
              continue;
            }
            const action: Action =
              kind === "add" || kind === "remove"
                ? { kind, account }
                : kind === "leave"
                  ? { kind }
                  : kind === "rotate"
                    ? { kind: "rotateTopic" }
                    : { kind: "role", account, role: kind === "up" ? "admin" : "member" };
            const made = await makeOp(log, at(everybody, actor), action, env);
            if (made.ok) logs[actor] = made.log;
          }
          const all = logs.reduce(merged);
          for (const log of logs) expect(stateHash(merged(log, all))).toEqual(stateHash(all));
          for (const [id, state] of all.headStates) {
            const behind = new Set([id]);
            // A set grows while it is walked.
            for (const one of behind) {
              for (const parent of all.ops.get(one)?.parents ?? []) behind.add(parent);
            }
            const ops = [...all.ops.values()].filter((one) => behind.has(one.id));
            expect(told(state)).toBe(told(foldOps(ops)));
          }
          expect(told(foldOps([...all.ops.values()]))).toBe(told(all.state));
          // One by one, in any order at all.
          const sorted = opsOf(all)
            .slice(start.ops.size)
            .map((op, index) => ({ op, key: keys[index % keys.length] ?? 0 }))
            .toSorted((a, b) => a.key - b.key);
          let late = start;
          for (const { op } of sorted) late = must(receiveOp(late, op, certsOf(all))).log;
          expect(late.held.size).toBe(0);
          expect(stateHash(late)).toEqual(stateHash(all));
          expect(headsHash(late)).toEqual(headsHash(all));
          expect(late.turnovers).toBe(all.turnovers);
        },
      ),
      { numRuns: runs(40) },
    );
  }, 60_000);

  it("lose nothing of a page for one bad operation in it", async () => {
    const env = seededEnv("page");
    const { people, log } = await foundGroup(1, env);
    const one = must(await makeOp(log, at(people, 0), { kind: "rotateTopic" }, env));
    const [page] = pagesSince(
      one.log,
      log.heads.map((head) => asOpId(Buffer.from(head, "hex"))),
    );
    const bytes = at(page?.ops ?? [], 0);
    const spoiled = {
      certs: [],
      ops: [Uint8Array.of(1, 2, 3), flipBit(bytes, 8 * bytes.length - 1), bytes],
    };
    const { log: after, refused } = receivePage(log, spoiled);
    expect([...refused]).toEqual([
      [0, "malformed"],
      [1, "bad-signature"],
    ]);
    expect(stateHash(after)).toEqual(stateHash(one.log));
    expect(decodeGroupOp(bytes).ok).toBe(true);
  });
});
