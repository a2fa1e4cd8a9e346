import { decrypt, encrypt, nobleBackend } from "@sotto/crypto";
import { backendOf, chooseBackend, kernelBackend, webCryptoBackend } from "@sotto/engines";
import { nodeBackend, nodeEngine } from "@sotto/engines/node";
import { OPERATIONS } from "#src/engine.ts";
import { beforeAll, describe, expect, it } from "vitest";
import { asMessage, must, seededEnv, settledPair, text } from "../../crypto/test/support.ts";
import { converse } from "./conversation.ts";
import { type Fault, misbehaving, quickEngine, realClock, steppedClock } from "./support.ts";

let expected: string;
beforeAll(async () => {
  expected = await converse(nobleBackend, nobleBackend);
});

const BACKENDS = [nobleBackend, webCryptoBackend, kernelBackend, nodeBackend];
const PAIRS = BACKENDS.flatMap((alice) =>
  BACKENDS.map((bob) => ({ names: `${alice.name} with ${bob.name}`, alice, bob })),
);

describe("a conversation", () => {
  it.each(PAIRS)("of $names is the same, byte for byte", async ({ alice, bob }) => {
    expect(await converse(alice, bob)).toBe(expected);
  });

  it("goes on while the engines are being chosen, and after", async () => {
    const backend = chooseBackend([nodeEngine], realClock);
    const choosing = backend.choose();
    expect(await converse(backend, nodeBackend)).toBe(expected);
    await choosing;
    expect(await converse(backend, backend)).toBe(expected);
  });
});

/** The chosen engine of Alice has a fault with every `period`-th call from now on. */
async function withFaultAtEvery(period: number, fault: Fault) {
  const clock = steppedClock();
  let calls: number | undefined;
  const faulty = misbehaving(
    quickEngine,
    "faulty",
    () => (calls !== undefined && calls++ % period === 0 ? fault : undefined),
    () => clock.spend(0.1),
  );
  const second = misbehaving(
    nodeEngine,
    "second",
    () => undefined,
    () => clock.spend(0.5),
  );
  const backend = chooseBackend([faulty, second], clock);
  await backend.choose();
  for (const operation of OPERATIONS) {
    expect(backend.describe().operations[operation].chosen).toBe("faulty");
  }
  calls = 0;
  return backend;
}

describe.each(["throw", "reject", "misshapen"] as const)("an engine that does %s", (fault) => {
  it.each([1, 2, 5, 13])(
    "at every call number %d changes nothing in the conversation",
    async (period) => {
      const backend = await withFaultAtEvery(period, fault);
      expect(await converse(backend, nobleBackend)).toBe(expected);
      const failures = Object.values(backend.describe().operations)
        .flatMap(({ candidates }) => candidates)
        .filter(({ engine }) => engine === "faulty")
        .reduce((sum, one) => sum + one.failures, 0);
      expect(failures).toBeGreaterThan(0);
    },
  );
});

it("a wrong exchange that nobody can tell makes a message unreadable for now, and no more", async () => {
  const { a, b } = await settledPair("lies");
  const content = text("after the answer");
  // Two turns on, so that opening takes an exchange.
  const turned = await encrypt(a, text("turn"), seededEnv("turn"));
  const heard = must(await decrypt(b, asMessage(turned.envelope), seededEnv("heard")));
  const sealed = await encrypt(heard.session, content, seededEnv("sealed"));
  const envelope = asMessage(sealed.envelope);
  const lying = misbehaving(quickEngine, "lying", (operation) =>
    operation === "dh" ? "wrong" : undefined,
  );
  const before = structuredClone(turned.session);
  const refused = await decrypt(turned.session, envelope, seededEnv("opening", backendOf(lying)));
  expect(refused.ok).toBe(false);
  expect(turned.session).toEqual(before);
  const opened = must(await decrypt(turned.session, envelope, seededEnv("opening")));
  expect(opened.content).toEqual(content);
});
