/**
 * How many sockets come from one place. In memory, for as long as they are open; never logged.
 * Spec: SPEC.md §4.
 */

/** From one IPv4 address or one IPv6 /64; loopback (a reverse proxy, this machine) is not counted. */
export const CONNECTIONS_PER_ADDRESS_MAX = 64;
const LOOPBACK = "loopback";

export interface Places {
  /** Undefined: too many. Otherwise call it once when the socket is gone. */
  enter(address: string): (() => void) | undefined;
}

export function createPlaces(): Places {
  const countByPlace = new Map<string, number>();
  return {
    enter(address) {
      const place = placeOf(address);
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
