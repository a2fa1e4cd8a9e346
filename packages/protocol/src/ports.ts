/**
 * What the engine needs from the outside, and the records it keeps there.
 * Owns: the ports (Store, CryptoBackend by re-export, Clock, Entropy) and the shape of every stored record.
 * Leaves to storage and sdk: how rows are kept and frames are moved.
 * Spec: SPEC.md §2.
 */
import type { CryptoBackend, PrekeySecrets, Session, Turns } from "@sotto/crypto";
import type { ListMark } from "@sotto/crypto";
import type { GroupPost, GroupRow, GroupSlice, Recipient, SenderRow } from "./group-ports.ts";
import type { DeviceCert, DeviceList, HybridTime, PrekeyBundle, QueueAddress } from "@sotto/wire";

/** Milliseconds since 1970. */
export type Instant = number;

/** Fills and returns a fresh array of `length` random bytes. */
export type Entropy = (length: number) => Uint8Array<ArrayBuffer>;

/** Everything outside that a step may consult. `now` is fixed for the whole step. */
export interface Env {
  readonly now: Instant;
  readonly entropy: Entropy;
  readonly crypto: CryptoBackend;
  /** Turns made ahead; without it they are made when they are needed. */
  readonly turns?: Turns;
}

/** Random 16 bytes in hex: one conversation on this device. Never leaves it. */
export type ConversationId = string;
/** 16-byte ContentId in hex. */
export type MessageId = string;

/** An 8-byte device id in hex. */
export type DeviceName = string;

/** The conversation record that holds this device's pair with another device. */
export interface DeviceLink {
  readonly device: DeviceName;
  readonly conversation: ConversationId;
  /**
   * Of an own device that was linked by a person with both in hand. gives: this one listed that one then, and gives it
   * the history that it asks for. asks: the other way round. Whoever has the phrase alone gets none.
   */
  readonly history?: "gives" | "asks";
}

/** What this device knows of its own account's devices. */
export interface OwnDevices {
  /**
   * Ascending, without gaps, the newest last; at most LIST_VERSION_MAX (wire), and 10 kB each at the very most.
   * Empty: this device has not been told (restored from the phrase).
   */
  readonly lists: readonly DeviceList[];
  /** Pairs with the account's other devices; at most DEVICES_MAX (wire). */
  readonly links: readonly DeviceLink[];
  /** How often an own device showed that it heard of this one or of another: from then on it writes to that one, too. */
  readonly met: number;
  /** Encoded offers to own devices that no other own device could pass on: contacts are asked. At most DEVICES_MAX. */
  readonly reach: readonly { readonly device: DeviceName; readonly content: Uint8Array }[];
}

export interface OwnRelay {
  /** Origin; empty for the relay of the page, in a record that is older than this field. */
  readonly url: string;
  /** Ed25519, 32 bytes: pinned at first contact; undefined before it. */
  readonly key: Uint8Array | undefined;
  /** False for the relay that the installation began at: it knows the queues and the reader by their stored names. */
  readonly derived: boolean;
}

/** This installation's long-term secrets. One record per store; changes only when the person changes it. */
export interface SelfRecord {
  readonly name: string;
  /** Ed25519 seed, 32 bytes: the account. */
  readonly rootSecret: Uint8Array;
  /** Ed25519 seed, 32 bytes. */
  readonly signingSecret: Uint8Array;
  /** X25519 secret, 32 bytes. */
  readonly dhSecret: Uint8Array;
  readonly cert: DeviceCert;
  /** Ed25519 seed, 32 bytes: proves to the relay who owns this device's queues. Unrelated to the account. */
  readonly readerSecret: Uint8Array;
  /** Where this installation's queues are kept, the first is home; 1 to ADDRESSES_MAX (wire). */
  readonly relays: readonly OwnRelay[];
  /** The person's choice for this device: no contact may see its network address. Undefined: not chosen. */
  readonly hidesAddress?: boolean | undefined;
  readonly createdAt: Instant;
  readonly devices: OwnDevices;
}

/** The queue that one contact writes to and this device reads. */
export interface OwnQueue {
  /** 24 bytes. */
  readonly queueId: Uint8Array;
  /** 16 bytes: given to the one who may write. */
  readonly firstUse: Uint8Array;
  /**
   * One for each relay that has made the queue, ordered by preference: what the other side was told, or is told by what
   * waits. At most ADDRESSES_MAX (wire); empty until a relay has made it.
   */
  readonly addresses: readonly QueueAddress[];
}

/** Secrets behind one invite's bundle: one signed prekey and one one-time pair, used once and deleted. */
export interface InviteSecrets {
  /** 16 bytes. */
  readonly seed: Uint8Array;
  readonly signedPrekeyId: number;
  readonly signedPrekeySecret: Uint8Array;
  readonly oneTimeId: number;
  readonly oneTimeSecret: Uint8Array;
  /** 64-byte ML-KEM seed. */
  readonly kemSeed: Uint8Array;
  /** 32 bytes: crypto's `bundleHashOf` of `bundle`. */
  readonly bundleHash: Uint8Array;
  /** Encoded prekey bundle: what the offer carries; the same bytes whenever it is published. */
  readonly bundle: Uint8Array;
  readonly expiresAt: Instant;
  /** From when it was made to `expiresAt`, by the clock of then; milliseconds. */
  readonly lifetimeMs: number;
  /** True once the relay holds the sealed offer. */
  readonly published: boolean;
}

export interface Contact {
  /** Empty until its introduction has arrived. */
  readonly name: string;
  /** Time of the content the name came from: an older one that arrives late changes nothing. */
  readonly namedAt: HybridTime;
  readonly cert: DeviceCert;
  /** Where to write; empty until its introduction has arrived. Ordered by preference; at most ADDRESSES_MAX (wire). */
  readonly addresses: readonly QueueAddress[];
  /** Time of the introduction they came from: an older one changes nothing. 0 of those that an offer named. */
  readonly addressedAt: HybridTime;
  /** X25519 secret, 32 bytes: proves to the relay that this device may write to those queues. */
  readonly sendSecret: Uint8Array;
  /** True once the two people compared safety numbers. */
  readonly verified: boolean;
}

/** Secrets behind a bundle that was given to the other side. */
export interface Spare {
  readonly secrets: PrekeySecrets;
  readonly madeAt: Instant;
}

/** How two devices begin a new session when nothing of the old ones can be used any more. */
export interface Spares {
  /** Newest first; at most SPARES_MAX. One that was used is gone. */
  readonly own: readonly Spare[];
  /** Of the other side; undefined when none came, it was used, or its time is over (BUNDLE_AGE_MS_MAX). */
  readonly theirs:
    | {
        /** Encoded. */
        readonly bundle: Uint8Array;
        /** It was sent at. */
        readonly time: HybridTime;
        /** By this device's clock: nothing else says how old it may be. */
        readonly receivedAt: Instant;
      }
    | undefined;
  /** When this device last began a new session. */
  readonly usedAt: Instant;
  /** When this device last asked the other one to begin; 0 after that one did. */
  readonly askedAt: Instant;
  /** The latest plea of the other side that was answered, by its clock. */
  readonly pleaAt: Instant;
}

/** Somebody with another root key answers for this contact. Nothing is sent until the person has decided. */
export interface IdentityChange {
  readonly cert: DeviceCert;
  /** What came from there, as it came; at most HELD_FRAMES_MAX. Its sender keeps it, too. */
  readonly frames: readonly Uint8Array[];
  readonly at: Instant;
}

/** A way to a device that was passed on by others; used once the account's list names the device. */
export interface DeviceOffer {
  readonly bundle: PrekeyBundle;
  /** 1 to ADDRESSES_MAX (wire). */
  readonly addresses: readonly QueueAddress[];
  /** Not used later than BUNDLE_AGE_MS_MAX after that. */
  readonly receivedAt: Instant;
}

/** How far the history has come that an own device is asked for. */
export interface Past {
  readonly device: DeviceName;
  /** Order key of the oldest message that came; undefined before any did. */
  readonly before: string | undefined;
  /** Time of the newest message that this pass, or one before it, found there; records of before have none. */
  readonly newest?: Instant | undefined;
  /** How far back this pass goes: 0 for all there is. */
  readonly since: Instant;
  /** Nothing is asked for any more. */
  readonly whole: boolean;
  /** Another device writes to this one from here on; what it said before that may have come meanwhile. */
  readonly again: boolean;
  /** The own account's `met` at that time. */
  readonly met: number;
}

/** What a conversation knows of the devices of the account it is with. In a further pair: nothing. */
export interface AccountDevices {
  /** The newest list that follows from what was known; undefined until one came. */
  readonly list: DeviceList | undefined;
  /** Before there is a list: the first mark that the account's devices showed. */
  readonly pinned: ListMark | undefined;
  /** A newer version that one of them knows. No text goes out before this device knows it, too. */
  readonly behind: number | undefined;
  /** Version at which the account showed two different lists. No text goes out before the person has decided. */
  readonly fork: number | undefined;
  /** Pairs with its devices beyond the one of this record; at most DEVICES_MAX (wire). */
  readonly links: readonly DeviceLink[];
  /** Listed devices without a pair, and when that was first seen; at most DEVICES_MAX (wire). */
  readonly missing: readonly { readonly device: DeviceName; readonly since: Instant }[];
  /** Lists that came before those they follow; at most LATER_LISTS_MAX. */
  readonly later: readonly DeviceList[];
  /** At most OFFERS_MAX; the oldest gives way. */
  readonly offers: readonly DeviceOffer[];
  /** Encoded offers on their way to a device of the account that has no pair yet; at most OFFERS_MAX. */
  readonly passing: readonly {
    readonly device: DeviceName;
    /** The device it is of. */
    readonly from: DeviceName;
    readonly content: Uint8Array;
  }[];
  /** Which version of its own list each of its devices was told from here; at most DEVICES_MAX (wire). */
  readonly told: readonly { readonly device: DeviceName; readonly version: number }[];
  /** Ids of those of `reach` that this contact was asked to pass on; at most DEVICES_MAX (wire). */
  readonly asked: readonly MessageId[];
  /** Own devices that were told of this contact, and with which of its lists; 0: with none. At most DEVICES_MAX (wire). */
  readonly introduced: readonly { readonly device: DeviceName; readonly version: number }[];
  /** Groups that this account is in, and the devices each was last told of; at most GROUPS_MAX. */
  readonly groups: readonly { readonly group: ConversationId; readonly told: string }[];
  /** Account ids, 20 bytes each, that this account was introduced to from here; at most PRESENTED_MAX. */
  readonly presented: Uint8Array;
  /** Introductions of this account that wait until its name is known, or who it is; at most UNPRESENTED_MAX. */
  readonly unpresented: readonly {
    /** Hex. */
    readonly group: string;
    /** To whom; hex. */
    readonly account: string;
  }[];
  /**
   * Accounts (hex) through which ways to this one go: they know both. At most INTRODUCERS_MAX. Of a group: the contact
   * that told of it.
   */
  readonly introducers: readonly string[];
  /** Of somebody known from groups alone: the contact (hex) that told of the group. Undefined where that is own. */
  readonly teller?: string | undefined;
  /** Groups (hex) that this account, known from groups alone, told of and that were not taken; at most REFUSED_GROUPS_MAX. */
  readonly refusedGroups: readonly string[];
  /** History of before this device, that another own one has; undefined where none is to be had. */
  readonly past: Past | undefined;
  /**
   * Time of the earliest message that came here so late that no own device which looks again would find it: it is given
   * all since then. Records of before have none.
   */
  readonly late?: Instant | undefined;
  /**
   * Devices added and removed since the person last looked, and how often the contact's device asked to begin anew.
   * Records of before that have no count of it.
   */
  readonly news: {
    readonly added: number;
    readonly removed: number;
    readonly anew?: number | undefined;
  };
}

/**
 * The life of a conversation. `notes` has no peer. `invited` waits for the one who holds the link.
 * `refused`, for good: `gone`, the invite was used up before this device could write (invitee's side);
 * `expired`, nobody used it in time (inviter's side); `removed`, its account took the device of this further pair
 * from its list.
 */
export type Peer =
  | { readonly state: "notes" }
  | { readonly state: "invited"; readonly invite: InviteSecrets; readonly queue: OwnQueue }
  | {
      readonly state: "open";
      readonly contact: Contact;
      readonly queue: OwnQueue;
      /** Newest first; at most SESSIONS_MAX (crypto). The first one sends. */
      readonly sessions: readonly Session[];
      /** 16 bytes: the invite this began with, so that opening its link again leads here. */
      readonly inviteSeed: Uint8Array;
      /** SHA-256 of ephemeral keys whose HELLO was answered: replays make no second session. */
      readonly helloSeen: readonly Uint8Array[];
      /** Ring of the newest RECEIVED_MAX received contents: tag 8 | nonce 4 | content id 16 each, newest last. */
      readonly received: Uint8Array;
      /** Contents stored here that no sent receipt names yet; at most RECEIPT_IDS_MAX (wire). */
      readonly owed: readonly MessageId[];
      readonly spares: Spares;
      readonly change: IdentityChange | undefined;
      /** The device is in its account's list no more: nothing is sealed for it. Further pairs end instead. */
      readonly retired: boolean;
      /** What this device last showed to know of its account's list. */
      readonly mark: ListMark;
      /** Version of the own account's list that this device was last told. */
      readonly announced: number;
      /** When a way to this device was last passed on to the other one; 0 when it never was. */
      readonly offeredAt: Instant;
    }
  | {
      readonly state: "group";
      /** GroupId in hex. */
      readonly group: string;
      /** This device's account is in it. Else it can be read, and nothing be written. */
      readonly member: boolean;
      /** Own devices that were given the log; at most DEVICES_MAX (wire). */
      readonly told: readonly DeviceName[];
    }
  | { readonly state: "refused"; readonly reason: "gone" | "expired" | "removed" };

export interface ConversationRecord {
  readonly id: ConversationId;
  /**
   * Undefined for what is shown. Else this record is a further pair: with another device of the account that the
   * conversation `parent` is with, or, when that is the notes, with another device of this account.
   */
  readonly parent: ConversationId | undefined;
  /** False for somebody known from groups alone, and for a group that this device has never been in. */
  readonly listed: boolean;
  /** Raised by one with each commit; the store refuses a commit made on another version. */
  readonly version: number;
  readonly peer: Peer;
  readonly devices: AccountDevices;
  /** Latest hybrid time seen or made here. */
  readonly clock: HybridTime;
  readonly createdAt: Instant;
  /** Of the newest message, for the list; undefined when there is none. */
  readonly last:
    | {
        readonly time: HybridTime;
        /** Its time, or when it was received if that is earlier: no clock of a contact's puts it on top for ever. */
        readonly at: Instant;
        readonly text: string;
        readonly own: boolean;
      }
    | undefined;
  readonly unread: number;
}

/** The bubble's sign. Own messages only go up this list. */
export type MessageStatus = "queued" | "relayed" | "delivered" | "failed" | "received";

/** A row of history. `order` sorts bytewise into the order every device agrees on. */
export interface MessageRow {
  readonly id: MessageId;
  readonly conversation: ConversationId;
  /** ms 12 hex | counter 4 hex | author account id 40 hex | id 32 hex. */
  readonly order: string;
  readonly own: boolean;
  /** In a group: whose it is, an account id in hex. */
  readonly author: string | undefined;
  readonly text: string;
  readonly sentAt: Instant;
  readonly receivedAt: Instant;
  readonly status: MessageStatus;
  /** The path that carried it last. */
  readonly path: Path | undefined;
}

export type Path = "direct" | "relay";

/** One sealed unit waiting for proof that the other device has it. */
export interface OutboxRow {
  /** EnvelopeId in hex: the relay's idempotency key; stays the same for every resend of the same bytes. */
  readonly id: string;
  readonly conversation: ConversationId;
  /** Rises within the conversation: order of sending. */
  readonly sequence: number;
  /** ContentId in hex that a receipt will name; undefined for a receipt, which the relay's OK settles. */
  readonly awaits: MessageId | undefined;
  /** Sealed, bucket-sized; undefined while there is no session to seal with. */
  readonly envelope: Uint8Array | undefined;
  /** Encoded content: sealed when there is a session, and once more when its first envelope cannot be opened there. */
  readonly content: Uint8Array | undefined;
  /** The row of history this carries, as last written; undefined for what is not shown. */
  readonly message: MessageRow | undefined;
  readonly createdAt: Instant;
  /** When the relay last said OK; undefined when it has not. */
  readonly relayedAt: Instant | undefined;
  /** When another relay of the other side's took it, too; undefined when none has. */
  readonly copiedAt: Instant | undefined;
  /** The other devices have it, too: those of the account, and the own ones. */
  readonly spread: boolean;
  /** In a pair: the group whose message this is. The envelope is the group's, and there is no content. */
  readonly group: ConversationId | undefined;
  /** In a group: undefined while it is not sealed. */
  readonly recipients: readonly Recipient[] | undefined;
}

/**
 * What one record has for another: stored with the commit that makes it, and gone with the commit that takes it, so
 * that it is taken exactly once whatever happens between.
 */
export interface PostRow {
  /** 16 random bytes in hex. */
  readonly id: string;
  readonly from: ConversationId;
  /**
   * A conversation, made by a `begin` when there is none of that id. Or `account:` and an account id in hex: the
   * conversation shown for that account, made by a `contact`; anything else waits until there is one. Or a group:
   * see `routeOf`.
   */
  readonly to: string;
  /** Rises with each post of `from`. */
  readonly sequence: number;
  readonly post: Post;
}

export type Post =
  | GroupPost
  /** To a new further pair with the device of `cert`. */
  | {
      readonly kind: "begin";
      readonly parent: ConversationId;
      /** As the conversation's: otherwise the account is known from groups alone. */
      readonly listed: boolean;
      readonly name: string;
      /** Without a true signature when only the list has named the device. */
      readonly cert: DeviceCert;
      /** Undefined: the other device is to begin, with what this pair offers it. */
      readonly offer: DeviceOffer | undefined;
    }
  /** To a further pair: a way to its device has come. */
  | { readonly kind: "offer"; readonly offer: DeviceOffer }
  /** To a further pair: deliver this. */
  | { readonly kind: "send"; readonly awaits: MessageId; readonly content: Uint8Array }
  /** To a further pair: its device is no more. */
  | { readonly kind: "end" }
  /** To a further pair: the person knows the account, not only from groups. */
  | { readonly kind: "listed" }
  /** From a further pair: its device sent this. */
  | { readonly kind: "content"; readonly content: Uint8Array; readonly path: Path }
  /** From a further pair: its device has this text. */
  | { readonly kind: "settled"; readonly awaits: MessageId; readonly path: Path }
  /** From a further pair: what its device knows of its account's list. */
  | { readonly kind: "mark"; readonly mark: ListMark }
  /** From a further pair: how the other device of the pair can reach this one. */
  | { readonly kind: "reach"; readonly device: DeviceName; readonly content: Uint8Array };

/** Everything a step on one conversation may read and change. */
export interface Slice {
  readonly self: SelfRecord;
  /** Undefined only for inputs that begin a conversation. */
  readonly conversation: ConversationRecord | undefined;
  /** Ascending by `sequence`; at most OUTBOX_MAX contents, NOTICES_MAX notices and RECEIPT_ROWS_MAX receipts. */
  readonly outbox: readonly OutboxRow[];
  /** Of a group only. */
  readonly group?: GroupSlice;
  /** Not stored: what is known about the other side right now. */
  readonly live: LiveState;
}

/** Ephemeral knowledge about the peer and the paths. Starts at `INITIAL_LIVE` with every engine start. */
export interface LiveState {
  readonly hub: boolean;
  readonly direct: boolean;
  readonly presence: "unknown" | "online" | "away";
  /** When something of the other side's was last opened: by then it had been there. */
  readonly heardAt: Instant;
  /** When a content of the other side's last opened. */
  readonly openedAt: Instant;
  /** When something that no session opens first came, since the last thing that one did. */
  readonly unopenedAt: Instant | undefined;
  /** Highest signal counter accepted from the other side. */
  readonly signalSeen: number;
  /** Last signal counter used. */
  readonly signalSent: number;
  /** Peer id of the other device, when it said it is ready. */
  readonly remotePeerId: Uint8Array | undefined;
  /** Own peer id, when this device holds a reservation. */
  readonly ownPeerId: Uint8Array | undefined;
  /** The conversation is on screen: a direct link is wanted. */
  readonly wanted: boolean;
  /** Outbox ids handed to the relay and not answered yet; at most IN_FLIGHT_MAX. */
  readonly inFlight: readonly string[];
  /** Of those that a relay took: handed over for another one and not answered yet; at most COPIES_MAX. */
  readonly copying: readonly string[];
  /** Place in the outbox (`sequence`) of what was handed over so last. */
  readonly copiedTo: number;
  /** No copy goes out before this: a relay did not take one. */
  readonly copyRetryAt: Instant;
  /** Outbox ids handed to the current direct link, and when; 0 when the link did not take it. */
  readonly directSent: ReadonlyMap<string, Instant>;
  /** Outbox ids handed over before a content that has been confirmed since, and when that was first seen. */
  readonly overtaken: ReadonlyMap<string, Instant>;
  /** Nothing goes over the direct link before this: it was full. */
  readonly linkRetryAt: Instant;
  /** Those of `owed` that came over the current direct link: their receipt goes back the same way. */
  readonly directOwed: readonly MessageId[];
  /** Nothing goes to the relay before this. */
  readonly retryAt: Instant;
  /** When this connection's relay first said that the queue of someone who never answered is no more. */
  readonly goneAt: Instant | undefined;
  /** Until then nothing is sealed by a session of an earlier process; 0 before the first step. */
  readonly echoUntil: Instant;
  readonly receiptAt: Instant;
  /** When the account's devices were last asked for a list. */
  readonly listAskedAt: Instant;
  /** Since when the account shows a list that never came; 0: it does not. */
  readonly listMissedAt: Instant;
  /** When an own device was last asked for history. */
  readonly pastAskedAt: Instant;
  /** When the device of this pair was last asked for a group that is not known here. */
  readonly groupAskedAt: Instant;
  /** Such questions before that one, none much later than the one before it. */
  readonly groupQuestions: number;
  /** When groups were last asked about a message of this pair's device that none of them opened. */
  readonly strayAt: Instant;
  /** Of a group: who was told of it without having asked for just that, and when; at most TOLD_MAX. */
  readonly told: ReadonlyMap<string, Instant>;
  /** Of a group: questions of each device answered since then; at most TOLD_MAX. */
  readonly answered: ReadonlyMap<string, { readonly since: Instant; readonly count: number }>;
  /**
   * Of a group: pairs whose operations found no room among those that wait, and how many waited; at most
   * UNHELD_PAIRS_MAX.
   */
  readonly unheld: ReadonlyMap<ConversationId, number>;
  readonly probedAt: Instant;
  /** The next try at a direct link, and how many failed since the last good one. */
  readonly negotiateAt: Instant;
  readonly negotiations: number;
}

export const INITIAL_LIVE: LiveState = {
  hub: false,
  direct: false,
  presence: "unknown",
  heardAt: 0,
  openedAt: 0,
  unopenedAt: undefined,
  signalSeen: 0,
  signalSent: 0,
  remotePeerId: undefined,
  ownPeerId: undefined,
  wanted: false,
  inFlight: [],
  copying: [],
  copiedTo: 0,
  copyRetryAt: 0,
  directSent: new Map(),
  overtaken: new Map(),
  linkRetryAt: 0,
  directOwed: [],
  retryAt: 0,
  goneAt: undefined,
  echoUntil: 0,
  receiptAt: 0,
  listAskedAt: 0,
  listMissedAt: 0,
  pastAskedAt: 0,
  groupAskedAt: 0,
  groupQuestions: 0,
  strayAt: 0,
  told: new Map(),
  answered: new Map(),
  unheld: new Map(),
  probedAt: 0,
  negotiateAt: 0,
  negotiations: 0,
};

/** What one step writes, all or nothing. */
export interface Change {
  /** Version the step started from; 0 when the conversation is new. */
  readonly expectedVersion: number;
  readonly conversation: ConversationRecord;
  /** New rows. When the conversation has a row of such an id, the whole change is refused as `known` or `taken`. */
  readonly addMessages: readonly MessageRow[];
  /** Rows of history from an own device: each is new, or there is one of its id, and that stays as it is. */
  readonly mergeMessages: readonly MessageRow[];
  /** Own rows whose sign changed: written over what is there. */
  readonly putMessages: readonly MessageRow[];
  readonly putOutbox: readonly OutboxRow[];
  readonly deleteOutbox: readonly string[];
  /** Own rows, written on another device: their sign becomes "delivered" where they are there. */
  readonly delivered: readonly MessageId[];
  readonly addPosts: readonly PostRow[];
  /** Ids of posts that this change takes. */
  readonly takePosts: readonly string[];
  /** Where the step changed it. */
  readonly group: GroupRow | undefined;
  readonly putSenders: readonly SenderRow[];
  /** The own record, where the step changed it. */
  readonly self: SelfRecord | undefined;
}

/** What tabs and screens are told after a commit, from whichever tab it came. */
export interface StoreEvent {
  /** Undefined when the self record changed. */
  readonly conversation: ConversationId | undefined;
  /** Rows added, put and raised by the commit, so that an open timeline need not read again. */
  readonly messages: readonly MessageRow[];
}

export type CommitResult =
  | { readonly ok: true }
  /**
   * conflict: another writer was faster; load again. known: there is that message (`isSameMessage`); step again with
   * `asKnown`. taken: of these ids there are messages by somebody else; step again with `asTaken`. full: the disk or quota is full. closed: the store is gone.
   */
  | { readonly ok: false; readonly reason: "conflict" | "known" | "full" | "closed" }
  | { readonly ok: false; readonly reason: "taken"; readonly ids: readonly MessageId[] };

export interface MessagePage {
  /** Ascending by `order`. */
  readonly rows: readonly MessageRow[];
  readonly hasMore: boolean;
}

/** The platform's AbortSignal, as far as it is needed. */
export interface Abort {
  throwIfAborted(): void;
}

/** What of the history is searched; all of it where nothing is said. */
export interface SearchOptions {
  readonly conversation?: ConversationId | undefined;
  /** An account id in hex: whoever wrote it. */
  readonly author?: string | undefined;
  readonly own?: boolean | undefined;
  /** Of before that time, by the message's own. */
  readonly before?: Instant | undefined;
  /** Of that time or later. */
  readonly after?: Instant | undefined;
  /** The `next` of the page before. */
  readonly from?: string | undefined;
}

export interface SearchHit {
  readonly row: MessageRow;
  /** Start and end in `row.text`, UTF-16 units; ascending, at least one. */
  readonly ranges: readonly (readonly [start: number, end: number])[];
}

export interface SearchPage {
  /** Newest first, by `order`. */
  readonly hits: readonly SearchHit[];
  /** Undefined when there are no more. */
  readonly next: string | undefined;
}

/**
 * The history and state of one installation. Two adapters: memory and Dexie; one acceptance suite.
 * Rows that cannot be read (damaged, of a later version) are skipped and counted, never thrown.
 */
export interface Store {
  /** Undefined in a new store. "damaged": there is one that cannot be read, or of a later version. */
  loadSelf(): Promise<SelfRecord | "damaged" | undefined>;
  /** Writes the self record; only `commit` touches conversations. */
  saveSelf(self: SelfRecord): Promise<CommitResult>;
  /** All conversations, and the outbox of each. Small: a few hundred records. */
  loadAll(): Promise<{
    readonly conversations: readonly ConversationRecord[];
    readonly outbox: readonly OutboxRow[];
    /** Not taken yet; by `from`, then `sequence`. */
    readonly posts: readonly PostRow[];
    readonly groups: readonly GroupRow[];
    readonly senders: readonly SenderRow[];
    readonly damaged: number;
  }>;
  /** One transaction. Resolves after it is durable. */
  commit(change: Change): Promise<CommitResult>;
  /**
   * Ascending: the newest `limit` rows older than `before` (exclusive order key), or the newest of all; with `after`, the
   * oldest that are newer than it. `before` says nothing then.
   */
  messages(
    conversation: ConversationId,
    options: { readonly before?: string; readonly after?: string; readonly limit: number },
  ): Promise<MessagePage>;
  /** Forgets everything, in one transaction. Nobody may be using it: watchers are not told. */
  clear(): Promise<CommitResult>;
  /**
   * A page of the messages whose text contains the query, in upper or lower case, in any form of its characters
   * (NFKC); none for an empty or very long one. Rejects with the signal's reason.
   */
  search(query: string, options?: SearchOptions, signal?: Abort): Promise<SearchPage>;
  /** Commits of this and other tabs, in commit order. Returns the unsubscribe function. */
  watch(see: (event: StoreEvent) => void): () => void;
  close(): void;
}

export type { CryptoBackend, Session } from "@sotto/crypto";
export * from "./group-ports.ts";
