/** Codes on one screen, read by the camera of the other. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createProfile, type Profile } from "./support/browsers.ts";
import { writeCameraPicture } from "./support/camera.ts";
import { composer, inviteLink, openConversation, sees, visit, write } from "./support/person.ts";
import { type RelayProcess, startRelayProcess } from "./support/relay-process.ts";

let relay: RelayProcess;
let aliceProfile: Profile;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sotto-e2e-camera-"));
  relay = await startRelayProcess();
  aliceProfile = await createProfile();
});
afterAll(async () => {
  await aliceProfile.dispose();
  await relay.dispose();
  await rm(folder, { recursive: true });
});

it("an invite is followed and a person verified by scanning", async () => {
  const camera = join(folder, "picture.y4m");
  const alice = await visit(aliceProfile.context, relay.url);
  await writeCameraPicture(camera, await inviteLink(alice));
  const bobProfile = await createProfile({ camera });
  try {
    const bob = await visit(bobProfile.context, relay.url);
    await bob.page.getByRole("button", { name: "I have a link" }).click();
    await bob.page.getByRole("button", { name: "Scan a code" }).click();
    await composer(bob).waitFor();
    await write(bob, "I scanned you");
    await sees(alice, "I scanned you");

    await alice.page.getByRole("button", { name: "Verify" }).click();
    const digits = (await alice.page.locator("sotto-verify-panel ol").innerText()).replace(
      /\s/g,
      "",
    );
    expect(digits).toMatch(/^\d{60}$/);
    // The camera's file is read at the browser's start: the same profile with another picture before it.
    await bobProfile.quit();
    await writeCameraPicture(camera, digits);
    await bobProfile.reopen();
    const again = await visit(bobProfile.context, relay.url);
    await openConversation(again, "I scanned you");
    await again.page.getByRole("button", { name: "Verify" }).click();
    await again.page.getByRole("button", { name: "Scan a code" }).click();
    await again.page.getByText("They match. You are talking to the right person.").waitFor();
    await again.page.getByText("You have verified this person.").waitFor();
    expect([...bob.problems, ...again.problems]).toEqual([]);
  } finally {
    await bobProfile.dispose();
  }
});
