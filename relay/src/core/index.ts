/** The relay without a machine: state machines over injected time, randomness and storage. See SPEC.md. */
export * from "./allowance.ts";
export * from "./connection.ts";
export * from "./credit.ts";
export * from "./doorkeeper.ts";
export * from "./ephemeral.ts";
export * from "./exchange.ts";
export * from "./invite-code.ts";
export * from "./limits.ts";
export * from "./mailbox.ts";
export * from "./memory-store.ts";
export * from "./ports.ts";
export * from "./waker.ts";
export * from "./work.ts";
