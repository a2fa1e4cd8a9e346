/**
 * How much of whom a membership log takes in: operations that did not know what was before them, and the last places.
 * Owns: those counts, by account and by teller. Leaves to membership.ts: what counts does not decide.
 * Spec: SPEC.md §11.5, §11.6.
 */
import { bytesToHex, type GroupAction } from "@sotto/wire";
import { deviceKey, isCut, type LoggedOp } from "./membership-cuts.ts";
import { adminsOf } from "./membership-fold.ts";
import { folded, type Growing, namesAll, walkBack } from "./membership-growing.ts";
import type { GroupLog } from "./membership.ts";

/** Operations of one group. A group that has used them up is founded anew. */
export const LOG_OPS_MAX = 10_000;
/**
 * The last of these places: for what ends rights and for what that stands on. The first half of them is for operations,
 * too, that were made before their author's log was as full as this; no stray is among those.
 */
export const RESERVED_OPS_MAX = 1_000;
/**
 * Of those places one account has at most so many, and at most as many as are free then before ADMINS_OPS_MAX; of an acting
 * admin's devices, each.
 */
export const RESERVED_OPS_PER_ACCOUNT_MAX = 32;
/** The last of all are for cuts of acting admins, of whom one alone cannot take them: others may be any number. */
export const ADMINS_OPS_MAX = 100;

/**
 * Operations of one account that do not know of all its earlier ones, as its devices make them beside each other. An
 * account could make any number of such, and each would have to be folded. One that knows all of them gives one back.
 */
export const SIBLING_OPS_MAX = 64;
/**
 * Operations whose signer acted no more when they came: those that a removed member made before it heard of that, and
 * whatever it makes up afterwards. Of one account and all who came in by late operations of its.
 */
export const LATE_OPS_MAX = 128;
/** Operations beyond those two that one member brings who is no admin: admins can write any number themselves. */
export const BROUGHT_OPS_MAX = 1_024;

/** Operations that are folded for one page before the rest of it has to come again. */
export const FOLDED_OPS_MAX = 65_536;

interface Counted {
  readonly log: Growing;
  readonly isStray: boolean;
  readonly isLate: boolean;
}

/**
 * What own devices bring is what they have; and who is not in by the own log knows neither the members nor their order,
 * and seals nothing by it.
 */
const isTrusted = ({ own, state }: Growing, by: string | undefined): boolean =>
  own !== undefined && (by === own || !state.members.has(own));

/** Whether `by` may bring what its signer has no room for: it has it in its own log, and what it signs stands on it. */
export function canBring(log: Growing, by: string | undefined, account: string): boolean {
  if (isTrusted(log, by)) return true;
  const member = by === account ? undefined : log.state.members.get(by ?? "");
  if (by === undefined || member === undefined) return false;
  if ((log.brought.get(by) ?? 0) < BROUGHT_OPS_MAX) return true;
  // What an admin has taken in stands below what it does next, its removals among that.
  return adminsOf(log.state).includes(member);
}

/** The log with this operation counted, if it is a stray; undefined when it is one too many. */
export function countStray(
  before: Growing,
  { account, device, parents }: Pick<LoggedOp, "account" | "device" | "parents">,
  by: string | undefined,
  isNeeded: boolean,
): Counted | undefined {
  const acts = ({ state }: GroupLog): boolean =>
    state.members.has(account) && !state.revoked.has(deviceKey(account, device));
  // Whose rights came with what is not folded yet is no stranger. Who lost them with that is taken for a member until
  // the end of the page.
  const log = acts(before) ? before : folded(before);
  const isLate = !acts(log);
  const siblings = log.siblings.get(account);
  if (!isLate && knowsAllOf(log, account, parents)) {
    const back = siblings === undefined || siblings === 0 ? log : withSiblings(log, account, -1);
    return { log: back, isStray: false, isLate };
  }
  // From here on that account's operations are no line any more.
  const stray = withSiblings(log, account, 0);
  const counted = { isStray: true, isLate };
  if (isNeeded || isTrusted(log, by)) return { ...counted, log: stray };
  const payer = log.guests.get(account) ?? account;
  if (isLate && (log.late.get(payer) ?? 0) < LATE_OPS_MAX) {
    return { ...counted, log: { ...stray, late: oneMore(log.late, payer) } };
  }
  if (!isLate && (siblings ?? 0) < SIBLING_OPS_MAX) {
    return { ...counted, log: withSiblings(log, account, 1) };
  }
  if (by === undefined || !canBring(folded(log), by, account)) return undefined;
  return { ...counted, log: { ...stray, brought: oneMore(log.brought, by) } };
}

const oneMore = (
  counts: ReadonlyMap<string, number>,
  account: string,
): ReadonlyMap<string, number> => new Map(counts).set(account, (counts.get(account) ?? 0) + 1);

const withSiblings = (log: Growing, account: string, change: number): Growing => ({
  ...log,
  siblings: new Map(log.siblings).set(account, (log.siblings.get(account) ?? 0) + change),
});

/** Whether all operations of the account are among `parents` and what is behind them. */
function knowsAllOf(log: Growing, account: string, parents: readonly string[]): boolean {
  if (namesAll(log, parents)) return true;
  const isLine = !log.siblings.has(account);
  for (const [one, isBehind] of walkBack(log, parents)) {
    // With the last of a line all of it is behind.
    if (one.account === account && (isLine || !isBehind)) return isBehind;
  }
  return true;
}

/** An account may bring in any number of others after its end: what they do counts as its own. */
export function withGuest(log: Growing, { account, op }: LoggedOp, isLate: boolean): Growing {
  if (op.action.kind !== "add") return log;
  const added = bytesToHex(op.action.account);
  const guests = new Map(log.guests);
  const isKnown = ({ op: { action }, account: signer }: LoggedOp): boolean =>
    action.kind === "add"
      ? bytesToHex(action.account) === added
      : action.kind === "create" && signer === added;
  if (!isLate) guests.delete(added);
  else if (!log.order.some(isKnown)) guests.set(added, guests.get(account) ?? account);
  return { ...log, guests };
}

const RESERVE_BEGINS = LOG_OPS_MAX - RESERVED_OPS_MAX;

/** Whether a log has a place for an operation that nothing waits for. */
export function hasRoom(
  log: Growing,
  one: Pick<LoggedOp, "account" | "device"> & {
    readonly action: GroupAction;
    readonly isStray: boolean;
    readonly by: string | undefined;
    /** An acting admin's. */
    readonly isNeeded: boolean;
  },
): boolean {
  const { size } = log.ops;
  const end = one.isStray ? RESERVE_BEGINS : LOG_OPS_MAX - RESERVED_OPS_MAX / 2;
  if (size >= LOG_OPS_MAX) return false;
  if (isTrusted(log, one.by) || size < end) return true;
  if (!isCut(one.action)) return false;
  // An admin's stolen device leaves the others of the account theirs; of others, accounts are counted.
  const reserved = log.order
    .slice(end)
    .filter(
      ({ account, device, op }) =>
        account === one.account && isCut(op.action) && (!one.isNeeded || device === one.device),
    );
  const free = one.isNeeded ? LOG_OPS_MAX : LOG_OPS_MAX - ADMINS_OPS_MAX - size;
  return reserved.length < Math.min(RESERVED_OPS_PER_ACCOUNT_MAX, free);
}

/** Sooner full than for others', which may have been made beside as many more; for cuts, as others take them. */
export const hasRoomToMake = (
  log: Growing,
  action: GroupAction,
  one: Pick<LoggedOp, "account" | "device">,
  isAdmin: boolean,
): boolean =>
  isCut(action)
    ? hasRoom(log, { ...one, action, isStray: false, by: undefined, isNeeded: isAdmin })
    : log.ops.size < RESERVE_BEGINS;
