/**
 * `npm run simulate -- --seeds N --from S`: many seeds. `--seed X --trace`: one run, line by line.
 * `--faults a:1,b:2` lets only these happen, as a reduced failure prints them; `--bug name` plants one; `--real` uses
 * the real cipher suite; `--devices` gives people several devices; `--admins` makes all of them admins of one group, at
 * once; `--relays N` says how many there are, and `--lost` that one of them ends for good; `--twice` sees that each seed
 * goes the same way
 * again (I17); `--no-shrink` leaves failures as they are.
 */
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
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
import { ACTS } from "./simulate.ts";

/** Failures reduced in one call: with more there is one cause. */
const SHRINKS_MAX = 3;
const PROGRESS_EVERY = 1_000;

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
    real: { type: "boolean", default: false },
    twice: { type: "boolean", default: false },
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
const settings: Settings = {
  ...values,
  bug,
  relays: values.relays === undefined ? undefined : Number(values.relays),
  only: values.faults ?? "",
};
const options = optionsOf(settings);
const run = runOf(settings);
const first = Number(values.seed ?? values.from);
const count = values.seed === undefined ? Number(values.seeds) : 1;
const startedAt = performance.now();
let [failed, steps, accepted, simulatedMs, shrinks] = [0, 0, 0, 0, 0];
let [putBack, oldKeys, gone] = [0, 0, 0];
const faults = new Map<string, number>();

for (let seed = first; seed < first + count; seed++) {
  if (seed > first && (seed - first) % PROGRESS_EVERY === 0) report(seed - first);
  const result = await run(seed, {
    ...options,
    ...(values.trace ? { trace: (line: string) => console.log(line) } : {}),
  });
  steps += result.steps;
  accepted += result.accepted;
  putBack += result.restored.stores;
  oldKeys += result.restored.oldKeys;
  gone += result.restored.gone;
  simulatedMs += result.simulatedMs;
  for (const { kind } of result.decisions) {
    if (!ACTS.includes(kind)) faults.set(kind, (faults.get(kind) ?? 0) + 1);
  }
  if (result.failures.length === 0) continue;
  failed++;
  console.log(`seed ${seed}: ${result.failures.join("; ")}`);
  console.log(`  ${commandOf(seed, settings)}`);
  if (values.shrink && options.only === undefined && shrinks++ < SHRINKS_MAX) await reduce(seed);
}
const kinds = [...faults].toSorted((a, b) => b[1] - a[1]).map((one) => one.join(" "));
console.log(`faults: ${kinds.join(", ")}`);
report(count);
process.exitCode = failed === 0 ? 0 : 1;

function report(done: number): void {
  const seconds = (performance.now() - startedAt) / 1_000;
  if (putBack > 0) {
    console.log(
      `${putBack} stores put back, ${gone} texts gone with them, ${oldKeys} messages under keys of before (I16)`,
    );
  }
  const injected = [...faults.values()].reduce((sum, one) => sum + one, 0);
  console.log(
    `${done} seeds, ${failed} failed, ${injected} faults, ${steps} steps, ${accepted} messages, ${(simulatedMs / 3_600_000).toFixed(1)} simulated hours, ${(done / seconds).toFixed(1)} seeds/s`,
  );
}

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
