/**
 * The fuzzer: runs inputs, keeps those that reach something new, changes them and runs them again.
 * Owns: what counts as new, the oracles that hold for every target, shrinking. Leaves to the targets: their own oracles.
 */
import type { Random } from "../simulation/random.ts";
import type { Instrumented } from "./instrument.ts";
import { checkPrototypes, sizeOf } from "./measure.ts";
import { mutateBytes } from "./mutate.ts";
import { Finding, type Outcome, type Target } from "./target.ts";

/** A result may be this much larger than its input: fields and items cost more than the bytes they were read from. */
const RESULT_BASE = 1_024;
const RESULT_PER_BYTE = 16;
/** Runs spent on making one input smaller. */
const SHRINK_RUNS_MAX = 2_000;
/** The same for one input of a corpus, of which there are many. */
const TRIM_RUNS_MAX = 30;

export interface Failure {
  readonly input: Uint8Array;
  readonly message: string;
}

export interface Campaign {
  readonly target: Target;
  /** Runs the seeds, whatever `enough` says, then inputs until it is true or something fails. */
  go(enough: (runs: number) => boolean): Promise<Failure | undefined>;
  /** Inputs that reached something new, in the order found. */
  corpus(): readonly Uint8Array[];
  runs(): number;
  accepted(): number;
  /** Different counts of different counters seen. */
  features(): number;
  /** The largest share of its allowed steps that an input took. */
  effort(): number;
  /** The fewest and smallest inputs that reach what `corpus` reaches. */
  minimised(): Promise<readonly Uint8Array[]>;
}

/** 1, 2, 3, 4-7, 8-15, 16-31, 32-127, 128 and more: a loop that runs once more often is no news. */
const bucketOf = (count: number): number =>
  count < 4 ? count - 1 : count < 8 ? 3 : count < 16 ? 4 : count < 32 ? 5 : count < 128 ? 6 : 7;

export function createCampaign(
  target: Target,
  probe: Instrumented,
  dictionary: readonly Uint8Array[],
  seeds: readonly Uint8Array[],
  known: readonly Uint8Array[],
  random: Random,
  /** Told about every input before it runs. */
  watch: (input: Uint8Array) => void = () => undefined,
): Campaign {
  const seen = new Uint8Array(probe.counters.length);
  const corpus: Uint8Array[] = [];
  let features = 0;
  let runs = 0;
  let accepted = 0;
  let effort = 0;
  const large = [...(target.oversized?.() ?? [])];
  // Taken from the end.
  const pending = [...seeds, ...known].toReversed();

  /** Returns how many features are new. */
  const learn = (): number => {
    let fresh = 0;
    const used = probe.used();
    for (let index = 0; index < used; index++) {
      const count = probe.counters[index];
      if (count === undefined || count === 0) continue;
      const bit = 1 << bucketOf(count);
      const known = seen[index] ?? 0;
      if ((known & bit) !== 0) continue;
      seen[index] = known | bit;
      fresh++;
    }
    features += fresh;
    return fresh;
  };

  const attempt = async (input: Uint8Array): Promise<Failure | undefined> => {
    runs++;
    watch(input);
    const failure = await tryOnce(target, probe, input);
    if (typeof failure === "string") return { input, message: failure };
    if (failure.accepted) accepted++;
    effort = Math.max(effort, effortOf(target, probe, input.length, failure.messages));
    if (learn() > 0) corpus.push(input);
    return undefined;
  };

  const next = (): Uint8Array => {
    const given = pending.pop();
    if (given !== undefined) return given;
    if (corpus.length === 0) return random.bytes(random.int(64));
    // What was found last has been tried least.
    const recent = random.chance(0.5) ? Math.min(corpus.length, 16) : corpus.length;
    const base = corpus[corpus.length - 1 - random.int(recent)] ?? new Uint8Array();
    const varied = random.chance(0.35) ? target.vary?.(base, random, dictionary) : undefined;
    if (varied !== undefined) return varied;
    return mutateBytes(base, random.pick(corpus), target.maxBytes, random, dictionary);
  };

  return {
    target,
    async go(enough) {
      for (const input of large.splice(0)) {
        watch(input);
        const outcome = await tryOnce(target, probe, input, 0);
        if (typeof outcome === "string") return { input, message: outcome };
        if (outcome.accepted) return { input, message: "far too large, and accepted" };
      }
      const start = runs;
      while (runs < seeds.length || !enough(runs - start)) {
        const failure = await attempt(next());
        if (failure !== undefined) return failure;
      }
      return undefined;
    },
    corpus: () => corpus,
    runs: () => runs,
    accepted: () => accepted,
    features: () => features,
    effort: () => effort,
    minimised: () => minimise(target, probe, corpus),
  };
}

/** The outcome, or what is wrong with it. */
export async function tryOnce(
  target: Target,
  probe: Instrumented,
  input: Uint8Array,
  allowedBytes = input.length,
): Promise<Outcome | string> {
  const given = Uint8Array.from(input);
  probe.counters.fill(0, 0, probe.used());
  try {
    const running = target.run(given);
    // Waiting costs more than a decoder takes.
    const outcome = running instanceof Promise ? await running : running;
    if (Buffer.compare(given, input) !== 0) throw new Finding("the input was changed");
    checkPrototypes();
    if (effortOf(target, probe, input.length, outcome.messages) > 1)
      throw new Finding("takes too many steps");
    const allowed = RESULT_BASE + RESULT_PER_BYTE * allowedBytes;
    if (outcome.result !== undefined && sizeOf(outcome.result) > allowed) {
      throw new Finding("the result is much larger than the input");
    }
    return outcome;
  } catch (error) {
    if (error instanceof Finding) return error.message;
    return error instanceof Error ? `threw ${error.name}: ${placeOf(error)}` : "threw no Error";
  }
}

/** The share of the allowed steps that the last run took. */
function effortOf({ steps }: Target, probe: Instrumented, bytes: number, messages = 0): number {
  let sum = 0;
  const used = probe.used();
  for (let index = 0; index < used; index++) sum += probe.counters[index] ?? 0;
  return sum / (steps.base + steps.perByte * bytes + (steps.perMessage ?? 0) * messages);
}

/** Message and innermost function: the same for the same bug. */
const placeOf = (error: Error): string => {
  const place = /\n\s+at (?:async )?([\w.<>]+)/.exec(error.stack ?? "")?.[1] ?? "somewhere";
  return `${error.message.replaceAll(/\d+/g, "N")} in ${place}`;
};

/** A smaller input that fails the same way. */
export async function shrinkFailure(
  target: Target,
  probe: Instrumented,
  { input, message }: Failure,
): Promise<Failure> {
  const fails = async (candidate: Uint8Array): Promise<boolean> =>
    (await tryOnce(target, probe, candidate)) === message;
  return { input: await shrink(input, fails, SHRINK_RUNS_MAX), message };
}

/** Removes ever smaller blocks, then zeroes bytes, as long as `keeps` says yes. */
async function shrink(
  input: Uint8Array,
  keeps: (candidate: Uint8Array) => Promise<boolean>,
  runsMax: number,
): Promise<Uint8Array> {
  let best = input;
  let left = runsMax;
  for (let size = best.length >> 1; size > 0 && left > 0; size >>= 1) {
    for (let at = 0; at + size <= best.length && left > 0; left--) {
      const candidate = Uint8Array.from([...best.subarray(0, at), ...best.subarray(at + size)]);
      if (await keeps(candidate)) best = candidate;
      else at += size;
    }
  }
  for (let at = 0; at < best.length && left > 0; at++) {
    if (best[at] === 0) continue;
    left--;
    const candidate = Uint8Array.from(best);
    candidate[at] = 0;
    if (await keeps(candidate)) best = candidate;
  }
  return best;
}

async function minimise(
  target: Target,
  probe: Instrumented,
  corpus: readonly Uint8Array[],
): Promise<readonly Uint8Array[]> {
  const featuresOf = async (input: Uint8Array): Promise<ReadonlySet<number>> => {
    await tryOnce(target, probe, input);
    const found = new Set<number>();
    for (let index = 0; index < probe.used(); index++) {
      const count = probe.counters[index] ?? 0;
      if (count > 0) found.add(index * 8 + bucketOf(count));
    }
    return found;
  };
  const covered = new Set<number>();
  const kept: Uint8Array[] = [];
  for (const input of corpus.toSorted((a, b) => a.length - b.length)) {
    const fresh = [...(await featuresOf(input))].filter((feature) => !covered.has(feature));
    if (fresh.length === 0) continue;
    const smaller = await shrink(
      input,
      async (candidate) => {
        const reached = await featuresOf(candidate);
        return fresh.every((feature) => reached.has(feature));
      },
      TRIM_RUNS_MAX,
    );
    for (const feature of await featuresOf(smaller)) covered.add(feature);
    kept.push(smaller);
  }
  return kept;
}
