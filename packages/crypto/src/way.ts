/**
 * A way to a device: where it reads and what to begin a session with, sealed for one other device, so that whoever
 * passes it on can neither read nor change it. Two devices that have never talked know each other's keys from the
 * lists of their accounts.
 * Owns: sealing and opening. Leaves to the protocol: on which way it travels, and whether a list names its maker.
 * Spec: SPEC.md §15.
 */
import {
  ADDRESS_LIST_BYTES_MAX,
  BUNDLE_BYTES_MAX,
  concatBytes,
  createWriter,
  decodeAddresses,
  decodeBundle,
  decodeWith,
  type DeviceCert,
  encodeAddresses,
  encodeBundle,
  NONCE_BYTES,
  type PrekeyBundle,
  type QueueAddress,
  refuse,
  SEALED_WAY_BYTES_MAX,
  utf8ToBytes,
} from "@sotto/wire";
import type { CryptoBackend, CryptoEnv } from "./backend.ts";
import { isSameDevice, type OwnDevice } from "./identity.ts";
import { LABELS } from "./labels.ts";
import { verifyBundle } from "./prekeys.ts";
import { hkdfSha256, isExchangeKey, sha256 } from "./primitives.ts";

export interface Way {
  /** Of the device it leads to. */
  readonly bundle: PrekeyBundle;
  /** 1 to ADDRESSES_MAX (wire), ordered by preference. */
  readonly addresses: readonly QueueAddress[];
}

/** What a list says of a device, and whose list it is. */
export type DeviceKeys = Pick<DeviceCert, "rootKey" | "deviceId" | "signingKey" | "dhKey">;

export async function sealWay(
  own: OwnDevice,
  to: DeviceKeys,
  { bundle, addresses }: Way,
  env: CryptoEnv,
): Promise<Uint8Array> {
  const nonce = env.entropy(NONCE_BYTES);
  const body = createWriter().block(encodeBundle(bundle)).block(encodeAddresses(addresses)).done();
  const key = wayKey(await env.crypto.dh(own.dhSecret, to.dhKey), own.cert, to);
  return concatBytes(nonce, await env.crypto.seal(key, nonce, nonce, body));
}

/** Undefined when `from` did not make it for this device, or offers another device's bundle or one that is wrong. */
export async function openWay(
  own: OwnDevice,
  from: DeviceKeys,
  sealed: Uint8Array,
  crypto: CryptoBackend,
): Promise<Way | undefined> {
  if (!isExchangeKey(from.dhKey)) return undefined;
  const nonce = sealed.subarray(0, NONCE_BYTES);
  const key = wayKey(await crypto.dh(own.dhSecret, from.dhKey), from, own.cert);
  const body = await crypto.open(key, nonce, nonce, sealed.subarray(NONCE_BYTES));
  const decoded = body === undefined ? undefined : decodeWay(body);
  if (decoded === undefined || !decoded.ok) return undefined;
  const { bundle } = decoded.value;
  if (!isSameDevice(bundle.cert, from)) return undefined;
  return (await verifyBundle(bundle, crypto)) ? decoded.value : undefined;
}

const decodeWay = (bytes: Uint8Array) =>
  decodeWith(bytes, SEALED_WAY_BYTES_MAX, (reader): Way => {
    const bundle = decodeBundle(reader.block(BUNDLE_BYTES_MAX));
    if (!bundle.ok) return refuse(bundle.reason);
    const addresses = decodeAddresses(reader.block(ADDRESS_LIST_BYTES_MAX));
    if (!addresses.ok) return refuse(addresses.reason);
    return { bundle: bundle.value, addresses: addresses.value };
  });

/** One key per direction. Over what a list says of both, which is all that is known of a device before it is met. */
const wayKey = (shared: Uint8Array, from: DeviceKeys, to: DeviceKeys): Uint8Array =>
  hkdfSha256(
    shared,
    new Uint8Array(32),
    concatBytes(utf8ToBytes(LABELS.way), sha256(keysOf(from)), sha256(keysOf(to))),
    32,
  );

const keysOf = ({ rootKey, deviceId, signingKey, dhKey }: DeviceKeys): Uint8Array =>
  concatBytes(rootKey, deviceId, signingKey, dhKey);
