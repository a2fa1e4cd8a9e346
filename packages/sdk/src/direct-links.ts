/**
 * Which conversation a direct link belongs to, and loading the libp2p chunk only when one is wanted.
 * Owns: the map from peer id to conversation. Leaves to transport: reservations, dialling, channels.
 */
import type { ConversationId, Input } from "@sotto/protocol";
import type { Direct, DirectEvents, Timers } from "@sotto/transport";
import { asEnvelopeId, bytesToHex, hexToBytes } from "@sotto/wire";

/** Without anyone wanting a link, the reservation at the relay is given back after this. */
export const RESERVATION_IDLE_MS = 120_000;

export interface DirectLinks {
  prepare(id: ConversationId): void;
  expect(id: ConversationId, peerId: Uint8Array): void;
  dial(id: ConversationId, peerId: Uint8Array): void;
  /** False when there is no open link or it is full. */
  send(id: ConversationId, envelopeId: string, blob: Uint8Array): boolean;
  isOpen(id: ConversationId): boolean;
  /** Open links right now. */
  readonly count: number;
  close(): Promise<void>;
}

export interface DirectLinksOptions {
  /** Undefined when this platform has no WebRTC. */
  load: ((events: DirectEvents) => Promise<Direct>) | undefined;
  readonly feed: (id: ConversationId, input: Input) => void;
  readonly roundTrip: (id: ConversationId, ms: number | undefined) => void;
  /** Whether some conversation on screen wants a link. */
  readonly isWanted: () => boolean;
  readonly timers: Timers;
}

export function createDirectLinks({
  load,
  feed,
  roundTrip,
  isWanted,
  timers,
}: DirectLinksOptions): DirectLinks {
  const conversationByPeer = new Map<string, ConversationId>();
  const peerByConversation = new Map<ConversationId, Uint8Array>();
  const open = new Set<string>();
  /** Conversations that have been told of the reservation. */
  const prepared = new Set<ConversationId>();
  let loading: Promise<Direct> | undefined;
  let direct: Direct | undefined;
  let closed = false;
  let cancelIdle: (() => void) | undefined;

  const events: DirectEvents = {
    link(peerId, up) {
      const peer = bytesToHex(peerId);
      if (up) open.add(peer);
      else open.delete(peer);
      const id = conversationByPeer.get(peer);
      if (id === undefined) return;
      if (!up) roundTrip(id, undefined);
      feed(id, { kind: "direct", up });
    },
    frame(peerId, frame) {
      const id = conversationByPeer.get(bytesToHex(peerId));
      if (id === undefined || frame.type !== "envelope") return;
      feed(id, { kind: "frame", blob: frame.blob, source: { path: "direct" } });
    },
    roundTrip(peerId, ms) {
      const id = conversationByPeer.get(bytesToHex(peerId));
      if (id !== undefined) roundTrip(id, ms);
    },
    reservationLost: forgetReservation,
  };

  function forgetReservation(): void {
    for (const id of prepared) feed(id, { kind: "reservation", peerId: undefined });
    prepared.clear();
  }

  /** Looks again and again while a reservation is held, and gives it back when nobody needs it. */
  function watchIdle(): void {
    cancelIdle ??= timers.after(RESERVATION_IDLE_MS, () => {
      cancelIdle = undefined;
      if (closed || prepared.size === 0) return;
      if (isWanted()) {
        watchIdle();
        return;
      }
      direct?.release();
      forgetReservation();
    });
  }

  const ready = (): Promise<Direct> => {
    if (load === undefined || closed) return Promise.reject(new Error("no direct links here"));
    loading ??= load(events).then(
      (loaded) => {
        direct = loaded;
        return loaded;
      },
      (error: unknown) => {
        loading = undefined;
        throw error;
      },
    );
    return loading;
  };

  async function reserve(id: ConversationId): Promise<void> {
    try {
      const loaded = await ready();
      await loaded.prepare();
      prepared.add(id);
      watchIdle();
      feed(id, { kind: "reservation", peerId: loaded.ownPeerId });
    } catch {
      // The relay is away or offers no circuits: the engine asks again after its pause.
      feed(id, { kind: "reservation", peerId: undefined });
    }
  }

  async function connect(id: ConversationId, peerId: Uint8Array): Promise<void> {
    try {
      const loaded = await ready();
      if (await loaded.dial(peerId)) return;
    } catch {
      // The chunk did not load: the same as a dial that failed.
    }
    // The other side, or an earlier dial, may have opened the link meanwhile.
    if (open.has(bytesToHex(peerId))) return;
    feed(id, { kind: "direct", up: false });
  }

  return {
    prepare(id) {
      if (load !== undefined && !closed) void reserve(id);
    },
    expect(id, peerId) {
      const before = peerByConversation.get(id);
      const peer = bytesToHex(peerId);
      if (before !== undefined && bytesToHex(before) !== peer) {
        conversationByPeer.delete(bytesToHex(before));
        direct?.forget(before);
      }
      peerByConversation.set(id, peerId);
      conversationByPeer.set(peer, id);
      void ready().then(
        (loaded) => loaded.expect(peerId),
        () => undefined,
      );
    },
    dial(id, peerId) {
      void connect(id, peerId);
    },
    send(id, envelopeId, blob) {
      const peerId = peerByConversation.get(id);
      const bytes = hexToBytes(envelopeId);
      if (direct === undefined || peerId === undefined || bytes === undefined) return false;
      return direct.send(peerId, { type: "envelope", id: asEnvelopeId(bytes), blob });
    },
    isOpen(id) {
      const peerId = peerByConversation.get(id);
      return peerId !== undefined && open.has(bytesToHex(peerId));
    },
    get count() {
      return open.size;
    },
    async close() {
      closed = true;
      cancelIdle?.();
      await direct?.close();
    },
  };
}
