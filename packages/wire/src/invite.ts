/**
 * Invites: the short link people pass on, and the sealed blob at the relay that it opens.
 * Owns: layout and the text forms of the two links. Leaves to crypto/invite.ts: keys derived from the seed.
 * Spec: SPEC.md §5.
 */
import { type QueueAddress, readAddresses, writeAddresses } from "./address.ts";
import { ACCOUNT_ID_BYTES, type AccountId, asAccountId } from "./brand.ts";
import { decodeBundle, encodeBundle, type PrekeyBundle, BUNDLE_BYTES_MAX } from "./bundle.ts";
import {
  base64UrlToBytes,
  bytesToBase64Url,
  createWriter,
  decodeWith,
  type Decoded,
  refuse,
} from "./bytes.ts";
import { isName, NAME_BYTES_MAX } from "./name.ts";

export const INVITE_VERSION = 1;
export const INVITE_SEED_BYTES = 16;
export const RELAY_PIN_BYTES = 16;
/** version 1 | seed 16 | account id 20 | relay pin 16: 71 characters of base64url. */
export const INVITE_BYTES = 53;
/** QR version 6 at level M, so that a phone reads it from a screen. */
export const INVITE_LINK_CHARACTERS_MAX = 106;
/** Pasted text that is searched for an invite: a long letter around it. The search takes the square of it at worst. */
export const INVITE_TEXT_CHARACTERS_MAX = 8_192;
/** Both as long as each other, so that both links fit into the same QR code. */
export const LINK_PATHS = { contact: "/i#", device: "/d#" } as const;
export const INVITE_BLOB_BYTES_MAX = 4_096;

/** contact: for somebody else. device: for another device of the account that made it, and of no use to others. */
export type InvitePurpose = keyof typeof LINK_PATHS;

export interface Invite {
  /** 16 random bytes; everything secret about the invite derives from it. Only ever in a URL fragment. */
  readonly seed: Uint8Array;
  /** Binds the link to the inviter's root key, so that a relay cannot answer in its place. */
  readonly accountId: AccountId;
  /** SHA-256 of the relay's Ed25519 key, first 16 bytes. */
  readonly relayPin: Uint8Array;
}

/** What the inviter leaves at the relay, sealed under a key derived from the seed. */
export interface InviteOffer {
  readonly bundle: PrekeyBundle;
  /** Where it reads: 1 to ADDRESSES_MAX, ordered by preference. */
  readonly addresses: readonly QueueAddress[];
  /** The inviter's name, so that the invitee's first screen can say it. */
  readonly name: string;
}

export const encodeInvite = (invite: Invite): Uint8Array<ArrayBuffer> =>
  createWriter()
    .u8(INVITE_VERSION)
    .raw(invite.seed)
    .raw(invite.accountId)
    .raw(invite.relayPin)
    .done();

export const decodeInvite = (bytes: Uint8Array): Decoded<Invite> =>
  decodeWith(bytes, INVITE_BYTES, (reader) => {
    if (reader.u8() !== INVITE_VERSION) refuse("unknown-type");
    return {
      seed: reader.take(INVITE_SEED_BYTES),
      accountId: asAccountId(reader.take(ACCOUNT_ID_BYTES)),
      relayPin: reader.take(RELAY_PIN_BYTES),
    };
  });

/** `<origin>/i#<71 characters>`, or with `/d#` for a device. `origin` is the relay that also serves the app. */
export const inviteToLink = (origin: string, invite: Invite, purpose: InvitePurpose): string =>
  `${origin}${LINK_PATHS[purpose]}${bytesToBase64Url(encodeInvite(invite))}`;

export interface FoundInvite {
  readonly origin: string | undefined;
  readonly purpose: InvitePurpose;
  readonly invite: Invite;
}

/**
 * Finds an invite in whatever someone pasted: a link, with a query or without, in a sentence too, or the bare code,
 * which is always for a contact.
 */
export function linkToInvite(text: string): Decoded<FoundInvite> {
  if (text.length > INVITE_TEXT_CHARACTERS_MAX) return { ok: false, reason: "too-large" };
  const match =
    /(?:(https?:\/\/[^\s/?#]+)\/([id])(?:\?[^\s#]*)?#|^\s*)([A-Za-z0-9_-]{71})(?![A-Za-z0-9_-])/i.exec(
      text,
    );
  const bytes = match?.[3] === undefined ? undefined : base64UrlToBytes(match[3]);
  if (bytes === undefined) return { ok: false, reason: "malformed" };
  const decoded = decodeInvite(bytes);
  if (!decoded.ok) return decoded;
  const purpose = match?.[2]?.toLowerCase() === "d" ? "device" : "contact";
  return { ok: true, value: { origin: match?.[1]?.toLowerCase(), purpose, invite: decoded.value } };
}

export const encodeInviteOffer = (offer: InviteOffer): Uint8Array<ArrayBuffer> =>
  writeAddresses(createWriter().block(encodeBundle(offer.bundle)), offer.addresses)
    .text(offer.name)
    .done();

export const decodeInviteOffer = (bytes: Uint8Array): Decoded<InviteOffer> =>
  decodeWith(bytes, INVITE_BLOB_BYTES_MAX, (reader) => {
    const bundle = decodeBundle(reader.block(BUNDLE_BYTES_MAX));
    if (!bundle.ok) return refuse(bundle.reason);
    const addresses = readAddresses(reader);
    const name = reader.text(NAME_BYTES_MAX);
    return isName(name) ? { bundle: bundle.value, addresses, name } : refuse("malformed");
  });
