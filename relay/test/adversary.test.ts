/**
 * Mallory against a real relay with a real disk: everything she may know but the secrets, and every frame there is.
 * After each case the same is asked: she has read nothing, Alice still has exactly her mail, and Bob still reaches her.
 * Spec: SPEC.md §1, §2.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { connect as connectSocket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sendAuthenticator, sha256, signHubAuth } from "@sotto/crypto";
import {
  asLinkId,
  asQueueId,
  asSendId,
  decodeFrame,
  encodeFrame,
  HUB_PATH,
  type HubFrame,
  type LinkId,
  type QueueId,
  type SendId,
  sendTranscript,
} from "@sotto/wire";
import { nodeBackend, type Relay, startRelay } from "sotto-relay";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { WebSocket } from "ws";
import {
  append,
  authenticate,
  type Client,
  connect,
  createClient,
  createInbox,
  type FrameOf,
  newLinkId,
  newQueueId,
  random,
} from "./client.ts";

let data: string;
let relay: Relay;
beforeAll(async () => {
  data = mkdtempSync(join(tmpdir(), "sotto-adversary-"));
  relay = await startRelay({ port: 0, data, circuit: false });
});
afterAll(async () => {
  await relay.close();
  rmSync(data, { recursive: true });
});

const open: Client[] = [];
afterEach(() => {
  for (const client of open.splice(0)) client.close();
});

/** A client of which every byte in both directions is kept. */
interface Tapped extends Client {
  readonly sent: Uint8Array[];
  readonly received: Uint8Array[];
  raw(bytes: Uint8Array): void;
  /** The whole answer but for its request number. */
  answerBytes(frame: HubFrame): Promise<string>;
}

async function tap(proven = true, readerSeed: Uint8Array = random(32)): Promise<Tapped> {
  const socket = new WebSocket(`ws://127.0.0.1:${relay.port}${HUB_PATH}`);
  const inbox = createInbox();
  const [sent, received]: Uint8Array[][] = [[], []];
  const closed = new Promise<void>((resolve) => {
    socket.on("close", () => {
      inbox.end();
      resolve();
    });
  });
  socket.on("error", () => undefined);
  socket.on("message", (message) => {
    const bytes = new Uint8Array(message as Buffer);
    received!.push(bytes);
    const decoded = decodeFrame(bytes);
    if (decoded.ok) inbox.receive(decoded.value);
  });
  const raw = (bytes: Uint8Array): void => {
    sent!.push(bytes);
    socket.send(bytes);
  };
  const hello = await inbox.next("hello");
  const wire = { send: raw, close: () => socket.terminate() };
  const client = createClient(inbox, wire, hello, readerSeed, closed);
  open.push(client);
  if (proven) {
    client.send(await authenticate(client));
    await client.next("welcome");
  }
  return {
    ...client,
    sent: sent!,
    received: received!,
    raw,
    async answerBytes(frame) {
      const before = received!.length;
      await client.request(frame);
      // Type and body; the four bytes between are the number of the request.
      const bytes = received![before]!;
      return Buffer.concat([bytes.subarray(0, 1), bytes.subarray(5)]).toString("hex");
    },
  };
}

interface Scene {
  readonly alice: Tapped;
  readonly bob: Tapped;
  readonly mallory: Tapped;
  readonly queueId: QueueId;
  readonly sendId: SendId;
  readonly firstUse: Uint8Array;
  readonly bobSecret: Uint8Array;
  /** Bob's alias for the queue on his connection, Alice's on hers. */
  readonly bobAlias: number;
  readonly aliceAlias: number;
  /** Alice's second queue: an offer waits in it for its first sender. */
  readonly offer: {
    readonly queueId: QueueId;
    readonly sendId: SendId;
    readonly alias: number;
    readonly linkId: LinkId;
    readonly firstUse: Uint8Array;
    readonly blob: Uint8Array;
  };
  /** What Alice has not acknowledged, in order. */
  readonly mail: FrameOf<"append">[];
}

async function stage(): Promise<Scene> {
  const [alice, bob, mallory] = await Promise.all([tap(), tap(), tap()]);
  const [firstUse, bobSecret, queueId] = [random(16), random(32), newQueueId()];
  const { sendId, alias: aliceAlias } = await alice.makeQueue(firstUse, queueId);
  const opened = await bob.openSender(sendId, bobSecret, firstUse);
  if (opened.type !== "sender") throw new Error("Bob is no sender");
  const mail = Array.from({ length: 3 }, () => append(opened.alias, random(512)));
  for (const answer of await Promise.all(mail.map((message) => bob.request(message)))) {
    expect(answer).toEqual({ type: "ok" });
  }
  const [offerId, linkId, secret, blob] = [newQueueId(), newLinkId(), random(16), random(300)];
  const queue = await alice.makeQueue(secret, offerId);
  const put = { type: "bundle-put", alias: queue.alias, linkId, blob } as const;
  expect(await alice.request(put)).toEqual({ type: "ok" });
  const { alias } = queue;
  return {
    alice,
    bob,
    mallory,
    queueId,
    sendId,
    firstUse,
    bobSecret,
    bobAlias: opened.alias,
    aliceAlias,
    offer: { queueId: offerId, sendId: queue.sendId, alias, linkId, firstUse: secret, blob },
    mail,
  };
}

/** What must hold after whatever Mallory did. */
async function verify(scene: Scene): Promise<void> {
  const { alice, mallory, mail, offer } = scene;
  const heard = Buffer.concat(mallory.received);
  for (const { blob } of mail) expect(heard.includes(Buffer.from(blob))).toBe(false);
  for (const type of ["deliver", "signalled"] as const) expect(mallory.waiting(type)).toBe(0);
  const sender = await tap();
  const opened = await sender.openSender(scene.sendId, scene.bobSecret);
  if (opened.type !== "sender") throw new Error("Bob was locked out");
  const last = append(opened.alias, random(512));
  alice.close();
  await alice.closed;
  expect(await sender.request(last)).toEqual({ type: "ok" });
  const again = await tap(true, alice.readerSeed);
  await again.request({ type: "queue-open", queueIds: [scene.queueId] });
  for (const { id, blob } of [...mail, last]) {
    expect(await again.next("deliver")).toMatchObject({ id, blob });
  }
  await again.next("drained");
  expect(again.waiting("deliver")).toBe(0);
  expect(await again.request({ type: "bundle-get", linkId: offer.linkId })).toEqual({
    type: "bundle",
    blob: offer.blob,
  });
}

const GONE = { type: "error", code: "gone", retryAfterMs: 0 } as const;
const NOT_YOURS = { type: "queues", queues: [{ alias: 0, backlog: 0 }] } as const;
const openQueue = (queueId: Uint8Array): HubFrame => ({
  type: "queue-open",
  queueIds: [asQueueId(new Uint8Array(queueId))],
});
const newQueue = (queueId: QueueId): HubFrame => ({
  type: "queue-new",
  proof: new Uint8Array(),
  queueId,
  ttlHours: 24,
  firstUseHash: sha256(random(16)),
});

/** A SEND_OPEN with any part of it of one's own choice. */
async function sendOpen(
  client: Client,
  sendId: SendId,
  sendSecret: Uint8Array,
  parts: { firstUse?: Uint8Array; authenticator?: Uint8Array; sendKey?: Uint8Array } = {},
): Promise<FrameOf<"send-open">> {
  const sendKey = parts.sendKey ?? (await nodeBackend.dhPublic(sendSecret));
  const shared = await nodeBackend.dh(sendSecret, client.hello.ephemeralKey);
  const transcript = sendTranscript(client.hello.nonce, client.hello.relayKey, sendId, sendKey);
  return {
    type: "send-open",
    sendId,
    sendKey,
    authenticator: parts.authenticator ?? sendAuthenticator(shared, transcript),
    firstUse: parts.firstUse ?? new Uint8Array(16),
  };
}

const flipped = (bytes: Uint8Array, bit: number): Uint8Array<ArrayBuffer> => {
  const copy = new Uint8Array(bytes);
  copy[bit >> 3]! ^= 1 << (bit & 7);
  return copy;
};

/** Aliases somebody might try: those that others have, the neighbours, the ends. */
const ALIASES = [1, 2, 3, 4, 255, 256, 65_535, 65_536, 0x7fff_ffff, 0xffff_ffff];
/** Numbers that deliveries may have, and those that none ever has. */
const SEQUENCES = [0n, 1n, 2n, 3n, 4n, 255n, 2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];

type Case = (scene: Scene) => Promise<void>;
const expectBye = async (client: Client, code: string): Promise<void> => {
  expect(await client.next("bye")).toMatchObject({ code });
  await client.closed;
};

const READING: Record<string, Case> = {
  "opens a queue whose id she knows": async ({ mallory, queueId }) => {
    expect(await mallory.request(openQueue(queueId))).toEqual(NOT_YOURS);
  },
  "opens a queue that has only an offer": async ({ mallory, offer }) => {
    expect(await mallory.request(openQueue(offer.queueId))).toEqual(NOT_YOURS);
  },
  "makes a queue with the id of Alice's": async ({ mallory, queueId }) => {
    expect(await mallory.request(newQueue(queueId))).toEqual(GONE);
  },
  "takes the address for the queue": async ({ mallory, sendId }) => {
    expect(await mallory.request(openQueue(sendId))).toEqual(NOT_YOURS);
  },
  "takes the link for the queue": async ({ mallory, offer }) => {
    expect(await mallory.request(openQueue(offer.linkId))).toEqual(NOT_YOURS);
  },
  "tries every id one bit away": async ({ mallory, queueId }) => {
    const queueIds = Array.from({ length: 192 }, (_, bit) => asQueueId(flipped(queueId, bit)));
    const answer = await mallory.request({ type: "queue-open", queueIds });
    expect(answer).toEqual({
      type: "queues",
      queues: queueIds.map(() => ({ alias: 0, backlog: 0 })),
    });
  },
  "hides Alice's id among others, twice": async ({ mallory, queueId }) => {
    const queueIds = [newQueueId(), queueId, newQueueId(), queueId];
    const answer = await mallory.request({ type: "queue-open", queueIds });
    expect(answer).toEqual({
      type: "queues",
      queues: queueIds.map(() => ({ alias: 0, backlog: 0 })),
    });
  },
  "says Alice's proof again on her own connection": async ({ alice }) => {
    const thief = await tap(false);
    thief.raw(alice.sent[0]!);
    await expectBye(thief, "unauthorised");
    expect(thief.received).toHaveLength(2);
  },
  "signs with her own key for Alice's": async ({ alice }) => {
    const thief = await tap(false);
    const own = await authenticate(thief);
    thief.send({ ...own, readerKey: await nodeBackend.signPublic(alice.readerSeed) });
    await expectBye(thief, "unauthorised");
  },
  "has Alice sign for another relay": async ({ alice }) => {
    const thief = await tap(false);
    const readerKey = await nodeBackend.signPublic(alice.readerSeed);
    const other = random(32);
    const { nonce } = thief.hello;
    const signature = await signHubAuth(alice.readerSeed, nonce, other, readerKey, nodeBackend);
    thief.send({ type: "auth", readerKey, signature, admission: new Uint8Array() });
    await expectBye(thief, "unauthorised");
  },
  "has Alice sign for another nonce": async ({ alice }) => {
    const thief = await tap(false);
    const readerKey = await nodeBackend.signPublic(alice.readerSeed);
    const { relayKey } = thief.hello;
    const signature = await signHubAuth(
      alice.readerSeed,
      random(32),
      relayKey,
      readerKey,
      nodeBackend,
    );
    thief.send({ type: "auth", readerKey, signature, admission: new Uint8Array() });
    await expectBye(thief, "unauthorised");
  },
  "proves a key of small order": async () => {
    // The neutral element: with a signature of zeros a lax verifier takes any message.
    const readerKey = new Uint8Array(32);
    readerKey[0] = 1;
    const thief = await tap(false);
    const signature = new Uint8Array(64);
    signature[0] = 1;
    thief.send({ type: "auth", readerKey, signature, admission: new Uint8Array() });
    await expectBye(thief, "unauthorised");
  },
  "asks before she proved anything": async ({ queueId }) => {
    const thief = await tap(false);
    thief.send(openQueue(queueId), 1);
    await expectBye(thief, "malformed");
  },
  "asks while her proof is looked at": async ({ queueId }) => {
    const thief = await tap(false);
    const proof = encodeFrame(0, await authenticate(thief));
    // In one turn, so that the second is there before the first is decided.
    thief.raw(proof);
    thief.raw(encodeFrame(1, openQueue(queueId)));
    await thief.closed;
    expect(thief.waiting("queues")).toBe(0);
  },
  "proves a second time, as somebody else": async ({ alice, mallory, queueId }) => {
    const seed = alice.readerSeed;
    mallory.send(await authenticate({ hello: mallory.hello, readerSeed: seed }));
    mallory.send(openQueue(queueId), 1);
    await expectBye(mallory, "malformed");
    expect(mallory.waiting("queues")).toBe(0);
  },
  "says what only a relay says": async ({ queueId, mail }) => {
    const { id, blob } = mail[0]!;
    const lies: HubFrame[] = [
      {
        type: "welcome",
        creditMessages: 64,
        circuit: true,
        admitted: true,
        pushKey: new Uint8Array(),
      },
      { type: "deliver", alias: 1, sequence: 1n, id, blob },
      { type: "queue", alias: 1, sendId: asSendId(random(24)) },
      { type: "sender", alias: 1 },
      { type: "ok" },
    ];
    for (const lie of lies) {
      const liar = await tap();
      liar.send(lie, 1);
      liar.send(openQueue(queueId), 2);
      await expectBye(liar, "malformed");
    }
  },
  "fetches offers under ids that are no links": async ({ mallory, queueId, sendId, offer }) => {
    for (const id of [random(24), queueId, sendId, offer.queueId, offer.sendId]) {
      const linkId = asLinkId(new Uint8Array(id));
      expect(await mallory.request({ type: "bundle-get", linkId })).toEqual(GONE);
    }
  },
  "fetches offers one bit away from a link": async ({ mallory, offer }) => {
    for (const bit of [0, 1, 7, 8, 95, 96, 100, 190, 191]) {
      const linkId = asLinkId(flipped(offer.linkId, bit));
      expect(await mallory.request({ type: "bundle-get", linkId })).toEqual(GONE);
    }
  },
  "uses Bob's capability to read": async ({ bob, queueId, bobAlias }) => {
    expect(await bob.request(openQueue(queueId))).toEqual(NOT_YOURS);
    for (const frame of [
      { type: "queue-close", alias: bobAlias },
      { type: "ack", alias: bobAlias, sequences: [1n, 2n, 3n] },
      { type: "bundle-put", alias: bobAlias, linkId: newLinkId(), blob: random(64) },
    ] as const) {
      expect(await bob.request(frame)).toEqual(GONE);
    }
  },
};

const DELETING: Record<string, Case> = {
  "closes queues by guessing aliases": async ({ mallory }) => {
    for (const alias of ALIASES) {
      expect(await mallory.request({ type: "queue-close", alias })).toEqual(GONE);
    }
  },
  "acknowledges by guessing aliases": async ({ mallory }) => {
    for (const alias of ALIASES) {
      expect(await mallory.request({ type: "ack", alias, sequences: SEQUENCES })).toEqual(GONE);
    }
  },
  "acknowledges in a queue of her own what Alice has": async ({ mallory, aliceAlias }) => {
    const own = await mallory.makeQueue(random(16));
    expect(own.alias).toBe(aliceAlias);
    const ack = { type: "ack", alias: own.alias, sequences: SEQUENCES } as const;
    expect(await mallory.request(ack)).toEqual({ type: "ok" });
  },
  "closes a queue of her own twice": async ({ mallory }) => {
    const { alias } = await mallory.makeQueue(random(16));
    expect(await mallory.request({ type: "queue-close", alias })).toEqual({ type: "ok" });
    expect(await mallory.request({ type: "queue-close", alias })).toEqual(GONE);
  },
  "makes Alice's queue again after a refusal, and closes that": async ({ mallory, queueId }) => {
    for (let attempt = 0; attempt < 3; attempt++) {
      expect(await mallory.request(newQueue(queueId))).toEqual(GONE);
    }
    for (const alias of ALIASES) {
      expect(await mallory.request({ type: "queue-close", alias })).toEqual(GONE);
    }
  },
  "makes the same queue at the same moment": async ({ alice, mallory }) => {
    const queueId = newQueueId();
    const [first, second] = await Promise.all([
      alice.request(newQueue(queueId)),
      mallory.request(newQueue(queueId)),
    ]);
    // Whoever was first has it, and the other nothing.
    expect([first, second].filter(({ type }) => type === "queue")).toHaveLength(1);
    expect([first, second]).toContainEqual(GONE);
  },
  "acknowledges on a connection that Alice has left for another": async (scene) => {
    const { alice, aliceAlias, queueId } = scene;
    await vi.waitFor(() => expect(alice.waiting("deliver")).toBe(3), { timeout: 10_000 });
    const second = await tap(true, alice.readerSeed);
    await second.request(openQueue(queueId));
    expect(await alice.next("bye")).toMatchObject({ code: "gone" });
    alice.ack(aliceAlias, 1n, 2n, 3n);
    await alice.closed;
  },
  "puts an offer of her own under Alice's link": async ({ mallory, offer }) => {
    const { alias } = await mallory.makeQueue(random(16));
    const put = { type: "bundle-put", alias, linkId: offer.linkId, blob: random(64) } as const;
    expect(await mallory.request(put)).toEqual(GONE);
  },
  "puts an offer by guessing aliases": async ({ mallory, offer }) => {
    for (const alias of ALIASES) {
      const put = { type: "bundle-put", alias, linkId: offer.linkId, blob: random(64) } as const;
      expect(await mallory.request(put)).toEqual(GONE);
    }
  },
  "breaks off in the middle of a frame": async ({ queueId }) => {
    const socket = connectSocket(relay.port, "127.0.0.1");
    socket.write(
      `GET ${HUB_PATH} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${Buffer.from(random(16)).toString("base64")}\r\n\r\n`,
    );
    const closed = new Promise((resolve) => socket.once("close", resolve));
    await new Promise((resolve) => socket.once("data", resolve));
    // A frame that says 32 bytes and brings 24.
    socket.end(Buffer.concat([Buffer.from([0x82, 0xa0, 0, 0, 0, 0]), queueId]));
    await closed;
  },
};

const APPENDING: Record<string, Case> = {
  "appends by guessing aliases": async ({ mallory }) => {
    for (const alias of ALIASES) expect(await mallory.request(append(alias))).toEqual(GONE);
  },
  "signals by guessing aliases": async ({ mallory }) => {
    for (const alias of ALIASES) {
      expect(await mallory.request({ type: "signal", alias, blob: random(256) })).toEqual(GONE);
    }
  },
  "appends to her own queue through the reader's alias": async ({ mallory }) => {
    const { alias } = await mallory.makeQueue(random(16));
    expect(await mallory.request(append(alias))).toEqual(GONE);
    expect(await mallory.request({ type: "signal", alias, blob: random(256) })).toEqual(GONE);
  },
  "opens the address without any secret": async ({ mallory, sendId }) => {
    expect(await mallory.openSender(sendId, random(32))).toEqual(GONE);
  },
  "opens the address with the secret that Bob spent": async ({ mallory, sendId, firstUse }) => {
    expect(await mallory.openSender(sendId, random(32), firstUse)).toEqual(GONE);
  },
  "shows Bob's key without its proof": async ({ mallory, sendId, bobSecret }) => {
    const sendKey = await nodeBackend.dhPublic(bobSecret);
    for (const authenticator of [random(32), new Uint8Array(32)]) {
      const frame = await sendOpen(mallory, sendId, random(32), { sendKey, authenticator });
      expect(await mallory.request(frame)).toEqual(GONE);
    }
  },
  "shows Bob's key with a proof of her own": async ({ mallory, sendId, bobSecret }) => {
    const sendKey = await nodeBackend.dhPublic(bobSecret);
    const frame = await sendOpen(mallory, sendId, random(32), { sendKey });
    expect(await mallory.request(frame)).toEqual(GONE);
  },
  "says again what Bob said on his connection": async ({ bob, mallory }) => {
    const said = bob.sent.map((bytes) => decodeFrame(bytes));
    const frames = said.flatMap((one) => (one.ok ? [one.value.frame] : []));
    const replayed = frames.filter(({ type }) => type === "send-open" || type === "append");
    expect(replayed).toHaveLength(4);
    for (const frame of replayed) expect(await mallory.request(frame)).toEqual(GONE);
  },
  "uses Bob's proof for another address": async ({ bob, offer, bobSecret, sendId }) => {
    const { authenticator } = await sendOpen(bob, sendId, bobSecret);
    const { firstUse } = offer;
    const frame = await sendOpen(bob, offer.sendId, bobSecret, { authenticator, firstUse });
    expect(await bob.request(frame)).toEqual(GONE);
  },
  "proves a send key of small order": async ({ mallory, sendId, offer }) => {
    const sendKey = new Uint8Array(32);
    for (const target of [sendId, offer.sendId]) {
      const transcript = sendTranscript(
        mallory.hello.nonce,
        mallory.hello.relayKey,
        target,
        sendKey,
      );
      const authenticator = sendAuthenticator(new Uint8Array(32), transcript);
      const { firstUse } = offer;
      const frame = await sendOpen(mallory, target, random(32), {
        sendKey,
        authenticator,
        firstUse,
      });
      expect(await mallory.request(frame)).toEqual(GONE);
    }
  },
  "takes the queue for its address": async ({ mallory, queueId, firstUse }) => {
    const sendId = asSendId(new Uint8Array(queueId));
    expect(await mallory.openSender(sendId, random(32), firstUse)).toEqual(GONE);
  },
  "opens addresses one bit away": async ({ mallory, sendId, firstUse }) => {
    for (const bit of [0, 7, 8, 95, 96, 191]) {
      const near = asSendId(flipped(sendId, bit));
      expect(await mallory.openSender(near, random(32), firstUse)).toEqual(GONE);
    }
  },
  "shows a first-use secret one bit away": async ({ mallory, offer }) => {
    for (const bit of [0, 7, 8, 64, 127]) {
      const secret = flipped(offer.firstUse, bit);
      expect(await mallory.openSender(offer.sendId, random(32), secret)).toEqual(GONE);
    }
  },
  "shows the hash of the first-use secret as her key": async ({ mallory, offer }) => {
    // What the relay keeps in the place of the key before there is one.
    const sendKey = sha256(offer.firstUse);
    const frame = await sendOpen(mallory, offer.sendId, random(32), { sendKey });
    expect(await mallory.request(frame)).toEqual(GONE);
  },
  "shows the right secret without the proof of a key": async ({ mallory, offer }) => {
    const { firstUse } = offer;
    const frame = await sendOpen(mallory, offer.sendId, random(32), {
      firstUse,
      authenticator: random(32),
    });
    expect(await mallory.request(frame)).toEqual(GONE);
  },
  "sends Bob's envelope again with other bytes": async ({ bob, mail, alice }) => {
    const [first] = mail;
    expect(await bob.request({ ...first!, blob: random(512) })).toEqual({ type: "ok" });
    await alice.next("deliver");
  },
  "keeps an alias beyond its connection": async ({ bob, bobAlias, mallory }) => {
    bob.close();
    await bob.closed;
    expect(await mallory.request(append(bobAlias))).toEqual(GONE);
    const again = await tap(true, bob.readerSeed);
    expect(await again.request(append(bobAlias))).toEqual(GONE);
  },
  "puts two frames into one message": async ({ bobAlias }) => {
    const smuggler = await tap();
    const ping = encodeFrame(1, { type: "ping" });
    smuggler.raw(new Uint8Array(Buffer.concat([ping, encodeFrame(2, append(bobAlias))])));
    await expectBye(smuggler, "malformed");
  },
};

describe.each([
  ["reads nothing when she", READING],
  ["deletes nothing when she", DELETING],
  ["writes nothing when she", APPENDING],
])("Mallory %s", (_, cases) => {
  test.each(Object.entries(cases))("%s", async (_name, attack) => {
    const scene = await stage();
    await attack(scene);
    await verify(scene);
  });
});

describe("Mallory after Alice closed her queue", () => {
  test("makes it again, and gets neither old mail nor Bob's new", async () => {
    const { alice, bob, mallory, ...scene } = await stage();
    const closed = await alice.request({ type: "queue-close", alias: scene.aliceAlias });
    expect(closed).toEqual({ type: "ok" });
    const made = await mallory.request(newQueue(scene.queueId));
    expect(made).toMatchObject({ type: "queue" });
    expect(await mallory.next("drained")).toMatchObject({ type: "drained" });
    expect(await bob.request(append(scene.bobAlias))).toEqual(GONE);
    const signal = { type: "signal", alias: scene.bobAlias, blob: random(256) } as const;
    expect(await bob.request(signal)).toEqual(GONE);
    expect(await bob.openSender(scene.sendId, scene.bobSecret)).toEqual(GONE);
    expect(await bob.openSender(scene.sendId, scene.bobSecret, scene.firstUse)).toEqual(GONE);
    expect(mallory.waiting("deliver") + mallory.waiting("signalled")).toBe(0);
  });

  test("races Bob for the first use of an address: one of them has it, the other nothing", async () => {
    const { bob, mallory, offer } = await stage();
    const [first, second] = await Promise.all([
      bob.openSender(offer.sendId, random(32), offer.firstUse),
      mallory.openSender(offer.sendId, random(32), offer.firstUse),
    ]);
    expect([first, second].filter(({ type }) => type === "sender")).toHaveLength(1);
    expect([first, second]).toContainEqual(GONE);
  });
});

describe("missing and forbidden are the same bytes", () => {
  const pairs: Record<
    string,
    (scene: Scene) => Promise<{ missing: HubFrame; forbidden: readonly HubFrame[] }>
  > = {
    "to who opens a queue": async ({ queueId, offer }) => ({
      missing: openQueue(newQueueId()),
      forbidden: [openQueue(queueId), openQueue(offer.queueId)],
    }),
    "to who opens an address": async ({ mallory, sendId, firstUse, bobSecret, offer }) => {
      const nowhere = asSendId(random(24));
      const sendKey = await nodeBackend.dhPublic(bobSecret);
      return {
        missing: await sendOpen(mallory, nowhere, random(32), { firstUse }),
        forbidden: [
          await sendOpen(mallory, sendId, random(32)),
          await sendOpen(mallory, sendId, random(32), { firstUse }),
          await sendOpen(mallory, sendId, random(32), { sendKey }),
          await sendOpen(mallory, offer.sendId, random(32)),
          await sendOpen(mallory, offer.sendId, random(32), { authenticator: random(32) }),
        ],
      };
    },
    "to who appends": async ({ bobAlias, aliceAlias }) => ({
      missing: append(77),
      forbidden: [append(bobAlias), append(aliceAlias)],
    }),
    "to who signals": async ({ bobAlias }) => ({
      missing: { type: "signal", alias: 77, blob: random(256) },
      forbidden: [{ type: "signal", alias: bobAlias, blob: random(256) }],
    }),
    "to who acknowledges": async ({ aliceAlias }) => ({
      missing: { type: "ack", alias: 77, sequences: [1n] },
      forbidden: [{ type: "ack", alias: aliceAlias, sequences: [1n, 2n] }],
    }),
    "to who closes": async ({ aliceAlias }) => ({
      missing: { type: "queue-close", alias: 77 },
      forbidden: [{ type: "queue-close", alias: aliceAlias }],
    }),
    "to who puts an offer": async ({ aliceAlias, offer }) => ({
      missing: { type: "bundle-put", alias: 77, linkId: newLinkId(), blob: random(64) },
      forbidden: [
        { type: "bundle-put", alias: aliceAlias, linkId: newLinkId(), blob: random(64) },
        { type: "bundle-put", alias: aliceAlias, linkId: offer.linkId, blob: random(64) },
      ],
    }),
    "to who fetches an offer that somebody took": async ({ bob, offer }) => {
      const taken = await bob.openSender(offer.sendId, random(32), offer.firstUse);
      expect(taken.type).toBe("sender");
      return {
        missing: { type: "bundle-get", linkId: newLinkId() },
        forbidden: [{ type: "bundle-get", linkId: offer.linkId }],
      };
    },
  };

  test.each(Object.entries(pairs))("%s", async (_name, make) => {
    const scene = await stage();
    const { missing, forbidden } = await make(scene);
    const expected = await scene.mallory.answerBytes(missing);
    for (const frame of forbidden) expect(await scene.mallory.answerBytes(frame)).toBe(expected);
  });

  test("to who has too little credit left to be answered", async () => {
    const { queueId, offer } = await stage();
    const thief = await connect(relay.port);
    open.push(thief);
    const get = (linkId: LinkId) => thief.request({ type: "bundle-get", linkId });
    const answers = await Promise.all(Array.from({ length: 40 }, () => get(newLinkId())));
    const last = answers.at(-1)!;
    expect(last).toMatchObject({ code: "later" });
    // Neither the offer that is there nor one that is not can be told from the refusal.
    const known = await get(offer.linkId);
    expect(known).toMatchObject({ type: "error", code: "later" });
    expect(await thief.request(openQueue(queueId))).toEqual(NOT_YOURS);
  });
});
