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
import { type ByteReader, createWriter, decodeWith, type Decoded, refuse } from "./bytes.ts";
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

/** Longer text is a file. 16 KiB of UTF-8. */
export const TEXT_BYTES_MAX = 16_384;
/** Display names: 64 characters at most, so at most 256 bytes of UTF-8. */
export const NAME_CHARACTERS_MAX = 64;
export const NAME_BYTES_MAX = 256;
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
} as const;

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
    case "introduction":
      return writeAddresses(writer.text(content.name), content.addresses).done();
  }
}

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
      case Kind.introduction: {
        const name = readName(reader);
        return { kind: "introduction", id, time, name, addresses: readAddresses(reader) };
      }
      default:
        return refuse("unknown-type");
    }
  });

/**
 * A name someone may call themselves: something to see, within the limit, on one line. Line breaks, control
 * characters and those that turn the direction of writing are refused: they would change the text around the name.
 * Letters and signs without a shape of their own (the Hangul fillers, the empty Braille cell) are nothing to see.
 */
export const isName = (name: string): boolean =>
  name.isWellFormed() &&
  /[[\p{L}\p{N}\p{P}\p{S}]--[\p{Default_Ignorable_Code_Point}\u2800]]/v.test(name) &&
  Array.from(name).length <= NAME_CHARACTERS_MAX &&
  // eslint-disable-next-line no-control-regex -- control characters are what is being refused
  !/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/u.test(name);

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

const readId = (reader: ByteReader): ContentId => asContentId(reader.take(CONTENT_ID_BYTES));

const readTime = (reader: ByteReader): HybridTime => ({ ms: reader.u48(), counter: reader.u16() });

function readName(reader: ByteReader): string {
  const name = reader.text(NAME_BYTES_MAX);
  return isName(name) ? name : refuse("malformed");
}
