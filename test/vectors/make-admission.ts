/**
 * Writes admission.json: what opens a relay's door for fixed secrets, tokens and work. Run it only to freeze a new
 * version; a difference in a frozen file means that new devices could not come in at old relays, or old ones at new.
 *
 *     npx node --conditions=@sotto/source test/vectors/make-admission.ts
 *
 * Owns: the content of admission.json. Leaves to packages/crypto/test/admission-vectors.test.ts: checking it three ways.
 */
import {
  admissionAuthenticator,
  type Entropy,
  findWork,
  nobleBackend as crypto,
} from "@sotto/crypto";
import { deriveIssuer, evaluateTokens, signIssuerKey } from "@sotto/crypto/issuer";
import { blindTokens, finishTokens } from "@sotto/crypto/token";
import { asQueueId, authTranscript, bytesToHex as hex, workTranscript } from "@sotto/wire";
import { seededEntropy } from "../../packages/crypto/test/support.ts";
import { freeze } from "./freeze.ts";

export const ADMISSION_VECTORS = new URL("admission.json", import.meta.url);

/** An issuer's epoch, and how many tokens are asked of it at once. */
const ISSUES = [
  [0, 1],
  [20_664, 3],
] as const;
/** Within the first byte, at its end, and behind it; what nobody is asked for is proven by anything. */
const WORK_BITS = [0, 5, 8, 13];

/** Byte arrays are lower-case hex throughout. The same on every run. */
export async function makeAdmissionVectors() {
  const entropy = seededEntropy("sotto admission vectors 1");
  const [relaySeed, helloNonce, readerSeed, queueId] = [32, 32, 32, 24].map((length) =>
    entropy(length),
  ) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  const relayKey = await crypto.signPublic(relaySeed);
  const readerKey = await crypto.signPublic(readerSeed);
  const shown = authTranscript(helloNonce, relayKey, readerKey);
  const issues = [];
  for (const [epoch, count] of ISSUES) {
    issues.push(await makeIssue(relaySeed, epoch, count, shown, entropy));
  }
  const asked = workTranscript(helloNonce, relayKey, asQueueId(queueId));
  return {
    about:
      "Coming in at a relay of Sotto, wire version 1. Bytes are hex. Written by make-admission.ts; see packages/crypto/SPEC.md, sections 9.5 and 9.6.",
    relaySeed: hex(relaySeed),
    relayKey: hex(relayKey),
    helloNonce: hex(helloNonce),
    readerKey: hex(readerKey),
    queueId: hex(queueId),
    issues,
    /** `proof`: the lowest counter that has so many zero bits in front. */
    work: WORK_BITS.map((bits) => {
      const proof = findWork(asked, bits, 0, 2 ** 20);
      if (proof === undefined) throw new Error(`no proof of ${bits} bits`);
      return { bits, proof: hex(proof) };
    }),
  };
}

async function makeIssue(
  relaySeed: Uint8Array,
  epoch: number,
  count: number,
  shown: Uint8Array,
  entropy: Entropy,
) {
  const issuer = deriveIssuer(relaySeed, epoch);
  const key = await signIssuerKey(relaySeed, epoch, issuer.publicKey, crypto);
  const blinds = blindTokens(count, entropy);
  const evaluation = evaluateTokens(
    issuer,
    blinds.map(({ blinded }) => blinded),
    entropy,
  );
  const tokens = evaluation === undefined ? undefined : finishTokens(key, blinds, evaluation);
  if (evaluation === undefined || tokens === undefined) throw new Error("nothing was issued");
  return {
    epoch,
    secretKey: hex(issuer.secretKey),
    publicKey: hex(issuer.publicKey),
    signature: hex(key.signature),
    proof: hex(evaluation.proof),
    tokens: blinds.map(({ nonce, blind, blinded }, at) => {
      const output = tokens[at]?.output ?? new Uint8Array();
      return {
        nonce: hex(nonce),
        blind: hex(blind),
        blinded: hex(blinded),
        evaluated: hex(evaluation.evaluated[at] ?? new Uint8Array()),
        output: hex(output),
        authenticator: hex(admissionAuthenticator(output, shown)),
      };
    }),
  };
}

if (import.meta.main) await freeze(ADMISSION_VECTORS, await makeAdmissionVectors());
