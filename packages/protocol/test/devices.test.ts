/** Several devices of one account: every text reaches all of them once, and none that was removed (SPEC.md §10). */
import {
  accountIdOf,
  addDevice,
  createDeviceList,
  createInviteBundle,
  createOwnDevice,
  LIST_PREFIX_BYTES,
  listHash,
  type CryptoEnv,
  nobleBackend,
  removeDevice,
  restoreDevice,
  sealWay,
} from "@sotto/crypto";
import {
  ASK_AGAIN_MS,
  type ConversationRecord,
  LATER_LISTS_MAX,
  MISSING_PATIENCE_MS,
  OFFER_AGAIN_MS,
} from "@sotto/protocol";
import {
  asContentId,
  bytesToHex,
  type DeviceCert,
  type DeviceList,
  encodeContent,
} from "@sotto/wire";
import { describe, expect, it } from "vitest";
import { entropy, messageId } from "./fixture.ts";
import { createFleet, type Fleet, type Machine, start } from "./fleet.ts";

type Open = Extract<ConversationRecord["peer"], { state: "open" }>;

interface Two {
  readonly fleet: Fleet;
  /** Ann's two devices, and Bob. */
  readonly ann: Machine;
  readonly tab: Machine;
  readonly bob: Machine;
}

async function twoDevices(): Promise<Two> {
  const fleet = createFleet();
  const ann = await fleet.person("Ann");
  const bob = await fleet.person("Bob");
  for (const machine of [ann, bob]) await start(machine);
  await fleet.connect(ann, bob);
  const tab = await fleet.sibling(ann, "Ann's tablet");
  await start(tab);
  await fleet.link(ann, tab);
  await fleet.pass(1_000);
  return { fleet, ann, tab, bob };
}

/** With a device each. */
async function twoPeople(crypto = nobleBackend): Promise<Omit<Two, "tab">> {
  const fleet = createFleet(crypto);
  const ann = await fleet.person("Ann");
  const bob = await fleet.person("Bob");
  for (const machine of [ann, bob]) await start(machine);
  await fleet.connect(ann, bob);
  await fleet.pass(1_000);
  return { fleet, ann, bob };
}

/** Whatever its own lists are, `teller` brings this one. */
async function bring(fleet: Fleet, teller: Machine, to: Machine, list: DeviceList): Promise<void> {
  const id = asContentId(entropy(16));
  const time = { ms: fleet.now, counter: 0 };
  const content = encodeContent({ kind: "devices", id, time, list });
  const chat = teller.chatWith(to);
  const post = { kind: "send", awaits: bytesToHex(id), content } as const;
  const row = { id: messageId(), from: chat, to: chat, sequence: 0, post };
  await teller.feed(chat, { kind: "post", row });
  await fleet.pass(1_000);
}

/** From here on Ann's own lists are these, and she tells Bob. */
async function tellLists(
  { fleet, ann, bob }: Omit<Two, "tab">,
  lists: readonly DeviceList[],
): Promise<void> {
  ann.self = { ...ann.self, devices: { ...ann.self.devices, lists } };
  await ann.feed(ann.chatWith(bob), { kind: "wake" });
  await fleet.settle();
}

/** `first` and lists after it up to this version: a device comes, goes again, and another one comes. */
async function historyOf(
  first: DeviceList,
  version: number,
  { self }: Machine,
  env: CryptoEnv,
): Promise<readonly DeviceList[]> {
  const history = [first];
  for (let last = first; last.version < version; history.push(last)) {
    const extra = last.devices[1];
    const change =
      extra === undefined
        ? await addDevice(
            last,
            (await restoreDevice(self.rootSecret, env)).cert,
            false,
            self.rootSecret,
            env,
          )
        : await removeDevice(last, extra.id, self.rootSecret, env);
    if (!change.ok) throw new Error(change.reason);
    last = change.list;
  }
  return history;
}

describe("a second device", () => {
  it("has a pair with everybody the first one talks to", async () => {
    const { ann, tab, bob } = await twoDevices();
    expect(ann.self.devices.lists.map(({ version }) => version)).toEqual([1, 2]);
    expect(tab.self.devices.lists.at(-1)).toEqual(ann.self.devices.lists.at(-1));
    const atBob = bob.chatWith(ann);
    expect(bob.pairsOf(atBob)).toHaveLength(1);
    const pair = bob.peerIn(bob.pairsOf(atBob)[0]!);
    expect(pair.contact.cert).toEqual(tab.self.cert);
    expect(pair.sessions).toHaveLength(1);
    expect(tab.peerIn(tab.chatWith(bob)).contact.cert).toEqual(bob.self.cert);
    expect(bob.slices.get(atBob)?.conversation?.devices.news).toEqual({ added: 1, removed: 0 });
  });

  it("gets what the contact writes, and shows what the first one wrote", async () => {
    const { fleet, ann, tab, bob } = await twoDevices();
    await bob.write(bob.chatWith(ann), "to both");
    await fleet.settle();
    const said = await ann.write(ann.chatWith(bob), "from the first");
    await fleet.pass(1_000);
    await tab.write(tab.chatWith(bob), "from the second");
    await fleet.pass(1_000);
    const all = ["to both", "from the first", "from the second"];
    expect(ann.shown(ann.chatWith(bob))).toEqual(all);
    expect(tab.shown(tab.chatWith(bob))).toEqual(all);
    expect(bob.shown(bob.chatWith(ann))).toEqual(all);
    expect(tab.status(tab.chatWith(bob), said)).toBe("delivered");
    expect(ann.status(ann.chatWith(bob), said)).toBe("delivered");
    expect([...ann.posts.keys(), ...tab.posts.keys(), ...bob.posts.keys()]).toEqual([]);
  });

  it("and a second one of the contact's meet without having been told of each other at first", async () => {
    const { fleet, ann, tab, bob } = await twoDevices();
    const phone = await fleet.sibling(bob, "Bob's phone");
    await start(phone);
    await fleet.link(bob, phone);
    await fleet.pass(1_000);
    for (const [writer, text] of [
      [ann, "1"],
      [tab, "2"],
      [bob, "3"],
      [phone, "4"],
    ] as const) {
      await writer.write(writer.chatWith(writer === ann || writer === tab ? bob : ann), text);
      await fleet.pass(1_000);
    }
    for (const [reader, other] of [
      [ann, bob],
      [tab, bob],
      [bob, ann],
      [phone, ann],
    ] as const) {
      expect(reader.shown(reader.chatWith(other))).toEqual(["1", "2", "3", "4"]);
    }
  });

  it("of both sides at once find each other after a while", async () => {
    const fleet = createFleet();
    const ann = await fleet.person("Ann");
    const bob = await fleet.person("Bob");
    for (const machine of [ann, bob]) await start(machine);
    await fleet.connect(ann, bob);
    const tab = await fleet.sibling(ann, "Ann's tablet");
    const phone = await fleet.sibling(bob, "Bob's phone");
    for (const machine of [tab, phone]) await start(machine);
    // Neither side hears of the other's before both are there.
    fleet.offline.add(bob);
    await fleet.link(ann, tab);
    fleet.offline.delete(bob);
    fleet.offline.add(ann);
    await fleet.link(bob, phone);
    fleet.offline.delete(ann);
    await fleet.pass(3 * MISSING_PATIENCE_MS);
    await tab.write(tab.chatWith(bob), "tablet to phone");
    await phone.write(phone.chatWith(ann), "phone to tablet");
    await fleet.pass(1_000);
    expect(phone.shown(phone.chatWith(ann)).toSorted()).toEqual([
      "phone to tablet",
      "tablet to phone",
    ]);
    expect(tab.shown(tab.chatWith(bob)).toSorted()).toEqual(["phone to tablet", "tablet to phone"]);
  });

  it("shares the notes", async () => {
    const { fleet, ann, tab } = await twoDevices();
    await ann.write(ann.notes, "milk");
    await fleet.settle();
    await tab.write(tab.notes, "bread");
    await fleet.settle();
    expect(ann.shown(ann.notes)).toEqual(["milk", "bread"]);
    expect(tab.shown(tab.notes)).toEqual(["milk", "bread"]);
  });

  it("hears of a contact that the first one meets later", async () => {
    const { fleet, ann, tab } = await twoDevices();
    const cy = await fleet.person("Cy");
    await start(cy);
    await fleet.connect(ann, cy);
    await fleet.pass(1_000);
    expect(tab.peerIn(tab.chatWith(cy)).contact.name).toBe("Cy");
    await cy.write(cy.chatWith(ann), "hello");
    await fleet.settle();
    expect(tab.shown(tab.chatWith(cy))).toEqual(["hello"]);
  });

  it("and a third one have a pair, too", async () => {
    const { fleet, ann, tab, bob } = await twoDevices();
    const phone = await fleet.sibling(ann, "Ann's phone");
    await start(phone);
    await fleet.link(tab, phone);
    await fleet.pass(3 * MISSING_PATIENCE_MS);
    for (const machine of [ann, tab, phone]) {
      expect(machine.self.devices.links).toHaveLength(2);
      expect(machine.self.devices.lists.at(-1)?.version).toBe(3);
    }
    await phone.write(phone.chatWith(bob), "from the third");
    await fleet.pass(1_000);
    for (const machine of [ann, tab]) {
      expect(machine.shown(machine.chatWith(bob))).toEqual(["from the third"]);
    }
  });

  it("loses nothing over restarts at any point", async () => {
    const { fleet, ann, tab, bob } = await twoDevices();
    const atBob = bob.chatWith(ann);
    fleet.offline.add(tab);
    await bob.write(atBob, "while the tablet sleeps");
    await fleet.settle();
    for (const machine of fleet.machines) machine.restart();
    fleet.offline.delete(tab);
    await fleet.pass(1_000);
    expect(tab.shown(tab.chatWith(bob))).toEqual(["while the tablet sleeps"]);
    expect(ann.shown(ann.chatWith(bob))).toEqual(["while the tablet sleeps"]);
  });
});

const nameOf = (machine: Machine): string => bytesToHex(machine.self.cert.deviceId);

describe("a removed device", () => {
  const toward = (fleet: Fleet, from: Machine, to: Machine): number =>
    fleet.released(from).filter((one) => one.to === to).length;

  it("gets nothing from the next message on", async () => {
    const { fleet, ann, tab, bob } = await twoDevices();
    await ann.feed(ann.notes, { kind: "remove-device", device: nameOf(tab) });
    toward(fleet, ann, tab);
    await ann.write(ann.chatWith(bob), "without the tablet");
    await fleet.pass(1_000);
    expect(toward(fleet, ann, tab)).toBe(0);
    toward(fleet, bob, tab);
    await bob.write(bob.chatWith(ann), "good");
    await fleet.pass(1_000);
    expect(toward(fleet, bob, tab)).toBe(0);
    expect(tab.shown(tab.chatWith(bob))).toEqual([]);
    expect(bob.pairsOf(bob.chatWith(ann))).toEqual([]);
    const ended = [...bob.slices.values()].filter(
      ({ conversation }) => conversation?.peer.state === "refused",
    );
    expect(ended).toHaveLength(1);
    expect(ended[0]?.outbox).toEqual([]);
  });

  it("cannot write any more either", async () => {
    const { fleet, ann, tab, bob } = await twoDevices();
    await ann.feed(ann.notes, { kind: "remove-device", device: nameOf(tab) });
    await fleet.pass(1_000);
    await tab.write(tab.chatWith(bob), "still here?");
    await fleet.pass(1_000);
    expect(bob.shown(bob.chatWith(ann))).toEqual([]);
  });

  it("is not linked again by an invite: lists never forget it", async () => {
    const { fleet, ann, tab } = await twoDevices();
    await ann.feed(ann.notes, { kind: "remove-device", device: nameOf(tab) });
    await fleet.pass(1_000);
    await fleet.link(ann, tab);
    await fleet.pass(1_000);
    expect(ann.dropped).toContain("unlisted");
    expect(ann.self.devices.links).toEqual([]);
    toward(fleet, ann, tab);
    await ann.write(ann.notes, "for my own devices");
    await fleet.settle();
    expect(tab.shown(tab.notes)).toEqual([]);
  });

  it("may be the one it all began with", async () => {
    const { fleet, ann, tab, bob } = await twoDevices();
    const atBob = bob.chatWith(ann);
    fleet.offline.add(ann);
    const waiting = await bob.write(atBob, "before");
    await tab.feed(tab.notes, { kind: "remove-device", device: nameOf(ann) });
    await fleet.pass(1_000);
    expect(bob.peerIn(atBob)).toMatchObject({ retired: true, sessions: [] });
    expect(bob.status(atBob, waiting)).toBe("delivered");
    toward(fleet, bob, ann);
    const said = await bob.write(atBob, "after");
    await fleet.settle();
    await tab.write(tab.chatWith(bob), "yes");
    await fleet.pass(1_000);
    expect(toward(fleet, bob, ann)).toBe(0);
    expect(bob.status(atBob, said)).toBe("delivered");
    expect(tab.shown(tab.chatWith(bob))).toEqual(["before", "after", "yes"]);
    expect(bob.shown(atBob)).toEqual(["before", "after", "yes"]);
    expect(bob.slices.get(atBob)?.outbox).toEqual([]);
  });

  it("leaves what waits to the devices that come later", async () => {
    const { fleet, ann, tab, bob } = await twoDevices();
    const atBob = bob.chatWith(ann);
    fleet.offline.add(ann).add(tab);
    const before = await bob.write(atBob, "on its way to both");
    await tab.feed(tab.notes, { kind: "remove-device", device: nameOf(ann) });
    await fleet.pass(1_000);
    expect(bob.peerIn(atBob).retired).toBe(true);
    const said = await bob.write(atBob, "for whoever comes");
    await fleet.pass(1_000);
    expect(bob.status(atBob, said)).toBe("queued");
    // A new process reads what is stored.
    expect(bob.stored(atBob)).toEqual(bob.slices.get(atBob)?.outbox);
    expect(bob.stored(atBob).map(({ awaits }) => awaits)).toEqual([before, said]);
    bob.restart();
    fleet.offline.delete(tab);
    await fleet.pass(1_000);
    expect(bob.status(atBob, before)).toBe("delivered");
    expect(bob.status(atBob, said)).toBe("delivered");
    expect(bob.stored(atBob)).toEqual([]);
  });

  it("does not come back with a list that leaves it in", async () => {
    const { fleet, ann, tab, bob } = await twoDevices();
    const old = ann.self.devices.lists.at(-1)!;
    await ann.feed(ann.notes, { kind: "remove-device", device: nameOf(tab) });
    await fleet.pass(1_000);
    const env = { now: fleet.now, entropy, crypto: nobleBackend };
    const another = await createOwnDevice(env);
    const forged = await addDevice(old, another.cert, true, ann.self.rootSecret, env);
    expect(forged.ok).toBe(false);
    expect(bob.slices.get(bob.chatWith(ann))?.conversation?.devices.list?.version).toBe(3);
  });
});

describe("a device restored from the phrase when all others are lost", () => {
  /** Ann had a tablet, removed it as stolen, and lost her device. A contact of hers kept a list from before. */
  async function restored() {
    const two = await twoDevices();
    const { fleet, ann, tab, bob } = two;
    const [, stale] = ann.self.devices.lists;
    await ann.feed(ann.notes, { kind: "remove-device", device: nameOf(tab) });
    await fleet.pass(1_000);
    fleet.offline.add(ann);
    const again = await fleet.sibling(ann, "Ann again");
    const mal = await fleet.person("Mal");
    for (const machine of [again, mal]) await start(machine);
    await fleet.connect(again, mal);
    const tell = (teller: Machine, list: DeviceList): Promise<void> =>
      bring(fleet, teller, again, list);
    return { ...two, again, mal, bob, stale: stale!, tell };
  }

  it("signs nothing on top of what a contact brings, so that none that was removed comes back", async () => {
    const { fleet, again, mal, stale, tell } = await restored();
    await tell(mal, stale);
    expect(again.dropped).toContain("unlisted");
    expect(again.self.devices).toMatchObject({ lists: [], links: [] });
    expect(again.slices.get(again.notes)?.conversation?.devices).toMatchObject({
      fork: undefined,
      missing: [],
    });
    const said = await again.write(again.chatWith(mal), "it is me");
    await fleet.pass(1_000);
    expect(again.status(again.chatWith(mal), said)).toBe("delivered");
    expect(mal.slices.get(mal.chatWith(again))?.conversation?.devices.list).toBeUndefined();
  });

  it("lists itself and whom it links, and nobody of before", async () => {
    const { fleet, again, mal, stale, tell } = await restored();
    await tell(mal, stale);
    const next = await fleet.sibling(again, "Ann's new tablet");
    await start(next);
    await fleet.link(again, next);
    await fleet.pass(1_000);
    const listed = [nameOf(again), nameOf(next)];
    const namesIn = (list: DeviceList | undefined) => list?.devices.map(({ id }) => bytesToHex(id));
    expect(namesIn(next.self.devices.lists.at(-1))).toEqual(listed);
    expect(namesIn(mal.slices.get(mal.chatWith(again))?.conversation?.devices.list)).toEqual(
      listed,
    );
    // The old list is none of this history.
    await tell(mal, stale);
    expect(again.self.devices.lists.at(-1)?.version).toBe(2);
  });

  it("is listed by a device of before that takes its invite, and begins no history beside it", async () => {
    const { fleet, ann, again } = await restored();
    const before = ann.self.devices.lists;
    fleet.offline.delete(ann);
    await fleet.link(again, ann);
    await fleet.pass(1_000);
    const list = ann.self.devices.lists.at(-1)!;
    expect(ann.self.devices.lists).toEqual([...before, list]);
    expect(list.devices.map(({ id }) => bytesToHex(id))).toEqual([nameOf(ann), nameOf(again)]);
    expect(again.self.devices.lists).toEqual([list]);
    for (const machine of [ann, again]) {
      const { fork } = machine.slices.get(machine.notes)!.conversation!.devices;
      expect([fork, machine.self.devices.links.length]).toEqual([undefined, 1]);
    }
  });

  it("takes one that names it, whoever brings it: an own device signed that one", async () => {
    const { fleet, ann, again, mal, tell } = await restored();
    const env = { now: fleet.now, entropy, crypto: nobleBackend };
    const { rootSecret, devices } = ann.self;
    const named = await addDevice(devices.lists.at(-1)!, again.self.cert, true, rootSecret, env);
    if (!named.ok) throw new Error(named.reason);
    const signature = named.list.signature.map((byte, index) => (index === 0 ? byte ^ 1 : byte));
    await tell(mal, { ...named.list, signature });
    expect(again.self.devices.lists).toEqual([]);
    await tell(mal, named.list);
    expect(again.self.devices.lists).toEqual([named.list]);
  });
});

describe("a way to a device", () => {
  it("that was first missed by a clock that was set back since is offered all the same", async () => {
    const two = await twoPeople();
    const { fleet, ann, bob } = two;
    const atBob = bob.chatWith(ann);
    const aheadMs = 365 * 86_400_000;
    fleet.now += aheadMs;
    const env = { now: fleet.now, entropy, crypto: nobleBackend };
    await tellLists(two, await historyOf(ann.self.devices.lists[0]!, 2, ann, env));
    expect(bob.slices.get(atBob)!.conversation!.devices.missing).toHaveLength(1);
    fleet.now -= aheadMs;
    await fleet.pass(2 * MISSING_PATIENCE_MS);
    expect(bob.pairsOf(atBob)).toHaveLength(1);
  });

  it("is neither passed on nor used when it leads to somebody else", async () => {
    const { fleet, ann, tab, bob } = await twoDevices();
    const cy = await fleet.person("Cy");
    await start(cy);
    await fleet.connect(ann, cy);
    await fleet.pass(1_000);
    const before = tab.peerIn(tab.chatWith(cy));
    // Bob knows a bundle of Cy's, and has a queue: together they would lead Ann and her tablet astray.
    const env = { now: fleet.now, entropy, crypto: nobleBackend };
    const { bundle } = await createInviteBundle(cy.self, env);
    const atBob = bob.chatWith(ann);
    const { addresses } = bob.peerIn(atBob).queue;
    const offer = async (target: Machine, cert: DeviceCert) => {
      const content = {
        kind: "offer",
        id: asContentId(entropy(16)),
        time: { ms: fleet.now, counter: 0 },
        account: accountIdOf(ann.self.cert.rootKey),
        device: target.self.cert.deviceId,
        cert,
        way: await sealWay(bob.self, target.self.cert, { bundle, addresses }, env),
      } as const;
      const row = {
        id: messageId(),
        from: atBob,
        to: atBob,
        sequence: 1,
        post: { kind: "send", awaits: bytesToHex(content.id), content: encodeContent(content) },
      } as const;
      await bob.feed(atBob, { kind: "post", row });
      await fleet.pass(1_000);
    };
    const refusals = (machine: Machine): number =>
      machine.dropped.filter((one) => one === "wrong-identity").length;
    await offer(tab, cy.self.cert);
    expect([refusals(ann), refusals(tab)]).toEqual([1, 0]);
    // In his own name it travels, but what is in it is not his.
    await offer(tab, bob.self.cert);
    expect([refusals(ann), refusals(tab)]).toEqual([1, 1]);
    await offer(ann, bob.self.cert);
    expect([refusals(ann), refusals(tab)]).toEqual([2, 1]);
    expect(tab.peerIn(tab.chatWith(cy)).contact.addresses).toEqual(before.contact.addresses);
    expect(bob.pairsOf(atBob)).toHaveLength(1);
  });

  it("is offered again when its device asks for a session before it has said where it reads", async () => {
    const { fleet, ann, tab, bob } = await twoDevices();
    const atTab = tab.chatWith(bob);
    const [atBob = ""] = bob.pairsOf(bob.chatWith(ann));
    const change = (machine: Machine, id: string, fields: Partial<Open>): void => {
      const slice = machine.slices.get(id)!;
      const peer = { ...machine.peerIn(id), sessions: [], ...fields };
      machine.slices.set(id, { ...slice, conversation: { ...slice.conversation!, peer } });
    };
    // The tablet's offer came to Bob, and its bundle ended by his clock before his own queue was made.
    const spares = { ...bob.peerIn(atBob).spares, theirs: undefined, usedAt: 0 };
    change(bob, atBob, { spares });
    const { contact } = tab.peerIn(atTab);
    const unknown = { spares: { ...spares, own: [] }, contact: { ...contact, addresses: [] } };
    change(tab, atTab, { ...unknown, offeredAt: fleet.now });
    const text = await tab.write(atTab, "from the tablet");
    await bob.feed(atBob, { kind: "wake" });
    await fleet.settle();
    expect(tab.slices.get(atTab)!.conversation!.devices.news.anew).toBe(1);
    await fleet.pass(2 * OFFER_AGAIN_MS);
    expect(bob.shown(bob.chatWith(ann))).toEqual(["from the tablet"]);
    expect(tab.status(atTab, text)).toBe("delivered");
  });

  it("between own devices is found through a contact when the one between them is gone", async () => {
    const { fleet, ann, tab, bob } = await twoDevices();
    const phone = await fleet.sibling(ann, "Ann's phone");
    await start(phone);
    await fleet.link(tab, phone);
    await fleet.pass(1_000);
    // Ann's first device and her phone know each other from the list alone, and the tablet is removed.
    expect(ann.self.devices.links).toHaveLength(1);
    await phone.feed(phone.notes, { kind: "remove-device", device: nameOf(tab) });
    await fleet.pass(1_000);
    expect(ann.self.devices.lists.at(-1)?.version).toBe(4);
    await fleet.pass(3 * OFFER_AGAIN_MS);
    expect(bob.pairsOf(bob.chatWith(ann))).toHaveLength(1);
    await phone.write(phone.notes, "here");
    await fleet.pass(1_000);
    expect(ann.shown(ann.notes)).toEqual(["here"]);
    expect(ann.self.devices.reach).toEqual([]);
    expect(phone.self.devices.reach).toEqual([]);
  });
});

describe("lists that do not fit", () => {
  it("hold every text until the person has decided", async () => {
    const { fleet, ann, tab, bob } = await twoDevices();
    const atBob = bob.chatWith(ann);
    // Whoever has the root secret signs another second list, and shows it to the tablet alone.
    const env = { now: fleet.now + 5, entropy, crypto: nobleBackend };
    const [first] = ann.self.devices.lists;
    const other = await addDevice(first!, tab.self.cert, false, ann.self.rootSecret, env);
    if (!other.ok) throw new Error(other.reason);
    tab.self = { ...tab.self, devices: { ...tab.self.devices, lists: [other.list] } };
    await tab.write(tab.chatWith(bob), "from another history");
    await fleet.pass(1_000);
    expect(bob.slices.get(atBob)?.conversation?.devices.fork).toBe(2);
    const held = await bob.write(atBob, "held");
    await fleet.pass(1_000);
    expect(bob.status(atBob, held)).toBe("queued");
    expect(ann.shown(ann.chatWith(bob))).not.toContain("held");
    await bob.feed(atBob, { kind: "answer-fork", compared: false });
    // Which devices are to have it, only the list that was asked for says.
    const row = bob.stored(atBob).find(({ awaits }) => awaits === held);
    expect(row).toMatchObject({ envelope: undefined, spread: false });
    await fleet.pass(1_000);
    expect(bob.status(atBob, held)).toBe("delivered");
    expect(ann.shown(ann.chatWith(bob))).toContain("held");
  });

  it("hold it for a verified contact until the numbers were compared", async () => {
    const { fleet, ann, tab, bob } = await twoDevices();
    const atBob = bob.chatWith(ann);
    await bob.feed(atBob, { kind: "mark-verified", verified: true });
    const env = { now: fleet.now + 5, entropy, crypto: nobleBackend };
    const other = await createDeviceList(ann.self, env);
    tab.self = { ...tab.self, devices: { ...tab.self.devices, lists: [other] } };
    const forged = await addDevice(other, tab.self.cert, true, ann.self.rootSecret, env);
    if (!forged.ok) throw new Error(forged.reason);
    tab.self = { ...tab.self, devices: { ...tab.self.devices, lists: [forged.list] } };
    await tab.write(tab.chatWith(bob), "hm");
    await fleet.pass(1_000);
    expect(bob.slices.get(atBob)?.conversation?.devices.fork).toBe(2);
    await bob.feed(atBob, { kind: "answer-fork", compared: false });
    expect(bob.slices.get(atBob)?.conversation?.devices.fork).toBe(2);
    await bob.feed(atBob, { kind: "answer-fork", compared: true });
    expect(bob.slices.get(atBob)?.conversation?.devices.fork).toBeUndefined();
  });

  it("that come before those they follow are kept, and texts wait for all of them", async () => {
    const { fleet, ann, bob } = await twoDevices();
    const atBob = bob.chatWith(ann);
    // Everything on its way to Bob arrives, but in the opposite order.
    fleet.offline.add(bob);
    for (let count = 0; count < 3; count++) {
      const next = await fleet.sibling(ann, `device ${count}`);
      await start(next);
      await fleet.link(ann, next);
    }
    expect(ann.self.devices.lists.at(-1)?.version).toBe(5);
    fleet.waiting.splice(0, fleet.waiting.length, ...fleet.waiting.toReversed());
    fleet.offline.delete(bob);
    await fleet.pass(1_000);
    const { devices } = bob.slices.get(atBob)!.conversation!;
    expect(devices).toMatchObject({ behind: undefined, later: [], fork: undefined });
    expect(devices.list?.version).toBe(5);
    expect(LATER_LISTS_MAX).toBeGreaterThan(3);
    expect(bob.pairsOf(atBob)).toHaveLength(4);
  });

  it("are a fork when the first one does not fit the mark that was seen before it", async () => {
    const two = await twoPeople();
    const { fleet, ann, bob } = two;
    const known = () => bob.slices.get(bob.chatWith(ann))?.conversation?.devices;
    expect(known()).toMatchObject({ list: undefined, pinned: { version: 1 }, fork: undefined });
    const env = { now: fleet.now + 5, entropy, crypto: nobleBackend };
    const lists = await historyOf(await createDeviceList(ann.self, env), 2, ann, env);
    await tellLists(two, lists);
    expect(bob.dropped).toContain("bad-list");
    expect(known()).toMatchObject({ list: undefined, fork: 1 });
  });

  it("hold texts until the newest that was shown is there, though some before it came", async () => {
    const two = await twoPeople();
    const { fleet, ann, bob } = two;
    const atBob = bob.chatWith(ann);
    const known = () => bob.slices.get(atBob)!.conversation!.devices;
    const env = { now: fleet.now, entropy, crypto: nobleBackend };
    const history = await historyOf(ann.self.devices.lists[0]!, 5, ann, env);
    const tell = (version: number): Promise<void> => tellLists(two, history.slice(0, version));
    await tell(2);
    // Of the three that follow, each with a mark of the last, the last is lost, and what asks for it.
    let told = 0;
    fleet.lost = ({ from }) => from === bob || ++told === 3;
    await tell(5);
    expect(known()).toMatchObject({ behind: 5, list: { version: 4 } });
    const held = await bob.write(atBob, "held");
    await fleet.settle();
    expect(bob.stored(atBob).find(({ awaits }) => awaits === held)?.envelope).toBeUndefined();
    fleet.lost = undefined;
    await fleet.pass(ASK_AGAIN_MS);
    expect(known()).toMatchObject({ behind: undefined, list: { version: 5 } });
    await fleet.pass(1_000);
    expect(bob.status(atBob, held)).toBe("delivered");
  });

  it("are the newest LATER_LISTS_MAX, and those that were not kept are asked for", async () => {
    let verified = 0;
    const verify: typeof nobleBackend.verify = (...given) => {
      verified++;
      return nobleBackend.verify(...given);
    };
    const two = await twoPeople({ ...nobleBackend, verify });
    const { fleet, ann, bob } = two;
    const known = () => bob.slices.get(bob.chatWith(ann))!.conversation!.devices;
    const env = { now: fleet.now, entropy, crypto: nobleBackend };
    const [first] = ann.self.devices.lists;
    const missing = 3;
    const most = missing + LATER_LISTS_MAX;
    const history = await historyOf(first!, most + 1, ann, env);
    const tell = (version: number): Promise<void> => tellLists(two, history.slice(0, version));
    await tell(missing - 1);
    expect(known().list?.version).toBe(missing - 1);
    // The next list is lost, and so is whatever asks for it.
    let told = 0;
    fleet.lost = ({ from }) => from === bob || told++ === 0;
    await tell(most - 1);
    verified = 0;
    await tell(most);
    // This one alone: each of those behind the gap was verified when it came.
    expect(verified).toBe(1);
    const kept = () => known().later.map(({ version }) => version);
    const from = (version: number) =>
      Array.from({ length: LATER_LISTS_MAX }, (_, index) => version + index);
    expect(kept()).toEqual(from(missing + 1));
    await tell(most + 1);
    expect(kept()).toEqual(from(missing + 2));
    const [newest] = known().later.slice(-1);
    const signature = newest!.signature.map((byte) => byte ^ 1);
    await bring(fleet, ann, bob, { ...newest!, version: most + 2, signature });
    expect(known()).toMatchObject({ behind: most + 1 });
    expect(kept()).toEqual(from(missing + 2));
    fleet.lost = undefined;
    await fleet.pass(ASK_AGAIN_MS);
    expect(known()).toMatchObject({ later: [], behind: undefined, fork: undefined });
    expect(known().list?.version).toBe(most + 1);
  });

  it("are asked for when the first one was lost with a store, and the account goes on showing it", async () => {
    const { fleet, ann, bob } = await twoDevices();
    const chat = bob.chatWith(ann);
    const slice = bob.slices.get(chat)!;
    const conversation = slice.conversation!;
    const { devices } = conversation;
    const pinned = {
      version: 2,
      prefix: listHash(devices.list!).subarray(0, LIST_PREFIX_BYTES),
    };
    const before = { ...devices, list: undefined, links: [], pinned };
    bob.slices.set(chat, { ...slice, conversation: { ...conversation, devices: before } });
    const listAfter = async (ms: number): Promise<number | undefined> => {
      fleet.now += ms;
      await ann.write(ann.chatWith(bob), "who was here before");
      await fleet.pass(10_000);
      return bob.slices.get(chat)!.conversation!.devices.list?.version;
    };
    expect(await listAfter(0)).toBeUndefined();
    expect(await listAfter(0)).toBeUndefined();
    expect(await listAfter(ASK_AGAIN_MS)).toBe(2);
  });

  it("are told back to a device that knows less, and once only if it forgets again and again", async () => {
    const { fleet, ann, bob } = await twoDevices();
    const { lists } = ann.self.devices;
    expect(lists).toHaveLength(2);
    const told = () => bob.slices.get(bob.chatWith(ann))!.conversation!.devices.told;
    expect(told()).toEqual([]);
    const framesBack = async (): Promise<number> => {
      fleet.released(bob);
      for (const known of [lists, lists.slice(0, 1)]) {
        ann.self = { ...ann.self, devices: { ...ann.self.devices, lists: known } };
        await ann.write(ann.chatWith(bob), "from a store of now, or of before");
        await fleet.pass(10_000);
      }
      return fleet.released(bob).filter(({ to }) => to === ann).length;
    };
    const first = await framesBack();
    expect(told()).toMatchObject([{ version: 2 }]);
    expect([await framesBack(), await framesBack()]).toEqual([first - 1, first - 1]);
  });
});
