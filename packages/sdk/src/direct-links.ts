/**
 * Which conversations a direct link belongs to, and loading the libp2p chunk only when one is wanted.
 * Owns: the map between peer ids and conversations. Leaves to transport: reservations, dialling, channels.
 *
 * A peer id is only a claim of the contact who announced it, so several conversations may claim the same one:
 * frames go to all of them and the session decides whose they are, and nobody can take a link from another.
 */
import type { ConversationId, Input } from "@sotto/protocol";
import type { Direct, DirectEvents, Ice, Timers } from "@sotto/transport";
import { asEnvelopeId, bytesToHex, hexToBytes } from "@sotto/wire";

/** Without anyone wanting a link, the reservation at the relay is given back after this. */
export const RESERVATION_IDLE_MS = 120_000;
/** Peers that may open a link at any time; transport's LINKS_MAX. Of more, the oldest without a link goes. */
export const EXPECTED_MAX = 20;
/** Conversations that may claim the same peer; one more stays on the relay. */
export const CLAIMANTS_MAX = 4;

export interface DirectLinks {
  prepare(id: ConversationId): void;
  expect(id: ConversationId, peerId: Uint8Array): void;
  dial(id: ConversationId, peerId: Uint8Array): void;
  /** False when there is no open link or it is full. */
  send(id: ConversationId, envelopeId: string, blob: Uint8Array): boolean;
  isOpen(id: ConversationId): boolean;
  /** Open links right now. */
  readonly count: number;
  /** Ends every link and begins anew: the relay is another one. */
  reset(): void;
  close(): Promise<void>;
}

export interface DirectLinksOptions {
  /** Undefined when this platform has no WebRTC. */
  readonly load: ((events: DirectEvents) => Promise<Direct>) | undefined;
  /** Whether there may be links at all, and what the relay says of servers. */
  readonly ice: Pick<Ice, "isPossible" | "reset">;
  readonly feed: (id: ConversationId, input: Input) => void;
  readonly roundTrip: (id: ConversationId, ms: number | undefined) => void;
  /** Whether some conversation on screen wants a link. */
  readonly isWanted: () => boolean;
  readonly timers: Timers;
}

/** A peer that may open a link, oldest first in the map. */
interface Expected {
  readonly peerId: Uint8Array;
  readonly claimants: Set<ConversationId>;
  open: boolean;
}

export function createDirectLinks({
  load,
  ice,
  feed,
  roundTrip,
  isWanted,
  timers,
}: DirectLinksOptions): DirectLinks {
  const expected = new Map<string, Expected>();
  const peerByConversation = new Map<ConversationId, string>();
  /** Conversations that have been told of the reservation. */
  const prepared = new Set<ConversationId>();
  let loading: Promise<Direct> | undefined;
  let direct: Direct | undefined;
  let closed = false;
  let cancelIdle: (() => void) | undefined;

  const claimantsOf = (peerId: Uint8Array): Iterable<ConversationId> =>
    expected.get(bytesToHex(peerId))?.claimants ?? [];

  const createEvents = (): DirectEvents => ({
    link(peerId, up) {
      const peer = expected.get(bytesToHex(peerId));
      if (peer === undefined || peer.open === up) return;
      peer.open = up;
      for (const id of peer.claimants) {
        if (!up) roundTrip(id, undefined);
        feed(id, { kind: "direct", up });
      }
    },
    frame(peerId, frame) {
      if (frame.type !== "envelope") return;
      for (const id of claimantsOf(peerId)) {
        feed(id, { kind: "frame", blob: frame.blob, source: { path: "direct" } });
      }
    },
    roundTrip(peerId, ms) {
      for (const id of claimantsOf(peerId)) roundTrip(id, ms);
    },
    reservationLost: forgetReservation,
  });

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
    if (loading !== undefined) return loading;
    const started = load(createEvents()).then(
      (loaded) => {
        // `reset` or `close` came while the chunk was loading.
        if (loading === started) {
          direct = loaded;
          for (const { peerId } of expected.values()) loaded.expect(peerId);
        } else void loaded.close();
        return loaded;
      },
      (error: unknown) => {
        if (loading === started) loading = undefined;
        throw error;
      },
    );
    loading = started;
    return started;
  };

  async function reserve(id: ConversationId): Promise<void> {
    try {
      // Not reachable for somebody who would then be told why not.
      if (!(await ice.isPossible())) throw new Error("no direct links now");
      const loaded = await ready();
      await loaded.prepare();
      prepared.add(id);
      watchIdle();
      feed(id, { kind: "reservation", peerId: loaded.ownPeerId });
    } catch {
      // The relay is away or offers no circuits, or nobody hides the address: the engine asks again after its pause.
      feed(id, { kind: "reservation", peerId: undefined });
    }
  }

  async function connect(id: ConversationId, peerId: Uint8Array): Promise<void> {
    const peer = expected.get(bytesToHex(peerId));
    if (peer?.claimants.has(id) === true) {
      try {
        const loaded = await ready();
        if (await loaded.dial(peerId)) return;
      } catch {
        // The chunk did not load: the same as a dial that failed.
      }
      // The other side, or an earlier dial, may have opened the link meanwhile.
      if (peer.open) return;
    }
    feed(id, { kind: "direct", up: false });
  }

  /** This conversation's contact has another peer id now, or none. */
  function withdraw(id: ConversationId): void {
    const key = peerByConversation.get(id);
    const peer = key === undefined ? undefined : expected.get(key);
    if (key === undefined || peer === undefined) return;
    peerByConversation.delete(id);
    peer.claimants.delete(id);
    if (peer.open) {
      roundTrip(id, undefined);
      feed(id, { kind: "direct", up: false });
    }
    if (peer.claimants.size > 0) return;
    expected.delete(key);
    direct?.forget(peer.peerId);
  }

  /** Makes room for one more; false when every place has an open link. */
  function makeRoom(): boolean {
    if (expected.size < EXPECTED_MAX) return true;
    for (const peer of expected.values()) {
      if (peer.open) continue;
      for (const id of peer.claimants) withdraw(id);
      return true;
    }
    return false;
  }

  function claim(id: ConversationId, peerId: Uint8Array): void {
    const key = bytesToHex(peerId);
    if (peerByConversation.get(id) === key) return;
    withdraw(id);
    const known = expected.get(key);
    if (known === undefined && !makeRoom()) return;
    const peer = known ?? { peerId, claimants: new Set<ConversationId>(), open: false };
    if (peer.claimants.size >= CLAIMANTS_MAX) return;
    peer.claimants.add(id);
    expected.set(key, peer);
    peerByConversation.set(id, key);
    if (peer.open) feed(id, { kind: "direct", up: true });
  }

  return {
    prepare(id) {
      if (load !== undefined && !closed) void reserve(id);
    },
    expect(id, peerId) {
      if (load === undefined || closed) return;
      claim(id, peerId);
      ready().then(
        (loaded) => {
          if (expected.has(bytesToHex(peerId))) loaded.expect(peerId);
        },
        () => undefined,
      );
    },
    dial(id, peerId) {
      void connect(id, peerId);
    },
    send(id, envelopeId, blob) {
      const key = peerByConversation.get(id);
      const peer = key === undefined ? undefined : expected.get(key);
      const bytes = hexToBytes(envelopeId);
      if (direct === undefined || peer === undefined || bytes === undefined) return false;
      return direct.send(peer.peerId, { type: "envelope", id: asEnvelopeId(bytes), blob });
    },
    isOpen(id) {
      const key = peerByConversation.get(id);
      return key !== undefined && expected.get(key)?.open === true;
    },
    get count() {
      return [...expected.values()].filter((peer) => peer.open).length;
    },
    reset() {
      const before = direct;
      direct = undefined;
      loading = undefined;
      ice.reset();
      // Whoever stayed where it was is told of only once: its claims outlive the links.
      const claims = [...peerByConversation].flatMap(([id, key]) => {
        const peer = expected.get(key);
        return peer === undefined ? [] : [{ id, peerId: peer.peerId }];
      });
      for (const { id } of claims) withdraw(id);
      forgetReservation();
      void before?.close();
      for (const { id, peerId } of claims) claim(id, peerId);
    },
    async close() {
      closed = true;
      cancelIdle?.();
      await direct?.close();
    },
  };
}
