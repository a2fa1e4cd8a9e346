/** Adds up the JSON reports of a test run; a project that wrote none counts as one failure. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";

interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numFailedTestSuites: number;
  readonly success: boolean;
}

const [folder = ".", failedSteps = "0"] = process.argv.slice(2);
let passed = 0;
let failed = 0;
let healthy = true;
for (const project of ["node", "fuzz", "chromium", "e2e"]) {
  try {
    const report = JSON.parse(await readFile(join(folder, `${project}.json`), "utf8")) as Report;
    passed += report.numPassedTests;
    failed += report.numFailedTests;
    // A file that does not load has no failed test in it.
    if (!report.success && report.numFailedTests === 0) failed += 1;
  } catch {
    failed += 1;
  }
}
// Test projects that failed are counted above; what remains are the static checks and the build.
const steps = Number(failedSteps);
if (steps > 0 && failed === 0) failed += steps;
healthy = failed === 0 && steps === 0;
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = healthy ? 0 : 1;
