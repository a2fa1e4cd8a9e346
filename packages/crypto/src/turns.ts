/**
 * Turns made ahead: key pairs are made in idle time; where the engine works beside us, the answer's exchange is computed
 * while the message that begins a chain is being opened. In memory only, so that a stored state never holds a key
 * before its use and heals as SPEC.md §5.7 says.
 * Owns: what is ready, each once. Leaves to ratchet.ts: using it, or making it in line when there is none.
 */
import { bytesToHex } from "@sotto/wire";
import type { CryptoBackend, Entropy } from "./backend.ts";

/** X25519. 32 bytes each. */
export interface KeyPair {
  readonly secret: Uint8Array;
  readonly key: Uint8Array;
}

/** Own half of a sending step towards one remote ratchet key. */
export interface PreparedTurn extends KeyPair {
  /** The exchange of `secret` with the remote key, 32 bytes. */
  readonly shared: Uint8Array;
}

export interface Turns {
  /** Starts the step towards `remoteKey`. Never throws; a failing engine leaves nothing prepared. */
  begin(remoteKey: Uint8Array): void;
  /** What was begun for `remoteKey`, once; undefined when there is nothing. */
  take(remoteKey: Uint8Array): Promise<PreparedTurn | undefined>;
  /** A key pair made in idle time, never the same one twice; undefined when there is none. */
  pair(): KeyPair | undefined;
  /** Makes key pairs up to PREPARED_PAIRS_MAX; for idle time. Rejects when the engine fails. */
  fill(): Promise<void>;
}

/** Beyond it the oldest is dropped and made again in line when it is needed. */
export const PREPARED_TURNS_MAX = 64;
/** Worth their keep with every engine: sealing a message that begins a turn takes 0.7 to 0.8 of the time (`npm run bench`). */
export const PREPARED_PAIRS_MAX = 4;

export function createTurns(crypto: CryptoBackend, entropy: Entropy): Turns {
  const begun = new Map<string, Promise<PreparedTurn | undefined>>();
  const pairs: KeyPair[] = [];

  /** The newest first: the others were in memory for longer, and it is made anew in the next pause. */
  const pair = (): KeyPair | undefined => pairs.pop();

  const makePair = async (): Promise<KeyPair> => {
    const secret = entropy(32);
    return { secret, key: await crypto.dhPublic(secret) };
  };

  const makeTurn = async (remoteKey: Uint8Array): Promise<PreparedTurn | undefined> => {
    try {
      const { secret, key } = pair() ?? (await makePair());
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
    pair,
    async fill() {
      while (pairs.length < PREPARED_PAIRS_MAX) {
        const made = await makePair();
        // Another call may have filled it meanwhile.
        if (pairs.length < PREPARED_PAIRS_MAX) pairs.push(made);
      }
    },
  };
}
