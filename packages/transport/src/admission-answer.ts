/**
 * What a relay, or whatever else answers at its address, says when it is asked for tokens.
 * Owns: reading that; no bytes throw. Leaves to admission.ts: asking, and what must hold of an answer.
 * Spec: relay/SPEC.md §9.
 */
import type { Evaluation, IssuerKey } from "@sotto/crypto/token";

/** Characters of one answer; a relay's own are below two kilobytes. */
export const ANSWER_CHARACTERS_MAX = 16_384;

/** Undefined when it is too long or no JSON. */
export function readAnswer(text: string): unknown {
  if (text.length > ANSWER_CHARACTERS_MAX) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Of `/info.json`. Undefined when the relay asks nobody, too. */
export function readIssuer(body: unknown): IssuerKey | undefined {
  const { epoch, key, signature } = fieldsOf(fieldsOf(fieldsOf(body)["admission"])["issuer"]);
  const [publicKey, signed] = [readHex(key), readHex(signature)];
  if (!isEpoch(epoch) || publicKey === undefined || signed === undefined) return undefined;
  return { epoch, publicKey, signature: signed };
}

/** Of `/admission`. */
export function readEvaluation(
  body: unknown,
): (Evaluation & { readonly epoch: number }) | undefined {
  const { epoch, evaluated, proof: proofHex } = fieldsOf(body);
  const proof = readHex(proofHex);
  if (!isEpoch(epoch) || proof === undefined || !Array.isArray(evaluated)) return undefined;
  const elements = evaluated.map(readHex).filter((element) => element !== undefined);
  return { epoch, evaluated: elements, proof };
}

/** Lower case, at least one byte. Here and not wire's: what every page loads would be torn into more pieces. */
export function readHex(value: unknown): Uint8Array | undefined {
  if (typeof value !== "string" || !/^([\da-f]{2})+$/.test(value)) return undefined;
  return Uint8Array.from(value.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null ? { ...value } : {};

const isEpoch = (value: unknown): value is number =>
  typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff;
