/** Two devices of one account over a real relay: linked, told of everybody, and removed again. */
import { type Conversation, type Messenger, MessengerError } from "@sotto/sdk";
import { startRelay } from "sotto-relay";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { openTestMessenger, until } from "./support.ts";

let relay: Awaited<ReturnType<typeof startRelay>>;
const open: Messenger[] = [];

beforeAll(async () => {
  relay = await startRelay({ port: 0 });
});
afterAll(() => relay.close());
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
});

async function person(name: string, phrase?: string): Promise<Messenger> {
  const parts = phrase === undefined ? {} : { restore: phrase };
  const messenger = await openTestMessenger({ relayUrl: relay.url, name, parts });
  open.push(messenger);
  return messenger;
}

async function sibling(of: Messenger): Promise<Messenger> {
  return person("second", (await of.recoveryPhrase({ language: "english" })).join(" "));
}

async function meet(inviter: Messenger, invitee: Messenger): Promise<void> {
  const { url, conversation } = await inviter.invite();
  await until(inviter.conversations, (all) => all.some((one) => one.invite?.active === true));
  expect(await invitee.accept(url)).toMatchObject({ ok: true });
  await until(inviter.conversations, (all) =>
    all.some((one) => one.id === conversation && one.kind === "contact"),
  );
}

async function linked(first: Messenger): Promise<Messenger> {
  const second = await sibling(first);
  const { url } = await first.linkDevice();
  let result = await second.joinDevices(url);
  while (!result.ok && result.reason === "gone") result = await second.joinDevices(url);
  expect(result).toMatchObject({ ok: true });
  await until(second.me, ({ devices }) => devices.length === 2);
  return second;
}

async function chatWith(messenger: Messenger, name: string): Promise<Conversation> {
  const all = await until(messenger.conversations, (some) => some.some((one) => one.name === name));
  const found = messenger.conversation(all.find((one) => one.name === name)?.id ?? "");
  if (found === undefined) throw new Error("no conversation");
  return found;
}

const shows = async (conversation: Conversation, text: string): Promise<void> => {
  await until(conversation.timeline, ({ messages }) => messages.some((one) => one.text === text));
};

describe("two devices of one account", () => {
  it("are listed, know the same people, and show the same texts", async () => {
    const ann = await person("Ann");
    const bob = await person("Bob");
    await meet(ann, bob);
    const tablet = await linked(ann);
    await until(ann.me, ({ devices }) => devices.length === 2);
    expect(ann.me.value.devices.map(({ current }) => current)).toEqual([true, false]);
    expect(tablet.me.value.devices.map(({ current }) => current)).toEqual([false, true]);
    const atBob = await chatWith(bob, "Ann");
    await until(atBob.view, ({ devices }) => devices.others === 1 && devices.added === 1);
    await atBob.send("to both");
    await shows(await chatWith(ann, "Bob"), "to both");
    await shows(await chatWith(tablet, "Bob"), "to both");
    await (await chatWith(tablet, "Bob")).send("from the tablet");
    await shows(atBob, "from the tablet");
    // Reading goes by itself while a conversation is open; that there is another device is for the person to see.
    await atBob.markRead();
    await until(atBob.view, ({ unread }) => unread === 0);
    expect(atBob.view.value.devices.added).toBe(1);
    await atBob.markDevicesSeen();
    await until(atBob.view, ({ devices }) => devices.added === 0);
    await shows(await chatWith(ann, "Bob"), "from the tablet");
    const copy = await chatWith(ann, "Bob");
    await until(copy.timeline, ({ messages }) =>
      messages.some((one) => one.text === "from the tablet" && one.status === "delivered"),
    );
    // Pairs are no conversations.
    expect(bob.conversations.value).toHaveLength(2);
    expect(tablet.conversations.value).toHaveLength(2);
    for (const one of [ann, tablet]) {
      expect(one.conversations.value.find(({ kind }) => kind === "notes")?.devices.others).toBe(1);
    }
  });

  it("part for good: the removed one reads nothing more", async () => {
    const ann = await person("Ann");
    const bob = await person("Bob");
    await meet(ann, bob);
    const tablet = await linked(ann);
    const atBob = await chatWith(bob, "Ann");
    await until(atBob.view, ({ devices }) => devices.others === 1);
    const gone = ann.me.value.devices.find(({ current }) => !current)?.id ?? "";
    await ann.removeDevice(gone);
    await until(atBob.view, ({ devices }) => devices.others === 0 && devices.removed === 1);
    await atBob.send("only for the first");
    await shows(await chatWith(ann, "Bob"), "only for the first");
    const there = await chatWith(tablet, "Bob");
    expect(there.timeline.value.messages.map(({ text }) => text)).not.toContain(
      "only for the first",
    );
    expect(ann.me.value.devices).toHaveLength(1);
  });
});

describe("a link for devices", () => {
  it("is for one's own only, as an invite is for others only", async () => {
    const ann = await person("Ann");
    const bob = await person("Bob");
    const { url } = await ann.linkDevice();
    const conversations = bob.conversations.value.length;
    expect(await bob.joinDevices(url)).toEqual({ ok: false, reason: "other-account" });
    expect(await bob.accept(url)).toEqual({ ok: false, reason: "for-device" });
    expect(await bob.accept(`Open ${url} please`)).toEqual({ ok: false, reason: "for-device" });
    expect(bob.conversations.value).toHaveLength(conversations);
    expect(await ann.joinDevices(url)).toEqual({ ok: false, reason: "own" });
    expect(await ann.accept(url)).toEqual({ ok: false, reason: "for-device" });
    const tablet = await sibling(ann);
    const invite = await ann.invite();
    expect(await tablet.accept(invite.url)).toEqual({ ok: false, reason: "own" });
    expect(await tablet.joinDevices(invite.url)).toEqual({ ok: false, reason: "for-contact" });
    expect(await tablet.joinDevices("nothing")).toEqual({ ok: false, reason: "malformed" });
    // Nobody used it up.
    let joined = await tablet.joinDevices(url);
    while (!joined.ok && joined.reason === "gone") joined = await tablet.joinDevices(url);
    expect(joined).toEqual({ ok: true });
    await until(tablet.me, ({ devices }) => devices.length === 2);
  });

  it("leads to a removal of other devices only", async () => {
    const ann = await person("Ann");
    const own = ann.me.value.devices[0]?.id ?? "";
    await expect(ann.removeDevice(own)).rejects.toBeInstanceOf(MessengerError);
    await expect(ann.removeDevice("00")).rejects.toBeInstanceOf(MessengerError);
  });
});
