import { nobleBackend } from "@sotto/crypto";
import { expect, it } from "vitest";
import { quickHmac } from "./quick-hmac.ts";
import { createRandom } from "./random.ts";

it("gives the bytes that noble gives, whatever the lengths", () => {
  const random = createRandom(1);
  // Around a block of 64 bytes, around what fits into it with its end, and beyond what it begins with.
  const lengths = [0, 1, 31, 32, 55, 56, 63, 64, 65, 119, 120, 127, 128, 129, 1_000, 3_000, 20_000];
  for (const keyLength of lengths.filter((length) => length < 1_000)) {
    for (const length of lengths) {
      const [key, bytes] = [random.bytes(keyLength), random.bytes(length)];
      expect(quickHmac(key, bytes), `${keyLength} ${length}`).toEqual(
        nobleBackend.hmac(key, bytes),
      );
    }
  }
});
