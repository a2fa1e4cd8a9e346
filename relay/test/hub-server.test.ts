/** Sockets of the hub: sizes, slow readers, silent ones, and how many from where. */
import { once } from "node:events";
import { createServer } from "node:http";
import { connect as connectTcp, type Socket } from "node:net";
import { decodeFrame, encodeFrame, FRAME_BYTES_MAX, HUB_PATH } from "@sotto/wire";
import { afterEach, describe, expect, test, vi } from "vitest";
import { WebSocket } from "ws";
import {
  CONNECTIONS_PER_PLACE_MAX,
  createHubServer,
  drainPauseMs,
  createPlaces,
  HEARTBEAT_MS,
  LOOPBACK_SHARES,
  NETWORK_SHARES,
  nodeBackend,
  placeOf,
  type Relay,
  type RelayOptions,
  SCARCE_BUFFER_MAX,
  SOCKET_BUFFER_MAX,
  STALLED_MS,
  startRelay,
} from "sotto-relay";
import { createExchange, createMemoryStore, HOUR_MS, REFUSED_CONNECTS } from "sotto-relay/core";
import { authenticate, connect, connectRaw, newQueueId, random } from "./client.ts";
import { createClock, turn } from "./world.ts";

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

async function start(options: RelayOptions = {}): Promise<Relay> {
  const relay = await startRelay({ port: 0, circuit: false, ...options });
  ends.push(() => relay.close());
  return relay;
}

function openSocket(
  port: number,
  options: ConstructorParameters<typeof WebSocket>[2] = {},
): WebSocket {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${HUB_PATH}`, options);
  socket.on("error", () => undefined);
  ends.push(() => socket.terminate());
  return socket;
}

describe("frames", () => {
  test("one byte above the largest closes the socket, the largest is read", async () => {
    const relay = await start();
    const client = await connect(relay.port);
    client.send({ type: "append", alias: 1, id: random(16) as never, blob: random(65_536) });
    expect(client.waiting("bye")).toBe(0);
    const socket = openSocket(relay.port);
    await once(socket, "message");
    socket.send(new Uint8Array(FRAME_BYTES_MAX + 1));
    const [code] = await once(socket, "close");
    expect(code).toBe(1009);
  });

  test("text is not a frame", async () => {
    const socket = openSocket((await start()).port);
    await once(socket, "message");
    socket.send("hello");
    await once(socket, "close");
  });

  test("other paths have no socket", async () => {
    const relay = await start();
    const socket = new WebSocket(`ws://127.0.0.1:${relay.port}/other`);
    const [error] = await once(socket, "error");
    expect(String(error)).toContain("404");
  });
});

describe("a slow reader", () => {
  test("costs a bounded buffer, and gets everything once it reads again", async () => {
    const relay = await start();
    const socket = openSocket(relay.port);
    const frames: Uint8Array[] = [];
    socket.on("message", (data) => frames.push(new Uint8Array(data as Buffer)));
    await vi.waitFor(() => expect(frames).toHaveLength(1), { timeout: 10_000 });
    const hello = decodeFrame(frames[0]!);
    if (!hello.ok || hello.value.frame.type !== "hello") throw new Error("no HELLO");
    const auth = await authenticate({ hello: hello.value.frame, readerSeed: random(32) });
    socket.send(encodeFrame(0, auth));
    await vi.waitFor(() => expect(frames).toHaveLength(2), { timeout: 10_000 });

    socket.pause();
    const queueIds = Array.from({ length: 256 }, newQueueId);
    const question = encodeFrame(1, { type: "queue-open", queueIds });
    const questions = 6_000;
    for (let index = 0; index < questions; index++) socket.send(question);
    // The relay stops reading: what it did not take stays with the sender.
    let before = -1;
    await vi.waitFor(
      () => {
        const now = socket.bufferedAmount;
        const isStill = now === before && relay.stats().bufferedBytes >= SOCKET_BUFFER_MAX;
        before = now;
        expect(isStill).toBe(true);
      },
      { timeout: 20_000, interval: 200 },
    );
    const { bufferedBytes } = relay.stats();
    expect(bufferedBytes).toBeLessThan(2 * SOCKET_BUFFER_MAX);
    socket.resume();
    await vi.waitFor(() => expect(frames).toHaveLength(2 + questions), { timeout: 20_000 });
    expect(relay.stats().bufferedBytes).toBe(0);
  });
});

describe("sockets that are no clients (yet)", () => {
  const raw = (port: number): Socket => {
    const socket = connectTcp(port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.resume();
    ends.push(() => socket.destroy());
    return socket;
  };
  const HEAD = `GET ${HUB_PATH} HTTP/1.1\r\nHost: localhost\r\n`;

  test.each([
    ["says nothing", ""],
    ["never ends its request", HEAD],
  ])("one that %s is closed in time", async (_, said) => {
    const relay = await start({ authMs: 200 });
    const socket = raw(relay.port);
    if (said !== "") socket.write(said);
    await once(socket, "close");
  });

  test("one that says a byte at a time has no more time for it", async () => {
    const relay = await start({ authMs: 200 });
    const socket = raw(relay.port);
    // A byte that was on its way when the relay let go is answered by a reset.
    socket.on("error", () => undefined);
    const drip = setInterval(() => socket.write("X"), 20);
    ends.push(() => clearInterval(drip));
    socket.write(HEAD);
    await vi.waitFor(() => expect(socket.closed).toBe(true), { timeout: 20_000 });
  });

  test("a client may be silent for longer than a request may take", async () => {
    const relay = await start({ authMs: 200 });
    const client = await connect(relay.port);
    const stranger = raw(relay.port);
    await once(stranger, "close");
    expect(await client.request({ type: "ping" })).toEqual({ type: "pong" });
  });

  test("one too many takes the place of the oldest; clients are not counted", async () => {
    const relay = await start({ maxHttpSockets: 2 });
    const client = await connect(relay.port);
    const sockets = [raw(relay.port), raw(relay.port)];
    for (const socket of sockets) await once(socket, "connect");
    await connect(relay.port);
    await vi.waitFor(() => expect(sockets[0]!.closed).toBe(true), { timeout: 10_000 });
    const third = raw(relay.port);
    await once(third, "connect");
    await connect(relay.port);
    await vi.waitFor(() => expect(sockets[1]!.closed).toBe(true), { timeout: 10_000 });
    expect(third.destroyed).toBe(false);
    expect(await client.request({ type: "ping" })).toEqual({ type: "pong" });
  });
});

describe("with a clock of our own", () => {
  async function startHub(limits?: Parameters<typeof createHubServer>[1]) {
    const clock = createClock();
    const env = {
      now: clock.now,
      after: clock.after,
      crypto: nodeBackend,
      entropy: random,
      count: () => undefined,
    };
    const seed = random(32);
    const exchange = createExchange({
      store: createMemoryStore(),
      clock,
      sendSecret: random(32),
      count: env.count,
    });
    const hub = createHubServer(
      {
        exchange,
        env,
        identity: { seed, publicKey: await nodeBackend.signPublic(seed) },
        circuit: false,
      },
      limits,
    );
    const server = createServer();
    server.on("upgrade", (request, socket, head) => {
      hub.upgrade(request, socket, head);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    ends.push(() => server.close());
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    return { clock, hub, port: address.port };
  }

  test("a socket that answers no ping is closed at the second beat, others live", async () => {
    const { clock, hub, port } = await startHub();
    const silent = openSocket(port, { autoPong: false });
    await once(silent, "message");
    const client = await connectRaw(port);
    client.send(await authenticate(client));
    await client.next("welcome");
    expect(hub.connections).toBe(2);
    const closed = once(silent, "close");
    // Each beat after the answer to the last one has come.
    clock.advance(HEARTBEAT_MS);
    client.send({ type: "ping" }, 0);
    await client.next("pong");
    clock.advance(HEARTBEAT_MS);
    await closed;
    await vi.waitFor(() => expect(hub.connections).toBe(1), { timeout: 10_000 });
    client.close();
  });

  test("so many sockets, and one more when one is gone", async () => {
    const { hub, port } = await startHub({ connections: 2 });
    const [first] = await Promise.all([connect(port), connect(port)]);
    const [error] = await once(openSocket(port), "error");
    expect(String(error)).toContain("429");
    first.close();
    await vi.waitFor(() => expect(hub.connections).toBe(1), { timeout: 10_000 });
    await connectRaw(port);
  });

  test("a newcomer takes the place of the oldest that proved nothing, never a client's", async () => {
    const { hub, port } = await startHub({ connections: 3 });
    const client = await connect(port);
    const [first, second] = [await connectRaw(port), await connectRaw(port)];
    const third = await connectRaw(port);
    await first.closed;
    expect(hub.connections).toBe(3);
    // Whoever proves in time stays.
    for (const stranger of [second, third]) {
      stranger.send(await authenticate(stranger));
      await stranger.next("welcome");
    }
    const [error] = await once(openSocket(port), "error");
    expect(String(error)).toContain("429");
    expect(await client.request({ type: "ping" })).toEqual({ type: "pong" });
  });

  test("while all of them have much waiting, each may have little", async () => {
    const { hub, port } = await startHub({ bufferedBytes: SOCKET_BUFFER_MAX });
    const stall = async (nth: number): Promise<number> => {
      const before = hub.bufferedBytes;
      const client = await connect(port);
      client.pause();
      const queueIds = Array.from({ length: 256 }, newQueueId);
      for (let index = 0; index < 6_000; index++) client.send({ type: "queue-open", queueIds }, 0);
      await vi.waitFor(() => expect(hub.stalled).toBe(nth), { timeout: 20_000, interval: 20 });
      return hub.bufferedBytes - before;
    };
    expect(await stall(1)).toBeGreaterThanOrEqual(SOCKET_BUFFER_MAX);
    const second = await stall(2);
    expect(second).toBeGreaterThanOrEqual(SCARCE_BUFFER_MAX);
    // What one socket read brought is answered to its end.
    expect(second).toBeLessThan(SOCKET_BUFFER_MAX / 2);
  });

  test("a socket that takes nothing for STALLED_MS is closed, whatever the clock says", async () => {
    const { clock, hub, port } = await startHub();
    const client = await connectRaw(port);
    client.send(await authenticate(client));
    await client.next("welcome");
    client.pause();
    const queueIds = Array.from({ length: 256 }, newQueueId);
    for (let index = 0; index < 6_000; index++) client.send({ type: "queue-open", queueIds }, 0);
    await vi.waitFor(() => expect(hub.bufferedBytes).toBeGreaterThan(SOCKET_BUFFER_MAX), {
      timeout: 20_000,
    });
    clock.set(clock.now() + 24 * HOUR_MS);
    clock.advance(STALLED_MS - 1);
    expect(hub.connections).toBe(1);
    await turn();
    expect(hub.connections).toBe(1);
    clock.set(clock.now() - 48 * HOUR_MS);
    clock.advance(1);
    await vi.waitFor(() => expect(hub.connections).toBe(0), { timeout: 10_000 });
  });
});

describe("how many from where", () => {
  test("so many per address behind a trusted proxy, no limit for this machine", async () => {
    const relay = await start({ trustProxy: true });
    const from = (address: string) =>
      openSocket(relay.port, { headers: { "x-forwarded-for": `10.9.9.9, ${address}` } });
    const all = Array.from({ length: CONNECTIONS_PER_PLACE_MAX }, () => from("192.0.2.7"));
    await Promise.all(all.map((socket) => once(socket, "open")));
    const refused = from("192.0.2.7");
    const [error] = await once(refused, "error");
    expect(String(error)).toContain("429");
    await once(from("192.0.2.8"), "open");
    await connect(relay.port);
    // A place is free again once a socket is gone.
    all[0]!.terminate();
    await vi.waitFor(() => expect(relay.stats().connections).toBe(CONNECTIONS_PER_PLACE_MAX + 1), {
      timeout: 10_000,
    });
    await once(from("192.0.2.7"), "open");
  });

  test("what a place used up stays used up when it comes back, under whatever keys", async () => {
    // Few, so that all of them are made before the first would be given back.
    const burst = 16;
    const relay = await start({ trustProxy: true, queueBurst: burst });
    const makeAll = async (address: string, count: number): Promise<readonly string[]> => {
      const client = await connect(relay.port, random(32), { "x-forwarded-for": address });
      const answers = await Promise.all(
        Array.from({ length: count }, () =>
          client.request({
            type: "queue-new",
            proof: new Uint8Array(),
            queueId: newQueueId(),
            ttlHours: 1,
            firstUseHash: random(32),
          }),
        ),
      );
      client.close();
      await client.closed;
      return answers.map((answer) => (answer.type === "error" ? answer.code : answer.type));
    };
    const made = (count: number): string[] => Array.from({ length: count }, () => "queue");
    expect(await makeAll("2001:db8:1:2::1", burst)).toEqual(made(burst));
    expect(await makeAll("2001:db8:1:2:ffff::2", 1)).toEqual(["work"]);
    expect(await makeAll("2001:db8:1:3::1", 1)).toEqual(["queue"]);
    expect(await makeAll("192.0.2.7", burst)).toEqual(made(burst));
    expect(await makeAll("192.0.2.7", 1)).toEqual(["work"]);
    expect(await makeAll("192.0.2.8", 1)).toEqual(["queue"]);
    // This machine is counted too, as so many places.
    for (let share = 0; share < LOOPBACK_SHARES; share++) {
      expect(await makeAll("127.0.0.1", burst)).toEqual(made(burst));
    }
    expect(await makeAll("::1", 1)).toEqual(["work"]);
  });

  test("so many from one address, so many from one network", () => {
    const places = createPlaces(2);
    const enter = (address: string) => places.enter(placeOf(address));
    const leave = enter("2001:db8:1:1::1");
    expect(enter("2001:db8:1:1::2")).toBeTypeOf("function");
    expect(enter("2001:db8:1:1::3")).toBeUndefined();
    for (let index = 1; index < NETWORK_SHARES; index++) {
      const address = `2001:db8:1:${(index + 1).toString(16)}::1`;
      expect([enter(address), enter(address)]).not.toContain(undefined);
    }
    expect(enter("2001:db8:1:ffff::1")).toBeUndefined();
    expect(enter("2001:db8:2:ffff::1")).toBeTypeOf("function");
    leave?.();
    expect(enter("2001:db8:1:ffff::1")).toBeTypeOf("function");
    expect(enter("2001:db8:1:ffff::1")).toBeUndefined();
  });

  test("new connections of a place: a burst, then so many per second", async () => {
    const relay = await start({ trustProxy: true, connectBurst: 3, connectsPerSecond: 1 });
    const from = (address: string) =>
      openSocket(relay.port, { headers: { "x-forwarded-for": address } });
    for (let index = 0; index < 3; index++) await once(from("192.0.2.7"), "open");
    const [error] = await once(from("192.0.2.7"), "error");
    expect(String(error)).toContain("429");
    await once(from("192.0.2.8"), "open");
  });

  test("a proof that fails costs its place as much as REFUSED_CONNECTS connections", async () => {
    const connectBurst = REFUSED_CONNECTS + 3;
    const relay = await start({ trustProxy: true, connectBurst, connectsPerSecond: 1 });
    const headers = { "x-forwarded-for": "192.0.2.7" };
    const liar = await connectRaw(relay.port, random(32), headers);
    liar.send({ ...(await authenticate(liar)), signature: random(64) });
    await liar.closed;
    for (let index = 0; index < 2; index++) await connectRaw(relay.port, random(32), headers);
    const [error] = await once(openSocket(relay.port, { headers }), "error");
    expect(String(error)).toContain("429");
  });

  test.each([
    ["127.0.0.1", "loopback"],
    ["127.8.9.1", "loopback"],
    ["::1", "loopback"],
    ["::ffff:127.0.0.1", "loopback"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["192.0.2.1", "192.0.2.1"],
    ["2001:db8:1:2:3:4:5:6", placeOf("2001:db8:1:2::9").name],
    ["2001:0db8:0001:0002::", placeOf("2001:db8:1:2:ffff::1").name],
  ])("%s is counted as %s", (address, place) => {
    expect(placeOf(address).name).toBe(place);
  });

  test("neighbouring networks are told apart", () => {
    const [one, other] = [placeOf("2001:db8:1:2::1"), placeOf("2001:db8:1:3::1")];
    expect(one.name).not.toBe(other.name);
    expect(one.network?.name).toBe(other.network?.name);
    expect(placeOf("2001:db8::1").name).not.toBe(placeOf("2001:db8:0:1::1").name);
    expect(placeOf("2001:db8:2:2::1").network?.name).not.toBe(one.network?.name);
    expect(placeOf("192.0.2.1").network).toBeUndefined();
  });
});

test("the more clients a draining relay sends away, the longer the time over which they come back", () => {
  expect([drainPauseMs(1, 0), drainPauseMs(1, 1)]).toEqual([2_000, 4_000]);
  expect([drainPauseMs(1_000, 0), drainPauseMs(1_000, 1)]).toEqual([2_000, 4_000]);
  expect([drainPauseMs(10_000, 0), drainPauseMs(10_000, 1)]).toEqual([2_000, 22_000]);
});
