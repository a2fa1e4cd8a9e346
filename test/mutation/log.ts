/**
 * What a run has found so far: one line per event, so that a run which hangs or ends early loses nothing.
 * Written by the process that runs tests, read by both.
 */
import { appendFileSync, existsSync, readFileSync } from "node:fs";

export type Event =
  /** `test` is about to run with `mutant`: the last such line names the one that hangs. */
  | { readonly is: "trying"; readonly mutant: string; readonly test: string }
  | { readonly is: "missed"; readonly mutant: string; readonly test: string }
  | { readonly is: "noticed"; readonly mutant: string; readonly test: string }
  /** `test` was not noticed to end. */
  | { readonly is: "hung"; readonly mutant: string; readonly test: string }
  /** `test` fails, or takes too long, without a mutant: it judges none. */
  | { readonly is: "left out"; readonly test: string; readonly ms: number }
  /** While modules and fixtures of `file` were made, or in a test of it. */
  | {
      readonly is: "reached";
      readonly file: string;
      readonly ms: number;
      readonly loading: readonly string[];
      readonly testing: readonly string[];
    }
  | { readonly is: "done"; readonly file: string };

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
