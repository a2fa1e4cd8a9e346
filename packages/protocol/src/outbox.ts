/**
 * What waits to be delivered: sealing, choosing a path, trying again, settling.
 * Owns: the promise that a stored content reaches the other device or stays visible as waiting.
 * Leaves to inbox.ts: receipts that come in; to the shell: sockets.
 * Spec: SPEC.md §6.
 */
import { encrypt, listMark, type ListMark, NO_LIST_MARK } from "@sotto/crypto";
import {
  asContentId,
  bytesToHex,
  type Content,
  type DeviceList,
  encodeContent,
  ENVELOPE_ID_BYTES,
  hexToBytes,
  isEncodedText,
  type QueueAddress,
  RECEIPT_IDS_MAX,
} from "@sotto/wire";
import {
  changeConversation,
  changeLive,
  changePeer,
  deleteOutbox,
  type Draft,
  isTextHeld,
  type OpenPeer,
  openPeer,
  putMessage,
  putOutbox,
  raiseStatus,
} from "./draft.ts";
import { tellGroup } from "./group-ways.ts";
import type { Instant, MessageRow, OutboxRow, OwnQueue, Path, Peer } from "./ports.ts";
import { areSameAddresses, isSameAddress } from "./queue.ts";
import type { Input } from "./step.ts";
import { replacedBy } from "./topic.ts";

/** Envelopes at the relay or on a direct link without an answer; the rest waits. */
export const IN_FLIGHT_MAX = 64;
/** A direct envelope without a receipt for this long also goes through the relay. */
export const DIRECT_PATIENCE_MS = 3_000;
/** Pause after the relay did not answer. */
export const LOST_PAUSE_MS = 5_000;
/** Pause after the relay said that the other side's queue is full. */
export const QUOTA_PAUSE_MS = 60_000;
/** So long after the relay did not know the queue of someone who never answered, that is believed. */
export const GONE_PAUSE_MS = 30_000;
/** A second look so long after the first counts as a first one: no timer is so late, the clock has jumped. */
export const GONE_LATE_MS = 120_000;
/** What the relay took but nobody confirmed is offered again after this. */
export const RESEND_AFTER_MS = 3_600_000;
/** What one relay took and nobody confirmed is given to another one after this. */
export const COPY_AFTER_MS = 60_000;
/** Pause after a relay did not take a copy. */
export const COPY_PAUSE_MS = 60_000;
/** Copies at relays without an answer: beside IN_FLIGHT_MAX, so that a relay that is away holds nothing up. */
export const COPIES_MAX = 16;
/** When something of the other side's opened after it, a content is sealed anew after this: twice as late each time. */
export const RENEW_AFTER_MS = 120_000;
/** However old a content says it is, it is sealed anew this often: a clock that was put right makes all of them old. */
export const RENEW_AGE_MS_MAX = 24 * 3_600_000;
/** Numbers passed over for each hour without a first answer, at most AHEAD_MAX at once. */
const AHEAD_EACH = 8;
export const AHEAD_MAX = 64;
/** The other side has emptied its queue when it is heard so long after the relay took something. */
export const HEARD_AFTER_MS = 60_000;
/** A content stays unconfirmed for so long after a later one was: it was not just late. Doubles with its age. */
export const OVERTAKEN_MS = 10_000;
/** Receipts closer together than this become one. */
export const RECEIPT_GAP_MS = 200;
/** Receipts waiting for the relay; what is owed beyond them waits as `owed`. */
export const RECEIPT_ROWS_MAX = 64;
/** Pause after the direct link was full. */
export const LINK_PAUSE_MS = 1_000;
/** A content without a receipt goes over a direct link that is still up again after this. */
export const DIRECT_AGAIN_MS = 10_000;

/** False when the outbox is full: nothing was queued. */
export async function enqueue(
  draft: Draft,
  content: Exclude<Content, { kind: "receipt" }>,
  message: MessageRow | undefined,
): Promise<boolean> {
  const isForAll = content.kind === "text" || content.kind === "profile";
  const row = { awaits: bytesToHex(content.id), message, spread: !isForAll };
  return appendInPlace(draft, row, encodeContent(content));
}

/** As `enqueue`, for what was encoded elsewhere and is for this pair alone. */
export async function enqueueEncoded(
  draft: Draft,
  awaits: string,
  content: Uint8Array,
): Promise<boolean> {
  if (draft.outbox.some((row) => row.awaits === awaits)) return true;
  return appendInPlace(draft, { awaits, message: undefined, spread: true }, content);
}

/** Takes the place of what it makes old. */
async function appendInPlace(draft: Draft, about: About, content: Uint8Array): Promise<boolean> {
  const replaced = replacedBy(draft, content);
  if (replaced === undefined) return false;
  for (const { id } of replaced) forget(draft, id);
  await append(draft, about, content);
  return true;
}

/**
 * In a new process, before the other side could say how far it has read: the store may be an older one, put back, and
 * its keys have been used.
 */
const awaitsEcho = ({ env, live }: Draft): boolean => live.echoUntil > env.now;

/** Whether contents can be sealed: the other side is known, the same as ever, and was told where to answer. */
const canSeal = (draft: Draft): boolean => {
  const peer = openPeer(draft);
  return (
    peer !== undefined &&
    peer.change === undefined &&
    !peer.retired &&
    peer.sessions.length > 0 &&
    peer.queue.addresses.length > 0 &&
    !awaitsEcho(draft)
  );
};

/** Of an envelope that no relay has. */
const UNSENT = { relayedAt: undefined, copiedAt: undefined } as const;

type About = Pick<OutboxRow, "awaits" | "message" | "spread">;

const UNCONFIRMED: About = { awaits: undefined, message: undefined, spread: true };

async function append(draft: Draft, about: About, content: Uint8Array): Promise<void> {
  putOutbox(draft, { ...newRow(draft, about), content });
  await sealWaiting(draft);
}

export const newRow = (draft: Draft, about: About): OutboxRow => ({
  ...about,
  id: bytesToHex(draft.env.entropy(ENVELOPE_ID_BYTES)),
  conversation: draft.conversation.id,
  sequence: (draft.outbox.at(-1)?.sequence ?? 0) + 1,
  envelope: undefined,
  content: undefined,
  createdAt: draft.env.now,
  ...UNSENT,
  group: undefined,
  recipients: undefined,
});

/** What is worth nothing any more, whoever waits for it. */
export function supersede(draft: Draft, isOlder: (row: OutboxRow) => boolean): void {
  for (const row of draft.outbox) if (isOlder(row)) forget(draft, row.id);
}

/** What is sealed already and is not confirmed: the relay's OK settles it. */
export function enqueueSealed(draft: Draft, envelope: Uint8Array): void {
  putOutbox(draft, { ...newRow(draft, UNCONFIRMED), envelope });
}

/** Seals everything that has waited for a session, in order. */
export async function sealWaiting(draft: Draft): Promise<void> {
  if (!canSeal(draft)) return;
  for (const row of draft.outbox) {
    if (row.content === undefined || row.envelope !== undefined) continue;
    if (isTextHeld(draft) && isEncodedText(row.content)) continue;
    const envelope = await sealContent(draft, row.content);
    // The relay's OK settles a receipt; anything else may have to be sealed again.
    putOutbox(draft, {
      ...row,
      envelope,
      content: row.awaits === undefined ? undefined : row.content,
    });
  }
}

/**
 * What the other side must have got and still does not confirm could not be opened there: its key aged, or was
 * skipped away while the two paths ran apart. The same content goes out under a new key; the content id keeps
 * it from being shown twice.
 */
export async function renewStale(draft: Draft): Promise<void> {
  if (!canSeal(draft)) return;
  let isAhead = !isUnheard(draft);
  for (const row of draft.outbox) {
    const at = renewDueAt(draft, row);
    if (row.group !== undefined && at !== undefined && at <= draft.env.now) {
      complain(draft, row);
      continue;
    }
    if (row.content === undefined || at === undefined || at > draft.env.now) continue;
    if (!isAhead) await goAhead(draft, row, row.content);
    isAhead = true;
    const envelope = await sealContent(draft, row.content);
    const id = bytesToHex(draft.env.entropy(ENVELOPE_ID_BYTES));
    renew(draft, row, { ...row, id, envelope, ...UNSENT });
  }
}

/**
 * A store that was put back counts on from where it was, and the other side has had those numbers: before its first
 * answer it cannot say so. Some are passed over, more each time.
 */
async function goAhead(draft: Draft, { createdAt }: OutboxRow, content: Uint8Array): Promise<void> {
  const units = Math.max(0, draft.env.now - createdAt) / RESEND_AFTER_MS;
  const count = Math.min(AHEAD_MAX, Math.ceil(AHEAD_EACH * units));
  for (let made = 0; made < count; made++) await sealContent(draft, content);
}

const isUnheard = (draft: Draft): boolean =>
  openPeer(draft)?.sessions[0]?.helloHeader !== undefined;

/** Only the group can seal its message anew; it goes out again as it is meanwhile. */
function complain(draft: Draft, row: OutboxRow): void {
  tellGroup(draft, "stale", row);
  const id = bytesToHex(draft.env.entropy(ENVELOPE_ID_BYTES));
  renew(draft, row, { ...row, id, ...UNSENT });
}

/** Everything unconfirmed under the session that sends now, in its old order. */
export async function sealAgain(draft: Draft): Promise<void> {
  for (const row of draft.outbox) {
    if (row.content === undefined || row.envelope === undefined) continue;
    const id = bytesToHex(draft.env.entropy(ENVELOPE_ID_BYTES));
    renew(draft, row, { ...row, id, envelope: undefined, ...UNSENT });
  }
  await sealWaiting(draft);
}

/** Nobody is there to open what was sealed: texts wait for another device, the rest is void. */
export function unsealAll(draft: Draft): void {
  for (const row of draft.outbox) {
    if (row.content === undefined || row.message === undefined) forget(draft, row.id);
    else if (row.envelope !== undefined) {
      const id = bytesToHex(draft.env.entropy(ENVELOPE_ID_BYTES));
      renew(draft, row, { ...row, id, envelope: undefined, ...UNSENT });
    }
  }
}

/** When this row is sealed anew, if nothing settles it before; undefined while there is no sign that it has to be. */
function renewDueAt(draft: Draft, row: OutboxRow): Instant | undefined {
  const { env, live } = draft;
  if (row.envelope === undefined) return undefined;
  const overtakenAt = live.overtaken.get(row.id);
  // Looked at for each row in each step: nothing below is due before one of these.
  if (overtakenAt === undefined && row.relayedAt === undefined) return undefined;
  if (row.content === undefined) {
    if (row.group === undefined) return undefined;
  } else if (isTextHeld(draft) && isEncodedText(row.content)) return undefined;
  if (live.inFlight.includes(row.id) || !(live.direct || isRelayOpen(draft))) return undefined;
  const times: Instant[] = [];
  if (overtakenAt !== undefined) {
    const age = Math.min(RENEW_AGE_MS_MAX, overtakenAt - row.createdAt);
    times.push(overtakenAt + Math.max(OVERTAKEN_MS, age));
  }
  // A link that is up is a sign of life, too.
  const heardAt = live.direct ? env.now : live.heardAt;
  if (row.relayedAt !== undefined && heardAt >= row.relayedAt + HEARD_AFTER_MS) {
    times.push(relayDueAt(draft, row));
    // What lies at a relay that takes no copy either may be its receipt, and the one that took this knows the id.
    if (row.copiedAt === undefined && live.copyRetryAt > env.now) {
      times.push(row.relayedAt + Math.max(HEARD_AFTER_MS, row.relayedAt - row.createdAt));
    }
  }
  // Its ratchet works: unless this one was spoiled, it would have said that it has it.
  if (row.relayedAt !== undefined && live.openedAt >= row.relayedAt + HEARD_AFTER_MS) {
    const patience = Math.max(RENEW_AFTER_MS, row.relayedAt - row.createdAt);
    times.push(Math.min(row.relayedAt + patience, relayDueAt(draft, row)));
  }
  // Nobody has answered, and the relay knows this id: what it then forgot or spoiled would never come.
  if (row.relayedAt !== undefined && isUnheard(draft)) {
    const dueAt = relayDueAt(draft, row);
    if (hasDoubled(row, row.relayedAt, Math.max(env.now, dueAt))) times.push(dueAt);
  }
  return times.length === 0 ? undefined : Math.min(...times);
}

/**
 * Whether the row's age, in units of RESEND_AFTER_MS, has passed a power of two meanwhile, or a multiple of
 * RENEW_AGE_MS_MAX. Nobody knows it after the clock was set back.
 */
function hasDoubled({ createdAt }: OutboxRow, from: Instant, to: Instant): boolean {
  if (createdAt > to) return true;
  const [before, after] = [Math.max(0, from - createdAt), to - createdAt];
  if (Math.floor(after / RENEW_AGE_MS_MAX) > Math.floor(before / RENEW_AGE_MS_MAX)) return true;
  return Math.clz32(after / RESEND_AFTER_MS) < Math.clz32(before / RESEND_AFTER_MS);
}

/**
 * Keeps the place in the order of sending. The age of what was made before the clock was set back counts from here: it
 * would be young, and renewed often, until the clock is there again.
 */
function renew(draft: Draft, before: OutboxRow, renewed: OutboxRow): void {
  const after = { ...renewed, createdAt: Math.min(renewed.createdAt, draft.env.now) };
  const outbox = draft.outbox.map((one) => (one === before ? after : one));
  forget(draft, before.id);
  draft.outbox = outbox;
  putOutbox(draft, after);
}

async function sealContent(draft: Draft, content: Uint8Array): Promise<Uint8Array> {
  const peer = openPeer(draft);
  const [session, ...others] = peer?.sessions ?? [];
  if (peer === undefined || session === undefined) throw new RangeError("no session to seal with");
  const sealed = await encrypt(session, content, draft.env, {
    wide: draft.live.direct,
    mark: ownMark(draft),
  });
  changePeer(draft, peer, { sessions: [sealed.session, ...others] });
  return sealed.envelope;
}

const marks = new WeakMap<DeviceList, ListMark>();

/** What every message says about the own list. Hashed once per list. */
function ownMark({ self }: Draft): ListMark {
  const newest = self.devices.lists.at(-1);
  if (newest === undefined) return NO_LIST_MARK;
  const mark = marks.get(newest) ?? listMark(newest);
  marks.set(newest, mark);
  return mark;
}

/** A receipt named this content: it is on the other device. Returns the row that waited for it, as it was. */
export function settle(draft: Draft, contentId: string): OutboxRow | undefined {
  const row = draft.outbox.find((one) => one.awaits === contentId);
  if (row === undefined) return undefined;
  if (row.message !== undefined) {
    const path =
      row.relayedAt === undefined && draft.live.directSent.has(row.id) ? "direct" : "relay";
    putMessage(draft, { ...raiseStatus(row.message, "delivered", path), path });
  }
  forget(draft, row.id);
  markOvertaken(draft, row.sequence);
  return row;
}

/** Another device of the account has this text; its own pair told so. Returns the row, as it was. */
export function settleElsewhere(
  draft: Draft,
  contentId: string,
  path: Path,
): OutboxRow | undefined {
  const row = draft.outbox.find((one) => one.awaits === contentId);
  if (row?.message === undefined) return undefined;
  const message = raiseStatus(row.message, "delivered", path);
  if (message !== row.message) putMessage(draft, message);
  if (openPeer(draft)?.retired === true) forget(draft, row.id);
  else if (message !== row.message) putOutbox(draft, { ...row, message });
  return row;
}

function markOvertaken(draft: Draft, sequence: number): void {
  const { directSent } = draft.live;
  const overtaken = new Map(draft.live.overtaken);
  for (const row of draft.outbox) {
    if (row.awaits === undefined || row.sequence >= sequence || overtaken.has(row.id)) continue;
    const isOut = row.relayedAt !== undefined || (directSent.get(row.id) ?? 0) > 0;
    if (isOut) overtaken.set(row.id, draft.env.now);
  }
  if (overtaken.size > draft.live.overtaken.size) changeLive(draft, { overtaken });
}

/** What became of a `transmit` effect. */
export function onTransmitted(
  draft: Draft,
  { id, path, outcome, copy = false }: Extract<Input, { kind: "transmitted" }>,
): void {
  if (copy) {
    onCopied(draft, id, outcome === "ok");
    return;
  }
  if (path === "direct") {
    if (outcome !== "ok") onLinkFull(draft, id);
    return;
  }
  changeLive(draft, { inFlight: draft.live.inFlight.filter((one) => one !== id) });
  const row = draft.outbox.find((one) => one.id === id);
  switch (outcome) {
    case "ok":
      changeLive(draft, { goneAt: undefined });
      if (row !== undefined) onRelayed(draft, row);
      return;
    case "gone": {
      const peer = openPeer(draft);
      if (peer !== undefined && isUnanswered(peer)) onGoneUnanswered(draft, peer);
      else onGone(draft);
      return;
    }
    case "lost":
    case "quota": {
      const pause = outcome === "lost" ? LOST_PAUSE_MS : QUOTA_PAUSE_MS;
      changeLive(draft, { retryAt: draft.env.now + pause });
    }
  }
}

/** What one relay did not take says nothing about the other: only copies wait. */
function onCopied(draft: Draft, id: string, taken: boolean): void {
  changeLive(draft, { copying: draft.live.copying.filter((one) => one !== id) });
  const row = draft.outbox.find((one) => one.id === id);
  if (!taken) changeLive(draft, { copyRetryAt: draft.env.now + COPY_PAUSE_MS });
  else if (row !== undefined) putOutbox(draft, { ...row, copiedAt: draft.env.now });
}

/**
 * The other side reads elsewhere now, and perhaps at one of the old addresses no more: what was taken there and is
 * unconfirmed goes out again at once.
 */
export function onAddresses(draft: Draft, before: readonly QueueAddress[]): void {
  const addresses = openPeer(draft)?.contact.addresses ?? [];
  if (areSameAddresses(before, addresses)) return;
  changeLive(draft, { goneAt: undefined, retryAt: 0, copyRetryAt: 0 });
  const isKept = (one: QueueAddress): boolean => addresses.some((now) => isSameAddress(one, now));
  if (before.every(isKept)) return;
  for (const row of draft.outbox) {
    if (row.relayedAt !== undefined) putOutbox(draft, { ...row, ...UNSENT });
  }
}

function onRelayed(draft: Draft, row: OutboxRow): void {
  if (row.awaits === undefined) {
    forget(draft, row.id);
    return;
  }
  const message =
    row.message === undefined ? undefined : raiseStatus(row.message, "relayed", "relay");
  putOutbox(draft, { ...row, relayedAt: draft.env.now, message });
  if (message !== undefined && message !== row.message) putMessage(draft, message);
}

/** The other side's queue is no more. What waits is marked; a direct link may still deliver it. */
function onGone(draft: Draft): void {
  changeLive(draft, { retryAt: Number.POSITIVE_INFINITY });
  failWaiting(draft);
}

const isUnanswered = (peer: OpenPeer): boolean =>
  peer.spares.usedAt === 0 && peer.sessions.every((one) => one.initiator && one.turn === 0);

/**
 * The queue belongs to someone else: the invite was used before. Or the relay lost its disk, and the inviter
 * makes the queue again as soon as it notices: only a second look over the same connection tells.
 */
function onGoneUnanswered(draft: Draft, peer: OpenPeer): void {
  const { now } = draft.env;
  const { goneAt: seenAt = now } = draft.live;
  const goneAt = now < seenAt + GONE_LATE_MS ? seenAt : now;
  if (now >= goneAt + GONE_PAUSE_MS) refuse(draft, peer.queue, "gone");
  else changeLive(draft, { goneAt, retryAt: goneAt + GONE_PAUSE_MS });
}

/** Ends the conversation before it began: nobody reads or writes here any more. */
export function refuse(
  draft: Draft,
  { queueId }: OwnQueue,
  reason: Extract<Peer, { state: "refused" }>["reason"],
): void {
  failWaiting(draft);
  for (const row of draft.outbox) forget(draft, row.id);
  changeConversation(draft, { peer: { state: "refused", reason } });
  draft.effects.push({ kind: "close-queue", queueId });
}

function failWaiting(draft: Draft): void {
  for (const row of draft.outbox) {
    if (row.message === undefined) continue;
    const failed = raiseStatus(row.message, "failed", undefined);
    if (failed === row.message) continue;
    putOutbox(draft, { ...row, message: failed });
    putMessage(draft, failed);
  }
}

export function forget(draft: Draft, id: string): void {
  deleteOutbox(draft, id);
  const directSent = new Map(draft.live.directSent);
  directSent.delete(id);
  const overtaken = new Map(draft.live.overtaken);
  overtaken.delete(id);
  const inFlight = draft.live.inFlight.filter((one) => one !== id);
  const copying = draft.live.copying.filter((one) => one !== id);
  changeLive(draft, { directSent, overtaken, inFlight, copying });
}

function onLinkFull(draft: Draft, id: string): void {
  changeLive(draft, { linkRetryAt: draft.env.now + LINK_PAUSE_MS });
  if (!draft.live.directSent.has(id)) return;
  changeLive(draft, { directSent: new Map(draft.live.directSent).set(id, 0) });
}

/**
 * Says what is stored here, on the way it came: fire and forget over a direct link, because its sender tries
 * the relay when nothing comes back; through the relay the receipt waits in the outbox until it was taken.
 */
export async function sendReceipts(draft: Draft): Promise<void> {
  const peer = openPeer(draft);
  if (peer === undefined || peer.owed.length === 0 || !canSeal(draft)) return;
  if (draft.env.now < receiptsDueAt(draft) && peer.owed.length < RECEIPT_IDS_MAX) return;
  const overLink = peer.owed.filter((id) => isOverLink(draft, id));
  const overRelay = hasReceiptRoom(draft) ? peer.owed.filter((id) => !isOverLink(draft, id)) : [];
  if (overLink.length === 0 && overRelay.length === 0) return;
  const said = new Set([...overLink, ...overRelay]);
  changePeer(draft, peer, { owed: peer.owed.filter((id) => !said.has(id)) });
  changeLive(draft, { receiptAt: draft.env.now, directOwed: [] });
  if (overRelay.length > 0) await append(draft, UNCONFIRMED, receiptOf(overRelay));
  if (overLink.length === 0) return;
  const blob = await sealContent(draft, receiptOf(overLink));
  const id = bytesToHex(draft.env.entropy(ENVELOPE_ID_BYTES));
  draft.effects.push({ kind: "transmit", path: "direct", id, blob });
}

/** `owed` holds at most RECEIPT_IDS_MAX. */
const receiptOf = (ids: readonly string[]): Uint8Array =>
  encodeContent({ kind: "receipt", ids: ids.map(contentIdOf) });

/** While a full link rests, receipts take the relay as contents do: what follows must not overtake them by far. */
const isOverLink = ({ env, live }: Draft, id: string): boolean =>
  live.direct && env.now >= live.linkRetryAt && live.directOwed.includes(id);

const hasReceiptRoom = (draft: Draft): boolean =>
  draft.outbox.filter((row) => row.awaits === undefined).length < RECEIPT_ROWS_MAX;

const receiptsDueAt = (draft: Draft): Instant => draft.live.receiptAt + RECEIPT_GAP_MS;

/** Hands over what may go now, oldest first. */
export function flush(draft: Draft): void {
  const peer = openPeer(draft);
  if (peer === undefined || peer.change !== undefined || peer.retired) return;
  if (draft.live.direct && draft.env.now >= draft.live.linkRetryAt) flushDirect(draft);
  if (!isRelayOpen(draft)) return;
  if (draft.env.now >= draft.live.retryAt) flushRelay(draft);
  flushCopies(draft);
}

/** Whether anything can go through the relay: until its introduction, nobody knows where the other side reads. */
const isRelayOpen = (draft: Draft): boolean =>
  draft.live.hub && (openPeer(draft)?.contact.addresses.length ?? 0) > 0;

function flushDirect(draft: Draft): void {
  const sent = new Map(draft.live.directSent);
  for (const row of draft.outbox) {
    if (row.envelope === undefined || row.awaits === undefined || isEarly(draft, row)) continue;
    if ((directDueAt(draft, row, sent) ?? Infinity) > draft.env.now) continue;
    sent.set(row.id, draft.env.now);
    draft.effects.push({ kind: "transmit", path: "direct", id: row.id, blob: row.envelope });
  }
  changeLive(draft, { directSent: sent });
}

/** A group's message whose key cannot be sealed yet: nobody could open it. */
const isEarly = (draft: Draft, { group }: OutboxRow): boolean =>
  group !== undefined && !canSeal(draft);

/** When this row goes over the link; undefined while it waits behind a full window. */
function directDueAt(
  draft: Draft,
  row: OutboxRow,
  sent: ReadonlyMap<string, Instant>,
): Instant | undefined {
  const sentAt = sent.get(row.id);
  if (sentAt !== undefined && sentAt > 0) return sentAt + DIRECT_AGAIN_MS;
  return sentAt === 0 || sent.size < IN_FLIGHT_MAX ? draft.live.linkRetryAt : undefined;
}

function flushRelay(draft: Draft): void {
  const inFlight = [...draft.live.inFlight];
  for (const row of draft.outbox) {
    if (inFlight.length >= IN_FLIGHT_MAX) break;
    if (row.envelope === undefined || inFlight.includes(row.id) || isEarly(draft, row)) continue;
    if (relayDueAt(draft, row) > draft.env.now) continue;
    inFlight.push(row.id);
    const { id, envelope: blob } = row;
    draft.effects.push({ kind: "transmit", path: "relay", id, blob, copy: false });
  }
  changeLive(draft, { inFlight });
}

/** In turn: what a relay that is away refuses again and again keeps no other from a relay that is there. */
function flushCopies(draft: Draft): void {
  const copying = [...draft.live.copying];
  let { copiedTo } = draft.live;
  const before = (row: OutboxRow): boolean => row.sequence <= draft.live.copiedTo;
  for (const row of [
    ...draft.outbox.filter((one) => !before(one)),
    ...draft.outbox.filter(before),
  ]) {
    if (copying.length >= COPIES_MAX) break;
    const { id, envelope: blob } = row;
    const at = copyDueAt(draft, row);
    if (blob === undefined || at === undefined || at > draft.env.now) continue;
    copying.push(id);
    copiedTo = row.sequence;
    draft.effects.push({ kind: "transmit", path: "relay", id, blob, copy: true });
  }
  changeLive(draft, { copying, copiedTo });
}

/**
 * When another relay is given this, too, if nothing settles it before: the one that took it may be gone with it.
 * Undefined for what needs no copy: one is enough, and what nobody confirms (a receipt) comes anew when it was lost.
 */
function copyDueAt({ conversation, env, live }: Draft, row: OutboxRow): Instant | undefined {
  const { id, awaits, relayedAt, copiedAt, envelope } = row;
  if (envelope === undefined || awaits === undefined) return undefined;
  if (relayedAt === undefined || copiedAt !== undefined) return undefined;
  const { peer } = conversation;
  if (peer.state !== "open" || peer.contact.addresses.length < 2) return undefined;
  if (live.copying.includes(id) || live.inFlight.includes(id)) return undefined;
  const dueAt = relayedAt > env.now ? 0 : relayedAt + COPY_AFTER_MS;
  return Math.max(dueAt, live.copyRetryAt);
}

/** When this row goes to the relay, if nothing settles it before. */
function relayDueAt(draft: Draft, row: OutboxRow): Instant {
  const { now } = draft.env;
  // Later than now: the clock was set back, and says nothing about when the relay took it.
  if (row.relayedAt !== undefined) return row.relayedAt > now ? 0 : row.relayedAt + RESEND_AFTER_MS;
  const { direct, directSent } = draft.live;
  if (!direct || row.awaits === undefined) return 0;
  const sentAt = directSent.get(row.id);
  if (sentAt !== undefined) return sentAt === 0 ? 0 : sentAt + DIRECT_PATIENCE_MS;
  // It waits behind a full window: the patience with the oldest one there frees it too.
  const since = directSent.size < IN_FLIGHT_MAX ? now : Math.min(...directSent.values());
  return since + DIRECT_PATIENCE_MS;
}

/** After the clock was set back, nothing may wait for its old reading to come again. */
export function forgiveClock(draft: Draft): void {
  const { now } = draft.env;
  const { live } = draft;
  const pulledIn = (times: ReadonlyMap<string, Instant>): ReadonlyMap<string, Instant> =>
    [...times.values()].some((at) => at > now)
      ? new Map(Array.from(times, ([id, at]) => [id, Math.min(at, now)]))
      : times;
  changeLive(draft, {
    directSent: pulledIn(live.directSent),
    overtaken: pulledIn(live.overtaken),
    receiptAt: Math.min(live.receiptAt, now),
    openedAt: Math.min(live.openedAt, now),
    unopenedAt: live.unopenedAt === undefined ? undefined : Math.min(live.unopenedAt, now),
    linkRetryAt: Math.min(live.linkRetryAt, now + LINK_PAUSE_MS),
    goneAt: live.goneAt === undefined ? undefined : Math.min(live.goneAt, now),
    copyRetryAt: Math.min(live.copyRetryAt, now + COPY_PAUSE_MS),
    // Infinity stays: the other side's queue is no more, whatever the time.
    retryAt: Number.isFinite(live.retryAt)
      ? Math.min(live.retryAt, now + QUOTA_PAUSE_MS)
      : live.retryAt,
  });
}

/** When this file next has something to do without an input; undefined when it has not. */
export function outboxWakeAt(draft: Draft): Instant | undefined {
  const times: Instant[] = [];
  const { live } = draft;
  const peer = openPeer(draft);
  if (peer === undefined || peer.change !== undefined || peer.retired) return undefined;
  const canSay = hasReceiptRoom(draft) || peer.owed.some((id) => isOverLink(draft, id));
  if (peer.owed.length > 0 && canSeal(draft) && canSay) times.push(receiptsDueAt(draft));
  if (canSeal(draft)) {
    for (const row of draft.outbox) {
      const at = renewDueAt(draft, row);
      if (at !== undefined) times.push(at);
    }
  }
  if (live.direct) {
    for (const row of draft.outbox) {
      if (row.envelope === undefined || row.awaits === undefined || isEarly(draft, row)) continue;
      const at = directDueAt(draft, row, live.directSent);
      if (at !== undefined) times.push(Math.max(at, live.linkRetryAt));
    }
  }
  if (awaitsEcho(draft)) times.push(live.echoUntil);
  if (isRelayOpen(draft) && live.inFlight.length < IN_FLIGHT_MAX) {
    for (const row of draft.outbox) {
      if (row.envelope === undefined || live.inFlight.includes(row.id)) continue;
      if (isEarly(draft, row)) continue;
      times.push(Math.max(relayDueAt(draft, row), live.retryAt));
    }
  }
  if (isRelayOpen(draft) && live.copying.length < COPIES_MAX) {
    const due = draft.outbox.map((row) => copyDueAt(draft, row));
    times.push(...due.filter((at) => at !== undefined));
  }
  const earliest = Math.min(...times);
  return Number.isFinite(earliest) ? earliest : undefined;
}

/** Message ids in this package are hex that this package or wire made; anything else is a bug. */
export function contentIdOf(hex: string): ReturnType<typeof asContentId> {
  const bytes = hexToBytes(hex);
  if (bytes === undefined) throw new RangeError("message id is not hex");
  return asContentId(bytes);
}
