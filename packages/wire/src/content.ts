/**
 * What is inside a sealed envelope. Every content but a receipt carries an id and is sent until a receipt names it.
 * Spec: SPEC.md §6.
 */
import {
  ADDRESS_LIST_BYTES_MAX,
  type QueueAddress,
  readAddresses,
  writeAddresses,
} from "./address.ts";
import {
  ACCOUNT_ID_BYTES,
  type AccountId,
  asAccountId,
  asContentId,
  asDeviceId,
  asGroupId,
  asOpId,
  CONTENT_ID_BYTES,
  type ContentId,
  DEVICE_ID_BYTES,
  type DeviceId,
  GROUP_ID_BYTES,
  type GroupId,
  OP_ID_BYTES,
  type OpId,
} from "./brand.ts";
import {
  BUNDLE_BYTES_MAX,
  decodeBundle,
  decodeDeviceCert,
  DEVICE_CERT_BYTES,
  type DeviceCert,
  encodeBundle,
  encodeDeviceCert,
  type PrekeyBundle,
} from "./bundle.ts";
import {
  type ByteReader,
  type ByteWriter,
  createWriter,
  decodeWith,
  equalBytes,
  type Decoded,
  refuse,
} from "./bytes.ts";
import {
  decodeDeviceList,
  DEVICE_LIST_BYTES_MAX,
  type DeviceList,
  encodeDeviceList,
  LIST_VERSION_MAX,
} from "./device-list.ts";
import {
  decodeGroupKey,
  decodeGroupPage,
  encodeGroupKey,
  encodeGroupPage,
  GROUP_KEY_BYTES,
  GROUP_PAGE_BYTES_MAX,
  type GroupKey,
  type GroupPage,
  isAscending,
  PARENTS_MAX,
} from "./group.ts";
import { isName, NAME_BYTES_MAX } from "./name.ts";
import { utf8ToBytes } from "./utf8.ts";

/** Longer text is a file. 16 KiB of UTF-8. */
export const TEXT_BYTES_MAX = 16_384;
/** Ids acknowledged by one receipt. */
export const RECEIPT_IDS_MAX = 256;
export const CONTENT_BYTES_MAX = 20_480;
/** Nonce 12 and AEAD tag 16, around something. */
export const SEALED_WAY_BYTES_MIN = 29;
/** Nonce 12 | bundle block | addresses block | AEAD tag 16. */
export const SEALED_WAY_BYTES_MAX = 12 + 2 + BUNDLE_BYTES_MAX + 2 + ADDRESS_LIST_BYTES_MAX + 16;
/** What is carried is at most the largest text: kind 1 | id 16 | time 8 | length 2 | text. A receipt is smaller. */
export const CARRIED_BYTES_MAX = 27 + TEXT_BYTES_MAX;

/**
 * Hybrid logical clock: wall milliseconds, then a counter that keeps causality when wall clocks do not.
 * Messages are ordered by (ms, counter, author's account id, content id) on every device alike.
 */
export interface HybridTime {
  readonly ms: number;
  readonly counter: number;
}

/** Whose history: of the conversation with an account, the own one for the notes, or of a group. */
export type Place =
  | { readonly kind: "account"; readonly account: AccountId }
  | { readonly kind: "group"; readonly group: GroupId };

/** Where a message stands in a history, as the order of §6 compares: ms 6 | counter 2 | author 20 | content id 16. */
export const POSITION_BYTES = 6 + 2 + ACCOUNT_ID_BYTES + CONTENT_ID_BYTES;
/** Messages in one page of history. */
export const PAST_ROWS_MAX = 256;
/** Pages asked for at once. */
export const PAST_PAGES_MAX = 8;

/** A message of a history, as another device of the account has it. */
export interface PastRow {
  /** Under which it is stored. */
  readonly id: ContentId;
  /** Under which it was said, where that is another: somebody else had used it. */
  readonly said: ContentId | undefined;
  readonly time: HybridTime;
  readonly own: boolean;
  /** Undefined for the own account, and outside groups for the one the conversation is with. */
  readonly author: AccountId | undefined;
  /** Milliseconds since 1970. */
  readonly receivedAt: number;
  /** Of an own one; "sent" covers everything between. */
  readonly status: "sent" | "delivered" | "failed";
  readonly text: string;
}

export type Content =
  | {
      readonly kind: "text";
      readonly id: ContentId;
      readonly time: HybridTime;
      readonly text: string;
    }
  /** Says "these contents are durably stored on this device". Never acknowledged itself. */
  | { readonly kind: "receipt"; readonly ids: readonly ContentId[] }
  /** Where to answer, and under what name. Sent first by the invitee and whenever queues rotate. */
  | {
      readonly kind: "introduction";
      readonly id: ContentId;
      readonly time: HybridTime;
      readonly name: string;
      readonly addresses: readonly QueueAddress[];
    }
  | {
      readonly kind: "profile";
      readonly id: ContentId;
      readonly time: HybridTime;
      readonly name: string;
    }
  /** What the other side begins a new session with when nothing opens any more. The latest replaces the one before. */
  | {
      readonly kind: "spare";
      readonly id: ContentId;
      readonly time: HybridTime;
      readonly bundle: PrekeyBundle;
    }
  /** One version of a device list: of the sender's account, or of the receiver's, for a device that has lost it. */
  | {
      readonly kind: "devices";
      readonly id: ContentId;
      readonly time: HybridTime;
      readonly list: DeviceList;
    }
  /** Asks for the lists of the receiver's account after version `since`; 0: for the newest. */
  | {
      readonly kind: "request";
      readonly id: ContentId;
      readonly time: HybridTime;
      readonly since: number;
    }
  /** How to reach the device of `cert`, sealed for `device` of `account`; passed on by others on the way. */
  | {
      readonly kind: "offer";
      readonly id: ContentId;
      readonly time: HybridTime;
      readonly account: AccountId;
      readonly device: DeviceId;
      readonly cert: DeviceCert;
      /** As `sealWay` of crypto makes it; SEALED_WAY_BYTES_MIN to SEALED_WAY_BYTES_MAX bytes. */
      readonly way: Uint8Array;
    }
  /** Between devices of one account: somebody it talks to. */
  | {
      readonly kind: "contact";
      readonly id: ContentId;
      readonly time: HybridTime;
      readonly name: string;
      readonly verified: boolean;
      readonly cert: DeviceCert;
      readonly list: DeviceList | undefined;
    }
  /** Between devices of one account: what was said to `account`, or by whom it was received there. */
  | {
      readonly kind: "carried";
      readonly id: ContentId;
      readonly time: HybridTime;
      readonly account: AccountId;
      readonly content: Extract<Content, { kind: "text" | "receipt" }>;
    }
  /** Operations of a group's membership log. */
  | {
      readonly kind: "page";
      readonly id: ContentId;
      readonly time: HybridTime;
      readonly group: GroupId;
      readonly page: GroupPage;
    }
  /** The sending device's chain in a group: opens its messages from here on. A secret. */
  | {
      readonly kind: "key";
      readonly id: ContentId;
      readonly time: HybridTime;
      readonly group: GroupId;
      readonly key: GroupKey;
    }
  /** What the sender has of a group's log: send what follows. Ascending, at most PARENTS_MAX; none: all of it. */
  | {
      readonly kind: "heads";
      readonly id: ContentId;
      readonly time: HybridTime;
      readonly group: GroupId;
      readonly heads: readonly OpId[];
    }
  /** Somebody in a group whom the sender knows and the receiver may not: a device of the account, and its list. */
  | {
      readonly kind: "member";
      readonly id: ContentId;
      readonly time: HybridTime;
      readonly group: GroupId;
      readonly name: string;
      readonly cert: DeviceCert;
      readonly list: DeviceList | undefined;
    }
  /** Between devices of one account: asks for what stands before a position, the newest first. */
  | {
      readonly kind: "ask-past";
      readonly id: ContentId;
      readonly time: HybridTime;
      readonly place: Place;
      /** POSITION_BYTES; undefined: from the newest on. */
      readonly before: Uint8Array | undefined;
      /** Nothing older, milliseconds since 1970. */
      readonly since: number;
      /** 1 to PAST_PAGES_MAX. */
      readonly pages: number;
    }
  /** Answers that with one page of it. */
  | {
      readonly kind: "past";
      readonly id: ContentId;
      readonly time: HybridTime;
      readonly place: Place;
      /** Where this page ends: what was asked for, or where the page before it begins. */
      readonly before: Uint8Array | undefined;
      /** Pages of the same answer that follow; less than PAST_PAGES_MAX. */
      readonly left: number;
      /** There is more history before this page. */
      readonly more: boolean;
      /** Ascending; at most PAST_ROWS_MAX. */
      readonly rows: readonly PastRow[];
    };

export type ContentKind = Content["kind"];
type ContentOf<Kind extends ContentKind> = Extract<Content, { kind: Kind }>;
type Carried = ContentOf<"carried">["content"];

const Kind = {
  text: 1,
  receipt: 2,
  introduction: 3,
  profile: 4,
  devices: 5,
  request: 6,
  spare: 7,
  offer: 8,
  contact: 9,
  carried: 10,
  page: 11,
  key: 12,
  heads: 13,
  member: 14,
  "ask-past": 15,
  past: 16,
} as const;

const PlaceKind = { account: 0, group: 1 } as const;
const PastFlag = { own: 1, delivered: 2, failed: 4, author: 8, said: 16 } as const;

export function encodeContent(content: Content): Uint8Array<ArrayBuffer> {
  const writer = createWriter().u8(Kind[content.kind]);
  if (content.kind === "receipt") {
    writer.u16(content.ids.length);
    for (const id of content.ids) writer.raw(id);
    return writer.done();
  }
  writer.raw(content.id).u48(content.time.ms).u16(content.time.counter);
  switch (content.kind) {
    case "text":
      return writer.text(content.text).done();
    case "profile":
      return writer.text(content.name).done();
    case "spare":
      return writer.block(encodeBundle(content.bundle)).done();
    case "devices":
      return writer.block(encodeDeviceList(content.list)).done();
    case "request":
      return writer.u16(content.since).done();
    case "offer":
      writer.raw(content.account).raw(content.device);
      return writer.raw(encodeDeviceCert(content.cert)).block(content.way).done();
    case "contact":
      writer.text(content.name).u8(content.verified ? 1 : 0);
      writer.raw(encodeDeviceCert(content.cert));
      return writer.block(encodeOptionalList(content.list)).done();
    case "carried":
      return writer.raw(content.account).block(encodeContent(content.content)).done();
    case "page":
      return writer.raw(content.group).block(encodeGroupPage(content.page)).done();
    case "key":
      return writer.raw(content.group).block(encodeGroupKey(content.key)).done();
    case "heads":
      writer.raw(content.group).u8(content.heads.length);
      for (const head of content.heads) writer.raw(head);
      return writer.done();
    case "member":
      writer.raw(content.group).text(content.name).raw(encodeDeviceCert(content.cert));
      return writer.block(encodeOptionalList(content.list)).done();
    case "ask-past":
      writePosition(writePlace(writer, content.place), content.before);
      return writer.u48(content.since).u8(content.pages).done();
    case "past":
      writePosition(writePlace(writer, content.place), content.before);
      writer
        .u8(content.left)
        .u8(content.more ? 1 : 0)
        .u16(content.rows.length);
      for (const row of content.rows) writePastRow(writer, row);
      return writer.done();
    case "introduction":
      return writeAddresses(writer.text(content.name), content.addresses).done();
  }
}

const writePlace = (writer: ByteWriter, place: Place): ByteWriter =>
  writer.u8(PlaceKind[place.kind]).raw(place.kind === "account" ? place.account : place.group);

/** An empty block for none. */
const writePosition = (writer: ByteWriter, position: Uint8Array | undefined): ByteWriter =>
  writer.block(position ?? new Uint8Array(0));

function writePastRow(writer: ByteWriter, row: PastRow): void {
  const flags =
    (row.own ? PastFlag.own : 0) |
    (row.status === "sent" ? 0 : PastFlag[row.status]) |
    (row.author === undefined ? 0 : PastFlag.author) |
    (row.said === undefined ? 0 : PastFlag.said);
  writer.u8(flags).raw(row.id).u48(row.time.ms).u16(row.time.counter).u48(row.receivedAt);
  if (row.author !== undefined) writer.raw(row.author);
  if (row.said !== undefined) writer.raw(row.said);
  writer.text(row.text);
}

/** Bytes that a message of `text` takes in a page at most. */
export const pastRowBytes = (text: string): number =>
  1 + CONTENT_ID_BYTES + 8 + 6 + ACCOUNT_ID_BYTES + CONTENT_ID_BYTES + 2 + utf8ToBytes(text).length;

export const decodeContent = (bytes: Uint8Array): Decoded<Content> =>
  decodeWith(bytes, CONTENT_BYTES_MAX, (reader): Content => {
    const kind = reader.u8();
    if (kind === Kind.receipt) return readReceipt(reader);
    if (kind === Kind.text) return readText(reader);
    const id = readId(reader);
    const time = readTime(reader);
    switch (kind) {
      case Kind.profile:
        return { kind: "profile", id, time, name: readName(reader) };
      case Kind.spare:
        return { kind: "spare", id, time, bundle: readBundle(reader) };
      case Kind.devices:
        return { kind: "devices", id, time, list: readList(reader.block(DEVICE_LIST_BYTES_MAX)) };
      case Kind.request: {
        const since = reader.u16();
        return since <= LIST_VERSION_MAX
          ? { kind: "request", id, time, since }
          : refuse("malformed");
      }
      case Kind.offer: {
        const account = readAccount(reader);
        const device = asDeviceId(reader.take(DEVICE_ID_BYTES));
        const cert = readCert(reader);
        const way = reader.block(SEALED_WAY_BYTES_MAX);
        if (way.length < SEALED_WAY_BYTES_MIN) refuse("malformed");
        return { kind: "offer", id, time, account, device, cert, way };
      }
      case Kind.contact:
        return { kind: "contact", id, time, ...readContact(reader) };
      case Kind.carried: {
        const account = readAccount(reader);
        return { kind: "carried", id, time, account, content: readCarried(reader) };
      }
      case Kind.page: {
        const group = readGroup(reader);
        const page = valueOf(decodeGroupPage(reader.block(GROUP_PAGE_BYTES_MAX)));
        return { kind: "page", id, time, group, page };
      }
      case Kind.key: {
        const group = readGroup(reader);
        const key = valueOf(decodeGroupKey(reader.block(GROUP_KEY_BYTES)));
        return { kind: "key", id, time, group, key };
      }
      case Kind.heads:
        return { kind: "heads", id, time, group: readGroup(reader), heads: readHeads(reader) };
      case Kind.member: {
        const group = readGroup(reader);
        const name = readName(reader);
        const cert = readCert(reader);
        return { kind: "member", id, time, group, name, cert, list: readOptionalList(reader) };
      }
      case Kind["ask-past"]: {
        const place = readPlace(reader);
        const before = readPosition(reader);
        const since = reader.u48();
        const pages = reader.u8();
        if (pages === 0 || pages > PAST_PAGES_MAX) refuse("malformed");
        return { kind: "ask-past", id, time, place, before, since, pages };
      }
      case Kind.past:
        return { kind: "past", id, time, ...readPast(reader) };
      case Kind.introduction: {
        const name = readName(reader);
        return { kind: "introduction", id, time, name, addresses: readAddresses(reader) };
      }
      default:
        return refuse("unknown-type");
    }
  });

/** True for content of that kind, encoded, whatever else is right about it. */
export const isEncodedAs = (content: Uint8Array, kind: ContentKind): boolean =>
  content[0] === Kind[kind];

/** True for an encoded text, whatever else is right about it. */
export const isEncodedText = (content: Uint8Array): boolean => content[0] === Kind.text;

const readAccount = (reader: ByteReader): AccountId => asAccountId(reader.take(ACCOUNT_ID_BYTES));

const valueOf = <T>(decoded: Decoded<T>): T =>
  decoded.ok ? decoded.value : refuse(decoded.reason);

const readBundle = (reader: ByteReader): PrekeyBundle =>
  valueOf(decodeBundle(reader.block(BUNDLE_BYTES_MAX)));

const readCert = (reader: ByteReader): DeviceCert =>
  valueOf(decodeDeviceCert(reader.take(DEVICE_CERT_BYTES)));

const readList = (bytes: Uint8Array): DeviceList => valueOf(decodeDeviceList(bytes));

function readContact(
  reader: ByteReader,
): Pick<ContentOf<"contact">, "name" | "verified" | "cert" | "list"> {
  const name = readName(reader);
  const verified = reader.u8();
  if (verified > 1) refuse("malformed");
  const cert = readCert(reader);
  return { name, verified: verified === 1, cert, list: readOptionalList(reader) };
}

/** An empty block when none is known. */
const encodeOptionalList = (list: DeviceList | undefined): Uint8Array =>
  list === undefined ? new Uint8Array(0) : encodeDeviceList(list);

function readOptionalList(reader: ByteReader): DeviceList | undefined {
  const list = reader.block(DEVICE_LIST_BYTES_MAX);
  return list.length === 0 ? undefined : readList(list);
}

const readGroup = (reader: ByteReader): GroupId => asGroupId(reader.take(GROUP_ID_BYTES));

function readHeads(reader: ByteReader): readonly OpId[] {
  const count = reader.u8();
  if (count > PARENTS_MAX) refuse("too-large");
  const heads = Array.from({ length: count }, () => asOpId(reader.take(OP_ID_BYTES)));
  return isAscending(heads) ? heads : refuse("malformed");
}

/** Reads the two kinds itself instead of any content: what is carried carries nothing, so nothing nests. */
const readCarried = (reader: ByteReader): Carried =>
  valueOf(
    decodeWith(reader.block(CARRIED_BYTES_MAX), CARRIED_BYTES_MAX, (inner): Carried => {
      switch (inner.u8()) {
        case Kind.text:
          return readText(inner);
        case Kind.receipt:
          return readReceipt(inner);
        default:
          return refuse("malformed");
      }
    }),
  );

function readReceipt(reader: ByteReader): ContentOf<"receipt"> {
  const count = reader.u16();
  if (count === 0 || count > RECEIPT_IDS_MAX) refuse("malformed");
  return { kind: "receipt", ids: Array.from({ length: count }, () => readId(reader)) };
}

const readText = (reader: ByteReader): ContentOf<"text"> => ({
  kind: "text",
  id: readId(reader),
  time: readTime(reader),
  text: reader.text(TEXT_BYTES_MAX),
});

function readPlace(reader: ByteReader): Place {
  switch (reader.u8()) {
    case PlaceKind.account:
      return { kind: "account", account: readAccount(reader) };
    case PlaceKind.group:
      return { kind: "group", group: readGroup(reader) };
    default:
      return refuse("malformed");
  }
}

function readPosition(reader: ByteReader): Uint8Array | undefined {
  const position = reader.block(POSITION_BYTES);
  if (position.length === 0) return undefined;
  return position.length === POSITION_BYTES ? position : refuse("malformed");
}

function readPast(
  reader: ByteReader,
): Pick<ContentOf<"past">, "place" | "before" | "left" | "more" | "rows"> {
  const place = readPlace(reader);
  const before = readPosition(reader);
  const left = reader.u8();
  const more = reader.u8();
  const count = reader.u16();
  if (left >= PAST_PAGES_MAX || more > 1 || (left > 0 && more === 0)) refuse("malformed");
  if (count > PAST_ROWS_MAX) refuse("too-large");
  const rows = Array.from({ length: count }, () => readPastRow(reader));
  return { place, before, left, more: more === 1, rows };
}

function readPastRow(reader: ByteReader): PastRow {
  const flags = reader.u8();
  const has = (flag: number): boolean => (flags & flag) !== 0;
  const isKnown = flags < 2 * PastFlag.said;
  const [own, delivered, failed] = [
    has(PastFlag.own),
    has(PastFlag.delivered),
    has(PastFlag.failed),
  ];
  if (!isKnown || (delivered && failed) || ((delivered || failed) && !own)) refuse("malformed");
  const id = readId(reader);
  const time = readTime(reader);
  const receivedAt = reader.u48();
  const author = has(PastFlag.author) ? readAccount(reader) : undefined;
  const said = has(PastFlag.said) ? readId(reader) : undefined;
  if (said !== undefined && equalBytes(said, id)) refuse("malformed");
  const text = reader.text(TEXT_BYTES_MAX);
  const status = delivered ? "delivered" : failed ? "failed" : "sent";
  return { id, said, time, own, author, receivedAt, status, text };
}

const readId = (reader: ByteReader): ContentId => asContentId(reader.take(CONTENT_ID_BYTES));

const readTime = (reader: ByteReader): HybridTime => ({ ms: reader.u48(), counter: reader.u16() });

function readName(reader: ByteReader): string {
  const name = reader.text(NAME_BYTES_MAX);
  return isName(name) ? name : refuse("malformed");
}
