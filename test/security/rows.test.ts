/** The table of attacks in SECURITY.md: every row is there, and leads to tests that exist. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

const ROOT = new URL("../..", import.meta.url).pathname;
const page = readFileSync(join(ROOT, "SECURITY.md"), "utf8");
/** Number of the row, and its cells. */
const rows = page
  .split("\n")
  .filter((line) => /^\| T-\d\d /.test(line))
  .map((line) => line.split("|").map((cell) => cell.trim()))
  .map(([, name = "", attack = "", holds = "", tests = "", missing = ""]) => ({
    name,
    attack,
    holds,
    missing,
    tests: [...tests.matchAll(/\]\(([^)]+)\)/g)].map((match) => match[1] ?? ""),
  }));

it("has the rows 01 to 42, each once, in order", () => {
  expect(rows.map(({ name }) => name)).toEqual(
    Array.from({ length: 42 }, (_, index) => `T-${String(index + 1).padStart(2, "0")}`),
  );
});

it("claims nothing without a test, and says what is missing where there is none", () => {
  for (const { name, holds, tests, missing } of rows) {
    expect(holds !== "–", name).toBe(tests.length > 0);
    if (tests.length === 0) expect(missing, name).not.toBe("–");
    for (const path of tests) expect(existsSync(join(ROOT, path)), `${name}: ${path}`).toBe(true);
  }
});

it("names every attack test", () => {
  const files = readdirSync(new URL(".", import.meta.url)).filter(
    (name) => name.endsWith(".test.ts") && name !== "rows.test.ts",
  );
  expect(files.filter((name) => !page.includes(`(test/security/${name})`))).toEqual([]);
});
