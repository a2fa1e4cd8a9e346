import { type ConversationRecord, INITIAL_LIVE, type LiveState, type Peer } from "@sotto/protocol";
import { INVITED_PEER, OPEN_PEER, sampleConversation } from "@sotto/storage/acceptance";
import { describe, expect, test } from "vitest";
import { viewConversation } from "#src/views.ts";

const view = (record: ConversationRecord, others: readonly LiveState[] = [], ownDevices = 1) =>
  viewConversation({
    record,
    live: INITIAL_LIVE,
    hub: "online",
    waiting: 0,
    others,
    ownDevices,
    roundTripMs: undefined,
    invite: undefined,
  });

describe("what a list shows of a conversation", () => {
  test.each<[Peer, string]>([
    [{ state: "notes" }, "notes"],
    [INVITED_PEER, "invited"],
    [OPEN_PEER, "contact"],
    [{ state: "refused", reason: "gone" }, "refused"],
    [{ state: "refused", reason: "expired" }, "expired"],
  ])("is its kind: $1", (peer, kind) => {
    expect(view(sampleConversation("a", 1, peer)).kind).toBe(kind);
  });

  test.each([
    [0, 0],
    [1, 0],
    [3, 2],
  ])("is, of notes on an account with %i devices, that %i others have them", (own, others) => {
    const notes = view(sampleConversation("a", 1, { state: "notes" }), [], own);
    expect(notes.devices.others).toBe(others);
  });

  test("is when something came, not what a contact's clock said", () => {
    const record = sampleConversation("a", 1, OPEN_PEER);
    const at = record.createdAt + 5_000;
    const last = { time: { ms: 2 ** 46, counter: 0 }, at, text: "hello", own: false };
    expect(view({ ...record, last }).lastAt).toBe(at);
    expect(view(record).lastAt).toBe(record.createdAt);
  });

  test("is somebody there while one of their devices is", () => {
    const record = sampleConversation("a", 1, OPEN_PEER);
    const with_ = (...presences: LiveState["presence"][]) =>
      view(
        record,
        presences.map((presence) => ({ ...INITIAL_LIVE, presence })),
      ).link.state;
    expect(with_()).toBe("connecting");
    expect(with_("away", "unknown")).toBe("away");
    expect(with_("away", "online")).toBe("relayed");
  });
});
