/**
 * The committed corpus: one text file per target, one input per line as base64url, shortest first. An empty line is
 * the empty input. Targets that differ only in their engine share a file: what reaches something with one does so with
 * the other.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";

/** Ending of a target's name that stands for the real engine; the stub's corpus is the one that is kept. */
const REAL = /-noble$/;

const fileOf = (target: string): URL =>
  new URL(`corpus/${target.replace(REAL, "")}.txt`, import.meta.url);

export function readCorpus(target: string): readonly Uint8Array[] {
  if (!existsSync(fileOf(target))) return [];
  return readFileSync(fileOf(target), "utf8")
    .split("\n")
    .slice(0, -1)
    .map((line) => Uint8Array.from(Buffer.from(line, "base64url")));
}

/** Whether `writeCorpus` is for this target. */
export const hasCorpus = (target: string): boolean => !REAL.test(target);

export function writeCorpus(target: string, inputs: readonly Uint8Array[]): void {
  const lines = inputs.map((input) => Buffer.from(input).toString("base64url"));
  lines.sort((a, b) => a.length - b.length || (a < b ? -1 : 1));
  mkdirSync(new URL("corpus/", import.meta.url), { recursive: true });
  writeFileSync(fileOf(target), lines.map((line) => `${line}\n`).join(""));
}
