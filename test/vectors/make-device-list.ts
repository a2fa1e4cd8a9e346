/**
 * Writes device-list.json: lists, hashes and verdicts for fixed secrets. Run it only to freeze a new version; a
 * difference in a frozen file means that one version takes another's lists for a fork, or for none.
 *
 *     npx node --conditions=@sotto/source test/vectors/make-device-list.ts
 *
 * Owns: the content of device-list.json. Leaves to packages/crypto/test/device-list-vectors.test.ts: checking it.
 */
import {
  addDevice,
  createDeviceList,
  createOwnDevice,
  type CryptoEnv,
  followList,
  listHash,
  listMark,
  nobleBackend,
  removeDevice,
  restoreDevice,
} from "@sotto/crypto";
import {
  bytesToHex as hex,
  type DeviceList,
  encodeDeviceCert,
  encodeDeviceList,
} from "@sotto/wire";
import { must, NOW, seededEntropy } from "../../packages/crypto/test/support.ts";
import { freeze } from "./freeze.ts";

export const DEVICE_LIST_VECTORS = new URL("device-list.json", import.meta.url);

/** Byte arrays are lower-case hex throughout. The same on every run. */
export async function makeDeviceListVectors() {
  const env: CryptoEnv = {
    entropy: seededEntropy("sotto device list vectors 1"),
    crypto: nobleBackend,
    now: NOW,
  };
  const later = (minutes: number): CryptoEnv => ({ ...env, now: NOW + minutes * 60_000 });
  const own = await createOwnDevice(env);
  const { rootSecret } = own;
  const phone = await restoreDevice(rootSecret, env);
  const laptop = await restoreDevice(rootSecret, env);
  const ghost = await restoreDevice(rootSecret, env);

  const first = await createDeviceList(own, env);
  const second = must(await addDevice(first, phone.cert, true, rootSecret, later(1))).list;
  const third = must(await addDevice(second, laptop.cert, false, rootSecret, later(2))).list;
  const fourth = must(await removeDevice(third, phone.cert.deviceId, rootSecret, later(1))).list;
  const branch = must(await addDevice(second, ghost.cert, true, rootSecret, later(2))).list;
  const lists = { first, second, third, fourth, branch };
  type Name = keyof typeof lists;

  const cases: readonly (readonly [known: Name, ...received: Name[]])[] = [
    ["first", "first"],
    ["first", "second"],
    ["first", "fourth", "third", "second"],
    ["first", "second", "fourth"],
    ["second", "fourth"],
    ["third", "first", "second"],
    ["second", "third", "branch"],
    ["third", "branch"],
    ["fourth", "branch"],
    ["branch", "fourth"],
  ];
  const follows = [];
  for (const [known, ...received] of cases) {
    const followed = await followList(
      lists[known],
      received.map((name) => lists[name]),
      nobleBackend,
    );
    const { verdict } = followed;
    follows.push({
      known,
      received,
      verdict,
      ...(followed.verdict === "newer" && {
        version: followed.list.version,
        added: followed.added.map(({ id }) => hex(id)),
        removed: followed.removed.map(({ id }) => hex(id)),
        more: followed.more,
      }),
      ...(followed.verdict === "fork" && { version: followed.version }),
      ...(followed.verdict === "gap" && { since: followed.since }),
    });
  }
  const written = (list: DeviceList) => ({
    version: list.version,
    list: hex(encodeDeviceList(list)),
    hash: hex(listHash(list)),
    mark: hex(listMark(list).prefix ?? new Uint8Array()),
  });
  return {
    about:
      "Device lists of Sotto, version 1. Bytes are hex. Written by make-device-list.ts; see packages/crypto/SPEC.md, section 10.",
    rootSecret: hex(rootSecret),
    rootKey: hex(own.cert.rootKey),
    certs: [own, phone, laptop, ghost].map(({ cert }) => hex(encodeDeviceCert(cert))),
    lists: {
      first: written(first),
      second: written(second),
      third: written(third),
      fourth: written(fourth),
      branch: written(branch),
    },
    follows,
  };
}

if (import.meta.main) await freeze(DEVICE_LIST_VECTORS, await makeDeviceListVectors());
