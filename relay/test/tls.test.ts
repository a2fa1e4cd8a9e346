/** A relay that serves HTTPS itself: what it takes as a certificate, and how it comes to the next one. */
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { afterEach, beforeEach, expect, test } from "vitest";
import { nodeBackend, startRelay, watchCertificate } from "sotto-relay";
import { WebSocket } from "ws";
import { type CertificatePaths, makeCertificate } from "./certificates.ts";
import { connectTo } from "./client.ts";
import { killAll, run, startProcess } from "./relay-process.ts";

let directory: string;
let files: CertificatePaths;
let first: CertificatePaths;
let second: CertificatePaths;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "sotto-tls-"));
  first = makeCertificate(directory, "first.example");
  second = makeCertificate(directory, "second.example");
  files = { certificate: join(directory, "now.crt"), key: join(directory, "now.key") };
  use(first);
});
afterEach(async () => {
  await killAll();
  rmSync(directory, { recursive: true });
});

function use({ certificate, key }: CertificatePaths): void {
  copyFileSync(certificate, files.certificate);
  copyFileSync(key, files.key);
}

/** A connection of its own: its certificate's name. */
async function nameShown(port: number): Promise<string> {
  const socket: TLSSocket = await new Promise((resolve, reject) => {
    const made = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false }, () =>
      resolve(made),
    );
    made.once("error", reject);
  });
  const name = String(socket.getPeerCertificate().subject.CN);
  socket.destroy();
  return name;
}

const flags = () => ["--tls-certificate", files.certificate, "--tls-key", files.key];

test("clients and pages come over TLS, and the address says so", async () => {
  const relay = await startProcess(flags());
  expect(relay.url).toBe(`https://localhost:${relay.port}`);
  const ca = readFileSync(first.certificate);
  const status = await new Promise<number | undefined>((resolve, reject) => {
    get(`${relay.url}/healthz`, { ca, agent: false }, (response) => {
      response.resume();
      expect(response.headers["strict-transport-security"]).toBeUndefined();
      resolve(response.statusCode);
    }).once("error", reject);
  });
  expect(status).toBe(200);
  const client = await connectTo(new WebSocket(`wss://localhost:${relay.port}/hub`, { ca }));
  expect((await client.request({ type: "ping" })).type).toBe("pong");
  const metrics = await fetch(`http://127.0.0.1:${relay.operationsPort}/metrics`);
  const expiry = /^sotto_relay_tls_certificate_expiry_seconds (\S+)$/m.exec(await metrics.text());
  const inDays = (Number(expiry?.[1]) - Date.now() / 1_000) / 86_400;
  expect(inDays).toBeGreaterThan(29);
  expect(inDays).toBeLessThan(31);
});

test("after SIGHUP new connections see the new certificate, while those that are there go on", async () => {
  const relay = await startProcess(flags());
  const ca = readFileSync(first.certificate);
  const early = await connectTo(new WebSocket(`wss://localhost:${relay.port}/hub`, { ca }));
  expect(await nameShown(relay.port)).toBe("first.example");
  use(second);
  expect(await nameShown(relay.port)).toBe("first.example");
  relay.child.kill("SIGHUP");
  expect((await relay.logged("certificate-loaded"))["daysLeft"]).toBe(29);
  expect(await nameShown(relay.port)).toBe("second.example");
  expect((await early.request({ type: "ping" })).type).toBe("pong");
});

test("half a pair, and rubbish, never take the place of what works; each is said once", async () => {
  const relay = await startProcess(flags());
  copyFileSync(second.key, files.key);
  relay.child.kill("SIGHUP");
  expect((await relay.logged("certificate-refused"))["reason"]).toBe("mismatch");
  expect(await nameShown(relay.port)).toBe("first.example");
  copyFileSync(second.certificate, files.certificate);
  relay.child.kill("SIGHUP");
  await relay.logged("certificate-loaded");
  expect(await nameShown(relay.port)).toBe("second.example");
});

test("files that change are noticed without being told, whatever is wrong in between", async () => {
  const events: string[] = [];
  let heard = (): void => undefined;
  const watch = watchCertificate(
    files,
    {
      changed: () => (events.push("changed"), heard()),
      refused: (reason) => (events.push(reason), heard()),
    },
    5,
  );
  const next = (): Promise<void> => new Promise((resolve) => (heard = resolve));
  try {
    let waiting = next();
    writeFileSync(files.certificate, "");
    await waiting;
    waiting = next();
    use(second);
    await waiting;
    while (events.at(-1) !== "changed") await next();
    expect(events[0]).toBe("unreadable");
    expect(watch.current.cert.equals(readFileSync(second.certificate))).toBe(true);
    const count = events.length;
    watch.check();
    expect(events).toHaveLength(count);
    rmSync(files.key);
    watch.check();
    watch.check();
    expect(events.slice(count)).toEqual(["unreadable"]);
  } finally {
    watch.close();
  }
});

test("a relay without a right pair does not start, and says which file it is about", async () => {
  copyFileSync(second.key, files.key);
  const mismatched = run(["--port", "0", ...flags()]);
  expect(await mismatched.ended).toBe(1);
  expect(mismatched.err()).toContain("tls.key");
  rmSync(files.certificate);
  const missing = run(["--port", "0", ...flags()]);
  expect(await missing.ended).toBe(1);
  expect(missing.err()).toContain("tls.certificate");
});

test("clients under TLS are not among the sockets that make room for others", async () => {
  const relay = await startRelay({
    port: 0,
    circuit: false,
    tlsCertificate: files.certificate,
    tlsKey: files.key,
    maxHttpSockets: 2,
  });
  try {
    const url = `wss://localhost:${relay.port}/hub`;
    const ca = readFileSync(first.certificate);
    const client = await connectTo(new WebSocket(url, { ca }));
    for (let index = 0; index < 4; index++) await nameShown(relay.port);
    const idle = Array.from({ length: 4 }, () =>
      connectTls({ port: relay.port, host: "127.0.0.1", rejectUnauthorized: false }),
    );
    await Promise.all(
      idle.map(
        (socket) =>
          new Promise((resolve) =>
            socket.once("secureConnect", resolve).once("error", resolve).once("close", resolve),
          ),
      ),
    );
    expect((await client.request({ type: "ping" })).type).toBe("pong");
    for (const socket of idle) socket.destroy();
    client.close();
  } finally {
    await relay.close();
  }
});

test("a relay over TLS is the same relay: its key does not come from its certificate", async () => {
  const options = { port: 0, circuit: false, data: join(directory, "data") };
  const plain = await startRelay(options);
  await plain.close();
  const secure = await startRelay({
    ...options,
    tlsCertificate: files.certificate,
    tlsKey: files.key,
  });
  await secure.close();
  expect(secure.relayKey).toEqual(plain.relayKey);
  expect(secure.relayKey).toHaveLength((await nodeBackend.signPublic(new Uint8Array(32))).length);
});
