/**
 * Blind tokens for a relay that asks who comes: an invite code or a sign-in against one, over HTTPS and apart from the
 * hub. An entry of its own: most relays ask nobody.
 * Owns: what is asked and what must hold of the answer. Leaves to hub.ts: showing the token.
 * Spec: relay/SPEC.md §8.
 */
import type { CryptoBackend, Entropy } from "@sotto/crypto";
import {
  type BlindToken,
  blindTokens,
  finishTokens,
  type Token,
  verifyIssuerKey,
} from "@sotto/crypto/token";

/** Of one answer; a relay's own are below two kilobytes. */
export const ANSWER_BYTES_MAX = 16_384;
const ANSWER_MS = 10_000;

export interface TokenRequest {
  /** Origin, such as "https://chat.example.com". */
  readonly relayUrl: string;
  /** Ed25519, 32 bytes: the one that was pinned. */
  readonly relayKey: Uint8Array;
  /** What a person was given, or a JWT. */
  readonly credential: { readonly code: string } | { readonly token: string };
  readonly crypto: CryptoBackend;
  readonly entropy: Entropy;
  /** Undefined: the blinded element is forgotten with the page. */
  readonly keep?: KeptRequest;
}

/**
 * Where a blinded element waits until its token was shown: the same request again is answered again, so that a page
 * that is closed too early does not cost the code. Whoever reads it there can only show the token itself.
 */
export interface KeptRequest {
  /** What was saved last; anything else counts as nothing. */
  load(): string | null | undefined;
  save(text: string): void;
}

/**
 * refused: the relay does not take this code or sign-in. limit: not so many in a day. later: no answer, or one that is
 * not this relay's.
 */
export type TokenAnswer =
  | { readonly ok: true; readonly token: Token }
  | { readonly ok: false; readonly reason: "refused" | "limit" | "later" };

const LATER: TokenAnswer = { ok: false, reason: "later" };

/** Never rejects. */
export async function fetchToken(request: TokenRequest): Promise<TokenAnswer> {
  const { relayUrl, relayKey, credential, crypto, entropy } = request;
  const info = await ask(`${relayUrl}/info.json`);
  const issuer = readIssuer(info?.body);
  // A key that the relay did not sign for everybody could be one for this person alone.
  if (issuer === undefined || !(await verifyIssuerKey(relayKey, issuer, crypto))) return LATER;
  const blinds = blindsOf(request.keep?.load(), entropy);
  request.keep?.save(
    blinds.flatMap((one) => [one.nonce, one.blind, one.blinded].map(toHex)).join(""),
  );
  const blinded = blinds.map((one) => toHex(one.blinded));
  const body = JSON.stringify({ ...credential, blinded });
  // Once more if no answer came: the relay knows the same request again and counts it once.
  const answer =
    (await ask(`${relayUrl}/admission`, body)) ?? (await ask(`${relayUrl}/admission`, body));
  if (answer === undefined) return LATER;
  if (answer.status === 401 || answer.status === 400) return { ok: false, reason: "refused" };
  if (answer.status === 429) return { ok: false, reason: "limit" };
  const evaluation = readEvaluation(answer.body);
  if (evaluation === undefined || evaluation.epoch !== issuer.epoch) return LATER;
  const [token] = finishTokens(issuer, blinds, evaluation) ?? [];
  return token === undefined ? LATER : { ok: true, token };
}

/** nonce 32 | blind 32 | blinded 32, in hexadecimal. */
function blindsOf(saved: string | null | undefined, entropy: Entropy): readonly BlindToken[] {
  const bytes = readHex(saved);
  if (bytes?.length !== 96) return blindTokens(1, entropy);
  return [{ nonce: bytes.slice(0, 32), blind: bytes.slice(32, 64), blinded: bytes.slice(64) }];
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** Undefined when nothing came that can be read. A text body, so that a page of another origin may ask as well. */
async function ask(url: string, body?: string): Promise<Answer | undefined> {
  try {
    const response = await fetch(url, {
      ...(body === undefined ? {} : { method: "POST", body }),
      credentials: "omit",
      cache: "no-store",
      redirect: "error",
      referrerPolicy: "no-referrer",
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    const length = Number(response.headers.get("Content-Length"));
    if (!(length <= ANSWER_BYTES_MAX)) return undefined;
    const text = await response.text();
    return text.length > ANSWER_BYTES_MAX
      ? undefined
      : { status: response.status, body: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

function readIssuer(body: unknown) {
  const { epoch, key, signature } = fieldsOf(fieldsOf(fieldsOf(body)["admission"])["issuer"]);
  const [publicKey, signed] = [readHex(key), readHex(signature)];
  if (!isEpoch(epoch) || publicKey === undefined || signed === undefined) return undefined;
  return { epoch, publicKey, signature: signed };
}

function readEvaluation(body: unknown) {
  const { epoch, evaluated, proof: proofHex } = fieldsOf(body);
  const proof = readHex(proofHex);
  if (!isEpoch(epoch) || proof === undefined || !Array.isArray(evaluated)) return undefined;
  const elements = evaluated.map(readHex).filter((element) => element !== undefined);
  return { epoch, evaluated: elements, proof };
}

const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null ? { ...value } : {};

/** Here and not wire's: what every page loads would be torn into more pieces. */
const toHex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

function readHex(value: unknown): Uint8Array | undefined {
  if (typeof value !== "string" || !/^([\da-f]{2})+$/.test(value)) return undefined;
  return Uint8Array.from(value.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

const isEpoch = (value: unknown): value is number =>
  typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff;
