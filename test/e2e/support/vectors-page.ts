/** Runs in a page: everything the vectors ask of this browser, left where the test finds it. */
import { hkdfSha256, hmacSha256, nobleBackend, nobleFileEngine } from "@sotto/crypto";
import {
  fetchVectors,
  runAes256Gcm,
  runBackend,
  runHkdf,
  runHmac,
} from "../../../packages/crypto/test/wycheproof.ts";
import { createWebCryptoEngine } from "@sotto/engines";
import { runFrozen } from "../../../packages/crypto/test/frozen.ts";
import { compareCrafted, compareSpoilt } from "../../../packages/engines/test/consensus.ts";
import { runPlatform } from "../../../packages/engines/test/platform-vectors.ts";

const read = fetchVectors("/vectors");

/** The page may be asked for more. */
const SPOILT = Number(new URLSearchParams(location.search).get("spoilt") ?? 300);
const webCrypto = createWebCryptoEngine({ subtle: crypto.subtle, drafts: true });

async function runAll() {
  return {
    reference: await runBackend(read, nobleBackend),
    hkdf: await runHkdf(read, hkdfSha256),
    hmac: await runHmac(read, hmacSha256),
    aes256Gcm: await runAes256Gcm(read, nobleFileEngine),
    platform: await runPlatform(read, crypto.subtle),
    crafted: await compareCrafted(webCrypto),
    spoilt: await compareSpoilt(webCrypto, SPOILT),
    frozen: await runFrozen(read),
  };
}

export type PageReport = Awaited<ReturnType<typeof runAll>>;

Object.assign(globalThis, { sottoVectors: runAll() });
