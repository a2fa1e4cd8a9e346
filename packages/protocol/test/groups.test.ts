/** Groups: everybody in them reads what is said, and nobody else (SPEC.md §11). */
import {
  accountIdOf,
  type GroupLog,
  makeOp,
  nobleBackend,
  pagesSince,
  SMALL_GROUP_MEMBERS_MAX,
} from "@sotto/crypto";
import {
  ANSWER_PAGES_MAX,
  ANSWERS_MAX,
  ASK_AGAIN_MS,
  type Effect,
  GROUP_SENT_MAX,
  groupAddress,
  GROUPS_HERE_MAX,
  GROUPS_MAX,
  INTRODUCERS_MAX,
  INTRODUCTIONS_MAX,
  OVERTAKEN_MS,
  type Post,
  type PostRow,
  PRESENTED_MAX,
  REFUSED_GROUPS_MAX,
  UNPRESENTED_MAX,
  routeOf,
  type Slice,
  REPAIR_PATIENCE_MS,
  REPAIR_PAUSE_MS,
  type SenderRow,
  TOLD_MAX,
  UNHELD_PAIRS_MAX,
  STRANGERS_MAX,
  UNLISTED_GROUPS_MAX,
} from "@sotto/protocol";
import {
  asContentId,
  asDeviceId,
  asGroupId,
  asOpId,
  bytesToHex,
  encodeContent,
  GROUP_ENVELOPE_TYPE,
  type OpId,
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
  seconds,
  setLog,
} from "./circle.ts";
import { entropy, messageId } from "./fixture.ts";
import { type Fleet, type Machine, start } from "./fleet.ts";

/** Ann and Bob are admins; Bob knows Dan, who is not in the group. */
async function twoAdmins(): Promise<Awaited<ReturnType<typeof three>> & { readonly dan: Machine }> {
  const all = await three();
  const { fleet, ann, bob } = all;
  await ann.feed(ann.groupOf(), { kind: "group-role", account: accountOf(bob), role: "admin" });
  const dan = await fleet.person("Dan");
  await start(dan);
  await fleet.connect(bob, dan);
  await fleet.pass(1_000);
  return { ...all, dan };
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

it("what is said to a group goes to each member's device in the queue that only this device writes to", async () => {
  const { fleet, ann, bob, cy } = await three();
  const taken: { readonly to: Machine; readonly at: string }[] = [];
  fleet.lost = ({ to, conversation, bytes }) => {
    if (bytes[0] === GROUP_ENVELOPE_TYPE) taken.push({ to, at: conversation });
    return false;
  };
  await say(ann, "one each");
  await fleet.pass(1_000);
  expect(taken.map(({ to }) => to.name).toSorted()).toEqual(["Bob", "Cy"]);
  const queues = [...ann.slices.values(), ...bob.slices.values(), ...cy.slices.values()].flatMap(
    ({ conversation }) => {
      const peer = conversation?.peer;
      return peer?.state === "open" ? [peer.queue.queueId] : [];
    },
  );
  // Three pairs: a queue for each end, and none that two write to.
  expect(new Set(queues.map(bytesToHex)).size).toBe(6);
  for (const { to, at } of taken) {
    const here = to.slices.get(at)?.conversation?.peer;
    const there = ann.slices.get(ann.chatWith(to))?.conversation?.peer;
    if (here?.state !== "open" || there?.state !== "open") throw new Error("no pair");
    expect(there.contact.addresses).toEqual(here.queue.addresses);
  }
});

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
    const said = await bob.write(id, "psst");
    await fleet.pass(1_000);
    expect([...cy.messages.values()].map(({ text }) => text)).toEqual([]);
    expect(cy.dropped).toContain("unexpected");
    // Nor receipted: an own device of Cy's may yet say that she knows him.
    expect(bob.stored(id).map(({ awaits }) => awaits)).toEqual([said]);
  });

  it("cannot keep a message from others by using its id for one of its own", async () => {
    const { fleet, ann, bob, cy } = await three();
    const said = await say(ann, "I do not agree");
    await fleet.settleFor(({ to }) => to === cy);
    expect(read(cy)).toEqual(["I do not agree"]);
    cy.messages.delete(`${cy.groupOf()}/${said}`);
    await cy.feed(cy.groupOf(), { kind: "send-text", id: said, text: "anything" });
    await fleet.settleFor(({ from }) => from === cy);
    expect(read(bob)).toEqual(["anything"]);
    await fleet.pass(5_000);
    expect(read(bob).toSorted()).toEqual(["I do not agree", "anything"]);
    expect(ann.status(ann.groupOf(), said)).toBe("delivered");
    expect(bob.messages.size).toBe(2);
  });

  it("whose clock is at the end of time takes nobody else's there", async () => {
    const { fleet, ann, bob, cy } = await three();
    const at = cy.slices.get(cy.groupOf())!;
    const clock = { ms: 2 ** 47, counter: 0xffe0 };
    cy.slices.set(cy.groupOf(), { ...at, conversation: { ...at.conversation!, clock } });
    await say(cy, "last for ever");
    await fleet.pass(1_000);
    for (let time = 0; time < 20; time++) {
      await say(ann, `still here ${time}`);
      await say(bob, `so am I ${time}`);
      await fleet.pass(1_000);
    }
    for (const one of [ann, bob]) {
      expect(read(one)).toEqual(
        expect.arrayContaining(["last for ever", "still here 19", "so am I 19"]),
      );
    }
    await remove(ann, cy);
    await fleet.pass(2_000);
    expect(bob.membersIn(bob.groupOf())).toHaveLength(2);
  });

  it("who is known from groups alone has all its texts taken once an own device says that the person knows it", async () => {
    const { fleet, bob, cy } = await three();
    const phone = await fleet.sibling(cy, "Cy's phone");
    await start(phone);
    await fleet.link(cy, phone);
    await fleet.pass(240_000);
    const unlisted = (machine: Machine): string =>
      [...machine.slices].find(
        ([, { conversation }]) =>
          conversation?.listed === false && conversation.parent === undefined,
      )?.[0] ?? "";
    const atBob = unlisted(bob);
    expect(bob.pairsOf(atBob)).toHaveLength(1);
    for (const machine of [cy, phone]) await machine.write(unlisted(machine), machine.name);
    await fleet.pass(1_000);
    expect(bob.shown(atBob)).toEqual([]);
    const tab = await fleet.sibling(bob, "Bob's tablet");
    await start(tab);
    await fleet.link(bob, tab);
    await fleet.connect(tab, cy);
    await fleet.pass(240_000);
    await say(bob, "is anybody there?");
    await fleet.pass(3_600_000);
    expect(bob.slices.get(atBob)?.conversation?.listed).toBe(true);
    expect(bob.shown(atBob).toSorted()).toEqual(["Cy", "Cy's phone"]);
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

  it("who was removed and could not be told hears it, and nothing later, from whoever does not take its message", async () => {
    const { fleet, ann, bob, cy } = await three();
    const dan = await fleet.person("Dan");
    await start(dan);
    await fleet.connect(ann, dan);
    fleet.lost = ({ from, to }) => from === ann && to === cy;
    await remove(ann, cy);
    await add(ann, dan);
    await fleet.pass(1_000);
    expect(isMember(cy)).toBe(true);
    const said = await say(cy, "still here");
    await fleet.pass(1_000);
    expect(isMember(cy)).toBe(false);
    expect(cy.status(cy.groupOf(), said)).toBe("failed");
    expect(bob.membersIn(bob.groupOf())).toContain(accountOf(dan));
    expect(cy.membersIn(cy.groupOf())).not.toContain(accountOf(dan));
    const waiting = [...cy.slices.keys()].flatMap((id) => cy.stored(id));
    expect(waiting.filter(({ group }) => group !== undefined)).toEqual([]);
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

it("what a removed member has not taken is not sent to it again", async () => {
  const { fleet, ann, cy } = await three();
  fleet.offline.add(cy);
  await say(ann, "before the removal");
  await fleet.pass(1_000);
  const waiting = () => ann.stored(ann.chatWith(cy)).filter(({ group }) => group !== undefined);
  expect(waiting()).toHaveLength(1);
  await remove(ann, cy);
  await fleet.pass(1_000);
  expect(waiting()).toEqual([]);
  expect(ann.stored(ann.groupOf())).toEqual([]);
});

it("ways pass only between people who were introduced to each other", async () => {
  const { fleet, ann, bob, cy } = await three();
  const dan = await fleet.person("Dan");
  await start(dan);
  await fleet.connect(ann, dan);
  await fleet.pass(1_000);
  const offerTo = async (target: Machine): Promise<number> => {
    const content = {
      kind: "offer",
      id: asContentId(entropy(16)),
      time: { ms: fleet.now, counter: 0 },
      account: accountIdOf(target.self.cert.rootKey),
      device: target.self.cert.deviceId,
      cert: bob.self.cert,
      way: new Uint8Array(100),
    } as const;
    const post = {
      kind: "send",
      awaits: bytesToHex(content.id),
      content: encodeContent(content),
    } as const;
    const atBob = bob.chatWith(ann);
    fleet.released(ann);
    const row = { id: messageId(), from: atBob, to: atBob, sequence: 1, post };
    await bob.feed(atBob, { kind: "post", row });
    await fleet.settle();
    return fleet.released(ann).filter(({ to }) => to === target).length;
  };
  expect(await offerTo(cy)).toBe(1);
  expect(await offerTo(dan)).toBe(0);
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

  it("who remove each other are both out, and all know it", async () => {
    const { fleet, ann, bob, cy } = await twoAdmins();
    fleet.offline.add(ann).add(bob);
    await remove(ann, bob);
    await remove(bob, ann);
    await fleet.pass(1_000);
    fleet.offline.delete(ann);
    fleet.offline.delete(bob);
    await fleet.pass(5_000);
    for (const one of [ann, bob, cy]) {
      expect(one.membersIn(one.groupOf()), one.name).toEqual([accountOf(cy)]);
    }
  });

  it("tell whom one of them added who had no right to it any more", async () => {
    const { fleet, ann, bob, cy, dan } = await twoAdmins();
    fleet.offline.add(ann).add(bob);
    await remove(ann, bob);
    await add(bob, dan);
    fleet.offline.delete(bob);
    await fleet.pass(1_000);
    fleet.offline.delete(ann);
    await fleet.pass(5_000);
    for (const one of [ann, bob, cy, dan]) {
      const members = [ann, cy].map(accountOf).toSorted();
      expect(one.membersIn(one.groupOf()), one.name).toEqual(members);
    }
  });

  it("are introduced by who added one of them and left", async () => {
    const { fleet, ann, bob, cy, dan } = await twoAdmins();
    await add(bob, dan);
    await bob.feed(bob.groupOf(), { kind: "group-leave" });
    await fleet.pass(5_000);
    await say(ann, "to who came");
    await fleet.pass(5_000);
    expect(read(dan)).toEqual(["to who came"]);
    // Nothing more is taken of who left once the two have met; of a member it is.
    const atAnn = [...ann.slices].find(([, { conversation }]) => conversation?.listed === false);
    const [id, slice] = atAnn ?? [];
    const conversation = slice?.conversation;
    if (id === undefined || slice === undefined || conversation?.peer.state !== "open") {
      throw new Error("unmet");
    }
    const met = conversation.peer;
    const tell = async (by: Machine, peer = met): Promise<readonly string[]> => {
      const devices = { ...conversation.devices, introducers: [] };
      const record = { ...conversation, devices, peer };
      ann.slices.set(id, { ...slice, self: ann.self, conversation: record });
      const about = { id: asContentId(entropy(16)), time: { ms: 1, counter: 0 } };
      const group = asGroupId(fromHex(groupIdIn(ann)));
      const { cert } = dan.self;
      const member = {
        kind: "member",
        ...about,
        group,
        name: "Dan",
        cert,
        list: undefined,
      } as const;
      const device = bytesToHex(by.self.cert.deviceId);
      const content = encodeContent(member);
      const told = { kind: "told", account: accountOf(by), device, content } as const;
      const row = { id: messageId(), from: ann.chatWith(by), to: ann.groupOf(), sequence: 1 };
      await ann.feed(ann.groupOf(), { kind: "post", row: { ...row, post: told } });
      await fleet.settle();
      return ann.slices.get(id)?.conversation?.devices.introducers ?? [];
    };
    expect(await tell(bob)).toEqual([]);
    expect(await tell(cy)).toEqual([accountOf(cy)]);
    expect(await tell(bob, { ...met, sessions: [] })).toEqual([accountOf(bob)]);
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

  it("tell each other that the account was removed", async () => {
    const { fleet, ann, bob } = await three();
    const phone = await fleet.sibling(bob, "Bob's phone");
    await start(phone);
    await fleet.link(bob, phone);
    await fleet.pass(240_000);
    fleet.lost = ({ from, to }) => from === ann && to === phone;
    await remove(ann, bob);
    await fleet.pass(1_000);
    expect([isMember(bob), isMember(phone)]).toEqual([false, false]);
  });

  it("tell each other that the account is in the group again", async () => {
    const { fleet, ann, bob } = await three();
    const phone = await fleet.sibling(bob, "Bob's phone");
    await start(phone);
    await fleet.link(bob, phone);
    await fleet.pass(240_000);
    await remove(ann, bob);
    await fleet.pass(1_000);
    expect([isMember(bob), isMember(phone)]).toEqual([false, false]);
    // Whoever adds them again reaches one of them, and nobody else does the other.
    fleet.lost = ({ from, to }) => from !== bob && to === phone;
    await add(ann, bob);
    await fleet.pass(1_000);
    expect([isMember(bob), isMember(phone)]).toEqual([true, true]);
  });

  it("let go of what one of them wrote before it heard that the account was removed", async () => {
    const { fleet, ann, bob } = await three();
    const phone = await fleet.sibling(bob, "Bob's phone");
    await start(phone);
    await fleet.link(bob, phone);
    await fleet.pass(240_000);
    fleet.offline.add(bob);
    await remove(ann, bob);
    await fleet.pass(1_000);
    await say(bob, "still here");
    fleet.offline.delete(bob);
    await fleet.pass(1_000);
    expect([isMember(bob), isMember(phone)]).toEqual([false, false]);
    expect(read(phone)).toEqual([]);
    const waiting = [...bob.slices.keys()].flatMap((id) => bob.stored(id));
    expect(waiting.filter(({ group }) => group !== undefined)).toEqual([]);
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

  it("that were removed can do nothing for the account any more, in any of its groups", async () => {
    const { fleet, people } = await circle(["Ann", "Bob"]);
    const [ann, bob] = people;
    if (ann === undefined || bob === undefined) throw new Error("too few");
    const [phone, eve] = [await fleet.sibling(ann, "Ann's phone"), await fleet.person("Eve")];
    await start(phone);
    await start(eve);
    await fleet.link(ann, phone);
    await fleet.pass(240_000);
    const stolen = logOf(phone);
    const device = bytesToHex(phone.self.cert.deviceId);
    await ann.feed(ann.notes, { kind: "remove-device", device });
    await fleet.pass(1_000);
    for (const one of [ann, bob]) {
      expect(logOf(one).state.revoked, one.name).toEqual(new Set([`${accountOf(ann)}/${device}`]));
    }
    // Whoever has it signs on, as if it had not heard.
    const account = accountIdOf(eve.self.cert.rootKey);
    const made = await makeOp(stolen, phone.self, { kind: "add", account }, envOf(fleet.now));
    if (!made.ok) throw new Error(made.reason);
    await bring(bob, ann, pagesSince(made.log, idsOf(stolen)));
    expect(logOf(bob).ops.has(bytesToHex(made.id))).toBe(true);
    expect(logOf(bob).state.members.has(accountOf(eve))).toBe(false);
  });

  it.each(["an operation", "a text"])(
    "that were removed keep nobody from writing by %s on top of what only they had",
    async (shown) => {
      const { fleet, people } = await circle(["Ann", "Bob"]);
      const [ann, bob] = people;
      if (ann === undefined || bob === undefined) throw new Error("too few");
      const phone = await fleet.sibling(ann, "Ann's phone");
      await start(phone);
      await fleet.link(ann, phone);
      await fleet.pass(240_000);
      const rotate = async (log: GroupLog) => {
        const made = await makeOp(log, phone.self, { kind: "rotateTopic" }, envOf(fleet.now));
        if (!made.ok) throw new Error(made.reason);
        return made;
      };
      const lost = await rotate(logOf(phone));
      fleet.offline.add(phone);
      if (shown === "a text") {
        setLog(phone, lost.log);
        await say(phone, "under it");
        await fleet.settleFor(({ from }) => from === phone);
      } else await bring(bob, ann, pagesSince((await rotate(lost.log)).log, [lost.id]));
      const text = await say(bob, "to Ann");
      await fleet.pass(1_000);
      expect(bob.status(bob.groupOf(), text)).toBe("queued");
      const device = bytesToHex(phone.self.cert.deviceId);
      await ann.feed(ann.notes, { kind: "remove-device", device });
      await fleet.pass(1_000);
      expect(bob.status(bob.groupOf(), text)).toBe("delivered");
      await say(ann, "to Bob");
      await fleet.pass(1_000);
      for (const one of [ann, bob]) expect(read(one)).toEqual(["to Ann", "to Bob"]);
    },
  );
});

/** Another group of that machine's: its id, and the record's. */
async function found(machine: Machine): Promise<{ readonly group: string; readonly id: string }> {
  const id = messageId();
  await machine.begin({ kind: "start-group", id });
  const peer = machine.slices.get(id)?.conversation?.peer;
  if (peer?.state !== "group") throw new Error("no group");
  return { group: peer.group, id };
}

const addTo = (machine: Machine, id: string, other: Machine): Promise<unknown> =>
  machine.feed(id, { kind: "group-add", account: accountOf(other) });

const groupsShownTo = (machine: Machine): readonly string[] =>
  [...machine.slices.values()].flatMap(({ conversation }) =>
    conversation?.peer.state === "group" && conversation.listed ? [conversation.peer.group] : [],
  );

describe("a group of somebody known from another group alone", () => {
  it("is not shown to whom it brings in, and is once a contact says something in it", async () => {
    const { fleet, ann, bob, cy } = await three();
    const { group, id } = await found(bob);
    await addTo(bob, id, cy);
    await fleet.pass(2_000);
    await bob.write(id, "buy now");
    await fleet.pass(60_000);
    expect(groupsShownTo(cy)).toEqual([groupIdIn(ann)]);
    expect(cy.dropped).toContain("unlisted");
    expect([...cy.messages.values()]).toEqual([]);
    await addTo(bob, id, ann);
    await fleet.pass(2_000);
    // A contact of Ann's may bring her in; and she knows Cy.
    expect(groupsShownTo(ann)).toContain(group);
    await ann.write(ann.groupOf(group), "what is this?");
    await fleet.pass(60_000);
    expect(groupsShownTo(cy)).toContain(group);
  });

  it("is asked for when an own device says that the person knows them", async () => {
    const { fleet, bob, cy } = await three();
    const { group, id } = await found(bob);
    await addTo(bob, id, cy);
    await fleet.pass(2_000);
    expect(groupsShownTo(cy)).not.toContain(group);
    const tab = await fleet.sibling(cy, "Cy's tablet");
    await start(tab);
    await fleet.connect(tab, bob);
    await fleet.link(cy, tab);
    await fleet.pass(240_000);
    expect(groupsShownTo(cy)).toContain(group);
    expect(cy.membersIn(cy.groupOf(group))).toHaveLength(2);
  });

  it("is asked for at the next word in it after they were met by an invite", async () => {
    const { fleet, bob, cy } = await three();
    const { group, id } = await found(bob);
    await addTo(bob, id, cy);
    await bob.write(id, "not for strangers");
    await fleet.pass(2_000);
    await fleet.connect(bob, cy);
    await fleet.pass(2_000);
    expect(groupsShownTo(cy)).not.toContain(group);
    await bob.write(id, "for friends");
    await fleet.pass(120_000);
    expect(groupsShownTo(cy)).toContain(group);
    await fleet.pass(7_200_000);
    expect(cy.shown(cy.groupOf(group))).toEqual(["not for strangers", "for friends"]);
  });

  it("costs no question, however often it is told of", async () => {
    const { fleet, bob, cy } = await three();
    const { id } = await found(bob);
    await addTo(bob, id, cy);
    await fleet.pass(2_000);
    fleet.released(cy);
    for (let time = 0; time < 3; time++) {
      await bob.write(id, "buy now");
      await fleet.pass(10_000);
    }
    const asked = [...cy.slices.keys()].flatMap((one) => cy.stored(one));
    expect(asked).toEqual([]);
    expect(groupsShownTo(cy)).toHaveLength(1);
  });
});

describe("a removed member", () => {
  it("has what it makes up afterwards taken by nobody, and members may bring what it did before", async () => {
    const { fleet, ann, bob, cy } = await three();
    const before = logOf(cy);
    await remove(ann, cy);
    await fleet.pass(1_000);
    const device = asDeviceId(new Uint8Array(8).fill(7));
    const made = await makeOp(before, cy.self, { kind: "revoke", device }, envOf(fleet.now));
    if (!made.ok) throw new Error(made.reason);
    const pages = pagesSince(made.log, idsOf(before));
    const operations = logOf(ann).ops.size;
    await bring(ann, cy, pages);
    expect(logOf(ann).ops.size).toBe(operations);
    await bring(ann, bob, pages);
    expect(logOf(ann).ops.has(bytesToHex(made.id))).toBe(true);
  });
});

it("what waits for an account goes from every pair with it once the group lets go of it", async () => {
  const { fleet, ann, bob } = await three();
  const phone = await fleet.sibling(ann, "Ann's phone");
  await start(phone);
  await fleet.link(ann, phone);
  await fleet.pass(240_000);
  fleet.offline.add(bob);
  await say(bob, "still here");
  await fleet.pass(1_000);
  const waiting = (): readonly string[] =>
    [...bob.slices.keys()].filter((id) => bob.stored(id).some(({ group }) => group !== undefined));
  const pairs = waiting();
  expect(pairs).toContain(bob.chatWith(ann));
  expect(pairs).toHaveLength(3);
  // As when the conversation with Ann is held, and the group knows of no pair with her.
  const what = { kind: "follow", on: false } as const;
  const row = { id: messageId(), from: bob.groupOf(), to: bob.chatWith(ann), sequence: 1 };
  await bob.feed(bob.chatWith(ann), { kind: "post", row: { ...row, post: what } });
  await fleet.settle();
  expect(waiting()).toHaveLength(1);
  expect(waiting()).not.toContain(bob.chatWith(ann));
});

/** Posts of a kind that a step made. */
const madeBy = (effects: readonly Effect[], kind: Post["kind"]): readonly PostRow[] =>
  effects
    .flatMap((one) => (one.kind === "commit" ? one.change.addPosts : []))
    .filter(({ post }) => post.kind === kind);

describe("operations that there was no room to hold", () => {
  /** Cy has as many of Ann's as may wait, of which the first is missing, and was refused one more. */
  async function full() {
    const { fleet, ann, bob, cy } = await three();
    const before = logOf(ann);
    let log = before;
    let first: GroupLog | undefined;
    for (let count = 0; count < HELD + 2; count++) {
      const made = await makeOp(log, ann.self, { kind: "rotateTopic" }, envOf(fleet.now));
      if (!made.ok) throw new Error(made.reason);
      ({ log } = made);
      first ??= log;
    }
    if (first === undefined) throw new Error("no operation");
    setLog(ann, log);
    fleet.lost = ({ from }) => from === cy;
    await bring(cy, ann, pagesSince(log, idsOf(first)));
    await fleet.settle();
    expect(logOf(cy).held.size).toBe(HELD);
    return { fleet, ann, bob, cy, log, missing: pagesSince(first, idsOf(before)) };
  }
  const HELD = 64;

  it("are asked for when others that waited have gone in", async () => {
    const { fleet, ann, cy, log, missing } = await full();
    await bring(cy, ann, missing);
    expect(logOf(cy).held.size).toBe(0);
    expect(logOf(cy).ops.size).toBe(log.ops.size - 1);
    fleet.lost = undefined;
    await fleet.pass(REPAIR_PATIENCE_MS + 1_000);
    expect(logOf(cy).heads).toEqual(log.heads);
    expect(cy.slices.get(cy.groupOf())?.live.unheld.size).toBe(0);
  });

  it("are asked for after ASK_AGAIN_MS while there is no room", async () => {
    const { fleet, ann, bob } = await three();
    const at = bob.groupOf();
    const slice = bob.slices.get(at);
    if (slice === undefined) throw new Error("no group");
    // Only members are known to be ahead, and what waits may be of others.
    const held = logOf(bob).held.size;
    const live = { ...slice.live, listAskedAt: fleet.now };
    const unheld = new Map([[bob.chatWith(ann), held]]);
    bob.slices.set(at, { ...slice, live: { ...live, unheld } });
    const wake = async (): Promise<readonly string[]> =>
      madeBy(await bob.feed(at, { kind: "wake" }), "send").map(({ to }) => to);
    fleet.now += ASK_AGAIN_MS - 1;
    expect(await wake()).toEqual([]);
    fleet.now += 1;
    expect(await wake()).toEqual([bob.chatWith(ann)]);
    fleet.now += ASK_AGAIN_MS;
    expect(await wake()).toEqual([]);
  });

  it(`are asked for of ${UNHELD_PAIRS_MAX} pairs`, async () => {
    const { ann, cy } = await full();
    const at = cy.groupOf();
    const slice = cy.slices.get(at);
    if (slice === undefined) throw new Error("no group");
    expect(slice.live.unheld).toEqual(new Map([[cy.chatWith(ann), HELD]]));
    const pairs = Array.from({ length: UNHELD_PAIRS_MAX }, (_, index) => fake(index, 32));
    const unheld = new Map(pairs.map((pair) => [pair, HELD] as const));
    cy.slices.set(at, { ...slice, live: { ...slice.live, unheld } });
    await bring(cy, ann, pagesSince(logOf(ann), idsOf(logOf(cy))).slice(-1));
    const after = [...(cy.slices.get(at)?.live.unheld.keys() ?? [])];
    expect(after).toEqual([...pairs.slice(1), cy.chatWith(ann)]);
  });
});

describe("a device that asks without end", () => {
  it(`is answered ${ANSWERS_MAX} times in ASK_AGAIN_MS, whether it lacks operations or not`, async () => {
    const { fleet, ann, bob, cy } = await three();
    fleet.offline.add(cy);
    await say(ann, "not confirmed");
    await fleet.pass(1_000);
    const group = asGroupId(fromHex(groupIdIn(ann)));
    const ask = async (whom: Machine): Promise<number> => {
      const about = { id: asContentId(entropy(16)), time: { ms: fleet.now, counter: 0 } };
      const content = encodeContent({ kind: "heads", ...about, group, heads: idsOf(logOf(ann)) });
      const device = bytesToHex(whom.self.cert.deviceId);
      const told = { kind: "told", account: accountOf(whom), device, content } as const;
      const row = { id: messageId(), from: ann.chatWith(whom), to: ann.groupOf(), sequence: 1 };
      const input = { kind: "post", row: { ...row, post: told } } as const;
      return madeBy(await ann.feed(ann.groupOf(), input), "release").length;
    };
    // Each pair asked once when it was new.
    const slice = ann.slices.get(ann.groupOf())!;
    ann.slices.set(ann.groupOf(), { ...slice, live: { ...slice.live, answered: new Map() } });
    for (let count = 0; count < ANSWERS_MAX; count++) expect(await ask(cy)).toBe(1);
    expect(await ask(cy)).toBe(0);
    expect(ann.dropped).toContain("duplicate");
    // Others are answered, and it is after a while.
    expect(await ask(bob)).toBe(0);
    expect(ann.slices.get(ann.groupOf())?.live.answered.size).toBe(2);
    fleet.now += ASK_AGAIN_MS - 1;
    expect(await ask(cy)).toBe(0);
    fleet.now += 1;
    expect(await ask(cy)).toBe(1);
  });

  it(`is remembered among ${TOLD_MAX} devices`, async () => {
    const { fleet, ann, cy } = await three();
    const at = ann.groupOf();
    const slice = ann.slices.get(at);
    if (slice === undefined) throw new Error("no group");
    const used = { since: fleet.now, count: ANSWERS_MAX };
    const answered = new Map(
      Array.from({ length: TOLD_MAX }, (_, index) => [`${index}`, used] as const),
    );
    ann.slices.set(at, { ...slice, live: { ...slice.live, answered } });
    const group = asGroupId(fromHex(groupIdIn(ann)));
    const about = { id: asContentId(entropy(16)), time: { ms: fleet.now, counter: 0 } };
    const content = encodeContent({ kind: "heads", ...about, group, heads: [] });
    const device = bytesToHex(cy.self.cert.deviceId);
    const told = { kind: "told", account: accountOf(cy), device, content } as const;
    const row = { id: messageId(), from: ann.chatWith(cy), to: at, sequence: 1, post: told };
    const effects = await ann.feed(at, { kind: "post", row });
    expect(madeBy(effects, "send").length).toBeGreaterThan(0);
    const after = ann.slices.get(at)?.live.answered;
    expect(after?.size).toBe(TOLD_MAX);
    expect(after?.has("0")).toBe(false);
    expect(after?.has("1")).toBe(true);
  });
});

describe("a question about a long log", () => {
  it("is answered once in ASK_AGAIN_MS, and one about a short rest every time", async () => {
    const { fleet, ann, cy } = await three();
    const slice = ann.slices.get(ann.groupOf());
    const stored = slice?.group;
    const row = stored?.row;
    if (slice === undefined || stored === undefined || row === undefined)
      throw new Error("no group");
    let log = logOf(ann);
    while (pagesSince(log, []).length <= ANSWER_PAGES_MAX) {
      const made = await makeOp(log, ann.self, { kind: "rotateTopic" }, envOf(fleet.now));
      if (!made.ok) throw new Error(made.reason);
      ({ log } = made);
    }
    ann.slices.set(ann.groupOf(), { ...slice, group: { ...stored, row: { ...row, log } } });
    const pages = async (heads: readonly OpId[]): Promise<number> => {
      const group = asGroupId(fromHex(groupIdIn(ann)));
      const about = { id: asContentId(entropy(16)), time: { ms: fleet.now, counter: 0 } };
      const content = encodeContent({ kind: "heads", ...about, group, heads });
      const device = bytesToHex(cy.self.cert.deviceId);
      const told = { kind: "told", account: accountOf(cy), device, content } as const;
      const about2 = { id: messageId(), from: ann.chatWith(cy), to: ann.groupOf(), sequence: 1 };
      const effects = await ann.feed(ann.groupOf(), {
        kind: "post",
        row: { ...about2, post: told },
      });
      const posts = effects.flatMap((one) => (one.kind === "commit" ? one.change.addPosts : []));
      return posts.filter(({ post }) => post.kind === "send").length;
    };
    expect(await pages([])).toBeGreaterThan(ANSWER_PAGES_MAX);
    expect(await pages([])).toBe(0);
    const [first] = log.ops.keys();
    const nearEnd = [...log.ops.keys()].at(-2);
    if (first === undefined || nearEnd === undefined) throw new Error("no operations");
    expect([
      await pages([asOpId(fromHex(nearEnd))]),
      await pages([asOpId(fromHex(nearEnd))]),
    ]).toEqual([1, 1]);
    fleet.now += ASK_AGAIN_MS;
    expect(await pages([])).toBeGreaterThan(ANSWER_PAGES_MAX);
  });
});

/** What the store has of the senders in the only group there is. */
function changeSenders(machine: Machine, change: (row: SenderRow) => SenderRow): void {
  const slice = machine.slices.get(machine.groupOf());
  if (slice?.group === undefined) throw new Error("no group");
  const senders = new Map(
    [...slice.group.senders].map(([device, row]) => [device, change(row)] as const),
  );
  machine.slices.set(machine.groupOf(), { ...slice, group: { ...slice.group, senders } });
}

describe("when things go wrong", () => {
  it("a group whose first operation was lost is asked for, and its members are introduced again", async () => {
    const { fleet, people } = await circle(["Ann"]);
    const [ann] = people;
    if (ann === undefined) throw new Error("nobody");
    const [bob, cy] = [await fleet.person("Bob"), await fleet.person("Cy")];
    for (const machine of [bob, cy]) {
      await start(machine);
      await fleet.connect(ann, machine);
    }
    await add(ann, bob);
    await fleet.pass(1_000);
    // All that Ann says to Cy at first; the relay said that it has it.
    let lost = 0;
    fleet.lost = ({ from, to }) => from === ann && to === cy && lost++ < 1;
    await add(ann, cy);
    await fleet.pass(1_000);
    expect(lost).toBeGreaterThan(0);
    await fleet.pass(10_000);
    await say(cy, "all there");
    await fleet.pass(1_000);
    for (const one of [ann, bob, cy]) expect(read(one), one.name).toEqual(["all there"]);
    await say(bob, "to both");
    await fleet.pass(1_000);
    expect(read(cy)).toEqual(["all there", "to both"]);
  });

  it("whoever has nothing of a group is introduced to its members once in ASK_AGAIN_MS", async () => {
    const { fleet, ann, bob, cy } = await three();
    const group = asGroupId(fromHex(groupIdIn(ann)));
    const from = ann.chatWith(cy);
    const introductions = async (whom = cy): Promise<number> => {
      const about = { id: asContentId(entropy(16)), time: { ms: fleet.now, counter: 0 } };
      const content = encodeContent({ kind: "heads", ...about, group, heads: [] });
      const device = bytesToHex(whom.self.cert.deviceId);
      const told = { kind: "told", account: accountOf(whom), device, content } as const;
      const row = { id: messageId(), from, to: ann.groupOf(), sequence: 1, post: told };
      const effects = await ann.feed(ann.groupOf(), { kind: "post", row });
      const posts = effects.flatMap((one) => (one.kind === "commit" ? one.change.addPosts : []));
      return posts.filter(({ post }) => post.kind === "present").length;
    };
    expect([await introductions(), await introductions()]).toEqual([1, 0]);
    fleet.now += ASK_AGAIN_MS - 1;
    expect(await introductions()).toBe(0);
    fleet.now += 1;
    expect(await introductions()).toBe(1);
    // As many as are remembered, of whom Cy is the first; then one more.
    const slice = ann.slices.get(ann.groupOf());
    if (slice === undefined) throw new Error("no group");
    const others = Array.from(
      { length: TOLD_MAX - 1 },
      (_, index) => [`${index}`, fleet.now] as const,
    );
    const told = new Map([[accountOf(cy), fleet.now], ...others]);
    ann.slices.set(ann.groupOf(), { ...slice, live: { ...slice.live, told } });
    expect(await introductions()).toBe(0);
    expect(await introductions(bob)).toBe(1);
    expect(ann.slices.get(ann.groupOf())?.live.told.size).toBe(TOLD_MAX);
    expect(await introductions()).toBe(1);
  });

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

  it("a message that no group opens costs no steps of groups that did not seal it, and is asked about once in REPAIR_PAUSE_MS", async () => {
    const { ann, bob, fleet } = await three();
    for (let count = 0; count < 7; count++) {
      const at = messageId();
      await ann.begin({ kind: "start-group", id: at });
      await ann.feed(at, { kind: "group-add", account: accountOf(bob) });
    }
    await say(ann, "so that there is one to change");
    let sealed: Uint8Array | undefined;
    await fleet.settleFor(({ to, bytes }) => {
      if (to === bob && bytes[0] === GROUP_ENVELOPE_TYPE) sealed = bytes;
      return true;
    });
    if (sealed === undefined) throw new Error("nothing was sealed");
    const garbage = sealed;
    // The second time its chain may have come: it goes there, and on from there.
    const arrived = {
      kind: "arrived",
      pair: bob.chatWith(ann),
      account: accountOf(ann),
      device: bytesToHex(ann.self.cert.deviceId),
      envelope: garbage,
      path: "relay",
      again: true,
    } as const;
    const routeAfter = (after: string) => {
      const to = `member:${accountOf(ann)}:${after}`;
      const row = { id: messageId(), from: arrived.pair, to, sequence: 1, post: arrived };
      return routeOf(row, bob.slices, nobleBackend);
    };
    expect(await routeAfter("")).toEqual({ kind: "to", id: bob.groupOf() });
    expect(await routeAfter("g")).toEqual({ kind: "to", id: arrived.pair });
    let commits = 0;
    fleet.crash = (machine) => {
      if (machine === bob) commits++;
      return false;
    };
    const cost = async (): Promise<number> => {
      const from = bob.chatWith(ann);
      const blob = Uint8Array.from(garbage, (byte, index) => (index < 8 ? byte : byte ^ 1));
      blob.set(entropy(16), 16);
      commits = 0;
      await bob.feed(from, { kind: "frame", blob, source: { path: "relay", sequence: 1n } });
      while (bob.posts.size > 0) await fleet.settleFor(() => false);
      return commits;
    };
    // Of seven groups Bob has no chain: each may ask for it.
    expect(await cost()).toBe(3 + 7);
    fleet.now += REPAIR_PAUSE_MS - 1;
    for (let count = 0; count < 3; count++) expect(await cost()).toBe(2);
    fleet.now += 1;
    await fleet.settle();
    // What they asked for has come meanwhile.
    for (const [id, { conversation }] of ann.slices) {
      if (conversation?.peer.state === "group") await ann.write(id, "hello");
    }
    await fleet.settle();
    expect(await cost()).toBe(3);
    expect(await cost()).toBe(2);
    // Nothing genuine is lost by it.
    bob.forgetChains(bob.groupOf());
    await say(ann, "still there?");
    await fleet.pass(10 * REPAIR_PAUSE_MS);
    expect(read(bob)).toEqual(["so that there is one to change", "hello", "still there?"]);
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
    await say(ann, "can be");
    // Another chain is here by then: nobody is asked, and the sender has to see it.
    await fleet.settleFor((blob) => blob !== message);
    await fleet.settle();
    expect(read(bob)).toEqual(["can be"]);
    await fleet.pass(60_000);
    expect(read(bob)).toEqual(["cannot be opened", "can be"]);
    expect(read(cy)).toEqual(["cannot be opened", "can be"]);
    expect(ann.status(ann.groupOf(), said)).toBe("delivered");
  });

  it.each(["group", "account", "device"] as const)(
    "a row of chains that is damaged in whose it is (%s) spoils no chain that comes",
    async (part) => {
      const { fleet, ann, bob } = await three();
      await say(ann, "before");
      await fleet.pass(1_000);
      changeSenders(bob, ({ sender, ...row }) => ({
        ...row,
        sender: sender && { ...sender, [part]: sender[part].map((byte) => byte ^ 1) },
      }));
      const said = await say(ann, "after");
      await fleet.pass(1_000);
      expect(read(bob)).toEqual(["before", "after"]);
      expect(ann.status(ann.groupOf(), said)).toBe("delivered");
    },
  );

  it.each(["chainKey", "account"] as const)(
    "a chain of many messages that is damaged (%s) is replaced once somebody cannot open one",
    async (part) => {
      const others = Array.from({ length: SMALL_GROUP_MEMBERS_MAX }, (_, at) => `Person ${at}`);
      const { fleet, people } = await circle(["Ann", ...others]);
      const [ann, bob] = people;
      if (ann === undefined || bob === undefined) throw new Error("nobody");
      await say(ann, "before");
      await seconds(fleet, 2);
      changeSenders(ann, ({ chain, ...row }) => ({
        ...row,
        chain: chain && { ...chain, [part]: chain[part].map((byte) => byte ^ 1) },
      }));
      const said = await say(ann, "after");
      await seconds(fleet, 2);
      // What comes later and is confirmed shows that the other has not been opened.
      for (const one of people.slice(1)) await ann.write(ann.chatWith(one), "beside it");
      await seconds(fleet, 2);
      fleet.now += OVERTAKEN_MS;
      await seconds(fleet, 2);
      for (const one of people) expect(read(one), one.name).toEqual(["before", "after"]);
      expect(ann.status(ann.groupOf(), said)).toBe("delivered");
    },
  );

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

  it.each([2, 3, 5])(
    "nothing is lost or shown twice when every %dth commit is the last of its process",
    async (every) => {
      const { fleet, ann, bob, cy } = await three();
      let count = 0;
      const crash = (): boolean => ++count % every === 0;
      const dan = await fleet.person("Dan");
      await start(dan);
      await fleet.connect(ann, dan);
      fleet.crash = crash;
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
    },
  );
});

const fake = (value: number, digits: number): string => value.toString(16).padStart(digits, "0");

describe("a limit", () => {
  const postTo = (machine: Machine, to: string, from: string, post: Post): Promise<unknown> =>
    machine.feed(to, { kind: "post", row: { id: messageId(), from, to, sequence: 1, post } });
  const devicesAt = (machine: Machine, id: string) => {
    const devices = machine.slices.get(id)?.conversation?.devices;
    if (devices === undefined) throw new Error("no conversation");
    return devices;
  };

  it(`holds ${GROUPS_MAX} groups that one account shares`, async () => {
    const { ann, bob } = await three();
    const atAnn = ann.chatWith(bob);
    const follow = (count: number): Promise<unknown> =>
      postTo(ann, atAnn, fake(count, 32), { kind: "follow", on: true });
    // One is real.
    for (let count = 1; count < GROUPS_MAX; count++) await follow(count);
    expect(devicesAt(ann, atAnn).groups).toHaveLength(GROUPS_MAX);
    expect(ann.dropped).not.toContain("outbox-full");
    await follow(GROUPS_MAX);
    expect(devicesAt(ann, atAnn).groups).toHaveLength(GROUPS_MAX);
    expect(ann.dropped).toContain("outbox-full");
  });

  it("of groups that one account shares leaves to each who tells of them as many as to all before", async () => {
    const { ann, bob, cy } = await three();
    const [atBob, group] = [ann.chatWith(bob), ann.groupOf()];
    const chat = ann.slices.get(atBob);
    const slice = ann.slices.get(group);
    if (chat?.conversation === undefined || slice?.conversation === undefined) {
      throw new Error("no records");
    }
    const told = new Map<string, Slice>();
    const { conversation } = slice;
    const toldBy = (teller: string, count: number): readonly string[] =>
      Array.from({ length: count }, () => {
        const id = fake(told.size, 32);
        const devices = { ...conversation.devices, introducers: [teller] };
        told.set(id, { ...slice, conversation: { ...conversation, devices } });
        return id;
      });
    const route = (from: string, groups: readonly string[]) => {
      const devices = {
        ...chat.conversation?.devices,
        groups: groups.map((one) => ({ group: one, told: "" })),
      };
      const record = { ...chat, conversation: { ...chat.conversation, devices } };
      const row = { id: messageId(), from, to: `account:${accountOf(bob)}`, sequence: 1 };
      const slices = new Map([...ann.slices, ...told, [atBob, record as Slice]]);
      return routeOf({ ...row, post: { kind: "follow", on: true } }, slices, nobleBackend);
    };
    const half = GROUPS_MAX / 2;
    const mals = toldBy(fake(1, 40), half + 1);
    const [next = ""] = mals;
    expect(route(next, mals.slice(2))).toEqual({ kind: "to", id: atBob });
    expect(route(next, mals.slice(1))).toEqual({ kind: "to", id: next });
    // What it has it may ask for again.
    expect(route(next, mals.slice(0, half))).toEqual({ kind: "to", id: atBob });
    const others = toldBy(accountOf(cy), half / 2 + 1);
    const [other = ""] = others;
    const full = mals.slice(1);
    expect(route(other, [...full, ...others.slice(2)])).toEqual({ kind: "to", id: atBob });
    expect(route(other, [...full, ...others.slice(1)])).toEqual({ kind: "to", id: other });
    expect(route(group, [...full, ...others.slice(1)])).toEqual({ kind: "to", id: atBob });
  });

  it(`holds ${PRESENTED_MAX} accounts that one was introduced to`, async () => {
    const { ann, bob } = await three();
    const atAnn = ann.chatWith(bob);
    const group = fake(1, 64);
    const before = devicesAt(ann, atAnn).presented.length / 20;
    const to = Array.from({ length: PRESENTED_MAX - before }, (_, index) => fake(index + 1, 40));
    await postTo(ann, atAnn, "group", { kind: "present", group, to });
    const full = devicesAt(ann, atAnn).presented;
    expect(full).toHaveLength(20 * PRESENTED_MAX);
    await postTo(ann, atAnn, "group", { kind: "present", group, to: [fake(PRESENTED_MAX, 40)] });
    const after = devicesAt(ann, atAnn).presented;
    expect(after).toHaveLength(20 * PRESENTED_MAX);
    expect(after.subarray(0, 20)).toEqual(full.subarray(20, 40));
  });

  it("of questions about a group that does not begin here: rarer each time, up to ASK_AGAIN_MS", async () => {
    const { fleet, ann, bob } = await three();
    const id = bob.chatWith(ann);
    const [page] = pagesSince(logOf(bob), []);
    if (page === undefined) throw new Error("no page");
    const group = asGroupId(fromHex(fake(1, 64)));
    const device = bytesToHex(ann.self.cert.deviceId);
    /** What no group took, after `ms`: whether it is asked for. */
    const isAsked = async (ms: number): Promise<boolean> => {
      fleet.now += ms;
      const about = { id: asContentId(entropy(16)), time: { ms: 1, counter: 0 } };
      const content = encodeContent({ kind: "page", ...about, group, page });
      await postTo(bob, id, id, { kind: "told", account: accountOf(ann), device, content });
      return bob.slices.get(id)?.live.groupAskedAt === fleet.now;
    };
    expect(await isAsked(0)).toBe(true);
    for (let pause = REPAIR_PATIENCE_MS; pause < ASK_AGAIN_MS; pause *= 2) {
      expect(await isAsked(pause - 1)).toBe(false);
      expect(await isAsked(1)).toBe(true);
    }
    for (let time = 0; time < 20; time++) {
      expect(await isAsked(ASK_AGAIN_MS - 1)).toBe(false);
      expect(await isAsked(1)).toBe(true);
    }
    // Nothing was told for so long: as at first.
    expect(await isAsked(2 * ASK_AGAIN_MS)).toBe(true);
    expect(await isAsked(REPAIR_PATIENCE_MS)).toBe(true);
    // And a clock that was set back holds nothing up.
    expect(await isAsked(-1_000_000)).toBe(true);
  });

  describe("of introductions of somebody without a name", () => {
    const group = fake(1, 64);
    const present = (machine: Machine, id: string, to: readonly string[]): Promise<unknown> =>
      postTo(machine, id, "group", { kind: "present", group, to });
    /** As after a HELLO whose introduction is not there yet. */
    const nameless = async () => {
      const { ann, bob, fleet } = await three();
      const atAnn = ann.chatWith(bob);
      const slice = ann.slices.get(atAnn);
      const conversation = slice?.conversation;
      if (slice === undefined || conversation?.peer.state !== "open") throw new Error("no pair");
      const contact = { ...conversation.peer.contact, name: "" };
      const peer = { ...conversation.peer, contact };
      ann.slices.set(atAnn, { ...slice, conversation: { ...conversation, peer } });
      return { ann, bob, fleet, atAnn };
    };

    it("keeps them until the name comes, and says them once", async () => {
      const { ann, bob, fleet, atAnn } = await nameless();
      const dan = await fleet.person("Dan");
      await present(ann, atAnn, [accountOf(dan)]);
      await present(ann, atAnn, [accountOf(dan)]);
      expect(devicesAt(ann, atAnn).unpresented).toEqual([{ group, account: accountOf(dan) }]);
      expect(ann.dropped).not.toContain("unexpected");
      const before = devicesAt(ann, atAnn).presented.length;
      await bob.feed(bob.chatWith(ann), { kind: "rename", name: "Bob" });
      await fleet.settle();
      expect(devicesAt(ann, atAnn).unpresented).toEqual([]);
      expect(devicesAt(ann, atAnn).presented).toHaveLength(before + 20);
    });

    it(`keeps ${UNPRESENTED_MAX}`, async () => {
      const { ann, atAnn } = await nameless();
      const to = Array.from({ length: UNPRESENTED_MAX }, (_, index) => fake(index + 1, 40));
      await present(ann, atAnn, to);
      const full = devicesAt(ann, atAnn).unpresented;
      expect(full).toHaveLength(UNPRESENTED_MAX);
      const next = { group, account: fake(UNPRESENTED_MAX + 1, 40) };
      await present(ann, atAnn, [next.account]);
      expect(devicesAt(ann, atAnn).unpresented).toEqual([...full.slice(1), next]);
    });
  });

  it(`holds ${INTRODUCERS_MAX} introducers of one account`, async () => {
    const { bob } = await three();
    const [id = ""] = [...bob.slices].flatMap(([one, { conversation }]) =>
      conversation?.listed === false ? [one] : [],
    );
    const present = (by: number): Promise<unknown> =>
      postTo(bob, id, "group", {
        kind: "presented",
        by: fake(by, 40),
        content: new Uint8Array(0),
        former: false,
      });
    for (let by = 1; by < INTRODUCERS_MAX; by++) await present(by);
    const full = devicesAt(bob, id).introducers;
    expect(full).toHaveLength(INTRODUCERS_MAX);
    await present(INTRODUCERS_MAX);
    expect(devicesAt(bob, id).introducers).toEqual([...full.slice(1), fake(INTRODUCERS_MAX, 40)]);
  });

  it(`remembers ${REFUSED_GROUPS_MAX} groups that one account was refused`, async () => {
    const { bob, cy } = await three();
    const [id = ""] = [...bob.slices].flatMap(([one, { conversation }]) =>
      conversation?.listed === false ? [one] : [],
    );
    const [page] = pagesSince(logOf(bob), []);
    if (page === undefined) throw new Error("no page");
    const tell = (count: number): Promise<unknown> => {
      const about = { id: asContentId(entropy(16)), time: { ms: 1, counter: 0 } };
      const group = asGroupId(fromHex(fake(count, 64)));
      const told = { kind: "page", ...about, group, page } as const;
      const device = bytesToHex(cy.self.cert.deviceId);
      const content = encodeContent(told);
      return postTo(bob, id, id, { kind: "told", account: accountOf(cy), device, content });
    };
    for (let count = 0; count < REFUSED_GROUPS_MAX; count++) await tell(count);
    const full = devicesAt(bob, id).refusedGroups;
    expect(full).toHaveLength(REFUSED_GROUPS_MAX);
    await tell(1);
    expect(devicesAt(bob, id).refusedGroups).toHaveLength(REFUSED_GROUPS_MAX);
    await tell(REFUSED_GROUPS_MAX);
    expect(devicesAt(bob, id).refusedGroups).toHaveLength(REFUSED_GROUPS_MAX);
    expect(devicesAt(bob, id).refusedGroups).not.toContain(fake(0, 64));
  });

  it(`holds ${INTRODUCTIONS_MAX} introductions to accounts that are not in the log`, async () => {
    const { ann, bob, cy, fleet } = await three();
    const dan = await fleet.person("Dan");
    const atGroup = bob.groupOf();
    const group = ann.slices.get(ann.groupOf())?.group?.row?.log.group;
    if (group === undefined) throw new Error("no group");
    const tell = (count: number): Promise<unknown> => {
      const time = { ms: count, counter: 0 };
      const { cert } = dan.self;
      const id = asContentId(entropy(16));
      const member = {
        kind: "member",
        id,
        time,
        group,
        name: "Dan",
        cert,
        list: undefined,
      } as const;
      const content = encodeContent(member);
      const device = bytesToHex(cy.self.cert.deviceId);
      return postTo(bob, atGroup, "pair", {
        kind: "told",
        account: accountOf(cy),
        device,
        content,
      });
    };
    const kept = () => bob.slices.get(atGroup)?.group?.row?.introductions ?? [];
    for (let count = 0; count < INTRODUCTIONS_MAX; count++) await tell(count);
    const full = kept();
    expect(full).toHaveLength(INTRODUCTIONS_MAX);
    await tell(INTRODUCTIONS_MAX);
    expect(kept()).toHaveLength(INTRODUCTIONS_MAX);
    expect(kept()[0]).toEqual(full[1]);
  });

  it(`holds ${GROUP_SENT_MAX} texts that not everybody has`, async () => {
    const { ann, bob, fleet } = await three();
    fleet.offline.add(bob);
    const atGroup = ann.groupOf();
    const first = await say(ann, "first");
    for (let count = 1; count < GROUP_SENT_MAX; count++) await say(ann, `${count}`);
    const full = ann.stored(atGroup);
    expect(full).toHaveLength(GROUP_SENT_MAX);
    expect(full[0]?.awaits).toBe(first);
    await say(ann, "one more");
    expect(
      ann
        .stored(atGroup)
        .map(({ id }) => id)
        .slice(0, -1),
    ).toEqual(full.slice(1).map(({ id }) => id));
    fleet.offline.delete(bob);
    await fleet.pass(1_000);
    expect(read(bob)).toHaveLength(GROUP_SENT_MAX + 1);
  }, 120_000);

  /** A group that `by` has made, of which it tells Bob's record of his pair with it. */
  const pageOf = async (by: Machine, from: string): Promise<PostRow> => {
    await by.begin({ kind: "start-group", id: messageId() });
    const log = [...by.slices.values()].at(-1)?.group?.row?.log;
    const [page] = log === undefined ? [] : pagesSince(log, []);
    if (log === undefined || page === undefined) throw new Error("no group");
    const { group } = log;
    const time = { ms: 1, counter: 0 };
    const content = encodeContent({
      kind: "page",
      id: asContentId(entropy(16)),
      time,
      group,
      page,
    });
    return {
      id: messageId(),
      from,
      to: groupAddress(bytesToHex(group)),
      sequence: 1,
      post: { kind: "told", account: accountOf(by), device: fake(1, 16), content },
    };
  };
  const deliver = async (bob: Machine, row: PostRow): Promise<string> => {
    const route = await routeOf(row, bob.slices, nobleBackend);
    if (route.kind === "to") await bob.feed(route.id, { kind: "post", row });
    const id = messageId();
    if (route.kind === "begins") await bob.begin({ kind: "start-post", id, row });
    return route.kind === "to" ? route.id : id;
  };

  it(`keeps ${UNLISTED_GROUPS_MAX} groups of one account's that this device has never been in, the newest`, async () => {
    const { ann, bob, fleet } = await three();
    const from = bob.chatWith(ann);
    await say(ann, "so that Bob has a chain");
    await fleet.settle();
    const records: string[] = [];
    for (let count = 0; count < UNLISTED_GROUPS_MAX; count++) {
      fleet.now++;
      records.push(await deliver(bob, await pageOf(ann, from)));
    }
    expect(new Set(records).size).toBe(UNLISTED_GROUPS_MAX);
    const [first = ""] = records;
    // Of what is no group any more nothing is left.
    const key = `${accountOf(ann)}/${fake(1, 16)}`;
    const slice = bob.slices.get(first);
    const senders = new Map(bob.slices.get(bob.groupOf())?.group?.senders);
    const [sender] = senders.values();
    if (slice === undefined || sender === undefined) throw new Error("nobody has a chain");
    senders.set(key, { ...sender, conversation: first, device: key });
    bob.slices.set(first, { ...slice, group: { row: slice.group?.row, senders } });
    fleet.now++;
    const next = await pageOf(ann, from);
    expect(await deliver(bob, next)).toBe(first);
    expect(bob.groupOf(next.to.slice("group:".length))).toBe(first);
    const now = bob.slices.get(first);
    expect(bytesToHex(now?.group?.row?.log.group ?? entropy(32))).toBe(next.to.slice(6));
    expect(now?.group?.senders.get(key)?.sender).toBeUndefined();
    expect(bob.slices.has(first)).toBe(true);
    // The next is the one that is the oldest now.
    expect(await deliver(bob, await pageOf(ann, from))).toBe(records[1]);
    expect(await deliver(bob, { ...next, id: messageId() })).toBe(first);
  });

  it("gives the place of no group that is shown by now", async () => {
    const { ann, bob } = await three();
    const from = bob.chatWith(ann);
    const row = await pageOf(ann, from);
    const at = bob.groupOf();
    const before = bob.slices.get(at)?.group;
    const effects = await bob.feed(at, { kind: "post", row });
    expect(bob.slices.get(at)?.group).toBe(before);
    const posts = effects.flatMap((one) => (one.kind === "commit" ? one.change.addPosts : []));
    expect(posts.map(({ to, post }) => [to, post])).toEqual([[from, row.post]]);
  });

  it(`keeps ${GROUPS_HERE_MAX} groups that one account told of, and has room for those of any other`, async () => {
    const { ann, bob, cy } = await three();
    const row = await pageOf(ann, bob.chatWith(ann));
    const slice = bob.slices.get(bob.groupOf());
    const record = slice?.conversation;
    if (slice === undefined || record?.peer.state !== "group") throw new Error("no group");
    const { peer } = record;
    expect(record.devices.introducers).toEqual([accountOf(ann)]);
    const groups = Array.from({ length: GROUPS_HERE_MAX }, (_, index): [string, Slice] => [
      fake(index, 32),
      { ...slice, conversation: { ...record, peer: { ...peer, group: fake(index, 64) } } },
    ]);
    expect(routeOf(row, new Map(groups.slice(1)), nobleBackend)).toEqual({ kind: "begins" });
    expect(routeOf(row, new Map(groups), nobleBackend)).toEqual({ kind: "to", id: row.from });
    const other = await pageOf(cy, bob.chatWith(ann));
    expect(routeOf(other, new Map(groups), nobleBackend)).toEqual({ kind: "begins" });
  });

  it("of groups: whoever tells of many keeps nobody else's away", async () => {
    const { ann, bob, fleet } = await three();
    const mal = await fleet.person("Mal");
    await start(mal);
    await fleet.connect(mal, bob);
    for (let count = 0; count < 64; count++) {
      await deliver(bob, await pageOf(mal, bob.chatWith(mal)));
    }
    await ann.begin({ kind: "start-group", id: messageId() });
    const [at = ""] = [...ann.slices.keys()].slice(-1);
    await ann.feed(at, { kind: "group-add", account: accountOf(bob) });
    await ann.write(at, "are you there?");
    await fleet.pass(1_000);
    const group = bytesToHex(ann.slices.get(at)?.group?.row?.log.group ?? entropy(32));
    expect(bob.shown(bob.groupOf(group))).toEqual(["are you there?"]);
  });

  it(`keeps ${STRANGERS_MAX} people who are known from groups alone, of one teller half of them`, async () => {
    const { ann, bob } = await three();
    const [stranger] = [...bob.slices.values()].filter(
      ({ conversation }) => conversation?.listed === false,
    );
    if (stranger?.conversation === undefined) throw new Error("nobody is unknown");
    const { conversation } = stranger;
    const content = new Uint8Array(0);
    const route = (slices: ReadonlyMap<string, Slice>, by: string, teller?: string) =>
      routeOf(
        {
          id: messageId(),
          from: "group",
          to: `account:${fake(1, 40)}`,
          sequence: 1,
          post: { kind: "presented", by, content, former: false, teller },
        },
        new Map([...slices, [bob.chatWith(ann), ann1]]),
        nobleBackend,
      );
    const ann1 = bob.slices.get(bob.chatWith(ann)) ?? stranger;
    let serial = 0;
    const broughtBy = (count: number, by: string, teller?: string): readonly [string, Slice][] =>
      Array.from({ length: count }, () => {
        const devices = { ...conversation.devices, introducers: [by], teller };
        return [fake(++serial, 32), { ...stranger, conversation: { ...conversation, devices } }];
      });
    const [mal, anns] = [fake(2, 40), accountOf(ann)];
    const begins = { kind: "begins" };
    const back = { kind: "to", id: "group" };
    const half = STRANGERS_MAX / 2;
    // Made-up people who introduce each other in a group that Mal told of are Mal's, whoever they say they are.
    const flood = broughtBy(half, fake(3, 40), mal);
    expect(route(new Map(flood.slice(1)), fake(4, 40), mal)).toEqual(begins);
    expect(route(new Map(flood), fake(4, 40), mal)).toEqual(back);
    // A contact has a share of its own, in the group that Mal told of, too; so have own groups.
    for (const [by, teller] of [
      [anns, mal],
      [fake(5, 40), anns],
      [fake(5, 40), undefined],
    ] as const) {
      const own = broughtBy(half / 2, by, teller);
      expect(route(new Map([...flood, ...own.slice(1)]), by, teller)).toEqual(begins);
      expect(route(new Map([...flood, ...own]), by, teller)).toEqual(back);
    }
    const all = broughtBy(STRANGERS_MAX - half, anns);
    expect(route(new Map([...flood, ...all.slice(1)]), fake(6, 40), fake(7, 40))).toEqual(begins);
    expect(route(new Map([...flood, ...all]), fake(6, 40), fake(7, 40))).toEqual(back);
  });

  it("of waiting: nobody waits for somebody unknown who is in no group with this account", async () => {
    const { bob } = await three();
    const account = fake(1, 40);
    const route = (post: Post) =>
      routeOf(
        { id: messageId(), from: "there", to: `account:${account}`, sequence: 1, post },
        bob.slices,
        nobleBackend,
      );
    const back = { kind: "to", id: "there" };
    expect(route({ kind: "follow", on: true })).toEqual(back);
    expect(route({ kind: "present", group: "", to: [] })).toEqual(back);
    expect(route({ kind: "deliver", awaits: "", content: entropy(8) })).toEqual(back);
    expect(route({ kind: "settled", awaits: "", path: "relay" })).toEqual({ kind: "waits" });
    const slice = bob.slices.get(bob.groupOf());
    const row = slice?.group?.row;
    if (slice === undefined || row === undefined) throw new Error("no group");
    const [member] = row.log.state.members.values();
    if (member === undefined) throw new Error("nobody is in it");
    const members = new Map(row.log.state.members).set(account, member);
    const log = { ...row.log, state: { ...row.log.state, members } };
    bob.slices.set("other", { ...slice, group: { row: { ...row, log }, senders: new Map() } });
    expect(route({ kind: "follow", on: true })).toEqual({ kind: "waits" });
  });
});
