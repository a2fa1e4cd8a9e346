/** T-27: what members, and who was one, can fill of a group's log: never what the others need to go on without them. */
import {
  ADMINS_OPS_MAX,
  beginChain,
  BROUGHT_OPS_MAX,
  createRemoteSender,
  dealChain,
  type GroupLog,
  HELD_OPS_MAX,
  HELD_OPS_OF_STRANGERS_MAX,
  HELD_OPS_PER_ACCOUNT_MAX,
  LATE_OPS_MAX,
  LOG_OPS_MAX,
  makeOp,
  nobleBackend,
  openFromGroup,
  openLog,
  opIdOf,
  type OwnDevice,
  receiveOp,
  receivePage,
  RESERVED_OPS_MAX,
  RESERVED_OPS_PER_ACCOUNT_MAX,
  restoreDevice,
  sealForGroup,
  SIBLING_OPS_MAX,
  takeRecord,
} from "@sotto/crypto";
import {
  asOpId,
  bytesToHex,
  decodeGroupEnvelope,
  type GroupOp,
  type OpId,
  PAGE_OPS_MAX,
  PARENTS_MAX,
} from "@sotto/wire";
import { describe, expect, it, vi } from "vitest";
import { REVOKED_DEVICES_MAX } from "#src/membership-fold.ts";
import { namedHeads } from "#src/membership-heads.ts";
import { accountOf, at, stateHash } from "./group-support.ts";
import { pageOf, revoke, rotate, type Writers, writers } from "./group-writers.ts";
import { must } from "./support.ts";

// Thousands of signatures: they are taken for good.
vi.mock(import("#src/primitives.ts"), async (original) => ({
  ...(await original()),
  ed25519Verify: () => true,
}));

const hex = bytesToHex;
const nameOf = (own: OwnDevice): string => hex(accountOf(own));
/** What became of it, in a word. */
const verdict = (
  result: ReturnType<typeof receiveOp> | Awaited<ReturnType<typeof makeOp>>,
): string => (result.ok ? ("state" in result ? result.state : "made") : result.reason);

/** The log of somebody who took in these in pages, from `by`. */
function logOf(
  { certs }: Pick<Writers, "certs">,
  ops: readonly GroupOp[],
  by?: OwnDevice,
  from?: GroupLog,
): GroupLog {
  const [create, ...rest] = ops;
  const name = by && nameOf(by);
  let log = from;
  if (log === undefined && create !== undefined) {
    ({ log } = must(openLog(create, at(certs, 0))));
    return logOf({ certs }, rest, by, log);
  }
  if (log === undefined) throw new Error("no operations");
  for (let start = 0; start < ops.length; start += PAGE_OPS_MAX) {
    ({ log } = receivePage(log, pageOf(ops.slice(start, start + PAGE_OPS_MAX), certs), name));
  }
  return log;
}

/** `log` as if it had grown to `count` operations that nobody stands on. */
function filled(log: GroupLog, count: number): GroupLog {
  const [first] = log.ops.values();
  if (first === undefined) throw new Error("an empty log");
  const fillers = Array.from({ length: count - log.ops.size }, (_, index) => {
    const id = `filler ${log.ops.size + index}`;
    return [id, { ...first, id, account: "nobody's" }] as const;
  });
  return { ...log, ops: new Map([...log.ops, ...fillers]) };
}

const deviceOf = (of: OwnDevice) => ({ kind: "revoke", device: of.cert.deviceId }) as const;
const removal = (of: OwnDevice) => ({ kind: "remove", account: accountOf(of) }) as const;
const isIn = (log: GroupLog, one: OwnDevice): boolean => log.state.members.has(nameOf(one));

describe("a plain member", () => {
  /** Ann and Bob are admins, Mallory and Cy are not; Mallory can join what is far apart. */
  async function longGroup(seed: string) {
    const writing = await writers(seed, 4, 2);
    const { people, write, base } = writing;
    const [ann, bob, mallory, cy] = [at(people, 0), at(people, 1), at(people, 2), at(people, 3)];
    let head = base;
    for (let count = 0; count < 1_024; count++) head = write(ann, [head], rotate);
    return { ...writing, ann, bob, mallory, cy, head };
  }

  it("that joins what is far apart, over and over, keeps nobody from removing it", async () => {
    const writing = await longGroup("joins");
    const { env, ann, bob, mallory, ops, write, base, head } = writing;
    const fork = write(mallory, [base], revoke());
    for (let count = 0; count < 128; count++) write(mallory, [fork, head], revoke());
    const annsLog = logOf(writing, ops, mallory);
    const bobsLog = logOf(writing, ops, mallory);
    expect(bobsLog.heads.length).toBeGreaterThan(PARENTS_MAX);
    const removed = must(await makeOp(annsLog, ann, removal(mallory), env));
    const added = must(await makeOp(removed.log, ann, rotate, env));
    const tablet = await restoreDevice(ann.rootSecret, env);
    for (const [log, own] of [
      [bobsLog, bob],
      [bobsLog, tablet],
    ] as const) {
      let taken = log;
      for (const { op } of [removed, added]) {
        ({ log: taken } = must(receiveOp(taken, op, [], nameOf(ann), nameOf(own))));
      }
      expect(isIn(taken, mallory)).toBe(false);
      expect((await makeOp(taken, own, rotate, env)).ok).toBe(true);
    }
  });

  it("that acts before each of an admin's operations from far back makes none of them too many", async () => {
    const writing = await longGroup("drips");
    const { env, ann, mallory, ops, write, draw, base } = writing;
    let annsLog = logOf(writing, ops);
    let bobsLog = annsLog;
    const tell = (log: GroupLog, op: GroupOp, by: OwnDevice): GroupLog =>
      must(receiveOp(log, op, [mallory.cert], nameOf(by))).log;
    let drip = write(mallory, [base], revoke());
    bobsLog = tell(bobsLog, at(ops, ops.length - 1), mallory);
    for (let count = 1; count < REVOKED_DEVICES_MAX; count++) {
      annsLog = tell(annsLog, at(ops, ops.length - 1), mallory);
      // Bob has one more than Ann, so that hers joins what is no head of his.
      drip = write(mallory, [drip], revoke());
      bobsLog = tell(bobsLog, at(ops, ops.length - 1), mallory);
      const made = must(await makeOp(annsLog, ann, rotate, env));
      annsLog = made.log;
      bobsLog = tell(bobsLog, made.op, ann);
    }
    // And from all sides, as long as it may.
    for (let count = 0; count < SIBLING_OPS_MAX; count++) {
      const beside = draw(mallory, [base], revoke());
      [annsLog, bobsLog] = [tell(annsLog, beside, mallory), tell(bobsLog, beside, mallory)];
      const made = must(await makeOp(annsLog, ann, rotate, env));
      annsLog = made.log;
      bobsLog = tell(bobsLog, made.op, ann);
    }
    const removed = must(await makeOp(annsLog, ann, removal(mallory), env));
    expect(isIn(must(receiveOp(bobsLog, removed.op, [], nameOf(ann))).log, mallory)).toBe(false);
  }, 120_000);

  it(`has ${SIBLING_OPS_MAX} siblings and, for each operation that knows all of its own, one more`, async () => {
    const writing = await writers("gives back", 3, 1);
    const { people, ops, write, draw, base } = writing;
    const mallory = at(people, 2);
    const first = write(mallory, [base], revoke());
    const beside = Array.from({ length: SIBLING_OPS_MAX }, () => write(mallory, [base], revoke()));
    const full = logOf(writing, ops, mallory);
    expect(full.siblings.get(nameOf(mallory))).toBe(SIBLING_OPS_MAX);
    const one = (): GroupOp => draw(mallory, [base], revoke());
    expect(verdict(receiveOp(full, one(), []))).toBe("too-many-strays");
    // Joins of sixteen know some of them, and are siblings, too.
    expect(verdict(receiveOp(full, draw(mallory, beside.slice(0, 16), revoke()), []))).toBe(
      "too-many-strays",
    );
    let joined: OpId[] = [first, ...beside];
    const { length } = ops;
    while (joined.length > 1) {
      joined = [write(mallory, joined.slice(0, 16), revoke()), ...joined.slice(16)];
    }
    // Brought, until one knows them all: a line again, as two devices that meet make it.
    const whole = logOf(writing, ops.slice(length), at(people, 1), full);
    expect(whole.heads).toHaveLength(1);
    expect(whole.siblings.get(nameOf(mallory))).toBe(SIBLING_OPS_MAX - 1);
    const next = must(receiveOp(whole, one(), [])).log;
    expect(verdict(receiveOp(next, one(), []))).toBe("too-many-strays");
  });
});

describe("whoever is out", () => {
  it(`has ${LATE_OPS_MAX} late operations with all whom it brings in, and leaves others theirs`, async () => {
    const writing = await writers("out", 7, 3);
    const { people, certs, ops, write, draw, base } = writing;
    const [ann, mallory, bob, eve] = [at(people, 0), at(people, 1), at(people, 2), at(people, 3)];
    // Ann takes out Eve and Mallory; what those two do beside that is late at Bob's.
    const out = write(ann, [base], removal(eve));
    write(ann, [out], removal(mallory));
    const bobsLog = logOf(writing, ops, ann);
    const stranger = (await writers("puppets", 3, 1)).people;
    const puppets = stranger.map((one) =>
      draw(mallory, [base], { kind: "add", account: accountOf(one) }),
    );
    let log = bobsLog;
    const all = [...certs, ...stranger.map(({ cert }) => cert)];
    const take = (op: GroupOp): ReturnType<typeof receiveOp> => {
      const received = receiveOp(log, op, all, nameOf(mallory));
      if (received.ok) ({ log } = received);
      return received;
    };
    for (const op of puppets) expect(must(take(op)).state).toBe("accepted");
    let count = puppets.length;
    for (; count < LATE_OPS_MAX; count++) {
      const index = count % puppets.length;
      const op = {
        ...draw(at(stranger, index), [base], revoke()),
        parents: [opIdOf(at(puppets, index))],
      };
      must(take({ ...op, lamport: at(puppets, index).lamport + 1 }));
    }
    expect(verdict(take(draw(mallory, [base], revoke())))).toBe("too-many-strays");
    expect(log.late).toEqual(new Map([[nameOf(mallory), LATE_OPS_MAX]]));
    // Others who were members have theirs.
    expect(verdict(receiveOp(log, draw(eve, [base], revoke()), certs, nameOf(eve)))).toBe(
      "accepted",
    );
    // So whoever is removed takes along who removed it, whatever was filled before.
    let carols = logOf(writing, ops.slice(0, -1), ann);
    carols = must(receiveOp(carols, draw(mallory, [base], removal(bob)), certs)).log;
    for (let late = 0; late < LATE_OPS_MAX; late++) {
      carols = must(receiveOp(carols, draw(eve, [base], revoke()), certs)).log;
    }
    expect(verdict(receiveOp(carols, draw(eve, [base], revoke()), certs))).toBe("too-many-strays");
    expect([isIn(carols, mallory), isIn(carols, bob)]).toEqual([true, false]);
    const counter = draw(bob, [base], removal(mallory));
    carols = must(receiveOp(carols, counter, certs, nameOf(bob))).log;
    expect([isIn(carols, mallory), isIn(carols, bob)]).toEqual([false, false]);
  });
});

describe("whoever is added again", () => {
  it("acts like everybody, and has what it had left of its late operations when it is out once more", async () => {
    const { people, certs, ops, write, draw, base } = await writers("added again", 3, 2);
    const [ann, bob, mallory] = [at(people, 0), at(people, 1), at(people, 2)];
    const out = write(ann, [base], removal(mallory));
    let log = logOf({ certs }, ops);
    const take = (op: GroupOp): void => {
      ({ log } = must(receiveOp(log, op, certs, nameOf(mallory))));
    };
    for (let count = 1; count < LATE_OPS_MAX; count++) take(draw(mallory, [base], revoke()));
    const { length } = ops;
    const back = write(ann, [out], { kind: "add", account: accountOf(mallory) });
    const beside = Array.from({ length: SIBLING_OPS_MAX - 1 }, () =>
      draw(mallory, [back], revoke()),
    );
    write(mallory, [back], { kind: "leave" });
    for (const op of [at(ops, length), ...beside, at(ops, length + 1)]) take(op);
    expect(log.late).toEqual(new Map([[nameOf(mallory), LATE_OPS_MAX - 1]]));
    expect(isIn(log, mallory)).toBe(false);
    // Who leaves, and is added by another member each time, would else have them over and over.
    take(draw(mallory, [base], revoke()));
    const last = draw(mallory, [back], revoke());
    expect(verdict(receiveOp(log, last, certs, nameOf(mallory)))).toBe("too-many-strays");
    expect(verdict(receiveOp(log, last, certs, nameOf(bob)))).toBe("accepted");
  });
});

describe("members who bring each other's", () => {
  /** More than one of them may bring, all signed by the other. */
  async function brought() {
    const writing = await writers("brought", 6, 2);
    const { people, ops, write, base } = writing;
    const [mallory, eve] = [at(people, 2), at(people, 3)];
    const before = ops.length;
    for (let count = 0; count < 1 + SIBLING_OPS_MAX + BROUGHT_OPS_MAX; count++) {
      write(mallory, [base], revoke());
    }
    const all = ops.splice(before);
    const log = logOf(writing, all, eve, logOf(writing, ops));
    return { ...writing, mallory, eve, cy: at(people, 4), log, last: at(all, all.length - 1) };
  }

  it(`bring ${BROUGHT_OPS_MAX} too many each and not one more, and others bring theirs`, async () => {
    const { people, certs, base, draw, mallory, eve, cy, log, last } = await brought();
    expect(log.ops.has(hex(opIdOf(last)))).toBe(true);
    expect(log.brought).toEqual(new Map([[nameOf(eve), BROUGHT_OPS_MAX]]));
    const more = draw(mallory, [base], revoke());
    for (const by of [eve, mallory]) {
      expect(verdict(receiveOp(log, more, certs, nameOf(by)))).toBe("too-many-strays");
    }
    expect(must(receiveOp(log, more, certs, nameOf(cy))).state).toBe("accepted");
    // An admin who was flooded too is never left behind with what it does about it.
    const ann = nameOf(at(people, 0));
    const used = { ...log, brought: new Map([[ann, BROUGHT_OPS_MAX]]) };
    expect(must(receiveOp(used, more, certs, ann)).state).toBe("accepted");
    // Own devices are believed, and so is everybody by who is not in yet.
    for (const own of [eve, await restoreDevice(eve.rootSecret, (await writers("x", 1)).env)]) {
      const taken = must(receiveOp(log, more, certs, nameOf(eve), nameOf(own)));
      expect(taken.log.brought).toEqual(log.brought);
    }
    const stranger = at((await writers("stranger", 1)).people, 0);
    expect(must(receiveOp(log, more, certs, nameOf(mallory), nameOf(stranger))).state).toBe(
      "accepted",
    );
  });

  it("bring as many as there are where they act as an admin, for want of one", async () => {
    const writing = await writers("heir", 4, 1);
    const { people, certs, ops, write, draw, base } = writing;
    const [ann, heir, mallory, eve] = [0, 1, 2, 3].map((index) => at(people, index));
    if (!ann || !heir || !mallory || !eve) throw new Error("too few");
    write(mallory, [write(ann, [base], { kind: "leave" })], revoke());
    const log = {
      ...logOf(writing, ops),
      siblings: new Map([[nameOf(mallory), SIBLING_OPS_MAX]]),
      brought: new Map([heir, eve].map((one) => [nameOf(one), BROUGHT_OPS_MAX])),
    };
    const one = draw(mallory, [base], revoke());
    expect(verdict(receiveOp(log, one, certs, nameOf(eve)))).toBe("too-many-strays");
    expect(verdict(receiveOp(log, one, certs, nameOf(heir)))).toBe("accepted");
  });

  it("keep out nothing that an admin's removal stands on, in whatever order and whoever tells of it", async () => {
    const { env, people, certs, ops, base, draw, mallory, eve, log } = await brought();
    const ann = at(people, 0);
    const more = Array.from({ length: 3 }, () => draw(mallory, [base], revoke()));
    // Ann was told of others: her removal names these.
    let annsLog = must(receiveOp(logOf({ certs }, ops), at(more, 0), certs)).log;
    for (const op of more.slice(1)) ({ log: annsLog } = must(receiveOp(annsLog, op, certs)));
    const made = must(await makeOp(annsLog, ann, removal(mallory), env));
    for (const order of [
      [...more, made.op],
      [made.op, ...more],
    ]) {
      const { log: after, refused } = receivePage(log, pageOf(order, certs), nameOf(eve));
      expect(refused.size).toBe(0);
      expect(isIn(after, mallory)).toBe(false);
    }
    // A plain member's word is not enough: nothing of it is taken in.
    const forged = {
      ...draw(eve, [base], removal(mallory)),
      parents: made.op.parents,
      lamport: made.op.lamport,
    };
    const { refused } = receivePage(log, pageOf([...more, forged], certs), nameOf(eve));
    expect([...refused.values()]).toEqual(more.map(() => "too-many-strays"));
  });
});

describe("the last places of a log", () => {
  const ends = LOG_OPS_MAX - RESERVED_OPS_MAX;

  async function plain(seed: string) {
    const writing = await writers(seed, 4, 2);
    const { people, ops } = writing;
    return {
      ...writing,
      log: logOf(writing, ops),
      ann: at(people, 0),
      bob: at(people, 1),
      mallory: at(people, 2),
    };
  }

  it("are for no author's operations but cuts, for others' a little longer, and for strays never", async () => {
    const { env, ann, bob, mallory, log, base, draw, certs } = await plain("reserve");
    const turn = draw(bob, [base], rotate);
    const first = must(receiveOp(log, draw(bob, [base], revoke()), certs)).log;
    const middle = ends + RESERVED_OPS_MAX / 2;
    expect((await makeOp(filled(log, ends - 1), ann, rotate, env)).ok).toBe(true);
    expect(verdict(await makeOp(filled(log, ends), ann, rotate, env))).toBe("log-full");
    expect(must(receiveOp(filled(log, middle - 1), turn, certs)).state).toBe("accepted");
    expect(verdict(receiveOp(filled(log, middle), turn, certs))).toBe("log-full");
    // Beside what Bob has done.
    expect(must(receiveOp(filled(first, ends - 1), turn, certs)).state).toBe("accepted");
    expect(verdict(receiveOp(filled(first, ends), turn, certs, nameOf(ann)))).toBe("log-full");
    // Own devices have what they have.
    const tablet = await restoreDevice(ann.rootSecret, env);
    const trusted = (size: number): ReturnType<typeof receiveOp> =>
      receiveOp(filled(first, size), turn, certs, nameOf(tablet), nameOf(ann));
    expect(must(trusted(LOG_OPS_MAX - 1)).state).toBe("accepted");
    expect(verdict(trusted(LOG_OPS_MAX))).toBe("log-full");
    expect(
      must(await makeOp(filled(log, LOG_OPS_MAX - 1), ann, removal(mallory), env)).log.ops.size,
    ).toBe(LOG_OPS_MAX);
    expect(verdict(await makeOp(filled(log, LOG_OPS_MAX), ann, removal(mallory), env))).toBe(
      "log-full",
    );
  });

  it(`have ${RESERVED_OPS_PER_ACCOUNT_MAX} cuts of one account, and room for whoever ends its rights`, async () => {
    const { env, ann, mallory, log, base, write, ops, certs } = await plain("cuts");
    let last: OpId = base;
    const before = ops.length;
    for (let count = 0; count <= RESERVED_OPS_PER_ACCOUNT_MAX; count++) {
      last = write(mallory, [last], revoke());
    }
    let taken = filled(log, ends + RESERVED_OPS_MAX / 2);
    for (const op of ops.slice(before, -1)) ({ log: taken } = must(receiveOp(taken, op, certs)));
    expect(verdict(receiveOp(taken, at(ops, ops.length - 1), certs))).toBe("log-full");
    // Ann had it.
    const annsLog = ops.slice(before).reduce((all, op) => must(receiveOp(all, op, certs)).log, log);
    const removed = must(await makeOp(annsLog, ann, removal(mallory), env));
    const brought = pageOf([at(ops, ops.length - 1), removed.op], certs);
    expect(isIn(receivePage(taken, brought, nameOf(ann)).log, mallory)).toBe(false);
    // Nobody takes the last ones of those that are for all.
    const scarce = filled(log, LOG_OPS_MAX - ADMINS_OPS_MAX - 3);
    const one = must(receiveOp(scarce, at(ops, before), certs)).log;
    const two = must(receiveOp(one, at(ops, before + 1), certs));
    expect(two.log.ops.size).toBe(LOG_OPS_MAX - ADMINS_OPS_MAX - 1);
    expect(verdict(receiveOp(two.log, at(ops, before + 2), certs))).toBe("log-full");
    const beside = must(await makeOp(log, ann, removal(mallory), env));
    expect(isIn(must(receiveOp(two.log, beside.op, certs)).log, mallory)).toBe(false);
  });

  it(`are for acting admins alone where ${ADMINS_OPS_MAX} are left, however many puppets there are`, async () => {
    const { env, ann, mallory, people, log, base, draw, certs } = await plain("puppets");
    const mine = draw(mallory, [base], revoke());
    const removed = must(await makeOp(log, ann, removal(mallory), env)).op;
    const first = filled(log, LOG_OPS_MAX - ADMINS_OPS_MAX - 1);
    expect(must(receiveOp(first, mine, certs)).state).toBe("accepted");
    const last = filled(log, LOG_OPS_MAX - ADMINS_OPS_MAX);
    expect(verdict(receiveOp(last, mine, certs, nameOf(at(people, 3))))).toBe("log-full");
    expect(isIn(must(receiveOp(last, removed, certs)).log, mallory)).toBe(false);
    expect(verdict(receiveOp(filled(log, LOG_OPS_MAX - 1), removed, certs))).toBe("accepted");
    // Not for one that was an admin, nor for a device that was revoked.
    const demoted = { kind: "role", account: accountOf(at(people, 1)), role: "member" } as const;
    for (const [own, action] of [
      [ann, demoted],
      [await restoreDevice(at(people, 1).rootSecret, env), deviceOf(at(people, 1))],
    ] as const) {
      const out = must(receiveOp(log, draw(own, [base], action), [own.cert, ...certs])).log;
      const cut = draw(at(people, 1), [base], removal(at(people, 3)));
      expect(verdict(receiveOp(filled(out, LOG_OPS_MAX - 5), cut, certs))).toBe("log-full");
    }
  });

  it("are all for an admin, up to its limit, and for no account alone", async () => {
    const { people, ops, certs, write, base } = await writers("share", 4, 2);
    const log = logOf({ certs }, ops);
    let last = base;
    const { length } = ops;
    for (let count = 0; count <= RESERVED_OPS_PER_ACCOUNT_MAX; count++) {
      last = write(at(people, 0), [last], revoke());
    }
    const cuts = ops.slice(length);
    const taken = cuts
      .slice(0, 20)
      .reduce((all, op) => must(receiveOp(all, op, certs)).log, filled(log, ends + 500));
    for (const free of [15, 1]) {
      const scarce = filled(taken, LOG_OPS_MAX - free);
      expect(must(receiveOp(scarce, at(cuts, 20), certs)).state).toBe("accepted");
    }
    expect(verdict(receiveOp(filled(taken, LOG_OPS_MAX), at(cuts, 20), certs))).toBe("log-full");
    const most = cuts
      .slice(0, -1)
      .reduce(
        (all, op) => must(receiveOp(all, op, certs)).log,
        filled(log, LOG_OPS_MAX - ADMINS_OPS_MAX),
      );
    expect(verdict(receiveOp(most, at(cuts, cuts.length - 1), certs))).toBe("log-full");
    expect(ADMINS_OPS_MAX).toBeGreaterThan(2 * RESERVED_OPS_PER_ACCOUNT_MAX);
  });
});

describe("an operation that names what is behind what else it names", () => {
  it("is in nobody's log: in a full group the order of arrival would decide who is a member", async () => {
    const writing = await writers("full group", 3, 3);
    const { people, certs, ops, write, base } = writing;
    const [ann, bob, eve] = [at(people, 0), at(people, 1), at(people, 2)];
    const someone = (index: number) => ({
      kind: "add" as const,
      account: Uint8Array.from({ length: 20 }, (_, place) =>
        place < 2 ? index >> (8 * place) : 9,
      ),
    });
    const add = (index: number) => someone(index) as Extract<GroupOp["action"], { kind: "add" }>;
    let grown = base;
    for (let index = 3; index < 999; index++) grown = write(ann, [grown], add(index));
    const beside = [write(ann, [grown], add(1_001)), write(bob, [grown], add(1_002))];
    const joint = write(bob, beside, { ...removal(eve), account: add(4).account });
    const redundant = write(ann, [grown, joint], rotate);
    const log = logOf(writing, ops.slice(0, -1));
    const dropped = [add(1_001), add(1_002)].find(
      ({ account }) => !log.state.members.has(hex(account)),
    );
    write(ann, [redundant], { kind: "remove", account: (dropped ?? add(1_001)).account });
    write(bob, [redundant], rotate);
    const [z, v, u] = ops.slice(-3);
    if (z === undefined || v === undefined || u === undefined) throw new Error("too few");
    const inOrder = (order: readonly GroupOp[]): Uint8Array =>
      stateHash(receivePage(log, pageOf(order, certs)).log);
    expect(inOrder([z, v, u])).toEqual(inOrder([z, u, v]));
    expect(verdict(receiveOp(log, z, certs))).toBe("malformed");
  });
});

describe("more heads than can be named", () => {
  /** Mallory's have the lowest ids of many; Cy is a member, and Bob an admin who has removed Dan. */
  async function crowded() {
    const writing = await writers("heads", 5, 2);
    const { people, ops, draw, tell, write, base } = writing;
    const [ann, bob, mallory] = [at(people, 0), at(people, 1), at(people, 2)];
    const drawn = Array.from({ length: 600 }, () => draw(mallory, [base], revoke()));
    const low = drawn
      .map((op) => ({ op, id: hex(opIdOf(op)) }))
      .toSorted((a, b) => (a.id < b.id ? -1 : 1))
      .slice(0, 1 + SIBLING_OPS_MAX);
    for (const { op } of low) tell(op);
    const [cut, leaving] = [
      write(bob, [base], removal(at(people, 4))),
      write(at(people, 3), [base], revoke()),
    ];
    const log = logOf(writing, ops, mallory);
    expect(log.heads).toHaveLength(low.length + 2);
    return { ...writing, ann, bob, mallory, cy: at(people, 3), log, cut, leaving };
  }

  it("let an author know its own operations, whoever ground ids below them", async () => {
    const { env, people, ann, bob, log, certs } = await crowded();
    const others = (await writers("newcomers", 6)).people;
    let [annsLog, bobsLog] = [log, log];
    const act = async (action: Parameters<typeof makeOp>[2]): Promise<void> => {
      const made = must(await makeOp(annsLog, ann, action, env));
      annsLog = made.log;
      ({ log: bobsLog } = must(receiveOp(bobsLog, made.op, certs, nameOf(ann))));
    };
    const [first] = others;
    if (first === undefined) throw new Error("nobody");
    const add = (one: OwnDevice) => ({ kind: "add", account: accountOf(one) }) as const;
    await act(add(first));
    expect(verdict(await makeOp(annsLog, ann, add(first), env))).toBe("no-effect");
    await act({ kind: "role", account: accountOf(first), role: "admin" });
    // Bob builds on it, in an operation that Ann's next one must not miss either.
    const bobs = must(await makeOp(bobsLog, bob, { ...add(at(others, 1)) }, env));
    ({ log: annsLog } = must(receiveOp(annsLog, bobs.op, certs)));
    ({ log: bobsLog } = bobs);
    for (const one of others.slice(2)) await act(add(one));
    expect(bobsLog.siblings.has(nameOf(ann))).toBe(false);
    expect(people.length).toBe(5);
  });

  it("are named by weight: what the device did, then admins' and one of each member", async () => {
    const { log, cut, leaving, ann, cy } = await crowded();
    const own = (one: OwnDevice) => ({ account: nameOf(one), device: hex(one.cert.deviceId) });
    for (const one of [ann, cy]) {
      const named = namedHeads(log, own(one));
      expect(named).toHaveLength(PARENTS_MAX);
      expect(named).toEqual(named.toSorted());
      expect(named).toEqual(expect.arrayContaining([hex(cut), hex(leaving)]));
    }
    // Whoever is out comes last.
    const { log: without } = must(
      receiveOp(log, { ...(await crowded()).draw(ann, [asOpId(cut)], removal(cy)) }, []),
    );
    expect(namedHeads(without, own(ann))).not.toContain(hex(leaving));
    const few = { ...log, heads: log.heads.slice(0, PARENTS_MAX) };
    expect(namedHeads(few, own(ann))).toEqual(few.heads);
  });

  it("tell who lacks a removal of it, in every message", async () => {
    const { env, log, ann, bob, cut, ...writing } = await crowded();
    const begun = must(await beginChain(log, ann, env)).chain;
    const to = { account: accountOf(bob), device: bob.cert.deviceId };
    const dealt = must(dealChain(begun, log, [to], env.now));
    const { group, account, device } = begun;
    const sender = takeRecord(createRemoteSender(group, account, device), dealt.record, env.now);
    const sealed = must(await sealForGroup(dealt.chain, log, Uint8Array.of(1), env));
    const envelope = must(decodeGroupEnvelope(sealed.envelope)).value;
    if (sender === undefined) throw new Error("no chain");
    const lacking = logOf(
      writing,
      writing.ops.filter((op) => hex(opIdOf(op)) !== hex(cut)),
    );
    expect(
      await openFromGroup(sender, envelope, lacking, { ...env, crypto: nobleBackend }),
    ).toEqual({
      ok: false,
      reason: "unknown-heads",
      heads: [hex(cut)],
    });
  });
});

describe("an admin's cut", () => {
  /** Of Ann, whose second device was stolen, Bob, another admin, and Cy. */
  async function stolen(seed: string) {
    const writing = await writers(seed, 3, 2);
    const ann = at(writing.people, 0);
    const thief = await restoreDevice(ann.rootSecret, writing.env);
    const certs = [...writing.certs, thief.cert];
    return { ...writing, certs, ann, thief, log: logOf(writing, writing.ops) };
  }

  it(`gets in beside more than ${SIBLING_OPS_MAX} siblings of a stolen device of its account`, async () => {
    const { ann, thief, certs, base, draw, log } = await stolen("siblings");
    let flooded = log;
    for (let count = 0; count <= SIBLING_OPS_MAX; count++) {
      ({ log: flooded } = must(receiveOp(flooded, draw(thief, [base], revoke()), certs)));
    }
    const name = nameOf(ann);
    expect(verdict(receiveOp(flooded, draw(ann, [base], rotate), certs, name))).toBe(
      "too-many-strays",
    );
    const revoked = must(receiveOp(flooded, draw(ann, [base], deviceOf(thief)), certs, name)).log;
    expect([...revoked.state.revoked]).toEqual([`${name}/${hex(thief.cert.deviceId)}`]);
    // A device that acts no more is no way in.
    const cut = draw(thief, [base], removal(at((await stolen("siblings")).people, 2)));
    const { log: late } = must(receiveOp(revoked, cut, certs, name));
    expect(late.late.get(name)).toBe(1);
  });

  it("has a place in a log full of a stolen device's, as its other devices and others have", async () => {
    const { ann, thief, certs, base, draw, log, people } = await stolen("own places");
    let flooded = filled(log, LOG_OPS_MAX - RESERVED_OPS_MAX / 2);
    let count = 0;
    for (let isFull = false; !isFull; count++) {
      const received = receiveOp(flooded, draw(thief, [base], revoke()), certs, nameOf(ann));
      isFull = !received.ok;
      if (received.ok) flooded = received.log;
    }
    expect(count - 1).toBe(RESERVED_OPS_PER_ACCOUNT_MAX);
    const revoked = draw(ann, [base], deviceOf(thief));
    expect(must(receiveOp(flooded, revoked, certs)).log.state.revoked.size).toBe(1);
    const removed = draw(at(people, 1), [base], removal(ann));
    expect(isIn(must(receiveOp(flooded, removed, certs)).log, ann)).toBe(false);
  });

  it("stands on no more than fits before the last places", async () => {
    const { ann, thief, certs, base, write, draw, log, people, ops } = await stolen("line");
    const { length } = ops;
    let last = base;
    for (let count = 1; count < PAGE_OPS_MAX; count++) last = write(thief, [last], rotate);
    write(thief, [last], revoke());
    const scarce = filled(log, LOG_OPS_MAX - ADMINS_OPS_MAX - 20);
    const { log: flooded } = receivePage(scarce, pageOf(ops.slice(length), certs), nameOf(ann));
    expect(flooded.ops.size).toBe(LOG_OPS_MAX - ADMINS_OPS_MAX);
    const removed = draw(at(people, 1), [base], removal(ann));
    expect(isIn(must(receiveOp(flooded, removed, certs)).log, ann)).toBe(false);
  });

  it("is made where others have a place for it, and no other", async () => {
    const { env, ann, log, people } = await stolen("makers");
    const last = filled(log, LOG_OPS_MAX - ADMINS_OPS_MAX);
    const leave = { kind: "leave" } as const;
    expect(verdict(await makeOp(last, at(people, 2), leave, env))).toBe("log-full");
    expect(verdict(await makeOp(last, ann, removal(at(people, 2)), env))).not.toBe("log-full");
  });

  it("is held where a stolen device of its account fills the account's places, or others all", async () => {
    for (const accounts of [1, 8]) {
      const writing = await writers(`held ${accounts}`, 2 + accounts, 2);
      const { env, people, ops, write, draw, base } = writing;
      const ann = at(people, 0);
      const thief = await restoreDevice(ann.rootSecret, env);
      const flooders = accounts === 1 ? [thief] : people.slice(2);
      const certs = [...writing.certs, thief.cert];
      let flooded = logOf(writing, ops);
      const nowhere = { parents: [asOpId(new Uint8Array(32).fill(1))], lamport: 99 };
      for (const one of flooders) {
        for (let count = 0; count < HELD_OPS_PER_ACCOUNT_MAX; count++) {
          const orphan = { ...draw(one, [base], revoke()), ...nowhere };
          ({ log: flooded } = must(receiveOp(flooded, orphan, certs)));
        }
      }
      const size = flooded.held.size;
      expect(size).toBe(accounts * HELD_OPS_PER_ACCOUNT_MAX);
      const parent = write(ann, [base], rotate);
      const before = at(ops, ops.length - 1);
      expect(verdict(receiveOp(flooded, draw(ann, [parent], rotate), certs))).toBe("held-full");
      const [gone] = flooders;
      if (gone === undefined) throw new Error("nobody");
      const cut = draw(ann, [parent], accounts === 1 ? deviceOf(gone) : removal(gone));
      const held = must(receiveOp(flooded, cut, certs, nameOf(ann)));
      expect([held.state, held.log.held.size]).toEqual(["held", size]);
      const { log } = must(receiveOp(held.log, before, certs, nameOf(ann)));
      expect([log.ops.has(hex(opIdOf(cut))), log.held.size]).toEqual([true, size - 1]);
      expect(isIn(log, gone) && log.state.revoked.size === 0).toBe(false);
      // Nobody makes room for a plain member's.
      const plain = draw(at(people, people.length - 1), [parent], revoke());
      if (accounts > 1) expect(verdict(receiveOp(flooded, plain, certs))).toBe("held-full");
    }
  });

  it("is held with what it stands on where others' fill the places of accounts that nobody knows", async () => {
    const tellers = Math.log2(HELD_OPS_OF_STRANGERS_MAX) + 1;
    const writing = await writers("strange", 3 + tellers, 2);
    const { env, people, ops, draw, write, base } = writing;
    const ann = at(people, 0);
    const carol = await restoreDevice(new Uint8Array(32).fill(7), env);
    const puppets = (await writers("strange puppets", 3)).people;
    const certs = [...writing.certs, carol.cert, ...puppets.map(({ cert }) => cert)];
    let flooded = logOf(writing, ops);
    const nowhere = { parents: [asOpId(new Uint8Array(32).fill(1))], lamport: 99 };
    for (let count = 0; count < HELD_OPS_OF_STRANGERS_MAX; count++) {
      const orphan = { ...draw(at(puppets, count % 3), [base], revoke()), ...nowhere };
      const verdicts = people.slice(2).map((teller) => {
        const received = receiveOp(flooded, orphan, certs, nameOf(teller));
        if (received.ok) flooded = received.log;
        return received.ok;
      });
      expect(verdicts).toContain(true);
    }
    const { length } = ops;
    const added = write(ann, [base], { kind: "add", account: accountOf(carol) });
    const leaf = write(carol, [added], revoke());
    write(ann, [leaf], removal(at(people, 2)));
    const [add, hers, cut] = ops.slice(length);
    if (add === undefined || hers === undefined || cut === undefined) throw new Error("too few");
    expect(verdict(receiveOp(flooded, hers, certs, nameOf(ann)))).toBe("held-full");
    const { log: waiting, refused } = receivePage(flooded, pageOf([hers, cut], certs), nameOf(ann));
    expect([refused.size, waiting.held.size]).toEqual([0, HELD_OPS_OF_STRANGERS_MAX + 1]);
    const { log } = must(receiveOp(waiting, add, certs, nameOf(ann)));
    expect(isIn(log, at(people, 2))).toBe(false);
    // Nobody makes room for what a plain member's stands on.
    const forged = { ...draw(at(people, 3), [base], revoke()), parents: [leaf], lamport: 99 };
    const plain = receivePage(flooded, pageOf([hers, forged], certs), nameOf(ann));
    expect([...plain.refused.values()]).toEqual(["held-full"]);
  });

  it("has the certificates of all that gives way to it looked for once", async () => {
    const writing = await writers("once", 12, 2);
    const { people, certs, ops, draw, base } = writing;
    const [ann, ...others] = people;
    if (ann === undefined) throw new Error("nobody");
    let looked = 0;
    const log = logOf(writing, ops);
    const counting = [...log.ops].map(([id, one]) => {
      const op = Object.defineProperty({ ...one.op }, "signer", {
        get: () => {
          looked++;
          return one.op.signer;
        },
      });
      return [id, { ...one, op }] as const;
    });
    let flooded: GroupLog = { ...log, ops: new Map(counting) };
    const nowhere = { parents: [asOpId(new Uint8Array(32).fill(1))], lamport: 98 };
    for (const one of others) {
      for (let count = 0; count < HELD_OPS_PER_ACCOUNT_MAX; count++) {
        const received = receiveOp(
          flooded,
          { ...draw(one, [base], revoke()), ...nowhere },
          certs,
          nameOf(one),
        );
        if (received.ok) flooded = received.log;
      }
    }
    expect(flooded.held.size).toBe(HELD_OPS_MAX);
    const needed = Array.from({ length: PARENTS_MAX }, () => ({
      ...draw(ann, [base], revoke()),
      ...nowhere,
    }));
    const cut = { ...draw(ann, needed.map(opIdOf), removal(at(people, 2))), lamport: 99 };
    looked = 0;
    const { log: after, refused } = receivePage(flooded, pageOf([...needed, cut], certs));
    expect([refused.size, after.held.size]).toEqual([0, HELD_OPS_MAX]);
    expect(after.held.has(hex(opIdOf(cut)))).toBe(true);
    expect(looked).toBe(counting.length);
    expect([...after.certs.keys()].toSorted()).toEqual([...flooded.certs.keys()].toSorted());
  });
});

describe("what is held", () => {
  it("is brought by whoever can, though its own signer was there before", async () => {
    const writing = await writers("early", 3, 1);
    const { people, certs, ops, write, base } = writing;
    const [ann, mallory] = [at(people, 0), at(people, 2)];
    for (let count = 0; count <= SIBLING_OPS_MAX; count++) write(mallory, [base], revoke());
    const full = logOf(writing, ops, mallory);
    const parent = write(ann, [base], rotate);
    const child = write(mallory, [parent], revoke());
    const [of, on] = ops.slice(-2);
    if (of === undefined || on === undefined) throw new Error("too few");
    const early = must(receiveOp(full, on, certs, nameOf(mallory)));
    expect(early.state).toBe("held");
    const again = must(receiveOp(early.log, on, certs, nameOf(at(people, 1))));
    expect(again.state).toBe("known");
    expect(must(receiveOp(again.log, of, certs, nameOf(ann))).log.ops.has(hex(child))).toBe(true);
    // Who brought it first and could is not put aside by who cannot.
    const kept = must(receiveOp(again.log, on, certs, nameOf(mallory))).log;
    expect(must(receiveOp(kept, of, certs, nameOf(ann))).log.ops.has(hex(child))).toBe(true);
    expect(must(receiveOp(early.log, of, certs, nameOf(ann))).log.ops.has(hex(child))).toBe(false);
  });

  it("and refused in the end leaves no certificate", async () => {
    const writing = await writers("certificates", 2, 1);
    const { people, certs, ops, write, draw, base } = writing;
    const ann = at(people, 0);
    const { people: strangers } = await writers("strangers", 2);
    const log = logOf(writing, ops);
    const parent = write(ann, [base], rotate);
    const [of] = ops.slice(-1);
    if (of === undefined) throw new Error("too few");
    let waiting = log;
    for (const one of [...strangers, at(people, 1)]) {
      const op = draw(one, [parent], rotate);
      ({ log: waiting } = must(receiveOp(waiting, op, [one.cert])));
    }
    expect(waiting.certs.size).toBe(log.certs.size + 3);
    const { log: after } = must(receiveOp(waiting, of, certs));
    expect(after.held.size).toBe(0);
    expect([...after.certs.keys()]).toEqual([...log.certs.keys()]);
  });
});
