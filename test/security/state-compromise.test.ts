/**
 * I6 and I7 as numbers (T-21): what a copy of one device's session or group chain opens, counted at every position of a
 * conversation with the real decrypt. Post-quantum: packages/crypto/test/kem-ratchet.test.ts.
 */
import {
  accept,
  beginChain,
  createRemoteSender,
  type CryptoBackend,
  dealChain,
  decrypt,
  encrypt,
  type GroupLog,
  nobleBackend,
  openFromGroup,
  type RemoteSender,
  rotationDue,
  sealForGroup,
  type SendingChain,
  type Session,
  SMALL_GROUP_MEMBERS_MAX,
  takeRecord,
} from "@sotto/crypto";
import { asAccountId, bytesToHex, bytesToUtf8, decodeGroupEnvelope } from "@sotto/wire";
import { beforeAll, describe, expect, it } from "vitest";
import { accountOf, at as nth, did, foundGroup } from "../../packages/crypto/test/group-support.ts";
import {
  asHello,
  asMessage,
  greeted,
  must,
  seededEnv,
  text,
} from "../../packages/crypto/test/support.ts";

type Owner = "alice" | "bob";

interface Sent {
  readonly by: Owner;
  readonly turn: number;
  readonly text: string;
  readonly envelope: Uint8Array;
}

/** Both states after `at` messages were sent, and what the other side had opened by then. Bob has none at first. */
interface Position {
  readonly at: number;
  readonly states: Readonly<Record<Owner, Session | undefined>>;
  readonly opened: ReadonlySet<string>;
}

interface Conversation {
  readonly sent: readonly Sent[];
  readonly positions: readonly Position[];
}

/** Messages per turn; Alice, who greeted, has the even ones. */
const TURNS = [1, 3, 2, 1, 1, 4, 2, 2, 3, 1, 2];
const env = seededEnv("state compromise");

/** `late`: by number in the conversation, how many messages later it comes; Infinity: never. */
async function converse(seed: string, late: ReadonlyMap<number, number>): Promise<Conversation> {
  const { bob, secrets, fresh } = await greeted(seed);
  const states: Record<Owner, Session | undefined> = { alice: fresh, bob: undefined };
  const sent: Sent[] = [];
  const opened = new Set<string>();
  const positions: Position[] = [];
  const note = (): void => {
    positions.push({ at: sent.length, states: structuredClone(states), opened: new Set(opened) });
  };
  const deliver = async (one: Sent): Promise<void> => {
    const to = other(one.by);
    const session = states[to];
    const result =
      session === undefined
        ? await accept(bob, secrets, asHello(one.envelope), env)
        : await decrypt(session, asMessage(one.envelope), env);
    states[to] = must(result).session;
    opened.add(one.text);
  };
  const due = new Map<number, Sent[]>();
  note();
  for (const [turn, count] of TURNS.entries()) {
    for (let index = 0; index < count; index++) {
      const by = turn % 2 === 0 ? "alice" : "bob";
      const session = states[by];
      if (session === undefined) throw new Error("no session to send with");
      const name = `message ${sent.length}`;
      const sealed = await encrypt(session, text(name), env);
      states[by] = sealed.session;
      const one = { by, turn, text: name, envelope: sealed.envelope } as const;
      const delay = late.get(sent.length) ?? 0;
      sent.push(one);
      if (delay === 0) await deliver(one);
      else due.set(sent.length + delay, [...(due.get(sent.length + delay) ?? []), one]);
      for (const waiting of due.get(sent.length) ?? []) await deliver(waiting);
      note();
    }
  }
  return { sent, positions };
}

const other = (owner: Owner): Owner => (owner === "alice" ? "bob" : "alice");

/** The states a thief tries: as it was copied, as its other side would have it, and as if no turn were due. */
const variants = (copy: Session): readonly Session[] => [
  copy,
  { ...copy, stepDue: false },
  {
    ...copy,
    receiving: copy.sending,
    nextReceivingHeaderKey: copy.nextSendingHeaderKey,
    sending: copy.receiving,
    nextSendingHeaderKey: copy.nextReceivingHeaderKey,
    remoteRatchetKey: copy.ownRatchetKey,
    stepDue: false,
    skipped: [],
  },
];

/** Names of the messages that a thief of `copy` opens who sees `seen` in this order, and tries all of it twice. */
async function loot(copy: Session, seen: readonly Sent[]): Promise<ReadonlySet<string>> {
  const names = new Set<string>();
  for (const variant of variants(structuredClone(copy))) {
    let state = variant;
    for (const { envelope } of [...seen, ...seen]) {
      const result = await decrypt(state, asMessage(envelope), env);
      if (!result.ok) continue;
      state = result.session;
      names.add(bytesToUtf8(result.content) ?? "");
    }
  }
  return names;
}

const namesOf = (sent: readonly Sent[]): ReadonlySet<string> =>
  new Set(sent.map((one) => one.text));

/** crypto/SPEC.md §5.7: the rest of the turn under way; and when that is the owner's own, the whole answer to it too. */
function exposedBy(owner: Owner, at: number, sent: readonly Sent[]): readonly Sent[] {
  const last = sent[at - 1];
  // Whoever begins is in its own turn before it has said anything.
  const [turn, by] = last === undefined ? [0, "alice"] : [last.turn, last.by];
  const until = by === owner ? turn + 1 : turn;
  return sent.filter((one, index) => index >= at && one.turn <= until);
}

describe("a copied session, when everything arrives at once", () => {
  let calm: Conversation;
  beforeAll(async () => {
    calm = await converse("calm", new Map());
  });

  it.each(["alice", "bob"] as const)(
    "of %s opens exactly the rest of the turn and the answer to it, at every position",
    async (owner) => {
      const counts: number[] = [];
      for (const { at, states } of calm.positions) {
        const copy = states[owner];
        if (copy === undefined) continue;
        const opened = await loot(copy, calm.sent.slice(at));
        expect(opened, `${owner} copied after ${at}`).toEqual(
          namesOf(exposedBy(owner, at, calm.sent)),
        );
        counts.push(opened.size);
      }
      // What is left of an own turn and the answer to it, never a second one: the next round trip ends it.
      expect(Math.max(...counts)).toBe(owner === "alice" ? 4 : 5);
    },
  );

  it("opens nothing that was sealed or opened before, from wherever it was copied", async () => {
    for (const { at, states } of calm.positions) {
      for (const copy of [states.alice, states.bob]) {
        if (copy === undefined) continue;
        const past = calm.sent.slice(0, at);
        for (const order of ordersOf(past, at)) expect(await loot(copy, order)).toEqual(new Set());
      }
    }
  });
});

describe("a copied session, when messages are late or lost", () => {
  it("opens of the past exactly what had not come, by name, in whatever order it is tried", async () => {
    const late = new Map([
      [2, 3],
      [5, Infinity],
      [8, 4],
      [9, 1],
      [13, Infinity],
      [16, 2],
    ]);
    const { sent, positions } = await converse("late", late);
    let withSkipped = 0;
    for (const { at, states, opened } of positions) {
      for (const owner of ["alice", "bob"] as const) {
        const copy = states[owner];
        if (copy === undefined) continue;
        const past = sent.slice(0, at);
        const missing = namesOf(
          past.filter(
            (one, index) =>
              one.by !== owner &&
              !opened.has(one.text) &&
              // A later one of its sender came, so its key was kept; else it is still to come.
              past.some(
                (next, later) => later > index && next.by === one.by && opened.has(next.text),
              ),
          ),
        );
        const future = namesOf(past.filter((one) => one.by !== owner && !opened.has(one.text)));
        withSkipped += missing.size;
        for (const order of ordersOf(past, at)) {
          const looted = await loot(copy, order);
          const where = `${owner} after ${at}`;
          expect(without(missing, looted), `${where}: kept keys that do not open`).toEqual([]);
          expect(without(looted, future), `${where}: opened again`).toEqual([]);
        }
      }
    }
    expect(withSkipped).toBeGreaterThan(20);
  });
});

interface Told {
  readonly text: string;
  /** Which chain it is of, counted from 0. */
  readonly chain: number;
  readonly envelope: Uint8Array;
  /** Of its body, hex. */
  readonly messageKey: string;
}

/** What is there after `at` messages were sealed: the sender's chain, what a member keeps of it, what that has opened. */
interface GroupPosition {
  readonly at: number;
  readonly chain: number;
  readonly sending: SendingChain;
  readonly receiving: RemoteSender;
  readonly opened: ReadonlySet<string>;
}

const TOLD = 16;

/** Alice tells a group 16 things, and before number `removalAt` removes somebody. `late` as above. */
async function tell(members: number, removalAt: number, late: ReadonlyMap<number, number>) {
  const keys: string[] = [];
  const crypto: CryptoBackend = {
    ...nobleBackend,
    seal(key, nonce, aad, plaintext) {
      keys.push(bytesToHex(key));
      return nobleBackend.seal(key, nonce, aad, plaintext);
    },
  };
  const sealing = { ...env, crypto };
  const { people, log: pairLog } = await foundGroup(2, env);
  const [alice, bob] = [nth(people, 0), nth(people, 1)];
  let log = pairLog;
  const others = Array.from({ length: members - 2 }, (_, index) =>
    asAccountId(new Uint8Array(20).fill(index + 1)),
  );
  for (const account of others) log = await did(log, alice, { kind: "add", account }, env);

  let receiving = createRemoteSender(log.group, accountOf(alice), alice.cert.deviceId);
  let sending: SendingChain | undefined;
  let chain = -1;
  const sent: Told[] = [];
  const positions: GroupPosition[] = [];
  const opened = new Set<string>();
  const due = new Map<number, Told[]>();
  for (let index = 0; index < TOLD; index++) {
    if (index === removalAt) {
      log = await did(log, alice, { kind: "remove", account: nth(others, 0) }, env);
    }
    if (sending === undefined || rotationDue(sending, log, env.now) !== undefined) {
      const begun = must(await beginChain(log, alice, env));
      const to = [{ account: accountOf(bob), device: bob.cert.deviceId }];
      const dealt = must(dealChain(begun.chain, log, to, env.now));
      sending = dealt.chain;
      chain++;
      const taken = takeRecord(receiving, dealt.record, env.now);
      if (taken === undefined) throw new Error("record refused");
      receiving = taken;
    }
    keys.length = 0;
    const sealed = must(await sealForGroup(sending, log, text(`told ${index}`), sealing));
    sending = sealed.chain;
    const messageKey = nth(keys, 1);
    const one = { text: `told ${index}`, chain, envelope: sealed.envelope, messageKey };
    sent.push(one);
    const at = index + (late.get(index) ?? 0);
    due.set(at, [...(due.get(at) ?? []), one]);
    for (const waiting of due.get(index) ?? []) {
      const result = await openFromGroup(receiving, asGroup(waiting.envelope), log, env);
      receiving = must(result).sender;
      opened.add(waiting.text);
    }
    const now = structuredClone({ sending, receiving });
    positions.push({ at: sent.length, chain, ...now, opened: new Set(opened) });
  }
  return { sent, positions, log };
}

const asGroup = (envelope: Uint8Array) => must(decodeGroupEnvelope(envelope)).value;

/** What a receiver has who got the sender's chain as it is: a thief of the sender's state. */
function receiverOf(stolen: SendingChain): RemoteSender {
  const stranger = createRemoteSender(stolen.group, stolen.account, stolen.device);
  const receiver = takeRecord(stranger, stolen, env.now);
  if (receiver === undefined) throw new Error("record refused");
  return receiver;
}

async function groupLoot(
  copy: RemoteSender,
  seen: readonly Told[],
  log: GroupLog,
): Promise<ReadonlySet<string>> {
  const names = new Set<string>();
  let state = structuredClone(copy);
  for (const { envelope } of [...seen, ...seen]) {
    const result = await openFromGroup(state, asGroup(envelope), log, env);
    if (!result.ok) continue;
    state = result.sender;
    names.add(bytesToUtf8(result.content) ?? "");
  }
  return names;
}

const LATE = new Map([
  [1, 3],
  [4, Infinity],
  [6, 1],
  [8, 5],
  [11, Infinity],
  [12, 2],
]);

describe.each([
  ["that lasts", SMALL_GROUP_MEMBERS_MAX + 2, 2],
  ["of one message", SMALL_GROUP_MEMBERS_MAX, TOLD],
] as const)("a copied group chain %s", (_, members, chains) => {
  const removalAt = 10;
  let told: Awaited<ReturnType<typeof tell>>;
  beforeAll(async () => {
    told = await tell(members, removalAt, LATE);
    expect(new Set(told.sent.map(({ chain }) => chain)).size).toBe(chains);
  });

  it("of a member opens of the past exactly what had not come, in whatever order it is tried", async () => {
    let kept = 0;
    for (const { at, receiving, opened } of told.positions) {
      const past = told.sent.slice(0, at);
      const missing = past.filter((one) => !opened.has(one.text));
      for (const order of ordersOf(past, at)) {
        expect(await groupLoot(receiving, order, told.log), `after ${at}`).toEqual(
          new Set(missing.map((one) => one.text)),
        );
      }
      // A later one of its chain came, so its key is there; of all other messages no key is.
      const skipped = missing.filter((one) =>
        past.some(
          (next) =>
            next.chain === one.chain &&
            past.indexOf(next) > past.indexOf(one) &&
            opened.has(next.text),
        ),
      );
      expect(keysHeldBy(receiving, told.sent), `after ${at}`).toEqual(
        skipped.map((one) => one.text),
      );
      kept += skipped.length;
    }
    // Where each message has a chain of its own nothing is ever skipped.
    if (chains === TOLD) expect(kept).toBe(0);
    else expect(kept).toBeGreaterThan(20);
  });

  it("of the sender opens nothing sealed before, and holds no key of it", async () => {
    for (const { at, sending } of told.positions) {
      const past = told.sent.slice(0, at);
      expect(await groupLoot(receiverOf(sending), past, told.log), `after ${at}`).toEqual(
        new Set(),
      );
      expect(keysHeldBy(sending, told.sent), `after ${at}`).toEqual([]);
    }
  });

  it("opens what comes in its chain and nothing from the next one on, whoever's copy it is", async () => {
    let last = 0;
    for (const { at, chain, sending, receiving } of told.positions) {
      const future = told.sent.slice(at);
      const rest = future.filter((one) => one.chain === chain).map((one) => one.text);
      for (const copy of [receiving, receiverOf(sending)]) {
        expect(await groupLoot(copy, future, told.log), `after ${at}`).toEqual(new Set(rest));
      }
      if (at === removalAt) last = rest.length;
    }
    // The removal, with which another chain was dealt, ends it.
    expect(last).toBe(0);
    expect(nth(told.sent, removalAt).chain).toBeGreaterThan(nth(told.sent, removalAt - 1).chain);
  });
});

/** Names of the messages whose keys are anywhere in a state. */
function keysHeldBy(state: SendingChain | RemoteSender, sent: readonly Told[]): readonly string[] {
  const held = JSON.stringify(state, (_, value: unknown) =>
    value instanceof Uint8Array ? bytesToHex(value) : value,
  );
  return sent.filter(({ messageKey }) => held.includes(messageKey)).map((one) => one.text);
}

/** Forwards, backwards, and two shuffles that are the same every time. */
function ordersOf<T>(sent: readonly T[], seed: number): readonly (readonly T[])[] {
  const shuffled = (step: number): readonly T[] =>
    sent
      .map((one, index) => [(index * step + seed) % 31, one] as const)
      .toSorted(([a], [b]) => a - b)
      .map(([, one]) => one);
  return [sent, sent.toReversed(), shuffled(7), shuffled(17)];
}

const without = (names: ReadonlySet<string>, others: ReadonlySet<string>): readonly string[] =>
  [...names].filter((name) => !others.has(name));
