/** What a file of somebody else's may hold, for the fuzzer. */
export * as backupRows from "#src/backup-rows.ts";
