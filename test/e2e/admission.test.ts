/** A relay that asks for a code: wrong, right, out of a link, and then people talk as anywhere. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Relay, openAdmissionStore, startRelay } from "sotto-relay";
import { DAY_MS, hashOfCode } from "sotto-relay/core";
import type { Route } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createProfile, type Profile } from "./support/browsers.ts";
import { composer, inviteLink, sees, visit, WAIT_MS, write } from "./support/person.ts";

const CODE = "GHJK-MNPQ-RSTV-WXYZ";
let relay: Relay;
let data: string;
let profiles: readonly Profile[];

beforeAll(async () => {
  data = await mkdtemp(join(tmpdir(), "sotto-e2e-admission-"));
  const circuit = false;
  relay = await startRelay({ port: 0, data, app: "app/dist", door: "invite", circuit });
  const store = openAdmissionStore(data);
  store.addCode(hashOfCode(CODE)!, 2, Math.floor(Date.now() / DAY_MS) + 1);
  store.close();
  profiles = await Promise.all([createProfile(), createProfile()]);
});
afterAll(async () => {
  await Promise.all(profiles.map((profile) => profile.dispose()));
  await relay.close();
  await rm(data, { recursive: true, force: true });
});

it("lets in who types the code or follows a link that has it", async () => {
  const alice = await visit(profiles[0]!.context, relay.url);
  const field = alice.page.getByRole("textbox", { name: "Invite code" });
  await field.fill("0000-0000-0000-0000");
  await field.press("Enter");
  await alice.page.getByText("wrong, used up or too old").waitFor();
  expect(await field.inputValue()).toBe("0000-0000-0000-0000");
  // The relay counts a use, its answer is lost, and so is the page: the same code still lets her in, and bob after her.
  const lose = async (route: Route): Promise<void> => {
    await route.fetch();
    await route.abort();
  };
  await alice.page.route("**/admission", lose, { times: 2 });
  await field.fill(CODE.toLowerCase());
  await field.press("Enter");
  await alice.page.getByText("does not answer").waitFor();
  await alice.page.reload();
  await field.fill(CODE.toLowerCase());
  await field.press("Enter");
  await field.waitFor({ state: "detached" });
  const link = await inviteLink(alice);

  const bob = await visit(profiles[1]!.context, `${relay.url}/#code=${CODE}`);
  await bob.page.getByText("Notes to self").first().waitFor();
  expect(new URL(bob.page.url()).hash).toBe("");
  // Each of them came twice: without a token, and with one; alice's lost page came without one.
  await expect.poll(() => relay.counters().authenticated, { timeout: WAIT_MS }).toBe(5);
  const kept = await alice.page.evaluate(() => Object.keys(localStorage));
  expect(kept.filter((key) => key.includes("admission"))).toEqual([]);
  await bob.page.goto(link);
  await composer(bob).waitFor();
  await write(bob, "Let in by a link");
  await sees(alice, "Let in by a link");
  await write(alice, "And I by a code");
  await sees(bob, "And I by a code");
  await alice.page.reload();
  await sees(alice, "And I by a code");
  expect(await alice.page.locator("sotto-admission-sheet").count()).toBe(0);
});
