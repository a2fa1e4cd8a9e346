/** Chromium's own cryptography, and our kernel in Chromium. Firefox: test/e2e/vectors.test.ts. */
import { expect, it } from "vitest";
import type { ReadVectors } from "../../crypto/test/wycheproof.ts";
import { expectedOf, runPlatform } from "./platform-vectors.ts";

const read: ReadVectors = async (file) => {
  const response = await fetch(`/test/vectors/${file}`);
  if (!response.ok) throw new Error(`${file}: ${response.status}`);
  return response.text();
};

it("WebCrypto and the kernel answer every public case as suite 1 says, once the checks are in front", async () => {
  expect(await runPlatform(read, crypto.subtle)).toEqual(await expectedOf(read, { missing: [] }));
});
