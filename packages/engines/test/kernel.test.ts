/** The embedded kernel is what its source compiles to, and the code takes no turn that depends on a secret. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { nobleBackend } from "@sotto/crypto";
import { chooseBackend, createKernelEngine, type Engine } from "@sotto/engines";
import { base64ToBytes } from "#src/base64.ts";
import { KERNEL_BASE64 } from "#src/kernel-bytes.ts";
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { compileKernel, kernelModule } from "../kernel/build-kernel.ts";
import { seededEntropy, steppedClock } from "./support.ts";

const SOURCE = fileURLToPath(new URL("../kernel/x25519.as", import.meta.url));
/** Where kernel/x25519.as has its table. */
const TABLE_AT = 2_600;
const TABLE_END = TABLE_AT + 16 * 8 * 120;
const MODULE = fileURLToPath(new URL("../src/kernel-bytes.ts", import.meta.url));

/** The compiler is JavaScript, and a machine with much else to do takes its time over it. */
const COMPILING_MS = 60_000;

let compiled: Awaited<ReturnType<typeof compileKernel>>;
beforeAll(async () => {
  compiled = await compileKernel();
}, COMPILING_MS);

it("is what kernel/x25519.as compiles to", () => {
  expect(readFileSync(MODULE, "utf8")).toBe(kernelModule(compiled.wasm));
  expect(base64ToBytes(KERNEL_BASE64)).toEqual(new Uint8Array(compiled.wasm));
});

it("stays small", () => {
  expect(compiled.wasm.length).toBeLessThan(8_000);
});

describe("its instructions", () => {
  const count = (instruction: string): number =>
    compiled.text.match(new RegExp(`^\\s*${instruction}\\b`, "gm"))?.length ?? 0;

  it("branch only at the ends of loops", () => {
    expect(count("loop")).toBeGreaterThan(10);
    expect(count("if")).toBe(count("loop"));
    expect(count("br")).toBe(count("loop"));
    for (const other of ["else", "br_if", "br_table", "select", "call_indirect"]) {
      expect(count(other), other).toBe(0);
    }
  });

  it("divide nothing: the time of that depends on the numbers", () => {
    expect(count("i64.mul")).toBeGreaterThan(100);
    expect(count("i\\d\\d\\.(div|rem)_[su]")).toBe(0);
  });

  it("come from a source whose loops all count to a number that is written there", () => {
    const source = readFileSync(SOURCE, "utf8").replaceAll(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, "");
    expect(source.match(/\b(if|while|switch)\b|\?|&&|\|\|/g)).toBe(null);
    const ends = [...source.matchAll(/for \(let \w+[^;]*; (\w+) (?:<|>=) (\w+);/g)].map(
      ([, , end]) => end,
    );
    expect(ends.length).toBe(source.match(/\bfor\b/g)?.length);
    const written = ["0", "ELEMENT_BYTES", "POINT_BYTES", "PACKED_BYTES", "DIGITS_END", "ROWS"];
    expect(new Set(ends)).toEqual(new Set([...written, "ENTRIES", "to", "count"]));
  });
});

describe("its memory", () => {
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

describe("its multiples of the base point", () => {
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
