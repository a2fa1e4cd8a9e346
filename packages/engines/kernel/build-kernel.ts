/**
 * Compiles x25519.as and writes src/kernel-bytes.ts. Run it after a change of either the source or the compiler:
 * `npm run build:kernel`. A test compiles it again and compares.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const SOURCE = fileURLToPath(new URL("x25519.as", import.meta.url));
const TARGET = fileURLToPath(new URL("../src/kernel-bytes.ts", import.meta.url));

const OPTIONS =
  "kernel.ts --outFile kernel.wasm --textFile kernel.wat --optimizeLevel 3 --shrinkLevel 0 --converge --noAssert " +
  "--runtime stub --initialMemory 1 --maximumMemory 1";

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
export async function compileKernel(): Promise<{
  readonly wasm: Uint8Array;
  readonly text: string;
}> {
  const written = new Map<string, string | Uint8Array>();
  const complaints: string[] = [];
  const compiler: unknown = await import(COMPILER);
  if (!isCompiler(compiler)) throw new Error(`${COMPILER} is not the compiler it was`);
  const { error } = await compiler.main(OPTIONS.split(" "), {
    readFile: (name) => (name === "kernel.ts" ? readFileSync(SOURCE, "utf8") : null),
    writeFile: (name, contents) => void written.set(name, contents),
    listFiles: () => [],
    stderr: { write: (line: string) => void complaints.push(line) },
  });
  const wasm = written.get("kernel.wasm");
  const text = written.get("kernel.wat");
  if (error !== null || !(wasm instanceof Uint8Array) || typeof text !== "string") {
    throw new Error(`the kernel does not compile: ${complaints.join("")}`);
  }
  return { wasm, text };
}

/** The contents of src/kernel-bytes.ts. */
export function kernelModule(wasm: Uint8Array): string {
  const lines =
    Buffer.from(wasm)
      .toString("base64")
      .match(/.{1,112}/g) ?? [];
  return [
    "/** Generated from kernel/x25519.as by kernel/build-kernel.ts: do not edit. WebAssembly, base64. */",
    "export const KERNEL_BASE64: string =",
    `${lines.map((line) => `  "${line}"`).join(" +\n")};`,
    "",
  ].join("\n");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { wasm } = await compileKernel();
  writeFileSync(TARGET, kernelModule(wasm));
  console.log(`${wasm.length} bytes of WebAssembly`);
}
