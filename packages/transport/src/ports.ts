/**
 * What the loop sees of the network: one relay, and direct links to single devices.
 * Owns: the two interfaces. Leaves to hub.ts and libp2p/: sockets, frames, retries of connections.
 * Spec: wire/SPEC.md §8, §9.
 */
import type { DirectFrame, EnvelopeId, IceServers, LinkId, QueueId, SendId } from "@sotto/wire";

/**
 * connecting: a socket is being opened or proven. offline: the machine says it has no network.
 * no-relay: the relay does not answer; tried again with growing pauses.
 * relay-changed: the relay proved another key than the pinned one; nothing is sent until `trust`.
 */
export type HubState = "connecting" | "online" | "offline" | "no-relay" | "relay-changed";

/** Calls may come at any time after `start`; they never throw and must not. */
export interface HubEvents {
  /** The new state, once per change. */
  state(state: HubState): void;
  /** A relay proved this Ed25519 key and none was pinned; it is pinned for this connection on. */
  relayKey(key: Uint8Array): void;
  deliver(delivery: {
    readonly queueId: QueueId;
    /** Names the delivery in `ack`; another one over every connection. */
    readonly sequence: bigint;
    readonly id: EnvelopeId;
    readonly blob: Uint8Array;
  }): void;
  signalled(queueId: QueueId, blob: Uint8Array): void;
  /** Everything stored when the queue was opened has been delivered. */
  drained(queueId: QueueId): void;
  /** The relay knows no such queue (expired, or its disk was lost): the owner may make it again. */
  missing(queueId: QueueId): void;
  /** Measured anew, in ms. */
  roundTrip?(ms: number): void;
}

/** A queue of someone else, and the X25519 secret that proves the right to write to it. */
export interface SendTarget {
  readonly sendId: SendId;
  /** 32 bytes. */
  readonly sendSecret: Uint8Array;
  /** 16 bytes; harmless once the queue knows the sender. */
  readonly firstUse: Uint8Array;
}

/** lost: no answer came; the same call may be made again and the relay drops what it has already. */
export type AppendOutcome = "ok" | "lost" | "gone" | "quota";

/** gone: this relay names no servers. later: it was asked too often. */
export type IceAnswer =
  | { readonly ok: true; readonly servers: IceServers }
  | { readonly ok: false; readonly reason: "gone" | "lost" | "later" };

/** One relay. Every promise resolves: with "lost" when the connection ends or no answer comes in time. */
export interface Hub {
  start(): void;
  readonly state: HubState;
  /** The pinned key: given at creation, learnt at first contact, or accepted by `trust`. */
  readonly relayKey: Uint8Array | undefined;
  /** To the relay and back, ms, as last measured; undefined while not online. `retry` measures anew. */
  readonly roundTripMs: number | undefined;
  /** Whether the relay offers circuits for direct links; false while not online. */
  readonly circuit: boolean;
  /** The relay's VAPID key, 65 bytes, as last heard; undefined before, and for a relay that wakes nobody. */
  readonly pushKey: Uint8Array | undefined;
  /** Where to wake this device, on this connection's word; "": nowhere. Said while online only, and never repeated. */
  setPush(endpoint: string): void;
  /** After "relay-changed": pins the key that was offered and connects again. */
  trust(): void;
  /** Tries again now instead of after the current pause (a `online` event, a wake from sleep, a click). */
  retry(): void;
  /** Idempotent for the same owner and queue. The queue is read from then on, as by `openQueues`. */
  makeQueue(queue: {
    readonly queueId: QueueId;
    readonly firstUse: Uint8Array;
    readonly ttlHours: number;
  }): Promise<
    | { readonly ok: true; readonly sendId: SendId }
    | { readonly ok: false; readonly reason: "lost" | "gone" | "quota" }
  >;
  /** Read these queues from now on, and again after every reconnect. */
  openQueues(queueIds: readonly QueueId[]): void;
  closeQueue(queueId: QueueId): Promise<"ok" | "lost">;
  publish(offer: {
    readonly queueId: QueueId;
    readonly linkId: LinkId;
    readonly blob: Uint8Array;
  }): Promise<AppendOutcome>;
  fetchOffer(
    linkId: LinkId,
  ): Promise<
    | { readonly ok: true; readonly blob: Uint8Array }
    | { readonly ok: false; readonly reason: "gone" | "lost" | "later" }
  >;
  /** STUN and TURN servers, with a credential made for this answer. */
  iceServers(): Promise<IceAnswer>;
  /** Opens the sender alias first when this connection has none yet. In call order per target. */
  append(target: SendTarget, id: EnvelopeId, blob: Uint8Array): Promise<AppendOutcome>;
  signal(target: SendTarget, blob: Uint8Array): Promise<"ok" | "away" | "gone" | "lost">;
  /** Batched; lost acknowledgements are harmless, the relay delivers again. */
  ack(queueId: QueueId, sequence: bigint): void;
  /** Sends what is waiting, then closes. */
  close(): Promise<void>;
}

export interface DirectEvents {
  /** A link to this peer opened (either side dialled) or closed. One `up` and one `down` per link. */
  link(peerId: Uint8Array, up: boolean): void;
  frame(peerId: Uint8Array, frame: DirectFrame): void;
  /** Round trip of the last ping in ms. */
  roundTrip(peerId: Uint8Array, ms: number): void;
  /** The reservation at the relay ended; `prepare` makes a new one. Open links stay. */
  reservationLost(): void;
}

/**
 * Direct data channels. Peer ids are multihash bytes as in wire's Signal.
 * Every peer id is fresh per installation start and says nothing about the person.
 */
export interface Direct {
  readonly ownPeerId: Uint8Array;
  /** Holds a reservation at the relay, so that others can reach this device. Idempotent. Rejects after its deadline. */
  prepare(): Promise<void>;
  /** Gives the reservation back; open links stay. */
  release(): void;
  /** Only expected peers may open a link to this device, and only they may be dialled. At most LINKS_MAX. */
  expect(peerId: Uint8Array): void;
  /** No longer expected; an open link to it closes. */
  forget(peerId: Uint8Array): void;
  /** True once a link is open (also when it was open already). Never rejects. */
  dial(peerId: Uint8Array): Promise<boolean>;
  /** False when there is no open link or its buffer is full; the caller then uses the relay. */
  send(peerId: Uint8Array, frame: DirectFrame): boolean;
  close(): Promise<void>;
}
