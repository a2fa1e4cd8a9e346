/**
 * How conversations begin and what people do in them.
 * Owns: notes, inviting, accepting, writing, names. Leaves to outbox.ts: delivery.
 * Spec: SPEC.md §4.
 */
import {
  accountIdOf,
  createInviteBundle,
  deriveInviteKeys,
  initiate,
  NO_LIST_MARK,
  openInviteOffer,
  sealInviteOffer,
} from "@sotto/crypto";
import {
  ADDRESSES_MAX,
  asContentId,
  CONTENT_ID_BYTES,
  decodeBundle,
  encodeBundle,
  equalBytes,
  INVITE_SEED_BYTES,
  isName,
  type QueueAddress,
  TEXT_BYTES_MAX,
  utf8ToBytes,
} from "@sotto/wire";
import { tick } from "./clock.ts";
import {
  addMessage,
  changeConversation,
  changePeer,
  type Draft,
  drop,
  isOutboxFull,
  openPeer,
  orderKey,
} from "./draft.ts";
import { NO_DEVICES } from "./directory.ts";
import { contentIdOf, enqueue, refuse, sealWaiting } from "./outbox.ts";
import { carry } from "./pairs.ts";
import { areSameAddresses, newQueue, requestQueue } from "./queue.ts";
import { introduceAgain, NO_SPARES } from "./repair.ts";
import type { ConversationRecord, Instant, MessageRow, Peer } from "./ports.ts";
import type { Input } from "./step.ts";

export const newConversation = (id: string, peer: Peer, now: Instant): ConversationRecord => ({
  id,
  parent: undefined,
  listed: true,
  version: 0,
  peer,
  devices: NO_DEVICES,
  clock: { ms: 0, counter: 0 },
  createdAt: now,
  last: undefined,
  unread: 0,
});

export async function startInvite(
  draft: Draft,
  { expiresAt, parent }: Extract<Input, { kind: "start-invite" }>,
): Promise<void> {
  const { bundle, secrets } = await createInviteBundle(draft.self, draft.env);
  const queue = newQueue(draft);
  changeConversation(draft, {
    parent,
    peer: {
      state: "invited",
      invite: {
        ...secrets,
        seed: draft.env.entropy(INVITE_SEED_BYTES),
        bundle: encodeBundle(bundle),
        expiresAt,
        lifetimeMs: expiresAt - draft.env.now,
        published: false,
      },
      queue,
    },
  });
  requestQueue(draft, queue);
}

/**
 * The invite's time is over: the offer is withdrawn, and what was typed meanwhile has nobody to go to. A clock that was
 * set back prolongs it at most to its whole time from now on: its secrets end with it.
 */
export function expireInvite(draft: Draft): void {
  const { peer } = draft.conversation;
  if (peer.state !== "invited") return;
  const latest = draft.env.now + peer.invite.lifetimeMs;
  if (draft.env.now >= peer.invite.expiresAt) refuse(draft, peer.queue, "expired");
  else if (peer.invite.expiresAt > latest) {
    changeConversation(draft, { peer: { ...peer, invite: { ...peer.invite, expiresAt: latest } } });
  }
}

export function inviteWakeAt(draft: Draft): Instant | undefined {
  const { peer } = draft.conversation;
  return peer.state === "invited" ? peer.invite.expiresAt : undefined;
}

/** Leaves the conversation as it was, with a counted reason, when the offer is not the inviter's. */
export async function startAccept(
  draft: Draft,
  { invite, blob, parent }: Extract<Input, { kind: "start-accept" }>,
): Promise<boolean> {
  const { env, self } = draft;
  const offer = await openInviteOffer(invite.seed, blob, env.crypto);
  if (offer === undefined) {
    drop(draft, "malformed");
    return false;
  }
  const { bundle, addresses, name } = offer;
  // One's own account is linked as a device, and nobody else is.
  const isOwn = equalBytes(bundle.cert.rootKey, self.cert.rootKey);
  const isInviter = equalBytes(accountIdOf(bundle.cert.rootKey), invite.accountId);
  if (!isInviter || isOwn !== (parent !== undefined)) {
    drop(draft, "wrong-identity");
    return false;
  }
  const started = await initiate(self, bundle, env);
  if (started === undefined) {
    drop(draft, "wrong-identity");
    return false;
  }
  const queue = newQueue(draft);
  changeConversation(draft, {
    parent,
    peer: {
      state: "open",
      contact: {
        name,
        namedAt: { ms: 0, counter: 0 },
        cert: bundle.cert,
        addresses,
        addressedAt: { ms: 0, counter: 0 },
        sendSecret: env.entropy(32),
        verified: false,
      },
      queue,
      sessions: [started.session],
      inviteSeed: invite.seed,
      helloSeen: [],
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
  requestQueue(draft, queue);
  return true;
}

/** Asks for whatever the relay has not confirmed yet: the queue, then the offer. */
export async function askRelay(draft: Draft): Promise<void> {
  const { peer } = draft.conversation;
  if (peer.state !== "invited" && peer.state !== "open") return;
  if (peer.state === "open" && peer.retired) return;
  if (peer.queue.addresses.length === 0) requestQueue(draft, peer.queue);
  else if (peer.state === "invited" && !peer.invite.published) {
    await publishOffer(draft, peer);
  }
}

/** What the other side was told of where to answer is made to be this. */
export async function onQueueReady(draft: Draft, made: readonly QueueAddress[]): Promise<void> {
  const { peer } = draft.conversation;
  if (peer.state !== "invited" && peer.state !== "open") return;
  const addresses = made.slice(0, ADDRESSES_MAX);
  if (addresses.length === 0) return;
  const known = peer.queue.addresses;
  const queue = { ...peer.queue, addresses };
  if (peer.state === "invited") {
    const next = { ...peer, queue };
    if (!areSameAddresses(known, addresses)) {
      changeConversation(draft, { peer: next });
      // Whoever fetched an offer before this one is told as soon as it has answered.
      if (known.length > 0) await introduceAgain(draft);
    }
    // Also when it was known: a relay had lost the queue and made it again, and the offer was lost with it.
    await publishOffer(draft, next);
    return;
  }
  if (areSameAddresses(known, addresses)) return;
  if (known.length === 0) {
    await introduce(draft, { ...peer, queue });
    return;
  }
  // A way that was offered led to where this device may read no more.
  changePeer(draft, peer, { queue, offeredAt: 0 });
  if (!peer.retired) await introduceAgain(draft);
}

/** Tells the other side where to answer, before anything that waited. */
async function introduce(draft: Draft, peer: Extract<Peer, { state: "open" }>): Promise<void> {
  const time = tick(draft.conversation.clock, draft.env.now);
  const id = asContentId(draft.env.entropy(CONTENT_ID_BYTES));
  const waiting = draft.outbox;
  // With an address set, contents can be sealed: the introduction has to be the first.
  draft.outbox = [];
  changeConversation(draft, { peer, clock: time });
  const { name } = draft.self;
  const { addresses } = peer.queue;
  await enqueue(draft, { kind: "introduction", id, time, name, addresses }, undefined);
  draft.outbox = renumber(draft, waiting);
  await sealWaiting(draft);
}

/** Puts rows that waited behind the introduction. */
function renumber(draft: Draft, waiting: Draft["outbox"]): Draft["outbox"] {
  const first = draft.outbox.at(-1)?.sequence ?? 0;
  const moved = waiting.map((row, index) => ({ ...row, sequence: first + 1 + index }));
  for (const row of moved) draft.putOutbox.set(row.id, row);
  return [...draft.outbox, ...moved];
}

async function publishOffer(
  draft: Draft,
  peer: Extract<Peer, { state: "invited" }>,
): Promise<void> {
  const { seed } = peer.invite;
  const bundle = decodeBundle(peer.invite.bundle);
  if (!bundle.ok) {
    drop(draft, "malformed");
    return;
  }
  const { addresses } = peer.queue;
  const offer = { bundle: bundle.value, addresses, name: draft.self.name };
  const blob = await sealInviteOffer(seed, offer, draft.env);
  draft.effects.push({ kind: "publish", linkId: deriveInviteKeys(seed).linkId, blob });
}

export function onPublished(draft: Draft): void {
  const { peer } = draft.conversation;
  if (peer.state !== "invited" || peer.invite.published) return;
  changeConversation(draft, { peer: { ...peer, invite: { ...peer.invite, published: true } } });
}

/** The caller has checked the text; the outbox limit is answered with a counted reason. */
export async function sendText(draft: Draft, id: string, text: string): Promise<void> {
  const { conversation, self, env } = draft;
  const { peer } = conversation;
  if (text.length === 0 || utf8ToBytes(text).length > TEXT_BYTES_MAX || peer.state === "refused") {
    drop(draft, "malformed");
    return;
  }
  if (draft.known || draft.outbox.some((row) => row.awaits === id)) return;
  if (isOutboxFull(draft)) {
    drop(draft, "outbox-full");
    return;
  }
  const time = tick(conversation.clock, env.now);
  const row: MessageRow = {
    id,
    conversation: conversation.id,
    order: orderKey(time, accountIdOf(self.cert.rootKey), id),
    own: true,
    author: undefined,
    text,
    sentAt: env.now,
    receivedAt: env.now,
    status: peer.state === "notes" ? "delivered" : "queued",
    path: undefined,
  };
  changeConversation(draft, { clock: time });
  addMessage(draft, row);
  const content = { kind: "text", id: contentIdOf(id), time, text } as const;
  if (peer.state === "notes") carry(draft, content);
  else await enqueue(draft, content, row);
}

/** The own name changed: the other side is told. */
export async function onRename(draft: Draft, name: string): Promise<void> {
  if (!isName(name)) {
    drop(draft, "malformed");
    return;
  }
  const { state } = draft.conversation.peer;
  // Further pairs hear of it from the conversation.
  if (draft.conversation.parent !== undefined) return;
  // While invited it waits for the one who joins: the offer at the relay may carry the old name.
  if (state !== "open" && state !== "invited") return;
  const time = tick(draft.conversation.clock, draft.env.now);
  changeConversation(draft, { clock: time });
  const id = asContentId(draft.env.entropy(CONTENT_ID_BYTES));
  const queued = await enqueue(draft, { kind: "profile", id, time, name }, undefined);
  if (!queued) drop(draft, "outbox-full");
}

export function markVerified(draft: Draft, verified: boolean): void {
  const peer = openPeer(draft);
  if (peer === undefined || peer.contact.verified === verified) return;
  changePeer(draft, peer, { contact: { ...peer.contact, verified } });
}
