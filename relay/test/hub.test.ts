/** The hub over real sockets, in this process. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Relay, startRelay } from "sotto-relay";
import { append, connect, connectRaw, newLinkId, pair, random } from "./client.ts";

let relay: Relay;
beforeEach(async () => {
  relay = await startRelay({ port: 0, circuit: false });
});
afterEach(() => relay.close());

test("a message to a connected owner is delivered and, acknowledged, never written", async () => {
  const [alice, bob] = await Promise.all([connect(relay.port), connect(relay.port)]);
  const { alias, ownAlias } = await pair(alice, bob);
  await alice.next("drained");
  const message = append(alias);
  const answer = bob.request(message);
  const delivered = await alice.next("deliver");
  expect(delivered).toMatchObject({ alias: ownAlias, id: message.id, blob: message.blob });
  alice.ack(ownAlias, delivered.sequence);
  expect(await answer).toEqual({ type: "ok" });
  expect(relay.counters().written).toBe(0);
  expect(relay.stats()).toMatchObject({ messages: 0, heldBytes: 0, commitBytes: 0 });
});

test("a message to an absent owner is kept and delivered when the owner comes back", async () => {
  const [alice, bob] = await Promise.all([connect(relay.port), connect(relay.port)]);
  const { alias, queueId } = await pair(alice, bob);
  alice.close();
  await alice.closed;
  const messages = [append(alias), append(alias), append(alias)];
  for (const message of messages) expect(await bob.request(message)).toEqual({ type: "ok" });

  const again = await connect(relay.port, alice.readerSeed);
  const opened = await again.request({ type: "queue-open", queueIds: [queueId] });
  expect(opened).toMatchObject({ type: "queues", queues: [{ backlog: 3 }] });
  for (const message of messages) {
    expect(await again.next("deliver")).toMatchObject({ id: message.id, blob: message.blob });
  }
  await again.next("drained");
});

test("an offer is there until the queue has its sender", async () => {
  const [alice, bob] = await Promise.all([connect(relay.port), connect(relay.port)]);
  const firstUse = random(16);
  const { alias, sendId } = await alice.makeQueue(firstUse);
  const linkId = newLinkId();
  const blob = random(2_000);
  expect(await alice.request({ type: "bundle-put", alias, linkId, blob })).toEqual({ type: "ok" });
  expect(await bob.request({ type: "bundle-get", linkId })).toEqual({ type: "bundle", blob });
  expect(await bob.openSender(sendId, random(32), firstUse)).toMatchObject({ type: "sender" });
  const gone = { type: "error", code: "gone", retryAfterMs: 0 };
  expect(await bob.request({ type: "bundle-get", linkId })).toEqual(gone);
});

test("the first frame must be a proof", async () => {
  const client = await connectRaw(relay.port);
  client.send({ type: "ping" }, 7);
  expect(await client.next("bye")).toMatchObject({ code: "malformed" });
  await client.closed;
});
