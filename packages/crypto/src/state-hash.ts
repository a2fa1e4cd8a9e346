/**
 * One name for all that a membership log says: what two logs are compared by, in tests and between implementations.
 * Owns: that hash. Leaves to membership.ts: heads, by which devices compare. Not among what the package exports.
 * Spec: SPEC.md §11.6.
 */
import { createWriter } from "@sotto/wire";
import { LABELS } from "./labels.ts";
import { bytesFrom } from "./membership-fold.ts";
import { type GroupLog, headsHash } from "./membership.ts";
import { labelled, sha256 } from "./primitives.ts";

/** 32 bytes over group, heads and everything they add up to (§11.6). */
export function stateHash(log: GroupLog): Uint8Array {
  const { members, adders, revoked } = log.state;
  const writer = createWriter().raw(log.group).raw(headsHash(log));
  writer.u8(adders === "admins" ? 0 : 1).u16(members.size);
  for (const [, { account, role }] of [...members].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    writer.raw(account).u8(role === "member" ? 0 : 1);
  }
  writer.u16(revoked.size);
  for (const key of [...revoked].toSorted()) writer.raw(bytesFrom(key.replace("/", "")));
  return sha256(labelled(LABELS.groupState, writer.done()));
}
