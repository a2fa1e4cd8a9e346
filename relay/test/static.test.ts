/** The app over HTTP: which bytes, which headers, and nothing outside its directory. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { type IncomingHttpHeaders, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Relay, type RelayOptions, startRelay } from "sotto-relay";

let directory: string;
let app: string;
const relays: Relay[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "sotto-static-"));
  app = join(directory, "app");
  mkdirSync(join(app, "assets"), { recursive: true });
  writeFileSync(join(directory, "secret.txt"), "secret");
  writeFileSync(join(app, "index.html"), "<!doctype html><title>Sotto</title>");
  writeFileSync(join(app, "sw.js"), "self;");
  writeFileSync(join(app, ".env"), "secret");
  const script = "export const a = 1;\n".repeat(50);
  writeFileSync(join(app, "assets/main-4f3a.js"), script);
  writeFileSync(join(app, "assets/main-4f3a.js.br"), brotliCompressSync(script));
  writeFileSync(join(app, "assets/main-4f3a.js.gz"), gzipSync(script));
  symlinkSync(join(directory, "secret.txt"), join(app, "link.txt"));
});
afterEach(async () => {
  for (const relay of relays.splice(0)) await relay.close();
  rmSync(directory, { recursive: true });
});

async function start(options: RelayOptions = {}): Promise<Relay> {
  const relay = await startRelay({ port: 0, circuit: false, app, ...options });
  relays.push(relay);
  return relay;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Sends the path as it is: a fetch would tidy it up first. */
const get = (
  relay: Relay,
  path: string,
  headers: Record<string, string> = {},
  method = "GET",
): Promise<Answer> =>
  new Promise((resolve, reject) => {
    request({ port: relay.port, host: "127.0.0.1", path, headers, method }, (response) => {
      const parts: Buffer[] = [];
      response.on("data", (part: Buffer) => parts.push(part));
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(parts),
        }),
      );
    })
      .on("error", reject)
      .end();
  });

describe("paths", () => {
  test.each(["/", "/i", "/d", "/?x=1", "/index.html"])("%s is the page", async (path) => {
    const { status, headers, body } = await get(await start(), path);
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      "content-type": "text/html; charset=utf-8",
      "cache-control": "no-cache",
    });
    expect(body.toString()).toContain("<title>Sotto</title>");
  });

  test.each([
    "/../secret.txt",
    "/%2e%2e/secret.txt",
    "/assets/..%2f..%2f..%2fsecret.txt",
    "/assets/%2e%2e%5c%2e%2e%5csecret.txt",
    "//../secret.txt",
    "/link.txt",
    "/.env",
    "/assets",
    "/assets/",
    "/headers.json",
    "/%00",
    "/%",
    "/missing.js",
  ])("%s does not exist", async (path) => {
    writeFileSync(join(app, "headers.json"), "{}");
    const { status, body } = await get(await start(), path);
    expect(status).toBe(404);
    expect(body.toString()).not.toContain("secret");
  });

  test("only GET and HEAD", async () => {
    const relay = await start();
    const posted = await get(relay, "/", {}, "POST");
    expect(posted.status).toBe(405);
    expect(posted.headers.allow).toBe("GET, HEAD");
    const head = await get(relay, "/", {}, "HEAD");
    expect([head.status, head.body.length]).toEqual([200, 0]);
    expect(head.headers["content-length"]).toBe("35");
  });

  test("without an app the page says what to do", async () => {
    const { status, body } = await get(await start({ app: join(directory, "none") }), "/");
    expect(status).toBe(503);
    expect(body.toString()).toContain("npm run build");
  });

  test("health and readiness", async () => {
    const relay = await start();
    expect((await get(relay, "/healthz")).status).toBe(200);
    expect((await get(relay, "/readyz")).status).toBe(200);
    expect((await get(relay, "/hub")).status).toBe(426);
  });
});

describe("caching", () => {
  test("what has a hash in its name never changes, everything else is asked for again", async () => {
    const relay = await start();
    const asset = await get(relay, "/assets/main-4f3a.js");
    expect(asset.headers["cache-control"]).toBe("public, max-age=31536000, immutable");
    const worker = await get(relay, "/sw.js");
    expect(worker.headers["cache-control"]).toBe("no-cache");
    const again = await get(relay, "/sw.js", { "if-none-match": worker.headers.etag! });
    expect([again.status, again.body.length]).toEqual([304, 0]);
    writeFileSync(join(app, "sw.js"), "self; // changed");
    const changed = await get(relay, "/sw.js", { "if-none-match": worker.headers.etag! });
    expect(changed.status).toBe(200);
  });

  test.each([
    ["br, gzip", "br"],
    ["gzip", "gzip"],
    ["br;q=0, gzip;q=0.5", "gzip"],
    ["identity", undefined],
    ["", undefined],
  ])("accepting %o gives %o", async (accepted, encoding) => {
    const answer = await get(await start(), "/assets/main-4f3a.js", {
      "accept-encoding": accepted,
    });
    expect(answer.headers["content-encoding"]).toBe(encoding);
    expect(answer.headers["content-type"]).toBe("text/javascript; charset=utf-8");
    expect(answer.headers.vary).toBe("Accept-Encoding");
  });
});

describe("headers", () => {
  test("are strict by default", async () => {
    const { headers } = await get(await start(), "/");
    const policy = String(headers["content-security-policy"]);
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self' 'wasm-unsafe-eval';");
    expect(policy.replace("'wasm-unsafe-eval'", "")).not.toContain("unsafe");
    expect(headers).toMatchObject({
      "x-content-type-options": "nosniff",
      "cross-origin-opener-policy": "same-origin",
      "referrer-policy": "no-referrer",
      "x-frame-options": "DENY",
    });
    expect(headers["strict-transport-security"]).toBeUndefined();
  });

  test("the app's own win, whatever their case, and an empty one removes", async () => {
    const own = {
      html: { "content-security-policy": "default-src 'self'" },
      all: { "Referrer-Policy": "same-origin", "x-frame-options": "", "X-Own": "yes" },
    };
    writeFileSync(join(app, "headers.json"), JSON.stringify(own));
    const relay = await start();
    const page = await get(relay, "/");
    expect(page.headers["content-security-policy"]).toBe("default-src 'self'");
    expect(page.headers["x-frame-options"]).toBeUndefined();
    for (const answer of [page, await get(relay, "/sw.js"), await get(relay, "/none")]) {
      expect(answer.headers).toMatchObject({
        "referrer-policy": "same-origin",
        "x-own": "yes",
        "x-content-type-options": "nosniff",
      });
    }
  });

  test("let the page talk to this relay and to those that the operator names", async () => {
    const connects = (answer: Awaited<ReturnType<typeof get>>): string | undefined =>
      /connect-src [^;]*/.exec(String(answer.headers["content-security-policy"]))?.[0];
    const alone = await get(await start(), "/");
    expect(connects(alone)).toBe("connect-src 'self'");
    const appRelays = ["https://a.example", "http://127.0.0.1:1234"];
    const named = await get(await start({ appRelays }), "/");
    expect(connects(named)).toBe("connect-src 'self' wss://a.example ws://127.0.0.1:1234");
    // The same bytes are another answer: told that nothing is new, a browser would keep the old policy.
    expect(named.headers.etag).not.toBe(alone.headers.etag);
    const own = { html: { "Content-Security-Policy": "connect-src 'self'; default-src 'none'" } };
    writeFileSync(join(app, "headers.json"), JSON.stringify(own));
    const both = await get(await start({ appRelays }), "/");
    expect(both.headers["content-security-policy"]).toBe(
      "connect-src 'self' wss://a.example ws://127.0.0.1:1234; default-src 'none'",
    );
    expect(
      JSON.parse(String((await get(await start({ appRelays }), "/info.json")).body)),
    ).toMatchObject({ relays: appRelays });
  });

  test("scripts come with the page's policy, and with nothing else that is the page's", async () => {
    const policy = "default-src 'none'; script-src 'self'";
    const relay = await start();
    const byDefault = (await get(relay, "/")).headers["content-security-policy"];
    for (const path of ["/sw.js", "/assets/main-4f3a.js"]) {
      expect((await get(relay, path)).headers["content-security-policy"]).toBe(byDefault);
    }
    const own = { html: { "content-SECURITY-policy": policy, "Integrity-Policy": "x" } };
    writeFileSync(join(app, "headers.json"), JSON.stringify(own));
    // A browser asks for the worker again without asking for the page.
    const { headers } = await get(relay, "/sw.js");
    expect(headers["content-security-policy"]).toBe(policy);
    expect(headers["integrity-policy"]).toBeUndefined();
    writeFileSync(join(app, "data.json"), "{}");
    const data = await get(relay, "/data.json");
    expect(data.headers["content-security-policy"]).toBeUndefined();
  });

  test.each(["[]", "nonsense", '{"all": {"X": 1}}', '{"html": []}'])(
    "a headers.json of %s keeps the relay from starting",
    async (text) => {
      writeFileSync(join(app, "headers.json"), text);
      await expect(start()).rejects.toThrow();
    },
  );

  test("an app that is built anew under a running relay brings its own; a broken file changes nothing", async () => {
    const path = join(app, "headers.json");
    writeFileSync(path, JSON.stringify({ html: { "X-Build": "1" } }));
    const relay = await start();
    expect((await get(relay, "/")).headers["x-build"]).toBe("1");
    writeFileSync(path, JSON.stringify({ html: { "X-Build": "2" } }));
    utimesSync(path, 1, 1);
    expect((await get(relay, "/")).headers["x-build"]).toBe("2");
    writeFileSync(path, "half writ");
    utimesSync(path, 2, 2);
    expect((await get(relay, "/")).headers["x-build"]).toBe("2");
  });

  test("behind TLS the browser is told to stay there", async () => {
    const { headers } = await get(await start({ publicUrl: "https://chat.example.com" }), "/");
    expect(headers["strict-transport-security"]).toContain("max-age=");
  });
});
