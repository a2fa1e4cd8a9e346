/**
 * The settings in section `turn`: which servers help clients to meet directly.
 * Spec: CONFIG.md, made from this file; SPEC.md §8.
 */
import { isIceUrl, TURN_TTL_SECONDS_MAX, TURN_URLS_MAX } from "@sotto/wire";
import type { Key } from "./keys.ts";

const TURN_TTL_DEFAULT = 600;
/** Shorter, a slow dial would outlive its credential. */
const TURN_TTL_MIN = 60;
/** A credential and its name are seen by its client, which could try out short secrets at leisure. */
const SECRET_CHARACTERS_MIN = 16;
const SECRET_CHARACTERS_MAX = 128;

const key = <T>(entry: Key<T>): Key<T> => entry;

export const TURN_KEYS = {
  turnUrls: key<readonly string[]>({
    name: "turn.urls",
    flag: "--turn-urls <list>",
    env: "SOTTO_TURN_URLS",
    fallback: [],
    shown: "",
    unit: "addresses such as turn:chat.example.com:3478?transport=udp, with commas",
    sentence:
      "STUN and TURN servers that clients are told of when they want a direct link; for turn and turns with a credential that ends by itself, as coturn's use-auth-secret takes it. Needs turn.secret.",
    parse: toUrls,
  }),
  turnSecret: key<string | undefined>({
    name: "turn.secret",
    flag: "--turn-secret <text>",
    env: "SOTTO_TURN_SECRET",
    fallback: undefined,
    shown: "",
    unit: `${SECRET_CHARACTERS_MIN} characters or more`,
    sentence:
      "What the relay shares with the TURN server (coturn's static-auth-secret). Better as the variable than as a flag, which everybody on the machine sees; never printed.",
    parse: toSecret,
    isSecret: true,
  }),
  turnTtl: key({
    name: "turn.ttl",
    flag: "--turn-ttl <seconds>",
    env: "SOTTO_TURN_TTL",
    fallback: TURN_TTL_DEFAULT,
    shown: String(TURN_TTL_DEFAULT),
    unit: "seconds",
    sentence: "How long a credential serves to begin with; what has begun goes on.",
    parse: toTtl,
  }),
  stunPort: key<number | "off">({
    name: "turn.stun_port",
    flag: "--stun-port <number>",
    env: "SOTTO_STUN_PORT",
    fallback: "off",
    shown: "off",
    unit: "port, or off",
    sentence:
      "UDP port on which this relay itself tells clients their address (STUN), on all addresses of its machine; usually 3478. Clients are told of it under the host of server.public_url. Not beside coturn, which does the same.",
    parse: toStunPort,
  }),
} as const;

function toUrls(text: string): readonly string[] {
  const urls = text === "" ? [] : text.split(",").map((url) => url.trim());
  if (urls.length > TURN_URLS_MAX) throw new TypeError(`At most ${TURN_URLS_MAX}.`);
  if (!urls.every(isIceUrl)) {
    throw new TypeError("Addresses such as turn:chat.example.com:3478?transport=udp.");
  }
  return urls;
}

function toSecret(text: string): string {
  const isSecret =
    text.length >= SECRET_CHARACTERS_MIN &&
    text.length <= SECRET_CHARACTERS_MAX &&
    /^[!-~]+$/.test(text);
  if (!isSecret) {
    throw new TypeError(
      `${SECRET_CHARACTERS_MIN} to ${SECRET_CHARACTERS_MAX} letters, digits and signs.`,
    );
  }
  return text;
}

function toTtl(text: string): number {
  const seconds = Number(text);
  if (!/^\d+$/.test(text) || seconds < TURN_TTL_MIN || seconds > TURN_TTL_SECONDS_MAX) {
    throw new TypeError(`${TURN_TTL_MIN} to ${TURN_TTL_SECONDS_MAX}.`);
  }
  return seconds;
}

function toStunPort(text: string): number | "off" {
  if (text === "off") return "off";
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) throw new TypeError("0 to 65535, or off.");
  return port;
}
