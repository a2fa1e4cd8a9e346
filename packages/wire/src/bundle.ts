/**
 * Device certificates and prekey bundles: what an initiator must know before it can write first.
 * Owns: layouts and the exact bytes that signatures cover. Leaves to crypto: making and verifying them.
 * Spec: SPEC.md §4.
 */
import { asDeviceId, DEVICE_ID_BYTES, type DeviceId } from "./brand.ts";
import {
  type ByteReader,
  type ByteWriter,
  createWriter,
  decodeWith,
  type Decoded,
  refuse,
} from "./bytes.ts";
import { NO_PREKEY_ID, SUITE_1, WIRE_VERSION } from "./envelope.ts";

/** First byte of every public key on the wire, so that no key can be read as one of another kind. */
export const KeyType = { x25519: 1, ed25519: 2, mlKem768: 3 } as const;

export const KEM_PUBLIC_BYTES = 1_184;
export const SIGNATURE_BYTES = 64;
/** version 1 | root 33 | device id 8 | signing 33 | DH 33 | issued 6 | signature 64. */
export const DEVICE_CERT_BYTES = 178;
/** A batch holds at most 2^6 one-time prekeys. */
export const MERKLE_PROOF_MAX = 6;
export const BUNDLE_BYTES_MAX = 2_048;

/** One device, certified by its account's root key. All keys without their type byte. */
export interface DeviceCert {
  /** Ed25519, 32 bytes: the account. Safety numbers are over this. */
  readonly rootKey: Uint8Array;
  readonly deviceId: DeviceId;
  /** Ed25519, 32 bytes. */
  readonly signingKey: Uint8Array;
  /** X25519, 32 bytes. */
  readonly dhKey: Uint8Array;
  /** Milliseconds since 1970. */
  readonly issuedAt: number;
  /** Ed25519 by the root key over `deviceCertBody`. */
  readonly signature: Uint8Array;
}

/** Signed together with the KEM prekey beside it. */
export interface SignedPrekeyPart {
  readonly id: number;
  /** X25519, 32 bytes. */
  readonly key: Uint8Array;
}

/**
 * The KEM half, always present. With `oneTimeKey` it is a one-time pair under a batch's Merkle root;
 * without, it is the last-resort KEM prekey (empty proof).
 */
export interface KemPrekeyPart {
  readonly id: number;
  /** ML-KEM-768, 1,184 bytes. */
  readonly key: Uint8Array;
  /** X25519, 32 bytes; same id. */
  readonly oneTimeKey: Uint8Array | undefined;
  readonly leafIndex: number;
  /** Sibling hashes from leaf to root, 32 bytes each, at most MERKLE_PROOF_MAX. */
  readonly proof: readonly Uint8Array[];
  /** Ed25519 by the device's signing key over the signed prekey and the batch root, or this key alone. */
  readonly signature: Uint8Array;
}

export interface PrekeyBundle {
  readonly cert: DeviceCert;
  readonly signedPrekey: SignedPrekeyPart;
  readonly kemPrekey: KemPrekeyPart;
}

/** The 114 bytes that the root key signs. */
export const deviceCertBody = (cert: Omit<DeviceCert, "signature">): Uint8Array<ArrayBuffer> =>
  writeCertBody(createWriter(), cert).done();

export const encodeDeviceCert = (cert: DeviceCert): Uint8Array<ArrayBuffer> =>
  writeCertBody(createWriter(), cert).raw(cert.signature).done();

export const decodeDeviceCert = (bytes: Uint8Array): Decoded<DeviceCert> =>
  decodeWith(bytes, DEVICE_CERT_BYTES, readCert);

export function encodeBundle(bundle: PrekeyBundle): Uint8Array<ArrayBuffer> {
  const { cert, signedPrekey, kemPrekey } = bundle;
  const writer = createWriter().u8(WIRE_VERSION).u8(SUITE_1).raw(encodeDeviceCert(cert));
  writeKey(writer.u32(signedPrekey.id), KeyType.x25519, signedPrekey.key);
  writeKey(writer.u32(kemPrekey.id), KeyType.mlKem768, kemPrekey.key);
  writer.u8(kemPrekey.oneTimeKey === undefined ? 0 : 1);
  if (kemPrekey.oneTimeKey !== undefined) writeKey(writer, KeyType.x25519, kemPrekey.oneTimeKey);
  writer.u8(kemPrekey.leafIndex).u8(kemPrekey.proof.length);
  for (const sibling of kemPrekey.proof) writer.raw(sibling);
  return writer.raw(kemPrekey.signature).done();
}

/** Checks shape and key types only; call crypto's `verifyBundle` before any key is used. */
export const decodeBundle = (bytes: Uint8Array): Decoded<PrekeyBundle> =>
  decodeWith(bytes, BUNDLE_BYTES_MAX, (reader) => {
    if (reader.u8() !== WIRE_VERSION || reader.u8() !== SUITE_1) refuse("unknown-type");
    const cert = readCert(reader);
    const signedPrekey: SignedPrekeyPart = {
      id: readPrekeyId(reader),
      key: readKey(reader, KeyType.x25519, 32),
    };
    const id = readPrekeyId(reader);
    const key = readKey(reader, KeyType.mlKem768, KEM_PUBLIC_BYTES);
    const oneTime = reader.u8();
    if (oneTime > 1) refuse("malformed");
    const oneTimeKey = oneTime === 1 ? readKey(reader, KeyType.x25519, 32) : undefined;
    const leafIndex = reader.u8();
    const proofLength = reader.u8();
    if (proofLength > MERKLE_PROOF_MAX || leafIndex >= 1 << proofLength) refuse("malformed");
    if (oneTimeKey === undefined && proofLength > 0) refuse("malformed");
    const proof = Array.from({ length: proofLength }, () => reader.take(32));
    const signature = reader.take(SIGNATURE_BYTES);
    return { cert, signedPrekey, kemPrekey: { id, key, oneTimeKey, leafIndex, proof, signature } };
  });

function writeCertBody(writer: ByteWriter, cert: Omit<DeviceCert, "signature">): ByteWriter {
  writeKey(writer.u8(WIRE_VERSION), KeyType.ed25519, cert.rootKey);
  writer.raw(cert.deviceId);
  writeKey(writer, KeyType.ed25519, cert.signingKey);
  return writeKey(writer, KeyType.x25519, cert.dhKey).u48(cert.issuedAt);
}

function readCert(reader: ByteReader): DeviceCert {
  if (reader.u8() !== WIRE_VERSION) refuse("unknown-type");
  return {
    rootKey: readKey(reader, KeyType.ed25519, 32),
    deviceId: asDeviceId(reader.take(DEVICE_ID_BYTES)),
    signingKey: readKey(reader, KeyType.ed25519, 32),
    dhKey: readKey(reader, KeyType.x25519, 32),
    issuedAt: reader.u48(),
    signature: reader.take(SIGNATURE_BYTES),
  };
}

const writeKey = (writer: ByteWriter, type: number, key: Uint8Array): ByteWriter =>
  writer.u8(type).raw(key);

function readKey(reader: ByteReader, type: number, length: number): Uint8Array<ArrayBuffer> {
  if (reader.u8() !== type) refuse("malformed");
  return reader.take(length);
}

function readPrekeyId(reader: ByteReader): number {
  const id = reader.u32();
  return id === NO_PREKEY_ID ? refuse("malformed") : id;
}
