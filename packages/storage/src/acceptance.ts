/**
 * What every `Store` does, as a list of sentences to run over an adapter.
 * Owns: behaviour common to all adapters. Leaves to each adapter's tests: disks, tabs, damaged rows.
 * The test tools come from the caller, so that nothing shipped imports a test runner.
 * Spec: protocol/SPEC.md §2.
 */
import type { MessageRow, PostRow, Store, StoreEvent } from "@sotto/protocol";
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
} from "./records.ts";

export {
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
} from "./records.ts";

export interface TestTools {
  readonly describe: (name: string, run: () => void) => unknown;
  readonly test: (name: string, run: () => Promise<void>) => unknown;
  readonly expect: (value: unknown) => { toEqual(expected: unknown): void };
}

/** `createStore` answers with an empty store each time. The suite closes what it opens. */
export function storeAcceptance(
  name: string,
  createStore: () => Promise<Store>,
  tools: TestTools,
): void {
  const { expect } = tools;
  const test = (sentence: string, run: (store: Store) => Promise<void>): void => {
    tools.test(sentence, async () => {
      const store = await createStore();
      try {
        await run(store);
      } finally {
        store.close();
      }
    });
  };

  tools.describe(`${name}: groups`, () => {
    test("come back with their logs and chains, as they were last written", async (store) => {
      const [group, own, other] = [
        sampleGroup("a", 1),
        { ...sampleSender("a", 1), sender: undefined },
        { ...sampleSender("a", 2), chain: undefined },
      ];
      await store.commit(sampleChange("a", 1, { group, putSenders: [own, other] }));
      await store.commit(sampleChange("b", 1, { group: sampleGroup("b", 5) }));
      const later = { ...own, held: [] };
      await store.commit(sampleChange("a", 2, { putSenders: [later] }));
      const { groups, senders, damaged } = await store.loadAll();
      const byDevice = senders.toSorted((x, y) => (x.device < y.device ? -1 : 1));
      expect([groups, byDevice, damaged]).toEqual([
        [group, sampleGroup("b", 5)],
        [later, other],
        0,
      ]);
    });

    test("are not written by a change that is refused", async (store) => {
      await store.commit(sampleChange("a", 1));
      const change = sampleChange("a", 1, {
        group: sampleGroup("a"),
        putSenders: [sampleSender("a")],
      });
      expect(await store.commit(change)).toEqual({ ok: false, reason: "conflict" });
      const { groups, senders } = await store.loadAll();
      expect([groups, senders]).toEqual([[], []]);
    });
  });

  tools.describe(`${name}: the identity`, () => {
    test("is missing in a new store", async (store) => {
      expect(await store.loadSelf()).toEqual(undefined);
    });

    test("is the one of the last commit that had one", async (store) => {
      await store.saveSelf(sampleSelf("Alice"));
      await store.commit(sampleChange("a", 1, { self: sampleSelf("Alice B.") }));
      await store.commit(sampleChange("a", 2));
      expect(await store.loadSelf()).toEqual(sampleSelf("Alice B."));
    });

    test("is the one saved last", async (store) => {
      expect(await store.saveSelf(sampleSelf("Alice"))).toEqual({ ok: true });
      const pinned = { ...sampleSelf("Alice B."), relays: [] };
      expect(await store.saveSelf(pinned)).toEqual({ ok: true });
      expect(await store.loadSelf()).toEqual(pinned);
    });
  });

  tools.describe(`${name}: a commit`, () => {
    test("writes record, rows, outbox, posts and identity together", async (store) => {
      const change = sampleChange("a", 1, {
        conversation: {
          ...sampleConversation("a", 1, OPEN_PEER),
          last: {
            time: { ms: 1_700_000_000_000, counter: 0 },
            at: 1_700_000_000_000,
            text: "message 2",
            own: true,
          },
        },
        addMessages: [sampleMessage("a", 2)],
        putMessages: [sampleMessage("a", 1)],
        putOutbox: [sampleOutbox("a", 1)],
        addPosts: [samplePost("a", 1)],
        self: sampleSelf("Alice"),
      });
      expect(await store.commit(change)).toEqual({ ok: true });
      expect(await store.loadAll()).toEqual({
        conversations: [change.conversation],
        outbox: change.putOutbox,
        posts: change.addPosts,
        groups: [],
        senders: [],
        damaged: 0,
      });
      expect(await store.loadSelf()).toEqual(change.self);
      expect(await store.messages("a", { limit: 50 })).toEqual({
        rows: [...change.putMessages, ...change.addMessages],
        hasMore: false,
      });
    });

    test("keeps every state of a peer", async (store) => {
      const states = [
        sampleConversation("invited", 1, INVITED_PEER),
        sampleConversation("notes", 1),
        sampleConversation("open", 1, OPEN_PEER),
        { ...sampleConversation("pair", 1, OPEN_PEER), parent: "open" },
        sampleConversation("refused", 1, { state: "refused", reason: "expired" }),
        sampleConversation("removed", 1, { state: "refused", reason: "removed" }),
        sampleConversation("taken", 1, { state: "refused", reason: "gone" }),
      ];
      for (const conversation of states) {
        await store.commit(sampleChange(conversation.id, 1, { conversation }));
      }
      const { conversations } = await store.loadAll();
      expect(conversations.toSorted((a, b) => (a.id < b.id ? -1 : 1))).toEqual(states);
    });

    for (const [sentence, expectedVersion] of [
      ["as if it were new", 0],
      ["on the version before", 1],
      ["on a version that is not there yet", 3],
    ] as const) {
      test(`made ${sentence} is a conflict and writes nothing`, async (store) => {
        const kept = sampleMessage("a", 3);
        await store.commit(
          sampleChange("a", 1, { addMessages: [kept], self: sampleSelf("Alice") }),
        );
        await store.commit(
          sampleChange("a", 2, {
            putOutbox: [sampleOutbox("a", 1)],
            addPosts: [samplePost("a", 1)],
          }),
        );
        const before = await store.loadAll();
        const late = sampleChange("a", expectedVersion + 1, {
          putMessages: [sampleMessage("a", 1)],
          putOutbox: [sampleOutbox("a", 2)],
          deleteOutbox: [sampleOutbox("a", 1).id],
          delivered: [kept.id],
          addPosts: [samplePost("a", 2)],
          takePosts: [samplePost("a", 1).id],
          self: sampleSelf("Alice B."),
        });
        expect(await store.commit(late)).toEqual({ ok: false, reason: "conflict" });
        expect(await store.loadAll()).toEqual(before);
        expect((await store.messages("a", { limit: 50 })).rows).toEqual([kept]);
        expect(await store.loadSelf()).toEqual(sampleSelf("Alice"));
      });
    }

    test("on a conversation that is not there needs version 0", async (store) => {
      const change = sampleChange("a", 2);
      expect(await store.commit(change)).toEqual({ ok: false, reason: "conflict" });
      expect((await store.loadAll()).conversations).toEqual([]);
    });

    test("and its rival on the same version: exactly one is written", async (store) => {
      const rivals = [1, 2, 3].map((at) =>
        store.commit(sampleChange("a", 1, { putMessages: [sampleMessage("a", at)] })),
      );
      const results = await Promise.all(rivals);
      expect(results.filter((result) => result.ok).length).toEqual(1);
      const winner = results.findIndex((result) => result.ok) + 1;
      const { rows } = await store.messages("a", { limit: 50 });
      expect(rows).toEqual([sampleMessage("a", winner)]);
    });

    test("puts a row again without a second copy", async (store) => {
      await store.commit(sampleChange("a", 1, { putMessages: [sampleMessage("a", 1)] }));
      const relayed = sampleMessage("a", 1, { status: "relayed", path: "relay" });
      await store.commit(sampleChange("a", 2, { putMessages: [relayed] }));
      await store.commit(sampleChange("a", 3, { putMessages: [relayed] }));
      expect((await store.messages("a", { limit: 50 })).rows).toEqual([relayed]);
    });

    for (const [whose, own, reason] of [
      ["an own", true, "taken"],
      ["a received", false, "known"],
    ] as const) {
      test(`that adds a row under the id of ${whose} one is refused whole`, async (store) => {
        const kept = sampleMessage("a", 1, { own });
        const waiting = sampleMessage("a", 4);
        await store.commit(
          sampleChange("a", 1, {
            addMessages: [kept, waiting],
            addPosts: [samplePost("a", 1)],
            self: sampleSelf("Alice"),
          }),
        );
        const before = await store.loadAll();
        const told: StoreEvent[] = [];
        store.watch((event) => told.push(event));
        // Of another time, so of another place in the order: id and author decide.
        const forged = { ...sampleMessage("a", 5, { own: false, text: "forged" }), id: kept.id };
        const change = sampleChange("a", 2, {
          addMessages: [sampleMessage("a", 2), forged],
          putOutbox: [sampleOutbox("a", 1)],
          delivered: [waiting.id],
          addPosts: [samplePost("a", 2)],
          takePosts: [samplePost("a", 1).id],
          self: sampleSelf("Alice B."),
        });
        const clash = { ok: false, reason, ...(own ? { ids: [kept.id] } : {}) };
        expect(await store.commit(change)).toEqual(clash);
        expect(await store.loadAll()).toEqual(before);
        expect((await store.messages("a", { limit: 50 })).rows).toEqual([kept, waiting]);
        expect(await store.loadSelf()).toEqual(sampleSelf("Alice"));
        expect(told).toEqual([]);
      });
    }

    test("that is known and late is a conflict", async (store) => {
      const change = sampleChange("a", 1, { addMessages: [sampleMessage("a", 1)] });
      await store.commit(change);
      expect(await store.commit(change)).toEqual({ ok: false, reason: "conflict" });
    });

    test("may use the id of another conversation's row", async (store) => {
      const here = sampleMessage("a", 1);
      const there = { ...sampleMessage("b", 1), id: here.id };
      await store.commit(sampleChange("a", 1, { addMessages: [here] }));
      expect(await store.commit(sampleChange("b", 1, { addMessages: [there] }))).toEqual({
        ok: true,
      });
      const relayed = { ...there, status: "relayed" } as const;
      await store.commit(sampleChange("b", 2, { putMessages: [relayed] }));
      expect((await store.messages("a", { limit: 50 })).rows).toEqual([here]);
      expect((await store.messages("b", { limit: 50 })).rows).toEqual([relayed]);
    });

    test("that comes late takes no row back", async (store) => {
      const queued = { putMessages: [sampleMessage("a", 1)], putOutbox: [sampleOutbox("a", 1)] };
      await store.commit(sampleChange("a", 1, queued));
      const delivered = sampleMessage("a", 1, { status: "delivered" });
      await store.commit(
        sampleChange("a", 2, { putMessages: [delivered], deleteOutbox: [sampleOutbox("a", 1).id] }),
      );
      await store.commit(sampleChange("a", 1, queued));
      await store.commit(sampleChange("a", 2, queued));
      expect((await store.loadAll()).outbox).toEqual([]);
      expect((await store.messages("a", { limit: 50 })).rows).toEqual([delivered]);
    });

    test("that puts and deletes one outbox row ends without it", async (store) => {
      const row = sampleOutbox("a", 1);
      await store.commit(sampleChange("a", 1, { putOutbox: [row], deleteOutbox: [row.id] }));
      expect((await store.loadAll()).outbox).toEqual([]);
    });

    test("deletes an outbox row that is not there without complaint", async (store) => {
      const change = sampleChange("a", 1, { deleteOutbox: ["nothing"] });
      expect(await store.commit(change)).toEqual({ ok: true });
    });

    test("leaves other conversations alone", async (store) => {
      for (const id of ["a", "b"]) {
        await store.commit(
          sampleChange(id, 1, {
            putMessages: [sampleMessage(id, 1)],
            putOutbox: [sampleOutbox(id, 1)],
          }),
        );
      }
      await store.commit(sampleChange("a", 2, { deleteOutbox: [sampleOutbox("a", 1).id] }));
      const { conversations, outbox } = await store.loadAll();
      const versionById = Object.fromEntries(conversations.map((one) => [one.id, one.version]));
      expect(versionById).toEqual({ a: 2, b: 1 });
      expect(outbox).toEqual([sampleOutbox("b", 1)]);
    });
  });

  tools.describe(`${name}: the outbox`, () => {
    test("comes back in order of sending", async (store) => {
      const rows = [3, 1, 10, 2].map((sequence) => sampleOutbox("a", sequence));
      await store.commit(sampleChange("a", 1, { putOutbox: rows }));
      const { outbox } = await store.loadAll();
      expect(outbox.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 10]);
    });

    test("keeps a row that is not sealed yet", async (store) => {
      const waiting = sampleOutbox("a", 1, {
        envelope: undefined,
        content: new Uint8Array([1, 2, 3]),
        message: undefined,
      });
      await store.commit(sampleChange("a", 1, { putOutbox: [waiting] }));
      expect((await store.loadAll()).outbox).toEqual([waiting]);
    });
  });

  tools.describe(`${name}: posts`, () => {
    test("of every kind are there until they are taken", async (store) => {
      const rows = POSTS.map((post, at) => samplePost("a", at, post));
      await store.commit(sampleChange("a", 1, { addPosts: rows }));
      expect((await store.loadAll()).posts).toEqual(rows);
      expect((await store.loadAll()).posts).toEqual(rows);
    });

    test("come back by sender, and each sender's in the order it made them", async (store) => {
      const of = (from: string, ...sequences: readonly number[]): readonly PostRow[] =>
        sequences.map((sequence) => samplePost(from, sequence));
      await store.commit(sampleChange("b", 1, { addPosts: of("b", 10, 9) }));
      await store.commit(sampleChange("a", 1, { addPosts: of("a", 12, 2, 101) }));
      await store.commit(sampleChange("b", 2, { addPosts: of("b", 1) }));
      const { posts } = await store.loadAll();
      expect(posts).toEqual([...of("a", 2, 12, 101), ...of("b", 1, 9, 10)]);
    });

    test("are taken and answered in the commit of the conversation they are for", async (store) => {
      const [taken, left] = [samplePost("a", 1), samplePost("a", 2)];
      await store.commit(sampleChange("a", 1, { addPosts: [taken, left] }));
      const change = sampleChange("pair-of-a", 1, {
        addMessages: [sampleMessage("pair-of-a", 1)],
        addPosts: [samplePost("pair-of-a", 1)],
        takePosts: [taken.id],
      });
      expect(await store.commit(change)).toEqual({ ok: true });
      const { conversations, posts } = await store.loadAll();
      expect(conversations.map(({ id, version }) => [id, version])).toEqual([
        ["a", 1],
        ["pair-of-a", 1],
      ]);
      expect(posts).toEqual([left, ...change.addPosts]);
    });

    test("are taken by one of two rivals only", async (store) => {
      const row = samplePost("a", 1);
      await store.commit(sampleChange("a", 1, { addPosts: [row] }));
      const results = await Promise.all(
        [1, 2].map((at) =>
          store.commit(
            sampleChange("b", 1, { addPosts: [samplePost("b", at)], takePosts: [row.id] }),
          ),
        ),
      );
      const winner = results.findIndex((result) => result.ok) + 1;
      expect(results.filter((result) => result.ok).length).toEqual(1);
      expect((await store.loadAll()).posts).toEqual([samplePost("b", winner)]);
    });

    test("that are not there are taken without complaint", async (store) => {
      const change = sampleChange("a", 1, { takePosts: ["nothing"] });
      expect(await store.commit(change)).toEqual({ ok: true });
    });
  });

  tools.describe(`${name}: history from another device`, () => {
    test("is added, in its order, and told", async (store) => {
      await store.commit(sampleChange("a", 1, { addMessages: [sampleMessage("a", 3)] }));
      const told: StoreEvent[] = [];
      store.watch((event) => told.push(event));
      const older = [sampleMessage("a", 1), sampleMessage("a", 2, { own: false })];
      expect(await store.commit(sampleChange("a", 2, { mergeMessages: older }))).toEqual({
        ok: true,
      });
      expect((await store.messages("a", { limit: 50 })).rows).toEqual([
        ...older,
        sampleMessage("a", 3),
      ]);
      expect(told).toEqual([{ conversation: "a", messages: older }]);
    });

    test("leaves what is there as it is, whoever wrote it", async (store) => {
      const rows = [
        sampleMessage("a", 1, { own: false }),
        sampleMessage("a", 2, { status: "delivered", path: "direct" }),
        sampleMessage("a", 3, { status: "relayed" }),
      ];
      await store.commit(sampleChange("a", 1, { addMessages: rows }));
      const told: StoreEvent[] = [];
      store.watch((event) => told.push(event));
      const mergeMessages = rows.map((row) => ({ ...row, own: !row.own, text: "other" }));
      await store.commit(sampleChange("a", 2, { mergeMessages }));
      expect((await store.messages("a", { limit: 50 })).rows).toEqual(rows);
      expect(told).toEqual([{ conversation: "a", messages: [] }]);
    });

    test("raises the sign of an own row that arrived, and takes none back", async (store) => {
      const rows = [
        sampleMessage("a", 1, { status: "relayed" }),
        sampleMessage("a", 2, { status: "delivered" }),
      ];
      await store.commit(sampleChange("a", 1, { addMessages: rows }));
      const mergeMessages = [
        sampleMessage("a", 1, { status: "delivered", text: "other" }),
        sampleMessage("a", 2, { status: "relayed" }),
      ];
      await store.commit(sampleChange("a", 2, { mergeMessages }));
      expect((await store.messages("a", { limit: 50 })).rows).toEqual([
        sampleMessage("a", 1, { status: "delivered" }),
        sampleMessage("a", 2, { status: "delivered" }),
      ]);
    });

    test("of one conversation is none of another's", async (store) => {
      await store.commit(sampleChange("a", 1, { addMessages: [sampleMessage("a", 1)] }));
      const there = { ...sampleMessage("b", 2), id: sampleMessage("a", 1).id };
      await store.commit(sampleChange("b", 1, { mergeMessages: [there] }));
      expect((await store.messages("a", { limit: 50 })).rows).toEqual([sampleMessage("a", 1)]);
      expect((await store.messages("b", { limit: 50 })).rows).toEqual([there]);
    });
  });

  tools.describe(`${name}: rows delivered elsewhere`, () => {
    test("are raised from every sign below, with the path they have", async (store) => {
      const rows = (["queued", "failed", "relayed"] as const).map((status, at) =>
        sampleMessage("a", at, { status, path: status === "relayed" ? "relay" : undefined }),
      );
      await store.commit(sampleChange("a", 1, { addMessages: rows }));
      const told: StoreEvent[] = [];
      store.watch((event) => told.push(event));
      const delivered = rows.map(({ id }) => id);
      await store.commit(sampleChange("a", 2, { delivered: [...delivered, ...delivered] }));
      const raised = rows.map((row) => ({ ...row, status: "delivered" }) as const);
      expect((await store.messages("a", { limit: 50 })).rows).toEqual(raised);
      expect(told).toEqual([{ conversation: "a", messages: raised }]);
    });

    test("stay as they are when they say so already, or are not own ones", async (store) => {
      const rows = [
        sampleMessage("a", 1, { status: "delivered", path: "direct" }),
        sampleMessage("a", 2, { own: false, status: "received", path: "relay" }),
        sampleMessage("a", 3, { own: false, status: "queued" }),
      ];
      await store.commit(sampleChange("a", 1, { addMessages: rows }));
      const told: StoreEvent[] = [];
      store.watch((event) => told.push(event));
      await store.commit(sampleChange("a", 2, { delivered: rows.map(({ id }) => id) }));
      expect((await store.messages("a", { limit: 50 })).rows).toEqual(rows);
      expect(told).toEqual([{ conversation: "a", messages: [] }]);
    });

    test("that are not there make no row, nor touch another conversation's", async (store) => {
      const there = { ...sampleMessage("b", 1), id: sampleMessage("a", 1).id };
      await store.commit(sampleChange("b", 1, { addMessages: [there] }));
      const change = sampleChange("a", 1, { delivered: [there.id, "nothing"] });
      expect(await store.commit(change)).toEqual({ ok: true });
      expect((await store.messages("a", { limit: 50 })).rows).toEqual([]);
      expect((await store.messages("b", { limit: 50 })).rows).toEqual([there]);
    });

    test("are raised when the commit itself writes them, and told once", async (store) => {
      const [added, put] = [sampleMessage("a", 1), sampleMessage("a", 2)];
      await store.commit(sampleChange("a", 1, { addMessages: [put] }));
      const told: StoreEvent[] = [];
      store.watch((event) => told.push(event));
      const change = sampleChange("a", 2, {
        addMessages: [added],
        putMessages: [{ ...put, status: "relayed", path: "relay" }],
        delivered: [added.id, put.id],
      });
      await store.commit(change);
      const raised = [
        { ...added, status: "delivered" },
        { ...put, status: "delivered", path: "relay" },
      ] as const;
      expect((await store.messages("a", { limit: 50 })).rows).toEqual(raised);
      expect(told).toEqual([{ conversation: "a", messages: raised }]);
    });
  });

  tools.describe(`${name}: a page of messages`, () => {
    const fill = async (store: Store, count: number): Promise<readonly MessageRow[]> => {
      const rows = Array.from({ length: count }, (_, at) => sampleMessage("a", at));
      await store.commit(sampleChange("a", 1, { putMessages: rows.toReversed() }));
      await store.commit(sampleChange("b", 1, { putMessages: [sampleMessage("b", 7)] }));
      return rows;
    };

    test("is empty without messages", async (store) => {
      expect(await store.messages("a", { limit: 50 })).toEqual({ rows: [], hasMore: false });
    });

    test("of as many as there are says that there are no more", async (store) => {
      const rows = await fill(store, 50);
      expect(await store.messages("a", { limit: 50 })).toEqual({ rows, hasMore: false });
    });

    test("of one fewer holds the newest and says that there are more", async (store) => {
      const rows = await fill(store, 51);
      expect(await store.messages("a", { limit: 50 })).toEqual({
        rows: rows.slice(1),
        hasMore: true,
      });
    });

    test("begins just after the row it is asked for, and says whether newer ones follow", async (store) => {
      const rows = await fill(store, 300);
      for (const [at, limit] of [
        [3, 5],
        [100, 120],
        [294, 4],
        [294, 5],
        [297, 5],
        [299, 5],
      ] as const) {
        expect(await store.messages("a", { after: rows[at]?.order ?? "", limit })).toEqual({
          rows: rows.slice(at + 1, at + 1 + limit),
          hasMore: at + 1 + limit < 300,
        });
      }
      expect((await store.messages("a", { after: "", limit: 2 })).rows).toEqual(rows.slice(0, 2));
    });

    test("ends just before the row it is asked for", async (store) => {
      const rows = await fill(store, 10);
      const before = rows[6]?.order ?? "";
      expect(await store.messages("a", { before, limit: 3 })).toEqual({
        rows: rows.slice(3, 6),
        hasMore: true,
      });
      const first = rows[0]?.order ?? "";
      expect(await store.messages("a", { before: first, limit: 3 })).toEqual({
        rows: [],
        hasMore: false,
      });
    });

    test("after page shows each message once, in order", async (store) => {
      const rows = await fill(store, 120);
      expect(await readAll(store, "a", 50)).toEqual(rows);
    });
  });

  tools.describe(`${name}: search`, () => {
    test("finds what texts contain, newest first, and says where", async (store) => {
      const texts = ["Good morning", "早上好", "MORNING again, morning"];
      const rows = texts.map((text, at) => sampleMessage("a", at, { text }));
      await store.commit(sampleChange("a", 1, { addMessages: rows }));
      await store.commit(sampleChange("b", 1, { addMessages: [sampleMessage("b", 9)] }));
      expect(await store.search("morn")).toEqual({
        hits: [
          {
            row: rows[2],
            ranges: [
              [0, 4],
              [15, 19],
            ],
          },
          { row: rows[0], ranges: [[5, 9]] },
        ],
        next: undefined,
      });
      expect((await store.search("好")).hits.map(({ row }) => row.text)).toEqual(["早上好"]);
      expect((await store.search("message", { conversation: "a" })).hits).toEqual([]);
    });

    test("gives fifty at a time, and the rest from there on", async (store) => {
      const rows = Array.from({ length: 51 }, (_, at) => sampleMessage("a", at));
      await store.commit(sampleChange("a", 1, { mergeMessages: rows }));
      const first = await store.search("message");
      const rest = await store.search("message", { from: first.next });
      const found = [...first.hits, ...rest.hits].map(({ row }) => row);
      expect([first.hits.length, found, rest.next]).toEqual([50, rows.toReversed(), undefined]);
      const whole = await store.search("message", { after: 1_700_000_000_001 });
      expect([whole.hits.length, whole.next]).toEqual([50, undefined]);
    });

    test("finds a text as it is now", async (store) => {
      await store.commit(sampleChange("a", 1, { putMessages: [sampleMessage("a", 1)] }));
      const edited = sampleMessage("a", 1, { text: "edited" });
      await store.commit(sampleChange("a", 2, { putMessages: [edited] }));
      expect((await store.search("message")).hits).toEqual([]);
      expect((await store.search("edit")).hits).toEqual([{ row: edited, ranges: [[0, 4]] }]);
    });
  });

  tools.describe(`${name}: watching`, () => {
    const record = (store: Store): { seen: StoreEvent[]; stop: () => void } => {
      const seen: StoreEvent[] = [];
      return { seen, stop: store.watch((event) => seen.push(event)) };
    };

    test("tells commits in their order, with their rows", async (store) => {
      const { seen } = record(store);
      await store.saveSelf(sampleSelf("Alice"));
      const commits = [1, 2, 3].map((version) =>
        store.commit(sampleChange("a", version, { putMessages: [sampleMessage("a", version)] })),
      );
      await Promise.all(commits);
      expect(seen).toEqual([
        { conversation: undefined, messages: [] },
        ...[1, 2, 3].map((at) => ({ conversation: "a", messages: [sampleMessage("a", at)] })),
      ]);
    });

    test("tells rows that are new and rows that changed", async (store) => {
      const { seen } = record(store);
      const rows = { addMessages: [sampleMessage("a", 1)], putMessages: [sampleMessage("a", 2)] };
      await store.commit(sampleChange("a", 1, rows));
      expect(seen).toEqual([
        { conversation: "a", messages: [sampleMessage("a", 1), sampleMessage("a", 2)] },
      ]);
    });

    test("tells an identity that changed, then the conversation it changed with", async (store) => {
      const { seen } = record(store);
      await store.commit(sampleChange("a", 1, { self: sampleSelf("Alice") }));
      await store.commit(sampleChange("a", 2));
      expect(seen).toEqual([
        { conversation: undefined, messages: [] },
        { conversation: "a", messages: [] },
        { conversation: "a", messages: [] },
      ]);
    });

    test("tells an identity after everything of its commit can be read", async (store) => {
      const reads: Promise<unknown>[] = [];
      const stop = store.watch(({ conversation }) => {
        if (conversation === undefined) reads.push(store.loadSelf(), store.loadAll());
      });
      const change = sampleChange("a", 1, { self: sampleSelf("Alice") });
      await store.commit(change);
      stop();
      expect(await Promise.all(reads)).toEqual([
        change.self,
        {
          conversations: [change.conversation],
          outbox: [],
          posts: [],
          groups: [],
          senders: [],
          damaged: 0,
        },
      ]);
    });

    test("tells after the commit can be read", async (store) => {
      const pages: Promise<unknown>[] = [];
      store.watch(() => pages.push(store.messages("a", { limit: 1 })));
      await store.commit(sampleChange("a", 1, { putMessages: [sampleMessage("a", 1)] }));
      expect(await Promise.all(pages)).toEqual([{ rows: [sampleMessage("a", 1)], hasMore: false }]);
    });

    test("tells nothing of a commit that was refused", async (store) => {
      await store.commit(sampleChange("a", 1));
      const { seen } = record(store);
      await store.commit(sampleChange("a", 1));
      expect(seen).toEqual([]);
    });

    test("ends for the one who stopped, not for others", async (store) => {
      const see = { first: 0, second: 0 };
      const stop = store.watch(() => see.first++);
      store.watch(() => see.second++);
      await store.commit(sampleChange("a", 1));
      stop();
      await store.commit(sampleChange("a", 2));
      expect(see).toEqual({ first: 1, second: 2 });
    });

    test("counts one function registered twice as two watchers", async (store) => {
      let calls = 0;
      const see = (): void => {
        calls++;
      };
      const stop = store.watch(see);
      store.watch(see);
      stop();
      await store.commit(sampleChange("a", 1));
      expect(calls).toEqual(1);
    });
  });

  tools.describe(`${name}: copies`, () => {
    test("are what the store keeps, gives and tells", async (store) => {
      const told: StoreEvent[] = [];
      store.watch((event) => told.push(event));
      const envelope = new Uint8Array(256).fill(1);
      const row = { ...sampleMessage("a", 1) };
      const change = sampleChange("a", 1, {
        putMessages: [row],
        putOutbox: [sampleOutbox("a", 1, { envelope })],
      });
      await store.commit(change);
      envelope.fill(2);
      row.text = "changed by the caller";
      const first = await store.loadAll();
      expect(first.outbox[0]?.envelope).toEqual(new Uint8Array(256).fill(1));
      first.outbox[0]?.envelope?.fill(3);
      expect((await store.loadAll()).outbox[0]?.envelope).toEqual(new Uint8Array(256).fill(1));
      expect((await store.messages("a", { limit: 1 })).rows[0]?.text).toEqual("message 1");
      expect(told[0]?.messages[0]?.text).toEqual("message 1");
    });

    test("that cannot be made refuse the whole commit", async (store) => {
      const broken: object = { ...sampleMessage("a", 2), text: () => "not data" };
      const putMessages: MessageRow[] = [sampleMessage("a", 1)];
      putMessages.push(Object.assign(sampleMessage("a", 2), broken));
      const change = sampleChange("a", 1, {
        putMessages,
        addPosts: [samplePost("a", 1)],
        self: sampleSelf("Alice"),
      });
      const failed = await store.commit(change).then(
        () => false,
        () => true,
      );
      expect(failed).toEqual(true);
      const empty = {
        conversations: [],
        outbox: [],
        posts: [],
        groups: [],
        senders: [],
        damaged: 0,
      };
      expect(await store.loadAll()).toEqual(empty);
      expect(await store.loadSelf()).toEqual(undefined);
      expect((await store.messages("a", { limit: 50 })).rows).toEqual([]);
    });
  });

  tools.describe(`${name}: a cleared store`, () => {
    test("is empty, and takes what comes next as a new one does", async (store) => {
      await store.saveSelf(sampleSelf("Alice"));
      const own = { ...sampleMessage("a", 1) };
      await store.commit(
        sampleChange("a", 1, { addMessages: [own], putOutbox: [sampleOutbox("a", 1)] }),
      );
      expect(await store.clear()).toEqual({ ok: true });
      expect(await store.loadSelf()).toEqual(undefined);
      const all = await store.loadAll();
      expect([all.conversations.length, all.outbox.length, all.damaged]).toEqual([0, 0, 0]);
      expect((await store.messages("a", { limit: 50 })).rows).toEqual([]);
      const again = await store.commit(sampleChange("a", 1, { addMessages: [own] }));
      expect(again).toEqual({ ok: true });
      store.close();
      expect(await store.clear()).toEqual({ ok: false, reason: "closed" });
    });
  });

  tools.describe(`${name}: a closed store`, () => {
    test("refuses writes, rejects reads and tells nothing", async (store) => {
      let told = 0;
      store.watch(() => told++);
      store.close();
      const refused = { ok: false, reason: "closed" };
      expect(await store.commit(sampleChange("a", 1))).toEqual(refused);
      expect(await store.saveSelf(sampleSelf("Alice"))).toEqual(refused);
      const reads = [
        store.loadSelf(),
        store.loadAll(),
        store.messages("a", { limit: 1 }),
        store.search("a"),
      ];
      const outcomes = await Promise.allSettled<unknown>(reads);
      for (const outcome of outcomes) {
        const reason: unknown = outcome.status === "rejected" ? outcome.reason : undefined;
        expect(reason instanceof Error && "code" in reason && reason.code).toEqual("closed");
      }
      expect(told).toEqual(0);
    });

    test("can be closed again", async (store) => {
      store.close();
      store.close();
      expect(await store.commit(sampleChange("a", 1))).toEqual({ ok: false, reason: "closed" });
    });
  });
}

/** Walks from the newest page to the oldest, as a timeline does. */
async function readAll(
  store: Store,
  conversation: string,
  limit: number,
): Promise<readonly MessageRow[]> {
  let rows: readonly MessageRow[] = [];
  for (let hasMore = true; hasMore;) {
    const before = rows[0]?.order;
    const page = await store.messages(conversation, {
      limit,
      ...(before === undefined ? {} : { before }),
    });
    rows = [...page.rows, ...rows];
    ({ hasMore } = page);
  }
  return rows;
}
