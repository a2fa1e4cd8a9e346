/**
 * Files through SubtleCrypto, with the reference engine behind it: AES-GCM and SHA-256 exist on every platform that
 * has SubtleCrypto at all, run outside the page's own thread, and may still fail at any call.
 * Owns: which of the two answers. Leaves to crypto/file-stream.ts: what is sealed, and in what order.
 * Spec: crypto/SPEC.md §12.
 */
import { type FileEngine, nobleFileEngine } from "@sotto/crypto";
import { equalBytes } from "@sotto/wire";

const NAME = "AES-GCM";
/** Long enough for every path through a block cipher in counter mode: whole blocks, and a rest. */
const PROBE_BYTES = 1_000;

/** SubtleCrypto alone: any call may reject. Keys are imported for each call, cannot be extracted and are not kept. */
export function createWebCryptoFileEngine(subtle: SubtleCrypto): FileEngine {
  const importKey = (key: Uint8Array, usage: KeyUsage): Promise<CryptoKey> =>
    subtle.importKey("raw", copyOf(key), NAME, false, [usage]);
  const parameters = (nonce: Uint8Array, aad: Uint8Array): AesGcmParams => ({
    name: NAME,
    iv: copyOf(nonce),
    additionalData: copyOf(aad),
    tagLength: 128,
  });
  return {
    name: "webcrypto",
    async seal(key, nonce, aad, plaintext) {
      const imported = await importKey(key, "encrypt");
      return new Uint8Array(
        await subtle.encrypt(parameters(nonce, aad), imported, copyOf(plaintext)),
      );
    },
    async open(key, nonce, aad, sealed) {
      const imported = await importKey(key, "decrypt");
      try {
        return new Uint8Array(
          await subtle.decrypt(parameters(nonce, aad), imported, copyOf(sealed)),
        );
      } catch (error) {
        // Its word for a tag that does not fit; also for sealed bytes shorter than a tag.
        if (error instanceof Error && error.name === "OperationError") return undefined;
        throw error;
      }
    },
    sha256: async (bytes) => new Uint8Array(await subtle.digest("SHA-256", copyOf(bytes))),
  };
}

/**
 * What an app uses. `platform` answers when it gives the reference's own answers to a first question; each call that
 * it fails, and each tag it says does not fit, goes to the reference engine, so that a verdict on a file never
 * depends on the platform. Undefined, as on a page without TLS: the reference engine alone.
 */
export function createFileEngine(platform: FileEngine | undefined): FileEngine {
  if (platform === undefined) return nobleFileEngine;
  let probed: Promise<boolean> | undefined;
  const isTrusted = (): Promise<boolean> => (probed ??= givesKnownAnswers(platform));

  async function ask<T>(call: (engine: FileEngine) => T | Promise<T>): Promise<T> {
    if (platform === undefined || !(await isTrusted())) return call(nobleFileEngine);
    try {
      return await call(platform);
    } catch {
      return call(nobleFileEngine);
    }
  }

  return {
    name: `${platform.name}, else ${nobleFileEngine.name}`,
    seal: (key, nonce, aad, plaintext) => ask((engine) => engine.seal(key, nonce, aad, plaintext)),
    async open(key, nonce, aad, sealed) {
      const opened = await ask((engine) => engine.open(key, nonce, aad, sealed));
      return opened ?? nobleFileEngine.open(key, nonce, aad, sealed);
    },
    sha256: (bytes) => ask((engine) => engine.sha256(bytes)),
  };
}

async function givesKnownAnswers(engine: FileEngine): Promise<boolean> {
  const bytesOf = (length: number): Uint8Array =>
    Uint8Array.from({ length }, (_, index) => (index * 151 + length) & 0xff);
  const [key, nonce, aad, plaintext] = [
    bytesOf(32),
    bytesOf(12),
    bytesOf(16),
    bytesOf(PROBE_BYTES),
  ];
  const sealed = await nobleFileEngine.seal(key, nonce, aad, plaintext);
  const damaged = sealed.with(7, (sealed[7] ?? 0) ^ 1);
  try {
    const opened = await engine.open(key, nonce, aad, sealed);
    return (
      equalBytes(await engine.seal(key, nonce, aad, plaintext), sealed) &&
      opened !== undefined &&
      equalBytes(opened, plaintext) &&
      (await engine.open(key, nonce, aad, damaged)) === undefined &&
      equalBytes(await engine.sha256(plaintext), await nobleFileEngine.sha256(plaintext))
    );
  } catch {
    return false;
  }
}

/** Bytes that nobody changes while the platform reads them. */
const copyOf = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array(bytes);
