/** What an operator sees of a relay: metrics, status, log, and how it drains. And what nobody sees. */
import { createServer, type Server } from "node:http";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { AGE_HOURS, COUNTERS } from "sotto-relay/core";
import { createLog, crashOf, type Relay, type RelayOptions, startRelay } from "sotto-relay";
import { append, connect, connectRaw, newLinkId, pair, random } from "./client.ts";
import { killAll, run, startProcess } from "./relay-process.ts";

const directories: string[] = [];
const relays: Relay[] = [];
const servers: Server[] = [];
afterEach(async () => {
  await killAll();
  for (const relay of relays.splice(0)) await relay.close();
  for (const server of servers.splice(0)) server.close();
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
});

/** In this process: enough wherever no signal, flag or output is looked at. */
async function start(options: RelayOptions = {}): Promise<Relay> {
  const relay = await startRelay({ port: 0, circuit: false, ...options });
  relays.push(relay);
  return relay;
}

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "sotto-operations-"));
  directories.push(directory);
  return directory;
}

const get = async (port: number, path: string, headers = {}) => {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers });
  return { status: response.status, text: await response.text(), headers: response.headers };
};

/** Values by name and labels, as Prometheus would read them. */
async function scrape(port: number): Promise<ReadonlyMap<string, number>> {
  const { text } = await get(port, "/metrics");
  return new Map(
    text
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => {
        const at = line.lastIndexOf(" ");
        return [line.slice(0, at), Number(line.slice(at + 1))] as const;
      }),
  );
}

test("metrics and status count what happened, each under its name", async () => {
  const data = newDirectory();
  const { port, operationsPort } = await startProcess(["--data", data]);
  const [alice, bob] = [await connect(port), await connect(port)];
  const bound = await pair(alice, bob);
  alice.close();
  await alice.closed;
  await bob.request(append(bound.alias, random(1_024)));
  await bob.request(append(bound.alias, random(2_048)));

  const metrics = await scrape(operationsPort);
  const value = (name: string): number | undefined => metrics.get(`sotto_relay_${name}`);
  expect(value("connections")).toBe(1);
  expect(value("connections_limit")).toBe(10_000);
  expect(value("queues")).toBe(1);
  expect(value("messages")).toBe(2);
  // Two messages and their queue, with a row each.
  expect(value("stored_bytes")).toBe(3_072 + 3 * 256);
  expect(value("oldest_message_hours")).toBeLessThanOrEqual(1);
  for (const hours of AGE_HOURS.slice(1)) {
    expect(value(`messages_waiting{hours="${hours}"}`)).toBe(0);
  }
  expect(value("ready")).toBe(1);
  expect(value("store_failing")).toBe(0);
  expect(value("disk_free_bytes")).toBeGreaterThan(0);
  expect(value("tls_certificate_expiry_seconds")).toBeUndefined();
  expect(value('events_total{event="written"}')).toBe(2);
  expect(value('events_total{event="authenticated"}')).toBe(2);
  expect(value("commit_seconds_count")).toBeGreaterThanOrEqual(3);
  expect(value("commit_seconds_sum")).toBeGreaterThan(0);

  const status = JSON.parse((await get(operationsPort, "/status.json")).text);
  expect(status).toMatchObject({ connections: 1, queues: 1, messages: 2, bytes: 3_840 });
  const args = ["--port", String(port), "--operations-port", String(operationsPort)];
  const words = run(["status", ...args]);
  expect(await words.ended).toBe(0);
  expect(words.out()).toMatch(/state +ready\n/);
  expect(words.out()).toMatch(/connections +1 of 10000\n/);
  // Its ports were drawn when it started; its data directory knows them.
  const json = run(["status", "--json", "--data", data]);
  expect(await json.ended).toBe(0);
  expect(JSON.parse(json.out())).toMatchObject({ messages: 2 });
});

test("every counter of the core is said, also before anything happened", async () => {
  const relay = await start({ operationsPort: 0 });
  const metrics = await scrape(relay.operationsPort!);
  for (const event of COUNTERS) {
    expect(metrics.get(`sotto_relay_events_total{event="${event}"}`)).toBe(0);
  }
  // Nothing on a disk, so nothing about one.
  expect(metrics.has("sotto_relay_disk_free_bytes")).toBe(false);
  expect(
    metrics.get('sotto_relay_build_info{version="0.1.0",node="' + process.versions.node + '"}'),
  ).toBe(1);
});

test("who is told to wait, and who is turned away, is counted by what was short", async () => {
  const options = {
    connectionsPerPlace: 2,
    queueMessages: 1,
    queuesPerReader: 1,
    maxBytes: 1_048_576,
  };
  const { port, operationsPort = 0 } = await start({
    ...options,
    trustProxy: true,
    operationsPort: 0,
  });
  const from = { "X-Forwarded-For": "203.0.113.9" };
  const [alice, bob] = [
    await connect(port, random(32), from),
    await connect(port, random(32), from),
  ];
  await expect(connect(port, random(32), from)).rejects.toThrow("ended");
  const bound = await pair(alice, bob);
  alice.close();
  await alice.closed;
  expect(await bob.request(append(bound.alias))).toEqual({ type: "ok" });
  expect(await bob.request(append(bound.alias))).toMatchObject({ code: "quota" });
  await bob.makeQueue(random(16));
  await expect(bob.makeQueue(random(16))).rejects.toThrow("limit");
  for (let gets = 0; gets < 33; gets++)
    await bob.request({ type: "bundle-get", linkId: newLinkId() });
  const metrics = await scrape(operationsPort);
  const value = (event: string) => metrics.get(`sotto_relay_events_total{event="${event}"}`);
  expect(value("turned-away")).toBe(1);
  expect(value("told-quota")).toBe(1);
  expect(value("told-limit")).toBe(1);
  expect(value("told-later")).toBe(1);
  // Gone is an answer like any other.
  expect(value("told-full")).toBe(0);
});

test("the operator's listener is no part of the public one, and only answers what it knows", async () => {
  const { port, operationsPort = 0 } = await start({ operationsPort: 0 });
  for (const path of ["/metrics", "/status.json"]) {
    expect((await get(port, path)).status).toBe(404);
    expect((await get(operationsPort, path)).status).toBe(200);
  }
  expect((await get(operationsPort, "/")).status).toBe(404);
  const posted = await fetch(`http://127.0.0.1:${operationsPort}/metrics`, { method: "POST" });
  expect(posted.status).toBe(405);
  expect((await start({ operationsPort: "off" })).operationsPort).toBeUndefined();
});

test("status says that no relay answers, whatever else may listen there", async () => {
  const server = createServer((_, response) => response.end("x".repeat(100_000))).listen(0);
  servers.push(server);
  const address = server.address();
  const port = typeof address === "object" ? String(address?.port) : "";
  for (const args of [
    ["--operations-port", port],
    ["--operations-port", "off"],
    ["--port", "0"],
  ]) {
    const { ended, err, out } = run(["status", ...args]);
    expect(await ended).toBe(1);
    expect(out()).toBe("");
    expect(err()).toMatch(/^sotto-relay: .*operator.*\n$/);
  }
});

/** As it could be written down by somebody who did not think. */
const spellings = (bytes: Uint8Array): readonly string[] => {
  const buffer = Buffer.from(bytes);
  return [
    buffer.toString("hex"),
    buffer.toString("base64").replace(/=+$/, ""),
    buffer.toString("base64url"),
    [...bytes].join(","),
    buffer.toString("latin1"),
  ];
};

test("neither metrics nor status nor pages nor log hold an id, a key, a content or an address", async () => {
  const relay = await startProcess(["--data", newDirectory(), "--trust-proxy"]);
  const { port, operationsPort } = relay;
  const address = "203.0.113.77";
  const from = { "X-Forwarded-For": address, "User-Agent": "canary-agent" };
  const alice = await connect(port, random(32), from);
  const bob = await connect(port, random(32), from);
  const bound = await pair(alice, bob);
  const linkId = newLinkId();
  const offer = random(256);
  const offered = await alice.makeQueue(random(16));
  await alice.request({ type: "bundle-put", alias: offered.alias, linkId, blob: offer });
  await bob.request({ type: "bundle-get", linkId });
  const message = append(bound.alias);
  void bob.request(message).catch(() => undefined);
  const delivered = await alice.next("deliver");
  alice.ack(delivered.alias, delivered.sequence);
  await bob.request({ type: "signal", alias: bound.alias, blob: random(256) });
  // What goes wrong is what gets written down elsewhere.
  const stranger = await connectRaw(port, random(32), from);
  stranger.send({ type: "ping" });
  await stranger.closed;
  await fetch(`http://127.0.0.1:${port}/canary-path?canary-query`, { headers: from });
  const pages = await Promise.all(
    ["/status", "/info.json", "/readyz", "/healthz"].map((path) => get(port, path, from)),
  );
  const numbers = await Promise.all(
    ["/metrics", "/status.json"].map((path) => get(operationsPort, path)),
  );
  relay.child.kill("SIGTERM");
  expect(await relay.ended).toBe(0);

  const said =
    [...pages, ...numbers].map(({ text }) => text).join("\n") + relay.err() + relay.out();
  // The haystack has what is looked for elsewhere: an empty one proves nothing.
  expect(said).toContain("sotto_relay_connections 2");
  expect(said).toContain('"event":"stopped"');
  const secrets = [
    alice.readerSeed,
    bound.queueId,
    bound.sendId,
    bound.sendSecret,
    linkId,
    offer,
    message.id,
    message.blob,
  ];
  for (const secret of secrets) {
    for (const spelling of spellings(secret)) expect(said).not.toContain(spelling);
  }
  for (const word of [address, "127.0.0.1", "::1", "canary"]) expect(said).not.toContain(word);
});

test("an error's message is never logged, only what it was and where", () => {
  const lines: string[] = [];
  const log = createLog({ level: "info", format: "json", write: (line) => lines.push(line) });
  const error = Object.assign(new RangeError("secret words"), { code: "ECONNRESET" });
  log(crashOf(error));
  log(crashOf("secret words"));
  log(crashOf(Object.assign(new Error("secret words"), { code: "secret words" })));
  const first = JSON.parse(lines[0] ?? "");
  expect(first).toMatchObject({ level: "error", name: "RangeError", code: "ECONNRESET" });
  expect(first.frames[0]).toMatch(/^operations\.test\.ts:\d+$/);
  expect(lines.join("")).not.toContain("secret");
});

test("the log is JSON for programs and words for people, from its level on", () => {
  const lines: string[] = [];
  const write = (line: string): number => lines.push(line);
  createLog({ level: "info", format: "text", write })({ event: "store-failed", reason: "full" });
  expect(lines.at(-1)).toMatch(/^\d\d:\d\d:\d\d error store-failed reason="full"\n$/);
  createLog({ level: "info", format: "json", write })({ event: "store-recovered" });
  expect(JSON.parse(lines.at(-1) ?? "")).toMatchObject({ level: "info", event: "store-recovered" });
  createLog({ level: "warn", format: "json", write })({ event: "store-recovered" });
  createLog({ level: "silent", format: "json", write })({ event: "store-failed", reason: "full" });
  expect(lines).toHaveLength(2);
});

test("while it drains it says so first, takes clients on for the grace, then sends all of them away", async () => {
  const relay = await startProcess(["--drain-grace", "2", "--data", newDirectory()]);
  const { port, operationsPort } = relay;
  const early = await connect(port);
  expect((await get(port, "/readyz")).status).toBe(200);
  relay.child.kill("SIGTERM");
  expect(await relay.logged("draining")).toMatchObject({ connections: 1, graceSeconds: 2 });
  expect(await get(port, "/readyz")).toMatchObject({ status: 503, text: "draining\n" });
  expect((await get(port, "/healthz")).status).toBe(200);
  expect((await scrape(operationsPort)).get("sotto_relay_ready")).toBe(0);
  const late = await connect(port);
  for (const client of [early, late]) expect((await client.next("bye")).code).toBe("draining");
  expect(await relay.ended).toBe(0);
});

test("a second signal does not wait for the grace", async () => {
  const relay = await startProcess(["--drain-grace", "300"]);
  relay.child.kill("SIGTERM");
  await relay.logged("draining");
  relay.child.kill("SIGTERM");
  expect(await relay.ended).toBe(1);
});

test("the public page speaks the reader's language and tells nobody how many there are", async () => {
  const { port } = await start();
  const english = await get(port, "/status");
  expect(english.text).toContain('<html lang="en">');
  expect(english.headers.get("content-security-policy")).toContain("default-src 'none'");
  const chinese = await get(port, "/status", { "Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8" });
  expect(chinese.text).toContain('<html lang="zh">');
  const english2 = await get(port, "/status", { "Accept-Language": "en,zh;q=0.8" });
  expect(english2.text).toBe(english.text);
  await connect(port);
  expect((await get(port, "/status")).text).toBe(english.text);
  const info = JSON.parse((await get(port, "/info.json")).text);
  expect(Object.keys(info).toSorted()).toEqual([
    "circuits",
    "forwarded",
    "limits",
    "ready",
    "relayKey",
    "relays",
    "version",
  ]);
});

test.each([
  [false, {}, "none"],
  [false, { "X-Forwarded-For": "203.0.113.7" }, "ignored"],
  [true, { "X-Forwarded-For": "203.0.113.7" }, "believed"],
])("whether it believes a proxy (%s) is what it says", async (trustProxy, headers, said) => {
  const { port } = await start({ trustProxy });
  expect(JSON.parse((await get(port, "/info.json", headers)).text).forwarded).toBe(said);
});
