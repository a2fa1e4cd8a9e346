/** Which faults one seed suffers, and how badly: a random subset each time, so that rare mixes occur ("swarm"). */
import { SMALL_GROUP_MEMBERS_MAX } from "@sotto/crypto";
import type { Random } from "./random.ts";

export interface Faults {
  /** full: real hub client and relay core. thin: a model of both, for limits that are constants there. */
  readonly stack: "full" | "thin";
  /** How long things go wrong, ms. */
  readonly phaseMs: number;
  /** One-way delay of a frame, ms. */
  readonly delayMin: number;
  readonly delayMean: number;
  /** Mean time between dropped hub connections per client, ms; 0 for never. So for all means. */
  readonly disconnectMean: number;
  readonly partitionMean: number;
  /** Mean time between stalls of one direction of a connection: nothing is lost, everything is late. */
  readonly clogMean: number;
  /** Chance that a client's line carries so little that most of it is late. */
  readonly slow: number;
  /** Chance that it carries one byte per second, either way. */
  readonly crawl: number;
  readonly relayCrashMean: number;
  /** Chance that a crash of the relay takes its whole disk with it (full stack only). */
  readonly relayWipe: number;
  /** Chance that a crashed relay comes back with what it had stored some time before (full stack only). */
  readonly relayRestore: number;
  /** Mean time between bits that flip in what the relay has stored (full stack only). */
  readonly relayRotMean: number;
  readonly clientCrashMean: number;
  /** Chance to crash at each effect boundary. */
  readonly crashAtBoundary: number;
  /** Mean time until one client loses everything it had stored. */
  readonly evictionMean: number;
  /** Chance that the sessions of one conversation are gone after a crash of a client; perhaps its spares and the other side's, too. */
  readonly sessionLoss: number;
  /** Mean time between copies of a client's whole store that are put back some time later. */
  readonly putBackMean: number;
  /** Mean time between strangers who answer in a contact's place, per pair, with a spare bundle that came into their hands. */
  readonly strangerMean: number;
  /** Mean time between people who begin anew with keys of another account, per pair; never beside strangers, who void what that takes. */
  readonly identityChangeMean: number;
  readonly duplicate: number;
  /** Chance that a frame overtakes or falls behind others. */
  readonly reorder: number;
  /** Chance of one more copy of a frame, up to hours later. */
  readonly straggler: number;
  /** Chance that a frame comes late, whatever happens meanwhile: by `lateMean` on average, a day at most. Every other one comes only then. */
  readonly late: number;
  /** ms. */
  readonly lateMean: number;
  readonly signalLoss: number;
  readonly direct: boolean;
  readonly linkDropMean: number;
  /** A broken link goes unnoticed for this long on average, ms. */
  readonly halfOpenMean: number;
  /** Chance that a link's buffer does not take a frame. */
  readonly linkRefuses: number;
  /** Chance that a link loses a frame without a word. */
  readonly linkLoss: number;
  readonly clockSkewMax: number;
  readonly clockJumpMean: number;
  readonly clockFreezeMean: number;
  readonly queueMessagesMax: number;
  readonly remembersAcknowledged: boolean;
  readonly flushMs: number;
  readonly creditMessages: number;
  /** Chance of a foreign or damaged frame next to a genuine one. */
  readonly garbage: number;
  readonly diskFullMean: number;
  /** Mean time between quotas that a client's store comes close to: it takes what is small, or frees as much. */
  readonly quotaMean: number;
  /** Chance that the relay's disk refuses a write (full stack only). */
  readonly relayDiskFull: number;
  /** A hostile relay, each with its chance per delivery or append: */
  readonly evilReplay: number;
  readonly evilSwap: number;
  readonly evilHide: number;
  readonly evilCut: number;
  readonly evilForge: number;
  /** It says OK to what it throws away. */
  readonly evilLie: number;
  /** Independent relays there are, each with the faults of a relay; a person keeps queues at one of them or at all. */
  readonly relays: number;
  /** One of them is gone for good in the middle of it; then everybody has queues at all. */
  readonly relayLost: boolean;
  /** Mean time between things that only a modified app sends, per pair, ms. */
  readonly forgeMean: number;
  /** Chance that a bit has flipped in a row of a client's when it starts again. */
  readonly rowRot: number;
  /** Chance that a client's app is of a version that does not know all that the others say; in peace it is as theirs. */
  readonly olderApp: number;
  /** Mean time between what a member of a group tells the others falsely, or too much of, ms (several devices only). */
  readonly liarMean: number;
  /**
   * Members of the group who never answer. With more than SMALL_GROUP_MEMBERS_MAX of all, a chain seals many messages
   * instead of one (several devices only).
   */
  readonly crowd: number;
}

/** As many as make any group a large one, whoever else is in it. */
export const CROWD = SMALL_GROUP_MEMBERS_MAX;

const YEAR_MS = 365 * 24 * 3_600_000;
export const PHASE_MS = 40_000;

export function drawFaults(random: Random): Faults {
  const maybe = (probability: number, value: () => number): number => {
    const drawn = value();
    return random.chance(probability) ? drawn : 0;
  };
  // Some seeds take their time: only then does what waits for an hour meet what goes wrong.
  const stretch = random.chance(0.04) ? random.between(10, 400) : 1;
  const every = (min: number, max: number) => () => random.between(min, max) * stretch;
  const evil = random.chance(0.2) ? 0.5 : 0;
  const isRelayBad = random.chance(0.35) ? 1 : 0;
  const drawn = {
    stack: random.chance(0.6) ? "full" : "thin",
    phaseMs: PHASE_MS * stretch,
    delayMin: random.between(15, 40),
    delayMean: random.pick([5, 30, 120]),
    disconnectMean: maybe(0.5, every(2_000, 20_000)),
    partitionMean: maybe(0.3, every(8_000, 40_000)),
    clogMean: maybe(0.25, every(4_000, 30_000)),
    slow: maybe(0.1, () => 0.5),
    relayCrashMean: maybe(0.3, every(5_000, 40_000)),
    relayWipe: maybe(0.3, () => 0.3),
    relayRestore: maybe(0.3, () => 0.3),
    relayRotMean: maybe(0.15, every(2_000, 15_000)),
    clientCrashMean: maybe(0.4, every(4_000, 40_000)),
    crashAtBoundary: maybe(0.4, () => random.pick([0.002, 0.01, 0.04])),
    evictionMean: maybe(0.05, every(20_000, 60_000)),
    sessionLoss: maybe(0.08, () => 0.3),
    duplicate: maybe(0.4, () => random.next() * 0.2),
    reorder: maybe(0.4, () => random.next() * 0.3),
    straggler: maybe(0.15, () => random.next() * 0.05),
    signalLoss: maybe(0.4, () => random.next() * 0.5),
    direct: random.chance(0.7),
    linkDropMean: maybe(0.6, every(2_000, 20_000)),
    halfOpenMean: maybe(0.5, () => random.between(100, 5_000)),
    linkRefuses: maybe(0.3, () => random.next() * 0.4),
    linkLoss: maybe(0.3, () => random.next() * 0.4),
    clockSkewMax: maybe(0.4, () => random.pick([30_000, 3_600_000, 10 * YEAR_MS])),
    clockJumpMean: maybe(0.2, every(5_000, 30_000)),
    clockFreezeMean: maybe(0.15, every(5_000, 30_000)),
    queueMessagesMax: random.chance(0.25) ? random.between(2, 8) : 256,
    remembersAcknowledged: random.chance(0.5),
    flushMs: random.pick([0, 2, 25, 50]),
    creditMessages: random.pick([1, 4, 64]),
    garbage: maybe(0.25, () => random.next() * 0.1),
    diskFullMean: maybe(0.15, every(8_000, 30_000)),
    relayDiskFull: maybe(0.3 * isRelayBad, () => random.next() * 0.2),
    evilReplay: maybe(evil, () => random.next() * 0.1),
    evilSwap: maybe(evil, () => random.next() * 0.05),
    evilHide: maybe(evil, () => random.next() * 0.2),
    evilCut: maybe(evil, () => random.next() * 0.05),
    evilForge: maybe(evil, () => random.next() * 0.1),
    evilLie: maybe(evil, () => random.next() * 0.1),
    forgeMean: maybe(0.25, every(500, 8_000)),
    putBackMean: maybe(0.08, every(5_000, 40_000)),
    strangerMean: maybe(0.12, every(5_000, 40_000)),
  } as const;
  const identityChangeMean = maybe(0.08, every(10_000, 40_000));
  const relays = random.chance(0.4) ? 2 : 1;
  const relayLost = relays > 1 && random.chance(0.4);
  const rowRot = maybe(0.1, () => 0.5);
  const olderApp = maybe(0.1, () => 0.5);
  const liarMean = maybe(0.3, every(1_000, 8_000));
  const late = maybe(0.05, () => random.next() * 0.2);
  const lateMean = random.pick([600_000, 3_600_000, 4 * 3_600_000]);
  const quotaMean = maybe(0.1, every(4_000, 30_000));
  const crawl = maybe(0.03, () => 0.3);
  return {
    ...drawn,
    // Whoever begins anew has one bundle to do it with: damaged, it is as if it were gone.
    rowRot: drawn.strangerMean === 0 && identityChangeMean > 0 ? 0 : rowRot,
    olderApp,
    liarMean,
    late,
    lateMean,
    quotaMean,
    crawl,
    // Asked for alone (`--crowd`): another draw would send every seed another way.
    crowd: 0,
    identityChangeMean: drawn.strangerMean > 0 ? 0 : identityChangeMean,
    relays,
    relayLost,
  };
}

/** What remains after the faults have stopped: delays, and what is a property of the machines. */
export const healed = (faults: Faults): Faults => ({
  ...faults,
  disconnectMean: 0,
  partitionMean: 0,
  clogMean: 0,
  slow: 0,
  crawl: 0,
  relayCrashMean: 0,
  relayRotMean: 0,
  clientCrashMean: 0,
  crashAtBoundary: 0,
  evictionMean: 0,
  sessionLoss: 0,
  putBackMean: 0,
  strangerMean: 0,
  identityChangeMean: 0,
  duplicate: 0,
  reorder: 0,
  straggler: 0,
  late: 0,
  signalLoss: 0,
  linkDropMean: 0,
  linkRefuses: 0,
  linkLoss: 0,
  clockJumpMean: 0,
  clockFreezeMean: 0,
  garbage: 0,
  diskFullMean: 0,
  quotaMean: 0,
  relayDiskFull: 0,
  evilReplay: 0,
  evilSwap: 0,
  evilHide: 0,
  evilCut: 0,
  evilForge: 0,
  evilLie: 0,
  forgeMean: 0,
  rowRot: 0,
  olderApp: 0,
  liarMean: 0,
});

/** Whether somebody tampers with what is carried or stored: then frames are refused that nobody sealed so. */
export const isTampered = (faults: Faults): boolean =>
  faults.garbage +
    faults.relayRotMean +
    faults.evilCut +
    faults.evilForge +
    faults.evilSwap +
    faults.evilReplay +
    faults.forgeMean >
  0;

/** Whether all that was lost can be told at once, so that everything must arrive soon after the faults end. */
export const isPlain = (faults: Faults): boolean =>
  (faults.stack === "full" || faults.queueMessagesMax >= 64) &&
  faults.evilLie +
    faults.evilHide +
    faults.evilSwap +
    faults.evilReplay +
    faults.evilCut +
    faults.evilForge +
    faults.relayRotMean +
    faults.sessionLoss +
    faults.putBackMean +
    faults.strangerMean +
    faults.identityChangeMean +
    faults.rowRot +
    faults.olderApp +
    faults.slow +
    faults.straggler +
    faults.clockJumpMean +
    faults.clockFreezeMean ===
    0 &&
  faults.phaseMs === PHASE_MS;
