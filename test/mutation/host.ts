/**
 * Runs Vitest in the copy, file by file: `host.ts '{"log": …, "files": …}'`. A process of its own, so that main.ts can
 * end it when a mutant hangs. What `log` already says is not done again.
 */
import { createVitest } from "vitest/node";
import { append, readLog } from "./log.ts";

export interface Job {
  readonly log: string;
  readonly longest: number;
  /** Paths of test files, in the order they run. */
  readonly files: readonly string[];
  /** To be active while modules load, each with the test files that evaluate it. Empty: the runner's own round. */
  readonly loading: readonly { readonly mutant: string; readonly files: readonly string[] }[];
}

/** More often than this a file does not lose its process to what mutants leave behind. */
const ROUNDS_MAX = 400;

const job = JSON.parse(process.argv[2] ?? "{}") as Job;
const vitest = await createVitest({
  config: "test/mutation/vitest.config.ts",
  watch: false,
  // One mutant for all files of a round, so one process and one set of modules will do.
  ...(job.loading.length > 0 && { bail: 1, isolate: false }),
});
vitest.provide("log", job.log);
vitest.provide("longest", job.longest);

async function start(mutant: string, files: readonly string[]): Promise<boolean> {
  vitest.provide("mutant", mutant);
  vitest.state.filesMap.clear();
  vitest.state.errorsSet.clear();
  await vitest.start([...files]);
  const failed = vitest.state.getFiles().some((file) => file.result?.state === "fail");
  return !failed && vitest.state.errorsSet.size === 0;
}

if (job.loading.length === 0) {
  for (const file of job.files) {
    for (let round = 0; round < ROUNDS_MAX && !isDone(file); round++) await start("", [file]);
  }
} else {
  const known = new Set(
    readLog(job.log).map((event) =>
      "mutant" in event && event.is !== "trying" && event.test === "loading" ? event.mutant : "",
    ),
  );
  for (const { mutant, files } of job.loading) {
    if (known.has(mutant)) continue;
    append(job.log, { is: "trying", mutant, test: "loading" });
    const passes = await start(mutant, files);
    append(job.log, { is: passes ? "missed" : "noticed", mutant, test: "loading" });
  }
}
await vitest.close();
process.exit(0);

function isDone(file: string): boolean {
  return readLog(job.log).some((event) => event.is === "done" && file.endsWith(event.file));
}
