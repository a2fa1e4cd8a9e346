/**
 * Who is woken when mail comes and they are away: one endpoint per reader, at most one wake-up under way for it.
 * Owns: when a wake-up is sent, repeated, given up. Leaves to node/push.ts: the request, and which endpoints are called at all.
 * In memory only: a client says its endpoint with every connection, so that no database ever holds one.
 * Spec: SPEC.md §3.
 */
import { bytesToKey } from "./keys.ts";
import {
  PUSH_GAP_MS,
  PUSH_KEPT_MS,
  PUSH_OPEN_MAX,
  PUSH_REGISTRATIONS_MAX,
  PUSH_REPEAT_MS,
  PUSH_RETRIES_MAX,
  PUSH_RETRY_MS_MAX,
} from "./limits.ts";
import type { Clock, Counter } from "./ports.ts";

/** gone: the push service knows the endpoint no longer. later: it may be asked again. refused: it never will take it. */
export type PushResult =
  | { readonly kind: "ok" | "gone" | "refused" }
  | { readonly kind: "later"; readonly retryAfterMs: number };

export interface PushService {
  /** VAPID, 65 bytes. */
  readonly publicKey: Uint8Array;
  /** Whether this relay would call it. */
  allows(this: void, endpoint: string): boolean;
  /** Always settles, within a bounded time. */
  send(endpoint: string): Promise<PushResult>;
}

export interface Waker {
  readonly publicKey: Uint8Array;
  /** Empty: none any more. "limit": an endpoint this relay does not call, or too many readers. */
  set(readerKey: Uint8Array, endpoint: string): "ok" | "limit";
  /** Proven on one more connection. */
  arrived(readerKey: Uint8Array): void;
  /** One connection less. */
  left(readerKey: Uint8Array): void;
  /** Mail for this reader is on the disk. */
  stored(this: void, readerKey: Uint8Array): void;
  stop(): void;
}

const REFUSED: PushResult = { kind: "refused" };

interface Registration {
  readonly endpoint: string;
  /** When its reader was last known to be here. */
  seenAt: number;
  /** When the last wake-up was sent; -Infinity: never. */
  sentAt: number;
  /** Since then nobody came. */
  outstanding: boolean;
  /** Waits for its turn, its answer or its next try. */
  busy: boolean;
  retries: number;
  cancel: (() => void) | undefined;
}

export interface WakerOptions {
  readonly clock: Clock;
  readonly service: PushService;
  readonly registrationsMax?: number;
  readonly openMax?: number;
  readonly count: (this: void, counter: Counter) => void;
}

export function createWaker(options: WakerOptions): Waker {
  const { clock, service, count } = options;
  const registrationsMax = options.registrationsMax ?? PUSH_REGISTRATIONS_MAX;
  const openMax = options.openMax ?? PUSH_OPEN_MAX;
  const registrations = new Map<string, Registration>();
  /** Connections of each reader that has any. */
  const present = new Map<string, number>();
  /** Readers that wait for one of the `openMax` requests; each at most once. */
  const waiting = new Set<string>();
  let open = 0;
  let stopped = false;

  function remove(reader: string): void {
    registrations.get(reader)?.cancel?.();
    registrations.delete(reader);
    waiting.delete(reader);
  }

  /** Those whose reader stays away; a map goes in the order of `set`, which every connection repeats. */
  function forgetOld(): void {
    for (const [reader, { seenAt }] of registrations) {
      if (clock.now() - seenAt < PUSH_KEPT_MS) return;
      if (!present.has(reader)) remove(reader);
    }
  }

  function wake(reader: string): void {
    const registration = registrations.get(reader);
    if (stopped || registration === undefined || registration.busy || present.has(reader)) return;
    if (clock.now() - registration.seenAt >= PUSH_KEPT_MS) return remove(reader);
    const sinceMs = clock.now() - registration.sentAt;
    // A wake-up that nobody followed is not repeated at once, but it may have been lost: later mail asks again.
    if (registration.outstanding && sinceMs >= 0 && sinceMs < PUSH_REPEAT_MS) return;
    registration.busy = true;
    registration.retries = 0;
    // After a clock that was set back, the gap is never longer than it is.
    const leftMs = sinceMs < 0 ? PUSH_GAP_MS : PUSH_GAP_MS - sinceMs;
    schedule(reader, registration, leftMs);
  }

  function schedule(reader: string, registration: Registration, delayMs: number): void {
    const enqueue = (): void => {
      registration.cancel = undefined;
      waiting.add(reader);
      pump();
    };
    if (delayMs <= 0) enqueue();
    else registration.cancel = clock.after(delayMs, enqueue);
  }

  function pump(): void {
    for (const reader of waiting) {
      if (open >= openMax || stopped) return;
      waiting.delete(reader);
      const registration = registrations.get(reader);
      if (registration === undefined) continue;
      if (present.has(reader)) {
        registration.busy = false;
        continue;
      }
      open++;
      registration.sentAt = clock.now();
      registration.outstanding = true;
      const result = service.send(registration.endpoint).catch((): PushResult => REFUSED);
      void result.then((settled) => {
        open--;
        settle(reader, registration, settled);
        pump();
      });
    }
  }

  function settle(reader: string, registration: Registration, result: PushResult): void {
    if (registrations.get(reader) !== registration) return;
    if (result.kind === "gone") {
      count("push-gone");
      return remove(reader);
    }
    if (result.kind === "later" && registration.retries < PUSH_RETRIES_MAX) {
      registration.retries++;
      const delayMs = Math.min(Math.max(result.retryAfterMs, PUSH_GAP_MS), PUSH_RETRY_MS_MAX);
      return schedule(reader, registration, delayMs);
    }
    count(result.kind === "ok" ? "push-sent" : "push-failed");
    registration.busy = false;
  }

  return {
    publicKey: service.publicKey,
    set(readerKey, endpoint) {
      const reader = bytesToKey(readerKey);
      if (endpoint === "") {
        remove(reader);
        return "ok";
      }
      const known = registrations.get(reader);
      forgetOld();
      // Said again with every connection: how often it may be called stays as it was.
      if (known?.endpoint === endpoint) {
        known.seenAt = clock.now();
        registrations.delete(reader);
        registrations.set(reader, known);
        return "ok";
      }
      if (!service.allows(endpoint)) return "limit";
      if (known === undefined && registrations.size >= registrationsMax) return "limit";
      const sentAt = known?.sentAt ?? -Infinity;
      remove(reader);
      registrations.set(reader, {
        endpoint,
        seenAt: clock.now(),
        sentAt,
        outstanding: false,
        busy: false,
        retries: 0,
        cancel: undefined,
      });
      return "ok";
    },
    arrived(readerKey) {
      const reader = bytesToKey(readerKey);
      present.set(reader, (present.get(reader) ?? 0) + 1);
      const registration = registrations.get(reader);
      if (registration !== undefined) registration.outstanding = false;
    },
    left(readerKey) {
      const reader = bytesToKey(readerKey);
      const others = (present.get(reader) ?? 1) - 1;
      if (others > 0) present.set(reader, others);
      else {
        present.delete(reader);
        const registration = registrations.get(reader);
        if (registration !== undefined) registration.seenAt = clock.now();
      }
    },
    stored: (readerKey) => wake(bytesToKey(readerKey)),
    stop() {
      stopped = true;
      for (const registration of registrations.values()) registration.cancel?.();
    },
  };
}
