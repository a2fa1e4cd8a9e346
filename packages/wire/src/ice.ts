/**
 * STUN and TURN servers as a relay names them to a client, and the credential that expires.
 * Owns: which addresses are servers. Leaves to relay: making credentials. Leaves to transport: using them.
 * Spec: SPEC.md §9.3.
 */
export const TURN_URLS_MAX = 8;
export const TURN_URL_BYTES_MAX = 255;
/** Of the username and of the credential. coturn takes up to 512 bytes; ours have 27 and 28. */
export const TURN_NAME_BYTES_MAX = 128;
/** A day. */
export const TURN_TTL_SECONDS_MAX = 86_400;

export interface IceServers {
  /** From now on so long may the credential be used to begin with; at least 1. */
  readonly ttlSeconds: number;
  /** 1 to TURN_URLS_MAX, each as `isIceUrl` has it. */
  readonly urls: readonly string[];
  /** Both empty exactly when no address is a TURN server's. */
  readonly username: string;
  readonly credential: string;
}

const ICE_URL = /^(?:stun:(?<stun>[^?]+)|turns?:(?<turn>[^?]+?)(?:\?transport=(?:udp|tcp))?)$/;
const HOST_PORT = /^(?:[a-z\d](?:[a-z\d.-]*[a-z\d])?|\[[\da-f:.]+\])(?::(?<port>[1-9]\d{0,4}))?$/;

/**
 * `stun:host:port`, `turn:host:port?transport=udp`, `turns:…` (RFC 7064, RFC 7065) in lower case. A browser makes no
 * connection at all when it is given something else.
 */
export function isIceUrl(text: string): boolean {
  const { stun, turn } = ICE_URL.exec(text)?.groups ?? {};
  const found = HOST_PORT.exec(stun ?? turn ?? "");
  return (
    text.length <= TURN_URL_BYTES_MAX &&
    found !== null &&
    Number(found.groups?.["port"] ?? 0) <= 65_535
  );
}

export const isTurnUrl = (url: string): boolean => url.startsWith("turn");

export function isIceServers({ ttlSeconds, urls, username, credential }: IceServers): boolean {
  const needsCredential = urls.some(isTurnUrl);
  return (
    ttlSeconds > 0 &&
    urls.every(isIceUrl) &&
    (username !== "") === needsCredential &&
    (credential !== "") === needsCredential
  );
}
