/** Circuits between two real libp2p nodes that know nothing but the relay's address. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { noise } from "@chainsafe/libp2p-noise";
import { circuitRelayTransport } from "@libp2p/circuit-relay-v2";
import { generateKeyPairFromSeed } from "@libp2p/crypto/keys";
import { identify } from "@libp2p/identify";
import type { Libp2p, Stream } from "@libp2p/interface";
import { webSockets } from "@libp2p/websockets";
import { yamux } from "@libp2p/yamux";
import { multiaddr } from "@multiformats/multiaddr";
import { createLibp2p } from "libp2p";
import { afterEach, expect, test, vi } from "vitest";
import { announcedAddress, type Relay, type RelayOptions, startRelay } from "sotto-relay";
import { connect } from "./client.ts";

const ECHO = "/test/echo/1";
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

async function start(options: RelayOptions = {}): Promise<Relay> {
  const relay = await startRelay({ port: 0, ...options });
  ends.push(() => relay.close());
  return relay;
}

const addressOf = (relay: Relay): string =>
  `/ip4/127.0.0.1/tcp/${relay.port}/ws/p2p/${relay.peerId}`;

async function startNode(listen: readonly string[] = [], seed?: Uint8Array): Promise<Libp2p> {
  const node = await createLibp2p({
    ...(seed === undefined ? {} : { privateKey: await generateKeyPairFromSeed("Ed25519", seed) }),
    addresses: { listen: [...listen] },
    transports: [webSockets(), circuitRelayTransport()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify() },
    connectionGater: { denyDialMultiaddr: () => false },
    connectionMonitor: { enabled: false },
  });
  ends.push(() => node.stop());
  return node;
}

async function startEcho(relay: Relay, seed?: Uint8Array): Promise<Libp2p> {
  const node = await startNode([`${addressOf(relay)}/p2p-circuit`], seed);
  await node.handle(
    ECHO,
    (stream) => {
      stream.addEventListener("message", (event) => {
        stream.send(event.data);
      });
    },
    { runOnLimitedConnection: true },
  );
  await vi.waitFor(() => expect(relay.stats().reservations).toBe(1), 10_000);
  return node;
}

const dialEcho = (from: Libp2p, relay: Relay, to: Libp2p): Promise<Stream> =>
  from.dialProtocol(
    multiaddr(`${addressOf(relay)}/p2p-circuit/p2p/${to.peerId.toString()}`),
    ECHO,
    { runOnLimitedConnection: true },
  );

function echoed(stream: Stream, bytes: number): Promise<number> {
  return new Promise((resolve) => {
    let got = 0;
    stream.addEventListener("message", (event) => {
      got += event.data.byteLength;
      if (got >= bytes) resolve(got);
    });
    stream.addEventListener("close", () => resolve(got));
  });
}

test("two clients talk through the relay, whose peer id is its hub identity", async () => {
  const relay = await start();
  const hub = await connect(relay.port);
  expect(hub.hello.relayKey).toEqual(relay.relayKey);
  const [alice, bob] = [await startEcho(relay), await startNode()];
  const stream = await dialEcho(bob, relay, alice);
  const answer = echoed(stream, 5);
  stream.send(new TextEncoder().encode("hello"));
  expect(await answer).toBe(5);
});

test("the peer id follows from the key that clients pin", async () => {
  const data = mkdtempSync(join(tmpdir(), "sotto-circuit-"));
  ends.push(() => rmSync(data, { recursive: true }));
  const relay = await start({ data });
  const key = await generateKeyPairFromSeed("Ed25519", readFileSync(join(data, "identity.key")));
  expect(key.publicKey.raw).toEqual(relay.relayKey);
  const twin = await createLibp2p({ privateKey: key, start: false });
  expect(relay.peerId).toBe(twin.peerId.toString());
});

test("nobody can be called without a reservation, the relay itself included", async () => {
  const relay = await start();
  const [alice, bob] = [await startNode(), await startNode()];
  await alice.dial(multiaddr(addressOf(relay)));
  await expect(dialEcho(bob, relay, alice)).rejects.toThrow();
  const self = multiaddr(`${addressOf(relay)}/p2p-circuit/p2p/${relay.peerId}`);
  const reached = await bob.dial(self).then(
    (connection) => connection.remoteAddr.toString(),
    () => "nobody",
  );
  expect(reached).not.toContain("p2p-circuit");
});

test("a reservation more than the limit is refused", async () => {
  const relay = await start({ circuitLimits: { reservations: 1 } });
  await startEcho(relay);
  await expect(startNode([`${addressOf(relay)}/p2p-circuit`])).rejects.toThrow();
  expect(relay.stats().reservations).toBe(1);
});

test("a client that leaves gives its place back", async () => {
  const relay = await start({ circuitLimits: { reservations: 1 } });
  const alice = await startEcho(relay);
  await alice.stop();
  await vi.waitFor(() => expect(relay.stats().reservations).toBe(0), 10_000);
  await startEcho(relay);
});

test("a client that comes again from another network is reached there", async () => {
  const relay = await start();
  const seed = new Uint8Array(32).fill(7);
  const before = await startEcho(relay, seed);
  const after = await startEcho(relay, seed);
  const alice = await startNode();
  const stream = await dialEcho(alice, relay, after);
  stream.send(new Uint8Array(64));
  expect(await echoed(stream, 64)).toBe(64);
  expect(after.getConnections(alice.peerId)).toHaveLength(1);
  expect(before.getConnections(alice.peerId)).toHaveLength(0);
});

test("so many connections and no more", async () => {
  const relay = await start({ circuitLimits: { connections: 1 } });
  const [alice, bob] = [await startNode(), await startNode()];
  await alice.dial(multiaddr(addressOf(relay)));
  await expect(bob.dial(multiaddr(addressOf(relay)))).rejects.toThrow();
  await alice.stop();
  await vi.waitFor(() => bob.dial(multiaddr(addressOf(relay))), 10_000);
});

test("a circuit ends when it carried more than its share", async () => {
  const relay = await start({ circuitLimits: { bytes: 65_536 } });
  const [alice, bob] = [await startEcho(relay), await startNode()];
  const stream = await dialEcho(bob, relay, alice);
  const got = echoed(stream, 1_000_000);
  for (let sent = 0; sent < 1_000_000 && stream.status === "open"; sent += 16_384) {
    if (!stream.send(new Uint8Array(16_384))) break;
  }
  expect(await got).toBeLessThan(65_536);
});

test("a circuit ends when its time is over", async () => {
  const relay = await start({ circuitLimits: { durationMs: 300 } });
  const [alice, bob] = [await startEcho(relay), await startNode()];
  // Nobody says anything and nobody closes it; on a slow machine it may end before it is set up.
  const got = await dialEcho(bob, relay, alice).then(
    (stream) => echoed(stream, 1),
    () => 0,
  );
  expect(got).toBe(0);
});

test.each([
  ["https://chat.example.com", "/dns4/chat.example.com/tcp/443/tls/ws"],
  ["http://localhost:8787", "/dns4/localhost/tcp/8787/ws"],
  ["http://127.0.0.1:80", "/ip4/127.0.0.1/tcp/80/ws"],
  ["http://[::1]:9000", "/ip6/::1/tcp/9000/ws"],
])("%s is announced as %s", (url, address) => {
  expect(announcedAddress(url)).toBe(address);
});
