import type { MessageView } from "@sotto/sdk";
import { SottoTimeline } from "@sotto/ui";
import { describe, expect, it, vi } from "vitest";
import { page } from "vitest/browser";
import { aMessage, aView, NOW, someMessages } from "./samples.ts";
import { allInside, HOSTILE, inside, listen, mount, textOf } from "./support.ts";

const HEIGHT_PX = 400;
/** Layout rounds to whole device pixels. */
const DRIFT_PX = 1;

async function show(
  messages: readonly MessageView[],
  options: {
    readonly hasOlder?: boolean;
    readonly hasNewer?: boolean;
    readonly unread?: number;
  } = {},
): Promise<SottoTimeline> {
  const timeline = new SottoTimeline();
  timeline.style.display = "block";
  timeline.style.blockSize = `${HEIGHT_PX}px`;
  await mount(timeline, {
    view: aView({ unread: options.unread ?? 0 }),
    timeline: {
      messages,
      hasOlder: options.hasOlder ?? false,
      hasNewer: options.hasNewer ?? false,
    },
  });
  await nextFrame();
  return timeline;
}

/** Until sizes have been observed and scroll events have been sent. */
const nextFrame = (): Promise<void> =>
  new Promise((resolve) => {
    requestAnimationFrame(() => requestAnimationFrame(() => resolve()));
  });

const scroller = (timeline: SottoTimeline): HTMLElement => inside(timeline, ".scroller");
const fromEnd = (timeline: SottoTimeline): number => {
  const { scrollHeight, scrollTop, clientHeight } = scroller(timeline);
  return scrollHeight - scrollTop - clientHeight;
};
const topOf = (timeline: SottoTimeline, id: string): number =>
  inside(timeline, `[data-id="${id}"]`).getBoundingClientRect().top;

/** Scrolls as a person would and waits until the element has noticed. */
async function scrollTo(timeline: SottoTimeline, top: number): Promise<void> {
  const noticed = new Promise((resolve) => {
    scroller(timeline).addEventListener("scroll", resolve, { once: true });
  });
  scroller(timeline).scrollTop = top;
  await noticed;
  await timeline.updateComplete;
}

async function grow(timeline: SottoTimeline, messages: readonly MessageView[]): Promise<void> {
  timeline.timeline = { messages, hasOlder: false, hasNewer: false };
  await timeline.updateComplete;
}

describe("the timeline", () => {
  it("is a list in a named group that the keyboard can scroll", async () => {
    await show(someMessages(3));
    const group = page.getByRole("group", { name: "Messages with Ada" });
    await expect.element(group).toHaveAttribute("tabindex", "0");
    await expect.element(group.getByRole("list")).toBeVisible();
    expect(group.getByRole("listitem").elements()).toHaveLength(3);
  });

  it("is not a live region: incoming messages are announced once, elsewhere", async () => {
    const timeline = await show(someMessages(3));
    expect(allInside(timeline, "[aria-live], [role=log]")).toEqual([]);
  });

  it("says above all messages that earlier ones are coming, for as long as they are", async () => {
    const timeline = await show(someMessages(2));
    const said = page.getByText("Earlier messages are coming from your other device.");
    expect(said.elements()).toHaveLength(0);
    timeline.view = aView({ catchingUp: true });
    await expect.element(said).toBeVisible();
    const top = topOf(timeline, someMessages(2)[0]?.id ?? "");
    expect(said.element().getBoundingClientRect().bottom).toBeLessThanOrEqual(top);
    timeline.view = aView();
    await timeline.updateComplete;
    expect(said.elements()).toHaveLength(0);
  });

  it("says who, what, when and how far in one item", async () => {
    const timeline = await show([
      aMessage({ id: "a", own: true, text: "Hi", status: "delivered", path: "direct" }),
      aMessage({ id: "b", text: "Hello" }),
    ]);
    expect(textOf(inside(timeline, '[data-id="a"]'))).toMatch(/You: ?Hi.*Delivered directly$/);
    expect(textOf(inside(timeline, '[data-id="b"]'))).toMatch(/^Ada: ?Hello/);
  });

  it("shows markup as the text it is", async () => {
    const timeline = await show([aMessage({ text: HOSTILE })]);
    expect(inside(timeline, ".text").textContent).toBe(HOSTILE);
    expect(allInside(timeline, "img, script")).toEqual([]);
    expect("hacked" in globalThis).toBe(false);
  });

  it("makes links of web addresses only, and never leaks where they were opened", async () => {
    const timeline = await show([
      aMessage({
        text: "see https://example.com/a?b=1, javascript:alert(1) data:text/html,x ftp://example.com/x example.org",
      }),
    ]);
    const links = allInside(timeline, "a");
    expect(links.map((link) => link.getAttribute("href"))).toEqual([
      "https://example.com/a?b=1",
      "https://example.org",
    ]);
    for (const link of links) {
      expect(link.getAttribute("rel")).toBe("noopener noreferrer nofollow");
      expect(link.getAttribute("target")).toBe("_blank");
    }
  });

  it("shows the plain name of a host written in letters that only look like others", async () => {
    const timeline = await show([aMessage({ text: "https://аpple.com/" })]);
    expect(inside(timeline, "a").title).toContain("xn--");
  });

  it("parts the days once each", async () => {
    const day = 24 * 3_600_000;
    const timeline = await show([
      aMessage({ id: "a", sentAt: NOW - day }),
      aMessage({ id: "b", sentAt: NOW - day + 1 }),
      aMessage({ id: "c", sentAt: NOW }),
    ]);
    expect(allInside(timeline, ".day")).toHaveLength(2);
  });

  it("gives each state of a message its own words", async () => {
    const states = ["queued", "relayed", "delivered", "failed"] as const;
    const timeline = await show(
      states.map((status) => aMessage({ id: status, own: true, status })),
    );
    const words = states.map((status) => textOf(inside(timeline, `.meta .${status} .hidden`)));
    expect(new Set(words).size).toBe(states.length);
    expect(textOf(inside(timeline, ".reason"))).toContain("Not delivered");
  });

  it("opens at the end", async () => {
    const timeline = await show(someMessages(60));
    expect(fromEnd(timeline)).toBeLessThanOrEqual(DRIFT_PX);
    expect(allInside(timeline, ".newest")).toEqual([]);
  });

  it("opens at the first unread message, under a line that stays", async () => {
    const messages = someMessages(60);
    const timeline = await show(messages, { unread: 20 });
    const line = inside(timeline, ".unread");
    const incoming = messages.filter((message) => !message.own).at(-20);
    expect(line.nextElementSibling?.getAttribute("data-id")).toBe(incoming?.id);
    const top = line.getBoundingClientRect().top - scroller(timeline).getBoundingClientRect().top;
    expect(top).toBeGreaterThanOrEqual(0);
    expect(top).toBeLessThan(HEIGHT_PX);
    timeline.view = aView({ unread: 0 });
    await timeline.updateComplete;
    expect(line.isConnected).toBe(true);
  });

  it("follows the end when it is in view, also when the view gets smaller", async () => {
    const timeline = await show(someMessages(60));
    await grow(timeline, someMessages(63));
    expect(fromEnd(timeline)).toBeLessThanOrEqual(DRIFT_PX);
    // As an on-screen keyboard does; the event of an earlier scroll comes before sizes are observed.
    timeline.style.blockSize = "250px";
    scroller(timeline).dispatchEvent(new Event("scroll"));
    await nextFrame();
    await vi.waitFor(() => expect(fromEnd(timeline)).toBeLessThanOrEqual(DRIFT_PX), {
      timeout: 10_000,
    });
  });

  it("does not move what is read when something arrives, and counts it", async () => {
    const timeline = await show(someMessages(60));
    await scrollTo(timeline, 500);
    const before = topOf(timeline, "m20");
    const incoming = aMessage({ id: "new", text: "psst", sentAt: NOW + 90 * 60_000 });
    await grow(timeline, [...someMessages(60), incoming]);
    expect(Math.abs(topOf(timeline, "m20") - before)).toBeLessThanOrEqual(DRIFT_PX);
    await expect.element(page.getByRole("button", { name: "1 new message" })).toBeVisible();
  });

  it("does not move what is read when older messages are put above", async () => {
    const timeline = await show(someMessages(60, 100));
    await scrollTo(timeline, 300);
    const before = topOf(timeline, "m115");
    await grow(timeline, someMessages(110, 50));
    expect(Math.abs(topOf(timeline, "m115") - before)).toBeLessThanOrEqual(DRIFT_PX);
  });

  it("goes to the end for an own message, wherever one was", async () => {
    const timeline = await show(someMessages(60));
    await scrollTo(timeline, 300);
    const own = aMessage({ id: "own", own: true, sentAt: NOW + 90 * 60_000, status: "queued" });
    await grow(timeline, [...someMessages(60), own]);
    expect(fromEnd(timeline)).toBeLessThanOrEqual(DRIFT_PX);
  });

  it("jumps to the newest by a button that then goes away", async () => {
    const timeline = await show(someMessages(60));
    await scrollTo(timeline, 0);
    await page.getByRole("button", { name: "Newest messages" }).click();
    await timeline.updateComplete;
    expect(fromEnd(timeline)).toBeLessThanOrEqual(DRIFT_PX);
    expect(allInside(timeline, ".newest")).toEqual([]);
  });

  it("asks for older messages near the top, and only when there are some", async () => {
    const timeline = await show(someMessages(60), { hasOlder: true });
    const asked = listen(timeline, "sotto-load-older");
    await scrollTo(timeline, 100);
    expect(asked.length).toBeGreaterThan(0);
    const count = asked.length;
    timeline.timeline = { messages: someMessages(60), hasOlder: false, hasNewer: false };
    await timeline.updateComplete;
    await scrollTo(timeline, 10);
    expect(asked).toHaveLength(count);
  });

  it("leads to a message, marks it and takes the focus there; again when it is asked for again", async () => {
    const timeline = await show(someMessages(60), { hasNewer: true });
    const bubble = inside(timeline, '[data-id="m20"] .bubble');
    for (const _ of ["once", "again"]) {
      await scrollTo(timeline, 0);
      timeline.target = { conversation: "ada", id: "m20" };
      await timeline.updateComplete;
      await nextFrame();
      const { top, height } = bubble.getBoundingClientRect();
      const from = top - scroller(timeline).getBoundingClientRect().top;
      expect(Math.abs(from + height / 2 - HEIGHT_PX / 2)).toBeLessThan(height);
      expect(bubble.getAnimations().filter((one) => !(one instanceof CSSAnimation))).toHaveLength(
        1,
      );
      expect(timeline.shadowRoot?.activeElement).toBe(scroller(timeline));
      for (const one of bubble.getAnimations()) one.finish();
    }
    // Of another conversation, or not loaded: nothing moves.
    const before = topOf(timeline, "m20");
    timeline.target = { conversation: "bob", id: "m1" };
    await timeline.updateComplete;
    timeline.target = { conversation: "ada", id: "older" };
    await timeline.updateComplete;
    expect(topOf(timeline, "m20")).toBe(before);
  });

  it("asks for newer messages near the end of what is loaded, and neither follows nor counts them", async () => {
    const timeline = await show(someMessages(60), { hasNewer: true });
    const asked = listen(timeline, "sotto-load-newer");
    await scrollTo(timeline, 500);
    const before = asked.length;
    await scrollTo(timeline, scroller(timeline).scrollHeight);
    expect(asked.length).toBeGreaterThan(before);
    const top = topOf(timeline, "m59");
    timeline.timeline = { messages: someMessages(110), hasOlder: false, hasNewer: true };
    await timeline.updateComplete;
    expect(Math.abs(topOf(timeline, "m59") - top)).toBeLessThanOrEqual(DRIFT_PX);
    expect(allInside(timeline, ".news")).toEqual([]);
  });

  it("goes from an old message to the newest one, which is not loaded yet", async () => {
    const timeline = await show(someMessages(60), { hasNewer: true });
    const asked = listen(timeline, "sotto-load-newest");
    await scrollTo(timeline, 500);
    await page.getByRole("button", { name: "Newest messages" }).click();
    expect(asked).toHaveLength(1);
    await grow(timeline, someMessages(50, 500));
    expect(fromEnd(timeline)).toBeLessThanOrEqual(DRIFT_PX);
    expect(allInside(timeline, ".newest")).toEqual([]);
  });

  it("goes to the newest one, also when its page begins with what is loaded and comes a while later", async () => {
    const timeline = await show(someMessages(60), { hasNewer: true });
    await scrollTo(timeline, 500);
    await page.getByRole("button", { name: "Newest messages" }).click();
    await nextFrame();
    await grow(timeline, someMessages(90));
    expect(fromEnd(timeline)).toBeLessThanOrEqual(DRIFT_PX);
    expect(allInside(timeline, ".newest")).toEqual([]);
  });

  it("comes back to where a conversation was left", async () => {
    const timeline = await show(someMessages(60));
    await scrollTo(timeline, 500);
    const before = topOf(timeline, "m20");
    timeline.view = aView({ id: "bob", name: "Bob" });
    await grow(timeline, [aMessage({ id: "other" })]);
    timeline.view = aView();
    await grow(timeline, someMessages(60));
    expect(Math.abs(topOf(timeline, "m20") - before)).toBeLessThanOrEqual(DRIFT_PX);
  });

  it.each([
    ["contact", "Say hi"],
    ["notes", "Keep a thought here. It stays on this device."],
    ["invited", "You can already write"],
    ["refused", "already used"],
    ["expired", "ended before anyone opened it"],
  ] as const)("says what to do in an empty conversation of kind %s", async (kind, words) => {
    const timeline = await show([]);
    timeline.view = aView({ kind });
    await timeline.updateComplete;
    expect(textOf(inside(timeline, ".empty"))).toContain(words);
  });

  it("says where notes go that are on several devices", async () => {
    const timeline = await show([]);
    const devices = { others: 1, added: 0, removed: 0, anew: 0, conflict: false };
    timeline.view = aView({ kind: "notes", devices });
    await timeline.updateComplete;
    expect(textOf(inside(timeline, ".empty"))).toContain("It goes to your 2 devices.");
  });
});
