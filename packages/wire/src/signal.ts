/**
 * Presence and link negotiation between two devices: sealed under the session's signal key, never stored.
 * Owns: layout. Leaves to protocol: which counters are too old.
 * Spec: SPEC.md §7.
 */
import { createWriter, decodeWith, type Decoded, refuse } from "./bytes.ts";

export const PEER_ID_BYTES_MAX = 64;
export const SIGNAL_BYTES_MAX = 256;

/** How much of the other side's a device has opened in one session. */
export interface Reached {
  /** The other side's sending chains: the number of the newest seen; 0: none. */
  readonly chain: number;
  /** One more than the highest number opened in that chain; 0: none. */
  readonly next: number;
}

export interface Signal {
  /** Strictly rising per sender: its wall clock in ms, or one more than the last. Replays are dropped by it. */
  readonly counter: number;
  /** online: "I am here". away: "I am leaving". */
  readonly presence: "online" | "away";
  /** Asks the other side to answer with its own signal at once. Never set in an answer. */
  readonly probe: boolean;
  /** none: no direct link wanted. wanted: please get ready. ready: reachable at `peerId`, reservation held. */
  readonly direct: "none" | "wanted" | "ready";
  /** libp2p peer id as multihash bytes; empty unless `direct` is "ready". Rotates per installation. */
  readonly peerId: Uint8Array;
  /** Of the session that the signal is sealed in: tells the other side when it has become an older store. */
  readonly reached: Reached;
}

const PRESENCE = ["online", "away"] as const;
const DIRECT = ["none", "wanted", "ready"] as const;

export const encodeSignal = (signal: Signal): Uint8Array<ArrayBuffer> =>
  createWriter()
    .u48(signal.counter)
    .u8(PRESENCE.indexOf(signal.presence))
    .u8(signal.probe ? 1 : 0)
    .u8(DIRECT.indexOf(signal.direct))
    .block(signal.peerId)
    .u32(signal.reached.chain)
    .u32(signal.reached.next)
    .done();

export const decodeSignal = (bytes: Uint8Array): Decoded<Signal> =>
  decodeWith(bytes, SIGNAL_BYTES_MAX, (reader) => {
    const counter = reader.u48();
    const presence = PRESENCE[reader.u8()] ?? refuse("unknown-type");
    const probe = reader.u8();
    const direct = DIRECT[reader.u8()] ?? refuse("unknown-type");
    const peerId = reader.block(PEER_ID_BYTES_MAX);
    const reached = { chain: reader.u32(), next: reader.u32() };
    if (probe > 1 || (direct === "ready") !== peerId.length > 0) refuse("malformed");
    return { counter, presence, probe: probe === 1, direct, peerId, reached };
  });
