/** Different engines, and one without WebRTC at all: the same conversation. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { createProfile, type Profile } from "./support/browsers.ts";
import {
  composer,
  history,
  inviteLink,
  sees,
  seesLink,
  seesStatus,
  visit,
  write,
} from "./support/person.ts";
import { type RelayProcess, startRelayProcess } from "./support/relay-process.ts";
import { startWebKit } from "./support/webkit.ts";

let relay: RelayProcess;
let aliceProfile: Profile;

beforeAll(async () => {
  relay = await startRelayProcess();
  aliceProfile = await createProfile();
});
afterAll(async () => {
  await aliceProfile.dispose();
  await relay.dispose();
});

it("Chromium and Firefox talk directly, also without the relay", async () => {
  const firefoxProfile = await createProfile({ browser: "firefox" });
  try {
    const alice = await visit(aliceProfile.context, relay.url);
    const link = await inviteLink(alice);
    const fox = await visit(firefoxProfile.context, link);
    await composer(fox).waitFor();
    await composer(alice).waitFor();
    await write(fox, "from Firefox");
    await sees(alice, "from Firefox");
    await write(alice, "from Chromium");
    await sees(fox, "from Chromium");
    await Promise.all([seesLink(alice, "direct"), seesLink(fox, "direct")]);
    await relay.kill();
    await write(fox, "no relay needed");
    await sees(alice, "no relay needed");
    await seesStatus(fox, "no relay needed", "delivered");
    await relay.restart();
    expect(fox.problems).toEqual([]);
    await alice.page.close();
  } finally {
    await firefoxProfile.dispose();
  }
});

it("a browser whose WebRTC is switched off chats through the relay", async () => {
  const bobProfile = await createProfile();
  try {
    await bobProfile.context.addInitScript(() => {
      Reflect.deleteProperty(globalThis, "RTCPeerConnection");
    });
    const alice = await visit(aliceProfile.context, relay.url);
    const bob = await visit(bobProfile.context, await inviteLink(alice));
    await composer(bob).waitFor();
    await composer(alice).waitFor();
    await write(bob, "I have no WebRTC");
    await sees(alice, "I have no WebRTC");
    await seesStatus(bob, "I have no WebRTC", "delivered");
    await write(alice, "then through the relay");
    await sees(bob, "then through the relay");
    await Promise.all([seesLink(alice, "relayed"), seesLink(bob, "relayed")]);
    expect(await history(alice)).toEqual(await history(bob));
    await alice.page.close();
  } finally {
    await bobProfile.dispose();
  }
});

it("WebKit, which has no WebRTC here, chats through the relay", async () => {
  const webkit = await startWebKit();
  try {
    const alice = await visit(aliceProfile.context, relay.url);
    await webkit.open(await inviteLink(alice));
    await composer(alice).waitFor();
    await webkit.write("hello from WebKit");
    await sees(alice, "hello from WebKit");
    await write(alice, "hello WebKit");
    await webkit.sees("hello WebKit");
    await seesLink(alice, "relayed");
  } finally {
    await webkit.quit();
  }
});
