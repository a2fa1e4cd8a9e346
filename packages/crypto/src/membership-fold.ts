/**
 * From a set of operations to who is in the group: the same answer for every order in which they arrived.
 * Owns: which operations have effect, and the state they add up to. Leaves to membership.ts: signatures, parents that
 * have not come, and refusing operations that their actor was not allowed to make.
 * Spec: SPEC.md §11.3 to §11.5.
 */
import {
  type AccountId,
  bytesToHex,
  DEVICES_EVER_MAX,
  type GroupAdders,
  type GroupOp,
  type GroupRole,
} from "@sotto/wire";

/** Accounts in one group. */
export const MEMBERS_MAX = 1_000;
/** Devices that one account revokes in a group: as many as it can ever have had. */
export const REVOKED_DEVICES_MAX = DEVICES_EVER_MAX;

/** An operation whose signature and right were checked. Ids, accounts and devices are lower-case hex. */
export interface LoggedOp {
  readonly id: string;
  readonly op: GroupOp;
  readonly parents: readonly string[];
  readonly actor: AccountId;
  /** `actor` in hex. */
  readonly account: string;
  readonly device: string;
  /** The operation that had made its actor a member. */
  readonly membership: string;
  /** The one that had made its actor an admin, or HEIRSHIP; undefined where a member's right was enough. */
  readonly authority: string | undefined;
}

/** In place of a promotion, which an heir has not: what makes it one is judged anew for each of its operations. */
export const HEIRSHIP = "heir";

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

/** One name for a device, as devices of different accounts may have the same id. */
export const deviceKey = (account: string, device: string): string => `${account}/${device}`;

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
  applyTo(draft, logged);
  return draft;
}

/** `ops`: every ancestor is there and comes before its descendants. */
export function foldOps(ops: readonly LoggedOp[]): GroupState {
  const draft = draftOf(EMPTY_GROUP);
  for (const segment of segmentsOf(ops)) {
    const [only] = segment;
    if (only !== undefined && segment.length === 1) applyTo(draft, only);
    else foldSegment(draft, segment);
  }
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

function needsAdmin({ adders }: GroupState, action: GroupOp["action"]): boolean {
  switch (action.kind) {
    case "leave":
    case "revoke":
      return false;
    case "add":
      return adders === "admins";
    case "create":
    case "remove":
    case "role":
    case "policy":
    case "rotateTopic":
      return true;
  }
}

function applyTo(draft: Draft, { op, id, actor, account }: LoggedOp): void {
  const { action, lamport } = op;
  switch (action.kind) {
    case "create":
      draft.members.set(account, {
        ...newMember(actor, id, lamport),
        role: "admin",
        promotedBy: id,
      });
      break;
    case "add":
      draft.members.set(bytesToHex(action.account), newMember(action.account, id, lamport));
      break;
    case "remove":
      draft.members.delete(bytesToHex(action.account));
      break;
    case "leave":
      draft.members.delete(account);
      break;
    case "role": {
      const target = bytesToHex(action.account);
      const member = draft.members.get(target);
      if (member !== undefined) {
        const promotedBy = action.role === "admin" ? id : undefined;
        draft.members.set(target, { ...member, role: action.role, promotedBy });
      }
      break;
    }
    case "policy":
      draft.adders = action.adders;
      break;
    case "revoke":
      draft.revoked.add(deviceKey(account, bytesToHex(action.device)));
      break;
    case "rotateTopic":
      break;
  }
}

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
    parents.reduce((least, parent) => Math.min(least, positions.get(parent) ?? 0), ops.length),
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

/** In place of a position in a segment: whatever came before all of it. */
const EARLIER = -1;

/** Whether a comes before b in one segment. Nothing of it comes before EARLIER. */
type IsBefore = (a: number, b: number) => boolean;

function foldSegment(draft: Draft, ops: readonly LoggedOp[]): void {
  const isBefore = orderOf(ops);
  const effective = effectiveOf(ops, isBefore);
  const changes = new Map<string, Changes>();
  const policies: number[] = [];
  ops.forEach((logged, index) => {
    if (effective[index] !== true) return;
    const { action } = logged.op;
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
    const member = memberAfter(draft.members.get(account), change, ops, isBefore);
    if (member === undefined) draft.members.delete(account);
    else draft.members.set(account, member);
  }
  // The last policies; where several stand beside each other, the stricter.
  const last = policies.filter((one) => !policies.some((other) => isBefore(one, other)));
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

/** Whose membership or role it changes. */
function targetOf({ op, account }: LoggedOp): string | undefined {
  switch (op.action.kind) {
    case "add":
    case "remove":
    case "role":
      return bytesToHex(op.action.account);
    case "leave":
      return account;
    case "create":
    case "policy":
    case "revoke":
    case "rotateTopic":
      return undefined;
  }
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
  isBefore: IsBefore,
): Member | undefined {
  const outlasts = (one: number, ends: readonly number[]): boolean =>
    ends.every((end) => isBefore(end, one));
  const kept = removes.length === 0 ? before : undefined;
  const lasting = adds.filter((add) => outlasts(add, removes));
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
    kept !== undefined || lasting.some((add) => isBefore(add, promote));
  const promoted = firstOf(
    promotes.filter((promote) => outlasts(promote, ends) && isKnownTo(promote)),
    ops,
  );
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

/** Ancestors of each operation as one bit per operation of the segment. */
function orderOf(ops: readonly LoggedOp[]): IsBefore {
  const positions = new Map(ops.map(({ id }, index) => [id, index]));
  const words = Math.ceil(ops.length / 32);
  const bits = new Uint32Array(words * ops.length);
  ops.forEach(({ parents }, index) => {
    for (const parent of parents) {
      const position = positions.get(parent);
      if (position === undefined) continue;
      for (let word = 0; word < words; word++) {
        const at = index * words + word;
        bits[at] = (bits[at] ?? 0) | (bits[position * words + word] ?? 0);
      }
      const at = index * words + (position >> 5);
      bits[at] = (bits[at] ?? 0) | (1 << (position & 31));
    }
  });
  return (a, b) => b !== EARLIER && (((bits[b * words + (a >> 5)] ?? 0) >>> (a & 31)) & 1) === 1;
}

/**
 * Which operations of a segment have effect. An operation that ends somebody's rights (a cut) voids what that account
 * did without knowing of it, and everything whose right came from there. Cuts void cuts too: where that goes around in
 * a circle, all of the circle have effect.
 */
function effectiveOf(ops: readonly LoggedOp[], isBefore: IsBefore): readonly boolean[] {
  const effective = ops.map(() => true);
  const voidedBy = new Map<number, readonly number[]>();
  ops.forEach((logged, index) => {
    if (isCut(logged.op.action)) voidedBy.set(index, voidedOf(index, ops, isBefore));
  });
  const undecided = new Set(voidedBy.keys());
  while (undecided.size > 0) {
    const decided = sourcesOf(undecided, voidedBy);
    for (const cut of decided) undecided.delete(cut);
    for (const cut of decided) {
      for (const target of voidedBy.get(cut) ?? []) {
        // Of its own circle: stands beside it.
        if (decided.has(target)) continue;
        effective[target] = false;
        undecided.delete(target);
      }
    }
  }
  return effective;
}

/** Operations that end rights. */
export function isCut(action: GroupOp["action"]): boolean {
  switch (action.kind) {
    case "remove":
    case "leave":
    case "revoke":
      return true;
    case "role":
      return action.role === "member";
    case "create":
    case "add":
    case "policy":
    case "rotateTopic":
      return false;
  }
}

/** What the cut at `cut` voids when it has effect itself, ascending. */
function voidedOf(cut: number, ops: readonly LoggedOp[], isBefore: IsBefore): readonly number[] {
  const ends = ops[cut];
  if (ends === undefined) return [];
  const positions = new Map<string | undefined, number>(ops.map(({ id }, index) => [id, index]));
  const positionOf = (grant: string | undefined): number => positions.get(grant) ?? EARLIER;
  const voided = new Set<number>();
  ops.forEach((logged, index) => {
    if (index === cut || isBefore(index, cut)) return;
    const membership = positionOf(logged.membership);
    // An heir that knew of the cut was one in spite of it.
    const authority = logged.authority === HEIRSHIP ? index : positionOf(logged.authority);
    if (
      voided.has(membership) ||
      voided.has(authority) ||
      endsRightOf(ends, logged, (grant) => isBefore(cut, grant), { membership, authority })
    ) {
      voided.add(index);
    }
  });
  return [...voided];
}

/** Whether the cut takes the right that its actor used, and nothing after the cut gave it back. */
function endsRightOf(
  cut: LoggedOp,
  logged: LoggedOp,
  isGrantedAfter: (grant: number) => boolean,
  { membership, authority }: { readonly membership: number; readonly authority: number },
): boolean {
  const { action } = cut.op;
  if (action.kind === "revoke") {
    return cut.account === logged.account && bytesToHex(action.device) === logged.device;
  }
  if (targetOf(cut) !== logged.account) return false;
  if (action.kind === "role") return logged.authority !== undefined && !isGrantedAfter(authority);
  return !isGrantedAfter(membership);
}

/**
 * The nodes of all strongly connected components of undecided ones that no undecided node outside points into.
 * `edges`: to other nodes too, which do not count.
 */
function sourcesOf(
  undecided: ReadonlySet<number>,
  edges: ReadonlyMap<number, readonly number[]>,
): ReadonlySet<number> {
  const nextOf = (node: number): readonly number[] =>
    (edges.get(node) ?? []).filter((target) => undecided.has(target));
  const component = new Map<number, number>();
  const reversed = new Map<number, number[]>();
  const finished: number[] = [];
  const visited = new Set<number>();
  for (const root of undecided) {
    // Depth first without recursion: a hostile log may be as deep as it is long.
    const stack: { readonly node: number; readonly targets: readonly number[]; at: number }[] = [];
    const enter = (node: number): void => {
      visited.add(node);
      const targets = nextOf(node);
      for (const target of targets) {
        const sources = reversed.get(target) ?? [];
        reversed.set(target, sources);
        sources.push(node);
      }
      stack.push({ node, targets, at: 0 });
    };
    if (!visited.has(root)) enter(root);
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const target = top.targets[top.at++];
      if (target === undefined) {
        finished.push(top.node);
        stack.pop();
      } else if (!visited.has(target)) {
        enter(target);
      }
    }
  }
  const sources = new Set<number>();
  for (const root of finished.toReversed()) {
    if (component.has(root)) continue;
    const members = [root];
    component.set(root, root);
    let isSource = true;
    for (let node = members[0], at = 0; node !== undefined; node = members[++at]) {
      for (const source of reversed.get(node) ?? []) {
        const known = component.get(source);
        if (known === undefined) {
          component.set(source, root);
          members.push(source);
        } else if (known !== root) {
          isSource = false;
        }
      }
    }
    if (isSource) for (const member of members) sources.add(member);
  }
  return sources;
}
