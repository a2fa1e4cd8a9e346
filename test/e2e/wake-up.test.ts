/** What a person sees when the relay wakes the app: something, without a word of the mail. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { createProfile, type Profile } from "./support/browsers.ts";
import { visit } from "./support/person.ts";
import { type RelayProcess, startRelayProcess } from "./support/relay-process.ts";

let relay: RelayProcess;
let profile: Profile;

beforeAll(async () => {
  relay = await startRelayProcess();
  profile = await createProfile();
});
afterAll(async () => {
  await profile.dispose();
  await relay.dispose();
});

it("shows that there is mail, and nothing of it", async () => {
  const { page } = await visit(profile.context, relay.url);
  await profile.context.grantPermissions(["notifications"], { origin: relay.url });
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
  const devtools = await profile.context.newCDPSession(page);
  const registered = new Promise<string>((resolve) => {
    devtools.on("ServiceWorker.workerRegistrationUpdated", ({ registrations }) => {
      const [first] = registrations;
      if (first !== undefined) resolve(first.registrationId);
    });
  });
  await devtools.send("ServiceWorker.enable");
  const registrationId = await registered;
  const shown = (): Promise<readonly (readonly string[])[]> =>
    page.evaluate(async () => {
      const registration = await navigator.serviceWorker.ready;
      const notifications = await registration.getNotifications();
      return notifications.map(({ title, body, tag }) => [title, body, tag]);
    });
  expect(await shown()).toEqual([]);
  await devtools.send("ServiceWorker.deliverPushMessage", {
    origin: relay.url,
    registrationId,
    data: "",
  });
  await expect.poll(shown).toEqual([["New message", "", "mail"]]);
});
