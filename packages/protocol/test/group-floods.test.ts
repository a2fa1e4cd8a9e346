/** T-27: what one member fills of a group's log shuts nobody out who comes later (SPEC.md §11). */
import {
  BROUGHT_OPS_MAX,
  type GroupLog,
  LATE_OPS_MAX,
  LOG_OPS_MAX,
  logBehind,
  type LoggedOp,
  makeOp,
  membersAhead,
  pagesSince,
  receiveOp,
  SIBLING_OPS_MAX,
  SMALL_GROUP_MEMBERS_MAX,
} from "@sotto/crypto";
import { ASK_AGAIN_MS, type Effect, REPAIR_PATIENCE_MS, SEALED_AGAIN_MAX } from "@sotto/protocol";
import {
  asContentId,
  asDeviceId,
  asGroupId,
  bytesToHex,
  encodeContent,
  encodeGroupOp,
  PARENTS_MAX,
} from "@sotto/wire";
import { describe, expect, it } from "vitest";
import {
  accountOf,
  add,
  bring,
  circle,
  envOf,
  fromHex,
  groupIdIn,
  idsOf,
  logOf,
  read,
  remove,
  say,
  setLog,
} from "./circle.ts";
import { entropy, messageId } from "./fixture.ts";
import { type Machine, start } from "./fleet.ts";

/** Of nobody. */
const DEVICE = asDeviceId(Uint8Array.of(9, 9, 9, 9, 9, 9, 9, 9));

const OTHER = asDeviceId(Uint8Array.of(8, 9, 9, 9, 9, 9, 9, 9));

/** As many as a plain member can make in a row. */
const LINE = 128;

/** What `machine` could tell of itself: each is another story where `story` is another one. */
async function line(machine: Machine, story: number): Promise<GroupLog> {
  let log = logOf(machine);
  for (let index = 0; index < LINE; index++) {
    const device = asDeviceId(Uint8Array.of(story, index, 1, 1, 1, 1, 1, 1));
    const made = await makeOp(log, machine.self, { kind: "revoke", device }, envOf(1));
    if (!made.ok) throw new Error(made.reason);
    ({ log } = made);
  }
  return log;
}

describe("whoever comes after a member told each of the others another story", () => {
  it.each(["after", "before"] as const)(
    "is in, with all devices, though it was removed %s others had heard all of it",
    async (when) => {
      const { fleet, people } = await circle(["Ann", "Bob", "Cy", "Mallory"]);
      const [ann, bob, cy, mallory] = people;
      if (!ann || !bob || !cy || !mallory) throw new Error("too few");
      await fleet.connect(bob, mallory);
      await fleet.connect(cy, mallory);
      await fleet.pass(1_000);
      const before = logOf(mallory);
      const [one, other] = [await line(mallory, 1), await line(mallory, 2)];
      const exchange = async (): Promise<void> => {
        for (const one of [bob, cy]) {
          await bring(ann, one, pagesSince(logOf(one), idsOf(logOf(ann))));
        }
        for (const one of [bob, cy]) {
          await bring(one, ann, pagesSince(logOf(ann), idsOf(logOf(one))));
        }
      };
      await bring(cy, mallory, pagesSince(one, idsOf(before)));
      await bring(bob, mallory, pagesSince(other, idsOf(before)));
      if (when === "after") await exchange();
      fleet.offline.add(mallory);
      await remove(ann, mallory);
      await fleet.pass(1_000);
      await exchange();
      expect(logOf(bob).heads).toEqual(logOf(ann).heads);
      expect(logOf(ann).ops.size).toBeGreaterThan(2 * LINE);

      const nina = await fleet.person("Nina");
      const xena = await fleet.person("Xena");
      for (const machine of [nina, xena]) await start(machine);
      await fleet.connect(ann, nina);
      await fleet.connect(nina, xena);
      await add(ann, nina);
      await fleet.pass(1_000);
      const account = accountOf(nina);
      await ann.feed(ann.groupOf(), { kind: "group-role", account, role: "admin" });
      await fleet.pass(1_000);
      const tablet = await fleet.sibling(nina, "Nina's tablet");
      await start(tablet);
      await fleet.link(nina, tablet);
      await fleet.pass(1_000);
      await add(nina, xena);
      await fleet.pass(120_000);
      for (const machine of [ann, bob, cy, nina, tablet, xena]) {
        expect([machine.name, logOf(machine).heads]).toEqual([machine.name, logOf(ann).heads]);
      }
      await say(xena, "at last");
      await fleet.pass(120_000);
      for (const machine of [ann, bob, cy, nina, tablet])
        expect(read(machine)).toEqual(["at last"]);
    },
    120_000,
  );
});

/** Of Cy, who was removed and whose log is full; Bob is an admin, too. */
async function filled() {
  const { fleet, people } = await circle(["Ann", "Bob", "Cy", "Dan"]);
  const [ann, bob, cy, dan] = people;
  if (!ann || !bob || !cy || !dan) throw new Error("too few");
  await fleet.connect(bob, cy);
  const account = accountOf(bob);
  await ann.feed(ann.groupOf(), { kind: "group-role", account, role: "admin" });
  await remove(ann, cy);
  await fleet.pass(1_000);
  const log = logOf(cy);
  const [first] = log.ops.values();
  if (first === undefined) throw new Error("an empty log");
  const fillers = Array.from({ length: LOG_OPS_MAX - log.ops.size }, (_, index) => {
    const id = `filler ${index}`;
    return [id, { ...first, id }] as const;
  });
  const full = { ...log, ops: new Map([...log.ops, ...fillers]) };
  expect(full.ops.size).toBe(LOG_OPS_MAX);
  return { fleet, ann, bob, cy, dan, full };
}

describe("a log that somebody filled while the account was not in the group", () => {
  it("begins anew with what whoever adds it tells", async () => {
    const { fleet, ann, cy, full } = await filled();
    setLog(cy, full);
    await add(ann, cy);
    await fleet.pass(1_000);
    expect(logOf(cy).heads).toEqual(logOf(ann).heads);
    await say(cy, "again");
    await fleet.pass(1_000);
    expect(read(ann)).toEqual(["again"]);
  });

  it("begins anew when only the end comes, too, and the rest is asked for", async () => {
    const { fleet, ann, cy, full } = await filled();
    fleet.offline.add(cy);
    const heads = idsOf(logOf(ann));
    await add(ann, cy);
    await fleet.pass(ASK_AGAIN_MS);
    setLog(cy, full);
    await bring(cy, ann, pagesSince(logOf(ann), heads));
    expect(logOf(cy).ops.size).toBeLessThan(10);
    // What Ann told of all is lost.
    fleet.waiting.length = 0;
    fleet.offline.delete(cy);
    await cy.feed(cy.chatWith(ann), { kind: "hub", up: true });
    await fleet.pass(REPAIR_PATIENCE_MS + 2_000);
    expect(logOf(cy).heads).toEqual(logOf(ann).heads);
  });

  it("with a place left is rid of what is not behind the addition; what a member did beside that comes again", async () => {
    const { fleet, ann, bob, cy, dan, full } = await filled();
    fleet.offline.add(ann);
    // Nobody is forgotten to be out.
    const { account } = logOf(bob).state.members.get(accountOf(dan)) ?? {};
    if (account === undefined) throw new Error("no Dan");
    const cut = await makeOp(logOf(bob), bob.self, { kind: "remove", account }, envOf(1));
    if (!cut.ok) throw new Error(cut.reason);
    const made = await makeOp(cut.log, bob.self, { kind: "revoke", device: DEVICE }, envOf(1));
    if (!made.ok) throw new Error(made.reason);
    setLog(bob, made.log);
    setLog(cy, { ...full, ops: new Map([...full.ops].slice(0, -3)) });
    await bring(cy, bob, pagesSince(made.log, idsOf(logOf(ann))));
    expect(logOf(cy).ops.size).toBe(LOG_OPS_MAX - 1);
    fleet.offline.add(bob).delete(ann);
    await add(ann, cy);
    await fleet.pass(1_000);
    expect([...logOf(cy).ops.keys()].toSorted()).toEqual([...logOf(ann).ops.keys()].toSorted());
    expect(logOf(cy).ops.has(bytesToHex(made.id))).toBe(false);
    expect(logOf(cy).state.members.has(accountOf(dan))).toBe(false);
    fleet.offline.delete(bob);
    await bob.feed(bob.chatWith(cy), { kind: "hub", up: true });
    await bring(ann, bob, pagesSince(made.log, idsOf(logOf(ann))));
    await fleet.pass(60_000);
    for (const machine of [ann, bob]) {
      expect([machine.name, logOf(cy).heads]).toEqual([machine.name, logOf(machine).heads]);
    }
    expect(logOf(cy).ops.has(bytesToHex(made.id))).toBe(true);
    await say(cy, "again");
    await fleet.pass(1_000);
    for (const machine of [ann, bob]) expect(read(machine)).toEqual(["again"]);
  });

  it(`keeps up to ${LATE_OPS_MAX} of those, and what the account did itself`, async () => {
    for (const [count, left] of [
      [LATE_OPS_MAX, LATE_OPS_MAX],
      [LATE_OPS_MAX + 1, 0],
    ] as const) {
      const { fleet, ann, cy, full } = await filled();
      // Beside its removal, and known to nobody else.
      const [removal] = [...logOf(ann).ops.values()].slice(-1);
      const inside = logBehind(full, removal?.parents ?? []);
      const made = await makeOp(inside, cy.self, { kind: "revoke", device: DEVICE }, envOf(1));
      if (!made.ok) throw new Error(made.reason);
      const ops = new Map([...full.ops].slice(0, logOf(ann).ops.size + count));
      const taken = receiveOp({ ...full, ops }, made.op, [cy.self.cert], undefined, accountOf(cy));
      if (!taken.ok) throw new Error(taken.reason);
      setLog(cy, taken.log);
      fleet.offline.add(cy);
      await add(ann, cy);
      await bring(cy, ann, pagesSince(logOf(ann), []));
      expect(logOf(cy).ops.size).toBe(logOf(ann).ops.size + left + 1);
      expect(logOf(cy).ops.has(bytesToHex(made.id))).toBe(true);
    }
  });

  it("of a member stays what it is", async () => {
    const { ann, full } = await filled();
    const pages = pagesSince(logOf(ann), []);
    setLog(ann, { ...full, state: logOf(ann).state });
    await bring(ann, ann, pages);
    expect(logOf(ann).ops.size).toBe(LOG_OPS_MAX);
  });

  it("knows what took the account out, and by admins others, when it begins anew", async () => {
    const { fleet, ann, bob, cy, dan, full } = await filled();
    // Who took the account out is no admin any more.
    const account = accountOf(ann);
    await bob.feed(bob.groupOf(), { kind: "group-role", account, role: "member" });
    await remove(bob, dan);
    await fleet.pass(1_000);
    fleet.offline.add(ann);
    const log = logOf(ann);
    const before = [...log.ops.values()].slice(0, 5);
    const page = {
      certs: [...log.certs.values()],
      ops: before.map(({ op }) => encodeGroupOp(op)),
    };
    const later = (count: number): GroupLog => {
      const ops = [...new Map([...[...log.ops].slice(0, count), ...full.ops])];
      return { ...full, ops: new Map(ops.slice(0, LOG_OPS_MAX)), state: log.state };
    };
    for (const known of [full, later(log.ops.size - 1), later(log.ops.size)]) {
      setLog(cy, known);
      for (let count = 0; count < 2; count++) await bring(cy, bob, [page]);
      expect(logOf(cy).ops.size).toBeLessThan(10);
      expect(logOf(cy).state.members.has(accountOf(cy))).toBe(false);
    }
    expect(logOf(cy).state.members.has(accountOf(dan))).toBe(false);
    await say(cy, "to whoever reads it");
    await fleet.pass(60_000);
    expect(read(bob)).toEqual([]);
  });

  it("of the account's own, as of a stolen device of it, knows that it is out, and begins anew", async () => {
    const { ann, bob, cy, full } = await filled();
    const chain = new Map<string, LoggedOp>();
    const mine = { account: accountOf(cy), device: bytesToHex(cy.self.cert.deviceId) };
    let [last] = logOf(ann).heads;
    for (const one of full.ops.values()) {
      if (!one.id.startsWith("filler") || last === undefined) continue;
      const op = { ...one.op, action: { kind: "revoke", device: DEVICE } as const };
      chain.set(one.id, { ...one, op, ...mine, parents: [last] });
      last = one.id;
    }
    const ops = new Map([...logOf(cy).ops, ...chain]);
    setLog(cy, { ...full, ops });
    await bring(cy, bob, pagesSince(logOf(ann), []));
    expect(logOf(cy).ops.size).toBeLessThan(10);
    expect(logOf(cy).state.members.has(accountOf(cy))).toBe(false);
    await add(ann, cy);
    await bring(cy, ann, pagesSince(logOf(ann), []));
    expect(logOf(cy).state.members.has(accountOf(cy))).toBe(true);
    // With a place left; and nobody else may have what this device did.
    setLog(cy, { ...full, ops: new Map([...ops].slice(0, -10)) });
    await bring(cy, ann, pagesSince(logOf(ann), []));
    expect(logOf(cy).state.members.has(accountOf(cy))).toBe(true);
    expect(logOf(cy).ops.size).toBeLessThan(10);
    expect(membersAhead(logOf(cy))).toEqual([]);
  });
});

describe("the log of who founded the group, and was removed", () => {
  it.each(["on top of all that", "before somebody made up another removal"] as const)(
    "shows nobody in that is out %s",
    async (when) => {
      const { fleet, ann, bob, full } = await filled();
      await remove(bob, ann);
      await fleet.pass(1_000);
      const log = logOf(ann);
      expect(log.state.members.has(accountOf(ann))).toBe(false);
      const [last, ...earlier] = [...log.ops].toReversed();
      if (last === undefined) throw new Error("an empty log");
      const [id, removal] = last;
      const isMadeUp = when === "before somebody made up another removal";
      const ops = new Map(isMadeUp ? log.ops : earlier.toReversed());
      let head = [...ops.keys()].at(-1) ?? "";
      for (const [index, [, one]] of [...full.ops].slice(-LOG_OPS_MAX + 500).entries()) {
        const made = index.toString(16).padStart(64, "0");
        ops.set(made, { ...one, id: made, parents: [head] });
        head = made;
      }
      const name = isMadeUp ? "f".repeat(64) : id;
      ops.set(name, { ...removal, id: name, parents: [head] });
      setLog(ann, { ...log, ops: new Map([...ops, ...full.ops]) });
      const whole = [...logOf(ann).ops].slice(0, LOG_OPS_MAX);
      setLog(ann, { ...log, ops: new Map(whole) });
      await bring(ann, bob, pagesSince(log, []));
      expect(logOf(ann).state.members.has(accountOf(ann))).toBe(false);
      expect(logOf(ann).ops.has(id)).toBe(true);
      if (isMadeUp) expect(logOf(ann).ops.size).toBeLessThan(15);
    },
  );
});

describe("a cut of a member that was dropped with a flood", () => {
  it.each(["revoke", "leave", "demotion"] as const)(
    "is waited for, as a %s, before anything is sealed, and what puppets signed is not",
    async (kind) => {
      const { fleet, ann, bob, cy, dan, full } = await filled();
      fleet.offline.add(ann);
      const by = kind === "leave" ? dan : bob;
      const { account } = logOf(bob).state.members.get(accountOf(bob)) ?? {};
      if (account === undefined) throw new Error("no Bob");
      const action = {
        revoke: { kind: "revoke", device: DEVICE },
        leave: { kind: "leave" },
        demotion: { kind: "role", account, role: "member" },
      } as const;
      const made = await makeOp(logOf(by), by.self, action[kind], envOf(1));
      if (!made.ok) throw new Error(made.reason);
      setLog(by, made.log);
      const puppets = [...full.ops].slice(-200).map(([id, one]) => {
        const op = { ...one.op, action: { kind: "leave" } as const };
        return [id, { ...one, op, account: "0".repeat(40), device: "0".repeat(16) }] as const;
      });
      const ops = new Map([...full.ops].slice(0, -210));
      setLog(cy, { ...full, ops: new Map([...ops, ...puppets]) });
      await bring(cy, bob, pagesSince(made.log, idsOf(logOf(ann))));
      expect(logOf(cy).ops.has(bytesToHex(made.id))).toBe(true);
      fleet.offline.add(bob).add(dan).delete(ann);
      await add(ann, cy);
      await fleet.pass(1_000);
      expect(logOf(cy).ops.has(bytesToHex(made.id))).toBe(false);
      expect(membersAhead(logOf(cy)).map(bytesToHex)).toEqual([accountOf(by)]);
      await say(cy, "to whoever is in");
      await fleet.pass(60_000);
      expect(read(ann)).toEqual([]);
      fleet.offline.delete(bob);
      await bob.feed(bob.chatWith(cy), { kind: "hub", up: true });
      for (const one of [ann, cy]) await bring(one, bob, pagesSince(made.log, idsOf(logOf(ann))));
      await fleet.pass(60_000);
      expect(membersAhead(logOf(cy))).toEqual([]);
      for (const machine of [ann, bob]) expect(read(machine)).toEqual(["to whoever is in"]);
    },
  );
});

it(`of ${PARENTS_MAX} devices of an account ${PARENTS_MAX} dropped cuts each are waited for, the newest`, async () => {
  const { fleet, ann, bob, cy, full } = await filled();
  const device = (index: number): string => index.toString(16).padStart(16, "0");
  const cuts = Array.from({ length: (PARENTS_MAX + 1) ** 2 }, (_, index) => {
    const [[, one] = []] = full.ops;
    if (one === undefined) throw new Error("an empty log");
    const op = { ...one.op, action: { kind: "revoke", device: DEVICE } as const };
    const by = { account: accountOf(bob), device: device(Math.floor(index / (PARENTS_MAX + 1))) };
    return [`cut ${index}`, { ...one, ...by, op, id: `cut ${index}` }] as const;
  });
  setLog(cy, { ...full, ops: new Map([...[...full.ops].slice(0, -cuts.length - 9), ...cuts]) });
  await add(ann, cy);
  await fleet.pass(1_000);
  const { awaited } = logOf(cy);
  expect([...awaited.keys()]).toEqual(
    Array.from({ length: PARENTS_MAX }, (_, index) => `${accountOf(bob)}/${device(index + 1)}`),
  );
  const last = (PARENTS_MAX + 1) ** 2;
  expect([...awaited.values()].at(-1)).toEqual(
    Array.from({ length: PARENTS_MAX }, (_, index) => `cut ${last - PARENTS_MAX + index}`),
  );
});

describe("more strays than a member may bring", () => {
  it("are asked of admins, who may", async () => {
    const { fleet, people } = await circle(["Ann", "Bob", "Cy", "Mallory"]);
    const [ann, bob, cy, mallory] = people;
    if (!ann || !bob || !cy || !mallory) throw new Error("too few");
    for (const one of [cy, mallory]) await fleet.connect(bob, one);
    const before = logOf(mallory);
    const revoke = { kind: "revoke", device: DEVICE } as const;
    const made = await makeOp(before, mallory.self, revoke, envOf(1));
    const known = await makeOp(before, mallory.self, { ...revoke, device: OTHER }, envOf(1));
    if (!made.ok || !known.ok) throw new Error("not made");
    const page = pagesSince(made.log, idsOf(before));
    await bring(ann, mallory, page);
    await bring(bob, mallory, pagesSince(known.log, idsOf(before)));
    const siblings = new Map([[accountOf(mallory), SIBLING_OPS_MAX]]);
    const brought = new Map([[accountOf(cy), BROUGHT_OPS_MAX]]);
    setLog(bob, { ...logOf(bob), siblings, brought });
    await bring(bob, cy, page);
    expect(bob.dropped).toContain("unexpected");
    expect(logOf(bob).ops.has(bytesToHex(made.id))).toBe(false);
    const at = bob.groupOf();
    const pairs = (): readonly string[] => [...(bob.slices.get(at)?.live.unheld.keys() ?? [])];
    expect(pairs()).toEqual([bob.chatWith(ann)]);
    // Before others that come later, however often it is refused.
    const slice = bob.slices.get(at);
    if (slice === undefined) throw new Error("no group");
    const unheld = new Map([...slice.live.unheld, [bob.chatWith(cy), 0] as const]);
    bob.slices.set(at, { ...slice, live: { ...slice.live, unheld } });
    await bring(bob, cy, page);
    expect(pairs()).toEqual([bob.chatWith(ann), bob.chatWith(cy)]);
    await fleet.pass(ASK_AGAIN_MS + 2_000);
    expect(logOf(bob).ops.has(bytesToHex(made.id))).toBe(true);
  });
});

describe("a member that asks again and again and confirms nothing", () => {
  /** Of Ann, whom Mallory, who takes nothing, asks with all operations she has. */
  async function asking(others: readonly string[]) {
    const { fleet, people } = await circle(["Ann", "Mallory", ...others]);
    const [ann, mallory] = people;
    if (!ann || !mallory) throw new Error("too few");
    const ask = async (): Promise<readonly Effect[]> => {
      const about = { id: asContentId(entropy(16)), time: { ms: fleet.now, counter: 0 } };
      const group = asGroupId(fromHex(groupIdIn(ann)));
      const content = encodeContent({ kind: "heads", ...about, group, heads: idsOf(logOf(ann)) });
      const device = bytesToHex(mallory.self.cert.deviceId);
      const told = { kind: "told", account: accountOf(mallory), device, content } as const;
      const row = { id: messageId(), from: ann.chatWith(mallory), to: ann.groupOf(), sequence: 1 };
      return ann.feed(ann.groupOf(), { kind: "post", row: { ...row, post: told } });
    };
    return { fleet, ann, mallory, ask };
  }

  it(`has ${SEALED_AGAIN_MAX} texts sealed each time, and more of them once in ASK_AGAIN_MS`, async () => {
    const { fleet, ann, mallory, ask } = await asking([]);
    fleet.offline.add(mallory);
    const sealed = async (): Promise<number> =>
      (await ask())
        .flatMap((one) => (one.kind === "commit" ? one.change.addPosts : []))
        .filter(({ post }) => post.kind === "release").length;
    for (let count = 0; count < SEALED_AGAIN_MAX; count++) await say(ann, `${count}`);
    await fleet.pass(1_000);
    for (let count = 0; count < 3; count++) expect(await sealed()).toBe(SEALED_AGAIN_MAX);
    await say(ann, "one more");
    await fleet.pass(1_000);
    expect([await sealed(), await sealed()]).toEqual([SEALED_AGAIN_MAX + 1, 0]);
    fleet.now += ASK_AGAIN_MS;
    expect([await sealed(), await sealed()]).toEqual([SEALED_AGAIN_MAX + 1, 0]);
    fleet.offline.delete(mallory);
    await mallory.feed(mallory.chatWith(ann), { kind: "hub", up: true });
    await fleet.pass(120_000);
    expect(read(mallory)).toHaveLength(SEALED_AGAIN_MAX + 1);
  });

  it("makes others deal one more chain in ASK_AGAIN_MS, and has what was sealed when it takes it", async () => {
    const others = Array.from({ length: SMALL_GROUP_MEMBERS_MAX }, (_, index) => `Person ${index}`);
    const { fleet, ann, mallory, ask: question } = await asking(others);
    const chain = (): string => {
      const { senders } = ann.slices.get(ann.groupOf())?.group ?? {};
      const chains = [...(senders?.values() ?? [])].flatMap(({ chain: own }) => own ?? []);
      return chains.map(({ chainId }) => bytesToHex(chainId)).join();
    };
    await say(ann, "taken by all");
    await fleet.pass(1_000);
    fleet.offline.add(mallory);
    await say(ann, "not by Mallory");
    await fleet.pass(1_000);
    const chains = new Set([chain()]);
    const ask = async (): Promise<void> => {
      await question();
      chains.add(chain());
    };
    for (let count = 0; count < 5; count++) await ask();
    expect(chains.size).toBe(2);
    fleet.now += ASK_AGAIN_MS;
    await ask();
    expect(chains.size).toBe(3);
    fleet.offline.delete(mallory);
    await mallory.feed(mallory.chatWith(ann), { kind: "hub", up: true });
    await fleet.pass(120_000);
    expect(read(mallory)).toEqual(["taken by all", "not by Mallory"]);
  });
});
