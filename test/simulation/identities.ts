/** Long-term keys of the simulated people and of the relay: real curve points, made once per process and suite. */
import { createOwnDevice, type CryptoBackend, type OwnDevice, restoreDevice } from "@sotto/crypto";
import { createRandom } from "./random.ts";

export const PEOPLE_MAX = 4;
export const RELAY_SEED = new Uint8Array(32).fill(7);

export interface Identities {
  readonly people: readonly OwnDevice[];
  /** What each of them has after losing all keys: another account. */
  readonly renewed: readonly OwnDevice[];
  /** Somebody whom nobody knows. */
  readonly stranger: OwnDevice;
  /** Ed25519, 32 bytes, as clients pin it. */
  readonly relayKey: Uint8Array;
}

/** Devices that one simulated person may have in turn. */
const DEVICES_PER_PERSON = 3;
const accounts = new Map<CryptoBackend, Promise<readonly (readonly OwnDevice[])[]>>();

/** Three people, each with keys for some devices of one account. */
export function accountsFor(crypto: CryptoBackend): Promise<readonly (readonly OwnDevice[])[]> {
  const made = accounts.get(crypto) ?? makeAccounts(crypto);
  accounts.set(crypto, made);
  return made;
}

async function makeAccounts(crypto: CryptoBackend): Promise<readonly (readonly OwnDevice[])[]> {
  const { people } = await identitiesFor(crypto);
  const random = createRandom(0xdecaf);
  const env = {
    now: 1_700_000_000_000,
    entropy: (length: number) => random.bytes(length),
    crypto,
  };
  const all: OwnDevice[][] = [];
  for (const first of people.slice(0, 3)) {
    const devices = [first];
    while (devices.length < DEVICES_PER_PERSON) {
      devices.push(await restoreDevice(first.rootSecret, env));
    }
    all.push(devices);
  }
  return all;
}

const known = new Map<CryptoBackend, Promise<Identities>>();

export function identitiesFor(crypto: CryptoBackend): Promise<Identities> {
  const made = known.get(crypto) ?? makeIdentities(crypto);
  known.set(crypto, made);
  return made;
}

async function makeIdentities(crypto: CryptoBackend): Promise<Identities> {
  const makeDevices = async (seed: number, count: number): Promise<readonly OwnDevice[]> => {
    const random = createRandom(seed);
    const entropy = (length: number) => random.bytes(length);
    const devices: OwnDevice[] = [];
    while (devices.length < count) {
      devices.push(await createOwnDevice({ now: 1_700_000_000_000, entropy, crypto }));
    }
    return devices;
  };
  const people = await makeDevices(0xc0ffee, PEOPLE_MAX);
  const renewed = await makeDevices(0x2e2e2e, PEOPLE_MAX);
  const stranger = (await makeDevices(0xbad, 1))[0]!;
  return { people, renewed, stranger, relayKey: await crypto.signPublic(RELAY_SEED) };
}
