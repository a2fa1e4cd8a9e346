/**
 * The built app over HTTP: files of one directory and the headers that fence them in.
 * Owns: paths, caching, compression, security headers. Leaves to the app: what its headers.json changes.
 * Spec: README.md "Serving the app".
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, realpath, stat } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { extname, join, sep } from "node:path";

export type Headers = Readonly<Record<string, string>>;
/**
 * `<app>/headers.json`: over the defaults; `html` only on HTML, over `all`. An empty value takes a header away.
 * Scripts get the page's Content-Security-Policy too: a worker lives under the one its own script came with.
 */
interface AppHeaders {
  readonly html: Headers;
  readonly all: Headers;
}

/** Hashed by the bundler, so their content never changes. */
const IMMUTABLE_PREFIX = "/assets/";
/** Paths of the app's own router that are not files. */
const APP_PATHS: ReadonlySet<string> = new Set(["/", "/i", "/d"]);

export const DEFAULT_HEADERS: AppHeaders = {
  all: {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Permissions-Policy": "geolocation=(), payment=(), usb=(), browsing-topics=()",
  },
  html: {
    "Content-Security-Policy": [
      "default-src 'none'",
      // WebAssembly may be compiled, no text evaluated: apps exchange keys several times faster with it.
      "script-src 'self' 'wasm-unsafe-eval'",
      "style-src 'self'",
      "img-src 'self' data: blob:",
      "media-src 'self' blob:",
      "font-src 'self'",
      "connect-src 'self'",
      "manifest-src 'self'",
      "worker-src 'self'",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ].join("; "),
  },
};

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json; charset=utf-8",
  ".map": "application/json; charset=utf-8",
  ".webmanifest": "application/manifest+json; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".jpg": "image/jpeg",
  ".webp": "image/webp",
  ".ico": "image/x-icon",
  ".woff2": "font/woff2",
  ".wasm": "application/wasm",
  ".txt": "text/plain; charset=utf-8",
};

const ENCODINGS = [
  { token: "br", ending: ".br" },
  { token: "gzip", ending: ".gz" },
] as const;

const NOT_BUILT =
  "This relay is running, but there is no app here yet.\n\nBuild it with `npm run build`, or point --app at a built app, and start the relay again.\n";

export interface StaticFiles {
  /** Answers GET and HEAD; anything else gets 405. */
  serve(request: IncomingMessage, response: ServerResponse, path: string): Promise<void>;
}

export interface StaticFilesOptions {
  readonly directory: string;
  readonly https: boolean;
  /** Origins of other relays that the app may talk to. */
  readonly relays: readonly string[];
}

export async function createStaticFiles({
  directory,
  https,
  relays,
}: StaticFilesOptions): Promise<StaticFiles> {
  const root = await realpath(directory).catch(() => undefined);
  const always: Headers = https ? { "Strict-Transport-Security": "max-age=63072000" } : {};
  const loadHeaders = async (): Promise<AppHeaders & { readonly script: Headers }> => {
    const own = root === undefined ? NO_HEADERS : await readHeaders(join(root, "headers.json"));
    const all = merge(DEFAULT_HEADERS.all, always, own.all);
    const html = withRelays(
      merge(DEFAULT_HEADERS.all, always, DEFAULT_HEADERS.html, own.all, own.html),
      relays,
    );
    return { all, html, script: merge(all, pick(html, "content-security-policy")) };
  };
  let { all, html, script } = await loadHeaders();
  let loadedMs = await headersChangedMs(root);

  /** An app built anew under a running relay brings new hashes: its page must not come with the old policy. */
  async function refreshHeaders(): Promise<void> {
    const changedMs = await headersChangedMs(root);
    if (changedMs === loadedMs) return;
    try {
      ({ all, html, script } = await loadHeaders());
      loadedMs = changedMs;
    } catch {
      // Half written or wrong: the fences that stand are kept, and the next page looks again.
    }
  }

  function headersFor(type: string): Headers {
    if (type === TYPES[".html"]) return html;
    return type === TYPES[".js"] ? script : all;
  }

  async function serve(
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
  ): Promise<void> {
    if (request.method !== "GET" && request.method !== "HEAD") {
      return plain(response, 405, "Only GET and HEAD.\n", { ...all, Allow: "GET, HEAD" });
    }
    const isPage = APP_PATHS.has(path);
    const isImmutable = path.startsWith(IMMUTABLE_PREFIX);
    if (!isImmutable) await refreshHeaders();
    const file = root === undefined ? undefined : await find(root, isPage ? "/index.html" : path);
    if (file === undefined) {
      return isPage
        ? plain(response, 503, NOT_BUILT, all)
        : plain(response, 404, "Nothing here.\n", all);
    }
    const type = TYPES[extname(file.path)] ?? "application/octet-stream";
    const packed = await precompressed(file.path, request.headers["accept-encoding"]);
    const chosen = packed ?? file;
    const fixed = headersFor(type);
    const tag = `W/"${chosen.size.toString(36)}-${Math.floor(chosen.changedMs).toString(36)}${packed?.token ?? ""}-${shortHash(fixed)}"`;
    const headers: Record<string, string> = {
      ...fixed,
      "Content-Type": type,
      "Cache-Control": isImmutable ? "public, max-age=31536000, immutable" : "no-cache",
      Vary: "Accept-Encoding",
      ETag: tag,
    };
    if (packed !== undefined) headers["Content-Encoding"] = packed.token;
    if (request.headers["if-none-match"] === tag) {
      response.writeHead(304, headers).end();
      return;
    }
    response.writeHead(200, { ...headers, "Content-Length": String(chosen.size) });
    if (request.method === "HEAD") {
      response.end();
      return;
    }
    const stream = createReadStream(chosen.path);
    stream.once("error", () => response.destroy());
    stream.pipe(response);
  }

  return { serve };
}

/** Part of the tag: a browser keeps the old policy when it is told that nothing but the policy has changed. */
const shortHash = (headers: Headers): string =>
  createHash("sha256").update(JSON.stringify(headers)).digest("base64url").slice(0, 8);

interface FoundFile {
  readonly path: string;
  readonly size: number;
  readonly changedMs: number;
}

/** A regular file below `root`, links resolved; anything else does not exist. */
async function find(root: string, urlPath: string): Promise<FoundFile | undefined> {
  const decoded = decodePath(urlPath);
  if (decoded === undefined || decoded === "/headers.json") return undefined;
  try {
    const path = await realpath(join(root, decoded));
    if (!path.startsWith(root + sep)) return undefined;
    const found = await stat(path);
    return found.isFile() ? { path, size: found.size, changedMs: found.mtimeMs } : undefined;
  } catch {
    return undefined;
  }
}

function decodePath(path: string): string | undefined {
  try {
    const decoded = decodeURIComponent(path);
    const isStrange = decoded.includes("\0") || decoded.includes("\\");
    // Dot files and dot segments are never part of a built app.
    return isStrange || decoded.split("/").some((part) => part.startsWith("."))
      ? undefined
      : decoded;
  } catch {
    return undefined;
  }
}

async function precompressed(
  path: string,
  accepted: string | string[] | undefined,
): Promise<(FoundFile & { readonly token: string }) | undefined> {
  const tokens = acceptedTokens(String(accepted ?? ""));
  for (const { token, ending } of ENCODINGS) {
    if (!tokens.has(token)) continue;
    try {
      const found = await stat(path + ending);
      if (found.isFile()) {
        return { path: path + ending, size: found.size, changedMs: found.mtimeMs, token };
      }
    } catch {
      // Not there: the next encoding, or none.
    }
  }
  return undefined;
}

const acceptedTokens = (header: string): ReadonlySet<string> =>
  new Set(
    header
      .split(",")
      .map((part) => part.trim().toLowerCase())
      .filter((part) => !/;\s*q=0(\.0*)?$/.test(part))
      .map((part) => part.split(";")[0]?.trim() ?? ""),
  );

const NO_HEADERS: AppHeaders = { html: {}, all: {} };

/** Undefined without a file. */
const headersChangedMs = async (root: string | undefined): Promise<number | undefined> =>
  root === undefined
    ? undefined
    : stat(join(root, "headers.json")).then(
        (found) => found.mtimeMs,
        () => undefined,
      );

/** Throws for a file that is there but wrong: better no start than an app without its fences. */
async function readHeaders(path: string): Promise<AppHeaders> {
  const text = await readFile(path, "utf8").catch(() => undefined);
  if (text === undefined) return NO_HEADERS;
  const parsed: unknown = JSON.parse(text);
  if (!isRecord(parsed)) throw new TypeError("headers.json is not an object");
  return { html: toHeaders(parsed["html"]), all: toHeaders(parsed["all"]) };
}

function toHeaders(value: unknown): Headers {
  if (value === undefined) return {};
  if (!isRecord(value)) throw new TypeError("headers.json: html and all are objects");
  return Object.fromEntries(
    Object.entries(value).map(([name, text]) => {
      if (typeof text !== "string") throw new TypeError(`headers.json: ${name} is not a text`);
      return [name, text];
    }),
  );
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Later ones win, names compare without case, an empty value removes. */
function merge(...layers: readonly Headers[]): Headers {
  const byName = new Map<string, readonly [string, string]>();
  for (const layer of layers) {
    for (const [name, value] of Object.entries(layer))
      byName.set(name.toLowerCase(), [name, value]);
  }
  return Object.fromEntries([...byName.values()].filter(([, value]) => value !== ""));
}

/** Adds their WebSockets to what the page's policy lets it connect to. */
function withRelays(headers: Headers, relays: readonly string[]): Headers {
  if (relays.length === 0) return headers;
  const sources = relays.map((origin) => origin.replace(/^http/, "ws")).join(" ");
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      name.toLowerCase() === "content-security-policy"
        ? value.replace(/(?<=^|;\s*)connect-src [^;]*/, (directive) => `${directive} ${sources}`)
        : value,
    ]),
  );
}

const pick = (headers: Headers, name: string): Headers =>
  Object.fromEntries(Object.entries(headers).filter(([other]) => other.toLowerCase() === name));

export const plain = (
  response: ServerResponse,
  status: number,
  text: string,
  headers: Headers = {},
): void => whole(response, status, "text/plain; charset=utf-8", text, headers);

/** An answer that is made now and kept by nobody. */
export function whole(
  response: ServerResponse,
  status: number,
  type: string,
  text: string,
  headers: Headers = {},
): void {
  response.writeHead(status, {
    "X-Content-Type-Options": "nosniff",
    ...headers,
    "Content-Type": type,
    "Cache-Control": "no-store",
    "Content-Length": String(Buffer.byteLength(text)),
  });
  response.end(text);
}
