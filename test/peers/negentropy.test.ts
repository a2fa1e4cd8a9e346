/** The negentropy that reconciliation is compared with finds both sides of a difference: its bytes buy the same. */
import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import { type NegentropyItem, runNegentropy } from "./negentropy.ts";

const item = (at: number): NegentropyItem => ({
  seconds: 1_700_000_000 + 600 * at,
  id: Uint8Array.from(createHash("sha256").update(`${at}`).digest()),
});

it("finds what each side lacks", async () => {
  const all = Array.from({ length: 2_000 }, (_, at) => item(at));
  const own = all.filter((_, at) => at % 500 !== 7);
  const remote = all.filter((_, at) => at % 400 !== 9 && at < 1_990);
  const { have, need } = await runNegentropy(own, remote);
  expect(have.length).toBe(15);
  expect(need).toHaveLength(4);
  expect(new Set(need)).toEqual(new Set([7, 507, 1_007, 1_507].map((at) => item(at).id)));
});
