/**
 * The settings in section `limits`: what SPEC.md §4 lets an operator choose, by the names that startRelay takes.
 * Spec: CONFIG.md, made from this file.
 */
import {
  ALLOWANCES_MAX,
  APPEND_BYTES_BURST,
  AUTH_MS,
  BYTES_MAX_DEFAULT,
  CONNECT_BURST,
  QUEUE_BYTES_MAX,
  QUEUE_MESSAGES_MAX,
  QUEUE_NEW_BURST,
  QUEUES_MAX,
  QUEUES_PER_READER_MAX,
  SCARCE_QUEUE_BURST,
  TTL_HOURS_MAX,
  WORK_QUEUES_MAX,
} from "../core/limits.ts";
import { CIRCUIT_CONNECTIONS_MAX, RESERVATIONS_MAX } from "../node/circuit-limits.ts";
import {
  APPENDS_PER_SECOND,
  BUFFERED_BYTES_MAX,
  CONNECTIONS_MAX,
  CONNECTIONS_PER_PLACE_MAX,
  CONNECTS_PER_SECOND,
  HTTP_SOCKETS_MAX,
  MIN_FREE_DEFAULT,
  QUEUES_PER_MINUTE,
  SOCKET_BUFFER_MAX,
  STALLED_MS,
} from "../node/defaults.ts";
import type { Key } from "./keys.ts";

const UNITS = { "": 1, K: 1_024, M: 1_048_576, G: 1_073_741_824 } as const;
/** Less room than that is a typing error. */
const ROOM_MIN = 1_048_576;
/** One message, or one page of a database. */
const PIECE_MIN = 65_536;

/** `name` of the section, from which the flag and the variable follow. */
function limit(
  name: string,
  of: Pick<Key<number>, "unit" | "sentence" | "fallback" | "parse"> & { readonly shown?: string },
): Key<number> {
  return {
    name: `limits.${name}`,
    flag: `--${name.replaceAll("_", "-")} <${of.unit === BYTES ? "size" : "number"}>`,
    env: `SOTTO_${name.toUpperCase()}`,
    shown: String(of.fallback),
    ...of,
  };
}

const BYTES = "bytes, or with K, M, G";

const count = (name: string, fallback: number, sentence: string, unit = "number"): Key<number> =>
  limit(name, { unit, sentence, fallback, parse: toCount });

const size = (name: string, fallback: number, min: number, sentence: string): Key<number> =>
  limit(name, {
    unit: BYTES,
    sentence,
    fallback,
    shown: sizeText(fallback),
    parse: (text) => toBytes(text, min),
  });

export const LIMIT_KEYS = {
  maxBytes: size(
    "max_bytes",
    BYTES_MAX_DEFAULT,
    ROOM_MIN,
    "Room for mail and offers together; beyond nine tenths of it the relay makes no new queues, beyond it it takes no new mail.",
  ),
  minFree: size(
    "min_free",
    MIN_FREE_DEFAULT,
    0,
    "What has to be free on the disk; below it the relay takes no new mail. 0: it goes on to the last byte.",
  ),
  maxConnections: count(
    "max_connections",
    CONNECTIONS_MAX,
    "Clients at once; the next one takes the place of the oldest that has not proven who it is.",
  ),
  connectionsPerPlace: count(
    "connections_per_place",
    CONNECTIONS_PER_PLACE_MAX,
    "Clients at once from one place (an IPv4 address or an IPv6 /64); 16 times as many from an IPv6 /48.",
  ),
  maxHttpSockets: count(
    "max_http_sockets",
    HTTP_SOCKETS_MAX,
    "Sockets at once that are no clients (yet); the next one takes the place of the oldest.",
  ),
  connectBurst: count(
    "connect_burst",
    CONNECT_BURST,
    "New connections of one place at once, before connects_per_second counts.",
  ),
  connectsPerSecond: count(
    "connects_per_second",
    CONNECTS_PER_SECOND,
    "New connections of one place.",
    "per second",
  ),
  authMs: count(
    "auth_ms",
    AUTH_MS,
    "How long a socket may take to say its request, and a client to prove who it is.",
    "milliseconds",
  ),
  stalledMs: count(
    "stalled_ms",
    STALLED_MS,
    "How long a client may take nothing of what waits for it.",
    "milliseconds",
  ),
  socketBuffer: size(
    "socket_buffer",
    SOCKET_BUFFER_MAX,
    PIECE_MIN,
    "What may wait in memory to be sent to one client; the rest stays on the disk.",
  ),
  maxBuffered: size(
    "max_buffered",
    BUFFERED_BYTES_MAX,
    ROOM_MIN,
    "The same for all clients together; beyond it each may have only 16K.",
  ),
  maxQueues: count("max_queues", QUEUES_MAX, "Queues; each takes about 1 KB of memory."),
  queuesPerReader: count("queues_per_reader", QUEUES_PER_READER_MAX, "Queues of one device."),
  queueBurst: count(
    "queue_burst",
    QUEUE_NEW_BURST,
    "New queues of one place at once, before queues_per_minute counts.",
  ),
  scarceQueueBurst: count(
    "scarce_queue_burst",
    SCARCE_QUEUE_BURST,
    "The same while more than four fifths of max_queues are there.",
  ),
  workQueues: limit("work_queues", {
    unit: "number",
    fallback: WORK_QUEUES_MAX,
    sentence:
      "Queues that places which used up theirs may make for a proof of work, all together; one a minute comes back. 0: none.",
    parse: (text) => (text === "0" ? 0 : toCount(text)),
  }),
  queuesPerMinute: count(
    "queues_per_minute",
    QUEUES_PER_MINUTE,
    "New queues of one place.",
    "per minute",
  ),
  queueMessages: count("queue_messages", QUEUE_MESSAGES_MAX, "Undelivered messages in one queue."),
  queueBytes: size("queue_bytes", QUEUE_BYTES_MAX, PIECE_MIN, "Undelivered bytes in one queue."),
  ttlHours: count(
    "ttl_hours",
    TTL_HOURS_MAX,
    "The longest that undelivered mail may be kept.",
    "hours",
  ),
  appendBurst: size(
    "append_burst",
    APPEND_BYTES_BURST,
    PIECE_MIN,
    "Mail and signals from one place at once, before appends_per_second counts.",
  ),
  appendsPerSecond: size(
    "appends_per_second",
    APPENDS_PER_SECOND,
    1_024,
    "Mail and signals from one place, each second.",
  ),
  maxPlaces: count(
    "max_places",
    ALLOWANCES_MAX,
    "Places whose use is remembered; about 1 KB of memory each.",
  ),
  maxReservations: count(
    "max_reservations",
    RESERVATIONS_MAX,
    "Devices that wait for circuits at once.",
  ),
  maxCircuits: count(
    "max_circuits",
    CIRCUIT_CONNECTIONS_MAX,
    "Sockets for circuits at once; 16 from one place.",
  ),
} as const;

export type Limits = { readonly [Id in keyof typeof LIMIT_KEYS]: number };

/** Every limit, given or not. */
export function limitsOf(given: Partial<Limits>): Limits {
  const defaults = Object.entries(LIMIT_KEYS).map(([id, { fallback }]) => [id, fallback] as const);
  // Every key of LIMIT_KEYS is in there; a list of entries cannot tell the compiler.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return { ...(Object.fromEntries(defaults) as Limits), ...given };
}

function toCount(text: string): number {
  const number = Number(text);
  if (!/^\d+$/.test(text) || number < 1 || number > COUNT_MAX) {
    throw new TypeError(`A whole number from 1 to ${COUNT_MAX}.`);
  }
  return number;
}

/** The longest a timer can wait, and more than any machine has of anything. */
const COUNT_MAX = 2_147_483_647;

function toBytes(text: string, min: number): number {
  const [, digits, letter = ""] = /^(\d+)([KMG]?)$/i.exec(text) ?? [];
  const unit = Object.entries(UNITS).find(([name]) => name === letter.toUpperCase())?.[1] ?? 1;
  const bytes = Number(digits) * unit;
  if (!Number.isSafeInteger(bytes) || bytes < min) {
    throw new TypeError(`At least ${sizeText(min)}, for example 500M or 8G.`);
  }
  return bytes;
}

/** In the largest unit that leaves no fraction. */
function sizeText(bytes: number): string {
  for (const unit of ["G", "M", "K"] as const) {
    if (bytes % UNITS[unit] === 0) return `${bytes / UNITS[unit]}${unit}`;
  }
  return String(bytes);
}
