/**
 * Relays that others keep their queues at: connected when there is something to hand over, and not for longer.
 * Owns: how many at once, which gives way, when one is closed. Leaves to hub.ts: the connection.
 */
import { bytesToHex } from "@sotto/wire";
import type { Hub } from "./ports.ts";
import type { Timers } from "./timers.ts";

/** Connections at once. For one more the one gives way that was not used for longest; when all are in use, none does. */
export const FOREIGN_RELAYS_MAX = 8;
/** A connection that nobody used for so long is closed. */
export const FOREIGN_IDLE_MS = 180_000;

export interface ForeignRelayPlace {
  readonly url: string;
  /** Ed25519, 32 bytes; undefined: whoever answers is asked who it is. */
  readonly key: Uint8Array | undefined;
}

export interface ForeignRelays {
  /** Connected, and nothing is known of it that speaks against asking it first. */
  isReady(place: ForeignRelayPlace): boolean;
  /** Until it answers, others are asked first. */
  setSlow(place: ForeignRelayPlace, isSlow: boolean): void;
  /** `lost` when every connection that there may be is in use. */
  use<T>(place: ForeignRelayPlace, lost: T, call: (hub: Hub) => Promise<T>): Promise<T>;
  readonly count: number;
  close(): Promise<void>;
}

interface Foreign {
  readonly hub: Hub;
  calls: number;
  slow: boolean;
  cancelIdle: (() => void) | undefined;
}

export function createForeignRelays(
  open: (place: ForeignRelayPlace) => Hub,
  timers: Timers,
): ForeignRelays {
  /** By place; the one used last is the last. */
  const relays = new Map<string, Foreign>();
  let closed = false;

  function drop(name: string, relay: Foreign): Promise<void> {
    relays.delete(name);
    relay.cancelIdle?.();
    return relay.hub.close();
  }

  function makeRoom(): boolean {
    if (relays.size < FOREIGN_RELAYS_MAX) return true;
    for (const [name, relay] of relays) {
      if (relay.calls > 0) continue;
      void drop(name, relay);
      return true;
    }
    return false;
  }

  function take(name: string, place: ForeignRelayPlace): Foreign | undefined {
    const known = relays.get(name);
    if (known !== undefined) {
      relays.delete(name);
      relays.set(name, known);
      return known;
    }
    if (!makeRoom()) return undefined;
    const relay: Foreign = { hub: open(place), calls: 0, slow: false, cancelIdle: undefined };
    relays.set(name, relay);
    relay.hub.start();
    return relay;
  }

  /** Once it has said who it is, whoever knows it by its key finds the same connection. */
  function rename(name: string, { url, key }: ForeignRelayPlace, relay: Foreign): string {
    const { relayKey } = relay.hub;
    if (key !== undefined || relayKey === undefined || relays.get(name) !== relay) return name;
    const known = nameOf({ url, key: relayKey });
    if (relays.has(known)) return name;
    relays.delete(name);
    relays.set(known, relay);
    return known;
  }

  return {
    isReady(place) {
      const relay = relays.get(nameOf(place));
      return relay !== undefined && relay.hub.state === "online" && !relay.slow;
    },
    setSlow(place, isSlow) {
      const relay = relays.get(nameOf(place));
      if (relay !== undefined) relay.slow = isSlow;
    },
    async use(place, lost, call) {
      const name = nameOf(place);
      const relay = closed ? undefined : take(name, place);
      if (relay === undefined) return lost;
      relay.cancelIdle?.();
      relay.calls++;
      try {
        return await call(relay.hub);
      } finally {
        relay.calls--;
        const now = rename(name, place, relay);
        if (relay.calls === 0 && relays.get(now) === relay) {
          relay.cancelIdle = timers.after(FOREIGN_IDLE_MS, () => void drop(now, relay));
        }
      }
    },
    get count() {
      return relays.size;
    },
    async close() {
      closed = true;
      await Promise.all([...relays].map(([name, relay]) => drop(name, relay)));
    },
  };
}

const nameOf = ({ url, key }: ForeignRelayPlace): string =>
  `${url} ${key === undefined ? "" : bytesToHex(key)}`;
