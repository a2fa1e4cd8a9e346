/** A messenger with the platform's own parts: Dexie, Web Locks, the page's relay, WebRTC when there is any. */
import type { CryptoBackend } from "@sotto/crypto";
import { chooseBackend } from "@sotto/engines";
import { platformEngines } from "@sotto/engines/platform";
import type { Entropy, Store } from "@sotto/protocol";
import { openDexieStore, StorageError } from "@sotto/storage";
import { createMemoryStore } from "@sotto/storage/memory";
import { createHub, type HubOptions, realTimers, RELAYS_MAX } from "@sotto/transport";
// Not loaded later: what it shares with the rest would be a module that others import, and WebKit refuses those.
import { fetchToken, type KeptRequest } from "@sotto/transport/admission";
import { HUB_PATH, isRelayUrl } from "@sotto/wire";
import { createMessenger } from "./create-messenger.ts";
import {
  type Messenger,
  MessengerError,
  type RestoredBackup,
  type StorageState,
} from "./messenger.ts";
import { createBroadcastPort, createWebLock, soleLeader } from "./tabs.ts";

export interface OpenMessengerOptions {
  /** For a new identity; ignored when this profile has one. */
  readonly name: string;
  /**
   * The recovery phrase of an account, as people type it: this profile becomes a new device of that account. Rejects
   * with RecoveryError for a phrase with a mistake and for a profile that has an identity which anybody knows.
   */
  readonly restore?: string;
  /**
   * This profile becomes the device that made the backup, with all it had. It opens with that account's phrase or with
   * the file's own passphrase. Rejects with BackupError; RecoveryError for a phrase with a mistake.
   */
  readonly backup?: RestoredBackup;
  /** Origin of the relay, for example "https://chat.example.com". In a page: usually `location.origin`. */
  readonly relayUrl: string;
  /**
   * Origins of up to two further relays that a new identity keeps its mailboxes at, so that nothing waits when one of
   * them is away. Later it is the person who adds and removes relays.
   */
  readonly relays?: readonly string[];
  /** Separate identities of one origin have separate profiles. */
  readonly profile?: string;
  /**
   * This profile has had an identity: where its store is empty all the same, the browser or its disk has lost it, and
   * this rejects with a MessengerError (code "storage", "history is gone") instead of beginning another one. `restore`
   * and `backup` bring it back. Where nothing is kept it says nothing.
   */
  readonly known?: boolean;
  /** Keep nothing on disk; everything is forgotten on close. The default where there is no IndexedDB. */
  readonly memory?: boolean;
  /**
   * For a relay that asks who comes: the invite code (door "invite") or the JWT of a sign-in (door "oidc"), asked for
   * until one is taken; undefined or a rejection: not now. `problem`: why the one before was not taken.
   */
  readonly admit?: (asked: AdmissionAsked) => Promise<string | undefined>;
  /** False: only ever through the relay. */
  readonly direct?: boolean;
}

export interface AdmissionAsked {
  readonly door: "invite" | "oidc";
  /** refused: wrong, used up or too old. limit: no more of this person today. later: no answer. */
  readonly problem?: "refused" | "limit" | "later";
}

/** Credentials tried with one connection; whoever has no good one by then waits for the next. */
const ADMIT_TRIES_MAX = 10;

/** Works in browsers and in Node (there in memory and through the relay). */
export async function openMessenger(options: OpenMessengerOptions): Promise<Messenger> {
  const { relayUrl } = options;
  const origins = [relayUrl, ...(options.relays ?? [])];
  if (!origins.every(isRelayUrl)) throw new MessengerError("usage", "not a relay address");
  if (origins.length > RELAYS_MAX || new Set(origins).size < origins.length) {
    throw new MessengerError("limit", `1 to ${RELAYS_MAX} different relays`);
  }
  const profile = options.profile ?? "main";
  const name = `sotto-${profile}`;
  const { store, storageState } = await openStore(name, options.memory ?? false);
  const backend = chooseBackend(platformEngines(), { ...realTimers, pause });
  const isShared = storageState.state === "ok" && hasTabs();
  return createMessenger({
    store,
    storageState,
    name: options.name,
    ...(options.restore === undefined ? {} : { restore: options.restore }),
    ...(options.backup === undefined ? {} : { backup: options.backup }),
    // What refuses to be opened just now may have everything.
    known: storageState.state === "ok" && options.known === true,
    relayUrl,
    ...(options.relays === undefined ? {} : { relays: options.relays }),
    entropy,
    now: Date.now,
    timers: realTimers,
    crypto: backend,
    lock: isShared ? createWebLock(name) : soleLeader,
    tabs: isShared ? createBroadcastPort(name) : undefined,
    createHub: ({ url, relayKey, readerSecret }, events) =>
      createHub({
        url: url.replace(/^http/, "ws") + HUB_PATH,
        relayKey,
        readerSecret,
        crypto: backend,
        entropy,
        events,
        // At other relays it writes to their members, which takes no admission, or has none.
        ...(options.admit === undefined || url !== relayUrl
          ? {}
          : admitter(
              relayUrl,
              options.admit,
              backend,
              // A browser that keeps a profile keeps this as well.
              storageState.state === "ok" ? globalThis.localStorage : undefined,
              `${name}-admission`,
            )),
      }),
    loadDirect:
      options.direct === false || typeof RTCPeerConnection === "undefined"
        ? undefined
        : async (home, events, rtcConfiguration) => {
            const { createDirect } = await import("@sotto/transport/libp2p");
            return createDirect({ ...home, events, rtcConfiguration });
          },
  });
}

/** `storage`: has, under `key`, what waits for its token; undefined: a page that is closed too early costs its code. */
function admitter(
  relayUrl: string,
  admit: NonNullable<OpenMessengerOptions["admit"]>,
  crypto: CryptoBackend,
  storage: Storage | undefined,
  key: string,
): Pick<HubOptions, "admit" | "admitted"> {
  /** A token of what is kept did not let anybody in: the next one is of another. */
  let isGiven = false;
  const keep: KeptRequest = {
    load: () => storage?.getItem(key),
    save: (text) => storage?.setItem(key, text),
  };
  const admitted = (): void => storage?.removeItem(key);
  return {
    admitted,
    async admit({ door, relayKey }) {
      if (isGiven) admitted();
      let asked: AdmissionAsked = { door };
      for (let tries = 0; tries < ADMIT_TRIES_MAX; tries++) {
        const text = await admit(asked);
        if (text === undefined) return undefined;
        const credential = door === "invite" ? { code: text } : { token: text };
        const answer = await fetchToken({ relayUrl, relayKey, credential, crypto, entropy, keep });
        isGiven = answer.ok;
        if (answer.ok) return answer.token;
        asked = { door, problem: answer.reason };
      }
      return undefined;
    },
  };
}

const entropy: Entropy = (length) => crypto.getRandomValues(new Uint8Array(length));

/** Trying engines out pauses some 70 times: at most this long, milliseconds, where the page is never idle. */
const PAUSE_MS_MAX = 50;

const pause = (): Promise<void> =>
  new Promise((resolve) => {
    if (typeof requestIdleCallback === "function") {
      requestIdleCallback(() => resolve(), { timeout: PAUSE_MS_MAX });
    } else {
      setTimeout(resolve, 0);
    }
  });

const hasTabs = (): boolean =>
  typeof BroadcastChannel !== "undefined" &&
  typeof navigator !== "undefined" &&
  "locks" in navigator;

async function openStore(
  name: string,
  memory: boolean,
): Promise<{ readonly store: Store; readonly storageState: StorageState }> {
  if (!memory && typeof indexedDB !== "undefined") {
    try {
      const store = await openDexieStore({ name });
      return { store, storageState: { state: "ok", persisted: await isPersisted() } };
    } catch (error) {
      if (!(error instanceof StorageError) || error.code !== "refused") {
        // There is a history here: starting without it would look like having lost it.
        throw new MessengerError("storage", NOT_OPENED[codeOf(error)]);
      }
      // A private window or a blocked site: usable, and the screen says that nothing is kept.
    }
  }
  return { store: createMemoryStore(), storageState: { state: "memory" } };
}

const NOT_OPENED = {
  blocked: "the database is kept by another tab",
  unreadable: "database unreadable",
  full: "database not opened: full",
} as const;

const codeOf = (error: unknown): keyof typeof NOT_OPENED => {
  const code = error instanceof StorageError ? error.code : undefined;
  return code === "unreadable" || code === "full" ? code : "blocked";
};

/** Undefined when the browser does not say. */
async function isPersisted(): Promise<boolean | undefined> {
  try {
    return await navigator.storage.persisted();
  } catch {
    return undefined;
  }
}
