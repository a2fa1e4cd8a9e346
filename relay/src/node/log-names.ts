/** Levels and formats of the log. Apart from log.ts, which loads the logger. */
export const LOG_LEVELS = ["error", "warn", "info", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export const LOG_FORMATS = ["auto", "json", "text"] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];
