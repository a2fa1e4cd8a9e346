/**
 * A minute of fuzzing over every decoder and over sequences of messages, and proof that it finds what it should. Each
 * run is a process of its own, because the sources it loads are instrumented; two at a time, as there are two cores.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { applyConstants, applyPatches } from "../setup/patch.ts";
import type { Report } from "./main.ts";
import { PLANTED } from "./planted.ts";

/** Seconds. The two lanes take this long side by side; what is planted is found in the rest of the minute. */
const DECODERS_S = 40;
const SEQUENCES_S = 18;
/** Far beyond what any of the planted bugs takes: a run ends when it has found something. */
const PLANTED_S = 60;
const LIMIT_MS = 600_000;
/** The same inputs in every run of the tests, as far as its time goes; new ones are for `npm run fuzz`. */
const SEED = "1";

const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "sotto-fuzz-"));
afterAll(() => rmSync(folder, { recursive: true }));

let reports = 0;

interface Ended {
  readonly code: number | null;
  readonly output: string;
  readonly report: Report | undefined;
}

function fuzz(...options: readonly string[]): Promise<Ended> {
  const file = join(folder, `${reports++}.json`);
  const child = spawn(
    process.execPath,
    [
      "--conditions=@sotto/source",
      "--disable-warning=ExperimentalWarning",
      MAIN,
      "--seed",
      SEED,
      "--report",
      file,
      ...options,
    ],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  let output = "";
  child.stdout.on("data", (data: Buffer) => (output += data.toString()));
  child.stderr.on("data", (data: Buffer) => (output += data.toString()));
  return new Promise((resolve) => {
    child.on("close", (code) => {
      let report: Report | undefined;
      try {
        report = JSON.parse(readFileSync(file, "utf8")) as Report;
      } catch {
        // It ended before it could write one: `code` and `output` say so.
      }
      resolve({ code, output, report });
    });
  });
}

async function findsNothing(...options: readonly string[]): Promise<Report> {
  const { code, output, report } = await fuzz(...options);
  expect(code, output).toBe(0);
  if (report === undefined) throw new Error(output);
  for (const { name, accepted } of report.targets) {
    // A target whose inputs are all refused tests only the first check of its decoder.
    expect(accepted, `${name} accepts some input`).toBeGreaterThan(0);
  }
  return report;
}

describe.concurrent("fuzzing", () => {
  it("finds nothing in any decoder, and knows them all", { timeout: LIMIT_MS }, async () => {
    const report = await findsNothing("--time", `${DECODERS_S}`, "--except", "sequence*");
    // Give a new decoder a codec in packages/wire/test/codecs.ts, or a target in test/fuzz/targets.
    expect(report.uncovered).toEqual([]);
    expect(report.unknown).toEqual([]);
  });

  it("finds no sequence that breaks a session", { timeout: LIMIT_MS }, async () => {
    await findsNothing("--time", `${SEQUENCES_S}`, "--target", "sequence*");
  });

  it("finds no sequence that breaks a session at its limits", { timeout: LIMIT_MS }, async () => {
    await findsNothing("--time", `${SEQUENCES_S}`, "--target", "sequence", "--small-limits");
  });

  it.each(PLANTED)("finds the planted bug $name", { timeout: LIMIT_MS }, async (bug) => {
    const { code, output, report } = await fuzz(
      "--bug",
      bug.name,
      "--target",
      bug.target,
      "--time",
      `${PLANTED_S}`,
      ...(bug.smallLimits === true ? ["--small-limits"] : []),
    );
    expect(code, output).toBe(1);
    expect(report?.failure?.message, output).toMatch(bug.shows);
  });
});

describe("a patch", () => {
  const patch = { file: "a.ts", from: "one", to: "two" };

  it("changes the one place that it names, in its file only", () => {
    expect(applyPatches("a.ts", "x one y", [patch])).toBe("x two y");
    expect(applyPatches("b.ts", "x one y", [patch])).toBe("x one y");
  });

  it("that fits nowhere or twice is an error", () => {
    expect(() => applyPatches("a.ts", "x", [patch])).toThrow("fits 0 times");
    expect(() => applyPatches("a.ts", "one one", [patch])).toThrow("fits 2 times");
  });

  it("of a constant replaces its whole value and says so", () => {
    const source = "export const A_MAX = 14 * 24;\nexport const B_MAX = 2;\n";
    expect(applyConstants(source, { A_MAX: 3, C_MAX: 4 })).toEqual({
      source: "export const A_MAX = 3;\nexport const B_MAX = 2;\n",
      replaced: ["A_MAX"],
    });
  });
});
