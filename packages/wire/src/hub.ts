/**
 * The hub protocol: frames between a client and a relay on one binary WebSocket.
 * Owns: layouts, limits of every field, what signatures and authenticators cover.
 * Leaves to relay and transport: states, credit, when a frame is allowed.
 * Spec: SPEC.md §9.
 */
import {
  asEnvelopeId,
  asLinkId,
  asQueueId,
  asSendId,
  ENVELOPE_ID_BYTES,
  type EnvelopeId,
  LINK_ID_BYTES,
  type LinkId,
  QUEUE_ID_BYTES,
  type QueueId,
  SEND_ID_BYTES,
  type SendId,
} from "./brand.ts";
import { type ByteReader, createWriter, decodeWith, type Decoded, refuse } from "./bytes.ts";
import { FIRST_USE_BYTES } from "./address.ts";
import {
  type IceServers,
  isIceServers,
  TURN_NAME_BYTES_MAX,
  TURN_TTL_SECONDS_MAX,
  TURN_URL_BYTES_MAX,
  TURN_URLS_MAX,
} from "./ice.ts";
import { INVITE_BLOB_BYTES_MAX } from "./invite.ts";
import { ENVELOPE_BYTES_MAX, isBucket } from "./padding.ts";
import { utf8ToBytes } from "./utf8.ts";

export const HUB_VERSION = 1;
export const HUB_PATH = "/hub";
/** type 1 | request 4. */
export const FRAME_HEADER_BYTES = 5;
/** A DELIVER of the largest envelope: header, alias 4, sequence 8, id 16, blob. */
export const FRAME_BYTES_MAX = FRAME_HEADER_BYTES + 28 + ENVELOPE_BYTES_MAX;
export const SIGNAL_BLOB_BYTES_MAX = 16_384;
/** Queues named by one QUEUE_OPEN; a client with more sends several. */
export const QUEUE_OPEN_MAX = 256;
export const ACK_SEQUENCES_MAX = 256;
export const ADMISSION_BYTES_MAX = 128;
/** Characters of a Web Push endpoint; those of the known push services have 150 to 600. */
export const PUSH_ENDPOINT_BYTES_MAX = 1_024;
/** An uncompressed point of P-256, as PushManager.subscribe takes it (RFC 8292 §3.2). */
export const PUSH_KEY_BYTES = 65;
export const ALIAS_NONE = 0;
/** Big-endian counter of a proof of work. */
export const WORK_PROOF_BYTES = 8;
/** Leading zero bits that a relay may ask of a proof of work: 2^24 hashes are seconds, more is a mistake. */
export const WORK_BITS_MAX = 24;

/** What a relay asks of whoever wants queues there. */
export const DOORS = ["open", "invite", "oidc"] as const;
export type Door = (typeof DOORS)[number];

/** Closed set. Missing and forbidden are both "gone". */
export const ERROR_CODES = [
  "malformed",
  "too-large",
  "unauthorised",
  "gone",
  "quota",
  "later",
  "away",
  "limit",
  "full",
  "draining",
] as const;
export type ErrorCode = (typeof ERROR_CODES)[number];

export type HubFrame =
  /** Relay's first frame. `signature`: relay key over `helloTranscript`. */
  | {
      readonly type: "hello";
      readonly relayKey: Uint8Array;
      /** X25519, at most a minute old: the relay's half of every SEND_OPEN authenticator. */
      readonly ephemeralKey: Uint8Array;
      readonly nonce: Uint8Array;
      /** Hours since 1970, so that a client notices a clock far off. */
      readonly hour: number;
      readonly ttlHoursMax: number;
      /** Messages a queue holds before QUOTA. */
      readonly queueMessagesMax: number;
      readonly door: Door;
      readonly signature: Uint8Array;
    }
  /** Client's first frame. `signature`: reader key over `authTranscript`. */
  | {
      readonly type: "auth";
      readonly readerKey: Uint8Array;
      readonly signature: Uint8Array;
      /** `encodeAdmission`, or empty: the relay is open, knows this reader, or is only written through. */
      readonly admission: Uint8Array;
    }
  /** `creditMessages`: deliveries the relay sends before it waits for an ACK. `admitted`: may make queues. */
  | {
      readonly type: "welcome";
      readonly creditMessages: number;
      readonly circuit: boolean;
      readonly admitted: boolean;
      /** PUSH_KEY_BYTES: the relay's VAPID key. Empty: it wakes nobody. */
      readonly pushKey: Uint8Array;
    }
  | { readonly type: "bye"; readonly code: ErrorCode; readonly retryAfterMs: number }
  /** `firstUseHash`: SHA-256 of the first-use secret; the first sender that shows it becomes the only one. */
  | {
      readonly type: "queue-new";
      readonly queueId: QueueId;
      readonly ttlHours: number;
      readonly firstUseHash: Uint8Array;
      /** WORK_PROOF_BYTES after WORK; empty otherwise. */
      readonly proof: Uint8Array;
    }
  /** Answers QUEUE_NEW: only with a proof of so much work, over `workTranscript`. */
  | { readonly type: "work"; readonly bits: number }
  | { readonly type: "queue"; readonly alias: number; readonly sendId: SendId }
  | { readonly type: "queue-open"; readonly queueIds: readonly QueueId[] }
  /** In the order asked; ALIAS_NONE for a queue that does not exist or is another's. Deliveries follow. */
  | {
      readonly type: "queues";
      readonly queues: readonly { readonly alias: number; readonly backlog: number }[];
    }
  | { readonly type: "queue-close"; readonly alias: number }
  | {
      readonly type: "send-open";
      readonly sendId: SendId;
      readonly sendKey: Uint8Array;
      /** 32 bytes: HMAC under DH(send key, relay ephemeral) over `sendTranscript`. */
      readonly authenticator: Uint8Array;
      /** 16 bytes; zeros once the queue knows this send key. */
      readonly firstUse: Uint8Array;
    }
  | { readonly type: "sender"; readonly alias: number }
  | {
      readonly type: "append";
      readonly alias: number;
      readonly id: EnvelopeId;
      readonly blob: Uint8Array;
    }
  | { readonly type: "signal"; readonly alias: number; readonly blob: Uint8Array }
  | {
      readonly type: "deliver";
      readonly alias: number;
      readonly sequence: bigint;
      readonly id: EnvelopeId;
      readonly blob: Uint8Array;
    }
  | { readonly type: "signalled"; readonly alias: number; readonly blob: Uint8Array }
  /** Everything stored when the queue was opened has been delivered. */
  | { readonly type: "drained"; readonly alias: number }
  | { readonly type: "ack"; readonly alias: number; readonly sequences: readonly bigint[] }
  /** Publishes an invite's sealed blob; gone at expiry or when the queue gets its sender. */
  | {
      readonly type: "bundle-put";
      readonly alias: number;
      readonly linkId: LinkId;
      readonly blob: Uint8Array;
    }
  | { readonly type: "bundle-get"; readonly linkId: LinkId }
  | { readonly type: "bundle"; readonly blob: Uint8Array }
  /** Asks where to learn the own address and to be relayed; `gone` when the relay names no such server. */
  | { readonly type: "turn" }
  | ({ readonly type: "turn-credential" } & IceServers)
  /** Where to wake this reader when mail comes and it is away; empty: nowhere any more. */
  | { readonly type: "push-set"; readonly endpoint: string }
  | { readonly type: "ping" }
  | { readonly type: "pong" }
  | { readonly type: "ok" }
  | { readonly type: "error"; readonly code: ErrorCode; readonly retryAfterMs: number };

export type HubFrameType = HubFrame["type"];

const Type: Readonly<Record<HubFrameType, number>> = {
  hello: 0x01,
  auth: 0x02,
  welcome: 0x03,
  bye: 0x04,
  "queue-new": 0x05,
  queue: 0x06,
  "queue-open": 0x07,
  queues: 0x08,
  "queue-close": 0x09,
  "send-open": 0x0a,
  sender: 0x0b,
  append: 0x0c,
  signal: 0x0d,
  deliver: 0x0e,
  signalled: 0x0f,
  drained: 0x10,
  ack: 0x11,
  "bundle-put": 0x12,
  "bundle-get": 0x13,
  bundle: 0x14,
  ping: 0x15,
  pong: 0x16,
  turn: 0x17,
  "push-set": 0x18,
  ok: 0x19,
  error: 0x1a,
  "turn-credential": 0x1b,
  work: 0x1c,
};

const typeByCode = new Map(Object.entries(Type).map(([name, code]) => [code, name]));

/** A frame and the request it asks or answers; 0 when nobody waits for an answer. */
export interface Framed {
  readonly request: number;
  readonly frame: HubFrame;
}

export function encodeFrame(request: number, frame: HubFrame): Uint8Array<ArrayBuffer> {
  const writer = createWriter(sizeOf(frame)).u8(Type[frame.type]).u32(request);
  switch (frame.type) {
    case "hello":
      return writer.raw(helloTranscript(frame)).raw(frame.signature).done();
    case "auth":
      return writer
        .u8(HUB_VERSION)
        .raw(frame.readerKey)
        .raw(frame.signature)
        .block(frame.admission)
        .done();
    case "welcome":
      return writer
        .u16(frame.creditMessages)
        .u8((frame.circuit ? 1 : 0) | (frame.admitted ? 2 : 0))
        .raw(frame.pushKey)
        .done();
    case "push-set":
      return writer.raw(utf8ToBytes(frame.endpoint)).done();
    case "bye":
    case "error":
      return writer.u8(ERROR_CODES.indexOf(frame.code)).u32(frame.retryAfterMs).done();
    case "queue-new":
      return writer
        .raw(frame.queueId)
        .u16(frame.ttlHours)
        .raw(frame.firstUseHash)
        .block(frame.proof)
        .done();
    case "work":
      return writer.u8(frame.bits).done();
    case "queue":
      return writer.u32(frame.alias).raw(frame.sendId).done();
    case "queue-open":
      writer.u16(frame.queueIds.length);
      for (const id of frame.queueIds) writer.raw(id);
      return writer.done();
    case "queues":
      writer.u16(frame.queues.length);
      for (const queue of frame.queues) writer.u32(queue.alias).u32(queue.backlog);
      return writer.done();
    case "queue-close":
    case "sender":
    case "drained":
      return writer.u32(frame.alias).done();
    case "send-open":
      return writer
        .raw(frame.sendId)
        .raw(frame.sendKey)
        .raw(frame.authenticator)
        .raw(frame.firstUse)
        .done();
    case "append":
      return writer.u32(frame.alias).raw(frame.id).raw(frame.blob).done();
    case "signal":
    case "signalled":
      return writer.u32(frame.alias).raw(frame.blob).done();
    case "deliver":
      return writer.u32(frame.alias).u64(frame.sequence).raw(frame.id).raw(frame.blob).done();
    case "ack":
      writer.u32(frame.alias).u16(frame.sequences.length);
      for (const sequence of frame.sequences) writer.u64(sequence);
      return writer.done();
    case "bundle-put":
      return writer.u32(frame.alias).raw(frame.linkId).raw(frame.blob).done();
    case "bundle-get":
      return writer.raw(frame.linkId).done();
    case "bundle":
      return writer.raw(frame.blob).done();
    case "turn-credential":
      writer.u32(frame.ttlSeconds).u16(frame.urls.length);
      for (const url of frame.urls) writer.text(url);
      return writer.text(frame.username).text(frame.credential).done();
    case "turn":
    case "ping":
    case "pong":
    case "ok":
      return writer.done();
  }
}

/** Of the frames that there are most of, so that they are written without a copy; undefined: of no matter. */
function sizeOf(frame: HubFrame): number | undefined {
  switch (frame.type) {
    case "ok":
      return FRAME_HEADER_BYTES;
    case "append":
      return FRAME_HEADER_BYTES + 4 + ENVELOPE_ID_BYTES + frame.blob.length;
    case "deliver":
      return FRAME_HEADER_BYTES + 12 + ENVELOPE_ID_BYTES + frame.blob.length;
    default:
      return undefined;
  }
}

export const decodeFrame = (bytes: Uint8Array): Decoded<Framed> =>
  decodeWith(bytes, FRAME_BYTES_MAX, (reader) => {
    const type = typeByCode.get(reader.u8());
    const request = reader.u32();
    return { request, frame: readBody(reader, type) };
  });

function readBody(reader: ByteReader, type: string | undefined): HubFrame {
  switch (type) {
    case "hello": {
      if (reader.u8() !== HUB_VERSION) refuse("unknown-type");
      return {
        type,
        relayKey: reader.take(32),
        ephemeralKey: reader.take(32),
        nonce: reader.take(32),
        hour: reader.u32(),
        ttlHoursMax: reader.u16(),
        queueMessagesMax: reader.u32(),
        door: DOORS[reader.u8()] ?? refuse("unknown-type"),
        signature: reader.take(64),
      };
    }
    case "auth": {
      if (reader.u8() !== HUB_VERSION) refuse("unknown-type");
      return {
        type,
        readerKey: reader.take(32),
        signature: reader.take(64),
        admission: reader.block(ADMISSION_BYTES_MAX),
      };
    }
    case "welcome": {
      const creditMessages = reader.u16();
      const flags = reader.u8();
      if (flags > 3) refuse("malformed");
      return {
        type,
        creditMessages,
        circuit: (flags & 1) !== 0,
        admitted: (flags & 2) !== 0,
        pushKey: readPushKey(reader),
      };
    }
    case "push-set":
      return { type, endpoint: readEndpoint(reader) };
    case "bye":
    case "error": {
      const code = ERROR_CODES[reader.u8()] ?? refuse("unknown-type");
      return { type, code, retryAfterMs: reader.u32() };
    }
    case "queue-new":
      return {
        type,
        queueId: readQueueId(reader),
        ttlHours: reader.u16(),
        firstUseHash: reader.take(32),
        proof: readWorkProof(reader),
      };
    case "work": {
      const bits = reader.u8();
      return bits === 0 || bits > WORK_BITS_MAX ? refuse("malformed") : { type, bits };
    }
    case "queue":
      return { type, alias: readAlias(reader), sendId: asSendId(reader.take(SEND_ID_BYTES)) };
    case "queue-open":
      return { type, queueIds: readList(reader, QUEUE_OPEN_MAX, () => readQueueId(reader)) };
    case "queues":
      return {
        type,
        queues: readList(reader, QUEUE_OPEN_MAX, () => ({
          alias: reader.u32(),
          backlog: reader.u32(),
        })),
      };
    case "queue-close":
    case "sender":
    case "drained":
      return { type, alias: readAlias(reader) };
    case "send-open":
      return {
        type,
        sendId: asSendId(reader.take(SEND_ID_BYTES)),
        sendKey: reader.take(32),
        authenticator: reader.take(32),
        firstUse: reader.take(FIRST_USE_BYTES),
      };
    case "append":
      return {
        type,
        alias: readAlias(reader),
        id: asEnvelopeId(reader.take(ENVELOPE_ID_BYTES)),
        blob: readBucket(reader),
      };
    case "signal":
    case "signalled": {
      const alias = readAlias(reader);
      const blob = readBucket(reader);
      return blob.length <= SIGNAL_BLOB_BYTES_MAX ? { type, alias, blob } : refuse("too-large");
    }
    case "deliver":
      return {
        type,
        alias: readAlias(reader),
        sequence: reader.u64(),
        id: asEnvelopeId(reader.take(ENVELOPE_ID_BYTES)),
        blob: readBucket(reader),
      };
    case "ack": {
      const alias = readAlias(reader);
      return { type, alias, sequences: readList(reader, ACK_SEQUENCES_MAX, () => reader.u64()) };
    }
    case "bundle-put":
      return {
        type,
        alias: readAlias(reader),
        linkId: asLinkId(reader.take(LINK_ID_BYTES)),
        blob: readInviteBlob(reader),
      };
    case "bundle-get":
      return { type, linkId: asLinkId(reader.take(LINK_ID_BYTES)) };
    case "bundle":
      return { type, blob: readInviteBlob(reader) };
    case "turn-credential":
      return { type, ...readIceServers(reader) };
    case "turn":
    case "ping":
    case "pong":
    case "ok":
      return { type };
    default:
      return refuse("unknown-type");
  }
}

/** version 1 | relay key 32 | ephemeral 32 | nonce 32 | hour 4 | TTL hours 2 | queue limit 4 | door 1. Signed behind label "sotto/1 hub hello" 0x00. */
export const helloTranscript = (
  hello: Omit<Extract<HubFrame, { type: "hello" }>, "signature" | "type">,
): Uint8Array<ArrayBuffer> =>
  createWriter()
    .u8(HUB_VERSION)
    .raw(hello.relayKey)
    .raw(hello.ephemeralKey)
    .raw(hello.nonce)
    .u32(hello.hour)
    .u16(hello.ttlHoursMax)
    .u32(hello.queueMessagesMax)
    .u8(DOORS.indexOf(hello.door))
    .done();

/** nonce 32 | relay key 32 | reader key 32. Signed behind label "sotto/1 hub auth" 0x00. */
export const authTranscript = (
  nonce: Uint8Array,
  relayKey: Uint8Array,
  readerKey: Uint8Array,
): Uint8Array<ArrayBuffer> => createWriter().raw(nonce).raw(relayKey).raw(readerKey).done();

/** nonce 32 | relay key 32 | sendId 24 | send key 32. */
export const sendTranscript = (
  nonce: Uint8Array,
  relayKey: Uint8Array,
  sendId: SendId,
  sendKey: Uint8Array,
): Uint8Array<ArrayBuffer> =>
  createWriter().raw(nonce).raw(relayKey).raw(sendId).raw(sendKey).done();

/** nonce 32 | relay key 32 | queueId 24: what a counter is hashed behind (crypto/SPEC.md §9.6). */
export const workTranscript = (
  nonce: Uint8Array,
  relayKey: Uint8Array,
  queueId: QueueId,
): Uint8Array<ArrayBuffer> => createWriter().raw(nonce).raw(relayKey).raw(queueId).done();

/** A token shown for one connection: the relay computes the same from the nonce, and keeps that to see it twice. */
export interface AdmissionProof {
  /** Of the issuer's key that the token was made with. */
  readonly epoch: number;
  /** 32 bytes, chosen by the client and unseen by the issuer. */
  readonly tokenNonce: Uint8Array;
  /** 32 bytes (crypto/SPEC.md §9.5). */
  readonly authenticator: Uint8Array;
}

/** type 1 (`01`) | epoch 4 | token nonce 32 | authenticator 32. */
export const encodeAdmission = (proof: AdmissionProof): Uint8Array<ArrayBuffer> =>
  createWriter()
    .u8(ADMISSION_TOKEN)
    .u32(proof.epoch)
    .raw(proof.tokenNonce)
    .raw(proof.authenticator)
    .done();

export const decodeAdmission = (bytes: Uint8Array): Decoded<AdmissionProof> =>
  decodeWith(bytes, ADMISSION_BYTES_MAX, (reader) => {
    if (reader.u8() !== ADMISSION_TOKEN) refuse("unknown-type");
    return {
      epoch: reader.u32(),
      tokenNonce: reader.take(32),
      authenticator: reader.take(32),
    };
  });

const ADMISSION_TOKEN = 0x01;

function readWorkProof(reader: ByteReader): Uint8Array<ArrayBuffer> {
  const proof = reader.block(WORK_PROOF_BYTES);
  return proof.length === 0 || proof.length === WORK_PROOF_BYTES ? proof : refuse("malformed");
}

const readQueueId = (reader: ByteReader): QueueId => asQueueId(reader.take(QUEUE_ID_BYTES));

function readAlias(reader: ByteReader): number {
  const alias = reader.u32();
  return alias === ALIAS_NONE ? refuse("malformed") : alias;
}

function readPushKey(reader: ByteReader): Uint8Array<ArrayBuffer> {
  const key = reader.rest();
  if (key.length === 0) return key;
  return key.length === PUSH_KEY_BYTES && key[0] === 0x04 ? key : refuse("malformed");
}

/** An address on one line and in ASCII: what the relay reads is what the browser gave. */
function readEndpoint(reader: ByteReader): string {
  const bytes = reader.rest();
  if (bytes.length > PUSH_ENDPOINT_BYTES_MAX) refuse("too-large");
  const endpoint = String.fromCharCode(...bytes);
  return endpoint === "" || isPushEndpoint(endpoint) ? endpoint : refuse("malformed");
}

/** Whether PUSH_SET can carry it. */
export const isPushEndpoint = (text: string): boolean =>
  text.length <= PUSH_ENDPOINT_BYTES_MAX && /^https:\/\/[\x21-\x7e]+$/.test(text);

function readBucket(reader: ByteReader): Uint8Array<ArrayBuffer> {
  const blob = reader.rest();
  return isBucket(blob.length) ? blob : refuse("malformed");
}

function readInviteBlob(reader: ByteReader): Uint8Array<ArrayBuffer> {
  const blob = reader.rest();
  if (blob.length === 0) refuse("malformed");
  return blob.length <= INVITE_BLOB_BYTES_MAX ? blob : refuse("too-large");
}

function readIceServers(reader: ByteReader): IceServers {
  const ttlSeconds = reader.u32();
  if (ttlSeconds > TURN_TTL_SECONDS_MAX) refuse("too-large");
  const urls = readList(reader, TURN_URLS_MAX, () => reader.text(TURN_URL_BYTES_MAX));
  const username = reader.text(TURN_NAME_BYTES_MAX);
  const servers = { ttlSeconds, urls, username, credential: reader.text(TURN_NAME_BYTES_MAX) };
  return isIceServers(servers) ? servers : refuse("malformed");
}

function readList<T>(reader: ByteReader, max: number, read: () => T): readonly T[] {
  const count = reader.u16();
  if (count === 0) refuse("malformed");
  if (count > max) refuse("too-large");
  const list: T[] = [];
  while (list.length < count) list.push(read());
  return list;
}
