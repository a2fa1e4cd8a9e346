/**
 * Where clients come from, and how many sockets from each place. In memory only; never logged.
 * Leaves to core/allowance.ts: what a place may use up.
 * Spec: SPEC.md §4.
 */

/** From one IPv4 address or one IPv6 /64; sockets from loopback (a reverse proxy, this machine) are not counted. */
export const CONNECTIONS_PER_ADDRESS_MAX = 64;
/** Loopback is allowed as much as so many addresses: a crowd of local tabs, or clients behind a proxy. */
export const LOOPBACK_SHARES = 16;
const LOOPBACK = "loopback";

export const sharesOf = (place: string): number => (place === LOOPBACK ? LOOPBACK_SHARES : 1);

export interface Places {
  /** Undefined: too many. Otherwise call it once when the socket is gone. */
  enter(place: string): (() => void) | undefined;
}

export function createPlaces(): Places {
  const countByPlace = new Map<string, number>();
  return {
    enter(place) {
      const count = countByPlace.get(place) ?? 0;
      if (place !== LOOPBACK && count >= CONNECTIONS_PER_ADDRESS_MAX) return undefined;
      countByPlace.set(place, count + 1);
      return () => {
        const left = (countByPlace.get(place) ?? 1) - 1;
        if (left === 0) countByPlace.delete(place);
        else countByPlace.set(place, left);
      };
    },
  };
}

/** Where connections are counted: loopback, an IPv4 address, or the /64 of an IPv6 address. */
export function placeOf(address: string): string {
  const plain = address.replace(/^::ffff:/i, "");
  if (plain === "::1" || plain.startsWith("127.")) return LOOPBACK;
  if (!plain.includes(":")) return plain;
  const [head = "", tail] = plain.split("::");
  const groups = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = Array.from({ length: Math.max(0, 8 - groups.length - after.length) }, () => "0");
  return [...groups, ...zeros, ...after]
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16))
    .join(":");
}
