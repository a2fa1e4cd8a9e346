import { nobleBackend } from "@sotto/crypto";
import { expect, it } from "vitest";
import { checkSeeds } from "./seeds.ts";
import { simulateDevices } from "./simulate-devices.ts";

checkSeeds(5_001, 45, { crypto: nobleBackend });

it.each([1, 2, 3, 4, 5])(
  "holds every invariant with several devices in seed %i --devices --real",
  { timeout: 120_000 },
  async (seed) => {
    const { failures, accepted } = await simulateDevices(seed, { crypto: nobleBackend });
    expect(failures, `npm run simulate -- --seed ${seed} --devices --real --trace`).toEqual([]);
    expect(accepted).toBeGreaterThan(0);
  },
);
