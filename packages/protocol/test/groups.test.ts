/** Groups: everybody in them reads what is said, and nobody else (SPEC.md §11). */
import { accountIdOf } from "@sotto/crypto";
import { bytesToHex } from "@sotto/wire";
import { describe, expect, it } from "vitest";
import { messageId } from "./fixture.ts";
import { createFleet, type Fleet, type Machine, start } from "./fleet.ts";

const accountOf = (machine: Machine): string => bytesToHex(accountIdOf(machine.self.cert.rootKey));

const add = (admin: Machine, other: Machine): Promise<unknown> =>
  admin.feed(admin.groupOf(), { kind: "group-add", account: accountOf(other) });

const say = (machine: Machine, text: string): Promise<string> =>
  machine.write(machine.groupOf(), text);

const read = (machine: Machine): readonly string[] => machine.shown(machine.groupOf());

/** Ann knows everybody; the others do not know each other. All are in Ann's group. */
async function circle(...names: readonly string[]): Promise<{
  readonly fleet: Fleet;
  readonly people: readonly Machine[];
}> {
  const fleet = createFleet();
  const people: Machine[] = [];
  for (const name of names) {
    const machine = await fleet.person(name);
    await start(machine);
    people.push(machine);
  }
  const [ann, ...others] = people;
  if (ann === undefined) throw new Error("nobody");
  for (const other of others) await fleet.connect(ann, other);
  await ann.begin({ kind: "start-group", id: messageId() });
  for (const other of others) {
    await add(ann, other);
    await fleet.settle();
  }
  await fleet.pass(1_000);
  return { fleet, people };
}

async function three(): Promise<{
  readonly fleet: Fleet;
  readonly ann: Machine;
  readonly bob: Machine;
  readonly cy: Machine;
}> {
  const { fleet, people } = await circle("Ann", "Bob", "Cy");
  const [ann, bob, cy] = people;
  if (ann === undefined || bob === undefined || cy === undefined) throw new Error("too few");
  return { fleet, ann, bob, cy };
}

describe("three people, of whom two do not know each other,", () => {
  it("all read what each of them says", async () => {
    const { fleet, ann, bob, cy } = await three();
    const said = await say(ann, "welcome");
    await fleet.pass(1_000);
    await say(bob, "thank you");
    await fleet.pass(1_000);
    await say(cy, "hello");
    await fleet.pass(1_000);
    for (const one of [ann, bob, cy]) expect(read(one)).toEqual(["welcome", "thank you", "hello"]);
    expect(ann.status(ann.groupOf(), said)).toBe("delivered");
    for (const one of [ann, bob, cy]) {
      expect([...one.posts.values()].map(({ post, to }) => [post.kind, to])).toEqual([]);
      expect(one.stored(one.groupOf())).toEqual([]);
    }
  });
});
