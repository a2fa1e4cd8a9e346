/**
 * An account as 24 words. The word lists load when somebody asks for them, never before.
 * Owns: what callers see of it. Leaves to crypto/recovery.ts: words and bytes; to self.ts: the restored identity.
 */
import type { RecoveryLanguage } from "@sotto/crypto/recovery";
import type { Store } from "@sotto/protocol";
import { MessengerError, RecoveryError } from "./messenger.ts";

export async function readWords(
  store: Store,
  language: RecoveryLanguage,
): Promise<readonly string[]> {
  const { recoveryWords, RECOVERY_LANGUAGES } = await import("@sotto/crypto/recovery");
  if (!RECOVERY_LANGUAGES.includes(language)) {
    throw new MessengerError("usage", "no word list in this language");
  }
  const self = await store.loadSelf();
  if (self === undefined || self === "damaged") {
    throw new MessengerError("storage", "identity unreadable");
  }
  return recoveryWords(self.rootSecret, language);
}

/** The root secret behind a phrase, 32 bytes. Rejects with RecoveryError, which says what is wrong but no word. */
export async function readPhrase(phrase: string): Promise<Uint8Array> {
  const { readRecoveryPhrase } = await import("@sotto/crypto/recovery");
  const reading = readRecoveryPhrase(phrase);
  if (reading.ok) return reading.rootSecret;
  const { ok: _, ...refusal } = reading;
  throw new RecoveryError(refusal);
}
