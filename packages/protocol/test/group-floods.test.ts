/** T-27: what one member fills of a group's log shuts nobody out who comes later (SPEC.md §11). */
import { type GroupLog, LOG_OPS_MAX, makeOp, pagesSince } from "@sotto/crypto";
import { ASK_AGAIN_MS, REPAIR_PATIENCE_MS } from "@sotto/protocol";
import { asDeviceId } from "@sotto/wire";
import { describe, expect, it } from "vitest";
import {
  accountOf,
  add,
  bring,
  circle,
  envOf,
  idsOf,
  logOf,
  read,
  remove,
  say,
  setLog,
} from "./circle.ts";
import { type Machine, start } from "./fleet.ts";

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

describe("a log that somebody filled while the account was not in the group", () => {
  async function filled() {
    const { fleet, people } = await circle(["Ann", "Bob", "Cy"]);
    const [ann, , cy] = people;
    if (ann === undefined || cy === undefined) throw new Error("too few");
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
    return { fleet, ann, cy, full };
  }

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

  it("is asked for from its beginning when only the end comes", async () => {
    const { fleet, ann, cy, full } = await filled();
    fleet.offline.add(cy);
    const heads = idsOf(logOf(ann));
    await add(ann, cy);
    await fleet.pass(ASK_AGAIN_MS);
    setLog(cy, full);
    await bring(cy, ann, pagesSince(logOf(ann), heads));
    expect(logOf(cy).ops.size).toBe(LOG_OPS_MAX);
    // What Ann told of all is lost.
    fleet.waiting.length = 0;
    fleet.offline.delete(cy);
    await cy.feed(cy.chatWith(ann), { kind: "hub", up: true });
    await fleet.pass(REPAIR_PATIENCE_MS + 2_000);
    expect(logOf(cy).heads).toEqual(logOf(ann).heads);
  });

  it("with a place left, or of a member, stays what it is", async () => {
    const { ann, cy, full } = await filled();
    const short = { ...full, ops: new Map([...full.ops].slice(0, -1)) };
    await add(ann, cy);
    const pages = pagesSince(logOf(ann), []);
    setLog(cy, short);
    await bring(cy, ann, pages);
    expect(logOf(cy).ops.size).toBe(LOG_OPS_MAX);
    setLog(ann, { ...full, state: logOf(ann).state });
    await bring(ann, cy, pages);
    expect(logOf(ann).ops.size).toBe(LOG_OPS_MAX);
  });
});
