/** Which faults one seed suffers, and how badly: a random subset each time, so that rare mixes occur ("swarm"). */
import type { Random } from "./random.ts";

export interface Faults {
  /** full: real hub client and relay core. thin: a model of both, for limits that are constants there. */
  readonly stack: "full" | "thin";
  /** One-way delay of a frame, ms. */
  readonly delayMin: number;
  readonly delayMean: number;
  /** Mean time between dropped hub connections per client, ms; 0 for never. So for all means. */
  readonly disconnectMean: number;
  readonly partitionMean: number;
  readonly relayCrashMean: number;
  /** Chance that a crash of the relay takes its whole disk with it (full stack only). */
  readonly relayWipe: number;
  readonly clientCrashMean: number;
  /** Chance to crash at each effect boundary. */
  readonly crashAtBoundary: number;
  readonly duplicate: number;
  /** Chance that a frame overtakes or falls behind others. */
  readonly reorder: number;
  readonly signalLoss: number;
  readonly direct: boolean;
  readonly linkDropMean: number;
  /** A broken link goes unnoticed for this long on average, ms. */
  readonly halfOpenMean: number;
  /** Chance that a link's buffer does not take a frame. */
  readonly linkRefuses: number;
  readonly clockSkewMax: number;
  readonly clockJumpMean: number;
  readonly queueMessagesMax: number;
  readonly remembersAcknowledged: boolean;
  readonly flushMs: number;
  readonly creditMessages: number;
  /** Chance of a foreign or damaged frame next to a genuine one. */
  readonly garbage: number;
  readonly diskFullMean: number;
  /** Mean time between texts that a modified app sends under the id of a message the other side has, per pair, ms. */
  readonly forgeMean: number;
}

const YEAR_MS = 365 * 24 * 3_600_000;

export function drawFaults(random: Random): Faults {
  const maybe = (probability: number, value: () => number): number => {
    const drawn = value();
    return random.chance(probability) ? drawn : 0;
  };
  return {
    stack: random.chance(0.6) ? "full" : "thin",
    delayMin: random.between(15, 40),
    delayMean: random.pick([5, 30, 120]),
    disconnectMean: maybe(0.5, () => random.between(2_000, 20_000)),
    partitionMean: maybe(0.3, () => random.between(8_000, 40_000)),
    relayCrashMean: maybe(0.3, () => random.between(5_000, 40_000)),
    relayWipe: maybe(0.3, () => 0.3),
    clientCrashMean: maybe(0.4, () => random.between(4_000, 40_000)),
    crashAtBoundary: maybe(0.4, () => random.pick([0.002, 0.01, 0.04])),
    duplicate: maybe(0.4, () => random.next() * 0.2),
    reorder: maybe(0.4, () => random.next() * 0.3),
    signalLoss: maybe(0.4, () => random.next() * 0.5),
    direct: random.chance(0.7),
    linkDropMean: maybe(0.6, () => random.between(2_000, 20_000)),
    halfOpenMean: maybe(0.5, () => random.between(100, 5_000)),
    linkRefuses: maybe(0.3, () => random.next() * 0.4),
    clockSkewMax: maybe(0.4, () => random.pick([30_000, 3_600_000, 10 * YEAR_MS])),
    clockJumpMean: maybe(0.25, () => random.between(5_000, 30_000)),
    queueMessagesMax: random.chance(0.25) ? random.between(2, 8) : 256,
    remembersAcknowledged: random.chance(0.5),
    flushMs: random.pick([0, 2, 25, 50]),
    creditMessages: random.pick([1, 4, 64]),
    garbage: maybe(0.25, () => random.next() * 0.1),
    diskFullMean: maybe(0.15, () => random.between(8_000, 30_000)),
    forgeMean: maybe(0.2, () => random.between(500, 8_000)),
  };
}

/** What remains after the faults have stopped: delays, and what is a property of the machines. */
export const healed = (faults: Faults): Faults => ({
  ...faults,
  disconnectMean: 0,
  partitionMean: 0,
  relayCrashMean: 0,
  clientCrashMean: 0,
  crashAtBoundary: 0,
  duplicate: 0,
  reorder: 0,
  signalLoss: 0,
  linkDropMean: 0,
  linkRefuses: 0,
  clockJumpMean: 0,
  garbage: 0,
  diskFullMean: 0,
  forgeMean: 0,
});
