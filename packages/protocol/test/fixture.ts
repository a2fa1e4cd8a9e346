/** Two devices around the real engine and the real cipher suite; the tests carry every frame by hand. */
import { accountIdOf, createOwnDevice, nobleBackend } from "@sotto/crypto";
import {
  asKnown,
  type Change,
  type Effect,
  INITIAL_LIVE,
  type Input,
  type MessageRow,
  type OutboxRow,
  type SelfRecord,
  type Slice,
  step,
  WAKE_MAX_MS,
} from "@sotto/protocol";
import { asSendId, bytesToHex, type Invite, type QueueAddress } from "@sotto/wire";
import { expect } from "vitest";

export const START = 1_700_000_000_000;
/** Fixed, so that what a test does is the same every time. */
const RELAY_KEY = new Uint8Array(32).fill(9);

export type EffectOf<K extends Effect["kind"]> = Extract<Effect, { kind: K }>;

export interface Side {
  slice: Slice;
  now: number;
  readonly self: SelfRecord;
  /** What the store holds: changed by commits only. */
  readonly messages: Map<string, MessageRow>;
  readonly outbox: Map<string, OutboxRow>;
  /** Of the last `feed`. */
  effects: readonly Effect[];
  /** One step, then its commit. Checks what holds for every step. */
  feed(input: Input): Promise<readonly Effect[]>;
  /** Handed to the relay and not carried yet. */
  readonly toRelay: EffectOf<"transmit">[];
  send(text: string): Promise<string>;
  /** A new process on the same store. */
  restart(): void;
  readonly shown: readonly string[];
}

let seed = 1;
/** A counter through SHA-like mixing: distinct bytes each time, equal from run to run. */
export function entropy(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let index = 0; index < length; index++) {
    seed = (Math.imul(seed ^ (seed >>> 15), 0x2c1b3c6d) + 0x6d2b79f5) | 0;
    bytes[index] = (seed >>> 11) & 0xff;
  }
  return bytes;
}

export const messageId = (): string => bytesToHex(entropy(16));

export function addressOf(sendId = entropy(24), firstUse = entropy(16)): QueueAddress {
  return {
    relayUrl: "http://localhost:8080",
    relayKey: RELAY_KEY,
    sendId: asSendId(sendId),
    firstUse,
  };
}

export async function createSide(name: string): Promise<Side> {
  const device = await createOwnDevice({ entropy, crypto: nobleBackend, now: START });
  const self: SelfRecord = {
    ...device,
    name,
    readerSecret: entropy(32),
    relays: [{ url: "https://relay.example", key: RELAY_KEY, derived: false }],
    createdAt: START,
    devices: { lists: [], links: [], met: 0, reach: [] },
  };
  const messages = new Map<string, MessageRow>();
  const outbox = new Map<string, OutboxRow>();
  const side: Side = {
    slice: { self, conversation: undefined, outbox: [], live: INITIAL_LIVE },
    now: START,
    self,
    messages,
    outbox,
    effects: [],
    toRelay: [],
    async feed(input) {
      freeze(side.slice);
      const env = { now: side.now, entropy, crypto: nobleBackend };
      let stepped = await step(side.slice, input, env);
      if (isKnown(side, stepped.effects)) {
        stepped = await step(side.slice, asKnown(input), env);
        expect(isKnown(side, stepped.effects)).toBe(false);
      }
      const { slice, effects } = stepped;
      checkEffects(effects);
      for (const { change } of of(effects, "commit")) apply(side, change);
      side.slice = slice;
      side.effects = effects;
      side.toRelay.push(...sent(effects, "relay"));
      const stored = [...outbox.values()].toSorted(bySequence);
      expect(stored.map((row) => row.id)).toEqual(slice.outbox.map((row) => row.id));
      return effects;
    },
    async send(text) {
      const id = messageId();
      await side.feed({ kind: "send-text", id, text });
      return id;
    },
    restart() {
      const live = INITIAL_LIVE;
      side.toRelay.length = 0;
      side.slice = { ...side.slice, outbox: [...outbox.values()].toSorted(bySequence), live };
    },
    get shown() {
      return [...messages.values()]
        .toSorted((a, b) => (a.order < b.order ? -1 : 1))
        .map((row) => row.text);
    },
  };
  return side;
}

const bySequence = (a: OutboxRow, b: OutboxRow): number => a.sequence - b.sequence;

export const of = <K extends Effect["kind"]>(
  effects: readonly Effect[],
  kind: K,
): readonly EffectOf<K>[] => effects.filter((one): one is EffectOf<K> => one.kind === kind);

export const sent = (effects: readonly Effect[], path: "relay" | "direct") =>
  of(effects, "transmit").filter((one) => one.path === path);

export const reasons = (effects: readonly Effect[]): readonly string[] =>
  of(effects, "dropped").map((one) => one.reason);

/** What is due within a day. Secrets end later than that, and every pair has some. */
export const soonOf = ({ effects, now }: Pick<Side, "effects" | "now">): number | undefined => {
  const at = wakeOf(effects);
  return at === undefined || at >= now + WAKE_MAX_MS ? undefined : at;
};

export const wakeOf = (effects: readonly Effect[]): number | undefined =>
  of(effects, "wake")[0]?.at;

/** A commit is the first effect, there is at most one, and one timer at most is asked for. */
function checkEffects(effects: readonly Effect[]): void {
  const commits = effects.filter((one) => one.kind === "commit");
  expect(commits.length).toBeLessThanOrEqual(1);
  if (commits.length === 1) expect(effects[0]).toBe(commits[0]);
  expect(of(effects, "wake").length).toBeLessThanOrEqual(1);
}

/** What a store answers `known` to. */
const isKnown = (side: Side, effects: readonly Effect[]): boolean =>
  of(effects, "commit").some(({ change }) =>
    change.addMessages.some((row) => side.messages.has(row.id)),
  );

function apply(side: Side, change: Change): void {
  expect(change.expectedVersion).toBe(side.slice.conversation?.version ?? 0);
  expect(change.conversation.version).toBe(change.expectedVersion + 1);
  for (const row of [...change.addMessages, ...change.putMessages]) side.messages.set(row.id, row);
  for (const row of change.putOutbox) side.outbox.set(row.id, row);
  for (const id of change.deleteOutbox) side.outbox.delete(id);
}

/** Objects and arrays all the way down; bytes cannot be frozen and are compared by `purity.test.ts`. */
export function freeze(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  if (ArrayBuffer.isView(value) || value instanceof Map || Object.isFrozen(value)) return;
  Object.freeze(value);
  for (const part of Object.values(value)) freeze(part);
}

let relaySequence = 0n;

/** What `from` handed to the relay arrives at `to`, and the relay says OK. */
export async function carry(from: Side, to: Side): Promise<void> {
  for (const { id, blob } of from.toRelay.splice(0)) {
    await deliver(to, blob);
    await from.feed({ kind: "transmitted", id, path: "relay", outcome: "ok" });
  }
}

export async function deliver(to: Side, blob: Uint8Array): Promise<readonly Effect[]> {
  relaySequence += 1n;
  const effects = await to.feed({
    kind: "frame",
    blob,
    source: { path: "relay", sequence: relaySequence },
  });
  expect(of(effects, "ack").map((one) => one.sequence)).toEqual([relaySequence]);
  return effects;
}

export const deliverDirect = (to: Side, blob: Uint8Array): Promise<readonly Effect[]> =>
  to.feed({ kind: "frame", blob, source: { path: "direct" } });

/** Lets both sides say everything they have to say, RECEIPT_GAP_MS apart. */
export async function settle(a: Side, b: Side): Promise<void> {
  for (let round = 0; round < 40; round++) {
    for (const side of [a, b]) {
      side.now += 250;
      await side.feed({ kind: "wake" });
    }
    await carry(a, b);
    await carry(b, a);
    if (a.slice.outbox.length + b.slice.outbox.length === 0) return;
  }
}

export interface Invited {
  readonly alice: Side;
  readonly bob: Side;
  readonly invite: Invite;
  readonly blob: Uint8Array;
}

/** Alice's invite is at the relay. */
export async function inviteFrom(alice: Side): Promise<{ invite: Invite; blob: Uint8Array }> {
  await alice.feed({ kind: "start-invite", id: "a".repeat(32), expiresAt: START + 86_400_000 });
  await alice.feed({ kind: "hub", up: true });
  await alice.feed({ kind: "queue-ready", addresses: [addressOf()] });
  const [publish] = of(alice.effects, "publish");
  if (publish === undefined) throw new Error("nothing published");
  await alice.feed({ kind: "published" });
  const { conversation } = alice.slice;
  if (conversation?.peer.state !== "invited") throw new Error("not invited");
  const invite = {
    seed: conversation.peer.invite.seed,
    accountId: accountIdOf(alice.self.cert.rootKey),
    relayPin: new Uint8Array(16),
  };
  return { invite, blob: publish.blob };
}

export async function invited(): Promise<Invited> {
  const alice = await createSide("Alice");
  const bob = await createSide("Bob");
  return { alice, bob, ...(await inviteFrom(alice)) };
}

/** Bob has accepted and made his queue; his introduction is on its way. */
export async function accepted(): Promise<Invited> {
  const all = await invited();
  const { bob, invite, blob } = all;
  await bob.feed({ kind: "start-accept", id: "b".repeat(32), invite, blob });
  await bob.feed({ kind: "hub", up: true });
  await bob.feed({ kind: "queue-ready", addresses: [addressOf()] });
  return all;
}

/** Both know each other, nothing is waiting. */
export async function paired(): Promise<Invited> {
  const all = await accepted();
  await carry(all.bob, all.alice);
  await settle(all.alice, all.bob);
  expect(all.alice.slice.outbox).toEqual([]);
  expect(all.bob.slice.outbox).toEqual([]);
  return all;
}

export function openPeerOf(side: Side) {
  const peer = side.slice.conversation?.peer;
  if (peer?.state !== "open") throw new Error(`the conversation is ${peer?.state}`);
  return peer;
}
