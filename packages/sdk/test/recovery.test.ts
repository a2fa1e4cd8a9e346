/** An account on another device, by 24 words: the same person for everybody, and never in place of another. */
import { accountIdOf, verifyDeviceCert, nobleBackend } from "@sotto/crypto";
import type { SelfRecord, Store } from "@sotto/protocol";
import {
  type Messenger,
  MessengerError,
  openMessenger,
  RecoveryError,
  type RecoveryLanguage,
  type RecoveryRefusal,
} from "@sotto/sdk";
import { createMemoryStore } from "@sotto/storage/memory";
import { bytesToBase32 } from "@sotto/wire";
import { startRelay } from "sotto-relay";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createTabBus, createTestLock, openTestMessenger, until } from "./support.ts";

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

/** A store that outlives its messenger, as a disk does. */
const kept = (store: Store): Store => ({ ...store, close: () => undefined });

async function selfOf(store: Store): Promise<SelfRecord> {
  const self = await store.loadSelf();
  if (self === undefined || self === "damaged") throw new Error("no identity");
  return self;
}

/** Bob opens an invite of Alice's; what Bob compares with her, and what she reads then. */
async function greet(alice: Messenger, bob: Messenger, text: string) {
  const invite = await alice.invite();
  await until(alice.conversations, (all) => all.some((one) => one.invite?.active === true));
  const accepted = await bob.accept(invite.url);
  if (!accepted.ok) throw new Error(accepted.reason);
  const ofBob = bob.conversation(accepted.conversation);
  const ofAlice = alice.conversation(invite.conversation);
  await ofBob?.send(text);
  if (ofAlice === undefined) throw new Error("no conversation");
  await until(ofAlice.timeline, ({ messages }) => messages.some((one) => one.text === text));
  const [hers, his] = [await ofAlice.safetyNumber(), await ofBob?.safetyNumber()];
  expect(hers).toEqual(his);
  return his;
}

async function refusalOf(attempt: Promise<unknown>): Promise<RecoveryRefusal> {
  const error: unknown = await attempt.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof RecoveryError)) throw new Error("no RecoveryError");
  expect(error).toBeInstanceOf(MessengerError);
  expect(error.code).toBe("usage");
  return error.refusal;
}

describe("an account restored from its phrase", () => {
  it("is the same person for others, on a new device that starts empty", async () => {
    const [before, after] = [createMemoryStore(), createMemoryStore()];
    const bob = await person("Bob");
    const alice = await person("Alice", { store: kept(before) });
    const number = await greet(alice, bob, "before");
    const accountId = alice.me.value.accountId;
    const words = await alice.recoveryPhrase({ language: "english" });
    expect(words).toHaveLength(24);
    await alice.close();

    const parts = { restore: words.join(" ") };
    const restored = await person("Alice again", { store: kept(after), parts });
    expect(restored.me.value).toMatchObject({ name: "Alice again", accountId, devices: [] });
    expect(restored.conversations.value.map((one) => one.kind)).toEqual(["notes"]);
    expect(await greet(restored, bob, "after")).toEqual(number);

    const [old, fresh] = [await selfOf(before), await selfOf(after)];
    expect(bytesToBase32(accountIdOf(fresh.cert.rootKey))).toBe(accountId);
    expect(await verifyDeviceCert(fresh.cert, nobleBackend)).toBe(true);
    for (const field of ["deviceId", "signingKey", "dhKey"] as const) {
      expect(fresh.cert[field]).not.toEqual(old.cert[field]);
    }
    for (const field of ["signingSecret", "dhSecret", "readerSecret"] as const) {
      expect(fresh[field]).not.toEqual(old[field]);
    }
    expect(await restored.recoveryPhrase({ language: "english" })).toEqual(words);
  });

  it.each<[RecoveryLanguage, string]>([
    ["english", " \n"],
    ["simplified-chinese", ""],
  ])("comes from words in %s, as they were written down", async (language, between) => {
    const alice = await person("Alice");
    const words = await alice.recoveryPhrase({ language });
    const parts = { restore: words.join(between).toUpperCase() };
    const restored = await person("Alice", { parts });
    expect(restored.me.value.accountId).toBe(alice.me.value.accountId);
  });
});

it("restores with the platform's own parts as well", async () => {
  const options = { relayUrl: relay.url, memory: true, direct: false };
  const alice = await openMessenger({ ...options, name: "Alice" });
  open.push(alice);
  const restore = (await alice.recoveryPhrase({ language: "simplified-chinese" })).join("");
  const restored = await openMessenger({ ...options, name: "Alice", restore });
  open.push(restored);
  expect(restored.me.value.accountId).toBe(alice.me.value.accountId);
});

/** Words of the list that a refusal is made of. */
const FIELDS = "nothing restored: unknown-words code usage name refusal reason language positions";

describe("restoring is refused", () => {
  it("where there is an account, another or the same, which stays as it is", async () => {
    const store = createMemoryStore();
    const first = await person("Alice", { store: kept(store) });
    // Somebody may have been given it.
    await first.invite();
    const own = await first.recoveryPhrase({ language: "english" });
    const others = await (await person("Bob")).recoveryPhrase({ language: "english" });
    await first.close();
    const before = await selfOf(store);
    for (const words of [own, others]) {
      const parts = { restore: words.join(" ") };
      const attempt = person("Mallory", { store: kept(store), parts });
      expect(await refusalOf(attempt)).toEqual({ reason: "identity-exists" });
    }
    expect(await selfOf(store)).toEqual(before);
    expect((await person("Alice", { store: kept(store) })).me.value.name).toBe("Alice");
  });

  it("no more than by an identity that nobody was told of, which gives way", async () => {
    const store = createMemoryStore();
    await (await person("Alice", { store: kept(store) })).close();
    const bob = await person("Bob");
    const words = await bob.recoveryPhrase({ language: "english" });
    const parts = { restore: words.join(" ") };
    const restored = await person("Bob again", { store: kept(store), parts });
    const { accountId } = bob.me.value;
    expect(restored.me.value).toMatchObject({ name: "Bob again", accountId, devices: [] });
    expect(restored.conversations.value.map((one) => one.kind)).toEqual(["notes"]);
  });

  it("in a second tab of a profile that has one, and the first goes on", async () => {
    const store = createMemoryStore();
    const [port, lock] = [createTabBus(), createTestLock()];
    const first = await person("Alice", { store: kept(store), parts: { lock, tabs: port() } });
    const words = await (await person("Bob")).recoveryPhrase({ language: "english" });
    const [tabs, closed] = [port(), { tabs: 0, store: 0 }];
    const attempt = person("Mallory", {
      store: { ...store, close: () => void closed.store++ },
      parts: {
        lock,
        restore: words.join(" "),
        tabs: {
          ...tabs,
          close() {
            closed.tabs++;
            tabs.close();
          },
        },
      },
    });
    expect(await refusalOf(attempt)).toEqual({ reason: "identity-exists" });
    expect(closed).toEqual({ tabs: 1, store: 1 });
    const third = await person("Alice", { store: kept(store), parts: { lock, tabs: port() } });
    expect(third.me.value).toEqual(first.me.value);
    await first.close();
    // The refused tab has left the queue of those who would lead.
    await until(third.diagnostics, ({ role }) => role === "leader");
  });

  it("with a mistake in the phrase, which is named by its place; then the right one works", async () => {
    const store = createMemoryStore();
    const alice = await person("Alice");
    const words = await alice.recoveryPhrase({ language: "english" });
    const misspelt = words.with(6, "canaryword").join(" ");
    const cases: readonly (readonly [string, RecoveryRefusal])[] = [
      ["", { reason: "word-count", words: 0 }],
      [words.slice(1).join(" "), { reason: "word-count", words: 23 }],
      [misspelt, { reason: "unknown-words", language: "english", positions: [7] }],
      ["canaryword ".repeat(200), { reason: "too-long" }],
    ];
    for (const [restore, refusal] of cases) {
      const attempt = person("Alice", { store: kept(store), parts: { restore } });
      expect(await refusalOf(attempt)).toEqual(refusal);
      expect(await store.loadSelf()).toBeUndefined();
    }
    const parts = { restore: words.join(" ") };
    const restored = await person("Alice", { store: kept(store), parts });
    expect(restored.me.value.accountId).toBe(alice.me.value.accountId);
  });

  it("without a word of the phrase in the error", async () => {
    const alice = await person("Alice");
    const words = await alice.recoveryPhrase({ language: "english" });
    for (const restore of [
      words.with(0, "canaryword").join(" "),
      words.toReversed().join(" "),
      words.slice(2).join(" "),
    ]) {
      const error: unknown = await person("Alice", { parts: { restore } }).catch(
        (reason: unknown) => reason,
      );
      if (!(error instanceof RecoveryError)) continue;
      const said = [error.message, JSON.stringify(error), String(error.cause)].join(" ");
      expect(said).not.toContain("canaryword");
      // Names of fields are words, too: only what they are said about is the phrase's.
      const own = words.filter((word) => word.length > 5 && !FIELDS.includes(word));
      for (const word of own) expect(said).not.toContain(word);
    }
  });

  it("with a name nobody may have, before the phrase is looked at", async () => {
    const attempt = person(" ", { parts: { restore: "" } });
    await expect(attempt).rejects.toMatchObject({ code: "usage", message: "not a usable name" });
  });
});

describe("the phrase of an account", () => {
  it("is the same in every tab, and gone with the messenger", async () => {
    const store = createMemoryStore();
    const [port, lock] = [createTabBus(), createTestLock()];
    const first = await person("Alice", { store: kept(store), parts: { lock, tabs: port() } });
    const second = await person("Alice", { store: kept(store), parts: { lock, tabs: port() } });
    expect(second.diagnostics.value.role).toBe("follower");
    const words = await first.recoveryPhrase({ language: "english" });
    expect(await second.recoveryPhrase({ language: "english" })).toEqual(words);
    await second.close();
    await expect(second.recoveryPhrase({ language: "english" })).rejects.toMatchObject({
      code: "closed",
    });
  });

  it("exists in two languages", async () => {
    const alice = await person("Alice");
    const language = "klingon" as RecoveryLanguage;
    await expect(alice.recoveryPhrase({ language })).rejects.toMatchObject({ code: "usage" });
  });
});
