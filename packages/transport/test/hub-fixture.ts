/** One client of a relay with its events written down, and a clock that only a test moves. */
import { nobleBackend } from "@sotto/crypto";
import { asEnvelopeId, asQueueId, asSendId } from "@sotto/wire";
import {
  createHub,
  type Hub,
  type HubEvents,
  type HubOptions,
  type HubState,
  type SendTarget,
  type Timers,
} from "@sotto/transport";

export const entropy = (length: number): Uint8Array<ArrayBuffer> =>
  crypto.getRandomValues(new Uint8Array(length));

export const queueId = (n = 0) => {
  const bytes = entropy(24);
  new DataView(bytes.buffer).setUint32(0, n);
  return asQueueId(bytes);
};
export const envelopeId = () => asEnvelopeId(entropy(16));
export const target = (): SendTarget => ({
  sendId: asSendId(entropy(24)),
  sendSecret: entropy(32),
  firstUse: entropy(16),
});
/** A blob of the smallest bucket that starts with this number. */
export function blob(n: number, size = 256): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  new DataView(bytes.buffer).setUint32(0, n);
  return bytes;
}
export const numberOf = (bytes: Uint8Array): number =>
  new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);

type Delivery = Parameters<HubEvents["deliver"]>[0];

export interface Watched {
  readonly hub: Hub;
  readonly states: HubState[];
  readonly keys: Uint8Array[];
  readonly deliveries: Delivery[];
  readonly signals: Uint8Array[];
  readonly drained: Uint8Array[];
  readonly missing: Uint8Array[];
}

export function watchedHub(
  url: string,
  options: Partial<HubOptions> & {
    readonly onDeliver?: (hub: Hub, delivery: Delivery) => void;
  } = {},
): Watched {
  const { onDeliver, ...overrides } = options;
  const seen = {
    states: [] as HubState[],
    keys: [] as Uint8Array[],
    deliveries: [] as Delivery[],
    signals: [] as Uint8Array[],
    drained: [] as Uint8Array[],
    missing: [] as Uint8Array[],
  };
  const hub = createHub({
    url,
    relayKey: undefined,
    readerSecret: entropy(32),
    crypto: nobleBackend,
    entropy,
    events: {
      state: (state) => seen.states.push(state),
      relayKey: (key) => seen.keys.push(key),
      deliver: (delivery) => {
        seen.deliveries.push(delivery);
        onDeliver?.(hub, delivery);
      },
      signalled: (_, bytes) => seen.signals.push(bytes),
      drained: (id) => seen.drained.push(id),
      missing: (id) => seen.missing.push(id),
    },
    ...overrides,
  });
  return { hub, ...seen };
}

/** Time stands still until `advance`; due timers then run in order. */
export function manualTimers(): Timers & {
  advance(ms: number): void;
  sleep(ms: number): void;
  readonly pending: number;
} {
  let now = 0;
  let entries: { readonly at: number; readonly run: () => void }[] = [];
  return {
    now: () => now,
    after(delayMs, run) {
      const entry = { at: now + delayMs, run };
      entries.push(entry);
      return () => {
        entries = entries.filter((other) => other !== entry);
      };
    },
    advance(ms) {
      const end = now + ms;
      for (;;) {
        const due = entries.filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at)[0];
        if (due === undefined) break;
        entries = entries.filter((entry) => entry !== due);
        now = Math.max(now, due.at);
        due.run();
      }
      now = end;
    },
    sleep(ms) {
      now += ms;
      for (const due of entries.filter(({ at }) => at <= now)) {
        entries = entries.filter((entry) => entry !== due);
        due.run();
      }
    },
    get pending() {
      return entries.length;
    },
  };
}
