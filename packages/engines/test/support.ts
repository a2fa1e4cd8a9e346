/** Engines that misbehave on purpose, and bytes that are the same on every run. */
import { type Entropy, nobleBackend, sha256 } from "@sotto/crypto";
import type { Clock, Engine, Operation } from "@sotto/engines";
import { concatBytes, utf8ToBytes } from "@sotto/wire";

/** SHA-256 of seed and a counter. */
export function seededEntropy(seed: string): Entropy {
  let counter = 0;
  let pool: Uint8Array = new Uint8Array(0);
  return (length) => {
    while (pool.length < length) {
      pool = concatBytes(pool, sha256(utf8ToBytes(`${seed}/${counter++}`)));
    }
    const taken = pool.slice(0, length);
    pool = pool.slice(length);
    return Uint8Array.from(taken);
  };
}

/** What a call takes that nobody set a price for: noble's. Longer than a round of timing. */
export const UNPRICED_MS = 5;

/** The time of this machine, without pauses. */
export const realClock: Clock = {
  now: () => performance.now(),
  pause: () => Promise.resolve(),
  after: (ms, run) => {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

/** Time passes when it is looked at: by what was spent since, else by UNPRICED_MS. Keeps the moments of its pauses. */
export function steppedClock(): Clock & {
  spend(ms: number): void;
  readonly pauses: readonly number[];
  /** What waits for its time, with the time it was given. */
  readonly waiting: ReadonlyMap<() => void, number>;
} {
  let at = 0;
  let spent: number | undefined;
  const pauses: number[] = [];
  const waiting = new Map<() => void, number>();
  return {
    after(ms, run) {
      const due = (): void => run();
      waiting.set(due, ms);
      return () => waiting.delete(due);
    },
    waiting,
    now() {
      at += spent ?? UNPRICED_MS;
      spent = undefined;
      return at;
    },
    async pause() {
      pauses.push(at);
    },
    spend(ms) {
      spent = (spent ?? 0) + ms;
    },
    pauses,
  };
}

const remembered = new Map<string, unknown>();

/** One character for each byte: the quickest name for them. */
const asText = (bytes: Uint8Array): string => new TextDecoder("latin1").decode(bytes);

/** The reference, asked once for each input: for tests of what happens around an engine. */
export const quickEngine: Engine = {
  name: "quick",
  operations: Object.fromEntries(
    Object.entries(nobleBackend)
      .filter(([key]) => key !== "name")
      .map(([key, call]) => [
        key,
        (...inputs: readonly Uint8Array[]) => {
          const question = [key, ...inputs.map(asText)].join();
          if (!remembered.has(question)) {
            remembered.set(
              question,
              (call as (...all: readonly Uint8Array[]) => unknown)(...inputs),
            );
          }
          return remembered.get(question);
        },
      ]),
  ) as Engine["operations"],
};

/** What an engine does instead of answering. `undefined`: it answers after all. */
export type Fault = "throw" | "reject" | "silence" | "wrong" | "misshapen" | undefined;
type Call = (...inputs: never[]) => unknown;

/**
 * The engine under another name: `fault` says what goes wrong with the `call`-th call of an operation (from 0), `costMs`
 * is told before each call.
 */
export function misbehaving(
  engine: Engine,
  name: string,
  fault: (operation: Operation, call: number) => Fault,
  spend: () => void = () => undefined,
): Engine & { readonly calls: ReadonlyMap<string, number> } {
  const calls = new Map<string, number>();
  const operations = Object.entries(engine.operations).map(([key, original]) => {
    const operation = key as Operation;
    const call: Call = (...inputs) => {
      const index = calls.get(operation) ?? 0;
      calls.set(operation, index + 1);
      spend();
      switch (fault(operation, index)) {
        case "throw":
          throw new Error("planted");
        case "reject":
          return Promise.reject(new Error("planted"));
        case "silence":
          return new Promise(() => undefined);
        case "wrong":
          return later((original as Call)(...inputs), wrong);
        case "misshapen":
          return new Uint8Array(7);
        case undefined:
          return (original as Call)(...inputs);
      }
    };
    return [operation, call];
  });
  return { name, operations: Object.fromEntries(operations) as Engine["operations"], calls };
}

const later = (answer: unknown, change: (value: unknown) => unknown): unknown =>
  answer instanceof Promise ? answer.then(change) : change(answer);

/** Of the right form, and one bit off. */
function wrong(answer: unknown): unknown {
  if (answer instanceof Uint8Array) {
    return answer.length === 0 ? undefined : answer.map((byte, at) => (at === 3 ? byte ^ 1 : byte));
  }
  if (typeof answer === "boolean") return !answer;
  if (answer === undefined) return new Uint8Array(0);
  const { ciphertext, sharedSecret } = answer as Record<string, Uint8Array>;
  return { ciphertext, sharedSecret: wrong(sharedSecret) };
}
