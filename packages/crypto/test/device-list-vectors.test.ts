/**
 * The frozen vectors of device lists: today's code makes them and follows them as before, and what the signatures and
 * hashes cover is checked with Node's own primitives, from the specification's offsets alone.
 */
import { createHash, createPrivateKey, createPublicKey, sign, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import {
  DEVICE_LIST_VECTORS,
  makeDeviceListVectors,
} from "../../../test/vectors/make-device-list.ts";

const vectors = JSON.parse(readFileSync(DEVICE_LIST_VECTORS, "utf8")) as Awaited<
  ReturnType<typeof makeDeviceListVectors>
>;

const lists = Object.entries(vectors.lists);
const labelled = (label: string, body: Buffer): Buffer =>
  Buffer.concat([Buffer.from(`${label}\0`, "ascii"), body]);

/** PKCS #8 and SPKI heads of Ed25519 (RFC 8410). */
const privateKey = createPrivateKey({
  key: Buffer.from(`302e020100300506032b657004220420${vectors.rootSecret}`, "hex"),
  format: "der",
  type: "pkcs8",
});
const publicKey = createPublicKey({
  key: Buffer.from(`302a300506032b6570032100${vectors.rootKey}`, "hex"),
  format: "der",
  type: "spki",
});

it("today's code makes the frozen bytes and verdicts", async () => {
  expect(await makeDeviceListVectors()).toEqual(vectors);
});

it.each(lists)(
  "signature and hash of the %s list are those of the specification",
  (_name, list) => {
    const bytes = Buffer.from(list.list, "hex");
    const body = bytes.subarray(0, -64);
    const signed = labelled("sotto/1 device list", body);
    expect(verify(undefined, signed, publicKey, bytes.subarray(-64))).toBe(true);
    expect(sign(undefined, signed, privateKey).toString("hex")).toBe(list.list.slice(-128));
    const hash = createHash("sha256")
      .update(labelled("sotto/1 device list hash", body))
      .digest("hex");
    expect(hash).toBe(list.hash);
    expect(list.mark).toBe(hash.slice(0, 16));
    expect(body.readUInt32BE(34)).toBe(list.version);
  },
);

it("each list names the hash of the one before, at its place", () => {
  const { first, second, third, fourth, branch } = vectors.lists;
  const previousOf = (list: { readonly list: string }): string => list.list.slice(76, 140);
  expect(previousOf(first)).toBe("00".repeat(32));
  expect(previousOf(second)).toBe(first.hash);
  expect(previousOf(third)).toBe(second.hash);
  expect(previousOf(branch)).toBe(second.hash);
  expect(previousOf(fourth)).toBe(third.hash);
});
