/** `sotto-relay config`: the settings in words. */
import type { Command } from "commander";
import { configPage, explainKey, printSettings } from "../config/explain.ts";
import { findKey, unknown } from "../config/resolve.ts";
import { fail, settingsOf } from "./settings.ts";

export function config(
  program: Command,
  options: { readonly explain?: string; readonly page?: boolean },
): void {
  try {
    if (options.page === true) process.stdout.write(configPage());
    else if (options.explain === undefined)
      process.stdout.write(printSettings(settingsOf(program)));
    else {
      const entry = findKey(options.explain);
      if (entry === undefined) throw new TypeError(unknown(options.explain));
      process.stdout.write(explainKey(entry));
    }
  } catch (error) {
    fail(error);
  }
}
