/**
 * One random conversation between Olm's own library and our ratchet with Olm's constants: loss, reordering, repeats
 * and damage come from a seed; Olm draws its keys itself. Owns: what must open. Leaves to the caller: how many.
 */
import { deepStrictEqual } from "node:assert/strict";
import { createOlm, identityKeyOf, Olm, oneTimeKeyOf } from "@sotto/peers/olm";
import { bytesToUtf8, utf8ToBytes } from "@sotto/wire";
import { nodeBackend } from "@sotto/engines/node";
import {
  innerMessage,
  olmAccept,
  olmInitiate,
  olmOpen,
  olmSeal,
  type OlmSealed,
  type OlmSession,
  x25519Public,
} from "../../packages/crypto/test/olm-suite.ts";
import { createRandom, type Random } from "./random.ts";

/** A message on its way; `bytes` as they travel. */
interface Sent extends OlmSealed {
  readonly text: string;
  /** The sender's chain, counted from 1, and how many messages its chain before had. */
  readonly chain: number;
  readonly previousCount: number;
}

interface Side {
  seal(text: string): Promise<OlmSealed>;
  /** Undefined: refused. */
  open(sent: Sent): Promise<string | undefined>;
}

/** What someone who looks from outside knows. */
interface Post {
  readonly side: Side;
  waiting: Sent[];
  readonly opened: Set<Sent>;
  chains: number;
  /** Messages in the sending chain, and in the one before. */
  count: number;
  previousCount: number;
  due: boolean;
  /** Highest chain of the other side of which something was opened. */
  seen: number;
}

/** Messages on the way at most: Olm keeps 40 skipped keys. */
const WAITING_MAX = 12;
/** Older ones are given up: what keys are kept how long is not the same in both. */
const CHAINS_LATE_MAX = 2;

export interface OlmCourse {
  /** Opened by Olm, and by us. */
  readonly byOlm: number;
  readonly byUs: number;
  readonly refused: number;
  /** Turns of both sides. */
  readonly turns: number;
}

/** Throws an error that names the seed at the first message that opens differently than it must. */
export async function runOlmSchedule(seed: string): Promise<OlmCourse> {
  await createOlm();
  const random = createRandom(seed);
  const weBegin = random.below(2) === 0;
  const { ours, theirs, free } = weBegin ? beginAsInitiator(random) : beginAsResponder(random);
  const us = postOf(ours, weBegin);
  const them = postOf(theirs, !weBegin);
  const course = { byOlm: 0, byUs: 0, refused: 0 };
  const steps = 10 + random.below(50);
  for (let step = 0; step < steps; step++) {
    const [from, to] = random.below(2) === 0 ? ([us, them] as const) : ([them, us] as const);
    for (let run = random.below(3); run >= 0; run--) await send(from, to, random);
    for (let run = random.below(4); run > 0; run--) {
      const outcome = await deliver(to, random, `${seed}, step ${step}`);
      if (outcome === "refused") course.refused++;
      if (outcome === "opened") course[to === us ? "byUs" : "byOlm"]++;
    }
  }
  free();
  return { ...course, turns: us.chains + them.chains };
}

const postOf = (side: Side, initiator: boolean): Post => ({
  side,
  waiting: [],
  opened: new Set(),
  chains: initiator ? 1 : 0,
  count: 0,
  previousCount: 0,
  due: false,
  seen: 0,
});

async function send(from: Post, to: Post, random: Random): Promise<void> {
  if ((from.chains === 0 && !from.due) || to.waiting.length >= WAITING_MAX) return;
  if (from.due) {
    from.chains++;
    from.previousCount = from.count;
    from.count = 0;
    from.due = false;
  }
  from.count++;
  const text = Buffer.from(random.bytes(random.below(100))).toString("hex");
  const sealed = await from.side.seal(text);
  const { chains: chain, previousCount } = from;
  to.waiting.push({ ...sealed, text, chain, previousCount });
}

async function deliver(
  to: Post,
  random: Random,
  where: string,
): Promise<"nothing" | "opened" | "refused"> {
  to.waiting = to.waiting.filter(({ chain }) => to.seen - chain <= CHAINS_LATE_MAX);
  const at = random.below(2) === 0 ? random.below(Math.max(to.waiting.length, 1)) : 0;
  const sent = to.waiting[at];
  if (sent === undefined) return "nothing";
  const fate = random.below(10);
  if (fate !== 9) to.waiting.splice(at, 1);
  if (fate === 0) return "nothing";
  // The fields in front of a prekey message are not under its MAC.
  if (fate === 1 && sent.type === 1) {
    const bit = random.below(sent.bytes.length * 8);
    const bytes = sent.bytes.map((byte, index) =>
      index === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte,
    );
    const opened = await to.side.open({ ...sent, bytes });
    deepStrictEqual(opened, undefined, `damaged bytes opened: ${where}`);
    to.waiting.push(sent);
    return "refused";
  }
  const opened = await to.side.open(sent);
  const expected = to.opened.has(sent) ? undefined : sent.text;
  deepStrictEqual(opened, expected, `opened differently: ${where}`);
  if (opened === undefined) return "refused";
  to.opened.add(sent);
  if (sent.chain > to.seen) to.due = true;
  to.seen = Math.max(to.seen, sent.chain);
  return "opened";
}

const toBase64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes).toString("base64").replaceAll("=", "");
const fromBase64 = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "base64"));

interface Pair {
  readonly ours: Side;
  readonly theirs: Side;
  free(this: void): void;
}

/** Olm publishes keys, we begin. */
function beginAsInitiator(random: Random): Pair {
  const account = newAccount();
  account.generate_one_time_keys(1);
  const remote = {
    identityKey: fromBase64(identityKeyOf(account)),
    oneTimeKey: fromBase64(oneTimeKeyOf(account)),
  };
  const session = new Olm.Session();
  let begun = false;
  const theirs = olmSide(session, (sent) => {
    if (begun) return;
    session.create_inbound(account, toBase64(sent.bytes));
    account.remove_one_time_keys(session);
    begun = true;
  });
  const env = envOf(random);
  return {
    ours: ourSide(olmInitiate(random.bytes(32), remote, env), undefined, random),
    theirs,
    free() {
      session.free();
      account.free();
    },
  };
}

/** We publish keys, Olm begins. */
function beginAsResponder(random: Random): Pair {
  const account = newAccount();
  const [identitySecret, oneTimeSecret] = [random.bytes(32), random.bytes(32)];
  const session = new Olm.Session();
  session.create_outbound(
    account,
    toBase64(x25519Public(identitySecret)),
    toBase64(x25519Public(oneTimeSecret)),
  );
  return {
    ours: ourSide(
      undefined,
      (message) => olmAccept(identitySecret, oneTimeSecret, message),
      random,
    ),
    theirs: olmSide(session, () => undefined),
    free() {
      session.free();
      account.free();
    },
  };
}

function newAccount(): Olm.Account {
  const account = new Olm.Account();
  account.create();
  return account;
}

const envOf = (random: Random) => ({
  entropy: random.bytes,
  crypto: nodeBackend,
  now: 1_700_000_000_000,
});

function olmSide(session: Olm.Session, prepare: (sent: Sent) => void): Side {
  return {
    seal(text) {
      const { type, body } = session.encrypt(text);
      return Promise.resolve({ type, bytes: fromBase64(body) });
    },
    open(sent) {
      prepare(sent);
      try {
        return Promise.resolve(session.decrypt(sent.type, toBase64(sent.bytes)));
      } catch {
        return Promise.resolve(undefined);
      }
    },
  };
}

function ourSide(
  initial: OlmSession | undefined,
  acceptFrom: ((prekeyMessage: Uint8Array) => OlmSession) | undefined,
  random: Random,
): Side {
  const env = envOf(random);
  let session = initial;
  return {
    async seal(text) {
      if (session === undefined) throw new Error("no session");
      const answer = await olmSeal(session, utf8ToBytes(text), env);
      ({ session } = answer);
      return answer.sealed;
    },
    async open({ type, bytes, previousCount }) {
      const before = session ?? acceptFrom?.(bytes);
      if (before === undefined) return undefined;
      try {
        const message = type === 0 ? innerMessage(bytes) : bytes;
        const opened = await olmOpen(before, message, previousCount, env);
        if (opened === undefined) return undefined;
        ({ session } = opened);
        return bytesToUtf8(opened.plaintext);
      } catch {
        return undefined;
      }
    },
  };
}
