/**
 * The order of system calls, as the kernel sees it: no OK leaves before the bytes it promises are flushed.
 * A kill cannot show this, because the kernel keeps what a dead process wrote; only a power cut would.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { random } from "../conformance/client.ts";
import { startRelayProcess } from "../conformance/relay-process.ts";
import { hear, leave, pair } from "./pair.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sotto-fsync-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

interface Call {
  readonly name: string;
  /** Lines of the trace at which it began and ended. */
  readonly from: number;
  readonly until: number;
  /** Arguments: paths of descriptors and data, both in hex. */
  readonly text: string;
  readonly failed: boolean;
}

/** `strace -f` splits calls of threads that overlap into "unfinished" and "resumed". */
function parseTrace(trace: string): readonly Call[] {
  const open = new Map<string, { name: string; from: number; text: string }>();
  const calls: Call[] = [];
  for (const [line, content] of trace.split("\n").entries()) {
    const [, thread = "", rest = ""] = /^(\d+) +(.*)$/.exec(content) ?? [];
    const began = /^(\w+)\((.*)$/.exec(rest);
    const resumed = /^<\.\.\. (\w+) resumed>(.*)$/.exec(rest);
    if (rest.endsWith("<unfinished ...>") && began !== null) {
      open.set(thread, { name: began[1] ?? "", from: line, text: began[2] ?? "" });
      continue;
    }
    const call = resumed === null ? { name: began?.[1] ?? "", from: line, text: "" } : undefined;
    const { name, from, text } = call ?? open.get(thread) ?? { name: "", from: 0, text: "" };
    const end = began?.[2] ?? resumed?.[2] ?? "";
    if (name === "") continue;
    calls.push({ name, from, until: line, text: text + end, failed: / = -1 /.test(end) });
  }
  return calls;
}

const traced = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");

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
  // The tracer writes its last lines after the relay is gone.
  const last = new RegExp(`^${relay.child.pid} +[+]{3} `, "m");
  const isComplete = (): boolean => existsSync(trace) && last.test(readFileSync(trace, "utf8"));
  await vi.waitUntil(isComplete, { timeout: 20_000 });

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
