/**
 * Makes mutants of the sources of `wire` or `crypto` and runs the package's own tests against each:
 * `npm run mutation -- --package wire --file bytes.ts`. Prints what the tests did not notice, and the share they did.
 * Owns: the copy with the mutants, ending what hangs, the count. Leaves to README.md: the last numbers, and why what is
 * left is left.
 */
import { spawn } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Instrumenter } from "@stryker-mutator/instrumenter";
import type { Job } from "./host.ts";
import { append, CONTROL, type Event, readLog } from "./log.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PACKAGES = ["wire", "crypto"] as const;
/** Percent: what each package holds itself to. */
const GOAL = 85;
/** Longer than any test may take, on a busy machine too: whatever is silent for that long hangs. */
const SILENCE_MS = 120_000;
/** The longest tests of the rounds before the last one. */
const QUICK_MS = [30, 150] as const;
/** Everything the tests of the packages need. No tsconfig.json: it would refer to the rest. */
const COPIED = [
  "package.json",
  ...PACKAGES.flatMap((name) =>
    ["src", "test", "package.json", "SPEC.md"].map((part) => `packages/${name}/${part}`),
  ),
  "test/mutation",
  "test/simulation/stub-crypto.ts",
  "test/vectors",
];

const { values } = parseArgs({
  options: {
    package: { type: "string", multiple: true, default: [...PACKAGES] },
    file: { type: "string", multiple: true },
    /** The copy of a run that was ended: what it found is not looked for again. */
    resume: { type: "string" },
    /** Milliseconds of the processor that a test may take without a mutant to judge any. */
    longest: { type: "string", default: "1000" },
  },
});

type Mutants = Awaited<ReturnType<Instrumenter["instrument"]>>["mutants"];

for (const name of values.package) {
  if (!PACKAGES.some((known) => known === name)) throw new RangeError(`no package ${name}`);
  const copy = values.resume ?? makeCopy();
  const mutants = values.resume === undefined ? await plant(copy, name) : readMutants(copy);
  console.log(
    `${name}: ${mutants.length} mutants, described with what is known of them in ${copy}`,
  );
  await judge(copy, name);
  report(mutants, readLog(join(copy, "log.ndjson")));
}

function makeCopy(): string {
  const copy = mkdtempSync(join(tmpdir(), "sotto-mutation-"));
  for (const path of COPIED) {
    mkdirSync(dirname(join(copy, path)), { recursive: true });
    cpSync(join(ROOT, path), join(copy, path), { recursive: true });
  }
  symlinkSync(join(ROOT, "node_modules"), join(copy, "node_modules"));
  return copy;
}

function readMutants(copy: string): Mutants {
  return JSON.parse(readFileSync(join(copy, "mutants.json"), "utf8")) as Mutants;
}

/** Replaces sources by ones that hold all their mutants, each off until the runner switches it on. */
async function plant(copy: string, name: string): Promise<Mutants> {
  const folder = join(copy, "packages", name, "src");
  const sources = readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts") && (values.file?.includes(file) ?? true))
    .map((file) => join(folder, file));
  const silent = (): false => false;
  const logger = {
    isTraceEnabled: silent,
    isDebugEnabled: silent,
    isInfoEnabled: silent,
    isWarnEnabled: silent,
    isErrorEnabled: silent,
    isFatalEnabled: silent,
    trace: silent,
    debug: silent,
    info: silent,
    warn: silent,
    error: silent,
    fatal: silent,
  };
  const { files, mutants } = await new Instrumenter(logger).instrument(
    sources.map((path) => ({ name: path, mutate: true, content: readFileSync(path, "utf8") })),
    { plugins: null, excludedMutations: [], ignorers: [] },
  );
  for (const file of files) writeFileSync(file.name, file.content);
  writeFileSync(join(copy, "mutants.json"), JSON.stringify(mutants));
  return mutants;
}

/**
 * First the quick tests of every file, which notice most; then the longer ones for what is left; then, loaded anew for
 * each, what is evaluated on loading.
 */
async function judge(copy: string, name: string): Promise<void> {
  const tests = join(copy, "packages", name, "test");
  const files = readdirSync(tests)
    .filter((file) => /(?<!browser)\.test\.ts$/.test(file))
    .filter((file) => !/^(long-conversation|wycheproof|secrecy)\./.test(file))
    .map((file) => join(tests, file));
  const log = join(copy, "log.ndjson");
  const longest = Number(values.longest);
  for (const most of [...QUICK_MS, longest]) {
    await host(copy, { log, longest: most, files, loading: {} });
  }

  const events = readLog(log);
  const noticed = noticedBy(events);
  const total = (ms: Readonly<Record<string, number>>): number =>
    Object.values(ms).reduce((sum, one) => sum + one, 0);
  const reached = events
    .filter((event) => event.is === "reached")
    .toSorted((a, b) => total(a.ms) - total(b.ms));
  // What tests reach as well was judged by those.
  const tested = new Set(reached.flatMap(({ testing }) => testing));
  const loading: Record<string, readonly string[]> = {};
  for (const { file, loading: mutants } of reached) {
    loading[join(copy, file)] = mutants.filter(
      (mutant) => !noticed.has(mutant) && !tested.has(mutant),
    );
  }
  await host(copy, { log, longest, files: Object.keys(loading), loading });
}

/** Runs the job until it ends by itself; after a silence, says which mutant hung and runs it again for the rest. */
async function host(copy: string, job: Job): Promise<void> {
  for (;;) {
    const child = spawn(
      process.execPath,
      ["--conditions=@sotto/source", "test/mutation/host.ts", JSON.stringify(job)],
      { cwd: copy, detached: true, stdio: ["ignore", "ignore", "inherit"] },
    );
    let length = 0;
    let hung = false;
    const watch = setInterval(() => {
      const now = readLog(job.log).length;
      if (now > length) {
        length = now;
      } else if (child.pid !== undefined) {
        hung = true;
        process.kill(-child.pid, "SIGKILL");
      }
    }, SILENCE_MS);
    const code = await new Promise((resolve) => child.once("exit", resolve));
    clearInterval(watch);
    const last = readLog(job.log).at(-1);
    if (!hung) {
      if (code !== 0) throw new Error(`the tests ended with ${String(code)}`);
      return;
    }
    if (last?.is !== "trying") throw new Error("the tests hang without a mutant");
    append(job.log, { is: "hung", mutant: last.mutant, test: last.test });
  }
}

function noticedBy(events: readonly Event[]): ReadonlyMap<string, string> {
  const noticed = new Map<string, string>();
  for (const event of events) {
    if (event.is === "noticed") noticed.set(event.mutant, event.test);
    if (event.is === "hung") noticed.set(event.mutant, "hung");
  }
  return noticed;
}

function report(mutants: Mutants, events: readonly Event[]): void {
  const noticed = noticedBy(events);
  if (noticed.has(CONTROL)) throw new Error("a mutant left something behind for those after it");
  const reached = new Set(
    events.flatMap((event) => (event.is === "reached" ? [...event.loading, ...event.testing] : [])),
  );
  for (const event of events) {
    if (event.is === "fails") console.log(`fails without a mutant: ${event.test}`);
  }
  const line = (name: string, those: Mutants): void => {
    const count = those.filter(({ id }) => noticed.has(id)).length;
    const hung = those.filter(({ id }) => noticed.get(id) === "hung").length;
    const share = those.length === 0 ? 100 : (100 * count) / those.length;
    const below = share < GOAL ? `, below ${GOAL}` : "";
    console.log(
      `${name}: ${share.toFixed(1)} % (${count} of ${those.length}, ${hung} hung)${below}`,
    );
  };
  for (const [file, those] of Map.groupBy(mutants, ({ fileName }) => fileName)) {
    for (const { id, location, mutatorName, replacement } of those) {
      if (noticed.has(id)) continue;
      const where = `${basename(file)}:${location.start.line + 1}:${location.start.column + 1}`;
      const how = reached.has(id) ? "missed" : "unreached";
      console.log(`${where} ${how} ${mutatorName}: ${replacement.replaceAll(/\s+/g, " ")}`);
    }
    line(basename(file), those);
  }
  line("all", mutants);
}
