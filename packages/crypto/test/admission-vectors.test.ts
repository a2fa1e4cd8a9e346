/**
 * The frozen vectors of coming in at a relay, checked three ways: today's code makes the same bytes, today's code takes
 * the frozen ones, and a second implementation on other primitives makes them too.
 */
import { readFileSync } from "node:fs";
import { admissionAuthenticator, nobleBackend, provesWork } from "@sotto/crypto";
import { deriveIssuer, tokenOutput } from "@sotto/crypto/issuer";
import { finishTokens, verifyIssuerKey } from "@sotto/crypto/token";
import { asQueueId, authTranscript, bytesToHex, workTranscript } from "@sotto/wire";
import { expect, it } from "vitest";
import { ADMISSION_VECTORS, makeAdmissionVectors } from "../../../test/vectors/make-admission.ts";
import {
  referenceAdmission,
  referenceIssuer,
  referenceToken,
  referenceVerifiesProof,
  referenceWork,
} from "./admission-reference.ts";
import { bytes, flipBit } from "./support.ts";

const vectors = JSON.parse(readFileSync(ADMISSION_VECTORS, "utf8")) as Awaited<
  ReturnType<typeof makeAdmissionVectors>
>;
const [relaySeed, relayKey, helloNonce, readerKey, queueId] = [
  vectors.relaySeed,
  vectors.relayKey,
  vectors.helloNonce,
  vectors.readerKey,
  vectors.queueId,
].map(bytes) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array];

it("today's code makes the frozen bytes", async () => {
  expect(await makeAdmissionVectors()).toEqual(vectors);
});

it.each(vectors.issues)("today's code takes the tokens of epoch $epoch", async (issue) => {
  const { epoch, tokens } = issue;
  const [publicKey, signature] = [bytes(issue.publicKey), bytes(issue.signature)];
  const key = { epoch, publicKey, signature };
  expect(await verifyIssuerKey(relayKey, key, nobleBackend)).toBe(true);
  const finished = finishTokens(
    key,
    tokens.map(({ nonce, blind, blinded }) => ({
      nonce: bytes(nonce),
      blind: bytes(blind),
      blinded: bytes(blinded),
    })),
    { evaluated: tokens.map(({ evaluated }) => bytes(evaluated)), proof: bytes(issue.proof) },
  );
  expect(finished?.map(({ output }) => bytesToHex(output))).toEqual(
    tokens.map(({ output }) => output),
  );
  const issuer = deriveIssuer(relaySeed, epoch);
  const shown = authTranscript(helloNonce, relayKey, readerKey);
  for (const { nonce, output, authenticator } of tokens) {
    const again = tokenOutput(issuer, bytes(nonce));
    expect(bytesToHex(again)).toBe(output);
    expect(bytesToHex(admissionAuthenticator(again, shown))).toBe(authenticator);
  }
});

it.each(vectors.issues)("the second implementation makes those of epoch $epoch", (issue) => {
  const issuer = referenceIssuer(relaySeed, issue.epoch);
  expect({
    secretKey: bytesToHex(issuer.secretKey),
    publicKey: bytesToHex(issuer.publicKey),
    signature: bytesToHex(issuer.signature),
  }).toEqual({
    secretKey: issue.secretKey,
    publicKey: issue.publicKey,
    signature: issue.signature,
  });
  for (const { nonce, blind, authenticator, ...expected } of issue.tokens) {
    const made = referenceToken(issuer.secret, bytes(nonce), bytes(blind));
    expect({
      blinded: bytesToHex(made.blinded),
      evaluated: bytesToHex(made.evaluated),
      output: bytesToHex(made.output),
    }).toEqual(expected);
    const shown = referenceAdmission(made.output, helloNonce, relayKey, readerKey);
    expect(shown.toString("hex")).toBe(authenticator);
  }
  const [blinded, evaluated] = [
    issue.tokens.map((one) => bytes(one.blinded)),
    issue.tokens.map((one) => bytes(one.evaluated)),
  ];
  const proof = bytes(issue.proof);
  expect(referenceVerifiesProof(issuer.publicKey, blinded, evaluated, proof)).toBe(true);
  const changed = flipBit(proof, 300);
  expect(referenceVerifiesProof(issuer.publicKey, blinded, evaluated, changed)).toBe(false);
});

it("proofs of work are the first that suffice, in both implementations", () => {
  const asked = workTranscript(helloNonce, relayKey, asQueueId(queueId));
  const zeros = (counter: bigint): number => referenceWork(helloNonce, relayKey, queueId, counter);
  for (const { bits, proof } of vectors.work) {
    const counter = BigInt(`0x${proof}`);
    expect(provesWork(asked, bytes(proof), bits)).toBe(true);
    expect(zeros(counter)).toBeGreaterThanOrEqual(bits);
    for (let before = 0n; before < counter; before++) expect(zeros(before)).toBeLessThan(bits);
    const real = zeros(counter);
    expect(provesWork(asked, bytes(proof), real + 1)).toBe(false);
  }
  expect(vectors.work.map(({ bits }) => bits)).toEqual([0, 5, 8, 13]);
});
