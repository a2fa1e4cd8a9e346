/**
 * What a disk may hold after the power went: all that was flushed, and of the rest whatever it likes, in parts of sectors.
 * Made of the calls of a relay that ran to its end, for any moment of them.
 * Leaves to trace.ts: reading the calls; to the test: what has to be there.
 */
import type { Call } from "./trace.ts";

/** What a disk writes as one, or not at all. */
const SECTOR_BYTES = 512;

/** With room for all that is ever written to it; beyond `length` there are zeros. */
interface File {
  readonly bytes: Buffer;
  length: number;
}

interface Change {
  readonly from: number;
  readonly until: number;
  /** Bytes that the file needs for it. */
  readonly end: number;
  apply(file: File, keep: () => boolean): void;
}

export interface Disk {
  /**
   * Contents by name at the moment of a line of the trace: what was flushed by then, and of what was asked for and not
   * flushed, those sectors for which `keep` says so.
   */
  at(line: number, keep: () => boolean): ReadonlyMap<string, Buffer>;
  /** Lines at which a flush of this file ended. */
  flushes(name: string): readonly number[];
}

const bytesOf = (hex = ""): Buffer => Buffer.from(hex.replaceAll("\\x", ""), "hex");

/** `names`: the files of the folder that matter. */
export function diskOf(calls: readonly Call[], folder: string, names: readonly string[]): Disk {
  const changes = new Map<string, Change[]>(names.map((name) => [name, []]));
  const syncs = new Map<string, Call[]>(names.map((name) => [name, []]));
  for (const call of calls) {
    if (call.failed) continue;
    const [, path, rest = ""] = /^(?:\\x3c)?\d+<((?:\\x..)+)>(.*)$/s.exec(call.text) ?? [];
    const name = names.find((one) => bytesOf(path).toString() === `${folder}/${one}`);
    if (name === undefined) continue;
    if (call.name.endsWith("sync")) syncs.get(name)?.push(call);
    else changes.get(name)?.push(changeOf(call, rest));
  }
  return {
    flushes: (name) => (syncs.get(name) ?? []).map(({ until }) => until),
    at(line, keep) {
      const contents = new Map<string, Buffer>();
      for (const [name, all] of changes) {
        const flushed =
          (syncs.get(name) ?? []).filter(({ until }) => until < line).at(-1)?.from ?? -1;
        const size = Math.max(0, ...all.map(({ end }) => end));
        const file: File = { bytes: Buffer.alloc(size), length: 0 };
        for (const change of all) {
          if (change.from >= line) break;
          change.apply(file, change.until < flushed ? () => true : keep);
        }
        contents.set(name, file.bytes.subarray(0, file.length));
      }
      return contents;
    },
  };
}

function changeOf({ name, from, until }: Call, rest: string): Change {
  if (name === "ftruncate") {
    const length = Number(/^, (\d+)/.exec(rest)?.[1]);
    return {
      from,
      until,
      end: length,
      apply(file, keep) {
        if (!keep()) return;
        file.bytes.fill(0, length);
        file.length = length;
      },
    };
  }
  const [, hex, count, offset] = /^, "((?:\\x..)*)", (\d+), (\d+)/.exec(rest) ?? [];
  const bytes = bytesOf(hex);
  const start = Number(offset);
  if (name !== "pwrite64" || bytes.length !== Number(count)) {
    throw new Error(`${name} of a kind that is not known here`);
  }
  return {
    from,
    until,
    end: start + bytes.length,
    apply(file, keep) {
      for (let at = 0; at < bytes.length; at += SECTOR_BYTES) {
        if (!keep()) continue;
        const part = bytes.subarray(at, at + SECTOR_BYTES);
        part.copy(file.bytes, start + at);
        file.length = Math.max(file.length, start + at + part.length);
      }
    },
  };
}
