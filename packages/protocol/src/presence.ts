/**
 * Who is there, and agreeing on a direct link. Everything here may get lost without harm.
 * Owns: signals, when to probe, who dials. Leaves to the transport: reservations and dialling.
 * Spec: SPEC.md §8.
 */
import { isOlderThan, openSignal, reachedIn, sealSignal, type Session } from "@sotto/crypto";
import { equalBytes, type Signal, type SignalEnvelope } from "@sotto/wire";
import { changeLive, type Draft, drop, openPeer } from "./draft.ts";
import { COPY_PAUSE_MS, LOST_PAUSE_MS } from "./outbox.ts";
import type { Instant } from "./ports.ts";
import { forgetSessions, onUnopened } from "./repair.ts";

/** While a conversation is on screen and not direct, the other side is asked this often whether it is there. */
export const PROBE_EVERY_MS = 25_000;
/** Pause before the next try at a direct link: doubles from the first to the last. */
export const NEGOTIATE_PAUSE_MS = 2_000;
export const NEGOTIATE_PAUSE_MS_MAX = 60_000;
/** In a new process, what is to be sealed waits so long for the other side's first signal. */
export const ECHO_PATIENCE_MS = 1_500;
/** Nothing is waited for any more. */
const ECHOED = 1;
/** There was no relay yet to ask through. */
const UNASKED = Number.POSITIVE_INFINITY;

export async function onSignal(draft: Draft, envelope: SignalEnvelope): Promise<void> {
  const opened = await openWithAny(draft, envelope);
  if (opened === undefined) {
    drop(draft, "unknown-session");
    // The other side may be in a session that this device does not know any more.
    onUnopened(draft);
    return;
  }
  const { session, signal } = opened;
  if (isOlderThan(session, signal.reached)) {
    drop(draft, "old-store");
    await forgetSessions(draft);
  }
  if (signal.counter <= draft.live.signalSeen) {
    drop(draft, "old-signal");
    // Repeated by somebody, or its clock was set back: it says nothing of now, but it may be there, and a queue of its
    // that was gone may have been made again.
    const { now } = draft.env;
    const { retryAt } = draft.live;
    const isGone = retryAt === Number.POSITIVE_INFINITY;
    changeLive(draft, { heardAt: now, retryAt: isGone ? now + LOST_PAUSE_MS : retryAt });
    return;
  }
  changeLive(draft, { signalSeen: signal.counter, heardAt: draft.env.now, echoUntil: ECHOED });
  if (signal.presence === "away") {
    changeLive(draft, { presence: "away", remotePeerId: undefined });
    return;
  }
  const cameBack = draft.live.presence !== "online";
  changeLive(draft, {
    presence: "online",
    retryAt: Math.min(draft.live.retryAt, draft.env.now),
    ...(cameBack ? { negotiateAt: draft.env.now, negotiations: 0 } : {}),
  });
  onDirectWish(draft, signal);
  if (signal.probe) await sendSignal(draft, { probe: false });
}

async function openWithAny(
  draft: Draft,
  envelope: SignalEnvelope,
): Promise<{ readonly session: Session; readonly signal: Signal } | undefined> {
  for (const session of openPeer(draft)?.sessions ?? []) {
    const signal = await openSignal(session, envelope, draft.env.crypto);
    if (signal !== undefined) return { session, signal };
  }
  return undefined;
}

/** The other side wants a link, or is ready for one. Going along costs a reservation, so it is always done. */
function onDirectWish(draft: Draft, signal: Signal): void {
  if (signal.direct === "none") return;
  if (draft.live.ownPeerId === undefined) draft.effects.push({ kind: "prepare-direct" });
  if (signal.direct !== "ready") return;
  const { remotePeerId } = draft.live;
  if (remotePeerId === undefined || !equalBytes(remotePeerId, signal.peerId)) {
    changeLive(draft, { remotePeerId: signal.peerId });
    draft.effects.push({ kind: "expect", peerId: signal.peerId });
  }
  dialIfDue(draft);
}

/** Of two ready devices the one with the lower peer id dials, so that they do not meet halfway. */
function dialIfDue(draft: Draft): void {
  const { ownPeerId, remotePeerId, direct } = draft.live;
  if (direct || ownPeerId === undefined || remotePeerId === undefined) return;
  if (isLower(ownPeerId, remotePeerId)) draft.effects.push({ kind: "dial", peerId: remotePeerId });
}

/** Own reservation held at `peerId`, or lost. */
export async function onReservation(draft: Draft, peerId: Uint8Array | undefined): Promise<void> {
  changeLive(draft, { ownPeerId: peerId });
  if (peerId === undefined) {
    postpone(draft);
    return;
  }
  await sendSignal(draft, { probe: true });
  dialIfDue(draft);
}

export function onDirect(draft: Draft, up: boolean): void {
  const wasUp = draft.live.direct;
  changeLive(draft, { direct: up, directSent: new Map(), directOwed: [], linkRetryAt: 0 });
  if (up) changeLive(draft, { presence: "online", negotiations: 0, echoUntil: ECHOED });
  else if (wasUp) changeLive(draft, { negotiateAt: draft.env.now + NEGOTIATE_PAUSE_MS });
  else postpone(draft);
}

export async function onHub(draft: Draft, up: boolean): Promise<void> {
  changeLive(draft, {
    hub: up,
    inFlight: [],
    copying: [],
    retryAt: 0,
    copyRetryAt: 0,
    goneAt: undefined,
  });
  if (!up) {
    changeLive(draft, {
      presence: draft.live.direct ? "online" : "unknown",
      remotePeerId: draft.live.direct ? draft.live.remotePeerId : undefined,
      ownPeerId: undefined,
    });
    return;
  }
  changeLive(draft, { negotiateAt: draft.env.now, negotiations: 0 });
  if (draft.live.echoUntil === UNASKED) {
    changeLive(draft, { echoUntil: canSignal(draft) ? draft.env.now + ECHO_PATIENCE_MS : ECHOED });
  }
  await sendSignal(draft, { probe: true });
}

/** The first step of a process: of what was said before it, the other side may know more than this store. */
export function beginEcho(draft: Draft): void {
  if (draft.live.echoUntil !== 0) return;
  const session = openPeer(draft)?.sessions[0];
  const isAnswered = session !== undefined && session.helloHeader === undefined;
  changeLive(draft, { echoUntil: isAnswered ? UNASKED : ECHOED });
}

export async function onWant(draft: Draft, wanted: boolean): Promise<void> {
  changeLive(draft, { wanted, negotiateAt: draft.env.now, negotiations: 0 });
  if (wanted && draft.live.presence !== "online") await sendSignal(draft, { probe: true });
}

/** The relay's answer to the last signal. */
export function onSignalled(draft: Draft, outcome: "ok" | "away"): void {
  if (outcome === "away" && !draft.live.direct) {
    changeLive(draft, { presence: "away", remotePeerId: undefined, echoUntil: ECHOED });
  }
}

export function onLeaving(draft: Draft): Promise<void> {
  changeLive(draft, { wanted: false });
  return sendSignal(draft, { probe: false, presence: "away" });
}

/** As `forgiveClock` of outbox.ts. */
export function forgiveContactClock(draft: Draft): void {
  const { env, live } = draft;
  changeLive(draft, {
    probedAt: Math.min(live.probedAt, env.now),
    negotiateAt: Math.min(live.negotiateAt, env.now + NEGOTIATE_PAUSE_MS_MAX),
    echoUntil:
      live.echoUntil === UNASKED ? UNASKED : Math.min(live.echoUntil, env.now + ECHO_PATIENCE_MS),
  });
}

/** Probes and negotiates when it is time. */
export async function keepContact(draft: Draft): Promise<void> {
  const { env, live } = draft;
  if (!canSignal(draft)) return;
  if (isNegotiationDue(draft) && env.now >= live.negotiateAt) {
    if (live.ownPeerId === undefined) draft.effects.push({ kind: "prepare-direct" });
    postpone(draft);
    await sendSignal(draft, { probe: true });
    dialIfDue(draft);
  } else if (
    isFirstProbeDue(draft) ||
    (isProbeDue(draft) && env.now >= live.probedAt + PROBE_EVERY_MS)
  ) {
    await sendSignal(draft, { probe: true });
  }
}

export function contactWakeAt(draft: Draft): Instant | undefined {
  const { live } = draft;
  if (!canSignal(draft)) return undefined;
  if (isNegotiationDue(draft)) return live.negotiateAt;
  return isProbeDue(draft) ? live.probedAt + PROBE_EVERY_MS : undefined;
}

/** Until its introduction, nobody knows where the other side reads; without a session there is nothing to seal with. */
const canSignal = (draft: Draft): boolean => {
  const peer = openPeer(draft);
  if (peer === undefined || peer.change !== undefined || peer.sessions.length === 0) return false;
  // Before its HELLO is out, nobody could open it; and the first thing that is sent takes the invite.
  if (peer.queue.addresses.length === 0) return false;
  return draft.live.hub && peer.contact.addresses.length > 0;
};

const isNegotiationDue = ({ live }: Draft): boolean =>
  live.wanted && !live.direct && live.presence === "online";

const isProbeDue = (draft: Draft): boolean =>
  !draft.live.direct && (draft.live.wanted || isCopyRefused(draft));

/** The other side became known while the relay was there already: nobody has asked it yet. */
const isFirstProbeDue = ({ live }: Draft): boolean =>
  live.probedAt === 0 && live.presence === "unknown";

/** Only the other side can tell whether it has what one relay took and no other takes, or its receipt is lost. */
const isCopyRefused = ({ live }: Draft): boolean =>
  live.probedAt < live.copyRetryAt - COPY_PAUSE_MS;

function postpone(draft: Draft): void {
  const { env, live } = draft;
  const pause = Math.min(NEGOTIATE_PAUSE_MS * 2 ** live.negotiations, NEGOTIATE_PAUSE_MS_MAX);
  changeLive(draft, {
    negotiateAt: env.now + pause,
    negotiations: Math.min(live.negotiations + 1, 16),
  });
}

async function sendSignal(
  draft: Draft,
  what: { readonly probe: boolean; readonly presence?: Signal["presence"] },
): Promise<void> {
  const { env, live } = draft;
  const session = openPeer(draft)?.sessions[0];
  if (!canSignal(draft) || session === undefined) return;
  const counter = Math.max(Math.floor(env.now), live.signalSent + 1);
  const signal: Signal = {
    counter,
    presence: what.presence ?? "online",
    probe: what.probe,
    ...directWish(draft),
    reached: reachedIn(session),
  };
  changeLive(draft, { signalSent: counter, ...(what.probe ? { probedAt: env.now } : {}) });
  draft.effects.push({ kind: "signal", blob: await sealSignal(session, signal, env) });
}

function directWish({ live }: Draft): Pick<Signal, "direct" | "peerId"> {
  if (live.ownPeerId !== undefined) return { direct: "ready", peerId: live.ownPeerId };
  return { direct: live.wanted ? "wanted" : "none", peerId: new Uint8Array(0) };
}

function isLower(a: Uint8Array, b: Uint8Array): boolean {
  for (let index = 0; index < Math.min(a.length, b.length); index++) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return a.length < b.length;
}
