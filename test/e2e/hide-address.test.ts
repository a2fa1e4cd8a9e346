/** Hiding the own address from contacts: the link goes through a real TURN server, and nothing else is told of. */
import { afterEach, expect, it } from "vitest";
import type { BrowserContext, Page } from "playwright-core";
import {
  hasTurnserver,
  startTurnserver,
  TURN_SECRET,
  type Turnserver,
} from "../../relay/test/turnserver.ts";
import { createProfile } from "./support/browsers.ts";
import { meet, type Person, sees, seesLink, WAIT_MS, write } from "./support/person.ts";
import { startRelayProcess } from "./support/relay-process.ts";

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

interface Seen {
  /** Kinds of candidates that the other side told this page. */
  told: string[];
  readonly connections: RTCPeerConnection[];
}
declare global {
  var seen: Seen;
}

/** Writes down what other people's browsers say of their addresses, and keeps every connection at hand. */
const watch = (context: BrowserContext): Promise<unknown> =>
  context.addInitScript(() => {
    globalThis.seen = { told: [], connections: [] };
    const { prototype } = RTCPeerConnection;
    // oxlint-disable-next-line typescript/unbound-method -- called on what they belong to
    const { addIceCandidate: add, setRemoteDescription: describe } = prototype;
    const note = (lines: string | undefined): void => {
      for (const [, kind = ""] of lines?.matchAll(/ typ (\w+)/g) ?? []) {
        globalThis.seen.told.push(kind);
      }
    };
    prototype.addIceCandidate = function (one?: RTCIceCandidateInit | null) {
      note(one?.candidate);
      return Reflect.apply(add, this, [one]) as Promise<void>;
    };
    prototype.setRemoteDescription = function (description: RTCSessionDescriptionInit) {
      note(description.sdp);
      globalThis.seen.connections.push(this);
      return Reflect.apply(describe, this, [description]) as Promise<void>;
    };
  });

/** "relay/relay" for the connections that are there: kinds of the candidates in use, own and other. */
const pathsOf = (page: Page): Promise<readonly string[]> =>
  page.evaluate(async () => {
    const paths: string[] = [];
    for (const connection of globalThis.seen.connections) {
      if (connection.connectionState !== "connected") continue;
      const stats = new Map<string, Record<string, unknown>>();
      (await connection.getStats()).forEach((one: Record<string, unknown>, id: string) => {
        stats.set(id, one);
      });
      const [transport] = [...stats.values()].filter(({ type }) => type === "transport");
      const used = stats.get(String(transport?.["selectedCandidatePairId"])) ?? {};
      const kinds = ["localCandidateId", "remoteCandidateId"].map((end) =>
        String(stats.get(String(used[end]))?.["candidateType"]),
      );
      paths.push(kinds.join("/"));
    }
    return paths;
  });

const toldTo = ({ page }: Person): Promise<readonly string[]> =>
  page.evaluate(() => globalThis.seen.told);

async function hideAddress({ page }: Person): Promise<void> {
  await page.getByRole("button", { name: "Settings" }).click();
  const box = page.getByRole("checkbox", { name: "Hide my IP address from contacts" });
  await box.click();
  await expect.poll(() => box.isChecked(), { timeout: WAIT_MS }).toBe(true);
  await page.keyboard.press("Escape");
  await page.locator("dialog[open]").waitFor({ state: "detached" });
}

async function meetAt(url: string): Promise<readonly [Person, Person]> {
  const profiles = await Promise.all([createProfile(), createProfile()]);
  for (const profile of profiles) {
    cleanups.push(() => profile.dispose());
    await watch(profile.context);
  }
  return meet(profiles[0].context, profiles[1].context, url);
}

it.skipIf(!hasTurnserver)(
  "whoever hides the address has links through the TURN server alone, and contacts hear of no other",
  async () => {
    const turn: Turnserver = await startTurnserver();
    cleanups.push(turn.stop);
    const env = {
      SOTTO_TURN_URLS: `turn:127.0.0.1:${turn.port}?transport=udp`,
      SOTTO_TURN_SECRET: TURN_SECRET,
    };
    const relay = await startRelayProcess({ env });
    cleanups.push(() => relay.dispose());
    const [alice, bob] = await meetAt(relay.url);
    const both = [alice, bob];
    await Promise.all(both.map((one) => seesLink(one, "direct")));
    // They can see each other, and this test can see that.
    for (const { page } of both) expect(await pathsOf(page)).not.toContain("relay/relay");
    // One of them had to be told: whoever is found before hears nothing any more once the link is there.
    await expect
      .poll(async () => (await Promise.all(both.map(toldTo))).flat(), { timeout: WAIT_MS })
      .toContain("host");

    await bob.page.evaluate(() => {
      globalThis.seen = { told: [], connections: [] };
    });
    await hideAddress(alice);
    // The link from before may have gone through the TURN server too: only a new one counts.
    await expect
      .poll(() => bob.page.evaluate(() => globalThis.seen.connections.length), { timeout: WAIT_MS })
      .toBeGreaterThan(0);
    await expect
      .poll(() => pathsOf(alice.page), { timeout: WAIT_MS })
      .toEqual([expect.stringMatching(/^relay\//)]);
    await Promise.all(both.map((one) => seesLink(one, "direct")));
    await relay.kill();
    await write(alice, "through the TURN server");
    await sees(bob, "through the TURN server");
    const told = await toldTo(bob);
    expect(told.filter((kind) => kind !== "relay")).toEqual([]);
    for (const { problems } of both) expect(problems).toEqual([]);
  },
);
