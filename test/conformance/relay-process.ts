/**
 * The relay as its operator runs it: its own command in a process of its own, over a directory.
 * Owns: starting it and waiting until it listens, ending it. Leaves to the tests: what happens meanwhile.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../relay/src/main.ts", import.meta.url));

export interface RelayProcess {
  readonly child: ChildProcess;
  readonly port: number;
  /** Of its hub. */
  readonly url: string;
  /** Everything it printed so far. */
  output(): string;
  /** Sends the signal, resolves when the process is gone. */
  end(signal: NodeJS.Signals): Promise<void>;
}

export interface RelayProcessOptions {
  readonly data: string;
  readonly args?: readonly string[];
  /** Flags of Node itself. */
  readonly nodeArgs?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** A command that runs the relay, for example a tracer. */
  readonly under?: readonly string[];
}

/** Rejects with what the relay printed when it ends before it listens. */
export async function startRelayProcess(options: RelayProcessOptions): Promise<RelayProcess> {
  const node = [process.execPath, "--conditions=@sotto/source", ...(options.nodeArgs ?? [])];
  const relay = [MAIN, "--port", "0", "--data", options.data, "--no-circuit"];
  const [command = "", ...rest] = [...(options.under ?? []), ...node, ...relay];
  const child = spawn(command, [...rest, ...(options.args ?? [])], {
    env: { ...process.env, NODE_OPTIONS: "", ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let printed = "";
  child.stdout.on("data", (part) => (printed += String(part)));
  child.stderr.on("data", (part) => (printed += String(part)));
  const exited = once(child, "exit");
  const port = (): number => Number(/^Sotto is ready: .*:(\d+)$/m.exec(printed)?.[1] ?? 0);
  while (port() === 0) {
    await Promise.race([once(child.stdout, "data"), exited]);
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(printed);
  }
  return {
    child,
    port: port(),
    url: `ws://127.0.0.1:${port()}/hub`,
    output: () => printed,
    async end(signal) {
      child.kill(signal);
      await exited;
    },
  };
}
