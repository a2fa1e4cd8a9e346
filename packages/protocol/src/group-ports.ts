/**
 * What is stored of a group beside its conversation record, and what records tell each other about groups.
 * Owns: those shapes. Leaves to ports.ts: everything else that is stored.
 * Spec: SPEC.md §11.
 */
import type { GroupLog, HeldMessage, RemoteSender, SendingChain } from "@sotto/crypto";
import type { ConversationId, DeviceLink, DeviceName, MessageId, Path } from "./ports.ts";

/** The first 40 hex digits are the account, the rest the device: `deviceKey` of crypto, without the stroke. */
export interface MemberPair {
  /** Hex. */
  readonly account: string;
  readonly device: DeviceName;
  /** The record of this device's pair with it. */
  readonly pair: ConversationId;
}

/** Which devices of a member's account there are pairs with, as the conversation with that account says. */
export interface RosterEntry {
  /** Of the post that said so: an older one changes nothing. */
  readonly sequence: number;
  /** None while that conversation is held, too. */
  readonly devices: readonly DeviceLink[];
}

/** Written only when something of it changed: a log can be large. */
export interface GroupRow {
  readonly conversation: ConversationId;
  readonly log: GroupLog;
  /** By account, hex: every other member. */
  readonly roster: ReadonlyMap<string, RosterEntry>;
  /** Encoded `member` contents about accounts that the log does not have yet; at most INTRODUCTIONS_MAX. */
  readonly introductions: readonly { readonly by: string; readonly content: Uint8Array }[];
}

/** A message under heads that are not here, and the record of the pair that it came through. */
export interface HeldArrival extends HeldMessage {
  readonly pair: ConversationId;
  readonly path: Path;
}

/** One sending device in one group: a row of its own, so that a message rewrites nothing else. */
export interface SenderRow {
  readonly conversation: ConversationId;
  /** Account and device in hex, with a stroke between them. */
  readonly device: string;
  /** Undefined for this device itself, and before its first record came. */
  readonly sender: RemoteSender | undefined;
  /** Of this device itself. */
  readonly chain: SendingChain | undefined;
  readonly held: readonly HeldArrival[];
}

export interface GroupSlice {
  /** Undefined when it was damaged: the members are asked for the log. */
  readonly row: GroupRow | undefined;
  /** By `device`. */
  readonly senders: ReadonlyMap<string, SenderRow>;
}

/** Who is to get a message of this device's. */
export interface Recipient {
  /** Hex. */
  readonly account: string;
  /** Devices that it went to and that have not confirmed it. */
  readonly devices: readonly DeviceName[];
  /** One of the account's devices has it. */
  readonly has: boolean;
}

export type GroupPost =
  /** From a group to the conversation with a member's account: say which devices it has, now and later, or no more. */
  | { readonly kind: "follow"; readonly on: boolean }
  /** The answer. */
  | {
      readonly kind: "roster";
      readonly account: string;
      readonly devices: readonly DeviceLink[];
    }
  /** To the conversation with an account: deliver this to each of its devices. Not shown. */
  | { readonly kind: "deliver"; readonly awaits: MessageId; readonly content: Uint8Array }
  /** To the conversation with a member: introduce that member to these accounts (hex). */
  | { readonly kind: "present"; readonly group: string; readonly to: readonly string[] }
  /** To the conversation with an account, or to begin it unseen: `by` (hex) says that it is in a group with us. */
  | {
      readonly kind: "presented";
      readonly by: string;
      readonly content: Uint8Array;
      /** `by` is no member any more. */
      readonly former: boolean;
      /** The contact (hex) that told of the group; undefined where that is own. */
      readonly teller?: string | undefined;
    }
  /** From the conversation with one account to that with another: a way from one to the other, to pass on… */
  | { readonly kind: "pass"; readonly content: Uint8Array }
  /** …and one that came through the account `by` (hex), for this device. */
  | { readonly kind: "way"; readonly by: string; readonly content: Uint8Array }
  /** From a group to a pair: send this sealed group message; in place of another one with the same content. */
  | { readonly kind: "release"; readonly awaits: MessageId; readonly envelope: Uint8Array }
  /** To a pair: nothing of the group with that record is to be sent any more; without one, of the group that says so. */
  | { readonly kind: "withdraw"; readonly group?: ConversationId | undefined }
  /** From a pair to a group: its device has this message; or, by every sign, cannot open it. */
  | {
      readonly kind: "reached" | "stale";
      readonly awaits: MessageId;
      readonly account: string;
      readonly device: DeviceName;
    }
  /** From a pair to the group named in the content. */
  | {
      readonly kind: "told";
      readonly account: string;
      readonly device: DeviceName;
      readonly content: Uint8Array;
    }
  /** From a pair, to whichever group it is of. */
  | {
      readonly kind: "arrived";
      readonly pair: ConversationId;
      readonly account: string;
      readonly device: DeviceName;
      readonly envelope: Uint8Array;
      readonly path: Path;
      /** No group opened it: one that has nothing of its sender's asks for it. */
      readonly again: boolean;
    }
  /** From a group to the pair through which it arrived: it is stored. */
  | {
      readonly kind: "opened";
      readonly awaits: MessageId;
      readonly envelope: Uint8Array;
      readonly path: Path;
    };
