/**
 * An account's root key, a device's keys, and the certificate that binds them.
 * Owns: making and checking certificates. Leaves to wire/bundle.ts: their layout.
 * Spec: SPEC.md §2.
 */
import {
  ACCOUNT_ID_BYTES,
  type AccountId,
  asAccountId,
  asDeviceId,
  DEVICE_ID_BYTES,
  type DeviceCert,
  deviceCertBody,
  equalBytes,
} from "@sotto/wire";
import type { CryptoBackend, CryptoEnv, MaybePromise } from "./backend.ts";
import { LABELS } from "./labels.ts";
import { isExchangeKey, isSigningKey, labelled, sha256 } from "./primitives.ts";

/** Everything secret about one installation. Seeds and secrets are 32 bytes each. */
export interface OwnDevice {
  readonly rootSecret: Uint8Array;
  readonly signingSecret: Uint8Array;
  readonly dhSecret: Uint8Array;
  readonly cert: DeviceCert;
}

/** A new account with its first device. */
export const createOwnDevice = (env: CryptoEnv): Promise<OwnDevice> =>
  restoreDevice(env.entropy(32), env);

/**
 * A new device of an account that exists: its own keys and its own certificate under the root key given, 32 bytes.
 * Contacts see the same account; sessions and prekeys of other devices are not restored.
 */
export async function restoreDevice(rootSecret: Uint8Array, env: CryptoEnv): Promise<OwnDevice> {
  const { crypto, entropy, now } = env;
  const signingSecret = entropy(32);
  const dhSecret = entropy(32);
  const body = {
    rootKey: await crypto.signPublic(rootSecret),
    deviceId: asDeviceId(entropy(DEVICE_ID_BYTES)),
    signingKey: await crypto.signPublic(signingSecret),
    dhKey: await crypto.dhPublic(dhSecret),
    issuedAt: now,
  };
  const signature = await crypto.sign(
    rootSecret,
    labelled(LABELS.deviceCert, deviceCertBody(body)),
  );
  return { rootSecret, signingSecret, dhSecret, cert: { ...body, signature } };
}

export const accountIdOf = (rootKey: Uint8Array): AccountId =>
  asAccountId(sha256(labelled(LABELS.account, rootKey)).slice(0, ACCOUNT_ID_BYTES));

/** The same id and keys of the same account. What only a list has named has no certificate yet. */
export const isSameDevice = (
  a: Pick<DeviceCert, "rootKey" | "deviceId" | "signingKey" | "dhKey">,
  b: Pick<DeviceCert, "rootKey" | "deviceId" | "signingKey" | "dhKey">,
): boolean =>
  equalBytes(a.rootKey, b.rootKey) &&
  equalBytes(a.deviceId, b.deviceId) &&
  equalBytes(a.signingKey, b.signingKey) &&
  equalBytes(a.dhKey, b.dhKey);

/** True when the root key signed it and every key in it is well formed. */
export async function verifyDeviceCert(cert: DeviceCert, crypto: CryptoBackend): Promise<boolean> {
  if (!isExchangeKey(cert.dhKey)) return false;
  // Asked before the signing key is looked at, which takes nearly as long: an engine may work beside this thread.
  const signed = isSignedByRoot(cert, crypto);
  const isKey = isSigningKey(cert.signingKey);
  return (await signed) && isKey;
}

/** The signature alone. A signing key that verifies something is well formed: no engine takes another (SPEC.md §1.2). */
export function isSignedByRoot(cert: DeviceCert, crypto: CryptoBackend): MaybePromise<boolean> {
  return crypto.verify(
    cert.rootKey,
    labelled(LABELS.deviceCert, deviceCertBody(cert)),
    cert.signature,
  );
}
