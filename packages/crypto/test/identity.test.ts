import {
  accountIdOf,
  createOwnDevice,
  isSameDevice,
  LABELS,
  nobleBackend,
  type OwnDevice,
  restoreDevice,
  safetyNumber,
  verifyDeviceCert,
} from "@sotto/crypto";
import {
  asDeviceId,
  decodeDeviceCert,
  type DeviceCert,
  deviceCertBody,
  encodeDeviceCert,
} from "@sotto/wire";
import { describe, expect, it } from "vitest";
import { ed25519Sign, labelled } from "#src/primitives.ts";
import { referenceAccountId } from "./reference.ts";
import { asyncBackend, flipBit, NOW, seededEnv } from "./support.ts";

const own = await createOwnDevice(seededEnv("identity"));

/** Signs whatever is in it, as a hostile owner of the root key can. */
const resigned = (device: OwnDevice, change: Partial<DeviceCert>): DeviceCert => {
  const body = { ...device.cert, ...change };
  const signature = ed25519Sign(
    device.rootSecret,
    labelled(LABELS.deviceCert, deviceCertBody(body)),
  );
  return { ...body, signature };
};

describe("an own device", () => {
  it("has a certificate that verifies, made with three independent secrets", async () => {
    expect(await verifyDeviceCert(own.cert, nobleBackend)).toBe(true);
    expect(await verifyDeviceCert(own.cert, asyncBackend)).toBe(true);
    expect(own.cert.issuedAt).toBe(NOW);
    const secrets = [own.rootSecret, own.signingSecret, own.dhSecret].map(String);
    expect(new Set(secrets).size).toBe(3);
  });

  it("is a different one with other randomness", async () => {
    const other = await createOwnDevice(seededEnv("identity, other"));
    expect(accountIdOf(other.cert.rootKey)).not.toEqual(accountIdOf(own.cert.rootKey));
    expect(other.cert.deviceId).not.toEqual(own.cert.deviceId);
  });

  it("has an account id that OpenSSL derives too", () => {
    expect(accountIdOf(own.cert.rootKey)).toEqual(
      Uint8Array.from(referenceAccountId(own.cert.rootKey)),
    );
  });
});

describe("a device under a restored root secret", () => {
  it("is another device of the same account: new keys, same account id and safety number", async () => {
    const restored = await restoreDevice(own.rootSecret, seededEnv("identity, restored"));
    expect(await verifyDeviceCert(restored.cert, nobleBackend)).toBe(true);
    expect(accountIdOf(restored.cert.rootKey)).toEqual(accountIdOf(own.cert.rootKey));
    const { rootKey } = (await createOwnDevice(seededEnv("identity, other"))).cert;
    expect(safetyNumber(restored.cert.rootKey, rootKey)).toEqual(
      safetyNumber(own.cert.rootKey, rootKey),
    );
    for (const field of ["deviceId", "signingKey", "dhKey", "signature"] as const) {
      expect(restored.cert[field]).not.toEqual(own.cert[field]);
    }
    expect(restored.signingSecret).not.toEqual(own.signingSecret);
    expect(restored.dhSecret).not.toEqual(own.dhSecret);
  });
});

describe("a certificate", () => {
  it("is refused when any bit of its encoding is flipped", async () => {
    const encoded = encodeDeviceCert(own.cert);
    for (let bit = 0; bit < encoded.length * 8; bit += 3) {
      const decoded = decodeDeviceCert(flipBit(encoded, bit));
      expect(decoded.ok && (await verifyDeviceCert(decoded.value, nobleBackend))).toBe(false);
    }
  });

  it("binds every field", async () => {
    const other = await createOwnDevice(seededEnv("identity, other"));
    const changes: readonly Partial<DeviceCert>[] = [
      { rootKey: other.cert.rootKey },
      { deviceId: asDeviceId(new Uint8Array(8)) },
      { signingKey: other.cert.signingKey },
      { dhKey: other.cert.dhKey },
      { issuedAt: NOW + 1 },
      { signature: other.cert.signature },
    ];
    for (const change of changes) {
      expect(await verifyDeviceCert({ ...own.cert, ...change }, nobleBackend)).toBe(false);
    }
  });

  it.each([
    ["the DH key 0", { dhKey: new Uint8Array(32) }],
    ["a DH key with its high bit set", { dhKey: flipBit(own.cert.dhKey, 255) }],
    ["the DH key p - 1", { dhKey: fieldPrimeLess(1) }],
    ["a signing key of small order", { signingKey: new Uint8Array(32) }],
  ])("is refused with %s, although its root key signed it", async (_name, change) => {
    expect(await verifyDeviceCert(resigned(own, {}), nobleBackend)).toBe(true);
    expect(await verifyDeviceCert(resigned(own, change), nobleBackend)).toBe(false);
  });

  it("is refused under a root key of small order, for which anybody can forge", async () => {
    const identityPoint = Uint8Array.from({ length: 32 }, (_, index) => (index === 0 ? 1 : 0));
    const signature = Uint8Array.from({ length: 64 }, (_, index) => (index === 0 ? 1 : 0));
    const forged = { ...own.cert, rootKey: identityPoint, signature };
    expect(await verifyDeviceCert(forged, nobleBackend)).toBe(false);
  });

  it("is refused when the right key signed the body under another label", async () => {
    for (const label of Object.values(LABELS)) {
      const signature = ed25519Sign(own.rootSecret, labelled(label, deviceCertBody(own.cert)));
      expect(await verifyDeviceCert({ ...own.cert, signature }, nobleBackend)).toBe(
        label === LABELS.deviceCert,
      );
    }
  });
});

function fieldPrimeLess(amount: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(32).fill(0xff);
  bytes[0] = 0xed - amount;
  bytes[31] = 0x7f;
  return bytes;
}

it("is the same device with the same account, id and keys, whatever else its certificate says", () => {
  const { cert } = own;
  expect(isSameDevice(cert, { ...cert, issuedAt: cert.issuedAt + 1 } as DeviceCert)).toBe(true);
  for (const field of ["rootKey", "deviceId", "signingKey", "dhKey"] as const) {
    const other = { ...cert, [field]: flipBit(cert[field], 3) };
    expect(isSameDevice(cert, other), field).toBe(false);
    expect(isSameDevice(other, cert), field).toBe(false);
  }
});
