/**
 * The engine: one conversation's state and one input in, the next state and what to do out.
 * Owns: the order of things within a step. Leaves to the shell: everything that touches the world.
 * Spec: SPEC.md §3.
 */
import {
  askRelay,
  expireInvite,
  inviteWakeAt,
  markVerified,
  newConversation,
  onPublished,
  onQueueReady,
  onRename,
  sendText,
  startAccept,
  startInvite,
} from "./conversation.ts";
import { announce, answerFork, askAgain, listsWakeAt, onRemoveDevice } from "./devices.ts";
import {
  introduceContact,
  linkMissing,
  offerWay,
  passOffers,
  passOwn,
  waysWakeAt,
} from "./ways.ts";
import {
  changeConversation,
  changeDevices,
  createDraft,
  type Draft,
  finish,
  openPeer,
} from "./draft.ts";
import { groupWakeAt, keepGroup, onGroupInput, sendToGroup, startGroup } from "./group.ts";
import { presentWaiting, tellGroups } from "./group-pairs.ts";
import { onAnswer, onFrame } from "./inbox.ts";
import {
  flush,
  forgiveClock,
  onTransmitted,
  outboxWakeAt,
  renewStale,
  sealWaiting,
  sendReceipts,
} from "./outbox.ts";
import { onPost, spread, startFromPost } from "./pairs.ts";
import { askPast, noteLate, onMergeMessages, onPastRead, pastWakeAt } from "./past.ts";
import type { Env, MessageId, Slice } from "./ports.ts";
import {
  beginEcho,
  contactWakeAt,
  forgiveContactClock,
  keepContact,
  onDirect,
  onHub,
  onLeaving,
  onReservation,
  onSignalled,
  onWant,
} from "./presence.ts";
import { expireSpares, offerSpare, repair, repairDueAt } from "./repair.ts";
import type { Input, Stepped } from "./step.ts";

/** A wake never comes sooner than this, so that a step that can do nothing cannot spin. */
export const WAKE_MIN_MS = 50;
/** Nor later: a wall clock may be set meanwhile, and timers of browsers end at 24 days. */
export const WAKE_MAX_MS = 24 * 3_600_000;

/**
 * What to step with after the store answered `known`: the same input, and that there is a message of its id.
 * It is then a duplicate.
 */
export function asKnown(input: Input): Input {
  switch (input.kind) {
    case "frame":
    case "send-text":
    case "post":
    case "answer-change":
      return { ...input, known: true };
    default:
      return input;
  }
}

/** The same for `taken`: what this input brings under one of these ids is shown beside the message that has it. */
export function asTaken(input: Input, taken: readonly MessageId[]): Input {
  switch (input.kind) {
    case "frame":
    case "post":
    case "answer-change":
      return { ...input, taken };
    default:
      // Nobody can have used the id of an own text before it was written.
      return asKnown(input);
  }
}

/**
 * Never rejects for anything the network or a person can cause: that becomes a `dropped` effect.
 * Rejects when the crypto back-end or the caller fails; the slice passed in is then still the truth.
 */
export async function step(slice: Slice, input: Input, env: Env): Promise<Stepped> {
  const draft = begin(slice, input, env);
  if (draft === undefined) {
    return { slice, effects: [{ kind: "dropped", reason: "unexpected" }] };
  }
  forgiveClock(draft);
  forgiveContactClock(draft);
  beginEcho(draft);
  expireInvite(draft);
  expireSpares(draft);
  const goesOn = await apply(draft, input);
  if (!goesOn) return { slice, effects: draft.effects };
  await repair(draft);
  await renewStale(draft);
  await sendReceipts(draft);
  await offerSpare(draft);
  await announce(draft);
  await askAgain(draft);
  introduceContact(draft);
  linkMissing(draft);
  await offerWay(draft);
  await passOffers(draft);
  await passOwn(draft);
  presentWaiting(draft);
  tellGroups(draft);
  await keepGroup(draft);
  noteLate(draft);
  askPast(draft);
  spread(draft);
  await sealWaiting(draft);
  flush(draft);
  await keepContact(draft);
  const times = [
    outboxWakeAt(draft),
    contactWakeAt(draft),
    inviteWakeAt(draft),
    repairDueAt(draft),
    // Secrets end (§9), a day late at most.
    openPeer(draft) === undefined ? undefined : env.now + WAKE_MAX_MS,
    listsWakeAt(draft),
    waysWakeAt(draft),
    groupWakeAt(draft),
    pastWakeAt(draft),
  ].filter((at) => at !== undefined);
  if (times.length > 0) {
    const earliest = env.now + WAKE_MIN_MS;
    const at = Math.min(Math.max(Math.min(...times), earliest), env.now + WAKE_MAX_MS);
    draft.effects.push({ kind: "wake", at });
  }
  return finish(draft);
}

function begin(slice: Slice, input: Input, env: Env): Draft | undefined {
  const isStart =
    input.kind === "start-notes" ||
    input.kind === "start-invite" ||
    input.kind === "start-accept" ||
    input.kind === "start-group" ||
    input.kind === "start-post";
  if (slice.conversation !== undefined) {
    const stored = { known: "known" in input, taken: new Set("taken" in input ? input.taken : []) };
    return isStart ? undefined : createDraft(slice, slice.conversation, env, stored);
  }
  if (!isStart) return undefined;
  const conversation = newConversation(input.id, { state: "notes" }, env.now);
  const draft = createDraft(slice, conversation, env, {
    known: false,
    taken: new Set<MessageId>(),
  });
  draft.dirty = true;
  return draft;
}

/** False when the step came to nothing and nothing may be stored. */
async function apply(draft: Draft, input: Input): Promise<boolean> {
  switch (input.kind) {
    case "start-notes":
      break;
    case "start-invite":
      await startInvite(draft, input);
      break;
    case "start-accept":
      return startAccept(draft, input);
    case "start-group":
      await startGroup(draft);
      break;
    case "group-add":
    case "group-remove":
    case "group-leave":
    case "group-role":
      await onGroupInput(draft, input);
      break;
    case "start-post":
      return startFromPost(draft, input.row);
    case "post":
      await onPost(draft, input.row);
      break;
    case "queue-ready":
      await onQueueReady(draft, input.addresses);
      break;
    case "published":
      onPublished(draft);
      break;
    case "send-text":
      if (draft.conversation.peer.state === "group") sendToGroup(draft, input.id, input.text);
      else await sendText(draft, input.id, input.text);
      break;
    case "rename":
      await onRename(draft, input.name);
      break;
    case "mark-read":
      markRead(draft);
      break;
    case "devices-seen":
      markDevicesSeen(draft, input);
      break;
    case "mark-verified":
      markVerified(draft, input.verified);
      break;
    case "answer-change":
      await onAnswer(draft, input);
      break;
    case "answer-fork":
      await answerFork(draft, input.compared);
      break;
    case "remove-device":
      await onRemoveDevice(draft, input.device);
      break;
    case "frame":
      await onFrame(draft, input.blob, input.source);
      break;
    case "transmitted":
      onTransmitted(draft, input);
      break;
    case "signalled":
      onSignalled(draft, input.outcome);
      break;
    case "hub":
      await onHub(draft, input.up);
      if (input.up) await askRelay(draft);
      break;
    case "direct":
      onDirect(draft, input.up);
      break;
    case "reservation":
      await onReservation(draft, input.peerId);
      break;
    case "want":
      await onWant(draft, input.wanted);
      break;
    case "leaving":
      await onLeaving(draft);
      break;
    case "past-read":
      onPastRead(draft, input);
      break;
    case "merge-messages":
      onMergeMessages(draft, input.rows);
      break;
    case "wake":
      break;
  }
  return true;
}

function markRead(draft: Draft): void {
  if (draft.conversation.unread > 0) changeConversation(draft, { unread: 0 });
}

/** Reading messages is not noticing this: what is on screen counts as read by itself. */
function markDevicesSeen(draft: Draft, seen: Extract<Input, { kind: "devices-seen" }>): void {
  const { added, removed, anew = 0 } = draft.conversation.devices.news;
  if (added + removed + anew === 0) return;
  if (added !== seen.added || removed !== seen.removed || anew !== seen.anew) return;
  changeDevices(draft, { news: { added: 0, removed: 0 } });
}
