/** Rows of which one thing, however deep in them, is of another type: none passes for a row. */
import {
  INVITED_PEER,
  OPEN_PEER,
  POSTS,
  sampleConversation,
  sampleGroup,
  sampleMessage,
  sampleOutbox,
  samplePost,
  sampleSelf,
  sampleSender,
} from "@sotto/storage/acceptance";
import { isGroup, isSender } from "@sotto/storage/group-rows";
import {
  isConversation,
  isMessage,
  isOutbox,
  isPost,
  isSelf,
  withoutDamage,
} from "@sotto/storage/rows";
import { describe, expect, it } from "vitest";

const WRONG = { of: "another type" };

interface Rotten {
  readonly at: string;
  readonly value: unknown;
}

/** The value with each thing in it replaced in turn. */
function* rotten(value: unknown, at = ""): Generator<Rotten> {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return;
  const places: readonly (readonly [unknown, unknown, (next: unknown) => unknown])[] =
    Array.isArray(value)
      ? value.map((one: unknown, index) => [index, one, (next) => value.with(index, next)])
      : value instanceof Map
        ? [...value].map(([key, one]) => [key, one, (next) => new Map(value).set(key, next)])
        : value instanceof Set
          ? [...value].map((one) => [one, one, (next) => new Set([...value, next])])
          : Object.entries(value).map(([key, one]) => [
              key,
              one,
              (next) => ({ ...value, [key]: next }),
            ]);
  for (const [key, one, put] of places) {
    const path = `${at}/${String(key)}`;
    yield { at: path, value: put(WRONG) };
    for (const deeper of rotten(one, path)) yield { at: deeper.at, value: put(deeper.value) };
  }
}

const LAST = { time: { ms: 1, counter: 2 }, at: 3, text: "last", own: true };
const MORE = {
  group: "g",
  recipients: [{ account: "ab".repeat(20), devices: ["cd".repeat(8)], has: true }],
  relayedAt: 1,
  copiedAt: 2,
};

const ROWS: readonly (readonly [string, (row: unknown) => boolean, object])[] = [
  ["of the identity", isSelf, sampleSelf("Alice")],
  ["of a contact", isConversation, { ...sampleConversation("a", 1, OPEN_PEER), last: LAST }],
  ["of an invite", isConversation, sampleConversation("a", 1, INVITED_PEER)],
  ["of a message", isMessage, sampleMessage("a", 1, { author: "ab".repeat(20), path: "relay" })],
  ["that waits to be sent", isOutbox, { ...sampleOutbox("a", 1), ...MORE }],
  ...POSTS.map((post) => [`of a post (${post.kind})`, isPost, samplePost("a", 1, post)] as const),
  ["of a group", isGroup, sampleGroup("a")],
  ["of a sender", isSender, sampleSender("a")],
];

describe("a row", () => {
  it.each(ROWS)("%s is none with anything in it of another type", (_, isRow, row) => {
    expect(isRow(row)).toBe(true);
    const passing = [...rotten(row)].filter(({ value }) => isRow(value)).map(({ at }) => at);
    expect(passing).toEqual([]);
  });

  it("is mended or none, and no reason to throw, whatever of it is of another type", () => {
    for (const { at, value } of rotten(sampleConversation("a", 1, OPEN_PEER))) {
      const mended = withoutDamage(value);
      if (mended !== undefined) expect(at).toMatch(/^\/peer\/(?:sessions|spares)/);
    }
  });

  it.each(["", "relay.example", "javascript:alert(1)", "http://relay.example", "https://a/b"])(
    "is none with %j for a relay's URL: a link there would be an error",
    (relayUrl) => {
      if (OPEN_PEER.state !== "open") throw new Error("samples");
      const { contact, queue } = OPEN_PEER;
      const of = <T extends { addresses: readonly object[] }>(one: T) => ({
        ...one,
        addresses: [...one.addresses, { ...one.addresses[0], relayUrl }],
      });
      const record = sampleConversation("a", 1, OPEN_PEER);
      const rows = [
        { ...record, peer: { ...OPEN_PEER, contact: of(contact) } },
        { ...record, peer: { ...OPEN_PEER, queue: of(queue) } },
        { ...record, devices: { ...record.devices, offers: record.devices.offers.map(of) } },
      ];
      expect(rows.map(isConversation)).toEqual([false, false, false]);
      const self = sampleSelf("Alice");
      const own = { url: relayUrl, key: undefined, derived: false };
      // None: the page's own.
      expect(isSelf({ ...self, relays: [own] })).toBe(relayUrl === "");
    },
  );
});
