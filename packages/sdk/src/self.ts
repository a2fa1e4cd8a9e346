/** This installation's identity: made silently at the first start, or out of a recovery phrase; never again. */
import { type CryptoEnv, createDeviceList, createOwnDevice, restoreDevice } from "@sotto/crypto";
import type { SelfRecord, Store } from "@sotto/protocol";
import { isName } from "@sotto/wire";
import { MessengerError, RecoveryError } from "./messenger.ts";
import { readPhrase } from "./recovery.ts";

/**
 * `name`: used only when there is no identity yet; `relays`: origins, of which home is told again with each start,
 * for the relay of a page may have moved, and the others are used only with a new identity. `phrase`: the new identity is a device of that account; where
 * there is an identity, a RecoveryError.
 */
export async function loadOrCreateSelf(
  store: Store,
  name: string,
  env: CryptoEnv,
  relays: readonly [home: string, ...further: readonly string[]],
  phrase?: string,
): Promise<SelfRecord> {
  const [home] = relays;
  const known = await store.loadSelf();
  // Whoever knows this person knows the keys in there: a silent new identity would lose all of them.
  if (known === "damaged") throw new MessengerError("storage", "identity unreadable");
  if (known !== undefined) {
    if (phrase !== undefined) throw new RecoveryError({ reason: "identity-exists" });
    return {
      ...known,
      relays: known.relays.map((one) => (one.derived ? one : { ...one, url: home })),
    };
  }
  if (!isName(name)) throw new MessengerError("usage", "not a usable name");
  const own =
    phrase === undefined
      ? await createOwnDevice(env)
      : await restoreDevice(await readPhrase(phrase), env);
  const self: SelfRecord = {
    ...own,
    name,
    readerSecret: env.entropy(32),
    relays: relays.map((url, at) => ({ url, key: undefined, derived: at > 0 })),
    createdAt: env.now,
    // A device that comes back from the phrase is told the list by another one, or by somebody who knows the account.
    devices: {
      lists: phrase === undefined ? [await createDeviceList(own, env)] : [],
      links: [],
      reach: [],
    },
  };
  const saved = await store.saveSelf(self);
  if (!saved.ok) throw new MessengerError("storage", `identity not stored: ${saved.reason}`);
  return self;
}
