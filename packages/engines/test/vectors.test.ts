/** Node's WebCrypto, OpenSSL behind node:crypto, and our kernel in Node. */
import { readFile } from "node:fs/promises";
import { nodeEngine } from "@sotto/engines/node";
import { expect, it } from "vitest";
import { lenientX25519, type ReadVectors } from "../../crypto/test/wycheproof.ts";
import { bare, expectedOf, runPlatform, throughChecks } from "./platform-vectors.ts";

const read: ReadVectors = (file) =>
  readFile(new URL(`../../../test/vectors/${file}`, import.meta.url), "utf8");

it("WebCrypto and the kernel answer every public case as suite 1 says, once the checks are in front", async () => {
  expect(await runPlatform(read, crypto.subtle)).toEqual(await expectedOf(read, { missing: [] }));
});

it("node:crypto does too, and bare takes second encodings of X25519 keys", async () => {
  expect(await throughChecks(read, nodeEngine)).toEqual({});
  expect(await bare(read, nodeEngine)).toEqual({ x25519: await lenientX25519(read, false) });
});
