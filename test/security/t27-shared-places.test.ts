/**
 * T-27: places that many share. One contact fills a person's device with people it made up, with groups, and a group's
 * log with what nobody can judge; somebody else's group arrives all the same, and its members find each other.
 */
import { nobleBackend } from "@sotto/crypto";
import { routeOf, type Slice, STRANGERS_MAX } from "@sotto/protocol";
import { expect, it } from "vitest";
import { accountOf, add, read, say } from "../../packages/protocol/test/circle.ts";
import { messageId } from "../../packages/protocol/test/fixture.ts";
import { createFleet, type Machine, start } from "../../packages/protocol/test/fleet.ts";

const fake = (value: number, digits: number): string => value.toString(16).padStart(digits, "0");

it("a group of a contact's arrives, and its members are met, while another contact floods", async () => {
  const fleet = createFleet();
  const person = async (name: string): Promise<Machine> => {
    const machine = await fleet.person(name);
    await start(machine);
    return machine;
  };
  const [ann, bob, dan, mal, puppet] = [
    await person("Ann"),
    await person("Bob"),
    await person("Dan"),
    await person("Mal"),
    await person("Puppet"),
  ];
  for (const [one, other] of [
    [ann, bob],
    [ann, dan],
    [mal, bob],
    [mal, puppet],
  ] as const) {
    await fleet.connect(one, other);
  }
  // Mal's group brings Bob one that Mal made up; from there on as many as Bob's device takes.
  await mal.begin({ kind: "start-group", id: messageId() });
  await add(mal, bob);
  await add(mal, puppet);
  await fleet.pass(2_000);
  const [found] = [...bob.slices.values()].filter(
    ({ conversation }) => conversation?.listed === false && conversation.peer.state === "open",
  );
  if (found?.conversation === undefined) throw new Error("nobody was introduced");
  expect(found.conversation.devices).toMatchObject({
    introducers: [accountOf(mal)],
    teller: accountOf(mal),
  });
  const flood = {
    id: messageId(),
    from: bob.groupOf(),
    to: `account:${fake(1, 40)}`,
    sequence: 1,
    post: {
      kind: "presented",
      by: accountOf(puppet),
      content: new Uint8Array(0),
      former: false,
      teller: accountOf(mal),
    },
  } as const;
  const slices = new Map<string, Slice>(bob.slices);
  let taken = 0;
  while (taken < STRANGERS_MAX && (await routeOf(flood, slices, nobleBackend)).kind === "begins") {
    slices.set(fake(++taken, 32), found);
  }
  expect(taken).toBe(STRANGERS_MAX / 2 - 1);
  // The same for everybody who comes from there, now and later.
  for (const [id, slice] of slices) if (!bob.slices.has(id)) bob.slices.set(`flood ${id}`, slice);
  await ann.begin({ kind: "start-group", id: messageId() });
  await add(ann, bob);
  await add(ann, dan);
  await fleet.pass(2_000);
  await say(ann, "from Ann");
  await fleet.pass(2_000);
  const inAnns = [...bob.slices.keys()].find((id) => bob.shown(id).includes("from Ann"));
  if (inAnns === undefined) throw new Error("Ann's group did not arrive");
  await bob.write(inAnns, "from Bob");
  await fleet.pass(2_000);
  await say(dan, "from Dan");
  await fleet.pass(2_000);
  expect(bob.shown(inAnns)).toEqual(["from Ann", "from Bob", "from Dan"]);
  expect(read(dan)).toEqual(["from Ann", "from Bob", "from Dan"]);
});
