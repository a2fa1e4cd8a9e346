/**
 * OpenSSL through node:crypto: synchronous, so that a relay answers in the order it was asked.
 * Leaves out encapsulation, which would draw its own randomness.
 * Spec: crypto/SPEC.md §1.
 */
import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  decapsulate,
  diffieHellman,
  type KeyObject,
  sign as opensslSign,
  verify as opensslVerify,
} from "node:crypto";
import type { CryptoBackend } from "@sotto/crypto";
import { equalBytes, KEM_PUBLIC_BYTES } from "@sotto/wire";
import { backendOf, confirmed, type Engine, MissingOperation, TAG_BYTES } from "../engine.ts";

/** DER headers of RFC 8410 and RFC 9935 keys; the raw bytes follow. */
const PRIVATE_X25519 = Buffer.from("302e020100300506032b656e04220420", "hex");
const PUBLIC_X25519 = Buffer.from("302a300506032b656e032100", "hex");
const PUBLIC_ED25519 = Buffer.from("302a300506032b6570032100", "hex");
const PRIVATE_ED25519 = Buffer.from("302e020100300506032b657004220420", "hex");
const SEED_ML_KEM = Buffer.from("3054020100300b060960864801650304040204428040", "hex");
const AEAD = "chacha20-poly1305";

function privateKey(header: Buffer, secret: Uint8Array): KeyObject {
  const key = Buffer.concat([header, secret]);
  try {
    return createPrivateKey({ key, format: "der", type: "pkcs8" });
  } finally {
    key.fill(0);
  }
}

const publicKey = (header: Buffer, key: Uint8Array): KeyObject =>
  createPublicKey({ key: Buffer.concat([header, key]), format: "der", type: "spki" });

/** As a JWK: OpenSSL's encoder of DER takes as long as the multiplication. The secret half stays where it is. */
function curvePublic(secret: KeyObject): Uint8Array {
  const { x } = createPublicKey(secret).export({ format: "jwk" });
  if (x === undefined) throw new Error("no public half");
  return new Uint8Array(Buffer.from(x, "base64url"));
}

/**
 * OpenSSL multiplies to read a private key, which takes longer than the signature. One device signs with the same seed
 * for as long as it lives, so the key is kept for as long as that seed is.
 */
const signingKeys = new WeakMap<
  Uint8Array,
  { readonly seed: Uint8Array; readonly key: KeyObject }
>();

function signingKey(seed: Uint8Array): KeyObject {
  const known = signingKeys.get(seed);
  // The array may hold another seed by now.
  if (known !== undefined && equalBytes(known.seed, seed)) return known.key;
  const key = privateKey(PRIVATE_ED25519, seed);
  signingKeys.set(seed, { seed: Uint8Array.from(seed), key });
  return key;
}

/** Older versions of Node and of its OpenSSL have no ML-KEM. */
function kemKey(seed: Uint8Array): KeyObject {
  try {
    return privateKey(SEED_ML_KEM, seed);
  } catch (error) {
    throw new MissingOperation(error);
  }
}

export const nodeEngine: Engine = {
  name: "node",
  operations: {
    dhPublic: (secret) => curvePublic(privateKey(PRIVATE_X25519, secret)),
    dh: (secret, remotePublic) =>
      new Uint8Array(
        diffieHellman({
          privateKey: privateKey(PRIVATE_X25519, secret),
          publicKey: publicKey(PUBLIC_X25519, remotePublic),
        }),
      ),
    signPublic: (seed) => curvePublic(privateKey(PRIVATE_ED25519, seed)),
    sign: (seed, message) => new Uint8Array(opensslSign(null, message, signingKey(seed))),
    verify: (key, message, signature) =>
      opensslVerify(null, message, publicKey(PUBLIC_ED25519, key), signature),
    kemPublic(seed) {
      const encoded = createPublicKey(kemKey(seed)).export({ format: "der", type: "spki" });
      // The key itself is what stands last.
      return new Uint8Array(encoded.subarray(-KEM_PUBLIC_BYTES));
    },
    decaps: (seed, ciphertext) => new Uint8Array(decapsulate(kemKey(seed), ciphertext)),
    seal(key, nonce, aad, plaintext) {
      const cipher = createCipheriv(AEAD, key, nonce, { authTagLength: TAG_BYTES });
      cipher.setAAD(aad, { plaintextLength: plaintext.length });
      const parts = [cipher.update(plaintext), cipher.final(), cipher.getAuthTag()];
      return new Uint8Array(Buffer.concat(parts));
    },
    open: confirmed((key, nonce, aad, sealed) => {
      const end = sealed.length - TAG_BYTES;
      const cipher = createDecipheriv(AEAD, key, nonce, { authTagLength: TAG_BYTES });
      cipher.setAAD(aad, { plaintextLength: end });
      cipher.setAuthTag(sealed.subarray(end));
      const plaintext = cipher.update(sealed.subarray(0, end));
      try {
        cipher.final();
      } catch {
        // All the last step checks is the tag, and what else can go wrong in it looks the same.
        return undefined;
      }
      return new Uint8Array(plaintext);
    }),
  },
};

/**
 * The same for whoever need not answer in order: signatures are made and checked on other threads, and the exchanges of
 * a handshake go on meanwhile.
 */
export const nodePoolEngine: Engine = {
  ...nodeEngine,
  operations: {
    ...nodeEngine.operations,
    sign: (seed, message) =>
      new Promise((resolve, reject) => {
        opensslSign(null, message, signingKey(seed), (error, signature) => {
          if (error === null) resolve(new Uint8Array(signature));
          else reject(error);
        });
      }),
    verify: (key, message, signature) =>
      new Promise((resolve, reject) => {
        opensslVerify(null, message, publicKey(PUBLIC_ED25519, key), signature, (error, taken) => {
          if (error === null) resolve(taken);
          else reject(error);
        });
      }),
  },
};

/** What a relay uses. The known answers are checked by this package's tests on every supported version of Node. */
export const nodeBackend: CryptoBackend = backendOf(nodeEngine);
