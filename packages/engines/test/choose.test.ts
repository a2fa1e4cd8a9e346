import { nobleBackend } from "@sotto/crypto";
import {
  chooseBackend,
  type ChosenBackend,
  createKernelEngine,
  createWebCryptoEngine,
  type Engine,
  type Operation,
} from "@sotto/engines";
import { nodeEngine } from "@sotto/engines/node";
import {
  ENGINE_FAILURES_MAX,
  ENGINE_SILENT_MS,
  ROUND_CALLS_MAX,
  ROUND_MS,
  SLICE_MS,
  SMALL_BYTES,
} from "#src/choose.ts";
import { OPERATIONS } from "#src/engine.ts";
import { beforeAll, describe, expect, it } from "vitest";
import {
  type Fault,
  misbehaving,
  quickEngine,
  realClock,
  steppedClock,
  UNPRICED_MS,
} from "./support.ts";

const SECRET = Uint8Array.from({ length: 32 }, (_, index) => index * 5);
const NONCE = new Uint8Array(12);
const TEXT = new Uint8Array(SMALL_BYTES).fill(7);
const NONE = new Uint8Array(0);
const never = (): undefined => undefined;

const reportOf = (backend: ChosenBackend, operation: Operation) =>
  backend.describe().operations[operation];
const verdictsOf = (backend: ChosenBackend, operation: Operation) =>
  Object.fromEntries(
    reportOf(backend, operation).candidates.map(({ engine, verdict }) => [engine, verdict]),
  );
const failuresOf = (backend: ChosenBackend, operation: Operation, engine: string) =>
  reportOf(backend, operation).candidates.find((one) => one.engine === engine)?.failures;

const onlyOf = (...operations: readonly Operation[]): Engine => ({
  name: "part",
  operations: Object.fromEntries(
    operations.map((operation) => [operation, quickEngine.operations[operation]]),
  ),
});

/** Engines made of the reference, each with a price for a call. */
function priced(...prices: readonly (readonly [name: string, costMs: number])[]) {
  const clock = steppedClock();
  const engines = prices.map(([name, costMs]) =>
    misbehaving(quickEngine, name, never, () => clock.spend(costMs)),
  );
  return { clock, engines };
}

/** Chosen engines of which `first` is the fastest and misbehaves as told from the moment `arm` is called. */
async function withFaulty(
  fault: (operation: Operation, call: number) => Fault,
  others: readonly Engine[] = [],
) {
  const clock = steppedClock();
  let armed = false;
  let calls = 0;
  const faulty = misbehaving(
    quickEngine,
    "faulty",
    (operation) => (armed ? fault(operation, calls++) : undefined),
    () => clock.spend(0.1),
  );
  const slow = others.map((engine) =>
    misbehaving(engine, engine.name, never, () => clock.spend(0.5)),
  );
  const backend = chooseBackend([faulty, ...slow], clock);
  await backend.choose();
  armed = true;
  return { backend, clock, faulty, slow };
}

describe("the choice", () => {
  it("is the fastest of those that are right", async () => {
    const { clock, engines } = priced(["slow", 4], ["fast", 0.5], ["middle", 1]);
    const backend = chooseBackend(engines, clock);
    await backend.choose();
    for (const operation of OPERATIONS) {
      expect(reportOf(backend, operation).chosen).toBe("fast");
    }
    const speeds = reportOf(backend, "dh").candidates.map(({ engine, speed }) => [engine, speed]);
    expect(speeds.map(([engine]) => engine)).toEqual(["slow", "fast", "middle", "noble"]);
  });

  it("is made for each operation on its own", async () => {
    const clock = steppedClock();
    const half = misbehaving(
      onlyOf("dh", "sign"),
      "half",
      (operation) => (operation === "sign" ? "wrong" : undefined),
      () => clock.spend(0.1),
    );
    const backend = chooseBackend([half], clock);
    await backend.choose();
    expect(reportOf(backend, "dh").chosen).toBe("half");
    expect(verdictsOf(backend, "sign")).toEqual({ half: "wrong answer", noble: "correct" });
    expect(reportOf(backend, "sign").chosen).toBe("noble");
    expect(verdictsOf(backend, "seal")).toEqual({ half: "missing", noble: "correct" });
    expect(reportOf(backend, "seal").chosen).toBe("noble");
  });

  it.each(["throw", "reject", "wrong", "misshapen"] as const)(
    "leaves out an engine that does %s, however fast it is",
    async (fault) => {
      const clock = steppedClock();
      const broken = misbehaving(quickEngine, "broken", () => fault);
      const backend = chooseBackend([broken], clock);
      await backend.choose();
      for (const operation of OPERATIONS) {
        expect(reportOf(backend, operation).chosen).toBe("noble");
        expect(["failed", "wrong answer"]).toContain(verdictsOf(backend, operation)["broken"]);
      }
      expect(await backend.dhPublic(SECRET)).toEqual(await nobleBackend.dhPublic(SECRET));
    },
  );

  it("is not for an engine that fails while it is timed", async () => {
    const clock = steppedClock();
    const tired = misbehaving(quickEngine, "tired", (_, call) =>
      call > 13 ? "reject" : undefined,
    );
    const backend = chooseBackend([tired], clock);
    await backend.choose();
    expect(verdictsOf(backend, "dh")).toEqual({ tired: "failed", noble: "correct" });
    expect(reportOf(backend, "dh").chosen).toBe("noble");
  });

  it("goes on after an engine that is silent while it is tried out or timed", async () => {
    for (const answered of [3, 8]) {
      const clock = steppedClock();
      const mute = misbehaving(onlyOf("dhPublic"), "mute", (_, call) =>
        call > answered ? "silence" : undefined,
      );
      const backend = chooseBackend([mute], clock);
      const choosing = backend.choose();
      await expect.poll(() => clock.waiting.size).toBe(1);
      for (const due of clock.waiting.keys()) due();
      await choosing;
      expect(verdictsOf(backend, "dhPublic")).toEqual({ mute: "failed", noble: "correct" });
      expect(backend.describe().state).toBe("chosen");
    }
  });

  it("falls to the first in the list where the clock stands still", async () => {
    const stopped = { ...realClock, now: () => 0 };
    const only = onlyOf("dhPublic");
    const one = misbehaving(only, "one", never);
    const backend = chooseBackend([one, misbehaving(only, "two", never)], stopped);
    await backend.choose();
    expect(reportOf(backend, "dhPublic").chosen).toBe("one");
    // 7 answers and three rounds: the clock does not end them, their limit does.
    expect(one.calls.get("dhPublic")).toBe(7 + 3 * ROUND_CALLS_MAX);
  });

  it("gives way to the page after each slice", async () => {
    const { clock, engines } = priced(["quick", 0.01], ["slow", 3]);
    const backend = chooseBackend(engines, clock);
    await backend.choose();
    const gaps = clock.pauses.slice(1).map((at, index) => at - (clock.pauses[index] ?? 0));
    expect(gaps.length).toBeGreaterThan(50);
    // What began within the slice ends after it: a round, whose last call may be one of noble's.
    expect(Math.max(...gaps)).toBeLessThanOrEqual(SLICE_MS + ROUND_MS + 3 * UNPRICED_MS);
  });

  it("is made once", async () => {
    const { clock, engines } = priced(["one", 1]);
    const backend = chooseBackend(engines, clock);
    expect(backend.choose()).toBe(backend.choose());
    await backend.choose();
    const calls = engines[0]?.calls.get("dh");
    await backend.choose();
    expect(engines[0]?.calls.get("dh")).toBe(calls);
  });

  it("leaves noble at work until an operation is decided", async () => {
    const { clock, engines } = priced(["other", 0.1]);
    const backend = chooseBackend(engines, clock);
    expect(backend.describe().state).toBe("waiting");
    expect(await backend.dhPublic(SECRET)).toEqual(await nobleBackend.dhPublic(SECRET));
    expect(engines[0]?.calls.size).toBe(0);
    const done = backend.choose();
    expect(backend.describe().state).toBe("choosing");
    expect(await backend.dhPublic(SECRET)).toEqual(await nobleBackend.dhPublic(SECRET));
    await done;
    expect(backend.describe().state).toBe("chosen");
  });

  it("of this platform knows every engine, and all of them are right", async () => {
    const webCrypto = createWebCryptoEngine({ subtle: crypto.subtle, drafts: true });
    const backend = chooseBackend([webCrypto, createKernelEngine(), nodeEngine], realClock);
    await backend.choose();
    expect(verdictsOf(backend, "dh")).toEqual({
      webcrypto: "correct",
      kernel: "correct",
      node: "correct",
      noble: "correct",
    });
    for (const operation of OPERATIONS) {
      for (const { verdict } of reportOf(backend, operation).candidates) {
        expect(["correct", "missing"]).toContain(verdict);
      }
    }
    expect(reportOf(backend, "dh").chosen).not.toBe("noble");
  });
});

/** One call of each operation, and what it must give. */
const CALLS: readonly (readonly [Operation, (backend: typeof nobleBackend) => unknown])[] = [
  [
    "dh",
    (backend) =>
      backend.dh(
        SECRET,
        Uint8Array.from({ length: 32 }, (_, at) => (at ? 0 : 9)),
      ),
  ],
  ["dhPublic", (backend) => backend.dhPublic(SECRET)],
  ["signPublic", (backend) => backend.signPublic(SECRET)],
  ["sign", (backend) => backend.sign(SECRET, TEXT)],
  ["kemPublic", (backend) => backend.kemPublic(new Uint8Array(64))],
  ["encaps", (backend) => backend.encaps(new Uint8Array(1_184), SECRET)],
  ["decaps", (backend) => backend.decaps(new Uint8Array(64), new Uint8Array(1_088))],
  ["seal", (backend) => backend.seal(SECRET, NONCE, NONE, TEXT)],
  ["open", (backend) => backend.open(SECRET, NONCE, NONE, sealedText)],
];
const sealedText = await nobleBackend.seal(SECRET, NONCE, NONE, TEXT);

describe("a failure at run time", () => {
  let next: Fault;
  let shared: ChosenBackend;
  beforeAll(async () => {
    ({ backend: shared } = await withFaulty(() => {
      const fault = next;
      next = undefined;
      return fault;
    }));
  });

  it.each(CALLS)("of %s: the next engine answers, whatever went wrong", async (operation, call) => {
    const expected = await call(nobleBackend);
    for (const [before, fault] of (["throw", "reject", "misshapen"] as const).entries()) {
      expect(reportOf(shared, operation).chosen).toBe("faulty");
      next = fault;
      expect(await call(shared)).toEqual(expected);
      expect(next).toBe(undefined);
      expect(failuresOf(shared, operation, "faulty")).toBe(before + 1);
      expect(failuresOf(shared, operation, "noble")).toBe(0);
      expect(await call(shared)).toEqual(expected);
      expect(failuresOf(shared, operation, "faulty")).toBe(before + 1);
    }
  });

  it("by silence ends after ENGINE_SILENT_MS: the next engine answers", async () => {
    const { backend, clock } = await withFaulty(() => "silence");
    expect(clock.waiting.size).toBe(0);
    let answer: Uint8Array | undefined;
    const asked = Promise.resolve(backend.dhPublic(SECRET)).then((key) => (answer = key));
    const [[due, ms] = []] = clock.waiting;
    expect(ms).toBe(ENGINE_SILENT_MS);
    await Promise.resolve();
    expect(answer).toBe(undefined);
    due?.();
    expect(await asked).toEqual(await nobleBackend.dhPublic(SECRET));
    expect(failuresOf(backend, "dhPublic", "faulty")).toBe(1);
  });

  it("is followed by the next fastest, and by noble when that fails too", async () => {
    const clock = steppedClock();
    let armed = false;
    const failing = (
      name: string,
      costMs: number,
    ): Engine & { calls: ReadonlyMap<string, number> } =>
      misbehaving(
        quickEngine,
        name,
        () => (armed ? "reject" : undefined),
        () => clock.spend(costMs),
      );
    const engines = [failing("third", 0.4), failing("first", 0.1), failing("second", 0.2)];
    const backend = chooseBackend(engines, clock);
    await backend.choose();
    armed = true;
    const before = engines.map(({ calls }) => calls.get("dhPublic"));
    expect(await backend.dhPublic(SECRET)).toEqual(await nobleBackend.dhPublic(SECRET));
    const after = engines.map(({ calls }, at) => (calls.get("dhPublic") ?? 0) - (before[at] ?? 0));
    expect(after).toEqual([0, 1, 1]);
  });

  it(`ends with the engine after ${ENGINE_FAILURES_MAX}, for that operation only`, async () => {
    const { backend, faulty } = await withFaulty((operation) =>
      operation === "dhPublic" ? "throw" : undefined,
    );
    for (let failure = 1; failure <= ENGINE_FAILURES_MAX; failure++) {
      expect(reportOf(backend, "dhPublic").chosen).toBe("faulty");
      expect(await backend.dhPublic(SECRET)).toEqual(await nobleBackend.dhPublic(SECRET));
      expect(failuresOf(backend, "dhPublic", "faulty")).toBe(failure);
    }
    expect(reportOf(backend, "dhPublic").chosen).toBe("noble");
    expect(reportOf(backend, "sign").chosen).toBe("faulty");
    const calls = faulty.calls.get("dhPublic");
    await backend.dhPublic(SECRET);
    expect(faulty.calls.get("dhPublic")).toBe(calls);
  });

  it("of every engine and noble too is thrown, and noble stays", async () => {
    const clock = steppedClock();
    const backend = chooseBackend([], clock);
    await backend.choose();
    const sparse = new Proxy(new Uint8Array(32), {});
    // Not bytes to any engine, though it says it has 32: what noble throws comes out as it is.
    for (let time = 0; time <= ENGINE_FAILURES_MAX; time++) {
      await expect(async () => backend.sign(SECRET, sparse)).rejects.toThrow();
    }
    expect(await backend.sign(SECRET, TEXT)).toEqual(await nobleBackend.sign(SECRET, TEXT));
  });
});

describe("a refusal that is the right answer", () => {
  it("is not asked of another engine: a tag that does not fit", async () => {
    const { backend, slow } = await withFaulty(() => undefined, [nodeEngine]);
    const before = slow[0]?.calls.get("open");
    const tampered = sealedText.map((byte, at) => (at === 0 ? byte ^ 1 : byte));
    expect(await backend.open(SECRET, NONCE, NONE, tampered)).toBe(undefined);
    expect(slow[0]?.calls.get("open")).toBe(before);
    expect(failuresOf(backend, "open", "faulty")).toBe(0);
  });

  it("never reaches an engine: a key that no exchange is done with", async () => {
    const { backend, faulty } = await withFaulty(() => "throw");
    const before = faulty.calls.get("dh");
    for (const point of [new Uint8Array(32), new Uint8Array(32).fill(255), new Uint8Array(31)]) {
      await expect(async () => backend.dh(SECRET, point)).rejects.toThrow(RangeError);
    }
    await expect(async () =>
      backend.encaps(new Uint8Array(1_184).fill(255), SECRET),
    ).rejects.toThrow(RangeError);
    expect(faulty.calls.get("dh")).toBe(before);
    expect(failuresOf(backend, "dh", "faulty")).toBe(0);
    expect(failuresOf(backend, "encaps", "faulty")).toBe(0);
  });

  it("is not an exchange that gives zero: then the engine is broken", async () => {
    const clock = steppedClock();
    let armed = false;
    const zeroing: Engine = {
      name: "zeroing",
      operations: {
        dh: (secret, point) => (armed ? new Uint8Array(32) : nobleBackend.dh(secret, point)),
      },
    };
    const counted = misbehaving(zeroing, "zeroing", never, () => clock.spend(0.1));
    const backend = chooseBackend([counted], clock);
    await backend.choose();
    armed = true;
    const point = await nobleBackend.dhPublic(SECRET);
    expect(reportOf(backend, "dh").chosen).toBe("zeroing");
    expect(await backend.dh(SECRET, point)).toEqual(await nobleBackend.dh(SECRET, point));
    expect(failuresOf(backend, "dh", "zeroing")).toBe(1);
  });
});

it("texts below SMALL_BYTES are noble's, those of it and above the engine's", async () => {
  const { backend, faulty } = await withFaulty(() => undefined);
  const calls = () => [faulty.calls.get("seal"), faulty.calls.get("open")];
  const [seals = 0, opens = 0] = calls();
  for (const [length, more] of [
    [SMALL_BYTES - 1, 0],
    [SMALL_BYTES, 1],
  ] as const) {
    const sealed = await backend.seal(SECRET, NONCE, NONE, new Uint8Array(length));
    expect(sealed).toEqual(await nobleBackend.seal(SECRET, NONCE, NONE, new Uint8Array(length)));
    expect(await backend.open(SECRET, NONCE, NONE, sealed)).toEqual(new Uint8Array(length));
    expect(calls()).toEqual([seals + more, opens + more]);
  }
});

describe("texts below SMALL_BYTES, where an engine is short,", () => {
  const text = new Uint8Array(SMALL_BYTES - 1).fill(9);
  const withShort = async (fault: Fault) => {
    const clock = steppedClock();
    let armed = false;
    const spend = (): void => clock.spend(1);
    const short: Engine & { readonly calls: ReadonlyMap<string, number> } = {
      ...misbehaving(quickEngine, "near", () => (armed ? fault : undefined), spend),
      short: true,
    };
    const far = misbehaving(quickEngine, "far", never, () => clock.spend(0.1));
    const backend = chooseBackend([far, short], clock);
    await backend.choose();
    armed = true;
    return { backend, short, far };
  };

  it("are its own, though another is faster for long ones", async () => {
    const { backend, short, far } = await withShort(undefined);
    expect(reportOf(backend, "seal")).toMatchObject({ chosen: "far", chosenShort: "near" });
    const [near = 0, others = 0] = [short.calls.get("open"), far.calls.get("open")];
    const sealed = await backend.seal(SECRET, NONCE, NONE, text);
    expect(await backend.open(SECRET, NONCE, NONE, sealed)).toEqual(text);
    expect([short.calls.get("open"), far.calls.get("open")]).toEqual([near + 1, others]);
  });

  it.each(["throw", "reject", "misshapen"] as const)(
    "are noble's after its failures: %s",
    async (fault) => {
      const { backend } = await withShort(fault);
      const expected = await nobleBackend.seal(SECRET, NONCE, NONE, text);
      for (let time = 0; time <= ENGINE_FAILURES_MAX; time++) {
        expect(await backend.seal(SECRET, NONCE, NONE, text)).toEqual(expected);
      }
      expect(failuresOf(backend, "seal", "near")).toBe(ENGINE_FAILURES_MAX);
      expect(reportOf(backend, "seal")).toMatchObject({ chosen: "far", chosenShort: "noble" });
    },
  );

  it("are noble's when it gave a wrong answer before it was chosen", async () => {
    const wrong = { ...misbehaving(quickEngine, "near", () => "wrong"), short: true };
    const backend = chooseBackend([wrong], steppedClock());
    await backend.choose();
    expect(reportOf(backend, "open").chosenShort).toBe("noble");
  });
});

it.each(["throw", "reject", "misshapen"] as const)(
  "an HMAC comes at once, also from an engine that does %s",
  async (fault) => {
    const { backend } = await withFaulty((operation) => (operation === "hmac" ? fault : undefined));
    expect(reportOf(backend, "hmac").chosen).toBe("faulty");
    const expected = nobleBackend.hmac(SECRET, TEXT);
    for (let time = 0; time <= ENGINE_FAILURES_MAX; time++) {
      expect(backend.hmac(SECRET, TEXT)).toEqual(expected);
    }
    // One that rejects says so only later.
    await Promise.resolve();
    expect(failuresOf(backend, "hmac", "faulty")).toBeGreaterThanOrEqual(ENGINE_FAILURES_MAX);
    expect(reportOf(backend, "hmac").chosen).not.toBe("faulty");
  },
);

describe("a signature", () => {
  const fitting = async () =>
    [await nobleBackend.signPublic(SECRET), TEXT, await nobleBackend.sign(SECRET, TEXT)] as const;

  it("is not judged by an engine that takes everything: it is out before it is chosen", async () => {
    const gullible: Engine = { name: "gullible", operations: { verify: () => true } };
    const backend = chooseBackend([gullible], steppedClock());
    await backend.choose();
    expect(verdictsOf(backend, "verify")).toEqual({ gullible: "wrong answer", noble: "correct" });
    const [key, , signature] = await fitting();
    expect(await backend.verify(key, SECRET, signature)).toBe(false);
  });

  it("that the chosen engine takes is taken, and noble is not asked", async () => {
    const { backend, faulty } = await withFaulty(() => undefined);
    const calls = faulty.calls.get("verify") ?? 0;
    expect(await backend.verify(...(await fitting()))).toBe(true);
    expect(faulty.calls.get("verify")).toBe(calls + 1);
    expect(reportOf(backend, "verify").chosen).toBe("faulty");
  });

  it("that it does not take is put to noble, and that is no failure", async () => {
    const { backend } = await withFaulty((operation) =>
      operation === "verify" ? "wrong" : undefined,
    );
    for (let time = 0; time <= ENGINE_FAILURES_MAX; time++) {
      expect(await backend.verify(...(await fitting()))).toBe(true);
    }
    expect(failuresOf(backend, "verify", "faulty")).toBe(0);
    expect(reportOf(backend, "verify").chosen).toBe("faulty");
  });
});
