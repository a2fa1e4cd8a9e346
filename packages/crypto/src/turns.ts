/**
 * Turns made ahead: while a message that begins a chain is being opened, the answer's key pair and exchange are
 * computed beside it; key pairs are made in idle time. In memory only, so that a stored state never holds a key
 * before its use and heals as SPEC.md §5.7 says.
 * Owns: what is ready. Leaves to session.ts: using it, or making it in line when there is none.
 */
import { bytesToHex } from "@sotto/wire";
import type { CryptoBackend, Entropy } from "./backend.ts";

/** Own half of a sending step towards one remote ratchet key. 32 bytes each. */
export interface PreparedTurn {
  readonly secret: Uint8Array;
  readonly key: Uint8Array;
  /** The exchange of `secret` with the remote key. */
  readonly shared: Uint8Array;
}

export interface Turns {
  /** Starts the step towards `remoteKey`. Never throws; a failing engine leaves nothing prepared. */
  begin(remoteKey: Uint8Array): void;
  /** What was begun for `remoteKey`, once; undefined when there is nothing. */
  take(remoteKey: Uint8Array): Promise<PreparedTurn | undefined>;
  /** Makes key pairs up to PREPARED_PAIRS_MAX; for idle time. Rejects when the engine fails. */
  fill(): Promise<void>;
}

/** Beyond it the oldest is dropped and made again in line when it is needed. */
export const PREPARED_TURNS_MAX = 64;
export const PREPARED_PAIRS_MAX = 4;

interface KeyPair {
  readonly secret: Uint8Array;
  readonly key: Uint8Array;
}

export function createTurns(crypto: CryptoBackend, entropy: Entropy): Turns {
  const begun = new Map<string, Promise<PreparedTurn | undefined>>();
  const pairs: KeyPair[] = [];

  const makePair = async (): Promise<KeyPair> => {
    const secret = entropy(32);
    return { secret, key: await crypto.dhPublic(secret) };
  };

  const makeTurn = async (remoteKey: Uint8Array): Promise<PreparedTurn | undefined> => {
    try {
      const { secret, key } = pairs.pop() ?? (await makePair());
      return { secret, key, shared: await crypto.dh(secret, remoteKey) };
    } catch {
      return undefined;
    }
  };

  return {
    begin(remoteKey) {
      const name = bytesToHex(remoteKey);
      if (begun.has(name)) return;
      begun.set(name, makeTurn(remoteKey));
      for (const oldest of begun.keys()) {
        if (begun.size <= PREPARED_TURNS_MAX) break;
        begun.delete(oldest);
      }
    },
    take(remoteKey) {
      const name = bytesToHex(remoteKey);
      const turn = begun.get(name);
      begun.delete(name);
      return turn ?? Promise.resolve(undefined);
    },
    async fill() {
      while (pairs.length < PREPARED_PAIRS_MAX) pairs.push(await makePair());
    },
  };
}
