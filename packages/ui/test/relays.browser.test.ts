import { chooseLocale } from "@sotto/ui";
import { SottoRelaysPanel } from "@sotto/ui/late";
import { isRelayUrl } from "@sotto/wire";
import type { RelayState } from "@sotto/sdk";
import { afterEach, describe, expect, it } from "vitest";
import { page, userEvent } from "vitest/browser";
import { allInside, fieldOf, inside, listen, mount, textOf } from "./support.ts";

afterEach(() => chooseLocale("en"));

const HOME: RelayState = { url: "https://a.example", state: "online", roundTripMs: 12.4 };
const AWAY: RelayState = {
  url: "https://b.example:8443",
  state: "no-relay",
  roundTripMs: undefined,
};

const rowsOf = (panel: SottoRelaysPanel): readonly string[] => allInside(panel, "li").map(textOf);

describe("the relays of this device", () => {
  it("are listed with how each is doing, home named, and only one cannot be removed", async () => {
    const panel = await mount(new SottoRelaysPanel(), { relays: [HOME, AWAY] });
    expect(rowsOf(panel)).toEqual([
      "a.example Connected · 12 ms · your invites lead here Remove",
      "b.example:8443 No answer Remove",
    ]);
    const removed = listen(panel, "sotto-relay-remove");
    await page.getByRole("button", { name: "Remove b.example:8443" }).click();
    expect(removed).toEqual([{ url: AWAY.url }]);
    panel.relays = [HOME];
    await panel.updateComplete;
    expect(allInside(panel, "li button")).toEqual([]);
  });

  it("say in plain words when the page may not talk to one", async () => {
    const blocked = new Set([AWAY.url]);
    const panel = await mount(new SottoRelaysPanel(), { relays: [HOME, AWAY], blocked });
    expect(rowsOf(panel)[1]).toContain("This page is not allowed to connect to that relay.");
    chooseLocale("zh-CN");
    await panel.updateComplete;
    expect(rowsOf(panel)[1]).toContain("本页面不允许连接该中继");
    panel.relays = [HOME, { ...AWAY, state: "online" }];
    await panel.updateComplete;
    expect(rowsOf(panel)[1]).not.toContain("不允许");
  });

  it("are added from what is offered, until there are three", async () => {
    const offered = [HOME.url, "https://c.example"];
    const panel = await mount(new SottoRelaysPanel(), { relays: [HOME, AWAY], offered });
    expect(rowsOf(panel)[2]).toContain("c.example Offered by the operator of this page");
    expect(rowsOf(panel)).toHaveLength(3);
    const added = listen(panel, "sotto-relay-add");
    await page.getByRole("button", { name: "Add c.example" }).click();
    expect(added).toEqual([{ url: "https://c.example" }]);
    panel.relays = [HOME, AWAY, { ...AWAY, url: "https://c.example" }];
    panel.offered = [...offered, "https://d.example"];
    await panel.updateComplete;
    expect(rowsOf(panel)).toHaveLength(3);
    expect(textOf(inside(panel, "section"))).toContain("More than three relays are not possible.");
    expect(allInside(panel, "form")).toEqual([]);
  });

  it("are listed by their hosts, also one at a port that there is none of", async () => {
    const odd = "https://e.example:99999";
    expect(isRelayUrl(odd)).toBe(true);
    const panel = await mount(new SottoRelaysPanel(), { relays: [HOME], offered: [odd] });
    expect(textOf(panel.renderRoot)).toContain("e.example:99999");
  });

  it.each([
    ["d.example", "https://d.example"],
    [" https://d.example:8443/i#abc ", "https://d.example:8443"],
    ["http://d.example", undefined],
    ["javascript:alert(1)", undefined],
    ["", undefined],
  ])("are added by an address: %j", async (typed, url) => {
    const panel = await mount(new SottoRelaysPanel(), { relays: [HOME], isRelayUrl });
    const added = listen(panel, "sotto-relay-add");
    await page.getByText("Add another relay").click();
    await userEvent.type(fieldOf(panel), `${typed}{Enter}`);
    await panel.updateComplete;
    expect(added).toEqual(url === undefined ? [] : [{ url }]);
    expect(allInside(panel, "[role=alert]")).toHaveLength(url === undefined ? 1 : 0);
  });
});
