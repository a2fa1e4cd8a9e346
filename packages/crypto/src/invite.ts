/**
 * The sealed offer behind an invite link: whoever has the link's seed can read it, the relay cannot.
 * Spec: SPEC.md §7.
 */
import {
  asLinkId,
  concatBytes,
  decodeInviteOffer,
  encodeInviteOffer,
  type InviteOffer,
  LINK_ID_BYTES,
  type LinkId,
  NONCE_BYTES,
  utf8ToBytes,
  isZero,
} from "@sotto/wire";
import type { CryptoBackend, CryptoEnv } from "./backend.ts";
import { LABELS } from "./labels.ts";
import { hkdfSha256 } from "./primitives.ts";

/** All offers have this size, whatever the name and address in them. */
export const SEALED_OFFER_BYTES = 3_072;
const BODY_BYTES = SEALED_OFFER_BYTES - NONCE_BYTES - 16;

/** `linkId` names the blob at the relay, `linkKey` (32 bytes) opens it; neither tells the other. */
export function deriveInviteKeys(seed: Uint8Array): {
  readonly linkId: LinkId;
  readonly linkKey: Uint8Array;
} {
  const keys = hkdfSha256(seed, new Uint8Array(32), utf8ToBytes(LABELS.invite), LINK_ID_BYTES + 32);
  return { linkId: asLinkId(keys.slice(0, LINK_ID_BYTES)), linkKey: keys.slice(LINK_ID_BYTES) };
}

/** SEALED_OFFER_BYTES: nonce 12 | AEAD(length 2 | offer | zeros). Throws a RangeError when it does not fit. */
export async function sealInviteOffer(
  seed: Uint8Array,
  offer: InviteOffer,
  env: CryptoEnv,
): Promise<Uint8Array> {
  const encoded = encodeInviteOffer(offer);
  if (encoded.length + 2 > BODY_BYTES) throw new RangeError(`offer of ${encoded.length} bytes`);
  const { linkId, linkKey } = deriveInviteKeys(seed);
  const nonce = env.entropy(NONCE_BYTES);
  const body = new Uint8Array(BODY_BYTES);
  new DataView(body.buffer).setUint16(0, encoded.length);
  body.set(encoded, 2);
  return concatBytes(nonce, await env.crypto.seal(linkKey, nonce, offerAad(linkId), body));
}

/** Undefined when the blob was not sealed for this seed. Does not verify the bundle inside. */
export async function openInviteOffer(
  seed: Uint8Array,
  blob: Uint8Array,
  crypto: CryptoBackend,
): Promise<InviteOffer | undefined> {
  if (blob.length !== SEALED_OFFER_BYTES) return undefined;
  const { linkId, linkKey } = deriveInviteKeys(seed);
  const body = await crypto.open(
    linkKey,
    blob.slice(0, NONCE_BYTES),
    offerAad(linkId),
    blob.slice(NONCE_BYTES),
  );
  if (body === undefined) return undefined;
  const length = new DataView(body.buffer, body.byteOffset).getUint16(0);
  const end = 2 + length;
  if (end > body.length || !isZero(body.subarray(end))) return undefined;
  const decoded = decodeInviteOffer(body.slice(2, end));
  return decoded.ok ? decoded.value : undefined;
}

const offerAad = (linkId: LinkId): Uint8Array =>
  concatBytes(utf8ToBytes(LABELS.inviteOffer), Uint8Array.of(0), linkId);
