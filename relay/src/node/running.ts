/**
 * What a running relay tells the operator's other commands about itself, in a file of its data directory: they are
 * seldom given every flag that the relay was started with.
 * Owns: that file. Leaves to settings.ts: what was given to the command itself.
 * Spec: OPERATING.md, "Every day".
 */
import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const FILE = "running.json";
/** It holds about a hundred; whatever else lies there under its name is not read. */
export const RUNNING_BYTES_MAX = 4_096;

export interface Running {
  /** Who may make queues. */
  readonly door: string;
  /** The public origin. */
  readonly url: string;
  /** Undefined: the default. */
  readonly operationsHost: string | undefined;
  /** Undefined: it has no listener for its operator. */
  readonly operationsPort: number | undefined;
}

/** Replaces what an earlier start left. A disk without room for it keeps no relay from starting. */
export function noteRunning(data: string, running: Running): void {
  try {
    writeFileSync(join(data, FILE), `${JSON.stringify(running)}\n`, { mode: 0o600 });
  } catch {
    forgetRunning(data);
  }
}

export function forgetRunning(data: string): void {
  rmSync(join(data, FILE), { force: true });
}

/**
 * Undefined: none was started there, or it ended in order. After a kill it says how that relay had run, so it tells
 * where to look and never that a relay is there.
 */
export function readRunning(data: string): Running | undefined {
  const path = join(data, FILE);
  try {
    if (statSync(path).size > RUNNING_BYTES_MAX) return undefined;
    const fields: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (typeof fields !== "object" || fields === null) return undefined;
    const { door, url, operationsHost, operationsPort }: Record<string, unknown> = { ...fields };
    if (typeof door !== "string" || typeof url !== "string") return undefined;
    return {
      door,
      url,
      operationsHost: typeof operationsHost === "string" ? operationsHost : undefined,
      operationsPort: typeof operationsPort === "number" ? operationsPort : undefined,
    };
  } catch {
    return undefined;
  }
}
