/** Who speaks for an account: only who the root key listed, in one history that nobody can bend, shorten or replay. */
import {
  addDevice,
  createDeviceList,
  createOwnDevice,
  type CryptoEnv,
  decrypt,
  encrypt,
  followList,
  type Followed,
  isCurrent,
  judgeMark,
  LABELS,
  LIST_PREFIX_BYTES,
  type ListChange,
  listHash,
  listMark,
  nobleBackend,
  NO_LIST_MARK,
  type OwnDevice,
  RECEIVED_LISTS_MAX,
  removeDevice,
  restoreDevice,
  verifyDeviceCert,
  verifyDeviceList,
} from "@sotto/crypto";
import {
  asDeviceId,
  type DeviceCert,
  deviceCertBody,
  decodeDeviceList,
  type DeviceList,
  deviceListBody,
  DEVICES_EVER_MAX,
  DEVICES_MAX,
  encodeDeviceList,
  LIST_VERSION_MAX,
  type ListedDevice,
} from "@sotto/wire";
import * as fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { ed25519Sign, labelled } from "#src/primitives.ts";
import { runs } from "../../../test/setup/runs.ts";
import {
  asMessage,
  asyncBackend,
  failingBackend,
  flipBit,
  must,
  NOW,
  seededEnv,
  settledPair,
} from "./support.ts";

const env = seededEnv("device lists");
const crypto = nobleBackend;

let own: OwnDevice;
let rootSecret: Uint8Array;
/** Devices of the account, certified. */
let pool: readonly OwnDevice[];
/** Version 1 with `own`, 2 adds pool 0, 3 adds pool 1, 4 removes pool 0, 5 adds pool 2. */
let history: readonly DeviceList[];
/** Of somebody else. */
let mallory: OwnDevice;

const at = <T>(items: readonly T[], index: number): T => {
  const item = items.at(index);
  if (item === undefined) throw new Error(`nothing at ${index}`);
  return item;
};
const listOf = (change: ListChange): DeviceList => must(change).list;
const version = (number: number): DeviceList => at(history, number - 1);
const certOf = (index: number): DeviceCert => at(pool, index).cert;

const add = async (list: DeviceList, cert: DeviceCert, admin = false): Promise<DeviceList> =>
  listOf(await addDevice(list, cert, admin, rootSecret, env));
const remove = async (list: DeviceList, cert: DeviceCert): Promise<DeviceList> =>
  listOf(await removeDevice(list, cert.deviceId, rootSecret, env));

/** What a holder of the root secret could sign who does not keep to the rules. */
function forge(
  from: DeviceList,
  change: Partial<DeviceList>,
  secret: Uint8Array = rootSecret,
): DeviceList {
  const body = { ...from, ...change };
  const signature = ed25519Sign(secret, labelled(LABELS.deviceList, deviceListBody(body)));
  return { ...body, signature };
}
/** The next version, by the rules except for what `change` says. */
const forgeNext = (from: DeviceList, change: Partial<DeviceList>): DeviceList =>
  forge(from, { version: from.version + 1, previous: listHash(from), ...change });

const listed = (cert: DeviceCert, admin = false): ListedDevice => ({
  id: cert.deviceId,
  signingKey: cert.signingKey,
  dhKey: cert.dhKey,
  admin,
  addedAt: NOW,
});

beforeAll(async () => {
  own = await createOwnDevice(env);
  ({ rootSecret } = own);
  mallory = await createOwnDevice(env);
  const devices = [];
  for (let count = 0; count < 8; count++) devices.push(await restoreDevice(rootSecret, env));
  pool = devices;
  const first = await createDeviceList(own, env);
  const second = await add(first, certOf(0));
  const third = await add(second, certOf(1));
  const fourth = await remove(third, certOf(0));
  history = [first, second, third, fourth, await add(fourth, certOf(2))];
});

const follow = (known: DeviceList, ...received: readonly DeviceList[]): Promise<Followed> =>
  followList(known, received, crypto);
const valid = (list: DeviceList): Promise<boolean> =>
  verifyDeviceList(list, own.cert.rootKey, crypto);

describe("making a list", () => {
  it("begins with the first device, an admin, and no past", async () => {
    const first = version(1);
    expect(first.devices).toEqual([listed(own.cert, true)]);
    expect(first.removed).toEqual([]);
    expect(first.previous).toEqual(new Uint8Array(32));
    expect(await valid(first)).toBe(true);
  });

  it("goes up by one and names the hash of the one before, and every one verifies", async () => {
    for (const [index, list] of history.entries()) {
      expect(list.version).toBe(index + 1);
      expect(await valid(list)).toBe(true);
      if (index > 0) expect(list.previous).toEqual(listHash(at(history, index - 1)));
      expect(decodeDeviceList(encodeDeviceList(list))).toEqual({ ok: true, value: list });
    }
  });

  it("is refused without the account's own root secret", async () => {
    const { cert } = mallory;
    const wrong = { ok: false, reason: "wrong-root" };
    expect(await addDevice(version(1), cert, true, mallory.rootSecret, env)).toEqual(wrong);
    const id = own.cert.deviceId;
    expect(await removeDevice(version(2), id, mallory.rootSecret, env)).toEqual(wrong);
  });

  it("takes no certificate of another account, and none that is not signed", async () => {
    const bad = { ok: false, reason: "bad-cert" };
    expect(await addDevice(version(1), mallory.cert, false, rootSecret, env)).toEqual(bad);
    const moved = { ...mallory.cert, rootKey: own.cert.rootKey };
    expect(await addDevice(version(1), moved, false, rootSecret, env)).toEqual(bad);
    const unsigned = { ...certOf(0), signature: new Uint8Array(64) };
    expect(await addDevice(version(1), unsigned, false, rootSecret, env)).toEqual(bad);
  });

  it("never takes back an id or a key, of a device that is there or was removed", async () => {
    const known = { ok: false, reason: "known-device" };
    const fresh = certOf(5);
    for (const there of [certOf(1), certOf(0)]) {
      for (const cert of [
        there,
        recertified({ ...fresh, deviceId: there.deviceId }),
        recertified({ ...fresh, signingKey: there.signingKey }),
        recertified({ ...fresh, dhKey: there.dhKey }),
        recertified({ ...fresh, signingKey: own.cert.rootKey }),
      ]) {
        expect(await verifyDeviceCert(cert, crypto)).toBe(true);
        expect(await addDevice(version(5), cert, false, rootSecret, env)).toEqual(known);
      }
    }
    expect((await addDevice(version(5), fresh, false, rootSecret, env)).ok).toBe(true);
  });

  it("keeps an admin, and removes only what is there", async () => {
    const last = { ok: false, reason: "last-admin" };
    expect(await removeDevice(version(5), own.cert.deviceId, rootSecret, env)).toEqual(last);
    const unknown = { ok: false, reason: "unknown-device" };
    expect(await removeDevice(version(5), certOf(0).deviceId, rootSecret, env)).toEqual(unknown);
    expect(await removeDevice(version(5), certOf(7).deviceId, rootSecret, env)).toEqual(unknown);
    const withSecond = await add(version(5), certOf(3), true);
    const without = await remove(withSecond, own.cert);
    expect(isCurrent(without, own.cert)).toBe(false);
    expect(await valid(without)).toBe(true);
  });

  it("changes nothing when an engine fails, at whichever call", async () => {
    for (const manner of ["throws", "rejects"] as const) {
      for (let failAt = 0; failAt < 3; failAt++) {
        const failing: CryptoEnv = { ...env, crypto: failingBackend(failAt, manner) };
        const before = encodeDeviceList(version(5));
        await expect(addDevice(version(5), certOf(3), false, rootSecret, failing)).rejects.toThrow(
          "engine failed",
        );
        expect(encodeDeviceList(version(5))).toEqual(before);
      }
      await expect(followList(version(1), [version(2)], failingBackend(0, manner))).rejects.toThrow(
        "engine failed",
      );
    }
    expect(await followList(version(1), [version(2)], asyncBackend)).toMatchObject({
      verdict: "newer",
    });
  });
});

describe("limits of a list", () => {
  it("are sixteen devices at one time", async () => {
    let list = version(1);
    for (let count = 1; count < DEVICES_MAX; count++) {
      list = await add(list, (await restoreDevice(rootSecret, env)).cert);
    }
    expect(list.devices).toHaveLength(DEVICES_MAX);
    expect(await valid(list)).toBe(true);
    expect(await addDevice(list, certOf(0), false, rootSecret, env)).toEqual({
      ok: false,
      reason: "too-many-devices",
    });
    // A verdict, though no such list has bytes that anybody could sign.
    expect(await valid({ ...list, devices: [...list.devices, listed(certOf(0))] })).toBe(false);
    const room = await remove(list, certAt(list, 3));
    expect(await valid(await add(room, certOf(0)))).toBe(true);
  });

  it("are 128 devices ever, every one of which can still be removed but the last admin", async () => {
    let list = version(1);
    const made = [];
    for (let count = 1; count < DEVICES_EVER_MAX; count++) {
      const { cert } = await restoreDevice(rootSecret, env);
      list = await add(list, cert);
      if (count < DEVICES_EVER_MAX - 1) list = await remove(list, cert);
      made.push(cert);
    }
    expect(await addDevice(list, certOf(0), false, rootSecret, env)).toEqual({
      ok: false,
      reason: "too-many-devices",
    });
    const end = await remove(list, at(made, -1));
    expect(end.version).toBe(LIST_VERSION_MAX);
    expect(end.removed).toHaveLength(DEVICES_EVER_MAX - 1);
    expect(decodeDeviceList(encodeDeviceList(end))).toEqual({ ok: true, value: end });
    expect(await follow(version(1), end)).toEqual({ verdict: "gap", since: 1 });
    expect(await follow(list, end)).toMatchObject({ verdict: "newer", added: [], more: false });
    expect(await addDevice(end, certOf(0), false, rootSecret, env)).toMatchObject({ ok: false });
  });

  it("are as many lists in one call as a history has", async () => {
    const many = Array.from({ length: RECEIVED_LISTS_MAX }, () => version(2));
    expect(await followList(version(1), many, trusting)).toMatchObject({ verdict: "newer" });
    expect(await followList(version(1), [...many, version(2)], trusting)).toEqual({
      verdict: "invalid",
    });
  });
});

describe("one list alone", () => {
  it("counts for its own account only", async () => {
    expect(await verifyDeviceList(version(1), mallory.cert.rootKey, crypto)).toBe(false);
    const theirs = await createDeviceList(mallory, env);
    expect(await verifyDeviceList(theirs, mallory.cert.rootKey, crypto)).toBe(true);
    expect(await valid(theirs)).toBe(false);
    expect(await valid({ ...theirs, rootKey: own.cert.rootKey })).toBe(false);
    expect(await valid(forge(version(1), {}, mallory.rootSecret))).toBe(false);
    expect(await valid(forge(version(1), { rootKey: mallory.cert.rootKey }))).toBe(false);
  });

  it("is refused after any change of a bit, and cut at any byte", async () => {
    const bytes = encodeDeviceList(version(4));
    for (let length = 0; length < bytes.length; length++) {
      expect(decodeDeviceList(bytes.subarray(0, length)).ok).toBe(false);
    }
    for (let bit = 0; bit < bytes.length * 8; bit += 7) {
      const decoded = decodeDeviceList(flipBit(bytes, bit));
      if (decoded.ok) expect(await valid(decoded.value), `bit ${bit}`).toBe(false);
    }
  });

  it("is refused although the root key signed it, when it is not sound", async () => {
    const list = version(4);
    const { devices, removed } = list;
    const device = listed(certOf(4));
    const gone = at(removed, 0);
    const bad: Readonly<Record<string, Partial<DeviceList>>> = {
      "no device": { devices: [] },
      "no admin": { devices: devices.map((entry) => ({ ...entry, admin: false })) },
      "an id twice": { devices: [...devices, { ...device, id: at(devices, 0).id }] },
      "a signing key twice": {
        devices: [...devices, { ...device, signingKey: at(devices, 1).signingKey }],
      },
      "a DH key twice": { devices: [...devices, { ...device, dhKey: at(devices, 1).dhKey }] },
      "a removed id": { devices: [...devices, { ...device, id: gone.id }] },
      "a removed signing key": {
        devices: [...devices, { ...device, signingKey: gone.signingKey }],
      },
      "a removed DH key": { devices: [...devices, { ...device, dhKey: gone.dhKey }] },
      "removed twice": { removed: [...removed, gone] },
      "the root key as a device's": {
        devices: [...devices, { ...device, signingKey: own.cert.rootKey }],
      },
      "a signing key of small order": {
        devices: [...devices, { ...device, signingKey: new Uint8Array(32) }],
      },
      "a DH key of small order": {
        devices: [...devices, { ...device, dhKey: new Uint8Array(32) }],
      },
      "a past of zeros": { previous: new Uint8Array(32) },
      "a first version with a past": { version: 1 },
      "a first version with more than its first device": {
        version: 1,
        previous: new Uint8Array(32),
      },
      "version 0": { version: 0 },
      "more versions than changes": { version: devices.length + 2 * removed.length + 1 },
    };
    for (const [name, change] of Object.entries(bad)) {
      expect(await valid(forge(list, change)), name).toBe(false);
    }
    expect(await valid(forge(list, { version: devices.length + 2 * removed.length }))).toBe(true);
  });

  it("is not what another signature of the root key or of a device says (T-01)", async () => {
    const list = version(2);
    const body = deviceListBody(list);
    const { cert } = own;
    const swapped = [
      cert.signature,
      ed25519Sign(rootSecret, body),
      ed25519Sign(rootSecret, labelled(LABELS.deviceCert, body)),
      ed25519Sign(rootSecret, labelled(LABELS.deviceList, deviceCertBody(cert))),
      ed25519Sign(own.signingSecret, labelled(LABELS.deviceList, body)),
      ...Object.values(LABELS)
        .filter((label) => label !== LABELS.deviceList)
        .map((label) => ed25519Sign(rootSecret, labelled(label, body))),
    ];
    for (const signature of swapped) expect(await valid({ ...list, signature })).toBe(false);
    const asCert = { ...cert, signature: list.signature };
    expect(await verifyDeviceCert(asCert, crypto)).toBe(false);
  });
});

describe("a certificate", () => {
  it("is current while its device is listed, and never again after", () => {
    const seen = history.map((list) => [own.cert, certOf(0), certOf(1)].map(isIn(list)));
    expect(seen).toEqual([
      [true, false, false],
      [true, true, false],
      [true, true, true],
      [true, false, true],
      [true, false, true],
    ]);
  });

  it("is not current by its id alone, nor by one key alone, nor for another account", () => {
    const list = version(3);
    const other = certOf(6);
    const there = certOf(1);
    for (const cert of [
      { ...other, deviceId: there.deviceId },
      { ...there, deviceId: other.deviceId },
      { ...there, signingKey: other.signingKey },
      { ...there, dhKey: other.dhKey },
      { ...there, rootKey: mallory.cert.rootKey },
    ]) {
      expect(isCurrent(list, cert)).toBe(false);
    }
  });

  it("gains nothing from an id that is the beginning of a key, an account id or a hash (T-02)", async () => {
    const list = version(3);
    const namedLike = [own.cert.rootKey, listHash(list), list.previous, certOf(1).signingKey];
    for (const bytes of namedLike) {
      const cert = recertified({ ...certOf(6), deviceId: asDeviceId(bytes.slice(0, 8)) });
      expect(isCurrent(list, cert)).toBe(false);
      expect(await verifyDeviceCert({ ...cert, signature: list.signature }, crypto)).toBe(false);
      const next = await add(list, cert);
      expect(isCurrent(next, cert)).toBe(true);
      expect(isCurrent(next, { ...cert, rootKey: cert.signingKey })).toBe(false);
      expect(next.devices.slice(0, -1)).toEqual(list.devices);
    }
  });
});

describe("following", () => {
  it("takes a history in any order, with repetitions, as far as it has no gap", async () => {
    const [first, second, third, fourth, fifth] = [1, 2, 3, 4, 5].map(version);
    expect(await follow(version(1), ...history.toReversed(), ...history)).toEqual({
      verdict: "newer",
      list: fifth,
      added: [listed(certOf(1)), listed(certOf(2))],
      removed: fifth?.removed,
      more: false,
    });
    expect(fifth?.removed.map(({ id }) => id)).toEqual([certOf(0).deviceId]);
    expect(await follow(version(1), version(2), version(4))).toEqual({
      verdict: "newer",
      list: second,
      added: [listed(certOf(0))],
      removed: [],
      more: true,
    });
    expect(await follow(version(3), version(4))).toMatchObject({ list: fourth, added: [] });
    expect(await follow(version(2), version(5), version(4))).toEqual({ verdict: "gap", since: 2 });
    expect(await follow(version(3), version(3), version(1))).toEqual({ verdict: "same" });
    expect(await follow(version(3))).toEqual({ verdict: "same" });
    expect(await follow(version(3), version(1), version(2))).toEqual({ verdict: "older" });
    expect([first, third]).toEqual([version(1), version(3)]);
  });

  it("goes by versions and hashes, whatever the clocks said", async () => {
    const late = { ...env, now: 1 };
    const next = listOf(await addDevice(version(5), certOf(3), false, rootSecret, late));
    expect(await follow(version(5), next)).toMatchObject({ verdict: "newer", list: next });
    const early = { ...env, now: NOW * 2 };
    const after = listOf(await removeDevice(next, certOf(3).deviceId, rootSecret, early));
    expect(await follow(version(5), after, next)).toMatchObject({ verdict: "newer", list: after });
  });

  it("raises the alarm for two lists of one version, known, newer or older", async () => {
    const other = await add(version(2), certOf(5));
    expect(await follow(version(3), other)).toEqual({ verdict: "fork", version: 3 });
    expect(await follow(version(2), version(3), other)).toEqual({ verdict: "fork", version: 3 });
    expect(await follow(version(1), version(3), other)).toEqual({ verdict: "fork", version: 3 });
    // The known list names only the hash of the one before, and everybody who was ever a device.
    expect(await follow(version(4), other)).toEqual({ verdict: "fork", version: 4 });
    expect(await follow(version(5), other)).toEqual({ verdict: "fork", version: 5 });
    const otherwise = await createDeviceList(own, { ...env, now: NOW + 1 });
    expect(await follow(version(2), otherwise)).toEqual({ verdict: "fork", version: 2 });
  });

  it("raises the alarm for a branch, next in line or behind a gap", async () => {
    const branch = await add(version(2), certOf(5));
    const branchNext = await add(branch, certOf(6));
    expect(await follow(version(3), branchNext)).toEqual({ verdict: "fork", version: 4 });
    const far = await add(branchNext, certOf(7));
    expect(await follow(version(3), far)).toEqual({ verdict: "fork", version: 5 });
    expect(await follow(version(3), version(4), far)).toEqual({ verdict: "fork", version: 5 });
  });

  it("raises the alarm for everything that a list signed by the root key may not do to the one before", async () => {
    const from = version(5);
    const { devices, removed } = from;
    const added = [...devices, listed(certOf(6))];
    const bad: Readonly<Record<string, Partial<DeviceList>>> = {
      "another past": { devices: added, previous: listHash(version(4)) },
      "a device dropped silently": { devices: [...devices.slice(0, 2), extra(6), extra(7)] },
      "a removed device forgotten": { devices: [...added, extra(7), extra(3)], removed: [] },
      "a removed device back": { devices: [...added, extra(7), extra(0)], removed: [] },
      "the time of a removal changed": {
        devices: added,
        removed: removed.map((entry) => ({ ...entry, removedAt: 5 })),
      },
      "another key for a device": {
        devices: added.map((entry, index) =>
          index === 1 ? { ...entry, dhKey: certOf(7).dhKey } : entry,
        ),
      },
      "a device made admin": { devices: added.map((entry) => ({ ...entry, admin: true })) },
      "another time of addition": { devices: added.map((entry) => ({ ...entry, addedAt: 1 })) },
      "another order": { devices: added.toReversed() },
      "a removal of what was never there": { removed: [...removed, gone(certOf(6))] },
    };
    for (const [name, change] of Object.entries(bad)) {
      const list = forgeNext(from, change);
      expect(await valid(list), name).toBe(true);
      expect(await follow(from, list), name).toEqual({ verdict: "fork", version: 6 });
    }
    const unchanged = forgeNext(version(3), {});
    expect(await follow(version(3), unchanged)).toEqual({ verdict: "invalid" });
    expect(await follow(from, forgeNext(from, { devices: added }))).toMatchObject({
      verdict: "newer",
    });
  });

  it("counts the changes across a gap: no more versions than changes", async () => {
    const long = forge(version(5), { version: 7, devices: [...version(5).devices, extra(6)] });
    expect(await valid(forge(long, { version: 6 }))).toBe(true);
    const known = forge(version(5), { version: 3 });
    expect(await follow(known, forge(long, { version: 5 }))).toEqual({
      verdict: "fork",
      version: 5,
    });
    const two = { devices: [...version(5).devices, extra(6), extra(7)] };
    expect(await follow(known, forge(long, { version: 5, ...two }))).toEqual({
      verdict: "gap",
      since: 3,
    });
  });
});

describe("ghost devices (T-03)", () => {
  it("get into no list: unsigned, signed by others, replayed, reordered, cut or mixed, over many histories", async () => {
    const ghost = listed(mallory.cert, true);
    const full = await longHistory();
    let ghosts = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: full.length - 1 }),
        fc.array(
          fc.record({
            index: fc.nat({ max: full.length - 1 }),
            trick: fc.constantFrom("none", "unsigned", "other root", "moved", "forgotten"),
          }),
          { maxLength: 8 },
        ),
        async (start, picks) => {
          let known = at(full, start);
          const received = picks.map(({ index, trick }) => {
            const list = at(full, index);
            const devices = [...list.devices.slice(0, DEVICES_MAX - 1), ghost];
            switch (trick) {
              case "unsigned":
                return { ...list, devices };
              case "other root":
                return forge(list, { devices }, mallory.rootSecret);
              case "moved":
                return { ...list, version: list.version + 1, previous: listHash(list) };
              case "forgotten":
                return { ...list, removed: [] };
              default:
                return list;
            }
          });
          const followed = await followList(known, received, crypto);
          const truth = picks
            .filter(({ index, trick }) => trick === "none" || isUntouched(at(full, index), trick))
            .map(({ index }) => index + 1);
          expect(followed.verdict).toBe(expectedVerdict(start + 1, truth, picks.length));
          if (followed.verdict === "newer") {
            known = followed.list;
            expect(known).toEqual(at(full, known.version - 1));
          }
          if (isCurrent(known, mallory.cert)) ghosts++;
        },
      ),
      { numRuns: runs(150) },
    );
    expect(ghosts).toBe(0);
  });

  it("stay out of a history that somebody follows step by step while an attacker replays all it has seen", async () => {
    const full = await longHistory();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat({ max: full.length - 1 }), { minLength: 10, maxLength: 30 }),
        async (order) => {
          let known = at(full, 0);
          for (const index of order) {
            const followed = await followList(known, [at(full, index)], trusting);
            expect(followed.verdict).not.toBe("fork");
            if (followed.verdict !== "newer") continue;
            expect(followed.list.version).toBe(known.version + 1);
            known = followed.list;
          }
          for (const { id } of known.removed) {
            expect(known.devices.map((device) => device.id)).not.toContainEqual(id);
          }
        },
      ),
      { numRuns: runs(60) },
    );
  });
});

describe("random histories", () => {
  it("keep every rule, verify at every step, and lead from any list to the last", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ add: fc.boolean(), admin: fc.boolean(), which: fc.nat() }), {
          maxLength: 12,
        }),
        fc.nat(),
        async (steps, from) => {
          const lists = [version(1)];
          const everRemoved = new Set<DeviceCert>();
          for (const { add: adding, admin, which } of steps) {
            const list = at(lists, -1);
            const { cert } = at([own, ...pool], which % (pool.length + 1));
            const change = adding
              ? await addDevice(list, cert, admin, rootSecret, env)
              : await removeDevice(list, cert.deviceId, rootSecret, env);
            if (!change.ok) continue;
            if (!adding) everRemoved.add(cert);
            lists.push(change.list);
          }
          const last = at(lists, -1);
          for (const cert of everRemoved) expect(isCurrent(last, cert)).toBe(false);
          expect(last.devices.some((device) => device.admin)).toBe(true);
          const known = at(lists, from % lists.length);
          const followed = await followList(known, lists.toReversed(), crypto);
          if (known === last) expect(followed).toEqual({ verdict: "same" });
          else expect(followed).toMatchObject({ verdict: "newer", list: last, more: false });
        },
      ),
      { numRuns: runs(60) },
    );
  });
});

describe("marks", () => {
  const prefix = new Uint8Array(LIST_PREFIX_BYTES).fill(1);

  it("say which list a sender knows, and whether to ask for others", () => {
    const known = version(4);
    expect(listMark(known)).toEqual({ version: 4, prefix: listHash(known).slice(0, 8) });
    expect(judgeMark(known, listMark(known))).toBe("current");
    expect(judgeMark(known, listMark(version(5)))).toBe("ask");
    expect(judgeMark(known, listMark(version(3)))).toBe("older");
    expect(judgeMark(known, listMark(version(2)))).toBe("older");
    // What a list says two versions back cannot be compared: its hash is not at hand.
    expect(judgeMark(known, { version: 2, prefix })).toBe("older");
    expect(judgeMark(known, { version: 5, prefix })).toBe("ask");
    expect(judgeMark(known, { version: LIST_VERSION_MAX, prefix })).toBe("ask");
  });

  it("say that a sender knows none", () => {
    expect(NO_LIST_MARK).toEqual({ version: 0, prefix: new Uint8Array(8) });
    for (const known of history) expect(judgeMark(known, NO_LIST_MARK)).toBe("none");
  });

  it.each([
    ["above the last version", LIST_VERSION_MAX + 1, prefix],
    ["of the highest version in two bytes", 0xffff, prefix],
    ["below version 0", -1, new Uint8Array(LIST_PREFIX_BYTES)],
    ["of no whole version", 3.5, prefix],
    ["of no list, with a prefix", 0, prefix],
    ["of no list, without its zeros", 0, new Uint8Array(0)],
  ])("are of no list: %s", (_, number, bytes) => {
    expect(judgeMark(version(4), { version: number, prefix: bytes })).toBe("invalid");
  });

  it("are of no list with a prefix that is short or long, and no alarm", () => {
    const known = version(4);
    for (const length of [LIST_PREFIX_BYTES - 1, LIST_PREFIX_BYTES + 1]) {
      const mark = { version: 4, prefix: listHash(known).slice(0, length) };
      expect(judgeMark(known, mark)).toBe("invalid");
    }
  });

  it("differ where any of their bits does", () => {
    const known = version(4);
    const mark = listMark(known);
    for (let bit = 0; bit < 8 * LIST_PREFIX_BYTES; bit++) {
      expect(judgeMark(known, { ...mark, prefix: flipBit(mark.prefix, bit) })).toBe("fork");
    }
  });

  it("tell of a fork through a message, with nothing else in it", async () => {
    const forked = listMark(await add(version(2), certOf(5)));
    const { a, b } = await settledPair("device lists, marks");
    const { envelope } = await encrypt(a, new Uint8Array(0), env, { mark: forked });
    const opened = must(await decrypt(b, asMessage(envelope), env));
    expect(judgeMark(version(3), opened.mark)).toBe("fork");
  });

  it("raise the alarm for another list of the known version or the one before", async () => {
    const other = await add(version(2), certOf(5));
    expect(judgeMark(version(3), listMark(other))).toBe("fork");
    expect(judgeMark(version(4), listMark(other))).toBe("fork");
  });
});

it("hashes the same list alike however often it is signed, and no two lists alike", () => {
  const hashes = new Set(history.map((list) => listHash(list).toString()));
  expect(hashes.size).toBe(history.length);
  const resigned: DeviceList = { ...version(3), signature: new Uint8Array(64) };
  expect(listHash(resigned)).toEqual(listHash(version(3)));
  expect(listHash({ ...version(3), rootKey: mallory.cert.rootKey })).not.toEqual(
    listHash(version(3)),
  );
});

/** Verifies nothing: where a test is about order and limits, not about signatures. */
const trusting = { ...nobleBackend, verify: () => true };

const isIn =
  (list: DeviceList) =>
  (cert: DeviceCert): boolean =>
    isCurrent(list, cert);

/** Signed by the root key, whatever it says. */
function recertified(cert: DeviceCert): DeviceCert {
  const signature = ed25519Sign(rootSecret, labelled(LABELS.deviceCert, deviceCertBody(cert)));
  return { ...cert, signature };
}

const extra = (index: number): ListedDevice => listed(certOf(index));
const gone = ({ deviceId, signingKey, dhKey }: DeviceCert) => ({
  id: deviceId,
  signingKey,
  dhKey,
  removedAt: NOW,
});

/** The listed device, as a certificate that names it. */
function certAt(list: DeviceList, index: number): DeviceCert {
  const { id, signingKey, dhKey } = at(list.devices, index);
  return { ...own.cert, deviceId: id, signingKey, dhKey };
}

/** 13 versions: additions and removals mixed. */
async function longHistory(): Promise<readonly DeviceList[]> {
  const lists = [...history];
  for (const [index, adding] of [
    [3, true],
    [1, false],
    [4, true],
    [5, true],
    [3, false],
    [6, true],
    [2, false],
    [7, true],
  ] as const) {
    const list = at(lists, -1);
    lists.push(await (adding ? add(list, certOf(index)) : remove(list, certOf(index))));
  }
  return lists;
}

/** A trick that leaves the list as it was. */
const isUntouched = (list: DeviceList, trick: string): boolean =>
  trick === "forgotten" && list.removed.length === 0;

/** What an honest observer of versions alone says, given which genuine ones arrived. */
function expectedVerdict(known: number, arrived: readonly number[], sent: number): string {
  if (sent === 0) return "same";
  if (arrived.length === 0) return "invalid";
  if (arrived.includes(known + 1)) return "newer";
  if (arrived.some((number) => number > known)) return "gap";
  return arrived.includes(known) ? "same" : "older";
}
