/**
 * A data directory copied while its relay runs, and such a copy made a data directory again.
 * Owns: that a copy is whole, consistent and on the disk before it is called one. Leaves to the command: words.
 * Spec: SPEC.md §5.1.
 */
import {
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { ADMISSION_FILE } from "../admission-store.ts";
import { PUSH_FILE, readKeys } from "../keys.ts";
import { DATABASE_FILE, readVersion, touch } from "./schema.ts";

/** The relay's database comes first and its identity last: a directory without the identity is not a whole one. */
const FILES = [DATABASE_FILE, "send.key", "identity.key"] as const;
/** Of a relay that wakes people, and of one that is not open to everybody. */
const OPTIONAL = [PUSH_FILE, ADMISSION_FILE] as const;

/** Of a directory: those that need not be there first, as in FILES. */
const filesIn = (directory: string): readonly string[] => [
  ...OPTIONAL.filter((name) => existsSync(join(directory, name))),
  ...FILES,
];

export interface Backup {
  readonly queues: number;
  readonly messages: number;
  /** Of the database. */
  readonly bytes: number;
  readonly schemaVersion: number;
}

/**
 * Copies the keys and a snapshot of the mail from the data directory `from` to `to`, which must be empty or
 * not there. The relay may run, and goes on taking mail: what comes after the snapshot began is not in it.
 * Throws, and leaves nothing behind, when a file is missing, damaged or of a newer relay, or `to` is not empty.
 */
export function backUp(from: string, to: string): Backup {
  return fill(to, (stage) => {
    copyKeys(from, stage);
    readVersion(join(from, DATABASE_FILE));
    for (const name of [DATABASE_FILE, ADMISSION_FILE]) {
      if (existsSync(join(from, name))) snapshot(join(from, name), join(stage, name));
    }
    return examine(stage);
  });
}

/**
 * Makes `to`, which must be empty or not there, a data directory with what the backup `from` holds.
 * No relay may run in it. Throws as backUp does; never replaces anything.
 */
export function restore(from: string, to: string): Backup {
  return fill(to, (stage) => {
    examine(from);
    for (const name of filesIn(from)) copyFileSync(join(from, name), join(stage, name));
    return examine(stage);
  });
}

/** `make` fills a directory inside `to`, whose files are moved up once they are flushed. */
function fill(to: string, make: (stage: string) => Backup): Backup {
  const isNew = mkdirSync(to, { recursive: true, mode: 0o700 }) !== undefined;
  // A file system of its own has this one from the start.
  const present = readdirSync(to).filter((name) => name !== "lost+found");
  if (present.length > 0) throw new Error(`${to} is not empty: nothing is ever replaced`);
  const stage = mkdtempSync(join(to, "incomplete-"));
  let made: Backup;
  try {
    made = make(stage);
    for (const name of filesIn(stage)) flush(join(stage, name));
  } catch (error) {
    rmSync(isNew ? to : stage, { recursive: true });
    throw error;
  }
  for (const name of filesIn(stage)) renameSync(join(stage, name), join(to, name));
  rmSync(stage, { recursive: true });
  flush(to);
  flush(dirname(to));
  return made;
}

function copyKeys(from: string, to: string): void {
  readKeys(from);
  for (const name of filesIn(from)) {
    if (name.endsWith(".key")) copyFileSync(join(from, name), join(to, name));
  }
}

/**
 * One reading transaction: the relay's commits go on beside it, its log grows until it ends.
 * Free pages, and whatever deleted mail is in them, are not copied.
 */
function snapshot(from: string, to: string): void {
  touch(to);
  const database = new DatabaseSync(from, { readOnly: true });
  try {
    database.prepare("VACUUM INTO ?").run(to);
  } finally {
    database.close();
  }
}

/** Throws unless everything a relay needs is there and undamaged. */
function examine(directory: string): Backup {
  readKeys(directory);
  const path = join(directory, DATABASE_FILE);
  const schemaVersion = readVersion(path);
  if (schemaVersion === 0) throw new Error(`${path} is empty`);
  const admission = join(directory, ADMISSION_FILE);
  if (existsSync(admission)) examineFile(admission);
  examineFile(path);
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    const count = (table: string): number =>
      Number(database.prepare(`SELECT count(*) AS rows FROM ${table}`).get()?.["rows"]);
    const { size: bytes } = statSync(path);
    return { queues: count("queues"), messages: count("messages"), bytes, schemaVersion };
  } finally {
    database.close();
  }
}

function examineFile(path: string): void {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    const verdict = database.prepare("PRAGMA integrity_check").get()?.["integrity_check"];
    if (verdict !== "ok") throw new Error(`${path} is damaged`);
  } finally {
    database.close();
  }
}

function flush(path: string): void {
  const file = openSync(path, "r");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
