/** What a conversation's record keeps at most: as much as its limit says, and of one more what has to give way. */
import {
  accountIdOf,
  createInviteBundle,
  encrypt,
  nobleBackend,
  restoreDevice,
  sealWay,
  SESSIONS_MAX,
} from "@sotto/crypto";
import {
  OFFERS_MAX,
  PREVIEW_CHARACTERS_MAX,
  REPAIR_PAUSE_MS,
  PLEA_PAUSE_MS,
  SPARES_MAX,
} from "@sotto/protocol";
import {
  type AccountId,
  asContentId,
  asDeviceId,
  bytesToHex,
  DEVICE_ID_BYTES,
  type DeviceId,
  encodeContent,
} from "@sotto/wire";
import { expect, it } from "vitest";
import { addressOf, deliver, entropy, openPeerOf, paired, settle, type Side } from "./fixture.ts";

function setSessions(side: Side, sessions: ReturnType<typeof openPeerOf>["sessions"]): void {
  const { conversation } = side.slice;
  if (conversation === undefined) throw new Error("no conversation");
  const peer = { ...openPeerOf(side), sessions };
  side.slice = { ...side.slice, conversation: { ...conversation, peer } };
}

it("PREVIEW_CHARACTERS_MAX: that many characters, none of them halved", async () => {
  const { alice } = await paired();
  const previewOf = async (text: string): Promise<string | undefined> => {
    await alice.send(text);
    return alice.slice.conversation?.last?.text;
  };
  const full = `${"a".repeat(PREVIEW_CHARACTERS_MAX - 1)}😀`;
  expect(await previewOf(full)).toBe(full);
  expect(await previewOf(`${full}b`)).toBe(full);
});

it("SPARES_MAX: of one more, the oldest secrets are gone", async () => {
  const { alice } = await paired();
  const made = [...openPeerOf(alice).spares.own];
  /** Alice has lost all that begins a session, and asks with another bundle every hour. */
  const renew = async (): Promise<void> => {
    setSessions(alice, []);
    const peer = openPeerOf(alice);
    const { conversation } = alice.slice;
    const spares = { ...peer.spares, theirs: undefined };
    alice.slice = {
      ...alice.slice,
      conversation: { ...conversation!, peer: { ...peer, spares } },
    };
    alice.now += PLEA_PAUSE_MS;
    await alice.feed({ kind: "wake" });
    made.unshift(openPeerOf(alice).spares.own[0]!);
  };
  while (made.length < SPARES_MAX) await renew();
  expect(openPeerOf(alice).spares.own).toEqual(made);
  await renew();
  expect(made).toHaveLength(SPARES_MAX + 1);
  expect(openPeerOf(alice).spares.own).toEqual(made.slice(0, SPARES_MAX));
});

it("SESSIONS_MAX: of one more, that which opened nothing for longest is gone", async () => {
  const { alice, bob } = await paired();
  const idsOf = (side: Side): readonly string[] =>
    openPeerOf(side).sessions.map(({ id }) => bytesToHex(id));
  const [first] = idsOf(alice);
  /** Bob has lost everything and begins a new session with Alice's spare. */
  const renew = async (): Promise<void> => {
    setSessions(bob, []);
    alice.now += REPAIR_PAUSE_MS;
    bob.now = alice.now;
    await bob.feed({ kind: "wake" });
    await deliver(alice, bob.toRelay[0]!.blob);
    expect(idsOf(alice).length).toBeLessThanOrEqual(SESSIONS_MAX);
    await settle(alice, bob);
  };
  for (let count = 1; count < SESSIONS_MAX; count++) await renew();
  expect(idsOf(alice)).toHaveLength(SESSIONS_MAX);
  expect(idsOf(alice).at(-1)).toBe(first);
  const [, ...before] = idsOf(alice).toReversed();
  await renew();
  expect(idsOf(alice)).toEqual([idsOf(bob)[0], ...before.toReversed()]);
});

/** A device of Alice's own account says how it is reached; Bob gets it from Alice. */
async function offering() {
  const { alice, bob } = await paired();
  const env = { entropy, crypto: nobleBackend, now: bob.now };
  let [session] = openPeerOf(alice).sessions;
  const offer = async (account: AccountId, device: DeviceId): Promise<DeviceId> => {
    const from = await restoreDevice(alice.self.rootSecret, env);
    const { bundle } = await createInviteBundle(from, env);
    const way = await sealWay(from, bob.self.cert, { bundle, addresses: [addressOf()] }, env);
    const content = encodeContent({
      kind: "offer",
      id: asContentId(entropy(16)),
      time: { ms: bob.now, counter: 0 },
      account,
      device,
      cert: from.cert,
      way,
    });
    const sealed = await encrypt(session!, content, env);
    ({ session } = sealed);
    await deliver(bob, sealed.envelope);
    return from.cert.deviceId;
  };
  return { alice, bob, offer };
}

it("OFFERS_MAX: of ways to devices that no list names yet, the oldest is forgotten", async () => {
  const { bob, offer } = await offering();
  const { deviceId, rootKey } = bob.self.cert;
  const kept = () => bob.slice.conversation?.devices.offers.map((one) => one.bundle.cert.deviceId);
  const made: DeviceId[] = [];
  while (made.length < OFFERS_MAX) made.push(await offer(accountIdOf(rootKey), deviceId));
  expect(kept()).toEqual(made);
  made.push(await offer(accountIdOf(rootKey), deviceId));
  expect(kept()).toEqual(made.slice(1));
});

it("OFFERS_MAX: of ways for devices that have no pair yet, the oldest is forgotten", async () => {
  const { alice, bob, offer } = await offering();
  const account = accountIdOf(alice.self.cert.rootKey);
  const kept = () => bob.slice.conversation?.devices.passing.map(({ device }) => device);
  const made: string[] = [];
  const pass = async (): Promise<void> => {
    const device = asDeviceId(entropy(DEVICE_ID_BYTES));
    await offer(account, device);
    made.push(bytesToHex(device));
  };
  while (made.length < OFFERS_MAX) await pass();
  expect(kept()).toEqual(made);
  await pass();
  expect(kept()).toEqual(made.slice(1));
});
