/**
 * The settings of a command from its flags, the environment and the file they name.
 * Spec: CONFIG.md.
 */
import { accessSync, constants, readFileSync } from "node:fs";
import { type Command, Option } from "commander";
import { type Key, type KeyId, KEYS } from "../config/keys.ts";
import { KEY_IDS, type Resolved, resolveSettings } from "../config/resolve.ts";

export function addSettings(command: Command): void {
  command.option("--config <file>", "settings as TOML, see CONFIG.md (env: SOTTO_CONFIG)");
  for (const entry of Object.values(KEYS)) command.addOption(toOption(entry));
}

function toOption(entry: Key<unknown>): Option {
  const fallback = entry.shown === "" ? "" : `, default: ${entry.shown}`;
  return new Option(entry.flag, `${entry.sentence} (env: ${entry.env}${fallback})`).helpGroup(
    groupOf(entry),
  );
}

/** Throws for anything wrong in any source. */
export function settingsOf(command: Command): Resolved {
  const given = command.opts<Record<string, unknown>>();
  const flags: Partial<Record<KeyId, string>> = {};
  for (const id of KEY_IDS) {
    // The flag's own name, which is not always the setting's.
    const attribute = toOption(KEYS[id]).attributeName();
    if (command.getOptionValueSource(attribute) === "cli") flags[id] = String(given[attribute]);
  }
  const path = given["config"] ?? process.env["SOTTO_CONFIG"];
  const file = typeof path === "string" ? readFileSync(path, "utf8") : undefined;
  return resolveSettings({ flags, env: process.env, file, hasFile });
}

function hasFile(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

/** One line without a stack, and an exit code that scripts see. */
export function fail(error: unknown): void {
  process.stderr.write(`sotto-relay: ${error instanceof Error ? error.message : "failed"}\n`);
  process.exitCode = 1;
}

/** The sections of relay.toml. */
function groupOf({ name }: Key<unknown>): string {
  const [section = ""] = name.split(".");
  return `${section.charAt(0).toUpperCase()}${section.slice(1)}:`;
}
