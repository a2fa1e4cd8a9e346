/**
 * The post-quantum handshake: from a verified bundle to the secrets a session starts with.
 * Owns: key agreement, transcript, hiding the initiator's identity. Leaves to session.ts: the ratchet.
 * Spec: SPEC.md §4 (PQXDH rev 3).
 */
import {
  concatBytes,
  createWriter,
  decodeDeviceCert,
  type DeviceCert,
  encodeDeviceCert,
  EnvelopeType,
  type HelloEnvelope,
  NO_PREKEY_ID,
  NONCE_BYTES,
  type PrekeyBundle,
  SUITE_1,
  utf8ToBytes,
  WIRE_VERSION,
} from "@sotto/wire";
import type { CryptoEnv } from "./backend.ts";
import { type OwnDevice, verifyDeviceCert } from "./identity.ts";
import { LABELS } from "./labels.ts";
import {
  bundleHashOf,
  isSignedBundle,
  isWellFormedBundle,
  type LastResortSecrets,
  type PrekeySecrets,
} from "./prekeys.ts";
import { hkdfSha256, type Hmac, isExchangeKey, labelled, sha256 } from "./primitives.ts";

/** What both sides know after the handshake. */
export interface Agreed {
  /** 16 bytes: names the session on both devices. */
  readonly sessionId: Uint8Array;
  /** 32 bytes: associated data of everything in the session. */
  readonly transcript: Uint8Array;
  readonly rootKey: Uint8Array;
  /** The initiator's first sending header key. */
  readonly headerKey: Uint8Array;
  /** The responder's first sending header key. */
  readonly nextHeaderKey: Uint8Array;
  readonly initiatorSignalKey: Uint8Array;
  readonly responderSignalKey: Uint8Array;
}

/** SHA-256 of the ephemeral key: what a responder remembers so that a HELLO works once. */
export const helloKeyOf = (hello: HelloEnvelope): Uint8Array => sha256(hello.ephemeralKey);

/** Initiator. Undefined when the bundle does not verify. `helloHeader`: HELLO_HEADER_BYTES. */
export async function agreeAsInitiator(
  own: OwnDevice,
  bundle: PrekeyBundle,
  env: CryptoEnv,
): Promise<{ readonly agreed: Agreed; readonly helloHeader: Uint8Array } | undefined> {
  const { crypto } = env;
  if (!isWellFormedBundle(bundle)) return undefined;
  const { cert, signedPrekey, kemPrekey } = bundle;
  const { oneTimeKey } = kemPrekey;
  const ephemeralSecret = env.entropy(32);
  const kemRandomness = env.entropy(32);
  // All at once: none needs another, and an engine may work beside this thread. Nothing leaves before the verdict.
  const [isSigned, ephemeralKey, dhIdentity, dhPrekey, dhStatic, dhOneTime, encapsulated] =
    await Promise.all([
      isSignedBundle(bundle, crypto),
      crypto.dhPublic(ephemeralSecret),
      crypto.dh(ephemeralSecret, cert.dhKey),
      crypto.dh(ephemeralSecret, signedPrekey.key),
      crypto.dh(own.dhSecret, signedPrekey.key),
      oneTimeKey === undefined ? undefined : crypto.dh(ephemeralSecret, oneTimeKey),
      crypto.encaps(kemPrekey.key, kemRandomness),
    ]);
  if (!isSigned) return undefined;
  const { ciphertext, sharedSecret } = encapsulated;
  const opening = concatBytes(
    openingHeader(signedPrekey.id, oneTimeIdOf(bundle), kemPrekey.id),
    ephemeralKey,
    ciphertext,
  );
  const bundleHash = bundleHashOf(bundle);
  const identity = identityKeys(dhIdentity, dhPrekey, sharedSecret, bundleHash, crypto.hmac);
  const sealedIdentity = await crypto.seal(
    identity.seal,
    ZERO_NONCE,
    opening,
    encodeDeviceCert(own.cert),
  );
  const transcript = transcriptOf(own.cert, cert, bundleHash, opening);
  const agreed = deriveAgreed(identity.next, dhStatic, dhOneTime, transcript, crypto.hmac);
  return { agreed, helloHeader: concatBytes(opening, sealedIdentity) };
}

/** Responder. Undefined when the HELLO is not for these prekeys or its identity does not verify. */
export async function agreeAsResponder(
  own: OwnDevice,
  secrets: PrekeySecrets | LastResortSecrets,
  hello: HelloEnvelope,
  env: CryptoEnv,
): Promise<{ readonly agreed: Agreed; readonly cert: DeviceCert } | undefined> {
  const { crypto } = env;
  if (
    hello.signedPrekeyId !== secrets.signedPrekeyId ||
    hello.oneTimePrekeyId !==
      (secrets.oneTimeSecret === undefined ? NO_PREKEY_ID : secrets.oneTimeId) ||
    hello.kemPrekeyId !== secrets.oneTimeId ||
    !isExchangeKey(hello.ephemeralKey)
  ) {
    return undefined;
  }
  const opening = hello.header.slice(0, OPENING_BYTES);
  const [dhIdentity, dhPrekey, sharedSecret] = await Promise.all([
    crypto.dh(own.dhSecret, hello.ephemeralKey),
    crypto.dh(secrets.signedPrekeySecret, hello.ephemeralKey),
    crypto.decaps(secrets.kemSeed, hello.kemCiphertext),
  ]);
  const identity = identityKeys(
    dhIdentity,
    dhPrekey,
    sharedSecret,
    secrets.bundleHash,
    crypto.hmac,
  );
  const opened = await crypto.open(identity.seal, ZERO_NONCE, opening, hello.sealedIdentity);
  const decoded = opened === undefined ? undefined : decodeDeviceCert(opened);
  if (decoded === undefined || !decoded.ok) return undefined;
  const cert = decoded.value;
  // Before anything is done with its key.
  if (!isExchangeKey(cert.dhKey)) return undefined;
  const { oneTimeSecret } = secrets;
  const [isSigned, dhStatic, dhOneTime] = await Promise.all([
    verifyDeviceCert(cert, crypto),
    crypto.dh(secrets.signedPrekeySecret, cert.dhKey),
    oneTimeSecret === undefined ? undefined : crypto.dh(oneTimeSecret, hello.ephemeralKey),
  ]);
  if (!isSigned) return undefined;
  const transcript = transcriptOf(cert, own.cert, secrets.bundleHash, opening);
  const agreed = deriveAgreed(identity.next, dhStatic, dhOneTime, transcript, crypto.hmac);
  return { agreed, cert };
}

/** The key is used for one message only, so a constant nonce never repeats under it. */
const ZERO_NONCE = new Uint8Array(NONCE_BYTES);
const NO_SALT = new Uint8Array(32);
/** Sets the agreement apart from any XEdDSA-style use of the same curve (X3DH §2.2). */
const PREFIX = new Uint8Array(32).fill(0xff);
/** type 1 | version 1 | suite 1 | ids 12 | EK 32 | ciphertext 1,088. */
const OPENING_BYTES = 3 + 12 + 32 + 1_088;

const oneTimeIdOf = ({ kemPrekey }: PrekeyBundle): number =>
  kemPrekey.oneTimeKey === undefined ? NO_PREKEY_ID : kemPrekey.id;

const openingHeader = (signedId: number, oneTimeId: number, kemId: number): Uint8Array =>
  createWriter()
    .u8(EnvelopeType.hello)
    .u8(WIRE_VERSION)
    .u8(SUITE_1)
    .u32(signedId)
    .u32(oneTimeId)
    .u32(kemId)
    .done();

/** SPEC.md §4.2, k: `next` salts the root, `seal` hides the initiator's certificate. */
export function identityKeys(
  dhIdentity: Uint8Array,
  dhPrekey: Uint8Array,
  kemSecret: Uint8Array,
  bundleHash: Uint8Array,
  hmac: Hmac,
): { readonly next: Uint8Array; readonly seal: Uint8Array } {
  const keys = hkdfSha256(
    concatBytes(PREFIX, dhIdentity, dhPrekey, kemSecret),
    NO_SALT,
    concatBytes(utf8ToBytes(LABELS.handshakeIdentity), bundleHash),
    64,
    hmac,
  );
  return { next: keys.slice(0, 32), seal: keys.slice(32) };
}

const transcriptOf = (
  initiator: DeviceCert,
  responder: DeviceCert,
  bundleHash: Uint8Array,
  opening: Uint8Array,
): Uint8Array =>
  sha256(
    labelled(
      LABELS.transcript,
      encodeDeviceCert(initiator),
      encodeDeviceCert(responder),
      bundleHash,
      opening,
    ),
  );

/** SPEC.md §4.2, s. `salt`: 32 bytes, `next` of the identity keys. */
export function deriveAgreed(
  salt: Uint8Array,
  dhStatic: Uint8Array,
  dhOneTime: Uint8Array | undefined,
  transcript: Uint8Array,
  hmac: Hmac,
): Agreed {
  const keys = hkdfSha256(
    concatBytes(dhStatic, dhOneTime ?? new Uint8Array(0)),
    salt,
    concatBytes(utf8ToBytes(LABELS.handshakeRoot), transcript),
    192,
    hmac,
  );
  const part = (index: number): Uint8Array => keys.slice(index * 32, index * 32 + 32);
  return {
    transcript,
    rootKey: part(0),
    headerKey: part(1),
    nextHeaderKey: part(2),
    sessionId: part(3).slice(0, 16),
    initiatorSignalKey: part(4),
    responderSignalKey: part(5),
  };
}
