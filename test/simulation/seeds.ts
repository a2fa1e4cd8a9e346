/** Many seeds as one test each: a failure names the seed and how to see it. */
import { expect, it } from "vitest";
import { simulate } from "./simulate.ts";

const SEEDS_PER_TEST = 65;
/** In so many runs people write about 1,200 messages: far fewer would mean that the runs prove little. */
const ACCEPTED_MIN = 500;

export function checkSeeds(from: number, count: number): void {
  for (let first = from; first < from + count; first += SEEDS_PER_TEST) {
    it(`holds every invariant from seed ${first} to ${first + SEEDS_PER_TEST - 1}`, async () => {
      let messages = 0;
      for (let seed = first; seed < first + SEEDS_PER_TEST; seed++) {
        const { failures, accepted } = await simulate(seed);
        expect(failures, `npm run simulate -- --seed ${seed} --trace`).toEqual([]);
        messages += accepted;
      }
      expect(messages).toBeGreaterThan(ACCEPTED_MIN);
    });
  }
}
