/**
 * The turns of a double ratchet: which chain a message belongs to, and its key. State in, new state out.
 * Owns: root steps in both directions, moving within a chain. Leaves to chains.ts: the keys themselves; to session.ts:
 * headers, sealing, the post-quantum secrets; to the caller: whether the header that leads here is genuine.
 * Spec: SPEC.md §5.1, §5.4.
 */
import { equalBytes } from "@sotto/wire";
import type { CryptoEnv } from "./backend.ts";
import {
  type Chain,
  chainStep,
  rootStep,
  type SkippedChain,
  type Skips,
  skipTo,
  takeSkipped,
} from "./chains.ts";
import type { PreparedTurn } from "./turns.ts";

/** All keys are 32 bytes. */
export interface Ratchet extends Skips {
  readonly rootKey: Uint8Array;
  readonly ownRatchetSecret: Uint8Array;
  /** Of `ownRatchetSecret`; undefined before the first chain of our own, for only a chain tells it. */
  readonly ownRatchetKey: Uint8Array | undefined;
  readonly remoteRatchetKey: Uint8Array | undefined;
  readonly sending: Chain | undefined;
  readonly nextSendingHeaderKey: Uint8Array;
  /** Messages sent in the sending chain before the current one. */
  readonly previousCount: number;
  /** The other side took its turn: the next message begins with one of our own. */
  readonly stepDue: boolean;
  readonly receiving: Chain | undefined;
  readonly nextReceivingHeaderKey: Uint8Array;
}

/** What a new turn takes into the root. */
export interface RootInput {
  /** 32 bytes of a finished exchange of the post-quantum ratchet. */
  readonly kemSecret?: Uint8Array | undefined;
  /** HKDF info; another suite's in tests. */
  readonly label?: string;
}

export type AdvanceFailure = "duplicate" | "too-far-ahead" | "unknown-session" | "malformed";

/** The key of one message, and the state after its use. */
export type Advanced<R extends Ratchet> =
  | { readonly ok: true; readonly session: R; readonly messageKey: Uint8Array }
  | { readonly ok: false; readonly reason: AdvanceFailure };

/** Message `n` of the chain that is being received. */
export function advanceInChain<R extends Ratchet>(
  session: R,
  n: number,
  env: Pick<CryptoEnv, "now" | "crypto">,
): Advanced<R> {
  const { receiving } = session;
  if (receiving === undefined) return { ok: false, reason: "unknown-session" };
  if (n < receiving.next) {
    const chain = session.skipped.find((one) => equalBytes(one.headerKey, receiving.headerKey));
    return chain === undefined
      ? { ok: false, reason: "duplicate" }
      : advanceInSkipped(session, chain, n);
  }
  const reached = skipTo(session, receiving, n, env);
  if (reached === undefined) return { ok: false, reason: "too-far-ahead" };
  const { messageKey, chainKey } = chainStep(reached.chain.chainKey, env.crypto.hmac);
  return {
    ok: true,
    messageKey,
    session: {
      ...session,
      skipped: reached.skipped,
      receiving: { headerKey: receiving.headerKey, chainKey, next: n + 1 },
    },
  };
}

/** Message `n` of a chain of which keys are kept. */
export function advanceInSkipped<R extends Ratchet>(
  session: R,
  chain: SkippedChain,
  n: number,
): Advanced<R> {
  const taken = takeSkipped(session, chain, n);
  if (taken === undefined) return { ok: false, reason: "duplicate" };
  return {
    ok: true,
    messageKey: taken.messageKey,
    session: { ...session, skipped: taken.skipped },
  };
}

/** Message `n` of the other side's new chain; its chain before had `previousCount` messages. */
export async function advanceToTurn<R extends Ratchet>(
  session: R,
  header: {
    readonly ratchetKey: Uint8Array;
    readonly previousCount: number;
    readonly n: number;
  },
  env: CryptoEnv,
  root: RootInput = {},
): Promise<Advanced<R>> {
  const { receiving } = session;
  if (receiving !== undefined && header.previousCount < receiving.next) {
    // The old chain ended before what was already received in it: no honest sender says so.
    return { ok: false, reason: "malformed" };
  }
  const closed =
    receiving === undefined ? session : skipTo(session, receiving, header.previousCount, env);
  if (closed === undefined) return { ok: false, reason: "too-far-ahead" };
  const exchange = env.crypto.dh(session.ownRatchetSecret, header.ratchetKey);
  // Beside our own exchange, where the engine works beside us: the answer's half then costs no time of its own. An engine
  // that has answered already would only make this message wait for a turn that may never be taken.
  if (exchange instanceof Promise) env.turns?.begin(header.ratchetKey);
  const shared = await exchange;
  const step = rootStep(session.rootKey, shared, root.kemSecret, env.crypto.hmac, root.label);
  const turned = {
    ...session,
    skipped: closed.skipped,
    rootKey: step.rootKey,
    remoteRatchetKey: header.ratchetKey,
    receiving: { headerKey: session.nextReceivingHeaderKey, chainKey: step.chainKey, next: 0 },
    nextReceivingHeaderKey: step.nextHeaderKey,
    stepDue: true,
    turn: session.turn + 1,
  };
  return advanceInChain(turned, header.n, env);
}

/** Begins a chain of our own. Throws when nothing has been received yet. */
export async function takeTurn<R extends Ratchet>(
  session: R,
  env: CryptoEnv,
  root: RootInput = {},
): Promise<R> {
  const { remoteRatchetKey } = session;
  if (remoteRatchetKey === undefined) throw new RangeError("no remote ratchet key");
  const turn = (await env.turns?.take(remoteRatchetKey)) ?? (await makeTurn(remoteRatchetKey, env));
  const step = rootStep(session.rootKey, turn.shared, root.kemSecret, env.crypto.hmac, root.label);
  return {
    ...session,
    rootKey: step.rootKey,
    ownRatchetSecret: turn.secret,
    ownRatchetKey: turn.key,
    previousCount: session.sending?.next ?? 0,
    sending: { headerKey: session.nextSendingHeaderKey, chainKey: step.chainKey, next: 0 },
    nextSendingHeaderKey: step.nextHeaderKey,
    stepDue: false,
  };
}

async function makeTurn(remoteKey: Uint8Array, env: CryptoEnv): Promise<PreparedTurn> {
  const pair = env.turns?.pair();
  const secret = pair?.secret ?? env.entropy(32);
  const [key, shared] = await Promise.all([
    pair?.key ?? env.crypto.dhPublic(secret),
    env.crypto.dh(secret, remoteKey),
  ]);
  return { secret, key, shared };
}
