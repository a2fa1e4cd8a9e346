import { nobleBackend } from "@sotto/crypto";
import { describe, expect, it } from "vitest";
import { simulate } from "./simulate.ts";

describe("a run", () => {
  it.each(["full", "thin"] as const)(
    "over the %s network is the same every time",
    async (stack) => {
      for (let seed = 1; seed <= 8; seed++) {
        const lines: string[] = [];
        const first = await simulate(seed, {
          faults: { stack },
          trace: (line) => lines.push(line),
        });
        const again = await simulate(seed, { faults: { stack } });
        expect(again).toEqual(first);
        expect(lines.length).toBeGreaterThan(20);
      }
    },
  );

  it("differs from seed to seed", async () => {
    const hashes = new Set<string>();
    for (let seed = 1; seed <= 8; seed++) hashes.add((await simulate(seed)).traceHash);
    expect(hashes.size).toBe(8);
  });

  it("fails again with a planted bug, in the same words", async () => {
    const options = { bug: "delete-on-relay-ok" } as const;
    const first = await simulate(1, options);
    expect(first.failures.length).toBeGreaterThan(0);
    expect(await simulate(1, options)).toEqual(first);
  });

  it("holds with the real cipher suite too", async () => {
    for (let seed = 1; seed <= 4; seed++) {
      const { failures, accepted } = await simulate(seed, { crypto: nobleBackend });
      expect(failures, `seed ${seed}`).toEqual([]);
      expect(accepted).toBeGreaterThan(0);
    }
  });
});
