import { type CryptoBackend, nobleBackend } from "@sotto/crypto";
import {
  backendOf,
  chooseBackend,
  createKernelEngine,
  createWebCryptoEngine,
  type Engine,
  kernelBackend,
  webCryptoBackend,
} from "@sotto/engines";
import { nodeBackend, nodeEngine } from "@sotto/engines/node";
import { platformEngines } from "@sotto/engines/platform";
import { SMALL_BYTES } from "#src/choose.ts";
import { MissingOperation, OPERATIONS } from "#src/engine.ts";
import { afterEach, describe, expect, it, vi } from "vitest";
import { pooled } from "./node-support.ts";
import { misbehaving, quickEngine, steppedClock } from "./support.ts";
import { differences, REFUSALS } from "./differential.ts";

const webCrypto = createWebCryptoEngine({ subtle: globalThis.crypto.subtle, drafts: true });
const kernel = createKernelEngine();
/** Noble's exchange takes 1 ms, so that this is under a second an operation. */
const CASES = 200;

describe.each<Engine>([webCrypto, kernel, nodeEngine, pooled])("$name against noble", (engine) => {
  it.each(OPERATIONS.filter((operation) => operation in engine.operations))(
    `agrees on ${CASES} random cases of %s`,
    async (operation) => {
      expect(await differences(engine, operation, CASES)).toEqual([]);
    },
  );
});

it("would be seen to differ", async () => {
  const flipped: Engine = {
    name: "flipped",
    operations: {
      dh: async (secret, point) => (await nobleBackend.dh(secret, point)).map((byte) => byte ^ 1),
    },
  };
  expect(await differences(flipped, "dh", 2)).toHaveLength(2);
});

describe.each([webCryptoBackend, kernelBackend, nodeBackend])("$name refuses", (backend) => {
  it.each(REFUSALS)("%s", async (_, ask) => {
    await expect(async () => ask(backend)).rejects.toThrow(RangeError);
    await expect(async () => ask(nobleBackend)).rejects.toThrow();
  });

  it.each([
    ["sealed bytes shorter than a tag", 32, 12, 15],
    ["nothing sealed", 32, 12, 0],
    ["a short key", 31, 12, 16],
    ["a nonce of 8 bytes", 32, 8, 16],
    ["a nonce of 24 bytes", 32, 24, 16],
  ])("to open with %s, without a throw", async (_, key, nonce, sealed) => {
    for (const one of [backend, nobleBackend]) {
      const inputs = [key, nonce, 0, sealed].map((length) => new Uint8Array(length));
      const [a, b, c, d] = inputs as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
      expect(await one.open(a, b, c, d)).toBe(undefined);
    }
  });
});

describe("node:crypto", () => {
  const text = new Uint8Array(40).fill(3);

  it("takes the secret that is there, also when its array held another before", async () => {
    const remote = await nobleBackend.dhPublic(new Uint8Array(32).fill(9));
    const ask = async (backend: CryptoBackend, secret: Uint8Array) => ({
      signature: await backend.sign(secret, text),
      signing: await backend.signPublic(secret),
      exchange: await backend.dh(secret, remote),
      key: await backend.dhPublic(secret),
    });
    const secret = new Uint8Array(32);
    for (const byte of [1, 2, 1]) {
      secret.fill(byte);
      expect(await ask(backendOf(nodeEngine), secret)).toEqual(await ask(nobleBackend, secret));
    }
  });

  it("reads keys as DER where it takes nothing else", async () => {
    vi.resetModules();
    vi.doMock("node:crypto", async (load) => {
      const real = await load<typeof import("node:crypto")>();
      const older =
        <In, Key>(read: (input: In) => Key) =>
        (input: In): Key => {
          const { format = "" } = input as { readonly format?: string };
          if (format.startsWith("raw-")) throw new TypeError("unknown format");
          return read(input);
        };
      return {
        ...real,
        createPublicKey: older(real.createPublicKey),
        createPrivateKey: older(real.createPrivateKey),
      };
    });
    const { nodeEngine: olderEngine } = await import("@sotto/engines/node");
    vi.doUnmock("node:crypto");
    for (const operation of ["dh", "dhPublic", "sign", "signPublic", "verify"] as const) {
      expect(await differences(olderEngine, operation, 2)).toEqual([]);
    }
  });

  it("checks on its threads the bytes that were there when it was asked", async () => {
    const seed = new Uint8Array(32).fill(1);
    const key = await nobleBackend.signPublic(seed);
    const signature = await nobleBackend.sign(seed, text);
    const inputs = [key, text, signature].map((bytes) => Uint8Array.from(bytes));
    const [a, b, c] = inputs as [Uint8Array, Uint8Array, Uint8Array];
    const verdict = backendOf(pooled).verify(a, b, c);
    for (const bytes of inputs) bytes.fill(0);
    expect(await verdict).toBe(true);
  });
});

describe("the engines of this platform", () => {
  it("are Node's own and the kernel, of which one has everything", () => {
    const engines = platformEngines();
    expect(engines.map(({ name }) => name)).toEqual(["node", "kernel"]);
    for (const operation of OPERATIONS) {
      expect(engines.some(({ operations }) => operation in operations)).toBe(true);
    }
  });
});

describe("a platform that lacks something", () => {
  it("has no engine operations of WebCrypto, not broken ones", async () => {
    const denied = (): Promise<never> =>
      Promise.reject(new DOMException("unknown", "NotSupportedError"));
    const bare = createWebCryptoEngine({
      subtle: { importKey: denied } as unknown as SubtleCrypto,
      drafts: true,
    });
    const backend = backendOf(bare);
    const seed = new Uint8Array(64);
    await expect(async () => backend.dhPublic(seed.subarray(32))).rejects.toThrow(MissingOperation);
    await expect(async () => backend.sign(seed.subarray(32), seed)).rejects.toThrow(
      MissingOperation,
    );
    await expect(async () => backend.kemPublic(seed)).rejects.toThrow(MissingOperation);
  });

  it("has none where there is no SubtleCrypto at all, as on a page without TLS", async () => {
    const none = createWebCryptoEngine({ subtle: undefined, drafts: true });
    expect(none.operations).toEqual({});
  });

  it("is not asked for drafts that make it print warnings", () => {
    const { operations } = createWebCryptoEngine({ subtle: crypto.subtle, drafts: false });
    expect(Object.keys(operations).toSorted()).toEqual([
      "dh",
      "dhPublic",
      "sign",
      "signPublic",
      "verify",
    ]);
  });
});

describe("signatures", () => {
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  it.each([
    ["WebKit/605.1.15 (KHTML, like Gecko) Version/60.5 Safari/605.1.15", false],
    ["WebKit/605.1.15 (KHTML, like Gecko) CriOS/150.0 Mobile/15E148 Safari/604.1", false],
    ["WebKit/537.36 (KHTML, like Gecko) HeadlessChrome/156.0.0.0 Safari/537.36", true],
  ])("are put to WebCrypto but in WebKit: Apple%s", (name, asked) => {
    vi.stubGlobal("navigator", { userAgent: `Mozilla/5.0 (some system) Apple${name}` });
    const { operations } = createWebCryptoEngine({ subtle: crypto.subtle, drafts: true });
    expect(operations.verify !== undefined).toBe(asked);
    expect(operations.sign).toBeDefined();
  });
});

describe("WebCrypto's word for a key that is no point", () => {
  const inputs = [new Uint8Array(32), new Uint8Array(1), new Uint8Array(64)] as const;
  const failing = (failure: Error) =>
    createWebCryptoEngine({
      subtle: { importKey: () => Promise.reject(failure) } as unknown as SubtleCrypto,
      drafts: true,
    }).operations;

  it("is a no, which noble then says too", async () => {
    expect(await failing(new DOMException("", "DataError")).verify?.(...inputs)).toBe(false);
  });

  it.each([
    ["OperationError", DOMException],
    ["NotSupportedError", MissingOperation],
  ])("is no other: %s is a failure", async (name, expected) => {
    const { verify } = failing(new DOMException("", name));
    await expect(async () => verify?.(...inputs)).rejects.toThrow(expected);
  });
});

describe("WebCrypto's word for a tag that does not fit", () => {
  const inputs = [new Uint8Array(32), new Uint8Array(12), new Uint8Array(0)] as const;
  const failing = (failure: Error) =>
    createWebCryptoEngine({
      subtle: {
        importKey: () => Promise.resolve({}),
        decrypt: () => Promise.reject(failure),
      } as unknown as SubtleCrypto,
      drafts: true,
    });

  const lying = failing(new DOMException("", "OperationError"));

  it("is a verdict when noble says the same", async () => {
    expect(await lying.operations.open?.(...inputs, new Uint8Array(16))).toBe(undefined);
  });

  it("is a failure when noble opens it: another try, or another engine, finds the text", async () => {
    const plaintext = new Uint8Array(SMALL_BYTES).fill(9);
    const sealed = await nobleBackend.seal(...inputs, plaintext);
    await expect(async () => backendOf(lying).open(...inputs, sealed)).rejects.toThrow("refused");
    const clock = steppedClock();
    let lies = false;
    const open: Engine["operations"]["open"] = (...question) =>
      (lies ? lying : quickEngine).operations.open!(...question);
    const both: Engine = { name: "both", operations: { ...quickEngine.operations, open } };
    const priced = (engine: Engine, name: string, costMs: number): Engine =>
      misbehaving(
        engine,
        name,
        () => undefined,
        () => clock.spend(costMs),
      );
    const backend = chooseBackend(
      [priced(both, "turns", 0.1), priced(quickEngine, "slower", 0.5)],
      clock,
    );
    await backend.choose();
    lies = true;
    expect(backend.describe().operations.open.chosen).toBe("turns");
    expect(await backend.open(...inputs, sealed)).toEqual(plaintext);
    const failures = (): readonly number[] =>
      backend.describe().operations.open.candidates.map((one) => one.failures);
    expect(failures()).toEqual([1, 0, 0]);
    // What noble refuses too is no failure, so bad messages do not drive a good engine out.
    expect(await backend.open(...inputs, sealed.with(0, (sealed[0] ?? 0) ^ 1))).toBe(undefined);
    expect(failures()).toEqual([1, 0, 0]);
  });

  it.each(["InvalidAccessError", "NotSupportedError", "UnknownError"])(
    "is no other: %s is a failure",
    async (name) => {
      const { open } = failing(new DOMException("", name)).operations;
      await expect(async () => open?.(...inputs, new Uint8Array(16))).rejects.toThrow(DOMException);
    },
  );
});
