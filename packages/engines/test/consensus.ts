/**
 * Whether signatures are judged alike: by noble alone, by an engine alone, and by that engine as a back-end uses it.
 * Owns: the comparison. Leaves to crypto/test/ed25519-cases.ts: the signatures; to the tests: which engine, how many.
 */
import { isSignatureForm, nobleBackend } from "@sotto/crypto";
import { backendOf, type Engine } from "@sotto/engines";
import { bytesToHex } from "@sotto/wire";
import {
  bareNoble,
  craftedSignatures,
  createSpoiler,
  type SignatureCase,
} from "../../crypto/test/ed25519-cases.ts";
import { seededEntropy } from "./support.ts";

/** Plain data: it may come from another browser. */
export interface Consensus {
  readonly cases: number;
  /** Taken by noble. */
  readonly taken: number;
  /** Taken by noble, but not by the engine alone: what asking noble again is for. */
  readonly onlyByNoble: number;
  /** Taken by the engine alone, but not by noble: what looking at the bytes first is for. */
  readonly onlyByEngine: number;
  /** The same with bytes that pass: then the engine must not be used. */
  readonly unsafe: readonly string[];
  /** Verdicts of the back-end that are not noble's, of either kind. */
  readonly differences: readonly string[];
}

export async function compareVerdicts(
  engine: Engine,
  signatures: Iterable<SignatureCase>,
): Promise<Consensus> {
  const backend = backendOf(engine);
  const found = { cases: 0, taken: 0, onlyByNoble: 0, onlyByEngine: 0 };
  const unsafe: string[] = [];
  const differences: string[] = [];
  for (const one of signatures) {
    const { key, message, signature } = one;
    const [byNoble, byEngine] = [bareNoble(one), await isTakenBy(engine, one)];
    found.cases++;
    found.taken += Number(byNoble);
    found.onlyByNoble += Number(byNoble && !byEngine);
    found.onlyByEngine += Number(byEngine && !byNoble);
    if (byEngine && !byNoble && isSignatureForm(key, signature)) unsafe.push(lineOf(one));
    for (const crypto of [backend, nobleBackend]) {
      const taken = await crypto.verify(key, message, signature);
      if (taken !== byNoble) differences.push(`${crypto.name}: ${lineOf(one)}`);
    }
  }
  return { ...found, unsafe, differences };
}

/** Throwing and rejecting are a no. */
async function isTakenBy(engine: Engine, one: SignatureCase): Promise<boolean> {
  try {
    return (await engine.operations.verify?.(one.key, one.message, one.signature)) === true;
  } catch {
    return false;
  }
}

const lineOf = ({ name, key, message, signature }: SignatureCase): string =>
  [name, ...[key, message, signature].map(bytesToHex)].join(" | ");

export const compareCrafted = (engine: Engine): Promise<Consensus> =>
  compareVerdicts(engine, craftedSignatures());

/** `from`: number of the first; the same numbers are the same signatures everywhere. */
export function compareSpoilt(engine: Engine, count: number, from = 0): Promise<Consensus> {
  return compareVerdicts(engine, spoilt(count, from));
}

/** Signers change every few hundred signatures. */
const OF_ONE_SPOILER = 500;

function* spoilt(count: number, from: number): Iterable<SignatureCase> {
  let next: (() => SignatureCase) | undefined;
  for (let at = 0; at < count; at++) {
    if (next === undefined || at % OF_ONE_SPOILER === 0) {
      next = createSpoiler(seededEntropy(`spoilt ${from + at}`));
    }
    yield next();
  }
}
