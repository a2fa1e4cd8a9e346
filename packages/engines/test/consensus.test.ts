/** Every engine of Node takes exactly the signatures that noble takes. Browsers: *.browser.test.ts, test/e2e. */
import { isSignatureForm } from "@sotto/crypto";
import { backendOf, createWebCryptoEngine, type Engine } from "@sotto/engines";
import { nodeEngine } from "@sotto/engines/node";
import { describe, expect, it } from "vitest";
import { pooled } from "./node-support.ts";
import { craftedSignatures, type SignatureCase } from "../../crypto/test/ed25519-cases.ts";
import { compareCrafted, compareSpoilt } from "./consensus.ts";

const webCrypto = createWebCryptoEngine({ subtle: globalThis.crypto.subtle, drafts: true });
/** `npm run differential` looks at as many as wanted. */
const SPOILT = 300;

describe.each<Engine>([webCrypto, nodeEngine, pooled])("$name and noble", (engine) => {
  it("agree on signatures crafted by a key's owner, as noble has the last word", async () => {
    const { unsafe, differences, taken, onlyByNoble } = await compareCrafted(engine);
    expect({ unsafe, differences }).toEqual({ unsafe: [], differences: [] });
    // OpenSSL leaves the cofactor out: without that there would be nothing to see here.
    expect(onlyByNoble).toBeGreaterThan(100);
    expect(taken - onlyByNoble).toBeGreaterThan(30);
  });

  it(`agree on ${SPOILT} that are spoilt at random`, async () => {
    const { unsafe, differences, taken, onlyByNoble } = await compareSpoilt(engine, SPOILT);
    expect({ unsafe, differences }).toEqual({ unsafe: [], differences: [] });
    expect(taken - onlyByNoble).toBeGreaterThan(0);
  });
});

const engineThat = (verify: NonNullable<Engine["operations"]["verify"]>): Engine => ({
  name: "other",
  operations: { verify },
});

describe("an engine", () => {
  it("that takes what noble does not would be seen", async () => {
    const { unsafe, differences } = await compareSpoilt(
      engineThat(() => true),
      20,
    );
    expect(unsafe.length).toBeGreaterThan(5);
    expect(differences.length).toBe(unsafe.length);
  });

  it.each<readonly [string, NonNullable<Engine["operations"]["verify"]>]>([
    ["takes nothing", () => false],
    ["takes nothing, later", () => Promise.resolve(false)],
    [
      "throws",
      () => {
        throw new Error("planted");
      },
    ],
    ["rejects", () => Promise.reject(new Error("planted"))],
  ])("that %s changes no verdict", async (_, verify) => {
    const { differences, taken } = await compareSpoilt(engineThat(verify), 80);
    expect(differences).toEqual([]);
    expect(taken).toBeGreaterThan(0);
  });

  it("is never asked about bytes that are refused as they are", async () => {
    const asked: SignatureCase[] = [];
    const engine = engineThat((key, message, signature) => {
      asked.push({ name: "asked", key, message, signature });
      return false;
    });
    const refused = craftedSignatures().filter(
      ({ key, signature }) => !isSignatureForm(key, signature),
    );
    for (const { key, message, signature } of refused) {
      expect(await backendOf(engine).verify(key, message, signature)).toBe(false);
    }
    expect(refused.length).toBeGreaterThan(100);
    expect(asked).toEqual([]);
  });
});
