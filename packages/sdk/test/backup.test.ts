/** One file that brings a lost device back, and of which nothing is taken when it is not whole. */
import type { CommitResult, Store } from "@sotto/protocol";
import {
  BackupError,
  type BackupRefusal,
  type Messenger,
  MessengerError,
  type RestoredBackup,
} from "@sotto/sdk";
import { createMemoryStore } from "@sotto/storage/memory";
import {
  BACKUP_CHUNK_BYTES,
  BACKUP_HEADER_BYTES,
  BACKUP_TAG_BYTES,
  beginBackup,
  sealBackupChunk,
} from "@sotto/crypto/backup";
import { createWebCryptoFileEngine } from "@sotto/engines";
import { startRelay } from "sotto-relay";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { lineOf } from "#src/backup-rows.ts";
import { openTestMessenger, until } from "./support.ts";

const randomBytes = (length: number): Uint8Array<ArrayBuffer> =>
  crypto.getRandomValues(new Uint8Array(length));

let relay: Awaited<ReturnType<typeof startRelay>>;
const open: Messenger[] = [];

beforeAll(async () => {
  relay = await startRelay({ port: 0 });
});
afterAll(() => relay.close());
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
});

/** A store that outlives its messenger, as a disk does. */
const kept = (store: Store): Store => ({ ...store, close: () => undefined });

async function person(name: string, store: Store, backup?: RestoredBackup): Promise<Messenger> {
  const parts = backup === undefined ? {} : { backup };
  const messenger = await openTestMessenger({
    relayUrl: relay.url,
    name,
    store: kept(store),
    parts,
  });
  open.push(messenger);
  return messenger;
}

async function meet(alice: Messenger, bob: Messenger) {
  const invite = await alice.invite();
  await until(alice.conversations, (all) => all.some((one) => one.invite?.active === true));
  const accepted = await bob.accept(invite.url);
  if (!accepted.ok) throw new Error(accepted.reason);
  await until(alice.conversations, (all) => all.some((one) => one.kind === "contact"));
  return { ofAlice: invite.conversation, ofBob: accepted.conversation };
}

function conversationOf(messenger: Messenger, id: string) {
  const found = messenger.conversation(id);
  if (found === undefined) throw new Error("no such conversation");
  return found;
}

const textsOf = (messenger: Messenger, id: string): readonly string[] =>
  conversationOf(messenger, id).timeline.value.messages.map(({ text }) => text);

const reads = (messenger: Messenger, id: string, text: string) =>
  until(conversationOf(messenger, id).timeline, ({ messages }) =>
    messages.some((one) => one.text === text),
  );

const saved = async (messenger: Messenger, passphrase?: string): Promise<Blob> =>
  new Response(await messenger.backup(passphrase === undefined ? {} : { passphrase })).blob();

const phraseOf = async (messenger: Messenger): Promise<string> =>
  (await messenger.recoveryPhrase({ language: "english" })).join(" ");

async function refusalOf(attempt: Promise<unknown>): Promise<BackupRefusal> {
  const error: unknown = await attempt.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof BackupError)) throw new Error(`no BackupError: ${String(error)}`);
  expect(error).toBeInstanceOf(MessengerError);
  return error.reason;
}

async function isEmpty(store: Store): Promise<boolean> {
  const { conversations } = await store.loadAll();
  return (await store.loadSelf()) === undefined && conversations.length === 0;
}

describe("a device that was lost", () => {
  it("comes back from its file and the phrase: talks on with everybody, in both directions", async () => {
    const bob = await person("Bob", createMemoryStore());
    const alice = await person("Alice", createMemoryStore());
    const { ofAlice, ofBob } = await meet(alice, bob);
    for (let at = 0; at < 130; at++) await conversationOf(alice, ofAlice).send(`note ${at}`);
    await conversationOf(bob, ofBob).send("你好 😀");
    await reads(alice, ofAlice, "你好 😀");
    await reads(bob, ofBob, "note 129");
    await conversationOf(alice, ofAlice).setVerified(true);
    const file = await saved(alice);
    const phrase = await phraseOf(alice);
    const number = await conversationOf(alice, ofAlice).safetyNumber();
    const { accountId } = alice.me.value;
    // What is said after it was made is not in it: the sessions that it has are older than Bob's.
    await conversationOf(alice, ofAlice).send("after the backup");
    await reads(bob, ofBob, "after the backup");
    await alice.close();
    await conversationOf(bob, ofBob).send("while you were away");

    const again = await person("ignored", createMemoryStore(), { file, phrase });
    expect(again.me.value).toMatchObject({ name: "Alice", accountId });
    await reads(again, ofAlice, "while you were away");
    const conversation = conversationOf(again, ofAlice);
    expect(conversation.view.value).toMatchObject({ name: "Bob", verified: true });
    expect(await conversation.safetyNumber()).toEqual(number);
    while (conversation.timeline.value.hasOlder) await conversation.loadOlder();
    const texts = textsOf(again, ofAlice);
    expect(texts).toContain("你好 😀");
    for (let at = 0; at < 130; at++) expect(texts).toContain(`note ${at}`);
    expect(new Set(texts).size).toBe(texts.length);
    await conversation.send("here I am");
    await reads(bob, ofBob, "here I am");
    await conversationOf(bob, ofBob).send("welcome back");
    await reads(again, ofAlice, "welcome back");
    expect(bob.conversation(ofBob)?.view.value.newIdentity).toBeUndefined();
  });

  it("comes back by the file's own passphrase, and by no other", async () => {
    const alice = await person("Alice", createMemoryStore());
    const notes = alice.conversations.value[0]?.id ?? "";
    await conversationOf(alice, notes).send("to myself");
    const file = await saved(alice, "correct horse");
    await alice.close();
    const store = createMemoryStore();
    const wrong = person("Eve", store, { file, passphrase: "battery staple" });
    expect(await refusalOf(wrong)).toBe("wrong-secret");
    expect(await isEmpty(store)).toBe(true);
    const again = await person("ignored", store, { file, passphrase: "correct horse" });
    await reads(again, notes, "to myself");
  });

  it("takes the place of an identity that nobody knows yet, and of no other", async () => {
    const alice = await person("Alice", createMemoryStore());
    const file = await saved(alice);
    const phrase = await phraseOf(alice);
    const { accountId } = alice.me.value;
    await alice.close();
    const unused = createMemoryStore();
    await (await person("Fresh", unused)).close();
    const again = await person("ignored", unused, { file, phrase });
    expect(again.me.value.accountId).toBe(accountId);

    const used = createMemoryStore();
    const other = await person("Other", used);
    await other.invite();
    await other.close();
    expect(await refusalOf(person("ignored", used, { file, phrase }))).toBe("identity-exists");
    const still = await person("ignored", used);
    expect(still.me.value).toMatchObject({ name: "Other" });
  });
});

describe("an identity that cannot be read any more", () => {
  /** As after a fault of the disk: what is stored next can be read. */
  function damaged(store: Store): Store {
    let isDamaged = true;
    return {
      ...store,
      loadSelf: () => (isDamaged ? Promise.resolve("damaged") : store.loadSelf()),
      async clear() {
        isDamaged = false;
        return store.clear();
      },
      async saveSelf(self) {
        isDamaged = false;
        return store.saveSelf(self);
      },
    };
  }

  it("comes back from a file of the device, which keeps what is newer than the file", async () => {
    const bob = await person("Bob", createMemoryStore());
    const store = createMemoryStore();
    const alice = await person("Alice", store);
    const { ofAlice, ofBob } = await meet(alice, bob);
    const file = await saved(alice);
    const phrase = await phraseOf(alice);
    await conversationOf(alice, ofAlice).send("after the backup");
    await reads(bob, ofBob, "after the backup");
    await alice.close();
    const broken = damaged(store);
    await expect(person("Alice", broken)).rejects.toThrow("identity unreadable");
    const cutOff = { file: file.slice(0, file.size - 1), phrase };
    expect(await refusalOf(person("Alice", broken, cutOff))).toBe("damaged");

    const again = await person("ignored", broken, { file, phrase });
    expect(again.me.value.name).toBe("Alice");
    await reads(again, ofAlice, "after the backup");
    await conversationOf(again, ofAlice).send("here I am");
    await reads(bob, ofBob, "here I am");
    await conversationOf(bob, ofBob).send("so you are");
    await reads(again, ofAlice, "so you are");
  });

  it("gives way to a file of another device, unless there is a history", async () => {
    const other = await person("Other", createMemoryStore());
    const notes = other.conversations.value[0]?.id ?? "";
    await conversationOf(other, notes).send("of the other one");
    const [file, phrase] = [await saved(other), await phraseOf(other)];
    await other.close();
    const store = createMemoryStore();
    await (await person("Alice", store)).close();
    const again = await person("ignored", damaged(store), { file, phrase });
    expect(again.me.value.name).toBe("Other");
    await reads(again, notes, "of the other one");
    expect(again.conversations.value).toHaveLength(1);

    const used = createMemoryStore();
    const bob = await person("Bob", used);
    await conversationOf(bob, bob.conversations.value[0]?.id ?? "").send("to keep");
    await bob.close();
    const refused = person("ignored", damaged(used), { file, phrase });
    expect(await refusalOf(refused)).toBe("identity-exists");
    expect((await used.loadAll()).conversations).toHaveLength(1);
  });
});

describe("a file that is not whole", () => {
  let file: Blob;
  let phrase: string;

  beforeAll(async () => {
    const alice = await person("Alice", createMemoryStore());
    const notes = alice.conversations.value[0]?.id ?? "";
    // Three chunks.
    for (let at = 0; at < 150; at++) {
      const bytes = crypto.getRandomValues(new Uint8Array(12_000));
      await conversationOf(alice, notes).send(Buffer.from(bytes).toString("base64"));
    }
    file = await saved(alice, "pass");
    phrase = await phraseOf(alice);
    expect(file.size).toBeGreaterThan(BACKUP_HEADER_BYTES + 2 * BACKUP_CHUNK_BYTES);
  }, 60_000);

  const attempt = async (changed: Blob, secret = phrase): Promise<BackupRefusal> => {
    const store = createMemoryStore();
    const reason = await refusalOf(person("x", store, { file: changed, phrase: secret }));
    expect(await isEmpty(store)).toBe(true);
    return reason;
  };
  const flipped = async (at: number): Promise<Blob> => {
    const bytes = new Uint8Array(await file.arrayBuffer());
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    return new Blob([bytes]);
  };

  it("is refused for what it is, and nothing of it is taken", async () => {
    const chunk = BACKUP_CHUNK_BYTES + BACKUP_TAG_BYTES;
    expect(await attempt(await flipped(0))).toBe("not-a-backup");
    expect(await attempt(await flipped(BACKUP_HEADER_BYTES - 61))).toBe("wrong-secret");
    expect(await attempt(await flipped(BACKUP_HEADER_BYTES))).toBe("damaged");
    expect(await attempt(await flipped(file.size - 1))).toBe("damaged");
    expect(await attempt(file.slice(0, file.size - 1))).toBe("damaged");
    expect(await attempt(file.slice(0, BACKUP_HEADER_BYTES + chunk))).toBe("cut-off");
    expect(await attempt(file.slice(0, BACKUP_HEADER_BYTES))).toBe("damaged");
    expect(await attempt(file.slice(0, BACKUP_HEADER_BYTES - 1))).toBe("not-a-backup");
    expect(await attempt(new Blob([file, "more"]))).toBe("damaged");
    expect(await attempt(new Blob([]))).toBe("not-a-backup");
  });

  it.each([
    [0, "damaged"],
    [2, "newer"],
  ])("whose rows are of format %d is %s, whoever takes it", async (format, reason) => {
    const from = createMemoryStore();
    const alice = await person("Alice", from);
    const self = await from.loadSelf();
    if (self === undefined || self === "damaged") throw new Error("no identity");
    const env = { entropy: randomBytes, files: createWebCryptoFileEngine(crypto.subtle) };
    const { header, keys } = await beginBackup(self.rootSecret, "pass", env);
    const lines = [
      { kind: "begin", format, madeAt: 0 },
      { kind: "self", self },
      { kind: "end", conversations: 0, messages: 0 },
    ] as const;
    const rows = new TextEncoder().encode(lines.map((line) => `${lineOf(line)}\n`).join(""));
    const chunk = await sealBackupChunk(keys, 0, rows, true, env.files);
    const other = new Blob([Uint8Array.from(header), Uint8Array.from(chunk)]);
    const store = createMemoryStore();
    const restoring = person("x", store, { file: other, passphrase: "pass" });
    expect(await refusalOf(restoring)).toBe(reason);
    expect(await isEmpty(store)).toBe(true);
    expect(await refusalOf(alice.importBackup(other))).toBe(reason);
  });

  /** The disk is full after two commits. */
  async function cutOff(store: Store): Promise<void> {
    let left = 2;
    const commit = (...of: Parameters<Store["commit"]>): Promise<CommitResult> =>
      left-- > 0 ? store.commit(...of) : Promise.resolve({ ok: false, reason: "full" });
    await expect(person("x", { ...store, commit }, { file, phrase })).rejects.toThrow("full");
  }

  it("that could not be restored to its end leaves nothing behind in another one's place", async () => {
    const store = createMemoryStore();
    await cutOff(store);
    const other = await person("Other", createMemoryStore());
    const others = { file: await saved(other), phrase: await phraseOf(other) };
    await person("ignored", store, others);
    expect((await store.loadAll()).conversations).toHaveLength(1);
  });

  it("that could not be restored to its end can be restored again, and nothing else begins there", async () => {
    const store = createMemoryStore();
    await cutOff(store);
    await expect(person("New", store)).rejects.toThrow("unreadable");
    const again = await person("ignored", store, { file, passphrase: "pass" });
    const notes = conversationOf(again, again.conversations.value[0]?.id ?? "");
    while (notes.timeline.value.hasOlder) await notes.loadOlder();
    expect(notes.timeline.value.messages).toHaveLength(150);
  });
});

describe("a device that is in use", () => {
  it("takes from a file of its account what it does not have, once, in conversations that it has", async () => {
    const bob = await person("Bob", createMemoryStore());
    const store = createMemoryStore();
    const alice = await person("Alice", store);
    const { ofAlice, ofBob } = await meet(alice, bob);
    const phrase = await phraseOf(alice);
    const early = await saved(alice);
    await conversationOf(alice, ofAlice).send("only in the later file");
    await reads(bob, ofBob, "only in the later file");
    const notes = alice.conversations.value.find((one) => one.kind === "notes")?.id ?? "";
    await conversationOf(alice, notes).send("a note");
    const late = await saved(alice);
    await alice.close();

    const again = await person("ignored", createMemoryStore(), { file: early, phrase });
    expect(textsOf(again, ofAlice)).not.toContain("only in the later file");
    expect(await again.importBackup(late)).toMatchObject({ unknown: 0 });
    await reads(again, ofAlice, "only in the later file");
    await reads(again, notes, "a note");
    await again.importBackup(late);
    expect(textsOf(again, ofAlice).filter((one) => one === "only in the later file")).toHaveLength(
      1,
    );
    await conversationOf(again, ofAlice).send("stands behind it");
    await reads(bob, ofBob, "stands behind it");
    expect(textsOf(again, ofAlice).at(-1)).toBe("stands behind it");

    expect(await refusalOf(bob.importBackup(late))).toBe("other-account");
    const cutOff = late.slice(0, late.size - 1);
    expect(await refusalOf(again.importBackup(cutOff))).toBe("damaged");
    // Somebody who has come back from the phrase alone knows nobody of the file.
    const fresh = await openTestMessenger({
      relayUrl: relay.url,
      name: "Alice, new",
      parts: { restore: phrase },
    });
    open.push(fresh);
    expect(await fresh.importBackup(late)).toEqual({ messages: 1, unknown: 1 });
  });

  it("makes no file with a passphrase that is none", async () => {
    const alice = await person("Alice", createMemoryStore());
    for (const passphrase of ["", "x".repeat(1_001)]) {
      await expect(alice.backup({ passphrase })).rejects.toThrow("passphrase");
    }
  });
});
