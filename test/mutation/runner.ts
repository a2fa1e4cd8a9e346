/**
 * Runs each test once as it is, and then again with each mutant it reached, in the same process: loading the modules
 * anew for each of thousands of mutants would take a day.
 * Owns: which mutants a test reaches, whether it notices them, whether the process is still fit for the next one.
 * Leaves to main.ts: the mutants, the files, what runs when a mutant is in what is evaluated on loading.
 */
import { inject, TestRunner, vi } from "vitest";
import { append, loadingTest, readLog } from "./log.ts";

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
    /** Milliseconds a test may take without a mutant to judge any. */
    longest: number;
  }
}

/** The path of a file that host.ts writes for one mutant. */
const LOADING = /^(.*)\.(\d+)\.loading\.test\.ts$/;
/** More than all tests of a file reach any mutant: what reaches it more often does not end. */
const LOADING_HITS_MAX = 10_000_000;

interface Run {
  readonly test: string;
  readonly fn: () => Promise<void>;
  readonly hits: Hits;
  readonly ms: number;
}

class MutantRunner extends TestRunner {
  readonly #log = inject("log");
  readonly #longest = inject("longest");
  readonly #switches: Switches;
  #runs: Run[] = [];
  /** By name: the file is another one when a mutant is to be loaded. */
  readonly #slow: ReadonlySet<string>;
  /** A mutant is active from the start, while modules load. */
  #loading = false;
  /** One test has noticed it: the others need not run. */
  #failed = false;

  constructor(config: ConstructorParameters<typeof TestRunner>[0]) {
    super(config);
    const globals = globalThis as { __stryker__?: Switches };
    this.#switches = globals.__stryker__ ??= {};
    this.#slow = new Set(
      readLog(this.#log)
        .flatMap((event) => (event.is === "reached" ? Object.entries(event.ms) : []))
        .filter(([, ms]) => ms > this.#longest)
        .map(([test]) => test.slice(test.indexOf(" > ") + 3)),
    );
  }

  override importFile(path: string, source: Parameters<TestRunner["importFile"]>[1]): unknown {
    const wrapper = LOADING.exec(path);
    if (wrapper === null || source === "setup") return super.importFile(path, source);
    const [, file = "", mutant = ""] = wrapper;
    append(this.#log, { is: "trying", mutant, test: loadingTest(`${file}.test.ts`) });
    vi.resetModules();
    this.#loading = true;
    this.#failed = false;
    this.#switches.activeMutant = mutant;
    this.#switches.hitCount = 0;
    this.#switches.hitLimit = LOADING_HITS_MAX;
    return super.importFile(path, source);
  }

  async runTask(task: Test): Promise<void> {
    const fn = TestRunner.getTestFn(task) as () => Promise<void>;
    if (this.#loading) {
      if (this.#failed || this.#slow.has(task.fullTestName)) return;
      this.#failed = true;
      await fn();
      this.#failed = false;
      return;
    }
    const test = `${task.file.name} > ${task.fullTestName}`;
    this.#switches.currentTestId = test;
    // Of the processor: how busy the machine is must not decide which tests judge.
    const start = process.cpuUsage();
    try {
      await fn();
    } catch (error) {
      append(this.#log, { is: "fails", test });
      throw error;
    } finally {
      this.#switches.currentTestId = undefined;
    }
    const { user, system } = process.cpuUsage(start);
    const ms = (user + system) / 1_000;
    const hits = { ...this.#switches.mutantCoverage?.perTest[test] };
    this.#runs.push({ test, fn, hits, ms });
  }

  override async onAfterRunSuite(suite: Suite): Promise<void> {
    if ("filepath" in suite && !this.#loading) await this.#judge(suite.file.name);
    return super.onAfterRunSuite(suite);
  }

  override onAfterRunFiles(files: Parameters<TestRunner["onAfterRunFiles"]>[0]): void {
    for (const { filepath, result } of files) {
      const [, file = "", mutant = ""] = LOADING.exec(filepath) ?? [];
      if (mutant === "") continue;
      const is = result?.state === "pass" ? "missed" : "noticed";
      append(this.#log, { is, mutant, test: loadingTest(`${file}.test.ts`) });
    }
    super.onAfterRunFiles(files);
  }

  async #judge(file: string): Promise<void> {
    const runs = this.#runs.toSorted((a, b) => a.ms - b.ms);
    this.#runs = [];
    append(this.#log, {
      is: "reached",
      file,
      ms: Object.fromEntries(runs.map(({ test, ms }) => [test, ms])),
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
      if (ms > this.#longest) break;
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
    append(this.#log, { is: "done", file, longest: this.#longest });
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
