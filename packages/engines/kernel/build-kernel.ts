/**
 * Compiles the kernels beside it and writes their bytes to src/kernels/. Run it after a change of either a source or the
 * compiler: `npm run build:kernel`. A test compiles them again and compares.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { deflateRawSync } from "node:zlib";

export interface KernelSource {
  /** Of the source and of the module with its bytes. */
  readonly name: string;
  /** Pages of 64 KiB. */
  readonly pages: number;
  /** Where its constants begin. */
  readonly constantsAt: number;
}

export const KERNELS = {
  x25519: { name: "x25519", pages: 1, constantsAt: 0 },
  mlKem: { name: "ml-kem", pages: 1, constantsAt: 4_864 },
  symmetric: { name: "symmetric", pages: 2, constantsAt: 448 },
} as const satisfies Readonly<Record<string, KernelSource>>;

export const sourceOf = ({ name }: KernelSource): string =>
  fileURLToPath(new URL(`${name}.as`, import.meta.url));
export const targetOf = ({ name }: KernelSource): string =>
  fileURLToPath(new URL(`../src/kernels/${name}-bytes.ts`, import.meta.url));

const OPTIONS =
  "kernel.ts --outFile kernel.wasm --textFile kernel.wat --optimizeLevel 3 --shrinkLevel 0 --converge --noAssert " +
  "--runtime stub --enable simd";

/** What is used of the compiler. Its own types would make those of its language global in every program with this file. */
interface Compiler {
  main(
    options: readonly string[],
    host: {
      readFile(name: string): string | null;
      writeFile(name: string, contents: string | Uint8Array): void;
      listFiles(): readonly string[];
      readonly stderr: { write(line: string): void };
    },
  ): Promise<{ readonly error: unknown }>;
}
const COMPILER: string = "assemblyscript/asc";
const isCompiler = (module: unknown): module is Compiler =>
  typeof module === "object" && module !== null && "main" in module;

/** The module, and the same as text. */
export async function compileKernel(kernel: KernelSource): Promise<{
  readonly wasm: Uint8Array;
  readonly text: string;
}> {
  const written = new Map<string, string | Uint8Array>();
  const complaints: string[] = [];
  const compiler: unknown = await import(COMPILER);
  if (!isCompiler(compiler)) throw new Error(`${COMPILER} is not the compiler it was`);
  const { pages, constantsAt } = kernel;
  const sizes = `--initialMemory ${pages} --maximumMemory ${pages} --memoryBase ${constantsAt}`;
  const { error } = await compiler.main(`${OPTIONS} ${sizes}`.split(" "), {
    readFile: (name) => (name === "kernel.ts" ? readFileSync(sourceOf(kernel), "utf8") : null),
    writeFile: (name, contents) => void written.set(name, contents),
    listFiles: () => [],
    stderr: { write: (line: string) => void complaints.push(line) },
  });
  const wasm = written.get("kernel.wasm");
  const text = written.get("kernel.wat");
  if (error !== null || !(wasm instanceof Uint8Array) || typeof text !== "string") {
    throw new Error(`${kernel.name} does not compile: ${complaints.join("")}`);
  }
  return { wasm, text };
}

/** The contents of the module with its bytes. */
export function kernelModule({ name }: KernelSource, wasm: Uint8Array): string {
  const lines =
    deflateRawSync(wasm, { level: 9 })
      .toString("base64")
      .match(/.{1,112}/g) ?? [];
  return [
    `/** Generated from kernel/${name}.as by kernel/build-kernel.ts: do not edit. WebAssembly, deflated, base64. */`,
    `export const ${name.toUpperCase().replaceAll("-", "_")}_BASE64: string =`,
    `${lines.map((line) => `  "${line}"`).join(" +\n")};`,
    "",
  ].join("\n");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const kernel of Object.values(KERNELS)) {
    const { wasm } = await compileKernel(kernel);
    writeFileSync(targetOf(kernel), kernelModule(kernel, wasm));
    console.log(`${kernel.name}: ${wasm.length} bytes of WebAssembly`);
  }
}
