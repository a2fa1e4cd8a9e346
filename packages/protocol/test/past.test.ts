/** What was written before a device was there comes to it from another one of its account (SPEC.md §14). */
import { accountIdOf } from "@sotto/crypto";
import { ASK_AGAIN_MS, LOOK_BACK_MS } from "@sotto/protocol";
import {
  asContentId,
  bytesToHex,
  type Content,
  encodeContent,
  PAST_PAGES_MAX,
  PAST_ROWS_MAX,
  TEXT_BYTES_MAX,
} from "@sotto/wire";
import { describe, expect, it } from "vitest";
import { entropy, messageId } from "./fixture.ts";
import { createFleet, type Fleet, type Machine, start } from "./fleet.ts";

interface Two {
  readonly fleet: Fleet;
  readonly ann: Machine;
  readonly bob: Machine;
}

async function twoPeople(): Promise<Two> {
  const fleet = createFleet();
  const ann = await fleet.person("Ann");
  const bob = await fleet.person("Bob");
  for (const machine of [ann, bob]) await start(machine);
  await fleet.connect(ann, bob);
  await fleet.pass(1_000);
  return { fleet, ann, bob };
}

async function linked({ fleet, ann }: Two, passMs = 1_000): Promise<Machine> {
  const tab = await fleet.sibling(ann, "Ann's tablet");
  await start(tab);
  await fleet.link(ann, tab);
  await fleet.pass(passMs);
  return tab;
}

/** Rows in the store alone, as if they had been written long ago. */
function fill(machine: Machine, conversation: string, texts: readonly string[]): void {
  for (const [at, text] of texts.entries()) {
    const id = messageId();
    const ms = (1_000_000 + at).toString(16).padStart(12, "0");
    const author = bytesToHex(accountIdOf(machine.self.cert.rootKey));
    machine.messages.set(`${conversation}/${id}`, {
      id,
      conversation,
      order: `${ms}0000${author}${id}`,
      own: true,
      author: undefined,
      text,
      sentAt: 1_000_000 + at,
      receivedAt: 1_000_000 + at,
      status: at % 3 === 0 ? "failed" : "delivered",
      path: "direct",
    });
  }
}

const past = (machine: Machine, id: string) => machine.slices.get(id)?.conversation?.devices.past;

describe("history of before", () => {
  it("comes with its order, its authors and its signs, and nothing counts as unread", async () => {
    const two = await twoPeople();
    const { fleet, ann, bob } = two;
    await ann.write(ann.notes, "note");
    const said = await ann.write(ann.chatWith(bob), "from Ann");
    await fleet.pass(1_000);
    const heard = await bob.write(bob.chatWith(ann), "from Bob");
    await fleet.pass(1_000);
    const tab = await linked(two);
    const chat = tab.chatWith(bob);
    expect(tab.shown(tab.notes)).toEqual(["note"]);
    expect(tab.shown(chat)).toEqual(["from Ann", "from Bob"]);
    for (const id of [said, heard]) {
      const there = ann.messages.get(`${ann.chatWith(bob)}/${id}`);
      const { order, own, status, sentAt } = tab.messages.get(`${chat}/${id}`)!;
      expect([order, own, status, sentAt]).toEqual([
        there?.order,
        there?.own,
        there?.status,
        there?.sentAt,
      ]);
    }
    const record = tab.slices.get(chat)?.conversation;
    expect([record?.unread, record?.last?.text]).toEqual([0, "from Bob"]);
    expect(past(tab, chat)).toMatchObject({ whole: true });
    expect([...ann.posts.keys(), ...tab.posts.keys()]).toEqual([]);
  });

  it("of a group comes, too", async () => {
    const two = await twoPeople();
    const { fleet, ann, bob } = two;
    await ann.begin({ kind: "start-group", id: messageId() });
    await fleet.settle();
    const account = bytesToHex(accountIdOf(bob.self.cert.rootKey));
    await ann.feed(ann.groupOf(), { kind: "group-add", account });
    await fleet.pass(1_000);
    await ann.write(ann.groupOf(), "Ann to all");
    await bob.write(bob.groupOf(), "Bob to all");
    await fleet.pass(1_000);
    const tab = await linked(two, 5_000);
    expect(tab.shown(tab.groupOf())).toEqual(ann.shown(ann.groupOf()));
    const authors = (machine: Machine) =>
      [...machine.messages.values()]
        .filter(({ conversation }) => conversation === machine.groupOf())
        .map(({ order, author, own }) => `${order} ${author} ${own}`)
        .toSorted();
    expect(authors(tab)).toEqual(authors(ann));
    expect(authors(tab)).toHaveLength(2);
  });

  it("comes in pages, the newest first, one and then several at a time", async () => {
    const two = await twoPeople();
    const { fleet, ann } = two;
    const texts = Array.from({ length: 3 * PAST_ROWS_MAX + 1 }, (_, at) => `note ${at}`);
    fill(ann, ann.notes, texts);
    const asked: unknown[] = [];
    fleet.read = (machine, { pages, before }) => {
      if (machine === ann) asked.push([pages, before === undefined]);
    };
    const tab = await linked(two);
    expect(tab.shown(tab.notes)).toEqual(texts);
    expect(asked.slice(0, 2)).toEqual(expect.arrayContaining([[1, true]]));
    expect(asked.filter((one) => (one as [number])[0] > 1).length).toBeGreaterThan(0);
    const signs = (machine: Machine) =>
      [...machine.messages.values()]
        .filter(({ conversation }) => conversation === machine.notes)
        .map(({ order, status }) => `${order} ${status}`)
        .toSorted();
    expect(signs(tab)).toEqual(signs(ann));
  });

  it("has messages as long as they can be, each in a page of its own", async () => {
    const two = await twoPeople();
    const texts = Array.from({ length: 3 }, (_, at) => `${at}`.repeat(TEXT_BYTES_MAX));
    fill(two.ann, two.ann.notes, texts);
    const tab = await linked(two);
    expect(tab.shown(tab.notes)).toEqual(texts);
  });

  it("goes on where it was in a new process", async () => {
    const two = await twoPeople();
    const { fleet, ann, bob } = two;
    // Of a conversation with nothing in it everything is asked for again, too.
    await ann.write(ann.chatWith(bob), "first");
    const texts = Array.from({ length: 2 * PAST_ROWS_MAX }, (_, at) => `note ${at}`);
    fill(ann, ann.notes, texts);
    let count = 0;
    fleet.read = (machine, { before }) => {
      if (machine !== ann || before === undefined) return;
      count++;
      fleet.reads = false;
    };
    const tab = await linked(two);
    expect(count).toBeGreaterThan(0);
    const before = past(tab, tab.notes)?.before;
    expect(before).toBeDefined();
    expect(tab.shown(tab.notes).length).toBeLessThan(texts.length);
    tab.restart();
    fleet.reads = true;
    fleet.read = (machine, effect) => {
      // Once all is there, the next pass begins with the newest.
      const isThere = tab.shown(tab.notes).length === texts.length;
      if (machine === ann && effect.since === 0 && !isThere) expect(effect.before).toBeDefined();
    };
    await fleet.pass(1_000);
    expect(tab.shown(tab.notes)).toEqual(texts);
  });

  it("is asked for again when the answer was lost, and not before", async () => {
    const two = await twoPeople();
    const { fleet, ann } = two;
    await ann.write(ann.notes, "note");
    fleet.reads = false;
    const tab = await linked(two);
    fleet.reads = true;
    await fleet.pass(1_000);
    expect(tab.shown(tab.notes)).toEqual([]);
    await fleet.pass(ASK_AGAIN_MS);
    expect(tab.shown(tab.notes)).toEqual(["note"]);
  });

  it("has what a contact wrote to the first device before it knew of the second", async () => {
    const two = await twoPeople();
    const { fleet, ann, bob } = two;
    fleet.offline.add(bob);
    const tab = await linked(two);
    await bob.write(bob.chatWith(ann), "late");
    expect(tab.shown(tab.chatWith(bob))).toEqual([]);
    fleet.offline.delete(bob);
    for (const id of bob.slices.keys()) await bob.feed(id, { kind: "hub", up: true });
    await fleet.pass(5_000);
    expect(ann.shown(ann.chatWith(bob))).toEqual(["late"]);
    expect(tab.shown(tab.chatWith(bob))).toEqual(["late"]);
  });

  /** Bob, whom the tablet has not met, says something, and his clock is at `ms`; then they meet. */
  async function meetsLate({ fleet, ann, bob }: Two, tab: Machine, ms: number): Promise<void> {
    const about = { id: asContentId(entropy(16)), time: { ms, counter: 0 } };
    await sendBy(bob, bob.chatWith(ann), { kind: "text", ...about, text: "late" });
    fleet.offline.delete(bob);
    for (const id of bob.slices.keys()) await bob.feed(id, { kind: "hub", up: true });
    await fleet.pass(5_000);
    expect(ann.shown(ann.chatWith(bob))).toContain("late");
    expect(tab.shown(tab.chatWith(bob))).toEqual(ann.shown(ann.chatWith(bob)));
  }

  it.each([LOOK_BACK_MS, LOOK_BACK_MS + 1, 300 * 24 * 3_600_000])(
    "has what a clock %i ms behind wrote to the first device before its contact knew of the second",
    async (behindMs) => {
      const two = await twoPeople();
      const { fleet, ann, bob } = two;
      const first = await ann.write(ann.chatWith(bob), "first");
      await fleet.pass(1_000);
      const { order } = ann.messages.get(`${ann.chatWith(bob)}/${first}`)!;
      const ms = Number.parseInt(order.slice(0, 12), 16) - behindMs;
      fleet.offline.add(bob);
      const tab = await linked(two, 5_000);
      await meetsLate(two, tab, ms);
      const { late } = ann.slices.get(ann.chatWith(bob))!.conversation!.devices;
      expect(late).toBe(behindMs > LOOK_BACK_MS ? ms : undefined);
    },
  );

  it("has what came after it asked by a clock that ran ahead", async () => {
    const two = await twoPeople();
    const { fleet, ann, bob } = two;
    await ann.write(ann.chatWith(bob), "first");
    await fleet.pass(1_000);
    fleet.offline.add(bob);
    fleet.now += 30 * 24 * 3_600_000;
    const tab = await linked(two, 5_000);
    expect(tab.shown(tab.chatWith(bob))).toEqual(["first"]);
    fleet.now -= 30 * 24 * 3_600_000;
    await meetsLate(two, tab, fleet.now);
  });

  it("comes to a device that was linked by one which was still waiting for it itself", async () => {
    const two = await twoPeople();
    const { fleet, ann } = two;
    const texts = Array.from({ length: 2 * PAST_ROWS_MAX }, (_, at) => `note ${at}`);
    fill(ann, ann.notes, texts);
    fleet.read = (machine, { before }) => {
      if (machine === ann && before !== undefined) fleet.reads = false;
    };
    const tab = await linked(two);
    fleet.offline.add(ann);
    fleet.reads = true;
    fleet.read = undefined;
    const phone = await fleet.sibling(tab, "Ann's phone");
    await start(phone);
    await fleet.link(tab, phone);
    await fleet.pass(1_000);
    const short = tab.shown(tab.notes);
    expect(short.length).toBeLessThan(texts.length);
    expect(phone.shown(phone.notes)).toEqual(short);
    fleet.offline.delete(ann);
    for (const id of ann.slices.keys()) await ann.feed(id, { kind: "hub", up: true });
    await fleet.pass(2 * ASK_AGAIN_MS);
    expect(tab.shown(tab.notes)).toEqual(texts);
    expect(phone.shown(phone.notes)).toEqual(texts);
  });

  it("never writes over what is there", async () => {
    const two = await twoPeople();
    const { fleet, ann } = two;
    const id = await ann.write(ann.notes, "note");
    const tab = await linked(two);
    const pair = ann.self.devices.links[0]!.conversation;
    const page: Content = {
      kind: "past",
      id: asContentId(entropy(16)),
      time: { ms: fleet.now, counter: 0 },
      place: { kind: "account", account: accountIdOf(ann.self.cert.rootKey) },
      before: undefined,
      left: 0,
      more: false,
      rows: [
        {
          id: asContentId(Uint8Array.from(Buffer.from(id, "hex"))),
          said: undefined,
          time: { ms: fleet.now, counter: 0 },
          own: false,
          author: undefined,
          receivedAt: fleet.now,
          status: "sent",
          text: "forged",
        },
      ],
    };
    await sendBy(ann, pair, page);
    await fleet.pass(1_000);
    expect(tab.shown(tab.notes)).toEqual(["note"]);
  });

  it("out of a backup stands where it belongs, once, and never over what is there", async () => {
    const { fleet, ann } = await twoPeople();
    const id = await ann.write(ann.notes, "here");
    const own = ann.messages.get(`${ann.notes}/${id}`)!;
    const late = messageId();
    const at = (ms: number, of: string): string =>
      ms.toString(16).padStart(12, "0") + own.order.slice(12, 56) + of;
    const later = fleet.now + 3_600_000;
    const rows = [
      { ...own, text: "changed" },
      { ...own, id: late, order: at(later, late), text: "later", status: "queued" as const },
    ];
    await ann.feed(ann.notes, { kind: "merge-messages", rows });
    await ann.feed(ann.notes, { kind: "merge-messages", rows });
    expect(ann.shown(ann.notes)).toEqual(["here", "later"]);
    // Nothing is on its way to anybody.
    expect(ann.messages.get(`${ann.notes}/${late}`)?.status).toBe("relayed");
    await ann.write(ann.notes, "next");
    expect(ann.shown(ann.notes)).toEqual(["here", "later", "next"]);
  });

  it("out of a backup counts as none where it is of another conversation or of no time", async () => {
    const { ann, bob } = await twoPeople();
    const id = await ann.write(ann.notes, "here");
    const own = ann.messages.get(`${ann.notes}/${id}`)!;
    const rows = [
      { ...own, id: messageId(), conversation: ann.chatWith(bob) },
      { ...own, id: messageId(), order: `f${own.order.slice(1)}` },
    ];
    const effects = await ann.feed(ann.notes, { kind: "merge-messages", rows });
    const dropped = effects.filter((one) => one.kind === "dropped");
    expect(dropped).toEqual(rows.map(() => ({ kind: "dropped", reason: "malformed" })));
    expect(ann.shown(ann.notes)).toEqual(["here"]);
  });

  it("is nobody else's to ask for, or to bring", async () => {
    const two = await twoPeople();
    const { fleet, ann, bob } = two;
    await ann.write(ann.notes, "private");
    const read: Machine[] = [];
    fleet.read = (machine) => read.push(machine);
    const account = accountIdOf(ann.self.cert.rootKey);
    const about = { id: asContentId(entropy(16)), time: { ms: fleet.now, counter: 0 } };
    const place = { kind: "account", account } as const;
    const ask: Content = {
      kind: "ask-past",
      ...about,
      place,
      before: undefined,
      since: 0,
      pages: 1,
    };
    await sendBy(bob, bob.chatWith(ann), ask);
    const row = {
      id: asContentId(entropy(16)),
      said: undefined,
      time: about.time,
      own: true,
      author: undefined,
      receivedAt: fleet.now,
      status: "sent",
      text: "forged",
    } as const;
    const bring: Content = {
      kind: "past",
      ...about,
      id: asContentId(entropy(16)),
      place,
      before: undefined,
      left: 0,
      more: false,
      rows: [row],
    };
    await sendBy(bob, bob.chatWith(ann), bring);
    await fleet.pass(1_000);
    expect(read).toEqual([]);
    expect(ann.shown(ann.notes)).toEqual(["private"]);
    expect(ann.shown(ann.chatWith(bob))).toEqual([]);
    expect(ann.dropped).toEqual(["unexpected", "unexpected"]);
  });

  it("is not given to a device that came with the phrase alone", async () => {
    const two = await twoPeople();
    const { fleet, ann, bob } = two;
    await ann.write(ann.notes, "private");
    await ann.write(ann.chatWith(bob), "from Ann");
    await fleet.pass(1_000);
    const tab = await linked(two);
    const read: Machine[] = [];
    fleet.read = (machine) => read.push(machine);
    // The tablet's own link is not one that it was invited by; nor does it ask by itself.
    for (const machine of [ann, tab]) {
      const links = machine.self.devices.links.map(({ device, conversation }) => ({
        device,
        conversation,
      }));
      machine.self = { ...machine.self, devices: { ...machine.self.devices, links } };
    }
    const pair = tab.self.devices.links[0]!.conversation;
    const account = accountIdOf(ann.self.cert.rootKey);
    const ask: Content = {
      kind: "ask-past",
      id: asContentId(entropy(16)),
      time: { ms: fleet.now, counter: 0 },
      place: { kind: "account", account },
      before: undefined,
      since: 0,
      pages: PAST_PAGES_MAX,
    };
    const before = tab.shown(tab.notes);
    await ann.write(ann.notes, "later");
    await sendBy(tab, pair, ask);
    await fleet.pass(ASK_AGAIN_MS);
    expect(read).toEqual([]);
    expect(ann.dropped).toContain("unlisted");
    expect(tab.shown(tab.notes)).toEqual([...before, "later"]);
    expect(tab.stored(pair)).toEqual([]);
  });

  it("of what the other device does not have ends at once", async () => {
    const two = await twoPeople();
    const { fleet, ann } = two;
    const tab = await linked(two);
    const pair = tab.self.devices.links[0]!.conversation;
    const about = { id: asContentId(entropy(16)), time: { ms: fleet.now, counter: 0 } };
    for (const place of [
      { kind: "account", account: accountIdOf(entropy(32)) },
      { kind: "group", group: entropy(32) as never },
    ] as const) {
      const id = asContentId(entropy(16));
      const ask: Content = {
        kind: "ask-past",
        ...about,
        id,
        place,
        before: undefined,
        since: 0,
        pages: PAST_PAGES_MAX,
      };
      await sendBy(tab, pair, ask);
    }
    await fleet.pass(1_000);
    expect([...ann.posts.keys(), ...tab.posts.keys()]).toEqual([]);
    expect(tab.stored(pair)).toEqual([]);
  });
});

/** What a device of that account, or a changed app, says in one of its pairs. */
async function sendBy(machine: Machine, pair: string, content: Content): Promise<void> {
  const awaits = "id" in content ? bytesToHex(content.id) : "";
  const row = {
    id: messageId(),
    from: "elsewhere",
    to: pair,
    sequence: 1,
    post: { kind: "send", awaits, content: encodeContent(content) },
  } as const;
  await machine.feed(pair, { kind: "post", row });
}
