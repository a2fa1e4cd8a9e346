/**
 * The hub's WebSockets: from an upgrade request to a core connection and back.
 * Owns: sockets, back-pressure, heartbeats. Leaves to core/: every frame.
 * Spec: SPEC.md §4, §6.
 */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { FRAME_BYTES_MAX } from "@sotto/wire";
import { type WebSocket, WebSocketServer } from "ws";
import type { Allowance } from "../core/allowance.ts";
import { createConnection, type HubConnection } from "../core/connection.ts";
import type { ConnectionOptions } from "../core/connection.ts";

/** Waiting to be sent on one socket: above it nothing is delivered and nothing more is read from it. */
export const SOCKET_BUFFER_MAX = 262_144;
/** A socket that waits with a full buffer for so long is closed. */
export const STALLED_MS = 60_000;
export const HEARTBEAT_MS = 30_000;
export const CONNECTIONS_MAX = 10_000;
/** What a draining relay asks clients to wait: this, and as much again at random. */
const DRAIN_RETRY_MS = 2_000;
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
  /** Says BYE draining to everybody and waits until their sockets are closed. */
  drain(): Promise<void>;
}

interface Client {
  readonly socket: WebSocket;
  /** What the WebSocket writes to. */
  readonly stream: Duplex;
  corked: boolean;
  readonly connection: HubConnection;
  alive: boolean;
  stalledAt: number | undefined;
}

export function createHubServer(
  options: ConnectionOptions,
  connectionsMax: number = CONNECTIONS_MAX,
): HubServer {
  const { env } = options;
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: FRAME_BYTES_MAX,
    perMessageDeflate: false,
    clientTracking: false,
    skipUTF8Validation: true,
  });
  const clients = new Set<Client>();
  let cancelBeat = env.after(HEARTBEAT_MS, beat);
  let draining = false;

  const upgrade: HubServer["upgrade"] = (request, socket, head, allowance) => {
    if (draining) return refuseUpgrade(socket, 503);
    if (clients.size >= connectionsMax) return refuseUpgrade(socket, 429);
    server.handleUpgrade(request, socket, head, (webSocket) =>
      accept(webSocket, socket, allowance),
    );
  };

  function accept(socket: WebSocket, stream: Duplex, allowance?: () => Allowance): void {
    const client: Client = {
      socket,
      stream,
      corked: false,
      connection: createConnection(
        options,
        {
          send: (frame) => transmit(client, frame),
          congested: () => socket.bufferedAmount >= SOCKET_BUFFER_MAX,
          close: () => {
            socket.close(1000);
            setTimeout(() => socket.terminate(), CLOSE_MS).unref();
          },
        },
        allowance,
      ),
      alive: true,
      stalledAt: undefined,
    };
    clients.add(client);
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
    socket.on("close", () => {
      clients.delete(client);
      client.connection.closed();
    });
    client.connection.open().catch(() => socket.terminate());
  }

  function transmit(client: Client, frame: Uint8Array): void {
    const { socket } = client;
    if (socket.readyState !== socket.OPEN) return;
    gather(client);
    socket.send(frame, () => relieve(client));
    if (client.stalledAt !== undefined || socket.bufferedAmount < SOCKET_BUFFER_MAX) return;
    client.stalledAt = env.now();
    socket.pause();
  }

  /** Everything said to a client in one turn leaves in one write. */
  function gather(client: Client): void {
    if (client.corked) return;
    client.corked = true;
    client.stream.cork();
    setImmediate(() => {
      client.corked = false;
      client.stream.uncork();
    });
  }

  function relieve(client: Client): void {
    const { socket } = client;
    if (client.stalledAt === undefined || socket.bufferedAmount >= SOCKET_BUFFER_MAX / 2) return;
    client.stalledAt = undefined;
    socket.resume();
    client.connection.resume();
  }

  /** Whoever gave no sign of life since the last beat, or takes nothing for too long, is gone. */
  function beat(): void {
    cancelBeat = env.after(HEARTBEAT_MS, beat);
    const now = env.now();
    for (const client of clients) {
      const { stalledAt } = client;
      if (stalledAt !== undefined) {
        if (now - stalledAt >= STALLED_MS) client.socket.terminate();
        continue;
      }
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
      let sum = 0;
      for (const { socket } of clients) sum += socket.bufferedAmount;
      return sum;
    },
    async drain() {
      draining = true;
      cancelBeat();
      await Promise.all(
        [...clients].map(({ socket, connection }) => {
          const closed = new Promise((resolve) => socket.once("close", resolve));
          connection.bye("draining", DRAIN_RETRY_MS + Math.floor(Math.random() * DRAIN_RETRY_MS));
          return closed;
        }),
      );
      server.close();
    },
  };
}

const EMPTY = new Uint8Array();
const REASONS = { 404: "Not Found", 429: "Too Many Requests", 503: "Service Unavailable" } as const;

export function refuseUpgrade(socket: Duplex, status: keyof typeof REASONS): void {
  socket.end(
    `HTTP/1.1 ${status} ${REASONS[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
  );
}
