/**
 * A group of two hundred: each member's record of it runs through the real engine and the real cryptography, pairs are taken
 * as given (protocol/SPEC.md §11).
 */
import { accountIdOf, createOwnDevice, pagesSince } from "@sotto/crypto";
import { nodeBackend } from "@sotto/engines/node";
import {
  type Effect,
  INITIAL_LIVE,
  type Input,
  type Post,
  type PostRow,
  type SelfRecord,
  type Slice,
  step,
} from "@sotto/protocol";
import { asContentId, asGroupId, bytesToHex, encodeContent, hexToBytes } from "@sotto/wire";
import { expect, it } from "vitest";
import { entropy, messageId, START } from "../../packages/protocol/test/fixture.ts";

const MEMBERS = 200;

interface Member {
  readonly self: SelfRecord;
  readonly account: string;
  readonly device: string;
  slice: Slice;
  readonly shown: string[];
  readonly signs: Map<string, string>;
}

const env = { now: START, entropy, crypto: nodeBackend };
const RECORD = messageId();
let sequence = 0;

async function person(name: string): Promise<Member> {
  const self: SelfRecord = {
    ...(await createOwnDevice(env)),
    name,
    readerSecret: entropy(32),
    relays: [],
    createdAt: START,
    devices: { lists: [], links: [], met: 0, reach: [] },
  };
  return {
    self,
    account: bytesToHex(accountIdOf(self.cert.rootKey)),
    device: bytesToHex(self.cert.deviceId),
    slice: { self, conversation: undefined, outbox: [], live: INITIAL_LIVE },
    shown: [],
    signs: new Map(),
  };
}

async function feed(member: Member, input: Input): Promise<readonly PostRow[]> {
  const { slice, effects } = await step(member.slice, input, env);
  member.slice = slice;
  const [commit] = effects.filter(
    (one): one is Extract<Effect, { kind: "commit" }> => one.kind === "commit",
  );
  if (commit === undefined) return [];
  const { addMessages, putMessages, addPosts } = commit.change;
  member.shown.push(...addMessages.map(({ text }) => text));
  for (const row of [...addMessages, ...putMessages]) member.signs.set(row.id, row.status);
  return addPosts;
}

const rowOf = (what: Post): PostRow => ({
  id: messageId(),
  from: "pair",
  to: RECORD,
  sequence: ++sequence,
  post: what,
});

const tell = (to: Member, what: Post): Promise<readonly PostRow[]> =>
  feed(to, { kind: "post", row: rowOf(what) });

const groupRowOf = ({ slice }: Member) => {
  const row = slice.group?.row;
  if (row === undefined) throw new Error("no group");
  return row;
};

/** What the pairs of `from` do with its posts. True for who had a sealed message. */
async function carry(
  from: Member,
  posts: readonly PostRow[],
  all: readonly Member[],
): Promise<readonly Member[]> {
  const byAddress = new Map(
    all.flatMap(
      (one) =>
        [
          [one.device, one],
          [`account:${one.account}`, one],
        ] as const,
    ),
  );
  const { account, device } = from;
  const reached: Member[] = [];
  for (const { to, post } of posts) {
    const other = byAddress.get(to);
    if (other === undefined) continue;
    if (post.kind === "send" || post.kind === "deliver") {
      await tell(other, { kind: "told", account, device, content: post.content });
    } else if (post.kind === "release") {
      const { envelope } = post;
      const arrived = {
        pair: device,
        account,
        device,
        envelope,
        path: "relay",
        again: false,
      } as const;
      await tell(other, { kind: "arrived", ...arrived });
      reached.push(other);
    }
  }
  return reached;
}

it(
  "two hundred read what one of them writes, and one who was removed nothing more",
  { timeout: 60_000 },
  async () => {
    const all: Member[] = [];
    for (let count = 0; count < MEMBERS; count++) all.push(await person(`person ${count}`));
    const [ann, bob, ...others] = all;
    const last = all.at(-1);
    if (ann === undefined || bob === undefined || last === undefined) throw new Error("too few");
    await feed(ann, { kind: "start-group", id: RECORD });
    for (const { account, device } of [bob, ...others]) {
      await feed(ann, { kind: "group-add", account });
      await tell(ann, { kind: "roster", account, devices: [{ device, conversation: device }] });
    }
    expect(groupRowOf(ann).log.state.members.size).toBe(MEMBERS);

    // Bob is told all of it. The same operations are the same log: the others begin with what it came to.
    const { peer } = ann.slice.conversation ?? {};
    if (peer?.state !== "group") throw new Error("no group");
    const group = asGroupId(hexToBytes(peer.group) ?? new Uint8Array(32));
    for (const page of pagesSince(groupRowOf(ann).log, [])) {
      const about = { id: asContentId(entropy(16)), time: { ms: START, counter: 0 } };
      const content = encodeContent({ kind: "page", ...about, group, page });
      const told = { kind: "told", account: ann.account, device: ann.device, content } as const;
      if (bob.slice.conversation !== undefined) await tell(bob, told);
      else await feed(bob, { kind: "start-post", id: RECORD, row: rowOf(told) });
    }
    expect(groupRowOf(bob).log.heads).toEqual(groupRowOf(ann).log.heads);
    expect(bob.slice.conversation?.listed).toBe(true);
    for (const one of others) {
      const row = { ...groupRowOf(bob), roster: new Map() };
      one.slice = { ...bob.slice, self: one.self, group: { row, senders: new Map() } };
    }

    const write = async (
      text: string,
    ): Promise<{ readonly id: string; readonly posts: readonly PostRow[] }> => {
      const id = messageId();
      return { id, posts: await feed(ann, { kind: "send-text", id, text }) };
    };
    const kinds = (posts: readonly PostRow[], kind: Post["kind"]): number =>
      posts.filter(({ post }) => post.kind === kind).length;
    const first = await write("hello all");
    expect([kinds(first.posts, "send"), kinds(first.posts, "release")]).toEqual([199, 199]);
    const reached = await carry(ann, first.posts, all);
    expect(reached).toHaveLength(MEMBERS - 1);
    for (const one of all) expect(one.shown).toEqual(["hello all"]);
    for (const { account, device } of reached) {
      expect(ann.signs.get(first.id)).not.toBe("delivered");
      await tell(ann, { kind: "reached", awaits: first.id, account, device });
    }
    expect(ann.signs.get(first.id)).toBe("delivered");
    // The chain goes on: nobody is dealt it again.
    const second = await write("again");
    expect([kinds(second.posts, "send"), kinds(second.posts, "release")]).toEqual([0, 199]);
    await carry(ann, second.posts, all);

    await carry(ann, await feed(ann, { kind: "group-remove", account: last.account }), all);
    for (const one of all) expect(groupRowOf(one).log.state.members.size).toBe(MEMBERS - 1);
    const third = await write("without the last one");
    expect([kinds(third.posts, "send"), kinds(third.posts, "release")]).toEqual([198, 198]);
    expect(third.posts.some(({ to }) => to === last.device)).toBe(false);
    await carry(ann, third.posts, all);
    for (const one of all) {
      const seen = ["hello all", "again", ...(one === last ? [] : ["without the last one"])];
      expect(one.shown).toEqual(seen);
    }
    // Whatever the removed one gets hold of, it has no key for.
    const envelope = third.posts.find(({ post }) => post.kind === "release")?.post;
    if (envelope?.kind !== "release") throw new Error("nothing sealed");
    const { account, device } = ann;
    const about = { pair: device, account, device, path: "relay", again: false } as const;
    await tell(last, { kind: "arrived", ...about, envelope: envelope.envelope });
    expect(last.shown).toEqual(["hello all", "again"]);
  },
);
