/**
 * Which devices speak for an account: lists that only grow, chained by hash and signed by the root key.
 * Owns: making lists, checking one, and whether lists belong to one history. Leaves to wire/device-list.ts: the layout;
 * to the caller: which list it knows, asking for others, and telling people.
 * Spec: SPEC.md §10.
 */
import {
  bytesToHex,
  type DeviceCert,
  type DeviceId,
  type DeviceList,
  deviceListBody,
  DEVICES_EVER_MAX,
  DEVICES_MAX,
  equalBytes,
  isZero,
  LIST_HASH_BYTES,
  LIST_VERSION_MAX,
  type ListedDevice,
  type RemovedDevice,
} from "@sotto/wire";
import type { CryptoBackend, CryptoEnv } from "./backend.ts";
import { type OwnDevice, verifyDeviceCert } from "./identity.ts";
import { LABELS } from "./labels.ts";
import { isExchangeKey, isSigningKey, labelled, sha256 } from "./primitives.ts";

/** Lists looked at in one call: a whole history. */
export const RECEIVED_LISTS_MAX = LIST_VERSION_MAX;
/** First bytes of a list's hash, beside its version in a mark. */
export const LIST_PREFIX_BYTES = 8;

export type ListRefusal =
  /** The secret given is not that of the account. */
  | "wrong-root"
  /** Of another account, not signed by its root key, or with a key nobody may use. */
  | "bad-cert"
  /** Its id or one of its keys is, or was, in the list. */
  | "known-device"
  /** DEVICES_MAX at one time, or DEVICES_EVER_MAX in all. */
  | "too-many-devices"
  | "unknown-device"
  /** Nobody could sign the next list. */
  | "last-admin";

export type ListChange =
  | { readonly ok: true; readonly list: DeviceList }
  | { readonly ok: false; readonly reason: ListRefusal };

/** What received lists say about the one that is known. Only "newer" gives another list to know. */
export type Followed =
  | { readonly verdict: "same" | "older" }
  /** None of them is a list of this account. */
  | { readonly verdict: "invalid" }
  | {
      readonly verdict: "newer";
      readonly list: DeviceList;
      readonly added: readonly ListedDevice[];
      readonly removed: readonly RemovedDevice[];
      /** There are newer ones still, behind a gap. */
      readonly more: boolean;
    }
  /** Newer ones exist, but the one after version `since` is missing: ask for it. */
  | { readonly verdict: "gap"; readonly since: number }
  /** Alarm: the root key signed two histories. `version`: the first list that does not fit. */
  | { readonly verdict: "fork"; readonly version: number };

/** How a message names the list of its own account that its sender knows. */
export interface ListMark {
  /** 0: it knows none. */
  readonly version: number;
  /** LIST_PREFIX_BYTES of the list's hash; zeros in version 0. */
  readonly prefix: Uint8Array;
}

/** Of a device that knows no list of its own account. */
export const NO_LIST_MARK: ListMark = { version: 0, prefix: new Uint8Array(LIST_PREFIX_BYTES) };

/**
 * "none": the sender knows no list. "ask": request the lists after the known one. "fork": same version, another list.
 * "invalid": no list has such a mark.
 */
export type MarkVerdict = "none" | "current" | "older" | "ask" | "fork" | "invalid";

/** Version 1 of an account's list: its first device, which holds the root secret. */
export const createDeviceList = (own: OwnDevice, env: CryptoEnv): Promise<DeviceList> =>
  signList(
    {
      rootKey: own.cert.rootKey,
      version: 1,
      previous: new Uint8Array(LIST_HASH_BYTES),
      issuedAt: env.now,
      devices: [{ ...keysOf(own.cert), admin: true, addedAt: env.now }],
      removed: [],
    },
    own.rootSecret,
    env.crypto,
  );

/** `admin`: the device is given the root secret. */
export async function addDevice(
  list: DeviceList,
  cert: DeviceCert,
  admin: boolean,
  rootSecret: Uint8Array,
  env: CryptoEnv,
): Promise<ListChange> {
  if (!(await isRootOf(list, rootSecret, env.crypto))) return refused("wrong-root");
  if (!equalBytes(cert.rootKey, list.rootKey)) return refused("bad-cert");
  if (!(await verifyDeviceCert(cert, env.crypto))) return refused("bad-cert");
  const ever = [...list.devices, ...list.removed];
  const added = { ...keysOf(cert), admin, addedAt: env.now };
  if (!areDistinct([...ever, added], list.rootKey)) return refused("known-device");
  if (list.devices.length >= DEVICES_MAX || ever.length >= DEVICES_EVER_MAX) {
    return refused("too-many-devices");
  }
  const devices = [...list.devices, added];
  return { ok: true, list: await signNext(list, { devices }, rootSecret, env) };
}

export async function removeDevice(
  list: DeviceList,
  id: DeviceId,
  rootSecret: Uint8Array,
  env: CryptoEnv,
): Promise<ListChange> {
  if (!(await isRootOf(list, rootSecret, env.crypto))) return refused("wrong-root");
  const device = list.devices.find((listed) => equalBytes(listed.id, id));
  if (device === undefined) return refused("unknown-device");
  const devices = list.devices.filter((listed) => listed !== device);
  if (!devices.some((listed) => listed.admin)) return refused("last-admin");
  const { signingKey, dhKey } = device;
  const removed = [...list.removed, { id: device.id, signingKey, dhKey, removedAt: env.now }];
  return { ok: true, list: await signNext(list, { devices, removed }, rootSecret, env) };
}

/** True when it is a list of this account, signed by its root key and sound in itself. Says nothing about others. */
export async function verifyDeviceList(
  list: DeviceList,
  rootKey: Uint8Array,
  crypto: CryptoBackend,
): Promise<boolean> {
  if (!equalBytes(list.rootKey, rootKey) || !isSound(list)) return false;
  const signed = labelled(LABELS.deviceList, deviceListBody(list));
  if (!(await crypto.verify(rootKey, signed, list.signature))) return false;
  return list.devices.every(
    ({ signingKey, dhKey }) => isSigningKey(signingKey) && isExchangeKey(dhKey),
  );
}

/**
 * Follows the history from `known`, a list verified before, through lists from anywhere, in any order. Those that do
 * not verify count for nothing; any two that the root key signed and that cannot be of one history are a fork.
 * `verified`: others that came before, each of which verified then.
 */
export async function followList(
  known: DeviceList,
  received: readonly DeviceList[],
  crypto: CryptoBackend,
  verified: readonly DeviceList[] = [],
): Promise<Followed> {
  if (received.length + verified.length > RECEIVED_LISTS_MAX) return { verdict: "invalid" };
  const byVersion = new Map([known, ...verified].map((list) => [list.version, list]));
  let valid = 0;
  let same = received.length === 0;
  for (const list of received) {
    if (!(await verifyDeviceList(list, known.rootKey, crypto))) continue;
    valid++;
    same ||= list.version === known.version;
    const other = byVersion.get(list.version);
    if (other !== undefined && !equalBytes(listHash(other), listHash(list))) {
      return { verdict: "fork", version: list.version };
    }
    if (other === undefined) byVersion.set(list.version, list);
  }
  if (valid === 0 && received.length > 0) return { verdict: "invalid" };

  const history = [...byVersion.values()].toSorted((a, b) => a.version - b.version);
  let reached = known;
  for (const [index, list] of history.entries()) {
    const before = history[index - 1];
    if (before === undefined) continue;
    if (!canFollow(before, list)) return { verdict: "fork", version: list.version };
    if (before === reached && list.version === reached.version + 1) reached = list;
  }

  const newest = history.at(-1) ?? known;
  const more = newest.version > reached.version;
  if (reached !== known) {
    const had = new Set(known.devices.map(({ id }) => bytesToHex(id)));
    return {
      verdict: "newer",
      list: reached,
      added: reached.devices.filter(({ id }) => !had.has(bytesToHex(id))),
      removed: reached.removed.slice(known.removed.length),
      more,
    };
  }
  if (more) return { verdict: "gap", since: known.version };
  return { verdict: same ? "same" : "older" };
}

/** True when the certificate's device is in the list with exactly these keys. The certificate was verified before. */
export const isCurrent = (list: DeviceList, cert: DeviceCert): boolean =>
  equalBytes(list.rootKey, cert.rootKey) &&
  list.devices.some((device) => isSameDevice(device, keysOf(cert)));

/** LIST_HASH_BYTES. Not over the signature: signing the same list again makes no other list. */
export const listHash = (list: Omit<DeviceList, "signature">): Uint8Array =>
  sha256(labelled(LABELS.deviceListHash, deviceListBody(list)));

export const listMark = (list: DeviceList): ListMark => ({
  version: list.version,
  prefix: listHash(list).slice(0, LIST_PREFIX_BYTES),
});

/** True when some list may have this mark, or none: what a body may carry (SPEC.md §10.6). */
export const isListMark = ({ version, prefix }: ListMark): boolean =>
  Number.isInteger(version) &&
  version >= 0 &&
  version <= LIST_VERSION_MAX &&
  prefix.length === LIST_PREFIX_BYTES &&
  (version > 0 || isZero(prefix));

/** `known`: the newest list of the sender's account that the receiver has. */
export function judgeMark(known: DeviceList, mark: ListMark): MarkVerdict {
  if (!isListMark(mark)) return "invalid";
  if (mark.version === 0) return "none";
  if (mark.version > known.version) return "ask";
  const hash = hashOf(known, mark.version)?.subarray(0, LIST_PREFIX_BYTES);
  if (hash !== undefined && !equalBytes(hash, mark.prefix)) return "fork";
  return mark.version === known.version ? "current" : "older";
}

/** Of a list and the one before it; the hashes of others are not in it. */
function hashOf(known: DeviceList, version: number): Uint8Array | undefined {
  if (version === known.version) return listHash(known);
  return version === known.version - 1 ? known.previous : undefined;
}

const refused = (reason: ListRefusal): ListChange => ({ ok: false, reason });

type DeviceKeys = Pick<ListedDevice, "id" | "signingKey" | "dhKey">;

const keysOf = ({ deviceId, signingKey, dhKey }: DeviceCert): DeviceKeys => ({
  id: deviceId,
  signingKey,
  dhKey,
});

const isSameDevice = (a: DeviceKeys, b: DeviceKeys): boolean =>
  equalBytes(a.id, b.id) && equalBytes(a.signingKey, b.signingKey) && equalBytes(a.dhKey, b.dhKey);

const isRootOf = async (
  list: DeviceList,
  rootSecret: Uint8Array,
  crypto: CryptoBackend,
): Promise<boolean> => equalBytes(await crypto.signPublic(rootSecret), list.rootKey);

const signNext = (
  list: DeviceList,
  change: Partial<Pick<DeviceList, "devices" | "removed">>,
  rootSecret: Uint8Array,
  env: CryptoEnv,
): Promise<DeviceList> =>
  signList(
    {
      rootKey: list.rootKey,
      version: list.version + 1,
      previous: listHash(list),
      issuedAt: env.now,
      devices: list.devices,
      removed: list.removed,
      ...change,
    },
    rootSecret,
    env.crypto,
  );

async function signList(
  body: Omit<DeviceList, "signature">,
  rootSecret: Uint8Array,
  crypto: CryptoBackend,
): Promise<DeviceList> {
  const signed = labelled(LABELS.deviceList, deviceListBody(body));
  return { ...body, signature: await crypto.sign(rootSecret, signed) };
}

/** What can be seen of a list alone, without its signature (SPEC.md §10.2). */
function isSound({ rootKey, version, previous, devices, removed }: DeviceList): boolean {
  const ever = [...devices, ...removed];
  if (devices.length > DEVICES_MAX || ever.length > DEVICES_EVER_MAX) return false;
  if (!devices.some((device) => device.admin)) return false;
  if (version < 1 || version > ever.length + removed.length) return false;
  if ((version === 1) !== previous.every((byte) => byte === 0)) return false;
  if (version === 1 && ever.length > 1) return false;
  return areDistinct(ever, rootKey);
}

/** No id and no key twice, and the root key is no device's. */
function areDistinct(devices: readonly DeviceKeys[], rootKey: Uint8Array): boolean {
  const count = devices.length;
  const signingKeys = new Set(devices.map(({ signingKey }) => bytesToHex(signingKey)));
  return (
    new Set(devices.map(({ id }) => bytesToHex(id))).size === count &&
    signingKeys.size === count &&
    !signingKeys.has(bytesToHex(rootKey)) &&
    new Set(devices.map(({ dhKey }) => bytesToHex(dhKey))).size === count
  );
}

/** True when sound lists `a` and `b`, of which `b` has the higher version, can be of one history (SPEC.md §10.3). */
function canFollow(a: DeviceList, b: DeviceList): boolean {
  const kept = a.removed.every((device, index) => {
    const later = b.removed[index];
    return (
      later !== undefined && isSameDevice(device, later) && device.removedAt === later.removedAt
    );
  });
  if (!kept) return false;

  const gone = b.removed.slice(a.removed.length);
  const isGone = (device: DeviceKeys): boolean => gone.some((other) => isSameDevice(other, device));
  const stayed = a.devices.filter((device) => !isGone(device));
  const unchanged = stayed.every((device, index) => {
    const later = b.devices[index];
    return later !== undefined && isSameEntry(device, later);
  });
  if (!unchanged) return false;

  const steps = b.version - a.version;
  const added = b.devices.length + b.removed.length - a.devices.length - a.removed.length;
  if (added + gone.length < steps) return false;
  if (steps > 1) return true;
  return (
    equalBytes(b.previous, listHash(a)) &&
    gone.every((device) => a.devices.some((before) => isSameDevice(before, device)))
  );
}

const isSameEntry = (a: ListedDevice, b: ListedDevice): boolean =>
  isSameDevice(a, b) && a.admin === b.admin && a.addedAt === b.addedAt;
