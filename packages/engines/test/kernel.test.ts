/** The embedded kernels are what their sources compile to, and the code takes no turn that depends on a secret. */
import { readFileSync } from "node:fs";
import { inflateRawSync } from "node:zlib";
import { nobleBackend } from "@sotto/crypto";
import { backendOf, chooseBackend, createKernelEngine, type Engine } from "@sotto/engines";
import { base64ToBytes } from "#src/base64.ts";
import { MissingOperation } from "#src/engine.ts";
import { ML_KEM_BASE64 } from "#src/kernels/ml-kem-bytes.ts";
import { SYMMETRIC_BASE64 } from "#src/kernels/symmetric-bytes.ts";
import {
  AAD_BYTES_MAX,
  HMAC_KEY_BYTES_MAX,
  HMAC_MESSAGE_BYTES_MAX,
  TEXT_BYTES_MAX,
} from "#src/kernels/symmetric.ts";
import { X25519_BASE64 } from "#src/kernels/x25519-bytes.ts";
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { compileKernel, KERNELS, sourceOf } from "../kernel/build-kernel.ts";
import { seededEntropy, steppedClock } from "./support.ts";

/** Where kernel/x25519.as has its table. */
const TABLE_AT = 2_600;
const TABLE_END = TABLE_AT + 16 * 8 * 120;

/** The compiler is JavaScript, and a machine with much else to do takes its time over it. */
const COMPILING_MS = 60_000;

describe.each([
  {
    kernel: KERNELS.x25519,
    base64: X25519_BASE64,
    bytesMax: 8_000,
    ends: ["0", "ELEMENT_BYTES", "POINT_BYTES", "PACKED_BYTES", "DIGITS_END", "ROWS", "ENTRIES"],
    // Parameters, which callers give as written numbers.
    given: ["to", "count"],
    multiplications: 100,
  },
  {
    kernel: KERNELS.mlKem,
    base64: ML_KEM_BASE64,
    bytesMax: 6_000,
    ends: ["2", "3", "8", "16", "32", "128", "168", "192", "256", "POLY_BYTES", "VECTOR_BYTES"],
    // A length of a layer or of a hash. What is sampled until POLY_BYTES follows from the public seed.
    given: ["length", "end", "rate", "CIPHERTEXT_BYTES"],
    multiplications: 1,
  },
  {
    kernel: KERNELS.symmetric,
    base64: SYMMETRIC_BASE64,
    bytesMax: 4_000,
    ends: ["10", "32", "64", "192", "256"],
    // Follow from the lengths of what is covered.
    given: ["end"],
    multiplications: 25,
  },
])("$kernel.name", ({ kernel, base64, bytesMax, ends, given, multiplications }) => {
  let compiled: Awaited<ReturnType<typeof compileKernel>>;
  beforeAll(async () => {
    compiled = await compileKernel(kernel);
  }, COMPILING_MS);
  const count = (instruction: string): number =>
    compiled.text.match(new RegExp(`^\\s*${instruction}\\b`, "gm"))?.length ?? 0;

  it("is what its source compiles to", () => {
    const embedded = inflateRawSync(base64ToBytes(base64));
    expect(new Uint8Array(embedded)).toEqual(new Uint8Array(compiled.wasm));
  });

  it("stays small", () => {
    expect(compiled.wasm.length).toBeLessThan(bytesMax);
  });

  it("branches only at the ends of loops", () => {
    expect(count("loop")).toBeGreaterThan(5);
    expect(count("if")).toBe(count("loop"));
    expect(count("br")).toBe(count("loop"));
    for (const other of ["else", "br_if", "br_table", "select", "call_indirect"]) {
      expect(count(other), other).toBe(0);
    }
  });

  it("divides nothing: the time of that depends on the numbers", () => {
    expect(count("i64.mul")).toBeGreaterThanOrEqual(multiplications);
    expect(count("i\\d\\d\\.(div|rem)_[su]")).toBe(0);
  });

  it("comes from a source whose loops all count to a number that is written there or a length", () => {
    const source = readFileSync(sourceOf(kernel), "utf8").replaceAll(
      /\/\*[\s\S]*?\*\/|\/\/[^\n]*/g,
      "",
    );
    expect(source.match(/\b(if|while|switch)\b|\?|&&|\|\|/g)).toBe(null);
    const found = [...source.matchAll(/for \(let \w+[^;]*; \w+ (?:<|>=|>) ([^;]+);/g)].map(
      ([, end = ""]) => end.split(" + ").at(-1) ?? "",
    );
    expect(found.length).toBe(source.match(/\bfor\b/g)?.length);
    expect(new Set(found)).toEqual(new Set([...ends, ...given]));
  });
});

describe("the memory of x25519", () => {
  const random = seededEntropy("wiped");
  let memory: Uint8Array;
  let engine: Engine;
  beforeEach(async () => {
    const instantiate = vi.spyOn(WebAssembly, "instantiate");
    engine = createKernelEngine();
    const point = await nobleBackend.dhPublic(random(32));
    const secret = random(32);
    expect(await engine.operations.dh?.(secret, point)).toEqual(
      await nobleBackend.dh(secret, point),
    );
    const source = (await instantiate.mock.results[0]
      ?.value) as WebAssembly.WebAssemblyInstantiatedSource;
    const exported = source.instance.exports["memory"] as WebAssembly.Memory;
    expect(exported.buffer.byteLength).toBe(65_536);
    memory = new Uint8Array(exported.buffer);
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it("holds nothing of the secret, the point or the result after an exchange", () => {
    expect(memory.every((byte) => byte === 0)).toBe(true);
  });

  it("holds the table after a public key, the same for every secret, and nothing else", async () => {
    const left: Uint8Array[] = [];
    for (let round = 0; round < 3; round++) {
      const secret = random(32);
      expect(await engine.operations.dhPublic?.(secret)).toEqual(
        await nobleBackend.dhPublic(secret),
      );
      left.push(memory.slice());
    }
    expect(left[0]?.subarray(0, TABLE_AT).every((byte) => byte === 0)).toBe(true);
    expect(left[0]?.subarray(TABLE_AT, TABLE_END).some((byte) => byte !== 0)).toBe(true);
    expect(left[0]?.subarray(TABLE_END).every((byte) => byte === 0)).toBe(true);
    expect(left[1]).toEqual(left[0]);
    expect(left[2]).toEqual(left[0]);
  });
});

describe("multiples of the base point", () => {
  const { operations } = createKernelEngine();

  it("are those of the ladder for digits of every size and sign, wherever they stand", async () => {
    // Half-bytes from 0 to 15 are the digits, 8 and more with a carry into the next.
    const secrets = Array.from({ length: 256 }, (_, byte) => new Uint8Array(32).fill(byte));
    for (let at = 0; at < 32; at++) {
      secrets.push(Uint8Array.from({ length: 32 }, (_, index) => (index < at ? 0xff : 0)));
      secrets.push(Uint8Array.from({ length: 32 }, (_, index) => (index === at ? 0x88 : 0)));
    }
    const base = Uint8Array.from({ length: 32 }, (_, index) => (index === 0 ? 9 : 0));
    for (const secret of secrets) {
      const expected = await operations.dh?.(secret, base);
      expect(await operations.dhPublic?.(secret)).toEqual(expected);
    }
  });
});

describe("the kernel of ML-KEM", () => {
  const random = seededEntropy("ml-kem");
  let memory: Uint8Array;
  let engine: Engine;
  beforeEach(async () => {
    const instantiate = vi.spyOn(WebAssembly, "instantiate");
    engine = createKernelEngine();
    await engine.operations.kemPublic?.(random(64));
    const source = (await instantiate.mock.results[0]
      ?.value) as WebAssembly.WebAssemblyInstantiatedSource;
    memory = new Uint8Array((source.instance.exports["memory"] as WebAssembly.Memory).buffer);
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });

  /** All but the constants of Keccak and the powers of 17. */
  const left = (): number[] =>
    [...memory.entries()].filter(([at, byte]) => byte !== 0 && (at < 4_864 || at >= 5_312)).flat();

  it("keeps nothing of a key, an exchange, or one that is refused", async () => {
    const seed = random(64);
    const key = (await engine.operations.kemPublic?.(seed)) ?? seed;
    expect(left()).toEqual([]);
    const made = await engine.operations.encaps?.(key, random(32));
    expect(left()).toEqual([]);
    expect(await engine.operations.decaps?.(seed, made?.ciphertext ?? seed)).toEqual(
      made?.sharedSecret,
    );
    expect(left()).toEqual([]);
    await engine.operations.decaps?.(seed, random(1_088));
    expect(left()).toEqual([]);
  });

  it("refuses without a word whichever bit of a ciphertext is another, as noble does", async () => {
    const seed = random(64);
    const key = await nobleBackend.kemPublic(seed);
    const { ciphertext, sharedSecret } = await nobleBackend.encaps(key, random(32));
    for (let at = 0; at < ciphertext.length; at += 31) {
      const spoilt = ciphertext.with(at, (ciphertext[at] ?? 0) ^ (1 << (at & 7)));
      const secret = await engine.operations.decaps?.(seed, spoilt);
      expect(secret).not.toEqual(sharedSecret);
      expect(secret).toEqual(await nobleBackend.decaps(seed, spoilt));
    }
  });
});

describe("the symmetric kernel", () => {
  const random = seededEntropy("symmetric");
  const [key, nonce] = [random(32), random(12)];
  let memory: Uint8Array;
  let engine: Engine;
  beforeEach(async () => {
    const instantiate = vi.spyOn(WebAssembly, "instantiate");
    engine = createKernelEngine();
    await engine.operations.seal?.(key, nonce, key, key);
    const source = (await instantiate.mock.results[0]
      ?.value) as WebAssembly.WebAssemblyInstantiatedSource;
    memory = new Uint8Array((source.instance.exports["memory"] as WebAssembly.Memory).buffer);
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });

  /** All but the constants of SHA-256. */
  const left = (): number[] =>
    [...memory.entries()].filter(([at, byte]) => byte !== 0 && (at < 448 || at >= 704)).flat();

  it("keeps nothing of what was sealed, opened, refused or hashed, whatever its length", async () => {
    expect(left()).toEqual([]);
    for (const [text, aad] of [
      [0, 0],
      [1, 16],
      [63, 15],
      [64, 17],
      [65, 0],
      [1_000, 100],
      [TEXT_BYTES_MAX, AAD_BYTES_MAX],
    ] as const) {
      const bound = new Uint8Array(aad).fill(0xff);
      const sealed = await engine.operations.seal?.(
        key,
        nonce,
        bound,
        new Uint8Array(text).fill(0xff),
      );
      expect(left(), `sealed ${text}`).toEqual([]);
      expect(await engine.operations.open?.(key, nonce, bound, sealed ?? key)).toHaveLength(text);
      expect(left(), `opened ${text}`).toEqual([]);
      const spoilt = sealed?.map((byte) => byte ^ 1) ?? key;
      expect(await engine.operations.open?.(key, nonce, bound, spoilt)).toBeUndefined();
      expect(left(), `refused ${text}`).toEqual([]);
    }
    for (const length of [0, 1, 54, 55, 56, 63, 64, 119, 120, HMAC_MESSAGE_BYTES_MAX]) {
      const bytes = new Uint8Array(length).fill(0xff);
      expect(engine.operations.hmac?.(key, bytes)).toEqual(nobleBackend.hmac(key, bytes));
      expect(left(), `HMAC of ${length}`).toEqual([]);
    }
  });

  it("never decrypts what it refuses", async () => {
    const sealed = await nobleBackend.seal(key, nonce, key, new Uint8Array(64).fill(0x77));
    const fill = vi.spyOn(Uint8Array.prototype, "slice");
    const spoilt = sealed.map((byte, at) => (at === sealed.length - 1 ? byte ^ 1 : byte));
    expect(await engine.operations.open?.(key, nonce, key, spoilt)).toBeUndefined();
    expect(fill).not.toHaveBeenCalled();
  });

  it.each([
    ["text", TEXT_BYTES_MAX, 8],
    ["text", TEXT_BYTES_MAX + 1, 8],
    ["associated data", 8, AAD_BYTES_MAX],
    ["associated data", 8, AAD_BYTES_MAX + 1],
  ])("seals and opens as noble does at the limit of the %s: %d, %d", async (_, text, aad) => {
    const [plaintext, bound] = [random(text), random(aad)];
    const expected = await nobleBackend.seal(key, nonce, bound, plaintext);
    expect(await engine.operations.seal?.(key, nonce, bound, plaintext)).toEqual(expected);
    expect(await engine.operations.open?.(key, nonce, bound, expected)).toEqual(plaintext);
  });

  it.each([
    [HMAC_KEY_BYTES_MAX, HMAC_MESSAGE_BYTES_MAX],
    [HMAC_KEY_BYTES_MAX + 1, 8],
    [8, HMAC_MESSAGE_BYTES_MAX + 1],
  ])("hashes as noble does at the limits: a key of %d, a message of %d", (length, message) => {
    const [secret, bytes] = [random(length), random(message)];
    expect(engine.operations.hmac?.(secret, bytes)).toEqual(nobleBackend.hmac(secret, bytes));
  });

  it("does not answer an HMAC before it is loaded, and the back-end does", () => {
    const fresh = createKernelEngine();
    expect(() => fresh.operations.hmac?.(key, nonce)).toThrow(MissingOperation);
    expect(backendOf(fresh).hmac(key, nonce)).toEqual(nobleBackend.hmac(key, nonce));
  });
});

describe("where WebAssembly may not be compiled", () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it("is missing, and others serve", async () => {
    vi.spyOn(WebAssembly, "instantiate").mockRejectedValue(new WebAssembly.CompileError("policy"));
    const backend = chooseBackend([createKernelEngine()], steppedClock());
    await backend.choose();
    expect(backend.describe().operations.dh.candidates[0]).toMatchObject({
      engine: "kernel",
      verdict: "missing",
    });
    const secret = seededEntropy("blocked")(32);
    expect(await backend.dhPublic(secret)).toEqual(await nobleBackend.dhPublic(secret));
  });
});
