/** `sotto-relay start`: a relay until a signal. */
import { spawn } from "node:child_process";
import { writeSync } from "node:fs";
import type { Command } from "commander";
import { KEYS } from "../config/keys.ts";
import { operationsPortOf } from "../config/resolve.ts";
import type { Relay } from "../index.ts";
import { forgetRunning, noteRunning } from "../node/running.ts";
import { fail, settingsOf } from "./settings.ts";

/** A second signal, or a drain that takes longer than its grace and this, ends the process at once. */
const DRAIN_MS = 10_000;
const STDERR = 2;
const MS_PER_SECOND = 1_000;

export async function start(program: Command): Promise<void> {
  try {
    const { settings } = settingsOf(program);
    // After the options, so that --help and a typing error answer at once.
    const { createLog, crashOf, startRelay } = await import("../index.ts");
    const words = settings.logFormat === "text" || process.stderr.isTTY;
    const log = createLog({
      level: settings.logLevel,
      format: settings.logFormat !== "json" && words ? "text" : "json",
      write: (line) => writeSync(STDERR, line),
    });
    const operationsPort = operationsPortOf(settings);
    const crash = (error: unknown): void => {
      log(crashOf(error));
      process.exit(1);
    };
    // Whoever supervises it starts another, which reads what is on the disk: nothing that was answered is lost.
    const relay = await startRelay({ ...settings, operationsPort, log, storeLost: crash });
    // From here on nobody reads a stack, and a stack's message may hold what a stranger sent.
    process.on("uncaughtException", crash);
    process.on("unhandledRejection", crash);
    const { data, door } = settings;
    if (data !== undefined) {
      // No address where it goes without saying: nobody who searches this disk for one is to find any.
      const isDefault = settings.operationsHost === KEYS.operationsHost.fallback;
      const operationsHost = isDefault ? undefined : settings.operationsHost;
      const { url, operationsPort: port } = relay;
      noteRunning(data, { door, url, operationsHost, operationsPort: port });
    }
    // Before anybody is told that it is ready: whoever waits for that may send a signal at once.
    listen(relay, settings.drainGrace * MS_PER_SECOND, data);
    process.stdout.write(`Sotto is ready: ${relay.url}\n`);
    if (process.stdout.isTTY && settings.open) welcome(relay.url, settings.data === undefined);
  } catch (error) {
    fail(error);
  }
}

function listen(relay: Relay, graceMs: number, data: string | undefined): void {
  let stopping = false;
  const stop = (): void => {
    if (stopping) process.exit(1);
    stopping = true;
    setTimeout(() => process.exit(1), graceMs + DRAIN_MS).unref();
    relay.close().then(
      () => {
        if (data !== undefined) forgetRunning(data);
        process.exit(0);
      },
      () => process.exit(1),
    );
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  process.on("SIGHUP", () => relay.reload());
}

/** For a person at a terminal who only wants to see it. */
function welcome(url: string, inMemory: boolean): void {
  if (inMemory) {
    process.stdout.write(
      "Everything is in memory: Ctrl-C leaves nothing. Keep it with --data <directory>.\n",
    );
  }
  if (new URL(url).hostname !== "localhost") return;
  const opener = OPENERS[process.platform] ?? ["xdg-open"];
  const [command = "", ...args] = opener;
  // A machine without a browser is none of our trouble: the address stands above.
  spawn(command, [...args, url], { stdio: "ignore", detached: true })
    .on("error", () => undefined)
    .unref();
}

const OPENERS: Readonly<Partial<Record<NodeJS.Platform, readonly string[]>>> = {
  darwin: ["open"],
  win32: ["cmd", "/c", "start", ""],
};
