import { describe, expect, it } from "vitest";
import { runOlmSchedule } from "./olm.ts";

const SCHEDULES = 200;

describe("our ratchet with Olm's constants talks to Olm's own library", () => {
  it(`over ${SCHEDULES} random schedules, begun by either side`, async () => {
    const total = { byOlm: 0, byUs: 0, refused: 0, turns: 0 };
    for (let at = 0; at < SCHEDULES; at++) {
      const course = await runOlmSchedule(`olm ${at}`);
      total.byOlm += course.byOlm;
      total.byUs += course.byUs;
      total.refused += course.refused;
      total.turns += course.turns;
    }
    expect(total.byOlm).toBeGreaterThan(10 * SCHEDULES);
    expect(total.byUs).toBeGreaterThan(10 * SCHEDULES);
    expect(total.refused).toBeGreaterThan(2 * SCHEDULES);
    expect(total.turns).toBeGreaterThan(5 * SCHEDULES);
  }, 120_000);
});
