/**
 * The tables, how they change from one version to the next, and how a connection to them is opened.
 * What is not here is never on disk: no sendIds, no links, no addresses, no times finer than an hour.
 * Spec: SPEC.md §5.
 */
import { closeSync, openSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";

/** Of a data directory: queues, mail and offers. */
export const DATABASE_FILE = "relay.db";

/** "SOTT": says what the file is, to this relay and to `file`. */
const APPLICATION_ID = 0x534f_5454;

/**
 * The n-th leads from version n to n + 1, in one transaction. One that a release has had is never edited:
 * there are files that it made.
 */
const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE queues (
    row INTEGER PRIMARY KEY,
    queue_id BLOB NOT NULL,
    send_hash BLOB NOT NULL,
    reader_key BLOB NOT NULL,
    sender BLOB NOT NULL,
    bound INTEGER NOT NULL,
    ttl_hours INTEGER NOT NULL,
    expiry_hour INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE messages (
    row INTEGER PRIMARY KEY,
    queue_row INTEGER NOT NULL,
    expiry_hour INTEGER NOT NULL,
    id BLOB NOT NULL,
    size_bytes INTEGER NOT NULL
  ) STRICT;
  -- Apart from their rows, so that a start reads the rows without the mail.
  CREATE TABLE blobs (
    row INTEGER PRIMARY KEY,
    blob BLOB NOT NULL
  ) STRICT;
  CREATE TABLE bundles (
    row INTEGER PRIMARY KEY,
    queue_row INTEGER NOT NULL,
    expiry_hour INTEGER NOT NULL,
    link_hash BLOB NOT NULL,
    blob BLOB NOT NULL
  ) STRICT;
  `,
  `PRAGMA application_id = ${APPLICATION_ID};`,
];

export const SCHEMA_VERSION: number = MIGRATIONS.length;

/** PRAGMA auto_vacuum, as a number: pages that are free are given back when asked for. */
const INCREMENTAL = 2;

/**
 * Durable before it answers: every commit is flushed. What is deleted is overwritten with zeros in the same
 * commit, whole pages included; the copies in the log go with the next scrub (sqlite-worker.ts).
 */
export function openWriter(path: string): DatabaseSync {
  const database = new DatabaseSync(path);
  database.exec(
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA journal_size_limit = 67108864;",
  );
  return database;
}

/** A number that SQLite keeps or counts. */
export function pragma(database: DatabaseSync, name: string): number {
  return Number(Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0]);
}

/** SQLite gives its side files the mode of the main one. */
export function touch(path: string): void {
  closeSync(openSync(path, "a", 0o600));
}

/**
 * The version of a relay's database; 0: an empty file. Writes nothing into it.
 * Throws for a file that something else or a newer relay made.
 */
export function readVersion(path: string): number {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    const version = pragma(database, "user_version");
    const tables = Number(
      database.prepare("SELECT count(*) AS count FROM sqlite_schema").get()?.["count"],
    );
    // The first version did not say what it is.
    const isOurs =
      version >= 2 ? pragma(database, "application_id") === APPLICATION_ID : version === 1;
    if (!isOurs && (version > 0 || tables > 0)) {
      throw new Error(`${path} is not a relay's database`);
    }
    if (version > SCHEMA_VERSION) {
      throw new Error(
        `the database has version ${version}, this relay knows ${SCHEMA_VERSION}: run a newer relay, or restore a backup`,
      );
    }
    return version;
  } finally {
    database.close();
  }
}

/** Makes the tables, or brings those of an older relay to this version. Throws as readVersion does. */
export function prepare(path: string): void {
  touch(path);
  const version = readVersion(path);
  const database = openWriter(path);
  try {
    // Only an empty file takes it without being written anew.
    if (version === 0) database.exec(`PRAGMA auto_vacuum = ${INCREMENTAL};`);
    migrate(database, version, MIGRATIONS);
    if (pragma(database, "auto_vacuum") !== INCREMENTAL) rewrite(database);
  } finally {
    database.close();
  }
}

/** From `version` on, one transaction per step: one that throws leaves the version before it. */
export function migrate(database: DatabaseSync, version: number, steps: readonly string[]): void {
  for (const [from, statements] of steps.entries()) {
    if (from < version) continue;
    database.exec(`BEGIN IMMEDIATE; ${statements} PRAGMA user_version = ${from + 1}; COMMIT;`);
  }
}

/** Without room for a second copy of the file it stays as it is until the next start: it works, only larger. */
function rewrite(database: DatabaseSync): void {
  try {
    database.exec(`PRAGMA auto_vacuum = ${INCREMENTAL}; VACUUM;`);
  } catch {
    // Nothing was changed.
  }
}
