/** The short form of `npm run attack`: some attacks on a real relay process, and nobody honest notices. */
import { expect, test } from "vitest";
import { attackOurs } from "./assault.ts";

const MS = 2_500;

test.each(["connection flood", "queue / reservation exhaustion", "bad-auth CPU burn"])(
  "%s: 99 of 100 honest messages arrive, nothing acknowledged is lost, newcomers meet",
  async (name) => {
    const outcome = await attackOurs(name, MS);
    expect(outcome.tally.missing).toBe(0);
    expect(outcome.tally.attempts).toBeGreaterThan(100);
    expect(outcome.sent).toBeGreaterThan(50);
    expect(outcome.delivered / outcome.sent).toBeGreaterThanOrEqual(0.99);
    expect(outcome.kept / outcome.sentAway).toBeGreaterThanOrEqual(0.99);
    expect(outcome.acknowledgedLost).toBe(0);
    expect(outcome.newcomers).toBeGreaterThan(2);
    // One may be late on a busy machine.
    expect(outcome.welcomed).toBeGreaterThanOrEqual(outcome.newcomers - 1);
  },
);
