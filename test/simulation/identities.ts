/** Long-term keys of the simulated people: real curve points, made once per process. */
import { createOwnDevice, nobleBackend, type OwnDevice } from "@sotto/crypto";
import { createRandom } from "./random.ts";
import { stubBackend } from "./stub-crypto.ts";

export const PEOPLE_MAX = 4;

/** Real points, stub signatures. */
export const people: readonly OwnDevice[] = await Promise.all(
  Array.from({ length: PEOPLE_MAX }, (_, index) =>
    createOwnDevice({
      now: 1_700_000_000_000,
      entropy: (
        (random) => (length: number) =>
          random.bytes(length)
      )(createRandom(0xc0ffee + index)),
      crypto: {
        ...stubBackend,
        dhPublic: (secret) => stubBackend.dhPublic(secret),
        signPublic: (seed) => nobleBackend.signPublic(seed),
      },
    }),
  ),
);
