/** Limits of device lists, each at its bound and one past it, and the exact sizes that the specification states. */
import {
  asDeviceId,
  decodeDeviceList,
  DEVICE_LIST_BYTES_MAX,
  type DeviceList,
  deviceListBody,
  DEVICES_EVER_MAX,
  DEVICES_MAX,
  encodeDeviceList,
  LIST_VERSION_MAX,
} from "@sotto/wire";
import { describe, expect, it } from "vitest";

const keys = (seed: number) => ({
  id: asDeviceId(new Uint8Array(8).fill(seed)),
  signingKey: new Uint8Array(32).fill(seed),
  dhKey: new Uint8Array(32).fill(seed),
});

const listOf = (deviceCount: number, removedCount: number, version = 1): DeviceList => ({
  rootKey: new Uint8Array(32).fill(0xaa),
  version,
  previous: new Uint8Array(32),
  issuedAt: 1,
  devices: Array.from({ length: deviceCount }, (_, index) => ({
    ...keys(index),
    admin: true,
    addedAt: 1,
  })),
  removed: Array.from({ length: removedCount }, (_, index) => ({
    ...keys(index),
    removedAt: 1,
  })),
  signature: new Uint8Array(64),
});

/** Offsets in an encoded list. */
const AT = { rootType: 1, version: 34, count: 76, firstDevice: 77 } as const;
const DEVICE_BYTES = 81;

function patched(list: DeviceList, at: number, byte: number): Uint8Array {
  const bytes = encodeDeviceList(list);
  bytes[at] = byte;
  return bytes;
}

describe("a device list", () => {
  it("has 142 bytes, 81 for each device and 80 for each removed one", () => {
    expect(encodeDeviceList(listOf(1, 0))).toHaveLength(142 + 81);
    expect(encodeDeviceList(listOf(2, 3))).toHaveLength(142 + 2 * 81 + 3 * 80);
    expect(deviceListBody(listOf(2, 3))).toHaveLength(142 + 2 * 81 + 3 * 80 - 64);
    expect(DEVICE_LIST_BYTES_MAX).toBe(10_398);
  });

  it("holds the largest number of devices and removed ones, and not one more", () => {
    const full = listOf(DEVICES_MAX, DEVICES_EVER_MAX - DEVICES_MAX);
    expect(encodeDeviceList(full)).toHaveLength(DEVICE_LIST_BYTES_MAX);
    expect(decodeDeviceList(encodeDeviceList(full))).toStrictEqual({ ok: true, value: full });
    expect(() => encodeDeviceList(listOf(DEVICES_MAX + 1, 0))).toThrow(
      new RangeError("17 devices and 0 removed are too many"),
    );
    expect(() => encodeDeviceList(listOf(1, DEVICES_EVER_MAX))).toThrow(RangeError);
    expect(decodeDeviceList(encodeDeviceList(listOf(1, DEVICES_EVER_MAX - 1))).ok).toBe(true);
  });

  it("refuses counts past their limits before it reads the entries", () => {
    const tooLarge = { ok: false, reason: "too-large" };
    expect(decodeDeviceList(patched(listOf(1, 0), AT.count, DEVICES_MAX + 1))).toEqual(tooLarge);
    const removedAt = AT.firstDevice + DEVICE_BYTES;
    expect(decodeDeviceList(patched(listOf(1, 0), removedAt, DEVICES_EVER_MAX))).toEqual(tooLarge);
    // At the limit the count is taken, and what follows is read as an entry.
    expect(decodeDeviceList(patched(listOf(1, 0), removedAt, DEVICES_EVER_MAX - 1))).toEqual({
      ok: false,
      reason: "malformed",
    });
    expect(decodeDeviceList(patched(listOf(1, 0), AT.count, 0))).toEqual({
      ok: false,
      reason: "malformed",
    });
    expect(decodeDeviceList(new Uint8Array(DEVICE_LIST_BYTES_MAX + 1))).toEqual(tooLarge);
  });

  it("has a version from 1 to the last that a history can reach, which fits the u16 of a body", () => {
    expect(LIST_VERSION_MAX).toBe(255);
    const last = listOf(1, 0, LIST_VERSION_MAX);
    expect(decodeDeviceList(encodeDeviceList(last))).toStrictEqual({ ok: true, value: last });
    for (const [version, reason] of [
      [LIST_VERSION_MAX + 1, "too-large"],
      [0xffff_ffff, "too-large"],
      [0, "malformed"],
    ] as const) {
      expect(decodeDeviceList(encodeDeviceList(listOf(1, 0, version)))).toEqual({
        ok: false,
        reason,
      });
    }
  });

  it("refuses another layout, keys of another kind and flags above 1", () => {
    const list = listOf(1, 1);
    expect(decodeDeviceList(patched(list, 0, 2))).toEqual({ ok: false, reason: "unknown-type" });
    const removed = AT.firstDevice + DEVICE_BYTES + 1;
    for (const [at, byte] of [
      [AT.rootType, 1],
      [AT.firstDevice + 8, 1],
      [AT.firstDevice + 41, 2],
      [AT.firstDevice + 74, 2],
      [removed + 8, 1],
      [removed + 41, 2],
    ] as const) {
      expect(decodeDeviceList(patched(list, at, byte)), `byte ${at}`).toEqual({
        ok: false,
        reason: "malformed",
      });
    }
  });
});
