/**
 * Makes a messenger out of its parts: the leading tab runs the engine, the others ask it and read the same store.
 * Owns: leading and following. Leaves to open-messenger.ts: which parts.
 */
import { safetyNumber } from "@sotto/crypto";
import type { ChosenBackend } from "@sotto/engines";
import type { Entropy, OwnRelay, Store } from "@sotto/protocol";
import {
  createIce,
  type Direct,
  type DirectEvents,
  type Hub,
  type HubEvents,
  type Ice,
  type OpenRelay,
  type Timers,
} from "@sotto/transport";
import { bytesToHex } from "@sotto/wire";
// Not loaded later: see open-messenger.ts.
import { importBackup, writeBackup } from "./backup.ts";
import { createDirectLinks } from "./direct-links.ts";
import { createLive, selectLive } from "./live.ts";
import { type Leader, startLeader } from "./leader.ts";
import {
  BackupError,
  type Conversation,
  type ConversationView,
  type Diagnostics,
  type Messenger,
  MessengerError,
  RecoveryError,
  type RestoredBackup,
  type SafetyNumber,
  type StorageState,
} from "./messenger.ts";
import { readWords } from "./recovery.ts";
import { loadOrCreateSelf, restoreSelf } from "./self.ts";
import type { Command, CommandResult, LeaderLock, Snapshot, TabPort } from "./tabs.ts";
import { type LiveTimeline, openTimeline } from "./timeline.ts";
import { viewMessage } from "./views.ts";

export interface MessengerParts {
  readonly store: Store;
  readonly storageState: StorageState;
  /** Given to a new identity; later names are changed by `rename`. */
  readonly name: string;
  /** There has been an identity: a store without any has lost it, and none is begun. */
  readonly known?: boolean;
  /** Recovery phrase: the new identity is a device of that account. Refused where there is an identity. */
  readonly restore?: string;
  /** The device that made the backup: this store becomes its own. */
  readonly backup?: RestoredBackup;
  /** Origin of the relay, for example "https://chat.example.com". */
  readonly relayUrl: string;
  /** Origins of further relays, for a new identity. */
  readonly relays?: readonly string[];
  readonly entropy: Entropy;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly timers: Timers;
  /** Chosen among the platform's engines when this tab leads. */
  readonly crypto: ChosenBackend;
  readonly lock: LeaderLock;
  /** Undefined when no other tab can use the same store. */
  readonly tabs: TabPort | undefined;
  readonly createHub: (relay: OpenRelay, events: HubEvents) => Hub;
  /** Undefined when this platform has no WebRTC. */
  readonly loadDirect:
    | ((
        home: PinnedRelay,
        events: DirectEvents,
        rtcConfiguration: Ice["configuration"],
      ) => Promise<Direct>)
    | undefined;
}

export interface PinnedRelay {
  readonly relayUrl: string;
  readonly relayKey: Uint8Array;
}

/** A command that no tab has answered by then has failed. Longer than any command takes. */
export const COMMAND_WAIT_MS = 45_000;
const NEVER = new Promise<never>(() => undefined);

type Role = Diagnostics["role"];

/** Resolves when there is something to show: this tab leads, or it has heard from the one that does. */
export async function createMessenger(parts: MessengerParts): Promise<Messenger> {
  const { store, entropy, timers, now, tabs, crypto } = parts;
  const tabId = bytesToHex(entropy(16));
  const abort = new AbortController();
  const role = createLive<Role>("starting");
  const state = createLive<Snapshot | undefined>(undefined);
  const pending = new Map<string, PendingCommand>();
  const conversations = new Map<string, OpenConversation>();
  let leader: Leader | undefined;
  let leaderId: string | undefined;
  let release: (() => void) | undefined;
  let closed = false;
  /** This tab has stored the identity that it was asked to restore. */
  let restored = false;
  /** What this tab was told, for the next leader. */
  let push: Extract<Command, { kind: "set-push" }> | undefined;
  /** This tab had its turn and failed; until another one leads, nothing can be done. */
  let cannotLead = false;

  const tell = (snapshot: Snapshot): void => {
    state.set(snapshot);
    tabs?.post({ kind: "leader", leader: tabId, snapshot });
  };

  async function lead(): Promise<void> {
    const held = await parts.lock(abort.signal);
    if (closed) {
      held.release();
      return;
    }
    release = held.release;
    try {
      await startLeading();
    } catch (error) {
      // Another tab may have more luck.
      release = undefined;
      held.release();
      throw error;
    }
  }

  async function startLeading(): Promise<void> {
    const env = { entropy, crypto, now: now() };
    const origins = [parts.relayUrl, ...(parts.relays ?? [])] as const;
    if (parts.backup !== undefined && !restored) await restoreSelf(store, parts.backup);
    const self = await loadOrCreateSelf(store, parts, env, origins);
    restored = true;
    const started = await startLeader({
      store,
      self,
      crypto,
      entropy,
      now,
      timers,
      storageState: parts.storageState,
      createHub: parts.createHub,
      createDirectLinks: (shell) => {
        const ice = createIce({
          ask: () => shell.relays.iceServers(),
          isAddressHidden: () => shell.self.hidesAddress === true,
          timers,
        });
        return createDirectLinks({
          load: directLoader(() => shell.self.relays[0], ice),
          ice,
          feed: (id, input) => shell.drive(id, input),
          isWanted: () => [...shell.entries.values()].some((entry) => entry.slice.live.wanted),
          timers,
          roundTrip: (id, ms) => {
            const entry = shell.entries.get(id);
            if (entry !== undefined) entry.roundTripMs = ms;
          },
        });
      },
      tell,
      whenGone: (tab) => tabs?.whenGone(tab) ?? NEVER,
    });
    if (closed) {
      await started.close();
      return;
    }
    leader = started;
    leaderId = tabId;
    role.set("leader");
    tell(started.snapshot);
    for (const [id, waiting] of pending) void carryOut(id, waiting.command, waiting.sent);
    tellAgain();
  }

  function directLoader(
    home: () => OwnRelay | undefined,
    ice: Ice,
  ): ((events: DirectEvents) => Promise<Direct>) | undefined {
    const { loadDirect } = parts;
    if (loadDirect === undefined) return undefined;
    return (events) => {
      const { url, key } = home() ?? {};
      return url === undefined || key === undefined
        ? Promise.reject(new Error("no relay key yet"))
        : loadDirect({ relayUrl: url, relayKey: key }, events, ice.configuration);
    };
  }

  tabs?.listen((message) => {
    switch (message.kind) {
      case "hello":
        if (leader !== undefined) tell(leader.snapshot);
        return;
      case "leader":
        if (leader === undefined) follow(message.leader, message.snapshot);
        return;
      case "request":
        if (leader !== undefined) void answer(message.id, message.command);
        return;
      case "response":
        settle(message.id, message.result);
    }
  });

  /** A new leader knows nothing of what is on screen here, nor where this device is woken. */
  function tellAgain(): void {
    for (const { setVisible } of conversations.values()) setVisible();
    if (push !== undefined) run(push).catch(() => undefined);
  }

  function giveUpLeading(): void {
    cannotLead = true;
    leaderId = undefined;
    const last = state.value;
    if (last !== undefined) state.set({ ...last, storage: { state: "closed" } });
    for (const id of pending.keys()) {
      settle(id, { kind: "failed", code: "storage", message: "this tab could not take over" });
    }
  }

  function follow(id: string, snapshot: Snapshot): void {
    state.set(snapshot);
    role.set("follower");
    if (leaderId === id) return;
    leaderId = id;
    // A new leader knows nothing of what the old one was asked.
    for (const [request, waiting] of pending) {
      waiting.sent = true;
      tabs?.post({ kind: "request", id: request, command: waiting.command });
    }
    tellAgain();
  }

  async function answer(id: string, command: Command): Promise<void> {
    const result = await leader?.execute(command, true);
    if (result !== undefined) tabs?.post({ kind: "response", id, result });
  }

  async function carryOut(id: string, command: Command, repeated: boolean): Promise<void> {
    const result = await leader?.execute(command, repeated);
    if (result !== undefined) settle(id, result);
  }

  function settle(id: string, result: CommandResult): void {
    const waiting = pending.get(id);
    if (waiting === undefined) return;
    pending.delete(id);
    waiting.resolve(result);
  }

  async function run(command: Command): Promise<CommandResult> {
    if (closed) throw new MessengerError("closed", "the messenger was closed");
    if (cannotLead && leaderId === undefined) {
      throw new MessengerError("storage", "no tab can store anything");
    }
    const id = bytesToHex(entropy(16));
    const result = await new Promise<CommandResult>((resolve) => {
      const cancel = timers.after(COMMAND_WAIT_MS, () =>
        settle(id, { kind: "failed", code: "closed", message: "no tab answered" }),
      );
      const waiting: PendingCommand = {
        command,
        sent: leader === undefined,
        resolve(settled) {
          cancel();
          resolve(settled);
        },
      };
      pending.set(id, waiting);
      if (leader !== undefined) void carryOut(id, command, false);
      else tabs?.post({ kind: "request", id, command });
    });
    if (result.kind === "failed") throw new MessengerError(result.code, result.message);
    return result;
  }

  const leading = lead();
  tabs?.hold(tabId);
  tabs?.post({ kind: "hello" });
  try {
    await Promise.race([leading, firstValue(state)]);
  } catch (error) {
    tabs?.close();
    store.close();
    throw error;
  }
  leading.catch(() => {
    // Aborted by `close` while waiting for its turn; or this tab cannot lead, and then somebody must know.
    if (!closed) giveUpLeading();
  });
  if ((parts.restore ?? parts.backup) !== undefined && !restored) {
    // Another tab leads, so there is an identity.
    closed = true;
    abort.abort();
    tabs?.close();
    store.close();
    throw parts.backup === undefined
      ? new RecoveryError({ reason: "identity-exists" })
      : new BackupError("identity-exists");
  }
  const initial = state.value;
  if (initial === undefined) throw new MessengerError("storage", "no state to show");
  const current = selectLive(state, (snapshot) => snapshot ?? initial);

  async function openConversation(id: string): Promise<SafetyNumber | undefined> {
    const self = await store.loadSelf();
    const { conversations: records } = await store.loadAll();
    const peer = records.find((one) => one.id === id)?.peer;
    if (self === undefined || self === "damaged" || peer?.state !== "open") return undefined;
    const { cert } = peer.change ?? peer.contact;
    const { digits, qr } = safetyNumber(self.cert.rootKey, cert.rootKey);
    return { groups: digits.match(/.{5}/g) ?? [], qr };
  }

  async function askInvite(what: {
    readonly device: boolean;
    readonly again?: string;
  }): Promise<{ readonly conversation: string; readonly url: string }> {
    const conversation = bytesToHex(entropy(16));
    const result = await run({ kind: "invite", conversation, ...what });
    if (result.kind !== "invited") throw new MessengerError("usage", "unexpected answer");
    return result;
  }

  function createConversation(first: ConversationView): OpenConversation {
    const { id } = first;
    let timeline: LiveTimeline | undefined;
    const opened = (): LiveTimeline => (timeline ??= openTimeline(store, id));
    let visible = false;
    const tellVisible = (): void => {
      run({ kind: "visible", conversation: id, tab: tabId, visible }).catch(() => {
        // Closing; the next leader asks again.
      });
    };
    const setVisible = (): void => {
      if (visible) tellVisible();
    };
    let known = first;
    const conversation: Conversation = {
      id,
      view: selectLive(
        current,
        (snapshot) => (known = snapshot.conversations.find((one) => one.id === id) ?? known),
        sameView,
      ),
      get timeline() {
        return opened().timeline;
      },
      async send(text) {
        const messageId = bytesToHex(entropy(16));
        await run({ kind: "send", conversation: id, id: messageId, text });
        return messageId;
      },
      loadOlder: () => opened().loadOlder(),
      loadNewer: () => opened().loadNewer(),
      loadNewest: () => opened().loadNewest(),
      loadAround: (place) => opened().loadAround(place),
      async markRead() {
        if (conversation.view.value.unread === 0) return;
        await run({ kind: "mark-read", conversation: id });
      },
      async markDevicesSeen() {
        const { added, removed, anew } = conversation.view.value.devices;
        if (added + removed + anew === 0) return;
        await run({ kind: "devices-seen", conversation: id, added, removed, anew });
      },
      setVisible(next) {
        if (next === visible) return;
        visible = next;
        if (!closed) tellVisible();
      },
      safetyNumber: () => openConversation(id),
      async matchesSafetyNumber(text) {
        const own = await openConversation(id);
        const seen = text.replaceAll(/\s/g, "").toUpperCase();
        return own !== undefined && (seen === own.qr || seen === own.groups.join(""));
      },
      async setVerified(verified) {
        const accountId = conversation.view.value.newIdentity;
        if (accountId === undefined || !verified) {
          await run({ kind: "set-verified", conversation: id, verified });
          return;
        }
        const answer = "accept-compared";
        await run({ kind: "answer-identity", conversation: id, accountId, answer });
      },
      async answerIdentity(accountId, answer) {
        await run({ kind: "answer-identity", conversation: id, accountId, answer });
      },
      async trustDevices({ compared = false } = {}) {
        await run({ kind: "trust-devices", conversation: id, compared });
      },
    };
    return { conversation, setVisible, close: () => timeline?.close() };
  }

  return {
    me: selectLive(current, (snapshot) => snapshot.me, sameView),
    conversations: selectLive(current, (snapshot) => snapshot.conversations, sameView),
    hub: selectLive(current, (snapshot) => snapshot.hub),
    relays: selectLive(current, (snapshot) => snapshot.relays, sameView),
    storage: selectLive(current, (snapshot) => snapshot.storage, sameView),
    diagnostics: combine(current, role),
    async rename(name) {
      await run({ kind: "rename", name });
    },
    async recoveryPhrase({ language }) {
      if (closed) throw new MessengerError("closed", "the messenger was closed");
      return readWords(store, language);
    },
    async backup({ passphrase } = {}) {
      if (closed) throw new MessengerError("closed", "the messenger was closed");
      return writeBackup(store, passphrase, { entropy, now: now() });
    },
    async importBackup(file) {
      if (closed) throw new MessengerError("closed", "the messenger was closed");
      return importBackup(store, file, async (conversation, rows) => {
        await run({ kind: "merge", conversation, rows });
      });
    },
    async hideAddress(hidden) {
      await run({ kind: "hide-address", hidden });
    },
    async trustRelay(url) {
      await run({ kind: "trust-relay", url });
    },
    async addRelay(url) {
      await run({ kind: "add-relay", url });
    },
    async removeRelay(url) {
      await run({ kind: "remove-relay", url });
    },
    async checkRelays() {
      await run({ kind: "check-relays" });
    },
    async setPush(subscription) {
      push = { kind: "set-push", subscription };
      await run(push);
    },
    async invite(again) {
      return askInvite({ device: false, ...(again === undefined ? {} : { again }) });
    },
    async accept(text) {
      const conversation = bytesToHex(entropy(16));
      const result = await run({ kind: "accept", conversation, text });
      if (result.kind !== "accepted") throw new MessengerError("usage", "unexpected answer");
      return result.result;
    },
    async linkDevice() {
      const { url } = await askInvite({ device: true });
      return { url };
    },
    async joinDevices(text) {
      const conversation = bytesToHex(entropy(16));
      const result = await run({ kind: "join-devices", conversation, text });
      if (result.kind !== "joined") throw new MessengerError("usage", "unexpected answer");
      return result.result;
    },
    async removeDevice(id) {
      await run({ kind: "remove-device", device: id });
    },
    async search(query, options, signal) {
      const { hits, next } = await store.search(query, options, signal);
      const messages = hits.map(({ row, ranges }) => ({
        conversation: row.conversation,
        message: viewMessage(row),
        place: row.order,
        ranges,
      }));
      return { messages, next };
    },
    conversation(id) {
      const known = conversations.get(id);
      if (known !== undefined) return known.conversation;
      const view = current.value.conversations.find((one) => one.id === id);
      if (view === undefined) return undefined;
      const made = createConversation(view);
      conversations.set(id, made);
      return made.conversation;
    },
    async close() {
      if (closed) return;
      for (const { conversation } of conversations.values()) conversation.setVisible(false);
      closed = true;
      abort.abort();
      await leader?.close();
      for (const waiting of pending.values()) {
        waiting.resolve({ kind: "failed", code: "closed", message: "the messenger was closed" });
      }
      for (const open of conversations.values()) open.close();
      tabs?.close();
      store.close();
      release?.();
    },
  };
}

interface PendingCommand {
  readonly command: Command;
  resolve(result: CommandResult): void;
  /** Whether some leader may have seen it. */
  sent: boolean;
}

interface OpenConversation {
  readonly conversation: Conversation;
  /** Tells the current leader again what is on screen here. */
  readonly setVisible: () => void;
  readonly close: () => void;
}

function firstValue<T>(source: {
  subscribe(see: (now: T | undefined) => void): () => void;
}): Promise<T> {
  return new Promise((resolve) => {
    let leave: (() => void) | undefined;
    let done = false;
    leave = source.subscribe((now) => {
      if (now === undefined || done) return;
      done = true;
      resolve(now);
      leave?.();
    });
    if (done) leave();
  });
}

/** Snapshots are rebuilt whole, and copied between tabs: what did not change must not wake a screen. */
const sameView = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

function combine(
  current: { readonly value: Snapshot; subscribe(see: (now: Snapshot) => void): () => void },
  role: { readonly value: Role; subscribe(see: (now: Role) => void): () => void },
): Messenger["diagnostics"] {
  const value = (): Diagnostics => ({ role: role.value, ...current.value.diagnostics });
  const joined = createLive(value());
  const refresh = (): void => {
    const next = value();
    if (!sameView(next, joined.value)) joined.set(next);
  };
  current.subscribe(refresh);
  role.subscribe(refresh);
  return joined;
}
