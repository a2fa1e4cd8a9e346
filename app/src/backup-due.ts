/** Whether a backup file is to be written again: known before the part that does it is loaded. */

const DAY_MS = 24 * 3_600_000;
/** When a file was last written, milliseconds since 1970. */
export const SAVED = "sotto-backup-saved";
/** There is a file that is written daily: of which account. */
export const DAILY = "sotto-backup-daily";
/** When that one was written. */
export const KEPT = "sotto-backup-kept";

export const isBackupDue = (): boolean =>
  localStorage.getItem(DAILY) !== null &&
  Math.abs(Date.now() - Number(localStorage.getItem(KEPT))) >= DAY_MS;
