/** A simulator that finds nothing proves nothing: each deliberate bug has to be found (`planted-parts.ts`), and by its own layer's oracle. */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { applyPatches } from "../setup/patch.ts";
import { CATALOGUE } from "./catalogue.ts";
import { INVARIANTS } from "./invariants.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const simulated = CATALOGUE.filter(({ killer }) => "invariant" in killer);

describe("the catalogue of planted bugs", () => {
  it("has at least twenty, each once", () => {
    expect(new Set(CATALOGUE.map(({ id }) => id)).size).toBe(CATALOGUE.length);
    expect(CATALOGUE.length).toBeGreaterThanOrEqual(20);
  });

  it("has one for every invariant: an oracle that nothing was hidden from may be blind", () => {
    const seen = simulated.map(({ killer }) => ("invariant" in killer ? killer.invariant : ""));
    expect([...new Set(seen)].toSorted()).toEqual(Object.keys(INVARIANTS).toSorted());
  });

  it.each(CATALOGUE)("still has a place for $id", ({ how, killer }) => {
    if (typeof how !== "string") {
      for (const { file } of how) applyPatches(file, readFileSync(`${ROOT}${file}`, "utf8"), how);
    }
    if ("file" in killer) expect(existsSync(ROOT + killer.file)).toBe(true);
  });
});
