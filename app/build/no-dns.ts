/**
 * In place of @multiformats/dns: looking up a `dnsaddr` would ask name services of strangers over HTTPS, which the app's
 * policy forbids, and no address of ours is one.
 */
export const RecordType = { TXT: 16 } as const;

/** Throws when it is asked for: nothing in the app does. */
export function dns(): never {
  throw new Error("no name service but the browser's own");
}
