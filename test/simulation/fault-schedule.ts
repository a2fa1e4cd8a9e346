/** What goes wrong during a run, and when: each kind by its mean, each time as a decision of its own. */
import type { Client } from "./client.ts";
import type { Decisions } from "./decisions.ts";
import type { Network } from "./endpoint.ts";
import type { Faults } from "./faults.ts";
import type { Oracle } from "./oracle.ts";
import type { Random } from "./random.ts";
import type { Scheduler } from "./scheduler.ts";

export interface FaultWorld {
  readonly faults: Faults;
  readonly decisions: Decisions;
  readonly scheduler: Scheduler;
  readonly network: Network;
  readonly clients: readonly Client[];
  readonly oracle: Oracle;
  readonly trace: (line: string) => void;
  /** Faults have ended. */
  readonly isHealing: () => boolean;
  /** Before, a relay's disk that is lost takes what nobody can ask for again. */
  readonly canWipe: () => boolean;
  readonly wiped?: () => void;
  /** Whose store may go, and what follows when it does; anybody's, and nothing, when left out. */
  readonly evictable?: () => readonly Client[];
  readonly evict?: (client: Client, how: Random) => Promise<void>;
}

export function startFaults(world: FaultWorld): void {
  const { faults, decisions, scheduler, network, clients, oracle, trace } = world;
  const { isHealing, canWipe, wiped, evictable = () => clients, evict } = world;
  const often = (kind: string, mean: number, run: (how: Random) => void): void => {
    if (mean === 0) return;
    const event = decisions.next(kind);
    scheduler.after(event.random.exponential(mean), () => {
      if (isHealing()) return;
      if (event.take()) run(event.random);
      often(kind, mean, run);
    });
  };
  often("disconnect", faults.disconnectMean / clients.length, (how) => {
    network.disconnect(how.pick(clients));
  });
  often("partition", faults.partitionMean, (how) => {
    const client = how.pick(clients);
    network.partition(client, true);
    scheduler.after(how.exponential(faults.phaseMs / 10), () => network.partition(client, false));
  });
  often("clog", faults.clogMean / clients.length, (how) => {
    const direction = how.pick(["up", "down", "both"] as const);
    // Now and then beyond everything that waits for an answer.
    // The model of the hub client asks for no sign of life, so it would wait for all of it.
    const mean = how.chance(0.1) && faults.stack === "full" ? 3_600_000 : 3_000;
    network.clog(how.pick(clients), direction, how.exponential(mean));
  });
  if (faults.relayRestore > 0) scheduler.after(faults.phaseMs / 8, () => network.backUp());
  if (faults.relayRestore > 0) scheduler.after(faults.phaseMs / 2, () => network.backUp());
  often("relay-crash", faults.relayCrashMean, (how) => {
    const drawn = how.chance(faults.relayWipe)
      ? "wiped"
      : how.chance(faults.relayRestore)
        ? "restored"
        : "kept";
    const fate = faults.stack === "full" && canWipe() ? drawn : "kept";
    if (fate !== "kept") wiped?.();
    network.crashRelay(fate, how);
    scheduler.after(how.exponential(2_000), () => network.startRelay());
  });
  often("relay-rot", faults.relayRotMean, (how) => network.rot(how));
  often("client-crash", faults.clientCrashMean / clients.length, (how) => {
    how.pick(clients).crash("by chance");
  });
  let evictions = 0;
  often("eviction", faults.evictionMean, (how) => {
    // One is enough: with nobody left there is nothing to see.
    const all = evictable();
    if (all.length === 0 || evictions++ > 0) return;
    const client = how.pick(all);
    if (evict === undefined) client.evict();
    else void evict(client, how);
  });
  often("put-back", faults.putBackMean, (how) => {
    const client = how.pick(clients);
    if (!oracle.canGoBack(client)) return;
    trace(`${client.name} is copied`);
    const store = client.copyStore();
    // All the addresses that it knows may be at the relay that is lost: see `KNOWN_LIMITS`.
    const isTold = [...store.conversations.values()].every(
      ({ peer }) =>
        peer.state !== "open" || peer.retired || peer.contact.addresses.length === faults.relays,
    );
    if (faults.relayLost && !isTold) return;
    scheduler.after(how.exponential(faults.phaseMs / 5), () => {
      if (!isHealing() && oracle.canGoBack(client, store)) client.putBack(store);
    });
  });
  often("link-drop", faults.linkDropMean, (how) => network.breakLink(how.pick(clients)));
  often("clock-jump", faults.clockJumpMean, (how) => {
    const size = how.pick([2_000, 600_000, 86_400_000, 365 * 86_400_000]);
    const ms = Math.round((how.next() * 2 - 1) * size);
    const client = how.pick(clients);
    trace(`${client.name} clock jumps ${ms} ms`);
    client.jump(ms);
  });
  often("clock-freeze", faults.clockFreezeMean, (how) => {
    const client = how.pick(clients);
    trace(`${client.name} clock freezes`);
    client.freeze(Math.round(how.exponential(5_000)));
  });
  often("quota", faults.quotaMean, (how) => {
    const client = how.pick(clients);
    client.quotaBytes = client.usedBytes() + how.int(4_000);
    trace(`${client.name} may store ${client.quotaBytes} bytes`);
    scheduler.after(how.exponential(faults.phaseMs / 8), () => {
      client.quotaBytes = Infinity;
    });
  });
  often("disk-full", faults.diskFullMean, (how) => {
    const client = how.pick(clients);
    client.diskFull = true;
    scheduler.after(how.exponential(3_000), () => {
      client.diskFull = false;
    });
  });
}
