/** This installation's identity: made silently at the first start, never again. */
import { type CryptoEnv, createOwnDevice } from "@sotto/crypto";
import type { SelfRecord, Store } from "@sotto/protocol";
import { isName } from "@sotto/wire";
import { MessengerError } from "./messenger.ts";

/** `name`: used only when there is no identity yet. */
export async function loadOrCreateSelf(
  store: Store,
  name: string,
  env: CryptoEnv,
): Promise<SelfRecord> {
  const known = await store.loadSelf();
  // Whoever knows this person knows the keys in there: a silent new identity would lose all of them.
  if (known === "damaged") throw new MessengerError("storage", "identity unreadable");
  if (known !== undefined) return known;
  if (!isName(name)) throw new MessengerError("usage", "not a usable name");
  const own = await createOwnDevice(env);
  const self: SelfRecord = {
    ...own,
    name,
    readerSecret: env.entropy(32),
    relayKey: undefined,
    createdAt: env.now,
  };
  const saved = await store.saveSelf(self);
  if (!saved.ok) throw new MessengerError("storage", `identity not stored: ${saved.reason}`);
  return self;
}
