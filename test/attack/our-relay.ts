/** The relay as its operator runs it: a process of its own, behind a proxy that names addresses. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../relay/src/main.ts", import.meta.url));
const KB = 1_024;

export interface Victim {
  readonly port: number;
  /** What it said when it was ready. */
  readonly line: string;
  /** Bytes: the most it had in memory since `resetPeak`, and what it had then. */
  peak(): { readonly before: number; readonly peak: number };
  resetPeak(): void;
  stop(): Promise<void>;
}

/** A process that says where it listens as `:<port>` in its first line. */
export async function startVictim(
  command: string,
  args: readonly string[],
  clean: () => void = () => undefined,
): Promise<Victim> {
  const child = spawn(command, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NODE_OPTIONS: "" },
  });
  let said = "";
  let failed = "";
  child.stdout.on("data", (part) => (said += String(part)));
  child.stderr.on("data", (part) => (failed += String(part)));
  while (!said.includes("\n")) {
    await Promise.race([once(child.stdout, "data"), once(child, "exit")]);
    if (child.exitCode !== null) throw new Error(`it did not start: ${failed}`);
  }
  const port = Number(/:(\d+)\s/.exec(said)?.[1]);
  // Also after `exec`.
  const { pid } = child;
  if (pid === undefined) throw new Error("it did not start");
  let before = 0;
  return {
    port,
    line: said.trim(),
    resetPeak() {
      before = memoryOf(pid, "VmRSS");
      try {
        // Linux: the high-water mark begins anew.
        writeFileSync(`/proc/${pid}/clear_refs`, "5");
      } catch {
        // It stays what it was at most since the start.
      }
    },
    peak: () => ({ before, peak: memoryOf(pid, "VmHWM") }),
    async stop() {
      if (child.exitCode === null && child.signalCode === null) {
        const exit = once(child, "exit");
        child.kill("SIGKILL");
        await exit;
      }
      clean();
    },
  };
}

function memoryOf(pid: number, name: "VmRSS" | "VmHWM"): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? Number.NaN) * KB;
  } catch {
    // No such file system: the other figures still count.
    return Number.NaN;
  }
}

export function startOurs(
  options: readonly string[] = [],
  smallDisk = false,
  data = mkdtempSync(join(tmpdir(), "sotto-attack-")),
): Promise<Victim> {
  const clean = (): void => rmSync(data, { recursive: true, force: true });
  const node = [
    process.execPath,
    "--conditions=@sotto/source",
    "--disable-warning=ExperimentalWarning",
    MAIN,
    "--port=0",
    `--data=${data}`,
    "--no-circuit",
    "--trust-proxy",
    ...options,
  ];
  if (!smallDisk) return startVictim(node[0]!, node.slice(1), clean);
  // A disk of its own, which goes with the process; `exec`, so that the process is the relay.
  const mount = `mount -t tmpfs -o size=64m tmpfs "$0" && exec "$@"`;
  return startVictim("unshare", ["-rm", "sh", "-c", mount, data, ...node], clean);
}
