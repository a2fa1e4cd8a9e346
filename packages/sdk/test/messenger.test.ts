import { createMemoryStore } from "@sotto/storage/memory";
import { startRelay } from "sotto-relay";
import { BUCKETS, TEXT_BYTES_MAX } from "@sotto/wire";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Conversation, Messenger } from "@sotto/sdk";
import type { Store } from "@sotto/protocol";
import { STORE_PAUSE_MS } from "#src/shell.ts";
import {
  createTabBus,
  createTestLock,
  createTestTimers,
  openTestMessenger,
  until,
} from "./support.ts";

let relay: Awaited<ReturnType<typeof startRelay>>;
const open: Messenger[] = [];

beforeAll(async () => {
  relay = await startRelay({ port: 0 });
});
afterAll(() => relay.close());
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
});

async function person(
  name: string,
  options: Partial<Parameters<typeof openTestMessenger>[0]> = {},
): Promise<Messenger> {
  const messenger = await openTestMessenger({ relayUrl: relay.url, name, ...options });
  open.push(messenger);
  return messenger;
}

function must(messenger: Messenger, id: string): Conversation {
  const conversation = messenger.conversation(id);
  if (conversation === undefined) throw new Error("no such conversation");
  return conversation;
}

/** Two people who have met; each one's conversation with the other. */
async function meet(
  alice: Messenger,
  bob: Messenger,
): Promise<{ ofAlice: Conversation; ofBob: Conversation }> {
  const invite = await alice.invite();
  await until(alice.conversations, (all) => all.some((one) => one.invite?.active === true));
  const accepted = await bob.accept(invite.url);
  if (!accepted.ok) throw new Error(accepted.reason);
  const ofAlice = must(alice, invite.conversation);
  await until(ofAlice.view, (view) => view.name === bob.me.value.name);
  return { ofAlice, ofBob: must(bob, accepted.conversation) };
}

const texts = (conversation: Conversation): readonly string[] =>
  conversation.timeline.value.messages.map((message) => message.text);

const hasText =
  (text: string) =>
  (timeline: { messages: readonly { text: string }[] }): boolean =>
    timeline.messages.some((message) => message.text === text);

describe("two people", () => {
  it("meet through an invite and exchange messages with ticks", async () => {
    const alice = await person("Alice");
    const bob = await person("Bob");
    const { ofAlice, ofBob } = await meet(alice, bob);
    expect(ofBob.view.value.name).toBe("Alice");
    await ofBob.send("hello");
    await until(ofAlice.timeline, hasText("hello"));
    await ofAlice.send("hello yourself");
    await until(ofBob.timeline, hasText("hello yourself"));
    await until(ofBob.timeline, ({ messages }) =>
      messages.every((message) => !message.own || message.status === "delivered"),
    );
    expect(texts(ofAlice)).toEqual(["hello", "hello yourself"]);
    expect(texts(ofBob)).toEqual(["hello", "hello yourself"]);
    expect(ofAlice.view.value.unread).toBe(1);
    await ofAlice.markRead();
    await until(ofAlice.view, (view) => view.unread === 0);
  });

  it("are not given an invite again that somebody has opened and said nothing since", async () => {
    const alice = await person("Alice");
    const first = await alice.invite();
    await until(alice.conversations, (all) => all.some((one) => one.invite?.active === true));
    expect(await alice.invite(first.conversation)).toMatchObject(first);
    const opened = Promise.withResolvers<undefined>();
    const mute = await person("Mute", {
      // Its first envelope takes the queue, as any does, and then never leaves.
      appended: async (hub, target) => {
        await hub.signal(target, new Uint8Array(BUCKETS[0] ?? 0));
        opened.resolve(undefined);
        return Promise.withResolvers<"lost">().promise;
      },
    });
    expect(await mute.accept(first.url)).toMatchObject({ ok: true });
    await opened.promise;
    const second = await alice.invite(first.conversation);
    expect(second.conversation).not.toBe(first.conversation);
    const bob = await person("Bob");
    await until(alice.conversations, (all) =>
      all.some((one) => one.id === second.conversation && one.invite?.active === true),
    );
    expect(await bob.accept(second.url)).toMatchObject({ ok: true });
  });

  it("agree on the safety number", async () => {
    const alice = await person("Alice");
    const bob = await person("Bob");
    const { ofAlice, ofBob } = await meet(alice, bob);
    const [own, other] = await Promise.all([ofAlice.safetyNumber(), ofBob.safetyNumber()]);
    expect(own?.groups).toHaveLength(12);
    expect(own).toEqual(other);
    expect(await ofAlice.matchesSafetyNumber(other?.groups.join(" ") ?? "")).toBe(true);
    expect(await ofAlice.matchesSafetyNumber(other?.qr.toLowerCase() ?? "")).toBe(true);
    expect(await ofAlice.matchesSafetyNumber("12345")).toBe(false);
    await ofAlice.setVerified(true);
    await until(ofAlice.view, (view) => view.verified);
  });

  it("reach each other when never online together", async () => {
    const aliceStore = createMemoryStore();
    const bobStore = createMemoryStore();
    const alice = await person("Alice", { store: unclosed(aliceStore) });
    const bob = await person("Bob", { store: unclosed(bobStore) });
    const { ofAlice } = await meet(alice, bob);
    const { id } = ofAlice;
    await bob.close();
    await ofAlice.send("while you were away");
    await until(ofAlice.timeline, ({ messages }) =>
      messages.some((message) => message.status === "relayed"),
    );
    await alice.close();
    const bobAgain = await person("Bob", { store: unclosed(bobStore) });
    const contact = bobAgain.conversations.value.find((one) => one.kind === "contact");
    const ofBob = must(bobAgain, contact?.id ?? "");
    await until(ofBob.timeline, hasText("while you were away"));
    const aliceAgain = await person("Alice", { store: unclosed(aliceStore) });
    await until(must(aliceAgain, id).timeline, ({ messages }) =>
      messages.some((message) => message.status === "delivered"),
    );
  });

  it("see a new name", async () => {
    const alice = await person("Alice");
    const bob = await person("Bob");
    const { ofBob } = await meet(alice, bob);
    await alice.rename("Alicia");
    await until(ofBob.view, (view) => view.name === "Alicia");
  });

  it("hide their address until they say otherwise, also after a restart", async () => {
    const store = createMemoryStore();
    const alice = await person("Alice", { store: unclosed(store) });
    expect(alice.me.value.hidesAddress).toBe(false);
    await alice.hideAddress(true);
    await until(alice.me, (me) => me.hidesAddress);
    await alice.close();
    const again = await person("Alice", { store: unclosed(store) });
    expect(again.me.value.hidesAddress).toBe(true);
    await again.hideAddress(false);
    await until(again.me, (me) => !me.hidesAddress);
    expect(await store.loadSelf()).toMatchObject({ hidesAddress: false });
  });

  it("answer although the invite was made before the relay connection stood", async () => {
    const alice = await person("Alice");
    const invite = await alice.invite();
    await until(alice.conversations, (all) => all.some((one) => one.invite?.active === true));
    const bob = await person("Bob");
    const accepted = await bob.accept(invite.url);
    if (!accepted.ok) throw new Error(accepted.reason);
    const ofBob = must(bob, accepted.conversation);
    await ofBob.send("typed at once");
    await until(ofBob.timeline, ({ messages }) => messages[0]?.status === "delivered");
  });

  it("may write before the other one has come", async () => {
    const alice = await person("Alice");
    const bob = await person("Bob");
    const invite = await alice.invite();
    await must(alice, invite.conversation).send("see you here");
    await until(alice.conversations, (all) => all.some((one) => one.invite?.active === true));
    const accepted = await bob.accept(invite.url);
    if (!accepted.ok) throw new Error(accepted.reason);
    await until(must(bob, accepted.conversation).timeline, hasText("see you here"));
  });
});

describe("an invite", () => {
  it("works once", async () => {
    const alice = await person("Alice");
    const bob = await person("Bob");
    const mallory = await person("Mallory");
    const invite = await alice.invite();
    await until(alice.conversations, (all) => all.some((one) => one.invite?.active === true));
    expect((await bob.accept(invite.url)).ok).toBe(true);
    await until(must(alice, invite.conversation).view, (view) => view.kind === "contact");
    expect(await mallory.accept(invite.url)).toEqual({ ok: false, reason: "gone" });
  });

  it("opened again by the same person leads to the same conversation", async () => {
    const alice = await person("Alice");
    const bob = await person("Bob");
    const { ofBob } = await meet(alice, bob);
    const invite = await alice.invite();
    await until(alice.conversations, (all) => all.some((one) => one.invite?.active === true));
    const first = await bob.accept(invite.url);
    const second = await bob.accept(`look: ${invite.url} !`);
    expect(first).toEqual(second);
    expect(ofBob.id).not.toBe(first.ok ? first.conversation : "");
  });

  it("opened twice at once begins one conversation", async () => {
    const alice = await person("Alice");
    const bob = await person("Bob");
    const invite = await alice.invite();
    await until(alice.conversations, (all) => all.some((one) => one.invite?.active === true));
    const both = await Promise.all([bob.accept(invite.url), bob.accept(invite.url)]);
    expect(both[0]).toEqual(both[1]);
    expect(bob.conversations.value.map((one) => one.kind).toSorted()).toEqual(["contact", "notes"]);
  });

  it("is refused with a reason when it cannot be used", async () => {
    const alice = await person("Alice");
    const bob = await person("Bob");
    const invite = await alice.invite();
    expect(invite.url.length).toBeLessThanOrEqual(106);
    expect(await alice.accept(invite.url)).toEqual({ ok: false, reason: "own" });
    expect(await bob.accept("hello")).toEqual({ ok: false, reason: "malformed" });
    const other = await startRelay({ port: 0 });
    const elsewhere = await openTestMessenger({ relayUrl: other.url, name: "Carol" });
    const foreign = await elsewhere.invite();
    await elsewhere.close();
    await other.close();
    expect(await bob.accept(foreign.url)).toEqual({
      ok: false,
      reason: "other-relay",
      origin: other.url,
    });
  });
});

describe("tabs that fail", () => {
  it("leave the lead to another one", async () => {
    const store = createMemoryStore();
    const join = createTabBus();
    const lock = createTestLock();
    let broken = false;
    const tab = (own: Partial<Store> = {}): Promise<Messenger> =>
      person("Alice", { store: { ...unclosed(store), ...own }, parts: { lock, tabs: join() } });
    const first = await tab();
    const second = await tab({
      loadAll: () => (broken ? Promise.reject(new Error("gone")) : store.loadAll()),
    });
    const third = await tab();
    broken = true;
    await first.close();
    await until(third.diagnostics, (now) => now.role === "leader");
    const notes = must(third, third.conversations.value[0]?.id ?? "");
    await notes.send("the third one leads");
    await until(must(second, notes.id).timeline, hasText("the third one leads"));
  });

  it("say so when nobody else can lead, and refuse what is written", async () => {
    const store = createMemoryStore();
    const join = createTabBus();
    const lock = createTestLock();
    const tab = (own: Partial<Store> = {}): Promise<Messenger> =>
      person("Alice", { store: { ...unclosed(store), ...own }, parts: { lock, tabs: join() } });
    const first = await tab();
    const second = await tab({ loadAll: () => Promise.reject(new Error("gone")) });
    const notes = must(second, second.conversations.value[0]?.id ?? "");
    await first.close();
    await until(second.storage, (now) => now.state === "closed");
    await expect(notes.send("nobody takes it")).rejects.toMatchObject({ code: "storage" });
  });

  it("that crash have nothing on screen any more", async () => {
    const store = createMemoryStore();
    const join = createTabBus();
    const lock = createTestLock();
    const first = await person("Alice", {
      store: unclosed(store),
      parts: { lock, tabs: join() },
    });
    const port = join();
    await person("Alice", { store: unclosed(store), parts: { lock, tabs: port } });
    const bob = await person("Bob");
    const { ofAlice, ofBob } = await meet(first, bob);
    const crashed = open[1];
    crashed?.conversation(ofAlice.id)?.setVisible(true);
    await ofBob.send("seen at once");
    await until(ofAlice.timeline, hasText("seen at once"));
    expect(ofAlice.view.value.unread).toBe(0);
    // The process of the second tab is gone: it says nothing any more.
    port.close();
    await ofBob.send("not seen");
    await until(ofAlice.view, (view) => view.unread === 1);
  });
});

describe("a full disk", () => {
  it("refuses what is written, keeps what arrives at the relay, and goes on by itself", async () => {
    let full = false;
    const timers = createTestTimers();
    const alice = await person("Alice", {
      store: createMemoryStore({ fail: () => (full ? "full" : undefined) }),
      parts: { timers },
    });
    const bob = await person("Bob");
    const { ofAlice, ofBob } = await meet(alice, bob);
    full = true;
    await expect(ofAlice.send("no room")).rejects.toMatchObject({ code: "storage" });
    await until(alice.storage, (now) => now.state === "full");
    await ofBob.send("waits at the relay");
    await until(ofBob.timeline, ({ messages }) => messages[0]?.status === "relayed");
    await expect.poll(() => timers.pending(STORE_PAUSE_MS)).toBeGreaterThan(0);
    full = false;
    timers.fire(STORE_PAUSE_MS);
    await until(ofAlice.timeline, hasText("waits at the relay"));
    await until(ofBob.timeline, ({ messages }) => messages[0]?.status === "delivered");
    await until(alice.storage, (now) => now.state === "memory");
    expect(texts(ofAlice)).toEqual(["waits at the relay"]);
  });
});

describe("limits", () => {
  it("takes a text of the largest size and refuses one byte more", async () => {
    const alice = await person("Alice");
    const notes = must(alice, alice.conversations.value[0]?.id ?? "");
    await notes.send("x".repeat(TEXT_BYTES_MAX));
    await expect(notes.send("x".repeat(TEXT_BYTES_MAX + 1))).rejects.toMatchObject({
      code: "limit",
    });
    await expect(notes.send("")).rejects.toMatchObject({ code: "usage" });
    await until(notes.timeline, ({ messages }) => messages.length === 1);
  });

  it("refuses names that are none", async () => {
    const alice = await person("Alice");
    await expect(alice.rename("  ")).rejects.toMatchObject({ code: "usage" });
    await expect(alice.rename("a\nb")).rejects.toMatchObject({ code: "usage" });
    expect(alice.me.value.name).toBe("Alice");
  });
});

describe("several tabs", () => {
  it("follow one leader, and the next one when it closes", async () => {
    const store = createMemoryStore();
    const join = createTabBus();
    const lock = createTestLock();
    const tab = (): Promise<Messenger> =>
      person("Alice", { store: unclosed(store), parts: { lock, tabs: join() } });
    const first = await tab();
    const second = await tab();
    expect(second.me.value).toEqual(first.me.value);
    await until(second.diagnostics, (now) => now.role === "follower");
    const bob = await person("Bob");
    const { ofAlice, ofBob } = await meet(second, bob);
    await ofAlice.send("from the follower");
    await until(ofBob.timeline, hasText("from the follower"));
    await until(must(first, ofAlice.id).timeline, hasText("from the follower"));
    await first.close();
    await until(second.diagnostics, (now) => now.role === "leader");
    await ofAlice.send("from the new leader");
    await until(ofBob.timeline, hasText("from the new leader"));
    await ofBob.send("and back");
    await until(ofAlice.timeline, hasText("and back"));
  });
});

/** The disk outlives the page: closing a messenger must not empty the store a later one opens. */
function unclosed(store: ReturnType<typeof createMemoryStore>): typeof store {
  return { ...store, close: () => undefined };
}
