/** Settings: which source wins, what is refused, and that CONFIG.md says what is so. */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { configPage, operationsPortOf, printSettings, resolveSettings } from "sotto-relay";

const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const FILE = '[server]\nport = 1\nhost = "::1"\ncircuit = false\n';

test("flags beat the environment, the environment beats the file", () => {
  const { settings, sources } = resolveSettings({
    flags: { port: "3" },
    env: { SOTTO_PORT: "2", SOTTO_HOST: "::" },
    file: FILE,
  });
  expect(settings).toMatchObject({ port: 3, host: "::", circuit: false, maxBytes: 4_294_967_296 });
  expect(sources).toMatchObject({
    port: "flag",
    host: "environment",
    circuit: "file",
    maxBytes: "default",
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

test("the app's other relays are origins, each once, at most eight", () => {
  const relaysOf = (texts: readonly string[]): readonly string[] =>
    resolveSettings({ flags: { appRelays: texts.join(" ") }, env: {} }).settings.appRelays;
  const eight = Array.from({ length: 8 }, (_, at) => `https://${at}.example`);
  expect(relaysOf([])).toEqual([]);
  expect(relaysOf([...eight, "https://0.example"])).toEqual(eight);
  const file = '[app]\nrelays = ["https://0.example", "https://1.example"]\n';
  expect(resolveSettings({ flags: {}, env: {}, file }).settings.appRelays).toEqual(
    eight.slice(0, 2),
  );
  expect(() => relaysOf([...eight, "https://8.example"])).toThrow("At most 8.");
  // Into a header as they are: nothing may end the directive or widen it.
  for (const wrong of [
    "https://*",
    "https://a.example;",
    "wss://a.example",
    "http://a.example",
    "'self'",
  ]) {
    expect(() => relaysOf([wrong]), wrong).toThrow("Origins such as");
  }
});

const settingsOf = (file: string, ...files: readonly string[]) =>
  resolveSettings({ flags: {}, env: {}, file, hasFile: (path) => files.includes(path) });

test("a domain means a proxy on this machine, unless there is a certificate", () => {
  const domain = '[server]\ndomain = "Chat.example.com"\n';
  const proxied = settingsOf(domain);
  expect(proxied.settings).toMatchObject({
    publicUrl: "https://chat.example.com",
    host: "127.0.0.1",
    port: 8_787,
    trustProxy: true,
  });
  expect(proxied.sources).toMatchObject({ publicUrl: "domain", host: "default" });

  const files = ["fullchain.pem", "privkey.pem"].map(
    (name) => `/etc/letsencrypt/live/chat.example.com/${name}`,
  );
  expect(settingsOf(domain, ...files).settings).toMatchObject({
    publicUrl: "https://chat.example.com",
    host: "::",
    port: 443,
    trustProxy: false,
    tlsCertificate: files[0],
    tlsKey: files[1],
  });
  expect(settingsOf(domain, files[0] ?? "").settings).toEqual(proxied.settings);

  const own = `${domain}port = 8443\n[tls]\ncertificate = "a.pem"\nkey = "b.pem"\n`;
  expect(settingsOf(own, ...files).settings).toMatchObject({
    host: "::",
    port: 8_443,
    trustProxy: false,
    tlsCertificate: "a.pem",
    tlsKey: "b.pem",
  });
});

test.each(["a", "chat.example.com:8443", "https://chat.example.com", "-a.example", "1.2.3.4"])(
  "%s is no domain",
  (domain) => {
    expect(() => settingsOf(`[server]\ndomain = "${domain}"`)).toThrow("chat.example.com.");
  },
);

test("a name of 253 letters is a domain, one more is none", () => {
  const labels = `${"a".repeat(61)}.`.repeat(4);
  const name = `${labels}${"b".repeat(253 - labels.length)}`;
  expect(settingsOf(`[server]\ndomain = "${name}"`).settings.domain).toBe(name);
  expect(() => settingsOf(`[server]\ndomain = "${name}b"`)).toThrow("server.domain");
});

test("a certificate needs its key, and the key its certificate", () => {
  expect(() => settingsOf('[tls]\nkey = "b.pem"')).toThrow("both or neither");
  expect(() => settingsOf('[tls]\ncertificate = "a.pem"')).toThrow("both or neither");
});

test("the operator's port stands beside the relay's, unless it is given or free", () => {
  const portOf = (file: string) => operationsPortOf(settingsOf(file).settings);
  expect(portOf("")).toBe(8_788);
  expect(portOf("[server]\nport = 0")).toBe(0);
  expect(portOf("[server]\nport = 65535")).toBe(0);
  expect(portOf("[operations]\nport = 9000")).toBe(9_000);
  expect(portOf('[operations]\nport = "off"')).toBeUndefined();
});

test.each([
  ["drain_grace = 301", "0 to 300."],
  ["port = 65536", "0 to 65535, or off."],
])("operations: %s is refused", (line, words) => {
  expect(() => settingsOf(`[operations]\n${line}`)).toThrow(words);
  expect(settingsOf("[operations]\ndrain_grace = 300").settings.drainGrace).toBe(300);
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

test("the secret of TURN is of use, and no command says it", () => {
  const secret = "correct-horse-battery-staple";
  const said = (env: Readonly<Record<string, string>>) =>
    printSettings(resolveSettings({ flags: {}, env }));
  const printed = said({ SOTTO_TURN_SECRET: secret, SOTTO_TURN_URLS: "turn:a, stun:b:1" });
  expect(printed).not.toContain(secret);
  expect(printed).toContain('secret = "(not shown)" # environment\n');
  expect(printed).toContain('urls = "turn:a,stun:b:1" # environment\n');
  for (const [text, isGood] of [
    ["x".repeat(15), false],
    ["x".repeat(16), true],
    ["x".repeat(128), true],
    ["x".repeat(129), false],
    [`${"x".repeat(16)} `, false],
  ] as const) {
    const resolve = () => said({ SOTTO_TURN_SECRET: text });
    if (isGood) expect(resolve()).not.toContain("xxx");
    else expect(resolve).toThrow(/^SOTTO_TURN_SECRET: 16 to 128 letters, digits and signs\.$/);
  }
});

test.each([
  ["SOTTO_TURN_URLS", "turn:a,http://b", "Addresses such as"],
  ["SOTTO_TURN_URLS", Array.from({ length: 9 }, () => "stun:a").join(","), "At most 8."],
  ["SOTTO_TURN_TTL", "59", "60 to 86400."],
  ["SOTTO_TURN_TTL", "86401", "60 to 86400."],
  ["SOTTO_STUN_PORT", "65536", "0 to 65535, or off."],
])("%s=%s is refused in words", (name, text, words) => {
  expect(() => resolveSettings({ flags: {}, env: { [name]: text } })).toThrow(words);
});
