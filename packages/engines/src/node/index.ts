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
  diffieHellman,
  type KeyObject,
  type RawPublicKeyInput,
  sign as opensslSign,
  verify as opensslVerify,
} from "node:crypto";
import * as nodeCrypto from "node:crypto";
import type { CryptoBackend } from "@sotto/crypto";
import { equalBytes, KEM_PUBLIC_BYTES } from "@sotto/wire";
import { backendOf, confirmed, type Engine, MissingOperation, TAG_BYTES } from "../engine.ts";

/** What DER has in front of the raw bytes of a key (RFC 8410, RFC 9935). */
const SEED_ML_KEM = Buffer.from("3054020100300b060960864801650304040204428040", "hex");
const AEAD = "chacha20-poly1305";

interface Curve {
  readonly name: "x25519" | "ed25519";
  readonly privateHeader: Buffer;
  readonly publicHeader: Buffer;
  /** By the array that a secret is in, and for as long as it is: see `privateKey`. */
  readonly kept: WeakMap<Uint8Array, { readonly secret: Uint8Array; readonly key: KeyObject }>;
}

const curve = (name: Curve["name"], objectId: string): Curve => ({
  name,
  privateHeader: Buffer.from(`302e0201003005${objectId}04220420`, "hex"),
  publicHeader: Buffer.from(`302a3005${objectId}032100`, "hex"),
  kept: new WeakMap(),
});

const X25519 = curve("x25519", "06032b656e");
const ED25519 = curve("ed25519", "06032b6570");

/** Newer versions of Node read the bytes of a key as they are, which takes a third less than DER. */
const takesRaw = ((): boolean => {
  try {
    return createPublicKey(rawPublic(X25519, Buffer.alloc(32, 9))).type === "public";
  } catch {
    return false;
  }
})();

function rawPublic({ name }: Curve, key: Buffer): RawPublicKeyInput {
  return { key, format: "raw-public", asymmetricKeyType: name };
}

/**
 * OpenSSL multiplies to read a private key, which takes longer than what is then done with it. A ratchet secret has a
 * public half and two exchanges, an ephemeral one three, and a device signs with one seed for as long as it lives: so
 * the key is kept for as long as the array with its secret is.
 */
function privateKey(of: Curve, secret: Uint8Array): KeyObject {
  const known = of.kept.get(secret);
  // The array may hold another secret by now.
  if (known !== undefined && equalBytes(known.secret, secret)) return known.key;
  const key = takesRaw ? readRaw(of, secret) : readPrivate(of.privateHeader, secret);
  of.kept.set(secret, { secret: Uint8Array.from(secret), key });
  return key;
}

function readRaw({ name }: Curve, secret: Uint8Array): KeyObject {
  const key = Buffer.from(secret);
  try {
    return createPrivateKey({ key, format: "raw-private", asymmetricKeyType: name });
  } finally {
    key.fill(0);
  }
}

function readPrivate(header: Buffer, secret: Uint8Array): KeyObject {
  const key = Buffer.concat([header, secret]);
  try {
    return createPrivateKey({ key, format: "der", type: "pkcs8" });
  } finally {
    key.fill(0);
  }
}

const publicKey = (of: Curve, key: Uint8Array): KeyObject =>
  createPublicKey(
    takesRaw
      ? rawPublic(of, Buffer.from(key.buffer, key.byteOffset, key.length))
      : { key: Buffer.concat([of.publicHeader, key]), format: "der", type: "spki" },
  );

/** As a JWK: OpenSSL's encoder of DER takes as long as the multiplication. The secret half stays where it is. */
function curvePublic(secret: KeyObject): Uint8Array {
  const { x } = createPublicKey(secret).export({ format: "jwk" });
  if (x === undefined) throw new Error("no public half");
  return new Uint8Array(Buffer.from(x, "base64url"));
}

/** Older versions of Node and of its OpenSSL have no ML-KEM. */
function kemKey(seed: Uint8Array): KeyObject {
  try {
    return readPrivate(SEED_ML_KEM, seed);
  } catch (error) {
    throw new MissingOperation(error);
  }
}

export const nodeEngine: Engine = {
  name: "node",
  operations: {
    dhPublic: (secret) => curvePublic(privateKey(X25519, secret)),
    dh: (secret, remotePublic) =>
      new Uint8Array(
        diffieHellman({
          privateKey: privateKey(X25519, secret),
          publicKey: publicKey(X25519, remotePublic),
        }),
      ),
    signPublic: (seed) => curvePublic(privateKey(ED25519, seed)),
    sign: (seed, message) => new Uint8Array(opensslSign(null, message, privateKey(ED25519, seed))),
    verify: (key, message, signature) =>
      opensslVerify(null, message, publicKey(ED25519, key), signature),
    kemPublic(seed) {
      const encoded = createPublicKey(kemKey(seed)).export({ format: "der", type: "spki" });
      // The key itself is what stands last.
      return new Uint8Array(encoded.subarray(-KEM_PUBLIC_BYTES));
    },
    decaps(seed, ciphertext) {
      const key = kemKey(seed);
      // An import of its name would keep the whole file from loading in a version of Node that has none.
      if (!("decapsulate" in nodeCrypto)) throw new MissingOperation();
      return new Uint8Array(nodeCrypto.decapsulate(key, ciphertext));
    },
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
 * The same for whoever need not answer in order: signatures are checked on other threads, and the exchanges of a
 * handshake go on meanwhile. Making one takes less than the way to another thread and back, and nothing goes on beside it.
 */
export const nodePoolEngine: Engine = {
  ...nodeEngine,
  operations: {
    ...nodeEngine.operations,
    verify: (key, message, signature) =>
      new Promise((resolve, reject) => {
        opensslVerify(null, message, publicKey(ED25519, key), signature, (error, taken) => {
          if (error === null) resolve(taken);
          else reject(error);
        });
      }),
  },
};

/** What a relay uses. The known answers are checked by this package's tests on every supported version of Node. */
export const nodeBackend: CryptoBackend = backendOf(nodeEngine);
