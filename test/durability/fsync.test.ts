/**
 * The order of system calls, as the kernel sees it: no OK leaves before the bytes it promises are flushed.
 * A kill cannot show this, because the kernel keeps what a dead process wrote; only a power cut would.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { random } from "../conformance/client.ts";
import { startRelayProcess } from "../conformance/relay-process.ts";
import { hear, leave, pair } from "./pair.ts";
import { type Call, isTraced, parseTrace, traced } from "./trace.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sotto-fsync-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

test("every OK leaves after the write-ahead log with its message was flushed", async () => {
  const trace = join(folder, "trace");
  const calls = "trace=pwrite64,pwritev,write,writev,sendmsg,sendto,fsync,fdatasync";
  const under = ["strace", "-D", "-f", "-q", "-y", "-xx", "-s", "8192", "-e", calls, "-o", trace];
  const data = join(folder, "data");
  const relay = await startRelayProcess({ data, under });
  const bound = await pair(relay.url);
  await leave(bound);
  const blobs = Array.from({ length: 20 }, () => random(256));
  const requests: number[] = [];
  for (const blob of blobs) {
    await hear(bound.sender.append(bound.alias, random(16), blob), "ok");
    requests.push(bound.sender.lastRequest());
  }
  await relay.end("SIGTERM");
  await vi.waitUntil(() => isTraced(trace, relay.child.pid), { timeout: 20_000 });

  const seen = parseTrace(readFileSync(trace, "utf8"));
  const log = (call: Call): boolean =>
    call.text.includes(`${traced(Buffer.from("/relay.db-wal"))}>`);
  const socket = traced(Buffer.from("socket:["));
  const logWrites = seen.filter((call) => call.name.startsWith("pwrite") && log(call));
  const syncs = seen.filter((call) => call.name.endsWith("sync") && log(call) && !call.failed);
  const answers = seen.filter((call) => call.text.includes(`<${socket}`));
  for (const [index, blob] of blobs.entries()) {
    const okFrame = traced(Uint8Array.of(0x19, 0, 0, 0, requests[index] ?? 0));
    const ok = answers.find((call) => call.text.includes(okFrame));
    const write = logWrites.find((call) => call.text.includes(traced(blob.subarray(0, 32))));
    if (ok === undefined || write === undefined) throw new Error("the trace is not complete");
    const last = logWrites.findLast((call) => call.from < ok.from);
    const flushed = syncs.some(
      (sync) => last !== undefined && sync.from > last.until && sync.until < ok.from,
    );
    expect([write.until < ok.from, flushed]).toEqual([true, true]);
  }
}, 60_000);

test("mail that its owner acknowledges at once is never written at all", async () => {
  const data = join(folder, "data");
  const relay = await startRelayProcess({ data });
  const { owner, sender, alias, ownAlias } = await pair(relay.url);
  const blob = random(1_024);
  const answer = hear(sender.append(alias, random(16), blob), "ok");
  const { sequence } = await owner.next("deliver");
  await owner.ack(ownAlias, [sequence], false);
  await answer;
  await relay.end("SIGKILL");
  const files = ["relay.db", "relay.db-wal"].map((name) => readFileSync(join(data, name)));
  expect(files.some((file) => file.includes(Buffer.from(blob)))).toBe(false);
}, 60_000);
