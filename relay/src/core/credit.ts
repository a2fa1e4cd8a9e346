/**
 * How much mail may be on its way to readers that have not acknowledged it: for each connection, and for all of them.
 * Owns: the sum. Leaves to connection.ts: which message is delivered next.
 * Spec: SPEC.md §3, §4.
 */
import { CREDIT_BYTES, SCARCE_CREDIT_BYTES, UNACKNOWLEDGED_BYTES_MAX } from "./limits.ts";

export interface Credit {
  /** Bytes that one connection may have unacknowledged now. */
  perConnection(): number;
  /** Delivered, or, below zero, acknowledged or given up. */
  add(bytes: number): void;
}

/** One for all connections of a relay. `max`: bytes. */
export function createCredit(max: number = UNACKNOWLEDGED_BYTES_MAX): Credit {
  let unacknowledged = 0;
  return {
    perConnection: () => (unacknowledged < max ? CREDIT_BYTES : SCARCE_CREDIT_BYTES),
    add(bytes) {
      unacknowledged += bytes;
    },
  };
}
