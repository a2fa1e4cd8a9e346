import { describe, expect, it } from "vitest";
import { shrink } from "./shrink.ts";
import { simulate } from "./simulate.ts";

describe("a failing seed", () => {
  const faults = { stack: "full", crashAtBoundary: 0.04, signalLoss: 0.5, relays: 1 } as const;
  const options = { bug: "transmit-before-commit", faults } as const;

  // Some two hundred runs, beside others' tests.
  it(
    "is reduced to what it takes, and that fails again to the letter",
    { timeout: 120_000 },
    async () => {
      const shrunk = await shrink(1, options);
      expect(shrunk?.invariant).toBe("I5");
      if (shrunk === undefined) return;
      expect(shrunk.from).toBeGreaterThan(20);
      expect(shrunk.only.length).toBeLessThanOrEqual(shrunk.from / 10);
      expect(shrunk.only.join()).toMatch(/crash:/);
      const again = await simulate(1, { ...options, only: new Set(shrunk.only) });
      expect(again).toEqual(shrunk.result);
      expect(again.broken).toContain(shrunk.invariant);
      for (const left of shrunk.only) {
        const only = new Set(shrunk.only.filter((one) => one !== left));
        expect((await simulate(1, { ...options, only })).broken).not.toContain("I5");
      }
    },
  );

  it("needs nothing to go wrong when the bug is there in peace", async () => {
    const shrunk = await shrink(8, { bug: "delete-on-relay-ok", faults: { relays: 1 } });
    expect(shrunk?.only.every((id) => id.startsWith("write:"))).toBe(true);
    expect(shrunk?.only.length).toBe(1);
  }, 120_000);
});

it("leaves a run that holds alone", async () => {
  expect(await shrink(2)).toBeUndefined();
}, 120_000);

it("takes nothing that it was not allowed, and fails in nothing without it", async () => {
  const { decisions, failures } = await simulate(5, { only: new Set() });
  expect(decisions).toEqual([]);
  expect(failures).toEqual([]);
});
