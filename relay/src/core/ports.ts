/**
 * What the relay needs from its surroundings: a durable store, time, randomness, counting.
 * Owns: the rows that may reach a disk; nothing else ever does.
 * Spec: SPEC.md §5.
 */
import type { CryptoBackend, Entropy } from "@sotto/crypto";

/** `row`: chosen by the relay, rising, never reused while the row exists. */
export interface QueueRow {
  readonly row: number;
  /** 24 bytes. */
  readonly queueId: Uint8Array;
  /** SHA-256 of the sendId. */
  readonly sendHash: Uint8Array;
  /** Ed25519, 32 bytes. */
  readonly readerKey: Uint8Array;
  /** Bound: the send key (X25519). Not yet bound: SHA-256 of the first-use secret. 32 bytes. */
  readonly sender: Uint8Array;
  readonly bound: boolean;
  readonly ttlHours: number;
  readonly expiryHour: number;
}

export interface MessageRow {
  readonly row: number;
  readonly queueRow: number;
  /** 16 bytes. */
  readonly id: Uint8Array;
  readonly sizeBytes: number;
  readonly expiryHour: number;
}

export interface BundleRow {
  readonly row: number;
  readonly queueRow: number;
  /** SHA-256 of the linkId. */
  readonly linkHash: Uint8Array;
  readonly sizeBytes: number;
  readonly expiryHour: number;
}

export type StoreOperation =
  /** Inserts or replaces. */
  | { readonly type: "put-queue"; readonly queue: QueueRow }
  | { readonly type: "delete-queue"; readonly row: number }
  | {
      readonly type: "put-message";
      readonly message: Omit<MessageRow, "sizeBytes">;
      readonly blob: Uint8Array;
    }
  | { readonly type: "delete-message"; readonly row: number }
  /** Inserts or replaces. */
  | {
      readonly type: "put-bundle";
      readonly bundle: Omit<BundleRow, "sizeBytes">;
      readonly blob: Uint8Array;
    }
  | { readonly type: "delete-bundle"; readonly row: number };

/** Messages in the order of their rows. */
export interface StoredState {
  readonly queues: Iterable<QueueRow>;
  readonly messages: Iterable<MessageRow>;
  readonly bundles: Iterable<BundleRow>;
}

/** full: no room. broken: anything else; the store may recover by itself. */
export class StoreError extends Error {
  readonly code: "full" | "broken";
  constructor(code: "full" | "broken") {
    super(`store ${code}`);
    this.name = "StoreError";
    this.code = code;
  }
}

export interface Store {
  /** Everything but the blobs; called once, before anything else. */
  load(): StoredState;
  /**
   * All of them or none, after everything applied before. Resolves once they survive a power cut;
   * rejects with a StoreError.
   */
  apply(operations: readonly StoreOperation[]): Promise<void>;
  /** In the order asked; undefined for a row that is gone. */
  readMessages(rows: readonly number[]): Promise<readonly (Uint8Array | undefined)[]>;
  readBundle(row: number): Promise<Uint8Array | undefined>;
  /** Waits for what was applied. */
  close(): Promise<void>;
}

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Runs once after `delayMs`; the returned function cancels it. */
  after(delayMs: number, run: () => void): () => void;
}

/** Things worth counting. Never carries an id, a key or an address. */
export const COUNTERS = [
  "connected",
  "authenticated",
  "refused",
  "malformed",
  "displaced",
  "appended",
  "repeated",
  "written",
  "delivered",
  "acknowledged",
  "signalled",
  "expired",
  "store-failed",
  // TURN_CREDENTIAL answers.
  "credential",
  // Answers that told somebody to stop or wait, by what was short.
  "told-quota",
  "told-limit",
  "told-later",
  "told-full",
  // Of a queue: only for work.
  "told-work",
  // Sockets that were closed because there were too many: of one place, or of all.
  "turned-away",
  // Wake-ups: taken by the push service, refused by it or lost, and endpoints that it no longer knows.
  "push-sent",
  "push-failed",
  "push-gone",
] as const;
export type Counter = (typeof COUNTERS)[number];

export interface RelayEnv extends Clock {
  readonly crypto: CryptoBackend;
  readonly entropy: Entropy;
  count(this: void, counter: Counter): void;
}
