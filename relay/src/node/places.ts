/**
 * Where clients come from, and how many sockets from each place. In memory only; never logged.
 * Leaves to core/allowance.ts: what a place may use up.
 * Spec: SPEC.md §4.
 */
import type { Place } from "../core/allowance.ts";
import { CONNECTIONS_PER_PLACE_MAX } from "./defaults.ts";

/**
 * Loopback is allowed as much as so many addresses: a crowd of local tabs, or clients behind a proxy.
 * So is an IPv6 /48, the least that one customer can hold 65,536 places with.
 */
export const LOOPBACK_SHARES = 16;
export const NETWORK_SHARES = 16;

const LOOPBACK: Place = { name: "loopback", shares: LOOPBACK_SHARES };

export const isLoopback = (place: Place): boolean => place === LOOPBACK;

export interface Places {
  /** Undefined: too many. Otherwise call it once when the socket is gone. */
  enter(place: Place): (() => void) | undefined;
  /** Places with a socket. */
  readonly size: number;
}

export function createPlaces(perPlaceMax: number = CONNECTIONS_PER_PLACE_MAX): Places {
  const countByPlace = new Map<string, number>();
  const isOpen = ({ name, shares, network }: Place): boolean =>
    (countByPlace.get(name) ?? 0) < perPlaceMax * shares &&
    (network === undefined || isOpen(network));
  function add(place: Place, step: 1 | -1): void {
    const count = (countByPlace.get(place.name) ?? 0) + step;
    if (count === 0) countByPlace.delete(place.name);
    else countByPlace.set(place.name, count);
    if (place.network !== undefined) add(place.network, step);
  }
  return {
    enter(place) {
      if (!isLoopback(place) && !isOpen(place)) return undefined;
      add(place, 1);
      return () => add(place, -1);
    },
    get size() {
      return countByPlace.size;
    },
  };
}

/** Where connections are counted: loopback, an IPv4 address, or the /64 of an IPv6 address within its /48. */
export function placeOf(address: string): Place {
  const plain = address.replace(/^::ffff:/i, "");
  if (plain === "::1" || plain.startsWith("127.")) return LOOPBACK;
  if (!plain.includes(":")) return { name: plain, shares: 1 };
  const [head = "", tail] = plain.split("::");
  const groups = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = Array.from({ length: Math.max(0, 8 - groups.length - after.length) }, () => "0");
  const four = [...groups, ...zeros, ...after]
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16));
  const network = { name: `${four.slice(0, 3).join(":")}/48`, shares: NETWORK_SHARES };
  return { name: four.join(":"), shares: 1, network };
}
