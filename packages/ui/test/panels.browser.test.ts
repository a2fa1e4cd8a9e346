import {
  applyTheme,
  chooseLocale,
  type JoinFailure,
  SottoBanner,
  SottoIdentityNotice,
  SottoInvitePanel,
  SottoJoinPanel,
  SottoNameField,
  SottoQr,
  SottoSheet,
  SottoSettingsPanel,
  SottoVerifyPanel,
} from "@sotto/ui";
import type { Diagnostics } from "@sotto/sdk";
import { decodeQR } from "qr/decode.js";
import { afterEach, describe, expect, it, vi } from "vitest";
import { page, userEvent } from "vitest/browser";
import { aView, NOW } from "./samples.ts";
import { allInside, fieldOf, focusedIn, inside, listen, mount, textOf } from "./support.ts";

const CODE = "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdEfGhIjKlMnOpQrStUvWxYz0123456".slice(0, 71);
const LINK = `https://chat.example.com/i#${CODE}`;

afterEach(() => {
  vi.restoreAllMocks();
  chooseLocale("en");
  applyTheme("system");
});

/** What a camera would see: the drawing on white, in pixels. */
async function scan(element: SottoQr): Promise<string> {
  const drawing = element.renderRoot.querySelector("svg");
  if (drawing === null) throw new Error("nothing drawn");
  const size = 480;
  drawing.setAttribute("width", String(size));
  drawing.setAttribute("height", String(size));
  const markup = new XMLSerializer().serializeToString(drawing);
  const image = new Image();
  image.src = URL.createObjectURL(new Blob([markup], { type: "image/svg+xml" }));
  await image.decode();
  const context = new OffscreenCanvas(size, size).getContext("2d");
  if (context === null) throw new Error("no canvas");
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, size, size);
  context.drawImage(image, 0, 0, size, size);
  return decodeQR(context.getImageData(0, 0, size, size));
}

describe("the notice of another identity", () => {
  const labels = (notice: SottoIdentityNotice): readonly string[] =>
    allInside(notice, "button").map(textOf);

  it("is not there while the contact is who it was", async () => {
    const notice = await mount(new SottoIdentityNotice(), { view: aView({ name: "Bob" }) });
    expect(textOf(inside(notice, "section"))).toBe("");
  });

  it("says that messages wait, and answers about the identity that is shown", async () => {
    const notice = await mount(new SottoIdentityNotice(), {
      view: aView({ name: "Bob", newIdentity: "abc" }),
    });
    expect(textOf(inside(notice, "p"))).toMatch(/Your messages wait/);
    expect(labels(notice)).toEqual(["Compare safety number", "Go on", "Not this person"]);
    const answers = listen(notice, "sotto-identity-answer");
    const opened = listen(notice, "sotto-verify-open");
    for (const button of allInside(notice, "button")) button.click();
    expect(answers).toEqual([
      { accountId: "abc", answer: "accept" },
      { accountId: "abc", answer: "reject" },
    ]);
    expect(opened).toHaveLength(1);
  });

  it("offers no way around comparing for a contact who was verified", async () => {
    const notice = await mount(new SottoIdentityNotice(), {
      view: aView({ name: "Bob", newIdentity: "abc", verified: true }),
    });
    expect(labels(notice)).toEqual(["Compare safety number", "Not this person"]);
    chooseLocale("zh-CN");
    await notice.updateComplete;
    expect(labels(notice)).toEqual(["核对安全码", "不是此人"]);
  });
});

describe("the QR code", () => {
  it("can be scanned, has a name, and fits an invite link in version 6", async () => {
    const link = LINK.padEnd(106, "0");
    const code = await mount(new SottoQr(), { text: link, label: "QR code" });
    await expect.element(page.getByRole("img", { name: "QR code" })).toBeVisible();
    expect(await scan(code)).toBe(link);
    const modules = 41;
    const border = 4;
    expect(inside(code, "svg").getAttribute("viewBox")).toBe(
      `0 0 ${modules + 2 * border} ${modules + 2 * border}`,
    );
  });
});

describe("the invite panel", () => {
  const invite = { url: LINK, expiresAt: NOW, active: true };

  it("shows the link, its code and how long it is valid", async () => {
    const panel = await mount(new SottoInvitePanel(), { invite });
    await expect.element(page.getByRole("textbox", { name: "Invite link" })).toHaveValue(LINK);
    await expect.element(page.getByRole("img", { name: /QR code/ })).toBeVisible();
    expect(textOf(inside(panel, ".note"))).toMatch(/Valid until .*2026/);
  });

  it("says when the link does not work yet", async () => {
    const panel = await mount(new SottoInvitePanel(), { invite: { ...invite, active: false } });
    expect(textOf(inside(panel, ".note"))).toContain("Becomes active");
  });

  it("copies the link and says so", async () => {
    const write = vi.spyOn(navigator.clipboard, "writeText").mockResolvedValue();
    const panel = await mount(new SottoInvitePanel(), { invite });
    await page.getByRole("button", { name: "Copy link" }).click();
    expect(write).toHaveBeenCalledWith(LINK);
    await vi.waitFor(() => expect(textOf(inside(panel, ".primary"))).toBe("Copied"), {
      timeout: 10_000,
    });
  });

  it("selects the link for copying by hand where the browser refuses", async () => {
    vi.spyOn(navigator.clipboard, "writeText").mockRejectedValue(new Error("denied"));
    const panel = await mount(new SottoInvitePanel(), { invite });
    await page.getByRole("button", { name: "Copy link" }).click();
    const field = fieldOf(panel);
    await vi.waitFor(() => expect(field.selectionEnd).toBe(LINK.length), { timeout: 10_000 });
    expect(textOf(inside(panel, ".primary"))).toBe("Copy link");
  });

  it("does not offer a second tab where this is the second one", async () => {
    const panel = await mount(new SottoInvitePanel(), { invite, secondTab: false });
    expect(allInside(panel, "button").map(textOf)).not.toContain("Try with a second tab");
    expect(allInside(panel, ".primary")).toHaveLength(1);
  });

  it("leads to a second tab, and to another try when there is no link", async () => {
    const panel = await mount(new SottoInvitePanel(), { invite });
    const tab = listen(panel, "sotto-second-tab");
    const retry = listen(panel, "sotto-retry");
    await page.getByRole("button", { name: "Try with a second tab" }).click();
    expect(tab).toHaveLength(1);
    panel.failed = true;
    await page.getByRole("button", { name: "Try again" }).click();
    expect(retry).toHaveLength(1);
  });
});

describe("the join panel", () => {
  it("takes what is pasted", async () => {
    const panel = await mount(new SottoJoinPanel());
    const joined = listen(panel, "sotto-join");
    await expect.element(page.getByRole("button", { name: "Open" })).toBeDisabled();
    await page.getByRole("textbox", { name: "Link or code" }).fill(LINK);
    await page.getByRole("button", { name: "Open" }).click();
    expect(joined).toEqual([{ text: LINK }]);
  });

  const reasons: readonly (readonly [JoinFailure["reason"], RegExp])[] = [
    ["malformed", /not an invite link.*copied all/],
    ["gone", /already used or has ended.*new one/],
    ["for-device", /not an invite: it adds a device.*recovery phrase.*ordinary invite/],
    ["own", /your own invite.*someone else/],
    ["other-relay", /another Sotto server/],
    ["forged", /tampered.*new one/],
    ["unreachable", /does not answer.*try again/],
    ["storage", /could not store.*space/],
    ["failed", /Reload.*stays valid/],
  ];
  it.each(reasons)("says what to do about %s", async (reason, words) => {
    const panel = await mount(new SottoJoinPanel(), { text: LINK, failure: { ok: false, reason } });
    expect(textOf(inside(panel, "[role=alert]"))).toMatch(words);
  });

  it("leads to the relay a link belongs to, the code behind the '#'", async () => {
    const panel = await mount(new SottoJoinPanel(), {
      text: `look: ${LINK} !`,
      failure: { ok: false, reason: "other-relay", origin: "https://relay.example.net" },
    });
    expect(inside(panel, "a").getAttribute("href")).toBe(`https://relay.example.net/i#${CODE}`);
  });

  it("never makes a link of an address that is not a web address", async () => {
    const panel = await mount(new SottoJoinPanel(), {
      text: LINK,
      failure: { ok: false, reason: "other-relay", origin: "javascript:alert(1)" },
    });
    expect(allInside(panel, "a")).toEqual([]);
  });

  it("offers the same link again when the relay was not there", async () => {
    await mount(new SottoJoinPanel(), {
      text: LINK,
      failure: { ok: false, reason: "unreachable" },
    });
    await expect.element(page.getByRole("button", { name: "Try again" })).toBeEnabled();
  });
});

/** Twelve groups of five digits. */
const WHOLE = Array.from({ length: 12 }, (_, group) => `${10_000 + group}`).join(" ");

describe("the verify panel", () => {
  const number = {
    groups: Array.from({ length: 12 }, (_, index) => String(10_000 + index)),
    qr: "SOTTO0123456789ABCDEF",
  };

  it("shows 12 groups of 5 digits and the same as a code", async () => {
    const panel = await mount(new SottoVerifyPanel(), { name: "Ada", number });
    const groups = page.getByRole("list", { name: "Safety number" }).getByRole("listitem");
    expect(groups.elements().map(textOf)).toEqual(number.groups);
    expect(await scan(inside(panel, "sotto-qr") as SottoQr)).toBe(number.qr);
  });

  it.each([
    [true, WHOLE, "They match"],
    [false, WHOLE, "do not match"],
    [false, WHOLE.slice(1), "60 digits"],
    [false, "no number", "do not match"],
  ])("compares a pasted number: %s %s", async (isSame, text, words) => {
    const compare = vi.fn<(text: string) => Promise<boolean>>().mockResolvedValue(isSame);
    const panel = await mount(new SottoVerifyPanel(), { name: "Ada", number, compare });
    const verified: boolean[] = [];
    panel.addEventListener("sotto-verified", (event) => {
      if (event instanceof CustomEvent) verified.push(event.detail.verified);
    });
    await page.getByRole("textbox").fill(text);
    await page.getByRole("button", { name: "Compare" }).click();
    expect(compare).toHaveBeenCalledWith(text);
    await vi.waitFor(() => expect(textOf(inside(panel, "[role=status]"))).toContain(words), {
      timeout: 10_000,
    });
    // A match is the verification; nothing else is.
    expect(verified).toEqual(isSame ? [true] : []);
  });

  it("forgets the outcome when another person is looked at", async () => {
    const compare = (): Promise<boolean> => Promise.resolve(true);
    const panel = await mount(new SottoVerifyPanel(), { name: "Ada", number, compare });
    await page.getByRole("textbox").fill("1");
    await page.getByRole("button", { name: "Compare" }).click();
    await vi.waitFor(() => expect(textOf(inside(panel, "[role=status]"))).not.toBe(""), {
      timeout: 10_000,
    });
    panel.number = { ...number, groups: number.groups.toReversed() };
    await panel.updateComplete;
    expect(textOf(inside(panel, "[role=status]"))).toBe("");
  });

  it("says nothing about a person of what was found out about another one", async () => {
    const compared = Promise.withResolvers<boolean>();
    const panel = await mount(new SottoVerifyPanel(), {
      name: "Ada",
      number,
      compare: () => compared.promise,
    });
    await page.getByRole("textbox").fill("1");
    await page.getByRole("button", { name: "Compare" }).click();
    panel.name = "Bob";
    panel.number = { ...number, groups: number.groups.toReversed() };
    await panel.updateComplete;
    compared.resolve(true);
    await compared.promise;
    // A turn of the event loop later, everything that waits for the answer has run.
    await new Promise((resolve) => setTimeout(resolve));
    await panel.updateComplete;
    expect(textOf(inside(panel, "[role=status]"))).toBe("");
  });

  it("does not say that numbers differ when they could not be compared", async () => {
    const panel = await mount(new SottoVerifyPanel(), {
      name: "Ada",
      number,
      compare: () => Promise.reject(new Error("closed")),
    });
    await page.getByRole("textbox").fill("1");
    await page.getByRole("button", { name: "Compare" }).click();
    await vi.waitFor(
      () =>
        expect(textOf(inside(panel, "[role=status]"))).toBe(
          "They could not be compared just now. Try again.",
        ),
      { timeout: 10_000 },
    );
  });

  it("copies the number as it is shown", async () => {
    const write = vi.spyOn(navigator.clipboard, "writeText").mockResolvedValue();
    await mount(new SottoVerifyPanel(), { name: "Ada", number });
    await page.getByRole("button", { name: "Copy the number" }).click();
    expect(write).toHaveBeenCalledWith(number.groups.join(" "));
    await expect.element(page.getByRole("button", { name: "Copied" })).toBeVisible();
  });

  it("marks and unmarks", async () => {
    const panel = await mount(new SottoVerifyPanel(), { name: "Ada", number });
    const marked = listen(panel, "sotto-verified");
    await page.getByRole("button", { name: "Mark as verified" }).click();
    panel.verified = true;
    await page.getByRole("button", { name: "Remove the mark" }).click();
    expect(marked).toEqual([{ verified: true }, { verified: false }]);
  });

  it("says so while the other side is not known", async () => {
    const panel = await mount(new SottoVerifyPanel(), { name: "Ada" });
    expect(textOf(inside(panel, "p"))).toContain("not known yet");
  });
});

describe("the name field", () => {
  async function edit(text: string): Promise<{ field: SottoNameField; named: readonly unknown[] }> {
    const field = await mount(new SottoNameField(), { name: "Quiet Otter" });
    const named = listen(field, "sotto-rename");
    await page.getByRole("button", { name: /Change your name/ }).click();
    await page.getByRole("textbox", { name: "Your name" }).fill(text);
    await page.getByRole("button", { name: "Save" }).click();
    return { field, named };
  }

  it("changes the name in place and gives the focus back", async () => {
    const { field, named } = await edit("  Ada  ");
    expect(named).toEqual([{ name: "Ada" }]);
    await vi.waitFor(() => expect(focusedIn(field)).toBe("BUTTON"), { timeout: 10_000 });
  });

  it("takes 64 characters, whatever they are made of", async () => {
    expect((await edit("🦦".repeat(64))).named).toEqual([{ name: "🦦".repeat(64) }]);
  });

  it("refuses 65 and none, and says why", async () => {
    expect((await edit("   ")).named).toEqual([]);
    document.querySelector("sotto-name-field")?.remove();
    const { field, named } = await edit("a".repeat(65));
    expect(named).toEqual([]);
    expect(textOf(inside(field, "[role=alert]"))).toContain("64");
  });

  it.each(["\u200b", "\u3164", "\u2800\u00ad"])(
    "refuses %j, in which there is nothing to see",
    async (text) => {
      const { field, named } = await edit(text);
      expect(named).toEqual([]);
      const input = fieldOf(field);
      expect(input.getAttribute("aria-invalid")).toBe("true");
      const problem = inside(field, `#${input.getAttribute("aria-describedby")}`);
      expect(textOf(problem)).toContain("visible");
      input.value = "Ada";
      await page.getByRole("button", { name: "Save" }).click();
      expect(named).toEqual([{ name: "Ada" }]);
    },
  );

  it("drops what cannot be seen: no name may turn the text around it", async () => {
    expect((await edit("Ada\u202e\u0007 L")).named).toEqual([{ name: "Ada L" }]);
  });

  it("leaves the name alone on Escape", async () => {
    const field = await mount(new SottoNameField(), { name: "Quiet Otter" });
    const named = listen(field, "sotto-rename");
    await page.getByRole("button", { name: /Change your name/ }).click();
    await userEvent.keyboard("Nobody{Escape}");
    await expect.element(page.getByRole("button", { name: /Quiet Otter/ })).toBeVisible();
    expect(named).toEqual([]);
  });
});

const chosen = (engine: string) => ({
  chosen: engine,
  chosenShort: engine,
  candidates: [],
});
const CRYPTO: Diagnostics["crypto"] = {
  state: "chosen",
  operations: {
    dh: chosen("kernel"),
    dhPublic: chosen("kernel"),
    seal: { ...chosen("webcrypto"), chosenShort: "noble" },
    open: chosen("noble"),
    hmac: chosen("kernel"),
    sign: chosen("webcrypto"),
    verify: chosen("webcrypto"),
    signPublic: chosen("webcrypto"),
    kemPublic: chosen("noble"),
    encaps: chosen("noble"),
    decaps: chosen("noble"),
  },
};

describe("the settings panel", () => {
  it("changes the language of everything on screen at once, and remembers it", async () => {
    await mount(new SottoSettingsPanel());
    await page.getByRole("radio", { name: "简体中文" }).click({ force: true });
    await expect.element(page.getByRole("heading", { name: "外观" })).toBeVisible();
    expect(document.documentElement.lang).toBe("zh-CN");
    expect(localStorage.getItem("sotto-locale")).toBe("zh-CN");
  });

  it("changes the theme and remembers it", async () => {
    await mount(new SottoSettingsPanel());
    await page.getByRole("radio", { name: "Dark" }).click({ force: true });
    expect(document.documentElement.dataset["theme"]).toBe("dark");
    expect(localStorage.getItem("sotto-theme")).toBe("dark");
    await page.getByRole("radio", { name: "System" }).click({ force: true });
    expect(document.documentElement.dataset["theme"]).toBeUndefined();
  });

  it("asks to hide the address, and shows what holds rather than what was asked for", async () => {
    const me = { name: "Ada", accountId: "abc", devices: [], hidesAddress: false };
    const panel = await mount(new SottoSettingsPanel(), { me });
    const asked: unknown[] = [];
    panel.addEventListener("sotto-hide-address", (event) =>
      asked.push((event as CustomEvent).detail),
    );
    const box = page.getByRole("checkbox", { name: "Hide my IP address from contacts" });
    await box.click();
    expect(asked).toEqual([{ hidden: true }]);
    await expect.element(box).not.toBeChecked();
    panel.me = { ...me, hidesAddress: true };
    await expect.element(box).toBeChecked();
    await box.click();
    expect(asked.at(-1)).toEqual({ hidden: false });
    await expect.element(box).toBeChecked();
    expect(textOf(panel.shadowRoot)).toContain("The relay always sees your address.");
  });

  it("can be moved through by keyboard", async () => {
    const panel = await mount(new SottoSettingsPanel());
    inside(panel, "input[name=theme]:checked").focus();
    await userEvent.keyboard("{ArrowRight}");
    expect(document.documentElement.dataset["theme"]).toBe("light");
  });

  it.each([
    [{ state: "ok", persisted: true }, "protected"],
    [{ state: "ok", persisted: undefined }, "Kept on this device"],
    [{ state: "memory" }, "forgotten"],
    [{ state: "full" }, "full"],
    [{ state: "closed" }, "closed"],
  ] as const)("says how storage stands: %j", async (storage, words) => {
    const panel = await mount(new SottoSettingsPanel(), { storage });
    expect(textOf(panel.shadowRoot)).toContain(words);
  });

  it("lists what was refused, for people who look for trouble", async () => {
    const panel = await mount(new SottoSettingsPanel(), {
      diagnostics: {
        role: "leader",
        dropped: { malformed: 3, expired: 1 },
        direct: 1,
        damagedRows: 5,
        faults: 7,
        crypto: CRYPTO,
      },
    });
    const values = (): readonly string[] => allInside(panel, "details dd").map(textOf);
    expect(values()).toEqual([
      "1 direct now",
      "not readable: 3, after the end of an invite: 1",
      "5",
      "7",
      "dh: kernel, dhPublic: kernel, seal: webcrypto (noble), open: noble, hmac: kernel, sign: webcrypto, " +
        "verify: webcrypto, signPublic: webcrypto, kemPublic: noble, encaps: noble, decaps: noble",
    ]);
    chooseLocale("zh-CN");
    await panel.updateComplete;
    expect(values()[1]).toBe("无法解读: 3, 邀请过期后到达: 1");
  });
});

describe("the banner", () => {
  const grave = "section .grave";

  it("says nothing when all is well, and stays the same live region", async () => {
    const banner = await mount(new SottoBanner(), { hub: "online" });
    const region = inside(banner, "section[aria-live=polite]");
    expect(textOf(region)).toBe("");
    banner.hub = "offline";
    await banner.updateComplete;
    expect(inside(banner, "section")).toBe(region);
    expect(textOf(region)).toContain("You are offline");
  });

  it.each([
    ["no-relay", { state: "ok", persisted: true }, "relay does not answer"],
    ["online", { state: "memory" }, "Private window"],
    ["online", { state: "full" }, "full"],
    ["offline", { state: "closed" }, "database was closed"],
    ["relay-changed", { state: "memory" }, "Another relay"],
  ] as const)("says the gravest thing: %s, %j", async (hub, storage, words) => {
    const banner = await mount(new SottoBanner(), { hub, storage });
    expect(textOf(inside(banner, "section"))).toContain(words);
  });

  it("offers a new version where nothing graver is to be said", async () => {
    const banner = await mount(new SottoBanner(), { hub: "online", hasUpdate: true });
    const started = listen(banner, "sotto-update");
    await page.getByRole("button", { name: "Restart" }).click();
    expect(started).toHaveLength(1);
    banner.hub = "offline";
    await banner.updateComplete;
    expect(textOf(inside(banner, "section"))).toContain("You are offline");
  });

  it("asks before another relay is trusted", async () => {
    const banner = await mount(new SottoBanner(), { hub: "relay-changed" });
    const trusted = listen(banner, "sotto-trust-relay");
    expect(allInside(banner, grave)).toHaveLength(1);
    await page.getByRole("button", { name: "Trust the new relay" }).click();
    expect(trusted).toHaveLength(1);
  });
});

describe("the sheet", () => {
  it("is a named modal dialog that Escape closes and that gives the focus back", async () => {
    const opener = document.createElement("button");
    document.body.append(opener);
    opener.focus();
    const sheet = await mount(new SottoSheet(), { heading: "Settings", open: true });
    const closed = listen(sheet, "sotto-close");
    await expect.element(page.getByRole("dialog", { name: "Settings" })).toBeVisible();
    await userEvent.keyboard("{Escape}");
    await vi.waitFor(() => expect(closed).toHaveLength(1), { timeout: 10_000 });
    expect(document.activeElement).toBe(opener);
    opener.remove();
  });

  it("closes by its button, and says nothing when it is closed from outside", async () => {
    const sheet = await mount(new SottoSheet(), { heading: "Settings", open: true });
    const closed = listen(sheet, "sotto-close");
    await page.getByRole("button", { name: "Close" }).click();
    await vi.waitFor(() => expect(closed).toHaveLength(1), { timeout: 10_000 });
    sheet.open = false;
    await sheet.updateComplete;
    sheet.open = true;
    await sheet.updateComplete;
    sheet.open = false;
    await sheet.updateComplete;
    expect(allInside(sheet, "dialog[open]")).toEqual([]);
    expect(closed).toHaveLength(1);
  });
});
