/**
 * Whether a JWT is one of the organisation's: its issuer's signature, for this relay, now.
 * Loaded only by a relay whose door is "oidc".
 * Spec: SPEC.md §9.
 */
import { readFileSync, statSync } from "node:fs";
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  errors,
  type JWTVerifyGetKey,
  jwtVerify,
} from "jose";
import type { Verdict, VerifyJwt } from "./admission.ts";

/** Signatures with a public key only: whoever can read the relay's settings must not be able to make tokens. */
const ALGORITHMS = [
  "EdDSA",
  "ES256",
  "ES384",
  "ES512",
  "PS256",
  "PS384",
  "PS512",
  "RS256",
  "RS384",
  "RS512",
];
export const CLOCK_TOLERANCE_SECONDS = 60;
const KEYS_MS = 5_000;
const KEYS_AGE_MS_MAX = 600_000;
/** A key that is not known makes the relay ask for new ones, but no more often than that. */
const KEYS_COOLDOWN_MS = 30_000;

export interface JwtOptions {
  readonly issuer: string;
  readonly audience: string;
  /** URL of a JWKS, or a file with one, which is read again when it changes. */
  readonly jwks: string;
  readonly cooldownMs?: number;
}

export function createVerifyJwt({ issuer, audience, jwks, cooldownMs }: JwtOptions): VerifyJwt {
  const keys = /^https?:/.test(jwks)
    ? createRemoteJWKSet(new URL(jwks), {
        timeoutDuration: KEYS_MS,
        cacheMaxAge: KEYS_AGE_MS_MAX,
        cooldownDuration: cooldownMs ?? KEYS_COOLDOWN_MS,
      })
    : fileKeys(jwks);
  return async (token): Promise<Verdict> => {
    try {
      const { payload } = await jwtVerify(token, keys, {
        algorithms: ALGORITHMS,
        issuer,
        audience,
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        requiredClaims: ["sub", "exp"],
      });
      // The issuer is one and the same for all.
      return { ok: true, subject: String(payload.sub) };
    } catch (error) {
      // Everything about the token has an error of its own; what is left is that the keys could not be had.
      return { ok: false, reason: isOfToken(error) ? "refused" : "unavailable" };
    }
  };
}

const isOfToken = (error: unknown): boolean =>
  error instanceof errors.JWTClaimValidationFailed ||
  error instanceof errors.JWTExpired ||
  error instanceof errors.JWTInvalid ||
  error instanceof errors.JWSInvalid ||
  error instanceof errors.JWSSignatureVerificationFailed ||
  error instanceof errors.JOSEAlgNotAllowed ||
  error instanceof errors.JOSENotSupported ||
  error instanceof errors.JWKSNoMatchingKey ||
  error instanceof errors.JWKSMultipleMatchingKeys;

function fileKeys(path: string): JWTVerifyGetKey {
  let readAt = Number.NaN;
  let keys: JWTVerifyGetKey | undefined;
  const read = (): JWTVerifyGetKey => {
    const { mtimeMs } = statSync(path);
    if (keys === undefined || mtimeMs !== readAt) {
      keys = createLocalJWKSet(JSON.parse(readFileSync(path, "utf8")));
      readAt = mtimeMs;
    }
    return keys;
  };
  // A file that is no JWKS keeps the relay from starting.
  read();
  return (header, token) => read()(header, token);
}
