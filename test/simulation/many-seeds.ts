/**
 * Many seeds, on one core or on several: a thread takes a few at a time and answers with what they come to.
 * Owns: the handing out. Leaves to tally.ts: what is counted; to main.ts: what is printed.
 */
import { on } from "node:events";
import { Worker } from "node:worker_threads";
import { optionsOf, runOf, type Settings } from "./settings.ts";
import type { RunOptions } from "./simulate.ts";
import { add, count, emptyTally, type Tally } from "./tally.ts";

/** More threads than this do not fit on the machines that it is for. */
export const JOBS_MAX = 64;
export const isJobCount = (jobs: number): boolean =>
  Number.isSafeInteger(jobs) && jobs >= 1 && jobs <= JOBS_MAX;

/** So few that no thread ends much later than the others, and so many that they seldom wait for the next. */
const SEEDS_PER_PART = 20;

export interface Failure {
  readonly seed: number;
  readonly failures: readonly string[];
}

export interface ManySeeds {
  readonly from: number;
  readonly seeds: number;
  /** From 1 to JOBS_MAX; with 1 everything runs in this thread. */
  readonly jobs: number;
  readonly settings: Settings;
  /** As soon as it is known. */
  readonly failed: (failure: Failure) => void | Promise<void>;
  /** After each part, with what there is so far. */
  readonly counted?: (tally: Tally) => void;
  /** Of every line of every run; with 1 job only. */
  readonly trace?: RunOptions["trace"];
}

/** What a thread is asked for… */
export interface Part {
  readonly from: number;
  readonly seeds: number;
}

/** …and answers: its failures, each as it is found, then what the part comes to. */
export type Answer = { readonly failure: Failure } | { readonly tally: Tally };

/** Rejects with what a run throws; the other threads are ended then. */
export async function runSeeds(many: ManySeeds): Promise<Tally> {
  const { from, seeds, jobs, counted } = many;
  const tally = emptyTally();
  let at = from;
  const next = (): Part | undefined => {
    const part = { from: at, seeds: Math.min(SEEDS_PER_PART, from + seeds - at) };
    at += part.seeds;
    return part.seeds > 0 ? part : undefined;
  };
  const take = (part: Tally): void => {
    add(tally, part);
    counted?.(tally);
  };
  if (jobs === 1) {
    for (let part = next(); part !== undefined; part = next()) take(await runPart(part, many));
    return tally;
  }
  const threads = Array.from({ length: Math.min(jobs, Math.ceil(seeds / SEEDS_PER_PART)) }, () =>
    startThread(many.settings),
  );
  try {
    await Promise.all(threads.map((thread) => feed(thread, next, take, many.failed)));
  } finally {
    await Promise.all(threads.map((thread) => thread.terminate()));
  }
  return tally;
}

/** The condition is named here, too: whoever starts it (a test) may find the sources in another way. */
const startThread = (settings: Settings): Worker =>
  new Worker(new URL("./seeds-thread.ts", import.meta.url), {
    workerData: settings,
    execArgv: ["--conditions=@sotto/source", "--disable-warning=ExperimentalWarning"],
  });

async function feed(
  thread: Worker,
  next: () => Part | undefined,
  take: (tally: Tally) => void,
  failed: ManySeeds["failed"],
): Promise<void> {
  // Rejects when the thread throws. At most a part's failures wait in it.
  const answers = on(thread, "message") as AsyncIterator<readonly [Answer]>;
  for (let part = next(); part !== undefined; part = next()) {
    thread.postMessage(part);
    for (let isDone = false; !isDone;) {
      const [answer] = (await answers.next()).value;
      isDone = "tally" in answer;
      if ("tally" in answer) take(answer.tally);
      else await failed(answer.failure);
    }
  }
}

export async function runPart(
  { from, seeds }: Part,
  { settings, failed, trace }: Pick<ManySeeds, "settings" | "failed" | "trace">,
): Promise<Tally> {
  const [run, options] = [runOf(settings), optionsOf(settings)];
  const tally = emptyTally();
  for (let seed = from; seed < from + seeds; seed++) {
    const result = await run(seed, { ...options, ...(trace === undefined ? {} : { trace }) });
    count(tally, result);
    if (result.failures.length > 0) await failed({ seed, failures: result.failures });
  }
  return tally;
}
