/** What the shell does when the store knows a message, and when an invite's time is over. */
import { nobleBackend } from "@sotto/crypto";
import type { Store } from "@sotto/protocol";
import { createMemoryStore } from "@sotto/storage/memory";
import { createHub, type Hub } from "@sotto/transport";
import { HUB_PATH } from "@sotto/wire";
import { startRelay } from "sotto-relay";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Messenger } from "@sotto/sdk";
import { INVITE_LIFETIME_MS } from "#src/leader.ts";
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
    expect(next).toBeUndefined();
    expect((await alice.search("READ", { conversation: notes.id })).messages).toHaveLength(2);
    expect((await alice.search("bread", { own: false })).messages).toEqual([]);
    await expect(alice.search("bread", {}, AbortSignal.abort("enough"))).rejects.toBe("enough");
  });
});
