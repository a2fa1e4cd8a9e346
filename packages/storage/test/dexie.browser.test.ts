import type {
  DeviceOffer,
  MessageRow,
  OutboxRow,
  Peer,
  Post,
  SelfRecord,
  Store,
  StoreEvent,
} from "@sotto/protocol";
import { NO_DEVICES, NO_LIST_MARK, NO_SPARES, orderKey } from "@sotto/protocol";
import {
  ADDRESSES_MAX,
  asContentId,
  bytesToHex,
  encodeContent,
  type QueueAddress,
} from "@sotto/wire";
import { cdp } from "vitest/browser";
import { afterEach, describe, expect, test, vi } from "vitest";
import { openDexieStore } from "@sotto/storage";
import {
  INVITED_PEER,
  OPEN_PEER,
  POSTS,
  sampleChange,
  sampleConversation,
  sampleGroup,
  sampleMessage,
  sampleOutbox,
  samplePost,
  sampleSelf,
  sampleSender,
  storeAcceptance,
} from "@sotto/storage/acceptance";

import { allRaw, done, methodOf, put, putRaw } from "./raw-database.ts";

const open: Store[] = [];
const names: string[] = [];

function newName(): string {
  const name = `test-${crypto.randomUUID()}`;
  names.push(name);
  return name;
}

async function connect(name: string): Promise<Store> {
  const store = await openDexieStore({ name });
  open.push(store);
  return store;
}

afterEach(async () => {
  vi.restoreAllMocks();
  for (const store of open.splice(0)) store.close();
  for (const name of names.splice(0)) await done(indexedDB.deleteDatabase(name));
});

storeAcceptance("Dexie", () => connect(newName()), { describe, test, expect });

describe("a Dexie store on disk", () => {
  test("is there again after it was closed", async () => {
    const name = newName();
    const first = await connect(name);
    const change = sampleChange("a", 1, {
      conversation: sampleConversation("a", 1, OPEN_PEER),
      putMessages: [sampleMessage("a", 1)],
      putOutbox: [sampleOutbox("a", 1)],
      addPosts: [samplePost("a", 2), samplePost("a", 1)],
    });
    await first.saveSelf(sampleSelf("Alice"));
    await first.commit(change);
    first.close();
    const second = await connect(name);
    expect(await second.loadSelf()).toEqual(sampleSelf("Alice"));
    expect(await second.loadAll()).toEqual({
      conversations: [change.conversation],
      outbox: change.putOutbox,
      posts: change.addPosts.toReversed(),
      groups: [],
      senders: [],
      damaged: 0,
    });
    expect((await second.messages("a", { limit: 1 })).rows).toEqual(change.putMessages);
  });

  test("writes every commit in one strictly durable transaction", async () => {
    // Dexie takes hold of the method when it opens.
    const begin = vi.spyOn(IDBDatabase.prototype, "transaction");
    const store = await connect(newName());
    begin.mockClear();
    await store.commit(
      sampleChange("a", 1, {
        putMessages: [sampleMessage("a", 1)],
        putOutbox: [sampleOutbox("a", 1)],
        deleteOutbox: ["b"],
        delivered: ["c"],
        addPosts: [samplePost("a", 1)],
        takePosts: ["d"],
        self: sampleSelf("Alice"),
      }),
    );
    const writes = begin.mock.calls.filter(([, mode]) => mode === "readwrite");
    expect(writes).toHaveLength(1);
    expect(writes[0]?.[2]).toEqual({ durability: "strict" });
  });

  test("resolves a commit only when its transaction is complete", async () => {
    const order: string[] = [];
    const begin = methodOf(IDBDatabase.prototype, "transaction");
    vi.spyOn(IDBDatabase.prototype, "transaction").mockImplementation(function (
      this: IDBDatabase,
      ...args
    ) {
      const transaction = begin.apply(this, args);
      if (transaction.mode === "readwrite") {
        transaction.addEventListener("complete", () => order.push("complete"));
      }
      return transaction;
    });
    const store = await connect(newName());
    order.length = 0;
    store.watch(() => order.push("told"));
    await store.commit(sampleChange("a", 1));
    order.push("resolved");
    expect(order).toEqual(["complete", "told", "resolved"]);
  });
});

describe("a crash of a Dexie store", () => {
  /** Which write of a commit is the last one before the crash. */
  test.each(["self", "conversations", "tail", "heads", "outbox", "posts"])(
    "at the write to %s leaves nothing of the commit",
    async (table) => {
      const name = newName();
      const store = await connect(name);
      const earlier = sampleChange("a", 1, {
        putMessages: [sampleMessage("a", 0), sampleMessage("a", 1)],
        putOutbox: [sampleOutbox("a", 1)],
        addPosts: [samplePost("a", 1)],
        self: sampleSelf("Alice"),
      });
      await store.commit(earlier);
      const put = methodOf(IDBObjectStore.prototype, "put");
      const spy = vi.spyOn(IDBObjectStore.prototype, "put").mockImplementation(function (
        this: IDBObjectStore,
        ...args
      ) {
        const request = put.apply(this, args);
        if (this.name === table) this.transaction.abort();
        return request;
      });
      const change = sampleChange("a", 2, {
        putMessages: [sampleMessage("a", 1, { status: "relayed" }), sampleMessage("a", 2)],
        putOutbox: [sampleOutbox("a", 2)],
        deleteOutbox: [sampleOutbox("a", 1).id],
        delivered: [sampleMessage("a", 0).id],
        addPosts: [samplePost("a", 2)],
        takePosts: [samplePost("a", 1).id],
        self: sampleSelf("Alice B."),
      });
      expect(await store.commit(change)).toEqual({ ok: false, reason: "closed" });
      spy.mockRestore();
      const again = await connect(name);
      expect(await again.loadAll()).toEqual({
        conversations: [earlier.conversation],
        outbox: earlier.putOutbox,
        posts: earlier.addPosts,
        groups: [],
        senders: [],
        damaged: 0,
      });
      expect(await again.loadSelf()).toEqual(earlier.self);
      expect((await again.messages("a", { limit: 50 })).rows).toEqual(earlier.putMessages);
      expect(await again.commit(change)).toEqual({ ok: true });
    },
  );

  test("with commits under way leaves each whole or absent, and what was said is true", async () => {
    const name = newName();
    const store = await connect(name);
    await store.commit(sampleChange("0", 1));
    const ids = Array.from({ length: 20 }, (_, at) => `c${at}`);
    const results = ids.map((id) =>
      store.commit(
        sampleChange(id, 1, {
          putMessages: [sampleMessage(id, 1)],
          putOutbox: [sampleOutbox(id, 1)],
        }),
      ),
    );
    await results[0];
    store.close();
    const outcomes = await Promise.all(results);
    const again = await connect(name);
    const { conversations, outbox } = await again.loadAll();
    for (const [at, id] of ids.entries()) {
      const parts = [
        conversations.some((one) => one.id === id),
        outbox.some((row) => row.conversation === id),
        (await again.messages(id, { limit: 1 })).rows.length === 1,
      ];
      expect(new Set(parts).size, `${id} in part`).toBe(1);
      if (outcomes[at]?.ok === true) expect(parts[0], `${id} was promised`).toBe(true);
    }
    expect(outcomes[0]).toEqual({ ok: true });
  });
});

describe("two connections to one Dexie store", () => {
  test("see each other's commits and conflict on one version", async () => {
    const name = newName();
    const [first, second] = [await connect(name), await connect(name)];
    const outcomes = await Promise.all(
      [first, second].map((store, at) =>
        store.commit(sampleChange("a", 1, { putMessages: [sampleMessage("a", at)] })),
      ),
    );
    expect(outcomes.filter((one) => one.ok)).toHaveLength(1);
    expect(outcomes.filter((one) => !one.ok)).toEqual([{ ok: false, reason: "conflict" }]);
    const winner = outcomes.findIndex((one) => one.ok);
    for (const store of [first, second]) {
      expect((await store.messages("a", { limit: 50 })).rows).toEqual([sampleMessage("a", winner)]);
    }
    expect(await second.commit(sampleChange("a", 2))).toEqual({ ok: true });
    expect((await first.loadAll()).conversations[0]?.version).toBe(2);
  });

  test("tell each other commits in order, with rows, and nothing of refused ones", async () => {
    const name = newName();
    const [writer, reader] = [await connect(name), await connect(name)];
    const seen: StoreEvent[] = [];
    reader.watch((event) => seen.push(event));
    await writer.saveSelf(sampleSelf("Alice"));
    await writer.commit(sampleChange("b", 1, { self: sampleSelf("Alice B.") }));
    for (let version = 1; version <= 20; version++) {
      await writer.commit(
        sampleChange("a", version, { putMessages: [sampleMessage("a", version)] }),
      );
      await writer.commit(sampleChange("a", version));
    }
    await vi.waitFor(() => expect(seen).toHaveLength(23), { timeout: 10_000 });
    expect(seen).toEqual([
      { conversation: undefined, messages: [] },
      { conversation: undefined, messages: [] },
      { conversation: "b", messages: [] },
      ...Array.from({ length: 20 }, (_, at) => ({
        conversation: "a",
        messages: [sampleMessage("a", at + 1)],
      })),
    ]);
  });

  test("ignore what is no event on their channel", async () => {
    const name = newName();
    const [writer, reader] = [await connect(name), await connect(name)];
    const seen: StoreEvent[] = [];
    reader.watch((event) => seen.push(event));
    const stranger = new BroadcastChannel(`sotto:store:${name}`);
    stranger.postMessage({ conversation: "a", messages: [{ id: "damaged" }] });
    stranger.postMessage("hello");
    // Through the same channel, so that it comes after the two when they come at all.
    stranger.postMessage({ conversation: "b", messages: [] });
    await vi.waitFor(() => expect(seen.length).toBeGreaterThan(0), { timeout: 10_000 });
    stranger.close();
    expect(seen).toEqual([{ conversation: "b", messages: [] }]);
    await writer.commit(sampleChange("a", 1));
    await vi.waitFor(() => expect(seen).toHaveLength(2), { timeout: 10_000 });
  });
});

describe("a Dexie store whose disk is gone", () => {
  test("is closed when another tab deletes the database, and does not bring it back", async () => {
    const name = newName();
    const store = await connect(name);
    await store.commit(sampleChange("a", 1));
    await done(indexedDB.deleteDatabase(name));
    expect(await store.commit(sampleChange("a", 2))).toEqual({ ok: false, reason: "closed" });
    await expect(store.loadAll()).rejects.toMatchObject({ name: "StorageError", code: "closed" });
    expect((await indexedDB.databases()).map((one) => one.name)).not.toContain(name);
  });

  test("is closed when another tab brings a later form of the database", async () => {
    const name = newName();
    const store = await connect(name);
    const later = await done(indexedDB.open(name, 1_000));
    later.close();
    expect(await store.commit(sampleChange("a", 1))).toEqual({ ok: false, reason: "closed" });
  });

  test("is not opened while another tab keeps an older form", async () => {
    const name = newName();
    const old = await done(indexedDB.open(name, 5));
    await expect(openDexieStore({ name })).rejects.toMatchObject({ code: "blocked" });
    old.close();
  });

  test("is not taken for a new one when a newer version wrote it", async () => {
    const name = newName();
    const newer = await done(indexedDB.open(name, 1_000));
    newer.close();
    await expect(openDexieStore({ name })).rejects.toMatchObject({ code: "unreadable" });
  });

  test.each([
    ["UnknownError", "unreadable"],
    ["QuotaExceededError", "full"],
  ])("is not taken for a new one after %s", async (reason, code) => {
    vi.spyOn(IDBFactory.prototype, "open").mockImplementation(() => {
      throw new DOMException("broken", reason);
    });
    await expect(openDexieStore({ name: newName() })).rejects.toMatchObject({ code });
  });

  test("is refused where the browser gives no storage", async () => {
    vi.spyOn(IDBFactory.prototype, "open").mockImplementation(() => {
      throw new DOMException("denied", "SecurityError");
    });
    const opening = openDexieStore({ name: newName() });
    await expect(opening).rejects.toMatchObject({ name: "StorageError", code: "refused" });
  });

  test("says full when the quota is used up, loses nothing and works again after", async () => {
    const { origin } = location;
    // Chromium remembers for a while how much was free; it forgets with the last connection.
    await cdp().send("Storage.clearDataForOrigin", { origin, storageTypes: "indexeddb" });
    await cdp().send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 1_000_000 });
    const store = await connect(newName());
    const kept = sampleChange("a", 1, { putMessages: [sampleMessage("a", 1)] });
    const text = "x".repeat(16_384);
    const big = sampleChange("a", 2, {
      putMessages: Array.from({ length: 200 }, (_, at) => sampleMessage("a", at + 2, { text })),
    });
    try {
      expect(await store.commit(kept)).toEqual({ ok: true });
      expect(await store.commit(big)).toEqual({ ok: false, reason: "full" });
      expect((await store.loadAll()).conversations).toEqual([kept.conversation]);
      expect((await store.messages("a", { limit: 50 })).rows).toEqual(kept.putMessages);
    } finally {
      await cdp().send("Storage.overrideQuotaForOrigin", { origin });
    }
    expect(await store.commit(big)).toEqual({ ok: true });
  });
});

describe("damaged rows of a Dexie store", () => {
  test("that wait to be sent are skipped and counted when they say something else than is shown", async () => {
    const name = newName();
    const store = await connect(name);
    const message = sampleMessage("a", 1);
    const id = asContentId(new Uint8Array(16).fill(7));
    const time = { ms: 1_700_000_000_000, counter: 3 };
    const order = orderKey(time, new Uint8Array(20), bytesToHex(id));
    const whole = sampleOutbox("a", 1, {
      awaits: bytesToHex(id),
      message: { ...message, id: bytesToHex(id), order },
      content: encodeContent({ kind: "text", id, time, text: message.text }),
    });
    await store.commit(sampleChange("a", 1, { putOutbox: [whole] }));
    const flipped = [0, 1, 22, 24, 27].map((at) => {
      const content = whole.content?.slice() ?? new Uint8Array(at + 1);
      content[at] = (content[at] ?? 0) ^ 1;
      return { ...whole, id: `flipped-${at}`, content };
    });
    await putRaw(name, "outbox", flipped);
    expect(await store.loadAll()).toMatchObject({ outbox: [whole], damaged: flipped.length });
  });

  /** Each field of a record, broken in turn: missing (unless optional), of another type, of another length. */
  const broken = (row: object, optional: readonly string[] = []): readonly object[] =>
    Object.entries(row).flatMap(([field, value]: [string, unknown]) => {
      const wrong: unknown[] = [{ of: "another type" }];
      if (value instanceof Uint8Array && !optional.includes(field)) wrong.push([...value]);
      // Bundles and headers have no one length: wire and crypto read them.
      if (value instanceof Uint8Array && value.length <= 256) wrong.push(new Uint8Array(65));
      if (typeof value === "number") wrong.push(-1, 0.5, "1");
      const { [field]: _, ...without } = { ...row } as Record<string, unknown>;
      return [
        ...wrong.map((replacement) => ({ ...row, [field]: replacement })),
        ...(optional.includes(field) ? [] : [without]),
      ];
    });

  /** Everything that may be wrong with a list of devices, a way to a device and a mark. */
  const { devices: known } = sampleConversation("x", 1);
  const badLists = [
    ...broken(known.list ?? {}),
    ...broken(known.list?.devices[0] ?? {}).map((one) => ({ ...known.list, devices: [one] })),
    ...broken(known.list?.removed[0] ?? {}).map((one) => ({ ...known.list, removed: [one] })),
  ];
  const badLinks = [...broken(known.links[0] ?? {}), { device: "51", conversation: "pair" }];
  const badMarks = [
    ...broken(known.pinned ?? {}),
    { version: 256, prefix: new Uint8Array(8) },
    { version: 0, prefix: new Uint8Array(8).fill(1) },
  ];
  const [way] = known.offers;
  const badOffers = [
    ...broken(way ?? {}),
    ...broken(way?.addresses[0] ?? {}).map((one) => ({ ...way, addresses: [one] })),
    { ...way, addresses: Array.from({ length: ADDRESSES_MAX + 1 }, () => way?.addresses[0]) },
    ...[
      ...broken(way?.bundle ?? {}),
      ...broken(way?.bundle.signedPrekey ?? {}).map((one) => ({
        ...way?.bundle,
        signedPrekey: one,
      })),
      ...broken(way?.bundle.kemPrekey ?? {}, ["oneTimeKey"]).map((one) => ({
        ...way?.bundle,
        kemPrekey: one,
      })),
      {
        ...way?.bundle,
        kemPrekey: { ...way?.bundle.kemPrekey, key: new Uint8Array(1_185) },
      },
    ].map((bundle) => ({ ...way, bundle })),
  ];

  test("in what is known of devices are skipped and counted with their conversation", async () => {
    const name = newName();
    const store = await connect(name);
    const whole = sampleConversation("whole", 1, OPEN_PEER);
    await store.commit(sampleChange("whole", 1, { conversation: whole }));
    const devices = [
      ...broken(known, ["list", "pinned", "behind", "fork", "teller", "past", "late"]),
      ...badLists.flatMap((list) => [
        { ...known, list },
        { ...known, later: [list] },
      ]),
      ...badLinks.map((link) => ({ ...known, links: [link] })),
      ...badMarks.map((pinned) => ({ ...known, pinned })),
      ...badOffers.map((offer) => ({ ...known, offers: [offer] })),
      ...broken(known.missing[0] ?? {}).map((one) => ({ ...known, missing: [one] })),
      ...broken(known.passing[0] ?? {}).map((one) => ({ ...known, passing: [one] })),
      { ...known, introduced: [{ device: "not a name", version: 1 }] },
      ...broken(known.news, ["anew"]).map((news) => ({ ...known, news })),
    ];
    const record = sampleConversation("x", 1, OPEN_PEER);
    const rows = [
      ...devices.map((one) => ({ ...record, devices: one })),
      ...badMarks.map((mark) => ({ ...record, peer: { ...OPEN_PEER, mark } })),
    ].map((row, at) => ({ ...row, id: `x${at}` }));
    expect(rows.length).toBeGreaterThan(150);
    await putRaw(name, "conversations", rows);
    const { conversations, damaged } = await store.loadAll();
    expect(conversations).toEqual([whole]);
    expect(damaged).toBe(rows.length);
  });

  const MAY_BE_MISSING: Readonly<Record<string, readonly string[]>> = {
    begin: ["offer"],
    presented: ["teller"],
    withdraw: ["group"],
  };

  test("among the posts are skipped and counted, whichever field is broken", async () => {
    const name = newName();
    const store = await connect(name);
    const whole = POSTS.map((post, at) => samplePost("whole", at, post));
    await store.commit(sampleChange("whole", 1, { addPosts: whole }));
    const posts = [
      ...POSTS.flatMap((post) => broken(post, MAY_BE_MISSING[post.kind] ?? [])),
      ...badOffers.map((offer) => ({ kind: "offer", offer })),
      ...badMarks.map((mark) => ({ kind: "mark", mark })),
      { kind: "content", content: new Uint8Array(3), path: "satellite" },
      { kind: "reach", device: "77", content: new Uint8Array(3) },
      { kind: "of a later version" },
    ].map((post) => ({ ...samplePost("x", 1), post }));
    const { id: _, ...row } = samplePost("x", 1);
    const rows = [...broken(row), ...posts].map((one, at) => ({ ...one, id: `x${at}` }));
    expect(rows.length).toBeGreaterThan(80);
    await putRaw(name, "posts", rows);
    expect(await store.loadAll()).toEqual({
      conversations: [sampleConversation("whole", 1)],
      outbox: [],
      posts: whole,
      groups: [],
      senders: [],
      damaged: rows.length,
    });
  });

  test("of history are neither raised nor told", async () => {
    const name = newName();
    const store = await connect(name);
    const whole = sampleMessage("a", 1);
    const damaged = { ...sampleMessage("a", 2), text: 7 };
    await putRaw(name, "history", [damaged]);
    await store.commit(sampleChange("a", 1, { addMessages: [whole] }));
    const told: StoreEvent[] = [];
    store.watch((event) => told.push(event));
    await store.commit(sampleChange("a", 2, { delivered: [whole.id, damaged.id] }));
    const raised = { ...whole, status: "delivered" };
    expect(told).toEqual([{ conversation: "a", messages: [raised] }]);
    expect(await allRaw(name, "history")).toEqual([damaged]);
  });

  test("in conversations and outbox are skipped and counted, whichever field is broken", async () => {
    const name = newName();
    const store = await connect(name);
    const whole = sampleChange("whole", 1, {
      conversation: sampleConversation("whole", 1, OPEN_PEER),
      putOutbox: [sampleOutbox("whole", 1)],
    });
    await store.commit(whole);
    if (OPEN_PEER.state !== "open" || INVITED_PEER.state !== "invited") throw new Error("samples");
    const { contact, change, sessions: all, spares: some, ...rest } = OPEN_PEER;
    const { invite } = INVITED_PEER;
    const peers = [
      ...broken(rest, ["change"]).map((one) => ({
        ...one,
        sessions: all,
        spares: some,
      })),
      ...broken(change ?? {}).map((one) => ({ ...OPEN_PEER, change: one })),
      ...broken(INVITED_PEER),
      ...broken(contact).map((one) => ({ ...OPEN_PEER, contact: one })),
      ...broken(invite).map((one) => ({ ...INVITED_PEER, invite: one })),
    ];
    const { id: _, ...record } = sampleConversation("x", 1, OPEN_PEER);
    const rows = [
      ...broken(record, ["last", "parent"]),
      ...peers.map((peer) => ({ ...record, peer })),
    ].map((row, at) => ({ ...row, id: `x${at}` }));
    const { id: __, ...sealed } = sampleOutbox("x", 1, { envelope: new Uint8Array(256) });
    const waiting = broken(sealed, [
      "awaits",
      "content",
      "message",
      "relayedAt",
      "copiedAt",
      "group",
      "recipients",
    ]).map((row, at) => ({ ...row, id: `o${at}` }));
    const empty = { ...sampleOutbox("x", 2), envelope: undefined };
    expect(rows.length).toBeGreaterThan(100);
    await putRaw(name, "conversations", rows);
    await putRaw(name, "outbox", [...waiting, empty]);
    expect(await store.loadAll()).toEqual({
      conversations: [whole.conversation],
      outbox: whole.putOutbox,
      posts: [],
      groups: [],
      senders: [],
      damaged: rows.length + waiting.length + 1,
    });
  });

  test("of groups are skipped and counted, whichever field is broken", async () => {
    const name = newName();
    const store = await connect(name);
    const whole = sampleChange("whole", 1, {
      group: sampleGroup("whole"),
      putSenders: [sampleSender("whole")],
    });
    await store.commit(whole);
    const { conversation: _, ...group } = sampleGroup("x");
    const { log } = group;
    const [logged] = log.ops.values();
    const logs = [
      ...broken(log),
      ...broken(logged ?? {}, ["authority"]).map((one) => ({ ...log, ops: new Map([["x", one]]) })),
      ...broken(log.state).map((state) => ({ ...log, state })),
      { ...log, ops: new Map([["not an id", logged]]) },
    ];
    const groups = [...broken(group), ...logs.map((one) => ({ ...group, log: one }))].map(
      (row, at) => ({ ...row, conversation: `g${at}` }),
    );
    const { conversation: __, ...sender } = sampleSender("x");
    const [chain] = sender.sender?.chains ?? [];
    const senders = [
      ...broken(sender, ["sender", "chain", "device"]),
      ...broken(sender.chain ?? {}).map((one) => ({ ...sender, chain: one })),
      ...broken(chain ?? {}, ["end"]).map((one) => ({
        ...sender,
        sender: { ...sender.sender, chains: [one] },
      })),
      ...broken(sender.held[0] ?? {}, ["envelope"]).map((one) => ({ ...sender, held: [one] })),
    ]
      .filter(({ device }: { device?: unknown }) => typeof device === "string")
      .map((row, at) => ({ ...row, conversation: `s${at}` }));
    await putRaw(name, "groups", groups);
    await putRaw(name, "senders", senders);
    expect(groups.length + senders.length).toBeGreaterThan(100);
    expect(await store.loadAll()).toMatchObject({
      groups: [whole.group],
      senders: whole.putSenders,
      damaged: groups.length + senders.length,
    });
  });

  test("in a ratchet are left out and counted: the conversation is there, to begin a new session", async () => {
    const name = newName();
    const store = await connect(name);
    if (OPEN_PEER.state !== "open") throw new Error("samples");
    const { sessions, spares } = OPEN_PEER;
    const [session] = sessions;
    const step = session?.kem.step;
    if (session === undefined || step?.kind !== "offering") throw new Error("samples");
    const steps = [
      ...broken(step),
      ...broken({ kind: "ready", secret: new Uint8Array(32) }),
      ...broken({ kind: "awaiting", received: step.received }),
      { ...step, received: [{ index: 1, bytes: new Uint8Array(31) }] },
      { kind: "answering", secret: new Uint8Array(32), block: new Uint8Array(1_087), next: 0 },
    ];
    const maySession = ["ownRatchetKey", "remoteRatchetKey", "sending", "receiving", "helloHeader"];
    const badSessions = [
      ...broken(session, maySession),
      ...broken(session.kem).map((kem) => ({ ...session, kem })),
      ...steps.map((one) => ({ ...session, kem: { ...session.kem, step: one } })),
    ];
    const badSpares = [
      ...broken(spares, ["theirs"]),
      ...broken(spares.own[0] ?? {}).map((one) => ({ ...spares, own: [one] })),
      ...broken(spares.own[0]?.secrets ?? {}).map((one) => ({
        ...spares,
        own: [{ madeAt: 1, secrets: one }],
      })),
    ];
    const record = sampleConversation("x", 1, OPEN_PEER);
    const silent = { ...session, ownRatchetKey: undefined, sending: undefined };
    const good = { ...record, id: "silent", peer: { ...OPEN_PEER, sessions: [silent] } };
    await putRaw(name, "conversations", [good]);
    expect(await store.loadAll()).toMatchObject({ damaged: 0, conversations: [good] });
    const peers = [
      ...badSessions.map((one) => ({ ...OPEN_PEER, sessions: [...sessions, one] })),
      { ...OPEN_PEER, sessions: "none" },
      ...badSpares.map((one) => ({ ...OPEN_PEER, spares: one })),
    ];
    expect(peers.length).toBeGreaterThan(80);
    await putRaw(
      name,
      "conversations",
      peers.map((peer, at) => ({ ...record, peer, id: `x${at}` })),
    );
    const { conversations, damaged } = await store.loadAll();
    expect(damaged).toBe(peers.length);
    expect(conversations).toHaveLength(peers.length + 1);
    const mended = new Map(conversations.map(({ id, peer }) => [id, peer]));
    for (const [at] of peers.entries()) {
      const isSession = at < badSessions.length;
      const isList = at === badSessions.length;
      expect(mended.get(`x${at}`), `row ${at}`).toEqual({
        ...OPEN_PEER,
        ...(isList ? { sessions: [] } : {}),
        ...(isSession || isList ? {} : { spares: NO_SPARES }),
      });
    }
  });

  test("of a later version are skipped: unknown states of peers and messages", async () => {
    const name = newName();
    const store = await connect(name);
    await store.commit(sampleChange("a", 1, { putMessages: [sampleMessage("a", 1)] }));
    await putRaw(name, "conversations", [
      { ...sampleConversation("b", 1), peer: { state: "group" } },
    ]);
    await putRaw(name, "history", [
      { ...sampleMessage("a", 2), status: "read" },
      { ...sampleMessage("a", 3), path: "satellite" },
    ]);
    expect((await store.loadAll()).damaged).toBe(1);
    const { rows } = await store.messages("a", { limit: 50 });
    expect(rows).toEqual([sampleMessage("a", 1)]);
  });

  test("never hide the messages around them from a page", async () => {
    const name = newName();
    const store = await connect(name);
    const whole = Array.from({ length: 60 }, (_, at) => sampleMessage("a", at * 10));
    await store.commit(sampleChange("a", 1, { putMessages: whole }));
    const damaged = Array.from({ length: 130 }, (_, at) => ({
      ...sampleMessage("a", 301 + at),
      text: 7,
    })).filter(({ id }) => !whole.some((row) => row.id === id));
    await putRaw(name, "history", damaged);
    const newest = await store.messages("a", { limit: 50 });
    expect(newest).toEqual({ rows: whole.slice(10), hasMore: true });
    const rest = await store.messages("a", { before: newest.rows[0]?.order ?? "", limit: 50 });
    expect(rest).toEqual({ rows: whole.slice(0, 10), hasMore: false });
  });

  test("that hold the identity are told from having none: of a later version, too", async () => {
    const name = newName();
    const store = await connect(name);
    await putRaw(name, "self", [{ version: 2, sealed: new Uint8Array(80) }], "self");
    expect(await store.loadSelf()).toBe("damaged");
    expect(await (await connect(newName())).loadSelf()).toBeUndefined();
  });

  test("that hold the identity are told whatever is wrong with its devices", async () => {
    const name = newName();
    const store = await connect(name);
    const self = sampleSelf("Alice");
    const devices = [
      ...broken(self.devices),
      ...badLists.map((list) => ({ ...self.devices, lists: [list] })),
      ...badLinks.map((link) => ({ ...self.devices, links: [link] })),
    ];
    const outcomes: unknown[] = [];
    for (const one of [self.devices, ...devices]) {
      await putRaw(name, "self", [{ ...self, devices: one }], "self");
      outcomes.push(await store.loadSelf());
    }
    expect(outcomes).toEqual([self, ...devices.map(() => "damaged")]);
  });

  test.each([
    ["saved", (store: Store, self: SelfRecord) => store.saveSelf(self)],
    ["committed", (store: Store, self: SelfRecord) => store.commit(sampleChange("a", 1, { self }))],
  ])("that hold the identity are put aside when a new one is %s", async (_, save) => {
    const name = newName();
    const store = await connect(name);
    const damaged = { ...sampleSelf("Alice"), rootSecret: new Uint8Array(31) };
    await putRaw(name, "self", [damaged], "self");
    expect(await store.loadSelf()).toBe("damaged");
    expect(await save(store, sampleSelf("Alice again"))).toEqual({ ok: true });
    await store.saveSelf(sampleSelf("Alice again"));
    expect(await store.loadSelf()).toEqual(sampleSelf("Alice again"));
    expect(await allRaw(name, "self")).toEqual([damaged, sampleSelf("Alice again")]);
  });
});

describe("a Dexie store of version 1", () => {
  test("keeps its history, damaged rows included, and lists no conversation in the future", async () => {
    const name = newName();
    const old = await oldDatabase(name);
    const future = { time: { ms: 2 ** 46, counter: 0 }, text: "later", own: false };
    const past = { ...future, time: { ms: 1_700_000_000_000, counter: 0 } };
    const damaged = { ...sampleMessage("a", 2), status: "read" };
    if (OPEN_PEER.state !== "open") throw new Error("samples");
    const { spares: _, change: __, sessions, ...rest } = peerWithoutDevices(OPEN_PEER);
    // Before the post-quantum ratchet, one session of each role.
    const [session] = sessions.map(({ kem: ___, ...one }) => one);
    const oldSessions = [session, { ...session, initiator: false }];
    const before = { ...rest, sessions: oldSessions } as unknown as typeof OPEN_PEER;
    const { devices: ____, relays: _____, ...self } = sampleSelf("Alice");
    const relayKey = new Uint8Array(32).fill(7);
    await put(old, "self", [{ ...self, relayKey }], "self");
    await put(old, "messages", [sampleMessage("a", 1), damaged, sampleMessage("b", 1)]);
    await put(old, "conversations", [
      { ...sampleConversation("a", 1, before), last: future },
      { ...sampleConversation("b", 1, OPEN_PEER), last: past },
      sampleConversation("c", 1),
      { id: "damaged" },
    ]);
    old.close();
    const openedAt = Date.now();
    const store = await connect(name);
    expect(await store.loadSelf()).toEqual({
      ...self,
      devices: { lists: [], links: [], met: 0, reach: [] },
      relays: [{ url: "", key: relayKey, derived: false }],
    });
    expect((await store.messages("a", { limit: 50 })).rows).toEqual([sampleMessage("a", 1)]);
    expect((await store.messages("b", { limit: 50 })).rows).toEqual([sampleMessage("b", 1)]);
    const change = sampleChange("a", 2, { addMessages: [sampleMessage("a", 2)] });
    expect(await store.commit(change)).toEqual({ ok: false, reason: "known" });
    const { conversations, damaged: count } = await store.loadAll();
    expect(count).toBe(1);
    const [a, b, c] = conversations;
    expect(a?.last?.at).toBeGreaterThanOrEqual(openedAt);
    expect(a?.last?.at).toBeLessThanOrEqual(Date.now());
    expect(a?.peer).toMatchObject({ ...rest, spares: NO_SPARES, received: new Uint8Array(0) });
    const steps = a?.peer.state === "open" ? a.peer.sessions.map(({ kem }) => kem.step) : [];
    expect(steps).toEqual([{ kind: "due" }, { kind: "awaiting", received: [] }]);
    expect(b?.last).toEqual({ ...past, at: past.time.ms });
    expect(c?.last).toBeUndefined();
  });

  /** As the first version of the adapter made it. */
  function oldDatabase(name: string): Promise<IDBDatabase> {
    const request = indexedDB.open(name, 10);
    request.onupgradeneeded = () => {
      const db = request.result;
      db.createObjectStore("self");
      db.createObjectStore("conversations", { keyPath: "id" });
      const messages = db.createObjectStore("messages", { keyPath: "id" });
      messages.createIndex("[conversation+order]", ["conversation", "order"]);
      db.createObjectStore("outbox", { keyPath: "id" }).createIndex("conversation", "conversation");
    };
    return done(request);
  }
});

describe("a Dexie store of version 3", () => {
  test("knows one device of everybody, and posts nothing again that waits", async () => {
    const name = newName();
    const old = await oldDatabase(name);
    if (OPEN_PEER.state !== "open") throw new Error("samples");
    const peer = peerWithoutDevices(OPEN_PEER);
    const { devices: _, relays: ____, ...self } = sampleSelf("Alice");
    const putAside = { ...self, rootSecret: new Uint8Array(31) };
    await put(old, "self", [putAside], "damaged-1");
    await put(old, "self", [self], "self");
    const records = [
      sampleConversation("invited", 1, INVITED_PEER),
      sampleConversation("notes", 1),
      sampleConversation("open", 1, OPEN_PEER),
    ];
    const oldRecords = records.map(({ parent: __, devices: ___, ...record }) => ({
      ...record,
      peer: record.peer.state === "open" ? peer : record.peer,
    }));
    await put(old, "conversations", [...oldRecords, { id: "damaged" }]);
    const row = sampleOutbox("open", 1);
    const { spread: __, ...oldRow } = row;
    await put(old, "outbox", [oldRow]);
    await put(old, "history", [sampleMessage("open", 1)]);
    old.close();
    const store = await connect(name);
    expect(await store.loadSelf()).toEqual({
      ...self,
      devices: { lists: [], links: [], met: 0, reach: [] },
      relays: [{ url: "", key: undefined, derived: false }],
    });
    expect(await store.loadAll()).toEqual({
      conversations: oldRecords.map((record) => ({
        ...record,
        parent: undefined,
        listed: true,
        devices: NO_DEVICES,
        peer:
          record.peer.state === "open"
            ? { ...peer, retired: false, mark: NO_LIST_MARK, announced: 0, offeredAt: 0 }
            : record.peer,
      })),
      outbox: [{ ...row, spread: true }],
      posts: [],
      groups: [],
      senders: [],
      damaged: 1,
    });
    expect((await store.messages("open", { limit: 50 })).rows).toEqual([sampleMessage("open", 1)]);
    const change = sampleChange("open", 2, { addPosts: [samplePost("open", 1)] });
    expect(await store.commit(change)).toEqual({ ok: true });
    expect((await store.loadAll()).posts).toEqual(change.addPosts);
    const raw = await done(indexedDB.open(name));
    const aside: unknown = await done(raw.transaction("self").objectStore("self").get("damaged-1"));
    raw.close();
    expect(aside).toEqual(putAside);
  });

  test("may be empty", async () => {
    const name = newName();
    const old = await oldDatabase(name);
    old.close();
    const store = await connect(name);
    expect(await store.loadSelf()).toBeUndefined();
    const empty = { conversations: [], outbox: [], posts: [], groups: [], senders: [], damaged: 0 };
    expect(await store.loadAll()).toEqual(empty);
  });

  /** As the third version of the adapter made it. */
  function oldDatabase(name: string): Promise<IDBDatabase> {
    const request = indexedDB.open(name, 30);
    request.onupgradeneeded = () => {
      const db = request.result;
      db.createObjectStore("self");
      db.createObjectStore("conversations", { keyPath: "id" });
      const history = db.createObjectStore("history", { keyPath: ["conversation", "id"] });
      history.createIndex("[conversation+order]", ["conversation", "order"]);
      db.createObjectStore("outbox", { keyPath: "id" }).createIndex("conversation", "conversation");
    };
    return done(request);
  }
});

describe("a Dexie store of version 4", () => {
  test("has groups that count strays from here on, and so have those that counted them otherwise", async () => {
    const name = newName();
    const request = indexedDB.open(name, 40);
    request.onupgradeneeded = () => {
      const db = request.result;
      db.createObjectStore("self");
      db.createObjectStore("conversations", { keyPath: "id" });
      const history = db.createObjectStore("history", { keyPath: ["conversation", "id"] });
      history.createIndex("[conversation+order]", ["conversation", "order"]);
      db.createObjectStore("outbox", { keyPath: "id" }).createIndex("conversation", "conversation");
      db.createObjectStore("groups", { keyPath: "conversation" });
      db.createObjectStore("senders", { keyPath: ["conversation", "device"] });
      db.createObjectStore("posts", { keyPath: "id" }).createIndex("from", "from");
    };
    const old = await done(request);
    const group = sampleGroup("circle");
    const { siblings: _, late: __, brought: ___, guests: ____, ...log } = group.log;
    const counts = {
      siblings: new Map(),
      late: new Map(),
      brought: new Map(),
      guests: new Map(),
      awaited: new Map(),
    };
    const byAccount = new Map([["aa".repeat(20), ["bb".repeat(8)]]]);
    await put(old, "groups", [
      { ...group, log },
      // As versions 5 to 10 counted.
      {
        ...group,
        conversation: "counted",
        log: { ...log, siblings: new Map(), late: 7, awaited: byAccount },
      },
      { conversation: "damaged" },
    ]);
    old.close();
    const store = await connect(name);
    expect(await store.loadAll()).toMatchObject({
      groups: [
        { ...group, log: { ...log, ...counts } },
        { ...group, conversation: "counted", log: { ...log, ...counts } },
      ],
      damaged: 1,
    });
  });
});

describe("a Dexie store of version 5", () => {
  test("has lists of addresses from here on", async () => {
    const name = newName();
    const request = indexedDB.open(name, 50);
    request.onupgradeneeded = () => {
      const db = request.result;
      db.createObjectStore("self");
      db.createObjectStore("conversations", { keyPath: "id" });
      const history = db.createObjectStore("history", { keyPath: ["conversation", "id"] });
      history.createIndex("[conversation+order]", ["conversation", "order"]);
      db.createObjectStore("outbox", { keyPath: "id" }).createIndex("conversation", "conversation");
      db.createObjectStore("groups", { keyPath: "conversation" });
      db.createObjectStore("senders", { keyPath: ["conversation", "device"] });
      db.createObjectStore("posts", { keyPath: "id" }).createIndex("from", "from");
    };
    const old = await done(request);
    type Addressed = { readonly addresses: readonly QueueAddress[] };
    const unlisted = <T extends Addressed>({ addresses: [address], ...rest }: T) => ({
      ...rest,
      address,
    });
    const first = <T extends Addressed>(one: T): T => ({
      ...one,
      addresses: one.addresses.slice(0, 1),
    });
    if (OPEN_PEER.state !== "open" || INVITED_PEER.state !== "invited") throw new Error("no peer");
    const open = sampleConversation("a", 1, OPEN_PEER);
    const inviting = sampleConversation("b", 1, INVITED_PEER);
    const { addressedAt: _, ...contact } = OPEN_PEER.contact;
    const { offers } = open.devices;
    const posts = POSTS.map((post, at) => samplePost("a", at, post));
    const row = sampleOutbox("a", 1);
    const { copiedAt: __, ...sentRow } = row;
    await put(old, "conversations", [
      {
        ...open,
        peer: { ...OPEN_PEER, contact, queue: unlisted(OPEN_PEER.queue) },
        devices: { ...open.devices, offers: offers.map(unlisted) },
      },
      { ...inviting, peer: { ...INVITED_PEER, queue: unlisted(INVITED_PEER.queue) } },
    ]);
    await put(old, "outbox", [sentRow]);
    const offered = (post: Post): post is Extract<Post, { offer: DeviceOffer }> =>
      "offer" in post && post.offer !== undefined;
    await put(
      old,
      "posts",
      posts.map((one) =>
        offered(one.post)
          ? { ...one, post: { ...one.post, offer: unlisted(one.post.offer) } }
          : one,
      ),
    );
    old.close();
    const store = await connect(name);
    const loaded = await store.loadAll();
    expect(loaded.damaged).toBe(0);
    const addressedAt = { ms: 0, counter: 0 };
    expect(loaded.conversations[0]).toEqual({
      ...open,
      peer: {
        ...OPEN_PEER,
        contact: { ...OPEN_PEER.contact, addressedAt },
        queue: first(OPEN_PEER.queue),
      },
      devices: { ...open.devices, offers: offers.map(first) },
    });
    expect(loaded.conversations[1]).toMatchObject({ peer: { queue: { addresses: [] } } });
    expect(loaded.outbox).toEqual([row]);
    expect(loaded.posts.map(({ post }) => post)).toEqual(
      POSTS.map((post) => (offered(post) ? { ...post, offer: first(post.offer) } : post)),
    );
  });
});

describe("a long history in a Dexie store", () => {
  test("of 5,000 messages comes in pages of 50, each message once and in order", async () => {
    const store = await connect(newName());
    const all = Array.from({ length: 5_000 }, (_, at) => sampleMessage("a", at));
    await store.commit(sampleChange("a", 1, { putMessages: all.toReversed() }));
    await store.commit(sampleChange("b", 1, { putMessages: [sampleMessage("b", 2_500)] }));
    let seen: readonly MessageRow[] = [];
    let pages = 0;
    for (let hasMore = true; hasMore; pages++) {
      const before = seen[0]?.order;
      const page = await store.messages("a", {
        limit: 50,
        ...(before === undefined ? {} : { before }),
      });
      expect(page.rows).toHaveLength(50);
      seen = [...page.rows, ...seen];
      ({ hasMore } = page);
    }
    expect(pages).toBe(100);
    expect(seen).toEqual(all);
  });

  test("and an outbox of 1,000 rows comes back in order of sending", async () => {
    const store = await connect(newName());
    const rows: OutboxRow[] = Array.from({ length: 1_000 }, (_, at) => sampleOutbox("a", at));
    await store.commit(sampleChange("a", 1, { putOutbox: rows.toReversed() }));
    expect((await store.loadAll()).outbox).toEqual(rows);
  });
});

type OpenPeer = Extract<Peer, { state: "open" }>;

/** An open peer as it was while accounts had one device. */
function peerWithoutDevices(
  peer: OpenPeer,
): Omit<OpenPeer, "retired" | "mark" | "announced" | "offeredAt"> {
  const { retired: _, mark: __, announced: ___, offeredAt: ____, ...rest } = peer;
  return rest;
}
