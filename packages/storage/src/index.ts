/** Keeps rows: the browser's database. Memory is the subpath `./memory`. */
export { type DexieStoreOptions, openDexieStore } from "./dexie.ts";
export { isGroup, isSender } from "./group-rows.ts";
export { isConversation, isMessage, isOutbox, isPost, isSelf } from "./rows.ts";
export { StorageError, type StorageErrorCode } from "./storage-error.ts";
