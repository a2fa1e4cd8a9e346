/**
 * What is inside a sealed envelope. Every content but a receipt carries an id and is sent until a receipt names it.
 * Spec: SPEC.md §6.
 */
import { ADDRESSES_MAX, type QueueAddress, readAddress, writeAddress } from "./address.ts";
import { asContentId, CONTENT_ID_BYTES, type ContentId } from "./brand.ts";
import { BUNDLE_BYTES_MAX, decodeBundle, encodeBundle, type PrekeyBundle } from "./bundle.ts";
import { type ByteReader, createWriter, decodeWith, type Decoded, refuse } from "./bytes.ts";

/** Longer text is a file. 16 KiB of UTF-8. */
export const TEXT_BYTES_MAX = 16_384;
/** Display names: 64 characters at most, so at most 256 bytes of UTF-8. */
export const NAME_CHARACTERS_MAX = 64;
export const NAME_BYTES_MAX = 256;
/** Ids acknowledged by one receipt. */
export const RECEIPT_IDS_MAX = 256;
export const CONTENT_BYTES_MAX = 20_480;

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
    };

export type ContentKind = Content["kind"];

const Kind = { text: 1, receipt: 2, introduction: 3, profile: 4, spare: 7 } as const;

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
    case "introduction":
      writer.text(content.name).u8(content.addresses.length);
      for (const address of content.addresses) writeAddress(writer, address);
      return writer.done();
  }
}

export const decodeContent = (bytes: Uint8Array): Decoded<Content> =>
  decodeWith(bytes, CONTENT_BYTES_MAX, (reader): Content => {
    const kind = reader.u8();
    if (kind === Kind.receipt) {
      const count = reader.u16();
      if (count === 0 || count > RECEIPT_IDS_MAX) refuse("malformed");
      return { kind: "receipt", ids: Array.from({ length: count }, () => readId(reader)) };
    }
    const id = readId(reader);
    const time = { ms: reader.u48(), counter: reader.u16() };
    switch (kind) {
      case Kind.text:
        return { kind: "text", id, time, text: reader.text(TEXT_BYTES_MAX) };
      case Kind.profile:
        return { kind: "profile", id, time, name: readName(reader) };
      case Kind.spare: {
        const bundle = decodeBundle(reader.block(BUNDLE_BYTES_MAX));
        return bundle.ok
          ? { kind: "spare", id, time, bundle: bundle.value }
          : refuse(bundle.reason);
      }
      case Kind.introduction: {
        const name = readName(reader);
        const count = reader.u8();
        if (count === 0 || count > ADDRESSES_MAX) refuse("malformed");
        const addresses = Array.from({ length: count }, () => readAddress(reader));
        return { kind: "introduction", id, time, name, addresses };
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

const readId = (reader: ByteReader): ContentId => asContentId(reader.take(CONTENT_ID_BYTES));

function readName(reader: ByteReader): string {
  const name = reader.text(NAME_BYTES_MAX);
  return isName(name) ? name : refuse("malformed");
}
