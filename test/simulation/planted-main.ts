/**
 * `npm run planted`: every deliberate bug of the catalogue, and what killed it. `--simulated` leaves out those that
 * test files kill, `--only id` takes one, `--part 2/3` every third from the second on. Ends with 1 when a bug survives, or is killed by nothing but a later layer.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { applyPatches } from "../setup/patch.ts";
import { CATALOGUE, type Entry, NO_BUG } from "./catalogue.ts";
import { createPlantedLoader } from "./planted-loader.ts";
import { type Run, twice } from "./run-again.ts";
import { simulate } from "./simulate.ts";
import { simulateDevices } from "./simulate-devices.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const SEEDS_MAX = 60;
/** With a bug so many times as much may happen as without it; a storm shows nothing new after that. */
const STORM = 4;

const { values } = parseArgs({
  options: {
    simulated: { type: "boolean", default: false },
    only: { type: "string" },
    part: { type: "string", default: "1/1" },
  },
});

type TestKiller = Extract<Entry["killer"], { file: unknown }>;

interface Verdict {
  readonly killed: boolean;
  readonly by: string;
  readonly after: string;
}

const loader = createPlantedLoader();

async function bySimulation(
  entry: Entry,
  killer: Extract<Entry["killer"], { invariant: unknown }>,
): Promise<Verdict> {
  const { id, how } = entry;
  const options = { faults: killer.faults ?? {}, admins: killer.admins === true };
  // Those two are told by a second run, which has to see all of the first.
  const isOfOneRun = killer.invariant !== "I15" && killer.invariant !== "I17";
  const hunted = { ...options, until: killer.invariant };
  const devices = killer.devices === true;
  const watched = (one: Run): Run => (killer.invariant === "I17" ? twice(one) : one);
  const run = watched(devices ? simulateDevices : simulate);
  const planted =
    typeof how === "string" ? undefined : watched(await loader.load(id, how, devices));
  const others = new Set<string>();
  const first = killer.seed === undefined ? [] : [killer.seed];
  const seeds = [...first, ...Array.from({ length: SEEDS_MAX }, (_, index) => index + 1)];
  for (const seed of seeds) {
    const healthy = await run(seed, options);
    const enough = isOfOneRun ? { ...hunted, eventsMax: STORM * healthy.events } : options;
    const { broken } =
      planted === undefined
        ? await run(seed, typeof how === "string" ? { bug: how, ...enough } : enough)
        : await planted(seed, enough);
    for (const one of broken) others.add(one);
    if (!broken.has(killer.invariant)) continue;
    if (healthy.failures.length > 0) {
      return { killed: false, by: "a seed that fails without it", after: `seed ${seed}` };
    }
    const also = [...others].filter((one) => one !== killer.invariant);
    const by = `${killer.invariant}${also.length > 0 ? ` (also ${also.join(" ")})` : ""}`;
    return { killed: true, by, after: `seed ${seed}` };
  }
  const by = others.size === 0 ? "nothing" : `only ${[...others].join(" ")}`;
  return { killed: false, by, after: `${SEEDS_MAX} seeds` };
}

/** Failed tests of this file, or undefined when none of that name ran. */
function failuresOf(id: string, { file, test }: TestKiller): readonly string[] | undefined {
  const folder = mkdtempSync(join(tmpdir(), "sotto-planted-"));
  const report = join(folder, "report.json");
  const met = join(folder, "met");
  const settings = ["--config", "test/simulation/planted.config.ts", "--reporter=json"];
  const which = ["-t", test.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`), file];
  spawnSync("npx", ["vitest", "run", ...settings, `--outputFile.json=${report}`, ...which], {
    cwd: ROOT,
    env: { ...process.env, SOTTO_PLANTED: id, SOTTO_PLANTED_MET: met },
    stdio: "ignore",
  });
  const { testResults } = JSON.parse(readFileSync(report, "utf8")) as {
    readonly testResults: readonly {
      readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
    }[];
  };
  const isPlanted = existsSync(met);
  rmSync(folder, { recursive: true });
  if (isPlanted === (id === NO_BUG)) throw new Error(`${id}: never met what it changes`);
  const ran = testResults
    .flatMap((one) => one.assertionResults)
    .filter((one) => one.status === "passed" || one.status === "failed");
  if (ran.length === 0) return undefined;
  return ran.filter((one) => one.status === "failed").map((one) => one.fullName);
}

function byTest({ id, how }: Entry, killer: TestKiller): Verdict {
  if (typeof how === "string") throw new Error(`${id}: a flag is nothing for test files`);
  // Here it fails loudly when the place is gone; inside the run that would look like a kill.
  for (const { file } of how) applyPatches(file, readFileSync(`${ROOT}${file}`, "utf8"), how);
  const [first] = failuresOf(id, killer) ?? [];
  if (first === undefined) return { killed: false, by: "nothing", after: killer.test };
  const healthy = failuresOf(NO_BUG, killer);
  if (healthy?.length !== 0) {
    return { killed: false, by: "a test that fails without it", after: first };
  }
  return { killed: true, by: killer.file, after: `"${first.slice(0, 60)}"` };
}

/** Of this process: what a test file takes is not in it. */
const cpuSeconds = (): number => process.cpuUsage().user / 1e6;

const [part = 1, parts = 1] = values.part.split("/").map(Number);
const entries = CATALOGUE.filter(
  ({ id, killer }) =>
    (values.only === undefined || values.only === id) &&
    (!values.simulated || "invariant" in killer),
).filter((_, index) => index % parts === part - 1);
let survivors = 0;
for (const entry of entries) {
  const { killer } = entry;
  const before = cpuSeconds();
  const verdict = "invariant" in killer ? await bySimulation(entry, killer) : byTest(entry, killer);
  if (!verdict.killed) survivors++;
  const sign = verdict.killed ? "killed  " : "SURVIVES";
  const took = `${(cpuSeconds() - before).toFixed(1)} s`;
  console.log(`${sign} ${entry.id.padEnd(28)} ${verdict.by.padEnd(36)} ${took} ${verdict.after}`);
}
console.log(
  `${entries.length} planted, ${entries.length - survivors} killed, ${survivors} survive`,
);
process.exitCode = survivors === 0 && entries.length > 0 ? 0 : 1;
