/**
 * Direct data channels over libp2p: the relay introduces, WebRTC carries, the relay may then go away.
 * Owns: the node, who may connect, one link per peer, the reservation.
 * Leaves to session.ts: the stream of a link. Leaves to the caller: when a link is wanted, and dialling again.
 */
import { noise } from "@chainsafe/libp2p-noise";
import { circuitRelayTransport } from "@libp2p/circuit-relay-v2";
import { generateKeyPairFromSeed } from "@libp2p/crypto/keys";
import { identify } from "@libp2p/identify";
import { webRTC } from "@libp2p/webrtc";
import { webSockets } from "@libp2p/websockets";
import { yamux } from "@libp2p/yamux";
import { multiaddr } from "@multiformats/multiaddr";
import type { Entropy } from "@sotto/crypto";
import { bytesToHex, type DirectFrame } from "@sotto/wire";
import { createLibp2p, type Libp2p } from "libp2p";
import { type NetworkHints, pageHints } from "../hints.ts";
import type { Direct, DirectEvents } from "../ports.ts";
import { realTimers, type Timers } from "../timers.ts";
import { withRepairedInitChannel } from "./init-channel.ts";
import {
  directAddress,
  peerIdFromBytes,
  peerIdFromRelayKey,
  peerIdToBytes,
  type PeerId,
  relayAddress,
} from "./peer-address.ts";
import { openSession, type Session, type SessionEnd } from "./session.ts";

export const DIRECT_PROTOCOL = "/sotto/1";
/** Every relay speaks it; opening a stream is the question whether it is still there. */
const HOP_PROTOCOL = "/libp2p/circuit/relay/0.2.0/hop";
/** Expected peers, and so open links. */
export const LINKS_MAX = 20;
/** From asking the relay to holding a reservation. */
export const PREPARE_MS = 10_000;
/** A relay that does not answer within this time over an open connection is asked over a new one. */
export const RELAY_ANSWER_MS = 2_000;
/** One attempt to dial; what works takes well under a second. */
export const DIAL_MS = 6_000;
/** A failed dial is repeated at once: the circuit is open still, a second try costs a tenth of the first. */
const DIAL_ATTEMPTS = 2;
/** Between two attempts to reach the relay within `PREPARE_MS`. */
const REDIAL_MS = 500;
/** Waiting in the data channel; more goes over the relay. At 1 Mbit/s as much as liveness can wait for. */
export const SEND_BUFFER_BYTES_MAX = 262_144;
/** A peer that breaks the protocol on so many links is no longer expected. */
export const MALFORMED_LINKS_MAX = 3;
/** A double dial makes two; a peer that opens more is not settled with, its streams are refused. */
export const SESSIONS_PER_PEER_MAX = 4;
/** Two streams opened within this time of each other are two sides dialling at once. */
const GLARE_MS = 5_000;
/** The stream that lost stays so long: closed at once, it could end before the other side knows the winner. */
const SETTLE_MS = 1_000;
/** A connection that carries no session after so long is what a failed dial of the other side left here. */
const ORPHAN_MS = 2_000;

type Connection = Awaited<ReturnType<Libp2p["dial"]>>;
type Stream = Awaited<ReturnType<Connection["newStream"]>>;

export interface DirectOptions {
  /** Origin of the relay, for example "https://chat.example.com". */
  readonly relayUrl: string;
  /** Ed25519, 32 bytes: the relay's libp2p name is made of it. */
  readonly relayKey: Uint8Array;
  readonly events: DirectEvents;
  /** Asked for every connection, dialled or answered; undefined: there must be none. Without it: no servers. */
  readonly rtcConfiguration?: () => Promise<RTCConfiguration | undefined>;
  readonly entropy?: Entropy;
  readonly timers?: Timers;
  readonly hints?: NetworkHints;
}

interface Link {
  readonly session: Session;
  readonly connection: Connection;
  /** Opened by the side with the lower peer id: the one that survives when both dialled. */
  readonly byLower: boolean;
  readonly openedAt: number;
}

interface Expected {
  readonly peerId: PeerId;
  readonly bytes: Uint8Array;
  /** Every session with this peer that is not over: usually one, two while a double dial is settled. */
  readonly sessions: Set<Link>;
  link: Link | undefined;
  /** Called when a session opened or ended. */
  readonly watchers: Set<() => void>;
  dialling: Promise<boolean> | undefined;
  malformed: number;
}

function refuse(): never {
  throw new RangeError("not a relay address");
}

/** Rejects with a RangeError for a relay at no host or port that there is. */
export async function createDirect(options: DirectOptions): Promise<Direct> {
  const { events } = options;
  const timers = options.timers ?? realTimers;
  const entropy: Entropy =
    options.entropy ?? ((length) => crypto.getRandomValues(new Uint8Array(length)));
  const relay = peerIdFromRelayKey(options.relayKey);
  const relayAt = relayAddress(options.relayUrl, relay) ?? refuse();
  const expected = new Map<string, Expected>();
  /** Only `reachRelay` dials the relay: libp2p's own attempts to come back would undo `release`. */
  let mayDialRelay = 0;
  let reserved = false;
  let wanted = false;
  let closed = false;
  let preparing: Promise<void> | undefined;
  let leaving: Promise<void> | undefined;
  let dials = 0;

  const keyOf = (peerId: PeerId): string => bytesToHex(peerIdToBytes(peerId));
  const isExpected = (peerId: PeerId): boolean => expected.has(keyOf(peerId));
  /** False for what was forgotten while something was still under way, also when it is expected anew. */
  const isCurrent = (peer: Expected): boolean => expected.get(keyOf(peer.peerId)) === peer;
  const isRelay = (peerId: PeerId): boolean => peerId.equals(relay);

  const node = await createLibp2p({
    privateKey: await generateKeyPairFromSeed("Ed25519", entropy(32)),
    // Named relays never come back after a restart (libp2p#3601); the search form does.
    addresses: { listen: ["/p2p-circuit", "/webrtc"] },
    transports: [
      webSockets(),
      circuitRelayTransport({ reservationCompletionTimeout: PREPARE_MS }),
      webRTC({
        rtcConfiguration,
        dataChannel: { maxMessageSize: 65_536, maxBufferedAmount: SEND_BUFFER_BYTES_MAX },
      }),
    ],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify() },
    nodeInfo: { name: "sotto", version: "1", userAgent: "sotto" },
    connectionMonitor: { enabled: false },
    connectionManager: {
      maxConnections: 2 * LINKS_MAX + 1,
      // Its own reconnecting stops at the first failed attempt and cannot be told when to.
      reconnectRetries: 0,
      addressDialTimeout: DIAL_MS,
      dialTimeout: DIAL_MS,
    },
    connectionGater: {
      denyDialPeer: (peerId) => (isRelay(peerId) ? mayDialRelay === 0 : !isExpected(peerId)),
      denyDialMultiaddr: (address) => !mayDial(address.toString()),
      denyInboundConnection: () => false,
      denyInboundRelayedConnection: (by, peerId) => !isRelay(by) || !isExpected(peerId),
      denyOutboundRelayedConnection: (_, peerId) => !isExpected(peerId),
      denyInboundEncryptedConnection: (peerId) => !isExpected(peerId),
      denyInboundUpgradedConnection: (peerId) => !isExpected(peerId),
      denyOutboundConnection: (peerId) => !isRelay(peerId) && !isExpected(peerId),
      denyOutboundEncryptedConnection: (peerId) => !isRelay(peerId) && !isExpected(peerId),
      denyOutboundUpgradedConnection: (peerId) => !isRelay(peerId) && !isExpected(peerId),
      denyInboundRelayReservation: () => true,
      // What peers say about their addresses is not believed: the way to all of them is the relay.
      filterMultiaddrForPeer: (_, address) => mayDial(address.toString()),
    },
  });
  const ownBytes = peerIdToBytes(node.peerId);

  async function rtcConfiguration(): Promise<RTCConfiguration> {
    // Unset, libp2p asks public STUN servers on every dial.
    if (options.rtcConfiguration === undefined) return { iceServers: [] };
    const configuration = await options.rtcConfiguration();
    // libp2p gives this dial or answer up before it makes a connection.
    if (configuration === undefined) throw new Error("no direct links now");
    return { ...configuration, iceServers: configuration.iceServers ?? [] };
  }

  function mayDial(address: string): boolean {
    if (address === relayAt) return true;
    for (const { peerId } of expected.values()) {
      if (address === directAddress(relayAt, peerId)) return true;
    }
    return false;
  }

  await node.handle(DIRECT_PROTOCOL, (stream, connection) => {
    const peer = expected.get(keyOf(connection.remotePeer));
    const isWelcome =
      peer !== undefined && isDirect(connection) && peer.sessions.size < SESSIONS_PER_PEER_MAX;
    if (isWelcome) adopt(peer, stream, connection);
    else stream.abort(new Error("not expected"));
  });
  node.addEventListener("transport:listening", ({ detail }) => {
    const addresses = detail.getAddrs().map(String);
    // The WebRTC listener repeats the circuit's addresses; the circuit's own go away with the reservation.
    if (addresses.some((address) => address.endsWith("/p2p-circuit"))) reserved = true;
  });
  node.addEventListener("peer:disconnect", ({ detail }) => {
    if (!isRelay(detail) || !reserved) return;
    reserved = false;
    if (wanted) events.reservationLost();
  });

  // libp2p learns 13 s late that this machine's address changed; the page hears it at once.
  const stopHints = (options.hints ?? pageHints).listen(() => {
    for (const { sessions } of expected.values()) {
      for (const { session } of sessions) session.probe();
    }
  });

  /** Takes a stream on as a session; it becomes the link once the other side has spoken. */
  function adopt(peer: Expected, stream: Stream, connection: Connection): Session {
    const ownIsLower = comesFirst(ownBytes, peer.bytes);
    const session = openSession(
      stream,
      { timers, entropy },
      {
        open() {
          if (!isCurrent(peer)) return session.close();
          const previous = peer.link;
          const loses = previous !== undefined && survives(previous, candidate);
          if (previous !== undefined) {
            const loser = loses ? session : previous.session;
            timers.after(SETTLE_MS, () => loser.close());
          }
          if (loses) return;
          peer.link = candidate;
          if (previous === undefined) events.link(peer.bytes, true);
          dropCircuits(peer);
          for (const look of peer.watchers) look();
        },
        frame: (frame) => events.frame(peer.bytes, frame),
        roundTrip(ms) {
          if (peer.link === candidate) events.roundTrip(peer.bytes, ms);
        },
        ended: (reason) => sessionEnded(peer, candidate, reason),
      },
    );
    const candidate: Link = {
      session,
      connection,
      byLower: (stream.direction === "outbound") === ownIsLower,
      openedAt: timers.now(),
    };
    peer.sessions.add(candidate);
    session.begin();
    return session;
  }

  function sessionEnded(peer: Expected, ended: Link, reason: SessionEnd): void {
    peer.sessions.delete(ended);
    const shared = [...peer.sessions].some((other) => other.connection === ended.connection);
    // libp2p would keep the connection of a vanished peer for 13 s, and signal the next dial through it.
    if (!shared) ended.connection.abort(new Error("no session"));
    if (reason === "malformed") peer.malformed++;
    if (peer.link === ended) {
      peer.link = undefined;
      events.link(peer.bytes, false);
    }
    for (const look of peer.watchers) look();
    if (peer.malformed >= MALFORMED_LINKS_MAX) forget(peer.bytes);
  }

  /** The circuit has done its work; the relay would cut it after its limit anyway. */
  function dropCircuits(peer: Expected): void {
    for (const connection of node.getConnections(peer.peerId)) {
      if (!isDirect(connection)) connection.close().catch(() => undefined);
    }
  }

  /** libp2p signals a dial through any connection it has, and would hang in a dead one. */
  function dropOrphans(peer: Expected): void {
    for (const connection of node.getConnections(peer.peerId)) {
      const isOld = Date.now() - connection.timeline.open > ORPHAN_MS;
      const isUsed = [...peer.sessions].some((link) => link.connection === connection);
      if (isDirect(connection) && isOld && !isUsed) connection.abort(new Error("no session"));
    }
  }

  /** Connects to the relay, or proves that the connection at hand is alive: after a change of network it may not be. */
  async function reachRelay(signal: AbortSignal): Promise<void> {
    const [known] = node.getConnections(relay);
    if (known !== undefined) {
      if (await answers(known)) return;
      known.abort(new Error("no answer"));
    }
    mayDialRelay++;
    try {
      await node.dial(multiaddr(relayAt), { signal });
    } finally {
      mayDialRelay--;
    }
  }

  async function answers(connection: Connection): Promise<boolean> {
    try {
      const signal = abortAfter(RELAY_ANSWER_MS);
      const options = { signal, negotiateFully: true };
      const stream = await connection.newStream(HOP_PROTOCOL, options);
      stream.abort(new Error("only asking"));
      return true;
    } catch {
      return false;
    }
  }

  function abortAfter(delayMs: number): AbortSignal {
    const controller = new AbortController();
    timers.after(delayMs, () => controller.abort(new Error("too late")));
    return controller.signal;
  }

  function leaveRelay(): void {
    if (wanted || dials > 0) return;
    leaving = node.hangUp(relay).catch(() => undefined);
  }

  async function reserve(): Promise<void> {
    const deadline = timers.now() + PREPARE_MS;
    const left = (): number => Math.max(0, deadline - timers.now());
    const goesOn = (): boolean => wanted && !closed && left() > 0;
    await leaving;
    while (goesOn()) {
      try {
        const signal = abortAfter(left());
        await reachRelay(signal);
        await becomesReserved(signal);
        return;
      } catch {
        await node.hangUp(relay).catch(() => undefined);
        await new Promise<void>((resolve) => timers.after(Math.min(REDIAL_MS, left()), resolve));
      }
    }
    wanted = false;
    throw new Error("the relay gave no reservation in time");
  }

  /** Rejects when the relay goes away or `signal` fires. */
  function becomesReserved(signal: AbortSignal): Promise<void> {
    if (reserved) return Promise.resolve();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const listening = (): void => {
      if (reserved) resolve();
    };
    const gone = (event: CustomEvent<PeerId>): void => {
      if (isRelay(event.detail)) reject(new Error("the relay went away"));
    };
    const late = (): void => reject(new Error("no reservation in time"));
    node.addEventListener("transport:listening", listening);
    node.addEventListener("peer:disconnect", gone);
    signal.addEventListener("abort", late);
    return promise.finally(() => {
      node.removeEventListener("transport:listening", listening);
      node.removeEventListener("peer:disconnect", gone);
      signal.removeEventListener("abort", late);
    });
  }

  async function dial(peer: Expected): Promise<boolean> {
    dials++;
    try {
      for (let attempt = 0; attempt < DIAL_ATTEMPTS; attempt++) {
        if (peer.link !== undefined) return true;
        if (closed || !isCurrent(peer)) return false;
        if (await dialOnce(peer).catch(() => false)) return true;
      }
      return peer.link !== undefined;
    } finally {
      dials--;
      if (peer.link === undefined) dropCircuits(peer);
      leaveRelay();
    }
  }

  async function dialOnce(peer: Expected): Promise<boolean> {
    const signal = abortAfter(DIAL_MS);
    await reachRelay(signal);
    dropOrphans(peer);
    const address = multiaddr(directAddress(relayAt, peer.peerId));
    const connection = await withRepairedInitChannel(RTCPeerConnection.prototype, () =>
      node.dial(address, { signal }),
    );
    if (peer.link !== undefined) return true;
    if (!isDirect(connection) || !isCurrent(peer)) return false;
    const stream = await connection.newStream(DIRECT_PROTOCOL, { signal });
    const session = adopt(peer, stream, connection);
    return linked(peer, session);
  }

  /** True once the peer has a link, this session or another; false when this session ends first. */
  function linked(peer: Expected, session: Session): Promise<boolean> {
    return new Promise((resolve) => {
      const look = (): void => {
        const isOver = ![...peer.sessions].some((other) => other.session === session);
        if (peer.link === undefined && !isOver) return;
        peer.watchers.delete(look);
        resolve(peer.link !== undefined);
      };
      peer.watchers.add(look);
      look();
    });
  }

  function forget(bytes: Uint8Array): void {
    const key = bytesToHex(bytes);
    const peer = expected.get(key);
    if (peer === undefined) return;
    expected.delete(key);
    for (const { session } of peer.sessions) session.close();
    node.hangUp(peer.peerId).catch(() => undefined);
  }

  return {
    ownPeerId: ownBytes,
    async prepare() {
      wanted = true;
      preparing ??= reserve().finally(() => {
        preparing = undefined;
      });
      return preparing;
    },
    release() {
      wanted = false;
      leaveRelay();
    },
    expect(bytes) {
      const peerId = peerIdFromBytes(bytes);
      const key = bytesToHex(bytes);
      if (peerId === undefined || expected.has(key) || expected.size >= LINKS_MAX) return;
      expected.set(key, {
        peerId,
        bytes: bytes.slice(),
        sessions: new Set(),
        link: undefined,
        watchers: new Set(),
        dialling: undefined,
        malformed: 0,
      });
    },
    forget,
    dial(bytes) {
      const peer = expected.get(bytesToHex(bytes));
      if (peer === undefined) return Promise.resolve(false);
      peer.dialling ??= dial(peer).finally(() => {
        peer.dialling = undefined;
      });
      return peer.dialling;
    },
    send: (bytes, frame: DirectFrame) =>
      expected.get(bytesToHex(bytes))?.link?.session.send(frame) ?? false,
    async close() {
      closed = true;
      stopHints();
      wanted = false;
      for (const { bytes } of expected.values()) forget(bytes);
      await node.stop();
    },
  };
}

/** Over WebRTC, not through the relay's circuit. */
const isDirect = (connection: Connection): boolean =>
  connection.remoteAddr.getComponents().some(({ name }) => name === "webrtc");

/** Both sides come to the same answer: of a double dial the lower one's stream, otherwise the newer. */
const survives = (previous: Link, next: Link): boolean =>
  next.openedAt - previous.openedAt < GLARE_MS && previous.byLower && !next.byLower;

function comesFirst(a: Uint8Array, b: Uint8Array): boolean {
  for (const [index, byte] of a.entries()) {
    const other = b[index] ?? 0;
    if (byte !== other) return byte < other;
  }
  return false;
}
