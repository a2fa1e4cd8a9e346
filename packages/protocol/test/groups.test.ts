/** Groups: everybody in them reads what is said, and nobody else (SPEC.md §11). */
import { accountIdOf } from "@sotto/crypto";
import { nodeBackend } from "@sotto/engines/node";
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

/** Each a single round of waking everybody. */
async function seconds(fleet: Fleet, count: number): Promise<void> {
  for (let passed = 0; passed < count; passed++) {
    fleet.now += 999;
    await fleet.pass(1);
  }
}

/** Ann knows everybody; the others do not know each other. All are in Ann's group. */
async function circle(
  names: readonly string[],
  fleet = createFleet(),
): Promise<{
  readonly fleet: Fleet;
  readonly people: readonly Machine[];
}> {
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
  await seconds(fleet, 1);
  return { fleet, people };
}

async function three(): Promise<{
  readonly fleet: Fleet;
  readonly ann: Machine;
  readonly bob: Machine;
  readonly cy: Machine;
}> {
  const { fleet, people } = await circle(["Ann", "Bob", "Cy"]);
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

const remove = (admin: Machine, other: Machine): Promise<unknown> =>
  admin.feed(admin.groupOf(), { kind: "group-remove", account: accountOf(other) });

const isMember = (machine: Machine): boolean => {
  const peer = machine.slices.get(machine.groupOf())?.conversation?.peer;
  return peer?.state === "group" && peer.member;
};

describe("a member", () => {
  it("who does not know another one has a pair with it that is not shown", async () => {
    const { fleet, bob, cy } = await three();
    const pairs = [...bob.slices.values()].filter(
      ({ conversation }) => conversation?.listed === false,
    );
    expect(pairs).toHaveLength(1);
    const id = pairs[0]?.conversation?.id ?? "";
    expect(bob.peerIn(id).contact.cert).toEqual(cy.self.cert);
    expect(bob.peerIn(id).contact.name).toBe("Cy");
    // Nor is what is said over it outside the group.
    await bob.write(id, "psst");
    await fleet.pass(1_000);
    expect([...cy.messages.values()].map(({ text }) => text)).toEqual([]);
    expect(cy.dropped).toContain("unexpected");
  });

  it("who was removed reads nothing from the next message on, and cannot write", async () => {
    const { fleet, ann, bob, cy } = await three();
    await remove(ann, cy);
    await say(ann, "without Cy");
    await fleet.pass(1_000);
    fleet.released(bob);
    await say(bob, "indeed");
    await fleet.settle();
    expect(fleet.released(bob).filter(({ to }) => to === cy)).toEqual([]);
    await fleet.pass(1_000);
    expect(read(cy)).toEqual([]);
    expect(read(ann)).toEqual(["without Cy", "indeed"]);
    expect(isMember(cy)).toBe(false);
    await say(cy, "let me in");
    await fleet.pass(1_000);
    expect(read(cy)).toEqual([]);
    expect(cy.dropped).toContain("unexpected");
  });

  it("who was removed and does not know it writes to nobody", async () => {
    const { fleet, ann, bob, cy } = await three();
    fleet.offline.add(cy);
    await remove(ann, cy);
    await fleet.pass(1_000);
    await say(cy, "still here");
    await fleet.pass(1_000);
    expect(read(ann)).toEqual([]);
    expect(read(bob)).toEqual([]);
    expect(bob.dropped).toContain("unlisted");
  });

  it("who leaves reads nothing more, and what was said before stays", async () => {
    const { fleet, ann, bob, cy } = await three();
    await say(ann, "before");
    await fleet.pass(1_000);
    await cy.feed(cy.groupOf(), { kind: "group-leave" });
    await fleet.pass(1_000);
    await say(bob, "after");
    await fleet.pass(1_000);
    expect(read(cy)).toEqual(["before"]);
    expect(read(ann)).toEqual(["before", "after"]);
    expect(ann.membersIn(ann.groupOf())).toEqual([accountOf(ann), accountOf(bob)].toSorted());
  });

  it("who comes later reads what is said from then on", async () => {
    const { fleet, ann, bob, cy } = await three();
    const dan = await fleet.person("Dan");
    await start(dan);
    await fleet.connect(ann, dan);
    await say(bob, "before Dan");
    await fleet.pass(1_000);
    await add(ann, dan);
    await fleet.pass(2_000);
    await say(cy, "welcome Dan");
    await fleet.pass(1_000);
    await say(dan, "thanks");
    await fleet.pass(1_000);
    expect(read(dan)).toEqual(["welcome Dan", "thanks"]);
    for (const one of [ann, bob, cy])
      expect(read(one)).toEqual(["before Dan", "welcome Dan", "thanks"]);
  });

  it("who may not, adds and removes nobody", async () => {
    const { fleet, ann, bob, cy } = await three();
    await remove(bob, cy);
    await fleet.settle();
    expect(bob.dropped).toContain("unexpected");
    expect(ann.membersIn(ann.groupOf())).toHaveLength(3);
    const role = { kind: "group-role", account: accountOf(bob), role: "admin" } as const;
    await ann.feed(ann.groupOf(), role);
    await fleet.pass(1_000);
    await remove(bob, cy);
    await fleet.pass(1_000);
    expect(ann.membersIn(ann.groupOf())).toHaveLength(2);
    expect(isMember(cy)).toBe(false);
  });
});

describe("several admins at once", () => {
  it("add and remove beside each other, and all come to the same members", async () => {
    const { fleet, ann, bob, cy } = await three();
    const role = { kind: "group-role", account: accountOf(bob), role: "admin" } as const;
    await ann.feed(ann.groupOf(), role);
    const [dan, eve] = [await fleet.person("Dan"), await fleet.person("Eve")];
    for (const one of [dan, eve]) await start(one);
    await fleet.connect(ann, dan);
    await fleet.connect(bob, eve);
    await fleet.pass(1_000);
    // Neither hears of what the other does.
    fleet.offline.add(ann).add(bob);
    await add(ann, dan);
    await add(bob, eve);
    await remove(bob, cy);
    await fleet.pass(1_000);
    fleet.offline.delete(ann);
    fleet.offline.delete(bob);
    await fleet.pass(5_000);
    const all = [ann, bob, dan, eve];
    for (const one of all) {
      expect(one.membersIn(one.groupOf()), one.name).toEqual(all.map(accountOf).toSorted());
    }
    for (const one of all) {
      await say(one, `from ${one.name}`);
      await fleet.pass(1_000);
    }
    for (const one of all) {
      expect(read(one), one.name).toEqual(["from Ann", "from Bob", "from Dan", "from Eve"]);
    }
    expect(read(cy)).toEqual([]);
  });
});

describe("several devices of a member", () => {
  it("all read and write, whether they were there before the group or came later", async () => {
    const { fleet, ann, bob, cy } = await three();
    const phone = await fleet.sibling(bob, "Bob's phone");
    await start(phone);
    await fleet.link(bob, phone);
    await fleet.pass(240_000);
    await say(ann, "to both of Bob's");
    await fleet.pass(2_000);
    await say(phone, "from the phone");
    await fleet.pass(2_000);
    await say(bob, "from the first one");
    await fleet.pass(2_000);
    await say(cy, "to all");
    await fleet.pass(2_000);
    const all = ["to both of Bob's", "from the phone", "from the first one", "to all"];
    for (const one of [ann, bob, cy, phone]) expect(read(one), one.name).toEqual(all);
    const own = [...bob.messages.values()].find(({ text }) => text === "from the phone");
    expect(own).toMatchObject({ own: true, author: accountOf(bob) });
  });

  it("that were removed read nothing from the next message on", async () => {
    const { fleet, ann, bob } = await three();
    const phone = await fleet.sibling(bob, "Bob's phone");
    await start(phone);
    await fleet.link(bob, phone);
    await fleet.pass(240_000);
    await bob.feed(bob.notes, {
      kind: "remove-device",
      device: bytesToHex(phone.self.cert.deviceId),
    });
    await fleet.pass(1_000);
    fleet.released(ann);
    await say(ann, "not for the phone");
    await fleet.pass(2_000);
    expect(fleet.released(ann).filter(({ to }) => to === phone)).toEqual([]);
    expect(read(phone)).toEqual([]);
    expect(read(bob)).toEqual(["not for the phone"]);
  });
});

describe("when things go wrong", () => {
  it("messages that overtake their operations are kept until those come", async () => {
    const { fleet, ann, bob, cy } = await three();
    const dan = await fleet.person("Dan");
    await start(dan);
    await fleet.connect(ann, dan);
    // What Ann tells Cy lies at the relay; Bob writes meanwhile under what Ann told him.
    await add(ann, dan);
    for (let round = 0; round < 3; round++) await fleet.settleFor((one) => one.to !== cy);
    await say(bob, "under heads that Cy does not know");
    await fleet.settleFor(({ from, to }) => from === bob && to === cy);
    expect(read(cy)).toEqual([]);
    const held = [...(cy.slices.get(cy.groupOf())?.group?.senders.values() ?? [])];
    expect(held.flatMap((row) => row.held)).toHaveLength(1);
    cy.restart();
    await fleet.pass(1_000);
    expect(read(cy)).toEqual(["under heads that Cy does not know"]);
    expect(bob.stored(bob.groupOf())).toEqual([]);
  });

  it("a message that came twice is shown once, and its receipt is given again", async () => {
    const { fleet, ann, bob, cy } = await three();
    const said = await say(ann, "once");
    fleet.doubled = true;
    await fleet.pass(1_000);
    for (const one of [ann, bob, cy]) expect(read(one)).toEqual(["once"]);
    expect(ann.status(ann.groupOf(), said)).toBe("delivered");
  });

  it("a lost chain record heals by itself", async () => {
    const { fleet, ann, bob, cy } = await three();
    const said = await say(ann, "cannot be opened");
    await fleet.settleFor(({ to }) => to !== bob);
    // The key has arrived, and is gone again before the message comes.
    const [key, message] = fleet.waiting.filter(({ to }) => to === bob);
    expect(message?.bytes[0]).toBe(5);
    await fleet.settleFor((blob) => blob === key);
    bob.forgetChains(bob.groupOf());
    await fleet.settle();
    expect(read(bob)).toEqual([]);
    await say(ann, "can be");
    await fleet.pass(60_000);
    expect(read(bob)).toEqual(["cannot be opened", "can be"]);
    expect(read(cy)).toEqual(["cannot be opened", "can be"]);
    expect(ann.status(ann.groupOf(), said)).toBe("delivered");
  });

  it("a store that lost the log and all chains gets them again", async () => {
    const { fleet, ann, bob, cy } = await three();
    await say(ann, "before");
    await fleet.pass(1_000);
    bob.forget(bob.groupOf());
    const said = await say(ann, "to somebody who knows nothing");
    await fleet.pass(120_000);
    await say(cy, "more");
    await fleet.pass(120_000);
    expect(read(bob).toSorted()).toEqual(["before", "more", "to somebody who knows nothing"]);
    expect(ann.status(ann.groupOf(), said)).toBe("delivered");
    await say(bob, "back");
    await fleet.pass(1_000);
    expect(read(ann)).toContain("back");
  });

  it("nothing is lost or shown twice whenever a device fails between its commit and what follows", async () => {
    const { fleet, ann, bob, cy } = await three();
    let count = 0;
    fleet.crash = () => ++count % 3 === 0;
    const dan = await fleet.person("Dan");
    fleet.crash = undefined;
    await start(dan);
    await fleet.connect(ann, dan);
    fleet.crash = () => ++count % 3 === 0;
    await say(ann, "1");
    await fleet.pass(2_000);
    await add(ann, dan);
    await fleet.pass(2_000);
    await say(bob, "2");
    await fleet.pass(2_000);
    await remove(ann, cy);
    await fleet.pass(2_000);
    await say(dan, "3");
    await fleet.pass(2_000);
    fleet.crash = undefined;
    await fleet.pass(8_000_000);
    expect(read(ann)).toEqual(["1", "2", "3"]);
    expect(read(bob)).toEqual(["1", "2", "3"]);
    expect(read(cy)).toEqual(["1", "2"]);
    expect(read(dan)).toEqual(["2", "3"]);
  });
});

it("twenty people talk", { timeout: 60_000 }, async () => {
  const names = Array.from({ length: 20 }, (_, index) => `person ${index}`);
  const { fleet, people } = await circle(names, createFleet(nodeBackend));
  for (const one of people) expect(one.membersIn(one.groupOf())).toHaveLength(20);
  const [first, , , , last] = people;
  if (first === undefined || last === undefined) throw new Error("too few");
  const said = await say(first, "hello all");
  await seconds(fleet, 1);
  await say(last, "hello");
  await seconds(fleet, 1);
  for (const one of people) expect(read(one)).toEqual(["hello all", "hello"]);
  expect(first.status(first.groupOf(), said)).toBe("delivered");
});
