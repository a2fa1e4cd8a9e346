/**
 * What circuits may cost, and where they are. Apart from circuit.ts, which loads all of libp2p.
 * Spec: SPEC.md §7.
 */

/** libp2p's own default is 15. About 140 KB of memory each. */
export const RESERVATIONS_MAX = 1_000;
/** A client refreshes well before; its place is free as soon as it disconnects. */
export const RESERVATION_TTL_MS = 1_800_000;
/** Per circuit, both directions together: enough for a handshake and some messages, not for files. */
export const CIRCUIT_BYTES_MAX = 1_048_576;
export const CIRCUIT_MS = 300_000;
export const CIRCUIT_CONNECTIONS_MAX = 2_000;
/** Circuits one peer may open at once, and circuits that may end at one peer. */
export const HOP_STREAMS_MAX = 16;
export const STOP_STREAMS_MAX = 64;
export interface CircuitLimits {
  readonly reservations: number;
  readonly connections: number;
  readonly bytes: number;
  readonly durationMs: number;
}

/** The address at which clients reach the libp2p side of a relay with this URL. */
export function announcedAddress(publicUrl: string): string {
  const url = new URL(publicUrl);
  const isSecure = url.protocol === "https:";
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const kind = host.includes(":") ? "ip6" : /^[\d.]+$/.test(host) ? "ip4" : "dns4";
  const port = url.port === "" ? (isSecure ? 443 : 80) : url.port;
  return `/${kind}/${host}/tcp/${port}/${isSecure ? "tls/ws" : "ws"}`;
}
