import { chooseLocale } from "@sotto/ui";
import { type PushState, SottoPushPanel } from "@sotto/ui/late";
import { afterEach, describe, expect, it } from "vitest";
import { page } from "vitest/browser";
import { allInside, listen, mount, textOf } from "./support.ts";

afterEach(() => chooseLocale("en"));

const box = () => page.getByRole("checkbox");

describe("being woken while the app is closed", () => {
  it.each([
    ["off", true],
    ["on", false],
  ] as const)("is %s, and asked for otherwise; the box shows what holds", async (state, on) => {
    const panel = await mount(new SottoPushPanel(), { state });
    const asked = listen(panel, "sotto-push");
    await box().click();
    expect(asked).toEqual([{ on }]);
    await expect.element(box()).toHaveProperty("checked", state === "on");
    panel.busy = true;
    await panel.updateComplete;
    await expect.element(box()).toBeDisabled();
  });

  it.each([
    ["unsupported", "This browser cannot do that here.", "此浏览器在这里不支持该功能。"],
    ["install", "Add Sotto to the Home Screen first", "请先把 Sotto 添加到主屏幕"],
    ["denied", "Blocked in your browser.", "浏览器已禁止通知"],
    ["unoffered", "Your relay does not offer this.", "你的中继不提供此功能。"],
  ] satisfies readonly (readonly [PushState, string, string])[])(
    "cannot be asked for where it is %s, and says why",
    async (state, english, chinese) => {
      const panel = await mount(new SottoPushPanel(), { state });
      await expect.element(box()).toBeDisabled();
      expect(textOf(panel.renderRoot)).toContain(english);
      chooseLocale("zh-CN");
      await panel.updateComplete;
      expect(textOf(panel.renderRoot)).toContain(chinese);
    },
  );

  it("says when the browser would not", async () => {
    const panel = await mount(new SottoPushPanel(), { state: "off", failed: true });
    expect(allInside(panel, "[role=alert]")).toHaveLength(1);
  });
});
