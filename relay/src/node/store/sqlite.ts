/**
 * The embedded store: one SQLite file, written by a worker thread in group commits, read from here.
 * Owns: batching, and that an answer means "flushed". Leaves to sqlite-worker.ts: the transactions.
 * Spec: SPEC.md §5.
 */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Worker } from "node:worker_threads";
import {
  type BundleRow,
  type MessageRow,
  type QueueRow,
  type Store,
  StoreError,
  type StoreOperation,
} from "../../core/ports.ts";
import { packUnits, sizeOf } from "./batch.ts";
import { DATABASE_FILE, prepare, touch } from "./schema.ts";
import type { BatchResult, WorkerOptions } from "./sqlite-worker.ts";

/** One transaction takes what waits, up to so much. */
const BATCH_UNITS_MAX = 4_096;
const BATCH_BYTES_MAX = 16_777_216;

/** Room for the write-ahead log of some deletions. */
const RESERVE_BYTES = 4_194_304;

interface Waiting {
  operations: StoreOperation[];
  readonly resolve: () => void;
  readonly reject: (error: StoreError) => void;
}

/** Deleted mail is in none of the files so long after its deletion was answered. */
const SCRUB_MS = 60_000;

export interface SqliteStoreOptions
  // For tests: a smaller disk, a shorter wait.
  extends Partial<Pick<WorkerOptions, "pagesMax" | "scrubMs">> {
  /**
   * The writing thread ended although nobody closed the store: it takes nothing any more, and only another process
   * can know what of the last commits is on the disk. Called once.
   */
  readonly lost?: (error: unknown) => void;
}

/** Throws when another process uses `directory`, or when its database is not one that this relay knows. */
export function openSqliteStore(
  directory: string,
  { lost, ...options }: SqliteStoreOptions = {},
): Store {
  const unlock = lock(directory);
  const path = join(directory, DATABASE_FILE);
  try {
    prepare(path);
  } catch (error) {
    unlock();
    throw error;
  }
  const reader = new DatabaseSync(path, { readOnly: true });
  const readMessage = reader.prepare("SELECT blob FROM blobs WHERE row = ?");
  const readBundle = reader.prepare("SELECT blob FROM bundles WHERE row = ?");
  const reserve = join(directory, "reserve");
  layReserve(reserve);
  const workerData: WorkerOptions = { path, reserve, pagesMax: 0, scrubMs: SCRUB_MS, ...options };
  const worker = new Worker(workerUrl(), {
    workerData,
    // Not this process's own flags: some of them are refused in a worker.
    execArgv: ["--disable-warning=ExperimentalWarning"],
  });

  let waiting: Waiting[] = [];
  let committing: readonly Waiting[] | undefined;
  /** Messages that wait to be written, so that an acknowledgement can still keep them off the disk. */
  const waitingPuts = new Map<number, Waiting>();
  let broken = false;
  let closing = false;
  const idle: (() => void)[] = [];

  worker.on("message", (results: BatchResult) => {
    const done = committing ?? [];
    committing = undefined;
    for (const [index, unit] of done.entries()) {
      const result = results[index] ?? "broken";
      if (result === "ok") unit.resolve();
      else unit.reject(new StoreError(result));
    }
    pump();
  });
  const fail = (error: unknown): void => {
    if (broken) return;
    broken = true;
    for (const unit of [...(committing ?? []), ...waiting]) unit.reject(new StoreError("broken"));
    committing = undefined;
    waiting = [];
    for (const resolve of idle.splice(0)) resolve();
    if (!closing) lost?.(error);
  };
  worker.on("error", fail);
  worker.on("exit", () => fail(new StoreError("broken")));

  function pump(): void {
    if (committing !== undefined) return;
    if (waiting.length === 0) {
      for (const resolve of idle.splice(0)) resolve();
      return;
    }
    let bytes = 0;
    let count = 0;
    for (const unit of waiting) {
      for (const operation of unit.operations) bytes += sizeOf(operation);
      if (count > 0 && (bytes > BATCH_BYTES_MAX || count >= BATCH_UNITS_MAX)) break;
      count++;
    }
    committing = waiting.slice(0, count);
    waiting = waiting.slice(count);
    for (const { operations } of committing) {
      for (const operation of operations) {
        if (operation.type === "put-message") waitingPuts.delete(operation.message.row);
      }
    }
    const block = packUnits(committing.map((unit) => unit.operations));
    worker.postMessage(block, [block]);
  }

  /** A message and its deletion that meet before the commit cancel each other. */
  function enqueue(unit: Waiting): void {
    unit.operations = unit.operations.filter((operation) => {
      if (operation.type === "put-message") waitingPuts.set(operation.message.row, unit);
      if (operation.type !== "delete-message") return true;
      const putter = waitingPuts.get(operation.row);
      if (putter === undefined) return true;
      waitingPuts.delete(operation.row);
      putter.operations = putter.operations.filter(
        (put) => put.type !== "put-message" || put.message.row !== operation.row,
      );
      return false;
    });
    waiting.push(unit);
  }

  return {
    load: () => ({
      queues: rows(reader, "SELECT * FROM queues", toQueue),
      messages: rows(
        reader,
        "SELECT row, queue_row, expiry_hour, id, size_bytes FROM messages ORDER BY row",
        toMessage,
      ),
      // A length is in the row's header: the blob is not read for it.
      bundles: rows(
        reader,
        "SELECT row, queue_row, expiry_hour, link_hash, length(blob) AS size_bytes FROM bundles",
        toBundle,
      ),
    }),
    apply: (operations) =>
      new Promise((resolve, reject) => {
        if (broken) return reject(new StoreError("broken"));
        enqueue({ operations: [...operations], resolve, reject });
        // After this turn, so that everything one socket read caused shares a commit.
        if (waiting.length === 1 && committing === undefined) setImmediate(pump);
      }),
    readMessages: async (asked) => asked.map((row) => blobOf(readMessage.get(row))),
    readBundle: async (row) => blobOf(readBundle.get(row)),
    async close() {
      closing = true;
      if (!broken) {
        await new Promise<void>((resolve) => {
          idle.push(resolve);
          pump();
        });
      }
      const gone = new Promise((resolve) => worker.once("exit", resolve));
      if (!broken) {
        reader.close();
        worker.postMessage("close");
        await gone;
      }
      unlock();
    },
  };
}

/** Again at every start; a disk that is full already has none. */
function layReserve(path: string): void {
  try {
    writeFileSync(path, new Uint8Array(RESERVE_BYTES), { mode: 0o600 });
  } catch {
    rmSync(path, { force: true });
  }
}

/** The sources run as they are and the build has the same layout, so the ending follows this file's. */
const workerUrl = (): URL =>
  new URL(
    import.meta.url.endsWith(".ts") ? "./sqlite-worker.ts" : "./sqlite-worker.js",
    import.meta.url,
  );

/** The operating system frees it however the process ends. */
function lock(directory: string): () => void {
  const path = join(directory, "lock");
  touch(path);
  const database = new DatabaseSync(path);
  try {
    database.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;");
  } catch {
    database.close();
    throw new Error("another relay uses this data directory");
  }
  return () => database.close();
}

type SqlValue = null | number | bigint | string | Uint8Array;
type SqlRow = Record<string, SqlValue>;

/** A fresh statement per walk; rows come one by one, never as one large array. */
function* rows<T>(
  database: DatabaseSync,
  sql: string,
  convert: (row: SqlRow) => T,
): Generator<T, void> {
  for (const row of database.prepare(sql).iterate()) yield convert(row);
}

const blobOf = (row: SqlRow | undefined): Uint8Array | undefined =>
  row === undefined ? undefined : bytes(row["blob"]);

function bytes(value: SqlValue | undefined): Uint8Array {
  if (value instanceof Uint8Array) return value;
  throw new StoreError("broken");
}

const toQueue = (row: SqlRow): QueueRow => ({
  row: Number(row["row"]),
  // Copies: small arrays cost a third of what SQLite's own buffers cost, and these stay.
  queueId: new Uint8Array(bytes(row["queue_id"])),
  sendHash: new Uint8Array(bytes(row["send_hash"])),
  readerKey: new Uint8Array(bytes(row["reader_key"])),
  sender: new Uint8Array(bytes(row["sender"])),
  bound: row["bound"] === 1,
  ttlHours: Number(row["ttl_hours"]),
  expiryHour: Number(row["expiry_hour"]),
});

const toMessage = (row: SqlRow): MessageRow => ({
  row: Number(row["row"]),
  queueRow: Number(row["queue_row"]),
  id: bytes(row["id"]),
  sizeBytes: Number(row["size_bytes"]),
  expiryHour: Number(row["expiry_hour"]),
});

const toBundle = (row: SqlRow): BundleRow => ({
  row: Number(row["row"]),
  queueRow: Number(row["queue_row"]),
  linkHash: bytes(row["link_hash"]),
  sizeBytes: Number(row["size_bytes"]),
  expiryHour: Number(row["expiry_hour"]),
});
