/** The embedded kernel is what its source compiles to, and the code takes no turn that depends on a secret. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { nobleBackend } from "@sotto/crypto";
import { chooseBackend, createKernelEngine } from "@sotto/engines";
import { base64ToBytes } from "#src/base64.ts";
import { KERNEL_BASE64 } from "#src/kernel-bytes.ts";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { compileKernel, kernelModule } from "../kernel/build-kernel.ts";
import { seededEntropy, steppedClock } from "./support.ts";

const SOURCE = fileURLToPath(new URL("../kernel/x25519.as", import.meta.url));
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
  expect(compiled.wasm.length).toBeLessThan(6_000);
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
    expect(new Set(ends)).toEqual(new Set(["0", "ELEMENT_BYTES", "to", "count"]));
  });
});

it("leaves nothing of the secret, the point or the result in its memory", async () => {
  const instantiate = vi.spyOn(WebAssembly, "instantiate");
  const { dh } = createKernelEngine().operations;
  const random = seededEntropy("wiped");
  const point = await nobleBackend.dhPublic(random(32));
  const secret = random(32);
  expect(await dh?.(secret, point)).toEqual(await nobleBackend.dh(secret, point));
  const source = (await instantiate.mock.results[0]
    ?.value) as WebAssembly.WebAssemblyInstantiatedSource;
  const memory = source.instance.exports["memory"] as WebAssembly.Memory;
  expect(memory.buffer.byteLength).toBe(65_536);
  expect(new Uint8Array(memory.buffer).every((byte) => byte === 0)).toBe(true);
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
