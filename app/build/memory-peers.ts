/**
 * In place of libp2p's store of peers, which encodes each into a database, behind locks, and decodes it for every look: the
 * app's node knows one relay and a few contacts, for as long as the page is open.
 * Owns: what libp2p asks of a peer store, in one map. Nothing of a peer is written anywhere.
 */
import {
  type Address,
  NotFoundError,
  type Peer,
  type PeerData,
  type PeerId,
  type PeerUpdate,
  type Tag,
  type TagOptions,
} from "@libp2p/interface";

interface Events {
  safeDispatchEvent(name: "self:peer:update" | "peer:update", of: { detail: PeerUpdate }): boolean;
}

interface Components {
  readonly peerId: PeerId;
  readonly events: Events;
}

interface Init {
  readonly addressFilter?: (
    peer: PeerId,
    address: Address["multiaddr"],
  ) => boolean | Promise<boolean>;
}

/** Peers beyond that push out the one heard of longest ago; never the own one. */
export const PEERS_MAX = 256;

export function persistentPeerStore({ peerId: own, events }: Components, init: Init = {}) {
  const peers = new Map<string, Peer>();

  async function find(id: PeerId): Promise<Peer> {
    const peer = peers.get(id.toString());
    if (peer === undefined) throw new NotFoundError();
    return copyOf(peer);
  }

  async function write(id: PeerId, data: PeerData, before: Peer | undefined): Promise<Peer> {
    const addresses = new Map<string, Address>();
    const given = [
      ...(before?.addresses ?? []),
      ...(data.multiaddrs ?? []).map((multiaddr) => ({ multiaddr, isCertified: false })),
      ...(data.addresses ?? []),
    ];
    for (const { multiaddr: whole, isCertified } of given) {
      if ((await init.addressFilter?.(id, whole)) === false) continue;
      // Whose address it is need not stand at its end.
      const end = `/p2p/${id.toString()}`;
      const multiaddr = whole.toString().endsWith(end) ? whole.decapsulate(end) : whole;
      const name = multiaddr.toString();
      const known = addresses.get(name)?.isCertified === true;
      addresses.set(name, { multiaddr, isCertified: known || isCertified });
    }
    const peer: Peer = {
      id: id.publicKey === undefined ? (before?.id ?? id) : id,
      addresses: [...addresses.values()],
      protocols: [...new Set([...(before?.protocols ?? []), ...(data.protocols ?? [])])],
      metadata: joined(before?.metadata, data.metadata, (value) => value),
      tags: joined(before?.tags, data.tags, tagOf),
      ...envelopeOf(data, before),
    };
    const name = id.toString();
    const previous = peers.get(name);
    peers.delete(name);
    peers.set(name, peer);
    for (const oldest of peers.keys()) {
      if (peers.size <= PEERS_MAX) break;
      if (oldest !== own.toString()) peers.delete(oldest);
    }
    if (previous === undefined || told(previous) !== told(peer)) {
      const detail: PeerUpdate = { peer, ...(previous === undefined ? {} : { previous }) };
      events.safeDispatchEvent(own.equals(id) ? "self:peer:update" : "peer:update", { detail });
    }
    return copyOf(peer);
  }

  const others = (): readonly Peer[] =>
    [...peers.values()].filter(({ id }) => !own.equals(id)).map(copyOf);

  return {
    forEach: async (see: (peer: Peer) => void): Promise<void> => others().forEach(see),
    all: async ({ filters = [], orders = [], offset = 0, limit }: Query = {}): Promise<Peer[]> =>
      orders
        .reduce(
          (sorted, order) => sorted.toSorted(order),
          others().filter((peer) => filters.every((is) => is(peer))),
        )
        .slice(offset, limit === undefined ? undefined : offset + limit),
    get: find,
    getInfo: async (id: PeerId) => {
      const { addresses } = await find(id);
      return { id, multiaddrs: addresses.map(({ multiaddr }) => multiaddr) };
    },
    has: async (id: PeerId): Promise<boolean> => peers.has(id.toString()),
    delete: async (id: PeerId): Promise<void> => {
      if (!own.equals(id)) peers.delete(id.toString());
    },
    save: (id: PeerId, data: PeerData) => write(id, data, undefined),
    patch: (id: PeerId, data: PeerData) => write(id, data, kept(peers.get(id.toString()), data)),
    merge: (id: PeerId, data: PeerData) => write(id, data, peers.get(id.toString())),
    /** Nothing here is told of peers by others. */
    consumePeerRecord: async (): Promise<boolean> => false,
  };
}

interface Query {
  readonly filters?: readonly ((peer: Peer) => boolean)[];
  readonly orders?: readonly ((one: Peer, other: Peer) => -1 | 0 | 1)[];
  readonly offset?: number;
  readonly limit?: number;
}

/** What stays of a peer when these fields are replaced. */
function kept(peer: Peer | undefined, data: PeerData): Peer | undefined {
  if (peer === undefined) return undefined;
  return {
    ...peer,
    ...(data.multiaddrs === undefined && data.addresses === undefined ? {} : { addresses: [] }),
    ...(data.protocols === undefined ? {} : { protocols: [] }),
    ...(data.metadata === undefined ? {} : { metadata: new Map() }),
    ...(data.tags === undefined ? {} : { tags: new Map() }),
  };
}

/** An undefined value takes a name away. */
function joined<Given, Kept>(
  before: ReadonlyMap<string, Kept> | undefined,
  given: Map<string, Given | undefined> | Record<string, Given | undefined> | undefined,
  keep: (value: Given) => Kept,
): Map<string, Kept> {
  const all = new Map(before);
  const entries = given instanceof Map ? given.entries() : Object.entries(given ?? {});
  for (const [name, value] of entries) {
    if (value === undefined) all.delete(name);
    else all.set(name, keep(value));
  }
  return all;
}

interface Expiring extends Tag {
  readonly expiry?: number;
}

const tagOf = ({ value = 0, ttl }: TagOptions): Expiring => ({
  value,
  ...(ttl === undefined ? {} : { expiry: Date.now() + ttl }),
});

const isOver = (tag: Expiring): boolean => tag.expiry !== undefined && tag.expiry <= Date.now();

const copyOf = (peer: Peer): Peer => ({
  ...peer,
  addresses: [...peer.addresses],
  protocols: [...peer.protocols],
  metadata: new Map(peer.metadata),
  tags: new Map([...peer.tags].filter(([, tag]) => !isOver(tag))),
});

const envelopeOf = (
  { peerRecordEnvelope }: PeerData,
  before: Peer | undefined,
): Pick<Peer, "peerRecordEnvelope"> => {
  const envelope = peerRecordEnvelope ?? before?.peerRecordEnvelope;
  return envelope === undefined ? {} : { peerRecordEnvelope: envelope };
};

/** Two that are told alike are the same to whoever listens. */
const told = ({ addresses, protocols, metadata, tags }: Peer): string =>
  [
    ...addresses.map(({ multiaddr, isCertified }) => `${multiaddr.toString()} ${isCertified}`),
    ...protocols,
    ...[...metadata].map(([name, value]) => `${name} ${value.join()}`),
    ...[...tags].map(([name, { value }]) => `${name} ${value}`),
  ]
    .toSorted((one, other) => (one < other ? -1 : 1))
    .join("\n");
