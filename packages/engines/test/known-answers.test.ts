import { nobleBackend } from "@sotto/crypto";
import { createKernelEngine, createWebCryptoEngine, type Engine } from "@sotto/engines";
import { nodeEngine } from "@sotto/engines/node";
import { nobleEngine, type Operation, OPERATIONS } from "#src/engine.ts";
import { digestOf, judge, KNOWN_ANSWERS } from "#src/known-answers.ts";
import { describe, expect, it } from "vitest";
import { pooled } from "./node-support.ts";
import { misbehaving } from "./support.ts";

const webCrypto = createWebCryptoEngine({ subtle: globalThis.crypto.subtle, drafts: true });
const breathe = (): Promise<void> => Promise.resolve();
const bytes = (digits: string): Uint8Array => new Uint8Array(Buffer.from(digits, "hex"));

describe("the known answers", () => {
  it.each(OPERATIONS)("of %s are the reference's", async (operation) => {
    for (const { ask, expected } of KNOWN_ANSWERS[operation]) {
      expect(digestOf(await ask(nobleBackend))).toBe(expected);
    }
  });

  it("begin with those printed in the RFCs", () => {
    const printed: readonly (readonly [Operation, number, string])[] = [
      ["dh", 0, "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"],
      ["dh", 1, "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"],
      ["dh", 2, "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"],
      ["dhPublic", 0, "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"],
      ["hmac", 0, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"],
      ["hmac", 1, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"],
      ["signPublic", 0, "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"],
      ["signPublic", 1, "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"],
      [
        "sign",
        0,
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
      ],
      [
        "sign",
        1,
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
      ],
    ];
    for (const [operation, index, answer] of printed) {
      expect(KNOWN_ANSWERS[operation][index]?.expected).toBe(digestOf(bytes(answer)));
    }
  });

  it("hold exchanges whose result begins and ends with a zero byte", async () => {
    const answers = await Promise.all(KNOWN_ANSWERS.dh.map(async ({ ask }) => ask(nobleBackend)));
    expect(answers.some((answer) => answer?.[0] === 0)).toBe(true);
    expect(answers.some((answer) => answer?.[31] === 0)).toBe(true);
  });

  it("are of both kinds for opening: what fits and what does not", () => {
    const refused = KNOWN_ANSWERS.open.filter(({ expected }) => expected === "refused");
    expect(refused.length).toBeGreaterThan(3);
    expect(KNOWN_ANSWERS.open.length - refused.length).toBeGreaterThan(2);
  });
});

describe.each<Engine>([nobleEngine, webCrypto, createKernelEngine(), nodeEngine, pooled])(
  "$name",
  (engine) => {
    it.each(OPERATIONS.filter((operation) => operation in engine.operations))(
      "gives the known answers of %s",
      async (operation) => {
        expect(await judge(engine, operation, breathe)).toBe("correct");
      },
    );

    it("is missing where it does nothing", async () => {
      for (const operation of OPERATIONS) {
        if (operation in engine.operations) continue;
        expect(await judge(engine, operation, breathe)).toBe("missing");
      }
    });
  },
);

describe("an engine that is wrong only once", () => {
  it.each(OPERATIONS)("is found out whichever answer of %s it is", async (operation) => {
    for (const [index] of KNOWN_ANSWERS[operation].entries()) {
      const verdict = (fault: "wrong" | "throw" | "reject" | "misshapen"): Promise<string> => {
        const engine = misbehaving(nobleEngine, "once", (_, call) =>
          call === index ? fault : undefined,
        );
        return judge(engine, operation, breathe);
      };
      expect(await verdict("wrong")).toBe("wrong answer");
      expect(await verdict("throw")).toBe("failed");
      expect(await verdict("reject")).toBe("failed");
      expect(await verdict("misshapen")).not.toBe("correct");
    }
  });
});
