/** `sotto-relay doctor`: finds nothing wrong with a good relay, and each thing that can be wrong with a bad one. */
import { createServer, type Server } from "node:http";
import { connect as connectTcp } from "node:net";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { makeKit, startRelay, type Relay, type RelayOptions } from "sotto-relay";
import { makeCertificate } from "./certificates.ts";
import { killAll, run } from "./relay-process.ts";
import { hasTurnserver, startTurnserver, TURN_SECRET } from "./turnserver.ts";

let directory: string;
const relays: Relay[] = [];
const servers: Server[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "sotto-doctor-"));
  writeFileSync(join(directory, "index.html"), "<!doctype html><title>app</title>");
});
afterEach(async () => {
  await killAll();
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
  for (const relay of relays.splice(0)) await relay.close();
  rmSync(directory, { recursive: true });
});

async function start(options: RelayOptions = {}): Promise<Relay> {
  const relay = await startRelay({ port: 0, app: directory, ...options });
  relays.push(relay);
  return relay;
}

interface Proxy {
  readonly upgrades: boolean;
  /** Where WebSockets go instead. */
  readonly upgradesTo: Relay;
  readonly headers: Readonly<Record<string, string>>;
  /** Paths that do not reach the relay. */
  readonly kept: readonly string[];
  /** What it answers with instead of its own clock. */
  readonly date?: Date;
}

/** A proxy in front of `relay` that somebody set up well or badly. */
async function proxy(relay: Relay, how: Partial<Proxy>): Promise<string> {
  const server = createServer((request, response) => {
    if (how.kept?.includes(request.url ?? "") === true) return void response.end("proxy");
    const headers = { ...Object.fromEntries(Object.entries(request.headers)), ...how.headers };
    fetch(`http://127.0.0.1:${relay.port}${request.url}`, {
      headers:
        how.headers === undefined ? {} : { "x-forwarded-for": String(headers["x-forwarded-for"]) },
    }).then(
      async (answer) => {
        const passed = new Headers(answer.headers);
        if (how.date !== undefined) passed.set("date", how.date.toUTCString());
        response.writeHead(answer.status, Object.fromEntries(passed));
        response.end(Buffer.from(await answer.arrayBuffer()));
      },
      () => response.destroy(),
    );
  });
  server.on("upgrade", (request, socket, head) => {
    if (how.upgrades === false) return void socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
    const inner = connectTcp((how.upgradesTo ?? relay).port, "127.0.0.1");
    const lines = [`GET ${request.url} HTTP/1.1`];
    for (const [name, value] of Object.entries(request.headers))
      lines.push(`${name}: ${String(value)}`);
    inner.write(`${lines.join("\r\n")}\r\n\r\n`);
    inner.write(head);
    socket.pipe(inner).pipe(socket);
    for (const one of [socket, inner]) one.on("error", () => [socket.destroy(), inner.destroy()]);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  servers.push(server);
  const address = server.address();
  return `http://localhost:${typeof address === "object" ? address?.port : ""}`;
}

async function doctor(...args: readonly string[]) {
  const { ended, out, err } = run(["doctor", "--json", ...args]);
  const code = await ended;
  const checks = (out() === "" ? [] : JSON.parse(out())) as readonly {
    readonly name: string;
    readonly result: string;
    readonly words: string;
  }[];
  const bad = checks.filter(({ result }) => result !== "ok");
  return { code, err: err(), names: checks.map(({ name }) => name), bad };
}

test("a good relay has nothing wrong with it, over TLS and with its machine", async () => {
  const { certificate, key } = makeCertificate(directory, "good.example", 90);
  const relay = await start({
    tlsCertificate: certificate,
    tlsKey: key,
    publicUrl: "https://good.example",
  });
  const found = await doctor(
    `https://localhost:${relay.port}`,
    "--ca",
    certificate,
    "--data",
    directory,
    "--max-connections",
    "100",
  );
  expect(
    found.bad.filter(({ name }) => name !== "room" && name !== "memory" && name !== "files"),
  ).toEqual([]);
  expect(found.names).toEqual(
    "name tls health app clock proxy hub door limits frames circuits push disk room memory files".split(
      " ",
    ),
  );
  // Nothing of it stays: no queue, no client.
  expect(relay.stats()).toMatchObject({ queues: 0, messages: 0 });
});

test("a certificate that nobody trusts, or that ends soon, is found", async () => {
  const { certificate, key } = makeCertificate(directory, "short.example", 3);
  const relay = await start({ tlsCertificate: certificate, tlsKey: key, circuit: false });
  const address = `https://localhost:${relay.port}`;
  const untrusted = await doctor(address);
  expect(untrusted).toMatchObject({ code: 1, bad: [{ name: "tls", result: "fail" }] });
  expect(untrusted.bad[0]?.words).toContain("DEPTH_ZERO_SELF_SIGNED_CERT");
  const soon = await doctor(address, "--ca", certificate);
  expect(soon.bad).toContainEqual({
    name: "tls",
    result: "warn",
    words: "TLSv1.3, certificate for 2 more days: does it renew?",
  });
});

test.each([
  ["passes no upgrades on", { upgrades: false }, "hub", "fail"],
  ["keeps pages for itself", { kept: ["/info.json"] }, "proxy", "fail"],
  [
    "names clients to a relay that does not listen",
    { headers: { "x-forwarded-for": "203.0.113.7" } },
    "proxy",
    "fail",
  ],
  ["has a clock two minutes off", { date: new Date(Date.now() - 120_000) }, "clock", "fail"],
  ["has a clock ten seconds off", { date: new Date(Date.now() - 20_000) }, "clock", "warn"],
] as const)("a proxy that %s is found", async (_, how, name, result) => {
  const relay = await start({ circuit: false });
  const { code, bad } = await doctor(await proxy(relay, how));
  expect(bad.filter((check) => check.name === name)).toMatchObject([{ name, result }]);
  expect(code).toBe(result === "fail" ? 1 : 0);
});

test("pages of one relay and the hub of another are found", async () => {
  const [one, other] = [await start({ circuit: false }), await start({ circuit: false })];
  const { code, bad } = await doctor(await proxy(one, { upgradesTo: other }));
  expect(code).toBe(1);
  expect(bad).toContainEqual({
    name: "hub",
    result: "fail",
    words: "another relay than the one that serves /info.json",
  });
});

test("a relay that is down, unknown, draining or without an app is told apart", async () => {
  const ended = await start({ circuit: false });
  await ended.close();
  const down = await doctor(ended.url);
  expect(down).toMatchObject({ code: 1 });
  expect(down.bad).toContainEqual({ name: "health", result: "fail", words: "ECONNREFUSED" });
  const nobody = await doctor("https://nobody.invalid");
  expect(nobody).toMatchObject({ code: 1, names: ["name"] });
  const bare = await start({ app: join(directory, "none"), circuit: false });
  expect((await doctor(bare.url)).bad).toMatchObject([
    { name: "app", result: "fail" },
    { name: "circuits", result: "warn" },
  ]);
  const leaving = await start({ drainGrace: 30, circuit: false });
  void leaving.close();
  relays.pop();
  expect((await doctor(leaving.url)).bad[0]).toMatchObject({ name: "health", result: "fail" });
});

test("plain http is for this machine only, and a wrong question gets an answer in words", async () => {
  const remote = await doctor("http://127.0.0.2:1");
  expect(remote.bad.map(({ name }) => name)).toContain("health");
  expect((await doctor()).err).toContain("give an address");
  expect((await doctor("https://:x")).err).toContain("such as https://chat.example.com");
  expect((await doctor("--turn", "localhost")).err).toContain("--turn-secret-file");
});

test("a machine that allows too few open files is found", async () => {
  const { bad } = await doctor("--data", directory, "--max-connections", "2000000000");
  expect(bad).toContainEqual(expect.objectContaining({ name: "files", result: "fail" }));
  const gone = await doctor("--data", join(directory, "none"));
  expect(gone.bad.map(({ name }) => name)).toEqual(expect.arrayContaining(["disk", "room"]));
});

/** The real thing, where it is installed: apt-get install coturn. */
test.skipIf(!hasTurnserver)("a TURN server is asked as browsers ask it", async () => {
  const secret = join(directory, "secret");
  writeFileSync(secret, `${TURN_SECRET}\n`);
  const turn = async (...args: readonly string[]) => {
    const { port, stop } = await startTurnserver(args);
    try {
      return await doctor("--turn", `127.0.0.1:${port}`, "--turn-secret-file", secret);
    } finally {
      stop();
    }
  };
  // What `init` writes, but for where it may write itself.
  const answers = {
    domain: "example.com",
    email: "a@example.com",
    way: "compose",
    people: 1,
    storeGiB: 4,
    turn: true,
    door: "open",
    push: true,
  } as const;
  const written = makeKit(answers, TURN_SECRET).get("turnserver.conf")?.text ?? "";
  const config = written.replaceAll("/var/tmp/", `${directory}/`).replace(/^log-file=.*$/m, "");
  const toArgs = (text: string): readonly string[] =>
    text
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
      .flatMap((line) => {
        const [, name = "", value] = /^([\w-]+)(?:=(.*))?$/.exec(line) ?? [];
        return name === "listening-port"
          ? []
          : [`--${name}`, ...(value === undefined ? [] : [value])];
      });
  const closed = await turn(...toArgs(config));
  expect(closed).toMatchObject({ code: 0, bad: [], names: ["turn", "turn peers"] });
  const careless = config.replace(/^denied-peer-ip=.*$/gm, "");
  const open = await turn(...toArgs(careless));
  expect(open.bad).toMatchObject([{ name: "turn peers", result: "fail" }]);
  writeFileSync(secret, "another secret");
  const wrong = await turn(...toArgs(config));
  expect(wrong.bad).toMatchObject([{ name: "turn", result: "fail" }]);
  expect(wrong.bad[0]?.words).toContain("(401)");
});

test.skipIf(!hasTurnserver)(
  "what a relay names is asked with the credential that it gives",
  async () => {
    const { port, stop } = await startTurnserver();
    try {
      const relayWith = (turnSecret: string) =>
        start({
          circuit: false,
          stunPort: 0,
          turnUrls: [`turn:127.0.0.1:${port}?transport=udp`, "turns:nobody.invalid"],
          turnSecret,
        });
      const good = await doctor((await relayWith(TURN_SECRET)).url);
      expect(good.names.slice(-3)).toEqual(["stun", "turn", "turn peers"]);
      // A relay on loopback may have peers there, and this one's clients are told so.
      expect(good.bad.map(({ name }) => name)).toEqual(["circuits", "turn peers"]);
      const wrong = await doctor((await relayWith(`${TURN_SECRET}!`)).url);
      expect(wrong.bad).toContainEqual(expect.objectContaining({ name: "turn", result: "fail" }));
    } finally {
      stop();
    }
  },
);
