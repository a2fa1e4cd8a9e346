/**
 * Everything that goes wrong in a run, and everything people do in it, is a numbered decision: recorded when it is
 * taken, and left out when a run is asked to leave it out. That is what a failing run is reduced by.
 * Owns: numbers and chances. Leaves to the others: what a decision does.
 */
import { createRandom, type Random } from "./random.ts";

export interface Decision {
  /** `kind:number`, counted per kind, whether taken or not: the same chance has the same id in every run of a seed. */
  readonly id: string;
  readonly kind: string;
  /** Virtual ms. */
  readonly at: number;
}

export interface Decisions {
  readonly taken: readonly Decision[];
  /**
   * The next chance of this kind: numbers of its own when it is taken, undefined when it is not. A chance of 0 is
   * no chance and has no number.
   */
  fires(kind: string, probability: number): Random | undefined;
  /** The numbers of the next thing of this kind that happens by itself, and whether it may happen this time. */
  next(kind: string): { readonly random: Random; take(): boolean };
}

/** `only`: the ids that may be taken; all when it is left out. */
export function createDecisions(
  seed: number,
  now: () => number,
  only: ReadonlySet<string> | undefined,
): Decisions {
  const taken: Decision[] = [];
  const counts = new Map<string, number>();

  function next(kind: string): { readonly random: Random; take(): boolean } {
    const number = (counts.get(kind) ?? 0) + 1;
    counts.set(kind, number);
    const id = `${kind}:${number}`;
    return {
      random: createRandom(mix(seed, id)),
      take() {
        if (only !== undefined && !only.has(id)) return false;
        taken.push({ id, kind, at: now() });
        return true;
      },
    };
  }

  return {
    taken,
    next,
    fires(kind, probability) {
      if (probability <= 0) return undefined;
      const chance = next(kind);
      return chance.random.chance(probability) && chance.take() ? chance.random : undefined;
    },
  };
}

function mix(seed: number, id: string): number {
  let hash = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b);
  for (let at = 0; at < id.length; at++) {
    hash = Math.imul(hash ^ id.charCodeAt(at), 0x01000193);
    hash ^= hash >>> 13;
  }
  return hash >>> 0;
}
