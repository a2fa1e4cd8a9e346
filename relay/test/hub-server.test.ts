/** Sockets of the hub: sizes, slow readers, silent ones, and how many from where. */
import { once } from "node:events";
import { createServer } from "node:http";
import { decodeFrame, encodeFrame, FRAME_BYTES_MAX, HUB_PATH } from "@sotto/wire";
import { afterEach, describe, expect, test, vi } from "vitest";
import { WebSocket } from "ws";
import {
  CONNECTIONS_PER_ADDRESS_MAX,
  createHubServer,
  HEARTBEAT_MS,
  LOOPBACK_SHARES,
  nodeBackend,
  placeOf,
  type Relay,
  type RelayOptions,
  SOCKET_BUFFER_MAX,
  STALLED_MS,
  startRelay,
} from "sotto-relay";
import { createExchange, createMemoryStore, QUEUE_NEW_BURST } from "sotto-relay/core";
import { authenticate, connect, connectRaw, newQueueId, random } from "./client.ts";
import { createClock } from "./world.ts";

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
    await vi.waitFor(() => expect(frames).toHaveLength(1));
    const hello = decodeFrame(frames[0]!);
    if (!hello.ok || hello.value.frame.type !== "hello") throw new Error("no HELLO");
    const auth = await authenticate({ hello: hello.value.frame, readerSeed: random(32) });
    socket.send(encodeFrame(0, auth));
    await vi.waitFor(() => expect(frames).toHaveLength(2));

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

describe("with a clock of our own", () => {
  async function startHub(connectionsMax?: number) {
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
      connectionsMax,
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
    await vi.waitFor(() => expect(hub.connections).toBe(1));
    client.close();
  });

  test("so many sockets, and one more when one is gone", async () => {
    const { hub, port } = await startHub(2);
    const [first] = await Promise.all([connectRaw(port), connectRaw(port)]);
    const [error] = await once(openSocket(port), "error");
    expect(String(error)).toContain("429");
    first.close();
    await vi.waitFor(() => expect(hub.connections).toBe(1));
    await connectRaw(port);
  });

  test("a socket that takes nothing for STALLED_MS is closed", async () => {
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
    clock.advance(STALLED_MS - HEARTBEAT_MS);
    expect(hub.connections).toBe(1);
    clock.advance(2 * HEARTBEAT_MS);
    await vi.waitFor(() => expect(hub.connections).toBe(0));
  });
});

describe("how many from where", () => {
  test("so many per address behind a trusted proxy, no limit for this machine", async () => {
    const relay = await start({ trustProxy: true });
    const from = (address: string) =>
      openSocket(relay.port, { headers: { "x-forwarded-for": `10.9.9.9, ${address}` } });
    const all = Array.from({ length: CONNECTIONS_PER_ADDRESS_MAX }, () => from("192.0.2.7"));
    await Promise.all(all.map((socket) => once(socket, "open")));
    const refused = from("192.0.2.7");
    const [error] = await once(refused, "error");
    expect(String(error)).toContain("429");
    await once(from("192.0.2.8"), "open");
    await connect(relay.port);
    // A place is free again once a socket is gone.
    all[0]!.terminate();
    await vi.waitFor(() => expect(relay.stats().connections).toBe(CONNECTIONS_PER_ADDRESS_MAX + 1));
    await once(from("192.0.2.7"), "open");
  });

  test("what a place used up stays used up when it comes back, under whatever keys", async () => {
    const relay = await start({ trustProxy: true });
    const makeAll = async (address: string, count: number): Promise<readonly string[]> => {
      const client = await connect(relay.port, random(32), { "x-forwarded-for": address });
      const answers = await Promise.all(
        Array.from({ length: count }, () =>
          client.request({
            type: "queue-new",
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
    expect(await makeAll("2001:db8:1:2::1", QUEUE_NEW_BURST)).toEqual(made(QUEUE_NEW_BURST));
    expect(await makeAll("2001:db8:1:2:ffff::2", 1)).toEqual(["limit"]);
    expect(await makeAll("2001:db8:1:3::1", 1)).toEqual(["queue"]);
    expect(await makeAll("192.0.2.7", QUEUE_NEW_BURST)).toEqual(made(QUEUE_NEW_BURST));
    expect(await makeAll("192.0.2.7", 1)).toEqual(["limit"]);
    expect(await makeAll("192.0.2.8", 1)).toEqual(["queue"]);
    // This machine is counted too, as so many places.
    for (let share = 0; share < LOOPBACK_SHARES; share++) {
      expect(await makeAll("127.0.0.1", QUEUE_NEW_BURST)).toEqual(made(QUEUE_NEW_BURST));
    }
    expect(await makeAll("::1", 1)).toEqual(["limit"]);
  });

  test.each([
    ["127.0.0.1", "loopback"],
    ["127.8.9.1", "loopback"],
    ["::1", "loopback"],
    ["::ffff:127.0.0.1", "loopback"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["192.0.2.1", "192.0.2.1"],
    ["2001:db8:1:2:3:4:5:6", placeOf("2001:db8:1:2::9")],
    ["2001:0db8:0001:0002::", placeOf("2001:db8:1:2:ffff::1")],
  ])("%s is counted as %s", (address, place) => {
    expect(placeOf(address)).toBe(place);
  });

  test("neighbouring networks are told apart", () => {
    expect(placeOf("2001:db8:1:2::1")).not.toBe(placeOf("2001:db8:1:3::1"));
    expect(placeOf("2001:db8::1")).not.toBe(placeOf("2001:db8:0:1::1"));
  });
});
