/**
 * The membership log of a group: signed operations that name the ones before them, so that everybody who has the same
 * operations has the same members, whoever brought them and in whatever order. State in, new state out.
 * Owns: making, checking and holding back operations. Leaves to membership-fold.ts: what they add up to; to
 * membership-strays.ts: how many of whom; to membership-heads.ts: which heads are named; to membership-pages.ts: handing
 * them out; to wire/group.ts: layouts; to the caller: storing and passing them on.
 * Spec: SPEC.md §11.1 to §11.6.
 */
import {
  ACCOUNT_ID_BYTES,
  type AccountId,
  asGroupId,
  asOpId,
  bytesToHex,
  decodeGroupOp,
  type DeviceCert,
  deviceCertBody,
  encodeDeviceCert,
  equalBytes,
  GROUP_ID_BYTES,
  GROUP_SALT_BYTES,
  type GroupAction,
  type GroupId,
  type GroupOp,
  groupOpBody,
  type GroupPage,
  HEAD_PREFIX_BYTES,
  type OpId,
  PARENTS_MAX,
} from "@sotto/wire";
import type { CryptoEnv } from "./backend.ts";
import { accountIdOf, type OwnDevice } from "./identity.ts";
import { LABELS } from "./labels.ts";
import { deviceKey, isCut, type LoggedOp } from "./membership-cuts.ts";
import {
  adminsOf,
  applyOp,
  bytesFrom,
  type Denial,
  foldOps,
  type GroupState,
  judge,
  type Member,
} from "./membership-fold.ts";
import { folded, type Growing, grown, growing, lookBack, namesAll } from "./membership-growing.ts";
import { headPlace, isHead, namedHeads, withoutHead } from "./membership-heads.ts";
import { ancestorsOf } from "./membership-pages.ts";
import {
  ADMINS_OPS_MAX,
  canBring,
  countStray,
  FOLDED_OPS_MAX,
  hasRoom,
  hasRoomToMake,
  LOG_OPS_MAX,
  withGuest,
} from "./membership-strays.ts";
import { ed25519Verify, isExchangeKey, isSigningKey, labelled, sha256 } from "./primitives.ts";

/** Operations that wait for their parents, in all and by one account. */
export const HELD_OPS_MAX = 512;
export const HELD_OPS_PER_ACCOUNT_MAX = 64;
/**
 * Of accounts that are no members as far as is known: anybody can make any number of those. Who brings them has at most
 * as many as are free then: half of all, and whoever comes next half of the rest.
 */
export const HELD_OPS_OF_STRANGERS_MAX = 128;

/** States kept of a log that has several heads. Each has up to 1,000 members. */
export const STATES_KEPT_MAX = 16;

export interface HeldOp {
  readonly op: GroupOp;
  /** Hex. */
  readonly account: string;
  readonly cert: DeviceCert;
  /** The account that brought it, hex; undefined where nobody said so. */
  readonly by?: string | undefined;
}

/** Plain values throughout: survives structured cloning. Keys of maps are lower-case hex. */
export interface GroupLog {
  readonly group: GroupId;
  /** By id, ancestors first. */
  readonly ops: ReadonlyMap<string, LoggedOp>;
  /** Ids that no operation names as a parent, ascending. */
  readonly heads: readonly string[];
  readonly state: GroupState;
  /**
   * The state of a head and its ancestors alone; with several heads, that of operations from which branches went out, too.
   * The newest STATES_KEPT_MAX: the others are folded when they are asked for.
   */
  readonly headStates: ReadonlyMap<string, GroupState>;
  /** Operations after which no chain from before may be used: they end rights or ask for new topics. */
  readonly turnovers: number;
  /** By signer hash: of every operation here or held. */
  readonly certs: ReadonlyMap<string, DeviceCert>;
  readonly held: ReadonlyMap<string, HeldOp>;
  /**
   * What is used of SIBLING_OPS_MAX and LATE_OPS_MAX by account, and of BROUGHT_OPS_MAX by teller. By arrival: it differs
   * from log to log. Of an account without siblings, not even 0, each operation that came in has all earlier ones before it.
   */
  readonly siblings: ReadonlyMap<string, number>;
  readonly late: ReadonlyMap<string, number>;
  readonly brought: ReadonlyMap<string, number>;
  /** Accounts that nothing but late operations added, and for whom what they do late counts. */
  readonly guests: ReadonlyMap<string, string>;
  /** Heads that a device's last message named and that are not here, by `deviceKey`: prefixes of ids. */
  readonly awaited: ReadonlyMap<string, readonly string[]>;
}

export type OpRefusal =
  | Denial
  /** Shape, lamport, or a second create. */
  | "malformed"
  | "wrong-group"
  /** No certificate with its signer's hash came with it, or the certificate does not verify. */
  | "unknown-signer"
  | "bad-signature"
  | "held-full"
  | "log-full"
  /** Beyond SIBLING_OPS_MAX or LATE_OPS_MAX. It is taken in once another member brings it. */
  | "too-many-strays"
  /** Beyond FOLDED_OPS_MAX. It is taken in when it comes again. */
  | "not-now";

/** On refusal the log passed in stays valid and unchanged. */
export type Received = ReceivedInto<GroupLog>;

type ReceivedInto<Log extends GroupLog> =
  | {
      readonly ok: true;
      readonly log: Log;
      /** `known`: it was there or held before. */
      readonly state: "accepted" | "held" | "known";
    }
  | { readonly ok: false; readonly reason: OpRefusal };

export type Made =
  | { readonly ok: true; readonly log: GroupLog; readonly op: GroupOp; readonly id: OpId }
  | { readonly ok: false; readonly reason: Denial | "log-full" };

/** A group with its first member and admin. */
export async function createGroup(
  own: OwnDevice,
  env: CryptoEnv,
): Promise<{ readonly log: GroupLog; readonly op: GroupOp }> {
  const op = await signOp(
    own,
    {
      group: asGroupId(new Uint8Array(GROUP_ID_BYTES)),
      parents: [],
      lamport: 0,
      signer: signerOf(own.cert),
      action: { kind: "create", salt: env.entropy(GROUP_SALT_BYTES) },
    },
    env,
  );
  const log = openLog(op, own.cert);
  if (!log.ok) throw new RangeError(`own create refused: ${log.reason}`);
  return { log: log.log, op };
}

/** The log of a group that somebody invites to, from its first operation. */
export function openLog(
  create: GroupOp,
  cert: DeviceCert,
):
  | { readonly ok: true; readonly log: GroupLog }
  | { readonly ok: false; readonly reason: OpRefusal } {
  if (create.action.kind !== "create") return { ok: false, reason: "malformed" };
  if (!equalBytes(signerOf(cert), create.signer) || !isGenuineCert(cert)) {
    return { ok: false, reason: "unknown-signer" };
  }
  if (!isSignedBy(create, cert)) return { ok: false, reason: "bad-signature" };
  const id = opIdOf(create);
  const name = bytesToHex(id);
  const logged = loggedOf(create, name, cert, { membership: name, authority: name });
  const state = foldOps([logged]);
  return {
    ok: true,
    log: {
      group: asGroupId(id),
      ops: new Map([[name, logged]]),
      heads: [name],
      state,
      headStates: new Map([[name, state]]),
      turnovers: 0,
      certs: new Map([[bytesToHex(create.signer), cert]]),
      held: new Map(),
      siblings: new Map(),
      late: new Map(),
      brought: new Map(),
      guests: new Map(),
      awaited: new Map(),
    },
  };
}

/** Signs an operation on top of all this device knows, and takes it into the log. */
export async function makeOp(
  log: GroupLog,
  own: OwnDevice,
  action: Exclude<GroupAction, { kind: "create" }>,
  env: CryptoEnv,
): Promise<Made> {
  const actor = actorOf(own.cert);
  const named = namedHeads(log, actor);
  const parents = named.map(opIdFrom);
  // What was not named is not behind it: judged by what everybody else will judge it by.
  const current = growing(log, actor.account);
  const behind = namesAll(log, named) ? log.state : lookBack(current, named).fold();
  const judged = judge(behind, action, actor);
  if (!judged.ok) return judged;
  const isAdmin = adminsOf(behind).some(({ account }) => bytesToHex(account) === actor.account);
  if (!hasRoomToMake(current, action, actor, isAdmin)) return { ok: false, reason: "log-full" };
  const op = await signOp(
    own,
    {
      group: log.group,
      parents,
      lamport: 1 + highestLamport(log, parents),
      signer: signerOf(own.cert),
      action,
    },
    env,
  );
  const id = opIdOf(op);
  const logged = loggedOf(op, bytesToHex(id), own.cert, judged);
  const after = append(withGuest(current, logged, false), logged, own.cert, behind);
  return { ok: true, log: whole(releaseHeld(after)), op, id };
}

/**
 * Takes in an operation from anybody. One whose parents have not all come is held and taken in after the last of
 * them. `certs`: what came with it. `by`: the account that brought it, and `own`: the one whose log this is, in hex.
 */
export function receiveOp(
  log: GroupLog,
  op: GroupOp,
  certs: readonly DeviceCert[],
  by?: string,
  own?: string,
): Received {
  const { log: after, results } = receiveAll(growing(log, own), [op], certs, by);
  const [received] = results;
  if (received === undefined || !received.ok) return received ?? { ok: false, reason: "malformed" };
  const isSame = received.state === "known" && after.held === log.held;
  return { ...received, log: isSame ? log : after };
}

/** In turn; and what was refused for want of room once more, where an admin's cut waits for it (§11.5). */
function receiveAll(
  before: Growing,
  ops: readonly (GroupOp | undefined)[],
  certs: readonly DeviceCert[],
  by: string | undefined,
): { readonly log: GroupLog; readonly results: readonly ReceivedInto<Growing>[] } {
  // What was too much for the last page.
  let current = releaseHeld(before);
  const results: ReceivedInto<Growing>[] = [];
  const names = ops.map((op) => (op === undefined ? "" : bytesToHex(opIdOf(op))));
  const receiveOne = (name: string, index: number, need?: Need): void => {
    const op = ops[index];
    const received: ReceivedInto<Growing> =
      op === undefined
        ? { ok: false, reason: "malformed" }
        : receive(current, name, op, certs, { by, need });
    results[index] = received;
    if (received.ok) current = received.log;
  };
  names.forEach((name, index) => receiveOne(name, index));
  const { refused } = current.work;
  const needed = refused.size > 0 ? neededOf(current) : new Map<string, Need>();
  names.forEach((name, index) => {
    const need = needed.get(name);
    if (need !== undefined && refused.has(name)) receiveOne(name, index, need);
  });
  return { log: whole(current), results };
}

const isForRoom = (reason: OpRefusal): boolean =>
  ["too-many-strays", "log-full", "held-full"].includes(reason);

/**
 * Cuts of acting admins that are held or were refused for want of room, and what they stand on, as far as it is known:
 * whatever counts say, nobody may keep the group from ending somebody's rights by what it was made to take in before.
 */
function neededOf(before: Growing): ReadonlyMap<string, Need> {
  const waiting = new Map([...before.work.refused, ...before.held]);
  const cuts = [...waiting].filter(([, { op }]) => isCut(op.action));
  if (cuts.length === 0) return new Map();
  const { state } = folded(before);
  const admins = new Set<Member | undefined>(adminsOf(state));
  const roots = cuts.filter(([, { account, cert }]) => {
    const device = deviceKey(account, bytesToHex(cert.deviceId));
    return admins.has(state.members.get(account)) && !state.revoked.has(device);
  });
  const needed = new Map<string, Need>(roots.map(([id]) => [id, false]));
  for (const [id] of needed) {
    // A map grows while it is walked: each is visited once.
    for (const parent of waiting.get(id)?.op.parents.map(bytesToHex) ?? []) {
      needed.set(parent, needed.get(parent) ?? true);
    }
  }
  return needed;
}

/** True for what an acting admin's cut stands on; false for the cut itself, which has to find a place (§11.5). */
type Need = boolean;

interface Way {
  readonly by: string | undefined;
  readonly need: Need | undefined;
}

function receive(
  log: Growing,
  name: string,
  op: GroupOp,
  certs: readonly DeviceCert[],
  { by, need }: Way,
): ReceivedInto<Growing> {
  const waiting = log.held.get(name);
  if (log.ops.has(name)) return { ok: true, log, state: "known" };
  if (waiting !== undefined) {
    return { ok: true, log: broughtAgain(log, name, waiting, by), state: "known" };
  }
  if (log.work.folded > FOLDED_OPS_MAX) return { ok: false, reason: "not-now" };
  if (op.action.kind === "create") return { ok: false, reason: "malformed" };
  if (!equalBytes(op.group, log.group)) return { ok: false, reason: "wrong-group" };
  const signer = bytesToHex(op.signer);
  const known = log.certs.get(signer);
  const cert = known ?? certs.find((one) => equalBytes(signerOf(one), op.signer));
  if (cert === undefined || (known === undefined && !isGenuineCert(cert))) {
    return { ok: false, reason: "unknown-signer" };
  }
  if (!isSignedBy(op, cert)) return { ok: false, reason: "bad-signature" };
  const fresh = { op, cert, account: actorOf(cert).account, by };
  const isWhole = op.parents.every((parent) => log.ops.has(bytesToHex(parent)));
  const received = (isWhole ? take : hold)(log, name, fresh, need);
  if (received.ok) return { ...received, log: releaseHeld(received.log) };
  if (isForRoom(received.reason)) log.work.refused.set(name, fresh);
  return received;
}

/** Whoever can answer for it once it is released: its own account brings it early to be the one that did. */
function broughtAgain(
  log: Growing,
  name: string,
  waiting: HeldOp,
  by: string | undefined,
): Growing {
  const { account } = waiting;
  if (canBring(log, waiting.by, account) || !canBring(log, by, account)) return log;
  return { ...log, held: new Map(log.held).set(name, { ...waiting, by }) };
}

/** Every operation of a page in turn, as `receiveOp`. `refused`: by position in the page. */
export function receivePage(
  log: GroupLog,
  page: GroupPage,
  by?: string,
  own?: string,
): { readonly log: GroupLog; readonly refused: ReadonlyMap<number, OpRefusal> } {
  const ops = page.ops.map((bytes) => {
    const decoded = decodeGroupOp(bytes);
    return decoded.ok ? decoded.value : undefined;
  });
  const { log: after, results } = receiveAll(growing(log, own), ops, page.certs, by);
  const refused = new Map<number, OpRefusal>();
  results.forEach((received, index) => {
    if (!received.ok) refused.set(index, received.reason);
  });
  return { log: after, refused };
}

/** Remembers that a message of `device` (by `deviceKey`) was sealed under heads, of which some are not here. */
export function awaitHeads(log: GroupLog, device: string, prefixes: readonly string[]): GroupLog {
  const missing = prefixes.filter((prefix) => !hasHead(log, prefix));
  const awaited = new Map(log.awaited);
  if (missing.length > 0) awaited.set(device, missing.slice(0, PARENTS_MAX));
  else awaited.delete(device);
  return { ...log, awaited };
}

/** `prefix`: hex of the first HEAD_PREFIX_BYTES of an id, or of all of it. */
export function hasHead(log: GroupLog, prefix: string): boolean {
  const isPrefix = prefix.length === HEAD_PREFIX_BYTES * 2;
  return (
    log.ops.has(prefix) || (isPrefix && [...log.ops.keys()].some((id) => id.startsWith(prefix)))
  );
}

/**
 * Members of whom a device has shown that there are operations this log lacks. While there is one, nothing is sealed for
 * the group: what is missing may be somebody's removal. Who has a revoked device may have kept it back for good.
 */
export function membersAhead({ awaited, held, state }: GroupLog): readonly AccountId[] {
  const signers = [...held.values()].map(({ account, cert }) =>
    deviceKey(account, bytesToHex(cert.deviceId)),
  );
  const ahead = new Set<AccountId>();
  for (const device of [...awaited.keys(), ...signers]) {
    const member = state.members.get(device.slice(0, 2 * ACCOUNT_ID_BYTES));
    if (member !== undefined && !state.revoked.has(device)) ahead.add(member.account);
  }
  return [...ahead];
}

export const isMember = (state: GroupState, account: AccountId): boolean =>
  state.members.has(bytesToHex(account));

/** A member's device that its account has not revoked. What other devices an account has is not the group's. */
export const isMemberDevice = (
  state: GroupState,
  account: AccountId,
  device: Uint8Array,
): boolean =>
  isMember(state, account) &&
  !state.revoked.has(deviceKey(bytesToHex(account), bytesToHex(device)));

export const opIdOf = (op: Omit<GroupOp, "signature">): OpId =>
  asOpId(sha256(labelled(LABELS.groupOpId, groupOpBody(op))));

/** 32 bytes: names a certificate in the operations its device signs. */
export const signerOf = (cert: DeviceCert): Uint8Array =>
  sha256(labelled(LABELS.groupSigner, encodeDeviceCert(cert)));

/** 32 bytes: equal for two logs exactly when they have the same operations. */
export const headsHash = (log: GroupLog): Uint8Array =>
  sha256(labelled(LABELS.groupHeads, ...log.heads.map(opIdFrom)));

function hold(before: Growing, name: string, waiting: HeldOp, need?: Need): ReceivedInto<Growing> {
  // As for late ones: only who seems to be none may be a member by what is not folded yet.
  const log = before.state.members.has(waiting.account) ? before : folded(before);
  const held = new Map(log.held);
  const crowd = crowdBefore(log, waiting, need !== undefined);
  if (crowd !== undefined) {
    const last = need === undefined ? undefined : newestOfMost(crowd);
    if (!last) return { ok: false, reason: "held-full" };
    held.delete(last[0]);
    log.work.gone.add(bytesToHex(last[1].op.signer));
  }
  const certs = new Map(log.certs).set(bytesToHex(waiting.op.signer), waiting.cert);
  held.set(name, waiting);
  return { ok: true, log: { ...log, certs, held }, state: "held" };
}

/** Those of whom one has to go before another one is held; undefined while there is room. */
function crowdBefore(
  { held, state: { members } }: GroupLog,
  waiting: HeldOp,
  isNeeded: boolean,
): readonly (readonly [string, HeldOp])[] | undefined {
  const all = [...held];
  const ofAccount = all.filter(([, { account }]) => account === waiting.account);
  if (ofAccount.length >= HELD_OPS_PER_ACCOUNT_MAX) return ofAccount;
  if (!members.has(waiting.account)) {
    const strange = all.filter(([, { account }]) => !members.has(account));
    // All who are no members are one: they can be any number.
    const tellerOf = ({ by = "" }: HeldOp): string => (members.has(by) ? by : "");
    const own = strange.filter(([, one]) => tellerOf(one) === tellerOf(waiting));
    // What an admin's cut needs asks for nobody's share.
    const used = isNeeded ? 0 : own.length;
    if (strange.length + used >= HELD_OPS_OF_STRANGERS_MAX) return strange;
  }
  return all.length >= HELD_OPS_MAX ? all : undefined;
}

/** Of those held, the newest of the device that has most: one that was stolen could else fill its account's places. */
function newestOfMost(
  held: readonly (readonly [string, HeldOp])[],
): readonly [string, HeldOp] | undefined {
  const groups = Map.groupBy(held, ([, { account, cert }]) =>
    deviceKey(account, bytesToHex(cert.deviceId)),
  );
  const [most] = [...groups.values()].toSorted((a, b) => b.length - a.length);
  return most?.at(-1);
}

/** All parents are there and the signature is good: judged by what was behind it, and by nothing else. */
function take(
  log: Growing,
  name: string,
  { op, cert, by }: HeldOp,
  need?: Need,
): ReceivedInto<Growing> {
  if (op.lamport !== 1 + highestLamport(log, op.parents)) return { ok: false, reason: "malformed" };
  if (log.ops.size >= LOG_OPS_MAX) return { ok: false, reason: "log-full" };
  const parents = op.parents.map(bytesToHex);
  const { isRedundant, fold } = lookBack(log, parents);
  if (isRedundant) return { ok: false, reason: "malformed" };
  const actor = actorOf(cert);
  const isNeeded = need !== undefined;
  const counted = countStray(log, { ...actor, parents }, by, isNeeded);
  if (counted === undefined) return { ok: false, reason: "too-many-strays" };
  const { isStray } = counted;
  const place = { ...actor, action: op.action, isStray, by, isNeeded: need === false };
  // The last ones are for the cuts themselves: what they stand on can be any number, too.
  const isLast = log.ops.size >= LOG_OPS_MAX - ADMINS_OPS_MAX;
  if ((need !== true || isLast) && !hasRoom(counted.log, place)) {
    return { ok: false, reason: "log-full" };
  }
  const behind = namesAll(counted.log, parents) ? folded(counted.log).state : fold();
  const judged = judge(behind, op.action, actor);
  if (!judged.ok) return judged;
  const logged = loggedOf(op, name, cert, judged);
  const after = append(withGuest(counted.log, logged, counted.isLate), logged, cert, behind);
  return { ok: true, log: after, state: "accepted" };
}

/** `behind`: what it was judged by. */
function append(log: Growing, logged: LoggedOp, cert: DeviceCert, behind: GroupState): Growing {
  const { op, id, parents } = logged;
  log.ops.set(id, logged);
  log.order.push(logged);
  const left = parents.reduce(withoutHead, log.heads);
  const heads = left.toSpliced(headPlace(left, id), 0, id);
  const own = applyOp(behind, logged);
  const awaited = new Map(
    [...log.awaited].flatMap(([account, prefixes]) => {
      const missing = prefixes.filter((prefix) => !id.startsWith(prefix));
      return missing.length > 0 ? [[account, missing] as const] : [];
    }),
  );
  const signer = bytesToHex(op.signer);
  return {
    ...log,
    heads,
    // With everything behind it there is nothing to fold.
    state: left.length === 0 ? own : log.state,
    isUnfolded: left.length > 0,
    headStates: new Map([
      ...(left.length > 0 ? statesBeside(log, parents, behind) : []),
      [id, own],
    ]),
    turnovers: log.turnovers + (isCut(op.action) || op.action.kind === "rotateTopic" ? 1 : 0),
    certs: log.certs.has(signer) ? log.certs : new Map(log.certs).set(signer, cert),
    awaited,
  };
}

/** Of the other heads, and of where branches went out, as the next operation may name the same. */
function statesBeside(
  { heads, headStates }: GroupLog,
  parents: readonly string[],
  behind: GroupState,
): readonly (readonly [string, GroupState])[] {
  const [only = ""] = parents;
  const states = [...headStates].filter(
    ([id]) => id !== only && !(parents.includes(id) && isHead(heads, id)),
  );
  const isBranching = parents.length === 1 && !isHead(heads, only);
  return [...states, ...(isBranching ? [[only, behind] as const] : [])].slice(1 - STATES_KEPT_MAX);
}

/** Takes in what waited for the operation just taken in, and what waited for that. What is refused is dropped. */
function releaseHeld(log: Growing): Growing {
  let current = log;
  for (let isReady = true; isReady;) {
    isReady = false;
    for (const [name, waiting] of current.held) {
      if (current.work.folded > FOLDED_OPS_MAX) break;
      if (waiting.op.parents.some((parent) => !current.ops.has(bytesToHex(parent)))) continue;
      let taken = take(current, name, waiting);
      const need = taken.ok || !isForRoom(taken.reason) ? undefined : neededOf(current).get(name);
      if (need !== undefined) taken = take(current, name, waiting, need);
      const held = new Map(current.held);
      held.delete(name);
      current = { ...(taken.ok ? taken.log : current), held };
      if (!taken.ok) log.work.gone.add(bytesToHex(waiting.op.signer));
      isReady = true;
    }
  }
  return current;
}

/** What goes out again: with the certificates that something here or held needs, looked for once. */
function whole(log: Growing): GroupLog {
  const { gone } = log.work;
  return grown(gone.size > 0 ? withoutCerts(log, gone) : log);
}

/**
 * What is behind `ids` of operations here, and nothing else: of an account that was told much while it was not in the group,
 * and by strangers. What is held stays.
 */
export function logBehind(log: GroupLog, ids: readonly string[]): GroupLog {
  const kept = ancestorsOf(log, ids);
  const ops = new Map([...log.ops].filter(([id]) => kept.has(id)));
  const all = [...ops.values()];
  const named = new Set(all.flatMap(({ parents }) => parents));
  const heads = [...kept].filter((id) => !named.has(id)).toSorted();
  const less = { ...log, ops, heads, state: foldOps(all), headStates: new Map() };
  return withoutCerts(less, new Set(log.certs.keys()));
}

/** Of signers of nothing that is here or held any more. */
function withoutCerts<Log extends GroupLog>(log: Log, signers: ReadonlySet<string>): Log {
  const left = new Set(signers);
  for (const { op } of [...log.held.values(), ...log.ops.values()]) {
    left.delete(bytesToHex(op.signer));
  }
  return { ...log, certs: new Map([...log.certs].filter(([signer]) => !left.has(signer))) };
}

const highestLamport = (log: GroupLog, parents: readonly OpId[]): number =>
  parents.reduce(
    (highest, parent) => Math.max(highest, log.ops.get(bytesToHex(parent))?.op.lamport ?? 0),
    0,
  );

function loggedOf(
  op: GroupOp,
  id: string,
  cert: DeviceCert,
  { membership, authority }: Pick<LoggedOp, "membership" | "authority">,
): LoggedOp {
  const parents = op.parents.map(bytesToHex);
  return { id, op, parents, ...actorOf(cert), membership, authority };
}

function actorOf(cert: DeviceCert): Pick<LoggedOp, "actor" | "account" | "device"> {
  const actor = accountIdOf(cert.rootKey);
  return { actor, account: bytesToHex(actor), device: bytesToHex(cert.deviceId) };
}

/** Made by one verifier only, so that no two members can differ about an operation (§11.2). */
const isGenuineCert = (cert: DeviceCert): boolean =>
  isSigningKey(cert.signingKey) &&
  isExchangeKey(cert.dhKey) &&
  ed25519Verify(cert.rootKey, labelled(LABELS.deviceCert, deviceCertBody(cert)), cert.signature);

const isSignedBy = (op: GroupOp, cert: DeviceCert): boolean =>
  ed25519Verify(cert.signingKey, labelled(LABELS.groupOp, groupOpBody(op)), op.signature);

async function signOp(
  own: OwnDevice,
  op: Omit<GroupOp, "signature">,
  env: CryptoEnv,
): Promise<GroupOp> {
  const message = labelled(LABELS.groupOp, groupOpBody(op));
  return { ...op, signature: await env.crypto.sign(own.signingSecret, message) };
}

const opIdFrom = (hex: string): OpId => asOpId(bytesFrom(hex));
