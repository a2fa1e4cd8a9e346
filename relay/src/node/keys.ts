/**
 * The relay's secrets, in files only their owner may read.
 * Losing `identity.key` means a new relay to every client; losing `send.key` cuts every contact's way to a queue;
 * losing `push.key` ends every wake-up until its reader was here again.
 * Spec: SPEC.md §5.
 */
import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto";
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
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
/** Only of a relay that wakes people. */
export const PUSH_FILE = "push.key";

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

/** P-256, of PushManager.subscribe: what browsers made with it is called with it only. Without a directory: in memory. */
export function loadPushKey(directory: string | undefined): KeyObject {
  const made = (): KeyObject => generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  if (directory === undefined) return made();
  const path = join(directory, PUSH_FILE);
  return (
    readPushKey(path) ??
    makeKey(path, Buffer.from(made().export({ type: "pkcs8", format: "pem" })), readPushKey)
  );
}

function readPushKey(path: string): KeyObject | undefined {
  const pem = readOwn(path);
  if (pem === undefined) return undefined;
  let key: KeyObject | undefined;
  try {
    key = createPrivateKey(Buffer.from(pem));
  } catch {
    // What OpenSSL says of it is no help to the operator, and might quote the key.
  }
  if (key?.asymmetricKeyDetails?.namedCurve === "prime256v1") return key;
  throw new Error(`${path} is not a key of P-256`);
}

function loadKey(path: string): Uint8Array {
  const known = readKey(path);
  if (known !== undefined) return known;
  return makeKey(path, randomBytes(KEY_BYTES), readKey);
}

/**
 * Whole or not at all, whenever the process is killed: written beside it, flushed, then given its name, which a
 * file that is there already keeps. What a kill leaves beside it is a key that nobody ever used.
 * Gives what the file says, in case another process was first.
 */
function makeKey<T>(path: string, key: Uint8Array, read: (path: string) => T | undefined): T {
  const unnamed = `${path}.${randomBytes(8).toString("hex")}`;
  const file = openSync(unnamed, "wx", 0o600);
  try {
    writeSync(file, key);
    fsyncSync(file);
    linkSync(unnamed, path);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  } finally {
    closeSync(file);
    rmSync(unnamed, { force: true });
  }
  flushDirectory(dirname(path));
  const made = read(path);
  if (made === undefined) throw new Error(`${path} went as soon as it was made`);
  return made;
}

/** A name survives a power cut once its directory is flushed; Windows flushes none and refuses to be asked. */
function flushDirectory(directory: string): void {
  if (process.platform === "win32") return;
  const file = openSync(directory, "r");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function readKey(path: string): Uint8Array | undefined {
  const bytes = readOwn(path);
  if (bytes !== undefined && bytes.length !== KEY_BYTES) {
    throw new Error(`${path} is not a key of ${KEY_BYTES} bytes`);
  }
  return bytes;
}

/** Undefined: no such file. */
function readOwn(path: string): Uint8Array | undefined {
  try {
    const bytes = new Uint8Array(readFileSync(path));
    chmodSync(path, 0o600);
    return bytes;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}
