/**
 * One run: a world drawn from a seed, people who write while everything fails, then peace, then the verdict.
 */
import type { DropReason } from "@sotto/protocol";
import { accountIdOf, type CryptoBackend, deriveInviteKeys } from "@sotto/crypto";
import { bytesToHex } from "@sotto/wire";
import { type Client, createClient } from "./client.ts";
import { drawFaults, type Faults, healed } from "./faults.ts";
import { identitiesFor } from "./identities.ts";
import { createThinNetwork } from "./thin-network.ts";
import { createFullNetwork } from "./full-network.ts";
import { createOracle, MARKER, type Pair } from "./oracle.ts";
import type { PlantedBug } from "./planted.ts";
import { createRandom } from "./random.ts";
import { createScheduler } from "./scheduler.ts";
import { stubBackend } from "./stub-crypto.ts";

export interface RunOptions {
  readonly bug?: PlantedBug;
  /** The stub suite unless given: some eighty times faster. */
  readonly crypto?: CryptoBackend;
  /** Called with every line of the trace. */
  readonly trace?: (line: string) => void;
  /** Overrides of what the seed draws. */
  readonly faults?: Partial<Faults>;
}

export interface RunResult {
  readonly seed: number;
  readonly failures: readonly string[];
  /** Of the whole trace: equal for equal runs. */
  readonly traceHash: string;
  readonly steps: number;
  readonly events: number;
  readonly accepted: number;
  /** Virtual ms from the end of the faults until everything had settled. */
  readonly settledAfterMs: number | undefined;
}

const FAULT_PHASE_MS = 40_000;
/** After the network healed everything has to arrive within this. */
export const HEAL_PHASE_MS = 120_000;
/** Rarer repairs (a pause after QUOTA, a content sealed anew) take this long at most. */
const REPAIR_PHASE_MS = 3 * 3_600_000;
const EVENTS_MAX = 200_000;

const HARMLESS: readonly DropReason[] = ["duplicate", "old-signal", "unknown-session"];
const WITH_GARBAGE: readonly DropReason[] = [...HARMLESS, "malformed", "bad-tag", "unexpected"];

export async function simulate(seed: number, options: RunOptions = {}): Promise<RunResult> {
  const random = createRandom(seed);
  const faults: Faults = { ...drawFaults(random.fork()), ...options.faults };
  const scheduler = createScheduler();
  const oracle = createOracle(scheduler);
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

  const crypto = options.crypto ?? stubBackend;
  const { people, relayKey } = await identitiesFor(crypto);
  const network = (faults.stack === "full" ? createFullNetwork : createThinNetwork)({
    scheduler,
    random: random.fork(),
    faults,
    crypto,
    relayKey,
    trace,
    okBeforeFlush: options.bug === "ok-before-flush",
  });
  const clients = people.slice(0, random.pick([2, 2, 2, 3, 4])).map((device, index) =>
    createClient({
      name: `client${index}`,
      device,
      crypto,
      relayKey,
      scheduler,
      random: random.fork(),
      network,
      oracle,
      skewMs:
        faults.clockSkewMax === 0 ? 0 : random.between(-faults.clockSkewMax, faults.clockSkewMax),
      bug: options.bug,
      trace,
      crashAtBoundary: () => current().crashAtBoundary,
      garbage: () => current().garbage,
    }),
  );

  const world = random.fork();
  const pairs: Pair[] = clients.slice(1).map((invitee, index) => {
    const inviter = world.chance(0.7) ? clients[0]! : clients[index]!;
    return { inviter, invitee, inviterId: `out${index}`, inviteeId: `in${index}` };
  });
  for (const pair of pairs) oracle.join(pair);
  for (const client of clients) await client.start();
  for (const pair of pairs) startPair(pair);
  startFaults();

  await scheduler.runUntil(FAULT_PHASE_MS, () => scheduler.events > EVENTS_MAX);
  healing = true;
  network.faults = healed(faults);
  network.startRelay();
  for (const client of clients) {
    client.diskFull = false;
    network.partition(client, false);
  }
  trace("healed");
  let settledAt: number | undefined;
  await scheduler.runUntil(FAULT_PHASE_MS + REPAIR_PHASE_MS, () => {
    // What has settled must stay so for a while: a late duplicate still asks for one more receipt.
    settledAt = oracle.isSettled() ? (settledAt ?? scheduler.now) : undefined;
    const isOver = settledAt !== undefined && scheduler.now > settledAt + 2_000;
    return isOver || scheduler.events > EVENTS_MAX;
  });
  if (scheduler.events > EVENTS_MAX) oracle.fail("events without end");
  // Tight queues wait for whole QUOTA pauses, keys die when a clock jumps, a wiped relay knows nothing of
  // what it took: then it may take longer.
  const isPlain =
    (faults.stack === "full" || faults.queueMessagesMax >= 64) &&
    faults.clockJumpMean === 0 &&
    wipes === 0;
  if (isPlain && settledAt !== undefined && settledAt > FAULT_PHASE_MS + HEAL_PHASE_MS) {
    oracle.fail(`settles only ${Math.round(settledAt - FAULT_PHASE_MS)} ms after the faults ended`);
  }
  oracle.atTheEnd(new Set(faults.garbage > 0 ? WITH_GARBAGE : HARMLESS));
  return {
    seed,
    failures: oracle.failures,
    traceHash: (hash >>> 0).toString(16).padStart(8, "0"),
    steps: clients.reduce((sum, client) => sum + client.steps, 0),
    events: scheduler.events,
    accepted: oracle.accepted_,
    settledAfterMs: settledAt === undefined ? undefined : settledAt - FAULT_PHASE_MS,
  };

  /** The two people of a pair: invite, accept, write, look, rename. */
  function startPair(pair: Pair): void {
    const { inviter, invitee, inviterId, inviteeId } = pair;
    const own = world.fork();
    const again = (ms: number, run: () => void | Promise<void>): void => {
      scheduler.after(ms, run);
    };
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
      const { seed } = record.peer.invite;
      const accountId = accountIdOf(inviter.disk.self.cert.rootKey);
      const link = { seed, accountId, relayPin: new Uint8Array(16) };
      network.fetch(invitee, bytesToHex(deriveInviteKeys(seed).linkId), async (blob) => {
        if (blob === undefined || invitee.disk.conversations.has(inviteeId)) return;
        await invitee.begin(inviteeId, { kind: "start-accept", id: inviteeId, invite: link, blob });
      });
    };
    let written = 0;
    // Now and then so many that windows, credit and batches of receipts fill up.
    const writesMax = own.chance(0.05) ? own.between(80, 200) : own.between(4, 14);
    const write = async (): Promise<void> => {
      if (healing || written >= writesMax) return;
      again(
        own.chance(0.4) ? own.int(60) : own.exponential(FAULT_PHASE_MS / (writesMax + 2)),
        write,
      );
      const [client, id] = own.chance(0.5) ? [inviter, inviterId] : [invitee, inviteeId];
      if (!client.running || !client.has(id)) return;
      written++;
      const text = `${MARKER} message ${written} in ${id} ${MARKER}`.repeat(
        own.chance(0.1) ? 20 : 1,
      );
      await client.feed(id, { kind: "send-text", id: bytesToHex(own.bytes(16)), text });
    };
    const look = async (): Promise<void> => {
      // In peace people look in now and then; a silent pair would never learn that the other is there.
      again(healing ? 600_000 : own.exponential(6_000), look);
      const [client, id] = own.chance(0.5) ? [inviter, inviterId] : [invitee, inviteeId];
      await client.feed(id, { kind: "want", wanted: own.chance(0.7) });
    };
    const rename = async (): Promise<void> => {
      if (healing) return;
      await (own.chance(0.5) ? inviter : invitee).rename(`Name ${own.int(1_000)} ${MARKER}`);
    };
    const forge = async (): Promise<void> => {
      if (healing) return;
      again(own.exponential(faults.forgeMean), forge);
      const [client, id] = own.chance(0.5) ? [inviter, inviterId] : [invitee, inviteeId];
      await client.forge(id);
    };
    if (faults.forgeMean > 0) again(own.exponential(faults.forgeMean), forge);
    again(own.int(500), invite);
    again(500 + own.exponential(3_000), accept);
    again(own.int(2_000), write);
    again(own.int(3_000), look);
    // A rename that the device forgets in a crash is told to nobody: the app repeats nothing either.
    if (faults.clientCrashMean === 0 && faults.crashAtBoundary === 0 && own.chance(0.3)) {
      again(own.int(FAULT_PHASE_MS), rename);
    }
  }

  /** Before, a disk that is lost takes the offer with it, and nobody can use the invite until it is back. */
  function haveAllAccepted(): boolean {
    return pairs.every(({ invitee, inviteeId }) => invitee.disk.conversations.has(inviteeId));
  }

  function startFaults(): void {
    const chaos = random.fork();
    const often = (mean: number, run: () => void): void => {
      if (mean === 0) return;
      scheduler.after(chaos.exponential(mean), () => {
        if (healing) return;
        run();
        often(mean, run);
      });
    };
    const someone = (): Client => chaos.pick(clients);
    often(faults.disconnectMean / clients.length, () => network.disconnect(someone()));
    often(faults.partitionMean, () => {
      const client = someone();
      network.partition(client, true);
      scheduler.after(chaos.exponential(4_000), () => network.partition(client, false));
    });
    often(faults.relayCrashMean, () => {
      const wiped = faults.stack === "full" && chaos.chance(faults.relayWipe) && haveAllAccepted();
      wipes += wiped ? 1 : 0;
      network.crashRelay(wiped);
      scheduler.after(chaos.exponential(2_000), () => network.startRelay());
    });
    often(faults.clientCrashMean / clients.length, () => someone().crash("by chance"));
    often(faults.linkDropMean, () => network.breakLink(someone()));
    often(faults.clockJumpMean, () => {
      const size = chaos.pick([2_000, 600_000, 86_400_000, 365 * 86_400_000]);
      const ms = Math.round((chaos.next() * 2 - 1) * size);
      const client = someone();
      trace(`${client.name} clock jumps ${ms} ms`);
      client.jump(ms);
    });
    often(faults.diskFullMean, () => {
      const client = someone();
      client.diskFull = true;
      scheduler.after(chaos.exponential(3_000), () => {
        client.diskFull = false;
      });
    });
  }
}
