/**
 * How long to wait before the next connection: decorrelated jitter, so that clients of a restarted
 * relay come back spread out, and never later than the cap.
 */
import type { Entropy } from "@sotto/crypto";

export const BACKOFF_BASE_MS = 250;
export const BACKOFF_CAP_MS = 15_000;
/** What a relay may ask for; a hostile one cannot silence a client for longer. */
export const RETRY_AFTER_MS_MAX = 300_000;

/** From 0 (included) to 1 (excluded). */
export function randomFraction(entropy: Entropy): number {
  const bytes = entropy(4);
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) / 0x1_0000_0000;
}

/** The next pause from the last one: anywhere between the base and three times the last. */
export const nextPauseMs = (lastMs: number, entropy: Entropy): number =>
  Math.min(
    BACKOFF_CAP_MS,
    BACKOFF_BASE_MS + randomFraction(entropy) * (lastMs * 3 - BACKOFF_BASE_MS),
  );

/** A pause the relay asked for, and up to a quarter more so that those it turned away do not return together. */
export const askedPauseMs = (retryAfterMs: number, entropy: Entropy): number =>
  Math.min(retryAfterMs, RETRY_AFTER_MS_MAX) * (1 + randomFraction(entropy) / 4);
