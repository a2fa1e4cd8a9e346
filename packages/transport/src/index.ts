/** Moves frames: the hub, and the shape of direct links. Their libp2p adapter is the subpath `./libp2p`, loaded when wanted. */
export * from "./backoff.ts";
export { FAILOVER_MS } from "./fail-over.ts";
export { FOREIGN_IDLE_MS, FOREIGN_RELAYS_MAX } from "./foreign-relays.ts";
export * from "./hints.ts";
export * from "./hub.ts";
export {
  ACK_DELAY_MS,
  ANSWER_MS,
  CONNECT_MS,
  IN_FLIGHT_BYTES_MAX,
  IN_FLIGHT_MAX,
  PONG_MS,
  QUIET_MS,
  UNACKNOWLEDGED_MAX,
  UNANSWERED_MS,
} from "./hub-connection.ts";
export * from "./ice.ts";
export * from "./ports.ts";
export * from "./relays.ts";
export * from "./timers.ts";
