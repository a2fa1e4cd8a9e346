/** The load: the same for every server, from this one process. Owns: what is counted and when a figure begins and ends. */
import { readFileSync } from "node:fs";
import type { Pair, Side } from "./side.ts";

/** Unanswered messages of each pair in the closed loops. */
const WINDOW = 8;
const MS = 1_000;
/** Linux counts processor time in hundredths. */
const TICKS_PER_SECOND = 100;
/** Nothing more comes after so long without anything. */
const SILENCE_MS = 5_000;
const TICK_MS = 1;
const AT_ONCE = 50;

export interface Rate {
  readonly perSecond: number;
  /** Of the server, all threads, in and out of the kernel. */
  readonly cpuMicros: number;
}

export interface Latency {
  readonly p50: number;
  readonly p99: number;
  /** Sent and not arrived within the silence. */
  readonly missing: number;
}

const rest = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Counts until nothing is outstanding, or nothing comes any more. */
async function settled(outstanding: () => number, what: string): Promise<void> {
  let before = outstanding();
  let quietMs = 0;
  while (before > 0) {
    await rest(10);
    const now = outstanding();
    quietMs = now === before ? quietMs + 10 : 0;
    if (quietMs > SILENCE_MS) throw new Error(`${now} ${what} never came`);
    before = now;
  }
}

/** Closed loop for `ms`: who got an answer sends again. `heard` is where the answer is. */
async function closedLoop(
  side: Side,
  pairs: readonly Pair[],
  ms: number,
  heard: "arrived" | "accepted",
): Promise<Rate & { readonly count: number }> {
  let sent = 0;
  let answered = 0;
  let goesOn = true;
  const accepted = heard === "accepted";
  for (const pair of pairs) {
    pair[heard] = () => {
      answered++;
      if (!goesOn) return;
      sent++;
      pair.send(accepted);
    };
  }
  const before = { cpu: cpuSeconds(side.pid), at: performance.now() };
  for (const pair of pairs) {
    for (let at = 0; at < WINDOW; at++) {
      sent++;
      pair.send(accepted);
    }
  }
  await rest(ms);
  const inTime = answered;
  const took = performance.now() - before.at;
  goesOn = false;
  await settled(() => sent - answered, `messages of ${side.name}`);
  const cpu = cpuSeconds(side.pid) - before.cpu;
  return {
    count: sent,
    perSecond: (inTime * MS) / took,
    cpuMicros: (cpu * 1_000_000) / answered,
  };
}

/** Arrivals at connected receivers. */
export const routed = (side: Side, pairs: readonly Pair[], ms: number): Promise<Rate> =>
  closedLoop(side, pairs, ms, "arrived");

/** With the receivers away: first what the server says to have, then, all coming back at once, what arrives. */
export async function spoolAndDrain(
  side: Side,
  pairs: readonly Pair[],
  ms: number,
): Promise<{ readonly spool: Rate; readonly drain: Rate }> {
  for (const pair of pairs) await pair.leave();
  const spool = await closedLoop(side, pairs, ms, "accepted");
  for (const pair of pairs) await pair.come();
  let arrived = 0;
  let lastAt = 0;
  for (const pair of pairs) {
    pair.arrived = () => {
      arrived++;
      lastAt = performance.now();
    };
  }
  const before = { cpu: cpuSeconds(side.pid), at: performance.now() };
  for (const pair of pairs) pair.fetch();
  await settled(() => spool.count - arrived, `stored messages of ${side.name}`);
  const cpu = cpuSeconds(side.pid) - before.cpu;
  return {
    spool,
    drain: {
      perSecond: (arrived * MS) / (lastAt - before.at),
      cpuMicros: (cpu * 1_000_000) / arrived,
    },
  };
}

/** Open loop: so many a second whether answers come or not, from the moment each was due, over all pairs in turn. */
export async function paced(
  pairs: readonly Pair[],
  perSecond: number,
  ms: number,
  heard: "arrived" | "accepted",
): Promise<Latency> {
  const took: number[] = [];
  let sent = 0;
  const accepted = heard === "accepted";
  const dueOf = pairs.map((): number[] => []);
  for (const [index, pair] of pairs.entries()) {
    pair[heard] = () => took.push(performance.now() - (dueOf[index]?.shift() ?? 0));
  }
  const began = performance.now();
  for (let now = began; now - began < ms; now = performance.now()) {
    for (; began + (sent * MS) / perSecond <= now; sent++) {
      const index = sent % pairs.length;
      dueOf[index]?.push(began + (sent * MS) / perSecond);
      pairs[index]?.send(accepted);
    }
    await rest(TICK_MS);
  }
  const missing = await settled(() => sent - took.length, "").then(
    () => 0,
    () => sent - took.length,
  );
  const sorted = took.toSorted((one, other) => one - other);
  const at = (share: number): number => sorted[Math.floor(sorted.length * share)] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99), missing };
}

/** KB of the server's memory and milliseconds of its processor for each of `count` clients with nothing to do. */
export async function idle(
  side: Side,
  count: number,
): Promise<{ readonly kilobytes: number; readonly cpuMs: number }> {
  const FIRST = 200;
  await side.prepareIdle(count + FIRST);
  const open = async (upTo: number): Promise<void> => {
    for (let opened = 0; opened < upTo; opened += AT_ONCE) {
      await Promise.all(Array.from({ length: AT_ONCE }, () => side.idle()));
    }
  };
  // So that what the first of them make the server load does not count.
  await open(FIRST);
  const before = { memory: residentKb(side.pid), cpu: cpuSeconds(side.pid) };
  await open(count);
  return {
    kilobytes: (residentKb(side.pid) - before.memory) / count,
    cpuMs: ((cpuSeconds(side.pid) - before.cpu) * MS) / count,
  };
}

const residentKb = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);

function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}
