/** What the relay listens on, and how much it takes, unless told otherwise. Loads nothing. */
export const PORT_DEFAULT = 8_787;
export const HOST_DEFAULT = "127.0.0.1";

export const CONNECTIONS_MAX = 10_000;
/** From one IPv4 address or one IPv6 /64; sockets from loopback (a reverse proxy, this machine) are not counted. */
export const CONNECTIONS_PER_PLACE_MAX = 50;
/** Sockets that are no WebSockets (yet). */
export const HTTP_SOCKETS_MAX = 2_000;
export const CONNECTS_PER_SECOND = 20;
export const QUEUES_PER_MINUTE = 1;
export const APPENDS_PER_SECOND = 16_384;

/** Waiting to be sent on one socket: above it nothing is delivered and nothing more is read from it. */
export const SOCKET_BUFFER_MAX = 262_144;
/** Waiting on all sockets together: above it each of them may have only SCARCE_BUFFER_MAX. */
export const BUFFERED_BYTES_MAX = 33_554_432;
export const SCARCE_BUFFER_MAX = 16_384;
/** A socket that waits with a full buffer for so long is closed. */
export const STALLED_MS = 60_000;

/** Free bytes on the disk below which nothing new is taken: the write-ahead log and as much again. */
export const MIN_FREE_DEFAULT = 134_217_728;
