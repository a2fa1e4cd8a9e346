/** What the app's build puts in the place of parts of libp2p does what they do, as far as one relay's node needs it. */
import { generateKeyPair } from "@libp2p/crypto/keys";
import { RELAY_V2_HOP_CODEC } from "@libp2p/circuit-relay-v2";
import type { PeerData, PeerId, Topology } from "@libp2p/interface";
import { peerIdFromCID, peerIdFromPrivateKey, peerIdFromString } from "@libp2p/peer-id";
import { multiaddr } from "@multiformats/multiaddr";
import { beforeAll, describe, expect, it } from "vitest";
import { PEERS_MAX, persistentPeerStore } from "../../app/build/memory-peers.ts";
import { CID } from "../../app/build/no-cid.ts";
import { RelayDiscovery } from "../../app/build/known-relays.ts";
import {
  createScalableCuckooFilter,
  peerFilter,
  PEERS_MAX as SET_MAX,
} from "../../app/build/peer-set.ts";

type PeerIdCid = Parameters<typeof peerIdFromCID>[0];

const newPeer = async (): Promise<PeerId> => peerIdFromPrivateKey(await generateKeyPair("Ed25519"));

let own: PeerId;
let peer: PeerId;
beforeAll(async () => {
  [own, peer] = [await newPeer(), await newPeer()];
});

function open(addressFilter?: () => boolean) {
  const told: string[] = [];
  const store = persistentPeerStore(
    {
      peerId: own,
      events: {
        safeDispatchEvent(name, { detail }) {
          told.push(`${name} ${detail.peer.protocols.join()}`);
          return true;
        },
      },
    },
    addressFilter === undefined ? {} : { addressFilter },
  );
  const shown = async () => {
    const { addresses, protocols, tags, metadata } = await store.get(peer);
    return {
      addresses: addresses.map(
        ({ multiaddr: at, isCertified }) => `${at.toString()} ${isCertified}`,
      ),
      protocols,
      tags: [...tags.keys()],
      metadata: [...metadata.keys()],
    };
  };
  return { store, told, shown };
}

const at = (port: number) => multiaddr(`/ip4/127.0.0.1/tcp/${port}`);

describe("the app's store of peers", () => {
  it("joins what is merged, replaces what is patched, and keeps what is not named", async () => {
    const { store, shown } = open();
    const first: PeerData = { multiaddrs: [at(1)], protocols: ["/a"], tags: { x: { value: 1 } } };
    await store.merge(peer, first);
    await store.merge(peer, {
      multiaddrs: [at(2)],
      addresses: [{ multiaddr: at(1), isCertified: true }],
      protocols: ["/a", "/b"],
      tags: { x: undefined, y: {} },
      metadata: { m: new Uint8Array(1) },
    });
    expect(await shown()).toEqual({
      addresses: ["/ip4/127.0.0.1/tcp/1 true", "/ip4/127.0.0.1/tcp/2 false"],
      protocols: ["/a", "/b"],
      tags: ["y"],
      metadata: ["m"],
    });
    await store.patch(peer, { multiaddrs: [at(3)] });
    expect(await shown()).toMatchObject({
      addresses: ["/ip4/127.0.0.1/tcp/3 false"],
      protocols: ["/a", "/b"],
      tags: ["y"],
    });
    await store.save(peer, { protocols: ["/c"] });
    expect(await shown()).toEqual({ addresses: [], protocols: ["/c"], tags: [], metadata: [] });
  });

  it("tells of what changed, and of nothing that did not", async () => {
    const { store, told } = open();
    await store.merge(peer, { protocols: ["/a"] });
    await store.merge(peer, { protocols: ["/a"] });
    await store.merge(own, { protocols: ["/own"] });
    await store.patch(peer, { protocols: ["/b"] });
    expect(told).toEqual(["peer:update /a", "self:peer:update /own", "peer:update /b"]);
  });

  it("takes no address that the gater refuses, and none with its own name at its end", async () => {
    const refusing = open(() => false);
    await refusing.store.merge(peer, { multiaddrs: [at(1)] });
    expect((await refusing.shown()).addresses).toEqual([]);
    const { store, shown } = open();
    await store.merge(peer, { multiaddrs: [at(1).encapsulate(`/p2p/${peer.toString()}`)] });
    expect((await shown()).addresses).toEqual(["/ip4/127.0.0.1/tcp/1 false"]);
  });

  it("rejects for who is not there, lists the others, and forgets on demand", async () => {
    const { store } = open();
    await expect(store.get(peer)).rejects.toMatchObject({ name: "NotFoundError" });
    await store.merge(own, {});
    await store.merge(peer, {});
    expect((await store.all()).map(({ id }) => id.toString())).toEqual([peer.toString()]);
    expect(await store.all({ filters: [() => false] })).toEqual([]);
    await store.delete(own);
    await store.delete(peer);
    expect([await store.has(own), await store.has(peer)]).toEqual([true, false]);
  });

  it("ends a tag with its time", async () => {
    const { store, shown } = open();
    await store.merge(peer, { tags: { gone: { ttl: -1 }, here: { ttl: 60_000 } } });
    expect((await shown()).tags).toEqual(["here"]);
  });

  it(`has ${PEERS_MAX} peers; one more pushes out the oldest that is not its own`, async () => {
    const { store } = open();
    await store.merge(own, {});
    await store.merge(peer, {});
    for (let count = 2; count < PEERS_MAX; count++) await store.merge(await newPeer(), {});
    expect(await store.has(peer)).toBe(true);
    await store.merge(await newPeer(), {});
    expect([await store.has(own), await store.has(peer)]).toEqual([true, false]);
  });
});

it(`the app's set of peers knows ${SET_MAX}, and begins anew with one more`, async () => {
  const set = peerFilter();
  set.add(peer);
  for (let count = 1; count < SET_MAX; count++) set.add(await newPeer());
  expect(set.has(peer)).toBe(true);
  set.add(own);
  expect([set.has(peer), set.has(own)]).toEqual([false, true]);
  set.remove(own);
  expect(set.has(own)).toBe(false);
});

it("the app's set of names of peers tells them apart by their bytes", () => {
  const set = createScalableCuckooFilter();
  set.add(Uint8Array.of(1, 23));
  expect(set.has(Uint8Array.of(1, 23))).toBe(true);
  expect([set.has(Uint8Array.of(12, 3)), set.has(Uint8Array.of(1))]).toEqual([false, false]);
});

it("the app's search for relays tells of one that connects, of those it knows, and of nobody once it has ended", async () => {
  const { store } = open();
  const topologies = new Map<string, Topology>();
  const search = new RelayDiscovery({
    peerStore: store,
    registrar: {
      register(protocol, topology) {
        topologies.set(protocol, topology);
        return Promise.resolve(protocol);
      },
      unregister: (id) => void topologies.delete(id),
    },
  });
  const told: string[] = [];
  search.addEventListener("relay:discover", (event) => {
    if (event instanceof CustomEvent) told.push(String(event.detail));
  });
  await search.start();
  const [[protocol = "", topology] = []] = topologies;
  expect(protocol).toBe(RELAY_V2_HOP_CODEC);
  void topology?.onConnect?.(peer, undefined as never);
  expect(told).toEqual([peer.toString()]);
  const relay = await newPeer();
  await store.merge(relay, { protocols: [protocol] });
  await store.merge(peer, { protocols: ["/other"] });
  search.startDiscovery();
  await expect.poll(() => told).toEqual([peer.toString(), relay.toString()]);
  search.stop();
  expect(topologies.size).toBe(0);
});

describe("the app's CID", () => {
  it("names the peer whose key it was made from, as libp2p's own", () => {
    const made = CID.createV1(0x72, peer.toMultihash());
    expect(made).toMatchObject({ version: 1, code: peer.toCID().code });
    expect(peerIdFromCID(made as unknown as PeerIdCid).equals(peer)).toBe(true);
  });

  it("is made of no text, as a name of a peer would be", () => {
    expect(peerIdFromString(peer.toString()).equals(peer)).toBe(true);
    const name = peer.toCID().toString();
    expect(peerIdFromString(name).equals(peer)).toBe(true);
    expect(() => CID.parse(name)).toThrow("no CIDs");
  });
});
