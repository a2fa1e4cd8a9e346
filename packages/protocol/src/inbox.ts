/**
 * What comes in: open, recognise, store, owe a receipt. A bad frame is counted and acknowledged, never thrown.
 * Owns: duplicates and what each content changes. Leaves to outbox.ts: sending receipts; to presence.ts: signals.
 * Spec: SPEC.md §7.
 */
import {
  accept,
  accountIdOf,
  decrypt,
  helloKeyOf,
  isCurrent,
  type ListMark,
  NO_LIST_MARK,
  type OpenFailure,
  type Session,
  SESSIONS_MAX,
} from "@sotto/crypto";
import {
  bytesToHex,
  type Content,
  decodeContent,
  decodeEnvelope,
  decodeGroupEnvelope,
  encodeBundle,
  encodeDeviceCert,
  equalBytes,
  type HelloEnvelope,
  type MessageEnvelope,
} from "@sotto/wire";
import { merge, TIME_MS_MAX } from "./clock.ts";
import { answerRequest, linkOwn, onList, onMark, tellAll } from "./devices.ts";
import { onOffer } from "./ways.ts";
import {
  changeConversation,
  changeLive,
  changePeer,
  compareTimes,
  type Draft,
  drop,
  isOwnPair,
  type OpenPeer,
  openPeer,
  post,
} from "./draft.ts";
import { leaveGroups } from "./group-pairs.ts";
import { isGroupEnvelope, toGroup, toGroups } from "./group-ways.ts";
import { onAddresses, sealWaiting, settle } from "./outbox.ts";
import { endFurtherPairs, handUp, onSettled, showContent } from "./pairs.ts";
import { lookAgain } from "./past.ts";
import { onSignal } from "./presence.ts";
import { answerChange, NO_SPARES, onNewHello, onPlea, onUnopened } from "./repair.ts";
import {
  findReceived,
  MARK_BYTES,
  markOf,
  NO_CONTENT_ID,
  oweReceipt,
  remember,
} from "./received.ts";
import type { Input, Source } from "./step.ts";

export async function onFrame(draft: Draft, blob: Uint8Array, source: Source): Promise<void> {
  if (isGroupEnvelope(blob)) takeGroupFrame(draft, blob, source);
  else await takeFrame(draft, blob, source);
  // After the commit that `finish` puts first: what the relay forgets is stored or refused for good.
  if (source.path === "relay") draft.effects.push({ kind: "ack", sequence: source.sequence });
}

async function takeFrame(draft: Draft, blob: Uint8Array, source: Source): Promise<void> {
  const decoded = decodeEnvelope(blob);
  if (!decoded.ok) {
    drop(draft, "malformed");
    return;
  }
  const envelope = decoded.value;
  switch (envelope.type) {
    case "signal":
      await onSignal(draft, envelope);
      return;
    case "plea":
      await onPlea(draft, envelope);
      return;
    case "hello":
      await onHello(draft, envelope, blob, source);
      return;
    case "message":
      await onMessage(draft, envelope, source);
  }
}

/** A group's: which one's, and what is in it, is for the groups to say. */
function takeGroupFrame(draft: Draft, blob: Uint8Array, source: Source): void {
  const decoded = decodeGroupEnvelope(blob);
  const peer = openPeer(draft);
  if (!decoded.ok || peer === undefined) {
    drop(draft, decoded.ok ? "unexpected" : "malformed");
    return;
  }
  const seen = findReceived(peer.received, 0, markOf(decoded.value));
  if (seen === undefined) {
    toGroups(draft, blob, source.path);
    return;
  }
  drop(draft, "duplicate");
  oweReceipt(draft, seen.slice(MARK_BYTES), source.path);
}

async function onHello(
  draft: Draft,
  hello: HelloEnvelope,
  blob: Uint8Array,
  source: Source,
): Promise<void> {
  const { conversation, self, env } = draft;
  const { peer } = conversation;
  if (peer.state === "open") {
    if (isKnownHello(peer, hello)) await onMessage(draft, hello.message, source);
    else await onRenewal(draft, peer, hello, blob, source);
    return;
  }
  if (peer.state !== "invited") {
    const isLate = peer.state === "refused" && peer.reason === "expired";
    drop(draft, isLate ? "expired" : "unexpected");
    return;
  }
  const accepted = await accept(self, peer.invite, hello, env);
  if (!accepted.ok) {
    drop(draft, accepted.reason);
    return;
  }
  // As in `startAccept`: one's own account joins as a device, and only by an invite that was made for it.
  const isOwn = equalBytes(accepted.cert.rootKey, self.cert.rootKey);
  if (isOwn !== (conversation.parent !== undefined)) {
    drop(draft, "wrong-identity");
    return;
  }
  changeConversation(draft, {
    peer: {
      state: "open",
      contact: {
        name: "",
        namedAt: { ms: 0, counter: 0 },
        cert: accepted.cert,
        addresses: [],
        addressedAt: { ms: 0, counter: 0 },
        sendSecret: env.entropy(32),
        verified: false,
      },
      queue: peer.queue,
      sessions: [accepted.session],
      inviteSeed: peer.invite.seed,
      helloSeen: [helloKeyOf(hello)],
      received: new Uint8Array(0),
      owed: [],
      spares: NO_SPARES,
      change: undefined,
      retired: false,
      mark: NO_LIST_MARK,
      announced: 0,
      offeredAt: 0,
    },
  });
  // Who came back from the phrase leaves it to the one that knows the list: two histories would be a fork.
  const lists = accepted.mark.version === 0 || self.devices.lists.length > 0;
  if (isOwn) await linkOwn(draft, accepted.cert, lists);
  await onContent(draft, accepted, markOf(hello.message), source);
  await sealWaiting(draft);
}

async function onRenewal(
  draft: Draft,
  peer: OpenPeer,
  hello: HelloEnvelope,
  blob: Uint8Array,
  source: Source,
): Promise<void> {
  const renewed = await onNewHello(draft, peer, hello, blob);
  if (renewed.kind === "refused") {
    const { reason } = renewed;
    drop(draft, reason);
    // Begun with a bundle that is gone or damaged here: the other side believes in a session that nobody has.
    if (reason !== "unlisted" && reason !== "wrong-identity") onUnopened(draft);
  } else if (renewed.kind === "held") drop(draft, "wrong-identity");
  else await onContent(draft, renewed, markOf(hello.message), source);
}

/** The person has decided about an identity change: what waited for it comes in. */
export async function onAnswer(
  draft: Draft,
  { rootKey, answer }: Extract<Input, { kind: "answer-change" }>,
): Promise<void> {
  const before = openPeer(draft)?.contact.cert.rootKey;
  const frames = answerChange(draft, rootKey, answer);
  const after = openPeer(draft)?.contact.cert.rootKey;
  if (before !== undefined && after !== undefined && !equalBytes(before, after)) {
    leaveGroups(draft, bytesToHex(accountIdOf(before)));
    endFurtherPairs(draft);
  }
  // One of them says a text that is there: none is taken, or the decision could not be stored. Nobody has confirmed
  // them, so they come again, each in a step of its own.
  for (const frame of draft.known ? [] : frames) {
    await takeFrame(draft, frame, { path: "relay", sequence: 0n });
  }
}

const isKnownHello = (peer: OpenPeer, hello: HelloEnvelope): boolean => {
  const key = helloKeyOf(hello);
  return peer.helloSeen.some((seen) => equalBytes(seen, key));
};

async function onMessage(draft: Draft, envelope: MessageEnvelope, source: Source): Promise<void> {
  const peer = openPeer(draft);
  if (peer === undefined) {
    drop(draft, "unexpected");
    return;
  }
  const mark = markOf(envelope);
  const seen = findReceived(peer.received, 0, mark);
  if (seen !== undefined) {
    drop(draft, "duplicate");
    oweReceipt(draft, seen.slice(MARK_BYTES), source.path);
    return;
  }
  const opened = await openWithAny(draft, peer, envelope);
  if (!opened.ok) {
    drop(draft, opened.reason);
    // No repetition, so "duplicate" is a key that was used for another message, or a number past the end of its
    // chain: the other side's ratchet went back, and that is as bad as one that is gone.
    onUnopened(draft);
    return;
  }
  await onContent(draft, opened, markOf(envelope), source);
}

async function openWithAny(
  draft: Draft,
  peer: OpenPeer,
  envelope: MessageEnvelope,
): Promise<({ readonly ok: true } & Said) | { readonly ok: false; readonly reason: OpenFailure }> {
  let reason: OpenFailure = "unknown-session";
  for (const session of peer.sessions) {
    const opened = await decrypt(session, envelope, draft.env);
    if (opened.ok) {
      changePeer(draft, peer, { sessions: toFront(peer.sessions, session, opened.session) });
      return opened;
    }
    if (opened.reason !== "unknown-session") ({ reason } = opened);
  }
  return { ok: false, reason };
}

/** The session that decrypted last sends next. */
const toFront = (
  sessions: readonly Session[],
  before: Session,
  after: Session,
): readonly Session[] =>
  [after, ...sessions.filter((one) => one !== before)].slice(0, SESSIONS_MAX);

/** What an envelope had in it. */
interface Said {
  readonly content: Uint8Array;
  /** Which list of its account the sender knows. */
  readonly mark: ListMark;
}

async function onContent(
  draft: Draft,
  said: Said,
  mark: Uint8Array,
  source: Source,
): Promise<void> {
  // Whoever writes is there, and its queue answers for it again.
  changeLive(draft, {
    heardAt: draft.env.now,
    openedAt: draft.env.now,
    unopenedAt: undefined,
    retryAt: Math.min(draft.live.retryAt, draft.env.now),
  });
  await linkAnswered(draft, said.mark);
  const decoded = decodeContent(said.content);
  if (!decoded.ok || ("time" in decoded.value && decoded.value.time.ms > TIME_MS_MAX)) {
    remember(draft, mark, NO_CONTENT_ID);
    drop(draft, "malformed");
    return;
  }
  const content = decoded.value;
  if (content.kind === "receipt") {
    remember(draft, mark, NO_CONTENT_ID);
    for (const id of content.ids) {
      const settled = settle(draft, bytesToHex(id));
      if (settled !== undefined) onSettled(draft, settled, source.path);
    }
    await showMark(draft, said.mark);
    return;
  }
  const peer = openPeer(draft);
  if (peer === undefined) return;
  if (content.kind === "text" && !draft.conversation.listed) {
    // Known from groups alone, it says nothing here. Or an own device has yet to say that the person knows it: then it
    // comes again, as nobody has confirmed it.
    remember(draft, mark, NO_CONTENT_ID);
    drop(draft, "unexpected");
    await showMark(draft, said.mark);
    return;
  }
  // The ring knows the newest; of older ones, and of own messages, only the store knows the ids.
  const isNew = !draft.known && findReceived(peer.received, MARK_BYTES, content.id) === undefined;
  remember(draft, mark, content.id);
  oweReceipt(draft, content.id, source.path);
  if (isNew) await applyContent(draft, content, source);
  else drop(draft, "duplicate");
  // After the content: it may be the very list that the mark is of.
  await showMark(draft, said.mark);
}

/** The device whose invite this one took has answered, or one that was linked meanwhile has. */
async function linkAnswered(draft: Draft, mark: ListMark): Promise<void> {
  const peer = openPeer(draft);
  if (peer === undefined || !isOwnPair(draft)) return;
  const { cert } = peer.contact;
  const { links, lists } = draft.self.devices;
  const list = lists.at(-1);
  if (links.some(({ conversation }) => conversation === draft.conversation.id)) return;
  const isListed = list === undefined || isCurrent(list, cert);
  if (isListed || mark.version === 0) await linkOwn(draft, cert, !isListed);
}

/** What the device of this pair knows of its account's list, where it is another than before or no list is here. */
async function showMark(draft: Draft, mark: ListMark): Promise<void> {
  const peer = openPeer(draft);
  if (peer === undefined) return;
  const isSame = peer.mark.version === mark.version && equalBytes(peer.mark.prefix, mark.prefix);
  const { devices, parent } = draft.conversation;
  if (isSame && (parent !== undefined || devices.list !== undefined)) return;
  if (!isSame) changePeer(draft, peer, { mark });
  if (parent === undefined) {
    if (!isSame) lookAgain(draft);
    await onMark(draft, mark, undefined);
  } else post(draft, parent, { kind: "mark", mark });
}

async function applyContent(
  draft: Draft,
  content: Exclude<Content, { kind: "receipt" }>,
  source: Source,
): Promise<void> {
  const peer = openPeer(draft);
  if (peer === undefined) return;
  changeConversation(draft, { clock: merge(draft.conversation.clock, content.time) });
  switch (content.kind) {
    case "spare":
      takeSpare(draft, peer, content);
      return;
    case "introduction":
      takeIntroduction(draft, peer, content);
      return;
    case "request":
      await answerRequest(draft, content.since);
      return;
    case "page":
    case "key":
    case "heads":
    case "member":
      toGroup(draft, content);
      return;
    default:
  }
  if (draft.conversation.parent !== undefined) {
    handUp(draft, content, source.path);
    return;
  }
  switch (content.kind) {
    case "text":
    case "profile":
      showContent(draft, content, source.path);
      return;
    case "devices":
      await onList(draft, content.list, undefined);
      await tellAll(draft, draft.conversation.id);
      return;
    case "offer":
      await onOffer(draft, content);
      return;
    case "contact":
    case "carried":
    case "ask-past":
    case "past":
      drop(draft, "unexpected");
  }
}

/** Name and addresses each by the latest that said them: a newer name does not make older the only word on where to write. */
function takeIntroduction(
  draft: Draft,
  peer: OpenPeer,
  { name, time, addresses }: Extract<Content, { kind: "introduction" }>,
): void {
  const { contact } = peer;
  const isNamed = compareTimes(time, contact.namedAt) >= 0;
  const named = isNamed ? { name, namedAt: time } : {};
  const isOlder = compareTimes(time, contact.addressedAt) < 0;
  const addressed = isOlder ? {} : { addresses, addressedAt: time };
  changePeer(draft, peer, { contact: { ...contact, ...named, ...addressed } });
  if (!isOlder) onAddresses(draft, contact.addresses);
}

/** The latest counts, and only one of the very device this conversation is with. */
function takeSpare(
  draft: Draft,
  peer: OpenPeer,
  { bundle, time }: Extract<Content, { kind: "spare" }>,
): void {
  if (!equalBytes(encodeDeviceCert(bundle.cert), encodeDeviceCert(peer.contact.cert))) {
    drop(draft, "wrong-identity");
    return;
  }
  const { theirs } = peer.spares;
  if (theirs !== undefined && compareTimes(time, theirs.time) < 0) return;
  changePeer(draft, peer, {
    spares: {
      ...peer.spares,
      theirs: { bundle: encodeBundle(bundle), time, receivedAt: draft.env.now },
    },
  });
}
