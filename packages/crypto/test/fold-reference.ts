/**
 * What a set of operations adds up to, a second time: SPEC.md §11.4 word for word, over the whole log at once, without
 * segments, bits or anything kept from before. Slow, and for logs that stay below the limits.
 * Leaves to the tests: comparing. Takes what the log notes of each operation: its signer and its grants.
 */
import { bytesToHex, type GroupAdders, type GroupOp, type GroupRole } from "@sotto/wire";
import { HEIRSHIP, type LoggedOp } from "#src/membership-cuts.ts";

interface ReferenceMember {
  readonly role: GroupRole;
  readonly since: number;
  /** Ids. */
  readonly addedBy: string;
  readonly promotedBy: string | undefined;
}

export interface ReferenceState {
  readonly members: ReadonlyMap<string, ReferenceMember>;
  readonly adders: GroupAdders;
  /** account/device. */
  readonly revoked: ReadonlySet<string>;
}

export function referenceFold(ops: readonly LoggedOp[]): ReferenceState {
  const pasts = new Map<string, ReadonlySet<string>>();
  for (const { id, parents } of ops) {
    pasts.set(id, new Set(parents.flatMap((parent) => [parent, ...(pasts.get(parent) ?? [])])));
  }
  const isBefore = (a: string, b: string): boolean => pasts.get(b)?.has(a) === true;

  const voidedBy = (x: LoggedOp): ReadonlySet<string> => {
    const voided = new Set<string>();
    for (let size = -1; size !== voided.size;) {
      size = voided.size;
      for (const y of ops) {
        if (y === x || isBefore(y.id, x.id)) continue;
        const grants = [y.membership, y.authority ?? y.membership];
        if (ends(x, y, isBefore) || grants.some((grant) => voided.has(grant))) voided.add(y.id);
      }
    }
    return voided;
  };

  const without = new Set<string>();
  let undecided = ops.filter(({ op }) => isCut(op.action));
  const voids = new Map(undecided.map((cut) => [cut.id, voidedBy(cut)]));
  while (undecided.length > 0) {
    const left = undecided.map(({ id }) => id);
    const reaches = new Map(left.map((id) => [id, reachable(id, left, voids)]));
    const isTogether = (a: string, b: string): boolean =>
      a === b || (reaches.get(a)?.has(b) === true && reaches.get(b)?.has(a) === true);
    const decided = left.filter((id) =>
      left.every((other) => isTogether(id, other) || reaches.get(other)?.has(id) !== true),
    );
    for (const cut of decided) {
      for (const y of voids.get(cut) ?? []) if (!isTogether(cut, y)) without.add(y);
    }
    undecided = undecided.filter(({ id }) => !decided.includes(id) && !without.has(id));
  }

  const effective = ops.filter(({ id }) => !without.has(id));
  const concerning = (account: string, ...kinds: readonly Kind[]): readonly LoggedOp[] =>
    effective.filter(
      (one) => kinds.some((kind) => kind === kindOf(one)) && targetOf(one) === account,
    );
  const lasting = (grants: readonly LoggedOp[], cuts: readonly LoggedOp[]): LoggedOp | undefined =>
    grants
      .filter(({ id }) => cuts.every((cut) => isBefore(cut.id, id)))
      .toSorted((a, b) => a.op.lamport - b.op.lamport || (a.id < b.id ? -1 : 1))[0];

  const members = new Map<string, ReferenceMember>();
  for (const account of new Set(effective.map(targetOf))) {
    const out = concerning(account, "remove", "leave");
    const added = lasting(concerning(account, "create", "add"), out);
    if (added === undefined) continue;
    const down = [...out, ...concerning(account, "down")];
    const adds = concerning(account, "create", "add").filter(({ id }) =>
      out.every((cut) => isBefore(cut.id, id)),
    );
    const known = concerning(account, "create", "up").filter(({ id }) =>
      adds.some((add) => add.id === id || isBefore(add.id, id)),
    );
    const promoted = lasting(known, down);
    members.set(account, {
      role: promoted === undefined ? "member" : "admin",
      since: added.op.lamport,
      addedBy: added.id,
      promotedBy: promoted?.id,
    });
  }
  const policies = effective.filter(({ op }) => op.action.kind === "policy");
  const last = policies.filter(({ id }) => !policies.some((other) => isBefore(id, other.id)));
  const open =
    last.length > 0 &&
    last.every(({ op }) => op.action.kind === "policy" && op.action.adders === "members");
  return {
    members,
    adders: open ? "members" : "admins",
    revoked: new Set(
      effective.flatMap(({ op, account }) =>
        op.action.kind === "revoke" ? [`${account}/${bytesToHex(op.action.device)}`] : [],
      ),
    ),
  };
}

type Kind = Exclude<GroupOp["action"]["kind"], "role"> | "up" | "down";

function kindOf({ op: { action } }: LoggedOp): Kind {
  if (action.kind !== "role") return action.kind;
  return action.role === "admin" ? "up" : "down";
}

const isCut = (action: GroupOp["action"]): boolean =>
  action.kind === "role"
    ? action.role === "member"
    : ["remove", "leave", "revoke"].includes(action.kind);

/** Whom it names; who signed it where it names nobody. */
const targetOf = ({ op: { action }, account }: LoggedOp): string =>
  "account" in action ? bytesToHex(action.account) : account;

/** Whether `x` takes the right that `y` was signed by, and nothing after `x` gave it back. */
function ends(x: LoggedOp, y: LoggedOp, isBefore: (a: string, b: string) => boolean): boolean {
  const { action } = x.op;
  if (targetOf(x) !== y.account) return false;
  if (action.kind === "revoke") return bytesToHex(action.device) === y.device;
  if (action.kind !== "role") return !isBefore(x.id, y.membership);
  if (y.authority === undefined) return false;
  return !isBefore(x.id, y.authority === HEIRSHIP ? y.id : y.authority);
}

function reachable(
  from: string,
  nodes: readonly string[],
  edges: ReadonlyMap<string, ReadonlySet<string>>,
): ReadonlySet<string> {
  const found = new Set<string>();
  const open = [from];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    for (const next of nodes) {
      if (found.has(next) || edges.get(node)?.has(next) !== true) continue;
      found.add(next);
      open.push(next);
    }
  }
  return found;
}
