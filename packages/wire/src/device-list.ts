/**
 * The list of an account's devices: who may speak for it, and who no longer may.
 * Owns: the layout, its limits, and the exact bytes that hash and signature cover.
 * Leaves to crypto/device-list.ts: signing, and how one list may follow another.
 * Spec: SPEC.md §14.
 */
import { asDeviceId, DEVICE_ID_BYTES, type DeviceId } from "./brand.ts";
import { KeyType, SIGNATURE_BYTES } from "./bundle.ts";
import {
  type ByteReader,
  type ByteWriter,
  createWriter,
  decodeWith,
  type Decoded,
  refuse,
} from "./bytes.ts";

export const DEVICE_LIST_VERSION = 1;
/** Devices of an account at one time. */
export const DEVICES_MAX = 16;
/** Devices an account has ever had, removed ones included: whatever is listed can still be removed. */
export const DEVICES_EVER_MAX = 128;
/** Each version adds or removes a device, and one stays: 128 additions, 127 removals. Fits the u16 of a body. */
export const LIST_VERSION_MAX = 2 * DEVICES_EVER_MAX - 1;
export const LIST_HASH_BYTES = 32;

/** id 8 | signing key 33 | DH key 33 | admin 1 | added 6. */
const LISTED_DEVICE_BYTES = 81;
/** id 8 | signing key 33 | DH key 33 | removed at 6. */
const REMOVED_DEVICE_BYTES = 80;
/** Around 142 bytes: version 1 | root 33 | list version 4 | previous 32 | issued 6 | counts 2 | signature 64. */
export const DEVICE_LIST_BYTES_MAX =
  142 + DEVICES_MAX * LISTED_DEVICE_BYTES + (DEVICES_EVER_MAX - DEVICES_MAX) * REMOVED_DEVICE_BYTES;

export interface ListedDevice {
  readonly id: DeviceId;
  /** Ed25519, 32 bytes, without its type byte. */
  readonly signingKey: Uint8Array;
  /** X25519, 32 bytes, without its type byte. */
  readonly dhKey: Uint8Array;
  /** Holds the root secret. */
  readonly admin: boolean;
  /** Milliseconds since 1970, to be shown: nothing is decided by it. */
  readonly addedAt: number;
}

/** Remembered for good, keys included, so that it cannot come back. */
export interface RemovedDevice {
  readonly id: DeviceId;
  readonly signingKey: Uint8Array;
  readonly dhKey: Uint8Array;
  /** Milliseconds since 1970, to be shown: nothing is decided by it. */
  readonly removedAt: number;
}

export interface DeviceList {
  /** Ed25519, 32 bytes: the account. */
  readonly rootKey: Uint8Array;
  /** From 1, each one more than the last. */
  readonly version: number;
  /** LIST_HASH_BYTES: hash of the version before; zeros in version 1. */
  readonly previous: Uint8Array;
  /** Milliseconds since 1970, to be shown: nothing is decided by it. */
  readonly issuedAt: number;
  /** In the order in which they were added. */
  readonly devices: readonly ListedDevice[];
  /** In the order in which they were removed. */
  readonly removed: readonly RemovedDevice[];
  /** Ed25519 by the root key over `deviceListBody`. */
  readonly signature: Uint8Array;
}

/** What hash and signature cover: everything but the signature. */
export const deviceListBody = (list: Omit<DeviceList, "signature">): Uint8Array<ArrayBuffer> =>
  writeBody(list).done();

export const encodeDeviceList = (list: DeviceList): Uint8Array<ArrayBuffer> =>
  writeBody(list).raw(list.signature).done();

/** Checks shape, limits and key types only; call crypto's `verifyDeviceList` before believing any of it. */
export const decodeDeviceList = (bytes: Uint8Array): Decoded<DeviceList> =>
  decodeWith(bytes, DEVICE_LIST_BYTES_MAX, (reader) => {
    if (reader.u8() !== DEVICE_LIST_VERSION) refuse("unknown-type");
    const rootKey = readKey(reader, KeyType.ed25519);
    const version = reader.u32();
    if (version === 0) refuse("malformed");
    if (version > LIST_VERSION_MAX) refuse("too-large");
    const previous = reader.take(LIST_HASH_BYTES);
    const issuedAt = reader.u48();
    const deviceCount = reader.u8();
    if (deviceCount === 0) refuse("malformed");
    if (deviceCount > DEVICES_MAX) refuse("too-large");
    const devices = Array.from({ length: deviceCount }, () => readDevice(reader));
    const removedCount = reader.u8();
    if (deviceCount + removedCount > DEVICES_EVER_MAX) refuse("too-large");
    const removed = Array.from({ length: removedCount }, () => readRemoved(reader));
    const signature = reader.take(SIGNATURE_BYTES);
    return { rootKey, version, previous, issuedAt, devices, removed, signature };
  });

function writeBody(list: Omit<DeviceList, "signature">): ByteWriter {
  const { devices, removed } = list;
  if (devices.length > DEVICES_MAX || devices.length + removed.length > DEVICES_EVER_MAX) {
    throw new RangeError(`${devices.length} devices and ${removed.length} removed are too many`);
  }
  const writer = writeKey(createWriter().u8(DEVICE_LIST_VERSION), KeyType.ed25519, list.rootKey);
  writer.u32(list.version).raw(list.previous).u48(list.issuedAt).u8(devices.length);
  for (const device of devices) {
    writeKeys(writer, device)
      .u8(device.admin ? 1 : 0)
      .u48(device.addedAt);
  }
  writer.u8(removed.length);
  for (const device of removed) writeKeys(writer, device).u48(device.removedAt);
  return writer;
}

type DeviceKeys = Pick<ListedDevice, "id" | "signingKey" | "dhKey">;

function writeKeys(writer: ByteWriter, device: DeviceKeys): ByteWriter {
  writeKey(writer.raw(device.id), KeyType.ed25519, device.signingKey);
  return writeKey(writer, KeyType.x25519, device.dhKey);
}

const readKeys = (reader: ByteReader): DeviceKeys => ({
  id: asDeviceId(reader.take(DEVICE_ID_BYTES)),
  signingKey: readKey(reader, KeyType.ed25519),
  dhKey: readKey(reader, KeyType.x25519),
});

function readDevice(reader: ByteReader): ListedDevice {
  const keys = readKeys(reader);
  const admin = reader.u8();
  if (admin > 1) refuse("malformed");
  return { ...keys, admin: admin === 1, addedAt: reader.u48() };
}

const readRemoved = (reader: ByteReader): RemovedDevice => ({
  ...readKeys(reader),
  removedAt: reader.u48(),
});

const writeKey = (writer: ByteWriter, type: number, key: Uint8Array): ByteWriter =>
  writer.u8(type).raw(key);

/** 32 bytes behind their type byte. */
function readKey(reader: ByteReader, type: number): Uint8Array<ArrayBuffer> {
  if (reader.u8() !== type) refuse("malformed");
  return reader.take(32);
}
