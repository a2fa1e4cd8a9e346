/**
 * What a relay says about itself in numbers, for Prometheus.
 * Owns: names, and that labels come from closed lists of ours. Leaves to operations.ts: who may ask.
 * No label ever holds an id, a key, an address or a host.
 * Spec: SPEC.md §6, OPERATING.md.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";
import { AGE_HOURS } from "../core/limits.ts";
import { COUNTERS, type Store } from "../core/ports.ts";
import type { Snapshot } from "./snapshot.ts";

const PREFIX = "sotto_relay_";

/** From a page in the cache to a disk that is about to fail. */
const STORE_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5];

export interface Metrics {
  readonly contentType: string;
  /** In Prometheus' text format. */
  text(): Promise<string>;
  /** The same store, with its waits measured. */
  timed(store: Store): Store;
}

/** `snapshot` is asked once for each answer, never before the first. */
export function createMetrics(
  snapshot: () => Snapshot,
  build: { readonly version: string; readonly node: string },
): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  /** One for all numbers of an answer. */
  let now: Snapshot | undefined;

  const gauge = (name: string, help: string, read: (now: Snapshot) => number | undefined): void => {
    const made: Gauge = new Gauge({
      name: PREFIX + name,
      help,
      registers: [registry],
      collect() {
        const value = now === undefined ? undefined : read(now);
        // A number that does not exist is left out: nought would be a lie.
        if (value === undefined) made.remove();
        else made.set(value);
      },
    });
  };
  gauge("connections", "Clients connected.", (now) => now.connections);
  gauge("connections_limit", "limits.max_connections.", (now) => now.connectionsMax);
  gauge("reservations", "Devices that wait for circuits.", (now) => now.reservations);
  gauge("queues", "Queues.", (now) => now.queues);
  gauge("queues_limit", "limits.max_queues.", (now) => now.queuesMax);
  gauge("messages", "Undelivered messages.", (now) => now.messages);
  gauge("oldest_message_hours", "How long the oldest waits.", (now) => now.oldestHours);
  const waiting = new Gauge({
    name: `${PREFIX}messages_waiting`,
    help: "Undelivered messages that wait for at least so many hours.",
    labelNames: ["hours"],
    registers: [registry],
    collect() {
      for (const [index, hours] of AGE_HOURS.entries()) {
        waiting.set({ hours }, now?.olderThan[index] ?? 0);
      }
    },
  });
  gauge("stored_bytes", "What counts towards limits.max_bytes.", (now) => now.bytes);
  gauge("stored_bytes_limit", "limits.max_bytes.", (now) => now.bytesMax);
  gauge("held_bytes", "Delivered, not acknowledged, not written yet.", (now) => now.heldBytes);
  gauge("commit_bytes", "On the way to the disk.", (now) => now.commitBytes);
  gauge("buffered_bytes", "On the way to clients.", (now) => now.bufferedBytes);
  gauge("store_failing", "1 after a commit that failed.", (now) => Number(now.storeFails));
  gauge("ready", "What /readyz says: 1 for 200.", (now) => Number(now.reason === undefined));
  gauge("disk_free_bytes", "Free where the data is.", (now) => now.diskFreeBytes);
  gauge("tls_certificate_expiry_seconds", "When the certificate ends, since 1970.", (now) =>
    now.certificateExpiryMs === undefined ? undefined : now.certificateExpiryMs / 1_000,
  );

  const events = new Counter({
    name: `${PREFIX}events_total`,
    help: "Things that happened, by kind.",
    labelNames: ["event"],
    registers: [registry],
    collect() {
      // Counted where it happens already; here it is only said.
      events.reset();
      for (const event of COUNTERS) events.inc({ event }, now?.counters[event] ?? 0);
    },
  });
  new Gauge({
    name: `${PREFIX}build_info`,
    help: "Always 1.",
    labelNames: ["version", "node"],
    registers: [registry],
  }).set({ ...build }, 1);

  const histogram = (name: string, help: string): Histogram =>
    new Histogram({ name: PREFIX + name, help, buckets: STORE_SECONDS, registers: [registry] });
  const commits = histogram("commit_seconds", "From a write to its flush.");
  const reads = histogram("read_seconds", "Fetching mail from the disk.");

  return {
    contentType: registry.contentType,
    text() {
      now = snapshot();
      return registry.metrics();
    },
    timed: (store) => ({
      load: () => store.load(),
      apply: (operations) => measured(commits, store.apply(operations)),
      readMessages: (rows) => measured(reads, store.readMessages(rows)),
      readBundle: (row) => measured(reads, store.readBundle(row)),
      close: () => store.close(),
    }),
  };
}

/** Failures count as well: how long they take is what tells a slow disk from a full one. */
async function measured<T>(histogram: Histogram, work: Promise<T>): Promise<T> {
  const stop = histogram.startTimer();
  try {
    return await work;
  } finally {
    stop();
  }
}
