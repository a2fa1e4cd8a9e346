/**
 * Names and places in libp2p's terms. Every Sotto peer, relays too, is named by an Ed25519 key.
 * Owns: peer ids from and to bytes, addresses from a relay's origin.
 */
import { publicKeyFromRaw } from "@libp2p/crypto/keys";
import { peerIdFromPublicKey } from "@libp2p/peer-id";
import { equalBytes, isRelayUrl } from "@sotto/wire";
import type { Libp2p } from "libp2p";

export type PeerId = Libp2p["peerId"];

/** Identity multihash of 36 bytes: protobuf { type 1: Ed25519, data 2: 32 bytes }. */
const ED25519_PREFIX = Uint8Array.from([0x00, 0x24, 0x08, 0x01, 0x12, 0x20]);
export const PEER_ID_BYTES = ED25519_PREFIX.length + 32;

/** Undefined for anything but the peer id of an Ed25519 key. */
export function peerIdFromBytes(bytes: Uint8Array): PeerId | undefined {
  if (bytes.length !== PEER_ID_BYTES) return undefined;
  if (!equalBytes(bytes.subarray(0, ED25519_PREFIX.length), ED25519_PREFIX)) return undefined;
  try {
    return peerIdFromPublicKey(publicKeyFromRaw(bytes.slice(ED25519_PREFIX.length)));
  } catch {
    return undefined;
  }
}

export const peerIdToBytes = (peerId: PeerId): Uint8Array => peerId.toMultihash().bytes.slice();

export const peerIdFromRelayKey = (relayKey: Uint8Array): PeerId =>
  peerIdFromPublicKey(publicKeyFromRaw(relayKey));

/**
 * "https://chat.example.com:8443" to "/dns/chat.example.com/tcp/8443/tls/ws/p2p/…". Undefined for what is no relay's origin,
 * or at a host or port that this platform does not take.
 */
export function relayAddress(relayUrl: string, relay: PeerId): string | undefined {
  const url = isRelayUrl(relayUrl) ? URL.parse(relayUrl) : null;
  if (url === null) return undefined;
  const { protocol, hostname, port } = url;
  const secure = protocol === "https:";
  const host = hostname.startsWith("[")
    ? `/ip6/${hostname.slice(1, -1)}`
    : `/${/^(\d+\.){3}\d+$/.test(hostname) ? "ip4" : "dns"}/${hostname}`;
  const number = port === "" ? (secure ? "443" : "80") : port;
  return `${host}/tcp/${number}${secure ? "/tls/ws" : "/ws"}/p2p/${relay.toString()}`;
}

/** The address by which `peer` is asked, through the relay, for a direct connection. */
export const directAddress = (relay: string, peer: PeerId): string =>
  `${relay}/p2p-circuit/webrtc/p2p/${peer.toString()}`;
