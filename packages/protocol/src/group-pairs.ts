/**
 * What pairs and conversations do for groups: they carry contents and sealed messages to one account's devices, say
 * which devices those are, and introduce people to each other who meet in a group.
 * Owns: the conversation's side of each group post. Leaves to group.ts: who is in a group; to devices.ts: which pairs
 * there are.
 * Spec: SPEC.md §11.
 */
import {
  isCurrent,
  isSameDevice,
  openWay,
  verifyDeviceCert,
  verifyDeviceList,
} from "@sotto/crypto";
import {
  ACCOUNT_ID_BYTES,
  asGroupId,
  bytesToHex,
  concatBytes,
  type Content,
  decodeContent,
  decodeGroupEnvelope,
  encodeContent,
  type GroupId,
  hexToBytes,
} from "@sotto/wire";
import { memberAddress } from "./address.ts";
import { ASK_AGAIN_MS } from "./devices.ts";
import { nameOf, newContentId, nextTime } from "./directory.ts";
import { onOffer, passOn, useOffer } from "./ways.ts";
import {
  changeConversation,
  changeDevices,
  changeLive,
  type Draft,
  drop,
  isOutboxFull,
  isTextHeld,
  openPeer,
  post,
  putOutbox,
} from "./draft.ts";
import type { GroupPost } from "./group-ports.ts";
import { contentIdOf, enqueue, enqueueEncoded, forget, newRow } from "./outbox.ts";
import type { ConversationId, DeviceLink, Instant, PostRow } from "./ports.ts";
import { REPAIR_PATIENCE_MS, REPAIR_PAUSE_MS } from "./repair.ts";
import { accountOf, bytesFrom, isPresented } from "./group-ways.ts";
import { markOf, oweReceipt, remember } from "./received.ts";

/** Groups that one account shares with this device. */
export const GROUPS_MAX = 256;
/** Accounts that one account was introduced to from here: as many as a group has members. */
export const PRESENTED_MAX = 1_000;
/** Introductions of one account that wait for its name. */
export const UNPRESENTED_MAX = 1_000;
/** Accounts through which ways to somebody known from groups alone go. */
export const INTRODUCERS_MAX = 8;

/** Groups that somebody known from groups alone told of, and that are asked for should the person come to know them. */
export const REFUSED_GROUPS_MAX = 16;

type PostOf<Kind extends GroupPost["kind"]> = Extract<GroupPost, { kind: Kind }>;

/** To each device of the account. */
export async function onDeliver(
  draft: Draft,
  { awaits, content }: PostOf<"deliver">,
): Promise<void> {
  const { devices, peer } = draft.conversation;
  const links = peer.state === "notes" ? draft.self.devices.links : devices.links;
  for (const { conversation } of links) {
    post(draft, conversation, { kind: "send", awaits, content });
  }
  const own = openPeer(draft);
  if (own === undefined || own.retired) return;
  if (!(await enqueueEncoded(draft, awaits, content))) drop(draft, "outbox-full");
}

export function onFollow(draft: Draft, from: ConversationId, on: boolean): void {
  const others = draft.conversation.devices.groups.filter(({ group }) => group !== from);
  if (on && others.length >= GROUPS_MAX) {
    drop(draft, "outbox-full");
    return;
  }
  if (!on) withdrawAll(draft, from);
  // Asked anew: told anew.
  const groups = on ? [...others, { group: from, told: "" }] : others;
  changeDevices(draft, { groups });
}

/** Devices of the account that are to have group messages: none while it is not sure which those are. */
function rosterOf(draft: Draft): readonly DeviceLink[] {
  const peer = openPeer(draft);
  if (peer === undefined || peer.change !== undefined || isTextHeld(draft)) return [];
  const { id, devices } = draft.conversation;
  const here = peer.retired ? [] : [{ device: nameOf(peer.contact.cert), conversation: id }];
  return [...here, ...devices.links];
}

/** Says which devices the account has, to each group that has not heard it. */
export function tellGroups(draft: Draft): void {
  const { groups } = draft.conversation.devices;
  // Most are in none: in every step, and whose account it is takes a hash.
  const account = groups.length === 0 ? undefined : accountOf(draft);
  if (account === undefined) return;
  const devices = rosterOf(draft);
  const told = `${account} ${devices.map((one) => `${one.device}@${one.conversation}`).join()}`;
  const due = groups.filter((one) => one.told !== told);
  if (due.length === 0) return;
  for (const { group } of due) post(draft, group, { kind: "roster", account, devices });
  changeDevices(draft, { groups: groups.map(({ group }) => ({ group, told })) });
}

/** Another account is behind this conversation from here on: nothing of groups is for that one. */
export function leaveGroups(draft: Draft, account: string): void {
  for (const { group } of draft.conversation.devices.groups) {
    post(draft, group, { kind: "roster", account, devices: [] });
  }
  for (const row of draft.outbox) {
    const isOfGroup =
      row.group !== undefined || (row.content !== undefined && isAboutGroup(row.content));
    if (isOfGroup) forget(draft, row.id);
  }
  changeDevices(draft, { unpresented: [] });
}

function isAboutGroup(encoded: Uint8Array): boolean {
  const decoded = decodeContent(encoded);
  return decoded.ok && "group" in decoded.value;
}

/** Sealed by the group: goes out as it is. */
export function onRelease(
  draft: Draft,
  { awaits, envelope }: PostOf<"release">,
  from: ConversationId,
): void {
  const peer = openPeer(draft);
  if (peer === undefined || peer.retired) return;
  const before = draft.outbox.find((row) => row.awaits === awaits && row.group === from);
  if (before !== undefined) forget(draft, before.id);
  else if (isOutboxFull(draft)) {
    drop(draft, "outbox-full");
    return;
  }
  const about = { awaits, message: undefined, spread: true };
  putOutbox(draft, { ...newRow(draft, about), envelope, group: from });
}

export function onWithdraw(draft: Draft, group: ConversationId): void {
  for (const row of draft.outbox) if (row.group === group) forget(draft, row.id);
}

/** From every pair with the account: the group itself knows of none while the conversation is held. */
function withdrawAll(draft: Draft, group: ConversationId): void {
  onWithdraw(draft, group);
  for (const { conversation } of draft.conversation.devices.links) {
    post(draft, conversation, { kind: "withdraw", group });
  }
}

/** Introduces the account of this conversation to others in a group: as soon as it is known who it is. */
export function onPresent(draft: Draft, { group, to }: PostOf<"present">): void {
  if (openPeer(draft) === undefined || hexToBytes(group) === undefined) return;
  const { unpresented } = draft.conversation.devices;
  const others = unpresented.filter((one) => one.group !== group || !to.includes(one.account));
  const fresh = to.map((account) => ({ group, account }));
  changeDevices(draft, { unpresented: [...others, ...fresh].slice(-UNPRESENTED_MAX) });
}

/** A HELLO says who somebody is, and the introduction behind it, which tells the name, may come much later. */
export function presentWaiting(draft: Draft): void {
  const { unpresented } = draft.conversation.devices;
  const peer = openPeer(draft);
  if (unpresented.length === 0 || peer === undefined || peer.change !== undefined) return;
  const { name, cert } = peer.contact;
  if (name === "") return;
  const { list, presented } = draft.conversation.devices;
  for (const { group, account } of unpresented) {
    const contentId = newContentId(draft);
    const content = encodeContent({
      kind: "member",
      id: contentId,
      time: nextTime(draft),
      group: asGroupId(bytesFrom(group)),
      name,
      cert,
      list,
    });
    const awaits = bytesToHex(contentId);
    post(draft, `account:${account}`, { kind: "deliver", awaits, content });
  }
  const to = new Set(unpresented.map(({ account }) => account));
  const fresh = [...to].filter((account) => !isPresented(draft, account)).map(bytesFrom);
  const room = PRESENTED_MAX * ACCOUNT_ID_BYTES;
  changeDevices(draft, {
    unpresented: [],
    presented: concatBytes(presented, ...fresh).slice(-room),
  });
}

/** Of somebody in a group: what the new record begins with. Undefined when it is not genuine. */
export async function memberIn(
  draft: Draft,
  { by, content }: PostOf<"presented">,
): Promise<
  | (Pick<Extract<Content, { kind: "member" }>, "name" | "cert" | "list"> & {
      readonly retired: boolean;
      readonly by: string;
    })
  | undefined
> {
  const decoded = decodeContent(content);
  if (!decoded.ok || decoded.value.kind !== "member") return undefined;
  const { name, cert, list } = decoded.value;
  const { crypto } = draft.env;
  if (!(await verifyDeviceCert(cert, crypto))) return undefined;
  const isSound = list !== undefined && (await verifyDeviceList(list, cert.rootKey, crypto));
  const known = isSound ? list : undefined;
  return { name, cert, by, list: known, retired: known !== undefined && !isCurrent(known, cert) };
}

/**
 * Somebody else in a group knows this account, too: ways may go through that one as well. Of one who is no member any
 * more nothing is needed once there is a session, and nothing more is taken.
 */
export function onPresented(draft: Draft, { by, former }: PostOf<"presented">): void {
  const { listed, devices } = draft.conversation;
  if (listed || devices.introducers.includes(by)) return;
  if (former && (openPeer(draft)?.sessions.length ?? 0) > 0) {
    drop(draft, "unlisted");
    return;
  }
  const introducers = [...devices.introducers, by].slice(-INTRODUCERS_MAX);
  changeDevices(draft, { introducers });
}

/** In the conversation with somebody known from groups alone. */
export async function onWay(draft: Draft, { by, content }: PostOf<"way">): Promise<void> {
  const decoded = decodeContent(content);
  const peer = openPeer(draft);
  if (!decoded.ok || decoded.value.kind !== "offer" || peer === undefined) {
    drop(draft, "unexpected");
    return;
  }
  const { listed, devices } = draft.conversation;
  if (listed || !devices.introducers.includes(by)) {
    drop(draft, "wrong-identity");
    return;
  }
  const { cert, way, device } = decoded.value;
  const isHere = isSameDevice(cert, peer.contact.cert);
  if (devices.list === undefined && isHere && bytesToHex(device) === nameOf(draft.self.cert)) {
    // Who has one device has no list that others know: it is the one that was introduced.
    const opened = await openWay(draft.self, cert, way, draft.env.crypto);
    if (opened === undefined) drop(draft, "wrong-identity");
    else useOffer(draft, { ...opened, receivedAt: draft.env.now });
    return;
  }
  await onOffer(draft, decoded.value);
}

/** The group has stored what came in this envelope. */
function onOpened(draft: Draft, { awaits, envelope, path }: PostOf<"opened">): void {
  const decoded = decodeGroupEnvelope(envelope);
  if (!decoded.ok || openPeer(draft) === undefined) return;
  const id = contentIdOf(awaits);
  remember(draft, markOf(decoded.value), id);
  oweReceipt(draft, id, path);
}

function onPass(draft: Draft, content: Uint8Array): void {
  const decoded = decodeContent(content);
  if (decoded.ok && decoded.value.kind === "offer") passOn(draft, decoded.value);
  else drop(draft, "unexpected");
}

/** The operation that a group begins with may still be on its way, or lost: whoever told of the group has all of it. */
async function askForGroup(draft: Draft, encoded: Uint8Array): Promise<void> {
  const { listed, devices } = draft.conversation;
  drop(draft, listed ? "unexpected" : "unlisted");
  const decoded = decodeContent(encoded);
  const { now } = draft.env;
  const { groupAskedAt, groupQuestions } = draft.live;
  if (!decoded.ok || !("group" in decoded.value) || decoded.value.kind === "heads") return;
  const { group } = decoded.value;
  if (!listed) {
    const name = bytesToHex(group);
    const others = devices.refusedGroups.filter((one) => one !== name);
    const refusedGroups = [...others, name].slice(-REFUSED_GROUPS_MAX);
    changeDevices(draft, { refusedGroups });
    return;
  }
  const pause = Math.min(REPAIR_PATIENCE_MS * 2 ** groupQuestions, ASK_AGAIN_MS);
  if (openPeer(draft) === undefined || isWithin(groupAskedAt, now, pause)) return;
  // There may be no room for the group, and no end of words about it.
  const isOften = isWithin(groupAskedAt, now, 2 * ASK_AGAIN_MS);
  const questions = isOften ? groupQuestions + 1 : 0;
  changeLive(draft, { groupAskedAt: now, groupQuestions: questions });
  await askForAll(draft, group);
}

async function askForAll(draft: Draft, group: GroupId): Promise<void> {
  const about = { id: newContentId(draft), time: nextTime(draft) };
  await enqueue(draft, { kind: "heads", ...about, group, heads: [] }, undefined);
}

/** The person knows this account from here on, not only from groups. */
export async function becomeListed(draft: Draft): Promise<void> {
  const { refusedGroups } = draft.conversation.devices;
  changeConversation(draft, { listed: true });
  if (refusedGroups.length === 0) return;
  changeDevices(draft, { refusedGroups: [] });
  if (openPeer(draft) === undefined) return;
  for (const group of refusedGroups) await askForAll(draft, asGroupId(bytesFrom(group)));
}

const isWithin = (at: Instant, now: Instant, ms: number): boolean => at <= now && now < at + ms;

/** Group posts for pairs and conversations. */
export async function onGroupPost(draft: Draft, what: GroupPost, { from }: PostRow): Promise<void> {
  switch (what.kind) {
    case "follow":
      onFollow(draft, from, what.on);
      return;
    case "deliver":
      await onDeliver(draft, what);
      return;
    case "present":
      onPresent(draft, what);
      return;
    case "presented":
      onPresented(draft, what);
      return;
    case "pass":
      onPass(draft, what.content);
      return;
    case "way":
      await onWay(draft, what);
      return;
    case "release":
      onRelease(draft, what, from);
      return;
    case "withdraw":
      onWithdraw(draft, what.group ?? from);
      return;
    case "opened":
      onOpened(draft, what);
      return;
    // Of no group that this device knows.
    case "arrived":
      if (what.again || isWithin(draft.live.strayAt, draft.env.now, REPAIR_PAUSE_MS)) {
        drop(draft, "unknown-session");
      } else {
        changeLive(draft, { strayAt: draft.env.now });
        post(draft, memberAddress(what.account, ""), { ...what, again: true });
      }
      return;
    case "told":
      await askForGroup(draft, what.content);
      return;
    case "roster":
    case "reached":
    case "stale":
      drop(draft, "unexpected");
  }
}
