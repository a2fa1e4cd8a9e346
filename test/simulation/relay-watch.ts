/**
 * Watches one simulated relay from below: what reaches its disk, what leaves it, what it says OK to.
 * Owns: I1 at the relay, I13, I18, I10 for its rows. Leaves to oracle.ts: everything about people.
 */
import { bytesToHex } from "@sotto/wire";
import type { Counter, Exchange, MemoryDisk, StoreOperation } from "sotto-relay/core";
import { QUEUE_MESSAGES_MAX } from "sotto-relay/core";
import type { Watch } from "./endpoint.ts";

export interface RelayWatch {
  /** Somebody was given this frame under this number. */
  given(queueId: string, sequence: bigint, blob: Uint8Array): void;
  /** Its reader confirms the number. */
  acknowledged(queueId: string, sequence: bigint): void;
  /** These rows are about to be changed. */
  written(operations: readonly StoreOperation[]): void;
  /** The disk said no to these. */
  refused(operations: readonly StoreOperation[]): void;
  /** These rows are on the disk. */
  durable(operations: readonly StoreOperation[]): void;
  /** A sender hears that this is safe. */
  saidOk(blob: Uint8Array): void;
  /** A process begins with what is on the disk. */
  begun(): void;
  count(this: void, counter: Counter): void;
  /** In the middle of nothing: the accounts of the process must balance. */
  balance(exchange: Exchange): void;
}

/** Tells sealed units apart: their nonce and their last bytes. */
export const keyOfBlob = (blob: Uint8Array): string =>
  `${blob.length}/${bytesToHex(blob.subarray(0, 24))}/${bytesToHex(blob.subarray(-8))}`;

export interface WatchOptions {
  /** Nobody tampers with what the relay gives, so that its own accounts can be taken at their word. */
  readonly strict: boolean;
  /** Nobody's store goes back, so that an id stands for the same bytes for ever. */
  readonly idsAreOnce: boolean;
}

export function createRelayWatch(
  watch: Watch,
  disk: MemoryDisk,
  { strict, idsAreOnce }: WatchOptions,
): RelayWatch {
  const durable = new Set<string>();
  const confirmed = new Set<string>();
  const given = new Map<string, string>();
  let counts = { appended: 0, acknowledged: 0, expired: 0, refused: 0, before: 0, closed: 0 };
  return {
    given(queueId, sequence, blob) {
      given.set(`${queueId}/${sequence}`, keyOfBlob(blob));
    },
    acknowledged(queueId, sequence) {
      const key = given.get(`${queueId}/${sequence}`);
      if (key !== undefined) confirmed.add(key);
    },
    written(operations) {
      const closes = operations.some((one) => one.type === "delete-queue");
      if (closes) counts.closed++;
      for (const one of operations) {
        if (one.type === "put-message" || one.type === "put-bundle") watch.carried(one.blob);
        if (one.type !== "delete-message" || closes || !strict) continue;
        const row = disk.messages.get(one.row);
        if (row !== undefined && !confirmed.has(keyOfBlob(row.blob))) {
          watch.fail("I13", "the relay deletes what nobody confirmed");
        }
      }
    },
    refused(operations) {
      counts.refused += operations.filter((one) => one.type === "put-message").length;
    },
    durable(operations) {
      for (const one of operations) {
        if (one.type === "put-message") durable.add(keyOfBlob(one.blob));
      }
    },
    saidOk(blob) {
      const key = keyOfBlob(blob);
      if (durable.has(key) || confirmed.has(key) || !strict || !idsAreOnce) return;
      watch.fail("I1", "the relay says OK to what a crash would take");
    },
    begun() {
      counts = { appended: 0, acknowledged: 0, expired: 0, refused: 0, before: 0, closed: 0 };
      // Rows whose queue went while the disk did not take their deletion leave it now.
      counts.before = [...disk.messages.values()].filter(({ row }) =>
        disk.queues.has(row.queueRow),
      ).length;
    },
    count(counter) {
      if (counter === "appended" || counter === "acknowledged" || counter === "expired") {
        counts[counter]++;
      }
    },
    balance(exchange) {
      const { appended, acknowledged, expired, refused, before, closed } = counts;
      const { messages } = exchange.stats();
      const isOver = messages > QUEUE_MESSAGES_MAX * exchange.stats().queues;
      if (isOver) watch.fail("I8", "the relay keeps more than its queues may hold");
      if (closed > 0) return;
      const out = messages + acknowledged + expired + refused;
      if (before + appended !== out) {
        watch.fail(
          "I18",
          `of ${before} + ${appended} the relay has ${messages}, gave ${acknowledged}, lost ${expired} to time and refused ${refused}`,
        );
      }
    },
  };
}
