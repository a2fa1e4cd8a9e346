/** `sotto-relay doctor`: whether people far away can use a relay, and what is in their way. */
import { readFileSync } from "node:fs";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import type { Command } from "commander";
import type { Check } from "../doctor/check.ts";
import { fail, settingsOf } from "./settings.ts";

const CREDENTIAL_SECONDS = 600;

export interface DoctorOptions {
  readonly ca?: string;
  readonly turn?: string;
  readonly turnSecretFile?: string;
  readonly json?: boolean;
}

/** Ends with 1 when something fails: for cron. */
export async function doctor(
  program: Command,
  address: string | undefined,
  options: DoctorOptions,
): Promise<void> {
  try {
    const { settings } = settingsOf(program);
    const target = address ?? settings.publicUrl;
    if (target === undefined && settings.data === undefined && options.turn === undefined) {
      throw new TypeError("give an address such as https://chat.example.com, or --data.");
    }
    if (options.ca !== undefined) {
      const own = readFileSync(options.ca, "utf8");
      setDefaultCACertificates([...getCACertificates("default"), own]);
    }
    const checks: Check[] = [];
    const add = (found: readonly Check[]): void => {
      if (options.json !== true) for (const check of found) process.stdout.write(toLine(check));
      checks.push(...found);
    };
    if (target !== undefined) await outside(toUrl(target), add);
    if (options.turn !== undefined) {
      const { checkTurn } = await import("../doctor/turn.ts");
      const { timedCredential } = await import("../doctor/stun.ts");
      const end = Math.floor(Date.now() / 1_000) + CREDENTIAL_SECONDS;
      const secret = readSecret(options.turnSecretFile);
      add(await checkTurn(options.turn, timedCredential(secret, end)));
    }
    if (settings.data !== undefined) {
      const { checkMachine } = await import("../doctor/machine.ts");
      add(checkMachine(settings.data, settings.maxConnections));
      if (settings.pushContact !== undefined) {
        const { checkPush } = await import("../doctor/push.ts");
        add([await checkPush()]);
      }
    }
    if (options.json === true) process.stdout.write(`${JSON.stringify(checks)}\n`);
    if (checks.some(({ result }) => result === "fail")) process.exitCode = 1;
  } catch (error) {
    fail(error);
  }
}

/** Nothing is asked of a name that does not exist, nor of a door that does not open. */
async function outside(url: URL, add: (found: readonly Check[]) => void): Promise<void> {
  const { checkName, checkTls, checkWeb } = await import("../doctor/web.ts");
  const { checkHub } = await import("../doctor/hub.ts");
  const name = await checkName(url);
  add([name]);
  if (name.result === "fail") return;
  const tls = await checkTls(url);
  add([tls]);
  if (tls.result === "fail" && url.protocol === "https:") return;
  const { checks, info } = await checkWeb(url);
  add(checks);
  add(await checkHub(url, info.relayKey));
}

function toUrl(text: string): URL {
  const full = /^https?:\/\//.test(text) ? text : `https://${text}`;
  if (!URL.canParse(full)) throw new TypeError("an address such as https://chat.example.com.");
  return new URL(new URL(full).origin);
}

/** From a file, because a secret among the arguments is seen by everybody on the machine. */
function readSecret(path: string | undefined): string {
  if (path === undefined) throw new TypeError("--turn needs --turn-secret-file.");
  return readFileSync(path, "utf8").trim();
}

const SIGNS = { ok: "ok  ", warn: "warn", fail: "FAIL" } as const;

const toLine = ({ name, result, words }: Check): string =>
  `${SIGNS[result]}  ${name.padEnd(10)}  ${words}\n`;
