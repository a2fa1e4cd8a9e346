/**
 * The door of a relay, put together from its settings. An open one has neither a file nor `jose` loaded.
 * Spec: SPEC.md §9.
 */
import { join } from "node:path";
import { existsSync } from "node:fs";
import type { AdmissionSettings } from "../config/admission-keys.ts";
import { type AdmissionStore, createDoorkeeper, type Doorkeeper } from "../core/doorkeeper.ts";
import { ADMISSION_DAYS_DEFAULT, TOKENS_PER_DAY_DEFAULT } from "../core/limits.ts";
import type { RelayEnv } from "../core/ports.ts";
import { type Admission, createAdmission, type VerifyJwt } from "./admission.ts";
import { openAdmissionStore } from "./admission-store.ts";

export async function openAdmission(
  options: Partial<AdmissionSettings> & { readonly data?: string | undefined },
  relaySeed: Uint8Array,
  relayKey: Uint8Array,
  env: RelayEnv,
): Promise<{
  readonly doorkeeper: Doorkeeper;
  readonly admission: Admission;
  readonly closeAdmission: () => Promise<void>;
}> {
  const { data, door = "open" } = options;
  const store = openAdmissionStore(door === "open" ? undefined : data);
  const doorkeeper = createDoorkeeper({
    door,
    sendersOpen: options.senders !== "members",
    days: options.admissionDays ?? ADMISSION_DAYS_DEFAULT,
    relaySeed,
    relayKey,
    store,
    now: () => env.now(),
  });
  const admission = createAdmission({
    doorkeeper,
    store,
    relaySeed,
    crypto: env.crypto,
    entropy: env.entropy,
    verifyJwt: door === "oidc" ? await verifier(options) : undefined,
    tokensPerDay: options.tokensPerDay ?? TOKENS_PER_DAY_DEFAULT,
  });
  return { doorkeeper, admission, closeAdmission: async () => store.close() };
}

async function verifier(options: Partial<AdmissionSettings>): Promise<VerifyJwt> {
  const { oidcIssuer: issuer, oidcAudience: audience, oidcJwks: jwks } = options;
  if (issuer === undefined || audience === undefined || jwks === undefined) {
    throw new TypeError("the door oidc needs an issuer, an audience and its keys");
  }
  const { createVerifyJwt } = await import("./jwt.ts");
  return createVerifyJwt({ issuer, audience, jwks });
}

/** For the operator's commands, while the relay runs or not. Throws where no relay has been. */
export function openAdmissionOf(data: string): AdmissionStore {
  if (!existsSync(join(data, "identity.key"))) {
    throw new TypeError("no relay has run with this server.data yet.");
  }
  return openAdmissionStore(data);
}
