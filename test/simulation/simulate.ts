/**
 * One run: a world drawn from a seed, people who write while everything fails, then peace, then the verdict.
 */
import { accountIdOf, type CryptoBackend, deriveInviteKeys } from "@sotto/crypto";
import { bytesToHex } from "@sotto/wire";
import { type Client, createClient } from "./client.ts";
import { createDecisions, type Decision } from "./decisions.ts";
import { createEvilRelay } from "./evil-relay.ts";
import type { Network } from "./endpoint.ts";
import { startFaults } from "./fault-schedule.ts";
import { expectedDrops } from "./drops.ts";
import { drawFaults, type Faults, healed, isPlain, isTampered, PHASE_MS } from "./faults.ts";
import { identitiesFor } from "./identities.ts";
import { changesIdentities, type IdentityWorld, startIdentityChanges } from "./identity-change.ts";
import type { Invariant } from "./invariants.ts";
import { createLateFrames } from "./late.ts";
import { createSeveralRelays, type SeveralRelays } from "./several-relays.ts";
import { CRAWLING, createThinNetwork, SLOW } from "./thin-network.ts";
import { createFullNetwork } from "./full-network.ts";
import { createOracle, MARKER, type Pair, type Restored } from "./oracle.ts";
import type { PlantedBug } from "./planted.ts";
import { createRandom, type Random } from "./random.ts";
import { blamingClocks, type Run } from "./run-again.ts";
import { createScheduler } from "./scheduler.ts";
import { settle } from "./settling.ts";
import { stubBackend } from "./stub-crypto.ts";

export interface RunOptions {
  readonly bug?: PlantedBug;
  /** The stub suite unless given: some eighty times faster. */
  readonly crypto?: CryptoBackend;
  /** Called with every line of the trace. */
  readonly trace?: (line: string) => void;
  /** Overrides of what the seed draws. */
  readonly faults?: Partial<Faults>;
  /** Ids of the faults and acts that may happen; all of the seed's when left out. */
  readonly only?: ReadonlySet<string>;
  /** The run ends as soon as this one is broken: what it would show later is not asked for. */
  readonly until?: Invariant;
  /** The run ends with I9 after so much; EVENTS_MAX when left out. */
  readonly eventsMax?: number;
  /** With several devices: three people in one group, all of them admins who act at once. */
  readonly admins?: boolean;
}

export interface RunResult {
  readonly seed: number;
  /** Each begins with the invariant: `I1: …`. */
  readonly failures: readonly string[];
  readonly broken: ReadonlySet<Invariant>;
  /** What went wrong and what people did, in order. */
  readonly decisions: readonly Decision[];
  /** Of the whole trace: equal for equal runs. */
  readonly traceHash: string;
  readonly steps: number;
  readonly events: number;
  readonly accepted: number;
  readonly restored: Restored;
  /** Virtual ms of the whole run. */
  readonly simulatedMs: number;
  /** Virtual ms from the end of the faults until everything had settled. */
  readonly settledAfterMs: number | undefined;
}

/** Rarer repairs (a pause after QUOTA, a content sealed anew) take this long at most. */
export const REPAIR_PHASE_MS = 3 * 3_600_000;
/** What somebody could not read is sealed anew when it is twice as old as when it was last tried. */
export const repairMs = ({ olderApp, phaseMs }: Faults): number =>
  REPAIR_PHASE_MS + (olderApp > 0 ? 2 * phaseMs : 0);
/** Faults end early when so much has happened: a device that fails at every step for hours is no news. */
export const FAULTY_EVENTS_MAX = 150_000;
export const EVENTS_MAX = 400_000;
/** Every so many seeds everything is told to the engine twice: it doubles what a step costs. */
const TELLS_TWICE_EVERY = 4;
/** What people do; everything else that is decided is a fault. */
export const ACTS: readonly string[] = ["write", "look", "rename", "copy"];

/** Of people with a device each. */
export const simulate: Run = blamingClocks(simulateOnce);

async function simulateOnce(seed: number, options: RunOptions = {}): Promise<RunResult> {
  const random = createRandom(seed);
  const faults: Faults = { ...drawFaults(random.fork()), ...options.faults };
  const scheduler = createScheduler();
  const decisions = createDecisions(seed, () => scheduler.now, options.only);
  const crypto = options.crypto ?? stubBackend;
  const { people, renewed, stranger, relayKey } = await identitiesFor(crypto);
  const oracle = createOracle({
    scheduler,
    crypto,
    random: createRandom(~seed),
    isTampered: isTampered(faults),
  });
  let hash = 0x811c9dc5;
  const trace = (line: string): void => {
    const full = `${scheduler.now.toFixed(1)} ${line}`;
    for (let at = 0; at < full.length; at++)
      hash = Math.imul(hash ^ full.charCodeAt(at), 0x01000193);
    options.trace?.(full);
  };
  let healing = false;
  let wipes = 0;
  const current = (): Faults => (healing ? healed(faults) : faults);
  trace(JSON.stringify(faults));
  const late = createLateFrames({ decisions, scheduler, faults: current, trace });

  const makeRelay = (by: Random): Network =>
    (faults.stack === "full" ? createFullNetwork : createThinNetwork)({
      scheduler,
      random: by,
      decisions,
      evil: createEvilRelay(decisions, current, trace),
      late,
      watch: { carried: oracle.carried, fail: oracle.fail },
      faults,
      crypto,
      relayKey,
      trace,
      okBeforeFlush: options.bug === "ok-before-flush",
    });
  const first = random.fork();
  // Drawn beside the rest, so that a seed with one relay is what it always was.
  const beside = createRandom(seed ^ 0x5e1a);
  const several = faults.relays > 1 ? makeSeveral() : undefined;
  const network = several ?? makeRelay(first);
  const clients = people.slice(0, random.pick([2, 2, 2, 3, 4])).map((device, index) =>
    createClient({
      name: `client${index}`,
      device,
      crypto,
      relayKey,
      scheduler,
      random: random.fork(),
      decisions,
      faults: current,
      tellsTwice: seed % TELLS_TWICE_EVERY === 0,
      network,
      oracle,
      bug: options.bug,
      trace,
    }),
  );

  const world = random.fork();
  const identities: IdentityWorld = {
    faults,
    decisions,
    scheduler,
    oracle,
    stranger,
    unused: new Map(clients.map((client, index) => [client, renewed[index]!])),
    isHealing: () => healing,
  };
  const pairs: Pair[] = clients.slice(1).map((invitee, index) => {
    const inviter = world.chance(0.7) ? clients[0]! : clients[index]!;
    return { inviter, invitee, inviterId: `out${index}`, inviteeId: `in${index}` };
  });
  for (const pair of pairs) oracle.join(pair);
  for (const client of clients) await client.start();
  for (const client of clients) {
    if (decisions.fires("slow", faults.slow) !== undefined) network.setSlow(client, SLOW);
    if (decisions.fires("crawl", faults.crawl) !== undefined) network.setSlow(client, CRAWLING);
  }
  for (const pair of pairs) startPair(pair);
  startFaults({
    faults,
    decisions,
    scheduler,
    network,
    clients,
    oracle,
    trace,
    isHealing: () => healing,
    canWipe: haveAllAccepted,
    wiped() {
      wipes++;
    },
  });

  if (faults.relayLost) scheduler.after(beside.int(faults.phaseMs), loseRelay);
  const { eventsMax = EVENTS_MAX } = options;
  const hasSpoken = (): boolean => options.until !== undefined && oracle.broken.has(options.until);
  await scheduler.runUntil(
    faults.phaseMs,
    () => scheduler.events > Math.min(FAULTY_EVENTS_MAX, eventsMax) || hasSpoken(),
  );
  healing = true;
  network.faults = healed(faults);
  network.startRelay();
  for (const client of clients) {
    client.diskFull = false;
    client.quotaBytes = Infinity;
    network.setSlow(client);
    network.partition(client, false);
    // What a hostile relay or the way kept back or numbered wrongly is asked for again over a new connection.
    // So is a queue that a relay had lost, by whoever has other keys and hears nobody who could say that it is there.
    const { evilHide, evilSwap, evilReplay, identityChangeMean } = faults;
    const { late: lates, crawl } = faults;
    const isAskedAgain = evilHide + evilSwap + evilReplay + identityChangeMean + lates + crawl > 0;
    if (isAskedAgain) network.disconnect(client);
  }
  trace("healed");
  // Tight queues wait for whole QUOTA pauses, keys die when a clock jumps, a wiped relay knows nothing of
  // what it took: then it may take longer.
  const settledAfterMs = await settle({
    scheduler,
    oracle,
    clients,
    late,
    repairMs: repairMs(faults),
    isSoon: isPlain(faults) && wipes === 0,
    eventsMax,
    hasSpoken,
    isSettled: () => oracle.isSettled(),
  });
  network.atTheEnd();
  await oracle.atTheEnd(expectedDrops({ faults, decisions, stores: oracle.restored.stores }));
  return {
    seed,
    failures: oracle.failures,
    broken: oracle.broken,
    decisions: decisions.taken,
    traceHash: (hash >>> 0).toString(16).padStart(8, "0"),
    steps: clients.reduce((sum, client) => sum + client.steps, 0),
    events: scheduler.events,
    accepted: oracle.accepted_,
    restored: oracle.restored,
    simulatedMs: scheduler.now,
    settledAfterMs,
  };

  function makeSeveral(): SeveralRelays {
    const all = Array.from({ length: faults.relays }, (_, relay) => relay);
    const homes = new Map(
      people.map((_, index) => {
        const order = beside.chance(0.5) ? all : all.toReversed();
        const isAtOne = !faults.relayLost && beside.chance(0.3);
        return [`client${index}`, isAtOne ? order.slice(0, 1) : order];
      }),
    );
    return createSeveralRelays({
      networks: all.map((relay) => makeRelay(relay === 0 ? first : beside.fork())),
      homesOf: (name) => homes.get(name) ?? all,
      scheduler,
      random: beside.fork(),
      trace,
    });
  }

  /** Before, an address that is all that somebody has may be at the relay that is lost: see `KNOWN_LIMITS`. */
  function areAllTold(): boolean {
    const isTold = (client: Client, id: string): boolean => {
      const peer = client.disk.conversations.get(id)?.peer;
      return peer?.state === "open" && peer.contact.addresses.length === faults.relays;
    };
    return pairs.every(
      ({ inviter, inviterId, invitee, inviteeId }) =>
        isTold(inviter, inviterId) && isTold(invitee, inviteeId),
    );
  }

  /** One relay is gone with all it took and nobody had fetched. */
  function loseRelay(): void {
    if (healing) return;
    if (areAllTold()) several?.kill(beside.int(faults.relays));
    else scheduler.after(1_000, loseRelay);
  }

  /** The two people of a pair: invite, accept, write, look, rename. */
  function startPair(pair: Pair): void {
    const { inviter, invitee, inviterId, inviteeId } = pair;
    const own = world.fork();
    const stretch = faults.phaseMs / PHASE_MS;
    const again = (ms: number, run: () => void | Promise<void>): void => {
      scheduler.after(ms, run);
    };
    const sides = [
      [inviter, inviterId],
      [invitee, inviteeId],
    ] as const;
    const someSide = (by: Random): readonly [Client, string] => sides[by.chance(0.5) ? 0 : 1];
    const invite = async (): Promise<void> => {
      if (inviter.disk.conversations.has(inviterId)) return;
      await inviter.begin(inviterId, {
        kind: "start-invite",
        id: inviterId,
        // Beyond every jump of a clock: what expires is tested in packages/protocol.
        expiresAt: inviter.now() + 100 * 365 * 86_400_000,
      });
      again(1_000, invite);
    };
    const accept = (): void => {
      if (invitee.disk.conversations.has(inviteeId)) return;
      again(1_000 + own.int(1_000), accept);
      const record = inviter.disk.conversations.get(inviterId);
      if (record?.peer.state !== "invited" || !invitee.running) return;
      const { seed: inviteSeed } = record.peer.invite;
      const accountId = accountIdOf(inviter.disk.self.cert.rootKey);
      const link = { seed: inviteSeed, accountId, relayPin: new Uint8Array(16) };
      network.fetch(invitee, bytesToHex(deriveInviteKeys(inviteSeed).linkId), async (blob) => {
        if (blob === undefined || invitee.disk.conversations.has(inviteeId)) return;
        await invitee.begin(inviteeId, { kind: "start-accept", id: inviteeId, invite: link, blob });
      });
    };
    let written = 0;
    // Now and then so many that windows, credit and batches of receipts fill up.
    const writesMax = own.chance(0.05) ? own.between(80, 200) : own.between(4, 14);
    const write = async (): Promise<void> => {
      if (healing || written >= writesMax) return;
      const act = decisions.next("write");
      const by = act.random;
      const pause = faults.phaseMs / (writesMax + 2);
      again(by.chance(0.4) ? by.int(60) : by.exponential(pause), write);
      const [client, id] = someSide(by);
      if (!client.running || !client.has(id)) return;
      written++;
      const text = `${MARKER} message ${written} in ${id} ${MARKER}`.repeat(
        by.chance(0.1) ? 20 : 1,
      );
      if (!act.take()) return;
      await client.feed(id, { kind: "send-text", id: bytesToHex(by.bytes(16)), text });
    };
    const look = async (): Promise<void> => {
      const act = decisions.next("look");
      const by = act.random;
      // In peace people look in now and then; a silent pair would never learn that the other is there.
      again(healing ? 600_000 : by.exponential(6_000 * stretch), look);
      const [client, id] = someSide(by);
      const wanted = by.chance(0.7);
      if (healing || act.take()) await client.feed(id, { kind: "want", wanted });
    };
    const rename = async (): Promise<void> => {
      if (healing) return;
      const act = decisions.next("rename");
      const client = act.random.chance(0.5) ? inviter : invitee;
      if (act.take()) await client.rename(`Name ${act.random.int(1_000)} ${MARKER}`);
    };
    const forge = async (): Promise<void> => {
      if (healing) return;
      const act = decisions.next("malice");
      again(act.random.exponential(faults.forgeMean), forge);
      const [client, id] = someSide(act.random);
      if (act.take()) await client.forge(id, act.random);
    };
    const copy = (): void => {
      const act = decisions.next("copy");
      const [client, id] = someSide(act.random);
      if (act.take()) oracle.copied(client, id);
    };
    if (faults.forgeMean > 0) again(own.exponential(faults.forgeMean), forge);
    if (changesIdentities(faults)) startIdentityChanges(identities, () => sides, own.fork());
    again(own.int(500), invite);
    again(500 + own.exponential(3_000), accept);
    again(own.int(2_000), write);
    again(own.int(3_000), look);
    again(own.int(faults.phaseMs), copy);
    // A rename that the device forgets in a crash is told to nobody: the app repeats nothing either.
    const { clientCrashMean, crashAtBoundary, evictionMean, putBackMean } = faults;
    const forgets = clientCrashMean + crashAtBoundary + evictionMean + putBackMean > 0;
    if (!forgets && own.chance(0.3)) again(own.int(faults.phaseMs), rename);
  }

  /** Before, a disk that is lost takes the offer with it, and nobody can use the invite until it is back. */
  function haveAllAccepted(): boolean {
    return pairs.every(({ invitee, inviteeId }) => invitee.disk.conversations.has(inviteeId));
  }
}
