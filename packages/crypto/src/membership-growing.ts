/**
 * A membership log while it takes operations in, and what stands behind some of them.
 * Owns: walking back, folding when somebody asks, and what that costs. Leaves to membership.ts: what is taken in.
 * Spec: SPEC.md §11.4, §11.6.
 */
import type { LoggedOp } from "./membership-cuts.ts";
import { foldOps, type GroupState } from "./membership-fold.ts";
import type { GroupLog, HeldOp } from "./membership.ts";

/**
 * A log that takes in several operations: with more than one head `state` may be that of fewer, and is folded when
 * somebody asks. Folded for each operation, a log that is never merged would cost the square of its length. `ops` and
 * `order`, the same operations, are its own and grow in place, and so does `work`: what was folded for nothing counts.
 */
export type Growing = GroupLog & {
  readonly isUnfolded: boolean;
  readonly ops: Map<string, LoggedOp>;
  readonly order: LoggedOp[];
  /**
   * Operations that were folded for what came in one go, what of that was refused for want of room, and signers of whom
   * something is held no more.
   */
  readonly work: {
    folded: number;
    readonly refused: Map<string, HeldOp>;
    readonly gone: Set<string>;
  };
  /** The account whose log this is, in hex, where it is known. */
  readonly own: string | undefined;
};

export const growing = (log: GroupLog, own?: string): Growing => ({
  ...log,
  isUnfolded: false,
  ops: new Map(log.ops),
  order: [...log.ops.values()],
  work: { folded: 0, refused: new Map(), gone: new Set() },
  own,
});

export const folded = (log: Growing): Growing =>
  log.isUnfolded ? { ...log, state: lookBack(log, log.heads).fold(), isUnfolded: false } : log;

export function grown(log: Growing): GroupLog {
  const { isUnfolded: _, order: __, work: ___, own: ____, ...whole } = folded(log);
  return whole;
}

export const namesAll = ({ heads }: GroupLog, parents: readonly string[]): boolean =>
  heads.every((head) => parents.includes(head));

/**
 * The state that `ids` and everything behind them add up to: `fold` is what costs. `isRedundant`: one of `ids` is behind
 * another one.
 */
export function lookBack(
  log: Growing,
  ids: readonly string[],
): { readonly isRedundant: boolean; readonly fold: () => GroupState } {
  const later: LoggedOp[] = [];
  const named = new Set(ids);
  let isRedundant = false;
  let from: GroupState | undefined;
  for (const [one, isBehind, isOnly] of walkBack(log, ids)) {
    if (!isBehind) continue;
    if (isOnly) {
      from = log.headStates.get(one.id);
      if (from) break;
    }
    later.push(one);
    isRedundant ||= one.parents.some((parent) => named.has(parent));
  }
  const fold = (): GroupState => {
    log.work.folded += later.length;
    return foldOps(later.toReversed(), from);
  };
  return { isRedundant, fold };
}

/**
 * All operations, the newest first: whether each is among `ids` and what is behind them, and then whether all of those
 * that are still to come are behind it.
 */
export function* walkBack(
  { order }: Growing,
  ids: readonly string[],
): Generator<readonly [one: LoggedOp, isBehind: boolean, isOnly: boolean]> {
  const open = new Set(ids);
  for (let at = order.length - 1; at >= 0; at--) {
    const one = order[at];
    if (!one) return;
    const isBehind = open.delete(one.id);
    yield [one, isBehind, open.size === 0];
    if (isBehind) for (const parent of one.parents) open.add(parent);
  }
}
