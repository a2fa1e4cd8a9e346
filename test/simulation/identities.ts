/** Long-term keys of the simulated people and of the relay: real curve points, made once per process and suite. */
import { createOwnDevice, type CryptoBackend, type OwnDevice } from "@sotto/crypto";
import { createRandom } from "./random.ts";

export const PEOPLE_MAX = 4;
export const RELAY_SEED = new Uint8Array(32).fill(7);

export interface Identities {
  readonly people: readonly OwnDevice[];
  /** Ed25519, 32 bytes, as clients pin it. */
  readonly relayKey: Uint8Array;
}

const known = new Map<CryptoBackend, Promise<Identities>>();

export function identitiesFor(crypto: CryptoBackend): Promise<Identities> {
  const made = known.get(crypto) ?? makeIdentities(crypto);
  known.set(crypto, made);
  return made;
}

async function makeIdentities(crypto: CryptoBackend): Promise<Identities> {
  const random = createRandom(0xc0ffee);
  const people: OwnDevice[] = [];
  for (let index = 0; index < PEOPLE_MAX; index++) {
    people.push(
      await createOwnDevice({
        now: 1_700_000_000_000,
        entropy: (length) => random.bytes(length),
        crypto,
      }),
    );
  }
  return { people, relayKey: await crypto.signPublic(RELAY_SEED) };
}
