/**
 * The relay's two secrets, in files only their owner may read.
 * Losing `identity.key` means a new relay to every client; losing `send.key` cuts every contact's way to a queue.
 * Spec: SPEC.md §5.
 */
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { DATABASE_FILE } from "./store/schema.ts";

const KEY_BYTES = 32;

export interface RelaySecrets {
  /** Ed25519 seed: the relay's identity, pinned by clients and also its libp2p key. */
  readonly identitySeed: Uint8Array;
  /** Derives sendIds from queueIds. */
  readonly sendSecret: Uint8Array;
}

/** In memory only. */
export const createSecrets = (): RelaySecrets => ({
  identitySeed: new Uint8Array(randomBytes(KEY_BYTES)),
  sendSecret: new Uint8Array(randomBytes(KEY_BYTES)),
});

const IDENTITY_FILE = "identity.key";
const SEND_FILE = "send.key";

/**
 * Reads them from `directory`, making both for a directory without mail. Throws for a damaged file, or one that
 * is missing beside mail, rather than replacing it: with other keys the mail could not be fetched any more.
 */
export function loadSecrets(directory: string): RelaySecrets {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (existsSync(join(directory, DATABASE_FILE))) return readKeys(directory);
  return {
    identitySeed: loadKey(join(directory, IDENTITY_FILE)),
    sendSecret: loadKey(join(directory, SEND_FILE)),
  };
}

/** Throws for a file that is damaged or missing. */
export function readKeys(directory: string): RelaySecrets {
  const read = (name: string): Uint8Array => {
    const key = readKey(join(directory, name));
    if (key !== undefined) return key;
    throw new Error(`${join(directory, name)} is missing: restore it from a backup`);
  };
  return { identitySeed: read(IDENTITY_FILE), sendSecret: read(SEND_FILE) };
}

function loadKey(path: string): Uint8Array {
  const known = readKey(path);
  if (known !== undefined) return known;
  const key = new Uint8Array(randomBytes(KEY_BYTES));
  const file = openSync(path, "wx", 0o600);
  try {
    writeSync(file, key);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  return key;
}

function readKey(path: string): Uint8Array | undefined {
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(readFileSync(path));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
  if (bytes.length !== KEY_BYTES) throw new Error(`${path} is not a key of ${KEY_BYTES} bytes`);
  chmodSync(path, 0o600);
  return bytes;
}
