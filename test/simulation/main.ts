/**
 * `npm run simulate -- --seeds N --from S`: many seeds. `--seed X --trace`: one run, line by line.
 * `--faults a:1,b:2` lets only these happen, as a reduced failure prints them; `--bug name` plants one; `--real` uses
 * the real cipher suite; `--devices` gives people several devices; `--admins` makes all of them admins of one group, at
 * once; `--relays N` says how many there are, and `--lost` that one of them ends for good; `--crowd` makes every group a
 * large one, whose chains go on; `--twice` sees that each seed goes the same way again (I17); `--no-shrink` leaves
 * failures as they are; `--jobs N` runs seeds in N threads, as many as there are cores when it is left out.
 */
import { writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { isJobCount, JOBS_MAX, runSeeds } from "./many-seeds.ts";
import { PLANTED_BUGS } from "./planted.ts";
import {
  commandOf,
  isRelayCount,
  optionsOf,
  RELAYS_MAX,
  runOf,
  type Settings,
} from "./settings.ts";
import { listOf, shrink } from "./shrink.ts";
import { faultsLine, summaryOf } from "./tally.ts";

/** Failures reduced in one call: with more there is one cause. */
const SHRINKS_MAX = 3;
/** Between two lines about how far it is. */
const PROGRESS_EVERY_MS = 30_000;

const { values } = parseArgs({
  allowNegative: true,
  options: {
    seeds: { type: "string", default: "100" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    trace: { type: "boolean", default: false },
    faults: { type: "string" },
    bug: { type: "string" },
    devices: { type: "boolean", default: false },
    admins: { type: "boolean", default: false },
    relays: { type: "string" },
    lost: { type: "boolean", default: false },
    crowd: { type: "boolean", default: false },
    real: { type: "boolean", default: false },
    twice: { type: "boolean", default: false },
    jobs: { type: "string" },
    shrink: { type: "boolean", default: true },
  },
});
const bug = PLANTED_BUGS.find((one) => one === values.bug);
if (values.bug !== undefined && bug === undefined) {
  console.error(`no such bug; there are ${PLANTED_BUGS.join(", ")}`);
  process.exit(2);
}
if (values.relays !== undefined && !isRelayCount(Number(values.relays))) {
  console.error(`--relays is a whole number from 1 to ${RELAYS_MAX}`);
  process.exit(2);
}
const jobs =
  values.jobs === undefined ? Math.min(availableParallelism(), JOBS_MAX) : Number(values.jobs);
if (!isJobCount(jobs)) {
  console.error(`--jobs is a whole number from 1 to ${JOBS_MAX}`);
  process.exit(2);
}
// Lines of several runs at once say nothing.
const threads = values.trace || values.seed !== undefined ? 1 : jobs;
const settings: Settings = {
  ...values,
  bug,
  relays: values.relays === undefined ? undefined : Number(values.relays),
  only: values.faults ?? "",
};
const options = optionsOf(settings);
const run = runOf(settings);
const startedAt = performance.now();
const seconds = (): number => (performance.now() - startedAt) / 1_000;
let shrinks = 0;
let reduced = Promise.resolve();
let toldAt = startedAt;

const tally = await runSeeds({
  from: Number(values.seed ?? values.from),
  seeds: values.seed === undefined ? Number(values.seeds) : 1,
  jobs: threads,
  settings,
  failed({ seed, failures }) {
    console.log(`seed ${seed}: ${failures.join("; ")}`);
    console.log(`  ${commandOf(seed, settings)}`);
    if (!values.shrink || options.only !== undefined || shrinks++ >= SHRINKS_MAX) return;
    reduced = reduced.then(() => reduce(seed));
    // Other threads go on meanwhile.
    return threads === 1 ? reduced : undefined;
  },
  counted(sofar) {
    if (performance.now() - toldAt < PROGRESS_EVERY_MS) return;
    toldAt = performance.now();
    console.error(summaryOf(sofar, seconds()));
  },
  ...(values.trace ? { trace: (line: string) => console.log(line) } : {}),
});
const took = seconds();
await reduced;
console.log(`faults: ${faultsLine(tally)}`);
console.log(summaryOf(tally, took));
process.exitCode = tally.failed === 0 ? 0 : 1;

async function reduce(seed: number): Promise<void> {
  const shrunk = await shrink(seed, options, undefined, run);
  if (shrunk === undefined) return;
  const { invariant, only, from, runs } = shrunk;
  const lines: string[] = [];
  const trace = (line: string): void => void lines.push(line);
  await run(seed, { ...options, only: new Set(only), trace });
  const file = join(tmpdir(), `sotto-seed-${seed}.trace`);
  writeFileSync(file, `${lines.join("\n")}\n`);
  console.log(`  ${invariant} needs ${only.length} of ${from} (${runs} runs); trace in ${file}`);
  console.log(`  ${commandOf(seed, { ...settings, only: listOf(only) })}`);
}
