/**
 * The frozen vectors of suite 1, checked three ways: today's code makes the same bytes, today's code still opens
 * the frozen ones, and a second implementation on other primitives opens them too.
 */
import { readFileSync } from "node:fs";
import {
  accept,
  accountIdOf,
  decrypt,
  type LastResortSecrets,
  nobleBackend,
  NO_LIST_MARK,
  openInviteOffer,
  openPlea,
  openSignal,
  openWay,
  type OwnDevice,
  type PrekeySecrets,
  restoreDevice,
  safetyNumber,
  type Session,
  verifyBundle,
} from "@sotto/crypto";
import { readRecoveryPhrase } from "@sotto/crypto/recovery";
import { wordlist as english } from "@scure/bip39/wordlists/english.js";
import { wordlist as simplifiedChinese } from "@scure/bip39/wordlists/simplified-chinese.js";
import {
  bytesToHex,
  decodeBundle,
  decodeDeviceCert,
  decodeEnvelope,
  encodeAddresses,
  encodeBundle,
  encodeDeviceCert,
  encodeInviteOffer,
  hexToBytes,
} from "@sotto/wire";
import { describe, expect, it } from "vitest";
import { joinSymbols, SYMBOL_BYTES } from "#src/erasure.ts";
import { CRYPTO_VECTORS, makeCryptoVectors } from "../../../test/vectors/make-crypto.ts";
import {
  referenceAccept,
  referenceAccountId,
  referenceChain,
  referenceJoin,
  referenceKemSecret,
  referenceOpen,
  referenceOpenOffer,
  referenceOpenPlea,
  referenceOpenSignal,
  referenceOpenWay,
  referenceRecover,
  referenceSafetyDigits,
  referenceSymbols,
  type ReferenceTurn,
  referenceTurns,
} from "./reference.ts";
import { signal } from "./samples.ts";
import { asHello, asMessage, bytes, must, seededEnv } from "./support.ts";

type Vectors = Awaited<ReturnType<typeof makeCryptoVectors>>;
const vectors = JSON.parse(readFileSync(CRYPTO_VECTORS, "utf8")) as Vectors;
const env = seededEnv("vectors");

function deviceOf(vector: Vectors["responder"]): OwnDevice {
  return {
    rootSecret: bytes(vector.rootSecret),
    signingSecret: bytes(vector.signingSecret),
    dhSecret: bytes(vector.dhSecret),
    cert: must(decodeDeviceCert(bytes(vector.cert))).value,
  };
}

const secretsOf = ({
  secrets,
}: Vectors["handshakes"]["oneTime"]): PrekeySecrets | LastResortSecrets => ({
  signedPrekeyId: secrets.signedPrekeyId,
  signedPrekeySecret: bytes(secrets.signedPrekeySecret),
  oneTimeId: secrets.oneTimeId,
  oneTimeSecret: secrets.oneTimeSecret === undefined ? undefined : bytes(secrets.oneTimeSecret),
  kemSeed: bytes(secrets.kemSeed),
  bundleHash: bytes(secrets.bundleHash),
});

/** A stored session of the time the vectors were frozen. */
const sessionOf = (frozen: unknown): Session => {
  const revived = JSON.parse(JSON.stringify(frozen), (_, value: unknown) =>
    typeof value === "string" ? (hexToBytes(value) ?? value) : value,
  ) as Session;
  return { ...revived, receiving: undefined };
};

const referenceFor = (vector: Vectors["handshakes"]["oneTime"]) =>
  referenceAccept({
    hello: bytes(vector.hello),
    bundle: bytes(vector.bundle),
    dhSecret: bytes(vectors.responder.dhSecret),
    signedPrekeySecret: bytes(vector.secrets.signedPrekeySecret),
    oneTimeSecret:
      vector.secrets.oneTimeSecret === undefined ? undefined : bytes(vector.secrets.oneTimeSecret),
    kemSeed: bytes(vector.secrets.kemSeed),
  });

/** As `describeStep` of make-crypto.ts writes it, from the second implementation alone. */
function stepOf(turn: ReferenceTurn, kemSecret?: Buffer) {
  const { chainKeys, messageKeys } = referenceChain(turn.chainKey, 2);
  return {
    rootKeyBefore: turn.rootKeyBefore.toString("hex"),
    shared: turn.shared.toString("hex"),
    kemSecret: kemSecret?.toString("hex"),
    rootKey: turn.rootKey.toString("hex"),
    chainKeys: chainKeys.map((one) => one.toString("hex")),
    messageKeys: messageKeys.map((one) => one.toString("hex")),
    nextHeaderKey: turn.nextHeaderKey.toString("hex"),
  };
}

it("today's code makes the frozen bytes", async () => {
  expect(JSON.parse(JSON.stringify(await makeCryptoVectors()))).toEqual(vectors);
});

describe.each(["oneTime", "lastResort"] as const)("handshake %s", (name) => {
  const vector = vectors.handshakes[name];
  const hello = bytes(vector.hello);

  it("is accepted by today's code from its frozen bytes", async () => {
    const bob = deviceOf(vectors.responder);
    const accepted = must(await accept(bob, secretsOf(vector), asHello(hello), env));
    expect(bytesToHex(accepted.content)).toBe(vector.content);
    expect(accepted.mark).toEqual(NO_LIST_MARK);
    expect(bytesToHex(accepted.session.id)).toBe(vector.sessionId);
    expect(bytesToHex(accepted.session.transcript)).toBe(vector.transcript);
    expect(bytesToHex(encodeDeviceCert(accepted.cert))).toBe(vectors.initiator.cert);
    expect(await verifyBundle(must(decodeBundle(bytes(vector.bundle))).value, nobleBackend)).toBe(
      true,
    );
  });

  it("is accepted by the second implementation, with the same keys", () => {
    const keys = referenceFor(vector);
    expect(keys.initiatorCert.toString("hex")).toBe(vectors.initiator.cert);
    expect(keys.transcript.toString("hex")).toBe(vector.transcript);
    expect(keys.sessionId.toString("hex")).toBe(vector.sessionId);
    expect(keys.initiatorSignalKey.toString("hex")).toBe(vector.initiatorSignalKey);
    expect(keys.responderSignalKey.toString("hex")).toBe(vector.responderSignalKey);
    const [turn] = referenceTurns(keys, bytes(vector.secrets.signedPrekeySecret), [
      bytes(vector.initiatorRatchetSecret),
    ]);
    const { k, s, ...exchanges } = keys.steps;
    const part = (block: Buffer, from: number): string =>
      block.subarray(from, from + 32).toString("hex");
    expect(vector.derived).toEqual({
      ...Object.fromEntries(
        Object.entries(exchanges).map(([step, value]) => [step, value?.toString("hex")]),
      ),
      identityRootSalt: part(k, 0),
      identitySealKey: part(k, 32),
      rootKey: part(s, 0),
      initiatorHeaderKey: part(s, 32),
      responderHeaderKey: part(s, 64),
      firstStep: stepOf(turn!),
    });
    expect(turn!.rootKey.toString("hex")).toBe(vector.rootKeyAfterFirstStep);
    const expected = { n: 0, previousCount: 0, epoch: 0 };
    const { content, mark } = referenceOpen(keys, turn!, expected, hello.slice(1_329));
    expect(content.toString("hex")).toBe(vector.content);
    expect(mark).toEqual({ version: 0, prefix: Buffer.alloc(8) });
  });
});

describe("conversation", () => {
  const vector = vectors.handshakes.oneTime;
  const { messages, ratchetSecrets, kemSeed } = vectors.conversation;

  it("goes on from a frozen stored session", async () => {
    let session = sessionOf(vector.initiatorSession);
    for (const message of messages.filter(({ turn }) => turn === 1)) {
      const opened = must(await decrypt(session, asMessage(bytes(message.envelope)), env));
      expect(bytesToHex(opened.content)).toBe(message.content);
      expect({ ...opened.mark, prefix: bytesToHex(opened.mark.prefix) }).toEqual(message.mark);
      ({ session } = opened);
    }
  });

  it("is opened from its secrets by the second implementation, all turns", () => {
    const keys = referenceFor(vector);
    const turnsWith = (kemSecrets: ReadonlyMap<number, Uint8Array>) =>
      referenceTurns(
        keys,
        bytes(vector.secrets.signedPrekeySecret),
        ratchetSecrets.map(bytes),
        kemSecrets,
      );
    // Symbols by kind (1 key, 2 ciphertext), then by index.
    const symbols = new Map([1, 2].map((kind) => [kind, new Map<number, Uint8Array>()]));
    const openAll = (
      turns: ReturnType<typeof referenceTurns>,
      some: readonly (typeof messages)[number][],
    ): void => {
      for (const { turn, content, mark, envelope, ...expected } of some) {
        const opened = referenceOpen(keys, turns[turn]!, expected, bytes(envelope));
        expect(opened.content.toString("hex")).toBe(content);
        expect({ ...opened.mark, prefix: opened.mark.prefix.toString("hex") }).toEqual(mark);
        if (opened.frame?.epoch !== 1) continue;
        const { kind, first } = opened.frame;
        opened.frame.symbols.forEach((symbol, at) => symbols.get(kind)?.set(first + at, symbol));
      }
    };
    openAll(
      turnsWith(new Map()),
      messages.filter(({ epoch }) => epoch === 0),
    );
    // The ends of the cycles first, so that the code's parity is needed and not only pieces of the block.
    const lastOf = (kind: number) =>
      new Map([...symbols.get(kind)!].toSorted(([left], [right]) => right - left));
    const secret = referenceKemSecret(
      bytes(kemSeed),
      referenceJoin(lastOf(1), 37),
      referenceJoin(lastOf(2), 34),
    );
    const after = messages.filter(({ epoch }) => epoch === 1);
    expect(after.map(({ turn }) => turn)).toEqual([4, 4]);
    const turns = turnsWith(new Map([[4, secret]]));
    openAll(turns, after);
    expect(vectors.conversation.rootSteps).toEqual(
      turns.slice(1).map((turn, at) => stepOf(turn, at === 3 ? secret : undefined)),
    );
    expect([1, 2].map((kind) => [...symbols.get(kind)!.keys()].some((at) => at >= 37))).toEqual([
      true,
      true,
    ]);
    expect(new Set(messages.map(({ turn }) => turn)).size).toBe(4);
  });

  it("has signals that both implementations open", async () => {
    const keys = referenceFor(vector);
    const { encoded, fromInitiator, fromResponder } = vectors.conversation.signal;
    for (const [key, envelope] of [
      [keys.initiatorSignalKey, fromInitiator],
      [keys.responderSignalKey, fromResponder],
    ] as const) {
      expect(referenceOpenSignal(keys, key, bytes(envelope)).toString("hex")).toBe(encoded);
    }
    const decoded = must(decodeEnvelope(bytes(fromResponder))).value;
    if (decoded.type !== "signal") throw new Error("not a signal");
    const session = sessionOf(vector.initiatorSession);
    expect(await openSignal(session, decoded, nobleBackend)).toEqual(signal);
  });
});

describe("the rest", () => {
  it("a bundle of a batch verifies from its frozen bytes", async () => {
    const bundle = must(decodeBundle(bytes(vectors.batch.bundle))).value;
    expect(bundle.kemPrekey.leafIndex).toBe(vectors.batch.leafIndex);
    expect(bundle.kemPrekey.proof).toHaveLength(3);
    expect(await verifyBundle(bundle, nobleBackend)).toBe(true);
  });

  it("an offer opens in both implementations", async () => {
    const { seed, blob, offer } = vectors.invite;
    const opened = await openInviteOffer(bytes(seed), bytes(blob), nobleBackend);
    expect(opened === undefined ? undefined : bytesToHex(encodeInviteOffer(opened))).toBe(offer);
    expect(referenceOpenOffer(bytes(seed), bytes(blob)).toString("hex")).toBe(offer);
  });

  it("a way opens in both implementations", async () => {
    const { bundle, addresses, sealed } = vectors.way;
    const [maker, receiver] = [deviceOf(vectors.initiator), deviceOf(vectors.responder)];
    const opened = await openWay(receiver, maker.cert, bytes(sealed), nobleBackend);
    expect(opened === undefined ? undefined : bytesToHex(encodeBundle(opened.bundle))).toBe(bundle);
    expect(opened === undefined ? undefined : bytesToHex(encodeAddresses(opened.addresses))).toBe(
      addresses,
    );
    const certs = [vectors.initiator.cert, vectors.responder.cert].map(bytes);
    const read = referenceOpenWay(receiver.dhSecret, certs[0]!, certs[1]!, bytes(sealed));
    expect(read.map((block) => block.toString("hex"))).toEqual([bundle, addresses]);
  });

  it("a plea opens in both implementations", async () => {
    const { at, bundle, sealed } = vectors.plea;
    const [sender, receiver] = [deviceOf(vectors.initiator), deviceOf(vectors.responder)];
    const decoded = must(decodeEnvelope(bytes(sealed))).value;
    if (decoded.type !== "plea") throw new Error("not a plea");
    const opened = await openPlea(receiver, sender.cert, decoded, nobleBackend);
    expect(opened?.at).toBe(at);
    expect(opened === undefined ? undefined : bytesToHex(encodeBundle(opened.bundle))).toBe(bundle);
    const certs = [vectors.initiator.cert, vectors.responder.cert].map(bytes);
    const read = referenceOpenPlea(receiver.dhSecret, certs[0]!, certs[1]!, bytes(sealed));
    expect({ ...read, bundle: read.bundle.toString("hex") }).toEqual({ at, bundle });
  });

  it("recovery phrases give the account in both implementations", async () => {
    const { rootSecret, rootKey, accountId, phrases } = vectors.recovery;
    expect(phrases.map(({ language }) => language)).toEqual(["english", "simplified-chinese"]);
    const lists = { english, "simplified-chinese": simplifiedChinese };
    for (const { language, phrase } of phrases) {
      const read = must(readRecoveryPhrase(phrase));
      expect({ language: read.language, secret: bytesToHex(read.rootSecret) }).toEqual({
        language,
        secret: rootSecret,
      });
      const { cert } = await restoreDevice(read.rootSecret, env);
      expect(bytesToHex(cert.rootKey)).toBe(rootKey);
      expect(bytesToHex(accountIdOf(cert.rootKey))).toBe(accountId);
      const second = referenceRecover(phrase.split(" "), lists[language]);
      expect(second.rootSecret.toString("hex")).toBe(rootSecret);
      expect(second.rootKey.toString("hex")).toBe(rootKey);
      expect(referenceAccountId(second.rootKey).toString("hex")).toBe(accountId);
    }
  });

  it.each(vectors.erasure)(
    "symbols of a block of $k, both ways, in both implementations",
    (one) => {
      const { k, block, parity, last } = one;
      const pieces = Array.from({ length: k }, (_, index) =>
        bytes(block).slice(index * SYMBOL_BYTES, (index + 1) * SYMBOL_BYTES),
      );
      const known = new Map(pieces.entries());
      expect(referenceSymbols(known, k, k, k).toString("hex")).toBe(parity.join(""));
      expect(referenceSymbols(known, k, 254, 1).toString("hex")).toBe(last);
      const rest = parity.map((symbol, at) => ({ index: k + at, bytes: bytes(symbol) }));
      expect(bytesToHex(joinSymbols(rest))).toBe(block);
      const asMap = new Map(rest.map((symbol) => [symbol.index, symbol.bytes]));
      expect(referenceJoin(asMap, k).toString("hex")).toBe(block);
      const ends = [{ index: 254, bytes: bytes(last) }, ...rest.slice(1)];
      expect(bytesToHex(joinSymbols(ends))).toBe(block);
    },
  );

  it("account ids and the safety number are the same in both implementations", () => {
    const roots = [vectors.initiator, vectors.responder].map(({ cert, accountId }) => {
      const { rootKey } = must(decodeDeviceCert(bytes(cert))).value;
      expect(bytesToHex(accountIdOf(rootKey))).toBe(accountId);
      expect(referenceAccountId(rootKey).toString("hex")).toBe(accountId);
      return rootKey;
    });
    const [one, other] = [roots[0]!, roots[1]!];
    expect(safetyNumber(other, one)).toEqual(vectors.safetyNumber);
    expect(referenceSafetyDigits(one, other)).toBe(vectors.safetyNumber.digits);
  });
});
