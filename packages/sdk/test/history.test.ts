/** What the shell does when the store knows a message, and when an invite's time is over. */
import { nobleBackend } from "@sotto/crypto";
import type { Change, Store } from "@sotto/protocol";
import { sampleChange, sampleMessage } from "@sotto/storage/acceptance";
import { createMemoryStore } from "@sotto/storage/memory";
import { createHub, type Hub } from "@sotto/transport";
import { HUB_PATH } from "@sotto/wire";
import { startRelay } from "sotto-relay";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Messenger } from "@sotto/sdk";
import { INVITE_LIFETIME_MS } from "#src/leader.ts";
import { type LiveTimeline, openTimeline } from "#src/timeline.ts";
import { openTestMessenger, until } from "./support.ts";

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

async function activeInvite(messenger: Messenger) {
  const invite = await messenger.invite();
  await until(messenger.conversations, (all) => all.some((one) => one.invite?.active === true));
  return invite;
}

/** A store that says of the next `known` received texts that it has them. */
function forgetfulStore(known: number): Store {
  const memory = createMemoryStore();
  let left = known;
  return {
    ...memory,
    commit(change) {
      if (left === 0 || !change.addMessages.some((row) => !row.own)) return memory.commit(change);
      left--;
      return Promise.resolve({ ok: false, reason: "known" });
    },
  };
}

describe("a text that the store knows", () => {
  it("is counted as a duplicate and receipted, neither shown nor unread; the next one is", async () => {
    const alice = await person("Alice");
    const bob = await person("Bob", { store: forgetfulStore(1) });
    const invite = await activeInvite(alice);
    const accepted = await bob.accept(invite.url);
    if (!accepted.ok) throw new Error(accepted.reason);
    const ofAlice = alice.conversation(invite.conversation);
    const ofBob = bob.conversation(accepted.conversation);
    if (ofAlice === undefined || ofBob === undefined) throw new Error("no conversation");
    await until(ofAlice.view, (view) => view.name === "Bob");
    await ofAlice.send("known");
    await until(ofAlice.timeline, ({ messages }) => messages[0]?.status === "delivered");
    await ofAlice.send("new");
    await until(ofBob.timeline, ({ messages }) => messages.length > 0);
    expect(ofBob.timeline.value.messages.map(({ text }) => text)).toEqual(["new"]);
    await until(ofBob.view, (view) => view.unread > 0);
    expect(ofBob.view.value.unread).toBe(1);
    expect(bob.diagnostics.value.dropped.duplicate).toBe(1);
  });
});

describe("an invite that nobody used in time", () => {
  it("expires, and the relay gives its offer to nobody", async () => {
    let aheadMs = 0;
    let closing: Promise<unknown> | undefined;
    const alice = await person("Alice", {
      parts: {
        now: () => Date.now() + aheadMs,
        createHub({ relayKey, readerSecret }, events) {
          const hub = createHub({
            url: relay.url.replace(/^http/, "ws") + HUB_PATH,
            relayKey,
            readerSecret,
            crypto: nobleBackend,
            entropy: (length) => crypto.getRandomValues(new Uint8Array(length)),
            events,
          });
          return Object.assign(Object.create(hub) as Hub, {
            closeQueue(queueId: Parameters<Hub["closeQueue"]>[0]) {
              const closed = hub.closeQueue(queueId);
              closing = closed;
              return closed;
            },
          });
        },
      },
    });
    const invite = await activeInvite(alice);
    aheadMs = INVITE_LIFETIME_MS;
    await alice.rename("Alice B.");
    const of = (all: Messenger["conversations"]["value"]) =>
      all.find(({ id }) => id === invite.conversation);
    await until(alice.conversations, (all) => of(all)?.kind === "expired");
    expect(of(alice.conversations.value)?.invite).toBeUndefined();
    expect(await closing).toBe("ok");
    const bob = await person("Bob");
    expect(await bob.accept(invite.url)).toEqual({ ok: false, reason: "gone" });
  });
});

describe("a timeline", () => {
  const message = (at: number) =>
    sampleMessage("a", at, { text: `message ${at}`, status: "received" });
  const textsOf = (live: LiveTimeline): readonly string[] =>
    live.timeline.value.messages.map(({ text }) => text);
  const texts = (from: number, end: number): readonly string[] =>
    Array.from({ length: end - from }, (_, at) => `message ${from + at}`);

  async function filled(count: number): Promise<{
    readonly store: Store;
    readonly live: LiveTimeline;
    readonly commit: (change: Partial<Change>) => Promise<void>;
  }> {
    const store = createMemoryStore();
    let version = 0;
    const commit = async (change: Partial<Change>): Promise<void> => {
      expect(await store.commit(sampleChange("a", ++version, change))).toEqual({ ok: true });
    };
    await commit({ addMessages: Array.from({ length: count }, (_, at) => message(at)) });
    const live = openTimeline(store, "a");
    await until(live.timeline, ({ messages }) => messages.length > 0);
    return { store, live, commit };
  }

  it("leads to what stands around an old message, and on to both ends", async () => {
    const { live, commit } = await filled(400);
    expect(textsOf(live)).toEqual(texts(350, 400));
    await live.loadAround(message(100).order);
    expect(textsOf(live)).toEqual(texts(51, 151));
    expect(live.timeline.value).toMatchObject({ hasOlder: true, hasNewer: true });
    // What arrives far below comes with its page; what changes in sight is seen.
    await commit({ addMessages: [message(400)] });
    await commit({ putMessages: [{ ...message(120), text: "changed" }] });
    expect(textsOf(live)).toEqual(texts(51, 151).with(69, "changed"));
    // In sight: nothing else is loaded.
    await live.loadAround(message(51).order);
    expect(textsOf(live)).toHaveLength(100);
    await Promise.all([live.loadNewer(), live.loadNewer(), live.loadOlder()]);
    expect(textsOf(live)).toEqual(texts(1, 201).with(119, "changed"));
    while (live.timeline.value.hasNewer) await live.loadNewer();
    await live.loadOlder();
    expect(live.timeline.value.hasOlder).toBe(false);
    expect(textsOf(live)).toEqual(texts(0, 401).with(120, "changed"));
    await commit({ addMessages: [message(401)] });
    expect(textsOf(live).at(-1)).toBe("message 401");
  });

  it("is at the first and at the last message without more on that side, and back at the newest at once", async () => {
    const { live, commit } = await filled(200);
    await live.loadAround(message(0).order);
    expect(textsOf(live)).toEqual(texts(0, 51));
    expect(live.timeline.value).toMatchObject({ hasOlder: false, hasNewer: true });
    await live.loadNewest();
    expect(textsOf(live)).toEqual(texts(150, 200));
    expect(live.timeline.value).toMatchObject({ hasOlder: true, hasNewer: false });
    await commit({ addMessages: [message(200)] });
    await live.loadAround(message(149).order);
    expect(textsOf(live)).toEqual(texts(100, 200));
    await live.loadAround(message(199).order);
    await live.loadAround(message(30).order);
    expect(live.timeline.value.hasNewer).toBe(true);
    await live.loadAround(message(200).order);
    expect(textsOf(live)).toEqual(texts(151, 201));
    expect(live.timeline.value.hasNewer).toBe(false);
  });

  it("shows what is committed while it is read, and goes on after a read that failed", async () => {
    const { store, commit } = await filled(200);
    let during: (() => Promise<void>) | undefined;
    const live = openTimeline(
      {
        ...store,
        async messages(conversation, options) {
          const page = await store.messages(conversation, options);
          const act = during;
          during = undefined;
          await act?.();
          return page;
        },
      },
      "a",
    );
    await until(live.timeline, ({ messages }) => messages.length > 0);
    during = () => commit({ putMessages: [{ ...message(20), text: "changed" }] });
    await live.loadAround(message(20).order);
    expect(textsOf(live)).toContain("changed");
    during = () => Promise.reject(new Error("closed"));
    await expect(live.loadNewer()).rejects.toThrow("closed");
    during = () => commit({ addMessages: [message(200)] });
    await live.loadNewest();
    expect(textsOf(live)).toEqual(texts(150, 201));
  });
});

describe("search", () => {
  it("finds messages of every conversation, says where they are, and opens them from there", async () => {
    const alice = await person("Alice");
    const notes = alice.conversations.value.find(({ kind }) => kind === "notes");
    if (notes === undefined) throw new Error("no notes");
    const conversation = alice.conversation(notes.id);
    await conversation?.send("Buy bread 面包");
    const id = await conversation?.send("breadth first, 早饭吃面包");
    const { messages, next } = await alice.search("面包");
    expect(messages.map(({ message }) => message.text)).toEqual([
      "breadth first, 早饭吃面包",
      "Buy bread 面包",
    ]);
    expect(messages[0]).toMatchObject({
      conversation: notes.id,
      message: { id, own: true },
      ranges: [[18, 20]],
    });
    const place = messages[1]?.place ?? "";
    await conversation?.loadAround(place);
    expect(conversation?.timeline.value.messages[0]?.text).toBe("Buy bread 面包");
    expect(next).toBeUndefined();
    expect((await alice.search("READ", { conversation: notes.id })).messages).toHaveLength(2);
    expect((await alice.search("bread", { own: false })).messages).toEqual([]);
    await expect(alice.search("bread", {}, AbortSignal.abort("enough"))).rejects.toBe("enough");
  });
});
