/**
 * A plea: what a device that has no session left, and no bundle to begin one with, can still say to a contact. It
 * hands over a fresh bundle, sealed under the two devices' long-term keys.
 * Owns: sealing and opening. Leaves to the protocol: when to ask, and that an old plea is not answered twice.
 * Spec: SPEC.md §14.
 */
import {
  concatBytes,
  createWriter,
  decodeBundle,
  decodeWith,
  type DeviceCert,
  encodeBundle,
  encodeDeviceCert,
  EnvelopeType,
  equalBytes,
  isZero,
  NONCE_BYTES,
  type PleaEnvelope,
  type PrekeyBundle,
  refuse,
  BUNDLE_BYTES_MAX,
  utf8ToBytes,
} from "@sotto/wire";
import type { CryptoBackend, CryptoEnv } from "./backend.ts";
import type { OwnDevice } from "./identity.ts";
import { LABELS } from "./labels.ts";
import { verifyBundle } from "./prekeys.ts";
import { hkdfSha256, sha256 } from "./primitives.ts";

/** Every plea has this size on the wire. */
export const PLEA_ENVELOPE_BYTES = 2_048;
/** 2,048 - type 1 - nonce 12 - AEAD tag 16. */
const BODY_BYTES = PLEA_ENVELOPE_BYTES - 1 - NONCE_BYTES - 16;

export interface Plea {
  /** When it was made, ms since 1970 by its maker's clock: of several the latest counts. */
  readonly at: number;
  /** Of the device that asks. */
  readonly bundle: PrekeyBundle;
}

export async function sealPlea(
  own: OwnDevice,
  to: DeviceCert,
  plea: Plea,
  env: CryptoEnv,
): Promise<Uint8Array> {
  const nonce = env.entropy(NONCE_BYTES);
  const prefix = concatBytes(Uint8Array.of(EnvelopeType.plea), nonce);
  const body = new Uint8Array(BODY_BYTES);
  body.set(createWriter().u48(plea.at).block(encodeBundle(plea.bundle)).done());
  const key = pleaKey(await env.crypto.dh(own.dhSecret, to.dhKey), own.cert, to);
  return concatBytes(prefix, await env.crypto.seal(key, nonce, prefix, body));
}

/** Undefined when it is not a plea of `from` to this device with a bundle of its own that verifies. */
export async function openPlea(
  own: OwnDevice,
  from: DeviceCert,
  envelope: PleaEnvelope,
  crypto: CryptoBackend,
): Promise<Plea | undefined> {
  const key = pleaKey(await crypto.dh(own.dhSecret, from.dhKey), from, own.cert);
  const body = await crypto.open(key, envelope.nonce, envelope.prefix, envelope.sealedBody);
  const decoded = body === undefined ? undefined : decodePlea(body);
  if (decoded === undefined || !decoded.ok) return undefined;
  const { bundle } = decoded.value;
  if (!equalBytes(encodeDeviceCert(bundle.cert), encodeDeviceCert(from))) return undefined;
  return (await verifyBundle(bundle, crypto)) ? decoded.value : undefined;
}

const decodePlea = (bytes: Uint8Array) =>
  decodeWith(bytes, BODY_BYTES, (reader): Plea => {
    const at = reader.u48();
    const bundle = decodeBundle(reader.block(BUNDLE_BYTES_MAX));
    if (!isZero(reader.rest())) refuse("malformed");
    return bundle.ok ? { at, bundle: bundle.value } : refuse(bundle.reason);
  });

/** One key per direction: a plea that is sent back to its maker opens nothing. */
const pleaKey = (shared: Uint8Array, from: DeviceCert, to: DeviceCert): Uint8Array =>
  hkdfSha256(
    shared,
    new Uint8Array(32),
    concatBytes(
      utf8ToBytes(LABELS.plea),
      sha256(encodeDeviceCert(from)),
      sha256(encodeDeviceCert(to)),
    ),
    32,
  );
