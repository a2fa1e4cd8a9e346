/**
 * T-01: what is made as one kind is refused as every other, even where one key serves for all of them.
 * Every label and every function that takes bytes from outside has its row here: a new one without fails.
 */
import * as crypto from "@sotto/crypto";
import * as backup from "@sotto/crypto/backup";
import * as recovery from "@sotto/crypto/recovery";
import * as token from "@sotto/crypto/token";
import * as wire from "@sotto/wire";
import { beforeAll, describe, expect, it } from "vitest";
import { disguised, FIXED_SIZES, makeWorld, oneKeyBackend } from "./t01-world.ts";

type World = Awaited<ReturnType<typeof makeWorld>>;
type KindName = keyof World["kinds"];
type SignedName = keyof World["signed"];

/** Where each label does its work: the rows of the matrices that would go wrong with a second use of it. */
const LABEL_ROWS: Readonly<Record<keyof typeof crypto.LABELS, readonly (KindName | SignedName)[]>> =
  {
    account: ["safety number", "group operation"],
    deviceCert: ["device cert"],
    deviceList: ["device list"],
    deviceListHash: ["device list"],
    lastResort: ["last resort"],
    prekeyLeaf: ["prekey batch", "bundle"],
    prekeyNode: ["prekey batch"],
    prekeyBatch: ["prekey batch", "bundle"],
    bundle: ["hello"],
    transcript: ["hello", "message", "signal"],
    handshakeIdentity: ["hello"],
    handshakeRoot: ["hello", "message", "signal"],
    root: ["message"],
    tag: ["message"],
    invite: ["invite offer"],
    inviteOffer: ["invite offer"],
    hubHello: ["hub hello"],
    hubAuth: ["hub auth"],
    hubSend: ["sender proof"],
    ownAtRelay: ["hub auth"],
    hubAdmission: ["admission proof"],
    hubWork: ["work"],
    tokenKey: ["issuer key"],
    plea: ["plea"],
    way: ["way"],
    safetyNumber: ["safety number"],
    fileChunk: ["file chunk"],
    fileNode: ["file chunk"],
    backup: ["backup chunk"],
    backupRoot: ["backup header"],
    backupPassphrase: ["backup header"],
    groupOp: ["group create", "group operation", "group page"],
    groupOpId: ["group create", "group operation"],
    groupSigner: ["group create", "group operation"],
    groupHeads: ["sender chain record"],
    groupState: ["group operation"],
    groupChain: ["group message", "sender chain record"],
    groupTag: ["group message"],
    groupMessage: ["group message"],
  };

/** Everything that takes bytes or structures from outside, with the row that uses it or why there is none. */
const OPENERS: Readonly<Record<string, readonly KindName[] | string>> = {
  decodeEnvelope: ["message", "hello", "signal", "plea"],
  decrypt: ["message"],
  accept: ["hello"],
  openSignal: ["signal"],
  openPlea: ["plea"],
  openWay: ["way"],
  openInviteOffer: ["invite offer"],
  decodeInviteOffer: ["invite offer"],
  decodeSignal: ["signal"],
  decodeDeviceCert: ["device cert"],
  verifyDeviceCert: ["device cert"],
  decodeBundle: ["bundle"],
  verifyBundle: ["bundle"],
  decodeDeviceList: ["device list"],
  verifyDeviceList: ["device list"],
  followList: "takes lists only after verifyDeviceList",
  decodeGroupOp: ["group create", "group operation"],
  openLog: ["group create"],
  receiveOp: ["group operation"],
  decodeGroupPage: ["group page"],
  receivePage: ["group page"],
  decodeGroupKey: ["sender chain record"],
  takeRecord: ["sender chain record"],
  decodeGroupEnvelope: ["group message"],
  decodeGroupHeader: "sealed inside a group message",
  openFromGroup: ["group message"],
  openChunk: ["file chunk"],
  openNextChunk: ["file chunk"],
  openBackup: ["backup header"],
  openBackupChunk: ["backup chunk"],
  decodeFileReference: ["file reference"],
  decodeContent: ["content"],
  decodeInvite: ["invite"],
  linkToInvite: ["invite"],
  readRecoveryPhrase: ["recovery phrase"],
  decodeFrame: ["hub hello", "hub auth"],
  verifyHubHello: ["hub hello"],
  verifyHubAuth: ["hub auth"],
  decodeAdmission: ["admission proof"],
  verifyIssuerKey: "a signature, see below",
  decodeDirectFrame:
    "carries an envelope over a link that is authenticated itself, and proves nothing",
  decodeAddress: "inside an offer or a content",
  decodeAddresses: "inside an offer",
  readAddress: "inside an offer or a content",
  readAddresses: "inside an offer or a content",
  decodeWith: "what decoders are made of",
};

const TAKES_FROM_OUTSIDE =
  /^(?:accept|decode|decrypt|follow|link|open|read|receive|take|unseal|verify)(?=[A-Z]|$)/;

describe("every row is there", () => {
  it("of each label", () => {
    expect(Object.keys(LABEL_ROWS).toSorted()).toEqual(Object.keys(crypto.LABELS).toSorted());
  });

  it("of each exported function that opens, decodes, verifies or takes in", () => {
    const exported = Object.entries({ ...wire, ...crypto, ...backup, ...recovery, ...token })
      .filter(([name, value]) => typeof value === "function" && TAKES_FROM_OUTSIDE.test(name))
      .map(([name]) => name);
    expect(exported.toSorted()).toEqual(Object.keys(OPENERS).toSorted());
  });

  it("of each kind that an opener or a label names", async () => {
    const { kinds, signed } = await makeWorld(crypto.nobleBackend);
    const named = new Set<string>(
      [...Object.values(OPENERS), ...Object.values(LABEL_ROWS)].flatMap((row) =>
        typeof row === "string" ? [] : row,
      ),
    );
    const rows = new Set([...Object.keys(kinds), ...Object.keys(signed)]);
    expect([...rows].filter((one) => !named.has(one))).toEqual([]);
    for (const [name, size] of Object.entries(FIXED_SIZES)) {
      expect(kinds[name as keyof typeof FIXED_SIZES].bytes.length).toBe(size);
    }
  });
});

describe.each([
  ["with the keys of each kind", crypto.nobleBackend],
  ["with one key for every AEAD", oneKeyBackend],
] as const)("bytes of one kind, %s", (_name, backend) => {
  let world: World;
  beforeAll(async () => {
    world = await makeWorld(backend);
  });

  it("open as that kind and as no other, also when they are made to look like it", async () => {
    const { kinds } = world;
    const names = Object.keys(kinds) as KindName[];
    const confusions: string[] = [];
    for (const made of names) {
      for (const opened of names) {
        const kind = kinds[opened];
        if (made === opened) {
          expect(await kind.opens(kind.bytes), made).toBe(true);
          continue;
        }
        for (const [manner, bytes] of disguised(kinds[made].bytes, kind).entries()) {
          if (await kind.opens(bytes)) confusions.push(`${made} as ${opened} (${manner})`);
        }
      }
    }
    expect(confusions).toEqual([]);
  });
});

describe("a signature, all of them made with one Ed25519 key", () => {
  it("is good in its own place and in no other", async () => {
    const { signed } = await makeWorld(crypto.nobleBackend);
    for (const [made, { signature }] of Object.entries(signed)) {
      for (const [checked, structure] of Object.entries(signed)) {
        expect(await structure.verifies(signature), `${made} as ${checked}`).toBe(made === checked);
      }
    }
  });

  it("of a one-time batch does not make a last resort, nor the other way round", async () => {
    const { lastResort } = await makeWorld(crypto.nobleBackend);
    expect(await crypto.verifyBundle(lastResort, crypto.nobleBackend)).toBe(true);
    const kemPrekey = { ...lastResort.kemPrekey, oneTimeKey: lastResort.cert.dhKey };
    expect(await crypto.verifyBundle({ ...lastResort, kemPrekey }, crypto.nobleBackend)).toBe(
      false,
    );
  });

  it("covers a message that begins with the label of its kind, so no choice of content helps", async () => {
    const messages: Uint8Array[] = [];
    const { signed } = await makeWorld({
      ...crypto.nobleBackend,
      sign(seed, message) {
        messages.push(message);
        return crypto.nobleBackend.sign(seed, message);
      },
    });
    const labels = Object.entries(crypto.LABELS);
    const used = messages.map(
      (message) =>
        labels.find(([, label]) => startsWith(message, wire.utf8ToBytes(`${label}\0`)))?.[0],
    );
    expect(used).not.toContain(undefined);
    expect(new Set(used)).toEqual(
      new Set([
        "deviceCert",
        "deviceList",
        "groupMessage",
        "groupOp",
        "hubAuth",
        "hubHello",
        "lastResort",
        "prekeyBatch",
        "tokenKey",
      ]),
    );
    expect(new Set(used).size).toBe(Object.keys(signed).length);
  });
});

const startsWith = (bytes: Uint8Array, start: Uint8Array): boolean =>
  wire.equalBytes(bytes.subarray(0, start.length), start);
