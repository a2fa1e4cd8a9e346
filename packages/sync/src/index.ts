/** Events of the history, what they amount to, and which of them another device lacks. Pure; see SPEC.md. */
export * from "./item.ts";
export * from "./item-set.ts";
export * from "./coded-symbols.ts";
export * from "./message.ts";
export type { Positions } from "./compare.ts";
export * from "./initiator.ts";
export * from "./responder.ts";
export * from "./summary.ts";
export * from "./sketch.ts";
export * from "./hybrid-clock.ts";
export * from "./event.ts";
export * from "./fold.ts";
export { type HalfSip, halfSipHash } from "./half-sip-hash.ts";
