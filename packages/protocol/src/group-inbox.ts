/**
 * What comes in for a group: operations, chains, questions, introductions, and sealed messages.
 * Owns: what each of them changes, and what is kept until it can be used. Leaves to crypto: checking all of it; to the
 * pairs: receipts.
 * Spec: SPEC.md §11.
 */
import {
  accountIdOf,
  adminsOf,
  ancestorsOf,
  awaitHeads,
  createRemoteSender,
  type GroupLog,
  holdMessage,
  isCut,
  LATE_OPS_MAX,
  LOG_OPS_MAX,
  logBehind,
  type LoggedOp,
  type OpRefusal,
  membersAhead,
  openFromGroup,
  pagesSince,
  pagesUpTo,
  receivePage,
  releaseMessages,
  type RemoteSender,
  RESERVED_OPS_MAX,
  takeRecord,
  verifyDeviceCert,
} from "@sotto/crypto";
import {
  asDeviceId,
  bytesToHex,
  type Content,
  decodeContent,
  decodeGroupEnvelope,
  equalBytes,
  PARENTS_MAX,
} from "@sotto/wire";
import { memberAddress } from "./address.ts";
import { merge, TIME_MS_MAX } from "./clock.ts";
import { ASK_AGAIN_MS } from "./devices.ts";
import {
  addMessage,
  changeConversation,
  changeGroup,
  changeLive,
  type Draft,
  drop,
  orderKey,
  post,
  putSender,
} from "./draft.ts";
import { isOut, pagesOfEnd } from "./group-end.ts";
import {
  accountFrom,
  askPair,
  bytesFrom,
  deviceKeyOf,
  groupIdOf,
  groupPeer,
  introduce,
  logIn,
  opIdFrom,
  ownAccount,
  ownDevice,
  presentTo,
  takeLog,
  tellAccounts,
  tellPair,
} from "./group-log.ts";
import { isTimeToTell, sealAgainFor, TOLD_MAX } from "./group-outbox.ts";
import type { GroupPost, SenderRow } from "./group-ports.ts";
import type { MessageRow, PostRow } from "./ports.ts";
import { REPAIR_PATIENCE_MS } from "./repair.ts";
import type { DropReason } from "./step.ts";

/** Introductions to accounts that the log does not have yet. */
export const INTRODUCTIONS_MAX = 64;

/** Pairs that are asked again for what was not taken in, there being no room; beyond it the first is forgotten. */
export const UNHELD_PAIRS_MAX = 16;

/** Questions of one device that are answered in ASK_AGAIN_MS. */
export const ANSWERS_MAX = 32;

/** A longer answer to a device's question is given once in ASK_AGAIN_MS. */
export const ANSWER_PAGES_MAX = 2;

type Told = Extract<GroupPost, { kind: "told" }>;
type Arrived = Extract<GroupPost, { kind: "arrived" }>;

/** A content that a pair's device sent about this group. `from` of the post is the pair's record. */
export async function onTold(draft: Draft, told: Told, { from }: PostRow): Promise<void> {
  const decoded = decodeContent(told.content);
  if (!decoded.ok) {
    drop(draft, "malformed");
    return;
  }
  const content = decoded.value;
  if ("time" in content) {
    changeConversation(draft, { clock: merge(draft.conversation.clock, content.time) });
  }
  switch (content.kind) {
    case "page":
      onPage(draft, content, told.account, from);
      return;
    case "key":
      onKey(draft, content, told);
      return;
    case "heads":
      await onHeads(draft, content, told, from);
      return;
    case "member":
      await onMember(draft, told.account, told.content);
      return;
    default:
      drop(draft, "unexpected");
  }
}

/** `by`: the account that brought it, in hex. */
function onPage(
  draft: Draft,
  { page }: Extract<Content, { kind: "page" }>,
  by: string,
  pair: string,
): void {
  const group = groupPeer(draft)?.group;
  const wasMember = groupPeer(draft)?.member === true;
  const own = ownAccount(draft);
  const before = draft.group.row?.log ?? logIn(page, group ?? "");
  if (before === undefined) {
    askPair(draft, pair);
    return;
  }
  const { log: whole, refused } = receivePage(before, page, by, own);
  const log = before.state.members.has(own) ? whole : withoutFlood(whole, own, ownDevice(draft));
  for (const reason of refused.values()) {
    drop(draft, reason === "malformed" || reason === "wrong-group" ? "malformed" : "unexpected");
  }
  noteUnheld(draft, pair, log, new Set(refused.values()));
  if (log === draft.group.row?.log) return;
  if (isOfStranger(log, before, by, own)) {
    drop(draft, "unlisted");
    return;
  }
  takeLog(draft, log);
  if (groupPeer(draft)?.member !== wasMember) tellOwnOfTurn(draft, before, log, pair);
  releaseHeld(draft, log);
  tellNewcomers(draft, before, log);
  if (log !== whole || membersAhead(log).length > membersAhead(before).length) {
    askPair(draft, pair);
  }
}

/**
 * The log of an account that was not in by it, once it is or the log is full: whoever knew of the group may have filled it.
 * What is behind the addition, the account's own operations and what took it or, by an admin, others out stays, or less
 * where that would be as good as full; all else members are asked for (`onRoster`), and bring again.
 */
function withoutFlood(log: GroupLog, own: string, device: string): GroupLog {
  const { members } = log.state;
  const member = members.get(own);
  if (member === undefined && log.ops.size < LOG_OPS_MAX) return log;
  const isEnd = (one: LoggedOp): boolean => isOut(one, own);
  const isOthers = ({ account, op }: LoggedOp): boolean =>
    account === own || (op.action.kind === "remove" && members.get(account)?.role === "admin");
  const behind = (isKept: (one: LoggedOp) => boolean): GroupLog => {
    const kept = [...log.ops.values()].filter(isKept).map(({ id }) => id);
    return logBehind(log, [member?.addedBy ?? bytesToHex(log.group), ...kept]);
  };
  let less = behind((one) => isEnd(one) || isOthers(one));
  // A stolen device of the account, or who was an admin once, can sign any number of those, too.
  if (isAsGoodAsFull(less)) less = behind(isEnd);
  // Least is behind what came first.
  const [end] = [...log.ops.values()].filter(isEnd);
  if (isAsGoodAsFull(less)) less = behind((one) => one === end);
  if (isAsGoodAsFull(less)) less = behind(() => false);
  // Who founded the group is in by that alone. Where so much is behind its end nobody adds anybody any more.
  if (member === undefined && less.state.members.has(own)) return log;
  const isFlood = log.ops.size - less.ops.size > LATE_OPS_MAX;
  return isFlood ? awaitCuts(less, log, deviceKeyOf(own, device)) : log;
}

/**
 * Cuts of members that went with a flood: as after messages under heads that are not here, those members are ahead until
 * they come again. Who is no member by the addition may be made up, and what `here` did nobody else may have.
 */
function awaitCuts(less: GroupLog, { ops }: GroupLog, here: string): GroupLog {
  const isMissing = ({ id, account, op }: LoggedOp): boolean =>
    isCut(op.action) && !less.ops.has(id) && less.state.members.has(account);
  const byAccount = Map.groupBy([...ops.values()].filter(isMissing), ({ account }) => account);
  let log = less;
  for (const [account, cuts] of byAccount) {
    // An account can make up devices: only its own are fewer then.
    const byDevice = Map.groupBy(cuts, ({ device }) => deviceKeyOf(account, device));
    for (const [device, newest] of [...byDevice].slice(-PARENTS_MAX)) {
      if (device === here) continue;
      const ids = newest.slice(-PARENTS_MAX).map(({ id }) => id);
      log = awaitHeads(log, device, [...ids, ...(log.awaited.get(device) ?? [])]);
    }
  }
  return log;
}

const isAsGoodAsFull = ({ ops }: GroupLog): boolean => ops.size >= LOG_OPS_MAX - RESERVED_OPS_MAX;

/** Operations that nobody names as a parent later would else never come again. */
function noteUnheld(
  draft: Draft,
  pair: string,
  log: GroupLog,
  refused: ReadonlySet<OpRefusal>,
): void {
  // Where it was only too much for one page, there is nothing to wait for.
  const isSoon = refused.has("not-now");
  const unheld = new Map(draft.live.unheld);
  if (refused.has("too-many-strays")) {
    // What a member brings too much of, admins may bring. They keep their places: nobody is asked before them again and again.
    for (const one of pairsOfAdmins(draft, log)) unheld.set(one, log.held.size);
  }
  if (isSoon || refused.has("held-full")) {
    unheld.delete(pair);
    unheld.set(pair, isSoon ? Infinity : log.held.size);
  } else if (!refused.has("too-many-strays")) return;
  changeLive(draft, { unheld: new Map([...unheld].slice(-UNHELD_PAIRS_MAX)) });
}

const pairsOfAdmins = (draft: Draft, { state }: GroupLog): readonly string[] =>
  adminsOf(state).flatMap(({ account }) => {
    const { devices = [] } = draft.group.row?.roster.get(bytesToHex(account)) ?? {};
    return devices.map(({ conversation }) => conversation);
  });

/**
 * Late operations that somebody brings who is no member before and after it, and that change nothing: a removed member's
 * afterthoughts, which are void and cost everybody room. What of such counts, members have. Others bring what leads up
 * to their being members, or what they did before they heard of their end, as two who removed each other. Whoever is not
 * in by its own log cannot tell.
 */
const isOfStranger = (log: GroupLog, before: GroupLog, by: string, own: string): boolean =>
  lateIn(log) > lateIn(before) &&
  before.state.members.has(own) &&
  !before.state.members.has(by) &&
  !log.state.members.has(by) &&
  isSameState(log, before);

const lateIn = ({ late }: GroupLog): number =>
  [...late.values()].reduce((sum, one) => sum + one, 0);

function isSameState({ state }: GroupLog, { state: before }: GroupLog): boolean {
  if (state.adders !== before.adders || state.revoked.size !== before.revoked.size) return false;
  if (state.members.size !== before.members.size) return false;
  return [...state.members].every(([name, { role }]) => before.members.get(name)?.role === role);
}

/** Whoever took this account out, or in again, may not have known all its devices. */
function tellOwnOfTurn(draft: Draft, before: GroupLog, log: GroupLog, pair: string): void {
  const pages =
    groupPeer(draft)?.member === true
      ? pagesSince(log, before.heads.map(opIdFrom))
      : pagesOfEnd(log, accountFrom(ownAccount(draft)));
  for (const { conversation } of draft.self.devices.links) {
    if (conversation !== pair) tellPair(draft, pages, conversation);
  }
}

/** What waited for these operations is opened now: each in a step of its own. */
function releaseHeld(draft: Draft, log: GroupLog): void {
  for (const row of draft.group.senders.values()) {
    if (row.held.length === 0) continue;
    const { ready, held } = releaseMessages(row.held, log, draft.env.now);
    if (held.length === row.held.length) continue;
    putSender(draft, { ...row, held });
    const [account = "", device = ""] = row.device.split("/");
    for (const { envelope, pair, path } of ready) {
      const arrived = {
        kind: "arrived",
        pair,
        account,
        device,
        envelope,
        path,
        again: false,
      } as const;
      post(draft, draft.conversation.id, arrived);
    }
  }
}

/**
 * Whoever was added heard of nothing that others did beside that. The account that added, and the device that did
 * something, tell them as soon as they hear of each other: in a group one of the two always knows the newcomer. Only
 * what is beside the addition is told: what one operation makes others send is that operation.
 */
function tellNewcomers(draft: Draft, before: GroupLog, log: GroupLog): void {
  const own = ownAccount(draft);
  const isHere = (one: LoggedOp): boolean => one.account === own && one.device === ownDevice(draft);
  const isOwnAdd = (one: LoggedOp): boolean => one.account === own && one.op.action.kind === "add";
  const due = new Map<string, { readonly adds: Set<string>; readonly beside: Set<LoggedOp> }>();
  const note = (add: LoggedOp, beside: LoggedOp): void => {
    const { action } = add.op;
    if (action.kind !== "add" || add.id === beside.id) return;
    const account = bytesToHex(action.account);
    if (account === own || beside.account === account) return;
    const one = due.get(account) ?? { adds: new Set(), beside: new Set() };
    due.set(account, { adds: one.adds.add(add.id), beside: one.beside.add(beside) });
  };
  const mine = [...before.ops.values()].filter((one) => isOwnAdd(one) || isHere(one));
  if (mine.length === 0) return;
  for (const fresh of log.ops.values()) {
    const isNew = !before.ops.has(fresh.id);
    if (!isNew || before.heads.every((head) => fresh.parents.includes(head))) continue;
    const behind = ancestorsOf(log, [fresh.id]);
    for (const one of mine) {
      if (behind.has(one.id)) continue;
      if (isOwnAdd(one)) note(one, fresh);
      if (isHere(one)) note(fresh, one);
    }
  }
  for (const [account, { adds, beside }] of due) {
    const upTo = [...beside].map(({ id }) => opIdFrom(id));
    tellAccounts(draft, pagesUpTo(log, upTo, [...adds].map(opIdFrom)), [account]);
    if (!log.state.members.has(account)) continue;
    const others = [...beside].flatMap(({ op }) =>
      op.action.kind === "add" ? [bytesToHex(op.action.account)] : [],
    );
    introduce(
      draft,
      account,
      others.filter((one) => log.state.members.has(one)),
    );
  }
}

function senderOf(draft: Draft, account: string, device: string): SenderRow {
  const key = deviceKeyOf(account, device);
  const known = draft.group.senders.get(key);
  if (known?.sender !== undefined) {
    // The row's key says whose it is: a damaged copy of that would spoil every chain that comes.
    return { ...known, sender: { ...known.sender, ...ownerOf(draft, account, device) } };
  }
  const { id } = draft.conversation;
  return known ?? { conversation: id, device: key, sender: undefined, chain: undefined, held: [] };
}

const ownerOf = (
  draft: Draft,
  account: string,
  device: string,
): Pick<RemoteSender, "group" | "account" | "device"> => ({
  group: groupIdOf(draft),
  account: accountFrom(account),
  device: asDeviceId(bytesFrom(device)),
});

function onKey(
  draft: Draft,
  { key }: Extract<Content, { kind: "key" }>,
  { account, device }: Told,
): void {
  if (account === ownAccount(draft) && device === ownDevice(draft)) return;
  const row = senderOf(draft, account, device);
  const owner = ownerOf(draft, account, device);
  const before = row.sender ?? createRemoteSender(owner.group, owner.account, owner.device);
  const sender = takeRecord(before, key, draft.env.now);
  if (sender === undefined) drop(draft, "malformed");
  else putSender(draft, { ...row, sender });
}

/** Members are told what they lack: operations, or else this device's chain and what was sealed under it. */
async function onHeads(
  draft: Draft,
  { heads }: Extract<Content, { kind: "heads" }>,
  { account, device }: Told,
  pair: string,
): Promise<void> {
  const log = draft.group.row?.log;
  if (log?.state.members.has(account) !== true) {
    drop(draft, "unexpected");
    if (log !== undefined) tellEnd(draft, { account, device, pair }, log);
    return;
  }
  if (!isTimeToAnswer(draft, deviceKeyOf(account, device))) {
    drop(draft, "duplicate");
    return;
  }
  const pages = pagesSince(log, heads);
  const isLong = pages.length > ANSWER_PAGES_MAX;
  if (!isLong || isTimeToTell(draft, `${deviceKeyOf(account, device)}/long`)) {
    tellPair(draft, pages, pair);
  }
  if (heads.length === 0) presentAgain(draft, account);
  if (pages.length === 0) await sealAgainFor(draft, account, device);
}

/** Whoever has nothing of the group may have lost who is in it, too. */
function presentAgain(draft: Draft, account: string): void {
  if (!isTimeToTell(draft, account)) return;
  // Of the others nothing can be told yet.
  const known = [...(draft.group.row?.roster ?? [])].filter(([, { sequence }]) => sequence > 0);
  presentTo(
    draft,
    account,
    known.map(([one]) => one),
  );
}

/** A device whose account is no member any more, and that does not know it: what says so, and nothing later. */
function tellEnd(
  draft: Draft,
  { account, device, pair }: Pick<Arrived, "account" | "device" | "pair">,
  log: GroupLog,
): void {
  if (!isTimeToTell(draft, deviceKeyOf(account, device))) return;
  tellPair(draft, pagesOfEnd(log, accountFrom(account)), pair);
}

/** An honest device asks again after ASK_AGAIN_MS at the latest. */
function isTimeToAnswer(draft: Draft, device: string): boolean {
  const { now } = draft.env;
  const { answered } = draft.live;
  const before = answered.get(device);
  const isOver = before === undefined || before.since > now || now >= before.since + ASK_AGAIN_MS;
  if (!isOver && before.count >= ANSWERS_MAX) return false;
  const next = isOver ? { since: now, count: 1 } : { ...before, count: before.count + 1 };
  const others = [...answered].filter(([one]) => one !== device);
  changeLive(draft, { answered: new Map([...others.slice(1 - TOLD_MAX), [device, next]]) });
  return true;
}

/** `by`: the account that says so, in hex. */
async function onMember(draft: Draft, by: string, content: Uint8Array): Promise<void> {
  const { row } = draft.group;
  const decoded = decodeContent(content);
  if (row === undefined || !decoded.ok || decoded.value.kind !== "member") {
    drop(draft, "unexpected");
    return;
  }
  const { cert } = decoded.value;
  const account = bytesToHex(accountIdOf(cert.rootKey));
  if (account === ownAccount(draft)) return;
  const right = rightToIntroduce(draft, row.log, by, account);
  if (right === undefined) {
    const introductions = [...row.introductions, { by, content }].slice(-INTRODUCTIONS_MAX);
    changeGroup(draft, { ...row, introductions });
    return;
  }
  // A post that begins a record is only made of what will begin one.
  if (await verifyDeviceCert(cert, draft.env.crypto)) {
    const former = right === "added";
    const [teller] = draft.conversation.devices.introducers;
    post(draft, `account:${account}`, { kind: "presented", by, content, former, teller });
  } else drop(draft, "wrong-identity");
}

/** A member may; so may who added one of the two and is none any more, until the two have met (`onPresented`). */
function rightToIntroduce(
  draft: Draft,
  log: GroupLog,
  by: string,
  account: string,
): "member" | "added" | undefined {
  const { members } = log.state;
  if (!members.has(account)) return undefined;
  if (members.has(by)) return "member";
  const added = [account, ownAccount(draft)];
  const isAdder = [...log.ops.values()].some(
    ({ op: { action }, account: signer }) =>
      signer === by && action.kind === "add" && added.includes(bytesToHex(action.account)),
  );
  return isAdder ? "added" : undefined;
}

/** Those whose members have come into the log since. */
export async function retryIntroductions(draft: Draft): Promise<void> {
  const { row } = draft.group;
  if (row === undefined || row.introductions.length === 0) return;
  const isReady = ({ by, content }: (typeof row.introductions)[number]): boolean => {
    const decoded = decodeContent(content);
    if (!decoded.ok || decoded.value.kind !== "member") return true;
    const account = bytesToHex(accountIdOf(decoded.value.cert.rootKey));
    return rightToIntroduce(draft, row.log, by, account) !== undefined;
  };
  const ready = row.introductions.filter(isReady);
  if (ready.length === 0) return;
  const introductions = row.introductions.filter((one) => !ready.includes(one));
  changeGroup(draft, { ...row, introductions });
  for (const { by, content } of ready) await onMember(draft, by, content);
}

const REASONS: Readonly<Record<string, DropReason>> = {
  duplicate: "duplicate",
  "too-far-ahead": "too-far-ahead",
  "bad-tag": "bad-tag",
  "bad-signature": "bad-tag",
  "not-a-member": "unlisted",
  malformed: "malformed",
};

/** A sealed message that may be of this group. */
export async function onArrived(draft: Draft, arrived: Arrived): Promise<void> {
  const { account, device, pair, path, again } = arrived;
  const log = draft.group.row?.log;
  const row = senderOf(draft, account, device);
  const envelope = decodeGroupEnvelope(arrived.envelope);
  if (!envelope.ok) {
    drop(draft, "malformed");
    return;
  }
  const opened =
    log === undefined || row.sender === undefined
      ? undefined
      : await openFromGroup(row.sender, envelope.value, log, draft.env);
  if (log === undefined || opened === undefined || !opened.ok) {
    const reason = opened?.ok === false ? opened.reason : "unknown-chain";
    if (reason === "unknown-chain") {
      const isLost = again && row.sender === undefined && log?.state.members.has(account);
      const isRested = draft.env.now >= draft.live.listAskedAt + REPAIR_PATIENCE_MS;
      if (log === undefined || (isLost === true && isRested)) askPair(draft, pair);
      post(draft, again ? memberAddress(account, draft.conversation.id) : pair, arrived);
    } else if (opened?.ok === false && opened.reason === "unknown-heads" && log !== undefined) {
      keep(draft, row, arrived, opened.heads, log);
    } else {
      drop(draft, REASONS[reason] ?? "unexpected");
      if (reason === "not-a-member" && log !== undefined) tellEnd(draft, arrived, log);
    }
    return;
  }
  putSender(draft, { ...row, sender: opened.sender });
  const content = decodeContent(opened.content);
  if (!content.ok || content.value.kind !== "text" || content.value.time.ms > TIME_MS_MAX) {
    drop(draft, "malformed");
    return;
  }
  const id = bytesToHex(content.value.id);
  post(draft, pair, { kind: "opened", awaits: id, envelope: arrived.envelope, path });
  show(draft, content.value, account, path);
}

function show(
  draft: Draft,
  { time, text, id: contentId }: Extract<Content, { kind: "text" }>,
  account: string,
  path: MessageRow["path"],
): void {
  if (draft.known) {
    drop(draft, "duplicate");
    return;
  }
  const { conversation, env, live } = draft;
  const id = bytesToHex(contentId);
  const own = account === ownAccount(draft);
  changeConversation(draft, { clock: merge(conversation.clock, time) });
  addMessage(draft, {
    id,
    conversation: conversation.id,
    order: orderKey(time, accountFrom(account), id),
    own,
    author: account,
    text,
    sentAt: Math.min(time.ms, env.now),
    receivedAt: env.now,
    status: own ? "relayed" : "received",
    path: own ? undefined : path,
  });
  if (!own && !live.wanted) {
    changeConversation(draft, { unread: draft.conversation.unread + 1 });
  }
}

/** Until the operations it was sealed under have come: its sender is asked for them, once for the same ones. */
function keep(
  draft: Draft,
  row: SenderRow,
  { account, pair, path, envelope }: Arrived,
  heads: readonly string[],
  log: GroupLog,
): void {
  const others = [...draft.group.senders.values()].flatMap(({ held }) => held);
  if (others.some((one) => equalBytes(one.envelope, envelope))) {
    drop(draft, "duplicate");
    return;
  }
  const { now } = draft.env;
  const message = { account: accountFrom(account), envelope, heads, heldAt: now, pair, path };
  if (holdMessage(others, message) === undefined) {
    drop(draft, "outbox-full");
    return;
  }
  putSender(draft, { ...row, held: [...row.held, message] });
  const before = log.awaited.get(row.device)?.join();
  const waiting = awaitHeads(log, row.device, heads);
  takeLog(draft, waiting);
  if (waiting.awaited.get(row.device)?.join() !== before) askPair(draft, pair);
}
