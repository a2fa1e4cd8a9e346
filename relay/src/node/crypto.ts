/**
 * The relay's cryptography: OpenSSL where it gives the same bytes faster, noble for the rest.
 * Signatures are verified by noble alone, so that relay and clients never disagree about a key.
 */
import {
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  type KeyObject,
  sign as opensslSign,
} from "node:crypto";
import { type CryptoBackend, nobleBackend } from "@sotto/crypto";

/** DER headers of RFC 8410 keys; the 32 raw bytes follow. */
const PRIVATE_X25519 = Buffer.from("302e020100300506032b656e04220420", "hex");
const PUBLIC_X25519 = Buffer.from("302a300506032b656e032100", "hex");
const PRIVATE_ED25519 = Buffer.from("302e020100300506032b657004220420", "hex");

const privateKey = (header: Buffer, secret: Uint8Array): KeyObject =>
  createPrivateKey({ key: Buffer.concat([header, secret]), format: "der", type: "pkcs8" });

const rawPublic = (secret: KeyObject): Uint8Array =>
  new Uint8Array(createPublicKey(secret).export({ format: "der", type: "spki" }).subarray(-32));

export const nodeBackend: CryptoBackend = {
  ...nobleBackend,
  name: "node",
  dhPublic: (secret) => rawPublic(privateKey(PRIVATE_X25519, secret)),
  /** Throws for an all-zero result. A non-canonical key is another name for a canonical one, which no queue knows. */
  dh: (secret, remotePublic) =>
    new Uint8Array(
      diffieHellman({
        privateKey: privateKey(PRIVATE_X25519, secret),
        publicKey: createPublicKey({
          key: Buffer.concat([PUBLIC_X25519, remotePublic]),
          format: "der",
          type: "spki",
        }),
      }),
    ),
  signPublic: (seed) => rawPublic(privateKey(PRIVATE_ED25519, seed)),
  sign: (seed, message) =>
    new Uint8Array(opensslSign(null, message, privateKey(PRIVATE_ED25519, seed))),
};
