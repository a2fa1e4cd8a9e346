/** One connection of the core: proof, aliases, credit, limits, and answers that tell nothing. */
import { sendAuthenticator, sha256 } from "@sotto/crypto";
import {
  ADMISSION_BYTES_MAX,
  encodeFrame,
  type HubFrame,
  QUEUE_OPEN_MAX,
  type SendId,
  asSendId,
  sendTranscript,
} from "@sotto/wire";
import * as fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { nodeBackend } from "sotto-relay";
import {
  AUTH_FRAME_BYTES_MAX,
  AUTH_MS,
  BUNDLE_GET_BURST,
  BUNDLE_GET_INTERVAL_MS,
  BUNDLES_PER_QUEUE_MAX,
  PLACE_BUNDLE_GET_BURST,
  PLACE_TURN_BURST,
  PLACE_TURN_INTERVAL_MS,
  TURN_BURST,
  TURN_INTERVAL_MS,
  SCARCE_CREDIT_BYTES,
  SCARCE_QUEUE_BURST,
  SCARCE_SHARE,
  CONNECT_BURST,
  CONNECT_INTERVAL_MS,
  CREDIT_BYTES,
  CREDIT_MESSAGES,
  createCredit,
  QUEUE_NEW_BURST,
  READ_PAGE,
  REFUSED_CONNECTS,
  REQUESTS_PENDING_MAX,
  APPEND_BYTE_INTERVAL_MS,
  APPEND_BYTES_BURST,
  APPEND_BYTES_PENDING_MAX,
  EPHEMERAL_MS,
  HOUR_MS,
  OFFER_HOURS,
  QUEUE_BYTES_MAX,
  QUEUE_NEW_INTERVAL_MS,
  SENDERS_PER_CONNECTION_MAX,
  TTL_HOURS_MAX,
} from "sotto-relay/core";
import {
  append,
  authenticate,
  type Client,
  newEnvelopeId,
  newLinkId,
  newQueueId,
  pair,
  random,
} from "./client.ts";
import { answered, createWorld, type Socket, turn, type World } from "./world.ts";

const OK: HubFrame = { type: "ok" };
const GONE: HubFrame = { type: "error", code: "gone", retryAfterMs: 0 };

/** One valid frame of every type. */
const FRAMES: { readonly [T in HubFrame["type"]]: Extract<HubFrame, { type: T }> } = {
  hello: {
    type: "hello",
    relayKey: random(32),
    ephemeralKey: random(32),
    nonce: random(32),
    hour: 1,
    ttlHoursMax: 1,
    queueMessagesMax: 1,
    door: "open" as const,
    signature: random(64),
  },
  auth: { type: "auth", readerKey: random(32), signature: random(64), admission: random(0) },
  welcome: {
    type: "welcome",
    creditMessages: 1,
    circuit: true,
    admitted: true,
    pushKey: new Uint8Array(),
  },
  bye: { type: "bye", code: "gone", retryAfterMs: 0 },
  "queue-new": {
    type: "queue-new",
    queueId: newQueueId(),
    ttlHours: 1,
    firstUseHash: random(32),
    proof: random(0),
  },
  work: { type: "work", bits: 20 },
  queue: { type: "queue", alias: 1, sendId: asSendId(random(24)) },
  "queue-open": { type: "queue-open", queueIds: [newQueueId()] },
  queues: { type: "queues", queues: [{ alias: 0, backlog: 0 }] },
  "queue-close": { type: "queue-close", alias: 77 },
  "send-open": {
    type: "send-open",
    sendId: asSendId(random(24)),
    sendKey: random(32),
    authenticator: random(32),
    firstUse: random(16),
  },
  sender: { type: "sender", alias: 1 },
  append: append(77),
  signal: { type: "signal", alias: 77, blob: random(256) },
  deliver: { type: "deliver", alias: 1, sequence: 1n, id: newEnvelopeId(), blob: random(256) },
  signalled: { type: "signalled", alias: 1, blob: random(256) },
  drained: { type: "drained", alias: 1 },
  ack: { type: "ack", alias: 77, sequences: [1n] },
  "bundle-put": { type: "bundle-put", alias: 77, linkId: newLinkId(), blob: random(10) },
  "bundle-get": { type: "bundle-get", linkId: newLinkId() },
  bundle: { type: "bundle", blob: random(10) },
  turn: { type: "turn" },
  "turn-credential": {
    type: "turn-credential",
    ttlSeconds: 1,
    urls: ["stun:chat.example.com"],
    username: "",
    credential: "",
  },
  "push-set": { type: "push-set", endpoint: "https://push.example/1" },
  ping: { type: "ping" },
  pong: { type: "pong" },
  ok: { type: "ok" },
  error: { type: "error", code: "gone", retryAfterMs: 0 },
};

/** What a client that owns nothing hears; undefined: nothing. Frames that are not here end the connection. */
const ANSWERS: Partial<Record<HubFrame["type"], object | undefined>> = {
  "queue-new": { type: "queue" },
  "queue-open": { type: "queues", queues: [{ alias: 0, backlog: 0 }] },
  "queue-close": GONE,
  "send-open": GONE,
  append: GONE,
  signal: GONE,
  ack: GONE,
  "bundle-put": GONE,
  "bundle-get": GONE,
  turn: GONE,
  "push-set": { type: "error", code: "limit" },
  ping: { type: "pong" },
  pong: undefined,
};

describe("every frame in every state", () => {
  test.each(Object.values(FRAMES).filter(({ type }) => type !== "auth"))(
    "$type before the proof ends the connection",
    async (frame) => {
      const { client, isClosed } = await createWorld().socket();
      client.send(frame, 9);
      // The largest valid frame before the proof is an AUTH.
      const code = encodeFrame(9, frame).length > AUTH_FRAME_BYTES_MAX ? "too-large" : "malformed";
      expect(await client.next("bye")).toEqual({ type: "bye", code, retryAfterMs: 0 });
      expect(isClosed()).toBe(true);
    },
  );

  test.each(Object.values(FRAMES))(
    "$type while the proof is being checked ends it",
    async (frame) => {
      const { client, isClosed } = await createWorld().socket();
      client.send(await authenticate(client));
      client.send(frame);
      const code = encodeFrame(0, frame).length > AUTH_FRAME_BYTES_MAX ? "too-large" : "malformed";
      expect(await client.next("bye")).toMatchObject({ code });
      expect(isClosed()).toBe(true);
    },
  );

  test.each(Object.values(FRAMES))("$type after the proof", async (frame) => {
    const { client, isClosed } = await createWorld().connect();
    if (frame.type in ANSWERS) {
      const expected = ANSWERS[frame.type];
      const got = await answered(client.request(frame));
      if (expected === undefined) expect(got).toBeUndefined();
      else expect(got).toMatchObject(expected);
      expect(isClosed()).toBe(false);
    } else {
      client.send(frame, 9);
      expect(await client.next("bye")).toMatchObject({ code: "malformed" });
      expect(isClosed()).toBe(true);
    }
  });

  test("no bytes make it throw, and each request gets one answer or the end", async () => {
    const frames = Object.values(FRAMES).map((frame) => encodeFrame(5, frame));
    const mutated = fc
      .tuple(
        fc.constantFrom(...frames),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }),
      )
      .map(([frame, changes]) => {
        const bytes = frame.slice();
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        return bytes;
      });
    const bytes = fc.oneof(fc.uint8Array({ maxLength: 300 }), mutated);
    await fc.assert(
      fc.asyncProperty(fc.array(bytes, { maxLength: 8 }), fc.boolean(), async (all, proven) => {
        const world = createWorld();
        const socket = proven ? await world.connect() : await world.socket();
        for (const one of all) {
          const before = socket.sent.length;
          socket.connection.receive(one);
          await turn();
          const said = socket.sent.length - before;
          // A new queue is also said to be drained.
          expect(said).toBeLessThanOrEqual(2);
        }
        expect(socket.sent.filter((frame) => frame[0] === 0x04).length).toBeLessThanOrEqual(1);
      }),
      { numRuns: 150 },
    );
  });
});

describe("proof", () => {
  test("a socket that proves nothing lives for AUTH_MS", async () => {
    const world = createWorld();
    const { client, isClosed } = await world.socket();
    world.clock.advance(AUTH_MS - 1);
    expect(isClosed()).toBe(false);
    world.clock.advance(1);
    expect(await client.next("bye")).toMatchObject({ code: "unauthorised" });
    expect(isClosed()).toBe(true);
  });

  test("a proven one lives longer", async () => {
    const world = createWorld();
    const { isClosed } = await world.connect();
    world.clock.advance(10 * AUTH_MS);
    expect(isClosed()).toBe(false);
  });

  test.each(["signature", "readerKey"] as const)("a wrong %s is refused", async (field) => {
    const { client, isClosed } = await createWorld().socket();
    const auth = await authenticate(client);
    client.send({ ...auth, [field]: auth[field].map((byte) => byte ^ 1) });
    expect(await client.next("bye")).toMatchObject({ code: "unauthorised" });
    expect(isClosed()).toBe(true);
  });

  test("a proof for another connection is refused", async () => {
    const world = createWorld();
    const [one, other] = [await world.socket(), await world.socket()];
    other.client.send(await authenticate(one.client));
    expect(await other.client.next("bye")).toMatchObject({ code: "unauthorised" });
  });

  test("one that fails is owed by its place, also when nothing is left there", async () => {
    const world = createWorld();
    const { connects } = world.allowances.of({ name: "place", shares: 1 });
    connects.spend(world.clock.now(), CONNECT_BURST);
    for (let times = 0; times < 2; times++) {
      const { client } = await world.socket(random(32), "place");
      client.send({ ...(await authenticate(client)), signature: random(64) });
      await client.next("bye");
    }
    expect(connects.waitMs(world.clock.now())).toBe((REFUSED_CONNECTS + 1) * CONNECT_INTERVAL_MS);
  });

  test("connections of a minute share the relay's ephemeral key, and no proof of a send key", async () => {
    const world = createWorld();
    const firstUse = random(16);
    const { sendId } = await (await world.connect()).client.makeQueue(firstUse);
    const [one, other] = [await world.connect(), await world.connect()];
    expect(other.client.hello.ephemeralKey).toEqual(one.client.hello.ephemeralKey);
    expect(other.client.hello.nonce).not.toEqual(one.client.hello.nonce);
    const { hello } = one.client;
    const sendSecret = random(32);
    const sendKey = await nodeBackend.dhPublic(sendSecret);
    const shared = await nodeBackend.dh(sendSecret, hello.ephemeralKey);
    const transcript = sendTranscript(hello.nonce, hello.relayKey, sendId, sendKey);
    const authenticator = sendAuthenticator(shared, transcript);
    const asked: HubFrame = { type: "send-open", sendId, sendKey, authenticator, firstUse };
    expect(await other.client.request(asked)).toEqual(GONE);
    expect((await one.client.request(asked)).type).toBe("sender");
    world.clock.advance(EPHEMERAL_MS - 1);
    const late = (await world.connect()).client.hello.ephemeralKey;
    expect(late).toEqual(one.client.hello.ephemeralKey);
    world.clock.advance(1);
    const next = (await world.connect()).client.hello.ephemeralKey;
    expect(next).not.toEqual(late);
  });

  test("a proof of admission has a largest size, and an open relay asks for none", async () => {
    const world = createWorld();
    const largest = await world.socket();
    const admission = random(ADMISSION_BYTES_MAX);
    largest.client.send({ ...(await authenticate(largest.client)), admission });
    expect(await largest.client.next("welcome")).toMatchObject({ admitted: true });

    const large = await world.socket();
    const longer = {
      ...(await authenticate(large.client)),
      admission: random(admission.length + 1),
    };
    large.client.send(longer);
    expect(await large.client.next("bye")).toMatchObject({ code: "too-large" });
  });
});

describe("missing and forbidden look the same", () => {
  test("to who wants to write", async () => {
    const world = createWorld();
    const [alice, bob, mallory] = await Promise.all([1, 2, 3].map(() => world.connect()));
    const { sendId, sendSecret } = await pair(alice!.client, bob!.client);
    const fresh = await alice!.client.makeQueue(random(16));
    const open = (id: SendId, secret: Uint8Array, firstUse?: Uint8Array) =>
      mallory!.client.openSender(id, secret, firstUse);
    // The sender itself, on another connection and without the first-use secret, is let in.
    expect(await open(sendId, sendSecret)).toMatchObject({ type: "sender" });
    const answers = [
      await open(asSendId(random(24)), random(32), random(16)),
      await open(sendId, random(32), random(16)),
      await open(fresh.sendId, random(32), random(16)),
      await mallory!.client.request({ ...FRAMES["send-open"], sendId: fresh.sendId }),
      await mallory!.client.request({ ...FRAMES["send-open"], sendKey: new Uint8Array(32) }),
    ];
    for (const answer of answers) expect(answer).toEqual(GONE);
  });

  test("to who wants to read", async () => {
    const world = createWorld();
    const [alice, mallory] = [await world.connect(), await world.connect()];
    const queueId = newQueueId();
    await alice.client.makeQueue(random(16), queueId);
    const asked = { type: "queue-open", queueIds: [queueId, newQueueId()] } as const;
    expect(await mallory.client.request(asked)).toEqual({
      type: "queues",
      queues: [
        { alias: 0, backlog: 0 },
        { alias: 0, backlog: 0 },
      ],
    });
    const stolen = { ...FRAMES["queue-new"], queueId };
    expect(await mallory.client.request(stolen)).toEqual(GONE);
  });

  test("to who wants an offer, wherever it went", async () => {
    const world = createWorld();
    const [alice, bob] = [await world.connect(), await world.connect()];
    const { alias } = await alice.client.makeQueue(random(16));
    const linkId = newLinkId();
    const put = { type: "bundle-put", alias, linkId, blob: random(10) } as const;
    await alice.client.request(put);
    const get = { type: "bundle-get", linkId } as const;
    expect(await bob.client.request(get)).toMatchObject({ type: "bundle" });
    world.clock.advance((OFFER_HOURS + 1) * HOUR_MS);
    const expired = bob.sent.length;
    expect(await bob.client.request(get)).toEqual(GONE);
    expect(await bob.client.request(FRAMES["bundle-get"])).toEqual(GONE);
    // Byte for byte, but for the request's number.
    const [one, other] = bob.sent.slice(expired).map((frame) => [frame[0], ...frame.slice(5)]);
    expect(other).toEqual(one);
  });
});

describe("credit", () => {
  async function withBacklog(count: number, sizeBytes: number) {
    const world = createWorld();
    const [alice, bob] = [await world.connect(), await world.connect()];
    const { alias, queueId } = await pair(alice.client, bob.client);
    alice.client.close();
    for (let index = 0; index < count; index++) {
      expect(await bob.client.request(append(alias, random(sizeBytes)))).toEqual(OK);
    }
    const again = await world.connect(alice.client.readerSeed);
    const opened = await again.client.request({ type: "queue-open", queueIds: [queueId] });
    await turn();
    return { world, bob, alias, owner: again, opened };
  }

  test("so many messages, then one more for each acknowledged", async () => {
    const { owner, opened } = await withBacklog(CREDIT_MESSAGES + 1, 256);
    const [queue] = opened.type === "queues" ? opened.queues : [];
    expect(queue?.backlog).toBe(CREDIT_MESSAGES + 1);
    expect(owner.client.waiting("deliver")).toBe(CREDIT_MESSAGES);
    expect(owner.client.waiting("drained")).toBe(0);
    const first = await owner.client.next("deliver");
    owner.client.ack(first.alias, first.sequence);
    await turn();
    expect(owner.client.waiting("deliver")).toBe(CREDIT_MESSAGES);
    expect(owner.client.waiting("drained")).toBe(1);
  });

  test("so many bytes", async () => {
    const fitting = CREDIT_BYTES / 65_536;
    const { owner } = await withBacklog(fitting + 1, 65_536);
    expect(owner.client.waiting("deliver")).toBe(fitting);
  });

  describe("of all connections together", () => {
    const UNACKNOWLEDGED = 4 * SCARCE_CREDIT_BYTES;
    /** Its mail waits; each message is half of what one may have while credit is scarce. */
    async function withMail(world: World, count: number): Promise<() => Promise<Socket>> {
      const [owner, sender] = [await world.connect(), await world.connect()];
      const { alias, queueId } = await pair(owner.client, sender.client);
      owner.client.close();
      for (let index = 0; index < count; index++) {
        const message = append(alias, random(SCARCE_CREDIT_BYTES / 2));
        expect(await sender.client.request(message)).toEqual(OK);
      }
      return async () => {
        const again = await world.connect(owner.client.readerSeed);
        await again.client.request({ type: "queue-open", queueIds: [queueId] });
        await turn();
        return again;
      };
    }

    test("so many bytes; beyond them each has a little, until others acknowledge or go", async () => {
      const world = createWorld({ unacknowledgedMax: UNACKNOWLEDGED });
      const comeFirst = await withMail(world, 8);
      const comeNext = await withMail(world, 5);
      const first = await comeFirst();
      // All that there is.
      expect(first.client.waiting("deliver")).toBe(8);
      const next = await comeNext();
      expect(next.client.waiting("deliver")).toBe(2);
      const acknowledge = async ({ client }: Socket): Promise<void> => {
        const { alias, sequence } = await client.next("deliver");
        client.ack(alias, sequence);
        await turn();
      };
      await acknowledge(next);
      expect(next.client.waiting("deliver")).toBe(2);
      first.client.close();
      await acknowledge(next);
      expect(next.client.waiting("deliver")).toBe(3);
      expect(next.client.waiting("drained")).toBe(1);
      next.client.close();
      // Nothing was counted twice, or not at all.
      expect((await comeFirst()).client.waiting("deliver")).toBe(8);
    });

    test("at the limit there is a little, one byte below it a whole credit", () => {
      const credit = createCredit(UNACKNOWLEDGED);
      credit.add(UNACKNOWLEDGED - 1);
      expect(credit.perConnection()).toBe(CREDIT_BYTES);
      credit.add(1);
      expect(credit.perConnection()).toBe(SCARCE_CREDIT_BYTES);
      credit.add(-1);
      expect(credit.perConnection()).toBe(CREDIT_BYTES);
    });
  });

  test("a new message without credit is written at once and delivered in its turn", async () => {
    const { world, owner, bob, alias } = await withBacklog(CREDIT_MESSAGES, 256);
    const written = world.counters.get("written") ?? 0;
    const message = append(alias);
    expect(await bob.client.request(message)).toEqual(OK);
    expect(world.counters.get("written")).toBe(written + 1);
    for (let index = 0; index < CREDIT_MESSAGES; index++) {
      const { alias: own, sequence } = await owner.client.next("deliver");
      owner.client.ack(own, sequence);
    }
    expect(await owner.client.next("deliver")).toMatchObject({ id: message.id });
  });

  test("what was not delivered here cannot be acknowledged, and twice is once", async () => {
    const { world, owner } = await withBacklog(CREDIT_MESSAGES + 2, 256);
    const { alias, sequence } = await owner.client.next("deliver");
    const ack = {
      type: "ack",
      alias,
      sequences: [sequence, sequence, 10_000n, 2n ** 60n],
    } as const;
    expect(await owner.client.request(ack)).toEqual(OK);
    expect(
      await owner.client.request({ ...ack, sequences: [BigInt(CREDIT_MESSAGES + 2)] }),
    ).toEqual(OK);
    await turn();
    expect(world.counters.get("acknowledged")).toBe(1);
    expect(owner.client.waiting("deliver")).toBe(CREDIT_MESSAGES);
  });

  test("mail that comes while older mail is read from the disk waits for its turn", async () => {
    const world = createWorld();
    const [alice, bob] = [await world.connect(), await world.connect()];
    const { alias, queueId } = await pair(alice.client, bob.client);
    alice.client.close();
    const messages = Array.from({ length: READ_PAGE + 1 }, () => append(alias));
    for (const message of messages) await bob.client.request(message);
    world.reads = "closed";
    const again = await world.connect(alice.client.readerSeed);
    await again.client.request({ type: "queue-open", queueIds: [queueId] });
    const late = append(alias);
    expect(await bob.client.request(late)).toEqual(OK);
    expect(again.client.waiting("deliver")).toBe(0);
    world.reads = "open";
    await world.release();
    for (const { id } of [...messages, late]) {
      expect(await again.client.next("deliver")).toMatchObject({ id });
    }
    const order = again.sent
      .map((frame) => frame[0])
      .filter((type) => type === 0x0e || type === 0x10);
    expect(order.indexOf(0x10)).toBeGreaterThanOrEqual(messages.length);
  });

  test("nothing is delivered into a socket that does not drain, and all of it afterwards", async () => {
    const world = createWorld();
    const [alice, bob] = [await world.connect(), await world.connect()];
    const { alias } = await pair(alice.client, bob.client);
    alice.congested = true;
    expect(await bob.client.request(append(alias))).toEqual(OK);
    const away = { type: "error", code: "away", retryAfterMs: 0 };
    expect(await bob.client.request({ type: "signal", alias, blob: random(256) })).toEqual(away);
    expect(alice.client.waiting("deliver")).toBe(0);
    alice.congested = false;
    alice.connection.resume();
    await alice.client.next("deliver");
  });
});

describe("a socket with little room", () => {
  test("gets no more from the disk than it takes, and the rest when it takes more", async () => {
    const world = createWorld();
    const [alice, bob] = [await world.connect(), await world.connect()];
    const { alias, queueId } = await pair(alice.client, bob.client);
    alice.client.close();
    const count = 12;
    for (let index = 0; index < count; index++) {
      expect(await bob.client.request(append(alias, random(32_768)))).toEqual(OK);
    }
    const again = await world.connect(alice.client.readerSeed);
    again.room = 100_000;
    await again.client.request({ type: "queue-open", queueIds: [queueId] });
    // Three fit, and one always goes while there is any room.
    await vi.waitFor(() => expect(again.client.waiting("deliver")).toBe(4), { timeout: 10_000 });
    await turn();
    expect(again.client.waiting("deliver")).toBe(4);
    again.room = Infinity;
    again.connection.resume();
    await vi.waitFor(() => expect(again.client.waiting("deliver")).toBe(count), {
      timeout: 10_000,
    });
  });
});

describe("signals", () => {
  test("reach a connected owner, and nobody else ever", async () => {
    const world = createWorld();
    const [alice, bob] = [await world.connect(), await world.connect()];
    const { alias, ownAlias, queueId } = await pair(alice.client, bob.client);
    const signal = { type: "signal", alias, blob: random(16_384) } as const;
    expect(await bob.client.request(signal)).toEqual(OK);
    const { blob } = signal;
    expect(await alice.client.next("signalled")).toEqual({
      type: "signalled",
      alias: ownAlias,
      blob,
    });
    alice.client.close();
    expect(await bob.client.request(signal)).toMatchObject({ type: "error", code: "away" });
    expect(world.disk.messages.size).toBe(0);
    const again = await world.connect(alice.client.readerSeed);
    await again.client.request({ type: "queue-open", queueIds: [queueId] });
    await again.client.next("drained");
    expect(again.client.waiting("signalled")).toBe(0);
  });
});

describe("limits", () => {
  test("offers per queue, and no other queue's", async () => {
    const world = createWorld();
    const [alice, mallory] = [await world.connect(), await world.connect()];
    const firstUse = random(16);
    const { alias, sendId } = await alice.client.makeQueue(firstUse);
    const other = await mallory.client.makeQueue(random(16));
    const puts = Array.from({ length: BUNDLES_PER_QUEUE_MAX + 1 }, () => ({
      type: "bundle-put" as const,
      alias,
      linkId: newLinkId(),
      blob: random(10),
    }));
    for (const put of puts.slice(0, -1)) expect(await alice.client.request(put)).toEqual(OK);
    expect(await alice.client.request(puts.at(-1)!)).toMatchObject({ code: "limit" });
    // Again under the same link replaces.
    const blob = random(20);
    expect(await alice.client.request({ ...puts[0]!, blob })).toEqual(OK);
    const get = { type: "bundle-get", linkId: puts[0]!.linkId } as const;
    expect(await mallory.client.request(get)).toEqual({ type: "bundle", blob });
    expect(await mallory.client.request({ ...puts[0]!, alias: other.alias })).toEqual(GONE);
    await mallory.client.openSender(sendId, random(32), firstUse);
    expect(await alice.client.request(puts[0]!)).toEqual(GONE);
  });

  test("fetching offers: a burst per place, whatever the connections", async () => {
    const world = createWorld();
    const get = { type: "bundle-get", linkId: newLinkId() } as const;
    const fetchAll = async (place: string): Promise<readonly string[]> => {
      const { client } = await world.connect(random(32), place);
      const all = Array.from({ length: BUNDLE_GET_BURST }, () => client.request(get));
      return (await Promise.all(all)).map((answer) => (answer.type === "error" ? answer.code : ""));
    };
    const codes: string[] = [];
    while (codes.length < PLACE_BUNDLE_GET_BURST) codes.push(...(await fetchAll("a")));
    expect(new Set(codes)).toEqual(new Set(["gone"]));
    expect(new Set(await fetchAll("a"))).toEqual(new Set(["later"]));
    expect((await fetchAll("b"))[0]).toBe("gone");
  });

  test("signals cost their place what mail does", async () => {
    const world = createWorld();
    const [alice, bob] = [await world.connect(), await world.connect(random(32), "a")];
    const { alias } = await pair(alice.client, bob.client);
    const signal = { type: "signal", alias, blob: random(16_384) } as const;
    for (let sent = 0; sent < APPEND_BYTES_BURST; sent += signal.blob.length) {
      bob.client.send(signal, 1);
    }
    expect(await bob.client.request(signal)).toMatchObject({ type: "error", code: "later" });
    expect(await bob.client.request(append(alias))).toMatchObject({ type: "error", code: "later" });
    expect(alice.client.waiting("signalled")).toBe(APPEND_BYTES_BURST / signal.blob.length);
  });

  test("making queues while they are scarce: few per place, and those that had many have none", async () => {
    const world = createWorld({ queuesMax: 100 });
    const make = async (place: string): Promise<HubFrame> => {
      const { client } = await world.connect(random(32), place);
      return client.request({
        type: "queue-new",
        proof: new Uint8Array(),
        queueId: newQueueId(),
        ttlHours: 1,
        firstUseHash: random(32),
      });
    };
    const scarceFrom = SCARCE_SHARE * 100;
    for (let made = 0; made < scarceFrom; made++) expect((await make("a")).type).toBe("queue");
    const refused = await make("a");
    expect(refused).toMatchObject({ type: "error", code: "limit" });
    expect(refused.type === "error" && refused.retryAfterMs).toBe(QUEUE_NEW_INTERVAL_MS);
    for (const place of ["b", "c"]) {
      for (let made = 0; made < SCARCE_QUEUE_BURST; made++) {
        expect((await make(place)).type).toBe("queue");
      }
      expect(await make(place)).toMatchObject({ type: "error", code: "limit" });
    }
  });

  describe("TURN credentials", () => {
    const servers = {
      ttlSeconds: 600,
      urls: ["turn:chat.example.com"],
      username: "1:a",
      credential: "b",
    };
    const iceServers = () => servers;
    const turn = { type: "turn" } as const;
    const isGiven = async (client: Client): Promise<boolean> =>
      (await client.request(turn)).type === "turn-credential";

    test("a burst per connection, then one per interval", async () => {
      const world = createWorld({ iceServers });
      const { client } = await world.connect();
      expect(await client.request(turn)).toEqual({ type: "turn-credential", ...servers });
      for (let given = 1; given < TURN_BURST; given++) expect(await isGiven(client)).toBe(true);
      expect(await client.request(turn)).toEqual({
        type: "error",
        code: "later",
        retryAfterMs: TURN_INTERVAL_MS,
      });
      world.clock.advance(TURN_INTERVAL_MS);
      expect(await isGiven(client)).toBe(true);
      expect(await isGiven(client)).toBe(false);
      expect(world.counters.get("credential")).toBe(TURN_BURST + 1);
    });

    test("a burst per place, whatever the connections and keys, then one per interval", async () => {
      const world = createWorld({ iceServers });
      for (let given = 0; given < PLACE_TURN_BURST; given++) {
        const { client } = await world.connect(random(32), "here");
        expect(await isGiven(client)).toBe(true);
        client.close();
      }
      const { client } = await world.connect(random(32), "here");
      expect(await isGiven(client)).toBe(false);
      expect(await isGiven((await world.connect(random(32), "there")).client)).toBe(true);
      world.clock.advance(PLACE_TURN_INTERVAL_MS);
      expect(await isGiven(client)).toBe(true);
      expect(await isGiven(client)).toBe(false);
    });
  });

  test("fetching offers: a burst, then one per interval", async () => {
    const world = createWorld();
    const { client } = await world.connect();
    const get = FRAMES["bundle-get"];
    for (let index = 0; index < BUNDLE_GET_BURST; index++) {
      expect(await client.request(get)).toEqual(GONE);
    }
    expect(await client.request(get)).toEqual({
      type: "error",
      code: "later",
      retryAfterMs: BUNDLE_GET_INTERVAL_MS,
    });
    world.clock.advance(BUNDLE_GET_INTERVAL_MS);
    expect(await client.request(get)).toEqual(GONE);
    expect(await client.request(get)).toMatchObject({ code: "later" });
  });

  test("making queues: a burst per place, whatever the connections and keys, then one per interval", async () => {
    const world = createWorld();
    for (let made = 0; made < QUEUE_NEW_BURST; made += QUEUE_NEW_BURST / 4) {
      const { client } = await world.connect(random(32), "here");
      for (let index = 0; index < QUEUE_NEW_BURST / 4; index++) await client.makeQueue(random(16));
      client.close();
    }
    const { client } = await world.connect(random(32), "here");
    const one = { ...FRAMES["queue-new"], queueId: newQueueId() };
    const limit = { type: "error", code: "limit", retryAfterMs: QUEUE_NEW_INTERVAL_MS };
    expect(await client.request(one)).toEqual(limit);
    const elsewhere = await world.connect(random(32), "there");
    await elsewhere.client.makeQueue(random(16));
    world.clock.advance(QUEUE_NEW_INTERVAL_MS);
    expect(await client.request(one)).toMatchObject({ type: "queue" });
    expect(await client.request({ ...one, queueId: newQueueId() })).toEqual(limit);
  });

  test("appending: so many bytes per place, then as many as time gives", async () => {
    const world = createWorld();
    const alice = await world.connect();
    const largest = 65_536;
    const targets: { readonly sendId: SendId; readonly sendSecret: Uint8Array }[] = [];
    for (let bytes = 0; bytes <= APPEND_BYTES_BURST; bytes += QUEUE_BYTES_MAX) {
      targets.push(await pair(alice.client, (await world.connect()).client));
    }
    alice.client.close();
    const connectTo = async (index: number, place: string) => {
      const { client } = await world.connect(random(32), place);
      const { sendId, sendSecret } = targets[index]!;
      const opened = await client.openSender(sendId, sendSecret);
      if (opened.type !== "sender") throw new Error("not a sender");
      return { client, alias: opened.alias };
    };
    for (let index = 0; index < targets.length - 1; index++) {
      const { client, alias } = await connectTo(index, "here");
      for (let bytes = 0; bytes < QUEUE_BYTES_MAX; bytes += largest) {
        expect(await client.request(append(alias, new Uint8Array(largest)))).toEqual(OK);
      }
      client.close();
    }
    const last = await connectTo(targets.length - 1, "here");
    const waitMs = largest * APPEND_BYTE_INTERVAL_MS;
    const later = { type: "error", code: "later", retryAfterMs: waitMs };
    const message = append(last.alias, new Uint8Array(largest));
    expect(await last.client.request(message)).toEqual(later);
    const other = await connectTo(targets.length - 1, "there");
    expect(await other.client.request(append(other.alias))).toEqual(OK);
    world.clock.advance(waitMs);
    expect(await last.client.request(message)).toEqual(OK);
    expect(await last.client.request(append(last.alias))).toMatchObject({ code: "later" });
  });

  test("the life of messages", async () => {
    const { client } = await createWorld().connect();
    await client.makeQueue(random(16), newQueueId(), TTL_HOURS_MAX);
    const longer = { ...FRAMES["queue-new"], ttlHours: TTL_HOURS_MAX + 1 };
    expect(await client.request(longer)).toMatchObject({ type: "error", code: "limit" });
  });

  test("queues opened at once", async () => {
    const { client } = await createWorld().connect();
    const queueIds = Array.from({ length: QUEUE_OPEN_MAX }, newQueueId);
    const answer = await client.request({ type: "queue-open", queueIds });
    expect(answer.type === "queues" && answer.queues.length).toBe(QUEUE_OPEN_MAX);
    client.send({ type: "queue-open", queueIds: [...queueIds, newQueueId()] });
    expect(await client.next("bye")).toMatchObject({ code: "too-large" });
  });

  test("appends without an answer, by number and by bytes", async () => {
    const world = createWorld();
    const bob = await world.connect();
    const aliases: number[] = [];
    for (let index = 0; index < 5; index++) {
      const alice = await world.connect();
      aliases.push((await pair(alice.client, bob.client)).alias);
      alice.client.close();
    }
    world.store = "closed";
    const later = { type: "error", code: "later" };
    const many = Array.from({ length: REQUESTS_PENDING_MAX + 1 }, (_, index) =>
      bob.client.request(append(aliases[Math.floor(index / 250)]!)),
    );
    expect(await answered(many.at(-2)!)).toBeUndefined();
    expect(await answered(many.at(-1)!)).toMatchObject(later);
    await world.release();
    for (const answer of many.slice(0, -1)) expect(await answer).toEqual(OK);

    const carol = await world.connect();
    const dave = await world.connect();
    world.store = "open";
    const targets: number[] = [];
    for (let index = 0; index < 2; index++) {
      targets.push((await pair(carol.client, dave.client)).alias);
    }
    carol.client.close();
    world.store = "closed";
    const fitting = APPEND_BYTES_PENDING_MAX / 65_536;
    const large = Array.from({ length: fitting + 1 }, (_, index) =>
      dave.client.request(append(targets[index % 2]!, random(65_536))),
    );
    expect(await answered(large.at(-2)!)).toBeUndefined();
    expect(await answered(large.at(-1)!)).toMatchObject(later);
  });

  test("senders per connection", async () => {
    const world = createWorld();
    const { client } = await world.connect();
    const firstUse = random(16);
    const sendSecret = random(32);
    const open = async () => {
      const made = await world.exchange.create(random(32), {
        queueId: newQueueId(),
        ttlHours: 1,
        firstUseHash: sha256(firstUse),
      });
      if (!made.ok) throw new Error(made.reason);
      return client.openSender(made.sendId, sendSecret, firstUse);
    };
    for (let index = 0; index < SENDERS_PER_CONNECTION_MAX; index++) {
      expect((await open()).type).toBe("sender");
    }
    expect(await open()).toMatchObject({ type: "error", code: "limit" });
  });
});
