/** `sotto-relay backup` and `restore`: a data directory copied, and a copy made a data directory. */
import type { Command } from "commander";
import { type Backup, backUp, restore } from "../node/store/backup.ts";
import { fail, settingsOf } from "./settings.ts";

/** The relay may run. */
export function backup(program: Command, to: string): void {
  copy("backed up to", to, () => backUp(dataOf(program), to));
}

/** Into server.data, which must be empty or not there. */
export function restoreTo(program: Command, from: string): void {
  copy("restored from", from, () => restore(from, dataOf(program)));
}

function copy(words: string, directory: string, make: () => Backup): void {
  try {
    const { queues, messages, bytes } = make();
    process.stdout.write(
      `${words} ${directory}: keys, ${queues} queues, ${messages} messages, ${bytes} bytes\n`,
    );
  } catch (error) {
    fail(error);
  }
}

function dataOf(program: Command): string {
  const { data } = settingsOf(program).settings;
  if (data === undefined) throw new TypeError("give the relay's --data or its --config.");
  return data;
}
