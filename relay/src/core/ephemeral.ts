/**
 * The relay's X25519 key in HELLO, which senders agree with to prove their keys.
 * One for all connections of a minute: a key for each cost a newcomer as much processor as all the rest of its HELLO,
 * and a kilobyte for as long as it stays. What makes a proof of one connection worthless on another is the nonce.
 * Spec: SPEC.md §1.
 */
import { EPHEMERAL_MS } from "./limits.ts";
import type { RelayEnv } from "./ports.ts";

export interface Ephemeral {
  /** 32 bytes each. */
  readonly secret: Uint8Array;
  readonly publicKey: Uint8Array;
}

/** Answers with the key of now; whoever got one keeps it for the connection's life. */
export type Ephemerals = () => Promise<Ephemeral>;

export function createEphemerals(env: Pick<RelayEnv, "crypto" | "entropy" | "now">): Ephemerals {
  let madeAt = 0;
  let current: Promise<Ephemeral> | undefined;

  async function make(): Promise<Ephemeral> {
    const secret = env.entropy(32);
    return { secret, publicKey: await env.crypto.dhPublic(secret) };
  }

  return () => {
    const now = env.now();
    // Also when the clock was set back.
    if (current === undefined || Math.abs(now - madeAt) >= EPHEMERAL_MS) {
      madeAt = now;
      current = make();
    }
    return current;
  };
}
