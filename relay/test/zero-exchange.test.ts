/**
 * Send keys with which every exchange is zero, and the proof that follows from an exchange of zeros: who took it
 * would let anybody write who knows a queue's address.
 */
import { readFile } from "node:fs/promises";
import { sendAuthenticator } from "@sotto/crypto";
import { sendTranscript } from "@sotto/wire";
import { expect, test } from "vitest";
import { zeroOutputKeys } from "../../packages/crypto/test/wycheproof.ts";
import { random } from "./client.ts";
import { createWorld } from "./world.ts";

test("are refused like a queue that is not there, and change nothing for the honest sender", async () => {
  const zeroKeys = await zeroOutputKeys((file) =>
    readFile(new URL(`../../test/vectors/${file}`, import.meta.url), "utf8"),
  );
  expect(zeroKeys).toHaveLength(14);
  const world = createWorld();
  const [alice, mallory, bob] = [
    await world.connect(),
    await world.connect(),
    await world.connect(),
  ];
  const firstUse = random(16);
  const { sendId } = await alice.client.makeQueue(firstUse);
  const { nonce, relayKey } = mallory.client.hello;
  for (const sendKey of zeroKeys) {
    const transcript = sendTranscript(nonce, relayKey, sendId, sendKey);
    const authenticator = sendAuthenticator(new Uint8Array(32), transcript);
    expect(
      await mallory.client.request({ type: "send-open", sendId, sendKey, authenticator, firstUse }),
    ).toEqual({ type: "error", code: "gone", retryAfterMs: 0 });
  }
  expect(mallory.isClosed()).toBe(false);
  expect(await bob.client.openSender(sendId, random(32), firstUse)).toMatchObject({
    type: "sender",
  });
});
