/**
 * What comes in: open, recognise, store, owe a receipt. A bad frame is counted and acknowledged, never thrown.
 * Owns: duplicates and what each content changes. Leaves to outbox.ts: sending receipts; to presence.ts: signals.
 * Spec: SPEC.md §7.
 */
import { accept, decrypt, type Session, SESSIONS_MAX } from "@sotto/crypto";
import { helloKeyOf, type OpenFailure } from "@sotto/crypto";
import {
  bytesToHex,
  concatBytes,
  CONTENT_ID_BYTES,
  type Content,
  decodeContent,
  decodeEnvelope,
  encodeBundle,
  encodeDeviceCert,
  equalBytes,
  type HelloEnvelope,
  type MessageEnvelope,
  RECEIPT_IDS_MAX,
  TAG_BYTES,
} from "@sotto/wire";
import { accountIdOf } from "@sotto/crypto";
import { merge, TIME_MS_MAX } from "./clock.ts";
import {
  addMessage,
  changeConversation,
  changeLive,
  changePeer,
  compareTimes,
  type Draft,
  drop,
  type OpenPeer,
  openPeer,
  orderKey,
} from "./draft.ts";
import { sealWaiting, settle } from "./outbox.ts";
import type { MessageRow } from "./ports.ts";
import { onSignal } from "./presence.ts";
import { answerChange, NO_SPARES, onNewHello, onPlea, onUnopened } from "./repair.ts";
import type { Input, Source } from "./step.ts";

/** Contents remembered as received: more than a sender ever has under way (IN_FLIGHT_MAX, twice over two paths). */
export const RECEIVED_MAX = 512;
/** The tag, and enough of the nonce to tell a repetition from another message under the same key. */
const MARK_BYTES = TAG_BYTES + 4;
const RECEIVED_ENTRY_BYTES = MARK_BYTES + CONTENT_ID_BYTES;
const NO_CONTENT_ID = new Uint8Array(CONTENT_ID_BYTES);

export async function onFrame(draft: Draft, blob: Uint8Array, source: Source): Promise<void> {
  await takeFrame(draft, blob, source);
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
  changeConversation(draft, {
    peer: {
      state: "open",
      contact: {
        name: "",
        namedAt: { ms: 0, counter: 0 },
        cert: accepted.cert,
        addresses: [],
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
    },
  });
  onContent(draft, accepted.content, markOf(hello.message), source);
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
    drop(draft, renewed.reason);
    // Begun with a bundle that is gone here: the other side believes in a session that nobody has.
    if (renewed.reason === "unexpected") onUnopened(draft);
  } else if (renewed.kind === "held") drop(draft, "wrong-identity");
  else onContent(draft, renewed.content, markOf(hello.message), source);
}

/** The person has decided about an identity change: what waited for it comes in. */
export async function onAnswer(
  draft: Draft,
  { rootKey, answer }: Extract<Input, { kind: "answer-change" }>,
): Promise<void> {
  for (const frame of answerChange(draft, rootKey, answer)) {
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
    oweReceipt(draft, seen.slice(MARK_BYTES), source);
    return;
  }
  const opened = await openWithAny(draft, peer, envelope);
  if (!opened.ok) {
    drop(draft, opened.reason);
    // A key that was used for another message: the other side's ratchet went back, as one that is gone.
    const isReused = findReceived(peer.received, 0, envelope.tag) !== undefined;
    if (opened.reason === "unknown-session" || isReused) onUnopened(draft);
    return;
  }
  onContent(draft, opened.content, markOf(envelope), source);
}

/** Part of the prefix: type 1 | tag 8 | nonce 12. */
const markOf = ({ prefix }: MessageEnvelope): Uint8Array => prefix.slice(1, 1 + MARK_BYTES);

async function openWithAny(
  draft: Draft,
  peer: OpenPeer,
  envelope: MessageEnvelope,
): Promise<
  | { readonly ok: true; readonly content: Uint8Array }
  | { readonly ok: false; readonly reason: OpenFailure }
> {
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

function onContent(draft: Draft, bytes: Uint8Array, mark: Uint8Array, source: Source): void {
  // Whoever writes is there, and its queue answers for it again.
  changeLive(draft, {
    heardAt: draft.env.now,
    openedAt: draft.env.now,
    unopenedAt: undefined,
    retryAt: Math.min(draft.live.retryAt, draft.env.now),
  });
  const decoded = decodeContent(bytes);
  if (!decoded.ok || ("time" in decoded.value && decoded.value.time.ms > TIME_MS_MAX)) {
    remember(draft, mark, NO_CONTENT_ID);
    drop(draft, "malformed");
    return;
  }
  const content = decoded.value;
  if (content.kind === "receipt") {
    remember(draft, mark, NO_CONTENT_ID);
    for (const id of content.ids) settle(draft, bytesToHex(id));
    return;
  }
  const peer = openPeer(draft);
  if (peer === undefined) return;
  // The ring knows the newest; of older ones, and of own messages, only the store knows the ids.
  const isNew = !draft.known && findReceived(peer.received, MARK_BYTES, content.id) === undefined;
  remember(draft, mark, content.id);
  oweReceipt(draft, content.id, source);
  if (isNew) applyContent(draft, content, source);
  else drop(draft, "duplicate");
}

function applyContent(
  draft: Draft,
  content: Exclude<Content, { kind: "receipt" }>,
  source: Source,
): void {
  const peer = openPeer(draft);
  if (peer === undefined) return;
  changeConversation(draft, { clock: merge(draft.conversation.clock, content.time) });
  if (content.kind === "text") {
    const id = bytesToHex(content.id);
    const row: MessageRow = {
      id,
      conversation: draft.conversation.id,
      order: orderKey(content.time, accountIdOf(peer.contact.cert.rootKey), id),
      own: false,
      text: content.text,
      sentAt: Math.min(content.time.ms, draft.env.now),
      receivedAt: draft.env.now,
      status: "received",
      path: source.path,
    };
    addMessage(draft, row);
    if (!draft.live.wanted) {
      changeConversation(draft, { unread: draft.conversation.unread + 1 });
    }
    return;
  }
  if (content.kind === "spare") {
    takeSpare(draft, peer, content);
    return;
  }
  // Of several names or addresses the latest said counts, whatever order they arrive in;
  // but an introduction overtaken by a new name is still the only one that says where to write.
  if (compareTimes(content.time, peer.contact.namedAt) < 0) {
    if (content.kind === "introduction" && peer.contact.addresses.length === 0) {
      changePeer(draft, peer, { contact: { ...peer.contact, addresses: content.addresses } });
    }
    return;
  }
  const contact = { ...peer.contact, name: content.name, namedAt: content.time };
  changePeer(draft, peer, {
    contact:
      content.kind === "introduction" ? { ...contact, addresses: content.addresses } : contact,
  });
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
    spares: { ...peer.spares, theirs: { bundle: encodeBundle(bundle), time } },
  });
}

function remember(draft: Draft, mark: Uint8Array, id: Uint8Array): void {
  const peer = openPeer(draft);
  if (peer === undefined) return;
  const room = (RECEIVED_MAX - 1) * RECEIVED_ENTRY_BYTES;
  const kept = peer.received.subarray(Math.max(0, peer.received.length - room));
  changePeer(draft, peer, { received: concatBytes(kept, mark, id) });
}

/** The entry whose bytes at `offset` equal `part`. */
function findReceived(
  received: Uint8Array,
  offset: number,
  part: Uint8Array,
): Uint8Array | undefined {
  for (let at = received.length - RECEIVED_ENTRY_BYTES; at >= 0; at -= RECEIVED_ENTRY_BYTES) {
    const start = at + offset;
    if (equalBytes(received.subarray(start, start + part.length), part)) {
      return received.subarray(at, at + RECEIVED_ENTRY_BYTES);
    }
  }
  return undefined;
}

function oweReceipt(draft: Draft, id: Uint8Array, source: Source): void {
  const peer = openPeer(draft);
  if (peer === undefined || equalBytes(id, NO_CONTENT_ID)) return;
  const hex = bytesToHex(id);
  const { directOwed } = draft.live;
  if (source.path === "relay") {
    // Its sender thought the link too slow: the receipt must not depend on the link either.
    changeLive(draft, { directOwed: directOwed.filter((one) => one !== hex) });
  } else if (!peer.owed.includes(hex)) {
    changeLive(draft, { directOwed: [...directOwed, hex].slice(-RECEIPT_IDS_MAX) });
  }
  if (peer.owed.includes(hex)) return;
  // Beyond the limit the oldest is forgotten: its sender will ask again by sending again.
  changePeer(draft, peer, { owed: [...peer.owed, hex].slice(-RECEIPT_IDS_MAX) });
}
