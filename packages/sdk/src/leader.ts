/**
 * What the leading tab does for itself and for the others: runs the shell, answers commands, tells the state.
 * Owns: the meaning of each command, accepting invites, the snapshot. Leaves to create-messenger.ts: tabs.
 */
import { accountIdOf, sha256 } from "@sotto/crypto";
import type { ChosenBackend } from "@sotto/engines";
import type { CommitResult, ConversationRecord, Input, OwnRelay } from "@sotto/protocol";
import {
  bytesToBase32,
  bytesToHex,
  equalBytes,
  type FoundInvite,
  inviteToLink,
  type Invite,
  isName,
  isPushEndpoint,
  isRelayUrl,
  linkToInvite,
  RELAY_PIN_BYTES,
  TEXT_BYTES_MAX,
  utf8ToBytes,
} from "@sotto/wire";
import { deriveInviteKeys } from "@sotto/crypto";
import { RELAYS_MAX } from "@sotto/transport";
import {
  type AcceptResult,
  type ConversationView,
  type InviteView,
  type JoinDevicesResult,
  type LinkRefusal,
  MessengerError,
  type StorageState,
} from "./messenger.ts";
import { type Entry, type Shell, type ShellOptions, startShell } from "./shell.ts";
import type { Command, CommandResult, Snapshot } from "./tabs.ts";
import { viewConversation, viewDevices } from "./views.ts";

export const INVITE_LIFETIME_MS = 7 * 24 * 3_600_000;
/** How long accepting an invite waits for the relay connection. */
export const RELAY_WAIT_MS = 10_000;
/** Rows looked at to see whether a repeated `send` was done before the leader changed. */
const REPEAT_ROWS = 100;

type Followed =
  | { readonly ok: true; readonly conversation: string }
  | { readonly ok: false; readonly reason: LinkRefusal; readonly origin?: string };

export interface Leader {
  readonly snapshot: Snapshot;
  /** `repeated`: it may have been carried out by the leader before. Never rejects. */
  execute(command: Command, repeated: boolean): Promise<CommandResult>;
  close(): Promise<void>;
}

export interface LeaderOptions extends Omit<ShellOptions, "changed" | "crypto"> {
  readonly crypto: ChosenBackend;
  readonly storageState: StorageState;
  readonly tell: (snapshot: Snapshot) => void;
  /** Resolves when that tab has ended, crash included. */
  readonly whenGone: (tab: string) => Promise<void>;
}

export async function startLeader(options: LeaderOptions): Promise<Leader> {
  const { timers } = options;
  const visibleTabs = new Map<string, Set<string>>();
  const waiters = new Set<() => void>();
  const watchedTabs = new Set<string>();
  /** By the invite's seed: the same link opened twice at once begins one conversation. */
  const accepting = new Map<string, Promise<Followed>>();
  let telling = false;
  let closed = false;

  const changed = (): void => {
    for (const wake of waiters) wake();
    if (telling || closed) return;
    telling = true;
    queueMicrotask(() => {
      telling = false;
      if (!closed) options.tell(snapshot());
    });
  };
  const shell: Shell = await startShell({ ...options, changed });

  const snapshot = (): Snapshot => ({
    me: {
      name: shell.self.name,
      accountId: bytesToBase32(accountIdOf(shell.self.cert.rootKey)),
      devices: viewDevices(shell.self),
      hidesAddress: shell.self.hidesAddress === true,
    },
    conversations: [...shell.entries.values()]
      .filter(({ slice: { conversation } }) => isShown(conversation))
      .map((entry) => view(entry))
      .filter((one) => one !== undefined)
      .toSorted((a, b) => b.lastAt - a.lastAt),
    hub: shell.relays.state,
    relays: shell.relays.relays,
    storage: shell.storage === "ok" ? options.storageState : { state: shell.storage },
    diagnostics: {
      dropped: Object.fromEntries(shell.dropped),
      direct: shell.direct.count,
      damagedRows: shell.damagedRows,
      faults: shell.faults,
      crypto: options.crypto.describe(),
    },
  });

  function view(entry: Entry): ConversationView | undefined {
    const { conversation: record, live, outbox } = entry.slice;
    if (record === undefined) return undefined;
    return viewConversation({
      record,
      live,
      ownDevices: viewDevices(shell.self).length,
      others: record.devices.links
        .map((link) => shell.entries.get(link.conversation)?.slice.live)
        .filter((one) => one !== undefined),
      hub: shell.relays.state,
      waiting: outbox.filter((row) => row.message !== undefined && row.relayedAt === undefined)
        .length,
      roundTripMs: entry.roundTripMs,
      invite: inviteView(entry),
    });
  }

  function inviteView(entry: Entry): InviteView | undefined {
    const peer = entry.slice.conversation?.peer;
    const [home] = shell.self.relays;
    if (peer?.state !== "invited" || home?.key === undefined) return undefined;
    const { seed, expiresAt, published } = peer.invite;
    const invite: Invite = {
      seed,
      accountId: accountIdOf(shell.self.cert.rootKey),
      relayPin: pinOf(home.key),
    };
    const purpose = entry.slice.conversation?.parent === undefined ? "contact" : "device";
    const url = inviteToLink(home.url, invite, purpose);
    return { url, expiresAt, active: published };
  }

  /** Resolves when `test` holds after some change, or with false after `ms`. */
  function until(test: () => boolean, ms: number): Promise<boolean> {
    if (test()) return Promise.resolve(true);
    return new Promise((resolve) => {
      const end = (held: boolean): void => {
        waiters.delete(look);
        cancel();
        resolve(held);
      };
      const look = (): void => {
        if (test()) end(true);
      };
      const cancel = timers.after(ms, () => end(false));
      waiters.add(look);
    });
  }

  async function execute(command: Command, repeated: boolean): Promise<CommandResult> {
    try {
      return await carryOut(command, repeated);
    } catch (error) {
      if (error instanceof MessengerError) {
        return { kind: "failed", code: error.code, message: error.message };
      }
      // A closed database, or a fault inside: nothing was stored, and whoever asked must hear of it.
      return { kind: "failed", code: "storage", message: "not done" };
    }
  }

  async function carryOut(command: Command, repeated: boolean): Promise<CommandResult> {
    switch (command.kind) {
      case "send":
        return send(command, repeated);
      case "rename":
        return rename(command.name);
      case "hide-address":
        return hideAddress(command.hidden);
      case "trust-relay":
        return trustRelay(command.url);
      case "add-relay":
        return addRelay(command.url);
      case "remove-relay":
        return removeRelay(command.url);
      case "check-relays":
        shell.relays.retry();
        return { kind: "done" };
      case "set-push":
        return setPush(command);
      case "invite":
        return invite(command);
      case "accept":
        return { kind: "accepted", result: await acceptInvite(command) };
      case "join-devices":
        return { kind: "joined", result: await joinDevices(command) };
      case "remove-device":
        return removeDevice(command.device);
      case "trust-devices":
        return trustDevices(command);
      case "merge":
        return feed(command.conversation, { kind: "merge-messages", rows: command.rows });
      case "mark-read":
        return feed(command.conversation, { kind: "mark-read" });
      case "devices-seen": {
        const { conversation, added, removed, anew } = command;
        return feed(conversation, { kind: "devices-seen", added, removed, anew });
      }
      case "set-verified":
        return feed(command.conversation, { kind: "mark-verified", verified: command.verified });
      case "answer-identity":
        return answerIdentity(command);
      case "visible":
        return setVisible(command);
    }
  }

  /** About the very identity that the person saw: another one may have come since. */
  async function answerIdentity({
    conversation,
    accountId,
    answer,
  }: Extract<Command, { kind: "answer-identity" }>): Promise<CommandResult> {
    const peer = shell.entries.get(conversation)?.slice.conversation?.peer;
    const change = peer?.state === "open" ? peer.change : undefined;
    if (
      change === undefined ||
      bytesToBase32(accountIdOf(change.cert.rootKey)) !== accountId ||
      (answer === "accept" && peer?.state === "open" && peer.contact.verified)
    ) {
      throw new MessengerError("usage", "no such new identity to answer in this way");
    }
    const { rootKey } = change.cert;
    return feed(conversation, { kind: "answer-change", rootKey, answer });
  }

  async function removeDevice(device: string): Promise<CommandResult> {
    const isOther = viewDevices(shell.self).some((one) => one.id === device && !one.current);
    if (!isOther) throw new MessengerError("usage", "no such other device");
    return feed(requireNotes(), { kind: "remove-device", device });
  }

  async function trustDevices({
    conversation,
    compared,
  }: Extract<Command, { kind: "trust-devices" }>): Promise<CommandResult> {
    const record = shell.entries.get(conversation)?.slice.conversation;
    const isVerified = record?.peer.state === "open" && record.peer.contact.verified;
    if (record?.devices.fork === undefined || (isVerified && !compared)) {
      throw new MessengerError("usage", "no conflict to answer in this way");
    }
    return feed(conversation, { kind: "answer-fork", compared });
  }

  function requireNotes(): string {
    for (const [id, entry] of shell.entries) {
      if (entry.slice.conversation?.peer.state === "notes") return id;
    }
    throw new MessengerError("storage", "no notes");
  }

  async function feed(id: string, input: Input): Promise<CommandResult> {
    if (!shell.entries.has(id)) throw new MessengerError("usage", "no such conversation");
    const { commit, dropped } = await shell.feed(id, input);
    requireStored(commit);
    if (dropped.includes("outbox-full")) {
      throw new MessengerError("limit", "too many messages are waiting in this conversation");
    }
    // The conversation ended with this very step: the text must not vanish.
    if (dropped.includes("malformed")) throw new MessengerError("usage", "not possible here");
    return { kind: "done" };
  }

  async function send(
    { conversation, id, text }: Extract<Command, { kind: "send" }>,
    repeated: boolean,
  ): Promise<CommandResult> {
    const sizeBytes = utf8ToBytes(text).length;
    if (sizeBytes > TEXT_BYTES_MAX) {
      throw new MessengerError("limit", `text of ${sizeBytes} bytes, at most ${TEXT_BYTES_MAX}`);
    }
    if (sizeBytes === 0) throw new MessengerError("usage", "empty text");
    if (repeated) {
      const { rows } = await options.store.messages(conversation, { limit: REPEAT_ROWS });
      if (rows.some((row) => row.id === id)) return { kind: "done" };
    }
    // Whoever writes does not want to sit out a pause.
    if (shell.relays.state !== "online") shell.relays.retry();
    const state = shell.entries.get(conversation)?.slice.conversation?.peer.state;
    if (state === "refused") throw new MessengerError("usage", "this invite was refused");
    return feed(conversation, { kind: "send-text", id, text });
  }

  async function rename(name: string): Promise<CommandResult> {
    const trimmed = name.trim();
    if (!isName(trimmed)) throw new MessengerError("usage", "not a usable name");
    if (trimmed === shell.self.name) return { kind: "done" };
    requireStored(await shell.changeSelf({ name: trimmed }));
    shell.feedAll({ kind: "rename", name: trimmed });
    return { kind: "done" };
  }

  /** Stored before it is done, so that nobody who was told "hidden" is shown after a crash; open links end. */
  async function hideAddress(hidden: boolean): Promise<CommandResult> {
    if (hidden === (shell.self.hidesAddress === true)) return { kind: "done" };
    requireStored(await shell.changeSelf({ hidesAddress: hidden }));
    shell.direct.reset();
    return { kind: "done" };
  }

  async function trustRelay(url: string | undefined): Promise<CommandResult> {
    const [home] = shell.relays.places;
    shell.relays.trust(url);
    return placesChanged(home);
  }

  async function addRelay(url: string): Promise<CommandResult> {
    const { relays } = shell;
    if (!isRelayUrl(url)) throw new MessengerError("usage", "not a relay address");
    if (relays.places.some((place) => place.url === url)) return { kind: "done" };
    const [home] = relays.places;
    if (!relays.add(url)) throw new MessengerError("limit", `at most ${RELAYS_MAX} relays`);
    return placesChanged(home);
  }

  async function removeRelay(url: string): Promise<CommandResult> {
    const { relays } = shell;
    if (!relays.places.some((place) => place.url === url)) return { kind: "done" };
    const [home] = relays.places;
    if (!relays.remove(url)) throw new MessengerError("usage", "the only relay");
    return placesChanged(home);
  }

  function setPush({ subscription }: Extract<Command, { kind: "set-push" }>): CommandResult {
    if (subscription !== null && !isPushEndpoint(subscription.endpoint)) {
      throw new MessengerError("usage", "not the endpoint of a push service");
    }
    shell.relays.setPush(subscription);
    return { kind: "done" };
  }

  async function placesChanged(homeAt: OwnRelay | undefined): Promise<CommandResult> {
    const { places } = shell.relays;
    requireStored(await shell.changeSelf({ relays: places }));
    // Reservations are held at home.
    const [home] = places;
    if (home?.url !== homeAt?.url || home?.key !== homeAt?.key) shell.direct.reset();
    return { kind: "done" };
  }

  async function invite({
    conversation,
    device,
    again,
  }: Extract<Command, { kind: "invite" }>): Promise<CommandResult> {
    const id = again !== undefined && (await isOfUse(again)) ? again : conversation;
    if (!(await until(() => shell.self.relays[0]?.key !== undefined, RELAY_WAIT_MS))) {
      // Only before the very first contact: the link names the relay's key.
      throw new MessengerError("usage", "the relay has not been reached yet");
    }
    if (!shell.entries.has(id)) {
      const expiresAt = options.now() + INVITE_LIFETIME_MS;
      const parent = device ? { parent: requireNotes() } : {};
      const { commit } = await shell.begin(id, { kind: "start-invite", id, expiresAt, ...parent });
      requireStored(commit);
    }
    const entry = shell.entries.get(id);
    const url = entry === undefined ? undefined : inviteView(entry)?.url;
    if (url === undefined) throw new MessengerError("usage", "not an invite");
    return { kind: "invited", conversation: id, url };
  }

  /**
   * Whether an invite can still be opened. Who opened it may have gone before their first word came, so it is the
   * relay that knows. Unreached it says nothing, and could not take another invite either.
   */
  async function isOfUse(id: string): Promise<boolean> {
    const peer = shell.entries.get(id)?.slice.conversation?.peer;
    if (peer?.state !== "invited" || peer.invite.expiresAt <= options.now()) return false;
    const [home] = shell.self.relays;
    const isThere = shell.relays.relays[0]?.state === "online";
    if (!peer.invite.published || !isThere || home?.key === undefined) return true;
    const { linkId } = deriveInviteKeys(peer.invite.seed);
    const relayPin = pinOf(home.key);
    const offer = await shell.relays.fetchOffer({ linkId, relayPin, origin: undefined });
    return offer.ok || offer.reason !== "gone";
  }

  async function acceptInvite({
    conversation: id,
    text,
  }: Extract<Command, { kind: "accept" }>): Promise<AcceptResult> {
    if (shell.entries.has(id)) return { ok: true, conversation: id };
    const link = linkToInvite(text);
    if (!link.ok) return { ok: false, reason: "malformed" };
    if (link.value.purpose === "device") return { ok: false, reason: "for-device" };
    if (isOfAccount(link.value.invite)) return { ok: false, reason: "own" };
    return followOnce(id, link.value);
  }

  async function joinDevices({
    conversation: id,
    text,
  }: Extract<Command, { kind: "join-devices" }>): Promise<JoinDevicesResult> {
    if (shell.entries.has(id)) return { ok: true };
    const link = linkToInvite(text);
    if (!link.ok) return { ok: false, reason: "malformed" };
    const { purpose, invite } = link.value;
    if (purpose !== "device") return { ok: false, reason: "for-contact" };
    if (!isOfAccount(invite)) return { ok: false, reason: "other-account" };
    if (isInvited(invite.seed)) return { ok: false, reason: "own" };
    const followed = await followOnce(id, link.value, requireNotes());
    return followed.ok ? { ok: true } : followed;
  }

  const isOfAccount = ({ accountId }: Invite): boolean =>
    equalBytes(accountId, accountIdOf(shell.self.cert.rootKey));

  /** Asked twice about the same link, as two tabs may, it is followed once. */
  async function followOnce(
    id: string,
    { invite, origin }: FoundInvite,
    parent?: string,
  ): Promise<Followed> {
    const seed = bytesToHex(invite.seed);
    const known = conversationOfSeed(invite.seed);
    if (known !== undefined) return { ok: true, conversation: known };
    const what = { id, invite, ...(parent === undefined ? {} : { parent }) };
    const running = accepting.get(seed) ?? followInvite(what, origin);
    accepting.set(seed, running);
    return running.finally(() => accepting.delete(seed));
  }

  async function followInvite(
    what: Pick<Extract<Input, { kind: "start-accept" }>, "id" | "invite" | "parent">,
    origin: string | undefined,
  ): Promise<Followed> {
    const { id, invite } = what;
    const { relays } = shell;
    const { relayPin } = invite;
    const findOwn = (): string | undefined =>
      relays.places.find(({ key }) => key !== undefined && equalBytes(pinOf(key), relayPin))?.url;
    // An own relay that was never reached may be the one.
    const areKnown = (): boolean => relays.places.every(({ key }) => key !== undefined);
    await until(() => findOwn() !== undefined || areKnown(), RELAY_WAIT_MS);
    const own = findOwn();
    const isThere = (): boolean =>
      relays.relays.some(
        ({ url, state }) => state === "online" && (own === undefined || url === own),
      );
    if (!(await until(isThere, RELAY_WAIT_MS))) return { ok: false, reason: "unreachable" };
    const { linkId } = deriveInviteKeys(invite.seed);
    const offer = await relays.fetchOffer({ linkId, relayPin, origin });
    if (!offer.ok) {
      if (offer.reason === "gone") return { ok: false, reason: "gone" };
      // Not to be reached from here, where a page may only talk to relays that it names: but perhaps from there.
      if (own !== undefined) return { ok: false, reason: "unreachable" };
      return { ok: false, reason: "other-relay", ...(origin === undefined ? {} : { origin }) };
    }
    const { blob } = offer;
    const { begun, commit } = await shell.begin(id, { kind: "start-accept", ...what, blob });
    if (!commit.ok) return { ok: false, reason: "storage" };
    return begun ? { ok: true, conversation: id } : { ok: false, reason: "forged" };
  }

  /** Made by this very device. */
  function isInvited(seed: Uint8Array): boolean {
    return [...shell.entries.values()].some(({ slice }) => {
      const peer = slice.conversation?.peer;
      return peer?.state === "invited" && equalBytes(peer.invite.seed, seed);
    });
  }

  function conversationOfSeed(seed: Uint8Array): string | undefined {
    for (const [id, entry] of shell.entries) {
      const peer = entry.slice.conversation?.peer;
      if (peer?.state === "open" && equalBytes(peer.inviteSeed, seed)) return id;
    }
    return undefined;
  }

  function setVisible(command: Extract<Command, { kind: "visible" }>): CommandResult {
    const { conversation, tab, visible } = command;
    const tabs = visibleTabs.get(conversation) ?? new Set();
    const before = tabs.size > 0;
    if (visible) tabs.add(tab);
    else tabs.delete(tab);
    visibleTabs.set(conversation, tabs);
    const wanted = tabs.size > 0;
    if (wanted !== before) {
      const links = shell.entries.get(conversation)?.slice.conversation?.devices.links ?? [];
      for (const id of [conversation, ...links.map((link) => link.conversation)]) {
        shell.drive(id, { kind: "want", wanted });
      }
    }
    if (visible) watchTab(tab);
    return { kind: "done" };
  }

  /** A tab that crashes cannot say that nothing is on screen there any more. */
  function watchTab(tab: string): void {
    if (watchedTabs.has(tab)) return;
    watchedTabs.add(tab);
    options.whenGone(tab).then(
      () => {
        watchedTabs.delete(tab);
        if (closed) return;
        for (const conversation of visibleTabs.keys()) {
          setVisible({ kind: "visible", conversation, tab, visible: false });
        }
      },
      () => watchedTabs.delete(tab),
    );
  }

  const hasNotes = [...shell.entries.values()].some(
    (entry) => entry.slice.conversation?.peer.state === "notes",
  );
  if (!hasNotes) {
    const id = bytesToHex(options.entropy(16));
    requireStored((await shell.begin(id, { kind: "start-notes", id })).commit);
  }
  // What a time has passed for while nobody ran: invites that ended, receipts still owed.
  shell.feedAll({ kind: "wake" });
  shell.relays.start();
  // Beside everything else: the reference serves until then.
  void options.crypto.choose().then(changed);
  return {
    get snapshot() {
      return snapshot();
    },
    execute,
    async close() {
      closed = true;
      await shell.close();
    },
  };
}

const pinOf = (relayKey: Uint8Array): Uint8Array => sha256(relayKey).slice(0, RELAY_PIN_BYTES);

function requireStored(commit: CommitResult): void {
  if (commit.ok) return;
  throw new MessengerError("storage", `not stored: ${commit.reason}`);
}

/** Not a further pair, nor somebody known from groups alone. Groups come with their screens. */
const isShown = (record: ConversationRecord | undefined): boolean =>
  record?.parent === undefined && record?.listed !== false && record?.peer.state !== "group";
