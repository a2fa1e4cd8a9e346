import { noise } from "@chainsafe/libp2p-noise";
import { circuitRelayTransport } from "@libp2p/circuit-relay-v2";
import { identify } from "@libp2p/identify";
import { webRTC } from "@libp2p/webrtc";
import { webSockets } from "@libp2p/websockets";
import { yamux } from "@libp2p/yamux";
import { multiaddr } from "@multiformats/multiaddr";
import { nobleBackend } from "@sotto/crypto";
import { type Direct, realTimers, type Timers } from "@sotto/transport";
import {
  createDirect,
  createFrameReader,
  DIRECT_PROTOCOL,
  directAddress,
  type DirectOptions,
  LINKS_MAX,
  MALFORMED_LINKS_MAX,
  packFrame,
  peerIdFromBytes,
  peerIdFromRelayKey,
  peerIdToBytes,
  PREPARE_MS,
  relayAddress,
  SEND_BUFFER_BYTES_MAX,
  SESSIONS_PER_PEER_MAX,
  withRepairedInitChannel,
} from "@sotto/transport/libp2p";
import { asEnvelopeId, bytesToHex, type DirectFrame, hexToBytes } from "@sotto/wire";
import { createLibp2p } from "libp2p";
import { afterEach, expect, it, vi } from "vitest";
import { commands } from "vitest/browser";
import type { RelayPlace } from "./relay-commands.ts";

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

async function relayPlace(options?: { port?: number; data?: string }): Promise<RelayPlace> {
  const place = await commands.startRelay(options);
  cleanups.push(() => commands.killRelay(place.pid));
  return place;
}

interface Peer {
  readonly direct: Direct;
  /** "up" and "down", with the other's peer id. */
  readonly links: string[];
  readonly frames: DirectFrame[];
  readonly roundTrips: number[];
  lost: number;
}

async function peer(place: RelayPlace, options: Partial<DirectOptions> = {}): Promise<Peer> {
  const seen = {
    links: [] as string[],
    frames: [] as DirectFrame[],
    roundTrips: [] as number[],
    lost: 0,
  };
  const direct = await createDirect({
    relayUrl: place.origin,
    relayKey: hexToBytes(place.relayKey)!,
    events: {
      link: (id, up) => seen.links.push(`${up ? "up" : "down"} ${bytesToHex(id)}`),
      frame: (_, frame) => seen.frames.push(frame),
      roundTrip: (_, ms) => seen.roundTrips.push(ms),
      reservationLost: () => seen.lost++,
    },
    ...options,
  });
  cleanups.push(() => direct.close());
  return Object.assign(seen, { direct });
}

/** Two peers that expect each other, both reachable, the one with the lower peer id first. */
async function pair(place: RelayPlace): Promise<[Peer, Peer]> {
  const peers = await Promise.all([peer(place), peer(place)]);
  peers.sort((a, b) => (bytesToHex(a.direct.ownPeerId) < bytesToHex(b.direct.ownPeerId) ? -1 : 1));
  const [lower, higher] = peers;
  lower.direct.expect(higher.direct.ownPeerId);
  higher.direct.expect(lower.direct.ownPeerId);
  await Promise.all(peers.map(({ direct }) => direct.prepare()));
  return peers;
}

function envelope(n: number, size = 256): DirectFrame {
  const blob = new Uint8Array(size);
  new DataView(blob.buffer).setUint32(0, n);
  return { type: "envelope", id: asEnvelopeId(new Uint8Array(16).fill(n)), blob };
}
const numbers = (frames: readonly DirectFrame[]): number[] =>
  frames.map((frame) =>
    frame.type === "envelope" ? new DataView(frame.blob.buffer).getUint32(0) : -1,
  );

const until = (condition: () => boolean, timeout = 15_000): Promise<unknown> =>
  vi.waitUntil(condition, { timeout, interval: 10 });
const isUp = ({ links }: Peer, other: Peer): boolean =>
  links.at(-1) === `up ${bytesToHex(other.direct.ownPeerId)}`;

it("two peers introduced by a relay talk directly, and go on when the relay is gone", async () => {
  const place = await relayPlace();
  const [lower, higher] = await pair(place);
  expect(await lower.direct.dial(higher.direct.ownPeerId)).toBe(true);
  await until(() => isUp(lower, higher) && isUp(higher, lower));
  expect(lower.direct.send(higher.direct.ownPeerId, envelope(1))).toBe(true);
  expect(higher.direct.send(lower.direct.ownPeerId, envelope(2, 65_536))).toBe(true);
  await until(() => lower.frames.length === 1 && higher.frames.length === 1);
  expect([lower.frames, higher.frames]).toEqual([[envelope(2, 65_536)], [envelope(1)]]);
  await until(() => lower.roundTrips.length > 0 && higher.roundTrips.length > 0);

  await commands.killRelay(place.pid);
  await until(() => lower.lost === 1 && higher.lost === 1);
  for (let n = 3; n < 103; n++)
    expect(lower.direct.send(higher.direct.ownPeerId, envelope(n))).toBe(true);
  await until(() => higher.frames.length === 101);
  expect(numbers(higher.frames)).toEqual([1, ...Array.from({ length: 100 }, (_, n) => n + 3)]);
  expect([lower.links.length, higher.links.length]).toEqual([1, 1]);
});

it("either side may dial, and both at once still make one link", async () => {
  const place = await relayPlace();
  const [lower, higher] = await pair(place);
  const dialled = await Promise.all([
    lower.direct.dial(higher.direct.ownPeerId),
    higher.direct.dial(lower.direct.ownPeerId),
    lower.direct.dial(higher.direct.ownPeerId),
  ]);
  expect(dialled).toEqual([true, true, true]);
  await until(() => isUp(lower, higher) && isUp(higher, lower));
  // Long enough for the loser of a double dial to be closed, which must not be seen.
  for (let n = 0; n < 150; n++) {
    expect(lower.direct.send(higher.direct.ownPeerId, envelope(n))).toBe(true);
    expect(higher.direct.send(lower.direct.ownPeerId, envelope(n))).toBe(true);
    await new Promise(requestAnimationFrame);
  }
  await until(() => lower.frames.length === 150 && higher.frames.length === 150);
  expect(numbers(lower.frames)).toEqual(Array.from({ length: 150 }, (_, n) => n));
  expect([lower.links, higher.links].map(({ length }) => length)).toEqual([1, 1]);
});

it("nobody unexpected gets in, and nobody unexpected is dialled", async () => {
  const place = await relayPlace();
  const [lower, higher] = await pair(place);
  const stranger = await peer(place);
  stranger.direct.expect(higher.direct.ownPeerId);
  await stranger.direct.prepare();
  expect(await stranger.direct.dial(higher.direct.ownPeerId)).toBe(false);
  expect(await stranger.direct.dial(lower.direct.ownPeerId)).toBe(false);
  expect(higher.links).toEqual([]);
  // Expected on both sides, it works: the refusal above was no accident.
  higher.direct.expect(stranger.direct.ownPeerId);
  expect(await stranger.direct.dial(higher.direct.ownPeerId)).toBe(true);
});

it("a link ends for both when one side goes, forgets, or closes", async () => {
  const place = await relayPlace();
  const [lower, higher] = await pair(place);
  const ids = [lower.direct.ownPeerId, higher.direct.ownPeerId] as const;
  expect(await higher.direct.dial(ids[0])).toBe(true);
  await until(() => isUp(lower, higher) && isUp(higher, lower));
  lower.direct.forget(ids[1]);
  expect(lower.links.at(-1)).toBe(`down ${bytesToHex(ids[1])}`);
  await until(() => higher.links.at(-1) === `down ${bytesToHex(ids[0])}`);
  expect(higher.direct.send(ids[0], envelope(1))).toBe(false);
  expect(await higher.direct.dial(ids[0])).toBe(false);

  lower.direct.expect(ids[1]);
  expect(await higher.direct.dial(ids[0])).toBe(true);
  await until(() => isUp(lower, higher) && isUp(higher, lower));
  await higher.direct.close();
  await until(() => lower.links.at(-1) === `down ${bytesToHex(ids[1])}`);
  expect(lower.links).toHaveLength(4);
});

it("a reservation comes back after the relay was away, as often as it goes", async () => {
  const data = await commands.makeFolder();
  let place = await relayPlace({ data });
  const [lower, higher] = await pair(place);
  for (let round = 1; round <= 3; round++) {
    await commands.killRelay(place.pid);
    await until(() => lower.lost === round && higher.lost === round);
    const back = Promise.all([lower.direct.prepare(), higher.direct.prepare()]);
    place = await relayPlace({ data, port: Number(new URL(place.origin).port) });
    await back;
  }
  expect(await lower.direct.dial(higher.direct.ownPeerId)).toBe(true);
});

it("a released reservation is gone, open links stay, and it can be had again", async () => {
  const place = await relayPlace();
  const [lower, higher] = await pair(place);
  expect(await lower.direct.dial(higher.direct.ownPeerId)).toBe(true);
  lower.direct.release();
  higher.direct.release();
  expect(lower.direct.send(higher.direct.ownPeerId, envelope(1))).toBe(true);
  await until(() => higher.frames.length === 1);
  higher.direct.forget(lower.direct.ownPeerId);
  await until(() => lower.links.length === 2);
  higher.direct.expect(lower.direct.ownPeerId);
  expect(await lower.direct.dial(higher.direct.ownPeerId)).toBe(false);
  await higher.direct.prepare();
  expect(await lower.direct.dial(higher.direct.ownPeerId)).toBe(true);
  expect([lower.lost, higher.lost]).toEqual([0, 0]);
});

it("a connection to the relay that died silently is noticed and replaced", async () => {
  const place = await relayPlace();
  const proxy = await commands.startProxy(place.origin);
  cleanups.push(() => commands.stopProxy(proxy));
  const [lower, higher] = await pair({ ...place, origin: proxy });
  await commands.muteProxy(proxy);
  // As both do when they hear that the network changed.
  await Promise.all([lower.direct.prepare(), higher.direct.prepare()]);
  expect(await lower.direct.dial(higher.direct.ownPeerId)).toBe(true);
  // A dial alone notices it as well.
  higher.direct.forget(lower.direct.ownPeerId);
  await until(() => lower.links.length === 2);
  higher.direct.expect(lower.direct.ownPeerId);
  await commands.muteProxy(proxy);
  await higher.direct.prepare();
  expect(await lower.direct.dial(higher.direct.ownPeerId)).toBe(true);
});

it("prepare rejects in time when there is no relay", async () => {
  const place = await relayPlace();
  await commands.killRelay(place.pid);
  const timers: Timers = {
    now: () => performance.now() * 20,
    after: (delayMs, run) => realTimers.after(delayMs / 20, run),
  };
  const { direct } = await peer(place, { timers });
  const began = timers.now();
  await expect(direct.prepare()).rejects.toThrow("reservation");
  expect(timers.now() - began).toBeGreaterThanOrEqual(PREPARE_MS);
});

it("takes no more than fits the send buffer, and what it took arrives in order", async () => {
  const place = await relayPlace();
  const [lower, higher] = await pair(place);
  await lower.direct.dial(higher.direct.ownPeerId);
  await until(() => isUp(lower, higher) && isUp(higher, lower));
  let taken = 0;
  while (lower.direct.send(higher.direct.ownPeerId, envelope(taken, 65_536))) taken++;
  expect(taken * 65_536).toBeGreaterThanOrEqual(SEND_BUFFER_BYTES_MAX - 65_536);
  expect(taken * 65_536).toBeLessThanOrEqual(SEND_BUFFER_BYTES_MAX + 2 * 65_536);
  await until(() => higher.frames.length === taken);
  expect(numbers(higher.frames)).toEqual(Array.from({ length: taken }, (_, n) => n));
  expect(lower.direct.send(higher.direct.ownPeerId, envelope(0))).toBe(true);
});

it("expects as many peers as allowed and no more", async () => {
  const place = await relayPlace();
  const [lower, higher] = await pair(place);
  higher.direct.forget(lower.direct.ownPeerId);
  const others = await Promise.all(
    Array.from({ length: LINKS_MAX }, async () => {
      const seed = crypto.getRandomValues(new Uint8Array(32));
      const key = await nobleBackend.signPublic(seed);
      return peerIdToBytes(peerIdFromRelayKey(key));
    }),
  );
  for (const id of others) higher.direct.expect(id);
  higher.direct.expect(lower.direct.ownPeerId);
  expect(await lower.direct.dial(higher.direct.ownPeerId)).toBe(false);
  higher.direct.forget(others[0]!);
  higher.direct.expect(lower.direct.ownPeerId);
  expect(await lower.direct.dial(higher.direct.ownPeerId)).toBe(true);
});

/** A peer that speaks libp2p but not our manners: what it does on a session stream is up to the test. */
async function rawPeer(place: RelayPlace) {
  const relay = relayAddress(place.origin, peerIdFromRelayKey(hexToBytes(place.relayKey)!))!;
  const node = await createLibp2p({
    transports: [
      webSockets(),
      circuitRelayTransport(),
      webRTC({ rtcConfiguration: { iceServers: [] } }),
    ],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify() },
    connectionGater: { denyDialMultiaddr: () => false },
  });
  cleanups.push(async () => node.stop());
  await node.dial(multiaddr(relay));
  const id = peerIdToBytes(node.peerId);
  return {
    id,
    /** A session stream over a new WebRTC connection. */
    async stream(to: Uint8Array) {
      // libp2p notices late that the last connection is dead, and would signal through it.
      for (const old of node.getConnections(peerIdFromBytes(to))) old.abort(new Error("over"));
      const address = multiaddr(directAddress(relay, peerIdFromBytes(to)!));
      const connection = await withRepairedInitChannel(RTCPeerConnection.prototype, () =>
        node.dial(address),
      );
      return connection.newStream(DIRECT_PROTOCOL, { negotiateFully: true });
    },
    /** One more on the connection there is. */
    async again(to: Uint8Array) {
      const direct = node
        .getConnections(peerIdFromBytes(to))
        .find((connection) => connection.limits === undefined);
      return direct!.newStream(DIRECT_PROTOCOL, { negotiateFully: true });
    },
    async circuit(to: Uint8Array) {
      return node.dial(multiaddr(`${relay}/p2p-circuit/p2p/${peerIdFromBytes(to)!.toString()}`));
    },
  };
}
const PING = packFrame({ type: "ping", nonce: new Uint8Array(8) });

it("a peer that breaks the protocol loses its link, and after some links its place", async () => {
  const place = await relayPlace();
  const target = await peer(place);
  const raw = await rawPeer(place);
  target.direct.expect(raw.id);
  await target.direct.prepare();
  for (let round = 0; round < MALFORMED_LINKS_MAX; round++) {
    const stream = await raw.stream(target.direct.ownPeerId);
    stream.send(PING);
    await until(() => target.links.length === 2 * round + 1);
    stream.send(new Uint8Array(4).fill(0xff));
    await until(() => target.links.length === 2 * round + 2);
  }
  await expect(raw.stream(target.direct.ownPeerId)).rejects.toThrow();
  expect(target.links).toHaveLength(2 * MALFORMED_LINKS_MAX);
  expect(target.frames).toEqual([]);
});

it("a peer that falls silent loses its link although libp2p sees nothing wrong", async () => {
  const place = await relayPlace();
  const target = await peer(place);
  const raw = await rawPeer(place);
  target.direct.expect(raw.id);
  await target.direct.prepare();
  const stream = await raw.stream(target.direct.ownPeerId);
  stream.send(PING);
  await until(() => target.links.length === 1);
  expect(target.direct.send(raw.id, envelope(1))).toBe(true);
  await until(() => target.links.length === 2);
  expect(target.direct.send(raw.id, envelope(2))).toBe(false);
});

it("no session runs through the relay's circuit", async () => {
  const place = await relayPlace();
  const target = await peer(place);
  const raw = await rawPeer(place);
  target.direct.expect(raw.id);
  await target.direct.prepare();
  const connection = await raw.circuit(target.direct.ownPeerId);
  const refused = (async () => {
    const stream = await connection.newStream(DIRECT_PROTOCOL, {
      runOnLimitedConnection: true,
      negotiateFully: true,
    });
    stream.send(PING);
    await until(() => stream.status !== "open");
    throw new Error("refused");
  })();
  await expect(refused).rejects.toThrow();
  expect(target.links).toEqual([]);
});

it("asks whether a peer is still there when the network may have changed", async () => {
  let change: (() => void) | undefined;
  const place = await relayPlace();
  const target = await peer(place, {
    // So slow that no question comes by itself.
    timers: { now: () => realTimers.now(), after: (ms, run) => realTimers.after(ms * 1_000, run) },
    hints: {
      isOnline: () => true,
      listen(hint) {
        change = () => hint("back");
        return () => (change = undefined);
      },
    },
  });
  const raw = await rawPeer(place);
  target.direct.expect(raw.id);
  await target.direct.prepare();
  const stream = await raw.stream(target.direct.ownPeerId);
  const heard: DirectFrame["type"][] = [];
  const reader = createFrameReader(({ type }) => heard.push(type));
  stream.addEventListener("message", ({ data }) => void reader.push(data.subarray()));
  stream.send(PING);
  await until(() => target.links.length === 1 && heard.length === 2);
  change?.();
  await until(() => heard.length === 3);
  expect(heard.toSorted()).toEqual(["ping", "ping", "pong"]);
  await target.direct.close();
  expect(change).toBeUndefined();
});

it("a peer may open as many session streams as allowed and no more", async () => {
  const place = await relayPlace();
  const target = await peer(place);
  const raw = await rawPeer(place);
  target.direct.expect(raw.id);
  await target.direct.prepare();
  const streams = [await raw.stream(target.direct.ownPeerId)];
  const opened = { count: 0 };
  const watch = (stream: (typeof streams)[number]): void =>
    stream.addEventListener("message", () => opened.count++, { once: true });
  watch(streams[0]!);
  while (streams.length < SESSIONS_PER_PEER_MAX) {
    const stream = await raw.again(target.direct.ownPeerId);
    watch(stream);
    streams.push(stream);
  }
  // Silent on our side: none becomes a link, all of them count.
  await until(() => opened.count === SESSIONS_PER_PEER_MAX);
  const refused = raw.again(target.direct.ownPeerId).then(async (stream) => {
    await until(() => stream.status !== "open");
    throw new Error("refused");
  });
  await expect(refused).rejects.toThrow();
  streams[0]?.abort(new Error("over"));
  await vi.waitFor(
    async () => {
      const stream = await raw.again(target.direct.ownPeerId);
      stream.send(PING);
      await vi.waitUntil(() => target.links.length === 1, { timeout: 500 });
    },
    { timeout: 10_000 },
  );
});
