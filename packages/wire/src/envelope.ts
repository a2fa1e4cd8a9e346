/**
 * The four sealed units a relay or a data channel carries. All fields are ciphertext, random or public keys.
 * Owns: field offsets and bucket sizes. Leaves to crypto: what is sealed and how.
 * Spec: SPEC.md §3.
 */
import { concatBytes, copyBytes, createReader, decodeWith, type Decoded, refuse } from "./bytes.ts";
import { ENVELOPE_BYTES_MAX, isBucket } from "./padding.ts";

export const WIRE_VERSION = 1;
export const SUITE_1 = 1;

export const EnvelopeType = { hello: 1, message: 2, signal: 3, plea: 4 } as const;

export const TAG_BYTES = 8;
export const NONCE_BYTES = 12;
/** 43-byte ratchet header plus a 16-byte AEAD tag. */
export const SEALED_HEADER_BYTES = 59;
/** 178-byte device certificate plus a 16-byte AEAD tag. */
export const SEALED_IDENTITY_BYTES = 194;
export const KEM_CIPHERTEXT_BYTES = 1_088;
/** type 1 | version 1 | suite 1 | spkId 4 | opkId 4 | kemId 4 | EK 32 | kemCt 1,088 | sealed identity 194. */
export const HELLO_HEADER_BYTES = 1_329;
/** type 1 | tag 8 | nonce 12 | sealed header 59; the sealed body follows. */
export const MESSAGE_HEADER_BYTES = 80;

/** Says "no one-time prekey was used". Ids count up from 0 and 0 is a valid id. */
export const NO_PREKEY_ID = 0xffff_ffff;

/** A ratchet message: what follows its type byte, by field. */
export interface MessageEnvelope {
  readonly type: "message";
  readonly tag: Uint8Array;
  readonly nonce: Uint8Array;
  readonly sealedHeader: Uint8Array;
  readonly sealedBody: Uint8Array;
  /** type | tag | nonce: associated data of the header's AEAD; with the sealed header, of the body's. */
  readonly prefix: Uint8Array;
}

/** The initiator's handshake in front of its first ratchet messages, until the first answer. */
export interface HelloEnvelope {
  readonly type: "hello";
  readonly suite: number;
  readonly signedPrekeyId: number;
  /** NO_PREKEY_ID when the bundle carried none. */
  readonly oneTimePrekeyId: number;
  readonly kemPrekeyId: number;
  readonly ephemeralKey: Uint8Array;
  readonly kemCiphertext: Uint8Array;
  readonly sealedIdentity: Uint8Array;
  /** The HELLO_HEADER_BYTES of this handshake, as sent. */
  readonly header: Uint8Array;
  readonly message: MessageEnvelope;
}

/** Presence and link negotiation: sealed, never stored, never ratcheted. */
export interface SignalEnvelope {
  readonly type: "signal";
  readonly nonce: Uint8Array;
  readonly sealedBody: Uint8Array;
  readonly prefix: Uint8Array;
}

/** From a device that has no session left: a fresh bundle, sealed under long-term keys. */
export interface PleaEnvelope {
  readonly type: "plea";
  readonly nonce: Uint8Array;
  readonly sealedBody: Uint8Array;
  readonly prefix: Uint8Array;
}

export type Envelope = MessageEnvelope | HelloEnvelope | SignalEnvelope | PleaEnvelope;

/** Refuses every size that is not a bucket, so a peer cannot widen the set of sizes on the wire. */
export function decodeEnvelope(bytes: Uint8Array): Decoded<Envelope> {
  if (!isBucket(bytes.length)) return { ok: false, reason: "malformed" };
  return decodeWith(bytes, ENVELOPE_BYTES_MAX, (reader): Envelope => {
    switch (bytes[0]) {
      case EnvelopeType.message:
        return readMessage(reader.rest());
      case EnvelopeType.signal:
      case EnvelopeType.plea: {
        reader.u8();
        const nonce = reader.take(NONCE_BYTES);
        const prefix = copyBytes(bytes, 0, 1 + NONCE_BYTES);
        const type = bytes[0] === EnvelopeType.signal ? "signal" : "plea";
        return { type, nonce, sealedBody: reader.rest(), prefix };
      }
      case EnvelopeType.hello: {
        reader.u8();
        if (reader.u8() !== WIRE_VERSION) refuse("unknown-type");
        const suite = reader.u8();
        if (suite !== SUITE_1) refuse("unknown-type");
        return {
          type: "hello",
          suite,
          signedPrekeyId: reader.u32(),
          oneTimePrekeyId: reader.u32(),
          kemPrekeyId: reader.u32(),
          ephemeralKey: reader.take(32),
          kemCiphertext: reader.take(KEM_CIPHERTEXT_BYTES),
          sealedIdentity: reader.take(SEALED_IDENTITY_BYTES),
          header: copyBytes(bytes, 0, HELLO_HEADER_BYTES),
          message: readMessage(reader.rest()),
        };
      }
      default:
        return refuse("unknown-type");
    }
  });
}

/** The inverse of the message branch: `prefix ‖ sealedHeader ‖ sealedBody`. */
export const encodeMessageEnvelope = (
  prefix: Uint8Array,
  sealedHeader: Uint8Array,
  sealedBody: Uint8Array,
): Uint8Array<ArrayBuffer> => concatBytes(prefix, sealedHeader, sealedBody);

function readMessage(bytes: Uint8Array): MessageEnvelope {
  const reader = createReader(bytes);
  if (reader.u8() !== EnvelopeType.message) refuse("unknown-type");
  const tag = reader.take(TAG_BYTES);
  const nonce = reader.take(NONCE_BYTES);
  const sealedHeader = reader.take(SEALED_HEADER_BYTES);
  return {
    type: "message",
    tag,
    nonce,
    sealedHeader,
    sealedBody: reader.rest(),
    prefix: copyBytes(bytes, 0, 1 + TAG_BYTES + NONCE_BYTES),
  };
}
