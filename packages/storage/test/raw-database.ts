/** The database past the adapter. */
/** Writes past the adapter, as a fault of the disk or another version of the app would. */
export async function putRaw(
  name: string,
  table: string,
  rows: readonly object[],
  key?: string,
): Promise<void> {
  const raw = await done(indexedDB.open(name));
  await put(raw, table, rows, key);
  raw.close();
}

export async function put(
  raw: IDBDatabase,
  table: string,
  rows: readonly object[],
  key?: string,
): Promise<void> {
  const transaction = raw.transaction(table, "readwrite");
  const store = transaction.objectStore(table);
  for (const row of rows) store.put(row, key);
  await new Promise((resolve, reject) => {
    transaction.oncomplete = resolve;
    transaction.onabort = () => reject(transaction.error ?? new Error("aborted"));
  });
}

/** All rows of a table, as they stand there. */
export async function allRaw(name: string, table: string): Promise<readonly unknown[]> {
  const raw = await done(indexedDB.open(name));
  const rows: unknown[] = await done(raw.transaction(table).objectStore(table).getAll());
  raw.close();
  return rows;
}

export async function countRaw(name: string, table: string): Promise<number> {
  const raw = await done(indexedDB.open(name));
  const count = await done(raw.transaction(table).objectStore(table).count());
  raw.close();
  return count;
}

export async function deleteRaw(name: string, table: string, key: IDBValidKey): Promise<void> {
  const raw = await done(indexedDB.open(name));
  await done(raw.transaction(table, "readwrite").objectStore(table).delete(key));
  raw.close();
}

/** A platform method to call through while it is replaced. */
export const methodOf = <T extends object, Name extends keyof T>(from: T, name: Name): T[Name] =>
  from[name];

export const done = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("request failed"));
  });
