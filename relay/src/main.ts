#!/usr/bin/env node
/**
 * `sotto-relay`: the relay as one command.
 * Spec: README.md.
 */
import { readFileSync } from "node:fs";
import { Command, Option } from "commander";
import { configPage, explainKey, printSettings } from "./config/explain.ts";
import { type Key, type KeyId, KEYS } from "./config/keys.ts";
import { findKey, KEY_IDS, type Resolved, resolveSettings, unknown } from "./config/resolve.ts";
import type { Relay } from "./index.ts";

/** A second signal, or a drain that takes longer, ends the process at once. */
const DRAIN_MS = 10_000;

const program = new Command("sotto-relay")
  .description(
    "The blind relay of Sotto: sealed mailboxes, signalling, circuits for direct links, and the app itself.",
  )
  .option("--config <file>", "settings as TOML, see CONFIG.md (env: SOTTO_CONFIG)")
  .addHelpText(
    "after",
    `
The relay knows mailboxes, not people. Put a proxy with TLS in front of it for anything but this machine.

  GET /           the app           /hub      clients (WebSocket)
  GET /healthz    is it alive       /         circuits (WebSocket)
  GET /readyz     does it take mail

Keys live in <data>/identity.key and <data>/send.key: back them up, a relay without them is another relay.
`,
  );

for (const entry of Object.values(KEYS)) program.addOption(toOption(entry));
program.action(start);
program
  .command("start")
  .description("run the relay; also what happens without a command")
  .action(start);
program
  .command("config")
  .description("say what the settings are, without starting")
  .option("--print", "all settings in force, and where each comes from")
  .option("--explain <name>", "one setting, for example limits.max_bytes")
  .option("--page", "the text of CONFIG.md")
  .action(config);

await program.parseAsync();

function toOption(entry: Key<unknown>): Option {
  const fallback = entry.shown === "" ? "" : `, default: ${entry.shown}`;
  return new Option(entry.flag, `${entry.sentence} (env: ${entry.env}${fallback})`);
}

/** Throws for anything wrong in any source. */
function resolve(): Resolved {
  const given = program.opts<Record<string, unknown>>();
  const flags: Partial<Record<KeyId, string>> = {};
  for (const id of KEY_IDS) {
    if (program.getOptionValueSource(id) === "cli") flags[id] = String(given[id]);
  }
  const path = given["config"] ?? process.env["SOTTO_CONFIG"];
  const file = typeof path === "string" ? readFileSync(path, "utf8") : undefined;
  return resolveSettings({ flags, env: process.env, file });
}

function config(options: { readonly explain?: string; readonly page?: boolean }): void {
  try {
    if (options.page === true) process.stdout.write(configPage());
    else if (options.explain === undefined) process.stdout.write(printSettings(resolve()));
    else {
      const entry = findKey(options.explain);
      if (entry === undefined) throw new TypeError(unknown(options.explain));
      process.stdout.write(explainKey(entry));
    }
  } catch (error) {
    fail(error);
  }
}

function fail(error: unknown): void {
  process.stderr.write(`sotto-relay: ${error instanceof Error ? error.message : "failed"}\n`);
  process.exitCode = 1;
}

async function start(): Promise<void> {
  let relay: Relay;
  try {
    // After the options, so that --help and a typing error answer at once.
    const { startRelay } = await import("./index.ts");
    relay = await startRelay(resolve().settings);
  } catch (error) {
    return fail(error);
  }
  process.stdout.write(`Sotto is ready: ${relay.url}\n`);
  let stopping = false;
  const stop = (): void => {
    if (stopping) process.exit(1);
    stopping = true;
    setTimeout(() => process.exit(1), DRAIN_MS).unref();
    relay.close().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
}
