/**
 * Codes, spent tokens and admitted readers, in a file of their own beside the mail's.
 * Every table is sorted by a hash, so that the order of rows does not say who came when; which code or subject a
 * reader's token was got with is nowhere. Other processes may add codes while the relay runs.
 * Spec: SPEC.md §9.
 */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { AdmissionStore } from "../core/doorkeeper.ts";
import { ANSWERED_DAYS, ANSWERED_MAX, CODES_MAX, SPENT_PER_EPOCH_MAX } from "../core/limits.ts";
import { openWriter, touch } from "./store/schema.ts";

export const ADMISSION_FILE = "admission.db";
/** How long one process waits for the other's write. */
const BUSY_MS = 2_000;

const TABLES = `
  CREATE TABLE IF NOT EXISTS codes (
    hash BLOB PRIMARY KEY, uses INTEGER NOT NULL, until_day INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS spent (
    epoch INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (epoch, hash)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS readers (
    hash BLOB PRIMARY KEY, until_day INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS answered (
    hash BLOB PRIMARY KEY, until_day INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
`;

/** `directory` undefined: in memory. */
export function openAdmissionStore(
  directory: string | undefined,
  given: { readonly codes?: number; readonly spent?: number; readonly answered?: number } = {},
): AdmissionStore {
  const max = { codes: CODES_MAX, spent: SPENT_PER_EPOCH_MAX, answered: ANSWERED_MAX, ...given };
  const database = directory === undefined ? new DatabaseSync(":memory:") : open(directory);
  database.exec(TABLES);
  const readerUntil = database.prepare("SELECT until_day FROM readers WHERE hash = ?");
  const putReader = database.prepare(
    "INSERT INTO readers (hash, until_day) VALUES (?, ?) ON CONFLICT DO UPDATE SET until_day = excluded.until_day",
  );
  const putSpent = database.prepare("INSERT OR IGNORE INTO spent (epoch, hash) VALUES (?, ?)");
  const countSpent = database.prepare("SELECT count(*) AS count FROM spent WHERE epoch = ?");
  const putCode = database.prepare("INSERT INTO codes (hash, uses, until_day) VALUES (?, ?, ?)");
  const countCodes = database.prepare("SELECT count(*) AS count FROM codes");
  const findCode = database.prepare(
    "SELECT uses FROM codes WHERE hash = ? AND uses > 0 AND until_day >= ?",
  );
  const takeCode = database.prepare(
    "UPDATE codes SET uses = uses - 1 WHERE hash = ? AND uses > 0 AND until_day >= ?",
  );
  const findAnswered = database.prepare("SELECT 1 FROM answered WHERE hash = ? AND until_day >= ?");
  const countAnswered = database.prepare("SELECT count(*) AS count FROM answered");
  const dropAnswered = database.prepare(
    "DELETE FROM answered WHERE hash IN (SELECT hash FROM answered ORDER BY until_day LIMIT ?)",
  );
  const putAnswered = database.prepare(
    "INSERT OR IGNORE INTO answered (hash, until_day) VALUES (?, ?)",
  );
  const sweeps = [
    database.prepare("DELETE FROM answered WHERE until_day < ?"),
    database.prepare("DELETE FROM readers WHERE until_day < ?"),
    database.prepare("DELETE FROM codes WHERE until_day < ? OR uses = 0"),
  ];
  const sweepSpent = database.prepare("DELETE FROM spent WHERE epoch < ?");

  function transaction<T>(run: () => T): T {
    database.exec("BEGIN IMMEDIATE");
    try {
      const result = run();
      database.exec("COMMIT");
      return result;
    } catch (error) {
      // A failed COMMIT may have rolled back already.
      if (database.isTransaction) database.exec("ROLLBACK");
      throw error;
    }
  }

  function remember(requestHash: Uint8Array, day: number): void {
    const over = Number(countAnswered.get()?.["count"]) - max.answered + 1;
    if (over > 0) dropAnswered.run(over);
    putAnswered.run(requestHash, day + ANSWERED_DAYS);
  }

  return {
    readerUntil(readerHash) {
      const until = readerUntil.get(readerHash)?.["until_day"];
      return until === undefined ? undefined : Number(until);
    },
    spend: ({ epoch, tokenHash, readerHash, untilDay }) =>
      transaction(() => {
        if (Number(countSpent.get(epoch)?.["count"]) >= max.spent) return "full";
        if (putSpent.run(epoch, tokenHash).changes === 0) return "spent";
        putReader.run(readerHash, untilDay);
        return "ok";
      }),
    renew: (readerHash, untilDay) => {
      putReader.run(readerHash, untilDay);
    },
    addCode: (codeHash, uses, untilDay) =>
      transaction(() => {
        if (Number(countCodes.get()?.["count"]) >= max.codes) return "full";
        putCode.run(codeHash, uses, untilDay);
        return "ok";
      }),
    hasCode: (codeHash, day) => findCode.get(codeHash, day) !== undefined,
    takeCode: (codeHash, day, requestHash) =>
      transaction(() => {
        if (takeCode.run(codeHash, day).changes === 0) return false;
        remember(requestHash, day);
        return true;
      }),
    putAnswered: (requestHash, day) => transaction(() => remember(requestHash, day)),
    hasAnswered: (requestHash, day) => findAnswered.get(requestHash, day) !== undefined,
    sweep(day, epoch) {
      for (const sweep of sweeps) sweep.run(day);
      sweepSpent.run(epoch);
    },
    close: () => database.close(),
  };
}

function open(directory: string): DatabaseSync {
  const path = join(directory, ADMISSION_FILE);
  touch(path);
  const database = openWriter(path);
  database.exec(`PRAGMA busy_timeout = ${BUSY_MS}`);
  return database;
}
