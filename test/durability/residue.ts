/**
 * What a seized relay tells: its tables column by column, and its files and output byte by byte.
 * Spec: relay/SPEC.md §5.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

const KEY = [32];
const ID = [24];
/** wire/SPEC.md §3.2. */
const BUCKETS = [256, 512, 1_024, 2_048, 4_096, 8_192, 16_384, 32_768, 49_152, 65_536];
/** Hours since 1970: the years 2000 to 2100. A time of a finer grain is larger. */
const HOURS = { from: 262_968, to: 1_139_592 };
const ROWS = { from: 1, to: 2 ** 32 };

type Allowed =
  | { readonly from: number; readonly to: number }
  | { readonly lengths: readonly number[] };

/** Every column there may be: whole numbers within bounds, or bytes of known lengths. */
const COLUMNS: Readonly<Record<string, Readonly<Record<string, Allowed>>>> = {
  queues: {
    row: ROWS,
    queue_id: { lengths: ID },
    send_hash: { lengths: KEY },
    reader_key: { lengths: KEY },
    sender: { lengths: KEY },
    bound: { from: 0, to: 1 },
    ttl_hours: { from: 1, to: 504 },
    expiry_hour: HOURS,
  },
  messages: {
    row: ROWS,
    queue_row: ROWS,
    expiry_hour: HOURS,
    id: { lengths: [16] },
    size_bytes: { from: 256, to: 65_536 },
  },
  blobs: { row: ROWS, blob: { lengths: BUCKETS } },
  bundles: {
    row: ROWS,
    queue_row: ROWS,
    expiry_hour: HOURS,
    link_hash: { lengths: KEY },
    blob: { lengths: Array.from({ length: 4_096 }, (_, index) => index + 1) },
  },
};

/** Files a data directory may have. */
const FILES = /^(identity\.key|send\.key|lock|lock-journal|reserve|relay\.db(-wal|-shm)?)$/;

/** Everything that is in the data directory and should not be; the relay must not run. */
export function findForeign(data: string): readonly string[] {
  const found = readdirSync(data).filter((name) => !FILES.test(name));
  const database = new DatabaseSync(join(data, "relay.db"), { readOnly: true });
  try {
    const schema = database.prepare("SELECT type, name FROM sqlite_schema").all();
    for (const [type, name] of schema.map(({ type, name }) => [String(type), String(name)])) {
      if (type !== "table" || COLUMNS[name ?? ""] === undefined) found.push(`${type} ${name}`);
    }
    for (const [table, columns] of Object.entries(COLUMNS)) {
      const names = database.prepare(`PRAGMA table_info(${table})`).all();
      if (names.map(({ name }) => name).join() !== Object.keys(columns).join()) {
        found.push(`columns of ${table}: ${names.map(({ name }) => name).join(", ")}`);
      }
      for (const row of database.prepare(`SELECT * FROM ${table}`).iterate()) {
        for (const [name, allowed] of Object.entries(columns)) {
          if (!fits(row[name], allowed)) found.push(`${table}.${name}`);
        }
      }
    }
  } finally {
    database.close();
  }
  return found;
}

function fits(value: unknown, allowed: Allowed): boolean {
  if ("lengths" in allowed) {
    return value instanceof Uint8Array && allowed.lengths.includes(value.length);
  }
  return typeof value === "number" && value >= allowed.from && value <= allowed.to;
}

/** Names of those `secrets` that stand in a file of the directory or in what the relay printed. */
export function findBytes(
  data: string | undefined,
  output: string,
  secrets: Readonly<Record<string, Uint8Array | string>>,
): readonly string[] {
  const texts = (data === undefined ? [] : readdirSync(data))
    .map((name) => join(data ?? "", name))
    .filter((path) => existsSync(path))
    .map((path) => readFileSync(path));
  return Object.entries(secrets)
    .filter(([, secret]) => {
      const bytes = Buffer.from(secret);
      const forms = typeof secret === "string" ? [secret] : textForms(bytes);
      return (
        texts.some((text) => text.includes(bytes)) || forms.some((form) => output.includes(form))
      );
    })
    .map(([name]) => name);
}

const textForms = (bytes: Buffer): readonly string[] => [
  bytes.toString("hex"),
  bytes.toString("base64").replace(/=+$/, ""),
  bytes.toString("base64url"),
];
