/**
 * The tables, and how a connection to them is opened.
 * What is not here is never on disk: no sendIds, no links, no addresses, no times finer than an hour.
 * Spec: SPEC.md §5.
 */
import { closeSync, openSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";

const SCHEMA_VERSION = 1;

const TABLES = `
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
`;

/** Durable before it answers: every commit is flushed. What is deleted is overwritten where that costs no extra write. */
export function openWriter(path: string): DatabaseSync {
  const database = new DatabaseSync(path);
  database.exec(
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = FAST; PRAGMA journal_size_limit = 67108864;",
  );
  return database;
}

/** SQLite gives its side files the mode of the main one. */
export function touch(path: string): void {
  closeSync(openSync(path, "a", 0o600));
}

/** Makes the tables once. Throws when a newer relay wrote the file. */
export function prepare(path: string): void {
  touch(path);
  const database = openWriter(path);
  try {
    const version = Number(database.prepare("PRAGMA user_version").get()?.["user_version"]);
    if (version > SCHEMA_VERSION) {
      throw new Error(`the database has version ${version}, this relay knows ${SCHEMA_VERSION}`);
    }
    if (version === 0) {
      database.exec(`BEGIN; ${TABLES} PRAGMA user_version = ${SCHEMA_VERSION}; COMMIT;`);
    }
  } finally {
    database.close();
  }
}
