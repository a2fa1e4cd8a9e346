/**
 * The hub's WebSockets: from an upgrade request to a core connection and back.
 * Owns: sockets, back-pressure, heartbeats. Leaves to core/: every frame.
 * Spec: SPEC.md §4, §6.
 */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { concatBytes, FRAME_BYTES_MAX } from "@sotto/wire";
import { type WebSocket, WebSocketServer } from "ws";
import type { Allowance } from "../core/allowance.ts";
import { createConnection, type HubConnection } from "../core/connection.ts";
import type { ConnectionOptions } from "../core/connection.ts";
import { createCredit } from "../core/credit.ts";
import { createEphemerals } from "../core/ephemeral.ts";
import {
  BUFFERED_BYTES_MAX,
  CONNECTIONS_MAX,
  SCARCE_BUFFER_MAX,
  SOCKET_BUFFER_MAX,
  STALLED_MS,
} from "./defaults.ts";

export const HEARTBEAT_MS = 30_000;
/** What a draining relay asks clients to wait: this, and up to as much again at random. */
const DRAIN_RETRY_MS = 2_000;
/**
 * More for many: each that comes back costs the next relay about a millisecond of processor (OPERATING.md), and half
 * of it is for those who are back already.
 */
const DRAIN_RETURN_MS = 2;
/** Time for the last frames of a draining relay to leave. */
const CLOSE_MS = 1_000;

export interface HubServer {
  upgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    allowance?: () => Allowance,
  ): void;
  readonly connections: number;
  /** Waiting to be sent on all sockets. */
  readonly bufferedBytes: number;
  /** Clients that take nothing of what waits for them, for now. */
  readonly stalled: number;
  /** Says BYE draining to everybody and waits until their sockets are closed. */
  drain(): Promise<void>;
}

interface Client {
  readonly socket: WebSocket;
  /** What the WebSocket writes to. */
  readonly stream: Duplex;
  /** Said in this turn: heads and frames, in order. */
  gathered: Uint8Array[];
  gatheredBytes: number;
  readonly connection: HubConnection;
  alive: boolean;
  /** Said and not yet taken by the operating system. */
  waitingBytes: number;
  /** While its buffer is full: ends the wait for its end. */
  cancelStall: (() => void) | undefined;
}

/** What a hub has room for. */
export interface HubLimits {
  readonly connections: number;
  readonly socketBuffer: number;
  readonly bufferedBytes: number;
  readonly stalledMs: number;
}

const LIMITS: HubLimits = {
  connections: CONNECTIONS_MAX,
  socketBuffer: SOCKET_BUFFER_MAX,
  bufferedBytes: BUFFERED_BYTES_MAX,
  stalledMs: STALLED_MS,
};

export function createHubServer(
  options: ConnectionOptions,
  given: Partial<HubLimits> = {},
): HubServer {
  const { env } = options;
  const shared: ConnectionOptions = {
    credit: createCredit(),
    ephemerals: createEphemerals(env),
    ...options,
  };
  const limits: HubLimits = { ...LIMITS, ...given };
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: FRAME_BYTES_MAX,
    perMessageDeflate: false,
    clientTracking: false,
    skipUTF8Validation: true,
  });
  const clients = new Set<Client>();
  /** Those with something gathered. */
  const talkers: Client[] = [];
  /** Those that have not proven who they are, oldest first. */
  const unproven = new Set<Client>();
  /** `waitingBytes` of all clients. */
  let waitingBytes = 0;
  let cancelBeat = env.after(HEARTBEAT_MS, beat);
  let draining = false;

  const upgrade: HubServer["upgrade"] = (request, socket, head, allowance) => {
    if (draining) return refuseUpgrade(socket, 503);
    if (clients.size >= limits.connections) {
      env.count("turned-away");
      if (!dropUnproven()) return refuseUpgrade(socket, 429);
    }
    // HELLO is ready before the turn is over, and leaves with the answer to the request.
    socket.cork();
    setImmediate(() => socket.uncork());
    server.handleUpgrade(request, socket, head, (webSocket) =>
      accept(webSocket, socket, allowance),
    );
  };

  /** Strangers make room for one another: whoever is slowest to say who they are goes, and no client does. */
  function dropUnproven(): boolean {
    for (const client of unproven) {
      forget(client);
      client.socket.terminate();
      return true;
    }
    return false;
  }

  function forget(client: Client): void {
    clients.delete(client);
    unproven.delete(client);
    waitingBytes -= client.waitingBytes;
    client.waitingBytes = 0;
    client.cancelStall?.();
    client.connection.closed();
  }

  /** Fewer for each while all of them together have much. */
  const bufferMax = (): number =>
    waitingBytes < limits.bufferedBytes ? limits.socketBuffer : SCARCE_BUFFER_MAX;

  function accept(socket: WebSocket, stream: Duplex, allowance?: () => Allowance): void {
    const client: Client = {
      socket,
      stream,
      gathered: [],
      gatheredBytes: 0,
      connection: createConnection(
        shared,
        {
          send: (frame) => transmit(client, frame),
          room: () => roomOf(client),
          proven: () => unproven.delete(client),
          close: () => {
            write(client);
            socket.close(1000);
            setTimeout(() => socket.terminate(), CLOSE_MS).unref();
          },
        },
        allowance,
      ),
      alive: true,
      waitingBytes: 0,
      cancelStall: undefined,
    };
    clients.add(client);
    unproven.add(client);
    socket.on("message", (data, isBinary) => {
      client.alive = true;
      const bytes = isBinary && data instanceof Uint8Array ? data : EMPTY;
      client.connection.receive(bytes);
    });
    socket.on("pong", () => {
      client.alive = true;
    });
    // A frame above maxPayload or broken framing ends here; ws closes the socket by itself.
    socket.on("error", () => env.count("malformed"));
    socket.on("close", () => forget(client));
    client.connection.open().catch(() => socket.terminate());
  }

  function transmit(client: Client, frame: Uint8Array): void {
    const { socket } = client;
    if (socket.readyState !== socket.OPEN) return;
    if (client.gatheredBytes === 0) talkers.push(client);
    if (talkers.length === 1 && client.gatheredBytes === 0) setImmediate(writeAll);
    client.gathered.push(headOf(frame.length), frame);
    client.gatheredBytes += frame.length;
    client.waitingBytes += frame.length;
    waitingBytes += frame.length;
    roomOf(client);
  }

  /** Whoever is told that there is no room hears of it when there is some again, or is closed. */
  function roomOf(client: Client): number {
    const room = bufferMax() - client.waitingBytes;
    if (room > 0 || client.cancelStall !== undefined) return room;
    const { socket } = client;
    // A timer, because clocks are set back and forth.
    client.cancelStall = env.after(limits.stalledMs, () => socket.terminate());
    socket.pause();
    return room;
  }

  /** Everything said to a client in one turn leaves in one write. */
  function writeAll(): void {
    for (const client of talkers.splice(0)) write(client);
  }

  /** Past the WebSocket, which has nothing to do to a frame of a server but to put a head in front of it. */
  function write(client: Client): void {
    const { gathered, gatheredBytes, socket, stream } = client;
    if (gatheredBytes === 0) return;
    client.gathered = [];
    client.gatheredBytes = 0;
    // What was said to one that is closing is lost with it, and counted off when it is gone.
    if (socket.readyState !== socket.OPEN) return;
    stream.write(concatBytes(...gathered), () => relieve(client, gatheredBytes));
  }

  function relieve(client: Client, bytes: number): void {
    const { socket } = client;
    // Of a client that is gone, everything was counted off already.
    if (!clients.has(client)) return;
    client.waitingBytes -= bytes;
    waitingBytes -= bytes;
    if (client.cancelStall === undefined || client.waitingBytes >= bufferMax() / 2) return;
    client.cancelStall();
    client.cancelStall = undefined;
    socket.resume();
    client.connection.resume();
  }

  /** Whoever gave no sign of life since the last beat is gone; of who takes nothing, the stall decides. */
  function beat(): void {
    cancelBeat = env.after(HEARTBEAT_MS, beat);
    for (const client of clients) {
      if (client.cancelStall !== undefined) continue;
      if (!client.alive) {
        client.socket.terminate();
        continue;
      }
      client.alive = false;
      client.socket.ping();
    }
  }

  return {
    upgrade,
    get connections() {
      return clients.size;
    },
    get bufferedBytes() {
      return waitingBytes;
    },
    get stalled() {
      let count = 0;
      for (const { cancelStall } of clients) if (cancelStall !== undefined) count++;
      return count;
    },
    async drain() {
      draining = true;
      cancelBeat();
      const count = clients.size;
      await Promise.all(
        [...clients].map(({ socket, connection }) => {
          const closed = new Promise((resolve) => socket.once("close", resolve));
          connection.bye("draining", drainPauseMs(count, Math.random()));
          return closed;
        }),
      );
      server.close();
    },
  };
}

/** `fraction`: 0 to 1, drawn for each client. */
export const drainPauseMs = (clients: number, fraction: number): number =>
  DRAIN_RETRY_MS + Math.floor(fraction * Math.max(DRAIN_RETRY_MS, clients * DRAIN_RETURN_MS));

const EMPTY = new Uint8Array();

/** Of a binary message that is whole and has no mask (RFC 6455 §5.2). */
function headOf(length: number): Uint8Array {
  if (length < 126) return Uint8Array.of(0x82, length);
  if (length < 0x1_0000) return Uint8Array.of(0x82, 126, length >> 8, length & 0xff);
  const head = new Uint8Array(10);
  head.set([0x82, 127]);
  new DataView(head.buffer).setUint32(6, length);
  return head;
}
const REASONS = { 404: "Not Found", 429: "Too Many Requests", 503: "Service Unavailable" } as const;

export function refuseUpgrade(socket: Duplex, status: keyof typeof REASONS): void {
  socket.end(
    `HTTP/1.1 ${status} ${REASONS[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
  );
}
