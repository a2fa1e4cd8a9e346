/**
 * One run with several devices for each person: they are linked and removed while everything fails, then there is
 * peace, then the verdict.
 * Owns: how a run goes. Leaves to device-acts.ts and device-group.ts: what people do; to device-checks.ts: what must hold
 * for an account; to oracle.ts: for each device; to simulate.ts: two people with a device each, and the faults that only
 * they can suffer.
 */
import type { OwnDevice } from "@sotto/crypto";
import { type Client, createClient } from "./client.ts";
import { createDecisions } from "./decisions.ts";
import { createDeviceActs } from "./device-acts.ts";
import { createDeviceChecks } from "./device-checks.ts";
import { createDeviceGroup } from "./device-group.ts";
import { createDeviceFaults, createDevicesView } from "./device-faults.ts";
import { type Account, createPeople } from "./device-people.ts";
import { createEvilRelay } from "./evil-relay.ts";
import { startFaults } from "./fault-schedule.ts";
import { expectedDrops } from "./drops.ts";
import { drawFaults, type Faults, healed, isPlain, isTampered } from "./faults.ts";
import type { Network } from "./endpoint.ts";
import { createFullNetwork } from "./full-network.ts";
import { accountsFor, identitiesFor } from "./identities.ts";
import { createLateFrames } from "./late.ts";
import { createOracle } from "./oracle.ts";
import { createRandom, type Random } from "./random.ts";
import { blamingClocks, type Run } from "./run-again.ts";
import { createScheduler } from "./scheduler.ts";
import { settle } from "./settling.ts";
import {
  EVENTS_MAX,
  FAULTY_EVENTS_MAX,
  repairMs,
  type RunOptions,
  type RunResult,
} from "./simulate.ts";
import { stubBackend } from "./stub-crypto.ts";
import { createSeveralRelays } from "./several-relays.ts";
import { CRAWLING, createThinNetwork, SLOW } from "./thin-network.ts";

export const simulateDevices: Run = blamingClocks(simulateOnce);

async function simulateOnce(seed: number, options: RunOptions = {}): Promise<RunResult> {
  const random = createRandom(seed ^ 0x0d3f1ce5);
  const faults: Faults = {
    ...drawFaults(random.fork()),
    // Whoever begins anew with keys of another account is between two devices: simulate.ts has it.
    identityChangeMean: 0,
    ...options.faults,
  };
  const scheduler = createScheduler();
  const decisions = createDecisions(seed, () => scheduler.now, options.only);
  const crypto = options.crypto ?? stubBackend;
  const oracle = createOracle({
    scheduler,
    crypto,
    random: createRandom(~seed),
    isTampered: isTampered(faults),
    devices: () => view,
  });
  let hash = 0x811c9dc5;
  const trace = (line: string): void => {
    const full = `${scheduler.now.toFixed(1)} ${line}`;
    for (let at = 0; at < full.length; at++) {
      hash = Math.imul(hash ^ full.charCodeAt(at), 0x01000193);
    }
    options.trace?.(full);
  };
  let healing = false;
  let wipes = 0;
  const current = (): Faults => (healing ? healed(faults) : faults);
  trace(JSON.stringify(faults));
  const late = createLateFrames({ decisions, scheduler, faults: current, trace });

  const { relayKey, stranger } = await identitiesFor(crypto);
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
      okBeforeFlush: false,
    });
  const first = random.fork();
  const beside = createRandom(seed ^ 0x5e1a);
  const relays = Array.from({ length: faults.relays }, (_, relay) => relay);
  // Everybody has queues at all of them.
  const several =
    faults.relays === 1
      ? undefined
      : createSeveralRelays({
          networks: relays.map((relay) => makeRelay(relay === 0 ? first : beside.fork())),
          homesOf: () => relays,
          scheduler,
          random: beside.fork(),
          trace,
        });
  const network = several ?? makeRelay(first);
  const made: Client[] = [];
  const deviceOf = (name: string, device: OwnDevice, isFirst: boolean): Client => {
    const client = createClient({
      name,
      device,
      isFirst,
      crypto,
      relayKey,
      scheduler,
      random: random.fork(),
      decisions,
      faults: current,
      tellsTwice: seed % 4 === 0,
      network,
      oracle,
      bug: options.bug,
      trace,
    });
    made.push(client);
    return client;
  };
  /** All are admins, and act at once. */
  const isContested = options.admins === true;
  const peopleCount = random.pick([2, 2, 2, 3]);
  const accounts: Account[] = (await accountsFor(crypto))
    .slice(0, isContested ? 3 : peopleCount)
    .map((devices, index) => {
      const count = random.pick([1, 2, 2, 3]);
      const [first, ...spare] = devices
        .slice(0, count)
        .map((device, at) => deviceOf(`person${index}.${at}`, device, at === 0));
      return {
        name: `person${index}`,
        devices: first === undefined ? [] : [first],
        spare,
        removed: new Set(),
        isChanging: false,
      };
    });
  const world = random.fork();

  const again = (ms: number, run: () => void | Promise<void>): void => {
    scheduler.after(ms, run);
  };
  const setting = {
    faults,
    decisions,
    network,
    oracle,
    crypto,
    random: world,
    accounts,
    isContested,
    trace,
    isHealing: () => healing,
    again,
  };
  const people = createPeople(accounts, made, faults.crowd);
  const view = createDevicesView({ accounts, oracle, people });
  const group = createDeviceGroup(setting, people);
  const acts = createDeviceActs(setting, people, group);
  const { takeNotes, look, meet, link, remove, write, written } = acts;
  const { whatIsUnsettled, checkText, checkHistories } = createDeviceChecks({
    accounts,
    oracle,
    people,
    group,
  });
  for (const client of made) {
    await client.start();
    await takeNotes(client);
  }
  for (const client of made) {
    if (decisions.fires("slow", faults.slow) !== undefined) network.setSlow(client, SLOW);
    if (decisions.fires("crawl", faults.crawl) !== undefined) network.setSlow(client, CRAWLING);
  }
  accounts.forEach((account, index) => {
    const other = accounts[index + 1] ?? (index === accounts.length - 1 ? undefined : accounts[0]);
    if (other !== undefined) meet(account, other, `meet${index}`);
    for (const _ of account.spare) again(world.int(faults.phaseMs * 0.6), () => link(account));
    if (world.chance(0.5)) {
      again(faults.phaseMs * (0.5 + world.next() / 2), () => remove(account));
    }
  });
  const isGrouped = world.chance(0.6) || isContested;
  if (isGrouped) again(faults.phaseMs * (0.1 + world.next() * 0.3), group.foundGroup);
  again(world.int(2_000), write);
  for (const client of made) {
    const by = world.fork();
    again(by.int(5_000), () => look(client, by));
  }
  const deviceFaults = createDeviceFaults({ ...setting, scheduler, stranger, people, acts });
  startFaults({
    faults,
    decisions,
    scheduler,
    network,
    clients: made,
    oracle,
    trace,
    isHealing: () => healing,
    canWipe: acts.haveAllMet,
    wiped() {
      wipes++;
    },
    evictable: deviceFaults.evictable,
    evict: (client, how) => deviceFaults.evict(client, how),
  });
  deviceFaults.start();
  /** One relay is gone with all it took and nobody had fetched. */
  const loseRelay = (): void => {
    if (healing) return;
    if (acts.haveAllMet() && deviceFaults.areAllTold(faults.relays))
      several?.kill(beside.int(faults.relays));
    else again(1_000, loseRelay);
  };
  if (faults.relayLost) again(beside.int(faults.phaseMs), loseRelay);

  const { eventsMax = EVENTS_MAX } = options;
  const hasSpoken = (): boolean => options.until !== undefined && oracle.broken.has(options.until);
  await scheduler.runUntil(
    faults.phaseMs,
    () => scheduler.events > Math.min(FAULTY_EVENTS_MAX, eventsMax) || hasSpoken(),
  );
  healing = true;
  network.faults = healed(faults);
  network.startRelay();
  for (const client of made) {
    client.diskFull = false;
    client.quotaBytes = Infinity;
    network.setSlow(client);
    network.partition(client, false);
    network.disconnect(client);
  }
  await group.endLies();
  trace("healed");
  let unsettled: string | undefined;
  const settledAfterMs = await settle({
    scheduler,
    oracle,
    clients: made,
    late,
    repairMs: repairMs(faults),
    isSoon: isPlain(faults) && wipes === 0,
    eventsMax,
    hasSpoken,
    isSettled() {
      unsettled = whatIsUnsettled();
      return unsettled === undefined;
    },
    // A device that was linked asks for older texts one after the other, and again after minutes.
    hasArrived: () => whatIsUnsettled("news") === undefined,
  });
  if (unsettled !== undefined) oracle.fail("I4", unsettled);
  network.atTheEnd();
  for (const [id, text] of written) checkText(id, text);
  checkHistories();
  group.checkThieves();
  const { stores } = oracle.restored;
  await oracle.atTheEnd(expectedDrops({ faults, decisions, stores, hasDevices: true }));
  return {
    seed,
    failures: oracle.failures,
    broken: oracle.broken,
    decisions: decisions.taken,
    traceHash: (hash >>> 0).toString(16).padStart(8, "0"),
    steps: made.reduce((sum, client) => sum + client.steps, 0),
    events: scheduler.events,
    accepted: oracle.accepted_,
    restored: oracle.restored,
    simulatedMs: scheduler.now,
    settledAfterMs,
  };
}
