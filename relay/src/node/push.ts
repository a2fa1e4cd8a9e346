/**
 * Web Push without a body: a signed request that says only "wake up".
 * Owns: which endpoints are called, the VAPID header, the bounds of a request. Leaves to core/waker.ts: when.
 * Endpoints come from clients, so nothing here may reach a machine behind the relay's firewall.
 * Spec: RFC 8030, RFC 8292, SPEC.md §3.
 */
import { createPublicKey, type KeyObject } from "node:crypto";
import { lookup } from "node:dns";
import { request } from "node:https";
import { BlockList, type LookupFunction } from "node:net";
import { SignJWT } from "jose";
import type { PushResult, PushService } from "../core/waker.ts";

/** Those of Chrome, Firefox, Safari and Edge. "*." stands for any name below. */
export const PUSH_HOSTS: readonly string[] = [
  "fcm.googleapis.com",
  "updates.push.services.mozilla.com",
  "*.push.apple.com",
  "*.notify.windows.com",
];

/** From the first byte to the answer's head; what comes after the head is never read. */
export const PUSH_TIMEOUT_MS = 10_000;
/** A signature is good for so long (RFC 8292 allows 24 hours) and used until half of it is left. */
const TOKEN_SECONDS = 43_200;
/** How long the push service keeps a wake-up for a device that is off. */
const KEPT_SECONDS = 86_400;
/** Answers' heads. */
const HEADER_BYTES_MAX = 16_384;
/** Signatures kept: one per push service, and the hosts below a wildcard. */
const TOKENS_MAX = 64;

export interface PushOptions {
  /** Private, P-256. */
  readonly key: KeyObject;
  /** `mailto:` or `https:`: whom the push service may ask. */
  readonly contact: string;
  readonly hosts?: readonly string[];
  /** For tests: endpoints on this machine, under any certificate authority in `ca`. */
  readonly loopback?: { readonly ca: string } | undefined;
  readonly now: () => number;
  readonly timeoutMs?: number;
}

export function createPushService(options: PushOptions): PushService {
  const { contact, loopback, now } = options;
  const hosts = options.hosts ?? PUSH_HOSTS;
  const timeoutMs = options.timeoutMs ?? PUSH_TIMEOUT_MS;
  const publicKey = pointOf(createPublicKey(options.key).export({ format: "jwk" }));
  const shownKey = Buffer.from(publicKey).toString("base64url");
  const tokens = new Map<string, { readonly token: string; readonly renewAt: number }>();

  async function tokenFor(origin: string): Promise<string> {
    const seconds = Math.floor(now() / 1_000);
    const known = tokens.get(origin);
    if (known !== undefined && seconds < known.renewAt) return known.token;
    const token = await new SignJWT({})
      .setProtectedHeader({ typ: "JWT", alg: "ES256" })
      .setAudience(origin)
      .setExpirationTime(seconds + TOKEN_SECONDS)
      .setSubject(contact)
      .sign(options.key);
    if (tokens.size >= TOKENS_MAX) tokens.clear();
    tokens.set(origin, { token, renewAt: seconds + TOKEN_SECONDS / 2 });
    return token;
  }

  function allows(endpoint: string): boolean {
    const url = URL.parse(endpoint);
    if (url?.protocol !== "https:" || url.username !== "" || url.password !== "") return false;
    if (loopback !== undefined && url.hostname === "localhost") return true;
    return url.port === "" && hosts.some((host) => matches(url.hostname, host));
  }

  async function send(endpoint: string): Promise<PushResult> {
    if (!allows(endpoint)) return { kind: "refused" };
    const url = new URL(endpoint);
    const token = await tokenFor(url.origin);
    return new Promise((resolve) => {
      const outgoing = request(url, {
        method: "POST",
        headers: {
          Authorization: `vapid t=${token}, k=${shownKey}`,
          TTL: String(KEPT_SECONDS),
          // Not "high", which a call would be: mail may wait for a device that saves its battery.
          Urgency: "normal",
          // Of several that wait for a device the push service keeps the last.
          Topic: "mail",
          "Content-Length": "0",
        },
        agent: false,
        lookup: loopback === undefined ? publicLookup : lookup,
        maxHeaderSize: HEADER_BYTES_MAX,
        ...(loopback === undefined ? {} : { ca: loopback.ca }),
      });
      const end = (result: PushResult): void => {
        clearTimeout(timer);
        resolve(result);
        // Neither a body nor a redirect is of any interest.
        outgoing.destroy();
      };
      const timer = setTimeout(() => end({ kind: "later", retryAfterMs: 0 }), timeoutMs);
      outgoing.on("response", ({ statusCode = 0, headers }) =>
        end(resultOf(statusCode, headers["retry-after"], now())),
      );
      outgoing.on("error", () => end({ kind: "later", retryAfterMs: 0 }));
      outgoing.end();
    });
  }

  return { publicKey, allows, send };
}

function resultOf(status: number, retryAfter: string | undefined, nowMs: number): PushResult {
  if (status >= 200 && status < 300) return { kind: "ok" };
  if (status === 404 || status === 410) return { kind: "gone" };
  if (status === 429 || status >= 500) {
    return { kind: "later", retryAfterMs: retryAfterMs(retryAfter, nowMs) };
  }
  return { kind: "refused" };
}

/** Seconds or a date (RFC 9110 §10.2.3); anything else is nought. */
function retryAfterMs(value: string | undefined, nowMs: number): number {
  if (value === undefined) return 0;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1_000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? 0 : Math.max(0, at - nowMs);
}

const matches = (hostname: string, host: string): boolean =>
  host.startsWith("*.") ? hostname.endsWith(host.slice(1)) : hostname === host;

function pointOf({ x = "", y = "" }: { x?: string; y?: string }): Uint8Array {
  const point = new Uint8Array(65);
  point[0] = 0x04;
  point.set(Buffer.from(x, "base64url"), 1);
  point.set(Buffer.from(y, "base64url"), 33);
  return point;
}

const OWN_NETWORKS = new BlockList();
for (const [network, bits] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["224.0.0.0", 3],
] as const) {
  OWN_NETWORKS.addSubnet(network, bits, "ipv4");
}
const PUBLIC_6 = new BlockList();
PUBLIC_6.addSubnet("2000::", 3, "ipv6");

/** Whether an address is one of the whole internet's. Of IPv6 only what is given out; 6to4 and the like lead inside. */
export function isPublicAddress(address: string, family: number): boolean {
  if (family === 4) return !OWN_NETWORKS.check(address, "ipv4");
  return PUBLIC_6.check(address, "ipv6") && !/^(?:2002:|2001:0?:|2001:0{1,4}:|64:)/i.test(address);
}

/** Fails when a name leads into a private network, also if it did not a moment ago: the connection uses this very answer. */
const publicLookup: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error !== null) return callback(error, "", 0);
    const first = addresses.find(({ address, family }) => isPublicAddress(address, family));
    if (first === undefined) return callback(new Error("not a public address"), "", 0);
    if (options.all === true) callback(null, [first]);
    else callback(null, first.address, first.family);
  });
};
