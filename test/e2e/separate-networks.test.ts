/**
 * Two people whose networks have no way to each other: with the relay's TURN server they have a direct link, without
 * it the relay carries everything. Network namespaces stand for the networks, so it takes root, and it is asked for by
 * SOTTO_SEPARATE_NETWORKS=1: it changes the machine's network while it runs.
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { chromium, type BrowserContext } from "playwright-core";
import { afterEach, beforeEach, expect, it } from "vitest";
import { makeCertificate } from "../../relay/test/certificates.ts";
import { hasTurnserver, TURN_SECRET } from "../../relay/test/turnserver.ts";
import { meet, sees, seesLink, write } from "./support/person.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const CHROMIUM = process.env["SOTTO_CHROMIUM"] ?? "/usr/bin/chromium";
const isAsked = process.env["SOTTO_SEPARATE_NETWORKS"] === "1" && process.getuid?.() === 0;

/** Where relay and TURN server are, as both networks see it. */
const SERVER = "203.0.113.1";
const RELAY = `https://${SERVER}:8443`;
const TURN_PORT = 3_478;
/** Names that no other namespace of this machine has. */
const NAMES = { server: "sotto-test-s", a: "sotto-test-a", b: "sotto-test-b" } as const;

const cleanups: (() => Promise<unknown> | void)[] = [];
let folder: string;

const ip = (...args: readonly string[]): void =>
  void execFileSync("ip", args, { stdio: ["ignore", "ignore", "pipe"] });
const inside = (namespace: string, ...command: readonly string[]): readonly string[] => [
  "netns",
  "exec",
  namespace,
  ...command,
];

/** One line each to the server, which passes nothing on between them. */
function makeNetworks(): void {
  for (const name of Object.values(NAMES)) {
    ip("netns", "add", name);
    cleanups.push(() => ip("netns", "del", name));
    ip("-n", name, "link", "set", "lo", "up");
  }
  ip("-n", NAMES.server, "addr", "add", `${SERVER}/32`, "dev", "lo");
  for (const [line, name] of [
    ["1", NAMES.a],
    ["2", NAMES.b],
  ] as const) {
    const [near, far] = [`10.${line}.0.2`, `10.${line}.0.1`];
    ip(
      "link",
      "add",
      `st${line}n`,
      "netns",
      name,
      "type",
      "veth",
      "peer",
      "name",
      `st${line}f`,
      "netns",
      NAMES.server,
    );
    ip("-n", name, "addr", "add", `${near}/24`, "dev", `st${line}n`);
    ip("-n", name, "link", "set", `st${line}n`, "up");
    ip("-n", NAMES.server, "addr", "add", `${far}/24`, "dev", `st${line}f`);
    ip("-n", NAMES.server, "link", "set", `st${line}f`, "up");
    ip("-n", name, "route", "add", "default", "via", far);
  }
  const forwards = execFileSync("ip", inside(NAMES.server, "cat", "/proc/sys/net/ipv4/ip_forward"));
  expect(String(forwards).trim()).toBe("0");
}

async function startServers(withTurn: boolean): Promise<void> {
  const { certificate, key } = makeCertificate(folder, "separate.example");
  const main = "--conditions=@sotto/source relay/src/main.ts --operations-port off --app app/dist";
  const place = `--host ${SERVER} --port 8443 --public-url ${RELAY}`;
  const tls = `--tls-certificate ${certificate} --tls-key ${key}`;
  const relay = spawn(
    "ip",
    inside(NAMES.server, process.execPath, ...`${main} ${place} ${tls}`.split(" ")),
    {
      cwd: ROOT,
      stdio: ["ignore", "pipe", "inherit"],
      env: {
        ...process.env,
        ...(withTurn
          ? {
              SOTTO_TURN_URLS: `turn:${SERVER}:${TURN_PORT}?transport=udp`,
              SOTTO_TURN_SECRET: TURN_SECRET,
            }
          : { SOTTO_STUN_PORT: String(TURN_PORT) }),
      },
    },
  );
  cleanups.push(() => void relay.kill("SIGKILL"));
  await once(createInterface(relay.stdout), "line");
  if (!withTurn) return;
  const options = `-n --listening-ip ${SERVER} --relay-ip ${SERVER} --listening-port ${TURN_PORT} --log-file stdout --use-auth-secret --static-auth-secret ${TURN_SECRET} --realm example.com --no-cli --no-tls --no-dtls --pidfile ${folder}/pid --userdb ${folder}/db`;
  const turn = spawn("ip", [...inside(NAMES.server, "turnserver", ...options.split(" "))], {
    cwd: folder,
    stdio: ["ignore", "pipe", "ignore"],
  });
  cleanups.push(() => void turn.kill("SIGKILL"));
  for await (const line of createInterface(turn.stdout)) {
    if (line.includes("IO method (auth thread)")) return;
  }
}

async function browserIn(namespace: string): Promise<BrowserContext> {
  const script = join(folder, `${namespace}.sh`);
  await writeFile(script, `#!/bin/sh\nexec ip netns exec ${namespace} ${CHROMIUM} "$@"\n`);
  await chmod(script, 0o700);
  const context = await chromium.launchPersistentContext(join(folder, namespace), {
    executablePath: script,
    locale: "en-GB",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-features=WebRtcHideLocalIpsWithMdns",
      // Nobody signs a certificate for this address.
      "--ignore-certificate-errors",
    ],
  });
  cleanups.push(() => context.close());
  return context;
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sotto-networks-"));
  cleanups.push(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

it.skipIf(!isAsked || !hasTurnserver)("a TURN server is the only way between them", async () => {
  makeNetworks();
  await startServers(true);
  const contexts = await Promise.all([browserIn(NAMES.a), browserIn(NAMES.b)]);
  const people = await meet(...contexts, RELAY);
  await Promise.all(people.map((one) => seesLink(one, "direct")));
  await write(people[0], "over the TURN server");
  await sees(people[1], "over the TURN server");
});

it.skipIf(!isAsked)("without one the relay carries everything, STUN or not", async () => {
  makeNetworks();
  await startServers(false);
  const contexts = await Promise.all([browserIn(NAMES.a), browserIn(NAMES.b)]);
  const people = await meet(...contexts, RELAY);
  await write(people[0], "over the relay");
  await sees(people[1], "over the relay");
  // Longer than two attempts take: nothing but the relay is ever reached.
  await expect(seesLink(people[0], "direct")).rejects.toThrow();
  await seesLink(people[0], "relayed");
});
