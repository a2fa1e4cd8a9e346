/**
 * The thread that owns the database's only writing connection: one transaction per batch.
 * Runs on its own, without package conditions: imports nothing but relative files and Node.
 */
import { rmSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import type { StoreOperation } from "../../core/ports.ts";
import { type Unit, unpackUnits } from "./batch.ts";
import { openWriter, pragma } from "./schema.ts";

type UnitResult = "ok" | "full" | "broken";
/** One result per unit of the batch. */
export type BatchResult = readonly UnitResult[];
export interface WorkerOptions {
  readonly path: string;
  /** A file whose only purpose is to be deleted when the disk is full. */
  readonly reserve: string;
  /** Pages the file may have; 0: as many as the disk has. */
  readonly pagesMax: number;
  /** From a commit until nothing of what it deleted is left in any of the files. */
  readonly scrubMs: number;
}

const SQLITE_FULL = 13;

/** For whoever reads while a full disk needs the log's room for deletions. */
const READERS_WAIT_MS = 2_000;

/** Free pages that stay in the file for the next mail: 4 MiB. */
const FREE_PAGES_KEPT = 1_024;
/** Free pages given back at once: 16 MiB, so that commits do not wait for long. */
const FREE_PAGES_PER_SCRUB = 4_096;

const isOptions = (data: unknown): data is WorkerOptions =>
  typeof data === "object" && data !== null && "path" in data && "reserve" in data;
if (!isOptions(workerData)) throw new TypeError("started without options");
const { path, reserve, pagesMax, scrubMs } = workerData;
const database = openWriter(path);
if (pagesMax > 0) database.exec(`PRAGMA max_page_count = ${pagesMax}`);

const putQueue = database.prepare("INSERT OR REPLACE INTO queues VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
const deleteQueue = database.prepare("DELETE FROM queues WHERE row = ?");
const putMessage = database.prepare("INSERT INTO messages VALUES (?, ?, ?, ?, ?)");
const deleteMessage = database.prepare("DELETE FROM messages WHERE row = ?");
const putBlob = database.prepare("INSERT INTO blobs VALUES (?, ?)");
const deleteBlob = database.prepare("DELETE FROM blobs WHERE row = ?");
const putBundle = database.prepare("INSERT OR REPLACE INTO bundles VALUES (?, ?, ?, ?, ?)");
const deleteBundle = database.prepare("DELETE FROM bundles WHERE row = ?");

function apply(operation: StoreOperation): void {
  switch (operation.type) {
    case "put-queue": {
      const { queue: q } = operation;
      putQueue.run(
        q.row,
        q.queueId,
        q.sendHash,
        q.readerKey,
        q.sender,
        q.bound ? 1 : 0,
        q.ttlHours,
        q.expiryHour,
      );
      return;
    }
    case "delete-queue":
      deleteQueue.run(operation.row);
      return;
    case "put-message": {
      const { message: m, blob } = operation;
      putMessage.run(m.row, m.queueRow, m.expiryHour, m.id, blob.length);
      putBlob.run(m.row, blob);
      return;
    }
    case "delete-message":
      deleteMessage.run(operation.row);
      deleteBlob.run(operation.row);
      return;
    case "put-bundle": {
      const { bundle: b, blob } = operation;
      putBundle.run(b.row, b.queueRow, b.expiryHour, b.linkHash, blob);
      return;
    }
    case "delete-bundle":
      deleteBundle.run(operation.row);
  }
}

function commit(units: readonly Unit[]): UnitResult {
  try {
    database.exec("BEGIN IMMEDIATE");
    for (const unit of units) for (const operation of unit) apply(operation);
    database.exec("COMMIT");
    return "ok";
  } catch (error) {
    // A failed COMMIT or a full disk may have rolled back already.
    if (database.isTransaction) database.exec("ROLLBACK");
    return isFull(error) ? "full" : "broken";
  }
}

/**
 * One unit without room must not take the others with it: deletions are what makes room again.
 * They need a little room themselves, which the reserve gives up for them.
 */
function commitAlone(unit: Unit): UnitResult {
  const result = commit([unit]);
  const isDeletion = unit.every(({ type }) => type.startsWith("delete-"));
  // Whatever failed: a full disk has more than one name in SQLite, depending on which file wanted to grow.
  if (result === "ok" || !isDeletion) return result;
  rmSync(reserve, { force: true });
  // While somebody reads, the log only grows, and what the reserve gave up is used up by it.
  database.exec(`PRAGMA busy_timeout = ${READERS_WAIT_MS}`);
  truncateLog();
  database.exec("PRAGMA busy_timeout = 0");
  return commit([unit]);
}

/** False: somebody reads, or there is no room to do it now. Loses nothing either way. */
function truncateLog(): boolean {
  try {
    return pragma(database, "wal_checkpoint(TRUNCATE)") === 0;
  } catch {
    return false;
  }
}

let scrubTimer: NodeJS.Timeout | undefined;

function scrubLater(): void {
  scrubTimer ??= setTimeout(scrub, scrubMs);
}

/**
 * Deleted rows are zeros in the main file already; here their last copies go, in the log, and the file
 * becomes smaller. Repeated until all of that is done.
 */
function scrub(): void {
  scrubTimer = undefined;
  const surplus = pragma(database, "freelist_count") - FREE_PAGES_KEPT;
  try {
    if (surplus > 0) {
      database.exec(`PRAGMA incremental_vacuum(${Math.min(surplus, FREE_PAGES_PER_SCRUB)})`);
    }
  } catch {
    // Giving room back takes some in the log first; a full disk has none.
  }
  if (!truncateLog() || surplus > FREE_PAGES_PER_SCRUB) scrubLater();
}

const isFull = (error: unknown): boolean =>
  error instanceof Error &&
  "errcode" in error &&
  typeof error.errcode === "number" &&
  (error.errcode & 0xff) === SQLITE_FULL;

parentPort?.on("message", (batch: ArrayBuffer | "close") => {
  if (batch === "close") {
    clearTimeout(scrubTimer);
    database.close();
    parentPort?.close();
    return;
  }
  const units = unpackUnits(batch);
  const together = commit(units);
  const results: BatchResult =
    together === "ok" ? units.map(() => together) : units.map(commitAlone);
  parentPort?.postMessage(results);
  scrubLater();
});
