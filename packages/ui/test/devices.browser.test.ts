import { chooseLocale, SottoDevicesNotice, SottoDevicesPanel } from "@sotto/ui";
import type { ConversationView } from "@sotto/sdk";
import { afterEach, describe, expect, it, vi } from "vitest";
import { page } from "vitest/browser";
import { aView, NOW } from "./samples.ts";
import { allInside, focusedIn, inside, listen, mount, textOf } from "./support.ts";

afterEach(() => {
  vi.restoreAllMocks();
  chooseLocale("en");
});

const labels = (element: SottoDevicesNotice | SottoDevicesPanel): readonly string[] =>
  allInside(element, "button").map((one) => one.getAttribute("aria-label") ?? textOf(one));

/** A name inside a sentence is set apart from its direction. */
const plain = (text: string): string => text.replaceAll(/[\u2068\u2069]/g, "");

describe("the notice about devices", () => {
  const show = (
    devices: Partial<ConversationView["devices"]>,
    values: Partial<ConversationView> = {},
  ): Promise<SottoDevicesNotice> =>
    mount(new SottoDevicesNotice(), {
      view: aView({
        name: "Bob",
        ...values,
        devices: { others: 1, added: 0, removed: 0, anew: 0, conflict: false, ...devices },
      }),
    });
  const said = (notice: SottoDevicesNotice): string =>
    plain(allInside(notice, "section").map(textOf).join(""));

  it("says nothing while there is nothing new, and stays the same live regions", async () => {
    const notice = await show({});
    const [conflict, news] = allInside(notice, "section");
    expect(said(notice)).toBe("");
    expect(notice.getBoundingClientRect().height).toBe(0);
    expect(conflict?.getAttribute("aria-live")).toBe("assertive");
    expect(news?.getAttribute("aria-live")).toBe("polite");
  });

  it.each([
    [{ added: 1 }, "Bob added a device. Your messages go there too."],
    [{ added: 2 }, "Bob added 2 devices. Your messages go there too."],
    [{ removed: 1 }, "Bob removed a device. It gets no more of your messages."],
    [{ removed: 2 }, "Bob removed 2 devices. They get no more of your messages."],
    [{ added: 1, removed: 1 }, "Bob added a device and removed one."],
    [{ added: 2, removed: 3 }, "Bob added 2 devices and removed 3."],
    [
      { added: 1, anew: 2 },
      "Bob added a device. Your messages go there too. A device of Bob lost its keys and got new ones. If Bob knows nothing of that, compare the safety number.",
    ],
  ])("counts what came and went: %j", async (devices, words) => {
    expect(said(await show(devices))).toBe(words);
  });

  it.each([
    [{ added: 1 }, "A device was added to your account. If that was not you, remove it"],
    [{ removed: 2 }, "2 devices were removed from your account."],
    [{ added: 2, removed: 1 }, "2 devices were added to your account and one removed."],
  ])("speaks of the own account in the notes: %j", async (devices, words) => {
    expect(said(await show(devices, { kind: "notes", name: "" }))).toContain(words);
  });

  it("counts in Chinese as Chinese does", async () => {
    const notice = await show({ added: 1 });
    chooseLocale("zh-CN");
    await notice.updateComplete;
    expect(said(notice)).toBe("Bob添加了 1 台设备，你的消息今后也会发到该设备。");
  });

  it("goes only when it is dismissed", async () => {
    const notice = await show({ added: 1 });
    const seen = listen(notice, "sotto-devices-seen");
    await page.getByRole("button", { name: "Dismiss" }).click();
    expect(seen).toHaveLength(1);
  });

  it("of a conflict comes first, says that messages wait, and offers both ways on", async () => {
    const notice = await show({ added: 1, conflict: true });
    expect(said(notice)).toMatch(/disagree about which devices belong to Bob.*Your messages wait/);
    expect(said(notice)).not.toContain("added");
    expect(labels(notice)).toEqual(["Compare safety number", "Trust anyway"]);
    const trusted = listen(notice, "sotto-devices-trust");
    const opened = listen(notice, "sotto-verify-open");
    for (const button of allInside(notice, "button")) button.click();
    expect(trusted).toHaveLength(1);
    expect(opened).toHaveLength(1);
  });

  it("of a conflict offers no way around comparing for a contact who was verified", async () => {
    const notice = await show({ conflict: true }, { verified: true });
    expect(said(notice)).toContain("Compare the safety number before you go on.");
    expect(labels(notice)).toEqual(["Compare safety number"]);
  });

  it("of a conflict in the own account has nothing to press", async () => {
    const notice = await show({ conflict: true }, { kind: "notes", name: "" });
    expect(said(notice)).toContain("Your devices disagree");
    expect(labels(notice)).toEqual([]);
  });
});

describe("the devices of the account", () => {
  const HERE = { id: "0123456789abcdef", current: true, addedAt: NOW };
  const THERE = { id: "fedcba9876543210", current: false, addedAt: NOW };
  const LINK = "https://chat.example.com/d#AbCdEfGh";

  it("are listed with their day, this one marked and not to be removed", async () => {
    const panel = await mount(new SottoDevicesPanel(), { devices: [HERE, THERE] });
    const rows = allInside(panel, "li").map(textOf);
    expect(rows[0]).toMatch(/^This device Added on .*2026.* 0123 4567 89ab cdef$/);
    expect(rows[1]).toMatch(/^Another device Added on .*2026.* fedc ba98 7654 3210/);
    expect(labels(panel)).toEqual(["Remove device fedc ba98 7654 3210", "Link another device"]);
  });

  it("are removed only after a question, whose safe answer has the focus", async () => {
    const panel = await mount(new SottoDevicesPanel(), { devices: [HERE, THERE] });
    const removed = listen(panel, "sotto-device-remove");
    const remove = page.getByRole("button", { name: "Remove device fedc ba98 7654 3210" });
    await remove.click();
    await vi.waitFor(() => expect(focusedIn(panel)).toBe("BUTTON"), { timeout: 10_000 });
    expect(textOf(panel.shadowRoot?.activeElement ?? null)).toBe("Keep");
    await page.getByRole("button", { name: "Keep" }).click();
    expect(removed).toEqual([]);
    await vi.waitFor(() => expect(textOf(panel.shadowRoot?.activeElement ?? null)).toBe("Remove"), {
      timeout: 10_000,
    });
    await remove.click();
    await page.getByRole("button", { name: "Remove device", exact: true }).click();
    expect(removed).toEqual([{ id: THERE.id }]);
  });

  it("get another one by a link, shown as text and as a code", async () => {
    const panel = await mount(new SottoDevicesPanel(), { devices: [HERE] });
    const asked = listen(panel, "sotto-device-link");
    await page.getByRole("button", { name: "Link another device" }).click();
    expect(asked).toHaveLength(1);
    panel.busy = "link";
    await panel.updateComplete;
    await expect.element(page.getByRole("button", { name: "Making the link…" })).toBeDisabled();
    panel.busy = undefined;
    panel.link = LINK;
    await panel.updateComplete;
    expect(textOf(panel.shadowRoot?.activeElement ?? null)).toBe("Copy link");
    await expect
      .element(page.getByRole("img", { name: "QR code of the device link" }))
      .toBeVisible();
    expect((inside(panel, "#link") as HTMLInputElement).value).toBe(LINK);
    expect(textOf(panel.shadowRoot)).toContain("from your recovery phrase first");
    expect(textOf(panel.shadowRoot)).not.toContain("Becomes active");
    panel.online = false;
    await panel.updateComplete;
    expect(textOf(panel.shadowRoot)).toContain("Becomes active when the relay is reached.");
  });

  it("copies the link and says so", async () => {
    const write = vi.spyOn(navigator.clipboard, "writeText").mockResolvedValue();
    await mount(new SottoDevicesPanel(), { devices: [HERE], link: LINK });
    await page.getByRole("button", { name: "Copy link" }).click();
    expect(write).toHaveBeenCalledWith(LINK);
    await expect.element(page.getByRole("button", { name: "Copied" })).toBeVisible();
  });

  it.each([
    ["link", /relay has not been reached yet.*Try again/],
    ["remove", /could not be removed.*Try again/],
  ] as const)("say what could not be done: %s", async (problem, words) => {
    const panel = await mount(new SottoDevicesPanel(), { devices: [HERE, THERE], problem });
    expect(textOf(inside(panel, "[role=alert]"))).toMatch(words);
  });

  it("take a link of another device while this one is alone, and only then", async () => {
    const panel = await mount(new SottoDevicesPanel(), { devices: [] });
    const joined = listen(panel, "sotto-device-join");
    const field = page.getByRole("textbox", { name: "Link from the other device" });
    await field.fill(`  ${LINK} `);
    await page.getByRole("button", { name: "Link this device" }).click();
    expect(joined).toEqual([{ text: LINK }]);
    // It has no list yet that another device could be put in.
    expect(labels(panel)).toEqual(["Link this device"]);
    panel.joined = true;
    await panel.updateComplete;
    expect(textOf(inside(panel, "[role=status]"))).toContain("Waiting for the other device");
    panel.devices = [HERE, THERE];
    await panel.updateComplete;
    expect(allInside(panel, "form, [role=status]")).toEqual([]);
  });

  it.each([
    ["own", /made on this very device/],
    ["other-account", /another account.*restore it on this device/],
    ["for-contact", /ordinary invite, for another person.*“Link another device”/],
  ] as const)("explain why a link does not fit: %s", async (reason, words) => {
    const panel = await mount(new SottoDevicesPanel(), {
      devices: [HERE],
      joinText: LINK,
      joinFailure: { ok: false, reason },
    });
    expect(inside(panel, "details").hasAttribute("open")).toBe(true);
    expect(textOf(inside(panel, "[role=alert]"))).toMatch(words);
  });
});
