/** This installation's identity: made silently at the first start, or out of a recovery phrase; never again. */
import { type CryptoEnv, createDeviceList, createOwnDevice, restoreDevice } from "@sotto/crypto";
import type { SelfRecord, Store } from "@sotto/protocol";
import { restoreBackup, restoreIdentity } from "./backup.ts";
import { isName } from "@sotto/wire";
import { BackupError, MessengerError, RecoveryError, type RestoredBackup } from "./messenger.ts";
import { readPhrase } from "./recovery.ts";

export interface SelfParts {
  /** Used only when there is no identity yet. */
  readonly name: string;
  /** There has been one: a store without any has lost it. */
  readonly known?: boolean;
  /** A phrase: the new identity is a device of that account; where there is an identity, a RecoveryError. */
  readonly restore?: string;
}

/**
 * `relays`: origins, of which home is told again with each start,
 * for the relay of a page may have moved, and the others are used only with a new identity.
 */
export async function loadOrCreateSelf(
  store: Store,
  { name, known: isKnown = false, restore: phrase }: SelfParts,
  env: CryptoEnv,
  relays: readonly [home: string, ...further: readonly string[]],
): Promise<SelfRecord> {
  const [home] = relays;
  const known = await store.loadSelf();
  // Whoever knows this person knows the keys in there: a silent new identity would lose all of them.
  if (known === "damaged") throw new MessengerError("storage", "identity unreadable");
  if (phrase !== undefined) {
    if (known !== undefined && !(await isUnused(store, known))) {
      throw new RecoveryError({ reason: "identity-exists" });
    }
  } else if (known !== undefined) {
    return {
      ...known,
      relays: known.relays.map((one) => (one.derived ? one : { ...one, url: home })),
    };
  }
  // What a restored backup left behind when it was cut off belongs to nobody else.
  if (phrase === undefined && (await store.loadAll()).conversations.length > 0) {
    throw new MessengerError(
      "storage",
      "identity unreadable: a backup was not restored to its end",
    );
  }
  if (isKnown && phrase === undefined) throw new MessengerError("storage", "history is gone");
  if (!isName(name)) throw new MessengerError("usage", "not a usable name");
  const rootSecret = phrase === undefined ? undefined : await readPhrase(phrase);
  if (rootSecret !== undefined) await forget(store);
  const own =
    rootSecret === undefined ? await createOwnDevice(env) : await restoreDevice(rootSecret, env);
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
      met: 0,
      reach: [],
    },
  };
  const saved = await store.saveSelf(self);
  if (!saved.ok) throw new MessengerError("storage", `identity not stored: ${saved.reason}`);
  return self;
}

/**
 * Makes a profile what a backup says. Rejects with BackupError: "identity-exists" when somebody knows the one that is
 * here, or there is a history of an identity that cannot be read. Where the file is of this very device, that identity
 * alone comes back.
 */
export async function restoreSelf(store: Store, backup: RestoredBackup): Promise<void> {
  const known = await store.loadSelf();
  if (known !== undefined && known !== "damaged" && !(await isUnused(store, known))) {
    throw new BackupError("identity-exists");
  }
  const { file } = backup;
  const secret =
    "phrase" in backup
      ? { rootSecret: await readPhrase(backup.phrase) }
      : { passphrase: backup.passphrase };
  const source = { file, ...secret };
  if (known === "damaged") {
    if (await restoreIdentity(store, source)) return;
    // A history that waits for the right file is not given up for a wrong one.
    if (!(await isHistoryEmpty(store))) throw new BackupError("identity-exists");
  }
  await restoreBackup(store, source, () => forget(store));
}

/** Made silently at the first start, and nobody was told of it. */
async function isUnused(store: Store, { devices }: SelfRecord): Promise<boolean> {
  return devices.links.length === 0 && devices.lists.length <= 1 && (await isHistoryEmpty(store));
}

/** Nothing but notes to oneself, and nothing in those. */
async function isHistoryEmpty(store: Store): Promise<boolean> {
  const { conversations } = await store.loadAll();
  return conversations.every(({ peer, last }) => peer.state === "notes" && last === undefined);
}

async function forget(store: Store): Promise<void> {
  const cleared = await store.clear();
  if (!cleared.ok) throw new MessengerError("storage", `nothing forgotten: ${cleared.reason}`);
}
