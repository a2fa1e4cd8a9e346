/** Settings: which source wins, what is refused, and that CONFIG.md says what is so. */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { configPage, resolveSettings } from "sotto-relay";

const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const FILE = '[server]\nport = 1\nhost = "::1"\ncircuit = false\n';

test("flags beat the environment, the environment beats the file", () => {
  const { settings, sources } = resolveSettings({
    flags: { port: "3" },
    env: { SOTTO_PORT: "2", SOTTO_HOST: "::" },
    file: FILE,
  });
  expect(settings).toMatchObject({ port: 3, host: "::", circuit: false, app: "app/dist" });
  expect(sources).toMatchObject({
    port: "flag",
    host: "environment",
    circuit: "file",
    app: "default",
  });
});

test.each([
  ["[server]\nprot = 1", "did you mean server.port?"],
  ["[limits]\nmax_byte = 1", "did you mean limits.max_bytes?"],
  ["port = 1", "did you mean server.port?"],
  ["[server]\nsomething_else_entirely = 1", "there is no setting server.something_else_entirely."],
  ["[server]\nport = 65536", "relay.toml: server.port: 0 to 65535."],
  ["[server]\nport = [1]", "one value"],
  ['[server]\ntrust_proxy = "maybe"', "true or false."],
])("%j is refused in words", (file, words) => {
  expect(() => resolveSettings({ flags: {}, env: {}, file })).toThrow(words);
});

test("CONFIG.md is what the settings say", () => {
  expect(readFileSync(new URL("../CONFIG.md", import.meta.url), "utf8")).toBe(configPage());
});

test("what config --print says is a file that says the same, and a wrong name ends with 1", async () => {
  const directory = mkdtempSync(join(tmpdir(), "sotto-config-"));
  try {
    const path = join(directory, "relay.toml");
    writeFileSync(path, FILE);
    const printed = await sotto("config", "--print", "--config", path, "--port", "3");
    expect(printed.out).toContain("port = 3 # flag");
    expect(printed.out).toContain("circuit = false # file");
    const again = resolveSettings({ flags: {}, env: {}, file: printed.out });
    expect(again.settings).toMatchObject({ port: 3, host: "::1", circuit: false });
    const explained = await sotto("config", "--explain", "server.port");
    expect(explained.out).toContain("SOTTO_PORT");
    const wrong = await sotto("config", "--explain", "server.prot");
    expect(wrong).toMatchObject({ code: 1, out: "" });
    expect(wrong.err).toContain("did you mean server.port?");
  } finally {
    rmSync(directory, { recursive: true });
  }
});

const sotto = (...args: string[]): Promise<{ code: unknown; out: string; err: string }> =>
  new Promise((resolve) => {
    execFile(
      process.execPath,
      ["--conditions=@sotto/source", MAIN, ...args],
      { env: { ...process.env, NODE_OPTIONS: "" } },
      (error, out, err) => resolve({ code: error?.code ?? 0, out, err }),
    );
  });
