/** Blind tokens against the vectors of RFC 9497, appendix A.1.2, and what each side must refuse. */
import { nobleBackend as crypto, type Entropy, LABELS } from "@sotto/crypto";
import { deriveIssuer, evaluateTokens, signIssuerKey, tokenOutput } from "@sotto/crypto/issuer";
import {
  blindTokens,
  finishTokens,
  issuerTranscript,
  TOKENS_PER_ISSUE_MAX,
  verifyIssuerKey,
} from "@sotto/crypto/token";
import { hexToBytes } from "@sotto/wire";
import { describe, expect, it } from "vitest";
import { ed25519Public, ed25519Sign, labelled } from "#src/primitives.ts";
import { flipBit, seededEntropy } from "./support.ts";

const hex = (text: string): Uint8Array => hexToBytes(text) ?? new Uint8Array();

const issuer = {
  secretKey: hex("e6f73f344b79b379f1a0dd37e07ff62e38d9f71345ce62ae3a9bc60b04ccd909"),
  publicKey: hex("c803e2cc6b05fc15064549b5920659ca4a77b2cca6f04f6b357009335476ad4e"),
};
const BLINDS = [
  "64d37aed22a27f5191de1c1d69fadb899d8862b58eb4220029e036ec4c1f6706",
  "222a5e897cf59db8145db8d16e597e8facb80ae7d4e26d9881aa6f61d645fc0e",
] as const;
const FIRST = {
  nonce: hex("00"),
  blind: hex(BLINDS[0]),
  blinded: hex("863f330cc1a1259ed5a5998a23acfd37fb4351a793a5b3c090b642ddc439b945"),
};
const FIRST_EVALUATED = hex("aa8fa048764d5623868679402ff6108d2521884fa138cd7f9c7669a9a014267e");
const FIRST_OUTPUT = hex(
  "b58cfbe118e0cb94d79b5fd6a6dafb98764dff49c14e1770b566e42402da1a7da4d8527693914139caee5bd03903af43a491351d23b430948dd50cde10d32b3c",
);
const SECOND_NONCE = hex("5a".repeat(17));
const SECOND_OUTPUT = hex(
  "8a9a2f3c7f085b65933594309041fc1898d42d0858e59f90814ae90571a6df60356f4610bf816f27afdd84f47719e480906d27ecd994985890e5f539e7ea74b6",
);
/** Test vector 3: both under one proof. */
const BATCH = {
  blinds: [
    FIRST,
    {
      nonce: SECOND_NONCE,
      blind: hex(BLINDS[1]),
      blinded: hex("90a0145ea9da29254c3a56be4fe185465ebb3bf2a1801f7124bbbadac751e654"),
    },
  ],
  evaluated: [
    FIRST_EVALUATED,
    hex("cc5ac221950a49ceaa73c8db41b82c20372a4c8d63e5dded2db920b7eee36a2a"),
  ],
  proof: hex(
    "cc203910175d786927eeb44ea847328047892ddf8590e723c37205cb74600b0a5ab5337c8eb4ceae0494c2cf89529dcf94572ed267473d567aeed6ab873dee08",
  ),
};
const EPOCH = { epoch: 7, publicKey: issuer.publicKey };

/** Entropy from which the next scalar drawn is this one: 48 bytes, little-endian, are reduced and one is added. */
function scalarEntropy(...scalars: readonly string[]): Entropy {
  const left = [...scalars];
  return (length) => {
    const drawn = new Uint8Array(length);
    const bytes = hex(left.shift() ?? "");
    drawn.set(bytes);
    for (let at = 0; at < drawn.length; at++) {
      const byte = drawn[at] ?? 0;
      drawn[at] = (byte + 255) % 256;
      if (byte > 0) break;
    }
    return drawn;
  };
}

describe("RFC 9497, VOPRF(ristretto255, SHA-512)", () => {
  it("evaluates and proves as vectors 1 and 3 say", () => {
    const one = evaluateTokens(issuer, [FIRST.blinded], scalarEntropy(BLINDS[1]));
    expect(one?.evaluated).toEqual([FIRST_EVALUATED]);
    expect(one?.proof).toEqual(
      hex(
        "ddef93772692e535d1a53903db24367355cc2cc78de93b3be5a8ffcc6985dd066d4346421d17bf5117a2a1ff0fcb2a759f58a539dfbe857a40bce4cf49ec600d",
      ),
    );
    const batch = evaluateTokens(
      issuer,
      BATCH.blinds.map(({ blinded }) => blinded),
      seededEntropy("batch"),
    );
    expect(batch?.evaluated).toEqual(BATCH.evaluated);
  });

  it("finishes vector 3, and gives the same outputs to the relay that sees the nonces again", () => {
    const tokens = finishTokens(EPOCH, BATCH.blinds, BATCH);
    expect(tokens?.map(({ output }) => output)).toEqual([FIRST_OUTPUT, SECOND_OUTPUT]);
    expect(tokenOutput(issuer, FIRST.nonce)).toEqual(FIRST_OUTPUT);
    expect(tokenOutput(issuer, SECOND_NONCE)).toEqual(SECOND_OUTPUT);
  });

  it("refuses an evaluation of another key, element, order or number, and a proof that was changed", () => {
    const other = deriveIssuer(new Uint8Array(32).fill(9), 1);
    const byOther = evaluateTokens(
      other,
      BATCH.blinds.map(({ blinded }) => blinded),
      seededEntropy("other"),
    );
    expect(byOther).toBeDefined();
    const answers = [
      byOther ?? BATCH,
      { ...BATCH, evaluated: BATCH.evaluated.toReversed() },
      { ...BATCH, evaluated: [FIRST_EVALUATED] },
      { ...BATCH, evaluated: [FIRST_EVALUATED, FIRST_EVALUATED] },
      { ...BATCH, evaluated: [FIRST_EVALUATED, new Uint8Array(32)] },
      { ...BATCH, evaluated: [FIRST_EVALUATED, new Uint8Array(31)] },
      { ...BATCH, proof: flipBit(BATCH.proof, 5) },
      { ...BATCH, proof: BATCH.proof.subarray(1) },
    ];
    for (const answer of answers) {
      expect(finishTokens(EPOCH, BATCH.blinds, answer)).toBeUndefined();
    }
  });
});

describe("tokens", () => {
  const seed = new Uint8Array(32).fill(3);
  const own = deriveIssuer(seed, 41);

  it("are the relay's own once unblinded, and nothing it saw is in them", () => {
    const blinds = blindTokens(3, seededEntropy("tokens"));
    const blinded = blinds.map((one) => one.blinded);
    const answer = evaluateTokens(own, blinded, seededEntropy("relay"));
    const tokens = finishTokens({ epoch: 41, publicKey: own.publicKey }, blinds, answer ?? BATCH);
    expect(tokens).toHaveLength(3);
    for (const { epoch, nonce, output } of tokens ?? []) {
      expect(epoch).toBe(41);
      expect(tokenOutput(own, nonce)).toEqual(output);
      expect(tokenOutput(deriveIssuer(seed, 42), nonce)).not.toEqual(output);
    }
  });

  it(`are made at most ${TOKENS_PER_ISSUE_MAX} at once, and at least one`, () => {
    const entropy = seededEntropy("limit");
    const most = blindTokens(TOKENS_PER_ISSUE_MAX, entropy).map(({ blinded }) => blinded);
    expect(evaluateTokens(own, most, entropy)?.evaluated).toHaveLength(TOKENS_PER_ISSUE_MAX);
    expect(evaluateTokens(own, [...most, FIRST.blinded], entropy)).toBeUndefined();
    expect(evaluateTokens(own, [], entropy)).toBeUndefined();
    expect(() => blindTokens(TOKENS_PER_ISSUE_MAX + 1, entropy)).toThrow(RangeError);
    expect(() => blindTokens(0, entropy)).toThrow(RangeError);
  });

  it("are not made from bytes that are no element, or from the neutral one", () => {
    const entropy = seededEntropy("elements");
    for (const bad of [new Uint8Array(32), new Uint8Array(32).fill(0xff), new Uint8Array(31)]) {
      expect(evaluateTokens(own, [FIRST.blinded, bad], entropy)).toBeUndefined();
    }
  });

  it("have an issuer's key that the relay's key signed, for its epoch", async () => {
    const relayKey = ed25519Public(seed);
    const key = await signIssuerKey(seed, 41, own.publicKey, crypto);
    expect(await verifyIssuerKey(relayKey, key, crypto)).toBe(true);
    const changes = [
      { epoch: 42 },
      { publicKey: flipBit(key.publicKey, 3) },
      { publicKey: key.publicKey.subarray(1) },
      { signature: flipBit(key.signature, 3) },
    ];
    for (const change of changes) {
      expect(await verifyIssuerKey(relayKey, { ...key, ...change }, crypto)).toBe(false);
    }
    const other = ed25519Public(new Uint8Array(32).fill(4));
    expect(await verifyIssuerKey(other, key, crypto)).toBe(false);
  });

  it("have an issuer's key of its own in each epoch, signed under its label and in one length", async () => {
    for (const epoch of [0, 40, 42, 41 + 256, 0xffff_ffff]) {
      expect(deriveIssuer(seed, epoch).publicKey).not.toEqual(own.publicKey);
    }
    const numbered = (epoch: number): Uint8Array => hex(epoch.toString(16).padStart(8, "0"));
    const transcript = labelled(LABELS.tokenKey, numbered(0x0102_0304), own.publicKey);
    expect(issuerTranscript(0x0102_0304, own.publicKey)).toEqual(transcript);
    const relayKey = ed25519Public(seed);
    for (const length of [31, 33]) {
      const publicKey = new Uint8Array(length).fill(1);
      const signature = ed25519Sign(seed, issuerTranscript(41, publicKey));
      const longer = { epoch: 41, publicKey, signature };
      expect(await verifyIssuerKey(relayKey, longer, crypto)).toBe(false);
    }
  });

  it("can be one", () => {
    expect(blindTokens(1, seededEntropy("one"))).toHaveLength(1);
  });
});
