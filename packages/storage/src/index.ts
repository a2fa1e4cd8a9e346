/** Keeps rows: the browser's database. Memory is the subpath `./memory`. */
export { type DexieStoreOptions, openDexieStore } from "./dexie.ts";
