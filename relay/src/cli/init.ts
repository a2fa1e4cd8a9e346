/** `sotto-relay init`: six questions, then a folder that a machine can be set up from. */
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { type KitFile, type Answers, makeKit } from "../kit/kit.ts";
import { PEOPLE_MAX, sizeFor } from "../kit/size.ts";
import { KEYS } from "../config/keys.ts";
import { isPushContact } from "../node/push-contact.ts";
import { fail } from "./settings.ts";

/** Three times wrong is a script that answers something else. */
const TRIES_MAX = 3;
const STORE_GIB_MAX = 65_536;
const SECRET_BYTES = 32;

export interface InitOptions {
  readonly force?: boolean;
  /** compose or systemd. */
  readonly by: string;
  /** GiB for mail; undefined: as much as so many people need. */
  readonly room?: string;
}

export async function init(folder: string, { force, by, room }: InitOptions): Promise<void> {
  try {
    // Before the first question: whoever mistyped them need not answer anything twice.
    const way = toWay(by);
    const storeGiB = room === undefined ? undefined : toCount(STORE_GIB_MAX)(room);
    const asked = await ask();
    const answers: Answers = {
      ...asked,
      way,
      storeGiB: storeGiB ?? sizeFor(asked.people).storeGiB,
    };
    const path = join(folder, "turnserver.conf");
    const known = existsSync(path)
      ? /^static-auth-secret=(\S+)$/m.exec(readFileSync(path, "utf8"))?.[1]
      : undefined;
    // A second run must not lock out whoever has the first one's secret.
    const secret = known ?? randomBytes(SECRET_BYTES).toString("base64url");
    const changed = write(folder, makeKit(answers, secret), force === true);
    if (changed > 0) {
      process.stdout.write(`\n${changed} left as they are; --force writes the new ones.\n`);
      process.exitCode = 1;
    } else process.stdout.write(`\nNext: ${join(folder, "README.md")}\n`);
  } catch (error) {
    fail(error);
  }
}

/** What is different is shown and kept, unless forced. Returns how many those are. */
function write(folder: string, kit: ReadonlyMap<string, KitFile>, force: boolean): number {
  mkdirSync(folder, { recursive: true });
  let kept = 0;
  for (const [name, { text, secret }] of kit) {
    const path = join(folder, name);
    const known = existsSync(path) ? readFileSync(path, "utf8") : undefined;
    if (known === text) continue;
    if (known !== undefined && !force) {
      kept++;
      process.stdout.write(`${path} differs:\n${difference(known, text)}`);
      continue;
    }
    writeFileSync(path, text, { mode: secret ? 0o600 : 0o644 });
    process.stdout.write(`${path} written\n`);
  }
  return kept;
}

/** Lines that only one of them has. */
function difference(known: string, text: string): string {
  const [before, after] = [known.split("\n"), text.split("\n")];
  return [
    ...before.filter((line) => !after.includes(line)).map((line) => `- ${line}\n`),
    ...after.filter((line) => !before.includes(line)).map((line) => `+ ${line}\n`),
  ].join("");
}

async function ask(): Promise<Omit<Answers, "way" | "storeGiB">> {
  const lines = createInterface({ input: process.stdin, terminal: false });
  const next = nextLine(lines);
  try {
    const domain = await question(next, "Domain", undefined, (text) => {
      const name = KEYS.domain.parse(text);
      if (name === undefined) throw new TypeError("A name such as chat.example.com.");
      return name;
    });
    const email = await question(next, "E-mail for the certificate", `admin@${domain}`, toEmail);
    const people = await question(next, "How many people", "1000", toCount(PEOPLE_MAX));
    const turn = await question(
      next,
      "A TURN server (coturn) for direct links, yes or no",
      "no",
      toYes,
    );
    const door = await question(next, "Who may use it, open, invite or oidc", "open", (text) =>
      KEYS.door.parse(text),
    );
    const push = await question(
      next,
      "Wake people whose app is closed (Web Push), yes or no",
      isPushContact(`mailto:${email}`) ? "yes" : "no",
      (text) => {
        const isYes = toYes(text);
        if (isYes && !isPushContact(`mailto:${email}`)) {
          throw new TypeError("Push services need an e-mail address that reaches somebody.");
        }
        return isYes;
      },
    );
    return { domain, email, people, turn, door, push };
  } finally {
    lines.close();
  }
}

/** Undefined once there are no more. */
function nextLine(lines: Interface): () => Promise<string | undefined> {
  const iterator = lines[Symbol.asyncIterator]();
  return async () => {
    const { value, done } = await iterator.next();
    return done === true ? undefined : value;
  };
}

async function question<T>(
  next: () => Promise<string | undefined>,
  words: string,
  fallback: string | undefined,
  parse: (text: string) => T,
): Promise<T> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    process.stdout.write(`${words}${fallback === undefined ? "" : ` [${fallback}]`}: `);
    const line = (await next())?.trim();
    if (line === undefined) throw new TypeError(`${words}: no answer.`);
    try {
      return parse(line === "" && fallback !== undefined ? fallback : line);
    } catch (error) {
      process.stdout.write(`  ${error instanceof Error ? error.message : "Again."}\n`);
    }
  }
  throw new TypeError(`${words}: no answer that is one.`);
}

function toEmail(text: string): string {
  if (!/^[^\s@{}"]+@[^\s@{}"]+\.[^\s@{}"]+$/.test(text)) {
    throw new TypeError("An address such as admin@example.com.");
  }
  return text;
}

function toWay(text: string): "compose" | "systemd" {
  if (text !== "compose" && text !== "systemd") throw new TypeError("--by is compose or systemd.");
  return text;
}

const toCount =
  (max: number) =>
  (text: string): number => {
    const count = Number(text);
    if (!/^\d+$/.test(text) || count < 1 || count > max) throw new TypeError(`1 to ${max}.`);
    return count;
  };

function toYes(text: string): boolean {
  if (!/^(y|yes|n|no)$/i.test(text)) throw new TypeError("yes or no.");
  return /^y/i.test(text);
}
