/** What `sotto-relay init` writes: settings that a relay takes, queries for numbers that it says, and deploy/ as an example. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  ALERTS,
  type Answers,
  configPage,
  makeKit,
  NODE_OPTIONS,
  operationsPortOf,
  PEOPLE_MAX,
  resolveSettings,
  ROWS,
  sizeFor,
  startRelay,
} from "sotto-relay";
import { makeCertificate } from "./certificates.ts";
import { killAll, run, startProcess } from "./relay-process.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "sotto-kit-"));
});
afterEach(async () => {
  await killAll();
  rmSync(directory, { recursive: true });
});

const EXAMPLE: Answers = {
  domain: "chat.example.com",
  email: "admin@chat.example.com",
  way: "compose",
  people: 1_000,
  storeGiB: 4,
  turn: true,
  door: "open",
  push: true,
};

test("deploy/ is what init writes; vitest -u writes it anew", async () => {
  const compose = makeKit(EXAMPLE, "change-me");
  const systemd = makeKit({ ...EXAMPLE, way: "systemd", turn: false }, "");
  for (const [name, { text }] of compose) {
    await expect(text).toMatchFileSnapshot(`../deploy/compose/${name}`);
  }
  for (const [name, { text }] of systemd) {
    if (compose.get(name)?.text === text) continue;
    await expect(text).toMatchFileSnapshot(`../deploy/systemd/${name}`);
  }
});

test.each(["compose", "systemd"] as const)(
  "a relay starts with the settings for %s",
  async (way) => {
    const text = makeKit({ ...EXAMPLE, way }, "").get("relay.toml")?.text ?? "";
    const { settings } = resolveSettings({ flags: {}, env: {}, file: text });
    expect(settings).toMatchObject({
      publicUrl: "https://chat.example.com",
      trustProxy: true,
      port: 8_787,
      maxBytes: 4 * 1_024 ** 3,
      ...sizeOf(sizeFor(1_000)),
    });
    // Caddy and Prometheus ask there.
    expect(operationsPortOf(settings)).toBe(8_788);
    expect(settings.host).toBe(way === "compose" ? "0.0.0.0" : "127.0.0.1");
    const file = join(directory, "relay.toml");
    writeFileSync(file, text);
    const data = join(directory, "data");
    const here = ["--host", "127.0.0.1", "--operations-host", "127.0.0.1"];
    const secret = "correct-horse-battery-staple";
    const env =
      makeKit({ ...EXAMPLE, way }, secret)
        .get("turn.env")
        ?.text.trim()
        .split("=") ?? [];
    const args = ["--config", file, "--data", data, ...here];
    const relay = await startProcess(args, { [env[0] ?? ""]: env[1] ?? "" });
    expect(relay.url).toBe("https://chat.example.com");
    // Both have to have the same one.
    const turnserver = makeKit({ ...EXAMPLE, way }, secret).get("turnserver.conf")?.text;
    expect(turnserver).toContain(`static-auth-secret=${env[1]}\n`);
    expect(settings.turnUrls).toContain("turn:chat.example.com:3478?transport=udp");
    expect(turnserver).toContain("listening-port=3478\n");
  },
);

const sizeOf = ({ connections, queues }: ReturnType<typeof sizeFor>) => ({
  maxConnections: connections,
  maxQueues: queues,
});

test("every query of the dashboard and the alerts asks for something that a relay says", async () => {
  const { certificate, key } = makeCertificate(directory, "kit.example");
  const relay = await startRelay({
    port: 0,
    operationsPort: 0,
    circuit: false,
    data: join(directory, "data"),
    tlsCertificate: certificate,
    tlsKey: key,
  });
  try {
    const response = await fetch(`http://127.0.0.1:${relay.operationsPort}/metrics`);
    const series = (await response.text()).split("\n").filter((line) => !line.startsWith("#"));
    const queries = [
      ...ROWS.flatMap(([, panels]) =>
        panels.flatMap((panel) => panel.queries.map(([, text]) => text)),
      ),
      ...ALERTS.map(({ expr }) => expr),
    ];
    expect(ROWS.map(([row]) => row)).toEqual(["People", "Mail", "Health", "Abuse"]);
    expect(ALERTS).toHaveLength(6);
    for (const query of queries) {
      const asked = [...query.matchAll(/\b(?:sotto_relay|nodejs|process)_\w+(?:\{[^}]*\})?/g)].map(
        ([text]) => text,
      );
      if (!query.startsWith("up{")) expect(asked.length, query).toBeGreaterThan(0);
      for (const one of asked) {
        expect(
          series.some((line) => line.startsWith(`${one} `) || line.startsWith(`${one}{`)),
          one,
        ).toBe(true);
      }
    }
  } finally {
    await relay.close();
  }
});

test("the dashboard is what its rows say, and no two panels lie on each other", () => {
  const made = JSON.parse(makeKit(EXAMPLE, "").get("grafana.json")?.text ?? "");
  const panels = made.panels as { title: string; gridPos: { x: number; y: number } }[];
  expect(panels.map(({ title }) => title)).toEqual(
    ROWS.flatMap(([row, inRow]) => [row, ...inRow.map(({ title }) => title)]),
  );
  expect(new Set(panels.map(({ gridPos: { x, y } }) => `${x},${y}`)).size).toBe(panels.length);
});

const ANSWERS = "chat.example.com\n\n\nyes\n\n\n";

test("init asks six questions, writes what follows, and keeps what somebody changed", async () => {
  const folder = join(directory, "kit");
  const first = run(["init", folder], {}, ANSWERS);
  expect(await first.ended).toBe(0);
  expect(first.out().split("\n")[0]?.match(/: /g)).toHaveLength(6);
  for (const [name, { text, secret }] of makeKit(EXAMPLE, "change-me")) {
    const written = readFileSync(join(folder, name), "utf8");
    expect(written.replace(/^(static-auth-secret|SOTTO_TURN_SECRET)=.{43}$/m, "$1=change-me")).toBe(
      text,
    );
    expect(statSync(join(folder, name)).mode & 0o777).toBe(secret ? 0o600 : 0o644);
  }
  expect(first.out()).toContain(join(folder, "README.md"));

  const again = run(["init", folder], {}, ANSWERS);
  expect(await again.ended).toBe(0);
  expect(again.out()).not.toContain("written");

  const toml = join(folder, "relay.toml");
  const own = readFileSync(toml, "utf8").replace("max_connections = 1000", "max_connections = 77");
  writeFileSync(toml, own);
  const kept = run(["init", folder], {}, ANSWERS);
  expect(await kept.ended).toBe(1);
  expect(kept.out()).toContain("- max_connections = 77\n+ max_connections = 1000\n");
  expect(readFileSync(toml, "utf8")).toBe(own);
  const turn = readFileSync(join(folder, "turnserver.conf"), "utf8");
  const forced = run(["init", "--force", folder], {}, ANSWERS);
  expect(await forced.ended).toBe(0);
  expect(readFileSync(toml, "utf8")).toContain("max_connections = 1000");
  expect(readFileSync(join(folder, "turnserver.conf"), "utf8")).toBe(turn);
});

test("a wrong answer is asked again, three are the end, and nothing is half written", async () => {
  const folder = join(directory, "kit");
  const patient = run(
    ["init", "--by", "systemd", folder],
    {},
    "chat\nchat.example.com\n\nmany\n10\n\n\n\n",
  );
  expect(await patient.ended).toBe(0);
  expect(readFileSync(join(folder, "Caddyfile"), "utf8")).toContain("127.0.0.1:8787");
  const other = join(directory, "other");
  for (const answers of ["a\nb\nc\n", "", "chat.example.com\nx y@z\n"]) {
    const { ended, err } = run(["init", other], {}, answers);
    expect(await ended).toBe(1);
    expect(err()).toContain("no answer");
    expect(() => statSync(other)).toThrow("ENOENT");
  }
});

test("what runs it and the room for mail are flags, and a wrong one ends it before the first question", async () => {
  const folder = join(directory, "kit");
  const given = run(["init", "--by", "systemd", "--room", "9", folder], {}, ANSWERS);
  expect(await given.ended).toBe(0);
  const kit = makeKit({ ...EXAMPLE, way: "systemd", storeGiB: 9 }, "");
  const read = (name: string): string => readFileSync(join(folder, name), "utf8");
  expect(read("relay.toml")).toBe(kit.get("relay.toml")?.text);
  expect(read("sotto-relay.service")).toBe(kit.get("sotto-relay.service")?.text);
  for (const flags of [
    ["--by", "hand"],
    ["--room", "0"],
    ["--room", "65537"],
    ["--room", "4G"],
  ]) {
    const { ended, out } = run(["init", ...flags, join(directory, "other")], {}, ANSWERS);
    expect(await ended, flags.join(" ")).toBe(1);
    expect(out()).toBe("");
  }
});

test("a size has room for twice the usual peak, and for nobody too little to start with", () => {
  expect(sizeFor(10_000)).toEqual({
    connections: 4_000,
    queues: 400_000,
    storeGiB: 6,
    memoryMiB: 1_920,
  });
  expect(sizeFor(1)).toEqual({ connections: 1_000, queues: 50_000, storeGiB: 4, memoryMiB: 512 });
});

test.each([
  [String(PEOPLE_MAX), 0],
  [String(PEOPLE_MAX + 1), 1],
])("init for %s people ends with %i", async (people, code) => {
  const { ended } = run(["init", join(directory, "kit")], {}, `a.example\n\n${people}\n\n\n\n`);
  expect(await ended).toBe(code);
});

test("without a TURN server the relay itself says what people's addresses are", () => {
  const kit = makeKit({ ...EXAMPLE, turn: false }, "");
  const file = kit.get("relay.toml")?.text ?? "";
  const { settings } = resolveSettings({ flags: {}, env: {}, file });
  expect(settings).toMatchObject({ stunPort: 3_478, turnUrls: [] });
  expect(kit.get("compose.yaml")?.text).toContain('ports: ["3478:3478/udp"]');
  expect([...kit.keys()].filter((name) => name.startsWith("turn"))).toEqual([]);
});

test.each(["invite", "oidc"] as const)(
  "the door %s is written so that a relay takes it",
  (door) => {
    const text = makeKit({ ...EXAMPLE, door }, "").get("relay.toml")?.text ?? "";
    const { settings } = resolveSettings({ flags: {}, env: {}, file: text });
    expect(settings.door).toBe(door);
  },
);

test("the door oidc needs to know whose sign-in it is", () => {
  const resolve = (env: Record<string, string>) => () => resolveSettings({ flags: {}, env });
  expect(resolve({ SOTTO_DOOR: "oidc", SOTTO_OIDC_ISSUER: "x", SOTTO_OIDC_AUDIENCE: "y" })).toThrow(
    ".jwks",
  );
  expect(resolve({ SOTTO_DOOR: "closed" })).toThrow("open, invite or oidc");
  expect(resolve({ SOTTO_OIDC_JWKS: "http://id.example.com/jwks" })).toThrow("https");
});

/** Of the operator's tools, those that are on this machine look at what is written for them. */
const hasTool = (name: string): boolean => spawnSync(name, ["--version"]).error === undefined;
const LINTS: readonly (readonly [string, readonly string[]])[] = [
  ["caddy", ["validate", "--adapter", "caddyfile", "--config", "Caddyfile"]],
  ["promtool", ["check", "config", "prometheus.yaml"]],
  ["systemd-analyze", ["verify", "./sotto-relay.service"]],
];

test.each(LINTS)("%s finds nothing wrong in the kit", (tool, args) => {
  const way = tool === "systemd-analyze" ? "systemd" : "compose";
  if (!hasTool(tool)) return;
  for (const [name, { text }] of makeKit({ ...EXAMPLE, way }, "change-me")) {
    writeFileSync(join(directory, name), text);
  }
  const home = { HOME: directory, XDG_DATA_HOME: directory, XDG_CONFIG_HOME: directory };
  const env = { ...process.env, ...home };
  const { status, stdout, stderr } = spawnSync(tool, args, { cwd: directory, env });
  expect(status, `${String(stdout)}${String(stderr)}`).toBe(0);
  if (tool === "systemd-analyze") expect(String(stderr)).toBe("");
});

test("what compose mounts and reads is in the kit, and the image starts with settings that there are", async () => {
  const kit = makeKit(EXAMPLE, "change-me");
  const compose = kit.get("compose.yaml")?.text ?? "";
  const files = [...compose.matchAll(/"\.\/([\w.-]+)[:"]/g)].map(([, name]) => name ?? "");
  expect(files.toSorted()).toEqual(["Caddyfile", "relay.toml", "turn.env", "turnserver.conf"]);
  for (const name of files) expect(kit.has(name), name).toBe(true);
  for (const [, name] of (kit.get("turn.env")?.text ?? "").matchAll(/^(\w+)=/gm)) {
    expect(configPage()).toContain(`\`${name}\``);
  }
  const dockerfile = readFileSync(new URL("../deploy/Dockerfile", import.meta.url), "utf8");
  const list = (word: string): string[] =>
    JSON.parse(new RegExp(`^${word} (.*)$`, "m").exec(dockerfile)?.[1] ?? "[]");
  expect(dockerfile).toContain(`ENV NODE_OPTIONS=${NODE_OPTIONS}\n`);
  expect(list("ENTRYPOINT")).toEqual(["sotto-relay"]);
  const [command, ...flags] = list("CMD");
  expect(command).toBe("start");
  const shown = run(["config", "--print", ...flags]);
  expect(await shown.ended, shown.err()).toBe(0);
  const root = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  for (const [, script] of dockerfile.matchAll(/npm run (?:--silent )?([\w:]+)/g)) {
    expect(root.scripts).toHaveProperty([script ?? ""]);
  }
});
