/**
 * T-05: a backup that is taken without a proof (Matrix 2022: a backup's key was not authenticated). What there is to take
 * an account back from is the recovery phrase, which holds the whole key: one that was altered is refused or is another
 * account, and nobody takes that one for the first. How often the checksum tells: packages/crypto/test/recovery.test.ts.
 */
import {
  accountIdOf,
  createDeviceList,
  createOwnDevice,
  nobleBackend,
  type OwnDevice,
  restoreDevice,
  safetyNumber,
  verifyDeviceList,
} from "@sotto/crypto";
import { readRecoveryPhrase, recoveryWords } from "@sotto/crypto/recovery";
import { equalBytes } from "@sotto/wire";
import { beforeAll, expect, it } from "vitest";
import { seededEnv } from "../../packages/crypto/test/support.ts";

const env = seededEnv("altered phrases");
let alice: OwnDevice;
let contact: OwnDevice;
let words: readonly string[];

beforeAll(async () => {
  alice = await createOwnDevice(env);
  contact = await createOwnDevice(env);
  words = recoveryWords(alice.rootSecret, "english");
});

/** Every word left out, doubled, exchanged with the one before, or replaced by others of the phrase; the phrase cut anywhere. */
function* altered(): Generator<readonly string[]> {
  for (const [at, word] of words.entries()) {
    yield words.toSpliced(at, 1);
    yield words.toSpliced(at, 0, word);
    yield words.slice(0, at);
    if (at > 0) yield words.with(at, words[at - 1] ?? "").with(at - 1, word);
    for (const other of words) yield words.with(at, other);
  }
}

it("a phrase with anything altered restores nothing, or an account that nobody takes for the first", async () => {
  const restored = readRecoveryPhrase(words.join(" "));
  expect(restored.ok && equalBytes(restored.rootSecret, alice.rootSecret)).toBe(true);
  const others: Uint8Array[] = [];
  let refused = 0;
  for (const phrase of altered()) {
    if (phrase.join(" ") === words.join(" ")) continue;
    const read = readRecoveryPhrase(phrase.join(" "));
    if (read.ok) others.push(read.rootSecret);
    else refused++;
  }
  expect(refused).toBeGreaterThan(500);
  expect(others.length).toBeGreaterThan(0);
  const number = safetyNumber(alice.cert.rootKey, contact.cert.rootKey);
  for (const secret of others) {
    const device = await restoreDevice(secret, env);
    expect(accountIdOf(device.cert.rootKey)).not.toEqual(accountIdOf(alice.cert.rootKey));
    expect(safetyNumber(device.cert.rootKey, contact.cert.rootKey)).not.toEqual(number);
    const list = await createDeviceList(device, env);
    expect(await verifyDeviceList(list, device.cert.rootKey, nobleBackend)).toBe(true);
    expect(await verifyDeviceList(list, alice.cert.rootKey, nobleBackend)).toBe(false);
    const claimed = { ...list, rootKey: alice.cert.rootKey };
    expect(await verifyDeviceList(claimed, alice.cert.rootKey, nobleBackend)).toBe(false);
  }
});
