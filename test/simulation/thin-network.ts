/**
 * A thin network around the relay model: connections that keep order and break.
 * It can do what the real relay's constants do not allow: tiny queues, tiny credit, frames that overtake.
 */
import type { CryptoBackend } from "@sotto/crypto";
import { bytesToHex } from "@sotto/wire";
import type { Decisions } from "./decisions.ts";
import type { AppendOutcome, Endpoint, Network, Pace, Watch } from "./endpoint.ts";
import type { EvilRelay } from "./evil-relay.ts";
import type { Faults } from "./faults.ts";
import type { LateFrames } from "./late.ts";
import { createLinks } from "./links.ts";
import type { Random } from "./random.ts";
import { createRelayModel } from "./relay-model.ts";
import type { Scheduler } from "./scheduler.ts";

type Run = () => void | Promise<void>;

interface Connection {
  readonly client: Endpoint;
  open: boolean;
  /** The client's process has ended. */
  deaf: boolean;
  toRelayAt: number;
  toClientAt: number;
  /** Answers that become "lost" when the connection ends. */
  readonly pending: Set<Run>;
  readonly cursors: Map<string, bigint>;
  readonly unacknowledged: Set<string>;
}

export interface NetworkOptions {
  readonly crypto: CryptoBackend;
  readonly relayKey: Uint8Array;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly decisions: Decisions;
  readonly evil: EvilRelay;
  readonly late: LateFrames;
  readonly watch: Watch;
  readonly faults: Faults;
  readonly trace: (line: string) => void;
  /** Planted: OK before the append is durable. */
  readonly okBeforeFlush: boolean;
}

/** A slow line, and one that hardly carries anything. */
export const SLOW: Pace = { frameMs: 500, byteMs: 0 };
export const CRAWLING: Pace = { frameMs: 0, byteMs: 1_000 };

export const takesMs = (pace: Pace | undefined, bytes: number): number =>
  pace === undefined ? 0 : pace.frameMs + pace.byteMs * bytes;
/** How late a straggling copy is. */
export const STRAGGLER_MEAN_MS = 600_000;

export function createThinNetwork(options: NetworkOptions): Network {
  const { scheduler, random, decisions, evil, late, trace } = options;
  const relay = createRelayModel(options.faults);
  const connections = new Map<Endpoint, Connection>();
  const cut = new Set<Endpoint>();
  const slow = new Map<Endpoint, Pace>();
  const ownerByQueue = new Map<string, Connection>();
  /** OKs that wait for the flush. */
  let waiting: { readonly queueId: string; readonly id: string; readonly ok: Run }[] = [];
  let flushing = false;
  let relayUp = true;

  const delay = (): number =>
    network.faults.delayMin + random.exponential(network.faults.delayMean);

  function toRelay(connection: Connection, run: Run, bytes = 0): void {
    connection.toRelayAt = Math.max(connection.toRelayAt, scheduler.now + delay());
    connection.toRelayAt += takesMs(slow.get(connection.client), bytes);
    scheduler.after(connection.toRelayAt - scheduler.now, () =>
      connection.open && relayUp ? run() : undefined,
    );
  }

  /** `mayStray`: a frame that real networks keep in order, but from which the engine must not depend on it. */
  function toClient(connection: Connection, run: Run, mayStray = false, bytes = 0): void {
    connection.toClientAt = Math.max(connection.toClientAt, scheduler.now + delay());
    const pace = slow.get(connection.client);
    if (pace?.byteMs !== undefined) connection.toClientAt += pace.byteMs * bytes;
    const { reorder, duplicate, straggler } = network.faults;
    const behind = mayStray ? decisions.fires("reorder", reorder) : undefined;
    const at = connection.toClientAt + (behind?.int(300) ?? 0);
    const arrive = (): void | Promise<void> =>
      connection.open && !connection.deaf ? run() : undefined;
    scheduler.after(at - scheduler.now, arrive);
    if (!mayStray) return;
    const again = decisions.fires("duplicate", duplicate);
    if (again !== undefined) scheduler.after(at + again.int(500) - scheduler.now, arrive);
    const last = decisions.fires("straggler", straggler);
    if (last !== undefined) scheduler.after(last.exponential(STRAGGLER_MEAN_MS), arrive);
  }

  /** A request whose answer comes once: the relay's, or "lost" when the connection ends. */
  function request<T>(
    client: Endpoint,
    lost: T,
    answer: (value: T) => void | Promise<void>,
    handle: (connection: Connection, reply: (value: T) => void) => void,
    bytes = 0,
  ): void {
    const connection = connections.get(client);
    if (connection === undefined || !connection.open) {
      scheduler.after(1, () => (client.running ? answer(lost) : undefined));
      return;
    }
    const onLost: Run = () => answer(lost);
    connection.pending.add(onLost);
    toRelay(
      connection,
      () => {
        handle(connection, (value) => {
          toClient(connection, () =>
            connection.pending.delete(onLost) ? answer(value) : undefined,
          );
        });
      },
      bytes,
    );
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

  /** What a process asked for before it ended may arrive after the next one's: that one reads. */
  function own(queueId: string, connection: Connection): void {
    if (!connection.deaf) ownerByQueue.set(queueId, connection);
  }

  function pump(queueId: string): void {
    const connection = ownerByQueue.get(queueId);
    if (connection === undefined || !connection.open) return;
    for (const item of relay.read(queueId, connection.cursors.get(queueId) ?? 0n)) {
      if (connection.unacknowledged.size >= network.faults.creditMessages) return;
      connection.cursors.set(queueId, item.sequence);
      connection.unacknowledged.add(`${queueId}/${item.sequence}`);
      const { sequence, blob } = item;
      for (const one of evil.delivered({ queueId, sequence, blob })) {
        if (late.keepsBack(connection.client, one.queueId, one.sequence, one.blob)) continue;
        toClient(
          connection,
          () => connection.client.deliver(one.queueId, one.sequence, one.blob),
          true,
          one.blob.length,
        );
      }
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

  const links = createLinks({
    scheduler,
    random,
    decisions,
    trace,
    faults: () => network.faults,
    isConnected: (client) => network.isConnected(client),
    everybody: () => connections.keys(),
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
        deaf: false,
        toRelayAt: 0,
        toClientAt: 0,
        pending: new Set(),
        cursors: new Map(),
        unacknowledged: new Set(),
      };
      connections.set(client, connection);
      scheduler.after(delay(), async () => {
        if (!connection.open || !client.running) return;
        // A client hears that one connection has ended before it has the next.
        await client.hub(false);
        await client.hub(true);
      });
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
    clog(client, direction, ms) {
      const connection = connections.get(client);
      if (connection === undefined) return;
      trace(`${client.name} clogs ${direction} for ${Math.round(ms)} ms`);
      if (direction !== "down") {
        connection.toRelayAt = Math.max(connection.toRelayAt, scheduler.now + ms);
      }
      if (direction !== "up") {
        connection.toClientAt = Math.max(connection.toClientAt, scheduler.now + ms);
      }
    },
    setSlow(client, pace) {
      if (pace === undefined) slow.delete(client);
      else slow.set(client, pace);
    },
    // The model keeps no disk of its own that could rot or be older than its memory.
    backUp: () => undefined,
    rot: () => undefined,
    atTheEnd: () => undefined,
    crashRelay(_, chaos) {
      if (!relayUp) return;
      relayUp = false;
      waiting = [];
      const lost = relay.crash(chaos.int(relay.unflushed() + 1));
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
        if (made !== undefined) own(queueId, connection);
        reply(made?.sendId);
      });
    },
    closeQueue(client, queueId) {
      const connection = connections.get(client);
      if (connection === undefined || !connection.open) return;
      toRelay(connection, () => relay.closeQueue(client.name, queueId));
    },
    openQueues(client, queueIds) {
      const connection = connections.get(client);
      if (connection === undefined || !connection.open) return;
      toRelay(connection, () => {
        for (const queueId of queueIds) {
          if (!relay.owns(client.name, queueId)) continue;
          own(queueId, connection);
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
      if (evil.liesAbout()) {
        request<AppendOutcome>(client, "lost", answer, (_, reply) => reply("ok"));
        return;
      }
      request<AppendOutcome>(
        client,
        "lost",
        answer,
        (_, reply) => {
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
        },
        blob.length,
      );
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
        if (decisions.fires("signal-loss", network.faults.signalLoss) !== undefined) return;
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
    ...links,
    gone(client) {
      const connection = connections.get(client);
      if (connection !== undefined) {
        connection.pending.clear();
        connection.deaf = true;
        connections.delete(client);
        // What was sent still arrives; then the relay notices.
        scheduler.after(1_000, () => {
          connection.open = false;
        });
      }
      links.gone(client);
    },
  };
  return network;
}
