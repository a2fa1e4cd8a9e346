/** The same vectors in Chromium: noble's arithmetic in another engine of JavaScript. Firefox: test/e2e/vectors.test.ts. */
import { hkdfSha256, hmacSha256, nobleBackend, nobleFileEngine } from "@sotto/crypto";
import { expect, it } from "vitest";
import {
  AES_256_GCM_EXPECTED,
  EXPECTED,
  HKDF_EXPECTED,
  fetchVectors,
  runAes256Gcm,
  runBackend,
  runHkdf,
  runHmac,
} from "./wycheproof.ts";

const read = fetchVectors("/test/vectors");

it("the reference engine answers every case as suite 1 says", async () => {
  expect(await runBackend(read, nobleBackend)).toEqual(EXPECTED);
});

it("HKDF-SHA-256, HMAC-SHA-256 and AES-256-GCM too", async () => {
  expect(await runHkdf(read, hkdfSha256)).toEqual(HKDF_EXPECTED);
  expect(await runHmac(read, hmacSha256)).toEqual(EXPECTED.hmac);
  expect(await runAes256Gcm(read, nobleFileEngine)).toEqual(AES_256_GCM_EXPECTED);
});
