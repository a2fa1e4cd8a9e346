import { createOwnDevice, SAFETY_QR_PREFIX, safetyNumber } from "@sotto/crypto";
import { describe, expect, it } from "vitest";
import { referenceSafetyDigits } from "./reference.ts";
import { flipBit, seededEnv } from "./support.ts";

const alice = (await createOwnDevice(seededEnv("fingerprint, alice"))).cert.rootKey;
const bob = (await createOwnDevice(seededEnv("fingerprint, bob"))).cert.rootKey;

describe("a safety number", () => {
  it("is the same on both sides: 60 digits and one code to scan", () => {
    const number = safetyNumber(alice, bob);
    expect(number).toEqual(safetyNumber(bob, alice));
    expect(number.digits).toMatch(/^\d{60}$/);
    expect(number.qr).toMatch(new RegExp(`^${SAFETY_QR_PREFIX}[A-Z2-7]{103}$`));
  });

  it("is what OpenSSL's SHA-512 gives by the specification", () => {
    expect(safetyNumber(alice, bob).digits).toBe(referenceSafetyDigits(alice, bob));
  });

  it("is another one as soon as one bit of either root key differs", () => {
    const { digits, qr } = safetyNumber(alice, bob);
    const halves = [digits.slice(0, 30), digits.slice(30)];
    for (const changed of [flipBit(alice, 0), flipBit(alice, 255)]) {
      const other = safetyNumber(changed, bob);
      expect(other.digits).not.toBe(digits);
      expect(other.qr).not.toBe(qr);
      // Bob's half stays: it depends on Bob's key alone.
      const otherHalves = [other.digits.slice(0, 30), other.digits.slice(30)];
      expect(otherHalves.filter((half) => halves.includes(half))).toHaveLength(1);
    }
  });

  it("depends on root keys only, so a new device does not change it", async () => {
    const own = await createOwnDevice(seededEnv("fingerprint, alice"));
    const renewed = { ...own.cert, dhKey: bob, issuedAt: own.cert.issuedAt + 1 };
    expect(safetyNumber(renewed.rootKey, bob)).toEqual(safetyNumber(alice, bob));
  });
});
