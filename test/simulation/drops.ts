/**
 * For which reasons something may have been refused in a run, by what went wrong in it: any other is a fault of the
 * engine, which refuses what an honest app sent.
 */
import type { DropReason } from "@sotto/protocol";
import type { Decisions } from "./decisions.ts";
import { type Faults, isTampered } from "./faults.ts";
import { changesIdentities } from "./identity-change.ts";

/** What crosses, comes again or comes from before a session. */
const HARMLESS: readonly DropReason[] = ["duplicate", "old-signal", "unknown-session"];
/** What a chain that went back looks like from the other side, and a bundle that was used and forgotten. */
const WITH_OLD_STORES: readonly DropReason[] = ["malformed", "bad-tag", "unexpected"];
const WITH_TAMPERING: readonly DropReason[] = [
  "malformed",
  "bad-tag",
  "unexpected",
  "too-far-ahead",
];
/**
 * Devices of one account tell each other, and others, the same things beside each other: what one of them has done
 * already is expected of nobody any more, and who is out does not know it yet. A pair that has ended meanwhile takes
 * nothing more, and says so as a full one does.
 */
const WITH_DEVICES: readonly DropReason[] = ["unexpected", "unlisted", "outbox-full"];

export interface DropsOf {
  readonly faults: Faults;
  readonly decisions: Decisions;
  /** Older stores that were put back. */
  readonly stores: number;
  readonly hasDevices?: boolean;
}

export function expectedDrops({
  faults,
  decisions,
  stores,
  hasDevices = false,
}: DropsOf): ReadonlySet<DropReason> {
  const has = (kind: string): boolean => decisions.taken.some((one) => one.kind === kind);
  const haveLost = stores > 0 || has("session-loss");
  return new Set<DropReason>([
    ...HARMLESS,
    ...(isTampered(faults) ? WITH_TAMPERING : haveLost ? WITH_OLD_STORES : []),
    // Only a store that was put back may be taken for one.
    ...(stores > 0 ? (["old-store"] as const) : []),
    ...(changesIdentities(faults) ? (["wrong-identity", "unexpected"] as const) : []),
    ...(has("row-rot") ? ([...WITH_TAMPERING, "old-store", "wrong-identity"] as const) : []),
    ...(has("older-app") ? (["malformed"] as const) : []),
    ...(hasDevices ? WITH_DEVICES : []),
    // A way that somebody brings who introduces nobody any more, or to somebody who is a contact by now.
    ...(has("group") ? (["wrong-identity"] as const) : []),
    // Pages of operations that nobody can have made.
    ...(has("lie") ? (["malformed"] as const) : []),
  ]);
}
