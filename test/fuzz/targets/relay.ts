/**
 * A connection of the relay's core, given frames in any order: well-formed ones around what it has handed out, and
 * bytes of any kind. Oracles: it throws nothing, lets no promise fail, answers a request at most once, and says only
 * what its clients can read.
 */
import { sendAuthenticator, sha256, signHubAuth } from "@sotto/crypto";
import {
  asEnvelopeId,
  asLinkId,
  asQueueId,
  asSendId,
  decodeFrame,
  encodeFrame,
  type HubFrame,
  type SendId,
  sendTranscript,
} from "@sotto/wire";
import {
  createConnection,
  createExchange,
  createMemoryStore,
  type Exchange,
  type HubConnection,
  type RelayEnv,
  type RelayIdentity,
} from "sotto-relay/core";
import { createRandom } from "../../simulation/random.ts";
import { stubBackend } from "../../simulation/stub-crypto.ts";
import { createTape, type Tape } from "../tape.ts";
import { Finding, type Target } from "../target.ts";

const OPERATIONS_MAX = 64;
const START = 1_700_000_000_000;
const SEND_SECRET = new Uint8Array(32).fill(4);
const FIRST_USE = new Uint8Array(16).fill(5);

interface Client {
  connection: HubConnection;
  readonly seed: Uint8Array;
  nonce: Uint8Array;
  ephemeralKey: Uint8Array;
  isProven: boolean;
  isOver: boolean;
  /** Requests without an answer: how often each was asked. */
  readonly open: Map<number, number>;
  /** What was delivered and can be acknowledged. */
  readonly delivered: { readonly alias: number; readonly sequence: bigint }[];
}

interface World {
  readonly exchange: Exchange;
  readonly env: RelayEnv;
  readonly identity: RelayIdentity;
  readonly clients: Client[];
  readonly sendIds: SendId[];
  advance(ms: number): void;
  request: number;
  accepted: number;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const ICE_SERVERS = {
  ttlSeconds: 600,
  urls: ["stun:a", "turn:b:1?transport=tcp"],
  username: "1:a",
  credential: "b",
};

function createClock(): RelayEnv & { advance(ms: number): void } {
  let now = START;
  let timers: readonly { readonly at: number; readonly run: () => void }[] = [];
  const random = createRandom(31);
  return {
    now: () => now,
    after(delayMs, run) {
      const timer = { at: now + delayMs, run };
      timers = [...timers, timer];
      return () => {
        timers = timers.filter((one) => one !== timer);
      };
    },
    advance(ms) {
      now += ms;
      const due = timers.filter(({ at }) => at <= now);
      timers = timers.filter(({ at }) => at > now);
      for (const { run } of due) run();
    },
    crypto: stubBackend,
    entropy: (length) => random.bytes(length),
    count: () => undefined,
  };
}

function hear(world: World, client: Client, bytes: Uint8Array): void {
  const decoded = decodeFrame(bytes);
  if (!decoded.ok) throw new Finding("the relay says what nobody can read");
  const { request, frame } = decoded.value;
  if (request !== 0) {
    const asked = client.open.get(request) ?? 0;
    if (asked === 0) throw new Finding("an answer to no request");
    client.open.set(request, asked - 1);
  }
  switch (frame.type) {
    case "hello":
      client.nonce = frame.nonce;
      client.ephemeralKey = frame.ephemeralKey;
      break;
    case "welcome":
      client.isProven = true;
      world.accepted++;
      break;
    case "queue":
      world.sendIds.push(frame.sendId);
      break;
    case "deliver":
      client.delivered.push({ alias: frame.alias, sequence: frame.sequence });
      world.accepted++;
      break;
    default:
      break;
  }
}

async function connect(world: World, index: number): Promise<void> {
  const client: Client = {
    seed: new Uint8Array(32).fill(40 + index),
    nonce: new Uint8Array(32),
    ephemeralKey: new Uint8Array(32),
    isProven: false,
    isOver: false,
    open: new Map(),
    delivered: [],
    connection: createConnection(
      {
        exchange: world.exchange,
        env: world.env,
        identity: world.identity,
        circuit: false,
        iceServers: () => ICE_SERVERS,
      },
      {
        send: (bytes) => hear(world, client, bytes),
        room: () => Infinity,
        close: () => {
          client.isOver = true;
        },
      },
    ),
  };
  world.clients[index] = client;
  await client.connection.open();
}

function ask(client: Client, frame: HubFrame, request: number): void {
  if (request !== 0) client.open.set(request, (client.open.get(request) ?? 0) + 1);
  client.connection.receive(encodeFrame(request, frame));
}

async function frameFrom(world: World, client: Client, tape: Tape): Promise<HubFrame> {
  const { identity } = world;
  const alias = tape.below(6) + 1;
  const id = (length: number): Uint8Array => new Uint8Array(length).fill(tape.below(4));
  switch (tape.below(12)) {
    case 0: {
      const readerKey = await stubBackend.signPublic(client.seed);
      const { publicKey } = identity;
      const signature = await signHubAuth(
        client.seed,
        client.nonce,
        publicKey,
        readerKey,
        stubBackend,
      );
      return { type: "auth", readerKey, signature, admission: tape.take(tape.below(3)) };
    }
    case 1:
      return {
        type: "queue-new",
        proof: tape.below(4) === 0 ? tape.take(8) : new Uint8Array(),
        queueId: asQueueId(id(24)),
        ttlHours: tape.u8(),
        firstUseHash: sha256(FIRST_USE),
      };
    case 2:
      return { type: "queue-open", queueIds: [asQueueId(id(24)), asQueueId(id(24))] };
    case 3:
      return { type: "queue-close", alias };
    case 4: {
      const sendId = world.sendIds[tape.below(4)] ?? asSendId(id(24));
      const secret = id(32);
      const sendKey = await stubBackend.dhPublic(secret);
      const shared = await stubBackend.dh(secret, client.ephemeralKey);
      const transcript = sendTranscript(client.nonce, identity.publicKey, sendId, sendKey);
      const authenticator = sendAuthenticator(shared, transcript);
      return { type: "send-open", sendId, sendKey, authenticator, firstUse: FIRST_USE };
    }
    case 5:
      return { type: "append", alias, id: asEnvelopeId(id(16)), blob: new Uint8Array(256) };
    case 6:
      return { type: "signal", alias, blob: new Uint8Array(256) };
    case 7: {
      const known = client.delivered[tape.below(Math.max(client.delivered.length, 1))];
      const sequence = known?.sequence ?? BigInt(tape.u8());
      return { type: "ack", alias: known?.alias ?? alias, sequences: [sequence, sequence] };
    }
    case 8:
      return { type: "bundle-put", alias, linkId: asLinkId(id(24)), blob: new Uint8Array(64) };
    case 9:
      return { type: "bundle-get", linkId: asLinkId(id(24)) };
    case 10:
      return { type: "turn" };
    default:
      return { type: "ping" };
  }
}

async function step(world: World, tape: Tape): Promise<void> {
  const index = tape.below(2);
  const client = world.clients[index];
  if (client === undefined || client.isOver) return connect(world, index);
  const choice = tape.below(16);
  switch (choice) {
    case 0: {
      const bytes = tape.take(tape.u8());
      // Whatever this is, it may ask something.
      const decoded = decodeFrame(bytes);
      const request = decoded.ok ? decoded.value.request : 0;
      client.open.set(request, (client.open.get(request) ?? 0) + 1);
      return client.connection.receive(bytes);
    }
    case 1: {
      const frame = await frameFrom(world, client, tape);
      const bytes = encodeFrame(++world.request, frame);
      client.open.set(world.request, 1);
      const at = tape.below(bytes.length);
      bytes[at] = (bytes[at] ?? 0) ^ tape.u8();
      const decoded = decodeFrame(bytes);
      if (decoded.ok) client.open.set(decoded.value.request, 2);
      return client.connection.receive(bytes);
    }
    case 2:
      return world.advance([1, 1_000, 60_000, 7 * 24 * 3_600_000][tape.below(4)] ?? 0);
    case 3:
      client.isOver = true;
      return client.connection.closed();
    case 4:
      return client.connection.resume();
    default: {
      const request = tape.below(3) === 0 ? 0 : ++world.request;
      ask(client, await frameFrom(world, client, tape), request);
    }
  }
}

export const relayTarget: Target = {
  name: "relay",
  covers: ["relay.createConnection", "wire.decodeFrame"],
  maxBytes: 1_024,
  weight: 2,
  steps: { base: 200_000, perByte: 6_000 },
  async run(input) {
    const tape = createTape(input);
    const clock = createClock();
    const seed = new Uint8Array(32).fill(30);
    const world: World = {
      env: clock,
      exchange: createExchange({
        store: createMemoryStore(),
        clock,
        sendSecret: SEND_SECRET,
        count: () => undefined,
      }),
      identity: { seed, publicKey: await stubBackend.signPublic(seed) },
      clients: [],
      sendIds: [],
      advance: (ms) => clock.advance(ms),
      request: 0,
      accepted: 0,
    };
    const failures: unknown[] = [];
    const note = (error: unknown): void => void failures.push(error);
    process.on("unhandledRejection", note);
    try {
      for (let count = 0; count < OPERATIONS_MAX && !tape.over(); count++) {
        await step(world, tape);
        await turn();
      }
      await turn();
    } finally {
      process.off("unhandledRejection", note);
    }
    if (failures.length > 0) throw failures[0];
    return { accepted: world.accepted > 0 };
  },
  seeds: () => [
    Uint8Array.of(0, 0, 15, 1, 0, 0, 0, 15, 1, 1, 1, 24, 0, 0, 15, 1, 5, 1, 1, 0),
    Uint8Array.of(0, 1, 0, 15, 1, 0, 0, 0, 15, 1, 0, 1, 24, 1, 1, 15, 1, 0, 4, 0, 1),
    Uint8Array.of(0, 0, 0, 5, 11, 0, 0, 0, 1),
  ],
};
