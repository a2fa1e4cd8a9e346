/** What a relay asked of the kernel, in order, as `strace -f -y -xx` writes it down. */
import { existsSync, readFileSync } from "node:fs";

export interface Call {
  readonly name: string;
  /** Lines of the trace at which it began and ended. */
  readonly from: number;
  readonly until: number;
  /** Arguments: paths of descriptors and data, both in hex. */
  readonly text: string;
  readonly failed: boolean;
}

/** `strace -f` splits calls of threads that overlap into "unfinished" and "resumed". */
export function parseTrace(trace: string): readonly Call[] {
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

export const traced = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");

/** Whether all of it is there: the tracer writes its last lines after the process is gone. */
export const isTraced = (path: string, pid: number | undefined): boolean =>
  existsSync(path) && new RegExp(`^${pid} +[+]{3} `, "m").test(readFileSync(path, "utf8"));
