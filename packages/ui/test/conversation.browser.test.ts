import type { LinkState } from "@sotto/sdk";
import {
  SottoAvatar,
  SottoConversationHeader,
  SottoConversationList,
  SottoLinkState,
} from "@sotto/ui";
import { afterEach, describe, expect, it, vi } from "vitest";
import { page, userEvent } from "vitest/browser";
import { aView } from "./samples.ts";
import { allInside, focusedIn, HOSTILE, inside, listen, mount, textOf } from "./support.ts";

const row = (list: SottoConversationList, index: number): HTMLElement => {
  const found = allInside(list, "a")[index];
  if (found === undefined) throw new Error("no such row");
  return found;
};

describe("the conversation list", () => {
  afterEach(() => vi.useRealTimers());

  it("is a named list of links, the open one marked", async () => {
    const list = await mount(new SottoConversationList(), {
      conversations: [aView({ id: "ada" }), aView({ id: "bob", name: "Bob" })],
      selected: "bob",
      hrefOf: (id) => `/?c=${id}`,
    });
    const found = page.getByRole("list", { name: "Conversations" });
    expect(found.getByRole("link").elements()).toHaveLength(2);
    expect(row(list, 0).getAttribute("href")).toBe("/?c=ada");
    expect(row(list, 0).hasAttribute("aria-current")).toBe(false);
    expect(row(list, 1).getAttribute("aria-current")).toBe("page");
  });

  it("tells which one was chosen, by mouse and by keyboard", async () => {
    const list = await mount(new SottoConversationList(), { conversations: [aView()] });
    const chosen = listen(list, "sotto-select");
    await userEvent.click(row(list, 0));
    row(list, 0).focus();
    await userEvent.keyboard("{Enter}");
    expect(chosen).toEqual([{ id: "ada" }, { id: "ada" }]);
  });

  it("leaves a click for another tab to the browser", async () => {
    const list = await mount(new SottoConversationList(), { conversations: [aView()] });
    const chosen = listen(list, "sotto-select");
    const click = new MouseEvent("click", { ctrlKey: true, bubbles: true, cancelable: true });
    list.addEventListener("click", (event) => {
      expect(event.defaultPrevented).toBe(false);
      event.preventDefault();
    });
    row(list, 0).dispatchEvent(click);
    expect(chosen).toEqual([]);
  });

  it("counts what is unread, in words for those who do not see the badge", async () => {
    const list = await mount(new SottoConversationList(), {
      conversations: [
        aView({ id: "a", unread: 0 }),
        aView({ id: "b", unread: 99 }),
        aView({ id: "c", unread: 100 }),
      ],
    });
    expect(allInside(list, ".count")).toHaveLength(2);
    expect(textOf(row(list, 1))).toContain("99 messages unread");
    expect(textOf(row(list, 2))).toMatch(/99\+ ?100 messages unread/);
  });

  it("has words of its own for notes, waiting and used invites, and people without a message", async () => {
    const list = await mount(new SottoConversationList(), {
      conversations: [
        aView({ id: "a", kind: "notes", name: "" }),
        aView({ id: "b", kind: "invited", name: "" }),
        aView({ id: "c", kind: "refused", name: "" }),
        aView({ id: "d", name: "" }),
        aView({ id: "e", kind: "expired", name: "" }),
      ],
    });
    const names = allInside(list, ".name").map(textOf);
    expect(names).toEqual([
      "Notes to self",
      "Waiting for a friend",
      "Invite already used",
      "New contact",
      "Invite ended",
    ]);
    expect(textOf(allInside(list, ".last").at(-1) ?? null)).toBe("Nobody opened it in time");
    for (const last of allInside(list, ".last")) expect(textOf(last)).not.toBe("");
  });

  it("says who wrote last, except in notes", async () => {
    const list = await mount(new SottoConversationList(), {
      conversations: [
        aView({ id: "a", lastText: "bye", lastOwn: true }),
        aView({ id: "b", lastText: "bye" }),
        aView({ id: "c", kind: "notes", lastText: "milk", lastOwn: true }),
      ],
    });
    expect(allInside(list, ".last").map(textOf)).toEqual(["You: bye", "bye", "milk"]);
  });

  it("shows a draft before the last line, but not of the conversation being written in", async () => {
    const list = await mount(new SottoConversationList(), {
      conversations: [
        aView({ id: "a", lastText: "bye" }),
        aView({ id: "b", lastText: "bye" }),
        aView({ id: "c", lastText: "bye" }),
      ],
      selected: "b",
      draftOf: (id) => (id === "c" ? "" : "half"),
    });
    expect(allInside(list, ".last").map(textOf)).toEqual(["Draft: half", "bye", "bye"]);
  });

  it("does not move rows at once while one of them has the focus, but shows what is new in them", async () => {
    vi.useFakeTimers();
    const ada = aView({ id: "ada" });
    const bob = aView({ id: "bob", name: "Bob" });
    const list = await mount(new SottoConversationList(), { conversations: [ada, bob] });
    const names = (): readonly string[] => allInside(list, ".name bdi").map(textOf);
    row(list, 1).focus();
    list.conversations = [{ ...bob, unread: 2 }, ada];
    await list.updateComplete;
    expect(names()).toEqual(["Ada", "Bob"]);
    expect(textOf(row(list, 1))).toContain("2 messages unread");
    vi.advanceTimersByTime(399);
    await list.updateComplete;
    expect(names()).toEqual(["Ada", "Bob"]);
    vi.advanceTimersByTime(1);
    await list.updateComplete;
    expect(names()).toEqual(["Bob", "Ada"]);
  });

  it("follows the order at once while nobody points at it", async () => {
    const list = new SottoConversationList();
    // Away from wherever the pointer of another test was left.
    list.style.cssText = "position: fixed; inset-block-end: 0; inset-inline-end: 0";
    const ada = aView({ id: "ada" });
    const bob = aView({ id: "bob", name: "Bob" });
    await mount(list, { conversations: [ada, bob] });
    list.conversations = [bob, ada];
    await list.updateComplete;
    expect(allInside(list, ".name bdi").map(textOf)).toEqual(["Bob", "Ada"]);
  });

  it("gives the focus to the row that was left, else to the first", async () => {
    const list = await mount(new SottoConversationList(), {
      conversations: [aView({ id: "ada" }), aView({ id: "bob", name: "Bob" })],
    });
    list.focusRow("bob");
    await vi.waitFor(() => expect(list.shadowRoot?.activeElement).toBe(row(list, 1)), {
      timeout: 10_000,
    });
    list.focusRow("gone");
    await vi.waitFor(() => expect(list.shadowRoot?.activeElement).toBe(row(list, 0)), {
      timeout: 10_000,
    });
  });

  it("shows names and texts of others as text", async () => {
    const list = await mount(new SottoConversationList(), {
      conversations: [aView({ name: HOSTILE, lastText: HOSTILE })],
    });
    expect(inside(list, ".name bdi").textContent).toBe(HOSTILE);
    expect(inside(list, ".last").textContent).toBe(HOSTILE);
    expect(allInside(list, "img, script")).toEqual([]);
  });
});

describe("the header of a conversation", () => {
  it("names the person as the heading, isolated from the text around", async () => {
    await mount(new SottoConversationHeader(), { view: aView({ verified: true }) });
    await expect
      .element(page.getByRole("heading", { level: 1, name: "Ada Verified" }))
      .toBeVisible();
  });

  it("offers to verify a contact, to show a waiting invite, and nothing for notes", async () => {
    const header = await mount(new SottoConversationHeader(), { view: aView() });
    const verify = listen(header, "sotto-verify-open");
    const invite = listen(header, "sotto-invite-open");
    await page.getByRole("button", { name: "Verify" }).click();
    expect(verify).toHaveLength(1);
    header.view = aView({ kind: "invited", link: { state: "invited" } });
    await page.getByRole("button", { name: "Show the invite" }).click();
    expect(invite).toHaveLength(1);
    header.view = aView({ kind: "notes", link: { state: "notes" } });
    await header.updateComplete;
    expect(allInside(header, ".button")).toEqual([]);
  });

  it("keeps the names of its buttons where there is no room for their words", async () => {
    const header = new SottoConversationHeader();
    header.style.inlineSize = "320px";
    await mount(header, { view: aView() });
    await expect.element(page.getByRole("button", { name: "Verify" })).toBeVisible();
    expect(inside(header, ".button").getBoundingClientRect().width).toBeLessThan(60);
  });

  it("leads back only where list and conversation do not stand side by side", async () => {
    const header = await mount(new SottoConversationHeader(), { view: aView() });
    const back = listen(header, "sotto-back");
    expect(getComputedStyle(inside(header, ".back")).display).toBe("none");
    header.toggleAttribute("narrow", true);
    await page.getByRole("button", { name: "Back to the list" }).click();
    expect(back).toHaveLength(1);
  });

  it.each(["refused", "expired"] as const)("does not speak of a path when %s", async (kind) => {
    const header = await mount(new SottoConversationHeader(), { view: aView({ kind }) });
    expect(allInside(header, "sotto-link-state")).toEqual([]);
    expect(textOf(inside(header, ".hint"))).not.toBe("");
  });

  it("offers a new invite in place of one that ended", async () => {
    const header = await mount(new SottoConversationHeader(), { view: aView({ kind: "expired" }) });
    const asked = listen(header, "sotto-invite-new");
    await page.getByRole("button", { name: "New invite" }).click();
    expect(asked).toHaveLength(1);
  });

  it("shows the path of the person it names, and of nobody else", async () => {
    const header = await mount(new SottoConversationHeader(), {
      view: aView({ id: "ada", link: { state: "direct", roundTripMs: 5 } }),
    });
    const link = inside(header, "sotto-link-state") as SottoLinkState;
    header.view = aView({ id: "bob", name: "Bob", link: { state: "away" } });
    await header.updateComplete;
    await link.updateComplete;
    expect(textOf(inside(link, ".words"))).toMatch(/^Away/);
  });
});

describe("the state of the link", () => {
  afterEach(() => vi.useRealTimers());

  const states: readonly (readonly [LinkState, string])[] = [
    [{ state: "notes" }, "Only on this device"],
    [{ state: "direct", roundTripMs: undefined }, "Direct"],
    [{ state: "direct", roundTripMs: 8.6 }, "Direct · 9 ms"],
    [{ state: "direct", roundTripMs: 0.2 }, "Direct · 1 ms"],
    [{ state: "relayed" }, "Through the relay"],
    [{ state: "away" }, "Away. Messages wait at the relay."],
    [{ state: "offline", waiting: 0 }, "You are offline"],
    [{ state: "offline", waiting: 1 }, "You are offline. 1 message waiting here."],
    [{ state: "no-relay", waiting: 2 }, "The relay does not answer. 2 messages waiting here."],
    [{ state: "invited" }, "Waiting for your friend to open the link"],
  ];
  it.each(states)("says %j in words", async (link, words) => {
    const element = await mount(new SottoLinkState(), { link });
    expect(textOf(inside(element, ".words"))).toBe(words);
  });

  it("says on how many devices notes are", async () => {
    const element = await mount(new SottoLinkState(), { link: { state: "notes" }, devices: 3 });
    expect(textOf(inside(element, ".words"))).toBe("On your 3 devices");
  });

  it("changes its words only when a state has held for a while", async () => {
    vi.useFakeTimers();
    const element = await mount(new SottoLinkState(), { link: { state: "relayed" } });
    const words = (): string => textOf(inside(element, ".words"));
    const set = async (link: LinkState): Promise<void> => {
      element.link = link;
      await element.updateComplete;
    };
    await set({ state: "direct", roundTripMs: 5 });
    vi.advanceTimersByTime(1_499);
    await element.updateComplete;
    expect(words()).toBe("Through the relay");
    vi.advanceTimersByTime(1);
    await element.updateComplete;
    expect(words()).toBe("Direct · 5 ms");
  });

  it("says nothing of the one before while another is still connecting", async () => {
    vi.useFakeTimers();
    const element = await mount(new SottoLinkState(), {
      of: "ada",
      link: { state: "direct", roundTripMs: 5 },
    });
    // Waits to be shown, and must not be shown of someone else.
    element.link = { state: "offline", waiting: 1 };
    await element.updateComplete;
    element.of = "bob";
    element.link = { state: "connecting" };
    await element.updateComplete;
    expect(textOf(element.shadowRoot)).toBe("");
    vi.advanceTimersByTime(999);
    await element.updateComplete;
    expect(textOf(element.shadowRoot)).toBe("");
    vi.advanceTimersByTime(1);
    await element.updateComplete;
    expect(textOf(inside(element, ".words"))).toBe("Connecting…");
  });

  it("says that it is connecting only when that takes a while", async () => {
    vi.useFakeTimers();
    const element = await mount(new SottoLinkState(), { link: { state: "connecting" } });
    vi.advanceTimersByTime(999);
    await element.updateComplete;
    expect(textOf(element.shadowRoot)).toBe("");
    vi.advanceTimersByTime(1);
    await element.updateComplete;
    expect(textOf(inside(element, ".words"))).toBe("Connecting…");
  });

  it("shows at once what a quick connection became", async () => {
    vi.useFakeTimers();
    const element = await mount(new SottoLinkState(), { link: { state: "connecting" } });
    element.link = { state: "relayed" };
    await element.updateComplete;
    expect(textOf(inside(element, ".words"))).toBe("Through the relay");
  });

  it("does not show a change that did not last", async () => {
    vi.useFakeTimers();
    const element = await mount(new SottoLinkState(), {
      link: { state: "direct", roundTripMs: 5 },
    });
    const seen: string[] = [];
    for (const link of [{ state: "connecting" }, { state: "direct", roundTripMs: 5 }] as const) {
      element.link = link;
      await element.updateComplete;
      vi.advanceTimersByTime(1_000);
      await element.updateComplete;
      seen.push(textOf(inside(element, ".words")));
    }
    vi.advanceTimersByTime(10_000);
    await element.updateComplete;
    expect([...seen, textOf(inside(element, ".words"))]).toEqual(
      Array.from({ length: 3 }, () => "Direct · 5 ms"),
    );
  });
});

describe("the avatar", () => {
  const faceOf = async (name: string, seed = "x"): Promise<string> =>
    textOf(inside(await mount(new SottoAvatar(), { name, seed }), ".face"));

  it("shows the initials of up to two words, in any script", async () => {
    expect(await faceOf("ada lovelace byron")).toBe("AL");
    expect(await faceOf("林安娜")).toBe("林");
    expect(await faceOf("👩🏽‍🚀 Sam")).not.toContain("�");
  });

  it("keeps its colour for the same seed, and says nothing to assistive technology", async () => {
    const one = await mount(new SottoAvatar(), { name: "A", seed: "s" });
    const two = await mount(new SottoAvatar(), { name: "B", seed: "s" });
    expect(inside(one, ".face").className).toBe(inside(two, ".face").className);
    expect(inside(one, ".face").getAttribute("aria-hidden")).toBe("true");
  });
});

it("elements of a conversation take no focus of their own", async () => {
  const header = await mount(new SottoConversationHeader(), { view: aView() });
  expect(focusedIn(header)).toBeUndefined();
});
