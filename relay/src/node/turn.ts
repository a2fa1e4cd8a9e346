/**
 * What a client is told of STUN and TURN servers, with a credential made for this one answer.
 * Owns: credentials as coturn's `use-auth-secret` takes them. Leaves to core/connection.ts: who gets one, and how often.
 * Spec: SPEC.md §8.
 */
import { createHmac, randomBytes } from "node:crypto";
import { type IceServers, isIceServers, isTurnUrl, TURN_URLS_MAX } from "@sotto/wire";

/** 96 random bits: no two credentials share a name, and none says whose it is. */
const TAG_BYTES = 12;

export interface TurnOptions {
  /** As `isIceUrl` has them. */
  readonly urls: readonly string[];
  /** Shared with the TURN servers; undefined only when no address is one's. */
  readonly secret: string | undefined;
  readonly ttlSeconds: number;
}

/**
 * Undefined: this relay names no servers. `now`: milliseconds since 1970. Throws a TypeError for what no client would
 * take: it would end the connection, and with it everything else.
 */
export function createIceServers(
  { urls, secret, ttlSeconds }: TurnOptions,
  now: () => number,
): (() => IceServers) | undefined {
  if (urls.length === 0) return undefined;
  if (urls.length > TURN_URLS_MAX) {
    throw new TypeError(`turn.urls: at most ${TURN_URLS_MAX}, the relay's own STUN included.`);
  }
  const isTurn = urls.some(isTurnUrl);
  if (isTurn && secret === undefined) throw new TypeError("turn.urls needs turn.secret.");
  const make = (): IceServers => {
    if (!isTurn || secret === undefined) return { ttlSeconds, urls, username: "", credential: "" };
    const end = Math.floor(now() / 1_000) + ttlSeconds;
    const username = `${end}:${randomBytes(TAG_BYTES).toString("base64url")}`;
    const credential = createHmac("sha1", secret).update(username).digest("base64");
    return { ttlSeconds, urls, username, credential };
  };
  if (!isIceServers(make())) throw new TypeError("turn.urls: addresses of STUN and TURN servers.");
  return make;
}
