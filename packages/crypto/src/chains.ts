/**
 * Symmetric chains: one key per message, keys of messages that have not come yet, and the limits on them.
 * Owns: chain and root steps, skipping, forgetting. Leaves to session.ts: turns, headers, sealing.
 * Spec: SPEC.md §5.1, §5.4, §5.5.
 */
import { concatBytes, equalBytes, utf8ToBytes } from "@sotto/wire";
import type { CryptoEnv } from "./backend.ts";
import { LABELS } from "./labels.ts";
import { hkdfSha256, type Hmac } from "./primitives.ts";

/** Message keys derived ahead in one chain by one message: 2,000 × 2 HMAC bounds what a header can cost. */
export const JUMP_MAX = 2_000;
/** Skipped message keys kept per session, in all chains; beyond it the oldest is dropped. */
export const SKIPPED_KEYS_MAX = 2_000;
/** Chains before the current one whose late messages still open. */
export const OLD_CHAINS_MAX = 5;
/** A skipped key dies after 14 days. */
export const SKIPPED_KEY_AGE_MS_MAX = 14 * 24 * 3_600_000;

/** One direction of one turn. `next`: number of the next message. All keys are 32 bytes. */
export interface Chain {
  readonly headerKey: Uint8Array;
  readonly chainKey: Uint8Array;
  readonly next: number;
}

interface SkippedKey {
  readonly n: number;
  readonly key: Uint8Array;
  /** When it was skipped, ms since 1970. */
  readonly at: number;
}

/** Keys of messages that have not come yet, ascending by n. */
export interface SkippedChain {
  readonly headerKey: Uint8Array;
  /** The session's turn in which the chain was the current one. */
  readonly turn: number;
  readonly keys: readonly SkippedKey[];
}

/** Everything a session keeps of messages that have not come. */
export interface Skips {
  /** Oldest first. */
  readonly skipped: readonly SkippedChain[];
  /** Receiving chains begun so far. */
  readonly turn: number;
}

const MESSAGE_KEY = Uint8Array.of(1);
const CHAIN_KEY = Uint8Array.of(2);

/** The key of the next message of a chain, and the chain key after it. */
export const chainStep = (
  chainKey: Uint8Array,
  hmac: Hmac,
): { readonly messageKey: Uint8Array; readonly chainKey: Uint8Array } => ({
  messageKey: hmac(chainKey, MESSAGE_KEY),
  chainKey: hmac(chainKey, CHAIN_KEY),
});

/** `kemSecret`: 32 bytes of a finished exchange of the post-quantum ratchet, or undefined. */
export function rootStep(
  rootKey: Uint8Array,
  shared: Uint8Array,
  kemSecret: Uint8Array | undefined,
  hmac: Hmac,
  label: string = LABELS.root,
): {
  readonly rootKey: Uint8Array;
  readonly chainKey: Uint8Array;
  readonly nextHeaderKey: Uint8Array;
} {
  const ikm = kemSecret === undefined ? shared : concatBytes(shared, kemSecret);
  const keys = hkdfSha256(ikm, rootKey, utf8ToBytes(label), 96, hmac);
  return {
    rootKey: keys.slice(0, 32),
    chainKey: keys.slice(32, 64),
    nextHeaderKey: keys.slice(64),
  };
}

/** Keeps the keys of `chain` from its next message up to, not including, `until`. Undefined past JUMP_MAX. */
export function skipTo(
  skips: Skips,
  chain: Chain,
  until: number,
  { now, crypto }: Pick<CryptoEnv, "now" | "crypto">,
): { readonly skipped: readonly SkippedChain[]; readonly chain: Chain } | undefined {
  if (until - chain.next > JUMP_MAX) return undefined;
  const keys: SkippedKey[] = [];
  let { chainKey } = chain;
  for (let n = chain.next; n < until; n++) {
    const step = chainStep(chainKey, crypto.hmac);
    keys.push({ n, key: step.messageKey, at: now });
    ({ chainKey } = step);
  }
  const advanced = { headerKey: chain.headerKey, chainKey, next: until };
  if (keys.length === 0) return { skipped: skips.skipped, chain: advanced };
  const held = skips.skipped.find((one) => equalBytes(one.headerKey, chain.headerKey));
  const grown: SkippedChain = {
    headerKey: chain.headerKey,
    turn: skips.turn,
    keys: [...(held?.keys ?? []), ...keys],
  };
  return { skipped: [...skips.skipped.filter((one) => one !== held), grown], chain: advanced };
}

/** The key kept for number `n` of `chain`, and what is kept after its use. Undefined: used, or never kept. */
export function takeSkipped(
  { skipped }: Skips,
  chain: SkippedChain,
  n: number,
): { readonly skipped: readonly SkippedChain[]; readonly messageKey: Uint8Array } | undefined {
  const found = chain.keys.find((one) => one.n === n);
  if (found === undefined) return undefined;
  const rest = { ...chain, keys: chain.keys.filter((one) => one !== found) };
  return { skipped: skipped.map((one) => (one === chain ? rest : one)), messageKey: found.key };
}

/** Applies every limit on skipped keys: age, turns, chains, total. */
export function dropOldKeys({ skipped, turn }: Skips, now: number): readonly SkippedChain[] {
  const oldest = now - SKIPPED_KEY_AGE_MS_MAX;
  let chains = skipped
    .filter((chain) => turn - chain.turn < OLD_CHAINS_MAX + 1)
    .map((chain) =>
      chain.keys.every((one) => one.at >= oldest)
        ? chain
        : { ...chain, keys: chain.keys.filter((one) => one.at >= oldest) },
    )
    .filter((chain) => chain.keys.length > 0);
  let excess = chains.reduce((sum, chain) => sum + chain.keys.length, 0) - SKIPPED_KEYS_MAX;
  while (excess > 0) {
    const [first, ...rest] = chains;
    if (first === undefined) break;
    const keys = first.keys.slice(excess);
    excess -= first.keys.length;
    chains = keys.length > 0 ? [{ ...first, keys }, ...rest] : rest;
  }
  return chains;
}
