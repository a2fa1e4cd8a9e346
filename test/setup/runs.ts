/** How many cases a property is tried with: few in every run of the tests, RUNS_LONG with SOTTO_LONG=1. */
const RUNS_LONG = 1_000;

export const isLong = process.env["SOTTO_LONG"] === "1";

/** `usual`: in every run, as its time allows. */
export const runs = (usual: number): number => (isLong ? Math.max(usual, RUNS_LONG) : usual);
