import { createHash, createHmac, hkdfSync } from "node:crypto";
import {
  deriveOwnAtRelay,
  findWork,
  LABELS,
  nobleBackend as crypto,
  provesWork,
  sendAuthenticator,
  signHubAuth,
  signHubHello,
  verifyHubAuth,
  verifyHubHello,
} from "@sotto/crypto";
import {
  asSendId,
  authTranscript,
  bytesToHex,
  concatBytes,
  helloTranscript,
  sendTranscript,
} from "@sotto/wire";
import { describe, expect, it } from "vitest";
import {
  ed25519Public,
  ed25519Sign,
  labelled,
  x25519Exchange,
  x25519Public,
} from "#src/primitives.ts";
import { referenceSendAuthenticator } from "./reference.ts";
import { flipBit, seededEntropy } from "./support.ts";

const entropy = seededEntropy("hub");
const relaySeed = entropy(32);
const readerSeed = entropy(32);
const fields = {
  relayKey: ed25519Public(relaySeed),
  ephemeralKey: x25519Public(entropy(32)),
  nonce: entropy(32),
  hour: 472_222,
  ttlHoursMax: 504,
  queueMessagesMax: 256,
  door: "invite" as const,
};
const signature = await signHubHello(relaySeed, fields, crypto);
const hello = { type: "hello", ...fields, signature } as const;

describe("a relay's hello", () => {
  it("verifies", async () => {
    expect(await verifyHubHello(hello, crypto)).toBe(true);
  });

  it("binds every field", async () => {
    const changes = [
      { relayKey: ed25519Public(readerSeed) },
      { ephemeralKey: flipBit(hello.ephemeralKey, 5) },
      { nonce: flipBit(hello.nonce, 5) },
      { hour: hello.hour + 1 },
      { ttlHoursMax: hello.ttlHoursMax + 1 },
      { queueMessagesMax: hello.queueMessagesMax + 1 },
      { door: "open" as const },
      { signature: flipBit(hello.signature, 5) },
    ];
    expect(changes).toHaveLength(Object.keys(hello).length - 1);
    for (const change of changes) {
      expect(await verifyHubHello({ ...hello, ...change }, crypto)).toBe(false);
    }
  });

  it("is refused under another label", async () => {
    for (const label of Object.values(LABELS)) {
      const other = ed25519Sign(relaySeed, labelled(label, helloTranscript(fields)));
      expect(await verifyHubHello({ ...hello, signature: other }, crypto)).toBe(
        label === LABELS.hubHello,
      );
    }
  });
});

describe("a reader's proof", () => {
  const readerKey = ed25519Public(readerSeed);
  const { nonce, relayKey } = fields;
  const auth = { nonce, relayKey, readerKey };

  it("verifies, and binds nonce, relay and reader", async () => {
    const proof = await signHubAuth(readerSeed, nonce, relayKey, readerKey, crypto);
    expect(await verifyHubAuth({ ...auth, signature: proof }, crypto)).toBe(true);
    const changes = [
      { nonce: flipBit(nonce, 0) },
      { relayKey: flipBit(relayKey, 0) },
      { readerKey: relayKey },
      { signature: flipBit(proof, 0) },
    ];
    for (const change of changes) {
      expect(await verifyHubAuth({ ...auth, signature: proof, ...change }, crypto)).toBe(false);
    }
  });

  it("is refused under another label", async () => {
    for (const label of Object.values(LABELS)) {
      const proof = ed25519Sign(
        readerSeed,
        labelled(label, authTranscript(nonce, relayKey, readerKey)),
      );
      expect(await verifyHubAuth({ ...auth, signature: proof }, crypto)).toBe(
        label === LABELS.hubAuth,
      );
    }
  });
});

describe("a sender's proof", () => {
  const sendSecret = entropy(32);
  const sendKey = x25519Public(sendSecret);
  const relayEphemeral = entropy(32);
  const sendId = asSendId(entropy(24));
  const transcript = sendTranscript(fields.nonce, fields.relayKey, sendId, sendKey);
  const mine = x25519Exchange(sendSecret, x25519Public(relayEphemeral));

  it("is the same on both sides, and OpenSSL's", () => {
    const theirs = x25519Exchange(relayEphemeral, sendKey);
    const proof = sendAuthenticator(mine, transcript);
    expect(sendAuthenticator(theirs, transcript)).toEqual(proof);
    expect(proof).toHaveLength(32);
    expect(Uint8Array.from(referenceSendAuthenticator(mine, transcript))).toEqual(proof);
  });

  it("is another one for another connection, relay, queue, key or secret", () => {
    const { nonce, relayKey } = fields;
    const others = [
      sendAuthenticator(flipBit(mine, 0), transcript),
      sendAuthenticator(mine, sendTranscript(flipBit(nonce, 0), relayKey, sendId, sendKey)),
      sendAuthenticator(mine, sendTranscript(nonce, flipBit(relayKey, 0), sendId, sendKey)),
      sendAuthenticator(
        mine,
        sendTranscript(nonce, relayKey, asSendId(flipBit(sendId, 0)), sendKey),
      ),
      sendAuthenticator(mine, sendTranscript(nonce, relayKey, sendId, flipBit(sendKey, 0))),
    ];
    expect(new Set([sendAuthenticator(mine, transcript), ...others].map(String)).size).toBe(6);
  });
});

describe("names at one of several relays", () => {
  const secret = new Uint8Array(32).fill(1);
  const relayKey = new Uint8Array(32).fill(2);
  const queueId = new Uint8Array(24).fill(3);
  const firstUse = new Uint8Array(16).fill(4);

  it("stay what they are: queues are found by them after years", () => {
    const own = deriveOwnAtRelay(secret, relayKey);
    expect(bytesToHex(own.readerSecret)).toBe(
      "a86fea87d06214516351810aabf6458de6b02a2b90891c974490f9a0adfb3ff6",
    );
    expect(bytesToHex(own.queueIdOf(queueId))).toBe(
      "836352fda9a2939dfb2caa7198899cc90286cb972e87d82a",
    );
    expect(bytesToHex(own.firstUseOf(queueId, firstUse))).toBe("77b44347fa01f33a8586976a8a705a4d");
  });

  it("are as SPEC.md has it, by another implementation", () => {
    const keys = new Uint8Array(hkdfSync("sha256", secret, relayKey, "sotto/1 own at relay", 96));
    const macOf = (key: Uint8Array, ...parts: Uint8Array[]): Uint8Array =>
      Uint8Array.from(
        createHmac("sha256", key)
          .update(concatBytes(...parts))
          .digest(),
      );
    const own = deriveOwnAtRelay(secret, relayKey);
    expect(own.readerSecret).toEqual(keys.slice(0, 32));
    expect(own.queueIdOf(queueId)).toEqual(macOf(keys.slice(32, 64), queueId).slice(0, 24));
    expect(own.firstUseOf(queueId, firstUse)).toEqual(
      macOf(keys.slice(64), queueId, firstUse).slice(0, 16),
    );
  });

  it("have nothing in common with those at another relay, or of another queue", () => {
    const [one, other] = [relayKey, new Uint8Array(32).fill(5)].map((key) =>
      deriveOwnAtRelay(secret, key),
    );
    const all = [one, other].flatMap((own) => [
      own?.readerSecret,
      own?.queueIdOf(queueId),
      own?.queueIdOf(new Uint8Array(24)),
      own?.firstUseOf(queueId, firstUse),
      own?.firstUseOf(new Uint8Array(24), firstUse),
    ]);
    expect(new Set(all.map(String)).size).toBe(10);
  });
});

describe("a proof of work", () => {
  const transcript = entropy(88);
  /** As it is specified, on other primitives: bits from the left that are zero. */
  const zerosOf = (proof: Uint8Array): number => {
    const digest = createHash("sha256")
      .update(labelled(LABELS.hubWork, transcript, proof))
      .digest();
    const bits = [...digest].map((byte) => byte.toString(2).padStart(8, "0")).join("");
    return bits.indexOf("1");
  };
  const counterOf = (counter: number): Uint8Array => {
    const proof = new Uint8Array(8);
    new DataView(proof.buffer).setBigUint64(0, BigInt(counter));
    return proof;
  };

  it("is any 8 bytes that hash to so many leading zero bits, and not to one more", () => {
    const seen = new Set<number>();
    for (let counter = 0; counter < 1_000; counter++) {
      const zeros = zerosOf(counterOf(counter));
      seen.add(zeros);
      for (const bits of [0, zeros - 1, zeros]) {
        expect(provesWork(transcript, counterOf(counter), bits)).toBe(true);
      }
      expect(provesWork(transcript, counterOf(counter), zeros + 1)).toBe(false);
    }
    // Within the first byte, at its end, and behind it.
    for (const zeros of [0, 1, 7, 8, 9]) expect(seen).toContain(zeros);
  });

  it("is for one transcript", () => {
    const proof = findWork(transcript, 12, 0, 1 << 20) ?? new Uint8Array(8);
    expect(provesWork(transcript, proof, 12)).toBe(true);
    expect(provesWork(flipBit(transcript, 7), proof, 12)).toBe(false);
  });

  it("is the first among the counters that were to be looked at, or none", () => {
    const found = findWork(transcript, 8, 0, 10_000) ?? new Uint8Array(8);
    const counter = Number(new DataView(found.buffer).getBigUint64(0));
    for (let before = 0; before < counter; before++) {
      expect(zerosOf(counterOf(before))).toBeLessThan(8);
    }
    expect(zerosOf(found)).toBeGreaterThanOrEqual(8);
    expect(findWork(transcript, 8, 0, counter)).toBeUndefined();
    expect(findWork(transcript, 8, 0, counter + 1)).toEqual(found);
    expect(findWork(transcript, 8, counter, 1)).toEqual(found);
    expect(findWork(transcript, 8, counter + 1, 100_000)).not.toEqual(found);
    expect(findWork(transcript, 0, 5, 0)).toBeUndefined();
    expect(findWork(transcript, 0, 300, 1)).toEqual(counterOf(300));
  });
});
