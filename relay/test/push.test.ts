/** Wake-ups of a whole relay, taken by a push service on this machine that checks every signature. */
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer, type Server } from "node:https";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { importJWK, jwtVerify } from "jose";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { backUp, checkPush, isPushContact, restore, startRelay } from "sotto-relay";
import { createPushService, isPublicAddress, PUSH_HOSTS } from "sotto-relay/push";
import { append, connect, pair, random } from "./client.ts";
import { makeCertificate } from "./certificates.ts";

const CONTACT = "mailto:operator@relay.example";

interface Call {
  readonly request: IncomingMessage;
  readonly bytes: number;
}

let directory: string;
let server: Server;
let origin: string;
let ca: string;
let calls: Call[];
let answer: (response: ServerResponse) => void;
const ends: (() => unknown)[] = [];

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "sotto-push-"));
  const paths = makeCertificate(directory, "localhost");
  ca = readFileSync(paths.certificate, "utf8");
  server = createServer({ cert: ca, key: readFileSync(paths.key) }, (request, response) => {
    let bytes = 0;
    request.on("data", (chunk: Buffer) => (bytes += chunk.length));
    request.on("end", () => {
      calls.push({ request, bytes });
      answer(response);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  origin = `https://localhost:${port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
  rmSync(directory, { recursive: true });
});
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

function serve(status: number, headers: Record<string, string> = {}): void {
  calls = [];
  answer = (response) => response.writeHead(status, headers).end();
}

const service = (now = Date.now, timeoutMs = 5_000) =>
  createPushService({
    key: generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey,
    contact: CONTACT,
    loopback: { ca },
    now,
    timeoutMs,
  });

/** As a push service does it (RFC 8292 §4.2). */
async function verified({ request }: Call) {
  const [, token = "", key = ""] =
    /^vapid t=(\S+), k=(\S+)$/.exec(request.headers.authorization ?? "") ?? [];
  const point = Buffer.from(key, "base64url");
  const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((half) =>
    half.toString("base64url"),
  );
  const jwk = await importJWK({ kty: "EC", crv: "P-256", x: x ?? "", y: y ?? "" }, "ES256");
  const { payload } = await jwtVerify(token, jwk, { audience: origin, algorithms: ["ES256"] });
  return { payload, token, point };
}

test("mail for a reader that is away is followed by one signed request without a body", async () => {
  serve(201);
  const data = join(directory, "data");
  const relay = await startRelay({
    port: 0,
    circuit: false,
    data,
    pushContact: CONTACT,
    pushLoopback: { ca },
  });
  ends.push(() => relay.close());
  const [owner, sender] = [await connect(relay.port), await connect(relay.port)];
  const { alias } = await pair(owner, sender);
  expect(await owner.request({ type: "push-set", endpoint: `${origin}/one` })).toEqual({
    type: "ok",
  });
  await sender.request(append(alias));
  expect(relay.counters()["push-sent"]).toBe(0);
  expect(calls).toHaveLength(0);
  owner.close();
  await vi.waitUntil(() => calls.length > 0, { timeout: 10_000 });
  await vi.waitUntil(() => relay.counters()["push-sent"] === 1, { timeout: 10_000 });
  await sender.request(append(alias));
  const [call] = calls;
  if (call === undefined) throw new Error("no call");
  expect(calls).toHaveLength(1);
  expect(call.bytes).toBe(0);
  expect(call.request).toMatchObject({ method: "POST", url: "/one" });
  expect(call.request.headers).toMatchObject({ ttl: "86400", urgency: "normal", topic: "mail" });
  const { payload, point } = await verified(call);
  expect(payload.sub).toBe(CONTACT);
  expect(payload.exp).toBeLessThanOrEqual(Date.now() / 1_000 + 86_400);
  const key = join(data, "push.key");
  expect(statSync(key).mode & 0o777).toBe(0o600);
  backUp(data, join(directory, "backup"));
  restore(join(directory, "backup"), join(directory, "restored"));
  expect(readFileSync(join(directory, "restored", "push.key"))).toEqual(readFileSync(key));
  expect(point).toHaveLength(65);
});

describe("a request", () => {
  test.each([
    [201, {}, { kind: "ok" }],
    [404, {}, { kind: "gone" }],
    [410, {}, { kind: "gone" }],
    [403, {}, { kind: "refused" }],
    [302, { location: "/elsewhere" }, { kind: "refused" }],
    [429, { "retry-after": "120" }, { kind: "later", retryAfterMs: 120_000 }],
    [503, { "retry-after": "soon" }, { kind: "later", retryAfterMs: 0 }],
  ] as const)("answered with %d", async (status, headers, expected) => {
    serve(status, headers);
    expect(await service().send(`${origin}/x`)).toEqual(expected);
    expect(calls.map(({ request }) => request.url)).toEqual(["/x"]);
  });

  test("ends when nobody answers, and does not read an answer without end", async () => {
    serve(201);
    answer = () => undefined;
    expect(await service(Date.now, 50).send(origin)).toEqual({ kind: "later", retryAfterMs: 0 });
    let closed: Promise<unknown> | undefined;
    answer = (response) => {
      closed = once(response, "close");
      response.writeHead(201);
      const more = (): void => void response.write(Buffer.alloc(65_536), () => setImmediate(more));
      more();
    };
    expect(await service().send(origin)).toEqual({ kind: "ok" });
    await closed;
  });

  test("uses one signature until half of its life is over", async () => {
    serve(201);
    let now = Date.now();
    const made = service(() => now);
    for (const step of [0, 21_599_000, 1_000]) {
      now += step;
      await made.send(origin);
    }
    const tokens = calls.map(({ request }) => request.headers.authorization);
    expect(tokens[0]).toBe(tokens[1]);
    expect(tokens[1]).not.toBe(tokens[2]);
  });
});

test("only endpoints of known push services are called", () => {
  const { allows } = createPushService({
    key: generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey,
    contact: CONTACT,
    now: Date.now,
  });
  for (const host of PUSH_HOSTS) expect(allows(`https://${host.replace("*", "any")}/1`)).toBe(true);
  for (const endpoint of [
    "http://fcm.googleapis.com/1",
    "https://fcm.googleapis.com:8443/1",
    "https://fcm.googleapis.com@evil.example/1",
    "https://user@fcm.googleapis.com/1",
    "https://fcm.googleapis.com.evil.example/1",
    "https://evilpush.apple.com/1",
    "https://push.apple.com/1",
    "https://localhost/1",
    "https://127.0.0.1/1",
    "https://[::1]/1",
    "nonsense",
  ]) {
    expect(allows(endpoint), endpoint).toBe(false);
  }
});

test.each([
  ["8.8.8.8", 4, true],
  ["10.1.2.3", 4, false],
  ["127.0.0.1", 4, false],
  ["169.254.169.254", 4, false],
  ["172.31.255.255", 4, false],
  ["172.32.0.0", 4, true],
  ["192.168.1.1", 4, false],
  ["100.64.0.1", 4, false],
  ["2606:4700::1", 6, true],
  ["::1", 6, false],
  ["::ffff:10.0.0.1", 6, false],
  ["fd00::1", 6, false],
  ["fe80::1", 6, false],
  ["2002:a00:1::", 6, false],
] as const)("%s is public: %s", (address, family, expected) => {
  expect(isPublicAddress(address, family)).toBe(expected);
});

test("a contact has to reach somebody", () => {
  for (const contact of [CONTACT, "https://relay.example/contact"]) {
    expect(isPushContact(contact)).toBe(true);
  }
  for (const contact of [
    "",
    "me@relay.example",
    "mailto:admin@localhost",
    "http://relay.example",
  ]) {
    expect(isPushContact(contact)).toBe(false);
  }
  expect(isPushContact(`mailto:${"a".repeat(235)}@relay.example`)).toBe(true);
  expect(isPushContact(`mailto:${"a".repeat(236)}@relay.example`)).toBe(false);
});

test("the doctor says which push services this machine does not reach", async () => {
  const { port } = server.address() as AddressInfo;
  expect(await checkPush(["localhost"], { port, ca })).toMatchObject({ result: "ok" });
  // Not the name in the certificate; and one that nobody has made a certificate for.
  expect(await checkPush(["localhost", "127.0.0.2"], { port, ca })).toMatchObject({
    result: "warn",
    words: expect.stringContaining("127.0.0.2 (") as string,
  });
  expect(await checkPush(["localhost"], { port })).toMatchObject({ result: "warn" });
});

test("only who has a mailbox may leave an endpoint; taking it back is everybody's", async () => {
  const relay = await startRelay({
    port: 0,
    circuit: false,
    pushContact: CONTACT,
    pushLoopback: { ca },
  });
  ends.push(() => relay.close());
  const client = await connect(relay.port);
  const set = (endpoint: string) => client.request({ type: "push-set", endpoint });
  expect(await set(`${origin}/two`)).toMatchObject({ type: "error", code: "limit" });
  expect(await set("")).toEqual({ type: "ok" });
  await client.makeQueue(random(16));
  expect(await set(`${origin}/two`)).toEqual({ type: "ok" });
});

test("a relay without a contact says that it wakes nobody, and takes no endpoint", async () => {
  const relay = await startRelay({ port: 0, circuit: false });
  ends.push(() => relay.close());
  const client = await connect(relay.port);
  const said = await client.request({ type: "push-set", endpoint: "https://fcm.googleapis.com/1" });
  expect(said).toMatchObject({ type: "error", code: "limit" });
});
