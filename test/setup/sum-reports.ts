/**
 * Adds up the JSON reports of a test run, and names what failed once more, as the end of a long run is what is kept of
 * it. A project that wrote no report counts as one failure.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";

interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly success: boolean;
  readonly testResults: readonly {
    readonly name: string;
    readonly message?: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages?: readonly string[] | null;
    }[];
  }[];
}

const LINES_OF_A_FAILURE = 6;
const failures: string[] = [];
const tell = (what: string, message = ""): void => {
  failures.push([what, ...message.split("\n", LINES_OF_A_FAILURE)].filter(Boolean).join("\n    "));
};

const [folder = ".", failedSteps = "0"] = process.argv.slice(2);
let passed = 0;
let failed = 0;
for (const project of ["node", "fuzz", "chromium", "e2e"]) {
  try {
    const report = JSON.parse(await readFile(join(folder, `${project}.json`), "utf8")) as Report;
    passed += report.numPassedTests;
    failed += report.numFailedTests;
    for (const { name, message, assertionResults } of report.testResults) {
      const bad = assertionResults.filter(({ status }) => status === "failed");
      for (const { fullName, failureMessages } of bad) {
        tell(`${project}: ${name}: ${fullName}`, failureMessages?.[0]);
      }
      if (bad.length === 0 && message) tell(`${project}: ${name}`, message);
    }
    // A file that does not load has no failed test in it.
    if (!report.success && report.numFailedTests === 0) failed += 1;
  } catch {
    tell(`${project}: no report`);
    failed += 1;
  }
}
// Test projects that failed are counted above; what remains are the static checks and the build.
const steps = Number(failedSteps);
if (steps > 0 && failed === 0) failed += steps;
for (const one of failures) console.log(`FAILED ${one}`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && steps === 0 ? 0 : 1;
