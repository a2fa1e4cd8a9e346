/**
 * What a run has found so far: one line per event, so that a run which hangs or ends early loses nothing.
 * Written by the process that runs tests, read by both.
 */
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { basename } from "node:path";

export type Event =
  /** `test` is about to run with `mutant`: the last such line names the one that hangs. */
  | { readonly is: "trying"; readonly mutant: string; readonly test: string }
  | { readonly is: "missed"; readonly mutant: string; readonly test: string }
  | { readonly is: "noticed"; readonly mutant: string; readonly test: string }
  /** `test` was not noticed to end. */
  | { readonly is: "hung"; readonly mutant: string; readonly test: string }
  /** Without a mutant: it judges none. */
  | { readonly is: "fails"; readonly test: string }
  /** While modules and fixtures of `file` were made, or in a test of it. */
  | {
      readonly is: "reached";
      readonly file: string;
      /** Of each test without a mutant: see runner.ts. */
      readonly ms: Readonly<Record<string, number>>;
      readonly loading: readonly string[];
      readonly testing: readonly string[];
    }
  /** Tests of up to `longest` milliseconds have judged all they reach. */
  | { readonly is: "done"; readonly file: string; readonly longest: number };

export function append(path: string, event: Event): void {
  appendFileSync(path, `${JSON.stringify(event)}\n`);
}

export const readLog = (path: string): readonly Event[] =>
  existsSync(path)
    ? readFileSync(path, "utf8")
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line) as Event)
    : [];

/**
 * A mutant that does not exist, loaded after all others of a file: noticed, it says that one of them left something
 * behind in the process, and that nothing noticed in it counts.
 */
export const CONTROL = "999999999";

/** How events name loading `file`, the path of a test file, instead of one of its tests. */
export const loadingTest = (file: string): string => `loading ${basename(file)}`;
