import { chooseLocale } from "@sotto/ui";
import {
  type DailyBackup,
  type RestoreFailure,
  SottoKeysPanel,
  SottoRestorePanel,
} from "@sotto/ui/late";
import { afterEach, describe, expect, it } from "vitest";
import { page } from "vitest/browser";
import { allInside, inside, listen, mount, textOf } from "./support.ts";

afterEach(() => chooseLocale("en"));

const button = (name: string) => page.getByRole("button", { name });

describe("words and backups in the settings", () => {
  it("show the words only when they are asked for, and hide them again", async () => {
    const panel = await mount(new SottoKeysPanel(), {});
    const asked = listen(panel, "sotto-words");
    expect(allInside(panel, "li")).toHaveLength(0);
    await button("Show my 24 words").click();
    panel.words = Array.from({ length: 24 }, (_, at) => `word${at + 1}`);
    await panel.updateComplete;
    expect(allInside(panel, "li").map((one) => one.textContent)).toEqual(panel.words);
    await button("Hide the words").click();
    expect(asked).toEqual([{ shown: true }, { shown: false }]);
  });

  it("ask for a file with the passphrase that was typed, and forget it", async () => {
    const panel = await mount(new SottoKeysPanel(), {});
    const asked = listen(panel, "sotto-backup-save");
    await button("Save a backup file").click();
    await page.getByText("Let a passphrase open it, too").click();
    const field = page.getByLabelText("Passphrase for this file");
    await field.fill("correct horse");
    await button("Save a backup file").click();
    expect(asked).toEqual([{ passphrase: undefined }, { passphrase: "correct horse" }]);
    await expect.element(field).toHaveValue("");
    panel.busy = "save";
    await panel.updateComplete;
    await expect.element(button("Saving…")).toBeDisabled();
  });

  it.each([
    ["off", false],
    ["on", true],
    ["paused", true],
    ["damaged", true],
  ] satisfies readonly (readonly [DailyBackup, boolean])[])(
    "a daily file is %s; the box shows what holds",
    async (daily, checked) => {
      const panel = await mount(new SottoKeysPanel(), { daily });
      const asked = listen(panel, "sotto-backup-daily");
      const box = page.getByRole("checkbox");
      await expect.element(box).toHaveProperty("checked", checked);
      await box.click();
      expect(asked).toEqual([{ on: !checked }]);
      await expect.element(box).toHaveProperty("checked", checked);
      const isStopped = daily === "paused" || daily === "damaged";
      expect(allInside(panel, ".problem")).toHaveLength(isStopped ? 1 : 0);
      if (daily !== "paused") return;
      await button("Allow again").click();
      expect(asked.at(-1)).toEqual({ on: true });
    },
  );

  it("say that the daily file waits for what cannot be read, in both languages", async () => {
    const panel = await mount(new SottoKeysPanel(), { daily: "damaged" });
    expect(textOf(panel.renderRoot)).toContain("Paused: some of what this browser keeps");
    expect(textOf(panel.renderRoot)).not.toContain("Allow again");
    chooseLocale("zh-CN");
    await panel.updateComplete;
    expect(textOf(panel.renderRoot)).toContain("已暂停：此浏览器保存的部分数据无法读取");
    panel.outcome = { kind: "failed", of: "daily" };
    await panel.updateComplete;
    expect(textOf(inside(panel, "[role=alert]"))).toContain("未开启：这里的数据不完整");
  });

  it("offer no daily file where the browser cannot write one, and say how the last thing went", async () => {
    const panel = await mount(new SottoKeysPanel(), {
      outcome: { kind: "imported", messages: 3, unknown: 2 },
    });
    expect(allInside(panel, "[type=checkbox]")).toHaveLength(0);
    expect(textOf(panel.renderRoot)).toContain("3 messages looked at");
    expect(textOf(panel.renderRoot)).toContain("does not have: 2");
    panel.outcome = { kind: "failed", of: "import", reason: "damaged" };
    await panel.updateComplete;
    expect(allInside(panel, "[role=alert]")).toHaveLength(1);
    chooseLocale("zh-CN");
    await panel.updateComplete;
    expect(textOf(panel.renderRoot)).toContain("文件已损坏或不完整");
  });
});

describe("bringing an account here", () => {
  it("asks for the words, and for a passphrase only where the file has one", async () => {
    const panel = await mount(new SottoRestorePanel(), {});
    const asked = listen(panel, "sotto-restore");
    expect(allInside(panel, "[type=radio]")).toHaveLength(0);
    await page.getByLabelText("Your 24 words").fill("abandon art");
    await button("Bring it here").click();
    panel.takesPassphrase = true;
    await panel.updateComplete;
    await page.getByLabelText("the passphrase of the file").click();
    await page.getByLabelText("Passphrase of the file", { exact: true }).fill("horse");
    await button("Bring it here").click();
    expect(asked).toEqual([
      { file: undefined, phrase: "abandon art", passphrase: undefined },
      { file: undefined, phrase: undefined, passphrase: "horse" },
    ]);
    // Another file, without one.
    panel.takesPassphrase = false;
    await panel.updateComplete;
    expect(allInside(panel, "#words")).toHaveLength(1);
  });

  it("tells which words are wrong, and of every refusal in both languages", async () => {
    const panel = await mount(new SottoRestorePanel(), {
      failure: "unknown-words",
      positions: [3, 24],
    });
    expect(textOf(panel.renderRoot)).toContain("counted from the first: 3, 24");
    const reasons: readonly RestoreFailure[] = ["cut-off", "wrong-secret", "identity-exists"];
    for (const failure of reasons) {
      const said: string[] = [];
      for (const language of ["en", "zh-CN"] as const) {
        chooseLocale(language);
        panel.failure = failure;
        await panel.updateComplete;
        said.push(textOf(panel.renderRoot.querySelector("[role=alert]") ?? panel.renderRoot));
      }
      expect(new Set(said).size).toBe(2);
      for (const sentence of said) expect(sentence.length).toBeGreaterThan(5);
    }
  });
});
