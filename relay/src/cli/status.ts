/** `sotto-relay status`: what the operator's listener of a running relay says, for people. */
import type { Command } from "commander";
import { operationsPortOf, type Resolved } from "../config/resolve.ts";
import { readRunning } from "../node/running.ts";
import { fail, settingsOf } from "./settings.ts";

const ANSWER_MS = 5_000;
/** The answer is about one kilobyte; whatever else listens there may say more. */
const ANSWER_BYTES_MAX = 65_536;

/** Ends with 1 when the relay does not answer or is not ready: for scripts. */
export async function status(
  program: Command,
  options: { readonly json?: boolean },
): Promise<void> {
  try {
    const { host, port } = listenerOf(settingsOf(program));
    if (port === undefined || port === 0) {
      throw new TypeError("the relay has no fixed port for its operator: give --operations-port.");
    }
    const text = await ask(host, port);
    const fields: unknown = JSON.parse(text);
    if (!isRecord(fields)) throw new TypeError(NO_RELAY);
    process.stdout.write(options.json === true ? text : toWords(fields));
    if (fields["reason"] !== undefined) process.exitCode = 1;
  } catch (error) {
    fail(error instanceof TypeError ? error : new Error(NO_RELAY));
  }
}

/** Where this command was told to ask; else where the relay of this data directory says that it listens. */
function listenerOf({ settings, sources }: Resolved): { host: string; port: number | undefined } {
  const isTold = sources.operationsPort !== "default" || sources.port !== "default";
  const running = isTold || settings.data === undefined ? undefined : readRunning(settings.data);
  const host = running?.operationsHost ?? settings.operationsHost;
  return { host, port: running?.operationsPort ?? operationsPortOf(settings) };
}

const NO_RELAY = "no relay answers on the operator's port.";

async function ask(host: string, port: number): Promise<string> {
  const name = WILDCARDS[host] ?? host;
  const url = `http://${name.includes(":") ? `[${name}]` : name}:${port}/status.json`;
  const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS) }).catch(() => {
    throw new Error(NO_RELAY);
  });
  const parts: string[] = [];
  let bytes = 0;
  const decoder = new TextDecoder();
  for await (const part of response.body ?? []) {
    bytes += part.length;
    if (!response.ok || bytes > ANSWER_BYTES_MAX) throw new Error(NO_RELAY);
    parts.push(decoder.decode(part, { stream: true }));
  }
  return parts.join("");
}

const WILDCARDS: Readonly<Record<string, string>> = { "0.0.0.0": "127.0.0.1", "::": "::1" };

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function toWords(fields: Record<string, unknown>): string {
  const number = (name: string): number => Number(fields[name] ?? 0);
  const word = (name: string, fallback: string): string => {
    const value = fields[name];
    return typeof value === "string" ? value : fallback;
  };
  const lines: [string, string][] = [
    ["state", word("reason", "ready")],
    ["version", word("version", "unknown")],
    ["up", `${(number("uptimeSeconds") / SECONDS_PER_HOUR).toFixed(1)} h`],
    ["connections", `${number("connections")} of ${number("connectionsMax")}`],
    ["queues", `${number("queues")} of ${number("queuesMax")}`],
    ["messages", String(number("messages"))],
    ["stored", `${megabytes(number("bytes"))} of ${megabytes(number("bytesMax"))}`],
  ];
  if (fields["diskFreeBytes"] !== undefined) {
    lines.push(["disk free", megabytes(number("diskFreeBytes"))]);
  }
  if (fields["certificateExpiryMs"] !== undefined) {
    const end = new Date(number("certificateExpiryMs"));
    lines.push(["certificate", `until ${end.toISOString().slice(0, 10)}`]);
  }
  return lines.map(([name, value]) => `${name.padEnd(12)} ${value}\n`).join("");
}

const SECONDS_PER_HOUR = 3_600;
const megabytes = (bytes: number): string => `${(bytes / 1_048_576).toFixed(1)} MiB`;
