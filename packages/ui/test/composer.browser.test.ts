import { SottoComposer } from "@sotto/ui";
import { describe, expect, it } from "vitest";
import { page, userEvent } from "vitest/browser";
import { fieldOf, focusedIn, inside, listen, mount, textOf } from "./support.ts";

/** The protocol's limit for one text in bytes of UTF-8. */
const LIMIT = 16_384;
const INPUT_METHOD = 229;

async function write(
  composer: SottoComposer,
  text: string,
): Promise<HTMLElement & { readonly value: string }> {
  const field = fieldOf(composer);
  field.focus();
  field.value = text;
  field.dispatchEvent(new InputEvent("input", { bubbles: true }));
  await composer.updateComplete;
  return field;
}

const enter = (init: KeyboardEventInit = {}): KeyboardEvent =>
  new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true, ...init });

describe("the composer", () => {
  it("has a field and a button with names, reached by keyboard in this order", async () => {
    const composer = await mount(new SottoComposer(), { draft: "Hello" });
    await expect.element(page.getByRole("textbox", { name: "Message" })).toBeVisible();
    await expect.element(page.getByRole("button", { name: "Send" })).toBeEnabled();
    composer.focus();
    expect(focusedIn(composer)).toBe("TEXTAREA");
    await userEvent.tab();
    expect(focusedIn(composer)).toBe("BUTTON");
    await userEvent.tab({ shift: true });
    expect(focusedIn(composer)).toBe("TEXTAREA");
  });

  it("sends on Enter and empties the field", async () => {
    const composer = await mount(new SottoComposer());
    const sent = listen(composer, "sotto-submit");
    const drafts = listen(composer, "sotto-draft");
    await userEvent.click(page.getByRole("textbox"));
    await userEvent.keyboard("Hello{Enter}");
    expect(sent).toEqual([{ text: "Hello" }]);
    expect(fieldOf(composer).value).toBe("");
    expect(drafts.at(-1)).toEqual({ text: "" });
  });

  it("breaks the line on Shift+Enter", async () => {
    const composer = await mount(new SottoComposer());
    const sent = listen(composer, "sotto-submit");
    await userEvent.click(page.getByRole("textbox"));
    await userEvent.keyboard("a{Shift>}{Enter}{/Shift}b");
    expect(sent).toEqual([]);
    expect(fieldOf(composer).value).toBe("a\nb");
    await userEvent.keyboard("{Enter}");
    expect(sent).toEqual([{ text: "a\nb" }]);
  });

  it("leaves the Enter that confirms a conversion to the input method, in both orders of events", async () => {
    const composer = await mount(new SottoComposer());
    const sent = listen(composer, "sotto-submit");
    const field = await write(composer, "你好");
    // Chromium and Firefox: the key comes first, while composing.
    field.dispatchEvent(new CompositionEvent("compositionstart", { bubbles: true }));
    field.dispatchEvent(enter({ isComposing: true }));
    field.dispatchEvent(new CompositionEvent("compositionend", { bubbles: true }));
    // WebKit: the composition ends first, then the key comes.
    field.dispatchEvent(new CompositionEvent("compositionstart", { bubbles: true }));
    field.dispatchEvent(new CompositionEvent("compositionend", { bubbles: true }));
    field.dispatchEvent(enter({ keyCode: INPUT_METHOD }));
    expect(sent).toEqual([]);
    field.dispatchEvent(enter({ keyCode: 13 }));
    expect(sent).toEqual([{ text: "你好" }]);
  });

  it("does not send nothing", async () => {
    const composer = await mount(new SottoComposer());
    const sent = listen(composer, "sotto-submit");
    const field = await write(composer, " \n ");
    field.dispatchEvent(enter());
    expect(sent).toEqual([]);
    await expect.element(page.getByRole("button", { name: "Send" })).toBeDisabled();
  });

  it("sends a text of exactly 16 KiB, counted in bytes", async () => {
    const composer = await mount(new SottoComposer());
    const sent = listen(composer, "sotto-submit");
    const text = `${"语".repeat(Math.floor(LIMIT / 3))}a`;
    expect(new TextEncoder().encode(text)).toHaveLength(LIMIT);
    const field = await write(composer, text);
    field.dispatchEvent(enter());
    expect(sent).toEqual([{ text }]);
  });

  it("keeps a text one byte longer, and says by how much", async () => {
    const composer = await mount(new SottoComposer());
    const sent = listen(composer, "sotto-submit");
    const text = `${"语".repeat(Math.floor(LIMIT / 3))}ab`;
    const field = await write(composer, text);
    field.dispatchEvent(enter());
    expect(sent).toEqual([]);
    expect(field.value).toBe(text);
    expect(textOf(inside(composer, "[role=alert]"))).toMatch(/^Too long by 1 KB/);
    await expect.element(page.getByRole("button", { name: "Send" })).toBeDisabled();
  });

  it("starts from a draft and tells of each change", async () => {
    const composer = await mount(new SottoComposer(), { draft: "half a" });
    const drafts = listen(composer, "sotto-draft");
    expect(fieldOf(composer).value).toBe("half a");
    await write(composer, "half a thought");
    expect(drafts).toEqual([{ text: "half a thought" }]);
  });

  it("does not carry a text into another conversation that has no draft either", async () => {
    const composer = await mount(new SottoComposer(), { of: "ada", draft: "" });
    await write(composer, "for Ada only");
    composer.of = "bob";
    composer.draft = "";
    await composer.updateComplete;
    expect(fieldOf(composer).value).toBe("");
  });

  it("puts back what could not be sent, before what was typed since", async () => {
    const composer = await mount(new SottoComposer());
    await write(composer, "second");
    composer.restore("first");
    await composer.updateComplete;
    expect(fieldOf(composer).value).toBe("first\nsecond");
  });
});
