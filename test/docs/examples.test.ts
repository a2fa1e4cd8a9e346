/** Every TypeScript example of every document runs, in Node, against a relay of its own. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { startRelay } from "sotto-relay";
import { describe, expect, it } from "vitest";
import { readTextFiles, ROOT } from "./files.ts";

/** What `npm start` prints: the address examples speak to. */
const DOCUMENTED_URL = "http://localhost:8787";

interface Example {
  readonly name: string;
  readonly code: string;
}

const examples: readonly Example[] = readTextFiles()
  .filter(({ path }) => path.endsWith(".md"))
  .flatMap(({ path, text }) =>
    [...text.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map((match) => ({
      name: `${path}:${text.slice(0, match.index).split("\n").length}`,
      code: match[1] ?? "",
    })),
  );

/** Ends after its last line: an example that opens a messenger need not close it. */
function run(code: string): Promise<{ readonly status: number | null; readonly output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(
      process.execPath,
      [
        "--conditions=@sotto/source",
        "--disable-warning=ExperimentalWarning",
        "--input-type=module-typescript",
        "--eval",
        `${code}\nprocess.exit(0);`,
      ],
      { cwd: join(ROOT, "test"), stdio: ["ignore", "pipe", "pipe"] },
    );
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.on("error", reject);
    child.on("close", (status) => resolve({ status, output }));
  });
}

describe("the examples of the documents", () => {
  it.each(examples)("run: $name", async ({ code }) => {
    const relay = await startRelay({ port: 0, circuit: false });
    try {
      const result = await run(code.replaceAll(DOCUMENTED_URL, relay.url));
      expect(result.status, result.output).toBe(0);
    } finally {
      await relay.close();
    }
  });

  it("would be found out if they failed, threw or never ended a wait", async () => {
    expect((await run("const one: number = 1;")).status).toBe(0);
    expect((await run('import { nothing } from "@sotto/sdk"; nothing();')).status).not.toBe(0);
    expect((await run('throw new Error("example");')).output).toContain("example");
    expect((await run("await new Promise(() => {});")).status).not.toBe(0);
  });
});
