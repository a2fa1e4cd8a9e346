/**
 * Runs Vitest in the copy, file by file: `host.ts '{"log": …, "files": …}'`. A process of its own, so that main.ts can
 * end it when a mutant hangs. What `log` already says is not done again.
 */
import { rmSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { createVitest } from "vitest/node";
import { CONTROL, loadingTest, readLog } from "./log.ts";

export interface Job {
  readonly log: string;
  /** Milliseconds: see runner.ts. */
  readonly longest: number;
  /** Paths of test files, in the order they run. */
  readonly files: readonly string[];
  /** To be active while modules load, by test file. Empty: the runner's own round. */
  readonly loading: Readonly<Record<string, readonly string[]>>;
}

/** More often than this a file does not lose its process to what mutants leave behind. */
const ROUNDS_MAX = 400;

const job = JSON.parse(process.argv[2] ?? "{}") as Job;
const own = Object.keys(job.loading).length === 0;
const vitest = await createVitest({
  config: "test/mutation/vitest.config.ts",
  watch: false,
  // The runner itself loads modules anew for each mutant: a new process for each takes ten times as long.
  isolate: own,
});
vitest.provide("log", job.log);
vitest.provide("longest", job.longest);

if (own) {
  for (const file of job.files) {
    for (let round = 0; round < ROUNDS_MAX && !isDone(file); round++) await start([file]);
  }
} else {
  for (const file of job.files) await judgeLoading(file, job.loading[file] ?? []);
}
await vitest.close();
process.exit(0);

async function start(files: readonly string[]): Promise<void> {
  vitest.state.filesMap.clear();
  await vitest.start([...files]);
}

/** Each mutant gets a file of its own that only imports the tests; its name tells the runner which it is for. */
async function judgeLoading(file: string, mutants: readonly string[]): Promise<void> {
  const log = readLog(job.log);
  const left = mutants.filter(
    (mutant) =>
      !log.some(
        (event) =>
          "mutant" in event &&
          event.mutant === mutant &&
          (event.is === "noticed" ||
            event.is === "hung" ||
            (event.is === "missed" && event.test === loadingTest(file))),
      ),
  );
  if (left.length === 0) return;
  const wrappers = [...left, CONTROL].map(
    (mutant) => `${file.slice(0, -".test.ts".length)}.${mutant}.loading.test.ts`,
  );
  for (const wrapper of wrappers) writeFileSync(wrapper, `import "./${basename(file)}";\n`);
  vitest.state.filesMap.clear();
  // Not by their names: which files there are is looked up once.
  const project = vitest.getRootProject();
  await vitest.runTestSpecifications(
    wrappers.map((wrapper) => project.createSpecification(wrapper)),
  );
  for (const wrapper of wrappers) rmSync(wrapper);
}

function isDone(file: string): boolean {
  return readLog(job.log).some(
    (event) => event.is === "done" && event.longest === job.longest && file.endsWith(event.file),
  );
}
