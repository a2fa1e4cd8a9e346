/**
 * Two devices and a network that loses, repeats, reorders and corrupts, clocks that jump, and processes that crash: the
 * input is the list of what happens. Several sessions at once, some begun by both sides at the same moment.
 * Oracles: a message opens at most once and with its own content; exactly once when no limit stands against it; no key
 * and nonce seal two plaintexts; what is refused changes nothing; a session stays within its bounds.
 */
import {
  accept,
  createInviteBundle,
  type CryptoBackend,
  createTurns,
  type CryptoEnv,
  helloKeyOf,
  initiate,
  JUMP_MAX,
  nobleBackend,
  OLD_CHAINS_MAX,
  type OwnDevice,
  type PrekeySecrets,
  type Session,
  SESSIONS_MAX,
  SKIPPED_KEY_AGE_MS_MAX,
  SKIPPED_KEYS_MAX,
  type Turns,
} from "@sotto/crypto";
import { decodeEnvelope, type Envelope, EnvelopeType, HELLO_HEADER_BYTES } from "@sotto/wire";
import { createRandom } from "../../simulation/random.ts";
import { stubBackend } from "../../simulation/stub-crypto.ts";
import { createTape, type Tape } from "../tape.ts";
import { Finding, type Outcome, type Target } from "../target.ts";
import {
  checkSession,
  decryptSafely,
  encryptSafely,
  greet,
  type Greeting,
  START,
} from "./parties.ts";

const OPERATIONS_MAX = 64;
const HOUR_MS = 3_600_000;

/** One session as one side holds it: what is on its disk, and what its messages say about themselves. */
interface Held {
  readonly side: Side;
  session: Session;
  /** What was on the disk before the last commit. */
  previous: Session;
  /** Sending chains begun: the number that the other side's `turn` has while it reads them. */
  chain: number;
  /** An older state was put back: keys that were used are there again, and the other side may be ahead. */
  isRolledBack: boolean;
}

interface Side {
  readonly own: OwnDevice;
  /** Turns made ahead, in memory only. */
  turns: Turns | undefined;
  readonly held: Held[];
  /** One for each HELLO that may still come. */
  readonly secrets: Set<PrekeySecrets>;
  /** The session that a HELLO made, by `helloKeyOf` in hex. */
  readonly byHello: Map<string, Held>;
}

interface Sent {
  readonly from: Held;
  readonly to: Side;
  readonly envelope: Uint8Array;
  readonly content: Uint8Array;
  readonly chain: number;
  readonly n: number;
  /** Messages in the sending chain before its own. */
  readonly previousCount: number;
  readonly at: number;
  opened: boolean;
  /** More were missing at once than keys are kept: its own may be gone. */
  isLost: boolean;
}

/** Remembers what each key and nonce sealed. */
function recording(base: CryptoBackend): CryptoBackend & { forget(): void } {
  const sealed = new Map<string, string>();
  return {
    ...base,
    forget: () => sealed.clear(),
    seal(key, nonce, aad, plaintext) {
      const under = Buffer.concat([key, nonce]).toString("latin1");
      const what = Buffer.concat([aad, plaintext]).toString("latin1");
      const before = sealed.get(under);
      if (before !== undefined && before !== what) {
        throw new Finding("a key and nonce sealed two plaintexts");
      }
      sealed.set(under, what);
      return base.seal(key, nonce, aad, plaintext);
    },
  };
}

interface World {
  readonly a: Side;
  readonly b: Side;
  readonly crypto: CryptoBackend;
  readonly entropy: CryptoEnv["entropy"];
  now: number;
  messages: number;
  /** Sent, not yet delivered as it is or dropped. */
  readonly flying: Sent[];
  readonly landed: Sent[];
  readonly sentFrom: Map<Held, Sent[]>;
}

const envIn = ({ crypto, entropy, now }: World, { turns }: Side): CryptoEnv =>
  turns === undefined ? { crypto, entropy, now } : { crypto, entropy, now, turns };
const other = (world: World, side: Side): Side => (side === world.a ? world.b : world.a);
const sendable = ({ held }: Side): readonly Held[] =>
  held.filter(({ session }) => session.sending !== undefined || session.stepDue);

function hold(side: Side, session: Session, chain: number): Held {
  const held: Held = { side, session, previous: session, chain, isRolledBack: false };
  side.held.push(held);
  return held;
}

function commit(held: Held, session: Session): void {
  held.previous = held.session;
  held.session = session;
}

async function send(world: World, from: Held, content: Uint8Array, wide: boolean): Promise<void> {
  const { session } = from;
  const sealed = await encryptSafely(session, content, envIn(world, from.side), wide);
  if (sealed.session.ownRatchetKey !== session.ownRatchetKey) from.chain++;
  commit(from, sealed.session);
  const sent: Sent = {
    from,
    to: other(world, from.side),
    envelope: sealed.envelope,
    content,
    chain: from.chain,
    n: (sealed.session.sending?.next ?? 0) - 1,
    previousCount: sealed.session.previousCount,
    at: world.now,
    opened: false,
    isLost: false,
  };
  world.flying.push(sent);
  const all = world.sentFrom.get(from) ?? [];
  world.sentFrom.set(from, [...all, sent]);
}

type Read =
  | { readonly ok: false }
  | {
      readonly ok: true;
      readonly content: Uint8Array;
      readonly session: Session;
      /** Undefined: a HELLO made it. */
      readonly held: Held | undefined;
      readonly secrets?: PrekeySecrets;
    };

/** What a device does with bytes that arrive; nothing is committed. */
async function read(world: World, side: Side, bytes: Uint8Array): Promise<Read> {
  const decoded = decodeEnvelope(bytes);
  if (!decoded.ok) return { ok: false };
  const envelope: Envelope = decoded.value;
  if (envelope.type !== "hello" && envelope.type !== "message") return { ok: false };
  const env = envIn(world, side);
  const known = envelope.type === "hello" ? knownBy(side, envelope) : undefined;
  if (envelope.type === "hello" && known === undefined) {
    for (const secrets of side.secrets) {
      const accepted = await accept(side.own, secrets, envelope, env);
      if (!accepted.ok) continue;
      checkSession(accepted.session);
      const { content, session } = accepted;
      return { ok: true, content, session, held: undefined, secrets };
    }
    return { ok: false };
  }
  const message = envelope.type === "hello" ? envelope.message : envelope;
  for (const held of known === undefined ? side.held : [known]) {
    const opened = await decryptSafely(held.session, message, env);
    if (opened.ok) return { ...opened, held };
  }
  return { ok: false };
}

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const knownBy = (side: Side, hello: Extract<Envelope, { type: "hello" }>): Held | undefined =>
  side.byHello.get(hexOf(helloKeyOf(hello)));

/** Commits what was read, as one with the message. */
function keep(side: Side, bytes: Uint8Array, opened: Extract<Read, { ok: true }>): void {
  if (opened.held !== undefined) return commit(opened.held, opened.session);
  const held = hold(side, opened.session, 0);
  if (opened.secrets !== undefined) side.secrets.delete(opened.secrets);
  const decoded = decodeEnvelope(bytes);
  if (!decoded.ok || decoded.value.type !== "hello") throw new Finding("a session without HELLO");
  side.byHello.set(hexOf(helloKeyOf(decoded.value)), held);
}

const sessionOf = (side: Side, { from }: Sent): Held | undefined =>
  side.held.find(({ session }) => isSame(session.id, from.session.id));
const isSame = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** Whether SPEC.md promises that this message opens now. False where a limit may stand against it. */
function mustOpen(world: World, sent: Sent): boolean {
  if (sent.opened || sent.isLost || sent.from.isRolledBack) return false;
  const held = sessionOf(sent.to, sent);
  if (held?.isRolledBack === true) return false;
  if (world.now - sent.at > SKIPPED_KEY_AGE_MS_MAX) return false;
  if (held === undefined) return sent.n <= JUMP_MAX;
  const { turn, receiving } = held.session;
  const next = receiving?.next ?? 0;
  if (sent.chain === turn) return sent.n - next <= JUMP_MAX;
  if (sent.chain > turn) return sent.n <= JUMP_MAX && sent.previousCount - next <= JUMP_MAX;
  return turn - sent.chain <= OLD_CHAINS_MAX;
}

/** Whether a limit forbids that this message opens now, however genuine it is. */
function mustStayClosed(sent: Sent): boolean {
  const held = sessionOf(sent.to, sent);
  if (held === undefined) return sent.n > JUMP_MAX;
  if (sent.from.isRolledBack || held.isRolledBack) return false;
  const { turn, receiving } = held.session;
  const next = receiving?.next ?? 0;
  if (sent.chain === turn) return sent.n - next > JUMP_MAX;
  if (sent.chain > turn) return sent.n > JUMP_MAX || sent.previousCount - next > JUMP_MAX;
  return turn - sent.chain > OLD_CHAINS_MAX;
}

async function deliver(world: World, sent: Sent, keeps = true): Promise<void> {
  const { to } = sent;
  world.messages++;
  const missing = (world.sentFrom.get(sent.from) ?? []).filter((one) => !one.opened);
  if (missing.length > SKIPPED_KEYS_MAX) for (const one of missing) one.isLost = true;
  const isDue = mustOpen(world, sent);
  const isForbidden = mustStayClosed(sent);
  const opened = await read(world, to, sent.envelope);
  if (!opened.ok) {
    if (isDue) throw new Finding("a message within all limits does not open");
    return;
  }
  if (isForbidden) throw new Finding("a message opens beyond a limit");
  if (!isSame(opened.content, sent.content)) throw new Finding("a message opens as another");
  const isRolledBack = sent.from.isRolledBack || opened.held?.isRolledBack === true;
  if (sent.opened && !isRolledBack) throw new Finding("a message opens twice");
  // A crash between opening and committing: it comes again.
  if (!keeps) return;
  keep(to, sent.envelope, opened);
  sent.opened = true;
}

const CONTENTS = [0, 1, 20, 110, 400, 1_500] as const;

async function sendSome(world: World, side: Side, tape: Tape): Promise<void> {
  const from = sendable(side);
  const held = from[tape.below(Math.max(from.length, 1))];
  if (held === undefined) return;
  const options = tape.u8();
  const content = new Uint8Array(CONTENTS[(options & 7) % CONTENTS.length] ?? 0);
  // Different from every other, so that a mix-up shows.
  content.set([world.flying.length + world.landed.length, world.messages].slice(0, content.length));
  await send(world, held, content, (options & 0x18) === 0x18);
}

async function begin(world: World, side: Side): Promise<void> {
  const remote = other(world, side);
  if (side.held.length + remote.secrets.size >= SESSIONS_MAX) return;
  const env = envIn(world, side);
  const { bundle, secrets } = await createInviteBundle(remote.own, env);
  const initiated = await initiate(side.own, bundle, env);
  if (initiated === undefined) throw new Finding("an honest bundle is refused");
  remote.secrets.add(secrets);
  hold(side, initiated.session, 1);
}

const flyingAt = (world: World, tape: Tape): Sent | undefined =>
  world.flying[tape.below(Math.max(world.flying.length, 1))];

function land(world: World, sent: Sent): void {
  world.flying.splice(world.flying.indexOf(sent), 1);
  world.landed.push(sent);
}

async function deliverFirst(world: World): Promise<void> {
  const [first] = world.flying;
  if (first === undefined) return;
  await deliver(world, first);
  land(world, first);
}

/** What is on the disk is all there is: whatever does not survive storing is missed from now on. */
function restart(world: World, side: Side): void {
  for (const held of side.held) held.session = structuredClone(held.session);
  if (side.turns !== undefined) side.turns = createTurns(world.crypto, world.entropy);
}

type Operation = (world: World, tape: Tape) => Promise<void> | void;

const OPERATIONS: readonly Operation[] = [
  (world, tape) => sendSome(world, world.a, tape),
  (world, tape) => sendSome(world, world.b, tape),
  deliverFirst,
  async (world, tape) => {
    const sent = flyingAt(world, tape);
    if (sent === undefined) return;
    await deliver(world, sent);
    land(world, sent);
  },
  // Twice: what comes again is refused.
  async (world, tape) => {
    const sent = flyingAt(world, tape);
    if (sent === undefined) return;
    await deliver(world, sent);
    await deliver(world, sent);
    land(world, sent);
  },
  (world, tape) => {
    const sent = flyingAt(world, tape);
    if (sent !== undefined) world.flying.splice(world.flying.indexOf(sent), 1);
  },
  // Something old once more.
  async (world, tape) => {
    const sent = world.landed[tape.below(Math.max(world.landed.length, 1))];
    if (sent !== undefined) await deliver(world, sent);
  },
  // A bit flips on the way; the original comes later.
  async (world, tape) => {
    const sent = flyingAt(world, tape);
    if (sent === undefined) return;
    const bytes = Uint8Array.from(sent.envelope);
    const at = (tape.u8() * 256 + tape.u8()) % bytes.length;
    bytes[at] = (bytes[at] ?? 0) ^ (1 << tape.below(8));
    world.messages++;
    const opened = await read(world, sent.to, bytes);
    if (!opened.ok) return;
    // A repeated HELLO is known by its ephemeral key; its other fields are not looked at again (crypto/SPEC.md §4.4).
    const isRepeated = bytes[0] === EnvelopeType.hello && at < HELLO_HEADER_BYTES;
    if (!isRepeated || opened.held === undefined || !isSame(opened.content, sent.content)) {
      throw new Finding("a corrupt message opens");
    }
  },
  // A crash before the commit of what was sealed: nobody ever sees it.
  async (world, tape) => {
    const held = sendable(tape.below(2) === 0 ? world.a : world.b)[0];
    if (held === undefined) return;
    await encryptSafely(held.session, Uint8Array.of(1), envIn(world, held.side));
    restart(world, held.side);
  },
  // A crash before the commit of what was opened.
  async (world, tape) => {
    const sent = flyingAt(world, tape);
    if (sent === undefined) return;
    await deliver(world, sent, false);
    restart(world, sent.to);
  },
  (world, tape) => {
    world.now += [60_000, HOUR_MS, 30 * HOUR_MS, 24 * 15 * HOUR_MS][tape.below(4)] ?? 0;
  },
  // A backup, or a commit that a disk lost.
  (world, tape) => {
    const { held } = tape.below(2) === 0 ? world.a : world.b;
    const one = held[tape.below(Math.max(held.length, 1))];
    if (one === undefined) return;
    one.session = one.previous;
    one.isRolledBack = true;
  },
  (world, tape) => begin(world, tape.below(2) === 0 ? world.a : world.b),
  // A conversation: answer follows answer, while what was under way before stays there.
  async (world, tape) => {
    for (let left = tape.below(5) + 1; left > 0; left--) {
      for (const side of [world.a, world.b]) {
        const before = world.flying.length;
        await sendSome(world, side, tape);
        const sent = world.flying[before];
        if (sent === undefined) continue;
        await deliver(world, sent);
        land(world, sent);
      }
    }
  },
  // Many in one direction.
  async (world, tape) => {
    const held = sendable(tape.below(2) === 0 ? world.a : world.b)[0];
    if (held === undefined) return;
    for (let left = tape.below(12) + 1; left > 0; left--) {
      await send(world, held, Uint8Array.of(left), false);
    }
  },
];

/** In the end the network is good again: every session that nobody put back carries a message each way. */
async function settle(world: World): Promise<void> {
  while (world.flying.length > 0) await deliverFirst(world);
  for (const side of [world.a, world.b, world.a]) {
    for (const held of sendable(side)) await send(world, held, Uint8Array.of(9, 9), false);
    while (world.flying.length > 0) await deliverFirst(world);
  }
}

function sequence(name: string, base: CryptoBackend, weight: number): Target {
  const crypto = recording(base);
  let greeting: Greeting | undefined;
  return {
    name,
    covers: ["crypto.initiate", "crypto.accept", "crypto.decrypt"],
    maxBytes: 256,
    weight,
    // Every message may be tried on every session, and sealed with a whole key in it.
    steps: { base: 20_000_000, perByte: 0, perMessage: 3_000_000 },
    async run(input): Promise<Outcome> {
      if (greeting === undefined) throw new Error("call seeds first");
      crypto.forget();
      const tape = createTape(input);
      const random = createRandom(21);
      const entropy: CryptoEnv["entropy"] = (length) => random.bytes(length);
      const preparing = tape.below(4);
      const side = (own: OwnDevice, secrets: readonly PrekeySecrets[], prepares: number): Side => ({
        own,
        turns: (preparing & prepares) === 0 ? undefined : createTurns(crypto, entropy),
        held: [],
        secrets: new Set(secrets),
        byHello: new Map(),
      });
      const world: World = {
        a: side(greeting.alice, [], 1),
        b: side(greeting.bob, [greeting.secrets], 2),
        crypto,
        entropy,
        now: START,
        messages: 0,
        flying: [],
        landed: [],
        sentFrom: new Map(),
      };
      hold(world.a, greeting.session, 1);
      for (let count = 0; count < OPERATIONS_MAX && !tape.over(); count++) {
        const operation = OPERATIONS[tape.below(OPERATIONS.length)];
        await operation?.(world, tape);
      }
      await settle(world);
      const opened = world.landed.filter((sent) => sent.opened).length;
      return { accepted: opened > 0, messages: world.messages };
    },
    async seeds() {
      greeting ??= await greet(base, 20);
      return [
        Uint8Array.of(0, 0, 0, 2, 2, 1, 0, 3, 2),
        Uint8Array.of(3, 13, 5, 0, 8, 0, 8, 0, 8, 0, 8, 0, 8, 0, 8, 13, 3),
        Uint8Array.of(1, 12, 0, 12, 1, 0, 0, 1, 0, 0, 0, 1, 1, 3, 2, 3, 1, 4, 0, 2, 2),
        Uint8Array.of(0, 14, 0, 7, 3, 2, 2, 6, 0, 10, 3, 3, 1),
        Uint8Array.of(2, 0, 0, 9, 0, 2, 7, 0, 1, 2, 3, 8, 0, 8, 1, 11, 0, 0, 1, 0, 0, 1),
      ];
    },
  };
}

export const sequenceTargets: readonly Target[] = [
  sequence("sequence", stubBackend, 4),
  sequence("sequence-noble", nobleBackend, 1),
];
