/** `sotto-relay` as a process of its own, for tests of what its operator sees. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));

export interface Run {
  readonly child: ChildProcess;
  readonly out: () => string;
  readonly err: () => string;
  /** The exit code, once it has ended and all of its output has been read. */
  readonly ended: Promise<number | null>;
}

export interface RunningRelay extends Run {
  readonly url: string;
  readonly port: number;
  readonly operationsPort: number;
  /** Resolves when the log has such an event, and with it. */
  logged(event: string): Promise<Record<string, unknown>>;
}

const children = new Set<ChildProcess>();

export function run(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  input?: string,
): Run {
  const child = spawn(process.execPath, ["--conditions=@sotto/source", MAIN, ...args], {
    env: { ...process.env, NODE_OPTIONS: "", ...env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  children.add(child);
  let [out, err] = ["", ""];
  child.stdout.on("data", (part) => (out += String(part)));
  child.stderr.on("data", (part) => (err += String(part)));
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  const ended = new Promise<number | null>((resolve) => {
    child.once("close", (code) => {
      children.delete(child);
      resolve(code);
    });
  });
  return { child, out: () => out, err: () => err, ended };
}

/** With free ports and without circuits. */
export async function startProcess(
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<RunningRelay> {
  const running = run(["--port", "0", "--no-circuit", ...args], env);
  const { child, out, err, ended } = running;
  let over = false;
  void ended.then(() => (over = true));
  const logged: RunningRelay["logged"] = async (event) => {
    for (;;) {
      const line = err()
        .split("\n")
        .find((one) => one.includes(`"event":"${event}"`));
      if (line !== undefined) return JSON.parse(line) as Record<string, unknown>;
      if (over) throw new Error(`ended without ${event}: ${err()}`);
      await Promise.race([once(child.stderr!, "data"), ended]);
    }
  };
  const started = await logged("started");
  while (!out().includes("\n")) await once(child.stdout!, "data");
  return {
    ...running,
    url: /^Sotto is ready: (\S+)/.exec(out())?.[1] ?? "",
    port: Number(started["port"]),
    operationsPort: Number(started["operationsPort"]),
    logged,
  };
}

/** For afterEach. */
export async function killAll(): Promise<void> {
  const closed = Array.from(children, (child) => once(child, "close"));
  for (const child of children) child.kill("SIGKILL");
  await Promise.all(closed);
}
