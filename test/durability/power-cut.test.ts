/**
 * The power goes. Killed processes leave what they wrote to the kernel; here everything that was not flushed is gone, or
 * there in parts, and still all that was acknowledged by that moment has to be.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { openSqliteStore } from "sotto-relay";
import { random } from "../conformance/client.ts";
import { startRelayProcess } from "../conformance/relay-process.ts";
import { createDraw } from "./draw.ts";
import { hear, leave, pair, readAgain } from "./pair.ts";
import { diskOf } from "./power-cut.ts";
import { isTraced, parseTrace, traced } from "./trace.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sotto-power-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const FILES = ["relay.db", "relay.db-wal"];
const SMALL = 10;
/** Beyond the thousand pages after which SQLite writes its log back. */
const LARGE = 68;
/** Moments that are looked at, of all that an OK left at. */
const CUTS = 8;

interface Sent {
  readonly id: Uint8Array;
  readonly blob: Uint8Array;
  readonly request: number;
}

/** Of everything that a store opened over these files has: blobs by message id. */
async function readAll(
  name: string,
  files: ReadonlyMap<string, Buffer>,
): Promise<Map<string, Buffer>> {
  const data = join(folder, name);
  mkdirSync(data);
  for (const [file, bytes] of files) writeFileSync(join(data, file), bytes);
  const store = openSqliteStore(data);
  try {
    const rows = [...store.load().messages].map(({ row, id }) => ({ row, id: hex(id) }));
    const blobs = await store.readMessages(rows.map(({ row }) => row));
    return new Map(rows.map(({ id }, index) => [id, Buffer.from(blobs[index] ?? [])]));
  } finally {
    await store.close();
    rmSync(data, { recursive: true });
  }
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

test("after a power cut at any OK all that was acknowledged is there, whatever else the disk kept", async () => {
  const trace = join(folder, "trace");
  const calls = "trace=pwrite64,pwritev,ftruncate,write,writev,sendmsg,sendto,fsync,fdatasync";
  const under = ["strace", "-D", "-f", "-q", "-y", "-xx", "-s", "70000", "-e", calls, "-o", trace];
  const data = join(folder, "data");
  const relay = await startRelayProcess({ data, under, args: ["--queue-bytes", "64M"] });
  const bound = await pair(relay.url);
  await leave(bound);
  const sent: Sent[] = [];
  const send = async (bytes: number): Promise<void> => {
    const [id, blob] = [random(16), random(bytes)];
    await hear(bound.sender.append(bound.alias, id, blob), "ok");
    sent.push({ id, blob, request: bound.sender.lastRequest() });
  };
  for (let count = 0; count < SMALL; count++) await send(256);
  // Half of them are deleted, so that not only additions are on their way.
  const { owner, alias, mail } = await readAgain(relay.url, bound);
  const deleted = mail.slice(0, SMALL / 2);
  void owner.ack(
    alias,
    deleted.map(({ sequence }) => sequence),
    false,
  );
  await leave({ ...bound, owner });
  for (let count = 0; count < LARGE; count++) await send(65_536);
  await relay.end("SIGTERM");
  await vi.waitUntil(() => isTraced(trace, relay.child.pid), { timeout: 60_000 });

  const seen = parseTrace(readFileSync(trace, "utf8"));
  const disk = diskOf(seen, data, FILES);
  const socket = traced(Buffer.from("socket:["));
  const answers = seen.filter((call) => call.text.includes(`<${socket}`));
  const promises = sent.map((message) => {
    const frame = traced(Uint8Array.of(0x19, 0, 0, 0, message.request));
    const ok = answers.find((call) => call.text.includes(frame));
    if (ok === undefined) throw new Error("the trace is not complete");
    return { message, line: ok.from };
  });
  // The log was written back while messages came, or this would show only half of it.
  const [first, last] = [promises[0]?.line ?? 0, promises.at(-1)?.line ?? 0];
  expect(disk.flushes("relay.db").some((line) => line > first && line < last)).toBe(true);

  const gone = new Set(deleted.map(({ id }) => hex(id)));
  const draw = createDraw(1);
  const kept = [() => false, () => true, () => draw.below(2) === 0, () => draw.below(8) === 0];
  for (let cut = 1; cut <= CUTS; cut++) {
    const at = promises[Math.floor((cut * (promises.length - 1)) / CUTS)]?.line ?? 0;
    const promised = promises.filter(({ line }) => line <= at);
    for (const [index, keep] of kept.entries()) {
      const there = await readAll(`cut-${cut}-${index}`, disk.at(at, keep));
      for (const { message } of promised) {
        if (gone.has(hex(message.id))) continue;
        expect(there.get(hex(message.id)), `${cut} ${index}`).toEqual(Buffer.from(message.blob));
      }
    }
  }
  // Only what was flushed is looked at: before its flush a message is nowhere.
  const before = await readAll(
    "before",
    disk.at(promises[SMALL - 1]?.line ?? 0, () => false),
  );
  expect(before.has(hex(sent[SMALL]?.id ?? new Uint8Array()))).toBe(false);
}, 300_000);
