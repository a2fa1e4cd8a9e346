import { LiveQuery, localeFor } from "@sotto/ui";
import { html, LitElement } from "lit";
import { describe, expect, it } from "vitest";
import { settable } from "./samples.ts";
import { mount, textOf } from "./support.ts";

class CountElement extends LitElement {
  readonly count = new LiveQuery<number>(this);
  override render(): unknown {
    return html`${this.count.value ?? "none"}`;
  }
}
customElements.define("test-count", CountElement);

describe("a live query", () => {
  const shown = async (element: CountElement): Promise<string> => {
    await element.updateComplete;
    return textOf(element.shadowRoot);
  };

  it("draws again with every value, and with another source", async () => {
    const element = await mount(new CountElement());
    expect(await shown(element)).toBe("none");
    const first = settable(1);
    element.count.follow(first);
    expect(await shown(element)).toBe("1");
    first.set(2);
    expect(await shown(element)).toBe("2");
    element.count.follow(settable(7));
    expect(await shown(element)).toBe("7");
    expect(first.watchers).toBe(0);
  });

  it("watches only while its element is on the page", async () => {
    const element = await mount(new CountElement());
    const source = settable(1);
    element.count.follow(source);
    element.count.follow(source);
    expect(source.watchers).toBe(1);
    element.remove();
    expect(source.watchers).toBe(0);
    source.set(5);
    document.body.append(element);
    expect(await shown(element)).toBe("5");
    expect(source.watchers).toBe(1);
  });

  it("shows nothing any more when there is no source", async () => {
    const element = await mount(new CountElement());
    element.count.follow(settable(1));
    expect(await shown(element)).toBe("1");
    element.count.follow(undefined);
    expect(await shown(element)).toBe("none");
  });
});

describe("the language", () => {
  it.each([
    [["zh-TW", "en"], "zh-CN"],
    [["fr-FR", "zh-Hans-CN"], "zh-CN"],
    [["en-GB"], "en"],
    [["fr"], "en"],
    [[], "en"],
  ])("for a browser that asks for %j is %s", (languages, locale) => {
    expect(localeFor(languages)).toBe(locale);
  });
});
