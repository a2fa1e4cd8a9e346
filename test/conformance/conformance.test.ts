/**
 * What relay/SPEC.md promises, against the relay as its operator runs it: through two clients that share no
 * code, and, where a well-behaved client cannot ask, frame by frame.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { concatBytes } from "@noble/hashes/utils.js";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type Client, greet, random, SENT, u16, u32, u8 } from "./client.ts";
import {
  type Address,
  type Delivery,
  openProduct,
  openSecond,
  type OpenParty,
  type Party,
} from "./parties.ts";
import { type RelayProcess, startRelayProcess } from "./relay-process.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

let data: string;
let relay: RelayProcess;
beforeAll(async () => {
  data = mkdtempSync(join(tmpdir(), "sotto-conformance-"));
  relay = await startRelayProcess({ data });
}, 30_000);
afterAll(async () => {
  await relay.end("SIGKILL");
  rmSync(data, { recursive: true });
});

describe.each<[string, OpenParty]>([
  ["the second client", openSecond],
  ["the product's hub", openProduct],
])("%s", (_, openParty) => {
  const open = (seed?: Uint8Array): Promise<Party> => openParty(relay.url, seed);

  async function newQueue(owner: Party): Promise<Address & { readonly queueId: Uint8Array }> {
    const [queueId, firstUse] = [random(24), random(16)];
    const sendId = await owner.makeQueue(queueId, firstUse);
    if (typeof sendId === "string") throw new Error(sendId);
    return { queueId, sendId, firstUse, sendSecret: random(32) };
  }

  /** The owner is gone and the relay knows. */
  async function untilAway(sender: Party, address: Address): Promise<void> {
    await vi.waitUntil(async () => (await sender.signal(address, random(256))) === "away", {
      timeout: 20_000,
    });
  }

  test("mail is delivered as it was sent, in order, and each once", async () => {
    const [owner, sender] = [await open(), await open()];
    const address = await newQueue(owner);
    expect(await owner.drained.next()).toEqual(address.queueId);
    const sent = [256, 1_024, 65_536, 512].map((size) => [random(16), random(size)] as const);
    const answers = sent.map(([id, blob]) => sender.append(address, id, blob));
    for (const [id, envelope] of sent) {
      const delivery = await owner.delivered.next();
      expect(delivery).toMatchObject({ queueId: address.queueId, id, envelope });
      owner.ack(delivery);
    }
    expect(await Promise.all(answers)).toEqual(sent.map(() => "ok"));
    expect(owner.delivered.waiting).toEqual([]);
  });

  test("mail waits for an owner who is away, until it is acknowledged", async () => {
    const seed = random(32);
    const [owner, sender] = [await open(seed), await open()];
    const address = await newQueue(owner);
    await owner.leave();
    await untilAway(sender, address);
    const ids = [random(16), random(16), random(16)];
    for (const id of ids) expect(await sender.append(address, id, random(2_048))).toBe("ok");
    const names = ids.map(hex);
    // What each visit finds, and how much of it is acknowledged.
    for (const [expected, acks] of [
      [names, 0],
      [names, 1],
      [names.slice(1), 2],
      [[], 0],
    ] as const) {
      const again = await open(seed);
      again.open([address.queueId]);
      const deliveries: Delivery[] = [];
      for (const _ of expected) deliveries.push(await again.delivered.next());
      await again.drained.next();
      expect(deliveries.map(({ id }) => hex(id))).toEqual(expected);
      for (const one of deliveries.slice(0, acks)) again.ack(one);
      await again.leave();
      await untilAway(sender, address);
    }
  });

  test("an id that comes again is answered and not delivered again, whatever comes with it", async () => {
    const [owner, sender] = [await open(), await open()];
    const address = await newQueue(owner);
    const [id, first] = [random(16), random(512)];
    const answers = [
      sender.append(address, id, first),
      sender.append(address, id, random(1_024)),
      sender.append(address, random(16), random(256)),
    ];
    const [one, other] = [await owner.delivered.next(), await owner.delivered.next()];
    expect(one).toMatchObject({ id, envelope: first });
    expect(other.id).not.toEqual(id);
    owner.ack(one);
    owner.ack(other);
    expect(await Promise.all(answers)).toEqual(["ok", "ok", "ok"]);
    expect(await sender.append(address, id, random(256))).toBe("ok");
    expect(owner.delivered.waiting).toEqual([]);
  });

  test("a queue holds 256 messages and refuses the next", async () => {
    const seed = random(32);
    const [owner, sender] = [await open(seed), await open()];
    const address = await newQueue(owner);
    await owner.leave();
    await untilAway(sender, address);
    const append = (): Promise<string> => sender.append(address, random(16), random(256));
    const answers = await Promise.all(Array.from({ length: 256 }, append));
    expect(new Set(answers)).toEqual(new Set(["ok"]));
    expect(await append()).toBe("quota");
    const again = await open(seed);
    again.open([address.queueId]);
    again.ack(await again.delivered.next());
    await vi.waitUntil(async () => (await append()) === "ok", { timeout: 20_000 });
  });

  test("signals reach an owner who is here and nobody else, and are not kept", async () => {
    const seed = random(32);
    const [owner, sender] = [await open(seed), await open()];
    const address = await newQueue(owner);
    const envelope = random(16_384);
    expect(await sender.signal(address, envelope)).toBe("ok");
    expect(await owner.signalled.next()).toEqual({ queueId: address.queueId, envelope });
    await owner.leave();
    await untilAway(sender, address);
    const again = await open(seed);
    again.open([address.queueId]);
    await again.drained.next();
    expect([again.signalled.waiting, again.delivered.waiting]).toEqual([[], []]);
  });

  test("the first sender is the only one, and what is missing and what is forbidden look alike", async () => {
    const [owner, sender, mallory] = [await open(), await open(), await open()];
    const address = await newQueue(owner);
    const append = (party: Party, to: Address): Promise<string> =>
      party.append(to, random(16), random(256));
    expect(await append(mallory, { ...address, firstUse: random(16) })).toBe("gone");
    const answer = append(sender, address);
    owner.ack(await owner.delivered.next());
    expect(await answer).toBe("ok");
    expect(await append(mallory, { ...address, sendSecret: random(32) })).toBe("gone");
    expect(await append(mallory, { ...address, sendId: random(24) })).toBe("gone");
    expect(await mallory.makeQueue(address.queueId, random(16))).toBe("gone");
    const never = random(24);
    mallory.open([address.queueId, never]);
    expect([await mallory.missing.next(), await mallory.missing.next()]).toEqual([
      address.queueId,
      never,
    ]);
  });

  test("an offer is there until its queue has a sender", async () => {
    const [owner, guest] = [await open(), await open()];
    const address = await newQueue(owner);
    const [linkId, offer] = [random(24), random(4_096)];
    expect(await guest.fetchOffer(linkId)).toBe("gone");
    expect(await owner.publish(address.queueId, linkId, offer)).toBe("ok");
    expect(await guest.fetchOffer(linkId)).toEqual(offer);
    const answer = guest.append(address, random(16), random(256));
    owner.ack(await owner.delivered.next());
    expect(await answer).toBe("ok");
    expect(await guest.fetchOffer(linkId)).toBe("gone");
  });

  test("a closed queue is gone for its sender and its owner", async () => {
    const seed = random(32);
    const [owner, sender] = [await open(seed), await open()];
    const address = await newQueue(owner);
    expect(await owner.closeQueue(address.queueId)).toBe("ok");
    expect(await sender.append(address, random(16), random(256))).toBe("gone");
    const again = await open(seed);
    again.open([address.queueId]);
    expect(await again.missing.next()).toEqual(address.queueId);
  });
});

describe("frame by frame", () => {
  const frame = (type: number, request: number, ...fields: Uint8Array[]): Uint8Array =>
    concatBytes(u8(type), u32(request), ...fields);
  const zeros = (length: number): Uint8Array => new Uint8Array(length);

  async function proven(): Promise<Client> {
    const client = await greet(relay.url);
    await client.prove(random(32));
    return client;
  }
  async function farewell(client: Client): Promise<string> {
    return (await client.ended).bye?.code ?? "none";
  }

  test("HELLO is fresh, signed, of this hour, and says the limits", async () => {
    const [one, other] = [await greet(relay.url), await greet(relay.url)];
    expect(one.hello.relayKey).toEqual(other.hello.relayKey);
    expect(one.hello.nonce).not.toEqual(other.hello.nonce);
    expect(Math.abs(one.hello.hour - Date.now() / 3_600_000)).toBeLessThan(2);
    expect(one.hello).toMatchObject({ ttlHoursMax: 504, queueMessagesMax: 256, door: 0 });
    expect(await one.prove(random(32))).toMatchObject({ creditMessages: 64, admitted: true });
    await expect(greet(relay.url, random(32))).rejects.toThrow("not the relay");
  });

  test.each<[string, (client: Client) => Uint8Array | string, string]>([
    ["another frame than AUTH", () => frame(SENT.ping, 1), "malformed"],
    ["a frame that cannot be read", () => frame(SENT.auth, 0, zeros(5)), "malformed"],
    ["another version", () => frame(SENT.auth, 0, u8(2), zeros(96), u16(0)), "malformed"],
    ["a false signature", () => frame(SENT.auth, 0, u8(1), zeros(96), u16(0)), "unauthorised"],
    [
      "an admission that is too long",
      () => frame(SENT.auth, 0, u8(1), zeros(96), u16(129), zeros(129)),
      "too-large",
    ],
    ["text", () => "hello", "malformed"],
    ["nothing", () => zeros(0), "malformed"],
  ])("before the proof, %s ends the connection", async (_, make, code) => {
    const client = await greet(relay.url);
    client.say(make(client));
    expect(await farewell(client)).toBe(code);
  });

  test("an admission of the largest size is ignored", async () => {
    const client = await greet(relay.url);
    expect(await client.prove(random(32), random(128))).toMatchObject({ name: "welcome" });
  });

  test("a proof for one connection is worth nothing on another", async () => {
    const [one, other] = [await greet(relay.url), await greet(relay.url)];
    await one.prove(random(32));
    other.say(one.lastSaid());
    expect(await farewell(other)).toBe("unauthorised");
  });

  test.each<[string, Uint8Array, string]>([
    [
      "PUSH_SET to what is not https",
      frame(0x18, 1, Buffer.from("http://push.example/1")),
      "malformed",
    ],
    ["TURN with bytes left over", frame(0x17, 1, u8(0)), "malformed"],
    ["what only a relay says: TURN_CREDENTIAL", frame(0x1b, 1, u32(60), u16(0)), "malformed"],
    ["a type that there is not", frame(0xff, 1), "malformed"],
    ["what only a relay says: HELLO", frame(0x01, 1, u8(1), zeros(170)), "malformed"],
    ["what only a relay says: OK", frame(0x19, 1), "malformed"],
    ["AUTH again", frame(SENT.auth, 0, u8(1), zeros(96), u16(0)), "malformed"],
    ["a header alone, cut off", zeros(4), "malformed"],
    ["bytes left over", frame(SENT.ping, 1, u8(0)), "malformed"],
    ["no queues to open", frame(SENT.queueOpen, 1, u16(0)), "malformed"],
    ["257 queues to open", frame(SENT.queueOpen, 1, u16(257), zeros(257 * 24)), "too-large"],
    ["257 acknowledgements", frame(SENT.ack, 1, u32(1), u16(257), zeros(257 * 8)), "too-large"],
    ["an alias of 0", frame(SENT.queueClose, 1, u32(0)), "malformed"],
    ["an envelope of 257 bytes", frame(SENT.append, 1, u32(1), zeros(16 + 257)), "malformed"],
    ["a signal of 32 KiB", frame(SENT.signal, 1, u32(1), zeros(32_768)), "too-large"],
    ["an offer of 4,097 bytes", frame(SENT.bundlePut, 1, u32(1), zeros(24 + 4_097)), "too-large"],
    ["an offer of no bytes", frame(SENT.bundlePut, 1, u32(1), zeros(24)), "malformed"],
  ])("%s ends the connection", async (_, bytes, code) => {
    const client = await proven();
    client.say(bytes);
    expect(await farewell(client)).toBe(code);
  });

  test("a frame of 65,569 bytes is read, and one byte more ends the socket without a word", async () => {
    const client = await proven();
    client.say(frame(SENT.append, 7, u32(1), zeros(16 + 65_536 + 8)));
    expect(await farewell(client)).not.toBe("none");
    const other = await proven();
    other.say(zeros(65_570));
    expect(await farewell(other)).toBe("none");
  });

  test("256 queues are opened at once, in the order asked, and again with the same aliases", async () => {
    const client = await proven();
    const [queueId, firstUse] = [random(24), random(16)];
    const made = await client.makeQueue(queueId, firstUse);
    const asked = Array.from({ length: 256 }, (_, index) => (index === 200 ? queueId : random(24)));
    for (let round = 0; round < 2; round++) {
      const opened = await client.openQueues(...asked);
      if (opened.name !== "queues" || made.name !== "queue") throw new Error("not opened");
      expect(opened.queues.map(({ alias }) => alias)).toEqual(
        asked.map((_, index) => (index === 200 ? made.alias : 0)),
      );
    }
    // Making it again is the same queue.
    expect(await client.makeQueue(queueId, firstUse)).toEqual(made);
  });

  test("life: 504 hours are granted, 505 are a limit", async () => {
    const client = await proven();
    expect(await client.makeQueue(random(24), random(16), 504)).toMatchObject({ name: "queue" });
    expect(await client.makeQueue(random(24), random(16), 0)).toMatchObject({ name: "queue" });
    expect(await client.makeQueue(random(24), random(16), 505)).toMatchObject({ code: "limit" });
  });

  test("offers: four per queue, put again in the place of the older; 32 fetched at once", async () => {
    const client = await proven();
    const made = await client.makeQueue(random(24), random(16));
    const alias = u32(made.name === "queue" ? made.alias : 0);
    const links = Array.from({ length: 5 }, () => random(24));
    const put = async (linkId: Uint8Array, offer: Uint8Array): Promise<string> => {
      const answer = await client.ask(SENT.bundlePut, alias, linkId, offer);
      return answer.name === "error" ? answer.code : answer.name;
    };
    const answers = [];
    for (const linkId of links) answers.push(await put(linkId, u8(1)));
    expect(answers).toEqual(["ok", "ok", "ok", "ok", "limit"]);
    const [first = random(24)] = links;
    expect(await put(first, u8(2))).toBe("ok");
    expect(await client.ask(SENT.bundleGet, first)).toEqual({ name: "bundle", offer: u8(2) });
    for (let count = 1; count < 32; count++) await client.ask(SENT.bundleGet, first);
    const refused = await client.ask(SENT.bundleGet, first);
    expect(refused).toMatchObject({ name: "error", code: "later" });
  });

  test.each([
    ["u = 0", zeros(32)],
    ["u = 1", concatBytes(u8(1), zeros(31))],
    ["bit 255", concatBytes(zeros(31).fill(9), u8(0x89))],
  ])("a send key that crypto/SPEC.md §1.1 refuses (%s) opens nothing", async (_, sendKey) => {
    const client = await proven();
    const firstUse = random(16);
    const made = await client.makeQueue(random(24), firstUse);
    if (made.name !== "queue") throw new Error("no queue");
    const answer = await client.openSender(made.sendId, random(32), firstUse, sendKey);
    expect(answer).toEqual({ name: "error", code: "gone", retryAfterMs: 0 });
    // And the queue still waits for its first sender.
    const opened = await client.openSender(made.sendId, random(32), firstUse);
    expect(opened).toMatchObject({ name: "sender" });
  });

  test("an acknowledgement counts only on the connection that had the delivery", async () => {
    const [seed, queueId, firstUse] = [random(32), random(24), random(16)];
    const [owner, sender] = [await greet(relay.url), await proven()];
    await owner.prove(seed);
    const made = await owner.makeQueue(queueId, firstUse);
    if (made.name !== "queue") throw new Error("no queue");
    const opened = await sender.openSender(made.sendId, random(32), firstUse);
    const id = random(16);
    if (opened.name !== "sender") throw new Error("no sender");
    expect(await sender.append(opened.alias, id, random(256))).toEqual({ name: "ok" });
    const { sequence } = await owner.next("deliver");
    // Another connection of the same reader takes the queue; the earlier one is told.
    const later = await greet(relay.url);
    await later.prove(seed);
    const again = await later.openQueues(queueId);
    expect((await owner.ended).bye).toMatchObject({ code: "gone", retryAfterMs: 5_000 });
    const alias = again.name === "queues" ? (again.queues[0]?.alias ?? 0) : 0;
    expect(again).toMatchObject({ queues: [{ backlog: 1 }] });
    // Guessed before it came, and of another sequence: ignored, but answered.
    expect(await later.ack(alias, [sequence + 1n, 99n])).toEqual({ name: "ok" });
    const delivery = await later.next("deliver");
    expect(delivery.id).toEqual(id);
    expect(await later.ack(alias, [delivery.sequence])).toEqual({ name: "ok" });
    expect(await later.ack(alias, [delivery.sequence])).toEqual({ name: "ok" });
    expect(await later.ack(12_345, [1n])).toMatchObject({ code: "gone" });
  });

  test("without acknowledgements 64 messages are delivered, with one the next", async () => {
    const [owner, sender] = [await proven(), await proven()];
    const firstUse = random(16);
    const made = await owner.makeQueue(random(24), firstUse);
    if (made.name !== "queue") throw new Error("no queue");
    const opened = await sender.openSender(made.sendId, random(32), firstUse);
    if (opened.name !== "sender") throw new Error("no sender");
    const answers = Array.from({ length: 70 }, () =>
      sender.append(opened.alias, random(16), random(256)),
    );
    await Promise.all(answers);
    const sequences: bigint[] = [];
    for (let count = 0; count < 64; count++) sequences.push((await owner.next("deliver")).sequence);
    // Whatever was on its way is here when a later request is answered.
    await owner.ask(SENT.ping);
    expect(owner.waiting("deliver")).toBe(0);
    await owner.ack(made.alias, sequences.slice(0, 1));
    await owner.next("deliver");
    await owner.ask(SENT.ping);
    expect(owner.waiting("deliver")).toBe(0);
  });

  test("what is made survives the relay: queues, senders, offers, its key", async () => {
    const own = mkdtempSync(join(tmpdir(), "sotto-conformance-"));
    let running = await startRelayProcess({ data: own });
    try {
      const [seed, queueId, firstUse, sendSecret] = [
        random(32),
        random(24),
        random(16),
        random(32),
      ];
      const owner = await greet(running.url);
      await owner.prove(seed);
      const made = await owner.makeQueue(queueId, firstUse);
      const offered = await owner.makeQueue(random(24), random(16));
      if (made.name !== "queue" || offered.name !== "queue") throw new Error("no queue");
      await owner.openSender(made.sendId, sendSecret, firstUse);
      const linkId = random(24);
      await owner.ask(SENT.bundlePut, u32(offered.alias), linkId, u8(7));
      await running.end("SIGKILL");
      running = await startRelayProcess({ data: own });
      const again = await greet(running.url, owner.hello.relayKey);
      await again.prove(seed);
      expect(await again.openQueues(queueId)).toMatchObject({ queues: [{ alias: 1, backlog: 0 }] });
      expect(await again.openSender(made.sendId, sendSecret)).toMatchObject({ name: "sender" });
      expect(await again.openSender(made.sendId, random(32), firstUse)).toMatchObject({
        code: "gone",
      });
      expect(await again.ask(SENT.bundleGet, linkId)).toEqual({ name: "bundle", offer: u8(7) });
    } finally {
      await running.end("SIGKILL");
      rmSync(own, { recursive: true });
    }
  });
});
