/** The door of a running relay: codes and sign-ins over HTTP, tokens over the hub, the command that makes codes. */
import { createServer } from "node:http";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect as connectTcp } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";
import {
  backUp,
  createVerifyJwt,
  type Relay,
  type RelayOptions,
  restore,
  startRelay,
} from "sotto-relay";
import { ADMISSION_BODY_BYTES_MAX, JWT_BYTES_MAX } from "sotto-relay/core";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { authenticate, connectRaw, random } from "./client.ts";
import { killAll, run, startProcess } from "./relay-process.ts";
import { ask, authenticateWith, getTokens, issuerOf } from "./tokens.ts";

const endings: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0).toReversed()) await end();
  await killAll();
});

async function start(options: RelayOptions): Promise<Relay> {
  const relay = await startRelay({ port: 0, circuit: false, ...options });
  endings.push(() => relay.close());
  return relay;
}

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "sotto-door-"));
  endings.push(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** What the operator's command prints. */
async function makeCode(data: string, ...args: readonly string[]): Promise<string> {
  const made = run(["invite", "--data", data, "--door", "invite", ...args]);
  expect(await made.ended, made.err()).toBe(0);
  const code = /^code {2}(\S+)$/m.exec(made.out())?.[1] ?? "";
  expect(made.out()).toContain(`/#code=${code}\n`);
  return code;
}

/** "admitted", or what BYE says. */
async function enter(
  relay: Relay,
  auth: Parameters<typeof authenticateWith>[1],
  seed?: Uint8Array,
): Promise<string> {
  const client = await connectRaw(relay.port, seed);
  endings.push(() => client.close());
  client.send(await authenticateWith(client, auth));
  const welcome = await client.next("welcome").catch(() => undefined);
  return welcome === undefined ? (await client.next("bye")).code : `admitted ${welcome.admitted}`;
}

describe("a relay that asks for codes", () => {
  test("gives tokens for a code made while it runs, as often as it says, also after a restart", async () => {
    const data = newDirectory();
    let relay = await start({ data, door: "invite" });
    const issuer = await issuerOf(relay.url, relay.relayKey);
    const code = await makeCode(data, "--uses", "2", "--days", "3");
    expect(await getTokens(relay.url, issuer, { code: "0000-0000-0000-0000" })).toBe(401);
    expect(await getTokens(relay.url, issuer, { code: "" })).toBe(401);
    const [token] = (await getTokens(relay.url, issuer, { code })) as never[];
    const seed = random(32);
    expect(await enter(relay, token!, seed)).toBe("admitted true");
    await relay.close();

    relay = await start({ data, door: "invite" });
    expect(await issuerOf(relay.url, relay.relayKey)).toEqual(issuer);
    expect(await enter(relay, token!)).toBe("unauthorised");
    expect(await enter(relay, token!, seed)).toBe("admitted true");
    expect(await getTokens(relay.url, issuer, { code: code.toLowerCase() })).toHaveLength(1);
    expect(await getTokens(relay.url, issuer, { code })).toBe(401);
    const file = join(data, "admission.db");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file).includes(code.replaceAll("-", ""))).toBe(false);
  });

  test("answers the same request again, also after a restart, and counts it once: the answer may have been lost", async () => {
    const data = newDirectory();
    let relay = await start({ data, door: "invite" });
    const code = await makeCode(data);
    const { blindTokens } = await import("@sotto/crypto/token");
    const blinded = blindTokens(2, random).map((one) => Buffer.from(one.blinded).toString("hex"));
    const body = JSON.stringify({ code, blinded });
    const [one, again] = [await ask(relay.url, body), await ask(relay.url, body)];
    await relay.close();
    relay = await start({ data, door: "invite" });
    const late = await ask(relay.url, body);
    const read = async (answer: Response) =>
      ((await answer.json()) as { readonly evaluated: readonly string[] }).evaluated;
    const evaluated = await read(one);
    expect(evaluated).toHaveLength(2);
    expect(await read(again)).toEqual(evaluated);
    expect(await read(late)).toEqual(evaluated);
    const other = JSON.stringify({ code, blinded: blinded.toReversed() });
    expect((await ask(relay.url, other)).status).toBe(401);
  });

  test("refuses what is no request, and reads no more of it than it may be long", async () => {
    const relay = await start({ door: "invite" });
    const element = "11".repeat(32);
    const bodies = [
      "",
      "null",
      "[]",
      "{",
      JSON.stringify({ code: "x" }),
      JSON.stringify({ blinded: [element] }),
      JSON.stringify({ code: "x", token: "y", blinded: [element] }),
      JSON.stringify({ code: "x", blinded: [] }),
      JSON.stringify({ code: "x", blinded: [1] }),
      JSON.stringify({ code: "x", blinded: ["11"] }),
      JSON.stringify({ code: "x", blinded: Array.from({ length: 33 }, () => element) }),
      JSON.stringify({ token: "y".repeat(JWT_BYTES_MAX + 1), blinded: [element] }),
    ];
    for (const body of bodies) expect((await ask(relay.url, body)).status, body).toBe(400);
    const largest = " ".repeat(ADMISSION_BODY_BYTES_MAX);
    expect((await ask(relay.url, largest)).status).toBe(400);
    expect((await ask(relay.url, `${largest} `)).status).toBe(413);
    expect((await fetch(`${relay.url}/admission`)).status).toBe(405);
  });

  test("hears no body that never ends for longer than any request", async () => {
    const relay = await start({ door: "invite", authMs: 200 });
    const socket = connectTcp(relay.port, "127.0.0.1");
    endings.push(() => void socket.destroy());
    socket.on("error", () => undefined);
    socket.write(
      "POST /admission HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n \r\n",
    );
    socket.resume();
    await once(socket, "close");
  });

  test("knows its codes and its readers again after a backup and a restore", async () => {
    const [data, at] = [newDirectory(), newDirectory()];
    const first = await start({ data, door: "invite" });
    const issuer = await issuerOf(first.url, first.relayKey);
    const code = await makeCode(data, "--uses", "2");
    const [token] = (await getTokens(first.url, issuer, { code })) as never[];
    const seed = random(32);
    await enter(first, token!, seed);
    backUp(data, join(at, "backup"));
    await first.close();
    restore(join(at, "backup"), join(at, "again"));
    const second = await start({ data: join(at, "again"), door: "invite" });
    expect(await enter(second, token!)).toBe("unauthorised");
    expect(await enter(second, token!, seed)).toBe("admitted true");
    expect(await getTokens(second.url, issuer, { code })).toHaveLength(1);
    expect(await getTokens(second.url, issuer, { code })).toBe(401);
  });

  test("makes codes for a relay that has its door from a flag, and none once that relay has ended", async () => {
    const data = newDirectory();
    const relay = await startProcess(["--data", data, "--door", "invite"]);
    const made = run(["invite", "--data", data]);
    expect(await made.ended, made.err()).toBe(0);
    expect(made.out()).toContain(`link  http://localhost:${relay.port}/#code=`);
    const code = /^code {2}(\S+)$/m.exec(made.out())?.[1] ?? "";
    const issuer = await issuerOf(relay.url, (await connectRaw(relay.port)).hello.relayKey);
    expect(await getTokens(relay.url, issuer, { code })).toHaveLength(1);
    relay.child.kill("SIGTERM");
    expect(await relay.ended).toBe(0);
    const refused = run(["invite", "--data", data]);
    expect(await refused.ended).toBe(1);
    expect(refused.err()).toContain("--door invite");
  });

  test("makes no codes where there is no relay, none that keeps them, or another door", async () => {
    const data = newDirectory();
    for (const args of [
      ["invite", "--door", "invite"],
      ["invite", "--door", "invite", "--data", data],
      ["invite", "--data", data],
      ["invite", "--door", "invite", "--data", data, "--uses", "0"],
      ["invite", "--door", "invite", "--data", data, "--days", "366"],
    ]) {
      const made = run(args);
      expect(await made.ended, args.join(" ")).toBe(1);
      expect(made.out()).toBe("");
    }
  });
});

test("an open relay says nothing of a door and has no file for one", async () => {
  const data = newDirectory();
  const relay = await start({ data });
  const info = (await (await fetch(`${relay.url}/info.json`)).json()) as object;
  expect(info).not.toHaveProperty("admission");
  expect((await ask(relay.url, "{}")).status).toBe(404);
  const client = await connectRaw(relay.port);
  endings.push(() => client.close());
  client.send(await authenticate(client));
  expect(await client.next("welcome")).toMatchObject({ admitted: true });
  expect(() => statSync(join(data, "admission.db"))).toThrow("ENOENT");
});

describe("a relay that asks an organisation", () => {
  const ISSUER = "https://id.example";
  const AUDIENCE = "sotto";
  const ALG = "ES256";
  interface Signer {
    readonly privateKey: CryptoKey;
    readonly jwk: JWK;
  }
  const makeSigner = async (kid: string): Promise<Signer> => {
    const { privateKey, publicKey } = await generateKeyPair(ALG);
    return { privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: ALG, use: "sig" } };
  };
  let own: Signer;
  let next: Signer;
  beforeAll(async () => {
    [own, next] = await Promise.all([makeSigner("one"), makeSigner("two")]);
  });

  async function serveKeys(keys: readonly JWK[]) {
    const served = { keys, asked: 0 };
    const server = createServer((_, response) => {
      served.asked++;
      response.setHeader("Content-Type", "application/json").end(JSON.stringify(served));
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    const close = (): void => {
      server.close();
      server.closeAllConnections();
    };
    endings.push(close);
    const address = server.address();
    const port = typeof address === "object" ? address?.port : undefined;
    return Object.assign(served, { url: `http://127.0.0.1:${port}/jwks`, close });
  }

  const now = (): number => Math.floor(Date.now() / 1_000);
  const sign = (signer: Signer, claims: Record<string, unknown> = {}): Promise<string> =>
    new SignJWT({ iss: ISSUER, aud: AUDIENCE, sub: "anna", exp: now() + 300, ...claims })
      .setProtectedHeader({ alg: ALG, kid: String(signer.jwk.kid) })
      .sign(signer.privateKey);
  const verifier = (jwks: string) =>
    createVerifyJwt({ issuer: ISSUER, audience: AUDIENCE, jwks, cooldownMs: 0 });
  const oidc = (jwks: string): RelayOptions => ({
    door: "oidc",
    oidcIssuer: ISSUER,
    oidcAudience: AUDIENCE,
    oidcJwks: jwks,
  });

  test("gives tokens for a sign-in of its own, and so many a day to each person", async () => {
    const served = await serveKeys([own.jwk]);
    const relay = await start({ ...oidc(served.url), tokensPerDay: 3 });
    const issuer = await issuerOf(relay.url, relay.relayKey);
    const token = await sign(own);
    const tokens = await getTokens(relay.url, issuer, { token }, 2);
    expect(tokens).toHaveLength(2);
    expect(await getTokens(relay.url, issuer, { token }, 2)).toBe(429);
    expect(await getTokens(relay.url, issuer, { token: await sign(own) })).toHaveLength(1);
    expect(await getTokens(relay.url, issuer, { token })).toBe(429);
    const other = await sign(own, { sub: "ben" });
    expect(await getTokens(relay.url, issuer, { token: other })).toHaveLength(1);
    expect(await getTokens(relay.url, issuer, { code: "0000-0000-0000-0000" })).toBe(401);
    expect(await getTokens(relay.url, issuer, { token: "x" })).toBe(401);
    expect(await enter(relay, (tokens as never[])[0]!)).toBe("admitted true");
  });

  test("refuses every other sign-in", async () => {
    const served = await serveKeys([own.jwk]);
    const verify = verifier(served.url);
    const none = `${btoa('{"alg":"none"}')}.${(await sign(own)).split(".")[1]}.`.replaceAll(
      "=",
      "",
    );
    const shared = await new SignJWT({ iss: ISSUER, aud: AUDIENCE, sub: "anna", exp: now() + 300 })
      .setProtectedHeader({ alg: "HS256", kid: "one" })
      .sign(new TextEncoder().encode(JSON.stringify(own.jwk)));
    const bad: Record<string, string> = {
      "of another issuer": await sign(own, { iss: "https://other.example" }),
      "for another audience": await sign(own, { aud: "mail" }),
      "that ran out": await sign(own, { exp: now() - 61 }),
      "that is not good yet": await sign(own, { nbf: now() + 90 }),
      "of nobody": await sign(own, { sub: undefined }),
      "that never ends": await sign(own, { exp: undefined }),
      "of a key with a known name": await sign({ ...next, jwk: own.jwk }),
      "of an unknown key": await sign(next),
      "without a signature": none,
      "signed with what everybody knows": shared,
      "of nothing": "",
    };
    for (const [words, token] of Object.entries(bad)) {
      expect(await verify(token), words).toEqual({ ok: false, reason: "refused" });
    }
    expect(await verify(await sign(own, { exp: now() - 30 }))).toMatchObject({ ok: true });
    expect(await verify(await sign(own))).toEqual({ ok: true, subject: "anna" });
  });

  test("follows its keys as they change, and says when they cannot be had", async () => {
    const served = await serveKeys([own.jwk]);
    const verify = verifier(served.url);
    expect(await verify(await sign(own))).toMatchObject({ ok: true });
    served.keys = [next.jwk];
    expect(await verify(await sign(next))).toMatchObject({ ok: true });
    expect(served.asked).toBe(2);
    expect(await verify(await sign(own))).toEqual({ ok: false, reason: "refused" });
    served.close();
    expect(await verifier(served.url)(await sign(next))).toEqual({
      ok: false,
      reason: "unavailable",
    });
    const relay = await start(oidc(served.url));
    const issuer = await issuerOf(relay.url, relay.relayKey);
    expect(await getTokens(relay.url, issuer, { token: await sign(own) })).toBe(503);
  });

  test("reads its keys from a file, again when it changes, and starts with none that is no key file", async () => {
    const file = join(newDirectory(), "jwks.json");
    writeFileSync(file, JSON.stringify({ keys: [own.jwk] }));
    const verify = verifier(file);
    expect(await verify(await sign(own))).toMatchObject({ ok: true });
    rmSync(file);
    expect(await verify(await sign(own))).toEqual({ ok: false, reason: "unavailable" });
    writeFileSync(file, JSON.stringify({ keys: [next.jwk] }));
    expect(await verify(await sign(next))).toMatchObject({ ok: true });
    expect(await verify(await sign(own))).toEqual({ ok: false, reason: "refused" });
    writeFileSync(file, "{}");
    await expect(start(oidc(file))).rejects.toThrow();
  });
});
