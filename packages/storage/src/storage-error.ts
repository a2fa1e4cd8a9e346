/** What opening and reading reject with. Writes answer with a `CommitResult` instead. */

/**
 * refused: the browser gives no storage here, or keeps no keys, and nothing is there. blocked: another tab holds an older
 * form of the database. unreadable: there is one, and it cannot be opened: a newer version wrote it, or the disk does not
 * answer.
 */
export type StorageErrorCode = "refused" | "blocked" | "closed" | "full" | "unreadable";

/** Carries no row and no name of a database. */
export class StorageError extends Error {
  readonly code: StorageErrorCode;
  constructor(code: StorageErrorCode, options?: ErrorOptions) {
    super(`storage ${code}`, options);
    this.name = "StorageError";
    this.code = code;
  }
}
