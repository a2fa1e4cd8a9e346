/** A real coturn on loopback, where it is installed (apt-get install coturn). */
import { type ChildProcess, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const TURN_SECRET = "correct-horse-battery-staple";
const TURNSERVER = process.env["SOTTO_TURNSERVER"] ?? "turnserver";

export const hasTurnserver = await new Promise<boolean>((resolve) => {
  const child = spawn(TURNSERVER, ["--version"], { stdio: "ignore" });
  child.once("error", () => resolve(false));
  child.once("exit", () => resolve(true));
});

export interface Turnserver {
  /** UDP and TCP, on 127.0.0.1. */
  readonly port: number;
  readonly stop: () => void;
}

/** Its own configuration: `use-auth-secret` with TURN_SECRET, peers on loopback allowed. Or just `args`. */
export async function startTurnserver(args?: readonly string[]): Promise<Turnserver> {
  for (;;) {
    const port = PORT_MIN + Math.floor(Math.random() * PORTS);
    const started = await startOn(port, args);
    if (started !== undefined) return started;
  }
}

/** Below what systems give out by themselves, so that no other test's connection gets it in between. */
const [PORT_MIN, PORTS] = [20_000, 10_000];

/** Undefined when somebody has that port: coturn would try to get it for ever. */
async function startOn(port: number, args?: readonly string[]): Promise<Turnserver | undefined> {
  const directory = mkdtempSync(join(tmpdir(), "sotto-turn-"));
  const common = `-n --listening-ip 127.0.0.1 --relay-ip 127.0.0.1 --listening-port ${port} --log-file stdout`;
  const own = `--use-auth-secret --static-auth-secret ${TURN_SECRET} --realm example.com --allow-loopback-peers --no-cli --no-tls --no-dtls --pidfile ${directory}/pid --userdb ${directory}/db`;
  const given = args ?? own.split(" ");
  const child = spawn(TURNSERVER, [...common.split(" "), ...given], {
    cwd: directory,
    stdio: ["ignore", "pipe", "ignore"],
  });
  const stop = (): void => {
    child.kill("SIGKILL");
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    if (await isReady(child)) {
      await answering(port);
      return { port, stop };
    }
  } catch (error) {
    stop();
    throw error;
  }
  stop();
  return undefined;
}

/** False when it cannot have its port. */
function isReady(child: ChildProcess): Promise<boolean> {
  let said = "";
  return new Promise((resolve, reject) => {
    child.once("exit", () => reject(new Error(said)));
    child.stdout?.on("data", (part) => {
      said += String(part);
      if (said.includes("Cannot bind")) resolve(false);
      else if (said.includes("IO method (auth thread)")) resolve(true);
    });
  });
}

/** RFC 8489 §5: a binding request without attributes. */
const BINDING = Buffer.from("000100002112a442000000000000000000000000", "hex");
const ASK_AGAIN_MS = 50;

/** It says that its threads run before each of them hears. */
async function answering(port: number): Promise<void> {
  const socket = createSocket("udp4");
  const asking = setInterval(() => socket.send(BINDING, port, "127.0.0.1"), ASK_AGAIN_MS);
  try {
    await once(socket, "message");
  } finally {
    clearInterval(asking);
    socket.close();
  }
}
