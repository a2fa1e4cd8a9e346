/**
 * Every primitive of suite 1 in four independent implementations: our own calls, OpenSSL, the platform's WebCrypto
 * and libsignal (in @sotto/peers), as far as each has it.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  decapsulate,
  diffieHellman,
  encapsulate,
  hkdfSync,
  type KeyObject,
  sign,
  verify,
  webcrypto,
} from "node:crypto";
import { hkdfSha256, hmacSha256, nobleBackend, nobleFileEngine, sha256 } from "@sotto/crypto";

type Bytes = Uint8Array<ArrayBuffer>;
type Answer<T> = T | Promise<T>;

interface Cipher {
  seal(key: Bytes, nonce: Bytes, aad: Bytes, plaintext: Bytes): Answer<Uint8Array>;
  /** Undefined when the tag does not fit. */
  open(key: Bytes, nonce: Bytes, aad: Bytes, sealed: Bytes): Answer<Uint8Array | undefined>;
}

/** Shapes as in the contract of @sotto/crypto. Missing: it does not have it. */
export interface Implementation {
  readonly name: string;
  dhPublic?(secret: Bytes): Answer<Uint8Array>;
  dh?(secret: Bytes, remotePublic: Bytes): Answer<Uint8Array>;
  signPublic?(seed: Bytes): Answer<Uint8Array>;
  sign?(seed: Bytes, message: Bytes): Answer<Uint8Array>;
  verify?(publicKey: Bytes, message: Bytes, signature: Bytes): Answer<boolean>;
  sha256?(bytes: Bytes): Answer<Uint8Array>;
  hmac?(key: Bytes, bytes: Bytes): Answer<Uint8Array>;
  hkdf?(ikm: Bytes, salt: Bytes, info: Bytes, length: number): Answer<Uint8Array>;
  readonly chacha?: Cipher;
  readonly aesGcm?: Cipher;
  kemPublic?(seed: Bytes): Answer<Uint8Array>;
  encaps?(
    publicKey: Bytes,
    randomness: Bytes,
  ): Answer<{ readonly ciphertext: Uint8Array; readonly sharedSecret: Uint8Array }>;
  decaps?(seed: Bytes, ciphertext: Bytes): Answer<Uint8Array>;
}

export const ours: Required<Implementation> = {
  ...nobleBackend,
  name: "Sotto",
  sha256,
  hmac: hmacSha256,
  hkdf: hkdfSha256,
  chacha: nobleBackend,
  aesGcm: nobleFileEngine,
};

/** DER headers of raw keys (RFC 8410; ML-KEM: RFC 9935, the seed form). */
const HEADERS = {
  x25519Secret: "302e020100300506032b656e04220420",
  x25519Public: "302a300506032b656e032100",
  ed25519Secret: "302e020100300506032b657004220420",
  ed25519Public: "302a300506032b6570032100",
  mlKemSecret: "3054020100300b060960864801650304040204428040",
  mlKemPublic: "308204b2300b0609608648016503040402038204a100",
} as const;

const der = (header: keyof typeof HEADERS, bytes: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from(HEADERS[header], "hex"), bytes]);
const secretKey = (header: keyof typeof HEADERS, bytes: Uint8Array): KeyObject =>
  createPrivateKey({ key: der(header, bytes), format: "der", type: "pkcs8" });
const publicKey = (header: keyof typeof HEADERS, bytes: Uint8Array): KeyObject =>
  createPublicKey({ key: der(header, bytes), format: "der", type: "spki" });
const rawPublic = (secret: KeyObject, length: number): Buffer =>
  createPublicKey(secret).export({ format: "der", type: "spki" }).subarray(-length);

const opensslCipher = (name: "chacha20-poly1305" | "aes-256-gcm"): Cipher => ({
  seal(key, nonce, aad, plaintext) {
    const cipher = createCipheriv(name as "aes-256-gcm", key, nonce, { authTagLength: 16 });
    cipher.setAAD(aad, { plaintextLength: plaintext.length });
    return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
  },
  open(key, nonce, aad, sealed) {
    const cipher = createDecipheriv(name as "aes-256-gcm", key, nonce, { authTagLength: 16 });
    cipher.setAAD(aad, { plaintextLength: sealed.length - 16 });
    cipher.setAuthTag(sealed.subarray(-16));
    try {
      return Buffer.concat([cipher.update(sealed.subarray(0, -16)), cipher.final()]);
    } catch {
      return undefined;
    }
  },
});

export const openssl: Implementation = {
  name: "OpenSSL",
  dhPublic: (secret) => rawPublic(secretKey("x25519Secret", secret), 32),
  dh: (secret, remote) =>
    diffieHellman({
      privateKey: secretKey("x25519Secret", secret),
      publicKey: publicKey("x25519Public", remote),
    }),
  signPublic: (seed) => rawPublic(secretKey("ed25519Secret", seed), 32),
  sign: (seed, message) => sign(null, message, secretKey("ed25519Secret", seed)),
  verify: (key, message, signature) =>
    verify(null, message, publicKey("ed25519Public", key), signature),
  sha256: (bytes) => createHash("sha256").update(bytes).digest(),
  hmac: (key, bytes) => createHmac("sha256", key).update(bytes).digest(),
  hkdf: (ikm, salt, info, length) => new Uint8Array(hkdfSync("sha256", ikm, salt, info, length)),
  chacha: opensslCipher("chacha20-poly1305"),
  aesGcm: opensslCipher("aes-256-gcm"),
  kemPublic: (seed) => rawPublic(secretKey("mlKemSecret", seed), 1_184),
  // OpenSSL draws its own randomness here: only the secret of both sides can be compared.
  encaps(key) {
    const { ciphertext, sharedKey } = encapsulate(publicKey("mlKemPublic", key));
    return { ciphertext, sharedSecret: sharedKey };
  },
  decaps: (seed, ciphertext) => decapsulate(secretKey("mlKemSecret", seed), ciphertext),
};

/** What Node's types do not know yet of the WebCrypto draft. */
interface Drafts {
  importKey(
    format: "raw-seed" | "raw-public" | "raw-secret",
    key: Bytes,
    algorithm: string,
    extractable: boolean,
    usages: readonly string[],
  ): Promise<CryptoKey>;
  encapsulateBits(
    algorithm: string,
    key: CryptoKey,
  ): Promise<{ readonly ciphertext: ArrayBuffer; readonly sharedKey: ArrayBuffer }>;
  decapsulateBits(algorithm: string, key: CryptoKey, ciphertext: Bytes): Promise<ArrayBuffer>;
}

const subtle = webcrypto.subtle as unknown as SubtleCrypto;
const drafts = webcrypto.subtle as unknown as Drafts;
const KEM = "ML-KEM-768";

const raw = async (bytes: Promise<ArrayBuffer>): Promise<Uint8Array> => new Uint8Array(await bytes);
const copyOf = (bytes: Uint8Array): Bytes => Uint8Array.from(bytes);
const pkcs8 = (
  header: keyof typeof HEADERS,
  secret: Uint8Array,
  algorithm: string,
  usage: KeyUsage,
): Promise<CryptoKey> =>
  subtle.importKey("pkcs8", copyOf(der(header, secret)), algorithm, true, [usage]);

/** The platform gives public halves of secret keys as JWK only. */
async function jwkPublic(key: CryptoKey): Promise<Uint8Array> {
  const { x = "" } = await subtle.exportKey("jwk", key);
  return Buffer.from(x, "base64url");
}

const webCipher = (
  name: "ChaCha20-Poly1305" | "AES-GCM",
  load: (key: Bytes, usage: KeyUsage) => Promise<CryptoKey>,
): Cipher => ({
  seal: async (key, iv, additionalData, plaintext) =>
    raw(subtle.encrypt({ name, iv, additionalData }, await load(key, "encrypt"), plaintext)),
  async open(key, iv, additionalData, sealed) {
    const loaded = await load(key, "decrypt");
    try {
      return await raw(subtle.decrypt({ name, iv, additionalData }, loaded, sealed));
    } catch {
      return undefined;
    }
  },
});

export const webCrypto: Implementation = {
  name: "WebCrypto",
  dhPublic: async (secret) =>
    jwkPublic(await pkcs8("x25519Secret", secret, "X25519", "deriveBits")),
  async dh(secret, remote) {
    const key = await pkcs8("x25519Secret", secret, "X25519", "deriveBits");
    const other = await subtle.importKey("raw", remote, "X25519", false, []);
    return raw(subtle.deriveBits({ name: "X25519", public: other }, key, 256));
  },
  signPublic: async (seed) => jwkPublic(await pkcs8("ed25519Secret", seed, "Ed25519", "sign")),
  sign: async (seed, message) =>
    raw(subtle.sign("Ed25519", await pkcs8("ed25519Secret", seed, "Ed25519", "sign"), message)),
  async verify(key, message, signature) {
    const loaded = await subtle.importKey("raw", key, "Ed25519", false, ["verify"]);
    return subtle.verify("Ed25519", loaded, signature, message);
  },
  sha256: (bytes) => raw(subtle.digest("SHA-256", bytes)),
  async hmac(key, bytes) {
    const algorithm = { name: "HMAC", hash: "SHA-256" };
    const loaded = await subtle.importKey("raw", key, algorithm, false, ["sign"]);
    return raw(subtle.sign("HMAC", loaded, bytes));
  },
  async hkdf(ikm, salt, info, length) {
    const key = await subtle.importKey("raw", ikm, "HKDF", false, ["deriveBits"]);
    return raw(subtle.deriveBits({ name: "HKDF", hash: "SHA-256", salt, info }, key, length * 8));
  },
  chacha: webCipher("ChaCha20-Poly1305", (key, usage) =>
    drafts.importKey("raw-secret", key, "ChaCha20-Poly1305", false, [usage]),
  ),
  aesGcm: webCipher("AES-GCM", (key, usage) =>
    subtle.importKey("raw", key, "AES-GCM", false, [usage]),
  ),
  async encaps(key) {
    const loaded = await drafts.importKey("raw-public", key, KEM, false, ["encapsulateBits"]);
    const { ciphertext, sharedKey } = await drafts.encapsulateBits(KEM, loaded);
    return { ciphertext: new Uint8Array(ciphertext), sharedSecret: new Uint8Array(sharedKey) };
  },
  async decaps(seed, ciphertext) {
    const loaded = await drafts.importKey("raw-seed", seed, KEM, false, ["decapsulateBits"]);
    return raw(drafts.decapsulateBits(KEM, loaded, ciphertext));
  },
};
