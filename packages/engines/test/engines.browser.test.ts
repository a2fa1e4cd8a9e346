/** The engines as this browser has them: right or missing, never wrong, and able to talk to each other. */
import { nobleBackend } from "@sotto/crypto";
import {
  chooseBackend,
  createKernelEngine,
  createWebCryptoEngine,
  kernelBackend,
} from "@sotto/engines";
import { platformEngines } from "@sotto/engines/platform";
import { OPERATIONS } from "#src/engine.ts";
import { judge } from "#src/known-answers.ts";
import { beforeAll, describe, expect, it } from "vitest";
import { realClock } from "./support.ts";
import { compareCrafted, compareSpoilt } from "./consensus.ts";
import { converse } from "./conversation.ts";
import { differences, REFUSALS } from "./differential.ts";

const CASES = 300;
const webCrypto = createWebCryptoEngine({ subtle: crypto.subtle, drafts: true });
const kernel = createKernelEngine();
const breathe = (): Promise<void> => Promise.resolve();

describe.each([webCrypto, kernel])("$name", (engine) => {
  it.each(OPERATIONS.filter((operation) => operation in engine.operations))(
    `agrees with noble on ${CASES} random cases of %s`,
    async (operation) => {
      // Chromium has all of them: were one missing, this would compare nothing.
      expect(await judge(engine, operation, breathe)).toBe("correct");
      expect(await differences(engine, operation, CASES)).toEqual([]);
    },
  );
});

describe("signatures", () => {
  const SPOILT = 500;

  it("crafted by a key's owner are judged as by noble, which has the last word", async () => {
    const { unsafe, differences, taken, onlyByNoble } = await compareCrafted(webCrypto);
    expect({ unsafe, differences }).toEqual({ unsafe: [], differences: [] });
    expect(onlyByNoble).toBeGreaterThan(100);
    expect(taken - onlyByNoble).toBeGreaterThan(30);
  });

  it(`spoilt at random, ${SPOILT} of them, are too`, async () => {
    const { unsafe, differences, taken, onlyByNoble } = await compareSpoilt(webCrypto, SPOILT);
    expect({ unsafe, differences }).toEqual({ unsafe: [], differences: [] });
    expect(taken - onlyByNoble).toBeGreaterThan(0);
  });
});

it("offers WebCrypto and the kernel here", () => {
  expect(platformEngines().map(({ name }) => name)).toEqual(["webcrypto", "kernel"]);
});

describe("the choice of this browser", () => {
  const clock = {
    ...realClock,
    pause: () => new Promise<void>((resolve) => setTimeout(resolve, 0)),
  };
  const backend = chooseBackend([webCrypto, kernel], clock);
  beforeAll(() => backend.choose());

  it("is an engine faster than noble for every exchange", () => {
    const { dh, dhPublic } = backend.describe().operations;
    expect(["webcrypto", "kernel"]).toContain(dh.chosen);
    expect(["webcrypto", "kernel"]).toContain(dhPublic.chosen);
    for (const { candidates } of Object.values(backend.describe().operations)) {
      for (const { verdict } of candidates) expect(["correct", "missing"]).toContain(verdict);
    }
  });

  it("holds the same conversation with every other engine, byte for byte", async () => {
    const expected = await converse(nobleBackend, nobleBackend);
    expect(await converse(backend, backend)).toBe(expected);
    expect(await converse(backend, nobleBackend)).toBe(expected);
    expect(await converse(kernelBackend, backend)).toBe(expected);
  });

  it.each(REFUSALS)("refuses %s", async (_, ask) => {
    await expect(async () => ask(backend)).rejects.toThrow(RangeError);
  });
});
