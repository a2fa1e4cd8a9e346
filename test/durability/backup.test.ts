/** A backup taken from another process while the relay is at work, as an operator takes it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { backUp, restore } from "sotto-relay";
import { afterEach, beforeEach, expect, test } from "vitest";
import { random } from "../conformance/client.ts";
import { type RelayProcess, startRelayProcess } from "../conformance/relay-process.ts";
import { hear, leave, pair, readAgain } from "./pair.ts";

let folder: string;
const relays: RelayProcess[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sotto-backup-"));
});
afterEach(async () => {
  for (const relay of relays.splice(0)) await relay.end("SIGKILL");
  rmSync(folder, { recursive: true });
});

async function start(name: string): Promise<RelayProcess> {
  const relay = await startRelayProcess({ data: join(folder, name) });
  relays.push(relay);
  return relay;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

test("backups under writes hold what was answered before them, and stop nobody", async () => {
  const relay = await start("data");
  const bound = await pair(relay.url);
  await leave(bound);
  const answered: string[] = [];
  const sent: string[] = [];
  /** What each backup must hold, and may. */
  const backups: { readonly must: readonly string[]; readonly may: readonly string[] }[] = [];
  for (let round = 0; round < 3; round++) {
    const ids = Array.from({ length: 20 }, () => random(16));
    const answers = ids.map(async (id) => {
      await hear(bound.sender.append(bound.alias, id, random(16_384)), "ok");
      answered.push(hex(id));
    });
    sent.push(...ids.map(hex));
    // In the midst of them: some are answered, some on their way.
    await Promise.race(answers);
    const must = [...answered];
    backUp(join(folder, "data"), join(folder, `backup-${round}`));
    backups.push({ must, may: [...sent] });
    await Promise.all(answers);
  }
  for (const [round, { must, may }] of backups.entries()) {
    restore(join(folder, `backup-${round}`), join(folder, `restored-${round}`));
    const restored = await start(`restored-${round}`);
    const { mail } = await readAgain(restored.url, bound);
    const ids = mail.map(({ id }) => hex(id));
    expect(ids).toEqual(may.slice(0, ids.length));
    expect(ids).toEqual(expect.arrayContaining([...must]));
  }
  // The relay itself has all of it.
  expect((await readAgain(relay.url, bound)).mail.map(({ id }) => hex(id))).toEqual(sent);
}, 60_000);
