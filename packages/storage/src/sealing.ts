/**
 * Sealing with WebCrypto: a key for each segment, wrapped by the database's key.
 * Owns: keys, nonces, associated data. Leaves to history.ts: which row is sealed for which place.
 * Until there is a lock the database's key stands in the database itself: whoever has the disk has it (README.md).
 * Spec: SPEC.md §2. Never within a transaction of IndexedDB, which ends while it waits.
 */
import { concatBytes, utf8ToBytes } from "@sotto/wire";

const ALGORITHM = "AES-GCM";
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const WRAPPED_BYTES = NONCE_BYTES + KEY_BYTES + TAG_BYTES;

/** Where sealed bytes belong: they open nowhere else. */
export interface Place {
  readonly table: "heads" | "tail" | "segments" | "ids" | "grams";
  readonly conversation: string;
  readonly n: number;
  /** Version of the head that it was sealed for; 0 in the tail; of grams, the run. */
  readonly v: number;
}

const dataOf = ({ table, conversation, n, v }: Place): Uint8Array<ArrayBuffer> =>
  utf8ToBytes(`sotto history 1\n${table}\n${n}\n${v}\n${conversation}`);

const random = (length: number): Uint8Array<ArrayBuffer> =>
  crypto.getRandomValues(new Uint8Array(length));

/** Cannot be read out by script. */
export const createDatabaseKey = (): Promise<CryptoKey> =>
  crypto.subtle.generateKey({ name: ALGORITHM, length: 8 * KEY_BYTES }, false, [
    "encrypt",
    "decrypt",
  ]);

export async function sealWith(
  key: CryptoKey,
  place: Place,
  plain: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  const iv = random(NONCE_BYTES);
  const options = { name: ALGORITHM, iv, additionalData: dataOf(place) };
  return concatBytes(iv, new Uint8Array(await crypto.subtle.encrypt(options, key, plain)));
}

/** Undefined for what was not sealed with this key for this place. */
export async function openWith(
  key: CryptoKey,
  place: Place,
  sealed: Uint8Array,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (sealed.length < NONCE_BYTES + TAG_BYTES) return undefined;
  const bytes = new Uint8Array(sealed);
  const iv = bytes.subarray(0, NONCE_BYTES);
  const options = { name: ALGORITHM, iv, additionalData: dataOf(place) };
  try {
    const plain = await crypto.subtle.decrypt(options, key, bytes.subarray(NONCE_BYTES));
    return new Uint8Array(plain);
  } catch {
    return undefined;
  }
}

const importKey = (raw: Uint8Array<ArrayBuffer>): Promise<CryptoKey> =>
  crypto.subtle.importKey("raw", raw, ALGORITHM, false, ["encrypt", "decrypt"]);

/** A fresh key, and how it is stored. */
export async function createKey(
  databaseKey: CryptoKey,
  place: Place,
): Promise<{ readonly key: CryptoKey; readonly wrapped: Uint8Array<ArrayBuffer> }> {
  const raw = random(KEY_BYTES);
  const [key, wrapped] = await Promise.all([importKey(raw), sealWith(databaseKey, place, raw)]);
  raw.fill(0);
  return { key, wrapped };
}

export async function unwrapKey(
  databaseKey: CryptoKey,
  place: Place,
  wrapped: Uint8Array,
): Promise<CryptoKey | undefined> {
  const raw = await openWith(databaseKey, place, wrapped);
  if (raw?.length !== KEY_BYTES) return undefined;
  const key = await importKey(raw);
  raw.fill(0);
  return key;
}

/** Wrapped key, then what it seals. */
export async function seal(
  databaseKey: CryptoKey,
  place: Place,
  plain: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  const { key, wrapped } = await createKey(databaseKey, place);
  return concatBytes(wrapped, await sealWith(key, place, plain));
}

export async function unseal(
  databaseKey: CryptoKey,
  place: Place,
  sealed: Uint8Array,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const key = await unwrapKey(databaseKey, place, sealed.subarray(0, WRAPPED_BYTES));
  return key && openWith(key, place, sealed.subarray(WRAPPED_BYTES));
}
