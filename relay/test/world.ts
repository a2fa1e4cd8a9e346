/**
 * The core without a machine: a clock that stands still, a disk that can crash or be full, sockets that are calls.
 */
import { decodeFrame, type Door, type HubFrame, type IceServers } from "@sotto/wire";
import { nodeBackend, openAdmissionStore } from "sotto-relay";
import {
  ADMISSION_DAYS_DEFAULT,
  type AdmissionStore,
  type Allowances,
  type Counter,
  createAllowances,
  createConnection,
  createCredit,
  createDoorkeeper,
  createEphemerals,
  createExchange,
  createMemoryDisk,
  createMemoryStore,
  createWorkPrice,
  type Doorkeeper,
  type Exchange,
  HOUR_MS,
  type HubConnection,
  type MemoryDisk,
  type RelayEnv,
  StoreError,
} from "sotto-relay/core";
import { authenticate, type Client, createClient, createInbox, random } from "./client.ts";

/** What the first queue for work costs here: found at once. */
export const WORK_BITS = 8;

export interface VirtualClock {
  readonly now: () => number;
  readonly after: (delayMs: number, run: () => void) => () => void;
  /** Runs what becomes due on the way, in order. */
  advance(ms: number): void;
  set(now: number): void;
}

export function createClock(start = 400_000 * HOUR_MS): VirtualClock {
  let now = start;
  let timers: { at: number; run: () => void }[] = [];
  return {
    now: () => now,
    after(delayMs, run) {
      const timer = { at: now + delayMs, run };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
    advance(ms) {
      const end = now + ms;
      for (;;) {
        const [next] = timers.filter((timer) => timer.at <= end).toSorted((a, b) => a.at - b.at);
        if (next === undefined) break;
        timers = timers.filter((other) => other !== next);
        now = Math.max(now, next.at);
        next.run();
      }
      now = end;
    },
    set(to) {
      // Timers run on, whatever the wall says.
      for (const timer of timers) timer.at += to - now;
      now = to;
    },
  };
}

/** Lets every promise that can settle settle. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export interface Socket {
  readonly client: Client;
  readonly connection: HubConnection;
  congested: boolean;
  /** Bytes it still takes. */
  room: number;
  readonly sent: Uint8Array[];
  readonly isClosed: () => boolean;
}

export interface World {
  readonly clock: VirtualClock;
  readonly disk: MemoryDisk;
  readonly exchange: Exchange;
  readonly admissions: AdmissionStore;
  readonly doorkeeper: Doorkeeper;
  readonly allowances: Allowances;
  readonly counters: Map<Counter, number>;
  /** closed: commits wait. full: they fail. */
  store: "open" | "closed" | "full";
  /** closed: reading mail from the disk waits. */
  reads: "open" | "closed";
  /** Lets the commits and reads through that wait. */
  release(): Promise<void>;
  /** HELLO has come. */
  socket(readerSeed?: Uint8Array, place?: string): Promise<Socket>;
  /** WELCOME has come. `place`: where it comes from; undefined: from somewhere of its own. */
  connect(readerSeed?: Uint8Array, place?: string): Promise<Socket>;
  /** The process dies and another begins on the same disk; what waited for a commit is lost. */
  crash(): void;
}

export function createWorld(
  options: {
    door?: Door;
    workQueuesMax?: number;
    senders?: "open" | "members";
    admissionDays?: number;
    queuesMax?: number;
    unacknowledgedMax?: number;
    deletionsOwedMax?: number;
    bytesMax?: number;
    hasDisk?: () => boolean;
    iceServers?: () => IceServers;
  } = {},
): World {
  const clock = createClock();
  const allowances = createAllowances(clock.now);
  const disk = createMemoryDisk();
  const counters = new Map<Counter, number>();
  const seed = random(32);
  const identity = { seed, publicKey: new Uint8Array(nodeBackend.signPublic(seed) as Uint8Array) };
  const sendSecret = random(32);
  const env: RelayEnv = {
    now: clock.now,
    after: clock.after,
    crypto: nodeBackend,
    entropy: random,
    count: (counter) => counters.set(counter, (counters.get(counter) ?? 0) + 1),
  };
  let waiting: (() => void)[] = [];
  let life = 0;
  let sockets: Socket[] = [];

  const start = (): Exchange => {
    const born = ++life;
    const flush = async (commit: () => void): Promise<void> => {
      if (world.store === "full") throw new StoreError("full");
      if (world.store === "closed") {
        await new Promise<void>((resolve, reject) => {
          waiting.push(() => (world.store === "full" ? reject(new StoreError("full")) : resolve()));
        });
      }
      if (born === life) commit();
    };
    const store = createMemoryStore(disk, flush);
    return createExchange({
      store: {
        ...store,
        async readMessages(rows) {
          if (world.reads === "closed") await new Promise<void>((resolve) => waiting.push(resolve));
          return store.readMessages(rows);
        },
      },
      clock,
      sendSecret,
      count: env.count,
      ...(options.queuesMax === undefined ? {} : { queuesMax: options.queuesMax }),
      ...(options.deletionsOwedMax === undefined
        ? {}
        : { deletionsOwedMax: options.deletionsOwedMax }),
      ...(options.hasDisk === undefined ? {} : { hasDisk: options.hasDisk }),
      ...(options.bytesMax === undefined ? {} : { bytesMax: options.bytesMax }),
    });
  };

  const open = async (readerSeed: Uint8Array = random(32), place?: string): Promise<Socket> => {
    const inbox = createInbox();
    let over = false;
    let closed: () => void = () => undefined;
    const ended = new Promise<void>((resolve) => {
      closed = () => {
        over = true;
        inbox.end();
        resolve();
      };
    });
    const sent: Uint8Array[] = [];
    const state = { congested: false, room: Infinity };
    const born = life;
    const connection = createConnection(
      {
        exchange,
        env,
        identity,
        circuit: false,
        iceServers: options.iceServers,
        doorkeeper,
        credit,
        ephemerals,
        workPrice: options.workQueuesMax === undefined ? undefined : workPrice,
      },
      {
        send(bytes) {
          // A dead process says nothing.
          if (over || born !== life) return;
          state.room -= bytes.length;
          sent.push(bytes);
          const decoded = decodeFrame(bytes);
          if (decoded.ok) inbox.receive(decoded.value);
        },
        room: () => (state.congested ? 0 : state.room),
        close: () => closed(),
      },
      ...(place === undefined ? [] : [() => allowances.of({ name: place, shares: 1 })]),
    );
    void connection.open();
    const hello = await inbox.next("hello");
    const wire = {
      send: (bytes: Uint8Array) => {
        if (!over && born === life) connection.receive(bytes);
      },
      close: () => {
        if (over) return;
        closed();
        if (born === life) connection.closed();
      },
    };
    const client = createClient(inbox, wire, hello, readerSeed, ended);
    const socket: Socket = Object.assign(state, { client, connection, sent, isClosed: () => over });
    sockets.push(socket);
    return socket;
  };

  const ephemerals = createEphemerals(env);
  const credit = createCredit(options.unacknowledgedMax);
  const workPrice = createWorkPrice(options.workQueuesMax, WORK_BITS);
  const admissions = openAdmissionStore(undefined);
  const doorkeeper = createDoorkeeper({
    door: options.door ?? "open",
    sendersOpen: options.senders !== "members",
    days: options.admissionDays ?? ADMISSION_DAYS_DEFAULT,
    relaySeed: identity.seed,
    relayKey: identity.publicKey,
    store: admissions,
    now: () => env.now(),
  });
  let exchange!: Exchange;
  const world: World = {
    admissions,
    doorkeeper,
    allowances,
    clock,
    disk,
    counters,
    store: "open",
    reads: "open",
    get exchange() {
      return exchange;
    },
    async release() {
      for (const commit of waiting.splice(0)) commit();
      await turn();
    },
    socket: open,
    async connect(readerSeed, place) {
      const socket = await open(readerSeed, place);
      socket.client.send(await authenticate(socket.client));
      await socket.client.next("welcome");
      return socket;
    },
    crash() {
      life++;
      waiting = [];
      for (const { client } of sockets.splice(0)) client.close();
      sockets = [];
      exchange = start();
    },
  };
  exchange = start();
  return world;
}

/** The answer if it is there already. */
export async function answered(answer: Promise<HubFrame>): Promise<HubFrame | undefined> {
  let got: HubFrame | undefined;
  void answer.then(
    (frame) => {
      got = frame;
    },
    () => undefined,
  );
  await turn();
  return got;
}
