/** A simulator that finds nothing proves nothing: each deliberate bug has to be found, and nothing without it. */
import { describe, expect, it } from "vitest";
import type { Faults } from "./faults.ts";
import { PLANTED_BUGS, type PlantedBug } from "./planted.ts";
import { simulate } from "./simulate.ts";

const SEEDS_MAX = 40;

/** Nothing but what is named beside it, so that only the planted bug can be behind a late or missing message. */
const CALM: Partial<Faults> = {
  queueMessagesMax: 256,
  clockJumpMean: 0,
  garbage: 0,
  forgeMean: 0,
  diskFullMean: 0,
  direct: false,
};
const CRASHES: Partial<Faults> = { ...CALM, crashAtBoundary: 0.03 };

const FAULTS: Readonly<Record<PlantedBug, Partial<Faults>>> = {
  "ack-before-commit": { ...CRASHES, stack: "thin" },
  "transmit-before-commit": CRASHES,
  "no-dedupe": {
    ...CALM,
    direct: true,
    linkDropMean: 3_000,
    halfOpenMean: 3_000,
    linkRefuses: 0.3,
  },
  "overwrite-known": { ...CALM, forgeMean: 2_000 },
  "lazy-disk": CRASHES,
  "delete-on-relay-ok": CALM,
  "forget-owed-on-crash": { ...CRASHES, stack: "thin", remembersAcknowledged: true },
  "drop-on-reorder": { ...CALM, reorder: 0.3 },
  "ok-before-flush": { ...CALM, flushMs: 200, relayCrashMean: 2_000, disconnectMean: 4_000 },
};

describe("a planted bug", () => {
  it.each(PLANTED_BUGS)("is found: %s", async (bug) => {
    const faults = FAULTS[bug];
    for (let seed = 1; seed <= SEEDS_MAX; seed++) {
      const { failures } = await simulate(seed, { bug, faults });
      if (failures.length === 0) continue;
      const healthy = await simulate(seed, { faults });
      expect(healthy.failures, `seed ${seed} without the bug`).toEqual([]);
      return;
    }
    expect.unreachable(`${SEEDS_MAX} seeds did not find ${bug}`);
  });
});
