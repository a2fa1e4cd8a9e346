/**
 * What an account that is in a group no more is told: why.
 * Owns: finding what took it out. Leaves to crypto/membership-pages.ts: packing; to group-inbox.ts: when.
 * Spec: SPEC.md §11.
 */
import { ancestorsOf, type GroupLog, type LoggedOp, pagesUpTo } from "@sotto/crypto";
import { type AccountId, bytesToHex, type GroupPage } from "@sotto/wire";
import { opIdFrom } from "./group-log.ts";

/**
 * What took an account out of the group, with all behind it and nothing later; none while it is a member, or never was.
 * One that came in by an addition that is void is out by what ended, beside it, the rights of whoever added it.
 */
export function pagesOfEnd(log: GroupLog, account: AccountId): readonly GroupPage[] {
  const name = bytesToHex(account);
  if (log.state.members.has(name)) return [];
  return pagesUpTo(log, endsOf(log, name, new Set()).map(opIdFrom), []);
}

function endsOf(log: GroupLog, name: string, seen: Set<string>): readonly string[] {
  seen.add(name);
  const ops = [...log.ops.values()];
  const own = ops.filter((one) => isOut(one, name)).map(({ id }) => id);
  const ofAdders = ops.flatMap(({ id, op: { action }, account: by }) => {
    if (action.kind !== "add" || bytesToHex(action.account) !== name || seen.has(by)) return [];
    const behind = ancestorsOf(log, [id]);
    // Out by its own end, which came after this or beside it.
    if (own.some((end) => !behind.has(end))) return [];
    const after = new Set([id]);
    for (const one of ops) if (one.parents.some((parent) => after.has(parent))) after.add(one.id);
    const beside = ops.filter(
      (one) => (isOut(one, by) || isDemoted(one, by)) && !after.has(one.id),
    );
    const fresh = beside.map((one) => one.id).filter((end) => !behind.has(end));
    return fresh.length > 0 ? fresh : endsOf(log, by, seen);
  });
  return [...own, ...ofAdders];
}

/** Whether it took the account, hex, out. */
export const isOut = ({ op: { action }, account }: LoggedOp, name: string): boolean =>
  action.kind === "leave"
    ? account === name
    : action.kind === "remove" && bytesToHex(action.account) === name;

const isDemoted = ({ op: { action } }: LoggedOp, name: string): boolean =>
  action.kind === "role" && action.role === "member" && bytesToHex(action.account) === name;
