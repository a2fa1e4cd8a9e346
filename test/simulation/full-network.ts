/**
 * The whole path between engine and disk: the real hub client of @sotto/transport, sockets that keep order and
 * break (with or without a word), the real relay core over a disk whose writes take time and get lost.
 */
import { createHub, type Hub } from "@sotto/transport";
import {
  asEnvelopeId,
  asLinkId,
  asQueueId,
  asSendId,
  bytesToHex,
  EnvelopeType,
  hexToBytes,
} from "@sotto/wire";
import {
  createConnection,
  createExchange,
  createMemoryDisk,
  createMemoryStore,
  type Exchange,
  type HubConnection,
  type MemoryDisk,
  type StoreOperation,
  StoreError,
} from "sotto-relay/core";
import { RELAY_SEED } from "./identities.ts";
import type { Endpoint, Network, Pace, SendTarget } from "./endpoint.ts";
import { createLinks } from "./links.ts";
import { createRelayWatch } from "./relay-watch.ts";
import { type NetworkOptions, STRAGGLER_MEAN_MS, takesMs } from "./thin-network.ts";
import type { Scheduler } from "./scheduler.ts";

/** One socket between a client's process and the relay's. */
interface Pipe {
  /** What each end still believes. */
  clientOpen: boolean;
  relayOpen: boolean;
  /** Nothing arrives any more, whoever knows it. */
  broken: boolean;
  toRelayAt: number;
  toClientAt: number;
  relay: HubConnection | undefined;
  close(): void;
}

interface Station {
  readonly hub: Hub;
  readonly pipes: Set<Pipe>;
  alive: boolean;
  online: boolean;
}

interface RelayProcess {
  readonly exchange: Exchange;
  alive: boolean;
  /** Writes the disk has not got to yet, oldest first. */
  readonly writes: { readonly commit: () => void; readonly done: () => void }[];
}

export function createFullNetwork(options: NetworkOptions): Network {
  const { scheduler, random, decisions, evil, late, trace } = options;
  const stations = new Map<Endpoint, Station>();
  const cut = new Set<Endpoint>();
  const slow = new Map<Endpoint, Pace>();
  const disk = createMemoryDisk();
  const { evilReplay, evilSwap, evilCut, evilForge, evilLie, relayRotMean } = options.faults;
  const tampers = evilReplay + evilSwap + evilCut + evilForge + evilLie + relayRotMean > 0;
  const watch = createRelayWatch(options.watch, disk, {
    strict: !tampers,
    idsAreOnce: options.faults.putBackMean + options.faults.rowRot === 0,
  });
  let backup: MemoryDisk | undefined;
  const readerSecrets = new Map<Endpoint, Uint8Array>();
  const sendSecret = random.bytes(32);
  let process: RelayProcess | undefined = startProcess();

  const delay = (): number =>
    network.faults.delayMin + random.exponential(network.faults.delayMean);

  const links = createLinks({
    scheduler,
    random,
    decisions,
    trace,
    faults: () => network.faults,
    isConnected: (client) => network.isConnected(client),
    everybody: () => stations.keys(),
  });

  function startProcess(): RelayProcess {
    /** While it is made it lives. */
    const isAlive = (): boolean => running?.alive ?? true;
    let running: RelayProcess | undefined;
    const clock = clockOf(scheduler, isAlive);
    const writes: RelayProcess["writes"] = [];
    let asked: readonly StoreOperation[] = [];
    const flush = (change: () => void): Promise<void> =>
      new Promise((resolve, reject) => {
        // Its connections end after it did: nothing that follows from that reaches the disk.
        if (!isAlive()) return;
        const operations = asked;
        const { relayDiskFull } = network.faults;
        if (decisions.fires("relay-disk-full", relayDiskFull) !== undefined) {
          watch.refused(operations);
          reject(new StoreError("full"));
          return;
        }
        const commit = (): void => {
          change();
          watch.durable(operations);
        };
        const write = { commit, done: resolve };
        writes.push(write);
        if (options.okBeforeFlush) resolve();
        scheduler.after(options.faults.flushMs, () => {
          const at = writes.indexOf(write);
          // In order: what was asked for earlier is durable earlier.
          for (const due of writes.splice(0, at + 1)) {
            due.commit();
            due.done();
          }
        });
      });
    const memory = createMemoryStore(disk, flush);
    const store = {
      ...memory,
      apply(operations: readonly StoreOperation[]) {
        if (isAlive()) watch.written(operations);
        asked = operations;
        return memory.apply(operations);
      },
    };
    watch.begun();
    const exchange = createExchange({
      store,
      clock,
      sendSecret,
      // What still reaches a process that is no more is not in the accounts of the next one.
      count: (counter) => {
        if (isAlive()) watch.count(counter);
      },
    });
    running = { exchange, writes, alive: true };
    return running;
  }

  /** A stand-in for the platform's WebSocket; the hub uses these few members only. */
  function socketClass(client: Endpoint, station: () => Station): new (url: string) => WebSocket {
    class Socket {
      binaryType = "blob";
      readonly #listeners = new Map<string, ((event: unknown) => void)[]>();
      readonly #pipe: Pipe;

      constructor() {
        const dispatch = (kind: string, event: unknown): void => {
          for (const listener of this.#listeners.get(kind) ?? []) listener(event);
        };
        this.#pipe = openPipe(
          client,
          station(),
          (data) => dispatch("message", { data }),
          () => dispatch("close", {}),
        );
      }
      addEventListener(kind: string, listener: (event: unknown) => void): void {
        this.#listeners.set(kind, [...(this.#listeners.get(kind) ?? []), listener]);
      }
      send(bytes: Uint8Array): void {
        const pipe = this.#pipe;
        if (!pipe.clientOpen) return;
        const copy = bytes.slice();
        options.watch.carried(copy);
        pipe.toRelayAt = Math.max(pipe.toRelayAt, scheduler.now + delay());
        pipe.toRelayAt += takesMs(slow.get(client), copy.length);
        scheduler.after(pipe.toRelayAt - scheduler.now, () => {
          if (!pipe.broken && pipe.relayOpen) pipe.relay?.receive(copy);
        });
      }
      close(): void {
        this.#pipe.clientOpen = false;
        this.#pipe.close();
      }
    }
    return Socket as unknown as new (url: string) => WebSocket;
  }

  function openPipe(
    client: Endpoint,
    station: Station,
    message: (data: ArrayBuffer) => void,
    closed: () => void,
  ): Pipe {
    const pipe: Pipe = {
      clientOpen: true,
      relayOpen: false,
      broken: false,
      toRelayAt: 0,
      toClientAt: 0,
      relay: undefined,
      close() {
        if (pipe.broken) return;
        pipe.broken = true;
        station.pipes.delete(pipe);
        scheduler.after(random.int(200), () => {
          if (pipe.relayOpen) pipe.relay?.closed();
          pipe.relayOpen = false;
        });
        // Sometimes a broken socket says nothing: then only the hub's own questions find out.
        if (random.chance(0.25)) return;
        scheduler.after(random.int(200), () => {
          if (pipe.clientOpen && station.alive) closed();
          pipe.clientOpen = false;
        });
      },
    };
    station.pipes.add(pipe);
    scheduler.after(delay() * 2, async () => {
      const running = process;
      if (pipe.broken || !station.alive) return;
      if (running === undefined || cut.has(client)) {
        pipe.broken = true;
        station.pipes.delete(pipe);
        if (pipe.clientOpen) closed();
        return;
      }
      pipe.relayOpen = true;
      pipe.relay = createConnection(
        {
          exchange: running.exchange,
          identity: { seed: RELAY_SEED, publicKey: options.relayKey },
          circuit: true,
          env: {
            ...clockOf(scheduler, () => running.alive && !pipe.broken),
            crypto: options.crypto,
            entropy: (length) => random.bytes(length),
            count: () => undefined,
          },
        },
        {
          room: () => Infinity,
          close: () => pipe.close(),
          send(frame) {
            options.watch.carried(frame);
            const copy = frame.slice().buffer;
            pipe.toClientAt = Math.max(pipe.toClientAt, scheduler.now + delay());
            pipe.toClientAt += (slow.get(client)?.byteMs ?? 0) * frame.length;
            scheduler.after(pipe.toClientAt - scheduler.now, () => {
              if (!pipe.broken && pipe.clientOpen && station.alive) message(copy);
            });
          },
        },
      );
      await pipe.relay.open();
    });
    return pipe;
  }

  function createStation(client: Endpoint): Station {
    const readerSecret = readerSecrets.get(client) ?? random.bytes(32);
    readerSecrets.set(client, readerSecret);
    /** Frames are kept in order by the socket; the engine must not depend on it. */
    const stray = (run: () => Promise<void>): void => {
      const arrive = (): Promise<void> | undefined => (station.alive ? run() : undefined);
      const { reorder, duplicate, straggler } = network.faults;
      const behind = decisions.fires("reorder", reorder);
      if (behind === undefined) void arrive();
      else scheduler.after(behind.int(300), arrive);
      const again = decisions.fires("duplicate", duplicate);
      if (again !== undefined) scheduler.after(again.int(500), arrive);
      const last = decisions.fires("straggler", straggler);
      if (last !== undefined) scheduler.after(last.exponential(STRAGGLER_MEAN_MS), arrive);
    };
    const hub = createHub({
      url: "ws://localhost/hub",
      relayKey: options.relayKey,
      readerSecret,
      crypto: options.crypto,
      entropy: (length) => random.bytes(length),
      timers: clockOf(scheduler, () => station.alive),
      hints: { isOnline: () => true, listen: () => () => undefined },
      WebSocket: socketClass(client, () => station),
      events: {
        state(state) {
          if ((state === "online") === station.online || !station.alive) return;
          station.online = state === "online";
          void client.hub(station.online);
        },
        relayKey: () => undefined,
        deliver({ queueId, sequence, blob }) {
          const genuine = { queueId: bytesToHex(queueId), sequence, blob };
          for (const one of evil.delivered(genuine)) {
            watch.given(one.queueId, one.sequence, one.blob);
            if (late.keepsBack(client, one.queueId, one.sequence, one.blob)) continue;
            stray(() => client.deliver(one.queueId, one.sequence, one.blob));
          }
        },
        signalled(queueId, blob) {
          if (decisions.fires("signal-loss", network.faults.signalLoss) !== undefined) return;
          stray(() => client.signalled(bytesToHex(queueId), blob));
        },
        drained: () => undefined,
        missing: (queueId) => void client.missing(bytesToHex(queueId)),
      },
    });
    const station: Station = { hub, pipes: new Set(), alive: true, online: false };
    return station;
  }

  const hubOf = (client: Endpoint): Hub | undefined => stations.get(client)?.hub;

  /** The answer reaches only the process that asked. */
  function answered<T>(
    client: Endpoint,
    asked: Promise<T> | undefined,
    answer: (value: T | undefined) => void | Promise<void>,
  ): void {
    const station = stations.get(client);
    if (station === undefined || asked === undefined) return;
    void asked.then((value) => (station.alive ? answer(value) : undefined));
  }

  const targetOf = ({ sendId, sendSecret: secret, firstUse }: SendTarget) => ({
    sendId: asSendId(sendId),
    sendSecret: secret,
    firstUse,
  });

  const network: Network = {
    faults: options.faults,
    get relayUp() {
      return process !== undefined;
    },
    connect(client) {
      if (!client.running || stations.has(client)) return;
      const station = createStation(client);
      stations.set(client, station);
      station.hub.start();
    },
    disconnect(client) {
      trace(`hub of ${client.name} drops`);
      for (const pipe of stations.get(client)?.pipes ?? []) pipe.close();
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
      trace(`${client.name} clogs ${direction} for ${Math.round(ms)} ms`);
      const until = scheduler.now + ms;
      for (const pipe of stations.get(client)?.pipes ?? []) {
        if (direction !== "down") pipe.toRelayAt = Math.max(pipe.toRelayAt, until);
        if (direction !== "up") pipe.toClientAt = Math.max(pipe.toClientAt, until);
      }
    },
    setSlow(client, pace) {
      if (pace === undefined) slow.delete(client);
      else slow.set(client, pace);
    },
    backUp() {
      backup = {
        queues: new Map(disk.queues),
        messages: new Map(disk.messages),
        bundles: new Map(disk.bundles),
      };
    },
    rot(chaos) {
      // Not the first message of all: see `KNOWN_LIMITS`.
      const rows = [...disk.messages].filter(([, one]) => one.blob[0] === EnvelopeType.message);
      if (rows.length === 0) return;
      const [row, message] = chaos.pick(rows);
      const blob = message.blob.slice();
      const at = chaos.int(blob.length);
      blob[at] = (blob[at] ?? 0) ^ (1 << chaos.int(8));
      disk.messages.set(row, { ...message, blob });
      trace(`a bit of the relay's row ${row} flips`);
    },
    atTheEnd() {
      if (process !== undefined) watch.balance(process.exchange);
    },
    crashRelay(fate, chaos) {
      if (process === undefined) return;
      watch.balance(process.exchange);
      // The disk may have got to some of the writes under way; nobody was told.
      const { writes } = process;
      const kept = chaos.int(writes.length + 1);
      trace(`relay crashes with ${writes.length} writes under way, ${kept} done`);
      for (const write of writes.splice(0).slice(0, kept)) write.commit();
      if (fate !== "kept") {
        trace(`the relay's disk is ${fate}`);
        for (const rows of [disk.queues, disk.messages, disk.bundles]) rows.clear();
      }
      if (fate === "restored" && backup !== undefined) {
        for (const [row, queue] of backup.queues) disk.queues.set(row, queue);
        for (const [row, message] of backup.messages) disk.messages.set(row, message);
        for (const [row, bundle] of backup.bundles) disk.bundles.set(row, bundle);
      }
      process.alive = false;
      process = undefined;
      for (const station of stations.values()) for (const pipe of station.pipes) pipe.close();
    },
    startRelay() {
      if (process !== undefined) return;
      trace("relay starts");
      process = startProcess();
    },
    makeQueue(client, queueId, firstUse, answer) {
      const id = asQueueId(hexToBytes(queueId)!);
      const asked = hubOf(client)?.makeQueue({ queueId: id, firstUse, ttlHours: 24 });
      answered(client, asked, (made) => answer(made?.ok === true ? made.sendId : undefined));
    },
    closeQueue(client, queueId) {
      void hubOf(client)?.closeQueue(asQueueId(hexToBytes(queueId)!));
    },
    openQueues(client, queueIds) {
      hubOf(client)?.openQueues(queueIds.map((id) => asQueueId(hexToBytes(id)!)));
    },
    publish(client, queueId, linkId, blob, answer) {
      const asked = hubOf(client)?.publish({
        queueId: asQueueId(hexToBytes(queueId)!),
        linkId: asLinkId(hexToBytes(linkId)!),
        blob,
      });
      answered(client, asked, (outcome) =>
        answer(outcome === "ok" || outcome === "gone" ? outcome : "lost"),
      );
    },
    fetch(client, linkId, answer) {
      const asked = hubOf(client)?.fetchOffer(asLinkId(hexToBytes(linkId)!));
      answered(client, asked, (offer) => answer(offer?.ok === true ? offer.blob : undefined));
    },
    append(client, target, id, blob, answer) {
      if (evil.liesAbout()) {
        const station = stations.get(client);
        scheduler.after(delay() * 2, () => (station?.alive === true ? answer("ok") : undefined));
        return;
      }
      const asked = hubOf(client)?.append(targetOf(target), asEnvelopeId(hexToBytes(id)!), blob);
      answered(client, asked, (outcome) => {
        if (outcome === "ok") watch.saidOk(blob);
        return answer(outcome ?? "lost");
      });
    },
    signal(client, target, blob, answer) {
      const asked = hubOf(client)?.signal(targetOf(target), blob);
      answered(client, asked, (outcome) =>
        answer(outcome === "gone" ? "away" : (outcome ?? "lost")),
      );
    },
    acknowledge(client, queueId, sequence) {
      watch.acknowledged(queueId, sequence);
      hubOf(client)?.ack(asQueueId(hexToBytes(queueId)!), sequence);
    },
    isConnected: (client) => stations.get(client)?.online === true,
    ...links,
    gone(client) {
      const station = stations.get(client);
      stations.delete(client);
      if (station !== undefined) {
        station.alive = false;
        for (const pipe of station.pipes) {
          pipe.clientOpen = false;
          // What was sent still arrives; then the relay notices.
          scheduler.after(1_000, () => pipe.close());
        }
      }
      links.gone(client);
    },
  };
  return network;
}

/** Time for one process: its timers die with it. */
function clockOf(
  scheduler: Scheduler,
  isAlive: () => boolean,
): {
  now(): number;
  after(delayMs: number, run: () => void): () => void;
} {
  return {
    now: () => 1_700_000_000_000 + scheduler.now,
    after: (delayMs, run) =>
      scheduler.after(delayMs, () => {
        if (isAlive()) run();
      }),
  };
}
