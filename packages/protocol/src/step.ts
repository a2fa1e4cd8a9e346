/** The engine's vocabulary: what can happen to a conversation, and what the shell must then do. Spec: SPEC.md §3. */
import type { GroupRole, Invite, QueueAddress } from "@sotto/wire";
import type {
  Change,
  ConversationId,
  DeviceName,
  Instant,
  MessageId,
  MessageRow,
  Path,
  PostRow,
  Slice,
} from "./ports.ts";

/** Where a blob came from; the acknowledgement goes back the same way. */
export type Source =
  | { readonly path: "relay"; readonly sequence: bigint }
  | { readonly path: "direct" };

export type Input =
  /** Begin: the conversation with oneself. */
  | { readonly kind: "start-notes"; readonly id: ConversationId }
  /** Begin: make an invite; works offline. */
  | {
      readonly kind: "start-invite";
      readonly id: ConversationId;
      readonly expiresAt: Instant;
      /** The notes: for another device of this account, and nobody else. */
      readonly parent?: ConversationId;
    }
  /** Begin: the invitee has fetched the sealed offer that belongs to `invite`. */
  | {
      readonly kind: "start-accept";
      readonly id: ConversationId;
      readonly invite: Invite;
      readonly blob: Uint8Array;
      /** The notes: the invite is of another device of this account. */
      readonly parent?: ConversationId;
    }
  /** Begin: what a `begin` or a `contact` asks for; `id` is new. */
  | { readonly kind: "start-post"; readonly id: ConversationId; readonly row: PostRow }
  /** Begin: a group with this account alone in it. */
  | { readonly kind: "start-group"; readonly id: ConversationId }
  /** To a group: its account, a contact's, in hex. */
  | { readonly kind: "group-add"; readonly account: string }
  | { readonly kind: "group-remove"; readonly account: string }
  | { readonly kind: "group-leave" }
  | { readonly kind: "group-role"; readonly account: string; readonly role: GroupRole }
  /** Something another record has for this one. */
  | {
      readonly kind: "post";
      readonly row: PostRow;
      /** Made by `asKnown`. */
      readonly known?: true;
      /** Made by `asTaken`. */
      readonly taken?: readonly MessageId[];
    }
  /**
   * Relays have made this conversation's queue: all of them of which that is known now, ordered by preference; at most
   * ADDRESSES_MAX (wire). Fed again when another one has, when one had lost it, and when own relays were added or
   * removed. An empty list says nothing.
   */
  | { readonly kind: "queue-ready"; readonly addresses: readonly QueueAddress[] }
  | { readonly kind: "published" }
  /** `id`: 16-byte ContentId in hex, chosen by the caller, so that asking twice sends once. */
  | {
      readonly kind: "send-text";
      readonly id: string;
      readonly text: string;
      /** Made by `asKnown`. */
      readonly known?: true;
    }
  | { readonly kind: "rename"; readonly name: string }
  | { readonly kind: "mark-read" }
  /** The person has seen that so many devices were added and removed; what came since is still news. */
  | {
      readonly kind: "devices-seen";
      readonly added: number;
      readonly removed: number;
      readonly anew: number;
    }
  | { readonly kind: "mark-verified"; readonly verified: boolean }
  /** To the notes: a device of this account is to speak for it no more. */
  | { readonly kind: "remove-device"; readonly device: DeviceName }
  /** The contact showed two lists (`fork`): the person trusts what its devices say now. */
  | {
      readonly kind: "answer-fork";
      /** For a verified contact the safety numbers have to be compared again. */
      readonly compared: boolean;
    }
  /** Somebody else answers in the contact's place (`change`): the person has decided about that root key. */
  | {
      readonly kind: "answer-change";
      readonly rootKey: Uint8Array;
      /** A verified contact is only replaced after the safety numbers were compared. */
      readonly answer: "reject" | "accept" | "accept-compared";
      /** Made by `asKnown`. */
      readonly known?: true;
      /** Made by `asTaken`. */
      readonly taken?: readonly MessageId[];
    }
  /** A sealed unit for this conversation. */
  | {
      readonly kind: "frame";
      readonly blob: Uint8Array;
      readonly source: Source;
      /** Made by `asKnown`. */
      readonly known?: true;
      /** Made by `asTaken`. */
      readonly taken?: readonly MessageId[];
    }
  /** What became of a `transmit` effect. */
  | {
      readonly kind: "transmitted";
      readonly id: string;
      readonly path: Path;
      /**
       * Over the relay, of all addresses together: "ok" when one took it, "gone" only when none of them exists. Of a copy
       * "ok", too, when there is no other relay.
       */
      readonly outcome: "ok" | "lost" | "gone" | "quota";
      /** Of a `transmit` with `copy`. */
      readonly copy?: boolean;
    }
  /** What became of a `signal` effect at the relay. */
  | { readonly kind: "signalled"; readonly outcome: "ok" | "away" }
  | { readonly kind: "hub"; readonly up: boolean }
  | { readonly kind: "direct"; readonly up: boolean }
  /** Own reservation for direct links: held at this peer id, or lost. */
  | { readonly kind: "reservation"; readonly peerId: Uint8Array | undefined }
  /** The conversation came on screen or left it. */
  | { readonly kind: "want"; readonly wanted: boolean }
  /** What a `read-past` effect asked for. */
  | {
      readonly kind: "past-read";
      readonly device: DeviceName;
      readonly before: string | undefined;
      /** Nothing older, milliseconds since 1970. */
      readonly since: Instant;
      readonly pages: number;
      /** The newest before that, ascending. */
      readonly rows: readonly MessageRow[];
      readonly hasMore: boolean;
    }
  /** Rows of this conversation out of a backup of this account: those that are not here are added. */
  | { readonly kind: "merge-messages"; readonly rows: readonly MessageRow[] }
  /** A time asked for by a `wake` effect has come. */
  | { readonly kind: "wake" }
  /** This device is about to go: say so to the other side. */
  | { readonly kind: "leaving" };

/** Executed in order; a commit that fails stops the rest. */
export type Effect =
  | { readonly kind: "commit"; readonly change: Change }
  /** Make the queue at the relay (idempotent), then feed `queue-ready`. Again after every hub reconnect until then. */
  | {
      readonly kind: "make-queue";
      readonly queueId: Uint8Array;
      readonly firstUse: Uint8Array;
      readonly ttlHours: number;
    }
  /** Delete the own queue at the relay, and the offer with it. Once is enough: the relay lets both expire anyway. */
  | { readonly kind: "close-queue"; readonly queueId: Uint8Array }
  /** Publish the invite's sealed offer under this queue, then feed `published`. */
  | { readonly kind: "publish"; readonly linkId: Uint8Array; readonly blob: Uint8Array }
  | {
      readonly kind: "transmit";
      readonly path: "direct";
      /** Outbox id; comes back in `transmitted`. */
      readonly id: string;
      readonly blob: Uint8Array;
    }
  | {
      readonly kind: "transmit";
      readonly path: "relay";
      readonly id: string;
      readonly blob: Uint8Array;
      /** False: to the first of the contact's addresses whose relay takes it. True: to another than the one that did. */
      readonly copy: boolean;
    }
  /** Ephemeral, over the hub only. */
  | { readonly kind: "signal"; readonly blob: Uint8Array }
  /** Tell the relay that the frame is durably stored or was refused for good. */
  | { readonly kind: "ack"; readonly sequence: bigint }
  /** Get a reservation and answer with `reservation`. */
  | { readonly kind: "prepare-direct" }
  /** Let this peer, and no other of this conversation, open a link. */
  | { readonly kind: "expect"; readonly peerId: Uint8Array }
  /** Answer with `direct`. */
  | { readonly kind: "dial"; readonly peerId: Uint8Array }
  /**
   * Read the newest messages before `before` (exclusive order key; the newest of all without one), at most
   * `pages` times PAST_ROWS_MAX (wire), and feed `past-read` with the same words.
   */
  | {
      readonly kind: "read-past";
      readonly device: DeviceName;
      readonly before: string | undefined;
      /** Nothing older, milliseconds since 1970. */
      readonly since: Instant;
      readonly pages: number;
    }
  /** Feed `wake` no earlier than `at`. One timer per conversation: the earliest wins. */
  | { readonly kind: "wake"; readonly at: Instant }
  /** Counted by reason; never shown. */
  | { readonly kind: "dropped"; readonly reason: DropReason };

/** Why something from outside was refused. A closed set: the shell counts by it. */
export type DropReason =
  | "duplicate"
  | "malformed"
  | "too-far-ahead"
  | "unknown-session"
  | "bad-tag"
  | "wrong-identity"
  | "unexpected"
  | "expired"
  | "old-signal"
  /** The other side has had more than this store remembers: it is an older one, put back. */
  | "old-store"
  | "outbox-full"
  /** A device whose account does not list it, or does no more. */
  | "unlisted"
  /** A device list that is not the account's, or contradicts the one that is known. */
  | "bad-list";

export interface Stepped {
  readonly slice: Slice;
  readonly effects: readonly Effect[];
}
