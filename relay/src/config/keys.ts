/**
 * Every setting of the relay: one entry here is its flag, its variable, its line in relay.toml and in CONFIG.md.
 * Owns: names, defaults, units, what a text means. Leaves to resolve.ts: which source wins.
 * Spec: CONFIG.md, made from this file.
 */
import { isRelayUrl } from "@sotto/wire";
import { HOST_DEFAULT, PORT_DEFAULT } from "../node/defaults.ts";
import { ADMISSION_KEYS } from "./admission-keys.ts";
import { LIMIT_KEYS } from "./limit-keys.ts";
import { OPERATION_KEYS } from "./operation-keys.ts";
import { toBoolean, toText } from "./parse.ts";
import { TURN_KEYS } from "./turn-keys.ts";

/** Each of them is in the policy of every page: what a page may talk to stays a list that a person can read. */
const APP_RELAYS_MAX = 8;

/** One setting. `name` is `section.key` of relay.toml. */
export interface Key<T> {
  readonly name: string;
  /** As commander takes it. */
  readonly flag: string;
  readonly env: string;
  readonly fallback: T;
  /** The fallback as people write it; empty when there is none. */
  readonly shown: string;
  readonly unit: string;
  readonly sentence: string;
  /** Throws a TypeError that says what would be right. Texts from every source come through here. */
  readonly parse: (text: string) => T;
  /** Its value is never printed. */
  readonly isSecret?: true;
}

const key = <T>(entry: Key<T>): Key<T> => entry;

/** By the names that startRelay takes. */
export const KEYS = {
  port: key({
    name: "server.port",
    flag: "--port <number>",
    env: "SOTTO_PORT",
    fallback: PORT_DEFAULT,
    shown: String(PORT_DEFAULT),
    unit: "port",
    sentence: "Port to listen on; 0 takes any free one.",
    parse: toPort,
  }),
  host: key({
    name: "server.host",
    flag: "--host <address>",
    env: "SOTTO_HOST",
    fallback: HOST_DEFAULT,
    shown: HOST_DEFAULT,
    unit: "address",
    sentence: "Address to listen on; 0.0.0.0 for all.",
    parse: toText,
  }),
  data: key<string | undefined>({
    name: "server.data",
    flag: "--data <directory>",
    env: "SOTTO_DATA",
    fallback: undefined,
    shown: "",
    unit: "directory",
    sentence:
      "Keys and undelivered mail (sealed). Without it everything is in memory and gone at the end.",
    parse: toText,
  }),
  app: key<string | undefined>({
    name: "server.app",
    flag: "--app <directory>",
    env: "SOTTO_APP",
    fallback: undefined,
    shown: "",
    unit: "directory",
    sentence: "Built app to serve; unless given the one that came with the relay, or app/dist.",
    parse: toText,
  }),
  domain: key<string | undefined>({
    name: "server.domain",
    flag: "--domain <name>",
    env: "SOTTO_DOMAIN",
    fallback: undefined,
    shown: "",
    unit: "host name",
    sentence:
      "Name under which clients reach this relay; sets what depends on it and was not given, see Level two in README.md.",
    parse: toDomain,
  }),
  publicUrl: key<string | undefined>({
    name: "server.public_url",
    flag: "--public-url <origin>",
    env: "SOTTO_PUBLIC_URL",
    fallback: undefined,
    shown: "",
    unit: "origin",
    sentence:
      "Origin clients use, for example https://chat.example.com; http://localhost with the port unless given.",
    parse: toOrigin,
  }),
  trustProxy: key({
    name: "server.trust_proxy",
    flag: "--trust-proxy",
    env: "SOTTO_TRUST_PROXY",
    fallback: false,
    shown: "false",
    unit: "true or false",
    sentence:
      "Count clients by the last X-Forwarded-For address; needed behind a proxy, wrong without one.",
    parse: toBoolean,
  }),
  circuit: key({
    name: "server.circuit",
    flag: "--no-circuit",
    env: "SOTTO_CIRCUIT",
    fallback: true,
    shown: "true",
    unit: "true or false",
    sentence: "Serve libp2p circuits for direct links.",
    parse: toBoolean,
  }),
  ...TURN_KEYS,
  appRelays: key<readonly string[]>({
    name: "app.relays",
    flag: "--app-relays <origins>",
    env: "SOTTO_APP_RELAYS",
    fallback: [],
    shown: "",
    unit: "origins",
    sentence:
      'Other relays that the app may talk to and offers to its people, at most 8, for example "https://a.example https://b.example".',
    parse: toRelays,
  }),
  ...ADMISSION_KEYS,
  ...OPERATION_KEYS,
  ...LIMIT_KEYS,
} as const;

export type KeyId = keyof typeof KEYS;
export type Settings = { readonly [Id in KeyId]: ReturnType<(typeof KEYS)[Id]["parse"]> };

function toPort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) throw new TypeError("0 to 65535.");
  return port;
}

/** Letters, digits and hyphens between dots; no port, no scheme. */
function toDomain(text: string): string {
  const name = text.toLowerCase();
  const isName =
    name.length <= 253 && /^([a-z\d]([a-z\d-]{0,61}[a-z\d])?\.)+[a-z][a-z\d-]*[a-z\d]$/.test(name);
  if (!isName) throw new TypeError("A name such as chat.example.com.");
  return name;
}

function toRelays(text: string): readonly string[] {
  const origins = new Set(text.split(/[\s,]+/).filter((one) => one !== ""));
  if (![...origins].every(isRelayUrl)) {
    throw new TypeError("Origins such as https://chat.example.com, with spaces between them.");
  }
  if (origins.size > APP_RELAYS_MAX) throw new TypeError(`At most ${APP_RELAYS_MAX}.`);
  return [...origins];
}

function toOrigin(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isOrigin = url !== undefined && /^https?:$/.test(url.protocol) && url.pathname === "/";
  if (!isOrigin) throw new TypeError("An origin such as https://chat.example.com.");
  return url.origin;
}
