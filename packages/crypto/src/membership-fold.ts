/**
 * From a set of operations to who is in the group: the same answer for every order in which they arrived.
 * Owns: what an account may do, and the state that operations add up to. Leaves to membership-cuts.ts: which of them
 * have effect; to membership.ts: signatures, and parents that have not come.
 * Spec: SPEC.md §11.3 to §11.5.
 */
import {
  type AccountId,
  bytesToHex,
  DEVICES_EVER_MAX,
  type GroupAdders,
  type GroupOp,
  type GroupRole,
  hexToBytes,
} from "@sotto/wire";
import {
  addBits,
  deviceKey,
  EARLIER,
  effectiveOf,
  type Graph,
  graphOf,
  hasBit,
  HEIRSHIP,
  knowsAll,
  type LoggedOp,
  noBits,
  targetOf,
} from "./membership-cuts.ts";

/** Accounts in one group. */
export const MEMBERS_MAX = 1_000;
/** Devices that one account revokes in a group: as many as it can ever have had. */
export const REVOKED_DEVICES_MAX = DEVICES_EVER_MAX;

export interface Member {
  readonly account: AccountId;
  readonly role: GroupRole;
  /** Id of the operation that brought it in, and its lamport: how long it has been a member. */
  readonly addedBy: string;
  readonly since: number;
  /** Id of the operation that made it an admin. */
  readonly promotedBy: string | undefined;
}

export interface GroupState {
  /** By account. */
  readonly members: ReadonlyMap<string, Member>;
  readonly adders: GroupAdders;
  /** `deviceKey` of every device that acts no more. */
  readonly revoked: ReadonlySet<string>;
}

export const EMPTY_GROUP: GroupState = {
  members: new Map(),
  adders: "admins",
  revoked: new Set(),
};

export type Denial =
  /** Its actor was not a member, or its device had been revoked. */
  | "not-a-member"
  | "not-allowed"
  /** Everything was already as it says. */
  | "no-effect"
  | "too-many-members"
  | "too-many-revoked";

export type Judged =
  | { readonly ok: true; readonly membership: string; readonly authority: string | undefined }
  | { readonly ok: false; readonly reason: Denial };

/** The admins; when none is left, whoever has been a member for longest. Empty only for a group without members. */
export function adminsOf({ members }: GroupState): readonly Member[] {
  const admins: Member[] = [];
  let heir: Member | undefined;
  for (const member of members.values()) {
    if (member.role === "admin") admins.push(member);
    if (heir === undefined || isSenior(member, heir)) heir = member;
  }
  return admins.length > 0 || heir === undefined ? admins : [heir];
}

/** Whether `actor` may do this where `state` is all that has happened. Not for a `create`. */
export function judge(
  state: GroupState,
  action: GroupOp["action"],
  actor: { readonly account: string; readonly device: string },
): Judged {
  const member = state.members.get(actor.account);
  if (member === undefined || state.revoked.has(deviceKey(actor.account, actor.device))) {
    return { ok: false, reason: "not-a-member" };
  }
  const reason = refusalOf(state, action, actor);
  if (reason !== undefined) return { ok: false, reason };
  const membership = member.addedBy;
  if (!needsAdmin(state, action)) return { ok: true, membership, authority: undefined };
  if (!adminsOf(state).includes(member)) return { ok: false, reason: "not-allowed" };
  return { ok: true, membership, authority: member.promotedBy ?? HEIRSHIP };
}

/** The state after an operation that all others are ancestors of. */
export function applyOp(state: GroupState, logged: LoggedOp): GroupState {
  const draft = draftOf(state);
  foldSegment(draft, [logged]);
  return draft;
}

/**
 * `ops`: every ancestor is there and comes before its descendants; but for what `from` is the state of, which is before
 * all of them.
 */
export function foldOps(ops: readonly LoggedOp[], from = EMPTY_GROUP): GroupState {
  const draft = draftOf(from);
  for (const segment of segmentsOf(ops)) foldSegment(draft, segment);
  return draft;
}

interface Draft extends GroupState {
  readonly members: Map<string, Member>;
  adders: GroupAdders;
  readonly revoked: Set<string>;
}

const draftOf = (state: GroupState): Draft => ({
  members: new Map(state.members),
  adders: state.adders,
  revoked: new Set(state.revoked),
});

function refusalOf(
  { members, adders, revoked }: GroupState,
  action: GroupOp["action"],
  actor: { readonly account: string; readonly device: string },
): Denial | undefined {
  switch (action.kind) {
    case "create":
      return "not-allowed";
    case "add":
      if (members.has(bytesToHex(action.account))) return "no-effect";
      return members.size >= MEMBERS_MAX ? "too-many-members" : undefined;
    case "remove": {
      const target = bytesToHex(action.account);
      if (target === actor.account) return "not-allowed";
      return members.has(target) ? undefined : "no-effect";
    }
    case "role": {
      const target = members.get(bytesToHex(action.account));
      return target === undefined || target.role === action.role ? "no-effect" : undefined;
    }
    case "policy":
      return adders === action.adders ? "no-effect" : undefined;
    case "revoke": {
      const device = bytesToHex(action.device);
      if (device === actor.device) return "not-allowed";
      if (revoked.has(deviceKey(actor.account, device))) return "no-effect";
      const own = [...revoked].filter((key) => key.startsWith(deviceKey(actor.account, "")));
      return own.length >= REVOKED_DEVICES_MAX ? "too-many-revoked" : undefined;
    }
    case "leave":
    case "rotateTopic":
      return undefined;
  }
}

const needsAdmin = ({ adders }: GroupState, { kind }: GroupOp["action"]): boolean =>
  kind === "add" ? adders === "admins" : kind !== "leave" && kind !== "revoke";

const newMember = (account: AccountId, addedBy: string, since: number): Member => ({
  account,
  role: "member",
  addedBy,
  since,
  promotedBy: undefined,
});

/** Longest in the group; among equals the lower id. */
const isSenior = (one: Member, other: Member): boolean =>
  one.since < other.since || (one.since === other.since && one.addedBy < other.addedBy);

/**
 * Cuts the log where one operation has all others before or behind it. Such an operation is a segment of its own;
 * between two of them stand those that have something concurrent.
 */
function segmentsOf(ops: readonly LoggedOp[]): readonly (readonly LoggedOp[])[] {
  const positions = new Map(ops.map(({ id }, index) => [id, index]));
  const firstParent = ops.map(({ parents }) =>
    parents.reduce(
      (least, parent) => Math.min(least, positions.get(parent) ?? EARLIER),
      ops.length,
    ),
  );
  // From the end: the lowest position that any later operation names as a parent.
  const reached: number[] = [];
  let lowest = ops.length;
  for (let index = ops.length - 1; index >= 0; index--) {
    reached[index] = lowest;
    lowest = Math.min(lowest, firstParent[index] ?? 0);
  }
  const heads = new Set<string>();
  const segments: (readonly LoggedOp[])[] = [];
  let open: LoggedOp[] = [];
  ops.forEach((logged, index) => {
    for (const parent of logged.parents) heads.delete(parent);
    heads.add(logged.id);
    if (heads.size > 1 || (reached[index] ?? 0) < index) {
      open.push(logged);
      return;
    }
    if (open.length > 0) segments.push(open);
    segments.push([logged]);
    open = [];
  });
  if (open.length > 0) segments.push(open);
  return segments;
}

function foldSegment(draft: Draft, ops: readonly LoggedOp[]): void {
  const graph = graphOf(ops);
  const effective = effectiveOf(ops, graph);
  const changes = new Map<string, Changes>();
  const policies: number[] = [];
  ops.forEach((logged, index) => {
    if (!effective(index)) return;
    const { action } = logged.op;
    if (action.kind === "create") {
      const founder = newMember(logged.actor, logged.id, logged.op.lamport);
      draft.members.set(logged.account, { ...founder, role: "admin", promotedBy: logged.id });
    }
    if (action.kind === "policy") policies.push(index);
    if (action.kind === "revoke") {
      draft.revoked.add(deviceKey(logged.account, bytesToHex(action.device)));
    }
    const target = targetOf(logged);
    if (target === undefined) return;
    const change = changes.get(target) ?? { adds: [], removes: [], promotes: [], demotes: [] };
    changes.set(target, change);
    change[listOf(action)].push(index);
  });
  for (const [account, change] of changes) {
    const member = memberAfter(draft.members.get(account), change, ops, graph);
    if (member === undefined) draft.members.delete(account);
    else draft.members.set(account, member);
  }
  // The last policies; where several stand beside each other, the stricter.
  const outdated = noBits(graph);
  for (const index of policies.length > 1 ? policies : []) {
    addBits(outdated, 0, graph.before, index * graph.words, graph.words);
  }
  const last = policies.filter((index) => !hasBit(outdated, index));
  if (last.length > 0) {
    const open = last.every((index) => {
      const action = ops[index]?.op.action;
      return action?.kind === "policy" && action.adders === "members";
    });
    draft.adders = open ? "members" : "admins";
  }
  dropBeyondLimit(draft.members);
}

interface Changes {
  readonly adds: number[];
  readonly removes: number[];
  readonly promotes: number[];
  readonly demotes: number[];
}

function listOf(action: GroupOp["action"]): keyof Changes {
  if (action.kind === "add") return "adds";
  if (action.kind !== "role") return "removes";
  return action.role === "admin" ? "promotes" : "demotes";
}

/**
 * Remove beats add, both beat promote, where they are concurrent: what is to hold must come after all that ends it. A
 * promotion holds for a membership it knew of, or what came to nothing would make an admin of who is added again.
 */
function memberAfter(
  before: Member | undefined,
  { adds, removes, promotes, demotes }: Changes,
  ops: readonly LoggedOp[],
  graph: Graph,
): Member | undefined {
  const kept = removes.length === 0 ? before : undefined;
  const lasting = adds.filter(knowsAll(removes, graph));
  const added = firstOf(lasting, ops);
  const action = added?.op.action;
  const member =
    kept ??
    (added !== undefined && action?.kind === "add"
      ? newMember(action.account, added.id, added.op.lamport)
      : undefined);
  if (member === undefined) return undefined;
  const ends = [...removes, ...demotes];
  const isKnownTo = (promote: number): boolean =>
    kept !== undefined || lasting.some((add) => hasBit(graph.before, add, promote * graph.words));
  const promoted = firstOf(promotes.filter(knowsAll(ends, graph)).filter(isKnownTo), ops);
  const promotedBy = (ends.length === 0 ? kept?.promotedBy : undefined) ?? promoted?.id;
  return { ...member, role: promotedBy === undefined ? "member" : "admin", promotedBy };
}

/** The one with the lowest lamport, then the lowest id. */
function firstOf(indices: readonly number[], ops: readonly LoggedOp[]): LoggedOp | undefined {
  let first: LoggedOp | undefined;
  for (const index of indices) {
    const one = ops[index];
    if (one === undefined) continue;
    if (
      first === undefined ||
      one.op.lamport < first.op.lamport ||
      (one.op.lamport === first.op.lamport && one.id < first.id)
    ) {
      first = one;
    }
  }
  return first;
}

/** Concurrent adds can pass the limit, each being within it: those stay who came first. */
function dropBeyondLimit(members: Map<string, Member>): void {
  if (members.size <= MEMBERS_MAX) return;
  const sorted = [...members].toSorted(([, a], [, b]) => (isSenior(a, b) ? -1 : 1));
  for (const [account] of sorted.slice(MEMBERS_MAX)) members.delete(account);
}

/** Of an id that this package wrote as hex. Throws a RangeError for anything else. */
export function bytesFrom(hex: string): Uint8Array {
  const bytes = hexToBytes(hex);
  if (bytes === undefined) throw new RangeError("an id that is not hex");
  return bytes;
}
