/**
 * Names the role of a byte array or string in the type system.
 * Owns: the Brand type and every id that more than one package speaks of.
 * Leaves to crypto: brands of keys. Brands are made only by parsing functions of wire and crypto.
 */
declare const brand: unique symbol;

/** A `T` that cannot be mistaken for another role's `T`. Exists at compile time only. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** 24 random bytes, chosen by a queue's owner. Known to owner and relay. */
export type QueueId = Brand<Uint8Array, "QueueId">;
/** 24 bytes, derived by the relay from a QueueId. Known to owner, one contact device and relay. */
export type SendId = Brand<Uint8Array, "SendId">;
/** 24 bytes, derived from an invite's seed. Names a published invite blob at the relay. */
export type LinkId = Brand<Uint8Array, "LinkId">;
/** 16 random bytes: one sealed envelope, the relay's idempotency key. */
export type EnvelopeId = Brand<Uint8Array, "EnvelopeId">;
/** 16 random bytes: one content (a message, an introduction, …), end to end. */
export type ContentId = Brand<Uint8Array, "ContentId">;
/** 20 bytes: SHA-256("sotto/1 account" ‖ root public key), truncated (crypto/SPEC.md §2). */
export type AccountId = Brand<Uint8Array, "AccountId">;
/** 8 random bytes: one installation of an account. */
export type DeviceId = Brand<Uint8Array, "DeviceId">;
/** 16 random bytes: one sealed file. Known to whoever has the file's key. */
export type FileId = Brand<Uint8Array, "FileId">;
/** 32 bytes: the id of the operation that created the group. */
export type GroupId = Brand<Uint8Array, "GroupId">;
/** 32 bytes: hash of one operation of a group's membership log (crypto/SPEC.md §11.1). */
export type OpId = Brand<Uint8Array, "OpId">;
/** 16 random bytes: one sender's chain in a group. Secret: the chain's header key derives from it. */
export type ChainId = Brand<Uint8Array, "ChainId">;
/** 16 bytes: hybrid time (ms 6, counter 2) and DeviceId. One event of the history; sorts by time. */
export type EventId = Brand<Uint8Array, "EventId">;

export const QUEUE_ID_BYTES = 24;
export const SEND_ID_BYTES = 24;
export const LINK_ID_BYTES = 24;
export const ENVELOPE_ID_BYTES = 16;
export const CONTENT_ID_BYTES = 16;
export const ACCOUNT_ID_BYTES = 20;
export const DEVICE_ID_BYTES = 8;
export const FILE_ID_BYTES = 16;
export const GROUP_ID_BYTES = 32;
export const OP_ID_BYTES = 32;
export const CHAIN_ID_BYTES = 16;
export const EVENT_ID_BYTES = 16;

export const asQueueId = (bytes: Uint8Array): QueueId => sized(bytes, QUEUE_ID_BYTES) as QueueId;
export const asSendId = (bytes: Uint8Array): SendId => sized(bytes, SEND_ID_BYTES) as SendId;
export const asLinkId = (bytes: Uint8Array): LinkId => sized(bytes, LINK_ID_BYTES) as LinkId;
export const asEnvelopeId = (bytes: Uint8Array): EnvelopeId =>
  sized(bytes, ENVELOPE_ID_BYTES) as EnvelopeId;
export const asContentId = (bytes: Uint8Array): ContentId =>
  sized(bytes, CONTENT_ID_BYTES) as ContentId;
export const asAccountId = (bytes: Uint8Array): AccountId =>
  sized(bytes, ACCOUNT_ID_BYTES) as AccountId;
export const asDeviceId = (bytes: Uint8Array): DeviceId =>
  sized(bytes, DEVICE_ID_BYTES) as DeviceId;
export const asFileId = (bytes: Uint8Array): FileId => sized(bytes, FILE_ID_BYTES) as FileId;
export const asGroupId = (bytes: Uint8Array): GroupId => sized(bytes, GROUP_ID_BYTES) as GroupId;
export const asOpId = (bytes: Uint8Array): OpId => sized(bytes, OP_ID_BYTES) as OpId;
export const asChainId = (bytes: Uint8Array): ChainId => sized(bytes, CHAIN_ID_BYTES) as ChainId;
export const asEventId = (bytes: Uint8Array): EventId => sized(bytes, EVENT_ID_BYTES) as EventId;

/** Throws a RangeError: callers read exactly this many bytes first. */
function sized(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length !== length)
    throw new RangeError(`expected ${length} bytes, got ${bytes.length}`);
  return bytes;
}
