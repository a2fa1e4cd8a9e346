import { describe, expect, it } from "vitest";
import { ENGINES, runSchedule } from "./schedule.ts";

/** 10,000 by `npm run differential -- --cases 10000`. */
const SCHEDULES = 250;

describe("the reference, written from SPEC.md alone, and our code talk to each other", () => {
  it(`over ${SCHEDULES} random schedules with loss, reordering, repeats and damage`, async () => {
    const total = { delivered: 0, refused: 0, renewed: 0, twice: 0 };
    const byEngine = new Map(ENGINES.map(({ name }) => [name, 0]));
    for (let at = 0; at < SCHEDULES; at++) {
      const course = await runSchedule(`reference ${at}`);
      byEngine.set(course.engine, (byEngine.get(course.engine) ?? 0) + 1);
      total.delivered += course.delivered;
      total.refused += course.refused;
      total.renewed += course.epochs > 0 ? 1 : 0;
      total.twice += course.epochs > 1 ? 1 : 0;
    }
    expect(total.delivered).toBeGreaterThan(15 * SCHEDULES);
    expect(total.refused).toBeGreaterThan(3 * SCHEDULES);
    expect(byEngine.size).toBe(ENGINES.length);
    for (const [engine, count] of byEngine) {
      expect(count, engine).toBeGreaterThan(SCHEDULES / ENGINES.length / 2);
    }
    // In a part of them post-quantum exchanges end, of the initiator's and then of the responder's key.
    expect(total.renewed).toBeGreaterThan(SCHEDULES / 5);
    expect(total.twice).toBeGreaterThan(SCHEDULES / 50);
  }, 180_000);
});
