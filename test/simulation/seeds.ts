/** Many seeds, some as one test each: a failure names the seed and how to see it. */
import { expect, it } from "vitest";
import { type RunOptions, simulate } from "./simulate.ts";
import { simulateDevices } from "./simulate-devices.ts";

const SEEDS_PER_TEST = 25;
/** Generous: browsers' tests may share the machine. */
const TIMEOUT_MS = 120_000;
/** In so many runs people write about 400 messages: far fewer would mean that the runs prove little. */
const ACCEPTED_MIN = 100;

export function checkSeeds(
  from: number,
  count: number,
  options: RunOptions = {},
  run: typeof simulate = simulate,
): void {
  const several = options.admins === true ? " --admins" : " --devices";
  const devices = run === simulateDevices ? several : "";
  const real = `${devices}${options.crypto === undefined ? "" : " --real"}`;
  for (let first = from; first < from + count; first += SEEDS_PER_TEST) {
    const last = Math.min(first + SEEDS_PER_TEST, from + count) - 1;
    it(
      `holds every invariant from seed ${first} to ${last}${real}`,
      { timeout: TIMEOUT_MS },
      async () => {
        let messages = 0;
        for (let seed = first; seed <= last; seed++) {
          const { failures, accepted } = await run(seed, options);
          expect(failures, `npm run simulate -- --seed ${seed}${real} --trace`).toEqual([]);
          messages += accepted;
        }
        expect(messages).toBeGreaterThan(ACCEPTED_MIN);
      },
    );
  }
}
