/** Suite 1's frozen vectors in Chromium. Firefox: test/e2e/vectors.test.ts. */
import { expect, it } from "vitest";
import { FROZEN_FILES, runFrozen } from "./frozen.ts";
import { fetchVectors } from "./wycheproof.ts";

/** Passphrases are stretched as in earnest, by the slowest of the engines. */
it("today's code makes the same bytes in a browser", { timeout: 120_000 }, async () => {
  expect(await runFrozen(fetchVectors("/test/vectors"))).toEqual(FROZEN_FILES);
});
