/**
 * Events: everything that happens to a history, as bytes that never change.
 * Owns: layout, limits, content hashes. Leaves to fold.ts: what events amount to; to the caller: that the author is who
 * the event says, and may write there.
 * Spec: SPEC.md §5.1, §5.3.
 */
import { sha256 } from "@sotto/crypto";
import {
  ACCOUNT_ID_BYTES,
  type AccountId,
  asAccountId,
  asEventId,
  asGroupId,
  type ByteReader,
  type ByteWriter,
  compareBytes,
  concatBytes,
  createWriter,
  type Decoded,
  decodeWith,
  EVENT_ID_BYTES,
  type EventId,
  GROUP_ID_BYTES,
  type GroupId,
  isName,
  NAME_BYTES_MAX,
  refuse,
  TEXT_BYTES_MAX,
  utf8ToBytes,
} from "@sotto/wire";
import { CONTENT_HASH_BYTES, SYNC_LABELS, timeOf } from "./item.ts";

/** One emoji with all its joiners and modifiers; the longest in use has 35 bytes. */
export const EMOJI_BYTES_MAX = 64;
/** Year 6429, as the engine has it: what claims to be later is malformed. */
export const EVENT_MS_MAX = 2 ** 47;
/** Seconds a message may live: a little over 136 years. 0: for ever. */
export const LIFETIME_S_MAX = 0xffff_ffff;
/** kind 1 | id 16 | author 20 | place 41 | reply 37 | lifetime 4 | length 2 | text. */
export const EVENT_BYTES_MAX = 121 + TEXT_BYTES_MAX;

/** Where an event belongs; the same for everybody who has it. */
export type Place =
  | { readonly kind: "notes"; readonly account: AccountId }
  /** Two people, in the order of their ids. */
  | { readonly kind: "pair"; readonly accounts: readonly [AccountId, AccountId] }
  | { readonly kind: "group"; readonly group: GroupId };

/** A message: ids of two authors may be the same, because anybody can write any id. */
export interface Target {
  readonly id: EventId;
  readonly author: AccountId;
}

/** What a conversation has one of. pin, mute, archive and draft are one's own; timer and title are everybody's. */
export type Setting =
  | { readonly field: "pin" | "archive"; readonly value: boolean }
  /** Milliseconds until when; 0: not muted. */
  | { readonly field: "mute"; readonly value: number }
  /** Empty: none. */
  | { readonly field: "draft"; readonly value: string }
  /** Seconds that new messages live; 0: for ever. */
  | { readonly field: "timer"; readonly value: number }
  /** A name, or empty: none. */
  | { readonly field: "title"; readonly value: string };

export type EventBody =
  | {
      readonly kind: "text";
      readonly text: string;
      readonly replyTo: Target | undefined;
      /** Seconds from the time in the id; 0: for ever. */
      readonly lifetimeS: number;
    }
  /** Of an own message. */
  | { readonly kind: "edit"; readonly target: EventId; readonly text: string }
  /** Of an own message, for everybody. */
  | { readonly kind: "delete"; readonly target: EventId }
  /** Of anybody's message, on the own devices. */
  | { readonly kind: "hide"; readonly target: Target }
  | {
      readonly kind: "reaction";
      readonly target: Target;
      readonly emoji: string;
      readonly isOn: boolean;
    }
  /** Everything up to there has arrived. */
  | { readonly kind: "received"; readonly upTo: EventId }
  /** Everything up to there was seen. */
  | { readonly kind: "read"; readonly upTo: EventId }
  | { readonly kind: "setting"; readonly setting: Setting }
  /** What is left of a message that was deleted: enough to know it again, and nothing of what it said. */
  | { readonly kind: "erased"; readonly contentHash: Uint8Array };

export interface HistoryEvent {
  readonly id: EventId;
  readonly author: AccountId;
  readonly place: Place;
  readonly body: EventBody;
}

export type EventKind = EventBody["kind"];

const Kind = {
  text: 1,
  edit: 2,
  delete: 3,
  hide: 4,
  reaction: 5,
  received: 6,
  read: 7,
  setting: 8,
  erased: 9,
} as const;

const PlaceKind = { notes: 1, pair: 2, group: 3 } as const;
const Field = { pin: 1, archive: 2, mute: 3, draft: 4, timer: 5, title: 6 } as const;

export function encodeEvent({ id, author, place, body }: HistoryEvent): Uint8Array<ArrayBuffer> {
  const writer = createWriter().u8(Kind[body.kind]).raw(id).raw(author);
  writePlace(writer, place);
  switch (body.kind) {
    case "text":
      writer.u8(body.replyTo === undefined ? 0 : 1);
      if (body.replyTo !== undefined) writeTarget(writer, body.replyTo);
      return writer.u32(body.lifetimeS).text(body.text).done();
    case "edit":
      return writer.raw(body.target).text(body.text).done();
    case "delete":
      return writer.raw(body.target).done();
    case "hide":
      return writeTarget(writer, body.target).done();
    case "reaction":
      return writeTarget(writer, body.target)
        .u8(body.isOn ? 1 : 0)
        .text(body.emoji)
        .done();
    case "received":
    case "read":
      return writer.raw(body.upTo).done();
    case "setting":
      return writeSetting(writer, body.setting).done();
    case "erased":
      return writer.raw(body.contentHash).done();
  }
}

export const decodeEvent = (bytes: Uint8Array): Decoded<HistoryEvent> =>
  decodeWith(bytes, EVENT_BYTES_MAX, (reader): HistoryEvent => {
    const kind = reader.u8();
    const id = readId(reader);
    const author = asAccountId(reader.take(ACCOUNT_ID_BYTES));
    const place = readPlace(reader);
    return { id, author, place, body: readBody(reader, kind) };
  });

function readBody(reader: ByteReader, kind: number): EventBody {
  switch (kind) {
    case Kind.text: {
      const replyTo = readFlag(reader) ? readTarget(reader) : undefined;
      return { kind: "text", replyTo, lifetimeS: reader.u32(), text: reader.text(TEXT_BYTES_MAX) };
    }
    case Kind.edit:
      return { kind: "edit", target: readId(reader), text: reader.text(TEXT_BYTES_MAX) };
    case Kind.delete:
      return { kind: "delete", target: readId(reader) };
    case Kind.hide:
      return { kind: "hide", target: readTarget(reader) };
    case Kind.reaction: {
      const target = readTarget(reader);
      const isOn = readFlag(reader);
      const emoji = reader.text(EMOJI_BYTES_MAX);
      return emoji === "" ? refuse("malformed") : { kind: "reaction", target, isOn, emoji };
    }
    case Kind.received:
      return { kind: "received", upTo: readId(reader) };
    case Kind.read:
      return { kind: "read", upTo: readId(reader) };
    case Kind.setting:
      return { kind: "setting", setting: readSetting(reader) };
    case Kind.erased:
      return { kind: "erased", contentHash: reader.take(CONTENT_HASH_BYTES) };
    default:
      return refuse("unknown-type");
  }
}

function readId(reader: ByteReader): EventId {
  const id = asEventId(reader.take(EVENT_ID_BYTES));
  return timeOf(id) < EVENT_MS_MAX ? id : refuse("malformed");
}

function readFlag(reader: ByteReader): boolean {
  const flag = reader.u8();
  return flag > 1 ? refuse("malformed") : flag === 1;
}

const writeTarget = (writer: ByteWriter, { id, author }: Target): ByteWriter =>
  writer.raw(id).raw(author);

const readTarget = (reader: ByteReader): Target => ({
  id: readId(reader),
  author: asAccountId(reader.take(ACCOUNT_ID_BYTES)),
});

function writePlace(writer: ByteWriter, place: Place): void {
  writer.u8(PlaceKind[place.kind]);
  switch (place.kind) {
    case "notes":
      writer.raw(place.account);
      break;
    case "pair":
      writer.raw(place.accounts[0]).raw(place.accounts[1]);
      break;
    case "group":
      writer.raw(place.group);
      break;
  }
}

function readPlace(reader: ByteReader): Place {
  switch (reader.u8()) {
    case PlaceKind.notes:
      return { kind: "notes", account: asAccountId(reader.take(ACCOUNT_ID_BYTES)) };
    case PlaceKind.pair: {
      const first = asAccountId(reader.take(ACCOUNT_ID_BYTES));
      const second = asAccountId(reader.take(ACCOUNT_ID_BYTES));
      if (compareBytes(first, second) >= 0) refuse("malformed");
      return { kind: "pair", accounts: [first, second] };
    }
    case PlaceKind.group:
      return { kind: "group", group: asGroupId(reader.take(GROUP_ID_BYTES)) };
    default:
      return refuse("unknown-type");
  }
}

function writeSetting(writer: ByteWriter, setting: Setting): ByteWriter {
  writer.u8(Field[setting.field]);
  switch (setting.field) {
    case "pin":
    case "archive":
      return writer.u8(setting.value ? 1 : 0);
    case "mute":
      return writer.u48(setting.value);
    case "timer":
      return writer.u32(setting.value);
    case "draft":
    case "title":
      return writer.text(setting.value);
  }
}

function readSetting(reader: ByteReader): Setting {
  switch (reader.u8()) {
    case Field.pin:
      return { field: "pin", value: readFlag(reader) };
    case Field.archive:
      return { field: "archive", value: readFlag(reader) };
    case Field.mute:
      return { field: "mute", value: reader.u48() };
    case Field.timer:
      return { field: "timer", value: reader.u32() };
    case Field.draft:
      return { field: "draft", value: reader.text(TEXT_BYTES_MAX) };
    case Field.title: {
      const value = reader.text(NAME_BYTES_MAX);
      return value === "" || isName(value) ? { field: "title", value } : refuse("malformed");
    }
    default:
      return refuse("unknown-type");
  }
}

/** CONTENT_HASH_BYTES over an event; of what is left of a deleted message, that of the message as it was. */
export const contentHashOf = (event: HistoryEvent): Uint8Array =>
  event.body.kind === "erased"
    ? event.body.contentHash
    : sha256(concatBytes(utf8ToBytes(`${SYNC_LABELS.event}\0`), encodeEvent(event)));

/** Two different people, in their order. Throws a RangeError for one and the same. */
export function pairPlace(one: AccountId, other: AccountId): Place {
  const order = compareBytes(one, other);
  if (order === 0) throw new RangeError("a pair of one account");
  return { kind: "pair", accounts: order < 0 ? [one, other] : [other, one] };
}
