import { openDrafts, shortcutOf } from "@sotto/ui";
import { afterEach, describe, expect, it, vi } from "vitest";

afterEach(() => {
  vi.restoreAllMocks();
  sessionStorage.clear();
});

describe("drafts", () => {
  it("are there again after a reload", () => {
    openDrafts(undefined).set("ada", "half a thought");
    expect(openDrafts(undefined).of("ada")).toBe("half a thought");
    expect(openDrafts(undefined).of("bob")).toBe("");
  });

  it("are gone once sent", () => {
    openDrafts(undefined).set("ada", "half");
    openDrafts(undefined).set("ada", "");
    expect(openDrafts(undefined).of("ada")).toBe("");
    expect(sessionStorage.getItem("sotto-drafts")).toBe("[]");
  });

  it("take back what could not be sent, before what was typed since", () => {
    const drafts = openDrafts(undefined);
    drafts.restore("ada", "first");
    expect(drafts.of("ada")).toBe("first");
    drafts.set("ada", "second");
    drafts.restore("ada", "first");
    expect(openDrafts(undefined).of("ada")).toBe("first\nsecond");
  });

  it("of two identities in one tab stay apart", () => {
    openDrafts("demo").set("ada", "from the demo");
    expect(openDrafts(undefined).of("ada")).toBe("");
  });

  it.each(["{", '"text"', "[1, [2, 3], null]", '[["ada"]]'])(
    "start empty when what is stored is %s",
    (stored) => {
      sessionStorage.setItem("sotto-drafts", stored);
      expect(openDrafts(undefined).of("ada")).toBe("");
    },
  );

  it("last as long as the page where storage is refused", () => {
    vi.spyOn(Storage.prototype, "setItem").mockImplementation(() => {
      throw new DOMException("full", "QuotaExceededError");
    });
    const drafts = openDrafts(undefined);
    drafts.set("ada", "half");
    expect(drafts.of("ada")).toBe("half");
  });
});

describe("shortcuts", () => {
  const press = (key: string, init: KeyboardEventInit = {}): KeyboardEvent =>
    new KeyboardEvent("keydown", { key, cancelable: true, ...init });

  it.each([
    [press("ArrowUp", { altKey: true }), "previous"],
    [press("ArrowDown", { altKey: true }), "next"],
    [press("F6"), "region"],
    [press("F6", { shiftKey: true }), "region-back"],
    [press("Escape"), "leave"],
    [press("F", { code: "KeyF", ctrlKey: true, shiftKey: true }), "search"],
    [press("а", { code: "KeyF", metaKey: true, shiftKey: true }), "search"],
    [press("G", { code: "KeyG", ctrlKey: true, shiftKey: true }), "search-here"],
    // The browser's own.
    [press("f", { code: "KeyF", ctrlKey: true }), undefined],
    [press("F", { code: "KeyF", shiftKey: true }), undefined],
    [press("F", { code: "KeyF", ctrlKey: true, shiftKey: true, altKey: true }), undefined],
    [press("ArrowUp"), undefined],
    [press("a"), undefined],
    [press("ArrowUp", { altKey: true, ctrlKey: true }), undefined],
    [press("ArrowUp", { altKey: true, shiftKey: true }), undefined],
    [press("Escape", { isComposing: true }), undefined],
  ])("case %#", (event, shortcut) => {
    expect(shortcutOf(event)).toBe(shortcut);
  });

  it("leave alone what an element already took for itself", () => {
    const event = press("Escape");
    event.preventDefault();
    expect(shortcutOf(event)).toBeUndefined();
  });
});
