/**
 * The state of a relay at one moment, in numbers and words of ours: for metrics, status and the public page.
 * Spec: SPEC.md §6.
 */
import { readFileSync, statfsSync } from "node:fs";
import type { Counter } from "../core/ports.ts";

export interface Snapshot {
  readonly version: string;
  readonly uptimeSeconds: number;
  /** Why it takes no mail; undefined: it does. */
  readonly reason: string | undefined;
  readonly connections: number;
  readonly connectionsMax: number;
  readonly reservations: number;
  readonly queues: number;
  readonly queuesMax: number;
  readonly messages: number;
  readonly bytes: number;
  readonly bytesMax: number;
  readonly heldBytes: number;
  readonly commitBytes: number;
  readonly bufferedBytes: number;
  readonly storeFails: boolean;
  /** As the exchange says them. */
  readonly oldestHours: number;
  readonly olderThan: readonly number[];
  /** Undefined: everything is in memory, or the disk cannot be asked. */
  readonly diskFreeBytes: number | undefined;
  /** Milliseconds since 1970; undefined: no certificate of its own. */
  readonly certificateExpiryMs: number | undefined;
  readonly counters: Readonly<Record<Counter, number>>;
}

export function diskFreeBytes(directory: string | undefined): number | undefined {
  if (directory === undefined) return undefined;
  try {
    const { bavail, bsize } = statfsSync(directory);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}

/** Of this package. The sources and the build are both one folder below it. */
export function relayVersion(): string {
  const manifest: unknown = JSON.parse(
    readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
  );
  const isManifest = typeof manifest === "object" && manifest !== null && "version" in manifest;
  return isManifest ? String(manifest.version) : "unknown";
}
