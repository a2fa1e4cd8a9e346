/** A relay that is stopped in the middle of its work, and one whose clock is set. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { greet, random, SENT } from "../conformance/client.ts";
import { type RelayProcess, startRelayProcess } from "../conformance/relay-process.ts";
import { connect, hear, leave, pair, readAgain } from "./pair.ts";

const HOUR_MS = 3_600_000;
const DAY_HOURS = 24;
const CLOCK = fileURLToPath(new URL("shifted-clock.ts", import.meta.url));

let folder: string;
let relay: RelayProcess;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sotto-time-"));
});
afterEach(async () => {
  await relay.end("SIGKILL");
  rmSync(folder, { recursive: true });
});

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** One letter: R runs, S sleeps, T is stopped. */
const processState = ({ child }: RelayProcess): string =>
  / ([A-Z]) /.exec(readFileSync(`/proc/${child.pid}/stat`, "utf8"))?.[1] ?? "";

test("a relay that was stopped answers everything when it goes on, and a kill then loses nothing", async () => {
  relay = await startRelayProcess({ data: join(folder, "data") });
  const [away, here] = [await pair(relay.url), await pair(relay.url)];
  await leave(away);
  const before = hear(here.sender.append(here.alias, random(16), random(1_024)), "ok");
  const { sequence } = await here.owner.next("deliver");
  // One message is in its owner's hand, which acknowledges while nobody listens.
  relay.child.kill("SIGSTOP");
  await vi.waitUntil(() => processState(relay) === "T", { timeout: 10_000 });
  const acknowledged = hear(here.owner.ack(here.ownAlias, [sequence]), "ok");
  const ids = Array.from({ length: 60 }, () => random(16));
  const answers = ids.map((id) => hear(away.sender.append(away.alias, id, random(4_096)), "ok"));
  relay.child.kill("SIGCONT");
  await Promise.all([before, acknowledged, ...answers]);
  await relay.end("SIGKILL");

  relay = await startRelayProcess({ data: join(folder, "data") });
  const { mail } = await readAgain(relay.url, away);
  expect(mail.map(({ id }) => hex(id))).toEqual(ids.map(hex));
  expect((await readAgain(relay.url, here)).mail).toEqual([]);
}, 60_000);

test("a clock that is set a day ahead, two back and right again loses no mail and delays no answer", async () => {
  const path = join(folder, "offset");
  writeFileSync(path, "0");
  const args = { nodeArgs: ["--import", CLOCK], env: { SHIFTED_CLOCK: path } };
  relay = await startRelayProcess({ data: join(folder, "data"), ...args });
  const set = async (hours: number): Promise<void> => {
    writeFileSync(path, String(hours * HOUR_MS));
    relay.child.kill("SIGUSR2");
    const right = Math.floor((Date.now() + hours * HOUR_MS) / HOUR_MS);
    await vi.waitUntil(
      async () => {
        const client = await greet(relay.url);
        client.cut();
        return Math.abs(client.hello.hour - right) <= 1;
      },
      { timeout: 10_000 },
    );
  };
  const [away, silent] = [await pair(relay.url), await pair(relay.url)];
  await leave(away);
  const kept: string[] = [];
  for (const hours of [0, DAY_HOURS, -DAY_HOURS, 0]) {
    const id = random(16);
    // Held: its owner has it and says nothing, so only the hold's own end answers the sender.
    const held = hear(silent.sender.append(silent.alias, random(16), random(512)), "ok");
    await silent.owner.next("deliver");
    await set(hours);
    await held;
    await hear(away.sender.append(away.alias, id, random(512)), "ok");
    kept.push(hex(id));
    await hear((await connect(relay.url)).ask(SENT.ping), "pong");
  }
  expect((await readAgain(relay.url, away)).mail.map(({ id }) => hex(id))).toEqual(kept);
  await relay.end("SIGKILL");
  relay = await startRelayProcess({ data: join(folder, "data") });
  expect((await readAgain(relay.url, away)).mail.map(({ id }) => hex(id))).toEqual(kept);
  expect((await readAgain(relay.url, silent)).mail).toHaveLength(4);
}, 60_000);
