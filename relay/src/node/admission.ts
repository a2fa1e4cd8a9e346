/**
 * POST /admission: an invite code, or a token of the organisation's sign-in, against blinded elements evaluated.
 * Owns: what a request must hold, how many tokens a code or a subject gets. Leaves to doorkeeper.ts: what tokens are
 * worth. Neither side of this keeps who got one: of a subject there is a keyed hash and a number, in memory, until
 * midnight; of a code there are its uses left.
 * Spec: SPEC.md §9.
 */
import { createHash, createHmac, randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { CryptoBackend, Entropy } from "@sotto/crypto";
import { evaluateTokens, signIssuerKey } from "@sotto/crypto/issuer";
import { TOKENS_PER_ISSUE_MAX } from "@sotto/crypto/token";
import type { AdmissionStore, Doorkeeper } from "../core/doorkeeper.ts";
import { hashOfCode } from "../core/invite-code.ts";
import { ADMISSION_BODY_BYTES_MAX, JWT_BYTES_MAX, SUBJECTS_MAX } from "../core/limits.ts";
import { whole } from "./static-files.ts";

export const ADMISSION_PATH = "/admission";

/** Who a JWT speaks of. unavailable: its issuer's keys cannot be had. */
export type Verdict =
  | { readonly ok: true; readonly subject: string }
  | { readonly ok: false; readonly reason: "refused" | "unavailable" };
export type VerifyJwt = (token: string) => Promise<Verdict>;

export interface AdmissionOptions {
  readonly doorkeeper: Doorkeeper;
  readonly store: AdmissionStore;
  /** Ed25519, 32 bytes. */
  readonly relaySeed: Uint8Array;
  readonly crypto: CryptoBackend;
  readonly entropy: Entropy;
  /** Undefined: no JWT opens this door. */
  readonly verifyJwt: VerifyJwt | undefined;
  readonly tokensPerDay: number;
}

export interface PublicAdmission {
  readonly door: string;
  /** Who may write to members. */
  readonly senders: "open" | "members";
  /** Hexadecimal: the element, and the relay key's signature over epoch and element. */
  readonly issuer: { readonly epoch: number; readonly key: string; readonly signature: string };
}

export interface Admission {
  /** Undefined on an open relay. */
  info(): Promise<PublicAdmission | undefined>;
  /** `refused`: the credential was none; whoever shows those pays as for a false proof. */
  serve(request: IncomingMessage, response: ServerResponse, refused: () => void): Promise<void>;
}

/** Why not, to programs: `error` of the body. */
type Refusal = "malformed" | "too-large" | "unauthorised" | "limit" | "later";
const STATUS: Readonly<Record<Refusal, number>> = {
  malformed: 400,
  "too-large": 413,
  unauthorised: 401,
  limit: 429,
  later: 503,
};

/** A page of another origin may ask: what it needs is in the body, and no cookie helps. */
export const ANY_ORIGIN = { "Access-Control-Allow-Origin": "*" };

interface Asked {
  readonly code: string | undefined;
  readonly token: string | undefined;
  readonly blinded: readonly Uint8Array[];
}

export function createAdmission(options: AdmissionOptions): Admission {
  const { doorkeeper, store, entropy } = options;
  let published: PublicAdmission | undefined;
  let countBySubject = new Map<string, number>();
  let countKey = randomBytes(32);
  let countDay = -1;

  async function info(): Promise<PublicAdmission | undefined> {
    const { door, sendersOpen } = doorkeeper;
    if (door === "open") return undefined;
    const { epoch, publicKey } = doorkeeper.issuer();
    if (published?.issuer.epoch === epoch) return published;
    const key = await signIssuerKey(options.relaySeed, epoch, publicKey, options.crypto);
    published = {
      door,
      senders: sendersOpen ? "open" : "members",
      issuer: { epoch, key: toHex(key.publicKey), signature: toHex(key.signature) },
    };
    return published;
  }

  /** Takes as many as asked for, or none. */
  function countFor(subject: string, amount: number): boolean {
    if (countDay !== doorkeeper.today()) {
      countDay = doorkeeper.today();
      countBySubject = new Map();
      countKey = randomBytes(32);
    }
    const name = createHmac("sha256", countKey).update(subject).digest("base64");
    const count = (countBySubject.get(name) ?? 0) + amount;
    if (count > options.tokensPerDay) return false;
    if (countBySubject.size >= SUBJECTS_MAX && !countBySubject.has(name)) return false;
    countBySubject.set(name, count);
    return true;
  }

  async function decide(
    body: Buffer,
    refused: () => void,
  ): Promise<Record<string, unknown> | Refusal> {
    const asked = readAsked(body);
    if (asked === undefined) return "malformed";
    const requestHash = createHash("sha256").update(body).digest();
    // Asked again word for word: the answer was lost, and the code must not be lost with it.
    const isRepeated = store.hasAnswered(requestHash, doorkeeper.today());
    // It costs the code nothing and the relay as much as before, so its place pays as for a false one.
    if (isRepeated) refused();
    const take = isRepeated ? isTaken : await findTaker(asked, requestHash);
    if (typeof take === "string") return take;
    // Before the work: 32 elements cost as much as hundreds of signatures.
    if (!take()) return "limit";
    const { epoch, ...issuer } = doorkeeper.issuer();
    const evaluation = evaluateTokens(issuer, asked.blinded, entropy);
    if (evaluation === undefined) return "malformed";
    return {
      epoch,
      evaluated: evaluation.evaluated.map(toHex),
      proof: toHex(evaluation.proof),
    };
  }

  /** What counts these tokens off, once they were made. */
  async function findTaker(
    { code, token, blinded }: Asked,
    requestHash: Uint8Array,
  ): Promise<(() => boolean) | Refusal> {
    const day = doorkeeper.today();
    if (doorkeeper.door === "invite" && code !== undefined) {
      const hash = hashOfCode(code);
      if (hash === undefined || !store.hasCode(hash, day)) return "unauthorised";
      return () => store.takeCode(hash, day, requestHash);
    }
    if (options.verifyJwt === undefined || token === undefined) return "unauthorised";
    const verdict = await options.verifyJwt(token);
    if (!verdict.ok) return verdict.reason === "unavailable" ? "later" : "unauthorised";
    return () => {
      if (!countFor(verdict.subject, blinded.length)) return false;
      store.putAnswered(requestHash, day);
      return true;
    };
  }

  return {
    info,
    async serve(request, response, refused) {
      const headers = { ...ANY_ORIGIN, "Cache-Control": "no-store" };
      const answer = (status: number, fields: Record<string, unknown>): void =>
        whole(response, status, "application/json", `${JSON.stringify(fields)}\n`, headers);
      if (doorkeeper.door === "open") return answer(404, { error: "open" });
      if (request.method !== "POST") return answer(405, { error: "malformed" });
      const body = await readBody(request);
      const decided = body === undefined ? "too-large" : await decide(body, refused);
      if (typeof decided !== "string") return answer(200, decided);
      if (decided === "unauthorised") refused();
      // What is left of a body that is too long is not read.
      if (decided === "too-large") response.setHeader("Connection", "close");
      answer(STATUS[decided], { error: decided });
    },
  };
}

/** Undefined above the limit. A body that never ends ends with its socket (server.ts). */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const parts: Buffer[] = [];
  let bytes = 0;
  const stream: AsyncIterable<Buffer> = request;
  for await (const piece of stream) {
    bytes += piece.length;
    if (bytes > ADMISSION_BODY_BYTES_MAX) return undefined;
    parts.push(piece);
  }
  return Buffer.concat(parts);
}

/** The body of a request. Undefined when it is malformed. */
export function readAsked(body: Buffer): Asked | undefined {
  let value: unknown;
  try {
    value = JSON.parse(body.toString("utf8"));
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null || !("blinded" in value)) return undefined;
  const { blinded } = value;
  if (!Array.isArray(blinded) || blinded.length < 1 || blinded.length > TOKENS_PER_ISSUE_MAX) {
    return undefined;
  }
  const elements: Uint8Array[] = [];
  for (const one of blinded) {
    if (typeof one !== "string" || !/^[\da-f]{64}$/.test(one)) return undefined;
    elements.push(new Uint8Array(Buffer.from(one, "hex")));
  }
  const code = textOf(value, "code");
  const token = textOf(value, "token");
  if ((code === undefined) === (token === undefined)) return undefined;
  if (token !== undefined && token.length > JWT_BYTES_MAX) return undefined;
  return { code, token, blinded: elements };
}

function textOf(value: object, name: string): string | undefined {
  const text: unknown = Object.entries(value).find(([key]) => key === name)?.[1];
  return typeof text === "string" ? text : undefined;
}

const isTaken = (): boolean => true;

const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
