/**
 * The platform's own cryptography through SubtleCrypto. Fast where it exists; not everything exists everywhere.
 * Owns: bytes in, bytes out. Keys are imported for each call and cannot be extracted. Keeping them for the next call
 * would save up to a third of an exchange, and outlive the secrets that a ratchet deletes. They are never stored: one
 * browser loses the whole record when a key of this kind is put into IndexedDB.
 * Leaves to choose.ts: what this platform does not know or does wrong (some sign with fresh randomness).
 */
import type { CryptoBackend } from "@sotto/crypto";
import { base64UrlToBytes } from "./base64.ts";
import { backendOf, confirmed, type Engine, MissingOperation } from "./engine.ts";

export interface WebCryptoOptions {
  /** Undefined on a page without TLS: then there is no engine operation at all. */
  readonly subtle: SubtleCrypto | undefined;
  /** False leaves out ML-KEM and ChaCha20-Poly1305, about which Node prints a warning. */
  readonly drafts: boolean;
}

/** DER headers of private keys (RFC 8410 §7); the 32 raw bytes follow. */
const PRIVATE_X25519 = [48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 110, 4, 34, 4, 32];
const PRIVATE_ED25519 = [48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32];
/** u = 9 (RFC 7748 §4.1): cheaper than exporting the public half in every browser. */
const BASE_POINT = Uint8Array.from({ length: 32 }, (_, index) => (index === 0 ? 9 : 0));
const KEM = "ML-KEM-768";
const AEAD = "ChaCha20-Poly1305";

export function createWebCryptoEngine({ subtle, drafts }: WebCryptoOptions): Engine {
  const operations = subtle === undefined ? {} : operationsOf(subtle, drafts);
  return { name: "webcrypto", operations };
}

function operationsOf(subtle: SubtleCrypto, drafts: boolean): Engine["operations"] {
  const known = methodsOf(subtle);

  async function exchange(secret: Uint8Array, point: Uint8Array): Promise<Uint8Array> {
    const [own, remote] = await orMissing(() =>
      Promise.all([
        importPrivate(PRIVATE_X25519, secret, "X25519", false, ["deriveBits"]),
        subtle.importKey("raw", copyOf(point), "X25519", false, []),
      ]),
    );
    return new Uint8Array(await subtle.deriveBits({ name: "X25519", public: remote }, own, 256));
  }

  async function importPrivate(
    header: readonly number[],
    secret: Uint8Array,
    algorithm: string,
    extractable: boolean,
    usages: KeyUsage[],
  ): Promise<CryptoKey> {
    const encoded = Uint8Array.from([...header, ...secret]);
    try {
      return await subtle.importKey("pkcs8", encoded, algorithm, extractable, usages);
    } finally {
      encoded.fill(0);
    }
  }

  async function signPublic(seed: Uint8Array): Promise<Uint8Array> {
    // The one key that can be extracted: its public half comes out in no other way. Gone after this call.
    const key = await orMissing(() =>
      importPrivate(PRIVATE_ED25519, seed, "Ed25519", true, ["sign"]),
    );
    const { x } = await subtle.exportKey("jwk", key);
    if (x === undefined) throw new Error("no public half");
    return base64UrlToBytes(x);
  }

  async function sign(seed: Uint8Array, message: Uint8Array): Promise<Uint8Array> {
    const key = await orMissing(() =>
      importPrivate(PRIVATE_ED25519, seed, "Ed25519", false, ["sign"]),
    );
    return new Uint8Array(await subtle.sign("Ed25519", key, copyOf(message)));
  }

  async function verify(
    publicKey: Uint8Array,
    message: Uint8Array,
    signature: Uint8Array,
  ): Promise<boolean> {
    // All at once: what is checked is what was asked.
    const [encoded, text, signed] = [copyOf(publicKey), copyOf(message), copyOf(signature)];
    let key: CryptoKey;
    try {
      key = await orMissing(() => subtle.importKey("raw", encoded, "Ed25519", false, ["verify"]));
    } catch (error) {
      // Its word for bytes that are no point, where it looks at once. Nobody takes a signature for them.
      if (nameOf(error) === "DataError") return false;
      throw error;
    }
    return subtle.verify("Ed25519", key, signed, text);
  }

  const importKem = (seed: Uint8Array): Promise<CryptoKey> =>
    orMissing(() => known.importKey("raw-seed", copyOf(seed), KEM, false, ["decapsulateBits"]));

  async function kemPublic(seed: Uint8Array): Promise<Uint8Array> {
    const secret = await importKem(seed);
    const key = await orMissing(() => known.getPublicKey(secret, ["encapsulateBits"]));
    return new Uint8Array(await known.exportKey("raw-public", key));
  }

  async function decaps(seed: Uint8Array, ciphertext: Uint8Array): Promise<Uint8Array> {
    const key = await importKem(seed);
    return new Uint8Array(await known.decapsulateBits(KEM, key, copyOf(ciphertext)));
  }

  const importAead = (key: Uint8Array, usage: KeyUsage): Promise<CryptoKey> =>
    orMissing(() => known.importKey("raw-secret", copyOf(key), AEAD, false, [usage]));

  const aeadParameters = (nonce: Uint8Array, aad: Uint8Array): AeadParams => ({
    name: AEAD,
    iv: copyOf(nonce),
    additionalData: copyOf(aad),
    tagLength: 128,
  });

  async function seal(
    key: Uint8Array,
    nonce: Uint8Array,
    aad: Uint8Array,
    plaintext: Uint8Array,
  ): Promise<Uint8Array> {
    const imported = await importAead(key, "encrypt");
    const parameters = aeadParameters(nonce, aad);
    return new Uint8Array(await subtle.encrypt(parameters, imported, copyOf(plaintext)));
  }

  async function open(
    key: Uint8Array,
    nonce: Uint8Array,
    aad: Uint8Array,
    sealed: Uint8Array,
  ): Promise<Uint8Array | undefined> {
    const imported = await importAead(key, "decrypt");
    try {
      const parameters = aeadParameters(nonce, aad);
      return new Uint8Array(await subtle.decrypt(parameters, imported, copyOf(sealed)));
    } catch (error) {
      // Only `decrypt` itself is asked here, and this is its word for a tag that does not fit. Not for that alone.
      if (nameOf(error) === "OperationError") return undefined;
      throw error;
    }
  }

  return {
    dh: exchange,
    dhPublic: (secret) => exchange(secret, BASE_POINT),
    signPublic,
    sign,
    ...(isWebKit() ? {} : { verify }),
    ...(drafts ? { kemPublic, decaps, seal, open: confirmed(open) } : {}),
  };
}

/**
 * WebKit is not asked about signatures: on its port to GTK a made-up signature, of the right form and under a key on the
 * curve, stopped the page instead of being refused. Nothing that does so can be tried out first, so the name has to do;
 * every browser on iOS is WebKit, whatever else it says.
 */
function isWebKit(): boolean {
  // Not everything that runs this has a navigator.
  const userAgent = typeof navigator === "undefined" ? "" : navigator.userAgent;
  return userAgent.includes("AppleWebKit/") && !userAgent.includes("Chrome/");
}

/** The methods that TypeScript's own types do not know yet, or not with these formats. */
interface Drafts {
  importKey(
    format: "raw-seed" | "raw-secret",
    bytes: Uint8Array<ArrayBuffer>,
    algorithm: string,
    extractable: boolean,
    usages: readonly string[],
  ): Promise<CryptoKey>;
  getPublicKey(key: CryptoKey, usages: readonly string[]): Promise<CryptoKey>;
  exportKey(format: "raw-public", key: CryptoKey): Promise<ArrayBuffer>;
  decapsulateBits(
    algorithm: string,
    key: CryptoKey,
    ciphertext: Uint8Array<ArrayBuffer>,
  ): Promise<ArrayBuffer>;
}
type AeadParams = AesGcmParams;

// A platform without them throws a TypeError at the call, which `orMissing` understands.
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the standard's draft, ahead of the types
const methodsOf = (subtle: SubtleCrypto): Drafts => subtle as unknown as Drafts;

/** What platforms say to an algorithm, a key format or a method that they do not know. */
const UNKNOWN: ReadonlySet<string> = new Set(["NotSupportedError", "SyntaxError", "TypeError"]);

async function orMissing<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw UNKNOWN.has(nameOf(error)) ? new MissingOperation(error) : error;
  }
}

const nameOf = (error: unknown): string => (error instanceof Error ? error.name : "");

/** Bytes that nobody changes while the platform reads them. */
const copyOf = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array(bytes);

/** With everything the platform knows: for tests of it. ML-KEM and sealing reject where there are none. */
export const webCryptoBackend: CryptoBackend = backendOf(
  createWebCryptoEngine({ subtle: globalThis.crypto.subtle, drafts: true }),
);
