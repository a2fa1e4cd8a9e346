/** A part of the planted bugs that the simulation kills, as one test: workers share them. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { CATALOGUE } from "./catalogue.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** As many as there are files that call this. */
const PARTS = 3;

/** `part`: from 1. */
export function checkPlanted(part: number): void {
  it(`are killed by the simulation, part ${part} of ${PARTS}`, { timeout: 600_000 }, async () => {
    const simulated = CATALOGUE.filter(({ killer }) => "invariant" in killer);
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [
        "--conditions=@sotto/source",
        "--disable-warning=ExperimentalWarning",
        "test/simulation/planted-main.ts",
        "--simulated",
        "--part",
        `${part}/${PARTS}`,
      ],
      { cwd: ROOT },
    );
    const killed = stdout.matchAll(/^killed +(\S+)/gm);
    const mine = simulated.filter((_, index) => index % PARTS === part - 1);
    expect(Array.from(killed, ([, id]) => id)).toEqual(mine.map(({ id }) => id));
  });
}
