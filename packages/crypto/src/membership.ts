/**
 * The membership log of a group: signed operations that name the ones before them, so that everybody who has the same
 * operations has the same members, whoever brought them and in whatever order. State in, new state out.
 * Owns: making, checking and holding back operations. Leaves to membership-fold.ts: what they add up to; to
 * wire/group.ts: layouts; to the caller: storing and passing them on.
 * Spec: SPEC.md §11.1 to §11.6.
 */
import {
  type AccountId,
  asDeviceId,
  asGroupId,
  asOpId,
  bytesToHex,
  createWriter,
  decodeGroupOp,
  type DeviceCert,
  deviceCertBody,
  encodeDeviceCert,
  encodeGroupOp,
  equalBytes,
  GROUP_ID_BYTES,
  GROUP_PAGE_BYTES_MAX,
  GROUP_SALT_BYTES,
  type GroupAction,
  type GroupId,
  type GroupOp,
  groupOpBody,
  type GroupPage,
  HEAD_PREFIX_BYTES,
  hexToBytes,
  type OpId,
  PAGE_OPS_MAX,
  PARENTS_MAX,
} from "@sotto/wire";
import type { CryptoEnv } from "./backend.ts";
import { accountIdOf, type OwnDevice } from "./identity.ts";
import { LABELS } from "./labels.ts";
import {
  applyOp,
  type Denial,
  deviceKey,
  foldOps,
  type GroupState,
  isCut,
  judge,
  type LoggedOp,
} from "./membership-fold.ts";
import { ed25519Verify, isExchangeKey, isSigningKey, labelled, sha256 } from "./primitives.ts";

/** Operations of one group. A group that has used them up is founded anew. */
export const LOG_OPS_MAX = 10_000;
/** Operations that wait for their parents, in all and by one account. */
export const HELD_OPS_MAX = 512;
export const HELD_OPS_PER_ACCOUNT_MAX = 64;
/** Of accounts that are no members as far as is known: anybody can make any number of those. */
export const HELD_OPS_OF_STRANGERS_MAX = 128;

/**
 * Operations of one account that do not know of all its earlier ones, as its devices make them beside each other. An
 * account could make any number of such, and each would have to be folded.
 */
export const SIBLING_OPS_MAX = 64;
/**
 * Operations taken in, in all, whose signer acted no more when they came: those that a removed member made before it
 * heard of that, and whatever it makes up afterwards.
 */
export const LATE_OPS_MAX = 128;

/** Version and two counts. */
const PAGE_FRAME_BYTES = 3;

interface HeldOp {
  readonly op: GroupOp;
  /** Hex. */
  readonly account: string;
  readonly cert: DeviceCert;
}

/** Plain values throughout: survives structured cloning. Keys of maps are lower-case hex. */
export interface GroupLog {
  readonly group: GroupId;
  /** By id, ancestors first. */
  readonly ops: ReadonlyMap<string, LoggedOp>;
  /** Ids that no operation names as a parent, ascending. */
  readonly heads: readonly string[];
  readonly state: GroupState;
  /** The state of each head and its ancestors alone. */
  readonly headStates: ReadonlyMap<string, GroupState>;
  /** Operations after which no chain from before may be used: they end rights or ask for new topics. */
  readonly turnovers: number;
  /** By signer hash: of every operation here or held. */
  readonly certs: ReadonlyMap<string, DeviceCert>;
  readonly held: ReadonlyMap<string, HeldOp>;
  /** What of SIBLING_OPS_MAX, by account, and of LATE_OPS_MAX is used. By arrival: it differs from log to log. */
  readonly siblings: ReadonlyMap<string, number>;
  readonly late: number;
  /** Heads that an account's last message named and that are not here, by account: prefixes of ids. */
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
  /** Beyond SIBLING_OPS_MAX or LATE_OPS_MAX. It is taken in once a member builds on it. */
  | "too-many-strays";

/** On refusal the log passed in stays valid and unchanged. */
export type Received =
  | {
      readonly ok: true;
      readonly log: GroupLog;
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
      late: 0,
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
  const parents = log.heads.slice(0, PARENTS_MAX).map(opIdFrom);
  // What was not named is not behind it: judged by what everybody else will judge it by.
  const judged = judge(stateBehind(log, parents.map(bytesToHex)), action, actor);
  if (!judged.ok) return judged;
  if (log.ops.size >= LOG_OPS_MAX) return { ok: false, reason: "log-full" };
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
  return { ok: true, log: releaseHeld(append(log, logged, own.cert)), op, id };
}

/**
 * Takes in an operation from anybody. One whose parents have not all come is held and taken in after the last of
 * them. `certs`: what came with it.
 */
export function receiveOp(log: GroupLog, op: GroupOp, certs: readonly DeviceCert[]): Received {
  const id = opIdOf(op);
  const name = bytesToHex(id);
  if (log.ops.has(name) || log.held.has(name)) return { ok: true, log, state: "known" };
  if (op.action.kind === "create") return { ok: false, reason: "malformed" };
  if (!equalBytes(op.group, log.group)) return { ok: false, reason: "wrong-group" };
  const signer = bytesToHex(op.signer);
  const known = log.certs.get(signer);
  const cert = known ?? certs.find((one) => equalBytes(signerOf(one), op.signer));
  if (cert === undefined || (known === undefined && !isGenuineCert(cert))) {
    return { ok: false, reason: "unknown-signer" };
  }
  if (!isSignedBy(op, cert)) return { ok: false, reason: "bad-signature" };
  if (op.parents.some((parent) => !log.ops.has(bytesToHex(parent)))) {
    return hold(log, name, { op, cert, account: actorOf(cert).account });
  }
  const taken = take(log, name, op, cert);
  return taken.ok ? { ok: true, log: releaseHeld(taken.log), state: "accepted" } : taken;
}

/** Every operation of a page in turn. `refused`: by position in the page. */
export function receivePage(
  log: GroupLog,
  page: GroupPage,
): { readonly log: GroupLog; readonly refused: ReadonlyMap<number, OpRefusal> } {
  const refused = new Map<number, OpRefusal>();
  let current = log;
  page.ops.forEach((bytes, index) => {
    const decoded = decodeGroupOp(bytes);
    const received = decoded.ok
      ? receiveOp(current, decoded.value, page.certs)
      : ({ ok: false, reason: "malformed" } as const);
    if (received.ok) current = received.log;
    else refused.set(index, received.reason);
  });
  return { log: current, refused };
}

/** All that someone who has `heads` and what is behind them lacks, in pages; with no heads, everything. */
export function pagesSince(log: GroupLog, heads: readonly OpId[]): readonly GroupPage[] {
  const known = ancestorsOf(log, heads.map(bytesToHex));
  return pagesWith(log, (id) => !known.has(id));
}

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
    const beside = ops.filter(
      (one) => (isOut(one, by) || isDemoted(one, by)) && !ancestorsOf(log, [one.id]).has(id),
    );
    const fresh = beside.map((one) => one.id).filter((end) => !behind.has(end));
    return fresh.length > 0 ? fresh : endsOf(log, by, seen);
  });
  return [...own, ...ofAdders];
}

const isOut = ({ op: { action }, account }: LoggedOp, name: string): boolean =>
  action.kind === "leave"
    ? account === name
    : action.kind === "remove" && bytesToHex(action.account) === name;

const isDemoted = ({ op: { action } }: LoggedOp, name: string): boolean =>
  action.kind === "role" && action.role === "member" && bytesToHex(action.account) === name;

/** `ids` of operations and all behind them, but for `heads` and what is behind those. */
export function pagesUpTo(
  log: GroupLog,
  ids: readonly OpId[],
  heads: readonly OpId[],
): readonly GroupPage[] {
  const wanted = ancestorsOf(log, ids.map(bytesToHex));
  const known = ancestorsOf(log, heads.map(bytesToHex));
  return pagesWith(log, (id) => wanted.has(id) && !known.has(id));
}

function pagesWith(log: GroupLog, isWanted: (id: string) => boolean): readonly GroupPage[] {
  const pages: GroupPage[] = [];
  let certs = new Map<string, DeviceCert>();
  let ops: Uint8Array[] = [];
  let sizeBytes = PAGE_FRAME_BYTES;
  const finish = (): void => {
    if (ops.length > 0) pages.push({ certs: [...certs.values()], ops });
    certs = new Map();
    ops = [];
    sizeBytes = PAGE_FRAME_BYTES;
  };
  for (const [id, { op }] of log.ops) {
    if (!isWanted(id)) continue;
    const bytes = encodeGroupOp(op);
    const signer = bytesToHex(op.signer);
    const cert = log.certs.get(signer);
    if (cert === undefined) throw new RangeError("an operation without its certificate");
    const addedBytes = (): number =>
      2 + bytes.length + (certs.has(signer) ? 0 : encodeDeviceCert(cert).length);
    if (ops.length >= PAGE_OPS_MAX || sizeBytes + addedBytes() > GROUP_PAGE_BYTES_MAX) finish();
    sizeBytes += addedBytes();
    certs.set(signer, cert);
    ops.push(bytes);
  }
  finish();
  return pages;
}

/** Remembers that a message of `account` was sealed under heads, of which some are not here. */
export function awaitHeads(
  log: GroupLog,
  account: AccountId,
  prefixes: readonly string[],
): GroupLog {
  const missing = prefixes.filter((prefix) => !hasHead(log, prefix));
  const awaited = new Map(log.awaited);
  if (missing.length > 0) awaited.set(bytesToHex(account), missing.slice(0, PARENTS_MAX));
  else awaited.delete(bytesToHex(account));
  return { ...log, awaited };
}

/** `prefix`: hex of the first HEAD_PREFIX_BYTES of an id, or of all of it. */
export function hasHead(log: GroupLog, prefix: string): boolean {
  if (log.ops.has(prefix) || log.heads.some((head) => head.startsWith(prefix))) return true;
  if (prefix.length !== HEAD_PREFIX_BYTES * 2) return false;
  for (const id of log.ops.keys()) if (id.startsWith(prefix)) return true;
  return false;
}

/**
 * Members who have shown that there are operations this log lacks. While there is one, nothing is sealed for the
 * group: what is missing may be somebody's removal.
 */
export function membersAhead(log: GroupLog): readonly AccountId[] {
  const accounts = new Set([...log.held.values()].map(({ account }) => account));
  for (const account of log.awaited.keys()) accounts.add(account);
  const ahead: AccountId[] = [];
  for (const account of accounts) {
    const member = log.state.members.get(account);
    if (member !== undefined) ahead.push(member.account);
  }
  return ahead;
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

/**
 * Devices that signed operations beside each other, which an honest device does only when it was restored from an old
 * copy. Two of the ids in question prove it to anybody.
 */
export function forksOf(log: GroupLog): readonly {
  readonly account: AccountId;
  readonly device: string;
  readonly ops: readonly [OpId, OpId];
}[] {
  const last = new Map<string, LoggedOp>();
  const forks = new Map<string, ReturnType<typeof forksOf>[number]>();
  for (const logged of log.ops.values()) {
    const key = deviceKey(logged.account, logged.device);
    const before = last.get(key);
    last.set(key, logged);
    if (before === undefined || forks.has(key)) continue;
    if (!ancestorsOf(log, [logged.id]).has(before.id)) {
      forks.set(key, {
        account: logged.actor,
        device: logged.device,
        ops: [opIdFrom(before.id), opIdFrom(logged.id)],
      });
    }
  }
  return [...forks.values()];
}

export const opIdOf = (op: Omit<GroupOp, "signature">): OpId =>
  asOpId(sha256(labelled(LABELS.groupOpId, groupOpBody(op))));

/** 32 bytes: names a certificate in the operations its device signs. */
export const signerOf = (cert: DeviceCert): Uint8Array =>
  sha256(labelled(LABELS.groupSigner, encodeDeviceCert(cert)));

/** 32 bytes: equal for two logs exactly when they have the same operations. */
export const headsHash = (log: GroupLog): Uint8Array =>
  sha256(labelled(LABELS.groupHeads, ...log.heads.map(opIdFrom)));

/** 32 bytes over group, heads and everything they add up to. */
export function stateHash(log: GroupLog): Uint8Array {
  const { members, adders, revoked } = log.state;
  const writer = createWriter().raw(log.group).raw(headsHash(log));
  writer.u8(adders === "admins" ? 0 : 1).u16(members.size);
  for (const [, { account, role }] of [...members].toSorted(byKey)) {
    writer.raw(account).u8(role === "member" ? 0 : 1);
  }
  writer.u16(revoked.size);
  for (const key of [...revoked].toSorted()) writer.raw(bytesFrom(key.replace("/", "")));
  return sha256(labelled(LABELS.groupState, writer.done()));
}

function hold(log: GroupLog, name: string, waiting: HeldOp): Received {
  const all = [...log.held.values()];
  const ofAccount = all.filter(({ account }) => account === waiting.account);
  const isStranger = ({ account }: HeldOp): boolean => !log.state.members.has(account);
  const isTooStrange =
    isStranger(waiting) && all.filter(isStranger).length >= HELD_OPS_OF_STRANGERS_MAX;
  if (
    isTooStrange ||
    log.held.size >= HELD_OPS_MAX ||
    ofAccount.length >= HELD_OPS_PER_ACCOUNT_MAX
  ) {
    return { ok: false, reason: "held-full" };
  }
  const certs = new Map(log.certs).set(bytesToHex(waiting.op.signer), waiting.cert);
  const held = new Map(log.held).set(name, waiting);
  return { ok: true, log: { ...log, certs, held }, state: "held" };
}

/** All parents are there and the signature is good: judged by what was behind it, and by nothing else. */
function take(
  log: GroupLog,
  name: string,
  op: GroupOp,
  cert: DeviceCert,
):
  | { readonly ok: true; readonly log: GroupLog }
  | { readonly ok: false; readonly reason: OpRefusal } {
  if (op.lamport !== 1 + highestLamport(log, op.parents)) return { ok: false, reason: "malformed" };
  const judged = judge(stateBehind(log, op.parents.map(bytesToHex)), op.action, actorOf(cert));
  if (!judged.ok) return judged;
  if (log.ops.size >= LOG_OPS_MAX) return { ok: false, reason: "log-full" };
  const logged = loggedOf(op, name, cert, judged);
  const counted = countStray(log, logged);
  if (counted === undefined) return { ok: false, reason: "too-many-strays" };
  return { ok: true, log: append(counted, logged, cert) };
}

/**
 * The log with this operation counted, if it is late or a sibling; undefined when it is one too many. What a member
 * builds on is taken in nevertheless: nobody may be left behind for ever, and members can be removed.
 */
function countStray(log: GroupLog, logged: LoggedOp): GroupLog | undefined {
  const { account, actor, device, id, parents } = logged;
  const isBuiltOn = (): boolean =>
    [...log.held.values()].some(
      (held) =>
        held.account !== account &&
        log.state.members.has(held.account) &&
        held.op.parents.some((parent) => bytesToHex(parent) === id),
    ) ||
    [...log.awaited].some(
      ([by, prefixes]) =>
        by !== account &&
        log.state.members.has(by) &&
        prefixes.some((prefix) => id.startsWith(prefix)),
    );
  if (!isMemberDevice(log.state, actor, asDeviceId(bytesFrom(device)))) {
    if (log.late >= LATE_OPS_MAX && !isBuiltOn()) return undefined;
    return { ...log, late: log.late + 1 };
  }
  if (knowsAllOf(log, account, parents)) return log;
  const siblings = log.siblings.get(account) ?? 0;
  if (siblings >= SIBLING_OPS_MAX && !isBuiltOn()) return undefined;
  return { ...log, siblings: new Map(log.siblings).set(account, siblings + 1) };
}

/** Whether all operations of the account are among `parents` and what is behind them. */
function knowsAllOf(log: GroupLog, account: string, parents: readonly string[]): boolean {
  if (log.heads.every((head) => parents.includes(head))) return true;
  const behind = ancestorsOf(log, parents);
  for (const one of log.ops.values()) {
    if (one.account === account && !behind.has(one.id)) return false;
  }
  return true;
}

function append(log: GroupLog, logged: LoggedOp, cert: DeviceCert): GroupLog {
  const { op, id, parents } = logged;
  const ops = new Map(log.ops).set(id, logged);
  const left = log.heads.filter((head) => !parents.includes(head));
  const heads = [...left, id].toSorted();
  // Behind the new operation stands what it was judged by; when that is everything, there is nothing to fold.
  const own = applyOp(stateBehind(log, parents), logged);
  const headStates = new Map([...log.headStates].filter(([head]) => left.includes(head)));
  headStates.set(id, own);
  const state = left.length === 0 ? own : foldOps([...ops.values()]);
  const awaited = new Map(
    [...log.awaited].flatMap(([account, prefixes]) => {
      const missing = prefixes.filter((prefix) => !id.startsWith(prefix));
      return missing.length > 0 ? [[account, missing] as const] : [];
    }),
  );
  const signer = bytesToHex(op.signer);
  return {
    ...log,
    ops,
    heads,
    state,
    headStates,
    turnovers: log.turnovers + (isCut(op.action) || op.action.kind === "rotateTopic" ? 1 : 0),
    certs: log.certs.has(signer) ? log.certs : new Map(log.certs).set(signer, cert),
    awaited,
  };
}

/** Takes in what waited for the operation just taken in, and what waited for that. What is refused is dropped. */
function releaseHeld(log: GroupLog): GroupLog {
  let current = log;
  for (let isReady = true; isReady;) {
    isReady = false;
    for (const [name, { op, cert }] of current.held) {
      if (op.parents.some((parent) => !current.ops.has(bytesToHex(parent)))) continue;
      const held = new Map(current.held);
      held.delete(name);
      const taken = take(current, name, op, cert);
      current = { ...(taken.ok ? taken.log : current), held };
      isReady = true;
    }
  }
  return current;
}

/** The state that `parents` and everything behind them add up to. */
function stateBehind(log: GroupLog, parents: readonly string[]): GroupState {
  if (log.heads.every((head) => parents.includes(head))) return log.state;
  const [only] = parents;
  const known = parents.length === 1 && only !== undefined ? log.headStates.get(only) : undefined;
  if (known !== undefined) return known;
  const behind = ancestorsOf(log, parents);
  return foldOps([...log.ops.values()].filter(({ id }) => behind.has(id)));
}

/** The operations named, and all behind those that are here. */
function ancestorsOf(log: GroupLog, ids: readonly string[]): ReadonlySet<string> {
  const found = new Set(ids);
  for (const id of found) {
    // A set grows while it is walked: each is visited once.
    for (const parent of log.ops.get(id)?.parents ?? []) found.add(parent);
  }
  return found;
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

function bytesFrom(hex: string): Uint8Array {
  const bytes = hexToBytes(hex);
  if (bytes === undefined) throw new RangeError("a key that is not hex");
  return bytes;
}

const byKey = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number =>
  a < b ? -1 : 1;
