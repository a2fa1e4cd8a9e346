/**
 * A libp2p circuit relay behind the relay's own port: direct links begin here and leave as soon as they can.
 * Owns: reservations and their limits. Leaves to server.ts: which upgrade requests come here.
 * It dials nobody: it only joins two peers that both came to it, one of them with a reservation.
 * Spec: SPEC.md §7.
 */
import type { IncomingMessage } from "node:http";
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import { noise } from "@chainsafe/libp2p-noise";
import { circuitRelayServer } from "@libp2p/circuit-relay-v2";
import { generateKeyPairFromSeed } from "@libp2p/crypto/keys";
import { identify } from "@libp2p/identify";
import { webSockets } from "@libp2p/websockets";
import { yamux } from "@libp2p/yamux";
import type { Multiaddr } from "@multiformats/multiaddr";
import { createLibp2p } from "libp2p";
import {
  CIRCUIT_BYTES_MAX,
  CIRCUIT_CONNECTIONS_MAX,
  CIRCUIT_MS,
  type CircuitLimits,
  HOP_STREAMS_MAX,
  RESERVATION_TTL_MS,
  RESERVATIONS_MAX,
  STOP_STREAMS_MAX,
} from "./circuit-limits.ts";
import { refuseUpgrade } from "./hub-server.ts";

/** A connection without a proven peer behind it. */
const UPGRADE_MS = 5_000;

export interface Circuit {
  /** The peer id that follows from the relay's identity key, as text. */
  readonly peerId: string;
  /** Takes over the socket of an upgrade request. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  readonly reservations: number;
  close(): Promise<void>;
}

export interface CircuitOptions {
  /** Ed25519 seed, 32 bytes. */
  readonly identitySecret: Uint8Array;
  /** Multiaddrs under which clients reach this relay. */
  readonly announce: readonly string[];
  readonly limits?: Partial<CircuitLimits>;
}

export async function createCircuit(options: CircuitOptions): Promise<Circuit> {
  const { limits } = options;
  const connectionsMax = limits?.connections ?? CIRCUIT_CONNECTIONS_MAX;
  const relay = circuitRelayServer({
    maxInboundHopStreams: HOP_STREAMS_MAX,
    maxOutboundStopStreams: STOP_STREAMS_MAX,
    reservations: {
      maxReservations: limits?.reservations ?? RESERVATIONS_MAX,
      reservationTtl: RESERVATION_TTL_MS,
      applyDefaultLimit: true,
      defaultDataLimit: BigInt(limits?.bytes ?? CIRCUIT_BYTES_MAX),
      defaultDurationLimit: limits?.durationMs ?? CIRCUIT_MS,
    },
  });
  const node = await createLibp2p({
    privateKey: await generateKeyPairFromSeed("Ed25519", options.identitySecret),
    addresses: { listen: ["/ip4/127.0.0.1/tcp/0/ws"], announce: [...options.announce] },
    transports: [webSockets()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify(), relay, listening },
    connectionGater: {
      denyDialPeer: () => true,
      denyDialMultiaddr: () => true,
    },
    connectionManager: {
      maxConnections: CIRCUIT_CONNECTIONS_MAX,
      // Every connection comes from loopback, so libp2p's limits per host are limits for all.
      inboundConnectionThreshold: CIRCUIT_CONNECTIONS_MAX,
      maxIncomingPendingConnections: CIRCUIT_CONNECTIONS_MAX,
      inboundUpgradeTimeout: UPGRADE_MS,
      reconnectRetries: 0,
    },
    connectionMonitor: { pingInterval: 60_000 },
  });
  const port = node.services.listening.port();
  // libp2p itself keeps both until they expire, so that every reload of a page would take another place.
  node.addEventListener("peer:disconnect", ({ detail: peerId }) => {
    const { reservations } = node.services.relay;
    reservations.get(peerId)?.signal.clear();
    reservations.delete(peerId);
    node.peerStore.delete(peerId).catch(() => undefined);
  });
  // A circuit goes over a peer's oldest connection: of one that changed networks that is the dead one.
  node.addEventListener("connection:open", ({ detail: newest }) => {
    for (const connection of node.getConnections(newest.remotePeer)) {
      if (connection !== newest) connection.abort(new Error("replaced by a newer connection"));
    }
  });
  const sockets = new Set<Duplex>();

  function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (sockets.size >= connectionsMax) return refuseUpgrade(socket, 429);
    const inner = connect(port, "127.0.0.1");
    sockets.add(socket);
    const end = (): void => {
      sockets.delete(socket);
      socket.destroy();
      inner.destroy();
    };
    socket.once("close", end);
    socket.once("error", end);
    inner.once("close", end);
    inner.once("error", end);
    inner.write(rawHead(request));
    inner.write(head);
    socket.pipe(inner).pipe(socket);
  }

  return {
    peerId: node.peerId.toString(),
    upgrade,
    get reservations() {
      return node.services.relay.reservations.size;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await node.stop();
    },
  };
}

/** Where the node really listens: `getMultiaddrs` only tells what it announces. */
const listening = (components: {
  readonly transportManager: { getAddrs(): readonly Multiaddr[] };
}): { port(): number } => ({
  port() {
    const [address] = components.transportManager.getAddrs();
    const port = /\/tcp\/(\d+)\//.exec(address?.toString() ?? "")?.[1];
    if (port === undefined) throw new Error("the circuit relay does not listen");
    return Number(port);
  },
});

/** The request as it came, for a server that never saw it. No address is added. */
function rawHead(request: IncomingMessage): string {
  const lines = [`${request.method} ${request.url} HTTP/1.1`];
  for (let index = 0; index + 1 < request.rawHeaders.length; index += 2) {
    lines.push(`${request.rawHeaders[index]}: ${request.rawHeaders[index + 1]}`);
  }
  return `${lines.join("\r\n")}\r\n\r\n`;
}
