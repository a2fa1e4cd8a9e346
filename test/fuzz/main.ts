/**
 * `npm run fuzz -- --time 600`: all targets in turn. See `--help`.
 * A failing input is made smaller, written to a file and printed with the line that runs it again.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createRandom } from "../simulation/random.ts";
import { hasCorpus, readCorpus, writeCorpus } from "./corpus.ts";
import { instrument } from "./instrument.ts";
import { type Campaign, createCampaign, type Failure, shrinkFailure, tryOnce } from "./loop.ts";
import { createDictionary } from "./mutate.ts";
import { PLANTED, SMALL_LIMITS } from "./planted.ts";
import type { Target } from "./target.ts";
import { startWatchdog } from "./watchdog.ts";

const HELP = `npm run fuzz -- [options]
  --target A,B     only these; a trailing * stands for any ending
  --except A,B     not these
  --time S         seconds for all of them together (60)
  --runs N         so many inputs for each target instead of a time
  --seed N         the same inputs again, with --runs
  --input FILE     runs one input and says what became of it
  --small-limits   with the limits of a session so small that short sequences reach them
  --bug NAME       with a deliberate bug: ${PLANTED.map((bug) => bug.name).join(", ")}
  --save           writes what was found new, minimised, into the corpus
  --list           names the targets
  --report FILE    numbers as JSON`;

const { values } = parseArgs({
  options: {
    target: { type: "string", default: "*" },
    except: { type: "string", default: "" },
    time: { type: "string", default: "60" },
    runs: { type: "string" },
    seed: { type: "string" },
    input: { type: "string" },
    bug: { type: "string" },
    report: { type: "string" },
    "small-limits": { type: "boolean", default: false },
    save: { type: "boolean", default: false },
    list: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

/** What `fuzz.test.ts` reads. */
export interface Report {
  readonly seed: number;
  readonly targets: readonly {
    readonly name: string;
    readonly runs: number;
    readonly accepted: number;
    readonly corpus: number;
    readonly features: number;
  }[];
  readonly uncovered: readonly string[];
  readonly unknown: readonly string[];
  readonly failure:
    | { readonly target: string; readonly message: string; readonly replay: string }
    | undefined;
}

/** How long one target runs before the next has its turn, in ms for a weight of 1. */
const SLICE_MS = 250;
const OUTPUT = join(tmpdir(), "sotto-fuzz");

if (values.help) {
  console.log(HELP);
} else {
  process.exitCode = await main();
}

async function main(): Promise<number> {
  const bug = PLANTED.find((one) => one.name === values.bug);
  if (values.bug !== undefined && bug === undefined) {
    console.error(HELP);
    return 2;
  }
  const probe = instrument({
    patches: bug?.patches ?? [],
    constants: values["small-limits"] ? SMALL_LIMITS : {},
  });
  // Only now: what is imported from here on is instrumented.
  const { TARGETS, uncovered, unknown } = await import("./targets/index.ts");
  probe.check();
  const isAmong = (list: string, name: string): boolean =>
    list
      .split(",")
      .some((one) => (one.endsWith("*") ? name.startsWith(one.slice(0, -1)) : name === one));
  const targets = TARGETS.filter(
    ({ name }) => isAmong(values.target, name) && !isAmong(values.except, name),
  );
  if (values.list) {
    for (const { name, covers } of targets) console.log(`${name}: ${covers.join(", ")}`);
    return 0;
  }
  if (targets.length === 0) {
    console.error(`no such target; there are ${TARGETS.map(({ name }) => name).join(", ")}`);
    return 2;
  }
  if (values.input !== undefined) return runOne(targets, probe, values.input);

  const seed = Number(values.seed ?? Math.floor(Math.random() * 0x1_0000_0000));
  console.log(`seed ${seed}`);
  const random = createRandom(seed);
  const dictionary = createDictionary(probe.dictionary());
  mkdirSync(OUTPUT, { recursive: true });
  const dog = await startWatchdog(join(OUTPUT, `hangs-${process.pid}`));
  const campaigns: Campaign[] = [];
  for (const target of targets) {
    const seeds = await target.seeds();
    const known = readCorpus(target.name);
    campaigns.push(
      createCampaign(target, probe, dictionary, seeds, known, random.fork(), (input) =>
        dog.watch(input),
      ),
    );
  }
  const found = await run(campaigns);
  await dog.stop();
  const failure = found === undefined ? undefined : await describe(found, probe);
  for (const one of campaigns) {
    console.log(
      `${one.target.name}: ${one.runs()} inputs, ${one.accepted()} accepted, ${one.corpus().length} kept, ` +
        `${one.features()} features, ${(one.effort() * 100).toFixed(0)}% of the allowed steps`,
    );
  }
  const report: Report = {
    seed,
    targets: campaigns.map((one) => ({
      name: one.target.name,
      runs: one.runs(),
      accepted: one.accepted(),
      corpus: one.corpus().length,
      features: one.features(),
    })),
    uncovered: uncovered(),
    unknown: unknown(),
    failure,
  };
  if (values.report !== undefined) writeFileSync(values.report, JSON.stringify(report));
  if (failure !== undefined) {
    console.log(`FOUND in ${failure.target}: ${failure.message}\n  ${failure.replay}`);
    return 1;
  }
  // What a bug or a small limit reaches says nothing about the code as it is.
  if (values.save && bug === undefined && !values["small-limits"]) {
    for (const one of campaigns.filter(({ target }) => hasCorpus(target.name))) {
      writeCorpus(one.target.name, await one.minimised());
    }
  }
  return 0;
}

interface Found {
  readonly target: Target;
  readonly failure: Failure;
}

/** Each in turn for a slice, so that a short run has seen them all. */
async function run(campaigns: readonly Campaign[]): Promise<Found | undefined> {
  const runsMax = values.runs === undefined ? undefined : Number(values.runs);
  const end = performance.now() + Number(values.time) * 1_000;
  for (;;) {
    for (const one of campaigns) {
      const sliceEnd = performance.now() + SLICE_MS * one.target.weight;
      const failure = await one.go((runs) =>
        runsMax === undefined
          ? performance.now() >= Math.min(sliceEnd, end)
          : runs >= Math.max(runsMax, 1),
      );
      if (failure !== undefined) return { target: one.target, failure };
    }
    if (runsMax !== undefined || performance.now() >= end) return undefined;
  }
}

async function describe({ target, failure }: Found, probe: Parameters<typeof tryOnce>[1]) {
  const small = await shrinkFailure(target, probe, failure);
  const file = join(OUTPUT, `${target.name}-${Date.now()}`);
  writeFileSync(file, small.input);
  const more = `${values["small-limits"] ? " --small-limits" : ""}${values.bug === undefined ? "" : ` --bug ${values.bug}`}`;
  const replay = `npm run fuzz -- --target ${target.name} --input ${file}${more}`;
  return { target: target.name, message: small.message, replay };
}

async function runOne(
  targets: readonly Target[],
  probe: Parameters<typeof tryOnce>[1],
  file: string,
): Promise<number> {
  const input = Uint8Array.from(readFileSync(file));
  let failed = 0;
  for (const target of targets) {
    await target.seeds();
    const outcome = await tryOnce(target, probe, input);
    if (typeof outcome === "string") failed++;
    const verdict =
      typeof outcome === "string" ? outcome : outcome.accepted ? "accepted" : "refused";
    console.log(`${target.name}: ${verdict}`);
    try {
      await target.run(input);
    } catch (error) {
      console.log(error instanceof Error ? error.stack : error);
    }
  }
  return failed === 0 ? 0 : 1;
}
