/**
 * T-02: an identifier of one kind, in the place of one of another, is nobody (Matrix, CVE-2022-39250: a device whose id
 * was a signing key). Device lists: packages/crypto/test/device-list.test.ts.
 */
import {
  accountIdOf,
  addDevice,
  createDeviceList,
  createOwnDevice,
  isCurrent,
  isMemberDevice,
  makeOp,
  nobleBackend,
  openFromGroup,
  beginChain,
  createRemoteSender,
  dealChain,
  type OwnDevice,
  safetyNumber,
  sealForGroup,
  takeRecord,
  verifyBundle,
  verifyDeviceCert,
  verifyDeviceList,
  createInviteBundle,
} from "@sotto/crypto";
import {
  asAccountId,
  asChainId,
  asContentId,
  asDeviceId,
  asEnvelopeId,
  asFileId,
  asGroupId,
  asLinkId,
  asOpId,
  asQueueId,
  asSendId,
  bytesToHex,
  decodeBundle,
  decodeDeviceCert,
  decodeDeviceList,
  decodeGroupEnvelope,
  deviceCertBody,
  encodeBundle,
  encodeDeviceCert,
  encodeDeviceList,
  utf8ToBytes,
} from "@sotto/wire";
import * as fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { accountOf, foundGroup } from "../../packages/crypto/test/group-support.ts";
import { must, seededEnv, text } from "../../packages/crypto/test/support.ts";

const env = seededEnv("identifiers");
let alice: OwnDevice;
let eve: OwnDevice;
beforeAll(async () => {
  alice = await createOwnDevice(env);
  eve = await createOwnDevice(env);
});

/** Eve's device under an id of her choice, certified by her own root key: all that she can do. */
async function eveNamed(id: Uint8Array): Promise<OwnDevice> {
  const body = { ...eve.cert, deviceId: asDeviceId(id) };
  const label = utf8ToBytes("sotto/1 device cert\0");
  const signature = await nobleBackend.sign(
    eve.rootSecret,
    Uint8Array.from([...label, ...deviceCertBody(body)]),
  );
  return { ...eve, cert: { ...body, signature } };
}

/** 8 bytes that are also part of something of Alice's. */
const names = (): readonly (readonly [string, Uint8Array])[] => {
  const { cert } = alice;
  const { digits, qr } = safetyNumber(alice.cert.rootKey, eve.cert.rootKey);
  return [
    ["Alice's device id", cert.deviceId],
    ["the beginning of her root key", cert.rootKey.slice(0, 8)],
    ["the end of her root key", cert.rootKey.slice(-8)],
    ["the beginning of her signing key", cert.signingKey.slice(0, 8)],
    ["the beginning of her DH key", cert.dhKey.slice(0, 8)],
    ["the beginning of her account id", accountIdOf(cert.rootKey).slice(0, 8)],
    ["digits of the safety number", utf8ToBytes(digits.slice(0, 8))],
    ["a scanned safety number", utf8ToBytes(qr.slice(0, 8))],
  ];
};

describe("a device of Eve's that is named like something of Alice's", () => {
  it("is Eve's: its account, its safety number and every list of Alice's say so", async () => {
    const list = await createDeviceList(alice, env);
    const own = safetyNumber(alice.cert.rootKey, eve.cert.rootKey);
    for (const [what, id] of names()) {
      const { cert } = await eveNamed(id);
      expect(await verifyDeviceCert(cert, nobleBackend), what).toBe(true);
      expect(isCurrent(list, cert), what).toBe(false);
      expect(accountIdOf(cert.rootKey), what).toEqual(accountIdOf(eve.cert.rootKey));
      expect(safetyNumber(alice.cert.rootKey, cert.rootKey), what).toEqual(own);
      // Nor as a device of Alice's, by Alice's own hand: the certificate is another account's.
      const taken = await addDevice(list, cert, false, alice.rootSecret, env);
      expect(taken, what).toEqual({ ok: false, reason: "bad-cert" });
      const claimed = { ...cert, rootKey: alice.cert.rootKey };
      expect(await verifyDeviceCert(claimed, nobleBackend), what).toBe(false);
      const theirs = await createDeviceList({ ...eve, cert }, env);
      expect(await verifyDeviceList(theirs, alice.cert.rootKey, nobleBackend), what).toBe(false);
    }
  });

  it("speaks in a group for Eve alone", async () => {
    const { people, log } = await foundGroup(2, env);
    const [founder, member] = people;
    if (founder === undefined || member === undefined) throw new Error("no people");
    const invited = { kind: "add", account: accountOf(eve) } as const;
    const group = must(await makeOp(log, founder, invited, env)).log;
    const twin = await eveNamed(founder.cert.deviceId);
    const { chain } = must(await beginChain(group, twin, env));
    const to = { account: accountOf(member), device: member.cert.deviceId };
    const dealt = must(dealChain(chain, group, [to], env.now));
    const sealed = must(await sealForGroup(dealt.chain, group, text("from Eve"), env));
    const envelope = must(decodeGroupEnvelope(sealed.envelope)).value;
    const heardAs = (account: ReturnType<typeof accountOf>) => {
      const sender = takeRecord(
        createRemoteSender(group.group, account, twin.cert.deviceId),
        dealt.record,
        env.now,
      );
      if (sender === undefined) throw new Error("record refused");
      return openFromGroup(sender, envelope, group, env);
    };
    expect((await heardAs(accountOf(eve))).ok).toBe(true);
    // The same device id, the same chain, another account: nothing that is derived from it fits.
    expect(await heardAs(accountOf(founder))).toMatchObject({ ok: false, reason: "unknown-chain" });
    expect(isMemberDevice(group.state, accountOf(eve), twin.cert.deviceId)).toBe(true);
  });

  it("revokes itself and not the device it is named like", async () => {
    const { people, log } = await foundGroup(2, env);
    const [founder] = people;
    if (founder === undefined) throw new Error("no founder");
    const invited = { kind: "add", account: accountOf(eve) } as const;
    const group = must(await makeOp(log, founder, invited, env)).log;
    const device = founder.cert.deviceId;
    const revoked = must(await makeOp(group, eve, { kind: "revoke", device }, env)).log;
    expect(isMemberDevice(revoked.state, accountOf(founder), device)).toBe(true);
    expect(isMemberDevice(revoked.state, accountOf(eve), device)).toBe(false);
  });
});

describe("a key in the place of a key of another kind", () => {
  it("is malformed by its type byte, in certificates, bundles and lists alike", async () => {
    const { bundle } = await createInviteBundle(alice, env);
    const list = await createDeviceList(alice, env);
    const typed: readonly (readonly [Uint8Array, readonly number[], (b: Uint8Array) => boolean])[] =
      [
        [encodeDeviceCert(alice.cert), [1, 42, 75], (bytes) => decodeDeviceCert(bytes).ok],
        // version, suite, certificate 178, id 4; then key 32, id 4; then ML-KEM 1,184, flag 1.
        [encodeBundle(bundle), [3, 44, 77, 184, 221, 1_407], (bytes) => decodeBundle(bytes).ok],
        [encodeDeviceList(list), [1], (bytes) => decodeDeviceList(bytes).ok],
      ];
    for (const [bytes, places, decodes] of typed) {
      expect(decodes(bytes)).toBe(true);
      for (const at of places) {
        expect([1, 2, 3]).toContain(bytes[at]);
        for (let type = 0; type < 256; type++) {
          if (type === bytes[at]) continue;
          const changed = bytes.slice();
          changed[at] = type;
          expect(decodes(changed), `type ${type} at ${at}`).toBe(false);
        }
      }
    }
  });

  it("does not verify with its own type either: keys exchanged within one certificate or bundle", async () => {
    const { rootKey, signingKey, dhKey } = alice.cert;
    for (const exchanged of [
      { rootKey: signingKey, signingKey: rootKey },
      { signingKey: dhKey, dhKey: signingKey },
      { rootKey: dhKey, dhKey: rootKey },
      { signingKey: rootKey },
      { dhKey: eve.cert.dhKey },
    ]) {
      expect(await verifyDeviceCert({ ...alice.cert, ...exchanged }, nobleBackend)).toBe(false);
    }
    const { bundle } = await createInviteBundle(alice, env);
    const { signedPrekey, kemPrekey } = bundle;
    if (kemPrekey.oneTimeKey === undefined) throw new Error("no one-time key");
    for (const exchanged of [
      { ...bundle, signedPrekey: { ...signedPrekey, key: kemPrekey.oneTimeKey } },
      { ...bundle, kemPrekey: { ...kemPrekey, oneTimeKey: signedPrekey.key } },
      { ...bundle, signedPrekey: { ...signedPrekey, id: kemPrekey.id } },
      { ...bundle, kemPrekey: { ...kemPrekey, id: signedPrekey.id } },
    ]) {
      expect(await verifyBundle(exchanged, nobleBackend)).toBe(false);
    }
  });
});

describe("an identifier", () => {
  const makers = {
    account: [asAccountId, 20],
    chain: [asChainId, 16],
    content: [asContentId, 16],
    device: [asDeviceId, 8],
    envelope: [asEnvelopeId, 16],
    file: [asFileId, 16],
    group: [asGroupId, 32],
    link: [asLinkId, 24],
    op: [asOpId, 32],
    queue: [asQueueId, 24],
    send: [asSendId, 24],
  } as const;

  it.each(Object.entries(makers))("of a %s has one length", (_name, [make, size]) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        if (bytes.length === size) expect(bytesToHex(make(bytes))).toBe(bytesToHex(bytes));
        else expect(() => make(bytes)).toThrow(RangeError);
      }),
    );
  });
});
