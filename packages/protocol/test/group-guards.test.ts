/** What records and groups refuse of each other and of members: each guard by what happens without it (SPEC.md §10, §11). */
import {
  accountIdOf,
  addDevice,
  createDeviceList,
  createInviteBundle,
  encrypt,
  initiate,
  nobleBackend,
} from "@sotto/crypto";
import {
  type ConversationRecord,
  type Effect,
  MISSING_PATIENCE_MS,
  OFFER_AGAIN_MS,
  type Post,
  type PostRow,
  routeOf,
  type Slice,
  STRANGER_PAIRS_MAX,
} from "@sotto/protocol";
import {
  asContentId,
  asGroupId,
  bytesToHex,
  type Content,
  decodeBundle,
  type DeviceCert,
  encodeContent,
  GROUP_ENVELOPE_TYPE,
  hexToBytes,
} from "@sotto/wire";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { accountOf, circle, read, say } from "./circle.ts";
import { entropy, messageId } from "./fixture.ts";
import type { Fleet, Machine } from "./fleet.ts";

type Open = Extract<ConversationRecord["peer"], { state: "open" }>;

let fleet: Fleet;
let ann: Machine;
let bob: Machine;
let cy: Machine;
const before = new Map<Machine, readonly (readonly [string, Slice])[]>();

/** Made once: slices are values, and each test begins with those of then. */
beforeAll(async () => {
  const made = await circle(["Ann", "Bob", "Cy"]);
  const [a, b, c] = made.people;
  if (a === undefined || b === undefined || c === undefined) throw new Error("too few");
  ({ fleet } = made);
  [ann, bob, cy] = [a, b, c];
  for (const one of [ann, bob, cy]) before.set(one, [...one.slices]);
});

beforeEach(() => {
  for (const [machine, slices] of before) {
    machine.slices.clear();
    for (const [id, slice] of slices) machine.slices.set(id, slice);
    machine.posts.clear();
    machine.messages.clear();
    machine.dropped.length = 0;
  }
  fleet.waiting.length = 0;
});

const sliceOf = (machine: Machine, id: string) => {
  const slice = machine.slices.get(id);
  if (slice?.conversation === undefined) throw new Error("no conversation");
  return { slice, conversation: slice.conversation };
};

function setRecord(machine: Machine, id: string, change: Partial<ConversationRecord>): void {
  const { slice, conversation } = sliceOf(machine, id);
  machine.slices.set(id, { ...slice, conversation: { ...conversation, ...change } });
}

const setDevices = (
  machine: Machine,
  id: string,
  change: Partial<ConversationRecord["devices"]>,
): void => {
  const { devices } = sliceOf(machine, id).conversation;
  setRecord(machine, id, { devices: { ...devices, ...change } });
};

const setPeer = (machine: Machine, id: string, change: Partial<Open>): void =>
  setRecord(machine, id, { peer: { ...machine.peerIn(id), ...change } });

const postsIn = (effects: readonly Effect[]): readonly PostRow[] =>
  effects.flatMap((one) => (one.kind === "commit" ? one.change.addPosts : []));

/** Begun and not delivered yet. */
const postsOf = (machine: Machine, id: string): readonly string[] =>
  [...machine.posts.values()].filter(({ from }) => from === id).map(({ post }) => post.kind);

const kindsIn = (effects: readonly Effect[]): readonly string[] =>
  postsIn(effects).map(({ post }) => post.kind);

const postTo = (
  machine: Machine,
  to: string,
  post: Post,
  from = messageId(),
): Promise<readonly Effect[]> =>
  machine.feed(to, { kind: "post", row: { id: messageId(), from, to, sequence: 1, post } });

const about = (ms = fleet.now) => ({
  id: asContentId(entropy(16)),
  time: { ms, counter: 0 },
});

const groupOf = (machine: Machine) => {
  const { peer } = sliceOf(machine, machine.groupOf()).conversation;
  if (peer.state !== "group") throw new Error("no group");
  return asGroupId(hexToBytes(peer.group) ?? new Uint8Array(32));
};

const told = (account: string, of: Machine, content: Content): Post => ({
  kind: "told",
  account,
  device: bytesToHex(of.self.cert.deviceId),
  content: encodeContent(content),
});

const forged = (signature: Uint8Array): Uint8Array =>
  signature.map((byte, index) => (index === 0 ? byte ^ 1 : byte));

const env = () => ({ now: fleet.now, entropy, crypto: nobleBackend });

const member = (cert: DeviceCert, list: Extract<Content, { kind: "member" }>["list"]) =>
  ({ kind: "member", ...about(), group: groupOf(ann), name: "Dan", cert, list }) as const;

/** Bob's record of his pair with Cy, whom he knows from the group alone. */
const strangerAt = (): string =>
  [...bob.slices].find(([, { conversation }]) => conversation?.listed === false)?.[0] ?? "";

describe("a group is told that an account has no devices to seal for", () => {
  const rosters = async (): Promise<readonly number[]> =>
    postsIn(await ann.feed(ann.chatWith(bob), { kind: "wake" })).flatMap(({ post }) =>
      post.kind === "roster" ? [post.devices.length] : [],
    );

  it("while somebody else answers in its place", async () => {
    setPeer(ann, ann.chatWith(bob), { change: { cert: cy.self.cert, frames: [], at: fleet.now } });
    expect(await rosters()).toEqual([0]);
  });

  it("while its lists contradict each other", async () => {
    setDevices(ann, ann.chatWith(bob), { fork: 2 });
    expect(await rosters()).toEqual([0]);
  });

  it("while a newer list is not here", async () => {
    setDevices(ann, ann.chatWith(bob), { behind: 2 });
    expect(await rosters()).toEqual([0]);
  });

  it("when the only one was removed", async () => {
    setPeer(ann, ann.chatWith(bob), { retired: true });
    expect(await rosters()).toEqual([0]);
  });

  it("once the person took somebody else for the contact", async () => {
    const id = ann.chatWith(bob);
    setPeer(ann, id, { change: { cert: cy.self.cert, frames: [], at: fleet.now } });
    const { rootKey } = cy.self.cert;
    const effects = await ann.feed(id, { kind: "answer-change", rootKey, answer: "accept" });
    expect(postsIn(effects).map(({ post }) => post)).toContainEqual({
      kind: "roster",
      account: accountOf(bob),
      devices: [],
    });
  });
});

describe("a conversation", () => {
  it("introduces nobody whose identity changed", async () => {
    const id = ann.chatWith(bob);
    const present = {
      kind: "present",
      group: bytesToHex(groupOf(ann)),
      to: [accountOf(cy)],
    } as const;
    expect(kindsIn(await postTo(ann, id, present))).toEqual(["deliver"]);
    setPeer(ann, id, { change: { cert: cy.self.cert, frames: [], at: fleet.now } });
    expect(kindsIn(await postTo(ann, id, present))).not.toContain("deliver");
  });

  it("sends a removed device nothing of a group's", async () => {
    const id = ann.chatWith(bob);
    setPeer(ann, id, { retired: true });
    await postTo(ann, id, { kind: "release", awaits: messageId(), envelope: entropy(64) });
    expect(ann.slices.get(id)?.outbox).toEqual([]);
  });

  it.each(["somebody else answers", "its device was removed"])(
    "takes no sealed message of a group while %s",
    async (why) => {
      const id = ann.chatWith(bob);
      await say(bob, "from whom?");
      for (let round = 0; round < 3; round++) await fleet.settleFor(({ bytes }) => bytes[0] !== 5);
      const change = { cert: cy.self.cert, frames: [], at: fleet.now };
      setPeer(ann, id, why === "somebody else answers" ? { change } : { retired: true });
      await fleet.settleFor(({ to }) => to === ann);
      expect(read(ann)).toEqual([]);
      expect(ann.dropped).toEqual(["unexpected"]);
    },
  );

  it("asks for no group because of a question about it", async () => {
    const id = ann.chatWith(bob);
    const heads = { kind: "heads", ...about(), group: asGroupId(entropy(32)), heads: [] } as const;
    await postTo(ann, id, told(accountOf(bob), bob, heads), id);
    expect(ann.slices.get(id)?.outbox).toEqual([]);
  });

  it("shows nothing that a record which is no pair of its account hands up", async () => {
    const id = ann.chatWith(bob);
    const text = encodeContent({ kind: "text", ...about(), text: "trust me" });
    await postTo(ann, id, { kind: "content", content: text, path: "relay" });
    expect(ann.shown(id)).toEqual([]);
    expect(ann.dropped).toContain("unlisted");
  });

  it("hears nothing from a contact's further device that only own devices may say", async () => {
    const id = ann.chatWith(bob);
    const account = accountIdOf(ann.self.cert.rootKey);
    const text = { kind: "text", ...about(), text: "as if Ann had said it" } as const;
    const contact = { kind: "contact", ...about(), name: "Eve", verified: true } as const;
    const contents: readonly Content[] = [
      { kind: "carried", ...about(), account, content: text },
      { ...contact, cert: cy.self.cert, list: undefined },
    ];
    setRecord(ann, id, { parent: messageId() });
    for (const content of contents) {
      const awaits = messageId();
      const post = { kind: "send", awaits, content: encodeContent(content) } as const;
      await postTo(bob, bob.chatWith(ann), post);
      await fleet.settleFor(({ to }) => to === ann);
    }
    expect(ann.dropped.filter((reason) => reason === "unexpected")).toHaveLength(2);
    const waiting = [...ann.posts.values()].map(({ post }) => post.kind);
    expect(waiting).not.toContain("content");
  });
});

describe("what a pair should not have handed up", () => {
  it("is refused by the conversation, too", async () => {
    const id = ann.chatWith(bob);
    const further = messageId();
    setDevices(ann, id, { links: [{ device: "0".repeat(16), conversation: further }] });
    const account = accountIdOf(bob.self.cert.rootKey);
    const text = { kind: "text", ...about(), text: "as if Ann had said it" } as const;
    const contact = { kind: "contact", ...about(), name: "Bob", verified: true } as const;
    const before = sliceOf(ann, id).conversation.devices.introduced;
    for (const content of [
      { kind: "carried", ...about(), account, content: text } as const,
      { ...contact, cert: bob.self.cert, list: undefined },
    ]) {
      ann.dropped.length = 0;
      const post = { kind: "content", content: encodeContent(content), path: "relay" } as const;
      await postTo(ann, id, post, further);
      expect(ann.dropped).toEqual(["unexpected"]);
    }
    expect(ann.shown(id)).toEqual([]);
    expect(sliceOf(ann, id).conversation.devices.introduced).toEqual(before);
  });
});

it("a pair begins with no bundle of another device, whoever hands it on", async () => {
  const id = ann.chatWith(bob);
  setPeer(ann, id, { sessions: [], spares: { ...ann.peerIn(id).spares, theirs: undefined } });
  const addresses = ann.peerIn(id).contact.addresses;
  const offered = async (of: Machine): Promise<readonly string[]> => {
    const { bundle } = await createInviteBundle(of.self, env());
    ann.dropped.length = 0;
    await postTo(ann, id, { kind: "offer", offer: { bundle, addresses, receivedAt: fleet.now } });
    return ann.dropped;
  };
  expect(await offered(cy)).toEqual(["wrong-identity"]);
  expect(ann.peerIn(id).sessions).toEqual([]);
  expect(await offered(bob)).toEqual([]);
  expect(ann.peerIn(id).sessions).toHaveLength(1);
});

it("no group hears what comes through a pair that waits for a decision, or that ended", async () => {
  const id = ann.chatWith(bob);
  await say(bob, "to the group");
  await bob.feed(bob.groupOf(), { kind: "wake" });
  await fleet.settleFor(({ bytes }) => bytes[0] !== GROUP_ENVELOPE_TYPE);
  const sealed = fleet.waiting.find(
    ({ to, bytes }) => to === ann && bytes[0] === GROUP_ENVELOPE_TYPE,
  );
  if (sealed === undefined) throw new Error("nothing was sealed");
  const change = { cert: cy.self.cert, frames: [], at: fleet.now };
  const frame = {
    kind: "frame",
    blob: sealed.bytes,
    source: { path: "relay", sequence: 1n },
  } as const;
  for (const [state, kinds] of [
    [{ change }, []],
    [{ change: undefined, retired: true }, []],
    [{ change: undefined, retired: false }, ["arrived"]],
  ] as const) {
    setPeer(ann, id, state);
    expect(kindsIn(await ann.feed(id, frame)).filter((kind) => kind === "arrived")).toEqual(kinds);
  }
});

describe("somebody in a group", () => {
  it("is told nothing of it when their account is no member", async () => {
    const at = ann.groupOf();
    const ask = (account: string): Promise<readonly Effect[]> =>
      postTo(
        ann,
        at,
        told(account, cy, { kind: "heads", ...about(), group: groupOf(ann), heads: [] }),
      );
    expect(kindsIn(await ask(accountOf(cy)))).toContain("send");
    ann.dropped.length = 0;
    expect(kindsIn(await ask("0".repeat(40)))).toEqual([]);
    expect(ann.dropped).toEqual(["unexpected"]);
  });

  it("introduces nobody with a certificate that their account did not sign", async () => {
    const { cert } = cy.self;
    const tell = (one: DeviceCert): Promise<readonly Effect[]> =>
      postTo(bob, bob.groupOf(), told(accountOf(ann), ann, member(one, undefined)));
    expect(kindsIn(await tell(cert))).toEqual(["presented"]);
    expect(kindsIn(await tell({ ...cert, signature: forged(cert.signature) }))).toEqual([]);
    expect(bob.dropped).toContain("wrong-identity");
  });

  it("is introduced by nobody who is no member, now or later", async () => {
    const at = bob.groupOf();
    const outsider = "0".repeat(40);
    const effects = [
      ...(await postTo(bob, at, told(outsider, ann, member(cy.self.cert, undefined)))),
      ...(await bob.feed(at, { kind: "wake" })),
    ];
    expect(kindsIn(effects)).toEqual([]);
    expect(bob.slices.get(at)?.group?.row?.introductions).toHaveLength(1);
  });

  it("is known by no list and no certificate that their account did not sign", async () => {
    const dan = await fleet.person("Dan");
    const [list] = dan.self.devices.lists;
    const { cert } = dan.self;
    if (list === undefined) throw new Error("no list");
    const begin = async (post: Post): Promise<ConversationRecord | undefined> => {
      const id = messageId();
      const row = { id: messageId(), from: bob.notes, to: "", sequence: 1, post };
      await bob.begin({ kind: "start-post", id, row });
      return bob.slices.get(id)?.conversation;
    };
    const presented = (one: DeviceCert, its: typeof list): Post => {
      const content = encodeContent(member(one, its));
      return { kind: "presented", by: accountOf(ann), content, former: false };
    };
    const contact = (its: typeof list): Post => ({
      kind: "content",
      path: "relay",
      content: encodeContent({
        kind: "contact",
        ...about(),
        name: "Dan",
        verified: false,
        cert,
        list: its,
      }),
    });
    const bad = { ...list, signature: forged(list.signature) };
    for (const post of [presented(cert, list), contact(list)]) {
      expect((await begin(post))?.devices.list).toEqual(list);
    }
    for (const post of [presented(cert, bad), contact(bad)]) {
      const record = await begin(post);
      expect(record?.peer.state).toBe("open");
      expect(record?.devices.list).toBeUndefined();
    }
    expect(await begin(presented({ ...cert, signature: forged(cert.signature) }, list))).toBe(
      undefined,
    );
  });

  it("has one queue here until one of their devices has answered, and further ones while there is room", async () => {
    const dan = await fleet.person("Dan");
    const phone = await fleet.sibling(dan, "Dan's phone");
    const [first] = dan.self.devices.lists;
    if (first === undefined) throw new Error("no list");
    const added = await addDevice(first, phone.self.cert, true, dan.self.rootSecret, env());
    if (!added.ok) throw new Error("not added");
    const content = encodeContent(member(dan.self.cert, added.list));
    const post = { kind: "presented", by: accountOf(ann), content, former: false } as const;
    const id = messageId();
    const row = { id: messageId(), from: bob.notes, to: "", sequence: 1, post };
    await bob.begin({ kind: "start-post", id, row });
    expect(postsOf(bob, id)).not.toContain("begin");
    fleet.now += 10 * OFFER_AGAIN_MS;
    const wake = await bob.feed(id, { kind: "wake" });
    expect(kindsIn(wake)).not.toContain("begin");
    // Nor is it awake for that.
    const at = wake.flatMap((one) => (one.kind === "wake" ? [one.at] : []));
    expect(Math.min(...at)).toBeGreaterThan(fleet.now + MISSING_PATIENCE_MS);
    setPeer(bob, id, { sessions: bob.peerIn(bob.chatWith(ann)).sessions });
    const begun = postsIn(await bob.feed(id, { kind: "wake" })).find((one) => {
      return one.post.kind === "begin";
    });
    if (begun?.post.kind !== "begin") throw new Error("not begun");
    expect(begun.post.listed).toBe(false);
    const pair = sliceOf(bob, strangerAt());
    const further = { ...pair.conversation, parent: id };
    // Of all who are in Ann's group half of them.
    const pairs = Array.from({ length: STRANGER_PAIRS_MAX / 2 }, (_, index): [string, Slice] => [
      `${index}`,
      { ...pair.slice, conversation: further },
    ]);
    const among = (others: typeof pairs) => new Map([...bob.slices, ...others]);
    const route = (one: PostRow, others: typeof pairs) => routeOf(one, among(others), nobleBackend);
    expect(route(begun, pairs.slice(1))).toEqual({ kind: "begins" });
    expect(route(begun, pairs)).toEqual({ kind: "to", id });
    const ofOther = { ...begun, post: { ...begun.post, parent: messageId() } };
    expect(route(ofOther, pairs)).toEqual({ kind: "begins" });
    const known = { ...begun, post: { ...begun.post, listed: true } };
    expect(route(known, pairs)).toEqual({ kind: "begins" });
    // What a group has for it waits for it, as long as it is to come.
    const send = { kind: "send", awaits: messageId(), content } as const;
    const ofGroup = { ...begun, from: bob.groupOf(), post: send };
    expect(route(ofGroup, [])).toEqual({ kind: "waits" });
    await bob.feed(id, { kind: "post", row: begun });
    expect(route(ofGroup, [])).toEqual({ kind: "to", id: bob.groupOf() });
    expect(sliceOf(bob, id).conversation.devices.links).toEqual([]);
    expect(kindsIn(await bob.feed(id, { kind: "wake" }))).not.toContain("begin");
    fleet.now += OFFER_AGAIN_MS + 2 * MISSING_PATIENCE_MS;
    expect(kindsIn(await bob.feed(id, { kind: "wake" }))).toContain("begin");
  });

  it("gives no way to anybody through an account that did not introduce them", async () => {
    const id = strangerAt();
    const offer = {
      kind: "offer",
      ...about(),
      account: accountIdOf(bob.self.cert.rootKey),
      device: asContentId(entropy(16)).subarray(0, 8) as typeof bob.self.cert.deviceId,
      cert: cy.self.cert,
      way: entropy(100),
    } as const;
    const way = (by: string): Post => ({ kind: "way", by, content: encodeContent(offer) });
    await postTo(bob, id, way(accountOf(ann)));
    expect(bob.dropped).toEqual(["unlisted"]);
    bob.dropped.length = 0;
    await postTo(bob, id, way("0".repeat(40)));
    expect(bob.dropped).toEqual(["wrong-identity"]);
    bob.dropped.length = 0;
    setRecord(bob, id, { listed: true });
    await postTo(bob, id, way(accountOf(ann)));
    expect(bob.dropped).toEqual(["wrong-identity"]);
  });
});

it("a session of a listed account is begun anew by the very device of the pair, and by no other", async () => {
  const id = ann.chatWith(bob);
  const list = await createDeviceList(bob.self, env());
  const spare = bob.peerIn(bob.chatWith(ann)).spares.theirs;
  const bundle = decodeBundle(spare?.bundle ?? new Uint8Array(0));
  if (!bundle.ok) throw new Error("no spare");
  const phone = await fleet.sibling(bob, "Bob's phone");
  const started = await initiate(phone.self, bundle.value, env());
  if (started === undefined) throw new Error("not begun");
  const content = encodeContent({ kind: "text", ...about(), text: "from a device nobody listed" });
  const sealed = await encrypt(started.session, content, env());
  const frame = {
    kind: "frame",
    blob: sealed.envelope,
    source: { path: "relay", sequence: 1n },
  } as const;
  setDevices(ann, id, { list });
  await ann.feed(id, frame);
  expect(ann.dropped).toEqual(["unlisted"]);
  expect(ann.shown(id)).toEqual([]);
});

it("an invite for an own device takes nobody else", async () => {
  const id = messageId();
  const expiresAt = fleet.now + 3_600_000;
  await ann.begin({ kind: "start-invite", id, expiresAt, parent: ann.notes });
  const { peer } = sliceOf(ann, id).conversation;
  if (peer.state !== "invited") throw new Error("no invite");
  const { addresses } = peer.queue;
  const effects = await ann.feed(id, { kind: "queue-ready", addresses });
  const [offer] = effects.flatMap((one) => (one.kind === "publish" ? [one.blob] : []));
  if (offer === undefined) throw new Error("no offer");
  const accountId = accountIdOf(ann.self.cert.rootKey);
  const invite = { seed: peer.invite.seed, accountId, relayPin: new Uint8Array(16) };
  // Whoever reads it over somebody's shoulder uses it as an invite to talk.
  const accepted = { kind: "start-accept", id: messageId(), invite, blob: offer } as const;
  expect(await cy.begin(accepted)).toBe(true);
  await fleet.settle();
  expect(ann.dropped).toContain("wrong-identity");
  expect(sliceOf(ann, id).conversation.peer.state).toBe("invited");
  expect(ann.self.devices.links).toEqual([]);
});

describe("the clock of a group", () => {
  it("follows what members tell", async () => {
    const ms = fleet.now + 100_000;
    const heads = { kind: "heads", ...about(ms), group: groupOf(ann), heads: [] } as const;
    await postTo(ann, ann.groupOf(), told(accountOf(cy), cy, heads));
    expect(sliceOf(ann, ann.groupOf()).conversation.clock.ms).toBeGreaterThanOrEqual(ms);
  });

  it("follows what members say, so that an answer is shown behind it", async () => {
    setRecord(ann, ann.groupOf(), { clock: { ms: fleet.now + 100_000, counter: 0 } });
    await say(ann, "a question");
    for (let round = 0; round < 3; round++) await fleet.settleFor(({ bytes }) => bytes[0] !== 5);
    // As if the chain had come long before, by a member whose clock was right.
    setRecord(bob, bob.groupOf(), { clock: { ms: 0, counter: 0 } });
    await fleet.settle();
    expect(read(bob)).toEqual(["a question"]);
    await say(bob, "an answer");
    expect(read(bob)).toEqual(["a question", "an answer"]);
  });
});
