/**
 * One random conversation between our code and the reference: who begins, our engine, sizes, order, loss, duplicates
 * and damage all come from a seed. Owns: what must open and what must not. Leaves to the caller: how many.
 */
import { deepStrictEqual } from "node:assert/strict";
import {
  accept,
  bundleHashOf,
  createLastResort,
  createOwnDevice,
  createPrekeyBatch,
  createSignedPrekey,
  createTurns,
  type CryptoBackend,
  type CryptoEnv,
  decrypt,
  encrypt,
  initiate,
  type LastResortSecrets,
  LIST_PREFIX_BYTES,
  type ListMark,
  NO_LIST_MARK,
  nobleBackend,
  OLD_CHAINS_MAX,
  type OwnDevice,
  type PrekeySecrets,
  type Session,
} from "@sotto/crypto";
import { kernelBackend, webCryptoBackend } from "@sotto/engines";
import { nodeBackend } from "@sotto/engines/node";
import {
  decodeBundle,
  decodeEnvelope,
  encodeBundle,
  LIST_VERSION_MAX,
  type PrekeyBundle,
} from "@sotto/wire";
import { createRandom, type Random } from "../differential/random.ts";
import {
  createDevice,
  createPrekeys,
  type Device,
  type Prekeys,
  referenceAccept,
  referenceInitiate,
  referenceOpen,
  referenceSeal,
  type ReferenceSession,
} from "./session.ts";

/** All that Node has: what speaks for us is one of these, in a whole schedule. */
export const ENGINES = [nobleBackend, nodeBackend, webCryptoBackend, kernelBackend] as const;

/** What a message says. */
interface Said {
  readonly mark: ListMark;
  readonly content: Uint8Array;
}

/** Either implementation, in either role. */
interface Side {
  seal(said: Said): Promise<Uint8Array>;
  /** Undefined: refused. */
  open(envelope: Uint8Array): Promise<Said | undefined>;
  /** Secrets mixed into the root so far. */
  epoch(): number;
}

interface Sent {
  readonly envelope: Uint8Array;
  readonly said: Said;
  /** The sender's chain, counted from 1. */
  readonly chain: number;
}

/** What both know who look from outside. */
interface Post {
  readonly side: Side;
  /** Sent to this side and not delivered for good: any of them may come next, or again. */
  readonly waiting: Sent[];
  readonly opened: Set<Sent>;
  /** Sending chains begun, and whether the next message begins one. */
  chains: number;
  due: boolean;
  /** Highest chain of the other side of which something was opened. */
  seen: number;
}

export interface Course {
  /** Name of the engine on our side. */
  readonly engine: string;
  readonly delivered: number;
  readonly refused: number;
  /** Post-quantum secrets in the root at the end. */
  readonly epochs: number;
}

/** Throws an error that names the seed at the first message that opens differently than it must. */
export async function runSchedule(seed: string): Promise<Course> {
  const random = createRandom(seed);
  const engine = ENGINES[random.below(ENGINES.length)] ?? nobleBackend;
  const reference = random.below(2) === 0 ? "initiator" : "responder";
  const [first, second] = await meet(random, engine, reference);
  const initiator = postOf(first, true);
  const responder = postOf(second, false);
  const steps = 6 + random.below(40);
  const sizeMax = [40, 300, 1_800][random.below(3)] ?? 0;
  const order = ORDERS[random.below(ORDERS.length)] ?? "oldest";
  let [delivered, refused] = [0, 0];
  const count = (outcome: Outcome): void => {
    if (outcome === "opened") delivered++;
    if (outcome === "refused") refused++;
  };
  for (let step = 0; step < steps; step++) {
    const [from, to] =
      random.below(2) === 0 ? [initiator, responder] : ([responder, initiator] as const);
    for (let run = random.below(3); run >= 0; run--) await send(from, to, random, sizeMax);
    for (let run = random.below(4); run > 0; run--) {
      count(await deliver(to, order, random, `${seed}, ${engine.name}, step ${step}`));
    }
  }
  for (const post of [initiator, responder]) {
    while (post.waiting.length > 0)
      count(await deliver(post, order, random, `${seed}, ${engine.name}, at the end`));
  }
  return {
    engine: engine.name,
    delivered,
    refused,
    epochs: Math.max(first.epoch(), second.epoch()),
  };
}

const postOf = (side: Side, initiator: boolean): Post => ({
  side,
  waiting: [],
  opened: new Set(),
  chains: initiator ? 1 : 0,
  due: false,
  seen: 0,
});

async function send(from: Post, to: Post, random: Random, sizeMax: number): Promise<void> {
  // A responder has nothing to send on before it has received.
  if (from.chains === 0 && !from.due) return;
  if (from.due) from.chains++;
  from.due = false;
  const said = { mark: markOf(random), content: random.bytes(random.below(sizeMax)) };
  const envelope = await from.side.seal(said);
  to.waiting.push({ envelope, said, chain: from.chains });
}

/** Every version comes, none and the last among them. */
function markOf(random: Random): ListMark {
  const version = random.below(LIST_VERSION_MAX + 1);
  return version === 0 ? NO_LIST_MARK : { version, prefix: random.bytes(LIST_PREFIX_BYTES) };
}

type Outcome = "nothing" | "opened" | "refused";
/** What mostly comes next: with "newest" the others wait until their keys have died. */
const ORDERS = ["oldest", "newest", "any"] as const;

/** One of what waits: lost, delivered damaged, delivered and forgotten, or delivered and kept to come again. */
async function deliver(
  to: Post,
  order: (typeof ORDERS)[number],
  random: Random,
  where: string,
): Promise<Outcome> {
  const last = Math.max(to.waiting.length - 1, 0);
  const usual = order === "newest" ? last : 0;
  const at = order === "any" || random.below(4) === 0 ? random.below(last + 1) : usual;
  const sent = to.waiting[at];
  if (sent === undefined) return "nothing";
  const fate = random.below(10);
  if (fate !== 9) to.waiting.splice(at, 1);
  if (fate === 0) return "nothing";
  if (fate === 1) {
    const opened = await to.side.open(damaged(sent.envelope, random));
    deepStrictEqual(opened, undefined, `damaged bytes opened: ${where}`);
    to.waiting.push(sent);
    return "nothing";
  }
  const tooOld = to.seen - sent.chain > OLD_CHAINS_MAX;
  const expected = to.opened.has(sent) || tooOld ? undefined : sent.said;
  const opened = await to.side.open(sent.envelope);
  deepStrictEqual(opened, expected, `opened differently: ${where}`);
  if (opened === undefined) return "refused";
  to.opened.add(sent);
  // The first of a new chain: the other side has answered, so an own turn is due.
  if (sent.chain > to.seen) to.due = true;
  to.seen = Math.max(to.seen, sent.chain);
  return "opened";
}

/** The HELLO's opening is looked at once only (crypto/SPEC.md §4.4), so damage goes behind it. */
function damaged(envelope: Uint8Array, random: Random): Uint8Array {
  const from = envelope[0] === 1 ? HELLO_BYTES : 0;
  const bit = from * 8 + random.below((envelope.length - from) * 8);
  return envelope.map((byte, at) => (at === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
}

const HELLO_BYTES = 1_329;

/** Initiator first. */
async function meet(
  random: Random,
  engine: CryptoBackend,
  reference: "initiator" | "responder",
): Promise<readonly [Side, Side]> {
  const own = await createOwnDevice(envOf(random, engine));
  const other = createDevice(random.bytes);
  const lastResort = random.below(8) === 0;
  if (reference === "initiator") {
    const { bundle, secrets } = await publish(own, lastResort, random, engine);
    const session = referenceInitiate(other, encodeBundle(bundle), random.bytes);
    return [
      referenceSide(session, undefined, random),
      ourSide(undefined, { own, secrets }, random, engine),
    ];
  }
  const prekeys = createPrekeys(other, lastResort, random.bytes);
  const decoded = decodeBundle(prekeys.bundle);
  if (!decoded.ok) throw new Error(`bundle: ${decoded.reason}`);
  const initiated = await initiate(own, decoded.value, envOf(random, engine));
  if (initiated === undefined) throw new Error("bundle refused");
  return [
    ourSide(initiated.session, undefined, random, engine),
    referenceSide(undefined, { own: other, prekeys }, random),
  ];
}

function envOf(random: Random, engine: CryptoBackend): CryptoEnv {
  const env = { entropy: random.bytes, crypto: engine, now: 1_700_000_000_000 };
  return random.below(2) === 0 ? env : { ...env, turns: createTurns(engine, random.bytes) };
}

async function publish(
  own: OwnDevice,
  lastResort: boolean,
  random: Random,
  engine: CryptoBackend,
): Promise<{
  readonly bundle: PrekeyBundle;
  readonly secrets: PrekeySecrets | LastResortSecrets;
}> {
  const env = envOf(random, engine);
  const signed = await createSignedPrekey(env);
  const batch = await createPrekeyBatch(own, signed.part, 2 ** random.below(3), env);
  const pair = batch[random.below(batch.length)];
  if (pair === undefined) throw new Error("empty batch");
  const kem = lastResort ? await createLastResort(own, signed.part, env) : pair;
  const bundle = { cert: own.cert, signedPrekey: signed.part, kemPrekey: kem.part };
  const kept = {
    signedPrekeyId: signed.part.id,
    signedPrekeySecret: signed.secret,
    kemSeed: kem.kemSeed,
    bundleHash: bundleHashOf(bundle),
  };
  const secrets = lastResort
    ? { ...kept, oneTimeId: kem.part.id, oneTimeSecret: undefined }
    : { ...kept, oneTimeId: kem.part.id, oneTimeSecret: pair.oneTimeSecret };
  return { bundle, secrets };
}

/** In arrays of one kind, to be compared. */
const saidIn = ({ mark, content }: Said): Said => ({
  mark: { version: mark.version, prefix: Uint8Array.from(mark.prefix) },
  content: Uint8Array.from(content),
});

function ourSide(
  initial: Session | undefined,
  invited:
    | { readonly own: OwnDevice; readonly secrets: PrekeySecrets | LastResortSecrets }
    | undefined,
  random: Random,
  engine: CryptoBackend,
): Side {
  const env = envOf(random, engine);
  let session = initial;
  return {
    async seal({ mark, content }) {
      if (session === undefined) throw new Error("no session");
      await env.turns?.fill();
      const sealed = await encrypt(session, content, env, { mark });
      ({ session } = sealed);
      return sealed.envelope;
    },
    async open(envelope) {
      const decoded = decodeEnvelope(envelope);
      if (!decoded.ok) return undefined;
      const { value } = decoded;
      const message = value.type === "hello" ? value.message : value;
      if (message.type !== "message") return undefined;
      if (session !== undefined) {
        const opened = await decrypt(session, message, env);
        if (opened.ok) ({ session } = opened);
        return opened.ok ? saidIn(opened) : undefined;
      }
      if (invited === undefined || value.type !== "hello") return undefined;
      const accepted = await accept(invited.own, invited.secrets, value, env);
      if (accepted.ok) ({ session } = accepted);
      return accepted.ok ? saidIn(accepted) : undefined;
    },
    epoch: () => session?.kem.epoch ?? 0,
  };
}

function referenceSide(
  initial: ReferenceSession | undefined,
  invited: { readonly own: Device; readonly prekeys: Prekeys } | undefined,
  random: Random,
): Side {
  let session = initial;
  return {
    seal({ mark, content }) {
      if (session === undefined) throw new Error("no session");
      const sealed = referenceSeal(session, mark, content, random.bytes);
      ({ session } = sealed);
      return Promise.resolve(Uint8Array.from(sealed.envelope));
    },
    open(envelope) {
      try {
        const bytes = Buffer.from(envelope);
        if (session === undefined && invited === undefined) return Promise.resolve(undefined);
        const opened =
          session === undefined && invited !== undefined
            ? referenceAccept(invited.own, invited.prekeys, bytes)
            : session === undefined
              ? undefined
              : referenceOpen(session, bytes);
        if (opened === undefined) return Promise.resolve(undefined);
        ({ session } = opened);
        return Promise.resolve(saidIn(opened));
      } catch {
        return Promise.resolve(undefined);
      }
    },
    epoch: () => session?.epoch ?? 0,
  };
}
