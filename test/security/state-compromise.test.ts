/**
 * I6 and I7 as numbers (T-21): what a copy of one device's session opens, counted at every position of a conversation
 * with the real decrypt. Post-quantum: packages/crypto/test/kem-ratchet.test.ts.
 */
import { accept, decrypt, encrypt, type Session } from "@sotto/crypto";
import { bytesToUtf8 } from "@sotto/wire";
import { beforeAll, describe, expect, it } from "vitest";
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

/** Forwards, backwards, and two shuffles that are the same every time. */
function ordersOf(sent: readonly Sent[], seed: number): readonly (readonly Sent[])[] {
  const shuffled = (step: number): readonly Sent[] =>
    sent
      .map((one, index) => [(index * step + seed) % 31, one] as const)
      .toSorted(([a], [b]) => a - b)
      .map(([, one]) => one);
  return [sent, sent.toReversed(), shuffled(7), shuffled(17)];
}

const without = (names: ReadonlySet<string>, others: ReadonlySet<string>): readonly string[] =>
  [...names].filter((name) => !others.has(name));
