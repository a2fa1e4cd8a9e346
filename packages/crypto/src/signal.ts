/**
 * Signals: sealed under one fixed key per direction, outside the ratchet, because they are never stored
 * and a lost or late one must not cost a message key.
 * Spec: SPEC.md §6.
 */
import {
  concatBytes,
  decodeSignal,
  encodeSignal,
  EnvelopeType,
  isZero,
  NONCE_BYTES,
  type Signal,
  type SignalEnvelope,
} from "@sotto/wire";
import type { CryptoBackend, CryptoEnv } from "./backend.ts";
import type { Session } from "./session.ts";

/** Every signal has this size on the wire. */
export const SIGNAL_ENVELOPE_BYTES = 256;
/** 256 - type 1 - nonce 12 - AEAD tag 16, of which the first two bytes are the length. */
const BODY_BYTES = SIGNAL_ENVELOPE_BYTES - 1 - NONCE_BYTES - 16;

export async function sealSignal(
  session: Session,
  signal: Signal,
  env: CryptoEnv,
): Promise<Uint8Array> {
  const nonce = env.entropy(NONCE_BYTES);
  const prefix = concatBytes(Uint8Array.of(EnvelopeType.signal), nonce);
  const encoded = encodeSignal(signal);
  const body = new Uint8Array(BODY_BYTES);
  new DataView(body.buffer).setUint16(0, encoded.length);
  body.set(encoded, 2);
  const aad = concatBytes(session.transcript, prefix);
  return concatBytes(prefix, await env.crypto.seal(session.ownSignalKey, nonce, aad, body));
}

/** Undefined when it is not a signal of this session's other side. */
export async function openSignal(
  session: Session,
  envelope: SignalEnvelope,
  crypto: CryptoBackend,
): Promise<Signal | undefined> {
  const aad = concatBytes(session.transcript, envelope.prefix);
  const body = await crypto.open(session.remoteSignalKey, envelope.nonce, aad, envelope.sealedBody);
  if (body === undefined || body.length < 2) return undefined;
  const length = new DataView(body.buffer, body.byteOffset).getUint16(0);
  const end = 2 + length;
  if (end > body.length || !isZero(body.subarray(end))) return undefined;
  const decoded = decodeSignal(body.slice(2, end));
  return decoded.ok ? decoded.value : undefined;
}
