/**
 * The heads of a membership log: operations that no other one names.
 * Owns: keeping them in order, and which of them are named where there are more than can be.
 * Leaves to membership.ts: the log itself.
 * Spec: SPEC.md §11.1.
 */
import { PARENTS_MAX } from "@sotto/wire";
import { deviceKey, type LoggedOp } from "./membership-cuts.ts";
import { adminsOf } from "./membership-fold.ts";
import { ancestorsOf } from "./membership-pages.ts";
import type { GroupLog } from "./membership.ts";

/** Where `id` stands among `heads` or would; found by halves, as a log may have as many heads as operations. */
export function headPlace(heads: readonly string[], id: string): number {
  let [from, to] = [0, heads.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if ((heads[middle] ?? "") < id) from = middle + 1;
    else to = middle;
  }
  return from;
}

export const isHead = (heads: readonly string[], id: string): boolean =>
  heads[headPlace(heads, id)] === id;

export const withoutHead = (heads: readonly string[], id: string): readonly string[] =>
  isHead(heads, id) ? heads.toSpliced(headPlace(heads, id), 1) : heads;

/**
 * The heads that an operation or a message of this device names, at most PARENTS_MAX, ascending. Where there are more:
 * what leads to everything of its own, or its next operation would be a sibling; then of admins, of members and of all
 * others, one of each account before the second of any. Who can choose ids, and sign many, crowds nobody out.
 */
export function namedHeads(
  log: GroupLog,
  own: Pick<LoggedOp, "account" | "device">,
): readonly string[] {
  const { heads } = log;
  if (heads.length <= PARENTS_MAX) return heads;
  const chosen = new Set(ownHeads(log, own));
  for (const head of byWeight(log)) {
    if (chosen.size >= PARENTS_MAX) break;
    chosen.add(head);
  }
  return [...chosen].toSorted();
}

/** Heads that have all of the account's operations behind them, those of the device first; at most PARENTS_MAX. */
function ownHeads(
  log: GroupLog,
  { account, device }: Pick<LoggedOp, "account" | "device">,
): readonly string[] {
  const ops = [...log.ops.values()];
  const newest = ops.filter((one) => one.account === account).toReversed();
  const isHere = (one: LoggedOp): boolean => one.device === device;
  const sorted = [...newest.filter(isHere), ...newest.filter((one) => !isHere(one))];
  const found: string[] = [];
  const behind = new Set<string>();
  for (const { id } of sorted) {
    if (behind.has(id)) continue;
    if (found.length >= PARENTS_MAX) break;
    const after = new Set([id]);
    for (const one of ops) if (one.parents.some((parent) => after.has(parent))) after.add(one.id);
    const head = log.heads.find((one) => after.has(one));
    if (head === undefined) continue;
    found.push(head);
    for (const one of ancestorsOf(log, [head])) behind.add(one);
  }
  return found;
}

function byWeight(log: GroupLog): readonly string[] {
  const { members, revoked } = log.state;
  const admins = new Set(adminsOf(log.state));
  const counts = new Map<string, number>();
  const weighed = log.heads.map((head) => {
    const { account = "", device = "" } = log.ops.get(head) ?? {};
    const member = revoked.has(deviceKey(account, device)) ? undefined : members.get(account);
    const round = counts.get(account) ?? 0;
    counts.set(account, round + 1);
    const rank = member === undefined ? 2 : admins.has(member) ? 0 : 1;
    return { head, rank, round };
  });
  // Equal ones stay as they are: ascending.
  return weighed.toSorted((a, b) => a.rank - b.rank || a.round - b.round).map(({ head }) => head);
}
