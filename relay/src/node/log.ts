/**
 * The log: what happened to the relay, never what happened to a person.
 * Owns: the closed list of what may be said, so that no id, key, address or content can be. Leaves to pino: JSON and levels.
 * There is no line per connection, message or queue; metrics.ts counts those.
 * Spec: SPEC.md §6.
 */
import { pino } from "pino";
import type { LogLevel } from "./log-names.ts";

/** Everything the relay ever logs. Fields are numbers, flags and words of ours; no text from outside. */
export type LogEvent =
  | {
      readonly event: "started";
      readonly version: string;
      readonly port: number;
      readonly operationsPort: number | undefined;
      readonly tls: boolean;
      readonly durable: boolean;
      readonly circuits: boolean;
    }
  | { readonly event: "not-durable" }
  | {
      readonly event: "draining";
      readonly connections: number;
      readonly graceSeconds: number;
    }
  | { readonly event: "stopped"; readonly durationMs: number }
  | { readonly event: "store-failed"; readonly reason: "full" | "broken" }
  | { readonly event: "store-recovered" }
  | { readonly event: "certificate-loaded"; readonly daysLeft: number }
  | { readonly event: "certificate-refused"; readonly reason: CertificateRefusal }
  | {
      readonly event: "crashed";
      readonly name: string;
      readonly code: string | undefined;
      /** Files and lines of the relay's own code, no message: that may hold anything. */
      readonly frames: readonly string[];
    };

/** unreadable: a file is missing or no PEM. mismatch: the key is another certificate's. */
export type CertificateRefusal = "unreadable" | "mismatch";

export type Log = (this: void, event: LogEvent) => void;

const LEVELS: Readonly<Record<LogEvent["event"], Exclude<LogLevel, "silent">>> = {
  started: "info",
  "not-durable": "warn",
  draining: "info",
  stopped: "info",
  "store-failed": "error",
  "store-recovered": "info",
  "certificate-loaded": "info",
  "certificate-refused": "error",
  crashed: "error",
};

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: "json" | "text";
  /** Takes whole lines; at once, because the last line before an end is the one that is needed. */
  readonly write: (line: string) => void;
}

export function createLog({ level, format, write }: LogOptions): Log {
  const logger = pino(
    {
      level,
      // No host name and no process id: both are of no use to whoever runs one relay.
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: format === "json" ? write : (line: string) => write(toWords(line)) },
  );
  return (event) => logger[LEVELS[event.event]](event);
}

/** `12:00:00 info draining connections=3` */
function toWords(line: string): string {
  const { time, level, event, ...fields }: Record<string, unknown> = JSON.parse(line);
  const words = Object.entries(fields).map(([name, value]) => ` ${name}=${JSON.stringify(value)}`);
  return `${String(time).slice(11, 19)} ${String(level)} ${String(event)}${words.join("")}\n`;
}

/** Frames kept of one crash. */
const FRAMES_MAX = 8;

/** Of an error only what it was and where it happened. */
export function crashOf(error: unknown): Extract<LogEvent, { event: "crashed" }> {
  if (!(error instanceof Error)) {
    return { event: "crashed", name: typeof error, code: undefined, frames: [] };
  }
  const code = "code" in error ? String(error.code) : "";
  const frames = (error.stack ?? "").matchAll(/^\s+at .*?([\w.-]+\.[jt]s:\d+):\d+\)?$/gm);
  return {
    event: "crashed",
    name: error.name,
    code: /^[A-Z][A-Z0-9_]{1,40}$/.test(code) ? code : undefined,
    frames: [...frames].slice(0, FRAMES_MAX).map((frame) => frame[1] ?? ""),
  };
}
