import { compareHybrid, followClock, FUTURE_MS_MAX, isFuture, tickClock } from "@sotto/sync";
import * as fc from "fast-check";
import { expect, it } from "vitest";

const time = fc.record({ ms: fc.nat({ max: 2 ** 41 }), counter: fc.nat({ max: 0xffff }) });
const now = fc.nat({ max: 2 ** 41 });

it("never moves back, whatever wall clocks and others say", () => {
  const act = fc.oneof(fc.tuple(fc.constant(undefined), now), fc.tuple(time, now));
  fc.assert(
    fc.property(time, fc.array(act), (start, acts) => {
      let clock = start;
      for (const [seen, wall] of acts) {
        const next = seen === undefined ? tickClock(clock, wall) : followClock(clock, seen, wall);
        expect(compareHybrid(next, clock)).toBeGreaterThanOrEqual(seen === undefined ? 1 : 0);
        clock = next;
      }
    }),
  );
});

it("puts an own event after every one that it follows, and follows those up to ten minutes ahead", () => {
  const clock = { ms: 500, counter: 3 };
  const last = { ms: 1_000 + FUTURE_MS_MAX, counter: 9 };
  const past = { ms: 1_000 + FUTURE_MS_MAX + 1, counter: 0 };
  expect(isFuture(last, 1_000)).toBe(false);
  expect(isFuture(past, 1_000)).toBe(true);
  expect(followClock(clock, last, 1_000)).toEqual(last);
  expect(tickClock(last, 1_000)).toEqual({ ms: last.ms, counter: 10 });
  expect(followClock(clock, past, 1_000)).toEqual(clock);
});

it("takes the wall clock where that is later, and the next millisecond when its counter is full", () => {
  expect(tickClock({ ms: 5, counter: 7 }, 6.9)).toEqual({ ms: 6, counter: 0 });
  expect(tickClock({ ms: 5, counter: 0xfffe }, 5)).toEqual({ ms: 5, counter: 0xffff });
  expect(tickClock({ ms: 5, counter: 0xffff }, 5)).toEqual({ ms: 6, counter: 0 });
  expect(tickClock({ ms: 5, counter: 0 }, -1)).toEqual({ ms: 5, counter: 1 });
});
