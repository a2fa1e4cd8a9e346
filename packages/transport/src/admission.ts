/**
 * Blind tokens for a relay that asks who comes: an invite code or a sign-in against one, over HTTPS and apart from the
 * hub. An entry of its own: most relays ask nobody.
 * Owns: what is asked and what must hold of the answer. Leaves to admission-answer.ts: reading it; to hub.ts: showing
 * the token.
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
import {
  ANSWER_CHARACTERS_MAX,
  readAnswer,
  readEvaluation,
  readHex,
  readIssuer,
} from "./admission-answer.ts";

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
    const text = await textOf(response);
    const read = text === undefined ? undefined : readAnswer(text);
    return read === undefined ? undefined : { status: response.status, body: read };
  } catch {
    return undefined;
  }
}

/** Undefined once there is more than an answer has; no more than that is read, whatever length is named in front. */
async function textOf({ body }: Response): Promise<string | undefined> {
  const reader = body?.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (let part = await reader?.read(); part?.value !== undefined; part = await reader?.read()) {
    text += decoder.decode(part.value, { stream: true });
    if (text.length > ANSWER_CHARACTERS_MAX) return void reader?.cancel().catch(() => undefined);
  }
  return text;
}

/** Not wire's, for the reason that readHex has. */
const toHex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
