/** Moves frames: the hub, and the shape of direct links. Their libp2p adapter is the subpath `./libp2p`, loaded when wanted. */
export * from "./backoff.ts";
export * from "./hints.ts";
export { createHub, type HubOptions } from "./hub.ts";
export * from "./ports.ts";
export * from "./timers.ts";
