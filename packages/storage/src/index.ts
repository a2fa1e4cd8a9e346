/** Keeps rows: the browser's database. Memory is the subpath `./memory`. */
export { type DexieStoreOptions, openDexieStore } from "./dexie.ts";
export { StorageError, type StorageErrorCode } from "./storage-error.ts";
