/**
 * The simulated network: one relay reached over connections that keep order and break, and direct links.
 * Owns: delays, losses, duplicates, partitions, the relay's process. Leaves to the relay core: what it keeps.
 */
import { bytesToHex } from "@sotto/wire";
import type { Faults } from "./faults.ts";
import type { Random } from "./random.ts";
import type { RelayCore } from "./relay-model.ts";
import type { Scheduler } from "./scheduler.ts";

export interface SendTarget {
  readonly sendId: Uint8Array;
  readonly sendSecret: Uint8Array;
  readonly firstUse: Uint8Array;
}

export type AppendOutcome = "ok" | "lost" | "gone" | "quota";
type Run = () => void | Promise<void>;

/** What the network calls on a client. All resolve when the client is done with it. */
export interface Endpoint {
  readonly name: string;
  readonly running: boolean;
  hub(up: boolean): Promise<void>;
  deliver(queueId: string, sequence: bigint, blob: Uint8Array): Promise<void>;
  signalled(queueId: string, blob: Uint8Array): Promise<void>;
  link(peerId: string, up: boolean): Promise<void>;
  linkFrame(peerId: string, blob: Uint8Array): Promise<void>;
  /** Fresh per start; undefined while not running. */
  readonly peerId: string | undefined;
  expects(peerId: string): boolean;
}

interface Connection {
  readonly client: Endpoint;
  open: boolean;
  toRelayAt: number;
  toClientAt: number;
  /** Answers that become "lost" when the connection ends. */
  readonly pending: Set<Run>;
  readonly cursors: Map<string, bigint>;
  readonly unacknowledged: Set<string>;
}

interface Link {
  readonly ends: readonly [Endpoint, Endpoint];
  readonly peers: readonly [string, string];
  state: "up" | "broken" | "down";
  readonly at: [number, number];
  /** Which end has been told that it is down. */
  readonly told: [boolean, boolean];
}

export interface Network {
  faults: Faults;
  readonly relayUp: boolean;
  connect(client: Endpoint): void;
  disconnect(client: Endpoint): void;
  partition(client: Endpoint, cut: boolean): void;
  crashRelay(): void;
  startRelay(): void;
  makeQueue(
    client: Endpoint,
    queueId: string,
    firstUse: Uint8Array,
    answer: (sendId: Uint8Array | undefined) => void | Promise<void>,
  ): void;
  openQueues(client: Endpoint, queueIds: readonly string[]): void;
  publish(
    client: Endpoint,
    queueId: string,
    linkId: string,
    blob: Uint8Array,
    answer: (outcome: "ok" | "lost" | "gone") => void | Promise<void>,
  ): void;
  fetch(
    client: Endpoint,
    linkId: string,
    answer: (blob: Uint8Array | undefined) => void | Promise<void>,
  ): void;
  append(
    client: Endpoint,
    target: SendTarget,
    id: string,
    blob: Uint8Array,
    answer: (outcome: AppendOutcome) => void | Promise<void>,
  ): void;
  signal(
    client: Endpoint,
    target: SendTarget,
    blob: Uint8Array,
    answer: (outcome: "ok" | "away" | "lost") => void | Promise<void>,
  ): void;
  acknowledge(client: Endpoint, queueId: string, sequence: bigint): void;
  isConnected(client: Endpoint): boolean;
  dial(client: Endpoint, peerId: string, failed: () => void | Promise<void>): void;
  /** False when there is no link or it does not take the frame. */
  sendDirect(client: Endpoint, peerId: string, blob: Uint8Array): boolean;
  breakLink(client: Endpoint): void;
  /** The client's process ended: its connection and links die with it. */
  gone(client: Endpoint): void;
}

export interface NetworkOptions {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly relay: RelayCore;
  readonly faults: Faults;
  readonly trace: (line: string) => void;
  /** Planted: OK before the append is durable. */
  readonly okBeforeFlush: boolean;
}

export function createNetwork(options: NetworkOptions): Network {
  const { scheduler, random, relay, trace } = options;
  const connections = new Map<Endpoint, Connection>();
  const cut = new Set<Endpoint>();
  const ownerByQueue = new Map<string, Connection>();
  let links: Link[] = [];
  /** OKs that wait for the flush. */
  let waiting: { readonly queueId: string; readonly id: string; readonly ok: Run }[] = [];
  let flushing = false;
  let relayUp = true;

  const delay = (): number =>
    network.faults.delayMin + random.exponential(network.faults.delayMean);

  function toRelay(connection: Connection, run: Run): void {
    connection.toRelayAt = Math.max(connection.toRelayAt, scheduler.now + delay());
    scheduler.after(connection.toRelayAt - scheduler.now, () =>
      connection.open && relayUp ? run() : undefined,
    );
  }

  /** `mayStray`: a frame that real networks keep in order, but from which the engine must not depend on it. */
  function toClient(connection: Connection, run: Run, mayStray = false): void {
    connection.toClientAt = Math.max(connection.toClientAt, scheduler.now + delay());
    let at = connection.toClientAt;
    if (mayStray && random.chance(network.faults.reorder)) at += random.int(300);
    const arrive = (): void | Promise<void> =>
      connection.open && connection.client.running ? run() : undefined;
    scheduler.after(at - scheduler.now, arrive);
    if (mayStray && random.chance(network.faults.duplicate)) {
      scheduler.after(at + random.int(500) - scheduler.now, arrive);
    }
  }

  /** A request whose answer comes once: the relay's, or "lost" when the connection ends. */
  function request<T>(
    client: Endpoint,
    lost: T,
    answer: (value: T) => void | Promise<void>,
    handle: (connection: Connection, reply: (value: T) => void) => void,
  ): void {
    const connection = connections.get(client);
    if (connection === undefined || !connection.open) {
      scheduler.after(1, () => (client.running ? answer(lost) : undefined));
      return;
    }
    const onLost: Run = () => answer(lost);
    connection.pending.add(onLost);
    toRelay(connection, () => {
      handle(connection, (value) => {
        toClient(connection, () => (connection.pending.delete(onLost) ? answer(value) : undefined));
      });
    });
  }

  function settleOks(): void {
    const ready = waiting.filter((one) => relay.isDurable(one.queueId, one.id));
    waiting = waiting.filter((one) => !ready.includes(one));
    for (const one of ready) void one.ok();
  }

  function scheduleFlush(): void {
    if (flushing) return;
    flushing = true;
    scheduler.after(network.faults.flushMs, () => {
      flushing = false;
      if (!relayUp) return;
      relay.flush();
      settleOks();
    });
  }

  function pump(queueId: string): void {
    const connection = ownerByQueue.get(queueId);
    if (connection === undefined || !connection.open) return;
    for (const item of relay.read(queueId, connection.cursors.get(queueId) ?? 0n)) {
      if (connection.unacknowledged.size >= network.faults.creditMessages) return;
      connection.cursors.set(queueId, item.sequence);
      connection.unacknowledged.add(`${queueId}/${item.sequence}`);
      const { sequence, blob } = item;
      toClient(connection, () => connection.client.deliver(queueId, sequence, blob), true);
    }
  }

  function close(connection: Connection, noticedAfterMs: number): void {
    if (!connection.open) return;
    connection.open = false;
    if (connections.get(connection.client) === connection) connections.delete(connection.client);
    const { client } = connection;
    scheduler.after(noticedAfterMs, async () => {
      if (!client.running) return;
      for (const lost of connection.pending) await lost();
      connection.pending.clear();
      if (connections.get(client) === undefined) await client.hub(false);
      reconnect(client);
    });
  }

  function reconnect(client: Endpoint): void {
    scheduler.after(200 + random.int(1_500), () => network.connect(client));
  }

  const endOf = (link: Link, client: Endpoint): 0 | 1 | undefined =>
    link.ends[0] === client ? 0 : link.ends[1] === client ? 1 : undefined;

  function drop(link: Link): void {
    if (link.state !== "up") return;
    link.state = "broken";
    trace(`link ${link.ends[0].name}-${link.ends[1].name} breaks`);
    for (const end of [0, 1] as const) {
      const unnoticed = network.faults.halfOpenMean;
      scheduler.after(unnoticed === 0 ? 1 : random.exponential(unnoticed), async () => {
        link.told[end] = true;
        if (link.told[0] && link.told[1]) {
          link.state = "down";
          links = links.filter((one) => one !== link);
        }
        const client = link.ends[end];
        if (client.running && client.peerId === link.peers[end]) {
          await client.link(link.peers[1 - end]!, false);
        }
      });
    }
  }

  const findLink = (client: Endpoint, peerId: string): Link | undefined =>
    links.find((link) => {
      const end = endOf(link, client);
      return (
        end !== undefined &&
        !link.told[end] &&
        link.peers[end] === client.peerId &&
        link.peers[1 - end] === peerId
      );
    });

  const network: Network = {
    faults: options.faults,
    get relayUp() {
      return relayUp;
    },
    connect(client) {
      if (!client.running || connections.has(client)) return;
      if (!relayUp || cut.has(client)) {
        reconnect(client);
        return;
      }
      const connection: Connection = {
        client,
        open: true,
        toRelayAt: 0,
        toClientAt: 0,
        pending: new Set(),
        cursors: new Map(),
        unacknowledged: new Set(),
      };
      connections.set(client, connection);
      scheduler.after(delay(), () =>
        connection.open && client.running ? client.hub(true) : undefined,
      );
    },
    disconnect(client) {
      const connection = connections.get(client);
      if (connection === undefined) return;
      trace(`hub of ${client.name} drops`);
      close(connection, random.int(200));
    },
    partition(client, isCut) {
      trace(`${client.name} ${isCut ? "cut off" : "joined again"}`);
      if (!isCut) {
        cut.delete(client);
        return;
      }
      cut.add(client);
      network.disconnect(client);
    },
    crashRelay() {
      if (!relayUp) return;
      relayUp = false;
      waiting = [];
      const lost = relay.crash(random.int(relay.unflushed() + 1));
      trace(`relay crashes with ${lost} appends under way`);
      for (const connection of connections.values()) close(connection, random.int(200));
    },
    startRelay() {
      if (relayUp) return;
      relayUp = true;
      trace("relay starts");
    },
    makeQueue(client, queueId, firstUse, answer) {
      request<Uint8Array | undefined>(client, undefined, answer, (connection, reply) => {
        const made = relay.makeQueue(client.name, queueId, firstUse);
        if (made !== undefined) ownerByQueue.set(queueId, connection);
        reply(made?.sendId);
      });
    },
    openQueues(client, queueIds) {
      const connection = connections.get(client);
      if (connection === undefined || !connection.open) return;
      toRelay(connection, () => {
        for (const queueId of queueIds) {
          if (!relay.owns(client.name, queueId)) continue;
          ownerByQueue.set(queueId, connection);
          pump(queueId);
        }
      });
    },
    publish(client, queueId, linkId, blob, answer) {
      request<"ok" | "lost" | "gone">(client, "lost", answer, (_, reply) => {
        reply(relay.publish(client.name, queueId, linkId, blob) ? "ok" : "gone");
      });
    },
    fetch(client, linkId, answer) {
      request<Uint8Array | undefined>(client, undefined, answer, (_, reply) => {
        reply(relay.fetch(linkId));
      });
    },
    append(client, target, id, blob, answer) {
      request<AppendOutcome>(client, "lost", answer, (_, reply) => {
        const queueId = relay.openSender(
          bytesToHex(target.sendId),
          bytesToHex(target.sendSecret),
          target.firstUse,
        );
        const outcome = queueId === undefined ? "gone" : relay.append(queueId, id, blob);
        if (queueId === undefined || outcome !== "taken") {
          reply(outcome === "taken" ? "gone" : outcome);
          return;
        }
        if (options.okBeforeFlush || relay.isDurable(queueId, id)) reply("ok");
        else waiting.push({ queueId, id, ok: () => reply("ok") });
        scheduleFlush();
        pump(queueId);
      });
    },
    signal(client, target, blob, answer) {
      request<"ok" | "away" | "lost">(client, "lost", answer, (_, reply) => {
        const queueId = relay.openSender(
          bytesToHex(target.sendId),
          bytesToHex(target.sendSecret),
          target.firstUse,
        );
        const owner = queueId === undefined ? undefined : ownerByQueue.get(queueId);
        if (queueId === undefined || owner === undefined || !owner.open) {
          reply("away");
          return;
        }
        reply("ok");
        if (random.chance(network.faults.signalLoss)) return;
        toClient(owner, () => owner.client.signalled(queueId, blob), true);
      });
    },
    acknowledge(client, queueId, sequence) {
      const connection = connections.get(client);
      if (connection === undefined || !connection.open) return;
      toRelay(connection, () => {
        connection.unacknowledged.delete(`${queueId}/${sequence}`);
        if (relay.owns(client.name, queueId)) relay.acknowledge(queueId, sequence);
        settleOks();
        for (const [queue, owner] of ownerByQueue) if (owner === connection) pump(queue);
      });
    },
    isConnected: (client) => connections.get(client)?.open === true,
    dial(client, peerId, failed) {
      const own = client.peerId;
      scheduler.after(delay() * 3, async () => {
        if (own === undefined || client.peerId !== own || !client.running) return;
        const before = findLink(client, peerId);
        if (before !== undefined && before.state === "up") return;
        const other = [...connections.keys()].find((one) => one.peerId === peerId);
        const isPossible =
          other !== undefined &&
          other.running &&
          network.isConnected(client) &&
          network.isConnected(other) &&
          other.expects(own) &&
          before === undefined &&
          findLink(other, own) === undefined;
        if (!isPossible) {
          await failed();
          return;
        }
        const link: Link = {
          ends: [client, other],
          peers: [own, peerId],
          state: "up",
          at: [0, 0],
          told: [false, false],
        };
        links.push(link);
        trace(`link ${client.name}-${other.name} opens`);
        await client.link(peerId, true);
        if (other.running && other.peerId === peerId) await other.link(own, true);
      });
    },
    sendDirect(client, peerId, blob) {
      const link = findLink(client, peerId);
      const end = link === undefined ? undefined : endOf(link, client);
      if (link === undefined || end === undefined) return false;
      if (random.chance(network.faults.linkRefuses)) return false;
      link.at[end] = Math.max(link.at[end], scheduler.now + delay());
      let at = link.at[end];
      if (random.chance(network.faults.reorder)) at += random.int(300);
      const arrive = (): void | Promise<void> => {
        const other = link.ends[1 - end]!;
        if (link.state !== "up" || !other.running || other.peerId !== link.peers[1 - end]) return;
        return other.linkFrame(link.peers[end], blob);
      };
      scheduler.after(at - scheduler.now, arrive);
      if (random.chance(network.faults.duplicate)) scheduler.after(at - scheduler.now + 5, arrive);
      return true;
    },
    breakLink(client) {
      const link = links.find((one) => one.state === "up" && endOf(one, client) !== undefined);
      if (link !== undefined) drop(link);
    },
    gone(client) {
      const connection = connections.get(client);
      if (connection !== undefined) {
        connection.pending.clear();
        connection.open = false;
        connections.delete(client);
      }
      for (const link of links.slice()) if (endOf(link, client) !== undefined) drop(link);
    },
  };
  return network;
}
