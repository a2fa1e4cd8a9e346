/** A real relay process with its own data folder and a port that stays the same over restarts. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const READY = /^Sotto is ready: (\S+)/m;
/** Lines of output kept to explain a relay that does not start. */
const OUTPUT_CHARACTERS_MAX = 4_000;

export interface RelayProcess {
  /** Origin of app and relay. */
  readonly url: string;
  readonly dataFolder: string;
  /** SIGKILL: no farewell, nothing flushed. Resolves when the process is gone. */
  kill(): Promise<void>;
  /** SIGTERM. Resolves when it has drained and ended. */
  stop(): Promise<void>;
  /** After `kill` or `stop`: again on the same port and data. */
  restart(): Promise<void>;
  /** Ends the process and deletes its data. */
  dispose(): Promise<void>;
}

/** `app`: folder of the built app. `env`: settings beyond those of every test. */
export async function startRelayProcess({
  app = "app/dist",
  env = {},
}: {
  readonly app?: string;
  readonly env?: Readonly<Record<string, string>>;
} = {}): Promise<RelayProcess> {
  const dataFolder = await mkdtemp(join(tmpdir(), "sotto-e2e-relay-"));
  let { child, url } = await launch(dataFolder, "0", app, env);
  const { port } = new URL(url);

  async function end(signal: NodeJS.Signals): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill(signal);
    await gone;
  }

  return {
    get url() {
      return url;
    },
    dataFolder,
    kill: () => end("SIGKILL"),
    stop: () => end("SIGTERM"),
    async restart() {
      ({ child, url } = await launch(dataFolder, port, app, env));
    },
    async dispose() {
      await end("SIGKILL");
      await rm(dataFolder, { recursive: true, force: true });
    },
  };
}

async function launch(
  dataFolder: string,
  port: string,
  app: string,
  env: Readonly<Record<string, string>>,
): Promise<{ child: ChildProcess; url: string }> {
  const args = [
    "--conditions=@sotto/source",
    "relay/src/main.ts",
    "--port",
    port,
    "--data",
    dataFolder,
    "--app",
    app,
    "--operations-port",
    "off",
  ];
  const child = spawn(process.execPath, args, {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const url = await new Promise<string>((resolve, reject) => {
    const see = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-OUTPUT_CHARACTERS_MAX);
      const ready = READY.exec(output)?.[1];
      if (ready !== undefined) resolve(ready);
    };
    child.stdout.on("data", see);
    child.stderr.on("data", see);
    child.once("exit", (code) => reject(new Error(`relay ended with ${code}: ${output}`)));
  });
  return { child, url };
}
