/** Chromium's own cryptography, and our kernel in Chromium. Firefox: test/e2e/vectors.test.ts. */
import { expect, it } from "vitest";
import { fetchVectors } from "../../crypto/test/wycheproof.ts";
import { expectedOf, runPlatform } from "./platform-vectors.ts";

const read = fetchVectors("/test/vectors");

it("WebCrypto and the kernel answer every public case as suite 1 says, once the checks are in front", async () => {
  expect(await runPlatform(read, crypto.subtle)).toEqual(await expectedOf(read, { missing: [] }));
});
