/** Lets a test in the browser run relays: Vitest calls these in its Node process. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const SCRIPT = fileURLToPath(new URL("relay-process.ts", import.meta.url));
const running = new Map<number, ChildProcess>();

export interface RelayPlace {
  readonly pid: number;
  /** For example "http://127.0.0.1:43123". */
  readonly origin: string;
  /** Hex, 32 bytes. */
  readonly relayKey: string;
}

export const relayCommands = {
  /** On a free port with an empty store unless told otherwise. */
  async startRelay(
    _: unknown,
    options: { readonly port?: number; readonly data?: string } = {},
  ): Promise<RelayPlace> {
    const args = ["--conditions=@sotto/source", SCRIPT, `${options.port ?? 0}`];
    if (options.data !== undefined) args.push(options.data);
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    const [line] = await once(createInterface(child.stdout), "line");
    const pid = child.pid ?? 0;
    running.set(pid, child);
    return { pid, ...JSON.parse(String(line)) };
  },

  /** For the store of a relay that is to come back. */
  makeFolder: (): Promise<string> => mkdtemp(join(tmpdir(), "sotto-relay-")),

  /** As a crash does it: no goodbye. */
  async killRelay(_: unknown, pid: number): Promise<void> {
    const child = running.get(pid);
    if (child === undefined) return;
    running.delete(pid);
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  },
};

declare module "vitest/browser" {
  interface BrowserCommands {
    startRelay(options?: { readonly port?: number; readonly data?: string }): Promise<RelayPlace>;
    makeFolder(): Promise<string>;
    killRelay(pid: number): Promise<void>;
  }
}
