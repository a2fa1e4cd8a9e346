/**
 * The file that backups are written to again and again: its handle, kept over restarts, and the browser's leave to write.
 * Owns: one row in a database of its own, which IndexedDB alone can keep. Leaves to keys.ts: when, and what.
 */

/** What browsers with the File System Access API have beyond the types of the platform. */
export interface WritableFile extends FileSystemFileHandle {
  queryPermission?(of: { readonly mode: "readwrite" }): Promise<PermissionState>;
  requestPermission?(of: { readonly mode: "readwrite" }): Promise<PermissionState>;
}

declare global {
  var showSaveFilePicker:
    | ((options: { readonly suggestedName: string }) => Promise<WritableFile>)
    | undefined;
}

const NAME = "sotto-backup-file";
const TABLE = "file";
const KEY = "daily";

export const keptFile = (): Promise<WritableFile | undefined> =>
  withTable("readonly", (table): IDBRequest<WritableFile | undefined> => table.get(KEY));

export const keepFile = (file: WritableFile): Promise<unknown> =>
  withTable("readwrite", (table) => table.put(file, KEY));

export const forgetFile = (): Promise<unknown> =>
  withTable("readwrite", (table) => table.delete(KEY));

/** Without asking the person. */
export const isWritable = async (file: WritableFile): Promise<boolean> =>
  (await file.queryPermission?.({ mode: "readwrite" })) === "granted";

/** Asks, so only in a click. */
export const isAllowed = async (file: WritableFile): Promise<boolean> =>
  (await file.requestPermission?.({ mode: "readwrite" })) === "granted";

async function withTable<T>(
  mode: IDBTransactionMode,
  act: (table: IDBObjectStore) => IDBRequest<T>,
): Promise<T> {
  const opening = indexedDB.open(NAME, 1);
  opening.onupgradeneeded = () => void opening.result.createObjectStore(TABLE);
  const database = await resultOf(opening);
  try {
    return await resultOf(act(database.transaction(TABLE, mode).objectStore(TABLE)));
  } finally {
    database.close();
  }
}

const resultOf = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("no database"));
  });
