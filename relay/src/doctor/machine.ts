/** The machine a relay runs on: its disk, its memory, how many sockets it may have. */
import {
  closeSync,
  fsyncSync,
  openSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeSync,
} from "node:fs";
import { freemem, totalmem } from "node:os";
import { join } from "node:path";
import { type Check, codeOf, failed, ok, warn } from "./check.ts";

const SYNCS = 20;
const PAGE_BYTES = 4_096;
const SYNC_WARN_MS = 20;
const FREE_WARN_BYTES = 1_073_741_824;
const MEMORY_WARN_BYTES = 209_715_200;
/** Beside clients: the database, the app's files, sockets that are no clients. */
const FILES_BESIDE = 2_500;
const MIB = 1_048_576;

export function checkMachine(data: string, connectionsMax: number): readonly Check[] {
  return [checkDisk(data), checkFree(data), checkMemory(), checkFiles(connectionsMax)];
}

/** How long a flush takes: the wait of every sender whose receiver is away. */
function checkDisk(data: string): Check {
  const path = join(data, "doctor");
  try {
    const file = openSync(path, "w", 0o600);
    const took: number[] = [];
    try {
      for (let count = 0; count < SYNCS; count++) {
        const from = performance.now();
        writeSync(file, new Uint8Array(PAGE_BYTES));
        fsyncSync(file);
        took.push(performance.now() - from);
      }
    } finally {
      closeSync(file);
      rmSync(path);
    }
    const median = took.toSorted((one, other) => one - other)[SYNCS / 2] ?? 0;
    const words = `a flush takes ${median.toFixed(1)} ms`;
    return median > SYNC_WARN_MS ? warn("disk", `${words}: use a local SSD`) : ok("disk", words);
  } catch (error) {
    return failed("disk", `${codeOf(error)}: server.data cannot be written to`);
  }
}

function checkFree(data: string): Check {
  try {
    const { bavail, bsize } = statfsSync(data);
    const words = `${Math.floor((bavail * bsize) / MIB)} MiB free`;
    return bavail * bsize < FREE_WARN_BYTES ? warn("room", words) : ok("room", words);
  } catch (error) {
    return failed("room", codeOf(error));
  }
}

function checkMemory(): Check {
  const words = `${Math.floor(freemem() / MIB)} of ${Math.floor(totalmem() / MIB)} MiB free`;
  return freemem() < MEMORY_WARN_BYTES ? warn("memory", words) : ok("memory", words);
}

function checkFiles(connectionsMax: number): Check {
  let limits: string;
  try {
    limits = readFileSync("/proc/self/limits", "utf8");
  } catch {
    return warn("files", "cannot be told on this system");
  }
  const soft = /^Max open files\s+(\d+|unlimited)/m.exec(limits)?.[1] ?? "0";
  const needed = connectionsMax + FILES_BESIDE;
  const words = `${soft} open files allowed here, ${needed} needed for limits.max_connections`;
  const enough = soft === "unlimited" || Number(soft) >= needed;
  return enough ? ok("files", words) : failed("files", `${words}: LimitNOFILE, ulimit -n`);
}
