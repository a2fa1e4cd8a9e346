/** Every kind of row goes into a line and comes back as it was; what would not come back makes no line. */
import {
  INVITED_PEER,
  OPEN_PEER,
  sampleConversation,
  sampleGroup,
  sampleMessage,
  sampleOutbox,
  samplePost,
  sampleSelf,
  sampleSender,
} from "@sotto/storage/acceptance";
import { describe, expect, it } from "vitest";
import { type Line, LINE_CHARACTERS_MAX, lineOf, readLine } from "#src/backup-rows.ts";

const conversation = sampleConversation("a", 1);

const lines: readonly (readonly [name: string, line: Line])[] = [
  ["the beginning", { kind: "begin", format: 1, madeAt: 1_700_000_000_000 }],
  ["the identity", { kind: "self", self: sampleSelf("Ann 安") }],
  ["a conversation", { kind: "conversation", conversation }],
  [
    "one with a contact",
    { kind: "conversation", conversation: { ...conversation, peer: OPEN_PEER } },
  ],
  ["an invite", { kind: "conversation", conversation: { ...conversation, peer: INVITED_PEER } }],
  ["posts", { kind: "posts", rows: [samplePost("a", 1), samplePost("a", 2)] }],
  ["a group", { kind: "group", row: sampleGroup("a") }],
  ["what is known of a member's device", { kind: "sender", row: sampleSender("a") }],
  ["what waits", { kind: "outbox", rows: [sampleOutbox("a", 1)] }],
  ["messages", { kind: "messages", rows: [sampleMessage("a", 1), sampleMessage("a", 2)] }],
  ["the end", { kind: "end", conversations: 1, messages: 2 }],
];

describe("a line", () => {
  it.each(lines)("of %s comes back as it was", (_, line) => {
    const text = lineOf(line);
    expect(text).not.toContain("\n");
    expect(readLine(text)).toEqual(line);
  });

  it("is none with a row that is none", () => {
    for (const kind of ["posts", "outbox", "messages"]) {
      expect(readLine(JSON.stringify({ kind, rows: [] }))).toBeDefined();
      expect(readLine(JSON.stringify({ kind, rows: [{}] }))).toBeUndefined();
      expect(readLine(JSON.stringify({ kind }))).toBeUndefined();
    }
    for (const kind of ["group", "sender", "self", "conversation", "nothing", "__proto__"]) {
      expect(
        readLine(JSON.stringify({ kind, row: {}, self: {}, conversation: {} })),
      ).toBeUndefined();
    }
    for (const text of ["", "null", "[]", "{", '{"$map":[1]}', '{"kind":"begin","format":-1}']) {
      expect(readLine(text)).toBeUndefined();
    }
  });

  it("is not made of what would not come back", () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, new Uint16Array(1)]) {
      const line = { kind: "end", conversations: value, messages: 0 };
      expect(() => lineOf(line as unknown as Line)).toThrow(RangeError);
    }
  });

  it(`is of ${LINE_CHARACTERS_MAX} characters at most`, () => {
    const [row, rest] = [sampleMessage("a", 1), lineOf({ kind: "messages", rows: [] }).length];
    const room = LINE_CHARACTERS_MAX - rest - JSON.stringify({ ...row, text: "" }).length;
    const withText = (length: number): Line => ({
      kind: "messages",
      rows: [{ ...row, text: "x".repeat(length) }],
    });
    expect(lineOf(withText(room))).toHaveLength(LINE_CHARACTERS_MAX);
    expect(() => lineOf(withText(room + 1))).toThrow(RangeError);
  });
});
