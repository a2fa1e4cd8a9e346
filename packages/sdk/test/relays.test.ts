/** Messengers that keep their mailboxes at several relays, and relays that go away. */
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Store } from "@sotto/protocol";
import type { Conversation, Messenger } from "@sotto/sdk";
import { createMemoryStore } from "@sotto/storage/memory";
import { type Relay, startRelay } from "sotto-relay";
import { afterEach, describe, expect, it } from "vitest";
import { openTestMessenger, until } from "./support.ts";

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function relayAt(options: { port?: number; data?: string } = {}): Promise<Relay> {
  const relay = await startRelay({ port: 0, circuit: false, ...options });
  cleanups.push(() => relay.close());
  return relay;
}

async function person(name: string, relays: readonly string[], store?: Store): Promise<Messenger> {
  const [relayUrl = "", ...further] = relays;
  const messenger = await openTestMessenger({
    relayUrl,
    name,
    ...(store === undefined ? {} : { store }),
    parts: { relays: further },
  });
  cleanups.push(() => messenger.close());
  return messenger;
}

const areOnline = (messenger: Messenger, count: number): Promise<unknown> =>
  until(
    messenger.relays,
    (relays) => relays.filter(({ state }) => state === "online").length === count,
  );

async function meet(
  alice: Messenger,
  bob: Messenger,
): Promise<{ ofAlice: Conversation; ofBob: Conversation }> {
  const invite = await alice.invite();
  await until(alice.conversations, (all) => all.some((one) => one.invite?.active === true));
  const accepted = await bob.accept(invite.url);
  if (!accepted.ok) throw new Error(accepted.reason);
  const ofAlice = alice.conversation(invite.conversation);
  const ofBob = bob.conversation(accepted.conversation);
  if (ofAlice === undefined || ofBob === undefined) throw new Error("no such conversation");
  await until(ofAlice.view, (view) => view.name === bob.me.value.name);
  return { ofAlice, ofBob };
}

const arrives = (at: Conversation, text: string): Promise<unknown> =>
  until(at.timeline, ({ messages }) => messages.some((one) => one.text === text));
const textsOf = (at: Conversation): readonly string[] =>
  at.timeline.value.messages.map(({ text }) => text);

/** One message each way, both seen to arrive. */
async function exchange(ofAlice: Conversation, ofBob: Conversation, text: string): Promise<void> {
  await ofAlice.send(`${text} from Alice`);
  await ofBob.send(`${text} from Bob`);
  await arrives(ofBob, `${text} from Alice`);
  await arrives(ofAlice, `${text} from Bob`);
}

describe("two relays", () => {
  it("carry a conversation on when either is gone, with nothing lost and nothing twice", async () => {
    const data = await mkdtemp(join(tmpdir(), "sotto-two-relays-"));
    const first = await startRelay({ port: 0, circuit: false, data });
    const second = await relayAt();
    const relays = [first.url, second.url];
    const alice = await person("Alice", relays);
    const bob = await person("Bob", relays);
    await Promise.all([areOnline(alice, 2), areOnline(bob, 2)]);
    const { ofAlice, ofBob } = await meet(alice, bob);
    await exchange(ofAlice, ofBob, "both");
    // Each has told the other of both mailboxes once these two have come and gone.
    await Promise.all([until(ofAlice.timeline, isSettled), until(ofBob.timeline, isSettled)]);
    await first.close();
    await exchange(ofAlice, ofBob, "second only");
    expect([alice.hub.value, bob.hub.value]).toEqual(["online", "online"]);
    await relayAt({ port: first.port, data });
    await Promise.all([alice.checkRelays(), bob.checkRelays()]);
    await Promise.all([areOnline(alice, 2), areOnline(bob, 2)]);
    await second.close();
    await exchange(ofAlice, ofBob, "first only");
    await Promise.all([until(ofAlice.timeline, isSettled), until(ofBob.timeline, isSettled)]);
    for (const conversation of [ofAlice, ofBob]) {
      expect(textsOf(conversation)).toHaveLength(6);
      expect(new Set(textsOf(conversation)).size).toBe(6);
    }
  });

  it("are added and removed while people talk, and known after a restart", async () => {
    const [first, second] = [await relayAt(), await relayAt()];
    const memory = createMemoryStore();
    const store: Store = { ...memory, close: () => undefined };
    const alice = await person("Alice", [first.url], store);
    const bob = await person("Bob", [first.url]);
    const { ofAlice, ofBob } = await meet(alice, bob);
    await exchange(ofAlice, ofBob, "one");
    for (const one of [alice, bob]) await one.addRelay(second.url);
    await Promise.all([areOnline(alice, 2), areOnline(bob, 2)]);
    expect(alice.relays.value.every(({ roundTripMs }) => (roundTripMs ?? 0) > 0)).toBe(true);
    await alice.addRelay(second.url);
    await exchange(ofAlice, ofBob, "two");
    await Promise.all([until(ofAlice.timeline, isSettled), until(ofBob.timeline, isSettled)]);
    for (const one of [alice, bob]) await one.removeRelay(first.url);
    await alice.removeRelay(first.url);
    await exchange(ofAlice, ofBob, "three");
    await expect(alice.removeRelay(second.url)).rejects.toMatchObject({ code: "usage" });
    await expect(alice.addRelay("https://a.example/path")).rejects.toMatchObject({ code: "usage" });
    const next = await alice.invite();
    expect(next.url.startsWith(`${second.url}/`)).toBe(true);
    await alice.close();
    await ofBob.send("while away");
    const again = await person("Alice", [first.url], store);
    expect(again.relays.value.map(({ url }) => url)).toEqual([second.url]);
    const reopened = again.conversation(ofAlice.id);
    if (reopened === undefined) throw new Error("no such conversation");
    await arrives(reopened, "while away");
  });

  it("carry what somebody says whose own relay is away", async () => {
    const data = await mkdtemp(join(tmpdir(), "sotto-away-relay-"));
    const [first, second] = [await relayAt({ data }), await relayAt()];
    const alice = await person("Alice", [first.url]);
    const bob = await person("Bob", [second.url]);
    const { ofAlice, ofBob } = await meet(alice, bob);
    await exchange(ofAlice, ofBob, "across");
    await Promise.all([until(ofAlice.timeline, isSettled), until(ofBob.timeline, isSettled)]);
    await first.close();
    await areOnline(alice, 0);
    await ofAlice.send("although mine is away");
    await arrives(ofBob, "although mine is away");
    // What comes back waits for hers.
    await ofBob.send("heard");
    await relayAt({ port: first.port, data });
    await alice.checkRelays();
    await arrives(ofAlice, "heard");
    expect(textsOf(ofBob)).toHaveLength(4);
  });

  it("of two people who have none in common carry what they say to each other", async () => {
    const [first, second] = [await relayAt(), await relayAt()];
    const alice = await person("Alice", [first.url]);
    const bob = await person("Bob", [second.url]);
    const { ofAlice, ofBob } = await meet(alice, bob);
    await exchange(ofAlice, ofBob, "across");
    expect(alice.relays.value.map(({ url }) => url)).toEqual([first.url]);
  });

  it("are at most three", async () => {
    const relays = await Promise.all([relayAt(), relayAt(), relayAt(), relayAt()]);
    const [first, second, third, fourth] = relays.map(({ url }) => url);
    const alice = await person("Alice", [first ?? "", second ?? ""]);
    await alice.addRelay(third ?? "");
    await expect(alice.addRelay(fourth ?? "")).rejects.toMatchObject({ code: "limit" });
    expect(alice.relays.value).toHaveLength(3);
  });
});

/** Everything of one's own is confirmed. */
const isSettled = ({ messages }: Conversation["timeline"]["value"]): boolean =>
  messages.every((message) => !message.own || message.status === "delivered");
