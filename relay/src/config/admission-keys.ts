/**
 * The settings in section `admission`: who may use the relay.
 * Spec: CONFIG.md, made from this file.
 */
import { type Door, DOORS } from "@sotto/wire";
import { ADMISSION_DAYS_DEFAULT, TOKENS_PER_DAY_DEFAULT } from "../core/limits.ts";
import type { Key } from "./keys.ts";
import { toText } from "./parse.ts";

const ADMISSION_DAYS_MAX = 365;
const TOKENS_PER_DAY_MAX = 1_000;

const key = <T>(entry: Key<T>): Key<T> => entry;
export type Senders = "open" | "members";

export const ADMISSION_KEYS = {
  door: key<Door>({
    name: "admission.door",
    flag: "--door <kind>",
    env: "SOTTO_DOOR",
    fallback: "open",
    shown: "open",
    unit: "open, invite or oidc",
    sentence:
      "Who may have mailboxes here: everybody, whoever has a code of `sotto-relay invite`, or whoever signs in at admission.issuer.",
    parse: toDoor,
  }),
  senders: key<Senders>({
    name: "admission.senders",
    flag: "--senders <who>",
    env: "SOTTO_SENDERS",
    fallback: "open",
    shown: "open",
    unit: "open or members",
    sentence:
      "Who may write to mailboxes here: everybody to whom a member gave an address, or members only.",
    parse: toSenders,
  }),
  admissionDays: key({
    name: "admission.days",
    flag: "--admission-days <number>",
    env: "SOTTO_ADMISSION_DAYS",
    fallback: ADMISSION_DAYS_DEFAULT,
    shown: String(ADMISSION_DAYS_DEFAULT),
    unit: "days",
    sentence:
      "How long a device is let in before it shows another token; with codes: how long it may stay away.",
    parse: toCount(ADMISSION_DAYS_MAX),
  }),
  oidcIssuer: key<string | undefined>({
    name: "admission.issuer",
    flag: "--oidc-issuer <url>",
    env: "SOTTO_OIDC_ISSUER",
    fallback: undefined,
    shown: "",
    unit: "text",
    sentence: "What a token must name as its issuer (iss). Needed for oidc.",
    parse: toText,
  }),
  oidcAudience: key<string | undefined>({
    name: "admission.audience",
    flag: "--oidc-audience <name>",
    env: "SOTTO_OIDC_AUDIENCE",
    fallback: undefined,
    shown: "",
    unit: "text",
    sentence: "What a token must name as its audience (aud). Needed for oidc.",
    parse: toText,
  }),
  oidcJwks: key<string | undefined>({
    name: "admission.jwks",
    flag: "--oidc-jwks <url>",
    env: "SOTTO_OIDC_JWKS",
    fallback: undefined,
    shown: "",
    unit: "https URL, or file",
    sentence: "The issuer's public keys (JWKS); read again as they change. Needed for oidc.",
    parse: toJwks,
  }),
  tokensPerDay: key({
    name: "admission.tokens_per_day",
    flag: "--tokens-per-day <number>",
    env: "SOTTO_TOKENS_PER_DAY",
    fallback: TOKENS_PER_DAY_DEFAULT,
    shown: String(TOKENS_PER_DAY_DEFAULT),
    unit: "number",
    sentence: "How many devices one person of the organisation may bring in a day.",
    parse: toCount(TOKENS_PER_DAY_MAX),
  }),
} as const;

function toDoor(text: string): Door {
  const door = DOORS.find((one) => one === text);
  if (door === undefined) throw new TypeError("open, invite or oidc.");
  return door;
}

function toSenders(text: string): Senders {
  if (text !== "open" && text !== "members") throw new TypeError("open or members.");
  return text;
}

function toCount(max: number): (text: string) => number {
  return (text) => {
    const count = Number(text);
    if (!/^\d+$/.test(text) || count < 1 || count > max) throw new TypeError(`1 to ${max}.`);
    return count;
  };
}

/** Keys that came over a line which anybody can write to are nobody's. */
function toJwks(text: string): string {
  if (!/^[a-z]+:\/\//i.test(text)) return toText(text);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isSafe =
    url?.protocol === "https:" ||
    (url?.protocol === "http:" && /^(localhost|127\.0\.0\.1|\[::1\])$/.test(url.hostname));
  if (!isSafe) throw new TypeError("An https URL, or a file.");
  return text;
}

/** What startRelay takes. */
export type AdmissionSettings = {
  readonly [Id in keyof typeof ADMISSION_KEYS]: (typeof ADMISSION_KEYS)[Id] extends Key<infer T>
    ? T
    : never;
};
