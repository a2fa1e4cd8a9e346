/**
 * Several pairs for one conversation: what is written goes out over all of them, what comes in over any of them is
 * shown once. Records tell each other by posts, which are stored with the commit that makes them.
 * Owns: making further pairs and contacts, taking posts, handing contents up and texts down.
 * Leaves to devices.ts: which pairs there are; to inbox.ts and outbox.ts: one pair's own deliveries.
 * Spec: SPEC.md §10.
 */
import { accountIdOf, isCurrent, NO_LIST_MARK, verifyDeviceList } from "@sotto/crypto";
import {
  bytesToHex,
  type Content,
  decodeContent,
  type DeviceCert,
  encodeContent,
  equalBytes,
  INVITE_SEED_BYTES,
  isEncodedText,
} from "@sotto/wire";
import { accountAddress } from "./address.ts";
import { merge, TIME_MS_MAX } from "./clock.ts";
import { endPair, onList, onMark, tellAll } from "./devices.ts";
import { newContentId, nextTime, NO_DEVICES } from "./directory.ts";
import { onOffer, onReached, postponePair, spreadWay, useOffer } from "./ways.ts";
import {
  addMessage,
  changeConversation,
  changeDevices,
  changePeer,
  compareTimes,
  type Draft,
  drop,
  isOwnPair,
  isTextHeld,
  type OpenPeer,
  openPeer,
  orderKey,
  post,
  putOutbox,
} from "./draft.ts";
import { contentIdOf, enqueueEncoded, settleElsewhere } from "./outbox.ts";
import { onPostToGroup, startFromPage } from "./group.ts";
import { becomeListed, memberIn, onGroupPost } from "./group-pairs.ts";
import { tellGroup } from "./group-ways.ts";
import type { GroupPost } from "./group-ports.ts";
import { newQueue, requestQueue } from "./queue.ts";
import { answerNothing, isPastContent, onMet, onPastContent, placeAddress } from "./past.ts";
import { NO_SPARES } from "./repair.ts";
import { isReturned } from "./route.ts";
import type { DeviceOffer, MessageRow, OutboxRow, Path, PostRow } from "./ports.ts";

/** False when it begins nothing: the post is then taken by nobody. */
export async function startFromPost(draft: Draft, row: PostRow): Promise<boolean> {
  draft.takePosts.add(row.id);
  const { post: what } = row;
  if (what.kind === "begin") {
    changeConversation(draft, { parent: what.parent, listed: what.listed });
    beginPeer(draft, what.name, what.cert, what.offer);
    return true;
  }
  if (what.kind === "told") return startFromPage(draft, what, row);
  if (what.kind === "presented") return startMember(draft, what);
  const decoded = what.kind === "content" ? decodeContent(what.content) : undefined;
  if (decoded?.ok !== true || decoded.value.kind !== "contact") return false;
  await startContact(draft, decoded.value, row);
  return true;
}

/** Somebody who is in a group with this account, and is not shown. */
async function startMember(
  draft: Draft,
  what: Extract<GroupPost, { kind: "presented" }>,
): Promise<boolean> {
  const member = await memberIn(draft, what);
  // Taken, so that nothing is kept of what is not genuine.
  if (member === undefined) return false;
  const { name, cert, list, retired, by } = member;
  beginPeer(draft, name, cert, undefined, { verified: false, retired });
  const others = list?.devices.filter(({ id }) => !equalBytes(id, cert.deviceId)) ?? [];
  changeConversation(draft, { listed: false });
  changeDevices(draft, {
    list,
    introducers: [by],
    teller: what.teller,
    missing: others.map(({ id }) => ({ device: bytesToHex(id), since: 0 })),
  });
  return true;
}

/** Somebody whom another own device talks to. That device passes on how this one is reached. */
async function startContact(
  draft: Draft,
  { name, verified, cert, list }: Extract<Content, { kind: "contact" }>,
  { from }: PostRow,
): Promise<void> {
  const isSound =
    list !== undefined && (await verifyDeviceList(list, cert.rootKey, draft.env.crypto));
  const known = isSound ? list : undefined;
  const retired = known !== undefined && !isCurrent(known, cert);
  beginPeer(draft, name, cert, undefined, { verified, retired });
  const teller = draft.self.devices.links.find(({ conversation }) => conversation === from);
  const others = known?.devices.filter(({ id }) => !equalBytes(id, cert.deviceId)) ?? [];
  changeDevices(draft, {
    list: known,
    missing: others.map(({ id }) => ({ device: bytesToHex(id), since: 0 })),
    introduced:
      teller === undefined ? [] : [{ device: teller.device, version: known?.version ?? 0 }],
  });
}

function beginPeer(
  draft: Draft,
  name: string,
  cert: DeviceCert,
  offer: DeviceOffer | undefined,
  { verified, retired } = { verified: false, retired: false },
): void {
  const queue = newQueue(draft);
  const peer: OpenPeer = {
    state: "open",
    contact: {
      name,
      namedAt: { ms: 0, counter: 0 },
      cert,
      addresses: [],
      addressedAt: { ms: 0, counter: 0 },
      sendSecret: draft.env.entropy(32),
      verified,
    },
    queue,
    sessions: [],
    // No invite led here: nobody has this one.
    inviteSeed: draft.env.entropy(INVITE_SEED_BYTES),
    helloSeen: [],
    received: new Uint8Array(0),
    owed: [],
    spares: NO_SPARES,
    change: undefined,
    retired,
    mark: NO_LIST_MARK,
    announced: 0,
    offeredAt: 0,
  };
  changeConversation(draft, { peer });
  if (offer !== undefined) useOffer(draft, offer);
  if (!retired) requestQueue(draft, queue);
}

/** Taken with this step's commit, whatever becomes of it. */
export async function onPost(draft: Draft, row: PostRow): Promise<void> {
  draft.takePosts.add(row.id);
  draft.dirty = true;
  const { post: what, from } = row;
  if (isReturned(row, draft.conversation.id)) {
    if (what.kind === "content") await answerNothing(draft, what.content);
    drop(draft, "unexpected");
    return;
  }
  if (draft.conversation.peer.state === "group") {
    await onPostToGroup(draft, what, row);
    return;
  }
  switch (what.kind) {
    case "begin":
      // Else there is one of that id: it was begun by this very post.
      if (from === draft.conversation.id) postponePair(draft, row.to);
      return;
    case "offer":
      useOffer(draft, what.offer);
      return;
    case "send": {
      const queued =
        openPeer(draft) !== undefined && (await enqueueEncoded(draft, what.awaits, what.content));
      // A device that is away for so long catches up with its account's other devices.
      if (!queued) drop(draft, "outbox-full");
      return;
    }
    case "end":
      endPair(draft);
      return;
    case "listed":
      await becomeListed(draft);
      return;
    case "content":
      await onHandedUp(draft, what.content, what.path, row);
      return;
    case "settled": {
      const before = settleElsewhere(draft, what.awaits, what.path);
      if (before !== undefined) tellOwnDelivered(draft, before);
      return;
    }
    case "mark":
      onReached(draft, from);
      onMet(draft, from);
      await onMark(draft, what.mark, from);
      return;
    case "reach":
      await spreadWay(draft, what.device, what.content);
      return;
    default:
      await onGroupPost(draft, what, row);
  }
}

/** Somebody else is the contact from here on. */
export function endFurtherPairs(draft: Draft): void {
  for (const { conversation } of draft.conversation.devices.links)
    post(draft, conversation, { kind: "end" });
  changeConversation(draft, { devices: NO_DEVICES });
}

/** A content that this further pair has no use for itself. */
export function handUp(
  draft: Draft,
  content: Exclude<Content, { kind: "receipt" }>,
  path: Path,
): void {
  const { parent } = draft.conversation;
  const to = isOwnPair(draft) ? ownAddressOf(draft, content) : contactAddressOf(draft, content);
  if (parent === undefined || to === undefined) drop(draft, "unexpected");
  else post(draft, to, { kind: "content", content: encodeContent(content), path });
}

/** What another device of the contact's may say. */
const contactAddressOf = (
  { conversation: { parent } }: Draft,
  { kind }: Content,
): string | undefined =>
  kind === "text" || kind === "profile" || kind === "devices" || kind === "offer"
    ? parent
    : undefined;

/** What another device of this account may say, and to which conversation. */
function ownAddressOf({ conversation, self }: Draft, content: Content): string | undefined {
  const own = accountIdOf(self.cert.rootKey);
  const addressOf = (account: Uint8Array): string | undefined =>
    equalBytes(account, own) ? conversation.parent : accountAddress(account);
  switch (content.kind) {
    case "devices":
      return equalBytes(content.list.rootKey, self.cert.rootKey) ? conversation.parent : undefined;
    case "carried":
      return addressOf(content.account);
    case "contact":
      return addressOf(accountIdOf(content.cert.rootKey));
    case "ask-past":
    case "past":
      return placeAddress(content.place);
    case "offer":
      return equalBytes(content.account, own)
        ? addressOf(accountIdOf(content.cert.rootKey))
        : accountAddress(content.account);
    default:
      return undefined;
  }
}

async function onHandedUp(
  draft: Draft,
  bytes: Uint8Array,
  path: Path,
  { from }: PostRow,
): Promise<void> {
  const decoded = decodeContent(bytes);
  if (!decoded.ok || decoded.value.kind === "receipt") {
    drop(draft, "malformed");
    return;
  }
  const content = decoded.value;
  if (isPastContent(content)) {
    // Back in the pair's own record: there is no such group here.
    if (from === draft.conversation.id) await answerNothing(draft, bytes);
    else onPastContent(draft, content, from);
    return;
  }
  const own = draft.self.devices.links.find(({ conversation }) => conversation === from);
  const isOfContact = draft.conversation.devices.links.some((link) => link.conversation === from);
  // What contacts have about this account: lists and ways vouch for themselves.
  const isAboutOwn =
    draft.conversation.peer.state === "notes" &&
    (content.kind === "devices" || content.kind === "offer");
  if (own === undefined && !isOfContact && !isAboutOwn) {
    drop(draft, "unlisted");
    return;
  }
  changeConversation(draft, { clock: merge(draft.conversation.clock, content.time) });
  switch (content.kind) {
    case "text":
    case "profile":
      if (isOfContact) showContent(draft, content, path);
      else drop(draft, "unexpected");
      return;
    case "devices":
      await onList(draft, content.list, own === undefined && !isOfContact ? undefined : from);
      await tellAll(draft, from);
      return;
    case "offer":
      await onOffer(draft, content);
      return;
    case "contact":
      if (own !== undefined) await onContactAgain(draft, content, own.device);
      else drop(draft, "unexpected");
      return;
    case "carried":
      if (own !== undefined) onCarried(draft, content);
      else drop(draft, "unexpected");
      return;
    default:
      drop(draft, "unexpected");
  }
}

async function onContactAgain(
  draft: Draft,
  { list }: Extract<Content, { kind: "contact" }>,
  teller: string,
): Promise<void> {
  // The person knows somebody on another device who was known here from groups alone.
  if (!draft.conversation.listed) {
    await becomeListed(draft);
    for (const { conversation } of draft.conversation.devices.links) {
      post(draft, conversation, { kind: "listed" });
    }
  }
  const { introduced } = draft.conversation.devices;
  const others = introduced.filter(({ device }) => device !== teller);
  const before = introduced.find(({ device }) => device === teller)?.version ?? 0;
  const version = Math.max(before, list?.version ?? 0);
  changeDevices(draft, { introduced: [...others, { device: teller, version }] });
  if (list !== undefined && openPeer(draft) !== undefined) await onList(draft, list, undefined);
}

/** What the own account said from another device, and what of that arrived. */
function onCarried(draft: Draft, { content }: Extract<Content, { kind: "carried" }>): void {
  if (content.kind === "receipt") {
    for (const id of content.ids) draft.delivered.add(bytesToHex(id));
    return;
  }
  if (draft.known) {
    drop(draft, "duplicate");
    return;
  }
  const { self, conversation, env } = draft;
  const id = bytesToHex(content.id);
  if (content.time.ms > TIME_MS_MAX) {
    drop(draft, "malformed");
    return;
  }
  addMessage(draft, {
    id,
    conversation: conversation.id,
    order: orderKey(content.time, accountIdOf(self.cert.rootKey), id),
    own: true,
    author: undefined,
    text: content.text,
    sentAt: Math.min(content.time.ms, env.now),
    receivedAt: env.now,
    status: conversation.peer.state === "notes" ? "delivered" : "relayed",
    path: undefined,
  });
}

/** A text or a name of the contact's, whichever of its devices said it. */
export function showContent(
  draft: Draft,
  content: Extract<Content, { kind: "text" | "profile" }>,
  path: Path,
): void {
  const peer = openPeer(draft);
  if (peer === undefined) return;
  if (content.kind === "profile") {
    // Of several names the latest said counts, whatever order they arrive in.
    if (compareTimes(content.time, peer.contact.namedAt) < 0) return;
    const contact = { ...peer.contact, name: content.name, namedAt: content.time };
    changePeer(draft, peer, { contact });
    return;
  }
  if (!draft.conversation.listed) {
    // Known from groups alone: what is said outside them is not for this person.
    drop(draft, "unexpected");
    return;
  }
  if (draft.known) {
    drop(draft, "duplicate");
    return;
  }
  const id = bytesToHex(content.id);
  const row: MessageRow = {
    id,
    conversation: draft.conversation.id,
    order: orderKey(content.time, accountIdOf(peer.contact.cert.rootKey), id),
    own: false,
    author: undefined,
    text: content.text,
    sentAt: Math.min(content.time.ms, draft.env.now),
    receivedAt: draft.env.now,
    status: "received",
    path,
  };
  addMessage(draft, row);
  if (!draft.live.wanted) changeConversation(draft, { unread: draft.conversation.unread + 1 });
}

/** Hands what is new to the account's other devices and to the own ones. */
export function spread(draft: Draft): void {
  const { conversation, self } = draft;
  const peer = openPeer(draft);
  if (peer === undefined || peer.change !== undefined || isTextHeld(draft)) return;
  for (const row of draft.outbox) {
    if (row.spread || row.awaits === undefined || row.content === undefined) continue;
    for (const { conversation: to } of conversation.devices.links) {
      post(draft, to, { kind: "send", awaits: row.awaits, content: row.content });
    }
    if (self.devices.links.length > 0) carryText(draft, row.content);
    putOutbox(draft, { ...row, spread: true });
  }
}

/** Tells the own devices what was written here, and what of it arrived. */
export function carry(
  draft: Draft,
  carried: Extract<Content, { kind: "carried" }>["content"],
): void {
  const { self, conversation } = draft;
  const cert = conversation.peer.state === "open" ? conversation.peer.contact.cert : self.cert;
  for (const { conversation: to } of self.devices.links) {
    const id = newContentId(draft);
    const content = encodeContent({
      kind: "carried",
      id,
      time: nextTime(draft),
      account: accountIdOf(cert.rootKey),
      content: carried,
    });
    post(draft, to, { kind: "send", awaits: bytesToHex(id), content });
  }
}

function carryText(draft: Draft, encoded: Uint8Array): void {
  const decoded = decodeContent(encoded);
  if (decoded.ok && decoded.value.kind === "text") carry(draft, decoded.value);
}

/** In the conversation: the own devices hear that a text arrived. In a further pair: the conversation does. */
export function onSettled(draft: Draft, row: OutboxRow, path: Path): void {
  const { parent } = draft.conversation;
  if (row.group !== undefined) tellGroup(draft, "reached", row);
  else if (parent === undefined) tellOwnDelivered(draft, row);
  else if (row.awaits !== undefined && row.content !== undefined && isEncodedText(row.content)) {
    post(draft, parent, { kind: "settled", awaits: row.awaits, path });
  }
}

function tellOwnDelivered(draft: Draft, { message, awaits }: OutboxRow): void {
  if (message === undefined || awaits === undefined || message.status === "delivered") return;
  if (draft.self.devices.links.length === 0) return;
  carry(draft, { kind: "receipt", ids: [contentIdOf(awaits)] });
}
