/** Databases of other versions and of other programs. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { migrate, openSqliteStore, SCHEMA_VERSION } from "sotto-relay";
import { afterEach, beforeEach, expect, test } from "vitest";
import { random } from "./client.ts";
import { putMessage } from "./store.acceptance.ts";

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sotto-schema-"));
  path = join(folder, "relay.db");
});
afterEach(() => rmSync(folder, { recursive: true }));

/** As the first relay wrote it; never edited. */
const VERSION_1 = `
  PRAGMA journal_mode = WAL;
  CREATE TABLE queues (row INTEGER PRIMARY KEY, queue_id BLOB NOT NULL, send_hash BLOB NOT NULL, reader_key BLOB NOT NULL,
    sender BLOB NOT NULL, bound INTEGER NOT NULL, ttl_hours INTEGER NOT NULL, expiry_hour INTEGER NOT NULL) STRICT;
  CREATE TABLE messages (row INTEGER PRIMARY KEY, queue_row INTEGER NOT NULL, expiry_hour INTEGER NOT NULL,
    id BLOB NOT NULL, size_bytes INTEGER NOT NULL) STRICT;
  CREATE TABLE blobs (row INTEGER PRIMARY KEY, blob BLOB NOT NULL) STRICT;
  CREATE TABLE bundles (row INTEGER PRIMARY KEY, queue_row INTEGER NOT NULL, expiry_hour INTEGER NOT NULL,
    link_hash BLOB NOT NULL, blob BLOB NOT NULL) STRICT;
  PRAGMA user_version = 1;
`;

function write(statements: string): void {
  const database = new DatabaseSync(path);
  database.exec(statements);
  database.close();
}

function read(sql: string): unknown {
  const database = new DatabaseSync(path);
  try {
    return Object.values(database.prepare(sql).get() ?? {})[0];
  } finally {
    database.close();
  }
}

test("mail of the first version is there in this one, in a file that says what it is and shrinks", async () => {
  write(VERSION_1);
  const [queueId, key, id, blob] = [random(24), random(32), random(16), random(2_048)];
  const database = new DatabaseSync(path);
  database
    .prepare("INSERT INTO queues VALUES (1, ?, ?, ?, ?, 1, 24, 500000)")
    .run(queueId, key, key, key);
  database.prepare("INSERT INTO messages VALUES (2, 1, 500000, ?, 2048)").run(id);
  database.prepare("INSERT INTO blobs VALUES (2, ?)").run(blob);
  database.prepare("INSERT INTO bundles VALUES (3, 1, 500000, ?, ?)").run(key, blob);
  database.close();

  const store = openSqliteStore(folder);
  const { queues, messages, bundles } = store.load();
  expect([...queues]).toMatchObject([{ row: 1, queueId, bound: true, ttlHours: 24 }]);
  expect([...messages]).toMatchObject([{ row: 2, queueRow: 1, sizeBytes: 2_048 }]);
  expect([...bundles]).toMatchObject([{ row: 3, queueRow: 1 }]);
  expect(await store.readMessages([2])).toEqual([blob]);
  await store.apply([putMessage(4)]);
  await store.close();
  expect(read("PRAGMA user_version")).toBe(SCHEMA_VERSION);
  expect(read("PRAGMA application_id")).toBe(0x534f5454);
  expect(read("PRAGMA auto_vacuum")).toBe(2);
});

test("a new database is of this version from the start", async () => {
  await openSqliteStore(folder).close();
  expect(read("PRAGMA user_version")).toBe(SCHEMA_VERSION);
  expect(read("PRAGMA auto_vacuum")).toBe(2);
});

test("a migration that fails leaves the version before it, whole", () => {
  write("CREATE TABLE one (a); PRAGMA user_version = 1");
  const database = new DatabaseSync(path);
  const steps = ["", "CREATE TABLE two (a);", "CREATE TABLE three (a); CREATE TABLE one (a);"];
  expect(() => migrate(database, 1, steps)).toThrow("already exists");
  database.close();
  expect(read("PRAGMA user_version")).toBe(2);
  expect(read("SELECT group_concat(name) FROM sqlite_schema")).toBe("one,two");
});

test.each<[string, () => void, string]>([
  [
    "a newer relay's",
    () =>
      write(
        `${VERSION_1} PRAGMA application_id = 1397707860; PRAGMA user_version = ${SCHEMA_VERSION + 1}`,
      ),
    `version ${SCHEMA_VERSION + 1}, this relay knows ${SCHEMA_VERSION}`,
  ],
  ["another program's", () => write("CREATE TABLE notes (a)"), "not a relay's database"],
  [
    "another program's with versions",
    () => write("CREATE TABLE notes (a); PRAGMA user_version = 2"),
    "not a relay's database",
  ],
  ["no database", () => writeFileSync(path, random(8_192)), "not a database"],
])("a file that is %s is refused and not touched", async (_, make, message) => {
  make();
  const before = readFileSync(path);
  expect(() => openSqliteStore(folder)).toThrow(message);
  expect(readFileSync(path)).toEqual(before);
  // The directory is free again for whoever knows the file.
  rmSync(path);
  await openSqliteStore(folder).close();
});
