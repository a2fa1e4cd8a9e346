/**
 * When nothing opens any more: a new session from a bundle that the other side gave in advance, and everything
 * unconfirmed sent again under it. And what happens when somebody else answers in a contact's place.
 * Owns: spare bundles, when to begin anew, held conversations. Leaves to inbox.ts: opening; to outbox.ts: sealing.
 * Spec: SPEC.md §9.
 */
import {
  accept,
  createInviteBundle,
  helloKeyOf,
  initiate,
  isCurrent,
  isSameDevice,
  type ListMark,
  NO_LIST_MARK,
  openPlea,
  sealPlea,
  type Session,
  SESSIONS_MAX,
} from "@sotto/crypto";
import {
  asContentId,
  CONTENT_ID_BYTES,
  decodeBundle,
  type DeviceCert,
  encodeBundle,
  encodeDeviceCert,
  EnvelopeType,
  equalBytes,
  type HelloEnvelope,
  type PleaEnvelope,
  type PrekeyBundle,
} from "@sotto/wire";
import { tick, TIME_MS_MAX } from "./clock.ts";
import {
  changeConversation,
  changeDevices,
  changeLive,
  changePeer,
  type Draft,
  drop,
  areNoticesFull,
  type OpenPeer,
  openPeer,
} from "./draft.ts";
import {
  enqueue,
  enqueueSealed,
  HEARD_AFTER_MS,
  RESEND_AFTER_MS,
  sealAgain,
  supersede,
} from "./outbox.ts";
import type { Instant, OutboxRow, Spares } from "./ports.ts";

/** So long nothing of the other side's has opened before a new session is begun: the right one may be on its way. */
export const REPAIR_PATIENCE_MS = 5_000;
/** Between two new sessions of this device's. */
export const REPAIR_PAUSE_MS = 60_000;
/** A spare bundle is replaced after a week, so that a copied store does not open what is begun much later… */
export const SPARE_AGE_MS_MAX = 7 * 24 * 3_600_000;
/** …and its secrets are kept for 30 days more: the other side may have been away. */
export const SPARE_KEPT_MS = 30 * 24 * 3_600_000;
/** The person has so long to decide about somebody in a contact's place; what was held can be opened until then. */
export const CHANGE_KEPT_MS = 30 * 24 * 3_600_000;
/** Nothing signed says how old a bundle is: from when it came, so long its maker may have what it was made with. */
export const BUNDLE_AGE_MS_MAX = SPARE_AGE_MS_MAX + SPARE_KEPT_MS;
/** The newest spare bundle, and those before it that the other side may still have: one a week for SPARE_KEPT_MS. */
export const SPARES_MAX = 6;
/** HELLOs remembered, newest last. */
export const HELLOS_SEEN_MAX = 64;
/** Envelopes of somebody with another root key that wait for the person's decision. */
export const HELD_FRAMES_MAX = 16;

/** Between two pleas that nobody answered. */
export const PLEA_PAUSE_MS = 3_600_000;

export const NO_SPARES: Spares = { own: [], theirs: undefined, usedAt: 0, askedAt: 0, pleaAt: 0 };

/** Whether the other side can be given a bundle: once it has answered. */
function canOffer(draft: Draft): boolean {
  const peer = openPeer(draft);
  if (peer === undefined || peer.change !== undefined || areNoticesFull(draft)) return false;
  const [session] = peer.sessions;
  const isAnswered = session !== undefined && session.helloHeader === undefined;
  return !peer.retired && isAnswered && peer.queue.addresses.length > 0;
}

/** Gives the other side a bundle as soon as it has answered, and a new one when that was used or is old. */
export async function offerSpare(draft: Draft): Promise<void> {
  const peer = openPeer(draft);
  const { env } = draft;
  if (peer === undefined || !canOffer(draft)) return;
  const [newest] = peer.spares.own;
  if (newest !== undefined && env.now < newest.madeAt + SPARE_AGE_MS_MAX) return;
  const bundle = await addSpare(draft, peer);
  const time = tick(draft.conversation.clock, env.now);
  changeConversation(draft, { clock: time });
  const id = asContentId(env.entropy(CONTENT_ID_BYTES));
  await enqueue(draft, { kind: "spare", id, time, bundle }, undefined);
}

export async function addSpare(draft: Draft, peer: OpenPeer): Promise<PrekeyBundle> {
  const { env, self } = draft;
  const { bundle, secrets } = await createInviteBundle(self, env);
  const own = [{ secrets, madeAt: env.now }, ...peer.spares.own].slice(0, SPARES_MAX);
  changePeer(draft, peer, { spares: { ...peer.spares, own } });
  return bundle;
}

/**
 * Secrets that are kept no longer: after a newer bundle was given, or when for long none could be. And a bundle that the
 * other side has kept none for. A clock that was set back prolongs their time at most to what it is from now on.
 */
export function expireSpares(draft: Draft): void {
  let peer = openPeer(draft);
  if (peer === undefined) return;
  const { now } = draft.env;
  const { spares, change } = peer;
  if (change !== undefined) {
    if (change.at > now) changePeer(draft, peer, { change: { ...change, at: now } });
    if (now < change.at + CHANGE_KEPT_MS) return;
    // Nobody refused: what comes from there again, while its bundle has not ended, is asked about again.
    peer = changePeer(draft, peer, { change: undefined });
  }
  const made = spares.own.map((one) => (one.madeAt > now ? { ...one, madeAt: now } : one));
  const own = made.filter(({ madeAt }, index) => {
    const newer = made[index - 1];
    if (newer !== undefined) return now < newer.madeAt + SPARE_KEPT_MS;
    return now < madeAt + BUNDLE_AGE_MS_MAX || canOffer(draft);
  });
  let { theirs } = spares;
  if (isOver(theirs, now)) theirs = undefined;
  else if (theirs !== undefined && theirs.receivedAt > now) theirs = { ...theirs, receivedAt: now };
  const isSame = own.every((one) => spares.own.includes(one)) && theirs === spares.theirs;
  if (!isSame || own.length < spares.own.length) {
    changePeer(draft, peer, { spares: { ...spares, own, theirs } });
  }
}

/** Of what is received and kept: whether its time is over. */
export const isOver = (one: { readonly receivedAt: Instant } | undefined, now: Instant): boolean =>
  one !== undefined && now >= one.receivedAt + BUNDLE_AGE_MS_MAX;

/** The other side is ahead of all that this store has: nothing that it would open anew is sealed or sent by it. */
export async function forgetSessions(draft: Draft): Promise<void> {
  const peer = openPeer(draft);
  if (peer === undefined) return;
  changePeer(draft, peer, { sessions: [] });
  // Its contents come again, and are owed a receipt then.
  supersede(draft, (row) => row.awaits === undefined && row.envelope?.[0] !== EnvelopeType.plea);
  await sealAgain(draft);
}

/** Something came that no session opens. Somebody is there: a queue that was gone may have been made again. */
export function onUnopened(draft: Draft): void {
  const { now } = draft.env;
  if (draft.live.unopenedAt !== undefined) return;
  changeLive(draft, { unopenedAt: now, retryAt: Math.min(draft.live.retryAt, now) });
}

/** When a new session is begun, or asked for, if nothing opens before; undefined while there is no sign that it has to be. */
export function repairDueAt(draft: Draft): Instant | undefined {
  const peer = openPeer(draft);
  if (peer === undefined || peer.change !== undefined || peer.retired) return undefined;
  const { spares, queue, sessions, contact } = peer;
  if (queue.addresses.length === 0) return undefined;
  // Nobody has said yet where the other side reads (a plea does not): that comes with an offer, or with a HELLO for one.
  if (contact.addresses.length === 0) return undefined;
  const { now } = draft.env;
  const since = (at: Instant, pause: number): Instant => (at > now ? 0 : at + pause);
  const rested = Math.max(
    since(spares.usedAt, REPAIR_PAUSE_MS),
    spares.theirs === undefined ? since(spares.askedAt, PLEA_PAUSE_MS) : 0,
  );
  if (sessions.length === 0) return rested;
  const { unopenedAt } = draft.live;
  const signs = draft.outbox.map((row) => unheededAt(draft, row)).filter((at) => at !== undefined);
  if (unopenedAt !== undefined) signs.push(unopenedAt + REPAIR_PATIENCE_MS);
  return signs.length === 0 ? undefined : Math.max(Math.min(...signs), rested);
}

/**
 * The other side is there, took this from the relay long ago, and has neither confirmed it nor sent anything that
 * opens: it may be the one that cannot open, and have no spare bundle.
 */
function unheededAt({ live }: Draft, { relayedAt }: OutboxRow): Instant | undefined {
  if (relayedAt === undefined || live.openedAt >= relayedAt) return undefined;
  return live.heardAt >= relayedAt + HEARD_AFTER_MS ? relayedAt + RESEND_AFTER_MS : undefined;
}

/** Begins a new session when it is time, says so, and sends again what is not confirmed. */
export async function repair(draft: Draft): Promise<void> {
  const at = repairDueAt(draft);
  const peer = openPeer(draft);
  if (at === undefined || at > draft.env.now || peer === undefined) return;
  if (peer.spares.theirs === undefined) {
    await plead(draft, peer);
    return;
  }
  const bundle = decodeBundle(peer.spares.theirs.bundle);
  const started = bundle.ok ? await initiate(draft.self, bundle.value, draft.env) : undefined;
  const spares = { ...peer.spares, theirs: undefined, usedAt: draft.env.now };
  forgetUnopened(draft);
  if (started === undefined) {
    changePeer(draft, peer, { spares });
    drop(draft, "wrong-identity");
    return;
  }
  changePeer(draft, peer, { spares, sessions: withNew(peer.sessions, started.session) });
  await sealAgain(draft);
  await introduceAgain(draft);
}

/** What came is answered by what goes out now: also to a queue that was gone when it was tried before. */
const forgetUnopened = (draft: Draft): void =>
  changeLive(draft, {
    unopenedAt: undefined,
    retryAt: Math.min(draft.live.retryAt, draft.env.now),
  });

/** Without a spare of the other side's: it gets a fresh one of this device's, and is asked to begin. */
async function plead(draft: Draft, peer: OpenPeer): Promise<void> {
  const { env, self, conversation } = draft;
  // Later than everything this device ever said, whatever its clock says now.
  const at = Math.max(env.now, conversation.clock.ms + 1);
  const bundle = await addSpare(draft, peer);
  changeConversation(draft, { clock: { ms: at, counter: 0 } });
  changeSpares(draft, { askedAt: env.now });
  forgetUnopened(draft);
  supersede(draft, (row) => row.envelope?.[0] === EnvelopeType.plea);
  const envelope = await sealPlea(self, peer.contact.cert, { at, bundle }, env);
  enqueueSealed(draft, envelope);
}

/** The other side has no session left, and says with what to begin a new one: at once, but for the pause. */
export async function onPlea(draft: Draft, envelope: PleaEnvelope): Promise<void> {
  const peer = openPeer(draft);
  if (peer === undefined || peer.change !== undefined || peer.retired) {
    drop(draft, "unexpected");
    return;
  }
  const plea = await openPlea(draft.self, peer.contact.cert, envelope, draft.env.crypto);
  if (plea === undefined || plea.at > TIME_MS_MAX) {
    drop(draft, "unknown-session");
    return;
  }
  const { spares } = peer;
  if (
    plea.at <= spares.pleaAt ||
    (spares.theirs !== undefined && plea.at <= spares.theirs.time.ms)
  ) {
    drop(draft, "duplicate");
    // Or its clock was set back: then the bundle that is here is as good, and is used as for anything unopened.
    onUnopened(draft);
    return;
  }
  const time = { ms: plea.at, counter: 0 };
  const theirs = { bundle: encodeBundle(plea.bundle), time, receivedAt: draft.env.now };
  // Whoever asks has no bundle of ours: those that are out count as old, so that it is given a new one.
  const old = draft.env.now - SPARE_AGE_MS_MAX;
  const own = spares.own.map((one) => ({ ...one, madeAt: Math.min(one.madeAt, old) }));
  changeSpares(draft, { theirs, pleaAt: plea.at, own });
  // Whoever copied its keys can ask that, too: the person is told.
  const { news } = draft.conversation.devices;
  changeDevices(draft, { news: { ...news, anew: (news.anew ?? 0) + 1 } });
  changeLive(draft, {
    heardAt: draft.env.now,
    unopenedAt: draft.env.now - REPAIR_PATIENCE_MS,
    // Whoever asks is there, and reads where it always did.
    retryAt: Math.min(draft.live.retryAt, draft.env.now),
  });
}

function changeSpares(draft: Draft, change: Partial<Spares>): void {
  const peer = openPeer(draft);
  if (peer === undefined) return;
  changePeer(draft, peer, { spares: { ...peer.spares, ...change } });
}

/** With nothing unconfirmed there is still a HELLO to send, and whoever lost a session may have lost the address. */
export async function introduceAgain(draft: Draft): Promise<void> {
  const { peer } = draft.conversation;
  const addresses = "queue" in peer ? peer.queue.addresses : [];
  if (addresses.length === 0) return;
  const { env, self } = draft;
  const time = tick(draft.conversation.clock, env.now);
  changeConversation(draft, { clock: time });
  const id = asContentId(env.entropy(CONTENT_ID_BYTES));
  const content = {
    kind: "introduction",
    id,
    time,
    name: self.name,
    addresses,
  } as const;
  await enqueue(draft, content, undefined);
}

/** What a HELLO in an open conversation came to. */
export type Renewed =
  | { readonly kind: "renewed"; readonly content: Uint8Array; readonly mark: ListMark }
  | { readonly kind: "held" }
  | {
      readonly kind: "refused";
      readonly reason: "unexpected" | "unlisted" | "wrong-identity" | DropOf<typeof accept>;
    };

type DropOf<F extends (...args: never[]) => Promise<unknown>> = Extract<
  Awaited<ReturnType<F>>,
  { readonly ok: false }
>["reason"];

/**
 * The other side begins anew with a spare bundle of ours. The same person: the new session is there with the same
 * commit, and what is unconfirmed goes out again under it. Somebody else: nothing changes but that the person is
 * asked.
 */
export async function onNewHello(
  draft: Draft,
  peer: OpenPeer,
  hello: HelloEnvelope,
  blob: Uint8Array,
): Promise<Renewed> {
  const spare = peer.spares.own.find(
    ({ secrets }) =>
      secrets.signedPrekeyId === hello.signedPrekeyId && secrets.oneTimeId === hello.kemPrekeyId,
  );
  if (spare === undefined) return { kind: "refused", reason: "unexpected" };
  const accepted = await accept(draft.self, spare.secrets, hello, draft.env);
  if (!accepted.ok) return { kind: "refused", reason: accepted.reason };
  const { cert, session, content, mark } = accepted;
  const { contact } = peer;
  const isListed = isOfPair(draft, peer, cert);
  if (!equalBytes(cert.rootKey, contact.cert.rootKey)) {
    // Only the first pair with somebody asks people: a further one is with a device that a list names.
    if (draft.conversation.parent !== undefined) {
      return { kind: "refused", reason: "wrong-identity" };
    }
    hold(draft, peer, { cert, frames: [], at: draft.env.now }, blob);
    return { kind: "held" };
  }
  if (!isListed) return { kind: "refused", reason: "unlisted" };
  changePeer(draft, peer, {
    // The same account may have a new device key: the certificate says that the root key stands for it.
    contact: equalBytes(encodeDeviceCert(cert), encodeDeviceCert(contact.cert))
      ? contact
      : { ...contact, cert },
    sessions: withNew(peer.sessions, session),
    helloSeen: [...peer.helloSeen, helloKeyOf(hello)].slice(-HELLOS_SEEN_MAX),
    spares: {
      ...peer.spares,
      own: peer.spares.own.filter((one) => one !== spare),
      askedAt: 0,
    },
  });
  await sealAgain(draft);
  // Whoever begins anew may have an older store, which knows older addresses.
  await introduceAgain(draft);
  return { kind: "renewed", content, mark };
}

/** Of a listed account only the very device that this pair is with begins anew; before that, any of its account. */
function isOfPair({ conversation }: Draft, peer: OpenPeer, cert: DeviceCert): boolean {
  const { list } = conversation.devices;
  if (peer.retired) return false;
  if (conversation.parent === undefined && list === undefined) return true;
  return isSameDevice(cert, peer.contact.cert) && (list === undefined || isCurrent(list, cert));
}

/**
 * The new session sends. When both sides began at once, each has one that the other has not answered: both then
 * send on the one with the lower id.
 */
function withNew(sessions: readonly Session[], session: Session): readonly Session[] {
  const [front] = sessions;
  const isTie =
    !session.initiator && front !== undefined && front.initiator && front.helloHeader !== undefined;
  const ordered =
    isTie && isLower(front.id, session.id)
      ? [front, session, ...sessions.slice(1)]
      : [session, ...sessions];
  return ordered.slice(0, SESSIONS_MAX);
}

const isLower = (a: Uint8Array, b: Uint8Array): boolean => {
  const at = a.findIndex((byte, index) => byte !== b[index]);
  return at >= 0 && (a[at] ?? 0) < (b[at] ?? 0);
};

/** Keeps what came, and sends nothing more until the person has decided. */
function hold(
  draft: Draft,
  peer: OpenPeer,
  fresh: NonNullable<OpenPeer["change"]>,
  blob: Uint8Array,
): void {
  const isSame =
    peer.change !== undefined && equalBytes(peer.change.cert.rootKey, fresh.cert.rootKey);
  const change = isSame && peer.change !== undefined ? peer.change : fresh;
  if (change.frames.length >= HELD_FRAMES_MAX) return;
  if (change.frames.some((frame) => equalBytes(frame, blob))) return;
  changePeer(draft, peer, { change: { ...change, frames: [...change.frames, blob] } });
}

/** Its bundle is known to a stranger: it answers nobody any more, and the contact gets another one. */
function rejectChange(draft: Draft, peer: OpenPeer): void {
  const theirs = isOver(peer.spares.theirs, draft.env.now) ? undefined : peer.spares.theirs;
  changePeer(draft, peer, { change: undefined, spares: { ...peer.spares, own: [], theirs } });
}

/**
 * The person's decision about `rootKey`. A verified contact is only replaced by one whose safety number was compared.
 * Returns the envelopes that waited, to be taken in now.
 */
export function answerChange(
  draft: Draft,
  rootKey: Uint8Array,
  answer: "reject" | "accept" | "accept-compared",
): readonly Uint8Array[] {
  const peer = openPeer(draft);
  const change = peer?.change;
  if (peer === undefined || change === undefined || !equalBytes(change.cert.rootKey, rootKey)) {
    drop(draft, "unexpected");
    return [];
  }
  if (answer === "reject") {
    rejectChange(draft, peer);
    return [];
  }
  const compared = answer === "accept-compared";
  if (peer.contact.verified && !compared) {
    drop(draft, "unexpected");
    return [];
  }
  changePeer(draft, peer, {
    change: undefined,
    contact: {
      ...peer.contact,
      cert: change.cert,
      // Its introduction says where it reads: perhaps the same queue, which knows this device's send key.
      addresses: [],
      addressedAt: { ms: 0, counter: 0 },
      namedAt: { ms: 0, counter: 0 },
      verified: compared,
    },
    // Nothing is sealed for the one before any more; what is unconfirmed is sealed for the new one.
    sessions: [],
    owed: [],
    spares: { ...peer.spares, theirs: undefined },
    mark: NO_LIST_MARK,
    announced: 0,
  });
  // Nothing is known about where the new one is: it is asked at once.
  changeLive(draft, { presence: "unknown", probedAt: 0, signalSeen: 0, remotePeerId: undefined });
  return change.frames;
}
