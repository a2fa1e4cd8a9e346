/** `sotto-relay invite`: a code that lets people in, made beside the relay while it runs. */
import { randomBytes } from "node:crypto";
import type { Command } from "commander";
import { encodeQR } from "qr";
import { CODE_LETTERS, hashOfCode, makeCode } from "../core/invite-code.ts";
import { CODE_DAYS_MAX, CODE_USES_MAX, DAY_MS } from "../core/limits.ts";
import { openAdmissionOf } from "../node/open-admission.ts";
import { readRunning } from "../node/running.ts";
import { fail, settingsOf } from "./settings.ts";

export interface InviteOptions {
  readonly uses: string;
  readonly days: string;
}

export function invite(program: Command, options: InviteOptions): void {
  try {
    const { settings } = settingsOf(program);
    const uses = toCount("--uses", options.uses, CODE_USES_MAX);
    const days = toCount("--days", options.days, CODE_DAYS_MAX);
    if (settings.data === undefined) {
      throw new TypeError("the relay keeps nothing: give the --data or --config it runs with.");
    }
    // The door may have been a flag of the relay's start, which this command was not given.
    const running = readRunning(settings.data);
    if (settings.door !== "invite" && running?.door !== "invite") {
      throw new TypeError(
        'this relay asks for no codes: start it with admission.door = "invite" or --door invite.',
      );
    }
    const code = makeCode(randomBytes(CODE_LETTERS));
    const hash = hashOfCode(code);
    if (hash === undefined) throw new Error("not made");
    const store = openAdmissionOf(settings.data);
    try {
      const day = Math.floor(Date.now() / DAY_MS) + days;
      if (store.addCode(hash, uses, day) === "full") {
        throw new TypeError("there are too many codes already; they go when their days are over.");
      }
    } finally {
      store.close();
    }
    const origin = settings.publicUrl ?? running?.url ?? `http://localhost:${settings.port}`;
    say(code, uses, days, origin);
  } catch (error) {
    fail(error);
  }
}

/** Nothing but this terminal has the code from here on: the relay keeps a hash. */
function say(code: string, uses: number, days: number, origin: string): void {
  const link = `${origin}/#code=${code}`;
  process.stdout.write(
    `code  ${code}\nlink  ${link}\nlets in ${uses} ${uses === 1 ? "time" : "times"}, for ${days} days\n`,
  );
  if (process.stdout.isTTY) process.stdout.write(`${encodeQR(link, "ascii")}\n`);
}

function toCount(name: string, text: string, max: number): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || count < 1 || count > max) {
    throw new TypeError(`${name}: 1 to ${max}.`);
  }
  return count;
}
