/**
 * Groups as people use them: founding one, who is in it, writing to it. What this device decides is told to all
 * members, and whoever comes in is introduced to those who may not know them.
 * Owns: the group's side of membership. Leaves to crypto/membership.ts: the log; to group-inbox.ts: what comes in; to
 * group-outbox.ts: sealing; to group-pairs.ts: what conversations do for groups.
 * Spec: SPEC.md §11.
 */
import {
  accountIdOf,
  createGroup,
  type GroupLog,
  makeOp,
  membersAhead,
  pagesSince,
} from "@sotto/crypto";
import {
  ACCOUNT_ID_BYTES,
  asAccountId,
  asDeviceId,
  bytesToHex,
  decodeContent,
  encodeContent,
  type GroupAction,
  hexToBytes,
  TEXT_BYTES_MAX,
  utf8ToBytes,
} from "@sotto/wire";
import { ASK_AGAIN_MS } from "./devices.ts";
import { groupAddress } from "./address.ts";
import { nextTime } from "./directory.ts";
import {
  addMessage,
  changeConversation,
  changeDevices,
  changeGroup,
  changeLive,
  type Draft,
  drop,
  isOutboxFull,
  orderKey,
  post,
  putOutbox,
  putSender,
} from "./draft.ts";
import { onArrived, onTold, retryIntroductions } from "./group-inbox.ts";
import { endSending, onReached, onStale, pruneRecipients, sealForMembers } from "./group-outbox.ts";
import {
  askPair,
  deviceKeyOf,
  type GroupPeer,
  groupPeer,
  introduce,
  logIn,
  opIdFrom,
  ownAccount,
  presentTo,
  takeLog,
  tellAccounts,
  tellOwn,
} from "./group-log.ts";
import type { GroupPost } from "./group-ports.ts";
import { contentIdOf, newRow } from "./outbox.ts";
import { isPastContent, lookAgain, onPastContent } from "./past.ts";
import type { ConversationId, Instant, MessageRow, Post, PostRow } from "./ports.ts";
import { REPAIR_PATIENCE_MS } from "./repair.ts";
import type { Input } from "./step.ts";

/** The person founds a group. */
export async function startGroup(draft: Draft): Promise<void> {
  const { log } = await createGroup(draft.self, draft.env);
  beginGroup(draft, log);
}

function beginGroup(draft: Draft, log: GroupLog): void {
  const peer: GroupPeer = {
    state: "group",
    group: bytesToHex(log.group),
    member: false,
    told: [],
  };
  // Nothing of the group whose place it takes.
  draft.group = { ...draft.group, row: undefined };
  for (const row of draft.group.senders.values()) {
    putSender(draft, { ...row, sender: undefined, held: [] });
  }
  changeConversation(draft, { peer, listed: false, createdAt: draft.env.now });
  takeLog(draft, log);
}

/** Somebody has a group that this device did not know. It is shown when this account is in it. */
export async function startFromPage(
  draft: Draft,
  what: Extract<GroupPost, { kind: "told" }>,
  row: PostRow,
): Promise<boolean> {
  const decoded = decodeContent(what.content);
  if (!decoded.ok || decoded.value.kind !== "page") return false;
  const log = logIn(decoded.value.page, bytesToHex(decoded.value.group));
  if (log === undefined) return false;
  beginGroup(draft, log);
  // Own devices tell of no more than they have.
  if (what.account !== ownAccount(draft)) changeDevices(draft, { introducers: [what.account] });
  await onTold(draft, what, row);
  return true;
}

export async function onGroupInput(
  draft: Draft,
  input: Extract<Input, { kind: "group-add" | "group-remove" | "group-leave" | "group-role" }>,
): Promise<void> {
  if (input.kind === "group-leave") {
    await changeMembers(draft, { kind: "leave" });
    return;
  }
  const bytes = hexToBytes(input.account);
  if (bytes?.length !== ACCOUNT_ID_BYTES) {
    drop(draft, "malformed");
    return;
  }
  const account = asAccountId(bytes);
  if (input.kind === "group-role")
    await changeMembers(draft, { kind: "role", account, role: input.role });
  else await changeMembers(draft, { kind: input.kind === "group-add" ? "add" : "remove", account });
}

/** What the person does with the group. What they may not is refused. */
async function changeMembers(
  draft: Draft,
  action: Exclude<GroupAction, { kind: "create" }>,
): Promise<void> {
  const { row } = draft.group;
  const before = row?.log;
  if (before === undefined || groupPeer(draft)?.member !== true) {
    drop(draft, "unexpected");
    return;
  }
  const made = await makeOp(before, draft.self, action, draft.env);
  if (!made.ok) {
    drop(draft, "unexpected");
    return;
  }
  takeLog(draft, made.log);
  const pages = pagesSince(made.log, before.heads.map(opIdFrom));
  const accounts = new Set([...before.state.members.keys(), ...made.log.state.members.keys()]);
  const added = action.kind === "add" ? bytesToHex(action.account) : undefined;
  tellAccounts(
    draft,
    pages,
    [...accounts].filter((one) => one !== added),
  );
  tellOwn(draft, pages, groupPeer(draft)?.told ?? []);
  if (added === undefined) return;
  tellAccounts(draft, pagesSince(made.log, []), [added]);
  introduce(draft, added, [...made.log.state.members.keys()]);
}

/** The person writes. The text is sealed as soon as it is sure who is in the group. */
export function sendToGroup(draft: Draft, id: string, text: string): void {
  const { env } = draft;
  const isText = text.length > 0 && utf8ToBytes(text).length <= TEXT_BYTES_MAX;
  if (!isText || groupPeer(draft)?.member !== true) {
    drop(draft, isText ? "unexpected" : "malformed");
    return;
  }
  if (draft.known || draft.outbox.some((row) => row.awaits === id)) return;
  if (isOutboxFull(draft)) {
    drop(draft, "outbox-full");
    return;
  }
  const time = nextTime(draft);
  const message: MessageRow = {
    id,
    conversation: draft.conversation.id,
    order: orderKey(time, accountIdOf(draft.self.cert.rootKey), id),
    own: true,
    author: ownAccount(draft),
    text,
    sentAt: env.now,
    receivedAt: env.now,
    status: "queued",
    path: undefined,
  };
  addMessage(draft, message);
  const content = encodeContent({ kind: "text", id: contentIdOf(id), time, text });
  putOutbox(draft, { ...newRow(draft, { awaits: id, message, spread: true }), content });
}

export async function onPostToGroup(draft: Draft, what: Post, row: PostRow): Promise<void> {
  switch (what.kind) {
    case "told":
      await onToldHere(draft, what, row);
      return;
    case "arrived":
      await onArrived(draft, what);
      return;
    case "roster":
      onRoster(draft, what, row);
      return;
    case "content":
      onContentToGroup(draft, what.content, row);
      return;
    case "reached":
      onReached(draft, what);
      return;
    case "stale":
      await onStale(draft, what);
      return;
    default:
      drop(draft, "unexpected");
  }
}

/** A group that this account has never been in makes room for the next one that the same account tells of. */
async function onToldHere(
  draft: Draft,
  what: Extract<GroupPost, { kind: "told" }>,
  row: PostRow,
): Promise<void> {
  const { to } = row;
  const isOfOther =
    to !== draft.conversation.id && to !== groupAddress(groupPeer(draft)?.group ?? "");
  if (!isOfOther) await onTold(draft, what, row);
  // Shown meanwhile.
  else if (draft.conversation.listed) post(draft, row.from, what);
  else if (!(await startFromPage(draft, what, row))) drop(draft, "malformed");
}

/** An own device asks for the group's history, or brings it. */
function onContentToGroup(draft: Draft, bytes: Uint8Array, { from }: PostRow): void {
  const decoded = decodeContent(bytes);
  if (decoded.ok && isPastContent(decoded.value)) onPastContent(draft, decoded.value, from);
  else drop(draft, "unexpected");
}

function onRoster(
  draft: Draft,
  { account, devices }: Extract<GroupPost, { kind: "roster" }>,
  { sequence }: PostRow,
): void {
  const { row } = draft.group;
  const before = row?.roster.get(account);
  if (row === undefined || before === undefined || before.sequence >= sequence) return;
  const roster = new Map(row.roster).set(account, { sequence, devices });
  changeGroup(draft, { ...row, roster });
  if (devices.length > 0) lookAgain(draft);
  // Whoever introduced that account may not have known all of this one's devices.
  if (before.sequence === 0) presentTo(draft, ownAccount(draft), [account]);
  // What was told to all before this pair was there, only a question brings.
  const met = before.devices.map(({ conversation }) => conversation);
  for (const { conversation } of devices) {
    if (!met.includes(conversation)) askPair(draft, conversation);
  }
}

/** What every step of a group's record does after its input. */
export async function keepGroup(draft: Draft): Promise<void> {
  const peer = groupPeer(draft);
  if (peer === undefined) return;
  await retryIntroductions(draft);
  await revokeRemoved(draft);
  followMembers(draft);
  tellNewOwn(draft);
  askMembers(draft);
  askUnheld(draft);
  pruneRecipients(draft);
  await sealForMembers(draft);
}

/**
 * A device that the own list has let go could still sign for this account in the group: each group is told, by whichever
 * own device steps first. Runs with every step, for a list that changed wakes all records.
 */
async function revokeRemoved(draft: Draft): Promise<void> {
  const own = ownAccount(draft);
  for (const { id } of draft.self.devices.lists.at(-1)?.removed ?? []) {
    const log = draft.group.row?.log;
    if (log === undefined || groupPeer(draft)?.member !== true) return;
    if (!log.state.revoked.has(deviceKeyOf(own, bytesToHex(id)))) {
      await changeMembers(draft, { kind: "revoke", device: asDeviceId(id) });
    }
  }
}

/** Conversations with members' accounts say which devices those have. */
function followMembers(draft: Draft): void {
  const { row } = draft.group;
  const peer = groupPeer(draft);
  if (row === undefined || peer === undefined) return;
  const own = ownAccount(draft);
  const members = new Set(peer.member ? row.log.state.members.keys() : []);
  members.delete(own);
  const roster = new Map(row.roster);
  for (const account of members) {
    if (roster.has(account)) continue;
    roster.set(account, { sequence: 0, devices: [] });
    post(draft, `account:${account}`, { kind: "follow", on: true });
  }
  for (const account of row.roster.keys()) {
    if (members.has(account)) continue;
    roster.delete(account);
    post(draft, `account:${account}`, { kind: "follow", on: false });
  }
  const isChanged =
    roster.size !== row.roster.size || [...roster.keys()].some((one) => !row.roster.has(one));
  if (isChanged) changeGroup(draft, { ...row, roster });
  if (!peer.member) endSending(draft);
}

/** Own devices that have come since get all of the log. */
function tellNewOwn(draft: Draft): void {
  const peer = groupPeer(draft);
  const log = draft.group.row?.log;
  if (peer === undefined || log === undefined || !draft.conversation.listed) return;
  const devices = draft.self.devices.links.map(({ device }) => device);
  const fresh = devices.filter((device) => !peer.told.includes(device));
  if (fresh.length > 0) {
    tellOwn(draft, pagesSince(log, []), fresh);
    presentTo(draft, ownAccount(draft), [...log.state.members.keys()]);
  }
  if (fresh.length > 0 || peer.told.some((device) => !devices.includes(device))) {
    changeConversation(draft, { peer: { ...peer, told: devices } });
  }
}

/** Whoever knows operations that are not here is asked for them, and again until they come. */
function askMembers(draft: Draft): void {
  const at = askDueAt(draft);
  const { row } = draft.group;
  if (at === undefined || at > draft.env.now || row === undefined) return;
  // Where there is no way to any of them yet, too: else this is due again at once.
  changeLive(draft, { listAskedAt: draft.env.now });
  for (const account of membersAhead(row.log)) {
    const name = bytesToHex(account);
    const devices =
      name === ownAccount(draft) ? draft.self.devices.links : row.roster.get(name)?.devices;
    for (const { conversation } of devices ?? []) askPair(draft, conversation);
  }
}

/** What there was no room to hold: asked for when less waits, else after ASK_AGAIN_MS. */
function askUnheld(draft: Draft): void {
  for (const [pair] of draft.live.unheld) {
    const at = unheldDueAt(draft, pair);
    if (at === undefined || at > draft.env.now) continue;
    changeLive(draft, {
      unheld: new Map([...draft.live.unheld].filter(([one]) => one !== pair)),
    });
    askPair(draft, pair);
  }
}

function unheldDueAt({ group, env, live }: Draft, pair: ConversationId): Instant | undefined {
  const before = live.unheld.get(pair);
  if (group.row === undefined || before === undefined) return undefined;
  const pause = group.row.log.held.size < before ? REPAIR_PATIENCE_MS : ASK_AGAIN_MS;
  return live.listAskedAt > env.now ? 0 : live.listAskedAt + pause;
}

function askDueAt({ group, env, live }: Draft): Instant | undefined {
  if (group.row === undefined || membersAhead(group.row.log).length === 0) return undefined;
  return live.listAskedAt > env.now ? 0 : live.listAskedAt + ASK_AGAIN_MS;
}

export function groupWakeAt(draft: Draft): Instant | undefined {
  if (groupPeer(draft) === undefined) return undefined;
  const unheld = [...draft.live.unheld.keys()].map((pair) => unheldDueAt(draft, pair));
  const times = [askDueAt(draft), ...unheld].filter((at) => at !== undefined);
  return times.length === 0 ? undefined : Math.min(...times);
}
