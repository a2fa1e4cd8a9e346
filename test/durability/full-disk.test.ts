/**
 * A disk that is really full: a small file system of its own, filled to the last byte by mail or by somebody else.
 * Needs a mount, in a user namespace where the tests do not run as root; fails where neither is allowed.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Client, random } from "../conformance/client.ts";
import { type RelayProcess, startRelayProcess } from "../conformance/relay-process.ts";
import { connect, hear, leave, type Pair, pair, readAgain } from "./pair.ts";

/** The reserve takes 4 MiB of it, the write-ahead log about as much. */
const DISK = "16m";
const BLOB_BYTES = 49_152;
const QUEUES = 6;
/** Appends without an answer per queue: together more than the reserve. */
const WINDOW = 16;

let folder: string;
let disk: string;
/** Keeps the file system, which is nobody else's, for as long as it lives. */
let holder: ChildProcess;
let relay: RelayProcess | undefined;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "sotto-full-disk-"));
  disk = join(folder, "disk");
  const script = `mkdir "$1" && mount -t tmpfs -o size=${DISK},mode=700 tmpfs "$1" && echo mounted && exec cat`;
  const unshare = ["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", disk];
  holder = spawn("unshare", unshare, { stdio: ["pipe", "pipe", "inherit"] });
  const [event] = (await Promise.race([
    once(holder.stdout ?? holder, "data"),
    once(holder, "exit"),
  ])) as [unknown];
  if (!String(event).startsWith("mounted")) throw new Error("no file system of its own");
});
afterEach(async () => {
  await relay?.end("SIGKILL");
  relay = undefined;
  const gone = once(holder, "exit");
  holder.kill();
  await gone;
  rmSync(folder, { recursive: true });
});

const inside = (): readonly string[] => [
  "nsenter",
  "--target",
  String(holder.pid),
  "--user",
  "--mount",
  "--preserve-credentials",
];

async function start(): Promise<RelayProcess> {
  relay = await startRelayProcess({
    data: join(disk, "data"),
    under: inside(),
    // The disk is to be filled to its last byte, which this keeps from happening.
    args: ["--min-free", "0"],
  });
  return relay;
}

/** A command beside the relay, on its disk. */
async function run(...command: readonly string[]): Promise<string> {
  const [name = "", ...args] = [...inside(), ...command];
  const child = spawn(name, args, { stdio: ["ignore", "pipe", "ignore"] });
  let printed = "";
  child.stdout.on("data", (part) => (printed += String(part)));
  await once(child, "close");
  return printed;
}

/** Another program takes all that is left. */
const fill = (): Promise<string> => run("sh", "-c", `cat /dev/zero > ${disk}/other`);
const free = (): Promise<string> => run("rm", `${disk}/other`);

interface Kept {
  readonly pair: Pair;
  readonly ids: string[];
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/**
 * Appends until the disk refuses in every queue, so many at once that one commit is larger than what is left;
 * the codes of the refusals.
 */
async function appendUntilRefused(queues: readonly Kept[]): Promise<ReadonlySet<string>> {
  const codes = new Set<string>();
  const lane = async ({ pair: { sender, alias }, ids }: Kept): Promise<void> => {
    for (;;) {
      const id = random(16);
      const answer = await sender.append(alias, id, random(BLOB_BYTES));
      if (answer.name === "error") return void codes.add(answer.code);
      ids.push(hex(id));
    }
  };
  await Promise.all(queues.flatMap((queue) => Array.from({ length: WINDOW }, () => lane(queue))));
  return codes;
}

async function makeQueues(url: string): Promise<readonly Kept[]> {
  const queues: Kept[] = [];
  for (let count = 0; count < QUEUES; count++) {
    const made = await pair(url);
    await leave(made);
    queues.push({ pair: made, ids: [] });
  }
  return queues;
}

/** Reads each queue, acknowledges everything; every deletion is answered. */
async function readAll(url: string, queues: readonly Kept[]): Promise<readonly string[][]> {
  const read: string[][] = [];
  for (const { pair: made } of queues) {
    const owner: Client = await connect(url, made.ownerSeed);
    const { queues: opened } = await hear(owner.openQueues(made.queueId), "queues");
    const { alias = 0, backlog = 0 } = opened[0] ?? {};
    const ids: string[] = [];
    for (let count = 0; count < backlog; count++) {
      const { id, sequence } = await owner.next("deliver");
      ids.push(hex(id));
      await hear(owner.ack(alias, [sequence]), "ok");
    }
    owner.cut();
    await owner.ended;
    read.push(ids);
  }
  return read;
}

const isReady = async ({ port }: RelayProcess): Promise<boolean> =>
  (await fetch(`http://127.0.0.1:${port}/readyz`)).ok;

test("mail fills the disk: told, nothing kept is lost over a kill, fetching makes room again", async () => {
  const first = await start();
  const queues = await makeQueues(first.url);
  expect(await appendUntilRefused(queues)).toEqual(new Set(["full"]));
  const kept = queues.map(({ ids }) => ids.toSorted());
  expect(kept.flat().length).toBeGreaterThan(20);
  expect(await isReady(first)).toBe(false);
  await first.end("SIGKILL");

  const second = await start();
  const read = await readAll(second.url, queues);
  expect(read.map((ids) => ids.toSorted())).toEqual(kept);
  await second.end("SIGKILL");

  const third = await start();
  // Deletions that were answered are on a disk that had no room for anything else.
  expect(await readAll(third.url, queues)).toEqual(queues.map(() => []));
  const again = await pair(third.url);
  await leave(again);
  await hear(again.sender.append(again.alias, random(16), random(65_536)), "ok");
  expect(await isReady(third)).toBe(true);
}, 60_000);

test("somebody else fills the disk: mail is refused, deletions work, and it recovers by itself", async () => {
  const running = await start();
  const [bound, other] = [await pair(running.url), await pair(running.url)];
  await leave(bound);
  const ids: Uint8Array[] = [];
  for (let count = 0; count < 8; count++) {
    const id = random(16);
    ids.push(id);
    await hear(bound.sender.append(bound.alias, id, random(BLOB_BYTES)), "ok");
  }
  await fill();
  // What the files have of room already may take some.
  expect(await appendUntilRefused([{ pair: bound, ids: [] }])).toEqual(new Set(["full"]));
  // Mail between two who are here needs no disk.
  const blob = random(1_024);
  const answer = hear(other.sender.append(other.alias, random(16), blob), "ok");
  const { sequence } = await other.owner.next("deliver");
  await other.owner.ack(other.ownAlias, [sequence], false);
  await answer;
  const { owner, alias, mail } = await readAgain(running.url, bound);
  expect(mail.slice(0, ids.length).map(({ id }) => hex(id))).toEqual(ids.map(hex));
  for (const delivered of mail) await hear(owner.ack(alias, [delivered.sequence]), "ok");
  owner.cut();
  await free();
  await vi.waitUntil(
    async () => (await bound.sender.append(bound.alias, random(16), random(65_536))).name === "ok",
    { timeout: 10_000 },
  );
  expect(await isReady(running)).toBe(true);
  await running.end("SIGKILL");
  const next = await start();
  const rest = await readAgain(next.url, bound);
  expect(rest.mail).toHaveLength(1);
}, 60_000);
