/**
 * The public surface: what an app, a bot or an element sees of a running messenger.
 * Owns: types only. Leaves to create-messenger.ts: making one.
 */
import type { CryptoReport } from "@sotto/engines";
import type { RecoveryLanguage } from "@sotto/crypto/recovery";
import type { Abort, DropReason, MessageStatus, Path, SearchOptions } from "@sotto/protocol";

export type { Abort, RecoveryLanguage, SearchOptions };

/** A value that changes. `subscribe` calls back at once with the current value and returns the way out. */
export interface Live<T> {
  readonly value: T;
  subscribe(see: (now: T) => void): () => void;
}

export interface Me {
  readonly name: string;
  /** 32 characters of base32; identifies the account to people who compare. */
  readonly accountId: string;
  /** This one and the account's others. Empty until a device that came back from its phrase was told of them. */
  readonly devices: readonly DeviceView[];
  /** See `hideAddress`. */
  readonly hidesAddress: boolean;
}

export interface DeviceView {
  /** 16 hexadecimal digits. */
  readonly id: string;
  readonly current: boolean;
  /** Milliseconds since 1970, as the device that signed the list said. */
  readonly addedAt: number;
}

/**
 * The relay connection of this device; with several relays, "online" when one of them is. "no-relay": the network is up and the relay does not answer.
 * "relay-changed": a relay answers at the address, but not the one this device first met; see `trustRelay`.
 */
export type HubState = "connecting" | "online" | "offline" | "no-relay" | "relay-changed";

/** A relay that this device keeps its mailboxes at. */
export interface RelayState {
  /** Origin, for example "https://chat.example.com". */
  readonly url: string;
  readonly state: HubState;
  /** To the relay and back, ms, as last measured; undefined while not online. */
  readonly roundTripMs: number | undefined;
  /**
   * Its VAPID key, base64url, as PushManager.subscribe takes it (RFC 8292). Absent: it wakes nobody, or has not answered
   * yet.
   */
  readonly pushKey?: string;
}

/** What carries messages of one conversation right now. */
export type LinkState =
  | { readonly state: "notes" }
  | { readonly state: "direct"; readonly roundTripMs: number | undefined }
  | { readonly state: "relayed" }
  /** The other side is not connected: messages wait at the relay. */
  | { readonly state: "away" }
  | { readonly state: "connecting" }
  /** Neither path: messages wait on this device. */
  | { readonly state: "offline"; readonly waiting: number }
  | { readonly state: "no-relay"; readonly waiting: number }
  /** Nobody has opened the invite yet. */
  | { readonly state: "invited" };

export interface ConversationView {
  readonly id: string;
  /** refused: the invite had been used by someone else. expired: nobody used this device's invite in time. */
  readonly kind: "notes" | "invited" | "contact" | "refused" | "expired";
  /** Empty for notes and for an unanswered invite: the screen has its own words for them. */
  readonly name: string;
  readonly lastText: string | undefined;
  readonly lastOwn: boolean;
  /** Milliseconds since 1970: last message, else creation. Not later than it was received. */
  readonly lastAt: number;
  readonly unread: number;
  readonly verified: boolean;
  /**
   * Account id of somebody with another root key who answers in this contact's place. Nothing is sent until
   * `answerIdentity`, or `setVerified` after comparing. Undefined while the contact is who it was.
   */
  readonly newIdentity: string | undefined;
  /** The contact's devices beyond the one it came with; in the notes those of the own account beyond this one. */
  readonly devices: {
    readonly others: number;
    /** Added and removed since `markDevicesSeen`. */
    readonly added: number;
    readonly removed: number;
    /** How often the contact's first device has lost its keys for this conversation since then, and asked for new ones. */
    readonly anew: number;
    /**
     * The contact's devices contradict each other about who speaks for it: somebody may have its root key. No text is
     * sent before `trustDevices`.
     */
    readonly conflict: boolean;
  };
  /** What was written before this device was there is still coming from another one of the account. */
  readonly catchingUp: boolean;
  readonly link: LinkState;
  readonly invite: InviteView | undefined;
}

export interface InviteView {
  /** At most 106 characters. */
  readonly url: string;
  readonly expiresAt: number;
  /** False until the relay holds the offer: the link works from then on. */
  readonly active: boolean;
}

export interface MessageView {
  readonly id: string;
  readonly own: boolean;
  readonly text: string;
  readonly sentAt: number;
  readonly status: MessageStatus;
  readonly path: Path | undefined;
}

export interface Timeline {
  /** Ascending, with no gap: the newest page, or what stands around a `loadAround`, and every page loaded beside it. */
  readonly messages: readonly MessageView[];
  readonly hasOlder: boolean;
  /** Only after a `loadAround`: what arrives does not show before `loadNewer` has come to it, or `loadNewest`. */
  readonly hasNewer: boolean;
}

export interface FoundMessage {
  readonly conversation: string;
  readonly message: MessageView;
  /** For `loadAround` of the conversation. */
  readonly place: string;
  /** What matches: start and end in the text, UTF-16 units; ascending, at least one. */
  readonly ranges: readonly (readonly [start: number, end: number])[];
}

export interface Found {
  /** Newest first; at most 50. */
  readonly messages: readonly FoundMessage[];
  /** Give it to the next search as `from`; undefined when there are no more. */
  readonly next: string | undefined;
}

export interface SafetyNumber {
  /** 60 digits in 12 groups of 5; the same on both devices. */
  readonly groups: readonly string[];
  /** What the QR code carries: text, upper-case alphanumeric. */
  readonly qr: string;
}

export interface Conversation {
  readonly id: string;
  readonly view: Live<ConversationView>;
  readonly timeline: Live<Timeline>;
  /** Stored before it resolves; delivery goes on by itself. Rejects with LimitError above 16 KiB of UTF-8. */
  send(text: string): Promise<string>;
  loadOlder(): Promise<void>;
  loadNewer(): Promise<void>;
  /** Back to the newest page, from wherever `loadAround` led. */
  loadNewest(): Promise<void>;
  /** With the message of that `place` (FoundMessage), and up to 50 on each side of it, however old it is. */
  loadAround(place: string): Promise<void>;
  markRead(): Promise<void>;
  /** The person has seen `devices.added`, `removed` and `anew` as they are now; what comes later is news again. */
  markDevicesSeen(): Promise<void>;
  /** While on screen a direct link is wanted. */
  setVisible(visible: boolean): void;
  /** With a `newIdentity`, the number of that one. Undefined until the other side is known. */
  safetyNumber(): Promise<SafetyNumber | undefined>;
  /** True when the scanned or pasted text is this conversation's safety number. */
  matchesSafetyNumber(text: string): Promise<boolean>;
  /** True with a `newIdentity` says that its number was compared: it becomes the contact. */
  setVerified(verified: boolean): Promise<void>;
  /**
   * The person's decision about a `newIdentity`. Rejects with a "usage" error when it is another one by now, or when
   * a verified contact is to be replaced: that takes comparing and `setVerified`.
   */
  answerIdentity(accountId: string, answer: "accept" | "reject"): Promise<void>;
  /**
   * The person's decision about a `conflict`: what the contact's devices say from now on counts. Rejects with a
   * "usage" error for a verified contact unless `compared`: the safety number was compared again.
   */
  trustDevices(options?: { readonly compared?: boolean }): Promise<void>;
}

export type AcceptResult =
  | { readonly ok: true; readonly conversation: string }
  /**
   * own: made by this account. for-device: a `linkDevice`, which was not used up; it goes to `joinDevices`.
   */
  | LinkRefused<LinkRefusal | "own" | "for-device">;

export type JoinDevicesResult =
  | { readonly ok: true }
  /**
   * own: made by this very device. other-account: made by a device of another account. for-contact: an `invite`,
   * which goes to `accept`. The link was not used up by any of these.
   */
  | LinkRefused<LinkRefusal | "own" | "other-account" | "for-contact">;

/**
 * malformed: no link. gone: used, expired or never existed. other-relay: the link names a relay this app is not
 * served from. forged: the offer is not of who made the link. unreachable: the relay did not answer; the same link
 * may be tried again.
 */
export type LinkRefusal =
  | "malformed"
  | "gone"
  | "other-relay"
  | "forged"
  | "unreachable"
  | "storage";

interface LinkRefused<Reason extends string> {
  readonly ok: false;
  readonly reason: Reason;
  /** Where a link of another relay leads. */
  readonly origin?: string;
}

/** Whether this device can keep what it is given. */
export type StorageState =
  | { readonly state: "ok"; readonly persisted: boolean | undefined }
  /** memory: a private window refused storage; everything is forgotten on close. */
  | { readonly state: "memory" }
  | { readonly state: "full" }
  | { readonly state: "closed" };

export interface Diagnostics {
  readonly role: "leader" | "follower" | "starting";
  readonly dropped: Readonly<Partial<Record<DropReason, number>>>;
  readonly direct: number;
  readonly damagedRows: number;
  /** Steps that failed inside; nothing of theirs was stored. */
  readonly faults: number;
  /** Which engine does what in the leading tab, and why; counted failures were answered by the next engine. */
  readonly crypto: CryptoReport;
}

export interface Messenger {
  readonly me: Live<Me>;
  /** Newest first; notes to self are always there. */
  readonly conversations: Live<readonly ConversationView[]>;
  readonly hub: Live<HubState>;
  /** This device's own relays, 1 to 3, the first is home: invites name it. */
  readonly relays: Live<readonly RelayState[]>;
  readonly storage: Live<StorageState>;
  readonly diagnostics: Live<Diagnostics>;
  rename(name: string): Promise<void>;
  /**
   * The 24 words that make a device of this account out of nothing: whoever has them is this person. Works in every
   * tab, asks nobody and stores nothing. Give them to `restore` of a messenger on a new device.
   */
  recoveryPhrase(options: { readonly language: RecoveryLanguage }): Promise<readonly string[]>;
  /**
   * Everything this device has as one file, sealed: identity, contacts, groups and messages. The recovery phrase opens
   * it, and the passphrase, when one is given (1 to 1,000 characters; else a "usage" error). It is made while the stream
   * is read. Works in every tab. Whoever restores it goes on as this very device: not while this one is in use.
   */
  backup(options?: {
    readonly passphrase?: string;
  }): Promise<ReadableStream<Uint8Array<ArrayBuffer>>>;
  /**
   * Adds the messages of a backup of this account that are not here, in conversations that are. `unknown`: so many
   * conversations of the file are with people and groups that this device does not know. Rejects with BackupError.
   */
  importBackup(file: Blob): Promise<{ readonly messages: number; readonly unknown: number }>;
  /**
   * Whether contacts may see this device's network address. Hidden, direct links go through the relay's TURN server,
   * and there are none without it: messages go through the relay, which sees the address in any case. Open links end.
   */
  hideAddress(hidden: boolean): Promise<void>;
  /** Accepts the relay that answers now as this device's relay, after "relay-changed": the one at `url`, or the first. */
  trustRelay(url?: string): Promise<void>;
  /**
   * Keeps mailboxes at that relay as well, and tells every contact. Rejects with a "usage" error for anything but an
   * origin, with a "limit" error for a fourth relay. Resolves before the relay has answered: see `relays`.
   */
  addRelay(url: string): Promise<void>;
  /** Closes the mailboxes there. Rejects with a "usage" error for the only relay. */
  removeRelay(url: string): Promise<void>;
  /**
   * Has this device woken by Web Push while it is away: each own relay with that key (`RelayState.pushKey`) is told the
   * endpoint of the browser's subscription, now and with every connection; the others, and for null all, forget theirs.
   * Nothing of it is stored here: say it after every start. Rejects with a "usage" error for what no relay calls:
   * anything but an https address of at most 1,024 characters.
   */
  setPush(
    subscription: { readonly endpoint: string; readonly pushKey: string } | null,
  ): Promise<void>;
  /** Tries relays that are away at once, and measures the round trip to the others. */
  checkRelays(): Promise<void>;
  /**
   * A one-time invite, valid 7 days. Works offline; it becomes active when the relay has it.
   * `again`: an invite that nobody was given. The same one comes back, or a new one if somebody has opened it after all.
   */
  invite(again?: string): Promise<{ readonly conversation: string; readonly url: string }>;
  /** A link, a code, or text that contains one. */
  accept(text: string): Promise<AcceptResult>;
  /**
   * A one-time link (`<origin>/d#…`) for another device of this account, which `restore` made: there it goes to
   * `joinDevices`. Of no use to anybody else.
   */
  linkDevice(): Promise<{ readonly url: string }>;
  /** Another device's `linkDevice`. */
  joinDevices(text: string): Promise<JoinDevicesResult>;
  /** From the next message on nothing reaches that device. Rejects with a "usage" error for this one. */
  removeDevice(id: string): Promise<void>;
  /**
   * Messages whose text contains the query, of the whole history of this device: any part of a word, any script, upper
   * or lower case, full or half width. Works in every tab and asks nobody. Nothing is found for an empty query or one
   * of more than 256 characters. Rejects with the signal's reason.
   */
  search(query: string, options?: SearchOptions, signal?: Abort): Promise<Found>;
  /** Undefined when there is no such conversation. */
  conversation(id: string): Conversation | undefined;
  close(): Promise<void>;
}

/** Every rejection of this package. Messages carry numbers, never content, keys or addresses of people. */
export class MessengerError extends Error {
  readonly code: "limit" | "usage" | "storage" | "closed";
  constructor(code: MessengerError["code"], message: string) {
    super(message);
    this.name = "MessengerError";
    this.code = code;
  }
}

/** Why a phrase restored nothing. */
export type RecoveryRefusal =
  /** This profile has an account, be it the same one: a phrase never takes its place. */
  | { readonly reason: "identity-exists" }
  /** Longer than any phrase. */
  | { readonly reason: "too-long" }
  /** `words`: how many there are instead of 24. */
  | { readonly reason: "word-count"; readonly words: number }
  /** `positions`: which words are in no list, counted from 1. */
  | {
      readonly reason: "unknown-words";
      readonly language: RecoveryLanguage;
      readonly positions: readonly number[];
    }
  /** All words exist, and one is not the right one or not in its place. */
  | { readonly reason: "checksum"; readonly language: RecoveryLanguage };

export type RestoredBackup = { readonly file: Blob } & (
  | { readonly phrase: string }
  | { readonly passphrase: string }
);

/**
 * not-a-backup: another kind of file. newer: made by a later version of the app. wrong-secret: neither the phrase nor the
 * passphrase that was given is its own. damaged: bytes of it were changed, or its end is missing. cut-off: it ends
 * between two of its parts. other-account: it is of another account than this device. identity-exists: this profile has
 * an identity that somebody knows already.
 */
export type BackupRefusal =
  | "not-a-backup"
  | "newer"
  | "wrong-secret"
  | "damaged"
  | "cut-off"
  | "other-account"
  | "identity-exists";

/** Nothing was taken from the file. */
export class BackupError extends MessengerError {
  readonly reason: BackupRefusal;
  constructor(reason: BackupRefusal) {
    super("usage", `backup not read: ${reason}`);
    this.name = "BackupError";
    this.reason = reason;
  }
}

/** Nothing was stored, and the same may be tried again. Holds no word of the phrase. */
export class RecoveryError extends MessengerError {
  readonly refusal: RecoveryRefusal;
  constructor(refusal: RecoveryRefusal) {
    super("usage", `nothing restored: ${refusal.reason}`);
    this.name = "RecoveryError";
    this.refusal = refusal;
  }
}
