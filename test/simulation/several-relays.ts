/**
 * Several relays behind what looks like one: what the shell's side of them does. Every relay is a network of its own that
 * fails by itself; each client has a connection to every one, and its queues at its own (its homes).
 * Owns: failing over, copies, numbers that are unique over all relays. Leaves to the networks: how one relay behaves.
 * Spec: protocol/SPEC.md §13.
 */
import type { AppendOutcome, Endpoint, Network } from "./endpoint.ts";
import type { Random } from "./random.ts";
import type { Scheduler } from "./scheduler.ts";

/** A relay that has not answered for so long is passed over; its answer still counts. */
export const FAIL_OVER_MS = 2_000;

export interface SeveralRelaysOptions {
  readonly networks: readonly Network[];
  /** Indices of the relays where this client keeps its queues, ordered by preference; never none. */
  readonly homesOf: (name: string) => readonly number[];
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly trace: (line: string) => void;
}

export interface SeveralRelays extends Network {
  /** It never comes back, and neither does what it had. */
  kill(relay: number): void;
}

interface Place {
  readonly proxies: readonly Endpoint[];
  readonly up: boolean[];
  /** Hex. */
  readonly queues: Set<string>;
  /** Which relay took which envelope, as far as this process knows. */
  readonly takers: Map<string, number>;
}

export function createSeveralRelays(options: SeveralRelaysOptions): SeveralRelays {
  const { networks, homesOf, scheduler, trace } = options;
  const places = new Map<Endpoint, Place>();
  const dead = new Set<number>();
  const count = BigInt(networks.length);

  function placeOf(client: Endpoint): Place {
    const known = places.get(client);
    if (known !== undefined) return known;
    const proxies = networks.map((_, relay) => proxyOf(client, relay));
    const up = networks.map(() => false);
    const place: Place = { proxies, up, queues: new Set(), takers: new Map() };
    places.set(client, place);
    return place;
  }

  const isUp = (client: Endpoint): boolean =>
    homesOf(client.name).some((home) => placeOf(client).up[home]);

  function proxyOf(client: Endpoint, relay: number): Endpoint {
    return {
      name: client.name,
      get running() {
        return client.running;
      },
      get peerId() {
        return client.peerId;
      },
      expects: (peerId) => client.expects(peerId),
      async hub(up) {
        const place = placeOf(client);
        if (place.up[relay] === up) return;
        const was = isUp(client);
        place.up[relay] = up;
        const isHome = homesOf(client.name).includes(relay);
        if (isUp(client) !== was) await client.hub(up);
        else if (up && isHome) at(relay).openQueues(here(client, relay), [...place.queues]);
      },
      deliver: (queueId, sequence, blob) =>
        client.deliver(queueId, sequence * count + BigInt(relay), blob),
      signalled: (queueId, blob) => client.signalled(queueId, blob),
      missing: (queueId) => client.missing(queueId, relay),
      link: (peerId, up) => client.link(peerId, up),
      linkFrame: (peerId, blob) => client.linkFrame(peerId, blob),
    };
  }

  const at = (relay: number): Network => networks[relay]!;
  const here = (client: Endpoint, relay: number): Endpoint => placeOf(client).proxies[relay]!;
  const everywhere = (run: (network: Network, relay: number) => void): void => {
    networks.forEach(run);
  };

  /** Asks one relay after another until one gives what is wanted. */
  function inTurn<T>(
    relays: readonly number[],
    ask: (relay: number, answer: (value: T) => void) => void,
    isWanted: (value: T) => boolean,
    done: (values: readonly T[], relay: number | undefined) => void | Promise<void>,
  ): void {
    const values: T[] = [];
    let over = false;
    const next = (index: number): void => {
      const relay = relays[index];
      if (over) return;
      if (relay === undefined) {
        over = true;
        void done(values, undefined);
        return;
      }
      let moved = false;
      const move = (): void => {
        if (moved) return;
        moved = true;
        next(index + 1);
      };
      const isLast = index === relays.length - 1;
      if (!isLast) scheduler.after(FAIL_OVER_MS, move);
      ask(relay, (value) => {
        if (over) return;
        values.push(value);
        if (!isWanted(value)) {
          move();
          return;
        }
        over = true;
        void done(values, relay);
      });
    };
    next(0);
  }

  const network: SeveralRelays = {
    get faults() {
      return at(0).faults;
    },
    set faults(faults) {
      for (const one of networks) one.faults = faults;
    },
    relaysOf: (client) => homesOf(client.name),
    get relayUp() {
      return networks.every((one) => one.relayUp);
    },
    kill(relay) {
      if (dead.has(relay)) return;
      trace(`relay ${relay} is gone for good`);
      dead.add(relay);
      at(relay).crashRelay("kept", options.random);
    },
    connect: (client) => everywhere((one, relay) => one.connect(here(client, relay))),
    disconnect: (client) => everywhere((one, relay) => one.disconnect(here(client, relay))),
    partition: (client, cut) => everywhere((one, relay) => one.partition(here(client, relay), cut)),
    clog: (client, direction, ms) =>
      everywhere((one, relay) => one.clog(here(client, relay), direction, ms)),
    setSlow: (client, pace) => everywhere((one, relay) => one.setSlow(here(client, relay), pace)),
    backUp: () => everywhere((one) => one.backUp()),
    rot: (random) => random.pick(networks).rot(random),
    crashRelay(fate, random) {
      const relay = random.int(networks.length);
      trace(`it is relay ${relay}`);
      if (!dead.has(relay)) at(relay).crashRelay(fate, random);
    },
    startRelay: () => everywhere((one, relay) => (dead.has(relay) ? undefined : one.startRelay())),
    makeQueue(client, queueId, firstUse, answer, relay = 0) {
      placeOf(client).queues.add(queueId);
      at(relay).makeQueue(here(client, relay), queueId, firstUse, answer);
    },
    closeQueue(client, queueId) {
      placeOf(client).queues.delete(queueId);
      for (const home of homesOf(client.name)) at(home).closeQueue(here(client, home), queueId);
    },
    openQueues(client, queueIds) {
      const { queues, up } = placeOf(client);
      for (const queueId of queueIds) queues.add(queueId);
      for (const home of homesOf(client.name)) {
        if (up[home] === true) at(home).openQueues(here(client, home), [...queues]);
      }
    },
    publish(client, queueId, linkId, blob, answer) {
      // To all of them: whoever has the link asks any.
      let waiting = homesOf(client.name).length;
      let said = false;
      for (const home of homesOf(client.name)) {
        at(home).publish(here(client, home), queueId, linkId, blob, async (outcome) => {
          waiting--;
          if (said || (outcome !== "ok" && waiting > 0)) return;
          said = true;
          await answer(outcome);
        });
      }
    },
    fetch(client, linkId, answer) {
      inTurn<Uint8Array | undefined>(
        networks.map((_, relay) => relay),
        (relay, said) => at(relay).fetch(here(client, relay), linkId, said),
        (blob) => blob !== undefined,
        (blobs) => answer(blobs.at(-1)),
      );
    },
    append(client, target, id, blob, answer, copy = false) {
      const { takers } = placeOf(client);
      const all = [target, ...(target.others ?? [])];
      const taker = takers.get(id);
      if (copy && taker === undefined) {
        // As the transport: given once more, it is known who has it.
        network.append(client, target, id, blob, (outcome) =>
          outcome === "ok" && takers.has(id)
            ? network.append(client, target, id, blob, answer, copy)
            : answer(outcome),
        );
        return;
      }
      const targets = copy ? all.filter((one) => one.relay !== taker) : all;
      if (targets.length === 0) {
        scheduler.after(1, () => answer("ok"));
        return;
      }
      const targetAt = new Map(targets.map((one) => [one.relay ?? 0, one]));
      inTurn<AppendOutcome>(
        [...targetAt.keys()],
        (relay, said) =>
          at(relay).append(here(client, relay), targetAt.get(relay)!, id, blob, said),
        (outcome) => outcome === "ok",
        (outcomes, relay) => {
          if (relay !== undefined && !copy) takers.set(id, relay);
          return answer(outcomeOf(outcomes, targets.length));
        },
      );
    },
    signal(client, target, blob, answer) {
      const targetAt = new Map(
        [target, ...(target.others ?? [])].map((one) => [one.relay ?? 0, one] as const),
      );
      inTurn<"ok" | "away" | "lost">(
        [...targetAt.keys()],
        (relay, said) => at(relay).signal(here(client, relay), targetAt.get(relay)!, blob, said),
        (outcome) => outcome === "ok",
        (outcomes) =>
          answer(outcomes.includes("ok") ? "ok" : outcomes.includes("away") ? "away" : "lost"),
      );
    },
    acknowledge(client, queueId, sequence) {
      const relay = Number(sequence % count);
      at(relay).acknowledge(here(client, relay), queueId, sequence / count);
    },
    isConnected: (client) => networks.some((one, relay) => one.isConnected(here(client, relay))),
    // Reservations are at the first relay.
    dial: (client, peerId, failed) => at(0).dial(here(client, 0), peerId, failed),
    sendDirect: (client, peerId, blob) => at(0).sendDirect(here(client, 0), peerId, blob),
    breakLink: (client) => at(0).breakLink(here(client, 0)),
    gone(client) {
      const { up, queues, takers } = placeOf(client);
      up.fill(false);
      queues.clear();
      takers.clear();
      everywhere((one, relay) => one.gone(here(client, relay)));
    },
    atTheEnd: () => everywhere((one) => one.atTheEnd()),
  };
  return network;
}

/** Gone only when all say so. */
function outcomeOf(outcomes: readonly AppendOutcome[], asked: number): AppendOutcome {
  if (outcomes.includes("ok")) return "ok";
  if (outcomes.length === asked && outcomes.every((one) => one === "gone")) return "gone";
  return outcomes.includes("quota") ? "quota" : "lost";
}

/** The identity of one of several relays; the first one's is the given. */
export const relayKeyAt = (relayKey: Uint8Array, relay: number): Uint8Array =>
  relay === 0 ? relayKey : relayKey.with(0, relayKey[0]! ^ relay);

/** Which relay an address is at. */
export const relayOf = (relayKey: Uint8Array, of: Uint8Array): number => relayKey[0]! ^ of[0]!;
