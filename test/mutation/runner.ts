/**
 * Runs each test once as it is, and then again with each mutant it reached, in the same process: loading the modules
 * anew for each of thousands of mutants would take a day.
 * Owns: which mutants a test reaches, whether it notices them, whether the process is still fit for the next one.
 * Leaves to main.ts: the mutants, the files, what runs when a mutant is in what is evaluated on loading.
 */
import { inject, TestRunner } from "vitest";
import { append, readLog } from "./log.ts";

type Test = Parameters<TestRunner["onAfterTryTask"]>[0];
type Suite = Parameters<TestRunner["onAfterRunSuite"]>[0];
type Hits = Readonly<Record<string, number>>;

/** What the instrumented code reads and writes (its name for the global object). */
interface Switches {
  activeMutant?: string | undefined;
  currentTestId?: string | undefined;
  mutantCoverage?: { static: Hits; perTest: Record<string, Hits> };
  hitCount?: number | undefined;
  hitLimit?: number | undefined;
}

declare module "vitest" {
  interface ProvidedContext {
    log: string;
    /** Active from the start, while modules load; "" when the runner is to choose. */
    mutant: string;
    /** Milliseconds a test may take without a mutant to judge some. */
    longest: number;
  }
}

interface Run {
  readonly test: string;
  readonly fn: () => Promise<void>;
  readonly hits: Hits;
  readonly ms: number;
}

class MutantRunner extends TestRunner {
  readonly #log = inject("log");
  readonly #mutant = inject("mutant");
  readonly #longest = inject("longest");
  readonly #switches: Switches;
  #runs: Run[] = [];

  constructor(config: ConstructorParameters<typeof TestRunner>[0]) {
    super(config);
    const globals = globalThis as { __stryker__?: Switches };
    this.#switches = globals.__stryker__ ??= {};
    if (this.#mutant !== "") {
      this.#switches.activeMutant = this.#mutant;
      this.#switches.hitCount = 0;
      this.#switches.hitLimit = 1_000_000;
    }
  }

  async runTask(task: Test): Promise<void> {
    const fn = TestRunner.getTestFn(task) as () => Promise<void>;
    if (this.#mutant !== "") return fn();
    const test = `${task.file.name} > ${task.fullTestName}`;
    this.#switches.currentTestId = test;
    const start = performance.now();
    try {
      await fn();
    } catch (error) {
      append(this.#log, { is: "left out", test, ms: 0 });
      throw error;
    } finally {
      this.#switches.currentTestId = undefined;
    }
    const ms = performance.now() - start;
    if (ms > this.#longest) append(this.#log, { is: "left out", test, ms });
    const hits = { ...this.#switches.mutantCoverage?.perTest[test] };
    this.#runs.push({ test, fn, hits, ms });
  }

  override async onAfterRunSuite(suite: Suite): Promise<void> {
    if ("filepath" in suite && this.#mutant === "") await this.#judge(suite.file.name);
    return super.onAfterRunSuite(suite);
  }

  async #judge(file: string): Promise<void> {
    const runs = this.#runs.toSorted((a, b) => a.ms - b.ms);
    this.#runs = [];
    append(this.#log, {
      is: "reached",
      file,
      ms: runs.reduce((sum, { ms }) => sum + ms, 0),
      loading: Object.keys(this.#switches.mutantCoverage?.static ?? {}),
      testing: [...new Set(runs.flatMap(({ hits }) => Object.keys(hits)))],
    });
    const noticed = new Set<string>();
    const missed = new Set<string>();
    for (const event of readLog(this.#log)) {
      if (event.is === "noticed" || event.is === "hung") noticed.add(event.mutant);
      if (event.is === "missed") missed.add(`${event.mutant} ${event.test}`);
    }
    for (const { test, fn, hits, ms } of runs) {
      if (ms > this.#longest) continue;
      for (const [mutant, count] of Object.entries(hits)) {
        if (noticed.has(mutant) || missed.has(`${mutant} ${test}`)) continue;
        append(this.#log, { is: "trying", mutant, test });
        this.#switches.activeMutant = mutant;
        this.#switches.hitCount = 0;
        this.#switches.hitLimit = 100 * count + 1_000;
        const passes = await passing(fn);
        this.#switches.activeMutant = undefined;
        append(this.#log, { is: passes ? "missed" : "noticed", mutant, test });
        if (passes) continue;
        noticed.add(mutant);
        // What the mutant left behind in fixtures or caches must not speak against the next one.
        if (!(await passing(fn))) process.kill(process.pid, "SIGKILL");
      }
    }
    append(this.#log, { is: "done", file });
  }
}

async function passing(fn: () => Promise<void>): Promise<boolean> {
  try {
    await fn();
    return true;
  } catch {
    return false;
  }
}

/** Vitest takes a runner as the default export of its file. */
export default MutantRunner;
