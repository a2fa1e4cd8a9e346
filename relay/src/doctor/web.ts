/**
 * A relay's pages as a browser far away meets them: name, certificate, health, headers, clock.
 * Asks only what everybody may ask.
 */
import { lookup } from "node:dns/promises";
import { connect } from "node:tls";
import { ANSWER_MS, type Check, codeOf, failed, ok, warn } from "./check.ts";

/** Certificates that renew by themselves do so a month before. */
const DAYS_WARN = 14;
const CLOCK_WARN_MS = 5_000;
const CLOCK_FAIL_MS = 60_000;
/** Our own answers are below one kilobyte. */
const ANSWER_BYTES_MAX = 65_536;
const DAY_MS = 86_400_000;

/** What the relay says of itself; undefined fields were not said, or wrongly. */
export interface Info {
  readonly relayKey: string | undefined;
  readonly forwarded: string | undefined;
}

export const isLoopbackName = (host: string): boolean =>
  /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(host);

export async function checkName(url: URL): Promise<Check> {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  try {
    const found = await lookup(host, { all: true });
    const families = new Set(found.map(({ family }) => `IPv${family}`));
    return ok("name", [...families].toSorted().join(" and "));
  } catch (error) {
    return failed("name", `${codeOf(error)}: add an A or AAAA record for ${host}`);
  }
}

export async function checkTls(url: URL): Promise<Check> {
  if (url.protocol === "http:") {
    return isLoopbackName(url.hostname)
      ? ok("tls", "none, which browsers allow on this machine only")
      : failed("tls", "browsers need https for anything but localhost");
  }
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = url.port === "" ? 443 : Number(url.port);
  return new Promise((resolve) => {
    const name = /^[\d.]+$|:/.test(host) ? {} : { servername: host };
    const socket = connect({ host, port, ...name, rejectUnauthorized: false }, () => {
      const days = Math.floor(
        (Date.parse(socket.getPeerCertificate().valid_to) - Date.now()) / DAY_MS,
      );
      const { authorizationError: error } = socket;
      const protocol = socket.getProtocol() ?? "unknown";
      socket.destroy();
      if (!socket.authorized) {
        return resolve(failed("tls", `the certificate is refused: ${codeOf(error)}`));
      }
      const words = `${protocol}, certificate for ${days} more days`;
      resolve(days < DAYS_WARN ? warn("tls", `${words}: does it renew?`) : ok("tls", words));
    });
    socket.setTimeout(ANSWER_MS, () => socket.destroy(new Error("timeout")));
    socket.once("error", (error) => resolve(failed("tls", codeOf(error))));
  });
}

/** `clockMs`: this machine's. */
export async function checkWeb(
  url: URL,
  clockMs: () => number = Date.now,
): Promise<{ readonly checks: readonly Check[]; readonly info: Info }> {
  let info: Info = { relayKey: undefined, forwarded: undefined };
  try {
    const health = await get(url, "/healthz");
    if (health.status !== 200) {
      return { checks: [failed("health", `/healthz says ${health.status}`)], info };
    }
    const ready = await get(url, "/readyz");
    const page = await get(url, "/");
    info = toInfo((await get(url, "/info.json")).text);
    const checks = [
      ready.status === 200
        ? ok("health", "alive and ready")
        : failed("health", `alive, but /readyz says ${ready.status}: it takes no mail`),
      checkApp(url, page),
      checkClock(health, clockMs()),
      checkProxy(info),
    ];
    return { checks, info };
  } catch (error) {
    return { checks: [failed("health", codeOf(error))], info };
  }
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
  /** Half a round trip: how old its clock is here. */
  readonly agoMs: number;
}

async function get(url: URL, path: string): Promise<Answer> {
  const from = performance.now();
  const response = await fetch(new URL(path, url), {
    redirect: "manual",
    signal: AbortSignal.timeout(ANSWER_MS),
  });
  const agoMs = (performance.now() - from) / 2;
  const decoder = new TextDecoder();
  let text = "";
  for await (const part of response.body ?? []) {
    text += decoder.decode(part, { stream: true });
    if (text.length > ANSWER_BYTES_MAX) break;
  }
  return { status: response.status, text, headers: response.headers, agoMs };
}

function checkApp(url: URL, { status, headers }: Answer): Check {
  if (status !== 200) return failed("app", `/ says ${status}: build the app, or set server.app`);
  const missing = ["Content-Security-Policy", "X-Content-Type-Options"]
    .concat(url.protocol === "https:" ? ["Strict-Transport-Security"] : [])
    .filter((name) => !headers.has(name));
  return missing.length === 0
    ? ok("app", "served, with its security headers")
    : warn(
        "app",
        `served without ${missing.join(", ")}: is server.public_url set, does a proxy drop them?`,
      );
}

function checkClock({ headers, agoMs }: Answer, nowMs: number): Check {
  const said = Date.parse(headers.get("date") ?? "");
  if (Number.isNaN(said)) return warn("clock", "the answer has no date");
  // A date has whole seconds.
  const offMs = Math.max(0, Math.abs(said + 500 + agoMs - nowMs) - 500);
  const words = `${(offMs / 1_000).toFixed(1)} s from this machine's`;
  if (offMs > CLOCK_FAIL_MS) return failed("clock", `${words}: set up time synchronisation`);
  return offMs > CLOCK_WARN_MS ? warn("clock", words) : ok("clock", words);
}

function checkProxy({ forwarded }: Info): Check {
  switch (forwarded) {
    case "none":
      return ok("proxy", "none in front, or it names nobody");
    case "believed":
      return ok("proxy", "names clients, and is believed");
    case "ignored":
      return failed(
        "proxy",
        "names clients and is not believed, so all of them share one limit: set server.trust_proxy",
      );
    default:
      return failed("proxy", "/info.json is not this relay's: does the proxy pass all paths on?");
  }
}

function toInfo(text: string): Info {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    parsed = undefined;
  }
  const word = (name: string): string | undefined => {
    if (typeof parsed !== "object" || parsed === null) return undefined;
    const value: unknown = Object.entries(parsed).find(([key]) => key === name)?.[1];
    return typeof value === "string" ? value : undefined;
  };
  return { relayKey: word("relayKey"), forwarded: word("forwarded") };
}
