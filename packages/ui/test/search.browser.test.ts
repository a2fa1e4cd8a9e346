import type { FoundMessage } from "@sotto/sdk";
import { chooseLocale, type SearchFor } from "@sotto/ui";
import { SottoSearchPanel } from "@sotto/ui/late";
import { afterEach, describe, expect, it } from "vitest";
import { page, userEvent } from "vitest/browser";
import { aMessage, aView, NOW } from "./samples.ts";
import { allInside, focusedIn, HOSTILE, inside, listen, mount, textOf } from "./support.ts";

afterEach(() => chooseLocale("en"));

const CONVERSATIONS = [aView(), aView({ id: "notes", kind: "notes", name: "" })];
const field = () => page.getByRole("combobox", { name: "Search your messages" });

/** Where `sought` stands in the text, each time. */
function hit(text: string, sought: string, values: Partial<FoundMessage> = {}): FoundMessage {
  const ranges: [number, number][] = [];
  for (let at = text.indexOf(sought); at >= 0; at = text.indexOf(sought, at + 1)) {
    ranges.push([at, at + sought.length]);
  }
  return { conversation: "ada", message: aMessage({ text }), place: "p", ranges, ...values };
}

const show = (values: Partial<SottoSearchPanel> = {}): Promise<SottoSearchPanel> =>
  mount(new SottoSearchPanel(), {
    conversations: CONVERSATIONS,
    wanted: { query: "bread" },
    ...values,
  });

const said = (panel: SottoSearchPanel): string => textOf(inside(panel, "[role=status]"));

describe("the search", () => {
  it("has the focus, asks with every letter, and says where it stands in both languages", async () => {
    const panel = await show({ wanted: { query: "" } });
    const asked = listen(panel, "sotto-search");
    await expect.poll(() => focusedIn(panel)).toBe("INPUT");
    expect(said(panel)).toContain("Nothing leaves this device");
    await userEvent.keyboard("br");
    expect(asked).toMatchObject([{ query: "b" }, { query: "br" }]);
    const states: readonly (readonly [Partial<SottoSearchPanel>, string, string])[] = [
      [{ wanted: { query: "br" }, busy: true }, "Searching…", "正在搜索…"],
      [{ busy: false, found: [] }, "Nothing found", "没有找到"],
      [{ found: [hit("bread", "br")] }, "1 hit", "1 条结果"],
      [{ hasMore: true }, "The newest 1 hits", "最新的 1 条结果"],
      [{ failed: true }, "could not be searched", "无法搜索消息"],
    ];
    for (const [values, english, chinese] of states) {
      Object.assign(panel, values);
      await panel.updateComplete;
      expect(said(panel)).toContain(english);
      chooseLocale("zh-CN");
      await panel.updateComplete;
      expect(said(panel)).toContain(chinese);
      chooseLocale("en");
    }
  });

  it("does not look for letters that an input method still puts together, nor take its keys", async () => {
    const panel = await show({ found: [hit("面包", "面")] });
    const asked = listen(panel, "sotto-search");
    const chosen = listen(panel, "sotto-found");
    const input = inside(panel, "[role=combobox]") as HTMLInputElement;
    input.value = "mian";
    input.dispatchEvent(new InputEvent("input", { isComposing: true, bubbles: true }));
    input.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", isComposing: true }));
    expect([...asked, ...chosen]).toEqual([]);
    input.value = "面";
    input.dispatchEvent(new CompositionEvent("compositionend", { bubbles: true }));
    expect(asked).toMatchObject([{ query: "面" }]);
  });

  it("marks every hit, and shows markup of others as the text it is", async () => {
    const text = `bread ${HOSTILE} breadth`;
    const panel = await show({ found: [hit(text, "bread"), hit(HOSTILE, "<img")] });
    const [first, second] = allInside(panel, ".text");
    expect(first?.textContent).toBe(text);
    expect([...(first?.querySelectorAll("mark") ?? [])].map((mark) => mark.textContent)).toEqual([
      "bread",
      "bread",
    ]);
    expect(second?.querySelector("mark")?.textContent).toBe("<img");
    expect(allInside(panel, "img, script")).toEqual([]);
    expect("hacked" in globalThis).toBe(false);
  });

  it("shows of a long message what stands around the hit, and no half characters", async () => {
    const panel = await show({
      found: [hit(`${"😀".repeat(500)}a bread${"😀".repeat(500)}`, "bread")],
    });
    const shown = textOf(inside(panel, ".text"));
    expect(shown).toMatch(/^…(?:😀)+a bread(?:😀)+…$/u);
    expect(shown.isWellFormed()).toBe(true);
    expect(shown.length).toBeLessThan(250);
    expect(textOf(inside(panel, "mark"))).toBe("bread");
  });

  it("goes to the hit that the arrow keys have chosen, and stops at both ends", async () => {
    const found = [0, 1, 2].map((at) =>
      hit(`bread ${at}`, "bread", {
        place: `p${at}`,
        message: aMessage({ id: `m${at}`, text: `bread ${at}`, sentAt: NOW - at }),
      }),
    );
    const panel = await show({ found });
    const chosen = listen(panel, "sotto-found");
    const active = (): string | null => field().element().getAttribute("aria-activedescendant");
    await expect.poll(() => focusedIn(panel)).toBe("INPUT");
    const walk: readonly (readonly [string, string])[] = [
      ["{ArrowUp}", "hit0"],
      ["{ArrowDown}", "hit1"],
      ["{ArrowDown}", "hit2"],
      ["{ArrowDown}", "hit2"],
      ["{ArrowUp}", "hit1"],
    ];
    for (const [key, at] of walk) {
      await userEvent.keyboard(key);
      await panel.updateComplete;
      expect(active()).toBe(at);
      expect(inside(panel, "[aria-selected=true]").id).toBe(at);
    }
    await userEvent.keyboard("{Enter}");
    expect(chosen).toEqual([{ conversation: "ada", message: found[1]?.message, place: "p1" }]);
    // Older ones are added: the choice stays. Another answer: the first one is meant.
    panel.found = [...found, hit("bread 3", "bread")];
    await panel.updateComplete;
    expect(active()).toBe("hit1");
    panel.found = [hit("other", "other")];
    await panel.updateComplete;
    expect(active()).toBe("hit0");
    // It is not the answer to what is asked now.
    panel.busy = true;
    await panel.updateComplete;
    await userEvent.keyboard("{Enter}");
    expect(chosen).toHaveLength(1);
    inside(panel, "#hit0").click();
    expect(chosen).toHaveLength(2);
  });

  it("narrows to a conversation, to who wrote it, and to whole days", async () => {
    const panel = await show({ wanted: { query: "bread", conversation: "notes" } });
    const asked = listen(panel, "sotto-search") as readonly SearchFor[];
    const where = page.getByRole("combobox", { name: "In which conversation" });
    await expect.element(where).toHaveValue("notes");
    await where.selectOptions("Ada");
    await page.getByRole("combobox", { name: "Who wrote it" }).selectOptions("From others");
    await page.getByLabelText("From", { exact: true }).fill("2026-11-25");
    await page.getByLabelText("Until").fill("2026-11-25");
    expect(asked.at(-1)).toEqual({
      query: "bread",
      conversation: "ada",
      own: false,
      after: new Date(2026, 10, 25).getTime(),
      before: new Date(2026, 10, 26).getTime(),
    });
    await where.selectOptions("All conversations");
    expect(asked.at(-1)?.conversation).toBeUndefined();
    await expect.element(where).toBeVisible();
  });

  it("asks for older hits where there are some", async () => {
    const panel = await show({ found: [hit("bread", "bread")], hasMore: true });
    const asked = listen(panel, "sotto-search-more");
    await page.getByRole("button", { name: "Show older hits" }).click();
    expect(asked).toHaveLength(1);
    panel.hasMore = false;
    await panel.updateComplete;
    expect(allInside(panel, "button")).toEqual([]);
  });
});
