/** Files on the platform's engine: the reference's bytes, its verdicts, and its help when the platform fails. */
import {
  beginSealing,
  type FileEngine,
  finishSealing,
  nobleFileEngine,
  openChunk,
  sealNextChunk,
} from "@sotto/crypto";
import { createFileEngine, createWebCryptoFileEngine } from "@sotto/engines";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

const webCrypto = createWebCryptoFileEngine(globalThis.crypto.subtle);
const engine = createFileEngine(webCrypto);
const of = (length: number, value = 1): Uint8Array => new Uint8Array(length).fill(value);
const [key, nonce, aad] = [of(32), of(12, 2), of(16, 3)];
const sealed = await nobleFileEngine.seal(key, nonce, aad, of(100, 4));

/** Takes the place of single calls, and counts how often the platform was asked. */
function broken(change: Partial<FileEngine>): {
  readonly engine: FileEngine;
  readonly calls: () => number;
} {
  let calls = 0;
  const counting = <T extends readonly unknown[], R>(call: (...args: T) => R) => {
    return (...args: T): R => {
      calls++;
      return call(...args);
    };
  };
  const mixed = { ...webCrypto, ...change };
  return {
    engine: {
      name: mixed.name,
      seal: counting((...args: Parameters<FileEngine["seal"]>) => mixed.seal(...args)),
      open: counting((...args: Parameters<FileEngine["open"]>) => mixed.open(...args)),
      sha256: counting((bytes: Uint8Array) => mixed.sha256(bytes)),
    },
    calls: () => calls,
  };
}

describe.each([webCrypto, engine])("$name", (one) => {
  it("seals, opens and hashes as the reference does", async () => {
    const bytes = fc.uint8Array({ minLength: 0, maxLength: 5_000 });
    const sized = (length: number): fc.Arbitrary<Uint8Array> =>
      fc.uint8Array({ minLength: length, maxLength: length });
    await fc.assert(
      fc.asyncProperty(sized(32), sized(12), sized(16), bytes, async (k, n, a, text) => {
        const expected = await nobleFileEngine.seal(k, n, a, text);
        expect(await one.seal(k, n, a, text)).toEqual(expected);
        expect(await one.open(k, n, a, expected)).toEqual(Uint8Array.from(text));
        expect(await one.sha256(text)).toEqual(await nobleFileEngine.sha256(text));
      }),
      { numRuns: 60 },
    );
  });

  it.each([
    ["another key", of(32, 9), nonce, aad, sealed],
    ["another nonce", key, of(12, 9), aad, sealed],
    ["another file", key, nonce, of(16, 9), sealed],
    ["a changed byte", key, nonce, aad, sealed.with(50, 0)],
    ["a cut tag", key, nonce, aad, sealed.subarray(0, -1)],
    ["less than a tag", key, nonce, aad, of(15)],
    ["nothing", key, nonce, aad, of(0)],
  ])("opens nothing with %s", async (_, k, n, a, bytes) => {
    expect(await one.open(k, n, a, bytes)).toBeUndefined();
  });
});

describe("a platform that fails", () => {
  const failures: readonly (readonly [string, Partial<FileEngine>])[] = [
    ["seals wrongly", { seal: async () => of(116) }],
    ["opens what it should not", { open: async () => of(100, 4) }],
    ["ignores tags", { open: async (...args) => (await webCrypto.open(...args)) ?? of(1_000) }],
    ["opens nothing", { open: async () => undefined }],
    ["hashes wrongly", { sha256: async () => of(32) }],
    ["lacks a call", { seal: () => Promise.reject(new TypeError("not a function")) }],
  ];
  it.each(failures)("and %s is not asked again", async (_, change) => {
    const { engine: platform, calls } = broken(change);
    const chosen = createFileEngine(platform);
    expect(await chosen.seal(key, nonce, aad, of(100, 4))).toEqual(sealed);
    const asked = calls();
    expect(await chosen.open(key, nonce, aad, sealed)).toEqual(of(100, 4));
    expect(await chosen.open(of(32, 8), nonce, aad, sealed)).toBeUndefined();
    expect(await chosen.sha256(of(3))).toEqual(await nobleFileEngine.sha256(of(3)));
    expect(calls()).toBe(asked);
  });

  it("now and then is helped out, whatever the call", async () => {
    let fails = false;
    const flaky = <T extends readonly unknown[], R>(call: (...args: T) => R) => {
      return async (...args: T): Promise<Awaited<R>> => {
        if (fails) throw new Error("engine failed");
        return await call(...args);
      };
    };
    const chosen = createFileEngine({
      name: "flaky",
      seal: flaky((...args: Parameters<FileEngine["seal"]>) => webCrypto.seal(...args)),
      open: flaky((...args: Parameters<FileEngine["open"]>) => webCrypto.open(...args)),
      sha256: flaky((...args: Parameters<FileEngine["sha256"]>) => webCrypto.sha256(...args)),
    });
    for (const failing of [false, true, false]) {
      fails = failing;
      expect(await chosen.seal(key, nonce, aad, of(100, 4))).toEqual(sealed);
      expect(await chosen.open(key, nonce, aad, sealed)).toEqual(of(100, 4));
      expect(await chosen.sha256(of(3))).toEqual(await nobleFileEngine.sha256(of(3)));
    }
  });

  it("with the word for a wrong tag is not believed about a right one", async () => {
    let fails = false;
    const chosen = createFileEngine({
      ...webCrypto,
      open: async (...args) => (fails ? undefined : webCrypto.open(...args)),
    });
    expect(await chosen.open(key, nonce, aad, sealed)).toEqual(of(100, 4));
    fails = true;
    expect(await chosen.open(key, nonce, aad, sealed)).toEqual(of(100, 4));
  });

  it("because it is not there leaves the reference", () => {
    expect(createFileEngine(undefined)).toBe(nobleFileEngine);
  });
});

it("seals a file that the reference opens, and the other way round", async () => {
  for (const [sealer, opener] of [
    [engine, nobleFileEngine],
    [nobleFileEngine, engine],
  ] as const) {
    const entropy = (length: number): Uint8Array<ArrayBuffer> =>
      globalThis.crypto.getRandomValues(new Uint8Array(length));
    const begun = beginSealing(5_000, entropy);
    const chunk = await sealNextChunk(begun, of(5_000, 7), sealer);
    const opened = await openChunk(finishSealing(chunk.sealing), 0, chunk.sealed, [], opener);
    expect(opened).toEqual({ ok: true, content: of(5_000, 7) });
  }
});
